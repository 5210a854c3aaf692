/* SPDX-License-Identifier: MIT */
/* DPM-Solver++ (Lu et al. 2022, "DPM-Solver++", algorithm 2 and its form of order 3; the SDE of
 * appendix A) as diffusers' DPMSolverMultistepScheduler computes it: whole timesteps, and a last
 * step of order 1 to clean data. CompVis' `--dpm_solver` and k-diffusion's dpmpp_2m differ in
 * both. */
#include <math.h>
#include <string.h>

#include "sample/vp_levels.h"

enum { MAX_ORDER = 3, FEW_STEPS = 15 }; /* with fewer the last steps have a lower order */

/* The x0 predicted `back` steps ago; 0: in this step. */
static float *x0_of(const ldm_sampler_run *r, int back)
{
    return r->work + (size_t)((r->done - back) % MAX_ORDER) * r->count;
}

static int order_of(const ldm_sampler_run *r, int order)
{
    const ldm_vp_level *at = ldm_vp_level_of(r);
    const int left = r->plan->count - r->index;
    const bool few = r->plan->count < FEW_STEPS && !r->plan->settings.full_order_last;
    /* To clean data the step has no length in lambda. With a mask what order 2 extrapolates there
     * would be the difference of two noises. */
    const bool no_length = !(at[1].sigma > 0) || !(at[1].lambda > at[0].lambda);

    if (no_length || (left == 1 && (few || r->job->mask)))
        return 1;
    if (left == 2 && few && order > 2)
        order = 2;
    return order < r->done + 1 ? order : r->done + 1;
}

/* What multiplies x, this step's x0 and the differences of x0, and the noise. */
typedef struct weights {
    double keep, move, first, second, noise;
} weights;

static weights weights_of(const ldm_sampler_run *r, int order, bool sde)
{
    const ldm_vp_level *at = ldm_vp_level_of(r);
    const double h = at[1].lambda - at[0].lambda, hh = sde ? 2 * h : h;
    const double integral = order > 1 ? expm1(-hh) / hh : 0;
    weights w = {.keep = at[1].sigma / at[0].sigma * (sde ? exp(-h) : 1),
                 .move = -at[1].alpha * expm1(-hh),
                 .noise = sde ? at[1].sigma * sqrt(-expm1(-2 * h)) : 0};

    if (order == 2 && r->plan->settings.solver != LDM_SOLVER_HEUN)
        w.first = 0.5 * w.move;
    else if (order > 1)
        w.first = at[1].alpha * (integral + 1);
    if (order > 2)
        w.second = -at[1].alpha * ((integral + 1) / hh - 0.5);
    return w;
}

/* Adds `first` and `second` times the first and second divided differences of x0, in units of this
 * step; they become weights of the x0 of this step and of those before. */
static void weigh(const ldm_sampler_run *r, int order, const weights *w, float *of)
{
    const ldm_vp_level *at = ldm_vp_level_of(r);
    const double h = at[1].lambda - at[0].lambda;
    double r0, r1, near, far, both;

    of[0] = (float)w->move;
    of[1] = of[2] = 0;
    if (order == 1)
        return;
    r0 = (at[0].lambda - at[-1].lambda) / h;
    near = w->first / r0;
    far = 0;
    if (order > 2) {
        r1 = (at[-1].lambda - at[-2].lambda) / h;
        both = w->first * r0 / (r0 + r1) + w->second / (r0 + r1);
        near += both / r0;
        far = both / r1;
    }
    of[0] = (float)(w->move + near);
    of[1] = (float)(-near - far);
    of[2] = (float)far;
}

static ldm_status step_of_order(ldm_sampler_run *r, int max_order, bool sde, ldm_error *err)
{
    const int order = order_of(r, max_order);
    const weights w = weights_of(r, order, sde);
    const float keep = (float)w.keep, up = (float)(w.noise * r->plan->settings.temperature);
    float of[MAX_ORDER];
    ldm_status st = ldm_vp_predict_x0(r, err);
    size_t i;
    int k;

    if (!st && sde)
        st = ldm_sampler_draw(r, err); /* in the last step, too, as there */
    if (st)
        return st;
    memcpy(x0_of(r, 0), r->pred_x0, r->count * sizeof *r->x);
    weigh(r, order, &w, of);
    for (i = 0; i < r->count; i++)
        r->x[i] = keep * r->x[i] + of[0] * r->pred_x0[i];
    for (k = 1; k < order; k++) {
        const float *old = x0_of(r, k);

        for (i = 0; i < r->count; i++)
            r->x[i] += of[k] * old[i];
    }
    for (i = 0; sde && i < r->count; i++)
        r->x[i] += up * r->noise[i];
    return LDM_OK;
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    return ldm_vp_plan(d, set, set->final_sigma != LDM_FINAL_LEAST, p, err);
}

static ldm_status plan_sde(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                           ldm_error *err)
{
    ldm_status st = plan(d, set, p, err);

    if (st)
        return st;
    p->draws = p->count;
    p->adds_noise = p->steps[0].sigma_next > 0;
    return LDM_OK;
}

static ldm_status step2(ldm_sampler_run *r, ldm_error *err)
{
    return step_of_order(r, 2, false, err);
}

static ldm_status step3(ldm_sampler_run *r, ldm_error *err)
{
    return step_of_order(r, 3, false, err);
}

static ldm_status step2_sde(ldm_sampler_run *r, ldm_error *err)
{
    return step_of_order(r, 2, true, err);
}

static const char *const aliases2[] = {"DPMSolverMultistepScheduler", "DPMSolverMultistep",
                                       "dpmsolver++", NULL};
static const char *const aliases3[] = {"dpmsolver++3", NULL};
static const char *const aliases2_sde[] = {"sde-dpmsolver++", NULL};

#define SOLVERS (LDM_SOLVER_BIT(LDM_SOLVER_MIDPOINT) | LDM_SOLVER_BIT(LDM_SOLVER_HEUN))

const ldm_sampler ldm_sampler_dpmpp_2m_diffusers = {
    .name = "dpmpp_2m_diffusers",
    .aliases = aliases2,
    .summary = "DPM-Solver++ of order 2 with diffusers' timesteps, which are whole",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .solvers = SOLVERS,
    .takes_final_sigma = true,
    .takes_lower_order = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_VP_SPACINGS,
    .default_spacing = LDM_SPACING_LINSPACE,
    .latents = MAX_ORDER,
    .plan = plan,
    .step = step2,
};

const ldm_sampler ldm_sampler_dpmpp_3m_diffusers = {
    .name = "dpmpp_3m_diffusers",
    .aliases = aliases3,
    .summary = "dpmpp_2m_diffusers of order 3, for runs without guidance",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .solvers = SOLVERS,
    .takes_final_sigma = true,
    .takes_lower_order = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_VP_SPACINGS,
    .default_spacing = LDM_SPACING_LINSPACE,
    .latents = MAX_ORDER,
    .plan = plan,
    .step = step3,
};

const ldm_sampler ldm_sampler_dpmpp_2m_sde_diffusers = {
    .name = "dpmpp_2m_sde_diffusers",
    .aliases = aliases2_sde,
    .summary = "dpmpp_2m_diffusers with fresh noise in every step (sde-dpmsolver++)",
    .evaluations_per_step = 1,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_zero_snr = true,
    .solvers = SOLVERS,
    .takes_final_sigma = true,
    .takes_lower_order = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_VP_SPACINGS,
    .default_spacing = LDM_SPACING_LINSPACE,
    .latents = MAX_ORDER,
    .plan = plan_sde,
    .step = step2_sde,
};
