/* SPDX-License-Identifier: MIT */
/* Editing a YAML file in place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static void edits(const char *text, const char *set, const char *want)
{
    ldm_str out = {0};
    ldm_error err = {.msg = ""};

    if (ldm_yaml_edit("test.yaml", text, &set, 1, &out, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(out.data, want);
    ldm_str_free(&out);
}

static void a_scalar_keeps_its_comment(void **state)
{
    (void)state;
    edits("# head\na:\n  b: 1  # why\n  c: 'x y' # z\n\nd: 2\n", "a.b=8",
          "# head\na:\n  b: 8  # why\n  c: 'x y' # z\n\nd: 2\n");
    edits("a:\n  c: 'x # y' # z\n", "a.c=t", "a:\n  c: t # z\n");
    edits("a: {b: 1, c: 2}\n", "a.b=3", "a: {b: 3, c: 2}\n");
    edits("a: 1", "a=2", "a: 2");
}

static void a_list_becomes_another(void **state)
{
    (void)state;
    edits("a:\n  l: [1, 2] # two\n  m: 1\n", "a.l=[4]", "a:\n  l: [4] # two\n  m: 1\n");
    edits("a:\n  l: # two\n  - 1\n  - 2\n  m: 1\n", "a.l=[4]", "a:\n  l: [4] # two\n  m: 1\n");
    edits("a:\n  l:\n    - 1\n    # and\n    - 2\n\n  m: 1\n", "a.l=[4]",
          "a:\n  l: [4]\n\n  m: 1\n");
}

static void a_new_key_stands_first_in_its_map(void **state)
{
    (void)state;
    edits("a:\n  # of b\n  b: 1\n", "a.c=[1, 2]", "a:\n  # of b\n  c: [1, 2]\n  b: 1\n");
    edits("a:\n  b: 1\n", "a.c.d.e=5", "a:\n  c: {d: {e: 5}}\n  b: 1\n");
    edits("a: {b: 1}\n", "a.c=5", "a: {c: 5, b: 1}\n");
}

static void a_map_replaces_a_word(void **state)
{
    (void)state;
    edits("a: __is_unconditional__ # none\nb: 1\n", "a={target: x.Y, params: {n: 3}}",
          "a: {target: x.Y, params: {n: 3}} # none\nb: 1\n");
}

/* What cannot be edited in place is written anew: the values are right in any case. */
static void other_forms_give_the_same_values(void **state)
{
    (void)state;
    edits("a: &x {b: 1}\nc: *x\n", "c.b=2", "a:\n  b: 1\nc:\n  b: 2\n");
    edits("a: >\n  folded\n  text\nb: 1\n", "a=2", "a: 2\nb: 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scalar_keeps_its_comment),
        cmocka_unit_test(a_list_becomes_another),
        cmocka_unit_test(a_new_key_stands_first_in_its_map),
        cmocka_unit_test(a_map_replaces_a_word),
        cmocka_unit_test(other_forms_give_the_same_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
