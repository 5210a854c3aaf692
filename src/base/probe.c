/* SPDX-License-Identifier: MIT */
/* Measuring the machine; see probe.h. */
#include "base/probe.h"

#include <stdint.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/probe_impl.h"

enum { TRIES = 8, LINE = 64 };

static const double TRY_SECONDS = 0.02;
static const size_t LEAST_BYTES = (size_t)256 << 20, MOST_BYTES = (size_t)1 << 30;

/* ---- arithmetic ------------------------------------------------------------------------------ */

/* Each multiply-add counts as two operations; without FMA it is a product and a sum. */
double ldm_probe_fma_c(size_t rounds, float start)
{
    float a[LDM_PROBE_LANES_C];
    double sum = 0;
    size_t r;
    int i;

    for (i = 0; i < LDM_PROBE_LANES_C; i++)
        a[i] = start + (float)i;
    for (r = 0; r < rounds; r++) {
        for (i = 0; i < LDM_PROBE_LANES_C; i++)
            a[i] = a[i] * 0.999f + 0.001f;
    }
    for (i = 0; i < LDM_PROBE_LANES_C; i++)
        sum += a[i];
    return sum;
}

typedef struct fma_job {
    ldm_probe_fma_fn *fn;
    size_t rounds;
    double *results; /* one a task, so that the work is not left out */
} fma_job;

static void run_fma(void *arg, size_t task, int worker)
{
    const fma_job *j = arg;

    (void)worker;
    j->results[task] = j->fn(j->rounds, (float)task);
}

static double time_fma(const fma_job *j, ldm_pool *pool)
{
    double begin = ldm_seconds();

    ldm_pool_run(pool, (size_t)ldm_pool_threads(pool), run_fma, (void *)(uintptr_t)j);
    return ldm_seconds() - begin;
}

double ldm_probe_flops(ldm_isa isa, ldm_pool *pool)
{
    const int threads = ldm_pool_threads(pool);
    double results[4096], per_round = 2.0 * LDM_PROBE_LANES_C, best = 0; /* the pool's limit */
    fma_job j = {.fn = ldm_probe_fma_c, .rounds = 1000, .results = results};
    int i;

#if defined(__x86_64__)
    if (isa == LDM_ISA_AVX2) {
        j.fn = ldm_probe_fma_avx2;
        per_round = 2.0 * LDM_PROBE_LANES_AVX2;
    } else if (isa == LDM_ISA_AVX512) {
        j.fn = ldm_probe_fma_avx512;
        per_round = 2.0 * LDM_PROBE_LANES_AVX512;
    }
#else
    (void)isa;
#endif
    while (time_fma(&j, pool) < TRY_SECONDS && j.rounds < SIZE_MAX / 4)
        j.rounds *= 2;
    for (i = 0; i < TRIES; i++) {
        double rate = per_round * (double)j.rounds * threads / time_fma(&j, pool);

        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- memory ---------------------------------------------------------------------------------- */

typedef struct read_job {
    const uint64_t *data;
    size_t words, tasks; /* words: of the whole block */
    uint64_t *results;
} read_job;

static void run_read(void *arg, size_t task, int worker)
{
    const read_job *j = arg;
    size_t share = j->words / j->tasks / 8 * 8, i, k;
    const uint64_t *from = j->data + task * share;
    uint64_t sums[8] = {0};

    (void)worker;
    for (i = 0; i < share; i += 8) {
        for (k = 0; k < 8; k++)
            sums[k] += from[i + k];
    }
    for (k = 1; k < 8; k++)
        sums[0] += sums[k];
    j->results[task] = sums[0];
}

static size_t block_bytes(void)
{
    size_t bytes = LEAST_BYTES;

#ifdef _SC_LEVEL3_CACHE_SIZE
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);

    if (cache > 0 && (size_t)cache > bytes / 4)
        bytes = (size_t)cache > MOST_BYTES / 4 ? MOST_BYTES : 4 * (size_t)cache;
#endif
    return bytes / LINE * LINE;
}

ldm_status ldm_probe_read(ldm_pool *pool, size_t bytes, double *bytes_per_s, ldm_error *err)
{
    const size_t tasks = (size_t)ldm_pool_threads(pool);
    uint64_t results[4096];
    uint64_t *block = ldm_pages_alloc(bytes);
    read_job j = {block, bytes / sizeof *block, tasks, results};
    double begin, rate;
    int i;

    *bytes_per_s = 0;
    if (!block)
        return ldm_error_nomem(err, bytes, "measuring the memory");
    ldm_pool_touch(pool, block, bytes);
    for (i = 0; i < TRIES; i++) {
        begin = ldm_seconds();
        ldm_pool_run(pool, tasks, run_read, &j);
        rate = (double)(bytes / tasks / LINE * LINE * tasks) / (ldm_seconds() - begin);
        *bytes_per_s = rate > *bytes_per_s ? rate : *bytes_per_s;
    }
    ldm_pages_free(block, bytes);
    return LDM_OK;
}

ldm_status ldm_probe_bandwidth(ldm_pool *pool, double *bytes_per_s, ldm_error *err)
{
    return ldm_probe_read(pool, block_bytes(), bytes_per_s, err);
}
