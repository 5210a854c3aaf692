/* SPDX-License-Identifier: MIT */
/* Packing of weights with AVX-512: 16x16 transposes, whole lines written past the cache where they
 * are not read soon (a checkpoint's weights are far larger than it). */
#include "cpu/kernels.h"

#include <immintrin.h>

typedef __m512 vec;

#define WIDTH 16
#define NR 32
#define ZERO _mm512_setzero_ps()
#define LOAD_FLOATS(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define STORE(p, v) _mm512_store_ps(p, v)
#define STREAM(p, v) _mm512_stream_ps(p, v)
#define UNPACK_LOW(a, b) _mm512_unpacklo_ps(a, b)
#define UNPACK_HIGH(a, b) _mm512_unpackhi_ps(a, b)
#define SHUFFLE(a, b, imm) _mm512_shuffle_ps(a, b, imm)
#define PACK ldm_pack_avx512

static void transpose(vec r[16])
{
    vec t[16];
    int i;

    for (i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

static inline vec quarters_of_floats(const float *p, size_t row)
{
    vec v = _mm512_castps128_ps512(_mm_loadu_ps(p));

    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 4 * row), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 8 * row), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + 12 * row), 3);
}

static inline vec halves(const uint16_t *p, int n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p));
}

static inline __m128i four_halves(const uint16_t *p)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)p);
}

static inline vec quarters_of_halves(const uint16_t *p, size_t row)
{
    const __m128i low = _mm_unpacklo_epi64(four_halves(p), four_halves(p + 4 * row));
    const __m128i high = _mm_unpacklo_epi64(four_halves(p + 8 * row), four_halves(p + 12 * row));

    return _mm512_cvtph_ps(_mm256_set_m128i(high, low));
}

#include "cpu/pack_kernel.inc"
