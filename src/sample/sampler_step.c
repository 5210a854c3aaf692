/* SPDX-License-Identifier: MIT */
/* What the rows of the table share: room for a plan, and the network, noise and codebook of a step.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sample/sampler_row.h"

ldm_status ldm_sampler_plan_steps(ldm_sampler_plan *p, int count, int evaluations, ldm_error *err)
{
    p->steps = ldm_calloc((size_t)count, sizeof *p->steps);
    p->times = ldm_calloc((size_t)evaluations, sizeof *p->times);
    if (!p->steps || !p->times)
        return ldm_error_nomem(err, (size_t)count * sizeof *p->steps, "the steps of a run");
    p->count = count;
    p->evaluations = evaluations;
    return LDM_OK;
}

void ldm_sampler_known_at(const ldm_diffusion *d, int t, ldm_sampler_step *step)
{
    const float a = d->alphas_cumprod[t];

    step->known_x0 = d->sqrt_alphas_cumprod ? d->sqrt_alphas_cumprod[t] : sqrtf(a);
    step->known_noise =
        d->sqrt_one_minus_alphas_cumprod ? d->sqrt_one_minus_alphas_cumprod[t] : sqrtf(1.0f - a);
}

float ldm_sampler_sigma_at(const ldm_diffusion *d, int t)
{
    const float alpha = d->alphas_cumprod[t] > 0 ? d->alphas_cumprod[t] : 0x1p-24f;

    return sqrtf((1.0f - alpha) / alpha);
}

void ldm_sampler_note(ldm_sampler_plan *p, const char *fmt, ...)
{
    va_list ap;

    if (p->note_count == LDM_SAMPLER_NOTES)
        return;
    va_start(ap, fmt);
    vsnprintf(p->notes[p->note_count++], LDM_SAMPLER_NOTE_BYTES, fmt, ap);
    va_end(ap);
}

ldm_status ldm_sampler_check_finite(const ldm_sampler_run *r, const float *v, const char *what,
                                    double t, ldm_error *err)
{
    size_t i;

    for (i = 0; i < r->count; i++) {
        if (!isfinite(v[i]))
            return ldm_error_set(
                err, LDM_ERR_NUMERIC,
                "step %d of %d (t = %g): %s holds %s at element %zu, expected "
                "finite numbers; check the weights (ldm check) and the start noise",
                r->done + 1, ldm_sampler_steps_of(r), t, what, isnan(v[i]) ? "NaN" : "infinity", i);
    }
    return LDM_OK;
}

ldm_status ldm_sampler_predict(ldm_sampler_run *r, const float *x, double t, float *out,
                               ldm_error *err)
{
    ldm_status st = r->model->predict(r->model->ctx, r->done, x, t, out, err);

    if (st == LDM_ERR_NUMERIC) /* it says where in the network */
        return ldm_error_wrap(err, st, "step %d of %d", r->done + 1, ldm_sampler_steps_of(r));
    return st ? st : ldm_sampler_check_finite(r, out, "the network's output", t, err);
}

ldm_status ldm_sampler_draw_as(ldm_sampler_run *r, bool mask, ldm_error *err)
{
    const ldm_draw d = {.number = r->draws++, .step = r->done, .mask = mask};

    return r->model->noise(r->model->ctx, d, r->noise, err);
}

ldm_status ldm_sampler_draw(ldm_sampler_run *r, ldm_error *err)
{
    return ldm_sampler_draw_as(r, false, err);
}

ldm_status ldm_sampler_quantize(ldm_sampler_run *r, ldm_error *err)
{
    if (!r->plan->settings.quantize_x0)
        return LDM_OK;
    return r->model->quantize(r->model->ctx, r->pred_x0, err);
}
