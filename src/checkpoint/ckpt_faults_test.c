/* SPDX-License-Identifier: MIT */
/* Every container of tests/data/checkpoint: its values, then cut off, with flipped bits, and with
 * each allocation failing in turn; and the small hostile files of tests/crashers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "checkpoint/ckpt_testing.h"

#define DIR "tests/data/checkpoint/"

static const char *const files[] = {
    "zip_f32.ckpt",    "zip_f16.ckpt",      "bare_bf16.ckpt",  "bare_f64_protocol4.ckpt",
    "lightning.ckpt",  "deflated_f32.ckpt", "legacy_f32.ckpt", "lightning_legacy.ckpt",
    "f32.safetensors", "f16.safetensors",
};
enum { FILES = sizeof files / sizeof files[0], FLIPS = 4000 };

static bytes data_file(size_t i)
{
    char path[200];

    snprintf(path, sizeof path, DIR "%s", files[i]);
    return read_whole(path);
}

static void expect_values(const ldm_ckpt *ck, const char *name, const float *want, size_t count)
{
    const ldm_tensor_info *t = ldm_ckpt_find(ck, name);
    float got[16];
    size_t i;

    if (!t || t->numel != count)
        fail_msg("%s: no tensor of %zu elements", name, count);
    assert_int_equal(ldm_ckpt_read_f32(ck, t, got, NULL), LDM_OK);
    for (i = 0; i < count; i++) {
        if (got[i] != want[i])
            fail_msg("%s[%zu] is %g, expected %g", name, i, (double)got[i], (double)want[i]);
    }
}

static void all_containers_hold_the_same(void **state)
{
    size_t f, i;

    (void)state;
    for (f = 0; f < FILES; f++) {
        float weight[12], turned[12], shared[12];
        float bias[] = {0.5f, -0.25f, 65504};
        bytes b = data_file(f);
        opened o = open_bytes(b.data, b.len);

        if (o.st)
            fail_msg("%s: %s", files[f], o.err.msg);
        for (i = 0; i < 12; i++) {
            weight[i] = (float)i / 4 - 1;
            turned[i] = (float)(4 + i % 4 * 3 + i / 4);
            shared[i] = (float)(12 + i);
        }
        if (strstr(files[f], "bf16"))
            bias[2] = 65536; /* the nearest bfloat16 */
        assert_int_equal(ldm_ckpt_count(o.ck), 7);
        expect_values(o.ck, "a.weight", weight, 12);
        expect_values(o.ck, "a.bias", bias, 3);
        expect_values(o.ck, "count", (float[]){7}, 1);
        expect_values(o.ck, "view.transposed", turned, 12);
        expect_values(o.ck, "view.shared", shared, 12);
        expect_values(o.ck, "view.expanded", (float[]){5, 5, 5, 5, 5, 5}, 6);
        expect_values(o.ck, "empty", NULL, 0);
        assert_string_equal(ldm_ckpt_at(o.ck, 0)->name, "a.weight");
        opened_done(&o);
        bytes_free(&b);
    }
}

static void opening_by_path(void **state)
{
    ldm_ckpt *ck = NULL;
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_ckpt_open(DIR "zip_f32.ckpt", NULL, &ck, &err), LDM_OK);
    assert_string_equal(ldm_ckpt_path(ck), DIR "zip_f32.ckpt");
    assert_int_equal(ldm_ckpt_file_bytes(ck), 2777);
    ldm_ckpt_will_need(ck, ldm_ckpt_at(ck, 0));
    ldm_ckpt_release(ck, ldm_ckpt_at(ck, 0));
    assert_int_equal(read_all(ck), 0);
    ldm_ckpt_close(ck);
    assert_int_equal(ldm_ckpt_open(DIR "none.ckpt", NULL, &ck, &err), LDM_ERR_IO);
    assert_null(ck);
    assert_non_null(strstr(err.msg, "none.ckpt"));
    ldm_ckpt_close(NULL);
}

static void cut_off_files_are_refused(void **state)
{
    size_t f, k;

    (void)state;
    for (f = 0; f < FILES; f++) {
        bytes b = data_file(f);

        for (k = 0; k <= 64; k++) {
            size_t len = k < 64 ? b.len * k / 64 : b.len - 1;
            opened o = open_bytes(b.data, len);

            if (!o.st || !o.err.msg[0])
                fail_msg("%s opens although cut to %zu bytes", files[f], len);
            opened_done(&o);
        }
        bytes_free(&b);
    }
}

static void flipped_bits_crash_nothing(void **state)
{
    uint64_t random = 42;
    size_t f, n;

    (void)state;
    for (f = 0; f < FILES; f++) {
        bytes b = data_file(f);

        for (n = 0; n < FLIPS; n++) {
            size_t at;
            unsigned bit;
            opened o;

            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            at = (size_t)(random >> 16) % b.len;
            bit = 1u << (random >> 60 & 7);
            b.data[at] ^= (unsigned char)bit;
            o = open_bytes(b.data, b.len);
            if (!o.st)
                (void)read_all(o.ck); /* a deflated storage may fail to inflate */
            else if (!o.err.msg[0] || strchr(o.err.msg, '\n'))
                fail_msg("%s: an error without a line of its own", files[f]);
            opened_done(&o);
            if (n % 4) /* let some pile up */
                b.data[at] ^= (unsigned char)bit;
        }
        bytes_free(&b);
    }
}

static void every_allocation_may_fail(void **state)
{
    size_t f;

    (void)state;
    for (f = 0; f < FILES; f++) {
        bytes b = data_file(f);
        unsigned long n = 0, calls;

        do {
            ldm_ckpt *ck = NULL;
            ldm_error err;
            ldm_status st;

            ldm_alloc_fail_at(++n);
            st = ldm_ckpt_open_memory(b.data, b.len, "test.ckpt", NULL, &ck, &err);
            calls = ldm_alloc_fail_at(0);
            if (calls >= n && st != LDM_ERR_NOMEM)
                fail_msg("%s: allocation %lu failed, and the status is %s", files[f], n,
                         ldm_status_name(st));
            if (calls < n)
                assert_int_equal(st, LDM_OK);
            ldm_ckpt_close(ck);
        } while (calls >= n);
        assert_true(n > 5);
        bytes_free(&b);
    }
}

static void the_budget_is_kept(void **state)
{
    const ldm_ckpt_options tight = {.max_meta_bytes = 2048};
    size_t f;

    (void)state;
    for (f = 0; f < FILES; f++) {
        bytes b = data_file(f);
        ldm_ckpt *ck = NULL;
        ldm_error err;
        ldm_status st = ldm_ckpt_open_memory(b.data, b.len, "test.ckpt", &tight, &ck, &err);

        if (st != LDM_ERR_LIMIT)
            fail_msg("%s: expected ERR_LIMIT, got %s: %s", files[f], ldm_status_name(st),
                     st ? err.msg : "");
        bytes_free(&b);
    }
}

static void crashers_are_refused(void **state)
{
    static const char *const names[] = {
        "huge_header.safetensors",    "overlapping_ranges.safetensors",
        "duplicate_name.safetensors", "os_system.ckpt",
        "eval_legacy.ckpt",           "overlapping_entries.ckpt",
        "two_data_pkl.ckpt",          "lying_zip64.ckpt",
        "deep_nesting.ckpt",          "memo_bomb.ckpt",
        "shape_overflow.ckpt",        "missing_storage.ckpt",
        "short_storage.ckpt",         "negative_stride.ckpt",
        "unknown_opcode.ckpt",
    };
    char path[200];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        ldm_ckpt *ck = NULL;
        ldm_error err;

        snprintf(path, sizeof path, "tests/crashers/%s", names[i]);
        if (ldm_ckpt_open(path, NULL, &ck, &err) == LDM_OK)
            fail_msg("%s opens", path);
        assert_memory_equal(err.msg, path, strlen(path));
        assert_true(err.code != LDM_ERR_IO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_containers_hold_the_same),
        cmocka_unit_test(opening_by_path),
        cmocka_unit_test(cut_off_files_are_refused),
        cmocka_unit_test(flipped_bits_crash_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_budget_is_kept),
        cmocka_unit_test(crashers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
