/* The description: reading parameters, listing state_dict(), making graphs. */
#include "network/network.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "network/builder.h"

const char *ldm_component_prefix(ldm_component c)
{
    static const char *const names[LDM_COMPONENT_COUNT] = {
        [LDM_COMPONENT_SCHEDULE] = "schedule",
        [LDM_COMPONENT_UNET] = "model.diffusion_model",
        [LDM_COMPONENT_EMA] = "model_ema",
        [LDM_COMPONENT_FIRST_STAGE] = "first_stage_model",
        [LDM_COMPONENT_COND_STAGE] = "cond_stage_model",
    };

    return names[c];
}

const char *ldm_op_name(ldm_op op)
{
    static const char *const names[] = {
        [LDM_OP_CONV] = "conv",
        [LDM_OP_LINEAR] = "linear",
        [LDM_OP_NORM] = "norm",
        [LDM_OP_SILU] = "silu",
        [LDM_OP_TANH] = "tanh",
        [LDM_OP_ADD] = "add",
        [LDM_OP_ADD_VECTOR] = "add_vector",
        [LDM_OP_SCALE_SHIFT] = "scale_shift",
        [LDM_OP_CONCAT] = "concat",
        [LDM_OP_UPSAMPLE] = "upsample",
        [LDM_OP_AVG_POOL] = "avg_pool",
        [LDM_OP_ATTENTION] = "attention",
        [LDM_OP_TIMESTEP_EMBED] = "timestep_embed",
        [LDM_OP_QUANTIZE] = "quantize",
        [LDM_OP_QUANTIZE_INDEX] = "quantize_index",
    };

    return names[op];
}

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

/* ---- tensors --------------------------------------------------------------------------------- */

static uint64_t hash_name(const char *s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
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

const ldm_setting *ldm_network_setting(const ldm_network *s, const char *path)
{
    static const char prefix[] = "model.params.";
    size_t i;

    for (i = 0; i < s->setting_count; i++) {
        const char *p = s->settings[i].path;

        if (strncmp(p, prefix, sizeof prefix - 1) == 0 && strcmp(p + sizeof prefix - 1, path) == 0)
            return &s->settings[i];
    }
    return NULL;
}

static void add_plain(ldm_builder *b, const char *name, int ndim, int64_t size)
{
    ldm_tensor_decl t = {
        .name = name, .ndim = ndim, .numel = 1, .ema = -1, .component = b->component};

    if (b->st)
        return;
    if (ndim) {
        t.shape[0] = size;
        t.numel = (uint64_t)size;
    }
    if (ldm_network_add(b->network, &t) < 0)
        b->st = ldm_error_nomem(b->err, 0, "the network's description");
}

/* register_schedule, and scale_factor with scale_by_std (ldm/models/diffusion/ddpm.py). */
static void declare_schedule(ldm_builder *b)
{
    const ldm_diffusion_config *d = &b->network->diffusion;
    size_t i;

    b->component = LDM_COMPONENT_SCHEDULE;
    if (d->learn_logvar)
        add_plain(b, "logvar", 1, d->timesteps);
    for (i = 0; i < LDM_SCHEDULE_BUFFERS; i++)
        add_plain(b, ldm_schedule_buffers[i], 1, d->timesteps);
    if (d->scale_by_std)
        add_plain(b, "scale_factor", 0, 1);
}

/* LitEma (ldm/modules/ema.py): a shadow of each UNet parameter, its name inside `model` without
 * dots. */
static void declare_ema(ldm_builder *b, int first, int end)
{
    static const char drop[] = "model.", prefix[] = "model_ema.";
    ldm_arena *arena = b->network->priv->arena;
    int i, shadow;

    b->component = LDM_COMPONENT_EMA;
    add_plain(b, "model_ema.decay", 0, 1);
    add_plain(b, "model_ema.num_updates", 0, 1);
    for (i = first; i < end && !b->st; i++) {
        ldm_tensor_decl t = b->network->tensors[i];
        const char *from = t.name + sizeof drop - 1;
        char *name = ldm_arena_alloc(arena, strlen(t.name) + sizeof prefix, 1), *to;

        if (!name) {
            b->st = ldm_error_nomem(b->err, 0, "the network's description");
            return;
        }
        memcpy(name, prefix, sizeof prefix - 1);
        for (to = name + sizeof prefix - 1; *from; from++) {
            if (*from != '.')
                *to++ = *from;
        }
        t.name = name;
        t.component = LDM_COMPONENT_EMA;
        t.used = 0;
        shadow = ldm_network_add(b->network, &t); /* may move the list */
        if (shadow < 0)
            b->st = ldm_error_nomem(b->err, 0, "the network's description");
        b->network->tensors[i].ema = shadow;
    }
}

static ldm_status declare_all(ldm_network *s, ldm_error *err)
{
    ldm_builder b = {.network = s, .err = err};
    int first, end, feature;

    declare_schedule(&b);
    first = s->tensor_count;
    ldm_build_unet(&b, &s->unet, 0, 0, false, &feature);
    end = s->tensor_count;
    if (s->diffusion.use_ema)
        declare_ema(&b, first, end);
    b.component = LDM_COMPONENT_FIRST_STAGE;
    ldm_declare_vq(&b, &s->vq);
    if (s->diffusion.cond_stage == LDM_COND_STAGE_FIRST_STAGE) {
        b.component = LDM_COMPONENT_COND_STAGE;
        ldm_declare_vq(&b, &s->vq);
    }
    return b.st;
}

ldm_status ldm_network_create(const ldm_config *cfg, ldm_network **out, ldm_error *err)
{
    ldm_network *s = ldm_calloc(1, sizeof *s);
    ldm_status st;

    *out = NULL;
    if (!s)
        return ldm_error_nomem(err, sizeof *s, "the network's description");
    s->priv = ldm_calloc(1, sizeof *s->priv);
    if (s->priv)
        s->priv->arena = ldm_arena_create(0);
    if (!s->priv || !s->priv->arena) {
        ldm_network_free(s);
        return ldm_error_nomem(err, sizeof *s->priv, "the network's description");
    }
    st = ldm_network_read_params(s, cfg, err);
    if (!st) {
        s->downsample = 1 << (s->vq.ch_mult.count - 1);
        st = declare_all(s, err);
    }
    if (st) {
        ldm_network_free(s);
        return st;
    }
    *out = s;
    return LDM_OK;
}

void ldm_network_free(ldm_network *s)
{
    if (!s)
        return;
    if (s->priv) {
        ldm_arena_free(s->priv->arena);
        ldm_free(s->priv->buckets);
    }
    ldm_free(s->priv);
    ldm_free(s->settings);
    ldm_free(s->unknown);
    ldm_free(s->tensors);
    ldm_free(s);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static bool is_unet(ldm_graph_part part)
{
    return part == LDM_GRAPH_UNET || part == LDM_GRAPH_UNET_SHALLOW;
}

static ldm_status check_size(const ldm_network *s, ldm_graph_part part, int h, int w,
                             ldm_error *err)
{
    const char *what = part == LDM_GRAPH_ENCODE ? "picture" : "latent";
    int multiple = 1, limit = part == LDM_GRAPH_ENCODE ? 1 << 15 : 1 << 12;

    /* The original builds such an encoder and fails when it is used; sampling needs none. */
    if (part == LDM_GRAPH_ENCODE && s->vq.double_z)
        return ldm_error_set(err, LDM_ERR_CONFIG,
                             "ddconfig.double_z is true (its default): the encoder gives twice the "
                             "z_channels that quant_conv takes, so this first stage cannot encode");
    if (is_unet(part))
        multiple = 1 << (s->unet.channel_mult.count - 1);
    else if (part == LDM_GRAPH_ENCODE)
        multiple = s->downsample;
    if (h < 1 || w < 1 || h > limit || w > limit)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s of %d x %d pixels: expected 1 to %d a side",
                             what, h, w, limit);
    if (h % multiple || w % multiple)
        return ldm_error_set(
            err, LDM_ERR_USAGE,
            "%s of %d x %d pixels: this network halves it %d times, so both sides "
            "must be multiples of %d",
            what, h, w, is_unet(part) ? s->unet.channel_mult.count - 1 : s->vq.ch_mult.count - 1,
            multiple);
    return LDM_OK;
}

static const ldm_input PICTURE = {.name = "x", .depends = LDM_DEPENDS_X};

static int build_unet(ldm_builder *b, bool shallow, int h, int w, ldm_graph *g)
{
    const ldm_unet_config *u = &b->network->unet;
    const ldm_input time = {.name = "t", .depends = LDM_DEPENDS_TIME};
    int x = ldm_b_input(b, PICTURE, u->in_channels, h, w), t = ldm_b_input(b, time, 1, 1, 1);
    int feature, out = ldm_build_unet(b, u, x, t, shallow, &feature);

    if (!shallow)
        g->feature = feature;
    return out;
}

static int build(ldm_builder *b, ldm_graph_part part, int h, int w, ldm_graph *g)
{
    const ldm_network *s = b->network;

    g->feature = -1;
    switch (part) {
    case LDM_GRAPH_UNET:
    case LDM_GRAPH_UNET_SHALLOW:
        return build_unet(b, part == LDM_GRAPH_UNET_SHALLOW, h, w, g);
    case LDM_GRAPH_ENCODE:
        return ldm_build_vq_encoder(b, &s->vq, ldm_b_input(b, PICTURE, s->vq.in_channels, h, w));
    case LDM_GRAPH_DECODE:
        return ldm_build_vq_decoder(b, &s->vq, ldm_b_input(b, PICTURE, s->vq.embed_dim, h, w));
    case LDM_GRAPH_QUANTIZE:
    case LDM_GRAPH_INDICES:
        break;
    }
    return ldm_build_vq_quantize(b, &s->vq, ldm_b_input(b, PICTURE, s->vq.embed_dim, h, w),
                                 part == LDM_GRAPH_INDICES);
}

ldm_status ldm_graph_create(const ldm_network *s, ldm_graph_part part, int h, int w,
                            ldm_graph **out, ldm_error *err)
{
    /* A graph only looks tensors up: the network stays as it is. */
    ldm_builder b = {.network = (ldm_network *)(uintptr_t)s, .err = err};
    ldm_graph *g;
    ldm_status st;

    *out = NULL;
    st = check_size(s, part, h, w, err);
    if (st)
        return st;
    g = ldm_calloc(1, sizeof *g);
    if (!g)
        return ldm_error_nomem(err, sizeof *g, "a graph");
    g->arena = ldm_arena_create(0);
    if (!g->arena) {
        ldm_graph_free(g);
        return ldm_error_nomem(err, 0, "a graph");
    }
    b.graph = g;
    g->output = build(&b, part, h, w, g);
    if (b.st) {
        ldm_graph_free(g);
        return b.st;
    }
    *out = g;
    return LDM_OK;
}

void ldm_graph_free(ldm_graph *g)
{
    if (!g)
        return;
    ldm_arena_free(g->arena);
    ldm_free(g->nodes);
    ldm_free(g->values);
    ldm_free(g);
}

int ldm_graph_input(const ldm_graph *g, const char *name)
{
    int i;

    for (i = 0; i < g->input_count; i++) {
        if (!strcmp(g->inputs[i].name, name))
            return g->inputs[i].value;
    }
    return -1;
}
