/* SPDX-License-Identifier: MIT */
/* What a run's folder says about it: who does what, how fast, what is left. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ldm/cluster.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json_text.h"
#include "cluster/run_folder.h"

/* ---- records --------------------------------------------------------------------------------- */

/* The record of a block; NULL where it cannot be read: it is counted, and says nothing. */
static json_t *read_record(const ldm_run_folder *f, int block)
{
    char name[32], *path = ldm_run_path(f->path, "done", ldm_run_block_name(f, block, name));
    json_t *record = NULL;

    if (path && ldm_run_read_json(path, &record, NULL))
        record = NULL;
    ldm_free(path);
    return record;
}

/* Those of all blocks that are done, without the finish's. NULL when out of memory. */
static json_t *read_records(const ldm_run_folder *f, const ldm_run_marks *m)
{
    json_t *list = json_array();

    for (int i = 0; list && i < f->blocks; i++) {
        json_t *record = m->done[i] ? read_record(f, i) : NULL;

        if (record && json_array_append_new(list, record)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static ldm_status hand_out(json_t *root, char **json, ldm_error *err)
{
    ldm_str text = {0};
    ldm_status st = LDM_OK;

    if (!ldm_json_append(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17), &text)) {
        ldm_str_free(&text);
        st = ldm_error_nomem(err, 0, "a report");
    }
    *json = text.data;
    json_decref(root);
    return st;
}

static ldm_status open_marks(const char *folder, ldm_run_folder *f, ldm_run_marks *m,
                             ldm_error *err)
{
    ldm_status st = ldm_run_folder_open(folder, f, err);

    if (!st)
        st = ldm_run_marks_create(f, m, err);
    return st ? st : ldm_run_marks_read(f, m, err);
}

/* In a folder without a run the lack of a manifest would be all that is said. */
static ldm_status expect_run(const char *folder, ldm_error *err)
{
    if (ldm_work_is_there(folder))
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_IO,
                         "%s holds no run of several processes (no .ldm-run/manifest.json)",
                         folder);
}

ldm_status ldm_work_get_run(const char *folder, char **run, ldm_error *err)
{
    ldm_run_folder f = {0};
    ldm_status st;

    LDM_REQUIRE(run, "run", err);
    *run = NULL;
    LDM_REQUIRE(folder, "folder", err);
    st = expect_run(folder, err);
    if (!st)
        st = ldm_run_folder_open(folder, &f, err);
    if (!st)
        st = hand_out(json_incref(f.run), run, err);
    ldm_run_folder_close(&f);
    return st;
}

ldm_status ldm_work_records(const char *folder, char **json, ldm_error *err)
{
    ldm_run_folder f = {0};
    ldm_run_marks m = {0};
    ldm_status st;

    LDM_REQUIRE(json, "json", err);
    *json = NULL;
    LDM_REQUIRE(folder, "folder", err);
    st = open_marks(folder, &f, &m, err);
    if (!st)
        st = hand_out(read_records(&f, &m), json, err);
    ldm_run_marks_free(&m);
    ldm_run_folder_close(&f);
    return st;
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Now, by the file server's clock. */
static ldm_status server_time(const ldm_run_folder *f, double *now, ldm_error *err)
{
    char name[48], *path;
    ldm_status st;

    snprintf(name, sizeof name, "clock-%ld.part-XXXXXX", (long)getpid());
    path = ldm_run_path(f->path, "workers", name);
    st = path ? ldm_file_write(path, "", 0, err) : ldm_error_nomem(err, 0, "a file name");
    if (!st) {
        st = ldm_run_touch(path, now, err);
        unlink(path);
    }
    ldm_free(path);
    return st;
}

/* Calls fn for every worker's file. */
static ldm_status each_worker(const ldm_run_folder *f,
                              void (*fn)(void *ctx, const ldm_run_sign *sign), void *ctx,
                              ldm_error *err)
{
    char *path = ldm_run_path(f->path, "workers", "");
    DIR *dir = path ? opendir(path) : NULL;
    const struct dirent *e;
    ldm_status st = LDM_OK;

    if (!dir)
        st = ldm_error_set(err, LDM_ERR_IO, "cannot read folder '%s': %s", path ? path : f->path,
                           strerror(errno));
    while (!st && dir && (e = readdir(dir))) {
        char *file = e->d_name[0] == '.' || strstr(e->d_name, ".part-")
                         ? NULL
                         : ldm_run_path(path, e->d_name, "");
        ldm_run_sign sign;

        if (!file)
            continue;
        st = ldm_run_sign_read(file, &sign, err);
        if (!st && sign.there)
            fn(ctx, &sign);
        ldm_run_sign_free(&sign);
        ldm_free(file);
    }
    if (dir)
        closedir(dir);
    ldm_free(path);
    return st;
}

typedef struct counting {
    double now, lease;
    int living;
} counting;

static void count_living(void *ctx, const ldm_run_sign *sign)
{
    counting *c = ctx;

    c->living += ldm_run_sign_lives(sign, c->now, c->lease);
}

ldm_status ldm_run_count(const ldm_run_folder *f, ldm_run_marks *m, double now, ldm_work_count *out,
                         ldm_error *err)
{
    counting c = {now, f->lease, 0};
    ldm_status st = ldm_run_marks_read(f, m, err);

    *out = (ldm_work_count){.pictures = f->pictures, .blocks = f->blocks};
    if (!st)
        st = each_worker(f, count_living, &c, err);
    for (int i = 0; i < f->blocks; i++)
        out->pictures_done += m->done[i] ? ldm_run_block_count(f, i) : 0;
    out->blocks_done = m->blocks_done;
    out->workers = c.living;
    return st;
}

/* ---- the report ------------------------------------------------------------------------------ */

typedef struct report {
    const ldm_run_folder *f;
    double now;
    json_t *records, *workers, *claims;
    double per_second; /* of those that live */
} report;

/* What a worker did, by its records. */
static void add_up(const json_t *records, const char *worker, int *pictures, double *seconds)
{
    json_t *r;
    size_t i;

    *pictures = 0;
    *seconds = 0;
    json_array_foreach(records, i, r)
    {
        const char *by = json_string_value(json_object_get(r, "worker"));

        if (by && worker && !strcmp(by, worker)) {
            *pictures += (int)json_integer_value(json_object_get(r, "pictures"));
            *seconds += json_number_value(json_object_get(r, "seconds"));
        }
    }
}

static void add_worker(void *ctx, const ldm_run_sign *sign)
{
    report *r = ctx;
    const bool lives = ldm_run_sign_lives(sign, r->now, r->f->lease);
    json_t *w = sign->about ? json_deep_copy(sign->about) : json_object();
    double seconds;
    int pictures;

    add_up(r->records, json_string_value(json_object_get(w, "worker")), &pictures, &seconds);
    json_object_set_new(w, "lives", json_boolean(lives));
    json_object_set_new(w, "left", json_boolean(sign->touched < 1));
    json_object_set_new(w, "silent_seconds", ldm_json_real(r->now - sign->touched));
    json_object_set_new(w, "pictures", json_integer(pictures));
    json_object_set_new(w, "seconds", ldm_json_real(seconds));
    if (lives && seconds > 0)
        r->per_second += pictures / seconds;
    json_array_append_new(r->workers, w);
}

static ldm_status add_claim(report *r, int block, int attempt, ldm_error *err)
{
    char name[32], whole[48], *path;
    ldm_run_sign sign;
    json_t *c;
    ldm_status st;

    snprintf(whole, sizeof whole, "%s.%d", ldm_run_block_name(r->f, block, name), attempt);
    path = ldm_run_path(r->f->path, "claims", whole);
    st = path ? ldm_run_sign_read(path, &sign, err) : ldm_error_nomem(err, 0, "a file name");
    ldm_free(path);
    if (st || !sign.there)
        return st;
    c = json_pack("{s:s, s:i, s:i, s:i, s:b, s:f}", "block", name, "first", block * r->f->block,
                  "count", ldm_run_block_count(r->f, block), "attempt", attempt, "lives",
                  ldm_run_sign_lives(&sign, r->now, r->f->lease), "silent_seconds",
                  r->now - sign.touched);
    if (sign.about)
        json_object_set(c, "worker", json_object_get(sign.about, "worker"));
    json_array_append_new(r->claims, c);
    ldm_run_sign_free(&sign);
    return LDM_OK;
}

static ldm_status write_report(const ldm_run_folder *f, ldm_run_marks *m, char **json,
                               ldm_error *err)
{
    report r = {.f = f, .workers = json_array(), .claims = json_array()};
    ldm_work_count count;
    json_t *root;
    int left;
    ldm_status st = server_time(f, &r.now, err);

    if (!st)
        st = ldm_run_count(f, m, r.now, &count, err);
    r.records = st ? NULL : read_records(f, m);
    if (!st)
        st = each_worker(f, add_worker, &r, err);
    for (int i = 0; !st && i <= f->blocks; i++) {
        if (!m->done[i] && m->attempts[i])
            st = add_claim(&r, i, m->attempts[i] - 1, err);
    }
    if (st) {
        json_decref(r.records);
        json_decref(r.workers);
        json_decref(r.claims);
        return st;
    }
    left = count.pictures - count.pictures_done;
    root = json_pack("{s:O, s:i, s:i, s:f, s:i, s:b, s:f, s:o, s:o, s:o}", "run", f->run,
                     "pictures", f->pictures, "block", f->block, "lease", f->lease, "pictures_done",
                     count.pictures_done, "finished", (int)m->done[f->blocks], "per_second",
                     r.per_second, "seconds_left",
                     r.per_second > 0 ? json_real(left / r.per_second) : json_null(), "workers",
                     r.workers, "claims", r.claims);
    json_decref(r.records);
    return hand_out(root, json, err);
}

ldm_status ldm_work_status(const char *folder, char **json, ldm_error *err)
{
    ldm_run_folder f = {0};
    ldm_run_marks m = {0};
    ldm_status st;

    LDM_REQUIRE(json, "json", err);
    *json = NULL;
    LDM_REQUIRE(folder, "folder", err);
    st = expect_run(folder, err);
    if (st)
        return st;
    st = open_marks(folder, &f, &m, err);
    if (!st)
        st = write_report(&f, &m, json, err);
    ldm_run_marks_free(&m);
    ldm_run_folder_close(&f);
    return st;
}
