/* SPDX-License-Identifier: MIT */
#include "network/transformer.h"

#include <stdio.h>

enum { GATED = 2, FEED_FORWARD = 4 };

static const double NORM_EPS = 1e-6, LAYER_NORM_EPS = 1e-5;

/* CrossAttention: q of x, k and v of `from`, which has `width` channels. */
static int attention(ldm_builder *b, const char *path, const ldm_transformer *t, int x, int from,
                     int width)
{
    char buf[LDM_PATH_LEN];
    int inner = t->heads * t->head_dim;
    int q = ldm_b_linear_unbiased(b, ldm_b_join(buf, path, "to_q"), x, inner, inner);
    int k = ldm_b_linear_unbiased(b, ldm_b_join(buf, path, "to_k"), from, width, inner);
    int v = ldm_b_linear_unbiased(b, ldm_b_join(buf, path, "to_v"), from, width, inner);
    int h = ldm_b_attention(b, q, k, v, inner, t->heads);

    return ldm_b_linear(b, ldm_b_join(buf, path, "to_out.0"), h, inner, inner);
}

/* FeedForward with GEGLU: the value half of net.0.proj first, then the gate half. */
static int feed_forward(ldm_builder *b, const char *path, int x, int c)
{
    char buf[LDM_PATH_LEN];
    int h = ldm_b_linear(b, ldm_b_join(buf, path, "net.0.proj"), x, c, GATED * FEED_FORWARD * c);

    h = ldm_b_unary(b, LDM_OP_GEGLU, h, FEED_FORWARD * c);
    return ldm_b_linear(b, ldm_b_join(buf, path, "net.2"), h, FEED_FORWARD * c, c);
}

static int self_or_cross(ldm_builder *b, const char *path, const ldm_transformer *t, int x,
                         int context)
{
    int inner = t->heads * t->head_dim;

    return t->no_self ? attention(b, path, t, x, context, t->context_width)
                      : attention(b, path, t, x, x, inner);
}

/* The constructor makes the layers in another order than forward() runs them. */
static void declare_block(ldm_builder *b, const char *path, const ldm_transformer *t)
{
    static const char *const norms[] = {"norm1", "norm2", "norm3"};
    char buf[LDM_PATH_LEN];
    int i;

    self_or_cross(b, ldm_b_join(buf, path, "attn1"), t, 0, 0);
    feed_forward(b, ldm_b_join(buf, path, "ff"), 0, t->heads * t->head_dim);
    attention(b, ldm_b_join(buf, path, "attn2"), t, 0, 0, t->context_width);
    for (i = 0; i < 3; i++)
        ldm_b_layer_norm(b, ldm_b_join(buf, path, norms[i]), 0, t->heads * t->head_dim,
                         LAYER_NORM_EPS);
}

/* BasicTransformerBlock */
static int block(ldm_builder *b, const char *path, const ldm_transformer *t, int x, int context)
{
    char buf[LDM_PATH_LEN];
    int c = t->heads * t->head_dim, h;

    if (!b->graph)
        declare_block(b, path, t);
    h = ldm_b_layer_norm(b, ldm_b_join(buf, path, "norm1"), x, c, LAYER_NORM_EPS);
    h = self_or_cross(b, ldm_b_join(buf, path, "attn1"), t, h, context);
    x = ldm_b_add(b, x, h, c);
    h = ldm_b_layer_norm(b, ldm_b_join(buf, path, "norm2"), x, c, LAYER_NORM_EPS);
    h = attention(b, ldm_b_join(buf, path, "attn2"), t, h, context, t->context_width);
    x = ldm_b_add(b, x, h, c);
    h = ldm_b_layer_norm(b, ldm_b_join(buf, path, "norm3"), x, c, LAYER_NORM_EPS);
    return ldm_b_add(b, x, feed_forward(b, ldm_b_join(buf, path, "ff"), h, c), c);
}

/* proj_in, proj_out: 1x1 convolutions or matrices, the same arithmetic. */
static int project(ldm_builder *b, const char *path, bool linear, int x, int cin, int cout)
{
    return linear ? ldm_b_linear(b, path, x, cin, cout) : ldm_b_conv(b, path, x, cin, cout, 1);
}

int ldm_b_transformer(ldm_builder *b, const char *path, const ldm_transformer *t, int x,
                      int context)
{
    char buf[LDM_PATH_LEN], name[48];
    int inner = t->heads * t->head_dim, h, i;

    h = ldm_b_norm(b, ldm_b_join(buf, path, "norm"), x, t->channels, NORM_EPS);
    h = project(b, ldm_b_join(buf, path, "proj_in"), t->linear, h, t->channels, inner);
    for (i = 0; i < t->depth; i++) {
        snprintf(name, sizeof name, "transformer_blocks.%d", i);
        h = block(b, ldm_b_join(buf, path, name), t, h, context);
    }
    h = project(b, ldm_b_join(buf, path, "proj_out"), t->linear, h, inner, t->channels);
    ldm_b_zero(b);
    return ldm_b_add(b, x, h, t->channels);
}
