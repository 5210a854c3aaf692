/* SPDX-License-Identifier: MIT */
/* Which timesteps a run visits. Pure maths; no model. */
#ifndef LDM_SAMPLE_SPACING_H
#define LDM_SAMPLE_SPACING_H

#include "base/error.h"

typedef enum ldm_spacing {
    LDM_SPACING_COMPVIS,  /* range(0, T, T // S) + 1; a timestep of T is dropped (see `dropped`) */
    LDM_SPACING_QUAD,     /* CompVis ddim_discr_method quad */
    LDM_SPACING_LEADING,  /* these three: table 2 of "Common diffusion noise schedules and sample */
    LDM_SPACING_TRAILING, /* steps are flawed" (Lin, Liu, Li, Yang 2023) */
    LDM_SPACING_LINSPACE,
    /* Noise levels instead of timesteps; the timestep at a level may have a fraction: */
    LDM_SPACING_DISCRETE,   /* those of S timesteps from T - 1 to 0 (k-diffusion's get_sigmas) */
    LDM_SPACING_KARRAS,     /* Karras et al. 2022, eq. 5, rho 7 */
    LDM_SPACING_EXPONENTIAL /* evenly in log(sigma) */
} ldm_spacing;

enum { LDM_SPACING_COUNT = LDM_SPACING_EXPONENTIAL + 1 };

/* The spacing of a name; any other name is LDM_ERR_USAGE. */
ldm_status ldm_spacing_parse(const char *name, ldm_spacing *out, ldm_error *err);
const char *ldm_spacing_name(ldm_spacing s);

/* Timesteps as indices into alphas_cumprod, each 0 .. train_steps - 1, in increasing order (quad
 * may repeat some). */
typedef struct ldm_timesteps {
    int count;
    int *t;      /* [count] */
    int dropped; /* timesteps left out because they do not exist (the original raises there) */
} ldm_timesteps;

/* For the spacings that are timesteps, compvis to linspace. steps: 1 .. train_steps, else
 * LDM_ERR_USAGE. compvis runs more than `steps` where they do not divide train_steps; the others
 * run exactly as many. On failure *out is zeroed. */
ldm_status ldm_timesteps_create(ldm_spacing s, int train_steps, int steps, ldm_timesteps *out,
                                ldm_error *err);
void ldm_timesteps_free(ldm_timesteps *t); /* a zeroed struct is fine */

#endif
