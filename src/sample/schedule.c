/* SPDX-License-Identifier: MIT */
/* Noise schedules: make_beta_schedule of ldm/modules/diffusionmodules/util.py of CompVis'
 * latent-diffusion, number by number. See schedule.h. */
#include "sample/schedule.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static const char *const beta_names[] = {
    [LDM_BETA_LINEAR] = "linear",
    [LDM_BETA_COSINE] = "cosine",
    [LDM_BETA_SQRT_LINEAR] = "sqrt_linear",
    [LDM_BETA_SQRT] = "sqrt",
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

void ldm_zero_terminal_snr(const float *alphas_cumprod, int n, float *out)
{
    const double first = sqrt((double)alphas_cumprod[0]);
    const double last = sqrt((double)alphas_cumprod[n - 1]);
    double root;
    int i;

    for (i = 0; i < n; i++) {
        root = (sqrt((double)alphas_cumprod[i]) - last) * first / (first - last);
        out[i] = (float)(root * root);
    }
}
