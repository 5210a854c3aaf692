/* SPDX-License-Identifier: MIT */
/* The published measures against torch-fidelity's numbers (tests/data/inception), and what must
 * hold of statistics in files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/made_inception.h"
#include "base/alloc.h"
#include "image/npy.h"
#include "image/npz_arrays.h"
#include "measure/quality_set.h"

static char weights[] = "/tmp/ldm_inception_XXXXXX"; /* the made weights */
static ldm_inception *net;

static void fine(ldm_status st, const ldm_error *err)
{
    if (st)
        fail_msg("%s", err->msg);
}

static int open_network(void **state)
{
    const int fd = mkstemp(weights);
    ldm_error err;

    (void)state;
    if (fd < 0 || close(fd) || made_inception(weights, LDM_INCEPTION_CLASSES))
        return -1;
    if (ldm_inception_open(weights, NULL, &net, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    return 0;
}

static int close_network(void **state)
{
    (void)state;
    ldm_inception_close(net);
    return unlink(weights);
}

static ldm_quality_settings settings_for(unsigned measures)
{
    ldm_quality_settings how;

    ldm_quality_settings_default(&how, sizeof how);
    how.measures = measures;
    return how;
}

static ldm_quality_set *new_set(const ldm_quality_settings *how)
{
    ldm_quality_set *s;
    ldm_error err;

    fine(ldm_quality_set_create(net, how, &s, &err), &err);
    return s;
}

static void add_made(ldm_quality_set *s, int number, int width, int height)
{
    ldm_image im = {width, height, 3, malloc((size_t)(width * height * 3))};
    ldm_error err;

    assert_non_null(im.pixels);
    made_picture(number, width, height, im.pixels);
    fine(ldm_quality_set_add(s, &im, &err), &err);
    free(im.pixels);
}

static double far_by(const float *got, const float *want, size_t n)
{
    double sum = 0, all = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        sum += pow((double)got[i] - want[i], 2);
        all += pow(want[i], 2);
    }
    return sqrt(sum / all);
}

/* Every tap, for pictures that are enlarged and reduced. */
static void test_features(void **state)
{
    const ldm_quality_settings how = settings_for(LDM_QUALITY_FEATURES);
    ldm_quality_set *s = new_set(&how);
    ldm_error err;
    ldm_npy want;
    size_t row, at;
    int t;

    (void)state;
    fine(ldm_npy_read("tests/data/inception/features.npy", &want, &err), &err);
    add_made(s, 0, 40, 56);
    add_made(s, 1, 320, 290);
    fine(ldm_quality_set_finish(s, &err), &err);
    assert_int_equal(ldm_quality_set_pictures(s), 2);
    for (row = 0; row < 2; row++) {
        for (t = 0, at = 0; t < LDM_TAPS; t++) {
            const size_t n = ldm_tap_dim((ldm_tap)t);
            const double far =
                far_by(s->features[t] + row * n, want.data + row * (size_t)want.shape[1] + at, n);

            if (!(far <= 1e-5))
                fail_msg("picture %zu, %s: %.2e from torch-fidelity's", row,
                         ldm_tap_name((ldm_tap)t), far);
            at += n;
        }
        assert_int_equal(at, want.shape[1]);
    }
    ldm_npy_free(&want);
    ldm_quality_set_free(s);
}

/* A picture's features depend neither on the batch it is in nor on its place there. */
static void test_batches(void **state)
{
    const ldm_quality_settings how = settings_for(LDM_QUALITY_KID);
    ldm_quality_set *many, *one;
    ldm_error err;
    int i;

    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    print_message("skipped: the ten pictures of two batches (a build with sanitizers)\n");
    skip();
#endif
    many = new_set(&how);
    one = new_set(&how);
    for (i = 0; i < LDM_INCEPTION_BATCH + 1; i++)
        add_made(many, i % 3, 50 + i % 3, 40);
    add_made(one, 2, 52, 40);
    fine(ldm_quality_set_finish(many, &err), &err);
    fine(ldm_quality_set_finish(one, &err), &err);
    for (i = 2; i < LDM_INCEPTION_BATCH + 1; i += 3)
        assert_memory_equal(many->features[LDM_TAP_2048] + (size_t)i * 2048,
                            one->features[LDM_TAP_2048], 2048 * sizeof(float));
    ldm_quality_set_free(many);
    ldm_quality_set_free(one);
}

/* ---- measures of made features ----------------------------------------------------------------
 */

static float *made_array(uint32_t stream, size_t n)
{
    float *v = ldm_reallocarray(NULL, n, sizeof *v);
    size_t i;

    assert_non_null(v);
    for (i = 0; i < n; i++)
        v[i] = made_noise(stream, (uint32_t)i);
    return v;
}

/* The two sets of make_reference.py: 40 and 48 pictures. */
static void made_sets(const ldm_quality_settings *how, ldm_quality_set **a, ldm_quality_set **b)
{
    ldm_error err;
    size_t i;

    *a = new_set(how);
    *b = new_set(how);
    (*a)->pictures = (*a)->capacity = 40;
    (*b)->pictures = (*b)->capacity = 48;
    (*a)->features[LDM_TAP_2048] = made_array(2000, 40 * 2048);
    (*b)->features[LDM_TAP_2048] = made_array(2001, 48 * 2048);
    (*a)->features[LDM_TAP_LOGITS_UNBIASED] = made_array(3000, 40 * 1008);
    for (i = 0; i < 40 * 2048; i++)
        (*a)->features[LDM_TAP_2048][i] = fabsf((*a)->features[LDM_TAP_2048][i]);
    for (i = 0; i < 48 * 2048; i++) {
        float *v = &(*b)->features[LDM_TAP_2048][i];

        *v = fabsf(*v) * 1.1f;
        if (i < 20 * 2048)
            *v = (*a)->features[LDM_TAP_2048][i] + 0.25f * *v;
    }
    for (i = 0; i < 40 * 1008; i++)
        (*a)->features[LDM_TAP_LOGITS_UNBIASED][i] *= 8;
    fine(ldm_quality_set_finish(*a, &err), &err);
    fine(ldm_quality_set_finish(*b, &err), &err);
}

/* The number that measures.txt has for a name. */
static double reference(const char *name)
{
    FILE *f = fopen("tests/data/inception/measures.txt", "r");
    char key[80];
    double v;

    assert_non_null(f);
    while (fscanf(f, "%79s %lf", key, &v) == 2) {
        if (!strcmp(key, name)) {
            fclose(f);
            return v;
        }
    }
    fail_msg("measures.txt has no %s", name);
    return NAN;
}

static void near(double got, const char *name, double tolerance)
{
    const double want = reference(name);

    if (!(fabs(got - want) <= tolerance * fabs(want)))
        fail_msg("%s is %.9g, torch-fidelity's is %.9g", name, got, want);
}

static const unsigned MEASURES =
    LDM_QUALITY_FID | LDM_QUALITY_KID | LDM_QUALITY_IS | LDM_QUALITY_PR;

static void test_measures(void **state)
{
    ldm_quality_settings how = settings_for(MEASURES);
    ldm_quality_set *a, *b;
    ldm_quality_result r;
    ldm_error err;

    (void)state;
    how.kid_subsets = 7;
    how.kid_subset_size = 30;
    how.is_splits = 4;
    how.bootstrap = 4;
    made_sets(&how, &a, &b);
    fine(ldm_quality_compare(a, b, &how, &r, sizeof r, &err), &err);
    near(r.fid.value, "frechet_inception_distance", 1e-4);
    near(r.kid.value, "kernel_inception_distance_mean", 1e-4);
    near(r.kid.spread, "kernel_inception_distance_std", 1e-3);
    near(r.is.value, "inception_score_mean", 1e-4);
    near(r.is.spread, "inception_score_std", 1e-4);
    near(r.precision.value, "precision", 1e-6);
    near(r.recall.value, "recall", 1e-6);
    assert_true(r.recall.value > 0 && r.recall.value < 1);
    assert_true(r.fid.error > 0 && r.kid.error > 0 && r.is.error > 0 && r.recall.error > 0);
    assert_int_equal(r.fid.reason[0], '\0');

    how.bootstrap = 0;
    how.measures = LDM_QUALITY_FID;
    fine(ldm_quality_compare(a, b, &how, &r, sizeof r, &err), &err);
    assert_true(isnan(r.fid.error) && isnan(r.kid.value));
    fine(ldm_quality_compare(a, a, &how, &r, sizeof r, &err), &err);
    assert_true(r.fid.value < 1e-9 * reference("frechet_inception_distance"));
    ldm_quality_set_free(a);
    ldm_quality_set_free(b);
}

/* What sets do not allow is refused with its reason, and the rest is computed. */
static void test_too_few(void **state)
{
    ldm_quality_settings how = settings_for(MEASURES);
    ldm_quality_set *a, *b;
    ldm_quality_result r;
    ldm_error err;

    (void)state;
    how.is_splits = 41;
    how.neighbours = 40;
    how.bootstrap = 0;
    made_sets(&how, &a, &b);
    fine(ldm_quality_compare(a, b, &how, &r, sizeof r, &err), &err);
    assert_true(r.fid.value > 0);
    assert_true(isnan(r.kid.value) && strstr(r.kid.reason, "subsets of 1000 pictures"));
    assert_true(isnan(r.is.value) && strstr(r.is.reason, "41 splits"));
    assert_true(isnan(r.recall.value) && strstr(r.recall.reason, "found 40"));
    assert_int_equal(ldm_quality_compare(a, NULL, &how, &r, sizeof r, &err), LDM_ERR_USAGE);
    how.measures = LDM_QUALITY_IS;
    how.is_splits = 4;
    fine(ldm_quality_compare(a, NULL, &how, &r, sizeof r, &err), &err);
    near(r.is.value, "inception_score_mean", 1e-4);
    ldm_quality_set_free(a);
    ldm_quality_set_free(b);
}

/* ---- statistics in files ----------------------------------------------------------------------
 */

/* Statistics of two parts, merged, are those of the whole. */
static void test_statistics_merge(void **state)
{
    const ldm_quality_settings how = settings_for(LDM_QUALITY_FID);
    char name[] = "/tmp/ldm_stats_XXXXXX.npz";
    ldm_quality_set *a, *b, *merged = new_set(&how), *whole = new_set(&how);
    ldm_quality_result r;
    const char *hex;
    ldm_error err;
    const int fd = mkstemps(name, 4);

    (void)state;
    assert_true(fd >= 0 && !close(fd));
    made_sets(&how, &a, &b);
    whole->pictures = 88;
    whole->features[LDM_TAP_2048] = ldm_reallocarray(NULL, 88, 2048 * sizeof(float));
    assert_non_null(whole->features[LDM_TAP_2048]);
    memcpy(whole->features[LDM_TAP_2048], a->features[LDM_TAP_2048], 40 * 2048 * sizeof(float));
    memcpy(whole->features[LDM_TAP_2048] + 40 * 2048, b->features[LDM_TAP_2048],
           48 * 2048 * sizeof(float));
    fine(ldm_quality_set_finish(whole, &err), &err);
    fine(ldm_quality_set_write_stats(a, name, &err), &err);
    fine(ldm_quality_set_add_file(merged, name, &err), &err);
    fine(ldm_quality_set_write_stats(b, name, &err), &err);
    fine(ldm_quality_set_add_file(merged, name, &err), &err);
    fine(ldm_quality_set_finish(merged, &err), &err);
    assert_int_equal(ldm_quality_set_count(merged), 88);
    assert_int_equal(ldm_quality_set_pictures(merged), 0);
    fine(ldm_quality_set_sha256(merged, &hex, &err), &err);
    assert_int_equal(strlen(hex), 64);
#if !defined(__SANITIZE_ADDRESS__) /* takes long; the same code runs below */
    fine(ldm_quality_compare(merged, whole, &how, &r, sizeof r, &err), &err);
    assert_true(r.fid.value < 1e-9 * reference("frechet_inception_distance"));
#endif

    /* The file alone needs no network. */
    ldm_quality_set_free(merged);
    fine(ldm_quality_set_create(NULL, &how, &merged, &err), &err);
    fine(ldm_quality_set_add_file(merged, name, &err), &err);
    fine(ldm_quality_set_finish(merged, &err), &err);
    fine(ldm_quality_compare(a, merged, &how, &r, sizeof r, &err), &err);
    near(r.fid.value, "frechet_inception_distance", 1e-4);
    unlink(name);
    ldm_quality_set_free(a);
    ldm_quality_set_free(b);
    ldm_quality_set_free(merged);
    ldm_quality_set_free(whole);
}

/* A set that holds rows first .. end - 1 of another's features, written as a file of features. */
static void write_rows(const ldm_quality_set *from, size_t first, size_t end, const char *path)
{
    const ldm_quality_settings how = settings_for(LDM_QUALITY_FID);
    ldm_quality_set *part = new_set(&how);
    const size_t row = 2048 * sizeof(float);
    ldm_error err;

    part->pictures = end - first;
    part->features[LDM_TAP_2048] = ldm_reallocarray(NULL, end - first, row);
    assert_non_null(part->features[LDM_TAP_2048]);
    memcpy(part->features[LDM_TAP_2048], from->features[LDM_TAP_2048] + first * 2048,
           (end - first) * row);
    fine(ldm_quality_set_write_features(part, path, &err), &err);
    ldm_quality_set_free(part);
}

/* Statistics of features from any number of files are those of the whole, bit by bit. */
static void test_features_in_parts(void **state)
{
    static const size_t parts[] = {1, 2, 3, 5, 48};
    const ldm_quality_settings how = settings_for(LDM_QUALITY_FID);
    char name[] = "/tmp/ldm_part_XXXXXX.npz";
    const int fd = mkstemps(name, 4);
    const char *hex, *want;
    ldm_quality_set *a, *b, *joined;
    ldm_error err;
    size_t p, i;

    (void)state;
    assert_true(fd >= 0 && !close(fd));
    made_sets(&how, &a, &b);
    fine(ldm_quality_set_sha256(b, &want, &err), &err);
    for (p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        fine(ldm_quality_set_create(NULL, &how, &joined, &err), &err);
        for (i = 0; i < parts[p]; i++) {
            write_rows(b, i * 48 / parts[p], (i + 1) * 48 / parts[p], name);
            fine(ldm_quality_set_add_file(joined, name, &err), &err);
        }
        fine(ldm_quality_set_finish(joined, &err), &err);
        assert_int_equal(ldm_quality_set_count(joined), 48);
        fine(ldm_quality_set_sha256(joined, &hex, &err), &err);
        assert_string_equal(hex, want);
        ldm_quality_set_free(joined);
    }
    unlink(name);
    ldm_quality_set_free(a);
    ldm_quality_set_free(b);
}

/* An .npz of mu [dim] and sigma [dim][dim], and what reading it into a set gives. */
static ldm_status read_made(uint64_t dim, const double *mu, const double *sigma, int64_t count,
                            ldm_quality_set **out, ldm_error *err)
{
    const ldm_quality_settings how = settings_for(LDM_QUALITY_FID);
    char name[] = "/tmp/ldm_stats_XXXXXX.npz";
    const ldm_npz_array arrays[] = {
        {"mu", LDM_NPY_F64, 1, {dim}, mu},
        {"count", LDM_NPY_I64, 0, {0}, &count},
        {"sigma", LDM_NPY_F64, 2, {dim, dim}, sigma},
    };
    const int fd = mkstemps(name, 4);
    ldm_status st;

    assert_true(fd >= 0 && !close(fd));
    fine(ldm_npz_write_arrays(name, arrays, sigma ? 3 : 2, err), err);
    fine(ldm_quality_set_create(NULL, &how, out, err), err);
    st = ldm_quality_set_add_file(*out, name, err);
    unlink(name);
    return st;
}

static void refused(uint64_t dim, const double *mu, const double *sigma, int64_t count,
                    const char *why)
{
    ldm_quality_set *s;
    ldm_error err = {.msg = ""};

    assert_int_not_equal(read_made(dim, mu, sigma, count, &s, &err), LDM_OK);
    if (!strstr(err.msg, why))
        fail_msg("%s, expected: %s", err.msg, why);
    ldm_quality_set_free(s);
}

static void test_bad_statistics(void **state)
{
    enum { DIM = 2048 };
    const ldm_quality_settings how = settings_for(LDM_QUALITY_FID);
    double *mu = calloc(DIM, sizeof *mu), *sigma = calloc(DIM, DIM * sizeof *sigma);
    ldm_quality_set *good, *bad;
    ldm_quality_result r;
    ldm_error err;
    size_t i;

    (void)state;
    assert_true(mu && sigma);
    for (i = 0; i < DIM; i++)
        sigma[i * (DIM + 1)] = i < 4 ? 1 : 0;
    fine(read_made(DIM, mu, sigma, 9, &good, &err), &err);
    fine(ldm_quality_set_finish(good, &err), &err);
    refused(DIM, mu, NULL, 9, "holds mu without sigma");
    refused(64, mu, sigma, 9, "the first of 64, expected [2048]");
    refused(DIM, mu, sigma, -3, "statistics of -3 pictures");
    mu[7] = NAN;
    refused(DIM, mu, sigma, 9, "mu holds NaN");
    mu[7] = 0;
    sigma[5] = INFINITY;
    refused(DIM, mu, sigma, 9, "sigma holds NaN or infinity");
    sigma[5] = 1;
    refused(DIM, mu, sigma, 9, "not symmetric at row 5, column 0");
    sigma[5] = 0;
    sigma[3 * (DIM + 1)] = -1; /* symmetric, and no covariance */
    fine(read_made(DIM, mu, sigma, 9, &bad, &err), &err);
    fine(ldm_quality_set_finish(bad, &err), &err);
    assert_int_equal(ldm_quality_compare(bad, good, &how, &r, sizeof r, &err), LDM_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "not positive semi-definite"));
    assert_int_equal(ldm_quality_compare(good, bad, &how, &r, sizeof r, &err), LDM_ERR_NUMERIC);
    ldm_quality_set_free(good);
    ldm_quality_set_free(bad);
    free(mu);
    free(sigma);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features),         cmocka_unit_test(test_batches),
        cmocka_unit_test(test_measures),         cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_statistics_merge), cmocka_unit_test(test_features_in_parts),
        cmocka_unit_test(test_bad_statistics),
    };

    return cmocka_run_group_tests(tests, open_network, close_network);
}
