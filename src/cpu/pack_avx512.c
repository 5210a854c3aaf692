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

/* Columns [col, col + 16) of up to 16 rows; beyond the last row and column there are zeros. */
static inline void load16(const float *src, size_t stride, int rows, size_t left, __m512 r[16])
{
    const __mmask16 m = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
    int i;

    for (i = 0; i < 16; i++) {
        r[i] = _mm512_setzero_ps();
        if (i < rows)
            r[i] = _mm512_maskz_loadu_ps(m, src + (size_t)i * stride);
    }
}

/* Four columns of rows 0, 4, 8 and 12 after p, `row` floats apart. */
static inline __m512 quarters(const float *p, size_t row)
{
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(p));

    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 4 * row), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 8 * row), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + 12 * row), 3);
}

/* 16 rows, 4 columns of them to 4 rows of dst: half of the shuffles of transpose16, since loads put
 * the quarters where they belong. */
static inline void transpose16x4(const float *src, size_t row, float *dst, bool stream)
{
    const __m512 a = quarters(src, row), b = quarters(src + row, row);
    const __m512 c = quarters(src + 2 * row, row), d = quarters(src + 3 * row, row);
    const __m512 ab0 = _mm512_unpacklo_ps(a, b), ab2 = _mm512_unpackhi_ps(a, b);
    const __m512 cd0 = _mm512_unpacklo_ps(c, d), cd2 = _mm512_unpackhi_ps(c, d);
    const __m512 y0 = _mm512_shuffle_ps(ab0, cd0, 0x44), y1 = _mm512_shuffle_ps(ab0, cd0, 0xee);
    const __m512 y2 = _mm512_shuffle_ps(ab2, cd2, 0x44), y3 = _mm512_shuffle_ps(ab2, cd2, 0xee);

    if (stream) {
        _mm512_stream_ps(dst, y0);
        _mm512_stream_ps(dst + NR, y1);
        _mm512_stream_ps(dst + 2 * NR, y2);
        _mm512_stream_ps(dst + 3 * NR, y3);
    } else {
        _mm512_store_ps(dst, y0);
        _mm512_store_ps(dst + NR, y1);
        _mm512_store_ps(dst + 2 * NR, y2);
        _mm512_store_ps(dst + 3 * NR, y3);
    }
}

/* Where columns follow one another in dst as they do in src. */
static void pack_in_order(const ldm_pack *p, int half)
{
    const size_t columns = p->cin * (size_t)p->taps, whole = columns / 4 * 4;
    const float *src = p->src + (size_t)half * p->src_stride;
    const int rows = p->rows - half;
    float *dst = p->dst + half;
    size_t col = 0;
    __m512 r[16];
    int i;

    if (rows >= 16) {
        for (; col < whole; col += 4)
            transpose16x4(src + col, p->src_stride, dst + col * NR, p->stream);
    }
    for (; col < columns; col += 16) {
        load16(src + col, p->src_stride, rows, columns - col, r);
        transpose16(r);
        for (i = 0; i < 16 && (size_t)i < columns - col; i++)
            _mm512_store_ps(dst + (col + (size_t)i) * NR, r[i]);
    }
}

static void pack_by_taps(const ldm_pack *p, int half)
{
    const size_t taps = (size_t)p->taps, columns = p->cin * taps;
    const float *src = p->src + (size_t)half * p->src_stride;
    float *chunk = p->dst + half; /* where its first channel goes; ci counts from that */
    size_t len = p->cin < p->chunk_len ? p->cin : p->chunk_len;
    size_t col, first = 0, ci = 0, tap = 0;
    __m512 r[16];
    int i;

    for (col = 0; col < columns; col += 16) {
        load16(src + col, p->src_stride, p->rows - half, columns - col, r);
        transpose16(r);
        for (i = 0; i < 16 && (size_t)i < columns - col; i++) {
            _mm512_stream_ps(chunk + (tap * len + ci) * NR, r[i]);
            if (++tap < taps)
                continue;
            tap = 0;
            if (++ci < len)
                continue;
            ci = 0;
            chunk += len * taps * NR;
            first += len;
            len = p->cin - first < p->chunk_len ? p->cin - first : p->chunk_len;
        }
    }
}

void ldm_pack_avx512(const ldm_pack *p)
{
    int half;

    for (half = 0; half < NR; half += 16) {
        if (p->taps == 1 || p->chunk_len == 1)
            pack_in_order(p, half);
        else
            pack_by_taps(p, half);
    }
    if (p->stream)
        _mm_sfence();
}
