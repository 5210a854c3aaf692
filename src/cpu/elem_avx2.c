/* Statistics, SiLU, softmax, sums and nearest codebook entries with AVX2 and FMA; elem_ref.c says
 * what they mean. Tails are masked, so that every element goes through the same instructions. */
#include "cpu/kernels.h"

#include <immintrin.h>
#include <math.h>

#define VQ_MAX_C 256

static __m256i lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* exp as in elem_avx512.c; 2^n is made in the exponent field, so the argument is held where it is a
 * normal number: below -87.3 the result is 2^-126, above 88.3 it is 2^127. NaN stays. */
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

static __m256 silu8(__m256 v)
{
    const __m256 one = _mm256_set1_ps(1.0f);

    return _mm256_div_ps(v, _mm256_add_ps(one, exp8(_mm256_sub_ps(_mm256_setzero_ps(), v))));
}

/* The channels in blocks of 32, each kept in registers over all pixels. max(0, NaN) is NaN. */
void ldm_moments_avx2(const float *x, size_t pitch, size_t pixels, size_t c, float *mean,
                      float *deviation)
{
    const __m256 share = _mm256_set1_ps(1.0f / (float)pixels), zero = _mm256_setzero_ps();
    size_t j, p;
    int v;

    for (j = 0; j < c; j += 32) {
        __m256 first[4], sum[4], square[4];
        __m256i m[4];

        for (v = 0; v < 4; v++) {
            const size_t at = j + 8 * (size_t)v;

            m[v] = lanes(at < c ? c - at : 0);
            first[v] = _mm256_maskload_ps(x + at, m[v]);
            sum[v] = square[v] = zero;
        }
        for (p = 1; p < pixels; p++) {
            for (v = 0; v < 4; v++) {
                const float *at = x + p * pitch + j + 8 * v;
                const __m256 d = _mm256_sub_ps(_mm256_maskload_ps(at, m[v]), first[v]);

                sum[v] = _mm256_add_ps(sum[v], d);
                square[v] = _mm256_fmadd_ps(d, d, square[v]);
            }
        }
        for (v = 0; v < 4; v++) {
            const __m256 mid = _mm256_mul_ps(sum[v], share);
            const __m256 rest = _mm256_fnmadd_ps(sum[v], mid, square[v]);

            _mm256_maskstore_ps(mean + j + 8 * v, m[v], _mm256_add_ps(first[v], mid));
            _mm256_maskstore_ps(deviation + j + 8 * v, m[v], _mm256_max_ps(zero, rest));
        }
    }
}

void ldm_affine_avx2(const float *x, size_t x_pitch, float *y, size_t y_pitch, size_t pixels,
                     size_t c, const float *a, const float *b, bool silu)
{
    size_t p, j;

    for (p = 0; p < pixels; p++, x += x_pitch, y += y_pitch) {
        for (j = 0; j < c; j += 8) {
            const __m256i m = lanes(c - j);
            __m256 v = _mm256_maskload_ps(x + j, m);

            v = _mm256_fmadd_ps(v, _mm256_maskload_ps(a + j, m), _mm256_maskload_ps(b + j, m));
            if (silu)
                v = silu8(v);
            _mm256_maskstore_ps(y + j, m, v);
        }
    }
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

/* 2^x for x <= 0 as in elem_avx512.c; below -126 the result is 2^-126. */
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

float ldm_softmax_avx2(float *row, size_t n, float scale)
{
    const __m256 low = _mm256_set1_ps(-INFINITY), factor = _mm256_set1_ps(scale * 0x1.715476p+0f);
    __m256 max[4] = {low, low, low, low}, sum = _mm256_setzero_ps(), offset;
    size_t i, j;

    for (i = 0; i + 32 <= n; i += 32) {
        for (j = 0; j < 4; j++)
            max[j] = _mm256_max_ps(max[j], _mm256_loadu_ps(row + i + 8 * j));
    }
    for (; i < n; i += 8) {
        const __m256i m = lanes(n - i);
        __m256 v = _mm256_maskload_ps(row + i, m);

        max[0] = _mm256_max_ps(max[0], _mm256_blendv_ps(low, v, _mm256_castsi256_ps(m)));
    }
    max[0] = _mm256_max_ps(_mm256_max_ps(max[0], max[1]), _mm256_max_ps(max[2], max[3]));
    /* The error of this product is the same for the whole row: it cancels in the division. */
    offset = _mm256_mul_ps(_mm256_set1_ps(reduce(max[0], true)), factor);
    for (i = 0; i + 8 <= n; i += 8) {
        __m256 v = power2(_mm256_fmsub_ps(_mm256_loadu_ps(row + i), factor, offset));

        _mm256_storeu_ps(row + i, v);
        sum = _mm256_add_ps(sum, v);
    }
    if (i < n) {
        const __m256i m = lanes(n - i);
        __m256 v = _mm256_fmsub_ps(_mm256_maskload_ps(row + i, m), factor, offset);

        v = _mm256_and_ps(power2(v), _mm256_castsi256_ps(m));
        _mm256_maskstore_ps(row + i, m, v);
        sum = _mm256_add_ps(sum, v);
    }
    return reduce(sum, false);
}

void ldm_silu_avx2(const float *x, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 8) {
        const __m256i m = lanes(n - i);

        _mm256_maskstore_ps(y + i, m, silu8(_mm256_maskload_ps(x + i, m)));
    }
}

void ldm_add_avx2(const float *a, const float *b, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 8) {
        const __m256i m = lanes(n - i);

        _mm256_maskstore_ps(
            y + i, m, _mm256_add_ps(_mm256_maskload_ps(a + i, m), _mm256_maskload_ps(b + i, m)));
    }
}

void ldm_multiply_avx2(float *y, size_t n, float s)
{
    size_t i;

    for (i = 0; i < n; i += 8) {
        const __m256i m = lanes(n - i);

        _mm256_maskstore_ps(y + i, m,
                            _mm256_mul_ps(_mm256_maskload_ps(y + i, m), _mm256_set1_ps(s)));
    }
}

void ldm_mean4_avx2(const float *a, const float *b, const float *c, const float *d, float *y,
                    size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 8) {
        const __m256i m = lanes(n - i);
        __m256 v = _mm256_add_ps(_mm256_maskload_ps(a + i, m), _mm256_maskload_ps(b + i, m));

        v = _mm256_add_ps(v, _mm256_maskload_ps(c + i, m));
        v = _mm256_add_ps(v, _mm256_maskload_ps(d + i, m));
        _mm256_maskstore_ps(y + i, m, _mm256_mul_ps(v, _mm256_set1_ps(0.25f)));
    }
}

/* Eight pixels side by side; see ldm_vq_avx512. */
void ldm_vq_avx2(const float *z, size_t pitch, size_t pixels, size_t c, const float *codebook,
                 int entries, int64_t *indices)
{
    _Alignas(32) float zt[VQ_MAX_C * 8];
    size_t p, k;
    int i, j;

    if (c > VQ_MAX_C) { /* no model has such a code; not worth a kernel */
        ldm_vq_ref(z, pitch, pixels, c, codebook, entries, indices);
        return;
    }
    for (p = 0; p < pixels; p += 8) {
        const int count = pixels - p < 8 ? (int)(pixels - p) : 8;
        __m256 zz = _mm256_setzero_ps(), best = zz, at = zz;
        _Alignas(32) int32_t result[8];
        const float *e = codebook;

        for (k = 0; k < c; k++) {
            __m256 v;

            for (i = 0; i < 8; i++)
                zt[k * 8 + (size_t)i] = i < count ? z[(p + (size_t)i) * pitch + k] : 0.0f;
            v = _mm256_load_ps(zt + k * 8);
            zz = _mm256_add_ps(zz, _mm256_mul_ps(v, v));
        }
        for (j = 0; j < entries; j++, e += c) {
            __m256 ee = _mm256_setzero_ps(), ze = ee, d, less;

            for (k = 0; k < c; k++) {
                __m256 ev = _mm256_broadcast_ss(e + k);

                ee = _mm256_add_ps(ee, _mm256_mul_ps(ev, ev));
                ze = _mm256_add_ps(ze, _mm256_mul_ps(_mm256_load_ps(zt + k * 8), ev));
            }
            d = _mm256_sub_ps(_mm256_add_ps(zz, ee), _mm256_mul_ps(_mm256_set1_ps(2.0f), ze));
            less = _mm256_cmp_ps(d, best, _CMP_LT_OQ);
            if (j == 0)
                less = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
            best = _mm256_blendv_ps(best, d, less);
            at = _mm256_blendv_ps(at, _mm256_castsi256_ps(_mm256_set1_epi32(j)), less);
        }
        _mm256_store_si256((__m256i *)(void *)result, _mm256_castps_si256(at));
        for (i = 0; i < count; i++)
            indices[p + (size_t)i] = result[i];
    }
}
