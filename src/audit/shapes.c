/* SPDX-License-Identifier: MIT */
/* The distinct convolutions and linear layers of a graph, as a benchmark reads them: a text file of
 * columns `cin cout kernel stride upsample in_h in_w count`. An upsampling layer and the
 * convolution after it are one row, at the size before upsampling. */
#include "audit/shapes.h"

#include <string.h>

#include "base/alloc.h"

static const ldm_node *producer(const ldm_graph *g, int value)
{
    int i;

    for (i = 0; i < g->node_count; i++) {
        if (g->nodes[i].out == value)
            return &g->nodes[i];
    }
    return NULL;
}

static ldm_layer_shape shape_of(const ldm_graph *g, const ldm_node *n)
{
    const ldm_node *before = producer(g, n->in[0]);
    int in = n->in[0];
    ldm_layer_shape s = {.kernel = n->kernel_h > 0 ? n->kernel_h : 1,
                         .stride = n->stride > 0 ? n->stride : 1,
                         .cout = g->values[n->out].c};

    if (before && before->op == LDM_OP_UPSAMPLE) {
        s.upsample = 1;
        in = before->in[0];
    }
    s.cin = g->values[in].c;
    s.in_h = g->values[in].h;
    s.in_w = g->values[in].w;
    return s;
}

ldm_status ldm_audit_layer_shapes(const ldm_graph *g, ldm_layer_shape **out, size_t *count,
                                  ldm_error *err)
{
    ldm_layer_shape *list = NULL;
    size_t n = 0, cap = 0, k;
    int i;

    *out = NULL;
    *count = 0;
    for (i = 0; i < g->node_count; i++) {
        ldm_layer_shape s;

        if (g->nodes[i].op != LDM_OP_CONV && g->nodes[i].op != LDM_OP_LINEAR)
            continue;
        s = shape_of(g, &g->nodes[i]);
        for (k = 0; k < n; k++) {
            s.count = list[k].count;
            if (memcmp(&s, &list[k], sizeof s) == 0)
                break;
        }
        if (k < n) {
            list[k].count++;
            continue;
        }
        if (!ldm_grow(&list, &cap, n + 1, sizeof *list)) {
            ldm_free(list);
            return ldm_error_nomem(err, (n + 1) * sizeof *list, "the layer shapes");
        }
        s.count = 1;
        list[n++] = s;
    }
    *out = list;
    *count = n;
    return LDM_OK;
}
