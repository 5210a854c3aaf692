/* SPDX-License-Identifier: MIT */
/* Files of a first stage alone, as the paper's autoencoders were published (kl-f8, vq-f4, ...): the
 * configuration's model is the autoencoder itself, and its tensors have no prefix. Beside them lie
 * those of the training loss (loss.*), which no description lists. */
#include "network/registry.h"

static ldm_status read_stage(ldm_param_reader *r, const ldm_module *m, const ldm_network_part *part)
{
    ldm_network *s = r->network;

    s->lone_first_stage = true;
    s->first_stage.part = part;
    s->first_stage.target = m->target;
    s->diffusion.scale_factor = 1;
    s->unet.channel_mult = (ldm_int_list){1, {1}}; /* no latent's size is refused on its account */
    return part->read(r, m);
}

static ldm_status read_kl(ldm_param_reader *r, const ldm_module *m)
{
    return read_stage(r, m, &ldm_part_first_kl);
}

static ldm_status read_vq(ldm_param_reader *r, const ldm_module *m)
{
    return read_stage(r, m, &ldm_part_first_vq);
}

static void declare(ldm_builder *b, const void *config)
{
    const ldm_first_stage *f = &b->network->first_stage;

    (void)config;
    ldm_b_begin(b, LDM_COMPONENT_FIRST_STAGE);
    f->part->declare(b, f->config);
}

const ldm_network_part ldm_part_alone_kl = {LDM_ROLE_MODEL, read_kl, declare, NULL};
const ldm_network_part ldm_part_alone_vq = {LDM_ROLE_MODEL, read_vq, declare, NULL};
