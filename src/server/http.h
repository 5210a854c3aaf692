/* SPDX-License-Identifier: MIT */
/* HTTP over libevent, on one thread: listening, the rules of guard.h, limits, and answers. What is
 * asked and answered is the caller's: a table of routes.
 *
 * An exchange is one request and its answer. A handler answers at once with one of the calls below,
 * or keeps the exchange and answers later; each exchange is answered exactly once. */
#ifndef LDM_SERVER_HTTP_H
#define LDM_SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <ldm/error.h>

#include "server/guard.h"

struct event_base;
typedef struct ldm_http ldm_http;
typedef struct ldm_exchange ldm_exchange;

enum {
    LDM_HTTP_GET = 1,
    LDM_HTTP_POST = 2,
    LDM_HTTP_DELETE = 4,
    LDM_HTTP_NAMES = 2,
    LDM_HTTP_NAME = 96
};

typedef struct ldm_route {
    unsigned methods;
    const char *path; /* a segment "*" is any name, which ldm_http_name returns */
    void (*handle)(void *app, ldm_exchange *x);
} ldm_route;

typedef struct ldm_http_options {
    ldm_guard guard;
    const ldm_route *routes;
    size_t route_count;
    /* Answers x with a refusal of the server's own (400, 401, 403, 404, 405, 413, 415, 503) in the
     * words of the path's dialect. */
    void (*refuse)(ldm_exchange *x, int status, const char *why);
    void *app;
    int connections;   /* at most, 1 to 4096 */
    int address_share; /* of one address that is not the machine's own */
    size_t header_bytes, body_bytes;
    int seconds; /* that a connection may take to send a request, or be idle */
} ldm_http_options;

/* o's texts and tables must outlive it. */
ldm_status ldm_http_create(struct event_base *base, const ldm_http_options *o, ldm_http **out,
                           ldm_error *err);
void ldm_http_free(ldm_http *h); /* NULL is fine; every exchange has been answered */

/* Listens. *bound: the port that port 0 became. */
ldm_status ldm_http_listen(ldm_http *h, const char *address, int port, int *bound, ldm_error *err);
/* A socket in the file system; one that is left over and that nobody listens on is replaced. */
ldm_status ldm_http_listen_unix(ldm_http *h, const char *path, ldm_error *err);
/* Takes no new connections. */
void ldm_http_close_listeners(ldm_http *h);

size_t ldm_http_connections(ldm_http *h);         /* open now */
unsigned long ldm_http_served(const ldm_http *h); /* requests so far */

/* ---- the request ----------------------------------------------------------------------------- */

const char *ldm_http_path(const ldm_exchange *x);
const char *ldm_http_name(const ldm_exchange *x, size_t i);           /* of the i-th "*" */
const char *ldm_http_query(const ldm_exchange *x, const char *name);  /* or NULL */
const char *ldm_http_header(const ldm_exchange *x, const char *name); /* or NULL */
/* NUL-terminated after *size bytes; the exchange's, until it is answered. */
const char *ldm_http_body(const ldm_exchange *x, size_t *size);
/* The body is that of an empty object where there is none. NULL: *why says what is wrong. To be
 * released. */
json_t *ldm_http_json(const ldm_exchange *x, char *why, size_t why_size);
/* Whether the client has closed the connection. */
bool ldm_http_gone(ldm_exchange *x);
/* For the caller, NULL at first. */
void **ldm_http_slot(ldm_exchange *x);

/* ---- the answer ------------------------------------------------------------------------------ */

/* A header of the answer, before it is sent. */
void ldm_http_say(ldm_exchange *x, const char *name, const char *value);
void ldm_http_answer(ldm_exchange *x, int status, const char *type, const void *data, size_t size);
/* Releases root. NULL (out of memory) becomes a 500. */
void ldm_http_answer_json(ldm_exchange *x, int status, json_t *root);

/* An answer that comes in pieces: server-sent events. */
void ldm_http_stream_begin(ldm_exchange *x);
/* False where the client is gone or reads too slowly; only the end may follow. */
bool ldm_http_stream(ldm_exchange *x, const char *data, size_t size);
void ldm_http_stream_end(ldm_exchange *x);

#endif
