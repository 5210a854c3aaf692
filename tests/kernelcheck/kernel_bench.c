/* SPDX-License-Identifier: MIT */
/* The times of the kernels on real shapes: rounds of one call each until the time is up, the median
 * counts. Weights come from memory as in an evaluation: the packed copies of a layer are cycled so
 * that they are larger than the caches. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "kernelcheck.h"

#define MAX_RUNS 1000
#define COLD_FLOATS ((size_t)24 << 20) /* of packed weights to cycle through */

typedef struct bench {
    const ldm_backend *b;
    ldm_precision precision;
    int algorithm, threads;
    double seconds;
    check k; /* for its random numbers */
} bench;

typedef void timed_fn(void *arg, int round);

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median time of a call, in seconds; *least is the shortest. */
static double measure(double seconds, timed_fn *fn, void *arg, double *least)
{
    double times[MAX_RUNS], end, start;
    int n = 0;

    fn(arg, 0);
    end = now() + seconds;
    do {
        start = now();
        fn(arg, n + 1);
        times[n++] = now() - start;
    } while (n < MAX_RUNS && (n < 3 || now() < end));
    qsort(times, (size_t)n, sizeof *times, ascending);
    *least = times[0];
    return times[n / 2];
}

typedef struct conv_run {
    const bench *t;
    ldm_exec_ctx *ctx;
    ldm_conv_plan plan;
    ldm_conv_args a;
    float *packed, *weights;
    size_t stride;
    int copies;
} conv_run;

static void conv_once(void *arg, int round)
{
    conv_run *r = arg;

    r->a.packed = r->packed + (size_t)(round % r->copies) * r->stride;
    r->t->b->conv(r->t->b, r->ctx, &r->plan, &r->a);
}

static void pack_part(void *arg, size_t task, int worker)
{
    conv_run *r = arg;

    (void)worker;
    r->t->b->conv_pack(r->t->b, &r->plan, r->weights, r->packed, (int)task);
}

static void pack_once(void *arg, int round)
{
    conv_run *r = arg;

    (void)round;
    ldm_pool_run(r->ctx->pool, (size_t)r->plan.pack_tasks, pack_part, r);
}

/* Returns the seconds of a call, or a negative number; adds the shortest to *total_least. */
static double bench_conv(bench *t, const ldm_conv_desc *d, int count, double *total_least)
{
    const double flops = 2.0 * ldm_conv_taps(d) * d->cin * (double)d->cout * d->out_h * d->out_w;
    const size_t weights = (size_t)(ldm_conv_taps(d) * d->cin) * (size_t)d->cout;
    const bool wanted = t->algorithm == 3 ? d->cin % 32 == 0 && d->in_h > 1
                                          : d->kernel_h == 3 && d->kernel_w == 3 && d->stride == 1;
    const int algorithm = wanted ? t->algorithm : -1;
    conv_run r = {.t = t};
    guarded x, y;
    ldm_error err;
    context c;
    double s, least, pack;
    int i;

    if (t->b->conv_plan(t->b, d, t->precision, algorithm, t->threads, &r.plan, &err)) {
        fprintf(stderr, "kernelcheck: %s\n", err.msg);
        return -1.0;
    }
    x = guarded_make(&t->k, 1, d->in_h, d->in_w, d->cin, 0);
    y = guarded_make(&t->k, 1, d->out_h, d->out_w, d->cout, 0);
    c = context_make(t->threads, r.plan.scratch_floats);
    r.ctx = &c.ctx;
    r.weights = check_array(&t->k, weights);
    r.stride = (r.plan.packed_floats + 15) / 16 * 16;
    r.copies = r.stride > COLD_FLOATS ? 1 : (int)(COLD_FLOATS / r.stride) + 1;
    r.copies = r.copies < 64 ? r.copies : 64;
    r.packed = ldm_pages_alloc(r.stride * (size_t)r.copies * sizeof(float)); /* as in a run */
    if (!r.packed)
        return -1.0;
    pack = measure(t->seconds / 4, pack_once, &r, &least);
    for (i = 1; i < r.copies; i++)
        memcpy(r.packed + (size_t)i * r.stride, r.packed, r.plan.packed_floats * sizeof(float));
    r.a = (ldm_conv_args){.x = x.v, .y = y.v, .bias = r.weights};
    if (weights < (size_t)d->cout)
        r.a.bias = NULL;
    s = measure(t->seconds, conv_once, &r, &least);
    printf("%5d %5d  k%d s%d%s %4dx%-4d x%-3d %-10s %9.3f ms (least %8.3f) %7.1f GFLOP/s  pack "
           "%7.3f ms %6.2f GB/s\n",
           d->cin, d->cout, d->kernel_h, d->stride, d->upsample ? "u" : " ", d->in_h, d->in_w,
           count, r.plan.name, s * 1e3, least * 1e3, flops / s * 1e-9, pack * 1e3,
           (double)weights * sizeof(float) / pack * 1e-9);
    fflush(stdout);
    *total_least += least * count;
    context_free(NULL, &c);
    guarded_free(&x);
    guarded_free(&y);
    ldm_pages_free(r.packed, r.stride * (size_t)r.copies * sizeof(float));
    free(r.weights);
    return s;
}

static int bench_shapes(bench *t, const char *path)
{
    FILE *f = fopen(path, "r");
    double total = 0.0, total_least = 0.0, flops = 0.0;
    char line[200];
    int number = 0;

    if (!f) {
        fprintf(stderr, "kernelcheck: %s: cannot be opened\n", path);
        return 1;
    }
    while (fgets(line, sizeof line, f)) {
        ldm_conv_desc d = {0};
        int up, count;
        double s;

        number++;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (sscanf(line, "%d %d %d %d %d %d %d %d", &d.cin, &d.cout, &d.kernel_h, &d.stride, &up,
                   &d.in_h, &d.in_w, &count) != 8) {
            fprintf(stderr,
                    "kernelcheck: %s:%d: expected cin cout kernel stride upsample in_h in_w "
                    "count\n",
                    path, number);
            fclose(f);
            return 1;
        }
        d.upsample = up != 0;
        d.kernel_w = d.kernel_h;
        d.pad_top = d.pad_left = d.kernel_h / 2;
        d.out_h = (d.in_h * (up ? 2 : 1) - 1) / d.stride + 1;
        d.out_w = (d.in_w * (up ? 2 : 1) - 1) / d.stride + 1;
        s = bench_conv(t, &d, count, &total_least);
        if (s < 0.0) {
            fclose(f);
            return 1;
        }
        total += s * count;
        flops += 2.0 * ldm_conv_taps(&d) * d.cin * (double)d.cout * d.out_h * d.out_w * count;
    }
    fclose(f);
    printf("all with their counts: %.1f ms (least %.1f), %.1f GFLOP, %.1f GFLOP/s\n", total * 1e3,
           total_least * 1e3, flops * 1e-9, flops / total * 1e-9);
    return 0;
}

typedef struct op_run {
    const bench *t;
    ldm_exec_ctx *ctx;
    ldm_norm_args norm;
    ldm_attention_args attention;
    ldm_view z;
    const float *codebook;
    int entries;
    int64_t *indices;
} op_run;

static void norm_once(void *arg, int round)
{
    op_run *r = arg;

    (void)round;
    r->t->b->norm(r->t->b, r->ctx, &r->norm);
}

static void attention_once(void *arg, int round)
{
    op_run *r = arg;

    (void)round;
    r->t->b->attention(r->t->b, r->ctx, &r->attention);
}

static void vq_once(void *arg, int round)
{
    op_run *r = arg;

    (void)round;
    r->t->b->vq_nearest(r->t->b, r->ctx, &r->z, r->codebook, r->entries, r->indices);
}

static void bench_norm(bench *t, int side, int channels)
{
    guarded x = guarded_make(&t->k, 1, side, side, channels, 0), y = guarded_copy(&x);
    float *gamma = check_array(&t->k, (size_t)channels);
    op_run r = {.t = t,
                .norm = {.x = x.v,
                         .y = y.v,
                         .gamma = gamma,
                         .beta = gamma,
                         .groups = 32,
                         .eps = 1e-5f,
                         .silu = true}};
    context c = context_make(t->threads, t->b->norm_scratch(t->b, &r.norm, t->threads));
    double s, least;

    r.ctx = &c.ctx;
    s = measure(t->seconds, norm_once, &r, &least);
    printf("norm + silu %3dx%-3d c %-4d %9.3f ms (least %8.3f) %6.2f GB/s\n", side, side, channels,
           s * 1e3, least * 1e3, 3.0 * sizeof(float) * side * side * channels / s * 1e-9);
    context_free(NULL, &c);
    guarded_free(&x);
    guarded_free(&y);
    free(gamma);
}

static void bench_attention(bench *t, int queries, int keys, int heads, int d)
{
    guarded q = guarded_make(&t->k, 1, 1, queries, heads * d, 0);
    guarded kv = guarded_make(&t->k, 1, 1, keys, 2 * heads * d, 0);
    guarded y = guarded_make(&t->k, 1, 1, queries, heads * d, 0);
    op_run r = {.t = t,
                .attention = {.precision = t->precision,
                              .q = q.v,
                              .k = kv.v,
                              .v = kv.v,
                              .y = y.v,
                              .heads = heads,
                              .head_dim = d,
                              .head_stride = (size_t)d,
                              .scale = (float)(1.0 / sqrt(d))}};
    context c;
    double s, least;

    r.attention.v.data += heads * d;
    c = context_make(t->threads, t->b->attention_scratch(t->b, &r.attention, t->threads));
    r.ctx = &c.ctx;
    s = measure(t->seconds, attention_once, &r, &least);
    printf("attention %4d x %-4d, %2d heads of %-3d %9.3f ms (least %8.3f) %7.1f GFLOP/s (most "
           "%7.1f)\n",
           queries, keys, heads, d, s * 1e3, least * 1e3, 4e-9 * queries * keys * heads * d / s,
           4e-9 * queries * keys * heads * d / least);
    context_free(NULL, &c);
    guarded_free(&q);
    guarded_free(&kv);
    guarded_free(&y);
}

static void bench_vq(bench *t, int side, int channels, int entries)
{
    guarded z = guarded_make(&t->k, 1, side, side, channels, 0);
    float *codebook = check_array(&t->k, (size_t)entries * (size_t)channels);
    int64_t *indices = malloc((size_t)(side * side) * sizeof *indices);
    op_run r = {.t = t, .z = z.v, .codebook = codebook, .entries = entries, .indices = indices};
    context c = context_make(t->threads, 0);

    if (indices) {
        double s, least;

        r.ctx = &c.ctx;
        s = measure(t->seconds, vq_once, &r, &least);
        printf("vq_nearest %dx%d of %d, %d entries %9.3f ms (least %8.3f)\n", side, side, channels,
               entries, s * 1e3, least * 1e3);
    }
    context_free(NULL, &c);
    guarded_free(&z);
    free(codebook);
    free(indices);
}

int bench_run(const ldm_backend *b, const char *shapes, int threads, double seconds,
              ldm_precision precision, int algorithm)
{
    bench t = {.b = b,
               .precision = precision,
               .algorithm = algorithm,
               .threads = threads,
               .seconds = seconds};

    t.k = (check){.tested = b, .c = b, .rng = 1, .what = "bench"};
    printf("backend %s, %d threads\n", b->name, threads);
    if (shapes)
        return bench_shapes(&t, shapes);
    bench_norm(&t, 64, 224);
    bench_norm(&t, 32, 448);
    bench_norm(&t, 16, 672);
    bench_norm(&t, 8, 896);
    bench_norm(&t, 256, 128);
    bench_attention(&t, 1024, 1024, 14, 32);
    bench_attention(&t, 256, 256, 21, 32);
    bench_attention(&t, 64, 64, 28, 32);
    bench_attention(&t, 4096, 4096, 1, 512);
    bench_attention(&t, 4096, 4096, 8, 40); /* Stable Diffusion 1, and its context */
    bench_attention(&t, 1024, 1024, 8, 80);
    bench_attention(&t, 4096, 77, 8, 40);
    bench_attention(&t, 256, 4096, 1, 40); /* so short that another process rarely comes between */
    bench_attention(&t, 256, 1024, 1, 80);
    bench_attention(&t, 256, 1024, 1, 40);
    bench_attention(&t, 256, 512, 1, 40);
    bench_attention(&t, 256, 256, 1, 40);
    bench_attention(&t, 1024, 4096, 1, 40);
    bench_vq(&t, 64, 3, 8192);
    return 0;
}
