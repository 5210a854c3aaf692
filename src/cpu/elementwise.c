/* SPDX-License-Identifier: MIT */
/* Elementwise operations, resizing and the nearest codebook entry. A task takes a run of output
 * pixels; views without gaps are worked on as one long row. */
#include <string.h>

#include "cpu/ops.h"

#define TASK_FLOATS 16384

typedef struct rows_job rows_job;
typedef void row_fn(const rows_job *job, size_t pixel, const float *x, float *y, size_t n);

struct rows_job {
    const ldm_kernels *kernels;
    row_fn *fn;
    const ldm_view *x, *other, *y;
    bool dense; /* no gaps in any view: a run of pixels is one row */
    size_t task_pixels, pixels;
    const float *vector;
    size_t vector_stride;
    const float *gamma, *beta; /* layer_norm */
    float eps;
};

static bool is_dense(const ldm_view *v)
{
    return v->pitch == (size_t)v->c;
}

static size_t pixels_of(const ldm_view *v)
{
    return (size_t)v->n * (size_t)v->h * (size_t)v->w;
}

static void rows_task(void *arg, size_t index, int worker)
{
    const rows_job *job = arg;
    const size_t begin = index * job->task_pixels;
    const size_t end =
        begin + job->task_pixels < job->pixels ? begin + job->task_pixels : job->pixels;
    const size_t c = (size_t)job->y->c;
    size_t p;

    (void)worker;
    if (job->dense) {
        job->fn(job, begin, job->x->data + begin * c, job->y->data + begin * c, (end - begin) * c);
        return;
    }
    for (p = begin; p < end; p++)
        job->fn(job, p, job->x->data + p * job->x->pitch, job->y->data + p * job->y->pitch, c);
}

static void run_rows(const ldm_exec_ctx *ctx, rows_job *job)
{
    job->pixels = pixels_of(job->y);
    job->task_pixels = ldm_ceil_div(TASK_FLOATS, (size_t)job->y->c);
    ldm_pool_run(ctx->pool, ldm_ceil_div(job->pixels, job->task_pixels), rows_task, job);
}

static void relu_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    (void)pixel;
    job->kernels->relu(x, y, n);
}

static void silu_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    (void)pixel;
    job->kernels->silu(x, y, n);
}

static void gelu_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    (void)pixel;
    job->kernels->gelu(x, y, n);
}

static void quick_gelu_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    (void)pixel;
    job->kernels->quick_gelu(x, y, n);
}

static void geglu_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    (void)pixel;
    job->kernels->geglu(x, x + n, y, n);
}

static void layer_norm_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    (void)pixel;
    job->kernels->layer_norm(x, job->gamma, job->beta, job->eps, y, n);
}

static void add_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    job->kernels->add(x, job->other->data + pixel * job->other->pitch, y, n);
}

static void copy_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    (void)job;
    (void)pixel;
    if (x != y)
        memcpy(y, x, n * sizeof *y);
}

static void add_vector_row(const rows_job *job, size_t pixel, const float *x, float *y, size_t n)
{
    const size_t plane = (size_t)job->y->h * (size_t)job->y->w;

    job->kernels->add(x, job->vector + pixel / plane * job->vector_stride, y, n);
}

void ldm_cpu_activate(const ldm_backend *b, const ldm_exec_ctx *ctx, ldm_activation f,
                      const ldm_view *x, const ldm_view *y)
{
    static row_fn *const rows[] = {
        [LDM_ACTIVATION_RELU] = relu_row,
        [LDM_ACTIVATION_SILU] = silu_row,
        [LDM_ACTIVATION_GELU] = gelu_row,
        [LDM_ACTIVATION_QUICK_GELU] = quick_gelu_row,
    };
    rows_job job = {.kernels = ldm_kernels_of(b), .fn = rows[f], .x = x, .y = y};

    job.dense = is_dense(x) && is_dense(y);
    run_rows(ctx, &job);
}

void ldm_cpu_geglu(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                   const ldm_view *y)
{
    rows_job job = {.kernels = ldm_kernels_of(b), .fn = geglu_row, .x = x, .y = y};

    run_rows(ctx, &job);
}

void ldm_cpu_layer_norm(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                        const float *gamma, const float *beta, float eps, const ldm_view *y)
{
    rows_job job = {.kernels = ldm_kernels_of(b),
                    .fn = layer_norm_row,
                    .x = x,
                    .y = y,
                    .gamma = gamma,
                    .beta = beta,
                    .eps = eps};

    run_rows(ctx, &job);
}

void ldm_cpu_add(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *a0,
                 const ldm_view *a1, const ldm_view *y)
{
    rows_job job = {.kernels = ldm_kernels_of(b), .fn = add_row, .x = a0, .other = a1, .y = y};

    job.dense = is_dense(a0) && is_dense(a1) && is_dense(y);
    run_rows(ctx, &job);
}

void ldm_cpu_copy(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                  const ldm_view *y)
{
    rows_job job = {.kernels = ldm_kernels_of(b), .fn = copy_row, .x = x, .y = y};

    job.dense = is_dense(x) && is_dense(y);
    run_rows(ctx, &job);
}

void ldm_cpu_add_vector(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                        const float *v, size_t v_stride, const ldm_view *y)
{
    rows_job job = {.kernels = ldm_kernels_of(b),
                    .fn = add_vector_row,
                    .x = x,
                    .y = y,
                    .vector = v,
                    .vector_stride = v_stride};

    run_rows(ctx, &job);
}

/* Pooling: a task is one row of the result. */
typedef struct pool_job {
    const ldm_kernels *kernels;
    const ldm_pool_desc *desc;
    const ldm_view *x, *y;
} pool_job;

/* The pixels of the window at (top, left) that lie inside of the picture. Returns how many. */
static int window_of(const pool_job *job, const float *sample, int top, int left,
                     const float *taps[LDM_POOL_MAX_TAPS])
{
    const ldm_pool_desc *d = job->desc;
    const ldm_view *x = job->x;
    int n = 0, iy, ix;

    for (iy = top > 0 ? top : 0; iy < top + d->kernel_h && iy < x->h; iy++) {
        for (ix = left > 0 ? left : 0; ix < left + d->kernel_w && ix < x->w; ix++)
            taps[n++] = sample + ((size_t)iy * (size_t)x->w + (size_t)ix) * x->pitch;
    }
    return n;
}

static void pool_task(void *arg, size_t row, int worker)
{
    const pool_job *job = arg;
    const ldm_pool_desc *d = job->desc;
    const ldm_view *x = job->x, *y = job->y;
    const size_t sample = row / (size_t)y->h;
    const int top = (int)(row % (size_t)y->h) * d->stride - d->pad;
    const float *first = x->data + sample * (size_t)x->h * (size_t)x->w * x->pitch;
    const float *taps[LDM_POOL_MAX_TAPS];
    float *out = y->data + row * (size_t)y->w * y->pitch;
    int i;

    (void)worker;
    for (i = 0; i < y->w; i++, out += y->pitch) {
        const int n = window_of(job, first, top, i * d->stride - d->pad, taps);

        if (d->mean)
            job->kernels->mean_of(taps, n, out, (size_t)y->c);
        else
            job->kernels->largest_of(taps, n, out, (size_t)y->c);
    }
}

void ldm_cpu_pool(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_pool_desc *d,
                  const ldm_view *x, const ldm_view *y)
{
    pool_job job = {.kernels = ldm_kernels_of(b), .desc = d, .x = x, .y = y};

    ldm_pool_run(ctx->pool, (size_t)y->n * (size_t)y->h, pool_task, &job);
}

/* Upsampling: a task is one row of the smaller picture. */
typedef struct resize_job {
    const ldm_view *x, *y;
} resize_job;

static void upsample_task(void *arg, size_t row, int worker)
{
    const resize_job *job = arg;
    const ldm_view *x = job->x, *y = job->y;
    const size_t line = (size_t)y->w * y->pitch, bytes = (size_t)y->c * sizeof(float);
    const float *in = x->data + row * (size_t)x->w * x->pitch;
    float *out = y->data + 2 * row * line;
    int i;

    (void)worker;
    for (i = 0; i < x->w; i++, in += x->pitch, out += 2 * y->pitch) {
        memcpy(out, in, bytes);
        memcpy(out + y->pitch, in, bytes);
        memcpy(out + line, in, bytes);
        memcpy(out + line + y->pitch, in, bytes);
    }
}

void ldm_cpu_upsample2(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *x,
                       const ldm_view *y)
{
    resize_job job = {.x = x, .y = y};

    (void)b;
    ldm_pool_run(ctx->pool, (size_t)x->n * (size_t)x->h, upsample_task, &job);
}

typedef struct vq_job {
    const ldm_kernels *kernels;
    const ldm_view *z;
    const float *codebook;
    int entries;
    int64_t *indices;
} vq_job;

#define VQ_PIXELS 64

static void vq_task(void *arg, size_t index, int worker)
{
    const vq_job *job = arg;
    const ldm_view *z = job->z;
    const size_t begin = index * VQ_PIXELS, left = pixels_of(z) - begin;

    (void)worker;
    job->kernels->vq(z->data + begin * z->pitch, z->pitch, left < VQ_PIXELS ? left : VQ_PIXELS,
                     (size_t)z->c, job->codebook, job->entries, job->indices + begin);
}

void ldm_cpu_vq_nearest(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_view *z,
                        const float *codebook, int entries, int64_t *indices)
{
    vq_job job = {ldm_kernels_of(b), z, codebook, entries, indices};

    ldm_pool_run(ctx->pool, ldm_ceil_div(pixels_of(z), VQ_PIXELS), vq_task, &job);
}
