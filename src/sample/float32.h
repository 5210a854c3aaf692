/* SPDX-License-Identifier: MIT */
/* Functions of f32 rounded once, from double, and torch.linspace in f32: for schedules that the
 * original computes in f32, whose rounding shows. */
#ifndef LDM_SAMPLE_FLOAT32_H
#define LDM_SAMPLE_FLOAT32_H

#include <math.h>

static inline float ldm_exp32(float x)
{
    return (float)exp((double)x);
}

static inline float ldm_log32(float x)
{
    return (float)log((double)x);
}

static inline float ldm_pow32(float x, double y)
{
    return (float)pow((double)x, y);
}

/* Entry i of n from start to end; the upper half counts down from the end. n = 1: start. */
static inline float ldm_linspace32(float start, float end, int n, int i)
{
    const float step = n > 1 ? (end - start) / (float)(n - 1) : 0.0f;

    return i < n / 2 || n == 1 ? start + step * (float)i : end - step * (float)(n - 1 - i);
}

#endif
