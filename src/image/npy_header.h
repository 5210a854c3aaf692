/* SPDX-License-Identifier: MIT */
/* The .npy header as bytes: shared by the .npy and the .npz writer, private to this room. */
#ifndef LDM_IMAGE_NPY_HEADER_H
#define LDM_IMAGE_NPY_HEADER_H

#include "image/npy.h"

typedef struct ldm_npy_text {
    char bytes[320]; /* magic, version, length, dict; eight 20-digit lengths fit */
    size_t len;      /* a multiple of 64 */
} ldm_npy_text;

/* Fills *out for a C-order array, and *data_bytes with the bytes that follow it. */
ldm_status ldm_npy_header(ldm_npy_type type, int ndim, const uint64_t *shape, ldm_npy_text *out,
                          uint64_t *data_bytes, ldm_error *err);

#endif
