/* SPDX-License-Identifier: MIT */
/* The peak speed of this machine, measured in a fraction of a second: the two lines of a roofline
 * diagram. The threads are the pool's; each probe reports the best of several short tries. */
#ifndef LDM_BASE_PROBE_H
#define LDM_BASE_PROBE_H

#include "base/cpuid.h"
#include "base/error.h"
#include "base/pool.h"

/* Floating point operations a second: independent multiply-adds of f32 in registers, with the
 * instructions of `isa` (which the processor must have); a multiply-add counts as two. */
double ldm_probe_flops(ldm_isa isa, ldm_pool *pool);

/* Bytes a second that are read from memory, from a block far larger than the caches. LDM_ERR_NOMEM
 * where there is no room for it (four times the last cache, 256 MB to 1 GB). */
ldm_status ldm_probe_bandwidth(ldm_pool *pool, double *bytes_per_s, ldm_error *err);

#endif
