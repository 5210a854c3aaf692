/* The DDIM loop of CompVis' DDIMSampler (ddim_sampling and p_sample_ddim). All coefficients are
 * rounded to f32 first and every product, sum and root is an f32 operation of its own, in the order
 * of the original: that is what keeps 50 steps within rounding of it.
 *
 * Random numbers: with a mask each step draws q_sample's noise first; every step draws its own
 * noise, also where sigma is 0 and nothing is added, because the original does, and so the
 * generator stands at the same place afterwards.
 *
 * Another sampler (PLMS, DPM-Solver) is another file with its own run function over the same
 * ldm_ddim_model callbacks; what it would share is update() below, as PLMS' only difference from
 * DDIM is the eps that it hands in. */
#include "sample/ddim.h"

#include <math.h>

typedef struct step_coefs {
    float sqrt_a, sqrt_one_minus_a; /* of the current timestep */
    float sqrt_a_prev, dir;         /* dir: sqrt(1 - a_prev - sigma^2) */
    float sigma, temperature;
} step_coefs;

static ldm_status step_coefficients(const ldm_ddim_schedule *s, int index, double temperature,
                                    step_coefs *c, ldm_error *err)
{
    const float a_prev = (float)s->alphas_prev[index];
    const float sigma = (float)s->sigmas[index];
    const float dir2 = 1.0f - a_prev - sigma * sigma;

    if (dir2 < 0)
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "eta is too large: at t = %d sigma^2 = %g exceeds 1 - alpha_prev = "
                             "%g; take an eta of at most 1",
                             s->timesteps[index], (double)(sigma * sigma), (double)(1.0f - a_prev));
    c->sqrt_a = sqrtf((float)s->alphas[index]);
    c->sqrt_one_minus_a = (float)s->sqrt_one_minus_alphas[index];
    c->sqrt_a_prev = sqrtf(a_prev);
    c->dir = sqrtf(dir2);
    c->sigma = sigma;
    c->temperature = (float)temperature;
    return LDM_OK;
}

/* x_0 as the network's eps sees it: Song et al. 2020, eq. 12, first term. */
static void predict_x0(const step_coefs *c, const float *x, const float *eps, size_t count,
                       float *pred_x0)
{
    size_t i;

    for (i = 0; i < count; i++)
        pred_x0[i] = (x[i] - c->sqrt_one_minus_a * eps[i]) / c->sqrt_a;
}

/* x of the previous timestep: pred_x0 scaled, the direction back to x, fresh noise. */
static void update(const step_coefs *c, const float *pred_x0, const float *eps, const float *noise,
                   size_t count, float *x)
{
    size_t i;

    for (i = 0; i < count; i++)
        x[i] = c->sqrt_a_prev * pred_x0[i] + c->dir * eps[i] + c->sigma * noise[i] * c->temperature;
}

/* Where mask is 1, x becomes q_sample(x0, t): x0 noised to timestep t, as the training saw it. */
static void keep_known_region(const ldm_ddim_job *job, int t, const float *noise, size_t count,
                              float *x)
{
    const float sqrt_a = job->sqrt_alphas_cumprod[t];
    const float sqrt_one_minus_a = job->sqrt_one_minus_alphas_cumprod[t];
    size_t i;

    for (i = 0; i < count; i++) {
        float noised = sqrt_a * job->x0[i] + sqrt_one_minus_a * noise[i];

        x[i] = noised * job->mask[i] + (1.0f - job->mask[i]) * x[i];
    }
}

static ldm_status check_finite(const float *v, size_t count, const char *what, int step, int steps,
                               int t, ldm_error *err)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (!isfinite(v[i]))
            return ldm_error_set(
                err, LDM_ERR_NUMERIC,
                "step %d of %d (t = %d): %s holds %s at element %zu, expected "
                "finite numbers; check the weights (ldm check) and the start noise",
                step + 1, steps, t, what, isnan(v[i]) ? "NaN" : "infinity", i);
    return LDM_OK;
}

static ldm_status check_job(const ldm_ddim_job *job, const ldm_ddim_model *model, ldm_error *err)
{
    if (job->quantize_x0 && !model->quantize)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "quantize_x0 needs a first stage with a codebook; this one has none");
    if (job->mask && (!job->x0 || !job->sqrt_alphas_cumprod || !job->sqrt_one_minus_alphas_cumprod))
        return ldm_error_set(err, LDM_ERR_USAGE, "a mask needs x0, the latent that it keeps");
    return LDM_OK;
}

ldm_status ldm_ddim_run(const ldm_ddim_job *job, const ldm_ddim_model *model, float *x,
                        ldm_error *err)
{
    const ldm_ddim_schedule *s = job->schedule;
    const size_t count = job->n * job->chw;
    float *eps = job->scratch, *noise = eps + count, *pred_x0 = noise + count;
    ldm_status st = check_job(job, model, err);
    step_coefs c = {0};
    int step;

    for (step = 0; !st && step < s->count; step++) {
        const int index = s->count - 1 - step, t = s->timesteps[index];

        st = step_coefficients(s, index, job->temperature, &c, err);
        if (st)
            break;
        if (job->mask) {
            st = model->noise(model->ctx, step, true, noise, err);
            if (st)
                break;
            keep_known_region(job, t, noise, count, x);
        }
        st = model->eps(model->ctx, x, t, eps, err);
        if (!st)
            st = check_finite(eps, count, "the network's output", step, s->count, t, err);
        if (st)
            break;
        predict_x0(&c, x, eps, count, pred_x0);
        if (job->quantize_x0)
            st = model->quantize(model->ctx, pred_x0, err);
        if (!st)
            st = model->noise(model->ctx, step, false, noise, err);
        if (st)
            break;
        update(&c, pred_x0, eps, noise, count, x);
        st = check_finite(x, count, "the latent", step, s->count, t, err);
        if (!st && model->progress && model->progress(model->ctx, step, s->count, t, x, pred_x0))
            st = ldm_error_set(err, LDM_ERR_CANCELLED, "stopped after step %d of %d (t = %d)",
                               step + 1, s->count, t);
    }
    return st;
}

void ldm_guidance_mix(const float *e_uncond, const float *e_cond, double scale, size_t count,
                      float *out)
{
    const float s = (float)scale;
    size_t i;

    for (i = 0; i < count; i++)
        out[i] = e_uncond[i] + s * (e_cond[i] - e_uncond[i]);
}
