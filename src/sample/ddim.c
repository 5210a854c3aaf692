/* DDIM (Song et al. 2020, eq. 12) as CompVis' DDIMSampler computes it (ddim_sampling and
 * p_sample_ddim of ldm/models/diffusion/ddim.py). All coefficients are rounded to f32 first and
 * every product, sum and root is an f32 operation of its own, in the order of the original. Only so
 * do 50 steps stay within rounding of it.
 *
 * Random numbers: every step draws noise, even where sigma is 0 and nothing is added. The original
 * does that too, and the generator must be in the same state afterwards. */
#include <math.h>

#include "sample/sampler_row.h"

/* CompVis' sigma, eta * sqrt((1 - prev) / (1 - a) * (1 - a / prev)), with the precision that the
 * original has at each operation: `a` is a float32 tensor and `prev` a NumPy array, so that 1 - a
 * and its reciprocal are rounded to f32 and the rest is f64. An array of one element counts as a
 * scalar for PyTorch, and then a / prev is rounded too. */
static double compvis_sigma(float a, double prev, double eta, int count)
{
    float reciprocal = 1.0f / (1.0f - a);
    double ratio = count == 1 ? (double)(a / (float)prev) : a / prev;

    if (eta == 0 || ratio >= 1)
        return 0; /* a repeated timestep; this also avoids 0 * infinity where a is 1 */
    return eta * sqrt((1 - prev) * (double)reciprocal * (1 - ratio));
}

/* Squared factor of eps in the next x: 1 - alpha_next - sigma^2. */
static float direction2(const ldm_sampler_step *s)
{
    const float sigma = (float)s->noise;

    return 1.0f - (float)s->alpha_next - sigma * sigma;
}

static ldm_status plan_step(const ldm_diffusion *d, const ldm_timesteps *times, int index,
                            const ldm_sampling *set, ldm_sampler_step *s, ldm_error *err)
{
    /* DDIM calls the clean data alpha 1; CompVis takes alphas_cumprod[0], its last index, there. */
    const bool compvis = set->spacing == LDM_SPACING_COMPVIS || set->spacing == LDM_SPACING_QUAD;
    const float a = d->alphas_cumprod[times->t[index]];

    s->t = times->t[index];
    s->evaluations = 1;
    s->alpha = a;
    s->alpha_next = index     ? (double)d->alphas_cumprod[times->t[index - 1]]
                    : compvis ? (double)d->alphas_cumprod[0]
                              : 1.0;
    s->noise = compvis_sigma(a, s->alpha_next, set->eta, times->count);
    ldm_sampler_known_at(d, times->t[index], s);
    if (direction2(s) < 0)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "eta is too large: at t = %g sigma^2 = %g exceeds 1 - alpha_prev = "
                             "%g; take an eta of at most 1",
                             s->t, s->noise * s->noise, 1 - s->alpha_next);
    return LDM_OK;
}

static void note_count(const ldm_diffusion *d, const ldm_timesteps *times, ldm_sampler_plan *p)
{
    const int asked = p->settings.steps;

    if (times->dropped)
        ldm_sampler_note(
            p,
            "%d steps asked, %d run: CompVis' spacing ends at timestep %d, which does not "
            "exist (the original raises IndexError there) and is left out",
            asked, times->count, d->train_steps);
    else if (times->count != asked)
        ldm_sampler_note(
            p,
            "%d steps asked, %d run: CompVis' spacing takes every %dth of %d timesteps; "
            "--timesteps leading, trailing or linspace run exactly as many as asked",
            asked, times->count, d->train_steps / asked, d->train_steps);
    if (d->prediction == LDM_PREDICTS_X0)
        ldm_sampler_note(
            p, "parameterization is x0, but DDIM takes the network's output for eps, as CompVis' "
               "sampler does");
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
        st = plan_step(d, &times, p->count - 1 - i, set, &p->steps[i], err);
        p->times[i] = p->steps[i].t;
        p->adds_noise = p->adds_noise || p->steps[i].noise > 0;
    }
    if (!st)
        note_count(d, &times, p);
    p->draws = p->count;
    ldm_timesteps_free(&times);
    return st;
}

/* x_0 as the network's eps sees it: Song et al. 2020, eq. 12, first term. */
static void predict_x0(const ldm_sampler_step *s, const float *x, const float *eps, size_t count,
                       float *pred_x0)
{
    const float sqrt_a = sqrtf((float)s->alpha);
    const float sqrt_one_minus_a = sqrtf(1.0f - (float)s->alpha);
    size_t i;

    for (i = 0; i < count; i++)
        pred_x0[i] = (x[i] - sqrt_one_minus_a * eps[i]) / sqrt_a;
}

/* x of the next timestep: pred_x0 scaled, the direction back to x, fresh noise. */
static void update(const ldm_sampler_step *s, double temperature_f64, const float *pred_x0,
                   const float *eps, const float *noise, size_t count, float *x)
{
    const float sqrt_a_prev = sqrtf((float)s->alpha_next), dir = sqrtf(direction2(s));
    const float sigma = (float)s->noise, temperature = (float)temperature_f64;
    size_t i;

    for (i = 0; i < count; i++)
        x[i] = sqrt_a_prev * pred_x0[i] + dir * eps[i] + sigma * noise[i] * temperature;
}

static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    float *eps = r->work;
    ldm_status st = ldm_sampler_predict(r, r->x, s->t, eps, err);

    if (st)
        return st;
    predict_x0(s, r->x, eps, r->count, r->pred_x0);
    st = ldm_sampler_quantize(r, err);
    if (!st)
        st = ldm_sampler_draw(r, err);
    if (!st)
        update(s, r->plan->settings.temperature, r->pred_x0, eps, r->noise, r->count, r->x);
    return st;
}

static const char *const aliases[] = {"DDIMScheduler", NULL};

const ldm_sampler ldm_sampler_ddim = {
    .name = "ddim",
    .aliases = aliases,
    .summary = "CompVis' default; eta 0 is deterministic, eta 1 adds DDPM's noise",
    .evaluations_per_step = 1,
    .takes_eta = true,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_quantize_x0 = true,
    .spacings = LDM_SPACING_BIT(LDM_SPACING_COMPVIS) | LDM_SPACING_BIT(LDM_SPACING_QUAD) |
                LDM_SPACING_BIT(LDM_SPACING_LEADING) | LDM_SPACING_BIT(LDM_SPACING_TRAILING) |
                LDM_SPACING_BIT(LDM_SPACING_LINSPACE),
    .latents = 1, /* eps */
    .plan = plan,
    .step = step,
};
