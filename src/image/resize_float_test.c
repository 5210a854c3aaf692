/* SPDX-License-Identifier: MIT */
/* Tests of resizing to floats: the results of torch-fidelity, PyTorch and Pillow (written by
 * tests/data/inception/make_reference.py), and what holds for any of them. */
#include "image/resize_float.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../tests/support/made_picture.h"
#include "base/alloc.h"
#include "image/npy.h"

static ldm_picture made(int number, uint32_t width, uint32_t height)
{
    ldm_picture p;

    assert_int_equal(ldm_picture_create(width, height, &p, NULL), LDM_OK);
    made_picture(number, (int)width, (int)height, p.rgb);
    return p;
}

/* 23 x 17 pixels to 31 x 29 and to 11 x 9. */
static void test_originals(void **state)
{
    static const uint32_t sizes[2][2] = {{31, 29}, {11, 9}};
    ldm_picture p = made(5, 23, 17);
    float out[31 * 29 * 3];
    ldm_npy want;
    int how, k;
    size_t i;

    (void)state;
    assert_int_equal(ldm_npy_read("tests/data/inception/resize.npy", &want, NULL), LDM_OK);
    for (how = 0; how < 3; how++) {
        for (k = 0; k < 2; k++) {
            const size_t n = (size_t)sizes[k][0] * sizes[k][1] * 3;
            const float *expected = want.data + (size_t)(how * 2 + k) * want.shape[2];

            assert_int_equal(ldm_resize_to_floats(&p, (ldm_float_resize)how, sizes[k][0],
                                                  sizes[k][1], out, NULL),
                             LDM_OK);
            for (i = 0; i < n; i++) {
                if (!(fabsf(out[i] - expected[i]) <= 1e-4f))
                    fail_msg("how %d, size %d, value %zu: %.7g, expected %.7g", how, k, i,
                             (double)out[i], (double)expected[i]);
            }
        }
    }
    ldm_npy_free(&want);
    ldm_picture_free(&p);
}

/* The same size changes nothing, one pixel fills everything, and nothing leaves 0..255. */
static void test_properties(void **state)
{
    ldm_picture p = made(1, 19, 13), one = made(2, 1, 1);
    float *out = ldm_reallocarray(NULL, 64 * 64 * 3, sizeof *out);
    int how;
    size_t i;

    (void)state;
    assert_non_null(out);
    for (how = 0; how < 3; how++) {
        const ldm_float_resize h = (ldm_float_resize)how;

        assert_int_equal(ldm_resize_to_floats(&p, h, 19, 13, out, NULL), LDM_OK);
        for (i = 0; i < 19 * 13 * 3; i++)
            assert_true(fabsf(out[i] - p.rgb[i]) <= 1e-5f);
        assert_int_equal(ldm_resize_to_floats(&one, h, 64, 64, out, NULL), LDM_OK);
        for (i = 0; i < 64 * 64 * 3; i++)
            assert_true(fabsf(out[i] - one.rgb[i % 3]) <= 1e-4f);
        assert_int_equal(ldm_resize_to_floats(&p, h, 64, 7, out, NULL), LDM_OK);
        for (i = 0; i < 64 * 7 * 3; i++)
            assert_true(out[i] >= 0 && out[i] <= 255);
        assert_int_equal(ldm_resize_to_floats(&p, h, 0, 7, out, NULL), LDM_ERR_RANGE);
    }
    ldm_free(out);
    ldm_picture_free(&p);
    ldm_picture_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_originals),
        cmocka_unit_test(test_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
