/* SPDX-License-Identifier: MIT */
/* Exchanges that wait for a job: those that are answered when it is over, and streams of its
 * events. The event thread's. */
#ifndef LDM_SERVER_WAITING_H
#define LDM_SERVER_WAITING_H

#include <stdbool.h>

#include "server/server.h"

typedef struct ldm_waiting ldm_waiting;

/* Called when the job changed, with the job as ldm_jobs_describe has it (borrowed). preview: there
 * is a new one. Returns true as long as it waits on; else it has answered, or ended its stream. job
 * NULL: the job is gone, and the answer is due. */
typedef bool ldm_waiter_fn(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job,
                           bool preview);

typedef struct ldm_waiter {
    bool stream;  /* ldm_http_stream_begin was called */
    bool preview; /* previews are wanted */
    bool cancels; /* the job is cancelled when this client goes and no other waits for it */
    ldm_waiter_fn *update;
} ldm_waiter;

ldm_waiting *ldm_waiting_create(ldm_server *s, struct event_base *base);
void ldm_waiting_free(ldm_waiting *w); /* NULL is fine; nobody waits any more */

/* x waits for the job; update is called at once, and then after every change. */
void ldm_waiting_add(ldm_waiting *w, ldm_exchange *x, const char *id, const ldm_waiter *how);

/* Something may have changed: for the queue's notify, from any thread. */
void ldm_waiting_wake(ldm_waiting *w);

size_t ldm_waiting_count(const ldm_waiting *w);

/* Sends one event of a stream: "event: NAME", "data: JSON". Releases root. */
bool ldm_send_event(ldm_exchange *x, const char *name, json_t *root);

#endif
