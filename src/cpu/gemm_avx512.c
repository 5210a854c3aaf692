/* SPDX-License-Identifier: MIT */
/* The matrix product tile with AVX-512: up to 10 pixels by 32 channels, 20 accumulators. Each step
 * of k takes two loads of weights and ten broadcasts for 20 multiply-adds, so that the multipliers
 * and not the loads are the limit; there are vector registers for two more rows, but none for their
 * pointers. Every height up to 10 has its kernel: any number of pixels is split evenly and nothing
 * is computed twice. */
#include "cpu/kernels.h"

#include <immintrin.h>

typedef __m512 vec;
typedef __mmask16 mask;

#define WIDTH 16
#define MAX_ROWS 10
#define NR 32
#define ZERO _mm512_setzero_ps()
#define LOAD(p) _mm512_load_ps(p)
#define STORE(p, v) _mm512_store_ps(p, v)
#define LOAD_ANY(p) _mm512_loadu_ps(p)
#define FETCH_TO_WRITE(p) _mm_prefetch((const char *)(p), _MM_HINT_ET0)
#define STORE_ANY(p, v) _mm512_storeu_ps(p, v)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MAX(a, b) _mm512_max_ps(a, b)
#define ADD(a, b) _mm512_add_ps(a, b)
#define COLUMNS(n) ((n) >= 16 ? (mask)0xffff : (mask)((1u << (n)) - 1))
#define LOAD_MASK(p, m) _mm512_maskz_loadu_ps(m, p)
#define STORE_MASK(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#include "cpu/gemm_tile.inc"

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)

#define OF_ROWS(kind, nv)                                                                          \
    {                                                                                              \
        kind##_1x##nv, kind##_2x##nv, kind##_3x##nv, kind##_4x##nv, kind##_5x##nv, kind##_6x##nv,  \
            kind##_7x##nv, kind##_8x##nv, kind##_9x##nv, kind##_10x##nv                            \
    }

void ldm_tile_avx512(const ldm_tile *t, int mr)
{
    static void (*const tiles[2][MAX_ROWS])(const ldm_tile *) = OF_PANELS(tile);

    tiles[t->out.cols > WIDTH][mr - 1](t);
}

void ldm_strip_avx512(const ldm_strip *t)
{
    static const strip_kernels kernels = {
        .keep = OF_PANELS(keep),
        .write = OF_PANELS(write),
        .finish = OF_PANELS(finish),
    };

    run_strip(t, &kernels);
}
