/* SPDX-License-Identifier: MIT */
/* Tests of EXIF orientation: all eight, both byte orders, and data that lie. */
#include "image/exif.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"

static void put16(unsigned char *p, bool big, unsigned v)
{
    p[0] = (unsigned char)(big ? v >> 8 : v);
    p[1] = (unsigned char)(big ? v : v >> 8);
}

static void put32(unsigned char *p, bool big, uint32_t v)
{
    put16(p, big, big ? v >> 16 : v & 0xffff);
    put16(p + 2, big, big ? v & 0xffff : v >> 16);
}

enum { TIFF_BYTES = 8 + 2 + 2 * 12 + 4 };

/* A header, a directory of two entries: the width, and the orientation as `type`; no next
 * directory. Returns TIFF_BYTES. */
static size_t build(unsigned char *out, bool big, unsigned type, uint32_t value)
{
    memset(out, 0, TIFF_BYTES);
    memcpy(out, big ? "MM" : "II", 2);
    put16(out + 2, big, 42);
    put32(out + 4, big, 8);
    put16(out + 8, big, 2);
    put16(out + 10, big, 0x0100);
    put16(out + 12, big, 4);
    put32(out + 14, big, 1);
    put32(out + 18, big, 3);
    put16(out + 22, big, 0x0112);
    put16(out + 24, big, type);
    put32(out + 26, big, 1);
    if (type == 3)
        put16(out + 30, big, value);
    else
        put32(out + 30, big, value);
    return TIFF_BYTES;
}

static void test_values(void **state)
{
    unsigned char tiff[TIFF_BYTES];
    int big, value;

    (void)state;
    for (big = 0; big < 2; big++)
        for (value = 0; value < 12; value++) {
            const int want = value >= 1 && value <= 8 ? value : 0;

            build(tiff, big, 3, (uint32_t)value);
            assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), want);
            build(tiff, big, 4, (uint32_t)value); /* LONG */
            assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), want);
            build(tiff, big, 2, (uint32_t)value); /* ASCII is no number */
            assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 0);
        }
    build(tiff, true, 4, 0x10006); /* not 6 */
    assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 0);
    assert_int_equal(ldm_exif_orientation(NULL, 0), 0);
}

static void test_lies(void **state)
{
    static const uint32_t offsets[] = {0, 4, 7, TIFF_BYTES - 1, TIFF_BYTES, 0x7fffffff, 0xffffffff};
    unsigned char tiff[TIFF_BYTES], *exact;
    size_t i, n;
    int big;

    (void)state;
    for (big = 0; big < 2; big++) {
        for (i = 0; i < sizeof offsets / sizeof *offsets;
             i++) { /* a loop into the header, beyond */
            build(tiff, big, 3, 6);
            put32(tiff + 4, big, offsets[i]);
            assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 0);
        }
        build(tiff, big, 3, 6);
        put16(tiff + 8, big, 65535); /* far more entries than bytes: those that are there count */
        assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 6);
        put16(tiff + 22, big, 0x0111);
        assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 0);
        build(tiff, big, 3, 6);
        put32(tiff + 26, big, 0xffffffff); /* so many values are elsewhere, and not looked for */
        assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 0);
        build(tiff, big, 3, 6);
        put16(tiff + 2, big, 43);
        assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 0);
        build(tiff, big, 3, 6);
        tiff[1] = 'X';
        assert_int_equal(ldm_exif_orientation(tiff, sizeof tiff), 0);
        build(tiff, big, 3, 6);
        for (n = 0; n <= TIFF_BYTES;
             n++) { /* cut anywhere; whole up to the entry's end is enough */
            exact = malloc(n + 1);
            assert_non_null(exact);
            memcpy(exact + 1, tiff, n);
            assert_int_equal(ldm_exif_orientation(exact + 1, n), n >= 34 ? 6 : 0);
            free(exact);
        }
    }
}

/* abc   as stored; each orientation by hand. */
/* def */
static void test_orient(void **state)
{
    static const char *const upright[9] = {"abcdef", "abcdef", "cbafed", "fedcba", "defabc",
                                           "adbecf", "daebfc", "fcebda", "cfbead"};
    ldm_pixels p;
    unsigned channels;
    size_t i, c;
    int o;

    (void)state;
    for (channels = 1; channels <= 4; channels++)
        for (o = 0; o <= 8; o++) {
            assert_int_equal(ldm_pixels_create(3, 2, channels, &p, NULL), LDM_OK);
            for (i = 0; i < 6; i++)
                for (c = 0; c < channels; c++)
                    p.data[i * channels + c] = (uint8_t)("abcdef"[i] + 10 * c);
            assert_int_equal(ldm_pixels_orient(&p, o, NULL), LDM_OK);
            assert_int_equal(p.width, o >= 5 ? 2 : 3);
            assert_int_equal(p.height, o >= 5 ? 3 : 2);
            for (i = 0; i < 6; i++)
                for (c = 0; c < channels; c++)
                    assert_int_equal(p.data[i * channels + c], upright[o][i] + 10 * (int)c);
            ldm_pixels_free(&p);
        }
    assert_int_equal(ldm_pixels_create(3, 2, 1, &p, NULL), LDM_OK);
    ldm_alloc_fail_at(1);
    assert_int_equal(ldm_pixels_orient(&p, 6, NULL), LDM_ERR_NOMEM);
    ldm_alloc_fail_at(0);
    assert_true(p.width == 3 && p.data);
    assert_int_equal(ldm_pixels_orient(&p, 9, NULL), LDM_OK);
    assert_int_equal(p.width, 3);
    ldm_pixels_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_orient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
