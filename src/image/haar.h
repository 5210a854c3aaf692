/* SPDX-License-Identifier: MIT */
/* Face detection with a Haar cascade (Viola and Jones 2001; Lienhart and Maydt 2002), as OpenCV's
 * CascadeClassifier::detectMultiScale does it: same pyramid, same steps, same grouping, same
 * rectangles. The cascade comes from a file in OpenCV's XML format (Debian package opencv-data). */
#ifndef LDM_IMAGE_HAAR_H
#define LDM_IMAGE_HAAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/picture.h"

typedef struct ldm_haar ldm_haar; /* immutable once loaded: threads may share it */

typedef struct ldm_rect {
    int x, y, width, height; /* pixels */
} ldm_rect;

/* Loads a cascade of stumps or trees without tilted features. Free it with ldm_haar_free. */
ldm_status ldm_haar_load(const char *path, ldm_haar **out, ldm_error *err);
ldm_status ldm_haar_load_memory(const void *data, size_t size, const char *name, ldm_haar **out,
                                ldm_error *err);
void ldm_haar_free(ldm_haar *h); /* NULL is fine */

/* The frontal face cascade (haarcascade_frontalface_alt2.xml): `path`, or where distributions put
 * it if path is NULL. LDM_ERR_IO says how to install it where it is not. */
ldm_status ldm_haar_load_face(const char *path, ldm_haar **out, ldm_error *err);

/* Objects in grey[height][width]. scale_step > 1 is the pyramid's ratio; a group of more than
 * min_neighbours hits makes an object (0: every hit on its own). *out: *count rectangles to
 * ldm_free, NULL if there are none; sorted by y, x, width. */
ldm_status ldm_haar_detect(const ldm_haar *h, const uint8_t *grey, uint32_t width, uint32_t height,
                           double scale_step, int min_neighbours, ldm_rect **out, size_t *count,
                           ldm_error *err);

/* Faces in a picture, at scale step 1.1 and 3 neighbours: the judge of the study's table. Pictures
 * whose shorter side is below 192 pixels are enlarged to that first (bicubic; not strips that would
 * exceed 64 million pixels); rectangles are in the picture's own pixels. */
ldm_status ldm_haar_faces(const ldm_haar *h, const ldm_picture *p, ldm_rect **out, size_t *count,
                          ldm_error *err);

/* Grey as OpenCV converts: Rec. 601 luma in 15 fractional bits, rounded. grey: [height][width]. */
void ldm_picture_grey(const ldm_picture *p, uint8_t *grey);

#endif
