/* SPDX-License-Identifier: MIT */
/* The network as the sampler sees it: evaluations, with classifier-free guidance ("Classifier-Free
 * Diffusion Guidance", Ho and Salimans 2022, arXiv 2207.12598). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run_state.h"

/* ---- what is not finite ---------------------------------------------------------------------- */

/* Where NaN or infinity first appears. */
typedef struct bad_step {
    char before[128]; /* the last step that has a path */
    char *where;
    size_t size;
} bad_step;

/* An observer that stops at the first step whose output is not finite. A step between modules
 * (attention of q, k, v) has no path of its own: the one before it tells where it is. */
static ldm_status find_bad_step(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    bad_step *bad = ctx;
    const ldm_view *y = &info->y;
    const bool has_path = strchr(info->name, '.') != NULL;
    size_t pixels = (size_t)y->n * (size_t)y->h * (size_t)y->w, i;

    for (i = 0; i < pixels; i++) {
        if (ldm_all_finite(y->data + i * y->pitch, (size_t)y->c))
            continue;
        if (has_path || !bad->before[0])
            snprintf(bad->where, bad->size, "%s (%s)", info->name, info->op);
        else
            snprintf(bad->where, bad->size, "the %s after %s", info->op, bad->before);
        return ldm_error_set(err, LDM_ERR_NUMERIC, "%s", bad->where);
    }
    if (has_path)
        snprintf(bad->before, sizeof bad->before, "%s", info->name);
    return LDM_OK;
}

void ldm_run_find_bad(const ldm_run *r, const ldm_program *p, ldm_execution run, char *where,
                      size_t size)
{
    bad_step bad = {.where = where, .size = size};
    const ldm_observer obs = {.ctx = &bad, .after = find_bad_step};
    ldm_error ignored;

    snprintf(where, size, "an unknown place");
    run.time.kept = run.cond.kept = NULL;
    run.observer = &obs;
    (void)ldm_program_run(p, r->pool, r->arena, &run, &ignored);
}

double ldm_largest(const float *v, size_t n)
{
    double most = 0;
    size_t i;

    for (i = 0; i < n; i++)
        most = fmax(most, fabs((double)v[i]));
    return most;
}

/* Why eps is not finite. No network takes latents of any size: what is fed to it comes first. */
static ldm_status not_finite(const ldm_run *r, const ldm_program *p, const ldm_execution *run,
                             size_t floats, double t, ldm_error *err)
{
    const bool ema = r->m->audit->effective.ema;
    const double most = ldm_largest(run->inputs[0].data, floats);
    char where[192];

    if (most > LDM_ABSURD_LATENT)
        return ldm_error_set(err, LDM_ERR_NUMERIC,
                             "eps is not finite at timestep %g: the latent that the network is "
                             "given holds values up to %.3g, and the noise of a model is near 1; "
                             "the start noise or the guidance scale is too large",
                             t, most);
    ldm_run_find_bad(r, p, *run, where, sizeof where);
    return ldm_error_set(err, LDM_ERR_NUMERIC,
                         "eps is not finite at timestep %g: NaN or infinity first appears in %s "
                         "of the %s weights; `ldm check --values` looks for such weights%s",
                         t, where, ema ? "EMA" : "raw",
                         ema ? ", and --no-ema takes the raw ones instead" : "");
}

/* ---- one evaluation -------------------------------------------------------------------------- */

/* The row of t in `times`. Where it has none, its rows become those of t and of the plan's
 * evaluations after it. *row is -1 if t is not of the plan. */
static ldm_status row_of(const ldm_run *r, ldm_kept *times, const ldm_program *p, double t,
                         int *row, ldm_error *err)
{
    const ldm_sampler_plan *plan = &r->plan;
    float next[LDM_RUN_TIMES];
    const ldm_named_array inputs[LDM_MAX_INPUTS] = {{"t", next}};
    ldm_status st;
    int i = 0, n = 0;

    *row = ldm_kept_row(times, t);
    if (*row >= 0)
        return LDM_OK;
    while (i < plan->evaluations && (float)plan->times[i] != (float)t)
        i++;
    for (; i < plan->evaluations && n < LDM_RUN_TIMES; i++)
        next[n++] = (float)plan->times[i];
    if (!n)
        return LDM_OK;
    st = ldm_kept_fill(times, p, r->pool, r->arena, inputs, n, err);
    if (!st)
        *row = 0;
    return st;
}

/* Conditions from sample `first` of the batch's arrays on. */
static const float *from_sample(const float *values, const ldm_array *a, int first)
{
    return values ? values + (size_t)first * ldm_condition_floats(a) : NULL;
}

bool ldm_run_cancelled(void *run)
{
    const ldm_run *r = run;

    return r->job.cancel && r->job.cancel(r->job.cancel_ctx);
}

/* An observer, called between the operations of an evaluation: does the caller want to go on? */
static ldm_status ask_to_go_on(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    (void)info;
    if (!ldm_run_cancelled(ctx))
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_CANCELLED, "stopped within a step");
}

/* The network on `samples` samples, of which the first has the conditions number `first`: with
 * `whole` all of it, else its outermost blocks with the feature that the last whole one left.
 * concat: of the first. */
static ldm_status evaluate_at(ldm_run *r, bool whole, int samples, int first, const float *x,
                              const float *concat, double t, float *out, ldm_error *err)
{
    ldm_run_cond *c = &r->cond;
    ldm_program *unet = whole ? r->unet[samples] : r->shallow[samples];
    ldm_kept *times = whole ? r->unet_times : r->shallow_times;
    ldm_kept *conds = whole ? c->whole : c->shallow;
    const ldm_graph_size size = ldm_run_unet_size(r);
    const ldm_observer asker = {r, ask_to_go_on, ldm_run_cancelled};
    const size_t floats =
        (size_t)samples * (size_t)r->job.latent_c * (size_t)size.h * (size_t)size.w;
    ldm_execution run = {
        .inputs = {{"x", x},
                   {"t", r->t},
                   {"feature", r->feature},
                   {"context", from_sample(c->context, c->with.context, first)},
                   {"concat", concat},
                   {"labels", from_sample(c->label_values, c->with.labels, first)}},
        .feature = whole ? r->feature : NULL,
        .cond = {conds, first},
        .out = out,
        .observer = r->job.cancel ? &asker : NULL,
    };
    ldm_status st;
    int i;

    for (i = 0; i < samples; i++)
        r->t[i] = (float)t;
    st = row_of(r, times, unet, t, &run.time.row, err);
    if (st)
        return st;
    run.time.kept = run.time.row < 0 ? NULL : times;
    st = ldm_program_run(unet, r->pool, r->arena, &run, err);
    if (whole)
        c->feature_samples = samples;
    if (st || ldm_all_finite(out, floats))
        return st;
    return not_finite(r, unet, &run, floats, t, err);
}

/* All samples' tiles at one place together, one place after the other. */
static ldm_status evaluate_tiles(ldm_run *r, bool whole, int samples, int first, const float *x,
                                 const float *concat, double t, float *out, ldm_error *err)
{
    const ldm_run_tiles *tiles = &r->tiles;
    const size_t planes = (size_t)samples * (size_t)r->job.latent_c;
    const size_t beside = concat ? (size_t)samples * (size_t)r->m->network->unet_inputs.concat : 0;
    ldm_status st = LDM_OK;
    int i, j;

    memset(out, 0, (size_t)samples * r->chw * sizeof *out);
    for (i = 0; !st && i < tiles->y.count; i++) {
        for (j = 0; !st && j < tiles->x.count; j++) {
            ldm_tile_take(&tiles->y, &tiles->x, i, j, x, planes, tiles->in);
            ldm_tile_take(&tiles->y, &tiles->x, i, j, concat, beside, tiles->concat);
            st = evaluate_at(r, whole, samples, first, tiles->in, beside ? tiles->concat : NULL, t,
                             tiles->out, err);
            if (!st)
                ldm_tile_add(&tiles->y, &tiles->x, i, j, tiles->out, planes, out);
        }
    }
    return st;
}

static ldm_status evaluate(ldm_run *r, bool whole, int samples, int first, const float *x, double t,
                           float *out, ldm_error *err)
{
    const float *concat = from_sample(r->cond.concat, r->cond.with.concat, first);

    return (r->tiles.on ? evaluate_tiles : evaluate_at)(r, whole, samples, first, x, concat, t, out,
                                                        err);
}

/* ---- guidance -------------------------------------------------------------------------------- */

static double std_of(const float *v, size_t n)
{
    double sum = 0, squares = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += v[i];
    for (i = 0; i < n; i++)
        squares += (v[i] - sum / (double)n) * (v[i] - sum / (double)n);
    return n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
}

/* "Common Diffusion Noise Schedules and Sample Steps are Flawed" (Lin et al. 2024, arXiv
 * 2305.08891), section 3.4: the guided output gets back the standard deviation of the conditional
 * one, in part. */
static void rescale(const float *conditional, double part, float *out, size_t n)
{
    const double guided = std_of(out, n);
    float factor;
    size_t i;

    if (!(guided > 0))
        return;
    factor = (float)(part * (std_of(conditional, n) / guided) + (1 - part));
    for (i = 0; i < n; i++)
        out[i] *= factor;
}

/* eps holds both halves, the unconditional one first: e_u + scale * (e_c - e_u). */
static void combine(const ldm_run *r, const float *eps, float *out)
{
    const size_t n = (size_t)r->active_n * r->chw;
    const float *without = eps, *with = eps + n;
    const float scale = (float)r->job.scale;
    size_t i;

    for (i = 0; i < n; i++) {
        const float d = scale * (with[i] - without[i]);

        out[i] = without[i] + d;
    }
    for (i = 0; r->job.guidance_rescale > 0 && i < (size_t)r->active_n; i++)
        rescale(with + i * r->chw, r->job.guidance_rescale, out + i * r->chw, r->chw);
}

/* "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion
 * Models" (Kynkaanniemi et al. 2024, arXiv 2404.07724), by fractions of the steps that run: a run
 * that begins with a picture has guidance, too, where it is for the first part of them. */
static bool guides_step(const ldm_run *r, int step)
{
    const double at = (double)step / ldm_run_steps(r);

    return r->cond.guided && at >= r->job.scale_from &&
           (at < r->job.scale_to || r->job.scale_to >= 1);
}

double ldm_run_guided_share(const ldm_run *r)
{
    const int steps = ldm_run_steps(r);
    int guided = 0;

    for (int i = 0; i < steps; i++)
        guided += guides_step(r, i);
    return steps ? (double)guided / steps : 0;
}

/* With job.cache the whole network runs in the first and every cache-th step. Steps are counted
 * from the pictures' first one on, so no picture's depend on another's; a step that evaluates twice
 * (Heun) does so with the same network. */
ldm_status ldm_run_predict(void *ctx, int step, const float *x, double t, float *out,
                           ldm_error *err)
{
    ldm_run *r = ctx;
    ldm_run_cond *c = &r->cond;
    const bool guided = guides_step(r, step);
    const int n = r->active_n, samples = guided ? 2 * n : n;
    const size_t half = (size_t)n * r->chw;
    const bool whole = step % r->job.cache == 0 || c->feature_samples != samples;
    ldm_status st;

    if (!guided)
        return evaluate(r, whole, n, c->guided ? n : 0, x, t, out, err);
    memcpy(c->x, x, half * sizeof *x);
    memcpy(c->x + half, x, half * sizeof *x);
    st = evaluate(r, whole, samples, 0, c->x, t, c->eps, err);
    if (!st)
        combine(r, c->eps, out);
    return st;
}
