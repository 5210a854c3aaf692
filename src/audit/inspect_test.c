/* SPDX-License-Identifier: MIT */
/* Tests of `ldm inspect` on small models made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "audit/audit_testing.h"
#include "base/alloc.h"

static char *inspect(const test_bench *b, bool config, ldm_inspect_report r)
{
    ldm_str out = {.data = NULL};
    ldm_error err = {.msg = ""};
    ldm_status st = config ? ldm_inspect_config(b->asked.cfg, b->asked.network, &r, &out, &err)
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
    test_bench b = test_bench_create(NULL, NULL, NULL, -1);
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
    test_bench_free(&b);
}

static void inspect_of_a_checkpoint(void **state)
{
    test_bench b = test_bench_create(NULL, NULL, NULL, -1);
    char *text = inspect(&b, false, (ldm_inspect_report){.all = false});
    char *all = inspect(&b, false, (ldm_inspect_report){.all = true});
    char *json = inspect(&b, false, (ldm_inspect_report){.json = true});
    json_t *j = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    ldm_inspect_report shapes = {.shapes = true};
    ldm_str out = {.data = NULL};
    ldm_error err;

    (void)state;
    test_contains(text, "safetensors");
    test_contains(text, "UNet: model_channels 32 channel_mult [1, 2] num_res_blocks 1");
    test_contains(text, "n_embed 64");
    test_contains(text, "(--all shows them)");
    assert_null(strstr(all, "(--all shows them)"));
    test_contains(all, "first_stage_model.post_quant_conv.bias  f32 [3]");
    assert_int_equal(json_integer_value(json_object_get(j, "tensor_count")), b.a->checkpoint_keys);
    assert_int_equal(test_list_size(j, "tensors"), b.a->checkpoint_keys);
    assert_int_equal(ldm_inspect_checkpoint(b.ck, &shapes, &out, &err), LDM_ERR_USAGE);
    json_decref(j);
    ldm_free(text);
    ldm_free(all);
    ldm_free(json);
    test_bench_free(&b);
}

static void inspect_of_a_configuration(void **state)
{
    test_bench b = test_bench_create(NULL, NULL, NULL, -1);
    char *text = inspect(&b, true, (ldm_inspect_report){.all = false});
    char *json = inspect(&b, true, (ldm_inspect_report){.json = true});
    char *shapes = inspect(&b, true, (ldm_inspect_report){.shapes = true});
    json_t *j = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    json_t *s = json_object_get(json_object_get(j, "settings"),
                                "model.params.unet_config.params.model_channels");

    (void)state;
    test_contains(text, "latent 3 x 8 x 8, pictures of 16 x 16 pixels");
    test_contains(text, "test.yaml: a latent diffusion model");
    test_contains(text, "line 18\n");
    assert_int_equal(json_integer_value(json_object_get(s, "value")), 32);
    assert_int_equal(json_integer_value(json_object_get(j, "model_keys")), b.a->model_keys);
    test_contains(shapes, "# cin cout kernel stride upsample in_h in_w count\n");
    test_contains(shapes, "\n3 32 3 1 0 8 8 1\n");  /* input_blocks.0.0 */
    test_contains(shapes, "\n32 32 3 2 0 8 8 1\n"); /* input_blocks.2.0.op */
    test_contains(shapes, "\n64 64 3 1 1 4 4 1\n"); /* output_blocks.1.2.conv */
    json_decref(j);
    ldm_free(text);
    ldm_free(json);
    ldm_free(shapes);
    test_bench_free(&b);
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
    test_contains(out.data, "describes no model");
    test_contains(out.data, "data.yaml:1");
    assert_int_equal(ldm_inspect_config(cfg, NULL, &keys, &out, &err), LDM_ERR_CONFIG);
    ldm_str_free(&out);
    ldm_config_free(cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspect_lists_keys),
        cmocka_unit_test(inspect_of_a_checkpoint),
        cmocka_unit_test(inspect_of_a_configuration),
        cmocka_unit_test(inspect_of_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
