/* SPDX-License-Identifier: MIT */
/* How far apart the bytes of two pictures are. */
#ifndef LDM_IMAGE_APART_H
#define LDM_IMAGE_APART_H

#include <stddef.h>
#include <stdint.h>

/* Where a picture's bytes lie: the first, and the steps to the next row and the next pixel. */
typedef struct ldm_bytes_at {
    const uint8_t *first;
    size_t row, pixel;
} ldm_bytes_at;

typedef struct ldm_difference {
    double psnr;          /* 10 log10(255^2 / mse), decibels; infinity where mse is 0 */
    double mse;           /* mean of squared differences of bytes */
    double mean_absolute; /* mean of their absolute values */
    int largest;          /* the largest of these */
} ldm_difference;

/* Over width x height pixels, and of each the first `channels` bytes. */
ldm_difference ldm_difference_of(ldm_bytes_at a, ldm_bytes_at b, size_t width, size_t height,
                                 size_t channels);

#endif
