/* A program: fused steps with their places in memory, for one size, batch and number of threads. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "exec/plan.h"

struct ldm_program {
    ldm_graph *graph;
    const ldm_weights *weights;
    const ldm_backend *backend;
    int n, threads;
    ldm_steps steps;
    ldm_plan plan;
    ldm_conv_plan *convs; /* [steps.count]; of CONV steps, for this size */
    int *slots;           /* [steps.count]; the weights' slot of each step; -1 for none */
    size_t scratch_floats;
};

/* Where the channels [first, first + c) of a value are; data NULL with arena NULL (sizes only). */
static ldm_view view_of(const ldm_program *p, float *arena, int value)
{
    const ldm_value_spec *v = &p->graph->values[value];
    const ldm_place *place = &p->steps.places[value];
    ldm_view view = {.n = p->n, .h = v->h, .w = v->w, .c = v->c};

    view.pitch = (size_t)p->steps.buffer_c[place->buffer];
    if (arena)
        view.data = arena + p->plan.offsets[place->buffer] + place->offset;
    return view;
}

static ldm_norm_args norm_args(const ldm_program *p, const ldm_step *s, float *arena)
{
    ldm_norm_args a = {
        .x = view_of(p, arena, s->x),
        .y = view_of(p, arena, s->y),
        .groups = s->node->groups,
        .eps = (float)s->node->eps,
        .silu = s->silu,
    };

    if (s->vector >= 0) {
        ldm_view v = view_of(p, arena, s->vector);

        a.scale = v.data;
        a.shift = v.data ? v.data + a.x.c : NULL;
        a.scale_stride = v.pitch;
    }
    return a;
}

static ldm_attention_args attention_args(const ldm_program *p, const ldm_step *s, float *arena)
{
    const ldm_node *n = s->node;
    ldm_attention_args a = {
        .q = view_of(p, arena, s->x),
        .y = view_of(p, arena, s->y),
        .heads = n->heads,
        .head_dim = n->head_dim,
        .head_stride = (size_t)n->head_dim,
        .scale = (float)(1.0 / sqrt((double)n->head_dim)),
    };
    size_t k_off = (size_t)a.y.c, v_off = 2 * (size_t)a.y.c;

    if (s->k >= 0) {
        a.k = view_of(p, arena, s->k);
        a.v = view_of(p, arena, s->v);
        return a;
    }
    /* One tensor of q, k, v: per head side by side (legacy order), or all of each. */
    if (n->heads_first) {
        a.head_stride = 3 * (size_t)n->head_dim;
        k_off = (size_t)n->head_dim;
        v_off = 2 * (size_t)n->head_dim;
    }
    a.k = a.v = a.q;
    if (a.q.data) {
        a.k.data += k_off;
        a.v.data += v_off;
    }
    return a;
}

static size_t align_floats(size_t n)
{
    return (n + 15) / 16 * 16;
}

static size_t step_scratch(const ldm_program *p, int i)
{
    const ldm_step *s = &p->steps.steps[i];

    if (s->kind == LDM_STEP_CONV)
        return p->convs[i].scratch_floats;
    if (s->kind == LDM_STEP_NORM) {
        ldm_norm_args a = norm_args(p, s, NULL);

        return p->backend->norm_scratch(p->backend, &a, p->threads);
    }
    if (s->kind == LDM_STEP_ATTENTION) {
        ldm_attention_args a = attention_args(p, s, NULL);

        return p->backend->attention_scratch(p->backend, &a, p->threads);
    }
    if (s->kind == LDM_STEP_QUANTIZE || s->kind == LDM_STEP_INDEX) {
        const ldm_value_spec *v = &p->graph->values[s->x];

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
        }
        scratch = step_scratch(p, i);
        if (scratch > p->scratch_floats)
            p->scratch_floats = scratch;
    }
    return LDM_OK;
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
    if (!st)
        st = ldm_plan_create(g, &p->steps, n, &p->plan, err);
    if (!st) {
        p->graph = g; /* ours only on success: see below */
        p->convs = ldm_calloc((size_t)p->steps.count, sizeof *p->convs);
        p->slots = ldm_calloc((size_t)p->steps.count, sizeof *p->slots);
        st = p->convs && p->slots
                 ? plan_steps(p, precision, err)
                 : ldm_error_nomem(err, (size_t)p->steps.count * sizeof *p->convs, "a program");
    }
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

/* timestep_embedding (ldm/modules/diffusionmodules/util.py): [cos, sin] of t * 10000^(-i / half),
 * in float32 as PyTorch computes it; an odd width ends in a zero. */
static void embed(const ldm_view *t, const ldm_view *y)
{
    int half = y->c / 2, n, i;

    for (n = 0; n < y->n; n++) {
        float *out = y->data + (size_t)n * y->pitch;
        float time = t->data[(size_t)n * t->pitch];

        for (i = 0; i < half; i++) {
            float freq = expf((float)-9.210340371976184 * (float)i / (float)half);

            out[i] = cosf(time * freq);
            out[half + i] = sinf(time * freq);
        }
        if (y->c % 2)
            out[y->c - 1] = 0;
    }
}

static void tanh_view(const ldm_view *x, const ldm_view *y)
{
    size_t pixels = (size_t)x->n * (size_t)x->h * (size_t)x->w, i;
    int c;

    for (i = 0; i < pixels; i++) {
        for (c = 0; c < x->c; c++)
            y->data[i * y->pitch + (size_t)c] = tanhf(x->data[i * x->pitch + (size_t)c]);
    }
}

/* VectorQuantizer2.forward: z + (e - z), which differs from e in the last bits. */
static void quantize(const ldm_program *p, const ldm_exec_ctx *ctx, const ldm_step *s,
                     const ldm_view *x, const ldm_view *y, const float *codebook, int entries)
{
    size_t pixels = (size_t)x->n * (size_t)x->h * (size_t)x->w, i;
    int64_t *indices = (int64_t *)(void *)ctx->scratch;
    int c;

    p->backend->vq_nearest(p->backend, ctx, x, codebook, entries, indices);
    for (i = 0; i < pixels; i++) {
        const float *z = x->data + i * x->pitch, *e = codebook + indices[i] * x->c;
        float *out = y->data + i * y->pitch;

        if (s->kind == LDM_STEP_INDEX) {
            out[0] = (float)indices[i];
            continue;
        }
        for (c = 0; c < x->c; c++)
            out[c] = z[c] + (e[c] - z[c]);
    }
}

static void run_conv(const ldm_program *p, const ldm_exec_ctx *ctx, int i, float *arena,
                     const ldm_view *x, const ldm_view *y)
{
    const ldm_step *s = &p->steps.steps[i];
    const ldm_slot *slot = &p->weights->slots[p->slots[i]];
    ldm_conv_args a = {.x = *x, .y = *y, .packed = p->weights->block + slot->packed};

    if (s->vector >= 0) {
        ldm_view v = view_of(p, arena, s->vector);

        a.bias = v.data;
        a.bias_stride = v.pitch;
    } else if (slot->has_bias) {
        a.bias = p->weights->block + slot->bias;
    }
    if (s->residual >= 0)
        a.residual = view_of(p, arena, s->residual);
    p->backend->conv(p->backend, ctx, &p->convs[i], &a);
}

static void run_step(const ldm_program *p, const ldm_exec_ctx *ctx, int i, float *arena)
{
    const ldm_step *s = &p->steps.steps[i];
    const ldm_slot *slot = p->slots[i] < 0 ? NULL : &p->weights->slots[p->slots[i]];
    const ldm_backend *b = p->backend;
    const float *block = p->weights->block;
    ldm_view x = view_of(p, arena, s->x), y = view_of(p, arena, s->y), r;
    ldm_norm_args norm;
    ldm_attention_args attention;

    switch (s->kind) {
    case LDM_STEP_CONV:
        run_conv(p, ctx, i, arena, &x, &y);
        break;
    case LDM_STEP_NORM:
        norm = norm_args(p, s, arena);
        norm.gamma = block + slot->gamma;
        norm.beta = block + slot->beta;
        b->norm(b, ctx, &norm);
        break;
    case LDM_STEP_SILU:
        b->silu(b, ctx, &x, &y);
        break;
    case LDM_STEP_TANH:
        tanh_view(&x, &y);
        break;
    case LDM_STEP_ADD:
        r = view_of(p, arena, s->residual);
        b->add(b, ctx, &x, &r, &y);
        break;
    case LDM_STEP_ADD_VECTOR:
        r = view_of(p, arena, s->vector);
        b->add_vector(b, ctx, &x, r.data, r.pitch, &y);
        break;
    case LDM_STEP_COPY:
        y.data += s->k; /* the part of a concat that was not written in place */
        y.c = x.c;
        b->copy(b, ctx, &x, &y);
        break;
    case LDM_STEP_UPSAMPLE:
        b->upsample2(b, ctx, &x, &y);
        break;
    case LDM_STEP_AVG_POOL:
        b->avg_pool2(b, ctx, &x, &y);
        break;
    case LDM_STEP_ATTENTION:
        attention = attention_args(p, s, arena);
        b->attention(b, ctx, &attention);
        break;
    case LDM_STEP_EMBED:
        embed(&x, &y);
        break;
    case LDM_STEP_QUANTIZE:
    case LDM_STEP_INDEX:
        quantize(p, ctx, s, &x, &y, block + slot->packed, slot->entries);
        break;
    }
}

static double step_flop(const ldm_program *p, const ldm_step *s)
{
    const ldm_value_spec *x = &p->graph->values[s->x], *y = &p->graph->values[s->y];
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
                          s->y,
                          s->residual,
                          s->vector,
                          s->kind == LDM_STEP_ATTENTION ? s->k : -1,
                          s->kind == LDM_STEP_ATTENTION ? s->v : -1};
    double floats = 0;
    size_t k;

    for (k = 0; k < sizeof values / sizeof values[0]; k++) {
        if (values[k] >= 0) {
            const ldm_value_spec *v = &p->graph->values[values[k]];

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
    return s->kind == LDM_STEP_NORM && s->silu ? "norm+silu" : ldm_op_name(s->node->op);
}

static ldm_status observe(const ldm_program *p, const ldm_observer *obs, int i, float *arena,
                          ldm_error *err)
{
    const ldm_step *s = &p->steps.steps[i];
    ldm_step_info info = {
        .index = i,
        .count = p->steps.count,
        .name = s->node->name,
        .op = step_name(s),
        .algorithm = s->kind == LDM_STEP_CONV ? p->convs[i].name : "",
        .dump = p->graph->values[s->y].dump,
        .y = view_of(p, arena, s->y),
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
    return p->graph->inputs[2] >= 0 ? p->graph->inputs[2] : p->graph->feature;
}

size_t ldm_program_feature_floats(const ldm_program *p)
{
    int value = feature_value(p);
    ldm_view v;

    if (value < 0)
        return 0;
    v = view_of(p, NULL, value);
    return (size_t)v.n * (size_t)v.h * (size_t)v.w * (size_t)v.c;
}

/* Between the feature's place among the activations and the caller's dense NHWC array. */
static void move_feature(const ldm_program *p, const ldm_exec_ctx *ctx, float *arena,
                         float *feature)
{
    ldm_view inside = view_of(p, arena, feature_value(p)), outside = inside;

    outside.data = feature;
    outside.pitch = (size_t)outside.c;
    if (p->graph->inputs[2] >= 0)
        p->backend->copy(p->backend, ctx, &outside, &inside);
    else
        p->backend->copy(p->backend, ctx, &inside, &outside);
}

ldm_status ldm_program_run(const ldm_program *p, ldm_pool *pool, float *arena, const float *in,
                           const float *t, float *out, const ldm_observer *obs, ldm_error *err)
{
    return ldm_program_run_unet(p, pool, arena, in, t, NULL, out, obs, err);
}

ldm_status ldm_program_run_unet(const ldm_program *p, ldm_pool *pool, float *arena, const float *in,
                                const float *t, float *feature, float *out, const ldm_observer *obs,
                                ldm_error *err)
{
    const ldm_graph *g = p->graph;
    ldm_exec_ctx ctx = {
        .pool = pool,
        .threads = p->threads,
        .scratch = arena + align_floats(p->plan.floats),
        .scratch_floats = p->scratch_floats,
    };
    ldm_view view;
    int i;

    view = view_of(p, arena, g->inputs[0]);
    ldm_view_from_nchw(in, &view);
    if (g->inputs[1] >= 0) {
        view = view_of(p, arena, g->inputs[1]);
        ldm_view_from_nchw(t, &view);
    }
    if (g->inputs[2] >= 0)
        move_feature(p, &ctx, arena, feature);
    for (i = 0; i < p->steps.count; i++) {
        run_step(p, &ctx, i, arena);
        if (feature && p->steps.steps[i].y == g->feature)
            move_feature(p, &ctx, arena, feature); /* before its place is used again */
        if (obs) {
            ldm_status st = observe(p, obs, i, arena, err);

            if (st)
                return st;
        }
    }
    view = view_of(p, arena, g->output);
    ldm_view_to_nchw(&view, out);
    return LDM_OK;
}
