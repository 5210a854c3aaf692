/* SPDX-License-Identifier: MIT */
/* A run in tiles; see run_tiles.h. */
#include "engine/run_tiles.h"

#include "base/alloc.h"
#include "engine/run_state.h"

enum { DEFAULT_TILE = 128 }; /* notebook_helpers.py's ks for bsr_sr */

static bool enlarges(const ldm_run *r)
{
    const ldm_concat_kind kind = r->m->network->unet_inputs.concat_kind;

    return kind == LDM_CONCAT_LOW || kind == LDM_CONCAT_LOW_NOISED;
}

void ldm_run_tile_size(const ldm_run *r, int *h, int *w)
{
    *h = r->tiles.on ? r->tiles.y.tile : r->job.latent_h;
    *w = r->tiles.on ? r->tiles.x.tile : r->job.latent_w;
}

int ldm_run_tile_count(const ldm_run *r)
{
    return r->tiles.on ? r->tiles.y.count * r->tiles.x.count : 1;
}

/* The tile of a run that is told none. */
static int usual_tile(const ldm_run *r)
{
    const int multiple = 1 << (r->m->network->unet.channel_mult.count - 1);

    return enlarges(r) && r->job.cache == 1 ? DEFAULT_TILE - DEFAULT_TILE % multiple : 0;
}

static bool cuts(const ldm_job *j, int tile)
{
    return tile && (j->latent_h > tile || j->latent_w > tile);
}

static ldm_status settle(ldm_run *r, ldm_error *err)
{
    const int multiple = 1 << (r->m->network->unet.channel_mult.count - 1);
    ldm_job *j = &r->job;

    if (!ldm_options_given(&j->options, "tile"))
        j->tile = usual_tile(r);
    if (j->tile % multiple)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "tile is %d, expected 0 (none) or a multiple of %d, as this network "
                             "halves a latent",
                             j->tile, multiple);
    if (j->tile && j->cache > 1)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "tile %d and cache %d: the features that cache keeps would be one "
                             "tile's; leave one out",
                             j->tile, j->cache);
    return LDM_OK;
}

ldm_status ldm_run_tiles_plan(ldm_run *r, ldm_error *err)
{
    const int factor = r->m->network->first_stage.factor;
    ldm_run_tiles *t = &r->tiles;
    ldm_job *j = &r->job;
    ldm_status st = settle(r, err);

    if (!st && !cuts(j, j->tile) && !cuts(j, usual_tile(r)) && j->tile != usual_tile(r)) {
        st = ldm_notes_add(&r->notes, err,
                           "tile has no effect: the latent, %d x %d, is no larger than a tile",
                           j->latent_h, j->latent_w);
        j->tile = usual_tile(r); /* as recipes of a run without it say */
    }
    if (st || !cuts(j, j->tile))
        return st;
    t->on = true;
    st = ldm_tile_axis_create(j->latent_h, j->tile, 1, &t->y, err);
    if (!st)
        st = ldm_tile_axis_create(j->latent_w, j->tile, 1, &t->x, err);
    if (!st)
        st = ldm_tile_axis_create(j->latent_h, j->tile, factor, &t->image_y, err);
    if (!st)
        st = ldm_tile_axis_create(j->latent_w, j->tile, factor, &t->image_x, err);
    return st;
}

typedef struct sizes {
    size_t latent, concat, image; /* floats of one sample's tile */
} sizes;

static sizes sizes_of(const ldm_run *r)
{
    const ldm_run_tiles *t = &r->tiles;
    const size_t hw = (size_t)t->y.tile * (size_t)t->x.tile;

    return (sizes){(size_t)r->job.latent_c * hw, (size_t)r->m->network->unet_inputs.concat * hw,
                   (size_t)r->m->network->first_stage.out_channels * (size_t)t->image_y.tile *
                       (size_t)t->image_x.tile};
}

uint64_t ldm_run_tiles_bytes(const ldm_run *r, int samples)
{
    const sizes one = r->tiles.on ? sizes_of(r) : (sizes){0};

    /* The whole picture: without tiles it is smaller than the decoder's arena, and not counted. */
    const uint64_t whole = r->tiles.on ? (uint64_t)r->m->network->first_stage.out_channels *
                                             (uint64_t)r->tiles.image_y.side *
                                             (uint64_t)r->tiles.image_x.side
                                       : 0;

    return ((uint64_t)samples * (2 * one.latent + one.concat) + one.image + whole) * sizeof(float);
}

ldm_status ldm_run_tiles_allocate(ldm_run *r, int samples, ldm_error *err)
{
    const size_t n = (size_t)samples;
    ldm_run_tiles *t = &r->tiles;
    sizes one;

    if (!t->on)
        return LDM_OK;
    one = sizes_of(r);
    t->in = ldm_reallocarray(NULL, n, one.latent * sizeof *t->in);
    t->out = ldm_reallocarray(NULL, n, one.latent * sizeof *t->out);
    t->concat = ldm_reallocarray(NULL, n, (one.concat + 1) * sizeof *t->concat);
    t->image = ldm_reallocarray(NULL, one.image, sizeof *t->image);
    return t->in && t->out && t->concat && t->image
               ? LDM_OK
               : ldm_error_nomem(err, ldm_run_tiles_bytes(r, samples), "tiles");
}

void ldm_run_tiles_free(ldm_run_tiles *t)
{
    ldm_tile_axis_free(&t->y);
    ldm_tile_axis_free(&t->x);
    ldm_tile_axis_free(&t->image_y);
    ldm_tile_axis_free(&t->image_x);
    ldm_free(t->in);
    ldm_free(t->concat);
    ldm_free(t->out);
    ldm_free(t->image);
}

ldm_status ldm_run_tiles_note(ldm_run *r, ldm_error *err)
{
    const ldm_run_tiles *t = &r->tiles;

    if (!t->on)
        return LDM_OK;
    return ldm_notes_add(&r->notes, err,
                         "%d x %d tiles of %d x %d latent pixels, which overlap: each step "
                         "evaluates the network on all of them; tile 0 takes the whole at once",
                         t->y.count, t->x.count, t->y.tile, t->x.tile);
}
