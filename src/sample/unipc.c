/* SPDX-License-Identifier: MIT */
/* UniPC (Zhao et al. 2023, "UniPC: a unified predictor-corrector framework", algorithms 5 to 8, in
 * data prediction) as diffusers' UniPCMultistepScheduler computes it. Each step first
 * corrects the x that the last one predicted, with the evaluation made there, then predicts the
 * next: one evaluation a step. */
#include <math.h>
#include <string.h>

#include "sample/vp_levels.h"

enum { MAX_ORDER = 3 };
/* Arrays of r->work: x after the last correction, and predicted x0s in a ring. */
enum { LAST_X, RING, LATENTS = RING + MAX_ORDER + 1 };

static float *array(const ldm_sampler_run *r, int i)
{
    return r->work + (size_t)i * r->count;
}

/* The x0 predicted `back` steps ago; 0: in this step. */
static const float *x0_of(const ldm_sampler_run *r, int back)
{
    return array(r, RING + (r->done - back) % (MAX_ORDER + 1));
}

/* Solves the n equations sum_k ratio[k]^i * rho[k] = b[i] (i = 0 .. n - 1) by elimination with the
 * largest pivot; the matrix is Vandermonde's, its ratios all different. */
static void solve(int n, const double *ratio, const double *b, double *rho)
{
    double m[MAX_ORDER][MAX_ORDER + 1], swap;
    int i, j, k, top;

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++)
            m[i][j] = pow(ratio[j], i);
        m[i][n] = b[i];
    }
    for (k = 0; k < n; k++) {
        for (top = k, i = k + 1; i < n; i++)
            top = fabs(m[i][k]) > fabs(m[top][k]) ? i : top;
        for (j = 0; j <= n; j++)
            swap = m[k][j], m[k][j] = m[top][j], m[top][j] = swap;
        for (i = k + 1; i < n; i++)
            for (j = n; j >= k; j--)
                m[i][j] -= m[i][k] / m[k][k] * m[k][j];
    }
    for (i = n - 1; i >= 0; i--) {
        for (rho[i] = m[i][n], j = i + 1; j < n; j++)
            rho[i] -= m[i][j] * rho[j];
        rho[i] /= m[i][i];
    }
}

/* B(h) of the paper, for h = -hh. */
static double base_of(const ldm_sampler_run *r, double hh)
{
    return r->plan->settings.solver == LDM_SOLVER_BH1 ? hh : expm1(hh);
}

/* b[i] = i! * h^(i-1) * phi(i+1) / B(h) of the paper's eq. 10. */
static void right_side(double hh, double base, int n, double *b)
{
    double phi = expm1(hh) / hh - 1, factorial = 1;
    int i;

    for (i = 1; i <= n; i++) {
        b[i - 1] = phi * factorial / base;
        factorial *= i + 1;
        phi = phi / hh - 1 / factorial;
    }
}

/* The part that both halves share: to = x moved over h by m0, first order. */
static void first_order(const ldm_vp_level *from, const float *x, const float *m0, size_t count,
                        float *to)
{
    const float keep = (float)(from[1].sigma / from[0].sigma);
    const float move = (float)(from[1].alpha * expm1(from[0].lambda - from[1].lambda));
    size_t i;

    for (i = 0; i < count; i++)
        to[i] = keep * x[i] - move * m0[i];
}

/* to -= weight * (m - m0) */
static void add_difference(const float *m, const float *m0, double weight64, size_t count,
                           float *to)
{
    const float weight = (float)weight64;
    size_t i;

    for (i = 0; i < count; i++)
        to[i] -= weight * (m[i] - m0[i]);
}

/* Ratios of the levels of k = 1 .. order - 1 steps before `from` to this step's h. */
static void find_ratios(const ldm_vp_level *from, int order, double *ratio)
{
    const double h = from[1].lambda - from[0].lambda;
    int k;

    for (k = 1; k < order; k++)
        ratio[k - 1] = (from[-k].lambda - from[0].lambda) / h;
}

/* The order of the step `done`, which the correction after it has, too. */
static int order_of(const ldm_sampler_run *r, int order, int done)
{
    const int left = r->plan->count - r->job->start - done;

    order = order < left ? order : left;
    return order < done + 1 ? order : done + 1;
}

/* UniC: r->x, where the last step arrived, with the x0 that was predicted there. */
static void correct(ldm_sampler_run *r, int max_order)
{
    const ldm_vp_level *from = ldm_vp_level_of(r) - 1;
    const int order = order_of(r, max_order, r->done - 1);
    const double hh = from[0].lambda - from[1].lambda, base = base_of(r, hh);
    const double scale = from[1].alpha * base;
    double ratio[MAX_ORDER], b[MAX_ORDER], rho[MAX_ORDER] = {0.5};
    int k;

    find_ratios(from, order, ratio);
    ratio[order - 1] = 1;
    right_side(hh, base, order, b);
    if (order > 1)
        solve(order, ratio, b, rho);
    first_order(from, array(r, LAST_X), x0_of(r, 1), r->count, r->x);
    for (k = 1; k < order; k++)
        add_difference(x0_of(r, 1 + k), x0_of(r, 1), scale * rho[k - 1] / ratio[k - 1], r->count,
                       r->x);
    add_difference(x0_of(r, 0), x0_of(r, 1), scale * rho[order - 1], r->count, r->x);
}

/* UniP: r->x at the next level. */
static void predict(ldm_sampler_run *r, int max_order)
{
    const ldm_vp_level *from = ldm_vp_level_of(r);
    const int order = order_of(r, max_order, r->done);
    const double hh = from[0].lambda - from[1].lambda, base = base_of(r, hh);
    const double scale = from[1].alpha * base;
    double ratio[MAX_ORDER], b[MAX_ORDER], rho[MAX_ORDER] = {0.5};
    int k;

    memcpy(array(r, LAST_X), r->x, r->count * sizeof *r->x);
    first_order(from, array(r, LAST_X), x0_of(r, 0), r->count, r->x);
    if (order == 1)
        return;
    find_ratios(from, order, ratio);
    right_side(hh, base, order - 1, b);
    if (order > 2)
        solve(order - 1, ratio, b, rho);
    for (k = 1; k < order; k++)
        add_difference(x0_of(r, k), x0_of(r, 0), scale * rho[k - 1] / ratio[k - 1], r->count, r->x);
}

static ldm_status step_of_order(ldm_sampler_run *r, int order, ldm_error *err)
{
    ldm_status st = ldm_vp_predict_x0(r, err);

    if (st)
        return st;
    memcpy(array(r, RING + r->done % (MAX_ORDER + 1)), r->pred_x0, r->count * sizeof *r->x);
    if (r->done > 0)
        correct(r, order);
    predict(r, order);
    return LDM_OK;
}

static ldm_status plan(const ldm_diffusion *d, const ldm_sampling *set, ldm_sampler_plan *p,
                       ldm_error *err)
{
    const bool bh1 = set->solver == LDM_SOLVER_BH1;

    if (bh1 && set->final_sigma == LDM_FINAL_ZERO)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "solver bh1 divides by the step in log(sigma), which has no end at a "
                             "final sigma of zero: take final_sigma least, or solver bh2");
    return ldm_vp_plan(d, set, !bh1 && set->final_sigma != LDM_FINAL_LEAST, p, err);
}

static ldm_status step2(ldm_sampler_run *r, ldm_error *err)
{
    return step_of_order(r, 2, err);
}

static ldm_status step3(ldm_sampler_run *r, ldm_error *err)
{
    return step_of_order(r, 3, err);
}

static const char *const aliases2[] = {"UniPCMultistepScheduler", "unipc2", "uni_pc_bh2", NULL};
static const char *const aliases3[] = {NULL};

const ldm_sampler ldm_sampler_unipc = {
    .name = "unipc",
    .aliases = aliases2,
    .summary = "UniPC of order 2: predicts and corrects with one evaluation a step",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .solvers = LDM_SOLVER_BIT(LDM_SOLVER_BH1) | LDM_SOLVER_BIT(LDM_SOLVER_BH2),
    .takes_final_sigma = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_VP_SPACINGS,
    .default_spacing = LDM_SPACING_LINSPACE,
    .latents = LATENTS,
    .plan = plan,
    .step = step2,
};

const ldm_sampler ldm_sampler_unipc3 = {
    .name = "unipc3",
    .aliases = aliases3,
    .summary = "UniPC of order 3, for runs without guidance",
    .evaluations_per_step = 1,
    .takes_mask = true,
    .takes_zero_snr = true,
    .solvers = LDM_SOLVER_BIT(LDM_SOLVER_BH1) | LDM_SOLVER_BIT(LDM_SOLVER_BH2),
    .takes_final_sigma = true,
    .takes_whole_t = true, /* they are */
    .spacings = LDM_VP_SPACINGS,
    .default_spacing = LDM_SPACING_LINSPACE,
    .latents = LATENTS,
    .plan = plan,
    .step = step3,
};
