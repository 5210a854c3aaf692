/* SPDX-License-Identifier: MIT */
/* Filling holes; see fill.h. Breadth first: the pixels of a ring stand together in one queue. */
#include "image/fill.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

enum { GREY = 128 };

typedef struct growth {
    ldm_pixels *p;
    uint32_t *ring;  /* of each pixel: 0 had samples from the beginning, `unseen` not reached yet */
    uint32_t *queue; /* pixels in the order of their rings */
    size_t queued;
} growth;

static const uint32_t unseen = UINT32_MAX;

/* The pixels around pixel `at`; their number. */
static size_t neighbours(const growth *g, size_t at, size_t out[8])
{
    const size_t w = g->p->width, h = g->p->height, x = at % w, y = at / w;
    size_t n = 0, i, j;

    for (j = y ? y - 1 : 0; j <= y + 1 && j < h; j++) {
        for (i = x ? x - 1 : 0; i <= x + 1 && i < w; i++) {
            if (i != x || j != y)
                out[n++] = j * w + i;
        }
    }
    return n;
}

/* What is beside pixel `at` and was not reached yet belongs to the next ring. */
static void reach(growth *g, size_t at)
{
    size_t around[8], n = neighbours(g, at, around), i;

    for (i = 0; i < n; i++) {
        if (g->ring[around[i]] == unseen) {
            g->ring[around[i]] = g->ring[at] + 1;
            g->queue[g->queued++] = (uint32_t)around[i];
        }
    }
}

static void take_mean(growth *g, size_t at)
{
    const unsigned channels = g->p->channels;
    size_t around[8], n = neighbours(g, at, around), i;
    unsigned sum[4] = {0}, from = 0, c;

    for (i = 0; i < n; i++) {
        if (g->ring[around[i]] >= g->ring[at])
            continue;
        from++;
        for (c = 0; c < channels; c++)
            sum[c] += g->p->data[around[i] * channels + c];
    }
    for (c = 0; c < channels; c++)
        g->p->data[at * channels + c] = (uint8_t)((sum[c] + from / 2) / from);
}

ldm_status ldm_fill_hole(const ldm_pixels *hole, ldm_pixels *p, ldm_error *err)
{
    const size_t pixels = (size_t)p->width * p->height;
    growth g = {.p = p};
    size_t i;

    if (pixels >= unseen)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "a picture of %" PRIu32 " x %" PRIu32 " with a hole is too large",
                             p->width, p->height);
    g.ring = ldm_reallocarray(NULL, pixels, 2 * sizeof *g.ring);
    if (!g.ring)
        return ldm_error_nomem(err, (uint64_t)pixels * 2 * sizeof *g.ring, "a hole's colours");
    g.queue = g.ring + pixels;
    for (i = 0; i < pixels; i++)
        g.ring[i] = hole->data[i] ? unseen : 0;
    for (i = 0; i < pixels; i++) {
        if (!g.ring[i])
            reach(&g, i);
    }
    for (i = 0; i < g.queued; i++) { /* the queue grows meanwhile */
        take_mean(&g, g.queue[i]);
        reach(&g, g.queue[i]);
    }
    if (pixels && g.ring[0] == unseen) /* then no pixel was reached */
        memset(p->data, GREY, pixels * p->channels);
    ldm_free(g.ring);
    return LDM_OK;
}
