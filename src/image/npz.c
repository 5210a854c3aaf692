/* SPDX-License-Identifier: MIT */
/* An .npz file of one array: a zip with one entry, whose bytes come piece by piece. */
#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "image/npy.h"
#include "image/npy_header.h"
#include "image/zip_records.h"

enum { NAME_MAX_BYTES = LDM_ZIP_NAME_MAX - 4 }; /* without ".npy" */

/* The entry, which begins the file. */
static ldm_zip_entry entry_of(const ldm_npz_writer *w, uint32_t crc)
{
    return (ldm_zip_entry){.name = w->name, .crc = crc, .bytes = w->bytes};
}

static void write_record(const ldm_npz_writer *w, const ldm_zip_record *r)
{
    fwrite(r->bytes, 1, r->len, w->out.stream);
}

ldm_status ldm_npz_begin(ldm_npz_writer *w, const char *path, const char *array_name, int ndim,
                         const uint64_t *shape, ldm_error *err)
{
    ldm_npy_text text;
    ldm_zip_entry entry;
    ldm_zip_record r;
    ldm_status st;

    *w = (ldm_npz_writer){0};
    if (!*array_name || strlen(array_name) > NAME_MAX_BYTES)
        return ldm_error_set(err, LDM_ERR_USAGE, "array name of %zu bytes, expected 1 to %d",
                             strlen(array_name), NAME_MAX_BYTES);
    snprintf(w->name, sizeof w->name, "%s.npy", array_name);
    st = ldm_npy_header(LDM_NPY_U8, ndim, shape, &text, &w->left, err);
    if (!st && ldm_add_u64(w->left, text.len, &w->bytes))
        st = ldm_error_set(err, LDM_ERR_RANGE, "an array larger than memory");
    if (!st)
        st = ldm_outfile_open(path, &w->out, err);
    if (st)
        return st;
    w->crc = libdeflate_crc32(0, text.bytes, text.len);
    entry = entry_of(w, 0); /* the checksum is known at the end */
    ldm_zip_local(&r, &entry);
    w->local_size = r.len;
    write_record(w, &r);
    fwrite(text.bytes, 1, text.len, w->out.stream);
    return LDM_OK;
}

ldm_status ldm_npz_add(ldm_npz_writer *w, const uint8_t *data, size_t size, ldm_error *err)
{
    if (size > w->left)
        return ldm_error_set(err, LDM_ERR_USAGE, "%zu bytes for an array that has room for %llu",
                             size, (unsigned long long)w->left);
    if (!size)
        return LDM_OK;
    w->crc = libdeflate_crc32(w->crc, data, size);
    w->left -= size;
    fwrite(data, 1, size, w->out.stream);
    return LDM_OK;
}

ldm_status ldm_npz_end(ldm_npz_writer *w, ldm_error *err)
{
    const ldm_zip_entry entry = entry_of(w, w->crc);
    const uint64_t begin = w->local_size + w->bytes; /* of the directory */
    ldm_zip_record r;

    if (w->left) {
        const unsigned long long left = w->left;

        ldm_npz_abort(w);
        return ldm_error_set(err, LDM_ERR_USAGE, "an array that lacks %llu of its bytes", left);
    }
    ldm_zip_directory(&r, &entry);
    write_record(w, &r);
    ldm_zip_end(&r, 1, begin, begin + r.len);
    write_record(w, &r);
    ldm_zip_local(&r, &entry);
    if (fseeko(w->out.stream, 0, SEEK_SET)) {
        (void)ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", w->out.path, strerror(errno));
        ldm_npz_abort(w);
        return LDM_ERR_IO;
    }
    write_record(w, &r);
    return ldm_outfile_commit(&w->out, err); /* sees any of the writes' errors */
}

void ldm_npz_abort(ldm_npz_writer *w)
{
    ldm_outfile_abort(&w->out);
}

ldm_status ldm_npz_write_u8(const char *path, const char *array_name, int ndim,
                            const uint64_t *shape, const uint8_t *data, ldm_error *err)
{
    ldm_npz_writer w;
    ldm_status st = ldm_npz_begin(&w, path, array_name, ndim, shape, err);

    if (!st)
        st = ldm_npz_add(&w, data, (size_t)w.left, err);
    return st ? st : ldm_npz_end(&w, err);
}
