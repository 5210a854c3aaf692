/* SPDX-License-Identifier: MIT */
/* A program: fused steps with their places in memory, for one size, batch and number of threads. */
#include "base/alloc.h"
#include "exec/program.h"

static size_t step_scratch(const ldm_program *p, int i)
{
    const ldm_frame sizes = {.program = p};
    const ldm_step *s = &p->steps.steps[i];

    if (s->kind == LDM_STEP_CONV)
        return p->convs[i].scratch_floats;
    if (s->kind == LDM_STEP_NORM) {
        ldm_norm_args a = ldm_frame_norm(&sizes, s);

        return p->backend->norm_scratch(p->backend, &a, p->threads);
    }
    if (s->kind == LDM_STEP_ATTENTION) {
        ldm_attention_args a = ldm_frame_attention(&sizes, s);

        return p->backend->attention_scratch(p->backend, &a, p->threads);
    }
    if (s->kind == LDM_STEP_QUANTIZE || s->kind == LDM_STEP_INDEX) {
        const ldm_graph_value *v = &p->graph->values[s->x];

        return 2 * (size_t)p->n * (size_t)v->h * (size_t)v->w; /* indices are int64 */
    }
    return 0;
}

/* The slot of the tensors of step i; -1 where it has none. In the weights' own graph it is number
 * i; in another graph over them the order is the same and steps are missing. */
static ldm_status find_slot(const ldm_weights *w, const ldm_step *s, int i, int *out,
                            ldm_error *err)
{
    int k;

    *out = -1;
    if (s->weight < 0)
        return LDM_OK;
    for (k = i; k < w->count; k++) {
        const ldm_slot *slot = &w->slots[k];

        if (slot->weight == s->weight && slot->bias_tensor == s->bias &&
            slot->extra_bias == s->extra_bias) {
            *out = k;
            return LDM_OK;
        }
    }
    return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                         "%s: no weights were packed for this step, or they were fused otherwise",
                         s->node->name);
}

static void use_scratch(ldm_program *p, size_t floats)
{
    if (floats > p->scratch_floats)
        p->scratch_floats = floats;
}

static ldm_status plan_steps(ldm_program *p, ldm_error *err)
{
    ldm_status st;
    int i;

    for (i = 0; i < p->steps.count; i++) {
        const ldm_step *s = &p->steps.steps[i];
        ldm_conv_desc d;

        st = find_slot(p->weights, s, i, &p->slots[i], err);
        if (st)
            return st;
        if (s->kind == LDM_STEP_CONV) {
            int algorithm = p->weights->slots[p->slots[i]].plan.algorithm;

            ldm_step_conv_desc(p->graph, s, &d);
            st = p->backend->conv_plan(p->backend, &d, p->precision, algorithm, p->threads,
                                       &p->convs[i], err);
            if (st)
                return ldm_error_wrap(err, st, "%s", s->node->name);
            ldm_steps_place_moments(p->graph, &p->steps, i, &p->convs[i].slabs);
            if (p->convs[i].normalises)
                ldm_steps_take_norm(p->graph, &p->steps, i);
            ldm_steps_take_activation(p->graph, &p->steps, i, &p->convs[i]);
        }
        use_scratch(p, step_scratch(p, i));
    }
    return LDM_OK;
}

/* Turns blocks round (ldm_steps_turn) until the largest moment is no longer in one. That this is
 * decided by sizes alone is no matter for the result: it has the same bits either way. */
static ldm_status turn_blocks(ldm_program *p, ldm_error *err)
{
    ldm_status st;
    int i;

    while (!(st = ldm_steps_find_turn(p->graph, &p->steps, &i, err)) && i >= 0 &&
           p->convs[i + 1].in_place_floats) {
        const ldm_conv_plan conv = p->convs[i];
        const int slot = p->slots[i];

        ldm_steps_turn(&p->steps, i);
        p->convs[i] = p->convs[i + 1];
        p->convs[i + 1] = conv;
        p->slots[i] = p->slots[i + 1];
        p->slots[i + 1] = slot;
        use_scratch(p, p->convs[i].in_place_floats);
    }
    return st;
}

ldm_status ldm_program_create(ldm_graph *g, const ldm_weights *w, const ldm_backend *backend,
                              ldm_precision precision, int n, int threads, ldm_program **out,
                              ldm_error *err)
{
    ldm_program *p = ldm_calloc(1, sizeof *p);
    ldm_status st;

    *out = NULL;
    if (!p)
        return ldm_error_nomem(err, sizeof *p, "a program");
    p->weights = w;
    p->backend = backend;
    p->n = n;
    p->threads = threads;
    p->precision = precision;
    st = ldm_steps_create(g, &p->steps, err);
    if (!st) {
        p->graph = g; /* ours only on success: see below */
        p->convs = ldm_calloc((size_t)p->steps.count, sizeof *p->convs);
        p->slots = ldm_calloc((size_t)p->steps.count, sizeof *p->slots);
        if (!p->convs || !p->slots)
            st = ldm_error_nomem(err, (size_t)p->steps.count * sizeof *p->convs, "a program");
    }
    if (!st)
        st = plan_steps(p, err);
    if (!st)
        st = ldm_steps_add_in_place(g, &p->steps, err);
    if (!st)
        st = turn_blocks(p, err);
    if (!st)
        st = ldm_keeping_create(p, err);
    if (!st)
        st = ldm_plan_create(g, &p->steps, n, &p->plan, err);
    if (st) {
        p->graph = NULL;
        ldm_program_free(p);
        return st;
    }
    *out = p;
    return LDM_OK;
}

void ldm_program_free(ldm_program *p)
{
    if (!p)
        return;
    ldm_steps_free(&p->steps);
    ldm_plan_free(&p->plan);
    ldm_graph_free(p->graph);
    ldm_free(p->convs);
    ldm_free(p->slots);
    ldm_free(p->keeping);
    ldm_free(p);
}

size_t ldm_program_arena_floats(const ldm_program *p)
{
    return ldm_align_floats(p->plan.floats) + ldm_align_floats(p->scratch_floats);
}
