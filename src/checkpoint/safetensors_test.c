/* SPDX-License-Identifier: MIT */
/* Tests of the safetensors reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checkpoint/ckpt_testing.h"

static bytes file(const char *header, size_t data_len)
{
    static const unsigned char data[64];
    bytes b = {0};

    put_le(&b, strlen(header), 8);
    put_text(&b, header);
    assert_true(data_len <= sizeof data);
    put(&b, data, data_len);
    return b;
}

static void refuse(const char *header, size_t data_len, ldm_status st, const char *part)
{
    bytes b = file(header, data_len);

    expect_error(&b, st, part);
    bytes_free(&b);
}

#define T(name, range) "\"" name "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" range "}"

static void headers_are_read(void **state)
{
    bytes b = file("{\"__metadata__\": {\"k\\n\": \"v\\u00e9\\ud83d\\ude00\", \"e\": \"\"},\n"
                   "\"b\\\"\": {\"data_offsets\": [8, 10], \"shape\": [], \"dtype\": \"F16\"},"
                   " " T("a", "[0,8]") ", \"z\":{\"dtype\":\"I64\",\"shape\":[3,0],"
                                       "\"data_offsets\":[10,10]}}   ",
                   10);
    opened o = open_bytes(b.data, b.len);
    const ldm_tensor_info *t;

    (void)state;
    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_string_equal(ldm_ckpt_format(o.ck), "safetensors");
    assert_int_equal(ldm_ckpt_count(o.ck), 3);
    assert_string_equal(ldm_ckpt_at(o.ck, 0)->name, "b\"");
    t = ldm_ckpt_find(o.ck, "a");
    assert_int_equal(t->ndim, 1);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->storage_offset, b.len - 10);
    assert_int_equal(ldm_ckpt_find(o.ck, "z")->numel, 0);
    assert_null(ldm_ckpt_find(o.ck, "y"));
    assert_int_equal(ldm_ckpt_meta_count(o.ck), 2);
    assert_string_equal(ldm_ckpt_meta_path(o.ck, 0), "__metadata__.k\\x0a");
    assert_string_equal(ldm_ckpt_meta_value(o.ck, 0), "v\xc3\xa9\xf0\x9f\x98\x80");
    assert_int_equal(read_all(o.ck), 0);
    opened_done(&o);
    bytes_free(&b);
}

static void lengths_that_lie(void **state)
{
    bytes b = file("{}", 0);

    (void)state;
    set_le(&b, 0, UINT64_C(1) << 63, 8);
    expect_error(
        &b, LDM_ERR_FORMAT,
        "the first 8 bytes say that a header of 9223372036854775808 bytes follows, but the file "
        "ends after 2");
    set_le(&b, 0, 3, 8);
    expect_error(&b, LDM_ERR_FORMAT, "a header of 3 bytes follows, but the file ends after 2");
    set_le(&b, 0, 1, 8);
    expect_error(&b, LDM_ERR_FORMAT, "expected '\"'");
    bytes_free(&b);
    refuse("{" T("a", "[0,8]") "}", 7, LDM_ERR_FORMAT, "ends at byte 8 of the data, which has 7");
    refuse("{" T("a", "[0,8]") "}", 9, LDM_ERR_FORMAT, "1 bytes behind the last tensor");
    refuse("{}", 1, LDM_ERR_FORMAT, "1 bytes behind the last tensor");
}

static void ranges_that_lie(void **state)
{
    (void)state;
    refuse("{" T("a", "[0,8]") "," T("b", "[4,12]") "}", 12, LDM_ERR_FORMAT, "overlap");
    refuse("{" T("a", "[0,8]") "," T("b", "[0,8]") "}", 8, LDM_ERR_FORMAT, "overlap");
    refuse("{" T("a", "[0,8]") "," T("b", "[9,17]") "}", 17, LDM_ERR_FORMAT, "leave a hole");
    refuse("{" T("a", "[8,0]") "}", 8, LDM_ERR_FORMAT, "data_offsets [begin, end]");
    refuse("{" T("a", "[0,16]") "}", 16, LDM_ERR_FORMAT, "2 elements of f32 in 16 bytes");
    refuse("{" T("a", "[0,4]") "}", 4, LDM_ERR_FORMAT, "reaches element 1");
    refuse("{" T("a", "[0,18446744073709551615]") "}", 8, LDM_ERR_FORMAT, "ends at byte");
    refuse("{" T("a", "[0,18446744073709551616]") "}", 8, LDM_ERR_RANGE, "beyond 64 bits");
    refuse("{" T("a", "[0]") "}", 8, LDM_ERR_FORMAT, "data_offsets [begin, end]");
    refuse("{" T("a", "[0,8,9]") "}", 8, LDM_ERR_UNSUPPORTED, "more than 2 integers");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
           "\"data_offsets\":[0,8]}}",
           8, LDM_ERR_RANGE, "the product of its shape overflows");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
           LDM_ERR_UNSUPPORTED, "more than 8 integers");
}

static void names_and_fields(void **state)
{
    (void)state;
    refuse("{" T("a", "[0,8]") "," T("a", "[8,16]") "}", 16, LDM_ERR_FORMAT,
           "two tensors are named 'a' (the other at byte ");
    refuse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, LDM_ERR_FORMAT, "a second __metadata__");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, LDM_ERR_FORMAT, "expected '\"'");
    refuse("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, LDM_ERR_FORMAT,
           "once and nothing else");
    refuse("{\"a\":{\"type\":\"F32\"}}", 0, LDM_ERR_FORMAT, "once and nothing else");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, LDM_ERR_FORMAT, "expected dtype, shape");
    refuse("{\"__metadata__\":nul}", 0, LDM_ERR_FORMAT, "expected '{'");
    refuse("{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           LDM_ERR_FORMAT, "not UTF-8");
}

/* Elements that ldm does not compute with: listed with a note. null stands for absent metadata. */
static void rare_types_are_listed(void **state)
{
    static const char header[] =
        "{\"__metadata__\": null,"
        "\"a\":{\"dtype\":\"C64\",\"shape\":[2],\"data_offsets\":[0,16]},"
        "\"b\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[16,18]},"
        "\"c\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[18,19]},"
        "\"d\":{\"dtype\":\"U16\",\"shape\":[1],\"data_offsets\":[19,21]}}";
    bytes b = {0};
    opened o;

    (void)state;
    put_le(&b, sizeof header - 1, 8);
    put_text(&b, header);
    put(&b, "0123456789abcdef012345678", 21);
    o = open_bytes(b.data, b.len);
    if (o.st)
        fail_msg("%s", o.err.msg);
    assert_int_equal(ldm_ckpt_count(o.ck), 4);
    assert_int_equal(ldm_ckpt_find(o.ck, "a")->dtype, LDM_DTYPE_C64);
    assert_int_equal(ldm_ckpt_find(o.ck, "b")->dtype, LDM_DTYPE_OTHER);
    assert_int_equal(ldm_ckpt_find(o.ck, "b")->numel, 4);
    assert_int_equal(ldm_ckpt_warning_count(o.ck), 3);
    assert_int_equal(read_all(o.ck), 2);
    opened_done(&o);
    bytes_free(&b);
}

/* Two matrices of zeros at the end are said; one, or short tensors, are common. */
static void zeros_at_the_end_are_said(void **state)
{
#define M(name, range) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[8,8],\"data_offsets\":" range "}"
    static const char *const headers[] = {
        "{" M("a", "[0,64]") "," M("b", "[64,128]") "," M("c", "[128,192]") "}",
        "{" M("a", "[0,64]") "," M("b", "[64,128]") "}",
    };
#undef M
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        bytes b = {0};
        char data[192] = {[3] = 1};
        opened o;

        put_le(&b, strlen(headers[i]), 8);
        put_text(&b, headers[i]);
        put(&b, data, i ? 128 : 192);
        o = open_bytes(b.data, b.len);
        assert_int_equal(o.st, LDM_OK);
        assert_int_equal(ldm_ckpt_warning_count(o.ck), i ? 0 : 1);
        if (!i)
            assert_non_null(
                strstr(ldm_ckpt_warning(o.ck, 0), "zeros, 2 whole tensors from 'b' on"));
        opened_done(&o);
        bytes_free(&b);
    }
}

static void json_that_is_none(void **state)
{
    (void)state;
    refuse("{\"a", 0, LDM_ERR_FORMAT, "without its closing quote");
    refuse("{\"a\n\":1}", 0, LDM_ERR_FORMAT, "without its closing quote");
    refuse("{\"a\\q\":1}", 0, LDM_ERR_FORMAT, "malformed escape");
    refuse("{\"a\\ud800\":1}", 0, LDM_ERR_FORMAT, "malformed escape");
    refuse("{\"a\\u12\":1}", 0, LDM_ERR_FORMAT, "malformed escape");
    refuse("{\"a\"}", 0, LDM_ERR_FORMAT, "expected ':'");
    refuse("{\"a\":[[[[[", 0, LDM_ERR_FORMAT, "expected '{'");
    refuse("{}{}", 0, LDM_ERR_FORMAT, "behind the JSON header");
    refuse("{" T("a", "[0,08]") "}", 8, LDM_ERR_FORMAT, "leading zeros");
    refuse("{" T("a", "[0,-8]") "}", 8, LDM_ERR_FORMAT, "an integer of 0 or more");
    refuse("{" T("a", "[0,8.0]") "}", 8, LDM_ERR_FORMAT, "expected ']'");
    refuse("{" T("a", "[0,8]") ",}", 8, LDM_ERR_FORMAT, "expected '\"'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read),          cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(ranges_that_lie),           cmocka_unit_test(names_and_fields),
        cmocka_unit_test(rare_types_are_listed),     cmocka_unit_test(json_that_is_none),
        cmocka_unit_test(zeros_at_the_end_are_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
