/* A graph computed node by node as its definitions say, with loops and double sums: what fused,
 * planned and packed execution must equal. For tests. */
#ifndef LDM_TESTS_NAIVE_H
#define LDM_TESTS_NAIVE_H

#include "spec/spec.h"

/* weights: one array per tensor of the spec. in: [C][H][W]; t: the timestep. Returns the output
 * [C'][H'][W'] in fresh memory (free). */
float *naive_run(const ldm_spec *s, const ldm_graph *g, float *const *weights, const float *in,
                 float t);

#endif
