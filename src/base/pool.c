/* Persistent thread team; see pool.h.
 *
 * A job is over when all of its indices are done, not when all workers have seen it: on a busy
 * machine a worker may get its processor back milliseconds late, and then finds nothing left to do.
 * So the ticket that hands out indices carries the job's number too: a late worker's claim cannot
 * hit the next job, whose function it has not read. Workers spin for a few microseconds before they
 * sleep: within a step the next operation follows at once, and waking a sleeping thread costs more
 * than many a small layer. */
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

#define SPIN_ROUNDS 4000
#define MAX_THREADS 4096

typedef struct worker {
    ldm_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct ldm_pool {
    int threads, started;
    worker *workers; /* [threads]; 0 is the caller */

    /* The job. Atomic, for a late worker may read it while it is replaced; what it read counts only
     * if its claim on the ticket then succeeds, and the ticket is closed before anything is
     * replaced. */
    _Atomic(ldm_task_fn *) fn;
    _Atomic(void *) arg;
    atomic_uint count;
    _Atomic uint64_t ticket; /* job number << 32 | next index; odd numbers are closed */
    atomic_uint finished;    /* indices done */
    atomic_bool stop;

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

static bool is_open(unsigned job)
{
    return job % 2 == 0;
}

/* Takes indices of job number `job` until none is left, or until it is over. */
static void work(ldm_pool *p, unsigned job, int index)
{
    ldm_task_fn *fn = atomic_load_explicit(&p->fn, memory_order_acquire);
    void *arg = atomic_load_explicit(&p->arg, memory_order_acquire);
    unsigned count = atomic_load_explicit(&p->count, memory_order_acquire);
    uint64_t ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);

    while (job_of(ticket) == job && (unsigned)ticket < count) {
        if (!atomic_compare_exchange_weak_explicit(&p->ticket, &ticket, ticket + 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        fn(arg, (unsigned)ticket, index);
        if (atomic_fetch_add_explicit(&p->finished, 1, memory_order_acq_rel) + 1 == count) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
        ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
    }
}

static unsigned wait_for_job(ldm_pool *p, unsigned seen)
{
    unsigned job;
    int i;

    for (i = 0; i < SPIN_ROUNDS; i++) {
        job = job_of(atomic_load_explicit(&p->ticket, memory_order_acquire));
        if (job != seen && is_open(job))
            return job;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    p->sleeping++;
    for (;;) {
        job = job_of(atomic_load_explicit(&p->ticket, memory_order_acquire));
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

static void close_ticket(ldm_pool *p)
{
    unsigned job = job_of(atomic_load_explicit(&p->ticket, memory_order_relaxed)) + 1;

    atomic_store_explicit(&p->ticket, (uint64_t)job << 32, memory_order_relaxed);
}

/* Publishes the job that was written behind the closed ticket. Returns its number. */
static unsigned open_ticket(ldm_pool *p)
{
    unsigned job;

    /* Under the lock: a worker on its way to sleep either sees the new job or gets the signal. */
    pthread_mutex_lock(&p->lock);
    job = job_of(atomic_load_explicit(&p->ticket, memory_order_relaxed)) + 1;
    atomic_store_explicit(&p->ticket, (uint64_t)job << 32, memory_order_release);
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
    close_ticket(p);
    open_ticket(p);
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

void ldm_pool_run(ldm_pool *p, size_t count, ldm_task_fn *fn, void *arg)
{
    size_t i;
    int spins;

    if (p->threads == 1 || count <= 1 || count > UINT32_MAX) {
        for (i = 0; i < count; i++)
            fn(arg, i, 0);
        return;
    }
    close_ticket(p);
    atomic_store_explicit(&p->finished, 0, memory_order_relaxed);
    atomic_store_explicit(&p->fn, fn, memory_order_release);
    atomic_store_explicit(&p->arg, arg, memory_order_release);
    atomic_store_explicit(&p->count, (unsigned)count, memory_order_release);
    work(p, open_ticket(p), 0);
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

int ldm_cpu_count(void)
{
    cpu_set_t set;
    int n;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    else /* more processors than the set has room for */
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}
