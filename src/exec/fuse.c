/* SPDX-License-Identifier: MIT */
/* From nodes to steps: each step is one call of the backend. A node is absorbed into the step
 * before it if it is the only reader of that step's result, so that no other node misses it.
 * Concats disappear: both inputs are written into one buffer. */
#include <string.h>

#include "base/alloc.h"
#include "exec/steps.h"

typedef struct fuser {
    const ldm_graph *g;
    int *producer;  /* [values]: node, -1 for inputs */
    int *readers;   /* [values]: how many nodes read it; the output counts as one more */
    int *reader;    /* [values]: the last node that reads it */
    bool *absorbed; /* [nodes] */
    ldm_steps *out;
} fuser;

static void count_readers(fuser *f)
{
    const ldm_graph *g = f->g;
    int i, j;

    for (i = 0; i < g->value_count; i++)
        f->producer[i] = f->reader[i] = -1;
    for (i = 0; i < g->node_count; i++) {
        f->producer[g->nodes[i].out] = i;
        for (j = 0; j < 3; j++) {
            int v = g->nodes[i].in[j];

            if (v >= 0) {
                f->readers[v]++;
                f->reader[v] = i;
            }
        }
    }
    f->readers[g->output]++;
    if (g->feature >= 0)
        f->readers[g->feature]++; /* handed out as well */
}

/* The node that alone reads `value` and has this op; NULL otherwise. */
static const ldm_node *sole_reader(const fuser *f, int value, ldm_op op)
{
    const ldm_node *n;

    if (f->readers[value] != 1 || f->reader[value] < 0)
        return NULL;
    n = &f->g->nodes[f->reader[value]];
    return n->op == op ? n : NULL;
}

/* Whether the result of s may be replaced by what n makes of it. What can be kept between
 * executions is not mixed with what is computed at each. */
static bool may_absorb(const fuser *f, const ldm_step *s, const ldm_node *n)
{
    const unsigned alone = ldm_value_alone(&f->g->values[s->y]);

    return !alone || alone == ldm_value_alone(&f->g->values[n->out]);
}

static void absorb(fuser *f, const ldm_node *n, ldm_step *s)
{
    f->absorbed[n - f->g->nodes] = true;
    s->y = n->out;
}

static bool computed_before(const fuser *f, int value, const ldm_node *n)
{
    return f->producer[value] < (int)(n - f->g->nodes);
}

static void fuse_norm(fuser *f, ldm_step *s, const ldm_node *self)
{
    const ldm_node *n = sole_reader(f, s->y, LDM_OP_SCALE_SHIFT);
    const int p = f->producer[s->x];

    s->parts[0] = s->x;
    if (p >= 0 && f->g->nodes[p].op == LDM_OP_CONCAT)
        memcpy(s->parts, f->g->nodes[p].in, sizeof s->parts);
    if (n && n->in[0] == s->y && computed_before(f, n->in[1], self) && may_absorb(f, s, n)) {
        s->vector = n->in[1];
        absorb(f, n, s);
    }
    n = sole_reader(f, s->y, LDM_OP_SILU);
    if (n) {
        s->silu = true;
        absorb(f, n, s);
    }
}

/* The step that makes the vector, if it is a linear layer that only this addition reads. */
static ldm_step *vector_maker(fuser *f, int vector)
{
    int i;

    if (f->readers[vector] != 1)
        return NULL;
    for (i = f->out->count - 1; i >= 0; i--) {
        ldm_step *s = &f->out->steps[i];

        if (s->y == vector)
            return s->kind == LDM_STEP_CONV && s->extra_bias < 0 ? s : NULL;
    }
    return NULL;
}

static void fuse_conv(fuser *f, ldm_step *s, const ldm_node *self)
{
    const ldm_node *n = sole_reader(f, s->y, LDM_OP_ADD_VECTOR);
    int other;

    if (n && n->in[0] == s->y && may_absorb(f, s, n)) {
        ldm_step *maker = vector_maker(f, n->in[1]);

        if (maker) {
            /* The vector becomes the convolution's bias; the convolution's own bias is added to the
             * vector where that is made. */
            maker->extra_bias = s->bias;
            s->bias = -1;
            s->vector = n->in[1];
            absorb(f, n, s);
        }
    }
    n = sole_reader(f, s->y, LDM_OP_ADD);
    if (n && n->in[0] != n->in[1] && may_absorb(f, s, n)) {
        other = n->in[0] == s->y ? n->in[1] : n->in[0];
        if (computed_before(f, other, self)) {
            s->residual = other;
            absorb(f, n, s);
        }
    }
}

static ldm_step *append(ldm_steps *out, ldm_step_kind kind, const ldm_node *n)
{
    ldm_step *s = &out->steps[out->count++];

    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->node = n;
    s->x = n->in[0];
    s->y = n->out;
    s->residual = s->vector = s->k = s->v = s->extra_bias = s->parts[0] = s->parts[1] = -1;
    s->affine = s->norm = -1;
    s->weight = n->weight;
    s->bias = n->bias;
    return s;
}

/* In the graph the timestep's linear layer comes after the convolution whose result it is added to.
 * It needs nothing of that convolution, so it is computed first, and the convolution adds it to its
 * outputs as it writes them. */
static void hoist_vector(fuser *f, const ldm_node *conv)
{
    const ldm_node *n = sole_reader(f, conv->out, LDM_OP_ADD_VECTOR);
    int p;

    if (!n || n->in[0] != conv->out)
        return;
    p = f->producer[n->in[1]];
    if (p > (int)(conv - f->g->nodes) && f->g->nodes[p].op == LDM_OP_LINEAR &&
        computed_before(f, f->g->nodes[p].in[0], conv)) {
        append(f->out, LDM_STEP_CONV, &f->g->nodes[p]);
        f->absorbed[p] = true;
    }
}

static ldm_activation activation_of(ldm_op op)
{
    switch (op) {
    case LDM_OP_RELU:
        return LDM_ACTIVATION_RELU;
    case LDM_OP_GELU:
        return LDM_ACTIVATION_GELU;
    case LDM_OP_QUICK_GELU:
        return LDM_ACTIVATION_QUICK_GELU;
    case LDM_OP_GEGLU:
        return LDM_ACTIVATION_GEGLU;
    default:
        return LDM_ACTIVATION_SILU;
    }
}

static ldm_step_kind kind_of(ldm_op op)
{
    switch (op) {
    case LDM_OP_CONV:
    case LDM_OP_LINEAR:
        return LDM_STEP_CONV;
    case LDM_OP_NORM:
        return LDM_STEP_NORM;
    case LDM_OP_LAYER_NORM:
        return LDM_STEP_LAYER_NORM;
    case LDM_OP_RELU:
    case LDM_OP_SILU:
    case LDM_OP_GELU:
    case LDM_OP_QUICK_GELU:
        return LDM_STEP_ACTIVATE;
    case LDM_OP_GEGLU:
        return LDM_STEP_GEGLU;
    case LDM_OP_TANH:
        return LDM_STEP_TANH;
    case LDM_OP_ADD:
        return LDM_STEP_ADD;
    case LDM_OP_ADD_VECTOR:
        return LDM_STEP_ADD_VECTOR;
    case LDM_OP_UPSAMPLE:
        return LDM_STEP_UPSAMPLE;
    case LDM_OP_AVG_POOL:
    case LDM_OP_MAX_POOL:
        return LDM_STEP_POOL;
    case LDM_OP_ATTENTION:
        return LDM_STEP_ATTENTION;
    case LDM_OP_TIMESTEP_EMBED:
        return LDM_STEP_EMBED;
    case LDM_OP_EMBEDDING:
        return LDM_STEP_EMBEDDING;
    case LDM_OP_QUANTIZE:
        return LDM_STEP_QUANTIZE;
    case LDM_OP_QUANTIZE_INDEX:
        return LDM_STEP_INDEX;
    case LDM_OP_SCALE_SHIFT:
    case LDM_OP_CONCAT:
        break;
    }
    return LDM_STEP_COPY;
}

static int new_buffer(ldm_steps *out, int h, int w, int c)
{
    out->buffers[out->buffer_count] = (ldm_buffer){h, w, c, 0};
    return out->buffer_count++;
}

static int value_buffer(ldm_steps *out, const ldm_graph *g, int value)
{
    const ldm_graph_value *v = &g->values[value];

    return new_buffer(out, v->h, v->w, v->c);
}

/* Whether a part of a concat may be written where the concat is. What is kept between executions
 * has a place of its own, outside of the activations. */
static bool shares_place(const ldm_graph *g, int part, int concat)
{
    const unsigned alone = ldm_value_alone(&g->values[part]);

    return !alone ||
           (alone == LDM_DEPENDS_COND && ldm_value_alone(&g->values[concat]) == LDM_DEPENDS_COND);
}

/* Gives the concat's two inputs their places in its buffer. An input that has a place already (it
 * is part of another concat) is copied. The last concat comes first, so that the parts of a concat
 * that is itself a part lie where the whole does. */
static void place_concats(fuser *f)
{
    const ldm_graph *g = f->g;
    int i, j;

    for (i = g->node_count - 1; i >= 0; i--) {
        const ldm_node *n = &g->nodes[i];
        int offset = 0;

        if (n->op != LDM_OP_CONCAT)
            continue;
        if (f->out->places[n->out].buffer < 0)
            f->out->places[n->out].buffer = value_buffer(f->out, g, n->out);
        for (j = 0; j < 2; j++) {
            ldm_place *p = &f->out->places[n->in[j]];

            if (p->buffer < 0 && n->in[0] != n->in[1] && shares_place(g, n->in[j], n->out)) {
                p->buffer = f->out->places[n->out].buffer;
                p->offset = f->out->places[n->out].offset + offset;
            }
            offset += g->values[n->in[j]].c;
        }
    }
}

static bool placed_inside(const fuser *f, int part, const ldm_node *concat, int offset)
{
    const ldm_place *p = &f->out->places[part], *c = &f->out->places[concat->out];

    return p->buffer == c->buffer && p->offset == c->offset + offset;
}

static ldm_status fuse_nodes(fuser *f, ldm_error *err)
{
    const ldm_graph *g = f->g;
    int i, j;

    for (i = 0; i < g->node_count; i++) {
        const ldm_node *n = &g->nodes[i], *next;
        ldm_step *s;

        if (f->absorbed[i])
            continue;
        if (n->op == LDM_OP_SCALE_SHIFT)
            return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                                 "a scale and shift that follows no norm cannot be executed");
        if (n->op == LDM_OP_CONCAT) {
            int offset = 0;

            for (j = 0; j < 2; j++) {
                if (!placed_inside(f, n->in[j], n, offset)) {
                    s = append(f->out, LDM_STEP_COPY, n);
                    s->x = n->in[j];
                    s->channel = offset;
                }
                offset += g->values[n->in[j]].c;
            }
            continue;
        }
        next = n->op == LDM_OP_UPSAMPLE ? sole_reader(f, n->out, LDM_OP_CONV) : NULL;
        if (next && next->stride == 1)
            continue; /* the convolution reads through it */
        if (n->op == LDM_OP_CONV)
            hoist_vector(f, n);
        s = append(f->out, kind_of(n->op), n);
        if (s->kind == LDM_STEP_CONV) {
            int p = f->producer[s->x];

            if (p >= 0 && g->nodes[p].op == LDM_OP_UPSAMPLE && f->readers[s->x] == 1 &&
                n->op == LDM_OP_CONV && n->stride == 1) {
                s->upsample = true;
                s->x = g->nodes[p].in[0];
            }
            fuse_conv(f, s, n);
        } else if (s->kind == LDM_STEP_NORM) {
            fuse_norm(f, s, n);
        } else if (s->kind == LDM_STEP_ACTIVATE || s->kind == LDM_STEP_GEGLU) {
            s->activation = activation_of(n->op);
        } else if (s->kind == LDM_STEP_ADD) {
            s->residual = n->in[1];
        } else if (s->kind == LDM_STEP_ADD_VECTOR) {
            s->vector = n->in[1];
        } else if (s->kind == LDM_STEP_ATTENTION) {
            s->k = n->in[1];
            s->v = n->in[2];
        }
    }
    return LDM_OK;
}

ldm_status ldm_steps_create(const ldm_graph *g, ldm_steps *out, ldm_error *err)
{
    size_t values = (size_t)g->value_count, nodes = (size_t)g->node_count;
    fuser f = {.g = g, .out = out};
    ldm_status st = LDM_OK;
    int i;

    memset(out, 0, sizeof *out);
    f.producer = ldm_calloc(values, sizeof *f.producer);
    f.readers = ldm_calloc(values, sizeof *f.readers);
    f.reader = ldm_calloc(values, sizeof *f.reader);
    f.absorbed = ldm_calloc(nodes, sizeof *f.absorbed);
    out->steps = ldm_calloc(2 * nodes, sizeof *out->steps);
    out->places = ldm_calloc(values, sizeof *out->places);
    out->moments = ldm_calloc(values, sizeof *out->moments);
    out->buffers =
        ldm_calloc(3 * values, sizeof *out->buffers); /* of a value, its moments, its norm */
    if (!f.producer || !f.readers || !f.reader || !f.absorbed || !out->steps || !out->places ||
        !out->moments || !out->buffers)
        st = ldm_error_nomem(err, nodes * sizeof *out->steps, "a network's steps");
    if (!st) {
        for (i = 0; i < g->value_count; i++)
            out->places[i].buffer = out->moments[i].buffer = -1;
        count_readers(&f);
        place_concats(&f);
        st = fuse_nodes(&f, err);
    }
    /* Places for inputs and for what steps write, where no concat has given them one. */
    for (i = 0; !st && i < g->input_count; i++) {
        int v = g->inputs[i].value;

        if (out->places[v].buffer < 0)
            out->places[v].buffer = value_buffer(out, g, v);
    }
    for (i = 0; !st && i < out->count; i++) {
        int v = out->steps[i].y;

        if (out->places[v].buffer < 0)
            out->places[v].buffer = value_buffer(out, g, v);
    }
    ldm_free(f.producer);
    ldm_free(f.readers);
    ldm_free(f.reader);
    ldm_free(f.absorbed);
    if (st)
        ldm_steps_free(out);
    return st;
}

void ldm_steps_free(ldm_steps *s)
{
    ldm_free(s->steps);
    ldm_free(s->places);
    ldm_free(s->moments);
    ldm_free(s->buffers);
    memset(s, 0, sizeof *s);
}

static bool norm_reads(const ldm_steps *s, int value)
{
    int i;

    for (i = 0; i < s->count; i++) {
        const ldm_step *t = &s->steps[i];

        if (t->kind == LDM_STEP_NORM && (t->parts[0] == value || t->parts[1] == value))
            return true;
    }
    return false;
}

void ldm_steps_place_moments(const ldm_graph *g, ldm_steps *s, int i, const ldm_slabs *slabs)
{
    const int value = s->steps[i].y;
    const ldm_graph_value *v = &g->values[value];

    if (!slabs->h || value == g->feature || ldm_value_alone(v) || !norm_reads(s, value))
        return;
    s->moments[value].buffer = new_buffer(s, (int)ldm_slab_count(slabs, v->h, v->w), 1, 2 * v->c);
    s->moments[value].slabs = *slabs;
}

/* Whether the convolution of step s is the only node that reads `value`, and reads it once. */
static bool alone_reads(const ldm_graph *g, const ldm_step *s, int value)
{
    int i, k, readers = 0;

    for (i = 0; i < g->node_count; i++) {
        for (k = 0; k < 3; k++)
            readers += g->nodes[i].in[k] == value;
    }
    return readers == 1 && s->node->in[0] == value;
}

void ldm_steps_take_norm(const ldm_graph *g, ldm_steps *s, int i)
{
    const int value = s->steps[i].x;
    int k, maker = -1;

    if (value == g->output || value == g->feature || g->values[value].dump ||
        !alone_reads(g, &s->steps[i], value))
        return;
    for (k = 0; k < s->count; k++) {
        if (s->steps[k].y == value)
            maker = k;
    }
    if (maker < 0 || s->steps[maker].kind != LDM_STEP_NORM)
        return;
    s->steps[maker].affine = new_buffer(s, 1, 1, 2 * g->values[value].c);
    s->steps[i].norm = maker;
}

/* Whether a convolution of this plan can do what the step f does. */
static bool can_apply(const ldm_conv_plan *plan, const ldm_step *f)
{
    if (f->kind == LDM_STEP_GEGLU)
        return plan->gates;
    if (f->kind != LDM_STEP_ACTIVATE || f->activation == LDM_ACTIVATION_SILU)
        return false;
    return f->activation == LDM_ACTIVATION_RELU ? plan->rectifies : plan->activates;
}

void ldm_steps_take_activation(const ldm_graph *g, ldm_steps *s, int i, const ldm_conv_plan *plan)
{
    ldm_step *conv = &s->steps[i];
    const int value = conv->y;
    const ldm_step *f;
    int k;

    if (value == g->output || value == g->feature || g->values[value].dump || conv->residual >= 0)
        return;
    for (k = i + 1; k < s->count && s->steps[k].x != value; k++)
        ;
    f = &s->steps[k];
    if (k == s->count || !alone_reads(g, f, value) || !can_apply(plan, f))
        return;
    conv->activation = f->activation;
    conv->y = f->y;
    s->buffers[s->places[value].buffer] = (ldm_buffer){0, 0, 0, 0}; /* nothing is there */
    memmove(&s->steps[k], &s->steps[k + 1], (size_t)(s->count - k - 1) * sizeof *s->steps);
    s->count--;
}

unsigned ldm_value_alone(const ldm_graph_value *v)
{
    if (v->depends == LDM_DEPENDS_TIME)
        return LDM_DEPENDS_TIME;
    return v->depends & ~(unsigned)LDM_DEPENDS_COND ? 0 : LDM_DEPENDS_COND;
}

int ldm_steps_reads(const ldm_steps *s, int i, int values[LDM_STEP_READS])
{
    const ldm_step *t = &s->steps[i];
    const int all[LDM_STEP_READS] = {t->norm < 0 ? t->x : s->steps[t->norm].x, t->residual,
                                     t->vector, t->k, t->v};
    int k, n = 0;

    for (k = 0; k < LDM_STEP_READS; k++) {
        if (all[k] >= 0)
            values[n++] = all[k];
    }
    return n;
}

void ldm_step_conv_desc(const ldm_graph *g, const ldm_step *s, ldm_conv_desc *d)
{
    const ldm_graph_value *in = &g->values[s->x], *out = &g->values[s->y];
    const ldm_node *n = s->node;

    *d = (ldm_conv_desc){
        .cin = in->c,
        .cout = s->activation == LDM_ACTIVATION_GEGLU ? 2 * out->c : out->c,
        .kernel_h = n->kernel_h,
        .kernel_w = n->kernel_w,
        .stride = n->stride,
        .pad_top = n->pad_top,
        .pad_left = n->pad_left,
        .upsample = s->upsample,
        .in_h = in->h,
        .in_w = in->w,
        .out_h = out->h,
        .out_w = out->w,
    };
}
