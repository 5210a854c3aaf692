/* SPDX-License-Identifier: MIT */
/* Classifier-free guidance (Ho and Salimans 2022). */
#ifndef LDM_SAMPLE_GUIDANCE_H
#define LDM_SAMPLE_GUIDANCE_H

#include <stddef.h>

/* e_uncond + scale * (e_cond - e_uncond), in float32 as CompVis writes it; out may be either. */
void ldm_guidance_mix(const float *e_uncond, const float *e_cond, double scale, size_t count,
                      float *out);

#endif
