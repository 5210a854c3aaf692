/* SPDX-License-Identifier: MIT */
/* Persistent thread team; see pool.h.
 *
 * Each worker has a share of the indices. When its own share is finished, it takes indices from the
 * others'. Jobs of the same count have the same shares, so a worker mostly reads what it wrote
 * itself in the operation before; that matters where processors do not share a cache.
 *
 * A job is over when all of its indices are done, not when all workers have seen it. On a busy
 * machine a worker may be suspended for milliseconds and find nothing left to do. Therefore the
 * tickets that hand out indices also carry the job's number: a late worker cannot claim an index of
 * the next job, whose function it has not read. Workers spin for a few microseconds before they
 * sleep, because within a step the next operation follows at once, and waking a sleeping thread
 * takes longer than many a small layer. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#define SPIN_ROUNDS 4000
#define MAX_THREADS 4096
static const double ask_seconds = 0.02; /* between two questions whether to go on */

typedef struct worker {
    ldm_pool *pool;
    pthread_t thread;
    int index;
    _Atomic uint64_t ticket; /* of its share; job << 32 | next index; odd jobs are closed */
    char rest_of_lines[128]; /* no two tickets on one */
} worker;

struct ldm_pool {
    int threads, started;
    worker *workers; /* [threads]; 0 is the caller */

    /* The job. Its fields are atomic because a late worker may read them while they are replaced.
     * What it has read is used only if its claim on a ticket succeeds afterwards, and all tickets
     * are closed before anything is replaced. */
    _Atomic(ldm_task_fn *) fn;
    _Atomic(void *) arg;
    atomic_uint count;
    atomic_uint job;      /* its number, odd while it is replaced */
    atomic_uint finished; /* indices done */
    atomic_bool stop;

    bool (*ask)(void *ctx); /* whether to give up; the caller's alone, NULL: nobody */
    void *ask_ctx;
    double asked;
    atomic_bool given_up;

    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    int sleeping; /* under lock */
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static unsigned job_of(uint64_t ticket)
{
    return (unsigned)(ticket >> 32);
}

static bool gives_up(ldm_pool *p, int index)
{
    if (index == 0 && p->ask && !atomic_load_explicit(&p->given_up, memory_order_relaxed)) {
        const double now = ldm_seconds();

        if (now - p->asked >= ask_seconds) {
            p->asked = now;
            atomic_store_explicit(&p->given_up, p->ask(p->ask_ctx), memory_order_relaxed);
        }
    }
    return atomic_load_explicit(&p->given_up, memory_order_relaxed);
}

static bool is_open(unsigned job)
{
    return job % 2 == 0;
}

/* The first index of worker w's share; of w = threads: count. */
static unsigned share_begin(const ldm_pool *p, unsigned count, int w)
{
    return (unsigned)((uint64_t)count * (unsigned)w / (unsigned)p->threads);
}

/* Takes indices of job number `job` from one share until none is left, or until it is over. */
static void work_share(ldm_pool *p, unsigned job, int index, int share, ldm_task_fn *fn, void *arg,
                       unsigned count)
{
    _Atomic uint64_t *at = &p->workers[share].ticket;
    const unsigned end = share_begin(p, count, share + 1);
    uint64_t ticket = atomic_load_explicit(at, memory_order_acquire);

    while (job_of(ticket) == job && (unsigned)ticket < end) {
        if (!atomic_compare_exchange_weak_explicit(at, &ticket, ticket + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        if (!gives_up(p, index))
            fn(arg, (unsigned)ticket, index);
        if (atomic_fetch_add_explicit(&p->finished, 1, memory_order_acq_rel) + 1 == count) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
        ticket = atomic_load_explicit(at, memory_order_acquire);
    }
}

static void work(ldm_pool *p, unsigned job, int index)
{
    ldm_task_fn *fn = atomic_load_explicit(&p->fn, memory_order_acquire);
    void *arg = atomic_load_explicit(&p->arg, memory_order_acquire);
    unsigned count = atomic_load_explicit(&p->count, memory_order_acquire);
    int i;

    for (i = 0; i < p->threads; i++)
        work_share(p, job, index, (index + i) % p->threads, fn, arg, count);
}

static unsigned wait_for_job(ldm_pool *p, unsigned seen)
{
    unsigned job;
    int i;

    for (i = 0; i < SPIN_ROUNDS; i++) {
        job = atomic_load_explicit(&p->job, memory_order_acquire);
        if (job != seen && is_open(job))
            return job;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    p->sleeping++;
    for (;;) {
        job = atomic_load_explicit(&p->job, memory_order_acquire);
        if (job != seen && is_open(job))
            break;
        pthread_cond_wait(&p->wake, &p->lock);
    }
    p->sleeping--;
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    ldm_pool *p = w->pool;
    unsigned seen = 0;

    for (;;) {
        seen = wait_for_job(p, seen);
        if (atomic_load_explicit(&p->stop, memory_order_acquire))
            return NULL;
        work(p, seen, w->index);
    }
}

static void close_tickets(ldm_pool *p)
{
    const unsigned job = atomic_load_explicit(&p->job, memory_order_relaxed) + 1;
    int i;

    for (i = 0; i < p->threads; i++)
        atomic_store_explicit(&p->workers[i].ticket, (uint64_t)job << 32, memory_order_relaxed);
    atomic_store_explicit(&p->job, job, memory_order_relaxed);
}

/* Opens the tickets for the job that was written while they were closed. Returns its number. */
static unsigned open_tickets(ldm_pool *p, unsigned count)
{
    const unsigned job = atomic_load_explicit(&p->job, memory_order_relaxed) + 1;
    int i;

    for (i = 0; i < p->threads; i++)
        atomic_store_explicit(&p->workers[i].ticket, (uint64_t)job << 32 | share_begin(p, count, i),
                              memory_order_release);
    /* Under the lock: a worker on its way to sleep either sees the new job or gets the signal. */
    pthread_mutex_lock(&p->lock);
    atomic_store_explicit(&p->job, job, memory_order_release);
    if (p->sleeping)
        pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    return job;
}

ldm_status ldm_pool_create(int threads, ldm_pool **out, ldm_error *err)
{
    ldm_pool *p;
    int i;

    *out = NULL;
    if (threads < 0 || threads > MAX_THREADS)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "threads is %d, expected 1 to %d (0: as many as processors)", threads,
                             MAX_THREADS);
    if (!threads)
        threads = ldm_cpu_count();
    p = ldm_calloc(1, sizeof *p);
    if (!p)
        return ldm_error_nomem(err, sizeof *p, "the thread pool");
    p->workers = ldm_calloc((size_t)threads, sizeof *p->workers);
    if (!p->workers) {
        ldm_free(p);
        return ldm_error_nomem(err, (size_t)threads * sizeof *p->workers, "the thread pool");
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = threads;
    p->started = 1;
    for (i = 1; i < threads; i++) {
        worker *w = &p->workers[i];
        int rc;

        w->pool = p;
        w->index = i;
        rc = pthread_create(&w->thread, NULL, worker_main, w);
        if (rc) {
            ldm_pool_free(p);
            return ldm_error_set(err, LDM_ERR_NOMEM, "cannot start thread %d of %d: %s", i + 1,
                                 threads, strerror(rc));
        }
        p->started++;
    }
    *out = p;
    return LDM_OK;
}

void ldm_pool_free(ldm_pool *p)
{
    int i;

    if (!p)
        return;
    atomic_store_explicit(&p->stop, true, memory_order_release);
    close_tickets(p);
    open_tickets(p, 0);
    for (i = 1; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    ldm_free(p->workers);
    ldm_free(p);
}

int ldm_pool_threads(const ldm_pool *p)
{
    return p->threads;
}

void ldm_pool_watch(ldm_pool *p, bool (*stop)(void *ctx), void *ctx)
{
    p->ask = stop;
    p->ask_ctx = ctx;
    p->asked = ldm_seconds();
    atomic_store_explicit(&p->given_up, false, memory_order_relaxed);
}

bool ldm_pool_given_up(const ldm_pool *p)
{
    return atomic_load_explicit(&p->given_up, memory_order_relaxed);
}

void ldm_pool_run(ldm_pool *p, size_t count, ldm_task_fn *fn, void *arg)
{
    size_t i;
    int spins;

    if (p->threads == 1 || count <= 1 || count > UINT32_MAX) {
        for (i = 0; i < count && !gives_up(p, 0); i++)
            fn(arg, i, 0);
        return;
    }
    close_tickets(p);
    atomic_store_explicit(&p->finished, 0, memory_order_relaxed);
    atomic_store_explicit(&p->fn, fn, memory_order_release);
    atomic_store_explicit(&p->arg, arg, memory_order_release);
    atomic_store_explicit(&p->count, (unsigned)count, memory_order_release);
    work(p, open_tickets(p, (unsigned)count), 0);
    for (spins = 0; spins < SPIN_ROUNDS; spins++) {
        if (atomic_load_explicit(&p->finished, memory_order_acquire) == count)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->finished, memory_order_acquire) != count)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

typedef struct touch_job {
    volatile unsigned char *pages;
    size_t bytes;
} touch_job;

static void touch(void *arg, size_t index, int thread)
{
    const touch_job *j = arg;
    const size_t end =
        (index + 1) * LDM_HUGE_PAGE < j->bytes ? (index + 1) * LDM_HUGE_PAGE : j->bytes;
    size_t i;

    (void)thread;
    for (i = index * LDM_HUGE_PAGE; i < end; i += LDM_SMALL_PAGE)
        j->pages[i] = 0;
}

void ldm_pool_touch(ldm_pool *p, void *pages, size_t bytes)
{
    touch_job j = {pages, bytes};

    ldm_pool_run(p, (bytes + LDM_HUGE_PAGE - 1) / LDM_HUGE_PAGE, touch, &j);
}

int ldm_cpu_count(void)
{
    cpu_set_t set;
    int n;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    else /* the set is too small for this machine's processors */
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}
