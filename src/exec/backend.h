/* SPDX-License-Identifier: MIT */
/* What exec asks of the hardware: a table of operations on views. `cpu` implements it; a GPU
 * backend would implement the same table. exec plans with it and never tests an instruction set.
 *
 * Layout: activations are f32, NHWC, with any pixel pitch, so that the producers of a concat write
 * into it directly. Weights come in CompVis' layout (OIHW). They are packed once at load, or stay
 * where they are.
 *
 * Determinism: for one backend (one instruction set) and one precision, the result for a sample
 * does not depend on the number of threads, on the batch it is in, or on its place there. So work
 * may be split in any way, but the order in which one output's terms are added may not depend on n
 * or on the number of workers. */
#ifndef LDM_EXEC_BACKEND_H
#define LDM_EXEC_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pool.h"

/* data: [n][h][w] pixels of c floats, `pitch` floats apart (pitch >= c). Rows and samples are dense
 * in pixels: pixel (i, y, x) starts at data + ((i * h + y) * w + x) * pitch. 64-byte alignment of
 * data is usual, never required; pitch is any number. */
typedef struct ldm_view {
    float *data;
    int n, h, w, c;
    size_t pitch;
} ldm_view;

typedef enum ldm_precision {
    LDM_PRECISION_EXACT, /* direct convolution, f32 */
    LDM_PRECISION_F32,   /* f32, faster algorithms (Winograd) allowed */
    LDM_PRECISION_BF16
} ldm_precision;

/* A convolution's shape, without the batch. kernel_h and kernel_w are 1 to LDM_CONV_MAX_KERNEL,
 * stride 1 or 2. The input is read as if surrounded by zeros: pad_top and pad_left before it, as
 * many as needed after it. With
 * `upsample` the input is first enlarged by 2 (nearest): in_h, in_w are the sizes before that.
 *   out(y, x) = sum over ky, kx of W(ky, kx) * in(y * stride + ky - pad_top, x * stride + ...)
 * A linear layer is kernel 1 on a view of h = 1. */
typedef struct ldm_conv_desc {
    int cin, cout, kernel_h, kernel_w, stride, pad_top, pad_left;
    bool upsample;
    int in_h, in_w, out_h, out_w;
} ldm_conv_desc;

enum { LDM_CONV_MAX_KERNEL = 7 };

static inline int ldm_conv_taps(const ldm_conv_desc *d)
{
    return d->kernel_h * d->kernel_w;
}

/* A picture cut into rectangles of h x w pixels from the top left on, smaller ones at the right and
 * at the bottom; they are numbered row by row. */
typedef struct ldm_slabs {
    int h, w;
} ldm_slabs;

static inline size_t ldm_slab_count(const ldm_slabs *s, int h, int w)
{
    return (size_t)((h - 1) / s->h + 1) * (size_t)((w - 1) / s->w + 1);
}

/* What GroupNorm must know of c channels: for each slab and channel the mean of its pixels and the
 * sum of the squares of their distances from it. data: [n][slabs][2][c]. */
typedef struct ldm_moments {
    const float *data;
    ldm_slabs slabs;
    int c;
} ldm_moments;

/* How one convolution will be computed: chosen from the shape alone, never by timing. */
typedef struct ldm_conv_plan {
    ldm_conv_desc desc;
    int algorithm;         /* the backend's number */
    const char *name;      /* "direct", "winograd4", ...; static */
    size_t packed_floats;  /* size of the packed weights */
    int pack_tasks;        /* independent parts that packing may be split into */
    bool as_is;            /* packing would copy the weights unchanged: conv may be given them as
                              they lie in the file */
    size_t scratch_floats; /* of ldm_exec_ctx.scratch needed for any n, with ctx->threads */
    /* The same where y lies over x, which is lost: y.data == x.data, y.pitch at most 2 / 3 of
     * x.pitch, one bias for all samples, a residual elsewhere or none, not GEGLU; 0: it may not. */
    size_t in_place_floats;
    ldm_slabs slabs; /* of the moments of y that conv can write; h 0: it writes none */
    bool normalises; /* conv can normalise x itself (ldm_conv_args.affine) */
    bool rectifies;  /* conv can apply ReLU to its result, */
    bool activates;  /* or any activation but GEGLU, */
    bool gates;      /* or GEGLU */
} ldm_conv_plan;

/* Threads and scratch memory of one run. */
typedef struct ldm_exec_ctx {
    ldm_pool *pool;
    int threads;    /* == ldm_pool_threads(pool) */
    float *scratch; /* 64-byte aligned */
    size_t scratch_floats;
} ldm_exec_ctx;

typedef enum ldm_activation {
    LDM_ACTIVATION_NONE,
    LDM_ACTIVATION_RELU,       /* the larger of x and 0 */
    LDM_ACTIVATION_SILU,       /* x * sigmoid(x) */
    LDM_ACTIVATION_GELU,       /* x * Phi(x) */
    LDM_ACTIVATION_QUICK_GELU, /* x * sigmoid(1.702 x) */
    LDM_ACTIVATION_GEGLU       /* a * GELU(b), a and b the first and second half of the channels */
} ldm_activation;

typedef struct ldm_conv_args {
    ldm_view x, y;
    const void *packed; /* from conv_pack, 64-byte aligned; or, where the plan says as_is, the
                           weights as conv_pack takes them */
    bool half;          /* as_is only: packed is in half precision (IEEE 754 binary16) */
    const float *bias;  /* [cout], or one row per sample bias_stride floats apart; NULL: none */
    size_t bias_stride; /* 0: the same bias for all samples */
    ldm_view residual;  /* added to the result (same n, h, w, c as y); data NULL: none. May be y
                           itself (same data and pitch) */
    ldm_activation activation; /* of the result, residual included; only if the plan says so.
                                  GEGLU: y has half of the plan's cout channels, and no residual */
    float *moments;      /* of y, in the plan's slabs: [n][slabs][2][cout]; NULL: not wanted */
    const float *affine; /* x * factor + offset is convolved: [n][2][cin]; NULL: x itself. Only
                            if the plan normalises */
    bool silu;           /* SiLU of x * factor + offset before it is convolved */
} ldm_conv_args;

typedef struct ldm_norm_args {
    ldm_view x, y;             /* y may be x */
    ldm_moments known[2];      /* moments of the first channels of x, and of the rest; c 0: no such
                                  channels; data NULL: norm computes them */
    const float *gamma, *beta; /* [c] */
    int groups;
    float eps;
    bool silu;                  /* y = v * sigmoid(v) after the affine part */
    const float *scale, *shift; /* [n][c], scale_stride floats apart: v * (1 + scale) + shift before
                                   the SiLU (use_scale_shift_norm); NULL: none */
    size_t scale_stride;
    float *affine; /* each channel's factor and offset, for ldm_conv_args: [n][2][c]. y and silu are
                      left to the convolution; NULL: y is written */
} ldm_norm_args;

/* softmax(scale * Q K^T) V per head, without the N x N matrix in memory. Head j of a pixel's q is
 * at q.data + pixel * q.pitch + j * head_stride, head_dim floats; k and v likewise
 * (cross-attention: k and v have their own number of pixels, kv n = q n). The result of head j goes
 * to channel j * head_dim of y. q.c, k.c and v.c are not read. */
typedef struct ldm_attention_args {
    ldm_view q, k, v, y;
    int heads, head_dim;
    size_t head_stride;
    float scale;
    bool causal; /* query number i sees keys 0 to i; there must be as many keys as queries */
    ldm_precision precision; /* bf16: q, k, v and the softmax's results are rounded to bf16 before
                                they are multiplied, if the backend has it; else as f32 */
} ldm_attention_args;

/* A window of kernel_h x kernel_w pixels, 1 to LDM_POOL_MAX_TAPS of them. Every window has a pixel
 * inside of x: pad is less than the kernel. */
typedef struct ldm_pool_desc {
    bool mean; /* false: the largest */
    int kernel_h, kernel_w, stride, pad;
} ldm_pool_desc;

enum { LDM_POOL_MAX_TAPS = 64 };

typedef struct ldm_backend ldm_backend;

struct ldm_backend {
    const char *name; /* "c", "avx2", "avx512" */

    /* Convolution: plan once, pack once (any of the pack_tasks in any thread), run often. weights:
     * [cout][cin][kernel_h][kernel_w] f32, 4-byte aligned. algorithm: -1 lets the backend choose
     * from the shape; else the number an earlier plan of the same layer at another size got
     * (weights are packed once and must serve every size). LDM_ERR_UNSUPPORTED for a precision that
     * the processor lacks. */
    ldm_status (*conv_plan)(const ldm_backend *b, const ldm_conv_desc *d, ldm_precision p,
                            int algorithm, int threads, ldm_conv_plan *out, ldm_error *err);
    void (*conv_pack)(const ldm_backend *b, const ldm_conv_plan *plan, const float *weights,
                      float *packed, int task);
    void (*conv)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                 const ldm_conv_args *a);

    /* Scratch floats that an operation takes for these arguments and this many threads (only sizes
     * are read, no data). */
    size_t (*norm_scratch)(const ldm_backend *b, const ldm_norm_args *a, int threads);
    void (*norm)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_norm_args *a);
    size_t (*attention_scratch)(const ldm_backend *b, const ldm_attention_args *a, int threads);
    void (*attention)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_attention_args *a);

    /* y = (x - mean) / sqrt(variance + eps) * gamma + beta, over the channels of each pixel; y may
     * be x. gamma, beta: [c]. */
    void (*layer_norm)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                       const float *gamma, const float *beta, float eps, const ldm_view *y);
    /* y[j] = x[j] * GELU(x[c + j]), c the channels of y; x has 2 c. */
    void (*geglu)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                  const ldm_view *y);

    /* y = f(x) (not GEGLU); y = a + b; y = x; elementwise over views of one size, y may be an
     * input. */
    void (*activate)(const ldm_backend *b, const ldm_exec_ctx *ctx, ldm_activation f,
                     const ldm_view *x, const ldm_view *y);
    void (*add)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *a0,
                const ldm_view *a1, const ldm_view *y);
    void (*copy)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                 const ldm_view *y);
    /* y(oy, ox) = the largest, or the mean, of x in the window from (oy * stride - pad, ox * stride
     * - pad) on. What lies outside of x does not count: the mean is of the pixels inside. NaN
     * stays NaN. */
    void (*pool)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_pool_desc *d,
                 const ldm_view *x, const ldm_view *y);
    /* y[n][2h][2w] = nearest; y = x + v[n][c] (v_stride apart). */
    void (*upsample2)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                      const ldm_view *y);
    void (*add_vector)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                       const float *v, size_t v_stride, const ldm_view *y);

    /* Nearest codebook entry of each pixel: argmin over j of |z|^2 + |e_j|^2 - 2 z.e_j in f32, the
     * first minimum wins (VectorQuantizer2). codebook: [entries][z->c]. indices: [n*h*w]. */
    void (*vq_nearest)(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *z,
                       const float *codebook, int entries, int64_t *indices);
};

#endif
