/* SPDX-License-Identifier: MIT */
/* Graphs of no network: tangles that the fusing must see through, and a network with a
 * conditioning, of which what is kept between executions changes no bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpuid.h"
#include "cpu/cpu.h"
#include "naive.h"
#include "nets.h"
#include "network/builder.h"
#include "sample/rng.h"

#define EXACT_BAR 1e-5
#define F32_BAR 5e-5

/* ---- graphs of no network -------------------------------------------------------------------- */

enum { KNOTS = 24, KNOT_NODES = 14 };

typedef struct knot_inputs {
    float x[2 * 64 * 16], concat[2 * 64 * 16], labels[2 * 64], t[2], rows[3];
} knot_inputs;

/* Inputs that follow from the timestep and from the conditioning, as pictures and as vectors. */
static void condition(ldm_builder *b, int c)
{
    const unsigned cond = LDM_DEPENDS_COND;
    int t;

    ldm_b_input(b, (ldm_input){.name = "concat", .depends = cond}, c, 4, 4);
    ldm_b_input(b, (ldm_input){.name = "labels", .depends = cond}, c, 1, 1);
    t = ldm_b_input(b, (ldm_input){.name = "t", .depends = LDM_DEPENDS_TIME}, 1, 1, 1);
    ldm_b_unary(b, LDM_OP_SILU, ldm_b_timestep_embed(b, t, c), c);
}

/* A random pile of nodes: values with several readers or none, the same value twice in a node, sums
 * of two convolutions, concats of concats and of the input, an output that others read. */
static ldm_graph *tangle(const test_net *net, uint32_t seed, bool conditioned)
{
    static const ldm_op unary[] = {LDM_OP_SILU, LDM_OP_UPSAMPLE, LDM_OP_AVG_POOL};
    ldm_graph *g = ldm_calloc(1, sizeof *g);
    ldm_error err = {.msg = ""};
    ldm_builder b = {.network = net->network, .graph = g, .err = &err, .root = "first_stage_model"};
    int c = (int)net->network
                ->tensors[ldm_network_find(net->network,
                                           "first_stage_model.decoder.mid.block_1.conv1.weight")]
                .shape[0];

    assert_non_null(g);
    g->arena = ldm_arena_create(0);
    assert_non_null(g->arena);
    ldm_b_input(&b, (ldm_input){.name = "x", .depends = LDM_DEPENDS_X}, c, 4, 4);
    if (conditioned)
        condition(&b, c);
    g->feature = -1;
    while (g->node_count < (conditioned ? 2 : 1) * KNOT_NODES && !b.st) {
        int x = net_pick(&seed, g->value_count), y = net_pick(&seed, g->value_count);
        ldm_graph_value vx = g->values[x], vy = g->values[y];
        bool alike = vx.h == vy.h && vx.w == vy.w;
        ldm_op op = unary[net_pick(&seed, 3)];

        switch (net_pick(&seed, conditioned ? 8 : 6)) {
        case 0:
        case 1:
            if (vx.c == c)
                ldm_b_conv(&b, "decoder.mid.block_1.conv1", x, c, c, 3);
            break;
        case 2:
            if (vx.c == c)
                ldm_b_norm(&b, "decoder.mid.block_1.norm1", x, c, 1e-6);
            break;
        case 3:
            if ((op != LDM_OP_UPSAMPLE || vx.h < 16) && (op != LDM_OP_AVG_POOL || vx.h > 2))
                ldm_b_unary(&b, op, x, vx.c);
            break;
        case 4:
            if (alike && vx.c == vy.c)
                ldm_b_add(&b, x, y, vx.c);
            break;
        case 5:
            if (alike && vx.c + vy.c <= 6 * c)
                ldm_b_concat(&b, x, vx.c, y, vy.c);
            break;
        case 6:
            if (vx.c == vy.c && vy.h == 1)
                ldm_b_add_vector(&b, x, y, vx.c);
            break;
        default:
            if (vx.c == c && vy.c == c)
                ldm_b_attention(&b, x, y, y, c, 2);
        }
    }
    if (b.st)
        fail_msg("%s", err.msg);
    g->output = 1 + net_pick(&seed, g->value_count - 1);
    return g;
}

static knot_inputs *draw(uint32_t seed)
{
    static ldm_rng rng;
    static knot_inputs k;

    ldm_rng_seed(&rng, seed);
    ldm_rng_randn(&rng, k.x, sizeof k.x / sizeof *k.x);
    ldm_rng_randn(&rng, k.concat, sizeof k.concat / sizeof *k.concat);
    ldm_rng_randn(&rng, k.labels, sizeof k.labels / sizeof *k.labels);
    k.t[0] = k.t[1] = k.rows[1] = 412.75f;
    k.rows[0] = 999;
    k.rows[2] = 3;
    return &k;
}

static net_run run_of(const knot_inputs *k)
{
    static ldm_cpu cpu;

    ldm_cpu_detect(&cpu);
    return (net_run){
        .backend = ldm_cpu_backend(&cpu),
        .precision = LDM_PRECISION_EXACT,
        .n = 2,
        .threads = 2,
        .inputs = {{"x", k->x}, {"concat", k->concat}, {"labels", k->labels}, {"t", k->t}},
        .time_rows = {{"t", k->rows}},
        .row = 1,
    };
}

static void tangled_graphs_run_as_they_stand(void **state)
{
    test_net net = net_make(1);
    const net_run run = run_of(draw(3));
    uint32_t seed;
    int i;

    (void)state;
    for (seed = 1; seed <= 3 * KNOTS; seed++) {
        const bool conditioned = seed > KNOTS;
        ldm_graph *g = tangle(&net, seed, conditioned);
        size_t floats = net_numel(g, g->output);
        char what[32];
        float *out;

        net_check_plan(g);
        snprintf(what, sizeof what, "knot %u", (unsigned)seed);
        out = net_execute(&net, tangle(&net, seed, conditioned), &run, what);
        for (i = 0; i < 2; i++) {
            float *want = naive_run(net.network, g, net.weights, run.inputs, i);

            assert_non_null(want);
            if (!(net_distance(out + (size_t)i * floats, want, floats) < EXACT_BAR))
                fail_msg("%s: sample %d differs", what, i);
            free(want);
        }
        free(out);
        ldm_graph_free(g);
    }
    net_free(&net);
}

/* Executes with each choice of what is kept, and compares to the last bit. g: makes the same graph
 * at each call. */
static void check_kept(const test_net *net, ldm_graph *(*make)(const test_net *, uint32_t),
                       uint32_t seed, const net_run *run)
{
    ldm_graph *g = make(net, seed);
    const size_t bytes = (size_t)run->n * net_numel(g, g->output) * sizeof(float);
    float *want = net_execute(net, g, run, "without kept values");
    int i;

    for (i = 1; i < 4; i++) {
        net_run kept = *run;
        char what[64];
        float *out;

        kept.times = i & 1 ? 3 : 0;
        kept.keep_cond = i & 2;
        snprintf(what, sizeof what, "seed %u, kept: %s%s", (unsigned)seed, i & 1 ? "times " : "",
                 i & 2 ? "conditioning" : "");
        out = net_execute(net, make(net, seed), &kept, what);
        if (memcmp(want, out, bytes))
            fail_msg("the results differ: %s", what);
        free(out);
    }
    free(want);
}

static ldm_graph *conditioned_tangle(const test_net *net, uint32_t seed)
{
    return tangle(net, seed, true);
}

static void kept_values_change_nothing_in_tangles(void **state)
{
    test_net net = net_make(1);
    const net_run run = run_of(draw(4));
    uint32_t seed;

    (void)state;
    for (seed = 1; seed <= 4 * KNOTS; seed++)
        check_kept(&net, conditioned_tangle, seed, &run);
    net_free(&net);
}

/* ---- a network with a conditioning ----------------------------------------------------------- */

enum { TOY_C = 32, TOY_SIDE = 8, TOKENS = 5, WIDTH = 24, TOY_BATCH = 3 };

/* What a conditioned UNet is made of: a picture to concatenate, tokens that are attended to, a
 * class that is added to the timestep's embedding. */
static int toy(ldm_builder *b)
{
    const unsigned cond = LDM_DEPENDS_COND;
    const int side = TOY_SIDE, c = TOY_C;
    int x, t, concat, context, labels, e, h, k, v;

    b->root = "toy";
    b->component = LDM_COMPONENT_UNET;
    b->used = LDM_USED_UNET;
    x = ldm_b_input(b, (ldm_input){.name = "x", .depends = LDM_DEPENDS_X}, 4, side, side);
    t = ldm_b_input(b, (ldm_input){.name = "t", .depends = LDM_DEPENDS_TIME}, 1, 1, 1);
    concat = ldm_b_input(b, (ldm_input){.name = "concat", .depends = cond}, 3, side, side);
    context = ldm_b_input(b, (ldm_input){.name = "context", .depends = cond, .channels_last = true},
                          WIDTH, TOKENS, 1);
    labels = ldm_b_input(b, (ldm_input){.name = "labels", .depends = cond}, 1, 1, 1);

    e = ldm_b_linear(b, "time_embed", ldm_b_timestep_embed(b, t, c), c, 2 * c);
    e = ldm_b_add(b, e, ldm_b_linear(b, "label_emb", labels, 1, 2 * c), 2 * c);
    e = ldm_b_unary(b, LDM_OP_SILU, e, 2 * c);
    h = ldm_b_conv(b, "in", ldm_b_concat(b, x, 4, concat, 3), 7, c, 3);
    k = ldm_b_linear(b, "emb_1", e, 2 * c, 2 * c);
    h = ldm_b_scale_shift(b, ldm_b_norm(b, "norm_1", h, c, 1e-5), k, c);
    h = ldm_b_unary(b, LDM_OP_SILU, h, c);
    h = ldm_b_conv(b, "conv_1", h, c, c, 3);
    h = ldm_b_add_vector(b, h, ldm_b_linear(b, "emb_2", e, 2 * c, c), c);
    h = ldm_b_add(b, h, ldm_b_conv(b, "hint", concat, 3, c, 3), c);
    k = ldm_b_linear_unbiased(b, "to_k", context, WIDTH, c);
    v = ldm_b_linear_unbiased(b, "to_v", context, WIDTH, c);
    e = ldm_b_linear_unbiased(b, "to_q", ldm_b_layer_norm(b, "norm_2", h, c, 1e-5), c, c);
    h = ldm_b_add(b, h, ldm_b_attention(b, e, k, v, c, 4), c);
    e = ldm_b_linear(b, "proj", ldm_b_layer_norm(b, "norm_3", h, c, 1e-5), c, 8 * c);
    e = ldm_b_unary(b, LDM_OP_GEGLU, e, 4 * c);
    h = ldm_b_add(b, h, ldm_b_linear(b, "ff", e, 4 * c, c), c);
    h = ldm_b_norm(b, "norm_4", ldm_b_concat(b, h, c, ldm_b_conv(b, "hint", concat, 3, c, 3), c),
                   2 * c, 1e-5);
    return ldm_b_conv(b, "out", h, 2 * c, 4, 3);
}

enum { WORDS = 40, LENGTH = 9 };

/* What text encoders are made of: rows of a table with positions, causal attention, an MLP. */
static int text(ldm_builder *b)
{
    const int c = TOY_C;
    int ids, h, x, q, k, v;

    b->root = "toy_text";
    b->component = LDM_COMPONENT_COND_STAGE;
    b->used = LDM_USED_UNET;
    ids = ldm_b_input(b, (ldm_input){.name = "ids", .depends = LDM_DEPENDS_X}, 1, LENGTH, 1);
    h = ldm_b_embedding(b, "token.weight", ids, WORDS, c, "positions", LENGTH);
    x = ldm_b_layer_norm(b, "norm_1", h, c, 1e-5);
    q = ldm_b_linear(b, "q", x, c, c);
    k = ldm_b_linear(b, "k", x, c, c);
    v = ldm_b_linear_unbiased(b, "v", x, c, c);
    x = ldm_b_attention(b, q, k, v, c, 4);
    ldm_b_causal(b);
    h = ldm_b_add(b, h, ldm_b_linear(b, "out", x, c, c), c);
    x = ldm_b_linear_named(b, "attn", "in_proj_weight", "in_proj_bias", h, c, 3 * c);
    x = ldm_b_attention_qkv(b, x, c, 2, false);
    ldm_b_causal(b);
    h = ldm_b_add(b, h, x, c);
    x = ldm_b_linear(b, "fc1", ldm_b_layer_norm(b, "norm_2", h, c, 1e-5), c, 4 * c);
    x = ldm_b_unary(b, LDM_OP_QUICK_GELU, x, 4 * c);
    h = ldm_b_add(b, h, ldm_b_linear(b, "fc2", x, 4 * c, c), c);
    x = ldm_b_unary(b, LDM_OP_GELU, ldm_b_linear(b, "fc3", h, c, 3 * c), 3 * c);
    return ldm_b_add(b, h, ldm_b_linear(b, "fc4", x, 3 * c, c), c);
}

static ldm_graph *graph_of(const test_net *net, int (*build)(ldm_builder *))
{
    ldm_graph *g = ldm_calloc(1, sizeof *g);
    ldm_error err = {.msg = ""};
    ldm_builder b = {.network = net->network, .graph = g, .err = &err};

    assert_non_null(g);
    g->arena = ldm_arena_create(0);
    assert_non_null(g->arena);
    g->feature = -1;
    g->output = build(&b);
    if (b.st)
        fail_msg("%s", err.msg);
    return g;
}

static ldm_graph *toy_graph(const test_net *net, uint32_t seed)
{
    (void)seed;
    return graph_of(net, toy);
}

static void kept_values_change_nothing_in_networks(void **state)
{
    static float x[TOY_BATCH * 4 * 64], concat[TOY_BATCH * 3 * 64];
    static float context[TOY_BATCH * TOKENS * WIDTH];
    static const float labels[TOY_BATCH] = {3, -1, 7}, t[TOY_BATCH] = {20.5f, 20.5f, 20.5f};
    static const float rows[3] = {999, 20.5f, 20};
    static const char *const isas[] = {"c", "avx2", NULL};
    static ldm_rng rng;
    test_net net = net_make(1);
    ldm_builder b = {.network = net.network, .declared = net.network};
    net_run run = {.n = TOY_BATCH,
                   .inputs = {{"labels", labels},
                              {"context", context},
                              {"concat", concat},
                              {"x", x},
                              {"t", t}},
                   .time_rows = {{"t", rows}},
                   .row = 1};
    ldm_graph *g;
    int i, k;

    (void)state;
    toy(&b); /* declares its tensors */
    assert_int_equal(b.st, LDM_OK);
    net_fill(&net);
    ldm_rng_seed(&rng, 8);
    ldm_rng_randn(&rng, x, sizeof x / sizeof *x);
    ldm_rng_randn(&rng, concat, sizeof concat / sizeof *concat);
    ldm_rng_randn(&rng, context, sizeof context / sizeof *context);
    g = toy_graph(&net, 0);
    net_check_plan(g);
    for (i = 0; i < 6; i++) {
        size_t floats = net_numel(g, g->output);
        ldm_cpu cpu;
        float *out;

        ldm_cpu_detect(&cpu);
        assert_int_equal(ldm_cpu_cap(&cpu, isas[i % 3], NULL), LDM_OK);
        run.backend = ldm_cpu_backend(&cpu);
        run.precision = i < 3 ? LDM_PRECISION_EXACT : LDM_PRECISION_F32;
        run.threads = 1 + i % 2;
        check_kept(&net, toy_graph, 0, &run);
        out = net_execute(&net, toy_graph(&net, 0), &run, "the toy");
        for (k = 0; k < TOY_BATCH; k++) {
            float *want = naive_run(net.network, g, net.weights, run.inputs, k);

            assert_non_null(want);
            assert_true(net_distance(out + (size_t)k * floats, want, floats) <
                        (i < 3 ? EXACT_BAR : F32_BAR));
            free(want);
        }
        free(out);
    }
    ldm_graph_free(g);
    net_free(&net);
}

/* Text of several lengths in one batch; and numbers that are no row's do no harm. */
static void text_encoders_equal_their_graphs(void **state)
{
    static const float ids[2 * LENGTH] = {0, 39, 1, 1, 38, 7, 0, 0, 0, 5, 6, 7, 8, 9, 39, 39, 2, 1};
    static const float wild[2 * LENGTH] = {-1, 1e30f, NAN, 40, INFINITY, -INFINITY};
    static const char *const isas[] = {"c", "avx2", NULL};
    test_net net = net_make(1);
    ldm_builder b = {.network = net.network, .declared = net.network};
    net_run run = {.precision = LDM_PRECISION_EXACT, .n = 2, .inputs = {{"ids", ids}}};
    ldm_graph *g;
    int i, k;

    (void)state;
    text(&b);
    assert_int_equal(b.st, LDM_OK);
    net_fill(&net);
    g = graph_of(&net, text);
    net_check_plan(g);
    for (i = 0; i < 3; i++) {
        size_t floats = net_numel(g, g->output), at;
        ldm_cpu cpu;
        float *out;

        ldm_cpu_detect(&cpu);
        assert_int_equal(ldm_cpu_cap(&cpu, isas[i], NULL), LDM_OK);
        run.backend = ldm_cpu_backend(&cpu);
        run.threads = 1 + i;
        run.inputs[0].data = ids;
        out = net_execute(&net, graph_of(&net, text), &run, "text");
        for (k = 0; k < 2; k++) {
            float *want = naive_run(net.network, g, net.weights, run.inputs, k);

            assert_non_null(want);
            assert_true(net_distance(out + (size_t)k * floats, want, floats) < EXACT_BAR);
            free(want);
        }
        free(out);
        run.inputs[0].data = wild;
        out = net_execute(&net, graph_of(&net, text), &run, "text");
        for (at = 0; at < 2 * floats; at++)
            assert_true(isfinite(out[at]));
        free(out);
    }
    ldm_graph_free(g);
    net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tangled_graphs_run_as_they_stand),
        cmocka_unit_test(kept_values_change_nothing_in_tangles),
        cmocka_unit_test(kept_values_change_nothing_in_networks),
        cmocka_unit_test(text_encoders_equal_their_graphs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
