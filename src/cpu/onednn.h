/* SPDX-License-Identifier: MIT */
/* Inside the room: the products of bf16.c by oneDNN. Only in builds that found oneDNN 3
 * (LDM_ONEDNN); dispatch.c alone asks for that. */
#ifndef LDM_CPU_ONEDNN_H
#define LDM_CPU_ONEDNN_H

#include "cpu/bf16.h"

extern const ldm_bf16_engine ldm_onednn_products;

/* LDM_ERR_UNSUPPORTED, and why, where the library found at run time cannot do it. */
ldm_status ldm_onednn_usable(ldm_error *err);
const char *ldm_onednn_version(char buf[24]); /* "oneDNN 3.2.0" */

/* bf16_avx512.c. y = sum + bias + residual in f32; bias, residual: NULL for none; residual may be
 * y. */
void ldm_bf16_finish_avx512(const float *sum, const float *bias, const float *residual, float *y,
                            size_t n);

#endif
