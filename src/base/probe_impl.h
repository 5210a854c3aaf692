/* SPDX-License-Identifier: MIT */
/* Inside probe.c: one loop of multiply-adds for each instruction set, each built with its flags,
 * and the reading of a block of any size. */
#ifndef LDM_BASE_PROBE_IMPL_H
#define LDM_BASE_PROBE_IMPL_H

#include <stddef.h>

#include "base/error.h"
#include "base/pool.h"

/* How many independent numbers go through one multiply-add in each round: enough to hide its
 * latency. */
enum { LDM_PROBE_LANES_C = 32, LDM_PROBE_LANES_AVX2 = 12 * 8, LDM_PROBE_LANES_AVX512 = 16 * 16 };

/* Runs `rounds` rounds from `start`. Returns the sum of the results, only so that the compiler
 * cannot leave the work out. */
typedef double ldm_probe_fma_fn(size_t rounds, float start);

ldm_probe_fma_fn ldm_probe_fma_c, ldm_probe_fma_avx2, ldm_probe_fma_avx512;

/* ldm_probe_bandwidth with a block of this size, a multiple of 64 bytes. */
ldm_status ldm_probe_read(ldm_pool *pool, size_t bytes, double *bytes_per_s, ldm_error *err);

#endif
