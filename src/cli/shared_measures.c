/* SPDX-License-Identifier: MIT */
/* See shared_measures.h. A picture's features depend on nothing but the picture, and the statistics
 * are taken of all features in the pictures' order once they are there. Therefore neither the
 * number of processes nor who computed which block shows in the result. */
#include "cli/shared_measures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_text.h"
#include "base/str.h"
#include "cli/outputs.h"
#include "cli/sheets.h"
#include "cli/signals.h"

typedef struct share {
    const ldm_measures_share *in;
    const ldm_command *cmd;
    char **paths; /* [count], of pictures */
    size_t count;
    char *folder; /* where the processes meet */
    ldm_work *work;
    ldm_ranks_view view;
    int made; /* pictures, by this process */
} share;

/* ---- the pictures ---------------------------------------------------------------------------- */

static bool is_array(const char *path)
{
    static const char *const endings[] = {".npz", ".npy", NULL};

    return ldm_output_ends_in(path, endings);
}

bool ldm_measures_can_share(char **paths, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        if (is_array(paths[i]))
            return false;
    }
    return count > 0;
}

/* Takes the texts over; the caller frees the list. */
static int append(share *s, char **paths, size_t count)
{
    char **grown = realloc(s->paths, (s->count + count + 1) * sizeof *grown);

    if (!grown)
        return ldm_cli_nomem(s->cmd);
    s->paths = grown;
    memcpy(s->paths + s->count, paths, count * sizeof *paths);
    memset(paths, 0, count * sizeof *paths);
    s->count += count;
    return LDM_EXIT_OK;
}

static int list_path(share *s, const char *path)
{
    char **paths, *one;
    size_t count;
    int code;

    if (ldm_is_dir(path)) {
        code = ldm_folder_pictures(s->cmd, path, s->in->ranks->rank.rank > 0, &paths, &count);
        if (!code)
            code = append(s, paths, count);
        ldm_paths_free(paths, count);
        return code;
    }
    one = strdup(path);
    code = one ? append(s, &one, 1) : ldm_cli_nomem(s->cmd);
    free(one);
    return code;
}

static int list_pictures(share *s)
{
    int i, code = LDM_EXIT_OK;

    for (i = 0; !code && i < s->in->count; i++)
        code = list_path(s, s->in->paths[i]);
    if (!code && s->count > INT32_MAX) {
        ldm_cli_say(s->cmd, "%zu pictures are too many", s->count);
        code = LDM_EXIT_FAILED;
    }
    return code;
}

/* What tells one set of files from another without reading them. An exit code. */
static int hash_files(const share *s, char text[17])
{
    uint64_t h = LDM_HASH64_START;
    size_t i;

    for (i = 0; i < s->count; i++) {
        struct stat st;
        int64_t facts[2];

        if (stat(s->paths[i], &st)) {
            ldm_cli_say(s->cmd, "cannot read %s: %s", s->paths[i], strerror(errno));
            return LDM_EXIT_FAILED;
        }
        facts[0] = st.st_size;
        facts[1] = st.st_mtime;
        h = ldm_hash64(h, s->paths[i], strlen(s->paths[i]) + 1);
        h = ldm_hash64(h, facts, sizeof facts);
    }
    snprintf(text, 17, "%016llx", (unsigned long long)h);
    return LDM_EXIT_OK;
}

/* ---- joining --------------------------------------------------------------------------------- */

/* *run: json_decref it. */
static int describe_run(const share *s, json_t **run)
{
    char files[17];
    const int code = hash_files(s, files);

    *run = NULL;
    if (code)
        return code;
    *run = json_object();
    if (json_object_set_new(*run, "pictures", json_integer((json_int_t)s->count)) ||
        json_object_set_new(*run, "names, sizes and times of the pictures", json_string(files)) ||
        json_object_set_new(*run, "network", json_string(ldm_inception_sha256(s->in->net))) ||
        json_object_set_new(*run, "fid-mode", json_string(ldm_fid_mode_name(s->in->how->mode))) ||
        json_object_set_new(*run, "measures", json_integer(s->in->how->measures)) ||
        json_object_set_new(*run, "isa", json_string(ldm_inception_isa(s->in->net))))
        return ldm_cli_nomem(s->cmd);
    return LDM_EXIT_OK;
}

static int other_run(const share *s, const char *key, const json_t *its, const json_t *ours)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_COMPACT;
    char *a = ldm_cli_json_dump(its, flags), *b = ldm_cli_json_dump(ours, flags);

    ldm_cli_say(s->cmd,
                "%s/.ldm-run/manifest.json is of another run (%s: %.100s there, %.100s here); "
                "remove the folder %s, or give the result another name",
                s->folder, key, a ? a : "absent", b ? b : "absent", s->folder);
    free(a);
    free(b);
    return LDM_EXIT_USAGE;
}

static int compare_runs(const share *s, const char *theirs, json_t *ours)
{
    json_t *its = json_loads(theirs, 0, NULL), *value;
    const char *isa = json_string_value(json_object_get(its, "isa")), *key;
    int code = its ? LDM_EXIT_OK : ldm_cli_nomem(s->cmd);

    if (!code)
        ldm_ranks_warn_isa(s->cmd, isa, ldm_inception_isa(s->in->net));
    json_object_foreach(ours, key, value)
    {
        if (!code && strcmp(key, "isa") && !json_equal(value, json_object_get(its, key)))
            code = other_run(s, key, json_object_get(its, key), value);
    }
    json_decref(its);
    return code;
}

static int open_work(share *s, json_t *run)
{
    const ldm_ranks *r = s->in->ranks;
    char *text = ldm_cli_json_dump(run, 0), *theirs = NULL;
    char *about = ldm_ranks_about(r, s->in->threads, ldm_inception_isa(s->in->net));
    ldm_error err;
    int code = text && about ? LDM_EXIT_OK : ldm_cli_nomem(s->cmd);

    if (!code) {
        const ldm_work_options options = {.folder = s->folder,
                                          .run = text,
                                          .about = about,
                                          .pictures = (int)s->count,
                                          .block = r->block,
                                          .batch = 1,
                                          .lease = r->lease,
                                          .rank = r->rank.rank,
                                          .size = r->rank.size};
        const ldm_status st = ldm_work_open(&options, &s->work, &theirs, &err);

        code = st ? ldm_cli_fail(s->cmd, st, &err) : compare_runs(s, theirs, run);
    }
    ldm_release(theirs);
    free(about);
    free(text);
    return code;
}

static int join(share *s)
{
    json_t *run = NULL;
    int code = describe_run(s, &run);

    if (!code)
        code = ldm_output_make_folder(s->cmd, "--write-stats", s->folder);
    if (!code)
        code = open_work(s, run);
    json_decref(run);
    s->view =
        (ldm_ranks_view){.cmd = s->cmd, .work = s->work, .quiet = s->in->ranks->rank.rank > 0};
    if (!code && !s->view.quiet)
        ldm_ranks_say(s->cmd, s->in->ranks, s->in->threads, s->folder);
    return code;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* "RESULT.npz.run/features/0000064.npz": of the block that begins with this picture. free() it. */
static char *block_path(const share *s, int first)
{
    return ldm_cli_format("%s/features/%07d.npz", s->folder, first);
}

/* Through the network; contact sheets are no pictures. */
static int add_pictures(share *s, ldm_quality_set *set, int first, int count)
{
    ldm_error err;
    ldm_status st = LDM_OK;
    int i;

    for (i = first; !st && i < first + count && !ldm_signals_interrupted(); i++) {
        if (!ldm_sheet_pictures(s->paths[i], NULL))
            st = ldm_quality_set_add_file(set, s->paths[i], &err);
        ldm_work_beat(s->work);
        ldm_ranks_show(&s->view);
    }
    return st ? ldm_cli_fail(s->cmd, st, &err) : LDM_EXIT_OK;
}

static int keep_features(const share *s, ldm_quality_set *set, int first)
{
    char *folder = ldm_cli_format("%s/features", s->folder), *path = block_path(s, first);
    ldm_error err;
    int code = folder && path ? LDM_EXIT_OK : ldm_cli_nomem(s->cmd);

    if (!code && ldm_quality_set_pictures(set)) {
        ldm_status st = ldm_make_dirs(folder, &err);

        if (!st)
            st = ldm_quality_set_write_features(set, path, &err);
        code = st ? ldm_cli_fail(s->cmd, st, &err) : LDM_EXIT_OK;
    }
    free(path);
    free(folder);
    return code;
}

static int make_block(share *s, const ldm_work_item *item)
{
    const double begin = ldm_cli_now();
    ldm_quality_set *set;
    ldm_error err;
    const ldm_status st = ldm_quality_set_create(s->in->net, s->in->how, &set, &err);
    int count, code = st ? ldm_cli_fail(s->cmd, st, &err) : LDM_EXIT_OK;

    if (!code)
        code = add_pictures(s, set, item->first, item->count);
    if (!code && !ldm_signals_interrupted())
        code = keep_features(s, set, item->first);
    count = (int)ldm_quality_set_pictures(set);
    ldm_quality_set_free(set);
    if (code || ldm_signals_interrupted()) {
        ldm_work_give_back(s->work);
        return code;
    }
    s->made += count;
    return ldm_ranks_complete(s->cmd, s->work,
                              json_pack("{s:i, s:f, s:s}", "pictures", count, "seconds",
                                        ldm_cli_now() - begin, "isa",
                                        ldm_inception_isa(s->in->net)));
}

/* ---- what is made of all --------------------------------------------------------------------- */

static int warn_mixed(const share *s)
{
    char *text = NULL;
    ldm_error err;
    const ldm_status st = ldm_work_records(s->folder, &text, &err);
    json_t *records;

    if (st)
        return ldm_cli_fail(s->cmd, st, &err);
    records = json_loads(text, 0, NULL);
    ldm_release(text);
    ldm_ranks_warn_mixed(s->cmd, records, "features");
    json_decref(records);
    return LDM_EXIT_OK;
}

/* A block's features from its file; from its pictures where the file is gone. */
static int add_block(share *s, ldm_quality_set *set, int first, int count)
{
    char *path = block_path(s, first);
    ldm_error err;
    int code = path ? LDM_EXIT_OK : ldm_cli_nomem(s->cmd);

    if (!code && access(path, F_OK)) {
        code = add_pictures(s, set, first, count);
    } else if (!code) {
        const ldm_status st = ldm_quality_set_add_file(set, path, &err);

        code = st ? ldm_cli_fail(s->cmd, st, &err) : LDM_EXIT_OK;
    }
    ldm_work_beat(s->work);
    free(path);
    return code;
}

static void remove_features(const share *s)
{
    const int block = ldm_work_block(s->work);
    char *path;
    size_t i;

    for (i = 0; i < s->count; i += (size_t)block) {
        path = block_path(s, (int)i);
        if (path)
            unlink(path);
        free(path);
    }
    path = ldm_cli_format("%s/features", s->folder);
    if (path)
        rmdir(path);
    free(path);
}

static int gather(share *s, ldm_quality_set *set)
{
    const int block = ldm_work_block(s->work), all = (int)s->count;
    ldm_error err;
    ldm_status st;
    int i, code = warn_mixed(s);

    for (i = 0; !code && i < all && !ldm_signals_interrupted(); i += block)
        code = add_block(s, set, i, i + block < all ? block : all - i);
    if (code || ldm_signals_interrupted())
        return code;
    st = ldm_quality_set_finish(set, &err);
    if (st)
        return ldm_cli_fail(s->cmd, st, &err);
    ldm_work_beat(s->work);
    return s->in->write(s->in->ctx, set);
}

static int finish(share *s)
{
    ldm_quality_set *set;
    ldm_error err;
    const ldm_status st = ldm_quality_set_create(s->in->net, s->in->how, &set, &err);
    int code = st ? ldm_cli_fail(s->cmd, st, &err) : gather(s, set);

    ldm_quality_set_free(set);
    if (code || ldm_signals_interrupted()) {
        ldm_work_give_back(s->work);
        return code;
    }
    code = ldm_ranks_complete(s->cmd, s->work, json_object());
    if (!code)
        remove_features(s);
    return code;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* A finished run makes nothing again, also where its result was removed since. */
static int check_result(const share *s)
{
    if (!access(s->in->result, F_OK))
        return LDM_EXIT_OK;
    ldm_cli_say(s->cmd,
                "the run in %s is finished, but %s is not there: remove the folder to have it made "
                "again",
                s->folder, s->in->result);
    return LDM_EXIT_FAILED;
}

static int work(share *s)
{
    ldm_work_item item = {0};
    ldm_error err;
    int signal, code = LDM_EXIT_OK;

    while (!code && !ldm_signals_interrupted()) {
        const ldm_status st = ldm_work_next(s->work, &item, &err);

        ldm_ranks_show(&s->view);
        if (st)
            code = ldm_cli_fail(s->cmd, st, &err);
        else if (item.kind == LDM_WORK_BLOCK)
            code = make_block(s, &item);
        else if (item.kind == LDM_WORK_FINISH)
            code = finish(s);
        else if (item.kind == LDM_WORK_WAIT && !s->in->ranks->no_wait)
            ldm_ranks_pause(item.seconds);
        else
            break;
    }
    signal = ldm_signals_interrupted();
    if (signal) {
        ldm_cli_say(s->cmd,
                    "interrupted: features of %d picture%s were computed here; what was begun is "
                    "given back, and the other processes or the same command go on with it",
                    s->made, s->made == 1 ? "" : "s");
        return LDM_EXIT_SIGNAL + signal;
    }
    if (!code)
        ldm_ranks_say_end(&s->view, s->made, item.kind == LDM_WORK_DONE);
    return code || item.kind != LDM_WORK_DONE ? code : check_result(s);
}

int ldm_measures_share_run(const ldm_measures_share *in)
{
    share s = {.in = in, .cmd = in->cmd};
    int code;

    s.folder = ldm_cli_format("%s.run", in->result);
    code = s.folder ? list_pictures(&s) : ldm_cli_nomem(in->cmd);
    ldm_signals_catch_interrupts();
    if (!code)
        code = join(&s);
    if (!code)
        code = work(&s);
    ldm_work_close(s.work);
    ldm_paths_free(s.paths, s.count);
    free(s.folder);
    return code;
}
