/* SPDX-License-Identifier: MIT */
/* The one thread that generates: it opens models and takes jobs from the queue. */
#ifndef LDM_SERVER_WORKER_H
#define LDM_SERVER_WORKER_H

#include <stdbool.h>

#include <ldm/ldm.h>

#include "server/gallery.h"
#include "server/job_queue.h"
#include "server/shelf.h"

typedef struct ldm_worker ldm_worker;

typedef enum ldm_worker_state {
    LDM_WORKER_LOADING,
    LDM_WORKER_READY,
    LDM_WORKER_FAILED
} ldm_worker_state;

/* Settings of every job that are the server's own, as text; NULL: not given. */
typedef struct ldm_worker_settings {
    const char *threads, *max_memory, *vocab;
} ldm_worker_settings;

/* All pointers must outlive the worker. notify: as the queue's. */
ldm_status ldm_worker_start(ldm_jobs *jobs, ldm_shelf *shelf, ldm_gallery *gallery,
                            const ldm_worker_settings *settings, void (*notify)(void *ctx),
                            void *ctx, ldm_worker **out, ldm_error *err);
/* Waits for its end; ldm_jobs_stop comes first. NULL is fine. */
void ldm_worker_join(ldm_worker *w);

/* *err: why the first model could not be opened, where it failed. */
ldm_worker_state ldm_worker_get_state(ldm_worker *w, ldm_error *err);
/* What telling of progress has cost so far, previews included, in seconds of a processor. */
double ldm_worker_progress_seconds(const ldm_worker *w);

#endif
