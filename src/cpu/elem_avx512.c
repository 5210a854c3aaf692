/* Statistics, SiLU, softmax, sums and nearest codebook entries with AVX-512; elem_ref.c says what
 * they mean. Tails are masked, so that every element goes through the same instructions. */
#include "cpu/kernels.h"

#include <immintrin.h>
#include <math.h>

#define VQ_MAX_C 256

static __mmask16 lanes(size_t n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* 2^x: 2^floor(x) times a polynomial of degree 6 for the rest in [0, 1], fitted to the relative
 * error (2e-9); within 2 ulp. Overflow, underflow and NaN come out of it as they should. */
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

/* The product's rounding is |v| 2^-24 of the exponential, which is small where v is large, or
 * leaves little of v. */
static __m512 silu16(__m512 v)
{
    const __m512 e = power2(_mm512_mul_ps(v, _mm512_set1_ps(-0x1.715476p+0f)));

    return _mm512_div_ps(v, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

/* The channels in blocks of 64, each kept in registers over all pixels. max(0, NaN) is NaN. */
void ldm_moments_avx512(const float *x, size_t pitch, size_t pixels, size_t c, float *mean,
                        float *deviation)
{
    const __m512 share = _mm512_set1_ps(1.0f / (float)pixels), zero = _mm512_setzero_ps();
    size_t j, p;
    int v;

    for (j = 0; j < c; j += 64) {
        __m512 first[4], sum[4], square[4];
        __mmask16 m[4];

        for (v = 0; v < 4; v++) {
            const size_t at = j + 16 * (size_t)v;

            m[v] = at < c ? lanes(c - at) : 0;
            first[v] = _mm512_maskz_loadu_ps(m[v], x + at);
            sum[v] = square[v] = zero;
        }
        for (p = 1; p < pixels; p++) {
            for (v = 0; v < 4; v++) {
                const float *at = x + p * pitch + j + 16 * v;
                const __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(m[v], at), first[v]);

                sum[v] = _mm512_add_ps(sum[v], d);
                square[v] = _mm512_fmadd_ps(d, d, square[v]);
            }
        }
        for (v = 0; v < 4; v++) {
            const __m512 mid = _mm512_mul_ps(sum[v], share);
            const __m512 rest = _mm512_fnmadd_ps(sum[v], mid, square[v]);

            _mm512_mask_storeu_ps(mean + j + 16 * v, m[v], _mm512_add_ps(first[v], mid));
            _mm512_mask_storeu_ps(deviation + j + 16 * v, m[v], _mm512_max_ps(zero, rest));
        }
    }
}

void ldm_affine_avx512(const float *x, size_t x_pitch, float *y, size_t y_pitch, size_t pixels,
                       size_t c, const float *a, const float *b, bool silu)
{
    size_t p, j;

    for (p = 0; p < pixels; p++, x += x_pitch, y += y_pitch) {
        for (j = 0; j < c; j += 16) {
            const __mmask16 m = lanes(c - j);
            __m512 v = _mm512_maskz_loadu_ps(m, x + j);

            v = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, a + j),
                                _mm512_maskz_loadu_ps(m, b + j));
            if (silu)
                v = silu16(v);
            _mm512_mask_storeu_ps(y + j, m, v);
        }
    }
}

float ldm_softmax_avx512(float *row, size_t n, float scale)
{
    const __m512 low = _mm512_set1_ps(-INFINITY), factor = _mm512_set1_ps(scale * 0x1.715476p+0f);
    __m512 max[4] = {low, low, low, low}, sum = _mm512_setzero_ps(), offset;
    size_t i, j;

    for (i = 0; i + 64 <= n; i += 64) {
        for (j = 0; j < 4; j++)
            max[j] = _mm512_max_ps(max[j], _mm512_loadu_ps(row + i + 16 * j));
    }
    for (; i < n; i += 16)
        max[0] = _mm512_max_ps(max[0], _mm512_mask_loadu_ps(low, lanes(n - i), row + i));
    max[0] = _mm512_max_ps(_mm512_max_ps(max[0], max[1]), _mm512_max_ps(max[2], max[3]));
    /* The error of this product is the same for the whole row: it cancels in the division. */
    offset = _mm512_mul_ps(_mm512_set1_ps(_mm512_reduce_max_ps(max[0])), factor);
    for (i = 0; i + 16 <= n; i += 16) {
        __m512 v = power2(_mm512_fmsub_ps(_mm512_loadu_ps(row + i), factor, offset));

        _mm512_storeu_ps(row + i, v);
        sum = _mm512_add_ps(sum, v);
    }
    if (i < n) {
        const __mmask16 m = lanes(n - i);
        __m512 v = _mm512_fmsub_ps(_mm512_maskz_loadu_ps(m, row + i), factor, offset);

        v = _mm512_maskz_mov_ps(m, power2(v));
        _mm512_mask_storeu_ps(row + i, m, v);
        sum = _mm512_add_ps(sum, v);
    }
    return _mm512_reduce_add_ps(sum);
}

void ldm_silu_avx512(const float *x, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);

        _mm512_mask_storeu_ps(y + i, m, silu16(_mm512_maskz_loadu_ps(m, x + i)));
    }
}

void ldm_add_avx512(const float *a, const float *b, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);

        _mm512_mask_storeu_ps(
            y + i, m,
            _mm512_add_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i)));
    }
}

void ldm_multiply_avx512(float *y, size_t n, float s)
{
    size_t i;

    for (i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);

        _mm512_mask_storeu_ps(y + i, m,
                              _mm512_mul_ps(_mm512_maskz_loadu_ps(m, y + i), _mm512_set1_ps(s)));
    }
}

void ldm_mean4_avx512(const float *a, const float *b, const float *c, const float *d, float *y,
                      size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);
        __m512 v = _mm512_add_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i));

        v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, c + i));
        v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, d + i));
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(v, _mm512_set1_ps(0.25f)));
    }
}

/* Sixteen pixels side by side, the entries one after another: an index is kept per lane, and a
 * strict "less" lets the first minimum win. No fused multiply-add, so that all instruction sets
 * round alike. */
void ldm_vq_avx512(const float *z, size_t pitch, size_t pixels, size_t c, const float *codebook,
                   int entries, int64_t *indices)
{
    _Alignas(64) float zt[VQ_MAX_C * 16];
    size_t p, k;
    int i, j;

    if (c > VQ_MAX_C) { /* no model has such a code; not worth a kernel */
        ldm_vq_ref(z, pitch, pixels, c, codebook, entries, indices);
        return;
    }
    for (p = 0; p < pixels; p += 16) {
        const int count = pixels - p < 16 ? (int)(pixels - p) : 16;
        __m512 zz = _mm512_setzero_ps(), best = zz;
        __m512i at = _mm512_setzero_si512();
        _Alignas(64) int32_t result[16];
        const float *e = codebook;

        for (k = 0; k < c; k++) {
            __m512 v;

            for (i = 0; i < 16; i++)
                zt[k * 16 + (size_t)i] = i < count ? z[(p + (size_t)i) * pitch + k] : 0.0f;
            v = _mm512_load_ps(zt + k * 16);
            zz = _mm512_add_ps(zz, _mm512_mul_ps(v, v));
        }
        for (j = 0; j < entries; j++, e += c) {
            __m512 ee = _mm512_setzero_ps(), ze = ee, d;
            __mmask16 less;

            for (k = 0; k < c; k++) {
                __m512 ev = _mm512_set1_ps(e[k]);

                ee = _mm512_add_ps(ee, _mm512_mul_ps(ev, ev));
                ze = _mm512_add_ps(ze, _mm512_mul_ps(_mm512_load_ps(zt + k * 16), ev));
            }
            d = _mm512_sub_ps(_mm512_add_ps(zz, ee), _mm512_mul_ps(_mm512_set1_ps(2.0f), ze));
            less = j == 0 ? (__mmask16)0xffff : _mm512_cmp_ps_mask(d, best, _CMP_LT_OQ);
            best = _mm512_mask_mov_ps(best, less, d);
            at = _mm512_mask_set1_epi32(at, less, j);
        }
        _mm512_store_si512((void *)result, at);
        for (i = 0; i < count; i++)
            indices[p + (size_t)i] = result[i];
    }
}
