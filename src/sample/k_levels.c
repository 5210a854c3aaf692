/* SPDX-License-Identifier: MIT */
/* Noise levels, the timesteps at them, and the plan of the k-diffusion samplers (DiscreteSchedule
 * and CompVisDenoiser of k_diffusion/external.py, get_sigmas_* of sampling.py). f32 as there, so
 * that fractional timesteps agree. */
#include "sample/k_levels.h"

#include <math.h>

#include "base/alloc.h"
#include "sample/float32.h"
#include "sample/prediction.h"

static const double karras_rho = 7;

/* The model's own levels, [T] each, increasing. */
typedef struct levels {
    int count;
    float *sigma, *log_sigma; /* one block */
} levels;

static ldm_status make_levels(const ldm_diffusion *d, levels *l, ldm_error *err)
{
    int i;

    l->count = d->train_steps;
    l->sigma = ldm_calloc((size_t)l->count, 2 * sizeof *l->sigma);
    if (!l->sigma)
        return ldm_error_nomem(err, (size_t)l->count * 2 * sizeof *l->sigma, "the noise levels");
    l->log_sigma = l->sigma + l->count;
    for (i = 0; i < l->count; i++) {
        l->sigma[i] = sqrtf((1.0f - d->alphas_cumprod[i]) / d->alphas_cumprod[i]);
        l->log_sigma[i] = ldm_log32(l->sigma[i]);
        if (!(l->sigma[i] > 0) || (i && l->sigma[i] < l->sigma[i - 1]))
            return ldm_error_set(err, LDM_ERR_RANGE,
                                 "the noise level at timestep %d is %g, expected more than 0 and "
                                 "no less than before (%g): alphas_cumprod must decrease from "
                                 "below 1",
                                 i, (double)l->sigma[i], i ? (double)l->sigma[i - 1] : 0.0);
    }
    return LDM_OK;
}

static double nearest_timestep(const levels *l, float log_sigma)
{
    int best = 0, i;

    for (i = 1; i < l->count; i++) {
        if (fabsf(log_sigma - l->log_sigma[i]) < fabsf(log_sigma - l->log_sigma[best]))
            best = i;
    }
    return best;
}

/* The timestep at a level: linear in log(sigma) between the model's, and not outside them. */
static double timestep_at(const levels *l, float sigma, bool whole)
{
    const float log_sigma = ldm_log32(sigma);
    int low = 0;
    float a, b, w;

    if (whole)
        return nearest_timestep(l, log_sigma);
    while (low + 2 < l->count && log_sigma >= l->log_sigma[low + 1])
        low++;
    if (l->count == 1)
        return 0;
    a = l->log_sigma[low];
    b = l->log_sigma[low + 1];
    w = b > a ? (a - log_sigma) / (a - b) : 0; /* float16 buffers may repeat a level */
    w = w < 0 ? 0 : w > 1 ? 1 : w;
    return (double)((1.0f - w) * (float)low + w * (float)(low + 1));
}

/* Level i of n; level n is 0. */
static float level_at(const levels *l, ldm_spacing spacing, int n, int i)
{
    const float least = l->sigma[0], most = l->sigma[l->count - 1];
    double first, last; /* the roots of Karras' ramp are Python's numbers, the ramp is f32 */
    float t, w, from, to;
    int low;

    if (i == n)
        return 0;
    switch (spacing) {
    case LDM_SPACING_KARRAS:
        first = pow((double)most, 1 / karras_rho);
        last = pow((double)least, 1 / karras_rho);
        return ldm_pow32((float)first + ldm_linspace32(0, 1, n, i) * (float)(last - first),
                         karras_rho);
    case LDM_SPACING_EXPONENTIAL:
        return ldm_exp32(ldm_linspace32(ldm_log32(most), ldm_log32(least), n, i));
    default:
        t = ldm_linspace32((float)(l->count - 1), 0, n, i);
        low = (int)t;
        w = t - (float)low;
        from = l->log_sigma[low];
        to = l->log_sigma[low + 1 < l->count ? low + 1 : low];
        return ldm_exp32((1.0f - w) * from + w * to);
    }
}

void ldm_k_ancestral(double from, double to, double eta, float *down, float *up)
{
    double u = eta * sqrt(to * to * (from * from - to * to) / (from * from));

    u = u < to ? u : to;
    *up = (float)u;
    *down = (float)sqrt(to * to - u * u);
}

/* exp of the mean of log(a) and log(b), by torch's lerp. */
static float between(float a, float b)
{
    const float from = ldm_log32(a), to = ldm_log32(b);

    return ldm_exp32(from + 0.5f * (to - from));
}

static void fill_step(const levels *l, const ldm_sampling *set, ldm_k_second second, ldm_k_step *k,
                      ldm_sampler_step *s)
{
    const double sigma = (double)k->sigma, next = (double)k->next;

    ldm_k_ancestral(sigma, next, set->eta, &k->down, &k->up);
    s->t = timestep_at(l, k->sigma, set->whole_t);
    s->sigma = sigma;
    s->sigma_next = next;
    s->alpha = 1 / (1 + sigma * sigma);
    s->alpha_next = 1 / (1 + next * next);
    s->known_x0 = 1;
    s->known_noise = k->sigma;
    s->noise = (double)k->up;
    s->evaluations = 1;
    if (second == LDM_K_NONE || !(k->next > 0))
        return;
    k->mid = second == LDM_K_NEXT      ? k->next
             : second == LDM_K_BETWEEN ? between(k->sigma, k->next)
                                       : between(k->sigma, k->down);
    k->t_mid = timestep_at(l, k->mid, set->whole_t);
    s->evaluations = 2;
}

static void fill_plan(const levels *l, const ldm_sampling *set, ldm_k_second second,
                      ldm_sampler_plan *p)
{
    ldm_k_step *k = p->own;
    double *time = p->times;
    int i;

    for (i = 0; i < p->count; i++) {
        k[i].sigma = level_at(l, set->spacing, p->count, i);
        k[i].next = level_at(l, set->spacing, p->count, i + 1);
        fill_step(l, set, second, &k[i], &p->steps[i]);
        *time++ = p->steps[i].t;
        if (p->steps[i].evaluations == 2)
            *time++ = k[i].t_mid;
    }
    p->start_scale = (double)k[0].sigma;
}

ldm_status ldm_k_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_k_second second,
                      int draws, ldm_sampler_plan *p, ldm_error *err)
{
    const int count = set->steps, evaluations = second ? 2 * count - 1 : count;
    levels l = {0};
    ldm_status st;

    if (count < 1 || count > d->train_steps)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d steps asked for, expected 1 to %d (the model's timesteps)", count,
                             d->train_steps);
    st = make_levels(d, &l, err);
    if (!st)
        st = ldm_sampler_plan_steps(p, count, evaluations, err);
    if (!st && !(p->own = ldm_calloc((size_t)count, sizeof(ldm_k_step))))
        st = ldm_error_nomem(err, (size_t)count * sizeof(ldm_k_step), "the steps of a run");
    if (!st) {
        fill_plan(&l, set, second, p);
        p->draws = draws * (count - 1);
        p->adds_noise = p->draws > 0 && set->eta > 0;
    }
    ldm_free(l.sigma);
    return st;
}

const ldm_k_step *ldm_k_step_of(const ldm_sampler_run *r)
{
    return (const ldm_k_step *)r->plan->own + r->index;
}

float *ldm_k_array(const ldm_sampler_run *r, int i)
{
    return r->work + (size_t)i * r->count;
}

ldm_status ldm_k_denoise(ldm_sampler_run *r, const float *x, float sigma, double t, float *out,
                         ldm_error *err)
{
    const float scale = 1.0f / sqrtf(sigma * sigma + 1.0f); /* of x to a variance of 1 */
    float *in = ldm_k_array(r, 0);
    ldm_status st;
    size_t i;

    for (i = 0; i < r->count; i++)
        in[i] = x[i] * scale;
    st = ldm_sampler_predict(r, in, t, out, err);
    if (st)
        return st;
    if (r->plan->prediction == LDM_PREDICTS_EPS) {
        for (i = 0; i < r->count; i++)
            out[i] = x[i] - out[i] * sigma;
    } else {
        ldm_to_x0(r->plan->prediction, scale, sigma * scale, in, r->count, out);
    }
    return LDM_OK;
}

ldm_status ldm_k_begin(ldm_sampler_run *r, ldm_error *err)
{
    return ldm_k_denoise(r, r->x, ldm_k_step_of(r)->sigma, r->plan->steps[r->index].t, r->pred_x0,
                         err);
}

ldm_status ldm_k_add_noise(ldm_sampler_run *r, float up, float *x, ldm_error *err)
{
    const float by = up * (float)r->plan->settings.temperature;
    ldm_status st = ldm_sampler_draw(r, err);
    size_t i;

    for (i = 0; !st && i < r->count; i++)
        x[i] += r->noise[i] * by;
    return st;
}
