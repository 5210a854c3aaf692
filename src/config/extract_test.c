/* SPDX-License-Identifier: MIT */
/* Tests of one branch of a configuration as a configuration of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static const char yaml[] = "width: 64\n"
                           "levels: [1, 2]\n"
                           "model:\n"
                           "  params:\n"
                           "    other: 1\n"
                           "    unet:\n"
                           "      channels: ${width}\n"
                           "      mult: ${levels}\n"
                           "      text: ${nowhere}\n"
                           "      empty: {}\n";

static ldm_config *load(void)
{
    ldm_config *cfg;
    ldm_error err = {.msg = ""};

    if (ldm_config_create(&cfg, &err) ||
        ldm_config_load_text(cfg, "a.yaml", yaml, strlen(yaml), &err))
        fail_msg("%s", err.msg);
    return cfg;
}

static const ldm_value *at(const ldm_config *cfg, const char *path)
{
    return ldm_value_find(ldm_config_root(cfg), path);
}

static void branch_alone_with_references_resolved(void **state)
{
    ldm_config *cfg = load(), *part;
    ldm_error err = {.msg = ""};
    int64_t n = 0;

    (void)state;
    assert_int_equal(ldm_config_extract(cfg, "model.params.unet", &part, &err), LDM_OK);
    assert_null(at(part, "width"));
    assert_null(at(part, "model.params.other"));
    assert_int_equal(ldm_value_int(at(part, "model.params.unet.channels"), &n, &err), LDM_OK);
    assert_int_equal(n, 64);
    assert_int_equal(ldm_value_origin(at(part, "model.params.unet.channels")).line, 7);
    assert_string_equal(ldm_value_origin(at(part, "model.params.unet.channels")).source, "a.yaml");
    assert_int_equal(ldm_value_count(at(part, "model.params.unet.mult")), 2);
    assert_int_equal(ldm_value_count(at(part, "model.params.unet.empty")), 0);
    /* What refers to nothing stays what it is. */
    assert_int_equal(ldm_value_get_kind(at(part, "model.params.unet.text")), LDM_VALUE_STRING);
    ldm_config_free(part);
    ldm_config_free(cfg);
}

static void settings_are_laid_over_the_copy_alone(void **state)
{
    ldm_config *cfg = load(), *part;
    ldm_error err = {.msg = ""};

    (void)state;
    assert_int_equal(ldm_config_extract(cfg, "model", &part, &err), LDM_OK);
    assert_int_equal(ldm_config_set(part, "model.params.new=2", &err), LDM_OK);
    assert_non_null(at(part, "model.params.new"));
    assert_non_null(at(part, "model.params.other"));
    assert_null(at(cfg, "model.params.new"));
    ldm_config_free(part);
    ldm_config_free(cfg);
}

static void nothing_at_the_path(void **state)
{
    static const char *const paths[] = {"model.nothing", "nothing", "width.x", "levels.0",
                                        "model.params.unet.channels.deeper"};
    ldm_config *cfg = load(), *part = cfg;
    ldm_error err = {.msg = ""};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(ldm_config_extract(cfg, paths[i], &part, &err), LDM_ERR_CONFIG);
        assert_null(part);
        assert_non_null(strstr(err.msg, paths[i]));
    }
    ldm_config_free(cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branch_alone_with_references_resolved),
        cmocka_unit_test(settings_are_laid_over_the_copy_alone),
        cmocka_unit_test(nothing_at_the_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
