/* SPDX-License-Identifier: MIT */
/* DDIM (Song et al. 2020, eq. 12) as CompVis' DDIMSampler computes it (ddim_sampling and
 * p_sample_ddim of ldm/models/diffusion/ddim.py). All coefficients are rounded to f32 first and
 * every product, sum and root is an f32 operation of its own, in the order of the original. Only so
 * do 50 steps stay within rounding of it.
 *
 * Random numbers: every step draws noise, even where sigma is 0 and nothing is added. The original
 * does that too, and the generator must be in the same state afterwards. */
#include "sample/ddim.h"

#include <math.h>
#include <string.h>

#include "sample/prediction.h"

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

/* A step of x from timestep t to alpha_next. */
static ldm_status fill_step(const ldm_diffusion *d, int t, double alpha_next, double eta, int count,
                            ldm_sampler_step *s, ldm_error *err)
{
    s->t = t;
    s->evaluations = 1;
    s->alpha = (double)d->alphas_cumprod[t];
    s->alpha_next = alpha_next;
    s->noise = compvis_sigma(d->alphas_cumprod[t], alpha_next, eta, count);
    ldm_sampler_known_at(d, t, s);
    if (direction2(s) < 0)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "eta is too large: at t = %g sigma^2 = %g exceeds 1 - alpha_prev = "
                             "%g; take an eta of at most 1",
                             s->t, s->noise * s->noise, 1 - s->alpha_next);
    return LDM_OK;
}

/* Where the step at timestep `index` (in increasing order) ends: at the next timestep, the last at
 * the clean data, alpha 1; CompVis takes alphas_cumprod[0], its last index, there. */
static double alpha_after(const ldm_diffusion *d, const ldm_timesteps *times, int index,
                          ldm_spacing spacing)
{
    const bool compvis = spacing == LDM_SPACING_COMPVIS || spacing == LDM_SPACING_QUAD;

    if (index)
        return (double)d->alphas_cumprod[times->t[index - 1]];
    return compvis ? (double)d->alphas_cumprod[0] : 1.0;
}

static void note_count(const ldm_diffusion *d, const ldm_timesteps *times, ldm_sampler_plan *p)
{
    const int asked = p->settings.steps;

    if (times->dropped)
        ldm_sampler_note(
            p,
            "steps %d: CompVis' spacing would begin at timestep %d, one beyond the model's last "
            "(the "
            "original ends there with an IndexError); that step is left out, and %d run, from "
            "timestep %d on",
            asked, d->train_steps, times->count, times->t[times->count - 1]);
    else if (times->count != asked)
        ldm_sampler_note(
            p,
            "%d steps asked, %d run: CompVis' spacing takes one in %d of the %d timesteps; "
            "--timesteps leading, trailing or linspace run exactly as many as asked",
            asked, times->count, d->train_steps / asked, d->train_steps);
}

/* CompVis' samplers do not ask what the network predicts. */
void ldm_ddim_take_for_eps(ldm_sampler_plan *p)
{
    const char *what = p->prediction == LDM_PREDICTS_V ? "v" : "x0";

    p->prediction = LDM_PREDICTS_EPS;
    ldm_sampler_note(p,
                     "warning: parameterization is %s, and %s takes the network's output for eps, "
                     "as CompVis' sampler does: the pictures come out as noise; other samplers "
                     "(dpmpp_2m, unipc, euler) convert it",
                     what, p->sampler->name);
}

static void finish_plan(ldm_sampler_plan *p)
{
    int i;

    for (i = 0; i < p->count; i++) {
        p->times[i] = p->steps[i].t;
        p->adds_noise = p->adds_noise || p->steps[i].noise > 0;
    }
    p->draws = p->count;
}

ldm_status ldm_ddim_plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                         ldm_error *err)
{
    ldm_timesteps times;
    ldm_status st = ldm_timesteps_create(set->spacing, d->train_steps, set->steps, &times, err);
    int i;

    if (!st)
        st = ldm_sampler_plan_steps(p, times.count, times.count + 1, err); /* + 1: for PLMS */
    p->evaluations = p->count;
    for (i = 0; !st && i < p->count; i++) {
        const int index = p->count - 1 - i;

        st = fill_step(d, times.t[index], alpha_after(d, &times, index, set->spacing), set->eta,
                       times.count, &p->steps[i], err);
    }
    finish_plan(p);
    if (!st)
        note_count(d, &times, p);
    if (!st && d->prediction == LDM_PREDICTS_X0)
        ldm_ddim_take_for_eps(p);
    ldm_timesteps_free(&times);
    return st;
}

void ldm_ddim_predict_x0(const ldm_sampler_step *s, const float *x, const float *eps, size_t count,
                         float *pred_x0)
{
    const float sqrt_a = sqrtf((float)s->alpha);
    const float sqrt_one_minus_a = sqrtf(1.0f - (float)s->alpha);
    size_t i;

    for (i = 0; i < count; i++)
        pred_x0[i] = (x[i] - sqrt_one_minus_a * eps[i]) / sqrt_a;
}

void ldm_ddim_move(const ldm_sampler_step *s, const float *pred_x0, const float *eps, size_t count,
                   float *out)
{
    const float sqrt_a_prev = sqrtf((float)s->alpha_next), dir = sqrtf(direction2(s));
    size_t i;

    for (i = 0; i < count; i++)
        out[i] = sqrt_a_prev * pred_x0[i] + dir * eps[i];
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

/* root, noise: of the signal and of the noise in x, for networks that do not predict eps. */
static ldm_status step_by(ldm_sampler_run *r, float root, float noise, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    float *eps = r->work;
    ldm_status st = ldm_sampler_predict(r, r->x, s->t, eps, err);

    if (st)
        return st;
    if (r->plan->prediction == LDM_PREDICTS_EPS) {
        ldm_ddim_predict_x0(s, r->x, eps, r->count, r->pred_x0);
    } else {
        /* x0 not by way of eps, which says nothing where alpha is 0. */
        memcpy(r->pred_x0, eps, r->count * sizeof *eps);
        ldm_to_x0(r->plan->prediction, root, noise, r->x, r->count, r->pred_x0);
        ldm_to_eps(r->plan->prediction, root, noise, r->x, r->count, eps);
    }
    st = ldm_sampler_quantize(r, err);
    if (!st)
        st = ldm_sampler_draw(r, err);
    if (!st)
        update(s, r->plan->settings.temperature, r->pred_x0, eps, r->noise, r->count, r->x);
    return st;
}

/* The original takes the model's buffers (predict_start_from_z_and_v), which of a half precision
 * file are not the roots of alphas_cumprod: 0.7 % of the latent in Stable Diffusion 2's 20 steps.
 */
static ldm_status step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];

    return step_by(r, s->known_x0, s->known_noise, err);
}

static const char *const aliases[] = {"DDIMSampler", NULL};

const ldm_sampler ldm_sampler_ddim = {
    .name = "ddim",
    .aliases = aliases,
    .summary = "CompVis' default; eta 0 is deterministic, eta 1 adds DDPM's noise",
    .evaluations_per_step = 1,
    .takes_eta = true,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_quantize_x0 = true,
    .takes_zero_snr = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_DDIM_SPACINGS,
    .default_spacing = LDM_SPACING_COMPVIS,
    .latents = 1, /* eps */
    .plan = ldm_ddim_plan,
    .step = step,
};

/* ---- as diffusers runs it -------------------------------------------------------------------- */

static int diffusers_timestep(ldm_spacing spacing, int train_steps, int steps, int i)
{
    const double total = train_steps;

    switch (spacing) {
    case LDM_SPACING_TRAILING:
        return (int)rint(total - i * (total / steps)) - 1;
    case LDM_SPACING_LINSPACE:
        return steps == 1 ? 0 : (int)rint((steps - 1 - i) * ((total - 1) / (steps - 1)));
    default: /* leading, with steps_offset 1, as Stable Diffusion's files set it */
        return (steps - 1 - i) * (train_steps / steps) + 1;
    }
}

/* Each step goes T / S timesteps down, also where the next evaluation is elsewhere (linspace), and
 * below 0 to alphas_cumprod[0] (set_alpha_to_one false). */
static ldm_status diffusers_plan(const ldm_diffusion *d, const ldm_sampling *set,
                                 ldm_sampler_plan *p, ldm_error *err)
{
    const int steps = set->steps, total = d->train_steps;
    ldm_status st = LDM_OK;
    int i, t, next;

    if (steps < 1 || steps > total || (steps == total && set->spacing == LDM_SPACING_LEADING))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d steps asked for, expected 1 to %d, with timestep spacing leading "
                             "one less",
                             steps, total);
    st = ldm_sampler_plan_steps(p, steps, steps, err);
    for (i = 0; !st && i < steps; i++) {
        t = diffusers_timestep(set->spacing, total, steps, i);
        next = t - total / steps;
        st = fill_step(d, t, (double)d->alphas_cumprod[next > 0 ? next : 0], set->eta, steps,
                       &p->steps[i], err);
    }
    if (!st)
        finish_plan(p);
    return st;
}

/* diffusers' scheduler knows alphas_cumprod alone. */
static ldm_status diffusers_step(ldm_sampler_run *r, ldm_error *err)
{
    const float alpha = (float)r->plan->steps[r->index].alpha;

    return step_by(r, sqrtf(alpha), sqrtf(1.0f - alpha), err);
}

static const char *const diffusers_aliases[] = {"DDIMScheduler", NULL};

const ldm_sampler ldm_sampler_ddim_diffusers = {
    .name = "ddim_diffusers",
    .aliases = diffusers_aliases,
    .summary = "DDIM with diffusers' timesteps, which end at alphas_cumprod[0]",
    .evaluations_per_step = 1,
    .takes_eta = true,
    .takes_temperature = true,
    .takes_mask = true,
    .takes_quantize_x0 = true,
    .takes_zero_snr = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_SPACING_BIT(LDM_SPACING_LEADING) | LDM_SPACING_BIT(LDM_SPACING_TRAILING) |
                LDM_SPACING_BIT(LDM_SPACING_LINSPACE),
    .default_spacing = LDM_SPACING_LEADING,
    .latents = 1,
    .plan = diffusers_plan,
    .step = diffusers_step,
};
