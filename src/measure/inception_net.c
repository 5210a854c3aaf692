/* SPDX-License-Identifier: MIT */
/* The Inception network, opened from the user's file of weights, and features of pictures. */
#include "measure/inception_net.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

/* SHA-256 of pt_inception-2015-12-05-6726825d.pth, as pytorch-fid and torch-fidelity publish it. */
static const char official[] = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

static const struct {
    const char *name;
    size_t dim;
} tap_rows[] = {
#define LDM_TAP_ROW(tap, name, dim) {name, dim},
    LDM_TAP_LIST(LDM_TAP_ROW)
#undef LDM_TAP_ROW
};

const char *ldm_tap_name(ldm_tap t)
{
    return tap_rows[t].name;
}

size_t ldm_tap_dim(ldm_tap t)
{
    return tap_rows[t].dim;
}

/* ---- opening --------------------------------------------------------------------------------- */

static ldm_status hash_file(ldm_inception *n, ldm_error *err)
{
    ldm_hash *h = ldm_hash_create();
    ldm_status st = h ? ldm_hash_open(h, n->path, err) : ldm_error_nomem(err, sizeof *h, "a hash");

    if (!st)
        st = ldm_hash_wait(h, err);
    if (!st)
        memcpy(n->sha256, h->hex, sizeof n->sha256);
    ldm_hash_free(h);
    n->official = !strcmp(n->sha256, official);
    return st;
}

static ldm_status read_bias(ldm_inception *n, ldm_inception_source *s, ldm_error *err)
{
    const ldm_weight_source src = ldm_inception_weight_source(s);
    const int tensor = ldm_network_find(n->network, "fc.bias");
    const float *data;
    float *owned;
    ldm_status st = src.read(src.ctx, tensor, &data, &owned, err);

    if (st)
        return st;
    memcpy(n->bias, data, sizeof n->bias);
    src.done(src.ctx, tensor, owned);
    return LDM_OK;
}

/* Packs the weights and takes memory. */
static ldm_status prepare(ldm_inception *n, ldm_error *err)
{
    ldm_inception_source s = {.network = n->network};
    ldm_weight_source src;
    ldm_ckpt *ck = NULL;
    ldm_graph *g = NULL;
    ldm_status st = ldm_inception_read(n->path, n->network, &ck, err);

    s.ckpt = ck;
    src = ldm_inception_weight_source(&s);
    if (!st)
        st = read_bias(n, &s, err);
    if (!st)
        st = ldm_inception_graph(n->network, &g, err);
    if (!st)
        st = ldm_weights_create(n->network, g, n->backend, n->precision, &src, n->pool, &n->weights,
                                err);
    ldm_ckpt_close(ck);
    ldm_graph_free(g);
    if (st)
        return st;
    n->x = ldm_calloc(LDM_INCEPTION_BATCH, LDM_INCEPTION_FLOATS * sizeof *n->x);
    n->logits = ldm_calloc(LDM_INCEPTION_BATCH, sizeof n->bias);
    if (!n->x || !n->logits)
        return ldm_error_nomem(err, sizeof n->bias, "the Inception network");
    return LDM_OK;
}

ldm_status ldm_inception_open(const char *weights, const ldm_model_options *opt,
                              ldm_inception **out, ldm_error *err)
{
    static const ldm_model_options none;
    ldm_model chosen = {0};
    ldm_inception *n;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(weights, "weights", err);
    opt = opt ? opt : &none;
    st = ldm_model_choose_backend(&chosen, opt, err);
    if (st)
        return st;
    if (chosen.precision == LDM_PRECISION_BF16)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the Inception network is not computed in bf16, since its features "
                             "would compare with nobody's; use precision f32 or exact");
    n = ldm_calloc(1, sizeof *n);
    if (!n)
        return ldm_error_nomem(err, sizeof *n, "the Inception network");
    n->backend = chosen.backend;
    n->precision = chosen.precision;
    n->path = ldm_strdup(weights);
    st = n->path ? ldm_pool_create(opt->threads, &n->pool, err)
                 : ldm_error_nomem(err, strlen(weights), "a path");
    if (!st)
        st = ldm_inception_create(&n->network, err);
    if (!st)
        st = prepare(n, err);
    if (!st)
        st = hash_file(n, err);
    if (st)
        ldm_inception_close(n);
    else
        *out = n;
    return st;
}

void ldm_inception_close(ldm_inception *n)
{
    int i;

    if (!n)
        return;
    for (i = 0; i <= LDM_INCEPTION_BATCH; i++)
        ldm_program_free(n->programs[i]);
    ldm_weights_free(n->weights);
    ldm_network_free(n->network);
    ldm_pages_free(n->arena, n->arena_floats * sizeof *n->arena);
    ldm_pool_free(n->pool);
    ldm_free(n->x);
    ldm_free(n->logits);
    ldm_free(n->path);
    ldm_free(n);
}

const char *ldm_inception_sha256(const ldm_inception *n)
{
    return n ? n->sha256 : "";
}

const char *ldm_inception_isa(const ldm_inception *n)
{
    return n ? n->backend->name : "";
}

bool ldm_inception_is_official(const ldm_inception *n)
{
    return n && n->official;
}

/* ---- running --------------------------------------------------------------------------------- */

/* Where the values of one run go. */
typedef struct collector {
    const ldm_taps *taps;
    size_t count;
    size_t filled[LDM_TAPS]; /* values of each picture so far */
} collector;

static int find_tap(const char *name)
{
    int t;

    for (t = 0; t < LDM_TAPS; t++) {
        if (!strcmp(name, tap_rows[t].name))
            return t;
    }
    return -1;
}

/* Means of the channels over all positions. */
static void take_means(const ldm_view *v, size_t i, float *to)
{
    const size_t positions = (size_t)v->h * (size_t)v->w;
    const float *from = v->data + i * positions * v->pitch;
    double sums[2048] = {0};
    size_t p;
    int c;

    for (p = 0; p < positions; p++, from += v->pitch) {
        for (c = 0; c < v->c; c++)
            sums[c] += from[c];
    }
    for (c = 0; c < v->c; c++)
        to[c] = (float)(sums[c] / (double)positions);
}

/* The first channels of every position. */
static void take_spatial(const ldm_view *v, size_t i, float *to)
{
    const size_t positions = (size_t)v->h * (size_t)v->w;
    const float *from = v->data + i * positions * v->pitch;
    size_t p;

    for (p = 0; p < positions; p++)
        memcpy(to + p * LDM_INCEPTION_SPATIAL, from + p * v->pitch,
               LDM_INCEPTION_SPATIAL * sizeof *to);
}

static ldm_status collect(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    collector *k = ctx;
    const int t = info->dump ? find_tap(info->dump) : -1;
    const ldm_view *v = &info->y;
    size_t dim, i;

    (void)err;
    if (t < 0 || !k->taps->values[t] || k->filled[t] >= tap_rows[t].dim)
        return LDM_OK;
    dim = tap_rows[t].dim;
    for (i = 0; i < k->count; i++) {
        float *to = k->taps->values[t] + i * dim + k->filled[t];

        if (t == LDM_TAP_SPATIAL)
            take_spatial(v, i, to);
        else
            take_means(v, i, to);
    }
    k->filled[t] += t == LDM_TAP_SPATIAL ? dim : (size_t)v->c;
    return LDM_OK;
}

static void take_logits(const ldm_inception *n, size_t count, const ldm_taps *taps)
{
    const size_t dim = LDM_INCEPTION_CLASSES;
    float *with = taps->values[LDM_TAP_LOGITS], *without = taps->values[LDM_TAP_LOGITS_UNBIASED];
    size_t i;

    for (i = 0; i < count * dim; i++) {
        if (without)
            without[i] = n->logits[i];
        if (with)
            with[i] = n->logits[i] + n->bias[i % dim];
    }
}

static ldm_status check_finite(const ldm_taps *taps, size_t count, ldm_error *err)
{
    size_t i;
    int t;

    for (t = 0; t < LDM_TAPS; t++) {
        for (i = 0; taps->values[t] && i < count * tap_rows[t].dim; i++) {
            if (!isfinite(taps->values[t][i]))
                return ldm_error_set(err, LDM_ERR_NUMERIC,
                                     "the Inception network gave %g for feature %zu of %s; its "
                                     "weights are damaged",
                                     (double)taps->values[t][i], i % tap_rows[t].dim,
                                     tap_rows[t].name);
        }
    }
    return LDM_OK;
}

/* The program for so many pictures, and an arena that suffices for it. */
static ldm_status take_program(ldm_inception *n, int count, const ldm_program **out, ldm_error *err)
{
    ldm_program **p = &n->programs[count];
    ldm_graph *g;
    size_t floats;
    ldm_status st;

    if (!*p) {
        st = ldm_inception_graph(n->network, &g, err);
        if (st)
            return st;
        st = ldm_program_create(g, n->weights, n->backend, n->precision, count,
                                ldm_pool_threads(n->pool), p, err);
        if (st) {
            ldm_graph_free(g);
            return st;
        }
    }
    floats = ldm_program_arena_floats(*p);
    if (floats > n->arena_floats) {
        ldm_pages_free(n->arena, n->arena_floats * sizeof *n->arena);
        n->arena = ldm_pages_alloc(floats * sizeof *n->arena);
        n->arena_floats = n->arena ? floats : 0;
        if (!n->arena)
            return ldm_error_nomem(err, floats * sizeof *n->arena, "the Inception network");
    }
    *out = *p;
    return LDM_OK;
}

ldm_status ldm_inception_run(ldm_inception *n, int count, const ldm_taps *taps, ldm_error *err)
{
    collector k = {.taps = taps, .count = (size_t)count};
    const ldm_observer observer = {.ctx = &k, .after = collect};
    const ldm_execution run = {.inputs = {{"x", n->x}}, .out = n->logits, .observer = &observer};
    const ldm_program *program = NULL;
    ldm_status st = take_program(n, count, &program, err);

    if (!st)
        st = ldm_program_run(program, n->pool, n->arena, &run, err);
    if (st)
        return st;
    take_logits(n, (size_t)count, taps);
    return check_finite(taps, (size_t)count, err);
}
