/* SPDX-License-Identifier: MIT */
/* One job on a model: what it needs, what it will take, and one picture after the other. Latents
 * and activations are allocated when the run is created; the programs of a batch size when the
 * first batch of that size is sampled (run_batch.c). No step allocates. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/str.h"
#include "engine/between.h"
#include "engine/captions.h"
#include "engine/compose.h"
#include "engine/run_idle.h"
#include "engine/run_preview.h"
#include "engine/start.h"
#include "engine/start_job.h"

enum { SMALL_BATCH = 4, LARGE_BATCH = 8, SMALL_LATENT = 24 * 24 };

ldm_status ldm_job_create(const ldm_model *m, ldm_job **out, ldm_error *err)
{
    ldm_job *job;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    job = ldm_calloc(1, sizeof *job);
    if (!job)
        return ldm_error_nomem(err, sizeof *job, "a job");
    st = ldm_job_begin(job, err);
    if (!st && m)
        st = ldm_options_default_to(&job->options, &m->profile.sampling.options, err);
    if (st) {
        ldm_job_free(job);
        return st;
    }
    *out = job;
    return LDM_OK;
}

static ldm_status write_notes(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_sampler_plan *p = &r->plan;
    const int steps = ldm_run_steps(r), whole_steps = (steps + j->cache - 1) / j->cache;
    ldm_status st = LDM_OK;
    int i;

    for (i = 0; !st && i < p->note_count; i++)
        st = ldm_notes_add(&r->notes, err, "%s", p->notes[i]);
    if (!st)
        st = ldm_captions_note(r, err);
    if (!st)
        st = ldm_start_note(r, err);
    if (!st)
        st = ldm_concat_note(r, err);
    if (!st)
        st = ldm_run_tiles_note(r, err);
    if (!st && j->cache > 1)
        st = ldm_notes_add(
            &r->notes, err,
            "cache %d: %d of %d steps evaluate the whole network, %d its outermost blocks "
            "alone, with the deeper features of the last whole one; the pictures differ from "
            "those without it",
            j->cache, whole_steps, steps, steps - whole_steps);
    return st;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* What --cache takes besides: the kept features, and the shallow program. */
static ldm_status measure_cache(ldm_run *r, ldm_estimate *shallow, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_graph_value *feature;
    ldm_graph *g;
    ldm_status st;

    *shallow = (ldm_estimate){0};
    if (j->cache == 1)
        return LDM_OK;
    st = ldm_model_estimate(r->m, LDM_GRAPH_UNET_SHALLOW, ldm_run_unet_size(r),
                            ldm_run_samples(r, j->batch), ldm_pool_threads(r->pool), shallow, err);
    if (!st)
        st = ldm_graph_create(r->m->network, LDM_GRAPH_UNET_SHALLOW, ldm_run_unet_size(r), &g, err);
    if (st)
        return st;
    feature = &g->values[ldm_graph_input(g, "feature")];
    r->feature_floats = (size_t)feature->c * (size_t)feature->h * (size_t)feature->w;
    ldm_graph_free(g);
    return LDM_OK;
}

/* Floats of a picture that lie in the run's arrays from step to step: x, the sampler's latents, the
 * known region, the kept features. */
static uint64_t floats_of_picture(const ldm_run *r)
{
    size_t latents = 1 + ldm_sampler_scratch_latents(r->plan.sampler) + (r->job.masked ? 2 : 0);

    if (r->cond.guided)
        latents += 4; /* x and eps of both halves */
    return (uint64_t)latents * r->chw + (uint64_t)ldm_run_samples(r, 1) * r->feature_floats;
}

static ldm_status check_memory(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_model *m = r->m;
    ldm_estimate unet, shallow, decode, quantize = {0}, encode = {0}, pictures = {0};
    uint64_t arena, picture_bytes;
    char need[16], have[16];
    ldm_status st;
    int threads = ldm_pool_threads(r->pool), h = j->latent_h, w = j->latent_w;
    const int samples = ldm_run_samples(r, j->batch);

    st = ldm_model_estimate(m, LDM_GRAPH_UNET, ldm_run_unet_size(r), samples, threads, &unet, err);
    if (!st)
        st =
            ldm_model_estimate(m, LDM_GRAPH_DECODE, ldm_run_unet_size(r), 1, threads, &decode, err);
    if (!st && m->network->first_stage.codebook)
        st = ldm_model_estimate(m, LDM_GRAPH_QUANTIZE, (ldm_graph_size){h, w, 0},
                                j->quantize_x0 ? j->batch : 1, threads, &quantize, err);
    if (!st)
        st = measure_cache(r, &shallow, err);
    if (!st)
        st = ldm_start_measure(r, &encode, err);
    if (!st)
        st = ldm_concat_measure(r, &pictures, &picture_bytes, err);
    if (st)
        return st;
    r->info.flop_per_eps = unet.flop * (1 + ldm_run_guided_share(r)) * ldm_run_tile_count(r);
    r->info.flop_shallow = shallow.flop * (1 + ldm_run_guided_share(r));
    r->info.flop_decode = decode.flop * ldm_run_tile_count(r);
    if (shallow.arena_bytes > unet.arena_bytes)
        unet.arena_bytes = shallow.arena_bytes;
    arena = unet.arena_bytes > decode.arena_bytes ? unet.arena_bytes : decode.arena_bytes;
    if (quantize.arena_bytes > arena)
        arena = quantize.arena_bytes;
    if (encode.arena_bytes > arena)
        arena = encode.arena_bytes;
    if (pictures.arena_bytes > arena)
        arena = pictures.arena_bytes;
    r->arena_floats = (size_t)(arena / sizeof(float));
    r->unet_bytes = (size_t)unet.arena_bytes;
    r->info.memory_weights = unet.weight_bytes + decode.weight_bytes + quantize.weight_bytes +
                             (encode.weight_bytes ? encode.weight_bytes : pictures.weight_bytes);
    r->info.memory_activations = arena + LDM_RUN_TIMES * (unet.time_bytes + shallow.time_bytes) +
                                 (uint64_t)samples * (unet.cond_bytes + shallow.cond_bytes) +
                                 (uint64_t)j->batch * floats_of_picture(r) * sizeof(float) +
                                 ldm_start_bytes(r) + picture_bytes +
                                 ldm_run_tiles_bytes(r, samples);
    r->info.memory_total = r->info.memory_weights + r->info.memory_activations;
    if (j->max_memory && r->info.memory_total > j->max_memory)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "this run needs %s and max_memory is %s; a smaller batch or "
                             "shape takes less",
                             ldm_format_bytes(r->info.memory_total, need),
                             ldm_format_bytes(j->max_memory, have));
    return LDM_OK;
}

static ldm_status allocate(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    size_t n = (size_t)j->batch, batch_floats = n * r->chw;
    const size_t samples = (size_t)ldm_run_samples(r, j->batch);
    int f = r->m->network->first_stage.factor, c = r->m->network->first_stage.out_channels;
    ldm_status st;

    r->arena = ldm_pages_alloc(r->arena_floats * sizeof *r->arena);
    r->x = ldm_reallocarray(NULL, batch_floats, sizeof *r->x);
    r->scratch = ldm_reallocarray(NULL, ldm_sampler_scratch_latents(r->plan.sampler) * batch_floats,
                                  sizeof *r->scratch);
    r->t = ldm_reallocarray(NULL, samples, sizeof *r->t);
    r->rngs = ldm_reallocarray(NULL, n, sizeof *r->rngs);
    r->unet = ldm_calloc(samples + 1, sizeof *r->unet);
    r->quantize_x0 = ldm_calloc(n + 1, sizeof *r->quantize_x0);
    r->pictures = ldm_calloc(n, sizeof *r->pictures);
    r->failed = ldm_calloc(n, sizeof *r->failed);
    r->errors = ldm_calloc(n, sizeof *r->errors);
    if (j->cache > 1) {
        r->shallow = ldm_calloc(samples + 1, sizeof *r->shallow);
        r->feature = ldm_reallocarray(NULL, samples * r->feature_floats, sizeof *r->feature);
    }
    if (j->masked) {
        r->mask = ldm_reallocarray(NULL, batch_floats, sizeof *r->mask);
        r->x0 = ldm_reallocarray(NULL, batch_floats, sizeof *r->x0);
    }
    /* A grey picture is shown as three equal planes. */
    r->image = ldm_reallocarray(
        NULL, (size_t)(c == 1 ? 3 : c) * (size_t)(j->latent_h * f) * (size_t)(j->latent_w * f),
        sizeof *r->image);
    if (!r->arena || !r->x || !r->scratch || !r->t || !r->rngs || !r->failed || !r->errors ||
        !r->image || !r->unet || !r->quantize_x0 || !r->pictures ||
        (j->cache > 1 && (!r->shallow || !r->feature)) || (j->masked && (!r->mask || !r->x0)))
        return ldm_error_nomem(err, r->info.memory_activations, "the activations");
    /* Not in the first step. Gigabytes take seconds: who does not want to go on need not wait. */
    ldm_pool_watch(r->pool, ldm_run_cancelled, r);
    ldm_pool_touch(r->pool, r->arena, r->unet_bytes);
    ldm_pool_watch(r->pool, NULL, NULL);
    st = ldm_run_cond_make(r, err);
    if (st)
        return st;
    return ldm_picture_create((uint32_t)(j->latent_w * f), (uint32_t)(j->latent_h * f), &r->picture,
                              err);
}

static void settle_batch(ldm_run *r)
{
    ldm_job *j = &r->job;

    if (!j->batch)
        j->batch = j->latent_h * j->latent_w > SMALL_LATENT ? SMALL_BATCH : LARGE_BATCH;
    if (j->batch > j->count)
        j->batch = j->count;
    r->end = j->count;
}

static ldm_status count_evaluations(ldm_run *r, ldm_error *err)
{
    int i, steps = ldm_run_steps(r), *evaluations = ldm_calloc((size_t)steps, sizeof *evaluations);
    ldm_status st;

    if (!evaluations)
        return ldm_error_nomem(err, 0, "the timesteps");
    st = ldm_sampler_trace(&r->plan, r->first, evaluations, &r->own_draws, err);
    for (i = 0; !st && i < steps; i++) {
        if (i % r->job.cache == 0)
            r->info.eps_evaluations += evaluations[i];
        else
            r->info.shallow_evaluations += evaluations[i];
    }
    ldm_free(evaluations);
    return st;
}

static ldm_status fill_info(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_sampler_plan *p = &r->plan;
    const int steps = ldm_run_steps(r);
    ldm_status st = count_evaluations(r, err);
    int i;

    if (st)
        return st;
    r->order = ldm_reallocarray(NULL, (size_t)p->count, sizeof *r->order);
    if (!r->order)
        return ldm_error_nomem(err, 0, "the timesteps");
    for (i = 0; i < p->count; i++)
        r->order[i] = p->steps[i].t;
    r->info.steps_asked = j->steps;
    r->info.steps_run = steps;
    r->info.timesteps = r->order + r->first;
    r->info.count = j->count;
    r->info.batch = j->batch;
    r->info.latent_c = j->latent_c;
    r->info.latent_h = j->latent_h;
    r->info.latent_w = j->latent_w;
    r->info.image_c = r->m->network->first_stage.out_channels;
    ldm_compose_size(r, &r->info.image_w, &r->info.image_h);
    ldm_compose_settle(r);
    r->info.composed = j->painted || (j->masked && !j->mask);
    r->info.threads = ldm_pool_threads(r->pool);
    r->info.noise_used =
        p->adds_noise || j->masked || r->noise_before ||
        (r->cond.pictures.kind != LDM_CONCAT_NONE && ldm_concat_draws(r->m->network));
    return LDM_OK;
}

/* Of a picture's evaluations, each of so many seconds a sample: guided steps have two samples. */
static double unet_seconds(const ldm_run *r, double eps, double shallow)
{
    const ldm_run_info *i = &r->info;

    return (eps * (double)i->eps_evaluations + shallow * (double)i->shallow_evaluations) *
           (1 + ldm_run_guided_share(r));
}

static ldm_status estimate_time(ldm_run *r, ldm_error *err)
{
    const ldm_run_info *i = &r->info;
    const ldm_graph_size unet = ldm_run_unet_size(r), latent = {i->latent_h, i->latent_w, 0};
    const ldm_graph_size tile = {unet.h, unet.w, 0};
    const int samples = ldm_run_samples(r, i->batch), tiles = ldm_run_tile_count(r);
    double eps = 0, shallow = 0, decode = 0, quantize = 0;
    ldm_status st = ldm_measure_part(r->m, LDM_GRAPH_UNET, unet, samples, r->pool, &eps, err);

    if (!st && r->job.cache > 1)
        st = ldm_measure_part(r->m, LDM_GRAPH_UNET_SHALLOW, unet, samples, r->pool, &shallow, err);
    if (!st)
        st = ldm_measure_part(r->m, LDM_GRAPH_DECODE, tile, 1, r->pool, &decode, err);
    if (!st && r->m->network->first_stage.codebook)
        st = ldm_measure_part(r->m, LDM_GRAPH_QUANTIZE, latent, 1, r->pool, &quantize, err);
    if (!st)
        r->info.estimated_seconds =
            i->count *
            (tiles * (unet_seconds(r, eps / samples, shallow / samples) + decode) + quantize);
    return st;
}

static ldm_prediction prediction_of(const ldm_model *m)
{
    const char *name = m->network->diffusion.parameterization;

    return !strcmp(name, "v")    ? LDM_PREDICTS_V
           : !strcmp(name, "x0") ? LDM_PREDICTS_X0
                                 : LDM_PREDICTS_EPS;
}

static ldm_status make_plan(ldm_run *r, ldm_spacing spacing, ldm_error *err)
{
    const ldm_model *m = r->m;
    const ldm_job *j = &r->job;
    const ldm_diffusion diffusion = {
        .train_steps = m->network->diffusion.timesteps,
        .alphas_cumprod = m->alphas_cumprod,
        .sqrt_alphas_cumprod = m->sqrt_alphas_cumprod,
        .sqrt_one_minus_alphas_cumprod = m->sqrt_one_minus_alphas_cumprod,
        .prediction = prediction_of(m),
    };
    ldm_sampling sampling = {
        .steps = j->steps,
        .spacing = spacing,
        .eta = j->eta,
        .temperature = j->temperature,
        .mask = j->masked,
        .quantize_x0 = j->quantize_x0,
        .whole_t = j->whole_timesteps,
        .zero_snr = j->zero_snr,
        .final_sigma = !strcmp(j->final_sigma, "zero")    ? LDM_FINAL_ZERO
                       : !strcmp(j->final_sigma, "least") ? LDM_FINAL_LEAST
                                                          : LDM_FINAL_OWN,
        .full_order_last = !j->lower_order_final,
        .refine = j->refine,
        .by_index = !strcmp(j->inversion, "compvis"),
    };
    const ldm_sampler *sampler =
        j->inverse ? &ldm_sampler_ddim_invert : ldm_sampler_find(j->sampler);

    (void)ldm_solver_find(j->solver, &sampling.solver); /* the setting's row checked it */
    return ldm_sampler_plan_create(sampler, &diffusion, &sampling, &r->plan, err);
}

/* The job with the model's own settings below what it says. */
static ldm_status settle_job(ldm_run *r, const ldm_job *job, ldm_spacing *spacing, ldm_error *err)
{
    ldm_status st;

    r->texts = r->notes.texts = ldm_arena_create(0);
    st = r->texts ? ldm_job_resolve(job, &r->m->profile.sampling, &r->job, err)
                  : ldm_error_nomem(err, 0, "the run");
    return st ? st : ldm_job_settle(r->m, job, &r->job, spacing, err);
}

/* What the job says, held against the model, and what the run will take; allocates no activations.
 */
static ldm_status settle(ldm_run *r, const ldm_job *job, ldm_error *err)
{
    ldm_spacing spacing;
    ldm_status st = settle_job(r, job, &spacing, err);

    if (!st) {
        r->chw = (size_t)r->job.latent_c * (size_t)r->job.latent_h * (size_t)r->job.latent_w;
        settle_batch(r);
    }
    if (!st)
        st = ldm_run_tiles_plan(r, err);
    if (!st)
        st = ldm_run_idle_variation(r, job, err);
    if (!st)
        st = ldm_run_cond_plan(r, job, err);
    if (!st)
        st = ldm_pool_create(r->job.threads ? r->job.threads : r->m->threads, &r->pool, err);
    if (!st)
        st = make_plan(r, spacing, err);
    if (!st)
        st = ldm_start_create(r, err);
    if (!st)
        st = ldm_run_idle(r, job, err);
    if (!st)
        st = ldm_start_note_masks(&r->job, &r->notes, err);
    if (!st)
        st = fill_info(r, err);
    if (!st)
        st = ldm_start_check_noise(r, err);
    return st ? st : check_memory(r, err);
}

ldm_status ldm_run_check(const ldm_model *m, const ldm_job *job, ldm_error *err)
{
    ldm_run *r = ldm_calloc(1, sizeof *r);
    ldm_status st;

    if (!r)
        return ldm_error_nomem(err, sizeof *r, "the run");
    r->m = m;
    st = settle(r, job, err);
    if (!st)
        st = ldm_run_cond_check(r, err);
    ldm_run_free(r);
    return st;
}

ldm_guidance ldm_run_guidance(const ldm_run *r)
{
    return (ldm_guidance){r->job.scale, ldm_run_guided_share(r)};
}

ldm_status ldm_run_forecast(const ldm_model *m, const ldm_job *job, double eps, double *seconds,
                            ldm_guidance *guidance, ldm_error *err)
{
    ldm_run *r = ldm_calloc(1, sizeof *r);
    ldm_spacing spacing;
    ldm_status st;

    if (!r)
        return ldm_error_nomem(err, sizeof *r, "the run");
    r->m = m;
    st = settle_job(r, job, &spacing, err);
    if (!st)
        st = make_plan(r, spacing, err);
    if (!st)
        st = count_evaluations(r, err);
    if (!st) {
        ldm_run_cond_guide(r);
        *seconds = unet_seconds(r, eps, eps);
        *guidance = ldm_run_guidance(r);
    }
    ldm_run_free(r);
    return st;
}

ldm_status ldm_run_create(const ldm_model *m, const ldm_job *job, ldm_run **out, ldm_error *err)
{
    ldm_run *r;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(m, "m", err);
    r = ldm_calloc(1, sizeof *r);
    if (!r)
        return ldm_error_nomem(err, sizeof *r, "the run");
    r->m = m;
    st = settle(r, job, err);
    if (!st && m->dry)
        st = ldm_run_cond_check(r, err);
    st = st ? st : m->dry ? estimate_time(r, err) : allocate(r, err);
    if (!st && !m->dry)
        st = ldm_start_allocate(r, err);
    if (!st && !m->dry)
        st = ldm_run_tiles_allocate(r, ldm_run_samples(r, r->job.batch), err);
    if (!st && !m->dry)
        st = ldm_preview_create(r, err);
    if (!st)
        st = write_notes(r, err);
    if (st) {
        ldm_run_free(r);
        return st;
    }
    *out = r;
    return LDM_OK;
}

/* [samples + 1] programs. Without them the job may have been refused, and its batch be any number.
 */
static void free_programs(ldm_program **programs, int samples)
{
    int i;

    for (i = 0; programs && i <= samples; i++)
        ldm_program_free(programs[i]);
    ldm_free(programs);
}

void ldm_run_free(ldm_run *r)
{
    if (!r)
        return;
    free_programs(r->unet, ldm_run_samples(r, r->job.batch));
    free_programs(r->shallow, ldm_run_samples(r, r->job.batch));
    free_programs(r->quantize_x0, r->job.batch);
    ldm_run_cond_free(r);
    ldm_run_tiles_free(&r->tiles);
    ldm_free(r->pictures);
    ldm_program_free(r->quantize);
    ldm_program_free(r->decode);
    ldm_start_free(r->start);
    ldm_preview_free(r->preview);
    ldm_pages_free(r->arena, r->arena_floats * sizeof *r->arena);
    ldm_free(r->feature);
    ldm_free(r->x);
    ldm_free(r->scratch);
    ldm_free(r->t);
    ldm_kept_free(r->unet_times);
    ldm_kept_free(r->shallow_times);
    ldm_free(r->mask);
    ldm_free(r->x0);
    ldm_free(r->rngs);
    ldm_free(r->failed);
    ldm_free(r->errors);
    ldm_free(r->image);
    ldm_picture_free(&r->picture);
    ldm_sampler_plan_free(&r->plan);
    ldm_free(r->order);
    ldm_notes_free(&r->notes);
    ldm_options_finish(&r->job.options);
    ldm_arena_free(r->texts);
    ldm_pool_free(r->pool);
    ldm_free(r);
}

const ldm_run_info *ldm_run_get_info(const ldm_run *r)
{
    return r ? &r->info : NULL;
}

const ldm_job *ldm_run_get_job(const ldm_run *r)
{
    return r ? &r->job : NULL;
}

size_t ldm_run_note_count(const ldm_run *r)
{
    return r ? r->notes.count : 0;
}

const char *ldm_run_note(const ldm_run *r, size_t i)
{
    return r ? ldm_notes_at(&r->notes, i) : NULL;
}

/* The picture in r->image as RGB: grey as three equal channels; NULL for other numbers of them. */
static const uint8_t *show(ldm_run *r)
{
    size_t pixels = (size_t)r->picture.height * r->picture.width;

    if (r->info.image_c == 1) {
        memcpy(r->image + pixels, r->image, pixels * sizeof *r->image);
        memcpy(r->image + 2 * pixels, r->image, pixels * sizeof *r->image);
    } else if (r->info.image_c != 3) {
        return NULL;
    }
    ldm_picture_from_planes(r->image, &r->picture);
    return r->picture.rgb;
}

/* Decodes picture i of the batch into res, or says why it has none. */
static ldm_status decode_one(ldm_run *r, int i, ldm_result *res, ldm_error *err)
{
    const float *latent = r->x + (size_t)i * r->chw;
    ldm_status st;

    res->index = r->pictures[i];
    res->seed = ldm_picture_seed(&r->job, res->index);
    res->width = r->info.image_w;
    res->height = r->info.image_h;
    res->channels = 3;
    res->status = r->failed[i];
    if (res->status) {
        if (err)
            *err = r->errors[i];
    } else {
        st = ldm_run_decode(r, latent, err);
        if (st && st != LDM_ERR_NUMERIC)
            return st;
        res->status = st;
    }
    /* Weights may lie in the file: one that was written to explains any result, a NaN as well. */
    st = ldm_hash_unchanged(r->m->hash, err);
    if (st)
        return st;
    if (res->status)
        return LDM_OK;
    res->pixels = show(r);
    st = ldm_compose(r, res->index, res->pixels != NULL, err);
    res->latent = latent;
    res->image = r->image;
    return st;
}

ldm_status ldm_run_next(ldm_run *r, const ldm_result **out, ldm_error *err)
{
    ldm_status st = LDM_OK;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(r, "r", err);
    if (r->m->dry)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the model was opened for a dry run: it has no "
                             "weights to sample with");
    if (r->used == r->in_batch)
        st = ldm_run_sample(r, err);
    if (st || r->used == r->in_batch)
        return st;
    r->result = (ldm_result){0};
    st = decode_one(r, r->used, &r->result, err);
    if (st)
        return st;
    r->used++;
    *out = &r->result;
    return LDM_OK;
}

ldm_status ldm_run_range(ldm_run *r, int first, int count, ldm_error *err)
{
    LDM_REQUIRE(r, "r", err);
    if (first < 0 || count < 0 || first > r->job.count || count > r->job.count - first)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d pictures from %d on: the run has pictures 0 to %d", count, first,
                             r->job.count - 1);
    r->next = first;
    r->end = first + count;
    r->in_batch = r->used = 0;
    return LDM_OK;
}

ldm_status ldm_run_recipe(ldm_run *r, int index, char **json, ldm_error *err)
{
    LDM_REQUIRE(json, "json", err);
    *json = NULL;
    LDM_REQUIRE(r, "r", err);
    if (index < 0 || index >= r->job.count)
        return ldm_error_set(err, LDM_ERR_USAGE, "index is %d, expected 0 to %d", index,
                             r->job.count - 1);
    return ldm_recipe_create(r->m, &r->job, index, r->vocabulary, json, err);
}
