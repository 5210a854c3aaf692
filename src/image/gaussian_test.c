/* SPDX-License-Identifier: MIT */
/* Tests of eigenvalues and Fréchet distances against closed forms. */
#include "image/gaussian.h"

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
#include "image/eigen.h"

static const double PI = 3.14159265358979323846;

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.15g, expected %.15g within %g", got, want, tolerance);
}

/* Uniform in -1..1 from a small generator of its own. */
static double draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (1 << 23) - 1;
}

/* a := H a H for a random reflection H, so that a known spectrum hides in a full matrix. */
static void hide(double *a, size_t n, uint32_t *seed)
{
    double *v = ldm_reallocarray(NULL, 3 * n, sizeof *v), *left = v + n, *right = v + 2 * n;
    double norm = 0;
    size_t i, k;

    assert_non_null(v);
    for (i = 0; i < n; i++) {
        v[i] = draw(seed);
        norm += v[i] * v[i];
    }
    for (i = 0; i < n; i++)
        v[i] *= sqrt(2 / norm);
    for (i = 0; i < n; i++)
        left[i] = right[i] = 0;
    for (i = 0; i < n; i++) {
        for (k = 0; k < n; k++)
            left[k] += v[i] * a[i * n + k];
    }
    for (i = 0; i < n; i++) {
        for (k = 0; k < n; k++)
            a[i * n + k] -= v[i] * left[k];
    }
    for (i = 0; i < n; i++) {
        for (k = 0; k < n; k++)
            right[i] += a[i * n + k] * v[k];
    }
    for (i = 0; i < n; i++) {
        for (k = 0; k < n; k++)
            a[i * n + k] -= right[i] * v[k];
    }
    ldm_free(v);
}

/* The second difference of n points: 2 - 2 cos(k pi / (n + 1)). */
static void test_second_difference(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 4, 17, 64, 130};
    size_t s, i;
    int hidden;

    (void)state;
    for (s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t n = sizes[s];
        double *a = ldm_reallocarray(NULL, n * n + n, sizeof *a), *w = a + n * n;
        uint32_t seed = (uint32_t)n;

        assert_non_null(a);
        for (hidden = 0; hidden < 2; hidden++) {
            memset(a, 0, n * n * sizeof *a);
            for (i = 0; i < n; i++) {
                a[i * n + i] = 2;
                if (i + 1 < n)
                    a[i * n + i + 1] = a[(i + 1) * n + i] = -1;
            }
            if (hidden) {
                hide(a, n, &seed);
                hide(a, n, &seed);
            }
            assert_int_equal(ldm_symmetric_eigenvalues(a, n, NULL, w, NULL), LDM_OK);
            for (i = 0; i < n; i++)
                near(w[i], 2 - 2 * cos((double)(i + 1) * PI / (double)(n + 1)), 1e-13 * 8);
        }
        ldm_free(a);
    }
}

static void test_spectra(void **state)
{
    /* Equal, negative, zero, tiny and huge values; a spectrum comes back sorted. */
    static const double spectra[][5] = {
        {3, 3, 3, 3, 3}, {0, 0, 0, 0, 0}, {-2, -1, 0, 1, 2}, {0, 0, 0, 0, 7}, {1e-9, 1e-3, 1, 2, 3},
    };
    double a[25], w[5], scale;
    uint32_t seed = 5;
    size_t s, i;

    (void)state;
    for (scale = 1e-150; scale < 1e160; scale *= 1e50) {
        for (s = 0; s < 5; s++) {
            memset(a, 0, sizeof a);
            for (i = 0; i < 5; i++)
                a[6 * i] = scale * spectra[s][4 - i];
            hide(a, 5, &seed);
            assert_int_equal(ldm_symmetric_eigenvalues(a, 5, NULL, w, NULL), LDM_OK);
            for (i = 0; i < 5; i++)
                near(w[i] / scale, spectra[s][i], 1e-14 * 7);
        }
    }
    a[0] = NAN;
    assert_int_equal(ldm_symmetric_eigenvalues(a, 5, NULL, w, NULL), LDM_ERR_NUMERIC);
    assert_int_equal(ldm_symmetric_eigenvalues(a, 0, NULL, w, NULL), LDM_OK);
}

/* A Gaussian of given mean and covariance, by its fields. */
static ldm_gaussian *make(size_t dim, const double *mean, const double *cov)
{
    ldm_gaussian *g;
    size_t i;

    assert_int_equal(ldm_gaussian_create(dim, &g, NULL), LDM_OK);
    g->count = 1001;
    memset(g->network, 'a', 64);
    memcpy(g->mean, mean, dim * sizeof *mean);
    for (i = 0; i < dim * dim; i++)
        g->scatter[i] = 1000 * cov[i];
    return g;
}

static double distance(const ldm_gaussian *a, const ldm_gaussian *b)
{
    double d, back;

    assert_int_equal(ldm_gaussian_distance(a, b, &d, NULL), LDM_OK);
    assert_int_equal(ldm_gaussian_distance(b, a, &back, NULL), LDM_OK);
    near(back, d, 1e-7 * (1 + d));
    return d;
}

static void test_one_dimension(void **state)
{
    double zero = 0, three = 3, one = 1, four = 4, none = 0;
    ldm_gaussian *a = make(1, &zero, &one), *b = make(1, &three, &four),
                 *c = make(1, &three, &none);

    (void)state;
    near(distance(a, b), 9 + 1, 1e-12); /* (m - m')^2 + (s - s')^2 */
    near(distance(a, c), 9 + 1, 1e-12);
    near(distance(a, a), 0, 1e-12);
    near(distance(c, c), 0, 0);
    ldm_gaussian_free(a);
    ldm_gaussian_free(b);
    ldm_gaussian_free(c);
}

/* In two dimensions tr (A B)^(1/2) = sqrt(tr(A B) + 2 sqrt(det A det B)). */
static void test_two_dimensions(void **state)
{
    static const double mean[2] = {1, -1}, other[2] = {0, 1};
    uint32_t seed = 9;
    int round;

    (void)state;
    for (round = 0; round < 50; round++) {
        double ca[4], cb[4], *c[2] = {ca, cb}, det[2], root, want;
        ldm_gaussian *a, *b;
        int i;

        for (i = 0; i < 2; i++) {
            double x = draw(&seed), y = draw(&seed), z = draw(&seed);

            c[i][0] = x * x + 0.01;
            c[i][1] = c[i][2] = x * y;
            c[i][3] = y * y + z * z + 0.01;
            det[i] = c[i][0] * c[i][3] - c[i][1] * c[i][1];
        }
        root = sqrt(ca[0] * cb[0] + 2 * ca[1] * cb[1] + ca[3] * cb[3] + 2 * sqrt(det[0] * det[1]));
        want = 1 + 4 + ca[0] + ca[3] + cb[0] + cb[3] - 2 * root;
        a = make(2, mean, ca);
        b = make(2, other, cb);
        near(distance(a, b), want, 1e-12);
        ldm_gaussian_free(a);
        ldm_gaussian_free(b);
    }
}

/* Covariances that commute: sum of (s - s')^2 over the common axes, however these are turned. */
static void test_many_dimensions(void **state)
{
    enum { N = 60 };
    static double ca[N * N], cb[N * N], zero[N];
    uint32_t one = 3, same = 3;
    double want = 0;
    ldm_gaussian *a, *b;
    int i, turns;

    (void)state;
    for (i = 0; i < N; i++) {
        double s = 1 + i % 7, t = i < 20 ? 0 : 2 + i % 3;

        ca[i * (N + 1)] = s * s;
        cb[i * (N + 1)] = t * t;
        want += (s - t) * (s - t);
    }
    for (turns = 0; turns < 4; turns++) {
        a = make(N, zero, ca);
        b = make(N, zero, cb);
        near(distance(a, b), want, 1e-5); /* b is singular: roots of rounding errors */
        near(distance(a, a), 0, 1e-9);
        near(distance(b, b), 0, 1e-5);
        ldm_gaussian_free(a);
        ldm_gaussian_free(b);
        hide(ca, N, &one);
        hide(cb, N, &same);
    }
}

static void test_accumulation(void **state)
{
    static const double x[4][2] = {{1e8 + 1, 2}, {1e8 + 2, 4}, {1e8 + 3, 9}, {1e8 + 6, 1}};
    double work[2];
    ldm_gaussian *g;
    int i;

    (void)state;
    assert_int_equal(ldm_gaussian_create(2, &g, NULL), LDM_OK);
    for (i = 0; i < 4; i++)
        ldm_gaussian_add(g, x[i], work);
    assert_int_equal(g->count, 4);
    near(g->mean[0], 1e8 + 3, 1e-6);
    near(g->mean[1], 4, 1e-12);
    near(g->scatter[0], 4 + 1 + 0 + 9, 1e-6);
    near(g->scatter[2], -2 * -2 + 0 + 0 + 3 * -3, 1e-6);
    near(g->scatter[3], 4 + 0 + 25 + 9, 1e-9);
    ldm_gaussian_free(g);
    assert_int_equal(ldm_gaussian_create(0, &g, NULL), LDM_ERR_RANGE);
    assert_null(g);
    assert_int_equal(ldm_gaussian_create(1 << 20, &g, NULL), LDM_ERR_RANGE);
}

static void test_refusals(void **state)
{
    static const double zero[4];
    ldm_gaussian *a = make(1, zero, zero), *b = make(2, zero, zero), *c = make(2, zero, zero);
    ldm_error err;
    double d;

    (void)state;
    assert_int_equal(ldm_gaussian_distance(a, b, &d, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "1 and of 2 features"));
    c->network[0] = 'b';
    assert_int_equal(ldm_gaussian_distance(b, c, &d, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "different networks"));
    c->network[0] = 'a';
    c->count = 1;
    assert_int_equal(ldm_gaussian_distance(b, c, &d, &err), LDM_ERR_USAGE);
    assert_int_equal(ldm_gaussian_write("/dev/null/x", c, &err), LDM_ERR_USAGE);
    ldm_gaussian_free(a);
    ldm_gaussian_free(b);
    ldm_gaussian_free(c);
}

static void write_bytes(const char *path, const char *data, size_t size)
{
    assert_int_equal(ldm_file_write(path, data, size, NULL), LDM_OK);
}

static void test_file(void **state)
{
    static const double mean[3] = {1, -2, 0.1};
    static const double cov[9] = {2, 0.5, 0, 0.5, 1, 0.25, 0, 0.25, 3};
    char path[] = "/tmp/ldm-gaussian.XXXXXX", *data;
    ldm_gaussian *g = make(3, mean, cov), *back;
    ldm_error err;
    size_t size;

    (void)state;
    close(mkstemp(path));
    assert_int_equal(ldm_gaussian_write(path, g, NULL), LDM_OK);
    assert_int_equal(ldm_gaussian_read(path, &back, NULL), LDM_OK);
    assert_int_equal(back->dim, 3);
    assert_int_equal(back->count, 1001);
    assert_string_equal(back->network, g->network);
    assert_memory_equal(back->mean, mean, sizeof mean);
    near(distance(g, back), 0, 1e-12);
    ldm_gaussian_free(back);

    assert_int_equal(ldm_file_read(path, 1 << 20, &data, &size, NULL), LDM_OK);
    assert_int_equal(size, 128 + 8 * 9);
    assert_int_equal(data[127], '\n');
    write_bytes(path, data, size - 1);
    assert_int_equal(ldm_gaussian_read(path, &back, &err), LDM_ERR_FORMAT);
    assert_null(back);
    assert_non_null(strstr(err.msg, "199 bytes long, expected 200"));
    write_bytes(path, data, 100);
    assert_int_equal(ldm_gaussian_read(path, &back, &err), LDM_ERR_FORMAT);
    data[10] = '2';
    write_bytes(path, data, size);
    assert_int_equal(ldm_gaussian_read(path, &back, &err), LDM_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "newer"));
    data[10] = '1';
    data[size - 1] ^= (char)0x80; /* the sign of the last variance */
    write_bytes(path, data, size);
    assert_int_equal(ldm_gaussian_read(path, &back, &err), LDM_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "a negative variance at byte 192"));
    data[size - 1] ^= (char)0x80;
    data[167] ^= 0x40; /* of the covariance 0.5 the exponent: it becomes far too large */
    write_bytes(path, data, size);
    assert_int_equal(ldm_gaussian_read(path, &back, &err), LDM_ERR_FORMAT);
    assert_int_equal(err.offset, 160);
    data[167] ^= 0x40;
    memset(data + size - 8, 0xff, 8);
    write_bytes(path, data, size);
    assert_int_equal(ldm_gaussian_read(path, &back, &err), LDM_ERR_FORMAT);
    assert_int_equal(err.offset, 192);
    ldm_free(data);
    ldm_gaussian_free(g);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_difference), cmocka_unit_test(test_spectra),
        cmocka_unit_test(test_one_dimension),     cmocka_unit_test(test_two_dimensions),
        cmocka_unit_test(test_many_dimensions),   cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
