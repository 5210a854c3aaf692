/* A program: fused steps with their places in memory, for one size, batch and number of threads. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "exec/program.h"

static size_t align_floats(size_t n)
{
    return (n + 15) / 16 * 16;
}

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

static ldm_status plan_steps(ldm_program *p, ldm_precision precision, ldm_error *err)
{
    ldm_status st;
    int i;

    for (i = 0; i < p->steps.count; i++) {
        const ldm_step *s = &p->steps.steps[i];
        ldm_conv_desc d;
        size_t scratch;

        st = find_slot(p->weights, s, i, &p->slots[i], err);
        if (st)
            return st;
        if (s->kind == LDM_STEP_CONV) {
            int algorithm = p->weights->slots[p->slots[i]].plan.algorithm;

            ldm_step_conv_desc(p->graph, s, &d);
            st = p->backend->conv_plan(p->backend, &d, precision, algorithm, p->threads,
                                       &p->convs[i], err);
            if (st)
                return ldm_error_wrap(err, st, "%s", s->node->name);
            ldm_steps_place_moments(p->graph, &p->steps, i, &p->convs[i].slabs);
            if (p->convs[i].normalises)
                ldm_steps_take_norm(p->graph, &p->steps, i);
        }
        scratch = step_scratch(p, i);
        if (scratch > p->scratch_floats)
            p->scratch_floats = scratch;
    }
    return LDM_OK;
}

/* Which values follow from the timestep alone: the embedding, its MLP, and every vector that is
 * made of it. What else reads them must read them as such a vector, which may be the same for all
 * samples. */
static ldm_status find_times(ldm_program *p, ldm_error *err)
{
    const ldm_graph *g = p->graph;
    const int t = ldm_graph_input(g, "t");
    int i, k;

    for (i = 0; i < g->value_count; i++)
        p->time_offsets[i] = LDM_NO_TIME;
    if (t < 0)
        return LDM_OK;
    p->time_offsets[t] = 0;
    p->time_floats = align_floats(1);
    for (i = 0; i < p->steps.count; i++) {
        const ldm_step *s = &p->steps.steps[i];
        const int read[] = {s->x, s->residual, s->k < 0 || s->v < 0 ? -1 : s->k, s->v};
        bool timely = s->vector < 0 || p->time_offsets[s->vector] != LDM_NO_TIME, any = false;

        for (k = 0; k < 4; k++) {
            const bool is_time = read[k] >= 0 && p->time_offsets[read[k]] != LDM_NO_TIME;

            any = any || is_time;
            timely = timely && (read[k] < 0 || is_time);
        }
        if (!timely && any)
            return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                                 "%s reads the timestep's embedding as if it were a picture",
                                 s->node->name);
        if (!timely)
            continue;
        p->time_offsets[s->y] = p->time_floats;
        p->time_floats += align_floats((size_t)g->values[s->y].c);
    }
    return LDM_OK;
}

static bool of_time(const ldm_program *p, const ldm_step *s)
{
    return p->time_offsets[s->y] != LDM_NO_TIME;
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
    st = ldm_steps_create(g, &p->steps, err);
    if (!st) {
        p->graph = g; /* ours only on success: see below */
        p->convs = ldm_calloc((size_t)p->steps.count, sizeof *p->convs);
        p->slots = ldm_calloc((size_t)p->steps.count, sizeof *p->slots);
        p->time_offsets = ldm_calloc((size_t)g->value_count, sizeof *p->time_offsets);
        st = p->convs && p->slots && p->time_offsets
                 ? find_times(p, err)
                 : ldm_error_nomem(err, (size_t)p->steps.count * sizeof *p->convs, "a program");
    }
    if (!st)
        st = plan_steps(p, precision, err);
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
    ldm_free(p->time_offsets);
    ldm_free(p);
}

size_t ldm_program_arena_floats(const ldm_program *p)
{
    return align_floats(p->plan.floats) + align_floats(p->scratch_floats);
}

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
    double pixels = (double)p->n * y->h * y->w;

    if (s->kind == LDM_STEP_CONV)
        return 2.0 * pixels * y->c * x->c * s->node->kernel * s->node->kernel;
    if (s->kind == LDM_STEP_ATTENTION)
        return 4.0 * pixels * y->h * y->w * y->c;
    return 0;
}

/* Each float once: what a step moves if the caches hold all that it needs twice. */
static double step_bytes(const ldm_program *p, int i)
{
    const ldm_step *s = &p->steps.steps[i];
    const int values[] = {s->x,
                          s->affine < 0 ? s->y : -1,
                          s->residual,
                          s->vector,
                          s->kind == LDM_STEP_ATTENTION ? s->k : -1,
                          s->kind == LDM_STEP_ATTENTION ? s->v : -1};
    double floats = 0;
    size_t k;

    for (k = 0; k < sizeof values / sizeof values[0]; k++) {
        if (values[k] >= 0) {
            const ldm_graph_value *v = &p->graph->values[values[k]];

            floats += (double)p->n * v->h * v->w * v->c;
        }
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
        .y = ldm_frame_view(f, s->y),
        .flop = step_flop(p, s),
        .bytes = step_bytes(p, i),
        .kernel = s->kind == LDM_STEP_CONV ? s->node->kernel : 0,
        .cin = s->kind == LDM_STEP_CONV ? p->graph->values[s->x].c : 0,
    };

    return obs->after(obs->ctx, &info, err);
}

/* The value that is the feature of this program: taken, or handed out; -1: none. */
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

static const float *array_of(const ldm_execution *e, const char *name)
{
    int i;

    for (i = 0; i < LDM_MAX_INPUTS && e->inputs[i].name; i++) {
        if (!strcmp(e->inputs[i].name, name))
            return e->inputs[i].data;
    }
    return NULL;
}

/* Copies the caller's arrays to their places among the activations. */
static ldm_status take_inputs(const ldm_frame *f, const ldm_exec_ctx *ctx, const ldm_execution *e,
                              ldm_error *err)
{
    const ldm_program *p = f->program;
    const ldm_graph *g = p->graph;
    int i;

    for (i = 0; i < g->input_count; i++) {
        const ldm_input *in = &g->inputs[i];
        const float *data = array_of(e, in->name);
        ldm_view inside = ldm_frame_view(f, in->value), outside = dense(&inside, data);

        if (f->times && p->time_offsets[in->value] != LDM_NO_TIME)
            continue; /* it is there */
        if (!data)
            return ldm_error_set(err, LDM_ERR_USAGE, "the network's input \"%s\" is not given",
                                 in->name);
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

static ldm_exec_ctx context(const ldm_program *p, ldm_pool *pool, float *arena)
{
    return (ldm_exec_ctx){
        .pool = pool,
        .threads = p->threads,
        .scratch = arena + align_floats(p->plan.floats),
        .scratch_floats = p->scratch_floats,
    };
}

ldm_status ldm_program_run(const ldm_program *p, ldm_pool *pool, float *arena,
                           const ldm_execution *e, ldm_error *err)
{
    const ldm_graph *g = p->graph;
    const ldm_frame f = {.program = p, .arena = arena, .times = e->times, .row = e->row};
    const ldm_exec_ctx ctx = context(p, pool, arena);
    ldm_status st = take_inputs(&f, &ctx, e, err);
    ldm_view view;
    int i;

    for (i = 0; !st && i < p->steps.count; i++) {
        const ldm_step *s = &p->steps.steps[i];

        if (e->times && of_time(p, s))
            continue;
        ldm_frame_run(&f, &ctx, i);
        if (e->feature && s->y == g->feature)
            hand_out(&f, &ctx, g->feature, e->feature); /* before its place is used again */
        if (e->observer)
            st = observe(&f, e->observer, i, err);
    }
    if (st)
        return st;
    view = ldm_frame_view(&f, g->output);
    ldm_view_to_nchw(&view, e->out);
    return LDM_OK;
}

/* ---- timesteps ------------------------------------------------------------------------------- */

size_t ldm_program_time_floats(const ldm_program *p)
{
    return p->time_floats;
}

ldm_status ldm_times_create(const ldm_program *p, int capacity, ldm_times **out, ldm_error *err)
{
    ldm_times *x = ldm_calloc(1, sizeof *x);

    *out = NULL;
    if (!x)
        return ldm_error_nomem(err, sizeof *x, "the timesteps");
    x->capacity = capacity;
    x->floats = p->time_floats;
    x->t = ldm_reallocarray(NULL, (size_t)capacity, sizeof *x->t);
    x->rows = ldm_pages_alloc((size_t)capacity * x->floats * sizeof *x->rows);
    if (!x->t || !x->rows) {
        ldm_times_free(x);
        return ldm_error_nomem(err, (size_t)capacity * p->time_floats * sizeof *x->rows,
                               "the timesteps");
    }
    *out = x;
    return LDM_OK;
}

void ldm_times_free(ldm_times *x)
{
    if (!x)
        return;
    ldm_free(x->t);
    ldm_pages_free(x->rows, (size_t)x->capacity * x->floats * sizeof *x->rows);
    ldm_free(x);
}

void ldm_times_fill(ldm_times *x, const ldm_program *p, ldm_pool *pool, float *arena,
                    const double *t, int count)
{
    const ldm_frame f = {.program = p, .arena = arena, .times = x, .row = -1};
    const ldm_exec_ctx ctx = context(p, pool, arena);
    int i;

    x->count = count < x->capacity ? count : x->capacity;
    for (i = 0; i < x->count; i++)
        x->t[i] = x->rows[(size_t)i * x->floats] = (float)t[i];
    for (i = 0; i < p->steps.count; i++) {
        if (of_time(p, &p->steps.steps[i]))
            ldm_frame_run(&f, &ctx, i);
    }
}

int ldm_times_row(const ldm_times *x, double t)
{
    int i;

    for (i = 0; i < x->count; i++) {
        if (x->t[i] == (float)t)
            return i;
    }
    return -1;
}
