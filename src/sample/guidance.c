/* SPDX-License-Identifier: MIT */
/* See guidance.h. */
#include "sample/guidance.h"

void ldm_guidance_mix(const float *e_uncond, const float *e_cond, double scale, size_t count,
                      float *out)
{
    const float s = (float)scale;
    size_t i;

    for (i = 0; i < count; i++)
        out[i] = e_uncond[i] + s * (e_cond[i] - e_uncond[i]);
}
