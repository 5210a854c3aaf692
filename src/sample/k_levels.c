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
        l->sigma[i] = ldm_sampler_sigma_at(d, i);
        l->log_sigma[i] = ldm_log32(l->sigma[i]);
        if (!(l->sigma[i] > 0) || (i && l->sigma[i] < l->sigma[i - 1] && d->alphas_cumprod[i] > 0))
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

/* The timestep at which step i of n begins, by diffusers' EulerDiscreteScheduler.set_timesteps with
 * steps_offset 1; it has a fraction where linspace meets none. */
static float diffusers_timestep(ldm_spacing spacing, int total, int n, int i)
{
    switch (spacing) {
    case LDM_SPACING_LEADING:
        return (float)((n - 1 - i) * (total / n) + 1);
    case LDM_SPACING_TRAILING:
        return (float)(rint(total - i * ((double)total / n)) - 1);
    default:
        return n == 1 ? 0.0f : (float)((n - 1 - i) * ((double)(total - 1) / (n - 1)));
    }
}

/* Linear between the model's levels, as there; k-diffusion is linear in log(sigma). */
static float level_between(const levels *l, float t)
{
    const int low = (int)t, high = low + 1 < l->count ? low + 1 : low;
    const double from = (double)l->sigma[low], to = (double)l->sigma[high];

    return (float)(from + (to - from) * ((double)t - low));
}

/* Does the spacing list timesteps? Else levels. */
static bool lists_timesteps(ldm_spacing spacing)
{
    return spacing == LDM_SPACING_LINSPACE || spacing == LDM_SPACING_LEADING ||
           spacing == LDM_SPACING_TRAILING;
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
    if (lists_timesteps(spacing))
        return level_between(l, diffusers_timestep(spacing, l->count, n, i));
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
    const float a = (float)from, b = (float)to;
    const float u = (float)eta * sqrtf(b * b * (a * a - b * b) / (a * a));

    *up = u < b ? u : b; /* f32, as there: the difference below cancels where steps are long */
    *down = sqrtf(b * b - *up * *up);
}

/* exp of the mean of log(a) and log(b), by torch's lerp. */
static float between(float a, float b)
{
    const float from = ldm_log32(a), to = ldm_log32(b);

    return ldm_exp32(from + 0.5f * (to - from));
}

/* The timestep of step i of n, whose level is sigma. */
static double timestep_of_step(const levels *l, const ldm_sampling *set, float sigma, int n, int i)
{
    if (lists_timesteps(set->spacing) && !set->whole_t)
        return (double)diffusers_timestep(set->spacing, l->count, n, i);
    return timestep_at(l, sigma, set->whole_t);
}

/* t_next: the timestep of the next step. */
static void fill_step(const levels *l, const ldm_sampling *set, ldm_k_second second, double t_next,
                      ldm_k_step *k, ldm_sampler_step *s)
{
    const double sigma = (double)k->sigma, next = (double)k->next;

    ldm_k_ancestral(sigma, next, set->eta, &k->down, &k->up);
    s->sigma = sigma;
    s->sigma_next = next;
    s->alpha = 1 / (1 + sigma * sigma);
    s->alpha_next = 1 / (1 + next * next);
    s->known_x0 = 1;
    s->known_noise = k->sigma;
    s->noise = (double)k->up;
    s->evaluations = 1;
    /* With an eta above 1 all of the next level may be fresh noise. */
    if (second == LDM_K_NONE || !(k->next > 0) || (second == LDM_K_TO_DOWN && !(k->down > 0)))
        return;
    k->mid = second == LDM_K_NEXT      ? k->next
             : second == LDM_K_BETWEEN ? between(k->sigma, k->next)
                                       : between(k->sigma, k->down);
    k->t_mid = second == LDM_K_NEXT ? t_next : timestep_at(l, k->mid, set->whole_t);
    s->evaluations = 2;
}

static void fill_plan(const levels *l, const ldm_sampling *set, ldm_k_second second,
                      ldm_sampler_plan *p)
{
    ldm_k_step *k = p->own;
    double *time = p->times, t_next;
    int i;

    for (i = 0; i <= p->count; i++) {
        const float sigma = level_at(l, set->spacing, p->count, i);

        if (i < p->count) {
            k[i].sigma = sigma;
            p->steps[i].t = timestep_of_step(l, set, sigma, p->count, i);
        }
        if (i > 0)
            k[i - 1].next = sigma;
    }
    for (i = 0; i < p->count; i++) {
        t_next = i + 1 < p->count ? p->steps[i + 1].t : 0;
        fill_step(l, set, second, t_next, &k[i], &p->steps[i]);
        *time++ = p->steps[i].t;
        if (p->steps[i].evaluations == 2)
            *time++ = k[i].t_mid;
    }
    p->evaluations = (int)(time - p->times);
    p->start_scale = (double)k[0].sigma;
    if (set->spacing == LDM_SPACING_LEADING) /* as there: x0 has a variance of 1, too */
        p->start_scale = sqrt(p->start_scale * p->start_scale + 1);
}

ldm_status ldm_k_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_k_second second,
                      int draws, ldm_sampler_plan *p, ldm_error *err)
{
    const int most = d->train_steps - (set->spacing == LDM_SPACING_LEADING);
    const int count = set->steps, evaluations = second ? 2 * count - 1 : count;
    levels l = {0};
    ldm_status st;

    if (count < 1 || count > most)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d steps asked for, expected 1 to %d (the model's timesteps%s)",
                             count, most, most < d->train_steps ? ", with leading one less" : "");
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
