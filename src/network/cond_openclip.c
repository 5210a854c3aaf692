/* SPDX-License-Identifier: MIT */
/* FrozenOpenCLIPEmbedder (Stability's ldm/modules/encoders/modules.py): open_clip's text tower of
 * ViT-H/14. With layer: penultimate the last block is stored and never run; ln_final follows in
 * either case. The mask is causal alone: padding takes part. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "network/registry.h"
#include "network/text_tower.h"

enum { JOIN_MAX_LEN = 160 };

#define LAYER "model.transformer.resblocks."

static const double NORM_EPS = 1e-5;

typedef struct openclip_config {
    ldm_text_tower tower;
    const char *arch, *layer;
    int max_length;
    bool penultimate;
} openclip_config;

/* ---- tensors and graph ----------------------------------------------------------------------- */

static const char *join(char *buf, int layer, const char *leaf)
{
    snprintf(buf, JOIN_MAX_LEN, LAYER "%d.%s", layer, leaf);
    return buf;
}

/* nn.MultiheadAttention: one matrix for q, k and v. */
static int attention(ldm_builder *b, int layer, int x, int width)
{
    char buf[JOIN_MAX_LEN];
    int h = ldm_b_linear_named(b, join(buf, layer, "attn"), "in_proj_weight", "in_proj_bias", x,
                               width, 3 * width);

    h = ldm_b_attention_qkv(b, h, width, width / LDM_TOWER_HEAD_DIM, false);
    ldm_b_causal(b);
    return ldm_b_linear(b, join(buf, layer, "attn.out_proj"), h, width, width);
}

static int mlp(ldm_builder *b, int layer, int x, int width)
{
    const int inner = LDM_TOWER_FEED_FORWARD * width;
    char buf[JOIN_MAX_LEN];
    int h = ldm_b_linear(b, join(buf, layer, "mlp.c_fc"), x, width, inner);

    h = ldm_b_unary(b, LDM_OP_GELU, h, inner);
    return ldm_b_linear(b, join(buf, layer, "mlp.c_proj"), h, inner, width);
}

/* ResidualAttentionBlock */
static int block(ldm_builder *b, int i, int x, int width)
{
    char buf[JOIN_MAX_LEN];
    int h = ldm_b_layer_norm(b, join(buf, i, "ln_1"), x, width, NORM_EPS);

    x = ldm_b_add(b, x, attention(b, i, h, width), width);
    h = ldm_b_layer_norm(b, join(buf, i, "ln_2"), x, width, NORM_EPS);
    return ldm_b_add(b, x, mlp(b, i, h, width), width);
}

static int layers_run(const openclip_config *v)
{
    return v->tower.layers - (v->penultimate ? 1 : 0);
}

static int encode(ldm_builder *b, const openclip_config *v, int ids)
{
    const ldm_text_tower *t = &v->tower;
    int x, i;

    x = ldm_b_embedding(b, "model.token_embedding.weight", ids, t->entries, t->width,
                        "model.positional_embedding", t->tokens);
    ldm_b_dump(b, x, "embeddings");
    for (i = 0; i < layers_run(v); i++) {
        x = block(b, i, x, t->width);
        ldm_b_dump(b, x, "layer_%02d", i);
    }
    ldm_b_dump(b, x, "before_final_norm");
    return ldm_b_layer_norm(b, "model.ln_final", x, t->width, NORM_EPS);
}

static void declare(ldm_builder *b, const void *config)
{
    const openclip_config *v = config;
    const ldm_text_tower *t = &v->tower;
    const int64_t positions[2] = {t->tokens, t->width}, projection[2] = {t->width, t->projection};
    int i;

    ldm_b_use(b, LDM_USED_COND);
    ldm_b_tensor(b, "model.positional_embedding", LDM_INIT_NORMAL, 0, 2, positions);
    ldm_b_use(b, 0);
    ldm_b_tensor(b, "model.text_projection", LDM_INIT_NORMAL, 0, 2, projection);
    ldm_b_tensor(b, "model.logit_scale", LDM_INIT_ONES, 0, 0, NULL);
    for (i = 0; i < t->layers; i++) {
        ldm_b_use(b, i < layers_run(v) ? LDM_USED_COND : 0);
        block(b, i, 0, t->width);
    }
    ldm_b_use(b, LDM_USED_COND);
    encode(b, v, 0); /* the rest */
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    (void)part;
    ldm_b_use(b, LDM_USED_COND);
    return encode(b, config, ldm_b_input_ids(b, size.tokens));
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define V(field) offsetof(openclip_config, field)
static const ldm_param_row rows[] = {
    {"arch", LDM_PARAM_STRING, V(arch), LDM_EFFECT_SHAPE, false},
    {"layer", LDM_PARAM_STRING, V(layer), LDM_EFFECT_SILENT, false},
    {"max_length", LDM_PARAM_INT, V(max_length), LDM_EFFECT_NONE, false},
    LDM_PARAM_SKIP("version"),
    LDM_PARAM_SKIP("device"),
    LDM_PARAM_SKIP("freeze"),
};
#undef V

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    static const ldm_tower_names names = {"model.token_embedding.weight",
                                          "model.positional_embedding", LAYER, ".ln_1.weight",
                                          "model.text_projection"};
    openclip_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (openclip_config){
        .tower = {.published = "OpenCLIP ViT-H/14",
                  .width = 1024,
                  .layers = 24,
                  .entries = 49408,
                  .tokens = 77,
                  .projection = 1024},
        .arch = "ViT-H-14",
        .layer = "last",
        .max_length = 77,
    };
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (st)
        return st;
    ldm_params_mark(r->network, "model.params.cond_stage_config.params.max_length",
                    "open_clip's tokenizer fills all positions whatever it says");
    if (v->layer && !strcmp(v->layer, "penultimate"))
        v->penultimate = true;
    else if (!v->layer || strcmp(v->layer, "last"))
        return ldm_params_unsupported(m->params, r->err, "layer",
                                      "is neither last nor penultimate, all that the original "
                                      "knows");
    st = ldm_tower_measure(r, m, &names, &v->tower);
    return st ? st : ldm_tower_describe(r, m, &v->tower, v->tower.tokens, "openclip", 9, v);
}

const ldm_network_part ldm_part_cond_openclip = {LDM_ROLE_CONDITIONER, read, declare, build};
