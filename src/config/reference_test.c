/* SPDX-License-Identifier: MIT */
/* Tests of ${...}: scalars where they are read, maps and lists as copies, circles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config_testing.h"

static void references_resolve_when_read(void **state)
{
    ldm_config *cfg = from("size: 64\n"
                           "a: {ref: \"${size}\", twice: '${a.ref}', item: '${l.1}'}\n"
                           "l: [1, 2.5]\n"
                           "bad: [\"${oc.env:HOME}\", 'x${size}', '${gone}', '${', '${}', "
                           "'${x', '${..size}']\n"
                           "loop: ${pool}\npool: ${loop}\nmust: ???\n");
    const ldm_value *bad = at(cfg, "bad");
    ldm_error err;
    int64_t n = 0;
    double d = 0;
    const char *s;
    size_t i;

    (void)state;
    assert_int_equal(ldm_value_get_kind(at(cfg, "a.twice")), LDM_VALUE_INT);
    assert_int_equal(ldm_value_int(at(cfg, "a.twice"), &n, &err), LDM_OK);
    assert_int_equal(n, 64);
    assert_int_equal(ldm_value_double(at(cfg, "a.item"), &d, &err), LDM_OK);
    assert_true(d == 2.5);
    for (i = 0; i < ldm_value_count(bad); i++) {
        assert_int_equal(ldm_value_get_kind(ldm_value_at(bad, i)), LDM_VALUE_STRING);
        assert_int_equal(ldm_value_string(ldm_value_at(bad, i), &s, &err), LDM_ERR_CONFIG);
        assert_int_equal(err.line, 4);
    }
    assert_int_equal(i, 7);
    assert_int_equal(ldm_value_string(at(cfg, "loop"), &s, &err), LDM_ERR_CONFIG);
    assert_non_null(strstr(err.msg, "t.yaml:5:7: loop: \"${pool}\" refers to itself"));
    assert_int_equal(ldm_value_int(at(cfg, "must"), &n, &err), LDM_ERR_CONFIG);
    assert_non_null(strstr(err.msg, "must be given"));
    set_ok(cfg, "size=7"); /* a reference looks at the whole, later layers included */
    assert_int_equal(ldm_value_int(at(cfg, "a.ref"), &n, &err), LDM_OK);
    assert_int_equal(n, 7);
    ldm_config_free(cfg);
}

/* A reference to a map or a list is a copy of it; the text itself stays for later layers. */
static void references_to_maps_and_lists(void **state)
{
    ldm_config *cfg = from("widths: [1, 2, 3]\n"
                           "stage: {target: a.B, params: {mult: '${widths}', deep: '${again}'}}\n"
                           "again: ${widths}\n"
                           "model: {first: '${stage}', item: '${stage.params.mult.1}'}\n");
    const ldm_value *mult;
    ldm_str text = {0};
    ldm_error err;
    int64_t n = 0;

    (void)state;
    mult = at(cfg, "model.first.params.mult");
    assert_int_equal(ldm_value_get_kind(mult), LDM_VALUE_LIST);
    assert_int_equal(ldm_value_count(mult), 3);
    assert_string_equal(ldm_value_path(mult), "model.first.params.mult");
    assert_int_equal(ldm_value_int(at(cfg, "model.first.params.deep[2]"), &n, &err), LDM_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ldm_value_int(at(cfg, "model.item"), &n, &err), LDM_OK);
    assert_int_equal(n, 2);
    set_ok(cfg, "widths=[5, 6]"); /* what is referred to may change afterwards */
    assert_int_equal(ldm_value_count(at(cfg, "model.first.params.deep")), 2);
    assert_int_equal(ldm_value_count(at(cfg, "stage.params.mult")), 2);
    ldm_config_emit(cfg, &text);
    assert_non_null(strstr(text.data, "mult: \"${widths}\""));
    ldm_str_free(&text);
    ldm_config_free(cfg);
}

/* A reference that contains itself is refused, and the config stays as it was. */
static void references_in_circles(void **state)
{
    static const char *const circles[] = {"a: {b: '${a}'}\n", "a: ['${b}']\nb: ['${a}']\n"};
    static const char *const texts[] = {"a: ${a.b}\n", "a: ${b.c}\nb: ${a.c}\n"};
    ldm_config *cfg = from("x: 1\n");
    const char *s;
    ldm_error err;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        assert_int_equal(ldm_config_load_text(cfg, "c.yaml", circles[i], strlen(circles[i]), &err),
                         LDM_ERR_LIMIT);
        assert_emits(cfg, "x: 1\n");
    }
    for (i = 0; i < 2; i++) { /* these are texts that no accessor reads */
        assert_int_equal(ldm_config_load_text(cfg, "c.yaml", texts[i], strlen(texts[i]), &err),
                         LDM_OK);
        assert_int_equal(ldm_value_string(at(cfg, "a"), &s, &err), LDM_ERR_CONFIG);
    }
    ldm_config_free(cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_resolve_when_read),
        cmocka_unit_test(references_to_maps_and_lists),
        cmocka_unit_test(references_in_circles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
