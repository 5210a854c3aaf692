/* SPDX-License-Identifier: MIT */
/* Building the description: one function for each of CompVis' modules. It registers its tensors, in
 * the order of state_dict(), and appends its nodes.
 *
 * Two uses of the same functions: `declare` (b->graph NULL) walks a network to list its tensors;
 * `emit` (b->graph set) walks it to write a graph, and then every tensor must have been declared.
 * So there is only one list. The first error is kept: after it every call does nothing, and the
 * caller checks b->st once, at the end. Values are numbers; in `declare` they are all 0. */
#ifndef LDM_NETWORK_BUILDER_H
#define LDM_NETWORK_BUILDER_H

#include "network/private.h"

typedef struct ldm_builder {
    const ldm_network *network;
    ldm_network *declared; /* the same network, to add tensors to; NULL where a graph is built */
    ldm_graph *graph;      /* NULL: declare only */
    const char *root;      /* "model.diffusion_model": prefix of every tensor name, or "" */
    ldm_component component;
    unsigned used; /* LDM_USED_* bits for tensors declared now */
    bool copy;     /* they are a second copy, which no graph reads: the bits do not count */
    ldm_status st;
    ldm_error *err;
    size_t node_cap, value_cap;
    int last_weight, last_bias; /* of the last layer with weights */
} ldm_builder;

/* "path.leaf" in buf [LDM_PATH_LEN], which is returned. Paths of modules are far shorter. */
enum { LDM_PATH_LEN = 256 };
const char *ldm_b_join(char *buf, const char *path, const char *leaf);

/* Begins a component: its prefix becomes the root, all bits of use count. */
void ldm_b_begin(ldm_builder *b, ldm_component c);
/* Which graphs read the tensors that follow: LDM_USED_* bits. */
void ldm_b_use(ldm_builder *b, unsigned used);

/* An input of the graph, of this shape. `in` says its name, what it depends on and its layout; its
 * value number is set here. Returns that number. */
int ldm_b_input(ldm_builder *b, ldm_input in, int c, int h, int w);
/* The input "x" of this shape: a latent or a picture. */
int ldm_b_input_x(ldm_builder *b, int c, int h, int w);
/* The input "ids" [1,tokens,1] of a conditioner. */
int ldm_b_input_ids(ldm_builder *b, int tokens);
/* Height and width of a value; 1 in `declare`. */
int ldm_b_height(const ldm_builder *b, int value);
int ldm_b_width(const ldm_builder *b, int value);
/* Names a value for `ldm eval --dump`. A second call adds a second name. */
void ldm_b_dump(ldm_builder *b, int value, const char *fmt, ...) LDM_PRINTF(3, 4);

/* A tensor below b->root, found or (in `declare`) added. Returns its number. */
int ldm_b_tensor(ldm_builder *b, const char *path, ldm_init init, int fan_in, int ndim,
                 const int64_t *shape);

/* Adds a tensor by its whole name, in `declare` only. Returns its number, -1 on failure. */
int ldm_b_declare(ldm_builder *b, const ldm_tensor_decl *t);
/* The buffer `colorize` [3, labels, 1, 1] of an autoencoder of segmentations; none below 1. */
void ldm_b_colorize(ldm_builder *b, int labels);

/* What a convolution or a pool sees of its input: pad_h rows of zeros (a convolution) or of nothing
 * (a pool) above and below, pad_w columns left and right. */
typedef struct ldm_window {
    int kernel_h, kernel_w, stride, pad_h, pad_w;
} ldm_window;

/* Layers. path: the module ("input_blocks.1.0.in_layers.2"); weight and bias are path.weight and
 * path.bias. Each returns the output value. */
int ldm_b_conv(ldm_builder *b, const char *path, int x, int cin, int cout, int kernel);
int ldm_b_conv_unbiased(ldm_builder *b, const char *path, int x, int cin, int cout, int kernel);
/* Of any window, with other names than path.weight and path.bias; bias: NULL: there is none. */
int ldm_b_conv_named(ldm_builder *b, const char *path, const char *weight, const char *bias, int x,
                     int cin, int cout, const ldm_window *k);
/* stride 2: with pad 1 on all sides (UNet), or right and bottom only (first stage). */
int ldm_b_conv_down(ldm_builder *b, const char *path, int x, int c, int cout, bool pad_all);
int ldm_b_conv1d(ldm_builder *b, const char *path, int x, int cin, int cout); /* [out, in, 1] */
/* The last layer's weights start as zeros (the original's zero_module). */
void ldm_b_zero(ldm_builder *b);
/* Of each pixel, or token, by itself; weight [out, in]. */
int ldm_b_linear(ldm_builder *b, const char *path, int x, int cin, int cout);
int ldm_b_linear_unbiased(ldm_builder *b, const char *path, int x, int cin, int cout);
/* The same with other names than path.weight and path.bias, such as MultiheadAttention's
 * path.in_proj_weight. bias: NULL: there is none. */
int ldm_b_linear_named(ldm_builder *b, const char *path, const char *weight, const char *bias,
                       int x, int cin, int cout);
int ldm_b_layer_norm(ldm_builder *b, const char *path, int x, int c, double eps);
/* Rows of a table [entries, c] by their numbers, in `ids` (1 channel). positions: the name of a
 * tensor [length, c] of which row p is added to pixel p; NULL: none. `table` is a tensor's name,
 * too. */
int ldm_b_embedding(ldm_builder *b, const char *table, int ids, int entries, int c,
                    const char *positions, int length);
int ldm_b_norm(ldm_builder *b, const char *path, int x, int c, double eps); /* 32 groups */

/* Operations without weights. */
/* RELU, SILU, GELU, QUICK_GELU, TANH, UPSAMPLE, AVG_POOL (of 2x2); c: channels of the result. GEGLU
 * takes 2 c. */
int ldm_b_unary(ldm_builder *b, ldm_op op, int x, int c);
/* AVG_POOL, MAX_POOL; pad_h and pad_w are equal. */
int ldm_b_pool(ldm_builder *b, ldm_op op, int x, int c, const ldm_window *k);
int ldm_b_add(ldm_builder *b, int x, int y, int c);
int ldm_b_add_vector(ldm_builder *b, int x, int v, int c);
int ldm_b_scale_shift(ldm_builder *b, int x, int v, int c);
int ldm_b_concat(ldm_builder *b, int x, int cx, int y, int cy);
int ldm_b_timestep_embed(ldm_builder *b, int t, int c);
int ldm_b_attention_qkv(ldm_builder *b, int qkv, int c, int heads, bool heads_first);
int ldm_b_attention(ldm_builder *b, int q, int k, int v, int c, int heads);
void ldm_b_causal(ldm_builder *b); /* in the last attention a pixel sees none after it */
int ldm_b_quantize(ldm_builder *b, const char *path, int x, int c, int entries, bool index);

#endif
