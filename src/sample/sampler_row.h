/* SPDX-License-Identifier: MIT */
/* Private to this room: what a sampler's file needs in addition to sampler.h, and the rows. */
#ifndef LDM_SAMPLE_SAMPLER_ROW_H
#define LDM_SAMPLE_SAMPLER_ROW_H

#include "sample/sampler.h"

/* The table: one row a sampler, in the order of lists; the first is the default. A sampler's file
 * defines ldm_sampler_NAME. */
/* clang-format off */
#define LDM_SAMPLER_LIST(ROW) \
    ROW(ddim) \
    ROW(ddim_diffusers) \
    ROW(plms) \
    ROW(ddpm) \
    ROW(dpm_solver) \
    ROW(euler) \
    ROW(euler_a) \
    ROW(heun) \
    ROW(dpm2) \
    ROW(dpm2_a) \
    ROW(lms) \
    ROW(dpmpp_2m) \
    ROW(dpmpp_2m_sde) \
    ROW(dpmpp_sde) \
    ROW(dpmpp_2s_a) \
    ROW(dpmpp_3m_sde) \
    ROW(dpmpp_2m_diffusers) \
    ROW(dpmpp_3m_diffusers) \
    ROW(dpmpp_2m_sde_diffusers) \
    ROW(unipc) \
    ROW(unipc3) \
    ROW(deis) \
    ROW(pndm_prk) \
    ROW(lcm)
/* clang-format on */

#define LDM_SAMPLER_DECLARE(name) extern const ldm_sampler ldm_sampler_##name;
LDM_SAMPLER_LIST(LDM_SAMPLER_DECLARE)
#undef LDM_SAMPLER_DECLARE

/* What a step works on. The loop sets everything; a step changes x, pred_x0, noise and work. */
struct ldm_sampler_run {
    const ldm_sampler_job *job;
    const ldm_sampler_plan *plan;
    const ldm_denoiser *model;
    size_t count; /* n * chw: floats of each array below */
    int index;    /* of this step in the plan */
    int done;     /* steps of this run before it: 0 where a multistep method has no history */
    int draws;    /* so far */
    float *x, *pred_x0, *noise;
    float *work; /* [sampler->latents][n][chw]; undefined in the first step, then kept */
};

/* Steps of this run, and the timestep at which the present one begins. */
static inline int ldm_sampler_steps_of(const ldm_sampler_run *r)
{
    return r->plan->count - r->job->start;
}

static inline double ldm_sampler_time_of(const ldm_sampler_run *r)
{
    return r->plan->steps[r->index].t;
}

/* LDM_ERR_NUMERIC names the step where v[r->count], called `what`, holds NaN or infinity. */
ldm_status ldm_sampler_check_finite(const ldm_sampler_run *r, const float *v, const char *what,
                                    double t, ldm_error *err);
/* Noise into r->noise: a mask's, or the step's own. */
ldm_status ldm_sampler_draw_as(ldm_sampler_run *r, bool mask, ldm_error *err);

/* The network's output for x at t, checked for NaN and infinity. */
ldm_status ldm_sampler_predict(ldm_sampler_run *r, const float *x, double t, float *out,
                               ldm_error *err);
/* The step's next own noise, into r->noise. */
ldm_status ldm_sampler_draw(ldm_sampler_run *r, ldm_error *err);
/* Quantises r->pred_x0 with the codebook if the user asked for that. */
ldm_status ldm_sampler_quantize(ldm_sampler_run *r, ldm_error *err);

/* Zeroed steps[count] and times[evaluations]. */
ldm_status ldm_sampler_plan_steps(ldm_sampler_plan *p, int count, int evaluations, ldm_error *err);
/* known_x0 and known_noise of a step at the integer timestep t. */
void ldm_sampler_known_at(const ldm_diffusion *d, int t, ldm_sampler_step *step);
/* The noise level of timestep t, ((1 - alpha) / alpha)^0.5. Where a rescaled schedule leaves no
 * signal, alpha counts as 2^-24, as in diffusers' schedulers that work with levels. */
float ldm_sampler_sigma_at(const ldm_diffusion *d, int t);
/* A remark; the plan has room for LDM_SAMPLER_NOTES of them. */
void ldm_sampler_note(ldm_sampler_plan *p, const char *fmt, ...) LDM_PRINTF(2, 3);

#endif
