/* SPDX-License-Identifier: MIT */
/* An .npz of several arrays. */
#include "image/npz_arrays.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "image/npy_header.h"
#include "image/zip_records.h"

enum { NAME_MAX_BYTES = 60 };

/* What the directory says of an array, and its name there. */
typedef struct entry {
    char name[NAME_MAX_BYTES + 5];
    ldm_zip_entry zip;
} entry;

/* Writes one entry at *offset and moves that. */
static ldm_status write_entry(ldm_outfile *out, const ldm_npz_array *a, entry *e, uint64_t *offset,
                              ldm_error *err)
{
    ldm_npy_text text;
    uint64_t bytes;
    ldm_zip_record r;
    ldm_status st = ldm_npy_header(a->type, a->ndim, a->shape, &text, &bytes, err);

    if (st)
        return st;
    snprintf(e->name, sizeof e->name, "%.*s.npy", (int)NAME_MAX_BYTES, a->name);
    e->zip = (ldm_zip_entry){.name = e->name,
                             .crc = libdeflate_crc32(0, text.bytes, text.len),
                             .bytes = text.len + bytes,
                             .offset = *offset};
    if (bytes)
        e->zip.crc = libdeflate_crc32(e->zip.crc, a->data, (size_t)bytes);
    ldm_zip_local(&r, &e->zip);
    fwrite(r.bytes, 1, r.len, out->stream);
    fwrite(text.bytes, 1, text.len, out->stream);
    if (bytes)
        fwrite(a->data, 1, (size_t)bytes, out->stream);
    *offset += r.len + e->zip.bytes;
    return LDM_OK;
}

ldm_status ldm_npz_write_arrays(const char *path, const ldm_npz_array *arrays, size_t count,
                                ldm_error *err)
{
    entry entries[LDM_NPZ_MAX_ARRAYS];
    uint64_t offset = 0, begin;
    ldm_outfile out;
    ldm_status st;
    ldm_zip_record r;
    size_t i;

    if (count > LDM_NPZ_MAX_ARRAYS)
        return ldm_error_set(err, LDM_ERR_USAGE, "%zu arrays, expected %d at most", count,
                             LDM_NPZ_MAX_ARRAYS);
    st = ldm_outfile_open(path, &out, err);
    for (i = 0; !st && i < count; i++) {
        st = write_entry(&out, &arrays[i], &entries[i], &offset, err);
        if (st)
            ldm_outfile_abort(&out);
    }
    if (st)
        return st;
    begin = offset;
    for (i = 0; i < count; i++) {
        ldm_zip_directory(&r, &entries[i].zip);
        fwrite(r.bytes, 1, r.len, out.stream);
        offset += r.len;
    }
    ldm_zip_end(&r, count, begin, offset);
    fwrite(r.bytes, 1, r.len, out.stream);
    return ldm_outfile_commit(&out, err); /* sees any of the writes' errors */
}
