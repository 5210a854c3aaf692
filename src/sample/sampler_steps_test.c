/* SPDX-License-Identifier: MIT */
/* Every sampler against the code that it follows, for few steps and many, odd numbers, every
 * spacing, form and prediction: diffusers' schedulers and k-diffusion's samplers ran on a network
 * that is a formula. tools/golden/gen_sampler_steps.py wrote tests/data/sampler_steps.txt, a run a
 * line: its settings, the timesteps of its evaluations, its noise levels and the last x. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "sample/sampler.h"
#include "sample/schedule.h"

enum { T = 1000, COUNT = 6, LINE = 1 << 16, NAME = 64 };

static const double mode = 0.8;
static const double near_sigma = 1e-6, near_time = 1e-6, near_x = 2e-4; /* relative */

typedef struct reference {
    char sampler[NAME], spacing[NAME], predicts[NAME], settings[NAME];
    int steps, evaluations, levels;
    double times[2 * T], sigmas[T + 1], x[COUNT];
} reference;

typedef struct toy {
    double log_ratio[T]; /* log((1 - alpha) / alpha) */
    ldm_prediction prediction;
    double times[2 * T];
    int evaluations;
} toy;

static double number(char **at)
{
    char *end;
    const double v = strtod(*at, &end);

    assert_true(end != *at);
    *at = end;
    return v;
}

static void numbers(char **at, int count, double *out)
{
    int i;

    for (i = 0; i < count; i++)
        out[i] = number(at);
}

static void read_line(char *line, reference *r)
{
    int used = 0;
    char *at = line;

    assert_int_equal(sscanf(line, "%63s %63s %d %63s %63s%n", r->sampler, r->spacing, &r->steps,
                            r->predicts, r->settings, &used),
                     5);
    at += used;
    r->evaluations = (int)number(&at);
    assert_in_range(r->evaluations, 1, 2 * T);
    numbers(&at, r->evaluations, r->times);
    r->levels = (int)number(&at);
    assert_in_range(r->levels, 0, T + 1);
    numbers(&at, r->levels, r->sigmas);
    numbers(&at, COUNT, r->x);
}

static float noise_at(int draw, int i)
{
    return (float)(sqrt(2) * sin(17.0 * draw + 3.7 * i + 1));
}

static ldm_status predict(void *ctx, int step, const float *x, double t, float *out, ldm_error *err)
{
    toy *y = ctx;
    const int low = (int)t, high = low + 1 < T ? low + 1 : low;
    const double ratio = y->log_ratio[low] + (t - low) * (y->log_ratio[high] - y->log_ratio[low]);
    const double alpha = 1 / (1 + exp(ratio)), c = sqrt(alpha), d = sqrt(1 - alpha);
    int i;

    (void)step;
    (void)err;
    assert_in_range(y->evaluations, 0, 2 * T - 1);
    y->times[y->evaluations++] = t;
    for (i = 0; i < COUNT; i++) {
        const double x0 = mode * tanh(c * mode * (double)x[i] / (d * d));
        const double eps = ((double)x[i] - c * x0) / d;

        out[i] = (float)(y->prediction == LDM_PREDICTS_EPS ? eps
                         : y->prediction == LDM_PREDICTS_V ? c * eps - d * x0
                                                           : x0);
    }
    return LDM_OK;
}

static ldm_status noise(void *ctx, ldm_draw draw, float *out, ldm_error *err)
{
    int i;

    (void)ctx;
    (void)err;
    for (i = 0; i < COUNT; i++)
        out[i] = noise_at(draw.number + 1, i);
    return LDM_OK;
}

/* "key=value,key=value", or "-". */
static void read_settings(const reference *r, const ldm_sampler *row, ldm_sampling *s)
{
    char copy[NAME], *word, *rest = NULL, *value;

    *s = (ldm_sampling){.steps = r->steps, .temperature = 1, .own_eta = true};
    assert_int_equal(ldm_spacing_parse(r->spacing, &s->spacing, NULL), LDM_OK);
    assert_non_null(row);
    snprintf(copy, sizeof copy, "%s", r->settings);
    for (word = strtok_r(copy, ",", &rest); word && strcmp(word, "-");
         word = strtok_r(NULL, ",", &rest)) {
        value = strchr(word, '=');
        assert_non_null(value);
        *value++ = '\0';
        if (!strcmp(word, "eta"))
            s->eta = strtod(value, NULL), s->own_eta = false;
        else if (!strcmp(word, "solver"))
            assert_true(ldm_solver_find(value, &s->solver));
        else if (!strcmp(word, "final_sigma"))
            s->final_sigma = !strcmp(value, "least") ? LDM_FINAL_LEAST : LDM_FINAL_ZERO;
        else if (!strcmp(word, "lower_order_final"))
            s->full_order_last = !strcmp(value, "0");
        else if (!strcmp(word, "zero_snr"))
            s->zero_snr = true;
        else if (!strcmp(word, "whole_timesteps"))
            s->whole_t = true;
        else
            fail_msg("setting %s", word);
    }
}

static void make_toy(const reference *r, bool zero_snr, float *alphas, toy *y)
{
    double betas[T];
    float known[T];
    int i;

    ldm_betas(LDM_BETA_LINEAR, T, 0.0015, 0.0195, 8e-3, betas);
    ldm_alphas_cumprod(betas, T, NULL, alphas);
    memcpy(known, alphas, sizeof known);
    if (zero_snr)
        ldm_zero_terminal_snr(alphas, T, known);
    for (i = 0; i < T; i++) {
        const double alpha = fmax((double)known[i], 0x1p-24);

        y->log_ratio[i] = log((1 - alpha) / alpha);
    }
    y->prediction = !strcmp(r->predicts, "eps") ? LDM_PREDICTS_EPS
                    : !strcmp(r->predicts, "v") ? LDM_PREDICTS_V
                                                : LDM_PREDICTS_X0;
}

/* How many of `count` numbers are further apart than `near`, relatively; at least |floor|. */
static int differ(const double *got, const double *want, int count, double near, double floor)
{
    int i, n = 0;

    for (i = 0; i < count; i++) {
        if (fabs(got[i] - want[i]) <= near * fmax(fabs(want[i]), floor))
            continue;
        if (!n++)
            print_message("number %d is %.9g, expected %.9g\n", i, got[i], want[i]);
    }
    return n;
}

static double distance(const float *x, const double *want)
{
    double d = 0, sum = 0;
    int i;

    for (i = 0; i < COUNT; i++) {
        d += ((double)x[i] - want[i]) * ((double)x[i] - want[i]);
        sum += want[i] * want[i];
    }
    return sqrt(d / sum);
}

static int check_plan(const reference *r, const ldm_sampler_plan *p, const toy *y)
{
    double sigmas[T + 1];
    int i;

    if (y->evaluations != r->evaluations ||
        differ(y->times, r->times, r->evaluations, near_time, 100))
        return 1;
    if (!r->levels)
        return 0;
    for (i = 0; i < p->count; i++)
        sigmas[i] = p->steps[i].sigma;
    sigmas[p->count] = p->steps[p->count - 1].sigma_next;
    return r->levels != p->count + 1 || differ(sigmas, r->sigmas, r->levels, near_sigma, 0);
}

/* The number of what differs; says what. */
static int run(const reference *r, double *worst)
{
    const ldm_sampler *row = ldm_sampler_find(r->sampler);
    float alphas[T], x[COUNT];
    toy y = {.evaluations = 0};
    ldm_sampling s;
    ldm_sampler_plan p;
    ldm_error err = {.msg = ""};
    const ldm_denoiser model = {.ctx = &y, .predict = predict, .noise = noise};
    ldm_sampler_job job = {.plan = &p, .n = 1, .chw = COUNT};
    double d = 0;
    int i, wrong;

    read_settings(r, row, &s);
    make_toy(r, s.zero_snr, alphas, &y);
    {
        const ldm_diffusion model_of = {
            .train_steps = T, .alphas_cumprod = alphas, .prediction = y.prediction};

        if (ldm_sampler_plan_create(row, &model_of, &s, &p, &err))
            fail_msg("%s %s %d %s: %s", r->sampler, r->spacing, r->steps, r->settings, err.msg);
    }
    for (i = 0; i < COUNT; i++)
        x[i] = noise_at(0, i);
    job.scratch = ldm_calloc(ldm_sampler_scratch_latents(row) * COUNT, sizeof *job.scratch);
    assert_non_null(job.scratch);
    if (ldm_sampler_execute(&job, &model, x, &err))
        fail_msg("%s %s %d %s: %s", r->sampler, r->spacing, r->steps, r->settings, err.msg);
    wrong = check_plan(r, &p, &y);
    d = distance(x, r->x);
    *worst = d > *worst ? d : *worst;
    if (wrong || !(d <= near_x))
        print_message("%s %s, %d steps, %s, %s: %sx is %.3g away\n", r->sampler, r->spacing,
                      r->steps, r->predicts, r->settings,
                      wrong ? "other timesteps or levels; " : "", d);
    ldm_free(job.scratch);
    ldm_sampler_plan_free(&p);
    return wrong || !(d <= near_x);
}

static void test_runs(void **state)
{
    char *line = malloc(LINE);
    reference *r = calloc(1, sizeof *r);
    FILE *f = fopen("tests/data/sampler_steps.txt", "r");
    int runs = 0, wrong = 0;
    double worst = 0;

    (void)state;
    assert_true(line && r && f);
    while (fgets(line, LINE, f)) {
        if (line[0] == '#')
            continue;
        assert_non_null(strchr(line, '\n'));
        read_line(line, r);
        wrong += run(r, &worst);
        runs++;
    }
    print_message("%d runs, the furthest %.2g away\n", runs, worst);
    assert_true(runs > 300);
    assert_int_equal(wrong, 0);
    fclose(f);
    free(r);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
