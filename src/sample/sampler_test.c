/* SPDX-License-Identifier: MIT */
/* What holds for every row of the table of samplers. The network is a formula: for normally
 * distributed data the best prediction is known, and so is where the exact solution ends.
 *
 * Data: each element of x0 is normal with mean m and standard deviation s. At c * x0 + d * noise
 * (c, d as in ldm_sampler_step) x is normal with mean c m and variance c^2 s^2 + d^2, and the flow
 * that samplers follow keeps z = (x - c m) / sqrt(c^2 s^2 + d^2) as it is. */
#include "sample/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "sample/rng.h"
#include "sample/schedule.h"

enum { T = 1000, N = 2, CHW = 1024, COUNT = N * CHW };

static const double mean = 0.4, spread = 0.6; /* m and s */

typedef struct toy {
    float alphas[T];
    const ldm_sampler *sampler;
    ldm_sampling sampling;
    ldm_prediction prediction;
    ldm_sampler_plan plan;
    size_t n; /* pictures that are being sampled, and the first of them */
    int first;
    ldm_rng rngs[N];
    float x[COUNT], start[COUNT], *scratch;
    int evaluations, own_draws, mask_draws, steps_seen, cancel_at, nan_at;
    bool begun_late; /* not with the plan's first step */
} toy;

/* alphas_cumprod at t; between two timesteps log(sigma) is linear, sigma^2 = (1 - a) / a. */
static double alpha_at(const toy *y, double t)
{
    int i = (int)floor(t);
    double a = (double)y->alphas[i], b = i + 1 < T ? (double)y->alphas[i + 1] : a, log_ratio;

    log_ratio = log((1 - a) / a) + (t - i) * (log((1 - b) / b) - log((1 - a) / a));
    return 1 / (1 + exp(log_ratio));
}

/* eps that a perfect network gives for VP data: (x - c E[x0 | x]) / d. */
static ldm_status toy_predict(void *ctx, int step, const float *x, double t, float *out,
                              ldm_error *err)
{
    toy *y = ctx;
    const double a = alpha_at(y, t), c = sqrt(a), d2 = 1 - a,
                 gain = d2 / (a * spread * spread + d2);
    size_t i;

    (void)err;
    assert_int_equal(step, y->steps_seen);
    if (!y->begun_late) {
        assert_true(y->evaluations < y->plan.evaluations);
        assert_true(fabs(t - y->plan.times[y->evaluations]) <= 1e-6 * fabs(t));
    }
    for (i = 0; i < y->n * CHW; i++) {
        const double eps = ((double)x[i] - c * mean) * gain / sqrt(d2);
        const double x0 = ((double)x[i] - sqrt(d2) * eps) / c;

        out[i] = (float)(y->prediction == LDM_PREDICTS_EPS ? eps
                         : y->prediction == LDM_PREDICTS_V ? c * eps - sqrt(d2) * x0
                                                           : x0);
    }
    if (y->evaluations++ == y->nan_at)
        out[3] = NAN;
    return LDM_OK;
}

static ldm_status toy_noise(void *ctx, ldm_draw draw, float *noise, ldm_error *err)
{
    toy *y = ctx;
    size_t i;

    (void)err;
    assert_int_equal(draw.number, y->own_draws + y->mask_draws);
    assert_int_equal(draw.step, y->steps_seen);
    if (draw.mask)
        y->mask_draws++;
    else
        y->own_draws++;
    for (i = 0; i < y->n; i++)
        ldm_rng_randn(&y->rngs[y->first + (int)i], noise + i * CHW, CHW);
    return LDM_OK;
}

static int toy_progress(void *ctx, int step, int steps, double t, const float *x,
                        const float *pred_x0)
{
    toy *y = ctx;
    size_t i;

    assert_int_equal(step, y->steps_seen);
    assert_true(step < steps && t >= 0 && t < T && x == y->x + (size_t)y->first * CHW);
    for (i = 0; i < y->n * CHW; i++)
        assert_true(isfinite(pred_x0[i]));
    return ++y->steps_seen == y->cancel_at;
}

static toy *make(const ldm_sampler *s, ldm_spacing spacing, int steps)
{
    toy *y = calloc(1, sizeof *y);
    double betas[T];
    ldm_diffusion d;
    ldm_error err = {0};

    assert_non_null(y);
    ldm_betas(LDM_BETA_LINEAR, T, 0.0015, 0.0195, 8e-3, betas);
    ldm_alphas_cumprod(betas, T, NULL, y->alphas);
    d = (ldm_diffusion){.train_steps = T, .alphas_cumprod = y->alphas};
    y->sampler = s;
    y->sampling =
        (ldm_sampling){.steps = steps, .spacing = spacing, .temperature = 1, .mask = s->takes_mask};
    if (ldm_sampler_plan_create(s, &d, &y->sampling, &y->plan, &err))
        fail_msg("%s %s: %s", s->name, ldm_spacing_name(spacing), err.msg);
    y->scratch = ldm_reallocarray(NULL, ldm_sampler_scratch_latents(s) * COUNT, sizeof *y->scratch);
    assert_non_null(y->scratch);
    y->nan_at = -1;
    return y;
}

static void drop(toy *y)
{
    ldm_sampler_plan_free(&y->plan);
    ldm_free(y->scratch);
    free(y);
}

/* Runs from step `start` of the plan, on n pictures from `first`; x begins on the exact solution.
 */
static ldm_status run(toy *y, int start, int first, int n, const float *mask, const float *x0,
                      ldm_error *err)
{
    const ldm_denoiser model = {
        .ctx = y, .predict = toy_predict, .noise = toy_noise, .progress = toy_progress};
    const size_t at = (size_t)first * CHW;
    const ldm_sampler_job job = {.plan = &y->plan,
                                 .start = start,
                                 .n = (size_t)n,
                                 .chw = CHW,
                                 .mask = mask,
                                 .x0 = x0,
                                 .scratch = y->scratch};
    const ldm_sampler_step *s = &y->plan.steps[start];
    /* The loop scales start noise; this one is not quite normal, as no start noise is. */
    const double scale = start ? 1 : y->plan.start_scale;
    const double c = (double)s->known_x0 / scale, d = (double)s->known_noise / scale;
    const double width = sqrt(c * c * spread * spread + d * d);
    size_t i;
    int k;

    y->first = first;
    y->n = (size_t)n;
    y->steps_seen = y->own_draws = y->mask_draws = 0;
    y->evaluations = 0;
    y->begun_late = start > 0;
    for (k = first; k < first + n; k++) {
        ldm_rng_seed(&y->rngs[k], 7 + (uint64_t)k);
        ldm_rng_randn(&y->rngs[k], y->start + (size_t)k * CHW, CHW);
    }
    for (i = at; i < at + (size_t)n * CHW; i++)
        y->x[i] = (float)(c * mean + width * (double)y->start[i]);
    return ldm_sampler_execute(&job, &model, y->x + at, err);
}

static void run_all(toy *y)
{
    ldm_error err = {0};

    if (run(y, 0, 0, N, NULL, NULL, &err))
        fail_msg("%s: %s", y->sampler->name, err.msg);
}

/* Root mean square distance from the exact solution; start noise z ends there at c m + width z. */
static double distance(const toy *y)
{
    const double a = y->plan.steps[y->plan.count - 1].alpha_next;
    const double width = sqrt(a * spread * spread + 1 - a);
    double sum = 0, d;
    size_t i;

    for (i = 0; i < COUNT; i++) {
        d = (double)y->x[i] - (sqrt(a) * mean + width * (double)y->start[i]);
        sum += d * d;
    }
    return sqrt(sum / COUNT);
}

static double distance_after(const ldm_sampler *s, ldm_spacing spacing, int steps)
{
    toy *y = make(s, spacing, steps);
    double d;

    run_all(y);
    d = y->plan.adds_noise ? -1 : distance(y);
    drop(y);
    return d;
}

typedef void each_fn(const ldm_sampler *s, ldm_spacing spacing);

static void each_row(each_fn *fn)
{
    const ldm_sampler *s;
    size_t i;
    int k;

    for (i = 0; (s = ldm_sampler_at(i)) != NULL; i++) {
        for (k = 0; k < 32; k++) {
            if (s->spacings & LDM_SPACING_BIT(k))
                fn(s, (ldm_spacing)k);
        }
    }
    assert_true(i > 0);
}

/* More steps lead nearer to the exact solution, and many lead there. A method that adds noise has
 * no path of its own: its result has the mean and the spread of the data. */
static void converges(const ldm_sampler *s, ldm_spacing spacing)
{
    double few, more, many;

    if (s->distilled) /* this network is not */
        return;
    few = distance_after(s, spacing, 10);
    if (few < 0)
        return;
    more = distance_after(s, spacing, 40);
    many = distance_after(s, spacing, 250);
    print_message("%s %s: distance %.2g after 10 steps, %.2g after 40, %.2g after 250\n", s->name,
                  ldm_spacing_name(spacing), few, more, many);
    assert_true(few < 0.3 && more < 0.6 * few && many < 0.012 &&
                many < more + 0.003); /* quad repeats timesteps where they are many,
                                           and the last step ends at 0 by Euler's rule */
}

static void test_converges(void **state)
{
    (void)state;
    each_row(converges);
}

static void check_moments(const toy *y)
{
    double sum = 0, squares = 0;
    size_t i;

    for (i = 0; i < COUNT; i++) {
        sum += (double)y->x[i];
        squares += (double)y->x[i] * (double)y->x[i];
    }
    sum /= COUNT;
    squares = sqrt(squares / COUNT - sum * sum);
    print_message("%s: mean %.3f of %.3f, spread %.3f of %.3f\n", y->sampler->name, sum, mean,
                  squares, spread);
    /* Of 2048 normal numbers the mean errs by 0.013, the spread by 0.009 (one standard error);
     * dpmpp_3m_sde, by 0.06 with 200 steps. */
    assert_true(fabs(sum - mean) < 0.05 && fabs(squares - spread) < 0.07);
}

/* Another plan, after a change of y->sampling. */
static void plan_again(toy *y)
{
    const ldm_diffusion d = {
        .train_steps = T, .alphas_cumprod = y->alphas, .prediction = y->prediction};
    ldm_error err = {0};

    ldm_sampler_plan_free(&y->plan);
    if (ldm_sampler_plan_create(y->sampler, &d, &y->sampling, &y->plan, &err))
        fail_msg("%s: %s", y->sampler->name, err.msg);
}

/* The moments want many steps. Sanitizers look at every access whatever comes of them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const int many_steps = 10;
static const bool with_moments = false;
#else
static const int many_steps = 200;
static const bool with_moments = true;
#endif

static void has_the_datas_distribution(const ldm_sampler *s, ldm_spacing spacing)
{
    toy *y;

    if (s->distilled)
        return;
    y = make(s, spacing, many_steps);
    run_all(y);
    if (with_moments)
        check_moments(y);
    y->sampling.own_eta = true;
    plan_again(y);
    /* One that takes a temperature but no eta always draws. */
    assert_int_equal(y->plan.adds_noise, s->own_eta > 0 || (s->takes_temperature && !s->takes_eta));
    run_all(y);
    if (with_moments)
        check_moments(y);
    drop(y);
}

static void test_distribution(void **state)
{
    (void)state;
    each_row(has_the_datas_distribution);
}

static void test_eta_keeps_the_distribution(void **state)
{
    toy *y = make(ldm_sampler_find("ddim"), LDM_SPACING_TRAILING, 200);

    (void)state;
    y->sampling.eta = 1;
    plan_again(y);
    assert_true(y->plan.adds_noise);
    run_all(y);
    assert_true(distance(y) > 0.1);
    check_moments(y);
    drop(y);
}

/* What the network predicts changes rounding only. CompVis' PLMS takes all for eps, its DDIM an
 * x0. */
static void predictions_agree(const ldm_sampler *s, ldm_spacing spacing)
{
    static const ldm_prediction others[] = {LDM_PREDICTS_V, LDM_PREDICTS_X0};
    toy *y = make(s, spacing, 20);
    float of_eps[COUNT];
    /* diffusers rounds the timesteps at Karras' and exponential levels, so that the network and the
     * sampler are not of one mind about the level. */
    const bool rounded = (spacing == LDM_SPACING_KARRAS || spacing == LDM_SPACING_EXPONENTIAL) &&
                         !(fmod(y->plan.steps[1].t, 1) > 0);
    double sum;
    size_t i, k;

    run_all(y);
    memcpy(of_eps, y->x, sizeof of_eps);
    for (k = 0; k < 2; k++) {
        y->prediction = others[k];
        plan_again(y);
        if (y->plan.prediction != y->prediction) {
            const char *note = y->prediction == LDM_PREDICTS_V ? "parameterization is v"
                                                               : "parameterization is x0";

            assert_true(s == ldm_sampler_find("plms") ||
                        (s == ldm_sampler_find("ddim") && y->prediction == LDM_PREDICTS_X0));
            assert_non_null(strstr(y->plan.notes[y->plan.note_count - 1], note));
            continue;
        }
        /* diffusers' PNDM adds up v of several levels (sampler_steps_test has its numbers). */
        if (s == ldm_sampler_find("prk") && y->prediction == LDM_PREDICTS_V)
            continue;
        run_all(y);
        for (sum = 0, i = 0; i < COUNT; i++)
            sum += fabs((double)y->x[i] - (double)of_eps[i]);
        if (!(sum / COUNT < (rounded ? 5e-3 : 2e-4)))
            fail_msg("%s %s: %g apart, prediction %d", s->name, ldm_spacing_name(spacing),
                     sum / COUNT, (int)y->prediction);
    }
    drop(y);
}

static void test_predictions_agree(void **state)
{
    (void)state;
    each_row(predictions_agree);
}

/* A schedule that ends without signal: from pure noise, where only v says anything. */
static void test_zero_snr(void **state)
{
    toy *y = make(ldm_sampler_find("ddim"), LDM_SPACING_TRAILING, 50);
    const ldm_diffusion d = {.train_steps = T, .alphas_cumprod = y->alphas};
    float rescaled[T];
    ldm_error err = {0};
    ldm_sampler_plan p;

    (void)state;
    y->sampling.zero_snr = true;
    assert_int_equal(ldm_sampler_plan_create(y->sampler, &d, &y->sampling, &p, &err),
                     LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "zero terminal SNR: at timestep 999"));
    y->prediction = LDM_PREDICTS_V;
    plan_again(y);
    assert_true(!(y->plan.steps[0].alpha > 0));
    ldm_zero_terminal_snr(y->alphas, T, rescaled);
    assert_true(fabsf(rescaled[0] - y->alphas[0]) < 1e-6f && !(rescaled[T - 1] > 0));
    memcpy(y->alphas, rescaled, sizeof rescaled); /* what the network was trained on */
    y->alphas[T - 1] = 1e-12f;                    /* toy_predict divides by it */
    run_all(y);
    assert_true(distance(y) < 0.1);
    drop(y);
}

/* The plan says how often the network is evaluated and how often noise is drawn. */
static void counts(const ldm_sampler *s, ldm_spacing spacing)
{
    int steps[] = {1, 2, 5, 20};
    size_t k;

    for (k = 0; k < sizeof steps / sizeof *steps; k++) {
        toy *y = make(s, spacing, steps[k] > s->least_steps ? steps[k] : s->least_steps);
        int sum = 0, i;

        assert_int_equal(y->plan.evaluations,
                         y->plan.count * s->evaluations_per_step + s->evaluations_more);
        for (i = 0; i < y->plan.count; i++)
            sum += y->plan.steps[i].evaluations;
        assert_int_equal(y->plan.evaluations, sum);
        run_all(y);
        assert_int_equal(y->steps_seen, y->plan.count);
        assert_int_equal(y->evaluations, y->plan.evaluations);
        assert_int_equal(y->own_draws, y->plan.draws);
        drop(y);
    }
}

static void test_counts(void **state)
{
    (void)state;
    each_row(counts);
}

/* A run that begins in the middle, on the solution, ends near it; no step before it is run. */
static void begins_in_the_middle(const ldm_sampler *s, ldm_spacing spacing)
{
    toy *y = make(s, spacing, s->distilled ? 8 : 100);
    const int start = y->plan.count / 2;
    /* PLMS begins anew, with the two evaluations of its first step. */
    int expected = s->evaluations_more == 1 ? 2 : y->plan.steps[start].evaluations, i;
    ldm_error err = {0};

    if (run(y, start, 0, N, NULL, NULL, &err))
        fail_msg("%s: %s", s->name, err.msg);
    assert_int_equal(y->steps_seen, y->plan.count - start);
    for (i = start + 1; i < y->plan.count; i++)
        expected += y->plan.steps[i].evaluations;
    assert_int_equal(y->evaluations, expected);
    if (y->plan.adds_noise && !s->distilled)
        check_moments(y);
    else if (!s->distilled)
        assert_true(distance(y) < 0.03);
    drop(y);
}

static void test_begins_in_the_middle(void **state)
{
    (void)state;
    each_row(begins_in_the_middle);
}

/* The bytes of a picture do not depend on which others are sampled with it. */
static void independent(const ldm_sampler *s, ldm_spacing spacing)
{
    toy *y = make(s, spacing, 8);
    float together[COUNT];
    int k;

    run_all(y);
    memcpy(together, y->x, sizeof together);
    for (k = N - 1; k >= 0; k--)
        assert_int_equal(run(y, 0, k, 1, NULL, NULL, NULL), LDM_OK);
    assert_memory_equal(together, y->x, sizeof together);
    drop(y);
}

static void test_independent_pictures(void **state)
{
    (void)state;
    each_row(independent);
}

/* Where the mask is 1 the picture ends at the known latent, but for the noise of the last level. */
static void keeps_region(const ldm_sampler *s, ldm_spacing spacing)
{
    toy *y = make(s, spacing, 50);
    float *mask = calloc(COUNT, sizeof *mask), *x0 = calloc(COUNT, sizeof *x0);
    double sum = 0;
    size_t i;

    assert_true(mask && x0);
    for (i = 0; i < COUNT; i++) {
        mask[i] = (float)(i % 2);
        x0[i] = 1.0f + (float)(i % 5) / 5.0f;
    }
    if (s->takes_mask) {
        assert_int_equal(run(y, 0, 0, N, mask, x0, NULL), LDM_OK);
        assert_int_equal(y->mask_draws, y->plan.count);
        for (i = 1; i < COUNT; i += 2)
            sum += fabs((double)y->x[i] - (double)x0[i]);
        print_message("%s %s: known region off by %.3f\n", s->name, ldm_spacing_name(spacing),
                      sum / (COUNT / 2));
        assert_true(sum / (COUNT / 2) < 0.2);
    } else {
        assert_int_equal(run(y, 0, 0, N, mask, x0, NULL), LDM_ERR_USAGE);
    }
    free(mask);
    free(x0);
    drop(y);
}

static void test_mask(void **state)
{
    (void)state;
    each_row(keeps_region);
}

static void stops(const ldm_sampler *s, ldm_spacing spacing)
{
    toy *y = make(s, spacing, 6);
    char step[32];
    ldm_error err = {0};

    y->cancel_at = 4;
    assert_int_equal(run(y, 0, 0, N, NULL, NULL, &err), LDM_ERR_CANCELLED);
    snprintf(step, sizeof step, "after step 4 of %d", y->plan.count);
    assert_non_null(strstr(err.msg, step));
    y->cancel_at = 0;
    y->nan_at = y->plan.steps[0].evaluations; /* the first of step 2 */
    assert_int_equal(run(y, 0, 0, N, NULL, NULL, &err), LDM_ERR_NUMERIC);
    snprintf(step, sizeof step, "step 2 of %d ", y->plan.count);
    assert_non_null(strstr(err.msg, step));
    assert_int_equal(y->steps_seen, 1);
    drop(y);
}

static void test_cancel_and_nan(void **state)
{
    (void)state;
    each_row(stops);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void test_names(void **state)
{
    const ldm_sampler *s;
    ldm_spacing spacing;
    size_t i, k;

    (void)state;
    for (i = 0; (s = ldm_sampler_at(i)) != NULL; i++) {
        assert_ptr_equal(ldm_sampler_find(s->name), s);
        for (k = 0; s->aliases[k]; k++)
            assert_ptr_equal(ldm_sampler_find(s->aliases[k]), s); /* no two rows share one */
        assert_true(strlen(s->summary) > 10);
        assert_non_null(s->plan);
        assert_non_null(s->step);
    }
    assert_string_equal(ldm_sampler_at(0)->name, "ddim");
    assert_ptr_equal(ldm_sampler_find("DDIM"), ldm_sampler_at(0));
    assert_null(ldm_sampler_find("ddi"));
    assert_ptr_equal(ldm_sampler_find("EulerA"), ldm_sampler_find("euler_a"));
    assert_ptr_equal(ldm_sampler_find("DPM++2M Karras"), ldm_sampler_find("dpmpp_2m"));
    assert_ptr_equal(ldm_sampler_find("DPM++ 2M Karras"), ldm_sampler_find("dpmpp_2m"));
    assert_true(ldm_sampler_spacing_in("DPM++ 2M Karras", &spacing));
    assert_int_equal(spacing, LDM_SPACING_KARRAS);
    assert_true(ldm_sampler_spacing_in("euler-exponential", &spacing));
    assert_int_equal(spacing, LDM_SPACING_EXPONENTIAL);
    assert_false(ldm_sampler_spacing_in("euler", &spacing));
    assert_null(ldm_sampler_find("ddim karras")); /* does not run with it */
    assert_null(ldm_sampler_find("karras"));
    assert_null(ldm_sampler_find(" karras"));
    assert_null(ldm_sampler_find("ddim2"));
    assert_null(ldm_sampler_find(""));
    assert_null(ldm_sampler_find("- "));
}

/* Each flag of a row decides: what it does not take is refused, what it takes is not. */
static void test_what_rows_take(void **state)
{
    const ldm_sampler *s;
    size_t i;
    int k;

    (void)state;
    for (i = 0; (s = ldm_sampler_at(i)) != NULL; i++) {
        ldm_sampler bare = *s;
        ldm_spacing spacing = LDM_SPACING_COMPVIS;
        ldm_sampling plain, one;
        ldm_error err = {0};

        for (k = 31; k >= 0; k--) {
            if (s->spacings & LDM_SPACING_BIT(k))
                spacing = (ldm_spacing)k;
        }
        bare.takes_eta = bare.takes_temperature = bare.takes_mask = bare.takes_quantize_x0 = false;
        plain = (ldm_sampling){.steps = 5, .spacing = spacing, .temperature = 1};
        assert_int_equal(ldm_sampler_check(&bare, &plain, NULL), LDM_OK);
        for (k = 0; k < 4; k++) {
            static const char *const names[] = {"eta", "temperature", "mask", "quantize_x0"};
            const bool takes[] = {s->takes_eta, s->takes_temperature, s->takes_mask,
                                  s->takes_quantize_x0};

            one = plain;
            one.eta = k == 0 ? 0.5 : 0;
            one.temperature = k == 1 ? 0.9 : 1;
            one.mask = k == 2;
            one.quantize_x0 = k == 3;
            assert_int_equal(ldm_sampler_check(s, &one, NULL), takes[k] ? LDM_OK : LDM_ERR_USAGE);
            assert_int_equal(ldm_sampler_check(&bare, &one, &err), LDM_ERR_USAGE);
            assert_non_null(strstr(err.msg, names[k]));
            assert_non_null(strstr(err.msg, "ddim"));
        }
        bare.spacings = 0;
        assert_int_equal(ldm_sampler_check(&bare, &plain, &err), LDM_ERR_USAGE);
        assert_non_null(strstr(err.msg, ldm_spacing_name(spacing)));
    }
}

/* A float16 buffer repeats levels, and may begin at 1, where k-diffusion's samplers have no level.
 */
static void test_rounded_levels(void **state)
{
    toy *y = make(ldm_sampler_find("euler"), LDM_SPACING_KARRAS, 20);
    const ldm_diffusion d = {.train_steps = T, .alphas_cumprod = y->alphas};
    ldm_error err = {0};
    ldm_sampler_plan p;
    int i;

    (void)state;
    for (i = 0; i < T; i += 2)
        y->alphas[i + 1] = y->alphas[i];
    assert_int_equal(ldm_sampler_plan_create(y->sampler, &d, &y->sampling, &p, NULL), LDM_OK);
    for (i = 0; i < p.count; i++)
        assert_true(p.steps[i].t >= 0 && p.steps[i].t < T);
    ldm_sampler_plan_free(&p);
    y->alphas[0] = 1;
    assert_int_equal(ldm_sampler_plan_create(y->sampler, &d, &y->sampling, &p, &err),
                     LDM_ERR_RANGE);
    assert_non_null(strstr(err.msg, "the noise level at timestep 0 is 0"));
    drop(y);
}

static void runs_out_of_memory(const ldm_sampler *s, ldm_spacing spacing)
{
    toy *y = make(s, spacing, 5);
    const ldm_diffusion d = {.train_steps = T, .alphas_cumprod = y->alphas};
    ldm_status st = LDM_ERR_NOMEM;
    ldm_sampler_plan p;
    unsigned long n;

    for (n = 1; st == LDM_ERR_NOMEM; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_sampler_plan_create(s, &d, &y->sampling, &p, NULL);
        ldm_alloc_fail_at(0);
        ldm_sampler_plan_free(&p);
    }
    assert_int_equal(st, LDM_OK);
    assert_true(n > 3); /* steps and times at least */
    drop(y);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    each_row(runs_out_of_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converges),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_eta_keeps_the_distribution),
        cmocka_unit_test(test_predictions_agree),
        cmocka_unit_test(test_zero_snr),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_begins_in_the_middle),
        cmocka_unit_test(test_independent_pictures),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_cancel_and_nan),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_rows_take),
        cmocka_unit_test(test_rounded_levels),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
