/* SPDX-License-Identifier: MIT */
/* What need not be computed at each execution: values that follow from the timestep alone, for many
 * timesteps at once, and values that follow from the conditioning alone, once for all steps. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "exec/program.h"

/* ---- what is kept ---------------------------------------------------------------------------- */

/* Steps that take no scratch, or as much for any number of samples: a program for two samples
 * computes 32 timesteps at once. */
static bool serves_any_batch(ldm_step_kind kind)
{
    return kind != LDM_STEP_NORM && kind != LDM_STEP_ATTENTION && kind != LDM_STEP_QUANTIZE &&
           kind != LDM_STEP_INDEX;
}

static bool is_vector(const ldm_graph_value *v)
{
    return v->h == 1 && v->w == 1;
}

/* A step of timesteps makes a vector of vectors that are of timesteps, too. */
static bool is_of_time(const ldm_program *p, int i)
{
    const ldm_step *s = &p->steps.steps[i];
    const ldm_graph_value *y = &p->graph->values[s->y];
    int values[LDM_STEP_READS], n = ldm_steps_reads(&p->steps, i, values), k;

    if (ldm_value_alone(y) != LDM_DEPENDS_TIME || !is_vector(y) || !serves_any_batch(s->kind))
        return false;
    for (k = 0; k < n; k++) {
        if (p->keeping[values[k]].alone != LDM_DEPENDS_TIME)
            return false;
    }
    return true;
}

static void sort_values(ldm_program *p)
{
    const ldm_graph *g = p->graph;
    int i;

    for (i = 0; i < g->value_count; i++)
        p->keeping[i].complete = -1;
    for (i = 0; i < g->input_count; i++) {
        const int v = g->inputs[i].value;

        p->keeping[v].alone = ldm_value_alone(&g->values[v]);
        if (p->keeping[v].alone == LDM_DEPENDS_TIME && !is_vector(&g->values[v]))
            p->keeping[v].alone = 0;
    }
    for (i = 0; i < p->steps.count; i++) {
        const int y = p->steps.steps[i].y;
        ldm_keeping *k = &p->keeping[y];

        k->complete = i;
        if (ldm_value_alone(&g->values[y]) == LDM_DEPENDS_COND)
            k->alone = LDM_DEPENDS_COND;
        else
            k->alone = is_of_time(p, i) ? LDM_DEPENDS_TIME : 0;
    }
    /* A concat whose parts write in its place has no step of its own. */
    for (i = 0; i < g->node_count; i++) {
        const ldm_node *n = &g->nodes[i];
        ldm_keeping *k = &p->keeping[n->out];
        int j;

        if (n->op != LDM_OP_CONCAT)
            continue;
        for (j = 0; j < 2; j++) {
            if (k->complete < p->keeping[n->in[j]].complete)
                k->complete = p->keeping[n->in[j]].complete;
        }
        if (ldm_value_alone(&g->values[n->out]) == LDM_DEPENDS_COND)
            k->alone = LDM_DEPENDS_COND;
    }
}

/* Something outside of its own kind takes the value. */
static void is_wanted(ldm_program *p, int value, bool as_vector)
{
    ldm_keeping *k = &p->keeping[value];

    if (k->alone == LDM_DEPENDS_COND)
        k->stored = true;
    else if (k->alone == LDM_DEPENDS_TIME && !as_vector)
        k->as_picture = true;
}

/* Whether a step reads the value as a vector and as nothing else. */
static bool is_vector_alone(const ldm_step *s, int value)
{
    return value == s->vector && value != s->x && value != s->residual && value != s->k &&
           value != s->v;
}

static void find_wanted(ldm_program *p)
{
    int values[LDM_STEP_READS], i, k, n;

    for (i = 0; i < p->steps.count; i++) {
        const ldm_step *s = &p->steps.steps[i];

        n = ldm_steps_reads(&p->steps, i, values);
        for (k = 0; k < n; k++) {
            if (p->keeping[values[k]].alone != p->keeping[s->y].alone)
                is_wanted(p, values[k], is_vector_alone(s, values[k]));
        }
    }
    is_wanted(p, p->graph->output, false);
    if (p->graph->feature >= 0)
        is_wanted(p, p->graph->feature, false);
}

static ldm_status too_large(ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_LIMIT, "the values to keep are too large");
}

static size_t *row_floats(ldm_program *p, unsigned depends)
{
    return depends == LDM_DEPENDS_TIME ? &p->time_floats : &p->cond_floats;
}

static ldm_status lay_out_rows(ldm_program *p, ldm_error *err)
{
    int i;

    for (i = 0; i < p->graph->value_count; i++) {
        const ldm_graph_value *v = &p->graph->values[i];
        ldm_keeping *k = &p->keeping[i];
        size_t *floats = row_floats(p, k->alone), size;

        k->stored = k->stored || k->alone == LDM_DEPENDS_TIME;
        if (!k->stored)
            continue;
        k->offset = *floats;
        if (ldm_mul_size((uint64_t)v->c * (uint64_t)v->h, (uint64_t)v->w, &size) ||
            ldm_add_size(*floats, ldm_align_floats(size), floats))
            return too_large(err);
    }
    return LDM_OK;
}

ldm_status ldm_keeping_create(ldm_program *p, ldm_error *err)
{
    const size_t values = (size_t)p->graph->value_count;

    p->keeping = ldm_calloc(values, sizeof *p->keeping);
    if (!p->keeping)
        return ldm_error_nomem(err, values * sizeof *p->keeping, "a program");
    sort_values(p);
    find_wanted(p);
    return lay_out_rows(p, err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

ldm_status ldm_kept_create(const ldm_program *p, unsigned depends, int rows, ldm_kept **out,
                           ldm_error *err)
{
    ldm_kept *k = ldm_calloc(1, sizeof *k);
    size_t floats, bytes;

    *out = NULL;
    if (!k)
        return ldm_error_nomem(err, sizeof *k, "the kept values");
    k->depends = depends;
    k->capacity = rows;
    k->floats = ldm_program_kept_floats(p, depends);
    if (ldm_mul_size(k->floats, (uint64_t)rows, &floats) ||
        ldm_mul_size(floats, sizeof *k->rows, &bytes)) {
        ldm_kept_free(k);
        return too_large(err);
    }
    k->t = ldm_calloc((size_t)rows, sizeof *k->t);
    k->rows = bytes ? ldm_pages_alloc(bytes) : NULL;
    if (!k->t || (bytes && !k->rows)) {
        ldm_kept_free(k);
        return ldm_error_nomem(err, bytes, "the kept values");
    }
    *out = k;
    return LDM_OK;
}

void ldm_kept_free(ldm_kept *k)
{
    if (!k)
        return;
    ldm_free(k->t);
    ldm_pages_free(k->rows, (size_t)k->capacity * k->floats * sizeof *k->rows);
    ldm_free(k);
}

int ldm_kept_row(const ldm_kept *k, double t)
{
    int i;

    for (i = 0; i < k->count; i++) {
        if (k->t[i] == (float)t)
            return i;
    }
    return -1;
}

/* Copies values of the conditioning that are complete after step i to their rows. */
static void keep_complete(const ldm_frame *f, const ldm_exec_ctx *ctx, const ldm_kept *k, int i)
{
    const ldm_program *p = f->program;
    int v;

    for (v = 0; v < p->graph->value_count; v++) {
        const ldm_keeping *keeping = &p->keeping[v];

        if (keeping->alone == LDM_DEPENDS_COND && keeping->stored && keeping->complete == i) {
            const ldm_view from = ldm_frame_view(f, v), to = ldm_kept_view(p, k, v, 0, p->n);

            p->backend->copy(p->backend, ctx, &from, &to);
        }
    }
}

static ldm_status fill_cond(ldm_kept *k, const ldm_frame *f, const ldm_exec_ctx *ctx,
                            const ldm_named_array *inputs, ldm_error *err)
{
    const ldm_program *p = f->program;
    ldm_status st = ldm_frame_take_inputs(f, ctx, inputs, LDM_DEPENDS_COND, err);
    int i;

    if (st)
        return st;
    keep_complete(f, ctx, k, -1);
    for (i = 0; i < p->steps.count; i++) {
        if (!ldm_step_is_kept(p, i, LDM_DEPENDS_COND))
            continue;
        ldm_frame_run(f, ctx, i);
        keep_complete(f, ctx, k, i);
    }
    k->count = p->n;
    return LDM_OK;
}

static ldm_status fill_times(ldm_kept *k, ldm_frame *f, const ldm_exec_ctx *ctx,
                             const ldm_named_array *inputs, int count, ldm_error *err)
{
    const ldm_program *p = f->program;
    ldm_status st;
    int i;

    k->count = count;
    f->filling = k;
    st = ldm_frame_take_inputs(f, ctx, inputs, LDM_DEPENDS_TIME, err);
    for (i = 0; !st && i < p->steps.count; i++) {
        if (ldm_step_is_kept(p, i, LDM_DEPENDS_TIME))
            ldm_frame_run(f, ctx, i);
    }
    if (st)
        k->count = 0;
    for (i = 0; !st && i < LDM_MAX_INPUTS && inputs[i].name; i++) {
        if (!strcmp(inputs[i].name, "t"))
            memcpy(k->t, inputs[i].data, (size_t)count * sizeof *k->t);
    }
    return st;
}

ldm_status ldm_kept_fill(ldm_kept *k, const ldm_program *p, ldm_pool *pool, float *arena,
                         const ldm_named_array *inputs, int count, ldm_error *err)
{
    const ldm_exec_ctx ctx = ldm_program_context(p, pool, arena);
    ldm_frame f = {.program = p, .arena = arena};
    ldm_status st;

    k->count = 0;
    st = ldm_kept_check(p, k, k->depends,
                        count >= 1 && count <= k->capacity &&
                            (k->depends != LDM_DEPENDS_COND || count == p->n),
                        err);
    if (st)
        return st;
    if (k->depends == LDM_DEPENDS_COND)
        return fill_cond(k, &f, &ctx, inputs, err);
    return fill_times(k, &f, &ctx, inputs, count, err);
}
