/* SPDX-License-Identifier: MIT */
/* What parts share when they describe themselves. */
#include "network/part.h"

#include "base/alloc.h"

ldm_status ldm_part_add_conditioner(ldm_param_reader *r, const ldm_module *m, ldm_cond_takes takes,
                                    const void *config, ldm_conditioner **out)
{
    ldm_network *s = r->network;

    if (!ldm_grow(&s->conditioners, &s->priv->conditioner_cap, (size_t)s->conditioner_count + 1,
                  sizeof *s->conditioners))
        return ldm_error_nomem(r->err, 0, "the network's description");
    *out = &s->conditioners[s->conditioner_count++];
    **out = (ldm_conditioner){.target = m->target, .takes = takes, .config = config};
    return LDM_OK;
}
