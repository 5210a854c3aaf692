/* SPDX-License-Identifier: MIT */
/* Multiply-adds in 12 of the 16 registers of AVX2; see probe_impl.h. */
#include <immintrin.h>

#include "base/probe_impl.h"

enum { REGISTERS = LDM_PROBE_LANES_AVX2 / 8 };

double ldm_probe_fma_avx2(size_t rounds, float start)
{
    const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    __m256 a[REGISTERS];
    float out[8];
    double sum = 0;
    size_t r;
    int i;

    for (i = 0; i < REGISTERS; i++)
        a[i] = _mm256_set1_ps(start + (float)i);
    for (r = 0; r < rounds; r++) {
        for (i = 0; i < REGISTERS; i++)
            a[i] = _mm256_fmadd_ps(a[i], factor, term);
    }
    for (i = 1; i < REGISTERS; i++)
        a[0] = _mm256_add_ps(a[0], a[i]);
    _mm256_storeu_ps(out, a[0]);
    for (i = 0; i < 8; i++)
        sum += out[i];
    return sum;
}
