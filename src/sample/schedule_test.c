/* SPDX-License-Identifier: MIT */
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

enum { T = GOLDEN_TIMESTEPS };

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
    for (k = 0; k < GOLDEN_SCHEDULES; k++) {
        golden_schedule_compute(&golden_schedule_list[k], betas, alphas);
        snprintf(name, sizeof name, "betas64_%s.npy", golden_schedule_list[k].name);
        want = golden_read(folder, name, &n);
        assert_int_equal(n, T);
        for (i = 0; i < T; i++)
            assert_close(betas[i], want[i], 1e-12, name, i);
        ldm_free(want);
        snprintf(name, sizeof name, "betas_%s.npy", golden_schedule_list[k].name);
        want = golden_read(folder, name, &n);
        for (i = 0; i < T; i++)
            assert_true((double)(float)betas[i] == want[i]);
        ldm_free(want);
        snprintf(name, sizeof name, "alphas_cumprod_%s.npy", golden_schedule_list[k].name);
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
