/* SPDX-License-Identifier: MIT */
/* Sampling and decoding: the callbacks that a sampler calls, batches, and one picture after the
 * other. */
#include <string.h>

#include "base/alloc.h"
#include "engine/between.h"
#include "engine/posterior.h"
#include "engine/run_state.h"
#include "engine/run_preview.h"
#include "engine/start.h"

/* ---- the sampler's callbacks ----------------------------------------------------------------- */

/* The user's noise comes in the order drawn: with a mask q_sample's before each step's own, unless
 * there is one entry a step, which then is q_sample's (with eta 0 no other counts). */
static const float *given_noise(const ldm_run *r, ldm_draw draw, int picture)
{
    const ldm_array *a = r->job.noise;
    bool all = a->shape[0] == (uint64_t)ldm_run_draws(r);
    size_t entry = (size_t)(r->noise_before + (all ? draw.number : draw.step));

    if (entry >= a->shape[0])
        return NULL; /* of a run that adds none: it is drawn and multiplied by 0 */
    return a->data + (entry * (size_t)a->shape[1] + (size_t)picture) * r->chw;
}

static ldm_status noise_callback(void *ctx, ldm_draw draw, float *noise, ldm_error *err)
{
    ldm_run *r = ctx;
    int i;

    (void)err;
    for (i = 0; i < r->active_n; i++, noise += r->chw) {
        const float *given = r->job.noise ? given_noise(r, draw, r->pictures[r->active + i]) : NULL;

        if (given)
            memcpy(noise, given, r->chw * sizeof *noise);
        else
            ldm_rng_randn(&r->rngs[r->active + i], noise, r->chw);
    }
    return LDM_OK;
}

static ldm_status quantize_callback(void *ctx, float *pred_x0, ldm_error *err)
{
    ldm_run *r = ctx;
    const ldm_execution run = {.inputs = {{"x", pred_x0}}, .out = pred_x0};

    /* The input is copied before anything is written: in place is fine. */
    return ldm_program_run(r->quantize_x0[r->active_n], r->pool, r->arena, &run, err);
}

static int report(ldm_run *r, int step, double t, const char *stage, const float *latents,
                  const float *predicted)
{
    ldm_progress p = {
        .step = step,
        .step_count = ldm_run_steps(r),
        .timestep = t,
        .first_image = r->pictures[r->active],
        .images_in_batch = r->active_n,
        .image_count = r->job.count,
        .stage = stage,
        .predicted = predicted,
        .latent_c = r->job.latent_c,
        .latent_h = r->job.latent_h,
        .latent_w = r->job.latent_w,
        .latents = latents,
    };

    ldm_preview_report(r, &p);
    return r->job.progress ? r->job.progress(r->job.ctx, &p) : 0;
}

static ldm_status decode_quietly(ldm_run *r, const float *latent, float *z, ldm_error *err);

static int progress_callback(void *ctx, int step, int count, double t, const float *x,
                             const float *pred_x0)
{
    ldm_run *r = ctx;

    (void)count;
    if (r->job.progress)
        ldm_preview_update(r, step + 1, pred_x0, decode_quietly);
    if (step == 0)
        ldm_hash_start(r->m->hash); /* off the path to the first step */
    return report(r, step + 1, t, "sampling", x, pred_x0);
}

/* ---- batches --------------------------------------------------------------------------------- */

static ldm_status program(ldm_run *r, ldm_graph_part part, int n, ldm_program **out, ldm_error *err)
{
    const ldm_graph_size whole = {r->job.latent_h, r->job.latent_w, 0};

    if (*out)
        return LDM_OK;
    return ldm_model_program(r->m, part, part == LDM_GRAPH_QUANTIZE ? whole : ldm_run_unet_size(r),
                             n, r->pool, out, err);
}

/* The array [1 or N, 1 or C, H, W] of one picture as [C, H, W]. */
static void expand(const ldm_array *a, int picture, int c, size_t hw, float *out)
{
    size_t from = a->shape[0] == 1 ? 0 : (size_t)picture, channels = (size_t)a->shape[1], k;

    for (k = 0; k < (size_t)c; k++)
        memcpy(out + k * hw, a->data + (from * channels + (channels == 1 ? 0 : k)) * hw,
               hw * sizeof *out);
}

/* Seeds, start and known region of picture `slot` of the batch. */
static ldm_status begin_picture(ldm_run *r, int slot, ldm_error *err)
{
    const ldm_job *j = &r->job;
    size_t hw = (size_t)j->latent_h * (size_t)j->latent_w, at = (size_t)slot * r->chw;
    int picture = r->pictures[slot];
    ldm_status st = LDM_OK;

    ldm_rng_seed(&r->rngs[slot], ldm_picture_seed(j, picture));
    if (r->start)
        st = ldm_start_picture(r, slot, err);
    else if (j->x_t)
        memcpy(r->x + at, j->x_t->data + (size_t)picture * r->chw, r->chw * sizeof *r->x);
    else
        ldm_start_noise(j, picture, &r->rngs[slot], r->x + at, r->scratch, r->chw);
    ldm_concat_draw(r, slot);
    if (j->mask) {
        expand(j->mask, picture, j->latent_c, hw, r->mask + at);
        expand(j->x0, picture, j->latent_c, hw, r->x0 + at);
    }
    return st;
}

/* The UNet for so many samples, whole and, with job.cache, its outermost blocks. */
static ldm_status make_unet(ldm_run *r, int samples, ldm_error *err)
{
    ldm_status st = program(r, LDM_GRAPH_UNET, samples, &r->unet[samples], err);

    if (!st && !r->unet_times)
        st =
            ldm_kept_create(r->unet[samples], LDM_DEPENDS_TIME, LDM_RUN_TIMES, &r->unet_times, err);
    if (!st && r->job.cache > 1)
        st = program(r, LDM_GRAPH_UNET_SHALLOW, samples, &r->shallow[samples], err);
    if (!st && r->job.cache > 1 && !r->shallow_times)
        st = ldm_kept_create(r->shallow[samples], LDM_DEPENDS_TIME, LDM_RUN_TIMES,
                             &r->shallow_times, err);
    return st;
}

/* The programs that sample n pictures; those of an n that was sampled before are kept. */
static ldm_status make_programs(ldm_run *r, int n, ldm_error *err)
{
    const bool some_unguided = r->cond.guided && (r->job.scale_from > 0 || r->job.scale_to < 1);
    ldm_status st = make_unet(r, ldm_run_samples(r, n), err);

    if (!st && some_unguided)
        st = make_unet(r, n, err);
    if (!st && r->job.quantize_x0)
        st = program(r, LDM_GRAPH_QUANTIZE, n, &r->quantize_x0[n], err);
    return st;
}

/* Runs the sampler on n pictures of the batch from slot `first`. */
static ldm_status sample(ldm_run *r, int first, int n, ldm_error *err)
{
    const ldm_denoiser model = {
        .ctx = r,
        .predict = ldm_run_predict,
        .noise = noise_callback,
        .quantize = r->job.quantize_x0 ? quantize_callback : NULL,
        .progress = progress_callback,
    };
    size_t at = (size_t)first * r->chw;
    const ldm_sampler_job job = {
        .plan = &r->plan,
        .start = r->first,
        .noised = r->noised,
        .n = (size_t)n,
        .chw = r->chw,
        .mask = r->mask ? r->mask + at : NULL,
        .x0 = r->x0 ? r->x0 + at : NULL,
        .scratch = r->scratch,
    };
    ldm_status st = make_programs(r, n, err);
    int i;

    if (!st)
        st = ldm_preview_fit(r, decode_quietly, err);

    if (st)
        return st;
    r->active = first;
    r->active_n = n;
    for (i = first; !st && i < first + n; i++)
        st = begin_picture(r, i, err);
    if (!st)
        st = ldm_run_cond_begin(r, err);
    if (st)
        return st;
    if (report(r, 0, r->plan.steps[r->first].t, "sampling", r->x + at, NULL))
        return ldm_error_set(err, LDM_ERR_CANCELLED, "stopped before step 1");
    return ldm_sampler_execute(&job, &model, r->x + at, err);
}

/* A batch in which something became NaN: each picture alone, so that only the bad ones fail. A
 * picture's numbers do not depend on its batch. */
static ldm_status sample_one_by_one(ldm_run *r, int n, ldm_error *err)
{
    int i;

    for (i = 0; i < n; i++) {
        r->failed[i] = sample(r, i, 1, &r->errors[i]);
        if (r->failed[i] && r->failed[i] != LDM_ERR_NUMERIC) {
            if (err)
                *err = r->errors[i];
            return r->failed[i];
        }
    }
    return LDM_OK;
}

ldm_status ldm_run_sample(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    ldm_error local;
    ldm_status st;
    int n = 0, first = r->next;

    r->in_batch = r->used = 0;
    for (; r->next < r->end && n < j->batch; r->next++) {
        if (j->skip && j->skip(j->skip_ctx, r->next))
            continue;
        r->failed[n] = LDM_OK;
        r->pictures[n++] = r->next;
    }
    if (!n)
        return LDM_OK;
    st = sample(r, 0, n, &local);
    if (st == LDM_ERR_NUMERIC && n > 1) {
        st = sample_one_by_one(r, n, &local);
    } else if (st == LDM_ERR_NUMERIC) {
        r->failed[0] = st;
        r->errors[0] = local;
        st = LDM_OK;
    }
    if (!st) {
        r->in_batch = n;
        return LDM_OK;
    }
    r->next = first; /* the next call begins this batch again, with its first step */
    if (err)
        *err = local;
    return st;
}

/* An observer, called between the operations of a decode: does the caller want to go on? */
static ldm_status ask_to_go_on(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    ldm_run *r = ctx;

    (void)info;
    if (report(r, ldm_run_steps(r), 0, "decoding", NULL, NULL) || ldm_run_cancelled(r))
        return ldm_error_set(err, LDM_ERR_CANCELLED, "stopped while picture %d was decoded",
                             r->pictures[r->active]);
    return LDM_OK;
}

/* Why a picture is not finite although its latent is. */
static ldm_status undecodable(ldm_run *r, const ldm_execution *decode, const float *latent,
                              ldm_error *err)
{
    const double most = ldm_largest(latent, r->chw);
    char where[192];

    if (most > LDM_ABSURD_LATENT)
        return ldm_error_set(err, LDM_ERR_NUMERIC,
                             "the decoded picture has NaN or infinite values: its latent holds "
                             "values up to %.3g, and a model's are near 1",
                             most);
    ldm_run_find_bad(r, r->decode, *decode, where, sizeof where);
    return ldm_error_set(err, LDM_ERR_NUMERIC,
                         "the decoded picture has NaN or infinite values, its latent has none: "
                         "they first appear in %s; `ldm check --values` looks for such weights in "
                         "the first stage",
                         where);
}

/* One run of the decoder. floats: of its output. */
static ldm_status decode_once(ldm_run *r, const ldm_execution *run, size_t floats,
                              const float *latent, ldm_error *err)
{
    const ldm_status st = ldm_program_run(r->decode, r->pool, r->arena, run, err);

    if (st || ldm_all_finite(run->out, floats))
        return st;
    return undecodable(r, run, latent, err);
}

/* z into r->image, whole or tile by tile. */
static ldm_status run_decoder(ldm_run *r, const float *z, const float *latent,
                              const ldm_observer *obs, ldm_error *err)
{
    const ldm_run_tiles *t = &r->tiles;
    const size_t planes = (size_t)r->info.image_c;
    ldm_execution run = {.inputs = {{"x", z}}, .out = r->image, .observer = obs};
    ldm_status st = program(r, LDM_GRAPH_DECODE, 1, &r->decode, err);
    int i, j;

    if (st)
        return st;
    if (!t->on)
        return decode_once(r, &run, planes * (size_t)r->picture.height * (size_t)r->picture.width,
                           latent, err);
    run.inputs[0].data = t->in;
    run.out = t->image;
    memset(r->image, 0,
           planes * (size_t)t->image_y.side * (size_t)t->image_x.side * sizeof *r->image);
    for (i = 0; !st && i < t->y.count; i++) {
        for (j = 0; !st && j < t->x.count; j++) {
            ldm_tile_take(&t->y, &t->x, i, j, z, (size_t)r->job.latent_c, t->in);
            st = decode_once(r, &run, planes * (size_t)t->image_y.tile * (size_t)t->image_x.tile,
                             latent, err);
            if (!st)
                ldm_tile_add(&t->image_y, &t->image_x, i, j, t->image, planes, r->image);
        }
    }
    return st;
}

/* decode_first_stage: 1 / scale_factor * z in float32, codebook, decoder; into r->image. z[chw]:
 * scratch. */
static ldm_status decode_into(ldm_run *r, const float *latent, float *z, const ldm_observer *obs,
                              ldm_error *err)
{
    const ldm_execution quantize = {.inputs = {{"x", z}}, .out = z};
    ldm_status st = LDM_OK;

    ldm_model_unscale(r->m, latent, z, r->chw);
    if (r->job.quantize && r->m->network->first_stage.codebook) {
        st = program(r, LDM_GRAPH_QUANTIZE, 1, &r->quantize, err);
        if (!st)
            st = ldm_program_run(r->quantize, r->pool, r->arena, &quantize, err);
    }
    if (!st)
        st = run_decoder(r, z, latent, obs, err);
    return st;
}

/* For previews: without a word to the caller. */
static ldm_status decode_quietly(ldm_run *r, const float *latent, float *z, ldm_error *err)
{
    return decode_into(r, latent, z, NULL, err);
}

ldm_status ldm_run_decode(ldm_run *r, const float *latent, ldm_error *err)
{
    const ldm_observer obs = {r, ask_to_go_on, ldm_run_cancelled};
    ldm_status st;

    r->active = r->used;
    r->active_n = 1;
    st = ask_to_go_on(r, NULL, err);
    return st ? st : decode_into(r, latent, r->scratch, &obs, err);
}
