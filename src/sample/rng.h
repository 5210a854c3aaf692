/* SPDX-License-Identifier: MIT */
/* PyTorch's CPU random numbers (mt19937, at::normal_ and at::uniform_ for f32), so that seed 42
 * starts from the noise of torch.manual_seed(42); torch.randn(...). */
#ifndef LDM_SAMPLE_RNG_H
#define LDM_SAMPLE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct ldm_rng {
    uint32_t state[624];
    int next;             /* index of the next word, 624: refill */
    double cached_normal; /* the generator keeps the second value of a pair for small requests */
    int has_cached;
} ldm_rng;

void ldm_rng_seed(ldm_rng *r, uint64_t seed);
uint32_t ldm_rng_u32(ldm_rng *r);
uint64_t ldm_rng_u64(ldm_rng *r);
/* torch.randn(n) f32: for n >= 16 the vectorised Box-Muller order, below it the scalar one. */
void ldm_rng_randn(ldm_rng *r, float *out, size_t n);
/* torch.rand(n) f32. */
void ldm_rng_rand(ldm_rng *r, float *out, size_t n);
/* torch.randint(low, high, (n,)). */
void ldm_rng_randint(ldm_rng *r, int64_t low, int64_t high, int64_t *out, size_t n);

/* numpy.random.RandomState(seed): after ldm_rng_seed with a seed below 2^32 the same generator.
 * permutation(n) and choice(n, count, replace=False), which is its first `count` numbers. */
void ldm_rng_permutation(ldm_rng *r, uint32_t n, uint32_t *out);
/* A whole number from 0 to most, each equally likely: NumPy's random_interval. */
uint32_t ldm_rng_interval(ldm_rng *r, uint32_t most);

#endif
