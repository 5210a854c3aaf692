/* SPDX-License-Identifier: MIT */
/* The choice of backend and of algorithm; numbers are checked by tests/kernelcheck. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "cpu/conv_impl.h"
#include "cpu/cpu.h"
#include "cpu/kernels.h"

static const ldm_backend *backend(ldm_isa isa)
{
    ldm_cpu cpu = {.isa = isa};

    return ldm_cpu_backend(&cpu);
}

static ldm_conv_desc conv3x3(int cin, int cout, int side)
{
    return (ldm_conv_desc){.cin = cin,
                           .cout = cout,
                           .kernel_h = 3,
                           .kernel_w = 3,
                           .stride = 1,
                           .pad_top = 1,
                           .pad_left = 1,
                           .in_h = side,
                           .in_w = side,
                           .out_h = side,
                           .out_w = side};
}

static ldm_conv_plan plan(const ldm_conv_desc *d, ldm_precision p, int algorithm, int threads)
{
    const ldm_backend *b = backend(LDM_ISA_C);
    ldm_conv_plan out;

    assert_int_equal(b->conv_plan(b, d, p, algorithm, threads, &out, NULL), LDM_OK);
    return out;
}

static void test_backends(void **state)
{
    (void)state;
    assert_string_equal(backend(LDM_ISA_C)->name, "c");
#if defined(__x86_64__)
    assert_string_equal(backend(LDM_ISA_AVX2)->name, "avx2");
    assert_string_equal(backend(LDM_ISA_AVX512)->name, "avx512");
#else
    assert_string_equal(backend(LDM_ISA_AVX512)->name, "c");
#endif
}

static void test_algorithm_by_shape(void **state)
{
    ldm_conv_desc d = conv3x3(224, 224, 64);

    (void)state;
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "winograd4");
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 64).name, "winograd4");
    assert_string_equal(plan(&d, LDM_PRECISION_EXACT, -1, 2).name, "direct");
    d = conv3x3(672, 672, 16);
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "winograd4");
    d = conv3x3(896, 896, 8);
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "winograd4");
    d = conv3x3(896, 896, 6); /* tiles of 4 would stick out */
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "winograd2");
    d = conv3x3(896, 896, 4); /* reading the filters takes longer than the arithmetic */
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "direct");
    d = conv3x3(512, 512, 64);
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "winograd4");
    d = conv3x3(224, 224, 64);
    d.kernel_h = d.kernel_w = 1;
    d.pad_top = d.pad_left = 0;
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "direct");
    d = conv3x3(224, 224, 64);
    d.stride = 2;
    d.out_h = d.out_w = 32;
    assert_string_equal(plan(&d, LDM_PRECISION_F32, -1, 2).name, "direct");
}

/* No algorithm takes more memory for the filters than they have. */
static void test_filters_as_they_are(void **state)
{
    ldm_conv_desc d = conv3x3(64, 64, 16);
    int algorithm;

    (void)state;
    for (algorithm = 0; algorithm < LDM_CONV_BF16; algorithm++)
        assert_int_equal(plan(&d, LDM_PRECISION_F32, algorithm, 2).packed_floats, 9 * 64 * 64);
}

/* Weights are packed once for all sizes: the packed layout may depend on the algorithm only. */
static void test_given_algorithm(void **state)
{
    int algorithm;

    (void)state;
    for (algorithm = 0; algorithm < LDM_CONV_BF16; algorithm++) {
        const ldm_conv_desc small = conv3x3(40, 50, 5), large = conv3x3(40, 50, 300);
        const ldm_conv_plan a = plan(&small, LDM_PRECISION_F32, algorithm, 1);
        const ldm_conv_plan b = plan(&large, LDM_PRECISION_F32, algorithm, 4);

        assert_int_equal(a.algorithm, algorithm);
        assert_int_equal(b.algorithm, algorithm);
        assert_int_equal(a.packed_floats, b.packed_floats);
        assert_int_equal(a.pack_tasks, b.pack_tasks);
    }
}

static void expect_failure(const ldm_conv_desc *d, ldm_precision p, int algorithm, ldm_status st,
                           const char *text)
{
    /* on x86 the backend for processors without bf16 */
    const ldm_backend *b = backend(p == LDM_PRECISION_BF16 ? LDM_ISA_AVX512 : LDM_ISA_C);
    ldm_conv_plan out;
    ldm_error err = {0};

    assert_int_equal(b->conv_plan(b, d, p, algorithm, 2, &out, &err), st);
    assert_non_null(strstr(err.msg, text));
}

static void test_plan_errors(void **state)
{
    ldm_conv_desc d = conv3x3(8, 8, 8);

    (void)state;
#if defined(__x86_64__)
    expect_failure(&d, LDM_PRECISION_BF16, -1, LDM_ERR_UNSUPPORTED, "bf16");
#endif
    expect_failure(&d, LDM_PRECISION_F32, LDM_CONV_BF16, LDM_ERR_UNSUPPORTED, "algorithm 3");
    expect_failure(&d, LDM_PRECISION_F32, LDM_CONV_ALGORITHMS, LDM_ERR_UNSUPPORTED, "algorithm");
    d.stride = 2;
    expect_failure(&d, LDM_PRECISION_F32, LDM_CONV_WINOGRAD4, LDM_ERR_UNSUPPORTED, "stride 2");
    d = conv3x3(8, 8, 8);
    d.kernel_w = 8;
    expect_failure(&d, LDM_PRECISION_F32, -1, LDM_ERR_UNSUPPORTED, "kernel 3x8");
    d = conv3x3(INT32_MAX, INT32_MAX, 8);
    expect_failure(&d, LDM_PRECISION_F32, -1, LDM_ERR_RANGE, "does not fit");
}

static void test_bf16_messages(void **state)
{
    const ldm_cpu avx2 = {.isa = LDM_ISA_AVX2, .name = "a processor"};
    ldm_error err = {0};

    (void)state;
    assert_int_equal(ldm_cpu_bf16(&avx2, &err), LDM_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "(a processor, avx2) lacks"));
}

/* bf16 where it is the fastest, never at the narrow ends of the network or for single pixels. */
static void test_bf16_choice(void **state)
{
    ldm_conv_desc d = conv3x3(896, 896, 8);
    const ldm_backend *b;
    ldm_conv_plan out, other;
    ldm_error err;
    ldm_cpu cpu;

    (void)state;
    ldm_cpu_detect(&cpu);
    if (ldm_cpu_bf16(&cpu, &err)) {
        print_message("skipped: %s\n", err.msg);
        skip();
    }
    b = ldm_cpu_backend(&cpu);
    assert_int_equal(b->conv_plan(b, &d, LDM_PRECISION_BF16, -1, 2, &out, &err), LDM_OK);
    assert_string_equal(out.name, "bf16");
    assert_true(out.packed_floats * 2 == (size_t)896 * 896 * 9); /* half of f32 */
    assert_int_equal(b->conv_plan(b, &d, LDM_PRECISION_F32, -1, 2, &other, &err), LDM_OK);
    assert_string_not_equal(other.name, "bf16");
    /* another size takes the same packed weights */
    d = conv3x3(896, 896, 40);
    assert_int_equal(b->conv_plan(b, &d, LDM_PRECISION_BF16, out.algorithm, 7, &other, &err),
                     LDM_OK);
    assert_string_equal(other.name, "bf16");
    assert_int_equal(other.packed_floats, out.packed_floats);
    assert_int_equal(other.pack_tasks, out.pack_tasks);
    d = conv3x3(224, 3, 64);
    assert_int_equal(b->conv_plan(b, &d, LDM_PRECISION_BF16, -1, 2, &out, &err), LDM_OK);
    assert_string_not_equal(out.name, "bf16");
    assert_int_equal(b->conv_plan(b, &d, LDM_PRECISION_BF16, LDM_CONV_BF16, 2, &out, &err),
                     LDM_ERR_UNSUPPORTED);
    d = conv3x3(896, 896, 1);
    d.kernel_h = d.kernel_w = 1;
    d.pad_top = d.pad_left = 0;
    assert_int_equal(b->conv_plan(b, &d, LDM_PRECISION_BF16, -1, 2, &out, &err), LDM_OK);
    assert_string_equal(out.name, "direct");
}

#if defined(__x86_64__)
enum { COUNT = 37, YMM_UPPER = 1 << 2, ZMM_UPPER = 1 << 6 };

/* Which parts of the registers are in use (XINUSE): upper halves that a kernel leaves so slow down
 * all code after it. */
static unsigned uppers_in_use(void)
{
    unsigned low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
    return low & (YMM_UPPER | ZMM_UPPER);
}

/* Whether this processor tells, and tells that vzeroupper empties them. */
static bool uppers_are_told(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid_count(0xd, 1, &a, &b, &c, &d) || !(a & 1 << 2))
        return false;
    __asm__ volatile("vzeroupper" ::: "memory");
    return uppers_in_use() == 0;
}

#define LEAVES_NO_UPPERS(k, call)                                                                  \
    do {                                                                                           \
        (k)->call;                                                                                 \
        if (uppers_in_use())                                                                       \
            fail_msg("%d columns a panel: upper halves in use after %s", (k)->nr, #call);          \
    } while (0)

static void check_uppers(const ldm_kernels *k)
{
    static const float codebook[2 * COUNT];
    float x[COUNT] = {1, 2, 3}, y[COUNT] = {0}, a[COUNT] = {1}, b[COUNT] = {2};
    float top = 0, ratio = 0;
    const float *const taps[2] = {a, b};
    int64_t index = 0;

    LEAVES_NO_UPPERS(k, moments(x, COUNT, 1, COUNT, a, b));
    LEAVES_NO_UPPERS(k, affine(x, COUNT, y, COUNT, 1, COUNT, a, b, true));
    LEAVES_NO_UPPERS(k, softmax(y, COUNT, 1));
    LEAVES_NO_UPPERS(k, softmax_part(y, COUNT, 1, &top, &ratio));
    LEAVES_NO_UPPERS(k, layer_norm(x, a, b, 1e-5f, y, COUNT));
    LEAVES_NO_UPPERS(k, silu(x, y, COUNT));
    LEAVES_NO_UPPERS(k, gelu(x, y, COUNT));
    LEAVES_NO_UPPERS(k, quick_gelu(x, y, COUNT));
    LEAVES_NO_UPPERS(k, geglu(a, b, y, COUNT));
    LEAVES_NO_UPPERS(k, add(a, b, y, COUNT));
    LEAVES_NO_UPPERS(k, multiply(y, COUNT, 2));
    LEAVES_NO_UPPERS(k, largest_of(taps, 2, y, COUNT));
    LEAVES_NO_UPPERS(k, mean_of(taps, 2, y, COUNT));
    LEAVES_NO_UPPERS(k, relu(x, y, COUNT));
    LEAVES_NO_UPPERS(k, vq(x, COUNT, 1, COUNT, codebook, 2, &index));
}

static void test_upper_halves(void **state)
{
    ldm_cpu cpu;

    (void)state;
    ldm_cpu_detect(&cpu);
    if (cpu.isa < LDM_ISA_AVX2 || !uppers_are_told()) {
        print_message("skipped: this processor does not tell which registers are in use\n");
        skip();
    }
    check_uppers(&ldm_kernels_avx2);
    if (cpu.isa >= LDM_ISA_AVX512)
        check_uppers(&ldm_kernels_avx512);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backends),
        cmocka_unit_test(test_algorithm_by_shape),
        cmocka_unit_test(test_given_algorithm),
        cmocka_unit_test(test_filters_as_they_are),
        cmocka_unit_test(test_plan_errors),
        cmocka_unit_test(test_bf16_messages),
        cmocka_unit_test(test_bf16_choice),
#if defined(__x86_64__)
        cmocka_unit_test(test_upper_halves),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
