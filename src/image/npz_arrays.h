/* SPDX-License-Identifier: MIT */
/* An .npz of several arrays, as numpy.savez writes them. */
#ifndef LDM_IMAGE_NPZ_ARRAYS_H
#define LDM_IMAGE_NPZ_ARRAYS_H

#include "image/npy.h"

typedef struct ldm_npz_array {
    const char *name; /* "mu" */
    ldm_npy_type type;
    int ndim;
    uint64_t shape[LDM_NPY_MAX_DIMS];
    const void *data;
} ldm_npz_array;

enum { LDM_NPZ_MAX_ARRAYS = 16 };

/* Stored entries, written atomically; the same arrays give the same bytes. */
ldm_status ldm_npz_write_arrays(const char *path, const ldm_npz_array *arrays, size_t count,
                                ldm_error *err);

#endif
