/* SPDX-License-Identifier: MIT */
/* Layouts as token ids: the cases of tests/data/conditioned/layouts.txt are what
 * taming-transformers' ObjectsBoundingBoxConditionalBuilder makes of them (without its shuffling).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/layout.h"

enum { MAX_TOKENS = 92, MAX_LINE = 1 << 14 };

/* Three lines a case: number of tokens in all and of ids, the layout, the ids. */
static void tokens_are_the_originals(void **state)
{
    static char line[MAX_LINE];
    FILE *f = fopen("tests/data/conditioned/layouts.txt", "r");
    float ids[MAX_TOKENS];
    int entries, tokens, cases = 0, i;
    ldm_error err = {.msg = ""};

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *at = line;

        assert_int_equal(sscanf(line, "%d %d", &entries, &tokens), 2);
        assert_in_range(tokens, 1, MAX_TOKENS);
        assert_non_null(fgets(line, sizeof line, f));
        if (ldm_layout_read(line, strlen(line), tokens, entries, ids, NULL, &err))
            fail_msg("case %d: %s", cases, err.msg);
        assert_non_null(fgets(line, sizeof line, f));
        for (i = 0; i < tokens; i++) {
            const long want = strtol(at, &at, 10);

            if ((long)ids[i] != want)
                fail_msg("case %d, id %d: %g, expected %ld", cases, i, (double)ids[i], want);
        }
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, 26);
}

/* Corners lie on a grid of 11 x 11 of 128 tokens; halves go to the even number. */
static void corners_are_rounded(void **state)
{
    static const struct {
        double x, y;
        int token;
    } corners[] = {{0, 0, 0},    {0.05, 0, 0}, {0.15, 0, 2},       {0.25, 0, 2},
                   {0.35, 0, 4}, {1, 0, 10},   {0.5, 0.5, 5 * 12}, {0, 0.04, 0}};
    char text[200];
    float ids[3];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof corners / sizeof corners[0]; i++) {
        snprintf(text, sizeof text, "{\"objects\":[{\"category\":7,\"box\":[%.17g,%.17g,1,1]}]}",
                 corners[i].x, corners[i].y);
        assert_int_equal(ldm_layout_read(text, strlen(text), 3, 128, ids, NULL, NULL), LDM_OK);
        /* A box that begins at the right border is outside of the picture, and left out. */
        assert_int_equal((int)ids[0], corners[i].x < 1 ? 7 : 127);
        if (corners[i].x < 1) {
            assert_int_equal((int)ids[1], corners[i].token);
            assert_int_equal((int)ids[2], 10 * 11 + 10);
        }
    }
}

/* Numbers that no model has room for, in every place. */
static void damaged_ones_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "null",
        "\"objects\"",
        "[[1],2,3]",
        "[1e3,2,3]",
        "[-1,2,3]",
        "[9223372036854775807,2,3]",
        "[99999999999999999999,2,3]",
        "{\"tokens\":[1,2,3],\"objects\":[]}",
        "{\"tokens\":{}}",
        "{\"objects\":[null]}",
        "{\"objects\":[{}]}",
        "{\"objects\":[{\"category\":1}]}",
        "{\"objects\":[{\"category\":127,\"box\":[0,0,1,1]}]}",
        "{\"objects\":[{\"category\":1,\"box\":[0,0,0,1]}]}",
        "{\"objects\":[{\"category\":1,\"box\":[0,0,1e300,1]}]}",
        "{\"objects\":[{\"category\":1,\"box\":[0,0,1,1,1]}]}",
        "{\"objects\":[{\"category\":1,\"box\":[0,0,\"1\",1]}]}",
        "{\"objects\":[{\"category\":1,\"box\":[0,0,1,1],\"group\":1}],\"classes\":9}",
        "{\"objects\":[],\"classes\":-1}",
        "{\"objects\":[],\"classes\":1e9}",
        "{\"objects\":[],\"crop\":[0,0,2,1]}",
        "{\"objects\":[],\"crop\":[]}",
        "{\"objects\":{}}",
        "{\"objects\":[{\"category\":1,\"box\":[10,20,100,40]}]}",
        "{\"objects\":[{\"category\":1,\"box\":[0,0,3,1]}]}",
        "{\"objects\":[],\"crop\":[0,0,64,64]}",
    };
    float ids[3] = {0};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ldm_error err = {.msg = ""};

        if (ldm_layout_read(bad[i], strlen(bad[i]), 3, 128, ids, NULL, &err) != LDM_ERR_USAGE)
            fail_msg("%s: accepted, or \"%s\"", bad[i], err.msg);
        assert_true(strlen(err.msg) > 10);
    }
    /* Four ids are neither objects nor objects and a crop. */
    assert_int_equal(ldm_layout_read("{\"objects\":[]}", 14, 4, 128, (float[4]){0}, NULL, NULL),
                     LDM_ERR_UNSUPPORTED);
    assert_int_equal(ldm_layout_read("[1,2,3,4]", 9, 4, 128, (float[4]){0}, NULL, NULL), LDM_OK);
}

/* Boxes that leave the picture are cut as the original cuts them, and said; what was rounded is
 * not. */
static void odd_boxes_are_said(void **state)
{
    static const struct {
        const char *box;
        int outside, cut;
        const char *words;
    } cases[] = {
        {"[0, 0, 1, 1]", 0, 0, ""},
        {"[0.333, 0.667, 0.667, 0.334]", 0, 0, ""},
        {"[-0.005, 0, 0.5, 0.5]", 0, 0, ""},
        {"[-0.5, 0, 0.2, 0.2]", 1, 0, "[-0.5, 0, 0.2, 0.2], lies outside"},
        {"[0, 1.2, 0.2, 0.2]", 1, 0, "lies outside"},
        {"[-0.5, 0, 0.7, 0.2]", 0, 1, "reaches out of the picture and is cut at the border"},
        {"[0.5, 0.5, 0.9, 0.9]", 0, 1, "as two corners, its width and height are 0.4 and 0.4"},
    };
    char text[200];
    float ids[3];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ldm_layout_odd odd;

        snprintf(text, sizeof text, "{\"objects\":[{\"category\":7,\"box\":%s}]}", cases[i].box);
        assert_int_equal(ldm_layout_read(text, strlen(text), 3, 128, ids, &odd, NULL), LDM_OK);
        assert_int_equal(odd.outside_count, cases[i].outside);
        assert_int_equal(odd.cut_count, cases[i].cut);
        assert_non_null(strstr(odd.outside_count ? odd.outside : odd.cut, cases[i].words));
        assert_int_equal((int)ids[0], cases[i].outside ? 127 : 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_the_originals),
        cmocka_unit_test(corners_are_rounded),
        cmocka_unit_test(damaged_ones_are_refused),
        cmocka_unit_test(odd_boxes_are_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
