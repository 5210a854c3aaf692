/* SPDX-License-Identifier: MIT */
/* Timing of loading, eps evaluations, decoding and encoding, in one process, as `ldm bench` reports
 * it. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/probe.h"
#include "measure/bench.h"
#include "sample/rng.h"

enum { PART_ROUNDS = 3 };

typedef struct bench {
    ldm_bench_data d;
    ldm_program *unet, *decode, *encode;
    ldm_bench_inputs in;
    ldm_kept *conds; /* what follows from the conditioning alone; or NULL */
    float *arena, *z, *eps, *image;
    size_t arena_floats;
} bench;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Enlarges the arena if the activations of a program need more. */
static ldm_status reserve(bench *b, const ldm_program *p, ldm_error *err)
{
    size_t need = ldm_program_arena_floats(p);

    if (need <= b->arena_floats)
        return LDM_OK;
    ldm_pages_free(b->arena, b->arena_floats * sizeof *b->arena);
    b->arena_floats = 0;
    b->arena = ldm_pages_alloc(need * sizeof *b->arena);
    if (!b->arena)
        return ldm_error_nomem(err, need * sizeof *b->arena, "the benchmark");
    b->arena_floats = need;
    return LDM_OK;
}

static ldm_status prepare(bench *b, ldm_error *err)
{
    const ldm_network *s = b->d.m->network;
    const size_t f = (size_t)s->first_stage.factor, n = (size_t)b->d.batch;
    const size_t hw = (size_t)b->d.h * (size_t)b->d.w;
    const size_t z = (size_t)s->first_stage.latent_channels * hw;
    size_t channels =
        larger((size_t)s->first_stage.out_channels, (size_t)s->first_stage.in_channels);
    ldm_rng rng;
    ldm_status st = ldm_model_program(b->d.m, LDM_GRAPH_UNET, (ldm_graph_size){b->d.h, b->d.w, 0},
                                      b->d.batch, b->d.pool, &b->unet, err);

    if (!st)
        st = reserve(b, b->unet, err);
    if (!st)
        st = ldm_bench_inputs_create(b->d.m, b->d.h, b->d.w, b->d.batch, &b->in, err);
    if (st)
        return st;
    b->z = ldm_reallocarray(NULL, z, sizeof *b->z);
    /* The encoder's output is a latent, or the moments of one. */
    b->eps = ldm_reallocarray(
        NULL,
        larger(n * (size_t)s->unet.out_channels, (size_t)s->first_stage.encoded_channels) * hw,
        sizeof *b->eps);
    b->image = ldm_calloc(channels * f * f * hw, sizeof *b->image);
    if (!b->z || !b->eps || !b->image)
        return ldm_error_nomem(err, channels * f * f * hw * sizeof *b->image, "the benchmark");
    ldm_pool_touch(b->d.pool, b->arena, b->arena_floats * sizeof *b->arena); /* as a run does */
    ldm_rng_seed(&rng, 42);
    ldm_rng_randn(&rng, b->z, z);
    return ldm_bench_inputs_keep(&b->in, b->unet, b->d.batch, b->d.pool, b->arena, &b->conds, err);
}

/* `rounds` runs of a program, each timed. */
static ldm_status time_program(bench *b, const ldm_program *p, const ldm_execution *run,
                               double *times, int rounds, ldm_error *err)
{
    ldm_status st = LDM_OK;
    int i;

    for (i = 0; !st && i < rounds; i++) {
        double begin = ldm_seconds();

        st = ldm_program_run(p, b->d.pool, b->arena, run, err);
        times[i] = ldm_seconds() - begin;
    }
    return st;
}

static ldm_status time_eps(bench *b, ldm_error *err)
{
    const ldm_execution run = ldm_bench_execution(&b->in, b->conds, b->eps);
    double *times = ldm_calloc((size_t)b->d.rounds, sizeof *times);
    ldm_status st;

    if (!times)
        return ldm_error_nomem(err, (size_t)b->d.rounds * sizeof *times, "the benchmark");
    st = time_program(b, b->unet, &run, &b->d.first, 1, err);
    if (!st)
        st = time_program(b, b->unet, &run, times, b->d.rounds, err);
    if (!st)
        b->d.eps = ldm_spread_of(times, b->d.rounds);
    ldm_free(times);
    return st;
}

static ldm_status time_decode(bench *b, ldm_error *err)
{
    const ldm_execution run = {.inputs = {{"x", b->z}}, .out = b->image};
    double times[PART_ROUNDS];
    ldm_status st = ldm_model_program(b->d.m, LDM_GRAPH_DECODE, (ldm_graph_size){b->d.h, b->d.w, 0},
                                      1, b->d.pool, &b->decode, err);

    if (!st)
        st = reserve(b, b->decode, err);
    if (!st)
        st = time_program(b, b->decode, &run, times, PART_ROUNDS, err);
    if (!st)
        b->d.decode_s = ldm_spread_of(times, PART_ROUNDS).median;
    return st;
}

/* Sampling needs no encoder, so a checkpoint without one is no failure here. */
static ldm_status time_encode(bench *b, ldm_error *err)
{
    const int f = b->d.m->network->first_stage.factor;
    const ldm_execution run = {.inputs = {{"x", b->image}}, .out = b->eps};
    double times[PART_ROUNDS];
    ldm_error why;
    ldm_status st =
        ldm_model_program(b->d.m, LDM_GRAPH_ENCODE, (ldm_graph_size){f * b->d.h, f * b->d.w, 0}, 1,
                          b->d.pool, &b->encode, &why);

    if (st == LDM_ERR_MISMATCH || b->d.m->network->first_stage.no_encode) {
        b->d.encode_s = -1;
        b->d.no_encoder = why;
        return LDM_OK;
    }
    if (st && err)
        *err = why;
    if (!st)
        st = reserve(b, b->encode, err);
    if (!st)
        st = time_program(b, b->encode, &run, times, PART_ROUNDS, err);
    if (!st)
        b->d.encode_s = ldm_spread_of(times, PART_ROUNDS).median;
    return st;
}

/* The peak of this program's resident memory, from Linux' /proc where it is there: getrusage counts
 * from the peak of the process that started this one. */
static uint64_t peak_rss(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    unsigned long long kib = 0;
    char line[128];
    struct rusage u;

    while (f && !kib && fgets(line, sizeof line, f))
        (void)sscanf(line, "VmHWM: %llu kB", &kib);
    if (f)
        fclose(f);
    if (kib)
        return kib * 1024;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)u.ru_maxrss * 1024;
}

static ldm_status measure_machine(ldm_bench_data *d, ldm_error *err)
{
    d->peak_flops = ldm_probe_flops(d->m->cpu.isa, d->pool);
    return ldm_probe_bandwidth(d->pool, &d->bandwidth, err);
}

static ldm_status measure_model(bench *b, const ldm_bench_options *o, ldm_error *err)
{
    ldm_status st = prepare(b, err);
    ldm_execution run;

    b->d.ready = ldm_seconds() - o->process_start;
    if (!st)
        st = ldm_bench_check_job(&b->d, err);
    if (!st)
        st = time_eps(b, err);
    if (!st)
        st = time_decode(b, err);
    if (!st)
        st = ldm_bench_forecast(&b->d, err);
    b->d.peak = peak_rss();
    run = ldm_bench_execution(&b->in, b->conds, b->eps);
    if (!st && (o->layers || o->machine))
        st = ldm_bench_layers(&b->d, b->unet, b->arena, &run, err);
    if (!st)
        st = time_encode(b, err);
    if (!st && ldm_bench_makes_pictures(&b->d))
        st = ldm_bench_pictures(&b->d, err);
    return st;
}

static void finish(bench *b)
{
    ldm_program_free(b->unet);
    ldm_program_free(b->decode);
    ldm_program_free(b->encode);
    ldm_pages_free(b->arena, b->arena_floats * sizeof *b->arena);
    ldm_bench_inputs_free(&b->in);
    ldm_kept_free(b->conds);
    ldm_free(b->z);
    ldm_free(b->eps);
    ldm_free(b->image);
    ldm_free(b->d.layers);
    ldm_free(b->d.shapes);
    ldm_bench_free_condition(&b->d);
    ldm_pool_free(b->d.pool);
}

ldm_status ldm_bench(const ldm_model_options *opt, const ldm_bench_options *o, char **text,
                     char **json, ldm_error *err)
{
    static const ldm_bench_options no_options;
    static const ldm_model_options shipped;
    bench b = {.d = {.o = o ? o : &no_options}};
    ldm_model *m = NULL, kernels = {0};
    ldm_status st = LDM_OK;

    if (text)
        *text = NULL;
    if (json)
        *json = NULL;
    o = b.d.o;
    opt = opt ? opt : &shipped;
    b.d.batch = o->batch ? o->batch : 1;
    b.d.rounds = o->rounds ? o->rounds : 5;
    if (!st)
        st =
            o->shapes ? ldm_model_choose_backend(&kernels, opt, err) : ldm_model_open(opt, &m, err);
    if (!st)
        st = ldm_pool_create(o->threads, &b.d.pool, err);
    if (!st && o->shapes) {
        b.d.m = &kernels;
        st = ldm_bench_shapes(&b.d, err);
    } else if (!st) {
        b.d.m = m;
        b.d.h = o->latent_h ? o->latent_h : m->latent_h;
        b.d.w = o->latent_w ? o->latent_w : m->latent_w;
        st = measure_model(&b, o, err);
        if (!st && m->precision == LDM_PRECISION_BF16)
            st = ldm_bench_bf16(&b.d, opt, err);
    }
    if (!st && o->machine)
        st = measure_machine(&b.d, err);
    if (!st)
        st = ldm_bench_report(&b.d, text, json, err);
    finish(&b);
    ldm_model_close(m);
    return st;
}
