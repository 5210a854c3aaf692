/* SPDX-License-Identifier: MIT */
/* The conditioners without a network of their own: the two that a configuration names by a word,
 * none and the first stage itself (LatentDiffusion.instantiate_cond_stage,
 * ldm/models/diffusion/ddpm.py), and torch.nn.Identity, for what is concatenated as it is. */
#include "network/registry.h"

/* ---- __is_unconditional__ -------------------------------------------------------------------- */

static ldm_status read_none(ldm_param_reader *r, const ldm_module *m)
{
    (void)r;
    (void)m;
    return LDM_OK; /* it adds no conditioner */
}

const ldm_network_part ldm_part_cond_none = {LDM_ROLE_CONDITIONER, read_none, NULL, NULL};

/* ---- __is_first_stage__ ---------------------------------------------------------------------- */

/* A picture's latent, to be concatenated. In the original cond_stage_model is the same module, so
 * all keys of the first stage appear twice. */
static ldm_status read_first_stage(ldm_param_reader *r, const ldm_module *m)
{
    ldm_conditioner *c;
    ldm_status st =
        ldm_part_add_conditioner(r, m, LDM_COND_TAKES_PICTURE, &r->network->first_stage, &c);

    if (st)
        return st;
    c->channels = r->network->first_stage.latent_channels;
    c->is_first_stage = true;
    return LDM_OK;
}

/* No part of sampling reads the second copy. */
static void declare_first_stage(ldm_builder *b, const void *config)
{
    const ldm_first_stage *f = config;

    b->copy = true;
    f->part->declare(b, f->config);
}

const ldm_network_part ldm_part_cond_first_stage = {LDM_ROLE_CONDITIONER, read_first_stage,
                                                    declare_first_stage, NULL};

/* ---- torch.nn.Identity ----------------------------------------------------------------------- */

static ldm_status read_identity(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = {NULL, 0,
                                          "torch.nn.Identity takes any parameter and reads none"};
    ldm_conditioner *c;
    ldm_status st = ldm_params_read(r, m->at, m->params, m->path, &table, NULL);

    if (!st)
        st = ldm_part_add_conditioner(r, m, LDM_COND_TAKES_LATENT, NULL, &c);
    if (st)
        return st;
    c->channels = r->network->unet.in_channels - r->network->unet.out_channels;
    return LDM_OK;
}

static void declare_identity(ldm_builder *b, const void *config)
{
    (void)b;
    (void)config;
}

const ldm_network_part ldm_part_cond_identity = {LDM_ROLE_CONDITIONER, read_identity,
                                                 declare_identity, NULL};
