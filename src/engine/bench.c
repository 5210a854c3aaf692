/* Timing of loading, eps evaluations and decoding, in one process, as `ldm bench` reports it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/json_text.h"
#include "sample/rng.h"

typedef struct layer_time {
    const char *name, *op, *algorithm;
    int kernel, cin, c, h, w;
    double flop, seconds; /* seconds: smallest seen */
} layer_time;

typedef struct bench {
    const ldm_model *m;
    ldm_pool *pool;
    ldm_program *unet, *decode;
    float *arena, *x, *eps, *t, *image;
    size_t arena_floats;
    int n, h, w, rounds;
    double ready, first, *rounds_s, eps_median, decode_s;

    layer_time *layers; /* [layer_count] of the UNet, when asked for */
    int layer_count;
    double last;
} bench;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static ldm_status prepare(bench *b, const ldm_bench_options *o, ldm_error *err)
{
    const ldm_spec *s = b->m->spec;
    const size_t f = (size_t)s->downsample;
    size_t hw, in, out, z, i;
    ldm_rng rng;
    ldm_status st;

    st = ldm_pool_create(o->threads, &b->pool, err);
    if (!st)
        st = ldm_model_program(b->m, LDM_GRAPH_UNET, b->h, b->w, b->n, b->pool, &b->unet, err);
    if (st)
        return st;
    hw = (size_t)b->h * (size_t)b->w;
    in = (size_t)b->n * (size_t)s->unet.in_channels * hw;
    out = (size_t)b->n * (size_t)s->unet.out_channels * hw;
    z = (size_t)s->vq.embed_dim * hw; /* the decoder reads x as well */
    b->arena_floats = ldm_program_arena_floats(b->unet);
    b->arena = ldm_pages_alloc(b->arena_floats * sizeof *b->arena);
    b->x = ldm_reallocarray(NULL, larger(in, z), sizeof *b->x);
    b->eps = ldm_reallocarray(NULL, out, sizeof *b->eps);
    b->t = ldm_reallocarray(NULL, (size_t)b->n, sizeof *b->t);
    b->rounds_s = ldm_calloc((size_t)b->rounds, sizeof *b->rounds_s);
    b->image = ldm_reallocarray(NULL, (size_t)s->vq.out_ch * f * f * hw, sizeof *b->image);
    if (!b->arena || !b->x || !b->eps || !b->t || !b->rounds_s || !b->image)
        return ldm_error_nomem(err, b->arena_floats * sizeof *b->arena, "the benchmark");
    ldm_pages_touch(b->arena, b->arena_floats * sizeof *b->arena); /* as a run does */
    ldm_rng_seed(&rng, 42);
    ldm_rng_randn(&rng, b->x, larger(in, z));
    for (i = 0; i < (size_t)b->n; i++)
        b->t[i] = 500;
    return LDM_OK;
}

static ldm_status time_eps(bench *b, ldm_error *err)
{
    double begin = ldm_seconds();
    ldm_status st = ldm_program_run(b->unet, b->pool, b->arena, b->x, b->t, b->eps, NULL, err);
    int i;

    b->first = ldm_seconds() - begin;
    for (i = 0; !st && i < b->rounds; i++) {
        begin = ldm_seconds();
        st = ldm_program_run(b->unet, b->pool, b->arena, b->x, b->t, b->eps, NULL, err);
        b->rounds_s[i] = ldm_seconds() - begin;
    }
    if (!st)
        b->eps_median = median(b->rounds_s, b->rounds);
    return st;
}

static ldm_status time_decode(bench *b, ldm_error *err)
{
    double times[3], begin;
    size_t need;
    ldm_status st =
        ldm_model_program(b->m, LDM_GRAPH_DECODE, b->h, b->w, 1, b->pool, &b->decode, err);
    int i;

    if (st)
        return st;
    need = ldm_program_arena_floats(b->decode);
    if (need > b->arena_floats) {
        ldm_pages_free(b->arena, b->arena_floats * sizeof *b->arena);
        b->arena_floats = need;
        b->arena = ldm_pages_alloc(need * sizeof *b->arena);
        if (!b->arena) {
            b->arena_floats = 0;
            return ldm_error_nomem(err, need * sizeof *b->arena, "the benchmark");
        }
    }
    for (i = 0; !st && i < 3; i++) {
        begin = ldm_seconds();
        st = ldm_program_run(b->decode, b->pool, b->arena, b->x, NULL, b->image, NULL, err);
        times[i] = ldm_seconds() - begin;
    }
    if (!st)
        b->decode_s = median(times, 3);
    return st;
}

static ldm_status see_layer(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    bench *b = ctx;
    double now = ldm_seconds(), took = now - b->last;
    layer_time *l;

    if (!b->layers) {
        b->layers = ldm_calloc((size_t)info->count, sizeof *b->layers);
        if (!b->layers)
            return ldm_error_nomem(err, 0, "the benchmark");
        b->layer_count = info->count;
    }
    l = &b->layers[info->index];
    if (!l->name || took < l->seconds)
        l->seconds = took;
    l->name = info->name;
    l->op = info->op;
    l->algorithm = info->algorithm;
    l->kernel = info->kernel;
    l->cin = info->cin;
    l->c = info->y.c;
    l->h = info->y.h;
    l->w = info->y.w;
    l->flop = info->flop;
    b->last = ldm_seconds();
    return LDM_OK;
}

static ldm_status time_layers(bench *b, ldm_error *err)
{
    ldm_observer obs = {b, see_layer};
    ldm_status st = LDM_OK;
    int i;

    for (i = 0; !st && i < b->rounds; i++) {
        b->last = ldm_seconds();
        st = ldm_program_run(b->unet, b->pool, b->arena, b->x, b->t, b->eps, &obs, err);
    }
    return st;
}

static uint64_t peak_rss(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)u.ru_maxrss * 1024;
}

/* NULL when out of memory. */
static json_t *layers_json(const bench *b)
{
    json_t *list = json_array();
    int i;

    for (i = 0; list && i < b->layer_count; i++) {
        const layer_time *l = &b->layers[i];

        if (json_array_append_new(
                list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "name",
                                l->name, "op", l->op, "algorithm", l->algorithm, "kernel",
                                l->kernel, "cin", l->cin, "channels", l->c, "height", l->h, "width",
                                l->w, "ms", 1e3 * l->seconds, "gflops",
                                l->seconds > 0 ? l->flop / l->seconds * 1e-9 : 0.0))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static ldm_status report_json(const bench *b, const ldm_bench_options *o, ldm_str *out,
                              ldm_error *err)
{
    json_t *root = json_pack(
        "{s:s, s:f, s:f, s:f, s:f, s:I, s:i, s:s, s:s, s:s, s:i, s:i, s:[i, i], s:f, s:I, s:f}",
        "ldm", ldm_version(), "ready_s", b->ready, "first_eps_s", b->first, "eps_s", b->eps_median,
        "decode_s", b->decode_s, "peak_rss_bytes", (json_int_t)peak_rss(), "threads",
        ldm_pool_threads(b->pool), "isa", b->m->backend->name, "cpu", b->m->cpu.name, "precision",
        b->m->precision == LDM_PRECISION_EXACT ? "exact" : "f32", "rounds", b->rounds, "batch",
        b->n, "latent", b->h, b->w, "load_s", b->m->load_seconds, "weight_bytes",
        (json_int_t)ldm_weights_bytes(b->m->weights[LDM_GRAPH_UNET]), "eps_min_s", b->rounds_s[0]);
    bool done = root && !(o->layers && json_object_set_new(root, "layers", layers_json(b))) &&
                ldm_json_append(root, JSON_INDENT(2), out);

    json_decref(root);
    ldm_str_puts(out, "\n");
    return done ? LDM_OK : ldm_error_nomem(err, 0, "the report");
}

static void report_text(const bench *b, const ldm_bench_options *o, ldm_str *out)
{
    char buf[16];
    int i;

    ldm_str_printf(out, "%s, %d threads, %s, %s\n", b->m->cpu.name, ldm_pool_threads(b->pool),
                   b->m->backend->name, b->m->precision == LDM_PRECISION_EXACT ? "exact" : "f32");
    ldm_str_printf(out, "ready to sample      %8.3f s\n", b->ready);
    ldm_str_printf(out, "first eps evaluation %8.4f s\n", b->first);
    ldm_str_printf(out, "eps evaluation       %8.4f s  (median of %d, batch %d, latent %dx%d)\n",
                   b->eps_median, b->rounds, b->n, b->h, b->w);
    ldm_str_printf(out, "decode               %8.4f s\n", b->decode_s);
    ldm_str_printf(out, "peak resident memory %8s\n", ldm_format_bytes(peak_rss(), buf));
    if (!o->layers)
        return;
    ldm_str_printf(out, "\n%9s %8s  %-10s %-11s %5s %5s %4s %9s  %s\n", "ms", "GFLOP/s", "op",
                   "algorithm", "cin", "cout", "k", "size", "module");
    for (i = 0; i < b->layer_count; i++) {
        const layer_time *l = &b->layers[i];
        char size[24];

        snprintf(size, sizeof size, "%dx%d", l->h, l->w);
        ldm_str_printf(out, "%9.3f %8.1f  %-10s %-11s %5d %5d %4d %9s  %s\n", 1e3 * l->seconds,
                       l->seconds > 0 ? l->flop / l->seconds * 1e-9 : 0.0, l->op, l->algorithm,
                       l->cin, l->c, l->kernel, size, l->name);
    }
}

static void finish(bench *b)
{
    ldm_program_free(b->unet);
    ldm_program_free(b->decode);
    ldm_pages_free(b->arena, b->arena_floats * sizeof *b->arena);
    ldm_free(b->x);
    ldm_free(b->eps);
    ldm_free(b->t);
    ldm_free(b->image);
    ldm_free(b->rounds_s);
    ldm_free(b->layers);
    ldm_pool_free(b->pool);
}

ldm_status ldm_bench(const ldm_model_options *opt, const ldm_bench_options *o, char **report,
                     ldm_error *err)
{
    bench b = {.n = o->batch > 0 ? o->batch : 1, .rounds = o->rounds > 0 ? o->rounds : 5};
    ldm_str text = {0};
    ldm_model *m;
    ldm_status st;

    *report = NULL;
    st = ldm_model_open(opt, &m, err);
    if (st)
        return st;
    b.m = m;
    b.h = o->latent_h ? o->latent_h : m->latent_h;
    b.w = o->latent_w ? o->latent_w : m->latent_w;
    st = prepare(&b, o, err);
    b.ready = ldm_seconds() - o->process_start;
    if (!st)
        st = time_eps(&b, err);
    if (!st)
        st = time_decode(&b, err);
    if (!st && o->layers)
        st = time_layers(&b, err);
    if (!st && o->json)
        st = report_json(&b, o, &text, err);
    else if (!st)
        report_text(&b, o, &text);
    if (!st && text.failed)
        st = ldm_error_nomem(err, 0, "the report");
    if (st)
        ldm_str_free(&text);
    else
        *report = text.data;
    finish(&b);
    ldm_model_close(m);
    return st;
}
