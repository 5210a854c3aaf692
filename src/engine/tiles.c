/* SPDX-License-Identifier: MIT */
/* Overlapping tiles; see tiles.h. */
#include "engine/tiles.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

/* Least number of tiles that overlap by a quarter. */
static int count_of(int side, int tile)
{
    const int step = tile - tile / 4;

    if (side <= tile)
        return 1;
    return 1 + (side - tile + step - 1) / step;
}

/* Place p (in the middle of pixel p) of tile i rises from 0 over what the tile before it shares. */
static float ramp(const ldm_tile_axis *a, int i, int p)
{
    const int before = i ? a->at[i - 1] + a->tile - a->at[i] : 0;
    const int after = i + 1 < a->count ? a->at[i] + a->tile - a->at[i + 1] : 0;
    float w = 1;

    if (p < before)
        w = ((float)p + 0.5f) / (float)before;
    if (a->tile - 1 - p < after) {
        const float down = ((float)(a->tile - 1 - p) + 0.5f) / (float)after;

        w = down < w ? down : w;
    }
    return w;
}

/* Two tiles or, where they overlap by more than a half, three share a place: they add up to 1. */
static ldm_status normalise(ldm_tile_axis *a, ldm_error *err)
{
    float *sums = ldm_calloc((size_t)a->side, sizeof *sums);
    int i, p;

    if (!sums)
        return ldm_error_nomem(err, (uint64_t)a->side * sizeof *sums, "tiles");
    for (i = 0; i < a->count; i++) {
        for (p = 0; p < a->tile; p++)
            sums[a->at[i] + p] += a->weights[(size_t)i * (size_t)a->tile + (size_t)p];
    }
    for (i = 0; i < a->count; i++) {
        for (p = 0; p < a->tile; p++)
            a->weights[(size_t)i * (size_t)a->tile + (size_t)p] /= sums[a->at[i] + p];
    }
    ldm_free(sums);
    return LDM_OK;
}

ldm_status ldm_tile_axis_create(int side, int tile, int scale, ldm_tile_axis *out, ldm_error *err)
{
    const int least = tile < side ? tile : side, count = count_of(side, tile);
    ldm_tile_axis a = {.side = side * scale, .tile = least * scale, .count = count};
    ldm_status st;
    int i, p;

    *out = a;
    a.at = ldm_reallocarray(NULL, (size_t)count, sizeof *a.at);
    a.weights = ldm_reallocarray(NULL, (size_t)count, (size_t)a.tile * sizeof *a.weights);
    *out = a;
    if (!a.at || !a.weights)
        return ldm_error_nomem(err, (uint64_t)count * (uint64_t)a.tile * sizeof *a.weights,
                               "tiles");
    for (i = 0; i < count; i++)
        a.at[i] = count == 1 ? 0 : (int)((long long)i * (side - least) / (count - 1)) * scale;
    for (i = 0; i < count; i++) {
        for (p = 0; p < a.tile; p++)
            a.weights[(size_t)i * (size_t)a.tile + (size_t)p] = ramp(&a, i, p);
    }
    st = normalise(&a, err);
    return st;
}

void ldm_tile_axis_free(ldm_tile_axis *a)
{
    ldm_free(a->at);
    ldm_free(a->weights);
    *a = (ldm_tile_axis){0};
}

void ldm_tile_take(const ldm_tile_axis *y, const ldm_tile_axis *x, int i, int j, const float *whole,
                   size_t planes, float *out)
{
    const size_t th = (size_t)y->tile, tw = (size_t)x->tile, w = (size_t)x->side;
    size_t c, row;

    for (c = 0; c < planes; c++) {
        const float *from = whole + (c * (size_t)y->side + (size_t)y->at[i]) * w + x->at[j];

        for (row = 0; row < th; row++, out += tw)
            memcpy(out, from + row * w, tw * sizeof *out);
    }
}

void ldm_tile_add(const ldm_tile_axis *y, const ldm_tile_axis *x, int i, int j, const float *tile,
                  size_t planes, float *whole)
{
    const size_t th = (size_t)y->tile, tw = (size_t)x->tile, w = (size_t)x->side;
    const float *down = y->weights + (size_t)i * th, *across = x->weights + (size_t)j * tw;
    size_t c, row, k;

    for (c = 0; c < planes; c++) {
        float *to = whole + (c * (size_t)y->side + (size_t)y->at[i]) * w + x->at[j];

        for (row = 0; row < th; row++, tile += tw, to += w) {
            for (k = 0; k < tw; k++)
                to[k] += down[row] * across[k] * tile[k];
        }
    }
}
