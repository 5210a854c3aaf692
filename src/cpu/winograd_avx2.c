/* SPDX-License-Identifier: MIT */
/* Winograd transforms with AVX2 and FMA. */
#include "cpu/kernels.h"

#include <immintrin.h>

typedef __m256 vec;

static __m256i lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define WIDTH 8
#define SET1(s) _mm256_set1_ps(s)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define RELU(v) _mm256_max_ps(_mm256_setzero_ps(), v)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define LOAD(p) _mm256_loadu_ps(p)
#define LOAD_TAIL(p, n) _mm256_maskload_ps(p, lanes(n))
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define STORE_TAIL(p, v, n) _mm256_maskstore_ps(p, lanes(n), v)
#define FETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#define FETCH_TO_WRITE(p) _mm_prefetch((const char *)(p), _MM_HINT_ET0)
#define NAME(x) x##_avx2
#include "cpu/winograd_tile.inc"
