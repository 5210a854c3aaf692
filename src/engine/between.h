/* SPDX-License-Identifier: MIT */
/* Inside the room: the start noise of a picture, with a variation of it. */
#ifndef LDM_ENGINE_BETWEEN_H
#define LDM_ENGINE_BETWEEN_H

#include "engine/engine.h"
#include "sample/rng.h"

/* The seed of a picture's own stream: the job's plus its number. With a variation (vary_strength
 * above 0) it is the job's for all, and the variation's seed goes up. */
uint64_t ldm_picture_seed(const ldm_job *job, int picture);

/* Standard normal noise from the picture's stream, or so far from it as vary_strength says on the
 * way to that of seed vary + picture. other: scratch. All [count]. */
void ldm_start_noise(const ldm_job *job, int picture, ldm_rng *rng, float *out, float *other,
                     size_t count);

#endif
