/* SPDX-License-Identifier: MIT */
/* GroupNorm, with the scale and shift of use_scale_shift_norm and the SiLU that follows. Three
 * steps: the moments of slabs of pixels, unless the convolution that wrote x has computed them;
 * from these, in a fixed order, one factor and one offset for each channel; y = x * factor +
 * offset, which may be left to the next convolution. The slabs depend on the shape alone. */
#include <math.h>

#include "cpu/ops.h"

#define TASK_FLOATS 8192 /* a block that stays in the first-level cache */
#define PARTS 2

/* Some channels of x, which have their moments from one place. */
typedef struct part {
    ldm_moments moments;
    size_t first, c, slabs;
    float *own; /* the moments where norm finds them itself, else NULL */
} part;

typedef struct norm_job {
    const ldm_kernels *kernels;
    const ldm_norm_args *args;
    part parts[PARTS];
    const part *own;          /* whose moments are being found */
    size_t n, pixels, c;      /* of one sample */
    size_t tasks;             /* of the step; of one sample where groups are combined */
    double *mean, *deviation; /* [n][c] */
    float *factor;            /* [n][2][c], with the offsets */
} norm_job;

/* The slabs that norm itself uses: whole rows of small pictures, parts of a row of large ones, so
 * that the pixels of a slab are neighbours in memory. */
static ldm_slabs slabs_of(const ldm_view *x)
{
    if (x->w >= LDM_CPU_SLAB)
        return (ldm_slabs){1, LDM_CPU_SLAB};
    return (ldm_slabs){LDM_CPU_SLAB / x->w, x->w};
}

static norm_job make_job(const ldm_norm_args *a)
{
    norm_job job = {
        .args = a,
        .n = (size_t)a->x.n,
        .pixels = (size_t)a->x.h * (size_t)a->x.w,
        .c = (size_t)a->x.c,
    };
    size_t first = 0;
    int i;

    for (i = 0; i < PARTS; i++) {
        part *p = &job.parts[i];

        p->moments = a->known[i];
        if (!a->known[0].c && i == 0)
            p->moments.c = a->x.c;
        if (!p->moments.data)
            p->moments.slabs = slabs_of(&a->x);
        p->first = first;
        p->c = (size_t)p->moments.c;
        p->slabs = ldm_slab_count(&p->moments.slabs, a->x.h, a->x.w);
        first += p->c;
    }
    return job;
}

static size_t own_floats(const norm_job *job, const part *p)
{
    return p->moments.data ? 0 : ldm_round_up(job->n * p->slabs * 2 * p->c, 16);
}

size_t ldm_cpu_norm_scratch(const ldm_backend *b, const ldm_norm_args *a, int threads)
{
    const norm_job job = make_job(a);
    const size_t doubles = 2 * job.n * job.c * (sizeof(double) / sizeof(float));

    (void)b;
    (void)threads;
    return doubles + own_floats(&job, &job.parts[0]) + own_floats(&job, &job.parts[1]) +
           2 * job.n * job.c;
}

/* First pixel of a slab, and how many it has. */
static size_t slab_pixels(const ldm_view *x, const ldm_slabs *s, size_t slab, size_t *first)
{
    const size_t w = (size_t)x->w, across = ldm_ceil_div(w, (size_t)s->w);
    const size_t row = slab / across * (size_t)s->h, col = slab % across * (size_t)s->w;
    const size_t rows = (size_t)x->h - row, cols = w - col;

    *first = row * w + col;
    return (rows < (size_t)s->h ? rows : (size_t)s->h) *
           (cols < (size_t)s->w ? cols : (size_t)s->w);
}

static void moments_task(void *arg, size_t index, int worker)
{
    const norm_job *job = arg;
    const ldm_view *x = &job->args->x;
    const part *p = job->own;
    const size_t total = job->n * p->slabs, end = ldm_split(total, job->tasks, index + 1);
    size_t slab, first, count;

    (void)worker;
    for (slab = ldm_split(total, job->tasks, index); slab < end; slab++) {
        float *mean = p->own + slab * 2 * p->c;

        count = slab_pixels(x, &p->moments.slabs, slab % p->slabs, &first);
        first += slab / p->slabs * job->pixels;
        job->kernels->moments(x->data + first * x->pitch + p->first, x->pitch, count, p->c, mean,
                              mean + p->c);
    }
}

static void find_moments(norm_job *job, const ldm_exec_ctx *ctx)
{
    int i;

    for (i = 0; i < PARTS; i++) {
        part *p = &job->parts[i];

        if (!p->own || !p->c)
            continue;
        job->own = p;
        job->tasks = ldm_ceil_div(job->n * job->pixels * p->c, TASK_FLOATS);
        if (job->tasks > job->n * p->slabs)
            job->tasks = job->n * p->slabs;
        ldm_pool_run(ctx->pool, job->tasks, moments_task, job);
        p->moments.data = p->own;
    }
}

/* Combines the slabs of one sample into moments of each of its channels in [begin, end) that the
 * part has. Sums are taken over each slab's difference from the first slab, and not over the means
 * themselves, so that large means do not cancel. */
static void combine_slabs(const norm_job *job, size_t sample, const part *p, size_t begin,
                          size_t end)
{
    const size_t from = begin > p->first ? begin - p->first : 0;
    const size_t to = end < p->first ? 0 : end - p->first < p->c ? end - p->first : p->c;
    double *mean = job->mean + sample * job->c + p->first;
    double *deviation = job->deviation + sample * job->c + p->first;
    const float *data;
    size_t slab, j, first;

    if (from >= to)
        return;
    data = p->moments.data + sample * p->slabs * 2 * p->c;
    for (j = from; j < to; j++)
        mean[j] = deviation[j] = 0.0;
    for (slab = 0; slab < p->slabs; slab++) {
        const double count = (double)slab_pixels(&job->args->x, &p->moments.slabs, slab, &first);
        const float *means = data + slab * 2 * p->c, *deviations = means + p->c;

        for (j = from; j < to; j++) {
            const double d = (double)means[j] - data[j];

            mean[j] += count * d;
            deviation[j] += count * d * d + deviations[j];
        }
    }
    for (j = from; j < to; j++) {
        const double d = mean[j] / (double)job->pixels;

        deviation[j] -= d * mean[j];
        mean[j] = d + data[j];
    }
}

/* Mean and variance of a group, from its channels; from its pixels where squares were too large for
 * a float, which damaged or half-precision weights can cause. */
static void group_moments(const norm_job *job, size_t sample, size_t begin, size_t end,
                          double *out_mean, double *out_var)
{
    const double *means = job->mean + sample * job->c,
                 *deviations = job->deviation + sample * job->c;
    const double count = (double)(end - begin), pixels = (double)job->pixels;
    const ldm_view *x = &job->args->x;
    const float *at = x->data + sample * job->pixels * x->pitch;
    double mean = 0.0, var = 0.0;
    size_t j, p;

    for (j = begin; j < end; j++)
        mean += means[j];
    mean /= count;
    for (j = begin; j < end; j++)
        var += deviations[j] / pixels + (means[j] - mean) * (means[j] - mean);
    if (!isfinite(var)) {
        mean = var = 0.0;
        for (p = 0; p < job->pixels; p++) {
            for (j = begin; j < end; j++)
                mean += at[p * x->pitch + j];
        }
        mean /= count * pixels;
        for (p = 0; p < job->pixels; p++) {
            for (j = begin; j < end; j++)
                var += (at[p * x->pitch + j] - mean) * (at[p * x->pitch + j] - mean);
        }
        var /= pixels;
    }
    *out_mean = mean;
    *out_var = var / count;
}

/* Some of the groups of a sample: their factors and offsets. */
static void combine_task(void *arg, size_t index, int worker)
{
    const norm_job *job = arg;
    const ldm_norm_args *a = job->args;
    const size_t sample = index / job->tasks, groups = (size_t)a->groups;
    const size_t c = job->c, per_group = c / groups;
    const size_t first = ldm_split(groups, job->tasks, index % job->tasks);
    const size_t end = ldm_split(groups, job->tasks, index % job->tasks + 1);
    float *factor = job->factor + sample * 2 * c, *offset = factor + c;
    size_t g, j;
    int i;

    (void)worker;
    for (i = 0; i < PARTS; i++)
        combine_slabs(job, sample, &job->parts[i], first * per_group, end * per_group);
    for (g = first; g < end; g++) {
        double mean, var, rstd;

        group_moments(job, sample, g * per_group, (g + 1) * per_group, &mean, &var);
        rstd = 1.0 / sqrt((var > 0.0 ? var : 0.0) + (double)a->eps);
        for (j = g * per_group; j < (g + 1) * per_group; j++) {
            double f = rstd * a->gamma[j], o = a->beta[j] - mean * f;

            if (a->scale) {
                const double s = 1.0 + (double)a->scale[sample * a->scale_stride + j];

                f *= s;
                o = o * s + a->shift[sample * a->scale_stride + j];
            }
            factor[j] = (float)f;
            offset[j] = (float)o;
        }
    }
}

static void affine_task(void *arg, size_t index, int worker)
{
    const norm_job *job = arg;
    const ldm_view *x = &job->args->x, *y = &job->args->y;
    const size_t sample = index / job->tasks, block = index % job->tasks;
    const size_t begin = ldm_split(job->pixels, job->tasks, block);
    const size_t end = ldm_split(job->pixels, job->tasks, block + 1);
    const size_t pixel = sample * job->pixels + begin;
    const float *factor = job->factor + sample * 2 * job->c;

    (void)worker;
    job->kernels->affine(x->data + pixel * x->pitch, x->pitch, y->data + pixel * y->pitch, y->pitch,
                         end - begin, job->c, factor, factor + job->c, job->args->silu);
}

void ldm_cpu_norm(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_norm_args *a)
{
    const size_t groups = (size_t)a->groups, threads = (size_t)ctx->threads;
    norm_job job = make_job(a);
    float *own;
    int i;

    job.kernels = ldm_kernels_of(b);
    job.mean = (double *)(void *)ctx->scratch;
    job.deviation = job.mean + job.n * job.c;
    own = (float *)(job.deviation + job.n * job.c);
    for (i = 0; i < PARTS; i++) {
        job.parts[i].own = job.parts[i].moments.data ? NULL : own;
        own += own_floats(&job, &job.parts[i]);
    }
    job.factor = a->affine ? a->affine : own;
    find_moments(&job, ctx);
    job.tasks = groups < 2 * threads ? groups : 2 * threads;
    ldm_pool_run(ctx->pool, job.n * job.tasks, combine_task, &job);
    if (a->affine)
        return;
    job.tasks = ldm_ceil_div(job.pixels * job.c, TASK_FLOATS);
    job.tasks = job.tasks < job.pixels ? job.tasks : job.pixels;
    ldm_pool_run(ctx->pool, job.n * job.tasks, affine_task, &job);
}
