/* SPDX-License-Identifier: MIT */
/* Tests of resizing: Pillow's own results (tests/data/pictures), what must hold for any filter, and
 * the geometry of fitting. */
#include "image/resize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

static const ldm_resize_how bicubic = {LDM_RESAMPLE_BICUBIC, LDM_RESIZE_ROWS_FIRST};

static ldm_pixels make(uint32_t width, uint32_t height, unsigned channels, int value)
{
    ldm_pixels p;

    assert_int_equal(ldm_pixels_create(width, height, channels, &p, NULL), LDM_OK);
    memset(p.data, value, (size_t)width * height * channels);
    return p;
}

/* The channels of source.png that a line of the list is about. */
static ldm_pixels source(unsigned channels)
{
    ldm_pixels all, p;
    size_t i, c;

    assert_int_equal(ldm_pixels_read("tests/data/pictures/source.png", 0, 0, &all, NULL), LDM_OK);
    assert_int_equal(all.channels, 4);
    p = make(all.width, all.height, channels, 0);
    for (i = 0; i < (size_t)p.width * p.height; i++)
        for (c = 0; c < channels; c++)
            p.data[i * channels + c] = all.data[4 * i + (channels == 2 && c == 1 ? 3 : c)];
    ldm_pixels_free(&all);
    return p;
}

/* What a line of resize_N.txt asks for. */
static ldm_pixels result_of(const char *line, ldm_resize_order order)
{
    unsigned channels, filter, width, height;
    ldm_resize_how how = {LDM_RESAMPLE_NEAREST, order};
    ldm_error err = {0};
    ldm_resize_box box;
    ldm_pixels in, out;
    char mode[8];

    if (sscanf(line, "%u %7[fitpad] %u %u %u", &channels, mode, &filter, &width, &height) == 5) {
        in = source(channels);
        how.filter = (ldm_resample)filter;
        if (ldm_pixels_fit(&in, width, height, *mode == 'f' ? LDM_FIT_CROP : LDM_FIT_PAD, how, &out,
                           &err))
            fail_msg("%s", err.msg);
    } else {
        assert_int_equal(sscanf(line, "%u %u %f %f %f %f %u %u", &channels, &filter, &box.left,
                                &box.top, &box.right, &box.bottom, &width, &height),
                         8);
        in = source(channels);
        how.filter = (ldm_resample)filter;
        if (ldm_resize(&in, &box, how, width, height, &out, &err))
            fail_msg("%s", err.msg);
    }
    ldm_pixels_free(&in);
    assert_true(out.width == width && out.height == height && out.channels == channels);
    return out;
}

static void compare_with(const char *name, ldm_resize_order order, unsigned at_least)
{
    char path[128], line[128], *samples;
    unsigned lines = 0;
    size_t size, at = 0, bytes;
    ldm_pixels out;
    FILE *list;

    snprintf(path, sizeof path, "tests/data/pictures/%s.bin", name);
    assert_int_equal(ldm_file_read(path, 1 << 20, &samples, &size, NULL), LDM_OK);
    snprintf(path, sizeof path, "tests/data/pictures/%s.txt", name);
    list = fopen(path, "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        out = result_of(line, order);
        bytes = (size_t)out.width * out.height * out.channels;
        assert_true(bytes <= size - at);
        if (memcmp(out.data, samples + at, bytes) != 0)
            fail_msg("%s: other samples than Pillow's", line);
        at += bytes;
        lines++;
        ldm_pixels_free(&out);
    }
    fclose(list);
    ldm_free(samples);
    assert_int_equal(at, size);
    assert_true(lines >= at_least);
}

static void test_pillow_12(void **state)
{
    (void)state;
    compare_with("resize_12", LDM_RESIZE_ROWS_FIRST, 40);
}

/* Where the height shrinks more than the width; in most of the cases Pillow 13 begins with columns.
 */
static void test_pillow_13(void **state)
{
    (void)state;
    compare_with("resize_13", LDM_RESIZE_PILLOW_13, 10);
}

static void test_properties(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {5, 40}, {64, 2}, {9, 7}, {9, 30}, {3, 7}};
    const ldm_resize_box part = {1, 2, 4, 7};
    ldm_pixels p, q;
    unsigned channels;
    size_t i, n;
    int f;

    (void)state;
    for (channels = 1; channels <= 4; channels++)
        for (f = LDM_RESAMPLE_NEAREST; f <= LDM_RESAMPLE_LANCZOS; f++)
            for (i = 0; i < sizeof sizes / sizeof *sizes; i++) { /* a constant stays; opaque */
                p = make(9, 7, channels, 255);
                assert_int_equal(ldm_resize(&p, NULL,
                                            (ldm_resize_how){(ldm_resample)f, LDM_RESIZE_PILLOW_13},
                                            sizes[i][0], sizes[i][1], &q, NULL),
                                 LDM_OK);
                assert_true(q.width == sizes[i][0] && q.height == sizes[i][1]);
                for (n = 0; n < (size_t)q.width * q.height * channels; n++)
                    assert_int_equal(q.data[n], 255);
                ldm_pixels_free(&p);
                ldm_pixels_free(&q);
            }
    /* The same size is a copy, also where alpha would not survive being multiplied and divided. */
    p = source(4);
    p.data[3] = 1;
    assert_int_equal(ldm_resize(&p, NULL, bicubic, p.width, p.height, &q, NULL), LDM_OK);
    assert_memory_equal(p.data, q.data, (size_t)p.width * p.height * 4);
    ldm_pixels_free(&q);
    ldm_pixels_free(&p);
    /* A box of whole pixels and the target's size is cut out as it is. */
    p = source(3);
    assert_int_equal(ldm_resize(&p, &part, bicubic, 3, 5, &q, NULL), LDM_OK);
    for (n = 0; n < 5; n++)
        assert_memory_equal(q.data + n * 9, p.data + ((n + 2) * p.width + 1) * 3, 9);
    ldm_pixels_free(&q);
    ldm_pixels_free(&p);
}

/* Seven from two: the middle of the fourth lies on the border, and PIL's running sum just before
 * it. */
static void test_nearest_sum(void **state)
{
    ldm_pixels p = make(2, 1, 1, 10), q;

    (void)state;
    p.data[1] = 20;
    assert_int_equal(ldm_resize(&p, NULL,
                                (ldm_resize_how){LDM_RESAMPLE_NEAREST, LDM_RESIZE_ROWS_FIRST}, 7, 1,
                                &q, NULL),
                     LDM_OK);
    assert_memory_equal(q.data, "\x0a\x0a\x0a\x0a\x14\x14\x14", 7);
    ldm_pixels_free(&p);
    ldm_pixels_free(&q);
}

/* What is transparent has no say in the colours: a red pixel beside invisible green stays red. */
static void test_alpha(void **state)
{
    ldm_pixels p = make(2, 1, 4, 0), q;
    size_t x;

    (void)state;
    memcpy(p.data, "\xff\0\0\xff\0\xff\0\0", 8);
    assert_int_equal(ldm_resize(&p, NULL,
                                (ldm_resize_how){LDM_RESAMPLE_BILINEAR, LDM_RESIZE_ROWS_FIRST}, 8,
                                1, &q, NULL),
                     LDM_OK);
    for (x = 0; x < 8; x++) {
        assert_true(q.data[4 * x + 3] == 0 || q.data[4 * x] == 255);
        assert_int_equal(q.data[4 * x + 1], 0);
    }
    assert_true(q.data[3] == 255 && q.data[31] == 0);
    ldm_pixels_free(&p);
    ldm_pixels_free(&q);
}

static void test_refused(void **state)
{
    static const ldm_resize_box boxes[] = {{-1, 0, 3, 3}, {0, 0, 4.5f, 3}, {2, 0, 2, 3},
                                           {0, 3, 3, 2},  {NAN, 0, 3, 3},  {0, 0, 3, INFINITY}};
    ldm_pixels p = make(4, 4, 3, 9), q;
    ldm_error err = {0};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        assert_int_equal(ldm_resize(&p, &boxes[i], bicubic, 2, 2, &q, &err), LDM_ERR_RANGE);
        assert_null(q.data);
    }
    assert_int_equal(ldm_resize(&p, NULL, bicubic, 0, 2, &q, &err), LDM_ERR_RANGE);
    assert_int_equal(ldm_resize(&p, NULL, (ldm_resize_how){(ldm_resample)5, LDM_RESIZE_ROWS_FIRST},
                                2, 2, &q, &err),
                     LDM_ERR_RANGE);
    assert_int_equal(ldm_resize(&p, NULL, (ldm_resize_how){LDM_RESAMPLE_BOX, (ldm_resize_order)2},
                                2, 2, &q, &err),
                     LDM_ERR_RANGE);
    assert_int_equal(ldm_pixels_fit(&p, 5, 0, LDM_FIT_PAD, bicubic, &q, &err), LDM_ERR_RANGE);
    assert_null(q.data);
    ldm_pixels_free(&p);
}

static void test_out_of_memory(void **state)
{
    ldm_status st = LDM_ERR_NOMEM;
    ldm_pixels p = make(7, 50, 4, 9), q;
    unsigned long n;
    int order;

    (void)state;
    for (order = 0; order < 2; order++) {
        for (n = 1, st = LDM_ERR_NOMEM; st; n++) {
            ldm_alloc_fail_at(n);
            st = ldm_pixels_fit(&p, 5, 6, LDM_FIT_PAD,
                                (ldm_resize_how){LDM_RESAMPLE_LANCZOS, (ldm_resize_order)order}, &q,
                                NULL);
            ldm_alloc_fail_at(0);
            assert_true(!st || !q.data);
        }
        assert_true(n > 9);
        ldm_pixels_free(&q);
    }
    for (n = 1; n <= 3; n++) {
        ldm_alloc_fail_at(n);
        assert_int_equal(ldm_resize(&p, NULL,
                                    (ldm_resize_how){LDM_RESAMPLE_NEAREST, LDM_RESIZE_ROWS_FIRST},
                                    3, 3, &q, NULL),
                         LDM_ERR_NOMEM);
        assert_null(q.data);
    }
    ldm_alloc_fail_at(0);
    ldm_pixels_free(&p);
}

static void test_fit(void **state)
{
    static const struct {
        uint32_t in_w, in_h, w, h;
        ldm_fit_mode mode;
        ldm_fit want;
    } cases[] = {
        {640, 480, 512, 512, LDM_FIT_STRETCH, {{0, 0, 640, 480}, 0, 0, 512, 512}},
        {640, 480, 512, 512, LDM_FIT_CROP, {{80, 0, 560, 480}, 0, 0, 512, 512}},
        {480, 640, 512, 512, LDM_FIT_CROP, {{0, 80, 480, 560}, 0, 0, 512, 512}},
        {640, 480, 512, 512, LDM_FIT_PAD, {{0, 0, 640, 480}, 0, 64, 512, 384}},
        {480, 640, 512, 512, LDM_FIT_PAD, {{0, 0, 480, 640}, 64, 0, 384, 512}},
        {100, 50, 64, 32, LDM_FIT_CROP, {{0, 0, 100, 50}, 0, 0, 64, 32}},
        {100, 50, 64, 32, LDM_FIT_PAD, {{0, 0, 100, 50}, 0, 0, 64, 32}},
        {5, 3, 1, 1, LDM_FIT_CROP, {{1, 0, 4, 3}, 0, 0, 1, 1}},
        {1, 1000, 8, 8, LDM_FIT_PAD, {{0, 0, 1, 1000}, 4, 0, 1, 8}}, /* never without a pixel */
        {16, 9, 8, 8, LDM_FIT_PAD, {{0, 0, 16, 9}, 0, 2, 8, 4}},     /* 4.5 and 2: half to even */
        {4, 8, 3, 3, LDM_FIT_PAD, {{0, 0, 4, 8}, 0, 0, 2, 3}},       /* 1.5 to 2, 0.5 to 0 */
    };
    ldm_pixels p, q;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ldm_fit got = ldm_fit_compute(cases[i].in_w, cases[i].in_h, cases[i].w, cases[i].h,
                                            cases[i].mode),
                      *want = &cases[i].want;

        assert_memory_equal(&got.box, &want->box, sizeof got.box);
        assert_true(got.left == want->left && got.top == want->top);
        assert_true(got.width == want->width && got.height == want->height);
    }
    p = make(4, 2, 2, 200);
    assert_int_equal(ldm_pixels_fit(&p, 4, 4, LDM_FIT_PAD, bicubic, &q, NULL), LDM_OK);
    for (i = 0; i < 4 * 4 * 2; i++) /* a border above and below, transparent */
        assert_int_equal(q.data[i], i < 8 || i >= 24 ? 0 : 200);
    ldm_pixels_free(&p);
    ldm_pixels_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pillow_12),     cmocka_unit_test(test_pillow_13),
        cmocka_unit_test(test_properties),    cmocka_unit_test(test_alpha),
        cmocka_unit_test(test_nearest_sum),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
