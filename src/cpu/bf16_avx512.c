/* SPDX-License-Identifier: MIT */
/* Between f32 and bf16, with the instructions of AVX512_BF16: rounding to nearest even, denormal
 * numbers become zero, a NaN stays one. Called only where the processor has them. */
#include "cpu/onednn.h"

#include <immintrin.h>

static __mmask16 head(size_t n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

void ldm_bf16_row_avx512(const float *x, uint16_t *y, size_t n)
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

void ldm_bf16_pairs_avx512(const float *even, const float *odd, uint16_t *y, size_t n)
{
    for (; n; n -= n < 16 ? n : 16, even += 16, odd += 16, y += 32) {
        const __mmask16 m = head(n);
        __m256i lo = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, even));
        __m256i hi = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, odd));
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
        const __mmask16 m = head(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, sum + i);

        if (bias)
            v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, bias + i));
        if (residual)
            v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, residual + i));
        _mm512_mask_storeu_ps(y + i, m, v);
    }
}
