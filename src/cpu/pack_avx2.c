/* SPDX-License-Identifier: MIT */
/* Packing of weights with AVX2: 8x8 transposes (see pack_avx512.c). */
#include "cpu/kernels.h"

#include <immintrin.h>
#include <string.h>

typedef __m256 vec;

static __m256i lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define WIDTH 8
#define NR 16
#define ZERO _mm256_setzero_ps()
#define LOAD_FLOATS(p, n) _mm256_maskload_ps(p, lanes(n))
#define STORE(p, v) _mm256_store_ps(p, v)
#define STREAM(p, v) _mm256_stream_ps(p, v)
#define UNPACK_LOW(a, b) _mm256_unpacklo_ps(a, b)
#define UNPACK_HIGH(a, b) _mm256_unpackhi_ps(a, b)
#define SHUFFLE(a, b, imm) _mm256_shuffle_ps(a, b, imm)
#define PACK ldm_pack_avx2

static void transpose(vec r[8])
{
    vec t[8], u[8];
    int i;

    for (i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (i = 0; i < 8; i += 4) {
        u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

static inline vec quarters_of_floats(const float *p, size_t row)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * row),
                                1);
}

static inline vec halves(const uint16_t *p, int n)
{
    uint16_t all[8] = {0};

    if (n < 8) {
        memcpy(all, p, (size_t)n * sizeof *p);
        p = all;
    }
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline __m128i four_halves(const uint16_t *p)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)p);
}

static inline vec quarters_of_halves(const uint16_t *p, size_t row)
{
    return _mm256_cvtph_ps(_mm_unpacklo_epi64(four_halves(p), four_halves(p + 4 * row)));
}

#include "cpu/pack_kernel.inc"
