/* SPDX-License-Identifier: MIT */
/* Walking a JPEG. Markers are FF and a byte that is neither 00 nor FF; nearly all begin a segment
 * with its length in two bytes. Coded data follow SOS: in them FF 00 is a sample byte FF, and FF D0
 * to FF D7 are restart markers, so that any other FF xx ends them. */
#include "image/jpeg_segments.h"

#include <string.h>

#include "image/exif.h"

enum { EXIF_ID_BYTES = 6, FRAME_BYTES = 6, COMPONENT_BYTES = 3, MAX_COMPONENTS = 4, BLOCK = 8 };

static ldm_status cut_off(const ldm_jpeg_walk *w, ldm_error *err)
{
    return ldm_error_at(err, LDM_ERR_FORMAT, w->size,
                        "%s: the JPEG ends at byte %zu without its end marker: it is cut off or "
                        "damaged",
                        w->name, w->size);
}

/* Moves to the marker that ends the coded data, or to the end of the file. */
static void skip_coded(ldm_jpeg_walk *w)
{
    const unsigned char *found;

    while (w->size - w->at >= 2) {
        found = memchr(w->data + w->at, 0xff, w->size - w->at - 1);
        if (!found)
            break;
        w->at = (size_t)(found - w->data);
        if (found[1] != 0 && found[1] != 0xff &&
            (found[1] < LDM_JPEG_RST0 || found[1] > LDM_JPEG_RST7))
            return;
        w->at += found[1] == 0xff ? 1 : 2; /* FF FF: the second may begin the marker */
    }
    w->at = w->size;
}

static unsigned be16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

ldm_status ldm_jpeg_next(ldm_jpeg_walk *w, ldm_jpeg_segment *out, ldm_error *err)
{
    size_t start;

    if (w->at == 0) {
        if (w->size < 2 || w->data[0] != 0xff || w->data[1] != LDM_JPEG_SOI)
            return ldm_error_at(err, LDM_ERR_FORMAT, 0,
                                "%s is no JPEG: it does not begin with FF D8", w->name);
        w->at = 2;
    }
    if (w->coded)
        skip_coded(w);
    w->coded = false;
    start = w->at;
    while (w->size - w->at >= 2 && w->data[w->at] == 0xff && w->data[w->at + 1] == 0xff)
        w->at++; /* fill bytes before a marker */
    if (w->size - w->at < 2)
        return cut_off(w, err);
    if (w->data[w->at] != 0xff || w->data[w->at + 1] < LDM_JPEG_SOF0 ||
        (w->data[w->at + 1] >= LDM_JPEG_RST0 && w->data[w->at + 1] <= LDM_JPEG_SOI))
        return ldm_error_at(
            err, LDM_ERR_FORMAT, start,
            "%s: byte %zu: %02x %02x where a JPEG has a marker: the file is damaged", w->name,
            w->at, w->data[w->at], w->data[w->at + 1]);
    *out = (ldm_jpeg_segment){w->data[w->at + 1], w->data + w->at + 2, 0, w->at};
    w->at += 2;
    if (out->marker == LDM_JPEG_EOI)
        return LDM_OK;
    if (w->size - w->at < 2)
        return cut_off(w, err);
    out->size = be16(out->data);
    if (out->size < 2)
        return ldm_error_at(err, LDM_ERR_FORMAT, w->at,
                            "%s: byte %zu: a JPEG segment of %zu bytes, expected at least 2",
                            w->name, w->at, out->size);
    if (out->size > w->size - w->at)
        return cut_off(w, err);
    w->at += out->size;
    out->data += 2;
    out->size -= 2;
    w->coded = out->marker == LDM_JPEG_SOS;
    return LDM_OK;
}

static bool begins_frame(unsigned marker)
{
    return marker >= LDM_JPEG_SOF0 && marker <= LDM_JPEG_SOF15 && marker != LDM_JPEG_DHT &&
           marker != LDM_JPEG_JPG && marker != LDM_JPEG_DAC;
}

/* SOF0, 1, 2 are Huffman-coded: baseline, extended, progressive. The other kinds have no use here:
 * the arithmetic ones can code any number of blocks in no bytes, and so have no bound by the file's
 * size. */
static ldm_status check_kind(const ldm_jpeg_segment *s, const char *name, ldm_error *err)
{
    static const char *const kinds[16] = {
        [3] = "lossless",      [5] = "hierarchical",  [6] = "hierarchical", [7] = "hierarchical",
        [9] = "arithmetic",    [10] = "arithmetic",   [11] = "arithmetic",  [13] = "hierarchical",
        [14] = "hierarchical", [15] = "hierarchical",
    };
    const char *kind = kinds[s->marker - LDM_JPEG_SOF0];

    if (kind)
        return ldm_error_at(err, LDM_ERR_UNSUPPORTED, s->at,
                            "%s: a JPEG with %s coding, expected baseline or progressive with "
                            "Huffman coding",
                            name, kind);
    if (s->size < FRAME_BYTES + COMPONENT_BYTES ||
        s->size != FRAME_BYTES + (size_t)s->data[5] * COMPONENT_BYTES)
        return ldm_error_at(
            err, LDM_ERR_FORMAT, s->at,
            "%s: byte %zu: a JPEG frame header of %zu bytes does not fit its number "
            "of components",
            name, s->at, s->size);
    if (s->data[0] != 8)
        return ldm_error_at(err, LDM_ERR_UNSUPPORTED, s->at,
                            "%s: a JPEG with %u bits a sample, expected 8", name, s->data[0]);
    if (s->data[5] == 2 || s->data[5] > MAX_COMPONENTS)
        return ldm_error_at(err, LDM_ERR_UNSUPPORTED, s->at,
                            "%s: a JPEG with %u components, expected 1 (grey), 3 or 4", name,
                            s->data[5]);
    return LDM_OK;
}

/* ceil(ceil(side * factor / most) / 8): the blocks of one component along one side. */
static uint64_t blocks_of(uint32_t side, unsigned factor, unsigned most)
{
    const uint64_t samples = ((uint64_t)side * factor + most - 1) / most;

    return (samples + BLOCK - 1) / BLOCK;
}

static ldm_status parse_frame(const ldm_jpeg_segment *s, const char *name, ldm_jpeg_frame *f,
                              ldm_error *err)
{
    const unsigned char *c = s->data + FRAME_BYTES + 1; /* the sampling factors of a component */
    unsigned most_h = 0, most_v = 0, i;
    ldm_status st = check_kind(s, name, err);

    if (st)
        return st;
    if (f->components)
        return ldm_error_at(err, LDM_ERR_FORMAT, s->at, "%s: byte %zu: a JPEG with two frames",
                            name, s->at);
    f->height = be16(s->data + 1);
    f->width = be16(s->data + 3);
    f->components = s->data[5];
    if (!f->width || !f->height)
        return ldm_error_at(err, LDM_ERR_FORMAT, s->at,
                            "%s: a JPEG of %u x %u pixels, expected at least 1 x 1", name, f->width,
                            f->height);
    for (i = 0; i < f->components; i++) {
        const unsigned h = c[COMPONENT_BYTES * i] >> 4, v = c[COMPONENT_BYTES * i] & 15;

        if (h < 1 || h > 4 || v < 1 || v > 4)
            return ldm_error_at(
                err, LDM_ERR_FORMAT, s->at,
                "%s: byte %zu: a JPEG with sampling factors %u x %u, expected 1 to 4", name, s->at,
                h, v);
        most_h = h > most_h ? h : most_h;
        most_v = v > most_v ? v : most_v;
    }
    for (i = 0; i < f->components; i++)
        f->blocks += blocks_of(f->width, c[COMPONENT_BYTES * i] >> 4, most_h) *
                     blocks_of(f->height, c[COMPONENT_BYTES * i] & 15, most_v);
    return LDM_OK;
}

ldm_status ldm_jpeg_read_frame(const void *data, size_t size, const char *name, ldm_jpeg_frame *out,
                               ldm_error *err)
{
    ldm_jpeg_walk w = {.data = data, .size = size, .name = name};
    ldm_jpeg_segment s;
    ldm_status st;
    bool scan = false;

    memset(out, 0, sizeof *out);
    for (;;) {
        st = ldm_jpeg_next(&w, &s, err);
        if (!st && begins_frame(s.marker))
            st = parse_frame(&s, name, out, err);
        if (st)
            return st;
        if (s.marker == LDM_JPEG_EOI)
            break;
        if (s.marker == LDM_JPEG_SOS)
            scan = true;
        if (s.marker == LDM_JPEG_APP1 && !out->orientation && s.size >= EXIF_ID_BYTES &&
            !memcmp(s.data, "Exif\0", EXIF_ID_BYTES))
            out->orientation = ldm_exif_orientation(s.data + EXIF_ID_BYTES, s.size - EXIF_ID_BYTES);
    }
    if (!out->components || !scan)
        return ldm_error_at(err, LDM_ERR_FORMAT, s.at, "%s: a JPEG without a picture in it", name);
    return LDM_OK;
}
