/* SPDX-License-Identifier: MIT */
/* A small team of threads that stays. One run owns one pool; nothing here is global.
 *
 * ldm_pool_run(pool, count, fn, arg) calls fn(arg, index, worker) once for each index below count
 * and returns when all have finished. The indices are cut into one share a worker, in their order;
 * each worker goes through its own upwards, then helps the others. The caller takes part as worker
 * 0. Only one ldm_pool_run at a time per pool, never from within a task. */
#ifndef LDM_BASE_POOL_H
#define LDM_BASE_POOL_H

#include <stddef.h>

#include "base/error.h"

typedef struct ldm_pool ldm_pool;
typedef void ldm_task_fn(void *arg, size_t index, int worker);

/* threads: workers in all, the caller included; 1 makes no thread, 0 takes ldm_cpu_count(). More
 * than 4096, or fewer than 0, is LDM_ERR_USAGE. */
ldm_status ldm_pool_create(int threads, ldm_pool **out, ldm_error *err);
void ldm_pool_free(ldm_pool *p); /* NULL is fine */
int ldm_pool_threads(const ldm_pool *p);
void ldm_pool_run(ldm_pool *p, size_t count, ldm_task_fn *fn, void *arg);

/* Touches `bytes` zeroed bytes, so that the system provides their pages now and not at the first
 * write. In a virtual machine whose host reclaims free memory, that write can be slow. */
void ldm_pool_touch(ldm_pool *p, void *pages, size_t bytes);

/* Processors this process may run on (affinity counted in). */
int ldm_cpu_count(void);

#endif
