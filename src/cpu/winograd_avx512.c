/* Winograd transforms with AVX-512. */
#include "cpu/kernels.h"

#include <immintrin.h>

typedef __m512 vec;

static __mmask16 lanes(int n)
{
    return (__mmask16)((1u << n) - 1);
}

#define WIDTH 16
#define SET1(s) _mm512_set1_ps(s)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_TAIL(p, n) _mm512_maskz_loadu_ps(lanes(n), p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define STORE_TAIL(p, v, n) _mm512_mask_storeu_ps(p, lanes(n), v)
#define FETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#define FETCH_TO_WRITE(p) _mm_prefetch((const char *)(p), _MM_HINT_ET0)
#define NAME(x) x##_avx512
#include "cpu/winograd_tile.inc"
