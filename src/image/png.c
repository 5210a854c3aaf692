/* SPDX-License-Identifier: MIT */
/* PNG through libspng. Files come from anywhere: sizes are checked before memory is taken, chunks
 * have a budget, and every checksum counts. What is written has no date and fixed settings, so that
 * the same picture and texts give the same bytes. */
#include <errno.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/str.h"
#include "image/exif.h"
#include "image/picture.h"
#include "image/picture_text.h"

enum {
    KEY_MAX = 79, /* the PNG specification's limit */
    SIGNATURE_BYTES = 8,
    CHUNK_EXTRA_BYTES = 12, /* length, type, CRC */
    MAX_TEXTS = 1000
};

static const uint64_t default_max_pixels = 64000000;
/* One text chunk, and all chunks of a file together. */
static const size_t chunk_bytes = (size_t)16 << 20, all_chunk_bytes = (size_t)64 << 20;
/* Deflate cannot shrink its input more than this (RFC 1951: 258 bytes in two bits). */
static const uint64_t max_deflate_ratio = 1032;

static void *spng_realloc_hook(void *p, size_t size)
{
    return ldm_reallocarray(p, 1, size);
}

static spng_ctx *new_context(int flags)
{
    struct spng_alloc alloc = {.malloc_fn = ldm_malloc,
                               .realloc_fn = spng_realloc_hook,
                               .calloc_fn = ldm_calloc,
                               .free_fn = ldm_free};

    return spng_ctx_new2(&alloc, flags);
}

static bool is_memory(int code)
{
    return code == SPNG_EMEM || code == SPNG_EZLIB_INIT; /* zlib begins or has no memory */
}

/* ---- writing ---- */

static ldm_status write_error(ldm_error *err, int code, const char *name)
{
    if (is_memory(code))
        return ldm_error_nomem(err, 0, name);
    return ldm_error_set(err, code == SPNG_IO_ERROR ? LDM_ERR_IO : LDM_ERR_FORMAT,
                         "cannot write %s as PNG: %s", name, spng_strerror(code));
}

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

static ldm_status check_text(const char *path, const ldm_text *t, ldm_error *err)
{
    size_t len = strlen(t->key), i, at;
    bool good = len >= 1 && len <= KEY_MAX && t->key[0] != ' ' && t->key[len - 1] != ' ';

    for (i = 0; i < len && good; i++)
        good = t->key[i] >= ' ' && t->key[i] <= '~' && !(t->key[i] == ' ' && t->key[i + 1] == ' ');
    if (!good)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s: '%.80s' is no PNG text key, expected 1 to %d ASCII characters",
                             path, t->key, KEY_MAX);
    if (!ldm_text_is_utf8(t->value, &at))
        return ldm_error_at(err, LDM_ERR_USAGE, at, "%s: the text '%s' is not UTF-8", path, t->key);
    return LDM_OK;
}

/* *block: what libspng points to until it has written; the caller's to free. An empty text, which
 * libspng cannot write, is left out. */
static ldm_status set_texts(spng_ctx *ctx, const char *path, const ldm_text *texts, size_t count,
                            struct spng_text **block, ldm_error *err)
{
    ldm_status st;
    uint32_t used = 0;
    size_t i;
    int code;

    *block = NULL;
    if (!count)
        return LDM_OK;
    if (count <= UINT32_MAX)
        *block = ldm_calloc(count, sizeof **block);
    if (!*block)
        return ldm_error_nomem(err, count * sizeof **block, "PNG texts");
    for (i = 0; i < count; i++) {
        struct spng_text *t = *block + used;

        st = check_text(path, &texts[i], err);
        if (st)
            return st;
        if (!*texts[i].value)
            continue;
        strcpy(t->keyword, texts[i].key);
        t->type = is_ascii(texts[i].value) ? SPNG_TEXT : SPNG_ITXT;
        t->text = (char *)(uintptr_t)texts[i].value; /* read only, whatever the type says */
        t->length = strlen(texts[i].value);
        t->language_tag = t->translated_keyword = t->keyword + strlen(t->keyword);
        used++;
    }
    code = used ? spng_set_text(ctx, *block, used) : 0;
    return code ? write_error(err, code, path) : LDM_OK;
}

/* Everything before the pixels; *block: see set_texts. */
static ldm_status begin(spng_ctx *ctx, const char *path, const ldm_pixels *p, const ldm_text *texts,
                        size_t text_count, FILE *stream, struct spng_text **block, ldm_error *err)
{
    static const uint8_t types[5] = {
        [1] = SPNG_COLOR_TYPE_GRAYSCALE,
        [2] = SPNG_COLOR_TYPE_GRAYSCALE_ALPHA,
        [3] = SPNG_COLOR_TYPE_TRUECOLOR,
        [4] = SPNG_COLOR_TYPE_TRUECOLOR_ALPHA,
    };
    struct spng_ihdr ihdr = {
        .width = p->width, .height = p->height, .bit_depth = 8, .color_type = types[p->channels]};
    int code = spng_set_png_file(ctx, stream);

    *block = NULL;
    if (!code)
        code = spng_set_ihdr(ctx, &ihdr);
    return code ? write_error(err, code, path)
                : set_texts(ctx, path, texts, text_count, block, err);
}

static ldm_status encode_error(int code, const char *path, FILE *stream, ldm_error *err)
{
    if (ferror(stream)) /* libspng has no reason for it; take the system's */
        return ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", path,
                             strerror(errno ? errno : EIO));
    return write_error(err, code, path);
}

static ldm_status encode(spng_ctx *ctx, const char *path, const ldm_pixels *p,
                         const ldm_text *texts, size_t text_count, FILE *stream, ldm_error *err)
{
    struct spng_text *block;
    ldm_status st = begin(ctx, path, p, texts, text_count, stream, &block, err);
    int code;

    if (!st) {
        errno = 0;
        code = spng_encode_image(ctx, p->data, (size_t)p->width * p->height * p->channels,
                                 SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
        if (code)
            st = encode_error(code, path, stream, err);
    }
    ldm_free(block);
    return st;
}

/* path: what messages call it. */
static ldm_status encode_to(const char *path, const ldm_pixels *p, const ldm_text *texts,
                            size_t text_count, FILE *stream, ldm_error *err)
{
    spng_ctx *ctx = new_context(SPNG_CTX_ENCODER);
    const ldm_status st = ctx ? encode(ctx, path, p, texts, text_count, stream, err)
                              : ldm_error_nomem(err, 0, "the PNG encoder");

    spng_ctx_free(ctx);
    return st;
}

static ldm_status check_channels(const char *path, const ldm_pixels *p, ldm_error *err)
{
    return p->channels && p->channels <= 4
               ? LDM_OK
               : ldm_error_set(err, LDM_ERR_USAGE, "%s: a picture of %u channels, expected 1 to 4",
                               path, p->channels);
}

ldm_status ldm_png_write_pixels(const char *path, const ldm_pixels *p, const ldm_text *texts,
                                size_t text_count, ldm_error *err)
{
    ldm_outfile out;
    ldm_status st = check_channels(path, p, err);

    if (!st)
        st = ldm_outfile_open(path, &out, err);
    if (st)
        return st;
    st = encode_to(path, p, texts, text_count, out.stream, err);
    if (st) {
        ldm_outfile_abort(&out);
        return st;
    }
    return ldm_outfile_commit(&out, err);
}

ldm_status ldm_png_encode(const ldm_pixels *p, const ldm_text *texts, size_t text_count,
                          char **data, size_t *size, ldm_error *err)
{
    ldm_status st = check_channels("a PNG", p, err);
    FILE *stream;

    *data = NULL;
    *size = 0;
    if (st)
        return st;
    stream = open_memstream(data, size);
    st = stream ? encode_to("a PNG", p, texts, text_count, stream, err)
                : ldm_error_nomem(err, 0, "a PNG");
    if (stream && fclose(stream) && !st)
        st = ldm_error_nomem(err, *size, "a PNG");
    if (st) {
        free(*data); /* the C library's */
        *data = NULL;
    }
    return st;
}

struct ldm_png_rows {
    ldm_outfile out;
    spng_ctx *ctx;
    struct spng_text *block;
    size_t row_bytes;
    uint32_t left;
};

ldm_status ldm_png_rows_open(const char *path, uint32_t width, uint32_t height,
                             const ldm_text *texts, size_t text_count, ldm_png_rows **out,
                             ldm_error *err)
{
    const ldm_pixels p = {width, height, 3, NULL};
    ldm_png_rows *r = ldm_calloc(1, sizeof *r);
    ldm_status st;
    int code;

    *out = NULL;
    if (!r)
        return ldm_error_nomem(err, sizeof *r, "the PNG encoder");
    r->row_bytes = (size_t)width * 3;
    r->left = height;
    st = ldm_outfile_open(path, &r->out, err);
    if (!st) {
        r->ctx = new_context(SPNG_CTX_ENCODER);
        st = r->ctx ? begin(r->ctx, path, &p, texts, text_count, r->out.stream, &r->block, err)
                    : ldm_error_nomem(err, 0, "the PNG encoder");
    }
    if (!st) {
        errno = 0;
        code = spng_encode_image(r->ctx, NULL, 0, SPNG_FMT_PNG,
                                 SPNG_ENCODE_PROGRESSIVE | SPNG_ENCODE_FINALIZE);
        if (code)
            st = encode_error(code, path, r->out.stream, err);
    }
    if (st)
        ldm_png_rows_free(r);
    else
        *out = r;
    return st;
}

ldm_status ldm_png_rows_add(ldm_png_rows *r, const uint8_t *row, ldm_error *err)
{
    int code;

    if (!r->left)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: more rows than its height", r->out.path);
    errno = 0;
    code = spng_encode_row(r->ctx, row, r->row_bytes);
    r->left--;
    if (code && code != SPNG_EOI)
        return encode_error(code, r->out.path, r->out.stream, err);
    return LDM_OK;
}

ldm_status ldm_png_rows_commit(ldm_png_rows *r, ldm_error *err)
{
    if (r->left)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: %u rows are missing", r->out.path, r->left);
    spng_ctx_free(r->ctx);
    r->ctx = NULL;
    return ldm_outfile_commit(&r->out, err);
}

void ldm_png_rows_free(ldm_png_rows *r)
{
    if (!r)
        return;
    spng_ctx_free(r->ctx);
    ldm_free(r->block);
    ldm_outfile_abort(&r->out);
    ldm_free(r);
}

ldm_status ldm_png_write(const char *path, const ldm_picture *p, const ldm_text *texts,
                         size_t text_count, ldm_error *err)
{
    const ldm_pixels pixels = {p->width, p->height, 3, p->rgb};

    return ldm_png_write_pixels(path, &pixels, texts, text_count, err);
}

/* ---- reading ---- */

/* libspng's own words are for programmers; they stay in brackets, for a report of a fault. */
static ldm_status read_error(ldm_error *err, int code, const char *name)
{
    if (is_memory(code))
        return ldm_error_nomem(err, 0, name);
    if (code == SPNG_ECHUNK_LIMITS)
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s: the PNG holds more beside its pixels than is read (%s)", name,
                             spng_strerror(code));
    return ldm_error_set(err, LDM_ERR_FORMAT, "%s: the PNG is %s (%s)", name,
                         code == SPNG_IO_EOF ? "cut off: its end is missing" : "damaged",
                         spng_strerror(code));
}

static ldm_status too_many_pixels(const char *name, uint32_t width, uint32_t height,
                                  uint64_t max_pixels, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_LIMIT,
                         "%s: a picture of %u x %u pixels, expected at most %llu pixels", name,
                         width, height, (unsigned long long)max_pixels);
}

static size_t be32(const unsigned char *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* Before any memory is taken: is the picture small enough, and can a file of this size hold it? */
static ldm_status check_size(const struct spng_ihdr *h, uint64_t file_bytes, uint64_t max_pixels,
                             const char *name, ldm_error *err)
{
    static const unsigned channels[7] = {1, 0, 3, 1, 2, 0, 4}; /* by colour type */
    const uint64_t pixels = (uint64_t)h->width * h->height;
    const uint64_t row_bytes =
        ((uint64_t)h->width * channels[h->color_type % 7] * h->bit_depth + 7) / 8;

    if (pixels > max_pixels)
        return too_many_pixels(name, h->width, h->height, max_pixels, err);
    if (row_bytes * h->height / max_deflate_ratio > file_bytes)
        return ldm_error_set(
            err, LDM_ERR_FORMAT,
            "%s: %llu bytes cannot hold the %u x %u pixels that its header claims; "
            "the file is truncated or damaged",
            name, (unsigned long long)file_bytes, h->width, h->height);
    return LDM_OK;
}

/* A context that has read the header; chunk, all_chunks: the most bytes that one chunk may have,
 * and all that are kept. */
static ldm_status start_decoder(const void *data, size_t size, const char *name, size_t chunk,
                                size_t all_chunks, spng_ctx **ctx, struct spng_ihdr *ihdr,
                                ldm_error *err)
{
    int code;

    *ctx = new_context(0);
    if (!*ctx)
        return ldm_error_nomem(err, 0, "the PNG decoder");
    if (!size) /* libspng refuses a NULL buffer with "invalid argument" */
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s is empty, expected a PNG", name);
    code = spng_set_chunk_limits(*ctx, chunk, all_chunks);
    if (!code) /* a damaged text chunk is an error too, not a missing recipe */
        code = spng_set_crc_action(*ctx, SPNG_CRC_ERROR, SPNG_CRC_ERROR);
    if (!code)
        code = spng_set_png_buffer(*ctx, data, size);
    if (!code)
        code = spng_get_ihdr(*ctx, ihdr);
    if (code == SPNG_EOVERFLOW) { /* of the sizes in the header, which was there to read */
        const unsigned char *sizes = (const unsigned char *)data + SIGNATURE_BYTES + 8;

        return too_many_pixels(name, (uint32_t)be32(sizes), (uint32_t)be32(sizes + 4),
                               default_max_pixels, err);
    }
    return code ? read_error(err, code, name) : LDM_OK;
}

static ldm_status open_decoder(const void *data, size_t size, const char *name, uint64_t max_pixels,
                               spng_ctx **ctx, struct spng_ihdr *ihdr, ldm_error *err)
{
    ldm_status st = start_decoder(data, size, name, chunk_bytes, all_chunk_bytes, ctx, ihdr, err);

    if (!st)
        st = check_size(ihdr, size, max_pixels ? max_pixels : default_max_pixels, name, err);
    return st;
}

static ldm_status create_named(const struct spng_ihdr *ihdr, const char *name, unsigned channels,
                               ldm_pixels *out, ldm_error *err)
{
    ldm_status st = ldm_pixels_create(ihdr->width, ihdr->height, channels, out, err);

    return st ? ldm_error_wrap(err, st, "%s", name) : LDM_OK;
}

/* Into out, which has the pixels and the channels, 3 or 4, that fmt says. */
static ldm_status decode(spng_ctx *ctx, const char *name, int fmt, int flags, ldm_pixels *out,
                         ldm_error *err)
{
    const size_t bytes = (size_t)out->width * out->height * out->channels;
    int code = spng_decode_image(ctx, out->data, bytes, fmt, flags);

    /* libspng stops at the last pixel; read on to IEND, so that a cut file is an error and the
     * chunks behind the pixels are seen. */
    if (!code)
        code = spng_decode_chunks(ctx);
    return code ? read_error(err, code, name) : LDM_OK;
}

/* Whether pixels may be transparent: by an alpha channel, or by a tRNS chunk, which gives palette
 * entries their alpha, or names one grey or colour that is transparent. */
static ldm_status has_alpha(spng_ctx *ctx, const struct spng_ihdr *ihdr, const char *name,
                            bool *alpha, ldm_error *err)
{
    struct spng_trns trns;
    int code;

    *alpha = ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ||
             ihdr->color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
    if (*alpha)
        return LDM_OK;
    code = spng_get_trns(ctx, &trns);
    *alpha = !code;
    return code && code != SPNG_ECHUNKAVAIL ? read_error(err, code, name) : LDM_OK;
}

/* Of three equal channels the first, and alpha if there is one; in place. */
static void keep_grey(ldm_pixels *p)
{
    const size_t pixels = (size_t)p->width * p->height;
    const unsigned from = p->channels, to = from - 2;
    size_t i;

    for (i = 0; i < pixels; i++) {
        p->data[i * to] = p->data[i * from];
        if (to == 2)
            p->data[i * to + 1] = p->data[i * from + 3];
    }
    p->channels = to;
}

/* The channels that the file holds. libspng gives any file as RGB or RGBA, but not any as grey;
 * grey is then the first of three equal channels. */
static ldm_status decode_as_held(spng_ctx *ctx, const struct spng_ihdr *ihdr, const char *name,
                                 ldm_pixels *out, ldm_error *err)
{
    const bool grey = ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE ||
                      ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
    struct spng_exif exif;
    ldm_status st;
    bool alpha;

    st = has_alpha(ctx, ihdr, name, &alpha, err);
    if (!st)
        st = create_named(ihdr, name, alpha ? 4 : 3, out, err);
    if (!st)
        st = decode(ctx, name, alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8, SPNG_DECODE_TRNS, out, err);
    if (!st && grey)
        keep_grey(out);
    if (!st && !spng_get_exif(ctx, &exif))
        st = ldm_pixels_orient(out, ldm_exif_orientation(exif.data, exif.length), err);
    return st;
}

ldm_status ldm_png_read_pixels_memory(const void *data, size_t size, const char *name,
                                      uint64_t max_pixels, ldm_pixels *out, ldm_error *err)
{
    struct spng_ihdr ihdr;
    spng_ctx *ctx;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = open_decoder(data, size, name, max_pixels, &ctx, &ihdr, err);
    if (!st)
        st = decode_as_held(ctx, &ihdr, name, out, err);
    spng_ctx_free(ctx);
    if (st)
        ldm_pixels_free(out);
    return st;
}

bool ldm_png_is(const void *data, size_t size)
{
    return size >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8);
}

/* Sample x of a row as the file packs it. */
static unsigned sample_of(const unsigned char *row, size_t x, unsigned depth, unsigned samples)
{
    if (depth == 16)
        return (unsigned)row[2 * x * samples] << 8 | row[2 * x * samples + 1];
    if (depth == 8)
        return row[x * samples];
    return row[x * depth / 8] >> (8 - depth - x * depth % 8) & ((1u << depth) - 1);
}

static ldm_status unpack_numbers(const struct spng_ihdr *h, const unsigned char *packed,
                                 size_t bytes, const char *name, ldm_pixels *out, ldm_error *err)
{
    const unsigned samples = h->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ? 2 : 1;
    const size_t row_bytes = bytes / h->height;
    size_t x, y;

    for (y = 0; y < h->height; y++) {
        for (x = 0; x < h->width; x++) {
            const unsigned v = sample_of(packed + y * row_bytes, x, h->bit_depth, samples);

            if (v > UINT8_MAX)
                return ldm_error_set(err, LDM_ERR_RANGE,
                                     "%s: pixel (%zu, %zu) holds the number %u, expected at most "
                                     "255",
                                     name, x, y, v);
            out->data[y * h->width + x] = (uint8_t)v;
        }
    }
    return LDM_OK;
}

/* The packed samples; *packed: ldm_free it. */
static ldm_status decode_packed(spng_ctx *ctx, const char *name, unsigned char **packed,
                                size_t *bytes, ldm_error *err)
{
    int code = spng_decoded_image_size(ctx, SPNG_FMT_RAW, bytes);

    *packed = code ? NULL : ldm_malloc(*bytes);
    if (!code && !*packed)
        return ldm_error_nomem(err, *bytes, name);
    if (!code)
        code = spng_decode_image(ctx, *packed, *bytes, SPNG_FMT_RAW, 0);
    if (!code)
        code = spng_decode_chunks(ctx);
    return code ? read_error(err, code, name) : LDM_OK;
}

static ldm_status decode_numbers(spng_ctx *ctx, const struct spng_ihdr *h, const char *name,
                                 ldm_pixels *out, ldm_error *err)
{
    unsigned char *packed = NULL;
    struct spng_exif exif;
    size_t bytes;
    ldm_status st;

    if (h->color_type == SPNG_COLOR_TYPE_TRUECOLOR ||
        h->color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s holds colours, expected numbers: a grey or an indexed PNG", name);
    st = create_named(h, name, 1, out, err);
    if (!st)
        st = decode_packed(ctx, name, &packed, &bytes, err);
    if (!st)
        st = unpack_numbers(h, packed, bytes, name, out, err);
    if (!st && !spng_get_exif(ctx, &exif))
        st = ldm_pixels_orient(out, ldm_exif_orientation(exif.data, exif.length), err);
    ldm_free(packed);
    return st;
}

ldm_status ldm_png_read_numbers_memory(const void *data, size_t size, const char *name,
                                       uint64_t max_pixels, ldm_pixels *out, ldm_error *err)
{
    struct spng_ihdr ihdr;
    spng_ctx *ctx;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = open_decoder(data, size, name, max_pixels, &ctx, &ihdr, err);
    if (!st)
        st = decode_numbers(ctx, &ihdr, name, out, err);
    spng_ctx_free(ctx);
    if (st)
        ldm_pixels_free(out);
    return st;
}

/* tEXt and zTXt are Latin-1; iTXt is UTF-8. Returns the bytes with the NUL; out may be NULL. */
static size_t put_text(const struct spng_text *t, char *out)
{
    if (t->type != SPNG_ITXT)
        return ldm_text_from_latin1(t->text, t->length, out);
    if (out) {
        memcpy(out, t->text, t->length);
        out[t->length] = '\0';
    }
    return t->length + 1;
}

/* One block: the array, then all strings. */
static ldm_status copy_texts(const struct spng_text *from, size_t count, ldm_text **texts,
                             ldm_error *err)
{
    size_t bytes = count * sizeof **texts, i;
    char *at;

    for (i = 0; i < count; i++)
        bytes += strlen(from[i].keyword) + 1 + put_text(&from[i], NULL);
    *texts = ldm_malloc(bytes);
    if (!*texts)
        return ldm_error_nomem(err, bytes, "PNG texts");
    at = (char *)(*texts + count);
    for (i = 0; i < count; i++) {
        (*texts)[i].key = at;
        strcpy(at, from[i].keyword);
        at += strlen(at) + 1;
        (*texts)[i].value = at;
        at += put_text(&from[i], at);
    }
    return LDM_OK;
}

/* All text chunks of a file as they stand in it, and each of them unpacked. */
static const size_t max_text_bytes = (size_t)4 << 20;

static bool is_text(const unsigned char *type)
{
    return !memcmp(type, "tEXt", 4) || !memcmp(type, "zTXt", 4) || !memcmp(type, "iTXt", 4);
}

/* Appends the file's header and its text chunks. All others are passed over unread, the pixels
 * above all: a small file may hold a great many. */
static ldm_status gather_texts(const unsigned char *data, size_t size, const char *name,
                               ldm_str *out, ldm_error *err)
{
    size_t at = SIGNATURE_BYTES, count = 0, bytes = 0;

    for (;;) {
        const unsigned char *chunk = data + at;
        const size_t left = size - at, whole = left < 4 ? 0 : be32(chunk) + CHUNK_EXTRA_BYTES;

        if (left < CHUNK_EXTRA_BYTES || whole > left)
            return ldm_error_at(err, LDM_ERR_FORMAT, at,
                                "%s: byte %zu: the PNG ends without IEND: it is cut off or damaged",
                                name, at);
        if (!memcmp(chunk + 4, "IEND", 4))
            return LDM_OK;
        if (at == SIGNATURE_BYTES) {
            ldm_str_append(out, (const char *)data, at + whole);
        } else if (is_text(chunk + 4)) {
            bytes += whole;
            if (++count > MAX_TEXTS || bytes > max_text_bytes)
                return ldm_error_at(err, LDM_ERR_LIMIT, at,
                                    "%s: byte %zu: more than %d texts or %zu MB of them in a PNG",
                                    name, at, MAX_TEXTS, max_text_bytes >> 20);
            ldm_str_append(out, (const char *)chunk, whole);
        }
        at += whole;
    }
}

/* The texts of a PNG whose pixels do not begin yet. */
static ldm_status parse_texts(spng_ctx *ctx, const char *name, ldm_text **texts, size_t *count,
                              ldm_error *err)
{
    struct spng_text *found = NULL;
    uint32_t n = 0;
    ldm_status st;
    int code = spng_get_text(ctx, NULL, &n);

    if (code == SPNG_ECHUNKAVAIL || (!code && n == 0))
        return LDM_OK; /* a PNG without text */
    if (!code) {
        found = ldm_calloc(n, sizeof *found);
        code = found ? spng_get_text(ctx, found, &n) : SPNG_EMEM;
    }
    st = code ? read_error(err, code, name) : copy_texts(found, n, texts, err);
    if (!st)
        *count = n;
    ldm_free(found);
    return st;
}

/* libspng gets to see the header, the texts, and where pixels would begin. */
ldm_status ldm_png_read_texts_memory(const void *data, size_t size, const char *name,
                                     ldm_text **texts, size_t *count, ldm_error *err)
{
    static const char pixels[CHUNK_EXTRA_BYTES] = {0, 0, 0, 0, 'I', 'D', 'A', 'T'};
    struct spng_ihdr ihdr;
    ldm_str part = {0};
    spng_ctx *ctx;
    ldm_status st;

    *texts = NULL;
    *count = 0;
    st = open_decoder(data, size, name, 0, &ctx, &ihdr, err);
    spng_ctx_free(ctx);
    if (st)
        return st;
    st = gather_texts(data, size, name, &part, err);
    ldm_str_append(&part, pixels, sizeof pixels);
    if (!st && part.failed)
        st = ldm_error_nomem(err, size, name);
    if (!st) {
        st = start_decoder(part.data, part.len, name, max_text_bytes, 2 * max_text_bytes, &ctx,
                           &ihdr, err);
        if (!st)
            st = parse_texts(ctx, name, texts, count, err);
        spng_ctx_free(ctx);
    }
    ldm_str_free(&part);
    return st;
}
