/* SPDX-License-Identifier: MIT */
/* The lists of a description: tensors found by name, parameters, conditioners; and the names of
 * kinds. */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "network/builder.h"

const char *const ldm_schedule_buffers[LDM_SCHEDULE_BUFFERS] = {
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
};

const char *ldm_component_prefix(ldm_component c)
{
    static const char *const names[LDM_COMPONENT_COUNT] = {
        [LDM_COMPONENT_SCHEDULE] = "schedule",
        [LDM_COMPONENT_UNET] = "model.diffusion_model",
        [LDM_COMPONENT_EMA] = "model_ema",
        [LDM_COMPONENT_FIRST_STAGE] = "first_stage_model",
        [LDM_COMPONENT_COND_STAGE] = "cond_stage_model",
        [LDM_COMPONENT_LOW_SCALE] = "low_scale_model",
    };

    return names[c];
}

const char *ldm_op_name(ldm_op op)
{
    static const char *const names[] = {
        [LDM_OP_CONV] = "conv",
        [LDM_OP_LINEAR] = "linear",
        [LDM_OP_NORM] = "norm",
        [LDM_OP_LAYER_NORM] = "layer_norm",
        [LDM_OP_RELU] = "relu",
        [LDM_OP_SILU] = "silu",
        [LDM_OP_GELU] = "gelu",
        [LDM_OP_QUICK_GELU] = "quick_gelu",
        [LDM_OP_GEGLU] = "geglu",
        [LDM_OP_TANH] = "tanh",
        [LDM_OP_ADD] = "add",
        [LDM_OP_ADD_VECTOR] = "add_vector",
        [LDM_OP_SCALE_SHIFT] = "scale_shift",
        [LDM_OP_CONCAT] = "concat",
        [LDM_OP_UPSAMPLE] = "upsample",
        [LDM_OP_AVG_POOL] = "avg_pool",
        [LDM_OP_MAX_POOL] = "max_pool",
        [LDM_OP_ATTENTION] = "attention",
        [LDM_OP_TIMESTEP_EMBED] = "timestep_embed",
        [LDM_OP_EMBEDDING] = "embedding",
        [LDM_OP_QUANTIZE] = "quantize",
        [LDM_OP_QUANTIZE_INDEX] = "quantize_index",
    };

    return names[op];
}

static uint64_t hash_name(const char *s)
{
    return ldm_hash64(LDM_HASH64_START, s, strlen(s));
}

static void insert(ldm_network *s, int number)
{
    struct ldm_network_private *p = s->priv;
    size_t i = (size_t)hash_name(s->tensors[number].name) & (p->bucket_count - 1);

    while (p->buckets[i] >= 0)
        i = (i + 1) & (p->bucket_count - 1);
    p->buckets[i] = number;
}

static bool rehash(ldm_network *s)
{
    struct ldm_network_private *p = s->priv;
    size_t count = p->bucket_count ? 2 * p->bucket_count : 1024;
    int *buckets = ldm_reallocarray(NULL, count, sizeof *buckets);
    int i;

    if (!buckets)
        return false;
    memset(buckets, 0xff, count * sizeof *buckets); /* every entry -1 */
    ldm_free(p->buckets);
    p->buckets = buckets;
    p->bucket_count = count;
    for (i = 0; i < s->tensor_count; i++)
        insert(s, i);
    return true;
}

int ldm_network_add(ldm_network *s, const ldm_tensor_decl *t)
{
    struct ldm_network_private *p = s->priv;

    if (!ldm_grow(&s->tensors, &p->tensor_cap, (size_t)s->tensor_count + 1, sizeof *s->tensors))
        return -1;
    if (2 * ((size_t)s->tensor_count + 1) > p->bucket_count && !rehash(s))
        return -1;
    s->tensors[s->tensor_count] = *t;
    insert(s, s->tensor_count);
    return s->tensor_count++;
}

int ldm_network_find(const ldm_network *s, const char *name)
{
    const struct ldm_network_private *p = s->priv;
    size_t i;

    if (!p->bucket_count)
        return -1;
    for (i = (size_t)hash_name(name) & (p->bucket_count - 1); p->buckets[i] >= 0;
         i = (i + 1) & (p->bucket_count - 1)) {
        if (strcmp(s->tensors[p->buckets[i]].name, name) == 0)
            return p->buckets[i];
    }
    return -1;
}

const ldm_param *ldm_network_param(const ldm_network *s, const char *path)
{
    static const char prefix[] = "model.params.";
    size_t i;

    for (i = 0; i < s->param_count; i++) {
        const char *p = s->params[i].path;

        if (strncmp(p, prefix, sizeof prefix - 1) == 0 && strcmp(p + sizeof prefix - 1, path) == 0)
            return &s->params[i];
    }
    return NULL;
}

bool ldm_network_is_copy(const ldm_network *s, const char *name)
{
    int i;

    for (i = 0; i < s->conditioner_count; i++) {
        if (s->conditioners[i].is_first_stage)
            return strncmp(name, "cond_stage_model.", 17) == 0;
    }
    return false;
}
