/* SPDX-License-Identifier: MIT */
/* The golden cases (LDM_GOLDEN or ../shared/golden): every checkpoint opens, the containers of one
 * model hold the same bits, and three tensors equal the arrays that torch wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checkpoint/ckpt_testing.h"

static const char *golden(void)
{
    const char *dir = getenv("LDM_GOLDEN");

    return dir ? dir : "../shared/golden";
}

static ldm_ckpt *open_golden(const char *name)
{
    char path[1000];
    ldm_ckpt *ck = NULL;
    ldm_error err;

    snprintf(path, sizeof path, "%s/%s", golden(), name);
    if (ldm_ckpt_open(path, NULL, &ck, &err))
        fail_msg("%s", err.msg);
    return ck;
}

static int present(const char *name)
{
    char path[1000];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", golden(), name);
    f = fopen(path, "rb");
    if (f)
        fclose(f);
    if (!f)
        print_message("skipped: %s is not there\n", path);
    return f != NULL;
}

static float *values(const ldm_ckpt *ck, const ldm_tensor_info *t)
{
    float *v = malloc((size_t)t->numel * sizeof *v + 1);
    ldm_error err;

    assert_non_null(v);
    if (ldm_ckpt_read_f32(ck, t, v, &err))
        fail_msg("%s", err.msg);
    return v;
}

/* Every tensor of b is in a, with the same shape and bits. */
static void expect_same(const char *name_a, const char *name_b)
{
    ldm_ckpt *a = open_golden(name_a), *b = open_golden(name_b);
    size_t i;

    assert_int_equal(ldm_ckpt_count(a), ldm_ckpt_count(b));
    for (i = 0; i < ldm_ckpt_count(b); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(b, i), *s = ldm_ckpt_find(a, t->name);
        float *x, *y;

        if (!s || s->ndim != t->ndim || memcmp(s->shape, t->shape, sizeof t->shape) != 0)
            fail_msg("%s and %s differ in %s", name_a, name_b, t->name);
        x = values(a, s);
        y = values(b, t);
        if (memcmp(x, y, (size_t)t->numel * sizeof *x) != 0)
            fail_msg("%s and %s differ in the values of %s", name_a, name_b, t->name);
        free(x);
        free(y);
    }
    ldm_ckpt_close(a);
    ldm_ckpt_close(b);
}

static void containers_agree(void **state)
{
    static const char *const f32[] = {"legacy.ckpt", "safetensors", "lightning.ckpt", "views.ckpt"};
    static const char *const f16[] = {"bare.ckpt", "lightning.legacy.ckpt"};
    char name[100];
    size_t i;

    (void)state;
    if (!present("formats/model.ckpt"))
        return;
    for (i = 0; i < sizeof f32 / sizeof f32[0]; i++) {
        snprintf(name, sizeof name, "formats/model.%s", f32[i]);
        expect_same("formats/model.ckpt", name);
    }
    for (i = 0; i < sizeof f16 / sizeof f16[0]; i++) {
        snprintf(name, sizeof name, "formats/model.%s", f16[i]);
        expect_same("formats/model.fp16.ckpt", name);
    }
}

static void values_equal_torch(void **state)
{
    static const char *const names[] = {"first_stage_model.quantize.embedding.weight",
                                        "model.diffusion_model.input_blocks.1.1.qkv.weight",
                                        "model.diffusion_model.out.2.weight"};
    ldm_ckpt *ck;
    size_t i;

    (void)state;
    if (!present("formats/model.ckpt"))
        return;
    ck = open_golden("formats/model.ckpt");
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        const ldm_tensor_info *t = ldm_ckpt_find(ck, names[i]);
        char path[1000];
        float *v;
        bytes npy;

        snprintf(path, sizeof path, "%s/formats/tensor/%s.npy", golden(), names[i]);
        npy = read_whole(path);
        assert_non_null(t);
        v = values(ck, t);
        assert_true(npy.len > t->numel * sizeof *v);
        assert_non_null(strstr((const char *)npy.data + 10, "'<f4', 'fortran_order': False"));
        assert_memory_equal(npy.data + npy.len - t->numel * sizeof *v, v, t->numel * sizeof *v);
        free(v);
        bytes_free(&npy);
    }
    ldm_ckpt_close(ck);
}

static void every_case_opens(void **state)
{
    static const struct {
        const char *name;
        size_t keys;
    } cases[] = {
        {"ffhq-small/model.ckpt", 955},   {"class-cond/model.ckpt", 486},
        {"superres/model.ckpt", 365},     {"uncond-kl8/model.ckpt", 663},
        {"inpaint/model.ckpt", 704},      {"text-bert/model.ckpt", 626},
        {"formats/model.bf16.ckpt", 283},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ldm_ckpt *ck;

        if (!present(cases[i].name))
            continue;
        ck = open_golden(cases[i].name);
        assert_int_equal(ldm_ckpt_count(ck), cases[i].keys);
        assert_int_equal(read_all(ck), 0);
        ldm_ckpt_close(ck);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_agree),
        cmocka_unit_test(values_equal_torch),
        cmocka_unit_test(every_case_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
