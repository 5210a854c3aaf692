/* SPDX-License-Identifier: MIT */
/* Tests of the pickle machine: every kind of value in every protocol, and streams that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "checkpoint/pickle.h"
#include "checkpoint/ckpt_testing.h"

#define LIMIT ((uint64_t)32 << 20)

typedef struct parsed {
    ldm_arena *arena;
    ldm_pickle pickle;
    ldm_status st;
    ldm_error err;
} parsed;

static parsed parse(const void *data, size_t len)
{
    const ldm_source src = {.name = "test.pkl", .data = data, .size = len};
    parsed p;

    memset(&p, 0, sizeof p);
    p.arena = ldm_arena_create(LIMIT);
    assert_non_null(p.arena);
    p.st = ldm_pickle_read(&src, 0, p.arena, LIMIT, &p.pickle, &p.err);
    return p;
}

#define PARSE(literal) parse(literal, sizeof(literal) - 1)

static void done(parsed *p)
{
    ldm_arena_free(p->arena);
}

static void expect_fail(const void *data, size_t len, ldm_status st, const char *part)
{
    parsed p = parse(data, len);

    if (p.st != st || !strstr(p.err.msg, part) || p.err.offset < 0)
        fail_msg("expected %s and '%s', got %s: %s", ldm_status_name(st), part,
                 ldm_status_name(p.st), p.st ? p.err.msg : "");
    done(&p);
}

#define FAILS(literal, st, part) expect_fail(literal, sizeof(literal) - 1, st, part)

static void expect_int(const void *data, size_t len, int64_t v)
{
    parsed p = parse(data, len);

    assert_int_equal(p.st, LDM_OK);
    assert_int_equal(p.pickle.root->kind, LDM_PK_INT);
    assert_int_equal(p.pickle.root->u.integer, v);
    assert_int_equal(p.pickle.end, len);
    done(&p);
}

#define INT(literal, v) expect_int(literal, sizeof(literal) - 1, v)

static void expect_text(const void *data, size_t len, ldm_pk_kind kind, const char *text)
{
    parsed p = parse(data, len);

    assert_int_equal(p.st, LDM_OK);
    assert_int_equal(p.pickle.root->kind, kind);
    assert_int_equal(p.pickle.root->u.text.len, strlen(text));
    assert_memory_equal(p.pickle.root->u.text.data, text, strlen(text));
    done(&p);
}

#define TEXT(literal, kind, text) expect_text(literal, sizeof(literal) - 1, kind, text)

static void integers(void **state)
{
    (void)state;
    INT("I12\n.", 12);
    INT("I-7\n.", -7);
    INT("L-9223372036854775808L\n.", INT64_MIN);
    INT("K\xff.", 255);
    INT("M\x01\x80.", 0x8001);
    INT("J\xfe\xff\xff\xff.", -2);
    INT("\x8a\x00.", 0);
    INT("\x8a\x01\x80.", -128);
    INT("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", INT64_MAX);
    INT("\x8b\x02\x00\x00\x00\x00\x80.", -32768);
    TEXT("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", LDM_PK_BIGINT,
         "0x1950a86a20f9469cfc6c");
    TEXT("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff.", LDM_PK_BIGINT, "-0x10000000000000000");
    TEXT("L18446744073709551616L\n.", LDM_PK_BIGINT, "18446744073709551616");
    FAILS("Ix\n.", LDM_ERR_FORMAT, "'x' is no number");
    FAILS("\x8b\xff\xff\xff\x7f.", LDM_ERR_FORMAT, "bytes more");
}

static void floats_and_bools(void **state)
{
    parsed p = PARSE("(F1.5e-3\nG?\xf0\x00\x00\x00\x00\x00\x00I01\nI00\n\x88\x89Nt.");
    ldm_pk *const *v;

    (void)state;
    assert_int_equal(p.st, LDM_OK);
    assert_int_equal(p.pickle.root->u.seq.count, 7);
    v = p.pickle.root->u.seq.items;
    assert_true(v[0]->u.real == 1.5e-3 && v[1]->u.real == 1.0);
    assert_true(v[2]->kind == LDM_PK_BOOL && v[2]->u.boolean && !v[3]->u.boolean);
    assert_true(v[4]->u.boolean && !v[5]->u.boolean && v[6]->kind == LDM_PK_NONE);
    done(&p);
}

static void strings(void **state)
{
    (void)state;
    TEXT("S'a\\n\\x41\\\\\\'\\101'\n.", LDM_PK_STR, "a\nA\\'A");
    TEXT("S\"q\"\n.", LDM_PK_STR, "q");
    TEXT("V\\u20ac\xe9\\U0001f600\n.", LDM_PK_STR, "\xe2\x82\xac\xc3\xa9\xf0\x9f\x98\x80");
    TEXT("X\x02\x00\x00\x00hi.", LDM_PK_STR, "hi");
    TEXT("\x8c\x02hi.", LDM_PK_STR, "hi");
    TEXT("\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi.", LDM_PK_STR, "hi");
    TEXT("U\x02hi.", LDM_PK_STR, "hi");
    TEXT("T\x02\x00\x00\x00hi.", LDM_PK_STR, "hi");
    TEXT("C\x02hi.", LDM_PK_BYTES, "hi");
    TEXT("B\x02\x00\x00\x00hi.", LDM_PK_BYTES, "hi");
    TEXT("\x96\x02\x00\x00\x00\x00\x00\x00\x00hi.", LDM_PK_BYTES, "hi");
    FAILS("S'a\n.", LDM_ERR_FORMAT, "malformed string");
    FAILS("S'\\x4'\n.", LDM_ERR_FORMAT, "malformed string");
    FAILS("V\\u12\n.", LDM_ERR_FORMAT, "malformed string");
    FAILS("X\xff\xff\xff\xffhi.", LDM_ERR_FORMAT, "needs 4294967295 bytes more");
    FAILS("\x8d\xff\xff\xff\xff\xff\xff\xff\xffhi.", LDM_ERR_FORMAT, "bytes more");
}

static void containers(void **state)
{
    parsed p = PARSE("}(K\x01](K\x04K\x05"
                     "eK\x02(K\x07luK\x06)s.");
    ldm_pk *const *v;

    (void)state;
    assert_int_equal(p.st, LDM_OK);
    assert_int_equal(p.pickle.root->kind, LDM_PK_DICT);
    assert_int_equal(p.pickle.root->u.seq.count, 6);
    v = p.pickle.root->u.seq.items;
    assert_int_equal(v[1]->kind, LDM_PK_LIST);
    assert_int_equal(v[1]->u.seq.count, 2);
    assert_int_equal(v[1]->u.seq.items[1]->u.integer, 5);
    assert_int_equal(v[3]->u.seq.count, 1);
    assert_int_equal(v[5]->kind, LDM_PK_TUPLE);
    done(&p);
    p = PARSE("(\x8f(K\x01K\x02\x90(K\x03\x91K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87t.");
    assert_int_equal(p.st, LDM_OK);
    v = p.pickle.root->u.seq.items;
    assert_int_equal(v[0]->u.seq.count, 2);
    assert_int_equal(v[1]->u.seq.count, 1);
    assert_int_equal(v[4]->u.seq.count, 3);
    done(&p);
    FAILS("(K\x01"
          "d.",
          LDM_ERR_FORMAT, "expected pairs");
    FAILS("}K\x01"
          "a.",
          LDM_ERR_FORMAT, "adds to a dictionary, expected a list");
    FAILS("K\x01"
          "b.",
          LDM_ERR_FORMAT, "finds the stack empty");
    FAILS("K\x01}b.", LDM_ERR_FORMAT, "gives attributes to an integer");
}

static void memo(void **state)
{
    parsed p = PARSE("\x80\x04]\x94K\x05\x94h\x01"
                     "aq\x07h\x07K\x01\x86.");
    static const char jump[] = "Kxr\xff\xff\xff\xff.";

    (void)state;
    assert_int_equal(p.st, LDM_ERR_FORMAT); /* the list lies below K5: APPEND to an integer */
    done(&p);
    p = PARSE("(]\x94K\x05\x94h\x00h\x01t.");
    assert_int_equal(p.st, LDM_OK);
    assert_ptr_equal(p.pickle.root->u.seq.items[0], p.pickle.root->u.seq.items[2]);
    assert_ptr_equal(p.pickle.root->u.seq.items[1], p.pickle.root->u.seq.items[3]);
    done(&p);
    INT("K\x07p3\n0g3\n.", 7);
    INT("K\x07r\x03\x00\x00\x00"
        "0j\x03\x00\x00\x00.",
        7);
    FAILS("h\x00.", LDM_ERR_FORMAT, "memo entry 0 is used before it is set");
    FAILS("g-1\n.", LDM_ERR_FORMAT, "'-1' is no memo index");
    expect_fail(jump, sizeof jump - 1, LDM_ERR_FORMAT, "memo index 4294967295");
}

static void globals_are_names(void **state)
{
    parsed p = PARSE("(cposix\nsystem\n\x8c\x05posix\x8c\x06system\x93"
                     "cz\nz\nca\na\ncz\nz\nca\na\n"
                     "(iposix\nsystem\n(cposix\nsystem\noctorch\nFloatStorage\nt.");

    (void)state;
    assert_int_equal(p.st, LDM_OK);
    assert_int_equal(p.pickle.root->u.seq.count, 9);
    assert_ptr_equal(p.pickle.root->u.seq.items[0], p.pickle.root->u.seq.items[1]);
    assert_ptr_equal(p.pickle.root->u.seq.items[2], p.pickle.root->u.seq.items[4]);
    assert_ptr_equal(p.pickle.root->u.seq.items[3], p.pickle.root->u.seq.items[5]);
    assert_int_equal(p.pickle.global_count, 4);
    assert_string_equal(p.pickle.globals[0]->u.global.name, "posix.system");
    assert_null(p.pickle.globals[0]->u.global.row);
    assert_string_equal(p.pickle.globals[1]->u.global.name, "z.z"); /* as they came */
    assert_string_equal(p.pickle.globals[2]->u.global.name, "a.a");
    assert_int_equal(p.pickle.globals[3]->u.global.row->role, LDM_GLOBAL_STORAGE);
    assert_int_equal(p.pickle.root->u.seq.items[6]->kind, LDM_PK_OBJECT);
    assert_int_equal(p.pickle.root->u.seq.items[7]->kind, LDM_PK_OBJECT);
    done(&p);
    FAILS("\x82\x07.", LDM_ERR_UNSUPPORTED, "extension code 7,");
    FAILS("\x83\x01\x02.", LDM_ERR_UNSUPPORTED, "extension code 513,");
    FAILS("\x84\x01\x02\x03\x80.", LDM_ERR_UNSUPPORTED, "extension code 2147680769,");
    FAILS("K\x01K\x02\x93.", LDM_ERR_FORMAT, "expected strings");
    FAILS("(o.", LDM_ERR_FORMAT, "without a class");
    FAILS("cposix\nsystem", LDM_ERR_FORMAT, "no end of line");
}

/* What would be called stays an object; items and state given to it are dropped. */
static void calls_become_data(void **state)
{
    parsed p = PARSE("cposix\nsystem\nX\x04\x00\x00\x00true\x85R}b(K\x01K\x02uK\x01"
                     "a.");
    const ldm_pk *v;

    (void)state;
    assert_int_equal(p.st, LDM_OK);
    v = p.pickle.root;
    assert_int_equal(v->kind, LDM_PK_OBJECT);
    assert_string_equal(v->u.object.callee->u.global.name, "posix.system");
    assert_true(ldm_pk_is(v->u.object.args->u.seq.items[0], "true"));
    done(&p);
    p = PARSE("ca\nb\n)}\x92.");
    assert_int_equal(p.pickle.root->kind, LDM_PK_OBJECT);
    done(&p);
    p = PARSE("ca\nb\n)\x81)R."); /* calling the result of a call */
    assert_int_equal(p.pickle.root->u.object.callee->kind, LDM_PK_OBJECT);
    done(&p);
    p = PARSE("ccollections\nOrderedDict\n](](K\x01K\x02"
              "e](K\x03K\x04"
              "ee\x85R.");
    assert_int_equal(p.st, LDM_OK);
    assert_int_equal(p.pickle.root->kind, LDM_PK_DICT);
    assert_int_equal(p.pickle.root->u.seq.count, 4);
    done(&p);
}

static void persistent_ids(void **state)
{
    parsed p = PARSE("(K\x01QPname\nt.");

    (void)state;
    assert_int_equal(p.st, LDM_OK);
    assert_int_equal(p.pickle.persids->u.persid.id->u.integer, 1);
    assert_true(ldm_pk_is(p.pickle.persids->u.persid.next->u.persid.id, "name"));
    assert_null(p.pickle.persids->u.persid.next->u.persid.next);
    done(&p);
}

static void stream_errors(void **state)
{
    (void)state;
    FAILS("", LDM_ERR_FORMAT, "without its STOP opcode");
    FAILS("K\x01", LDM_ERR_FORMAT, "without its STOP opcode");
    FAILS(".", LDM_ERR_FORMAT, "finds the stack empty");
    FAILS("(.", LDM_ERR_FORMAT, "finds the stack empty");
    FAILS("(t0.", LDM_ERR_FORMAT, "finds the stack empty");
    FAILS("K\x01t.", LDM_ERR_FORMAT, "finds no mark");
    FAILS("K\x01(0"
          "0.",
          LDM_ERR_FORMAT, "finds the stack empty");
    FAILS("\xff.", LDM_ERR_FORMAT, "0xff is no pickle opcode");
    FAILS("\x80\x06N.", LDM_ERR_UNSUPPORTED, "pickle protocol 6");
    FAILS("\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", LDM_ERR_FORMAT, "pickle frame");
    FAILS("\x97.", LDM_ERR_UNSUPPORTED, "out-of-band");
}

/* head, then unit and after it tail n times each, end: values in one another n deep. */
static void expect_nesting(const char *head, const char *unit, const char *tail, const char *end)
{
    static const size_t depths[] = {1000, 1001, 100000};
    size_t k, i;

    for (k = 0; k < 3; k++) {
        bytes b = {0};
        parsed p;

        put_text(&b, head);
        for (i = 0; i < depths[k]; i++)
            put_text(&b, unit);
        for (i = 0; i < depths[k]; i++)
            put_text(&b, tail);
        put_text(&b, end);
        if (k) {
            expect_fail(b.data, b.len, LDM_ERR_LIMIT, "nested more than 1000 deep");
        } else {
            p = parse(b.data, b.len);
            if (p.st)
                fail_msg("%s...%s: %s", unit, tail, p.err.msg);
            done(&p);
        }
        bytes_free(&b);
    }
}

static void nesting_is_limited(void **state)
{
    (void)state;
    expect_nesting("N", "\x85", "", ".");
    expect_nesting("N", "Q", "", ".");
    expect_nesting("]", "]", "a", ".");
    expect_nesting("(", "(", "t", "t.");
    expect_nesting("}", "K\1}", "s", ".");
    expect_nesting("N", "", "ca\nb\n\x86", "."); /* a pair with a class each */
    expect_nesting("N", "", ")R", ".");
}

static void memory_is_limited(void **state)
{
    static const char *const repeated[] = {"K\1", "]", "(", "2", "]\x94"};
    bytes b = {0};
    size_t r, i;

    (void)state;
    for (r = 0; r < sizeof repeated / sizeof repeated[0]; r++) {
        put_text(&b, "N");
        for (i = 0; i < 5000000; i++)
            put_text(&b, repeated[r]);
        expect_fail(b.data, b.len, LDM_ERR_LIMIT, "asks for more than 32 MB");
        bytes_free(&b);
    }
    for (i = 0; i < 300; i++) {
        char name[24];

        snprintf(name, sizeof name, "ca\nb%zu\n", i);
        put_text(&b, name);
    }
    expect_fail(b.data, b.len, LDM_ERR_LIMIT, "more than 256 different globals");
    bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(floats_and_bools),
        cmocka_unit_test(strings),
        cmocka_unit_test(containers),
        cmocka_unit_test(memo),
        cmocka_unit_test(globals_are_names),
        cmocka_unit_test(calls_become_data),
        cmocka_unit_test(persistent_ids),
        cmocka_unit_test(stream_errors),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(memory_is_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
