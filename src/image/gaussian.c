/* SPDX-License-Identifier: MIT */
/* Mean and covariance of feature vectors and the Fréchet distance; see gaussian.h. */
#include "image/gaussian.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "image/frechet.h"

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

ldm_status ldm_gaussian_distance(const ldm_gaussian *a, const ldm_gaussian *b, double *out,
                                 ldm_error *err)
{
    const ldm_gaussian *few = a->count < b->count ? a : b, *many = few == a ? b : a;
    double *cf = NULL, *cm = NULL;
    ldm_status st = LDM_OK;

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
    if (!st)
        st = ldm_frechet(&(ldm_normal){few->dim, few->mean, cf},
                         &(ldm_normal){many->dim, many->mean, cm}, NULL, out, err);
    ldm_free(cf);
    ldm_free(cm);
    return st;
}
