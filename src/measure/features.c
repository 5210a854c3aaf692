/* SPDX-License-Identifier: MIT */
/* Features of pictures from the first stage's encoder, and their statistics: what a Frechet
 * distance is computed from. */
#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "image/gaussian.h"

struct ldm_features {
    const ldm_model *model;
    size_t dim;
    char network[65]; /* SHA-256 of the encoder's weights */

    ldm_pool *pool;
    ldm_program *program; /* for the size below; created again when the size changes */
    float *arena;
    size_t arena_floats;
    float *in, *out;
    int width, height;

    double *values; /* where the observer writes; the caller's */
    size_t filled;
};

struct ldm_stats {
    ldm_gaussian *g;
    double *work;
};

/* ---- the network's name ---------------------------------------------------------------------- */

/* Hashes the names of the encoder's tensors and their values as f32, so that f16 and f32 files with
 * the same values count as the same network. */
static ldm_status name_network(const ldm_model *m, char hex[65], ldm_error *err)
{
    static const char prefix[] = "first_stage_model.encoder.", version[] = "ldm-features 1";
    ldm_weight_source src = ldm_model_source(m);
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    int i;

    sha256_init(&ctx);
    sha256_update(&ctx, sizeof version, (const uint8_t *)version);
    for (i = 0; i < m->network->tensor_count; i++) {
        const ldm_tensor_decl *t = &m->network->tensors[i];
        const float *data;
        float *owned;
        ldm_status st;

        if (strncmp(t->name, prefix, sizeof prefix - 1))
            continue;
        st = src.read(src.ctx, i, &data, &owned, err);
        if (st)
            return st;
        sha256_update(&ctx, strlen(t->name) + 1, (const uint8_t *)t->name);
        sha256_update(&ctx, (size_t)t->numel * sizeof *data, (const uint8_t *)data);
        src.done(src.ctx, i, owned);
    }
    sha256_digest(&ctx, sizeof digest, digest);
    for (i = 0; i < SHA256_DIGEST_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return LDM_OK;
}

/* ---- features -------------------------------------------------------------------------------- */

static bool is_level(const char *dump)
{
    return dump && (!strcmp(dump, "encoder_conv_in") || !strcmp(dump, "encoder_mid") ||
                    !strncmp(dump, "encoder_down_", 13));
}

/* The channels of all levels, from the encoder's graph at its smallest size. */
static ldm_status count_features(const ldm_network *s, size_t *dim, ldm_error *err)
{
    const ldm_first_stage *f = &s->first_stage;
    ldm_graph *g;
    ldm_status st =
        ldm_graph_create(s, LDM_GRAPH_ENCODE, (ldm_graph_size){f->factor, f->factor, 0}, &g, err);
    int i;

    if (st)
        return st;
    *dim = 0;
    for (i = 0; i < g->value_count; i++)
        *dim += is_level(g->values[i].dump) ? (size_t)g->values[i].c : 0;
    ldm_graph_free(g);
    if (!*dim)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "the first stage (%.120s) has no encoder, so it gives no features",
                             f->target);
    if (f->in_channels != 1 && f->in_channels != 3)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "the first stage takes pictures of %d channels; features are made of "
                             "1 (grey) or 3 (RGB)",
                             f->in_channels);
    return LDM_OK;
}

ldm_status ldm_features_open(const ldm_model *m, int threads, ldm_features **out, ldm_error *err)
{
    ldm_features *f;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(m, "m", err);
    if (m->dry)
        return ldm_error_set(err, LDM_ERR_USAGE, "the model was opened for a dry run");
    f = ldm_calloc(1, sizeof *f);
    if (!f)
        return ldm_error_nomem(err, sizeof *f, "features");
    f->model = m;
    st = count_features(m->network, &f->dim, err);
    if (!st)
        st = ldm_pool_create(threads, &f->pool, err);
    if (!st)
        st = name_network(m, f->network, err);
    if (st)
        ldm_features_close(f);
    else
        *out = f;
    return st;
}

static void drop_program(ldm_features *f)
{
    ldm_program_free(f->program);
    ldm_pages_free(f->arena, f->arena_floats * sizeof *f->arena);
    ldm_free(f->in);
    ldm_free(f->out);
    f->program = NULL;
    f->arena = NULL;
    f->in = f->out = NULL;
    f->width = f->height = 0;
}

void ldm_features_close(ldm_features *f)
{
    if (!f)
        return;
    drop_program(f);
    ldm_pool_free(f->pool);
    ldm_free(f);
}

size_t ldm_features_dim(const ldm_features *f)
{
    return f ? f->dim : 0;
}

static ldm_status make_program(ldm_features *f, int width, int height, ldm_error *err)
{
    const ldm_network *s = f->model->network;
    int down = s->first_stage.factor;
    size_t pixels = (size_t)width * (size_t)height;
    ldm_status st;

    if (width == f->width && height == f->height)
        return LDM_OK;
    drop_program(f);
    if (width < 1 || height < 1 || width % down || height % down)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "a picture of %d x %d has no features here: this first stage takes "
                             "multiples of %d",
                             width, height, down);
    st = ldm_model_program(f->model, LDM_GRAPH_ENCODE, (ldm_graph_size){height, width, 0}, 1,
                           f->pool, &f->program, err);
    if (st)
        return st;
    f->arena_floats = ldm_program_arena_floats(f->program);
    f->arena = ldm_pages_alloc(f->arena_floats * sizeof *f->arena);
    f->in = ldm_reallocarray(NULL, (size_t)s->first_stage.in_channels * pixels, sizeof *f->in);
    f->out = ldm_reallocarray(
        NULL, (size_t)s->first_stage.encoded_channels * pixels / (size_t)(down * down),
        sizeof *f->out);
    if (!f->arena || !f->in || !f->out) {
        drop_program(f);
        return ldm_error_nomem(err, f->arena_floats * sizeof *f->arena, "features");
    }
    f->width = width;
    f->height = height;
    return LDM_OK;
}

/* A grey encoder takes grey pictures only: what a colour becomes is the user's choice. */
static ldm_status check_grey(const ldm_image *im, ldm_error *err)
{
    size_t pixels = (size_t)im->width * (size_t)im->height, i;

    for (i = 0; i < pixels; i++) {
        const uint8_t *p = im->pixels + 3 * i;

        if (p[0] != p[1] || p[0] != p[2])
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "the picture has colours (pixel %zu is %d,%d,%d), and this first "
                                 "stage takes grey ones; convert it to grey first",
                                 i, p[0], p[1], p[2]);
    }
    return LDM_OK;
}

/* Bytes to -1..1 as the original's datasets scale them: (x / 127.5 - 1), rounded to float once. */
static void scale_picture(const ldm_image *im, int channels, float *planes)
{
    size_t pixels = (size_t)im->width * (size_t)im->height, i;
    int c;

    for (c = 0; c < channels; c++) {
        for (i = 0; i < pixels; i++)
            planes[(size_t)c * pixels + i] = (float)(im->pixels[3 * i + (size_t)c] / 127.5 - 1.0);
    }
}

static ldm_status pool_level(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    ldm_features *f = ctx;
    const ldm_view *v = &info->y;
    size_t positions = (size_t)v->h * (size_t)v->w, i;
    double *to = f->values + f->filled;
    int c;

    if (!is_level(info->dump))
        return LDM_OK;
    if (f->filled + (size_t)v->c > f->dim)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED, "%s: more features than the %zu expected",
                             info->dump, f->dim);
    memset(to, 0, (size_t)v->c * sizeof *to);
    for (i = 0; i < positions; i++) {
        for (c = 0; c < v->c; c++)
            to[c] += v->data[i * v->pitch + (size_t)c];
    }
    for (c = 0; c < v->c; c++)
        to[c] /= (double)positions;
    f->filled += (size_t)v->c;
    return LDM_OK;
}

ldm_status ldm_features_compute(ldm_features *f, const ldm_image *im, double *values,
                                ldm_error *err)
{
    ldm_observer obs = {.ctx = f, .after = pool_level};
    const int channels = f ? f->model->network->first_stage.in_channels : 0;
    ldm_execution run = {.observer = &obs};
    ldm_status st;

    LDM_REQUIRE(f, "f", err);
    LDM_REQUIRE(values, "values", err);
    st = ldm_image_check(im, "im", err);
    if (!st)
        st = make_program(f, im->width, im->height, err);
    if (!st && channels == 1)
        st = check_grey(im, err);
    if (st)
        return st;
    scale_picture(im, channels, f->in);
    run.inputs[0] = (ldm_named_array){"x", f->in};
    run.out = f->out;
    f->values = values;
    f->filled = 0;
    st = ldm_program_run(f->program, f->pool, f->arena, &run, err);
    f->values = NULL;
    if (!st && f->filled != f->dim)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED, "%zu features, expected %zu", f->filled,
                           f->dim);
    return st;
}

/* ---- statistics ------------------------------------------------------------------------------ */

static ldm_status wrap(ldm_gaussian *g, ldm_stats **out, ldm_error *err)
{
    ldm_stats *s = ldm_calloc(1, sizeof *s);

    if (s) {
        s->g = g;
        s->work = ldm_reallocarray(NULL, g->dim, sizeof *s->work);
    }
    if (!s || !s->work) {
        ldm_free(s);
        ldm_gaussian_free(g);
        return ldm_error_nomem(err, sizeof *s, "statistics");
    }
    *out = s;
    return LDM_OK;
}

ldm_status ldm_stats_create(const ldm_features *f, ldm_stats **out, ldm_error *err)
{
    ldm_gaussian *g;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(f, "f", err);
    st = ldm_gaussian_create(f->dim, &g, err);
    if (st)
        return st;
    memcpy(g->network, f->network, sizeof g->network);
    return wrap(g, out, err);
}

ldm_status ldm_stats_read(const char *path, ldm_stats **out, ldm_error *err)
{
    ldm_gaussian *g;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(path, "path", err);
    st = ldm_gaussian_read(path, &g, err);
    return st ? st : wrap(g, out, err);
}

void ldm_stats_free(ldm_stats *s)
{
    if (!s)
        return;
    ldm_gaussian_free(s->g);
    ldm_free(s->work);
    ldm_free(s);
}

ldm_status ldm_stats_add(ldm_stats *s, const double *values, ldm_error *err)
{
    size_t i;

    LDM_REQUIRE(s, "s", err);
    LDM_REQUIRE(values, "values", err);
    for (i = 0; i < s->g->dim; i++) {
        if (!(values[i] - values[i] ==
              0)) /* NaN or infinity would spoil the sums of all pictures before */
            return ldm_error_set(err, LDM_ERR_NUMERIC, "feature %zu is NaN or infinite", i);
    }
    ldm_gaussian_add(s->g, values, s->work);
    return LDM_OK;
}

uint64_t ldm_stats_count(const ldm_stats *s)
{
    return s ? s->g->count : 0;
}

ldm_status ldm_stats_write(const char *path, const ldm_stats *s, ldm_error *err)
{
    LDM_REQUIRE(path, "path", err);
    LDM_REQUIRE(s, "s", err);
    return ldm_gaussian_write(path, s->g, err);
}

ldm_status ldm_stats_distance(const ldm_stats *a, const ldm_stats *b, double *out, ldm_error *err)
{
    LDM_REQUIRE(a, "a", err);
    LDM_REQUIRE(b, "b", err);
    LDM_REQUIRE(out, "out", err);
    return ldm_gaussian_distance(a->g, b->g, out, err);
}
