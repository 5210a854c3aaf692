/* SPDX-License-Identifier: MIT */
/* The noise schedules that models were published with; see probes.h. */
#include <stdlib.h>

#include "base/alloc.h"
#include "doctor/probes.h"

const ldm_published_schedule ldm_published_schedules[LDM_PUBLISHED_SCHEDULES] = {
    {LDM_BETA_LINEAR, 0.0015, 0.0195}, {LDM_BETA_LINEAR, 0.00085, 0.012},
    {LDM_BETA_LINEAR, 0.0015, 0.0155}, {LDM_BETA_LINEAR, 0.0015, 0.0205},
    {LDM_BETA_LINEAR, 0.0001, 0.02},   {LDM_BETA_SQRT_LINEAR, 0.0001, 0.02},
    {LDM_BETA_COSINE, 0.0001, 0.02},
};

ldm_status ldm_schedule_alphas(const ldm_published_schedule *c, int n, float *out, ldm_error *err)
{
    double *betas = ldm_reallocarray(NULL, 2 * (size_t)n, sizeof *betas);

    if (!betas)
        return ldm_error_nomem(err, 2 * (size_t)n * sizeof *betas, "a schedule");
    ldm_betas(c->kind, n, c->start, c->end, 8e-3, betas);
    ldm_alphas_cumprod(betas, n, betas + n, out);
    ldm_free(betas);
    return LDM_OK;
}

bool ldm_schedule_is_usual(const ldm_doctor *d, const ldm_published_schedule *c)
{
    const ldm_infer_setting *start = ldm_inference_find(d->inference, "model.params.linear_start");
    const ldm_infer_setting *end = ldm_inference_find(d->inference, "model.params.linear_end");

    return c->kind == LDM_BETA_LINEAR && start && end && start->from <= LDM_INFER_ASSUMED &&
           atof(start->value) == c->start && atof(end->value) == c->end;
}
