/* SPDX-License-Identifier: MIT */
/* Tests of the cascade detector: OpenCV's own rectangles on two sheets of pictures, for a small
 * synthetic cascade that is always here and for the face cascade where it is installed; and cascade
 * files that lie. tests/data/haar/make.py made the data. */
#include "image/haar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

static const char data_folder[] = "tests/data/haar";

typedef struct sheet {
    ldm_picture rgb;
    uint8_t *grey;
} sheet;

static sheet read_sheet(const char *name)
{
    ldm_error err = {0};
    char path[256];
    sheet s;

    snprintf(path, sizeof path, "%s/%s.png", data_folder, name);
    if (ldm_picture_read(path, 0, &s.rgb, &err))
        fail_msg("%s", err.msg);
    s.grey = ldm_malloc((size_t)s.rgb.width * s.rgb.height);
    assert_non_null(s.grey);
    ldm_picture_grey(&s.rgb, s.grey);
    return s;
}

static void drop_sheet(sheet *s)
{
    ldm_picture_free(&s->rgb);
    ldm_free(s->grey);
}

/* The next whole number in *at. */
static int next_int(char **at)
{
    char *end;
    long v = strtol(*at, &end, 10);

    assert_ptr_not_equal(end, *at);
    *at = end;
    return (int)v;
}

/* One line of expected.txt after its two names. Returns how many rectangles agreed. */
static size_t check_line(const ldm_haar *h, const sheet *s, char *numbers, const char *line)
{
    char *at = numbers;
    const int x = next_int(&at), y = next_int(&at), w = next_int(&at), height = next_int(&at);
    const int neighbours = next_int(&at), want = next_int(&at);
    uint8_t *tile = ldm_malloc((size_t)w * (size_t)height);
    ldm_rect *found;
    size_t count, i;
    int row;

    assert_non_null(tile);
    for (row = 0; row < height; row++)
        memcpy(tile + (size_t)row * (size_t)w, s->grey + (size_t)(y + row) * s->rgb.width + x,
               (size_t)w);
    assert_int_equal(ldm_haar_detect(h, tile, (uint32_t)w, (uint32_t)height, 1.1, neighbours,
                                     &found, &count, NULL),
                     LDM_OK);
    if (count != (size_t)want)
        fail_msg("%.60s: %zu rectangles, OpenCV has %d", line, count, want);
    for (i = 0; i < count; i++) {
        const int rx = next_int(&at), ry = next_int(&at), rw = next_int(&at), rh = next_int(&at);
        const ldm_rect *r = &found[i];

        if (r->x != rx || r->y != ry || r->width != rw || r->height != rh)
            fail_msg("%.60s: rectangle %zu is %d %d %d %d, OpenCV has %d %d %d %d", line, i, r->x,
                     r->y, r->width, r->height, rx, ry, rw, rh);
    }
    ldm_free(found);
    ldm_free(tile);
    return count;
}

static void compare_with_opencv(const ldm_haar *h, const char *cascade)
{
    sheet faces = read_sheet("faces"), fields = read_sheet("fields");
    char path[256], *text, *line, *rest;
    size_t size, searches = 0, rects = 0;

    snprintf(path, sizeof path, "%s/expected.txt", data_folder);
    assert_int_equal(ldm_file_read(path, 1 << 20, &text, &size, NULL), LDM_OK);
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char which[32], on[32];
        int used;

        assert_int_equal(sscanf(line, "%31s %31s %n", which, on, &used), 2);
        if (strcmp(which, cascade))
            continue;
        rects += check_line(h, strcmp(on, "faces") ? &fields : &faces, line + used, line);
        searches++;
    }
    print_message("%s cascade: %zu searches, %zu rectangles as OpenCV's\n", cascade, searches,
                  rects);
    assert_true(searches > 20 && rects > 20);
    ldm_free(text);
    drop_sheet(&faces);
    drop_sheet(&fields);
}

static ldm_haar *load_synthetic(void)
{
    char path[256];
    ldm_error err = {0};
    ldm_haar *h;

    snprintf(path, sizeof path, "%s/synthetic.xml", data_folder);
    if (ldm_haar_load(path, &h, &err))
        fail_msg("%s", err.msg);
    return h;
}

static void test_synthetic(void **state)
{
    ldm_haar *h = load_synthetic();

    (void)state;
    compare_with_opencv(h, "synthetic");
    ldm_haar_free(h);
}

static void test_face_cascade(void **state)
{
    ldm_error err = {0};
    ldm_rect *found;
    ldm_picture tile;
    ldm_haar *h;
    sheet s;
    size_t count, i, y, with_face = 0;

    (void)state;
    if (ldm_haar_load_face(NULL, &h, &err)) {
        print_message("skipped: OpenCV's face cascade (%s)\n", err.msg);
        assert_non_null(strstr(err.msg, "opencv-data"));
        skip();
    }
    compare_with_opencv(h, "face");
    s = read_sheet("faces");
    assert_int_equal(ldm_picture_create(96, 96, &tile, NULL), LDM_OK);
    for (i = 0; i < 24; i++) {
        const size_t left = i % 6 * 96, top = i / 6 * 96;

        for (y = 0; y < 96; y++)
            memcpy(tile.rgb + y * 288, s.rgb.rgb + 3 * ((top + y) * s.rgb.width + left), 288);
        assert_int_equal(ldm_haar_faces(h, &tile, &found, &count, NULL), LDM_OK);
        with_face += count > 0;
        if (count) /* in the tile's own pixels, not in those of its enlargement */
            assert_true(found[0].x + found[0].width <= 97 && found[0].width > 20);
        ldm_free(found);
    }
    print_message("faces found in %zu of 24 portraits\n", with_face);
    assert_true(with_face >= 22);
    memset(tile.rgb, 128, 96 * 288);
    assert_int_equal(ldm_haar_faces(h, &tile, &found, &count, NULL), LDM_OK);
    assert_true(count == 0 && !found);
    ldm_picture_free(&tile);
    drop_sheet(&s);
    ldm_haar_free(h);
}

static void test_small_pictures(void **state)
{
    uint8_t grey[14 * 12] = {0};
    ldm_haar *h = load_synthetic();
    ldm_picture strip;
    ldm_rect *found;
    ldm_error err = {0};
    uint32_t w, height;
    size_t count;

    (void)state;
    for (w = 0; w < sizeof grey; w++)
        grey[w] = (uint8_t)(w * 97);
    for (w = 1; w <= 14; w++)
        for (height = 1; height <= 12; height++) {
            assert_int_equal(ldm_haar_detect(h, grey, w, height, 1.1, 0, &found, &count, NULL),
                             LDM_OK);
            assert_true(count == 0 || (w == 14 && height == 12));
            ldm_free(found);
        }
    assert_int_equal(ldm_haar_detect(h, grey, 14, 12, 1.0, 0, &found, &count, &err), LDM_ERR_USAGE);
    /* A strip that enlarging would make 192 x 11,520,000 pixels. */
    assert_int_equal(ldm_picture_create(1, 60000, &strip, NULL), LDM_OK);
    assert_int_equal(ldm_haar_faces(h, &strip, &found, &count, &err), LDM_OK);
    assert_int_equal(count, 0);
    ldm_picture_free(&strip);
    ldm_haar_free(h);
}

/* The synthetic cascade with one piece of text replaced. */
static void test_broken_cascades(void **state)
{
    static const struct {
        const char *from, *to;
        ldm_status st;
        const char *part; /* of the message */
    } cases[] = {
        {"<?xml", "<!DOCTYPE a [<!ENTITY b \"c\">]><!-- ", LDM_ERR_FORMAT, "document type"},
        {"BOOST", "OTHER", LDM_ERR_UNSUPPORTED, "stageType"},
        {"HAAR", "LBP", LDM_ERR_UNSUPPORTED, "featureType"},
        {"<height>12", "<height>1", LDM_ERR_FORMAT, "window of"},
        {"<height>12", "<height>5", LDM_ERR_FORMAT, "beyond"},
        {"<width>14", "<width>1e9", LDM_ERR_FORMAT, "window of"},
        {"<width>14", "<width>14.5", LDM_ERR_FORMAT, "whole number"},
        {"<width>14", "<width>nan", LDM_ERR_FORMAT, "not a number"},
        {"<tilted>0", "<tilted>1", LDM_ERR_UNSUPPORTED, "tilted"},
        {"<internalNodes>", "<internalNodes>7 ", LDM_ERR_FORMAT, "internalNodes"},
        {"<internalNodes>", "<internalNodes>0 -1 99 0 ", LDM_ERR_FORMAT, "leafValues"},
        {"<leafValues>", "<leafValues>1 ", LDM_ERR_FORMAT, "leafValues"},
        {"<leafValues>", "<other>", LDM_ERR_FORMAT, "mismatched"},
        {"stageThreshold>-", "stageThreshold>x", LDM_ERR_FORMAT, "not a number"},
        {"<stages>", "<stage>", LDM_ERR_FORMAT, "mismatched"},
        {"<rects>", "<rects><_>1 2 3 4</_>", LDM_ERR_FORMAT, "rectangles"},
        {"<rects>", "<rects><_>-1 0 1 1 1.</_>", LDM_ERR_FORMAT, "in the window"},
        {"<cascade ", "<cascaded ", LDM_ERR_FORMAT, "mismatched"},
    };
    static const char trees[][2][160] = {
        /* a node that leads to itself, to a missing node, to a missing leaf, to a missing feature
         */
        {"1 0 0 0. -1 -2 0 0.", ""},
        {"-1 1 0 0. 1 -2 0 0.", "nowhere"},
        {"2 0 0 0. -1 -2 0 0.", "nowhere"},
        {"1 -3 0 0. -1 -2 0 0.", "nowhere"},
        {"1 0 1 0. -1 -2 0 0.", "uses feature 1 of 1"},
        {"1 0 -1 0. -1 -2 0 0.", "uses feature -1"},
    };
    char path[] = "/tmp/ldm-haar-XXXXXX", source[256], *text, changed[8192];
    ldm_error err = {0};
    ldm_haar *h;
    size_t size, i;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(source, sizeof source, "%s/synthetic.xml", data_folder);
    assert_int_equal(ldm_file_read(source, sizeof changed / 2, &text, &size, NULL), LDM_OK);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(text, cases[i].from);
        ldm_status st;

        assert_non_null(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, cases[i].to,
                 at + strlen(cases[i].from));
        assert_int_equal(ldm_file_write(path, changed, strlen(changed), NULL), LDM_OK);
        st = ldm_haar_load(path, &h, &err);
        if (st != cases[i].st || !strstr(err.msg, cases[i].part))
            fail_msg("%s: %s '%s', expected %s '%s'", cases[i].to, ldm_status_name(st), err.msg,
                     ldm_status_name(cases[i].st), cases[i].part);
        assert_null(h);
    }
    for (i = 0; i < sizeof trees / sizeof *trees; i++) {
        ldm_status st;

        snprintf(changed, sizeof changed,
                 "<opencv_storage><cascade><width>9</width><height>9</height><stages><_>"
                 "<stageThreshold>0</stageThreshold><weakClassifiers><_><internalNodes>%s"
                 "</internalNodes><leafValues>1 2 3</leafValues></_></weakClassifiers></_></stages>"
                 "<features><_><rects><_>0 0 9 9 -1.</_><_>0 0 3 9 3.</_></rects></_></features>"
                 "</cascade></opencv_storage>",
                 trees[i][0]);
        assert_int_equal(ldm_file_write(path, changed, strlen(changed), NULL), LDM_OK);
        st = ldm_haar_load(path, &h, &err);
        if (*trees[i][1] ? !st || !strstr(err.msg, trees[i][1]) : st != LDM_OK)
            fail_msg("%s: %s '%s', expected '%s'", trees[i][0], ldm_status_name(st),
                     st ? err.msg : "", trees[i][1]);
        ldm_haar_free(h);
    }
    for (i = 0; i < size; i += 7) { /* truncated */
        assert_int_equal(ldm_file_write(path, text, i, NULL), LDM_OK);
        assert_int_not_equal(ldm_haar_load(path, &h, NULL), LDM_OK);
    }
    unlink(path);
    ldm_free(text);
    assert_int_equal(ldm_haar_load("/nonexistent.xml", &h, &err), LDM_ERR_IO);
}

/* `head`, then `unit` with its number for %d, `count` times. */
static void refuse_long(const char *head, const char *unit, int count, const char *part)
{
    ldm_str text = {0};
    ldm_error err = {0};
    ldm_haar *h;
    ldm_status st;
    int i;

    ldm_str_puts(&text, head);
    for (i = 0; i < count; i++) {
        const char *percent = strchr(unit, '%');

        ldm_str_append(&text, unit, percent ? (size_t)(percent - unit) : strlen(unit));
        if (percent)
            ldm_str_printf(&text, "%d%s", i, percent + 2);
    }
    assert_false(text.failed);
    st = ldm_haar_load_memory(text.data, text.len, "long.xml", &h, &err);
    if (st != LDM_ERR_LIMIT || !strstr(err.msg, part) || !strstr(err.msg, "long.xml:"))
        fail_msg("%s: %s '%s', expected '%s'", unit, ldm_status_name(st), err.msg, part);
    assert_null(h);
    ldm_str_free(&text);
}

/* expat keeps each name it meets, and goes over what has no end yet again and again. */
static void test_long_cascades(void **state)
{
    (void)state;
    refuse_long("<opencv_storage><cascade>", "<a%d/>", 1001, "other names");
    refuse_long("<opencv_storage><cascade>", "<_ a%d=\"\"/>", 1001, "attributes");
    refuse_long("<opencv_storage><cascade>", "<_/>", 1 << 20, "too many elements");
    refuse_long("<opencv_storage ", "a%d=\"\" ", 40000, "one piece of markup");
    refuse_long("<opencv_storage><!-- ", "comment ", 40000, "one piece of markup");
}

/* Every window of a cascade that says yes to all: the hits are bounded, and so is their grouping.
 */
static void test_too_many_hits(void **state)
{
    static const char yes[] =
        "<opencv_storage><cascade><width>9</width><height>9</height><stages><_>"
        "<stageThreshold>0</stageThreshold><weakClassifiers><_><internalNodes>0 -1 0 "
        "0.</internalNodes>"
        "<leafValues>1 1</leafValues></_></weakClassifiers></_></stages>"
        "<features><_><rects><_>0 0 9 9 -1.</_><_>0 0 3 9 3.</_></rects></_></features>"
        "</cascade></opencv_storage>";
    enum { SIDE = 400 };
    uint8_t *grey = ldm_malloc(SIDE * SIDE);
    ldm_error err = {0};
    ldm_rect *found;
    ldm_haar *h;
    size_t count, i;

    (void)state;
    assert_non_null(grey);
    for (i = 0; i < SIDE * SIDE; i++)
        grey[i] = (uint8_t)(i * 97);
    assert_int_equal(ldm_haar_load_memory(yes, sizeof yes - 1, "yes", &h, &err), LDM_OK);
    assert_int_equal(ldm_haar_detect(h, grey, SIDE, SIDE, 1.1, 3, &found, &count, &err),
                     LDM_ERR_LIMIT);
    assert_true(!found && strstr(err.msg, "candidates"));
    ldm_haar_free(h);
    ldm_free(grey);
}

static void test_out_of_memory(void **state)
{
    sheet s = read_sheet("fields");
    ldm_status st = LDM_ERR_NOMEM;
    ldm_haar *h = NULL;
    ldm_rect *found;
    unsigned long n;
    char path[256];
    size_t count;

    (void)state;
    snprintf(path, sizeof path, "%s/synthetic.xml", data_folder);
    for (n = 1; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_haar_load(path, &h, NULL);
        ldm_alloc_fail_at(0);
        assert_true(!st == !!h);
    }
    assert_true(n > 8);
    st = LDM_ERR_NOMEM;
    for (n = 1; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_haar_detect(h, s.grey, 96, 96, 1.1, 3, &found, &count, NULL);
        ldm_alloc_fail_at(0);
        assert_true(!st || (st == LDM_ERR_NOMEM && !found));
    }
    ldm_free(found);
    assert_true(n > 8);
    ldm_haar_free(h);
    drop_sheet(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic),      cmocka_unit_test(test_face_cascade),
        cmocka_unit_test(test_small_pictures), cmocka_unit_test(test_broken_cascades),
        cmocka_unit_test(test_long_cascades),  cmocka_unit_test(test_too_many_hits),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
