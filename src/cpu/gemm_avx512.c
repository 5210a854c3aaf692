/* SPDX-License-Identifier: MIT */
/* The matrix product tile with AVX-512: up to 10 pixels by 32 channels, 20 accumulators. Each step
 * of k takes two loads of weights and ten broadcasts for 20 multiply-adds, so that the multipliers
 * and not the loads are the limit; there are vector registers for two more rows, but none for their
 * pointers. Every height up to 10 has its kernel: any number of pixels is split evenly and nothing
 * is computed twice. */
#include "cpu/kernels.h"

#include <immintrin.h>

#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "cpu/gemm_avx512.inc"

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
