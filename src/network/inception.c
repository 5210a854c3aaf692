/* SPDX-License-Identifier: MIT */
/* The Inception network of 2015; see inception.h. The blocks have the names that torchvision gave
 * them: A keeps 35x35 pixels, B goes to 17x17, C keeps them, D goes to 8x8, E keeps those. */
#include "network/inception.h"

#include <stdio.h>

#include "network/builder.h"

/* A block's branches put their parts into `parts`. */
typedef struct block {
    ldm_builder *b;
    const char *name; /* "Mixed_5b" */
    int x, cin;       /* its input */
    int y, cout;      /* what its branches have given so far; cout 0: nothing */
    const char *dump; /* of every part; NULL: not dumped */
} block;

static const ldm_window k1x1 = {1, 1, 1, 0, 0}, k3x3 = {3, 3, 1, 1, 1}, k5x5 = {5, 5, 1, 2, 2};
static const ldm_window k1x7 = {1, 7, 1, 0, 3}, k7x1 = {7, 1, 1, 3, 0};
static const ldm_window k1x3 = {1, 3, 1, 0, 1}, k3x1 = {3, 1, 1, 1, 0};
static const ldm_window k3x3_inside = {3, 3, 1, 0, 0}, k3x3_half = {3, 3, 2, 0, 0};

/* Convolution, BatchNorm and ReLU: torchvision's BasicConv2d. */
static int unit(ldm_builder *b, const char *path, int x, int cin, int cout, const ldm_window *k)
{
    static const char *const norm[] = {"bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"};
    const int64_t shape[4] = {cout, cin, k->kernel_h, k->kernel_w};
    const int fan_in = cin * k->kernel_h * k->kernel_w;
    char name[LDM_PATH_LEN];
    int i, y;

    ldm_b_tensor(b, ldm_b_join(name, path, "conv.weight"), LDM_INIT_UNIFORM, fan_in, 4, shape);
    for (i = 0; i < 4; i++)
        ldm_b_tensor(b, ldm_b_join(name, path, norm[i]), i % 3 ? LDM_INIT_ZEROS : LDM_INIT_ONES, 0,
                     1, shape);
    y = ldm_b_conv_named(b, path, "conv.weight", "bn.bias", x, cin, cout, k);
    return ldm_b_unary(b, LDM_OP_RELU, y, cout);
}

static int largest(ldm_builder *b, int x, int c)
{
    return ldm_b_pool(b, LDM_OP_MAX_POOL, x, c, &k3x3_half);
}

/* A layer of a block's branch. */
static int layer(const block *k, const char *branch, int x, int cin, int cout,
                 const ldm_window *window)
{
    char path[LDM_PATH_LEN];

    return unit(k->b, ldm_b_join(path, k->name, branch), x, cin, cout, window);
}

/* Appends a part to the block's result. */
static void put(block *k, int x, int c)
{
    k->y = k->cout ? ldm_b_concat(k->b, k->y, k->cout, x, c) : x;
    k->cout += c;
}

/* The last layer of a branch. */
static void put_layer(block *k, const char *branch, int x, int cin, int cout,
                      const ldm_window *window)
{
    const int y = layer(k, branch, x, cin, cout, window);

    if (k->dump)
        ldm_b_dump(k->b, y, "%s", k->dump);
    put(k, y, cout);
}

/* The branch of a pool that keeps the size. */
static void put_pooled(block *k, ldm_op op, int cout)
{
    put_layer(k, "branch_pool", ldm_b_pool(k->b, op, k->x, k->cin, &k3x3), k->cin, cout, &k1x1);
}

static int block_a(block k, int pooled)
{
    int y;

    put_layer(&k, "branch1x1", k.x, k.cin, 64, &k1x1);
    y = layer(&k, "branch5x5_1", k.x, k.cin, 48, &k1x1);
    put_layer(&k, "branch5x5_2", y, 48, 64, &k5x5);
    y = layer(&k, "branch3x3dbl_1", k.x, k.cin, 64, &k1x1);
    y = layer(&k, "branch3x3dbl_2", y, 64, 96, &k3x3);
    put_layer(&k, "branch3x3dbl_3", y, 96, 96, &k3x3);
    put_pooled(&k, LDM_OP_AVG_POOL, pooled);
    return k.y;
}

static int block_b(block k)
{
    int y;

    put_layer(&k, "branch3x3", k.x, k.cin, 384, &k3x3_half);
    y = layer(&k, "branch3x3dbl_1", k.x, k.cin, 64, &k1x1);
    y = layer(&k, "branch3x3dbl_2", y, 64, 96, &k3x3);
    put_layer(&k, "branch3x3dbl_3", y, 96, 96, &k3x3_half);
    put(&k, largest(k.b, k.x, k.cin), k.cin);
    return k.y;
}

static int block_c(block k, int c)
{
    int y;

    put_layer(&k, "branch1x1", k.x, k.cin, 192, &k1x1);
    y = layer(&k, "branch7x7_1", k.x, k.cin, c, &k1x1);
    y = layer(&k, "branch7x7_2", y, c, c, &k1x7);
    put_layer(&k, "branch7x7_3", y, c, 192, &k7x1);
    y = layer(&k, "branch7x7dbl_1", k.x, k.cin, c, &k1x1);
    y = layer(&k, "branch7x7dbl_2", y, c, c, &k7x1);
    y = layer(&k, "branch7x7dbl_3", y, c, c, &k1x7);
    y = layer(&k, "branch7x7dbl_4", y, c, c, &k7x1);
    put_layer(&k, "branch7x7dbl_5", y, c, 192, &k1x7);
    put_pooled(&k, LDM_OP_AVG_POOL, 192);
    return k.y;
}

static int block_d(block k)
{
    int y = layer(&k, "branch3x3_1", k.x, k.cin, 192, &k1x1);

    put_layer(&k, "branch3x3_2", y, 192, 320, &k3x3_half);
    y = layer(&k, "branch7x7x3_1", k.x, k.cin, 192, &k1x1);
    y = layer(&k, "branch7x7x3_2", y, 192, 192, &k1x7);
    y = layer(&k, "branch7x7x3_3", y, 192, 192, &k7x1);
    put_layer(&k, "branch7x7x3_4", y, 192, 192, &k3x3_half);
    put(&k, largest(k.b, k.x, k.cin), k.cin);
    return k.y;
}

/* pool: the first of the two blocks takes the mean, the second the largest. */
static int block_e(block k, ldm_op pool)
{
    int y;

    put_layer(&k, "branch1x1", k.x, k.cin, 320, &k1x1);
    y = layer(&k, "branch3x3_1", k.x, k.cin, 384, &k1x1);
    put_layer(&k, "branch3x3_2a", y, 384, 384, &k1x3);
    put_layer(&k, "branch3x3_2b", y, 384, 384, &k3x1);
    y = layer(&k, "branch3x3dbl_1", k.x, k.cin, 448, &k1x1);
    y = layer(&k, "branch3x3dbl_2", y, 448, 384, &k3x3);
    put_layer(&k, "branch3x3dbl_3a", y, 384, 384, &k1x3);
    put_layer(&k, "branch3x3dbl_3b", y, 384, 384, &k3x1);
    put_pooled(&k, pool, 192);
    return k.y;
}

static int stem(ldm_builder *b, int x)
{
    x = unit(b, "Conv2d_1a_3x3", x, 3, 32, &k3x3_half);
    x = unit(b, "Conv2d_2a_3x3", x, 32, 32, &k3x3_inside);
    x = unit(b, "Conv2d_2b_3x3", x, 32, 64, &k3x3);
    x = largest(b, x, 64);
    ldm_b_dump(b, x, "64");
    x = unit(b, "Conv2d_3b_1x1", x, 64, 80, &k1x1);
    x = unit(b, "Conv2d_4a_3x3", x, 80, 192, &k3x3_inside);
    x = largest(b, x, 192);
    ldm_b_dump(b, x, "192");
    return x;
}

static int build(ldm_builder *b)
{
    static const ldm_window all = {8, 8, 1, 0, 0};
    static const ldm_input picture = {.name = "x", .depends = LDM_DEPENDS_X, .channels_last = true};
    const int64_t classes = LDM_INCEPTION_CLASSES;
    int x = stem(b, ldm_b_input(b, picture, 3, LDM_INCEPTION_SIDE, LDM_INCEPTION_SIDE));

    x = block_a((block){.b = b, .name = "Mixed_5b", .x = x, .cin = 192}, 32);
    x = block_a((block){.b = b, .name = "Mixed_5c", .x = x, .cin = 256}, 64);
    x = block_a((block){.b = b, .name = "Mixed_5d", .x = x, .cin = 288}, 64);
    x = block_b((block){.b = b, .name = "Mixed_6a", .x = x, .cin = 288});
    x = block_c((block){.b = b, .name = "Mixed_6b", .x = x, .cin = 768}, 128);
    x = block_c((block){.b = b, .name = "Mixed_6c", .x = x, .cin = 768}, 160);
    x = block_c((block){.b = b, .name = "Mixed_6d", .x = x, .cin = 768, .dump = "spatial"}, 160);
    x = block_c((block){.b = b, .name = "Mixed_6e", .x = x, .cin = 768, .dump = "768"}, 192);
    x = block_d((block){.b = b, .name = "Mixed_7a", .x = x, .cin = 768});
    x = block_e((block){.b = b, .name = "Mixed_7b", .x = x, .cin = 1280}, LDM_OP_AVG_POOL);
    x = block_e((block){.b = b, .name = "Mixed_7c", .x = x, .cin = 2048}, LDM_OP_MAX_POOL);
    x = ldm_b_pool(b, LDM_OP_AVG_POOL, x, 2048, &all);
    ldm_b_dump(b, x, "2048");
    x = ldm_b_linear_unbiased(b, "fc", x, 2048, LDM_INCEPTION_CLASSES);
    ldm_b_tensor(b, "fc.bias", LDM_INIT_UNIFORM, 2048, 1, &classes);
    return x;
}

ldm_status ldm_inception_create(ldm_network **out, ldm_error *err)
{
    ldm_builder b = {.root = "", .err = err};
    ldm_status st = ldm_network_begin(&b.declared, err);

    *out = NULL;
    if (st)
        return st;
    b.network = b.declared;
    build(&b);
    if (b.st)
        ldm_network_free(b.declared);
    else
        *out = b.declared;
    return b.st;
}

ldm_status ldm_inception_graph(const ldm_network *s, ldm_graph **out, ldm_error *err)
{
    ldm_builder b = {.network = s, .root = "", .err = err};
    ldm_status st = ldm_graph_begin(&b.graph, err);

    *out = NULL;
    if (st)
        return st;
    b.graph->output = build(&b);
    if (b.st)
        ldm_graph_free(b.graph);
    else
        *out = b.graph;
    return b.st;
}
