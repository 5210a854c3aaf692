/* Noise schedules and the steps of a DDIM run: ldm/modules/diffusionmodules/util.py of CompVis'
 * latent-diffusion, number by number. See schedule.h. */
#include "sample/schedule.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

static const double pi = 3.14159265358979323846;

static const char *const beta_names[] = {
    [LDM_BETA_LINEAR] = "linear",
    [LDM_BETA_COSINE] = "cosine",
    [LDM_BETA_SQRT_LINEAR] = "sqrt_linear",
    [LDM_BETA_SQRT] = "sqrt",
};

static const char *const spacing_names[] = {
    [LDM_SPACING_COMPVIS] = "compvis",   [LDM_SPACING_QUAD] = "quad",
    [LDM_SPACING_LEADING] = "leading",   [LDM_SPACING_TRAILING] = "trailing",
    [LDM_SPACING_LINSPACE] = "linspace",
};

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

ldm_status ldm_beta_schedule_parse(const char *name, ldm_beta_schedule *out, ldm_error *err)
{
    size_t i;

    for (i = 0; i < COUNT_OF(beta_names); i++)
        if (!strcmp(name, beta_names[i])) {
            *out = (ldm_beta_schedule)i;
            return LDM_OK;
        }
    return ldm_error_set(err, LDM_ERR_CONFIG,
                         "beta_schedule is '%s', expected linear, cosine, sqrt_linear or sqrt",
                         name);
}

const char *ldm_beta_schedule_name(ldm_beta_schedule s)
{
    return beta_names[s];
}

ldm_status ldm_spacing_parse(const char *name, ldm_spacing *out, ldm_error *err)
{
    size_t i;

    for (i = 0; i < COUNT_OF(spacing_names); i++)
        if (!strcmp(name, spacing_names[i])) {
            *out = (ldm_spacing)i;
            return LDM_OK;
        }
    return ldm_error_set(
        err, LDM_ERR_USAGE,
        "timestep spacing is '%s', expected compvis, quad, leading, trailing or linspace", name);
}

const char *ldm_spacing_name(ldm_spacing s)
{
    return spacing_names[s];
}

/* torch.linspace in f64: the upper half counts down from the end. */
static double linspace(double start, double end, int n, int i)
{
    double step;

    if (n == 1)
        return start;
    step = (end - start) / (n - 1);
    return i < n / 2 ? start + step * i : end - step * (n - 1 - i);
}

/* Nichol and Dhariwal 2021, eq. 17: the square root of alpha-bar, unnormalised. */
static double cosine_alpha_bar(int i, int n, double cosine_s)
{
    double c = cos(((double)i / n + cosine_s) / (1 + cosine_s) * pi / 2);

    return c * c;
}

void ldm_betas(ldm_beta_schedule s, int n, double linear_start, double linear_end, double cosine_s,
               double *betas)
{
    double first, b;
    int i;

    switch (s) {
    case LDM_BETA_LINEAR: /* linear in the square root, whatever the name says */
        for (i = 0; i < n; i++) {
            b = linspace(sqrt(linear_start), sqrt(linear_end), n, i);
            betas[i] = b * b;
        }
        return;
    case LDM_BETA_COSINE:
        first = cosine_alpha_bar(0, n, cosine_s);
        for (i = 0; i < n; i++) {
            b = 1 - (cosine_alpha_bar(i + 1, n, cosine_s) / first) /
                        (cosine_alpha_bar(i, n, cosine_s) / first);
            betas[i] = b < 0 ? 0 : b > 0.999 ? 0.999 : b;
        }
        return;
    case LDM_BETA_SQRT_LINEAR:
        for (i = 0; i < n; i++)
            betas[i] = linspace(linear_start, linear_end, n, i);
        return;
    case LDM_BETA_SQRT:
        for (i = 0; i < n; i++)
            betas[i] = sqrt(linspace(linear_start, linear_end, n, i));
        return;
    }
}

void ldm_alphas_cumprod(const double *betas, int n, double *f64, float *f32)
{
    double product = 1;
    int i;

    for (i = 0; i < n; i++) {
        product *= 1 - betas[i];
        if (f64)
            f64[i] = product;
        if (f32)
            f32[i] = (float)product;
    }
}

/* Entry i of numpy.linspace(0, stop, n), which multiplies by a rounded step. */
static double numpy_linspace0(double stop, int n, int i)
{
    if (n == 1)
        return 0;
    return i == n - 1 ? stop : i * (stop / (n - 1));
}

/* How many timesteps CompVis' range(0, T, T // S) has: more than S where S does not divide T. */
static int compvis_count(int train_steps, int steps)
{
    int stride = train_steps / steps;

    return (train_steps + stride - 1) / stride;
}

/* Timestep i of `steps`, as an index into alphas_cumprod; train_steps itself means "does not
 * exist". The paper of table 2 counts from 1 to T, and so do its three formulas; index = t - 1:
 *   leading   arange(1, T + 1, floor(T / S)), the first S of it
 *   trailing  round(flip(arange(T, 0, -T / S)))
 *   linspace  round(linspace(1, T, S))
 * with ties to even as NumPy rounds. The quotients below are exact before rounding. */
static int timestep(ldm_spacing s, int train_steps, int steps, int i)
{
    const double total = train_steps;
    double root;

    switch (s) {
    case LDM_SPACING_QUAD:
        root = numpy_linspace0(sqrt(total * .8), steps, i);
        return (int)(root * root) + 1;
    case LDM_SPACING_LEADING:
        return i * (train_steps / steps);
    case LDM_SPACING_TRAILING:
        return (int)rint(total * (i + 1) / steps) - 1;
    case LDM_SPACING_LINSPACE:
        return steps == 1 ? 0 : (int)rint(1 + (total - 1) * i / (steps - 1)) - 1;
    case LDM_SPACING_COMPVIS:
        break;
    }
    return i * (train_steps / steps) + 1;
}

/* CompVis' sigma, eta * sqrt((1 - prev) / (1 - a) * (1 - a / prev)), with the precision it really
 * has there: `a` is a float32 tensor and `prev` a NumPy array, so that 1 - a and its reciprocal are
 * rounded to f32 and the rest is f64. An array of one element counts as a scalar for PyTorch, and
 * then a / prev is rounded too. */
static double compvis_sigma(float a, double prev, double eta, int count)
{
    float reciprocal = 1.0f / (1.0f - a);
    double ratio = count == 1 ? (double)(a / (float)prev) : a / prev;

    if (eta == 0 || ratio >= 1)
        return 0; /* a repeated timestep; the test also keeps 0 * infinity out where a is 1 */
    return eta * sqrt((1 - prev) * (double)reciprocal * (1 - ratio));
}

static ldm_status check_request(const float *alphas_cumprod, int train_steps, ldm_spacing s,
                                int steps, double eta, ldm_error *err)
{
    int i;

    if (train_steps < 1)
        return ldm_error_set(err, LDM_ERR_CONFIG, "timesteps is %d, expected at least 1",
                             train_steps);
    if (steps < 1 || steps > train_steps)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d steps asked for, expected 1 to %d (the model's timesteps)", steps,
                             train_steps);
    if (!(eta >= 0) || !isfinite(eta))
        return ldm_error_set(err, LDM_ERR_USAGE, "eta is %g, expected 0 or more (0: deterministic)",
                             eta);
    if ((unsigned)s >= COUNT_OF(spacing_names))
        return ldm_error_set(err, LDM_ERR_USAGE, "timestep spacing %d does not exist", (int)s);
    for (i = 0; i < train_steps; i++)
        if (!(alphas_cumprod[i] > 0 && alphas_cumprod[i] <= 1))
            return ldm_error_set(err, LDM_ERR_RANGE,
                                 "alphas_cumprod[%d] is %g, expected a value above 0 and at most "
                                 "1: the noise schedule is broken",
                                 i, (double)alphas_cumprod[i]);
    return LDM_OK;
}

ldm_status ldm_ddim_schedule_create(const float *alphas_cumprod, int train_steps, ldm_spacing s,
                                    int steps, double eta, ldm_ddim_schedule *out, ldm_error *err)
{
    /* DDIM calls the clean data alpha 1; CompVis takes alphas_cumprod[0], its last index, there. */
    const bool compvis = s == LDM_SPACING_COMPVIS || s == LDM_SPACING_QUAD;
    ldm_status st;
    double *block;
    size_t count;
    int i, t;

    memset(out, 0, sizeof *out);
    st = check_request(alphas_cumprod, train_steps, s, steps, eta, err);
    if (st)
        return st;
    count = (size_t)(s == LDM_SPACING_COMPVIS ? compvis_count(train_steps, steps) : steps);
    out->timesteps = ldm_calloc(count, sizeof *out->timesteps);
    block = ldm_calloc(count, 4 * sizeof *block);
    if (!out->timesteps || !block) {
        ldm_free(block);
        ldm_ddim_schedule_free(out);
        return ldm_error_nomem(err, count * (4 * sizeof *block + sizeof *out->timesteps),
                               "the DDIM schedule");
    }
    out->alphas = block;
    out->alphas_prev = block + count;
    out->sigmas = block + 2 * count;
    out->sqrt_one_minus_alphas = block + 3 * count;
    for (i = 0; i < (int)count; i++) {
        t = timestep(s, train_steps, steps, i);
        if (t < train_steps)
            out->timesteps[out->count++] = t;
        else
            out->dropped++;
    }
    if (out->count == 0) {
        ldm_ddim_schedule_free(out);
        return ldm_error_set(err, LDM_ERR_CONFIG,
                             "spacing '%s' has no timestep below %d: take leading, trailing or "
                             "linspace",
                             spacing_names[s], train_steps);
    }
    for (i = 0; i < out->count; i++) {
        float a = alphas_cumprod[out->timesteps[i]];

        out->alphas[i] = a;
        out->alphas_prev[i] = i ? out->alphas[i - 1] : compvis ? (double)alphas_cumprod[0] : 1.0;
        out->sigmas[i] = compvis_sigma(a, out->alphas_prev[i], eta, out->count);
        out->sqrt_one_minus_alphas[i] = sqrtf(1.0f - a);
    }
    return LDM_OK;
}

void ldm_ddim_schedule_free(ldm_ddim_schedule *d)
{
    ldm_free(d->timesteps);
    ldm_free(d->alphas); /* one block for the four arrays */
    memset(d, 0, sizeof *d);
}
