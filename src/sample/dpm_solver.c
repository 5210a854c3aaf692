/* SPDX-License-Identifier: MIT */
/* DPM-Solver++(2M) (Lu et al. 2022, "DPM-Solver++", algorithm 2) as CompVis' `--dpm_solver` runs
 * it: data prediction, order 2 multistep, times evenly between 1 and 1/T. Times are continuous: the
 * model's timestep n is the time (n + 1) / T, log(alpha) is linear in between, and the network sees
 * fractional timesteps. S + 1 times make S steps; the last one ends at alphas_cumprod[0].
 *
 * f32 throughout, as there: near time 1/T sigma^2 = 1 - alpha^2 is a difference of almost equal
 * numbers, whose rounding shows in the latents. */
#include <math.h>

#include "base/alloc.h"
#include "sample/float32.h"
#include "sample/prediction.h"
#include "sample/sampler_row.h"

enum { FEW_STEPS = 15 }; /* with fewer the last step is of order 1 */

/* A time of the plan; plan->own is an array of count + 1 of them. */
typedef struct moment {
    float alpha, sigma, lambda; /* x = alpha * x0 + sigma * noise, lambda = log(alpha / sigma) */
} moment;

/* log(alpha) at a time: knots at (n + 1) / T, linear between them and beyond the outermost. */
static float log_alpha_at(const ldm_diffusion *d, float time)
{
    const int last = d->train_steps - 1;
    int n = 0;
    float x0, x1, y0, y1;

    while (n + 1 < last && ldm_linspace32(0, 1, last + 2, n + 2) < time)
        n++;
    if (last == 0)
        return 0.5f * ldm_log32(d->alphas_cumprod[0]);
    x0 = ldm_linspace32(0, 1, last + 2, n + 1);
    x1 = ldm_linspace32(0, 1, last + 2, n + 2);
    y0 = 0.5f * ldm_log32(d->alphas_cumprod[n]);
    y1 = 0.5f * ldm_log32(d->alphas_cumprod[n + 1]);
    return y0 + (time - x0) * (y1 - y0) / (x1 - x0);
}

static moment moment_at(const ldm_diffusion *d, float time)
{
    const float log_alpha = log_alpha_at(d, time);
    const float variance = 1.0f - ldm_exp32(2.0f * log_alpha);

    return (moment){.alpha = ldm_exp32(log_alpha),
                    .sigma = sqrtf(variance),
                    .lambda = log_alpha - 0.5f * ldm_log32(variance)};
}

static void fill_step(const moment *at, float t, ldm_sampler_step *s)
{
    s->t = (double)t;
    s->evaluations = 1;
    s->alpha = (double)at[0].alpha * (double)at[0].alpha;
    s->alpha_next = (double)at[1].alpha * (double)at[1].alpha;
    s->known_x0 = at[0].alpha;
    s->known_noise = at[0].sigma;
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    const float end = (float)(1.0 / d->train_steps);
    ldm_status st = ldm_sampler_plan_steps(p, set->steps, set->steps, err);
    moment *moments;
    int i;

    if (st)
        return st;
    moments = p->own = ldm_calloc((size_t)p->count + 1, sizeof *moments);
    if (!moments)
        return ldm_error_nomem(err, (size_t)p->count * sizeof *moments, "the steps of a run");
    for (i = 0; i <= p->count; i++)
        moments[i] = moment_at(d, ldm_linspace32(1, end, p->count + 1, i));
    for (i = 0; i < p->count; i++) {
        const float time = ldm_linspace32(1, end, p->count + 1, i);

        fill_step(&moments[i], (time - end) * (float)d->train_steps, &p->steps[i]);
        p->times[i] = p->steps[i].t;
    }
    return LDM_OK;
}

/* Order 1: equal to DDIM. Order 2: x0 is extrapolated from this step's and the last one's. */
static void update(const ldm_sampler_run *r, const moment *at, const float *now, const float *old)
{
    const float h = at[1].lambda - at[0].lambda, keep = at[1].sigma / at[0].sigma;
    const float move = at[1].alpha * (old ? ldm_exp32(-h) - 1.0f : (float)expm1((double)-h));
    float inverse;
    size_t i;

    if (!old) {
        for (i = 0; i < r->count; i++)
            r->x[i] = keep * r->x[i] - move * now[i];
        return;
    }
    inverse = 1.0f / ((at[0].lambda - at[-1].lambda) / h);
    for (i = 0; i < r->count; i++)
        r->x[i] = keep * r->x[i] - move * now[i] - 0.5f * move * (inverse * (now[i] - old[i]));
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_plan *p = r->plan;
    const moment *at = (const moment *)p->own + r->index;
    /* The last step is long in lambda. What order 2 extrapolates over it must not be the difference
     * of two noises, which it is where a known region was noised anew. */
    const bool last = r->index == p->count - 1 && (p->count < FEW_STEPS || r->job->mask);
    const bool first_order = r->done == 0 || last;
    float *now = r->work + (size_t)(r->done % 2) * r->count;
    float *old = r->work + (size_t)((r->done + 1) % 2) * r->count;
    ldm_status st = ldm_sampler_predict(r, r->x, p->steps[r->index].t, now, err);
    size_t i;

    if (st)
        return st;
    ldm_to_x0(p->prediction, at->alpha, at->sigma, r->x, r->count, now);
    for (i = 0; i < r->count; i++)
        r->pred_x0[i] = now[i];
    update(r, at, now, first_order ? NULL : old);
    return LDM_OK;
}

static const char *const aliases[] = {"dpm-solver", "DPMSolverSampler", NULL};

const ldm_sampler ldm_sampler_dpm_solver = {
    .name = "dpm-solver++",
    .aliases = aliases,
    .summary = "CompVis' --dpm_solver: order 2, evenly spaced fractional timesteps",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .spacings = LDM_SPACING_BIT(LDM_SPACING_LINSPACE),
    .default_spacing = LDM_SPACING_LINSPACE,
    .latents = 2, /* predicted x0: this step's and the last one's */
    .plan = plan,
    .step = step,
};
