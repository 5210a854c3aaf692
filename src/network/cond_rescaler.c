/* SPDX-License-Identifier: MIT */
/* SpatialRescaler (ldm/modules/encoders/modules.py): halves the planes of a map of labels n_stages
 * times and mixes them by a 1x1 convolution. Halving is bilinear with align_corners false and
 * without antialiasing, which between 2x2 pixels is their mean. */
#include <stddef.h>
#include <string.h>

#include "network/registry.h"

typedef struct rescaler_config {
    int n_stages, in_channels, out_channels;
    const char *method;
    double multiplier;
    bool bias;
} rescaler_config;

static int rescale(ldm_builder *b, const rescaler_config *v, int x)
{
    int i;

    ldm_b_use(b, LDM_USED_COND);
    for (i = 0; i < v->n_stages; i++)
        x = ldm_b_unary(b, LDM_OP_AVG_POOL, x, v->in_channels);
    if (v->out_channels == -1)
        return x;
    if (v->bias)
        return ldm_b_conv(b, "channel_mapper", x, v->in_channels, v->out_channels, 1);
    return ldm_b_conv_unbiased(b, "channel_mapper", x, v->in_channels, v->out_channels, 1);
}

static void declare(ldm_builder *b, const void *config)
{
    rescale(b, config, 0);
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    const rescaler_config *v = config;

    (void)part;
    return rescale(b, v, ldm_b_input_x(b, v->in_channels, size.h, size.w));
}

#define V(field) offsetof(rescaler_config, field)
static const ldm_param_row rows[] = {
    {"n_stages", LDM_PARAM_INT, V(n_stages), LDM_EFFECT_SILENT, false},
    {"method", LDM_PARAM_STRING, V(method), LDM_EFFECT_SILENT, false},
    {"multiplier", LDM_PARAM_DOUBLE, V(multiplier), LDM_EFFECT_SILENT, false},
    {"in_channels", LDM_PARAM_INT, V(in_channels), LDM_EFFECT_SHAPE, false},
    {"out_channels", LDM_PARAM_INT, V(out_channels), LDM_EFFECT_SHAPE, false},
    {"bias", LDM_PARAM_BOOL, V(bias), LDM_EFFECT_SHAPE, false},
};
#undef V

static ldm_status validate(const rescaler_config *v, const ldm_value *at, ldm_error *err)
{
    if (v->n_stages < 0 || v->n_stages > 8)
        return ldm_params_bad(at, err, "n_stages", "0 to 8", v->n_stages);
    if (v->in_channels < 1 || v->in_channels > 4096)
        return ldm_params_bad(at, err, "in_channels", "1 to 4096", v->in_channels);
    if (v->out_channels != -1 && (v->out_channels < 1 || v->out_channels > 4096))
        return ldm_params_bad(at, err, "out_channels", "1 to 4096", v->out_channels);
    if (v->n_stages && (!v->method || strcmp(v->method, "bilinear")))
        return ldm_params_unsupported(at, err, "method",
                                      "is not bilinear, the published one: ldm computes no other");
    if (v->n_stages && v->multiplier != 0.5)
        return ldm_params_unsupported(at, err, "multiplier",
                                      "is not 0.5, the published one: ldm computes no other");
    return LDM_OK;
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    rescaler_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_conditioner *c;
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (rescaler_config){.n_stages = 1,
                           .in_channels = 3,
                           .out_channels = -1,
                           .method = "bilinear",
                           .multiplier = 0.5};
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (!st)
        st = validate(v, m->params ? m->params : m->at, r->err);
    if (!st)
        st = ldm_part_add_conditioner(r, m, LDM_COND_TAKES_MAP, v, &c);
    if (st)
        return st;
    c->channels_in = v->in_channels;
    c->factor = 1 << v->n_stages;
    c->channels = v->out_channels == -1 ? v->in_channels : v->out_channels;
    return LDM_OK;
}

const ldm_network_part ldm_part_cond_rescaler = {LDM_ROLE_CONDITIONER, read, declare, build};
