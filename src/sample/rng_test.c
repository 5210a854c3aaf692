/* SPDX-License-Identifier: MIT */
/* Tests of the generator: constants from PyTorch 2 (CPU), then its stored outputs where they lie.
 */
#include "sample/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "golden_npy.h"

static void close_to(const float *got, const double *want, size_t n, const char *name)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 2e-6))
            fail_msg("%s: value %zu is %.9g, expected %.9g", name, i, (double)got[i], want[i]);
}

/* The reference implementation's 10,000th word for its default seed (C++11 [rand.predef]). */
static void test_mt19937(void **state)
{
    ldm_rng r;
    uint32_t v = 0;
    int i;

    (void)state;
    ldm_rng_seed(&r, 5489);
    for (i = 0; i < 10000; i++)
        v = ldm_rng_u32(&r);
    assert_int_equal(v, 4123659995u);
}

/* torch.manual_seed(42), then each call on its own. */
static void test_torch_seed_42(void **state)
{
    static const double scalar[3] = {0.33669037, 0.1288094, 0.23446237};
    static const double block[16] = {1.9269153,  1.4872841,  0.9007172,  -2.105521,
                                     0.67841846, -1.2345449, -0.0430675, -1.604667,
                                     -0.7521353, 1.648723,   -0.3924786, -1.4036071,
                                     -0.7278813, -0.5594302, -0.7688389, 0.7624454};
    /* The tail is redrawn: all but the first value differ from those of randn(16). */
    static const double tail[17] = {1.9269153, -0.1595975, -0.4973975, 0.4395893, -0.7581311,
                                    1.0783176, 0.8008006,  1.6806206,  0.3558599, 1.2964228,
                                    0.6104665, 1.3347378,  -0.2316243, 0.0417595, -0.2515753,
                                    0.8598585, -0.3097268};
    static const double uniform[3] = {0.8822692632675171, 0.9150039553642273, 0.38286375999450684};
    float f[17];
    int64_t k[3];
    ldm_rng r;
    int i;

    (void)state;
    ldm_rng_seed(&r, 42);
    ldm_rng_randn(&r, f, 3);
    close_to(f, scalar, 3, "randn(3)");
    ldm_rng_seed(&r, 42);
    ldm_rng_randn(&r, f, 16);
    close_to(f, block, 16, "randn(16)");
    ldm_rng_seed(&r, 42);
    ldm_rng_randn(&r, f, 17);
    close_to(f, tail, 17, "randn(17)");
    ldm_rng_seed(&r, 42);
    ldm_rng_rand(&r, f, 3);
    for (i = 0; i < 3; i++)
        assert_true((double)f[i] == uniform[i]);
    ldm_rng_seed(&r, 42);
    ldm_rng_randint(&r, 0, 1000, k, 3);
    assert_true(k[0] == 542 && k[1] == 67 && k[2] == 876);
    ldm_rng_seed(&r, 42);
    ldm_rng_randint(&r, 0, (int64_t)1 << 31, k, 2);
    assert_true(k[0] == 1273642419 && k[1] == 787846414);
    ldm_rng_seed(&r, 42);
    ldm_rng_randint(&r, -10, 990, k, 2);
    assert_true(k[0] == 532 && k[1] == 57);
}

static void test_seed_is_32_bits(void **state)
{
    ldm_rng a, b;

    (void)state;
    ldm_rng_seed(&a, 7);
    ldm_rng_seed(&b, ((uint64_t)1 << 40) + 7);
    assert_int_equal(ldm_rng_u64(&a), ldm_rng_u64(&b));
}

/* Large requests: finite, and the moments of a standard normal. */
static void test_moments(void **state)
{
    enum { COUNT = 1 << 18 };
    float *f = ldm_malloc(COUNT * sizeof *f);
    double sum = 0, sum2 = 0;
    ldm_rng r;
    size_t i;

    (void)state;
    assert_non_null(f);
    ldm_rng_seed(&r, 1);
    ldm_rng_randn(&r, f, COUNT);
    for (i = 0; i < COUNT; i++) {
        assert_true(isfinite(f[i]));
        sum += (double)f[i];
        sum2 += (double)f[i] * (double)f[i];
    }
    ldm_free(f);
    assert_true(fabs(sum / COUNT) < 0.01);
    assert_true(fabs(sum2 / COUNT - 1) < 0.01);
}

/* torch_rng/randn_seq_sSEED.npy and mixed_sSEED.npy: several requests after one seeding. */
static void sequence(const char *name, uint64_t seed, float *f)
{
    static const size_t seq[] = {5, 16, 3, 17, 2, 40, 1}, mixed[] = {3, 4, 20, 1, 2};
    const int is_mixed = !strncmp(name, "mixed", 5);
    const size_t *sizes = is_mixed ? mixed : seq, n = is_mixed ? 5 : 7;
    ldm_rng r;
    size_t i;

    ldm_rng_seed(&r, seed);
    for (i = 0; i < n; i++) {
        if (is_mixed && i % 2 == 1)
            ldm_rng_rand(&r, f, sizes[i]);
        else
            ldm_rng_randn(&r, f, sizes[i]);
        f += sizes[i];
    }
}

static void check_file(const char *folder, const char *name)
{
    const uint64_t seed = strtoull(strstr(name, "_s") + (strstr(name, "_seq_") ? 6 : 2), NULL, 10);
    char path[512];
    size_t n, i;
    double *want;
    float *f;
    int64_t *k;
    ldm_rng r;

    snprintf(path, sizeof path, "torch_rng/%s", name);
    want = golden_read(folder, path, &n);
    f = ldm_calloc(n + 128, sizeof *f);
    k = ldm_calloc(n, sizeof *k);
    assert_true(f && k);
    ldm_rng_seed(&r, seed);
    if (!strncmp(name, "randint_", 8)) {
        ldm_rng_randint(&r, 0, strtoll(strrchr(name, '_') + 1, NULL, 10), k, n);
        for (i = 0; i < n; i++)
            assert_true((double)k[i] == want[i]);
    } else if (!strncmp(name, "rand_", 5)) {
        ldm_rng_rand(&r, f, n);
        for (i = 0; i < n; i++)
            assert_true((double)f[i] == want[i]);
    } else {
        if (!strncmp(name, "randn_s", 7) && strncmp(name, "randn_seq", 9))
            ldm_rng_randn(&r, f, n);
        else
            sequence(name, seed, f);
        close_to(f, want, n, name);
    }
    ldm_free(want);
    ldm_free(f);
    ldm_free(k);
}

static void test_golden(void **state)
{
    (void)state;
    golden_each("torch_rng", check_file);
}

/* numpy.random.RandomState(2020): permutation(12), choice(1000, 6, replace=False), permutation(3),
 * one after the other, by NumPy 2.4. */
static void test_numpy_permutation(void **state)
{
    static const uint32_t twelve[] = {2, 1, 11, 4, 10, 5, 7, 9, 6, 3, 8, 0};
    static const uint32_t six[] = {358, 763, 430, 530, 677, 107}, three[] = {1, 2, 0};
    uint32_t got[1000];
    ldm_rng r;

    (void)state;
    ldm_rng_seed(&r, 2020);
    ldm_rng_permutation(&r, 12, got);
    assert_memory_equal(got, twelve, sizeof twelve);
    ldm_rng_permutation(&r, 1000, got);
    assert_memory_equal(got, six, sizeof six);
    ldm_rng_permutation(&r, 3, got);
    assert_memory_equal(got, three, sizeof three);
    ldm_rng_permutation(&r, 1, got); /* draws nothing */
    assert_int_equal(got[0], 0);
    assert_int_equal(ldm_rng_interval(&r, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mt19937),         cmocka_unit_test(test_torch_seed_42),
        cmocka_unit_test(test_seed_is_32_bits), cmocka_unit_test(test_moments),
        cmocka_unit_test(test_golden),          cmocka_unit_test(test_numpy_permutation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
