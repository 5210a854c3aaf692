/* SPDX-License-Identifier: MIT */
/* FrozenCLIPEmbedder (ldm/modules/encoders/modules.py): the text tower of CLIP ViT-L/14 with the
 * names of transformers' CLIPTextModel. The context is last_hidden_state: all positions after
 * final_layer_norm. The mask is causal alone: padding takes part. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "network/registry.h"
#include "network/text_tower.h"

enum { JOIN_MAX_LEN = 160 };

#define MODEL "transformer.text_model."
#define EMBEDDINGS MODEL "embeddings."
#define LAYER MODEL "encoder.layers."

static const double NORM_EPS = 1e-5;

typedef struct clip_config {
    ldm_text_tower tower;
    const char *version, *layer;
    int max_length;
} clip_config;

/* ---- tensors and graph ----------------------------------------------------------------------- */

static const char *join(char *buf, int layer, const char *leaf)
{
    snprintf(buf, JOIN_MAX_LEN, LAYER "%d.%s", layer, leaf);
    return buf;
}

static int attention(ldm_builder *b, int layer, int x, int width)
{
    char buf[JOIN_MAX_LEN];
    /* The constructor's order. */
    int k = ldm_b_linear(b, join(buf, layer, "self_attn.k_proj"), x, width, width);
    int v = ldm_b_linear(b, join(buf, layer, "self_attn.v_proj"), x, width, width);
    int q = ldm_b_linear(b, join(buf, layer, "self_attn.q_proj"), x, width, width);
    int h = ldm_b_attention(b, q, k, v, width, width / LDM_TOWER_HEAD_DIM);

    ldm_b_causal(b);
    return ldm_b_linear(b, join(buf, layer, "self_attn.out_proj"), h, width, width);
}

static int mlp(ldm_builder *b, int layer, int x, int width)
{
    const int inner = LDM_TOWER_FEED_FORWARD * width;
    char buf[JOIN_MAX_LEN];
    int h = ldm_b_linear(b, join(buf, layer, "mlp.fc1"), x, width, inner);

    h = ldm_b_unary(b, LDM_OP_QUICK_GELU, h, inner);
    return ldm_b_linear(b, join(buf, layer, "mlp.fc2"), h, inner, width);
}

static int norm(ldm_builder *b, int layer, const char *name, int x, int width)
{
    char buf[JOIN_MAX_LEN];

    return ldm_b_layer_norm(b, join(buf, layer, name), x, width, NORM_EPS);
}

static int layer(ldm_builder *b, int i, int x, int width)
{
    int h;

    if (!b->graph) { /* the constructor's order is another one than forward()'s */
        attention(b, i, 0, width);
        norm(b, i, "layer_norm1", 0, width);
        mlp(b, i, 0, width);
        norm(b, i, "layer_norm2", 0, width);
    }
    h = attention(b, i, norm(b, i, "layer_norm1", x, width), width);
    x = ldm_b_add(b, x, h, width);
    h = mlp(b, i, norm(b, i, "layer_norm2", x, width), width);
    return ldm_b_add(b, x, h, width);
}

static int encode(ldm_builder *b, const ldm_text_tower *t, int ids)
{
    int x, i;

    ldm_b_use(b, LDM_USED_COND);
    x = ldm_b_embedding(b, EMBEDDINGS "token_embedding.weight", ids, t->entries, t->width,
                        EMBEDDINGS "position_embedding.weight", t->tokens);
    ldm_b_dump(b, x, "embeddings");
    for (i = 0; i < t->layers; i++) {
        x = layer(b, i, x, t->width);
        ldm_b_dump(b, x, "layer_%02d", i);
    }
    ldm_b_dump(b, x, "before_final_norm");
    return ldm_b_layer_norm(b, MODEL "final_layer_norm", x, t->width, NORM_EPS);
}

static void declare(ldm_builder *b, const void *config)
{
    const clip_config *v = config;
    const int64_t positions[2] = {1, v->tower.tokens};

    ldm_b_use(b, 0);
    ldm_b_tensor(b, EMBEDDINGS "position_ids", LDM_INIT_ZEROS, 0, 2, positions);
    encode(b, &v->tower, 0);
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    const clip_config *v = config;

    (void)part;
    return encode(b, &v->tower, ldm_b_input_ids(b, size.tokens));
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define V(field) offsetof(clip_config, field)
static const ldm_param_row rows[] = {
    {"version", LDM_PARAM_STRING, V(version), LDM_EFFECT_SHAPE, false},
    {"max_length", LDM_PARAM_INT, V(max_length), LDM_EFFECT_SILENT, false},
    {"layer", LDM_PARAM_STRING, V(layer), LDM_EFFECT_SILENT, false},
    LDM_PARAM_SKIP("device"),
    LDM_PARAM_SKIP("freeze"),
    LDM_PARAM_SKIP("layer_idx"),
};
#undef V

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    static const ldm_tower_names names = {EMBEDDINGS "token_embedding.weight",
                                          EMBEDDINGS "position_embedding.weight", LAYER,
                                          ".layer_norm1.weight", NULL};
    clip_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (clip_config){
        .tower = {.published = "CLIP ViT-L/14",
                  .width = 768,
                  .layers = 12,
                  .entries = 49408,
                  .tokens = 77},
        .version = "openai/clip-vit-large-patch14",
        .layer = "last",
        .max_length = 77,
    };
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (!st && (!v->layer || strcmp(v->layer, "last")))
        st = ldm_params_unsupported(m->params, r->err, "layer",
                                    "is not \"last\": ldm computes the last layer's output");
    if (!st)
        st = ldm_tower_measure(r, m, &names, &v->tower);
    if (!st && (v->max_length < 3 || v->max_length > v->tower.tokens))
        st = ldm_params_bad(m->params ? m->params : m->at, r->err, "max_length",
                            "3 to the number of positions of the text encoder", v->max_length);
    if (st)
        return st;
    return ldm_tower_describe(r, m, &v->tower, v->max_length, "clip", 7.5, v);
}

const ldm_network_part ldm_part_cond_clip = {LDM_ROLE_CONDITIONER, read, declare, build};
