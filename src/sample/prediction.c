/* SPDX-License-Identifier: MIT */
/* See prediction.h. */
#include "sample/prediction.h"

void ldm_to_eps(ldm_prediction p, float c, float d, const float *x, size_t count, float *out)
{
    size_t i;

    switch (p) {
    case LDM_PREDICTS_EPS:
        return;
    case LDM_PREDICTS_V:
        for (i = 0; i < count; i++)
            out[i] = c * out[i] + d * x[i];
        return;
    case LDM_PREDICTS_X0:
        for (i = 0; i < count; i++)
            out[i] = (x[i] - c * out[i]) / d;
        return;
    }
}

void ldm_to_x0(ldm_prediction p, float c, float d, const float *x, size_t count, float *out)
{
    size_t i;

    switch (p) {
    case LDM_PREDICTS_EPS:
        for (i = 0; i < count; i++)
            out[i] = (x[i] - d * out[i]) / c;
        return;
    case LDM_PREDICTS_V:
        for (i = 0; i < count; i++)
            out[i] = c * x[i] - d * out[i];
        return;
    case LDM_PREDICTS_X0:
        return;
    }
}
