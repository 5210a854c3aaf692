/* SPDX-License-Identifier: MIT */
/* NumPy .npy and .npz files. Reading gives f32 from <f2 <f4 <f8, bool and integer types (integers
 * beyond 2^24 round), C order and Fortran order, versions 1 to 3. Writing is version 1, C order. */
#ifndef LDM_IMAGE_NPY_H
#define LDM_IMAGE_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"

enum { LDM_NPY_MAX_DIMS = 8 };

typedef struct ldm_npy {
    int ndim;
    uint64_t shape[LDM_NPY_MAX_DIMS];
    uint64_t numel;
    float *data; /* owned; ldm_npy_free */
} ldm_npy;

ldm_status ldm_npy_read(const char *path, ldm_npy *out, ldm_error *err);
ldm_status ldm_npy_read_memory(const void *data, size_t size, const char *name, ldm_npy *out,
                               ldm_error *err);
void ldm_npy_free(ldm_npy *a); /* zeroed struct is fine */

/* What an array in memory is, before it is read. */
typedef struct ldm_npy_shape {
    int ndim;
    uint64_t shape[LDM_NPY_MAX_DIMS];
    uint64_t numel;
    const unsigned char *data; /* the first element */
    bool bytes;                /* elements are u8 in C order, so that `data` can be used as it is */
} ldm_npy_shape;

ldm_status ldm_npy_look(const void *data, size_t size, const char *name, ldm_npy_shape *out,
                        ldm_error *err);
/* The elements as doubles, in C order; out: room for the array's numel. */
ldm_status ldm_npy_read_f64(const void *data, size_t size, const char *name, double *out,
                            ldm_error *err);

typedef enum ldm_npy_type { LDM_NPY_F32, LDM_NPY_F64, LDM_NPY_I64, LDM_NPY_U8 } ldm_npy_type;

/* Writes numel(shape) elements of `type`, atomically (temporary name, then rename). */
ldm_status ldm_npy_write(const char *path, ldm_npy_type type, int ndim, const uint64_t *shape,
                         const void *data, ldm_error *err);

/* The file of ldm_npz_write_u8 piece by piece. */
typedef struct ldm_npz_writer {
    ldm_outfile out;
    char name[208];      /* of the entry */
    uint64_t bytes;      /* of the entry */
    uint64_t left;       /* of them, still to come */
    uint32_t crc;        /* of those that came */
    uint64_t local_size; /* of the record before them */
} ldm_npz_writer;

ldm_status ldm_npz_begin(ldm_npz_writer *w, const char *path, const char *array_name, int ndim,
                         const uint64_t *shape, ldm_error *err); /* on failure: aborted */
/* LDM_ERR_USAGE for more than the shape says; a failure of writing shows at the end. */
ldm_status ldm_npz_add(ldm_npz_writer *w, const uint8_t *data, size_t size, ldm_error *err);
/* LDM_ERR_USAGE for less than the shape says. On failure: aborted. */
ldm_status ldm_npz_end(ldm_npz_writer *w, ldm_error *err);
void ldm_npz_abort(ldm_npz_writer *w); /* a zeroed struct is fine, and after the end a no-op */

/* One array "arr_0" of u8 [N,H,W,C] in an .npz as numpy.savez writes it (stored entries): the form
 * that the ADM evaluation suite and FID tools read. */
ldm_status ldm_npz_write_u8(const char *path, const char *array_name, int ndim,
                            const uint64_t *shape, const uint8_t *data, ldm_error *err);

#endif
