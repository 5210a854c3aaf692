/* SPDX-License-Identifier: MIT */
/* Fused, planned and packed execution against graphs computed node by node, over random networks;
 * and the memory plan: no step reads what another has overwritten. (Here and not beside exec,
 * because it runs on the CPU's backend.) */
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
#include "exec/exec.h"
#include "exec/plan.h"
#include "naive.h"
#include "nets.h"
#include "sample/rng.h"
#include "network/builder.h"
#include "network/network_testing.h"

enum { MAX_BATCH = 3, AHEAD = 500 };

/* Sanitizers are slow, and look at every access whatever the network. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { NETWORKS = 6, STAGES = 6 };
#else
enum { NETWORKS = 16, STAGES = 16 };
#endif

/* Winograd's rounding is larger, and GroupNorm over a few pixels of random networks enlarges it. */
#define EXACT_BAR 1e-5
#define F32_BAR 5e-5

/* ---- results --------------------------------------------------------------------------------- */

static void check_part(const test_net *net, ldm_graph_part part, int h, int w, uint32_t seed,
                       double *worst)
{
    static const char *const isas[] = {"c", "avx2", NULL};
    static const float times[MAX_BATCH] = {7, 500, 999};
    static ldm_rng rng;
    int n = 1 + net_pick(&seed, MAX_BATCH), threads = 1 + net_pick(&seed, 3), i;
    ldm_precision precision = net_pick(&seed, 2) ? LDM_PRECISION_F32 : LDM_PRECISION_EXACT;
    size_t in_floats, out_floats;
    float *in, *out;
    double bar;
    char what[700];
    ldm_graph *g, *again;
    net_run run;
    ldm_cpu cpu;

    bar = precision == LDM_PRECISION_F32 ? F32_BAR : EXACT_BAR;
    ldm_cpu_detect(&cpu);
    assert_int_equal(ldm_cpu_cap(&cpu, isas[net_pick(&seed, 3)], NULL), LDM_OK);
    assert_int_equal(ldm_graph_create(net->network, part, (ldm_graph_size){h, w, 0}, &g, NULL),
                     LDM_OK);
    assert_int_equal(ldm_graph_create(net->network, part, (ldm_graph_size){h, w, 0}, &again, NULL),
                     LDM_OK);
    in_floats = net_numel(g, ldm_graph_input(g, "x"));
    out_floats = net_numel(g, g->output);
    in = malloc((size_t)n * in_floats * sizeof *in);
    assert_non_null(in);
    ldm_rng_seed(&rng, seed);
    ldm_rng_randn(&rng, in, (size_t)n * in_floats);
    snprintf(what, sizeof what, "part %d, %d x %d, batch %d, %d threads, %s, %s: %s", (int)part, h,
             w, n, threads, ldm_isa_name(cpu.isa), precision == LDM_PRECISION_F32 ? "f32" : "exact",
             net->text);
    run = (net_run){ldm_cpu_backend(&cpu), precision, n, threads,
                    .inputs = {{"x", in}, {"t", times}}};
    out = net_execute(net, again, &run, what);
    for (i = 0; i < n; i++) {
        float *want = naive_run(net->network, g, net->weights, run.inputs, i);
        double d;

        assert_non_null(want);
        d = net_distance(out + (size_t)i * out_floats, want, out_floats);
        if (!(d < bar))
            fail_msg("sample %d is %.2e off: %s", i, d, what);
        if (d > worst[precision])
            worst[precision] = d;
        free(want);
    }
    free(in);
    free(out);
    ldm_graph_free(g);
}

static void programs_equal_their_graphs(void **state)
{
    double worst[2] = {0}; /* exact, f32 */
    uint32_t seed;

    (void)state;
    for (seed = 1; seed <= NETWORKS; seed++) {
        test_net net = net_make(seed);
        uint32_t r = seed * 7919;
        int part;

        for (part = LDM_GRAPH_UNET; part <= LDM_GRAPH_INDICES; part++) {
            int h = 2 * (2 + net_pick(&r, 3)), w = 2 * (2 + net_pick(&r, 3));
            check_part(&net, (ldm_graph_part)part, h, w, r + (uint32_t)part, worst);
        }
        net_free(&net);
    }
    print_message("%d networks, worst relative distance %.2e (exact), %.2e (f32)\n", NETWORKS,
                  worst[LDM_PRECISION_EXACT], worst[LDM_PRECISION_F32]);
}

/* First stages without a codebook: what is declared is what the graphs read, and the program gives
 * what its graph gives. An identity has no nodes at all. */
static void other_first_stages_equal_their_graphs(void **state)
{
    static const char *const names[] = {"AutoencoderKL", "IdentityFirstStage"};
    double worst[2] = {0};
    uint32_t seed;

    (void)state;
    for (seed = 1; seed <= STAGES; seed++) {
        test_net net = net_make_stage(seed, names[seed % 2]);
        uint32_t r = seed * 7919;
        ldm_error err;
        ldm_graph *g;
        int part;

        for (part = LDM_GRAPH_ENCODE; part <= LDM_GRAPH_DECODE; part++) {
            int h = 2 * (2 + net_pick(&r, 3)), w = 2 * (2 + net_pick(&r, 3));

            check_part(&net, (ldm_graph_part)part, h, w, r + (uint32_t)part, worst);
        }
        assert_int_equal(
            ldm_graph_create(net.network, LDM_GRAPH_QUANTIZE, (ldm_graph_size){4, 4, 0}, &g, &err),
            LDM_ERR_USAGE);
        assert_non_null(strstr(err.msg, "has no codebook"));
        net_free(&net);
    }
}

/* ---- the outermost blocks alone -------------------------------------------------------------- */

/* Sizes of latents: at 48x48 convolutions are F(4,3), tell moments, and with one thread normalise.
 */
enum { SMALL_H = 8, SMALL_W = 4, LARGE = 48 };

typedef struct size {
    int h, w;
} size;

static size size_of(uint32_t seed)
{
    return seed % 4 ? (size){SMALL_H, SMALL_W} : (size){LARGE, LARGE};
}

static ldm_weights *unet_weights(test_net *net, size at, const ldm_backend *b, ldm_pool *pool)
{
    const ldm_weight_source src = net_source(net);
    ldm_weights *weights;
    ldm_graph *g;

    assert_int_equal(
        ldm_graph_create(net->network, LDM_GRAPH_UNET, (ldm_graph_size){at.h, at.w, 0}, &g, NULL),
        LDM_OK);
    assert_int_equal(
        ldm_weights_create(net->network, g, b, LDM_PRECISION_F32, &src, pool, &weights, NULL),
        LDM_OK);
    ldm_graph_free(g);
    return weights;
}

/* A program over weights that are there already; the arena is filled with NaN before. t NULL: all
 * samples are at AHEAD, one of several timesteps that are prepared. */
static void run_part(const test_net *net, ldm_graph_part part, size at, int n,
                     const ldm_weights *weights, const ldm_backend *b, ldm_pool *pool,
                     const float *in, const float *t, float **feature, float *out)
{
    static const float prepared[] = {999, AHEAD, 7.25f};
    const ldm_named_array ahead[LDM_MAX_INPUTS] = {{"t", prepared}};
    ldm_execution run = {.inputs = {{"x", in}, {"t", t}}, .out = out};
    ldm_error err = {.msg = ""};
    ldm_kept *times = NULL;
    ldm_program *p = NULL;
    ldm_graph *g;
    float *arena;
    size_t floats, i;

    assert_int_equal(
        ldm_graph_create(net->network, part, (ldm_graph_size){at.h, at.w, 0}, &g, NULL), LDM_OK);
    if (ldm_program_create(g, weights, b, LDM_PRECISION_F32, n, ldm_pool_threads(pool), &p, &err))
        fail_msg("%s: %s", net->text, err.msg);
    assert_true(ldm_program_feature_floats(p) > 0);
    if (!*feature)
        *feature = calloc(ldm_program_feature_floats(p), sizeof **feature);
    floats = ldm_program_arena_floats(p);
    arena = ldm_pages_alloc(floats * sizeof *arena);
    assert_true(*feature && arena);
    for (i = 0; i < floats; i++)
        arena[i] = NAN;
    if (!t) {
        assert_int_equal(ldm_kept_create(p, LDM_DEPENDS_TIME, 3, &times, &err), LDM_OK);
        assert_int_equal(ldm_kept_fill(times, p, pool, arena, ahead, 4, NULL), LDM_ERR_USAGE);
        assert_int_equal(ldm_kept_row(times, AHEAD), -1);
        assert_int_equal(ldm_kept_fill(times, p, pool, arena, ahead, 3, &err), LDM_OK);
        assert_int_equal(ldm_kept_row(times, 7.25), 2);
        assert_int_equal(ldm_kept_row(times, 7), -1);
        run.time = (ldm_kept_rows){times, ldm_kept_row(times, AHEAD)};
        for (i = 0; i < floats; i++)
            arena[i] = NAN;
    }
    if (part == LDM_GRAPH_UNET)
        run.feature = *feature;
    else
        run.inputs[2] = (ldm_named_array){"feature", *feature};
    assert_int_equal(ldm_program_run(p, pool, arena, &run, &err), LDM_OK);
    ldm_kept_free(times);
    ldm_pages_free(arena, floats * sizeof *arena);
    ldm_program_free(p);
}

/* With the feature of the same evaluation the outermost blocks give the whole network's result to
 * the last bit, whatever the number of threads; with another evaluation's feature they do not. */
static void the_outermost_blocks_continue_the_whole(void **state)
{
    static const float times[MAX_BATCH] = {7, 500, 999};
    static ldm_rng rng;
    uint32_t seed;
    ldm_cpu cpu;

    (void)state;
    ldm_cpu_detect(&cpu);
    ldm_rng_seed(&rng, 5);
    for (seed = 1; seed <= NETWORKS; seed++) {
        test_net net = net_make(seed);
        const ldm_backend *b = ldm_cpu_backend(&cpu);
        const size at = size_of(seed);
        const size_t floats = (size_t)(at.h * at.w * MAX_BATCH);
        size_t in_floats = (size_t)net.network->unet.in_channels * floats;
        size_t out_floats = (size_t)net.network->unet.out_channels * floats;
        float *in = malloc(in_floats * sizeof *in), *feature = NULL;
        float *whole = malloc(out_floats * sizeof *whole), *shallow = malloc(out_floats * 4);
        ldm_pool *one, *three;
        ldm_weights *weights;

        assert_true(in && whole && shallow);
        ldm_rng_randn(&rng, in, in_floats);
        assert_int_equal(ldm_pool_create(1, &one, NULL), LDM_OK);
        assert_int_equal(ldm_pool_create(3, &three, NULL), LDM_OK);
        weights = unet_weights(&net, at, b, one);
        run_part(&net, LDM_GRAPH_UNET, at, MAX_BATCH, weights, b, one, in, times, &feature, whole);
        run_part(&net, LDM_GRAPH_UNET_SHALLOW, at, MAX_BATCH, weights, b, three, in, times,
                 &feature, shallow);
        if (memcmp(whole, shallow, out_floats * sizeof *whole))
            fail_msg("the results differ by %.2e: %s", net_distance(shallow, whole, out_floats),
                     net.text);
        feature[0] += 1;
        run_part(&net, LDM_GRAPH_UNET_SHALLOW, at, MAX_BATCH, weights, b, three, in, times,
                 &feature, shallow);
        assert_memory_not_equal(whole, shallow, out_floats * sizeof *whole);
        free(in);
        free(feature);
        free(whole);
        free(shallow);
        ldm_weights_free(weights);
        ldm_pool_free(one);
        ldm_pool_free(three);
        net_free(&net);
    }
}

/* What follows from the timestep, computed ahead for several at once, is what each evaluation
 * computes for itself. */
static void timesteps_ahead_change_nothing(void **state)
{
    static const ldm_graph_part parts[] = {LDM_GRAPH_UNET, LDM_GRAPH_UNET_SHALLOW};
    static const float times[MAX_BATCH] = {AHEAD, AHEAD, AHEAD};
    static ldm_rng rng;
    uint32_t seed;
    ldm_cpu cpu;

    (void)state;
    ldm_cpu_detect(&cpu);
    ldm_rng_seed(&rng, 6);
    for (seed = 1; seed <= NETWORKS; seed++) {
        test_net net = net_make(seed);
        const ldm_backend *b = ldm_cpu_backend(&cpu);
        const size at = size_of(seed);
        const size_t floats = (size_t)(at.h * at.w * MAX_BATCH);
        size_t in_floats = (size_t)net.network->unet.in_channels * floats;
        size_t out_floats = (size_t)net.network->unet.out_channels * floats;
        float *in = malloc(in_floats * sizeof *in), *feature = NULL;
        float *want = malloc(out_floats * sizeof *want), *out = malloc(out_floats * sizeof *out);
        ldm_pool *pool;
        ldm_weights *weights;
        int part;

        assert_true(in && want && out);
        ldm_rng_randn(&rng, in, in_floats);
        assert_int_equal(ldm_pool_create(2, &pool, NULL), LDM_OK);
        weights = unet_weights(&net, at, b, pool);
        for (part = 0; part < 2; part++) {
            run_part(&net, parts[part], at, MAX_BATCH, weights, b, pool, in, times, &feature, want);
            run_part(&net, parts[part], at, MAX_BATCH, weights, b, pool, in, NULL, &feature, out);
            if (memcmp(want, out, out_floats * sizeof *want))
                fail_msg("the results differ by %.2e: %s", net_distance(out, want, out_floats),
                         net.text);
        }
        free(in);
        free(feature);
        free(want);
        free(out);
        ldm_weights_free(weights);
        ldm_pool_free(pool);
        net_free(&net);
    }
}

/* ---- the memory plan ------------------------------------------------------------------------- */

/* A run's memory is that of its whole batch: the last one, which is smaller, must not take more. */
static void check_batches(const ldm_graph *g)
{
    size_t before = 0;
    ldm_steps s;
    int n;

    assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
    for (n = 1; n <= 8; n++) {
        ldm_plan plan;

        assert_int_equal(ldm_plan_create(g, &s, n, &plan, NULL), LDM_OK);
        assert_true(plan.floats >= before);
        before = plan.floats;
        ldm_plan_free(&plan);
    }
    ldm_steps_free(&s);
}

static void no_step_reads_what_was_overwritten(void **state)
{
    uint32_t seed;
    int turns = 0;

    (void)state;
    for (seed = 1; seed <= 2 * NETWORKS; seed++) {
        test_net net = net_make(seed);
        int part;

        for (part = LDM_GRAPH_UNET; part <= LDM_GRAPH_UNET_SHALLOW; part++) {
            ldm_graph *g;

            if (part == LDM_GRAPH_COND)
                continue; /* these networks are unconditional */
            assert_int_equal(ldm_graph_create(net.network, (ldm_graph_part)part,
                                              (ldm_graph_size){4, 6, 0}, &g, NULL),
                             LDM_OK);
            turns += net_check_plan(g);
            check_batches(g);
            ldm_graph_free(g);
        }
        net_free(&net);
    }
    print_message("%d blocks turned round\n", turns);
    assert_true(turns > 0);
}

/* Rows of one part are refused by another's program, and so are rows that are not filled. */
static void kept_rows_belong_to_their_part(void **state)
{
    static const float t[2] = {1, 2};
    const ldm_named_array inputs[LDM_MAX_INPUTS] = {{"t", t}};
    static const ldm_graph_part parts[] = {LDM_GRAPH_UNET, LDM_GRAPH_UNET_SHALLOW};
    const size at = {SMALL_H, SMALL_W};
    test_net net = net_make(2);
    ldm_execution e = {.out = NULL};
    ldm_program *p[2];
    ldm_weights *weights;
    ldm_kept *kept;
    ldm_pool *pool;
    ldm_cpu cpu;
    float *arena;
    size_t floats;
    int i;

    (void)state;
    ldm_cpu_detect(&cpu);
    assert_int_equal(ldm_pool_create(1, &pool, NULL), LDM_OK);
    weights = unet_weights(&net, at, ldm_cpu_backend(&cpu), pool);
    for (i = 0; i < 2; i++) {
        ldm_graph *g;

        assert_int_equal(
            ldm_graph_create(net.network, parts[i], (ldm_graph_size){at.h, at.w, 0}, &g, NULL),
            LDM_OK);
        assert_int_equal(ldm_program_create(g, weights, ldm_cpu_backend(&cpu), LDM_PRECISION_F32, 1,
                                            1, &p[i], NULL),
                         LDM_OK);
    }
    floats = ldm_program_arena_floats(p[0]);
    arena = ldm_pages_alloc(floats * sizeof *arena);
    assert_non_null(arena);
    assert_int_equal(ldm_kept_create(p[0], LDM_DEPENDS_TIME, 2, &kept, NULL), LDM_OK);
    e.time.kept = kept;
    assert_int_equal(ldm_program_run(p[0], pool, arena, &e, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_kept_fill(kept, p[1], pool, arena, inputs, 2, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_kept_fill(kept, p[0], pool, arena, inputs, 2, NULL), LDM_OK);
    assert_int_equal(ldm_program_run(p[1], pool, arena, &e, NULL), LDM_ERR_USAGE);
    e.time.row = 2;
    assert_int_equal(ldm_program_run(p[0], pool, arena, &e, NULL), LDM_ERR_USAGE);
    e.time.row = -1;
    assert_int_equal(ldm_program_run(p[0], pool, arena, &e, NULL), LDM_ERR_USAGE);
    e.time.row = 1; /* "x" is missing */
    assert_int_equal(ldm_program_run(p[0], pool, arena, &e, NULL), LDM_ERR_USAGE);
    ldm_kept_free(kept);
    ldm_pages_free(arena, floats * sizeof *arena);
    ldm_program_free(p[0]);
    ldm_program_free(p[1]);
    ldm_weights_free(weights);
    ldm_pool_free(pool);
    net_free(&net);
}

/* A norm hands its factors to a convolution only where nothing else reads its result, a concat
 * included. */
static void a_norm_that_a_concat_reads_is_not_taken(void **state)
{
    test_net net = net_make(1);
    ldm_builder declare = {.network = net.network, .declared = net.network, .root = "toy"};
    int other;

    (void)state;
    ldm_b_norm(&declare, "norm", 0, 32, 1e-5);
    ldm_b_conv(&declare, "first", 0, 32, 32, 3);
    ldm_b_conv(&declare, "second", 0, 64, 32, 3);
    for (other = 0; other < 2; other++) {
        ldm_graph *g = ldm_calloc(1, sizeof *g);
        ldm_builder b = {.network = net.network, .graph = g, .root = "toy"};
        int x, n, y, i;
        ldm_steps s;

        assert_non_null(g);
        g->arena = ldm_arena_create(0);
        g->feature = -1;
        x = ldm_b_input(&b, (ldm_input){.name = "x", .depends = LDM_DEPENDS_X}, 32, 8, 8);
        n = ldm_b_norm(&b, "norm", x, 32, 1e-5);
        y = ldm_b_conv(&b, "first", n, 32, 32, 3);
        g->output = ldm_b_conv(&b, "second", ldm_b_concat(&b, other ? n : x, 32, y, 32), 64, 32, 3);
        assert_int_equal(b.st, LDM_OK);
        assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
        for (i = 0; s.steps[i].y != y; i++)
            ;
        ldm_steps_take_norm(g, &s, i);
        assert_int_equal(s.steps[i].norm >= 0, !other);
        ldm_steps_free(&s);
        ldm_graph_free(g);
    }
    net_free(&net);
}

/* Buffers share memory: the plan of a deep network is far smaller than the sum of its values. */
static void plans_reuse_memory(void **state)
{
    test_net net = net_make(3);
    ldm_graph *g;
    ldm_steps s;
    ldm_plan plan;
    size_t sum = 0;
    int i;

    (void)state;
    assert_int_equal(
        ldm_graph_create(net.network, LDM_GRAPH_DECODE, (ldm_graph_size){16, 16, 0}, &g, NULL),
        LDM_OK);
    assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
    assert_int_equal(ldm_plan_create(g, &s, 1, &plan, NULL), LDM_OK);
    for (i = 0; i < s.count; i++)
        sum += net_numel(g, s.steps[i].y);
    assert_true(plan.floats < sum / 2);
    ldm_plan_free(&plan);
    ldm_steps_free(&s);
    ldm_graph_free(g);
    net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_equal_their_graphs),
        cmocka_unit_test(other_first_stages_equal_their_graphs),
        cmocka_unit_test(the_outermost_blocks_continue_the_whole),
        cmocka_unit_test(timesteps_ahead_change_nothing),
        cmocka_unit_test(no_step_reads_what_was_overwritten),
        cmocka_unit_test(kept_rows_belong_to_their_part),
        cmocka_unit_test(a_norm_that_a_concat_reads_is_not_taken),
        cmocka_unit_test(plans_reuse_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
