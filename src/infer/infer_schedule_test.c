/* SPDX-License-Identifier: MIT */
/* Schedules from their buffers alone: kind, ends and length come back to the last digit, from
 * float32 and float16, from betas and from alphas_cumprod. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "infer/infer.h"
#include "sample/schedule.h"

enum { UNET_BYTES = 32 * 3 * 3 * 3 };

typedef struct sample {
    ldm_beta_schedule kind;
    int n;
    double start, end, s;
    bool half, cumulative;
    bool bf16, widened; /* rounded to it; stored as float32 all the same */
} sample;

/* A file with the first convolution of a UNet and one buffer; free *data after closing. */
static ldm_ckpt *file_of(const sample *c, char **data)
{
    const bool narrow = (c->half || c->bf16) && !c->widened;
    const size_t size = narrow ? 2 : 4, n = (size_t)c->n;
    double *betas = malloc(2 * n * sizeof *betas);
    float *alphas = malloc(n * sizeof *alphas);
    ldm_error err = {.msg = ""};
    char header[512];
    ldm_ckpt *ck;
    size_t len;

    assert_true(betas && alphas);
    ldm_betas(c->kind, c->n, c->start, c->end, c->s, betas);
    ldm_alphas_cumprod(betas, c->n, betas + n, alphas);
    len = (size_t)snprintf(
        header, sizeof header,
        "{\"model.diffusion_model.input_blocks.0.0.weight\":{\"dtype\":\"U8\",\"shape\":[32,3,3,3],"
        "\"data_offsets\":[0,%d]},\"%s\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[%d,%zu]"
        "}"
        "}",
        UNET_BYTES, c->cumulative ? "alphas_cumprod" : "betas",
        !narrow   ? "F32"
        : c->half ? "F16"
                  : "BF16",
        c->n, UNET_BYTES, UNET_BYTES + n * size);
    *data = calloc(1, 8 + len + UNET_BYTES + n * size);
    assert_non_null(*data);
    for (int i = 0; i < 8; i++)
        (*data)[i] = (char)(len >> 8 * i);
    memcpy(*data + 8, header, len);
    for (size_t i = 0; i < n; i++) {
        const float x = c->cumulative ? alphas[i] : (float)betas[i];
        const uint16_t h = c->bf16 ? ldm_float_to_bf16(x) : ldm_float_to_half(x);
        const uint32_t bits = (uint32_t)h << 16;
        float wide = ldm_half_to_float(h);

        if (c->bf16)
            memcpy(&wide, &bits, sizeof wide);
        memcpy(*data + 8 + len + UNET_BYTES + i * size,
               narrow               ? (const void *)&h
               : c->half || c->bf16 ? &wide
                                    : &x,
               size);
    }
    free(betas);
    free(alphas);
    if (ldm_ckpt_open_memory(*data, 8 + len + UNET_BYTES + n * size, "test", NULL, &ck, &err))
        fail_msg("%s", err.msg);
    return ck;
}

static void number_is(const ldm_inference *in, const char *path, double want, const sample *c)
{
    const ldm_infer_setting *s = ldm_inference_find(in, path);

    if (!s || strtod(s->value, NULL) != want)
        fail_msg("%s of %s %g to %g (%d values): \"%s\", expected %.9g", path,
                 ldm_beta_schedule_name(c->kind), c->start, c->end, c->n, s ? s->value : "none",
                 want);
}

static void comes_back(const sample *c)
{
    ldm_error err = {.msg = ""};
    ldm_inference *in;
    char *data;
    ldm_ckpt *ck = file_of(c, &data);
    const ldm_infer_setting *kind;

    if (ldm_infer(ck, &in, &err))
        fail_msg("%s", err.msg);
    kind = ldm_inference_find(in, "model.params.beta_schedule");
    assert_string_equal(kind ? kind->value : "linear", ldm_beta_schedule_name(c->kind));
    number_is(in, "model.params.timesteps", c->n, c);
    if (c->kind == LDM_BETA_COSINE) {
        number_is(in, "model.params.cosine_s", c->s, c);
    } else {
        number_is(in, "model.params.linear_start", c->start, c);
        number_is(in, "model.params.linear_end", c->end, c);
    }
    ldm_inference_free(in);
    ldm_ckpt_close(ck);
    free(data);
}

static const sample samples[] = {
    {LDM_BETA_LINEAR, 1000, 0.0015, 0.0195, 8e-3, .half = false},
    {LDM_BETA_LINEAR, 1000, 0.00085, 0.012, 8e-3, .half = false},
    {LDM_BETA_LINEAR, 1000, 0.0015, 0.0205, 8e-3, .half = false},
    {LDM_BETA_LINEAR, 1000, 0.0015, 0.0155, 8e-3, .half = false},
    {LDM_BETA_LINEAR, 1000, 0.0001, 0.02, 8e-3, .half = false},
    {LDM_BETA_LINEAR, 400, 0.000123, 0.03456, 8e-3, .half = false},
    {LDM_BETA_SQRT_LINEAR, 1000, 0.0001, 0.02, 8e-3, .half = false},
    {LDM_BETA_SQRT, 1000, 0.0001, 0.02, 8e-3, .half = false},
    {LDM_BETA_COSINE, 1000, 0.0001, 0.02, 8e-3, .half = false},
    {LDM_BETA_COSINE, 500, 0.0001, 0.02, 0.015, .half = false},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void betas_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++)
        comes_back(&samples[i]);
}

static void products_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        sample c = samples[i];

        c.cumulative = true;
        if (c.kind == LDM_BETA_LINEAR && c.n == 1000)
            comes_back(&c);
    }
}

static void halves_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        sample c = samples[i];

        c.half = true;
        comes_back(&c);
    }
}

/* Of a file in bfloat16, and of one that was widened to float32 again. */
static void rounded_values_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        sample c = samples[i];

        c.bf16 = true;
        comes_back(&c);
        c.widened = true;
        comes_back(&c);
        c.bf16 = false;
        c.half = true;
        comes_back(&c);
    }
}

/* Values of no kind of CompVis' are taken from the file: no problem, where they are all there. */
static void own_values_are_used(void **state)
{
    ldm_error err = {.msg = ""};
    sample c = samples[0];
    ldm_inference *in;
    char *data;
    ldm_ckpt *ck;
    const ldm_tensor_info *t;
    const ldm_infer_setting *s;

    (void)state;
    c.cumulative = true;
    ck = file_of(&c, &data);
    t = ldm_ckpt_find(ck, "alphas_cumprod");
    for (size_t i = 500; i < 1000; i++) {
        const float low = 0.001f * (float)(1000 - i) / 500;

        memcpy(data + t->storage_offset + i * sizeof low, &low, sizeof low);
    }
    assert_int_equal(ldm_infer(ck, &in, &err), LDM_OK);
    s = ldm_inference_find(in, "model.params.linear_end");
    assert_non_null(s);
    assert_int_equal(s->from, LDM_INFER_ASSUMED);
    assert_non_null(strstr(s->how, "the file's own values"));
    for (size_t i = 0; i < in->problem_count; i++)
        assert_null(strstr(in->problems[i], "schedule"));
    ldm_inference_free(in);
    ldm_ckpt_close(ck);
    free(data);
}

/* No schedule of CompVis': said so, and nothing is invented. */
static void other_values_are_a_problem(void **state)
{
    ldm_error err = {.msg = ""};
    ldm_inference *in;
    char *data;
    ldm_ckpt *ck = file_of(&samples[0], &data);
    const ldm_tensor_info *t = ldm_ckpt_find(ck, "betas");
    const float odd = 0.5f;

    (void)state;
    memcpy(data + t->storage_offset + 100 * sizeof odd, &odd, sizeof odd);
    assert_int_equal(ldm_infer(ck, &in, &err), LDM_OK);
    assert_null(ldm_inference_find(in, "model.params.linear_end"));
    assert_true(in->problem_count > 0);
    ldm_inference_free(in);
    ldm_ckpt_close(ck);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(betas_come_back),     cmocka_unit_test(products_come_back),
        cmocka_unit_test(halves_come_back),    cmocka_unit_test(rounded_values_come_back),
        cmocka_unit_test(own_values_are_used), cmocka_unit_test(other_values_are_a_problem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
