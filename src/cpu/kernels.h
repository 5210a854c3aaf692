/* SPDX-License-Identifier: MIT */
/* The inner loops of the cpu room, one table per instruction set. The drivers (direct.c,
 * winograd.c, norm.c, attention.c, elementwise.c) hold all the geometry and never test an
 * instruction set; *_ref.c says what each kernel means.
 *
 * A kernel may differ between instruction sets in the last bits (fused multiply-add, lanes of a
 * sum), but within one set the result for one output never depends on the tile it was computed in.
 */
#ifndef LDM_CPU_KERNELS_H
#define LDM_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LDM_CPU_MAX_MR 10
#define LDM_CPU_MAX_NR 32

/* Where sums go: acc = (first ? 0 : partial) + sum; then either partial = acc (unless `last`), or
 *   y[i][j] = acc[i][j] + bias[j] + residual[i][j]   for j < cols,
 * and with `relu` the larger of that and 0. */
typedef struct ldm_tile_out {
    bool first, last;
    float *partial; /* [rows][nr], 64-byte aligned; unused if first and last */
    float *y;       /* unused unless last */
    size_t y_pitch;
    const float *bias;     /* NULL: none */
    const float *residual; /* NULL: none; may be y */
    size_t residual_pitch;
    bool relu;
    int cols; /* valid columns, 1..nr */
} ldm_tile_out;

/* One tile of a matrix product: mr rows (pixels) by up to nr columns (output channels).
 *   sum[i][j] = sum over tap, k of rows[tap][i][k] * b[tap][k][j]
 * in this order of tap and k, whatever the tiling. */
typedef struct ldm_tile {
    const float *const *rows; /* [taps][mr] */
    size_t row_offset;        /* floats added to each row pointer */
    int taps;
    size_t k;
    const float *b;    /* [taps][k][nr], 64-byte aligned */
    const float *next; /* what is read as b after this. taps * k / 2 rows of nr are fetched from
                          there. Only a hint: any address */
    ptrdiff_t ahead;   /* floats from a row to the one that the next tile reads, fetched likewise */
    ldm_tile_out out;
} ldm_tile;

/* The same for any number of rows at equal distances, with one tap: sum[i][j] = sum over k of
 * a[i][k] * b[k][j]. */
typedef struct ldm_strip {
    const float *a;
    size_t a_stride, rows, k;
    const float *following; /* the rows that are read after these, as many: they are fetched
                               while tiles are multiplied. Any address. NULL: they are in the
                               cache already */
    const float *b;         /* [k][nr], 64-byte aligned */
    const float *next;      /* what is read as b after this, fetched likewise: `pace` floats a
                               step of k of each tile; any address */
    size_t pace;
    ldm_tile_out out;
} ldm_strip;

/* Where the columns of one panel of a weight matrix go: column (ci, tap) = ci * taps + tap of row
 * co becomes element co of row `chunk * taps * chunk_len + tap * len(chunk) + ci - chunk *
 * chunk_len` of dst, where chunk = ci / chunk_len. */
typedef struct ldm_pack {
    const void *src;   /* rows of cin * taps floats, 4-byte aligned */
    bool half;         /* src is in half precision (IEEE 754 binary16), 2-byte aligned */
    size_t src_stride; /* elements from one row to the next */
    int rows;          /* 1..nr; the rest of a dst row is zero */
    int taps;
    size_t cin, chunk_len;
    float *dst;  /* [taps * cin][nr], 64-byte aligned */
    bool stream; /* dst is larger than the caches and not read soon */
} ldm_pack;

/* Where one tile of a Winograd convolution goes: rows x cols pixels of `columns` channels (the tile
 * may stick out of the picture). residual as in ldm_tile. */
typedef struct ldm_wino_out {
    float *y;
    size_t y_row, y_pitch; /* floats from one row of pixels, one pixel to the next */
    const float *bias, *residual;
    size_t residual_row, residual_pitch;
    int rows, cols, columns;
    bool relu;   /* the larger of the result and 0 is written */
    float *sums; /* [3][sums_stride] for each channel: the first pixel, the sum of the
                    differences from it, and the sum of their squares. This tile adds its own.
                    NULL: not wanted */
    size_t sums_stride;
    bool start; /* this tile is the first */
} ldm_wino_out;

/* The three transforms of F(out x out, 3x3):
 *   input: in * in pixels to as many transformed values v;
 *   filter: 3x3 filters to side * side matrices u;
 *   output: side * side products m to out * out pixels.
 * v, u and m are numbered row by row, with `stride` floats between neighbours. Usually in = side =
 * out + 2, and product number i is u number i times v number i. The transforms for an input that
 * the convolution enlarges by 2 (up2, up4) take the pixels before that; where side > in, two of the
 * products share an input (see winograd_tile.inc). */
typedef struct ldm_wino {
    int out, in, side;
    /* pixels: [in * in] rows of c floats. Of each v up to 15 floats after the first c are written.
     */
    void (*input)(const float *const *pixels, size_t c, float *v, size_t v_stride);
    void (*output)(const float *m, size_t m_stride, const ldm_wino_out *o);
    /* g: [channels][9][nr]; each u: [channels][nr]. nr: the kernels' own; both aligned to 64. */
    void (*filter)(const float *g, size_t channels, size_t nr, float *u, size_t u_stride);
} ldm_wino;

/* Products of F(4,3) for up to LDM_WINO_FEW tiles, with the transform of the filters: for each
 * matrix u that wino4.filter would make of g, tile i and column j of nr m[i][j] = (first ? 0 :
 * m[i][j]) + (sum over channels of v[i] * u[j], in their order). */
#define LDM_WINO_FEW 4
typedef struct ldm_wino_few {
    const float *g; /* [channels][9][nr], 64-byte aligned */
    size_t channels;
    const float *v; /* [36], v_stride apart; tile i's channels from tile[i] on */
    size_t v_stride, tile[LDM_WINO_FEW];
    bool first;
    float *m; /* [36], m_stride apart, of [LDM_WINO_FEW][nr], 64-byte aligned */
    size_t m_stride;
    const float *next; /* the filters that come next, fetched on the way: nr rows, next_row
                          apart. Only a hint: any address */
    size_t next_row;
} ldm_wino_few;

typedef struct ldm_kernels {
    int mr, nr;       /* largest tile */
    int chunk;        /* rows of a panel of B that stay in the first-level cache */
    int block_pixels; /* rows of A, chunk floats each, that stay in the second-level cache */

    void (*tile)(const ldm_tile *t, int mr); /* 1 <= mr <= kernels.mr */
    void (*strip)(const ldm_strip *t);
    void (*pack)(const ldm_pack *p);
    /* In bf16, with f32 sums. Where a float stands in a strip's a and b, there is a pair of bf16
     * numbers (a[i][2 k] and a[i][2 k + 1]; b[2 k][j] and b[2 k + 1][j]), and k, a_stride and pace
     * count pairs. AVX-512: only where the processor has AVX512_BF16 too. */
    void (*strip_bf16)(const ldm_strip *t);
    /* y[i] = x[i], to the nearest, ties to even; x and y may begin at one address. */
    void (*round_bf16)(const float *x, uint16_t *y, size_t n);
    /* y[2 i] = even[i], y[2 i + 1] = odd[i]. odd NULL: zeros. */
    void (*pair_bf16)(const float *even, const float *odd, uint16_t *y, size_t n);

    /* mean[c] over the pixels of x and deviation[c] = sum over pixels of (x - mean)^2, computed
     * from the distances from the first pixel. For a few pixels. */
    void (*moments)(const float *x, size_t pitch, size_t pixels, size_t c, float *mean,
                    float *deviation);
    /* y = x * a[c] + b[c], then y * sigmoid(y) if silu. */
    void (*affine)(const float *x, size_t x_pitch, float *y, size_t y_pitch, size_t pixels,
                   size_t c, const float *a, const float *b, bool silu);
    /* row = exp(scale * (row - max(row))), up to a factor near 1 that the whole row shares; returns
     * the sum of the new row. scale >= 0. */
    float (*softmax)(float *row, size_t n, float scale);
    /* The same for a part of a row. *top is scale * log2(e) times the greatest element so far,
     * -INFINITY before the first part; it is updated and stands for the maximum. *ratio: what the
     * parts before, and their sums, must be multiplied by. */
    float (*softmax_part)(float *row, size_t n, float scale, float *top, float *ratio);
    /* y = (x - mean) / sqrt(variance + eps) * gamma + beta of one row */
    void (*layer_norm)(const float *x, const float *gamma, const float *beta, float eps, float *y,
                       size_t n);
    void (*relu)(const float *x, float *y, size_t n);
    void (*silu)(const float *x, float *y, size_t n);
    void (*gelu)(const float *x, float *y, size_t n);
    void (*quick_gelu)(const float *x, float *y, size_t n);
    void (*geglu)(const float *a, const float *b, float *y, size_t n); /* a * gelu(b) */
    void (*add)(const float *a, const float *b, float *y, size_t n);
    void (*multiply)(float *y, size_t n, float s); /* y *= s */
    /* y = the largest of taps[0] to taps[count - 1] (NaN if one is), or their sum in this order
     * divided by count. */
    void (*largest_of)(const float *const *taps, int count, float *y, size_t n);
    void (*mean_of)(const float *const *taps, int count, float *y, size_t n);
    /* Nearest entry of each of `pixels` vectors of c floats; see backend.h. */
    void (*vq)(const float *z, size_t pitch, size_t pixels, size_t c, const float *codebook,
               int entries, int64_t *indices);

    ldm_wino wino2, wino4, wino_up2, wino_up4;
    void (*wino_few)(const ldm_wino_few *f); /* NULL: it takes more registers than there are */
} ldm_kernels;

extern const ldm_kernels ldm_kernels_ref;
#if defined(__x86_64__)
extern const ldm_kernels ldm_kernels_avx2;
extern const ldm_kernels ldm_kernels_avx512;
#endif

/* The kernels of those tables, one file per concern and instruction set. */
#define LDM_WINO_TRANSFORMS(size, isa)                                                             \
    void ldm_wino_input##size##_##isa(const float *const *pixels, size_t c, float *v,              \
                                      size_t v_stride);                                            \
    void ldm_wino_output##size##_##isa(const float *m, size_t m_stride, const ldm_wino_out *o);    \
    void ldm_wino_filter##size##_##isa(const float *g, size_t channels, size_t nr, float *u,       \
                                       size_t u_stride);
#define LDM_DECLARE_KERNELS(isa)                                                                   \
    void ldm_tile_##isa(const ldm_tile *t, int mr);                                                \
    void ldm_strip_##isa(const ldm_strip *t);                                                      \
    void ldm_pack_##isa(const ldm_pack *p);                                                        \
    void ldm_moments_##isa(const float *x, size_t pitch, size_t pixels, size_t c, float *mean,     \
                           float *deviation);                                                      \
    void ldm_affine_##isa(const float *x, size_t x_pitch, float *y, size_t y_pitch, size_t pixels, \
                          size_t c, const float *a, const float *b, bool silu);                    \
    float ldm_softmax_##isa(float *row, size_t n, float scale);                                    \
    float ldm_softmax_part_##isa(float *row, size_t n, float scale, float *top, float *ratio);     \
    void ldm_layer_norm_##isa(const float *x, const float *gamma, const float *beta, float eps,    \
                              float *y, size_t n);                                                 \
    void ldm_relu_##isa(const float *x, float *y, size_t n);                                       \
    void ldm_silu_##isa(const float *x, float *y, size_t n);                                       \
    void ldm_gelu_##isa(const float *x, float *y, size_t n);                                       \
    void ldm_quick_gelu_##isa(const float *x, float *y, size_t n);                                 \
    void ldm_geglu_##isa(const float *a, const float *b, float *y, size_t n);                      \
    void ldm_add_##isa(const float *a, const float *b, float *y, size_t n);                        \
    void ldm_multiply_##isa(float *y, size_t n, float s);                                          \
    void ldm_largest_of_##isa(const float *const *taps, int count, float *y, size_t n);            \
    void ldm_mean_of_##isa(const float *const *taps, int count, float *y, size_t n);               \
    void ldm_vq_##isa(const float *z, size_t pitch, size_t pixels, size_t c,                       \
                      const float *codebook, int entries, int64_t *indices);                       \
    LDM_WINO_TRANSFORMS(2, isa)                                                                    \
    LDM_WINO_TRANSFORMS(4, isa)                                                                    \
    LDM_WINO_TRANSFORMS(_up2, isa)                                                                 \
    LDM_WINO_TRANSFORMS(_up4, isa)

LDM_DECLARE_KERNELS(ref)
LDM_DECLARE_KERNELS(avx2)
LDM_DECLARE_KERNELS(avx512)
void ldm_wino_few_avx512(const ldm_wino_few *f);

#define LDM_DECLARE_BF16(isa)                                                                      \
    void ldm_strip_bf16_##isa(const ldm_strip *t);                                                 \
    void ldm_round_bf16_##isa(const float *x, uint16_t *y, size_t n);                              \
    void ldm_pair_bf16_##isa(const float *even, const float *odd, uint16_t *y, size_t n);

LDM_DECLARE_BF16(ref)
LDM_DECLARE_BF16(avx512)

#endif
