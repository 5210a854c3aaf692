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
#define NR 32
#define ZERO _mm512_setzero_ps()
#define LOAD(p) _mm512_load_ps(p)
#define STORE(p, v) _mm512_store_ps(p, v)
#define STORE_ANY(p, v) _mm512_storeu_ps(p, v)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
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

void ldm_tile_avx512(const ldm_tile *t, int mr)
{
    static void (*const tiles[2][10])(const ldm_tile *) = {
        {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1, tile_9x1,
         tile_10x1},
        {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2, tile_7x2, tile_8x2, tile_9x2,
         tile_10x2},
    };

    tiles[t->out.cols > WIDTH][mr - 1](t);
}

void ldm_strip_avx512(const ldm_strip *t)
{
    static strip_fn *const strips[2][2][10] = {
        {{keep_1x1, keep_2x1, keep_3x1, keep_4x1, keep_5x1, keep_6x1, keep_7x1, keep_8x1, keep_9x1,
          keep_10x1},
         {keep_1x2, keep_2x2, keep_3x2, keep_4x2, keep_5x2, keep_6x2, keep_7x2, keep_8x2, keep_9x2,
          keep_10x2}},
        {{last_1x1, last_2x1, last_3x1, last_4x1, last_5x1, last_6x1, last_7x1, last_8x1, last_9x1,
          last_10x1},
         {last_1x2, last_2x2, last_3x2, last_4x2, last_5x2, last_6x2, last_7x2, last_8x2, last_9x2,
          last_10x2}},
    };

    run_strip(t, strips[t->out.last][t->out.cols > WIDTH], 10);
}
