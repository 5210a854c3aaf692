/* SPDX-License-Identifier: MIT */
/* The zip reader; see zip.h. Layout after PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3. */
#include "checkpoint/zip.h"

#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "base/checked.h"

enum {
    EOCD_BYTES = 22,
    EOCD64_BYTES = 56,
    LOCATOR_BYTES = 20,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
    /* Deflate cannot do better than 258 bytes out of two bits. */
    MAX_DEFLATE_RATIO = 1032
};

#define EOCD_MAGIC 0x06054b50u
#define EOCD64_MAGIC 0x06064b50u
#define LOCATOR_MAGIC 0x07064b50u
#define CENTRAL_MAGIC 0x02014b50u
#define LOCAL_MAGIC 0x04034b50u

#define FLAG_ENCRYPTED 0x0001u
#define FLAG_DESCRIPTOR                                                                            \
    0x0008u                 /* sizes and CRC stand after the data, zeros in the local header       \
                             */
#define FLAG_MASKED 0x2000u /* header values hidden by directory encryption */

typedef struct directory {
    uint64_t offset, bytes, count;
    uint64_t end; /* where the end records begin */
} directory;

static ldm_status no_room(const ldm_source *s, const ldm_arena *arena, uint64_t pos, ldm_error *err)
{
    return ldm_source_error(s, err, ldm_arena_over_limit(arena) ? LDM_ERR_LIMIT : LDM_ERR_NOMEM,
                            pos, "no memory for so many zip entries");
}

/* Whether the record at pos ends where the file does, or before it with a directory that ends where
 * the record begins (of zip64 the directory is checked later). */
static bool is_end(const ldm_source *s, uint64_t pos, bool exact)
{
    const unsigned char *p = s->data + pos;
    const uint64_t comment = ldm_le16(p + 20), room = s->size - pos - EOCD_BYTES;
    const uint64_t bytes = ldm_le32(p + 12), offset = ldm_le32(p + 16);

    if (ldm_le32(p) != EOCD_MAGIC || comment > room)
        return false;
    return comment == room ||
           (!exact && (offset + bytes == pos ||
                       (pos >= LOCATOR_BYTES && ldm_le32(p - LOCATOR_BYTES) == LOCATOR_MAGIC)));
}

/* The end record closes the file; its comment may hold anything, so that its length must fit. Some
 * transfers pad a file with zeros, which are no fault, as in torch. Other bytes behind the record
 * may be another archive, which another reader would see. */
static ldm_status find_end(const ldm_source *s, uint64_t *pos, ldm_error *err)
{
    const uint64_t end = ldm_source_zeros_begin(s);
    uint64_t back, behind = 0;
    int exact;

    for (exact = 1; exact >= 0; exact--) {
        for (back = EOCD_BYTES; back <= s->size && back <= EOCD_BYTES + MAX_COMMENT; back++) {
            *pos = s->size - back;
            if (!is_end(s, *pos, exact))
                continue;
            behind = exact ? 0 : back - EOCD_BYTES - ldm_le16(s->data + *pos + 20);
            if (s->size - behind >= end)
                return LDM_OK;
            return ldm_source_error(s, err, LDM_ERR_FORMAT, s->size - behind,
                                    "%llu bytes follow the end of this zip file; copy or download "
                                    "it again, or cut them off (truncate -s %llu)",
                                    ldm_ull(behind), ldm_ull(s->size - behind));
        }
    }
    return ldm_source_error(s, err, LDM_ERR_FORMAT, s->size,
                            "no end-of-directory record in the last %d bytes of this zip file: it "
                            "is cut off; copy or download it again",
                            EOCD_BYTES + MAX_COMMENT);
}

/* Fields of the plain end record that zip64 replaces are all ones; others must agree with it. */
static int disagree(uint64_t plain, uint64_t all_ones, uint64_t wide)
{
    return plain != all_ones && plain != wide;
}

static ldm_status read_end(const ldm_source *s, directory *dir, ldm_error *err)
{
    uint64_t pos = 0, end64, space, wide_bytes;
    const unsigned char *p, *q;
    ldm_status st;

    st = find_end(s, &pos, err);
    if (st)
        return st;
    p = s->data + pos;
    if (ldm_le16(p + 4) != ldm_le16(p + 6) || ldm_le16(p + 8) != ldm_le16(p + 10))
        return ldm_source_error(s, err, LDM_ERR_UNSUPPORTED, pos,
                                "a zip file in several volumes, expected a single one");
    dir->count = ldm_le16(p + 10);
    dir->bytes = ldm_le32(p + 12);
    dir->offset = ldm_le32(p + 16);
    dir->end = pos;
    if (pos >= LOCATOR_BYTES && ldm_le32(p - LOCATOR_BYTES) == LOCATOR_MAGIC) {
        end64 = ldm_le64(p - LOCATOR_BYTES + 8);
        space = pos - LOCATOR_BYTES;
        if (space < EOCD64_BYTES || end64 > space - EOCD64_BYTES ||
            ldm_le32(s->data + end64) != EOCD64_MAGIC)
            return ldm_source_error(s, err, LDM_ERR_FORMAT, space,
                                    "the zip64 locator points to byte %llu, where no zip64 end "
                                    "record is",
                                    ldm_ull(end64));
        q = s->data + end64;
        wide_bytes = ldm_le64(q + 4);
        if (wide_bytes < EOCD64_BYTES - 12 || wide_bytes > space - end64 - 12)
            return ldm_source_error(s, err, LDM_ERR_FORMAT, end64,
                                    "the zip64 end record claims %llu bytes, %llu are there",
                                    ldm_ull(wide_bytes), ldm_ull(space - end64 - 12));
        if (disagree(dir->count, 0xffff, ldm_le64(q + 32)) ||
            disagree(dir->bytes, 0xffffffff, ldm_le64(q + 40)) ||
            disagree(dir->offset, 0xffffffff, ldm_le64(q + 48)) ||
            ldm_le64(q + 24) != ldm_le64(q + 32))
            return ldm_source_error(s, err, LDM_ERR_FORMAT, end64,
                                    "the zip64 end record contradicts the plain one at byte %llu",
                                    ldm_ull(pos));
        dir->count = ldm_le64(q + 32);
        dir->bytes = ldm_le64(q + 40);
        dir->offset = ldm_le64(q + 48);
        dir->end = end64;
    }
    if (dir->offset > dir->end || dir->bytes > dir->end - dir->offset)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, dir->end,
                                "the zip directory claims bytes %llu + %llu, expected an end at or "
                                "before byte %llu",
                                ldm_ull(dir->offset), ldm_ull(dir->bytes), ldm_ull(dir->end));
    if (dir->count > dir->bytes / CENTRAL_BYTES)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, dir->end,
                                "the zip directory claims %llu entries in %llu bytes",
                                ldm_ull(dir->count), ldm_ull(dir->bytes));
    return LDM_OK;
}

/* The zip64 extra field holds, in this order, those of the values whose 32-bit field is all ones.
 */
static int read_zip64_extra(const unsigned char *extra, size_t len, uint64_t *bytes,
                            uint64_t *packed, uint64_t *local)
{
    uint64_t *want[3];
    size_t n = 0, i;

    if (*bytes == 0xffffffff)
        want[n++] = bytes;
    if (*packed == 0xffffffff)
        want[n++] = packed;
    if (local && *local == 0xffffffff)
        want[n++] = local;
    while (n && len >= 4) {
        size_t field = ldm_le16(extra + 2);

        if (field > len - 4)
            return 0;
        if (ldm_le16(extra) == 0x0001) {
            if (field < 8 * n)
                return 0;
            for (i = 0; i < n; i++)
                *want[i] = ldm_le64(extra + 4 + 8 * i);
            return 1;
        }
        extra += 4 + field;
        len -= 4 + field;
    }
    /* No such field: then the value may really be 2^32 - 1; the bounds decide. */
    return 1;
}

/* The local header must repeat what the directory says, and its length gives the place where the
 * data begins. */
static ldm_status read_local(const ldm_source *s, const directory *dir, ldm_zip_entry *e,
                             unsigned flags, unsigned method, ldm_error *err)
{
    size_t name_len = strlen(e->name), extra_len;
    uint64_t bytes, packed, space;
    const unsigned char *p;

    if (dir->offset < LOCAL_BYTES || e->local_offset > dir->offset - LOCAL_BYTES ||
        ldm_le32(s->data + e->local_offset) != LOCAL_MAGIC)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, e->header_offset,
                                "zip entry '%.120s' should begin at byte %llu, where no local "
                                "header is",
                                e->name, ldm_ull(e->local_offset));
    p = s->data + e->local_offset;
    space = dir->offset - e->local_offset - LOCAL_BYTES;
    extra_len = ldm_le16(p + 28);
    if (ldm_le16(p + 26) != name_len || name_len + extra_len > space ||
        memcmp(p + LOCAL_BYTES, e->name, name_len) != 0)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, e->local_offset,
                                "this local header has another name than its directory record, "
                                "'%.120s'",
                                e->name);
    e->data_offset = e->local_offset + LOCAL_BYTES + name_len + extra_len;
    space -= name_len + extra_len;
    packed = ldm_le32(p + 18);
    bytes = ldm_le32(p + 22);
    if (!read_zip64_extra(p + LOCAL_BYTES + name_len, extra_len, &bytes, &packed, NULL))
        return ldm_source_error(s, err, LDM_ERR_FORMAT, e->local_offset,
                                "zip entry '%.120s': malformed extra field", e->name);
    if (ldm_le16(p + 8) != method || ((flags ^ ldm_le16(p + 6)) & FLAG_ENCRYPTED) ||
        (!(ldm_le16(p + 6) & FLAG_DESCRIPTOR) && (packed != e->packed_bytes || bytes != e->bytes)))
        return ldm_source_error(s, err, LDM_ERR_FORMAT, e->local_offset,
                                "zip entry '%.120s': local header (method %u, %llu of %llu bytes) "
                                "and directory (method %u, %llu of %llu bytes) differ",
                                e->name, (unsigned)ldm_le16(p + 8), ldm_ull(packed), ldm_ull(bytes),
                                method, ldm_ull(e->packed_bytes), ldm_ull(e->bytes));
    if (e->packed_bytes > space)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, e->local_offset,
                                "zip entry '%.120s' claims %llu bytes, %llu are left", e->name,
                                ldm_ull(e->packed_bytes), ldm_ull(space));
    return LDM_OK;
}

/* Nothing is ever unpacked, but no honest archive has such a name: "/x", or ".." between slashes of
 * either kind. */
static bool leads_out(const char *name)
{
    const char *at = name;

    if (*name == '/')
        return true;
    while (at) {
        const size_t len = strcspn(at, "/\\");

        if (len == 2 && at[0] == '.' && at[1] == '.')
            return true;
        at = at[len] ? at + len + 1 : NULL;
    }
    return false;
}

/* Reads one record of the directory at *pos and moves *pos after it. */
static ldm_status read_central(const ldm_source *s, const directory *dir, uint64_t *pos,
                               ldm_arena *arena, ldm_zip_entry *e, ldm_error *err)
{
    uint64_t left = dir->offset + dir->bytes - *pos;
    const unsigned char *p = s->data + *pos;
    size_t name_len, extra_len, record;
    unsigned flags, method;
    ldm_status st;

    if (left < CENTRAL_BYTES || ldm_le32(p) != CENTRAL_MAGIC)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, *pos, "expected a zip directory record");
    name_len = ldm_le16(p + 28);
    extra_len = ldm_le16(p + 30);
    record = CENTRAL_BYTES + name_len + extra_len + ldm_le16(p + 32);
    if (record > left)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, *pos,
                                "a zip directory record of %zu bytes, %llu are left", record,
                                ldm_ull(left));
    if (memchr(p + CENTRAL_BYTES, 0, name_len))
        return ldm_source_error(s, err, LDM_ERR_FORMAT, *pos, "a zip entry's name with a NUL");
    e->name = ldm_arena_strndup(arena, (const char *)p + CENTRAL_BYTES, name_len);
    if (!e->name)
        return no_room(s, arena, *pos, err);
    if (leads_out(e->name))
        return ldm_source_error(s, err, LDM_ERR_UNSAFE, *pos,
                                "the name of zip entry '%.120s' leads out of its archive; nothing "
                                "was unpacked",
                                e->name);
    flags = ldm_le16(p + 8);
    method = ldm_le16(p + 10);
    e->crc = ldm_le32(p + 16);
    e->packed_bytes = ldm_le32(p + 20);
    e->bytes = ldm_le32(p + 24);
    e->local_offset = ldm_le32(p + 42);
    e->header_offset = *pos;
    if (!read_zip64_extra(p + CENTRAL_BYTES + name_len, extra_len, &e->bytes, &e->packed_bytes,
                          &e->local_offset))
        return ldm_source_error(s, err, LDM_ERR_FORMAT, *pos,
                                "zip entry '%.120s': malformed extra field", e->name);
    if (flags & (FLAG_ENCRYPTED | FLAG_MASKED))
        return ldm_source_error(s, err, LDM_ERR_UNSUPPORTED, *pos,
                                "zip entry '%.120s' is encrypted", e->name);
    if (method != 0 && method != 8)
        return ldm_source_error(s, err, LDM_ERR_UNSUPPORTED, *pos,
                                "zip entry '%.120s' is packed by method %u, expected 0 (stored) or "
                                "8 (deflated)",
                                e->name, method);
    e->deflated = method == 8;
    if (e->deflated ? e->bytes / MAX_DEFLATE_RATIO > e->packed_bytes : e->bytes != e->packed_bytes)
        return ldm_source_error(s, err, LDM_ERR_FORMAT, *pos,
                                "zip entry '%.120s' claims %llu bytes out of %llu", e->name,
                                ldm_ull(e->bytes), ldm_ull(e->packed_bytes));
    st = read_local(s, dir, e, flags, method, err);
    *pos += record;
    return st;
}

static int by_offset(const void *a, const void *b)
{
    const ldm_zip_entry *const *x = a, *const *y = b;

    return (*x)->local_offset < (*y)->local_offset ? -1 : (*x)->local_offset > (*y)->local_offset;
}

/* Entries must not share bytes: overlapping entries let a small file claim to hold a huge one. */
static ldm_status check_overlap(const ldm_zip *zip, ldm_arena *arena, ldm_error *err)
{
    const ldm_zip_entry **order = ldm_arena_alloc(arena, zip->count, sizeof *order);
    size_t i;

    if (!order)
        return no_room(zip->src, arena, 0, err);
    for (i = 0; i < zip->count; i++)
        order[i] = &zip->entries[i];
    if (zip->count)
        qsort(order, zip->count, sizeof *order, by_offset);
    for (i = 1; i < zip->count; i++) {
        const ldm_zip_entry *a = order[i - 1], *b = order[i];

        if (b->local_offset < a->data_offset + a->packed_bytes)
            return ldm_source_error(zip->src, err, LDM_ERR_FORMAT, b->local_offset,
                                    "zip entries '%.120s' and '%.120s' overlap", a->name, b->name);
    }
    return LDM_OK;
}

ldm_status ldm_zip_open(const ldm_source *src, ldm_arena *arena, ldm_zip *out, ldm_error *err)
{
    directory dir = {0};
    ldm_status st;
    uint64_t pos;
    size_t i, twice;

    memset(out, 0, sizeof *out);
    out->src = src;
    st = read_end(src, &dir, err);
    if (st)
        return st;
    out->entries = ldm_arena_alloc(arena, (size_t)dir.count, sizeof *out->entries);
    out->by_name = ldm_arena_alloc(arena, (size_t)dir.count, sizeof *out->by_name);
    if (!out->entries || !out->by_name)
        return no_room(src, arena, dir.offset, err);
    out->count = (size_t)dir.count;
    pos = dir.offset;
    for (i = 0; i < out->count; i++) {
        st = read_central(src, &dir, &pos, arena, &out->entries[i], err);
        if (st)
            return st;
        out->by_name[i].name = out->entries[i].name;
        out->by_name[i].index = i;
    }
    twice = ldm_names_sort(out->by_name, out->count);
    if (twice < out->count)
        return ldm_source_error(src, err, LDM_ERR_FORMAT,
                                out->entries[out->by_name[twice].index].header_offset,
                                "a second zip entry named '%.120s'", out->by_name[twice].name);
    return check_overlap(out, arena, err);
}

const ldm_zip_entry *ldm_zip_find(const ldm_zip *zip, const char *name)
{
    const ldm_name *found = ldm_names_find(zip->by_name, zip->count, name);

    return found ? &zip->entries[found->index] : NULL;
}

ldm_status ldm_zip_inflate(const ldm_source *src, uint64_t pos, const unsigned char *packed,
                           uint64_t packed_bytes, void *dst, uint64_t bytes, ldm_error *err)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    enum libdeflate_result r;
    size_t made = 0;

    if (!d)
        return ldm_error_nomem(err, 0, "inflating");
    r = libdeflate_deflate_decompress(d, packed, (size_t)packed_bytes, dst, (size_t)bytes, &made);
    libdeflate_free_decompressor(d);
    if (r == LIBDEFLATE_SUCCESS && made == bytes)
        return LDM_OK;
    return ldm_source_error(src, err, LDM_ERR_FORMAT, pos,
                            "damaged deflated data: expected %llu bytes, %s", ldm_ull(bytes),
                            r == LIBDEFLATE_INSUFFICIENT_SPACE ? "there are more"
                            : r == LIBDEFLATE_SUCCESS          ? "there are fewer"
                                                               : "the stream is invalid");
}

ldm_status ldm_zip_check_crc(const ldm_source *src, uint64_t pos, const char *name,
                             const unsigned char *data, uint64_t bytes, uint32_t crc,
                             ldm_error *err)
{
    const uint32_t found = crc ? libdeflate_crc32(0, data, (size_t)bytes) : 0;

    if (found == crc)
        return LDM_OK;
    return ldm_source_error(src, err, LDM_ERR_FORMAT, pos,
                            "'%.120s' is damaged: its CRC-32 is %08x, the directory says %08x; "
                            "copy or download the file again",
                            name, (unsigned)found, (unsigned)crc);
}

ldm_status ldm_zip_entry_open(const ldm_zip *zip, const ldm_zip_entry *e, ldm_arena *arena,
                              ldm_source *out, ldm_error *err)
{
    const unsigned char *packed = zip->src->data + e->data_offset;
    unsigned char *buf;
    ldm_status st;

    memset(out, 0, sizeof *out);
    out->name = zip->src->name;
    out->part = e->name;
    out->size = e->bytes;
    if (e->deflated) {
        buf = ldm_arena_alloc(arena, 1, (size_t)e->bytes);
        if (!buf)
            return ldm_source_error(zip->src, err,
                                    ldm_arena_over_limit(arena) ? LDM_ERR_LIMIT : LDM_ERR_NOMEM,
                                    e->local_offset, "no room to inflate '%.120s' to %llu bytes",
                                    e->name, ldm_ull(e->bytes));
        st = ldm_zip_inflate(zip->src, e->data_offset, packed, e->packed_bytes, buf, e->bytes, err);
        if (st)
            return st;
        out->data = buf;
    } else {
        out->data = packed;
        out->base = e->data_offset;
    }
    return ldm_zip_check_crc(zip->src, e->data_offset, e->name, out->data, out->size, e->crc, err);
}
