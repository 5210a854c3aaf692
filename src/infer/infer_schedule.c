/* SPDX-License-Identifier: MIT */
/* The noise schedule from its buffers: the kind, and the shortest decimal numbers for its ends with
 * which make_beta_schedule (ldm/modules/diffusionmodules/util.py) gives every stored value again.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "infer/infer_private.h"

enum { MAX_TIMESTEPS = 100000, MAX_DIGITS = 9 };

typedef enum rounding { ROUND_NOT, ROUND_HALF, ROUND_BF16 } rounding;

typedef struct fit {
    int n;
    rounding rounding;      /* what the constructor's float32 became */
    bool cumulative;        /* values are alphas_cumprod, else betas */
    const float *want;      /* [n] */
    double *betas, *alphas; /* [n] each, scratch */
    float *made;            /* [n] */
    ldm_beta_schedule kind;
    double start, end, cosine_s;
} fit;

static float rounded_by(rounding r, float x)
{
    if (r == ROUND_HALF)
        return ldm_half_to_float(ldm_float_to_half(x));
    if (r == ROUND_BF16)
        return ldm_bf16_to_float(ldm_float_to_bf16(x));
    return x;
}

/* A file's float16 was made of the constructor's float32. */
static bool same(const fit *f, int i, double x)
{
    return rounded_by(f->rounding, (float)x) == f->want[i];
}

/* Whether all values are such of a narrower type: a file of float16 may have been widened since. */
static bool all_are(const fit *f, rounding r)
{
    int i = 0;

    while (i < f->n && rounded_by(r, f->want[i]) == f->want[i])
        i++;
    return i == f->n;
}

/* Whether the schedule with these numbers has every stored value. */
static bool fits(fit *f, double start, double end)
{
    ldm_betas(f->kind, f->n, start, end, f->cosine_s, f->betas);
    if (f->cumulative)
        ldm_alphas_cumprod(f->betas, f->n, f->alphas, f->made);
    for (int i = 0; i < f->n; i++) {
        if (!same(f, i, f->cumulative ? f->alphas[i] : f->betas[i]))
            return false;
    }
    f->start = start;
    f->end = end;
    return true;
}

static double rounded(double x, int digits)
{
    char text[40];

    snprintf(text, sizeof text, "%.*g", digits, x);
    return strtod(text, NULL);
}

/* The first and the last beta. Of products, by their ratio: the first one, 1 - 0.9985, has about
 * 4 digits of float32 left, and fewer as the numbers approach 0. */
static double beta_at(const fit *f, int i)
{
    if (!f->cumulative)
        return f->want[i];
    return 1 - (double)f->want[i] / (i ? f->want[i - 1] : 1.0);
}

/* Both ends with so many digits, and their neighbours in the last one, of a product's wide error.
 */
static bool try_digits(fit *f, int digits)
{
    const double a = beta_at(f, 0), b = beta_at(f, f->n - 1);
    const int reach = f->cumulative || f->rounding ? 2 : 0;

    for (int i = -reach; i <= reach; i++) {
        const double step = pow(10, floor(log10(a)) + 1 - digits);
        const double start = rounded(rounded(a, digits) + i * step, digits);

        for (int j = -reach; j <= reach; j++) {
            const double wide = pow(10, floor(log10(b)) + 1 - digits);
            const double end = rounded(rounded(b, digits) + j * wide, digits);

            if (start > 0 && end > 0 && start < 1 && end < 1 && fits(f, start, end))
                return true;
        }
    }
    return false;
}

static bool by_ends(fit *f, ldm_beta_schedule kind)
{
    f->kind = kind;
    for (int digits = 1; digits <= MAX_DIGITS; digits++) {
        if (try_digits(f, digits))
            return true;
    }
    return false;
}

static bool cosine(fit *f, double s)
{
    f->kind = LDM_BETA_COSINE;
    f->cosine_s = s;
    return fits(f, 1e-4, 2e-2);
}

/* The offset s makes the first beta larger: found by halving, then by its digits. */
static bool cosine_with_offset(fit *f)
{
    double low = 0, high = 0.5;

    if (cosine(f, 8e-3))
        return true;
    for (int i = 0; i < 60; i++) {
        const double mid = (low + high) / 2;

        ldm_betas(LDM_BETA_COSINE, f->n, 0, 0, mid, f->betas);
        if (f->betas[0] < beta_at(f, 0))
            low = mid;
        else
            high = mid;
    }
    for (int digits = 1; digits <= MAX_DIGITS; digits++) {
        if (cosine(f, rounded(low, digits)))
            return true;
    }
    return false;
}

/* Noise levels: betas between 0 and 1, their products falling. */
static bool is_schedule(const fit *f)
{
    for (int i = 0; i < f->n; i++) {
        const float x = f->want[i];

        if (!(x >= 0 && x <= 1) || (f->cumulative && i && x > f->want[i - 1]))
            return false;
    }
    return f->cumulative ? f->want[0] > 0 : f->want[f->n - 1] > 0;
}

static bool find_fit(fit *f)
{
    const double a = beta_at(f, 0), b = beta_at(f, f->n - 1);

    /* bfloat16's values of this size are float16's, too. */
    f->rounding = all_are(f, ROUND_BF16)   ? ROUND_BF16
                  : all_are(f, ROUND_HALF) ? ROUND_HALF
                                           : ROUND_NOT;
    f->cosine_s = 8e-3;
    if (!(a > 0 && b > 0 && a < 1 && b < 1))
        return false;
    return by_ends(f, LDM_BETA_LINEAR) || cosine_with_offset(f) ||
           by_ends(f, LDM_BETA_SQRT_LINEAR) ||
           (f->kind = LDM_BETA_SQRT, fits(f, rounded(a * a, 6), rounded(b * b, 6)));
}

static bool usable(const ldm_tensor_info *t)
{
    return t && t->ndim == 1 && t->numel >= 2 && t->numel <= MAX_TIMESTEPS &&
           ldm_dtype_readable(t->dtype);
}

/* The ends of the family's, if there is a family: for a schedule that the file does not have, or
 * that no kind of CompVis' gives. */
static void put_ends(ldm_inference *in, const ldm_infer_facts *f, const char *why)
{
    bool exact;
    const ldm_infer_family *fam = ldm_infer_family_of(f, &exact);
    const ldm_infer_from from = !fam    ? LDM_INFER_OPEN
                                : exact ? LDM_INFER_PUBLISHED
                                        : LDM_INFER_ASSUMED;

    ldm_infer_put(in, from, fam ? fam->name : why, "model.params.linear_start", "%.9g",
                  fam ? fam->start : 0.0015);
    ldm_infer_put(in, from, fam ? fam->name : why, "model.params.linear_end", "%.9g",
                  fam ? fam->end : 0.0195);
}

/* Values of no kind of CompVis' are taken from the file by every run, if they are noise levels. */
static void put_own(ldm_inference *in, const ldm_infer_facts *facts, const fit *f)
{
    const ldm_tensor_info *alphas = ldm_ckpt_find(facts->ck, "alphas_cumprod");

    if (!is_schedule(f)) {
        put_ends(in, facts, "the file's schedule is damaged");
    } else if (!alphas || alphas->numel != (uint64_t)f->n) {
        ldm_infer_problem(in, "no schedule of CompVis' (linear, cosine, sqrt_linear, sqrt) has the "
                              "file's betas, and the file has no alphas_cumprod");
    } else {
        const char *how = "the file's own values, of no kind of CompVis', are used in any case";

        ldm_infer_put(in, LDM_INFER_ASSUMED, how, "model.params.linear_start", "%.9g",
                      beta_at(f, 0));
        ldm_infer_put(in, LDM_INFER_ASSUMED, how, "model.params.linear_end", "%.9g",
                      beta_at(f, f->n - 1) < 1 ? beta_at(f, f->n - 1) : 0.999);
    }
}

static void put_fit(ldm_inference *in, const ldm_infer_facts *facts, const fit *f, bool found)
{
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, "model.params.timesteps", "%d", f->n);
    if (!found) {
        put_own(in, facts, f);
        return;
    }
    if (f->kind != LDM_BETA_LINEAR)
        ldm_infer_put(in, LDM_INFER_BUFFER, NULL, "model.params.beta_schedule", "%s",
                      ldm_beta_schedule_name(f->kind));
    if (f->kind == LDM_BETA_COSINE) {
        ldm_infer_put(in, LDM_INFER_BUFFER, NULL, "model.params.cosine_s", "%.9g", f->cosine_s);
        return;
    }
    ldm_infer_put(in, LDM_INFER_BUFFER, NULL, "model.params.linear_start", "%.9g", f->start);
    ldm_infer_put(in, LDM_INFER_BUFFER, NULL, "model.params.linear_end", "%.9g", f->end);
}

static ldm_status fit_buffer(ldm_inference *in, const ldm_infer_facts *facts,
                             const ldm_tensor_info *t, bool cumulative, ldm_error *err)
{
    fit f = {.n = (int)t->numel, .cumulative = cumulative};
    float *floats = ldm_reallocarray(NULL, (size_t)t->numel, 2 * sizeof *floats);
    ldm_status st;

    f.betas = ldm_reallocarray(NULL, (size_t)t->numel, 2 * sizeof *f.betas);
    if (!floats || !f.betas) {
        st = ldm_error_nomem(err, 2 * t->numel * sizeof(double), "the schedule");
    } else {
        f.alphas = f.betas + f.n;
        f.want = floats;
        f.made = floats + f.n;
        st = ldm_ckpt_read_f32(facts->ck, t, floats, err);
    }
    if (!st)
        put_fit(in, facts, &f, find_fit(&f));
    ldm_free(floats);
    ldm_free(f.betas);
    return st;
}

static void put_assumed(ldm_inference *in, const ldm_infer_facts *f)
{
    const char *why = "the file has no schedule";
    bool exact;
    const ldm_infer_family *fam = ldm_infer_family_of(f, &exact);

    ldm_infer_put(in,
                  !fam    ? LDM_INFER_OPEN
                  : exact ? LDM_INFER_PUBLISHED
                          : LDM_INFER_ASSUMED,
                  fam ? fam->name : why, "model.params.timesteps", "1000");
    put_ends(in, f, why);
}

ldm_status ldm_infer_schedule(ldm_inference *in, const ldm_infer_facts *f, ldm_error *err)
{
    const ldm_tensor_info *betas = ldm_ckpt_find(f->ck, "betas");
    const ldm_tensor_info *alphas = ldm_ckpt_find(f->ck, "alphas_cumprod");

    if (usable(betas))
        return fit_buffer(in, f, betas, false, err);
    if (usable(alphas))
        return fit_buffer(in, f, alphas, true, err);
    put_assumed(in, f);
    return LDM_OK;
}
