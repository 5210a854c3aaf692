/* One job on a model: seeds, noise, batches, DDIM, decoding. Everything a step needs is allocated when
 * the run is created. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/run_job.h"
#include "image/picture.h"
#include "sample/ddim.h"
#include "sample/rng.h"

enum { SMALL_BATCH = 4, LARGE_BATCH = 8, SMALL_LATENT = 24 * 24 };

struct ldm_run {
    const ldm_model *m;
    ldm_job job; /* settled: count, batch, shape are final */
    ldm_pool *pool;
    ldm_ddim_schedule schedule;
    int *order; /* timesteps as sampled, largest first */
    size_t chw;

    ldm_program *unet, *unet_rest, *unet_one; /* batches of job.batch, of the last one, of 1 */
    ldm_program *quantize_x0[3];              /* the same three sizes */
    ldm_program *quantize, *decode;           /* of 1 */
    float *arena;
    size_t arena_floats;

    float *x, *scratch, *times; /* [batch][chw], 3 x [batch][chw], [batch] */
    float *mask, *x0;           /* [batch][chw], expanded, or NULL */
    ldm_rng *rngs;              /* [batch] */
    float *image;               /* [3][h][w] */
    ldm_picture picture;

    int next;           /* picture to hand out */
    int first, in_batch; /* pictures that x holds */
    ldm_status *failed; /* [batch]: LDM_OK or why a picture has no latent */
    ldm_error *errors;  /* [batch] */

    /* The batch being sampled, for the callbacks. */
    int active_first, active_n;
    ldm_program *active_unet, *active_quantize;

    ldm_arena *texts;
    char **notes;
    size_t note_count, note_cap;
    ldm_run_info info;
};

void ldm_job_init(ldm_job *job)
{
    memset(job, 0, sizeof *job);
    job->steps = 50;
    job->timesteps = "compvis";
    job->temperature = 1.0;
    job->scale = 1.0;
    job->cond = "none";
    job->seed = 42;
    job->count = 1;
    job->quantize = true;
}

void ldm_model_init_job(const ldm_model *m, ldm_job *job)
{
    const ldm_profile *p = &m->profile;

    ldm_job_init(job);
    if (p->has_steps)
        job->steps = p->steps;
    if (p->has_timesteps)
        job->timesteps = p->timesteps;
    if (p->has_eta)
        job->eta = p->eta;
    if (p->has_temperature)
        job->temperature = p->temperature;
    if (p->has_scale)
        job->scale = p->scale;
    if (p->has_cond)
        job->cond = p->cond;
}

static ldm_status note(ldm_run *r, ldm_error *err, const char *fmt, ...) LDM_PRINTF(3, 4);

static ldm_status note(ldm_run *r, ldm_error *err, const char *fmt, ...)
{
    ldm_str text = {0};
    char *copy;
    va_list ap;

    va_start(ap, fmt);
    ldm_str_vprintf(&text, fmt, ap);
    va_end(ap);
    copy = text.failed ? NULL : ldm_arena_strdup(r->texts, text.data);
    ldm_str_free(&text);
    if (!copy || !ldm_grow(&r->notes, &r->note_cap, r->note_count + 1, sizeof *r->notes))
        return ldm_error_nomem(err, 0, "a note");
    r->notes[r->note_count++] = copy;
    return LDM_OK;
}

static ldm_status write_notes(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_ddim_schedule *s = &r->schedule;
    ldm_status st = LDM_OK;

    if (s->dropped)
        st = note(r, err,
                  "%d steps asked, %d run: CompVis' spacing ends at timestep %d, which does not "
                  "exist (the original raises IndexError there) and is left out",
                  j->steps, s->count, r->m->spec->diffusion.timesteps);
    else if (s->count != j->steps)
        st = note(r, err,
                  "%d steps asked, %d run: CompVis' spacing takes every %dth of %d timesteps; "
                  "--timesteps leading, trailing or linspace run exactly as many as asked",
                  j->steps, s->count, r->m->spec->diffusion.timesteps / j->steps,
                  r->m->spec->diffusion.timesteps);
    if (!st && j->scale != 1.0 && !r->m->audit->effective.cross_attention)
        st = note(r, err,
                  "guidance scale %g has no effect: this network has no cross-attention, so its "
                  "conditional and unconditional eps are the same; each step is computed once",
                  j->scale);
    if (!st && strcmp(j->cond, "none") && !r->m->audit->effective.cross_attention)
        st = note(r, err,
                  "conditioning with %s has no effect: this network has no cross-attention",
                  j->cond);
    if (!st && strcmp(r->m->spec->diffusion.parameterization, "x0") == 0)
        st = note(r, err,
                  "parameterization is x0, but DDIM takes the network's output for eps, as CompVis' "
                  "sampler does");
    return st;
}

/* ---- memory ------------------------------------------------------------------------------------- */

static ldm_status check_memory(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_model *m = r->m;
    uint64_t w_unet, w_dec, w_q, a_unet, a_dec, a_q, arena;
    double flop_q;
    char need[16], have[16];
    ldm_status st;
    int threads = ldm_pool_threads(r->pool), h = j->latent_h, w = j->latent_w;

    st = ldm_model_estimate(m, LDM_GRAPH_UNET, h, w, j->batch, threads, &w_unet, &a_unet,
                            &r->info.flop_per_eps, err);
    if (!st)
        st = ldm_model_estimate(m, LDM_GRAPH_DECODE, h, w, 1, threads, &w_dec, &a_dec,
                                &r->info.flop_decode, err);
    if (!st)
        st = ldm_model_estimate(m, LDM_GRAPH_QUANTIZE, h, w, j->quantize_x0 ? j->batch : 1, threads,
                                &w_q, &a_q, &flop_q, err);
    if (st)
        return st;
    arena = a_unet > a_dec ? a_unet : a_dec;
    if (a_q > arena)
        arena = a_q;
    r->arena_floats = (size_t)(arena / sizeof(float));
    r->info.memory_weights = w_unet + w_dec + w_q;
    r->info.memory_activations = arena + 8 * (uint64_t)j->batch * r->chw * sizeof(float);
    r->info.memory_total = r->info.memory_weights + r->info.memory_activations;
    if (j->max_memory && r->info.memory_total > j->max_memory)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "this run needs %s and --max-memory is %s; a smaller --batch or "
                             "--shape takes less",
                             ldm_format_bytes(r->info.memory_total, need),
                             ldm_format_bytes(j->max_memory, have));
    return LDM_OK;
}

static float *expand(const ldm_array *a, int n, int c, size_t hw, size_t first)
{
    float *out = ldm_reallocarray(NULL, (size_t)n * (size_t)c * hw, sizeof *out);
    size_t an = (size_t)a->shape[0], ac = (size_t)a->shape[1], i, k;

    if (!out)
        return NULL;
    for (i = 0; i < (size_t)n; i++) {
        for (k = 0; k < (size_t)c; k++) {
            size_t from_n = an == 1 ? 0 : first + i, from_c = ac == 1 ? 0 : k;

            memcpy(out + (i * (size_t)c + k) * hw, a->data + (from_n * ac + from_c) * hw,
                   hw * sizeof *out);
        }
    }
    return out;
}

static ldm_status allocate(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    size_t n = (size_t)j->batch, batch_floats = n * r->chw;
    int f = r->m->spec->downsample;

    r->arena = ldm_pages_alloc(r->arena_floats * sizeof *r->arena);
    r->x = ldm_reallocarray(NULL, batch_floats, sizeof *r->x);
    r->scratch = ldm_reallocarray(NULL, 3 * batch_floats, sizeof *r->scratch);
    r->times = ldm_reallocarray(NULL, n, sizeof *r->times);
    r->rngs = ldm_reallocarray(NULL, n, sizeof *r->rngs);
    r->failed = ldm_calloc(n, sizeof *r->failed);
    r->errors = ldm_calloc(n, sizeof *r->errors);
    r->image = ldm_reallocarray(NULL, (size_t)r->m->spec->vq.out_ch * (size_t)(j->latent_h * f) *
                                          (size_t)(j->latent_w * f),
                                sizeof *r->image);
    if (!r->arena || !r->x || !r->scratch || !r->times || !r->rngs || !r->failed || !r->errors ||
        !r->image)
        return ldm_error_nomem(err, r->info.memory_activations, "the activations");
    return ldm_picture_create((uint32_t)(j->latent_w * f), (uint32_t)(j->latent_h * f),
                              &r->picture, err);
}

static ldm_status make_program(ldm_run *r, ldm_graph_part part, int n, ldm_program **out,
                               ldm_error *err)
{
    if (*out)
        return LDM_OK;
    return ldm_model_program(r->m, part, r->job.latent_h, r->job.latent_w, n, r->pool, out, err);
}

static ldm_status make_programs(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    int rest = j->count % j->batch;
    ldm_status st = make_program(r, LDM_GRAPH_UNET, j->batch, &r->unet, err);

    if (!st && rest)
        st = make_program(r, LDM_GRAPH_UNET, rest, &r->unet_rest, err);
    if (!st && j->quantize_x0)
        st = make_program(r, LDM_GRAPH_QUANTIZE, j->batch, &r->quantize_x0[0], err);
    if (!st && j->quantize_x0 && rest)
        st = make_program(r, LDM_GRAPH_QUANTIZE, rest, &r->quantize_x0[1], err);
    return st;
}

static void settle_batch(ldm_run *r)
{
    ldm_job *j = &r->job;

    if (!j->batch)
        j->batch = j->latent_h * j->latent_w > SMALL_LATENT ? SMALL_BATCH : LARGE_BATCH;
    if (j->batch > j->count)
        j->batch = j->count;
}

static ldm_status fill_info(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    int f = r->m->spec->downsample, i;

    r->order = ldm_reallocarray(NULL, (size_t)r->schedule.count, sizeof *r->order);
    if (!r->order)
        return ldm_error_nomem(err, 0, "the timesteps");
    for (i = 0; i < r->schedule.count; i++)
        r->order[i] = r->schedule.timesteps[r->schedule.count - 1 - i];
    r->info.steps_asked = j->steps;
    r->info.steps_run = r->schedule.count;
    r->info.timesteps = r->order;
    r->info.count = j->count;
    r->info.batch = j->batch;
    r->info.latent_c = j->latent_c;
    r->info.latent_h = j->latent_h;
    r->info.latent_w = j->latent_w;
    r->info.image_h = j->latent_h * f;
    r->info.image_w = j->latent_w * f;
    r->info.threads = ldm_pool_threads(r->pool);
    r->info.noise_used = j->eta > 0 || j->mask;
    return LDM_OK;
}

ldm_status ldm_run_create(const ldm_model *m, const ldm_job *job, ldm_run **out, ldm_error *err)
{
    ldm_run *r = ldm_calloc(1, sizeof *r);
    ldm_spacing spacing;
    ldm_status st;

    *out = NULL;
    if (!r)
        return ldm_error_nomem(err, sizeof *r, "the run");
    r->m = m;
    r->job = *job;
    r->first = r->in_batch = 0;
    st = ldm_job_settle(m, &r->job, &spacing, err);
    if (!st) {
        r->chw = (size_t)r->job.latent_c * (size_t)r->job.latent_h * (size_t)r->job.latent_w;
        settle_batch(r);
        r->texts = ldm_arena_create(0);
        st = r->texts ? LDM_OK : ldm_error_nomem(err, 0, "the run");
    }
    if (!st)
        st = ldm_pool_create(job->threads, &r->pool, err);
    if (!st)
        st = ldm_ddim_schedule_create(m->alphas_cumprod, m->spec->diffusion.timesteps, spacing,
                                      r->job.steps, r->job.eta, &r->schedule, err);
    if (!st)
        st = ldm_job_check_noise(&r->job, r->schedule.count, err);
    if (!st)
        st = fill_info(r, err);
    if (!st)
        st = check_memory(r, err);
    if (!st)
        st = allocate(r, err);
    if (!st)
        st = make_programs(r, err);
    if (!st)
        st = write_notes(r, err);
    if (st) {
        ldm_run_free(r);
        return st;
    }
    *out = r;
    return LDM_OK;
}

void ldm_run_free(ldm_run *r)
{
    int i;

    if (!r)
        return;
    ldm_program_free(r->unet);
    ldm_program_free(r->unet_rest);
    ldm_program_free(r->unet_one);
    for (i = 0; i < 3; i++)
        ldm_program_free(r->quantize_x0[i]);
    ldm_program_free(r->quantize);
    ldm_program_free(r->decode);
    ldm_pages_free(r->arena, r->arena_floats * sizeof *r->arena);
    ldm_free(r->x);
    ldm_free(r->scratch);
    ldm_free(r->times);
    ldm_free(r->mask);
    ldm_free(r->x0);
    ldm_free(r->rngs);
    ldm_free(r->failed);
    ldm_free(r->errors);
    ldm_free(r->image);
    ldm_picture_free(&r->picture);
    ldm_ddim_schedule_free(&r->schedule);
    ldm_free(r->order);
    ldm_free(r->notes);
    ldm_arena_free(r->texts);
    ldm_pool_free(r->pool);
    ldm_free(r);
}

void ldm_run_get_info(const ldm_run *r, ldm_run_info *out)
{
    *out = r->info;
}

size_t ldm_run_note_count(const ldm_run *r)
{
    return r->note_count;
}

const char *ldm_run_note(const ldm_run *r, size_t i)
{
    return i < r->note_count ? r->notes[i] : NULL;
}

/* ---- the sampler's callbacks --------------------------------------------------------------------- */

static ldm_status eps_callback(void *ctx, const float *x, int t, float *eps, ldm_error *err)
{
    ldm_run *r = ctx;
    int i;

    for (i = 0; i < r->active_n; i++)
        r->times[i] = (float)t;
    return ldm_program_run(r->active_unet, r->pool, r->arena, x, r->times, eps, NULL, err);
}

/* The user's noise comes in the order drawn: with a mask q_sample's and the step's own take turns,
 * unless there is one entry a step, which then is q_sample's (eta 0 uses no other). */
static const float *given_noise(const ldm_run *r, int step, bool mask_noise)
{
    const ldm_array *a = r->job.noise;
    size_t per_draw = (size_t)a->shape[1] * r->chw, draw = (size_t)step;

    if (r->job.mask && a->shape[0] == 2 * (uint64_t)r->schedule.count)
        draw = 2 * (size_t)step + !mask_noise;
    return a->data + draw * per_draw + (size_t)r->active_first * r->chw;
}

static ldm_status noise_callback(void *ctx, int step, bool mask_noise, float *noise,
                                 ldm_error *err)
{
    ldm_run *r = ctx;
    int i;

    (void)err;
    if (r->job.noise) {
        memcpy(noise, given_noise(r, step, mask_noise),
               (size_t)r->active_n * r->chw * sizeof *noise);
        return LDM_OK;
    }
    for (i = 0; i < r->active_n; i++)
        ldm_rng_randn(&r->rngs[i], noise + (size_t)i * r->chw, r->chw);
    return LDM_OK;
}

static ldm_status quantize_callback(void *ctx, float *pred_x0, ldm_error *err)
{
    ldm_run *r = ctx;

    /* The input is copied before anything is written: in place is fine. */
    return ldm_program_run(r->active_quantize, r->pool, r->arena, pred_x0, NULL, pred_x0, NULL,
                           err);
}

static int report(const ldm_run *r, int step, int t, const char *stage)
{
    ldm_progress p = {
        .step = step,
        .step_count = r->schedule.count,
        .timestep = t,
        .first_image = r->active_first,
        .images_in_batch = r->active_n,
        .image_count = r->job.count,
        .stage = stage,
    };

    return r->job.progress ? r->job.progress(r->job.ctx, &p) : 0;
}

static int progress_callback(void *ctx, int step, int count, int t, const float *x,
                             const float *pred_x0)
{
    ldm_run *r = ctx;

    (void)count;
    (void)x;
    (void)pred_x0;
    if (step == 0)
        ldm_hash_start((ldm_hash *)(uintptr_t)&r->m->hash); /* off the path to the first step */
    return report(r, step + 1, t, "sampling");
}

/* ---- batches ------------------------------------------------------------------------------------- */

static ldm_status expand_known_region(ldm_run *r, int first, int n, ldm_error *err)
{
    const ldm_job *j = &r->job;
    size_t hw = (size_t)j->latent_h * (size_t)j->latent_w;

    if (!j->mask)
        return LDM_OK;
    ldm_free(r->mask);
    ldm_free(r->x0);
    r->mask = expand(j->mask, n, j->latent_c, hw, (size_t)first);
    r->x0 = expand(j->x0, n, j->latent_c, hw, (size_t)first);
    if (!r->mask || !r->x0)
        return ldm_error_nomem(err, (uint64_t)n * r->chw * sizeof(float), "the known region");
    return LDM_OK;
}

/* Samples pictures first .. first + n - 1 into x. */
static ldm_status sample(ldm_run *r, int first, int n, ldm_program *unet, ldm_program *quantize,
                         float *x, ldm_error *err)
{
    const ldm_ddim_model model = {
        .ctx = r,
        .eps = eps_callback,
        .noise = noise_callback,
        .quantize = r->job.quantize_x0 ? quantize_callback : NULL,
        .progress = progress_callback,
    };
    ldm_ddim_job job = {
        .schedule = &r->schedule,
        .alphas_cumprod = r->m->alphas_cumprod,
        .n = (size_t)n,
        .chw = r->chw,
        .temperature = r->job.temperature,
        .quantize_x0 = r->job.quantize_x0,
        .scratch = r->scratch,
    };
    ldm_status st;
    int i;

    r->active_first = first;
    r->active_n = n;
    r->active_unet = unet;
    r->active_quantize = quantize;
    for (i = 0; i < n; i++) {
        ldm_rng_seed(&r->rngs[i], r->job.seed + (uint64_t)(first + i));
        if (!r->job.x_t)
            ldm_rng_randn(&r->rngs[i], x + (size_t)i * r->chw, r->chw);
    }
    if (r->job.x_t)
        memcpy(x, r->job.x_t->data + (size_t)first * r->chw, (size_t)n * r->chw * sizeof *x);
    st = expand_known_region(r, first, n, err);
    if (st)
        return st;
    job.mask = r->mask;
    job.x0 = r->x0;
    if (report(r, 0, r->order[0], "sampling"))
        return ldm_error_set(err, LDM_ERR_CANCELLED, "stopped before step 1");
    return ldm_ddim_run(&job, &model, x, err);
}

/* A batch in which something became NaN: each picture alone, so that only the bad ones fail. A
 * picture's numbers do not depend on its batch. */
static ldm_status sample_one_by_one(ldm_run *r, int first, int n, ldm_error *err)
{
    ldm_status st = make_program(r, LDM_GRAPH_UNET, 1, &r->unet_one, err);
    int i;

    if (!st && r->job.quantize_x0)
        st = make_program(r, LDM_GRAPH_QUANTIZE, 1, &r->quantize_x0[2], err);
    for (i = 0; !st && i < n; i++) {
        r->failed[i] = sample(r, first + i, 1, r->unet_one, r->quantize_x0[2],
                              r->x + (size_t)i * r->chw, &r->errors[i]);
        if (r->failed[i] && r->failed[i] != LDM_ERR_NUMERIC) {
            st = r->failed[i];
            if (err)
                *err = r->errors[i];
        }
    }
    return st;
}

static ldm_status next_batch(ldm_run *r, ldm_error *err)
{
    int n = r->job.count - r->next, i;
    bool rest;
    ldm_status st;

    if (n > r->job.batch)
        n = r->job.batch;
    rest = n < r->job.batch;
    r->first = r->next;
    r->in_batch = 0;
    for (i = 0; i < n; i++)
        r->failed[i] = LDM_OK;
    st = sample(r, r->first, n, rest ? r->unet_rest : r->unet, r->quantize_x0[rest], r->x, err);
    if (st == LDM_ERR_NUMERIC && n > 1) {
        st = sample_one_by_one(r, r->first, n, err);
    } else if (st == LDM_ERR_NUMERIC) {
        r->failed[0] = st;
        if (err)
            r->errors[0] = *err;
        st = LDM_OK;
    }
    if (!st)
        r->in_batch = n;
    return st;
}

/* decode_first_stage: 1 / scale_factor * z in float32, codebook, decoder. */
static ldm_status decode(ldm_run *r, const float *latent, ldm_error *err)
{
    float *z = r->scratch;
    ldm_status st = LDM_OK;

    ldm_model_unscale(r->m, latent, z, r->chw);
    if (r->job.quantize) {
        st = make_program(r, LDM_GRAPH_QUANTIZE, 1, &r->quantize, err);
        if (!st)
            st = ldm_program_run(r->quantize, r->pool, r->arena, z, NULL, z, NULL, err);
    }
    if (!st)
        st = make_program(r, LDM_GRAPH_DECODE, 1, &r->decode, err);
    if (!st)
        st = ldm_program_run(r->decode, r->pool, r->arena, z, NULL, r->image, NULL, err);
    return st;
}

ldm_status ldm_run_next(ldm_run *r, ldm_result *out, bool *have, ldm_error *err)
{
    ldm_status st = LDM_OK;
    int i;

    memset(out, 0, sizeof *out);
    *have = false;
    if (r->next >= r->job.count)
        return LDM_OK;
    if (r->next >= r->first + r->in_batch)
        st = next_batch(r, err);
    if (st)
        return st;
    i = r->next - r->first;
    out->index = r->next;
    out->seed = r->job.seed + (uint64_t)r->next;
    out->width = r->info.image_w;
    out->height = r->info.image_h;
    out->status = r->failed[i];
    if (out->status) {
        if (err)
            *err = r->errors[i];
    } else {
        r->active_first = r->next;
        r->active_n = 1;
        (void)report(r, r->schedule.count, 0, "decoding");
        st = decode(r, r->x + (size_t)i * r->chw, err);
        if (st)
            return st;
        ldm_picture_from_planes(r->image, &r->picture);
        out->latent = r->x + (size_t)i * r->chw;
        out->image = r->image;
        out->rgb = r->picture.rgb;
    }
    r->next++;
    *have = true;
    return LDM_OK;
}

ldm_status ldm_run_recipe(ldm_run *r, const ldm_result *res, char **json, ldm_error *err)
{
    return ldm_recipe_create(r->m, &r->job, res, r->job.latent_c, r->job.latent_h,
                             r->job.latent_w, json, err);
}
