/* SPDX-License-Identifier: MIT */
/* Tests of the audit room on small models made here: lists, counts, verdicts, settings. */
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

static const char *list_item(const json_t *root, const char *name, size_t i)
{
    return json_string_value(json_array_get(json_object_get(root, name), i));
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

/* ---- the match ---------------------------------------------------------------------------------
 */

static void same_file_matches_whole(void **state)
{
    test_edit e = {.schedule = true};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, false);
    char *text = test_check_text(b.a, false, false);

    (void)state;
    assert_true(b.a->fits);
    assert_true(b.a->effective.ema);
    assert_int_equal(b.a->matching, b.asked.network->tensor_count);
    assert_int_equal(test_list_size(j, "missing"), 0);
    assert_int_equal(test_list_size(j, "unexpected"), 0);
    assert_int_equal(test_list_size(j, "shape_mismatch"), 0);
    assert_int_equal(json_integer_value(json_object_get(j, "matching")), b.a->matching);
    assert_int_equal(json_integer_value(json_object_get(j, "model_keys")), b.a->matching);
    assert_int_equal(json_integer_value(json_object_get(j, "checkpoint_keys")), b.a->matching);
    assert_true(json_real_value(json_object_get(j, "matching_percent")) == 100.0);
    assert_int_equal(test_list_size(j, "causes"), 0);
    assert_int_equal(ldm_audit_verdict(b.a, NULL), LDM_OK);
    test_contains(text, "FITS");
    test_contains(text, "(100.0 %)");
    test_contains(text, "ldm generate --ckpt test.safetensors --config test.yaml");
    assert_null(strstr(text, "\033["));
    ldm_free(text);
    json_decref(j);
    test_bench_free(&b);
}

static const char *drop_out_bias(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "model.diffusion_model.out.2.bias") == 0 ? NULL : name;
}

static void missing_raw_key_counts_only_when_raw_is_used(void **state)
{
    test_edit e = {.rename = drop_out_bias};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    json_t *j;
    ldm_error err;

    (void)state;
    assert_true(b.a->fits); /* the shadows are used */
    assert_int_equal(b.a->missing_count, 1);
    test_bench_free(&b);

    b = test_bench_create(NULL, NULL, &e, 0);
    j = test_check_json(b.a, false);
    assert_false(b.a->fits);
    assert_int_equal(b.a->run_missing, 1);
    assert_string_equal(list_item(j, "missing", 0), "model.diffusion_model.out.2.bias");
    assert_non_null(test_remedy(j, "incomplete"));
    assert_int_equal(ldm_audit_verdict(b.a, &err), LDM_ERR_MISMATCH);
    test_contains(err.msg, "model.diffusion_model.out.2.bias is missing, expected with shape [3]");
    json_decref(j);
    test_bench_free(&b);
}

static void extra_keys_do_no_harm(void **state)
{
    test_edit e = {.extra = "loss.discriminator.weight"};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, false);
    char *text = test_check_text(b.a, false, false);

    (void)state;
    assert_true(b.a->fits);
    assert_int_equal(test_list_size(j, "unexpected"), 1);
    assert_int_equal(test_list_size(j, "unexpected_not_harmless"), 0);
    test_contains(text, "harmless: of the training loss");
    json_decref(j);
    ldm_free(text);
    test_bench_free(&b);

    e.extra = "model.diffusion_model.input_blocks.99.weight";
    b = test_bench_create(NULL, NULL, &e, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->fits);
    assert_int_equal(test_list_size(j, "unexpected_not_harmless"), 1);
    json_decref(j);
    test_bench_free(&b);
}

static const char *drop_ema(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "model_ema.", 10) ? name : NULL;
}

static void absent_ema_means_raw_weights(void **state)
{
    test_edit e = {.rename = drop_ema};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
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
    assert_int_equal(ldm_audit_create(b.asked.network, b.ck, 1, NULL, &a, &err), LDM_ERR_MISMATCH);
    assert_null(a);
    test_contains(err.msg, "no model_ema.* tensors");
    test_bench_free(&b);
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
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    json_t *j;
    ldm_audit *a;
    ldm_error err;

    (void)state;
    assert_true(b.a->fits);
    test_bench_free(&b);

    b = test_bench_create(NULL, no_ema, &e, -1);
    j = test_check_json(b.a, false);
    assert_false(b.a->fits);
    assert_string_equal(test_remedy(j, "ema_only"), "--set model.params.use_ema=true");
    assert_int_equal(ldm_audit_create(b.asked.network, b.ck, 1, NULL, &a, &err), LDM_ERR_USAGE);
    test_contains(err.msg, "model.params.use_ema=true");
    json_decref(j);
    test_bench_free(&b);
}

static const char *drop_one_shadow(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "model_ema.diffusion_modelout2bias") == 0 ? NULL : name;
}

static void broken_ema_is_no_ema(void **state)
{
    test_edit e = {.rename = drop_one_shadow};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_false(b.a->fits);
    test_contains(test_remedy(j, "ema_partial"), "--no-ema");
    json_decref(j);
    test_bench_free(&b);

    b = test_bench_create(NULL, NULL, &e, 0);
    assert_true(b.a->fits);
    test_bench_free(&b);
}

static const char *drop_encoder(const char *name, char *buf)
{
    (void)buf;
    return strncmp(name, "first_stage_model.encoder.", 26) ? name : NULL;
}

static void encoder_is_not_needed(void **state)
{
    test_edit e = {.rename = drop_encoder};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    char *text = test_check_text(b.a, true, false);

    (void)state;
    assert_true(b.a->fits);
    assert_true(b.a->missing_count > 0);
    test_contains(text, "of the encoder; sampling does not read it");
    test_contains(text, "first_stage_model.encoder.conv_in.weight  [32, 3, 3, 3]");
    ldm_free(text);
    test_bench_free(&b);
}

static const char *drop_alphas(const char *name, char *buf)
{
    (void)buf;
    return strcmp(name, "alphas_cumprod") == 0 ? NULL : name;
}

static void first_stage_as_conditioner_is_listed_twice(void **state)
{
    static const char *const cond[] = {"model.params.cond_stage_config=__is_first_stage__", NULL};
    test_bench b = test_bench_create(cond, cond, NULL, -1);
    json_t *j = test_check_json(b.a, false), *parts = json_object_get(j, "components");
    json_t *first = json_object_get(json_object_get(parts, "first_stage_model"), "model");
    json_t *second = json_object_get(json_object_get(parts, "cond_stage_model"), "model");
    long long twice = json_integer_value(json_object_get(j, "model_parameters"));

    (void)state;
    assert_true(b.a->fits);
    assert_int_equal(b.a->matching, b.a->model_keys);
    assert_true(json_equal(first, second));
    json_decref(j);
    test_bench_free(&b);

    b = test_bench_create(cond, NULL, NULL, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->fits); /* leftovers of the conditioner */
    assert_int_equal(test_list_size(j, "unexpected_not_harmless"), 0);
    assert_true(test_list_size(j, "unexpected") > 0);
    assert_int_equal(json_integer_value(json_object_get(j, "model_parameters")), twice);
    json_decref(j);
    test_bench_free(&b);

    {
        test_edit e = {.rename = drop_alphas};

        b = test_bench_create(NULL, NULL, &e, -1); /* recomputed */
        assert_true(b.a->fits);
        assert_int_equal(b.a->missing_count, 1);
        assert_null(b.a->effective.alphas_cumprod);
        test_bench_free(&b);
    }
}

/* ---- settings ----------------------------------------------------------------------------------
 */

static void settings_say_where_they_come_from(void **state)
{
    static const char *const set[] = {"model.params.scale_factor=0.18215", NULL};
    test_edit e = {.schedule = true};
    test_bench b = test_bench_create(NULL, set, &e, -1);
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
    test_contains(json_string_value(setting(j, "conditioning_key", "note")), "test.yaml:11");
    assert_string_equal(origin(j, "linear_start"), "test.yaml:5");
    assert_string_equal(origin(j, "alphas_cumprod"), "checkpoint buffer");
    test_contains(json_string_value(setting(j, "alphas_cumprod", "note")), "equal");
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
    test_bench_free(&b);
}

static void scale_buffer_counts_only_with_scale_by_std(void **state)
{
    static const char *const by_std[] = {"model.params.scale_by_std=true", NULL};
    static const char *const both[] = {"model.params.scale_by_std=true",
                                       "model.params.scale_factor=0.5", NULL};
    test_edit filled = {.fill_name = "scale_factor", .fill_value = 0.25f};
    test_edit added = {.add_scale = "scale_factor", .fill_value = 0.25f};
    test_bench b = test_bench_create(by_std, by_std, &filled, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_true(b.a->effective.scale_is_buffer);
    assert_true(b.a->effective.scale_factor == 0.25);
    assert_string_equal(origin(j, "scale_factor"), "checkpoint buffer");
    assert_int_equal(b.a->matching, b.a->model_keys);
    json_decref(j);
    test_bench_free(&b);

    b = test_bench_create(by_std, both, &filled, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->effective.scale_factor == 0.25);
    assert_true(has_note(j, "0.5 (--set) has no effect"));
    json_decref(j);
    test_bench_free(&b);

    b = test_bench_create(NULL, NULL, &added, -1);
    j = test_check_json(b.a, false);
    assert_true(b.a->fits);
    assert_true(b.a->effective.scale_factor == 1.0);
    assert_string_equal(origin(j, "scale_factor"), "default");
    assert_true(has_note(j, "The two differ"));
    assert_string_equal(list_item(j, "unexpected", 0), "scale_factor");
    json_decref(j);
    test_bench_free(&b);

    /* No buffer: an explicit value is taken, a default would be a guess. */
    b = test_bench_create(NULL, both, NULL, -1);
    assert_true(b.a->fits);
    assert_true(b.a->effective.scale_factor == 0.5);
    test_bench_free(&b);
    b = test_bench_create(NULL, by_std, NULL, -1);
    j = test_check_json(b.a, false);
    assert_false(b.a->fits);
    assert_non_null(test_remedy(j, "scale_factor"));
    json_decref(j);
    test_bench_free(&b);
}

static void schedule_of_the_file_is_compared(void **state)
{
    static const char *const other[] = {"model.params.linear_end=0.0205", NULL};
    test_edit e = {.schedule = true};
    test_bench b = test_bench_create(NULL, other, &e, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_true(b.a->fits);
    assert_non_null(b.a->effective.alphas_cumprod);
    test_contains(json_string_value(setting(j, "alphas_cumprod", "note")), "differs");
    assert_true(has_note(j, "linear_start 0.0015 and linear_end 0.0195"));
    test_contains(json_string_value(setting(j, "linear_end", "note")), "no effect");
    json_decref(j);
    test_bench_free(&b);
}

/* No noise levels: a run computes them, and all is said. */
static void damaged_schedule_is_not_used(void **state)
{
    static const float values[] = {NAN, -1, 0, 2};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        test_edit e = {.fill_name = "alphas_cumprod", .fill_value = values[i]};
        test_bench b = test_bench_create(NULL, NULL, &e, -1);
        json_t *j = test_check_json(b.a, false);

        assert_true(b.a->fits);
        assert_null(b.a->effective.alphas_cumprod);
        assert_true(b.a->effective.schedule_damaged);
        assert_true(has_note(j, "damaged in the file"));
        json_decref(j);
        test_bench_free(&b);
    }
}

/* Zeros, as of a file whose integers were lost; and nothing is said of sound ones. */
static void damaged_positions_are_told(void **state)
{
    static const char name[] = "cond_stage_model.transformer.text_model.embeddings.position_ids";
    const test_edit edits[] = {{.fill_name = name}, {.schedule = true}};
    test_model m = test_model_load("tests/data/models/clip.yaml", NULL);

    (void)state;
    for (int i = 0; i < 2; i++) {
        ldm_error err = {.msg = ""};
        void *data;
        ldm_ckpt *ck = test_ckpt_create(m.network, &edits[i], &data);
        ldm_audit *a;
        json_t *j;

        if (ldm_audit_create(m.network, ck, -1, NULL, &a, &err))
            fail_msg("%s", err.msg);
        j = test_check_json(a, false);
        assert_int_equal(has_note(j, "position_ids are damaged (number 1 is 0)"), !i);
        json_decref(j);
        ldm_audit_free(a);
        ldm_ckpt_close(ck);
        ldm_free(data);
    }
    test_model_free(&m);
}

static void notes_on_settings_that_surprise(void **state)
{
    static const char *const x0[] = {
        "model.params.parameterization=x0", "model.params.channels=4",
        "model.params.first_stage_config.params.ddconfig.double_z=true", NULL};
    test_bench b = test_bench_create(NULL, x0, NULL, -1);
    json_t *j = test_check_json(b.a, false);

    (void)state;
    assert_true(has_note(j, "takes the network's output for eps"));
    assert_true(has_note(j, "double_z is true (its default): the encoder gives twice"));
    assert_true(has_note(j, "channels is 4 (--set), but the UNet reads 3"));
    json_decref(j);
    test_bench_free(&b);
}

static void useless_config_keys_have_lines(void **state)
{
    static const char *const odd[] = {"model.params.unet_config.params.num_haeds=8", NULL};
    test_bench b = test_bench_create(NULL, odd, NULL, -1);
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
    test_contains(text, "test.yaml:22  model.params.unet_config.params.num_heads: no effect");
    test_contains(text, "did you mean num_heads?");
    ldm_free(text);
    json_decref(j);
    test_bench_free(&b);
}

static void values_are_read_on_request(void **state)
{
    test_edit e = {.fill_name = "first_stage_model.decoder.conv_in.bias", .fill_value = NAN};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    json_t *j = test_check_json(b.a, true), *v = json_object_get(j, "values");
    json_t *bad = json_array_get(json_object_get(v, "bad"), 0);
    ldm_str text = {0};
    ldm_error err;

    (void)state;
    assert_true(json_is_false(json_object_get(v, "finite")));
    assert_string_equal(json_string_value(json_object_get(bad, "name")), e.fill_name);
    assert_int_equal(json_integer_value(json_object_get(bad, "nan")), 64);
    assert_true(b.a->fits); /* shapes decide, values do not */
    assert_int_equal(ldm_audit_text(b.a, &(ldm_audit_report){.values = true}, &text, &err),
                     LDM_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "'first_stage_model.decoder.conv_in.bias' holds 64 NaN"));
    assert_true(err.offset > 0);
    assert_non_null(strstr(text.data, "Verdict")); /* to its end */
    ldm_str_free(&text);
    json_decref(j);
    j = test_check_json(b.a, false);
    assert_null(json_object_get(j, "values"));
    json_decref(j);
    test_bench_free(&b);
}

/* Names and shapes alone make no weights; what the run does not read may be anything. */
static void weights_are_floats(void **state)
{
    test_edit e = {.as_bytes = "model.diffusion_model.out.2.bias"};
    test_bench b = test_bench_create(NULL, NULL, &e, -1);
    ldm_error err;
    ldm_audit *a;

    (void)state;
    assert_true(b.a->fits); /* the shadows are used */
    assert_int_equal(ldm_audit_create(b.asked.network, b.ck, 0, NULL, &a, &err), LDM_ERR_MISMATCH);
    assert_null(a);
    test_contains(err.msg, "'model.diffusion_model.out.2.bias' holds numbers of u8");
    assert_true(err.offset > 0);
    test_bench_free(&b);
}

static void text_keeps_its_width(void **state)
{
    static const char *const wide[] = {"model.params.unet_config.params.model_channels=64", NULL};
    test_bench b = test_bench_create(NULL, wide, NULL, -1);
    char *text = test_check_text(b.a, false, false), *line, *rest = text;

    (void)state;
    while ((line = strtok_r(rest, "\n", &rest)) != NULL) {
        /* A key with two shapes may be long; sentences and tables may not. */
        if (strlen(line) > 100 && strncmp(line, "      model", 11) &&
            strncmp(line, "  test.yaml:", 12))
            fail_msg("%zu columns: %s", strlen(line), line);
    }
    ldm_free(text);
    test_bench_free(&b);
}

/* ---- memory ------------------------------------------------------------------------------------
 */

static ldm_status everything(const test_model *m, const ldm_ckpt *ck, ldm_error *err)
{
    ldm_audit_report r = {.all = true, .values = true};
    ldm_inspect_report plain = {.all = true}, json = {.json = true}, shapes = {.shapes = true};
    ldm_str out = {.data = NULL};
    ldm_audit *a;
    ldm_status st = ldm_audit_create(m->network, ck, 0, NULL, &a, err);

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
        st = ldm_inspect_config(m->cfg, m->network, &plain, &out, err);
    if (!st)
        st = ldm_inspect_config(m->cfg, m->network, &json, &out, err);
    if (!st)
        st = ldm_inspect_config(m->cfg, m->network, &shapes, &out, err);
    ldm_audit_free(a);
    ldm_str_free(&out);
    return st;
}

static void every_failing_allocation_is_told(void **state)
{
    static const char *const wide[] = {"model.params.unet_config.params.model_channels=64", NULL};
    test_bench b = test_bench_create(NULL, wide, NULL, 0);
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
        test_contains(err.msg, "out of memory");
    }
    test_bench_free(&b);
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
        cmocka_unit_test(settings_say_where_they_come_from),
        cmocka_unit_test(scale_buffer_counts_only_with_scale_by_std),
        cmocka_unit_test(schedule_of_the_file_is_compared),
        cmocka_unit_test(damaged_schedule_is_not_used),
        cmocka_unit_test(damaged_positions_are_told),
        cmocka_unit_test(notes_on_settings_that_surprise),
        cmocka_unit_test(useless_config_keys_have_lines),
        cmocka_unit_test(values_are_read_on_request),
        cmocka_unit_test(weights_are_floats),
        cmocka_unit_test(text_keeps_its_width),
        cmocka_unit_test(every_failing_allocation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
