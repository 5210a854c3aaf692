/* SPDX-License-Identifier: MIT */
/* The operations of ldm_backend over a table of kernels: geometry, splitting into tasks, scratch.
 */
#ifndef LDM_CPU_OPS_H
#define LDM_CPU_OPS_H

#include "cpu/kernels.h"
#include "exec/backend.h"

/* A backend, and the kernels that it is made of. */
typedef struct ldm_bf16_engine ldm_bf16_engine; /* bf16.h */

typedef struct ldm_cpu_backend_impl {
    ldm_backend base; /* first: the same address */
    const ldm_kernels *kernels;
    const ldm_bf16_engine *bf16; /* NULL: no bf16 on this processor or in this build */
    double bf16_gain;            /* how many times the f32 rate its matrix products reach */
} ldm_cpu_backend_impl;

static inline const ldm_cpu_backend_impl *ldm_cpu_impl(const ldm_backend *b)
{
    return (const ldm_cpu_backend_impl *)b;
}

static inline const ldm_kernels *ldm_kernels_of(const ldm_backend *b)
{
    return ldm_cpu_impl(b)->kernels;
}

ldm_status ldm_cpu_conv_plan(const ldm_backend *b, const ldm_conv_desc *d, ldm_precision p,
                             int algorithm, int threads, ldm_conv_plan *out, ldm_error *err);
void ldm_cpu_conv_pack(const ldm_backend *b, const ldm_conv_plan *plan, const float *weights,
                       float *packed, int task);
void ldm_cpu_conv(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                  const ldm_conv_args *a);

size_t ldm_cpu_norm_scratch(const ldm_backend *b, const ldm_norm_args *a, int threads);
void ldm_cpu_norm(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_norm_args *a);

size_t ldm_cpu_attention_scratch(const ldm_backend *b, const ldm_attention_args *a, int threads);
void ldm_cpu_attention(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_attention_args *a);

void ldm_cpu_layer_norm(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                        const float *gamma, const float *beta, float eps, const ldm_view *y);
void ldm_cpu_geglu(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                   const ldm_view *y);
void ldm_cpu_activate(const ldm_backend *b, const ldm_exec_ctx *ctx, ldm_activation f,
                      const ldm_view *x, const ldm_view *y);
void ldm_cpu_add(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *a0,
                 const ldm_view *a1, const ldm_view *y);
void ldm_cpu_copy(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                  const ldm_view *y);
void ldm_cpu_pool(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_pool_desc *d,
                  const ldm_view *x, const ldm_view *y);
void ldm_cpu_upsample2(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                       const ldm_view *y);
void ldm_cpu_add_vector(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                        const float *v, size_t v_stride, const ldm_view *y);
void ldm_cpu_vq_nearest(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *z,
                        const float *codebook, int entries, int64_t *indices);

/* Pixels of a slab whose moments are computed by norm itself (Winograd's slabs are rows of its
 * tiles). */
#define LDM_CPU_SLAB 16

/* Small arithmetic the drivers share. */
static inline size_t ldm_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static inline size_t ldm_round_up(size_t a, size_t b)
{
    return ldm_ceil_div(a, b) * b;
}

/* Element i of weights in half precision or in floats. */
static inline const void *ldm_weight_at(const void *weights, size_t i, bool half)
{
    return (const char *)weights + i * (half ? sizeof(uint16_t) : sizeof(float));
}

/* Start of part i of n when `total` is split evenly. */
static inline size_t ldm_split(size_t total, size_t n, size_t i)
{
    return total / n * i + total % n * i / n;
}

/* A total cut into as few parts of at most `most` as there can be, nearly equal, the longer ones
 * first. Inner loops walk it: they have no time for the divisions of ldm_split. */
typedef struct ldm_cut {
    size_t parts, length, longer;
} ldm_cut;

static inline ldm_cut ldm_cut_of(size_t total, size_t most)
{
    const size_t parts = ldm_ceil_div(total, most);

    return (ldm_cut){parts, total / parts, total % parts};
}

static inline size_t ldm_cut_part(const ldm_cut *c, size_t i)
{
    return c->length + (i < c->longer);
}

/* ldm_strip.pace with which all tiles of a strip together fetch n floats for each step of its k. */
static inline size_t ldm_strip_pace(const ldm_kernels *k, size_t rows, size_t n)
{
    return ldm_ceil_div(n, ldm_ceil_div(rows, (size_t)k->mr));
}

#endif
