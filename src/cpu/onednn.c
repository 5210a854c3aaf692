/* SPDX-License-Identifier: MIT */
/* The products of bf16.c by oneDNN's matrix product, for AMX: the only file that knows oneDNN.
 * [rows][k] pixels by [k][64] weights give f32, to which bias and residual are added. oneDNN
 * generates its code by itself and tests what the processor grants; where there is no AMX it uses
 * AVX512_BF16.
 *
 * Why not oneDNN's convolution: the layout of a matrix product's weights depends on nothing but the
 * panel, so that weights packed once serve every size, batch and number of threads.
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
#include <stdio.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

#include "base/error.h"

enum {
    PANEL = 64, /* output channels of a panel; the last one is narrower, a multiple of 16 */
    K_STEP = 32 /* what oneDNN's layout rounds the rows of a panel up to */
};

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

static dnnl_status_t product_create(dnnl_engine_t engine, const ldm_bf16_geometry *g, int columns,
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

static dnnl_status_t products_create(const ldm_bf16_geometry *g, products *p)
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

/* ---- what bf16.c calls ----------------------------------------------------------------------- */

/* A product's result, oneDNN's scratch. oneDNN makes its code for this size, so that an evaluation
 * only looks it up. */
static ldm_status prepare(const ldm_kernels *k, const ldm_bf16_geometry *g, size_t *worker_floats,
                          ldm_error *err)
{
    const int had = enter_onednn();
    products p;
    dnnl_status_t st = products_create(g, &p);

    (void)k;
    leave_onednn(had);
    if (st)
        return ldm_error_set(err, st == dnnl_out_of_memory ? LDM_ERR_NOMEM : LDM_ERR_UNSUPPORTED,
                             "oneDNN refuses a bf16 matrix product %zux%zux%d (status %d); use "
                             "precision f32",
                             g->rows, g->k, g->panel, (int)st);
    *worker_floats = ldm_round_up(g->rows * PANEL, 16) + scratch_bytes(&p) / sizeof(float);
    products_free(&p);
    return LDM_OK;
}

/* Bias and residual, in f32, for the pixels of a block and the channels of a panel. */
static void finish(const ldm_bf16_job *j, size_t block, size_t panel, const float *c, int columns)
{
    const ldm_conv_args *a = j->args;
    const size_t plane = (size_t)j->plan->desc.out_h * (size_t)j->plan->desc.out_w,
                 column = panel * PANEL;
    const size_t left = (size_t)j->plan->desc.cout - column;
    const size_t n = left < (size_t)columns ? left : (size_t)columns;
    const size_t count = ldm_bf16_block_pixels(j, block);
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
static void multiply_alike(const ldm_bf16_job *j, const product *p, size_t from, size_t to,
                           size_t block, uint16_t *a, int worker)
{
    uint16_t *b = (uint16_t *)(uintptr_t)j->args->packed; /* only read */
    const int columns = p == &((const products *)j->products)->wide ? PANEL : j->g.last;
    float *c = j->workers + (size_t)worker * j->worker_floats;
    float *scratch = c + ldm_round_up(j->g.rows * PANEL, 16);
    dnnl_engine_t engine = ((const products *)j->products)->engine;
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

/* A product that oneDNN refuses (it made the same one when it was planned) leaves NaN, which the
 * run finds and reports. */
static void multiply(const ldm_bf16_job *j, size_t from, size_t to, size_t block, uint16_t *a,
                     int worker)
{
    const size_t wide = j->g.panels - 1;
    const products *p = j->products;
    const int had = enter_onednn();

    multiply_alike(j, &p->wide, from, to < wide ? to : wide, block, a, worker);
    multiply_alike(j, &p->last, from > wide ? from : wide, to, block, a, worker);
    leave_onednn(had);
}

static void run(ldm_bf16_job *j, void (*work)(ldm_bf16_job *j))
{
    const int had = enter_onednn();
    products p;

    products_create(&j->g, &p); /* after a failure the products are NULL; multiply writes NaN */
    leave_onednn(had);
    j->products = &p;
    work(j);
    products_free(&p);
}

const ldm_bf16_engine ldm_onednn_products = {.panel = PANEL,
                                             .last_step = 16,
                                             .k_step = K_STEP,
                                             .run_cost = 15e-6, /* finding its code */
                                             .prepare = prepare,
                                             .run = run,
                                             .multiply = multiply};

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
