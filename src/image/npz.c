/* SPDX-License-Identifier: MIT */
/* An .npz file of one array: a zip with one stored entry. Always in zip64 form, as numpy.savez
 * writes it, since 50,000 pictures of 256 x 256 exceed 4 GiB; always dated 1980-01-01, so that the
 * same pictures give the same bytes. Format: PKWARE APPNOTE 6.3, sections 4.3.7 to 4.3.16, 4.5.3.
 */
#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "image/npy.h"
#include "image/npy_header.h"

enum { NAME_MAX_BYTES = 200, RECORD_MAX = 512, VERSION_ZIP64 = 45, DOS_1980_01_01 = 0x21 };

/* A record under construction: little-endian fields one after the other. */
typedef struct record {
    unsigned char bytes[RECORD_MAX];
    size_t len;
} record;

static void put(record *r, uint64_t value, int width)
{
    int i;

    for (i = 0; i < width; i++)
        r->bytes[r->len++] = (unsigned char)(value >> (8 * i));
}

/* From "version needed" to the name's length: the fields that local and central records share. The
 * 32-bit sizes say "see the zip64 field". */
static void put_entry_fields(record *r, uint32_t crc, size_t name_len, int extra_len)
{
    put(r, VERSION_ZIP64, 2);
    put(r, 0, 2); /* flags */
    put(r, 0, 2); /* stored */
    put(r, 0, 2); /* time */
    put(r, DOS_1980_01_01, 2);
    put(r, crc, 4);
    put(r, UINT32_MAX, 4);
    put(r, UINT32_MAX, 4);
    put(r, name_len, 2);
    put(r, (uint64_t)extra_len, 2);
}

static void put_name(record *r, const char *name)
{
    size_t len = strlen(name);

    memcpy(r->bytes + r->len, name, len);
    r->len += len;
}

static void local_record(record *r, const char *name, uint32_t crc, uint64_t bytes)
{
    r->len = 0;
    put(r, 0x04034b50, 4);
    put_entry_fields(r, crc, strlen(name), 20);
    put_name(r, name);
    put(r, 1, 2); /* zip64 field of two sizes */
    put(r, 16, 2);
    put(r, bytes, 8);
    put(r, bytes, 8);
}

/* Central directory of one entry at offset 0, and the end records after it. */
static void closing_records(record *r, const char *name, uint32_t crc, uint64_t bytes,
                            uint64_t offset)
{
    uint64_t central;

    r->len = 0;
    put(r, 0x02014b50, 4);
    put(r, VERSION_ZIP64, 2);
    put_entry_fields(r, crc, strlen(name), 28);
    put(r, 0, 2); /* comment */
    put(r, 0, 2); /* disk */
    put(r, 0, 2); /* internal attributes */
    put(r, 0, 4); /* external attributes */
    put(r, UINT32_MAX, 4);
    put_name(r, name);
    put(r, 1, 2); /* zip64 field of two sizes and the local record's offset */
    put(r, 24, 2);
    put(r, bytes, 8);
    put(r, bytes, 8);
    put(r, 0, 8);
    central = r->len;

    put(r, 0x06064b50, 4); /* zip64 end of central directory */
    put(r, 44, 8);
    put(r, VERSION_ZIP64, 2);
    put(r, VERSION_ZIP64, 2);
    put(r, 0, 4);
    put(r, 0, 4);
    put(r, 1, 8);
    put(r, 1, 8);
    put(r, central, 8);
    put(r, offset, 8);

    put(r, 0x07064b50, 4); /* its locator */
    put(r, 0, 4);
    put(r, offset + central, 8);
    put(r, 1, 4);

    put(r, 0x06054b50, 4); /* end of central directory */
    put(r, 0, 2);
    put(r, 0, 2);
    put(r, 1, 2);
    put(r, 1, 2);
    put(r, central, 4);
    put(r, UINT32_MAX, 4);
    put(r, 0, 2);
}

ldm_status ldm_npz_begin(ldm_npz_writer *w, const char *path, const char *array_name, int ndim,
                         const uint64_t *shape, ldm_error *err)
{
    ldm_npy_text text;
    ldm_status st;
    record r;

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
    local_record(&r, w->name, 0, w->bytes); /* the checksum is known at the end */
    w->local_size = r.len;
    fwrite(r.bytes, 1, r.len, w->out.stream);
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
    record r;

    if (w->left) {
        const unsigned long long left = w->left;

        ldm_npz_abort(w);
        return ldm_error_set(err, LDM_ERR_USAGE, "an array that lacks %llu of its bytes", left);
    }
    closing_records(&r, w->name, w->crc, w->bytes, w->local_size + w->bytes);
    fwrite(r.bytes, 1, r.len, w->out.stream);
    local_record(&r, w->name, w->crc, w->bytes);
    if (fseeko(w->out.stream, 0, SEEK_SET)) {
        (void)ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", w->out.path, strerror(errno));
        ldm_npz_abort(w);
        return LDM_ERR_IO;
    }
    fwrite(r.bytes, 1, r.len, w->out.stream);
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
