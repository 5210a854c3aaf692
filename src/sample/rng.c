/* SPDX-License-Identifier: MIT */
/* PyTorch's CPU generator. Seed 42 must give the same picture as in PyTorch, so each function draws
 * in the order of ATen's CPU kernels: a uniform takes one 32-bit word; a request for 16 normals or
 * more fills its whole output with uniforms first; a shorter one uses the scalar path in double.
 * Generator: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998. */
#include "sample/rng.h"

#include <math.h>
#include <string.h>

enum { N = 624, M = 397, BLOCK = 16, HALF = BLOCK / 2 };

static const double pi = 3.14159265358979323846;

void ldm_rng_seed(ldm_rng *r, uint64_t seed)
{
    uint32_t s = (uint32_t)seed; /* torch.manual_seed keeps 64 bits, its mt19937 the low 32 */
    int i;

    memset(r, 0, sizeof *r);
    r->state[0] = s;
    for (i = 1; i < N; i++) {
        s = 1812433253u * (s ^ (s >> 30)) + (uint32_t)i;
        r->state[i] = s;
    }
    r->next = N;
}

static uint32_t twist(uint32_t high, uint32_t low)
{
    uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);

    return (y >> 1) ^ (low & 1u ? 0x9908b0dfu : 0u);
}

static void refill(ldm_rng *r)
{
    uint32_t *s = r->state;
    int i;

    for (i = 0; i < N - M; i++)
        s[i] = s[i + M] ^ twist(s[i], s[i + 1]);
    for (; i < N - 1; i++)
        s[i] = s[i + M - N] ^ twist(s[i], s[i + 1]);
    s[N - 1] = s[M - 1] ^ twist(s[N - 1], s[0]);
    r->next = 0;
}

uint32_t ldm_rng_u32(ldm_rng *r)
{
    uint32_t y;

    if (r->next >= N)
        refill(r);
    y = r->state[r->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint64_t ldm_rng_u64(ldm_rng *r)
{
    uint64_t high = ldm_rng_u32(r);

    return high << 32 | ldm_rng_u32(r);
}

/* 24 bits: every value a float holds exactly in [0, 1). */
static float uniform_f32(ldm_rng *r)
{
    return (float)(ldm_rng_u32(r) & 0xffffffu) * (1.0f / 16777216.0f);
}

static double uniform_f64(ldm_rng *r)
{
    return (double)(ldm_rng_u64(r) & 0x1fffffffffffffu) * (1.0 / 9007199254740992.0);
}

void ldm_rng_rand(ldm_rng *r, float *out, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        out[i] = uniform_f32(r);
}

/* Box-Muller on 16 uniforms in place: the first eight give the radii, the last eight the angles.
 * 1 - u is in (0, 1], so that the logarithm stays finite. */
static void box_muller_block(float *x)
{
    const float two_pi = (float)(2.0 * pi);
    int i;

    for (i = 0; i < HALF; i++) {
        float radius = sqrtf(-2.0f * logf(1.0f - x[i]));
        float theta = two_pi * x[i + HALF];

        x[i] = radius * cosf(theta);
        x[i + HALF] = radius * sinf(theta);
    }
}

/* One normal in double. Two uniforms give a pair of normals; the generator keeps the second one for
 * the next call, also across longer requests and uniform draws. */
static double normal_f64(ldm_rng *r)
{
    double u1, u2, radius, theta;

    if (r->has_cached) {
        r->has_cached = 0;
        return r->cached_normal;
    }
    u1 = uniform_f64(r);
    u2 = uniform_f64(r);
    radius = sqrt(-2.0 * log1p(-u2));
    theta = 2.0 * pi * u1;
    r->cached_normal = radius * sin(theta);
    r->has_cached = 1;
    return radius * cos(theta);
}

void ldm_rng_randn(ldm_rng *r, float *out, size_t n)
{
    size_t i;

    if (n < BLOCK) {
        for (i = 0; i < n; i++)
            out[i] = (float)normal_f64(r);
        return;
    }
    ldm_rng_rand(r, out, n);
    for (i = 0; i + BLOCK <= n; i += BLOCK)
        box_muller_block(out + i);
    if (n % BLOCK) {
        /* The last 16 values are drawn again, although some of them are complete, as in ATen. */
        ldm_rng_rand(r, out + n - BLOCK, BLOCK);
        box_muller_block(out + n - BLOCK);
    }
}

void ldm_rng_randint(ldm_rng *r, int64_t low, int64_t high, int64_t *out, size_t n)
{
    const uint64_t range = (uint64_t)high - (uint64_t)low;
    size_t i;

    for (i = 0; i < n; i++) {
        /* From 2^28 on PyTorch takes 64 bits, so that the modulo's skew stays small. */
        uint64_t v = range >= (uint64_t)1 << 28 ? ldm_rng_u64(r) : ldm_rng_u32(r);

        out[i] = (int64_t)((uint64_t)low + (range ? v % range : v));
    }
}

/* Bits that suffice for `most`, drawn until they give no more than that. */
uint32_t ldm_rng_interval(ldm_rng *r, uint32_t most)
{
    uint32_t mask = most, value;
    int shift;

    if (!most)
        return 0; /* draws nothing, as NumPy */
    for (shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        value = ldm_rng_u32(r) & mask;
    while (value > most);
    return value;
}

/* Fisher and Yates' shuffle from the end. */
void ldm_rng_permutation(ldm_rng *r, uint32_t n, uint32_t *out)
{
    uint32_t i, k, kept;

    for (i = 0; i < n; i++)
        out[i] = i;
    for (i = n; i-- > 1;) {
        k = ldm_rng_interval(r, i);
        kept = out[k];
        out[k] = out[i];
        out[i] = kept;
    }
}
