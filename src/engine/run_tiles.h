/* SPDX-License-Identifier: MIT */
/* Inside the room: a run that evaluates and decodes in overlapping tiles (tiles.h). */
#ifndef LDM_ENGINE_RUN_TILES_H
#define LDM_ENGINE_RUN_TILES_H

#include "engine/engine.h"
#include "engine/tiles.h"

struct ldm_run;

typedef struct ldm_run_tiles {
    bool on;
    ldm_tile_axis y, x;             /* of latents */
    ldm_tile_axis image_y, image_x; /* of the decoded picture */
    float *in, *concat, *out;       /* [samples of a batch] tiles */
    float *image;                   /* one decoded tile */
} ldm_run_tiles;

/* Settles the job's tile, and plans. LDM_ERR_USAGE for a size that the network cannot take, or with
 * cache, whose features would be one tile's. Needs r->job's shape. */
ldm_status ldm_run_tiles_plan(struct ldm_run *r, ldm_error *err);
/* Bytes for so many samples of an evaluation: known with the plan. */
uint64_t ldm_run_tiles_bytes(const struct ldm_run *r, int samples);
ldm_status ldm_run_tiles_allocate(struct ldm_run *r, int samples, ldm_error *err);
void ldm_run_tiles_free(ldm_run_tiles *t);

/* The size that the UNet and the decoder work on: a tile's, or the latent's. */
void ldm_run_tile_size(const struct ldm_run *r, int *h, int *w);
int ldm_run_tile_count(const struct ldm_run *r); /* 1: no tiles */

ldm_status ldm_run_tiles_note(struct ldm_run *r, ldm_error *err);

#endif
