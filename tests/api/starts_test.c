/* SPDX-License-Identifier: MIT */
/* Image-to-image through the public header: what a picture depends on, with every sampler; draws in
 * the order of the original; sizes; hostile values. And ldm_reconstruct. */
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
#include <jansson.h>

#include "support.h"

enum { SIDE = 64, PICTURES = 3, LATENT = 3 * 16 * 16 };

/* A picture with something to see: two gradients and a disc. */
static ldm_image make_picture(int width, int height, int channels, int seed)
{
    ldm_image im = {width, height, channels, NULL};
    int x, y, c;

    im.pixels = malloc((size_t)width * (size_t)height * (size_t)channels);
    assert_non_null(im.pixels);
    for (y = 0; y < height; y++) {
        for (x = 0; x < width; x++) {
            const int dx = x - width / 2, dy = y - height / 2;

            for (c = 0; c < channels; c++)
                im.pixels[(y * width + x) * channels + c] =
                    (uint8_t)(dx * dx + dy * dy < width * height / 16
                                  ? 200 - 40 * c
                                  : (x * (c + 1) + y * (seed + 2)) % 256);
        }
    }
    return im;
}

static ldm_model *open_kl(void)
{
    static const char yaml[] =
        "model: {params: {first_stage_config: {target: ldm.models.autoencoder.AutoencoderKL,\n"
        "  params: {ddconfig: {double_z: true}, lossconfig: {target: torch.nn.Identity}}}}}\n"
        "ldm: {load: {rename: {\"^first_stage_model.\": \"unused.\"}, missing: init}}\n";
    char path[] = "/tmp/ldm_kl_XXXXXX";
    const char *configs[] = {TINY_CONFIG, path};
    const int fd = mkstemp(path);
    plain_options o;
    ldm_error err = {.msg = ""};
    ldm_model *m;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, sizeof yaml - 1), sizeof yaml - 1);
    assert_int_equal(close(fd), 0);
    plain_options_init(&o);
    o.ckpt = TINY_CKPT;
    o.configs = configs;
    o.config_count = 2;
    if (plain_model_open(&o, &m, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(unlink(path), 0);
    return m;
}

static ldm_job *make_job(const char *sampler, int steps, double strength)
{
    ldm_error err = {.msg = ""};
    ldm_job *job;

    if (ldm_job_create(NULL, &job, &err) || ldm_job_set(job, "sampler", sampler, &err) ||
        ldm_job_set_int(job, "steps", steps, &err) ||
        ldm_job_set_real(job, "strength", strength, &err))
        fail_msg("%s", err.msg);
    return job;
}

/* Latents of all pictures, [count][LATENT]; free() them. */
static float *latents_of(const ldm_model *m, const ldm_job *job)
{
    ldm_error err = {.msg = ""};
    const ldm_result *res = NULL;
    ldm_run *run;
    float *all;
    int n = 0;

    if (ldm_run_create(m, job, &run, &err))
        fail_msg("%s", err.msg);
    all = calloc((size_t)ldm_run_get_info(run)->count, LATENT * sizeof *all);
    assert_non_null(all);
    while (!ldm_run_next(run, &res, &err) && res) {
        assert_int_equal(res->status, LDM_OK);
        memcpy(all + (size_t)n++ * LATENT, res->latent, LATENT * sizeof *all);
    }
    assert_int_equal(n, ldm_run_get_info(run)->count);
    ldm_run_free(run);
    return all;
}

static void set_images(ldm_job *job, const ldm_image *ims, size_t count)
{
    ldm_error err = {.msg = ""};

    if (ldm_job_set_images(job, "init", ims, count, &err))
        fail_msg("%s", err.msg);
}

/* Half of them run: four, or the three that methods of third order need where sanitizers are slow.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SAMPLER_STEPS = 6 };
#else
enum { SAMPLER_STEPS = 8 };
#endif

/* Every sampler begins in the middle; a picture is its seed and its input, in any batch, with any
 * threads, and alone. */
static void every_sampler(void **state)
{
    const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_JOB, "sampler");
    ldm_model *m = open_tiny(NULL);
    ldm_image ims[PICTURES];
    const char *name;
    size_t i;
    int k;

    (void)state;
    for (k = 0; k < PICTURES; k++)
        ims[k] = make_picture(SIDE, SIDE, 3, k);
    for (i = 0; (name = ldm_setting_choice(row, i)); i++) {
        ldm_job *job = make_job(name, SAMPLER_STEPS, 0.5);
        float *together, *one, *noise_only;

        set_images(job, ims, PICTURES);
        together = latents_of(m, job);
        assert_int_equal(ldm_job_set_int(job, "batch", 1, NULL), LDM_OK);
        assert_int_equal(ldm_job_set_int(job, "threads", 3, NULL), LDM_OK);
        one = latents_of(m, job);
        assert_memory_equal(together, one, PICTURES * LATENT * sizeof *one);
        free(one);
        set_images(job, &ims[2], 1);
        assert_int_equal(ldm_job_set_u64(job, "seed", 44, NULL), LDM_OK);
        one = latents_of(m, job);
        assert_memory_equal(together + 2 * LATENT, one, LATENT * sizeof *one);
        set_images(job, NULL, 0);
        noise_only = latents_of(m, job);
        assert_memory_not_equal(one, noise_only, LATENT * sizeof *one);
        free(noise_only);
        free(one);
        free(together);
        ldm_job_free(job);
    }
    assert_true(i > 10);
    for (k = 0; k < PICTURES; k++)
        free(ims[k].pixels);
    ldm_model_close(m);
}

/* A little strength changes the picture's latent less than much; at strength 1 all steps run. */
static void strength_counts(void **state)
{
    static const double strengths[] = {0.1, 0.5, 1};
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(SIDE, SIDE, 3, 1);
    double last = 0;
    size_t i, k;

    (void)state;
    for (i = 0; i < 3; i++) {
        /* A latent to begin with, so that its distance to the result can be measured. */
        static const uint64_t shape[] = {1, 3, 16, 16};
        ldm_job *job = make_job("ddim", 20, strengths[i]);
        float data[LATENT], *out;
        ldm_array z0 = {.ndim = 4, .numel = LATENT, .data = data};
        double sum = 0;

        memcpy(z0.shape, shape, sizeof shape);
        for (k = 0; k < LATENT; k++)
            data[k] = (float)sin((double)k / 7);
        assert_int_equal(ldm_job_set_array(job, "init", &z0, NULL), LDM_OK);
        out = latents_of(m, job);
        for (k = 0; k < LATENT; k++)
            sum += fabs((double)out[k] - (double)data[k]);
        assert_true(sum > last);
        last = sum;
        free(out);
        ldm_job_free(job);
    }
    free(im.pixels);
    ldm_model_close(m);
}

static ldm_array evaluate(const ldm_model *m, ldm_part part, const ldm_array *in,
                          const ldm_array *noise)
{
    const plain_eval job = {.part = part, .in = in, .noise = noise, .quantize = true};
    ldm_error err = {.msg = ""};
    ldm_array out;

    if (plain_eval_run(m, &job, &out, &err))
        fail_msg("%s", err.msg);
    return out;
}

/* The order of draws: the posterior's, then q_sample's. The same run from recorded noise, and from
 * the latent that ldm_eval samples with the first draw. */
static void draws_in_order(void **state)
{
    static const uint64_t noise_shape[] = {2, 1, 3, 16, 16}, z_shape[] = {1, 3, 16, 16};
    static const uint64_t picture_shape[] = {1, 3, SIDE, SIDE};
    ldm_model *m = open_kl();
    ldm_image im = make_picture(SIDE, SIDE, 3, 5);
    ldm_job *job = make_job("ddim", 8, 0.5);
    float draws[2 * LATENT], planes[3 * SIDE * SIDE], *by_picture, *by_latent;
    ldm_array noise = {.ndim = 5, .numel = 2 * LATENT, .data = draws};
    ldm_array q = {.ndim = 5, .numel = LATENT, .data = draws + LATENT};
    ldm_array first = {.ndim = 4, .numel = LATENT, .data = draws};
    ldm_array picture = {.ndim = 4, .numel = 3 * SIDE * SIDE, .data = planes}, z;
    size_t i;
    int c;

    (void)state;
    memcpy(noise.shape, noise_shape, sizeof noise_shape);
    memcpy(q.shape, noise_shape, sizeof noise_shape);
    q.shape[0] = 1;
    memcpy(first.shape, z_shape, sizeof z_shape);
    memcpy(picture.shape, picture_shape, sizeof picture_shape);
    for (i = 0; i < 2 * LATENT; i++)
        draws[i] = (float)cos((double)i * 1.7);
    for (c = 0; c < 3; c++) {
        for (i = 0; i < SIDE * SIDE; i++)
            planes[(size_t)c * SIDE * SIDE + i] =
                2.0f * ((float)im.pixels[3 * i + (size_t)c] / 255.0f) - 1.0f;
    }
    set_images(job, &im, 1);
    assert_int_equal(ldm_job_set_array(job, "noise", &noise, NULL), LDM_OK);
    by_picture = latents_of(m, job);
    z = evaluate(m, LDM_PART_ENCODE, &picture, &first);
    set_images(job, NULL, 0);
    assert_int_equal(ldm_job_set_array(job, "init", &z, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_array(job, "noise", &q, NULL), LDM_OK);
    by_latent = latents_of(m, job);
    assert_memory_equal(by_picture, by_latent, LATENT * sizeof *by_latent);
    free(by_picture);
    free(by_latent);
    free(im.pixels);
    ldm_array_free(&z);
    ldm_job_free(job);
    ldm_model_close(m);
}

/* Sizes: resized to the model's, or the run takes the picture's; grey and alpha are taken. */
static void sizes_and_channels(void **state)
{
    static const struct {
        int width, height, channels;
        const char *fit;
        int out_w, out_h;
    } cases[] = {
        {100, 40, 3, "crop", 64, 64}, {100, 40, 4, "pad", 64, 64}, {1, 1, 1, "stretch", 64, 64},
        {97, 41, 3, "keep", 97, 41},  {1, 300, 1, "crop", 64, 64}, {5, 3, 3, "keep", 5, 3},
        {64, 64, 1, "auto", 64, 64},
    };
    ldm_model *m = open_tiny(NULL);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ldm_image im = make_picture(cases[i].width, cases[i].height, cases[i].channels, 3);
        ldm_job *job = make_job("ddim", 5, 0.4);
        const ldm_result *res = NULL;
        ldm_error err = {.msg = ""};
        ldm_run *run;

        set_images(job, &im, 1);
        assert_int_equal(ldm_job_set(job, "fit", cases[i].fit, NULL), LDM_OK);
        if (ldm_run_create(m, job, &run, &err) || ldm_run_next(run, &res, &err))
            fail_msg("case %zu: %s", i, err.msg);
        assert_int_equal(res->width, cases[i].out_w);
        assert_int_equal(res->height, cases[i].out_h);
        ldm_run_free(run);
        ldm_job_free(job);
        free(im.pixels);
    }
    ldm_model_close(m);
}

static void expect_refused(const ldm_model *m, const ldm_job *job, const char *what)
{
    ldm_error err = {.msg = ""};
    ldm_run *run;

    assert_int_equal(ldm_run_create(m, job, &run, &err), LDM_ERR_USAGE);
    assert_null(run);
    if (!strstr(err.msg, what))
        fail_msg("'%s' does not say '%s'", err.msg, what);
}

static void refusals(void **state)
{
    static const uint64_t shape[] = {1, 3, 16, 16};
    ldm_model *m = open_tiny(NULL);
    ldm_image im = make_picture(SIDE, SIDE, 3, 1), bad = im, two[2];
    ldm_job *job = make_job("ddim", 5, 0.5);
    float data[LATENT] = {0};
    ldm_array z = {.ndim = 4, .numel = LATENT, .data = data};
    ldm_error err = {.msg = ""};

    (void)state;
    memcpy(z.shape, shape, sizeof shape);
    assert_int_equal(ldm_job_set_images(job, "cond", &im, 1, &err), LDM_ERR_USAGE);
    assert_int_equal(ldm_job_set_images(job, "init", NULL, 1, &err), LDM_ERR_USAGE);
    set_images(job, &im, 1);
    assert_int_equal(ldm_job_set_array(job, "x_t", &z, NULL), LDM_OK);
    expect_refused(m, job, "x_t");
    assert_int_equal(ldm_job_set_array(job, "x_t", NULL, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_array(job, "init", &z, NULL), LDM_OK);
    expect_refused(m, job, "leave one out");
    assert_int_equal(ldm_job_set_array(job, "init", NULL, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_real(job, "strength", 0.1, NULL), LDM_OK);
    expect_refused(m, job, "is no step at all");
    assert_int_equal(ldm_job_set_real(job, "strength", 0, NULL), LDM_OK);
    expect_refused(m, job, "is no step at all");
    assert_int_equal(ldm_job_set_real(job, "strength", 1.01, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_job_set_real(job, "strength", (double)NAN, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_job_set_real(job, "strength", 0.5, NULL), LDM_OK);
    bad.channels = 2;
    set_images(job, &bad, 1);
    expect_refused(m, job, "2 channels");
    bad = im;
    bad.width = -3;
    set_images(job, &bad, 1);
    expect_refused(m, job, "-3 x 64");
    two[0] = two[1] = im;
    two[1].height = 32;
    set_images(job, two, 2);
    assert_int_equal(ldm_job_set(job, "fit", "keep", NULL), LDM_OK);
    expect_refused(m, job, "one run makes pictures of one size");
    set_images(job, NULL, 0);
    data[7] = INFINITY;
    assert_int_equal(ldm_job_set_array(job, "init", &z, NULL), LDM_OK);
    expect_refused(m, job, "element 7");
    ldm_job_free(job);
    free(im.pixels);
    ldm_model_close(m);
}

/* The recipe names the input by its hash; another picture has another. */
static void recipes(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_image ims[2] = {make_picture(SIDE, SIDE, 3, 1), make_picture(SIDE, SIDE, 3, 2)};
    ldm_job *job = make_job("ddim", 5, 0.5);
    ldm_run *run;
    int i;

    (void)state;
    set_images(job, ims, 2);
    assert_int_equal(ldm_run_create(m, job, &run, NULL), LDM_OK);
    for (i = 0; i < 2; i++) {
        char *text, hex[65];
        json_t *root;

        assert_int_equal(ldm_run_recipe(run, i, &text, NULL), LDM_OK);
        assert_int_equal(ldm_image_hash(&ims[i], hex, NULL), LDM_OK);
        root = json_loads(text, 0, NULL);
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(root, "init"), "sha256")), hex);
        assert_true(fabs(json_number_value(json_object_get(root, "strength")) - 0.5) < 1e-12);
        json_decref(root);
        ldm_release(text);
    }
    ldm_run_free(run);
    ldm_job_free(job);
    free(ims[0].pixels);
    free(ims[1].pixels);
    ldm_model_close(m);
}

/* What comes back has the picture's size, is what encode and decode give, and is measured as such.
 */
static void reconstructions(void **state)
{
    ldm_model *models[] = {open_tiny(NULL), open_kl()};
    ldm_image im = make_picture(37, 21, 3, 4), even = make_picture(SIDE, SIDE, 3, 4), out, grey;
    ldm_reconstruction f;
    ldm_error err = {.msg = ""};
    size_t i, k;

    (void)state;
    for (i = 0; i < 2; i++) {
        double squares = 0;

        if (ldm_reconstruct(models[i], NULL, &im, &out, &f, sizeof f, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(out.width, 37);
        assert_int_equal(out.height, 21);
        assert_int_equal(f.padded_width, 40);
        assert_int_equal(f.padded_height, 24);
        for (k = 0; k < 37 * 21 * 3; k++)
            squares += (im.pixels[k] - out.pixels[k]) * (im.pixels[k] - out.pixels[k]);
        assert_true(fabs(f.mse - squares / (37 * 21 * 3)) < 1e-9 * f.mse);
        assert_true(fabs(f.psnr - 10 * log10(65025 / f.mse)) < 1e-9);
        ldm_release(out.pixels);
        assert_int_equal(ldm_reconstruct(models[i], NULL, &even, &out, &f, 8, &err), LDM_OK);
        ldm_release(out.pixels);
        grey = make_picture(9, 9, 1, 4);
        assert_int_equal(ldm_reconstruct(models[i], NULL, &grey, &out, NULL, 0, &err), LDM_OK);
        free(grey.pixels);
        ldm_release(out.pixels);
    }
    im.channels = 5;
    assert_int_equal(ldm_reconstruct(models[0], NULL, &im, &out, &f, sizeof f, &err),
                     LDM_ERR_USAGE);
    assert_null(out.pixels);
    free(im.pixels);
    free(even.pixels);
    ldm_model_close(models[0]);
    ldm_model_close(models[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sampler),   cmocka_unit_test(strength_counts),
        cmocka_unit_test(draws_in_order),  cmocka_unit_test(sizes_and_channels),
        cmocka_unit_test(refusals),        cmocka_unit_test(recipes),
        cmocka_unit_test(reconstructions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
