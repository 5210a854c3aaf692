/* Inside probe.c: one loop of multiply-adds for each instruction set, each built with its flags. */
#ifndef LDM_BASE_PROBE_IMPL_H
#define LDM_BASE_PROBE_IMPL_H

#include <stddef.h>

/* Numbers that go through one multiply-add each a round: enough to hide its latency. */
enum { LDM_PROBE_LANES_C = 32, LDM_PROBE_LANES_AVX2 = 12 * 8, LDM_PROBE_LANES_AVX512 = 16 * 16 };

/* `rounds` rounds from `start`; the sum of the results, which is of no use to anybody. */
typedef double ldm_probe_fma_fn(size_t rounds, float start);

ldm_probe_fma_fn ldm_probe_fma_c, ldm_probe_fma_avx2, ldm_probe_fma_avx512;

#endif
