/* SPDX-License-Identifier: MIT */
/* The one thing that is wanted of EXIF data: which way up the picture is. */
#ifndef LDM_IMAGE_EXIF_H
#define LDM_IMAGE_EXIF_H

#include <stddef.h>

#include "base/error.h"
#include "image/pixels.h"

/* The orientation, tag 0x0112 of the first directory, from EXIF data that begins with the TIFF
 * header
 * ("II" or "MM"): what a PNG's eXIf chunk holds, and a JPEG's APP1 segment after "Exif\0\0".
 * EXIF 2.32 section 4.6.4 numbers them; row 0 and column 0 of the stored samples are, in the
 * upright picture,
 *
 *     1 top, left        2 top, right       3 bottom, right    4 bottom, left
 *     5 left, top        6 right, top       7 right, bottom    8 left, bottom
 *
 * Returns 1..8, or 0 where there is none or the data is damaged: a picture is not refused for its
 * EXIF. Only the first directory is read, so that offsets cannot form a loop. tiff may be NULL if
 * size is 0. */
int ldm_exif_orientation(const void *tiff, size_t size);

/* Turns stored samples upright: p becomes the picture that orientation 1 would show. 5 to 8
 * exchange width and height. Anything outside 2..8 leaves p as it is. After an error (out of
 * memory) p is unchanged. */
ldm_status ldm_pixels_orient(ldm_pixels *p, int orientation, ldm_error *err);

#endif
