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

/* Entry i of n from start to end; the upper half counts down from the end. n = 1: start. Product
 * and sum are rounded once, as torch's fused operation does. */
static inline float ldm_linspace32(float start, float end, int n, int i)
{
    const double step = n > 1 ? (double)((end - start) / (float)(n - 1)) : 0;

    return (float)(i < n / 2 || n == 1 ? (double)start + step * i
                                       : (double)end - step * (n - 1 - i));
}

#endif
