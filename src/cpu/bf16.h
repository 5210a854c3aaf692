/* SPDX-License-Identifier: MIT */
/* Inside the room: convolution in bf16 with f32 sums. bf16.c gathers what is multiplied and shares
 * the work; the products are the kernels' own, or oneDNN's (onednn.c, in builds that found it). */
#ifndef LDM_CPU_BF16_H
#define LDM_CPU_BF16_H

#include "cpu/ops.h"

/* Sizes of one layer. */
typedef struct ldm_bf16_geometry {
    size_t k;      /* rows of a panel: taps * cin, rounded up; what is added is zero */
    size_t rows;   /* pixels of a block */
    size_t panels; /* of `panel` output channels, */
    int panel;
    int last; /* but this many the last */
} ldm_bf16_geometry;

typedef struct ldm_bf16_job {
    const ldm_kernels *kernels;
    const ldm_conv_plan *plan;
    const ldm_conv_args *args;
    ldm_bf16_geometry g;
    bool gated;         /* GEGLU: of panel p and its gate, panel p + tasks, one is made */
    size_t tasks;       /* panels that are made */
    size_t pixels;      /* over all samples */
    size_t first;       /* block */
    size_t count;       /* blocks gathered by all, then multiplied by all */
    uint16_t *gathered; /* blocks of [rows][k], 64-byte aligned */
    float *workers;     /* worker_floats each, 64-byte aligned */
    size_t worker_floats;
    const ldm_bf16_engine *engine;
    ldm_pool *pool;
    void *products; /* the engine's own */
} ldm_bf16_job;

/* What multiplies. */
struct ldm_bf16_engine {
    int panel;       /* output channels of a panel; 0: as many as the kernels' */
    int last_step;   /* those of the last panel are rounded up to a multiple of this; panel 0: to a
                        whole one */
    int k_step;      /* the rows of all panels are rounded up to a multiple of this */
    bool activates;  /* multiply applies any activation but GEGLU, */
    bool gates;      /* and GEGLU, if the panels of values and of gates are whole */
    double run_cost; /* seconds that each run takes besides its products */
    /* Sets *worker_floats, and prepares so that a run finds what it needs. */
    ldm_status (*prepare)(const ldm_kernels *k, const ldm_bf16_geometry *g, size_t *worker_floats,
                          ldm_error *err);
    /* Sets job.products, calls work(j), and releases them. NULL: there are none. */
    void (*run)(ldm_bf16_job *j, void (*work)(ldm_bf16_job *j));
    /* The panels [from, to) of a block, gathered in a, with bias, residual and activation. */
    void (*multiply)(const ldm_bf16_job *j, size_t from, size_t to, size_t block, uint16_t *a,
                     int worker);
};

extern const ldm_bf16_engine ldm_bf16_own; /* by ldm_kernels.strip_bf16 */

/* Whether a layer can be computed so at all: a property of its channels and kernel. */
bool ldm_bf16_fits(const ldm_conv_desc *d);
/* Sets what of a plan depends on the algorithm; its desc is set. */
ldm_status ldm_bf16_plan(const ldm_kernels *k, const ldm_bf16_engine *e, ldm_conv_plan *plan,
                         int threads, ldm_error *err);
/* Packs as ldm_kernels.pack does in one chunk, but two rows as pairs of bf16: [taps * cin / 2]
 * [columns][2], of which the first `width` columns are written, at most nr. p's dst and chunk_len
 * are not read. cin may be odd with one tap: the last partners are zeros. */
void ldm_bf16_pack_pairs(const ldm_kernels *k, const ldm_pack *p, size_t columns, size_t width,
                         uint16_t *dst);
void ldm_bf16_pack(const ldm_kernels *k, const ldm_bf16_engine *e, const ldm_conv_plan *plan,
                   const float *weights, float *packed, int task);
void ldm_bf16_conv(const ldm_kernels *k, const ldm_bf16_engine *e, const ldm_exec_ctx *ctx,
                   const ldm_conv_plan *plan, const ldm_conv_args *a);

/* Pixels of a block: g.rows, but for the last. */
size_t ldm_bf16_block_pixels(const ldm_bf16_job *j, size_t block);

#endif
