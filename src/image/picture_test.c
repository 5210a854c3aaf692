/* SPDX-License-Identifier: MIT */
/* Tests of pictures: PNG round trips and damaged files, contact sheets, resizing. */
#include "image/picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[2][128];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ldm-png-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if a test, or a temporary name, left a file */
}

static ldm_picture pattern(uint32_t width, uint32_t height, unsigned seed)
{
    ldm_picture p;
    size_t i;

    assert_int_equal(ldm_picture_create(width, height, &p, NULL), LDM_OK);
    for (i = 0; i < 3 * (size_t)width * height; i++)
        p.rgb[i] = (uint8_t)((i * 37 + seed * 101 + i * i / 7) & 0xff);
    return p;
}

static void assert_same(const ldm_picture *a, const ldm_picture *b)
{
    assert_true(a->width == b->width && a->height == b->height);
    assert_memory_equal(a->rgb, b->rgb, 3 * (size_t)a->width * a->height);
}

static void test_round_trip(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {7, 3}, {64, 64}, {1, 300}, {257, 2}};
    const char *path = in_folder("a.png");
    ldm_picture p, q;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        p = pattern(sizes[i][0], sizes[i][1], (unsigned)i);
        assert_int_equal(ldm_png_write(path, &p, NULL, 0, NULL), LDM_OK);
        assert_int_equal(ldm_picture_read(path, 0, &q, NULL), LDM_OK);
        assert_same(&p, &q);
        ldm_picture_free(&p);
        ldm_picture_free(&q);
    }
    unlink(path);
}

static void test_texts(void **state)
{
    static const ldm_text texts[] = {
        {"Software", "ldm 0.1"},
        {"ldm.config", "model:\n  params:\n    timesteps: 1000\n"},
        {"ldm.path", "/home/j\xc3\xb6rg/\xe6\xa8\xa1\xe5\x9e\x8b.ckpt"},
        {"ldm.empty", ""}};
    static const char *const bad_values[] = {
        "\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe6\xa8"};
    static const char *const bad_keys[] = {"", " a", "a ", "a  b", "a\nb", "\xc3\xb6"};
    const char *path = in_folder("t.png"), *again = in_folder("u.png");
    ldm_picture p = pattern(5, 4, 1);
    ldm_error err = {0};
    ldm_text *got;
    char *a, *b;
    size_t count, i, size_a, size_b;

    (void)state;
    if (ldm_png_write(path, &p, texts, 4, &err))
        fail_msg("%s", err.msg);
    if (ldm_picture_read_texts(path, &got, &count, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(count, 3); /* the empty one is left out */
    for (i = 0; i < 3; i++) {
        assert_string_equal(got[i].key, texts[i].key);
        assert_string_equal(got[i].value, texts[i].value);
    }
    ldm_free(got);
    /* The same picture and texts are the same bytes. */
    assert_int_equal(ldm_png_write(again, &p, texts, 4, NULL), LDM_OK);
    assert_int_equal(ldm_file_read(path, 1 << 20, &a, &size_a, NULL), LDM_OK);
    assert_int_equal(ldm_file_read(again, 1 << 20, &b, &size_b, NULL), LDM_OK);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(a, b, size_a);
    ldm_free(a);
    ldm_free(b);
    unlink(again);
    for (i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
        const ldm_text t = {"key", bad_values[i]};

        assert_int_equal(ldm_png_write(again, &p, &t, 1, NULL), LDM_ERR_USAGE);
        assert_int_not_equal(access(again, F_OK), 0);
    }
    for (i = 0; i < sizeof bad_keys / sizeof *bad_keys; i++) {
        const ldm_text t = {bad_keys[i], "value"};

        assert_int_equal(ldm_png_write(again, &p, &t, 1, NULL), LDM_ERR_USAGE);
    }
    assert_int_equal(ldm_png_write(path, &p, NULL, 0, NULL), LDM_OK);
    assert_int_equal(ldm_picture_read_texts(path, &got, &count, NULL), LDM_OK);
    assert_true(count == 0 && !got);
    unlink(path);
    ldm_picture_free(&p);
}

static uint32_t crc32_of(const unsigned char *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    int k;

    while (n--) {
        c ^= *p++;
        for (k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

/* Writes the right CRC behind the chunk at p; returns the next chunk. */
static unsigned char *seal(unsigned char *p)
{
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    uint32_t c = crc32_of(p + 4, n + 4);

    p += 8 + n;
    p[0] = (unsigned char)(c >> 24);
    p[1] = (unsigned char)(c >> 16);
    p[2] = (unsigned char)(c >> 8);
    p[3] = (unsigned char)c;
    return p + 4;
}

/* A PNG as ldm_picture_read gives it, from memory. */
static ldm_status read_rgb(const void *data, size_t size, const char *name, uint64_t max_pixels,
                           ldm_picture *out, ldm_error *err)
{
    ldm_pixels p;
    ldm_status st = ldm_pixels_read_memory(data, size, name, 3, max_pixels, &p, err);

    *out = (ldm_picture){p.width, p.height, p.data};
    return st;
}

/* 2 x 1 pixels of grey and alpha, 0x80 opaque and 0x20 transparent, in a stored deflate block; a
 * Latin-1 tEXt chunk behind the pixels. Returns the file's size. */
static size_t build_grey_alpha(unsigned char *out)
{
    static const unsigned char stored[] = {0x78, 0x01, 1,    5,    0,    0xfa, 0xff, 0,
                                           0x80, 0xff, 0x20, 0x00, 0x05, 0x42, 0x01, 0xa0};
    unsigned char *p = out;

    memcpy(p, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\2\0\0\0\1\x08\4\0\0\0", 29);
    p = seal(p + 8);
    memcpy(p, "\0\0\0\x10IDAT", 8);
    memcpy(p + 8, stored, sizeof stored);
    p = seal(p);
    memcpy(p, "\0\0\0\3tEXtk\0\xe9", 11);
    p = seal(p);
    memcpy(p, "\0\0\0\0IEND", 8);
    return (size_t)(seal(p) - out);
}

static void test_other_kinds(void **state)
{
    unsigned char png[128];
    const char *path = in_folder("g.png");
    size_t size = build_grey_alpha(png), count;
    ldm_error err = {0};
    ldm_picture p;
    ldm_text *texts;

    (void)state;
    if (read_rgb(png, size, "g.png", 0, &p, &err))
        fail_msg("%s", err.msg);
    assert_true(p.width == 2 && p.height == 1);
    assert_memory_equal(p.rgb, "\x80\x80\x80\x20\x20\x20", 6);
    ldm_picture_free(&p);
    assert_int_equal(ldm_file_write(path, png, size, NULL), LDM_OK);
    if (ldm_picture_read_texts(path, &texts, &count, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(count, 1);
    assert_string_equal(texts[0].key, "k");
    assert_string_equal(texts[0].value, "\xc3\xa9"); /* Latin-1 became UTF-8 */
    ldm_free(texts);
    unlink(path);
}

/* Texts are found whatever the pixels are: even where there could be none. */
static void test_texts_alone(void **state)
{
    static const unsigned char text[] = "\0\0\0\3tEXtk\0v";
    unsigned char png[128], *many, *exact, *p;
    size_t size = build_grey_alpha(png), count, i, n;
    ldm_error err = {0};
    ldm_text *texts;
    ldm_picture pic;

    (void)state;
    png[8 + 25 + 8 + 3] ^= 0x55; /* in IDAT */
    assert_int_not_equal(read_rgb(png, size, "p.png", 0, &pic, &err), LDM_OK);
    if (ldm_png_read_texts_memory(png, size, "p.png", &texts, &count, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(count, 1);
    assert_string_equal(texts[0].value, "\xc3\xa9");
    ldm_free(texts);
    for (i = 0; i < size - 4; i++) { /* whatever is cut off, IEND is missed */
        exact = malloc(i + 1);
        assert_non_null(exact);
        memcpy(exact + 1, png, i);
        assert_int_not_equal(
            ldm_png_read_texts_memory(exact + 1, i, "cut.png", &texts, &count, &err), LDM_OK);
        free(exact);
        assert_true(!texts && !count);
    }
    png[size - 12 - 5] ^= 1; /* the text */
    assert_int_equal(ldm_png_read_texts_memory(png, size, "t.png", &texts, &count, &err),
                     LDM_ERR_FORMAT);
    /* As many texts as are read, and one more. */
    many = malloc(size + 1001 * 15);
    assert_non_null(many);
    for (n = 1000; n <= 1001; n++) {
        memcpy(many, png, 8 + 25);
        p = many + 8 + 25;
        for (i = 0; i < n; i++) {
            memcpy(p, text, 11);
            p = seal(p);
        }
        memcpy(p, "\0\0\0\0IEND", 8);
        p = seal(p);
        assert_int_equal(
            ldm_png_read_texts_memory(many, (size_t)(p - many), "m.png", &texts, &count, &err),
            n == 1000 ? LDM_OK : LDM_ERR_LIMIT);
        assert_int_equal(count, n == 1000 ? 1000 : 0);
        ldm_free(texts);
    }
    free(many);
}

/* Every truncation and every changed byte of a file is an error, up to the checksum of IEND, which
 * is constant and which libspng does not look at. */
static void test_damaged(void **state)
{
    unsigned char png[128], *exact;
    size_t size = build_grey_alpha(png) - 4, i;
    ldm_error err = {0};
    ldm_picture p;

    (void)state;
    for (i = 0; i < size; i++) {
        exact = malloc(i + 1);
        assert_non_null(exact);
        memcpy(exact, png, i);
        assert_int_not_equal(read_rgb(exact, i, "cut.png", 0, &p, &err), LDM_OK);
        if (i >= 4 && !strstr(err.msg, "cut.png: the PNG is cut off"))
            fail_msg("%zu bytes: %s", i, err.msg);
        assert_null(p.rgb);
        free(exact);
    }
    for (i = 0; i < size; i++) {
        png[i] ^= 0x10;
        assert_int_not_equal(read_rgb(png, size + 4, "bit.png", 0, &p, &err), LDM_OK);
        if (i >= 24) /* before are the signature, and the sizes, which may be too large */
            assert_non_null(strstr(err.msg, "bit.png: the PNG is "));
        assert_null(p.rgb);
        png[i] ^= 0x10;
    }
    assert_int_equal(read_rgb(NULL, 0, "empty.png", 0, &p, &err), LDM_ERR_FORMAT);
    assert_int_equal(ldm_picture_read("/nonexistent.png", 0, &p, &err), LDM_ERR_IO);
}

static void test_size_limits(void **state)
{
    unsigned char png[128];
    size_t size = build_grey_alpha(png);
    ldm_error err = {0};
    ldm_picture p;

    (void)state;
    assert_int_equal(read_rgb(png, size, "a.png", 1, &p, &err), LDM_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "2 x 1"));
    /* IHDR claims 8000 x 7000: within the limit, but 85 bytes cannot hold that. */
    memcpy(png + 16, "\0\0\x1f\x40\0\0\x1b\x58", 8);
    seal(png + 8);
    assert_int_equal(read_rgb(png, size, "b.png", 0, &p, &err), LDM_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "cannot hold"));
    memcpy(png + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8);
    seal(png + 8);
    assert_int_equal(read_rgb(png, size, "c.png", 0, &p, &err), LDM_ERR_LIMIT);
    /* Of RGBA so many are more than libspng can count. */
    png[25] = 6;
    seal(png + 8);
    assert_int_equal(read_rgb(png, size, "d.png", 0, &p, &err), LDM_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "d.png: a picture of 2147483647 x 2147483647 pixels"));
    assert_int_equal(ldm_picture_create(0, 5, &p, &err), LDM_ERR_RANGE);
}

/* Each allocation of libspng, zlib and ourselves fails once. */
static void test_out_of_memory(void **state)
{
    static const ldm_text text = {"key", "v\xc3\xa4lue"};
    const char *path = in_folder("m.png");
    ldm_picture p = pattern(9, 9, 3), q;
    ldm_status st = LDM_ERR_NOMEM;
    unsigned long n;
    ldm_text *texts;
    size_t count;

    (void)state;
    for (n = 1; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_png_write(path, &p, &text, 1, NULL);
        ldm_alloc_fail_at(0);
        assert_true(!st || access(path, F_OK)); /* no file under the final name */
    }
    assert_true(n > 6);
    st = LDM_ERR_NOMEM;
    for (n = 1; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_picture_read(path, 0, &q, NULL);
        ldm_alloc_fail_at(0);
    }
    assert_true(n > 4);
    assert_same(&p, &q);
    ldm_picture_free(&q);
    st = LDM_ERR_NOMEM;
    for (n = 1; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_picture_read_texts(path, &texts, &count, NULL);
        ldm_alloc_fail_at(0);
    }
    assert_int_equal(count, 1);
    assert_string_equal(texts[0].value, text.value);
    ldm_free(texts);
    for (n = 1; n <= 6; n++) {
        ldm_alloc_fail_at(n);
        assert_int_equal(ldm_resize_bicubic(&p, 4, 5, &q, NULL), LDM_ERR_NOMEM);
        assert_null(q.rgb);
    }
    ldm_alloc_fail_at(0);
    unlink(path);
    ldm_picture_free(&p);
}

/* custom_to_pil: (x + 1) / 2 * 255 in f32, cut off, not rounded. */
static void test_from_planes(void **state)
{
    static const float x[12] = {-1, 1,    0,          0.999f, /* red plane */
                                -5, 5,    -0.996f,    NAN,    /* green */
                                0,  -1.f, 0.0039216f, 0.5f};  /* blue */
    ldm_picture p;

    (void)state;
    assert_int_equal(ldm_picture_create(2, 2, &p, NULL), LDM_OK);
    ldm_picture_from_planes(x, &p);
    assert_memory_equal(p.rgb,
                        ((const uint8_t[]){0, 0, 127, 255, 255, 0, 127, 0, 128, 254, 0, 191}), 12);
    ldm_picture_free(&p);
}

/* torchvision's make_grid: padding before each cell and once at the end. */
static void test_grid(void **state)
{
    ldm_picture pics[5], g;
    ldm_error err = {0};
    size_t i, x, y;

    (void)state;
    for (i = 0; i < 5; i++)
        pics[i] = pattern(4, 3, (unsigned)i + 1);
    assert_int_equal(ldm_grid(pics, 5, 3, 2, &g, NULL), LDM_OK);
    assert_int_equal(g.width, 3 * (4 + 2) + 2);
    assert_int_equal(g.height, 2 * (3 + 2) + 2);
    for (y = 0; y < g.height; y++)
        for (x = 0; x < g.width; x++) {
            const size_t cell = y / 5 * 3 + x / 6, in_x = x % 6, in_y = y % 5;
            uint8_t want[3] = {0, 0, 0};

            if (in_x >= 2 && in_y >= 2 && x / 6 < 3 && y / 5 < 2 && cell < 5)
                memcpy(want, pics[cell].rgb + 3 * ((in_y - 2) * 4 + in_x - 2), 3);
            assert_memory_equal(g.rgb + 3 * (y * g.width + x), want, 3);
        }
    ldm_picture_free(&g);
    /* One picture is returned as it is, and columns never exceed the pictures. */
    assert_int_equal(ldm_grid(pics, 1, 8, 2, &g, NULL), LDM_OK);
    assert_same(&g, &pics[0]);
    ldm_picture_free(&g);
    assert_int_equal(ldm_grid(pics, 2, 8, 2, &g, NULL), LDM_OK);
    assert_true(g.width == 14 && g.height == 7);
    ldm_picture_free(&g);
    assert_int_equal(ldm_grid(pics, 5, 0, 2, &g, &err), LDM_ERR_RANGE);
    pics[3].width = 3;
    assert_int_equal(ldm_grid(pics, 5, 2, 2, &g, &err), LDM_ERR_MISMATCH);
    assert_non_null(strstr(err.msg, "picture 3"));
    for (i = 0; i < 5; i++)
        ldm_picture_free(&pics[i]);
}

static void test_resize(void **state)
{
    ldm_picture p = pattern(9, 7, 2), q;
    size_t x, y;

    (void)state;
    assert_int_equal(ldm_resize_bicubic(&p, 9, 7, &q, NULL), LDM_OK);
    assert_same(&p, &q); /* the kernel interpolates */
    ldm_picture_free(&q);
    memset(p.rgb, 77, 3 * 9 * 7);
    assert_int_equal(ldm_resize_bicubic(&p, 40, 3, &q, NULL), LDM_OK);
    for (x = 0; x < 3 * 40 * 3; x++)
        assert_int_equal(q.rgb[x], 77); /* constants stay, enlarging and shrinking */
    ldm_picture_free(&q);
    /* A ramp of 10 a pixel, doubled: 2.5 off the source pixels away from the edges. */
    for (y = 0; y < 7; y++)
        for (x = 0; x < 9; x++)
            memset(p.rgb + 3 * (y * 9 + x), (int)(10 * x), 3);
    assert_int_equal(ldm_resize_bicubic(&p, 18, 14, &q, NULL), LDM_OK);
    for (x = 4; x < 14; x++)
        assert_int_equal(q.rgb[3 * (5 * 18 + x)], (int)floor(((double)x + 0.5) * 5 - 5 + 0.5));
    ldm_picture_free(&q);
    /* Weights at a quarter pixel, by hand: -9/128, 111/128, 29/128, -3/128. */
    memset(p.rgb, 0, 3 * 9 * 7);
    for (y = 0; y < 7; y++)
        p.rgb[3 * (y * 9 + 4)] = 128;
    assert_int_equal(ldm_resize_bicubic(&p, 18, 7, &q, NULL), LDM_OK);
    assert_true(q.rgb[3 * 9] == 111 && q.rgb[3 * 8] == 111);
    assert_true(q.rgb[3 * 7] == 29 && q.rgb[3 * 10] == 29);
    assert_true(q.rgb[3 * 6] == 0 && q.rgb[3 * 5] == 0); /* -9 and -3: clamped */
    ldm_picture_free(&q);
    ldm_picture_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_texts),
        cmocka_unit_test(test_other_kinds),   cmocka_unit_test(test_texts_alone),
        cmocka_unit_test(test_damaged),       cmocka_unit_test(test_size_limits),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_from_planes),
        cmocka_unit_test(test_grid),          cmocka_unit_test(test_resize),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
