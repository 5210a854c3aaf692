/* SPDX-License-Identifier: MIT */
/* The samplers of k-diffusion's sampling.py that follow the derivative d = (x - x0) / sigma: euler,
 * heun (Karras et al. 2022, algorithm 1), dpm2, their ancestral forms, and lms. s_churn is 0. */
#include <math.h>

#include "sample/k_levels.h"

/* to = x + (x - denoised) / sigma * dt; to may be x. */
static void follow(const float *x, const float *denoised, float sigma, float dt, size_t count,
                   float *to)
{
    size_t i;

    for (i = 0; i < count; i++)
        to[i] = x[i] + (x[i] - denoised[i]) / sigma * dt;
}

/* ---- euler ----------------------------------------------------------------------------------- */

static ldm_status euler_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                             ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_NONE, 0, p, err);
}

static ldm_status euler_step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    ldm_status st = ldm_k_begin(r, err);

    if (!st)
        follow(r->x, r->pred_x0, k->sigma, k->next - k->sigma, r->count, r->x);
    return st;
}

static const char *const euler_aliases[] = {"k_euler", "sample_euler", "EulerDiscreteScheduler",
                                            NULL};

const ldm_sampler ldm_sampler_euler = {
    .name = "euler",
    .aliases = euler_aliases,
    .summary = "k-diffusion's Euler: first order, deterministic",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 1,
    .plan = euler_plan,
    .step = euler_step,
};

/* ---- euler_a --------------------------------------------------------------------------------- */

static ldm_status euler_a_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                               ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_NONE, 1, p, err);
}

static ldm_status euler_a_step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    ldm_status st = ldm_k_begin(r, err);

    if (st)
        return st;
    follow(r->x, r->pred_x0, k->sigma, k->down - k->sigma, r->count, r->x);
    return k->next > 0 ? ldm_k_add_noise(r, k->up, r->x, err) : LDM_OK;
}

static const char *const euler_a_aliases[] = {"euler_ancestral",
                                              "Euler a",
                                              "k_euler_a",
                                              "k_euler_ancestral",
                                              "sample_euler_ancestral",
                                              "EulerAncestralDiscreteScheduler",
                                              NULL};

const ldm_sampler ldm_sampler_euler_a = {
    .name = "euler_a",
    .aliases = euler_a_aliases,
    .summary = "Euler with fresh noise in every step; never settles as steps grow",
    .evaluations_per_step = 1,
    .takes_eta = true,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .own_eta = 1,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 1,
    .plan = euler_a_plan,
    .step = euler_a_step,
};

/* ---- heun ------------------------------------------------------------------------------------ */

static ldm_status heun_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                            ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_NEXT, 0, p, err);
}

static ldm_status heun_step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    const float dt = k->next - k->sigma;
    float *x2 = ldm_k_array(r, 1), *denoised2 = ldm_k_array(r, 2);
    ldm_status st = ldm_k_begin(r, err);
    size_t i;

    if (st)
        return st;
    if (!(k->next > 0)) {
        follow(r->x, r->pred_x0, k->sigma, dt, r->count, r->x);
        return LDM_OK;
    }
    follow(r->x, r->pred_x0, k->sigma, dt, r->count, x2);
    st = ldm_k_denoise(r, x2, k->next, k->t_mid, denoised2, err);
    for (i = 0; !st && i < r->count; i++) {
        const float d = (r->x[i] - r->pred_x0[i]) / k->sigma;
        const float d2 = (x2[i] - denoised2[i]) / k->next;

        r->x[i] = r->x[i] + (d + d2) / 2 * dt;
    }
    return st;
}

static const char *const heun_aliases[] = {"k_heun", "sample_heun", "HeunDiscreteScheduler", NULL};

const ldm_sampler ldm_sampler_heun = {
    .name = "heun",
    .aliases = heun_aliases,
    .summary = "Heun's method: second order, two evaluations a step",
    .evaluations_per_step = 2,
    .evaluations_more = -1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 3,
    .plan = heun_plan,
    .step = heun_step,
};

/* ---- dpm2 and dpm2_a ------------------------------------------------------------------------- */

static ldm_status dpm2_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                            ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_BETWEEN, 0, p, err);
}

static ldm_status dpm2_a_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                              ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_TO_DOWN, 1, p, err);
}

/* x goes to level `to` by the derivative at the middle; the last step is Euler's. */
static ldm_status midpoint(ldm_sampler_run *r, float to, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    float *x2 = ldm_k_array(r, 1), *denoised2 = ldm_k_array(r, 2);
    ldm_status st = ldm_k_begin(r, err);
    size_t i;

    if (st)
        return st;
    if (!(to > 0)) {
        follow(r->x, r->pred_x0, k->sigma, to - k->sigma, r->count, r->x);
        return LDM_OK;
    }
    follow(r->x, r->pred_x0, k->sigma, k->mid - k->sigma, r->count, x2);
    st = ldm_k_denoise(r, x2, k->mid, k->t_mid, denoised2, err);
    for (i = 0; !st && i < r->count; i++)
        r->x[i] += (x2[i] - denoised2[i]) / k->mid * (to - k->sigma);
    return st;
}

static ldm_status dpm2_step(ldm_sampler_run *r, ldm_error *err)
{
    return midpoint(r, ldm_k_step_of(r)->next, err);
}

static ldm_status dpm2_a_step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    ldm_status st = midpoint(r, k->down, err);

    /* As there: a step that ends at level 0 adds no noise, also where an eta above 1 took it there.
     */
    return st || !(k->down > 0) ? st : ldm_k_add_noise(r, k->up, r->x, err);
}

static const char *const dpm2_aliases[] = {"dpm_2", "k_dpm_2", "sample_dpm_2",
                                           "KDPM2DiscreteScheduler", NULL};
static const char *const dpm2_a_aliases[] = {"dpm_2_ancestral",
                                             "dpm2 a",
                                             "k_dpm_2_a",
                                             "k_dpm_2_ancestral",
                                             "sample_dpm_2_ancestral",
                                             "KDPM2AncestralDiscreteScheduler",
                                             NULL};

const ldm_sampler ldm_sampler_dpm2 = {
    .name = "dpm2",
    .aliases = dpm2_aliases,
    .summary = "DPM-Solver-2: second order by the midpoint, two evaluations a step",
    .evaluations_per_step = 2,
    .evaluations_more = -1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 3,
    .plan = dpm2_plan,
    .step = dpm2_step,
};

const ldm_sampler ldm_sampler_dpm2_a = {
    .name = "dpm2_a",
    .aliases = dpm2_a_aliases,
    .summary = "dpm2 with fresh noise in every step",
    .evaluations_per_step = 2,
    .evaluations_more = -1,
    .takes_eta = true,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .own_eta = 1,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 3,
    .plan = dpm2_a_plan,
    .step = dpm2_a_step,
};

/* ---- lms ------------------------------------------------------------------------------------- */

enum { LMS_ORDER = 4 };

/* The Lagrange polynomial that is 1 at the level of j steps ago and 0 at those of the others. */
static double lagrange(const ldm_k_step *k, int order, int j, double sigma)
{
    double product = 1;
    int i;

    for (i = 0; i < order; i++) {
        if (i != j)
            product *= (sigma - (double)k[-i].sigma) / ((double)k[-j].sigma - (double)k[-i].sigma);
    }
    return product;
}

/* Its integral over the step, by Gauss' rule of two points, which is exact up to degree 3. */
static float lms_coefficient(const ldm_k_step *k, int order, int j)
{
    const double from = (double)k->sigma, half = ((double)k->next - from) / 2;
    const double at = half / sqrt(3);

    return (float)(half * (lagrange(k, order, j, from + half - at) +
                           lagrange(k, order, j, from + half + at)));
}

static ldm_status lms_step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    /* With a mask the last step is Euler's: it is long in log(sigma), and where a known region was
     * noised anew the derivatives of the steps before are of other noises. */
    const int most = r->job->mask && !(k->next > 0) ? 1 : LMS_ORDER;
    const int order = r->done + 1 < most ? r->done + 1 : most;
    float *d = ldm_k_array(r, 1 + r->done % LMS_ORDER), *sum = ldm_k_array(r, 0);
    ldm_status st = ldm_k_begin(r, err);
    size_t i;
    int j;

    if (st)
        return st;
    for (i = 0; i < r->count; i++) {
        d[i] = (r->x[i] - r->pred_x0[i]) / k->sigma;
        sum[i] = 0;
    }
    for (j = 0; j < order; j++) {
        const float *old = ldm_k_array(r, 1 + (r->done - j) % LMS_ORDER);
        const float c = lms_coefficient(k, order, j);

        for (i = 0; i < r->count; i++)
            sum[i] += c * old[i];
    }
    for (i = 0; i < r->count; i++)
        r->x[i] += sum[i];
    return LDM_OK;
}

static const char *const lms_aliases[] = {"k_lms", "sample_lms", "LMSDiscreteScheduler", NULL};

const ldm_sampler ldm_sampler_lms = {
    .name = "lms",
    .aliases = lms_aliases,
    .summary = "linear multistep: the derivatives of the last four steps",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 1 + LMS_ORDER,
    .plan = euler_plan,
    .step = lms_step,
};
