/* SPDX-License-Identifier: MIT */
/* The checkpoint as a source of weights: EMA shadows in the place of the UNet's own tensors where
 * the run takes them, mapped floats handed out as they lie, everything else widened. What is
 * missing and may be (ldm.load.missing: init) starts as the constructor would have left it. */
#include <math.h>
#include <stdint.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "sample/rng.h"

static const ldm_tensor_info *info_of(const ldm_model *m, int tensor)
{
    const ldm_tensor_decl *t = &m->network->tensors[tensor];

    if (m->audit->effective.ema && t->ema >= 0)
        t = &m->network->tensors[t->ema];
    return ldm_ckpt_find(m->ckpt, t->name);
}

/* One generator a tensor, so that the values do not depend on the order of loading. */
static void initialise(const ldm_model *m, int tensor, float *data)
{
    const ldm_tensor_decl *t = &m->network->tensors[tensor];
    const uint64_t seed = m->profile.seed + 0x9e3779b97f4a7c15u * (uint64_t)(tensor + 1);
    size_t n = (size_t)t->numel, i;
    float bound = 0;
    ldm_rng rng;

    if (t->init == LDM_INIT_ONES || t->init == LDM_INIT_ZEROS) {
        for (i = 0; i < n; i++)
            data[i] = t->init == LDM_INIT_ONES ? 1.0f : 0.0f;
        return;
    }
    if (t->init == LDM_INIT_NORMAL) {
        ldm_rng_seed(&rng, seed);
        ldm_rng_randn(&rng, data, n);
        return;
    }
    if (t->init == LDM_INIT_CODEBOOK)
        bound = 1.0f / (float)t->shape[0];
    else
        bound = (float)(1.0 / sqrt((double)t->fan_in));
    ldm_rng_seed(&rng, seed);
    ldm_rng_rand(&rng, data, n);
    for (i = 0; i < n; i++)
        data[i] = bound * (2.0f * data[i] - 1.0f);
}

/* Its floats in the mapped file; NULL: they must be read. */
static const float *in_file(const ldm_model *m, const ldm_tensor_info *info)
{
    const void *raw = info->dtype == LDM_DTYPE_F32 ? ldm_ckpt_data(m->ckpt, info) : NULL;

    return (uintptr_t)raw % sizeof(float) ? NULL : raw;
}

static ldm_lent lend(void *ctx, int tensor)
{
    const ldm_model *m = ctx;
    const ldm_tensor_info *info = info_of(m, tensor);
    ldm_lent lent = {.data = NULL};

    if (!info || info->numel != m->network->tensors[tensor].numel)
        return lent;
    lent.half = info->dtype == LDM_DTYPE_F16;
    lent.data = lent.half ? ldm_ckpt_data(m->ckpt, info) : in_file(m, info);
    if (lent.half && (uintptr_t)lent.data % sizeof(uint16_t))
        lent.data = NULL;
    lent.half = lent.half && lent.data;
    return lent;
}

static ldm_status read_tensor(void *ctx, int tensor, const float **data, float **owned,
                              ldm_error *err)
{
    const ldm_model *m = ctx;
    const ldm_tensor_decl *t = &m->network->tensors[tensor];
    const ldm_tensor_info *info = info_of(m, tensor);
    ldm_status st;

    *owned = NULL;
    if (!info && m->profile.init_missing) {
        *owned = ldm_reallocarray(NULL, (size_t)t->numel, sizeof **owned);
        if (!*owned)
            return ldm_error_nomem(err, t->numel * sizeof **owned, t->name);
        initialise(m, tensor, *owned);
        *data = *owned;
        return LDM_OK;
    }
    if (!info || info->numel != t->numel)
        return ldm_error_set(err, LDM_ERR_MISMATCH, "%s: %s %s", ldm_ckpt_path(m->ckpt), t->name,
                             info ? "has another number of elements" : "is missing");
    *data = in_file(m, info);
    if (*data)
        return LDM_OK;
    *owned = ldm_reallocarray(NULL, (size_t)info->numel, sizeof **owned);
    if (!*owned)
        return ldm_error_nomem(err, info->numel * sizeof **owned, t->name);
    st = ldm_ckpt_read_f32(m->ckpt, info, *owned, err);
    if (st) {
        ldm_free(*owned);
        *owned = NULL;
        return st;
    }
    *data = *owned;
    return LDM_OK;
}

static void done(void *ctx, int tensor, float *owned)
{
    const ldm_model *m = ctx;
    const ldm_tensor_info *info = info_of(m, tensor);

    ldm_free(owned);
    if (info)
        ldm_ckpt_release(m->ckpt, info);
}

ldm_weight_source ldm_model_source(const ldm_model *m)
{
    /* The callbacks only read through it. */
    return (ldm_weight_source){(void *)(uintptr_t)m, read_tensor, done, lend};
}
