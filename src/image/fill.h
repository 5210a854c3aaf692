/* SPDX-License-Identifier: MIT */
/* Filling the hole of a picture with the colours around it. */
#ifndef LDM_IMAGE_FILL_H
#define LDM_IMAGE_FILL_H

#include "base/error.h"
#include "image/pixels.h"

/* Pixels of p where hole (1 channel, of p's size) is not 0 take new samples, ring by ring inwards:
 * each is the mean, rounded, of those of its eight neighbours that had samples before its ring.
 * Where nothing but hole is, all become 128. */
ldm_status ldm_fill_hole(const ldm_pixels *hole, ldm_pixels *p, ldm_error *err);

#endif
