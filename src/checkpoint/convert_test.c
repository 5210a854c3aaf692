/* SPDX-License-Identifier: MIT */
/* Tests of the conversions to f32: every half, every bfloat, rounding, strides, odd addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "checkpoint/convert.h"

/* IEEE 754 binary16 by its definition. */
static double half_value(unsigned h)
{
    int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
    double sign = h & 0x8000 ? -1 : 1;

    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static void every_half_is_exact(void **state)
{
    unsigned char *src = malloc(2 * 65536 + 1);
    float *dst = malloc(65536 * sizeof *dst);
    unsigned h;

    (void)state;
    for (h = 0; h < 65536; h++) {
        uint16_t v = (uint16_t)h;

        memcpy(src + 1 + 2 * h, &v, 2); /* at an odd address */
    }
    ldm_convert_f32(LDM_DTYPE_F16, src + 1, 1, 65536, dst);
    for (h = 0; h < 65536; h++) {
        double want = half_value(h);

        if (isnan(want))
            assert_true(isnan(dst[h]));
        else
            assert_true(dst[h] == want && !signbit(dst[h]) == !(h & 0x8000));
    }
    free(src);
    free(dst);
}

static void every_bfloat_is_the_upper_half(void **state)
{
    uint16_t *src = malloc(65536 * sizeof *src);
    float *dst = malloc(65536 * sizeof *dst);
    uint32_t i, bits;

    (void)state;
    for (i = 0; i < 65536; i++)
        src[i] = (uint16_t)i;
    ldm_convert_f32(LDM_DTYPE_BF16, (unsigned char *)src, 1, 65536, dst);
    for (i = 0; i < 65536; i++) {
        memcpy(&bits, &dst[i], 4);
        assert_int_equal(bits, i << 16);
    }
    free(src);
    free(dst);
}

static void wide_types_round_to_nearest_even(void **state)
{
    const int64_t longs[] = {16777217, 16777219, -16777217, INT64_MIN, 7};
    const double doubles[] = {1 + 0x1p-24, 1 + 3 * 0x1p-24, 1e300, -0x1p-150, 0.1};
    float f[5];

    (void)state;
    ldm_convert_f32(LDM_DTYPE_I64, (const unsigned char *)longs, 1, 5, f);
    assert_true(f[0] == 16777216 && f[1] == 16777220 && f[2] == -16777216 && f[3] == -0x1p63f &&
                f[4] == 7);
    ldm_convert_f32(LDM_DTYPE_F64, (const unsigned char *)doubles, 1, 5, f);
    assert_true(f[0] == 1 && f[1] == 1 + 0x1p-22f && isinf(f[2]) && f[3] == 0 && signbit(f[3]) &&
                f[4] == 0.1f);
}

static void small_types_and_strides(void **state)
{
    const unsigned char raw[] = {0, 255, 2, 128, 1, 7};
    float f[3];

    (void)state;
    ldm_convert_f32(LDM_DTYPE_U8, raw, 2, 3, f);
    assert_true(f[0] == 0 && f[1] == 2 && f[2] == 1);
    ldm_convert_f32(LDM_DTYPE_I8, raw + 1, 2, 3, f);
    assert_true(f[0] == -1 && f[1] == -128 && f[2] == 7);
    ldm_convert_f32(LDM_DTYPE_BOOL, raw, 1, 3, f);
    assert_true(f[0] == 0 && f[1] == 1 && f[2] == 1);
    ldm_convert_f32(LDM_DTYPE_I16, raw, 0, 2, f);
    assert_true(f[0] == -256 && f[1] == -256);
    ldm_convert_f32(LDM_DTYPE_I32, raw + 1, 1, 1, f);
    assert_true(f[0] == 25166592.0f); /* the nearest to 25166591 */
}

static void f32_bits_pass_unchanged(void **state)
{
    const uint32_t bits[] = {0x7f800001, 0xffc12345, 0x80000000, 1};
    uint32_t back[4];
    float f[4];

    (void)state;
    ldm_convert_f32(LDM_DTYPE_F32, (const unsigned char *)bits, 1, 4, f);
    memcpy(back, f, sizeof back);
    assert_memory_equal(back, bits, sizeof back);
    ldm_convert_f32(LDM_DTYPE_F32, (const unsigned char *)bits, 3, 2, f);
    memcpy(back, f, 8);
    assert_int_equal(back[0], bits[0]);
    assert_int_equal(back[1], bits[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_exact),
        cmocka_unit_test(every_bfloat_is_the_upper_half),
        cmocka_unit_test(wide_types_round_to_nearest_even),
        cmocka_unit_test(small_types_and_strides),
        cmocka_unit_test(f32_bits_pass_unchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
