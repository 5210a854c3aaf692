/* SPDX-License-Identifier: MIT */
/* See vp_levels.h: set_timesteps of diffusers' DPMSolverMultistepScheduler, UniPCMultistepScheduler
 * and DEISMultistepScheduler. */
#include "sample/vp_levels.h"

#include <math.h>

#include "base/alloc.h"
#include "sample/float32.h"
#include "sample/prediction.h"

static const double karras_rho = 7;

/* Where a step begins. */
typedef struct start {
    int t;       /* the timestep that is evaluated */
    float sigma; /* f32, as there */
} start;

/* The timestep at a level, with a fraction: linear in log(sigma) between the model's. */
static double timestep_of(const ldm_diffusion *d, double sigma)
{
    const double at = log(sigma);
    int low = 0, high = d->train_steps - 1, middle;
    float a, b;
    double w;

    while (high - low > 1) {
        middle = (low + high) / 2;
        if (at >= (double)ldm_log32(ldm_sampler_sigma_at(d, middle)))
            low = middle;
        else
            high = middle;
    }
    a = ldm_log32(ldm_sampler_sigma_at(d, low));
    b = ldm_log32(ldm_sampler_sigma_at(d, high));
    w = b > a ? ((double)a - at) / (double)(a - b) : 0; /* float16 buffers may repeat a level */
    w = w < 0 ? 0 : w > 1 ? 1 : w;
    return (1 - w) * low + w * high;
}

/* Levels that follow from the model's greatest and least alone. The timesteps are whole: diffusers
 * rounds Karras' to the nearest and cuts the fractions of the exponential ones off. */
static start start_by_level(const ldm_diffusion *d, ldm_spacing spacing, int steps, int i)
{
    const double most = (double)ldm_sampler_sigma_at(d, d->train_steps - 1);
    const double least = (double)ldm_sampler_sigma_at(d, 0);
    const double ramp = steps > 1 ? (double)i / (steps - 1) : 0;
    double sigma, from, to, t;

    if (spacing == LDM_SPACING_KARRAS) {
        from = pow(most, 1 / karras_rho);
        to = pow(least, 1 / karras_rho);
        sigma = pow(from + ramp * (to - from), karras_rho);
    } else {
        sigma = exp(log(most) + ramp * (log(least) - log(most)));
    }
    t = timestep_of(d, sigma);
    return (start){(int)(spacing == LDM_SPACING_KARRAS ? rint(t) : floor(t)), (float)sigma};
}

static start start_at(const ldm_diffusion *d, ldm_spacing spacing, int steps, int i)
{
    const double total = d->train_steps;
    int t;

    switch (spacing) {
    case LDM_SPACING_KARRAS:
    case LDM_SPACING_EXPONENTIAL:
        return start_by_level(d, spacing, steps, i);
    case LDM_SPACING_LEADING:
        t = (steps - i) * (d->train_steps / (steps + 1)) + 1;
        break;
    case LDM_SPACING_TRAILING:
        t = (int)rint(total - i * (total / steps)) - 1;
        break;
    default:
        t = (int)rint((steps - i) * ((total - 1) / steps));
        break;
    }
    return (start){t, ldm_sampler_sigma_at(d, t)};
}

static ldm_vp_level level(float sigma_f32)
{
    const double sigma = (double)sigma_f32, alpha = 1 / sqrt(sigma * sigma + 1);

    return (ldm_vp_level){.alpha = alpha, .sigma = sigma * alpha, .lambda = -log(sigma)};
}

static void fill_step(const ldm_vp_level *at, const start *from, float sigma_next,
                      ldm_sampler_step *s)
{
    s->t = from->t;
    s->evaluations = 1;
    s->alpha = at[0].alpha * at[0].alpha;
    s->alpha_next = at[1].alpha * at[1].alpha;
    s->sigma = (double)from->sigma;
    s->sigma_next = (double)sigma_next;
    s->known_x0 = (float)at[0].alpha;
    s->known_noise = (float)at[0].sigma;
}

static void fill_plan(const ldm_diffusion *d, const ldm_sampling *set, bool to_clean_data,
                      ldm_sampler_plan *p)
{
    ldm_vp_level *at = p->own;
    start from = start_at(d, set->spacing, p->count, 0), next;
    int i;

    for (i = 0; i < p->count; i++, from = next) {
        if (i + 1 < p->count)
            next = start_at(d, set->spacing, p->count, i + 1);
        else
            next = (start){0, to_clean_data ? 0.0f : ldm_sampler_sigma_at(d, 0)};
        at[i] = level(from.sigma);
        at[i + 1] = level(next.sigma);
        fill_step(&at[i], &from, next.sigma, &p->steps[i]);
        p->times[i] = from.t;
    }
}

/* float16 buffers may begin at an alpha of 1. */
static ldm_status check_levels(const ldm_sampler_plan *p, ldm_error *err)
{
    int i;

    for (i = 0; i < p->count; i++) {
        if (!(p->steps[i].sigma > 0))
            return ldm_error_set(err, LDM_ERR_RANGE,
                                 "the noise level at timestep %g is 0, expected more: "
                                 "alphas_cumprod must be below 1 there",
                                 p->steps[i].t);
    }
    return LDM_OK;
}

ldm_status ldm_vp_plan(const ldm_diffusion *d, const ldm_sampling *set, bool to_clean_data,
                       ldm_sampler_plan *p, ldm_error *err)
{
    ldm_status st;

    /* One step less than there are timesteps: the one that is not evaluated is of them, too. */
    if (set->steps < 1 || set->steps >= d->train_steps)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d steps asked for, expected 1 to %d (one less than the model's "
                             "timesteps)",
                             set->steps, d->train_steps - 1);
    st = ldm_sampler_plan_steps(p, set->steps, set->steps, err);
    if (st)
        return st;
    p->own = ldm_calloc((size_t)p->count + 1, sizeof(ldm_vp_level));
    if (!p->own)
        return ldm_error_nomem(err, (size_t)p->count * sizeof(ldm_vp_level), "the steps of a run");
    fill_plan(d, set, to_clean_data, p);
    return check_levels(p, err);
}

const ldm_vp_level *ldm_vp_level_of(const ldm_sampler_run *r)
{
    return (const ldm_vp_level *)r->plan->own + r->index;
}

ldm_status ldm_vp_predict_x0(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_vp_level *at = ldm_vp_level_of(r);
    ldm_status st = ldm_sampler_predict(r, r->x, r->plan->steps[r->index].t, r->pred_x0, err);

    if (!st)
        ldm_to_x0(r->plan->prediction, (float)at->alpha, (float)at->sigma, r->x, r->count,
                  r->pred_x0);
    return st;
}
