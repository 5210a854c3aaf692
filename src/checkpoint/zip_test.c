/* SPDX-License-Identifier: MIT */
/* Tests of the zip container: what torch writes, and directories that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checkpoint/ckpt_testing.h"

static const float weights[4] = {1, 2, 3, 4};

/* {"w": tensor of four floats} */
static bytes good_pickle(void)
{
    const pk_view w = {"FloatStorage", "0", 4, 0, 1, {4}, {1}};
    bytes b = {0};

    put(&b, "\x80\x02}", 3);
    pk_str(&b, "w");
    pk_tensor(&b, &w);
    put_text(&b, "s.");
    return b;
}

/* The archive with one thing changed: `change` gets the two entries and the end record. */
static bytes changed(void (*change)(zip_item *items, size_t *count, zip_end *end))
{
    bytes pickle = good_pickle(), b = {0};
    zip_item items[8] = {
        {.name = "x/data.pkl", .data = pickle.data, .len = pickle.len},
        {.name = "x/data/0", .data = weights, .len = sizeof weights},
    };
    zip_end end = {0};
    size_t count = 2;

    if (change)
        change(items, &count, &end);
    put_zip(&b, items, count, &end);
    bytes_free(&pickle);
    return b;
}

static void expect(void (*change)(zip_item *, size_t *, zip_end *), ldm_status st, const char *part)
{
    bytes b = changed(change);

    if (st) {
        expect_error(&b, st, part);
    } else {
        opened o = open_bytes(b.data, b.len);
        float v[4];

        if (o.st)
            fail_msg("%s", o.err.msg);
        assert_int_equal(ldm_ckpt_count(o.ck), 1);
        assert_int_equal(ldm_ckpt_read_f32(o.ck, ldm_ckpt_at(o.ck, 0), v, NULL), LDM_OK);
        assert_memory_equal(v, weights, sizeof v);
        opened_done(&o);
    }
    bytes_free(&b);
}

#define CHANGE(name) static void name(zip_item *item, size_t *count, zip_end *end)
#define UNUSED (void)item, (void)count, (void)end

/* clang-format off */
CHANGE(zip64) { UNUSED; item[0].zip64 = item[1].zip64 = end->zip64 = 1; }
CHANGE(descriptors) { UNUSED; item[0].flags = item[1].flags = 8; }
CHANGE(no_crc) { UNUSED; item[0].no_crc = 1; }
CHANGE(wrong_crc) { UNUSED; item[0].wrong_crc = 1; }
CHANGE(dotdot) { UNUSED; item[2].name = "../../etc/passwd"; item[2].data = "x"; item[2].len = 1; ++*count; }
CHANGE(two_pickles) { UNUSED; item[2] = item[0]; item[2].name = "y/data.pkl"; ++*count; }
CHANGE(same_name) { UNUSED; item[2] = item[1]; ++*count; }
CHANGE(encrypted) { UNUSED; item[1].flags = 1; }
CHANGE(method) { UNUSED; item[1].method = 14; }
CHANGE(claims_more) { UNUSED; item[1].claimed = item[1].claimed_packed = 4096; }
CHANGE(lies64) { UNUSED; item[1].zip64 = end->zip64 = 1; item[1].claimed = item[1].claimed_packed = UINT64_MAX - 7; }
CHANGE(unequal) { UNUSED; item[1].claimed = 1 << 20; }
CHANGE(other_name) { UNUSED; item[1].local_name = "x/data/1"; }
CHANGE(count_lies) { UNUSED; end->count = 3; }
CHANGE(count64_lies) { UNUSED; end->zip64 = 1; end->count = UINT64_C(1) << 40; }
CHANGE(directory_outside) { UNUSED; end->zip64 = 1; end->dir_offset = UINT64_MAX - 10; }
CHANGE(directory_long) { UNUSED; end->dir_bytes = 100000; }
CHANGE(no_pickle) { UNUSED; item[0].name = "x/other.pkl"; }
CHANGE(script) { UNUSED; item[2] = item[0]; item[2].name = "x/constants.pkl"; ++*count; }
CHANGE(no_storage) { UNUSED; item[1].name = "x/data/1"; }
CHANGE(other_folder) { UNUSED; item[1].name = "y/data/0"; }
CHANGE(short_storage) { UNUSED; item[1].len = 12; }
CHANGE(long_storage) { UNUSED; item[1].data = "aaaaaaaaaaaaaaaaaaaaaaaaa"; item[1].len = 20; }
CHANGE(big_endian) { UNUSED; item[2].name = "x/byteorder"; item[2].data = "big"; item[2].len = 3; ++*count; }
CHANGE(little_endian) { UNUSED; item[2].name = "x/byteorder"; item[2].data = "little"; item[2].len = 6; ++*count; }
CHANGE(empty) { UNUSED; *count = 0; }
CHANGE(bomb) { UNUSED; item[1].method = 8; item[1].claimed = UINT64_C(1) << 31; }
CHANGE(bad_deflate) { UNUSED; item[0].method = 8; }
/* clang-format on */

static void good_archives_open(void **state)
{
    (void)state;
    expect(NULL, LDM_OK, NULL);
    expect(zip64, LDM_OK, NULL);
    expect(descriptors, LDM_OK, NULL);
    expect(no_crc, LDM_OK, NULL);
    expect(little_endian, LDM_OK, NULL);
}

static void lying_archives_are_refused(void **state)
{
    (void)state;
    expect(wrong_crc, LDM_ERR_FORMAT, "its CRC-32 is");
    expect(two_pickles, LDM_ERR_FORMAT, "a second main pickle 'y/data.pkl'");
    expect(dotdot, LDM_ERR_UNSAFE, "'../../etc/passwd' leads out of its archive");
    expect(same_name, LDM_ERR_FORMAT, "a second zip entry named 'x/data/0'");
    expect(encrypted, LDM_ERR_UNSUPPORTED, "is encrypted");
    expect(method, LDM_ERR_UNSUPPORTED, "packed by method 14");
    expect(claims_more, LDM_ERR_FORMAT, "claims 4096 bytes");
    expect(lies64, LDM_ERR_FORMAT, "claims 18446744073709551608 bytes");
    expect(unequal, LDM_ERR_FORMAT, "claims 1048576 bytes out of 16");
    expect(other_name, LDM_ERR_FORMAT, "another name than its directory record");
    expect(count_lies, LDM_ERR_FORMAT, "claims 3 entries");
    expect(count64_lies, LDM_ERR_FORMAT, "claims 1099511627776 entries");
    expect(directory_outside, LDM_ERR_FORMAT, "the zip directory claims");
    expect(directory_long, LDM_ERR_FORMAT, "the zip directory claims");
    expect(bomb, LDM_ERR_FORMAT, "claims 2147483648 bytes out of 16");
    expect(bad_deflate, LDM_ERR_FORMAT, "damaged deflated data");
    expect(empty, LDM_ERR_FORMAT, "without data.pkl");
}

/* As a transfer pads them; torch reads them, too. */
static void zeros_behind_the_end_are_no_fault(void **state)
{
    size_t k;

    (void)state;
    for (k = 0; k < 2; k++) {
        bytes b = changed(k ? zip64 : NULL);
        char pad[1000] = {0};
        opened o;

        put(&b, pad, sizeof pad);
        o = open_bytes(b.data, b.len);
        if (o.st)
            fail_msg("%s", o.err.msg);
        assert_int_equal(ldm_ckpt_count(o.ck), 1);
        opened_done(&o);
        bytes_free(&b);
    }
}

static void overlapping_entries_are_refused(void **state)
{
    bytes b = {0}, inner = {0};
    const zip_item hidden = {.name = "x/data/0", .data = weights, .len = sizeof weights};
    zip_item items[2];

    (void)state;
    /* The data of the first entry is itself an entry, which the second record points to. */
    put_zip(&inner, &hidden, 1, NULL);
    memset(items, 0, sizeof items);
    items[0].name = "x/data/1";
    items[0].data = inner.data;
    items[0].len = inner.len;
    items[1] = hidden;
    items[1].local_offset = 30 + 8;
    put_zip(&b, items, 2, NULL);
    expect_error(&b, LDM_ERR_FORMAT, "zip entries 'x/data/1' and 'x/data/0' overlap");
    bytes_free(&b);
    bytes_free(&inner);
}

static void torch_archives_need_their_parts(void **state)
{
    (void)state;
    expect(no_pickle, LDM_ERR_FORMAT, "without data.pkl");
    expect(script, LDM_ERR_UNSUPPORTED, "a TorchScript archive");
    expect(no_storage, LDM_ERR_FORMAT, "names storage '0', but there is no entry 'x/data/0'");
    expect(other_folder, LDM_ERR_FORMAT, "there is no entry 'x/data/0'");
    expect(short_storage, LDM_ERR_FORMAT, "should have 4 elements of torch.FloatStorage, 16 bytes");
    expect(long_storage, LDM_ERR_FORMAT, "'x/data/0' has 20");
    expect(big_endian, LDM_ERR_UNSUPPORTED, "says other than 'little'");
}

static void end_records_must_agree(void **state)
{
    bytes b = changed(zip64);

    (void)state;
    set_le(&b, b.len - 22 + 8, 5, 2); /* the plain record's counts */
    set_le(&b, b.len - 22 + 10, 5, 2);
    expect_error(&b, LDM_ERR_FORMAT, "contradicts the plain one");
    bytes_free(&b);
    b = changed(zip64);
    set_le(&b, b.len - 22 - 20 + 8, UINT64_MAX - 3, 8); /* where the locator points */
    expect_error(&b, LDM_ERR_FORMAT, "no zip64 end record is");
    bytes_free(&b);
    b = changed(NULL);
    put_text(&b, "trailing");
    expect_error(&b, LDM_ERR_FORMAT, "8 bytes follow the end of this zip file");
    set_le(&b, b.len - 8 - 2, 8, 2); /* a comment */
    {
        opened o = open_bytes(b.data, b.len);

        assert_int_equal(o.st, LDM_OK);
        opened_done(&o);
    }
    bytes_free(&b);
}

static void other_files_are_named(void **state)
{
    static const struct {
        const char *text, *what;
    } files[] = {
        {"", "an empty file"},
        {"<!DOCTYPE html><html>", "a web page"},
        {"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"},
        {"GGUF\3\0\0\0", "a GGUF file"},
        {"\x08\x07\x12\x07pytorch\x1a\x05"
         "2.1.0:",
         "an ONNX file"},
        {"\x08\x0a:\x0eonnx of others", "give the checkpoint that it was made of"},
        {"{\n  \"metadata\": {\n    \"total_size\": 8\n  },\n  \"weight_map\": {\"a\": \"b\"}\n}\n",
         "give the folder of the diffusers model that it belongs to"},
        {"{\"x\": {\"weight_map\": {}}}", "the index of weights that lie in several files"},
        {"{\"a\": 1}", "a text, and no checkpoint"},
        {"hello, world", "a text, and no checkpoint"},
        {"\x80\x02}.", "expected torch's magic number"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof files / sizeof files[0]; i++) {
        bytes b = {0};

        put_text(&b, files[i].text);
        expect_error(&b, LDM_ERR_FORMAT, files[i].what);
        bytes_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_archives_open),
        cmocka_unit_test(lying_archives_are_refused),
        cmocka_unit_test(zeros_behind_the_end_are_no_fault),
        cmocka_unit_test(overlapping_entries_are_refused),
        cmocka_unit_test(torch_archives_need_their_parts),
        cmocka_unit_test(end_records_must_agree),
        cmocka_unit_test(other_files_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
