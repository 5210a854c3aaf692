/* SPDX-License-Identifier: MIT */
/* Frechet distances and covariances; see frechet.h. Work is shared out by rows of the result, and
 * the order in which a value's terms are added does not depend on who adds them. */
#include "image/frechet.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "image/eigen.h"

/* A negative eigenvalue of a covariance that float32 rounded is smaller than this part of the
 * largest. */
static const double NEGATIVE = 1e-4;

/* Of equal sets the traces cancel but for so much of them. */
static const double ROUNDING = 1e-12;

enum { GROUP = 4 }; /* rows of a product that are computed together */

static void run_tasks(ldm_pool *pool, size_t count, ldm_task_fn *fn, void *arg)
{
    size_t i;

    if (pool) {
        ldm_pool_run(pool, count, fn, arg);
        return;
    }
    for (i = 0; i < count; i++)
        fn(arg, i, 0);
}

/* ---- products -------------------------------------------------------------------------------- */

/* c[rows][n] = a[rows][k] b[k][n], dense. `lower`: only columns up to the group's last row. */
typedef struct product {
    const double *a, *b;
    double *c;
    size_t rows, k, n;
    bool lower;
} product;

/* Four rows of c gain four terms each. */
static void add_terms(double *restrict c0, double *restrict c1, double *restrict c2,
                      double *restrict c3, const double *restrict b, size_t stride,
                      const double a[GROUP][GROUP], size_t n)
{
    const double *restrict b0 = b, *restrict b1 = b + stride, *restrict b2 = b + 2 * stride,
                           *restrict b3 = b + 3 * stride;
    size_t i;

    for (i = 0; i < n; i++) {
        c0[i] += a[0][0] * b0[i] + a[0][1] * b1[i] + a[0][2] * b2[i] + a[0][3] * b3[i];
        c1[i] += a[1][0] * b0[i] + a[1][1] * b1[i] + a[1][2] * b2[i] + a[1][3] * b3[i];
        c2[i] += a[2][0] * b0[i] + a[2][1] * b1[i] + a[2][2] * b2[i] + a[2][3] * b3[i];
        c3[i] += a[3][0] * b0[i] + a[3][1] * b1[i] + a[3][2] * b2[i] + a[3][3] * b3[i];
    }
}

static void add_term(double *restrict c, const double *restrict b, double a, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        c[i] += a * b[i];
}

/* A few columns of a group of rows at a time, so that they stay in the first-level cache. */
static void product_group(const product *p, size_t row, size_t column, size_t n)
{
    double *c = p->c + row * p->n + column;
    const double *a = p->a + row * p->k, *b = p->b + column;
    const size_t rows = p->rows - row < GROUP ? p->rows - row : GROUP;
    double factors[GROUP][GROUP];
    size_t k = 0, i, j;

    for (i = 0; i < rows; i++)
        memset(c + i * p->n, 0, n * sizeof *c);
    for (; rows == GROUP && k + GROUP <= p->k; k += GROUP) {
        for (i = 0; i < GROUP; i++) {
            for (j = 0; j < GROUP; j++)
                factors[i][j] = a[i * p->k + k + j];
        }
        add_terms(c, c + p->n, c + 2 * p->n, c + 3 * p->n, b + k * p->n, p->n,
                  (const double(*)[GROUP])factors, n);
    }
    for (; k < p->k; k++) {
        for (i = 0; i < rows; i++)
            add_term(c + i * p->n, b + k * p->n, a[i * p->k + k], n);
    }
}

static void product_task(void *arg, size_t group, int worker)
{
    enum { COLUMNS = 512 };
    const product *p = arg;
    const size_t row = group * GROUP;
    const size_t end = p->lower && row + GROUP < p->n ? row + GROUP : p->n;
    size_t column;

    (void)worker;
    for (column = 0; column < end; column += COLUMNS)
        product_group(p, row, column, end - column < COLUMNS ? end - column : COLUMNS);
}

static void multiply(ldm_pool *pool, const product *p)
{
    run_tasks(pool, (p->rows + GROUP - 1) / GROUP, product_task, (void *)(uintptr_t)p);
}

/* ---- distance -------------------------------------------------------------------------------- */

static double trace(const ldm_normal *g)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < g->dim; i++)
        sum += g->cov[i * (g->dim + 1)];
    return sum;
}

static ldm_status not_a_covariance(ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_NUMERIC,
                         "the covariance is not positive semi-definite: the statistics are "
                         "damaged, or are no covariance");
}

/* Cholesky with the largest remaining variance first: c = L L^T, of which l[rank][n] is L^T. It
 * stops where what is left is rounding (a covariance of fewer vectors than dimensions is singular).
 * left: [n], for the variances that remain. */
static ldm_status factorise(const ldm_normal *g, double *l, double *left, size_t *rank,
                            ldm_error *err)
{
    const size_t n = g->dim;
    double largest = 0, limit;
    size_t i, k;

    for (i = 0; i < n; i++) {
        left[i] = g->cov[i * (n + 1)];
        largest = fmax(largest, left[i]);
    }
    limit = largest * (double)n * DBL_EPSILON;
    for (*rank = 0; *rank < n; ++*rank) {
        double *column = l + *rank * n, root;
        size_t pivot = 0;

        for (i = 1; i < n; i++) {
            if (left[i] > left[pivot])
                pivot = i;
        }
        if (!(left[pivot] > limit))
            break;
        root = sqrt(left[pivot]);
        memcpy(column, g->cov + pivot * n, n * sizeof *column);
        for (k = 0; k < *rank; k++)
            add_term(column, l + k * n, -l[k * n + pivot], n);
        for (i = 0; i < n; i++) {
            column[i] /= root;
            left[i] -= column[i] * column[i];
        }
        column[pivot] = root;
        left[pivot] = -INFINITY; /* done with it */
    }
    for (i = 0; i < n; i++) {
        if (left[i] < -NEGATIVE * largest && left[i] != -INFINITY)
            return not_a_covariance(err);
    }
    return LDM_OK;
}

static void transpose(const double *from, size_t rows, size_t columns, double *to)
{
    enum { TILE = 16 };
    size_t r, c, i, k;

    for (r = 0; r < rows; r += TILE) {
        for (c = 0; c < columns; c += TILE) {
            for (i = r; i < r + TILE && i < rows; i++) {
                for (k = c; k < c + TILE && k < columns; k++)
                    to[k * rows + i] = from[i * columns + k];
            }
        }
    }
}

/* The eigenvalues of s[r][r], whose lower triangle is filled: the sum of their roots. */
static ldm_status sum_roots(double *s, size_t r, ldm_pool *pool, double *values, double *out,
                            ldm_error *err)
{
    ldm_status st;
    size_t i, k;

    for (i = 0; i < r; i++) {
        for (k = 0; k < i; k++)
            s[k * r + i] = s[i * r + k];
    }
    st = ldm_symmetric_eigenvalues(s, r, pool, values, err);
    if (!st && r && values[0] < -NEGATIVE * fabs(values[r - 1]))
        st = not_a_covariance(err);
    for (i = 0; !st && i < r; i++)
        *out += values[i] > 0 ? sqrt(values[i]) : 0;
    return st;
}

/* tr (Ca Cb)^(1/2) */
static ldm_status root_trace(const ldm_normal *a, const ldm_normal *b, ldm_pool *pool, double *out,
                             ldm_error *err)
{
    const size_t n = a->dim;
    double *l = ldm_reallocarray(NULL, n, n * sizeof *l);
    double *values = ldm_reallocarray(NULL, n, sizeof *values);
    double *tmp = NULL, *across = NULL, *s = NULL;
    size_t r = 0;
    ldm_status st = l && values
                        ? factorise(a, l, values, &r, err)
                        : ldm_error_nomem(err, (uint64_t)n * n * sizeof *l, "the Frechet distance");

    *out = 0;
    if (!st && r) {
        tmp = ldm_reallocarray(NULL, r, n * sizeof *tmp);
        across = ldm_reallocarray(NULL, r, n * sizeof *across);
        s = ldm_reallocarray(NULL, r, r * sizeof *s);
        if (!tmp || !across || !s)
            st = ldm_error_nomem(err, (uint64_t)r * n * sizeof *l, "the Frechet distance");
    }
    if (!st && r) {
        multiply(pool, &(product){.a = l, .b = b->cov, .c = tmp, .rows = r, .k = n, .n = n});
        transpose(l, r, n, across);
        multiply(
            pool,
            &(product){.a = tmp, .b = across, .c = s, .rows = r, .k = n, .n = r, .lower = true});
        st = sum_roots(s, r, pool, values, out, err);
    }
    ldm_free(l);
    ldm_free(values);
    ldm_free(tmp);
    ldm_free(across);
    ldm_free(s);
    return st;
}

static ldm_status check_finite(const ldm_normal *g, ldm_error *err)
{
    size_t i;

    for (i = 0; i < g->dim; i++) {
        if (!isfinite(g->mean[i]))
            return ldm_error_set(err, LDM_ERR_NUMERIC, "mean %zu is NaN or infinite", i);
    }
    for (i = 0; i < g->dim * g->dim; i++) {
        if (!isfinite(g->cov[i]))
            return ldm_error_set(err, LDM_ERR_NUMERIC,
                                 "the covariance of %zu and %zu is NaN or infinite", i / g->dim,
                                 i % g->dim);
    }
    return LDM_OK;
}

ldm_status ldm_frechet(const ldm_normal *a, const ldm_normal *b, ldm_pool *pool, double *out,
                       ldm_error *err)
{
    double sum = 0, root = 0, traces;
    ldm_status st = check_finite(a, err);
    size_t i;

    *out = 0;
    if (!st)
        st = check_finite(b, err);
    if (!st)
        st = root_trace(a, b, pool, &root, err);
    if (st)
        return st;
    for (i = 0; i < a->dim; i++)
        sum += (a->mean[i] - b->mean[i]) * (a->mean[i] - b->mean[i]);
    traces = trace(a) + trace(b);
    sum += traces - 2 * root;
    *out = sum > ROUNDING * traces ? sum : 0;
    return LDM_OK;
}

/* ---- covariances ----------------------------------------------------------------------------- */

/* Blocks of rows, less the mean and transposed: value d of row i of the block is at
 * block[d * BLOCK + i]. */
enum { BLOCK = 64 };

typedef struct cov_job {
    const double *block;
    size_t dim, count; /* rows of this block; the others are zero */
    double *cov;
} cov_job;

/* Both blocks are whole. Sanitizers would look at each of the 2048 * 2048 / 2 * 64 elements of an
 * Inception covariance: 40 s for what takes one. */
__attribute__((no_sanitize("address", "undefined"))) static double
dot_block(const double *restrict x, const double *restrict y)
{
    enum { LANES = 8 };
    double lanes[LANES] = {0};
    int i, k;

    for (i = 0; i < BLOCK; i += LANES) {
        for (k = 0; k < LANES; k++)
            lanes[k] += x[i + k] * y[i + k];
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

static void cov_task(void *arg, size_t d, int worker)
{
    const cov_job *j = arg;
    const double *x = j->block + d * BLOCK;
    double *row = j->cov + d * j->dim;
    size_t k;

    (void)worker;
    for (k = 0; k <= d; k++)
        row[k] += dot_block(x, j->block + k * BLOCK);
}

static const float *row_of(const float *rows, const uint32_t *picks, size_t i, size_t dim)
{
    return rows + (picks ? picks[i] : i) * dim;
}

ldm_status ldm_covariance_of_rows(const float *rows, const uint32_t *picks, size_t count,
                                  size_t dim, ldm_pool *pool, double *mean, double *cov,
                                  ldm_error *err)
{
    double *block = ldm_calloc(dim, BLOCK * sizeof *block);
    cov_job job = {.block = block, .dim = dim, .cov = cov};
    size_t first, i, d;

    if (!block)
        return ldm_error_nomem(err, (uint64_t)dim * BLOCK * sizeof *block, "a covariance");
    memset(mean, 0, dim * sizeof *mean);
    memset(cov, 0, dim * dim * sizeof *cov);
    for (i = 0; i < count; i++) {
        const float *row = row_of(rows, picks, i, dim);

        for (d = 0; d < dim; d++)
            mean[d] += row[d];
    }
    for (d = 0; d < dim; d++)
        mean[d] /= (double)count;
    for (first = 0; first < count; first += BLOCK) {
        job.count = count - first < BLOCK ? count - first : BLOCK;
        for (i = 0; i < BLOCK; i++) {
            const float *row = row_of(rows, picks, first + (i < job.count ? i : 0), dim);

            for (d = 0; d < dim; d++)
                block[d * BLOCK + i] = i < job.count ? row[d] - mean[d] : 0;
        }
        run_tasks(pool, dim, cov_task, &job);
    }
    for (d = 0; d < dim; d++) {
        for (i = 0; i <= d; i++)
            cov[d * dim + i] = cov[i * dim + d] = cov[d * dim + i] / (double)(count - 1);
    }
    ldm_free(block);
    return LDM_OK;
}
