/* The matrix product tile with AVX-512: 12 pixels by 32 channels, 24 accumulators. Each step of k
 * takes two loads of weights and twelve broadcasts for 24 multiply-adds, so that the multipliers
 * and not the loads are the limit. Every height up to 12 has its kernel: any number of pixels is
 * split evenly and nothing is computed twice. */
#include "cpu/kernels.h"

#include <immintrin.h>

#define NR 32
#define PASTE(mr, nv) tile_##mr##x##nv
#define TILE(mr, nv) PASTE(mr, nv)

/* The lowest n lanes. */
static __mmask16 columns(int n)
{
    return n >= 16 ? (__mmask16)0xffff : n <= 0 ? (__mmask16)0 : (__mmask16)((1u << n) - 1);
}

#define MR 1
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 2
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 3
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 4
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 5
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 6
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 7
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 8
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 9
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 10
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 11
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 12
#define NV 2
#include "cpu/gemm_avx512_tile.inc"
#define MR 1
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 2
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 3
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 4
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 5
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 6
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 7
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 8
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 9
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 10
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 11
#define NV 1
#include "cpu/gemm_avx512_tile.inc"
#define MR 12
#define NV 1
#include "cpu/gemm_avx512_tile.inc"

void ldm_tile_avx512(const ldm_tile *t, int mr)
{
    static void (*const tiles[2][12])(const ldm_tile *) = {
        {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1, tile_9x1,
         tile_10x1, tile_11x1, tile_12x1},
        {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2, tile_7x2, tile_8x2, tile_9x2,
         tile_10x2, tile_11x2, tile_12x2},
    };

    tiles[t->cols > 16][mr - 1](t);
}
