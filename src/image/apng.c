/* SPDX-License-Identifier: MIT */
/* Animated PNG by hand: libspng writes single pictures. Chunks: IHDR, acTL, the text, for the first
 * frame fcTL and IDAT, for the others fcTL and fdAT, IEND. Each row has filter type 1 (Sub). */
#include "image/apng.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/file.h"

enum { LEVEL = 6, SUB = 1, MAX_SIDE = 1 << 15 };

typedef struct writer {
    FILE *f;
    struct libdeflate_compressor *deflate;
    uint8_t *raw, *packed; /* packed: 4 bytes for a sequence number before the data */
    size_t raw_bytes, packed_bytes;
    uint32_t sequence;
} writer;

static void put32(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)(v >> 24);
    to[1] = (uint8_t)(v >> 16);
    to[2] = (uint8_t)(v >> 8);
    to[3] = (uint8_t)v;
}

/* False where the stream fails. */
static bool chunk(const writer *w, const char *type, const uint8_t *data, size_t bytes)
{
    uint8_t head[8], tail[4];
    uint32_t crc;

    put32(head, (uint32_t)bytes);
    memcpy(head + 4, type, 4);
    crc = libdeflate_crc32(0, head + 4, 4);
    if (bytes) /* without data libdeflate begins anew */
        crc = libdeflate_crc32(crc, data, bytes);
    put32(tail, crc);
    return fwrite(head, 1, 8, w->f) == 8 && (!bytes || fwrite(data, 1, bytes, w->f) == bytes) &&
           fwrite(tail, 1, 4, w->f) == 4;
}

static bool write_head(const writer *w, const ldm_pixels *p, size_t count, const ldm_text *text)
{
    static const uint8_t signature[8] = {137, 'P', 'N', 'G', 13, 10, 26, 10};
    static const uint8_t types[5] = {[1] = 0, [3] = 2, [4] = 6};
    uint8_t ihdr[13] = {0}, actl[8] = {0};
    size_t key = text ? strlen(text->key) : 0, value = text ? strlen(text->value) : 0;
    uint8_t *body;
    bool good;

    put32(ihdr, p->width);
    put32(ihdr + 4, p->height);
    ihdr[8] = 8;
    ihdr[9] = types[p->channels];
    put32(actl, (uint32_t)count); /* plays: 0, without end */
    good = fwrite(signature, 1, 8, w->f) == 8 && chunk(w, "IHDR", ihdr, 13) &&
           chunk(w, "acTL", actl, 8);
    if (!good || !text)
        return good;
    body = ldm_malloc(key + 5 + value); /* iTXt: key, no compression, no language, text */
    if (!body)
        return false;
    memcpy(body, text->key, key);
    memset(body + key, 0, 5);
    memcpy(body + key + 5, text->value, value);
    good = chunk(w, "iTXt", body, key + 5 + value);
    ldm_free(body);
    return good;
}

static bool write_frame(writer *w, const ldm_pixels *p, unsigned ms, bool first)
{
    const size_t c = p->channels, row = (size_t)p->width * c;
    uint8_t fctl[26] = {0};
    size_t x, y, n;

    for (y = 0; y < p->height; y++) {
        const uint8_t *from = p->data + y * row;
        uint8_t *to = w->raw + y * (row + 1);

        *to++ = SUB;
        for (x = 0; x < row; x++)
            to[x] = (uint8_t)(from[x] - (x < c ? 0 : from[x - c]));
    }
    n = libdeflate_zlib_compress(w->deflate, w->raw, w->raw_bytes, w->packed + 4, w->packed_bytes);
    if (!n)
        return false;
    put32(fctl, w->sequence++);
    put32(fctl + 4, p->width);
    put32(fctl + 8, p->height);
    fctl[20] = (uint8_t)(ms >> 8);
    fctl[21] = (uint8_t)ms;
    fctl[22] = 1000 >> 8;
    fctl[23] = 1000 & 255;
    if (!chunk(w, "fcTL", fctl, 26))
        return false;
    if (first)
        return chunk(w, "IDAT", w->packed + 4, n);
    put32(w->packed, w->sequence++);
    return chunk(w, "fdAT", w->packed, n + 4);
}

static ldm_status check(const char *path, const ldm_pixels *frames, size_t count, unsigned ms,
                        ldm_error *err)
{
    size_t i;

    if (!count || count > 100000 || ms > 65535)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s: %zu frames of %u ms, expected 1 to 100000 of at most 65535 ms",
                             path, count, ms);
    for (i = 0; i < count; i++) {
        const ldm_pixels *p = &frames[i];

        if (p->width != frames->width || p->height != frames->height ||
            p->channels != frames->channels)
            return ldm_error_set(err, LDM_ERR_USAGE, "%s: frames of two sizes or kinds", path);
    }
    if (!frames->width || !frames->height || frames->width > MAX_SIDE ||
        frames->height > MAX_SIDE ||
        (frames->channels != 1 && frames->channels != 3 && frames->channels != 4))
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: frames of %u x %u with %u channels", path,
                             frames->width, frames->height, frames->channels);
    return LDM_OK;
}

ldm_status ldm_apng_write(const char *path, const ldm_pixels *frames, size_t count, unsigned ms,
                          const ldm_text *text, ldm_error *err)
{
    ldm_outfile out = {0};
    writer w = {0};
    ldm_status st = check(path, frames, count, ms, err);
    bool good;
    size_t i;

    if (st)
        return st;
    w.raw_bytes = ((size_t)frames->width * frames->channels + 1) * frames->height;
    w.deflate = libdeflate_alloc_compressor(LEVEL);
    w.packed_bytes = w.deflate ? libdeflate_zlib_compress_bound(w.deflate, w.raw_bytes) : 0;
    w.raw = ldm_malloc(w.raw_bytes);
    w.packed = ldm_malloc(w.packed_bytes + 4);
    if (!w.deflate || !w.raw || !w.packed)
        st = ldm_error_nomem(err, w.raw_bytes + w.packed_bytes, "a frame");
    if (!st)
        st = ldm_outfile_open(path, &out, err);
    if (!st) {
        w.f = out.stream;
        good = write_head(&w, frames, count, text);
        for (i = 0; good && i < count; i++)
            good = write_frame(&w, &frames[i], ms, !i);
        good = good && chunk(&w, "IEND", NULL, 0);
        st = good ? ldm_outfile_commit(&out, err)
                  : ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", path, strerror(errno));
        if (!good)
            ldm_outfile_abort(&out);
    }
    if (w.deflate)
        libdeflate_free_compressor(w.deflate);
    ldm_free(w.raw);
    ldm_free(w.packed);
    return st;
}
