/* SPDX-License-Identifier: MIT */
/* Fitting a picture to a size: geometry as in PIL's ImageOps. */
#include <math.h>
#include <string.h>

#include "image/resize.h"

/* ImageOps.fit: the largest centred region of the target's shape. */
static ldm_resize_box crop_box(double in_w, double in_h, double w, double h)
{
    const double ratio = w / h, in_ratio = in_w / in_h;
    const double part_w = in_ratio >= ratio && in_ratio != ratio ? ratio * in_h : in_w;
    const double part_h = in_ratio < ratio ? in_w / ratio : in_h;
    const double left = (in_w - part_w) * 0.5, top = (in_h - part_h) * 0.5;

    return (ldm_resize_box){(float)left, (float)top, (float)(left + part_w), (float)(top + part_h)};
}

/* ImageOps.pad: the side that is short of the target's shape. */
static uint32_t padded_side(double value)
{
    const double rounded = nearbyint(value); /* half to even, as Python's round */

    return rounded < 1 ? 1 : (uint32_t)rounded;
}

ldm_fit ldm_fit_compute(uint32_t in_width, uint32_t in_height, uint32_t width, uint32_t height,
                        ldm_fit_mode mode)
{
    ldm_fit fit = {{0, 0, (float)in_width, (float)in_height}, 0, 0, width, height};
    const double in_ratio = (double)in_width / in_height, ratio = (double)width / height;

    if (mode == LDM_FIT_CROP) {
        fit.box = crop_box(in_width, in_height, width, height);
    } else if (mode == LDM_FIT_PAD && in_ratio > ratio) {
        fit.height = padded_side((double)in_height / in_width * width);
        fit.top = (uint32_t)nearbyint((height - fit.height) * 0.5);
    } else if (mode == LDM_FIT_PAD && in_ratio < ratio) {
        fit.width = padded_side((double)in_width / in_height * height);
        fit.left = (uint32_t)nearbyint((width - fit.width) * 0.5);
    }
    return fit;
}

static void paste(const ldm_pixels *from, const ldm_fit *fit, ldm_pixels *to)
{
    const size_t channels = to->channels, row = (size_t)from->width * channels;
    size_t y;

    for (y = 0; y < from->height; y++)
        memcpy(to->data + ((fit->top + y) * to->width + fit->left) * channels, from->data + y * row,
               row);
}

ldm_status ldm_pixels_fit(const ldm_pixels *in, uint32_t width, uint32_t height, ldm_fit_mode mode,
                          ldm_resize_how how, ldm_pixels *out, ldm_error *err)
{
    ldm_pixels inner;
    ldm_status st;
    ldm_fit fit;

    /* Memory for the target first: it refuses sizes of 0, which have no shape. */
    st = ldm_pixels_create(width, height, in->channels, out, err);
    if (st)
        return st;
    fit = ldm_fit_compute(in->width, in->height, width, height, mode);
    st = ldm_resize(in, &fit.box, how, fit.width, fit.height, &inner, err);
    if (!st)
        paste(&inner, &fit, out);
    else
        ldm_pixels_free(out);
    ldm_pixels_free(&inner);
    return st;
}
