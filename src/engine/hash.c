/* SPDX-License-Identifier: MIT */
/* SHA-256 of the checkpoint file, computed beside the sampling. The file is read, not mapped: a
 * mapping would count as resident memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "base/file.h"
#include "base/alloc.h"
#include "engine/engine.h"

enum { CHUNK = 1 << 20 };

static ldm_status compute(ldm_hash *h)
{
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    uint8_t *buf = ldm_malloc(CHUNK);
    off_t at = 0;
    ssize_t n;
    int i;

    if (!buf)
        return ldm_error_nomem(&h->error, CHUNK, "hashing the checkpoint");
    sha256_init(&ctx);
    while ((n = pread(h->fd, buf, CHUNK, at)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        sha256_update(&ctx, (size_t)n, buf);
        at += n;
    }
    ldm_free(buf);
    if (n < 0)
        return ldm_error_set(&h->error, LDM_ERR_IO, "cannot read %s to hash it: %s", h->path,
                             strerror(errno));
    if (ldm_hash_unchanged(h, &h->error))
        return LDM_ERR_IO;
    sha256_digest(&ctx, sizeof digest, digest);
    for (i = 0; i < SHA256_DIGEST_SIZE; i++)
        snprintf(h->hex + 2 * i, 3, "%02x", digest[i]);
    return LDM_OK;
}

static void finish(ldm_hash *h)
{
    h->status = compute(h);
    pthread_mutex_lock(&h->lock);
    h->finished = true;
    pthread_cond_broadcast(&h->done);
    pthread_mutex_unlock(&h->lock);
}

static void *hash_main(void *arg)
{
    ldm_hash *h = arg;

    /* Sampling goes first: on Linux a thread has a priority of its own. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    finish(h);
    return NULL;
}

ldm_status ldm_hash_open(ldm_hash *h, const char *path, ldm_error *err)
{
    h->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (h->fd < 0)
        return ldm_file_cannot_open(path, err);
    h->path = ldm_strdup(path);
    if (!h->path || fstat(h->fd, &h->seen)) {
        ldm_status st =
            h->path ? ldm_error_set(err, LDM_ERR_IO, "cannot read %s: %s", path, strerror(errno))
                    : ldm_error_nomem(err, strlen(path), "a path");

        ldm_free(h->path);
        close(h->fd);
        h->fd = -1;
        return st;
    }
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->done, NULL);
    return LDM_OK;
}

ldm_status ldm_hash_unchanged(const ldm_hash *h, ldm_error *err)
{
    struct stat now;

    if (fstat(h->fd, &now))
        return ldm_error_set(err, LDM_ERR_IO, "cannot read %s: %s", h->path, strerror(errno));
    if (now.st_size != h->seen.st_size || now.st_mtim.tv_sec != h->seen.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != h->seen.st_mtim.tv_nsec)
        return ldm_error_set(
            err, LDM_ERR_IO,
            "%s was changed while it was in use; load it again when nothing writes to it", h->path);
    return LDM_OK;
}

void ldm_hash_start(ldm_hash *h)
{
    bool here = false;

    pthread_mutex_lock(&h->lock);
    if (!h->started) {
        h->started = true;
        h->running = !pthread_create(&h->thread, NULL, hash_main, h);
        here = !h->running; /* no thread to be had */
    }
    pthread_mutex_unlock(&h->lock);
    if (here)
        finish(h);
}

ldm_status ldm_hash_wait(ldm_hash *h, ldm_error *err)
{
    ldm_hash_start(h);
    pthread_mutex_lock(&h->lock);
    /* Waits without joining the thread: a run that begins its first step in the meantime must get
     * the lock. */
    while (!h->finished)
        pthread_cond_wait(&h->done, &h->lock);
    pthread_mutex_unlock(&h->lock);
    if (h->status && err)
        *err = h->error;
    return h->status;
}

ldm_hash *ldm_hash_create(void)
{
    ldm_hash *h = ldm_calloc(1, sizeof *h);

    if (h)
        h->fd = -1;
    return h;
}

void ldm_hash_free(ldm_hash *h)
{
    if (h && h->fd >= 0) {
        if (h->running)
            pthread_join(h->thread, NULL);
        close(h->fd);
        pthread_cond_destroy(&h->done);
        pthread_mutex_destroy(&h->lock);
        ldm_free(h->path);
    }
    ldm_free(h);
}

ldm_status ldm_checkpoint_hash(const char *path, char hex[65], ldm_error *err)
{
    ldm_hash *h;
    ldm_status st;

    LDM_REQUIRE(hex, "hex", err);
    hex[0] = '\0';
    LDM_REQUIRE(path, "path", err);
    h = ldm_hash_create();
    st = h ? ldm_hash_open(h, path, err) : ldm_error_nomem(err, sizeof *h, "hashing a file");
    if (!st)
        st = ldm_hash_wait(h, err);
    if (!st)
        memcpy(hex, h->hex, sizeof h->hex);
    ldm_hash_free(h);
    return st;
}
