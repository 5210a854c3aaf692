/* SPDX-License-Identifier: MIT */
/* Tests of the causes: files of another kind, configurations of another model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "audit/audit_testing.h"
#include "base/alloc.h"
#include "checkpoint/ckpt_testing.h"

#define STAGE "model.params.first_stage_config."
#define KL                                                                                         \
    STAGE "target=ldm.models.autoencoder.AutoencoderKL", STAGE "params.ddconfig.double_z=true"

/* A file of one kind of first stage against a configuration of the other, and one kind at other
 * dimensions. */
static void first_stages_of_another_kind(void **state)
{
    static const struct {
        const char *trained[5], *asked[5], *id, *says;
    } rows[] = {
        {{KL}, {NULL}, "kl_first_stage", "it is an AutoencoderKL"},
        {{NULL}, {KL}, "vq_first_stage", "it is a VQModel"},
        {{KL, STAGE "params.embed_dim=4"}, {KL}, "embed_dim", "embed_dim 4"},
        {{KL, STAGE "params.ddconfig.z_channels=5"}, {KL}, "z_channels", "z_channels 5"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_bench b = test_bench_create(rows[i].trained, rows[i].asked, NULL, -1);
        json_t *j = test_check_json(b.a, false);
        ldm_error err;

        if (!test_remedy(j, rows[i].id))
            fail_msg("row %zu: the cause is not named", i);
        /* A codebook that the configuration does not know is read by no run. */
        if (strcmp(rows[i].id, "vq_first_stage")) {
            assert_int_equal(ldm_audit_verdict(b.a, &err), LDM_ERR_MISMATCH);
            test_contains(err.msg, rows[i].says);
        }
        json_decref(j);
        test_bench_free(&b);
    }
}

/* A KL file fits its own configuration; the file of a pixel model has no first stage. */
static void first_stages_that_fit(void **state)
{
    static const char *const kl[] = {KL, NULL};
    static const char *const identity[] = {STAGE "target=ldm.models.autoencoder.IdentityFirstStage",
                                           NULL};
    static const char *const *const sets[] = {kl, identity};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        test_bench b = test_bench_create(sets[i], sets[i], NULL, -1);
        json_t *j = test_check_json(b.a, false);

        assert_true(b.a->fits);
        assert_int_equal(b.a->matching, b.a->model_keys);
        assert_int_equal(test_list_size(j, "causes"), 0);
        test_contains(json_string_value(json_object_get(j, "next_step")), "ldm generate");
        json_decref(j);
        test_bench_free(&b);
    }
}

/* "next: ldm generate" comes from a check with what must be given, and only where generate makes
 * pictures. */
static void check_proposes_generate_only_where_it_works(void **state)
{
    static const char *const sets[] = {"model.params.unet_config.params.in_channels=6",
                                       "model.params.cond_stage_config=__is_first_stage__",
                                       "model.params.conditioning_key=concat", NULL};
    static const char *const alone[] = {"model.params.unet_config.params.in_channels=6", NULL};
    test_bench b = test_bench_create(sets, sets, NULL, -1);
    json_t *j = test_check_json(b.a, false);
    char *text = test_check_text(b.a, false, false);
    const char *next = json_string_value(json_object_get(j, "next_step"));

    (void)state;
    assert_true(b.a->fits);
    test_contains(next, "ldm generate");
    test_contains(next, " --image FILE");
    test_contains(text, "a picture (--image)");
    test_contains(text, "3 channels after them (concat)");
    ldm_free(text);
    json_decref(j);
    test_bench_free(&b);
    b = test_bench_create(alone, alone, NULL, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->fits);
    test_contains(json_string_value(json_object_get(j, "next_step")), "ldm eval");
    test_contains(json_string_value(json_object_get(j, "verdict")), "conditioning_key passes none");
    json_decref(j);
    test_bench_free(&b);
}

static void cause_of_other_settings(void **state)
{
    static const struct {
        const char *set, *id;
    } rows[] = {
        {"model.params.unet_config.params.model_channels=64", "model_channels"},
        {"model.params.unet_config.params.in_channels=4", "in_channels"},
        {"model.params.unet_config.params.num_res_blocks=2", "num_res_blocks"},
        {"model.params.unet_config.params.channel_mult=[1,3]", "channel_mult"},
        {"model.params.unet_config.params.channel_mult=[1,2,2]", "channel_mult"},
        {"model.params.unet_config.params.attention_resolutions=[2,1]", "attention_resolutions"},
        {"model.params.unet_config.params.resblock_updown=true", "resblock_updown"},
        {"model.params.unet_config.params.use_scale_shift_norm=true", "use_scale_shift_norm"},
        {"model.params.first_stage_config.params.n_embed=128", "n_embed"},
        {"model.params.first_stage_config.params.ddconfig.ch=64", "ch"},
        {"model.params.first_stage_config.params.ddconfig.ch_mult=[1,4]", "ch_mult"},
        {"model.params.first_stage_config.params.ddconfig.num_res_blocks=2",
         "stage_num_res_blocks"},
        {"model.params.first_stage_config.params.ddconfig.attn_type=none", "attn_type"},
        {"model.params.timesteps=500", "timesteps"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *trained[] = {rows[i].set, NULL};
        test_bench b = test_bench_create(trained, NULL, NULL, -1);
        json_t *j = test_check_json(b.a, false);
        const char *cure = test_remedy(j, rows[i].id);
        ldm_error err;

        if (!cure)
            fail_msg("%s: the cause is not named", rows[i].set);
        test_contains(cure, rows[i].set);
        /* Extra blocks alone (an attention that the file has on top) are no fault for a run. */
        if (!b.a->fits) {
            test_contains(json_string_value(json_object_get(j, "next_step")), rows[i].set);
            assert_int_equal(ldm_audit_verdict(b.a, &err), LDM_ERR_MISMATCH);
            test_contains(err.msg, rows[i].set);
        }
        if (test_list_size(j, "causes") != 1)
            fail_msg("%s: %zu causes", rows[i].set, test_list_size(j, "causes"));
        json_decref(j);
        test_bench_free(&b);
    }
}

static void shape_mismatch_is_told_with_both_shapes(void **state)
{
    static const char *const wide[] = {"model.params.unet_config.params.model_channels=64", NULL};
    test_bench b = test_bench_create(NULL, wide, NULL, 0);
    json_t *j = test_check_json(b.a, false);
    ldm_error err;
    char *text = test_check_text(b.a, false, true);

    (void)state;
    assert_false(b.a->fits);
    assert_true(b.a->run_mismatched > 0);
    assert_int_equal(test_list_size(j, "shape_mismatch"), b.a->mismatched_count);
    assert_int_equal(b.a->matching + b.a->mismatched_count + b.a->missing_count, b.a->model_keys);
    ldm_audit_verdict(b.a, &err);
    test_contains(err.msg, "model.diffusion_model.time_embed.0.weight has shape [128, 32], the "
                           "configuration expects [256, 64]");
    test_contains(err.msg, "model_channels 32, the configuration says 64 (--set)");
    test_contains(text, "\033[31mDOES NOT FIT");
    test_contains(text, "(--all shows them)");
    ldm_free(text);
    json_decref(j);
    test_bench_free(&b);
}

static const char *add_module(const char *name, char *buf)
{
    snprintf(buf, 512, "module.%s", name);
    return buf;
}

static const char *bare_unet(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "model.diffusion_model.", 22) ? NULL : name + 22;
}

static const char *bare_stage(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "first_stage_model.", 18) ? NULL : name + 18;
}

static const char *without_model(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "model.", 6) ? name : name + 6;
}

static const char *diffusers(const char *name, char *buf)
{
    static const char block[] = "model.diffusion_model.output_blocks.";

    if (strncmp(name, block, sizeof block - 1))
        return NULL;
    snprintf(buf, 512, "down_blocks.%s", name + sizeof block - 1);
    return buf;
}

static const char *only_stage(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "first_stage_model.", 18) ? NULL : name;
}

static const char *only_unet(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "model.", 6) ? NULL : name;
}

static const char *kl_stage(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "first_stage_model.quantize.embedding.weight") ? name : NULL;
}

static const char *nothing(const char *name, char *buf)
{
    (void)name;
    (void)buf;
    return NULL;
}

static const char *other_names(const char *name, char *buf)
{
    snprintf(buf, 512, "x%zu_%c", strlen(name), name[strlen(name) - 1]);
    (void)name;
    return strcmp(name, "betas") ? NULL : buf;
}

/* First stage keys of another library. */
static const char *foreign_stage(const char *name, char *buf)
{
    if (strncmp(name, "first_stage_model.", 18))
        return NULL;
    snprintf(buf, 512, "first_stage_model.layer%zu_%c%s", strlen(name), name[strlen(name) - 1],
             strrchr(name, '.'));
    return strcmp(name, "first_stage_model.quant_conv.weight") ? NULL : buf;
}

/* One raw tensor is missing: the UNet is there all the same. */
static const char *without_first_conv(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "model.diffusion_model.input_blocks.0.0.weight") ? name : NULL;
}

static void one_missing_tensor_hides_no_network(void **state)
{
    static const test_edit e = {.rename = without_first_conv};
    test_bench b = test_bench_create(NULL, NULL, &e, 0);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_false(b.a->fits);
    assert_null(test_remedy(j, "ema_only"));
    assert_non_null(test_remedy(j, "incomplete"));
    json_decref(j);
    test_bench_free(&b);
}

static void cause_of_other_files(void **state)
{
    static const struct {
        const char *(*rename)(const char *, char *);
        const char *id, *remedy;
    } rows[] = {
        {add_module, "extra_prefix", "--set 'ldm.load.rename={\"^module.\": \"\"}'"},
        {bare_unet, "bare_unet", "whole latent diffusion checkpoint"},
        {bare_stage, "bare_first_stage", "whole latent diffusion checkpoint"},
        {without_model, "other_prefix",
         "--set 'ldm.load.rename={\"^diffusion_model.\": \"model.diffusion_model.\"}'"},
        {diffusers, "diffusers", "original CompVis checkpoint"},
        {only_stage, "first_stage_only", "autoencoder alone"},
        {only_unet, "unet_only", "first_stage_model.*"},
        {kl_stage, "other_first_stage", "published with this checkpoint"},
        {nothing, "empty", "model.ckpt"},
        {other_names, "foreign", "ldm inspect"},
        {foreign_stage, "foreign_first_stage", "ldm inspect"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_edit e = {.rename = rows[i].rename};
        test_bench b = test_bench_create(NULL, NULL, &e, rows[i].rename == without_model ? 0 : -1);
        json_t *j = test_check_json(b.a, false);

        assert_false(b.a->fits);
        if (!test_remedy(j, rows[i].id))
            fail_msg("%s is not named", rows[i].id);
        test_contains(test_remedy(j, rows[i].id), rows[i].remedy);
        assert_null(strstr(test_remedy(j, rows[i].id), "inspect FILE")); /* which file */
        if (test_list_size(j, "causes") != 1)
            fail_msg("%s: %zu causes", rows[i].id, test_list_size(j, "causes"));
        json_decref(j);
        test_bench_free(&b);
    }
}

static void many_differences_mean_another_yaml(void **state)
{
    static const char *const other[] = {"model.params.unet_config.params.num_res_blocks=2",
                                        "model.params.unet_config.params.channel_mult=[1,2,3]",
                                        "model.params.unet_config.params.resblock_updown=true",
                                        "model.params.first_stage_config.params.n_embed=128",
                                        "model.params.first_stage_config.params.ddconfig.ch=64",
                                        NULL};
    test_bench b = test_bench_create(other, NULL, NULL, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_int_equal(test_list_size(j, "causes"), 5);
    test_contains(json_string_value(json_object_get(j, "next_step")),
                  "use the YAML that was published with this checkpoint");
    json_decref(j);
    test_bench_free(&b);
}

/* What lies in the file in a form that is not read is the cause, not the YAML. */
static void tensors_that_are_sparse(void **state)
{
    static const float numbers[8] = {0};
    const pk_view view = {"FloatStorage", "0", 8, 0, 1, {8}, {1}};
    test_model m = test_model_create(test_yaml, NULL);
    bytes pickle = {0}, file = {0};
    ldm_error err;
    ldm_audit *a;
    opened o;

    (void)state;
    put_text(&pickle, "}");
    pk_str(&pickle, "first_stage_model.decoder.conv_in.bias");
    pk_tensor(&pickle, &view);
    put_text(&pickle, "s");
    pk_str(&pickle, "model.diffusion_model.time_embed.0.weight");
    put_text(&pickle, "ctorch._utils\n_rebuild_sparse_tensor\n)Rs.");
    put_ckpt(&file, &pickle, numbers, sizeof numbers);
    o = open_bytes(file.data, file.len);
    assert_int_equal(o.st, LDM_OK);
    assert_int_equal(ldm_audit_create(m.network, o.ck, -1, NULL, &a, &err), LDM_OK);
    a->given.config = m.cfg;
    assert_int_equal(ldm_audit_verdict(a, &err), LDM_ERR_MISMATCH);
    test_contains(err.msg, "1 of the missing tensors is in the file, but could not be read: "
                           "'model.diffusion_model.time_embed.0.weight' is a tensor made by "
                           "torch._utils._rebuild_sparse_tensor");
    test_contains(err.msg, "save it again with plain tensors");
    ldm_audit_free(a);
    opened_done(&o);
    bytes_free(&file);
    bytes_free(&pickle);
    test_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_stages_of_another_kind),
        cmocka_unit_test(first_stages_that_fit),
        cmocka_unit_test(check_proposes_generate_only_where_it_works),
        cmocka_unit_test(cause_of_other_settings),
        cmocka_unit_test(shape_mismatch_is_told_with_both_shapes),
        cmocka_unit_test(cause_of_other_files),
        cmocka_unit_test(one_missing_tensor_hides_no_network),
        cmocka_unit_test(many_differences_mean_another_yaml),
        cmocka_unit_test(tensors_that_are_sparse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
