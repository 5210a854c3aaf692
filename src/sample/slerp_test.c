/* SPDX-License-Identifier: MIT */
/* Spherical interpolation: its ends, its length, its angle. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sample/rng.h"
#include "sample/slerp.h"

enum { N = 3000 };

static double dot(const float *a, const float *b)
{
    double sum = 0;
    int i;

    for (i = 0; i < N; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static double angle(const float *a, const float *b)
{
    return acos(dot(a, b) / sqrt(dot(a, a) * dot(b, b)));
}

static void on_the_arc(void **state)
{
    static float a[N], b[N], c[N];
    ldm_rng rng;
    double whole, scale;
    int k;

    (void)state;
    ldm_rng_seed(&rng, 1);
    ldm_rng_randn(&rng, a, N);
    ldm_rng_randn(&rng, b, N);
    ldm_slerp(a, b, 0, N, c);
    assert_memory_equal(a, c, sizeof a);
    ldm_slerp(a, b, 1, N, c);
    assert_memory_equal(b, c, sizeof b);
    scale = sqrt(dot(a, a) / dot(b, b)); /* of one length, equal parts are equal angles */
    for (k = 0; k < N; k++)
        b[k] *= (float)scale;
    whole = angle(a, b);
    for (k = 1; k < 8; k++) {
        ldm_slerp(a, b, k / 8.0, N, c);
        assert_true(fabs(angle(a, c) - whole * k / 8) < 1e-3 * whole);
    }
    memcpy(b, a, sizeof a);
    ldm_slerp(a, b, 0.3, N, c);
    for (k = 0; k < N; k++)
        assert_true(fabsf(c[k] - a[k]) < 1e-6f * fabsf(a[k]) + 1e-12f);
    memset(b, 0, sizeof b);
    ldm_slerp(a, b, 0.25, N, c);
    for (k = 0; k < N; k++)
        assert_true(fabsf(c[k] - 0.75f * a[k]) <= 1e-6f * fabsf(a[k]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_the_arc)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
