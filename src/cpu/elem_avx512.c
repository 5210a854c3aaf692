/* SPDX-License-Identifier: MIT */
/* elem.inc with AVX-512. */
#include "cpu/kernels.h"

#include <immintrin.h>
#include <math.h>

typedef __m512 vec;
typedef __mmask16 mask;
typedef __mmask16 flags;

static __mmask16 lanes(size_t n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* 2^x: 2^floor(x) times a polynomial of degree 6 in the rest, from 0 to 1, fitted for the least
 * relative error (2e-9). Within 2 ulp. Overflow, underflow and NaN need no special case. */
static __m512 power2(__m512 x)
{
    const __m512 f = _mm512_reduce_ps(x, 0x09); /* x - floor(x) */
    __m512 p = _mm512_set1_ps(0x1.c72118p-13f);

    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.461956p-10f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.3d2800p-7f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.c68500p-5f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.ebfd9ep-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.62e42ap-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, x);
}

/* The exponential's relative error is |v| 2^-24 from the rounded product. Where |v| is large the
 * exponential is either negligible beside 1 or makes the result nearly 0. */
static __m512 silu(__m512 v)
{
    const __m512 e = power2(_mm512_mul_ps(v, _mm512_set1_ps(-0x1.715476p+0f)));

    return _mm512_div_ps(v, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

#define WIDTH 16
#define LANES(n) lanes(n)
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define LOAD_MASK(p, m) _mm512_maskz_loadu_ps(m, p)
#define LOAD_OR(v, p, m) _mm512_mask_loadu_ps(v, m, p)
#define STORE_MASK(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#define SET(x) _mm512_set1_ps(x)
#define ZERO _mm512_setzero_ps()
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define DIV(a, b) _mm512_div_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define FMSUB(a, b, c) _mm512_fmsub_ps(a, b, c)
#define FNMADD(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define KEEP(v, m) _mm512_maskz_mov_ps(m, v)
#define LARGEST(v) _mm512_reduce_max_ps(v)
#define SUM(v) _mm512_reduce_add_ps(v)
#define LESS(a, b) _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#define IS_NAN(v) _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q)
#define EVERY ((__mmask16)0xffff)
#define CHOOSE(a, b, f) _mm512_mask_mov_ps(a, f, b)
#define SET_BITS(j) _mm512_castsi512_ps(_mm512_set1_epi32(j))
#define STORE_BITS(p, v) _mm512_store_si512((void *)(p), _mm512_castps_si512(v))
#define NAME(kernel) ldm_##kernel##_avx512
#include "cpu/elem.inc"
