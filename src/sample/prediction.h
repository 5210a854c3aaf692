/* SPDX-License-Identifier: MIT */
/* What a network predicts, turned into what a sampler wants. With x = c * x0 + d * eps and
 * v = c * eps - d * x0 (Salimans and Ho 2022, appendix D; c^2 + d^2 = 1) each follows from another.
 * All in place: out[count] is the network's output for x[count]. */
#ifndef LDM_SAMPLE_PREDICTION_H
#define LDM_SAMPLE_PREDICTION_H

#include "sample/sampler.h"

void ldm_to_eps(ldm_prediction p, float c, float d, const float *x, size_t count, float *out);
void ldm_to_x0(ldm_prediction p, float c, float d, const float *x, size_t count, float *out);

#endif
