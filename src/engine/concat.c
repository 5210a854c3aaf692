/* SPDX-License-Identifier: MIT */
/* What is concatenated with the latent, made of pictures; see concat.h. */
#include "engine/concat.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "engine/canvas.h"
#include "engine/posterior.h"
#include "engine/run_state.h"
#include "engine/start_job.h"

/* Channels of the picture. A map's labels are one. */
static unsigned channels_in(const ldm_network *n, ldm_concat_kind kind)
{
    return kind == LDM_CONCAT_MAP ? 1
           : kind == LDM_CONCAT_LOW || kind == LDM_CONCAT_LOW_NOISED
               ? (unsigned)n->unet_inputs.concat
               : (unsigned)n->first_stage.in_channels;
}

/* ---- planning -------------------------------------------------------------------------------- */

/* The job's own noise: of the latent, or of the low-resolution picture. */
static ldm_status check_noise(const ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_array *a = j->cond_noise;
    const int channels = r->cond.pictures.kind == LDM_CONCAT_LOW_NOISED
                             ? r->m->network->unet_inputs.concat
                             : j->latent_c;
    char found[128];

    if (!a)
        return LDM_OK;
    if (a->ndim != 4 || (a->shape[0] != 1 && a->shape[0] != (uint64_t)j->count) ||
        a->shape[1] != (uint64_t)channels || a->shape[2] != (uint64_t)j->latent_h ||
        a->shape[3] != (uint64_t)j->latent_w)
        return ldm_error_set(
            err, LDM_ERR_USAGE, "cond_noise has shape %s, expected [1 or %d,%d,%d,%d]",
            ldm_shape_text(a, found, sizeof found), j->count, channels, j->latent_h, j->latent_w);
    return ldm_check_finite(a, "cond_noise", err);
}

ldm_status ldm_concat_plan(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_network *n = r->m->network;
    ldm_concat *c = &r->cond.pictures;
    size_t count;

    if (!ldm_concat_pictures(j, &count))
        return LDM_OK;
    c->kind = n->unet_inputs.concat_kind;
    c->made = (ldm_array){.ndim = 4,
                          .shape = {count, (uint64_t)n->unet_inputs.concat, (uint64_t)j->latent_h,
                                    (uint64_t)j->latent_w}};
    if (ldm_mul_u64(c->made.shape[1] * c->made.shape[2] * c->made.shape[3], count,
                    &c->made.numel) ||
        c->made.numel > SIZE_MAX / sizeof(float) / 4)
        return ldm_error_set(err, LDM_ERR_LIMIT, "%zu pictures are too many at this size", count);
    r->cond.with.concat = r->cond.without.concat = &c->made;
    return check_noise(r, err);
}

static bool has_posterior(const ldm_run *r)
{
    const ldm_concat_kind kind = r->cond.pictures.kind;

    return r->m->network->first_stage.posterior &&
           (kind == LDM_CONCAT_PICTURE || ldm_concat_takes_mask(kind));
}

/* The part of the network that pictures go through; false: none. */
static bool part_of(const ldm_run *r, ldm_graph_part *part)
{
    const ldm_concat_kind kind = r->cond.pictures.kind;

    *part = kind == LDM_CONCAT_MAP ? LDM_GRAPH_COND : LDM_GRAPH_ENCODE;
    return kind == LDM_CONCAT_MAP || kind == LDM_CONCAT_PICTURE || ldm_concat_takes_mask(kind);
}

static ldm_graph_size picture_size(const ldm_run *r)
{
    const int unit = ldm_concat_unit(r->m->network);

    return (ldm_graph_size){r->job.latent_h * unit, r->job.latent_w * unit, 0};
}

static size_t planes_floats(const ldm_run *r)
{
    const ldm_graph_size size = picture_size(r);
    const size_t channels = r->cond.pictures.kind == LDM_CONCAT_MAP
                                ? (size_t)r->m->network->conditioners->channels_in
                                : channels_in(r->m->network, r->cond.pictures.kind);

    return channels * (size_t)size.h * (size_t)size.w;
}

ldm_status ldm_concat_measure(const ldm_run *r, ldm_estimate *part, uint64_t *bytes, ldm_error *err)
{
    const ldm_concat *c = &r->cond.pictures;
    ldm_graph_part graph;

    *part = (ldm_estimate){0};
    *bytes = 0;
    if (c->kind == LDM_CONCAT_NONE)
        return LDM_OK;
    *bytes = (c->made.numel * (has_posterior(r) ? 3 : 1) + planes_floats(r)) * sizeof(float);
    if (ldm_concat_draws(r->m->network))
        *bytes += c->made.numel / c->made.shape[0] * (uint64_t)r->job.batch * sizeof(float);
    if (!part_of(r, &graph))
        return LDM_OK;
    return ldm_model_estimate(r->m, graph, picture_size(r), 1, ldm_pool_threads(r->pool), part,
                              err);
}

/* ---- pictures as planes ---------------------------------------------------------------------- */

/* The two spellings of the originals differ in the last bit: 2 * (v / 255) - 1 and v / 127.5 - 1.
 */
static float value_of(ldm_concat_kind kind, uint8_t v)
{
    return kind == LDM_CONCAT_MASK_FIRST || kind == LDM_CONCAT_LOW_NOISED
               ? (float)v / 127.5f - 1.0f
               : 2.0f * ((float)v / 255.0f) - 1.0f;
}

/* paint NULL: nothing is painted. */
static void to_planes(ldm_concat_kind kind, const ldm_pixels *p, const ldm_pixels *paint,
                      float *planes)
{
    const float painted = kind == LDM_CONCAT_MASK_FIRST ? 0.0f : -1.0f;
    const size_t pixels = (size_t)p->width * p->height, channels = p->channels;
    size_t i, c;

    for (c = 0; c < channels; c++) {
        for (i = 0; i < pixels; i++)
            planes[c * pixels + i] =
                paint && paint->data[i] ? painted : value_of(kind, p->data[i * channels + c]);
    }
}

/* The mask at the latent's size: nearest, as torch's interpolate: the pixel at (y * unit,
 * x * unit). */
static void to_mask(ldm_concat_kind kind, const ldm_pixels *paint, int unit, int h, int w,
                    float *out)
{
    const float kept = kind == LDM_CONCAT_MASK_LAST ? -1.0f : 0.0f;
    int x, y;

    for (y = 0; y < h; y++) {
        for (x = 0; x < w; x++) {
            const size_t at = (size_t)(y * unit) * paint->width + (size_t)(x * unit);

            out[(size_t)y * (size_t)w + (size_t)x] = paint->data[at] ? 1.0f : kept;
        }
    }
}

/* Labels were checked when the job was settled. */
static void to_one_hot(const ldm_run *r, const ldm_pixels *labels, float *planes)
{
    const size_t pixels = (size_t)labels->width * labels->height;
    size_t i;

    memset(planes, 0, planes_floats(r) * sizeof *planes);
    for (i = 0; i < pixels; i++)
        planes[labels->data[i] * pixels + i] = 1;
}

/* Number i of the pictures in the network's size, and what is painted of it. */
static ldm_status load(const ldm_run *r, size_t i, ldm_canvas *out, ldm_error *err)
{
    const ldm_graph_size size = picture_size(r);
    const unsigned channels = channels_in(r->m->network, r->cond.pictures.kind);
    ldm_pixels whole = {0}, paint = {0};
    ldm_status st = ldm_canvas_make(&r->job, i, channels, size.w, size.h, ldm_start_fit(&r->job),
                                    LDM_CANVAS_FILL_PAINTED, out, err);

    if (st)
        return st;
    st = ldm_canvas_extend(&out->picture, size.w, size.h, &whole, err);
    if (!st && out->paint.data)
        st = ldm_canvas_extend(&out->paint, size.w, size.h, &paint, err);
    ldm_canvas_free(out);
    *out = (ldm_canvas){.picture = whole, .paint = paint};
    if (st)
        ldm_canvas_free(out);
    return st;
}

/* ---- making it ------------------------------------------------------------------------------- */

/* What one picture is made with. */
typedef struct workshop {
    ldm_program *program; /* NULL: pictures go through none */
    float *planes, *code; /* the program's input and output */
    size_t code_floats;
} workshop;

static ldm_status open_workshop(ldm_run *r, workshop *w, ldm_error *err)
{
    const ldm_concat *c = &r->cond.pictures;
    const size_t hw = (size_t)r->job.latent_h * (size_t)r->job.latent_w;
    ldm_graph_part part;
    ldm_status st = LDM_OK;

    *w = (workshop){0};
    w->code_floats = c->kind == LDM_CONCAT_MAP
                         ? (size_t)c->made.shape[1] * hw
                         : (size_t)r->m->network->first_stage.encoded_channels * hw;
    w->planes = ldm_reallocarray(NULL, planes_floats(r), sizeof *w->planes);
    w->code = ldm_reallocarray(NULL, w->code_floats, sizeof *w->code);
    if (!w->planes || !w->code)
        return ldm_error_nomem(err, planes_floats(r) * sizeof *w->planes, "a picture");
    if (part_of(r, &part))
        st = ldm_model_program(r->m, part, picture_size(r), 1, r->pool, &w->program, err);
    return st;
}

static void close_workshop(workshop *w)
{
    ldm_program_free(w->program);
    ldm_free(w->planes);
    ldm_free(w->code);
}

/* What the network makes of the picture, in its place among the channels. */
static ldm_status place_code(ldm_run *r, size_t i, const workshop *w, float *out, ldm_error *err)
{
    ldm_concat *c = &r->cond.pictures;
    const size_t latent = r->chw;

    if (!ldm_all_finite(w->code, w->code_floats))
        return ldm_error_set(err, LDM_ERR_NUMERIC,
                             "what the network makes of picture %zu, its conditioning, is not "
                             "finite; `ldm check --values` looks for such weights",
                             i);
    if (c->moments)
        memcpy(c->moments + i * 2 * latent, w->code, 2 * latent * sizeof *w->code);
    else if (has_posterior(r))
        ldm_posterior_latent(w->code, latent, NULL, out);
    else if (c->kind == LDM_CONCAT_MASK_FIRST)
        ldm_model_scale(r->m, w->code, out, latent);
    else
        memcpy(out, w->code, w->code_floats * sizeof *out);
    return LDM_OK;
}

static ldm_status make_one(ldm_run *r, size_t i, const workshop *w, ldm_error *err)
{
    ldm_concat *c = &r->cond.pictures;
    const ldm_execution run = {.inputs = {{"x", w->planes}}, .out = w->code};
    const size_t hw = (size_t)r->job.latent_h * (size_t)r->job.latent_w;
    const bool first = c->kind == LDM_CONCAT_MASK_FIRST;
    float *out = c->made.data + i * ldm_condition_floats(&c->made);
    ldm_canvas canvas;
    ldm_status st = load(r, i, &canvas, err);

    if (st)
        return st;
    if (c->kind == LDM_CONCAT_MAP)
        to_one_hot(r, &canvas.picture, w->planes);
    else
        to_planes(c->kind, &canvas.picture, canvas.paint.data ? &canvas.paint : NULL,
                  w->program ? w->planes : out);
    if (ldm_concat_takes_mask(c->kind))
        to_mask(c->kind, &canvas.paint, ldm_concat_unit(r->m->network), r->job.latent_h,
                r->job.latent_w, first ? out : out + ldm_condition_floats(&c->made) - hw);
    ldm_canvas_free(&canvas);
    if (!w->program)
        return LDM_OK;
    st = ldm_program_run(w->program, r->pool, r->arena, &run, err);
    return st ? st : place_code(r, i, w, first ? out + hw : out, err);
}

/* The schedule of the noise on low-resolution pictures, as the checkpoint has it. */
static ldm_status read_level(ldm_run *r, ldm_error *err)
{
    static const char *const names[] = {"low_scale_model.sqrt_alphas_cumprod",
                                        "low_scale_model.sqrt_one_minus_alphas_cumprod"};
    float *const to[] = {&r->cond.pictures.root, &r->cond.pictures.rest};
    const uint64_t n = (uint64_t)r->m->network->low_scale.timesteps;
    float *values = ldm_reallocarray(NULL, (size_t)n, sizeof *values);
    ldm_status st = values ? LDM_OK : ldm_error_nomem(err, n * sizeof *values, "a schedule");
    int i;

    for (i = 0; !st && i < 2; i++) {
        const ldm_tensor_info *t = ldm_ckpt_find(r->m->ckpt, names[i]);

        if (!t || t->numel != n)
            st = ldm_error_set(err, LDM_ERR_CONFIG,
                               "the checkpoint has no %s of %d values: how much noise a level is "
                               "cannot be told",
                               names[i], (int)n);
        else
            st = ldm_ckpt_read_f32(r->m->ckpt, t, values, err);
        if (!st)
            *to[i] = values[r->job.noise_level];
    }
    ldm_free(values);
    return st;
}

static ldm_status allocate(ldm_run *r, ldm_error *err)
{
    ldm_concat *c = &r->cond.pictures;
    const size_t count = (size_t)c->made.shape[0], one = ldm_condition_floats(&c->made);

    c->made.data = ldm_reallocarray(NULL, (size_t)c->made.numel, sizeof(float));
    if (c->kind == LDM_CONCAT_MASK_FIRST && has_posterior(r))
        c->moments = ldm_reallocarray(NULL, count, 2 * r->chw * sizeof(float));
    if (ldm_concat_draws(r->m->network))
        c->noised = ldm_reallocarray(NULL, (size_t)r->job.batch, one * sizeof(float));
    if (!c->made.data || (ldm_concat_draws(r->m->network) && !c->noised) ||
        (c->kind == LDM_CONCAT_MASK_FIRST && has_posterior(r) && !c->moments))
        return ldm_error_nomem(err, c->made.numel * sizeof(float), "the conditioning");
    return LDM_OK;
}

ldm_status ldm_concat_make(ldm_run *r, ldm_error *err)
{
    ldm_concat *c = &r->cond.pictures;
    workshop w = {0};
    ldm_status st;
    size_t i;

    if (c->kind == LDM_CONCAT_NONE)
        return LDM_OK;
    st = allocate(r, err);
    if (!st && c->kind == LDM_CONCAT_LOW_NOISED)
        st = read_level(r, err);
    if (!st)
        st = open_workshop(r, &w, err);
    for (i = 0; !st && i < (size_t)c->made.shape[0]; i++)
        st = make_one(r, i, &w, err);
    close_workshop(&w);
    return st;
}

void ldm_concat_free(ldm_concat *c)
{
    ldm_array_free(&c->made);
    ldm_free(c->moments);
    ldm_free(c->noised);
}

/* ---- a picture of the run -------------------------------------------------------------------- */

static size_t source_of(const ldm_run *r, int slot)
{
    return (size_t)r->pictures[slot] % (size_t)r->cond.pictures.made.shape[0];
}

void ldm_concat_draw(ldm_run *r, int slot)
{
    const ldm_concat *c = &r->cond.pictures;
    const ldm_array *given = r->job.cond_noise;
    const size_t one = c->noised ? ldm_condition_floats(&c->made) : 0;
    const size_t mask = c->moments ? one - r->chw : 0; /* floats that get none */
    float *out = c->noised + (size_t)slot * one, *drawn = out + mask;
    const float *from;
    size_t i;

    if (!c->noised)
        return;
    from = c->made.data + source_of(r, slot) * one;
    if (given)
        memcpy(drawn, ldm_condition_of(given, (uint64_t)r->pictures[slot]),
               (one - mask) * sizeof *out);
    else
        ldm_rng_randn(&r->rngs[slot], drawn, one - mask);
    memcpy(out, from, mask * sizeof *out);
    if (c->moments) {
        ldm_posterior_latent(c->moments + source_of(r, slot) * 2 * r->chw, r->chw, drawn, drawn);
        ldm_model_scale(r->m, drawn, drawn, r->chw);
        return;
    }
    for (i = 0; i < one; i++)
        out[i] = c->root * from[i] + c->rest * out[i];
}

const float *ldm_concat_of(const ldm_run *r, int slot)
{
    const ldm_concat *c = &r->cond.pictures;
    const size_t one = ldm_condition_floats(&c->made);

    return c->noised ? c->noised + (size_t)slot * one : c->made.data + source_of(r, slot) * one;
}
