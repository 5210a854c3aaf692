/* SPDX-License-Identifier: MIT */
/* Weights of one part. Those that the backend uses unchanged stay in the checkpoint's mapping, if
 * the source can lend them. The others are packed into one block, whose layout follows from the
 * fused steps. Packing runs in parallel, the largest tensors first, so that the threads end
 * together. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "exec/steps.h"

enum { ALIGN_FLOATS = 16 };

typedef struct layout {
    size_t floats;
    bool overflow;
} layout;

static size_t take(layout *l, size_t floats)
{
    size_t at = l->floats, rounded;

    if (ldm_add_size(floats, ALIGN_FLOATS - 1, &rounded) ||
        ldm_add_size(l->floats, rounded / ALIGN_FLOATS * ALIGN_FLOATS, &l->floats) ||
        l->floats > SIZE_MAX / sizeof(float))
        l->overflow = true;
    return at;
}

static size_t element_bytes(const ldm_lent *l)
{
    return l->half ? sizeof(uint16_t) : sizeof(float);
}

static ldm_status plan_slots(const ldm_network *network, const ldm_graph *g, const ldm_steps *steps,
                             const ldm_backend *backend, ldm_precision precision,
                             const ldm_weight_source *src, ldm_weights *w, ldm_error *err)
{
    layout l = {0};
    ldm_status st;
    int i;

    for (i = 0; i < steps->count; i++) {
        const ldm_step *s = &steps->steps[i];
        const ldm_graph_value *in = &g->values[s->x];
        ldm_slot *slot = &w->slots[i];
        ldm_conv_desc d;

        slot->weight = s->weight;
        slot->bias_tensor = s->bias;
        slot->extra_bias = s->extra_bias;
        switch (s->kind) {
        case LDM_STEP_CONV:
            ldm_step_conv_desc(g, s, &d);
            st = backend->conv_plan(backend, &d, precision, -1, 1, &slot->plan, err);
            if (st)
                return ldm_error_wrap(err, st, "%s", s->node->name);
            if (slot->plan.as_is && src && src->lend)
                slot->lent = src->lend(src->ctx, s->weight);
            if (slot->lent.data)
                w->lent_bytes += slot->plan.packed_floats * element_bytes(&slot->lent);
            else
                slot->packed = take(&l, slot->plan.packed_floats);
            slot->has_bias = s->bias >= 0 || s->extra_bias >= 0;
            if (slot->has_bias)
                slot->bias = take(&l, (size_t)g->values[s->y].c);
            break;
        case LDM_STEP_NORM:
        case LDM_STEP_LAYER_NORM:
            slot->gamma = take(&l, (size_t)in->c);
            slot->beta = take(&l, (size_t)in->c);
            break;
        case LDM_STEP_EMBEDDING:
            slot->entries = (int)network->tensors[s->weight].shape[0];
            if (src && src->lend)
                slot->lent = src->lend(src->ctx, s->weight);
            if (slot->lent.data)
                w->lent_bytes += network->tensors[s->weight].numel * element_bytes(&slot->lent);
            else
                slot->packed = take(&l, (size_t)network->tensors[s->weight].numel);
            slot->has_bias = s->bias >= 0;
            if (slot->has_bias)
                slot->bias = take(&l, (size_t)network->tensors[s->bias].numel);
            break;
        case LDM_STEP_QUANTIZE:
        case LDM_STEP_INDEX:
            slot->packed = take(&l, (size_t)network->tensors[s->weight].numel);
            slot->entries = (int)network->tensors[s->weight].shape[0];
            break;
        default:
            break;
        }
    }
    if (l.overflow)
        return ldm_error_set(err, LDM_ERR_LIMIT, "the network's weights are too large");
    w->floats = l.floats;
    return LDM_OK;
}

/* ---- filling --------------------------------------------------------------------------------- */

typedef struct fill_job {
    const ldm_network *network;
    const ldm_steps *steps;
    const ldm_backend *backend;
    const ldm_weight_source *src;
    ldm_weights *w;
    int *order; /* steps that have weights, largest first */
    atomic_int failed;
    ldm_error *errors; /* one a worker, so that none is written twice at a time */
    ldm_status *statuses;
} fill_job;

static ldm_status copy_vector(const fill_job *j, int tensor, float *dst, bool add, ldm_error *err)
{
    size_t i, n = (size_t)j->network->tensors[tensor].numel;
    const float *data;
    float *owned;
    ldm_status st = j->src->read(j->src->ctx, tensor, &data, &owned, err);

    if (st)
        return st;
    if (add) {
        for (i = 0; i < n; i++)
            dst[i] += data[i];
    } else {
        memcpy(dst, data, n * sizeof *dst);
    }
    j->src->done(j->src->ctx, tensor, owned);
    return LDM_OK;
}

/* Reads a page of the mapping from the disk, if need be, and maps it now, so that no step waits for
 * it. */
static void touch(const void *p, size_t bytes)
{
    const volatile char *at = p;
    size_t i;

    for (i = 0; i < bytes; i += LDM_SMALL_PAGE)
        (void)at[i];
    (void)at[bytes - 1];
}

static ldm_status fill_conv(const fill_job *j, const ldm_step *s, const ldm_slot *slot,
                            ldm_error *err)
{
    float *block = j->w->block;
    const float *data;
    float *owned;
    ldm_status st = LDM_OK;
    int task;

    if (slot->lent.data) {
        touch(slot->lent.data, slot->plan.packed_floats * element_bytes(&slot->lent));
    } else {
        st = j->src->read(j->src->ctx, s->weight, &data, &owned, err);
        if (st)
            return st;
        for (task = 0; task < slot->plan.pack_tasks; task++)
            j->backend->conv_pack(j->backend, &slot->plan, data, block + slot->packed, task);
        j->src->done(j->src->ctx, s->weight, owned);
    }
    if (s->bias >= 0)
        st = copy_vector(j, s->bias, block + slot->bias, false, err);
    if (!st && s->extra_bias >= 0)
        st = copy_vector(j, s->extra_bias, block + slot->bias, s->bias >= 0, err);
    return st;
}

static void fill(void *arg, size_t index, int worker)
{
    fill_job *j = arg;
    const ldm_step *s = &j->steps->steps[j->order[index]];
    const ldm_slot *slot = &j->w->slots[j->order[index]];
    ldm_error *err = &j->errors[worker];
    ldm_status st;

    if (atomic_load(&j->failed))
        return;
    if (s->kind == LDM_STEP_CONV) {
        st = fill_conv(j, s, slot, err);
    } else if (s->kind == LDM_STEP_NORM || s->kind == LDM_STEP_LAYER_NORM) {
        st = copy_vector(j, s->weight, j->w->block + slot->gamma, false, err);
        if (!st)
            st = copy_vector(j, s->bias, j->w->block + slot->beta, false, err);
    } else {
        st = slot->lent.data ? LDM_OK
                             : copy_vector(j, s->weight, j->w->block + slot->packed, false, err);
        if (!st && slot->has_bias)
            st = copy_vector(j, s->bias, j->w->block + slot->bias, false, err);
    }
    if (st) {
        j->statuses[worker] = st;
        atomic_store(&j->failed, 1);
    }
}

typedef struct sized {
    int step;
    uint64_t numel;
} sized;

static int by_numel(const void *a, const void *b)
{
    const sized *x = a, *y = b;

    if (x->numel != y->numel)
        return x->numel < y->numel ? 1 : -1;
    return x->step - y->step;
}

static int order_steps(const ldm_network *network, const ldm_steps *steps, int *order, sized *tmp)
{
    int i, n = 0;

    for (i = 0; i < steps->count; i++) {
        if (steps->steps[i].weight >= 0) {
            tmp[n].step = i;
            tmp[n++].numel = network->tensors[steps->steps[i].weight].numel;
        }
    }
    qsort(tmp, (size_t)n, sizeof *tmp, by_numel);
    for (i = 0; i < n; i++)
        order[i] = tmp[i].step;
    return n;
}

static ldm_status fill_all(fill_job *j, ldm_pool *pool, ldm_error *err)
{
    int threads = ldm_pool_threads(pool), i, n;
    size_t count = (size_t)j->steps->count;
    sized *tmp = ldm_calloc(count, sizeof *tmp);
    ldm_status st = LDM_OK;

    j->order = ldm_calloc(count, sizeof *j->order);
    j->errors = ldm_calloc((size_t)threads, sizeof *j->errors);
    j->statuses = ldm_calloc((size_t)threads, sizeof *j->statuses);
    if (!tmp || !j->order || !j->errors || !j->statuses) {
        st = ldm_error_nomem(err, count * sizeof *tmp, "the list of weights");
    } else {
        n = order_steps(j->network, j->steps, j->order, tmp);
        ldm_pool_run(pool, (size_t)n, fill, j);
        for (i = 0; i < threads && !st; i++) {
            st = j->statuses[i];
            if (st && err)
                *err = j->errors[i];
        }
    }
    ldm_free(tmp);
    ldm_free(j->order);
    ldm_free(j->errors);
    ldm_free(j->statuses);
    return st;
}

/* Chooses algorithms and lays the block out, without allocating it. */
static ldm_status plan_weights(const ldm_network *network, const ldm_graph *g,
                               const ldm_steps *steps, const ldm_backend *backend,
                               ldm_precision precision, const ldm_weight_source *src,
                               ldm_weights **out, ldm_error *err)
{
    ldm_weights *w = ldm_calloc(1, sizeof *w);
    ldm_status st;

    *out = NULL;
    if (!w)
        return ldm_error_nomem(err, sizeof *w, "the weights");
    w->count = steps->count;
    w->slots = ldm_calloc((size_t)steps->count, sizeof *w->slots);
    if (w->slots)
        st = plan_slots(network, g, steps, backend, precision, src, w, err);
    else
        st = ldm_error_nomem(err, (size_t)steps->count * sizeof *w->slots, "the weights");
    if (st)
        ldm_weights_free(w);
    else
        *out = w;
    return st;
}

ldm_status ldm_weights_plan(const ldm_network *network, const ldm_graph *g,
                            const ldm_backend *backend, ldm_precision precision,
                            const ldm_weight_source *src, ldm_weights **out, ldm_error *err)
{
    ldm_steps steps;
    ldm_status st = ldm_steps_create(g, &steps, err);

    *out = NULL;
    if (st)
        return st;
    st = plan_weights(network, g, &steps, backend, precision, src, out, err);
    ldm_steps_free(&steps);
    return st;
}

ldm_status ldm_weights_create(const ldm_network *network, const ldm_graph *g,
                              const ldm_backend *backend, ldm_precision precision,
                              const ldm_weight_source *src, ldm_pool *pool, ldm_weights **out,
                              ldm_error *err)
{
    fill_job job = {.network = network, .backend = backend, .src = src};
    ldm_weights *w = NULL;
    ldm_steps steps;
    ldm_status st;

    *out = NULL;
    st = ldm_steps_create(g, &steps, err);
    if (st)
        return st;
    st = plan_weights(network, g, &steps, backend, precision, src, &w, err);
    if (!st && w->floats) {
        w->block = ldm_pages_alloc(w->floats * sizeof *w->block);
        if (!w->block)
            st = ldm_error_nomem(err, w->floats * sizeof *w->block, "the packed weights");
    }
    if (!st) {
        job.steps = &steps;
        job.w = w;
        st = fill_all(&job, pool, err);
    }
    ldm_steps_free(&steps);
    if (st)
        ldm_weights_free(w);
    else
        *out = w;
    return st;
}

void ldm_weights_free(ldm_weights *w)
{
    if (!w)
        return;
    ldm_pages_free(w->block, w->floats * sizeof *w->block);
    ldm_free(w->slots);
    ldm_free(w);
}

uint64_t ldm_weights_bytes(const ldm_weights *w)
{
    return w->floats * sizeof *w->block + w->lent_bytes;
}
