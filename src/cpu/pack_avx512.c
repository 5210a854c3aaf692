/* Packing of weights with AVX-512: 16x16 transposes, whole lines written past the cache (a
 * checkpoint's weights are far larger than it and are not read again before the first evaluation).
 */
#include "cpu/kernels.h"

#include <immintrin.h>

#define NR 32

/* r[i][j] becomes r[j][i]. */
static void transpose16(__m512 r[16])
{
    __m512 t[16];
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

void ldm_pack_avx512(const ldm_pack *p)
{
    const size_t taps = (size_t)p->taps, columns = p->cin * taps;
    size_t col, ci, tap;
    int half, i;

    for (half = 0; half < NR; half += 16) {
        int rows = p->rows - half;

        ci = tap = 0;
        for (col = 0; col < columns; col += 16) {
            const size_t left = columns - col;
            const __mmask16 m = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
            __m512 r[16];

            for (i = 0; i < 16; i++) {
                r[i] = _mm512_setzero_ps();
                if (i < rows)
                    r[i] =
                        _mm512_maskz_loadu_ps(m, p->src + (size_t)(half + i) * p->src_stride + col);
            }
            transpose16(r);
            for (i = 0; i < 16 && (size_t)i < left; i++) {
                size_t first = ci - ci % p->chunk_len;
                size_t len = p->cin - first < p->chunk_len ? p->cin - first : p->chunk_len;
                float *dst = p->dst + (first * taps + tap * len + ci - first) * NR + half;

                if (p->stream)
                    _mm512_stream_ps(dst, r[i]);
                else
                    _mm512_store_ps(dst, r[i]);
                if (++tap == taps) {
                    tap = 0;
                    ci++;
                }
            }
        }
    }
    _mm_sfence();
}

void ldm_fetch_avx512(const float *p, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += 16)
        _mm_prefetch((const char *)(p + i), _MM_HINT_T1);
}
