/* SPDX-License-Identifier: MIT */
/* Which steps write their results over values that nothing reads later. */
#include "base/alloc.h"
#include "exec/plan.h"

/* Whether the value fills its buffer: it is no part of a concat's. */
static bool fills(const ldm_graph *g, const ldm_steps *s, int value)
{
    const ldm_place *p = &s->places[value];

    return p->buffer >= 0 && p->offset == 0 && s->buffers[p->buffer].c == g->values[value].c;
}

/* ---- sums over one of their terms ------------------------------------------------------------ */

static bool may_take_place(const ldm_graph *g, const ldm_steps *s, const ldm_life *lives, int step)
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
    ldm_life *lives = ldm_calloc((size_t)s->buffer_count, sizeof *lives);
    int i;

    if (!lives)
        return ldm_error_nomem(err, (size_t)s->buffer_count * sizeof *lives, "the memory plan");
    ldm_steps_lives(g, s, lives);
    for (i = 0; i < s->count; i++) {
        const ldm_step *t = &s->steps[i];
        int from, to;

        if (!may_take_place(g, s, lives, i))
            continue;
        from = s->places[t->y].buffer;
        to = s->places[t->residual].buffer;
        s->places[t->y].buffer = to;
        s->buffers[from] = (ldm_buffer){0, 0, 0, 0}; /* nothing is there */
        lives[to].last = lives[from].last;
    }
    ldm_free(lives);
    return LDM_OK;
}

/* ---- shortcuts over their inputs ------------------------------------------------------------- */

/* Whether step i has a value in this buffer to read, or factors for its norm. */
static bool reads_buffer(const ldm_steps *s, int i, int buffer)
{
    int values[LDM_STEP_READS], k;
    const int n = ldm_steps_reads(s, i, values), norm = s->steps[i].norm;

    for (k = 0; k < n; k++) {
        if (s->places[values[k]].buffer == buffer)
            return true;
    }
    return norm >= 0 && s->steps[norm].affine == buffer;
}

static bool is_plain_conv(const ldm_graph *g, const ldm_steps *s, int i)
{
    const ldm_step *t = &s->steps[i];

    return t->kind == LDM_STEP_CONV && t->activation == LDM_ACTIVATION_NONE &&
           s->moments[t->y].buffer < 0 && t->y != g->feature && !ldm_value_alone(&g->values[t->y]);
}

/* Whether a buffer has memory of its own and nothing else has it. */
static bool is_single(const ldm_steps *s, int buffer)
{
    int k;

    for (k = 0; k < s->buffer_count; k++) {
        if (s->buffers[k].over == buffer + 1)
            return false;
    }
    return !s->buffers[buffer].over;
}

/* Whether steps i and i + 1 are h = conv(..) and y = shortcut(x) + h in one place, and x is of no
 * use later. */
static bool ends_block(const ldm_graph *g, const ldm_steps *s, const ldm_life *lives, int i)
{
    const ldm_step *conv = &s->steps[i], *cut = conv + 1;
    int from, to;

    if (i + 1 >= s->count || !is_plain_conv(g, s, i) || !is_plain_conv(g, s, i + 1) ||
        conv->residual >= 0 || cut->residual != conv->y || cut->norm >= 0 || cut->vector >= 0 ||
        g->values[conv->y].dump || ldm_value_alone(&g->values[cut->x]) || !fills(g, s, conv->y) ||
        !fills(g, s, cut->x))
        return false;
    from = s->places[conv->y].buffer;
    to = s->places[cut->x].buffer;
    return from != to && s->places[cut->y].buffer == from && lives[from].first == i &&
           lives[to].last == i + 1 && !reads_buffer(s, i, to) && is_single(s, from) &&
           is_single(s, to);
}

/* The sum of the buffers that are alive at step i. */
static double floats_at(const ldm_steps *s, const ldm_life *lives, int i)
{
    double sum = 0;
    int k;

    for (k = 0; k < s->buffer_count; k++) {
        const ldm_buffer *b = &s->buffers[k];

        if (lives[k].first <= i && i <= lives[k].last)
            sum += (double)b->h * b->w * b->c;
    }
    return sum;
}

/* The first step at which most floats are alive. */
static int peak_of(const ldm_steps *s, const ldm_life *lives, double *floats)
{
    int i, peak = 0;

    *floats = 0;
    for (i = 0; i < s->count; i++) {
        const double here = floats_at(s, lives, i);

        if (here > *floats) {
            *floats = here;
            peak = i;
        }
    }
    return peak;
}

/* The lives that a turn of steps i and i + 1 leaves: what step i reads is read one step later. */
static void turn_lives(const ldm_steps *s, const ldm_life *lives, int i, ldm_life *turned)
{
    const int from = s->places[s->steps[i].y].buffer, to = s->places[s->steps[i + 1].x].buffer;
    int k;

    for (k = 0; k < s->buffer_count; k++) {
        turned[k] = lives[k];
        if (lives[k].last == i && reads_buffer(s, i, k))
            turned[k].last = i + 1;
    }
    turned[to].last = i;
    turned[from].first = i + 1;
}

ldm_status ldm_steps_find_turn(const ldm_graph *g, const ldm_steps *s, int *out, ldm_error *err)
{
    const size_t count = (size_t)s->buffer_count;
    ldm_life *lives = ldm_calloc(2 * count, sizeof *lives), *turned;
    double before, after;
    int peak;

    *out = -1;
    if (!lives)
        return ldm_error_nomem(err, 2 * count * sizeof *lives, "the memory plan");
    turned = lives + count;
    ldm_steps_lives(g, s, lives);
    peak = peak_of(s, lives, &before);
    if (ends_block(g, s, lives, peak)) {
        turn_lives(s, lives, peak, turned);
        peak_of(s, turned, &after);
        if (after <= before)
            *out = peak;
    }
    ldm_free(lives);
    return LDM_OK;
}

void ldm_steps_turn(ldm_steps *s, int i)
{
    ldm_step *first = &s->steps[i], *second = first + 1;
    const ldm_step conv = *first;
    const int term = conv.y, sum = second->y;

    *first = *second;
    first->y = term;
    first->residual = -1;
    *second = conv;
    second->y = sum;
    second->residual = term;
    s->buffers[s->places[term].buffer].over = s->places[first->x].buffer + 1;
}
