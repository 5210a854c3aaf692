/* SPDX-License-Identifier: MIT */
/* Tests of .npy and .npz: every dtype, both orders, round trips, and headers that lie. */
#include "image/npy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ldm-npy-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if a test, or a temporary name, left a file */
}

/* A version 1 file of this header text, unpadded, and these elements. */
static size_t build(unsigned char *out, const char *header, const void *data, size_t bytes)
{
    const size_t len = strlen(header);

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (unsigned char)(len & 0xff);
    out[9] = (unsigned char)(len >> 8);
    memcpy(out + 10, header, len);
    if (bytes)
        memcpy(out + 10 + len, data, bytes);
    return 10 + len + bytes;
}

static ldm_status read_built(const char *header, const void *data, size_t bytes, ldm_npy *a,
                             ldm_error *err)
{
    unsigned char buf[4096];
    unsigned char *exact; /* of the very size, so that a sanitizer sees an overrun */
    size_t size = build(buf, header, data, bytes);
    ldm_status st;

    exact = malloc(size);
    assert_non_null(exact);
    memcpy(exact, buf, size);
    st = ldm_npy_read_memory(exact, size, "t.npy", a, err);
    free(exact);
    return st;
}

static void expect_values(const char *header, const void *data, size_t bytes, const float *want,
                          size_t n)
{
    ldm_error err = {0};
    ldm_npy a;
    size_t i;

    if (read_built(header, data, bytes, &a, &err))
        fail_msg("%s: %s", header, err.msg);
    assert_int_equal(a.numel, n);
    for (i = 0; i < n; i++)
        if (!(a.data[i] == want[i]) && !(isnan(a.data[i]) && isnan(want[i])))
            fail_msg("%s: element %zu is %g, expected %g", header, i, (double)a.data[i],
                     (double)want[i]);
    ldm_npy_free(&a);
}

static void test_dtypes(void **state)
{
    static const float signed_values[2] = {-3, 100};
    static const uint16_t f2[8] = {0x3c00, 0xc000, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0x7bff};
    const float f2_values[8] = {1, -2, 1.0f / 16777216.0f, -0.0f, INFINITY, -INFINITY, NAN, 65504};
    static const float f4[2] = {-3, 100};
    static const double f8[2] = {-3, 100};
    static const int8_t i1[2] = {-3, 100};
    static const int16_t i2[2] = {-3, 100};
    static const int32_t i4[2] = {-3, 100};
    static const int64_t i8[2] = {-3, 100};
    static const uint8_t u1[2] = {255, 1};
    static const uint16_t u2[2] = {65535, 1};
    static const uint32_t u4[2] = {4294967295u, 1};
    static const uint64_t u8[2] = {1, (uint64_t)1 << 63};

    (void)state;
#define HEADER(d) "{'descr': '" d "', 'fortran_order': False, 'shape': (2,), }\n"
    expect_values("{'descr': '<f2', 'fortran_order': False, 'shape': (8,), }", f2, sizeof f2,
                  f2_values, 8);
    expect_values(HEADER("<f4"), f4, sizeof f4, signed_values, 2);
    expect_values(HEADER("<f8"), f8, sizeof f8, signed_values, 2);
    expect_values(HEADER("|i1"), i1, sizeof i1, signed_values, 2);
    expect_values(HEADER("<i2"), i2, sizeof i2, signed_values, 2);
    expect_values(HEADER("<i4"), i4, sizeof i4, signed_values, 2);
    expect_values(HEADER("<i8"), i8, sizeof i8, signed_values, 2);
    expect_values(HEADER("|u1"), u1, sizeof u1, (const float[]){255, 1}, 2);
    expect_values(HEADER("|b1"), u1, sizeof u1, (const float[]){1, 1}, 2);
    expect_values(HEADER("<u2"), u2, sizeof u2, (const float[]){65535, 1}, 2);
    expect_values(HEADER("<u4"), u4, sizeof u4, (const float[]){4294967296.0f, 1}, 2);
    expect_values(HEADER("<u8"), u8, sizeof u8, (const float[]){1, 9223372036854775808.0f}, 2);
}

static void test_header_forms(void **state)
{
    static const uint8_t u1[6] = {1, 2, 3, 4, 5, 6};
    static const float c[6] = {1, 2, 3, 4, 5, 6}, fortran[6] = {1, 3, 5, 2, 4, 6};
    unsigned char v2[256];
    ldm_npy a;

    (void)state;
    expect_values("{\"shape\":(2,3),\"descr\":\"|u1\",\"fortran_order\":False}", u1, 6, c, 6);
    expect_values("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", u1, 6, fortran, 6);
    expect_values("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", u1, 1, c, 1);
    expect_values("{'descr': '|u1', 'fortran_order': True, 'shape': (0, 3), }", u1, 0, c, 0);
    /* Version 2 has a header length of four bytes. */
    memcpy(v2, "\x93NUMPY\x02\x00\x36\x00\x00\x00", 12);
    memcpy(v2 + 12, "{'descr': '|u1', 'fortran_order': False, 'shape': (3)}", 54);
    memcpy(v2 + 66, u1, 3);
    assert_int_equal(ldm_npy_read_memory(v2, 69, "v2.npy", &a, NULL), LDM_OK);
    assert_true(a.ndim == 1 && a.shape[0] == 3 && a.data[2] == 3);
    ldm_npy_free(&a);
}

static void test_hostile(void **state)
{
    static const struct {
        const char *header;
        ldm_status st;
        const char *part; /* of the message */
    } cases[] = {
        {"", LDM_ERR_FORMAT, "'{'"},
        {"{'descr': '<f4', 'fortran_order': False}", LDM_ERR_FORMAT, "lacks 'shape'"},
        {"{'descr': '<f4', 'shape': (1,)}", LDM_ERR_FORMAT, "lacks 'fortran_order'"},
        {"{'shape': (1,), 'fortran_order': False}", LDM_ERR_FORMAT, "lacks 'descr'"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", LDM_ERR_FORMAT,
         "twice"},
        {"{'descr': '<f4', 'more': 1, 'fortran_order': False, 'shape': (1,)}", LDM_ERR_FORMAT,
         "'more'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", LDM_ERR_UNSAFE, "Python"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", LDM_ERR_UNSUPPORTED,
         "big-endian"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", LDM_ERR_UNSUPPORTED, "<c8"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", LDM_ERR_UNSUPPORTED,
         "structured"},
        {"{'descr': '<f4', 'fortran_order': __import__('os'), 'shape': (1,)}", LDM_ERR_FORMAT,
         "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", LDM_ERR_FORMAT, "a length"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         LDM_ERR_RANGE, "too large"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         LDM_ERR_RANGE, "more elements"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}", LDM_ERR_RANGE,
         "more elements"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}", LDM_ERR_FORMAT,
         "truncated"},
        {"{'descr': '|i1', 'fortran_order': False, 'shape': (1,)}", LDM_ERR_FORMAT, "longer"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
         LDM_ERR_UNSUPPORTED, "dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", LDM_ERR_FORMAT, "','"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", LDM_ERR_FORMAT, "nothing"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", LDM_ERR_FORMAT, "')'"},
        {"{'descr': '<f4", LDM_ERR_FORMAT, "dtype"},
    };
    static const float one = 1;
    ldm_error err = {0};
    ldm_npy a;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ldm_status st = read_built(cases[i].header, &one, sizeof one, &a, &err);

        if (st != cases[i].st || !strstr(err.msg, cases[i].part))
            fail_msg("%s: %s, '%s', expected %s and '%s'", cases[i].header, ldm_status_name(st),
                     err.msg, ldm_status_name(cases[i].st), cases[i].part);
        assert_null(a.data);
    }
    assert_int_equal(ldm_npy_read_memory("PK", 2, "x.npy", &a, &err), LDM_ERR_FORMAT);
    assert_int_equal(ldm_npy_read_memory("\x93NUMPY\x01\0\xff\xff", 10, "x.npy", &a, &err),
                     LDM_ERR_FORMAT);
    assert_int_equal(ldm_npy_read_memory("\x93NUMPY\x07\0\0\0", 10, "x.npy", &a, &err),
                     LDM_ERR_UNSUPPORTED);
    assert_int_equal(ldm_npy_read("/nonexistent/x.npy", &a, &err), LDM_ERR_IO);
}

static void test_round_trip(void **state)
{
    static const uint64_t shape[4] = {2, 1, 3, 2};
    static const float f[12] = {0, 1, -2, 3.5f, 1e-40f, -1e30f, 6, 7, 8, 9, 10, 11};
    static const int64_t k[12] = {0, 1, -2, 3, 4, 5, 6, 7, 8, 9, 10, 1 << 24};
    const char *path = in_folder("a.npy");
    ldm_npy a;
    size_t i;

    (void)state;
    assert_int_equal(ldm_npy_write(path, LDM_NPY_F32, 4, shape, f, NULL), LDM_OK);
    assert_int_equal(ldm_npy_read(path, &a, NULL), LDM_OK);
    assert_true(a.ndim == 4 && !memcmp(a.shape, shape, sizeof shape));
    assert_memory_equal(a.data, f, sizeof f);
    ldm_npy_free(&a);
    assert_int_equal(ldm_npy_write(path, LDM_NPY_I64, 1, (const uint64_t[]){12}, k, NULL), LDM_OK);
    assert_int_equal(ldm_npy_read(path, &a, NULL), LDM_OK);
    assert_int_equal(a.ndim, 1);
    for (i = 0; i < 12; i++)
        assert_true(a.data[i] == (float)k[i]);
    ldm_npy_free(&a);
    assert_int_equal(ldm_npy_write(path, LDM_NPY_F64, 0, NULL, &(double){2.5}, NULL), LDM_OK);
    assert_int_equal(ldm_npy_read(path, &a, NULL), LDM_OK);
    assert_true(a.ndim == 0 && a.numel == 1 && a.data[0] == 2.5f);
    ldm_npy_free(&a);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ldm_npy_write(path, LDM_NPY_F32, 9, shape, f, NULL), LDM_ERR_RANGE);
    assert_int_equal(ldm_npy_write("/nonexistent/a.npy", LDM_NPY_F32, 1, shape, f, NULL),
                     LDM_ERR_IO);
}

static uint32_t le32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void test_npz(void **state)
{
    static const uint64_t shape[4] = {1, 2, 2, 3};
    static const uint8_t rgb[12] = {0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    const char *path = in_folder("a.npz");
    const unsigned char *end;
    ldm_map map;
    ldm_npy a;
    size_t local = 30 + 9 + 20; /* fixed part, "arr_0.npy", the zip64 field */
    int i;

    (void)state;
    assert_int_equal(ldm_npz_write_u8(path, "arr_0", 4, shape, rgb, NULL), LDM_OK);
    assert_int_equal(ldm_map_open(path, &map, NULL), LDM_OK);
    assert_memory_equal(map.data, "PK\3\4", 4);
    assert_memory_equal(map.data + 30, "arr_0.npy", 9);
    end = map.data + map.size - 22;
    assert_memory_equal(end, "PK\5\6", 4);
    /* The entry is a whole .npy of the size that both records give. */
    assert_int_equal(le32(map.data + 39 + 4), 128 + 12);
    assert_int_equal(ldm_npy_read_memory(map.data + local, 128 + 12, "arr_0.npy", &a, NULL),
                     LDM_OK);
    assert_int_equal(a.numel, 12);
    for (i = 0; i < 12; i++)
        assert_true(a.data[i] == (float)rgb[i]);
    assert_memory_equal(map.data + local + 140, "PK\1\2", 4);
    assert_int_equal(le32(map.data + local + 140 + 16), le32(map.data + 14)); /* same CRC */
    assert_memory_equal(end - 20, "PK\6\7", 4);
    assert_int_equal(le32(end - 20 + 8), (uint32_t)(end - 20 - 56 - map.data));
    assert_memory_equal(end - 20 - 56, "PK\6\6", 4);
    assert_int_equal(le32(end - 20 - 56 + 48), local + 140); /* where the directory begins */
    ldm_npy_free(&a);
    ldm_map_close(&map);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ldm_npz_write_u8(path, "", 4, shape, rgb, NULL), LDM_ERR_USAGE);
}

/* Every allocation of a write and a read fails once; nothing leaks, no file stays. */
static void test_out_of_memory(void **state)
{
    static const uint64_t shape[1] = {3};
    static const float f[3] = {1, 2, 3};
    const char *path = in_folder("m.npy");
    unsigned long n;
    ldm_status st = LDM_ERR_NOMEM;
    ldm_npy a;

    (void)state;
    for (n = 1; st; n++) {
        ldm_alloc_fail_at(n);
        st = ldm_npy_write(path, LDM_NPY_F32, 1, shape, f, NULL);
        ldm_alloc_fail_at(0);
        assert_true(st == LDM_OK || (st == LDM_ERR_NOMEM && access(path, F_OK)));
    }
    assert_true(n > 2);
    ldm_alloc_fail_at(1);
    assert_int_equal(ldm_npy_read(path, &a, NULL), LDM_ERR_NOMEM);
    ldm_alloc_fail_at(0);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),  cmocka_unit_test(test_header_forms),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_npz),     cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
