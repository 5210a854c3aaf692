/* Tests of the audit room on small models made here: lists, counts, verdicts, causes, settings. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "audit/audit_testing.h"
#include "base/alloc.h"

/* A file made of one configuration and held against another. */
typedef struct bench {
    test_model trained, asked;
    ldm_ckpt *ck;
    void *data;
    ldm_audit *a;
} bench;

static bench bench_create(const char *const *trained, const char *const *asked,
                          const test_edit *edit, int ema)
{
    bench b;
    ldm_error err = {.msg = ""};

    b.trained = test_model_create(test_yaml, trained);
    b.asked = test_model_create(test_yaml, asked);
    b.ck = test_ckpt_create(b.trained.spec, edit, &b.data);
    if (ldm_audit_create(b.asked.spec, b.ck, ema, &b.a, &err))
        fail_msg("%s", err.msg);
    return b;
}

static void bench_free(bench *b)
{
    ldm_audit_free(b->a);
    ldm_ckpt_close(b->ck);
    ldm_free(b->data);
    test_model_free(&b->trained);
    test_model_free(&b->asked);
}

static const char *text_at(const json_t *root, const char *object, const char *key)
{
    return json_string_value(json_object_get(json_object_get(root, object), key));
}

static json_t *setting(const json_t *root, const char *name, const char *field)
{
    json_t *s = json_object_get(json_object_get(root, "settings"), name);

    assert_non_null(s);
    return json_object_get(s, field);
}

static const char *origin(const json_t *root, const char *name)
{
    return json_string_value(setting(root, name, "origin"));
}

static size_t list_size(const json_t *root, const char *name)
{
    json_t *l = json_object_get(root, name);

    assert_true(json_is_array(l));
    return json_array_size(l);
}

static const char *list_item(const json_t *root, const char *name, size_t i)
{
    return json_string_value(json_array_get(json_object_get(root, name), i));
}

/* The remedy that the report gives for one cause; NULL where it does not name that cause. */
static const char *remedy(const json_t *root, const char *id)
{
    json_t *c, *all = json_object_get(root, "causes");
    size_t i;

    json_array_foreach(all, i, c)
    {
        if (strcmp(json_string_value(json_object_get(c, "id")), id) == 0)
            return json_string_value(json_object_get(c, "remedy"));
    }
    return NULL;
}

static bool has_note(const json_t *root, const char *part)
{
    json_t *n, *all = json_object_get(root, "notes");
    size_t i;

    json_array_foreach(all, i, n)
    {
        if (strstr(json_string_value(n), part))
            return true;
    }
    return false;
}

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text ? text : "(nothing)");
}

/* ---- the match ---------------------------------------------------------------------------------
 */

static void same_file_matches_whole(void **state)
{
    test_edit e = {.schedule = true};
    bench b = bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, false);
    char *text = test_check_text(b.a, false, false);

    (void)state;
    assert_true(b.a->fits);
    assert_true(b.a->effective.ema);
    assert_int_equal(b.a->matching, b.asked.spec->tensor_count);
    assert_int_equal(list_size(j, "missing"), 0);
    assert_int_equal(list_size(j, "unexpected"), 0);
    assert_int_equal(list_size(j, "shape_mismatch"), 0);
    assert_int_equal(json_integer_value(json_object_get(j, "matching")), b.a->matching);
    assert_int_equal(json_integer_value(json_object_get(j, "model_keys")), b.a->matching);
    assert_int_equal(json_integer_value(json_object_get(j, "checkpoint_keys")), b.a->matching);
    assert_true(json_real_value(json_object_get(j, "matching_percent")) == 100.0);
    assert_int_equal(list_size(j, "causes"), 0);
    assert_int_equal(ldm_audit_verdict(b.a, NULL), LDM_OK);
    assert_contains(text, "FITS");
    assert_contains(text, "(100.0 %)");
    assert_contains(text, "ldm generate --ckpt test.safetensors --config test.yaml");
    assert_null(strstr(text, "\033["));
    ldm_free(text);
    json_decref(j);
    bench_free(&b);
}

static const char *drop_out_bias(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "model.diffusion_model.out.2.bias") == 0 ? NULL : name;
}

static void missing_raw_key_counts_only_when_raw_is_used(void **state)
{
    test_edit e = {.rename = drop_out_bias};
    bench b = bench_create(NULL, NULL, &e, -1);
    json_t *j;
    ldm_error err;

    (void)state;
    assert_true(b.a->fits); /* the shadows are used */
    assert_int_equal(b.a->missing_count, 1);
    bench_free(&b);

    b = bench_create(NULL, NULL, &e, 0);
    j = test_check_json(b.a, false);
    assert_false(b.a->fits);
    assert_int_equal(b.a->run_missing, 1);
    assert_string_equal(list_item(j, "missing", 0), "model.diffusion_model.out.2.bias");
    assert_non_null(remedy(j, "incomplete"));
    assert_int_equal(ldm_audit_verdict(b.a, &err), LDM_ERR_MISMATCH);
    assert_contains(err.msg,
                    "model.diffusion_model.out.2.bias is missing, expected with shape [3]");
    json_decref(j);
    bench_free(&b);
}

static void extra_keys_do_no_harm(void **state)
{
    test_edit e = {.extra = "loss.discriminator.weight"};
    bench b = bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, false);
    char *text = test_check_text(b.a, false, false);

    (void)state;
    assert_true(b.a->fits);
    assert_int_equal(list_size(j, "unexpected"), 1);
    assert_int_equal(list_size(j, "unexpected_not_harmless"), 0);
    assert_contains(text, "harmless: of the training loss");
    json_decref(j);
    ldm_free(text);
    bench_free(&b);

    e.extra = "model.diffusion_model.input_blocks.99.weight";
    b = bench_create(NULL, NULL, &e, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->fits);
    assert_int_equal(list_size(j, "unexpected_not_harmless"), 1);
    json_decref(j);
    bench_free(&b);
}

static const char *drop_ema(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "model_ema.", 10) ? name : NULL;
}

static void absent_ema_means_raw_weights(void **state)
{
    test_edit e = {.rename = drop_ema};
    bench b = bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, false);
    ldm_audit *a;
    ldm_error err;

    (void)state;
    assert_true(b.a->fits);
    assert_false(b.a->effective.ema);
    assert_string_equal(json_string_value(setting(j, "weights", "value")), "raw");
    assert_true(has_note(j, "the raw weights are used"));
    assert_string_equal(text_at(json_object_get(j, "components"), "model_ema", "status"),
                        "MISSING");
    json_decref(j);
    assert_int_equal(ldm_audit_create(b.asked.spec, b.ck, 1, &a, &err), LDM_ERR_MISMATCH);
    assert_null(a);
    assert_contains(err.msg, "no model_ema.* tensors");
    bench_free(&b);
}

static const char *drop_raw(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "model.", 6) ? name : NULL;
}

static void ema_alone_is_enough_where_it_is_used(void **state)
{
    static const char *const no_ema[] = {"model.params.use_ema=false", NULL};
    test_edit e = {.rename = drop_raw};
    bench b = bench_create(NULL, NULL, &e, -1);
    json_t *j;
    ldm_audit *a;
    ldm_error err;

    (void)state;
    assert_true(b.a->fits);
    bench_free(&b);

    b = bench_create(NULL, no_ema, &e, -1);
    j = test_check_json(b.a, false);
    assert_false(b.a->fits);
    assert_string_equal(remedy(j, "ema_only"), "--set model.params.use_ema=true");
    assert_int_equal(ldm_audit_create(b.asked.spec, b.ck, 1, &a, &err), LDM_ERR_USAGE);
    assert_contains(err.msg, "model.params.use_ema=true");
    json_decref(j);
    bench_free(&b);
}

static const char *drop_one_shadow(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "model_ema.diffusion_modelout2bias") == 0 ? NULL : name;
}

static void broken_ema_is_no_ema(void **state)
{
    test_edit e = {.rename = drop_one_shadow};
    bench b = bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_false(b.a->fits);
    assert_contains(remedy(j, "ema_partial"), "--no-ema");
    json_decref(j);
    bench_free(&b);

    b = bench_create(NULL, NULL, &e, 0);
    assert_true(b.a->fits);
    bench_free(&b);
}

static const char *drop_encoder(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "first_stage_model.encoder.", 26) ? name : NULL;
}

static void encoder_is_not_needed(void **state)
{
    test_edit e = {.rename = drop_encoder};
    bench b = bench_create(NULL, NULL, &e, -1);
    char *text = test_check_text(b.a, true, false);

    (void)state;
    assert_true(b.a->fits);
    assert_true(b.a->missing_count > 0);
    assert_contains(text, "of the encoder; sampling does not read it");
    assert_contains(text, "first_stage_model.encoder.conv_in.weight  [32, 3, 3, 3]");
    ldm_free(text);
    bench_free(&b);
}

static const char *drop_alphas(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "alphas_cumprod") == 0 ? NULL : name;
}

static void first_stage_as_conditioner_is_listed_twice(void **state)
{
    static const char *const cond[] = {"model.params.cond_stage_config=__is_first_stage__", NULL};
    bench b = bench_create(cond, cond, NULL, -1);
    json_t *j = test_check_json(b.a, false), *parts = json_object_get(j, "components");
    json_t *first = json_object_get(json_object_get(parts, "first_stage_model"), "model");
    json_t *second = json_object_get(json_object_get(parts, "cond_stage_model"), "model");
    long long twice = json_integer_value(json_object_get(j, "model_parameters"));

    (void)state;
    assert_true(b.a->fits);
    assert_int_equal(b.a->matching, b.a->model_keys);
    assert_true(json_equal(first, second));
    json_decref(j);
    bench_free(&b);

    b = bench_create(cond, NULL, NULL, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->fits); /* leftovers of the conditioner */
    assert_int_equal(list_size(j, "unexpected_not_harmless"), 0);
    assert_true(list_size(j, "unexpected") > 0);
    assert_int_equal(json_integer_value(json_object_get(j, "model_parameters")), twice);
    json_decref(j);
    bench_free(&b);

    {
        test_edit e = {.rename = drop_alphas};

        b = bench_create(NULL, NULL, &e, -1); /* recomputed */
        assert_true(b.a->fits);
        assert_int_equal(b.a->missing_count, 1);
        assert_null(b.a->effective.alphas_cumprod);
        bench_free(&b);
    }
}

/* ---- causes ------------------------------------------------------------------------------------
 */

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
        bench b = bench_create(trained, NULL, NULL, -1);
        json_t *j = test_check_json(b.a, false);
        const char *cure = remedy(j, rows[i].id);
        ldm_error err;

        if (!cure)
            fail_msg("%s: the cause is not named", rows[i].set);
        assert_contains(cure, rows[i].set);
        /* Extra blocks alone (an attention that the file has on top) are no fault for a run. */
        if (!b.a->fits) {
            assert_contains(json_string_value(json_object_get(j, "next_step")), rows[i].set);
            assert_int_equal(ldm_audit_verdict(b.a, &err), LDM_ERR_MISMATCH);
            assert_contains(err.msg, rows[i].set);
        }
        if (list_size(j, "causes") != 1)
            fail_msg("%s: %zu causes", rows[i].set, list_size(j, "causes"));
        json_decref(j);
        bench_free(&b);
    }
}

static void shape_mismatch_is_told_with_both_shapes(void **state)
{
    static const char *const wide[] = {"model.params.unet_config.params.model_channels=64", NULL};
    bench b = bench_create(NULL, wide, NULL, 0);
    json_t *j = test_check_json(b.a, false);
    ldm_error err;
    char *text = test_check_text(b.a, false, true);

    (void)state;
    assert_false(b.a->fits);
    assert_true(b.a->run_mismatched > 0);
    assert_int_equal(list_size(j, "shape_mismatch"), b.a->mismatched_count);
    assert_int_equal(b.a->matching + b.a->mismatched_count + b.a->missing_count, b.a->model_keys);
    ldm_audit_verdict(b.a, &err);
    assert_contains(err.msg, "model.diffusion_model.time_embed.0.weight has shape [128, 32], the "
                             "configuration expects [256, 64]");
    assert_contains(err.msg, "model_channels 32, the configuration says 64 (--set)");
    assert_contains(text, "\033[31mDOES NOT FIT");
    assert_contains(text, "(--all shows them)");
    ldm_free(text);
    json_decref(j);
    bench_free(&b);
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

static void cause_of_other_files(void **state)
{
    static const struct {
        const char *(*rename)(const char *, char *);
        const char *id, *remedy;
    } rows[] = {
        {add_module, "extra_prefix",
         "{k[7:]: v for k, v in sd.items() if k.startswith('module.')}"},
        {bare_unet, "bare_unet", "whole latent diffusion checkpoint"},
        {bare_stage, "bare_first_stage", "whole latent diffusion checkpoint"},
        {without_model, "other_prefix", "renamed to 'model.diffusion_model....'"},
        {diffusers, "diffusers", "original CompVis checkpoint"},
        {only_stage, "first_stage_only", "autoencoder alone"},
        {only_unet, "unet_only", "first_stage_model.*"},
        {kl_stage, "kl_first_stage", "published with this checkpoint"},
        {nothing, "empty", "model.ckpt"},
        {other_names, "foreign", "ldm inspect"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_edit e = {.rename = rows[i].rename};
        bench b = bench_create(NULL, NULL, &e, rows[i].rename == without_model ? 0 : -1);
        json_t *j = test_check_json(b.a, false);

        assert_false(b.a->fits);
        if (!remedy(j, rows[i].id))
            fail_msg("%s is not named", rows[i].id);
        assert_contains(remedy(j, rows[i].id), rows[i].remedy);
        if (list_size(j, "causes") != 1)
            fail_msg("%s: %zu causes", rows[i].id, list_size(j, "causes"));
        json_decref(j);
        bench_free(&b);
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
    bench b = bench_create(other, NULL, NULL, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_int_equal(list_size(j, "causes"), 5);
    assert_contains(json_string_value(json_object_get(j, "next_step")),
                    "use the YAML that was published with this checkpoint");
    json_decref(j);
    bench_free(&b);
}

/* ---- settings ----------------------------------------------------------------------------------
 */

static void settings_say_where_they_come_from(void **state)
{
    static const char *const set[] = {"model.params.scale_factor=0.18215", NULL};
    test_edit e = {.schedule = true};
    bench b = bench_create(NULL, set, &e, -1);
    json_t *j = test_check_json(b.a, false), *block;

    (void)state;
    assert_true(json_real_value(setting(j, "scale_factor", "value")) == 0.18215);
    assert_string_equal(origin(j, "scale_factor"), "--set");
    assert_true(has_note(j, "KL-f8"));
    assert_string_equal(origin(j, "num_head_channels"), "test.yaml:23");
    assert_int_equal(json_integer_value(setting(j, "num_head_channels", "value")), 32);
    assert_string_equal(origin(j, "parameterization"), "default");
    assert_string_equal(json_string_value(setting(j, "parameterization", "value")), "eps");
    assert_true(json_is_null(setting(j, "conditioning_key", "value")));
    assert_string_equal(origin(j, "conditioning_key"), "test.yaml:42");
    assert_contains(json_string_value(setting(j, "conditioning_key", "note")), "test.yaml:11");
    assert_string_equal(origin(j, "linear_start"), "test.yaml:5");
    assert_string_equal(origin(j, "alphas_cumprod"), "checkpoint buffer");
    assert_contains(json_string_value(setting(j, "alphas_cumprod", "note")), "equal");
    assert_string_equal(json_string_value(setting(j, "weights", "value")), "EMA");
    assert_true(has_note(j, "no cross-attention"));
    assert_string_equal(origin(j, "attention_heads"), "test.yaml:23");
    block = json_object_get(setting(j, "attention_heads", "value"), "input_blocks.3.1");
    assert_int_equal(json_integer_value(json_object_get(block, "heads")), 2);
    assert_int_equal(json_integer_value(json_object_get(block, "head_channels")), 32);
    assert_int_equal(json_integer_value(json_object_get(block, "downsampling")), 2);
    /* input_blocks.3.1, middle_block.1, output_blocks.0.1 and 1.1 */
    assert_int_equal(json_object_size(setting(j, "attention_heads", "value")), 4);
    json_decref(j);
    bench_free(&b);
}

static void scale_buffer_counts_only_with_scale_by_std(void **state)
{
    static const char *const by_std[] = {"model.params.scale_by_std=true", NULL};
    static const char *const both[] = {"model.params.scale_by_std=true",
                                       "model.params.scale_factor=0.5", NULL};
    test_edit filled = {.fill_name = "scale_factor", .fill_value = 0.25f};
    test_edit added = {.add_scale = "scale_factor", .fill_value = 0.25f};
    bench b = bench_create(by_std, by_std, &filled, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_true(b.a->effective.scale_is_buffer);
    assert_true(b.a->effective.scale_factor == 0.25);
    assert_string_equal(origin(j, "scale_factor"), "checkpoint buffer");
    assert_int_equal(b.a->matching, b.a->model_keys);
    json_decref(j);
    bench_free(&b);

    b = bench_create(by_std, both, &filled, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->effective.scale_factor == 0.25);
    assert_true(has_note(j, "0.5 (--set) has no effect"));
    json_decref(j);
    bench_free(&b);

    b = bench_create(NULL, NULL, &added, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->fits);
    assert_true(b.a->effective.scale_factor == 1.0);
    assert_string_equal(origin(j, "scale_factor"), "default");
    assert_true(has_note(j, "The two differ"));
    assert_string_equal(list_item(j, "unexpected", 0), "scale_factor");
    json_decref(j);
    bench_free(&b);

    /* No buffer: an explicit value is taken, a default would be a guess. */
    b = bench_create(NULL, both, NULL, -1);
    assert_true(b.a->fits);
    assert_true(b.a->effective.scale_factor == 0.5);
    bench_free(&b);
    b = bench_create(NULL, by_std, NULL, -1);
    j = test_check_json(b.a, false);
    assert_false(b.a->fits);
    assert_non_null(remedy(j, "scale_factor"));
    json_decref(j);
    bench_free(&b);
}

static void schedule_of_the_file_is_compared(void **state)
{
    static const char *const other[] = {"model.params.linear_end=0.0205", NULL};
    test_edit e = {.schedule = true};
    bench b = bench_create(NULL, other, &e, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_true(b.a->fits);
    assert_non_null(b.a->effective.alphas_cumprod);
    assert_contains(json_string_value(setting(j, "alphas_cumprod", "note")), "differs");
    assert_true(has_note(j, "linear_start 0.0015 and linear_end 0.0195"));
    assert_contains(json_string_value(setting(j, "linear_end", "note")), "no effect");
    json_decref(j);
    bench_free(&b);
}

static void notes_on_settings_that_surprise(void **state)
{
    static const char *const x0[] = {"model.params.parameterization=x0", "model.params.channels=4",
                                     NULL};
    bench b = bench_create(NULL, x0, NULL, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_true(has_note(j, "takes the network's output for eps"));
    assert_true(has_note(j, "channels is 4 (--set), but the UNet reads 3"));
    json_decref(j);
    bench_free(&b);
}

static void useless_config_keys_have_lines(void **state)
{
    static const char *const odd[] = {"model.params.unet_config.params.num_haeds=8", NULL};
    bench b = bench_create(NULL, odd, NULL, -1);
    json_t *j = test_check_json(b.a, false), *keys = json_object_get(j, "config_keys"), *k;
    bool heads = false, monitor = false, unknown = false;
    char *text = test_check_text(b.a, false, false);
    size_t i;

    (void)state;
    json_array_foreach(keys, i, k)
    {
        const char *key = json_string_value(json_object_get(k, "key"));
        const char *status = json_string_value(json_object_get(k, "status"));
        int line = (int)json_integer_value(json_object_get(k, "line"));

        heads |= !strcmp(key, "model.params.unet_config.params.num_heads") && line == 22 &&
                 !strcmp(status, "no effect");
        monitor |=
            !strcmp(key, "model.params.monitor") && line == 10 && !strcmp(status, "training only");
        unknown |= !strcmp(status, "unknown") &&
                   !strcmp(json_string_value(json_object_get(k, "suggestion")), "num_heads");
    }
    assert_true(heads && monitor && unknown);
    assert_contains(text, "test.yaml:22  model.params.unet_config.params.num_heads: no effect");
    assert_contains(text, "did you mean num_heads?");
    ldm_free(text);
    json_decref(j);
    bench_free(&b);
}

static void values_are_read_on_request(void **state)
{
    test_edit e = {.fill_name = "first_stage_model.decoder.conv_in.bias", .fill_value = NAN};
    bench b = bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, true), *v = json_object_get(j, "values");
    json_t *bad = json_array_get(json_object_get(v, "bad"), 0);

    (void)state;
    assert_true(json_is_false(json_object_get(v, "finite")));
    assert_string_equal(json_string_value(json_object_get(bad, "name")), e.fill_name);
    assert_int_equal(json_integer_value(json_object_get(bad, "nan")), 64);
    assert_true(b.a->fits); /* shapes decide, values do not */
    json_decref(j);
    j = test_check_json(b.a, false);
    assert_null(json_object_get(j, "values"));
    json_decref(j);
    bench_free(&b);
}

static void text_keeps_its_width(void **state)
{
    static const char *const wide[] = {"model.params.unet_config.params.model_channels=64", NULL};
    bench b = bench_create(NULL, wide, NULL, -1);
    char *text = test_check_text(b.a, false, false), *line, *rest = text;

    (void)state;
    while ((line = strtok_r(rest, "\n", &rest)) != NULL) {
        /* A key with two shapes may be long; sentences and tables may not. */
        if (strlen(line) > 100 && strncmp(line, "      model", 11) &&
            strncmp(line, "  test.yaml:", 12))
            fail_msg("%zu columns: %s", strlen(line), line);
    }
    ldm_free(text);
    bench_free(&b);
}

/* ---- inspect -----------------------------------------------------------------------------------
 */

static char *inspect(const bench *b, bool config, ldm_inspect_report r)
{
    ldm_str out = {.data = NULL};
    ldm_error err = {.msg = ""};
    ldm_status st = config ? ldm_inspect_config(b->asked.cfg, b->asked.spec, &r, &out, &err)
                           : ldm_inspect_checkpoint(b->ck, &r, &out, &err);

    if (st)
        fail_msg("%s", err.msg);
    return out.data;
}

static size_t line_count(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void inspect_lists_keys(void **state)
{
    bench b = bench_create(NULL, NULL, NULL, -1);
    char *file = inspect(&b, false, (ldm_inspect_report){.keys = true});
    char *model = inspect(&b, true, (ldm_inspect_report){.keys = true});
    char *text = inspect(&b, true, (ldm_inspect_report){.keys = true, .json = true});
    json_t *j = json_loads(text, 0, NULL);

    (void)state;
    assert_string_equal(file, model);
    assert_int_equal(line_count(file), b.a->model_keys);
    assert_int_equal(json_array_size(j), b.a->model_keys);
    json_decref(j);
    ldm_free(file);
    ldm_free(model);
    ldm_free(text);
    bench_free(&b);
}

static void inspect_of_a_checkpoint(void **state)
{
    bench b = bench_create(NULL, NULL, NULL, -1);
    char *text = inspect(&b, false, (ldm_inspect_report){.all = false});
    char *all = inspect(&b, false, (ldm_inspect_report){.all = true});
    char *json = inspect(&b, false, (ldm_inspect_report){.json = true});
    json_t *j = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    ldm_inspect_report shapes = {.shapes = true};
    ldm_str out = {.data = NULL};
    ldm_error err;

    (void)state;
    assert_contains(text, "safetensors");
    assert_contains(text, "UNet: model_channels 32 channel_mult [1, 2] num_res_blocks 1");
    assert_contains(text, "n_embed 64");
    assert_contains(text, "(--all shows them)");
    assert_null(strstr(all, "(--all shows them)"));
    assert_contains(all, "first_stage_model.post_quant_conv.bias  f32 [3]");
    assert_int_equal(json_integer_value(json_object_get(j, "tensor_count")), b.a->checkpoint_keys);
    assert_int_equal(list_size(j, "tensors"), b.a->checkpoint_keys);
    assert_int_equal(ldm_inspect_checkpoint(b.ck, &shapes, &out, &err), LDM_ERR_USAGE);
    json_decref(j);
    ldm_free(text);
    ldm_free(all);
    ldm_free(json);
    bench_free(&b);
}

static void inspect_of_a_configuration(void **state)
{
    bench b = bench_create(NULL, NULL, NULL, -1);
    char *text = inspect(&b, true, (ldm_inspect_report){.all = false});
    char *json = inspect(&b, true, (ldm_inspect_report){.json = true});
    char *shapes = inspect(&b, true, (ldm_inspect_report){.shapes = true});
    json_t *j = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    json_t *s = json_object_get(json_object_get(j, "settings"),
                                "model.params.unet_config.params.model_channels");

    (void)state;
    assert_contains(text, "latent 3 x 8 x 8, pictures of 16 x 16 pixels");
    assert_contains(text, "test.yaml: a latent diffusion model");
    assert_contains(text, "line 18\n");
    assert_int_equal(json_integer_value(json_object_get(s, "value")), 32);
    assert_int_equal(json_integer_value(json_object_get(j, "model_keys")), b.a->model_keys);
    assert_contains(shapes, "# cin cout kernel stride upsample in_h in_w count\n");
    assert_contains(shapes, "\n3 32 3 1 0 8 8 1\n");  /* input_blocks.0.0 */
    assert_contains(shapes, "\n32 32 3 2 0 8 8 1\n"); /* input_blocks.2.0.op */
    assert_contains(shapes, "\n64 64 3 1 1 4 4 1\n"); /* output_blocks.1.2.conv */
    json_decref(j);
    ldm_free(text);
    ldm_free(json);
    ldm_free(shapes);
    bench_free(&b);
}

static void inspect_of_something_else(void **state)
{
    static const char yaml[] = "data:\n  batch_size: 4\n";
    ldm_inspect_report plain = {.all = false}, keys = {.keys = true};
    ldm_config *cfg;
    ldm_str out = {.data = NULL};
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_config_create(&cfg, &err), LDM_OK);
    assert_int_equal(ldm_config_load_text(cfg, "data.yaml", yaml, strlen(yaml), &err), LDM_OK);
    assert_int_equal(ldm_inspect_config(cfg, NULL, &plain, &out, &err), LDM_OK);
    assert_contains(out.data, "describes no model");
    assert_contains(out.data, "data.yaml:1");
    assert_int_equal(ldm_inspect_config(cfg, NULL, &keys, &out, &err), LDM_ERR_CONFIG);
    ldm_str_free(&out);
    ldm_config_free(cfg);
}

/* ---- memory ------------------------------------------------------------------------------------
 */

static ldm_status everything(const test_model *m, const ldm_ckpt *ck, ldm_error *err)
{
    ldm_audit_report r = {.all = true, .values = true};
    ldm_inspect_report plain = {.all = true}, json = {.json = true}, shapes = {.shapes = true};
    ldm_str out = {.data = NULL};
    ldm_audit *a;
    ldm_status st = ldm_audit_create(m->spec, ck, 0, &a, err);

    if (!st)
        st = ldm_audit_text(a, &r, &out, err);
    if (!st)
        st = ldm_audit_json(a, &r, &out, err);
    if (!st && (st = ldm_audit_verdict(a, err)) == LDM_ERR_MISMATCH)
        st = LDM_OK;
    if (!st)
        st = ldm_inspect_checkpoint(ck, &plain, &out, err);
    if (!st)
        st = ldm_inspect_checkpoint(ck, &json, &out, err);
    if (!st)
        st = ldm_inspect_config(m->cfg, m->spec, &plain, &out, err);
    if (!st)
        st = ldm_inspect_config(m->cfg, m->spec, &json, &out, err);
    if (!st)
        st = ldm_inspect_config(m->cfg, m->spec, &shapes, &out, err);
    ldm_audit_free(a);
    ldm_str_free(&out);
    return st;
}

static void every_failing_allocation_is_told(void **state)
{
    static const char *const wide[] = {"model.params.unet_config.params.model_channels=64", NULL};
    bench b = bench_create(NULL, wide, NULL, 0);
    ldm_error err;
    unsigned long n, calls;

    (void)state;
    ldm_alloc_fail_at(0);
    assert_int_equal(everything(&b.asked, b.ck, &err), LDM_OK);
    calls = ldm_alloc_fail_at(0);
    assert_true(calls > 20);
    for (n = 1; n <= calls; n++) {
        ldm_status st;

        ldm_alloc_fail_at(n);
        st = everything(&b.asked, b.ck, &err);
        ldm_alloc_fail_at(0);
        if (st != LDM_ERR_NOMEM)
            fail_msg("allocation %lu of %lu: %s", n, calls, ldm_status_name(st));
        assert_contains(err.msg, "out of memory");
    }
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_file_matches_whole),
        cmocka_unit_test(missing_raw_key_counts_only_when_raw_is_used),
        cmocka_unit_test(extra_keys_do_no_harm),
        cmocka_unit_test(absent_ema_means_raw_weights),
        cmocka_unit_test(ema_alone_is_enough_where_it_is_used),
        cmocka_unit_test(broken_ema_is_no_ema),
        cmocka_unit_test(encoder_is_not_needed),
        cmocka_unit_test(first_stage_as_conditioner_is_listed_twice),
        cmocka_unit_test(cause_of_other_settings),
        cmocka_unit_test(shape_mismatch_is_told_with_both_shapes),
        cmocka_unit_test(cause_of_other_files),
        cmocka_unit_test(many_differences_mean_another_yaml),
        cmocka_unit_test(settings_say_where_they_come_from),
        cmocka_unit_test(scale_buffer_counts_only_with_scale_by_std),
        cmocka_unit_test(schedule_of_the_file_is_compared),
        cmocka_unit_test(notes_on_settings_that_surprise),
        cmocka_unit_test(useless_config_keys_have_lines),
        cmocka_unit_test(values_are_read_on_request),
        cmocka_unit_test(text_keeps_its_width),
        cmocka_unit_test(inspect_lists_keys),
        cmocka_unit_test(inspect_of_a_checkpoint),
        cmocka_unit_test(inspect_of_a_configuration),
        cmocka_unit_test(inspect_of_something_else),
        cmocka_unit_test(every_failing_allocation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
