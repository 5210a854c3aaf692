/* The matrix product tile with AVX2 and FMA: up to 6 pixels by 16 channels, 12 accumulators, two
 * loads of weights and six broadcasts a step. As in gemm_avx512.c every height has its kernel. */
#include "cpu/kernels.h"

#include <immintrin.h>

typedef __m256 vec;
typedef __m256i mask;

#define WIDTH 8
#define NR 16
#define ZERO _mm256_setzero_ps()
#define LOAD(p) _mm256_load_ps(p)
#define STORE(p, v) _mm256_store_ps(p, v)
#define STORE_ANY(p, v) _mm256_storeu_ps(p, v)
#define BROADCAST(p) _mm256_broadcast_ss(p)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
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

void ldm_tile_avx2(const ldm_tile *t, int mr)
{
    static void (*const tiles[2][6])(const ldm_tile *) = {
        {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1},
        {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2},
    };

    tiles[t->out.cols > WIDTH][mr - 1](t);
}

void ldm_strip_avx2(const ldm_strip *t)
{
    static strip_fn *const strips[2][2][6] = {
        {{keep_1x1, keep_2x1, keep_3x1, keep_4x1, keep_5x1, keep_6x1},
         {keep_1x2, keep_2x2, keep_3x2, keep_4x2, keep_5x2, keep_6x2}},
        {{last_1x1, last_2x1, last_3x1, last_4x1, last_5x1, last_6x1},
         {last_1x2, last_2x2, last_3x2, last_4x2, last_5x2, last_6x2}},
    };

    run_strip(t, strips[t->out.last][t->out.cols > WIDTH], 6);
}
