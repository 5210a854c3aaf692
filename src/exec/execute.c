/* SPDX-License-Identifier: MIT */
/* Execution of a program: inputs to their places, its steps in order, the output, and the report to
 * an observer. */
#include <string.h>

#include "exec/program.h"

/* Operations a value: mean, variance and normalising; v / (1 + exp(-v)). */
enum { FLOP_NORM = 7, FLOP_SILU = 4 };

void ldm_view_from_nchw(const float *src, const ldm_view *dst)
{
    size_t pixels = (size_t)dst->h * (size_t)dst->w, i;
    int n, c;

    for (n = 0; n < dst->n; n++) {
        for (c = 0; c < dst->c; c++) {
            float *to = dst->data + (size_t)n * pixels * dst->pitch + c;

            for (i = 0; i < pixels; i++)
                to[i * dst->pitch] = *src++;
        }
    }
}

void ldm_view_to_nchw(const ldm_view *src, float *dst)
{
    size_t pixels = (size_t)src->h * (size_t)src->w, i;
    int n, c;

    for (n = 0; n < src->n; n++) {
        for (c = 0; c < src->c; c++) {
            const float *from = src->data + (size_t)n * pixels * src->pitch + c;

            for (i = 0; i < pixels; i++)
                *dst++ = from[i * src->pitch];
        }
    }
}

static double step_flop(const ldm_program *p, const ldm_step *s)
{
    const ldm_graph_value *x = &p->graph->values[s->x], *y = &p->graph->values[s->y];
    const ldm_graph_value *keys = s->k < 0 ? x : &p->graph->values[s->k];
    const double pixels = (double)y->h * y->w, values = pixels * y->c;
    const bool gated = s->activation == LDM_ACTIVATION_GEGLU;

    switch (s->kind) {
    case LDM_STEP_CONV:
        return p->n * (ldm_flop_conv(pixels, x->c, gated ? 2 * y->c : y->c,
                                     s->node->kernel_h * s->node->kernel_w) +
                       (s->activation ? values * FLOP_SILU : 0));
    case LDM_STEP_ATTENTION:
        return p->n * ldm_flop_attention(pixels, (double)keys->h * keys->w, y->c);
    case LDM_STEP_NORM:
        return p->n * values * (FLOP_NORM + (s->silu ? FLOP_SILU : 0));
    case LDM_STEP_LAYER_NORM:
        return p->n * values * FLOP_NORM;
    case LDM_STEP_ACTIVATE:
    case LDM_STEP_GEGLU:
        return p->n * values * FLOP_SILU;
    case LDM_STEP_ADD:
    case LDM_STEP_ADD_VECTOR:
        return p->n * values;
    default:
        return 0;
    }
}

/* Bytes that a step moves if each float is read or written once, as it is where the caches hold all
 * that the step needs twice. */
static double step_bytes(const ldm_program *p, int i)
{
    const ldm_step *s = &p->steps.steps[i];
    int values[LDM_STEP_READS + 1], n = ldm_steps_reads(&p->steps, i, values), k;
    double floats = 0;

    if (s->affine < 0)
        values[n++] = s->y;
    for (k = 0; k < n; k++) {
        const ldm_graph_value *v = &p->graph->values[values[k]];

        floats += (double)p->n * v->h * v->w * v->c;
    }
    if (s->kind == LDM_STEP_CONV)
        floats += (double)p->convs[i].packed_floats;
    return floats * sizeof(float);
}

static const char *step_name(const ldm_step *s)
{
    if (s->kind == LDM_STEP_COPY)
        return "copy";
    if (s->affine >= 0)
        return "norm factors";
    if (s->kind == LDM_STEP_CONV && s->activation)
        return s->activation == LDM_ACTIVATION_GEGLU  ? "linear+geglu"
               : s->activation == LDM_ACTIVATION_RELU ? "conv+relu"
                                                      : "linear+gelu";
    return s->kind == LDM_STEP_NORM && s->silu ? "norm+silu" : ldm_op_name(s->node->op);
}

static ldm_status observe(const ldm_frame *f, const ldm_observer *obs, int i, ldm_error *err)
{
    const ldm_program *p = f->program;
    const ldm_step *s = &p->steps.steps[i];
    ldm_step_info info = {
        .index = i,
        .count = p->steps.count,
        .name = s->node->name,
        .op = step_name(s),
        .algorithm = s->kind == LDM_STEP_CONV ? p->convs[i].name : "",
        .dump = p->graph->values[s->y].dump,
        .dump_also = p->graph->values[s->y].dump_also,
        .y = ldm_frame_view(f, s->y),
        .flop = step_flop(p, s),
        .bytes = step_bytes(p, i),
        .kernel_h = s->kind == LDM_STEP_CONV ? s->node->kernel_h : 0,
        .kernel_w = s->kind == LDM_STEP_CONV ? s->node->kernel_w : 0,
        .cin = s->kind == LDM_STEP_CONV ? p->graph->values[s->x].c : 0,
    };

    return obs->after(obs->ctx, &info, err);
}

/* The feature of this program: the value that it takes, or hands out; -1: none. */
static int feature_value(const ldm_program *p)
{
    const int taken = ldm_graph_input(p->graph, "feature");

    return taken >= 0 ? taken : p->graph->feature;
}

size_t ldm_program_feature_floats(const ldm_program *p)
{
    const ldm_frame sizes = {.program = p};
    int value = feature_value(p);
    ldm_view v;

    if (value < 0)
        return 0;
    v = ldm_frame_view(&sizes, value);
    return (size_t)v.n * (size_t)v.h * (size_t)v.w * (size_t)v.c;
}

/* The view of a dense array [n][h][w][c] that holds what `inside` holds. */
static ldm_view dense(const ldm_view *inside, const float *data)
{
    ldm_view v = *inside;

    v.data = (float *)(uintptr_t)data; /* only written where the caller's is writable */
    v.pitch = (size_t)v.c;
    return v;
}

static const float *array_of(const ldm_named_array *inputs, const char *name)
{
    int i;

    for (i = 0; i < LDM_MAX_INPUTS && inputs[i].name; i++) {
        if (!strcmp(inputs[i].name, name))
            return inputs[i].data;
    }
    return NULL;
}

/* Timesteps that are kept are one row for all samples. Where it is read as more than a vector, each
 * sample gets a copy among the activations. */
static void give_row(const ldm_frame *f, int value)
{
    const ldm_view row = ldm_frame_vector(f, value), y = ldm_frame_view(f, value);
    int i;

    for (i = 0; i < y.n; i++)
        memcpy(y.data + (size_t)i * y.pitch, row.data, (size_t)y.c * sizeof *y.data);
}

static bool is_kept(const ldm_frame *f, unsigned alone)
{
    return (alone == LDM_DEPENDS_TIME && f->time.kept) ||
           (alone == LDM_DEPENDS_COND && f->cond.kept);
}

ldm_status ldm_frame_take_inputs(const ldm_frame *f, const ldm_exec_ctx *ctx,
                                 const ldm_named_array *inputs, unsigned alone, ldm_error *err)
{
    const ldm_program *p = f->program;
    const ldm_graph *g = p->graph;
    int i;

    for (i = 0; i < g->input_count; i++) {
        const ldm_input *in = &g->inputs[i];
        const ldm_keeping *k = &p->keeping[in->value];
        const float *data = array_of(inputs, in->name);
        ldm_view inside, outside;

        if (alone && k->alone != alone)
            continue;
        if (is_kept(f, k->alone)) {
            if (k->as_picture)
                give_row(f, in->value);
            continue;
        }
        if (!data)
            return ldm_error_set(err, LDM_ERR_USAGE, "the network's input \"%s\" is not given",
                                 in->name);
        inside = ldm_frame_view(f, in->value);
        outside = dense(&inside, data);
        if (in->channels_last)
            p->backend->copy(p->backend, ctx, &outside, &inside);
        else
            ldm_view_from_nchw(data, &inside);
    }
    return LDM_OK;
}

static void hand_out(const ldm_frame *f, const ldm_exec_ctx *ctx, int value, float *to)
{
    const ldm_view inside = ldm_frame_view(f, value), outside = dense(&inside, to);

    f->program->backend->copy(f->program->backend, ctx, &inside, &outside);
}

ldm_exec_ctx ldm_program_context(const ldm_program *p, ldm_pool *pool, float *arena)
{
    return (ldm_exec_ctx){
        .pool = pool,
        .threads = p->threads,
        .scratch = arena + ldm_align_floats(p->plan.floats),
        .scratch_floats = p->scratch_floats,
    };
}

/* Rows are another part's, or are not there. */
static ldm_status check_rows(const ldm_program *p, const ldm_kept_rows *r, unsigned depends,
                             int rows, ldm_error *err)
{
    if (!r->kept)
        return LDM_OK;
    return ldm_kept_check(p, r->kept, depends, r->row >= 0 && rows <= r->kept->count - r->row, err);
}

static ldm_status run_step(const ldm_frame *f, const ldm_exec_ctx *ctx, const ldm_observer *obs,
                           int i, ldm_error *err)
{
    const bool watched = obs && obs->stop;
    bool stopped = false;

    if (watched)
        ldm_pool_watch(ctx->pool, obs->stop, obs->ctx);
    ldm_frame_run(f, ctx, i);
    if (watched) {
        stopped = ldm_pool_given_up(ctx->pool);
        ldm_pool_watch(ctx->pool, NULL, NULL);
    }
    return stopped ? ldm_error_set(err, LDM_ERR_CANCELLED, "stopped within an evaluation") : LDM_OK;
}

ldm_status ldm_program_run(const ldm_program *p, ldm_pool *pool, float *arena,
                           const ldm_execution *e, ldm_error *err)
{
    const ldm_graph *g = p->graph;
    const ldm_frame f = {.program = p, .arena = arena, .time = e->time, .cond = e->cond};
    const ldm_exec_ctx ctx = ldm_program_context(p, pool, arena);
    ldm_status st = check_rows(p, &e->time, LDM_DEPENDS_TIME, 1, err);
    ldm_view view;
    int i;

    if (!st)
        st = check_rows(p, &e->cond, LDM_DEPENDS_COND, p->n, err);
    if (!st)
        st = ldm_frame_take_inputs(&f, &ctx, e->inputs, 0, err);
    for (i = 0; !st && i < p->steps.count; i++) {
        const int y = p->steps.steps[i].y;
        const bool kept = is_kept(&f, p->keeping[y].alone);

        if (!kept)
            st = run_step(&f, &ctx, e->observer, i, err);
        else if (p->keeping[y].as_picture)
            give_row(&f, y);
        if (!st && e->feature && y == g->feature)
            hand_out(&f, &ctx, y, e->feature); /* before its place is used again */
        if (!st && !kept && e->observer)
            st = observe(&f, e->observer, i, err);
    }
    if (st)
        return st;
    view = ldm_frame_view(&f, g->output);
    if (g->output_channels_last)
        hand_out(&f, &ctx, g->output, e->out);
    else
        ldm_view_to_nchw(&view, e->out);
    return LDM_OK;
}
