/* SPDX-License-Identifier: MIT */
/* Layer shapes of a graph, for benchmarks; inside the room. */
#ifndef LDM_AUDIT_SHAPES_H
#define LDM_AUDIT_SHAPES_H

#include "network/network.h"

/* All ints, so that two can be compared as bytes. */
typedef struct ldm_layer_shape {
    int cin, cout, kernel, stride, upsample, in_h, in_w;
    int count;
} ldm_layer_shape;

/* Distinct shapes in order of first use, with how often each occurs. *out: ldm_free it. */
ldm_status ldm_audit_layer_shapes(const ldm_graph *g, ldm_layer_shape **out, size_t *count,
                                  ldm_error *err);

#endif
