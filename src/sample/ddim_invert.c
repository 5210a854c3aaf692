/* SPDX-License-Identifier: MIT */
/* DDIM run backwards (Song et al. 2020, section 4.3): from a latent to the noise that leads to it.
 * The step from one noise level up to the next takes eps where it ends (t of the upper level),
 * since that is the timestep at which the way down evaluates it; x is the lower level's at first.
 * Repeated (refine), x is the upper level's as found so far: a fixed point is the exact inverse
 * ("Effective Real Image Editing with Accelerated Iterative Diffusion Inversion", Pan et al. 2023,
 * arXiv 2309.04907).
 *
 * by_index: as `encode` of Stability-AI's DDIMSampler, which passes the number of the step, 0, 1,
 * 2 ..., for the timestep, and takes the network's output for eps whatever it was trained for. */
#include <math.h>
#include <string.h>

#include "sample/ddim.h"
#include "sample/prediction.h"

enum { EPS, BEFORE, LATENTS };

/* x = sqrt(a' / a) * before + sqrt(a') * (sqrt(1 / a' - 1) - sqrt(1 / a - 1)) * eps, with the
 * precision that the original has in its factors. */
static void move_up(const ldm_sampler_step *s, const float *before, const float *eps, size_t count,
                    float *x)
{
    const float next = (float)s->alpha_next;
    const float keep = (float)sqrt((double)next / s->alpha);
    const double difference = (double)sqrtf(1.0f / next - 1.0f) - sqrt(1.0 / s->alpha - 1.0);
    const float move = (float)((double)sqrtf(next) * difference);
    size_t i;

    for (i = 0; i < count; i++)
        x[i] = keep * before[i] + move * eps[i];
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    const ldm_sampling *set = &r->plan->settings;
    float *eps = r->work + (size_t)EPS * r->count, *before = r->work + (size_t)BEFORE * r->count;
    const float a = (float)s->alpha_next;
    ldm_status st = LDM_OK;
    int k;

    memcpy(before, r->x, r->count * sizeof *before);
    for (k = 0; !st && k < s->evaluations; k++) {
        st = ldm_sampler_predict(r, r->x, s->t, eps, err);
        if (!st && !set->by_index)
            ldm_to_eps(r->plan->prediction, sqrtf(a), sqrtf(1.0f - a), r->x, r->count, eps);
        if (!st)
            move_up(s, before, eps, r->count, r->x);
    }
    if (!st)
        ldm_ddim_predict_x0(&(ldm_sampler_step){.alpha = s->alpha_next}, r->x, eps, r->count,
                            r->pred_x0);
    return st;
}

/* DDIM's steps in the opposite order, each from where it ended to where it began. */
static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    ldm_sampler_plan down = {.sampler = p->sampler, .settings = *set, .prediction = p->prediction};
    const int each = 1 + set->refine;
    ldm_status st = ldm_ddim_plan(d, set, &down, err);
    int i, k;

    if (!st)
        st = ldm_sampler_plan_steps(p, down.count, down.count * each, err);
    for (i = 0; !st && i < p->count; i++) {
        const ldm_sampler_step *from = &down.steps[p->count - 1 - i];
        ldm_sampler_step *s = &p->steps[i];

        s->t = set->by_index ? i : from->t;
        s->evaluations = each;
        s->alpha = from->alpha_next;
        s->alpha_next = from->alpha;
        for (k = 0; k < each; k++)
            p->times[i * each + k] = s->t;
    }
    p->prediction = down.prediction;
    ldm_sampler_plan_free(&down);
    return st;
}

static const char *const aliases[] = {NULL};

const ldm_sampler ldm_sampler_ddim_invert = {
    .name = "ddim_invert",
    .aliases = aliases,
    .summary = "DDIM from a latent to the noise that leads to it",
    .evaluations_per_step = 1,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_DDIM_SPACINGS,
    .default_spacing = LDM_SPACING_COMPVIS,
    .latents = LATENTS,
    .plan = plan,
    .step = step,
};
