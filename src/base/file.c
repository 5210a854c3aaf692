/* SPDX-License-Identifier: MIT */
/* Mapped input and atomic output; see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static const char *kind_name(mode_t mode)
{
    return S_ISDIR(mode)    ? "a folder"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a device"
           : S_ISBLK(mode)  ? "a disk"
                            : "no file";
}

ldm_status ldm_file_cannot_open(const char *path, ldm_error *err)
{
    const int why = errno;
    char to[512];
    const ssize_t len = why == ENOENT ? readlink(path, to, sizeof to - 1) : -1;

    if (len < 0 && why == ENOENT && strstr(path, "://"))
        return ldm_error_set(err, LDM_ERR_IO,
                             "cannot open %s: files of this machine are read, and nothing is "
                             "loaded from the network; download it, and name the file",
                             path);
    if (len < 0)
        return ldm_error_set(err, LDM_ERR_IO, "cannot open %s: %s", path, strerror(why));
    to[len] = '\0';
    return ldm_error_set(err, LDM_ERR_IO, "cannot open %s: it is a link to %s, which is not there",
                         path, to);
}

static ldm_status open_regular(const char *path, int *fd, uint64_t *size, ldm_error *err)
{
    struct stat st;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer; it has no effect on regular files. */
    int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ldm_status rc;

    if (f < 0)
        return ldm_file_cannot_open(path, err);
    if (fstat(f, &st)) {
        rc = ldm_error_set(err, LDM_ERR_IO, "cannot read %s: %s", path, strerror(errno));
        close(f);
        return rc;
    }
    if (!S_ISREG(st.st_mode)) {
        close(f);
        return ldm_error_set(err, LDM_ERR_IO, "%s is %s, expected a regular file", path,
                             kind_name(st.st_mode));
    }
    *fd = f;
    *size = (uint64_t)st.st_size;
    return LDM_OK;
}

ldm_status ldm_map_open(const char *path, ldm_map *out, ldm_error *err)
{
    uint64_t size;
    ldm_status st;
    void *p;
    int fd;

    memset(out, 0, sizeof *out);
    st = open_regular(path, &fd, &size, err);
    if (st)
        return st;
    if (size == 0) {
        close(fd);
        return LDM_OK;
    }
    if (size > SIZE_MAX) {
        close(fd);
        return ldm_error_set(err, LDM_ERR_RANGE, "%s is too large to map", path);
    }
    p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        st = ldm_error_set(err, LDM_ERR_IO, "cannot map %s: %s", path, strerror(errno));
    close(fd);
    if (st)
        return st;
    out->data = p;
    out->size = size;
    return LDM_OK;
}

void ldm_map_close(ldm_map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, (size_t)m->size);
    memset(m, 0, sizeof *m);
}

static void advise(const ldm_map *m, uint64_t offset, uint64_t bytes, int advice, int inside)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t begin, end;

    if (!m->data || offset >= m->size || bytes > m->size - offset)
        return;
    begin = inside ? (offset + page - 1) / page * page : offset / page * page;
    end = inside ? (offset + bytes) / page * page : offset + bytes;
    if (begin < end)
        (void)madvise((void *)(uintptr_t)(m->data + begin), (size_t)(end - begin), advice);
}

void ldm_map_will_need(const ldm_map *m, uint64_t offset, uint64_t bytes)
{
    advise(m, offset, bytes, MADV_WILLNEED, 0);
}

void ldm_map_release(const ldm_map *m, uint64_t offset, uint64_t bytes)
{
    advise(m, offset, bytes, MADV_DONTNEED, 1);
}

ldm_status ldm_file_read(const char *path, size_t limit, char **data, size_t *size, ldm_error *err)
{
    uint64_t file_size;
    ldm_status st;
    size_t have = 0;
    char *buf;
    int fd;

    st = open_regular(path, &fd, &file_size, err);
    if (st)
        return st;
    if (file_size > limit) {
        close(fd);
        return ldm_error_set(err, LDM_ERR_LIMIT, "%s has %llu bytes, at most %zu are expected",
                             path, (unsigned long long)file_size, limit);
    }
    buf = ldm_malloc((size_t)file_size + 1);
    if (!buf) {
        close(fd);
        return ldm_error_nomem(err, file_size, path);
    }
    while (have < file_size) {
        ssize_t n = read(fd, buf + have, (size_t)file_size - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            st = ldm_error_set(err, LDM_ERR_IO, "cannot read %s: %s", path, strerror(errno));
            break;
        }
        if (n == 0)
            break; /* the file shrank since its size was read: take what is left */
        have += (size_t)n;
    }
    close(fd);
    if (st) {
        ldm_free(buf);
        return st;
    }
    buf[have] = '\0';
    *data = buf;
    *size = have;
    return LDM_OK;
}

/* All that comes; the file is f, which stays open. */
static ldm_status read_stream(FILE *f, const char *name, size_t limit, char **data, size_t *size,
                              ldm_error *err)
{
    size_t have = 0, room = 1 << 16;
    char *buf = NULL, *more;
    bool done = false;

    while (!done) {
        more = ldm_reallocarray(buf, room + 1, 1);
        if (!more) {
            ldm_free(buf);
            return ldm_error_nomem(err, room, name);
        }
        buf = more;
        have += fread(buf + have, 1, room - have, f);
        done = have < room;
        if (have > limit) {
            ldm_free(buf);
            return ldm_error_set(err, LDM_ERR_LIMIT, "%s gives more than %zu bytes", name, limit);
        }
        room *= 2;
    }
    if (ferror(f)) {
        ldm_free(buf);
        return ldm_error_set(err, LDM_ERR_IO, "cannot read %s: %s", name, strerror(errno));
    }
    buf[have] = '\0';
    *data = buf;
    *size = have;
    return LDM_OK;
}

ldm_status ldm_text_read(const char *path, size_t limit, char **data, size_t *size, ldm_error *err)
{
    struct stat there;
    ldm_status st;
    FILE *f;

    if (!strcmp(path, "-"))
        return read_stream(stdin, "stdin", limit, data, size, err);
    if (stat(path, &there) || !(S_ISFIFO(there.st_mode) || S_ISCHR(there.st_mode)))
        return ldm_file_read(path, limit, data, size, err);
    f = fopen(path, "re");
    if (!f)
        return ldm_file_cannot_open(path, err);
    st = read_stream(f, path, limit, data, size, err);
    fclose(f);
    return st;
}

ldm_status ldm_outfile_open(const char *path, ldm_outfile *out, ldm_error *err)
{
    static const char suffix[] = ".part-XXXXXX";
    size_t len = strlen(path);
    struct stat there;
    mode_t mask;
    int fd;

    memset(out, 0, sizeof *out);
    if (ldm_is_dir(path))
        return ldm_error_set(err, LDM_ERR_IO, "cannot write %s: it is a folder", path);
    /* Refuse /dev/null and the like: rename() would replace the device by a plain file, for every
     * program on the system. */
    if (!lstat(path, &there) && !S_ISREG(there.st_mode))
        return ldm_error_set(err, LDM_ERR_IO,
                             "cannot write %s: a device, pipe or link has that name; give another",
                             path);
    out->path = ldm_strdup(path);
    out->tmp_path = ldm_malloc(len + sizeof suffix);
    if (!out->path || !out->tmp_path) {
        ldm_outfile_abort(out);
        return ldm_error_nomem(err, len, "a file name");
    }
    memcpy(out->tmp_path, path, len);
    memcpy(out->tmp_path + len, suffix, sizeof suffix);
    fd = mkstemp(out->tmp_path);
    if (fd < 0) {
        ldm_status st =
            ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", path, strerror(errno));

        ldm_free(out->tmp_path);
        out->tmp_path = NULL;
        ldm_outfile_abort(out);
        return st;
    }
    /* mkstemp creates the file readable by its owner alone; give it the mode that open() would have
     * given. */
    mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
    out->stream = fdopen(fd, "wb");
    if (!out->stream) {
        close(fd);
        ldm_outfile_abort(out);
        return ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return LDM_OK;
}

ldm_status ldm_outfile_commit(ldm_outfile *out, ldm_error *err)
{
    ldm_status st = LDM_OK;
    int bad = ferror(out->stream) ? EIO : 0; /* if the system gives no better reason */

    errno = 0;
    if (fflush(out->stream))
        bad = errno ? errno : EIO;
    /* Write the data to the disk before the rename. After a power cut the name then either is
     * absent or belongs to the whole file. EINVAL: the file system has no fsync. */
    if (!bad && fsync(fileno(out->stream)) && errno != EINVAL)
        bad = errno;
    if (fclose(out->stream) && !bad)
        bad = errno ? errno : EIO;
    out->stream = NULL;
    if (bad)
        st = ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", out->path, strerror(bad));
    else if (rename(out->tmp_path, out->path))
        st =
            ldm_error_set(err, LDM_ERR_IO, "cannot rename onto %s: %s", out->path, strerror(errno));
    if (!st) {
        ldm_free(out->tmp_path);
        out->tmp_path = NULL;
    }
    ldm_outfile_abort(out);
    return st;
}

void ldm_outfile_abort(ldm_outfile *out)
{
    if (!out)
        return;
    if (out->stream)
        fclose(out->stream);
    if (out->tmp_path)
        unlink(out->tmp_path);
    ldm_free(out->tmp_path);
    ldm_free(out->path);
    memset(out, 0, sizeof *out);
}

ldm_status ldm_file_write(const char *path, const void *data, size_t size, ldm_error *err)
{
    ldm_outfile out;
    ldm_status st = ldm_outfile_open(path, &out, err);

    if (st)
        return st;
    if (size && fwrite(data, 1, size, out.stream) != size) {
        st = ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", path, strerror(errno));
        ldm_outfile_abort(&out);
        return st;
    }
    return ldm_outfile_commit(&out, err);
}

const char *ldm_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

int ldm_is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

ldm_status ldm_make_dirs(const char *path, ldm_error *err)
{
    char *copy = ldm_strdup(path);
    ldm_status st = LDM_OK;
    char *p;

    if (!copy)
        return ldm_error_nomem(err, strlen(path), "a path");
    for (p = copy + 1; !st; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) && (errno != EEXIST || !ldm_is_dir(copy)))
            st = ldm_error_set(err, LDM_ERR_IO, "cannot make the folder %s: %s", copy,
                               strerror(errno));
        *p = c;
        if (c == '\0')
            break;
    }
    ldm_free(copy);
    return st;
}
