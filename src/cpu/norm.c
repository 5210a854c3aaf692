/* GroupNorm, with the scale and shift of use_scale_shift_norm and SiLU behind it. Three steps: sums
 * per channel over blocks of pixels, in double; their combination in a fixed order into one factor
 * and one offset per channel; y = x * factor + offset. The blocks depend on the shape alone. */
#include <math.h>

#include "cpu/ops.h"

#define BLOCK_FLOATS 8192 /* a block that stays in the first-level cache */
#define MAX_BLOCKS 64     /* of one sample, so that the sums stay few */

typedef struct norm_job {
    const ldm_kernels *kernels;
    const ldm_norm_args *args;
    size_t pixels, blocks, c; /* of one sample */
    double *sums;             /* [n][blocks][2][c] */
    float *affine;            /* [n][2][c] */
} norm_job;

static size_t block_count(const ldm_norm_args *a)
{
    const size_t pixels = (size_t)a->x.h * (size_t)a->x.w;
    const size_t floats = pixels * (size_t)a->x.c;
    size_t blocks = ldm_ceil_div(floats, BLOCK_FLOATS);

    blocks = blocks < MAX_BLOCKS ? blocks : MAX_BLOCKS;
    return blocks < pixels ? blocks : pixels;
}

size_t ldm_cpu_norm_scratch(const ldm_backend *b, const ldm_norm_args *a, int threads)
{
    const size_t row = 2 * (size_t)a->x.n * (size_t)a->x.c;

    (void)b;
    (void)threads;
    return row * block_count(a) * (sizeof(double) / sizeof(float)) + row;
}

static void moments_task(void *arg, size_t index, int worker)
{
    const norm_job *job = arg;
    const ldm_view *x = &job->args->x;
    const size_t sample = index / job->blocks, block = index % job->blocks;
    const size_t begin = ldm_split(job->pixels, job->blocks, block);
    const size_t end = ldm_split(job->pixels, job->blocks, block + 1);
    double *sum = job->sums + index * 2 * job->c;

    (void)worker;
    job->kernels->moments(x->data + (sample * job->pixels + begin) * x->pitch, x->pitch,
                          end - begin, job->c, sum, sum + job->c);
}

/* Sums of one sample into factors and offsets. */
static void combine_task(void *arg, size_t sample, int worker)
{
    const norm_job *job = arg;
    const ldm_norm_args *a = job->args;
    const size_t c = job->c, per_group = c / (size_t)a->groups;
    const double count = (double)job->pixels * (double)per_group;
    double *total = job->sums + sample * job->blocks * 2 * c;
    float *factor = job->affine + sample * 2 * c, *offset = factor + c;
    size_t block, g, j;

    (void)worker;
    for (block = 1; block < job->blocks; block++) {
        const double *part = total + block * 2 * c;

        for (j = 0; j < 2 * c; j++)
            total[j] += part[j];
    }
    for (g = 0; g < (size_t)a->groups; g++) {
        double sum = 0.0, square = 0.0, mean, var, rstd;

        for (j = g * per_group; j < (g + 1) * per_group; j++) {
            sum += total[j];
            square += total[c + j];
        }
        mean = sum / count;
        var = square / count - mean * mean;
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
    const size_t sample = index / job->blocks, block = index % job->blocks;
    const size_t begin = ldm_split(job->pixels, job->blocks, block);
    const size_t end = ldm_split(job->pixels, job->blocks, block + 1);
    const size_t pixel = sample * job->pixels + begin;
    const float *factor = job->affine + sample * 2 * job->c;

    (void)worker;
    job->kernels->affine(x->data + pixel * x->pitch, x->pitch, y->data + pixel * y->pitch, y->pitch,
                         end - begin, job->c, factor, factor + job->c, job->args->silu);
}

void ldm_cpu_norm(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_norm_args *a)
{
    const size_t n = (size_t)a->x.n;
    norm_job job = {
        .kernels = ldm_kernels_of(b),
        .args = a,
        .pixels = (size_t)a->x.h * (size_t)a->x.w,
        .blocks = block_count(a),
        .c = (size_t)a->x.c,
        .sums = (double *)(void *)ctx->scratch,
    };

    job.affine = (float *)(job.sums + n * job.blocks * 2 * job.c);
    ldm_pool_run(ctx->pool, n * job.blocks, moments_task, &job);
    ldm_pool_run(ctx->pool, n, combine_task, &job);
    ldm_pool_run(ctx->pool, n * job.blocks, affine_task, &job);
}
