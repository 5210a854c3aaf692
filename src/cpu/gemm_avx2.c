/* The matrix product tile with AVX2 and FMA: 6 pixels by 16 channels, 12 accumulators, two loads of
 * weights and six broadcasts a step. As in gemm_avx512.c every height has its kernel. */
#include "cpu/kernels.h"

#include <immintrin.h>

#define NR 16
#define PASTE(mr, nv) tile_##mr##x##nv
#define TILE(mr, nv) PASTE(mr, nv)

/* The lowest n lanes, as a mask for maskload. */
static __m256i columns(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define MR 1
#define NV 2
#include "cpu/gemm_avx2_tile.inc"
#define MR 2
#define NV 2
#include "cpu/gemm_avx2_tile.inc"
#define MR 3
#define NV 2
#include "cpu/gemm_avx2_tile.inc"
#define MR 4
#define NV 2
#include "cpu/gemm_avx2_tile.inc"
#define MR 5
#define NV 2
#include "cpu/gemm_avx2_tile.inc"
#define MR 6
#define NV 2
#include "cpu/gemm_avx2_tile.inc"
#define MR 1
#define NV 1
#include "cpu/gemm_avx2_tile.inc"
#define MR 2
#define NV 1
#include "cpu/gemm_avx2_tile.inc"
#define MR 3
#define NV 1
#include "cpu/gemm_avx2_tile.inc"
#define MR 4
#define NV 1
#include "cpu/gemm_avx2_tile.inc"
#define MR 5
#define NV 1
#include "cpu/gemm_avx2_tile.inc"
#define MR 6
#define NV 1
#include "cpu/gemm_avx2_tile.inc"

void ldm_tile_avx2(const ldm_tile *t, int mr)
{
    static void (*const tiles[2][6])(const ldm_tile *) = {
        {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1},
        {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2},
    };

    tiles[t->cols > 8][mr - 1](t);
}
