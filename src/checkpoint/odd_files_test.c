/* SPDX-License-Identifier: MIT */
/* Tests of files from practice: state dicts with values beside the tensors, element types that are
 * rare, tensors that lie elsewhere than in "state_dict", histories of a training, and files that
 * are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "checkpoint/ckpt_testing.h"

static const float numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};

#define VIEW ((pk_view){"FloatStorage", "0", 8, 0, 1, {8}, {1}})

/* {"state_dict": {"a.w": tensor, KEY: what `value` leaves on the stack}} */
static bytes with_value(const char *value, size_t len)
{
    bytes pickle = {0}, b = {0};

    put_text(&pickle, "}");
    pk_str(&pickle, "state_dict");
    pk_ordered_dict(&pickle);
    pk_str(&pickle, "a.w");
    pk_tensor(&pickle, &VIEW);
    put_text(&pickle, "s");
    pk_str(&pickle, "odd");
    put(&pickle, value, len);
    put_text(&pickle, "ss.");
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    bytes_free(&pickle);
    return b;
}

/* Opens; the tensor "a.w" is there and a warning names the odd key and says `part`. */
static void expect_skipped(bytes b, const char *part)
{
    opened o = open_bytes(b.data, b.len);

    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_non_null(ldm_ckpt_find(o.ck, "a.w"));
    assert_null(ldm_ckpt_find(o.ck, "odd"));
    assert_int_equal(ldm_ckpt_skipped_count(o.ck), 1);
    assert_string_equal(ldm_ckpt_skipped_at(o.ck, 0).name, "odd");
    assert_non_null(strstr(ldm_ckpt_skipped_at(o.ck, 0).what, part));
    assert_string_equal(ldm_ckpt_skipped_at(o.ck, 1).name, "");
    assert_true(ldm_ckpt_warning_count(o.ck) >= 1);
    assert_non_null(strstr(ldm_ckpt_warning(o.ck, 0), "'odd' is "));
    assert_non_null(strstr(ldm_ckpt_warning(o.ck, 0), part));
    opened_done(&o);
    bytes_free(&b);
}

#define SKIPPED(value, part) expect_skipped(with_value(value, sizeof(value) - 1), part)

static void objects_beside_the_tensors_are_skipped(void **state)
{
    (void)state;
    SKIPPED("cnumpy._core.multiarray\nscalar\n)R", "numpy._core.multiarray.scalar");
    SKIPPED("cnumpy.core.multiarray\n_reconstruct\n)R", "nothing was executed");
    SKIPPED("c_io\nBytesIO\n)R", "_io.BytesIO");
    SKIPPED("cpathlib\nPosixPath\n)R", "pathlib.PosixPath");
    SKIPPED("cdatetime\ndatetime\n)R", "datetime.datetime");
    SKIPPED("ctorch._utils\n_rebuild_sparse_tensor\n)R", "dense tensors only");
    SKIPPED("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n"
            "ca\nTensorOfItsOwn\n)}tR",
            "dense tensors only");
    SKIPPED("K\x05", "an integer, no tensor");
}

/* What ldm has never heard of is refused, as before: its name might be anything. */
static void unknown_calls_are_refused(void **state)
{
    static const char *const calls[] = {"posix\nsystem", "builtins\neval", "mymodule\nState"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char value[64];
        bytes b;

        snprintf(value, sizeof value, "c%s\n)R", calls[i]);
        b = with_value(value, strlen(value));
        expect_error(&b, LDM_ERR_UNSAFE, "nothing was executed");
        bytes_free(&b);
    }
}

/* ---- element types --------------------------------------------------------------------------- */

/* _rebuild_tensor_v3(UntypedStorage of `len` bytes, 0, (count,), (1,), False, {}, torch.TYPE) */
static void pk_tensor_v3(bytes *b, const char *type, int64_t count, int64_t len)
{
    pk_global(b, "torch._utils", "_rebuild_tensor_v3");
    put_text(b, "((");
    pk_str(b, "storage");
    pk_global(b, "torch.storage", "UntypedStorage");
    pk_str(b, "0");
    pk_str(b, "cpu");
    pk_int(b, len);
    put_text(b, "tQ");
    pk_int(b, 0);
    pk_int(b, count);
    put_text(b, "\x85");
    pk_int(b, 1);
    put_text(b, "\x85\x89}");
    pk_global(b, "torch", type);
    put_text(b, "tR");
}

static void expect_v3(const char *type, const void *data, size_t len, const float *want,
                      size_t count)
{
    bytes pickle = {0}, b = {0};
    float got[8] = {0};
    ldm_error err;
    opened o;

    put_text(&pickle, "}");
    pk_str(&pickle, "w.w");
    pk_tensor_v3(&pickle, type, (int64_t)count, (int64_t)len);
    put_text(&pickle, "s.");
    put_ckpt(&b, &pickle, data, len);
    o = open_bytes(b.data, b.len);
    if (o.st)
        fail_msg("%s: %s", type, o.err.msg);
    if (want) {
        assert_int_equal(ldm_ckpt_read_f32(o.ck, ldm_ckpt_at(o.ck, 0), got, NULL), LDM_OK);
        assert_memory_equal(got, want, count * sizeof *got);
        assert_int_equal(ldm_ckpt_warning_count(o.ck), type[0] == 'u'); /* uint16: a note */
    } else {
        assert_int_equal(ldm_ckpt_read_f32(o.ck, ldm_ckpt_at(o.ck, 0), got, &err),
                         LDM_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "'w.w' holds numbers of"));
        assert_non_null(strstr(ldm_ckpt_warning(o.ck, 0), "'w.w' holds numbers of"));
    }
    opened_done(&o);
    bytes_free(&pickle);
    bytes_free(&b);
}

static void newer_types_are_read(void **state)
{
    const uint16_t words[2] = {1, 65535};
    const uint32_t longs[2] = {7, 4000000000u};
    /* 1, -1.5, the least subnormal, the largest: "FP8 Formats for Deep Learning", table 1 */
    const uint8_t e4m3[4] = {0x38, 0xbc, 0x01, 0x7e}, e5m2[4] = {0x3c, 0xbe, 0x01, 0x7b};

    (void)state;
    expect_v3("uint16", words, sizeof words, (float[]){1, 65535}, 2);
    expect_v3("uint32", longs, sizeof longs, (float[]){7, 4e9f}, 2);
    expect_v3("float8_e4m3fn", e4m3, sizeof e4m3, (float[]){1, -1.5f, 0x1p-9f, 448}, 4);
    expect_v3("float8_e5m2", e5m2, sizeof e5m2, (float[]){1, -1.5f, 0x1p-16f, 57344}, 4);
    expect_v3("float8_e8m0fnu", e5m2, sizeof e5m2, NULL, 4);
}

/* A tensor whose type ldm does not compute with is listed, noted, and refused when it is read. */
static void unreadable_types_are_listed(void **state)
{
    static const char *const types[] = {"ComplexFloatStorage", "QInt8Storage", "QUInt8Storage"};
    static const int elements[] = {4, 32, 32};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof types / sizeof types[0]; i++) {
        pk_view v = {types[i], "0", elements[i], 0, 1, {elements[i]}, {1}};
        bytes pickle = {0}, b = {0};
        float got[32];
        opened o;

        put_text(&pickle, "}");
        pk_str(&pickle, "odd.w");
        pk_tensor(&pickle, &v);
        put_text(&pickle, "s.");
        put_ckpt(&b, &pickle, numbers, sizeof numbers);
        o = open_bytes(b.data, b.len);
        if (o.st)
            fail_msg("%s", o.err.msg);
        assert_int_equal(ldm_ckpt_at(o.ck, 0)->numel, elements[i]);
        assert_false(ldm_dtype_readable(ldm_ckpt_at(o.ck, 0)->dtype));
        assert_non_null(strstr(ldm_ckpt_warning(o.ck, 0), "'odd.w' holds numbers of"));
        assert_int_equal(ldm_ckpt_read_f32(o.ck, ldm_ckpt_at(o.ck, 0), got, NULL),
                         LDM_ERR_UNSUPPORTED);
        opened_done(&o);
        bytes_free(&pickle);
        bytes_free(&b);
    }
}

/* ---- how a tensor is rebuilt -------------------------------------------------------------------
 */

static void expect_values(bytes pickle, const float *want)
{
    bytes b = {0};
    float got[8];
    opened o;

    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    o = open_bytes(b.data, b.len);
    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_int_equal(ldm_ckpt_read_f32(o.ck, ldm_ckpt_at(o.ck, 0), got, NULL), LDM_OK);
    assert_memory_equal(got, want, sizeof got);
    opened_done(&o);
    bytes_free(&b);
    bytes_free(&pickle);
}

/* The persistent id and the arguments up to the hooks, without the mark before and the tuple after.
 */
static void pk_arguments(bytes *b)
{
    pk_storage(b, "FloatStorage", "0", 8);
    put_text(b, "K");
    put(b, "\0", 1);
    put_text(b, "K\x08\x85K\x01\x85\x89}");
}

static void the_negation_bit_counts(void **state)
{
    const float minus[8] = {-0.0f, -1, -2, -3, -4, -5, -6, -7};
    bytes p = {0};

    (void)state;
    put_text(&p, "}");
    pk_str(&p, "w.w");
    pk_global(&p, "torch._utils", "_rebuild_tensor_v2");
    put_text(&p, "(");
    pk_arguments(&p);
    put_text(&p, "}");
    pk_str(&p, "neg");
    put_text(&p, "\x88stRs.");
    expect_values(p, minus);
}

static void attributes_of_a_tensor_do_not_matter(void **state)
{
    bytes p = {0};

    (void)state;
    put_text(&p, "}");
    pk_str(&p, "w.w");
    pk_global(&p, "torch._tensor", "_rebuild_from_type_v2");
    put_text(&p, "(");
    pk_global(&p, "torch._utils", "_rebuild_tensor_v2");
    pk_global(&p, "torch", "Tensor");
    put_text(&p, "(");
    pk_arguments(&p);
    put_text(&p, "t}");
    pk_str(&p, "tag");
    put_text(&p, "K\x01stRs.");
    expect_values(p, numbers);
}

/* ---- where the tensors are ----------------------------------------------------------------------
 */

/* {keys[0]: {keys[1]: ... {"a.w": tensor}}}, ended by NULL; then `more` at the root */
static bytes nested(const char *const *keys, const char *more)
{
    bytes pickle = {0}, b = {0};
    size_t n = 0, i;

    put_text(&pickle, "}");
    for (; keys[n]; n++) {
        pk_str(&pickle, keys[n]);
        put_text(&pickle, "}");
    }
    pk_str(&pickle, "a.w");
    pk_tensor(&pickle, &VIEW);
    for (i = 0; i <= n; i++)
        put_text(&pickle, "s");
    if (more) {
        pk_str(&pickle, more);
        put_text(&pickle, "}");
        pk_str(&pickle, "b.w");
        pk_tensor(&pickle, &VIEW);
        put_text(&pickle, "ss");
    }
    put_text(&pickle, ".");
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    bytes_free(&pickle);
    return b;
}

static void expect_path(const char *const *keys, const char *path)
{
    bytes b = nested(keys, NULL);
    opened o = open_bytes(b.data, b.len);

    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_string_equal(ldm_ckpt_state_dict_path(o.ck), path);
    assert_non_null(ldm_ckpt_find(o.ck, "a.w"));
    assert_int_equal(ldm_ckpt_warning_count(o.ck), strcmp(path, "state_dict") != 0);
    opened_done(&o);
    bytes_free(&b);
}

static void tensors_are_found_where_they_are(void **state)
{
    bytes b;

    (void)state;
    expect_path((const char *const[]){"state_dict", NULL}, "state_dict");
    expect_path((const char *const[]){"model", NULL}, "model");
    expect_path((const char *const[]){"state_dict", "model", NULL}, "state_dict.model");
    expect_path((const char *const[]){"checkpoint", "model", NULL}, "checkpoint.model");
    b = nested((const char *const[]){"model", NULL}, "ema");
    expect_error(&b, LDM_ERR_FORMAT,
                 "in 2 dictionaries: 'model' (1 tensor), 'ema' (1 tensor); save");
    bytes_free(&b);
}

/* A message names whole dictionaries only, as many as it has room for. */
static void many_dictionaries_are_counted(void **state)
{
    bytes pickle = {0}, b = {0};
    char name[64];
    opened o;
    int i;

    (void)state;
    put_text(&pickle, "}");
    for (i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "a_dictionary_with_a_long_name_%02d", i);
        pk_str(&pickle, name);
        put_text(&pickle, "}");
        pk_str(&pickle, "a.w");
        pk_tensor(&pickle, &VIEW);
        put_text(&pickle, "ss");
    }
    put_text(&pickle, ".");
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    o = open_bytes(b.data, b.len);
    assert_int_equal(o.st, LDM_ERR_FORMAT);
    assert_non_null(
        strstr(o.err.msg, "in 20 dictionaries: 'a_dictionary_with_a_long_name_00' (1 "));
    assert_non_null(strstr(o.err.msg, "(1 tensor), ...; save the one that is meant"));
    opened_done(&o);
    bytes_free(&b);
    bytes_free(&pickle);
}

/* ---- histories
 * ------------------------------------------------------------------------------------ */

enum { LOSSES = 3000000 };

/* {"a.w": tensor} and `count` floats below the key "losses", `batch` of them with each APPENDS. */
static bytes with_history(size_t count, size_t batch)
{
    static const unsigned char loss[9] = {'G', 0x3f, 0xe0, 0, 0, 0, 0, 0, 0}; /* 0.5 */
    bytes pickle = {0}, b = {0};
    size_t i;

    put_text(&pickle, "}");
    pk_str(&pickle, "a.w");
    pk_tensor(&pickle, &VIEW);
    put_text(&pickle, "s");
    pk_str(&pickle, "losses");
    put_text(&pickle, "]");
    for (i = 0; i < count; i++) {
        if (i % batch == 0)
            put_text(&pickle, "(");
        put(&pickle, loss, sizeof loss);
        if ((i + 1) % batch == 0 || i + 1 == count)
            put_text(&pickle, "e");
    }
    put_text(&pickle, "s.");
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    bytes_free(&pickle);
    return b;
}

static void a_history_is_counted(void **state)
{
    static const size_t batches[] = {1000, LOSSES, 12345};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        bytes b = with_history(LOSSES, batches[i]);
        opened o = open_bytes(b.data, b.len);

        if (o.st)
            fail_msg("batches of %zu: %s", batches[i], o.err.msg);
        assert_non_null(ldm_ckpt_find(o.ck, "a.w"));
        assert_int_equal(ldm_ckpt_meta_count(o.ck), 1);
        assert_string_equal(ldm_ckpt_meta_path(o.ck, 0), "losses");
        assert_memory_equal(ldm_ckpt_meta_value(o.ck, 0), "[0.5, 0.5, ", 11);
        opened_done(&o);
        bytes_free(&b);
    }
}

/* Numbers that a later opcode needs one by one stay: a long tuple whose last items are a pair. */
static void numbers_that_are_needed_stay(void **state)
{
    bytes pickle = {0}, b = {0};
    opened o;
    size_t i;

    (void)state;
    put_text(&pickle, "}");
    pk_str(&pickle, "a.w");
    pk_tensor(&pickle, &VIEW);
    put_text(&pickle, "s");
    pk_str(&pickle, "pairs");
    put_text(&pickle, "(");
    for (i = 0; i < 20000; i++)
        put_text(&pickle, "K\x01");
    put_text(&pickle, "K\x02K\x03\x86tK\x01\x86s."); /* ((1, 1, ..., (2, 3)), 1) */
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    o = open_bytes(b.data, b.len);
    if (o.st)
        fail_msg("%s", o.err.msg);
    opened_done(&o);
    bytes_free(&pickle);
    bytes_free(&b);
}

/* Where the limit is reached the message names the key that breaks it. */
static void the_key_that_breaks_the_limit_is_named(void **state)
{
    bytes pickle = {0}, b = {0};
    size_t i;

    (void)state;
    put_text(&pickle, "}(");
    pk_str(&pickle, "a.w");
    pk_tensor(&pickle, &VIEW);
    pk_str(&pickle, "epoch");
    pk_int(&pickle, 3);
    pk_str(&pickle, "history");
    put_text(&pickle, "](");
    for (i = 0; i < 2000000; i++)
        put_text(&pickle, "]");
    put_text(&pickle, "eu.");
    put_ckpt(&b, &pickle, numbers, sizeof numbers);
    expect_error(&b, LDM_ERR_LIMIT, "below the key 'history'");
    bytes_free(&pickle);
    bytes_free(&b);
}

/* ---- files that are no checkpoints
 * ----------------------------------------------------------------- */

static void strangers_are_named(void **state)
{
    const zip_item release[] = {{.name = "ffhq/config.yaml", .data = "a", .len = 1},
                                {.name = "ffhq/model.ckpt", .data = "b", .len = 1}};
    const zip_item broken[] = {{.name = "x/version", .data = "3\n", .len = 2},
                               {.name = "x/byteorder", .data = "little", .len = 6}};
    bytes b = {0};

    (void)state;
    put_zip(&b, release, 2, NULL);
    expect_error(&b, LDM_ERR_FORMAT, "'ffhq/model.ckpt' inside: unpack it");
    bytes_free(&b);
    put_zip(&b, broken, 2, NULL);
    expect_error(&b, LDM_ERR_FORMAT, "the weights never got into it");
    bytes_free(&b);
    put_text(&b, "\x80\x02}q");
    put(&b, "\0", 1);
    put_text(&b, "X\x01");
    put(&b, "\0\0\0", 3);
    put_text(&b, "aK\x01s.");
    expect_error(&b, LDM_ERR_FORMAT, "data.pkl out of an unpacked checkpoint");
    bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_beside_the_tensors_are_skipped),
        cmocka_unit_test(unknown_calls_are_refused),
        cmocka_unit_test(newer_types_are_read),
        cmocka_unit_test(unreadable_types_are_listed),
        cmocka_unit_test(the_negation_bit_counts),
        cmocka_unit_test(attributes_of_a_tensor_do_not_matter),
        cmocka_unit_test(tensors_are_found_where_they_are),
        cmocka_unit_test(many_dictionaries_are_counted),
        cmocka_unit_test(a_history_is_counted),
        cmocka_unit_test(numbers_that_are_needed_stay),
        cmocka_unit_test(the_key_that_breaks_the_limit_is_named),
        cmocka_unit_test(strangers_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
