/* SPDX-License-Identifier: MIT */
/* See run_folder.h. */
#include "cluster/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ldm/cluster.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json_text.h"

enum { MOST_JSON = 64 << 20, MOST_PICTURES = 1000000000, FORM = 1 };

char *ldm_run_path(const char *folder, const char *sub, const char *name)
{
    ldm_str s = {0};

    ldm_str_printf(&s, "%s%s%s%s%s", folder, *sub ? "/" : "", sub, *name ? "/" : "", name);
    if (!s.failed)
        return s.data;
    ldm_str_free(&s);
    return NULL;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

ldm_status ldm_run_read_json(const char *path, json_t **out, ldm_error *err)
{
    json_error_t why;
    char *text = NULL;
    size_t size;
    ldm_status st = ldm_file_read(path, MOST_JSON, &text, &size, err);

    *out = NULL;
    if (st)
        return st;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    ldm_free(text);
    if (json_is_object(*out))
        return LDM_OK;
    st = ldm_error_set(err, LDM_ERR_FORMAT,
                       "%s is damaged: %s; remove the folder that it is in, "
                       "and start again: pictures that are there are kept",
                       path, *out ? "it is no JSON object" : why.text);
    json_decref(*out);
    *out = NULL;
    return st;
}

ldm_status ldm_run_write_json(const char *path, const json_t *root, ldm_error *err)
{
    ldm_str text = {0};
    ldm_status st = LDM_OK;

    if (!ldm_json_append(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17), &text))
        st = ldm_error_nomem(err, 0, path);
    if (!st) {
        ldm_str_puts(&text, "\n");
        st = text.failed ? ldm_error_nomem(err, text.len, path)
                         : ldm_file_write(path, text.data, text.len, err);
    }
    ldm_str_free(&text);
    return st;
}

/* ---- the manifest ---------------------------------------------------------------------------- */

static bool read_int(const json_t *root, const char *key, int most, int *out)
{
    const json_t *v = json_object_get(root, key);

    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > most)
        return false;
    *out = (int)json_integer_value(v);
    return true;
}

static ldm_status read_manifest(const char *path, ldm_run_folder *f, ldm_error *err)
{
    json_t *root, *run;
    const json_t *lease;
    int form = 0;
    ldm_status st = ldm_run_read_json(path, &root, err);

    if (st)
        return st;
    lease = json_object_get(root, "lease");
    run = json_object_get(root, "run");
    if (read_int(root, "ldm_run", 1 << 20, &form) && form != FORM)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                           "%s has form %d, this program knows form %d: it is another version's",
                           path, form, FORM);
    else if (!form || !read_int(root, "pictures", MOST_PICTURES, &f->pictures) ||
             !read_int(root, "block", MOST_PICTURES, &f->block) || !json_is_number(lease) ||
             !(json_number_value(lease) > 0) || !json_is_object(run))
        st = ldm_error_set(err, LDM_ERR_FORMAT,
                           "%s is no manifest of a run; remove the folder that it is in, and start "
                           "again: pictures that are there are kept",
                           path);
    if (!st) {
        f->lease = json_number_value(lease);
        f->blocks = (int)(((int64_t)f->pictures + f->block - 1) / f->block);
        f->run = json_incref(run);
        if (f->blocks > LDM_RUN_MOST_BLOCKS)
            st = ldm_error_set(err, LDM_ERR_LIMIT, "%s: %d blocks, expected at most %d", path,
                               f->blocks, LDM_RUN_MOST_BLOCKS);
    }
    json_decref(root);
    return st;
}

ldm_status ldm_run_folder_open(const char *dir, ldm_run_folder *out, ldm_error *err)
{
    char *manifest;
    ldm_status st;

    *out = (ldm_run_folder){0};
    out->path = ldm_run_path(dir, ".ldm-run", "");
    manifest = ldm_run_path(dir, ".ldm-run", "manifest.json");
    st = out->path && manifest ? read_manifest(manifest, out, err)
                               : ldm_error_nomem(err, 0, "a file name");
    ldm_free(manifest);
    if (st)
        ldm_run_folder_close(out);
    return st;
}

void ldm_run_folder_close(ldm_run_folder *f)
{
    ldm_free(f->path);
    json_decref(f->run);
    *f = (ldm_run_folder){0};
}

bool ldm_work_is_there(const char *folder)
{
    char *manifest = folder ? ldm_run_path(folder, ".ldm-run", "manifest.json") : NULL;
    const bool there = manifest && !access(manifest, F_OK);

    ldm_free(manifest);
    return there;
}

/* ---- marks ----------------------------------------------------------------------------------- */

const char *ldm_run_block_name(const ldm_run_folder *f, int block, char *buf)
{
    if (block == f->blocks)
        strcpy(buf, "final");
    else
        snprintf(buf, 32, "%06d", block);
    return buf;
}

int ldm_run_block_count(const ldm_run_folder *f, int block)
{
    const int left = f->pictures - block * f->block;

    return block >= f->blocks ? 0 : left < f->block ? left : f->block;
}

/* The block of "000012" or "final", followed by what *rest points to; -1: it is no such name. */
static int block_of(const ldm_run_folder *f, const char *name, const char **rest)
{
    const size_t digits = strspn(name, "0123456789");
    long v;

    if (!strncmp(name, "final", 5)) {
        *rest = name + 5;
        return f->blocks;
    }
    if (digits < 6 || digits > 9)
        return -1;
    v = strtol(name, NULL, 10);
    *rest = name + digits;
    return v < f->blocks ? (int)v : -1;
}

ldm_status ldm_run_marks_create(const ldm_run_folder *f, ldm_run_marks *out, ldm_error *err)
{
    const size_t n = (size_t)f->blocks + 1;

    *out =
        (ldm_run_marks){ldm_calloc(n, sizeof *out->done), ldm_calloc(n, sizeof *out->attempts), 0};
    if (out->done && out->attempts)
        return LDM_OK;
    ldm_run_marks_free(out);
    return ldm_error_nomem(err, n * sizeof *out->attempts, "the blocks of the run");
}

void ldm_run_marks_free(ldm_run_marks *m)
{
    ldm_free(m->done);
    ldm_free(m->attempts);
    *m = (ldm_run_marks){0};
}

void ldm_run_marks_done(const ldm_run_folder *f, ldm_run_marks *m, int block)
{
    m->blocks_done += !m->done[block] && block < f->blocks;
    m->done[block] = true;
}

static void mark(const ldm_run_folder *f, ldm_run_marks *m, const char *name, bool claims)
{
    const char *rest;
    const int block = block_of(f, name, &rest);

    if (block < 0)
        return;
    if (!claims && !*rest) {
        ldm_run_marks_done(f, m, block);
    } else if (claims && *rest == '.' && strspn(rest + 1, "0123456789") == strlen(rest + 1)) {
        const long attempt = strtol(rest + 1, NULL, 10);

        if (attempt >= 0 && attempt < 1000000 && m->attempts[block] <= attempt)
            m->attempts[block] = (int)attempt + 1;
    }
}

static ldm_status read_names(const ldm_run_folder *f, ldm_run_marks *m, bool claims, ldm_error *err)
{
    char *path = ldm_run_path(f->path, claims ? "claims" : "done", "");
    const struct dirent *e;
    ldm_status st = LDM_OK;
    DIR *dir;

    if (!path)
        return ldm_error_nomem(err, 0, "a file name");
    dir = opendir(path);
    if (!dir)
        st = ldm_error_set(err, LDM_ERR_IO, "cannot read folder '%s': %s", path, strerror(errno));
    while (dir && (e = readdir(dir)))
        mark(f, m, e->d_name, claims);
    if (dir)
        closedir(dir);
    ldm_free(path);
    return st;
}

/* What is done stays done; claims may be given back. */
ldm_status ldm_run_marks_read(const ldm_run_folder *f, ldm_run_marks *m, ldm_error *err)
{
    ldm_status st;

    memset(m->attempts, 0, ((size_t)f->blocks + 1) * sizeof *m->attempts);
    st = read_names(f, m, true, err);
    return st ? st : read_names(f, m, false, err);
}

/* ---- signs of life --------------------------------------------------------------------------- */

static double seconds_of(const struct stat *st)
{
    return (double)st->st_mtim.tv_sec + 1e-9 * (double)st->st_mtim.tv_nsec;
}

/* utimensat without times asks the server to take its own clock (NFS: SET_TO_SERVER_TIME). */
ldm_status ldm_run_touch(const char *path, double *now, ldm_error *err)
{
    struct stat st;

    if (utimensat(AT_FDCWD, path, NULL, 0) || stat(path, &st))
        return ldm_error_set(err, LDM_ERR_IO, "cannot touch %s: %s", path, strerror(errno));
    *now = seconds_of(&st);
    return LDM_OK;
}

/* Opening asks the server anew where a client keeps attributes (NFS: close-to-open). */
ldm_status ldm_run_sign_read(const char *path, ldm_run_sign *out, ldm_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[4096];
    struct stat st;
    ssize_t n = 0;

    *out = (ldm_run_sign){0};
    if (fd < 0 || fstat(fd, &st)) {
        const int why = errno;

        if (fd >= 0)
            close(fd);
        if (why == ENOENT || why == ESTALE)
            return LDM_OK;
        return ldm_error_set(err, LDM_ERR_IO, "cannot read %s: %s", path, strerror(why));
    }
    n = read(fd, text, sizeof text);
    close(fd);
    out->there = true;
    out->touched = seconds_of(&st);
    out->file = (uint64_t)st.st_ino;
    out->about = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
    if (!json_is_object(out->about)) {
        json_decref(out->about);
        out->about = NULL;
    }
    return LDM_OK;
}

void ldm_run_sign_free(ldm_run_sign *s)
{
    json_decref(s->about);
    *s = (ldm_run_sign){0};
}

static void read_line(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "r");

    if (!f || !fgets(buf, (int)size, f))
        buf[0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    if (f)
        fclose(f);
}

void ldm_run_machine(char *buf, size_t size)
{
    char boot[64], pids[64];
    const ssize_t n = readlink("/proc/self/ns/pid", pids, sizeof pids - 1);

    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    pids[n > 0 ? n : 0] = '\0';
    snprintf(buf, size, "%s/%s", boot, pids);
}

/* Whether it is a process of this machine's that has ended: nobody need wait for its lease then. */
static bool is_gone(const json_t *about)
{
    const char *machine = json_string_value(json_object_get(about, "machine"));
    const json_int_t pid = json_integer_value(json_object_get(about, "pid"));
    char here[160];

    ldm_run_machine(here, sizeof here);
    return machine && strlen(here) > 40 && !strcmp(machine, here) && pid > 0 && pid < 1 << 30 &&
           kill((pid_t)pid, 0) && errno == ESRCH;
}

bool ldm_run_sign_lives(const ldm_run_sign *s, double now, double lease)
{
    return s->there && now - s->touched <= lease && !is_gone(s->about);
}
