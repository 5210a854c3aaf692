/* Tests of the DDIM loop with networks that are formulas, against a second implementation of the
 * published equations in double, written here on its own. */
#include "sample/ddim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sample/rng.h"

enum { T = 1000, IMAGES = 2, CHW = 12, COUNT = IMAGES * CHW, MAX_DRAWS = 64 };

/* A stand-in network: eps = slope * x + t / 1000, or NaN at one timestep. */
typedef struct fake {
    double slope;
    int nan_at_t, cancel_at, quantize_calls, steps_seen;
    float draws[MAX_DRAWS][COUNT]; /* in the order asked for */
    bool draw_was_mask[MAX_DRAWS];
    int draw_count;
    ldm_rng rng;
    float last_x[COUNT], last_pred[COUNT];
} fake;

static ldm_status fake_eps(void *ctx, const float *x, int t, float *eps, ldm_error *err)
{
    fake *f = ctx;
    int i;

    (void)err;
    for (i = 0; i < COUNT; i++)
        eps[i] = (float)(f->slope * (double)x[i]) + (float)t / 1000.0f;
    if (t == f->nan_at_t)
        eps[5] = NAN;
    return LDM_OK;
}

static ldm_status fake_noise(void *ctx, int step, bool mask_noise, float *noise, ldm_error *err)
{
    fake *f = ctx;

    if (f->draw_count == MAX_DRAWS)
        return ldm_error_set(err, LDM_ERR_RANGE, "too many draws at step %d", step);
    ldm_rng_randn(&f->rng, noise, COUNT);
    f->draw_was_mask[f->draw_count] = mask_noise;
    memcpy(f->draws[f->draw_count++], noise, COUNT * sizeof *noise);
    return LDM_OK;
}

static ldm_status fake_quantize(void *ctx, float *pred_x0, ldm_error *err)
{
    fake *f = ctx;
    int i;

    (void)err;
    f->quantize_calls++;
    for (i = 0; i < COUNT; i++)
        pred_x0[i] = roundf(pred_x0[i] * 2) / 2;
    return LDM_OK;
}

static int fake_progress(void *ctx, int step, int steps, int t, const float *x, const float *pred)
{
    fake *f = ctx;

    (void)t;
    assert_int_equal(step, f->steps_seen);
    f->steps_seen++;
    assert_true(f->steps_seen <= steps);
    memcpy(f->last_x, x, sizeof f->last_x);
    memcpy(f->last_pred, pred, sizeof f->last_pred);
    return f->steps_seen == f->cancel_at;
}

typedef struct setup {
    double alphas64[T];
    float alphas[T], sqrt_a[T], sqrt_one_minus_a[T];
    ldm_ddim_schedule schedule;
    ldm_ddim_job job;
    ldm_ddim_model model;
    fake net;
    float x[COUNT], scratch[3 * COUNT], mask[COUNT], x0[COUNT];
} setup;

static setup *make(ldm_spacing spacing, int steps, double eta)
{
    setup *s = calloc(1, sizeof *s);
    double betas[T];
    int i;

    assert_non_null(s);
    ldm_betas(LDM_BETA_LINEAR, T, 0.0015, 0.0195, 8e-3, betas);
    ldm_alphas_cumprod(betas, T, s->alphas64, s->alphas);
    for (i = 0; i < T; i++) {
        s->sqrt_a[i] = (float)sqrt(s->alphas64[i]);
        s->sqrt_one_minus_a[i] = (float)sqrt(1 - s->alphas64[i]);
    }
    assert_int_equal(
        ldm_ddim_schedule_create(s->alphas, T, spacing, steps, eta, &s->schedule, NULL), LDM_OK);
    s->job = (ldm_ddim_job){.schedule = &s->schedule,
                            .sqrt_alphas_cumprod = s->sqrt_a,
                            .sqrt_one_minus_alphas_cumprod = s->sqrt_one_minus_a,
                            .n = IMAGES,
                            .chw = CHW,
                            .temperature = 1,
                            .scratch = s->scratch};
    s->model = (ldm_ddim_model){.ctx = &s->net,
                                .eps = fake_eps,
                                .noise = fake_noise,
                                .quantize = fake_quantize,
                                .progress = fake_progress};
    s->net.slope = 0.4;
    s->net.nan_at_t = -1;
    ldm_rng_seed(&s->net.rng, 42);
    ldm_rng_randn(&s->net.rng, s->x, COUNT);
    for (i = 0; i < COUNT; i++) {
        s->mask[i] = (float)(i % 3) / 2.0f;
        s->x0[i] = (float)i / 10.0f - 1.0f;
    }
    return s;
}

static void drop(setup *s)
{
    ldm_ddim_schedule_free(&s->schedule);
    free(s);
}

/* Song et al. 2020, eq. 12 and 16, in double, with the draws that the run made. */
static void expected(const setup *s, const float *start, double *x)
{
    const ldm_ddim_schedule *d = &s->schedule;
    int draw = 0, step, i;

    for (i = 0; i < COUNT; i++)
        x[i] = (double)start[i];
    for (step = d->count - 1; step >= 0; step--) {
        const int t = d->timesteps[step];
        const double a = s->alphas64[t], prev = d->alphas_prev[step], sigma = d->sigmas[step];
        const double known_a = (double)s->sqrt_a[t], known_noise = (double)s->sqrt_one_minus_a[t];

        if (s->job.mask) {
            const float *z = s->net.draws[draw++];

            for (i = 0; i < COUNT; i++) {
                double known = known_a * (double)s->x0[i] + known_noise * (double)z[i];

                x[i] = (double)s->mask[i] * known + (1 - (double)s->mask[i]) * x[i];
            }
        }
        for (i = 0; i < COUNT; i++) {
            double eps = s->net.slope * x[i] + d->timesteps[step] / 1000.0;
            double pred = (x[i] - sqrt(1 - a) * eps) / sqrt(a);

            if (s->job.quantize_x0)
                pred = round(pred * 2) / 2;
            x[i] = sqrt(prev) * pred + sqrt(1 - prev - sigma * sigma) * eps +
                   sigma * s->job.temperature * (double)s->net.draws[draw][i];
        }
        draw++;
    }
    assert_int_equal(draw, s->net.draw_count);
}

static void run_and_compare(setup *s)
{
    float start[COUNT];
    double want[COUNT], norm = 0, diff = 0;
    ldm_error err = {0};
    int i;

    memcpy(start, s->x, sizeof start);
    if (ldm_ddim_run(&s->job, &s->model, s->x, &err))
        fail_msg("%s", err.msg);
    expected(s, start, want);
    for (i = 0; i < COUNT; i++) {
        norm += want[i] * want[i];
        diff += ((double)s->x[i] - want[i]) * ((double)s->x[i] - want[i]);
    }
    if (!(sqrt(diff / norm) < 2e-6))
        fail_msg("relative distance %g", sqrt(diff / norm));
    assert_int_equal(s->net.steps_seen, s->schedule.count);
    assert_memory_equal(s->net.last_x, s->x, sizeof s->x);
}

static void test_deterministic(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 50, 0);

    (void)state;
    run_and_compare(s);
    assert_int_equal(s->net.draw_count, 50); /* drawn though sigma is 0, as the original does */
    drop(s);
}

static void test_other_spacings(void **state)
{
    ldm_spacing spacing;

    (void)state;
    for (spacing = LDM_SPACING_QUAD; spacing <= LDM_SPACING_LINSPACE; spacing++) {
        setup *s = make(spacing, 13, 0.5);

        run_and_compare(s);
        drop(s);
    }
}

static void test_eta_and_temperature(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 20, 1);

    (void)state;
    s->job.temperature = 0.7;
    run_and_compare(s);
    drop(s);
}

static void test_mask(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 10, 0.3);
    int i;

    (void)state;
    s->job.mask = s->mask;
    s->job.x0 = s->x0;
    run_and_compare(s);
    assert_int_equal(s->net.draw_count, 20);
    for (i = 0; i < 20; i++)
        assert_int_equal(s->net.draw_was_mask[i], i % 2 == 0);
    drop(s);
}

/* Buffers of a checkpoint need not be what alphas_cumprod would give. */
static void test_mask_uses_the_buffers(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 10, 0.3);
    int i;

    (void)state;
    for (i = 0; i < T; i++) {
        s->sqrt_a[i] = 0.25f + (float)i / (2 * T);
        s->sqrt_one_minus_a[i] = 0.75f - (float)i / (2 * T);
    }
    s->job.mask = s->mask;
    s->job.x0 = s->x0;
    run_and_compare(s);
    drop(s);
}

static void test_quantize_x0(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 20, 0);
    int i;

    (void)state;
    s->job.quantize_x0 = true;
    run_and_compare(s);
    assert_int_equal(s->net.quantize_calls, 20);
    for (i = 0; i < COUNT; i++)
        assert_true(s->net.last_pred[i] * 2 == roundf(s->net.last_pred[i] * 2));
    s->model.quantize = NULL;
    assert_int_equal(ldm_ddim_run(&s->job, &s->model, s->x, NULL), LDM_ERR_USAGE);
    drop(s);
}

/* A perfect eps leads every spacing that ends at clean data back to x0, from wherever it starts. */
static ldm_status perfect_eps(void *ctx, const float *x, int t, float *eps, ldm_error *err)
{
    const setup *s = ctx;
    int i;

    (void)err;
    for (i = 0; i < COUNT; i++)
        eps[i] = (float)(((double)x[i] - sqrt(s->alphas64[t]) * (double)s->x0[i]) /
                         sqrt(1 - s->alphas64[t]));
    return LDM_OK;
}

static ldm_status no_noise(void *ctx, int step, bool mask_noise, float *noise, ldm_error *err)
{
    (void)ctx, (void)step, (void)mask_noise, (void)err;
    memset(noise, 0, COUNT * sizeof *noise);
    return LDM_OK;
}

static void test_perfect_network(void **state)
{
    setup *s = make(LDM_SPACING_TRAILING, 4, 0);
    int i;

    (void)state;
    s->model = (ldm_ddim_model){.ctx = s, .eps = perfect_eps, .noise = no_noise};
    assert_int_equal(ldm_ddim_run(&s->job, &s->model, s->x, NULL), LDM_OK);
    for (i = 0; i < COUNT; i++)
        assert_true(fabsf(s->x[i] - s->x0[i]) < 1e-4f);
    drop(s);
}

static void test_nan(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 50, 0);
    ldm_error err = {0};

    (void)state;
    s->net.nan_at_t = 941;
    assert_int_equal(ldm_ddim_run(&s->job, &s->model, s->x, &err), LDM_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "step 3 of 50 (t = 941)"));
    assert_non_null(strstr(err.msg, "NaN at element 5"));
    assert_int_equal(s->net.steps_seen, 2);
    drop(s);
    s = make(LDM_SPACING_COMPVIS, 50, 0);
    s->x[1] = 3e38f;
    s->net.slope = -0.9;
    assert_int_equal(ldm_ddim_run(&s->job, &s->model, s->x, &err), LDM_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "infinity"));
    drop(s);
}

static void test_cancel(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 50, 0);
    ldm_error err = {0};

    (void)state;
    s->net.cancel_at = 7;
    assert_int_equal(ldm_ddim_run(&s->job, &s->model, s->x, &err), LDM_ERR_CANCELLED);
    assert_string_equal(err.msg, "stopped after step 7 of 50 (t = 861)");
    assert_int_equal(s->net.steps_seen, 7);
    drop(s);
}

static void test_wrong_jobs(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 5, 2.5);
    ldm_error err = {0};

    (void)state;
    assert_int_equal(ldm_ddim_run(&s->job, &s->model, s->x, &err), LDM_ERR_RANGE);
    assert_non_null(strstr(err.msg, "eta is too large"));
    s->job.mask = s->mask;
    assert_int_equal(ldm_ddim_run(&s->job, &s->model, s->x, &err), LDM_ERR_USAGE);
    drop(s);
}

static void test_guidance(void **state)
{
    const float uncond[3] = {0.1f, -2.0f, 3.0f};
    float cond[3] = {0.2f, 1.0f, 3.0f}, out[3];
    int i;

    (void)state;
    ldm_guidance_mix(uncond, cond, 7.5, 3, out);
    for (i = 0; i < 3; i++)
        assert_true(out[i] == uncond[i] + 7.5f * (cond[i] - uncond[i]));
    assert_true(out[2] == 3.0f);
    ldm_guidance_mix(uncond, cond, 7.5, 3, cond); /* in place */
    assert_memory_equal(cond, out, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_other_spacings),
        cmocka_unit_test(test_eta_and_temperature),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_mask_uses_the_buffers),
        cmocka_unit_test(test_quantize_x0),
        cmocka_unit_test(test_perfect_network),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_wrong_jobs),
        cmocka_unit_test(test_guidance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
