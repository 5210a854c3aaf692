/* SPDX-License-Identifier: MIT */
/* Image-to-image: what a run begins with; see start.h. */
#include "engine/start.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/between.h"
#include "engine/canvas.h"
#include "engine/posterior.h"
#include "engine/start_job.h"

struct ldm_start {
    ldm_beginning at;
    bool afresh; /* begins with start noise; the latent is the known region alone */
    ldm_fit_how how;
    bool posterior;       /* a sample of moments is taken; of an inversion their mean */
    ldm_program *encode;  /* NULL: the caller gave latents, or it is a dry run */
    int width, height;    /* of the encoder's picture */
    float *planes, *code; /* its input and output; NULL likewise */
    size_t planes_floats, code_floats;
    float *begun; /* of an inversion: [batch][chw]; else NULL */
};

/* ---- with the plan --------------------------------------------------------------------------- */

ldm_status ldm_start_create(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_first_stage *f = &r->m->network->first_stage;
    ldm_start *s;
    size_t pixels;
    ldm_status st;

    if (!j->init && !j->init_images)
        return LDM_OK;
    s = r->start = ldm_calloc(1, sizeof *s);
    if (!s)
        return ldm_error_nomem(err, sizeof *s, "the start of a run");
    s->how = ldm_start_fit(j);
    s->width = j->latent_w * f->factor;
    s->height = j->latent_h * f->factor;
    pixels = (size_t)s->width * (size_t)s->height;
    if (j->init_images) {
        s->posterior = f->posterior;
        s->planes_floats = (size_t)f->in_channels * pixels;
        s->code_floats = (size_t)f->encoded_channels * (size_t)j->latent_h * (size_t)j->latent_w;
    }
    if (j->inverse) {
        r->noised = true;
        return LDM_OK;
    }
    s->afresh = j->init_images && j->masked && j->strength >= 1;
    r->noised = !s->afresh;
    r->noise_before = !s->afresh + s->posterior;
    if (s->afresh)
        return LDM_OK;
    st = ldm_sampler_begin_at(&r->plan, j->strength, &s->at, err);
    r->first = s->at.first;
    return st;
}

void ldm_start_free(ldm_start *s)
{
    if (!s)
        return;
    ldm_program_free(s->encode);
    ldm_free(s->planes);
    ldm_free(s->code);
    ldm_free(s->begun);
    ldm_free(s);
}

ldm_status ldm_start_check_noise(const ldm_run *r, ldm_error *err)
{
    const int draws = ldm_run_draws(r);
    const bool adds = r->plan.adds_noise || !r->start;

    return ldm_job_check_noise(&r->job, ldm_run_steps(r), draws, adds ? draws : r->noise_before,
                               err);
}

ldm_status ldm_start_measure(const ldm_run *r, ldm_estimate *encode, ldm_error *err)
{
    const ldm_start *s = r->start;

    *encode = (ldm_estimate){0};
    if (!s || !s->planes_floats)
        return LDM_OK;
    return ldm_model_estimate(r->m, LDM_GRAPH_ENCODE, (ldm_graph_size){s->height, s->width, 0}, 1,
                              ldm_pool_threads(r->pool), encode, err);
}

uint64_t ldm_start_bytes(const ldm_run *r)
{
    const ldm_start *s = r->start;

    return s ? ((uint64_t)s->planes_floats + s->code_floats) * sizeof(float) : 0;
}

ldm_status ldm_start_allocate(ldm_run *r, ldm_error *err)
{
    ldm_start *s = r->start;

    if (s && r->job.inverse) {
        s->begun = ldm_reallocarray(NULL, (size_t)r->job.batch * r->chw, sizeof *s->begun);
        if (!s->begun)
            return ldm_error_nomem(err, (uint64_t)r->job.batch * r->chw * sizeof *s->begun,
                                   "the latents to begin with");
    }
    if (!s || !s->planes_floats)
        return LDM_OK;
    s->planes = ldm_reallocarray(NULL, s->planes_floats, sizeof *s->planes);
    s->code = ldm_reallocarray(NULL, s->code_floats, sizeof *s->code);
    if (!s->planes || !s->code)
        return ldm_error_nomem(err, ldm_start_bytes(r), "the pictures to begin with");
    return ldm_model_program(r->m, LDM_GRAPH_ENCODE, (ldm_graph_size){s->height, s->width, 0}, 1,
                             r->pool, &s->encode, err);
}

/* Of those that are kept as they are the size may be extended for the network, and cut again. */
static ldm_status note_kept_size(ldm_run *r, ldm_error *err)
{
    const ldm_start *s = r->start;

    if (r->info.image_w == s->width && r->info.image_h == s->height)
        return LDM_OK;
    return ldm_notes_add(&r->notes, err, "init: %d x %d is extended to %d x %d and cut again",
                         r->info.image_w, r->info.image_h, s->width, s->height);
}

static ldm_status note_sizes(ldm_run *r, ldm_error *err)
{
    static const char *const how[] = {"cut and resized", "resized, with black borders,",
                                      "stretched"};
    const ldm_job *j = &r->job;
    const ldm_start *s = r->start;
    const ldm_image *first = NULL;
    size_t i, others = 0;

    if (j->init_images && s->how == LDM_FIT_HOW_KEEP)
        return note_kept_size(r, err);
    for (i = 0; i < j->init_count; i++) {
        const ldm_image *im = &j->init_images[i];

        if (im->width == s->width && im->height == s->height)
            continue;
        first = first ? first : im;
        others++;
    }
    if (!others)
        return LDM_OK;
    return ldm_notes_add(
        &r->notes, err, "init: %zu of %zu picture%s of another size (%d x %d%s) %s %s to %d x %d",
        others, j->init_count, j->init_count == 1 ? "" : "s", first->width, first->height,
        others > 1 ? ", ..." : "", others == 1 ? "is" : "are", how[s->how], s->width, s->height);
}

ldm_status ldm_start_note(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_start *s = r->start;
    ldm_status st;

    if (!s)
        return LDM_OK;
    st = s->afresh || j->inverse
             ? LDM_OK
             : ldm_notes_add(
                   &r->notes, err,
                   "init: at strength %g %d of %d steps run, from the noise of timestep %g",
                   j->strength, ldm_run_steps(r), r->plan.count, r->plan.steps[s->at.noised].t);
    return st ? st : note_sizes(r, err);
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* The picture's draw number `entry`: the caller's or its own stream's. */
static void draw(ldm_run *r, int slot, int entry, float *out)
{
    const ldm_array *a = r->job.noise;

    if (a)
        memcpy(out,
               a->data + ((size_t)entry * (size_t)a->shape[1] + (size_t)r->pictures[slot]) * r->chw,
               r->chw * sizeof *out);
    else
        ldm_rng_randn(&r->rngs[slot], out, r->chw);
}

/* The mask of picture `slot`, for all channels. */
static void keep_outside(ldm_run *r, int slot, const ldm_pixels *paint)
{
    const ldm_job *j = &r->job;
    const size_t hw = (size_t)j->latent_h * (size_t)j->latent_w;
    float *mask = r->mask + (size_t)slot * r->chw;
    int c;

    ldm_canvas_latent_mask(paint, r->m->network->first_stage.factor, j->latent_h, j->latent_w,
                           mask);
    for (c = 1; c < j->latent_c; c++)
        memcpy(mask + (size_t)c * hw, mask, hw * sizeof *mask);
}

/* The picture as the encoder takes it, and with a mask what of its latent is kept. */
static ldm_status load(ldm_run *r, int slot, size_t from, ldm_error *err)
{
    const ldm_start *s = r->start;
    ldm_pixels whole = {0};
    ldm_canvas canvas;
    ldm_status st =
        ldm_canvas_make(&r->job, from, (unsigned)r->m->network->first_stage.in_channels, s->width,
                        s->height, s->how, LDM_CANVAS_FILL_PAINTED, &canvas, err);

    if (st)
        return st;
    st = ldm_canvas_extend(&canvas.picture, s->width, s->height, &whole, err);
    if (!st) {
        ldm_picture_in_planes(&whole, s->planes);
        if (r->job.masked && !r->job.mask)
            keep_outside(r, slot, &canvas.paint);
    }
    ldm_pixels_free(&whole);
    ldm_canvas_free(&canvas);
    return st;
}

/* The latent of a picture, with the scale factor, into x; the posterior's noise goes by way of x.
 */
static ldm_status encode(ldm_run *r, int slot, size_t from, float *x, ldm_error *err)
{
    ldm_start *s = r->start;
    const ldm_execution run = {.inputs = {{"x", s->planes}}, .out = s->code};
    size_t i;
    ldm_status st = load(r, slot, from, err);

    if (!st)
        st = ldm_program_run(s->encode, r->pool, r->arena, &run, err);
    for (i = 0; !st && i < s->code_floats; i++) {
        if (!isfinite(s->code[i]))
            st = ldm_error_set(err, LDM_ERR_NUMERIC,
                               "the encoder's output for the picture to begin with is not finite; "
                               "`ldm check --values` looks for such weights in the first stage");
    }
    if (st)
        return st;
    if (s->posterior && !r->job.inverse)
        draw(r, slot, 0, x);
    if (s->posterior)
        ldm_posterior_latent(s->code, r->chw, r->job.inverse ? NULL : x, s->code);
    ldm_model_scale(r->m, s->code, x, r->chw);
    return LDM_OK;
}

const float *ldm_start_latent(const ldm_run *r, int slot)
{
    return r->start->begun + (size_t)slot * r->chw;
}

ldm_status ldm_start_picture(ldm_run *r, int slot, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_start *s = r->start;
    const size_t from = (size_t)r->pictures[slot] % (size_t)ldm_job_start_count(j);
    float *x = r->x + (size_t)slot * r->chw, *noise = r->scratch; /* not in use yet */
    ldm_status st = LDM_OK;
    size_t i;

    if (j->init)
        memcpy(x, j->init->data + from * r->chw, r->chw * sizeof *x);
    else
        st = encode(r, slot, from, x, err);
    if (st)
        return st;
    if (j->inverse) {
        memcpy(s->begun + (size_t)slot * r->chw, x, r->chw * sizeof *x);
        return LDM_OK;
    }
    if (j->init_images && j->masked && !j->mask)
        memcpy(r->x0 + (size_t)slot * r->chw, x, r->chw * sizeof *x);
    if (s->afresh) {
        ldm_start_noise(j, r->pictures[slot], &r->rngs[slot], x, noise, r->chw);
        return LDM_OK;
    }
    if (j->noise)
        draw(r, slot, r->noise_before - 1, noise);
    else
        ldm_start_noise(j, r->pictures[slot], &r->rngs[slot], noise, noise + r->chw, r->chw);
    for (i = 0; i < r->chw; i++)
        x[i] = s->at.x0 * x[i] + s->at.noise * noise[i];
    return LDM_OK;
}
