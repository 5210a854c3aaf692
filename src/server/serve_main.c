/* SPDX-License-Identifier: MIT */
/* ldm-server: pictures over HTTP. One thread answers, one generates; what they share is the queue
 * of jobs. */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "server/private_paths.h"
#include "server/serve_options.h"
#include "server/server.h"
#include "server/waiting.h"

enum {
    HEADER_BYTES = 32 << 10,
    BODY_BYTES = 32 << 20,
    MAX_KEYS = 64,
    MAX_KEY_FILE = 64 << 10,
    ADDRESS_SHARE = 16
};

static const struct timeval poll_interval = {0, 20000};

/* Everything that is freed at the end. */
typedef struct program {
    ldm_serve_options o;
    ldm_server server;
    ldm_http_options http;
    struct event_base *base;
    struct event *term, *interrupt, *poll;
    ldm_route *routes;
    char *key_text;
    const char *keys[MAX_KEYS + 1];
    char *threads, *max_memory;
    char address[320]; /* where it listens, as people and programs are told */
    bool ready;        /* said so */
    int code;
} program;

/* ---- signals --------------------------------------------------------------------------------- */

static void on_bus_error(int sig)
{
    static const char line[] =
        "ldm-server: part of a model's file went away while it was read: it was cut off or "
        "replaced, or its disk failed\n";

    (void)sig;
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(1);
    _exit(1);
}

static void handle(int sig, void (*handler)(int))
{
    struct sigaction sa;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = handler;
    sigemptyset(&sa.sa_mask);
    sigaction(sig, &sa, NULL);
}

/* The first signal: no new connections and jobs, the running job ends within a step. */
static void on_term(evutil_socket_t sig, short what, void *ctx)
{
    program *p = ctx;

    (void)sig;
    (void)what;
    if (p->server.ending)
        _exit(128 + (int)sig); /* the second one */
    p->server.ending = true;
    event_add(p->poll, &poll_interval);
    ldm_http_close_listeners(p->server.http);
    ldm_jobs_stop(p->server.jobs);
}

/* The address is good from here on; that it is said last, and not before the model is open, tells
 * people and scripts that they can begin. */
static void say_ready(program *p)
{
    p->ready = true;
    printf("listening on %s\n", p->address);
    fflush(stdout);
    event_del(p->poll);
}

/* Until the model is open, and from the first signal on: did it open, is everybody answered? */
static void on_poll(evutil_socket_t none, short what, void *ctx)
{
    program *p = ctx;
    ldm_worker_state state;
    ldm_error err;

    (void)none;
    (void)what;
    state = p->server.ending ? LDM_WORKER_LOADING : ldm_worker_get_state(p->server.worker, &err);
    if (state == LDM_WORKER_READY && !p->ready)
        say_ready(p);
    if (state == LDM_WORKER_FAILED) {
        ldm_serve_say("%s", err.msg);
        p->code = err.code == LDM_ERR_MISMATCH ? 3 : err.code == LDM_ERR_USAGE ? 2 : 1;
        event_base_loopbreak(p->base);
    }
    if (p->server.ending && !ldm_jobs_pending(p->server.jobs) &&
        !ldm_waiting_count(p->server.waiting))
        event_base_loopexit(p->base, NULL); /* after what is still to be written */
}

static void notify(void *ctx)
{
    ldm_waiting_wake(((ldm_server *)ctx)->waiting);
}

/* ---- the start ------------------------------------------------------------------------------- */

static int fail(const ldm_error *err)
{
    ldm_serve_say("%s", err->msg);
    return err->code == LDM_ERR_USAGE ? 2 : 1;
}

static int read_keys(program *p)
{
    ldm_error err;
    size_t size, n = 0;
    char *line, *rest;

    if (!p->o.key_file)
        return 0;
    if (ldm_file_read(p->o.key_file, MAX_KEY_FILE, &p->key_text, &size, &err))
        return fail(&err);
    for (line = strtok_r(p->key_text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (strlen(line) < 8) {
            ldm_serve_say("%s: a key has at least 8 characters", p->o.key_file);
            return 2;
        }
        if (n < MAX_KEYS)
            p->keys[n++] = line;
    }
    if (n)
        return 0;
    ldm_serve_say("%s: there is no key in it", p->o.key_file);
    return 2;
}

static int check_address(const program *p)
{
    if (p->o.socket || ldm_guard_is_loopback(p->o.host) || p->o.key_file || p->o.insecure)
        return 0;
    ldm_serve_say("--host %s: other machines could use the server; give keys with --api-key-file "
                  "FILE, or say "
                  "--insecure",
                  p->o.host);
    return 2;
}

static ldm_route *all_routes(size_t *count)
{
    const struct {
        const ldm_route *routes;
        size_t count;
    } tables[] = {{ldm_page_routes, ldm_page_route_count},
                  {ldm_native_routes, ldm_native_route_count},
                  {ldm_sdapi_routes, ldm_sdapi_route_count},
                  {ldm_openai_routes, ldm_openai_route_count}};
    ldm_route *all;

    *count = 0;
    for (size_t i = 0; i < 4; i++)
        *count += tables[i].count;
    all = ldm_calloc(*count, sizeof *all);
    for (size_t i = 0, n = 0; all && i < 4; n += tables[i++].count)
        memcpy(all + n, tables[i].routes, tables[i].count * sizeof *all);
    return all;
}

/* A setting of the model that jobs have, too, as text; NULL: not given. */
static char *given(const ldm_model_options *o, const char *key)
{
    char *text = NULL;

    return ldm_model_options_is_set(o, key) && !ldm_model_options_get(o, key, &text, NULL) ? text
                                                                                           : NULL;
}

static ldm_status start_http(program *p, ldm_error *err)
{
    ldm_server *s = &p->server;
    ldm_status st;

    p->routes = all_routes(&p->http.route_count);
    p->base = event_base_new();
    s->waiting = p->base ? ldm_waiting_create(s, p->base) : NULL;
    if (!p->routes || !s->waiting)
        return ldm_error_nomem(err, 0, "the server");
    p->http.guard = (ldm_guard){p->o.hosts, p->o.origins, p->keys};
    p->http.routes = p->routes;
    p->http.refuse = ldm_answer_refused;
    p->http.app = s;
    p->http.connections = p->o.connections;
    p->http.address_share = ADDRESS_SHARE;
    p->http.header_bytes = HEADER_BYTES;
    p->http.body_bytes = BODY_BYTES;
    p->http.seconds = p->o.seconds;
    st = ldm_http_create(p->base, &p->http, &s->http, err);
    if (!st && p->o.socket)
        st = ldm_http_listen_unix(s->http, p->o.socket, err);
    else if (!st)
        st = ldm_http_listen(s->http, p->o.host, p->o.port, &p->o.port, err);
    return st;
}

/* The files that a model's option names, one a line. */
static bool hide_option(const ldm_model_options *o, const ldm_setting_row *row)
{
    const char *arg = ldm_setting_arg(row);
    char *text = NULL, *line, *rest;
    bool fine = true;

    if (!arg || strcmp(arg, "FILE") != 0)
        return true;
    if (ldm_model_options_get(o, ldm_setting_key(row), &text, NULL))
        return false;
    for (line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
        fine = fine && ldm_private_add(line);
    ldm_release(text);
    return fine;
}

/* No answer names the folders of the files that the command line names. */
static ldm_status hide_folders(const ldm_serve_options *o, ldm_error *err)
{
    bool fine = ldm_private_add(o->out) && (!o->vocab || ldm_private_add(o->vocab)) &&
                (!o->models || ldm_private_add(o->models));

    for (size_t i = 0; fine && i < ldm_setting_count(LDM_SETTINGS_MODEL); i++)
        fine = hide_option(o->model, ldm_setting_at(LDM_SETTINGS_MODEL, i));
    return fine ? LDM_OK : ldm_error_nomem(err, 0, "the folders' names");
}

static ldm_status start_jobs(program *p, ldm_error *err)
{
    ldm_server *s = &p->server;
    ldm_status st = hide_folders(&p->o, err);

    s->limits = (ldm_order_limits){p->o.max_count, p->o.max_pixels, p->o.max_work};
    s->metrics = p->o.metrics;
    s->keep_disconnected = p->o.keep_disconnected;
    s->started = ldm_seconds();
    s->since = (int64_t)time(NULL);
    p->threads = given(p->o.model, "threads");
    p->max_memory = given(p->o.model, "max_memory");
    if (!st)
        st = ldm_shelf_create(p->o.model, p->o.models, &s->shelf, err);
    if (!st)
        (void)ldm_shelf_choose(s->shelf, ldm_serve_say);
    if (!st)
        st = ldm_gallery_open(p->o.out, &s->gallery, err);
    if (!st)
        st = ldm_jobs_create(s->gallery, (size_t)p->o.queue, notify, s, &s->jobs, err);
    if (!st)
        st = ldm_worker_start(s->jobs, s->shelf, s->gallery,
                              &(ldm_worker_settings){p->threads, p->max_memory, p->o.vocab}, notify,
                              s, &s->worker, err);
    return st;
}

static bool catch_signals(program *p)
{
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
    handle(SIGBUS, on_bus_error);
    p->term = evsignal_new(p->base, SIGTERM, on_term, p);
    p->interrupt = evsignal_new(p->base, SIGINT, on_term, p);
    p->poll = event_new(p->base, -1, EV_PERSIST, on_poll, p);
    return p->term && p->interrupt && p->poll && !event_add(p->term, NULL) &&
           !event_add(p->interrupt, NULL) && !event_add(p->poll, &poll_interval);
}

static int serve(program *p)
{
    ldm_error err;

    if (start_http(p, &err) || start_jobs(p, &err))
        return fail(&err);
    if (!catch_signals(p)) {
        ldm_serve_say("the events of libevent cannot be set up");
        return 1;
    }
    if (p->o.socket)
        snprintf(p->address, sizeof p->address, "%s", p->o.socket);
    else
        snprintf(p->address, sizeof p->address, "http://%s%s%s:%d/",
                 strchr(p->o.host, ':') ? "[" : "", p->o.host, strchr(p->o.host, ':') ? "]" : "",
                 p->o.port);
    ldm_serve_say("loading the model '%s'; until it is open, /health at %s answers 503",
                  ldm_shelf_first(p->server.shelf), p->address);
    event_base_dispatch(p->base);
    return p->code;
}

static void end(program *p)
{
    ldm_server *s = &p->server;

    if (p->term)
        event_free(p->term);
    if (p->interrupt)
        event_free(p->interrupt);
    handle(SIGTERM, SIG_DFL); /* a second one ends the waiting for the worker */
    handle(SIGINT, SIG_DFL);
    if (s->jobs)
        ldm_jobs_stop(s->jobs);
    ldm_worker_join(s->worker);
    ldm_http_free(s->http);
    ldm_waiting_free(s->waiting);
    ldm_jobs_free(s->jobs);
    ldm_gallery_close(s->gallery);
    ldm_shelf_free(s->shelf);
    ldm_private_clear();
    if (p->poll)
        event_free(p->poll);
    if (p->base)
        event_base_free(p->base);
    ldm_free(p->routes);
    ldm_free(p->key_text);
    ldm_release(p->threads);
    ldm_release(p->max_memory);
    ldm_serve_options_free(&p->o);
}

int main(int argc, char **argv)
{
    static program p; /* large, and there is one */
    int code = ldm_serve_options_read(argc, argv, getenv("LDM_MAX_ISA"), &p.o);

    if (!code && !p.o.over) {
        code = check_address(&p);
        if (!code)
            code = read_keys(&p);
        if (!code)
            code = serve(&p);
    }
    end(&p);
    if (fflush(stdout) || ferror(stdout))
        code = code ? code : 1;
    return code;
}
