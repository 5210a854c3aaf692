/* SPDX-License-Identifier: MIT */
/* Layers and operations that the networks are made of; see builder.h. */
#include "network/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { GROUPS = 32, NAME_MAX_LEN = 256 };

static bool failed(ldm_builder *b)
{
    return b->st != LDM_OK;
}

static void fail_nomem(ldm_builder *b)
{
    b->st = ldm_error_nomem(b->err, 0, "the network's description");
}

const char *ldm_b_join(char *buf, const char *path, const char *leaf)
{
    const int n = snprintf(buf, LDM_PATH_LEN, "%s.%s", path, leaf);

    if (n < 0 || n >= LDM_PATH_LEN)
        buf[LDM_PATH_LEN - 1] = '\0'; /* no tensor has such a name: the builder reports it */
    return buf;
}

void ldm_b_begin(ldm_builder *b, ldm_component c)
{
    b->component = c;
    b->root = b->network->lone_first_stage ? "" : ldm_component_prefix(c);
    b->copy = false;
}

void ldm_b_use(ldm_builder *b, unsigned used)
{
    b->used = used;
}

static int add_value(ldm_builder *b, int c, int h, int w)
{
    ldm_graph *g = b->graph;
    ldm_graph_value *v;

    if (!g || failed(b))
        return 0;
    if (!ldm_grow(&g->values, &b->value_cap, (size_t)g->value_count + 1, sizeof *g->values)) {
        fail_nomem(b);
        return 0;
    }
    v = &g->values[g->value_count];
    memset(v, 0, sizeof *v);
    v->c = c;
    v->h = h;
    v->w = w;
    return g->value_count++;
}

int ldm_b_input(ldm_builder *b, ldm_input in, int c, int h, int w)
{
    ldm_graph *g = b->graph;

    in.value = add_value(b, c, h, w);
    if (!g || failed(b))
        return 0;
    if (g->input_count == LDM_MAX_INPUTS) {
        b->st = ldm_error_set(b->err, LDM_ERR_LIMIT, "%s: a graph takes at most %d inputs", in.name,
                              LDM_MAX_INPUTS);
        return 0;
    }
    g->values[in.value].depends = in.depends;
    g->inputs[g->input_count++] = in;
    return in.value;
}

int ldm_b_input_x(ldm_builder *b, int c, int h, int w)
{
    const ldm_input x = {.name = "x", .depends = LDM_DEPENDS_X};

    return ldm_b_input(b, x, c, h, w);
}

int ldm_b_input_ids(ldm_builder *b, int tokens)
{
    const ldm_input ids = {.name = "ids", .depends = LDM_DEPENDS_X};

    return ldm_b_input(b, ids, 1, tokens, 1);
}

int ldm_b_height(const ldm_builder *b, int value)
{
    return b->graph && b->graph->value_count ? b->graph->values[value].h : 1;
}

int ldm_b_width(const ldm_builder *b, int value)
{
    return b->graph && b->graph->value_count ? b->graph->values[value].w : 1;
}

void ldm_b_dump(ldm_builder *b, int value, const char *fmt, ...)
{
    char text[NAME_MAX_LEN];
    const char **name;
    va_list ap;

    if (!b->graph || failed(b))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    name = b->graph->values[value].dump ? &b->graph->values[value].dump_also
                                        : &b->graph->values[value].dump;
    *name = ldm_arena_strdup(b->graph->arena, text);
    if (!*name)
        fail_nomem(b);
}

int ldm_b_declare(ldm_builder *b, const ldm_tensor_decl *t)
{
    int number;

    if (failed(b))
        return -1;
    if (!b->declared) {
        b->st = ldm_error_set(b->err, LDM_ERR_UNSUPPORTED,
                              "%s is in the graph and not in the list of tensors", t->name);
        return -1;
    }
    number = t->name ? ldm_network_add(b->declared, t) : -1;
    if (number < 0)
        fail_nomem(b);
    return number;
}

int ldm_b_tensor(ldm_builder *b, const char *path, ldm_init init, int fan_in, int ndim,
                 const int64_t *shape)
{
    char name[NAME_MAX_LEN];
    ldm_tensor_decl t;
    int i, found;

    if (failed(b))
        return -1;
    snprintf(name, sizeof name, "%s%s%s", b->root, *b->root ? "." : "", path);
    found = ldm_network_find(b->network, name);
    if (found >= 0)
        return found;
    memset(&t, 0, sizeof t);
    t.name = b->declared ? ldm_arena_strdup(b->network->priv->arena, name) : name;
    t.ndim = ndim;
    t.numel = 1;
    for (i = 0; i < ndim; i++) {
        t.shape[i] = shape[i];
        t.numel *= (uint64_t)shape[i];
    }
    t.component = b->component;
    t.used = b->copy ? 0 : b->used;
    t.ema = -1;
    t.init = init;
    t.fan_in = fan_in;
    return ldm_b_declare(b, &t);
}

void ldm_b_colorize(ldm_builder *b, int labels)
{
    const int64_t shape[4] = {3, labels, 1, 1};

    if (labels > 0)
        ldm_b_tensor(b, "colorize", LDM_INIT_ZEROS, 0, 4, shape);
}

/* Appends a node with one output of the given shape. */
static ldm_node *add_node(ldm_builder *b, ldm_op op, const char *path, int c, int h, int w)
{
    ldm_graph *g = b->graph;
    ldm_node *n;
    int out;

    if (!g || failed(b))
        return NULL;
    out = add_value(b, c, h, w);
    if (failed(b))
        return NULL;
    if (!ldm_grow(&g->nodes, &b->node_cap, (size_t)g->node_count + 1, sizeof *g->nodes)) {
        fail_nomem(b);
        return NULL;
    }
    n = &g->nodes[g->node_count++];
    memset(n, 0, sizeof *n);
    n->op = op;
    n->name = ldm_arena_strdup(g->arena, path);
    n->in[0] = n->in[1] = n->in[2] = -1;
    n->weight = n->bias = -1;
    n->out = out;
    if (!n->name)
        fail_nomem(b);
    return n;
}

/* Input number `slot` of a node; the node's output depends on all that this value depends on. */
static void connect(const ldm_builder *b, ldm_node *n, int slot, int value)
{
    ldm_graph_value *values = b->graph->values;

    n->in[slot] = value;
    values[n->out].depends |= values[value].depends;
}

static int weight(ldm_builder *b, const char *path, const char *leaf, ldm_init init, int fan_in,
                  int ndim, int64_t d0, int64_t d1, int64_t d2, int64_t d3)
{
    char name[NAME_MAX_LEN];
    int64_t shape[4] = {d0, d1, d2, d3};

    snprintf(name, sizeof name, "%s.%s", path, leaf);
    return ldm_b_tensor(b, name, init, fan_in, ndim, shape);
}

/* A layer's shape, besides its channels. bias: NULL for none. */
typedef struct layer_kind {
    const char *weight, *bias; /* last parts of the tensors' names */
    int ndim;
    ldm_window window;
    int pad_after; /* besides: rows below and columns to the right */
} layer_kind;

/* A node whose result follows from a window that goes over x; NULL: there is no room for it. */
static ldm_node *add_windowed(ldm_builder *b, ldm_op op, const char *name, int x, int c,
                              const ldm_window *k, int pad_after)
{
    const int h = ldm_b_height(b, x) + 2 * k->pad_h + pad_after;
    const int w = ldm_b_width(b, x) + 2 * k->pad_w + pad_after;
    ldm_node *n = add_node(b, op, name, c, (h - k->kernel_h) / k->stride + 1,
                           (w - k->kernel_w) / k->stride + 1);

    if (!n)
        return NULL;
    connect(b, n, 0, x);
    n->kernel_h = k->kernel_h;
    n->kernel_w = k->kernel_w;
    n->stride = k->stride;
    n->pad_top = k->pad_h;
    n->pad_left = k->pad_w;
    return n;
}

static int layer(ldm_builder *b, const char *path, int x, int cin, int cout, const layer_kind *k)
{
    const ldm_window *window = &k->window;
    int fan_in = cin * window->kernel_h * window->kernel_w;
    int w = weight(b, path, k->weight, LDM_INIT_UNIFORM, fan_in, k->ndim, cout, cin,
                   window->kernel_h, window->kernel_w);
    int bias = k->bias ? weight(b, path, k->bias, LDM_INIT_UNIFORM, fan_in, 1, cout, 0, 0, 0) : -1;
    ldm_node *n;

    b->last_weight = w;
    b->last_bias = bias;
    n = add_windowed(b, k->ndim == 2 ? LDM_OP_LINEAR : LDM_OP_CONV, path, x, cout, window,
                     k->pad_after);
    if (!n)
        return 0;
    n->weight = w;
    n->bias = bias;
    return n->out;
}

static int conv(ldm_builder *b, const char *path, int x, int cin, int cout, int kernel, int ndim,
                int pad)
{
    const layer_kind kind = {"weight", "bias", ndim, {kernel, kernel, 1, pad, pad}, 0};

    return layer(b, path, x, cin, cout, &kind);
}

void ldm_b_zero(ldm_builder *b)
{
    if (!b->declared || failed(b))
        return;
    b->declared->tensors[b->last_weight].init = LDM_INIT_ZEROS;
    if (b->last_bias >= 0)
        b->declared->tensors[b->last_bias].init = LDM_INIT_ZEROS;
}

int ldm_b_conv(ldm_builder *b, const char *path, int x, int cin, int cout, int kernel)
{
    return conv(b, path, x, cin, cout, kernel, 4, kernel / 2);
}

int ldm_b_conv_named(ldm_builder *b, const char *path, const char *weight_name,
                     const char *bias_name, int x, int cin, int cout, const ldm_window *k)
{
    const layer_kind kind = {weight_name, bias_name, 4, *k, 0};

    return layer(b, path, x, cin, cout, &kind);
}

int ldm_b_conv_unbiased(ldm_builder *b, const char *path, int x, int cin, int cout, int kernel)
{
    const layer_kind kind = {"weight", NULL, 4, {kernel, kernel, 1, kernel / 2, kernel / 2}, 0};

    return layer(b, path, x, cin, cout, &kind);
}

int ldm_b_conv_down(ldm_builder *b, const char *path, int x, int c, int cout, bool pad_all)
{
    const int pad = pad_all ? 1 : 0;
    const layer_kind kind = {"weight", "bias", 4, {3, 3, 2, pad, pad}, 1 - pad};

    return layer(b, path, x, c, cout, &kind);
}

int ldm_b_conv1d(ldm_builder *b, const char *path, int x, int cin, int cout)
{
    return conv(b, path, x, cin, cout, 1, 3, 0);
}

int ldm_b_linear(ldm_builder *b, const char *path, int x, int cin, int cout)
{
    return conv(b, path, x, cin, cout, 1, 2, 0);
}

int ldm_b_linear_named(ldm_builder *b, const char *path, const char *weight_name,
                       const char *bias_name, int x, int cin, int cout)
{
    const layer_kind kind = {weight_name, bias_name, 2, {1, 1, 1, 0, 0}, 0};

    return layer(b, path, x, cin, cout, &kind);
}

int ldm_b_linear_unbiased(ldm_builder *b, const char *path, int x, int cin, int cout)
{
    return ldm_b_linear_named(b, path, "weight", NULL, x, cin, cout);
}

static int norm(ldm_builder *b, ldm_op op, const char *path, int x, int c, int groups, double eps)
{
    int w = weight(b, path, "weight", LDM_INIT_ONES, 0, 1, c, 0, 0, 0);
    int bias = weight(b, path, "bias", LDM_INIT_ZEROS, 0, 1, c, 0, 0, 0);
    ldm_node *n = add_node(b, op, path, c, ldm_b_height(b, x), ldm_b_width(b, x));

    if (!n)
        return 0;
    connect(b, n, 0, x);
    n->weight = w;
    n->bias = bias;
    n->groups = groups;
    n->eps = eps;
    return n->out;
}

int ldm_b_norm(ldm_builder *b, const char *path, int x, int c, double eps)
{
    return norm(b, LDM_OP_NORM, path, x, c, GROUPS, eps);
}

int ldm_b_layer_norm(ldm_builder *b, const char *path, int x, int c, double eps)
{
    return norm(b, LDM_OP_LAYER_NORM, path, x, c, 0, eps);
}

int ldm_b_embedding(ldm_builder *b, const char *table, int ids, int entries, int c,
                    const char *positions, int length)
{
    const int64_t rows[2] = {entries, c}, places[2] = {length, c};
    int w = ldm_b_tensor(b, table, LDM_INIT_NORMAL, 0, 2, rows);
    int p = positions ? ldm_b_tensor(b, positions, LDM_INIT_NORMAL, 0, 2, places) : -1;
    ldm_node *n =
        add_node(b, LDM_OP_EMBEDDING, table, c, ldm_b_height(b, ids), ldm_b_width(b, ids));

    if (!n)
        return 0;
    connect(b, n, 0, ids);
    n->weight = w;
    n->bias = p;
    return n->out;
}

int ldm_b_pool(ldm_builder *b, ldm_op op, int x, int c, const ldm_window *k)
{
    const ldm_node *n = add_windowed(b, op, ldm_op_name(op), x, c, k, 0);

    return n ? n->out : 0;
}

int ldm_b_unary(ldm_builder *b, ldm_op op, int x, int c)
{
    int h = ldm_b_height(b, x), w = ldm_b_width(b, x);
    ldm_node *n;

    if (op == LDM_OP_UPSAMPLE) {
        h *= 2;
        w *= 2;
    } else if (op == LDM_OP_AVG_POOL) {
        return ldm_b_pool(b, op, x, c, &(ldm_window){.kernel_h = 2, .kernel_w = 2, .stride = 2});
    }
    n = add_node(b, op, ldm_op_name(op), c, h, w);
    if (!n)
        return 0;
    connect(b, n, 0, x);
    return n->out;
}

static int binary(ldm_builder *b, ldm_op op, int x, int y, int c)
{
    ldm_node *n = add_node(b, op, ldm_op_name(op), c, ldm_b_height(b, x), ldm_b_width(b, x));

    if (!n)
        return 0;
    connect(b, n, 0, x);
    connect(b, n, 1, y);
    return n->out;
}

int ldm_b_add(ldm_builder *b, int x, int y, int c)
{
    return binary(b, LDM_OP_ADD, x, y, c);
}

int ldm_b_add_vector(ldm_builder *b, int x, int v, int c)
{
    return binary(b, LDM_OP_ADD_VECTOR, x, v, c);
}

int ldm_b_scale_shift(ldm_builder *b, int x, int v, int c)
{
    return binary(b, LDM_OP_SCALE_SHIFT, x, v, c);
}

int ldm_b_concat(ldm_builder *b, int x, int cx, int y, int cy)
{
    return binary(b, LDM_OP_CONCAT, x, y, cx + cy);
}

int ldm_b_timestep_embed(ldm_builder *b, int t, int c)
{
    ldm_node *n = add_node(b, LDM_OP_TIMESTEP_EMBED, "timestep_embedding", c, 1, 1);

    if (!n)
        return 0;
    connect(b, n, 0, t);
    return n->out;
}

int ldm_b_attention_qkv(ldm_builder *b, int qkv, int c, int heads, bool heads_first)
{
    ldm_node *n =
        add_node(b, LDM_OP_ATTENTION, "attention", c, ldm_b_height(b, qkv), ldm_b_width(b, qkv));

    if (!n)
        return 0;
    connect(b, n, 0, qkv);
    n->heads = heads;
    n->head_dim = c / heads;
    n->heads_first = heads_first;
    return n->out;
}

int ldm_b_attention(ldm_builder *b, int q, int k, int v, int c, int heads)
{
    int out = ldm_b_attention_qkv(b, q, c, heads, false);

    if (b->graph && !failed(b)) {
        ldm_node *n = &b->graph->nodes[b->graph->node_count - 1];

        connect(b, n, 1, k);
        connect(b, n, 2, v);
    }
    return out;
}

void ldm_b_causal(ldm_builder *b)
{
    if (b->graph && !failed(b))
        b->graph->nodes[b->graph->node_count - 1].causal = true;
}

int ldm_b_quantize(ldm_builder *b, const char *path, int x, int c, int entries, bool index)
{
    int w = weight(b, path, "weight", LDM_INIT_CODEBOOK, 0, 2, entries, c, 0, 0);
    ldm_node *n = add_node(b, index ? LDM_OP_QUANTIZE_INDEX : LDM_OP_QUANTIZE, path, index ? 1 : c,
                           ldm_b_height(b, x), ldm_b_width(b, x));

    if (!n)
        return 0;
    connect(b, n, 0, x);
    n->weight = w;
    return n->out;
}
