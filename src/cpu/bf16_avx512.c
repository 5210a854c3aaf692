/* SPDX-License-Identifier: MIT */
/* bf16 with the instructions of AVX512_BF16. Called only where the processor has them.
 *
 * The matrix product is that of gemm_avx512.c: VDPBF16PS adds the products of 16 pairs to 16 sums,
 * where a multiply-add has 16 products, and takes as long (Zen 4). Rounding is to the nearest, ties
 * to even; denormal numbers become zero, a NaN stays one. */
#include <immintrin.h>

#include "cpu/kernels.h"
#include "cpu/onednn.h"

#define FMA(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#include "cpu/gemm_avx512.inc"

STRIPS_OF(1)
STRIPS_OF(2)
STRIPS_OF(3)
STRIPS_OF(4)
STRIPS_OF(5)
STRIPS_OF(6)
STRIPS_OF(7)
STRIPS_OF(8)
STRIPS_OF(9)
STRIPS_OF(10)

void ldm_strip_bf16_avx512(const ldm_strip *t)
{
    static const strip_kernels kernels = {
        .keep = OF_PANELS(keep),
        .write = OF_PANELS(write),
        .finish = OF_PANELS(finish),
    };

    run_strip(t, &kernels);
}

static mask head(size_t n)
{
    return n >= 16 ? (mask)0xffff : (mask)((1u << n) - 1);
}

void ldm_round_bf16_avx512(const float *x, uint16_t *y, size_t n)
{
    for (; n >= 32; n -= 32, x += 32, y += 32) {
        __m512bh v = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));

        _mm512_storeu_si512(y, (__m512i)v);
    }
    while (n) {
        const size_t step = n < 16 ? n : 16;
        __m256bh v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(head(step), x));

        _mm256_mask_storeu_epi16(y, head(step), (__m256i)v);
        n -= step;
        x += step;
        y += step;
    }
}

void ldm_pair_bf16_avx512(const float *even, const float *odd, uint16_t *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 16, y += 32) {
        const mask m = head(n - i);
        __m256i lo = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, even + i));
        __m256i hi = odd ? (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, odd + i))
                         : _mm256_setzero_si256();
        __m512i v = _mm512_or_si512(_mm512_cvtepu16_epi32(lo),
                                    _mm512_slli_epi32(_mm512_cvtepu16_epi32(hi), 16));

        _mm512_mask_storeu_epi32(y, m, v);
    }
}

void ldm_bf16_finish_avx512(const float *sum, const float *bias, const float *residual, float *y,
                            size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 16) {
        const mask m = head(n - i);
        vec v = LOAD_MASK(sum + i, m);

        if (bias)
            v = ADD(v, LOAD_MASK(bias + i, m));
        if (residual)
            v = ADD(v, LOAD_MASK(residual + i, m));
        STORE_MASK(y + i, m, v);
    }
}
