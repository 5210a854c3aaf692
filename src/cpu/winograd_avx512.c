/* SPDX-License-Identifier: MIT */
/* Winograd with AVX-512: the transforms, and products of few tiles. */
#include "cpu/kernels.h"

#include <immintrin.h>

typedef __m512 vec;

static __mmask16 lanes(int n)
{
    return (__mmask16)((1u << n) - 1);
}

#define WIDTH 16
#define SET1(s) _mm512_set1_ps(s)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define RELU(v) _mm512_max_ps(_mm512_setzero_ps(), v)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_TAIL(p, n) _mm512_maskz_loadu_ps(lanes(n), p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define STORE_TAIL(p, v, n) _mm512_mask_storeu_ps(p, lanes(n), v)
#define FETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#define FETCH_TO_WRITE(p) _mm_prefetch((const char *)(p), _MM_HINT_ET0)
#define NAME(x) x##_avx512
#include "cpu/winograd_tile.inc"

/* F(4,3) for few tiles. Where a filter serves four tiles, writing its 36 transformed values and
 * reading them again takes longer than the products. Here they stay in registers: a row of six at a
 * time, with the sums of that row of matrices, 6 by 4 vectors. */

#define NR 32
#define EACH_TILE(DO, col) DO(col, 0) DO(col, 1) DO(col, 2) DO(col, 3)
#define EACH_SUM(DO)                                                                               \
    EACH_TILE(DO, 0)                                                                               \
    EACH_TILE(DO, 1) EACH_TILE(DO, 2) EACH_TILE(DO, 3) EACH_TILE(DO, 4) EACH_TILE(DO, 5)

/* One column of the taps, transformed to its value in `row`. After inlining only that value's part
 * of filter6 is left. */
static inline __attribute__((always_inline)) vec filter6_row(const float *g, const int row)
{
    const vec taps[3] = {LOAD(g), LOAD(g + 3 * NR), LOAD(g + 6 * NR)};
    vec y[6];

    filter6(taps, 1, y);
    return y[row];
}

#define START(col, tile) vec s##col##tile = SET1(0.0f);

#define STEP(col, tile) s##col##tile = FMA(u, SET1(v##col[c##tile]), s##col##tile);

#define FINISH(col, tile)                                                                          \
    at = m + (size_t)(col)*f->m_stride + (tile)*NR;                                                \
    STORE(at, f->first ? s##col##tile : ADD(LOAD(at), s##col##tile));

/* One row of matrices for half a panel. next: three rows of the filters that come next, which are
 * fetched. */
static inline __attribute__((always_inline)) void few_row(const ldm_wino_few *f, size_t half,
                                                          const int row, const float *next)
{
    const float *v0 = f->v + (size_t)row * 6 * f->v_stride, *v1 = v0 + f->v_stride;
    const float *v2 = v1 + f->v_stride, *v3 = v2 + f->v_stride;
    const float *v4 = v3 + f->v_stride, *v5 = v4 + f->v_stride;
    const float *g = f->g + half, *end = g + f->channels * 9 * NR;
    float *m = f->m + (size_t)row * 6 * f->m_stride + half, *at;
    size_t c0 = 0, c1 = f->tile[1], c2 = f->tile[2], c3 = f->tile[3];
    vec h0, h1, h2, even, odd, u;

    EACH_SUM(START)
    for (; g != end; g += 9 * NR, c0++, c1++, c2++, c3++, next += 16) {
        _mm_prefetch((const char *)next, _MM_HINT_T1);
        _mm_prefetch((const char *)(next + f->next_row), _MM_HINT_T1);
        _mm_prefetch((const char *)(next + 2 * f->next_row), _MM_HINT_T1);
        h0 = filter6_row(g, row);
        h1 = filter6_row(g + NR, row);
        h2 = filter6_row(g + 2 * NR, row);
        u = h0;
        EACH_TILE(STEP, 0)
        u = h2;
        EACH_TILE(STEP, 5)
        even = FMA(SET1(P2), h2, h0);
        odd = MUL(SET1(0.625f), h1);
        u = ADD(even, odd);
        EACH_TILE(STEP, 1)
        u = SUB(even, odd);
        EACH_TILE(STEP, 2)
        even = FMA(SET1(Q2), h2, h0);
        odd = MUL(SET1(1.5f), h1);
        u = ADD(even, odd);
        EACH_TILE(STEP, 3)
        u = SUB(even, odd);
        EACH_TILE(STEP, 4)
    }
    EACH_SUM(FINISH)
}

void ldm_wino_few_avx512(const ldm_wino_few *f)
{
    const size_t rows = 3 * f->next_row; /* 12 calls fetch 36 rows, of 32 */
    const float *next = f->next;
    size_t half;

    for (half = 0; half < NR; half += WIDTH, next += 6 * rows) {
        few_row(f, half, 0, next);
        few_row(f, half, 1, next + rows);
        few_row(f, half, 2, next + 2 * rows);
        few_row(f, half, 3, next + 3 * rows);
        few_row(f, half, 4, next + 4 * rows);
        few_row(f, half, 5, next + 5 * rows);
    }
}
