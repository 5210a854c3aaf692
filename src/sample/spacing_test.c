/* SPDX-License-Identifier: MIT */
/* Tests of the timesteps of a run: hand-worked ones, and what holds for every number of steps. */
#include "sample/spacing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"

enum { T = 1000 };

static void check_steps(ldm_spacing s, int steps, int count, int dropped, int first, int second,
                        int last)
{
    ldm_timesteps d;
    ldm_error err = {0};
    int i;

    if (ldm_timesteps_create(s, T, steps, &d, &err))
        fail_msg("%s %d: %s", ldm_spacing_name(s), steps, err.msg);
    assert_int_equal(d.count, count);
    assert_int_equal(d.dropped, dropped);
    assert_int_equal(d.t[0], first);
    if (count > 1)
        assert_int_equal(d.t[1], second);
    assert_int_equal(d.t[count - 1], last);
    for (i = 1; i < count; i++)
        assert_true(d.t[i] > d.t[i - 1] || (s == LDM_SPACING_QUAD && d.t[i] == d.t[i - 1]));
    ldm_timesteps_free(&d);
}

static void test_compvis_timesteps(void **state)
{
    (void)state;
    check_steps(LDM_SPACING_COMPVIS, 50, 50, 0, 1, 21, 981);
    check_steps(LDM_SPACING_COMPVIS, 150, 167, 0, 1, 7, 997);
    check_steps(LDM_SPACING_COMPVIS, 7, 8, 0, 1, 143, 995);
    check_steps(LDM_SPACING_COMPVIS, 1, 1, 0, 1, 0, 1);
    /* The original raises IndexError at these: the timestep 1000 is left out. */
    check_steps(LDM_SPACING_COMPVIS, 37, 37, 1, 1, 28, 973);
    check_steps(LDM_SPACING_COMPVIS, 3, 3, 1, 1, 334, 667);
    check_steps(LDM_SPACING_COMPVIS, 1000, 999, 1, 1, 2, 999);
    check_steps(LDM_SPACING_QUAD, 50, 50, 0, 1, 1, 801);
    check_steps(LDM_SPACING_QUAD, 10, 10, 0, 1, 10, 801);
}

/* The steps for which the original raises, from running it on all 1000 of them. */
static void test_compvis_dropped(void **state)
{
    ldm_timesteps d;
    int s;

    (void)state;
    for (s = 1; s <= T; s++) {
        const int raises = s == 3 || s == 9 || s == 27 || s == 36 || s == 37 ||
                           (s >= 101 && s <= 111) || (s >= 251 && s <= 333) || s >= 501;

        assert_int_equal(ldm_timesteps_create(LDM_SPACING_COMPVIS, T, s, &d, NULL), LDM_OK);
        assert_int_equal(d.dropped, raises);
        assert_true(d.t[d.count - 1] < T);
        ldm_timesteps_free(&d);
    }
}

/* Table 2 of "Common diffusion noise schedules and sample steps are flawed", T = 1000, S = 10, one
 * less than there because it counts from 1. */
static void test_paper_timesteps(void **state)
{
    static const int leading[] = {0, 100, 200, 300, 400, 500, 600, 700, 800, 900};
    static const int linspace[] = {0, 111, 222, 333, 444, 555, 666, 777, 888, 999};
    static const int trailing[] = {99, 199, 299, 399, 499, 599, 699, 799, 899, 999};
    static const int *const want[] = {leading, trailing, linspace};
    ldm_timesteps d;
    int s, i;

    (void)state;
    for (s = 0; s < 3; s++) {
        assert_int_equal(
            ldm_timesteps_create((ldm_spacing)(LDM_SPACING_LEADING + s), T, 10, &d, NULL), LDM_OK);
        assert_int_equal(d.count, 10);
        for (i = 0; i < 10; i++)
            assert_int_equal(d.t[i], want[s][i]);
        ldm_timesteps_free(&d);
    }
    check_steps(LDM_SPACING_LEADING, 150, 150, 0, 0, 6, 894);
    check_steps(LDM_SPACING_TRAILING, 150, 150, 0, 6, 12, 999);
    check_steps(LDM_SPACING_LINSPACE, 1, 1, 0, 0, 0, 0);
    check_steps(LDM_SPACING_TRAILING, 1, 1, 0, 999, 0, 999);
    check_steps(LDM_SPACING_TRAILING, 16, 16, 0, 61, 124, 999); /* 62.5 rounds to 62 */
}

/* Exactly as many as asked for, all different and in range, whatever the number. */
static void test_paper_counts(void **state)
{
    int s, spacing, i;

    (void)state;
    for (spacing = LDM_SPACING_LEADING; spacing <= LDM_SPACING_LINSPACE; spacing++)
        for (s = 1; s <= T; s++) {
            ldm_timesteps d;

            assert_int_equal(ldm_timesteps_create((ldm_spacing)spacing, T, s, &d, NULL), LDM_OK);
            assert_true(d.count == s && d.dropped == 0);
            assert_true(d.t[0] >= 0 && d.t[s - 1] < T);
            for (i = 1; i < s; i++)
                assert_true(d.t[i] > d.t[i - 1]);
            ldm_timesteps_free(&d);
        }
}

static void test_wrong_requests(void **state)
{
    ldm_timesteps d;
    ldm_error err = {0};
    ldm_spacing s;

    (void)state;
    assert_int_equal(ldm_timesteps_create(LDM_SPACING_COMPVIS, T, 0, &d, &err), LDM_ERR_USAGE);
    assert_int_equal(ldm_timesteps_create(LDM_SPACING_COMPVIS, T, 1001, &d, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "1 to 1000"));
    assert_int_equal(ldm_timesteps_create((ldm_spacing)99, T, 10, &d, &err), LDM_ERR_USAGE);
    /* A model of one timestep: CompVis' + 1 leaves nothing. */
    assert_int_equal(ldm_timesteps_create(LDM_SPACING_COMPVIS, 1, 1, &d, &err), LDM_ERR_CONFIG);
    ldm_timesteps_free(&d);
    assert_int_equal(ldm_spacing_parse("uniform?", &s, &err), LDM_ERR_USAGE);
    assert_int_equal(ldm_spacing_parse("trailing", &s, &err), LDM_OK);
    assert_string_equal(ldm_spacing_name(s), "trailing");
}

static void test_out_of_memory(void **state)
{
    ldm_timesteps d;

    (void)state;
    ldm_alloc_fail_at(1);
    assert_int_equal(ldm_timesteps_create(LDM_SPACING_QUAD, T, 10, &d, NULL), LDM_ERR_NOMEM);
    ldm_alloc_fail_at(0);
    ldm_timesteps_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compvis_timesteps), cmocka_unit_test(test_compvis_dropped),
        cmocka_unit_test(test_paper_timesteps),   cmocka_unit_test(test_paper_counts),
        cmocka_unit_test(test_wrong_requests),    cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
