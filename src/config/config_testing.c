/* SPDX-License-Identifier: MIT */
/* See config_testing.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config_testing.h"

ldm_config *new_config(void)
{
    ldm_config *cfg = NULL;

    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    return cfg;
}

ldm_status lay(ldm_config *cfg, const char *text, ldm_error *err)
{
    return ldm_config_load_text(cfg, "t.yaml", text, strlen(text), err);
}

ldm_config *from(const char *text)
{
    ldm_config *cfg = new_config();
    ldm_error err = {.msg = ""};

    if (lay(cfg, text, &err))
        fail_msg("%s", err.msg);
    return cfg;
}

const ldm_value *at(const ldm_config *cfg, const char *path)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(cfg), path);

    if (!v)
        fail_msg("no %s", path);
    return v;
}

void assert_emits(const ldm_config *cfg, const char *expected)
{
    ldm_str s = {NULL};

    ldm_config_emit(cfg, &s);
    assert_false(s.failed);
    assert_string_equal(s.data, expected);
    ldm_str_free(&s);
}

void set_ok(ldm_config *cfg, const char *assignment)
{
    ldm_error err = {.msg = ""};

    if (ldm_config_set(cfg, assignment, &err))
        fail_msg("%s", err.msg);
}
