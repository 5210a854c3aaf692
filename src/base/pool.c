/* Persistent thread team; see pool.h.
 *
 * Work is handed out through one atomic counter. Workers spin for a few microseconds before they
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
#include <string.h>

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

    ldm_task_fn *fn; /* the job; written before `generation` is raised */
    void *arg;
    size_t count;
    atomic_size_t next;     /* next index to hand out */
    atomic_int busy;        /* workers that have not finished this job */
    atomic_uint generation; /* raised once a job */
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

static void work(ldm_pool *p, int index)
{
    size_t i;

    while ((i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->count)
        p->fn(p->arg, i, index);
}

static unsigned wait_for_job(ldm_pool *p, unsigned seen)
{
    unsigned gen;
    int i;

    for (i = 0; i < SPIN_ROUNDS; i++) {
        gen = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (gen != seen)
            return gen;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    p->sleeping++;
    while ((gen = atomic_load_explicit(&p->generation, memory_order_acquire)) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    p->sleeping--;
    pthread_mutex_unlock(&p->lock);
    return gen;
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
        work(p, w->index);
        if (atomic_fetch_sub_explicit(&p->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void raise_generation(ldm_pool *p)
{
    /* Under the lock: a worker on its way to sleep either sees the new job or gets the signal. */
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    if (p->sleeping)
        pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
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
    raise_generation(p);
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

    if (p->threads == 1 || count <= 1) {
        for (i = 0; i < count; i++)
            fn(arg, i, 0);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    p->count = count;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->busy, p->threads - 1, memory_order_relaxed);
    raise_generation(p);
    work(p, 0);
    for (spins = 0; spins < SPIN_ROUNDS; spins++) {
        if (atomic_load_explicit(&p->busy, memory_order_acquire) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->busy, memory_order_acquire) > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

int ldm_cpu_count(void)
{
    cpu_set_t set;
    int n = 1;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}
