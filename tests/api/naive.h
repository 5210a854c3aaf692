/* SPDX-License-Identifier: MIT */
/* A graph computed node by node as its definitions say, with loops and double sums: what fused,
 * planned and packed execution must equal. For tests. */
#ifndef LDM_TESTS_NAIVE_H
#define LDM_TESTS_NAIVE_H

#include "exec/exec.h"

/* weights: one array per tensor of the network. inputs: as of ldm_execution, of which sample number
 * `sample` is computed. Returns the output [C'][H'][W'] in fresh memory (free). */
float *naive_run(const ldm_network *s, const ldm_graph *g, float *const *weights,
                 const ldm_named_array *inputs, int sample);

#endif
