/* SPDX-License-Identifier: MIT */
/* Tests of the DDIM loop with networks that are formulas, against a second implementation of the
 * published equations in double, written here on its own. */
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
#include "golden_npy.h"
#include "sample/guidance.h"
#include "sample/rng.h"
#include "sample/schedule.h"

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

static ldm_status fake_predict(void *ctx, int step, const float *x, double t, float *eps,
                               ldm_error *err)
{
    fake *f = ctx;
    int i;

    (void)err;
    assert_int_equal(step, f->steps_seen);
    for (i = 0; i < COUNT; i++)
        eps[i] = (float)(f->slope * (double)x[i]) + (float)t / 1000.0f;
    if ((int)t == f->nan_at_t)
        eps[5] = NAN;
    return LDM_OK;
}

static ldm_status fake_noise(void *ctx, ldm_draw draw, float *noise, ldm_error *err)
{
    fake *f = ctx;

    if (f->draw_count == MAX_DRAWS)
        return ldm_error_set(err, LDM_ERR_RANGE, "too many draws at step %d", draw.step);
    assert_int_equal(draw.number, f->draw_count);
    assert_int_equal(draw.step, f->steps_seen);
    ldm_rng_randn(&f->rng, noise, COUNT);
    f->draw_was_mask[f->draw_count] = draw.mask;
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

static int fake_progress(void *ctx, int step, int steps, double t, const float *x,
                         const float *pred)
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
    ldm_diffusion diffusion;
    ldm_sampling sampling;
    ldm_sampler_plan plan;
    ldm_sampler_job job;
    ldm_denoiser model;
    fake net;
    float x[COUNT], scratch[3 * COUNT], mask[COUNT], x0[COUNT];
} setup;

static void make_alphas(setup *s)
{
    double betas[T];
    int i;

    ldm_betas(LDM_BETA_LINEAR, T, 0.0015, 0.0195, 8e-3, betas);
    ldm_alphas_cumprod(betas, T, s->alphas64, s->alphas);
    for (i = 0; i < T; i++) {
        s->sqrt_a[i] = (float)sqrt(s->alphas64[i]);
        s->sqrt_one_minus_a[i] = (float)sqrt(1 - s->alphas64[i]);
    }
}

/* The plan again, after a change of s->sampling or of the buffers. */
static void make_plan(setup *s)
{
    ldm_error err = {0};

    ldm_sampler_plan_free(&s->plan);
    if (ldm_sampler_plan_create(ldm_sampler_find("ddim"), &s->diffusion, &s->sampling, &s->plan,
                                &err))
        fail_msg("%s", err.msg);
}

static setup *make(ldm_spacing spacing, int steps, double eta)
{
    setup *s = calloc(1, sizeof *s);
    int i;

    assert_non_null(s);
    make_alphas(s);
    s->diffusion = (ldm_diffusion){.train_steps = T,
                                   .alphas_cumprod = s->alphas,
                                   .sqrt_alphas_cumprod = s->sqrt_a,
                                   .sqrt_one_minus_alphas_cumprod = s->sqrt_one_minus_a};
    s->sampling = (ldm_sampling){.steps = steps, .spacing = spacing, .eta = eta, .temperature = 1};
    make_plan(s);
    s->job = (ldm_sampler_job){.plan = &s->plan, .n = IMAGES, .chw = CHW, .scratch = s->scratch};
    assert_int_equal(ldm_sampler_scratch_latents(s->plan.sampler), 3);
    s->model = (ldm_denoiser){.ctx = &s->net,
                              .predict = fake_predict,
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

static void use_mask(setup *s)
{
    s->sampling.mask = true;
    make_plan(s);
    s->job.mask = s->mask;
    s->job.x0 = s->x0;
}

static void drop(setup *s)
{
    ldm_sampler_plan_free(&s->plan);
    free(s);
}

/* Song et al. 2020, eq. 12 and 16, in double, with the draws that the run made. */
static void expected(const setup *s, const float *start, double *x)
{
    int draw = 0, step, i;

    for (i = 0; i < COUNT; i++)
        x[i] = (double)start[i];
    for (step = s->job.start; step < s->plan.count; step++) {
        const ldm_sampler_step *p = &s->plan.steps[step];
        const int t = (int)p->t;
        const double a = s->alphas64[t], prev = p->alpha_next, sigma = p->noise;
        const double known_a = (double)s->sqrt_a[t], known_noise = (double)s->sqrt_one_minus_a[t];

        if (s->job.mask) {
            const float *z = s->net.draws[draw++];

            for (i = 0; i < COUNT; i++) {
                double known = known_a * (double)s->x0[i] + known_noise * (double)z[i];

                x[i] = (double)s->mask[i] * known + (1 - (double)s->mask[i]) * x[i];
            }
        }
        for (i = 0; i < COUNT; i++) {
            double eps = s->net.slope * x[i] + t / 1000.0;
            double pred = (x[i] - sqrt(1 - a) * eps) / sqrt(a);

            if (s->sampling.quantize_x0)
                pred = round(pred * 2) / 2;
            x[i] = sqrt(prev) * pred + sqrt(1 - prev - sigma * sigma) * eps +
                   sigma * s->sampling.temperature * (double)s->net.draws[draw][i];
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
    if (ldm_sampler_execute(&s->job, &s->model, s->x, &err))
        fail_msg("%s", err.msg);
    expected(s, start, want);
    for (i = 0; i < COUNT; i++) {
        norm += want[i] * want[i];
        diff += ((double)s->x[i] - want[i]) * ((double)s->x[i] - want[i]);
    }
    if (!(sqrt(diff / norm) < 2e-6))
        fail_msg("relative distance %g", sqrt(diff / norm));
    assert_int_equal(s->net.steps_seen, s->plan.count - s->job.start);
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
    s->sampling.temperature = 0.7;
    make_plan(s);
    run_and_compare(s);
    drop(s);
}

static void test_mask(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 10, 0.3);
    int i;

    (void)state;
    use_mask(s);
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
    use_mask(s);
    run_and_compare(s);
    drop(s);
}

static void test_quantize_x0(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 20, 0);
    int i;

    (void)state;
    s->sampling.quantize_x0 = true;
    make_plan(s);
    run_and_compare(s);
    assert_int_equal(s->net.quantize_calls, 20);
    for (i = 0; i < COUNT; i++)
        assert_true(s->net.last_pred[i] * 2 == roundf(s->net.last_pred[i] * 2));
    s->model.quantize = NULL;
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, NULL), LDM_ERR_USAGE);
    drop(s);
}

/* A perfect eps leads every spacing that ends at clean data back to x0, from wherever it starts. */
static ldm_status perfect_predict(void *ctx, int step, const float *x, double t, float *eps,
                                  ldm_error *err)
{
    const setup *s = ctx;
    const double a = s->alphas64[(int)t];
    int i;

    (void)step;
    (void)err;
    for (i = 0; i < COUNT; i++)
        eps[i] = (float)(((double)x[i] - sqrt(a) * (double)s->x0[i]) / sqrt(1 - a));
    return LDM_OK;
}

static ldm_status no_noise(void *ctx, ldm_draw draw, float *noise, ldm_error *err)
{
    (void)ctx, (void)draw, (void)err;
    memset(noise, 0, COUNT * sizeof *noise);
    return LDM_OK;
}

static void test_perfect_network(void **state)
{
    setup *s = make(LDM_SPACING_TRAILING, 4, 0);
    int i;

    (void)state;
    s->model = (ldm_denoiser){.ctx = s, .predict = perfect_predict, .noise = no_noise};
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, NULL), LDM_OK);
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
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, &err), LDM_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "step 3 of 50 (t = 941)"));
    assert_non_null(strstr(err.msg, "NaN at element 5"));
    assert_int_equal(s->net.steps_seen, 2);
    drop(s);
    s = make(LDM_SPACING_COMPVIS, 50, 0);
    s->x[1] = 3e38f;
    s->net.slope = -0.9;
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, &err), LDM_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "infinity"));
    drop(s);
}

static void test_cancel(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 50, 0);
    ldm_error err = {0};

    (void)state;
    s->net.cancel_at = 7;
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, &err), LDM_ERR_CANCELLED);
    assert_string_equal(err.msg, "stopped after step 7 of 50 (t = 861)");
    assert_int_equal(s->net.steps_seen, 7);
    drop(s);
}

/* Image-to-image begins in the middle: the steps before it are not run, and are not counted. */
static void test_start_in_the_middle(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 20, 0.5);
    ldm_error err = {0};

    (void)state;
    s->job.start = 8;
    run_and_compare(s);
    assert_int_equal(s->net.draw_count, 12);
    s->net.steps_seen = s->net.draw_count = 0;
    s->net.cancel_at = 5;
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, &err), LDM_ERR_CANCELLED);
    assert_string_equal(err.msg, "stopped after step 5 of 12 (t = 351)");
    s->job.start = 20;
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, &err), LDM_ERR_USAGE);
    drop(s);
}

static ldm_status plan_status(setup *s, ldm_error *err)
{
    ldm_sampler_plan p;
    ldm_status st =
        ldm_sampler_plan_create(ldm_sampler_find("ddim"), &s->diffusion, &s->sampling, &p, err);

    ldm_sampler_plan_free(&p);
    return st;
}

static void test_wrong_jobs(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 5, 0);
    ldm_error err = {0};

    (void)state;
    s->job.mask = s->mask;
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "planned without a mask"));
    use_mask(s);
    s->job.x0 = NULL;
    assert_int_equal(ldm_sampler_execute(&s->job, &s->model, s->x, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "needs x0"));
    s->sampling.eta = 2.5;
    assert_int_equal(plan_status(s, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "eta is too large"));
    s->sampling.eta = -1;
    assert_int_equal(plan_status(s, &err), LDM_ERR_USAGE);
    s->sampling.eta = NAN;
    assert_int_equal(plan_status(s, &err), LDM_ERR_USAGE);
    s->sampling.eta = 0;
    s->sampling.temperature = INFINITY;
    assert_int_equal(plan_status(s, &err), LDM_ERR_USAGE);
    s->sampling.temperature = 1;
    s->sampling.steps = 1001;
    assert_int_equal(plan_status(s, &err), LDM_ERR_USAGE);
    s->sampling.steps = 5;
    s->alphas[7] = NAN;
    assert_int_equal(plan_status(s, &err), LDM_ERR_RANGE);
    assert_non_null(strstr(err.msg, "alphas_cumprod[7]"));
    drop(s);
}

static void test_notes(void **state)
{
    setup *s = make(LDM_SPACING_COMPVIS, 50, 0);

    (void)state;
    assert_int_equal(s->plan.note_count, 0);
    s->diffusion.prediction = LDM_PREDICTS_X0;
    s->sampling.steps = 37;
    make_plan(s);
    assert_int_equal(s->plan.note_count, 2);
    assert_non_null(strstr(s->plan.notes[0],
                           "steps 37: CompVis' spacing would begin at timestep 1000, one beyond"));
    assert_non_null(strstr(s->plan.notes[1], "parameterization is x0"));
    s->sampling.steps = 150;
    make_plan(s);
    assert_non_null(strstr(s->plan.notes[0], "150 steps asked, 167 run"));
    drop(s);
}

/* The paper's spacings end at clean data; CompVis' at alphas_cumprod[0]. */
static void test_where_runs_end(void **state)
{
    ldm_spacing spacing;

    (void)state;
    for (spacing = LDM_SPACING_COMPVIS; spacing <= LDM_SPACING_LINSPACE; spacing++) {
        setup *s = make(spacing, 10, 0);
        double end = s->plan.steps[s->plan.count - 1].alpha_next;

        assert_true(end == (spacing <= LDM_SPACING_QUAD ? (double)s->alphas[0] : 1.0));
        drop(s);
    }
}

static void test_out_of_memory(void **state)
{
    setup *s = make(LDM_SPACING_QUAD, 10, 0);
    unsigned long n;

    (void)state;
    for (n = 1; n <= 3; n++) {
        ldm_alloc_fail_at(n);
        assert_int_equal(plan_status(s, NULL), LDM_ERR_NOMEM);
    }
    ldm_alloc_fail_at(0);
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

/* ---- CompVis' own arrays --------------------------------------------------------------------- */

static void assert_close(double got, double want, double rel, const char *what, size_t i)
{
    if (!(fabs(got - want) <= rel * fabs(want)))
        fail_msg("%s, value %zu: %.17g, expected %.17g", what, i, got, want);
}

/* The plan of the settings that the file's name gives: SCHEDULE_DISCR_Sn_etaXpY.npy. */
static void plan_of_file(const char *file, ldm_sampler_plan *plan)
{
    const ldm_spacing spacing = strstr(file, "_quad_") ? LDM_SPACING_QUAD : LDM_SPACING_COMPVIS;
    const char *discr = strstr(file, spacing == LDM_SPACING_QUAD ? "_quad_" : "_uniform_");
    const char *eta_at = strstr(file, "_eta");
    const ldm_sampling sampling = {
        .steps = atoi(strstr(file, "_S") + 2),
        .spacing = spacing,
        .eta = atoi(eta_at + 4) + 0.1 * atoi(strchr(eta_at, 'p') + 1),
        .temperature = 1,
    };
    float alphas[T];
    const ldm_diffusion diffusion = {.train_steps = T, .alphas_cumprod = alphas};
    double betas[T];
    ldm_error err = {0};
    size_t k;

    for (k = 0; k < GOLDEN_SCHEDULES; k++)
        if (strlen(golden_schedule_list[k].name) == (size_t)(discr - file) &&
            !strncmp(file, golden_schedule_list[k].name, (size_t)(discr - file)))
            break;
    assert_true(k < GOLDEN_SCHEDULES);
    golden_schedule_compute(&golden_schedule_list[k], betas, alphas);
    if (ldm_sampler_plan_create(ldm_sampler_find("ddim"), &diffusion, &sampling, plan, &err))
        fail_msg("%s: %s", file, err.msg);
}

/* Rows timesteps, sigmas, alphas, alphas_prev, in increasing order of timestep. */
static void check_ddim_file(const char *folder, const char *file)
{
    ldm_sampler_plan plan;
    char path[512];
    size_t n, i, c;
    double *want;

    snprintf(path, sizeof path, "ddim/%s", file);
    want = golden_read(folder, path, &n);
    plan_of_file(file, &plan);
    c = (size_t)plan.count;
    assert_int_equal(n, 4 * c);
    for (i = 0; i < c; i++) {
        const ldm_sampler_step *s = &plan.steps[c - 1 - i];

        assert_true(s->t == want[i]);
        assert_close(s->noise, want[c + i], 1e-7, file, i);
        assert_close(s->alpha, want[2 * c + i], 1e-12, file, i);
        assert_close(s->alpha_next, want[3 * c + i], 1e-12, file, i);
    }
    ldm_sampler_plan_free(&plan);
    ldm_free(want);
}

static void test_golden_ddim(void **state)
{
    (void)state;
    golden_each("ddim", check_ddim_file);
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
        cmocka_unit_test(test_start_in_the_middle),
        cmocka_unit_test(test_wrong_jobs),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_where_runs_end),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_golden_ddim),
        cmocka_unit_test(test_guidance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
