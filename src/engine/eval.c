/* SPDX-License-Identifier: MIT */
/* One part of the network on the user's arrays: the debugging tool that the parity tests use too.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "engine/conditions.h"
#include "engine/posterior.h"
#include "image/npy.h"

typedef struct part_shape {
    const char *name;
    ldm_graph_part graph;
    int in_c, out_c; /* channels */
    int up, down;    /* output side = input side * up / down */
    bool ids;        /* in: [N] or [N,tokens], out: [N,tokens,out_c] */
} part_shape;

static part_shape of_encoder(const ldm_model *m, const ldm_eval_job *job)
{
    const ldm_first_stage *fs = &m->network->first_stage;

    return (part_shape){
        .name = "encode",
        .graph = LDM_GRAPH_ENCODE,
        .in_c = fs->in_channels,
        .out_c = ldm_posterior_asked(job) ? fs->latent_channels : fs->encoded_channels,
        .up = 1,
        .down = fs->factor,
    };
}

static part_shape of_conditioner(const ldm_model *m, const ldm_eval_job *job)
{
    const ldm_conditioner *c = m->network->conditioners;
    part_shape p = {.name = job->part == LDM_PART_TEXT ? "text" : "cond",
                    .graph = LDM_GRAPH_COND,
                    .up = 1,
                    .down = 1};

    if (c->takes == LDM_COND_TAKES_PICTURE)
        return of_encoder(m, job);
    if (c->takes == LDM_COND_TAKES_MAP) {
        p.in_c = c->channels_in;
        p.out_c = c->channels;
        p.down = c->factor;
        return p;
    }
    p.ids = true;
    p.out_c = c->context_width;
    return p;
}

static part_shape describe(const ldm_model *m, const ldm_eval_job *job)
{
    const ldm_network *s = m->network;
    const ldm_first_stage *fs = &s->first_stage;
    int z = fs->latent_channels, f = fs->factor;

    switch (job->part) {
    case LDM_PART_UNET:
        break;
    case LDM_PART_ENCODE:
        return of_encoder(m, job);
    case LDM_PART_DECODE:
        return (part_shape){"decode", LDM_GRAPH_DECODE, z, fs->out_channels, f, 1, false};
    case LDM_PART_QUANTIZE:
        return (part_shape){"quantize", LDM_GRAPH_QUANTIZE, z, z, 1, 1, false};
    case LDM_PART_INDICES:
        return (part_shape){"indices", LDM_GRAPH_INDICES, z, 1, 1, 1, false};
    case LDM_PART_TEXT:
    case LDM_PART_COND:
        return of_conditioner(m, job);
    }
    return (part_shape){"unet", LDM_GRAPH_UNET, s->unet_inputs.latent, s->unet.out_channels, 1,
                        1,      false};
}

/* Whether the model has a conditioner that can be run. */
static ldm_status check_conditioner(const ldm_model *m, const ldm_eval_job *job, ldm_error *err)
{
    const ldm_conditioner *c = m->network->conditioner_count ? m->network->conditioners : NULL;

    if (job->part != LDM_PART_TEXT && job->part != LDM_PART_COND)
        return LDM_OK;
    if (!c)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this model is unconditional: it has no conditioner to run");
    if (job->part == LDM_PART_TEXT && c->takes != LDM_COND_TAKES_TOKENS)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this model has no text encoder; its conditioner (%.120s) is part "
                             "cond",
                             c->target);
    if (c->takes == LDM_COND_TAKES_LATENT)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this model's conditioner (%.120s) gives what it is given; there is "
                             "nothing to run",
                             c->target);
    return LDM_OK;
}

static ldm_status check_ids(const ldm_model *m, const ldm_array *in, const part_shape *p,
                            ldm_error *err)
{
    const ldm_conditioner *c = m->network->conditioners;
    char found[96];

    if (in->ndim > 2 || !in->numel || (in->ndim == 1 && c->tokens != 1))
        return ldm_error_set(err, LDM_ERR_USAGE, "the input has shape %s, %s takes [N,%d]",
                             ldm_shape_text(in, found, sizeof found), p->name, c->tokens);
    return ldm_check_ids(in, c->entries, "the input", err);
}

static ldm_status check_input(const ldm_model *m, const ldm_array *in, const part_shape *p,
                              ldm_error *err)
{
    if (p->ids)
        return check_ids(m, in, p, err);
    if (in->ndim != 4)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the input has %d dimensions, %s takes 4: [N,%d,H,W]", in->ndim,
                             p->name, p->in_c);
    if (in->shape[1] != (uint64_t)p->in_c)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the input has %" PRIu64 " channels, %s takes [N,%d,H,W]",
                             in->shape[1], p->name, p->in_c);
    if (!in->numel || in->shape[2] > 1 << 15 || in->shape[3] > 1 << 15)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the input's shape [%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                             "] is empty or too large",
                             in->shape[0], in->shape[1], in->shape[2], in->shape[3]);
    return LDM_OK;
}

/* A latent's nearest codebook entry is found by squared distances. */
static ldm_status check_indices(const ldm_array *in, ldm_error *err)
{
    const double most = 1e18; /* its square is a float */
    uint64_t i;

    for (i = 0; i < in->numel; i++) {
        if (!(fabs((double)in->data[i]) < most))
            return ldm_error_set(err, LDM_ERR_NUMERIC,
                                 "the input: element %" PRIu64 " is %g: no codebook entry is "
                                 "nearest to it",
                                 i, (double)in->data[i]);
    }
    return LDM_OK;
}

/* ---- dumps ----------------------------------------------------------------------------------- */

/* Where dumps go, and how: of a graph over tokens as [1,tokens,width], else as [1,C,H,W]. */
typedef struct dumping {
    const ldm_eval_job *job;
    bool tokens, first; /* first: the sample that is dumped */
} dumping;

static void take_tokens(const ldm_view *v, float *out)
{
    int i;

    for (i = 0; i < v->h * v->w; i++)
        memcpy(out + (size_t)i * (size_t)v->c, v->data + (size_t)i * v->pitch,
               (size_t)v->c * sizeof *out);
}

static ldm_status write_dump(const dumping *to, const char *name, const ldm_view *v,
                             const float *data, ldm_error *err)
{
    const uint64_t planes[4] = {1, (uint64_t)v->c, (uint64_t)v->h, (uint64_t)v->w};
    const uint64_t rows[3] = {1, (uint64_t)v->h * (uint64_t)v->w, (uint64_t)v->c};
    ldm_str path = {0};
    ldm_status st;

    ldm_str_printf(&path, "%s/%s.npy", to->job->dump, name);
    if (path.failed)
        st = ldm_error_nomem(err, strlen(to->job->dump), name);
    else
        st = ldm_npy_write(path.data, LDM_NPY_F32, to->tokens ? 3 : 4, to->tokens ? rows : planes,
                           data, err);
    ldm_str_free(&path);
    return st;
}

static ldm_status dump(const dumping *to, const ldm_step_info *info, ldm_error *err)
{
    ldm_view v = info->y;
    const size_t floats = (size_t)v.c * (size_t)v.h * (size_t)v.w;
    float *data;
    ldm_status st;

    if (!info->dump || !to->job->dump || !to->first)
        return LDM_OK;
    v.n = 1;
    data = ldm_reallocarray(NULL, floats, sizeof *data);
    if (!data)
        return ldm_error_nomem(err, floats * sizeof *data, info->dump);
    if (to->tokens)
        take_tokens(&v, data);
    else
        ldm_view_to_nchw(&v, data);
    st = write_dump(to, info->dump, &v, data, err);
    if (!st && info->dump_also)
        st = write_dump(to, info->dump_also, &v, data, err);
    ldm_free(data);
    return st;
}

static bool cancelled(void *ctx)
{
    const dumping *to = ctx;

    return to->job->cancel && to->job->cancel(to->job->cancel_ctx);
}

/* An observer, called between the operations. */
static ldm_status look(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    const dumping *to = ctx;

    if (cancelled(ctx))
        return ldm_error_set(err, LDM_ERR_CANCELLED, "stopped within an evaluation");
    return dump(to, info, err);
}

/* ---- running --------------------------------------------------------------------------------- */

typedef struct evaluation {
    ldm_pool *pool;
    ldm_program *quantize, *program; /* quantize: in front of a decode, or NULL */
    float *arena;
    size_t arena_floats;
    float *z;       /* one sample, for decode */
    float *moments; /* of one sample, for encode; or NULL */
} evaluation;

static void finish(evaluation *e)
{
    ldm_program_free(e->quantize);
    ldm_program_free(e->program);
    ldm_pages_free(e->arena, e->arena_floats * sizeof *e->arena);
    ldm_free(e->z);
    ldm_free(e->moments);
    ldm_pool_free(e->pool);
}

/* Rows and columns of one sample of the input; ids are a column of tokens. */
static ldm_graph_size size_of(const ldm_eval_job *job, const part_shape *p)
{
    const ldm_array *in = job->in;
    const ldm_conditions c = {.context = job->context};

    if (p->ids)
        return (ldm_graph_size){1, 1, in->ndim == 2 ? (int)in->shape[1] : 1};
    return (ldm_graph_size){(int)in->shape[2], (int)in->shape[3],
                            job->part == LDM_PART_UNET ? ldm_conditions_tokens(&c) : 0};
}

static ldm_status prepare(const ldm_model *m, const ldm_eval_job *job, const part_shape *p,
                          evaluation *e, ldm_error *err)
{
    const ldm_graph_size size = size_of(job, p);
    const size_t in_floats = (size_t)(job->in->numel / job->in->shape[0]);
    ldm_status st = ldm_pool_create(job->threads ? job->threads : m->threads, &e->pool, err);
    size_t more;

    if (!st)
        st = ldm_model_program(m, p->graph, size, 1, e->pool, &e->program, err);
    if (!st && job->part == LDM_PART_DECODE && job->quantize && m->network->first_stage.codebook)
        st = ldm_model_program(m, LDM_GRAPH_QUANTIZE, size, 1, e->pool, &e->quantize, err);
    if (st)
        return st;
    e->arena_floats = ldm_program_arena_floats(e->program);
    more = e->quantize ? ldm_program_arena_floats(e->quantize) : 0;
    if (more > e->arena_floats)
        e->arena_floats = more;
    e->arena = ldm_pages_alloc(e->arena_floats * sizeof *e->arena);
    e->z = ldm_reallocarray(NULL, in_floats, sizeof *e->z);
    if (ldm_posterior_asked(job))
        e->moments = ldm_reallocarray(NULL,
                                      2 * (size_t)p->out_c * (size_t)size.h * (size_t)size.w /
                                          (size_t)(p->down * p->down),
                                      sizeof *e->moments);
    if (!e->arena || !e->z || (ldm_posterior_asked(job) && !e->moments))
        return ldm_error_nomem(err, e->arena_floats * sizeof *e->arena, "the activations");
    return LDM_OK;
}

/* Sample number i: its input and output. */
static ldm_status run_one(const ldm_model *m, const ldm_eval_job *job, const part_shape *p,
                          evaluation *e, uint64_t i, ldm_array *all, const ldm_observer *obs,
                          ldm_error *err)
{
    size_t in_floats = (size_t)(job->in->numel / job->in->shape[0]);
    size_t out_floats = (size_t)(all->numel / all->shape[0]);
    const float *in = job->in->data + i * in_floats;
    const float t = (float)job->t;
    float *out = all->data + i * out_floats;
    ldm_execution run = {.inputs = {{p->ids ? "ids" : "x", in},
                                    {"t", &t},
                                    {"context", ldm_condition_of(job->context, i)},
                                    {"concat", ldm_condition_of(job->concat, i)},
                                    {"labels", ldm_condition_of(job->labels, i)}},
                         .out = e->moments ? e->moments : out,
                         .observer = obs};
    ldm_status st = LDM_OK;

    if (job->part == LDM_PART_DECODE) {
        const ldm_execution quantize = {.inputs = {{"x", e->z}}, .out = e->z};

        ldm_model_unscale(m, in, e->z, in_floats);
        run.inputs[0].data = e->z;
        if (e->quantize)
            st = ldm_program_run(e->quantize, e->pool, e->arena, &quantize, err);
    }
    if (!st)
        st = ldm_program_run(e->program, e->pool, e->arena, &run, err);
    if (!st && e->moments)
        ldm_posterior_take(m, job, i, e->moments, out_floats, out);
    return st;
}

static void shape_output(const ldm_eval_job *job, const part_shape *p, ldm_array *out)
{
    const ldm_array *in = job->in;
    int d = 0, i;

    out->shape[d++] = in->shape[0];
    if (p->ids) {
        out->shape[1] = in->ndim == 2 ? in->shape[1] : 1;
        out->shape[2] = (uint64_t)p->out_c;
        out->ndim = 3;
        out->numel = out->shape[0] * out->shape[1] * out->shape[2];
        return;
    }
    if (job->part != LDM_PART_INDICES)
        out->shape[d++] = (uint64_t)p->out_c;
    out->shape[d++] = in->shape[2] * (uint64_t)p->up / (uint64_t)p->down;
    out->shape[d++] = in->shape[3] * (uint64_t)p->up / (uint64_t)p->down;
    out->ndim = d;
    out->numel = 1;
    for (i = 0; i < d; i++)
        out->numel *= out->shape[i];
}

/* Again, for the caller may have changed them since they were set. */
static ldm_status check_arrays(const ldm_eval_job *job, ldm_error *err)
{
    const struct {
        const ldm_array *a;
        const char *what;
    } arrays[] = {{job->in, "the input"},
                  {job->context, "the context"},
                  {job->concat, "concat"},
                  {job->labels, "labels"},
                  {job->noise, "the noise"}};
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < sizeof arrays / sizeof arrays[0]; i++) {
        if (arrays[i].a)
            st = ldm_array_check(arrays[i].a, arrays[i].what, err);
    }
    return st;
}

static ldm_status check_unet(const ldm_model *m, const ldm_eval_job *job, ldm_error *err)
{
    const ldm_conditions c = {job->context, job->concat, job->labels};

    if (!ldm_options_given(&job->options, "t"))
        return ldm_error_set(err, LDM_ERR_USAGE, "t is not set: the UNet needs a timestep");
    if (job->t > m->network->diffusion.timesteps - 1)
        return ldm_error_set(err, LDM_ERR_USAGE, "t is %g, expected a timestep from 0 to %d",
                             job->t, m->network->diffusion.timesteps - 1);
    return ldm_conditions_check(m, &c, job->in->shape[0], (int)job->in->shape[2],
                                (int)job->in->shape[3], 0, "", err);
}

ldm_status ldm_eval(const ldm_model *m, const ldm_eval_job *job, ldm_array *out, ldm_error *err)
{
    dumping to = {.job = job};
    const ldm_observer obs = {&to, look, cancelled};
    evaluation e = {0};
    part_shape p;
    uint64_t i;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    LDM_REQUIRE(m, "m", err);
    LDM_REQUIRE(job, "job", err);
    LDM_REQUIRE(job->in, "the array \"in\"", err);
    st = check_arrays(job, err);
    if (!st && job->part == LDM_PART_UNET && m->network->lone_first_stage)
        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "this is a first stage alone (%.120s): it has no UNet",
                           m->network->first_stage.target);
    if (!st)
        st = check_conditioner(m, job, err);
    if (st)
        return st;
    p = describe(m, job);
    to.tokens = p.ids;
    st = check_input(m, job->in, &p, err);
    if (!st && job->part == LDM_PART_UNET)
        st = check_unet(m, job, err);
    if (!st && job->part == LDM_PART_INDICES)
        st = check_indices(job->in, err);
    if (st)
        return st;
    shape_output(job, &p, out);
    st = ldm_posterior_check(m, job, out, err);
    if (!st && job->dump)
        st = ldm_make_dirs(job->dump, err);
    if (!st)
        st = prepare(m, job, &p, &e, err);
    if (!st) {
        out->data = ldm_reallocarray(NULL, (size_t)out->numel, sizeof *out->data);
        if (!out->data)
            st = ldm_error_nomem(err, out->numel * sizeof *out->data, "the output");
    }
    for (i = 0; !st && i < out->shape[0]; i++) {
        to.first = i == 0;
        st = run_one(m, job, &p, &e, i, out, job->cancel || (job->dump && !i) ? &obs : NULL, err);
    }
    if (!st)
        st = ldm_hash_unchanged(m->hash, err);
    finish(&e);
    if (st)
        ldm_array_free(out);
    return st;
}
