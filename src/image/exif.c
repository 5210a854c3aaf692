/* SPDX-License-Identifier: MIT */
/* EXIF is a TIFF file without pixels: a header with the byte order and the offset of a directory; a
 * directory is a count and entries of 12 bytes: tag, type, count, and the value where it fits in 4.
 */
#include "image/exif.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

enum {
    HEADER_BYTES = 8,
    ENTRY_BYTES = 12,
    TAG_ORIENTATION = 0x0112,
    TYPE_SHORT = 3,
    TYPE_LONG = 4, /* some programs write the orientation so */
    TIFF_MAGIC = 42
};

typedef struct tiff {
    const unsigned char *data;
    size_t size;
    bool big_endian;
} tiff;

/* Callers have checked that 2 or 4 bytes are there. */
static unsigned get16(const tiff *t, size_t at)
{
    const unsigned char *p = t->data + at;

    return t->big_endian ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static uint32_t get32(const tiff *t, size_t at)
{
    const uint32_t a = get16(t, at), b = get16(t, at + 2);

    return t->big_endian ? a << 16 | b : b << 16 | a;
}

/* 0 if the entry at `at` is not an orientation. */
static int entry_orientation(const tiff *t, size_t at)
{
    const unsigned type = get16(t, at + 2);
    uint32_t value;

    if (get16(t, at) != TAG_ORIENTATION || get32(t, at + 4) != 1)
        return 0;
    if (type != TYPE_SHORT && type != TYPE_LONG)
        return 0;
    value = type == TYPE_SHORT ? get16(t, at + 8) : get32(t, at + 8);
    return value >= 1 && value <= 8 ? (int)value : 0;
}

int ldm_exif_orientation(const void *data, size_t size)
{
    tiff t = {data, size, false};
    size_t at, count, i;
    int found;

    if (size < HEADER_BYTES + 2)
        return 0;
    t.big_endian = t.data[0] == 'M';
    if (memcmp(t.data, t.big_endian ? "MM" : "II", 2) != 0 || get16(&t, 2) != TIFF_MAGIC)
        return 0;
    at = get32(&t, 4);
    if (at > size - 2)
        return 0;
    count = get16(&t, at);
    at += 2;
    if (count > (size - at) / ENTRY_BYTES) /* the entries that are there still count */
        count = (size - at) / ENTRY_BYTES;
    for (i = 0; i < count; i++) {
        found = entry_orientation(&t, at + i * ENTRY_BYTES);
        if (found)
            return found;
    }
    return 0;
}

/* Where in the stored picture (w x h) the sample for the upright picture's column x and row y is,
 * in pixels from the first. */
static size_t source_of(int orientation, size_t w, size_t h, size_t x, size_t y)
{
    switch (orientation) {
    case 2:
        return y * w + (w - 1 - x);
    case 3:
        return (h - 1 - y) * w + (w - 1 - x);
    case 4:
        return (h - 1 - y) * w + x;
    case 5:
        return x * w + y;
    case 6:
        return (h - 1 - x) * w + y;
    case 7:
        return (h - 1 - x) * w + (w - 1 - y);
    default: /* 8 */
        return x * w + (w - 1 - y);
    }
}

ldm_status ldm_pixels_orient(ldm_pixels *p, int orientation, ldm_error *err)
{
    const bool turned = orientation >= 5;
    ldm_pixels out;
    ldm_status st;
    size_t x, y;

    if (orientation < 2 || orientation > 8)
        return LDM_OK;
    st = ldm_pixels_create(turned ? p->height : p->width, turned ? p->width : p->height,
                           p->channels, &out, err);
    if (st)
        return st;
    for (y = 0; y < out.height; y++)
        for (x = 0; x < out.width; x++)
            memcpy(out.data + (y * out.width + x) * out.channels,
                   p->data + source_of(orientation, p->width, p->height, x, y) * p->channels,
                   p->channels);
    ldm_pixels_free(p);
    *p = out;
    return LDM_OK;
}
