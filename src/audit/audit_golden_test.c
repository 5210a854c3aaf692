/* SPDX-License-Identifier: MIT */
/* The audit against reference data of the original code, where that is at hand (LDM_GOLDEN, else
 * ../shared/golden): state_dict() in order, the lists of keys.json, every container of one model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/audit_testing.h"
#include "base/alloc.h"

enum { PATH_LEN = 512 };

static const char *golden(char *buf, const char *name)
{
    const char *root = getenv("LDM_GOLDEN");

    snprintf(buf, PATH_LEN, "%s/%s", root ? root : "../shared/golden", name);
    return access(buf, R_OK) == 0 ? buf : NULL;
}

/* Skips the test, with a word, where the file is not there. */
static const char *need(char *buf, const char *name)
{
    const char *path = golden(buf, name);

    if (!path) {
        print_message("skipped: %s is not there\n", buf);
        skip();
    }
    return path;
}

static json_t *load(const char *path)
{
    json_error_t where;
    json_t *j = json_load_file(path, 0, &where);

    if (!j)
        fail_msg("%s: %s", path, where.text);
    return j;
}

static ldm_ckpt *open_ckpt(const char *path)
{
    ldm_ckpt *ck;
    ldm_error err = {.msg = ""};

    if (ldm_ckpt_open(path, NULL, &ck, &err))
        fail_msg("%s: %s", path, err.msg);
    return ck;
}

static void keys_are_in_the_order_of_state_dict(void **state)
{
    char a[PATH_LEN], b[PATH_LEN];
    json_t *expected = load(need(a, "ffhq-small/expected.json"));
    json_t *keys = json_object_get(expected, "state_dict_keys");
    test_model m = test_model_load(need(b, "ffhq-small/config.yaml"), NULL);
    int i;

    (void)state;
    assert_int_equal(m.network->tensor_count, json_array_size(keys));
    for (i = 0; i < m.network->tensor_count; i++)
        assert_string_equal(m.network->tensors[i].name,
                            json_string_value(json_array_get(keys, (size_t)i)));
    test_model_free(&m);
    json_decref(expected);
}

static json_t *check(const char *config, const char *ckpt)
{
    ldm_ckpt *ck = open_ckpt(ckpt);
    const ldm_shape_source shapes = ldm_audit_shape_source(ck); /* of text encoders */
    test_model m = {NULL, NULL};
    ldm_error err = {.msg = ""};
    ldm_audit *a;
    json_t *j;

    if (ldm_config_create(&m.cfg, &err) || ldm_config_load(m.cfg, config, &err) ||
        ldm_network_create(m.cfg, &shapes, &m.network, &err))
        fail_msg("%s", err.msg);
    if (ldm_audit_create(m.network, ck, -1, NULL, &a, &err))
        fail_msg("%s: %s", config, err.msg);
    assert_true(a->fits);
    j = test_check_json(a, false);
    ldm_audit_free(a);
    ldm_ckpt_close(ck);
    test_model_free(&m);
    return j;
}

static void approach(const char *name, double scale)
{
    char path[PATH_LEN], a[PATH_LEN], b[PATH_LEN], c[PATH_LEN];
    const char *ckpt = need(a, "ffhq-small/model.ckpt");
    json_t *keys, *counts, *j;

    snprintf(path, sizeof path, "%s/keys.json", name);
    keys = load(need(b, path));
    snprintf(path, sizeof path, "%s/config.yaml", name);
    j = check(need(c, path), ckpt);
    counts = json_object_get(keys, "counts");
    assert_true(json_equal(json_object_get(j, "missing"), json_object_get(keys, "missing")));
    assert_true(json_equal(json_object_get(j, "unexpected"), json_object_get(keys, "unexpected")));
    assert_int_equal(json_array_size(json_object_get(j, "shape_mismatch")), 0);
    assert_true(json_equal(json_object_get(j, "matching"), json_object_get(counts, "matching")));
    assert_true(json_equal(json_object_get(j, "model_keys"), json_object_get(counts, "model")));
    assert_true(
        json_equal(json_object_get(j, "checkpoint_keys"), json_object_get(counts, "checkpoint")));
    assert_true(json_number_value(json_object_get(
                    json_object_get(json_object_get(j, "settings"), "scale_factor"), "value")) ==
                scale);
    json_decref(j);
    json_decref(keys);
}

static void the_study_s_first_approach(void **state)
{
    (void)state;
    approach("seed-approach1", 1.0);
}

static void the_study_s_second_approach(void **state)
{
    (void)state;
    approach("seed-approach2", 0.18215);
}

static void every_container_holds_the_same_model(void **state)
{
    static const char *const files[] = {
        "model.ckpt",       "model.legacy.ckpt",    "model.safetensors",
        "model.fp16.ckpt",  "model.bf16.ckpt",      "model.bare.ckpt",
        "model.views.ckpt", "model.lightning.ckpt", "model.lightning.legacy.ckpt"};
    char path[PATH_LEN], a[PATH_LEN], b[PATH_LEN];
    size_t i;

    (void)state;
    need(a, "formats/config.yaml");
    for (i = 0; i < sizeof files / sizeof files[0]; i++) {
        json_t *j;

        snprintf(path, sizeof path, "formats/%s", files[i]);
        j = check(a, need(b, path));
        assert_true(json_equal(json_object_get(j, "matching"), json_object_get(j, "model_keys")));
        assert_int_equal(json_array_size(json_object_get(j, "missing")), 0);
        assert_int_equal(json_array_size(json_object_get(j, "unexpected")), 0);
        json_decref(j);
    }
}

/* The published model's size, from its configuration alone. */
static void full_size_has_the_published_counts(void **state)
{
    char a[PATH_LEN];
    test_model m = test_model_load(need(a, "ffhq-full/config.yaml"), NULL);
    ldm_inspect_report r = {.json = true};
    ldm_str out = {.data = NULL};
    ldm_error err = {.msg = ""};
    json_t *j, *parts;

    (void)state;
    assert_int_equal(ldm_inspect_config(m.cfg, m.network, &r, &out, &err), LDM_OK);
    j = json_loads(out.data, 0, NULL);
    parts = json_object_get(j, "components");
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(parts, "model.diffusion_model"), "elements")),
                     274056163);
    assert_int_equal(json_integer_value(
                         json_object_get(json_object_get(parts, "first_stage_model"), "elements")),
                     55322782);
    assert_int_equal(json_integer_value(json_object_get(j, "parameters")), 329378945);
    json_decref(j);
    ldm_str_free(&out);
    test_model_free(&m);
}

/* A model whose conditioner is its first stage, and extra metadata in a Lightning file. */
static void conditioner_that_is_the_first_stage(void **state)
{
    char a[PATH_LEN], b[PATH_LEN];
    json_t *j = check(need(a, "inpaint/config.yaml"), need(b, "inpaint/model.ckpt"));

    (void)state;
    assert_true(json_equal(json_object_get(j, "matching"), json_object_get(j, "model_keys")));
    assert_true(json_equal(json_object_get(j, "matching"), json_object_get(j, "checkpoint_keys")));
    json_decref(j);
}

/* What each model takes, what its UNet reads, and the scale of the original's script. */
static void conditions_of_the_reference_cases(void **state)
{
    static const struct {
        const char *name;
        const char *takes; /* as JSON */
        int tokens, width, concat;
        double guidance; /* 0: null */
    } rows[] = {
        {"ffhq-small", "[]", 0, 0, 0, 0},
        {"class-cond", "[\"class\"]", 1, 64, 0, 3},
        {"inpaint", "[\"image\",\"mask\"]", 0, 0, 4, 0},
        {"superres", "[\"image\"]", 0, 0, 3, 0},
        {"sd1", "[\"prompt\"]", 77, 128, 0, 7.5},
        {"sd2", "[\"prompt\"]", 77, 128, 0, 9},
        {"sd-inpaint", "[\"prompt\",\"image\",\"mask\"]", 77, 64, 5, 9},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[PATH_LEN], a[PATH_LEN], b[PATH_LEN];
        json_t *j, *c, *unet, *context, *takes;

        snprintf(path, sizeof path, "%s/config.yaml", rows[i].name);
        need(a, path);
        snprintf(path, sizeof path, "%s/model.ckpt", rows[i].name);
        j = check(a, need(b, path));
        takes = json_loads(rows[i].takes, 0, NULL); /* not before a file is missing */
        c = json_object_get(j, "conditions");
        unet = json_object_get(c, "unet");
        context = json_object_get(unet, "context");
        print_message("%s\n", rows[i].name);
        assert_true(json_equal(json_object_get(c, "takes"), takes));
        assert_int_equal(json_integer_value(json_object_get(context, "tokens")), rows[i].tokens);
        assert_int_equal(json_integer_value(json_object_get(context, "width")), rows[i].width);
        assert_int_equal(json_integer_value(json_object_get(unet, "concat")), rows[i].concat);
        assert_true(json_number_value(json_object_get(c, "guidance")) == rows[i].guidance);
        assert_int_equal(json_array_size(json_object_get(j, "missing")), 0);
        json_decref(takes);
        json_decref(j);
    }
}

static void lightning_extras_are_shown(void **state)
{
    char a[PATH_LEN];
    ldm_ckpt *ck = open_ckpt(need(a, "formats/model.lightning.ckpt"));
    ldm_inspect_report r = {.all = true};
    ldm_str out = {.data = NULL};
    ldm_error err = {.msg = ""};

    (void)state;
    assert_int_equal(ldm_inspect_checkpoint(ck, &r, &out, &err), LDM_OK);
    assert_non_null(strstr(out.data, "epoch"));
    assert_non_null(strstr(out.data, "hyper_parameters"));
    assert_non_null(strstr(out.data, "torch._utils._rebuild_tensor_v2"));
    assert_non_null(strstr(out.data, "unknown"));
    ldm_str_free(&out);
    ldm_ckpt_close(ck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_in_the_order_of_state_dict),
        cmocka_unit_test(the_study_s_first_approach),
        cmocka_unit_test(the_study_s_second_approach),
        cmocka_unit_test(every_container_holds_the_same_model),
        cmocka_unit_test(full_size_has_the_published_counts),
        cmocka_unit_test(conditioner_that_is_the_first_stage),
        cmocka_unit_test(conditions_of_the_reference_cases),
        cmocka_unit_test(lightning_extras_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
