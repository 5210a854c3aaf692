/* SPDX-License-Identifier: MIT */
/* The Gaussian that fits a set of feature vectors, the Fréchet distance between two of them (D.
 * Dowson, B. Landau, "The Fréchet distance between multivariate normal distributions", 1982; M.
 * Heusel et al., "GANs trained by a two time-scale update rule", 2017), and its file.
 *
 * The file: one line of ASCII, "ldm-stats 1 DIM COUNT NETWORK", filled up with blanks and ended by
 * a line feed at byte 127; then DIM means and the lower triangle of the covariance row by row (DIM
 * * (DIM + 1) / 2 values), all little-endian IEEE doubles. NETWORK is the SHA-256 of what computed
 * the features, 64 hexadecimal digits: distances between different networks' features mean nothing.
 */
#ifndef LDM_IMAGE_GAUSSIAN_H
#define LDM_IMAGE_GAUSSIAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { LDM_GAUSSIAN_MAX_DIM = 8192 };

typedef struct ldm_gaussian {
    size_t dim;
    uint64_t count;
    double *mean;     /* [dim] */
    double *scatter;  /* [dim][dim], lower triangle: sum of (x - mean)(x - mean)^T */
    char network[65]; /* "" until it is known */
} ldm_gaussian;

/* Empty, of 1 to LDM_GAUSSIAN_MAX_DIM dimensions. */
ldm_status ldm_gaussian_create(size_t dim, ldm_gaussian **out, ldm_error *err);
void ldm_gaussian_free(ldm_gaussian *g); /* NULL is fine */

/* Takes in one vector x[dim] (B. Welford's update, 1962: no large sums that cancel). work: [dim].
 */
void ldm_gaussian_add(ldm_gaussian *g, const double *x, double *work);

/* |ma - mb|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)), covariances with 1 / (count - 1). With Ca = L L^T
 * the trace of the root is the sum of the roots of the eigenvalues of L^T Cb L; a singular Ca gives
 * a narrow L. LDM_ERR_USAGE for different dimensions or networks, or fewer than 2 vectors in
 * either. */
ldm_status ldm_gaussian_distance(const ldm_gaussian *a, const ldm_gaussian *b, double *out,
                                 ldm_error *err);

ldm_status ldm_gaussian_write(const char *path, const ldm_gaussian *g, ldm_error *err);
ldm_status ldm_gaussian_read(const char *path, ldm_gaussian **out, ldm_error *err);

#endif
