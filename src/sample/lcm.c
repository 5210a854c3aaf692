/* SPDX-License-Identifier: MIT */
/* The sampler of latent consistency models (Luo et al. 2023, algorithm 3) as diffusers'
 * LCMScheduler runs it: each step predicts x0 and noises it anew to the next timestep. It is for
 * models that were distilled for it; any other gives blurred pictures. The timesteps are taken from
 * the 50 of the distillation. */
#include <math.h>

#include "sample/prediction.h"
#include "sample/sampler_row.h"

enum { DISTILLED_STEPS = 50 };

static const double sigma_data = 0.5, timestep_scaling = 10;

static int timestep_at(const ldm_diffusion *d, int steps, int i)
{
    const int stride = d->train_steps / DISTILLED_STEPS;
    const int from_top = (int)floor(i * ((double)DISTILLED_STEPS / steps));

    return (DISTILLED_STEPS - from_top) * stride - 1;
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    ldm_status st;
    int i, t;

    if (set->steps < 1 || set->steps > DISTILLED_STEPS || d->train_steps < DISTILLED_STEPS)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "lcm runs 1 to %d steps, of a model of at least as many timesteps; "
                             "asked for: %d, of %d",
                             (int)DISTILLED_STEPS, set->steps, d->train_steps);
    st = ldm_sampler_plan_steps(p, set->steps, set->steps, err);
    if (st)
        return st;
    for (i = 0; i < p->count; i++) {
        ldm_sampler_step *s = &p->steps[i];

        t = timestep_at(d, p->count, i);
        s->t = p->times[i] = t;
        s->evaluations = 1;
        s->alpha = (double)d->alphas_cumprod[t];
        s->alpha_next =
            i + 1 < p->count ? (double)d->alphas_cumprod[timestep_at(d, p->count, i + 1)] : 1.0;
        s->noise = sqrt(1 - s->alpha_next);
        ldm_sampler_known_at(d, t, s);
    }
    p->draws = p->count - 1;
    p->adds_noise = p->draws > 0;
    return LDM_OK;
}

/* x0 becomes c_out * x0 + c_skip * x, the boundary condition: x itself at t = 0. */
static void bound(const ldm_sampler_run *r, double t)
{
    const double scaled = t * timestep_scaling, sum = scaled * scaled + sigma_data * sigma_data;
    const float skip = (float)(sigma_data * sigma_data / sum), out = (float)(scaled / sqrt(sum));
    size_t i;

    for (i = 0; i < r->count; i++)
        r->pred_x0[i] = out * r->pred_x0[i] + skip * r->x[i];
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    const float keep = sqrtf((float)s->alpha_next);
    const float up = (float)(s->noise * r->plan->settings.temperature);
    const bool last = r->index == r->plan->count - 1;
    ldm_status st = ldm_sampler_predict(r, r->x, s->t, r->pred_x0, err);
    size_t i;

    if (st)
        return st;
    ldm_to_x0(r->plan->prediction, sqrtf((float)s->alpha), sqrtf(1.0f - (float)s->alpha), r->x,
              r->count, r->pred_x0);
    bound(r, s->t);
    st = ldm_sampler_quantize(r, err);
    if (!st && !last)
        st = ldm_sampler_draw(r, err);
    for (i = 0; !st && i < r->count; i++)
        r->x[i] = last ? r->pred_x0[i] : keep * r->pred_x0[i] + up * r->noise[i];
    return st;
}

static const char *const aliases[] = {"LCMScheduler", NULL};

const ldm_sampler ldm_sampler_lcm = {
    .name = "lcm",
    .aliases = aliases,
    .summary = "for models distilled to it (latent consistency models): 1 to 8 steps",
    .evaluations_per_step = 1,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_quantize_x0 = true,
    .distilled = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_SPACING_BIT(LDM_SPACING_TRAILING),
    .default_spacing = LDM_SPACING_TRAILING,
    .plan = plan,
    .step = step,
};
