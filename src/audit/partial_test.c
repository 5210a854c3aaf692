/* SPDX-License-Identifier: MIT */
/* Models that ldm knows in part: which parts are refused, why, and what is compared all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/audit_testing.h"
#include "base/alloc.h"

static const char unknown_model[] =
    "model.target=ldm.models.diffusion.ddpm.LatentDepth2ImageDiffusion";
static const char unknown_unet[] = "model.params.unet_config.target=somebodys.own.UNet";
static const char unknown_stage[] = "model.params.first_stage_config.target=somebodys.own.Stage";
static const char unknown_cond[] = "model.params.cond_stage_config={target: somebodys.own.Encoder}";

/* A file of the small model, and a configuration with these assignments laid over it. */
typedef struct bench {
    test_model trained;
    ldm_config *cfg;
    ldm_ckpt *ck;
    void *data;
    ldm_partial *p;
} bench;

static bench bench_create(const char *const *assignments, const test_edit *edit)
{
    static const test_edit plain;
    bench b = {.trained = test_model_create(test_yaml, NULL)};
    ldm_error err = {.msg = ""};
    ldm_network *network = NULL;
    ldm_status st = ldm_config_create(&b.cfg, &err);

    b.ck = test_ckpt_create(b.trained.network, edit ? edit : &plain, &b.data);
    if (!st)
        st = ldm_config_load_text(b.cfg, "test.yaml", test_yaml, strlen(test_yaml), &err);
    for (; !st && *assignments; assignments++)
        st = ldm_config_set(b.cfg, *assignments, &err);
    if (st)
        fail_msg("%s", err.msg);
    assert_int_equal(ldm_network_create(b.cfg, NULL, &network, &err), LDM_ERR_UNSUPPORTED);
    st = ldm_partial_create(b.cfg, b.ck, -1, NULL, &b.p, &err);
    if (st)
        fail_msg("%s", err.msg);
    return b;
}

static void bench_free(bench *b)
{
    ldm_partial_free(b->p);
    ldm_ckpt_close(b->ck);
    free(b->data);
    ldm_config_free(b->cfg);
    test_model_free(&b->trained);
}

static char *text_of(const bench *b)
{
    const char *configs[] = {"test.yaml"};
    const ldm_audit_given given = {.configs = configs, .config_count = 1};
    const ldm_audit_report how = {.all = false};
    ldm_error err = {.msg = ""};
    ldm_str out = {0};

    if (ldm_partial_text(b->p, &given, &how, &out, &err))
        fail_msg("%s", err.msg);
    return out.data;
}

static json_t *json_of(const bench *b)
{
    const ldm_audit_given given = {0};
    ldm_error err = {.msg = ""};
    ldm_str out = {0};
    json_t *root;

    if (ldm_partial_json(b->p, &given, &out, &err))
        fail_msg("%s", err.msg);
    root = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    ldm_free(out.data);
    return root;
}

/* All parts but the class are known: every tensor is compared. */
static void unknown_class_fits(void **state)
{
    const char *const sets[] = {unknown_model, NULL};
    bench b = bench_create(sets, NULL);
    char *text = text_of(&b);
    json_t *root = json_of(&b);

    (void)state;
    assert_true(ldm_partial_fits(b.p));
    test_contains(text, "FITS, BUT CANNOT RUN HERE");
    test_contains(text, "right shape in: UNet, first stage.");
    test_contains(text, "Stable Diffusion 2, depth to picture");
    test_contains(text, "LatentDepth2ImageDiffusion; of models ldm knows");
    assert_string_equal(json_string_value(json_object_get(root, "headline")),
                        "FITS, BUT CANNOT RUN HERE");
    assert_true(json_is_false(json_object_get(root, "runs")));
    json_decref(root);
    ldm_free(text);
    bench_free(&b);
}

/* Every part that is refused is named, not the first alone; the others are still compared. */
static void all_reasons_at_once(void **state)
{
    const char *const sets[] = {unknown_model, unknown_stage, unknown_cond, NULL};
    bench b = bench_create(sets, NULL);
    json_t *root = json_of(&b), *parts = json_object_get(root, "components");
    json_t *unet = json_object_get(parts, "model.diffusion_model");
    json_t *stage = json_object_get(parts, "first_stage_model");
    ldm_error err = {.code = LDM_ERR_UNSUPPORTED, .msg = "the first reason"};

    (void)state;
    assert_int_equal(test_list_size(root, "reasons"), 3);
    assert_true(json_integer_value(json_object_get(unet, "model")) > 0);
    assert_int_equal(json_integer_value(json_object_get(unet, "model")),
                     json_integer_value(json_object_get(unet, "matching")));
    assert_null(json_object_get(stage, "model"));
    assert_true(json_integer_value(json_object_get(stage, "file")) > 0);
    assert_true(ldm_partial_fits(b.p));
    assert_int_equal(ldm_partial_refuse(b.p, &err), LDM_ERR_UNSUPPORTED);
    test_contains(err.msg, "the first reason; also ");
    test_contains(err.msg, "somebodys.own.Stage");
    test_contains(err.msg, "somebodys.own.Encoder");
    test_contains(err.msg, "`ldm check` reports");
    json_decref(root);
    bench_free(&b);
}

/* Of a UNet that is not known the shapes are held against the configuration. */
static void shapes_of_an_unknown_unet(void **state)
{
    const char *const same[] = {unknown_unet, NULL};
    const char *const wider[] = {unknown_unet, "model.params.unet_config.params.model_channels=640",
                                 NULL};
    bench b = bench_create(same, NULL);
    char *text = text_of(&b);

    (void)state;
    assert_true(ldm_partial_fits(b.p));
    test_contains(text, "FITS AS FAR AS IT IS KNOWN, BUT CANNOT RUN HERE");
    test_contains(text, "UNet (what its shapes show agrees)");
    ldm_free(text);
    bench_free(&b);
    b = bench_create(wider, NULL);
    text = text_of(&b);
    assert_false(ldm_partial_fits(b.p));
    test_contains(text, "DOES NOT FIT");
    test_contains(text, "the configuration says 640");
    ldm_free(text);
    bench_free(&b);
}

static const char *without_decoder(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "first_stage_model.decoder.", 26) ? name : NULL;
}

static void missing_tensors_of_known_parts(void **state)
{
    const char *const sets[] = {unknown_cond, NULL};
    const test_edit edit = {.rename = without_decoder};
    bench b = bench_create(sets, &edit);
    char *text = text_of(&b);
    json_t *root = json_of(&b);

    (void)state;
    assert_false(ldm_partial_fits(b.p));
    test_contains(text, "DOES NOT FIT");
    test_contains(text, "first_stage_model.decoder.conv_in.weight  is missing");
    assert_true(test_list_size(root, "missing") > 10);
    json_decref(root);
    ldm_free(text);
    bench_free(&b);
}

/* Nothing is known: nothing is claimed. */
static void nothing_known(void **state)
{
    const char *const sets[] = {
        unknown_model,
        unknown_stage,
        unknown_cond,
        "model.params.unet_config=",
        "model.params.unet_config={target: somebodys.own.Transformer, params: {depth: 24}}",
        NULL};
    bench b = bench_create(sets, NULL);
    char *text = text_of(&b);

    (void)state;
    test_contains(text, "whether the checkpoint fits");
    ldm_free(text);
    bench_free(&b);
}

/* The configuration alone. */
static void inspection(void **state)
{
    const char *const sets[] = {unknown_stage, NULL};
    const ldm_inspect_report how = {.all = false};
    bench b = bench_create(sets, NULL);
    ldm_partial *alone = NULL;
    ldm_error err = {.msg = ""};
    ldm_str out = {0};

    (void)state;
    assert_int_equal(ldm_partial_create(b.cfg, NULL, -1, NULL, &alone, &err), LDM_OK);
    assert_int_equal(ldm_partial_inspect(alone, &how, &out, &err), LDM_OK);
    test_contains(out.data, "which this version of ldm cannot run");
    test_contains(out.data, "unet_config.params.model_channels");
    ldm_str_free(&out);
    ldm_partial_free(alone);
    bench_free(&b);
}

/* The published models by their configurations. */
static void families(void **state)
{
#define COND "model.params.cond_stage_config={target: ldm.modules.encoders.modules."
    static const struct {
        const char *sets[3], *name;
    } rows[] = {
        {{NULL}, NULL},
        {{COND "FrozenCLIPEmbedder}"}, "Stable Diffusion v1"},
        {{COND "FrozenCLIPEmbedder}", "model.params.unet_config.params.in_channels=9"},
         "Stable Diffusion v1, inpainting"},
        {{COND "FrozenCLIPEmbedder}", "model.params.unet_config.params.in_channels=8"},
         "InstructPix2Pix"},
        {{COND "FrozenOpenCLIPEmbedder}"}, "Stable Diffusion 2"},
        {{COND "ClassEmbedder}"}, "CompVis' class-conditional model"},
        {{"model.params.cond_stage_config=__is_first_stage__",
          "model.params.unet_config.params.in_channels=7"},
         "CompVis' inpainting model"},
        {{"model.target=sgm.models.diffusion.DiffusionEngine"},
         "Stable Diffusion XL, or another model of Stability's generative-models"},
        {{"model.target=5"}, NULL},
        {{"model=5"}, NULL},
    };
#undef COND
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ldm_config *cfg;
        ldm_error err = {.msg = ""};
        const char *name;

        assert_int_equal(ldm_config_create(&cfg, &err), LDM_OK);
        assert_int_equal(ldm_config_load_text(cfg, "test.yaml", test_yaml, strlen(test_yaml), &err),
                         LDM_OK);
        for (k = 0; k < 3 && rows[i].sets[k]; k++)
            assert_int_equal(ldm_config_set(cfg, rows[i].sets[k], &err), LDM_OK);
        name = ldm_audit_family(cfg);
        if (!rows[i].name != !name || (name && strcmp(name, rows[i].name)))
            fail_msg("row %zu: %s, expected %s", i, name ? name : "none",
                     rows[i].name ? rows[i].name : "none");
        ldm_config_free(cfg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_class_fits),
        cmocka_unit_test(all_reasons_at_once),
        cmocka_unit_test(shapes_of_an_unknown_unet),
        cmocka_unit_test(missing_tensors_of_known_parts),
        cmocka_unit_test(nothing_known),
        cmocka_unit_test(inspection),
        cmocka_unit_test(families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
