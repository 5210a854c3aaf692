/* SPDX-License-Identifier: MIT */
/* Tests of the metrics on pictures whose figures follow from the formulas by hand. */
#include "image/apart.h"
#include "image/picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static ldm_picture solid(uint32_t width, uint32_t height, int r, int g, int b)
{
    ldm_picture p;
    size_t i;

    assert_int_equal(ldm_picture_create(width, height, &p, NULL), LDM_OK);
    for (i = 0; i < (size_t)width * height; i++) {
        p.rgb[3 * i] = (uint8_t)r;
        p.rgb[3 * i + 1] = (uint8_t)g;
        p.rgb[3 * i + 2] = (uint8_t)b;
    }
    return p;
}

static void near(double got, double want)
{
    if (!(fabs(got - want) < 1e-9))
        fail_msg("%.12g, expected %.12g", got, want);
}

static void test_constant(void **state)
{
    static const int colours[][3] = {{0, 0, 0}, {255, 255, 255}, {128, 128, 128}, {200, 120, 40}};
    ldm_metrics m;
    ldm_picture p;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        const int *c = colours[i];

        p = solid(5, 4, c[0], c[1], c[2]);
        ldm_metrics_compute(&p, &m);
        near(m.brightness, (0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]) / 255);
        assert_true(m.contrast >= 0 && m.contrast < 1e-12);
        near(m.mean_r, c[0] / 255.0);
        near(m.mean_g, c[1] / 255.0);
        near(m.mean_b, c[2] / 255.0);
        assert_int_equal(m.skin_like, i == 3);
        near(m.colour_coherence, 1);
        assert_string_equal(m.colour_grade, "excellent");
        ldm_picture_free(&p);
    }
    p = solid(1, 1, 3, 2, 1);
    ldm_metrics_compute(&p, &m);
    near(m.colour_coherence, 1);
    ldm_picture_free(&p);
}

static void test_contrast(void **state)
{
    ldm_picture p = solid(2, 1, 0, 0, 0);
    ldm_metrics m;

    (void)state;
    memset(p.rgb, 60, 3);
    memset(p.rgb + 3, 180, 3); /* mean 120, deviation 60 */
    ldm_metrics_compute(&p, &m);
    near(m.brightness, 120 / 255.0);
    near(m.contrast, 0.5);
    near(m.colour_coherence, 1); /* grey: no colour that varies */
    ldm_picture_free(&p);
}

/* A red ramp along x: neighbours correlate perfectly in both directions and both channels. */
static void test_coherent(void **state)
{
    ldm_picture p = solid(16, 8, 0, 60, 60);
    ldm_metrics m;
    size_t i;

    (void)state;
    for (i = 0; i < 16 * 8; i++)
        p.rgb[3 * i] = (uint8_t)(i % 16 * 10);
    ldm_metrics_compute(&p, &m);
    near(m.colour_coherence, 1);
    ldm_picture_free(&p);
}

/* Columns of alternating colour: -1 along x, +1 along y; averaged 0. */
static void test_incoherent(void **state)
{
    ldm_picture p = solid(16, 8, 200, 0, 0);
    ldm_metrics m;
    size_t i;

    (void)state;
    for (i = 0; i < 16 * 8; i++)
        if (i % 2)
            memcpy(p.rgb + 3 * i, "\0\0\310", 3);
    ldm_metrics_compute(&p, &m);
    near(m.colour_coherence, 0);
    assert_string_equal(m.colour_grade, "poor");
    ldm_picture_free(&p);
    /* Two columns, each of one colour: no variance on either side of the horizontal pairs, and the
     * sides differ, which counts 0; the vertical pairs agree. */
    p = solid(2, 4, 200, 0, 0);
    for (i = 1; i < 8; i += 2)
        p.rgb[3 * i] = 0;
    ldm_metrics_compute(&p, &m);
    near(m.colour_coherence, 0.5);
    ldm_picture_free(&p);
}

/* The example of the study: contrast 0.421, brightness 0.487, R > G > B. */
static void test_verdict(void **state)
{
    ldm_metrics m = {.brightness = 0.487,
                     .contrast = 0.421,
                     .mean_r = 0.512,
                     .mean_g = 0.423,
                     .mean_b = 0.389,
                     .skin_like = true,
                     .colour_coherence = 0.97};

    (void)state;
    assert_string_equal(ldm_metrics_verdict(&m), "VERY LIKELY A GOOD FACE IMAGE!");
    m.brightness = 0.7;
    assert_string_equal(ldm_metrics_verdict(&m), "LIKELY A GOOD FACE IMAGE");
    m.contrast = 0.15;
    assert_string_equal(ldm_metrics_verdict(&m), "POSSIBLY A FACE IMAGE");
    m.colour_coherence = 0.2;
    assert_string_equal(ldm_metrics_verdict(&m), "UNLIKELY TO BE A GOOD FACE IMAGE");
    m.skin_like = false;
    assert_string_equal(ldm_metrics_verdict(&m), "UNLIKELY TO BE A GOOD FACE IMAGE");
}

/* Two pixels of grey in rows of three bytes, beside the first two channels of RGBA. */
static void test_difference(void **state)
{
    static const uint8_t a[] = {10, 20, 99, 30, 40, 99}, b[] = {10, 20, 99, 30, 37, 0};
    static const uint8_t rgba[] = {10, 20, 5, 5, 34, 40, 5, 5};
    const ldm_bytes_at grey = {a, 3, 1}, pairs = {a, 3, 3};
    ldm_difference d = ldm_difference_of(grey, (ldm_bytes_at){b, 3, 1}, 2, 2, 1);

    (void)state;
    near(d.mse, 9.0 / 4);
    near(d.mean_absolute, 3.0 / 4);
    near(d.psnr, 10 * log10(255.0 * 255.0 * 4 / 9));
    assert_int_equal(d.largest, 3);
    d = ldm_difference_of(pairs, (ldm_bytes_at){rgba, 4, 4}, 1, 2, 2);
    near(d.mse, 4);
    assert_int_equal(d.largest, 4);
    d = ldm_difference_of(grey, grey, 2, 2, 1);
    assert_true(d.largest == 0 && d.mse == 0 && isinf(d.psnr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant), cmocka_unit_test(test_contrast),
        cmocka_unit_test(test_coherent), cmocka_unit_test(test_incoherent),
        cmocka_unit_test(test_verdict),  cmocka_unit_test(test_difference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
