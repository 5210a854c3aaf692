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

typedef struct life {
    int buffer, first, last; /* steps; the input is written before step 0 */
    size_t floats, offset;
} life;

static void use(life *lives, int buffer, int step)
{
    life *l;

    if (buffer < 0)
        return;
    l = &lives[buffer];
    if (step < l->first)
        l->first = step;
    if (step > l->last)
        l->last = step;
}

static void touch(life *lives, const ldm_steps *s, int value, int step)
{
    if (value >= 0)
        use(lives, s->places[value].buffer, step);
}

static void touch_moments(life *lives, const ldm_steps *s, int value, int step)
{
    if (value >= 0)
        use(lives, s->moments[value].buffer, step);
}

static void find_lives(const ldm_graph *g, const ldm_steps *s, life *lives)
{
    int values[LDM_STEP_READS], i, k;

    for (i = 0; i < s->buffer_count; i++) {
        lives[i].buffer = i;
        lives[i].first = INT_MAX;
        lives[i].last = INT_MIN;
    }
    for (i = 0; i < g->input_count; i++)
        touch(lives, s, g->inputs[i].value, -1);
    for (i = 0; i < s->count; i++) {
        const ldm_step *t = &s->steps[i];
        const int reads = ldm_steps_reads(s, i, values);

        for (k = 0; k < reads; k++)
            touch(lives, s, values[k], i);
        if (t->norm >= 0)
            use(lives, s->steps[t->norm].affine, i);
        if (t->affine < 0)
            touch(lives, s, t->y, i);
        else
            use(lives, t->affine, i);
        touch_moments(lives, s, t->y, i);
        touch_moments(lives, s, t->parts[0], i);
        touch_moments(lives, s, t->parts[1], i);
    }
    touch(lives, s, g->output, s->count);
}

/* Whether the value fills its buffer: it is no part of a concat's. */
static bool fills(const ldm_graph *g, const ldm_steps *s, int value)
{
    const ldm_place *p = &s->places[value];

    return p->buffer >= 0 && p->offset == 0 && s->buffers[p->buffer].c == g->values[value].c;
}

static bool may_take_place(const ldm_graph *g, const ldm_steps *s, const life *lives, int step)
{
    const ldm_step *t = &s->steps[step];
    const int r = t->residual, y = t->y;
    const ldm_graph_value *a, *b;
    int values[LDM_STEP_READS], n, i;

    if (r < 0 || (t->kind != LDM_STEP_CONV && t->kind != LDM_STEP_ADD) || t->affine >= 0 ||
        !fills(g, s, r) || !fills(g, s, y))
        return false;
    a = &g->values[r];
    b = &g->values[y];
    /* what is kept between executions stays as it is */
    if (a->c != b->c || a->h != b->h || a->w != b->w || ldm_value_alone(a) || ldm_value_alone(b))
        return false;
    n = ldm_steps_reads(s, step, values);
    for (i = 0; i < n; i++) {
        if (values[i] != r && s->places[values[i]].buffer == s->places[r].buffer)
            return false;
    }
    return t->x != r && lives[s->places[r].buffer].last == step &&
           lives[s->places[y].buffer].first == step;
}

ldm_status ldm_steps_add_in_place(const ldm_graph *g, ldm_steps *s, ldm_error *err)
{
    life *lives = ldm_calloc((size_t)s->buffer_count, sizeof *lives);
    int i;

    if (!lives)
        return ldm_error_nomem(err, (size_t)s->buffer_count * sizeof *lives, "the memory plan");
    find_lives(g, s, lives);
    for (i = 0; i < s->count; i++) {
        const ldm_step *t = &s->steps[i];
        int from, to;

        if (!may_take_place(g, s, lives, i))
            continue;
        from = s->places[t->y].buffer;
        to = s->places[t->residual].buffer;
        s->places[t->y].buffer = to;
        s->buffers[from] = (ldm_buffer){0, 0, 0}; /* nothing is there */
        lives[to].last = lives[from].last;
    }
    ldm_free(lives);
    return LDM_OK;
}

static int by_size(const void *a, const void *b)
{
    const life *x = a, *y = b;

    if (x->floats != y->floats)
        return x->floats < y->floats ? 1 : -1;
    return x->buffer - y->buffer;
}

static bool overlap(const life *a, const life *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset at which `l` fits beside the buffers placed before it. */
static size_t lowest_place(const life *lives, int placed, const life *l)
{
    size_t offset = 0;
    bool moved = true;
    int i;

    while (moved) {
        moved = false;
        for (i = 0; i < placed; i++) {
            const life *o = &lives[i];

            if (overlap(o, l) && offset < o->offset + o->floats && o->offset < offset + l->floats) {
                offset = o->offset + o->floats;
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
    life *lives = ldm_calloc((size_t)s->buffer_count, sizeof *lives);
    ldm_status st = LDM_OK;
    int i;

    memset(out, 0, sizeof *out);
    out->offsets = ldm_calloc((size_t)s->buffer_count, sizeof *out->offsets);
    if (!lives || !out->offsets) {
        st = ldm_error_nomem(err, (size_t)s->buffer_count * sizeof *lives, "the memory plan");
        goto done;
    }
    find_lives(g, s, lives);
    for (i = 0; i < s->buffer_count; i++) {
        st = buffer_floats(&s->buffers[i], n, &lives[i].floats, err);
        if (st)
            goto done;
    }
    qsort(lives, (size_t)s->buffer_count, sizeof *lives, by_size);
    for (i = 0; i < s->buffer_count; i++) {
        life *l = &lives[i];

        l->offset = lowest_place(lives, i, l);
        out->offsets[l->buffer] = l->offset;
        if (l->offset + l->floats > out->floats)
            out->floats = l->offset + l->floats;
    }
done:
    ldm_free(lives);
    if (st)
        ldm_plan_free(out);
    return st;
}

void ldm_plan_free(ldm_plan *p)
{
    ldm_free(p->offsets);
    memset(p, 0, sizeof *p);
}
