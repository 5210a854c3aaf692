/* SPDX-License-Identifier: MIT */
/* Inside the room: what PLMS shares with DDIM. A step is deterministic where its noise is 0. */
#ifndef LDM_SAMPLE_DDIM_H
#define LDM_SAMPLE_DDIM_H

#include "sample/sampler_row.h"

#define LDM_DDIM_SPACINGS                                                                          \
    (LDM_SPACING_BIT(LDM_SPACING_COMPVIS) | LDM_SPACING_BIT(LDM_SPACING_QUAD) |                    \
     LDM_SPACING_BIT(LDM_SPACING_LEADING) | LDM_SPACING_BIT(LDM_SPACING_TRAILING) |                \
     LDM_SPACING_BIT(LDM_SPACING_LINSPACE))

ldm_status ldm_ddim_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                         ldm_error *err);
/* The network's output is eps to this plan, and a note says so. */
void ldm_ddim_take_for_eps(ldm_sampler_plan *p);
/* x_0 as the network's eps sees it: Song et al. 2020, eq. 12, first term. */
void ldm_ddim_predict_x0(const ldm_sampler_step *s, const float *x, const float *eps, size_t count,
                         float *pred_x0);
/* out: x of the next timestep without noise. */
void ldm_ddim_move(const ldm_sampler_step *s, const float *pred_x0, const float *eps, size_t count,
                   float *out);

#endif
