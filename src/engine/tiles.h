/* SPDX-License-Identifier: MIT */
/* Inside the room: a latent that is larger than the network was made for, in overlapping tiles.
 *
 * Each evaluation of the network runs on one tile after the other, and where tiles overlap their
 * outputs are averaged, each the less the nearer to its own border: there is one latent, and no
 * step in which two tiles differ. That is what LatentDiffusion.apply_model does with
 * split_input_params (ldm/models/diffusion/ddpm.py), there with other weights; "MultiDiffusion"
 * (Bar-Tal et al. 2023, arXiv 2302.08113) is the same for any diffusion model. */
#ifndef LDM_ENGINE_TILES_H
#define LDM_ENGINE_TILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* One direction. Tile i covers at[i] .. at[i] + tile - 1 of 0 .. side - 1. */
typedef struct ldm_tile_axis {
    int side, tile, count;
    int *at;        /* [count], 0 first, side - tile last */
    float *weights; /* [count][tile]; those of a place add up to 1 */
} ldm_tile_axis;

/* Tiles of `tile` (side, where that is less), evenly spaced, that overlap by a quarter at least.
 * scale: all of it in finer pixels, so many each. side, tile, scale >= 1. */
ldm_status ldm_tile_axis_create(int side, int tile, int scale, ldm_tile_axis *out, ldm_error *err);
void ldm_tile_axis_free(ldm_tile_axis *a); /* a zeroed struct is fine */

/* Tile (i, j) of whole [planes][y->side][x->side]: out [planes][y->tile][x->tile]. */
void ldm_tile_take(const ldm_tile_axis *y, const ldm_tile_axis *x, int i, int j, const float *whole,
                   size_t planes, float *out);

/* The other way: adds the tile, weighted, to `whole`, which begins with zeros. */
void ldm_tile_add(const ldm_tile_axis *y, const ldm_tile_axis *x, int i, int j, const float *tile,
                  size_t planes, float *whole);

#endif
