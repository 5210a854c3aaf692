/* SPDX-License-Identifier: MIT */
/* BERTEmbedder and TransformerEmbedder (ldm/modules/encoders/modules.py): the encoder of
 * ldm/modules/x_transformer.py over token ids. Pre-norm, 8 heads of 64 whatever its width, no bias
 * for q, k and v, no mask: padding takes part. */
#include <stddef.h>
#include <stdio.h>

#include "network/registry.h"

enum { HEADS = 8, HEAD_DIM = 64, FEED_FORWARD = 4, JOIN_MAX_LEN = 160 };

static const double NORM_EPS = 1e-5;

typedef struct bert_config {
    int n_embed, n_layer, vocab_size, max_seq_len;
    bool use_tokenizer;
} bert_config;

/* ---- tensors and graph ----------------------------------------------------------------------- */

static const char *join(char *buf, int layer, const char *leaf)
{
    snprintf(buf, JOIN_MAX_LEN, "transformer.attn_layers.layers.%d.%s", layer, leaf);
    return buf;
}

static int attention(ldm_builder *b, int layer, int x, int width)
{
    const int inner = HEADS * HEAD_DIM;
    char buf[JOIN_MAX_LEN];
    int h = ldm_b_layer_norm(b, join(buf, layer, "0"), x, width, NORM_EPS);
    int q = ldm_b_linear_unbiased(b, join(buf, layer, "1.to_q"), h, width, inner);
    int k = ldm_b_linear_unbiased(b, join(buf, layer, "1.to_k"), h, width, inner);
    int v = ldm_b_linear_unbiased(b, join(buf, layer, "1.to_v"), h, width, inner);

    h = ldm_b_attention(b, q, k, v, inner, HEADS);
    h = ldm_b_linear(b, join(buf, layer, "1.to_out"), h, inner, width);
    return ldm_b_add(b, x, h, width);
}

static int feed_forward(ldm_builder *b, int layer, int x, int width)
{
    const int inner = FEED_FORWARD * width;
    char buf[JOIN_MAX_LEN];
    int h = ldm_b_layer_norm(b, join(buf, layer, "0"), x, width, NORM_EPS);

    h = ldm_b_linear(b, join(buf, layer, "1.net.0.0"), h, width, inner);
    h = ldm_b_unary(b, LDM_OP_GELU, h, inner);
    h = ldm_b_linear(b, join(buf, layer, "1.net.2"), h, inner, width);
    return ldm_b_add(b, x, h, width);
}

static int encode(ldm_builder *b, const bert_config *v, int ids)
{
    int x, i;

    ldm_b_use(b, LDM_USED_COND);
    x = ldm_b_embedding(b, "transformer.token_emb.weight", ids, v->vocab_size, v->n_embed,
                        "transformer.pos_emb.emb.weight", v->max_seq_len);
    ldm_b_dump(b, x, "embeddings");
    for (i = 0; i < v->n_layer; i++) {
        x = attention(b, 2 * i, x, v->n_embed);
        x = feed_forward(b, 2 * i + 1, x, v->n_embed);
        ldm_b_dump(b, x, "layer_%02d", i);
    }
    return ldm_b_layer_norm(b, "transformer.norm", x, v->n_embed, NORM_EPS);
}

static void declare(ldm_builder *b, const void *config)
{
    const bert_config *v = config;

    encode(b, v, 0);
    ldm_b_use(b, 0);
    ldm_b_linear(b, "transformer.to_logits", 0, v->n_embed, v->vocab_size);
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    (void)part;
    return encode(b, config, ldm_b_input_ids(b, size.tokens));
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define V(field) offsetof(bert_config, field)
static const ldm_param_row rows[] = {
    {"n_embed", LDM_PARAM_INT, V(n_embed), LDM_EFFECT_SHAPE, true},
    {"n_layer", LDM_PARAM_INT, V(n_layer), LDM_EFFECT_SHAPE, true},
    {"vocab_size", LDM_PARAM_INT, V(vocab_size), LDM_EFFECT_SHAPE, false},
    {"max_seq_len", LDM_PARAM_INT, V(max_seq_len), LDM_EFFECT_SHAPE, false},
    {"use_tokenizer", LDM_PARAM_BOOL, V(use_tokenizer), LDM_EFFECT_SILENT, false},
    LDM_PARAM_SKIP("device"),
    LDM_PARAM_SKIP("embedding_dropout"),
};

/* TransformerEmbedder has no tokenizer, and no size of a vocabulary by itself. */
static const ldm_param_row plain_rows[] = {
    {"n_embed", LDM_PARAM_INT, V(n_embed), LDM_EFFECT_SHAPE, true},
    {"n_layer", LDM_PARAM_INT, V(n_layer), LDM_EFFECT_SHAPE, true},
    {"vocab_size", LDM_PARAM_INT, V(vocab_size), LDM_EFFECT_SHAPE, true},
    {"max_seq_len", LDM_PARAM_INT, V(max_seq_len), LDM_EFFECT_SHAPE, false},
    LDM_PARAM_SKIP("device"),
};
#undef V

static ldm_status validate(const bert_config *v, const ldm_value *at, ldm_error *err)
{
    if (v->n_embed < 1 || v->n_embed > LDM_MAX_WIDTH)
        return ldm_params_bad(at, err, "n_embed", "1 to 32768", v->n_embed);
    if (v->n_layer < 1 || v->n_layer > 256)
        return ldm_params_bad(at, err, "n_layer", "1 to 256", v->n_layer);
    if (v->vocab_size < 1 || v->vocab_size > 1 << 20)
        return ldm_params_bad(at, err, "vocab_size", "1 to 1048576", v->vocab_size);
    if (v->max_seq_len < 1 || v->max_seq_len > LDM_MAX_TOKENS)
        return ldm_params_bad(at, err, "max_seq_len", "1 to 4096", v->max_seq_len);
    return LDM_OK;
}

static ldm_status read_table(ldm_param_reader *r, const ldm_module *m, const ldm_param_table *table,
                             bool use_tokenizer)
{
    bert_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_conditioner *c;
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (bert_config){.vocab_size = 30522, .max_seq_len = 77, .use_tokenizer = use_tokenizer};
    st = ldm_params_read(r, m->at, m->params, m->path, table, v);
    if (!st)
        st = validate(v, m->params, r->err);
    if (!st)
        st = ldm_part_add_conditioner(r, m, LDM_COND_TAKES_TOKENS, v, &c);
    if (st)
        return st;
    c->vocabulary = v->use_tokenizer ? "bert" : NULL;
    c->entries = v->vocab_size;
    c->scale = c->vocabulary ? 5 : 0; /* scripts/txt2img.py */
    c->tokens = c->context_tokens = v->max_seq_len;
    c->context_width = v->n_embed;
    c->layers = v->n_layer;
    return LDM_OK;
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);

    return read_table(r, m, &table, true);
}

static ldm_status read_plain(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(plain_rows);

    return read_table(r, m, &table, false);
}

const ldm_network_part ldm_part_cond_bert = {LDM_ROLE_CONDITIONER, read, declare, build};
const ldm_network_part ldm_part_cond_transformer = {LDM_ROLE_CONDITIONER, read_plain, declare,
                                                    build};
