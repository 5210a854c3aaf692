/* SPDX-License-Identifier: MIT */
/* What a network is tried on: pictures through the first stage's encoder, and an input of every
 * other kind that the UNet reads. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "doctor/probes.h"
#include "engine/engine.h"
#include "engine/picture_in.h"
#include "sample/rng.h"

enum {
    MAX_SIDE = 64,
    GUESSED_SIDE = 32,
    SHIPPED = 8,
    SHIPPED_COLUMNS = 8,
    SHIPPED_BORDER = 4,
    SHIPPED_SIDE = 128
};

const double ldm_trial_ratios[LDM_TRIAL_LEVELS] = {0.3, 1.0, 3.0};

void ldm_trial_free(ldm_trial *t)
{
    ldm_free(t->latents);
    ldm_free(t->noise);
    ldm_array_free(&t->context);
    ldm_array_free(&t->concat);
    ldm_array_free(&t->labels);
    memset(t, 0, sizeof *t);
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* One picture of the sheet of renders that comes with the shipped model. */
static ldm_status cut(const ldm_image *sheet, int index, ldm_image *out, ldm_error *err)
{
    const int step = SHIPPED_SIDE + SHIPPED_BORDER;
    const int x = SHIPPED_BORDER + index % SHIPPED_COLUMNS * step;
    const int y = SHIPPED_BORDER + index / SHIPPED_COLUMNS * step;
    const size_t row = (size_t)SHIPPED_SIDE * (size_t)sheet->channels;

    if (x + SHIPPED_SIDE > sheet->width || y + SHIPPED_SIDE > sheet->height)
        return ldm_error_set(err, LDM_ERR_FORMAT, "the shipped renders are %d x %d pixels",
                             sheet->width, sheet->height);
    *out = (ldm_image){SHIPPED_SIDE, SHIPPED_SIDE, sheet->channels, NULL};
    out->pixels = ldm_malloc(row * SHIPPED_SIDE);
    if (!out->pixels)
        return ldm_error_nomem(err, row * SHIPPED_SIDE, "a picture");
    for (size_t i = 0; i < SHIPPED_SIDE; i++)
        memcpy(out->pixels + i * row,
               sheet->pixels +
                   (((size_t)y + i) * (size_t)sheet->width + (size_t)x) * (size_t)sheet->channels,
               row);
    return LDM_OK;
}

static ldm_status take_shipped(ldm_doctor *d, ldm_error *err)
{
    ldm_image sheet = {0}, one;
    char *path;
    ldm_status st = ldm_shipped_path("models/demo/renders.png", &path, err);

    if (st)
        return st;
    st = ldm_image_read(path, &sheet, err);
    for (int i = 0; i < SHIPPED && !st; i++) {
        st = cut(&sheet, i, &one, err);
        if (st)
            break;
        st = ldm_doctor_add_image(d, &one, err);
        ldm_free(one.pixels);
    }
    ldm_release(sheet.pixels);
    ldm_release(path);
    return st;
}

static ldm_status choose_pictures(ldm_doctor *d, ldm_error *err)
{
    ldm_status st = LDM_OK;

    if (d->image_count) {
        d->pictures = ldm_doctor_text(d, "%zu that %s given", d->image_count,
                                      d->image_count == 1 ? "was" : "were");
    } else {
        st = take_shipped(d, err);
        if (st)
            return st;
        d->pictures = ldm_doctor_text(d,
                                      "%zu renders of portraits that come with ldm: a model of "
                                      "other pictures shows less on them",
                                      d->image_count);
    }
    return d->pictures ? st : ldm_error_nomem(err, 0, "a text");
}

/* ---- latents --------------------------------------------------------------------------------- */

/* The latent's side: the model's, and no more than measuring needs. */
static int side_of(const ldm_model *m, bool guessed)
{
    const int multiple = 1 << (m->network->unet.channel_mult.count - 1);
    int side = m->latent_h < m->latent_w ? m->latent_h : m->latent_w;

    side = side > MAX_SIDE ? MAX_SIDE : side;
    side = guessed && side > GUESSED_SIDE ? GUESSED_SIDE : side;
    side = side / multiple * multiple;
    return side < multiple ? multiple : side;
}

static ldm_status encode(const ldm_model *m, const ldm_image *im, int side, float *latent,
                         size_t each, ldm_error *err)
{
    const ldm_first_stage *fs = &m->network->first_stage;
    const uint64_t pixels = (uint64_t)(side * fs->factor), c = (uint64_t)fs->in_channels;
    ldm_array in = {.ndim = 4, .shape = {1, c, pixels, pixels}, .numel = c * pixels * pixels};
    ldm_array out = {0};
    ldm_eval_job *job = NULL;
    ldm_pixels fit = {0};
    ldm_status st = ldm_picture_in_fit(im, (unsigned)c, (uint32_t)pixels, (uint32_t)pixels,
                                       LDM_FIT_HOW_CROP, &fit, err);

    if (!st) {
        in.data = ldm_reallocarray(NULL, (size_t)in.numel, sizeof *in.data);
        st = in.data ? LDM_OK : ldm_error_nomem(err, in.numel * sizeof *in.data, "a picture");
    }
    if (!st) {
        ldm_picture_in_planes(&fit, in.data);
        st = ldm_eval_job_create(LDM_PART_ENCODE, &job, err);
    }
    if (!st)
        st = ldm_eval_job_set_array(job, "in", &in, err);
    if (!st)
        st = ldm_eval(m, job, &out, err);
    if (!st && out.numel < each)
        st = ldm_error_set(err, LDM_ERR_MISMATCH, "the encoder gives %llu values, expected %zu",
                           (unsigned long long)out.numel, each);
    if (!st)
        memcpy(latent, out.data, each * sizeof *latent); /* of a posterior: the means come first */
    ldm_eval_job_free(job);
    ldm_pixels_free(&fit);
    ldm_free(in.data);
    ldm_array_free(&out);
    return st;
}

static double deviation_of(const float *x, size_t n)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    return sqrt(squares / (double)n - sum / (double)n * (sum / (double)n));
}

static ldm_status make_latents(ldm_doctor *d, const ldm_model *m, ldm_trial *t, ldm_error *err)
{
    const size_t all = (size_t)t->n * t->each;
    ldm_status st = LDM_OK;
    ldm_rng rng;

    t->latents = ldm_reallocarray(NULL, all, sizeof *t->latents);
    t->noise = ldm_reallocarray(NULL, all * LDM_TRIAL_LEVELS, sizeof *t->noise);
    if (!t->latents || !t->noise)
        return ldm_error_nomem(err, all * sizeof *t->latents, "latents");
    for (int i = 0; i < t->n && !st; i++)
        st = encode(m, &d->images[i], t->h, t->latents + (size_t)i * t->each, t->each, err);
    ldm_rng_seed(&rng, 20211220); /* any number: the noise is the same in every examination */
    ldm_rng_randn(&rng, t->noise, all * LDM_TRIAL_LEVELS);
    t->deviation = st ? 0 : deviation_of(t->latents, all);
    if (!st && !(t->deviation > 1e-6 && t->deviation < 1e6))
        st = ldm_error_set(err, LDM_ERR_NUMERIC,
                           "the encoder makes latents of a deviation of %g of the pictures",
                           t->deviation);
    return st;
}

/* ---- what the UNet reads beside -------------------------------------------------------------- */

static ldm_status zeros(ldm_array *a, int ndim, const uint64_t *shape, ldm_error *err)
{
    a->ndim = ndim;
    a->numel = 1;
    for (int i = 0; i < ndim; i++) {
        a->shape[i] = shape[i];
        a->numel *= shape[i];
    }
    a->data = ldm_calloc((size_t)a->numel, sizeof *a->data);
    return a->data ? LDM_OK : ldm_error_nomem(err, a->numel * sizeof *a->data, "an input");
}

/* The context of an empty text, or of the first class; zeros where the conditioner makes none. */
static ldm_status make_context(const ldm_model *m, ldm_trial *t, ldm_error *err)
{
    const ldm_unet_inputs *in = &m->network->unet_inputs;
    const ldm_conditioner *c = m->network->conditioner_count ? m->network->conditioners : NULL;
    ldm_array ids = {0};
    ldm_eval_job *job = NULL;
    ldm_status st = LDM_OK;

    if (c && c->context_tokens &&
        (c->takes == LDM_COND_TAKES_TOKENS || c->takes == LDM_COND_TAKES_CLASS)) {
        const bool text = c->takes == LDM_COND_TAKES_TOKENS;

        st = zeros(&ids, text ? 2 : 1, (uint64_t[]){1, (uint64_t)c->context_tokens}, err);
        for (uint64_t i = 0; !st && text && i < ids.numel; i++) /* CLIP's start and end, or less */
            ids.data[i] = (float)(c->entries - (i ? 1 : 2) > 0 ? c->entries - (i ? 1 : 2) : 0);
        if (!st)
            st = ldm_eval_job_create(LDM_PART_COND, &job, err);
        if (!st)
            st = ldm_eval_job_set_array(job, "in", &ids, err);
        if (!st)
            st = ldm_eval(m, job, &t->context, err);
        ldm_eval_job_free(job);
        ldm_array_free(&ids);
        return st;
    }
    return zeros(&t->context, 3,
                 (uint64_t[]){1, in->context_tokens > 0 ? (uint64_t)in->context_tokens : 1,
                              (uint64_t)in->context_width},
                 err);
}

static ldm_status make_others(const ldm_model *m, ldm_trial *t, ldm_error *err)
{
    const ldm_unet_inputs *in = &m->network->unet_inputs;
    ldm_status st = in->context_width ? make_context(m, t, err) : LDM_OK;

    if (!st && in->concat)
        st = zeros(&t->concat, 4,
                   (uint64_t[]){1, (uint64_t)in->concat, (uint64_t)t->h, (uint64_t)t->w}, err);
    if (!st && in->labels)
        st = zeros(&t->labels, 2, (uint64_t[]){1, (uint64_t)in->labels}, err);
    return st;
}

ldm_status ldm_trial_create(ldm_doctor *d, const ldm_model *m, ldm_trial *out, ldm_error *err)
{
    const ldm_first_stage *fs = &m->network->first_stage;
    ldm_status st;

    memset(out, 0, sizeof *out);
    if (fs->no_encode || (fs->in_channels != 1 && fs->in_channels != 3))
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED, "the model has no encoder for pictures%s%s",
                             fs->no_encode ? ": " : "", fs->no_encode ? fs->no_encode : "");
    st = choose_pictures(d, err);
    if (st)
        return st;
    out->n = (int)d->image_count;
    out->c = m->latent_c;
    out->h = out->w = side_of(m, d->made != NULL);
    out->each = (size_t)out->c * (size_t)out->h * (size_t)out->w;
    st = make_latents(d, m, out, err);
    if (!st)
        st = make_others(m, out, err);
    if (st)
        ldm_trial_free(out);
    return st;
}
