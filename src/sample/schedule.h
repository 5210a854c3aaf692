/* Noise schedules and DDIM timesteps. Pure maths; no model. */
#ifndef LDM_SAMPLE_SCHEDULE_H
#define LDM_SAMPLE_SCHEDULE_H

#include <stddef.h>

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

typedef enum ldm_spacing {
    LDM_SPACING_COMPVIS, /* range(0, T, T // S) + 1; a timestep of T is dropped (see `dropped`) */
    LDM_SPACING_QUAD,    /* CompVis ddim_discr_method quad */
    LDM_SPACING_LEADING, /* "Common diffusion noise schedules and sample steps are flawed", table 2
                          */
    LDM_SPACING_TRAILING,
    LDM_SPACING_LINSPACE
} ldm_spacing;

ldm_status ldm_spacing_parse(const char *name, ldm_spacing *out, ldm_error *err);
const char *ldm_spacing_name(ldm_spacing s);

/* The steps of one DDIM run, in f64 as CompVis make_ddim_sampling_parameters computes them from f32
 * alphas; arrays of `count`, in increasing order of timestep (sampling walks them backwards).
 * alphas_prev[0] is alphas_cumprod[0] for compvis and quad, as there, and 1 (clean data) for the
 * paper's spacings, whose timesteps are theirs less one: the paper counts from 1. */
typedef struct ldm_ddim_schedule {
    int count;
    int *timesteps;
    double *alphas, *alphas_prev, *sigmas, *sqrt_one_minus_alphas;
    int dropped; /* timesteps left out because they do not exist (the original raises there) */
} ldm_ddim_schedule;

/* alphas_cumprod: the model's f32 buffer, [train_steps]. steps: 1..train_steps. */
ldm_status ldm_ddim_schedule_create(const float *alphas_cumprod, int train_steps, ldm_spacing s,
                                    int steps, double eta, ldm_ddim_schedule *out, ldm_error *err);
void ldm_ddim_schedule_free(ldm_ddim_schedule *d); /* zeroed struct is fine */

#endif
