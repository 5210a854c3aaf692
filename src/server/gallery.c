/* SPDX-License-Identifier: MIT */
/* Jobs and pictures on disk; see gallery.h. */
#include "server/gallery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ldm/ldm.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/random.h"
#include "base/str.h"

enum { MAX_JOB_JSON = 4 << 20 };

struct ldm_gallery {
    char *dir;
    int lock;
};

/* dir/a/b; b NULL: dir/a. */
static char *path_of(const ldm_gallery *g, const char *a, const char *b)
{
    ldm_str s = {0};

    ldm_str_printf(&s, "%s/%s%s%s", g->dir, a, b ? "/" : "", b ? b : "");
    if (!s.failed)
        return s.data;
    ldm_str_free(&s);
    return NULL;
}

ldm_status ldm_gallery_open(const char *dir, ldm_gallery **out, ldm_error *err)
{
    ldm_gallery *g;
    ldm_status st = ldm_make_dirs(dir, err);

    *out = NULL;
    if (st)
        return st;
    g = ldm_calloc(1, sizeof *g);
    if (g)
        g->dir = ldm_strdup(dir);
    if (!g || !g->dir) {
        ldm_free(g);
        return ldm_error_nomem(err, sizeof *g, "the gallery");
    }
    g->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (g->lock < 0 || flock(g->lock, LOCK_EX | LOCK_NB)) {
        st = errno == EWOULDBLOCK
                 ? ldm_error_set(err, LDM_ERR_USAGE,
                                 "%s: another server keeps its pictures there; give this one a "
                                 "folder of its own (--out DIR)",
                                 dir)
                 : ldm_error_set(err, LDM_ERR_IO, "%s: %s", dir, strerror(errno));
        ldm_gallery_close(g);
        return st;
    }
    *out = g;
    return LDM_OK;
}

void ldm_gallery_close(ldm_gallery *g)
{
    if (!g)
        return;
    if (g->lock >= 0)
        close(g->lock);
    ldm_free(g->dir);
    ldm_free(g);
}

ldm_status ldm_gallery_new(const ldm_gallery *g, char *id, ldm_error *err)
{
    char *path;
    int failed;

    if (!ldm_random_hex(id, LDM_ID_LENGTH / 2))
        return ldm_error_set(err, LDM_ERR_IO, "/dev/urandom cannot be read");
    path = path_of(g, id, NULL);
    if (!path)
        return ldm_error_nomem(err, LDM_ID_LENGTH, "a path");
    failed = mkdir(path, 0777);
    ldm_free(path);
    return failed ? ldm_error_set(err, LDM_ERR_IO, "the folder of pictures: %s", strerror(errno))
                  : LDM_OK;
}

bool ldm_gallery_is_id(const char *text)
{
    return strlen(text) == LDM_ID_LENGTH && strspn(text, "0123456789abcdef") == LDM_ID_LENGTH;
}

ldm_status ldm_gallery_save(const ldm_gallery *g, const char *id, const json_t *job, ldm_error *err)
{
    char *path = path_of(g, id, "job.json");
    ldm_str text = {0};
    ldm_status st = LDM_ERR_NOMEM;

    if (path && ldm_json_append(job, JSON_INDENT(1), &text))
        st = ldm_file_write(path, text.data, text.len, err);
    else
        ldm_error_nomem(err, MAX_JOB_JSON, "a job's file");
    ldm_str_free(&text);
    ldm_free(path);
    return st;
}

static void remove_file(const ldm_gallery *g, const char *id, const char *name)
{
    char *path = path_of(g, id, name);

    if (path)
        unlink(path);
    ldm_free(path);
}

/* What a server that was killed had begun to write (ldm_file_write), in a folder of the gallery's.
 * id NULL: in the outermost one. */
static void sweep(const ldm_gallery *g, const char *id)
{
    char *path = path_of(g, id ? id : ".", NULL);
    DIR *d = path ? opendir(path) : NULL;
    const struct dirent *e;

    while (d && (e = readdir(d))) {
        if (strstr(e->d_name, ".part-"))
            remove_file(g, id ? id : ".", e->d_name);
    }
    if (d)
        closedir(d);
    ldm_free(path);
}

static void read_job(const ldm_gallery *g, const char *id,
                     void (*fn)(void *ctx, const char *id, const json_t *job), void *ctx)
{
    char *path = path_of(g, id, "job.json"), *text = NULL;
    json_t *job = NULL;
    size_t size;

    sweep(g, id);
    if (path && access(path, F_OK))
        ldm_gallery_remove(g, id, 0); /* killed before it was a job */
    else if (path && !ldm_file_read(path, MAX_JOB_JSON, &text, &size, NULL))
        job = json_loadb(text, size, 0, NULL);
    if (json_is_object(job))
        fn(ctx, id, job);
    json_decref(job);
    ldm_free(text);
    ldm_free(path);
}

ldm_status ldm_gallery_each(const ldm_gallery *g,
                            void (*fn)(void *ctx, const char *id, const json_t *job), void *ctx,
                            ldm_error *err)
{
    DIR *d = opendir(g->dir);
    const struct dirent *e;

    if (!d)
        return ldm_error_set(err, LDM_ERR_IO, "%s: %s", g->dir, strerror(errno));
    sweep(g, NULL);
    while ((e = readdir(d))) {
        if (ldm_gallery_is_id(e->d_name))
            read_job(g, e->d_name, fn, ctx);
    }
    closedir(d);
    return LDM_OK;
}

ldm_status ldm_gallery_put(const ldm_gallery *g, const char *id, const char *name, const void *data,
                           size_t size, ldm_error *err)
{
    char *path = path_of(g, id, name);
    ldm_status st =
        path ? ldm_file_write(path, data, size, err) : ldm_error_nomem(err, 0, "a path");

    ldm_free(path);
    return st;
}

char *ldm_gallery_start(const ldm_gallery *g, const char *id, const char *name)
{
    char *path = path_of(g, id, name);

    if (!path || !access(path, R_OK))
        return path;
    ldm_free(path);
    return NULL;
}

void ldm_gallery_remove(const ldm_gallery *g, const char *id, int count)
{
    char *path;

    for (int i = 0; i < count; i++) {
        path = ldm_gallery_picture(g, id, i);
        if (path)
            unlink(path);
        ldm_free(path);
    }
    remove_file(g, id, "init");
    remove_file(g, id, "mask");
    remove_file(g, id, "job.json");
    path = path_of(g, id, NULL);
    if (path)
        rmdir(path);
    ldm_free(path);
}

char *ldm_gallery_picture(const ldm_gallery *g, const char *id, int index)
{
    char name[24];

    snprintf(name, sizeof name, "%05d.png", index);
    return path_of(g, id, name);
}

char *ldm_gallery_scratch(const ldm_gallery *g, const char *name)
{
    return path_of(g, name, NULL);
}

uint64_t ldm_gallery_seed_of(const json_t *v)
{
    return json_is_string(v) ? strtoull(json_string_value(v), NULL, 10)
                             : (uint64_t)json_integer_value(v);
}

bool ldm_gallery_seed(const ldm_gallery *g, const char *id, int index, uint64_t *seed)
{
    char *path = ldm_gallery_picture(g, id, index), *text = NULL;
    json_t *recipe = NULL;
    bool there;

    if (path && !ldm_image_read_recipe(path, &text, NULL))
        recipe = json_loads(text, 0, NULL);
    there = json_object_get(recipe, "seed") != NULL;
    *seed = ldm_gallery_seed_of(json_object_get(recipe, "seed"));
    json_decref(recipe);
    ldm_release(text);
    ldm_free(path);
    return there;
}
