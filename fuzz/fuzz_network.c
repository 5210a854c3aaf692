/* SPDX-License-Identifier: MIT */
/* Fuzz target: the input as a configuration; where it describes a network, the graphs of all its
 * parts at a small size, and the memory and weights that running them would take. Nothing is
 * computed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpuid.h"
#include "cpu/cpu.h"
#include "exec/exec.h"
#include "network/network.h"

enum { MAX_NODES = 3000 }; /* of a graph that is planned: planning takes their square */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void estimate(const ldm_network *s, ldm_graph *g)
{
    static const ldm_cpu plain = {.isa = LDM_ISA_C};
    const ldm_backend *backend = ldm_cpu_backend(&plain);
    ldm_weights *w = NULL;
    ldm_program *p = NULL;
    ldm_error err;

    if (!(ldm_graph_flop(g) >= 0))
        abort();
    if (g->node_count > MAX_NODES ||
        ldm_weights_plan(s, g, backend, LDM_PRECISION_F32, NULL, &w, &err) ||
        ldm_program_create(g, w, backend, LDM_PRECISION_F32, 2, 2, &p, &err)) {
        ldm_graph_free(g);
        ldm_weights_free(w);
        return;
    }
    if (!ldm_program_arena_floats(p))
        abort();
    ldm_program_free(p); /* and the graph with it */
    ldm_weights_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ldm_config *cfg = NULL;
    ldm_network *s = NULL;
    ldm_graph *g;
    ldm_error err;
    int part;

    if (ldm_config_create(&cfg, &err) ||
        ldm_config_load_text(cfg, "input", (const char *)data, size, &err) ||
        ldm_network_create(cfg, NULL, &s, &err))
        goto done;
    for (part = LDM_GRAPH_UNET; part <= LDM_GRAPH_COND; part++) {
        int multiple = part == LDM_GRAPH_COND   ? 1 << 8
                       : part == LDM_GRAPH_UNET ? 1 << (s->unet.channel_mult.count - 1)
                                                : s->first_stage.factor;
        int side = multiple <= 32 ? 2 * multiple : 8; /* small, and a multiple of what it must be */

        if (!ldm_graph_create(s, (ldm_graph_part)part, (ldm_graph_size){side, side, 0}, &g, &err))
            estimate(s, g);
    }
done:
    ldm_network_free(s);
    ldm_config_free(cfg);
    return 0;
}
