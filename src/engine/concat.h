/* SPDX-License-Identifier: MIT */
/* Inside the room: pictures as conditioning, for models that concatenate something with the latent.
 * What that is follows from the network; here it is made of the job's pictures. */
#ifndef LDM_ENGINE_CONCAT_H
#define LDM_ENGINE_CONCAT_H

#include "engine/engine.h"

struct ldm_run;

/* ---- what follows from network and job (concat_kind.c) -----------------------------------------
 */

bool ldm_concat_takes_mask(ldm_concat_kind kind);
/* Does each picture draw noise for it? */
bool ldm_concat_draws(const ldm_network *n);

/* Pixels of the picture that a latent pixel stands for. 0 for NONE. */
int ldm_concat_unit(const ldm_network *n);

/* ---- before a run exists (concat_job.c) ------------------------------------------------------ */

/* The originals' settings where a picture is enlarged and nobody says others: 100 steps and eta 1
 * with DDIM (bsr_sr's notebook and its notebook_helpers.py), the prompt of x4-upscaling's
 * scripts/streamlit/superresolution.py. */
ldm_status ldm_concat_defaults(const ldm_model *m, ldm_job *j, ldm_error *err);

/* Refuses pictures that the network does not take; where it takes those that are given, settles
 * shape, count and fit, whether a part is painted, and the noise level. LDM_ERR_USAGE. */
ldm_status ldm_concat_settle(const ldm_model *m, ldm_job *j, ldm_error *err);

/* The pictures that the concatenation is made of; NULL: none are given. */
const ldm_image *ldm_concat_pictures(const ldm_job *j, size_t *count);

/* What recipes hold of them: hashes of what picture `index` is made of. False without memory. */
bool ldm_concat_describe(const ldm_job *j, int index, json_t *recipe);

/* "a picture and a mask (--image, --mask)": what must be given where it is missing. */
const char *ldm_concat_wants(ldm_concat_kind kind);

/* ---- in a run -------------------------------------------------------------------------------- */

typedef struct ldm_concat {
    ldm_concat_kind kind; /* NONE: there are no pictures for it */
    ldm_array made;       /* [pictures,channels,h,w]; without what noise adds */
    float *moments;       /* [pictures][2 * latent]: of MASK_FIRST with a posterior; else NULL */
    float root, rest;     /* LOW_NOISED: factors of the picture and of the noise */
    float *noised;        /* [batch][channels * h * w], where noise is drawn; else NULL */
} ldm_concat;

/* Decides what is made (r->cond.pictures), with `made` as a shape alone. Needs the job settled. */
ldm_status ldm_concat_plan(struct ldm_run *r, ldm_error *err);

/* What making it takes: the network's part for the pictures (zeroed: none), and bytes. */
ldm_status ldm_concat_measure(const struct ldm_run *r, ldm_estimate *part, uint64_t *bytes,
                              ldm_error *err);

/* Runs the encoder, or the conditioner, once a picture. */
ldm_status ldm_concat_make(struct ldm_run *r, ldm_error *err);
void ldm_concat_free(ldm_concat *c);

/* Draws the noise of the picture in `slot` of the batch from its stream, or takes the job's
 * cond_noise. Nothing where none is drawn. */
void ldm_concat_draw(struct ldm_run *r, int slot);

/* What is concatenated for the picture in `slot`: [channels,h,w]. */
const float *ldm_concat_of(const struct ldm_run *r, int slot);

/* Remarks for the user. */
ldm_status ldm_concat_note(struct ldm_run *r, ldm_error *err);

#endif
