/* Tests of the noise schedules against every stored array of CompVis' own code. */
#include "sample/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "golden_npy.h"

enum { T = 1000 };

/* The parameters of the reference schedules, by file name. */
static const struct named_schedule {
    const char *name;
    ldm_beta_schedule kind;
    double start, end;
} schedules[] = {
    {"linear_default", LDM_BETA_LINEAR, 1e-4, 2e-2},
    {"linear_sd", LDM_BETA_LINEAR, 0.00085, 0.012},
    {"linear", LDM_BETA_LINEAR, 0.0015, 0.0195},
    {"cosine", LDM_BETA_COSINE, 1e-4, 2e-2},
    {"sqrt_linear", LDM_BETA_SQRT_LINEAR, 1e-4, 2e-2},
    {"sqrt", LDM_BETA_SQRT, 1e-4, 2e-2},
};

static void make_alphas(size_t which, double *betas, float *alphas)
{
    ldm_betas(schedules[which].kind, T, schedules[which].start, schedules[which].end, 8e-3, betas);
    ldm_alphas_cumprod(betas, T, NULL, alphas);
}

static void test_names(void **state)
{
    ldm_beta_schedule b;
    ldm_error err = {0};

    (void)state;
    assert_int_equal(ldm_beta_schedule_parse("linnear", &b, &err), LDM_ERR_CONFIG);
    assert_int_equal(ldm_beta_schedule_parse("cosine", &b, &err), LDM_OK);
    assert_string_equal(ldm_beta_schedule_name(b), "cosine");
}

static void assert_close(double got, double want, double rel, const char *what, size_t i)
{
    if (!(fabs(got - want) <= rel * fabs(want)))
        fail_msg("%s, value %zu: %.17g, expected %.17g", what, i, got, want);
}

static void test_golden_betas(void **state)
{
    const char *folder = golden_schedules("betas, alphas_cumprod");
    double betas[T], *want;
    float alphas[T];
    char name[128];
    size_t k, i, n;

    (void)state;
    if (!folder)
        skip();
    for (k = 0; k < sizeof schedules / sizeof *schedules; k++) {
        make_alphas(k, betas, alphas);
        snprintf(name, sizeof name, "betas64_%s.npy", schedules[k].name);
        want = golden_read(folder, name, &n);
        assert_int_equal(n, T);
        for (i = 0; i < T; i++)
            assert_close(betas[i], want[i], 1e-12, name, i);
        ldm_free(want);
        snprintf(name, sizeof name, "betas_%s.npy", schedules[k].name);
        want = golden_read(folder, name, &n);
        for (i = 0; i < T; i++)
            assert_true((double)(float)betas[i] == want[i]);
        ldm_free(want);
        snprintf(name, sizeof name, "alphas_cumprod_%s.npy", schedules[k].name);
        want = golden_read(folder, name, &n);
        for (i = 0; i < T; i++)
            assert_true((double)alphas[i] == want[i]);
        ldm_free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_golden_betas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
