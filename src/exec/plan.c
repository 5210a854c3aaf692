/* SPDX-License-Identifier: MIT */
/* The memory plan: lifetimes of buffers, then offsets, largest buffer first, each at the lowest
 * place that is free during its life. */
#include "exec/plan.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

enum { ALIGN_FLOATS = 16 };

/* Memory in use for some steps. */
typedef struct use {
    ldm_life life;
    size_t floats;
} use;

/* Where a buffer is to lie, and with it the one that lies over it later (floats 0: none). */
typedef struct block {
    int buffer, over; /* over: -1 for none */
    use uses[2];
    size_t offset;
} block;

static void extend(ldm_life *lives, int buffer, int step)
{
    ldm_life *l;

    if (buffer < 0)
        return;
    l = &lives[buffer];
    if (step < l->first)
        l->first = step;
    if (step > l->last)
        l->last = step;
}

static void touch(ldm_life *lives, const ldm_steps *s, int value, int step)
{
    if (value >= 0)
        extend(lives, s->places[value].buffer, step);
}

static void touch_moments(ldm_life *lives, const ldm_steps *s, int value, int step)
{
    if (value >= 0)
        extend(lives, s->moments[value].buffer, step);
}

void ldm_steps_lives(const ldm_graph *g, const ldm_steps *s, ldm_life *lives)
{
    int values[LDM_STEP_READS], i, k;

    for (i = 0; i < s->buffer_count; i++)
        lives[i] = (ldm_life){INT_MAX, INT_MIN};
    for (i = 0; i < g->input_count; i++)
        touch(lives, s, g->inputs[i].value, -1);
    for (i = 0; i < s->count; i++) {
        const ldm_step *t = &s->steps[i];
        const int reads = ldm_steps_reads(s, i, values);

        for (k = 0; k < reads; k++)
            touch(lives, s, values[k], i);
        if (t->norm >= 0)
            extend(lives, s->steps[t->norm].affine, i);
        if (t->affine < 0)
            touch(lives, s, t->y, i);
        else
            extend(lives, t->affine, i);
        touch_moments(lives, s, t->y, i);
        touch_moments(lives, s, t->parts[0], i);
        touch_moments(lives, s, t->parts[1], i);
    }
    touch(lives, s, g->output, s->count);
    for (i = 0; i < s->buffer_count; i++)
        lives[i].first += s->buffers[i].over != 0;
}

static int by_size(const void *a, const void *b)
{
    const block *x = a, *y = b;

    if (x->uses[0].floats != y->uses[0].floats)
        return x->uses[0].floats < y->uses[0].floats ? 1 : -1;
    return x->buffer - y->buffer;
}

/* The first offset behind what a block at `offset` would share memory with in o, which has its
 * place; 0: nothing. */
static size_t clash(const block *o, const block *l, size_t offset)
{
    int i, k;

    for (i = 0; i < 2; i++) {
        for (k = 0; k < 2; k++) {
            const use *a = &o->uses[i], *b = &l->uses[k];

            if (a->life.first <= b->life.last && b->life.first <= a->life.last &&
                offset < o->offset + a->floats && o->offset < offset + b->floats)
                return o->offset + a->floats;
        }
    }
    return 0;
}

/* Lowest offset at which `l` fits beside the buffers placed before it. */
static size_t lowest_place(const block *blocks, int placed, const block *l)
{
    size_t offset = 0, behind;
    bool moved = true;
    int i;

    while (moved) {
        moved = false;
        for (i = 0; i < placed; i++) {
            behind = clash(&blocks[i], l, offset);
            if (behind) {
                offset = behind;
                moved = true;
            }
        }
    }
    return offset;
}

static ldm_status buffer_floats(const ldm_buffer *b, int n, size_t *out, ldm_error *err)
{
    size_t floats;

    if (ldm_mul_size((uint64_t)b->c * (uint64_t)b->h, (uint64_t)b->w, &floats) ||
        ldm_mul_size(floats, (uint64_t)n, &floats) ||
        ldm_add_size(floats, 2 * ALIGN_FLOATS, &floats) || floats > SIZE_MAX / 16)
        return ldm_error_set(err, LDM_ERR_LIMIT, "an activation of %d x %d x %d x %d is too large",
                             n, b->c, b->h, b->w);
    *out = floats / ALIGN_FLOATS * ALIGN_FLOATS;
    return LDM_OK;
}

ldm_status ldm_plan_create(const ldm_graph *g, const ldm_steps *s, int n, ldm_plan *out,
                           ldm_error *err)
{
    const size_t count = (size_t)s->buffer_count;
    ldm_life *lives = ldm_calloc(count, sizeof *lives);
    block *blocks = ldm_calloc(count, sizeof *blocks);
    ldm_status st = LDM_OK;
    int i;

    memset(out, 0, sizeof *out);
    out->offsets = ldm_calloc(count, sizeof *out->offsets);
    if (!lives || !blocks || !out->offsets) {
        st = ldm_error_nomem(err, count * sizeof *blocks, "the memory plan");
        goto done;
    }
    ldm_steps_lives(g, s, lives);
    for (i = 0; i < s->buffer_count; i++) {
        blocks[i].buffer = i;
        blocks[i].over = -1;
        blocks[i].uses[0].life = lives[i];
        st = buffer_floats(&s->buffers[i], n, &blocks[i].uses[0].floats, err);
        if (st)
            goto done;
    }
    for (i = 0; i < s->buffer_count; i++) {
        if (s->buffers[i].over) {
            block *under = &blocks[s->buffers[i].over - 1];

            under->over = i;
            under->uses[1] = blocks[i].uses[0];
            blocks[i].uses[0] = (use){{0, -1}, 0};
        }
    }
    qsort(blocks, count, sizeof *blocks, by_size);
    for (i = 0; i < s->buffer_count; i++) {
        block *l = &blocks[i];

        if (!l->uses[0].floats)
            continue; /* it lies over another */
        l->offset = lowest_place(blocks, i, l);
        out->offsets[l->buffer] = l->offset;
        if (l->over >= 0)
            out->offsets[l->over] = l->offset;
        if (l->offset + l->uses[0].floats > out->floats)
            out->floats = l->offset + l->uses[0].floats;
    }
done:
    ldm_free(lives);
    ldm_free(blocks);
    if (st)
        ldm_plan_free(out);
    return st;
}

void ldm_plan_free(ldm_plan *p)
{
    ldm_free(p->offsets);
    memset(p, 0, sizeof *p);
}
