/* SPDX-License-Identifier: MIT */
/* Inside the room: the pictures or latents that a job begins with (start.h has what a run makes of
 * them). */
#ifndef LDM_ENGINE_START_JOB_H
#define LDM_ENGINE_START_JOB_H

#include "engine/engine.h"
#include "engine/picture_in.h"

enum { LDM_MAX_SIDE = 4096 }; /* of a latent */

/* How pictures become the run's size: the setting "fit" of a settled job. */
ldm_fit_how ldm_start_fit(const ldm_job *j);

/* Fills in what they decide: count and shape where these are open, whether a part is kept (masked),
 * and then the strength where it is open. A job without pictures and latents has masked set alone.
 */
ldm_status ldm_start_settle(const ldm_model *m, ldm_job *j, ldm_error *err);

/* Adds "init" to a recipe: {"kind": "picture" or "latent", "sha256"} of what picture `index` begins
 * with. False when out of memory. */
bool ldm_start_describe(const ldm_job *job, int index, json_t *recipe);

/* Pictures of a job: sizes and channels; LDM_ERR_USAGE. what: "init". */
ldm_status ldm_start_check_images(const char *what, const ldm_image *ims, size_t count,
                                  ldm_error *err);
/* The masks of a job's pictures `ims`: one for all or one for each, of their sizes, and each paints
 * something; one whose shape is in its alpha is refused, too. padded: something is painted in
 * any case. LDM_ERR_USAGE. */
ldm_status ldm_start_check_masks(const ldm_job *j, const ldm_image *ims, size_t count, bool padded,
                                 ldm_error *err);
/* Warns of one that has colours: a photo has them and a mask has none, and the two are easily
 * exchanged. */
ldm_status ldm_start_note_masks(const ldm_job *j, ldm_notes *notes, ldm_error *err);

#endif
