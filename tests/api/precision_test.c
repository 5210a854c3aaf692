/* SPDX-License-Identifier: MIT */
/* Precisions through the public interface, on the shipped model demo: bf16 stays near exact and is
 * one clear refusal where the build or the processor is without it; auto says what it took. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

#define EPS_BAR 2e-2 /* relative L2; about 5e-3 on AVX512_BF16 */

enum { SIDE = 16, VALUES = 3 * SIDE * SIDE };

static ldm_status open_with(const char *precision, const char *max_isa, ldm_model **m,
                            ldm_error *err)
{
    plain_options opt;

    plain_options_init(&opt);
    opt.model = "demo";
    opt.precision = precision;
    opt.max_isa = max_isa;
    err->msg[0] = '\0';
    return plain_model_open(&opt, m, err);
}

/* NULL, and the test is skipped with the reason told, where there is no bf16. */
static ldm_model *open_bf16(void)
{
    ldm_error err;
    ldm_model *m;
    ldm_status st = open_with("bf16", NULL, &m, &err);

    if (st == LDM_ERR_UNSUPPORTED) {
        print_message("skipped: %s\n", err.msg);
        skip();
    }
    if (st)
        fail_msg("%s", err.msg);
    return m;
}

/* About normal values, the same each time. */
static void fill(float *x, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        x[i] = (float)(1.4 * sin(1.0 + 12.9898 * (double)i * (1 + (double)(i % 7))));
}

static ldm_array eps_of(const ldm_model *m, const float *x, int n, double t, int threads)
{
    const ldm_array in = {.ndim = 4,
                          .shape = {(uint64_t)n, 3, SIDE, SIDE},
                          .numel = (uint64_t)n * VALUES,
                          .data = (float *)(uintptr_t)x};
    const plain_eval job = {.part = LDM_PART_UNET, .in = &in, .t = t, .threads = threads};
    ldm_array out;
    ldm_error err;

    if (plain_eval_run(m, &job, &out, &err))
        fail_msg("%s", err.msg);
    return out;
}

static double distance(const ldm_array *got, const ldm_array *want)
{
    const float *a = got->data, *b = want->data;
    double diff = 0, norm = 0;
    size_t i;

    for (i = 0; i < want->numel; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(diff / norm);
}

static void bf16_is_near_exact(void **state)
{
    static const double times[] = {981, 500, 100, 1};
    ldm_model *m = open_bf16(), *exact;
    float x[2 * VALUES];
    ldm_model_info info;
    ldm_error err;
    double worst = 0;
    size_t i;

    (void)state;
    assert_int_equal(open_with("exact", NULL, &exact, &err), LDM_OK);
    info = *ldm_model_get_info(m);
    assert_string_equal(info.precision, "bf16");
    fill(x, 2 * VALUES);
    for (i = 0; i < sizeof times / sizeof times[0]; i++) {
        ldm_array e = eps_of(exact, x, 2, times[i], 2), b = eps_of(m, x, 2, times[i], 2);
        ldm_array one = eps_of(m, x + VALUES, 1, times[i], 1);
        const double d = distance(&b, &e);

        print_message("t = %g: eps differs by %.2e\n", times[i], d);
        assert_true(d <= EPS_BAR);
        worst = d > worst ? d : worst;
        assert_memory_equal(one.data, b.data + VALUES, VALUES * sizeof *b.data);
        ldm_array_free(&e);
        ldm_array_free(&b);
        ldm_array_free(&one);
    }
    assert_true(worst > 0); /* or it was not bf16 */
    ldm_model_close(m);
    ldm_model_close(exact);
}

/* What the failure of the second of two pictures is called. */
static void message_of_nan(const ldm_model *m, char *text, size_t size)
{
    static float noise[2 * VALUES];
    const ldm_array x = {
        .ndim = 4, .shape = {2, 3, SIDE, SIDE}, .numel = 2 * VALUES, .data = noise};
    ldm_error err = {.msg = ""};
    ldm_result res;
    ldm_run *run;
    plain_job job;
    bool have;
    int i;

    fill(noise, 2 * VALUES);
    noise[VALUES + 40] = 3e38f;
    plain_job_init(&job);
    job.steps = 4;
    job.eta = 0;
    job.count = job.batch = 2;
    job.x_t = &x;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    for (i = 0; i < 2; i++) {
        assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
        assert_int_equal(res.status, i ? LDM_ERR_NUMERIC : LDM_OK);
    }
    assert_true(strlen(err.msg) < size);
    strcpy(text, err.msg);
    ldm_run_free(run);
}

static void bf16_is_smaller_and_names_where_nan_began(void **state)
{
    ldm_model *m = open_bf16(), *f32;
    char want[512], got[512];
    ldm_error err;

    (void)state;
    assert_int_equal(open_with("f32", NULL, &f32, &err), LDM_OK);
    assert_true(ldm_model_weight_bytes(m) < ldm_model_weight_bytes(f32));
    message_of_nan(f32, want, sizeof want);
    message_of_nan(m, got, sizeof got);
    assert_non_null(strstr(want, "step"));
    assert_string_equal(got, want);
    ldm_model_close(m);
    ldm_model_close(f32);
}

static void refused_and_auto(void **state)
{
    ldm_model_info info;
    ldm_model *m;
    ldm_error err;
    ldm_status st;

    (void)state;
    assert_int_equal(open_with("bf16", "avx2", &m, &err), LDM_ERR_UNSUPPORTED);
    assert_null(m);
    assert_true(strstr(err.msg, "make onednn") || strstr(err.msg, "LDM_MAX_ISA forbids"));
    assert_int_equal(open_with("auto", "avx2", &m, &err), LDM_OK);
    info = *ldm_model_get_info(m);
    assert_string_equal(info.precision, "f32");
    assert_true(ldm_model_note_count(m) >= 1);
    assert_non_null(strstr(ldm_model_note(m, 0), "precision auto takes f32: "));
    ldm_model_close(m);

    st = open_with("bf16", NULL, &m, &err);
    if (!st)
        ldm_model_close(m);
    assert_int_equal(open_with("auto", NULL, &m, &err), LDM_OK);
    info = *ldm_model_get_info(m);
    assert_string_equal(info.precision, st ? "f32" : "bf16");
    assert_non_null(strstr(ldm_model_note(m, 0),
                           st ? "precision auto takes f32: " : "precision auto takes bf16, by "));
    ldm_model_close(m);
    assert_int_equal(open_with("fp8", NULL, &m, &err), LDM_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_is_near_exact),
        cmocka_unit_test(bf16_is_smaller_and_names_where_nan_began),
        cmocka_unit_test(refused_and_auto),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
