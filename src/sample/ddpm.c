/* SPDX-License-Identifier: MIT */
/* The ancestral sampler of DDPM (Ho et al. 2020, algorithm 2) as CompVis' p_sample_loop computes
 * it: the mean of q(x_prev | x, x0) with the x0 that the network predicts, plus noise. With fewer
 * steps than the model has timesteps the betas are those between the timesteps that are visited
 * (Nichol and Dhariwal 2021, section 4), with all of them they are the model's own. */
#include <math.h>

#include "sample/prediction.h"
#include "sample/sampler_row.h"

static void plan_step(const ldm_diffusion *d, const ldm_timesteps *times, int index,
                      ldm_sampler_step *s)
{
    s->t = times->t[index];
    s->evaluations = 1;
    s->alpha = (double)d->alphas_cumprod[times->t[index]];
    s->alpha_next = index ? (double)d->alphas_cumprod[times->t[index - 1]] : 1.0;
    /* The variance of q(x_prev | x, x0), eq. 7; 0 in the last step, where alpha_next is 1. */
    s->noise = s->alpha < s->alpha_next
                   ? sqrt((1 - s->alpha / s->alpha_next) * (1 - s->alpha_next) / (1 - s->alpha))
                   : 0;
    ldm_sampler_known_at(d, times->t[index], s);
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    ldm_timesteps times;
    ldm_status st = ldm_timesteps_create(set->spacing, d->train_steps, set->steps, &times, err);
    int i;

    if (!st)
        st = ldm_sampler_plan_steps(p, times.count, times.count, err);
    for (i = 0; !st && i < p->count; i++) {
        plan_step(d, &times, p->count - 1 - i, &p->steps[i]);
        p->times[i] = p->steps[i].t;
        p->adds_noise = p->adds_noise || p->steps[i].noise > 0;
    }
    p->draws = p->count;
    ldm_timesteps_free(&times);
    return st;
}

static void update(const ldm_sampler_run *r, const ldm_sampler_step *s)
{
    const double beta = 1 - s->alpha / s->alpha_next;
    const float of_x0 = (float)(beta * sqrt(s->alpha_next) / (1 - s->alpha));
    const float of_x =
        (float)((1 - s->alpha_next) * sqrt(s->alpha / s->alpha_next) / (1 - s->alpha));
    const float sigma = (float)(s->noise * r->plan->settings.temperature);
    size_t i;

    for (i = 0; i < r->count; i++)
        r->x[i] = of_x0 * r->pred_x0[i] + of_x * r->x[i] + sigma * r->noise[i];
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    ldm_status st = ldm_sampler_predict(r, r->x, s->t, r->pred_x0, err);

    if (st)
        return st;
    ldm_to_x0(r->plan->prediction, (float)sqrt(s->alpha), (float)sqrt(1 - s->alpha), r->x, r->count,
              r->pred_x0);
    st = ldm_sampler_quantize(r, err);
    if (!st)
        st = ldm_sampler_draw(r, err);
    if (!st)
        update(r, s);
    return st;
}

static const char *const aliases[] = {"DDPMScheduler", "ancestral", NULL};

const ldm_sampler ldm_sampler_ddpm = {
    .name = "ddpm",
    .aliases = aliases,
    .summary =
        "the loop that a model is trained for; --steps 1000 is CompVis' -v, fewer are spaced",
    .evaluations_per_step = 1,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_quantize_x0 = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_SPACING_BIT(LDM_SPACING_LINSPACE) | LDM_SPACING_BIT(LDM_SPACING_LEADING) |
                LDM_SPACING_BIT(LDM_SPACING_TRAILING),
    .default_spacing = LDM_SPACING_LINSPACE,
    .plan = plan,
    .step = step,
};
