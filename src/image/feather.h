/* SPDX-License-Identifier: MIT */
/* Putting a painted picture into the one that it was painted over. */
#ifndef LDM_IMAGE_FEATHER_H
#define LDM_IMAGE_FEATHER_H

#include "base/error.h"
#include "image/pixels.h"

/* weights[height][width] of what was painted: 0 where paint (1 channel) is 0, and inside the rest
 * min(1, d / (blur + 1)), d the Euclidean distance in pixels to the nearest pixel with 0. So the
 * edge lies inside the painted region, blur pixels wide; blur 0: all of it is 1. Beyond the picture
 * there is nothing. */
ldm_status ldm_feather(const ldm_pixels *paint, unsigned blur, float *weights, ldm_error *err);

/* to = from + weight * (to - from), rounded to the nearest, for RGB [height][width][3]; a weight of
 * 0 copies from's bytes, of 1 leaves to's. */
void ldm_feather_blend(const uint8_t *from, const float *weights, size_t pixels, uint8_t *to);

#endif
