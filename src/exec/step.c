/* SPDX-License-Identifier: MIT */
/* One step of a program: where its values are, and the call of the backend that it stands for. */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "exec/program.h"

ldm_view ldm_frame_view(const ldm_frame *f, int value)
{
    const ldm_program *p = f->program;
    const ldm_graph_value *v = &p->graph->values[value];
    const ldm_keeping *k = &p->keeping[value];
    const ldm_place *place = &p->steps.places[value];
    ldm_view view = {.n = p->n, .h = v->h, .w = v->w, .c = v->c};

    if (f->filling && k->alone == LDM_DEPENDS_TIME)
        return ldm_kept_view(p, f->filling, value, 0, f->filling->count);
    if (f->cond.kept && k->alone == LDM_DEPENDS_COND && k->stored)
        return ldm_kept_view(p, f->cond.kept, value, f->cond.row, p->n);
    view.pitch = (size_t)p->steps.buffers[place->buffer].c;
    if (f->arena)
        view.data = f->arena + p->plan.offsets[place->buffer] + place->offset;
    return view;
}

ldm_view ldm_frame_vector(const ldm_frame *f, int value)
{
    ldm_view view;

    if (!f->time.kept || f->program->keeping[value].alone != LDM_DEPENDS_TIME)
        return ldm_frame_view(f, value);
    view = ldm_kept_view(f->program, f->time.kept, value, f->time.row, f->program->n);
    view.pitch = 0;
    return view;
}

/* NULL for buffer -1, too. */
static float *buffer_of(const ldm_frame *f, int buffer)
{
    return f->arena && buffer >= 0 ? f->arena + f->program->plan.offsets[buffer] : NULL;
}

static float *moments_of(const ldm_frame *f, int value)
{
    return buffer_of(f, f->program->steps.moments[value].buffer);
}

ldm_norm_args ldm_frame_norm(const ldm_frame *f, const ldm_step *s)
{
    ldm_norm_args a = {
        .x = ldm_frame_view(f, s->x),
        .y = ldm_frame_view(f, s->y),
        .groups = s->node->groups,
        .eps = (float)s->node->eps,
        .silu = s->silu,
        .affine = buffer_of(f, s->affine),
    };
    int i;

    for (i = 0; i < 2 && s->parts[i] >= 0; i++) {
        a.known[i] = (ldm_moments){
            .data = moments_of(f, s->parts[i]),
            .slabs = f->program->steps.moments[s->parts[i]].slabs,
            .c = f->program->graph->values[s->parts[i]].c,
        };
    }
    if (s->vector >= 0) {
        ldm_view v = ldm_frame_vector(f, s->vector);

        a.scale = v.data;
        a.shift = v.data ? v.data + a.x.c : NULL;
        a.scale_stride = v.pitch;
    }
    return a;
}

ldm_attention_args ldm_frame_attention(const ldm_frame *f, const ldm_step *s)
{
    const ldm_node *n = s->node;
    ldm_attention_args a = {
        .q = ldm_frame_view(f, s->x),
        .y = ldm_frame_view(f, s->y),
        .heads = n->heads,
        .head_dim = n->head_dim,
        .head_stride = (size_t)n->head_dim,
        .scale = (float)(1.0 / sqrt((double)n->head_dim)),
        .causal = n->causal,
        .precision = f->program->precision,
    };
    size_t k_off = (size_t)a.y.c, v_off = 2 * (size_t)a.y.c;

    if (s->k >= 0) {
        a.k = ldm_frame_view(f, s->k);
        a.v = ldm_frame_view(f, s->v);
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

/* A number that is no row's becomes the nearest row's; the caller checks what users give. */
static size_t row_number(float id, int entries)
{
    if (!(id > 0))
        return 0;
    return id < (float)entries ? (size_t)id : (size_t)entries - 1;
}

static void embed_rows(const ldm_slot *slot, const float *block, const ldm_view *ids,
                       const ldm_view *y)
{
    const void *table = slot->lent.data ? slot->lent.data : block + slot->packed;
    const size_t pixels = (size_t)y->h * (size_t)y->w, c = (size_t)y->c;
    size_t i, k;

    for (i = 0; i < (size_t)y->n * pixels; i++) {
        const size_t row = row_number(ids->data[i * ids->pitch], slot->entries) * c;
        float *out = y->data + i * y->pitch;

        if (!slot->lent.half)
            memcpy(out, (const float *)table + row, c * sizeof *out);
        for (k = 0; slot->lent.half && k < c; k++)
            out[k] = ldm_half_to_float(((const uint16_t *)table)[row + k]);
        if (slot->has_bias) {
            for (k = 0; k < c; k++)
                out[k] += block[slot->bias + i % pixels * c + k];
        }
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

static void pool_view(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_node *n,
                      const ldm_view *x, const ldm_view *y)
{
    const ldm_pool_desc d = {
        .mean = n->op == LDM_OP_AVG_POOL,
        .kernel_h = n->kernel_h,
        .kernel_w = n->kernel_w,
        .stride = n->stride,
        .pad = n->pad_top,
    };

    b->pool(b, ctx, &d, x, y);
}

static void run_conv(const ldm_frame *f, const ldm_exec_ctx *ctx, int i, const ldm_view *x,
                     const ldm_view *y)
{
    const ldm_program *p = f->program;
    const ldm_step *s = &p->steps.steps[i];
    const ldm_slot *slot = &p->weights->slots[p->slots[i]];
    ldm_conv_args a = {
        .x = *x,
        .y = *y,
        .packed = slot->lent.data ? slot->lent.data : p->weights->block + slot->packed,
        .half = slot->lent.half,
        .activation = s->activation,
        .moments = moments_of(f, s->y),
    };

    if (s->vector >= 0) {
        ldm_view v = ldm_frame_vector(f, s->vector);

        a.bias = v.data;
        a.bias_stride = v.pitch;
    } else if (slot->has_bias) {
        a.bias = p->weights->block + slot->bias;
    }
    if (s->residual >= 0)
        a.residual = ldm_frame_view(f, s->residual);
    if (s->norm >= 0) {
        const ldm_step *norm = &p->steps.steps[s->norm];

        a.x = ldm_frame_view(f, norm->x);
        a.affine = buffer_of(f, norm->affine);
        a.silu = norm->silu;
    }
    p->backend->conv(p->backend, ctx, &p->convs[i], &a);
}

void ldm_frame_run(const ldm_frame *f, const ldm_exec_ctx *ctx, int i)
{
    const ldm_program *p = f->program;
    const ldm_step *s = &p->steps.steps[i];
    const ldm_slot *slot = p->slots[i] < 0 ? NULL : &p->weights->slots[p->slots[i]];
    const ldm_backend *b = p->backend;
    const float *block = p->weights->block;
    ldm_view x = ldm_frame_view(f, s->x), y = ldm_frame_view(f, s->y), r;
    ldm_norm_args norm;
    ldm_attention_args attention;

    switch (s->kind) {
    case LDM_STEP_CONV:
        run_conv(f, ctx, i, &x, &y);
        break;
    case LDM_STEP_NORM:
        norm = ldm_frame_norm(f, s);
        norm.gamma = block + slot->gamma;
        norm.beta = block + slot->beta;
        b->norm(b, ctx, &norm);
        break;
    case LDM_STEP_LAYER_NORM:
        b->layer_norm(b, ctx, &x, block + slot->gamma, block + slot->beta, (float)s->node->eps, &y);
        break;
    case LDM_STEP_ACTIVATE:
        b->activate(b, ctx, s->activation, &x, &y);
        break;
    case LDM_STEP_GEGLU:
        b->geglu(b, ctx, &x, &y);
        break;
    case LDM_STEP_TANH:
        tanh_view(&x, &y);
        break;
    case LDM_STEP_ADD:
        r = ldm_frame_view(f, s->residual);
        b->add(b, ctx, &x, &r, &y);
        break;
    case LDM_STEP_ADD_VECTOR:
        r = ldm_frame_vector(f, s->vector);
        b->add_vector(b, ctx, &x, r.data, r.pitch, &y);
        break;
    case LDM_STEP_COPY:
        y.data += s->channel; /* the part of a concat that was not written in place */
        y.c = x.c;
        b->copy(b, ctx, &x, &y);
        break;
    case LDM_STEP_UPSAMPLE:
        b->upsample2(b, ctx, &x, &y);
        break;
    case LDM_STEP_POOL:
        pool_view(b, ctx, s->node, &x, &y);
        break;
    case LDM_STEP_ATTENTION:
        attention = ldm_frame_attention(f, s);
        b->attention(b, ctx, &attention);
        break;
    case LDM_STEP_EMBED:
        embed(&x, &y);
        break;
    case LDM_STEP_EMBEDDING:
        embed_rows(slot, block, &x, &y);
        break;
    case LDM_STEP_QUANTIZE:
    case LDM_STEP_INDEX:
        quantize(p, ctx, s, &x, &y, block + slot->packed, slot->entries);
        break;
    }
}
