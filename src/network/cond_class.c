/* SPDX-License-Identifier: MIT */
/* ClassEmbedder (ldm/modules/encoders/modules.py): a row of a table a class, as one token of
 * context. */
#include <stddef.h>

#include "network/registry.h"

enum { IMAGENET = 1000 };

typedef struct class_config {
    int n_classes, embed_dim;
} class_config;

#define C(field) offsetof(class_config, field)
static const ldm_param_row rows[] = {
    {"embed_dim", LDM_PARAM_INT, C(embed_dim), LDM_EFFECT_SHAPE, true},
    {"n_classes", LDM_PARAM_INT, C(n_classes), LDM_EFFECT_SHAPE, false},
    LDM_PARAM_SKIP("key"), /* of the batch, in training */
    LDM_PARAM_SKIP("ucg_rate"),
};
#undef C

static int embed(ldm_builder *b, const class_config *v, int ids)
{
    ldm_b_use(b, LDM_USED_COND);
    return ldm_b_embedding(b, "embedding.weight", ids, v->n_classes, v->embed_dim, NULL, 0);
}

static void declare(ldm_builder *b, const void *config)
{
    embed(b, config, 0);
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    (void)part;
    return embed(b, config, ldm_b_input_ids(b, size.tokens));
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    class_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_conditioner *c;
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (class_config){.n_classes = IMAGENET};
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (st)
        return st;
    if (v->n_classes < 1 || v->n_classes > 1 << 20)
        return ldm_params_bad(m->params, r->err, "n_classes", "1 to 1048576", v->n_classes);
    if (v->embed_dim < 1 || v->embed_dim > LDM_MAX_WIDTH)
        return ldm_params_bad(m->params, r->err, "embed_dim", "1 to 32768", v->embed_dim);
    st = ldm_part_add_conditioner(r, m, LDM_COND_TAKES_CLASS, v, &c);
    if (st)
        return st;
    c->entries = v->n_classes;
    /* cin256-v2 has one class more than ImageNet, its last: the unconditional one. With the
     * constructor's own 1000 there is none. */
    c->uncond_class = v->n_classes == IMAGENET ? -1 : v->n_classes - 1;
    c->scale = c->uncond_class < 0 ? 0 : 3; /* the notebook for cin256-v2 */
    c->tokens = c->context_tokens = 1;
    c->context_width = v->embed_dim;
    return LDM_OK;
}

const ldm_network_part ldm_part_cond_class = {LDM_ROLE_CONDITIONER, read, declare, build};
