/* SPDX-License-Identifier: MIT */
/* elem.inc with AVX2 and FMA. */
#include "cpu/kernels.h"

#include <immintrin.h>
#include <math.h>

typedef __m256 vec;
typedef __m256i mask;
typedef __m256 flags;

static __m256i lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* exp by a polynomial and 2^n. 2^n is made in the exponent field, so x is limited to where it is a
 * normal number: below -87.3 the result is 2^-126, above 88.3 it is 2^127. A NaN stays one. */
static __m256 exp8(__m256 x)
{
    __m256 n, r, p;
    __m256i power;

    x = _mm256_max_ps(_mm256_set1_ps(-87.3f), x);
    x = _mm256_min_ps(_mm256_set1_ps(88.3f), x);
    n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)), 0x08);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e400p-1f), x); /* ln 2, upper 15 bits */
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
    p = _mm256_set1_ps(1.0f / 5040.0f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

static __m256 silu(__m256 v)
{
    const __m256 one = _mm256_set1_ps(1.0f);

    return _mm256_div_ps(v, _mm256_add_ps(one, exp8(_mm256_sub_ps(_mm256_setzero_ps(), v))));
}

static float reduce(__m256 v, bool max)
{
    float lane[8], r;
    int i;

    _mm256_storeu_ps(lane, v);
    r = lane[0];
    for (i = 1; i < 8; i++)
        r = !max ? r + lane[i] : lane[i] > r ? lane[i] : r;
    return r;
}

/* 2^x for x <= 0; below -126 the result is 2^-126. */
static __m256 power2(__m256 x)
{
    const __m256 at = _mm256_max_ps(_mm256_set1_ps(-126.0f), x);
    const __m256 n = _mm256_round_ps(at, 0x08), f = _mm256_sub_ps(at, n);
    __m256 p = _mm256_set1_ps(0x1.41d334p-13f);
    __m256i power;

    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.5f456ap-10f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.3b2dbcp-7f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.c6aed4p-5f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.ebfbdap-3f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.62e430p-1f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

#define WIDTH 8
#define LANES(n) lanes(n)
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define LOAD_MASK(p, m) _mm256_maskload_ps(p, m)
#define LOAD_OR(v, p, m) _mm256_blendv_ps(v, _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m))
#define STORE_MASK(p, m, v) _mm256_maskstore_ps(p, m, v)
#define SET(x) _mm256_set1_ps(x)
#define ZERO _mm256_setzero_ps()
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define DIV(a, b) _mm256_div_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FMSUB(a, b, c) _mm256_fmsub_ps(a, b, c)
#define FNMADD(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define KEEP(v, m) _mm256_and_ps(v, _mm256_castsi256_ps(m))
#define LARGEST(v) reduce(v, true)
#define SUM(v) reduce(v, false)
#define LESS(a, b) _mm256_cmp_ps(a, b, _CMP_LT_OQ)
#define IS_NAN(v) _mm256_cmp_ps(v, v, _CMP_UNORD_Q)
#define EVERY _mm256_castsi256_ps(_mm256_set1_epi32(-1))
#define CHOOSE(a, b, f) _mm256_blendv_ps(a, b, f)
#define SET_BITS(j) _mm256_castsi256_ps(_mm256_set1_epi32(j))
#define STORE_BITS(p, v) _mm256_store_si256((__m256i *)(void *)(p), _mm256_castps_si256(v))
#define NAME(kernel) ldm_##kernel##_avx2
#include "cpu/elem.inc"
