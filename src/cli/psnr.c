/* SPDX-License-Identifier: MIT */
/* How far apart pictures are; see psnr.h. */
#include "cli/psnr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_text.h"
#include "cli/outputs.h"
#include "cli/sheets.h"
#include "cli/signals.h"

/* ---- figures --------------------------------------------------------------------------------- */

void ldm_psnr_print(const ldm_image_difference *d)
{
    printf("PSNR %.2f dB, MSE %.2f, mean difference %.2f, largest %d", d->psnr, d->mse,
           d->mean_absolute, d->largest);
}

void ldm_psnr_to_json(json_t *o, const ldm_image_difference *d)
{
    json_object_set_new(o, "psnr", ldm_json_real(d->psnr));
    json_object_set_new(o, "mse", ldm_json_real(d->mse));
    json_object_set_new(o, "mean_absolute", ldm_json_real(d->mean_absolute));
    json_object_set_new(o, "largest", json_integer(d->largest));
}

void ldm_psnr_add(ldm_psnr_means *m, const ldm_image_difference *d)
{
    m->count++;
    m->mse += d->mse;
    if (d->largest) {
        m->psnr += d->psnr;
        m->differing++;
    }
}

void ldm_psnr_print_means(const ldm_psnr_means *m, const char *what)
{
    printf("mean of %zu %s: PSNR %.2f dB, MSE %.2f\n", m->count, what,
           m->psnr / (double)m->differing, m->mse / (double)m->count);
}

void ldm_psnr_means_to_json(json_t *o, const ldm_psnr_means *m)
{
    json_object_set_new(o, "mean_psnr", ldm_json_real(m->psnr / (double)m->differing));
    json_object_set_new(o, "mean_mse", ldm_json_real(m->mse / (double)m->count));
}

/* ---- two files ------------------------------------------------------------------------------- */

typedef struct task {
    const ldm_command *cmd;
    bool json, summary;
    json_t *pairs;
    ldm_psnr_means means;
} task;

/* What a file holds: one picture, or an array's. */
typedef struct loaded {
    const char *path;
    ldm_image one, *ims;
    size_t count;
} loaded;

/* channels: of a picture; 0: its own. */
static ldm_status load(const char *path, int channels, loaded *l, ldm_error *err)
{
    static const char *const arrays[] = {".npy", ".npz", NULL};

    *l = (loaded){.path = path};
    if (ldm_output_ends_in(path, arrays))
        return ldm_images_read(path, &l->ims, &l->count, err);
    l->ims = &l->one;
    l->count = 1;
    return ldm_image_read_channels(path, channels, &l->one, err);
}

static void unload(loaded *l)
{
    if (l->ims == &l->one)
        ldm_release(l->one.pixels);
    else
        ldm_images_free(l->ims, l->count);
    *l = (loaded){0};
}

/* Pictures of different channels are compared as RGB. */
static ldm_status load_as_rgb(const task *t, loaded *l, ldm_error *err)
{
    const char *path = l->path;

    if (l->ims->channels == 3)
        return LDM_OK;
    if (l->ims->channels == 4)
        ldm_cli_say(t->cmd, "note: the transparency of %s is left out", path);
    unload(l);
    return load(path, 3, l, err);
}

static void add_pair(task *t, const char *a, const char *b, const ldm_image *im,
                     const ldm_image_difference *d)
{
    json_t *o;

    ldm_psnr_add(&t->means, d);
    if (t->json && !t->summary) {
        o = json_object();
        json_object_set_new(o, "a", ldm_json_text(a));
        json_object_set_new(o, "b", ldm_json_text(b));
        json_object_set_new(o, "width", json_integer(im->width));
        json_object_set_new(o, "height", json_integer(im->height));
        json_object_set_new(o, "equal", json_boolean(!d->largest));
        ldm_psnr_to_json(o, d);
        json_array_append_new(t->pairs, o);
    } else if (!t->summary) {
        printf("%s and %s: ", a, b);
        if (d->largest)
            ldm_psnr_print(d);
        else
            printf("equal, every byte of %d x %d pixels", im->width, im->height);
        putchar('\n');
    }
}

static int compare_images(task *t, const char *a, const char *b, const ldm_image *p,
                          const ldm_image *q)
{
    ldm_image_difference d;
    ldm_error err;
    ldm_status st;

    if (p->width != q->width || p->height != q->height) {
        ldm_cli_say(t->cmd,
                    "%s is %d x %d, and %s is %d x %d: byte by byte only pictures of one size can "
                    "be compared",
                    a, p->width, p->height, b, q->width, q->height);
        return LDM_EXIT_FAILED;
    }
    st = ldm_image_compare(p, q, &d, sizeof d, &err);
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    add_pair(t, a, b, p, &d);
    return LDM_EXIT_OK;
}

static int compare_loaded(task *t, const loaded *p, const loaded *q)
{
    int code = LDM_EXIT_OK;

    ldm_signals_catch_interrupts();
    if (p->count != q->count) {
        ldm_cli_say(t->cmd, "%s holds %zu picture%s, and %s %zu: each needs its partner", p->path,
                    p->count, p->count == 1 ? "" : "s", q->path, q->count);
        return LDM_EXIT_FAILED;
    }
    if (p->count == 1)
        return compare_images(t, p->path, q->path, p->ims, q->ims);
    for (size_t i = 0; !code && i < p->count && !ldm_signals_interrupted(); i++) {
        char *a = ldm_cli_format("%s[%zu]", p->path, i), *b = ldm_cli_format("%s[%zu]", q->path, i);

        code = a && b ? compare_images(t, a, b, &p->ims[i], &q->ims[i]) : ldm_cli_nomem(t->cmd);
        free(a);
        free(b);
    }
    return code;
}

static int compare_files(task *t, const char *a, const char *b)
{
    loaded p = {0}, q = {0};
    ldm_error err;
    ldm_status st = load(a, 0, &p, &err);
    int code;

    if (!st)
        st = load(b, 0, &q, &err);
    if (!st && p.count == 1 && q.count == 1 && p.ims->channels != q.ims->channels) {
        st = load_as_rgb(t, &p, &err);
        if (!st)
            st = load_as_rgb(t, &q, &err);
    }
    code = st ? ldm_cli_fail(t->cmd, st, &err) : compare_loaded(t, &p, &q);
    unload(&p);
    unload(&q);
    return code;
}

/* ---- two folders ----------------------------------------------------------------------------- */

/* The pictures of a folder, in the order of their names; sheets and animations are none. */
typedef struct side {
    const char *folder;
    char **paths;
    size_t count;
} side;

/* Names without their endings: x.png and x.jpg are a pair. */
static int by_stem(const void *a, const void *b)
{
    const char *p = ldm_file_name(*(char *const *)a), *q = ldm_file_name(*(char *const *)b);
    const size_t n = strlen(p) - strlen(ldm_output_ending(p));
    const size_t m = strlen(q) - strlen(ldm_output_ending(q));
    const int order = strncmp(p, q, n < m ? n : m);

    return order ? order : n < m ? -1 : n > m;
}

static int list_side(const task *t, const char *folder, side *s)
{
    size_t kept = 0;
    int code;

    s->folder = folder;
    code = ldm_folder_pictures(t->cmd, folder, false, &s->paths, &s->count);
    if (code)
        return code;
    for (size_t i = 0; i < s->count; i++) {
        if (ldm_sheet_pictures(s->paths[i], NULL))
            free(s->paths[i]);
        else
            s->paths[kept++] = s->paths[i];
    }
    s->count = kept;
    qsort(s->paths, s->count, sizeof *s->paths, by_stem);
    return LDM_EXIT_OK;
}

/* Where x.png and x.jpg are both there, the one of the very name is meant. */
static const char *partner(const side *s, char *path)
{
    char **found = bsearch(&path, s->paths, s->count, sizeof *s->paths, by_stem);
    size_t i = found ? (size_t)(found - s->paths) : 0;

    if (!found)
        return NULL;
    while (i > 0 && !by_stem(&s->paths[i - 1], &path))
        i--;
    for (; i < s->count && !by_stem(&s->paths[i], &path); i++) {
        if (!strcmp(ldm_file_name(s->paths[i]), ldm_file_name(path)))
            return s->paths[i];
    }
    return *found;
}

/* Those of a that have no partner in b: a note and, with --json, their names. */
static json_t *list_alone(const task *t, const side *a, const side *b)
{
    json_t *names = json_array();
    const char *first = NULL;

    for (size_t i = 0; i < a->count; i++) {
        if (partner(b, a->paths[i]))
            continue;
        first = first ? first : a->paths[i];
        json_array_append_new(names, ldm_json_text(a->paths[i]));
    }
    if (first)
        ldm_cli_say(t->cmd, "note: %zu picture%s of %s, first %s, ha%s no partner in %s",
                    json_array_size(names), json_array_size(names) == 1 ? "" : "s", a->folder,
                    ldm_file_name(first), json_array_size(names) == 1 ? "s" : "ve", b->folder);
    return names;
}

static int compare_folders(task *t, const char *first, const char *second, json_t *root)
{
    side a = {0}, b = {0};
    size_t pairs = 0;
    int code = list_side(t, first, &a);

    if (!code)
        code = list_side(t, second, &b);
    for (size_t i = 0; !code && i < a.count; i++)
        pairs += partner(&b, a.paths[i]) != NULL;
    if (!code && !pairs) {
        ldm_cli_say(t->cmd,
                    "no picture of %s has the name of one in %s: pictures of two folders are "
                    "compared by name",
                    first, second);
        code = LDM_EXIT_FAILED;
    } else if (!code) {
        json_object_set_new(root, "only_a", list_alone(t, &a, &b));
        json_object_set_new(root, "only_b", list_alone(t, &b, &a));
        for (size_t i = 0; i < a.count && !ldm_signals_interrupted(); i++) {
            const char *other = partner(&b, a.paths[i]);

            if (other && compare_files(t, a.paths[i], other))
                code = LDM_EXIT_FAILED; /* the others are still worth comparing */
        }
    }
    ldm_paths_free(a.paths, a.count);
    ldm_paths_free(b.paths, b.count);
    return code;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void print_end(const task *t)
{
    const ldm_psnr_means *m = &t->means;

    if (m->differing && (m->count > 1 || t->summary))
        ldm_psnr_print_means(m, m->count == 1 ? "pair" : "pairs");
    if (m->count > 1 || t->summary)
        printf("%zu of %zu pair%s equal\n", m->count - m->differing, m->count,
               m->count == 1 ? " is" : "s are");
}

int ldm_psnr_run(const ldm_command *cmd, bool json, bool summary, char **paths, int count)
{
    task t = {.cmd = cmd, .json = json, .summary = summary};
    json_t *root;
    int code, printed = LDM_EXIT_OK;

    if (count != 2)
        return ldm_cli_usage(cmd,
                             "--psnr: %d %s given, expected two: two pictures, or two folders, "
                             "whose pictures are compared by name",
                             count, count == 1 ? "is" : "are");
    if (ldm_is_dir(paths[0]) != ldm_is_dir(paths[1]))
        return ldm_cli_usage(cmd,
                             "--psnr: %s is a folder, and %s is none; give two pictures or two "
                             "folders",
                             paths[!ldm_is_dir(paths[0])], paths[!ldm_is_dir(paths[1])]);
    root = json_object();
    t.pairs = json_array();
    if (ldm_is_dir(paths[0]))
        ldm_signals_catch_interrupts();
    else /* a pipe may be waited for */
        ldm_signals_end_at_once(cmd, "nothing is compared", json);
    code = ldm_is_dir(paths[0]) ? compare_folders(&t, paths[0], paths[1], root)
                                : compare_files(&t, paths[0], paths[1]);
    if (ldm_signals_interrupted()) { /* means over some pairs would look like those over all */
        ldm_cli_say(cmd,
                    "interrupted: %zu pair%s compared; the others are not, and there are no means",
                    t.means.count, t.means.count == 1 ? " is" : "s are");
        code = LDM_EXIT_SIGNAL + ldm_signals_interrupted();
        if (json)
            ldm_cli_json_failure(cmd);
    } else if (json && t.means.count) {
        if (!summary)
            json_object_set(root, "pairs", t.pairs);
        json_object_set_new(root, "count", json_integer((json_int_t)t.means.count));
        json_object_set_new(root, "equal",
                            json_integer((json_int_t)(t.means.count - t.means.differing)));
        ldm_psnr_means_to_json(root, &t.means);
        printed = ldm_cli_print_json(cmd, json_incref(root));
    } else if (json) {
        ldm_cli_json_failure(cmd);
    } else if (t.means.count) {
        print_end(&t);
    }
    json_decref(t.pairs);
    json_decref(root);
    return code ? code : printed;
}
