/* SPDX-License-Identifier: MIT */
/* PLMS: pseudo linear multistep (Liu et al. 2022, "Pseudo numerical methods for diffusion models on
 * manifolds", eq. 12 and 13) as CompVis' PLMSSampler computes it: DDIM's step with eps extrapolated
 * from up to four evaluations. The first step has no history and evaluates twice. */
#include <string.h>

#include "sample/ddim.h"

enum {
    ORDER = 4,
    PRIME = ORDER
}; /* work: the last ORDER eps in a ring, and the extrapolated one */

static float *array(const ldm_sampler_run *r, int i)
{
    return r->work + (size_t)i * r->count;
}

/* The eps of `back` steps ago; 0: this step's. */
static float *eps_of(const ldm_sampler_run *r, int back)
{
    return array(r, (r->done - back) % ORDER);
}

/* Adams-Bashforth coefficients, newest first, by how many earlier eps there are. */
static void extrapolate(const ldm_sampler_run *r, float *out)
{
    static const float coefs[ORDER][ORDER] = {{1}, {3, -1}, {23, -16, 5}, {55, -59, 37, -9}};
    static const float divisors[ORDER] = {1, 2, 12, 24};
    const int order = r->done < ORDER ? r->done : ORDER - 1;
    const float *c = coefs[order];
    size_t i;
    int k;

    for (i = 0; i < r->count; i++)
        out[i] = c[0] * eps_of(r, 0)[i];
    for (k = 1; k <= order; k++) {
        const float *old = eps_of(r, k);

        for (i = 0; i < r->count; i++)
            out[i] += c[k] * old[i];
    }
    for (i = 0; i < r->count; i++)
        out[i] /= divisors[order];
}

static ldm_status move(ldm_sampler_run *r, const float *eps, float *out, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    ldm_status st;

    ldm_ddim_predict_x0(s, r->x, eps, r->count, r->pred_x0);
    st = ldm_sampler_quantize(r, err);
    if (!st)
        ldm_ddim_move(s, r->pred_x0, eps, r->count, out);
    return st;
}

/* Pseudo improved Euler: the mean of eps here and at the next timestep. */
static ldm_status average(ldm_sampler_run *r, float *prime, ldm_error *err)
{
    const ldm_sampler_plan *p = r->plan;
    const ldm_sampler_step *next = &p->steps[r->index + 1 < p->count ? r->index + 1 : r->index];
    const float *eps = eps_of(r, 0);
    ldm_status st = move(r, eps, r->noise, err);
    size_t i;

    if (!st)
        st = ldm_sampler_predict(r, r->noise, next->t, prime, err);
    if (st)
        return st;
    for (i = 0; i < r->count; i++)
        prime[i] = (eps[i] + prime[i]) / 2;
    return LDM_OK;
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    float *eps = eps_of(r, 0), *prime = array(r, PRIME);
    ldm_status st = ldm_sampler_predict(r, r->x, s->t, eps, err);

    if (st)
        return st;
    if (r->done == 0)
        st = average(r, prime, err);
    else
        extrapolate(r, prime);
    return st ? st : move(r, prime, r->x, err);
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    ldm_status st = ldm_ddim_plan(d, set, p, err);

    if (st)
        return st;
    if (p->prediction == LDM_PREDICTS_V)
        ldm_ddim_take_for_eps(p);
    p->draws = 0;
    p->evaluations++; /* ldm_ddim_plan has room for it */
    p->steps[0].evaluations = 2;
    memmove(p->times + 2, p->times + 1, (size_t)(p->count - 1) * sizeof *p->times);
    p->times[1] = p->steps[p->count > 1].t;
    return LDM_OK;
}

static const char *const aliases[] = {"pndm", "PLMSSampler", "PNDMScheduler", NULL};

const ldm_sampler ldm_sampler_plms = {
    .name = "plms",
    .aliases = aliases,
    .summary = "CompVis' PLMS: DDIM with eps extrapolated from the last four steps",
    .evaluations_per_step = 1,
    .evaluations_more = 1,
    .takes_mask = true,
    .takes_quantize_x0 = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_DDIM_SPACINGS,
    .default_spacing = LDM_SPACING_COMPVIS,
    .latents = ORDER + 1,
    .plan = plan,
    .step = step,
};
