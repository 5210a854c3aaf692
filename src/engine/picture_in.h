/* SPDX-License-Identifier: MIT */
/* Inside the room: pictures on their way into a first stage's encoder. */
#ifndef LDM_ENGINE_PICTURE_IN_H
#define LDM_ENGINE_PICTURE_IN_H

#include <ldm/ldm.h>

#include "image/resize.h"

/* How a picture of another size is fitted; the values of the setting "fit" but auto. KEEP: nothing
 * is resized; the target is at least as large, and the picture's last column and row are repeated
 * up to it (in the picture it lies at the left and the top). */
typedef enum ldm_fit_how {
    LDM_FIT_HOW_CROP,
    LDM_FIT_HOW_PAD,
    LDM_FIT_HOW_STRETCH,
    LDM_FIT_HOW_KEEP
} ldm_fit_how;

/* Any picture (1, 3 or 4 channels; alpha is dropped) as `channels` (1 or 3) of width x height, by
 * Lanczos as PIL. *out: ldm_pixels_free. */
ldm_status ldm_picture_in_fit(const ldm_image *im, unsigned channels, uint32_t width,
                              uint32_t height, ldm_fit_how how, ldm_pixels *out, ldm_error *err);

/* CompVis' load_img: planes[c][h][w] = 2 * (v / 255) - 1 in float32. */
void ldm_picture_in_planes(const ldm_pixels *p, float *planes);

/* The side that pixels need of a latent whose sides are multiples of `multiple`: 250 pixels, factor
 * 4 and multiple 4 give 64. */
int ldm_picture_in_latent_side(int pixels, int factor, int multiple);

#endif
