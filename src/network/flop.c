/* SPDX-License-Identifier: MIT */
/* Arithmetic of a graph's operations, a multiply-add counted as two. */
#include "network/network.h"

double ldm_flop_conv(double pixels, int cin, int cout, int taps)
{
    return 2.0 * pixels * cin * cout * taps;
}

double ldm_flop_attention(double queries, double keys, int channels)
{
    return 2.0 * 2.0 * queries * keys * channels;
}

double ldm_graph_flop(const ldm_graph *g)
{
    double flop = 0;
    int i;

    for (i = 0; i < g->node_count; i++) {
        const ldm_node *n = &g->nodes[i];
        const ldm_graph_value *in = &g->values[n->in[0]], *out = &g->values[n->out];
        const ldm_graph_value *keys = n->in[1] < 0 ? in : &g->values[n->in[1]];
        const double pixels = (double)out->h * out->w;

        if (n->op == LDM_OP_CONV || n->op == LDM_OP_LINEAR)
            flop += ldm_flop_conv(pixels, in->c, out->c, n->kernel_h * n->kernel_w);
        else if (n->op == LDM_OP_ATTENTION)
            flop += ldm_flop_attention(pixels, (double)keys->h * keys->w, out->c);
    }
    return flop;
}
