/* SPDX-License-Identifier: MIT */
/* Tests of JPEG: round trips, comments, orientation in the file, and files that are damaged or lie.
 * Decoded samples are held against Pillow's in pixels_test.c. */
#include "image/jpeg.h"

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
#include "image/exif.h"

static const char data_folder[] = "tests/data/pictures";

static char folder[64], out_path[80];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ldm-jpeg-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(out_path, sizeof out_path, "%s/a.jpg", folder);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if a test, or a temporary name, left a file */
}

/* A smooth picture: slopes and a wave. */
static ldm_pixels wave(uint32_t width, uint32_t height, unsigned channels)
{
    ldm_pixels p;
    size_t x, y, c;

    assert_int_equal(ldm_pixels_create(width, height, channels, &p, NULL), LDM_OK);
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            for (c = 0; c < channels; c++)
                p.data[(y * width + x) * channels + c] =
                    (uint8_t)(128 + 60 * sin((double)x / 9 + (double)c) + 60 * cos((double)y / 7));
    return p;
}

static double psnr(const ldm_pixels *a, const ldm_pixels *b)
{
    const size_t n = (size_t)a->width * a->height * a->channels;
    double sum = 0;
    size_t i;

    assert_true(a->width == b->width && a->height == b->height && a->channels == b->channels);
    for (i = 0; i < n; i++)
        sum += pow((double)a->data[i] - b->data[i], 2);
    return sum == 0 ? 99 : 10 * log10(255.0 * 255 * (double)n / sum);
}

typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

static bytes slurp(const char *path)
{
    ldm_error err = {0};
    char *data;
    bytes b;

    if (ldm_file_read(path, 64 << 20, &data, &b.size, &err))
        fail_msg("%s", err.msg);
    b.data = (unsigned char *)data;
    return b;
}

static bytes sample(const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", data_folder, name);
    return slurp(path);
}

/* Size of the file that these options give. */
static size_t write_with(const ldm_pixels *p, const ldm_jpeg_options *o, double *quality)
{
    ldm_error err = {0};
    ldm_pixels q;
    bytes b;

    if (ldm_jpeg_write(out_path, p, o, &err) || ldm_pixels_read(out_path, 0, 0, &q, &err))
        fail_msg("%s", err.msg);
    *quality = psnr(p, &q);
    b = slurp(out_path);
    ldm_free(b.data);
    ldm_pixels_free(&q);
    unlink(out_path);
    return b.size;
}

static void test_round_trip(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {7, 3}, {64, 64}, {1, 300}, {257, 2}, {8, 8}};
    size_t i, best, small, coarse;
    unsigned channels;
    ldm_pixels p;
    double q;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (channels = 1; channels <= 3; channels += 2) {
            p = wave(sizes[i][0], sizes[i][1], channels);
            write_with(&p, NULL, &q);
            assert_true(q > 37);
            ldm_pixels_free(&p);
        }
    p = wave(200, 150, 3);
    best = write_with(&p, NULL, &q);
    assert_true(q > 42);
    coarse = write_with(&p, &(ldm_jpeg_options){5, LDM_JPEG_444, NULL}, &q);
    assert_true(q < 35 && q > 15 && coarse < best / 2);
    small = write_with(&p, &(ldm_jpeg_options){95, LDM_JPEG_420, NULL}, &q);
    assert_true(small < best && q > 30);
    ldm_pixels_free(&p);
}

static void test_same_bytes(void **state)
{
    const ldm_jpeg_options o = {90, LDM_JPEG_444, "{\"seed\": 7}"};
    ldm_pixels p = wave(40, 30, 3);
    bytes a, b;

    (void)state;
    assert_int_equal(ldm_jpeg_write(out_path, &p, &o, NULL), LDM_OK);
    a = slurp(out_path);
    assert_int_equal(ldm_jpeg_write(out_path, &p, &o, NULL), LDM_OK);
    b = slurp(out_path);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    assert_memory_equal(a.data, "\xff\xd8\xff\xe0\0\x10JFIF", 10); /* APP0 stays first */
    assert_memory_equal(a.data + 20, "\xff\xfe\0\x0d{\"seed\": 7}", 15);
    ldm_free(a.data);
    ldm_free(b.data);
    unlink(out_path);
    ldm_pixels_free(&p);
}

static void test_refused_options(void **state)
{
    static const ldm_jpeg_options wrong[] = {
        {0, LDM_JPEG_444, NULL},          {101, LDM_JPEG_444, NULL},   {-5, LDM_JPEG_444, NULL},
        {90, (ldm_jpeg_sampling)7, NULL}, {90, LDM_JPEG_444, "a\xff"},
    };
    ldm_error err = {0};
    ldm_pixels p = wave(4, 4, 3);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(ldm_jpeg_write(out_path, &p, &wrong[i], &err), LDM_ERR_USAGE);
    assert_int_equal(err.offset, 1);
    assert_int_equal(ldm_jpeg_write("/nonexistent/a.jpg", &p, NULL, &err), LDM_ERR_IO);
    ldm_pixels_free(&p);
    p = wave(4, 4, 4);
    assert_int_equal(ldm_jpeg_write(out_path, &p, NULL, &err), LDM_ERR_USAGE);
    ldm_pixels_free(&p);
    p = wave(LDM_JPEG_MAX_SIDE + 1, 1, 1);
    assert_int_equal(ldm_jpeg_write(out_path, &p, NULL, &err), LDM_ERR_RANGE);
    ldm_pixels_free(&p);
    assert_int_not_equal(access(out_path, F_OK), 0);
    p = wave(LDM_JPEG_MAX_SIDE, 1, 1);
    assert_int_equal(ldm_jpeg_write(out_path, &p, NULL, &err), LDM_OK);
    unlink(out_path);
    ldm_pixels_free(&p);
}

/* ---- comments ---- */

static char *long_text(size_t len)
{
    char *s = malloc(len + 1);
    size_t i;

    assert_non_null(s);
    for (i = 0; i < len; i++)
        s[i] = (char)('!' + (i * 7 + i / 90) % 90);
    s[len] = '\0';
    return s;
}

/* Around the borders of segments; the last lengths need 2, 3 and 64 of them. */
static void test_comments(void **state)
{
    static const size_t lengths[] = {0,     1,     65532,  65533,  65534,
                                     65535, 65536, 131065, 131066, (size_t)4 << 20};
    ldm_pixels p = wave(9, 9, 1), q;
    ldm_error err = {0};
    ldm_text *texts;
    size_t i, count;
    bytes b;
    char *s;

    (void)state;
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        s = long_text(lengths[i]);
        if (ldm_jpeg_write(out_path, &p, &(ldm_jpeg_options){90, LDM_JPEG_444, s}, &err) ||
            ldm_picture_read_texts(out_path, &texts, &count, &err))
            fail_msg("%zu: %s", lengths[i], err.msg);
        assert_int_equal(count, lengths[i] > 0);
        if (count) {
            assert_string_equal(texts[0].key, LDM_JPEG_COMMENT_KEY);
            assert_string_equal(texts[0].value, s);
        }
        ldm_free(texts);
        assert_int_equal(ldm_pixels_read(out_path, 0, 0, &q, &err), LDM_OK);
        ldm_pixels_free(&q);
        free(s);
    }
    /* A full segment is never the last: an empty one follows. */
    s = long_text(65533);
    assert_int_equal(ldm_jpeg_write(out_path, &p, &(ldm_jpeg_options){90, LDM_JPEG_444, s}, &err),
                     LDM_OK);
    b = slurp(out_path);
    assert_memory_equal(b.data + 20, "\xff\xfe\xff\xff", 4);
    assert_memory_equal(b.data + 24, s, 65533);
    assert_memory_equal(b.data + 24 + 65533, "\xff\xfe\0\2\xff\xdb", 6);
    ldm_free(b.data);
    free(s);
    unlink(out_path);
    s = long_text(((size_t)4 << 20) + 1);
    assert_int_equal(ldm_jpeg_write(out_path, &p, &(ldm_jpeg_options){90, LDM_JPEG_444, s}, &err),
                     LDM_ERR_LIMIT);
    free(s);
    ldm_pixels_free(&p);
}

static bytes joined(bytes a, const void *middle, size_t size, size_t at)
{
    bytes b = {malloc(a.size + size), a.size + size};

    assert_non_null(b.data);
    memcpy(b.data, a.data, at);
    memcpy(b.data + at, middle, size);
    memcpy(b.data + at + size, a.data + at, a.size - at);
    return b;
}

static void test_foreign_comments(void **state)
{
    static const char coms[] =
        "\xff\xfe\0\5abc\xff\xfe\0\2\xff\xff\xfe\0\5\xe9\0x\xff\xfe\0\4\xc3\xa9";
    bytes plain = sample("grey.jpg"), b = joined(plain, coms, sizeof coms - 1, 20), many;
    ldm_error err = {0};
    ldm_text *texts;
    size_t count, i;

    (void)state;
    if (ldm_jpeg_read_texts_memory(b.data, b.size, "c.jpg", &texts, &count, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(count, 4);
    assert_string_equal(texts[0].value, "abc");
    assert_string_equal(texts[1].value, "");
    assert_string_equal(texts[2].value, "\xc3\xa9"); /* Latin-1, up to the NUL */
    assert_string_equal(texts[3].value, "\xc3\xa9");
    ldm_free(texts);
    for (i = 0; i < b.size; i++) { /* cut off anywhere */
        assert_int_equal(ldm_jpeg_read_texts_memory(b.data, i, "c.jpg", &texts, &count, &err),
                         LDM_ERR_FORMAT);
        assert_true(!texts && !count);
    }
    for (i = 1000; i <= 1001; i++) { /* as many segments as are read, and one more */
        size_t n;

        many.size = 4 * i;
        many.data = malloc(many.size);
        assert_non_null(many.data);
        for (n = 0; n < i; n++)
            memcpy(many.data + 4 * n, "\xff\xfe\0\2", 4);
        free(b.data);
        b = joined(plain, many.data, many.size, 20);
        free(many.data);
        assert_int_equal(ldm_jpeg_read_texts_memory(b.data, b.size, "c.jpg", &texts, &count, &err),
                         i == 1000 ? LDM_OK : LDM_ERR_LIMIT);
        assert_int_equal(count, i == 1000 ? 1000 : 0);
        ldm_free(texts);
    }
    free(b.data);
    ldm_free(plain.data);
}

/* ---- orientation ---- */

static void test_orientation(void **state)
{
    /* XMP, which is an APP1 too, then EXIF: "II", one entry. */
    static const char xmp[] = "\xff\xe1\0\x0ehttp://ns.ad";
    char exif[] = "\xff\xe1\0\x1e"
                  "Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0";
    bytes plain = sample("grey.jpg"), a, b, c;
    ldm_pixels upright, p, want;
    ldm_error err = {0};
    int o;

    (void)state;
    assert_int_equal(ldm_jpeg_read_memory(plain.data, plain.size, "o", 0, &upright, NULL), LDM_OK);
    assert_int_equal(sizeof exif, 0x1e + 2); /* the string's NUL is the value's last byte */
    for (o = 1; o <= 8; o++) {
        exif[28] = 3; /* of two, the first counts */
        a = joined(plain, exif, sizeof exif, 20);
        exif[28] = (char)o;
        b = joined(a, exif, sizeof exif, 20);
        c = joined(b, xmp, sizeof xmp - 1, 20);
        if (ldm_jpeg_read_memory(c.data, c.size, "o.jpg", 0, &p, &err))
            fail_msg("%s", err.msg);
        want = upright;
        want.data = ldm_malloc(13 * 9);
        memcpy(want.data, upright.data, 13 * 9);
        assert_int_equal(ldm_pixels_orient(&want, o, NULL), LDM_OK); /* exif_test.c */
        assert_true(p.width == (o >= 5 ? 9u : 13u));
        assert_true(psnr(&p, &want) == 99);
        ldm_pixels_free(&p);
        ldm_pixels_free(&want);
        free(a.data);
        free(b.data);
        free(c.data);
    }
    ldm_pixels_free(&upright);
    ldm_free(plain.data);
}

/* ---- damage ---- */

static const unsigned char *frame_of(const bytes *b)
{
    size_t i;

    for (i = 0; i + 9 < b->size; i++)
        if (b->data[i] == 0xff && b->data[i + 1] >= 0xc0 && b->data[i + 1] <= 0xc2)
            return b->data + i;
    fail_msg("no frame");
    return NULL;
}

/* A larger picture, cut at every 64th byte, without and with an end marker stuck on. */
static void test_cut(void **state)
{
    ldm_pixels p = wave(150, 120, 3), q;
    ldm_error err = {0};
    unsigned char *exact;
    size_t n, start;
    bytes b;

    (void)state;
    assert_int_equal(ldm_jpeg_write(out_path, &p, NULL, NULL), LDM_OK);
    b = slurp(out_path);
    start = (size_t)(frame_of(&b) - b.data);
    assert_true(b.size > 4000);
    for (n = 0; n < b.size; n += 64) {
        exact = malloc(n + 2);
        assert_non_null(exact);
        memcpy(exact, b.data, n);
        assert_int_equal(ldm_jpeg_read_memory(exact, n, "cut.jpg", 0, &q, &err), LDM_ERR_FORMAT);
        assert_non_null(strstr(err.msg, "cut.jpg"));
        assert_null(q.data);
        memcpy(exact + n, "\xff\xd9", 2);
        if (n > start && exact[n - 1] != 0xff) {
            assert_int_equal(ldm_jpeg_read_memory(exact, n + 2, "cut.jpg", 0, &q, &err),
                             LDM_ERR_FORMAT);
            assert_non_null(strstr(err.msg, "cut.jpg"));
            assert_null(q.data);
        }
        free(exact);
    }
    ldm_free(b.data);
    unlink(out_path);
    ldm_pixels_free(&p);
}

/* Every changed byte is an error or a picture of the size that the header says. */
static void test_changed_bytes(void **state)
{
    static const char *const names[] = {"progressive_420.jpg", "cmyk.jpg", "turned_6.jpg",
                                        "baseline_422_restart.jpg"};
    size_t i, n, k, errors = 0;
    ldm_pixels q;
    bytes b;

    (void)state;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        b = sample(names[i]);
        for (n = 0; n < b.size; n++)
            for (k = 0; k < 3; k++) {
                const unsigned char was = b.data[n];

                b.data[n] = (unsigned char)(k == 0 ? ~was : k == 1 ? was ^ 1 : 0xff);
                if (ldm_jpeg_read_memory(b.data, b.size, "bit.jpg", 1 << 20, &q, NULL)) {
                    errors++;
                    assert_null(q.data);
                } else {
                    assert_true(q.width && q.height && q.data);
                    ldm_pixels_free(&q);
                }
                b.data[n] = was;
            }
        ldm_free(b.data);
    }
    assert_true(errors > 1000);
}

/* Sizes that a file claims: refused before any memory is taken. */
static void test_hostile_sizes(void **state)
{
    static const struct {
        unsigned width, height;
        uint64_t max_pixels;
        ldm_status status;
    } cases[] = {
        {65500, 65500, 0, LDM_ERR_LIMIT},
        {65500, 65500, UINT64_MAX, LDM_ERR_FORMAT},
        {65535, 65535, UINT64_MAX, LDM_ERR_FORMAT},
        {8000, 7000, 0, LDM_ERR_FORMAT},
        {65500, 100, 0, LDM_ERR_FORMAT},
        {0, 9, 0, LDM_ERR_FORMAT},
        {13, 0, 0, LDM_ERR_FORMAT},
    };
    static const char *const names[] = {"grey.jpg", "progressive_420.jpg", "cmyk.jpg"};
    ldm_error err = {0};
    unsigned char *f;
    size_t i, n;
    ldm_pixels q;
    bytes b;

    (void)state;
    for (n = 0; n < sizeof names / sizeof *names; n++) {
        b = sample(names[n]);
        f = (unsigned char *)frame_of(&b);
        for (i = 0; i < sizeof cases / sizeof *cases; i++) {
            f[5] = (unsigned char)(cases[i].height >> 8);
            f[6] = (unsigned char)cases[i].height;
            f[7] = (unsigned char)(cases[i].width >> 8);
            f[8] = (unsigned char)cases[i].width;
            ldm_alloc_fail_at(0);
            assert_int_equal(
                ldm_jpeg_read_memory(b.data, b.size, "h.jpg", cases[i].max_pixels, &q, &err),
                cases[i].status);
            assert_int_equal(ldm_alloc_fail_at(0), 0);
            assert_null(q.data);
        }
        ldm_free(b.data);
    }
}

/* Files of other kinds, and segments that contradict each other. */
static void test_refused_kinds(void **state)
{
    static const struct {
        size_t at; /* from the frame's marker; beyond it, a place of its own below */
        unsigned char value;
        ldm_status status;
        const char *word;
    } cases[] = {
        {1, 0xc3, LDM_ERR_UNSUPPORTED, "lossless"},
        {1, 0xc5, LDM_ERR_UNSUPPORTED, "hierarchical"},
        {1, 0xc9, LDM_ERR_UNSUPPORTED, "arithmetic"},
        {1, 0xca, LDM_ERR_UNSUPPORTED, "arithmetic"},
        {1, 0xcf, LDM_ERR_UNSUPPORTED, "hierarchical"},
        {1, 0xe5, LDM_ERR_FORMAT, "without a picture"},
        {3, 0x0c, LDM_ERR_FORMAT, "components"}, /* the length */
        {3, 0x01, LDM_ERR_FORMAT, "at least 2"},
        {2, 0xff, LDM_ERR_FORMAT, "cut off"},
        {4, 12, LDM_ERR_UNSUPPORTED, "12 bits"},
        {9, 2, LDM_ERR_FORMAT, "components"},
        {11, 0x01, LDM_ERR_FORMAT, "sampling"},
        {11, 0x15, LDM_ERR_FORMAT, "sampling"},
        {0, 0x00, LDM_ERR_FORMAT, "marker"},
    };
    bytes b = sample("grey.jpg"), two;
    unsigned char *f = (unsigned char *)frame_of(&b), was;
    ldm_error err = {0};
    ldm_pixels q;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        was = f[cases[i].at];
        f[cases[i].at] = cases[i].value;
        if (ldm_jpeg_read_memory(b.data, b.size, "k.jpg", 0, &q, &err) != cases[i].status)
            fail_msg("case %zu: %s", i, err.msg);
        if (!strstr(err.msg, cases[i].word) || !strstr(err.msg, "k.jpg"))
            fail_msg("case %zu: %s", i, err.msg);
        f[cases[i].at] = was;
    }
    two = joined(b, f, 13, (size_t)(f - b.data)); /* the frame twice */
    assert_int_equal(ldm_jpeg_read_memory(two.data, two.size, "k.jpg", 0, &q, &err),
                     LDM_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "two frames"));
    free(two.data);
    two = joined(b, "\xff\xc0\0\x0e\x08\0\1\0\1\2\1\x11\0\2\x11\0", 16, (size_t)(f - b.data));
    assert_int_equal(ldm_jpeg_read_memory(two.data, two.size, "k.jpg", 0, &q, &err),
                     LDM_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "2 components"));
    free(two.data);
    ldm_free(b.data);
}

/* What cameras and phones are known to leave: bytes before the end marker, another file after it.
 */
static void test_stray_bytes(void **state)
{
    static const unsigned char zeros[40] = {0};
    bytes b = sample("progressive_420.jpg"), c, d;
    ldm_error err = {0};
    ldm_pixels p, q;

    (void)state;
    assert_int_equal(ldm_jpeg_read_memory(b.data, b.size, "s.jpg", 0, &p, NULL), LDM_OK);
    c = joined(b, b.data, b.size, b.size);
    d = joined(c, zeros, sizeof zeros, b.size - 2);
    if (ldm_jpeg_read_memory(d.data, d.size, "s.jpg", 0, &q, &err))
        fail_msg("%s", err.msg);
    assert_true(psnr(&p, &q) == 99);
    ldm_pixels_free(&p);
    ldm_pixels_free(&q);
    free(c.data);
    free(d.data);
    ldm_free(b.data);
}

static void test_out_of_memory(void **state)
{
    ldm_pixels p = wave(9, 9, 3), q;
    ldm_jpeg_options o = {90, LDM_JPEG_444, "{\"seed\": 7}"};
    ldm_status st = LDM_ERR_NOMEM;
    unsigned long n;
    ldm_text *texts;
    size_t count;

    (void)state;
    for (n = 1; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_jpeg_write(out_path, &p, &o, NULL);
        ldm_alloc_fail_at(0);
        assert_true(!st || access(out_path, F_OK)); /* no file under the final name */
    }
    assert_true(n > 3);
    for (n = 1, st = LDM_ERR_NOMEM; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_picture_read_texts(out_path, &texts, &count, NULL);
        ldm_alloc_fail_at(0);
        assert_true(!st || (!texts && !count));
    }
    assert_true(n > 3 && count == 1);
    assert_string_equal(texts[0].value, o.comment);
    ldm_free(texts);
    ldm_alloc_fail_at(1);
    assert_int_equal(ldm_pixels_read(out_path, 0, 0, &q, NULL), LDM_ERR_NOMEM);
    ldm_alloc_fail_at(0);
    unlink(out_path);
    ldm_pixels_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_refused_options),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_foreign_comments),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_hostile_sizes),
        cmocka_unit_test(test_refused_kinds),
        cmocka_unit_test(test_stray_bytes),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
