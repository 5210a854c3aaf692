/* Attention. Per sample and head, K is packed once as the right side of Q K^T and V as the right
 * side of P V; then each task takes a block of queries: a stripe of scores in the worker's scratch,
 * softmax over its rows, the product with V, the division by the sum of the row at the end. The N x
 * N matrix never exists, and each sum runs over all keys in order, whatever the split. */
#include <string.h>

#include "cpu/ops.h"

#define TILES 2 /* of queries in a block: few enough that the first-level TLB holds their rows */

typedef struct attention_job {
    const ldm_kernels *kernels;
    const ldm_attention_args *args;
    size_t sample, queries, keys, head_dim;
    size_t key_panels, value_panels;
    size_t stripe; /* floats from one row of scores to the next */
    size_t blocks; /* of queries */
    float *k_packed, *v_packed, *scores;
} attention_job;

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

    j.key_panels = ldm_ceil_div(j.keys, nr);
    j.value_panels = ldm_ceil_div(j.head_dim, nr);
    /* 16 more: rows a multiple of 4096 bytes apart would all fall into one set of the cache */
    j.stripe = ldm_round_up(j.key_panels * nr, 16) + 16;
    j.blocks = ldm_ceil_div(j.queries, (size_t)(TILES * j.kernels->mr));
    return j;
}

static size_t packed_floats(const attention_job *j, size_t *v_offset)
{
    const size_t nr = (size_t)j->kernels->nr, heads = (size_t)j->args->heads;

    *v_offset = ldm_round_up(heads * j->key_panels * nr * j->head_dim, 16);
    return ldm_round_up(*v_offset + heads * j->value_panels * nr * j->keys, 16);
}

static size_t stripe_floats(const attention_job *j)
{
    return (size_t)(TILES * j->kernels->mr) * j->stripe;
}

size_t ldm_cpu_attention_scratch(const ldm_backend *b, const ldm_attention_args *a, int threads)
{
    const attention_job j = make_job(b, a);
    size_t v_offset;

    return packed_floats(&j, &v_offset) + (size_t)threads * stripe_floats(&j);
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
        .dst = j->k_packed + (head * j->key_panels * nr + first) * j->head_dim,
    };

    j->kernels->pack(&p);
}

static void pack_values(const attention_job *j, size_t head, size_t first, size_t count)
{
    const ldm_attention_args *a = j->args;
    const size_t nr = (size_t)j->kernels->nr;
    const float *src =
        a->v.data + (j->sample * j->keys + first) * a->v.pitch + head * a->head_stride;
    float *dst = j->v_packed + (head * j->value_panels * j->keys + first) * nr;
    size_t i, p;

    for (i = 0; i < count; i++, src += a->v.pitch, dst += nr) {
        for (p = 0; p < j->value_panels; p++) {
            const size_t left = j->head_dim - p * nr, columns = left < nr ? left : nr;
            float *row = dst + p * nr * j->keys;

            memcpy(row, src + p * nr, columns * sizeof *row);
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
            pack_values(j, head, first, count);
    }
}

/* y = A B; b: one panel of B, k rows. A stays in the first-level cache: it is not fetched. */
static void product(const attention_job *j, const float *a, size_t pitch, size_t rows, size_t k,
                    const float *b, float *y, size_t y_pitch, size_t columns)
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
        .out = {.first = true, .last = true, .y = y, .y_pitch = y_pitch, .cols = (int)columns},
    };

    j->kernels->strip(&strip);
}

static void attention_task(void *arg, size_t index, int worker)
{
    const attention_job *j = arg;
    const ldm_attention_args *a = j->args;
    const ldm_kernels *kernels = j->kernels;
    const size_t nr = (size_t)kernels->nr, head = index / j->blocks, block = index % j->blocks;
    const size_t begin = ldm_split(j->queries, j->blocks, block);
    const size_t count = ldm_split(j->queries, j->blocks, block + 1) - begin;
    const size_t pixel = j->sample * j->queries + begin;
    const float *q = a->q.data + pixel * a->q.pitch + head * a->head_stride;
    const float *kp = j->k_packed + head * j->key_panels * nr * j->head_dim;
    const float *vp = j->v_packed + head * j->value_panels * nr * j->keys;
    float *y = a->y.data + pixel * a->y.pitch + head * j->head_dim;
    float *scores = j->scores + (size_t)worker * stripe_floats(j);
    float inverse[TILES * LDM_CPU_MAX_MR];
    size_t p, i;

    for (p = 0; p < j->key_panels; p++)
        product(j, q, a->q.pitch, count, j->head_dim, kp + p * nr * j->head_dim, scores + p * nr,
                j->stripe, nr);
    for (i = 0; i < count; i++) {
        const size_t seen = a->causal && begin + i + 1 < j->keys ? begin + i + 1 : j->keys;
        float *row = scores + i * j->stripe;

        inverse[i] = 1.0f / kernels->softmax(row, seen, a->scale);
        memset(row + seen, 0, (j->keys - seen) * sizeof *row);
    }
    for (p = 0; p < j->value_panels; p++) {
        const size_t columns = j->head_dim - p * nr;

        product(j, scores, j->stripe, count, j->keys, vp + p * nr * j->keys, y + p * nr, a->y.pitch,
                columns < nr ? columns : nr);
    }
    for (i = 0; i < count; i++)
        kernels->multiply(y + i * a->y.pitch, j->head_dim, inverse[i]);
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
