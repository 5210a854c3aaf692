/* SPDX-License-Identifier: MIT */
/* PNDM (Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds", algorithm 2)
 * as diffusers' PNDMScheduler runs it with skip_prk_steps false: three pseudo Runge-Kutta steps of
 * four evaluations each (eq. 15), then linear multistep steps (eq. 12). Timesteps are T / S apart,
 * with the offset of 1, and below 0 is alphas_cumprod[0]. PLMS begins without Runge-Kutta.
 *
 * Of a network that predicts v the v are added up, and their sum becomes eps with the x of the
 * step, as there; an x0 becomes eps where it is predicted. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "sample/prediction.h"
#include "sample/sampler_row.h"

enum { RK_STEPS = 3, RK_EVALUATIONS = 4, ORDER = 4 };
/* Arrays of r->work: eps of the last ORDER steps in a ring, what moves x, x on the way, one eps. */
enum { SUM = ORDER, ON_WAY, EPS, LATENTS };

static float *array(const ldm_sampler_run *r, int i)
{
    return r->work + (size_t)i * r->count;
}

/* Where a step or a part of one stands: plan->own is alphas_cumprod of each timestep. */
static float alpha_at(const ldm_sampler_run *r, int t)
{
    const float *alphas = r->plan->own;

    return alphas[t > 0 ? t : 0];
}

static ldm_status keep_alphas(const ldm_diffusion *d, ldm_sampler_plan *p, ldm_error *err)
{
    const size_t bytes = (size_t)d->train_steps * sizeof *d->alphas_cumprod;

    p->own = ldm_malloc(bytes);
    if (!p->own)
        return ldm_error_nomem(err, bytes, "the steps of a run");
    memcpy(p->own, d->alphas_cumprod, bytes);
    return LDM_OK;
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    const int steps = set->steps, stride = steps > 0 ? d->train_steps / steps : 0;
    double *time;
    ldm_status st;
    int i, k, t;

    if (steps <= RK_STEPS || steps >= d->train_steps)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "pndm_prk runs %d steps or more (three are Runge-Kutta's) and fewer "
                             "than the model has timesteps (%d); asked for: %d",
                             RK_STEPS + 1, d->train_steps, steps);
    st = ldm_sampler_plan_steps(p, steps, steps + RK_STEPS * (RK_EVALUATIONS - 1), err);
    if (!st)
        st = keep_alphas(d, p, err);
    for (i = 0, time = p->times; !st && i < steps; i++) {
        ldm_sampler_step *s = &p->steps[i];

        t = (steps - 1 - i) * stride + 1;
        s->t = *time++ = t;
        s->alpha = (double)d->alphas_cumprod[t];
        s->alpha_next = (double)d->alphas_cumprod[t > stride ? t - stride : 0];
        s->evaluations = i < RK_STEPS ? RK_EVALUATIONS : 1;
        for (k = 1; k < s->evaluations; k++)
            *time++ = t - stride + (k < 3 ? stride / 2 : 0);
        ldm_sampler_known_at(d, t, s);
    }
    return st;
}

static bool adds_v(const ldm_sampler_run *r)
{
    return r->plan->prediction == LDM_PREDICTS_V;
}

/* to: x moved from timestep `from` to `next` along eps (or v), eq. 9 of the paper. */
static void transfer(const ldm_sampler_run *r, const float *x, const float *out, int from, int next,
                     float *to)
{
    const float a = alpha_at(r, from), b = alpha_at(r, next);
    const float keep = sqrtf(b / a);
    const float divisor = a * sqrtf(1.0f - b) + sqrtf(a * (1.0f - a) * b);
    const float of_out = adds_v(r) ? sqrtf(a) : 1, of_x = adds_v(r) ? sqrtf(1.0f - a) : 0;
    size_t i;

    for (i = 0; i < r->count; i++)
        to[i] = keep * x[i] - (b - a) * (of_out * out[i] + of_x * x[i]) / divisor;
}

/* eps, or v. */
static ldm_status output_at(ldm_sampler_run *r, const float *x, int t, float *out, ldm_error *err)
{
    const float a = alpha_at(r, t);
    ldm_status st = ldm_sampler_predict(r, x, t, out, err);

    if (!st && !adds_v(r))
        ldm_to_eps(r->plan->prediction, sqrtf(a), sqrtf(1.0f - a), x, r->count, out);
    return st;
}

/* sum += weight * eps */
static void add(const ldm_sampler_run *r, float weight, const float *eps)
{
    float *sum = array(r, SUM);
    size_t i;

    for (i = 0; i < r->count; i++)
        sum[i] += weight * eps[i];
}

/* The other three evaluations: two in the middle, one at the end, each from x along the eps of the
 * one before. The middle is half a stride, rounded down, below t for x and above t - stride for the
 * network: in the original they differ by one where the stride is odd. */
static ldm_status runge_kutta(ldm_sampler_run *r, const float *first, int t, int stride,
                              ldm_error *err)
{
    const int half = stride / 2;
    const int to[RK_EVALUATIONS] = {t - half, t - stride + half, t - stride, t - stride};
    const int at[RK_EVALUATIONS] = {t, t - stride + half, t - stride + half, t - stride};
    static const float weights[RK_EVALUATIONS] = {1.0f / 6, 1.0f / 3, 1.0f / 3, 1.0f / 6};
    const float *eps = first;
    ldm_status st = LDM_OK;
    int k;

    add(r, weights[0], first);
    for (k = 1; !st && k < RK_EVALUATIONS; k++) {
        transfer(r, r->x, eps, t, to[k - 1], array(r, ON_WAY));
        eps = array(r, EPS);
        st = output_at(r, array(r, ON_WAY), at[k], array(r, EPS), err);
        if (!st)
            add(r, weights[k], eps);
    }
    return st;
}

/* Adams-Bashforth, of as many steps as there are. */
static void multistep(const ldm_sampler_run *r)
{
    static const float coefs[ORDER][ORDER] = {{1},
                                              {3.0f / 2, -1.0f / 2},
                                              {23.0f / 12, -16.0f / 12, 5.0f / 12},
                                              {55.0f / 24, -59.0f / 24, 37.0f / 24, -9.0f / 24}};
    const int order = r->done < ORDER ? r->done : ORDER - 1;
    int k;

    for (k = 0; k <= order; k++)
        add(r, coefs[order][k], array(r, (r->done - k) % ORDER));
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const int t = (int)r->plan->steps[r->index].t;
    const int stride = (int)(r->plan->steps[0].t - r->plan->steps[1].t);
    float *eps = array(r, r->done % ORDER);
    ldm_status st = output_at(r, r->x, t, eps, err);

    if (st)
        return st;
    memset(array(r, SUM), 0, r->count * sizeof *eps);
    if (r->index < RK_STEPS && r->job->start == 0)
        st = runge_kutta(r, eps, t, stride, err);
    else
        multistep(r);
    if (st)
        return st;
    memcpy(r->pred_x0, array(r, SUM), r->count * sizeof *eps);
    ldm_to_x0(adds_v(r) ? LDM_PREDICTS_V : LDM_PREDICTS_EPS, sqrtf(alpha_at(r, t)),
              sqrtf(1.0f - alpha_at(r, t)), r->x, r->count, r->pred_x0);
    transfer(r, r->x, array(r, SUM), t, t - stride, r->x);
    return LDM_OK;
}

static const char *const aliases[] = {"prk", NULL};

const ldm_sampler ldm_sampler_pndm_prk = {
    .name = "pndm_prk",
    .aliases = aliases,
    .summary = "PNDM with its three Runge-Kutta steps of four evaluations; pndm is plms",
    .evaluations_per_step = 1,
    .evaluations_more = RK_STEPS * (RK_EVALUATIONS - 1),
    .least_steps = RK_STEPS + 1,
    .takes_mask = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_SPACING_BIT(LDM_SPACING_LEADING),
    .default_spacing = LDM_SPACING_LEADING,
    .latents = LATENTS,
    .plan = plan,
    .step = step,
};
