/* SPDX-License-Identifier: MIT */
/* Pictures as conditioning through the public interface: what is made of them is what the same run
 * gets as arrays that the test makes itself; sizes, noise and tiles. Weights are random (made.h).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/made.h"
#include "engine/tiles.h"
#include <ldm/ldm.h>

static void ok(ldm_status st, const ldm_error *err)
{
    if (st)
        fail_msg("%s", err->msg);
}

/* ---- models, pictures, jobs ------------------------------------------------------------------ */

static ldm_model *open_kind(const char *kind)
{
    char config[64], path[] = "/tmp/ldm-concat-XXXXXX.safetensors";
    const int fd = mkstemps(path, 12);
    ldm_error err = {.msg = ""};
    ldm_model_options *opt;
    ldm_model *m;

    assert_true(fd >= 0);
    close(fd);
    snprintf(config, sizeof config, "tests/data/conditioned/%s.yaml", kind);
    assert_int_equal(made_checkpoint(config, 3, path), 0);
    ok(ldm_model_options_create(&opt, &err), &err);
    ok(ldm_model_options_set(opt, "ckpt", path, &err), &err);
    ok(ldm_model_options_set(opt, "config", config, &err), &err);
    ok(ldm_model_open(opt, &m, &err), &err);
    ldm_model_options_free(opt);
    unlink(path);
    return m;
}

static ldm_image make_image(int width, int height, int channels, int below)
{
    const size_t n = (size_t)width * (size_t)height * (size_t)channels;
    ldm_image im = {width, height, channels, malloc(n)};
    uint32_t state = 7;
    size_t i;

    assert_non_null(im.pixels);
    for (i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        im.pixels[i] = (uint8_t)((state >> 16) % (uint32_t)below);
    }
    return im;
}

/* White in the right lower quarter. */
static ldm_image make_mask(int width, int height)
{
    ldm_image im = make_image(width, height, 1, 127);
    int x, y;

    for (y = height / 2; y < height; y++) {
        for (x = width / 2; x < width; x++)
            im.pixels[y * width + x] = 128;
    }
    return im;
}

static ldm_job *make_job(const char *name, const ldm_image *im)
{
    ldm_error err = {.msg = ""};
    ldm_job *job;

    ok(ldm_job_create(NULL, &job, &err), &err);
    ok(ldm_job_set_int(job, "steps", 3, &err), &err);
    ok(ldm_job_set_real(job, "eta", 0, &err), &err); /* else bsr_sr's own, with a picture */
    if (im)
        ok(ldm_job_set_images(job, name, im, 1, &err), &err);
    return job;
}

static ldm_array make_array(int n, int c, int h, int w)
{
    ldm_array a = {.ndim = 4,
                   .shape = {(uint64_t)n, (uint64_t)c, (uint64_t)h, (uint64_t)w},
                   .numel = (uint64_t)n * (uint64_t)c * (uint64_t)h * (uint64_t)w};

    a.data = calloc((size_t)a.numel, sizeof *a.data);
    assert_non_null(a.data);
    return a;
}

static float uniform(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1;
}

static ldm_array make_noise(int c, int h, int w)
{
    ldm_array a = make_array(1, c, h, w);
    uint32_t state = 99;
    uint64_t i;

    for (i = 0; i < a.numel; i++)
        a.data[i] = 1.7f * uniform(&state);
    return a;
}

/* A copy of the latent of the job's picture, or of its planes. */
static float *run_one(const ldm_model *m, const ldm_job *job, bool planes, int *w, int *h)
{
    ldm_error err = {.msg = ""};
    const ldm_result *res = NULL;
    const ldm_run_info *i;
    ldm_run *r;
    float *out;
    size_t n;

    ok(ldm_run_create(m, job, &r, &err), &err);
    ok(ldm_run_next(r, &res, &err), &err);
    assert_non_null(res);
    i = ldm_run_get_info(r);
    *w = planes ? i->image_w : i->latent_w;
    *h = planes ? i->image_h : i->latent_h;
    n = (size_t)(planes ? i->image_c : i->latent_c) * (size_t)*w * (size_t)*h;
    out = malloc(n * sizeof *out);
    assert_non_null(out);
    memcpy(out, planes ? res->image : res->latent, n * sizeof *out);
    ldm_run_free(r);
    return out;
}

/* Two jobs give the same latent, up to rounding. */
static void same_latent(const ldm_model *m, const ldm_job *a, const ldm_job *b, double bar)
{
    int w, h, w2, h2;
    float *x = run_one(m, a, false, &w, &h), *y = run_one(m, b, false, &w2, &h2);
    double far = 0, size = 0;
    int i;

    assert_int_equal(w, w2);
    assert_int_equal(h, h2);
    for (i = 0; i < 3 * w * h; i++) {
        far += pow((double)x[i] - y[i], 2);
        size += pow((double)y[i], 2);
    }
    if (!(sqrt(far / size) <= bar))
        fail_msg("latents are %g apart", sqrt(far / size));
    free(x);
    free(y);
}

static ldm_array eval_part(const ldm_model *m, ldm_part part, const ldm_array *in)
{
    ldm_error err = {.msg = ""};
    ldm_eval_job *job;
    ldm_array out;

    ok(ldm_eval_job_create(part, &job, &err), &err);
    ok(ldm_eval_job_set_array(job, "in", in, &err), &err);
    ok(ldm_eval(m, job, &out, &err), &err);
    ldm_eval_job_free(job);
    return out;
}

/* ---- what is concatenated -------------------------------------------------------------------- */

static void small_pictures_go_in_as_they_are(void **state)
{
    ldm_model *m = open_kind("superres");
    ldm_image im = make_image(8, 8, 3, 256);
    ldm_array a = make_array(1, 3, 8, 8);
    ldm_job *one = make_job("image", &im), *other = make_job(NULL, NULL);
    int i, c;

    (void)state;
    for (c = 0; c < 3; c++) {
        for (i = 0; i < 64; i++)
            a.data[c * 64 + i] = 2 * ((float)im.pixels[3 * i + c] / 255) - 1;
    }
    ok(ldm_job_set_array(other, "concat", &a, NULL), NULL);
    same_latent(m, one, other, 1e-7);
    ldm_job_free(one);
    ldm_job_free(other);
    ldm_array_free(&a);
    free(im.pixels);
    ldm_model_close(m);
}

static void labels_are_planes(void **state)
{
    ldm_model *m = open_kind("semantic");
    ldm_image im = make_image(16, 16, 1, 7);
    ldm_array planes = make_array(1, 7, 16, 16), a;
    ldm_job *one = make_job("segmentation", &im), *other = make_job(NULL, NULL);
    int i;

    (void)state;
    for (i = 0; i < 256; i++)
        planes.data[im.pixels[i] * 256 + i] = 1;
    a = eval_part(m, LDM_PART_COND, &planes);
    ok(ldm_job_set_array(other, "concat", &a, NULL), NULL);
    same_latent(m, one, other, 1e-7);
    ldm_job_free(one);
    ldm_job_free(other);
    ldm_array_free(&a);
    ldm_array_free(&planes);
    free(im.pixels);
    ldm_model_close(m);
}

/* The mask comes last, -1 and 1, nearest; the picture is black where it is painted. */
static void masks_follow_the_latent(void **state)
{
    ldm_model *m = open_kind("inpaint");
    ldm_image im = make_image(16, 16, 3, 256), mask = make_mask(16, 16);
    ldm_array in = make_array(1, 3, 16, 16), code, a = make_array(1, 4, 8, 8);
    ldm_job *one = make_job("image", &im), *other = make_job(NULL, NULL);
    int i, c;

    (void)state;
    for (c = 0; c < 3; c++) {
        for (i = 0; i < 256; i++)
            in.data[c * 256 + i] =
                mask.pixels[i] >= 128 ? -1 : 2 * ((float)im.pixels[3 * i + c] / 255) - 1;
    }
    code = eval_part(m, LDM_PART_ENCODE, &in);
    assert_int_equal(code.numel, 3 * 64);
    memcpy(a.data, code.data, 3 * 64 * sizeof *a.data);
    for (i = 0; i < 64; i++)
        a.data[3 * 64 + i] = mask.pixels[i / 8 * 2 * 16 + i % 8 * 2] >= 128 ? 1 : -1;
    ok(ldm_job_set_images(one, "mask", &mask, 1, NULL), NULL);
    ok(ldm_job_set_array(other, "concat", &a, NULL), NULL);
    same_latent(m, one, other, 1e-7);
    ldm_job_free(one);
    ldm_job_free(other);
    ldm_array_free(&a);
    ldm_array_free(&in);
    ldm_array_free(&code);
    free(im.pixels);
    free(mask.pixels);
    ldm_model_close(m);
}

/* The mask comes first, 0 and 1; grey where it is painted; mean + std * noise, times the factor. */
static void posteriors_are_sampled(void **state)
{
    ldm_model *m = open_kind("inpaint_hybrid");
    ldm_image im = make_image(16, 16, 3, 256), mask = make_mask(16, 16);
    ldm_array in = make_array(1, 3, 16, 16), code, a = make_array(1, 5, 8, 8);
    ldm_array noise = make_noise(4, 8, 8);
    ldm_job *one = make_job("image", &im), *other = make_job(NULL, NULL);
    int i, c;

    (void)state;
    for (c = 0; c < 3; c++) {
        for (i = 0; i < 256; i++)
            in.data[c * 256 + i] =
                mask.pixels[i] >= 128 ? 0 : (float)im.pixels[3 * i + c] / 127.5f - 1;
    }
    code = eval_part(m, LDM_PART_ENCODE, &in);
    assert_int_equal(code.numel, 8 * 64);
    for (i = 0; i < 64; i++)
        a.data[i] = mask.pixels[i / 8 * 2 * 16 + i % 8 * 2] >= 128 ? 1 : 0;
    for (i = 0; i < 4 * 64; i++) {
        double logvar = code.data[4 * 64 + i];

        logvar = logvar < -30 ? -30 : logvar > 20 ? 20 : logvar;
        a.data[64 + i] = (float)(0.5 * (code.data[i] + exp(0.5 * logvar) * noise.data[i]));
    }
    ok(ldm_job_set(one, "class", "2", NULL), NULL);
    ok(ldm_job_set(other, "class", "2", NULL), NULL);
    ok(ldm_job_set_images(one, "mask", &mask, 1, NULL), NULL);
    ok(ldm_job_set_array(one, "cond_noise", &noise, NULL), NULL);
    ok(ldm_job_set_array(other, "concat", &a, NULL), NULL);
    same_latent(m, one, other, 1e-5);
    ldm_job_free(one);
    ldm_job_free(other);
    ldm_array_free(&a);
    ldm_array_free(&in);
    ldm_array_free(&code);
    ldm_array_free(&noise);
    free(im.pixels);
    free(mask.pixels);
    ldm_model_close(m);
}

/* sqrt(a) x + sqrt(1 - a) noise, a of the level by the linear schedule from 1e-4 to 2e-2; the label
 * is the level. */
static void noise_levels_follow_their_schedule(void **state)
{
    enum { LEVEL = 77 };
    ldm_model *m = open_kind("upscale");
    ldm_image im = make_image(8, 8, 3, 256);
    ldm_array a = make_array(1, 3, 8, 8), noise = make_noise(3, 8, 8);
    float label = LEVEL;
    const ldm_array labels = {.ndim = 1, .shape = {1}, .numel = 1, .data = &label};
    ldm_job *one = make_job("image", &im), *other = make_job(NULL, NULL);
    double alpha = 1;
    int i, c;

    (void)state;
    for (i = 0; i <= LEVEL; i++)
        alpha *= 1 - pow(sqrt(1e-4) + (sqrt(2e-2) - sqrt(1e-4)) * i / 999.0, 2);
    for (c = 0; c < 3; c++) {
        for (i = 0; i < 64; i++)
            a.data[c * 64 + i] = (float)(sqrt(alpha) * ((float)im.pixels[3 * i + c] / 127.5 - 1) +
                                         sqrt(1 - alpha) * noise.data[c * 64 + i]);
    }
    ok(ldm_job_set(one, "class", "2", NULL), NULL);
    ok(ldm_job_set(other, "class", "2", NULL), NULL);
    ok(ldm_job_set_int(one, "noise_level", LEVEL, NULL), NULL);
    ok(ldm_job_set_array(one, "cond_noise", &noise, NULL), NULL);
    ok(ldm_job_set_array(other, "concat", &a, NULL), NULL);
    ok(ldm_job_set_array(other, "labels", &labels, NULL), NULL);
    same_latent(m, one, other, 1e-5);
    ldm_job_free(one);
    ldm_job_free(other);
    ldm_array_free(&a);
    ldm_array_free(&noise);
    free(im.pixels);
    ldm_model_close(m);
}

/* ---- wrong ones ------------------------------------------------------------------------------ */

static void refused(const ldm_model *m, const ldm_job *job, const char *why)
{
    ldm_error err = {.msg = ""};
    ldm_run *r = NULL;

    assert_int_equal(ldm_run_create(m, job, &r, &err), LDM_ERR_USAGE);
    assert_null(r);
    if (!strstr(err.msg, why))
        fail_msg("\"%s\", expected \"%s\"", err.msg, why);
}

static void wrong_pictures_are_refused(void **state)
{
    ldm_model *m = open_kind("upscale");
    ldm_image im = make_image(8, 8, 3, 256), bad[] = {im, im, im, im, im};
    ldm_array noise = make_noise(4, 8, 8);
    ldm_error err = {.msg = ""};
    size_t i;

    (void)state;
    bad[0].width = 0;
    bad[1].height = -8;
    bad[2].pixels = NULL;
    bad[3].channels = 2;
    bad[4].channels = 5;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ldm_job *job = make_job("image", &bad[i]);

        ok(ldm_job_set(job, "class", "2", NULL), NULL);
        refused(m, job, "image: picture 0 has");
        ldm_job_free(job);
    }
    {
        ldm_job *job = make_job("image", &im);

        ok(ldm_job_set(job, "class", "2", NULL), NULL);
        ok(ldm_job_set_array(job, "cond_noise", &noise, NULL), NULL);
        refused(m, job, "cond_noise has shape [1,4,8,8], expected [1 or 1,3,8,8]");
        noise.shape[1] = 3;
        noise.numel = 3 * 64;
        noise.data[5] = NAN;
        refused(m, job, "cond_noise: element 5");
        assert_int_equal(ldm_job_set_images(job, "imag", &im, 1, &err), LDM_ERR_USAGE);
        assert_int_equal(ldm_job_set_images(job, "image", NULL, 1, &err), LDM_ERR_USAGE);
        ldm_job_free(job);
    }
    free(im.pixels);
    ldm_array_free(&noise);
    ldm_model_close(m);
}

/* ---- maps of labels -------------------------------------------------------------------------- */

static ldm_image read_labels(const char *name)
{
    char path[128];
    ldm_error err = {.msg = ""};
    ldm_image im;

    snprintf(path, sizeof path, "tests/data/pictures/%s", name);
    ok(ldm_image_read_labels(path, NULL, &im, &err), &err);
    assert_int_equal(im.channels, 1);
    return im;
}

/* Numbers of a grey PNG are its samples, unscaled; an indexed one's belong to one colour each. */
static void labels_are_the_files_own_numbers(void **state)
{
    static const struct {
        const char *name;
        int below;
    } files[] = {{"grey1.png", 2}, {"grey4_transparent.png", 16}, {"palette4.png", 16}};
    ldm_image im, grey;
    ldm_error err = {.msg = ""};
    size_t i, k;

    (void)state;
    im = read_labels("grey8.png");
    ok(ldm_image_read_channels("tests/data/pictures/grey8.png", 1, &grey, &err), &err);
    assert_int_equal(im.width, grey.width);
    assert_memory_equal(im.pixels, grey.pixels, (size_t)im.width * (size_t)im.height);
    ldm_release(im.pixels);
    ldm_release(grey.pixels);
    for (k = 0; k < sizeof files / sizeof files[0]; k++) {
        char path[128];
        uint8_t colours[16][3];
        bool known[16] = {false};
        int different = 0;

        snprintf(path, sizeof path, "tests/data/pictures/%s", files[k].name);
        im = read_labels(files[k].name);
        ok(ldm_image_read_channels(path, 3, &grey, &err), &err);
        for (i = 0; i < (size_t)im.width * (size_t)im.height; i++) {
            const int v = im.pixels[i];

            assert_in_range(v, 0, files[k].below - 1);
            different += !known[v];
            if (!known[v])
                memcpy(colours[v], grey.pixels + 3 * i, 3);
            known[v] = true;
            assert_memory_equal(colours[v], grey.pixels + 3 * i, 3);
        }
        assert_true(different > 1);
        ldm_release(im.pixels);
        ldm_release(grey.pixels);
    }
    assert_int_equal(ldm_image_read_labels("tests/data/pictures/grey16.png", NULL, &im, &err),
                     LDM_ERR_RANGE);
    assert_null(im.pixels);
    assert_int_equal(ldm_image_read_labels("tests/data/pictures/grey.jpg", NULL, &im, &err),
                     LDM_ERR_UNSUPPORTED);
    assert_int_equal(ldm_image_read_labels("tests/data/pictures", NULL, &im, &err), LDM_ERR_IO);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Every place is covered, weights add up to 1, and tiles overlap by a quarter. */
static void tiles_cover_everything_once(void **state)
{
    int side, tile, scale;

    (void)state;
    for (side = 1; side < 70; side += 3) {
        for (tile = 1; tile < 40; tile += 5) {
            for (scale = 1; scale < 4; scale++) {
                double *sum = calloc((size_t)(side * scale), sizeof *sum);
                ldm_tile_axis a;
                int i, p;

                assert_non_null(sum);
                assert_int_equal(ldm_tile_axis_create(side, tile, scale, &a, NULL), LDM_OK);
                assert_int_equal(a.at[0], 0);
                assert_int_equal(a.at[a.count - 1] + a.tile, side * scale);
                for (i = 0; i < a.count; i++) {
                    if (i)
                        assert_true(a.at[i] - a.at[i - 1] <= a.tile - tile / 4 * scale);
                    for (p = 0; p < a.tile; p++) {
                        assert_true(a.weights[i * a.tile + p] > 0);
                        sum[a.at[i] + p] += a.weights[i * a.tile + p];
                    }
                }
                for (p = 0; p < side * scale; p++)
                    assert_true(fabs(sum[p] - 1) < 1e-6);
                ldm_tile_axis_free(&a);
                free(sum);
            }
        }
    }
}

/* Mean difference of neighbouring columns of d [planes][h][w], at column x against x - 1. */
static double step_at(const float *d, int planes, int h, int w, int x)
{
    double sum = 0;
    int k;

    for (k = 0; k < planes * h; k++)
        sum += fabs((double)d[k * w + x] - d[k * w + x - 1]);
    return sum / (planes * h);
}

/* Where tiles meet the picture changes no more from column to column than elsewhere. Tiles that are
 * put side by side are the control: there the same measure shows the seam. */
static void no_seam_is_seen(void **state)
{
    enum { SIDE = 32, TILE = 16, WIDE = 2 * SIDE };
    ldm_model *m = open_kind("superres");
    ldm_image im = make_image(SIDE, SIDE, 3, 256), half = make_image(TILE, SIDE, 3, 256);
    ldm_job *whole = make_job("image", &im), *tiled = make_job("image", &im), *part;
    float *all, *some, *hard = calloc(3 * WIDE * WIDE, sizeof *hard), *piece;
    double seam = 0, rest = 0, control, control_rest = 0;
    int w, h, x, y, c, k;

    (void)state;
    for (k = 0; k < SIDE * SIDE; k++) { /* smooth: what is seen is made by the tiles */
        for (c = 0; c < 3; c++)
            im.pixels[3 * k + c] = (uint8_t)(40 + 5 * (k % SIDE) + c * (k / SIDE));
    }
    /* A codebook turns small differences into large ones anywhere. */
    ok(ldm_job_set_bool(whole, "quantize", false, NULL), NULL);
    ok(ldm_job_set_bool(tiled, "quantize", false, NULL), NULL);
    ok(ldm_job_set_int(whole, "tile", 0, NULL), NULL);
    ok(ldm_job_set_int(tiled, "tile", TILE, NULL), NULL);
    all = run_one(m, whole, true, &w, &h);
    some = run_one(m, tiled, true, &w, &h);
    assert_int_equal(w, WIDE);
    assert_non_null(hard);
    for (k = 0; k < 2; k++) { /* left and right half, by themselves, from the same noise */
        ldm_array x_t = make_array(1, 3, SIDE, TILE);
        ldm_array noise = make_noise(3, SIDE, SIDE);

        for (y = 0; y < 3 * SIDE; y++)
            memcpy(x_t.data + y * TILE, noise.data + y * SIDE + k * TILE, TILE * sizeof(float));
        for (y = 0; y < SIDE; y++)
            memcpy(half.pixels + 3 * y * TILE, im.pixels + 3 * (y * SIDE + k * TILE), 3 * TILE);
        part = make_job("image", &half);
        ok(ldm_job_set_bool(part, "quantize", false, NULL), NULL);
        ok(ldm_job_set_array(part, "x_t", &x_t, NULL), NULL);
        piece = run_one(m, part, true, &w, &h);
        for (y = 0; y < 3 * WIDE; y++)
            memcpy(hard + y * WIDE + k * SIDE, piece + y * SIDE, SIDE * sizeof *hard);
        free(piece);
        ldm_job_free(part);
        ldm_array_free(&x_t);
        ldm_array_free(&noise);
    }
    for (k = 0; k < 3 * WIDE * WIDE; k++)
        some[k] -= all[k];
    {
        ldm_array noise = make_noise(3, SIDE, SIDE);

        ok(ldm_job_set_array(whole, "x_t", &noise, NULL), NULL);
        free(all);
        all = run_one(m, whole, true, &w, &h);
        ldm_array_free(&noise);
    }
    for (k = 0; k < 3 * WIDE * WIDE; k++)
        hard[k] -= all[k];
    for (x = 1; x < WIDE; x++) {
        const bool border = x % (TILE / 2 * 2) == 0; /* tiles begin and end at 16, 32, 48 */

        *(border ? &seam : &rest) += step_at(some, 3, WIDE, WIDE, x) / (border ? 3 : WIDE - 4);
        if (x < SIDE - 8 || x > SIDE + 8)
            control_rest += step_at(hard, 3, WIDE, WIDE, x) / (WIDE - 18);
    }
    control = step_at(hard, 3, WIDE, WIDE, SIDE);
    print_message("column steps of the difference to the whole: %.2g where tiles meet, %.2g "
                  "elsewhere; side by side %.2g and %.2g\n",
                  seam, rest, control, control_rest);
    assert_true(seam > 0);
    assert_true(seam < 1.5 * rest);
    assert_true(control > 3 * control_rest);
    free(all);
    free(some);
    free(hard);
    free(im.pixels);
    free(half.pixels);
    ldm_job_free(whole);
    ldm_job_free(tiled);
    ldm_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_pictures_go_in_as_they_are),
        cmocka_unit_test(labels_are_planes),
        cmocka_unit_test(masks_follow_the_latent),
        cmocka_unit_test(posteriors_are_sampled),
        cmocka_unit_test(noise_levels_follow_their_schedule),
        cmocka_unit_test(wrong_pictures_are_refused),
        cmocka_unit_test(labels_are_the_files_own_numbers),
        cmocka_unit_test(tiles_cover_everything_once),
        cmocka_unit_test(no_seam_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
