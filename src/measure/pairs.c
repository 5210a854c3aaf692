/* SPDX-License-Identifier: MIT */
/* KID, precision and recall: measures of all pairs of pictures, whose inner products the network's
 * own kernels compute. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "measure/quality.h"
#include "sample/rng.h"

enum { DIM = 2048 };

/* A linear layer whose weights are b. */
ldm_status ldm_inner_products(ldm_inception *n, const float *a, size_t na, const float *b,
                              size_t nb, size_t dim, float *out, ldm_error *err)
{
    const ldm_conv_desc d = {.cin = (int)dim,
                             .cout = (int)nb,
                             .kernel_h = 1,
                             .kernel_w = 1,
                             .stride = 1,
                             .in_h = 1,
                             .in_w = (int)na,
                             .out_h = 1,
                             .out_w = (int)na};
    const int threads = ldm_pool_threads(n->pool);
    ldm_exec_ctx ctx = {.pool = n->pool, .threads = threads};
    ldm_conv_args args = {.packed = b};
    ldm_conv_plan plan;
    float *packed = NULL;
    int task;
    ldm_status st =
        n->backend->conv_plan(n->backend, &d, LDM_PRECISION_EXACT, -1, threads, &plan, err);

    if (st)
        return st;
    ctx.scratch_floats = plan.scratch_floats;
    ctx.scratch = ldm_pages_alloc(plan.scratch_floats * sizeof *ctx.scratch);
    if (!plan.as_is)
        packed = ldm_pages_alloc(plan.packed_floats * sizeof *packed);
    if (!ctx.scratch || (!plan.as_is && !packed))
        st = ldm_error_nomem(err, plan.packed_floats * sizeof *packed, "inner products");
    for (task = 0; !st && packed && task < plan.pack_tasks; task++)
        n->backend->conv_pack(n->backend, &plan, b, packed, task);
    if (!st) {
        args.packed = packed ? packed : b;
        /* only read through */
        args.x = (ldm_view){(float *)(uintptr_t)a, 1, 1, (int)na, (int)dim, dim};
        args.y = (ldm_view){out, 1, 1, (int)na, (int)nb, nb};
        n->backend->conv(n->backend, &ctx, &plan, &args);
    }
    ldm_pages_free(ctx.scratch, plan.scratch_floats * sizeof *ctx.scratch);
    ldm_pages_free(packed, plan.packed_floats * sizeof *packed);
    return st;
}

static ldm_inception *net_of(const ldm_comparison *c)
{
    return c->samples->net ? c->samples->net : c->reference->net;
}

/* ---- KID ------------------------------------------------------------------------------------- */

/* Room for one pair of subsets. */
typedef struct kid_work {
    uint32_t *order; /* of the larger set */
    float *rows[2];  /* [m][DIM] */
    float *products; /* [m][m] */
    size_t m;
} kid_work;

static void kid_free(kid_work *w)
{
    ldm_free(w->order);
    ldm_free(w->rows[0]);
    ldm_free(w->rows[1]);
    ldm_free(w->products);
}

static ldm_status kid_create(const ldm_comparison *c, kid_work *w, ldm_error *err)
{
    const size_t a = c->samples->pictures, b = c->reference->pictures;

    *w = (kid_work){.m = (size_t)c->how->kid_subset_size};
    w->order = ldm_reallocarray(NULL, a > b ? a : b, sizeof *w->order);
    w->rows[0] = ldm_reallocarray(NULL, w->m, DIM * sizeof(float));
    w->rows[1] = ldm_reallocarray(NULL, w->m, DIM * sizeof(float));
    w->products = ldm_reallocarray(NULL, w->m, w->m * sizeof(float));
    if (w->order && w->rows[0] && w->rows[1] && w->products)
        return LDM_OK;
    kid_free(w);
    return ldm_error_nomem(err, (uint64_t)w->m * w->m * sizeof(float), "KID");
}

/* Picks m pictures of a set, all different, or with replacement. */
static void pick(const ldm_quality_set *s, ldm_rng *rng, bool replace, kid_work *w, float *rows)
{
    size_t i;

    if (!replace)
        ldm_rng_permutation(rng, (uint32_t)s->pictures, w->order);
    for (i = 0; i < w->m; i++) {
        const size_t row = replace ? ldm_rng_interval(rng, (uint32_t)s->pictures - 1) : w->order[i];

        memcpy(rows + i * DIM, s->features[LDM_TAP_2048] + row * DIM, DIM * sizeof *rows);
    }
}

/* The sum of the kernel (x.y / DIM + 1)^3 over all pairs, or all pairs of different numbers. */
static ldm_status kernel_sum(ldm_inception *n, const kid_work *w, const float *a, const float *b,
                             bool diagonal, double *out, ldm_error *err)
{
    ldm_status st = ldm_inner_products(n, a, w->m, b, w->m, DIM, w->products, err);
    size_t i, k;

    *out = 0;
    for (i = 0; !st && i < w->m; i++) {
        double row = 0;

        for (k = 0; k < w->m; k++) {
            const double v = w->products[i * w->m + k] * (1.0 / DIM) + 1;

            row += i == k && !diagonal ? 0 : v * v * v;
        }
        *out += row;
    }
    return st;
}

/* The unbiased estimate of the squared maximum mean discrepancy of one pair of subsets. */
static ldm_status discrepancy(ldm_inception *n, const kid_work *w, double *out, ldm_error *err)
{
    const double m = (double)w->m;
    double own[2], across = 0;
    ldm_status st = kernel_sum(n, w, w->rows[0], w->rows[0], false, &own[0], err);

    if (!st)
        st = kernel_sum(n, w, w->rows[1], w->rows[1], false, &own[1], err);
    if (!st)
        st = kernel_sum(n, w, w->rows[0], w->rows[1], true, &across, err);
    if (!st)
        *out = (own[0] + own[1]) / (m * (m - 1)) - 2 * across / (m * m);
    return st;
}

static ldm_status discrepancies(const ldm_comparison *c, ldm_rng *rng, bool replace, kid_work *w,
                                double *values, size_t count, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < count; i++) {
        pick(c->samples, rng, replace, w, w->rows[0]);
        pick(c->reference, rng, replace, w, w->rows[1]);
        st = discrepancy(net_of(c), w, &values[i], err);
    }
    return st;
}

ldm_status ldm_measure_kid(const ldm_comparison *c, ldm_quality_figure *f, ldm_error *err)
{
    const size_t a = c->samples->pictures, b = c->reference->pictures, fewest = a < b ? a : b;
    const size_t subsets = (size_t)c->how->kid_subsets, drawn = (size_t)c->how->bootstrap;
    double *values, mean, deviation;
    kid_work w;
    ldm_rng rng;
    ldm_status st;

    if (fewest < (size_t)c->how->kid_subset_size) {
        ldm_figure_refuse(f,
                          "subsets of %d pictures cannot be drawn from %zu; set a smaller size "
                          "(--kid-subset-size)",
                          c->how->kid_subset_size, fewest);
        return LDM_OK;
    }
    st = kid_create(c, &w, err);
    if (st)
        return st;
    values = ldm_calloc(subsets + drawn, sizeof *values);
    st = values ? LDM_OK : ldm_error_nomem(err, (subsets + drawn) * sizeof *values, "KID");
    ldm_rng_seed(&rng, c->how->seed);
    if (!st)
        st = discrepancies(c, &rng, false, &w, values, subsets, err);
    if (!st)
        ldm_mean_and_deviation(values, subsets, false, &f->value, &f->spread);
    if (!st && drawn)
        st = discrepancies(c, &rng, true, &w, values + subsets, drawn, err);
    if (!st && drawn) {
        /* m of n pictures were drawn: the deviation shrinks with the root of their number */
        ldm_mean_and_deviation(values + subsets, drawn, true, &mean, &deviation);
        f->error = deviation * sqrt((double)w.m / (double)fewest);
    }
    ldm_free(values);
    kid_free(&w);
    return st;
}

/* ---- precision and recall -------------------------------------------------------------------- */

enum { ROWS = 256, MOST_NEIGHBOURS = 64 };

/* One set against another, some rows at a time. */
typedef struct pairs {
    ldm_inception *net;
    const float *a, *b;
    size_t na, nb;
    double *squares_a, *squares_b; /* of the vectors' lengths */
    float *products;               /* [ROWS][nb] */
} pairs;

static double *lengths(const float *rows, size_t n)
{
    double *out = ldm_reallocarray(NULL, n, sizeof *out);
    size_t i, k;

    for (i = 0; out && i < n; i++) {
        out[i] = 0;
        for (k = 0; k < DIM; k++)
            out[i] += (double)rows[i * DIM + k] * rows[i * DIM + k];
    }
    return out;
}

static void pairs_free(pairs *p)
{
    ldm_free(p->squares_a);
    ldm_free(p->squares_b);
    ldm_free(p->products);
}

static ldm_status pairs_create(ldm_inception *net, const ldm_quality_set *a,
                               const ldm_quality_set *b, pairs *p, ldm_error *err)
{
    *p = (pairs){.net = net,
                 .a = a->features[LDM_TAP_2048],
                 .b = b->features[LDM_TAP_2048],
                 .na = a->pictures,
                 .nb = b->pictures};
    p->squares_a = lengths(p->a, p->na);
    p->squares_b = lengths(p->b, p->nb);
    p->products = ldm_reallocarray(NULL, p->nb, ROWS * sizeof *p->products);
    if (p->squares_a && p->squares_b && p->products)
        return LDM_OK;
    pairs_free(p);
    return ldm_error_nomem(err, (uint64_t)p->nb * ROWS * sizeof *p->products, "distances");
}

/* The squared distance of row `first + i` of a from row k of b. */
static double apart(const pairs *p, size_t first, size_t i, size_t k)
{
    return p->squares_a[first + i] + p->squares_b[k] - 2.0 * p->products[i * p->nb + k];
}

/* Products of the rows from `first` on; returns how many. */
static ldm_status load_rows(const pairs *p, size_t first, size_t *count, ldm_error *err)
{
    *count = p->na - first < ROWS ? p->na - first : ROWS;
    return ldm_inner_products(p->net, p->a + first * DIM, *count, p->b, p->nb, DIM, p->products,
                              err);
}

/* The squared distance of each row to its `nth` nearest of the same set, itself not counted. */
static ldm_status radii(const pairs *p, int nth, double *out, ldm_error *err)
{
    double nearest[MOST_NEIGHBOURS];
    size_t first, count, i, k;
    int n, at;

    for (first = 0; first < p->na; first += ROWS) {
        ldm_status st = load_rows(p, first, &count, err);

        if (st)
            return st;
        for (i = 0; i < count; i++) {
            for (n = 0, k = 0; k < p->nb; k++) {
                const double d = apart(p, first, i, k);

                if (k == first + i || (n == nth && d >= nearest[n - 1]))
                    continue;
                for (at = n < nth ? n++ : n - 1; at > 0 && nearest[at - 1] > d; at--)
                    nearest[at] = nearest[at - 1];
                nearest[at] = d;
            }
            out[first + i] = nearest[nth - 1];
        }
    }
    return LDM_OK;
}

/* How many rows of a lie in the ball of at least one of b. */
static ldm_status count_inside(const pairs *p, const double *radius, size_t *inside, ldm_error *err)
{
    size_t first, count, i, k;

    *inside = 0;
    for (first = 0; first < p->na; first += ROWS) {
        ldm_status st = load_rows(p, first, &count, err);

        if (st)
            return st;
        for (i = 0; i < count; i++) {
            for (k = 0; k < p->nb && !(apart(p, first, i, k) <= radius[k]); k++)
                ;
            *inside += k < p->nb;
        }
    }
    return LDM_OK;
}

/* The part of `judged` that lies in the manifold of `by`. With that manifold held fixed, resampling
 * `judged` gives the deviation of a binomial distribution. */
static ldm_status part_inside(const ldm_comparison *c, const ldm_quality_set *judged,
                              const ldm_quality_set *by, ldm_quality_figure *f, ldm_error *err)
{
    double *radius = ldm_reallocarray(NULL, by->pictures, sizeof *radius);
    size_t inside = 0;
    pairs p;
    ldm_status st = radius ? pairs_create(net_of(c), by, by, &p, err)
                           : ldm_error_nomem(err, by->pictures * sizeof *radius, "distances");

    if (!st) {
        st = radii(&p, c->how->neighbours, radius, err);
        pairs_free(&p);
    }
    if (!st)
        st = pairs_create(net_of(c), judged, by, &p, err);
    else
        p = (pairs){0};
    if (!st) {
        st = count_inside(&p, radius, &inside, err);
        pairs_free(&p);
    }
    ldm_free(radius);
    if (st)
        return st;
    f->value = (double)inside / (double)judged->pictures;
    if (c->how->bootstrap)
        f->error = sqrt(f->value * (1 - f->value) / (double)judged->pictures);
    return LDM_OK;
}

ldm_status ldm_measure_pr(const ldm_comparison *c, ldm_quality_figure *precision,
                          ldm_quality_figure *recall, ldm_error *err)
{
    const size_t a = c->samples->pictures, b = c->reference->pictures, fewest = a < b ? a : b;
    ldm_status st;

    if (c->how->neighbours > MOST_NEIGHBOURS || fewest <= (size_t)c->how->neighbours) {
        ldm_figure_refuse(precision,
                          "precision with %d neighbours (at most %d) needs more pictures than that "
                          "on either side, found %zu",
                          c->how->neighbours, MOST_NEIGHBOURS, fewest);
        ldm_figure_refuse(recall,
                          "recall with %d neighbours (at most %d) needs more pictures than that on "
                          "either side, found %zu",
                          c->how->neighbours, MOST_NEIGHBOURS, fewest);
        return LDM_OK;
    }
    st = part_inside(c, c->samples, c->reference, precision, err);
    return st ? st : part_inside(c, c->reference, c->samples, recall, err);
}
