/* SPDX-License-Identifier: MIT */
/* Winograd transforms in portable C, one channel at a time. */
#include "cpu/kernels.h"

typedef float vec;

#define WIDTH 1
#define SET1(s) (s)
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define RELU(v) ((v) < 0.0f ? 0.0f : (v))
#define FMA(a, b, c) ((a) * (b) + (c))
#define LOAD(p) (*(p))
#define LOAD_TAIL(p, n) (*(p))
#define STORE(p, v) (*(p) = (v))
#define STORE_TAIL(p, v, n) (*(p) = (v))
#define FETCH(p) ((void)(p))
#define FETCH_TO_WRITE(p) ((void)(p))
#define NAME(x) x##_ref
#include "cpu/winograd_tile.inc"
