/* SPDX-License-Identifier: MIT */
/* Tests of what the torch readers make of pickled values: views, state dicts, gadgets, metadata,
 * and the legacy container. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checkpoint/ckpt_testing.h"

static const float numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};

/* {"state_dict": {"w": VIEW}} over the eight numbers */
static bytes with_view(const pk_view *v)
{
    bytes pickle = {0}, b = {0};

    put_text(&pickle, "}");
    pk_str(&pickle, "state_dict");
    pk_ordered_dict(&pickle);
    pk_str(&pickle, "w");
    pk_tensor(&pickle, v);
    put_text(&pickle, "ss.");
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    bytes_free(&pickle);
    return b;
}

static void expect_view(pk_view v, const float *want, size_t count)
{
    bytes b = with_view(&v);
    opened o = open_bytes(b.data, b.len);
    const ldm_tensor_info *t;
    float got[16];

    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_string_equal(ldm_ckpt_state_dict_path(o.ck), "state_dict");
    t = ldm_ckpt_find(o.ck, "w");
    assert_non_null(t);
    assert_int_equal(t->numel, count);
    assert_int_equal(ldm_ckpt_read_f32(o.ck, t, got, NULL), LDM_OK);
    assert_memory_equal(got, want, count * sizeof *got);
    assert_true((ldm_ckpt_data(o.ck, t) != NULL) == t->contiguous);
    opened_done(&o);
    bytes_free(&b);
}

static void refuse_view(pk_view v, ldm_status st, const char *part)
{
    bytes b = with_view(&v);

    expect_error(&b, st, part);
    bytes_free(&b);
}

/* The file opens without it. */
static void skip_view(pk_view v, const char *part)
{
    bytes b = with_view(&v);
    opened o = open_bytes(b.data, b.len);

    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_null(ldm_ckpt_find(o.ck, "w"));
    assert_int_equal(ldm_ckpt_skipped_count(o.ck), 1);
    assert_non_null(strstr(ldm_ckpt_skipped_at(o.ck, 0).what, part));
    opened_done(&o);
    bytes_free(&b);
}

#define F "FloatStorage", "0", 8

static void views_are_gathered(void **state)
{
    (void)state;
    expect_view((pk_view){F, 0, 1, {8}, {1}}, numbers, 8);
    expect_view((pk_view){F, 2, 2, {2, 3}, {3, 1}}, numbers + 2, 6);
    expect_view((pk_view){F, 1, 2, {3, 2}, {1, 3}}, (float[]){1, 4, 2, 5, 3, 6}, 6);
    expect_view((pk_view){F, 7, 2, {2, 2}, {0, 0}}, (float[]){7, 7, 7, 7}, 4);
    expect_view((pk_view){F, 0, 3, {2, 2, 2}, {1, 2, 4}}, (float[]){0, 4, 2, 6, 1, 5, 3, 7}, 8);
    expect_view((pk_view){F, 3, 0, {0}, {0}}, numbers + 3, 1);
    expect_view((pk_view){F, 0, 3, {1, 3, 1}, {5, 2, 9}}, (float[]){0, 2, 4}, 3);
    expect_view((pk_view){F, 1, 4, {2, 1, 2, 1}, {4, 7, 2, 7}}, (float[]){1, 3, 5, 7}, 4);
    expect_view((pk_view){F, 0, 3, {2, 2, 2}, {1, 4, 2}}, (float[]){0, 2, 4, 6, 1, 3, 5, 7}, 8);
    expect_view((pk_view){F, 0, 3, {2, 2, 2}, {0, 2, 1}}, (float[]){0, 1, 2, 3, 0, 1, 2, 3}, 8);
    expect_view((pk_view){F, 8, 2, {0, 3}, {3, 1}}, numbers, 0);
    expect_view((pk_view){F, 5, 2, {1, 3}, {INT64_MAX, 1}}, numbers + 5, 3);
}

static void views_outside_are_refused(void **state)
{
    (void)state;
    refuse_view((pk_view){F, 1, 1, {8}, {1}}, LDM_ERR_FORMAT, "reaches element 8 of its storage");
    refuse_view((pk_view){F, 0, 2, {2, 2}, {7, 1}}, LDM_ERR_FORMAT, "reaches element 8");
    refuse_view((pk_view){F, 8, 0, {0}, {0}}, LDM_ERR_FORMAT, "reaches element 8");
    refuse_view((pk_view){F, 9, 1, {0}, {1}}, LDM_ERR_FORMAT, "reaches element 9");
    refuse_view((pk_view){F, -1, 1, {1}, {1}}, LDM_ERR_RANGE, "begins at element -1");
    refuse_view((pk_view){F, 0, 1, {-1}, {1}}, LDM_ERR_RANGE, "size of dimension 0 is -1");
    refuse_view((pk_view){F, 4, 1, {2}, {-1}}, LDM_ERR_RANGE, "stride of dimension 0 is -1");
    refuse_view((pk_view){F, 0, 2, {INT64_MAX, 4}, {0, 0}}, LDM_ERR_RANGE, "product of its shape");
    refuse_view((pk_view){F, 0, 2, {1 << 20, 3}, {INT64_MAX, 1}}, LDM_ERR_RANGE, "overflows");
    skip_view((pk_view){F, 0, 2, {3, 3}, {0, 1}}, "repeats elements (9 of a storage of 8)");
    skip_view((pk_view){F, 7, 1, {1LL << 40}, {0}}, "repeats elements (1099511627776 of");
    refuse_view((pk_view){F, INT64_MAX, 1, {2}, {INT64_MAX}}, LDM_ERR_FORMAT, "reaches element");
    refuse_view((pk_view){F, 0, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
                LDM_ERR_UNSUPPORTED, "9 dimensions");
}

static void storages_must_fit(void **state)
{
    (void)state;
    refuse_view((pk_view){"HalfStorage", "0", 8, 0, 1, {8}, {1}}, LDM_ERR_FORMAT,
                "should have 8 elements of torch.HalfStorage, 16 bytes");
    refuse_view((pk_view){"FloatStorage", "0", INT64_MAX, 0, 1, {8}, {1}}, LDM_ERR_RANGE,
                "impossible number of elements");
    refuse_view((pk_view){"FloatStorage", "0", -8, 0, 1, {8}, {1}}, LDM_ERR_RANGE,
                "impossible number of elements");
    refuse_view((pk_view){"FloatStorage", "../0", 8, 0, 1, {8}, {1}}, LDM_ERR_FORMAT,
                "names storage '../0'");
    refuse_view((pk_view){"EvilStorage", "0", 8, 0, 1, {8}, {1}}, LDM_ERR_UNSUPPORTED,
                "a storage of type torch.EvilStorage");
    refuse_view((pk_view){"UntypedStorage", "0", 32, 0, 1, {4}, {1}}, LDM_ERR_UNSUPPORTED,
                "a storage of type torch.UntypedStorage");
}

/* A checkpoint of this pickle, protocol 2 opcodes as given, with the eight numbers as storage. */
static bytes with_pickle(const char *text, size_t len)
{
    bytes pickle = {0}, b = {0};

    put(&pickle, text, len);
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    bytes_free(&pickle);
    return b;
}

static void refuse_pickle(const char *text, size_t len, ldm_status st, const char *part)
{
    bytes b = with_pickle(text, len);

    expect_error(&b, st, part);
    bytes_free(&b);
}

#define REFUSE(literal, st, part) refuse_pickle(literal, sizeof(literal) - 1, st, part)
#define STATE "}X\x0a\x00\x00\x00state_dict}X\x01\x00\x00\x00w"

static void gadgets_execute_nothing(void **state)
{
    static const char *const calls[] = {"posix\nsystem",    "nt\nsystem",       "os\nsystem",
                                        "builtins\neval",   "builtins\nexec",   "__builtin__\neval",
                                        "torch\nload",      "runpy\n_run_code", "subprocess\nPopen",
                                        "builtins\ngetattr"};
    const char *const sentinel = "ldm-gadget-ran";
    size_t i;

    (void)state;
    remove(sentinel);
    for (i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        bytes pickle = {0}, b = {0};
        opened o;

        /* as a value of the state dict: an error that names key and global */
        put(&pickle, STATE, sizeof STATE - 1);
        put_text(&pickle, "c");
        put_text(&pickle, calls[i]);
        put_text(&pickle, "\n");
        pk_str(&pickle, "touch ldm-gadget-ran");
        put(&pickle, "\x85Rss.", 5);
        put_ckpt(&b, &pickle, NULL, 0);
        expect_error(&b, LDM_ERR_UNSAFE, "state dict key 'w' is made by the unknown global");
        expect_error(&b, LDM_ERR_UNSAFE, "nothing was executed");
        bytes_free(&pickle);
        bytes_free(&b);
        /* elsewhere: left out with a warning */
        put_text(&pickle, "}");
        pk_str(&pickle, "evil");
        put_text(&pickle, "c");
        put_text(&pickle, calls[i]);
        put_text(&pickle, "\n");
        pk_str(&pickle, "touch ldm-gadget-ran");
        put(&pickle, "\x85Rs", 3);
        pk_str(&pickle, "state_dict");
        put_text(&pickle, "}s.");
        put_ckpt(&b, &pickle, NULL, 0);
        o = open_bytes(b.data, b.len);
        assert_int_equal(o.st, LDM_OK);
        assert_int_equal(ldm_ckpt_global_count(o.ck), 1);
        assert_false(ldm_ckpt_global_at(o.ck, 0).known);
        assert_int_equal(ldm_ckpt_warning_count(o.ck), 1);
        assert_non_null(strstr(ldm_ckpt_warning(o.ck, 0), "unknown global"));
        assert_null(strstr(ldm_ckpt_warning(o.ck, 0), "outside")); /* it may be within */
        assert_int_equal(ldm_ckpt_meta_count(o.ck), 1);
        assert_string_equal(ldm_ckpt_meta_path(o.ck, 0), "evil");
        assert_memory_equal(ldm_ckpt_meta_value(o.ck, 0), "<object of ", 11);
        opened_done(&o);
        bytes_free(&pickle);
        bytes_free(&b);
    }
    assert_null(fopen(sentinel, "rb"));
}

static void odd_state_dicts_are_refused(void **state)
{
    (void)state;
    REFUSE("].", LDM_ERR_FORMAT, "the file holds a list");
    REFUSE("}.", LDM_ERR_FORMAT, "the keys are none");
    REFUSE("}X\x01\x00\x00\x00"
           "aK\x01s.",
           LDM_ERR_FORMAT, "the keys are a,");
    REFUSE("ca\nB\n)R.", LDM_ERR_UNSUPPORTED, "an object of a.B");
    REFUSE("}X\x0a\x00\x00\x00state_dictK\x01s.", LDM_ERR_FORMAT, "'state_dict' is an integer");
    REFUSE("}(X\x0a\x00\x00\x00state_dict}X\x0a\x00\x00\x00state_dict}u.", LDM_ERR_FORMAT,
           "a second 'state_dict'");
    REFUSE(STATE "ca\nB\nss.", LDM_ERR_UNSAFE, "key 'w' is made by the unknown global 'a.B'");
    REFUSE(STATE "ctorch._utils\n_rebuild_tensor_v2\n)Rss.", LDM_ERR_FORMAT,
           "rebuilt from other arguments");
    REFUSE(STATE "ctorch._utils\n_rebuild_parameter\n(K\x01tRss.", LDM_ERR_FORMAT,
           "rebuilt from other arguments");
    REFUSE(STATE "K\x01Qss.", LDM_ERR_UNSUPPORTED, "a persistent id that is an integer");
    REFUSE("}K\x01K\x02s.", LDM_ERR_FORMAT, "no state dict");
    REFUSE("ctorch._utils\n_rebuild_tensor_v2\n)R.", LDM_ERR_FORMAT, "one tensor without a name");
    /* The embeddings in torch's ParameterDict. */
    REFUSE("}X\x0f\x00\x00\x00string_to_paramctorch.nn.modules.container\nParameterDict\n)Rs.",
           LDM_ERR_UNSUPPORTED, "holds a textual inversion");
    REFUSE("}X\x0f\x00\x00\x00string_to_paramcos\nsystem\n)Rs.", LDM_ERR_UNSAFE, "os.system");
    REFUSE("}(X\x04\x00\x00\x00nameK\x01X\x0f\x00\x00\x00string_to_param}u.", LDM_ERR_UNSUPPORTED,
           "holds a textual inversion");
}

static void duplicate_keys_are_refused(void **state)
{
    const pk_view v = {F, 0, 1, {8}, {1}};
    bytes pickle = {0};

    (void)state;
    put_text(&pickle, "}(");
    pk_str(&pickle, "w");
    pk_tensor(&pickle, &v);
    pk_str(&pickle, "w");
    pk_tensor(&pickle, &v);
    put_text(&pickle, "u.");
    refuse_pickle((const char *)pickle.data, pickle.len, LDM_ERR_FORMAT,
                  "two tensors are named 'w' (the other at byte ");
    bytes_free(&pickle);
    put_text(&pickle, "}");
    pk_str(&pickle, "w\xff");
    pk_tensor(&pickle, &v);
    put_text(&pickle, "s.");
    refuse_pickle((const char *)pickle.data, pickle.len, LDM_ERR_FORMAT, "not UTF-8");
    bytes_free(&pickle);
}

/* The web UI's: {"string_to_token": ..., "string_to_param": {WORD: tensor}}; a word with a dot
 * looks like the path of a module's tensor. */
static void embeddings_of_words_are_named(void **state)
{
    static const char *const words[] = {"*", "my.style"};
    const pk_view v = {F, 0, 1, {8}, {1}};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        bytes pickle = {0};

        put_text(&pickle, "}(");
        pk_str(&pickle, "string_to_token");
        put_text(&pickle, "}");
        pk_str(&pickle, "string_to_param");
        put_text(&pickle, "}");
        pk_str(&pickle, words[i]);
        pk_tensor(&pickle, &v);
        put_text(&pickle, "su.");
        refuse_pickle((const char *)pickle.data, pickle.len, LDM_ERR_UNSUPPORTED,
                      "holds a textual inversion");
        bytes_free(&pickle);
    }
}

static void one_storage_has_one_type(void **state)
{
    const pk_view v = {F, 0, 1, {8}, {1}}, w = {"IntStorage", "0", 8, 0, 1, {8}, {1}};
    bytes pickle = {0};

    (void)state;
    put_text(&pickle, "}(");
    pk_str(&pickle, "v");
    pk_tensor(&pickle, &v);
    pk_str(&pickle, "w");
    pk_tensor(&pickle, &w);
    put_text(&pickle, "u.");
    refuse_pickle((const char *)pickle.data, pickle.len, LDM_ERR_FORMAT,
                  "8 elements of torch.IntStorage here, and 8 of");
    bytes_free(&pickle);
}

/* Lists that hold lists that hold lists, each twice: 2^30 leaves out of 100 bytes; and a list
 * within itself. */
static void shared_values_do_not_explode(void **state)
{
    bytes pickle = {0}, b = {0};
    opened o;
    int i;

    (void)state;
    put_text(&pickle, "}");
    pk_str(&pickle, "state_dict");
    put_text(&pickle, "}s");
    pk_str(&pickle, "laughs");
    put_text(&pickle, "]");
    for (i = 0; i < 30; i++) {
        put_text(&pickle, "q");
        put_le(&pickle, (uint64_t)i, 1);
        put_text(&pickle, "h");
        put_le(&pickle, (uint64_t)i, 1);
        put(&pickle, "\x86", 1);
    }
    put_text(&pickle, "s");
    pk_str(&pickle, "self");
    put(&pickle,
        "]q\x40h\x40"
        "as.",
        8);
    put_ckpt(&b, &pickle, NULL, 0);
    o = open_bytes(b.data, b.len);
    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_int_equal(ldm_ckpt_meta_count(o.ck), 10000);
    assert_non_null(strstr(ldm_ckpt_warning(o.ck, 0), "is left out"));
    opened_done(&o);
    bytes_free(&b);
    bytes_free(&pickle);
}

static void metadata_is_printable(void **state)
{
    static const char *const want[][2] = {
        {"epoch", "12"},
        {"lr", "1e-06"},
        {"one", "1.0"},
        {"text", "a\\x0ab\\xff"},
        {"betas", "(0.9, None, True)"},
        {"nested.0.x", "{}"},
        {"nested.1", "[]"},
        {"class", "<m.C>"},
        {"t", "tensor f32 [2, 4]"},
        {"7", "<3 bytes>"},
    };
    const pk_view v = {F, 0, 2, {2, 4}, {4, 1}};
    bytes pickle = {0}, b = {0};
    opened o;
    size_t i;

    (void)state;
    put_text(&pickle, "}(");
    pk_str(&pickle, "epoch");
    pk_int(&pickle, 12);
    pk_str(&pickle, "state_dict");
    put_text(&pickle, "}");
    pk_str(&pickle, "lr");
    put_text(&pickle, "F1e-6\n");
    pk_str(&pickle, "one");
    put_text(&pickle, "F1\n");
    pk_str(&pickle, "text");
    put(&pickle,
        "U\x04"
        "a\nb\xff",
        6);
    pk_str(&pickle, "betas");
    put(&pickle, "F.9\nN\x88\x87", 7);
    pk_str(&pickle, "nested");
    put_text(&pickle, "(}");
    pk_str(&pickle, "x");
    put_text(&pickle, "}s]l");
    pk_str(&pickle, "class");
    put_text(&pickle, "cm\nC\n");
    pk_str(&pickle, "t");
    pk_tensor(&pickle, &v);
    put(&pickle,
        "K\x07"
        "C\x03"
        "abcu.",
        9);
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    o = open_bytes(b.data, b.len);
    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_int_equal(ldm_ckpt_meta_count(o.ck), sizeof want / sizeof want[0]);
    for (i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_string_equal(ldm_ckpt_meta_path(o.ck, i), want[i][0]);
        assert_string_equal(ldm_ckpt_meta_value(o.ck, i), want[i][1]);
    }
    opened_done(&o);
    bytes_free(&b);
    bytes_free(&pickle);
}

/* A legacy file of one tensor on storage "k"; listed keys, count and bytes as given. */
static bytes legacy(const char *keys, size_t keys_len, uint64_t count, size_t data_len)
{
    const pk_view v = {"FloatStorage", "k", 8, 0, 1, {8}, {1}};
    bytes b = {0};

    put_legacy_head(&b);
    put_text(&b, "}");
    pk_str(&b, "w");
    pk_tensor(&b, &v);
    put_text(&b, "s.");
    put(&b, keys, keys_len);
    put_le(&b, count, 8);
    put(&b, numbers, data_len);
    return b;
}

static void expect_legacy(const char *keys, size_t keys_len, uint64_t count, size_t data_len,
                          const char *part)
{
    bytes b = legacy(keys, keys_len, count, data_len);

    expect_error(&b, LDM_ERR_FORMAT, part);
    bytes_free(&b);
}

static void legacy_files(void **state)
{
    static const char keys[] = "](X\x01\x00\x00\x00ke.";
    bytes b = legacy(keys, sizeof keys - 1, 8, 32);
    opened o = open_bytes(b.data, b.len);
    float got[8];

    (void)state;
    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_string_equal(ldm_ckpt_format(o.ck), "PyTorch legacy");
    assert_int_equal(ldm_ckpt_read_f32(o.ck, ldm_ckpt_at(o.ck, 0), got, NULL), LDM_OK);
    assert_memory_equal(got, numbers, sizeof got);
    opened_done(&o);
    bytes_free(&b);
    expect_legacy(keys, sizeof keys - 1, 7, 32, "has 7 elements, its tensors expect 8");
    expect_legacy(keys, sizeof keys - 1, UINT64_MAX, 32, "its tensors expect 8");
    expect_legacy(keys, sizeof keys - 1, 8, 31, "needs 8 + 32 bytes, 39 are left");
    expect_legacy("].", 2, 8, 32, "which the file does not list");
    expect_legacy("}.", 2, 8, 32, "list of storage keys is a dictionary");
    expect_legacy("](K\x01"
                  "e.",
                  6, 8, 32, "storage key 0 is an integer");
    expect_legacy("](X\x01\x00\x00\x00je.", 10, 8, 32, "lists storage 'j', which no tensor names");
    expect_legacy("](X\x01\x00\x00\x00kX\x01\x00\x00\x00ke.", 16, 8, 32, "listed twice");
}

static void legacy_heads(void **state)
{
    bytes b = {0};

    (void)state;
    put_legacy_head(&b);
    set_le(&b, 15 + 3, 1002, 2);
    expect_error(&b, LDM_ERR_UNSUPPORTED, "format version 1002, expected 1001");
    bytes_free(&b);
    put_legacy_head(&b);
    b.data[b.len - 3] = 0x89;
    expect_error(&b, LDM_ERR_UNSUPPORTED, "little_endian: True");
    bytes_free(&b);
    put_legacy_head(&b);
    b.data[4]++;
    expect_error(&b, LDM_ERR_FORMAT, "expected torch's magic number");
    bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_gathered),
        cmocka_unit_test(views_outside_are_refused),
        cmocka_unit_test(storages_must_fit),
        cmocka_unit_test(gadgets_execute_nothing),
        cmocka_unit_test(odd_state_dicts_are_refused),
        cmocka_unit_test(duplicate_keys_are_refused),
        cmocka_unit_test(embeddings_of_words_are_named),
        cmocka_unit_test(one_storage_has_one_type),
        cmocka_unit_test(shared_values_do_not_explode),
        cmocka_unit_test(metadata_is_printable),
        cmocka_unit_test(legacy_files),
        cmocka_unit_test(legacy_heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
