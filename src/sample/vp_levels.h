/* SPDX-License-Identifier: MIT */
/* Inside the room: the plan of the multistep methods that diffusers' schedulers have in common:
 * whole timesteps, x = alpha * x0 + sigma * noise with alpha^2 + sigma^2 = 1. */
#ifndef LDM_SAMPLE_VP_LEVELS_H
#define LDM_SAMPLE_VP_LEVELS_H

#include "sample/sampler_row.h"

#define LDM_VP_SPACINGS                                                                            \
    (LDM_SPACING_BIT(LDM_SPACING_LINSPACE) | LDM_SPACING_BIT(LDM_SPACING_LEADING) |                \
     LDM_SPACING_BIT(LDM_SPACING_TRAILING) | LDM_SPACING_BIT(LDM_SPACING_KARRAS) |                 \
     LDM_SPACING_BIT(LDM_SPACING_EXPONENTIAL))

/* Where x stands at one end of a step; plan->own is an array of count + 1 of them. */
typedef struct ldm_vp_level {
    double alpha, sigma, lambda; /* lambda = log(alpha / sigma); infinite at the clean data */
} ldm_vp_level;

/* S steps; of S + 1 timesteps evenly from T - 1 to 0 (linspace), or of S + 1 multiples of
 * T / (S + 1) plus 1 (leading), the last is not evaluated; trailing is that of spacing.h. karras
 * and exponential are S levels from the model's greatest to its least, with whole timesteps.
 * to_clean_data: the last step ends at sigma 0; else at the model's least noise level. */
ldm_status ldm_vp_plan(const ldm_diffusion *d, const ldm_sampling *set, bool to_clean_data,
                       ldm_sampler_plan *p, ldm_error *err);

/* The level at which this step begins; [1] is where it ends, [-1] where the last one began. */
const ldm_vp_level *ldm_vp_level_of(const ldm_sampler_run *r);
/* The network's x0 for r->x, into r->pred_x0. */
ldm_status ldm_vp_predict_x0(ldm_sampler_run *r, ldm_error *err);

#endif
