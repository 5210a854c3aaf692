/* SPDX-License-Identifier: MIT */
/* JPEG through libturbojpeg. Files come from anywhere: segments are walked and sizes checked here
 * before the library sees the file, and its warnings, after which it hands out whatever it has, are
 * errors. */
#include "image/jpeg.h"

#include <string.h>
#include <turbojpeg.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/str.h"
#include "image/exif.h"
#include "image/jpeg_segments.h"
#include "image/picture_text.h"

enum {
    COMMENT_SEGMENT = 65533, /* bytes: a length of 65,535 counts itself */
    MAX_COMMENTS = 1000
};

static const uint64_t default_max_pixels = 64000000;
static const size_t max_comment_bytes = (size_t)4 << 20;

/* ---- reading ---- */

static ldm_status check_size(const ldm_jpeg_frame *f, uint64_t file_bytes, uint64_t max_pixels,
                             const char *name, ldm_error *err)
{
    if ((uint64_t)f->width * f->height > max_pixels)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "%s: a picture of %u x %u pixels, expected at most %llu pixels", name,
                             f->width, f->height, (unsigned long long)max_pixels);
    /* The shortest Huffman code has one bit, and each block has at least one code. */
    if (f->blocks / 8 > file_bytes)
        return ldm_error_set(
            err, LDM_ERR_FORMAT,
            "%s: %llu bytes cannot hold the %u x %u pixels that its header claims; "
            "the file is truncated or damaged",
            name, (unsigned long long)file_bytes, f->width, f->height);
    return LDM_OK;
}

/* Cameras are known to leave bytes between the last sample and the end marker, all samples being
 * there; libjpeg's words for it. Any other warning is about missing or senseless data. */
static bool is_harmless(const char *warning)
{
    return strstr(warning, "extraneous bytes before marker 0xd9") != NULL;
}

static ldm_status decompress(const void *data, size_t size, const ldm_jpeg_frame *f, int format,
                             const char *name, uint8_t *out, ldm_error *err)
{
    const int width = (int)f->width, height = (int)f->height;
    tjhandle tj = tjInitDecompress();
    ldm_status st = LDM_OK;

    if (!tj)
        return ldm_error_nomem(err, 0, "the JPEG decoder");
    if (tjDecompress2(tj, data, (unsigned long)size, out, width, width * (int)f->components, height,
                      format, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)) {
        const char *why = tjGetErrorStr2(tj);

        if (tjGetErrorCode(tj) != TJERR_WARNING || !is_harmless(why))
            st = ldm_error_set(err, LDM_ERR_FORMAT, "cannot read %s as JPEG: %s", name, why);
    }
    tjDestroy(tj);
    return st;
}

/* a * b / 255, rounded. */
static unsigned scaled(unsigned a, unsigned b)
{
    const unsigned t = a * b + 128;

    return (t + (t >> 8)) >> 8;
}

/* Stored inverted, a sample is what its ink leaves of the light: red is what cyan and black leave.
 * Rounded as PIL does: K - (255 - C) K / 255. In place, 4 samples to 3. */
static void rgb_from_cmyk(uint8_t *samples, size_t pixels)
{
    size_t i, c;

    for (i = 0; i < pixels; i++) {
        const unsigned key = samples[4 * i + 3];

        for (c = 0; c < 3; c++)
            samples[3 * i + c] = (uint8_t)(key - scaled(255 - samples[4 * i + c], key));
    }
}

static ldm_status decode(const void *data, size_t size, const char *name, const ldm_jpeg_frame *f,
                         ldm_pixels *out, ldm_error *err)
{
    static const int formats[5] = {[1] = TJPF_GRAY, [3] = TJPF_RGB, [4] = TJPF_CMYK};
    ldm_status st = ldm_pixels_create(f->width, f->height, f->components, out, err);

    if (st)
        return ldm_error_wrap(err, st, "%s", name);
    st = decompress(data, size, f, formats[f->components], name, out->data, err);
    if (!st && f->components == 4) {
        rgb_from_cmyk(out->data, (size_t)f->width * f->height);
        out->channels = 3;
    }
    return st ? st : ldm_pixels_orient(out, f->orientation, err);
}

ldm_status ldm_jpeg_read_memory(const void *data, size_t size, const char *name,
                                uint64_t max_pixels, ldm_pixels *out, ldm_error *err)
{
    ldm_jpeg_frame f;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = ldm_jpeg_read_frame(data, size, name, &f, err);
    if (!st)
        st = check_size(&f, size, max_pixels ? max_pixels : default_max_pixels, name, err);
    if (!st)
        st = decode(data, size, name, &f, out, err);
    if (st)
        ldm_pixels_free(out);
    return st;
}

/* ---- comments ---- */

/* Appends a comment, up to its first NUL, as UTF-8 with a NUL behind it. */
static void put_comment(const char *s, ldm_str *out)
{
    const size_t len = strlen(s), latin1 = ldm_text_from_latin1(s, len, NULL);
    char *utf8;

    if (ldm_text_is_utf8(s, NULL)) {
        ldm_str_append(out, s, len + 1);
        return;
    }
    utf8 = ldm_malloc(latin1);
    if (utf8) {
        ldm_text_from_latin1(s, len, utf8);
        ldm_str_append(out, utf8, latin1);
    }
    out->failed = out->failed || !utf8;
    ldm_free(utf8);
}

/* Comments found so far; a full segment leaves one open, for the next segment to go on with. */
typedef struct comments {
    ldm_str open, done; /* done: NUL-terminated strings, one after the other */
    bool is_open;
    size_t count;           /* of strings in done */
    size_t segments, bytes; /* read */
} comments;

static void close_comment(comments *c)
{
    if (!c->is_open)
        return;
    ldm_str_append(&c->open, "", 1);
    if (!c->open.failed)
        put_comment(c->open.data, &c->done);
    c->done.failed = c->done.failed || c->open.failed;
    c->count++;
    c->open.len = 0;
    c->is_open = false;
}

static ldm_status add_segment(comments *c, const ldm_jpeg_segment *s, const char *name,
                              ldm_error *err)
{
    if (s->marker != LDM_JPEG_COM) {
        close_comment(c);
        return LDM_OK;
    }
    c->bytes += s->size;
    if (++c->segments > MAX_COMMENTS || c->bytes > max_comment_bytes)
        return ldm_error_at(err, LDM_ERR_LIMIT, s->at,
                            "%s: byte %zu: more than %d comments or %zu MB of them in a JPEG", name,
                            s->at, MAX_COMMENTS, max_comment_bytes >> 20);
    ldm_str_append(&c->open, (const char *)s->data, s->size);
    c->is_open = true;
    if (s->size < COMMENT_SEGMENT)
        close_comment(c);
    return LDM_OK;
}

/* One block: the array, then all strings. */
static ldm_status hand_out(const comments *c, ldm_text **texts, size_t *count, ldm_error *err)
{
    const size_t bytes = c->count * sizeof **texts + c->done.len;
    const char *at;
    size_t i;

    if (c->count && !c->done.failed)
        *texts = ldm_malloc(bytes);
    if (c->done.failed || (c->count && !*texts))
        return ldm_error_nomem(err, bytes, "JPEG comments");
    if (!c->count)
        return LDM_OK;
    memcpy(*texts + c->count, c->done.data, c->done.len);
    at = (const char *)(*texts + c->count);
    for (i = 0; i < c->count; i++) {
        (*texts)[i] = (ldm_text){LDM_JPEG_COMMENT_KEY, at};
        at += strlen(at) + 1;
    }
    *count = c->count;
    return LDM_OK;
}

ldm_status ldm_jpeg_read_texts_memory(const void *data, size_t size, const char *name,
                                      ldm_text **texts, size_t *count, ldm_error *err)
{
    ldm_jpeg_walk w = {.data = data, .size = size, .name = name};
    ldm_jpeg_segment s;
    comments c = {0};
    ldm_status st;

    *texts = NULL;
    *count = 0;
    do {
        st = ldm_jpeg_next(&w, &s, err);
        if (!st)
            st = add_segment(&c, &s, name, err);
    } while (!st && s.marker != LDM_JPEG_EOI);
    if (!st)
        st = hand_out(&c, texts, count, err);
    ldm_str_free(&c.open);
    ldm_str_free(&c.done);
    return st;
}

/* ---- writing ---- */

static ldm_status check_request(const char *path, const ldm_pixels *p, const ldm_jpeg_options *o,
                                ldm_error *err)
{
    const size_t len = o->comment ? strlen(o->comment) : 0;
    size_t at;

    if (o->quality < 1 || o->quality > 100)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: JPEG quality %d, expected 1 to 100", path,
                             o->quality);
    if (o->sampling != LDM_JPEG_444 && o->sampling != LDM_JPEG_420)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: no such JPEG sampling: %d", path,
                             (int)o->sampling);
    if (p->channels != 1 && p->channels != 3)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s: a picture of %u channels, expected 1 or 3: JPEG has no alpha",
                             path, p->channels);
    if (p->width > LDM_JPEG_MAX_SIDE || p->height > LDM_JPEG_MAX_SIDE)
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "%s: a JPEG has at most %d pixels a side, this picture %u x %u", path,
                             LDM_JPEG_MAX_SIDE, p->width, p->height);
    if (len > max_comment_bytes)
        return ldm_error_set(err, LDM_ERR_LIMIT, "%s: a comment of %zu bytes, expected at most %zu",
                             path, len, max_comment_bytes);
    if (len && !ldm_text_is_utf8(o->comment, &at))
        return ldm_error_at(err, LDM_ERR_USAGE, at, "%s: the comment is not UTF-8", path);
    return LDM_OK;
}

/* *coded: *size bytes, to ldm_free. */
static ldm_status compress(const char *path, const ldm_pixels *p, const ldm_jpeg_options *o,
                           unsigned char **coded, unsigned long *size, ldm_error *err)
{
    const bool grey = p->channels == 1;
    const int sampling = grey ? TJSAMP_GRAY : o->sampling == LDM_JPEG_420 ? TJSAMP_420 : TJSAMP_444;
    const int width = (int)p->width, height = (int)p->height;
    const unsigned long room = tjBufSize(width, height, sampling);
    tjhandle tj = tjInitCompress();
    ldm_status st = LDM_OK;

    *coded = tj ? ldm_malloc(room) : NULL;
    *size = room;
    if (!*coded)
        st = ldm_error_nomem(err, room, "a JPEG");
    else if (tjCompress2(tj, p->data, width, width * (int)p->channels, height,
                         grey ? TJPF_GRAY : TJPF_RGB, coded, size, sampling, o->quality,
                         TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT))
        st = ldm_error_set(err, LDM_ERR_FORMAT, "cannot write %s as JPEG: %s", path,
                           tjGetErrorStr2(tj));
    if (tj)
        tjDestroy(tj);
    return st;
}

static void write_comment(const char *text, FILE *stream)
{
    size_t left = strlen(text), part;

    if (!left)
        return;
    do { /* a full segment is never the last one */
        part = left < COMMENT_SEGMENT ? left : COMMENT_SEGMENT;
        const unsigned char head[4] = {0xff, LDM_JPEG_COM, (unsigned char)((part + 2) >> 8),
                                       (unsigned char)(part + 2)};

        fwrite(head, 1, sizeof head, stream);
        fwrite(text, 1, part, stream);
        text += part;
        left -= part;
    } while (part == COMMENT_SEGMENT);
}

/* Comments go after APP0, which JFIF wants first. Failed writes are noticed when the file is
 * committed. */
static ldm_status write_file(const char *path, const unsigned char *coded, size_t size,
                             const char *comment, ldm_error *err)
{
    ldm_jpeg_walk w = {.data = coded, .size = size, .name = path};
    ldm_jpeg_segment s;
    ldm_outfile out;
    ldm_status st = ldm_jpeg_next(&w, &s, err);

    if (!st)
        st = ldm_outfile_open(path, &out, err);
    if (st)
        return st;
    fwrite(coded, 1, w.at, out.stream);
    write_comment(comment ? comment : "", out.stream);
    fwrite(coded + w.at, 1, size - w.at, out.stream);
    return ldm_outfile_commit(&out, err);
}

ldm_status ldm_jpeg_write(const char *path, const ldm_pixels *p, const ldm_jpeg_options *options,
                          ldm_error *err)
{
    static const ldm_jpeg_options defaults = {LDM_JPEG_DEFAULT_QUALITY, LDM_JPEG_444, NULL};
    unsigned char *coded = NULL;
    unsigned long size = 0;
    ldm_status st;

    if (!options)
        options = &defaults;
    st = check_request(path, p, options, err);
    if (!st)
        st = compress(path, p, options, &coded, &size, err);
    if (!st)
        st = write_file(path, coded, size, options->comment, err);
    ldm_free(coded);
    return st;
}
