/* SPDX-License-Identifier: MIT */
/* IdentityFirstStage (ldm/models/autoencoder.py): encode, decode and quantize return what they are
 * given, so that the diffusion model works on pixels. It has no tensors. */
#include <stddef.h>

#include "network/registry.h"

typedef struct identity_config {
    bool vq_interface; /* whether quantize also returns empty losses: of the Python interface */
    int channels;      /* the UNet's */
} identity_config;

static const ldm_param_row rows[] = {
    {"vq_interface", LDM_PARAM_BOOL, offsetof(identity_config, vq_interface), LDM_EFFECT_NONE,
     false},
};

static void declare(ldm_builder *b, const void *config)
{
    (void)b;
    (void)config;
}

/* The output is the input. */
static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    const identity_config *v = config;

    (void)part;
    return ldm_b_input_x(b, v->channels, size.h, size.w);
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = {
        rows, sizeof rows / sizeof rows[0],
        "IdentityFirstStage takes any parameter and reads none of them"};
    identity_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_first_stage *f = &r->network->first_stage;
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (identity_config){.channels = r->network->unet.out_channels};
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (st)
        return st;
    ldm_params_mark(r->network, "model.params.first_stage_config.params.vq_interface",
                    "it changes what quantize returns, and nothing is quantised here");
    f->in_channels = f->out_channels = v->channels;
    f->latent_channels = f->encoded_channels = v->channels;
    f->factor = 1;
    f->identity = true;
    f->config = v;
    return LDM_OK;
}

const ldm_network_part ldm_part_first_identity = {LDM_ROLE_FIRST_STAGE, read, declare, build};
