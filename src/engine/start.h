/* SPDX-License-Identifier: MIT */
/* Inside the room: what a run begins with in addition to noise (image-to-image).
 *
 * As CompVis' img2img.py: the picture goes through the first stage's encoder (of a KL first stage a
 * sample of the posterior is taken, one draw), the latent is noised to a step of the plan
 * (stochastic_encode, one draw), and the sampler begins there. Each picture draws from its own
 * stream, in this order, and then its steps draw. The caller may give latents in place of pictures:
 * then nothing is encoded, and the first of these draws is not made.
 *
 * With a mask by pictures (masks, transparent parts, pads) the latent is x0, the known region, and
 * at strength 1 the part that is painted begins with start noise, in the place of the second draw;
 * as elsewhere, start noise is not among the entries of given noise. Then each step draws x0's
 * noise (q_sample's) and its own. */
#ifndef LDM_ENGINE_START_H
#define LDM_ENGINE_START_H

#include "engine/run_state.h"

/* Where the run begins: r->first, r->noise_before, r->start (NULL for a job without pictures and
 * latents). Needs the plan. LDM_ERR_USAGE where the strength runs no step, LDM_ERR_CONFIG where the
 * first stage cannot encode. */
ldm_status ldm_start_create(ldm_run *r, ldm_error *err);
void ldm_start_free(ldm_start *s); /* NULL is fine */

/* The job's noise against what the run draws (ldm_job_check_noise). */
ldm_status ldm_start_check_noise(const ldm_run *r, ldm_error *err);

/* What it takes: the encoder's arena and weights (zeroed where there is none), and bytes of its
 * own.
 */
ldm_status ldm_start_measure(const ldm_run *r, ldm_estimate *encode, ldm_error *err);
uint64_t ldm_start_bytes(const ldm_run *r);
ldm_status ldm_start_allocate(ldm_run *r, ldm_error *err);

/* Remarks for the user. */
ldm_status ldm_start_note(ldm_run *r, ldm_error *err);

/* The noised latent of picture `slot` of the batch into r->x; its stream was seeded. Uses the
 * arena. Of an inversion the latent itself (of a KL first stage the posterior's mean). */
ldm_status ldm_start_picture(ldm_run *r, int slot, ldm_error *err);

/* Of an inversion: the latent that picture `slot` began with, [chw]; the run's own. */
const float *ldm_start_latent(const ldm_run *r, int slot);

#endif
