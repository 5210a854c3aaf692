/* SPDX-License-Identifier: MIT */
/* Mean and covariance of feature vectors and the Fréchet distance; see gaussian.h. */
#include "image/gaussian.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "image/eigen.h"

ldm_status ldm_gaussian_create(size_t dim, ldm_gaussian **out, ldm_error *err)
{
    ldm_gaussian *g;

    *out = NULL;
    if (!dim || dim > LDM_GAUSSIAN_MAX_DIM)
        return ldm_error_set(err, LDM_ERR_RANGE, "%zu features, expected 1 to %d", dim,
                             LDM_GAUSSIAN_MAX_DIM);
    g = ldm_calloc(1, sizeof *g);
    if (g) {
        g->dim = dim;
        g->mean = ldm_calloc(dim, sizeof *g->mean);
        g->scatter = ldm_calloc(dim, dim * sizeof *g->scatter);
    }
    if (!g || !g->mean || !g->scatter) {
        ldm_gaussian_free(g);
        return ldm_error_nomem(err, (uint64_t)dim * dim * sizeof(double), "a covariance");
    }
    *out = g;
    return LDM_OK;
}

void ldm_gaussian_free(ldm_gaussian *g)
{
    if (!g)
        return;
    ldm_free(g->mean);
    ldm_free(g->scatter);
    ldm_free(g);
}

void ldm_gaussian_add(ldm_gaussian *g, const double *x, double *work)
{
    double n = (double)++g->count, weight = (n - 1) / n;
    size_t i, k;

    for (i = 0; i < g->dim; i++) {
        work[i] = x[i] - g->mean[i];
        g->mean[i] += work[i] / n;
    }
    for (i = 0; i < g->dim; i++) {
        double *row = g->scatter + i * g->dim, f = weight * work[i];

        for (k = 0; k <= i; k++)
            row[k] += f * work[k];
    }
}

/* ---- distance -------------------------------------------------------------------------------- */

/* The covariance with both triangles filled. */
static double *covariance(const ldm_gaussian *g)
{
    size_t n = g->dim, i, k;
    double *c = ldm_reallocarray(NULL, n, n * sizeof *c);
    double f = 1 / (double)(g->count - 1);

    if (!c)
        return NULL;
    for (i = 0; i < n; i++) {
        for (k = 0; k <= i; k++)
            c[i * n + k] = c[k * n + i] = f * g->scatter[i * n + k];
    }
    return c;
}

static double trace(const double *c, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += c[i * (n + 1)];
    return sum;
}

/* Cholesky with the largest remaining variance first: c = L L^T for L [n][rank], rows of n. It
 * stops where what is left is rounding (a covariance of fewer vectors than dimensions is singular).
 * c is destroyed. */
static size_t factorise(double *c, size_t n, double *l)
{
    double limit = 0;
    size_t rank, i, k;

    memset(l, 0, n * n * sizeof *l);
    for (i = 0; i < n; i++)
        limit = fmax(limit, c[i * (n + 1)]);
    limit *= (double)n * DBL_EPSILON;
    for (rank = 0; rank < n; rank++) {
        size_t pivot = 0;
        double root;

        for (i = 1; i < n; i++) {
            if (c[i * (n + 1)] > c[pivot * (n + 1)])
                pivot = i;
        }
        if (!(c[pivot * (n + 1)] > limit))
            break;
        root = sqrt(c[pivot * (n + 1)]);
        for (i = 0; i < n; i++)
            l[i * n + rank] = c[i * n + pivot] / root;
        for (i = 0; i < n; i++) {
            double f = l[i * n + rank];

            for (k = 0; k < n; k++)
                c[i * n + k] -= f * l[k * n + rank];
        }
        for (i = 0; i < n; i++) /* done with it: exactly zero, or it might be picked again */
            c[i * n + pivot] = c[pivot * n + i] = 0;
    }
    return rank;
}

/* out[r][r] = L^T C L; tmp [n][r]. */
static void sandwich(const double *l, const double *c, size_t n, size_t r, double *tmp, double *out)
{
    size_t i, j, k;

    memset(tmp, 0, n * r * sizeof *tmp);
    memset(out, 0, r * r * sizeof *out);
    for (i = 0; i < n; i++) {
        for (k = 0; k < n; k++) {
            double f = c[i * n + k];

            for (j = 0; j < r; j++)
                tmp[i * r + j] += f * l[k * n + j];
        }
    }
    for (k = 0; k < n; k++) {
        for (i = 0; i < r; i++) {
            double f = l[k * n + i];

            for (j = 0; j < r; j++)
                out[i * r + j] += f * tmp[k * r + j];
        }
    }
}

/* tr (Ca Cb)^(1/2); both are destroyed. */
static ldm_status root_trace(double *ca, double *cb, size_t n, double *out, ldm_error *err)
{
    double *l = ldm_reallocarray(NULL, n, n * sizeof *l);
    double *tmp = ldm_reallocarray(NULL, n, n * sizeof *tmp);
    double *values = ldm_reallocarray(NULL, n, sizeof *values);
    ldm_status st = LDM_OK;
    size_t rank, i;

    *out = 0;
    if (!l || !tmp || !values) {
        st = ldm_error_nomem(err, (uint64_t)n * n * sizeof *l, "the Frechet distance");
    } else {
        rank = factorise(ca, n, l);
        sandwich(l, cb, n, rank, tmp, ca);
        st = ldm_symmetric_eigenvalues(ca, rank, values, err);
        for (i = 0; !st && i < rank; i++)
            *out += values[i] > 0 ? sqrt(values[i]) : 0;
    }
    ldm_free(l);
    ldm_free(tmp);
    ldm_free(values);
    return st;
}

ldm_status ldm_gaussian_distance(const ldm_gaussian *a, const ldm_gaussian *b, double *out,
                                 ldm_error *err)
{
    const ldm_gaussian *few = a->count < b->count ? a : b, *many = few == a ? b : a;
    double *cf = NULL, *cm = NULL, root, sum = 0;
    ldm_status st = LDM_OK;
    size_t i;

    *out = 0;
    if (a->dim != b->dim)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "statistics of %zu and of %zu features cannot be compared", a->dim,
                             b->dim);
    if (strcmp(a->network, b->network))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the statistics come from different networks (%.12s... and %.12s...) "
                             "and cannot be compared; make them with the same model",
                             a->network, b->network);
    if (few->count < 2)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "a Frechet distance needs 2 pictures at least on either side, found "
                             "%llu",
                             (unsigned long long)few->count);
    cf = covariance(few);
    cm = covariance(many);
    if (!cf || !cm)
        st = ldm_error_nomem(err, (uint64_t)a->dim * a->dim * sizeof *cf, "the Frechet distance");
    for (i = 0; i < a->dim; i++)
        sum += (a->mean[i] - b->mean[i]) * (a->mean[i] - b->mean[i]);
    if (!st) {
        sum += trace(cf, a->dim) + trace(cm, a->dim);
        st = root_trace(cf, cm, a->dim, &root, err);
    }
    if (!st)
        *out = fmax(0, sum - 2 * root); /* equal sets: rounding may fall below 0 */
    ldm_free(cf);
    ldm_free(cm);
    return st;
}
