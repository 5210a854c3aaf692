/* SPDX-License-Identifier: MIT */
/* ldm merge: joins the shares that processes made in folders of their own (ldm generate --rank R
 * --of N --own-share). Nothing is written before every picture was found. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ldm/cluster.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/generate/generate.h"
#include "cli/opts.h"
#include "cli/sheets.h"

enum { MOST_PICTURE_BYTES = 1 << 30, MOST_GAPS = 8 };

typedef struct options {
    const char *out;
    bool json;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "FOLDER",
     .field = offsetof(options, out),
     .help = "where all pictures go; made if it is missing"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object"},
};

typedef struct merge {
    const ldm_command *cmd;
    const char *out;
    char **folders; /* [folder_count] */
    int folder_count;
    json_t *run; /* what the first folder's manifest says */
    int pictures;
    int *from;    /* [pictures]: the folder that a picture is taken from; -1: none */
    bool *failed; /* [pictures]: it could not be made, and nobody misses it */
    int failures, doubles;
    bool mixed; /* folders of different instructions */
} merge;

/* ---- what the folders hold ------------------------------------------------------------------- */

static char *picture_name(const char *folder, int i)
{
    const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";

    return ldm_cli_format("%s%s%05d.png", folder, slash, i);
}

static int read_run(merge *m, const char *folder, json_t **run)
{
    ldm_error err;
    char *text;
    const ldm_status st = ldm_work_get_run(folder, &text, &err);

    *run = NULL;
    if (st)
        return ldm_cli_fail(m->cmd, st, &err);
    *run = json_loads(text, 0, NULL);
    ldm_release(text);
    return *run ? LDM_EXIT_OK : ldm_cli_nomem(m->cmd);
}

static int other_run(const merge *m, const char *folder, const char *key, const json_t *its)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_COMPACT;
    char *a = ldm_cli_json_dump(json_object_get(m->run, key), flags);
    char *b = ldm_cli_json_dump(its, flags);

    ldm_cli_say(m->cmd, "%s and %s are parts of different runs (%s: %.100s and %.100s)",
                m->folders[0], folder, key, a ? a : "absent", b ? b : "absent");
    free(a);
    free(b);
    return LDM_EXIT_FAILED;
}

/* The folder's manifest against the first one's; the instructions may differ. */
static int check_run(merge *m, const char *folder)
{
    const char *key;
    json_t *run, *value;
    int code = read_run(m, folder, &run);

    if (!code && !json_equal(json_object_get(run, "isa"), json_object_get(m->run, "isa")))
        m->mixed = true;
    json_object_foreach(m->run, key, value)
    {
        if (!code && strcmp(key, "isa") && !json_equal(value, json_object_get(run, key)))
            code = other_run(m, folder, key, json_object_get(run, key));
    }
    json_object_foreach(run, key, value)
    {
        if (!code && !json_object_get(m->run, key))
            code = other_run(m, folder, key, value);
    }
    json_decref(run);
    return code;
}

static int read_failures(merge *m, const char *folder)
{
    json_t *list, *record, *index;
    ldm_error err;
    char *text;
    size_t i, k;
    const ldm_status st = ldm_work_records(folder, &text, &err);

    if (st)
        return ldm_cli_fail(m->cmd, st, &err);
    list = json_loads(text, 0, NULL);
    ldm_release(text);
    json_array_foreach(list, i, record)
    {
        json_array_foreach(json_object_get(record, "failed"), k, index)
        {
            const json_int_t at = json_integer_value(index);

            if (at >= 0 && at < m->pictures)
                m->failed[at] = true;
        }
    }
    json_decref(list);
    return LDM_EXIT_OK;
}

static int read_file(const merge *m, const char *path, char **data, size_t *size)
{
    ldm_error err;
    const ldm_status st = ldm_file_read(path, MOST_PICTURE_BYTES, data, size, &err);

    return st ? ldm_cli_fail(m->cmd, st, &err) : LDM_EXIT_OK;
}

/* A picture that two folders hold must be the same in both. */
static int check_double(merge *m, const char *a, const char *b)
{
    char *data_a = NULL, *data_b = NULL;
    size_t size_a = 0, size_b = 0;
    int code = read_file(m, a, &data_a, &size_a);

    if (!code)
        code = read_file(m, b, &data_b, &size_b);
    if (!code && (size_a != size_b || memcmp(data_a, data_b, size_a))) {
        ldm_cli_say(m->cmd,
                    "%s and %s are two versions of one picture; remove one of them (machines with "
                    "different instructions make such: --isa)",
                    a, b);
        code = LDM_EXIT_FAILED;
    }
    m->doubles += !code;
    ldm_free(data_a);
    ldm_free(data_b);
    return code;
}

static int find_picture(merge *m, int i)
{
    char *first = NULL;
    int code = LDM_EXIT_OK;

    m->from[i] = -1;
    for (int f = 0; !code && f < m->folder_count; f++) {
        char *name = picture_name(m->folders[f], i);

        if (!name) {
            code = ldm_cli_nomem(m->cmd);
        } else if (!access(name, F_OK)) {
            if (first)
                code = check_double(m, first, name);
            else
                m->from[i] = f;
        }
        if (m->from[i] == f)
            first = name;
        else
            free(name);
    }
    free(first);
    return code;
}

/* "3, 7 to 9 and others" */
static int report_gaps(const merge *m)
{
    ldm_str gaps = {0};
    int missing = 0, ranges = 0;

    for (int i = 0; i < m->pictures; i++) {
        int end = i;

        while (end < m->pictures && m->from[end] < 0 && !m->failed[end])
            end++;
        if (end == i)
            continue;
        missing += end - i;
        if (ranges++ < MOST_GAPS) {
            ldm_str_printf(&gaps, "%s%d", ranges > 1 ? ", " : "", i);
            if (end > i + 1)
                ldm_str_printf(&gaps, " to %d", end - 1);
        } else if (ranges == MOST_GAPS + 1) {
            ldm_str_puts(&gaps, " and others");
        }
        i = end;
    }
    if (missing)
        ldm_cli_say(m->cmd,
                    "%d of %d pictures are in none of the folders: %s; name the folder that holds "
                    "them, or make them with the same --rank, --of and --own-share",
                    missing, m->pictures, gaps.data ? gaps.data : "");
    ldm_str_free(&gaps);
    return missing ? LDM_EXIT_FAILED : LDM_EXIT_OK;
}

static int find_all(merge *m)
{
    int code = read_run(m, m->folders[0], &m->run);

    if (code)
        return code;
    m->pictures = (int)json_integer_value(json_object_get(m->run, "pictures"));
    if (m->pictures < 1 || m->pictures > 1000000) {
        ldm_cli_say(m->cmd, "%s: its manifest says %d pictures, expected 1 to 1000000",
                    m->folders[0], m->pictures);
        return LDM_EXIT_FAILED;
    }
    m->from = calloc((size_t)m->pictures, sizeof *m->from);
    m->failed = calloc((size_t)m->pictures, sizeof *m->failed);
    if (!m->from || !m->failed)
        return ldm_cli_nomem(m->cmd);
    for (int f = 0; !code && f < m->folder_count; f++) {
        code = f ? check_run(m, m->folders[f]) : LDM_EXIT_OK;
        if (!code)
            code = read_failures(m, m->folders[f]);
    }
    for (int i = 0; !code && i < m->pictures; i++) {
        code = find_picture(m, i);
        m->failed[i] = m->failed[i] && m->from[i] < 0;
        m->failures += m->failed[i];
    }
    return code ? code : report_gaps(m);
}

/* ---- the joined folder ----------------------------------------------------------------------- */

static int check_out(const merge *m)
{
    DIR *dir = opendir(m->out);
    const struct dirent *e;
    int there = 0;

    while (dir && (e = readdir(dir)))
        there += ldm_output_is_ours(e->d_name, strlen(e->d_name));
    if (dir)
        closedir(dir);
    if (!there)
        return LDM_EXIT_OK;
    ldm_cli_say(m->cmd, "-o: folder '%s' holds %d file%s of a run already; name an empty one",
                m->out, there, there == 1 ? "" : "s");
    return LDM_EXIT_FAILED;
}

/* The picture's own recipe must be of this place in the run. */
static int check_recipe(const merge *m, const char *name, int i, char **text)
{
    json_t *recipe;
    ldm_error err;
    const ldm_status st = ldm_image_read_recipe(name, text, &err);
    bool right;

    if (st)
        return ldm_cli_fail(m->cmd, st, &err);
    recipe = json_loads(*text, 0, NULL);
    right = json_integer_value(json_object_get(recipe, "index")) == i &&
            json_equal(json_object_get(json_object_get(recipe, "checkpoint"), "sha256"),
                       json_object_get(json_object_get(m->run, "checkpoint"), "sha256")) &&
            json_equal(json_object_get(recipe, "config"), json_object_get(m->run, "config")) &&
            json_equal(json_object_get(recipe, "steps"), json_object_get(m->run, "steps")) &&
            json_equal(json_object_get(recipe, "sampler"), json_object_get(m->run, "sampler"));
    json_decref(recipe);
    if (right)
        return LDM_EXIT_OK;
    ldm_cli_say(m->cmd, "%s: its recipe is not that of picture %d of this run; move it away", name,
                i);
    return LDM_EXIT_FAILED;
}

typedef struct albums {
    ldm_album *grid, *npz; /* NULL: not asked for */
} albums;

static int open_albums(const merge *m, const char *recipe, int width, int height, albums *a)
{
    const size_t count = (size_t)m->pictures;
    const bool grid = json_is_true(json_object_get(m->run, "grid"));
    char *path = ldm_cli_format("%s/grid.png", m->out);
    char *npz = ldm_cli_format("%s/samples.npz", m->out);
    char *text = ldm_sheet_recipe(recipe, LDM_SHEET, count);
    ldm_error err;
    ldm_status st = LDM_OK;
    int code = path && npz && text ? LDM_EXIT_OK : ldm_cli_nomem(m->cmd);

    if (!code && grid)
        st = ldm_album_grid(path, count, 0, width, height, text, &a->grid, &err);
    if (!code && !st && json_is_true(json_object_get(m->run, "npz")))
        st = ldm_album_npz(npz, count - (size_t)m->failures, width, height, &a->npz, &err);
    free(text);
    free(npz);
    free(path);
    return st ? ldm_cli_fail(m->cmd, st, &err) : code;
}

/* The failed pictures before the first good one are black in the sheet. */
static ldm_status add_black(const merge *m, const albums *a, int from, int to, ldm_error *err)
{
    ldm_status st = LDM_OK;

    for (int i = from; !st && a->grid && i < to; i++)
        st = m->failed[i] ? ldm_album_add(a->grid, NULL, err) : LDM_OK;
    return st;
}

static int add_picture(const merge *m, const char *name, const char *recipe, int i, bool first,
                       albums *a)
{
    ldm_image im;
    ldm_error err;
    ldm_status st = ldm_image_read(name, &im, &err);
    int code = LDM_EXIT_OK;

    if (st)
        return ldm_cli_fail(m->cmd, st, &err);
    if (first) {
        code = open_albums(m, recipe, im.width, im.height, a);
        if (!code)
            st = add_black(m, a, 0, i, &err);
    }
    if (!code && !st && a->grid)
        st = ldm_album_add(a->grid, &im, &err);
    if (!code && !st && a->npz)
        st = ldm_album_add(a->npz, &im, &err);
    ldm_release(im.pixels);
    return st ? ldm_cli_fail(m->cmd, st, &err) : code;
}

static int copy_picture(const merge *m, int i, bool first, albums *a)
{
    char *name = picture_name(m->folders[m->from[i]], i), *to = picture_name(m->out, i);
    char *data = NULL, *recipe = NULL;
    size_t size;
    ldm_error err;
    int code = name && to ? check_recipe(m, name, i, &recipe) : ldm_cli_nomem(m->cmd);

    if (!code)
        code = add_picture(m, name, recipe, i, first, a);
    if (!code)
        code = read_file(m, name, &data, &size);
    if (!code) {
        const ldm_status st = ldm_file_write(to, data, size, &err);

        code = st ? ldm_cli_fail(m->cmd, st, &err) : LDM_EXIT_OK;
    }
    ldm_free(data);
    ldm_release(recipe);
    free(to);
    free(name);
    return code;
}

static int copy_all(merge *m)
{
    albums a = {0};
    bool first = true;
    ldm_error err;
    ldm_status st = LDM_OK;
    int code = LDM_EXIT_OK;

    for (int i = 0; !code && !st && i < m->pictures; i++) {
        if (!m->failed[i]) {
            code = copy_picture(m, i, first, &a);
            first = false;
        } else if (!first) {
            st = add_black(m, &a, i, i + 1, &err);
        }
    }
    if (!code && !st && a.grid)
        st = ldm_album_close(a.grid, &err);
    if (!code && !st && a.npz)
        st = ldm_album_close(a.npz, &err);
    ldm_album_free(a.grid);
    ldm_album_free(a.npz);
    return st ? ldm_cli_fail(m->cmd, st, &err) : code;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int report(const merge *m, bool json)
{
    const int made = m->pictures - m->failures;

    if (m->mixed)
        ldm_cli_say(m->cmd, "warning: machines with different instructions made these pictures: "
                            "they may differ in the last bits from those of one machine (--isa)");
    if (json)
        return ldm_cli_print_json(m->cmd, json_pack("{s:s, s:i, s:i, s:i, s:b}", "folder", m->out,
                                                    "pictures", made, "failed", m->failures,
                                                    "doubles", m->doubles, "mixed_isa", m->mixed));
    printf("%d picture%s of %d folder%s in %s", made, made == 1 ? "" : "s", m->folder_count,
           m->folder_count == 1 ? "" : "s", m->out);
    if (m->doubles)
        printf(", %d of them %s in several", m->doubles, m->doubles == 1 ? "was" : "were");
    if (m->failures)
        printf("; %d could not be made", m->failures);
    putchar('\n');
    return LDM_EXIT_OK;
}

/* Elsewhere "merge" mixes the weights of checkpoints. */
static int check_folders(const merge *m)
{
    for (int i = 0; i < m->folder_count; i++) {
        if (!access(m->folders[i], F_OK) && !ldm_is_dir(m->folders[i]))
            return ldm_cli_usage(m->cmd,
                                 "'%s' is a file: this command joins folders of pictures that "
                                 "several processes made, and mixes no checkpoints",
                                 m->folders[i]);
    }
    return LDM_EXIT_OK;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    merge m = {.cmd = cmd};
    ldm_place place = {.lock = -1};
    ldm_parse parse;
    int args, code;

    (void)cli;
    parse = ldm_opts_parse(cmd, argc, argv, &o, &(ldm_targets){0}, &args);
    if (parse)
        return ldm_parse_exit(parse);
    m.out = o.out;
    m.folders = argv + args;
    m.folder_count = argc - args;
    code = check_folders(&m);
    if (!code)
        code = o.out ? ldm_place_enter(cmd, "-o", m.out, true, &place)
                     : ldm_cli_usage(cmd, "-o FOLDER is missing: where all pictures go");
    if (!code)
        code = check_out(&m);
    if (!code)
        code = find_all(&m);
    if (!code)
        code = copy_all(&m);
    if (!code)
        code = report(&m, o.json);
    else if (o.json)
        ldm_cli_json_failure(cmd);
    ldm_place_leave(&place);
    json_decref(m.run);
    free(m.from);
    free(m.failed);
    return code;
}

const ldm_command ldm_cmd_merge = {
    .name = "merge",
    .args = "FOLDER... -o FOLDER",
    .summary = "join the shares of machines without a common folder",
    .about =
        "Joins what several processes made of one run in folders of their own (ldm generate "
        "--rank\n"
        "R --of N --own-share -o FOLDER), copied to one machine: every picture must be there, and\n"
        "those that several folders hold must be the same. Sheets and samples.npz are written as\n"
        "the run was asked for them: the files are those of one process.",
    .notes = "  ldm merge share0/ share1/ share2/ -o samples/",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
