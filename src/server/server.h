/* SPDX-License-Identifier: MIT */
/* What the parts of the interface share. */
#ifndef LDM_SERVER_SERVER_H
#define LDM_SERVER_SERVER_H

#include "server/gallery.h"
#include "server/http.h"
#include "server/job_queue.h"
#include "server/order.h"
#include "server/shelf.h"
#include "server/worker.h"

struct ldm_waiting;

enum { LDM_IDEMPOTENT = 128 };

typedef struct ldm_server {
    ldm_http *http;
    ldm_gallery *gallery;
    ldm_jobs *jobs;
    ldm_shelf *shelf;
    ldm_worker *worker;
    struct ldm_waiting *waiting;
    ldm_order_limits limits;
    bool metrics;           /* /metrics is there */
    bool keep_disconnected; /* a blocking client that goes away does not cancel its job */
    double started;         /* by ldm_seconds */
    int64_t since;          /* the same, as Unix time */
    bool ending;            /* SIGTERM: no new jobs */
    char sd_model[96];      /* what a client of /sdapi/v1 chose; "": the first */
    /* Idempotency-Key and the job that it stands for; the oldest is overwritten */
    struct {
        char key[80], id[LDM_ID_LENGTH + 1];
    } idempotent[LDM_IDEMPOTENT];
    unsigned next_idempotent;
} ldm_server;

/* ---- answers that several dialects share (answers.c) ----------------------------------------- */

/* A refusal in the words of the path's dialect; 503 says when to try again, and that it should not
 * be at once. */
void ldm_answer_refusal(ldm_exchange *x, const ldm_refusal *r);
/* {message, type, param, code}, as /v1 words a refusal; to be released. */
json_t *ldm_openai_error(const ldm_refusal *r);
/* For ldm_http_options.refuse. */
void ldm_answer_refused(ldm_exchange *x, int status, const char *why);
/* What a call of the library says. */
void ldm_answer_failure(ldm_exchange *x, ldm_status st, const ldm_error *err);

/* The body as JSON; NULL: it was refused and answered. To be released. */
json_t *ldm_request_json(ldm_exchange *x);
/* Puts an order in the queue; false: refused, *r says why. Takes the order either way. */
bool ldm_server_submit(ldm_server *s, ldm_order *order, char id[LDM_ID_LENGTH + 1], ldm_refusal *r);
/* A picture of a job as the PNG that it is on disk; ldm_free it. NULL: it cannot be read. */
char *ldm_server_png(ldm_server *s, const char *id, int index, size_t *size);
/* The recipe in a PNG or JPEG that was sent; ldm_release it. */
ldm_status ldm_server_read_recipe(ldm_server *s, const void *data, size_t size, char **recipe,
                                  ldm_error *err);

extern const ldm_route ldm_native_routes[], ldm_sdapi_routes[], ldm_openai_routes[],
    ldm_page_routes[];
extern const size_t ldm_native_route_count, ldm_sdapi_route_count, ldm_openai_route_count,
    ldm_page_route_count;

#endif
