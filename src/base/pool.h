/* SPDX-License-Identifier: MIT */
/* A small team of threads that stays. One run owns one pool; nothing here is global.
 *
 * ldm_pool_run(pool, count, fn, arg) calls fn(arg, index, worker) once for each index below count
 * and returns when all have finished. The indices are cut into one share a worker, in their order;
 * each worker goes through its own upwards, then helps the others. The caller takes part as worker
 * 0. Only one ldm_pool_run at a time per pool, never from within a task.
 *
 * Work that takes long can be given up in the middle: see ldm_pool_watch. */
#ifndef LDM_BASE_POOL_H
#define LDM_BASE_POOL_H

#include <stdbool.h>
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

/* From here on stop(ctx) is asked between two tasks of the caller, on its thread, at most 50 times
 * a second. Once it has returned true, no further task is called: ldm_pool_run returns at once, and
 * what the tasks would have written is not written. stop NULL: nothing is asked, all tasks are
 * called again. Never during an ldm_pool_run. */
void ldm_pool_watch(ldm_pool *p, bool (*stop)(void *ctx), void *ctx);
bool ldm_pool_given_up(const ldm_pool *p); /* stop has returned true */

/* Touches `bytes` zeroed bytes, so that the system provides their pages now and not at the first
 * write. In a virtual machine whose host reclaims free memory, that write can be slow. */
void ldm_pool_touch(ldm_pool *p, void *pages, size_t bytes);

/* Processors this process may run on (affinity counted in). */
int ldm_cpu_count(void);

#endif
