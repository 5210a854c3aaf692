/* SPDX-License-Identifier: MIT */
/* The table of samplers, the checks of a request, plans, and the loop; see sampler.h. */
#include "sample/sampler.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sample/sampler_row.h"
#include "sample/schedule.h"

static const ldm_sampler *const samplers[] = {
#define LDM_SAMPLER_ROW(name) &ldm_sampler_##name,
    LDM_SAMPLER_LIST(LDM_SAMPLER_ROW)
#undef LDM_SAMPLER_ROW
};

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

/* ---- the table ------------------------------------------------------------------------------- */

static char folded(char c)
{
    return c == '_' || c == '-' ? ' ' : (char)tolower((unsigned char)c);
}

/* Whether `name`, `length` bytes of it, is another way to write `known`. bare: also without the
 * signs between their parts, as "EulerA" is for euler_a. */
static bool same_name(const char *known, const char *name, size_t length, bool bare)
{
    const char *end = name + length;

    for (;;) {
        while (bare && *known && folded(*known) == ' ')
            known++;
        while (bare && name < end && folded(*name) == ' ')
            name++;
        if (name == end || !*known)
            return name == end && !*known;
        if (folded(*known++) != folded(*name++))
            return false;
    }
}

static bool has_name(const ldm_sampler *s, const char *name, size_t length, bool bare)
{
    size_t i;

    if (same_name(s->name, name, length, bare))
        return true;
    for (i = 0; s->aliases[i]; i++) {
        if (same_name(s->aliases[i], name, length, bare))
            return true;
    }
    return false;
}

bool ldm_sampler_same_name(const char *known, const char *name)
{
    return same_name(known, name, strlen(name), true);
}

/* A name as it stands in the table takes precedence: dpm_2 and dpm2 need not be the same. */
static const ldm_sampler *row_of(const char *name, size_t length)
{
    for (int bare = 0; bare < 2; bare++) {
        for (size_t i = 0; i < COUNT_OF(samplers); i++) {
            if (has_name(samplers[i], name, length, bare))
                return samplers[i];
        }
    }
    return NULL;
}

/* "DPM++ 2M Karras": a sampler's name and a spacing that it runs with. */
static const ldm_sampler *split_name(const char *name, ldm_spacing *spacing)
{
    const ldm_sampler *s;
    const size_t total = strlen(name);
    size_t tail;
    int k;

    for (k = LDM_SPACING_KARRAS; k < LDM_SPACING_COUNT; k++) {
        tail = strlen(ldm_spacing_name((ldm_spacing)k));
        if (total < tail + 2 || folded(name[total - tail - 1]) != ' ' ||
            !same_name(ldm_spacing_name((ldm_spacing)k), name + total - tail, tail, false))
            continue;
        *spacing = (ldm_spacing)k;
        s = row_of(name, total - tail - 1);
        return s && s->spacings & LDM_SPACING_BIT(k) ? s : NULL;
    }
    return NULL;
}

const ldm_sampler *ldm_sampler_find(const char *name)
{
    const ldm_sampler *s = row_of(name, strlen(name));
    ldm_spacing spacing;

    return s ? s : split_name(name, &spacing);
}

bool ldm_sampler_spacing_in(const char *name, ldm_spacing *out)
{
    return !row_of(name, strlen(name)) && split_name(name, out);
}

const ldm_sampler *ldm_sampler_at(size_t i)
{
    return i < COUNT_OF(samplers) ? samplers[i] : NULL;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static bool takes_eta(const ldm_sampler *s)
{
    return s->takes_eta;
}

static bool takes_temperature(const ldm_sampler *s)
{
    return s->takes_temperature;
}

static bool takes_mask(const ldm_sampler *s)
{
    return s->takes_mask;
}

static bool takes_quantize_x0(const ldm_sampler *s)
{
    return s->takes_quantize_x0;
}

static bool takes_whole_t(const ldm_sampler *s)
{
    return s->takes_whole_t;
}

static bool takes_zero_snr(const ldm_sampler *s)
{
    return s->takes_zero_snr;
}

static bool takes_solver(const ldm_sampler *s)
{
    return s->solvers;
}

static bool takes_final_sigma(const ldm_sampler *s)
{
    return s->takes_final_sigma;
}

static bool takes_lower_order(const ldm_sampler *s)
{
    return s->takes_lower_order;
}

/* "sampler plms takes no eta; ddim does", with every sampler that does. */
static ldm_status refuse(const ldm_sampler *sampler, const char *what,
                         bool (*takes)(const ldm_sampler *), ldm_error *err)
{
    char names[512] = "";
    size_t used = 0, i;

    for (i = 0; i < COUNT_OF(samplers) && used < sizeof names; i++) {
        if (takes(samplers[i]))
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                                     samplers[i]->name);
    }
    return ldm_error_set(err, LDM_ERR_USAGE, "sampler %s takes no %s; samplers that do: %s",
                         sampler->name, what, names);
}

static ldm_status check_spacing(const ldm_sampler *sampler, ldm_spacing spacing, ldm_error *err)
{
    char names[128] = "";
    size_t used = 0;
    int s;

    if (sampler->spacings & LDM_SPACING_BIT(spacing))
        return LDM_OK;
    for (s = 0; s < LDM_SPACING_COUNT; s++) {
        if (sampler->spacings & LDM_SPACING_BIT(s) && used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                                     ldm_spacing_name((ldm_spacing)s));
    }
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "sampler %s does not run with timestep spacing %s, expected one of: %s",
                         sampler->name, ldm_spacing_name(spacing), names);
}

const char *ldm_solver_name(ldm_solver s)
{
    static const char *const names[] = {[LDM_SOLVER_OWN] = "auto",
                                        [LDM_SOLVER_MIDPOINT] = "midpoint",
                                        [LDM_SOLVER_HEUN] = "heun",
                                        [LDM_SOLVER_BH1] = "bh1",
                                        [LDM_SOLVER_BH2] = "bh2"};

    return names[s];
}

bool ldm_solver_find(const char *name, ldm_solver *out)
{
    int s;

    for (s = 0; s < LDM_SOLVER_COUNT; s++) {
        if (!strcmp(name, ldm_solver_name((ldm_solver)s))) {
            *out = (ldm_solver)s;
            return true;
        }
    }
    return false;
}

static ldm_status check_solver(const ldm_sampler *sampler, ldm_solver solver, ldm_error *err)
{
    char names[64] = "";
    size_t used = 0;
    int s;

    if (solver == LDM_SOLVER_OWN || sampler->solvers & LDM_SOLVER_BIT(solver))
        return LDM_OK;
    if (!sampler->solvers)
        return refuse(sampler, "solver", takes_solver, err);
    for (s = LDM_SOLVER_OWN + 1; s < LDM_SOLVER_COUNT; s++) {
        if (sampler->solvers & LDM_SOLVER_BIT(s))
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? " or " : "",
                                     ldm_solver_name((ldm_solver)s));
    }
    return ldm_error_set(err, LDM_ERR_USAGE, "sampler %s has no solver %s, expected %s",
                         sampler->name, ldm_solver_name(solver), names);
}

ldm_status ldm_sampler_check(const ldm_sampler *sampler, const ldm_sampling *s, ldm_error *err)
{
    ldm_status st;

    if (!(s->eta >= 0) || !isfinite(s->eta))
        return ldm_error_set(err, LDM_ERR_USAGE, "eta is %g, expected 0 or more (0: deterministic)",
                             s->eta);
    if (!(s->temperature >= 0) || !isfinite(s->temperature))
        return ldm_error_set(err, LDM_ERR_USAGE, "temperature is %g, expected 0 or more",
                             s->temperature);
    if (s->eta > 0 && !s->own_eta && !sampler->takes_eta)
        return refuse(sampler, "eta", takes_eta, err);
    if (fabs(s->temperature - 1) > 0 && !sampler->takes_temperature)
        return refuse(sampler, "temperature", takes_temperature, err);
    if (s->mask && !sampler->takes_mask)
        return refuse(sampler, "mask", takes_mask, err);
    if (s->quantize_x0 && !sampler->takes_quantize_x0)
        return refuse(sampler, "quantize_x0", takes_quantize_x0, err);
    if (s->whole_t && !sampler->takes_whole_t)
        return refuse(sampler, "rounding of timesteps", takes_whole_t, err);
    if (s->zero_snr && !sampler->takes_zero_snr)
        return refuse(sampler, "zero terminal SNR", takes_zero_snr, err);
    if (s->final_sigma != LDM_FINAL_OWN && !sampler->takes_final_sigma)
        return refuse(sampler, "final_sigma", takes_final_sigma, err);
    if (s->full_order_last && !sampler->takes_lower_order)
        return refuse(sampler, "lower_order_final", takes_lower_order, err);
    st = check_solver(sampler, s->solver, err);
    return st ? st : check_spacing(sampler, s->spacing, err);
}

/* ---- plans ----------------------------------------------------------------------------------- */

static ldm_status check_diffusion(const ldm_diffusion *d, ldm_error *err)
{
    int i;

    for (i = 0; i < d->train_steps; i++) {
        if (!(d->alphas_cumprod[i] > 0 && d->alphas_cumprod[i] <= 1))
            return ldm_error_set(err, LDM_ERR_RANGE,
                                 "alphas_cumprod[%d] is %g, expected a value above 0 and at most "
                                 "1: the noise schedule is broken",
                                 i, (double)d->alphas_cumprod[i]);
    }
    return LDM_OK;
}

/* The row's plan with a schedule that ends without signal. q_sample's buffers are of the other one.
 */
static ldm_status plan_without_signal(const ldm_diffusion *d, ldm_sampler_plan *p, ldm_error *err)
{
    const size_t bytes = (size_t)d->train_steps * sizeof *d->alphas_cumprod;
    ldm_diffusion rescaled = {.train_steps = d->train_steps, .prediction = d->prediction};
    float *alphas = ldm_malloc(bytes);
    ldm_status st;
    int i;

    if (!alphas)
        return ldm_error_nomem(err, bytes, "the rescaled noise schedule");
    ldm_zero_terminal_snr(d->alphas_cumprod, d->train_steps, alphas);
    rescaled.alphas_cumprod = alphas;
    st = p->sampler->plan(&rescaled, &p->settings, p, err);
    for (i = 0; !st && i < p->count; i++) {
        /* Nothing, or the 2^-24 of ldm_sampler_sigma_at. */
        if (d->prediction == LDM_PREDICTS_EPS && !(p->steps[i].alpha > 1e-7))
            st = ldm_error_set(err, LDM_ERR_USAGE,
                               "zero terminal SNR: at timestep %g x is all noise, from which a "
                               "network that predicts eps cannot tell x0; take timestep spacing "
                               "leading",
                               p->steps[i].t);
    }
    ldm_free(alphas);
    return st;
}

ldm_status ldm_sampler_plan_create(const ldm_sampler *sampler, const ldm_diffusion *d,
                                   const ldm_sampling *s, ldm_sampler_plan *out, ldm_error *err)
{
    ldm_status st = ldm_sampler_check(sampler, s, err);

    *out = (ldm_sampler_plan){
        .sampler = sampler, .settings = *s, .prediction = d->prediction, .start_scale = 1};
    if (s->own_eta)
        out->settings.eta = sampler->own_eta;
    if (!st)
        st = check_diffusion(d, err);
    if (!st)
        st = s->zero_snr ? plan_without_signal(d, out, err)
                         : sampler->plan(d, &out->settings, out, err);
    if (st)
        ldm_sampler_plan_free(out);
    return st;
}

void ldm_sampler_plan_free(ldm_sampler_plan *p)
{
    ldm_free(p->steps);
    ldm_free(p->times);
    ldm_free(p->own);
    memset(p, 0, sizeof *p);
}

/* ---- the loop -------------------------------------------------------------------------------- */

size_t ldm_sampler_scratch_latents(const ldm_sampler *sampler)
{
    return 2 + (size_t)sampler->latents; /* noise and pred_x0 are the loop's */
}

/* Where mask is 1, x becomes q_sample(x0, t): x0 noised to timestep t, as the training saw it. */
static ldm_status keep_known_region(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_sampler_step *s = &r->plan->steps[r->index];
    const float *mask = r->job->mask, *x0 = r->job->x0;
    ldm_status st = ldm_sampler_draw_as(r, true, err);
    size_t i;

    for (i = 0; !st && i < r->count; i++) {
        float noised = s->known_x0 * x0[i] + s->known_noise * r->noise[i];

        r->x[i] = noised * mask[i] + (1.0f - mask[i]) * r->x[i];
    }
    return st;
}

static void scale_start(ldm_sampler_run *r)
{
    const float scale = (float)r->plan->start_scale;
    size_t i;

    for (i = 0; i < r->count; i++)
        r->x[i] *= scale;
}

static ldm_status one_step(ldm_sampler_run *r, ldm_error *err)
{
    const ldm_denoiser *m = r->model;
    ldm_status st = r->job->mask ? keep_known_region(r, err) : LDM_OK;

    if (!st)
        st = r->plan->sampler->step(r, err);
    if (!st)
        st = ldm_sampler_check_finite(r, r->x, "the latent", ldm_sampler_time_of(r), err);
    if (!st && m->progress &&
        m->progress(m->ctx, r->done, ldm_sampler_steps_of(r), ldm_sampler_time_of(r), r->x,
                    r->pred_x0))
        st = ldm_error_set(err, LDM_ERR_CANCELLED, "stopped after step %d of %d (t = %g)",
                           r->done + 1, ldm_sampler_steps_of(r), ldm_sampler_time_of(r));
    return st;
}

static ldm_status check_job(const ldm_sampler_job *job, const ldm_denoiser *model, ldm_error *err)
{
    if (job->plan->settings.quantize_x0 && !model->quantize)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "quantize_x0 needs a first stage with a codebook; this one has none");
    if (job->mask && !job->plan->settings.mask)
        return ldm_error_set(err, LDM_ERR_USAGE, "this run was planned without a mask");
    if (job->mask && !job->x0)
        return ldm_error_set(err, LDM_ERR_USAGE, "a mask needs x0, the latent that it keeps");
    if (job->start < 0 || job->start >= job->plan->count)
        return ldm_error_set(err, LDM_ERR_USAGE, "start step %d of a run of %d steps", job->start,
                             job->plan->count);
    return LDM_OK;
}

ldm_status ldm_sampler_execute(const ldm_sampler_job *job, const ldm_denoiser *model, float *x,
                               ldm_error *err)
{
    const size_t count = job->n * job->chw;
    ldm_status st = check_job(job, model, err);
    ldm_sampler_run r = {
        .job = job,
        .plan = job->plan,
        .model = model,
        .count = count,
        .x = x,
        .noise = job->scratch,
        .pred_x0 = job->scratch + count,
        .work = job->scratch + 2 * count,
    };

    if (!st && job->start == 0 && !job->noised)
        scale_start(&r);
    for (r.index = job->start; !st && r.index < job->plan->count; r.index++) {
        r.done = r.index - job->start;
        st = one_step(&r, err);
    }
    return st;
}
