/* SPDX-License-Identifier: MIT */
/* A model is made of parts. A part is what one `target` of a configuration stands for: it reads its
 * parameters, lists its tensors and builds its graphs. Each part is one file that defines one
 * `const ldm_network_part`, and has one row in registry.h, which maps targets to parts. */
#ifndef LDM_NETWORK_PART_H
#define LDM_NETWORK_PART_H

#include "network/builder.h"
#include "network/params.h"

/* Which entry of the configuration names a part. */
typedef enum ldm_role {
    LDM_ROLE_MODEL,       /* model */
    LDM_ROLE_UNET,        /* model.params.unet_config */
    LDM_ROLE_FIRST_STAGE, /* model.params.first_stage_config */
    LDM_ROLE_CONDITIONER, /* model.params.cond_stage_config */
    LDM_ROLE_LOW_SCALE    /* model.params.low_scale_config */
} ldm_role;

/* One {target, params} of the configuration. A string in its place (`__is_unconditional__`) is a
 * target without params. */
typedef struct ldm_module {
    const ldm_value *at;     /* the entry itself, for messages */
    const ldm_value *params; /* its map of parameters; NULL: it has none */
    const char *target;
    const char *path; /* of params: "model.params.unet_config.params"; in the network's arena */
} ldm_module;

typedef struct ldm_network_part {
    ldm_role role;
    /* Reads and validates the parameters and describes the part in r->network: `unet`,
     * `first_stage`, `low_scale` or one more of `conditioners`. Errors name file:line:column. */
    ldm_status (*read)(ldm_param_reader *r, const ldm_module *m);
    /* Lists the tensors, in the order of state_dict(). config: what `read` left in the description.
     * Roots and bits of use are as ldm_b_begin says. */
    void (*declare)(ldm_builder *b, const void *config);
    /* Builds one graph with its inputs; returns the output. size.tokens is not 0 where it counts.
     * NULL for a part that is never run by itself. */
    int (*build)(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size);
} ldm_network_part;

/* Adds a conditioner, zeroed but for these; *out is valid until the next one is added. config: what
 * declare and build are given. */
ldm_status ldm_part_add_conditioner(ldm_param_reader *r, const ldm_module *m, ldm_cond_takes takes,
                                    const void *config, ldm_conditioner **out);

/* registry.c: opens the entry `at` and finds the part that its target names. LDM_ERR_UNSUPPORTED
 * lists the targets of this role. path: of the entry, "model.params.unet_config". */
ldm_status ldm_part_open(ldm_param_reader *r, ldm_role role, const ldm_value *at, const char *path,
                         ldm_module *m, const ldm_network_part **part);

#endif
