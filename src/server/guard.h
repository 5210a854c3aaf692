/* SPDX-License-Identifier: MIT */
/* Whom the server answers: the rules on Host, Origin, keys and framing of requests, as functions of
 * texts. The server listens on the loopback address; what has to be kept out are web pages that the
 * user's own browser shows: they can send requests there (cross-site requests), and can get a name
 * of theirs to mean 127.0.0.1 (DNS rebinding). */
#ifndef LDM_SERVER_GUARD_H
#define LDM_SERVER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ldm_guard {
    const char *const *hosts; /* names besides the ones that are always fine; ends with NULL */
    const char *const
        *origins;            /* of other sites that may read answers, "https://a.example"; NULL */
    const char *const *keys; /* of which a request must show one; no key: everybody may */
} ldm_guard;

/* What the rules look at; NULL: the header is not there. */
typedef struct ldm_guarded {
    const char *host;
    size_t host_count, length_count, coding_count; /* headers of that name */
    const char *origin, *site;                     /* Origin, Sec-Fetch-Site */
    const char *mode;                              /* Sec-Fetch-Mode */
    const char *coding;                            /* Transfer-Encoding */
    const char *type;                              /* Content-Type */
    const char *authorization, *api_key;           /* Authorization, X-Api-Key */
    bool repeated;                                 /* another of these is there twice */
    bool odd;                                      /* ldm_head.odd */
    bool absolute;                                 /* the request line names a host */
    bool changes;                                  /* another method than GET, HEAD and OPTIONS */
    bool body;                                     /* there is one */
    bool page;                                     /* the page itself, to which links may lead */
    bool open;                                     /* needs no key */
} ldm_guarded;

/* The status to refuse a request with, and *why; 0: it is fine. 400: no request that can be trusted
 * to mean one thing; 401: no key; 403: not from here; 415: a body that a foreign page could send
 * without asking. */
int ldm_guard_check(const ldm_guard *g, const ldm_guarded *r, const char **why);

/* Reads along with the bytes of a request's head (its line and its headers), for what other readers
 * of HTTP may take otherwise than libevent does: a NUL, at which it ends the line; a CR alone; a
 * line that begins with a space and goes on with the one before. Zeroed: before a head. */
typedef struct ldm_head {
    bool odd;    /* one of them was there */
    bool over;   /* the empty line was read: what follows is a body, and passed over */
    bool begun;  /* a line was read: empty ones before it are none of the head's */
    size_t line; /* bytes of the line so far, its CR among them */
    unsigned char last;
} ldm_head;
void ldm_head_read(ldm_head *h, const void *data, size_t size);

/* Whether "name", "name:port", "[::1]:port" is a literal address, localhost, a name below it, or in
 * `hosts`. An address cannot be rebound: a browser shows it as it is. */
bool ldm_guard_host(const char *host, const char *const *hosts);

/* Whether an address to listen on is the machine's own: 127.0.0.0/8, ::1, localhost. */
bool ldm_guard_is_loopback(const char *address);

/* Whether a and b are the same text; takes as long for any a of one length. */
bool ldm_guard_same(const char *a, const char *b);

#endif
