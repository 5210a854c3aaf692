/* SPDX-License-Identifier: MIT */
/* PIL's resampling weights, shared by the 8-bit and the float resizers; private to this room. */
#ifndef LDM_IMAGE_RESAMPLE_H
#define LDM_IMAGE_RESAMPLE_H

#include <stddef.h>

#include "image/resize.h"

/* The most source samples that one result is made of. scale: source samples a result sample.
 * filter: not NEAREST. */
size_t ldm_resample_taps(ldm_resample filter, double scale);

/* The weights of the result whose middle lies at `centre` of `size` source samples: weights[k] is
 * that of sample FIRST + k, k < *used, and their sum is 1. Returns FIRST. weights: room for
 * ldm_resample_taps. */
size_t ldm_resample_weights(ldm_resample filter, double scale, double centre, uint32_t size,
                            double *weights, size_t *used);

#endif
