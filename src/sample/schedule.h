/* SPDX-License-Identifier: MIT */
/* Noise schedules: betas and the products of their alphas. Pure maths; no model. */
#ifndef LDM_SAMPLE_SCHEDULE_H
#define LDM_SAMPLE_SCHEDULE_H

#include "base/error.h"

typedef enum ldm_beta_schedule {
    LDM_BETA_LINEAR,
    LDM_BETA_COSINE,
    LDM_BETA_SQRT_LINEAR,
    LDM_BETA_SQRT
} ldm_beta_schedule;

/* "linear", "cosine", "sqrt_linear", "sqrt"; anything else is LDM_ERR_CONFIG. */
ldm_status ldm_beta_schedule_parse(const char *name, ldm_beta_schedule *out, ldm_error *err);
const char *ldm_beta_schedule_name(ldm_beta_schedule s);

/* CompVis make_beta_schedule: betas[n] in f64 (ldm/modules/diffusionmodules/util.py). */
void ldm_betas(ldm_beta_schedule s, int n, double linear_start, double linear_end, double cosine_s,
               double *betas);
/* CompVis register_schedule: alphas_cumprod in f64, and its f32 copy as the buffer stores it. */
void ldm_alphas_cumprod(const double *betas, int n, double *f64, float *f32);
/* Algorithm 1 of "Common diffusion noise schedules and sample steps are flawed": sqrt(alphas)
 * shifted and scaled so that the last is 0 and the first stays. out[n] may be alphas. */
void ldm_zero_terminal_snr(const float *alphas_cumprod, int n, float *out);

#endif
