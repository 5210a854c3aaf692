/* SPDX-License-Identifier: MIT */
/* Convolution in bf16 with f32 sums: the only file that knows oneDNN. A convolution becomes a
 * matrix product. For a block of output pixels, the input pixels under all taps are rounded to bf16
 * and gathered: a row of A is an output pixel, its columns are the input channels tap by tap.
 * oneDNN multiplies that by a panel of 64 output channels. The result is f32, to which bias and
 * residual are added in f32.
 *
 * Why not oneDNN's convolution: the layout of a matrix product's weights depends on nothing but the
 * panel, so that weights packed once serve every size, batch and number of threads. Stride, padding
 * and upsampling are handled in the gathering. The same code serves AVX512_BF16 and AMX; oneDNN
 * chooses between these by itself and tests what the processor grants.
 *
 * Threads: the run's own threads compute. Each worker calls oneDNN for its own block, which then
 * runs single-threaded (omp_set_num_threads(1) during the call). A second team of threads under
 * OpenMP would spin for milliseconds after each product, on the processors that the first team
 * needs.
 *
 * Nothing is kept between calls: oneDNN has its own cache of what it generated, where a call finds
 * it within microseconds. */
#include "cpu/onednn.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

#include "base/error.h"

enum {
    PANEL = 64,    /* output channels of a panel; the last one is narrower, a multiple of 16 */
    K_STEP = 32,   /* what oneDNN's layout rounds the rows of a panel up to */
    MAX_ROWS = 256 /* pixels of a block */
};

#define BLOCK_BYTES ((size_t)512 << 10) /* of gathered input, to stay in the second-level cache */
#define CACHED_BYTES ((size_t)4 << 20)  /* weights that may be read again for each block */

typedef struct geometry {
    size_t k, rows, panels; /* rows of a panel, pixels of a block, panels */
    int last;               /* columns of the last panel */
} geometry;

static geometry geometry_of(const ldm_conv_desc *d)
{
    const size_t plane = (size_t)d->out_h * (size_t)d->out_w;
    geometry g = {.k = ldm_round_up((size_t)(ldm_conv_taps(d)) * (size_t)d->cin, K_STEP),
                  .panels = ldm_ceil_div((size_t)d->cout, PANEL)};
    size_t most = BLOCK_BYTES / (g.k * sizeof(uint16_t));

    most = most < PANEL ? PANEL : most > MAX_ROWS ? MAX_ROWS : most;
    g.rows = ldm_ceil_div(plane, ldm_ceil_div(plane, most));
    g.last = (int)ldm_round_up((size_t)d->cout - (g.panels - 1) * PANEL, 16);
    return g;
}

/* ---- oneDNN's objects ------------------------------------------------------------------------ */

/* Makes oneDNN compute in the calling thread alone until leave_onednn. Returns what leave_onednn
 * takes. */
static int enter_onednn(void)
{
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
    const int had = omp_get_max_threads();

    omp_set_num_threads(1);
    return had;
#else
    return 1;
#endif
}

static void leave_onednn(int had)
{
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
    omp_set_num_threads(had);
#else
    (void)had;
#endif
}

/* One matrix product: [rows][k] by [k][columns], bf16, to f32. */
typedef struct product {
    dnnl_memory_desc_t a, b, c;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    const_dnnl_memory_desc_t scratch; /* of desc */
} product;

static void product_free(product *p)
{
    dnnl_primitive_destroy(p->primitive);
    dnnl_primitive_desc_destroy(p->desc);
    dnnl_memory_desc_destroy(p->a);
    dnnl_memory_desc_destroy(p->b);
    dnnl_memory_desc_destroy(p->c);
    memset(p, 0, sizeof *p);
}

static dnnl_status_t product_create(dnnl_engine_t engine, const geometry *g, int columns,
                                    product *p)
{
    static const dnnl_format_tag_t tags[PANEL / 16] = {dnnl_BA16a16b2a, dnnl_BA16a32b2a,
                                                       dnnl_BA16a48b2a, dnnl_BA16a64b2a};
    const dnnl_dims_t a = {(dnnl_dim_t)g->rows, (dnnl_dim_t)g->k};
    const dnnl_dims_t b = {(dnnl_dim_t)g->k, columns};
    const dnnl_dims_t c = {(dnnl_dim_t)g->rows, columns};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;

    memset(p, 0, sizeof *p);
    st = dnnl_primitive_attr_create(&attr);
    if (!st)
        st = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!st)
        st = dnnl_memory_desc_create_with_tag(&p->a, 2, a, dnnl_bf16, dnnl_ab);
    if (!st)
        st = dnnl_memory_desc_create_with_tag(&p->b, 2, b, dnnl_bf16, tags[columns / 16 - 1]);
    if (!st)
        st = dnnl_memory_desc_create_with_tag(&p->c, 2, c, dnnl_f32, dnnl_ab);
    if (!st)
        st = dnnl_matmul_primitive_desc_create(&p->desc, engine, p->a, p->b, NULL, p->c, attr);
    if (!st)
        st = dnnl_primitive_create(&p->primitive, p->desc);
    if (!st)
        p->scratch = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
    dnnl_primitive_attr_destroy(attr);
    if (st)
        product_free(p);
    return st;
}

/* The products of one layer: for full panels and for the last one. */
typedef struct products {
    dnnl_engine_t engine;
    product wide, last;
} products;

static void products_free(products *p)
{
    product_free(&p->wide);
    product_free(&p->last);
    dnnl_engine_destroy(p->engine);
    p->engine = NULL;
}

static dnnl_status_t products_create(const geometry *g, products *p)
{
    dnnl_status_t st;

    memset(p, 0, sizeof *p);
    st = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (!st && g->panels > 1)
        st = product_create(p->engine, g, PANEL, &p->wide);
    if (!st)
        st = product_create(p->engine, g, g->last, &p->last);
    if (st)
        products_free(p);
    return st;
}

static size_t scratch_bytes(const products *p)
{
    const size_t wide = p->wide.scratch ? dnnl_memory_desc_get_size(p->wide.scratch) : 0;
    const size_t last = p->last.scratch ? dnnl_memory_desc_get_size(p->last.scratch) : 0;

    return ldm_round_up(wide > last ? wide : last, 64);
}

/* ---- planning and packing -------------------------------------------------------------------- */

/* Narrow layers (the network's two ends) and linear layers of one pixel are a thousandth of the
 * work and stay in f32. An odd number of channels would make pairs of values straddle two taps. */
static bool fits(const ldm_conv_desc *d)
{
    return d->cin >= 32 && d->cin % 2 == 0 && d->cout >= 16 &&
           !(ldm_conv_taps(d) == 1 && d->in_h == 1 && d->in_w == 1);
}

static size_t block_floats(const geometry *g)
{
    return ldm_round_up(g->rows * g->k * sizeof(uint16_t), 64) / sizeof(float);
}

static size_t worker_floats(const geometry *g, const products *p)
{
    return ldm_round_up(g->rows * PANEL, 16) + scratch_bytes(p) / sizeof(float);
}

static ldm_status plan_conv(ldm_conv_plan *plan, int threads, ldm_error *err)
{
    const ldm_conv_desc *d = &plan->desc;
    const geometry g = geometry_of(d);
    const int had = enter_onednn();
    products p;
    dnnl_status_t st = products_create(&g, &p);

    leave_onednn(had);
    if (st)
        return ldm_error_set(err, st == dnnl_out_of_memory ? LDM_ERR_NOMEM : LDM_ERR_UNSUPPORTED,
                             "oneDNN refuses a bf16 matrix product %zux%zux%d (status %d); use "
                             "precision f32",
                             g.rows, g.k, d->cout, (int)st);
    plan->packed_floats = g.k * ((g.panels - 1) * PANEL + (size_t)g.last) / 2;
    plan->pack_tasks = (int)g.panels;
    plan->scratch_floats = (size_t)threads * (2 * block_floats(&g) + worker_floats(&g, &p));
    products_free(&p);
    return LDM_OK;
}

/* oneDNN's BA16a64b2a (or 16b, 32b, 48b) with one block of columns: [k / 2][columns][2]. The
 * transposing is the backend's own, a few channels at a time. */
static void pack_panel(const ldm_kernels *k, const ldm_conv_plan *plan, const float *weights,
                       float *packed, int task)
{
    enum { CHANNELS = 16 };
    const ldm_conv_desc *d = &plan->desc;
    const geometry g = geometry_of(d);
    const size_t taps = (size_t)(ldm_conv_taps(d)), cin = (size_t)d->cin, row = taps * cin;
    const size_t first = (size_t)task * PANEL, nr = (size_t)k->nr;
    const size_t columns = (size_t)task + 1 < g.panels ? PANEL : (size_t)g.last;
    uint16_t *dst = (uint16_t *)(void *)packed + first * g.k;
    _Alignas(64) float part[9 * CHANNELS * LDM_CPU_MAX_NR];
    size_t ci, j, tap, c;

    memset(dst, 0, g.k * columns * sizeof *dst);
    for (j = 0; j < columns && first + j < (size_t)d->cout; j += nr) {
        const size_t left = (size_t)d->cout - first - j,
                     width = columns - j < nr ? columns - j : nr;

        for (ci = 0; ci < cin; ci += CHANNELS) {
            const size_t count = cin - ci < CHANNELS ? cin - ci : CHANNELS;
            const ldm_pack p = {.src = weights + (first + j) * row + ci * taps,
                                .src_stride = row,
                                .rows = (int)(left < width ? left : width),
                                .taps = (int)taps,
                                .cin = count,
                                .chunk_len = count,
                                .dst = part};

            k->pack(&p);
            for (tap = 0; tap < taps; tap++) {
                for (c = 0; c < count; c += 2) {
                    const float *even = part + (tap * count + c) * nr;

                    ldm_bf16_pairs_avx512(even, even + nr,
                                          dst + ((tap * cin + ci + c) * columns + 2 * j), width);
                }
            }
        }
    }
}

/* ---- computing ------------------------------------------------------------------------------- */

typedef struct conv_job {
    const ldm_conv_desc *desc;
    const ldm_conv_args *args;
    const products *products;
    geometry g;
    size_t pixels;      /* over all samples */
    size_t first;       /* block */
    size_t count;       /* blocks gathered by all, then multiplied by all */
    uint16_t *gathered; /* blocks, block_floats apart */
    float *workers;     /* worker_floats each: one product's result, oneDNN's scratch */
    size_t worker_floats;
} conv_job;

static size_t block_pixels(const conv_job *j, size_t block)
{
    const size_t left = j->pixels - block * j->g.rows;

    return left < j->g.rows ? left : j->g.rows;
}

static uint16_t *block_at(const conv_job *j, size_t slot)
{
    return j->gathered + slot * block_floats(&j->g) * 2;
}

/* One row of A: what lies under the taps of an output pixel. */
static void gather_pixel(const conv_job *j, size_t pixel, uint16_t *row)
{
    const ldm_conv_desc *d = j->desc;
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
                ldm_bf16_row_avx512(
                    sample + ((size_t)(iy >> up) * (size_t)x->w + (size_t)(ix >> up)) * x->pitch,
                    to, cin);
            else
                memset(to, 0, cin * sizeof *to);
        }
    }
    memset(to, 0, (size_t)(row + j->g.k - to) * sizeof *to);
}

static void gather(const conv_job *j, size_t block, size_t from, size_t to, uint16_t *a)
{
    size_t i;

    for (i = from; i < to; i++)
        gather_pixel(j, block * j->g.rows + i, a + i * j->g.k);
}

/* Bias and residual, in f32, for the pixels of a block and the channels of a panel. */
static void finish(const conv_job *j, size_t block, size_t panel, const float *c, int columns)
{
    const ldm_conv_args *a = j->args;
    const size_t plane = (size_t)j->desc->out_h * (size_t)j->desc->out_w, column = panel * PANEL;
    const size_t left = (size_t)j->desc->cout - column;
    const size_t n = left < (size_t)columns ? left : (size_t)columns;
    const size_t count = block_pixels(j, block);
    size_t i;

    for (i = 0; i < count; i++) {
        const size_t pixel = block * j->g.rows + i;
        const float *bias = a->bias ? a->bias + pixel / plane * a->bias_stride + column : NULL;
        const float *residual =
            a->residual.data ? a->residual.data + pixel * a->residual.pitch + column : NULL;

        ldm_bf16_finish_avx512(c + i * (size_t)columns, bias, residual,
                               a->y.data + pixel * a->y.pitch + column, n);
    }
}

/* The panels [from, to) of one block, which are all of the product's width. */
static void multiply(const conv_job *j, const product *p, size_t from, size_t to, size_t block,
                     uint16_t *a, int worker)
{
    uint16_t *b = (uint16_t *)(uintptr_t)j->args->packed; /* only read */
    const int columns = p == &j->products->wide ? PANEL : j->g.last;
    float *c = j->workers + (size_t)worker * j->worker_floats;
    float *scratch = c + ldm_round_up(j->g.rows * PANEL, 16);
    dnnl_engine_t engine = j->products->engine;
    dnnl_stream_t stream = NULL;
    dnnl_exec_arg_t args[4] = {{DNNL_ARG_SRC, NULL},
                               {DNNL_ARG_WEIGHTS, NULL},
                               {DNNL_ARG_DST, NULL},
                               {DNNL_ARG_SCRATCHPAD, NULL}};
    dnnl_status_t st;
    size_t panel, i;

    if (from >= to)
        return;
    st = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (!st)
        st = dnnl_memory_create(&args[0].memory, p->a, engine, a);
    if (!st)
        st = dnnl_memory_create(&args[1].memory, p->b, engine, b);
    if (!st)
        st = dnnl_memory_create(&args[2].memory, p->c, engine, c);
    if (!st)
        st = dnnl_memory_create(&args[3].memory, p->scratch, engine, scratch);
    for (panel = from; panel < to; panel++) {
        if (!st)
            st = dnnl_memory_set_data_handle(args[1].memory, b + panel * PANEL * j->g.k);
        if (!st)
            st = dnnl_primitive_execute(p->primitive, stream, 4, args);
        for (i = 0; st && i < j->g.rows * (size_t)columns; i++)
            c[i] = NAN;
        finish(j, block, panel, c, columns);
    }
    for (i = 0; i < 4; i++)
        dnnl_memory_destroy(args[i].memory);
    dnnl_stream_destroy(stream);
}

static void multiply_panels(const conv_job *j, size_t from, size_t to, size_t block, uint16_t *a,
                            int worker)
{
    const size_t wide = j->g.panels - 1;
    const int had = enter_onednn();

    multiply(j, &j->products->wide, from, to < wide ? to : wide, block, a, worker);
    multiply(j, &j->products->last, from > wide ? from : wide, to, block, a, worker);
    leave_onednn(had);
}

/* A block by all panels: each worker gathers its own. */
static void block_task(void *arg, size_t block, int worker)
{
    const conv_job *j = arg;
    uint16_t *a = block_at(j, (size_t)worker);

    gather(j, block, 0, block_pixels(j, block), a);
    multiply_panels(j, 0, j->g.panels, block, a, worker);
}

enum { GATHER_PARTS = 4 };

static void gather_task(void *arg, size_t index, int worker)
{
    const conv_job *j = arg;
    const size_t slot = index / GATHER_PARTS, part = index % GATHER_PARTS;
    const size_t pixels = block_pixels(j, j->first + slot);

    (void)worker;
    gather(j, j->first + slot, ldm_split(pixels, GATHER_PARTS, part),
           ldm_split(pixels, GATHER_PARTS, part + 1), block_at(j, slot));
}

/* A panel by one of the gathered blocks; the blocks of a panel follow each other. */
static void panel_task(void *arg, size_t index, int worker)
{
    const conv_job *j = arg;
    const size_t slot = index % j->count, panel = index / j->count;

    multiply_panels(j, panel, panel + 1, j->first + slot, block_at(j, slot), worker);
}

static void run_conv(const ldm_exec_ctx *ctx, const ldm_conv_plan *plan, const ldm_conv_args *a)
{
    const ldm_conv_desc *d = &plan->desc;
    const size_t group = 2 * (size_t)ctx->threads;
    conv_job j = {.desc = d,
                  .args = a,
                  .g = geometry_of(d),
                  .pixels = (size_t)a->x.n * (size_t)d->out_h * (size_t)d->out_w,
                  .gathered = (uint16_t *)(void *)ctx->scratch};
    const size_t blocks = ldm_ceil_div(j.pixels, j.g.rows);
    const int had = enter_onednn();
    products p;

    /* After a failure the products are NULL; multiply then writes NaN. */
    products_create(&j.g, &p);
    leave_onednn(had);
    j.products = &p;
    j.workers = ctx->scratch + group * block_floats(&j.g);
    j.worker_floats = worker_floats(&j.g, &p);
    if (blocks >= group && plan->packed_floats * sizeof(float) <= CACHED_BYTES) {
        ldm_pool_run(ctx->pool, blocks, block_task, &j);
    } else {
        for (; j.first < blocks; j.first += j.count) {
            j.count = blocks - j.first < group ? blocks - j.first : group;
            ldm_pool_run(ctx->pool, j.count * GATHER_PARTS, gather_task, &j);
            ldm_pool_run(ctx->pool, j.count * j.g.panels, panel_task, &j);
        }
    }
    products_free(&p);
}

const ldm_bf16_conv ldm_onednn_conv = {fits, plan_conv, pack_panel, run_conv};

ldm_status ldm_onednn_usable(ldm_error *err)
{
    const dnnl_version_t *v = dnnl_version();
    const int isa = (int)dnnl_get_effective_cpu_isa();

    if (v->major != DNNL_VERSION_MAJOR)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "precision bf16: the oneDNN found at run time is version %d, the "
                             "program was built with version %d; build it again",
                             v->major, DNNL_VERSION_MAJOR);
    if ((isa & dnnl_cpu_isa_avx512_core_bf16) != dnnl_cpu_isa_avx512_core_bf16)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "precision bf16: oneDNN makes no use of this processor's AVX512_BF16; "
                             "unset ONEDNN_MAX_CPU_ISA, or use precision f32");
    return LDM_OK;
}

const char *ldm_onednn_version(char buf[24])
{
    const dnnl_version_t *v = dnnl_version();

    snprintf(buf, 24, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return buf;
}
