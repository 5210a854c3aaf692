/* SPDX-License-Identifier: MIT */
/* Tests of the config room: typing, merging, overrides, places of errors, text that reads back,
 * hostile input, failing allocations. */
#include <dirent.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "config/config_testing.h"

/* The expectations come from OmegaConf 2.1.1 with PyYAML 6.0. */
static void plain_scalars_are_typed_as_omegaconf_does(void **state)
{
    static const struct {
        const char *text;
        ldm_value_kind kind;
        double value; /* numbers, and 1 or 0 for truth values */
    } cases[] = {
        {"1e-6", LDM_VALUE_FLOAT, 1e-6},
        {"4.5e-06", LDM_VALUE_FLOAT, 4.5e-06},
        {"1e5", LDM_VALUE_FLOAT, 1e5},
        {"1E+5", LDM_VALUE_FLOAT, 1e5},
        {".5", LDM_VALUE_FLOAT, 0.5},
        {".5e-3", LDM_VALUE_FLOAT, 0.5e-3},
        {".5e3", LDM_VALUE_STRING, 0},
        {"-.5", LDM_VALUE_STRING, 0},
        {"+.5", LDM_VALUE_STRING, 0},
        {"1.", LDM_VALUE_FLOAT, 1},
        {"-1.5", LDM_VALUE_FLOAT, -1.5},
        {"+1.5e3", LDM_VALUE_FLOAT, 1500},
        {"1_000", LDM_VALUE_INT, 1000},
        {"1_000.5", LDM_VALUE_FLOAT, 1000.5},
        {"1__0", LDM_VALUE_INT, 10},
        {"_1", LDM_VALUE_STRING, 0},
        {"0", LDM_VALUE_INT, 0},
        {"-0", LDM_VALUE_INT, 0},
        {"+1", LDM_VALUE_INT, 1},
        {"-17", LDM_VALUE_INT, -17},
        {"010", LDM_VALUE_INT, 8},
        {"08", LDM_VALUE_STRING, 0},
        {"0o7", LDM_VALUE_STRING, 0},
        {"0x1F", LDM_VALUE_INT, 31},
        {"-0x_1f", LDM_VALUE_INT, -31},
        {"0x_", LDM_VALUE_STRING, 0},
        {"0b101", LDM_VALUE_INT, 5},
        {"0b2", LDM_VALUE_STRING, 0},
        {"1:30", LDM_VALUE_INT, 90},
        {"1:30.5", LDM_VALUE_FLOAT, 90.5},
        {"1:75", LDM_VALUE_STRING, 0},
        {"2001-01-01", LDM_VALUE_STRING, 0},
        {".inf", LDM_VALUE_FLOAT, INFINITY},
        {"-.Inf", LDM_VALUE_FLOAT, -INFINITY},
        {".nan", LDM_VALUE_FLOAT, NAN},
        {"._", LDM_VALUE_STRING, 0},
        {".", LDM_VALUE_STRING, 0},
        {"inf", LDM_VALUE_STRING, 0},
        {"1e", LDM_VALUE_STRING, 0},
        {"1.2.3", LDM_VALUE_STRING, 0},
        {"true", LDM_VALUE_BOOL, 1},
        {"True", LDM_VALUE_BOOL, 1},
        {"TRUE", LDM_VALUE_BOOL, 1},
        {"tRue", LDM_VALUE_STRING, 0},
        {"false", LDM_VALUE_BOOL, 0},
        {"False", LDM_VALUE_BOOL, 0},
        {"yes", LDM_VALUE_BOOL, 1},
        {"No", LDM_VALUE_BOOL, 0},
        {"on", LDM_VALUE_BOOL, 1},
        {"OFF", LDM_VALUE_BOOL, 0},
        {"y", LDM_VALUE_STRING, 0},
        {"n", LDM_VALUE_STRING, 0},
        {"null", LDM_VALUE_NULL, 0},
        {"Null", LDM_VALUE_NULL, 0},
        {"NULL", LDM_VALUE_NULL, 0},
        {"~", LDM_VALUE_NULL, 0},
        {"", LDM_VALUE_NULL, 0},
        {"None", LDM_VALUE_STRING, 0},
        {"\"1\"", LDM_VALUE_STRING, 0},
        {"'true'", LDM_VALUE_STRING, 0},
        {"\"\"", LDM_VALUE_STRING, 0},
        {"!!str 5", LDM_VALUE_STRING, 0},
        {"!!int \"5\"", LDM_VALUE_INT, 5},
        {"!!float 5", LDM_VALUE_FLOAT, 5},
        {"! 5", LDM_VALUE_STRING, 0},
        {"9223372036854775807", LDM_VALUE_INT, 0x1p63},
        {"1e400", LDM_VALUE_FLOAT, INFINITY},
        {"9223372036854775808", LDM_VALUE_FLOAT, 0x1p63},
        {"0xfffffffffffffffff", LDM_VALUE_FLOAT, 0x1p68},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        ldm_config *cfg;
        const ldm_value *v;
        double number = 0;
        bool truth = false;

        snprintf(text, sizeof text, "v: %s\n", cases[i].text);
        cfg = from(text);
        v = at(cfg, "v");
        if (ldm_value_get_kind(v) != cases[i].kind)
            fail_msg("%s: is %s", cases[i].text, ldm_value_kind_name(ldm_value_get_kind(v)));
        if (cases[i].kind == LDM_VALUE_BOOL) {
            assert_int_equal(ldm_value_bool(v, &truth, NULL), LDM_OK);
            number = truth;
        } else if (cases[i].kind == LDM_VALUE_INT || cases[i].kind == LDM_VALUE_FLOAT) {
            assert_int_equal(ldm_value_double(v, &number, NULL), LDM_OK);
        }
        if (isnan(cases[i].value) ? !isnan(number) : number != cases[i].value)
            fail_msg("%s: reads as %.17g", cases[i].text, number);
        ldm_config_free(cfg);
    }
}

static void accessors_read_what_fits_and_name_the_place_of_the_rest(void **state)
{
    ldm_config *cfg =
        from("a:\n  i: 3\n  f: 8.0\n  g: 1.5\n  b: true\n  s: text\n  n:\n  l: [1, x]\n");
    const ldm_value *map = at(cfg, "a");
    ldm_error err;
    int64_t i = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    ldm_origin o;

    (void)state;
    assert_int_equal(ldm_value_int(at(cfg, "a.i"), &i, &err), LDM_OK);
    assert_int_equal(i, 3);
    assert_int_equal(ldm_value_int(at(cfg, "a.f"), &i, &err), LDM_OK);
    assert_int_equal(i, 8);
    assert_int_equal(ldm_value_double(at(cfg, "a.i"), &d, &err), LDM_OK);
    assert_true(d == 3.0);
    assert_int_equal(ldm_value_bool(at(cfg, "a.b"), &b, &err), LDM_OK);
    assert_true(b);
    assert_int_equal(ldm_value_string(at(cfg, "a.s"), &s, &err), LDM_OK);
    assert_string_equal(s, "text");

    assert_int_equal(ldm_value_int(at(cfg, "a.g"), &i, &err), LDM_ERR_CONFIG);
    assert_string_equal(err.msg, "t.yaml:4:6: a.g: found 1.5, expected a whole number");
    assert_int_equal(err.line, 4);
    assert_int_equal(err.column, 6);
    assert_int_equal(ldm_value_int(at(cfg, "a.b"), &i, &err), LDM_ERR_CONFIG);
    assert_string_equal(err.msg, "t.yaml:5:6: a.b: found true, expected a whole number");
    assert_int_equal(ldm_value_bool(at(cfg, "a.i"), &b, &err), LDM_ERR_CONFIG);
    assert_string_equal(err.msg, "t.yaml:2:6: a.i: found 3, expected true or false");
    assert_int_equal(ldm_value_double(at(cfg, "a.s"), &d, &err), LDM_ERR_CONFIG);
    assert_string_equal(err.msg, "t.yaml:6:6: a.s: found the text \"text\", expected a number");
    assert_int_equal(ldm_value_string(at(cfg, "a.n"), &s, &err), LDM_ERR_CONFIG);
    assert_non_null(strstr(err.msg, "t.yaml:7:3: a.n: found null, expected text"));
    assert_int_equal(ldm_value_string(map, &s, &err), LDM_ERR_CONFIG);
    assert_string_equal(err.msg, "t.yaml:1:1: a: found a map, expected text");
    assert_int_equal(ldm_value_error(at(cfg, "a.l.1"), &err, "odd %d", 7), LDM_ERR_CONFIG);
    assert_string_equal(err.msg, "t.yaml:8:10: a.l.1: odd 7");

    assert_int_equal(ldm_value_count(map), 7);
    assert_string_equal(ldm_value_key(ldm_value_at(map, 6)), "l");
    assert_null(ldm_value_at(map, 7));
    assert_int_equal(ldm_value_count(at(cfg, "a.s")), 0);
    assert_ptr_equal(at(cfg, "a.l[1]"), at(cfg, "a.l.1"));
    assert_string_equal(ldm_value_path(at(cfg, "a.l[1]")), "a.l.1");
    assert_string_equal(ldm_value_path(ldm_config_root(cfg)), "");
    assert_ptr_equal(ldm_value_find(ldm_config_root(cfg), ""), ldm_config_root(cfg));
    assert_null(ldm_value_find(NULL, "a"));
    assert_null(ldm_value_find(map, "i.x"));
    assert_null(ldm_value_find(map, "l.2"));
    assert_null(ldm_value_find(map, "i."));
    o = ldm_value_origin(at(cfg, "a.l"));
    assert_string_equal(o.source, "t.yaml");
    assert_int_equal(o.line, 8);
    assert_int_equal(o.column, 3);
    ldm_config_free(cfg);
}

static void anchors_aliases_and_merge_keys(void **state)
{
    ldm_config *cfg = from("a: &a {x: 1, y: [2, 3]}\n"
                           "b: &b {x: 5, z: 6}\n"
                           "c: *a\n"
                           "d: {<<: *a, x: 9}\n"
                           "e:\n  <<: [*b, *a]\n  w: &s text\n"
                           "f: *s\n"
                           "g: {\"<<\": 1}\n");
    ldm_error err;

    (void)state;
    assert_emits(cfg, "a:\n  x: 1\n  y: [2, 3]\n"
                      "b:\n  x: 5\n  z: 6\n"
                      "c:\n  x: 1\n  y: [2, 3]\n"
                      "d:\n  x: 9\n  y: [2, 3]\n"
                      "e:\n  w: text\n  x: 5\n  z: 6\n  y: [2, 3]\n"
                      "f: text\n"
                      "g:\n  \"<<\": 1\n");
    assert_string_equal(ldm_value_path(at(cfg, "c.y.0")), "c.y.0");
    assert_int_equal(ldm_value_origin(at(cfg, "c.y.0")).line, 1);
    assert_int_equal(ldm_value_origin(at(cfg, "c")).line, 3);
    assert_int_equal(lay(cfg, "x: {<<: 5}", &err), LDM_ERR_CONFIG);
    assert_string_equal(
        err.msg, "t.yaml:1:9: the merge key << takes a map or a list of maps, not a whole number");
    ldm_config_free(cfg);
}

static void layers_merge_maps_and_replace_the_rest(void **state)
{
    static const char two[] = "m: {b: {d: 3}, a: ~}\nl: [9]\ns: {x: 1}\nt: 5\nn: 1";
    ldm_config *cfg = from("m: {a: 1, b: {c: 2}}\nl: [1, 2, 3]\ns: 1\nt: {u: 1}\n");
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_config_load_text(cfg, "two.yaml", two, sizeof two - 1, &err), LDM_OK);
    assert_emits(cfg, "m:\n  a: null\n  b:\n    c: 2\n    d: 3\nl: [9]\ns:\n  x: 1\nt: 5\nn: 1\n");
    assert_string_equal(ldm_value_origin(at(cfg, "m.b.c")).source, "t.yaml");
    assert_string_equal(ldm_value_origin(at(cfg, "m.b.d")).source, "two.yaml");
    assert_string_equal(ldm_value_origin(at(cfg, "m.a")).source, "two.yaml");

    /* A failed layer changes nothing. */
    assert_int_equal(lay(cfg, "m: {a: 7}\nl: [", &err), LDM_ERR_FORMAT);
    assert_int_equal(ldm_value_get_kind(at(cfg, "m.a")), LDM_VALUE_NULL);
    /* An empty one neither. */
    assert_int_equal(lay(cfg, "", &err), LDM_OK);
    assert_int_equal(lay(cfg, "# nothing\n", &err), LDM_OK);
    assert_int_equal(lay(cfg, "---\n...\n", &err), LDM_OK);
    assert_int_equal(ldm_value_count(ldm_config_root(cfg)), 5);
    ldm_config_free(cfg);
}

static void assignments_follow_the_dot_list(void **state)
{
    ldm_config *cfg = from("m: {s: 1.0, l: [8, 4, 2], n: ~}\n");
    ldm_origin o;
    const char *s;

    (void)state;
    set_ok(cfg, "m.s=0.18215");
    set_ok(cfg, "m.l.0=16");
    set_ok(cfg, "m.l[2]=[1, {a: x}]");
    set_ok(cfg, "m.n.deep=yes");
    set_ok(cfg, "new.map=a=b");
    set_ok(cfg, "new.quoted=\"1\"");
    set_ok(cfg, "new.empty=");
    set_ok(cfg, "m.t={u: 1}");
    set_ok(cfg, "m.t={v: 2}");
    assert_emits(
        cfg, "m:\n  s: 0.18215\n  l:\n    - 16\n    - 4\n    -\n      - 1\n      -\n        a: x\n"
             "  n:\n    deep: true\n  t:\n    u: 1\n    v: 2\n"
             "new:\n  map: \"a=b\"\n  quoted: \"1\"\n  empty: null\n");
    o = ldm_value_origin(at(cfg, "m.s"));
    assert_string_equal(o.source, "--set");
    assert_int_equal(o.line, 0);
    assert_int_equal(ldm_value_origin(at(cfg, "m.l.1")).line, 1);
    assert_int_equal(ldm_value_string(at(cfg, "m.s"), &s, NULL), LDM_ERR_CONFIG);
    ldm_config_free(cfg);
}

static void wrong_assignments_are_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"m.s", "--set m.s: no \"=\"; write it as a.b.c=value"},
        {"=1", "--set : a part of the key is empty; write it as a.b.c=value"},
        {"m..s=1", "--set m..s: a part of the key is empty; write it as a.b.c=value"},
        {"m.=1", "--set m.: a part of the key is empty; write it as a.b.c=value"},
        {"m.l[]=1", "--set m.l[]: a part of the key is empty; write it as a.b.c=value"},
        {"m.s =1", "--set m.s : a blank beside a key; write a.b.c=value without it"},
        {"m.s.x=1",
         "t.yaml:1:8: m.s: is a number, which has no entry x; --set m.s.x cannot be set below it"},
        {"m.l.3=1", "t.yaml:1:13: m.l: is a list of 3; 3 is not the number of an entry (counted "
                    "from 0)"},
        {"m.l.x=1", "t.yaml:1:13: m.l: is a list of 3; x is not the number of an entry (counted "
                    "from 0)"},
        {"m.s=[1", "--set m.s: not readable as YAML: flow sequence without a closing bracket"},
        {"m.s={a: 1, a: 2}", "--set m.s: duplicate key a, first on line 1; remove one"},
        {"m.\xff=1", "--set m.?: not YAML text: this must be UTF-8 without control characters; "
                     "found byte 0xff"},
        {"m.s=*x", "--set m.s: no anchor of this name is complete above this line: *x"},
    };
    ldm_config *cfg = from("m: {s: 1.0, l: [8, 4, 2]}\n");
    ldm_error err;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(ldm_config_set(cfg, cases[i].text, &err), LDM_OK);
        assert_string_equal(err.msg, cases[i].message);
    }
    assert_emits(cfg, "m:\n  s: 1.0\n  l: [8, 4, 2]\n");
    ldm_config_free(cfg);
}

static void tabs_may_part_keys_from_values(void **state)
{
    ldm_config *cfg = new_config();
    ldm_error err;

    (void)state;
    assert_int_equal(lay(cfg, "? a\n: 1\nb:\t5\n", &err), LDM_OK);
    assert_int_equal(lay(cfg, "a:\t-5\nb: \t>\n  text\n", &err), LDM_OK);
    ldm_config_free(cfg);
}

static void malformed_text_is_refused_at_its_place(void **state)
{
    static const struct {
        const char *text;
        int line, column;
        const char *words;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key a, first on line 1"},
        {"a: {b: 1, \"b\": 2}\n", 1, 11, "duplicate key b"},
        {"a: 1\n---\nb: 2\n", 2, 1, "a second document begins here"},
        {"? a:\t?", 1, 6, "with explicit keys (?) in the text, this must be parted"},
        {"x: 1\n? a: \t - b", 2, 8, "blanks, not tabs: -"},
        {"a:\n  - *gone\n", 2, 5, "no anchor of this name is complete above this line: *gone"},
        {"a: &x [*x]\n", 1, 8, "*x"},
        {"a: 'text\n", 1, 5, "single-quoted scalar without closing quote"},
        {"a:\n\t- b\n", 2, 1, "tab character"},
        {"a: b: c\n", 1, 5, "invalid nested block mapping"},
        {"- 1\n", 1, 1, "the file is a list; a configuration is a map"},
        {"text\n", 1, 1, "the file is text; a configuration is a map"},
        {"a: 1\n? [x]\n: 1\n", 2, 3, "a key must be plain text, not a list"},
        {"a: 1\n~: 1\nb: 1\n\"\": 2\n", 4, 1, "a key must be plain text, not empty"},
        {"a: &x k\n*x : 1\n", 2, 1, "a key must be plain text, not an alias"},
        {"a: !!python/name:os.system x\n", 1, 0, "unknown"},
        {"a: !!int x\n", 1, 0, "does not fit its tag"},
        {"a: !odd {}\n", 1, 0, "unknown tag: !odd"},
        {"a: \"x\\0y\"\n", 1, 4, "a NUL character"},
        {"a: 1\nb: x\x01y\n", 2, 5, "found byte 0x01"},
        {"a: \xc3\xa9\xff\n", 1, 5, "found byte 0xff"},
        {"\xff\xfe"
         "a",
         1, 1, "found byte 0xff; it is UTF-16: save it as UTF-8"},
        {"a: \xed\xa0\x80\n", 1, 4, "found byte 0xed"},
        {"a: \xc0\x80\n", 1, 4, "found byte 0xc0"},
        {"a: \xe2\x82", 1, 4, "found byte 0xe2"},
    };
    ldm_config *cfg = new_config();
    ldm_error err;
    char place[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(lay(cfg, cases[i].text, &err), LDM_OK);
        if (!strstr(err.msg, cases[i].words) || err.line != cases[i].line ||
            (cases[i].column && err.column != cases[i].column))
            fail_msg("case %zu, at %d:%d: %s", i, err.line, err.column, err.msg);
        snprintf(place, sizeof place, "t.yaml:%d:%d: ", err.line, err.column);
        assert_memory_equal(err.msg, place, strlen(place));
    }
    assert_int_equal(ldm_config_load_text(cfg, "t.yaml", "a: \0b", 5, &err), LDM_ERR_FORMAT);
    assert_int_equal(err.column, 4);
    assert_int_equal(ldm_config_load(cfg, "tests/no-such-file.yaml", &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "tests/no-such-file.yaml"));
    assert_emits(cfg, "{}\n");
    ldm_config_free(cfg);
}

/* Emits, reads back, emits: both texts and trees are the same. */
static void assert_round_trip(const ldm_config *cfg)
{
    ldm_config *copy = new_config();
    ldm_str once = {NULL}, twice = {NULL};
    ldm_error err = {.msg = ""};

    ldm_config_emit(cfg, &once);
    if (ldm_config_load_text(copy, "emitted", once.data, once.len, &err))
        fail_msg("%s", err.msg);
    ldm_config_emit(copy, &twice);
    assert_string_equal(once.data, twice.data);
    ldm_str_free(&once);
    ldm_str_free(&twice);
    ldm_config_free(copy);
}

static void text_that_is_written_reads_back(void **state)
{
    static const double numbers[] = {0.1,     1.0 / 3,     1e20,    1e-320, DBL_MAX, DBL_MIN,
                                     0.18215, 123456789.0, 4.5e-06, -0.0,   1e16,    2.0};
    static const char *const texts[] = {
        "",      "1",    "true", "null",     "a b",      "x: y",   "#",        "- a",
        "a\\nb", "\\t",  "???",  "1e5",      "yes",      "__is__", "a.b/c-d",  "\\x85",
        "'",     "\\\"", "\\\\", "\\u2028x", "\\uFEFFx", "${a}",   "\xc3\xa9", "\\x01"};
    ldm_config *cfg, *copy;
    ldm_str s = {NULL};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[64];
        double back = 0;

        snprintf(text, sizeof text, "v: %.17e\n", numbers[i]);
        cfg = from(text);
        ldm_config_emit(cfg, &s);
        copy = from(s.data);
        assert_int_equal(ldm_value_get_kind(at(copy, "v")), LDM_VALUE_FLOAT);
        assert_int_equal(ldm_value_double(at(copy, "v"), &back, NULL), LDM_OK);
        assert_memory_equal(&back, &numbers[i], sizeof back);
        ldm_str_free(&s);
        ldm_config_free(cfg);
        ldm_config_free(copy);
    }
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[96];
        const ldm_value *a, *b;

        snprintf(text, sizeof text, "v: \"%s\"\n\"k%s\": 1\n", texts[i], texts[i]);
        cfg = from(text);
        ldm_config_emit(cfg, &s);
        copy = from(s.data);
        a = ldm_config_root(cfg);
        b = ldm_config_root(copy);
        assert_int_equal(ldm_value_count(b), 2);
        assert_string_equal(ldm_value_key(ldm_value_at(a, 1)), ldm_value_key(ldm_value_at(b, 1)));
        assert_round_trip(cfg);
        ldm_str_free(&s);
        ldm_config_free(cfg);
        ldm_config_free(copy);
    }
    cfg = from("v: ''''''''''''''''''''''''\n"); /* many pieces: libfyaml leaked here */
    assert_round_trip(cfg);
    ldm_config_free(cfg);
    cfg = from("a: []\nb: {}\nc: [[], {}, [[1]], {x: {y: []}}, -.inf, .nan]\nd: {e: {f: ~}}\n");
    assert_round_trip(cfg);
    ldm_config_free(cfg);
}

static void styles_of_the_wild(void **state)
{
    ldm_config *cfg = from("\xef\xbb\xbf# comment\r\n"
                           "a: |\r\n  two\r\n  lines\r\n"
                           "b: >-\n  folded\n  text\n"
                           "c: [\n1,\n2,\n]\n"
                           "d: {x: 1, y}\n"
                           "e: \"\\u00e9\\n\"\n"
                           "f:   # nothing\n"
                           "g:\n  - 1\n  -\n");
    const char *s;

    (void)state;
    assert_int_equal(ldm_value_string(at(cfg, "a"), &s, NULL), LDM_OK);
    assert_string_equal(s, "two\nlines\n");
    assert_int_equal(ldm_value_string(at(cfg, "b"), &s, NULL), LDM_OK);
    assert_string_equal(s, "folded text");
    assert_int_equal(ldm_value_count(at(cfg, "c")), 2);
    assert_int_equal(ldm_value_get_kind(at(cfg, "d.y")), LDM_VALUE_NULL);
    assert_int_equal(ldm_value_string(at(cfg, "e"), &s, NULL), LDM_OK);
    assert_string_equal(s, "\xc3\xa9\n");
    assert_int_equal(ldm_value_get_kind(at(cfg, "f")), LDM_VALUE_NULL);
    assert_int_equal(ldm_value_get_kind(at(cfg, "g.1")), LDM_VALUE_NULL);
    ldm_config_free(cfg);
}

static void hostile_text_ends_in_an_error(void **state)
{
    enum { BIG = 200000 };
    ldm_config *cfg = new_config();
    ldm_error err;
    char *text = calloc(BIG + 64, 1);
    size_t len, i;
    unsigned seed = 1;

    (void)state;
    assert_non_null(text);
    /* Nesting, in flow and in block style. */
    len = (size_t)sprintf(text, "a: ");
    memset(text + len, '[', BIG);
    assert_int_not_equal(lay(cfg, text, &err), LDM_OK);
    memset(text + len, '{', BIG);
    assert_int_not_equal(lay(cfg, text, &err), LDM_OK);
    for (len = 0, i = 0; i < 100; i++)
        len += (size_t)sprintf(text + len, "%*sk:\n", (int)i, "");
    text[len] = '\0';
    assert_int_equal(lay(cfg, text, &err), LDM_ERR_LIMIT);
    assert_int_equal(err.line, 65);

    /* A billion values from ten lines; and a depth that only aliases reach. */
    len = (size_t)sprintf(text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (i = 1; i < 10; i++)
        len += (size_t)sprintf(
            text + len, "a%zu: &a%zu [*a%zu, *a%zu, *a%zu, *a%zu, *a%zu, *a%zu, *a%zu, *a%zu]\n", i,
            i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_int_equal(lay(cfg, text, &err), LDM_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "t.yaml: more than 131072 values"));
    len = (size_t)sprintf(text, "a0: &a0 [x]\n");
    for (i = 1; i < 100; i++)
        len += (size_t)sprintf(text + len, "a%zu: &a%zu [*a%zu]\n", i, i, i - 1);
    assert_int_equal(lay(cfg, text, &err), LDM_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "nested deeper than 64 levels"));

    /* Merge keys that merge merges. */
    len = (size_t)sprintf(text, "a0: &a0 {b: 1, c: 2, d: 3}\n");
    for (i = 1; i < 40; i++)
        len += (size_t)sprintf(text + len, "a%zu: &a%zu {<<: [*a%zu, *a%zu], k%zu: 1}\n", i, i,
                               i - 1, i - 1, i);
    assert_int_equal(lay(cfg, text, &err), LDM_OK);
    assert_int_equal(ldm_value_count(at(cfg, "a39")), 42);
    ldm_config_free(cfg);
    cfg = new_config();

    for (len = 0, i = 0; i < 1100; i++)
        len += (size_t)sprintf(text + len, "k%zu: &k%zu 1\n", i, i);
    assert_int_equal(lay(cfg, text, &err), LDM_ERR_LIMIT);
    assert_int_equal(err.line, 1025);

    memset(text, 'k', 201);
    strcpy(text + 201, ": 1\n");
    assert_int_equal(lay(cfg, text, &err), LDM_ERR_LIMIT);

    /* Binary garbage of every length, and a file too big. */
    for (i = 0; i < 2000; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = (char)(seed >> 16);
    }
    for (i = 1; i < 2000; i += 7)
        assert_int_not_equal(ldm_config_load_text(cfg, "t.yaml", text, i, &err), LDM_OK);
    assert_int_equal(ldm_config_load_text(cfg, "t.yaml", text, (size_t)5 << 20, &err),
                     LDM_ERR_LIMIT);
    assert_emits(cfg, "{}\n");
    free(text);
    ldm_config_free(cfg);
}

static void many_keys_take_no_time(void **state)
{
    enum { KEYS = 60000 };
    char *text = malloc(KEYS * 16), *s = text;
    ldm_config *cfg;
    int i;

    (void)state;
    assert_non_null(text);
    for (i = 0; i < KEYS; i++)
        s += sprintf(s, "key%d: %d\n", i, i);
    cfg = from(text);
    assert_int_equal(lay(cfg, text, NULL), LDM_OK);
    assert_int_equal(ldm_value_count(ldm_config_root(cfg)), KEYS);
    assert_non_null(at(cfg, "key59999"));
    free(text);
    ldm_config_free(cfg);
}

static const char sample[] = "model: &m\n  target: a.b\n  params: {x: 1, y: [1, 2, {z: 3}]}\n"
                             "other:\n  <<: *m\n  s: \"q\\n\"\n";

static void truncated_text_never_crashes(void **state)
{
    size_t len;

    (void)state;
    for (len = 0; len < sizeof sample; len++) {
        ldm_config *cfg = new_config();
        char *exact = malloc(len + 1); /* so that reading beyond is seen */

        memcpy(exact, sample, len);
        if (!ldm_config_load_text(cfg, "cut", exact, len, NULL))
            assert_round_trip(cfg);
        free(exact);
        ldm_config_free(cfg);
    }
}

static void every_failing_allocation_is_survived(void **state)
{
    unsigned long n;
    ldm_status st = LDM_ERR_NOMEM;

    (void)state;
    for (n = 1; st && n < 5000; n++) {
        ldm_config *cfg = NULL;
        ldm_error err = {.msg = ""};
        bool loaded = false;

        ldm_alloc_fail_at(n);
        st = ldm_config_create(&cfg, &err);
        if (!st)
            st = ldm_config_load_text(cfg, "t.yaml", sample, sizeof sample - 1, &err);
        loaded = !st;
        if (!st)
            st = ldm_config_set(cfg, "model.params.y.2.z=[4, {k: v}]", &err);
        ldm_alloc_fail_at(0);
        if (st) {
            assert_int_equal(st, LDM_ERR_NOMEM);
            assert_int_equal(err.code, LDM_ERR_NOMEM);
            if (cfg) /* as it was: empty, or loaded and without the assignment */
                assert_int_equal(ldm_value_count(ldm_config_root(cfg)), loaded ? 2 : 0);
            if (cfg && loaded)
                assert_int_equal(ldm_value_get_kind(at(cfg, "model.params.y.2.z")), LDM_VALUE_INT);
        }
        ldm_config_free(cfg);
    }
    assert_int_equal(st, LDM_OK);
    assert_in_range(n, 30, 5000);
}

static void shipped_configs_say_what_they_should(void **state)
{
    ldm_config *cfg = new_config();
    const char *s;
    int64_t n;
    double d;

    (void)state;
    assert_int_equal(ldm_config_load(cfg, "configs/ffhq-ldm-vq-4.yaml", NULL), LDM_OK);
    assert_int_equal(
        ldm_value_int(at(cfg, "model.params.unet_config.params.model_channels"), &n, NULL), LDM_OK);
    assert_int_equal(n, 224);
    assert_round_trip(cfg);
    assert_int_equal(ldm_config_load(cfg, "configs/study/approach1.yaml", NULL), LDM_OK);
    assert_int_equal(ldm_value_double(at(cfg, "model.params.scale_factor"), &d, NULL), LDM_OK);
    assert_true(d == 1.0);
    assert_int_equal(ldm_value_get_kind(at(cfg, "model.params.conditioning_key")), LDM_VALUE_NULL);
    assert_int_equal(
        ldm_value_int(at(cfg, "model.params.unet_config.params.num_head_channels"), &n, NULL),
        LDM_OK);
    assert_int_equal(n, -1);
    assert_int_equal(ldm_config_load(cfg, "configs/study/approach2.yaml", NULL), LDM_OK);
    assert_int_equal(ldm_value_string(at(cfg, "model.params.conditioning_key"), &s, NULL), LDM_OK);
    assert_string_equal(s, "crossattn");
    assert_round_trip(cfg);
    ldm_config_free(cfg);
}

static void golden_configs_read_back(void **state)
{
    const char *root = getenv("LDM_GOLDEN");
    struct dirent *entry;
    char path[512];
    int ran = 0;
    DIR *dir;

    (void)state;
    if (!root)
        root = "../shared/golden";
    dir = opendir(root);
    if (!dir) {
        print_message("skipped: no %s\n", root);
        skip();
    }
    while ((entry = readdir(dir)) != NULL) {
        ldm_config *cfg;
        ldm_error err = {.msg = ""};

        snprintf(path, sizeof path, "%s/%.200s/config.yaml", root, entry->d_name);
        if (access(path, R_OK))
            continue;
        cfg = new_config();
        if (ldm_config_load(cfg, path, &err))
            fail_msg("%s", err.msg);
        assert_non_null(at(cfg, "model.params.unet_config"));
        assert_round_trip(cfg);
        if (!strcmp(entry->d_name, "ffhq-full")) { /* the shipped one is the same, key by key */
            ldm_config *ours = new_config();
            ldm_str a = {NULL}, b = {NULL};

            assert_int_equal(ldm_config_load(ours, "configs/ffhq-ldm-vq-4.yaml", NULL), LDM_OK);
            ldm_config_emit(cfg, &a);
            ldm_config_emit(ours, &b);
            assert_string_equal(a.data, b.data);
            ldm_str_free(&a);
            ldm_str_free(&b);
            ldm_config_free(ours);
        }
        ldm_config_free(cfg);
        print_message("ran: %s\n", path);
        ran++;
    }
    closedir(dir);
    if (!ran) {
        print_message("skipped: no config.yaml below %s\n", root);
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars_are_typed_as_omegaconf_does),
        cmocka_unit_test(accessors_read_what_fits_and_name_the_place_of_the_rest),
        cmocka_unit_test(anchors_aliases_and_merge_keys),
        cmocka_unit_test(layers_merge_maps_and_replace_the_rest),
        cmocka_unit_test(assignments_follow_the_dot_list),
        cmocka_unit_test(wrong_assignments_are_refused),
        cmocka_unit_test(tabs_may_part_keys_from_values),
        cmocka_unit_test(malformed_text_is_refused_at_its_place),
        cmocka_unit_test(text_that_is_written_reads_back),
        cmocka_unit_test(styles_of_the_wild),
        cmocka_unit_test(hostile_text_ends_in_an_error),
        cmocka_unit_test(many_keys_take_no_time),
        cmocka_unit_test(truncated_text_never_crashes),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(shipped_configs_say_what_they_should),
        cmocka_unit_test(golden_configs_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
