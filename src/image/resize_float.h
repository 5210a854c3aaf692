/* SPDX-License-Identifier: MIT */
/* The three ways in which published picture metrics bring a picture to the size of their network.
 * Each gives floats from 0 to 255 that are not rounded to bytes. They differ by enough to change a
 * FID (G. Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", 2022).
 */
#ifndef LDM_IMAGE_RESIZE_FLOAT_H
#define LDM_IMAGE_RESIZE_FLOAT_H

#include "image/picture.h"

typedef enum ldm_float_resize {
    /* TensorFlow 1's resize_bilinear without align_corners: result i lies at i * in / out, without
     * half a pixel. Neighbours alone count: shrinking aliases. */
    LDM_FLOAT_RESIZE_TF1,
    /* PyTorch's F.interpolate(mode="bilinear", align_corners=False): result i lies at
     * (i + 0.5) * in / out - 0.5. Neighbours alone count as well. */
    LDM_FLOAT_RESIZE_TORCH,
    /* PIL's Image.resize(BICUBIC) of each channel in mode "F", then clipped to 0..255: the filter
     * is stretched when shrinking, so that nothing aliases. */
    LDM_FLOAT_RESIZE_PIL
} ldm_float_resize;

/* p to width x height: out [height][width][3], the caller's. Any sizes of at least 1. */
ldm_status ldm_resize_to_floats(const ldm_picture *p, ldm_float_resize how, uint32_t width,
                                uint32_t height, float *out, ldm_error *err);

#endif
