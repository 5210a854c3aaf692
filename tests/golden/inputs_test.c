/* SPDX-License-Identifier: MIT */
/* Parity of what begins with pictures: Stable Diffusion's img2img.py from recorded noise, and DDIM
 * inversion as Stability-AI's DDIMSampler.encode has it, with its way back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

static void set(ldm_job *job, const char *key, const char *value)
{
    ldm_error err = {.msg = ""};

    if (ldm_job_set(job, key, value, &err))
        fail_msg("%s", err.msg);
}

static void set_array(ldm_job *job, const char *name, const ldm_array *a)
{
    ldm_error err = {.msg = ""};

    if (ldm_job_set_array(job, name, a, &err))
        fail_msg("%s", err.msg);
}

/* The draws one after the other: [2,B,C,H,W]. */
static ldm_array two_draws(const ldm_array *first, const ldm_array *second)
{
    ldm_array a = {.ndim = 5, .shape = {2}, .numel = 2 * first->numel};

    memcpy(a.shape + 1, first->shape, 4 * sizeof *a.shape);
    a.data = malloc((size_t)a.numel * sizeof *a.data);
    assert_non_null(a.data);
    memcpy(a.data, first->data, (size_t)first->numel * sizeof *a.data);
    memcpy(a.data + first->numel, second->data, (size_t)second->numel * sizeof *a.data);
    return a;
}

/* At most one grey level apart, in few of the bytes. */
static void bytes_near(const uint8_t *got, const float *want, size_t count, double few)
{
    size_t i, other = 0;

    for (i = 0; i < count; i++) {
        assert_true(fabs(got[i] - (double)want[i]) <= 1);
        other += got[i] != (uint8_t)want[i];
    }
    if (!((double)other <= few * (double)count))
        fail_msg("%zu of %zu bytes differ", other, count);
}

static void image_to_image(const golden_variant *v, double bar, double few)
{
    char folder[1024];
    ldm_model *m;
    ldm_array u8, post, q, noise, context, uncond, want, want_u8;
    ldm_image im;
    ldm_job *job;
    ldm_run *run;
    const ldm_result *res = NULL;
    ldm_error err = {.msg = ""};
    uint64_t i, chw;

    snprintf(folder, sizeof folder, "%s", golden_folder("sd1"));
    m = golden_open(folder, "model.ckpt", folder, EMA_NO, v);
    u8 = golden_load(folder, "init_u8.npy");
    post = golden_load(folder, "img2img_post_noise.npy");
    q = golden_load(folder, "img2img_q_noise.npy");
    context = golden_load(folder, "context.npy");
    uncond = golden_load(folder, "context_uncond.npy");
    want = golden_load(folder, "img2img_z.npy");
    want_u8 = golden_load(folder, "img2img_u8.npy");
    noise = two_draws(&post, &q);
    im = (ldm_image){(int)u8.shape[1], (int)u8.shape[0], 3, malloc((size_t)u8.numel)};
    assert_non_null(im.pixels);
    for (i = 0; i < u8.numel; i++)
        im.pixels[i] = (uint8_t)u8.data[i];
    assert_int_equal(ldm_job_create(m, &job, NULL), LDM_OK);
    set(job, "steps", "20");
    set(job, "strength", "0.75");
    set(job, "scale", "7.5");
    set(job, "count", "2");
    set(job, "shape", "4,16,24");
    set_array(job, "noise", &noise);
    set_array(job, "context", &context);
    set_array(job, "uncond_context", &uncond);
    assert_int_equal(ldm_job_set_images(job, "init", &im, 1, NULL), LDM_OK);
    if (ldm_run_create(m, job, &run, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(ldm_run_get_info(run)->steps_run, 15);
    chw = want.numel / want.shape[0];
    for (i = 0; i < want.shape[0]; i++) {
        if (ldm_run_next(run, &res, &err))
            fail_msg("%s", err.msg);
        assert_non_null(res);
        golden_near("sd1/img2img_z", res->latent, want.data + i * chw, chw, bar);
        bytes_near(res->pixels, want_u8.data + i * (want_u8.numel / 2), want_u8.numel / 2, few);
    }
    golden_report(v, "sd1, img2img");
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_model_close(m);
    free(im.pixels);
    ldm_array_free(&u8);
    ldm_array_free(&post);
    ldm_array_free(&q);
    ldm_array_free(&noise);
    ldm_array_free(&context);
    ldm_array_free(&uncond);
    ldm_array_free(&want);
    ldm_array_free(&want_u8);
}

static void inversion(const golden_variant *v, double bar)
{
    char folder[1024], model[1024];
    ldm_array z0, want, back, noise, errors;
    const ldm_result *res = NULL;
    ldm_model *m;
    ldm_job *job;
    ldm_run *run;
    ldm_error err = {.msg = ""};
    float original, ours, refined;

    snprintf(model, sizeof model, "%s", golden_folder("ffhq-small"));
    snprintf(folder, sizeof folder, "%s", golden_folder("samplers/uncond"));
    m = golden_open(model, "model.ckpt", model, EMA_YES, v);
    z0 = golden_load(folder, "z0.npy");
    want = golden_load(folder, "invert_z_enc.npy");
    back = golden_load(folder, "invert_z.npy");
    assert_int_equal(ldm_job_create(m, &job, NULL), LDM_OK);
    set(job, "steps", "20");
    set(job, "inversion", "compvis");
    set_array(job, "init", &z0);
    if (ldm_invert(m, job, &noise, &errors, &err))
        fail_msg("%s", err.msg);
    golden_near("invert_z_enc", noise.data, want.data, want.numel, bar);
    original = errors.data[0];
    set_array(job, "init", NULL);
    set_array(job, "x_t", &noise);
    if (ldm_run_create(m, job, &run, &err) || ldm_run_next(run, &res, &err))
        fail_msg("%s", err.msg);
    golden_near("invert_z", res->latent, back.data, back.numel, bar);
    assert_true(fabs((double)original - golden_distance(back.data, z0.data, z0.numel)) <
                1e-3 * (double)original);
    golden_report(v, "inversion");
    ldm_run_free(run);
    ldm_array_free(&noise);
    ldm_array_free(&errors);

    /* The timesteps of the way back lead back better than the steps' numbers; on these weights,
     * which nothing was trained for, only repeated steps lead near. */
    set_array(job, "x_t", NULL);
    set_array(job, "init", &z0);
    set(job, "inversion", "ddim");
    assert_int_equal(ldm_invert(m, job, &noise, &errors, &err), LDM_OK);
    ours = errors.data[0];
    ldm_array_free(&noise);
    ldm_array_free(&errors);
    set(job, "refine", "3");
    assert_int_equal(ldm_invert(m, job, &noise, &errors, &err), LDM_OK);
    refined = errors.data[0];
    print_message("ran: round trips: %.3g as the original, %.3g at the timesteps of the way back, "
                  "%.3g refined\n",
                  (double)original, (double)ours, (double)refined);
    assert_true(ours < original);
    assert_true(refined < ours / 4);
    ldm_array_free(&noise);
    ldm_array_free(&errors);
    ldm_job_free(job);
    ldm_model_close(m);
    ldm_array_free(&z0);
    ldm_array_free(&want);
    ldm_array_free(&back);
}

static void test_image_to_image(void **state)
{
    (void)state;
    image_to_image(&golden_variants[0], 2e-4, 1e-3);
    image_to_image(&golden_variants[1], 5e-5, 1e-3);
}

static void test_inversion(void **state)
{
    (void)state;
    inversion(&golden_variants[0], 2e-4);
    inversion(&golden_variants[1], 5e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_to_image),
        cmocka_unit_test(test_inversion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
