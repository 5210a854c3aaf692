/* SPDX-License-Identifier: MIT */
/* Holes are filled from their edges; the same by a plain search, ring after ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/fill.h"

enum { W = 19, H = 13, N = W * H };

/* One ring; false: nothing is left to fill, or nothing to fill it from. */
static bool ring_by_hand(uint8_t *hole, uint8_t *rgb)
{
    uint8_t before[N];
    bool any = false;
    int x, y, i, j, c;

    memcpy(before, hole, N);
    for (y = 0; y < H; y++) {
        for (x = 0; x < W; x++) {
            int sum[3] = {0}, n = 0;

            for (j = y - 1; before[y * W + x] && j <= y + 1; j++) {
                for (i = x - 1; i <= x + 1; i++) {
                    if (i < 0 || j < 0 || i >= W || j >= H || before[j * W + i])
                        continue;
                    n++;
                    for (c = 0; c < 3; c++)
                        sum[c] += rgb[3 * (j * W + i) + c];
                }
            }
            for (c = 0; n && c < 3; c++)
                rgb[3 * (y * W + x) + c] = (uint8_t)((sum[c] + n / 2) / n);
            hole[y * W + x] = n ? 0 : hole[y * W + x];
            any |= n != 0;
        }
    }
    return any;
}

static void rings(void **state)
{
    uint8_t hole[N], got[3 * N], want[3 * N];
    ldm_pixels h = {W, H, 1, hole}, p = {W, H, 3, got};
    uint32_t seed = 3;
    int k, i;

    (void)state;
    for (k = 0; k < 4; k++) {
        for (i = 0; i < N; i++) {
            const int x = i % W, y = i / W;

            seed = seed * 1664525u + 1013904223u;
            hole[i] = k == 0   ? (x > 3 && x < 15 && y > 2 && y < 11)
                      : k == 1 ? i != 5 * W + 7
                      : k == 2 ? x < 9
                               : seed >> 31 || y > 4;
            memcpy(got + 3 * i, &seed, 3);
        }
        memcpy(want, got, sizeof want);
        assert_int_equal(ldm_fill_hole(&h, &p, NULL), LDM_OK);
        while (ring_by_hand(hole, want))
            ;
        assert_memory_equal(got, want, sizeof want);
    }
}

static void nothing_around(void **state)
{
    uint8_t hole[4] = {1, 1, 1, 1}, grey[4] = {0, 1, 2, 3}, none[4] = {0};
    ldm_pixels h = {2, 2, 1, hole}, p = {2, 2, 1, grey};

    (void)state;
    assert_int_equal(ldm_fill_hole(&h, &p, NULL), LDM_OK);
    assert_memory_equal(grey, "\x80\x80\x80\x80", 4);
    h.data = none;
    memcpy(grey, "\1\2\3\4", 4);
    assert_int_equal(ldm_fill_hole(&h, &p, NULL), LDM_OK);
    assert_memory_equal(grey, "\1\2\3\4", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rings), cmocka_unit_test(nothing_around)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
