/* SPDX-License-Identifier: MIT */
/* Where values lie when a shortcut is written over its input: the memory that a large decode takes,
 * and that no bit of a result depends on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpuid.h"
#include "cpu/cpu.h"
#include "cpu/ops.h"
#include "exec/exec.h"
#include "exec/plan.h"
#include "nets.h"
#include "network/builder.h"
#include "sample/rng.h"

enum { MOST_THREADS = 16, SIDE = 48 };

/* Sanitizers are slow, and look at every access whatever the network. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { NETWORKS = 4 };
#else
enum { NETWORKS = 16 };
#endif

/* ---- memory ---------------------------------------------------------------------------------- */

/* Floats of activations and scratch; no value is computed. nominal: the size that the algorithms
 * are chosen for. */
static size_t arena_floats(const ldm_network *net, ldm_graph_part part, const ldm_backend *b,
                           int nominal, int side, int threads)
{
    ldm_weights *weights;
    ldm_program *p;
    ldm_error err = {.msg = ""};
    ldm_graph *g;
    size_t floats;

    assert_int_equal(ldm_graph_create(net, part, (ldm_graph_size){nominal, nominal, 0}, &g, NULL),
                     LDM_OK);
    assert_int_equal(ldm_weights_plan(net, g, b, LDM_PRECISION_F32, NULL, &weights, NULL), LDM_OK);
    ldm_graph_free(g);
    assert_int_equal(ldm_graph_create(net, part, (ldm_graph_size){side, side, 0}, &g, NULL),
                     LDM_OK);
    if (ldm_program_create(g, weights, b, LDM_PRECISION_F32, 1, threads, &p, &err))
        fail_msg("%s", err.msg);
    floats = ldm_program_arena_floats(p);
    ldm_program_free(p);
    ldm_weights_free(weights);
    return floats;
}

/* Stable Diffusion's first stage, a latent of 128x128. */
static void a_picture_of_1024_takes_at_most_2_gb(void **state)
{
    static const ldm_isa isas[] = {LDM_ISA_C, LDM_ISA_AVX2, LDM_ISA_AVX512};
    ldm_config *cfg;
    ldm_network *net;
    ldm_error err = {.msg = ""};
    size_t i;
    int threads;

    (void)state;
    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    if (ldm_config_load(cfg, "configs/v1-inference.yaml", &err) ||
        ldm_network_create(cfg, NULL, &net, &err))
        fail_msg("%s", err.msg);
    for (i = 0; i < sizeof isas / sizeof *isas; i++) {
        const ldm_cpu cpu = {.isa = isas[i]}; /* to plan for, whatever this processor is */
        const ldm_backend *b = ldm_cpu_backend(&cpu);

        for (threads = 1; threads <= MOST_THREADS; threads *= 2) {
            const size_t floats = arena_floats(net, LDM_GRAPH_DECODE, b, 64, 128, threads);

            print_message("%s, %d threads: %.3f GB\n", b->name, threads, 4e-9 * (double)floats);
            assert_true(floats <= 2000000000 / sizeof(float));
        }
    }
    ldm_network_free(net);
    ldm_config_free(cfg);
}

/* A block's end is turned round only where nothing reads the block's input later. */
static void an_input_that_is_read_later_stays(void **state)
{
    test_net net = net_make(1);
    ldm_builder declare = {.network = net.network, .declared = net.network, .root = "toy"};
    int later;

    (void)state;
    ldm_b_conv(&declare, "conv1", 0, 32, 16, 3);
    ldm_b_conv(&declare, "conv2", 0, 16, 16, 3);
    ldm_b_conv(&declare, "nin_shortcut", 0, 32, 16, 1);
    ldm_b_conv(&declare, "other", 0, 32, 16, 1);
    for (later = 0; later < 2; later++) {
        ldm_graph *g = ldm_calloc(1, sizeof *g);
        ldm_builder b = {.network = net.network, .graph = g, .root = "toy"};
        int x, h, turn;
        ldm_steps s;

        assert_non_null(g);
        g->arena = ldm_arena_create(0);
        g->feature = -1;
        x = ldm_b_input(&b, (ldm_input){.name = "x", .depends = LDM_DEPENDS_X}, 32, 8, 8);
        h = ldm_b_conv(&b, "conv2", ldm_b_conv(&b, "conv1", x, 32, 16, 3), 16, 16, 3);
        h = ldm_b_add(&b, ldm_b_conv(&b, "nin_shortcut", x, 32, 16, 1), h, 16);
        if (later)
            h = ldm_b_add(&b, ldm_b_conv(&b, "other", x, 32, 16, 1), h, 16);
        g->output = h;
        assert_int_equal(b.st, LDM_OK);
        assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
        assert_int_equal(ldm_steps_add_in_place(g, &s, NULL), LDM_OK);
        assert_int_equal(ldm_steps_find_turn(g, &s, &turn, NULL), LDM_OK);
        assert_int_equal(turn, later ? -1 : 1);
        ldm_steps_free(&s);
        ldm_graph_free(g);
    }
    net_free(&net);
}

/* ---- results --------------------------------------------------------------------------------- */

static ldm_status plan_beside(const ldm_backend *b, const ldm_conv_desc *d, ldm_precision p,
                              int algorithm, int threads, ldm_conv_plan *out, ldm_error *err)
{
    const ldm_status st = ldm_cpu_conv_plan(b, d, p, algorithm, threads, out, err);

    out->in_place_floats = 0;
    return st;
}

/* The same bits as from a backend that writes no result over its input. The size is one at which
 * convolutions normalise their inputs and tell moments. */
static void places_change_nothing(void **state)
{
    static const ldm_graph_part parts[] = {LDM_GRAPH_UNET, LDM_GRAPH_DECODE};
    static const float t[2] = {7, 500};
    static ldm_rng rng;
    ldm_cpu_backend_impl beside;
    const ldm_backend *b;
    int turned = 0, i, part;
    uint32_t seed;
    ldm_cpu cpu;

    (void)state;
    ldm_cpu_detect(&cpu);
    b = ldm_cpu_backend(&cpu);
    beside = *ldm_cpu_impl(b);
    beside.base.conv_plan = plan_beside;
    ldm_rng_seed(&rng, 8);
    for (seed = 1; seed <= NETWORKS; seed++) {
        test_net net = net_make(seed);

        for (part = 0; part < 2; part++) {
            const int threads = 1 + (int)seed % 3;
            net_run run = {&beside.base, LDM_PRECISION_F32, 2, threads, .inputs = {{"t", t}}};
            size_t in_floats, out_floats;
            float *in, *out[2];
            ldm_graph *g;

            for (i = 0; i < 2; i++) {
                assert_int_equal(ldm_graph_create(net.network, parts[part],
                                                  (ldm_graph_size){SIDE, SIDE, 0}, &g, NULL),
                                 LDM_OK);
                if (i == 0) {
                    in_floats = 2 * net_numel(g, ldm_graph_input(g, "x"));
                    out_floats = 2 * net_numel(g, g->output);
                    in = malloc(in_floats * sizeof *in);
                    assert_non_null(in);
                    ldm_rng_randn(&rng, in, in_floats);
                    run.inputs[1] = (ldm_named_array){"x", in};
                }
                out[i] = net_execute(&net, g, &run, net.text);
                run.backend = b;
            }
            if (memcmp(out[0], out[1], out_floats * sizeof *in))
                fail_msg("part %d of network %u: the results differ by %.2e: %s", (int)parts[part],
                         (unsigned)seed, net_distance(out[1], out[0], out_floats), net.text);
            turned += arena_floats(net.network, parts[part], b, SIDE, SIDE, threads) <
                      arena_floats(net.network, parts[part], &beside.base, SIDE, SIDE, threads);
            free(in);
            free(out[0]);
            free(out[1]);
        }
        net_free(&net);
    }
    print_message("%d of %d programs take less memory\n", turned, 2 * NETWORKS);
    assert_true(turned > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_of_1024_takes_at_most_2_gb),
        cmocka_unit_test(an_input_that_is_read_later_stays),
        cmocka_unit_test(places_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
