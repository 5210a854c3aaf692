/* SPDX-License-Identifier: MIT */
/* Measures of a sweep against their definitions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "cli/sweep/sweep.h"

enum { W = 7, H = 5, MOST = 9 };

static uint8_t pixels[MOST][H * W * 3];
static ldm_image pictures[MOST];

static void draw(uint32_t seed)
{
    for (int i = 0; i < MOST; i++) {
        for (size_t k = 0; k < sizeof pixels[i]; k++) {
            seed = seed * 1664525u + 1013904223u;
            pixels[i][k] = (uint8_t)(seed >> 24);
        }
        pictures[i] = (ldm_image){W, H, 3, pixels[i]};
    }
}

/* Over all pairs, as it is defined. */
static double variety_by_pairs(int n)
{
    double sum = 0;
    int pairs = 0;

    for (int a = 0; a < n; a++) {
        for (int b = a + 1; b < n; b++, pairs++) {
            for (size_t k = 0; k < sizeof pixels[a]; k++) {
                const double d = (pixels[a][k] - pixels[b][k]) / 255.0;

                sum += d * d;
            }
        }
    }
    return sqrt(sum / pairs / sizeof pixels[0]);
}

static void test_variety(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 6; seed++) {
        draw(seed);
        for (int n = 2; n <= MOST; n++)
            assert_true(fabs(ldm_sweep_variety(pictures, n) - variety_by_pairs(n)) < 1e-12);
    }
    memcpy(pixels[1], pixels[0], sizeof pixels[0]);
    assert_true(ldm_sweep_variety(pictures, 2) < 1e-9);
    memset(pixels[0], 0, sizeof pixels[0]);
    memset(pixels[1], 255, sizeof pixels[1]);
    assert_true(fabs(ldm_sweep_variety(pictures, 2) - 1) < 1e-12);
    assert_true(isnan(ldm_sweep_variety(pictures, 1)));
    assert_true(isnan(ldm_sweep_variety(pictures, 0)));
}

static void test_saturation(void **state)
{
    /* black, grey, white, full red, half of it, (200, 100, 50): 0.75 */
    uint8_t p[] = {0, 0, 0, 90, 90, 90, 255, 255, 255, 255, 0, 0, 128, 0, 0, 200, 100, 50};

    (void)state;
    for (int i = 0; i < 6; i++) {
        static const double want[] = {0, 0, 0, 1, 1, 0.75};

        assert_true(fabs(ldm_sweep_saturation(&(ldm_image){1, 1, 3, p + 3 * i}) - want[i]) < 1e-12);
    }
    assert_true(fabs(ldm_sweep_saturation(&(ldm_image){3, 2, 3, p}) - 2.75 / 6) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_variety),
                                       cmocka_unit_test(test_saturation)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
