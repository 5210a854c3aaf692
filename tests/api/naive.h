/* A graph computed node by node as its definitions say, with loops and double sums: what fused,
 * planned and packed execution must equal. For tests. */
#ifndef LDM_TESTS_NAIVE_H
#define LDM_TESTS_NAIVE_H

#include "network/network.h"

/* weights: one array per tensor of the network. in: [C][H][W]; t: the timestep. Returns the output
 * [C'][H'][W'] in fresh memory (free). */
float *naive_run(const ldm_network *s, const ldm_graph *g, float *const *weights, const float *in,
                 float t);

#endif
