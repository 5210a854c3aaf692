/* SPDX-License-Identifier: MIT */
/* Between two noises. */
#ifndef LDM_SAMPLE_SLERP_H
#define LDM_SAMPLE_SLERP_H

#include <stddef.h>

/* Spherical interpolation (Shoemake 1985, "Animating rotation with quaternion curves"): sin((1 - t)
 * w) / sin(w) * a + sin(t w) / sin(w) * b, w the angle between a and b as vectors of `count`
 * numbers. Unlike a line between them it passes through noise of the same length. Along a line
 * where they point the same way, or one is 0. t 0 gives a, 1 gives b, bit by bit. out may be a or
 * b. */
void ldm_slerp(const float *a, const float *b, double t, size_t count, float *out);

#endif
