/* SPDX-License-Identifier: MIT */
/* Inside the room: convolution in bf16 with f32 sums, by oneDNN's matrix product. Only in builds
 * that found oneDNN 3 (LDM_ONEDNN); dispatch.c alone asks for that. */
#ifndef LDM_CPU_ONEDNN_H
#define LDM_CPU_ONEDNN_H

#include "cpu/ops.h"

/* What conv.c calls for LDM_CONV_BF16; a backend without it has NULL. */
struct ldm_bf16_conv {
    /* Whether a layer can be computed so at all: a property of its channels and kernel. */
    bool (*fits)(const ldm_conv_desc *d);
    /* Sets packed_floats, pack_tasks and scratch_floats of a plan whose desc is set. Has oneDNN
     * make its code for this size, so that an evaluation only looks it up. */
    ldm_status (*plan)(ldm_conv_plan *plan, int threads, ldm_error *err);
    void (*pack)(const ldm_kernels *k, const ldm_conv_plan *plan, const float *weights,
                 float *packed, int task);
    /* A product that oneDNN refuses (it made the same one when it was planned) leaves NaN, which
     * the run finds and reports. */
    void (*conv)(const ldm_exec_ctx *ctx, const ldm_conv_plan *plan, const ldm_conv_args *a);
};

extern const ldm_bf16_conv ldm_onednn_conv;

/* LDM_ERR_UNSUPPORTED, and why, where the library found at run time cannot do it. */
ldm_status ldm_onednn_usable(ldm_error *err);
const char *ldm_onednn_version(char buf[24]); /* "oneDNN 3.2.0" */

/* bf16_avx512.c. y[i] = x[i]; rows need no alignment. */
void ldm_bf16_row_avx512(const float *x, uint16_t *y, size_t n);
/* y[2 i] = even[i], y[2 i + 1] = odd[i]. */
void ldm_bf16_pairs_avx512(const float *even, const float *odd, uint16_t *y, size_t n);
/* y = sum + bias + residual in f32; bias, residual: NULL for none; residual may be y. */
void ldm_bf16_finish_avx512(const float *sum, const float *bias, const float *residual, float *y,
                            size_t n);

#endif
