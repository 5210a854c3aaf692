/* SPDX-License-Identifier: MIT */
/* Inside the room: k-diffusion's view of a model. x = x0 + sigma * noise, and the network is a
 * denoiser at a noise level sigma (Karras et al. 2022, "Elucidating the design space of
 * diffusion-based generative models", section 5 and table 1, column "VP"). */
#ifndef LDM_SAMPLE_K_LEVELS_H
#define LDM_SAMPLE_K_LEVELS_H

#include "sample/sampler_row.h"

#define LDM_K_SPACINGS                                                                             \
    (LDM_SPACING_BIT(LDM_SPACING_DISCRETE) | LDM_SPACING_BIT(LDM_SPACING_KARRAS) |                 \
     LDM_SPACING_BIT(LDM_SPACING_EXPONENTIAL) | LDM_SPACING_BIT(LDM_SPACING_LINSPACE) |            \
     LDM_SPACING_BIT(LDM_SPACING_LEADING) | LDM_SPACING_BIT(LDM_SPACING_TRAILING))

/* Where a step's second evaluation is. */
typedef enum ldm_k_second {
    LDM_K_NONE,
    LDM_K_NEXT,    /* at the next level */
    LDM_K_BETWEEN, /* in the middle, in log(sigma), of this level and the next */
    LDM_K_TO_DOWN  /* in the middle of this level and `down` */
} ldm_k_second;

/* A step; plan->own is an array of them. The last one ends at level 0 and evaluates once. */
typedef struct ldm_k_step {
    float sigma, next;
    float down, up; /* an ancestral step goes down to `down` and adds noise of `up` to reach next */
    float mid;      /* level of the second evaluation, and its timestep */
    double t_mid;
} ldm_k_step;

/* The plan of all methods that work so: S steps through the levels of set->spacing to 0. linspace,
 * leading and trailing are those of diffusers' EulerDiscreteScheduler. draws: noise that a step
 * draws, but for the last. */
ldm_status ldm_k_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_k_second second,
                      int draws, ldm_sampler_plan *p, ldm_error *err);

const ldm_k_step *ldm_k_step_of(const ldm_sampler_run *r);
/* Array i of r->work; 0 is ldm_k_denoise's. */
float *ldm_k_array(const ldm_sampler_run *r, int i);

/* out: x0 as the network sees it in x at level sigma, whose timestep is t. */
ldm_status ldm_k_denoise(ldm_sampler_run *r, const float *x, float sigma, double t, float *out,
                         ldm_error *err);
/* The same of r->x at the beginning of the step, into r->pred_x0. */
ldm_status ldm_k_begin(ldm_sampler_run *r, ldm_error *err);
/* Draws noise and adds it to x, of standard deviation `up` times temperature. */
ldm_status ldm_k_add_noise(ldm_sampler_run *r, float up, float *x, ldm_error *err);

/* The levels to step down to, and of the noise to add, from `from` to `to`: k-diffusion's
 * get_ancestral_step. */
void ldm_k_ancestral(double from, double to, double eta, float *down, float *up);

#endif
