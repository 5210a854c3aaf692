/* SPDX-License-Identifier: MIT */
/* See vp_levels.h: set_timesteps of diffusers' UniPCMultistepScheduler and DEISMultistepScheduler.
 */
#include "sample/vp_levels.h"

#include <math.h>

#include "base/alloc.h"
#include "sample/prediction.h"

static int timestep_at(ldm_spacing spacing, int train_steps, int steps, int i)
{
    const double total = train_steps;

    switch (spacing) {
    case LDM_SPACING_LEADING:
        return (steps - i) * (train_steps / (steps + 1)) + 1;
    case LDM_SPACING_TRAILING:
        return (int)rint(total - i * (total / steps)) - 1;
    default:
        return (int)rint((steps - i) * ((total - 1) / steps));
    }
}

/* From the noise level in f32, as there. */
static ldm_vp_level level(float sigma_f32)
{
    const double sigma = (double)sigma_f32, alpha = 1 / sqrt(sigma * sigma + 1);

    return (ldm_vp_level){.alpha = alpha, .sigma = sigma * alpha, .lambda = -log(sigma)};
}

static float sigma_at(const ldm_diffusion *d, int t)
{
    return sqrtf((1.0f - d->alphas_cumprod[t]) / d->alphas_cumprod[t]);
}

static void fill_step(const ldm_vp_level *at, int t, float sigma, float sigma_next,
                      ldm_sampler_step *s)
{
    s->t = t;
    s->evaluations = 1;
    s->alpha = at[0].alpha * at[0].alpha;
    s->alpha_next = at[1].alpha * at[1].alpha;
    s->sigma = (double)sigma;
    s->sigma_next = (double)sigma_next;
    s->known_x0 = (float)at[0].alpha;
    s->known_noise = (float)at[0].sigma;
}

static void fill_plan(const ldm_diffusion *d, const ldm_sampling *set, bool to_clean_data,
                      ldm_sampler_plan *p)
{
    ldm_vp_level *at = p->own;
    float sigma, next;
    int i, t;

    for (i = 0; i < p->count; i++) {
        t = timestep_at(set->spacing, d->train_steps, p->count, i);
        sigma = sigma_at(d, t);
        next = i + 1 < p->count
                   ? sigma_at(d, timestep_at(set->spacing, d->train_steps, p->count, i + 1))
               : to_clean_data ? 0.0f
                               : sigma_at(d, 0);
        at[i] = level(sigma);
        at[i + 1] = level(next);
        fill_step(&at[i], t, sigma, next, &p->steps[i]);
        p->times[i] = t;
    }
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
    return LDM_OK;
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
