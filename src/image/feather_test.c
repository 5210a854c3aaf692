/* SPDX-License-Identifier: MIT */
/* Feathered masks against distances computed one by one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/feather.h"

enum { W = 23, H = 17 };

static float by_hand(const uint8_t *paint, int x, int y, unsigned blur)
{
    const double most = blur + 1.0;
    double best = most;
    int i, j;

    for (j = 0; j < H; j++) {
        for (i = 0; i < W; i++) {
            if (!paint[j * W + i])
                best = fmin(best, hypot(i - x, j - y));
        }
    }
    return (float)(best / most);
}

static void distances(void **state)
{
    static const unsigned blurs[] = {0, 1, 4, 40};
    float weights[W * H];
    uint8_t paint[W * H];
    ldm_pixels p = {W, H, 1, paint};
    uint32_t seed = 7;
    size_t b, i;
    int density;

    (void)state;
    for (density = 0; density < 4; density++) {
        for (i = 0; i < W * H; i++) {
            seed = seed * 1664525u + 1013904223u;
            paint[i] = density == 0 || (seed >> 24) >= (density == 1 ? 1u : 90u * (unsigned)density)
                           ? 255
                           : 0;
        }
        for (b = 0; b < 4; b++) {
            assert_int_equal(ldm_feather(&p, blurs[b], weights, NULL), LDM_OK);
            for (i = 0; i < W * H; i++)
                assert_true(fabsf(weights[i] -
                                  by_hand(paint, (int)(i % W), (int)(i / W), blurs[b])) < 1e-6f);
        }
    }
}

static void blending(void **state)
{
    const uint8_t from[] = {10, 20, 30, 10, 20, 30, 0, 255, 128};
    const float weights[] = {0, 1, 0.5f};
    uint8_t to[] = {200, 100, 50, 200, 100, 50, 255, 0, 129};
    const uint8_t want[] = {10, 20, 30, 200, 100, 50, 128, 128, 129};

    (void)state;
    ldm_feather_blend(from, weights, 3, to);
    assert_memory_equal(to, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(distances), cmocka_unit_test(blending)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
