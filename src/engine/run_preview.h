/* SPDX-License-Identifier: MIT */
/* Inside the room: what a picture looks like so far.
 *
 * A latent's pixel is turned into a colour by a linear map, fitted by least squares: noise
 * (smoothed a little, as latents are) is decoded once, the picture's blocks of factor x factor
 * pixels are averaged, and each colour is regressed on the channels of the latent's pixel and a
 * constant. */
#ifndef LDM_ENGINE_RUN_PREVIEW_H
#define LDM_ENGINE_RUN_PREVIEW_H

#include "engine/run_state.h"

/* For a job with `preview` above 0; else r->preview stays NULL. */
ldm_status ldm_preview_create(ldm_run *r, ldm_error *err);
void ldm_preview_free(ldm_preview *p); /* NULL is fine */

/* Decodes a latent [chw] into r->image; z[chw]: scratch. Uses the arena. */
typedef ldm_status (*ldm_preview_decode)(ldm_run *r, const float *latent, float *z, ldm_error *err);

/* Fits the map, once for each model and size: the model keeps the last one. */
ldm_status ldm_preview_fit(ldm_run *r, ldm_preview_decode decode, ldm_error *err);

/* After step `step` (1-based) of ldm_run_steps: makes the preview of the active pictures from their
 * predicted x0, [active_n][chw], where one is due. */
void ldm_preview_update(ldm_run *r, int step, const float *pred_x0, ldm_preview_decode decode);
/* Shown once: fills in the fields of *p where there is a new one. */
void ldm_preview_report(ldm_run *r, ldm_progress *p);

#endif
