/* SPDX-License-Identifier: MIT */
/* The matrix product tile with AVX2 and FMA: up to 6 pixels by 16 channels, 12 accumulators, two
 * loads of weights and six broadcasts a step. As in gemm_avx512.c every height has its kernel. */
#include "cpu/kernels.h"

#include <immintrin.h>

typedef __m256 vec;
typedef __m256i mask;

#define WIDTH 8
#define MAX_ROWS 6
#define NR 16
#define ZERO _mm256_setzero_ps()
#define LOAD(p) _mm256_load_ps(p)
#define STORE(p, v) _mm256_store_ps(p, v)
#define LOAD_ANY(p) _mm256_loadu_ps(p)
#define FETCH_TO_WRITE(p) _mm_prefetch((const char *)(p), _MM_HINT_ET0)
#define STORE_ANY(p, v) _mm256_storeu_ps(p, v)
#define BROADCAST(p) _mm256_broadcast_ss(p)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MAX(a, b) _mm256_max_ps(a, b)
#define ADD(a, b) _mm256_add_ps(a, b)
#define COLUMNS(n)                                                                                 \
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define LOAD_MASK(p, m) _mm256_maskload_ps(p, m)
#define STORE_MASK(p, m, v) _mm256_maskstore_ps(p, m, v)
#include "cpu/gemm_tile.inc"

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

#define OF_ROWS(kind, nv)                                                                          \
    {                                                                                              \
        kind##_1x##nv, kind##_2x##nv, kind##_3x##nv, kind##_4x##nv, kind##_5x##nv, kind##_6x##nv   \
    }

void ldm_tile_avx2(const ldm_tile *t, int mr)
{
    static void (*const tiles[2][MAX_ROWS])(const ldm_tile *) = OF_PANELS(tile);

    tiles[t->out.cols > WIDTH][mr - 1](t);
}

void ldm_strip_avx2(const ldm_strip *t)
{
    static const strip_kernels kernels = {
        .keep = OF_PANELS(keep),
        .write = OF_PANELS(write),
        .finish = OF_PANELS(finish),
    };

    run_strip(t, &kernels);
}
