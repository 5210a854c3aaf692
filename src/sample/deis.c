/* SPDX-License-Identifier: MIT */
/* DEIS (Zhang and Chen 2022, "Fast sampling of diffusion models with exponential integrator",
 * log-rho multistep of order 2) as diffusers' DEISMultistepScheduler computes it: in
 * rho = sigma / alpha, dx / drho is eps, extrapolated linearly in log(rho) from two evaluations. */
#include <math.h>
#include <string.h>

#include "sample/prediction.h"
#include "sample/vp_levels.h"

enum { FEW_STEPS = 15 }; /* with fewer the last step is of order 1 */

static double rho(const ldm_vp_level *at)
{
    return at->sigma / at->alpha;
}

/* The antiderivative, in t, of (log t - log c) / (log b - log c). */
static double integral(double t, double b, double c)
{
    return t * (log(t) - log(c) - 1) / (log(b) - log(c));
}

/* The weight in the step to at[1] of an eps that is of rho b, where the other one is of rho c. */
static float weight(const ldm_vp_level *at, double b, double c)
{
    return (float)(integral(rho(&at[1]), b, c) - integral(rho(&at[0]), b, c));
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_vp_level *at = ldm_vp_level_of(r);
    const bool few = r->plan->count < FEW_STEPS && !r->plan->settings.full_order_last;
    const bool last = r->index == r->plan->count - 1 && few;
    float *now = r->work + (size_t)(r->done % 2) * r->count;
    const float *old = r->work + (size_t)((r->done + 1) % 2) * r->count;
    const float alpha = (float)at[0].alpha, next = (float)at[1].alpha;
    ldm_status st = ldm_vp_predict_x0(r, err);
    float c0, c1;
    size_t i;

    if (st)
        return st;
    memcpy(now, r->pred_x0, r->count * sizeof *now);
    ldm_to_eps(LDM_PREDICTS_X0, alpha, (float)at[0].sigma, r->x, r->count, now);
    if (r->done == 0 || last) {
        c0 = (float)(at[1].sigma * expm1(at[1].lambda - at[0].lambda));
        for (i = 0; i < r->count; i++)
            r->x[i] = next / alpha * r->x[i] - c0 * now[i];
        return LDM_OK;
    }
    c0 = weight(at, rho(&at[0]), rho(&at[-1]));
    c1 = weight(at, rho(&at[-1]), rho(&at[0]));
    for (i = 0; i < r->count; i++)
        r->x[i] = next * (r->x[i] / alpha + c0 * now[i] + c1 * old[i]);
    return LDM_OK;
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    return ldm_vp_plan(d, set, false, p, err);
}

static const char *const aliases[] = {"DEISMultistepScheduler", NULL};

const ldm_sampler ldm_sampler_deis = {
    .name = "deis",
    .aliases = aliases,
    .summary = "exponential integrator on eps, order 2, log-rho",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_lower_order = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_VP_SPACINGS,
    .default_spacing = LDM_SPACING_LINSPACE,
    .latents = 2, /* eps: this step's and the last one's */
    .plan = plan,
    .step = step,
};
