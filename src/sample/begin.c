/* SPDX-License-Identifier: MIT */
/* Runs that begin in the middle of a plan: where, and what they do; see sampler.h. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "sample/sampler_row.h"

/* Is it the original's DDIM, with its own timesteps? */
static bool is_compvis(const ldm_sampler_plan *p)
{
    return p->sampler == &ldm_sampler_ddim &&
           (p->settings.spacing == LDM_SPACING_COMPVIS || p->settings.spacing == LDM_SPACING_QUAD);
}

ldm_status ldm_sampler_begin_at(const ldm_sampler_plan *p, double strength, ldm_beginning *out,
                                ldm_error *err)
{
    /* The original counts the steps that were asked for, where more of them run. */
    const int base = is_compvis(p) && p->settings.steps < p->count ? p->settings.steps : p->count;
    const int run = strength >= 1 ? p->count : (int)(strength * base);
    const ldm_sampler_step *level;

    *out = (ldm_beginning){0};
    if (run < 1)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "strength %g of %d step%s is no step at all; take at least %.3g, or "
                             "more steps",
                             strength, base, base == 1 ? "" : "s", 1.0 / base);
    out->first = p->count - run;
    out->noised = is_compvis(p) && out->first ? out->first - 1 : out->first;
    level = &p->steps[out->noised];
    out->x0 = is_compvis(p) ? sqrtf((float)level->alpha) : level->known_x0;
    out->noise = is_compvis(p) ? sqrtf(1.0f - (float)level->alpha) : level->known_noise;
    return LDM_OK;
}

typedef struct trace {
    int *evaluations; /* of each step */
    int draws;
} trace;

static ldm_status count_evaluation(void *ctx, int step, const float *x, double t, float *out,
                                   ldm_error *err)
{
    const trace *c = ctx;

    (void)x;
    (void)t;
    (void)err;
    c->evaluations[step]++;
    *out = 0;
    return LDM_OK;
}

static ldm_status count_draw(void *ctx, ldm_draw draw, float *noise, ldm_error *err)
{
    trace *c = ctx;

    (void)draw;
    (void)err;
    c->draws++;
    *noise = 0;
    return LDM_OK;
}

static ldm_status keep_x0(void *ctx, float *pred_x0, ldm_error *err)
{
    (void)ctx;
    (void)pred_x0;
    (void)err;
    return LDM_OK;
}

ldm_status ldm_sampler_trace(const ldm_sampler_plan *plan, int start, int *evaluations, int *draws,
                             ldm_error *err)
{
    trace counts = {.evaluations = evaluations};
    const ldm_denoiser model = {
        .ctx = &counts, .predict = count_evaluation, .noise = count_draw, .quantize = keep_x0};
    ldm_sampler_job job = {.plan = plan, .start = start, .noised = true, .n = 1, .chw = 1};
    const size_t floats = ldm_sampler_scratch_latents(plan->sampler);
    float x = 0;
    ldm_status st;

    memset(evaluations, 0, (size_t)(plan->count - start) * sizeof *evaluations);
    job.scratch = ldm_calloc(floats, sizeof *job.scratch);
    if (!job.scratch)
        return ldm_error_nomem(err, floats * sizeof *job.scratch, "a trace of the steps");
    st = ldm_sampler_execute(&job, &model, &x, err);
    ldm_free(job.scratch);
    *draws = counts.draws;
    return st;
}
