/* SPDX-License-Identifier: MIT */
/* Eigenvalues of a symmetric matrix: tridiagonal form, then QL; see eigen.h. */
#include "image/eigen.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { MAX_ROUNDS = 60 }; /* per eigenvalue; two or three are usual */

/* Makes the vector v[m], which holds a column, the reflection (I - beta v v^T) that leaves only its
 * first entry, *first. Returns beta, 0 where the column is zero below that entry already. */
static double reflection(double *v, size_t m, double *first)
{
    double largest = 0, sum = 0, norm;
    size_t i;

    for (i = 0; i < m; i++)
        largest = fmax(largest, fabs(v[i]));
    *first = v[0];
    for (i = 1; i < m && v[i] == 0; i++)
        ;
    if (i >= m)
        return 0;
    for (i = 0; i < m; i++) /* scaled: squares neither overflow nor vanish */
        sum += (v[i] / largest) * (v[i] / largest);
    norm = largest * sqrt(sum);
    *first = v[0] > 0 ? -norm : norm; /* away from v[0]: nothing cancels */
    v[0] -= *first;
    sum = 0;
    for (i = 0; i < m; i++) {
        v[i] /= norm;
        sum += v[i] * v[i];
    }
    return 2 / sum;
}

/* The trailing block of the matrix: m rows of `stride`. Rows are shared out in runs. */
typedef struct block_job {
    double *b;
    size_t stride, m, runs;
    double beta;
    const double *v;
    double *q;
    double *dots; /* of each row with v */
} block_job;

enum { LANES = 8 }; /* sums that run side by side */

static double dot(const double *restrict x, const double *restrict y, size_t n)
{
    double lanes[LANES] = {0}, sum = 0;
    size_t i, k;

    for (i = 0; i + LANES <= n; i += LANES) {
        for (k = 0; k < LANES; k++)
            lanes[k] += x[i + k] * y[i + k];
    }
    for (; i < n; i++)
        sum += x[i] * y[i];
    for (k = 0; k < LANES; k++)
        sum += lanes[k];
    return sum;
}

static void subtract_two(double *restrict row, double x, const double *restrict q, double y,
                         const double *restrict v, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        row[i] -= x * q[i] + y * v[i];
}

static void dot_rows(void *arg, size_t run, int worker)
{
    const block_job *j = arg;
    size_t i;

    (void)worker;
    for (i = j->m * run / j->runs; i < j->m * (run + 1) / j->runs; i++)
        j->dots[i] = dot(j->b + i * j->stride, j->v, j->m);
}

static void update_rows(void *arg, size_t run, int worker)
{
    const block_job *j = arg;
    size_t i;

    (void)worker;
    for (i = j->m * run / j->runs; i < j->m * (run + 1) / j->runs; i++)
        subtract_two(j->b + i * j->stride, j->v[i], j->q, j->q[i], j->v, j->m);
}

static void run_rows(ldm_pool *pool, block_job *j, ldm_task_fn *fn)
{
    enum { WORTH_SHARING = 128 };

    j->runs = pool && j->m >= WORTH_SHARING ? (size_t)ldm_pool_threads(pool) : 1;
    if (j->runs > 1)
        ldm_pool_run(pool, j->runs, fn, j);
    else
        fn(j, 0, 0);
}

/* The block b becomes H b H for H = I - beta v v^T, which is b - v q^T - q v^T for
 * q = p - (beta/2 p.v) v, p = beta b v. */
static void reflect_block(block_job *j, ldm_pool *pool)
{
    double share;
    size_t i;

    run_rows(pool, j, dot_rows);
    for (i = 0; i < j->m; i++)
        j->q[i] = j->beta * j->dots[i];
    share = j->beta / 2 * dot(j->q, j->v, j->m);
    for (i = 0; i < j->m; i++)
        j->q[i] -= share * j->v[i];
    run_rows(pool, j, update_rows);
}

/* d[n]: the diagonal, e[n]: e[i] stands between d[i] and d[i + 1], e[n - 1] = 0. */
static void make_tridiagonal(double *a, size_t n, ldm_pool *pool, double *d, double *e,
                             double *work)
{
    double *v = work;
    size_t i, k;

    for (k = 0; k < n; k++) {
        block_job j = {.stride = n, .m = n - k - 1, .v = v, .q = work + n, .dots = work + 2 * n};

        d[k] = a[k * n + k];
        e[k] = 0;
        if (!j.m)
            break;
        for (i = 0; i < j.m; i++)
            v[i] = a[(k + 1 + i) * n + k];
        j.b = a + (k + 1) * (n + 1);
        j.beta = reflection(v, j.m, &e[k]);
        if (j.beta != 0)
            reflect_block(&j, pool);
    }
}

/* One QL step on rows first..last: a shift near d[first], then plane rotations from the bottom up
 * chase the bulge out. */
static void ql_step(double *d, double *e, size_t first, size_t last)
{
    double half = (d[first + 1] - d[first]) / (2 * e[first]);
    double shift = d[first] - e[first] / (half + copysign(hypot(half, 1), half));
    double x = d[last] - shift, c = 1, s = 1, carried = 0;
    size_t i;

    for (i = last; i-- > first;) {
        double f = s * e[i], b = c * e[i], r = hypot(f, x), next;

        e[i + 1] = r;
        if (r == 0) { /* the matrix fell apart: what was chased so far stays */
            d[i + 1] -= carried;
            e[last] = 0;
            return;
        }
        s = f / r;
        c = x / r;
        next = d[i + 1] - carried;
        r = (d[i] - next) * s + 2 * c * b;
        carried = s * r;
        d[i + 1] = next + carried;
        x = c * r - b;
    }
    d[first] -= carried;
    e[first] = x;
    e[last] = 0;
}

static ldm_status diagonalise(double *d, double *e, size_t n, ldm_error *err)
{
    size_t first, last;
    int rounds;

    for (first = 0; first < n; first++) {
        for (rounds = 0;; rounds++) {
            for (last = first; last + 1 < n; last++) {
                if (fabs(e[last]) <= DBL_EPSILON * (fabs(d[last]) + fabs(d[last + 1])))
                    break;
            }
            if (last == first)
                break;
            if (rounds == MAX_ROUNDS)
                return ldm_error_set(err, LDM_ERR_NUMERIC,
                                     "eigenvalue %zu of %zu did not settle in %d rounds", first + 1,
                                     n, MAX_ROUNDS);
            ql_step(d, e, first, last);
        }
    }
    return LDM_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

ldm_status ldm_symmetric_eigenvalues(double *a, size_t n, ldm_pool *pool, double *values,
                                     ldm_error *err)
{
    double *work;
    ldm_status st;
    size_t i;

    for (i = 0; i < n * n; i++) {
        if (!isfinite(a[i]))
            return ldm_error_set(err, LDM_ERR_NUMERIC,
                                 "the matrix holds NaN or infinity at row %zu, column %zu", i / n,
                                 i % n);
    }
    if (!n)
        return LDM_OK;
    work = ldm_reallocarray(NULL, 4 * n, sizeof *work);
    if (!work)
        return ldm_error_nomem(err, 4 * n * sizeof *work, "eigenvalues");
    make_tridiagonal(a, n, pool, values, work, work + n);
    st = diagonalise(values, work, n, err);
    ldm_free(work);
    if (!st)
        qsort(values, n, sizeof *values, ascending);
    return st;
}
