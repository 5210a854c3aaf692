/* SPDX-License-Identifier: MIT */
/* Single kernels: convolutions of a list of shapes (bench/shapes, or `ldm inspect --shapes` of a
 * configuration). Weights are read from memory as in an evaluation: the calls cycle through copies
 * of the weights that together are larger than the caches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/file.h"
#include "measure/bench.h"
#include "sample/rng.h"

enum { MAX_SIDE = 4096, MAX_CHANNELS = 1 << 15, MAX_COPIES = 64, MAX_CALLS = 1000 };

static const size_t FILE_LIMIT = (size_t)1 << 20;
static const size_t COLD_FLOATS = (size_t)24 << 20; /* of packed weights to cycle through */
static const double LEAST_SECONDS = 0.03;           /* that one shape is called for */

/* ---- the list -------------------------------------------------------------------------------- */

/* One row: cin cout kernel stride upsample in_h in_w count. */
static bool parse_row(const char *line, ldm_shape_time *out)
{
    ldm_conv_desc *d = &out->desc;
    int kernel, up, used = 0, scale;

    memset(out, 0, sizeof *out);
    if (sscanf(line, "%d %d %d %d %d %d %d %d %n", &d->cin, &d->cout, &kernel, &d->stride, &up,
               &d->in_h, &d->in_w, &out->count, &used) != 8 ||
        line[used])
        return false;
    if (d->cin < 1 || d->cin > MAX_CHANNELS || d->cout < 1 || d->cout > MAX_CHANNELS ||
        (kernel != 1 && kernel != 3) || (d->stride != 1 && d->stride != 2) || up < 0 || up > 1 ||
        d->in_h < 1 || d->in_h > MAX_SIDE || d->in_w < 1 || d->in_w > MAX_SIDE || out->count < 1)
        return false;
    d->upsample = up;
    d->kernel_h = d->kernel_w = kernel;
    d->pad_top = d->pad_left = kernel / 2;
    scale = up ? 2 : 1;
    d->out_h = (d->in_h * scale - 1) / d->stride + 1;
    d->out_w = (d->in_w * scale - 1) / d->stride + 1;
    return true;
}

static ldm_status read_shapes(ldm_bench_data *b, ldm_error *err)
{
    const char *path = b->o->shapes;
    char *text, *line, *next;
    size_t size, cap = 0;
    ldm_status st = ldm_file_read(path, FILE_LIMIT, &text, &size, err);
    int number = 0;

    if (st)
        return st;
    for (line = text; !st && line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        if (!*line || *line == '#')
            continue;
        if (!ldm_grow(&b->shapes, &cap, (size_t)b->shape_count + 1, sizeof *b->shapes))
            st = ldm_error_nomem(err, (size_t)b->shape_count * sizeof *b->shapes, "the shapes");
        else if (!parse_row(line, &b->shapes[b->shape_count]))
            st = ldm_error_set(err, LDM_ERR_FORMAT,
                               "%s:%d: \"%.60s\" is no shape, expected eight numbers: cin cout "
                               "kernel (1, 3) stride (1, 2) upsample (0, 1) in_h in_w count",
                               path, number, line);
        else
            b->shape_count++;
    }
    if (!st && !b->shape_count)
        st = ldm_error_set(err, LDM_ERR_FORMAT,
                           "%s holds no shapes; `ldm inspect --shapes CONFIG.yaml` writes such a "
                           "list",
                           path);
    ldm_free(text);
    return st;
}

/* ---- one convolution ------------------------------------------------------------------------- */

typedef struct kernel_run {
    const ldm_backend *backend;
    ldm_exec_ctx ctx;
    ldm_conv_plan plan;
    ldm_conv_args args;
    float *packed, *weights, *x, *y;
    size_t stride, weight_floats, x_floats, y_floats; /* stride: of one packed copy */
    int copies;
} kernel_run;

static void release(kernel_run *r)
{
    ldm_pages_free(r->packed, r->stride * (size_t)r->copies * sizeof *r->packed);
    ldm_pages_free(r->x, r->x_floats * sizeof *r->x);
    ldm_pages_free(r->y, r->y_floats * sizeof *r->y);
    ldm_pages_free(r->ctx.scratch, r->ctx.scratch_floats * sizeof *r->ctx.scratch);
    ldm_free(r->weights);
}

static void pack_part(void *arg, size_t task, int worker)
{
    const kernel_run *r = arg;

    (void)worker;
    r->backend->conv_pack(r->backend, &r->plan, r->weights, r->packed, (int)task);
}

static ldm_status set_up(kernel_run *r, const ldm_conv_desc *d, int batch, ldm_pool *pool,
                         ldm_error *err)
{
    size_t n = (size_t)batch, floats;
    ldm_rng rng;
    int i;

    r->weight_floats = (size_t)d->cout * (size_t)d->cin * (size_t)ldm_conv_taps(d);
    r->stride = (r->plan.packed_floats + 15) / 16 * 16;
    r->copies = r->stride > COLD_FLOATS ? 1 : (int)(COLD_FLOATS / r->stride) + 1;
    r->copies = r->copies < MAX_COPIES ? r->copies : MAX_COPIES;
    r->x_floats = n * (size_t)d->in_h * (size_t)d->in_w * (size_t)d->cin;
    r->y_floats = n * (size_t)d->out_h * (size_t)d->out_w * (size_t)d->cout;
    r->ctx = (ldm_exec_ctx){.pool = pool, .threads = ldm_pool_threads(pool)};
    r->ctx.scratch_floats = r->plan.scratch_floats + 16; /* never empty */
    r->packed = ldm_pages_alloc(r->stride * (size_t)r->copies * sizeof *r->packed);
    r->x = ldm_pages_alloc(r->x_floats * sizeof *r->x);
    r->y = ldm_pages_alloc(r->y_floats * sizeof *r->y);
    r->ctx.scratch = ldm_pages_alloc(r->ctx.scratch_floats * sizeof *r->ctx.scratch);
    r->weights = ldm_reallocarray(NULL, r->weight_floats, sizeof *r->weights);
    floats = r->stride * (size_t)r->copies + r->x_floats + r->y_floats;
    if (!r->packed || !r->x || !r->y || !r->ctx.scratch || !r->weights)
        return ldm_error_nomem(err, floats * sizeof *r->x, "a shape's values");
    ldm_rng_seed(&rng, 42);
    ldm_rng_randn(&rng, r->weights, r->weight_floats);
    ldm_rng_randn(&rng, r->x, r->x_floats);
    ldm_pool_run(pool, (size_t)r->plan.pack_tasks, pack_part, r);
    for (i = 1; i < r->copies; i++)
        memcpy(r->packed + (size_t)i * r->stride, r->packed,
               r->plan.packed_floats * sizeof *r->packed);
    r->args.x = (ldm_view){r->x, batch, d->in_h, d->in_w, d->cin, (size_t)d->cin};
    r->args.y = (ldm_view){r->y, batch, d->out_h, d->out_w, d->cout, (size_t)d->cout};
    return LDM_OK;
}

static ldm_status time_shape(ldm_bench_data *b, ldm_shape_time *s, ldm_error *err)
{
    const ldm_conv_desc *d = &s->desc;
    kernel_run r = {.backend = b->m->backend};
    double times[MAX_CALLS], end = 0;
    int calls = 0, i;
    ldm_status st = r.backend->conv_plan(r.backend, d, b->m->precision, -1,
                                         ldm_pool_threads(b->pool), &r.plan, err);

    if (!st)
        st = set_up(&r, d, b->batch, b->pool, err);
    for (i = 0; !st && i < MAX_CALLS && (i <= b->rounds || ldm_seconds() < end); i++) {
        double begin = ldm_seconds();

        r.args.packed = r.packed + (size_t)(i % r.copies) * r.stride;
        r.backend->conv(r.backend, &r.ctx, &r.plan, &r.args);
        if (i) /* the first one meets memory that was never touched */
            times[calls++] = ldm_seconds() - begin;
        else
            end = ldm_seconds() + LEAST_SECONDS;
    }
    if (!st) {
        s->algorithm = r.plan.name;
        s->flop = 2.0 * (double)r.weight_floats * d->out_h * d->out_w * b->batch;
        s->bytes = (double)(r.x_floats + r.y_floats + r.plan.packed_floats) * sizeof(float);
        s->seconds = ldm_spread_of(times, calls).median;
    }
    release(&r);
    return st;
}

ldm_status ldm_bench_shapes(ldm_bench_data *b, ldm_error *err)
{
    ldm_status st = read_shapes(b, err);
    int i;

    for (i = 0; !st && i < b->shape_count; i++)
        st = time_shape(b, &b->shapes[i], err);
    return st;
}
