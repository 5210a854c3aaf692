/* SPDX-License-Identifier: MIT */
/* Multiply-adds in 16 of the 32 registers of AVX-512; see probe_impl.h. */
#include <immintrin.h>

#include "base/probe_impl.h"

enum { REGISTERS = LDM_PROBE_LANES_AVX512 / 16 };

double ldm_probe_fma_avx512(size_t rounds, float start)
{
    const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
    __m512 a[REGISTERS];
    float out[16];
    double sum = 0;
    size_t r;
    int i;

    for (i = 0; i < REGISTERS; i++)
        a[i] = _mm512_set1_ps(start + (float)i);
    for (r = 0; r < rounds; r++) {
        for (i = 0; i < REGISTERS; i++)
            a[i] = _mm512_fmadd_ps(a[i], factor, term);
    }
    for (i = 1; i < REGISTERS; i++)
        a[0] = _mm512_add_ps(a[0], a[i]);
    _mm512_storeu_ps(out, a[0]);
    for (i = 0; i < 16; i++)
        sum += out[i];
    return sum;
}
