/* Inside the room: what a run holds. run.c makes and frees it, run_batch.c samples and decodes. */
#ifndef LDM_ENGINE_RUN_STATE_H
#define LDM_ENGINE_RUN_STATE_H

#include "engine/run_job.h"
#include "image/picture.h"
#include "sample/ddim.h"
#include "sample/rng.h"

struct ldm_run {
    const ldm_model *m;
    ldm_job job; /* settled: count, batch, shape are final */
    ldm_pool *pool;
    ldm_ddim_schedule schedule;
    int *order; /* timesteps as sampled, largest first */
    size_t chw;

    ldm_program **unet;             /* [batch + 1], by batch size; made when first needed */
    ldm_program **shallow;          /* likewise; with job.cache above 1 */
    ldm_program **quantize_x0;      /* likewise */
    ldm_program *quantize, *decode; /* of 1 */
    ldm_times *unet_times;          /* of the programs above; made with the first */
    ldm_times *shallow_times;
    float *arena;
    size_t arena_floats, unet_bytes; /* of which a step of the UNet uses unet_bytes */

    float *feature;        /* [batch] of the last whole evaluation, with job.cache above 1 */
    size_t feature_floats; /* of one picture */
    int evaluation;        /* number of the next one, of the pictures that are being sampled */

    float *x, *scratch, *times; /* [batch][chw], 3 x [batch][chw], [batch] */
    float *mask, *x0;           /* [batch][chw], expanded for the batch; NULL without a mask */
    ldm_rng *rngs;              /* [batch] */
    float *image;               /* [3][h][w] */
    ldm_picture picture;

    int *pictures;      /* [batch]: numbers of the pictures that x holds */
    int in_batch, used; /* how many, and how many of them were handed out */
    int next;           /* picture that the next batch begins with */
    ldm_status *failed; /* [batch]: LDM_OK or why a picture has no latent */
    ldm_error *errors;  /* [batch] */

    /* What the callbacks are about: n pictures of which the first is pictures[active]. */
    int active, active_n;

    ldm_arena *texts;
    ldm_notes notes;
    ldm_run_info info;
};

/* Timesteps whose embedding is computed at once: so many read each of its weights once. */
#define LDM_RUN_TIMES 32

/* Samples the next batch of pictures that are not skipped; in_batch is 0 when none is left. */
ldm_status ldm_run_sample(ldm_run *r, ldm_error *err);

/* Decodes a latent [chw] into r->image. */
ldm_status ldm_run_decode(ldm_run *r, const float *latent, ldm_error *err);

#endif
