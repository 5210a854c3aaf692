/* SPDX-License-Identifier: MIT */
/* Parity of pictures as conditioning: the picture and the mask of scripts/inpaint.py and of Stable
 * Diffusion's inpainting go in, latents and composed pictures come out. */
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

/* A case as it lies in its folder. */
typedef struct input {
    char folder[1024];
    ldm_model *m;
    ldm_image image, mask;
    ldm_array x_t;
    ldm_job *job;
} input;

static void ok(ldm_status st, const ldm_error *err)
{
    if (st)
        fail_msg("%s", err->msg);
}

static ldm_image load_u8(const char *folder, const char *name)
{
    ldm_array a = golden_load(folder, "%s", name);
    ldm_image im = {(int)a.shape[1], (int)a.shape[0], a.ndim == 3 ? 3 : 1, malloc((size_t)a.numel)};
    uint64_t i;

    assert_non_null(im.pixels);
    for (i = 0; i < a.numel; i++)
        im.pixels[i] = (uint8_t)a.data[i];
    ldm_array_free(&a);
    return im;
}

static void begin(input *in, const char *name, plain_ema ema, const golden_variant *v)
{
    ldm_error err = {.msg = ""};

    *in = (input){0};
    snprintf(in->folder, sizeof in->folder, "%s", golden_folder(name));
    in->m = golden_open(in->folder, "model.ckpt", in->folder, ema, v);
    in->image = load_u8(in->folder, "image_u8.npy");
    in->mask = load_u8(in->folder, "mask_u8.npy");
    in->x_t = golden_load(in->folder, "x_T.npy");
    ok(ldm_job_create(in->m, &in->job, &err), &err);
    ok(ldm_job_set_int(in->job, "steps", 20, &err), &err);
    ok(ldm_job_set_images(in->job, "image", &in->image, 1, &err), &err);
    ok(ldm_job_set_images(in->job, "mask", &in->mask, 1, &err), &err);
    ok(ldm_job_set_array(in->job, "x_t", &in->x_t, &err), &err);
}

static void end(input *in)
{
    ldm_job_free(in->job);
    ldm_model_close(in->m);
    free(in->image.pixels);
    free(in->mask.pixels);
    ldm_array_free(&in->x_t);
}

/* At most one grey level apart where it is painted; the picture's own bytes elsewhere. */
static void composed_near(const input *in, const uint8_t *got, const float *want)
{
    const size_t pixels = (size_t)in->image.width * (size_t)in->image.height;
    size_t i, c;

    for (i = 0; i < pixels; i++) {
        for (c = 0; c < 3; c++) {
            const size_t k = 3 * i + c;

            if (fabs(got[k] - (double)want[k]) > 1)
                fail_msg("pixel %zu is %d, expected %g", i, got[k], (double)want[k]);
            if (in->mask.pixels[i] < 128)
                assert_int_equal(got[k], in->image.pixels[k]);
        }
    }
}

/* u8 NULL: latents alone. */
static void run(input *in, const char *z, const char *u8, double bar)
{
    ldm_array want = golden_load(in->folder, "%s", z), bytes = {0};
    ldm_error err = {.msg = ""};
    const ldm_result *res = NULL;
    ldm_run *r;

    ok(ldm_run_create(in->m, in->job, &r, &err), &err);
    assert_true(ldm_run_get_info(r)->composed);
    ok(ldm_run_next(r, &res, &err), &err);
    golden_near(z, res->latent, want.data, want.numel, bar);
    if (u8) {
        bytes = golden_load(in->folder, "%s", u8);
        composed_near(in, res->pixels, bytes.data);
    }
    ldm_array_free(&bytes);
    ldm_array_free(&want);
    ldm_run_free(r);
}

static void inpainting_big(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < GOLDEN_VARIANTS; i++) {
        const golden_variant *v = &golden_variants[i];
        input in;

        if (!v->runs || !golden_variant_runs(i))
            continue;
        begin(&in, "inpaint", EMA_YES, v);
        run(&in, "ddim20_z.npy", "inpainted_u8.npy", v->latent);
        golden_report(v, "inpaint");
        end(&in);
    }
}

static void given(input *in, const char *name, const char *file, ldm_array *keep)
{
    ldm_error err = {.msg = ""};

    *keep = golden_load(in->folder, "%s", file);
    ok(ldm_job_set_array(in->job, name, keep, &err), &err);
}

static void stable_diffusion(void **state)
{
    int i, k;

    (void)state;
    for (i = 0; i < GOLDEN_VARIANTS; i++) {
        const golden_variant *v = &golden_variants[i];
        ldm_array arrays[4];
        ldm_error err = {.msg = ""};
        input in;

        if (!v->runs || !golden_variant_runs(i))
            continue;
        begin(&in, "sd-inpaint", EMA_NO, v);
        given(&in, "context", "context.npy", &arrays[0]);
        given(&in, "uncond_context", "context_uncond.npy", &arrays[1]);
        given(&in, "cond_noise", "masked_noise.npy", &arrays[2]);
        ok(ldm_job_set_real(in.job, "scale", 7.5, &err), &err);
        run(&in, "ddim20_z.npy", "ddim20_composed_u8.npy", v->latent);
        given(&in, "noise", "ddim20_eta1_noise.npy", &arrays[3]);
        ok(ldm_job_set_real(in.job, "eta", 1, &err), &err);
        run(&in, "ddim20_eta1_z.npy", NULL, v->latent);
        golden_report(v, "sd-inpaint");
        end(&in);
        for (k = 0; k < 4; k++)
            ldm_array_free(&arrays[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inpainting_big),
        cmocka_unit_test(stable_diffusion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
