/* SPDX-License-Identifier: MIT */
/* Masks by pictures: outside of what is painted the bytes are the input's own, whatever size and
 * kind of picture, with every sampler that takes masks; and inside something is painted. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

static ldm_image make_picture(int width, int height, int channels, int seed)
{
    ldm_image im = {width, height, channels, NULL};
    size_t i, n = (size_t)width * (size_t)height * (size_t)channels;
    uint32_t state = (uint32_t)seed * 2654435761u + 1;

    im.pixels = malloc(n);
    assert_non_null(im.pixels);
    for (i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        im.pixels[i] = (uint8_t)(channels == 4 && i % 4 == 3 ? 255 : state >> 24);
    }
    return im;
}

/* White in a rectangle, with a hole of one pixel. */
static bool in_hole(int x, int y, int width, int height)
{
    return x == width / 2 && y == height / 2;
}

static bool painted(int x, int y, int width, int height)
{
    return x >= width / 4 && x < width - width / 4 && y >= height / 3 && y < height &&
           !in_hole(x, y, width, height);
}

static ldm_image make_mask(int width, int height, int channels)
{
    ldm_image im = {width, height, channels, NULL};
    int x, y, c;

    im.pixels = calloc((size_t)width * (size_t)height, (size_t)channels);
    assert_non_null(im.pixels);
    for (y = 0; y < height; y++) {
        for (x = 0; x < width; x++) {
            for (c = 0; c < channels; c++)
                im.pixels[(y * width + x) * channels + c] = c == 3                         ? 255
                                                            : painted(x, y, width, height) ? 250
                                                                                           : 5;
        }
    }
    return im;
}

static ldm_job *make_job(const char *sampler, const ldm_image *im, const ldm_image *mask)
{
    ldm_error err = {.msg = ""};
    ldm_job *job;

    if (ldm_job_create(NULL, &job, &err) || ldm_job_set(job, "sampler", sampler, &err) ||
        ldm_job_set_int(job, "steps", 5, &err) || ldm_job_set_images(job, "init", im, 1, &err) ||
        ldm_job_set_images(job, "mask", mask, mask ? 1 : 0, &err))
        fail_msg("%s", err.msg);
    return job;
}

/* A run and its only picture. */
static const ldm_result *run_one(const ldm_model *m, const ldm_job *job, ldm_run **run)
{
    ldm_error err = {.msg = ""};
    const ldm_result *res = NULL;

    if (ldm_run_create(m, job, run, &err) || ldm_run_next(*run, &res, &err))
        fail_msg("%s", err.msg);
    assert_non_null(res);
    assert_int_equal(res->status, LDM_OK);
    assert_true(ldm_run_get_info(*run)->composed);
    return res;
}

static uint8_t source_byte(const ldm_image *im, int x, int y, int c)
{
    return im->pixels[(y * im->width + x) * im->channels + (im->channels == 1 ? 0 : c)];
}

/* left, top: where the input lies in the result. Returns how many painted bytes differ. */
static int compare(const ldm_result *r, const ldm_image *im, int left, int top)
{
    int x, y, c, changed = 0;

    for (y = 0; y < r->height; y++) {
        for (x = 0; x < r->width; x++) {
            const int sx = x - left, sy = y - top;
            const bool inside = sx >= 0 && sy >= 0 && sx < im->width && sy < im->height;

            for (c = 0; inside && c < 3; c++) {
                const uint8_t got = r->pixels[(y * r->width + x) * 3 + c];

                if (painted(sx, sy, im->width, im->height))
                    changed += got != source_byte(im, sx, sy, c);
                else if (got != source_byte(im, sx, sy, c))
                    fail_msg("%d x %d: pixel %d,%d has %d, the input %d", im->width, im->height, x,
                             y, got, source_byte(im, sx, sy, c));
            }
        }
    }
    return changed;
}

static void sizes_and_kinds(void **state)
{
    static const struct {
        int width, height, channels, mask_channels;
    } cases[] = {
        {64, 64, 3, 1}, {61, 37, 3, 3}, {37, 61, 1, 1},  {50, 33, 4, 4},
        {5, 7, 3, 1},   {9, 3, 1, 3},   {128, 40, 4, 1},
    };
    ldm_model *m = open_tiny(NULL);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ldm_image im = make_picture(cases[i].width, cases[i].height, cases[i].channels, (int)i);
        ldm_image mask = make_mask(cases[i].width, cases[i].height, cases[i].mask_channels);
        ldm_job *job = make_job("ddim", &im, &mask);
        ldm_run *run;
        const ldm_result *res = run_one(m, job, &run);

        assert_int_equal(res->width, im.width);
        assert_int_equal(res->height, im.height);
        assert_true(compare(res, &im, 0, 0) > 0);
        ldm_run_free(run);
        ldm_job_free(job);
        free(im.pixels);
        free(mask.pixels);
    }
    ldm_model_close(m);
}

static void every_sampler(void **state)
{
    const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_JOB, "sampler");
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(41, 52, 3, 3), mask = make_mask(41, 52, 1);
    const char *name;
    size_t i;

    (void)state;
    for (i = 0; (name = ldm_setting_choice(row, i)); i++) {
        ldm_job *job = make_job(name, &im, &mask);
        ldm_run *run;

        assert_true(compare(run_one(m, job, &run), &im, 0, 0) > 0);
        ldm_run_free(run);
        assert_int_equal(ldm_job_set_real(job, "strength", 0.5, NULL), LDM_OK);
        assert_true(compare(run_one(m, job, &run), &im, 0, 0) > 0);
        ldm_run_free(run);
        ldm_job_free(job);
    }
    free(im.pixels);
    free(mask.pixels);
    ldm_model_close(m);
}

/* The transparent part is painted; what its colours are does not matter. */
static void alpha_is_the_mask(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(43, 30, 4, 8), other;
    ldm_job *job;
    const ldm_result *res;
    ldm_run *run;
    uint8_t *first;
    int x, y;

    (void)state;
    for (y = 0; y < im.height; y++) {
        for (x = 0; x < im.width; x++)
            im.pixels[4 * (y * im.width + x) + 3] = painted(x, y, im.width, im.height) ? 30 : 200;
    }
    job = make_job("ddim", &im, NULL);
    res = run_one(m, job, &run);
    assert_true(compare(res, &im, 0, 0) > 0);
    first = malloc(43 * 30 * 3);
    assert_non_null(first);
    memcpy(first, res->pixels, 43 * 30 * 3);
    ldm_run_free(run);
    other = make_picture(43, 30, 4, 8);
    for (y = 0; y < im.height; y++) {
        for (x = 0; x < im.width; x++) {
            uint8_t *p = other.pixels + 4 * (y * im.width + x);

            p[3] = im.pixels[4 * (y * im.width + x) + 3];
            if (p[3] < 128)
                memset(p, 0, 3);
        }
    }
    assert_int_equal(ldm_job_set_images(job, "init", &other, 1, NULL), LDM_OK);
    res = run_one(m, job, &run);
    assert_int_equal(ldm_job_get_int(ldm_run_get_job(run), "mask_blur"), 4);
    for (y = 0; y < im.height; y++) {
        for (x = 0; x < im.width; x++) {
            if (!painted(x, y, im.width, im.height))
                assert_memory_equal(first + 3 * (y * 43 + x), res->pixels + 3 * (y * 43 + x), 3);
        }
    }
    ldm_run_free(run);
    ldm_job_free(job);
    free(first);
    free(im.pixels);
    free(other.pixels);
    ldm_model_close(m);
}

/* A picture with a hole in the middle whose pixels have this alpha and these colours. */
static const ldm_result *run_with_hole(const ldm_model *m, uint8_t alpha, uint8_t grey,
                                       const char *fit, ldm_run **run)
{
    ldm_image im = make_picture(40, 32, 4, 9);
    const ldm_result *res;
    ldm_job *job;
    int x, y;

    for (y = 0; y < im.height; y++) {
        for (x = 0; x < im.width; x++) {
            uint8_t *p = im.pixels + 4 * (y * im.width + x);

            memset(p, x >= 8 && x < 32 && y >= 8 && y < 24 ? grey : 200, 3);
            p[3] = x >= 8 && x < 32 && y >= 8 && y < 24 ? alpha : 255;
        }
    }
    job = make_job("ddim", &im, NULL);
    assert_int_equal(ldm_job_set(job, "fit", fit, NULL), LDM_OK);
    res = run_one(m, job, run);
    ldm_job_free(job);
    free(im.pixels);
    return res;
}

/* Nothing shows through a hole but colours that the picture has there, by their alpha. */
static void holes_show_what_is_there(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_run *empty, *half, *other;
    const ldm_result *a = run_with_hole(m, 0, 0, "keep", &empty);
    const ldm_result *b = run_with_hole(m, 100, 30, "keep", &half);
    const ldm_result *c = run_with_hole(m, 0, 255, "keep", &other);
    int x, y, k;

    (void)state;
    assert_memory_equal(a->pixels, c->pixels, 40 * 32 * 3);
    for (y = 0; y < 32; y++) {
        for (x = 0; x < 40; x++) {
            for (k = 0; k < 3; k++) {
                const int painted = a->pixels[(y * 40 + x) * 3 + k];
                const bool hole = x >= 8 && x < 32 && y >= 8 && y < 24;
                const double want = hole ? 30 + (1 - 100 / 255.0) * (painted - 30) : 200;

                assert_true(fabs(b->pixels[(y * 40 + x) * 3 + k] - want) < 0.501);
            }
        }
    }
    ldm_run_free(empty);
    ldm_run_free(half);
    ldm_run_free(other);
    a = run_with_hole(m, 0, 0, "crop", &empty); /* resized, too */
    c = run_with_hole(m, 0, 255, "crop", &other);
    assert_memory_equal(a->pixels, c->pixels, (size_t)a->width * (size_t)a->height * 3);
    ldm_run_free(empty);
    ldm_run_free(other);
    ldm_model_close(m);
}

/* Room beside the picture is painted, and the picture stays. */
static void outpainting(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(30, 21, 3, 5), none = make_mask(30, 21, 1);
    ldm_job *job = make_job("ddim", &im, NULL);
    const ldm_result *res;
    ldm_run *run;
    int x, y, c;

    (void)state;
    assert_int_equal(ldm_job_set(job, "pad", "3,0,10,7", NULL), LDM_OK);
    res = run_one(m, job, &run);
    assert_int_equal(res->width, 43);
    assert_int_equal(res->height, 28);
    for (y = 0; y < 21; y++) {
        for (x = 0; x < 30; x++) {
            for (c = 0; c < 3; c++)
                assert_int_equal(res->pixels[(y * 43 + x + 3) * 3 + c], source_byte(&im, x, y, c));
        }
    }
    ldm_run_free(run);
    assert_int_equal(ldm_job_set_images(job, "mask", &none, 1, NULL), LDM_OK);
    assert_true(compare(run_one(m, job, &run), &im, 3, 0) > 0);
    ldm_run_free(run);
    ldm_job_free(job);
    free(im.pixels);
    free(none.pixels);
    ldm_model_close(m);
}

/* Resized to the model's size, the picture as resized is what stays. */
static void resized(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(200, 200, 3, 5), mask = make_mask(200, 200, 1), small;
    ldm_job *job = make_job("ddim", &im, &mask), *plain = make_job("ddim", &im, NULL);
    const ldm_result *res;
    ldm_run *run;
    size_t i, kept = 0;

    (void)state;
    assert_int_equal(ldm_job_set(job, "fit", "crop", NULL), LDM_OK);
    res = run_one(m, job, &run);
    assert_int_equal(res->width, 64);
    /* A mask of the other half keeps the other bytes: together they are the resized picture. */
    small = (ldm_image){64, 64, 3, malloc(64 * 64 * 3)};
    assert_non_null(small.pixels);
    memcpy(small.pixels, res->pixels, 64 * 64 * 3);
    ldm_run_free(run);
    assert_int_equal(ldm_job_set_u64(job, "seed", 7, NULL), LDM_OK);
    res = run_one(m, job, &run);
    for (i = 0; i < 64 * 64; i++)
        kept += !memcmp(small.pixels + 3 * i, res->pixels + 3 * i, 3);
    assert_true(kept >= 64 * 64 / 2);
    assert_true(kept < 64 * 64);
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_job_free(plain);
    free(im.pixels);
    free(mask.pixels);
    free(small.pixels);
    ldm_model_close(m);
}

static void expect_refused(const ldm_model *m, const ldm_job *job, const char *what)
{
    ldm_error err = {.msg = ""};
    ldm_run *run;

    assert_int_equal(ldm_run_create(m, job, &run, &err), LDM_ERR_USAGE);
    if (!strstr(err.msg, what))
        fail_msg("'%s' does not say '%s'", err.msg, what);
}

static void refusals(void **state)
{
    static const char *const pads[] = {"",  "1,2",      "-1",       "1,2,3,", "1,2,3,4,5",
                                       "a", "99999999", "1, 2,3,4", ",1",     "1,,2,3"};
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(20, 20, 3, 1), mask = make_mask(20, 20, 1);
    ldm_image wrong = make_mask(20, 21, 1), masks[2] = {mask, mask};
    ldm_job *job = make_job("ddim", &im, &wrong);
    size_t i;

    (void)state;
    expect_refused(m, job, "make them one size");
    memset(wrong.pixels, 0, 20 * 21);
    wrong.height = 20;
    expect_refused(m, job, "dark everywhere");
    assert_int_equal(ldm_job_set_images(job, "mask", masks, 2, NULL), LDM_OK);
    expect_refused(m, job, "2 masks for 1 pictures");
    assert_int_equal(ldm_job_set_images(job, "init", NULL, 0, NULL), LDM_OK);
    expect_refused(m, job, "needs the picture");
    assert_int_equal(ldm_job_set_images(job, "mask", NULL, 0, NULL), LDM_OK);
    assert_int_equal(ldm_job_set(job, "pad", "8", NULL), LDM_OK);
    expect_refused(m, job, "pad needs a picture");
    assert_int_equal(ldm_job_set_images(job, "init", &im, 1, NULL), LDM_OK);
    for (i = 0; i < sizeof pads / sizeof *pads; i++) {
        ldm_error err = {.msg = ""};
        ldm_run *run;

        if (!ldm_job_set(job, "pad", pads[i], &err))
            assert_int_equal(ldm_run_create(m, job, &run, &err), LDM_ERR_USAGE);
        assert_non_null(strstr(err.msg, "pad"));
    }
    assert_int_equal(ldm_job_set_int(job, "mask_blur", 257, NULL), LDM_ERR_USAGE);
    ldm_job_free(job);
    free(im.pixels);
    free(mask.pixels);
    free(wrong.pixels);
    ldm_model_close(m);
}

/* A mask of one colour, and its shape in its alpha. */
static void shape_in_alpha(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(20, 20, 3, 1), mask = make_mask(20, 20, 4);
    ldm_job *job = make_job("ddim", &im, &mask);
    const size_t bytes = (size_t)4 * 20 * 20;
    ldm_run *run;
    size_t i;

    (void)state;
    for (i = 0; i < bytes; i += 4) {
        mask.pixels[i + 3] = mask.pixels[i];
        memset(mask.pixels + i, 255, 3);
    }
    expect_refused(m, job,
                   "shape in its alpha channel, and its colours alone count, which are "
                   "light everywhere");
    for (i = 0; i < bytes; i += 4)
        memset(mask.pixels + i, 0, 3);
    expect_refused(m, job, "which are dark everywhere");
    assert_int_equal(ldm_job_set(job, "pad", "4", NULL), LDM_OK); /* painted in any case */
    expect_refused(m, job, "shape in its alpha channel");
    assert_int_equal(ldm_job_set(job, "pad", "0", NULL), LDM_OK);
    mask.pixels[0] = mask.pixels[1] = mask.pixels[2] = 255; /* its colours have a shape */
    run_one(m, job, &run);
    ldm_run_free(run);
    for (i = 0; i < bytes; i += 4)
        memset(mask.pixels + i, 255, 4); /* all of it is painted, and no alpha says otherwise */
    run_one(m, job, &run);
    ldm_run_free(run);
    ldm_job_free(job);
    free(im.pixels);
    free(mask.pixels);
    ldm_model_close(m);
}

static bool warns_of_colours(const ldm_model *m, const ldm_job *job)
{
    ldm_run *run;
    bool found = false;

    run_one(m, job, &run);
    for (size_t i = 0; i < ldm_run_note_count(run); i++)
        found = found || strstr(ldm_run_note(run, i), "is a picture in colours: is it the mask?");
    ldm_run_free(run);
    return found;
}

/* A photo in the place of the mask, with alpha and without. */
static void photo_as_mask(void **state)
{
    ldm_model *m = open_tiny(NULL);
    int channels;

    (void)state;
    for (channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        ldm_image im = make_picture(20, 20, 3, 1), mask = make_picture(20, 20, channels, 2);
        ldm_image plain = make_mask(20, 20, channels);
        ldm_job *job = make_job("ddim", &im, &mask);

        assert_int_equal(warns_of_colours(m, job), channels > 1);
        assert_int_equal(ldm_job_set_images(job, "mask", &plain, 1, NULL), LDM_OK);
        assert_false(warns_of_colours(m, job));
        ldm_job_free(job);
        free(im.pixels);
        free(mask.pixels);
        free(plain.pixels);
    }
    ldm_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_kinds),   cmocka_unit_test(every_sampler),
        cmocka_unit_test(alpha_is_the_mask), cmocka_unit_test(holes_show_what_is_there),
        cmocka_unit_test(outpainting),       cmocka_unit_test(resized),
        cmocka_unit_test(refusals),          cmocka_unit_test(shape_in_alpha),
        cmocka_unit_test(photo_as_mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
