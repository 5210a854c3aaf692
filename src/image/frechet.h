/* SPDX-License-Identifier: MIT */
/* The Frechet distance between two normal distributions, and mean and covariance of many vectors.
 * In double. */
#ifndef LDM_IMAGE_FRECHET_H
#define LDM_IMAGE_FRECHET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pool.h"

typedef struct ldm_normal {
    size_t dim;
    const double *mean, *cov; /* [dim], [dim][dim] with both triangles */
} ldm_normal;

/* |ma - mb|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)); what is only rounding becomes 0. With Ca = L L^T the
 * trace of the root is the sum of the roots of the eigenvalues of L^T Cb L; a singular Ca gives a
 * narrow L, so that the one of lower rank is best given first. a and b of one dimension. pool: its
 * threads share the work; NULL: the caller alone, with the same result. LDM_ERR_NUMERIC for NaN or
 * infinity, and for a matrix that is no covariance because it has negative eigenvalues. */
ldm_status ldm_frechet(const ldm_normal *a, const ldm_normal *b, ldm_pool *pool, double *out,
                       ldm_error *err);

/* Mean [dim] and covariance [dim][dim] (divided by count - 1) of `count` of the rows, each of dim
 * floats: row picks[i], i < count; picks NULL: row i. count is 2 at least. The result does not
 * depend on the number of threads. */
ldm_status ldm_covariance_of_rows(const float *rows, const uint32_t *picks, size_t count,
                                  size_t dim, ldm_pool *pool, double *mean, double *cov,
                                  ldm_error *err);

#endif
