/* SPDX-License-Identifier: MIT */
/* Running a graph: fuse what is adjacent, lay the activations out in one arena, pack the weights
 * once, execute. Nothing is allocated while a step runs.
 *
 *   graph --(fuse)--> steps --(plan)--> program (for one size, batch and number of threads)
 *                       \--(pack)--> weights  (for one graph part; serve every size)
 *
 * Fused: GroupNorm + scale/shift + SiLU, with the statistics computed by the convolutions that
 * write the norm's input; convolution + bias + timestep vector + residual; nearest upsampling with
 * the convolution that follows; concat (its producers write in place). */
#ifndef LDM_EXEC_EXEC_H
#define LDM_EXEC_EXEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pool.h"
#include "exec/backend.h"
#include "network/network.h"

/* A tensor where it lies. */
typedef struct ldm_lent {
    const void *data; /* aligned to its elements */
    bool half;        /* IEEE 754 binary16; false: f32 */
} ldm_lent;

/* Where weights come from.
 * read: row-major f32 of the network's tensor `tensor`, either borrowed (*owned NULL) or in fresh
 * memory (*owned, which is handed back to done). It is called from several threads at once.
 * lend: the same tensor where it lies, as f32 or in half precision, if it stays there as long as
 * the weights made of it; else .data is NULL. lend itself may be NULL. */
typedef struct ldm_weight_source {
    void *ctx;
    ldm_status (*read)(void *ctx, int tensor, const float **data, float **owned, ldm_error *err);
    void (*done)(void *ctx, int tensor, float *owned);
    ldm_lent (*lend)(void *ctx, int tensor);
} ldm_weight_source;

typedef struct ldm_weights ldm_weights;

/* Plans and packs all weights of one part, in parallel. What the source lends and the backend uses
 * unchanged is not copied. g: the part's graph at the size that algorithms are chosen for; it may
 * be freed afterwards. */
ldm_status ldm_weights_create(const ldm_network *network, const ldm_graph *g,
                              const ldm_backend *backend, ldm_precision precision,
                              const ldm_weight_source *src, ldm_pool *pool, ldm_weights **out,
                              ldm_error *err);
void ldm_weights_free(ldm_weights *w);            /* NULL is fine */
uint64_t ldm_weights_bytes(const ldm_weights *w); /* with those that are lent */
/* The same without values; of src only lend is called, and src may be NULL (nothing is lent). The
 * number of bytes is right, and programs over these weights can be measured, but not run. */
ldm_status ldm_weights_plan(const ldm_network *network, const ldm_graph *g,
                            const ldm_backend *backend, ldm_precision precision,
                            const ldm_weight_source *src, ldm_weights **out, ldm_error *err);

typedef struct ldm_program ldm_program;

/* A graph of the same part as w's, or one whose tensors are among w's (UNET_SHALLOW over UNET's),
 * for batches of n on `threads` threads. g is taken over on success (freed with the program). w
 * must outlive the program; with one that has no values the program can be measured (arena bytes)
 * but not run. */
ldm_status ldm_program_create(ldm_graph *g, const ldm_weights *w, const ldm_backend *backend,
                              ldm_precision precision, int n, int threads, ldm_program **out,
                              ldm_error *err);
void ldm_program_free(ldm_program *p);                 /* NULL is fine */
size_t ldm_program_arena_floats(const ldm_program *p); /* activations and scratch */

/* What an observer learns after each step. */
typedef struct ldm_step_info {
    int index, count;
    const char *name;      /* module path */
    const char *op;        /* "conv", "norm", ... */
    const char *algorithm; /* of a convolution; else "" */
    const char *dump;      /* name of the value for dumps; NULL: none */
    const char *dump_also; /* its second name; NULL: none */
    ldm_view y;
    double flop;  /* of this step, for the whole batch; besides convolutions and attentions per
                     value 7 for a norm, 4 for a SiLU, 1 for a sum; 0 for what only moves values */
    double bytes; /* that it must read and write: inputs, output, weights as they are packed */
    int kernel_h, kernel_w, cin; /* of a convolution; else 0 */
} ldm_step_info;

typedef struct ldm_observer {
    void *ctx;
    ldm_status (*after)(void *ctx, const ldm_step_info *info, ldm_error *err); /* failure stops */
    /* Asked within a step, at most 50 times a second: true ends the execution with
     * LDM_ERR_CANCELLED. One step of many pixels can take minutes. NULL: nothing is asked. */
    bool (*stop)(void *ctx);
} ldm_observer;

/* The array of one input, which the graph names. */
typedef struct ldm_named_array {
    const char *name;
    const float *data; /* [n][c][h][w], or [n][h][w][c] for an input with channels_last */
} ldm_named_array;

/* Values that an execution takes from elsewhere instead of computing them again. */
typedef struct ldm_kept ldm_kept;

/* Of timesteps: row `row` serves all samples. Of the conditioning: sample i takes row `row` + i. */
typedef struct ldm_kept_rows {
    const ldm_kept *kept; /* NULL: none */
    int row;
} ldm_kept_rows;

/* One execution of a program. All arrays are the caller's. */
typedef struct ldm_execution {
    /* In any order, up to the first name that is NULL. The graph's inputs must be among them; an
     * array whose name the graph does not take is not read. */
    ldm_named_array inputs[LDM_MAX_INPUTS];
    float *out; /* [n][C'][H'][W'], or [n][H'][W'][C'] where the graph says so; may be an input's
                   array */
    float *feature; /* UNET: takes what UNET_SHALLOW of the same size and n is given as "feature",
                       [ldm_program_feature_floats]; NULL: not wanted */
    ldm_kept_rows time; /* .kept NULL: nothing of the timestep is kept, "t" is among the inputs */
    ldm_kept_rows cond; /* likewise for the conditioning and its inputs */
    const ldm_observer *observer; /* NULL: none */
} ldm_execution;

/* arena: 64-byte aligned, ldm_program_arena_floats floats, the caller's, reusable by any program.
 * LDM_ERR_USAGE if an input is missing or kept rows are another part's; LDM_ERR_CANCELLED if the
 * observer stops it; else only the observer's errors. What is kept is not shown to the observer. */
ldm_status ldm_program_run(const ldm_program *p, ldm_pool *pool, float *arena,
                           const ldm_execution *e, ldm_error *err);
size_t ldm_program_feature_floats(const ldm_program *p); /* 0: there is none */

/* What follows from the timestep alone (the MLPs of its embedding), or from the conditioning alone
 * (cross-attention's K and V), in rows. Results are the same with and without them, to the last
 * bit.
 *
 *   depends LDM_DEPENDS_TIME: a row is what one timestep leads to. Many are computed at once, so
 *     that the weights are read once for all. They serve all programs of the same graph part, of
 *     any n and size.
 *   depends LDM_DEPENDS_COND: a row is what the conditioning of one sample leads to. They serve all
 *     programs of the same graph part and size, of any n up to the number of rows.
 *
 * The caller owns them, and they hold no reference to the program. Executions only read them. */
ldm_status ldm_kept_create(const ldm_program *p, unsigned depends, int rows, ldm_kept **out,
                           ldm_error *err);
void ldm_kept_free(ldm_kept *k); /* NULL is fine */
/* Computes rows 0 to count - 1. inputs: as for an execution, those of this kind, with `count`
 * samples; count: up to the number of rows for timesteps, the program's n for the conditioning.
 * arena: as for a run. On failure no row is filled. */
ldm_status ldm_kept_fill(ldm_kept *k, const ldm_program *p, ldm_pool *pool, float *arena,
                         const ldm_named_array *inputs, int count, ldm_error *err);
/* The row of timestep t, as a float; -1: there is none. */
int ldm_kept_row(const ldm_kept *k, double t);
/* Floats of a row. */
size_t ldm_program_kept_floats(const ldm_program *p, unsigned depends);

/* NHWC view <-> NCHW array. */
void ldm_view_from_nchw(const float *src, const ldm_view *dst);
void ldm_view_to_nchw(const ldm_view *src, float *dst);

#endif
