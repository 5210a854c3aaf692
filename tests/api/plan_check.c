/* SPDX-License-Identifier: MIT */
/* The memory plan of a graph, checked by marks; see nets.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec/plan.h"
#include "nets.h"

/* Every float of the arena is marked with the value and channel that was last written to it; a step
 * may only read what is marked as its input. A concat's channels are those of its parts. */
typedef struct marks {
    const ldm_graph *g;
    const ldm_steps *s;
    const ldm_plan *plan;
    int *value, *channel; /* [plan->floats]; value -1: nothing */
} marks;

/* Channel c of value v as the value that a step writes. */
static void resolve(const ldm_graph *g, int *v, int *c)
{
    int i;

    for (i = g->node_count - 1; i >= 0; i--) {
        const ldm_node *n = &g->nodes[i];

        if (n->out == *v && n->op == LDM_OP_CONCAT) {
            int split = g->values[n->in[0]].c;

            *v = n->in[*c >= split];
            *c -= *c >= split ? split : 0;
        }
    }
}

static size_t place_of(const marks *m, int v, size_t pixel, int c)
{
    const ldm_place *p = &m->s->places[v];

    return m->plan->offsets[p->buffer] + pixel * (size_t)m->s->buffers[p->buffer].c +
           (size_t)(p->offset + c);
}

static void write_marks(marks *m, int v, int first, int count, int from)
{
    size_t pixels = (size_t)m->g->values[v].h * (size_t)m->g->values[v].w, i;
    int c;

    for (i = 0; i < pixels; i++) {
        for (c = 0; c < count; c++) {
            size_t at = place_of(m, v, i, first + c);
            int value = from, channel = c;

            assert_true(at < m->plan->floats);
            resolve(m->g, &value, &channel);
            m->value[at] = value;
            m->channel[at] = channel;
        }
    }
}

static void read_marks(const marks *m, int v, int step)
{
    size_t pixels, i;
    int c;

    if (v < 0)
        return;
    pixels = (size_t)m->g->values[v].h * (size_t)m->g->values[v].w;
    for (i = 0; i < pixels; i++) {
        for (c = 0; c < m->g->values[v].c; c++) {
            size_t at = place_of(m, v, i, c);
            int value = v, channel = c;

            resolve(m->g, &value, &channel);
            if (m->value[at] != value || m->channel[at] != channel)
                fail_msg("step %d reads value %d, channel %d, and finds value %d, channel %d", step,
                         value, channel, m->value[at], m->channel[at]);
        }
    }
}

/* A buffer that is no value's, as a value of its own: `mark`. */
static void buffer_marks(marks *m, int buffer, int mark, int step, bool write)
{
    const ldm_buffer *b;
    size_t at, end;

    if (buffer < 0)
        return;
    b = &m->s->buffers[buffer];
    at = m->plan->offsets[buffer];
    end = at + (size_t)b->h * (size_t)b->w * (size_t)b->c;
    for (; at < end; at++) {
        if (write)
            m->value[at] = mark;
        else if (m->value[at] != mark)
            fail_msg("step %d reads buffer %d and finds value %d", step, buffer, m->value[at]);
    }
}

static void moments_marks(marks *m, int v, int step, bool write)
{
    if (v >= 0)
        buffer_marks(m, m->s->moments[v].buffer, m->g->value_count + v, step, write);
}

/* What a norm hands to the convolution behind it; both with the norm's number. */
static void affine_marks(marks *m, int norm, int step, bool write)
{
    buffer_marks(m, m->s->steps[norm].affine, 2 * m->g->value_count + norm, step, write);
}

int net_check_plan(const ldm_graph *g)
{
    ldm_steps s;
    ldm_plan plan;
    marks m = {g, &s, &plan, NULL, NULL};
    const bool all = g->value_count % 2; /* of the norms are taken over, and moments are small */
    int turns = 0, i;

    assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
    for (i = 0; i < s.count; i++) {
        if (s.steps[i].kind != LDM_STEP_CONV)
            continue;
        if (s.steps[i].node->kernel_h > 1) /* h 0: no slabs */
            ldm_steps_place_moments(g, &s, i, &(ldm_slabs){i % 3, all ? 64 : 1 + i % 2});
        if (all || i % 4 < 2)
            ldm_steps_take_norm(g, &s, i);
    }
    for (i = 0; i < s.count; i++) {
        const ldm_conv_plan able = {.rectifies = true, .activates = i % 3 == 1, .gates = true};

        if (s.steps[i].kind == LDM_STEP_CONV && i % 3)
            ldm_steps_take_activation(g, &s, i, &able);
    }
    if (g->feature >= 0)
        assert_int_equal(s.moments[g->feature].buffer, -1); /* UNET_SHALLOW has no others */
    assert_int_equal(ldm_steps_add_in_place(g, &s, NULL), LDM_OK);
    for (;; turns++) {
        assert_int_equal(ldm_steps_find_turn(g, &s, &i, NULL), LDM_OK);
        if (i < 0)
            break;
        ldm_steps_turn(&s, i);
    }
    assert_int_equal(ldm_plan_create(g, &s, 1, &plan, NULL), LDM_OK);
    m.value = malloc(plan.floats * sizeof *m.value);
    m.channel = malloc(plan.floats * sizeof *m.channel);
    assert_true(m.value && m.channel);
    memset(m.value, 0xff, plan.floats * sizeof *m.value);
    for (i = 0; i < g->input_count; i++) {
        int v = g->inputs[i].value;

        write_marks(&m, v, 0, g->values[v].c, v);
    }
    for (i = 0; i < s.count; i++) {
        const ldm_step *t = &s.steps[i];

        read_marks(&m, t->norm < 0 ? t->x : s.steps[t->norm].x, i);
        if (t->norm >= 0)
            affine_marks(&m, t->norm, i, false);
        read_marks(&m, t->residual, i);
        read_marks(&m, t->vector, i);
        read_marks(&m, t->k, i);
        read_marks(&m, t->v, i);
        moments_marks(&m, t->parts[0], i, false);
        moments_marks(&m, t->parts[1], i, false);
        if (t->kind == LDM_STEP_COPY)
            write_marks(&m, t->y, t->channel, g->values[t->x].c, t->x);
        else if (t->affine < 0)
            write_marks(&m, t->y, 0, g->values[t->y].c, t->y);
        else
            affine_marks(&m, i, i, true);
        if (t->kind == LDM_STEP_CONV)
            moments_marks(&m, t->y, i, true);
    }
    read_marks(&m, g->output, s.count);
    free(m.value);
    free(m.channel);
    ldm_plan_free(&plan);
    ldm_steps_free(&s);
    return turns;
}
