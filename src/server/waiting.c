/* SPDX-License-Identifier: MIT */
/* Exchanges that wait for a job; see waiting.h. The worker wakes the event thread by an event
 * descriptor. */
#include "server/waiting.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"

enum { PEEK_MS = 200, PING_SECONDS = 15 };
static const double event_seconds = 0.15; /* at least, between two events of a job that runs */

typedef struct place {
    ldm_exchange *x;
    char id[LDM_ID_LENGTH + 1];
    ldm_waiter how;
    unsigned version, preview; /* that it has seen */
    double said;               /* when something was sent */
} place;

struct ldm_waiting {
    ldm_server *server;
    place *places;
    size_t count, cap;
    int fd;
    atomic_bool woken;
    struct event *event, *timer;
};

/* ---- one exchange ---------------------------------------------------------------------------- */

static bool others_wait(const ldm_waiting *w, const place *p)
{
    for (size_t i = 0; i < w->count; i++) {
        if (&w->places[i] != p && !strcmp(w->places[i].id, p->id) && w->places[i].how.cancels)
            return true;
    }
    return false;
}

/* The client left: nothing reaches it, but the exchange has to end. */
static void leave(ldm_waiting *w, place *p)
{
    if (p->how.cancels && !others_wait(w, p))
        ldm_jobs_cancel(w->server->jobs, p->id);
    if (p->how.stream)
        ldm_http_stream_end(p->x);
    else
        ldm_http_answer(p->x, 503, "text/plain", "", 0);
}

/* False: it no longer waits. */
static bool update(ldm_waiting *w, place *p)
{
    ldm_ticket_state state;
    unsigned preview;
    const unsigned version = ldm_jobs_version(w->server->jobs, p->id, &state, &preview);
    json_t *job;
    bool more;

    if (ldm_http_gone(p->x)) {
        leave(w, p);
        return false;
    }
    if (version && version == p->version)
        return true;
    if (p->how.stream && version && p->version && state == LDM_TICKET_RUNNING &&
        ldm_seconds() - p->said < event_seconds)
        return true; /* the timer comes back to it */
    job = version ? ldm_jobs_describe(w->server->jobs, p->id) : NULL;
    more = p->how.update(w->server, p->x, p->id, job,
                         p->how.preview && preview && preview != p->preview);
    p->version = version;
    p->preview = preview;
    p->said = ldm_seconds();
    json_decref(job);
    return more;
}

static void ping(place *p)
{
    static const char comment[] = ": still here\n\n";

    if (p->how.stream && ldm_seconds() - p->said > PING_SECONDS) {
        (void)ldm_http_stream(p->x, comment,
                              sizeof comment - 1); /* a client that left is seen at the next peek */
        p->said = ldm_seconds();
    }
}

static void drop(ldm_waiting *w, size_t i)
{
    w->places[i] = w->places[--w->count];
}

static void update_all(ldm_waiting *w)
{
    for (size_t i = 0; i < w->count;) {
        place *p = &w->places[i];

        if (p->how.preview)
            ldm_jobs_want_preview(w->server->jobs, p->id);
        if (update(w, p)) {
            ping(p);
            i++;
        } else {
            drop(w, i);
        }
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
    ldm_waiting *w = ctx;
    uint64_t n;

    (void)what;
    (void)!read(fd, &n, sizeof n);
    atomic_store(&w->woken, false);
    update_all(w);
}

static void on_timer(evutil_socket_t none, short what, void *ctx)
{
    (void)none;
    (void)what;
    update_all(ctx);
}

ldm_waiting *ldm_waiting_create(ldm_server *s, struct event_base *base)
{
    const struct timeval peek = {0, PEEK_MS * 1000};
    ldm_waiting *w = ldm_calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->server = s;
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->event = w->fd >= 0 ? event_new(base, w->fd, EV_READ | EV_PERSIST, on_wake, w) : NULL;
    w->timer = event_new(base, -1, EV_PERSIST, on_timer, w);
    if (w->event && w->timer && !event_add(w->event, NULL) && !event_add(w->timer, &peek))
        return w;
    ldm_waiting_free(w);
    return NULL;
}

void ldm_waiting_free(ldm_waiting *w)
{
    if (!w)
        return;
    if (w->event)
        event_free(w->event);
    if (w->timer)
        event_free(w->timer);
    if (w->fd >= 0)
        close(w->fd);
    ldm_free(w->places);
    ldm_free(w);
}

void ldm_waiting_wake(ldm_waiting *w)
{
    const uint64_t one = 1;

    if (!atomic_exchange(&w->woken, true))
        (void)!write(w->fd, &one, sizeof one);
}

void ldm_waiting_add(ldm_waiting *w, ldm_exchange *x, const char *id, const ldm_waiter *how)
{
    place p = {.x = x, .how = *how, .said = ldm_seconds()};

    snprintf(p.id, sizeof p.id, "%s", id);
    if (!ldm_grow(&w->places, &w->cap, w->count + 1, sizeof *w->places)) {
        leave(w, &p);
        return;
    }
    if (how->preview)
        ldm_jobs_want_preview(w->server->jobs, id);
    if (update(w, &p))
        w->places[w->count++] = p;
}

size_t ldm_waiting_count(const ldm_waiting *w)
{
    return w->count;
}

bool ldm_send_event(ldm_exchange *x, const char *name, json_t *root)
{
    ldm_str s = {0};
    bool fine;

    if (name)
        ldm_str_printf(&s, "event: %s\n", name);
    ldm_str_puts(&s, "data: ");
    fine = ldm_json_append(root, JSON_COMPACT | JSON_REAL_PRECISION(17), &s); /* in one line */
    ldm_str_puts(&s, "\n\n");
    fine = fine && !s.failed && ldm_http_stream(x, s.data, s.len);
    ldm_str_free(&s);
    json_decref(root);
    return fine;
}
