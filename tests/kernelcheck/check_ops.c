/* SPDX-License-Identifier: MIT */
/* Everything but convolutions on random shapes: against plain loops in double for the C backend,
 * against the C backend for the others, and bit for bit across threads and batches. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernelcheck.h"

static int extra(check *k)
{
    return check_int(k, 0, 1) * check_int(k, 1, 20);
}

/* The view of one sample. */
static ldm_view sample_of(const ldm_view *v, int i)
{
    ldm_view r = *v;

    r.data = view_pixel(v, i, 0, 0);
    r.n = 1;
    return r;
}

/* Mean and variance of one group of one sample, two passes in double. */
static void naive_moments(const ldm_norm_args *a, int i, int g, double *mean, double *var)
{
    const int per_group = a->x.c / a->groups, first = g * per_group, pixels = a->x.h * a->x.w;
    const float *in = view_pixel(&a->x, i, 0, 0);
    int p, j;

    *mean = *var = 0.0;
    for (p = 0; p < pixels; p++) {
        for (j = first; j < first + per_group; j++)
            *mean += in[(size_t)p * a->x.pitch + (size_t)j];
    }
    *mean /= (double)pixels * per_group;
    for (p = 0; p < pixels; p++) {
        for (j = first; j < first + per_group; j++)
            *var += pow(in[(size_t)p * a->x.pitch + (size_t)j] - *mean, 2);
    }
    *var /= (double)pixels * per_group;
}

static void naive_norm_group(const ldm_norm_args *a, const ldm_view *y, int i, int g)
{
    const int per_group = a->x.c / a->groups, first = g * per_group, pixels = a->x.h * a->x.w;
    const float *in = view_pixel(&a->x, i, 0, 0);
    float *out = view_pixel(y, i, 0, 0);
    double mean, var;
    int p, j;

    naive_moments(a, i, g, &mean, &var);
    for (p = 0; p < pixels; p++) {
        for (j = first; j < first + per_group; j++) {
            double v = (in[(size_t)p * a->x.pitch + (size_t)j] - mean) / sqrt(var + a->eps);

            v = v * a->gamma[j] + a->beta[j];
            if (a->scale) {
                v = v * (1.0 + a->scale[(size_t)i * a->scale_stride + (size_t)j]);
                v += a->shift[(size_t)i * a->scale_stride + (size_t)j];
            }
            out[(size_t)p * y->pitch + (size_t)j] = (float)(a->silu ? v / (1.0 + exp(-v)) : v);
        }
    }
}

/* The largest |mean| / std of a group: x * factor and the offset cancel by that much. */
static double largest_offset(const ldm_norm_args *a)
{
    double largest = 0.0, mean, var;
    int i, g;

    for (i = 0; i < a->x.n; i++) {
        for (g = 0; g < a->groups; g++) {
            naive_moments(a, i, g, &mean, &var);
            largest = fmax(largest, fabs(mean) / sqrt(var + a->eps));
        }
    }
    return largest;
}

static void run_norm(check *k, const ldm_backend *b, const ldm_norm_args *a, int threads)
{
    context c = context_make(threads, b->norm_scratch(b, a, threads));

    b->norm(b, &c.ctx, a);
    context_free(k, &c);
}

/* Moments of the channels [first, first + m->c) of x, as a convolution would have told them. */
static float *known_moments(const ldm_view *x, ldm_moments *m, int first)
{
    const size_t slabs = ldm_slab_count(&m->slabs, x->h, x->w), c = (size_t)m->c;
    const int across = (x->w - 1) / m->slabs.w + 1;
    float *data = check_zeros((size_t)x->n * slabs * 2 * c + 1);
    size_t i, j;

    for (i = 0; i < (size_t)x->n * slabs; i++) {
        const int row = (int)(i % slabs) / across * m->slabs.h;
        const int col = (int)(i % slabs) % across * m->slabs.w;
        const int end = row + m->slabs.h < x->h ? row + m->slabs.h : x->h;
        const int right = col + m->slabs.w < x->w ? col + m->slabs.w : x->w;

        for (j = 0; j < c; j++) {
            double mean = 0.0, deviation = 0.0;
            int y, z;

            for (y = row; y < end; y++) {
                for (z = col; z < right; z++)
                    mean += view_pixel(x, (int)(i / slabs), y, z)[(size_t)first + j];
            }
            mean /= (double)(end - row) * (right - col);
            for (y = row; y < end; y++) {
                for (z = col; z < right; z++)
                    deviation +=
                        pow(view_pixel(x, (int)(i / slabs), y, z)[(size_t)first + j] - mean, 2);
            }
            data[i * 2 * c + j] = (float)mean;
            data[i * 2 * c + c + j] = (float)deviation;
        }
    }
    return data;
}

/* Some channels may be known, the others not; slabs of any size. */
static void make_known(check *k, ldm_norm_args *a, float *memory[2])
{
    const int split = check_int(k, 1, a->x.c);
    int i, first = 0;

    memory[0] = memory[1] = NULL;
    if (check_int(k, 0, 2) == 0)
        return;
    a->known[0].c = split;
    a->known[1].c = a->x.c - split;
    for (i = 0; i < 2; i++) {
        ldm_moments *m = &a->known[i];

        if (m->c && check_int(k, 0, 2)) {
            m->slabs = (ldm_slabs){check_int(k, 1, 5), check_int(k, 1, 5)};
            m->data = memory[i] = known_moments(&a->x, m, first);
        }
        first += m->c;
    }
}

/* huge: squares do not fit a float, as behind damaged or half-precision weights. */
static void one_norm(check *k, bool large, bool huge)
{
    const int n = check_int(k, 1, 3), groups = check_int(k, 1, 32);
    const int c = groups * check_int(k, 1, 8), w = check_int(k, 1, large ? 70 : 9);
    const int h = check_int(k, large ? 20 : 1, large ? 40 : 9);
    guarded x = guarded_make(k, n, h, w, c, extra(k)), y = guarded_make(k, n, h, w, c, extra(k));
    guarded want = guarded_copy(&y), other;
    const float shift = 3.0f * check_float(k);
    const float size = huge ? 1e20f : 1.0f + 5.0f * fabsf(check_float(k));
    float *gamma = check_array(k, (size_t)c), *beta = check_array(k, (size_t)c);
    float *rows = check_array(k, (size_t)(2 * n * (c + 3)));
    ldm_norm_args a = {.x = x.v, .gamma = gamma, .beta = beta, .groups = groups, .eps = 1e-5f};
    float *memory[2];
    char what[120];
    size_t p;
    int i, g, j, threads;

    for (p = 0; p < (size_t)n * (size_t)h * (size_t)w; p++) {
        for (j = 0; j < c; j++)
            x.v.data[p * x.v.pitch + (size_t)j] =
                x.v.data[p * x.v.pitch + (size_t)j] * size + shift;
    }
    a.silu = check_int(k, 0, 1);
    if (check_int(k, 0, 1)) {
        a.scale = rows;
        a.shift = rows + n * (c + 3);
        a.scale_stride = (size_t)(c + 3);
    }
    make_known(k, &a, memory);
    snprintf(what, sizeof what, "norm n %d %dx%d c %d groups %d silu %d scale %d known %d%s, %d%s",
             n, h, w, c, groups, a.silu, a.scale != NULL, a.known[0].c,
             a.known[0].data ? "" : " not", a.known[1].c, a.known[1].data ? "" : " not");
    k->what = what;
    if (k->tested == k->c) {
        for (i = 0; i < n; i++) {
            for (g = 0; g < groups; g++)
                naive_norm_group(&a, &want.v, i, g);
        }
    } else {
        a.y = want.v;
        run_norm(k, k->c, &a, 1);
    }
    a.y = y.v;
    run_norm(k, k->tested, &a, 1);
    guarded_check(k, &y);
    /* Normalised values of one small group can reach sqrt(count). */
    check_views(k, &y.v, &want.v, 0x1p-24 * (200 + 4 * largest_offset(&a)));

    for (threads = 2; threads <= 4; threads++) {
        other = guarded_copy(&x); /* in place as well */
        a.x = a.y = other.v;
        run_norm(k, k->tested, &a, threads);
        guarded_check(k, &other);
        check_same(k, &other.v, &y.v, "the number of threads, in place");
        guarded_free(&other);
    }
    other = guarded_copy(&y);
    for (i = 0; i < n; i++) {
        ldm_norm_args one = a;

        one.x = sample_of(&x.v, i);
        one.y = sample_of(&other.v, i);
        if (a.scale) {
            one.scale += (size_t)i * a.scale_stride;
            one.shift += (size_t)i * a.scale_stride;
        }
        for (j = 0; j < 2; j++) {
            if (a.known[j].data)
                one.known[j].data +=
                    (size_t)i * ldm_slab_count(&a.known[j].slabs, h, w) * 2 * (size_t)a.known[j].c;
        }
        run_norm(k, k->tested, &one, 2);
    }
    check_same(k, &other.v, &y.v, "the batch");
    guarded_free(&other);
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&want);
    free(gamma);
    free(beta);
    free(rows);
    free(memory[0]);
    free(memory[1]);
    k->what = "";
}

void check_norm(check *k)
{
    int i;

    for (i = 0; i < k->rounds; i++)
        one_norm(k, i % 8 == 7, i % 5 == 4);
}

static void naive_attention(const ldm_attention_args *a, const ldm_view *y)
{
    const int queries = a->q.h * a->q.w, all = a->k.h * a->k.w, d = a->head_dim;
    double *p = malloc((size_t)all * sizeof *p);
    int i, head, q, t, j;

    if (!p)
        exit(1);
    for (i = 0; i < a->q.n; i++) {
        for (head = 0; head < a->heads; head++) {
            const size_t at = (size_t)head * a->head_stride;
            const float *ks = view_pixel(&a->k, i, 0, 0) + at;
            const float *vs = view_pixel(&a->v, i, 0, 0) + at;

            for (q = 0; q < queries; q++) {
                const float *qs = view_pixel(&a->q, i, 0, 0) + (size_t)q * a->q.pitch + at;
                float *out = view_pixel(y, i, 0, 0) + (size_t)q * y->pitch + head * d;
                const int keys = a->causal ? q + 1 : all;
                double max = -INFINITY, sum = 0.0;

                for (t = 0; t < keys; t++) {
                    double s = 0.0;

                    for (j = 0; j < d; j++)
                        s += (double)qs[j] * ks[(size_t)t * a->k.pitch + (size_t)j];
                    p[t] = s * a->scale;
                    max = p[t] > max ? p[t] : max;
                }
                for (t = 0; t < keys; t++)
                    sum += p[t] = exp(p[t] - max);
                for (j = 0; j < d; j++) {
                    double s = 0.0;

                    for (t = 0; t < keys; t++)
                        s += p[t] * vs[(size_t)t * a->v.pitch + (size_t)j];
                    out[j] = (float)(s / sum);
                }
            }
        }
    }
    free(p);
}

static void run_attention(check *k, const ldm_backend *b, const ldm_attention_args *a, int threads)
{
    context c = context_make(threads, b->attention_scratch(b, a, threads));

    b->attention(b, &c.ctx, a);
    context_free(k, &c);
}

typedef enum attention_kind { FEW_KEYS, WIDE_HEADS, MANY_KEYS } attention_kind;

static void one_attention(check *k, attention_kind kind)
{
    const bool large = kind == WIDE_HEADS, many = kind == MANY_KEYS;
    const bool square = many && check_int(k, 0, 2) == 0; /* as many queries: few channels */
    const int n = square ? 1 : check_int(k, 1, 2);
    const int heads = check_int(k, 1, many || large ? 2 : 5);
    const int d = large ? check_int(k, 100, 300) : check_int(k, 1, square ? 4 : 70);
    const int h = square ? 1 : check_int(k, 1, large ? 20 : 10);
    const int w = square ? check_int(k, 4097, 4300) : check_int(k, 1, large ? 20 : 10);
    const int kv = many && !square                ? check_int(k, 4097, 6000)
                   : check_int(k, 0, 1) || square ? h * w
                                                  : check_int(k, 1, 80);
    const int stride = d + check_int(k, 0, 1) * check_int(k, 1, 2 * d);
    const int qc = (heads - 1) * stride + d;
    guarded q = guarded_make(k, n, h, w, qc, extra(k));
    guarded ks = guarded_make(k, n, 1, kv, qc, extra(k));
    guarded vs = guarded_make(k, n, 1, kv, qc, extra(k));
    guarded y = guarded_make(k, n, h, w, heads * d, extra(k)), want = guarded_copy(&y), other;
    ldm_attention_args a = {.q = q.v,
                            .k = ks.v,
                            .v = vs.v,
                            .y = y.v,
                            .heads = heads,
                            .head_dim = d,
                            .head_stride = (size_t)stride};
    const bool rounded = k->bf16 && check_int(k, 0, 1);
    double tolerance;
    char what[120];
    int i, threads;

    if (rounded) {
        check_round_bf16(&q.v);
        check_round_bf16(&ks.v);
        check_round_bf16(&vs.v);
    }
    a.causal = kv == h * w && check_int(k, 0, 1);

    a.scale = (float)((1.0 + 10.0 * fabsf(check_float(k))) / sqrt(d));
    snprintf(what, sizeof what, "attention n %d queries %d keys %d heads %d of %d%s", n, h * w, kv,
             heads, d, a.causal ? " causal" : "");
    k->what = what;
    a.precision = k->bf16 ? LDM_PRECISION_BF16 : LDM_PRECISION_F32;
    run_attention(k, k->tested, &a, 1);
    guarded_check(k, &y);
    if (k->tested == k->c) {
        naive_attention(&a, &want.v);
    } else {
        ldm_attention_args exact = a;

        exact.y = want.v;
        exact.precision = LDM_PRECISION_EXACT;
        run_attention(k, k->c, &exact, 1);
    }
    /* Scores reach scale * d / 2; an error there is one of the weight, and the mean of v is
     * below 1. bf16 rounds weights by 2^-9 of their size at most; where it rounds q, k and v too,
     * an error of a score is a sum of d such roundings of either sign. */
    tolerance = 0x1p-24 * (64 + 8 * a.scale * d + kv / 4.0);
    if (k->bf16)
        tolerance += 0x1p-9 * (1 + (rounded ? 0 : 1 + 8 * a.scale * sqrt(d) / 3));
    check_views(k, &y.v, &want.v, tolerance);
    for (threads = 2; threads <= 4; threads++) {
        other = guarded_copy(&y);
        a.y = other.v;
        run_attention(k, k->tested, &a, threads);
        check_same(k, &other.v, &y.v, "the number of threads");
        guarded_free(&other);
    }
    other = guarded_copy(&y);
    for (i = 0; i < n; i++) {
        ldm_attention_args one = a;

        one.q = sample_of(&q.v, i);
        one.k = sample_of(&ks.v, i);
        one.v = sample_of(&vs.v, i);
        one.y = sample_of(&other.v, i);
        run_attention(k, k->tested, &one, 2);
    }
    check_same(k, &other.v, &y.v, "the batch");
    guarded_free(&other);
    guarded_free(&q);
    guarded_free(&ks);
    guarded_free(&vs);
    guarded_free(&y);
    guarded_free(&want);
    k->what = "";
}

void check_attention(check *k)
{
    int i;

    for (i = 0; i < k->rounds; i++)
        one_attention(k, i % 8 == 7 ? WIDE_HEADS : i % 8 == 3 ? MANY_KEYS : FEW_KEYS);
}

enum {
    OP_SILU,
    OP_GELU,
    OP_QUICK_GELU,
    OP_GEGLU,
    OP_RELU,
    OP_ADD,
    OP_COPY,
    OP_POOL,
    OP_UPSAMPLE,
    OP_ADD_VECTOR,
    OPS
};

static const char *const op_names[OPS] = {"silu", "gelu", "quick_gelu", "geglu",     "relu",
                                          "add",  "copy", "pool",       "upsample2", "add_vector"};

/* Those with an exponential: tested over the whole range of floats that they bend. */
static bool is_curve(int op)
{
    return op <= OP_GEGLU;
}

static double gelu(double v)
{
    return v * 0.5 * erfc(-v / sqrt(2));
}

typedef struct op_case {
    int op;
    guarded a, b;
    float *vector;
    size_t vector_stride;
    ldm_pool_desc pool;
} op_case;

/* The mean or the largest of what a window sees. */
static double naive_pool(const op_case *t, int i, int y, int x, int j)
{
    const ldm_pool_desc *d = &t->pool;
    const ldm_view *a = &t->a.v;
    double sum = 0.0, largest = -INFINITY;
    int ky, kx, seen = 0;

    for (ky = 0; ky < d->kernel_h; ky++) {
        for (kx = 0; kx < d->kernel_w; kx++) {
            const int iy = y * d->stride + ky - d->pad, ix = x * d->stride + kx - d->pad;

            if (iy < 0 || iy >= a->h || ix < 0 || ix >= a->w)
                continue;
            sum += view_pixel(a, i, iy, ix)[j];
            largest = fmax(largest, view_pixel(a, i, iy, ix)[j]);
            seen++;
        }
    }
    return d->mean ? sum / seen : largest;
}

static double naive_value(const op_case *t, int i, int y, int x, int j)
{
    const ldm_view *a = &t->a.v;

    switch (t->op) {
    case OP_SILU:
        return view_pixel(a, i, y, x)[j] / (1.0 + exp(-(double)view_pixel(a, i, y, x)[j]));
    case OP_GELU:
        return gelu(view_pixel(a, i, y, x)[j]);
    case OP_QUICK_GELU:
        return view_pixel(a, i, y, x)[j] / (1.0 + exp(-1.702 * view_pixel(a, i, y, x)[j]));
    case OP_GEGLU:
        return view_pixel(a, i, y, x)[j] * gelu(view_pixel(a, i, y, x)[a->c / 2 + j]);
    case OP_RELU:
        return fmax(0.0, view_pixel(a, i, y, x)[j]);
    case OP_ADD:
        return (double)view_pixel(a, i, y, x)[j] + view_pixel(&t->b.v, i, y, x)[j];
    case OP_COPY:
        return view_pixel(a, i, y, x)[j];
    case OP_POOL:
        return naive_pool(t, i, y, x, j);
    case OP_UPSAMPLE:
        return view_pixel(a, i, y / 2, x / 2)[j];
    default:
        return (double)view_pixel(a, i, y, x)[j] +
               t->vector[(size_t)i * t->vector_stride + (size_t)j];
    }
}

static void run_op(check *k, const op_case *t, const ldm_view *a, const ldm_view *y, int threads)
{
    const ldm_backend *b = k->tested;
    context c = context_make(threads, 0);

    switch (t->op) {
    case OP_SILU:
        b->activate(b, &c.ctx, LDM_ACTIVATION_SILU, a, y);
        break;
    case OP_GELU:
        b->activate(b, &c.ctx, LDM_ACTIVATION_GELU, a, y);
        break;
    case OP_QUICK_GELU:
        b->activate(b, &c.ctx, LDM_ACTIVATION_QUICK_GELU, a, y);
        break;
    case OP_GEGLU:
        b->geglu(b, &c.ctx, a, y);
        break;
    case OP_RELU:
        b->activate(b, &c.ctx, LDM_ACTIVATION_RELU, a, y);
        break;
    case OP_ADD:
        b->add(b, &c.ctx, a, &t->b.v, y);
        break;
    case OP_COPY:
        b->copy(b, &c.ctx, a, y);
        break;
    case OP_POOL:
        b->pool(b, &c.ctx, &t->pool, a, y);
        break;
    case OP_UPSAMPLE:
        b->upsample2(b, &c.ctx, a, y);
        break;
    default:
        b->add_vector(b, &c.ctx, a, t->vector, t->vector_stride, y);
        break;
    }
    context_free(k, &c);
}

/* A window that fits into h x w pixels, and the result's size. */
static ldm_pool_desc make_pool(check *k, int h, int w, int *yh, int *yw)
{
    ldm_pool_desc d = {.mean = check_int(k, 0, 1), .stride = check_int(k, 1, 3)};

    d.kernel_h = check_int(k, 1, h < 8 ? h : 8);
    d.kernel_w = check_int(k, 1, w < 8 ? w : 8);
    d.pad = check_int(k, 0, (d.kernel_h < d.kernel_w ? d.kernel_h : d.kernel_w) / 2);
    *yh = (h + 2 * d.pad - d.kernel_h) / d.stride + 1;
    *yw = (w + 2 * d.pad - d.kernel_w) / d.stride + 1;
    return d;
}

static void one_op(check *k, int op, bool large)
{
    const int n = check_int(k, 1, 3), c = check_int(k, 1, large ? 600 : 70);
    const int h = check_int(k, 1, large ? 20 : 9), w = check_int(k, 1, large ? 20 : 9);
    const bool gaps = check_int(k, 0, 1);
    int yh = op == OP_UPSAMPLE ? 2 * h : h, yw = op == OP_UPSAMPLE ? 2 * w : w;
    const ldm_pool_desc pool =
        make_pool(k, h, w, op == OP_POOL ? &yh : &(int){0}, op == OP_POOL ? &yw : &(int){0});
    op_case t = {.op = op, .pool = pool, .vector_stride = (size_t)(check_int(k, 0, 1) * (c + 2))};
    guarded y = guarded_make(k, n, yh, yw, c, gaps * extra(k)), want = guarded_copy(&y);
    char what[120];
    int i, oy, ox, j;

    t.a = guarded_make(k, n, h, w, op == OP_GEGLU ? 2 * c : c, gaps * extra(k));
    t.b = guarded_make(k, n, h, w, c, gaps * extra(k));
    t.vector = check_array(k, (size_t)n * (size_t)(c + 2));
    for (i = 0; i < n * h * w; i++) {
        const float range = op == OP_GEGLU ? 10.0f : is_curve(op) && i % 2 ? 120.0f : 2.0f;

        for (j = 0; j < t.a.v.c; j++)
            t.a.v.data[(size_t)i * t.a.v.pitch + (size_t)j] *= range;
    }
    snprintf(what, sizeof what, "%s n %d %dx%d c %d%s", op_names[op], n, yh, yw, c,
             gaps ? " with gaps" : "");
    k->what = what;
    for (i = 0; i < n; i++) {
        for (oy = 0; oy < yh; oy++) {
            for (ox = 0; ox < yw; ox++) {
                for (j = 0; j < c; j++)
                    view_pixel(&want.v, i, oy, ox)[j] = (float)naive_value(&t, i, oy, ox, j);
            }
        }
    }
    run_op(k, &t, &t.a.v, &y.v, check_int(k, 1, 3));
    guarded_check(k, &y);
    check_views(k, &y.v, &want.v,
                op == OP_COPY || op == OP_UPSAMPLE || op == OP_RELU
                    ? 0.0
                    : 0x1p-24 * (is_curve(op) ? 300.0 : 24.0));
    if (op != OP_POOL && op != OP_UPSAMPLE && op != OP_GEGLU) {
        run_op(k, &t, &t.a.v, &t.a.v, check_int(k, 1, 3));
        guarded_check(k, &t.a);
        check_same(k, &t.a.v, &y.v, "the output in place");
    }
    guarded_free(&t.a);
    guarded_free(&t.b);
    guarded_free(&y);
    guarded_free(&want);
    free(t.vector);
    k->what = "";
}

void check_elementwise(check *k)
{
    int i, op;

    for (op = 0; op < OPS; op++) {
        for (i = 0; i < k->rounds; i++)
            one_op(k, op, i % 8 == 7);
    }
}

static void one_layer_norm(check *k, bool large)
{
    const int n = check_int(k, 1, 3), c = check_int(k, 1, large ? 1400 : 80);
    const int h = check_int(k, 1, 9), w = check_int(k, 1, 9);
    guarded x = guarded_make(k, n, h, w, c, extra(k)), y = guarded_make(k, n, h, w, c, extra(k));
    guarded want = guarded_copy(&y), other;
    float *gamma = check_array(k, (size_t)c), *beta = check_array(k, (size_t)c);
    const float shift = 3.0f * check_float(k), size = 1.0f + 5.0f * fabsf(check_float(k));
    const float eps = 1e-5f;
    double offset = 0.0;
    char what[120];
    int p, j, threads;

    snprintf(what, sizeof what, "layer_norm n %d %dx%d c %d", n, h, w, c);
    k->what = what;
    for (p = 0; p < n * h * w; p++) {
        float *in = x.v.data + (size_t)p * x.v.pitch, *out = want.v.data + (size_t)p * want.v.pitch;
        double mean = 0.0, var = 0.0;

        for (j = 0; j < c; j++)
            mean += in[j] = in[j] * size + shift;
        mean /= c;
        for (j = 0; j < c; j++)
            var += (in[j] - mean) * (in[j] - mean);
        var /= c;
        for (j = 0; j < c; j++)
            out[j] = (float)((in[j] - mean) / sqrt(var + eps) * gamma[j] + beta[j]);
        offset = fmax(offset, fabs(mean) / sqrt(var + eps));
    }
    for (threads = 1; threads <= 3; threads++) {
        context ctx = context_make(threads, 0);

        other = guarded_copy(threads == 1 ? &y : &x); /* in place as well */
        k->tested->layer_norm(k->tested, &ctx.ctx, threads == 1 ? &x.v : &other.v, gamma, beta, eps,
                              &other.v);
        context_free(k, &ctx);
        guarded_check(k, &other);
        /* The largest value is sqrt(c); the mean's rounding is divided by the deviation. */
        check_views(k, &other.v, &want.v, 0x1p-24 * (8 + 8 * sqrt(c) + 16 * offset));
        if (threads == 1)
            memcpy(y.base, other.base, y.floats * sizeof *y.base);
        else
            check_same(k, &other.v, &y.v, "the number of threads, in place");
        guarded_free(&other);
    }
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&want);
    free(gamma);
    free(beta);
    k->what = "";
}

void check_layer_norm(check *k)
{
    int i;

    for (i = 0; i < k->rounds; i++)
        one_layer_norm(k, i % 4 == 3);
}

/* The order of operations is part of the definition: float, no fused multiply-add. */
static int naive_nearest(const float *z, int c, const float *codebook, int entries)
{
    float best = 0.0f;
    int at = 0, j, i;

    for (j = 0; j < entries; j++) {
        volatile float zz = 0.0f, ee = 0.0f, ze = 0.0f, d;

        for (i = 0; i < c; i++) {
            const volatile float a = z[i] * z[i], e = codebook[j * c + i] * codebook[j * c + i];
            const volatile float p = z[i] * codebook[j * c + i];

            zz += a;
            ee += e;
            ze += p;
        }
        d = zz + ee;
        d -= 2.0f * ze;
        if (j == 0 || d < best) {
            best = d;
            at = j;
        }
    }
    return at;
}

static void one_vq(check *k)
{
    const int n = check_int(k, 1, 2), c = check_int(k, 0, 3) ? check_int(k, 1, 8) : 300;
    const int h = check_int(k, 1, 9), w = check_int(k, 1, 13), entries = check_int(k, 1, 300);
    guarded z = guarded_make(k, n, h, w, c, extra(k));
    float *codebook = check_array(k, (size_t)entries * (size_t)c);
    int64_t *indices = malloc(((size_t)(n * h * w) + 1) * sizeof *indices);
    context ctx = context_make(check_int(k, 1, 3), 0);
    char what[120];
    int i, want;

    snprintf(what, sizeof what, "vq_nearest %d pixels of %d channels, %d entries", n * h * w, c,
             entries);
    k->what = what;
    if (!indices)
        exit(1);
    /* Equal entries: the first must win. */
    for (i = entries / 2; i < entries; i++)
        memcpy(codebook + i * c, codebook + (i - entries / 2) * c, (size_t)c * sizeof(float));
    indices[n * h * w] = -7;
    k->tested->vq_nearest(k->tested, &ctx.ctx, &z.v, codebook, entries, indices);
    k->done++;
    for (i = 0; i < n * h * w; i++) {
        want = naive_nearest(z.v.data + (size_t)i * z.v.pitch, c, codebook, entries);
        if (indices[i] != want) {
            check_fail(k, "pixel %d got entry %d, expected %d", i, (int)indices[i], want);
            break;
        }
    }
    if (indices[n * h * w] != -7)
        check_fail(k, "wrote behind the indices");
    context_free(k, &ctx);
    guarded_free(&z);
    free(codebook);
    free(indices);
    k->what = "";
}

void check_vq(check *k)
{
    int i;

    for (i = 0; i < k->rounds; i++)
        one_vq(k);
}
