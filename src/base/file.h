/* SPDX-License-Identifier: MIT */
/* Files: read-only mappings for input, write-then-rename for output. */
#ifndef LDM_BASE_FILE_H
#define LDM_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* "cannot open PATH: WHY", of errno; of a link that leads nowhere, where it points to. */
ldm_status ldm_file_cannot_open(const char *path, ldm_error *err);

/* A whole file, mapped read-only. */
typedef struct ldm_map {
    const unsigned char *data; /* NULL for an empty file */
    uint64_t size;
} ldm_map;

/* Maps a regular file. A folder, a pipe, a device or a missing file is an error that names it. */
ldm_status ldm_map_open(const char *path, ldm_map *out, ldm_error *err);
void ldm_map_close(ldm_map *m); /* a zeroed struct is fine */

/* Hints to the system: the range [offset, offset + bytes) will be read soon, or is no longer needed
 * in this process' memory (it stays in the page cache). They apply to the whole pages inside the
 * range and cannot fail. */
void ldm_map_will_need(const ldm_map *m, uint64_t offset, uint64_t bytes);
void ldm_map_release(const ldm_map *m, uint64_t offset, uint64_t bytes);

/* Reads a whole file of at most `limit` bytes into fresh memory (ldm_free it), NUL-terminated after
 * *size bytes. "-" is not special. */
ldm_status ldm_file_read(const char *path, size_t limit, char **data, size_t *size, ldm_error *err);

/* The same of a text, which may come from a pipe, a terminal or a device as well, and from stdin as
 * "-": read to its end, and waited for. */
ldm_status ldm_text_read(const char *path, size_t limit, char **data, size_t *size, ldm_error *err);

/* An output file under a temporary name in the same folder. Commit writes it to the disk and
 * renames it to `path`; abort removes it. Nothing appears under the final name before commit has
 * succeeded. */
typedef struct ldm_outfile {
    FILE *stream; /* write here; NULL after commit or abort */
    char *path, *tmp_path;
} ldm_outfile;

ldm_status ldm_outfile_open(const char *path, ldm_outfile *out, ldm_error *err);
ldm_status ldm_outfile_commit(ldm_outfile *out, ldm_error *err); /* on failure: aborted */
void ldm_outfile_abort(ldm_outfile *out); /* NULL-safe, and after commit a no-op */

/* Writes `data` to `path` through an ldm_outfile: all of it or nothing. */
ldm_status ldm_file_write(const char *path, const void *data, size_t size, ldm_error *err);

/* What stands behind the last '/' of a path; all of one that has none. */
const char *ldm_file_name(const char *path);

/* 1 if the path is an existing folder, 0 otherwise. */
int ldm_is_dir(const char *path);

/* Makes the folder and its parents; fine if it exists. */
ldm_status ldm_make_dirs(const char *path, ldm_error *err);

#endif
