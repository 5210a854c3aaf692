/* SPDX-License-Identifier: MIT */
/* Pictures of 1 to 4 channels: memory and changes of channels. */
#include "image/pixels.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/file.h"
#include "image/jpeg.h"
#include "image/picture.h"

enum { OPAQUE = 255, MAX_CHANNELS = 4 };

ldm_status ldm_pixels_create(uint32_t width, uint32_t height, unsigned channels, ldm_pixels *out,
                             ldm_error *err)
{
    size_t bytes;

    memset(out, 0, sizeof *out);
    if (!width || !height || !channels || channels > MAX_CHANNELS)
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "a picture of %u x %u pixels and %u channels, expected at least 1 x 1 "
                             "and 1 to 4 channels",
                             width, height, channels);
    if (ldm_mul_size(width, height, &bytes) || ldm_mul_size(bytes, channels, &bytes))
        return ldm_error_set(err, LDM_ERR_RANGE, "a picture of %u x %u pixels exceeds memory",
                             width, height);
    out->data = ldm_calloc(bytes, 1);
    if (!out->data)
        return ldm_error_nomem(err, bytes, "a picture");
    out->width = width;
    out->height = height;
    out->channels = channels;
    return LDM_OK;
}

void ldm_pixels_free(ldm_pixels *p)
{
    ldm_free(p->data);
    memset(p, 0, sizeof *p);
}

static uint8_t luma(const uint8_t *c)
{
    return (uint8_t)((19595u * c[0] + 38470u * c[1] + 7471u * c[2] + 32768u) >> 16);
}

/* One pixel of `from` channels as one of `to` channels. */
static void convert_pixel(const uint8_t *in, unsigned from, uint8_t *out, unsigned to)
{
    const uint8_t alpha = from % 2 == 0 ? in[from - 1] : OPAQUE;

    if (to <= 2)
        out[0] = from <= 2 ? in[0] : luma(in);
    else if (from <= 2)
        memset(out, in[0], 3);
    else
        memcpy(out, in, 3);
    if (to % 2 == 0)
        out[to - 1] = alpha;
}

ldm_status ldm_pixels_convert(ldm_pixels *p, unsigned channels, ldm_error *err)
{
    const size_t count = (size_t)p->width * p->height;
    ldm_pixels out;
    ldm_status st;
    size_t i;

    if (channels == p->channels)
        return LDM_OK;
    st = ldm_pixels_create(p->width, p->height, channels, &out, err);
    if (st)
        return st;
    for (i = 0; i < count; i++)
        convert_pixel(p->data + i * p->channels, p->channels, out.data + i * channels, channels);
    ldm_pixels_free(p);
    *p = out;
    return LDM_OK;
}

/* ---- files ---- */
