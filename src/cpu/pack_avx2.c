/* Packing of weights with AVX2: 8x8 transposes, written past the cache (see pack_avx512.c). */
#include "cpu/kernels.h"

#include <immintrin.h>

#define NR 16

/* r[i][j] becomes r[j][i]. */
static void transpose8(__m256 r[8])
{
    __m256 t[8], u[8];
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

void ldm_pack_avx2(const ldm_pack *p)
{
    const size_t taps = (size_t)p->taps, columns = p->cin * taps;
    size_t col, ci, tap;
    int half, i;

    for (half = 0; half < NR; half += 8) {
        int rows = p->rows - half;

        ci = tap = 0;
        for (col = 0; col < columns; col += 8) {
            const size_t left = columns - col;
            const __m256i m = _mm256_cmpgt_epi32(_mm256_set1_epi32(left >= 8 ? 8 : (int)left),
                                                 _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            __m256 r[8];

            for (i = 0; i < 8; i++) {
                r[i] = _mm256_setzero_ps();
                if (i < rows)
                    r[i] = _mm256_maskload_ps(p->src + (size_t)(half + i) * p->src_stride + col, m);
            }
            transpose8(r);
            for (i = 0; i < 8 && (size_t)i < left; i++) {
                size_t first = ci - ci % p->chunk_len;
                size_t len = p->cin - first < p->chunk_len ? p->cin - first : p->chunk_len;
                float *dst = p->dst + (first * taps + tap * len + ci - first) * NR + half;

                if (p->stream)
                    _mm256_stream_ps(dst, r[i]);
                else
                    _mm256_store_ps(dst, r[i]);
                if (++tap == taps) {
                    tap = 0;
                    ci++;
                }
            }
        }
    }
    _mm_sfence();
}

void ldm_fetch_avx2(const float *p, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 16)
        _mm_prefetch((const char *)(p + i), _MM_HINT_T1);
}
