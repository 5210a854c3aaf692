/* SPDX-License-Identifier: MIT */
/* Eigenvalues of symmetric matrices, in double. */
#ifndef LDM_IMAGE_EIGEN_H
#define LDM_IMAGE_EIGEN_H

#include <stddef.h>

#include "base/error.h"
#include "base/pool.h"

/* The n eigenvalues of the symmetric a[n][n] (row-major; both triangles are read, both destroyed)
 * in ascending order. Householder reflections to tridiagonal form, then QL steps with Wilkinson's
 * shift (G. Golub, C. Van Loan, "Matrix Computations", sections 8.3.1 and 8.3.4). About 2.7 n^3
 * operations, shared by the pool's threads; pool NULL: the caller alone, with the same result.
 * LDM_ERR_NUMERIC for NaN or infinity in a. */
ldm_status ldm_symmetric_eigenvalues(double *a, size_t n, ldm_pool *pool, double *values,
                                     ldm_error *err);

#endif
