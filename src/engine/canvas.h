/* SPDX-License-Identifier: MIT */
/* Inside the room: a picture that a run begins with, in the size of the run's pictures, and the
 * part of it that is to be painted. */
#ifndef LDM_ENGINE_CANVAS_H
#define LDM_ENGINE_CANVAS_H

#include "engine/picture_in.h"
#include "job/job.h"

typedef struct ldm_canvas {
    ldm_pixels picture;
    ldm_pixels paint; /* [height][width]: 255 to be painted, 0 kept; no data: the job has no mask */
    ldm_pixels cover; /* with paint, of its size: how far the picture has a colour of its own there,
                         0 (none: fully transparent, a pad) to 255; only such a colour may show
                         through what is painted */
} ldm_canvas;

/* Room around a picture that is to be painted, in pixels. */
typedef struct ldm_pad {
    int left, top, right, bottom;
} ldm_pad;

/* "N" or "L,T,R,B"; LDM_ERR_USAGE for anything else. */
ldm_status ldm_pad_read(const char *text, ldm_pad *out, ldm_error *err);

/* fill_below of ldm_canvas_make. The encoder sees nothing of what is under a hole; what is handed
 * out may let a half transparent pixel's own colour through. */
enum { LDM_CANVAS_FILL_PAINTED = 128, LDM_CANVAS_FILL_EMPTY = 1 };

/* Does the picture say itself what is to be painted? Where alpha is below 128. */
bool ldm_canvas_transparent(const ldm_image *im);

/* Is a pixel of a mask light: luma of 128 and more? Alpha does not count. */
bool ldm_canvas_light(const uint8_t *pixel, int channels);

/* The pictures that canvases are made of: those that the job begins with, else its conditioning's.
 * NULL: it has none. */
const ldm_image *ldm_canvas_pictures(const ldm_job *j, size_t *count);

/* Number i of the job's pictures, with `channels` (1 or 3), padded and fitted to width x height;
 * with KEEP it has its own size with the pads, which is at most that. What is to be painted
 * follows: the mask's light half (luma 128 and more), or without a mask the transparent part; and
 * the pads, which repeat the edge. Without a mask, where alpha is below fill_below the colours
 * around grow in. *out: ldm_canvas_free. */
ldm_status ldm_canvas_make(const ldm_job *j, size_t i, unsigned channels, int width, int height,
                           ldm_fit_how how, int fill_below, ldm_canvas *out, ldm_error *err);
void ldm_canvas_free(ldm_canvas *c); /* a zeroed struct is fine */

/* A picture with its last column and row repeated up to width x height. */
ldm_status ldm_canvas_extend(const ldm_pixels *in, int width, int height, ldm_pixels *out,
                             ldm_error *err);

/* The mask of CompVis' DDIM, 1 where the latent keeps x0, [latent_h][latent_w]: nearest, as
 * torch's interpolate: the pixel at (factor * y, factor * x); beyond the paint it is 1. */
void ldm_canvas_latent_mask(const ldm_pixels *paint, int factor, int latent_h, int latent_w,
                            float *mask);

#endif
