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

/* Columns [col, col + 8) of up to 8 rows; beyond the last row and column there are zeros. */
static inline void load8(const float *src, size_t stride, int rows, size_t left, __m256 r[8])
{
    const __m256i m = _mm256_cmpgt_epi32(_mm256_set1_epi32(left >= 8 ? 8 : (int)left),
                                         _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    int i;

    for (i = 0; i < 8; i++) {
        r[i] = _mm256_setzero_ps();
        if (i < rows)
            r[i] = _mm256_maskload_ps(src + (size_t)i * stride, m);
    }
}

/* Four columns of rows 0 and 4 after p, `row` floats apart. */
static inline __m256 halves(const float *p, size_t row)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * row),
                                1);
}

/* 8 rows, 4 columns of them to 4 rows of dst (see transpose16x4 in pack_avx512.c). */
static inline void transpose8x4(const float *src, size_t row, float *dst, bool stream)
{
    const __m256 a = halves(src, row), b = halves(src + row, row);
    const __m256 c = halves(src + 2 * row, row), d = halves(src + 3 * row, row);
    const __m256 ab0 = _mm256_unpacklo_ps(a, b), ab2 = _mm256_unpackhi_ps(a, b);
    const __m256 cd0 = _mm256_unpacklo_ps(c, d), cd2 = _mm256_unpackhi_ps(c, d);
    const __m256 y0 = _mm256_shuffle_ps(ab0, cd0, 0x44), y1 = _mm256_shuffle_ps(ab0, cd0, 0xee);
    const __m256 y2 = _mm256_shuffle_ps(ab2, cd2, 0x44), y3 = _mm256_shuffle_ps(ab2, cd2, 0xee);

    if (stream) {
        _mm256_stream_ps(dst, y0);
        _mm256_stream_ps(dst + NR, y1);
        _mm256_stream_ps(dst + 2 * NR, y2);
        _mm256_stream_ps(dst + 3 * NR, y3);
    } else {
        _mm256_store_ps(dst, y0);
        _mm256_store_ps(dst + NR, y1);
        _mm256_store_ps(dst + 2 * NR, y2);
        _mm256_store_ps(dst + 3 * NR, y3);
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
    __m256 r[8];
    int i;

    if (rows >= 8) {
        for (; col < whole; col += 4)
            transpose8x4(src + col, p->src_stride, dst + col * NR, p->stream);
    }
    for (; col < columns; col += 8) {
        load8(src + col, p->src_stride, rows, columns - col, r);
        transpose8(r);
        for (i = 0; i < 8 && (size_t)i < columns - col; i++)
            _mm256_store_ps(dst + (col + (size_t)i) * NR, r[i]);
    }
}

static void pack_by_taps(const ldm_pack *p, int half)
{
    const size_t taps = (size_t)p->taps, columns = p->cin * taps;
    const float *src = p->src + (size_t)half * p->src_stride;
    float *chunk = p->dst + half; /* where its first channel goes; ci counts from that */
    size_t len = p->cin < p->chunk_len ? p->cin : p->chunk_len;
    size_t col, first = 0, ci = 0, tap = 0;
    __m256 r[8];
    int i;

    for (col = 0; col < columns; col += 8) {
        load8(src + col, p->src_stride, p->rows - half, columns - col, r);
        transpose8(r);
        for (i = 0; i < 8 && (size_t)i < columns - col; i++) {
            _mm256_stream_ps(chunk + (tap * len + ci) * NR, r[i]);
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

void ldm_pack_avx2(const ldm_pack *p)
{
    int half;

    for (half = 0; half < NR; half += 8) {
        if (p->taps == 1 || p->chunk_len == 1)
            pack_in_order(p, half);
        else
            pack_by_taps(p, half);
    }
    if (p->stream)
        _mm_sfence();
}
