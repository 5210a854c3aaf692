/* SPDX-License-Identifier: MIT */
/* kernelcheck: every backend that this processor has against the C backend, the C backend against
 * plain loops in double, on random shapes; with --bench, the time of each kernel on real shapes. */
#ifndef LDM_KERNELCHECK_H
#define LDM_KERNELCHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/backend.h"

/* Where the checks stand. A failure prints a line and is counted; the check goes on. */
typedef struct check {
    const ldm_backend *tested, *c; /* the same in the run that tests the C backend itself */
    uint64_t rng;
    int rounds;
    bool bf16; /* at precision bf16, within the rounding of its inputs */
    long done, failed;
    const char *what; /* the case being run, for messages */
} check;

/* Uniform integers in [lo, hi], floats in [-1, 1). The sequence depends on the seed alone. */
int check_int(check *k, int lo, int hi);
float check_float(check *k);

/* A view in memory of its own with random contents, at an odd alignment, its gaps and both ends
 * filled with a guard value. exits the program if there is no memory (it is a test). */
typedef struct guarded {
    ldm_view v;
    float *base;
    size_t floats;
} guarded;

guarded guarded_make(check *k, int n, int h, int w, int c, int extra_pitch);
/* The same sizes and contents. */
guarded guarded_copy(const guarded *g);
void guarded_free(guarded *g);
/* Fails the check if a guard was overwritten. */
void guarded_check(check *k, const guarded *g);

static inline float *view_pixel(const ldm_view *v, int i, int y, int x)
{
    return v->data + (((size_t)i * (size_t)v->h + (size_t)y) * (size_t)v->w + (size_t)x) * v->pitch;
}

/* All values to the nearest bf16, ties to even. */
void check_round_bf16(const ldm_view *v);

/* Random floats, 64-byte aligned; free with free(). */
float *check_array(check *k, size_t n);
/* Zeroed floats, 64-byte aligned. */
float *check_zeros(size_t n);

/* A pool and scratch. The scratch is filled with NaN: an operation must not rely on it. */
typedef struct context {
    ldm_exec_ctx ctx;
    size_t floats;
} context;

context context_make(int threads, size_t scratch_floats);
/* Also checks that nothing was written behind the scratch. */
void context_free(check *k, context *c);

/* got against want: |difference| <= tolerance for every value, no NaN. */
void check_views(check *k, const ldm_view *got, const ldm_view *want, double tolerance);
/* Bit for bit. */
void check_same(check *k, const ldm_view *got, const ldm_view *want, const char *why);
void check_fail(check *k, const char *fmt, ...) LDM_PRINTF(2, 3);

void check_conv(check *k);
void check_activated(check *k);
void check_in_place(check *k);
void check_norm(check *k);
void check_layer_norm(check *k);
void check_attention(check *k);
void check_elementwise(check *k);
void check_vq(check *k);

/* Times the kernels of one backend; shapes: a file as bench/shapes/ffhq.txt, NULL for the built-in
 * operations only; algorithm: for 3x3 with stride 1, or 3 for all layers that bf16 fits; -1 leaves
 * it to the backend. Returns the exit status. */
int bench_run(const ldm_backend *b, const char *shapes, int threads, double seconds,
              ldm_precision precision, int algorithm);

#endif
