/* SPDX-License-Identifier: MIT */
/* The matrix product tile and the packing of its right side, in portable C, and both in bf16: the
 * definition that the vector versions are checked against. */
#include <string.h>

#include "base/half.h"
#include "cpu/kernels.h"

#define NR 8

/* One row of sums to where it goes. */
static void put(const ldm_tile_out *o, size_t row, const float *sum)
{
    float acc[NR];
    int j;

    for (j = 0; j < NR; j++)
        acc[j] = o->first ? sum[j] : o->partial[row * NR + (size_t)j] + sum[j];
    for (j = 0; j < NR && !o->last; j++)
        o->partial[row * NR + (size_t)j] = acc[j];
    for (j = 0; j < o->cols && o->last; j++) {
        if (o->bias)
            acc[j] += o->bias[j];
        if (o->residual)
            acc[j] += o->residual[row * o->residual_pitch + (size_t)j];
        if (o->relu && acc[j] < 0.0f)
            acc[j] = 0.0f;
        o->y[row * o->y_pitch + (size_t)j] = acc[j];
    }
}

static const float *add_products(const float *a, size_t n, const float *b, float *sum)
{
    size_t k;
    int j;

    for (k = 0; k < n; k++, b += NR) {
        for (j = 0; j < NR; j++)
            sum[j] += a[k] * b[j];
    }
    return b;
}

void ldm_tile_ref(const ldm_tile *t, int mr)
{
    int i, tap;

    for (i = 0; i < mr; i++) {
        float sum[NR] = {0};
        const float *b = t->b;

        for (tap = 0; tap < t->taps; tap++)
            b = add_products(t->rows[tap * mr + i] + t->row_offset, t->k, b, sum);
        put(&t->out, (size_t)i, sum);
    }
}

void ldm_strip_ref(const ldm_strip *t)
{
    size_t i;

    for (i = 0; i < t->rows; i++) {
        float sum[NR] = {0};

        add_products(t->a + i * t->a_stride, t->k, t->b, sum);
        put(&t->out, i, sum);
    }
}

/* Number `which` (0 or 1) of the pair of bf16 numbers that lies where `pair` does. */
static float of_pair(const float *pair, int which)
{
    uint16_t half;

    memcpy(&half, (const char *)pair + which * (int)sizeof half, sizeof half);
    return ldm_bf16_to_float(half);
}

void ldm_strip_bf16_ref(const ldm_strip *t)
{
    size_t i, k;
    int j, which;

    for (i = 0; i < t->rows; i++) {
        const float *a = t->a + i * t->a_stride;
        float sum[NR] = {0};

        for (k = 0; k < t->k; k++) {
            for (which = 0; which < 2; which++) {
                for (j = 0; j < NR; j++)
                    sum[j] += of_pair(a + k, which) * of_pair(t->b + k * NR + j, which);
            }
        }
        put(&t->out, i, sum);
    }
}

void ldm_round_bf16_ref(const float *x, uint16_t *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        const uint16_t rounded = ldm_float_to_bf16(x[i]);

        memcpy((char *)y + i * sizeof rounded, &rounded, sizeof rounded); /* x may lie there */
    }
}

void ldm_pair_bf16_ref(const float *even, const float *odd, uint16_t *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        y[2 * i] = ldm_float_to_bf16(even[i]);
        y[2 * i + 1] = odd ? ldm_float_to_bf16(odd[i]) : 0;
    }
}

void ldm_pack_ref(const ldm_pack *p)
{
    const size_t taps = (size_t)p->taps;
    size_t ci, tap;
    int j;

    for (ci = 0; ci < p->cin; ci++) {
        size_t first = ci / p->chunk_len * p->chunk_len;
        size_t len = p->cin - first < p->chunk_len ? p->cin - first : p->chunk_len;

        for (tap = 0; tap < taps; tap++) {
            float *dst = p->dst + (first * taps + tap * len + ci - first) * NR;

            for (j = 0; j < p->rows; j++) {
                const size_t at = (size_t)j * p->src_stride + ci * taps + tap;

                dst[j] = p->half ? ldm_half_to_float(((const uint16_t *)p->src)[at])
                                 : ((const float *)p->src)[at];
            }
            for (; j < NR; j++)
                dst[j] = 0.0f;
        }
    }
}
