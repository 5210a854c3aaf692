/* SPDX-License-Identifier: MIT */
/* Convolution in bf16 with f32 sums, as a matrix product. For a block of output pixels, the input
 * pixels under all taps are rounded to bf16 and gathered: a row of A is an output pixel, its
 * columns are the input channels tap by tap. It is multiplied by panels of output channels, packed
 * at load as pairs of rows: [k / 2][columns][2]. Stride, padding and upsampling are handled in the
 * gathering, and the layout of a panel depends on nothing but the layer, so that weights packed
 * once serve every size, batch and number of threads. */
#include "cpu/bf16.h"

#include <string.h>

#include "cpu/conv_impl.h"

enum {
    LEAST_ROWS = 64, /* pixels of a block */
    MOST_ROWS = 256
};

#define BLOCK_BYTES ((size_t)512 << 10) /* of gathered input, to stay in the second-level cache */
#define CACHED_BYTES ((size_t)4 << 20)  /* weights that may be read again for each block */

static ldm_bf16_geometry geometry_of(const ldm_kernels *k, const ldm_bf16_engine *e,
                                     const ldm_conv_desc *d)
{
    const size_t plane = (size_t)d->out_h * (size_t)d->out_w;
    const size_t panel = (size_t)(e->panel ? e->panel : k->nr);
    const size_t step = (size_t)(e->panel ? e->last_step : k->nr);
    ldm_bf16_geometry g = {
        .k = ldm_round_up((size_t)ldm_conv_taps(d) * (size_t)d->cin, (size_t)e->k_step),
        .panels = ldm_ceil_div((size_t)d->cout, panel),
        .panel = (int)panel};
    size_t most = BLOCK_BYTES / (g.k * sizeof(uint16_t));

    most = most < LEAST_ROWS ? LEAST_ROWS : most > MOST_ROWS ? MOST_ROWS : most;
    g.rows = ldm_ceil_div(plane, ldm_ceil_div(plane, most));
    g.last = (int)ldm_round_up((size_t)d->cout - (g.panels - 1) * panel, step);
    return g;
}

/* ---- planning and packing -------------------------------------------------------------------- */

/* Narrow layers (the network's two ends) and linear layers of one pixel are a thousandth of the
 * work and stay in f32. An odd number of channels would make pairs of values straddle two taps. */
bool ldm_bf16_fits(const ldm_conv_desc *d)
{
    return d->cin >= 32 && d->cin % 2 == 0 && d->cout >= 16 &&
           !(ldm_conv_taps(d) == 1 && d->in_h == 1 && d->in_w == 1);
}

static size_t block_floats(const ldm_bf16_geometry *g)
{
    return ldm_round_up(g->rows * g->k * sizeof(uint16_t), 64) / sizeof(float);
}

ldm_status ldm_bf16_plan(const ldm_kernels *k, const ldm_bf16_engine *e, ldm_conv_plan *plan,
                         int threads, ldm_error *err)
{
    const ldm_bf16_geometry g = geometry_of(k, e, &plan->desc);
    size_t worker_floats;
    ldm_status st = e->prepare(k, &g, &worker_floats, err);

    if (st)
        return st;
    plan->packed_floats = g.k * ((g.panels - 1) * (size_t)g.panel + (size_t)g.last) / 2;
    plan->pack_tasks = (int)g.panels;
    plan->scratch_floats = (size_t)threads * (2 * block_floats(&g) + worker_floats);
    plan->rectifies = plan->activates = e->activates;
    plan->gates = e->gates && plan->desc.cout % (2 * g.panel) == 0;
    return LDM_OK;
}

/* The transposing is the kernels' own, a few channels at a time. */
void ldm_bf16_pack_pairs(const ldm_kernels *k, const ldm_pack *p, size_t columns, size_t width,
                         uint16_t *dst)
{
    enum { CHANNELS = 16 };
    const size_t taps = (size_t)p->taps, nr = (size_t)k->nr;
    _Alignas(64) float part[LDM_CONV_MAX_KERNEL * LDM_CONV_MAX_KERNEL * CHANNELS * LDM_CPU_MAX_NR];
    ldm_pack some = *p;
    size_t ci, tap, c;

    some.dst = part;
    for (ci = 0; ci < p->cin; ci += some.cin) {
        some.src = (const float *)p->src + ci * taps;
        some.cin = some.chunk_len = p->cin - ci < CHANNELS ? p->cin - ci : CHANNELS;
        k->pack(&some);
        for (tap = 0; tap < taps; tap++) {
            for (c = 0; c < some.cin; c += 2) {
                const float *even = part + (tap * some.cin + c) * nr;

                k->pair_bf16(even, c + 1 < some.cin ? even + nr : NULL,
                             dst + (tap * p->cin + ci + c) * columns, width);
            }
        }
    }
}

void ldm_bf16_pack(const ldm_kernels *k, const ldm_bf16_engine *e, const ldm_conv_plan *plan,
                   const float *weights, float *packed, int task)
{
    const ldm_conv_desc *d = &plan->desc;
    const ldm_bf16_geometry g = geometry_of(k, e, d);
    const size_t cin = (size_t)d->cin, row = (size_t)ldm_conv_taps(d) * cin;
    const size_t first = (size_t)task * (size_t)g.panel, nr = (size_t)k->nr;
    const size_t columns = (size_t)((size_t)task + 1 < g.panels ? g.panel : g.last);
    uint16_t *dst = (uint16_t *)(void *)packed + first * g.k;
    size_t j;

    memset(dst, 0, g.k * columns * sizeof *dst);
    for (j = 0; j < columns && first + j < (size_t)d->cout; j += nr) {
        const size_t left = (size_t)d->cout - first - j;
        const size_t width = columns - j < nr ? columns - j : nr;
        const ldm_pack p = {.src = weights + (first + j) * row,
                            .src_stride = row,
                            .rows = (int)(left < width ? left : width),
                            .taps = ldm_conv_taps(d),
                            .cin = cin};

        ldm_bf16_pack_pairs(k, &p, columns, width, dst + 2 * j);
    }
}

/* ---- gathering ------------------------------------------------------------------------------- */

size_t ldm_bf16_block_pixels(const ldm_bf16_job *j, size_t block)
{
    const size_t left = j->pixels - block * j->g.rows;

    return left < j->g.rows ? left : j->g.rows;
}

static uint16_t *block_at(const ldm_bf16_job *j, size_t slot)
{
    return j->gathered + slot * block_floats(&j->g) * 2;
}

/* One row of A: what lies under the taps of an output pixel. */
static void gather_pixel(const ldm_bf16_job *j, size_t pixel, uint16_t *row)
{
    const ldm_conv_desc *d = &j->plan->desc;
    const ldm_view *x = &j->args->x;
    const size_t out_w = (size_t)d->out_w, plane = (size_t)d->out_h * out_w, cin = (size_t)d->cin;
    const int oy = (int)(pixel % plane / out_w), ox = (int)(pixel % out_w);
    const int up = d->upsample ? 1 : 0, h = d->in_h << up, w = d->in_w << up;
    const float *sample = x->data + pixel / plane * (size_t)x->h * (size_t)x->w * x->pitch;
    uint16_t *to = row;
    int ky, kx;

    for (ky = 0; ky < d->kernel_h; ky++) {
        const int iy = oy * d->stride + ky - d->pad_top;

        for (kx = 0; kx < d->kernel_w; kx++, to += cin) {
            const int ix = ox * d->stride + kx - d->pad_left;

            if (iy >= 0 && iy < h && ix >= 0 && ix < w)
                j->kernels->round_bf16(
                    sample + ((size_t)(iy >> up) * (size_t)x->w + (size_t)(ix >> up)) * x->pitch,
                    to, cin);
            else
                memset(to, 0, cin * sizeof *to);
        }
    }
    memset(to, 0, (size_t)(row + j->g.k - to) * sizeof *to);
}

static void gather(const ldm_bf16_job *j, size_t block, size_t from, size_t to, uint16_t *a)
{
    size_t i;

    for (i = from; i < to; i++)
        gather_pixel(j, block * j->g.rows + i, a + i * j->g.k);
}

/* ---- sharing the work ------------------------------------------------------------------------ */

/* A block by all panels: each worker gathers its own. */
static void block_task(void *arg, size_t block, int worker)
{
    const ldm_bf16_job *j = arg;
    uint16_t *a = block_at(j, (size_t)worker);

    gather(j, block, 0, ldm_bf16_block_pixels(j, block), a);
    j->engine->multiply(j, 0, j->tasks, block, a, worker);
}

enum { GATHER_PARTS = 4 };

static void gather_task(void *arg, size_t index, int worker)
{
    const ldm_bf16_job *j = arg;
    const size_t slot = index / GATHER_PARTS, part = index % GATHER_PARTS;
    const size_t pixels = ldm_bf16_block_pixels(j, j->first + slot);

    (void)worker;
    gather(j, j->first + slot, ldm_split(pixels, GATHER_PARTS, part),
           ldm_split(pixels, GATHER_PARTS, part + 1), block_at(j, slot));
}

/* A panel by one of the gathered blocks; the blocks of a panel follow each other. */
static void panel_task(void *arg, size_t index, int worker)
{
    const ldm_bf16_job *j = arg;
    const size_t slot = index % j->count, panel = index / j->count;

    j->engine->multiply(j, panel, panel + 1, j->first + slot, block_at(j, slot), worker);
}

static void share(ldm_bf16_job *j)
{
    const size_t blocks = ldm_ceil_div(j->pixels, j->g.rows);
    const size_t group = 2 * (size_t)ldm_pool_threads(j->pool);

    if (blocks >= group && j->plan->packed_floats * sizeof(float) <= CACHED_BYTES) {
        ldm_pool_run(j->pool, blocks, block_task, j);
        return;
    }
    for (; j->first < blocks; j->first += j->count) {
        j->count = blocks - j->first < group ? blocks - j->first : group;
        ldm_pool_run(j->pool, j->count * GATHER_PARTS, gather_task, j);
        ldm_pool_run(j->pool, j->count * j->tasks, panel_task, j);
    }
}

void ldm_bf16_conv(const ldm_kernels *k, const ldm_bf16_engine *e, const ldm_exec_ctx *ctx,
                   const ldm_conv_plan *plan, const ldm_conv_args *a)
{
    const ldm_conv_desc *d = &plan->desc;
    const size_t threads = (size_t)ctx->threads;
    ldm_bf16_job j = {
        .kernels = k,
        .engine = e,
        .pool = ctx->pool,
        .plan = plan,
        .args = a,
        .g = geometry_of(k, e, d),
        .gated = a->activation == LDM_ACTIVATION_GEGLU,
        .pixels = (size_t)a->x.n * (size_t)d->out_h * (size_t)d->out_w,
        .gathered = (uint16_t *)(void *)ctx->scratch,
    };

    j.tasks = j.gated ? j.g.panels / 2 : j.g.panels;
    j.workers = ctx->scratch + 2 * threads * block_floats(&j.g);
    j.worker_floats = plan->scratch_floats / threads - 2 * block_floats(&j.g);
    if (e->run)
        e->run(&j, share);
    else
        share(&j);
}

/* ---- products by the kernels ----------------------------------------------------------------- */

/* Partial sums, then a panel and its gate side by side, before GEGLU. */
static ldm_status prepare(const ldm_kernels *k, const ldm_bf16_geometry *g, size_t *worker_floats,
                          ldm_error *err)
{
    (void)err;
    *worker_floats = ldm_round_up(3 * g->rows * (size_t)k->nr, 16);
    return LDM_OK;
}

/* A panel by `count` gathered pixels, a chunk at a time that stays in the first-level cache. While
 * it is multiplied, the next chunk is fetched. */
static void product(const ldm_bf16_job *j, size_t panel, const uint16_t *a, size_t count,
                    const ldm_tile_out *out)
{
    const ldm_kernels *k = j->kernels;
    const size_t nr = (size_t)k->nr, pairs = j->g.k / 2;
    const ldm_cut chunks = ldm_cut_of(pairs, (size_t)k->chunk);
    const float *rows = (const float *)(const void *)a;
    ldm_strip s = {
        .a = rows,
        .a_stride = pairs,
        .rows = count,
        .b = (const float *)j->args->packed + panel * pairs * nr,
        .pace = ldm_strip_pace(k, count, nr),
        .out = *out,
    };
    size_t i;

    for (i = 0; i < chunks.parts; i++) {
        s.k = ldm_cut_part(&chunks, i);
        s.out.first = i == 0;
        s.out.last = i + 1 == chunks.parts;
        s.following = s.out.last ? rows : s.a + s.k;
        s.next = s.b + s.k * nr;
        k->strip_bf16(&s);
        s.a = s.following;
        s.b = s.next;
    }
}

static void gated_product(const ldm_bf16_job *j, size_t panel, size_t pixel, const uint16_t *a,
                          size_t count, float *partial)
{
    const ldm_kernels *k = j->kernels;
    const size_t nr = (size_t)k->nr;
    const ldm_tile_out out = ldm_conv_outputs(k, &j->plan->desc, j->args, panel, pixel, partial);
    ldm_tile_out value = out, gate = ldm_conv_outputs(k, &j->plan->desc, j->args, panel + j->tasks,
                                                      pixel, partial);
    float *pair = partial + j->g.rows * nr;

    value.y = pair;
    gate.y = pair + nr;
    value.y_pitch = gate.y_pitch = 2 * nr;
    product(j, panel, a, count, &value);
    product(j, panel + j->tasks, a, count, &gate);
    ldm_conv_gate(k, pair, &out, count);
}

static void multiply(const ldm_bf16_job *j, size_t from, size_t to, size_t block, uint16_t *a,
                     int worker)
{
    const ldm_conv_desc *d = &j->plan->desc;
    const size_t plane = (size_t)d->out_h * (size_t)d->out_w;
    const size_t begin = block * j->g.rows, end = begin + ldm_bf16_block_pixels(j, block);
    const bool bias_of_sample = j->args->bias && j->args->bias_stride;
    float *partial = j->workers + (size_t)worker * j->worker_floats;
    size_t panel, pixel, next;

    for (panel = from; panel < to; panel++) {
        for (pixel = begin; pixel < end; pixel = next) { /* which share a bias */
            const uint16_t *rows = a + (pixel - begin) * j->g.k;
            ldm_tile_out out;

            next = bias_of_sample ? (pixel / plane + 1) * plane : end;
            next = next < end ? next : end;
            if (j->gated) {
                gated_product(j, panel, pixel, rows, next - pixel, partial);
                continue;
            }
            out = ldm_conv_outputs(j->kernels, d, j->args, panel, pixel, partial);
            product(j, panel, rows, next - pixel, &out);
            ldm_conv_activate(j->kernels, j->args->activation, &out, next - pixel);
        }
    }
}

const ldm_bf16_engine ldm_bf16_own = {
    .k_step = 32, .activates = true, .gates = true, .prepare = prepare, .multiply = multiply};
