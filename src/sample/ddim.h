/* DDIM (Song et al. 2020, eq. 12) with CompVis' order of float32 operations
 * (ldm/models/diffusion/ddim.py), its mask, its quantize_x0 and classifier-free guidance. The model
 * is a set of callbacks; nothing here knows a network. */
#ifndef LDM_SAMPLE_DDIM_H
#define LDM_SAMPLE_DDIM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "sample/schedule.h"

/* All latents are [n][chw] f32 in any fixed layout: the sampler works element by element. */
typedef struct ldm_ddim_model {
    void *ctx;
    /* eps[n][chw] of x at timestep t (guidance, if any, already applied: see ldm_guidance_mix). */
    ldm_status (*eps)(void *ctx, const float *x, int t, float *eps, ldm_error *err);
    /* noise[n][chw] of this step: standard normal, or the user's own. Called with step_index 0 for
     * the first step really run, once per step even where sigma is 0 (as CompVis draws), so it may
     * not be NULL. mask_noise: the draw q_sample makes before the step's own, with a mask only. */
    ldm_status (*noise)(void *ctx, int step_index, bool mask_noise, float *noise, ldm_error *err);
    /* Replaces pred_x0[n][chw] by its quantised form; may be NULL without quantize_x0. */
    ldm_status (*quantize)(void *ctx, float *pred_x0, ldm_error *err);
    /* After each step: how far, and the current x and pred_x0. Nonzero stops with ERR_CANCELLED.
     * May be NULL. */
    int (*progress)(void *ctx, int step_index, int step_count, int t, const float *x,
                    const float *pred_x0);
} ldm_ddim_model;

typedef struct ldm_ddim_job {
    const ldm_ddim_schedule *schedule;
    size_t n, chw;
    double temperature;
    bool quantize_x0;
    const float *mask; /* [n][chw], 1 keeps x0; NULL: none */
    const float *x0;   /* [n][chw] with mask */
    /* With mask, the model's buffers of these names, [train_steps] f32: q_sample noises x0 by them.
     */
    const float *sqrt_alphas_cumprod, *sqrt_one_minus_alphas_cumprod;
    float *scratch; /* 3 * n * chw floats, the caller's */
} ldm_ddim_job;

/* Runs all steps from the largest timestep down. x: in the start noise, out the latent. NaN or
 * infinity in a step is LDM_ERR_NUMERIC naming the step. */
ldm_status ldm_ddim_run(const ldm_ddim_job *job, const ldm_ddim_model *model, float *x,
                        ldm_error *err);

/* e_uncond + scale * (e_cond - e_uncond), in float32 as CompVis writes it; out may be either. */
void ldm_guidance_mix(const float *e_uncond, const float *e_cond, double scale, size_t count,
                      float *out);

#endif
