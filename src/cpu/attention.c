/* SPDX-License-Identifier: MIT */
/* Attention. Per sample and head, K is packed once as the right side of Q K^T and V as the right
 * side of P V; then each task takes a block of queries: a stripe of scores in the worker's scratch,
 * softmax over its rows, the product with V, the division by the sum of the row at the end. The N x
 * N matrix never exists, and each sum runs over all keys in order, whatever the split.
 *
 * With many keys and narrow heads the keys are taken in blocks as well, and a row's maximum and sum
 * are brought up to date from block to block ("Online normalizer calculation for softmax",
 * Milakov, Gimelshein 2018, arXiv 1805.02867).
 *
 * At precision bf16 both products are of rounded inputs, with f32 sums; the softmax is f32. */
#include <math.h>
#include <string.h>

#include "cpu/bf16.h"

#define TILES 2 /* of queries in a block: few enough that the first-level TLB holds their rows */
#define BLOCK_KEYS 1024      /* a multiple of all nr */
#define AT_ONCE_KEYS 4096    /* with more keys, */
#define AT_ONCE_HEAD_DIM 256 /* and heads up to this wide, keys are taken in blocks */
#define MAX_ROWS (TILES * LDM_CPU_MAX_MR)

typedef struct attention_job {
    const ldm_kernels *kernels;
    const ldm_attention_args *args;
    size_t sample, queries, keys, head_dim;
    size_t key_panels, value_panels;
    bool bf16;
    size_t head_rows, key_rows; /* of a packed panel: head_dim and keys; bf16: pairs of them */
    size_t stripe;              /* floats from one row of scores to the next */
    size_t blocks;              /* of queries */
    float *k_packed, *v_packed, *scores;
} attention_job;

/* A stripe of up to 4096 keys is 330 KB with AVX-512, which stays in the second-level cache; blocks
 * of 1024 are no faster then, shorter ones are slower (4096 keys, heads of 40 and 64, 2 MB of
 * cache). With more keys it would no longer stay there. A property of the shape alone. */
static bool in_blocks(const attention_job *j)
{
    return j->keys > AT_ONCE_KEYS && j->head_dim <= AT_ONCE_HEAD_DIM;
}

static attention_job make_job(const ldm_backend *b, const ldm_attention_args *a)
{
    attention_job j = {
        .kernels = ldm_kernels_of(b),
        .args = a,
        .queries = (size_t)a->q.h * (size_t)a->q.w,
        .keys = (size_t)a->k.h * (size_t)a->k.w,
        .head_dim = (size_t)a->head_dim,
    };
    const size_t nr = (size_t)j.kernels->nr;

    j.bf16 = a->precision == LDM_PRECISION_BF16 && ldm_cpu_impl(b)->bf16;
    j.head_rows = j.bf16 ? ldm_ceil_div(j.head_dim, 2) : j.head_dim;
    j.key_rows = j.bf16 ? ldm_ceil_div(j.keys, 2) : j.keys;
    j.key_panels = ldm_ceil_div(j.keys, nr);
    j.value_panels = ldm_ceil_div(j.head_dim, nr);
    /* 16 more: rows a multiple of 4096 bytes apart would all fall into one set of the cache */
    j.stripe = (in_blocks(&j) ? BLOCK_KEYS : ldm_round_up(j.key_panels * nr, 16)) + 16;
    j.blocks = ldm_ceil_div(j.queries, (size_t)(TILES * j.kernels->mr));
    return j;
}

static size_t packed_floats(const attention_job *j, size_t *v_offset)
{
    const size_t nr = (size_t)j->kernels->nr, heads = (size_t)j->args->heads;

    *v_offset = ldm_round_up(heads * j->key_panels * nr * j->head_rows, 16);
    return ldm_round_up(*v_offset + heads * j->value_panels * nr * j->key_rows, 16);
}

static size_t stripe_floats(const attention_job *j)
{
    return (size_t)(TILES * j->kernels->mr) * j->stripe;
}

/* Scores, then queries as pairs of bf16. */
static size_t worker_floats(const attention_job *j)
{
    const size_t rows = (size_t)(TILES * j->kernels->mr);

    return stripe_floats(j) + (j->bf16 ? ldm_round_up(rows * j->head_rows, 16) : 0);
}

size_t ldm_cpu_attention_scratch(const ldm_backend *b, const ldm_attention_args *a, int threads)
{
    const attention_job j = make_job(b, a);
    size_t v_offset;

    return packed_floats(&j, &v_offset) + (size_t)threads * worker_floats(&j);
}

static void pack_keys(const attention_job *j, size_t head, size_t first, size_t count)
{
    const ldm_attention_args *a = j->args;
    const size_t nr = (size_t)j->kernels->nr;
    ldm_pack p = {
        .src = a->k.data + (j->sample * j->keys + first) * a->k.pitch + head * a->head_stride,
        .src_stride = a->k.pitch,
        .rows = (int)count,
        .taps = 1,
        .cin = j->head_dim,
        .chunk_len = j->head_dim,
        .dst = j->k_packed + (head * j->key_panels * nr + first) * j->head_rows,
    };

    if (j->bf16)
        ldm_bf16_pack_pairs(j->kernels, &p, nr, nr, (uint16_t *)(void *)p.dst);
    else
        j->kernels->pack(&p);
}

static void pack_values(const attention_job *j, size_t head, size_t first, size_t count)
{
    const ldm_attention_args *a = j->args;
    const size_t nr = (size_t)j->kernels->nr;
    const float *src =
        a->v.data + (j->sample * j->keys + first) * a->v.pitch + head * a->head_stride;
    float *dst = j->v_packed + (head * j->value_panels * j->key_rows + first) * nr;
    size_t i, p;

    for (i = 0; i < count; i++, src += a->v.pitch, dst += nr) {
        for (p = 0; p < j->value_panels; p++) {
            const size_t left = j->head_dim - p * nr, columns = left < nr ? left : nr;
            float *row = dst + p * nr * j->key_rows;

            memcpy(row, src + p * nr, columns * sizeof *row);
            memset(row + columns, 0, (nr - columns) * sizeof *row);
        }
    }
}

/* Two keys make a row; the number of an odd last one's partner is zero, as are columns beyond the
 * head's. */
static void pack_values_bf16(const attention_job *j, size_t head, size_t first, size_t count)
{
    const ldm_attention_args *a = j->args;
    const size_t nr = (size_t)j->kernels->nr;
    const float *src =
        a->v.data + (j->sample * j->keys + first) * a->v.pitch + head * a->head_stride;
    float *dst = j->v_packed + (head * j->value_panels * j->key_rows + first / 2) * nr;
    size_t i, p;

    for (i = 0; i < count; i += 2, src += 2 * a->v.pitch, dst += nr) {
        for (p = 0; p < j->value_panels; p++) {
            const size_t left = j->head_dim - p * nr, columns = left < nr ? left : nr;
            const float *even = src + p * nr;
            float *row = dst + p * nr * j->key_rows;

            j->kernels->pair_bf16(even, i + 1 < count ? even + a->v.pitch : NULL,
                                  (uint16_t *)(void *)row, columns);
            memset(row + columns, 0, (nr - columns) * sizeof *row);
        }
    }
}

/* A panel of keys for all heads, as they lie side by side; even index: K, odd: V. */
static void pack_task(void *arg, size_t index, int worker)
{
    const attention_job *j = arg;
    const size_t nr = (size_t)j->kernels->nr, first = index / 2 * nr;
    const size_t count = j->keys - first < nr ? j->keys - first : nr;
    size_t head;

    (void)worker;
    for (head = 0; head < (size_t)j->args->heads; head++) {
        if (index % 2 == 0)
            pack_keys(j, head, first, count);
        else
            (j->bf16 ? pack_values_bf16 : pack_values)(j, head, first, count);
    }
}

/* y = A B, or y += A B; b: one panel of B, k rows (bf16: pairs of rows). A stays in the first-level
 * cache: it is not fetched. */
static void product(const attention_job *j, const float *a, size_t pitch, size_t rows, size_t k,
                    const float *b, float *y, size_t y_pitch, size_t columns, bool add)
{
    const size_t nr = (size_t)j->kernels->nr;
    const ldm_strip strip = {
        .a = a,
        .a_stride = pitch,
        .rows = rows,
        .k = k,
        .b = b,
        .next = b + k * nr,
        .pace = ldm_strip_pace(j->kernels, rows, nr),
        .out = {.first = true,
                .last = true,
                .y = y,
                .y_pitch = y_pitch,
                .cols = (int)columns,
                .residual = add ? y : NULL,
                .residual_pitch = y_pitch},
    };

    (j->bf16 ? j->kernels->strip_bf16 : j->kernels->strip)(&strip);
}

/* Some queries of one head, and where their scores are. */
typedef struct queries {
    const float *q; /* bf16: pairs */
    size_t q_pitch;
    const float *k_packed, *v_packed;
    float *y, *scores;
    size_t begin, count;
    float inverse[MAX_ROWS]; /* of the sums of the rows */
} queries;

/* Scores of the keys [first, first + n), from row 0 of the stripe on. */
static void score(const attention_job *j, const queries *t, size_t first, size_t n)
{
    const size_t nr = (size_t)j->kernels->nr;
    size_t k;

    for (k = 0; k < n; k += nr)
        product(j, t->q, t->q_pitch, t->count, j->head_rows,
                t->k_packed + (first + k) * j->head_rows, t->scores + k, j->stripe, nr, false);
}

/* y = P V, or y += P V, for the keys [first, first + n). bf16: each row of P is rounded where it
 * lies, and its end filled up to a pair. */
static void weigh(const attention_job *j, const queries *t, size_t first, size_t n, bool add)
{
    const size_t nr = (size_t)j->kernels->nr;
    const size_t rows = j->bf16 ? ldm_ceil_div(n, 2) : n, from = j->bf16 ? first / 2 : first;
    size_t p, i;

    for (i = 0; j->bf16 && i < t->count; i++) {
        uint16_t *row = (uint16_t *)(void *)(t->scores + i * j->stripe);

        j->kernels->round_bf16(t->scores + i * j->stripe, row, n);
        if (n % 2)
            memset(row + n, 0, sizeof *row);
    }
    for (p = 0; p < j->value_panels; p++) {
        const size_t columns = j->head_dim - p * nr;

        product(j, t->scores, j->stripe, t->count, rows,
                t->v_packed + (p * j->key_rows + from) * nr, t->y + p * nr, j->args->y.pitch,
                columns < nr ? columns : nr, add);
    }
}

/* How many of the keys from `first` on query i of the block sees, of n. */
static size_t seen(const attention_job *j, const queries *t, size_t i, size_t first, size_t n)
{
    const size_t end = j->args->causal ? t->begin + i + 1 : j->keys;

    return end <= first ? 0 : end - first < n ? end - first : n;
}

static void attend_at_once(const attention_job *j, queries *t)
{
    size_t i;

    score(j, t, 0, j->keys);
    for (i = 0; i < t->count; i++) {
        const size_t n = seen(j, t, i, 0, j->keys);
        float *row = t->scores + i * j->stripe;

        t->inverse[i] = 1.0f / j->kernels->softmax(row, n, j->args->scale);
        memset(row + n, 0, (j->keys - n) * sizeof *row);
    }
    weigh(j, t, 0, j->keys, false);
}

/* Rows are normalised by the greatest score so far. Where a later block has a greater one, what was
 * added up before is multiplied by 2^(old - new). */
static void attend_in_blocks(const attention_job *j, queries *t)
{
    const ldm_kernels *k = j->kernels;
    float top[MAX_ROWS], sum[MAX_ROWS], ratio;
    size_t first, i;

    for (i = 0; i < t->count; i++) {
        top[i] = -INFINITY;
        sum[i] = 0.0f;
    }
    for (first = 0; first < j->keys; first += BLOCK_KEYS) {
        const size_t left = j->keys - first, n = left < BLOCK_KEYS ? left : BLOCK_KEYS;

        score(j, t, first, n);
        for (i = 0; i < t->count; i++) {
            const size_t visible = seen(j, t, i, first, n);
            float *row = t->scores + i * j->stripe;

            if (visible) {
                const float part = k->softmax_part(row, visible, j->args->scale, &top[i], &ratio);

                sum[i] = sum[i] * ratio + part;
                if (first && ratio != 1.0f)
                    k->multiply(t->y + i * j->args->y.pitch, j->head_dim, ratio);
            }
            memset(row + visible, 0, (n - visible) * sizeof *row);
        }
        weigh(j, t, first, n, first > 0);
    }
    for (i = 0; i < t->count; i++)
        t->inverse[i] = 1.0f / sum[i];
}

/* To behind the scores. */
static void round_queries(const attention_job *j, queries *t)
{
    float *to = t->scores + stripe_floats(j);
    size_t i;

    for (i = 0; i < t->count; i++) {
        uint16_t *row = (uint16_t *)(void *)(to + i * j->head_rows);

        j->kernels->round_bf16(t->q + i * t->q_pitch, row, j->head_dim);
        if (j->head_dim % 2)
            row[j->head_dim] = 0;
    }
    t->q = to;
    t->q_pitch = j->head_rows;
}

static void attention_task(void *arg, size_t index, int worker)
{
    const attention_job *j = arg;
    const ldm_attention_args *a = j->args;
    const size_t nr = (size_t)j->kernels->nr, head = index / j->blocks, block = index % j->blocks;
    const size_t begin = ldm_split(j->queries, j->blocks, block);
    const size_t pixel = j->sample * j->queries + begin;
    queries t = {
        .q = a->q.data + pixel * a->q.pitch + head * a->head_stride,
        .q_pitch = a->q.pitch,
        .k_packed = j->k_packed + head * j->key_panels * nr * j->head_rows,
        .v_packed = j->v_packed + head * j->value_panels * nr * j->key_rows,
        .y = a->y.data + pixel * a->y.pitch + head * j->head_dim,
        .scores = j->scores + (size_t)worker * worker_floats(j),
        .begin = begin,
        .count = ldm_split(j->queries, j->blocks, block + 1) - begin,
    };
    size_t i;

    if (j->bf16)
        round_queries(j, &t);
    if (in_blocks(j))
        attend_in_blocks(j, &t);
    else
        attend_at_once(j, &t);
    for (i = 0; i < t.count; i++)
        j->kernels->multiply(t.y + i * a->y.pitch, j->head_dim, t.inverse[i]);
}

void ldm_cpu_attention(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_attention_args *a)
{
    attention_job j = make_job(b, a);
    const size_t heads = (size_t)a->heads;
    size_t v_offset, floats = packed_floats(&j, &v_offset);

    j.k_packed = ctx->scratch;
    j.v_packed = ctx->scratch + v_offset;
    j.scores = ctx->scratch + floats;
    for (j.sample = 0; j.sample < (size_t)a->q.n; j.sample++) {
        ldm_pool_run(ctx->pool, 2 * j.key_panels, pack_task, &j);
        ldm_pool_run(ctx->pool, heads * j.blocks, attention_task, &j);
    }
}
