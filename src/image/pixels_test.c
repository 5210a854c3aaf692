/* SPDX-License-Identifier: MIT */
/* Tests of pictures of 1 to 4 channels: every kind of PNG and JPEG against Pillow's samples
 * (tests/data/pictures), changes of channels, PNG writing, and files that are something else. */
#include "image/pixels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/picture.h"

static const char data_folder[] = "tests/data/pictures";

static char folder[64], out_path[80];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ldm-pixels-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(out_path, sizeof out_path, "%s/a.png", folder);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if a test, or a temporary name, left a file */
}

static ldm_pixels pattern(uint32_t width, uint32_t height, unsigned channels)
{
    ldm_pixels p;
    size_t i;

    assert_int_equal(ldm_pixels_create(width, height, channels, &p, NULL), LDM_OK);
    for (i = 0; i < (size_t)width * height * channels; i++)
        p.data[i] = (uint8_t)(i * 41 + i * i / 5);
    return p;
}

static void assert_same(const ldm_pixels *a, const ldm_pixels *b)
{
    assert_true(a->width == b->width && a->height == b->height && a->channels == b->channels);
    assert_memory_equal(a->data, b->data, (size_t)a->width * a->height * a->channels);
}

/* Each line of kinds.txt is a file and its shape; kinds.bin has the samples. */
static void test_kinds(void **state)
{
    char path[256], name[64], line[128];
    unsigned width, height, channels, lines = 0;
    ldm_error err = {0};
    size_t size, at = 0;
    char *samples;
    ldm_pixels p;
    FILE *list;

    (void)state;
    snprintf(path, sizeof path, "%s/kinds.bin", data_folder);
    assert_int_equal(ldm_file_read(path, 1 << 20, &samples, &size, NULL), LDM_OK);
    snprintf(path, sizeof path, "%s/kinds.txt", data_folder);
    list = fopen(path, "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        assert_int_equal(sscanf(line, "%63s %u %u %u", name, &width, &height, &channels), 4);
        snprintf(path, sizeof path, "%s/%s", data_folder, name);
        if (ldm_pixels_read(path, 0, 0, &p, &err))
            fail_msg("%s", err.msg);
        if (p.width != width || p.height != height || p.channels != channels)
            fail_msg("%s: %u x %u, %u channels", name, p.width, p.height, p.channels);
        if (memcmp(p.data, samples + at, (size_t)width * height * channels) != 0)
            fail_msg("%s: other samples than Pillow's", name);
        at += (size_t)width * height * channels;
        lines++;
        ldm_pixels_free(&p);
    }
    fclose(list);
    assert_int_equal(at, size);
    assert_true(lines >= 20);
    ldm_free(samples);
}

static void test_convert(void **state)
{
    /* Luma by hand: (19595 * 200 + 38470 * 10 + 32768) / 65536 = 66.17. */
    static const uint8_t rgba[] = {200, 10, 0, 7}, grey_alpha[] = {90, 33};
    static const struct {
        const uint8_t *from;
        unsigned channels, to;
        uint8_t want[4];
    } cases[] = {
        {rgba, 4, 3, {200, 10, 0}},
        {rgba, 4, 2, {66, 7}},
        {rgba, 4, 1, {66}},
        {rgba, 3, 4, {200, 10, 0, 255}},
        {rgba, 3, 1, {66}},
        {rgba, 3, 2, {66, 255}},
        {grey_alpha, 2, 1, {90}},
        {grey_alpha, 2, 3, {90, 90, 90}},
        {grey_alpha, 2, 4, {90, 90, 90, 33}},
        {grey_alpha, 1, 4, {90, 90, 90, 255}},
        {grey_alpha, 1, 3, {90, 90, 90}},
        {grey_alpha, 1, 2, {90, 255}},
        {grey_alpha, 2, 2, {90, 33}},
    };
    ldm_error err = {0};
    ldm_pixels p;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ldm_pixels_create(1, 1, cases[i].channels, &p, NULL), LDM_OK);
        memcpy(p.data, cases[i].from, cases[i].channels);
        assert_int_equal(ldm_pixels_convert(&p, cases[i].to, NULL), LDM_OK);
        assert_int_equal(p.channels, cases[i].to);
        assert_memory_equal(p.data, cases[i].want, cases[i].to);
        ldm_pixels_free(&p);
    }
    p = pattern(3, 2, 4);
    assert_int_equal(ldm_pixels_convert(&p, 5, &err), LDM_ERR_RANGE);
    assert_int_equal(ldm_pixels_convert(&p, 0, &err), LDM_ERR_RANGE);
    assert_int_equal(p.channels, 4);
    ldm_pixels_free(&p);
    assert_int_equal(ldm_pixels_create(0, 1, 1, &p, &err), LDM_ERR_RANGE);
    assert_int_equal(ldm_pixels_create(1, 1, 0, &p, &err), LDM_ERR_RANGE);
    assert_null(p.data);
}

static void test_png_round_trip(void **state)
{
    static const ldm_text text = {"ldm", "{\"seed\": 7}"};
    ldm_error err = {0};
    ldm_pixels p, q;
    ldm_text *texts;
    unsigned channels;
    size_t count;

    (void)state;
    for (channels = 1; channels <= 4; channels++) {
        p = pattern(13, 5, channels);
        if (ldm_png_write_pixels(out_path, &p, &text, 1, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(ldm_pixels_read(out_path, 0, 0, &q, NULL), LDM_OK);
        assert_same(&p, &q);
        ldm_pixels_free(&q);
        assert_int_equal(ldm_picture_read_texts(out_path, &texts, &count, NULL), LDM_OK);
        assert_int_equal(count, 1);
        assert_string_equal(texts[0].value, text.value);
        ldm_free(texts);
        unlink(out_path);
        ldm_pixels_free(&p);
    }
    p.channels = 5;
    assert_int_equal(ldm_png_write_pixels(out_path, &p, NULL, 0, &err), LDM_ERR_USAGE);
    assert_int_not_equal(access(out_path, F_OK), 0);
}

/* A picture is asked for with other channels than its file holds; RGB is what ldm_picture has. */
static void test_asked(void **state)
{
    ldm_error err = {0};
    ldm_picture rgb;
    ldm_pixels p;

    (void)state;
    if (ldm_picture_read("tests/data/pictures/turned_8.png", 0, &rgb, &err) ||
        ldm_pixels_read("tests/data/pictures/turned_8.png", 3, 0, &p, &err))
        fail_msg("%s", err.msg);
    assert_true(rgb.width == 9 && rgb.height == 13 && p.channels == 3);
    assert_memory_equal(rgb.rgb, p.data, 9 * 13 * 3);
    ldm_picture_free(&rgb);
    ldm_pixels_free(&p);
    assert_int_equal(ldm_pixels_read("tests/data/pictures/grey.jpg", 4, 0, &p, &err), LDM_OK);
    assert_true(p.channels == 4 && p.data[3] == 255 && p.data[0] == p.data[2]);
    ldm_pixels_free(&p);
    assert_int_equal(ldm_pixels_read("tests/data/pictures/grey.jpg", 5, 0, &p, &err),
                     LDM_ERR_RANGE);
    assert_int_equal(ldm_picture_read("tests/data/pictures/grey.jpg", 13 * 9 - 1, &rgb, &err),
                     LDM_ERR_LIMIT);
    assert_true(!rgb.rgb && !rgb.width);
    assert_int_equal(ldm_pixels_read("tests/data/pictures/grey8.png", 0, 13 * 9 - 1, &p, &err),
                     LDM_ERR_LIMIT);
    assert_int_equal(ldm_pixels_read("/nonexistent.jpg", 0, 0, &p, &err), LDM_ERR_IO);
    assert_null(p.data);
}

static void test_other_files(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        ldm_status status;
        const char *word;
    } cases[] = {
        {"RIFF\x10\0\0\0WEBPVP8 ", 16, LDM_ERR_UNSUPPORTED, "WebP"},
        {"GIF89a\1\0\1\0", 10, LDM_ERR_UNSUPPORTED, "GIF"},
        {"\0\0\0\x18"
         "ftypheic",
         12, LDM_ERR_UNSUPPORTED, "HEIC"},
        {"II*\0\x08\0\0\0", 8, LDM_ERR_UNSUPPORTED, "TIFF"},
        {"BM\x36\0", 4, LDM_ERR_UNSUPPORTED, "BMP"},
        {"model:\n", 7, LDM_ERR_FORMAT, "no picture"},
        {"\xff\xd8\xff", 3, LDM_ERR_FORMAT, "cut off"},
        {"\xff\xd8", 2, LDM_ERR_FORMAT, "cut off"},
        {"\xff", 1, LDM_ERR_FORMAT, "no picture"},
        {"\x89PNG\r\n\x1a\n", 8, LDM_ERR_FORMAT, "PNG"},
        {"\x89PNG\n\x1a\n\0", 8, LDM_ERR_FORMAT, "PNG"}, /* as a text-mode transfer leaves it */
        {"", 0, LDM_ERR_FORMAT, "empty"},
    };
    ldm_error err = {0};
    ldm_pixels p;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ldm_status st =
            ldm_pixels_read_memory(cases[i].bytes, cases[i].size, "odd.bin", 0, 0, &p, &err);

        assert_int_equal(st, cases[i].status);
        assert_non_null(strstr(err.msg, "odd.bin"));
        if (!strstr(err.msg, cases[i].word))
            fail_msg("'%s' lacks '%s'", err.msg, cases[i].word);
        assert_null(p.data);
    }
}

/* Every truncation of every picture is an error that names it. */
static void test_cut(void **state)
{
    static const char *const names[] = {
        "grey_alpha16.png", "palette4_transparent.png", "turned_8.png", "rgb16_transparent.png",
        "turned_6.jpg",     "progressive_420.jpg",      "cmyk.jpg"};
    ldm_error err = {0};
    char path[256], *data, *exact;
    size_t size, i, n;
    ldm_pixels p;

    (void)state;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", data_folder, names[i]);
        assert_int_equal(ldm_file_read(path, 1 << 20, &data, &size, NULL), LDM_OK);
        size -= strstr(names[i], ".png") ? 4 : 0; /* libspng does not look at IEND's checksum */
        for (n = 0; n < size; n++) {
            exact = malloc(n + 1);
            assert_non_null(exact);
            memcpy(exact + 1, data, n);
            assert_int_equal(ldm_pixels_read_memory(exact + 1, n, names[i], 0, 0, &p, &err),
                             LDM_ERR_FORMAT);
            assert_non_null(strstr(err.msg, names[i]));
            assert_null(p.data);
            free(exact);
        }
        ldm_free(data);
    }
}

static void test_out_of_memory(void **state)
{
    static const char *const names[] = {"turned_8.png", "grey_alpha8.png", "turned_6.jpg",
                                        "cmyk.jpg"};
    ldm_status st;
    char path[256];
    unsigned long n;
    ldm_pixels p;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", data_folder, names[i]);
        st = LDM_ERR_NOMEM;
        for (n = 1; st; n++) {
            ldm_alloc_fail_at(n);
            st = ldm_pixels_read(path, 1, 0, &p, NULL);
            ldm_alloc_fail_at(0);
            assert_true(!st || !p.data);
        }
        assert_true(n > 2);
        assert_int_equal(p.channels, 1);
        ldm_pixels_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_convert),
        cmocka_unit_test(test_png_round_trip), cmocka_unit_test(test_asked),
        cmocka_unit_test(test_other_files),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
