/* SPDX-License-Identifier: MIT */
/* The models on offer; see shelf.h. */
#include "server/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/str.h"
#include "server/private_paths.h"

enum { NAME_SIZE = 96 };

typedef struct entry {
    char name[NAME_SIZE];
    char *file; /* its name alone; NULL: the shipped model */
    ldm_model_options *options;
    int fits; /* -1: not known yet */
    char *verdict;
    json_t *takes; /* names of what its pictures are made of; NULL: not known yet */
} entry;

struct ldm_shelf {
    pthread_mutex_t lock; /* of verdicts and of what is open */
    entry *entries;
    size_t count, cap;
    atomic_size_t first; /* the one that answers where a request names none */
    bool named;          /* the command line names the first one: it is that or none */
    ldm_model *model;    /* open, or NULL */
    const entry *current;
};

static entry *find(const ldm_shelf *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!strcmp(s->entries[i].name, name))
            return &s->entries[i];
    }
    return NULL;
}

static bool is_checkpoint(const char *name)
{
    static const char *const endings[] = {".ckpt", ".pt", ".pth", ".safetensors"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && dot != name && i < sizeof endings / sizeof *endings; i++) {
        if (!strcasecmp(dot, endings[i]))
            return true;
    }
    return false;
}

/* The first len bytes of the text, made different from the other names by a number. */
static void name_entry(const ldm_shelf *s, const char *text, int len, char *name)
{
    char stem[NAME_SIZE - 16];

    snprintf(stem, sizeof stem, "%.*s", len, text);
    for (char *p = stem; *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    ldm_flatten(stem);
    snprintf(name, NAME_SIZE, "%s", stem);
    for (int i = 2; find(s, name); i++)
        snprintf(name, NAME_SIZE, "%s-%d", stem, i);
}

/* A file's stem; where another model has that name, its name with the ending, which says more than
 * a number. */
static void name_file(const ldm_shelf *s, const char *path, char *name)
{
    const char *base = ldm_file_name(path), *dot = strrchr(base, '.');
    const int len = (int)strlen(base), stem = dot && dot != base ? (int)(dot - base) : len;

    name_entry(s, base, stem, name);
    if ((int)strlen(name) > stem && stem < NAME_SIZE / 2) /* it got a number */
        name_entry(s, base, len, name);
}

static ldm_status add(ldm_shelf *s, ldm_model_options *options, const char *path, ldm_error *err)
{
    entry *e;

    if (!ldm_grow(&s->entries, &s->cap, s->count + 1, sizeof *s->entries)) {
        ldm_model_options_free(options);
        return ldm_error_nomem(err, sizeof *e, "a model's name");
    }
    e = &s->entries[s->count];
    *e = (entry){.options = options, .fits = -1, .file = ldm_strdup(ldm_file_name(path))};
    name_file(s, path, e->name);
    s->count++;
    return e->file ? LDM_OK : ldm_error_nomem(err, 0, "a model's name");
}

/* ---- a folder of models ---------------------------------------------------------------------- */

/* "x.safetensors.yaml" goes before "x.yaml", as where a checkpoint is named alone. */
static bool has_config(const char *dir, const char *name, char *path, size_t size)
{
    static const char *const endings[] = {".yaml", ".yml"};
    const int len = (int)(strrchr(name, '.') - name);

    snprintf(path, size, "%s/%s.yaml", dir, name);
    if (!access(path, R_OK))
        return true;
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, size, "%s/%.*s%s", dir, len, name, endings[i]);
        if (!access(path, R_OK))
            return true;
    }
    snprintf(path, size, "%s/config.yaml", dir);
    return !access(path, R_OK);
}

/* Whether a model of the shelf is this file, by whatever path: --ckpt may lie in --models. */
static bool has_file(const ldm_shelf *s, const char *path)
{
    struct stat a, b;

    for (size_t i = 0; !stat(path, &a) && i < s->count; i++) {
        const char *ckpt = ldm_model_options_get_text(s->entries[i].options, "ckpt");

        if (ckpt && !stat(ckpt, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            return true;
    }
    return false;
}

static ldm_status add_file(ldm_shelf *s, const ldm_model_options *common, const char *dir,
                           const char *name, ldm_error *err)
{
    char ckpt[4096], config[4096];
    ldm_model_options *options;
    ldm_status st;

    if (snprintf(ckpt, sizeof ckpt, "%s/%s", dir, name) >= (int)sizeof ckpt || has_file(s, ckpt))
        return LDM_OK;
    st = ldm_model_options_copy(common, &options, err);
    if (st)
        return st;
    st = ldm_model_options_unset(options, "config", err);
    if (!st)
        st = ldm_model_options_set(options, "ckpt", ckpt, err);
    if (!st && has_config(dir, name, config, sizeof config))
        st = ldm_model_options_set(options, "config", config, err);
    if (!st)
        return add(s, options, ckpt, err);
    ldm_model_options_free(options);
    return st;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int of_checkpoint(const struct dirent *e)
{
    return e->d_name[0] != '.' && is_checkpoint(e->d_name);
}

static ldm_status add_folder(ldm_shelf *s, const ldm_model_options *common, const char *dir,
                             ldm_error *err)
{
    struct dirent **found;
    const int n = scandir(dir, &found, of_checkpoint, by_name);
    ldm_status st = LDM_OK;

    if (n < 0)
        return ldm_error_set(err, LDM_ERR_IO, "%s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (!st)
            st = add_file(s, common, dir, found[i]->d_name, err);
        free(found[i]);
    }
    free(found);
    return st;
}

/* What --ckpt names, as the command line understands it: a folder is the checkpoints in it, unless
 * diffusers made it, and a file has the YAML beside it, where none was given. */
static ldm_status add_given(ldm_shelf *s, const ldm_model_options *common, const char *ckpt,
                            ldm_error *err)
{
    const char *slash = strrchr(ckpt, '/'), *name = ldm_file_name(ckpt);
    ldm_model_options *own = NULL;
    char path[4096];
    ldm_status st;

    if (!ldm_model_options_is_set(common, "config")) {
        snprintf(path, sizeof path, "%s/model_index.json", ckpt);
        if (ldm_is_dir(ckpt) && access(path, F_OK)) {
            const size_t before = s->count;

            st = add_folder(s, common, ckpt, err);
            if (st || s->count > before)
                return st;
        } else if (is_checkpoint(name) && !access(ckpt, F_OK)) {
            snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - ckpt) + !(slash - ckpt) : 1,
                     slash ? ckpt : ".");
            s->named = true;
            return add_file(s, common, path, name, err);
        }
    }
    s->named = true;
    st = ldm_model_options_copy(common, &own, err);
    return st ? st : add(s, own, ckpt, err);
}

ldm_status ldm_shelf_create(const ldm_model_options *common, const char *dir, ldm_shelf **out,
                            ldm_error *err)
{
    const char *ckpt = ldm_model_options_get_text(common, "ckpt");
    ldm_shelf *s = ldm_calloc(1, sizeof *s);
    ldm_model_options *own = NULL;
    ldm_status st = s ? LDM_OK : ldm_error_nomem(err, sizeof *s, "the models");

    *out = NULL;
    if (!s)
        return st;
    pthread_mutex_init(&s->lock, NULL);
    if (ckpt) {
        st = add_given(s, common, ckpt, err);
    } else if (!dir) {
        s->named = true;
        st = ldm_model_options_copy(common, &own, err);
        if (!st)
            st = add(s, own, "shipped", err);
    }
    if (!st && dir)
        st = add_folder(s, common, dir, err);
    if (!st && !s->count)
        st = ldm_error_set(err, LDM_ERR_USAGE, "%s: there is no checkpoint in this folder", dir);
    if (st)
        ldm_shelf_free(s);
    else
        *out = s;
    return st;
}

void ldm_shelf_free(ldm_shelf *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        ldm_model_options_free(s->entries[i].options);
        ldm_free(s->entries[i].verdict);
        ldm_free(s->entries[i].file);
        json_decref(s->entries[i].takes);
    }
    ldm_free(s->entries);
    ldm_model_close(s->model);
    pthread_mutex_destroy(&s->lock);
    ldm_free(s);
}

const char *ldm_shelf_first(const ldm_shelf *s)
{
    return s->entries[atomic_load(&s->first)].name;
}

bool ldm_shelf_has(const ldm_shelf *s, const char *name)
{
    return find(s, name) != NULL;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

ldm_status ldm_shelf_check(ldm_shelf *s, const char *name, char **report, ldm_error *err)
{
    const entry *e = find(s, name);
    ldm_str text = {0};
    json_t *root;
    bool fits;
    ldm_status st;

    *report = NULL;
    if (!e)
        return ldm_error_set(err, LDM_ERR_USAGE, "there is no model of that name");
    st = ldm_check(e->options, LDM_REPORT_JSON, report, &fits, err);
    if (st || !*report) {
        ldm_release(*report);
        *report = NULL;
        return st;
    }
    root = json_loads(*report, 0, NULL);
    ldm_release(*report);
    *report = NULL;
    json_object_set_new(root, "next_step", json_null()); /* a command line with paths */
    ldm_private_hide_json(root);
    if (!root || !ldm_json_append(root, JSON_INDENT(1), &text)) {
        ldm_str_free(&text);
        st = ldm_error_nomem(err, 0, "the report");
    }
    json_decref(root);
    *report = text.data;
    return st;
}

static void set_verdict(ldm_shelf *s, entry *e, int fits, const char *verdict)
{
    char *copy = ldm_strdup(verdict);

    if (copy)
        ldm_private_hide(copy);
    pthread_mutex_lock(&s->lock);
    e->fits = fits;
    ldm_free(e->verdict);
    e->verdict = copy;
    pthread_mutex_unlock(&s->lock);
}

/* What the audit's report says of the entry. */
static void take_report(ldm_shelf *s, entry *e, const json_t *root, bool fits)
{
    const json_t *conditions = json_object_get(root, "conditions");
    const json_t *latent = json_object_get(json_object_get(conditions, "unet"), "latent");
    const char *verdict = json_string_value(json_object_get(root, "verdict"));

    pthread_mutex_lock(&s->lock);
    json_decref(e->takes);
    e->takes = json_incref(json_object_get(conditions, "takes"));
    pthread_mutex_unlock(&s->lock);
    if (fits && json_is_integer(latent) && !json_integer_value(latent))
        set_verdict(s, e, 0,
                    "this is a first stage alone: it has no UNet to make pictures with; it encodes "
                    "and decodes (ldm reconstruct)");
    else
        set_verdict(s, e, fits, verdict ? verdict : "");
}

static void judge(ldm_shelf *s, entry *e)
{
    char *report = NULL;
    ldm_error err;
    json_t *root;
    bool fits;
    const ldm_status st = ldm_check(e->options, LDM_REPORT_JSON, &report, &fits, &err);

    if (e == s->current && st == LDM_ERR_USAGE) {
        set_verdict(s, e, 1, ""); /* open without a YAML: its tensors show the configuration */
    } else if (!report || st == LDM_ERR_CONFIG) {
        set_verdict(s, e, 0, st ? err.msg : "out of memory");
    } else {
        root = json_loads(report, 0, NULL);
        take_report(s, e, root, fits && !st);
        json_decref(root);
    }
    ldm_release(report);
}

/* "FILE cannot be used: why", of a model that cannot. */
static void tell(const entry *e, void (*say)(const char *fmt, ...))
{
    const char *file = e->file ? e->file : e->name, *why = e->verdict ? e->verdict : "";
    const size_t len = strlen(file);

    if (e->fits)
        return;
    if (!strncmp(why, file, len) && !strncmp(why + len, ": ", 2))
        why += len + 2; /* the library begins with the file, too */
    say("%s cannot be used: %s", file, why);
}

bool ldm_shelf_choose(ldm_shelf *s, void (*say)(const char *fmt, ...))
{
    size_t i = 0;

    while (!s->named && s->count > 1 && i < s->count) {
        judge(s, &s->entries[i]);
        tell(&s->entries[i], say);
        if (s->entries[i].fits)
            break;
        i++;
    }
    atomic_store(&s->first, i < s->count ? i : 0);
    return i < s->count;
}

bool ldm_shelf_pass_over(ldm_shelf *s, const ldm_error *err, void (*say)(const char *fmt, ...))
{
    size_t i = atomic_load(&s->first);

    if (s->entries[i].fits)
        set_verdict(s, &s->entries[i], 0, err->msg);
    if (s->named || i + 1 >= s->count)
        return false;
    tell(&s->entries[i], say);
    for (i++; i < s->count; i++) {
        judge(s, &s->entries[i]);
        if (s->entries[i].fits) {
            atomic_store(&s->first, i);
            return true;
        }
        tell(&s->entries[i], say);
    }
    return false;
}

void ldm_shelf_judge_first(ldm_shelf *s)
{
    judge(s, &s->entries[atomic_load(&s->first)]);
}

void ldm_shelf_judge_others(ldm_shelf *s, void (*say)(const char *fmt, ...))
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->entries[i].fits >= 0)
            continue;
        judge(s, &s->entries[i]);
        tell(&s->entries[i], say);
    }
}

/* Whether the entry's names are known and have this one; s is locked. */
static bool takes(const entry *e, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(e->takes, i, v)
    {
        if (json_is_string(v) && !strcmp(json_string_value(v), name))
            return true;
    }
    return false;
}

bool ldm_shelf_takes(ldm_shelf *s, const char *name, const char *what)
{
    const entry *e = find(s, name);
    bool known;

    pthread_mutex_lock(&s->lock);
    known = e && takes(e, what);
    pthread_mutex_unlock(&s->lock);
    return known;
}

bool ldm_shelf_verdict(ldm_shelf *s, const char *name, char *why, size_t size)
{
    const entry *e = find(s, name);
    bool known;

    *why = '\0';
    pthread_mutex_lock(&s->lock);
    known = e && e->fits >= 0;
    if (known && !e->fits)
        snprintf(why, size, "%s", e->verdict ? e->verdict : "it does not fit");
    pthread_mutex_unlock(&s->lock);
    return known;
}

json_t *ldm_shelf_list(ldm_shelf *s)
{
    json_t *all = json_array();

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++) {
        const entry *e = &s->entries[i];
        json_array_append_new(all,
                              json_pack("{s:o, s:o, s:b, s:o, s:o}", "name", ldm_json_text(e->name),
                                        "file", ldm_json_text(e->file), "current", e == s->current,
                                        "fits", e->fits < 0 ? json_null() : json_boolean(e->fits),
                                        "verdict", ldm_json_text(e->verdict ? e->verdict : "")));
    }
    pthread_mutex_unlock(&s->lock);
    return all;
}

/* ---- the open model -------------------------------------------------------------------------- */

static json_t *model_json(const ldm_shelf *s)
{
    const ldm_model_info *m = ldm_model_get_info(s->model);
    json_t *notes = json_array(), *root = json_object();

    for (size_t i = 0; i < ldm_model_note_count(s->model); i++)
        json_array_append_new(notes, ldm_json_text(ldm_model_note(s->model, i)));
    json_object_set_new(root, "name", ldm_json_text(s->current->name));
    json_object_set_new(root, "format", ldm_json_text(m->ckpt_format));
    json_object_set_new(root, "is_default", json_boolean(m->is_default));
    json_object_set_new(root, "default_note", ldm_json_text(m->default_note));
    json_object_set_new(root, "weights", ldm_json_text(m->weights));
    json_object_set_new(root, "precision", ldm_json_text(m->precision));
    json_object_set_new(root, "isa", ldm_json_text(m->isa));
    json_object_set_new(root, "latent_shape",
                        json_pack("[iii]", m->latent_channels, m->latent_h, m->latent_w));
    json_object_set_new(root, "downsample", json_integer(m->downsample));
    json_object_set_new(root, "side_step", json_integer(m->side_step));
    json_object_set_new(root, "side_max", json_integer(m->side_max));
    json_object_set_new(root, "width", json_integer((json_int_t)m->latent_w * m->downsample));
    json_object_set_new(root, "height", json_integer((json_int_t)m->latent_h * m->downsample));
    json_object_set_new(root, "timesteps", json_integer(m->timesteps));
    json_object_set_new(root, "guidance_has_effect", json_boolean(m->guidance_has_effect));
    json_object_set_new(root, "load_seconds", ldm_json_real(m->load_seconds));
    json_object_set_new(root, "weight_bytes", ldm_json_u64(ldm_model_weight_bytes(s->model)));
    json_object_set_new(root, "notes", notes);
    ldm_private_hide_json(root);
    return root;
}

json_t *ldm_shelf_model(ldm_shelf *s)
{
    json_t *root;

    pthread_mutex_lock(&s->lock);
    root = s->model ? model_json(s) : json_null();
    pthread_mutex_unlock(&s->lock);
    return root;
}

ldm_status ldm_shelf_job(ldm_shelf *s, const char *name, ldm_job **out, ldm_error *err)
{
    ldm_status st;

    pthread_mutex_lock(&s->lock);
    st = ldm_job_create(s->model && !strcmp(s->current->name, name) ? s->model : NULL, out, err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

ldm_sizes ldm_sizes_of(const ldm_model_info *m)
{
    return (ldm_sizes){
        .factor = m->downsample,
        .step = m->side_step,
        .most = m->side_max,
        .shape = {m->latent_channels, m->latent_h, m->latent_w},
    };
}

ldm_sizes ldm_shelf_sizes(ldm_shelf *s, const char *name)
{
    ldm_sizes sizes = {0};

    pthread_mutex_lock(&s->lock);
    if (s->model && !strcmp(s->current->name, name))
        sizes = ldm_sizes_of(ldm_model_get_info(s->model));
    pthread_mutex_unlock(&s->lock);
    return sizes;
}

ldm_status ldm_shelf_open(ldm_shelf *s, const char *name, const ldm_model **model, ldm_error *err)
{
    entry *e = find(s, name);
    ldm_model *old, *fresh;
    ldm_status st;

    *model = NULL;
    if (!e)
        return ldm_error_set(err, LDM_ERR_USAGE, "there is no model of the name %s any more", name);
    if (e == s->current) {
        *model = s->model;
        return LDM_OK;
    }
    pthread_mutex_lock(&s->lock);
    old = s->model;
    s->model = NULL;
    s->current = NULL;
    pthread_mutex_unlock(&s->lock);
    ldm_model_close(old); /* before the next is read: there may be memory for one only */
    st = ldm_model_open(e->options, &fresh, err);
    if (st == LDM_ERR_MISMATCH)
        set_verdict(s, e, 0, err->msg);
    if (st)
        return st;
    pthread_mutex_lock(&s->lock);
    s->model = fresh;
    s->current = e;
    pthread_mutex_unlock(&s->lock);
    *model = fresh;
    return LDM_OK;
}
