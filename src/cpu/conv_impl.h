/* SPDX-License-Identifier: MIT */
/* What conv.c, which chooses an algorithm, and the algorithms share. */
#ifndef LDM_CPU_CONV_IMPL_H
#define LDM_CPU_CONV_IMPL_H

#include "cpu/ops.h"

/* ldm_conv_plan.algorithm */
enum {
    LDM_CONV_DIRECT,
    LDM_CONV_WINOGRAD2,
    LDM_CONV_WINOGRAD4,
    LDM_CONV_BF16, /* direct, at precision bf16 only */
    LDM_CONV_ALGORITHMS
};

/* A row of zeros at the start of scratch, for what lies outside of the input. */
static inline size_t ldm_conv_zero_floats(const ldm_conv_desc *d)
{
    return ldm_round_up((size_t)d->cin, 16);
}

/* Whether Winograd reads the input before the convolution enlarges it: it can where each tile
 * begins between two pairs of equal pixels. */
static inline bool ldm_wino_reads_small(const ldm_conv_desc *d)
{
    return d->upsample && d->pad_top == 1 && d->pad_left == 1;
}

/* conv_out.c. Output channels of a panel of nr. */
static inline int ldm_conv_columns(const ldm_kernels *k, const ldm_conv_desc *d, size_t panel)
{
    const int left = d->cout - (int)panel * k->nr;

    return left < k->nr ? left : k->nr;
}

/* Where the outputs of a panel go for the pixels that begin at `pixel`, counted over all samples,
 * and share a bias. */
ldm_tile_out ldm_conv_outputs(const ldm_kernels *k, const ldm_conv_desc *d, const ldm_conv_args *a,
                              size_t panel, size_t pixel, float *partial);
/* Activates (but for ReLU, which the product itself applies) `count` pixels of a panel's results.
 */
void ldm_conv_activate(const ldm_kernels *k, ldm_activation f, const ldm_tile_out *out,
                       size_t count);
/* GEGLU: rows of nr values and nr gates to a panel's results. */
void ldm_conv_gate(const ldm_kernels *k, const float *pairs, const ldm_tile_out *out, size_t count);

/* direct.c. Whether weights stay in the checkpoint's layout and are packed where they are used. */
bool ldm_direct_packs_late(const ldm_conv_desc *d);
/* Whether output pixel i is made of input pixel i alone. */
bool ldm_direct_takes_pixels(const ldm_conv_desc *d);
size_t ldm_direct_scratch_floats(const ldm_kernels *k, const ldm_conv_desc *d, int threads);
size_t ldm_direct_in_place_floats(const ldm_kernels *k, const ldm_conv_desc *d, int threads);
void ldm_direct_pack(const ldm_kernels *k, const ldm_conv_desc *d, const float *weights,
                     float *packed, int task);
void ldm_direct_conv(const ldm_kernels *k, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                     const ldm_conv_args *a);

/* winograd.c. The slabs of which F(4,3) writes moments: rows of tiles, unless they are too long. */
ldm_slabs ldm_wino_slabs(const ldm_kernels *k, const ldm_conv_desc *d);
/* Whether Winograd normalises its input itself. */
bool ldm_wino_normalises(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d, int threads);
size_t ldm_wino_scratch_floats(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d,
                               int threads);
void ldm_wino_conv(const ldm_kernels *k, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                   const ldm_conv_args *a);

#endif
