/* The two conditioners that a configuration names by a word in place of a module: none, and the
 * first stage itself (LatentDiffusion.instantiate_cond_stage, ldm/models/diffusion/ddpm.py). */
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
    ldm_conditioner *c = ldm_network_add_conditioner(r->network);

    if (!c)
        return ldm_error_nomem(r->err, 0, "the network's description");
    c->target = m->target;
    c->takes = LDM_COND_TAKES_PICTURE;
    c->channels = r->network->first_stage.latent_channels;
    c->is_first_stage = true;
    c->config = &r->network->first_stage;
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
