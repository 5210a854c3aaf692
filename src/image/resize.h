/* SPDX-License-Identifier: MIT */
/* Resizing as PIL (Pillow) does it, to the last bit, and how a picture is fitted to a size.
 *
 * CompVis' scripts and their users' pipelines resize with PIL before a picture meets the network;
 * equal input gives equal latents only if the bytes are equal. */
#ifndef LDM_IMAGE_RESIZE_H
#define LDM_IMAGE_RESIZE_H

#include <stdint.h>

#include "base/error.h"
#include "image/pixels.h"

/* PIL's filters of the same names. All but NEAREST are stretched when shrinking, so that every
 * source pixel counts and nothing aliases. Support in source pixels: BOX 0.5, BILINEAR 1, BICUBIC
 * (Keys, a = -0.5) 2, LANCZOS 3. */
typedef enum ldm_resample {
    LDM_RESAMPLE_NEAREST,
    LDM_RESAMPLE_BOX,
    LDM_RESAMPLE_BILINEAR,
    LDM_RESAMPLE_BICUBIC,
    LDM_RESAMPLE_LANCZOS
} ldm_resample;

/* Whether rows or columns are filtered first. As samples are rounded to 8 bits between the two
 * passes, results differ by a level or two. Pillow 2.7 to 12, and so whatever was published with
 * these models, filters rows first. Pillow 13 begins with columns if the height loses more than
 * twice as many pixels as the width: 400 x 1600 to 256 x 256, not 1200 x 1600 to 256 x 256. */
typedef enum ldm_resize_order { LDM_RESIZE_ROWS_FIRST, LDM_RESIZE_PILLOW_13 } ldm_resize_order;

typedef struct ldm_resize_how {
    ldm_resample filter;
    ldm_resize_order order; /* 0, rows first, is right unless Pillow 13's own bytes are wanted */
} ldm_resize_how;

/* A region of the source in pixels, fractions allowed: 0 <= left < right <= width, likewise top and
 * bottom. float as in PIL. */
typedef struct ldm_resize_box {
    float left, top, right, bottom;
} ldm_resize_box;

/* Image.resize((width, height), filter, box) of PIL for 8-bit L, LA, RGB and RGBA (channels 1 to
 * 4); alpha weights the colours as there: they are multiplied by it before and divided after,
 * NEAREST excepted. box may be NULL: the whole picture. Two passes, rows before columns, each with
 * weights in fixed point (22 fraction bits) and a result rounded to 8 bits. Equal sizes without a
 * box give a copy. LDM_ERR_RANGE for a size of 0 or a box outside the picture. out is new memory,
 * zeroed after an error. */
ldm_status ldm_resize(const ldm_pixels *in, const ldm_resize_box *box, ldm_resize_how how,
                      uint32_t width, uint32_t height, ldm_pixels *out, ldm_error *err);

/* What happens when shapes differ: the picture is distorted; or cut to the target's shape, equally
 * on both sides; or made to fit inside with borders, equally on both sides. */
typedef enum ldm_fit_mode { LDM_FIT_STRETCH, LDM_FIT_CROP, LDM_FIT_PAD } ldm_fit_mode;

/* The geometry: box of the source, resized to width x height, which lies at left, top of the
 * target. */
typedef struct ldm_fit {
    ldm_resize_box box;
    uint32_t left, top, width, height;
} ldm_fit;

/* The geometry of fitting in_width x in_height into width x height (all at least 1): CROP is PIL's
 * ImageOps.fit, PAD its ImageOps.pad, both centred (0.5, 0.5), with its rounding (half to even).
 * With CROP and STRETCH the result fills the target; with PAD width and height are at least 1. */
ldm_fit ldm_fit_compute(uint32_t in_width, uint32_t in_height, uint32_t width, uint32_t height,
                        ldm_fit_mode mode);

/* Fits a picture by ldm_fit_compute and ldm_resize. Borders of PAD are 0 in all channels: black,
 * and transparent where there is alpha. Errors as ldm_resize. */
ldm_status ldm_pixels_fit(const ldm_pixels *in, uint32_t width, uint32_t height, ldm_fit_mode mode,
                          ldm_resize_how how, ldm_pixels *out, ldm_error *err);

#endif
