/* SPDX-License-Identifier: MIT */
/* DPM-Solver++ in k-diffusion's form (Lu et al. 2022): exponential integrators in lambda =
 * -log(sigma), on the denoised picture. 2M keeps the last step's, the SDE forms add noise.
 *
 * Noise: k-diffusion takes the increments of a Brownian tree, here each draw is a normal number of
 * its own (README.md, "Noise"). */
#include <math.h>
#include <string.h>

#include "sample/k_levels.h"

static double lambda(float sigma)
{
    return -log((double)sigma);
}

/* to = keep * x + move * denoised; to may be either. */
static void blend(const float *x, const float *denoised, double keep64, double move64, size_t count,
                  float *to)
{
    const float keep = (float)keep64, move = (float)move64;
    size_t i;

    for (i = 0; i < count; i++)
        to[i] = keep * x[i] + move * denoised[i];
}

/* ---- dpmpp_2m -------------------------------------------------------------------------------- */

/* The denoised picture of this step, kept in array 1 or 2 by turns; *old is the last step's. */
static float *remember(const ldm_sampler_run *r, float **old)
{
    float *now = ldm_k_array(r, 1 + r->done % 2);

    *old = ldm_k_array(r, 1 + (r->done + 1) % 2);
    memcpy(now, r->pred_x0, r->count * sizeof *now);
    return now;
}

static ldm_status plan_2m(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                          ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_NONE, 0, p, err);
}

static ldm_status step_2m(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    ldm_status st = ldm_k_begin(r, err);
    float *now, *old, *extrapolated = ldm_k_array(r, 0);
    double h, ratio;

    if (st)
        return st;
    now = remember(r, &old);
    if (!(k->next > 0)) {
        memcpy(r->x, now, r->count * sizeof *now);
        return LDM_OK;
    }
    h = lambda(k->next) - lambda(k->sigma);
    if (r->done > 0) {
        ratio = (lambda(k->sigma) - lambda(k[-1].sigma)) / h;
        blend(now, old, 1 + 1 / (2 * ratio), -1 / (2 * ratio), r->count, extrapolated);
        now = extrapolated;
    }
    blend(r->x, now, (double)k->next / (double)k->sigma, -expm1(-h), r->count, r->x);
    return LDM_OK;
}

static const char *const aliases_2m[] = {"DPM++ 2M", "k_dpmpp_2m", "sample_dpmpp_2m", NULL};

const ldm_sampler ldm_sampler_dpmpp_2m = {
    .name = "dpmpp_2m",
    .aliases = aliases_2m,
    .summary = "DPM-Solver++ of order 2 with one evaluation a step; good from 15 steps on",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 3,
    .plan = plan_2m,
    .step = step_2m,
};

/* ---- dpmpp_2m_sde ---------------------------------------------------------------------------- */

/* x += weight * (a - b) */
static void add_difference(const ldm_sampler_run *r, double weight64, const float *a,
                           const float *b)
{
    const float weight = (float)weight64;
    size_t i;

    for (i = 0; i < r->count; i++)
        r->x[i] += weight * (a[i] - b[i]);
}

static ldm_status plan_2m_sde(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                              ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_NONE, 1, p, err);
}

static ldm_status step_2m_sde(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    const double eta = r->plan->settings.eta;
    ldm_status st = ldm_k_begin(r, err);
    float *now, *old;
    double h, move;

    if (st)
        return st;
    now = remember(r, &old);
    if (!(k->next > 0)) {
        memcpy(r->x, now, r->count * sizeof *now);
        return LDM_OK;
    }
    h = lambda(k->next) - lambda(k->sigma);
    move = -expm1(-h - eta * h);
    blend(r->x, now, (double)k->next / (double)k->sigma * exp(-eta * h), move, r->count, r->x);
    if (r->done > 0)
        add_difference(r, 0.5 * move * h / (lambda(k->sigma) - lambda(k[-1].sigma)), now, old);
    return ldm_k_add_noise(r, (float)((double)k->next * sqrt(-expm1(-2 * eta * h))), r->x, err);
}

static const char *const aliases_2m_sde[] = {"DPM++ 2M SDE", "k_dpmpp_2m_sde",
                                             "sample_dpmpp_2m_sde", NULL};

const ldm_sampler ldm_sampler_dpmpp_2m_sde = {
    .name = "dpmpp_2m_sde",
    .aliases = aliases_2m_sde,
    .summary = "dpmpp_2m with fresh noise in every step (midpoint form)",
    .evaluations_per_step = 1,
    .takes_eta = true,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .own_eta = 1,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 3,
    .plan = plan_2m_sde,
    .step = step_2m_sde,
};

/* ---- dpmpp_sde ------------------------------------------------------------------------------- */

static ldm_status plan_sde(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                           ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_BETWEEN, 2, p, err);
}

/* to: x moved by `denoised` from sigma towards `level`, of which noise is a part. */
static ldm_status move_sde(ldm_sampler_run *r, float level, const float *denoised, float *to,
                           ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    const double eta = r->plan->settings.eta;
    float down, up;

    ldm_k_ancestral((double)k->sigma, (double)level, eta, &down, &up);
    blend(r->x, denoised, (double)down / (double)k->sigma, -expm1(lambda(k->sigma) - lambda(down)),
          r->count, to);
    return ldm_k_add_noise(r, up, to, err);
}

static ldm_status step_sde(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    float *x2 = ldm_k_array(r, 1), *denoised2 = ldm_k_array(r, 2);
    ldm_status st = ldm_k_begin(r, err);

    if (st)
        return st;
    if (!(k->next > 0)) {
        memcpy(r->x, r->pred_x0, r->count * sizeof *r->x);
        return LDM_OK;
    }
    st = move_sde(r, k->mid, r->pred_x0, x2, err);
    if (!st)
        st = ldm_k_denoise(r, x2, k->mid, k->t_mid, denoised2, err);
    /* r is 1/2, so that the weight of the first evaluation, 1 - 1 / (2 r), is 0. */
    return st ? st : move_sde(r, k->next, denoised2, r->x, err);
}

static const char *const aliases_sde[] = {"DPM++ SDE", "k_dpmpp_sde", "sample_dpmpp_sde",
                                          "DPMSolverSDEScheduler", NULL};

const ldm_sampler ldm_sampler_dpmpp_sde = {
    .name = "dpmpp_sde",
    .aliases = aliases_sde,
    .summary = "DPM-Solver++ SDE: two evaluations and two draws of noise a step",
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
    .plan = plan_sde,
    .step = step_sde,
};

/* ---- dpmpp_2s_a ------------------------------------------------------------------------------ */

static ldm_status plan_2s_a(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                            ldm_error *err)
{
    return ldm_k_plan(d, set, LDM_K_TO_DOWN, 1, p, err);
}

static ldm_status step_2s_a(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    float *x2 = ldm_k_array(r, 1), *denoised2 = ldm_k_array(r, 2);
    ldm_status st = ldm_k_begin(r, err);
    double h;

    if (st)
        return st;
    if (k->down > 0) {
        h = lambda(k->down) - lambda(k->sigma);
        blend(r->x, r->pred_x0, (double)k->mid / (double)k->sigma, -expm1(-h / 2), r->count, x2);
        st = ldm_k_denoise(r, x2, k->mid, k->t_mid, denoised2, err);
        if (!st)
            blend(r->x, denoised2, (double)k->down / (double)k->sigma, -expm1(-h), r->count, r->x);
    } else {
        memcpy(r->x, r->pred_x0, r->count * sizeof *r->x);
    }
    return st || !(k->next > 0) ? st : ldm_k_add_noise(r, k->up, r->x, err);
}

static const char *const aliases_2s_a[] = {"DPM++ 2S a", "dpmpp_2s_ancestral", "k_dpmpp_2s_a",
                                           "sample_dpmpp_2s_ancestral", NULL};

const ldm_sampler ldm_sampler_dpmpp_2s_a = {
    .name = "dpmpp_2s_a",
    .aliases = aliases_2s_a,
    .summary = "DPM-Solver++ 2S with fresh noise in every step, two evaluations each",
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
    .plan = plan_2s_a,
    .step = step_2s_a,
};

/* ---- dpmpp_3m_sde ---------------------------------------------------------------------------- */

enum { RING = 3 };

/* The denoised picture of `back` steps ago; 0: of this one. */
static float *denoised_of(const ldm_sampler_run *r, int back)
{
    return ldm_k_array(r, 1 + (r->done - back) % RING);
}

/* What the denoised pictures of the last one or two steps add; h is the step's length in lambda,
 * longer by eta h. */
static void correct_3m(ldm_sampler_run *r, double h, double longer)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    const double phi2 = expm1(-longer) / longer + 1, phi3 = phi2 / longer - 0.5;
    double r0, r1, both;

    if (r->done == 0)
        return;
    r0 = (lambda(k->sigma) - lambda(k[-1].sigma)) / h;
    if (r->done == 1) {
        add_difference(r, phi2 / r0, denoised_of(r, 0), denoised_of(r, 1));
        return;
    }
    r1 = (lambda(k[-1].sigma) - lambda(k[-2].sigma)) / h;
    both = (phi2 * r0 - phi3) / (r0 + r1);
    add_difference(r, (phi2 + both) / r0, denoised_of(r, 0), denoised_of(r, 1));
    add_difference(r, -both / r1, denoised_of(r, 1), denoised_of(r, 2));
}

static ldm_status step_3m_sde(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_k_step *k = ldm_k_step_of(r);
    const double eta = r->plan->settings.eta;
    ldm_status st = ldm_k_begin(r, err);
    double h, longer;

    if (st)
        return st;
    memcpy(denoised_of(r, 0), r->pred_x0, r->count * sizeof *r->x);
    if (!(k->next > 0)) {
        memcpy(r->x, r->pred_x0, r->count * sizeof *r->x);
        return LDM_OK;
    }
    h = lambda(k->next) - lambda(k->sigma);
    longer = h * (eta + 1);
    blend(r->x, r->pred_x0, exp(-longer), -expm1(-longer), r->count, r->x);
    correct_3m(r, h, longer);
    return ldm_k_add_noise(r, (float)((double)k->next * sqrt(-expm1(-2 * eta * h))), r->x, err);
}

static const char *const aliases_3m_sde[] = {"DPM++ 3M SDE", "k_dpmpp_3m_sde",
                                             "sample_dpmpp_3m_sde", NULL};

const ldm_sampler ldm_sampler_dpmpp_3m_sde = {
    .name = "dpmpp_3m_sde",
    .aliases = aliases_3m_sde,
    .summary = "dpmpp_2m_sde of order 3; good from 25 steps on",
    .evaluations_per_step = 1,
    .takes_eta = true,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_zero_snr = true,
    .takes_whole_t = true,
    .own_eta = 1,
    .spacings = LDM_K_SPACINGS,
    .default_spacing = LDM_SPACING_DISCRETE,
    .latents = 1 + RING,
    .plan = plan_2m_sde,
    .step = step_3m_sde,
};
