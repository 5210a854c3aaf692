/* SPDX-License-Identifier: MIT */
/* An .npz of several arrays: a zip of stored entries, dated 1980-01-01. Sizes stand in zip64 fields
 * throughout, as in npz.c. Format: PKWARE APPNOTE 6.3, sections 4.3.7 to 4.3.16, 4.5.3. */
#include "image/npz_arrays.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "image/npy_header.h"

enum { NAME_MAX_BYTES = 60, RECORD_MAX = 256, VERSION_ZIP64 = 45, DOS_1980_01_01 = 0x21 };

typedef struct record {
    unsigned char bytes[RECORD_MAX];
    size_t len;
} record;

/* What the directory says of an entry. */
typedef struct entry {
    char name[NAME_MAX_BYTES + 5];
    uint32_t crc;
    uint64_t bytes, offset;
} entry;

static void put(record *r, uint64_t value, int width)
{
    int i;

    for (i = 0; i < width; i++)
        r->bytes[r->len++] = (unsigned char)(value >> (8 * i));
}

/* From "version needed" to the name's length: what both records of an entry share. */
static void put_common(record *r, const entry *e, int extra_len)
{
    put(r, VERSION_ZIP64, 2);
    put(r, 0, 2); /* flags */
    put(r, 0, 2); /* stored */
    put(r, 0, 2); /* time */
    put(r, DOS_1980_01_01, 2);
    put(r, e->crc, 4);
    put(r, UINT32_MAX, 4);
    put(r, UINT32_MAX, 4);
    put(r, strlen(e->name), 2);
    put(r, (uint64_t)extra_len, 2);
}

static void put_rest(record *r, const entry *e, int fields)
{
    memcpy(r->bytes + r->len, e->name, strlen(e->name));
    r->len += strlen(e->name);
    put(r, 1, 2); /* zip64: two sizes, and in the directory the offset */
    put(r, (uint64_t)(8 * fields), 2);
    put(r, e->bytes, 8);
    put(r, e->bytes, 8);
}

static void local_record(record *r, const entry *e)
{
    r->len = 0;
    put(r, 0x04034b50, 4);
    put_common(r, e, 20);
    put_rest(r, e, 2);
}

static void directory_record(record *r, const entry *e)
{
    r->len = 0;
    put(r, 0x02014b50, 4);
    put(r, VERSION_ZIP64, 2);
    put_common(r, e, 28);
    put(r, 0, 2); /* comment */
    put(r, 0, 2); /* disk */
    put(r, 0, 2); /* internal attributes */
    put(r, 0, 4); /* external attributes */
    put(r, UINT32_MAX, 4);
    put_rest(r, e, 3);
    put(r, e->offset, 8);
}

static void end_records(record *r, size_t count, uint64_t begin, uint64_t end)
{
    r->len = 0;
    put(r, 0x06064b50, 4); /* zip64 end of directory */
    put(r, 44, 8);
    put(r, VERSION_ZIP64, 2);
    put(r, VERSION_ZIP64, 2);
    put(r, 0, 4);
    put(r, 0, 4);
    put(r, count, 8);
    put(r, count, 8);
    put(r, end - begin, 8);
    put(r, begin, 8);

    put(r, 0x07064b50, 4); /* its locator */
    put(r, 0, 4);
    put(r, end, 8);
    put(r, 1, 4);

    put(r, 0x06054b50, 4); /* end of directory */
    put(r, 0, 2);
    put(r, 0, 2);
    put(r, count, 2);
    put(r, count, 2);
    put(r, end - begin, 4);
    put(r, UINT32_MAX, 4);
    put(r, 0, 2);
}

/* Writes one entry at *offset and moves that. */
static ldm_status write_entry(ldm_outfile *out, const ldm_npz_array *a, entry *e, uint64_t *offset,
                              ldm_error *err)
{
    ldm_npy_text text;
    uint64_t bytes;
    record r;
    ldm_status st = ldm_npy_header(a->type, a->ndim, a->shape, &text, &bytes, err);

    if (st)
        return st;
    snprintf(e->name, sizeof e->name, "%.*s.npy", (int)NAME_MAX_BYTES, a->name);
    e->bytes = text.len + bytes;
    e->offset = *offset;
    e->crc = libdeflate_crc32(0, text.bytes, text.len);
    if (bytes)
        e->crc = libdeflate_crc32(e->crc, a->data, (size_t)bytes);
    local_record(&r, e);
    fwrite(r.bytes, 1, r.len, out->stream);
    fwrite(text.bytes, 1, text.len, out->stream);
    if (bytes)
        fwrite(a->data, 1, (size_t)bytes, out->stream);
    *offset += r.len + e->bytes;
    return LDM_OK;
}

ldm_status ldm_npz_write_arrays(const char *path, const ldm_npz_array *arrays, size_t count,
                                ldm_error *err)
{
    entry entries[LDM_NPZ_MAX_ARRAYS];
    uint64_t offset = 0, begin;
    ldm_outfile out;
    ldm_status st;
    record r;
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
        directory_record(&r, &entries[i]);
        fwrite(r.bytes, 1, r.len, out.stream);
        offset += r.len;
    }
    end_records(&r, count, begin, offset);
    fwrite(r.bytes, 1, r.len, out.stream);
    return ldm_outfile_commit(&out, err); /* sees any of the writes' errors */
}
