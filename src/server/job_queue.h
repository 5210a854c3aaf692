/* SPDX-License-Identifier: MIT */
/* The jobs of the server: what is asked, how far it is, what came out. One job model, which the
 * dialects of the interface translate to and from. Every call may come from any thread. */
#ifndef LDM_SERVER_JOB_QUEUE_H
#define LDM_SERVER_JOB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <ldm/error.h>

#include "server/gallery.h"

typedef enum ldm_ticket_state {
    LDM_TICKET_QUEUED,
    LDM_TICKET_RUNNING,
    LDM_TICKET_DONE,
    LDM_TICKET_FAILED,
    LDM_TICKET_CANCELLED,
    LDM_TICKET_BROKEN /* the server ended meanwhile: restarting makes the same pictures */
} ldm_ticket_state;

/* Bytes that their holder releases with ldm_free. */
typedef struct ldm_blob {
    char *data; /* NULL: none */
    size_t size;
    bool transparent; /* of a picture that was sent: it has an alpha channel */
} ldm_blob;

/* What is asked: never changes once it is in the queue. */
typedef struct ldm_order {
    char model[96];   /* a listed name */
    json_t *settings; /* of a job, by key: text, number, boolean or list; with "seed" and "count" */
    json_t *recipe;   /* for what is not in settings; NULL: none */
    json_t *about;    /* the dialect's own, kept for its answer; NULL: none */
    bool preview;     /* somebody will look on: the library makes the previews */
    ldm_blob init,
        mask; /* pictures to begin with, as files; the queue moves them to the job's folder */
} ldm_order;

typedef struct ldm_jobs ldm_jobs;

/* Takes in what the gallery holds: jobs that were waiting or running are broken. notify is called,
 * on any thread and with no lock held, after something changed; it must be quick. */
ldm_status ldm_jobs_create(ldm_gallery *gallery, size_t capacity, void (*notify)(void *ctx),
                           void *ctx, ldm_jobs **out, ldm_error *err);
void ldm_jobs_free(ldm_jobs *q); /* NULL is fine */

/* Puts an order in the queue and takes its JSON (also on failure). LDM_ERR_LIMIT: the queue is
 * full. */
ldm_status ldm_jobs_submit(ldm_jobs *q, ldm_order *order, char id[LDM_ID_LENGTH + 1],
                           ldm_error *err);
/* A broken, failed or cancelled job once more, under its own name. LDM_ERR_USAGE: it is none of
 * these. */
ldm_status ldm_jobs_restart(ldm_jobs *q, const char *id, ldm_error *err);
/* False: there is no such job. A job that waits is cancelled at once, one that runs within a step.
 */
bool ldm_jobs_cancel(ldm_jobs *q, const char *id);
/* Removes a job that is over, and its pictures. False: it is not over, or there is none. */
bool ldm_jobs_remove(ldm_jobs *q, const char *id);
/* The job that runs, else the one that waits longest. False: none. */
bool ldm_jobs_current(ldm_jobs *q, char id[LDM_ID_LENGTH + 1]);
/* Waiting and running. */
size_t ldm_jobs_pending(ldm_jobs *q);

typedef struct ldm_jobs_totals {
    unsigned long done, failed, cancelled, pictures, steps;
    double busy_seconds;
} ldm_jobs_totals;
ldm_jobs_totals ldm_jobs_count(ldm_jobs *q);

/* A job as JSON: {id, state, model, settings, count, created, started, finished, position (0:
 * runs), step, steps, image, stage, eta_seconds, error {code, message}, pictures [{index, seed,
 * url}], preview (its number), ...}. NULL: there is none, or no memory. */
json_t *ldm_jobs_describe(ldm_jobs *q, const char *id);
/* The newest first, `limit` from the offset on; *total: of all. with_pictures: those alone that
 * have any. */
json_t *ldm_jobs_list(ldm_jobs *q, size_t offset, size_t limit, bool with_pictures, size_t *total);
/* Changes whenever the job does; 0: there is none. */
unsigned ldm_jobs_version(ldm_jobs *q, const char *id, ldm_ticket_state *state, unsigned *preview);
/* The dialect's own of the order; to be released. */
json_t *ldm_jobs_about(ldm_jobs *q, const char *id);
/* How many pictures the job has; -1: there is none. */
int ldm_jobs_pictures(ldm_jobs *q, const char *id);
/* The latest preview, a PNG; ldm_free it. NULL: none. */
unsigned char *ldm_jobs_preview(ldm_jobs *q, const char *id, size_t *size);
/* Somebody looks: previews are made for the next seconds. */
void ldm_jobs_want_preview(ldm_jobs *q, const char *id);

/* ---- the worker's side ----------------------------------------------------------------------- */

/* Waits for the next job. False: the server ends. *order: borrowed, until ldm_jobs_finish. */
bool ldm_jobs_take(ldm_jobs *q, char id[LDM_ID_LENGTH + 1], const ldm_order **order);
/* The steps and evaluations of the run that begins. */
typedef struct ldm_ticket_progress {
    int step, steps, image, images_in_batch, count;
    const char *stage; /* static */
} ldm_ticket_progress;
/* Whether the job is to be stopped; asked often. */
bool ldm_jobs_cancelled(ldm_jobs *q, const char *id);
/* Notes a step. Returns true where a preview is wanted. */
bool ldm_jobs_progress(ldm_jobs *q, const char *id, const ldm_ticket_progress *p);
void ldm_jobs_set_preview(ldm_jobs *q, const char *id, unsigned char *png,
                          size_t size); /* takes it */
void ldm_jobs_add_picture(ldm_jobs *q, const char *id, int index, uint64_t seed);
void ldm_jobs_note(ldm_jobs *q, const char *id, const char *note);
/* code: of the library's status, e.g. "ERR_USAGE"; NULL without an error. */
void ldm_jobs_finish(ldm_jobs *q, const char *id, ldm_ticket_state state, const char *code,
                     const char *message);
/* Ends the waiting of the worker; a running job is stopped and becomes broken. */
void ldm_jobs_stop(ldm_jobs *q);

#endif
