/* SPDX-License-Identifier: MIT */
/* HTTP over libevent; see http.h. Pitfalls of evhttp 2.1.12 that this file works around;
 * tests/server/probe_test.c tries each:
 *
 *   - while a request waits for its answer, nobody reads the socket: that the client left is found
 * by peeking (ldm_http_gone); once an answer has begun, libevent reports it;
 *   - a request whose connection is gone stays, without a connection, until it is answered: it must
 * be;
 *   - time-outs of a connection also count while an answer streams: they are taken off then;
 *   - the body of a HEAD or TRACE is not read, and would be the next request: such connections are
 * closed after the answer;
 *   - the body of an answer to HEAD is sent, without its length: it is kept back here;
 *   - it ends a line of the head at a NUL and joins folded lines: guard.c reads along with the
 * bytes;
 *   - the number of connections is not limited: connections.c counts them, right after libevent
 * made each. */
#include "server/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_text.h"
#include "server/connections.h"

enum { MAX_LISTENERS = 4, SLOW_BYTES = 8 << 20, MAX_DEPTH = 64 };

struct ldm_http {
    struct event_base *base;
    struct evhttp *evhttp;
    struct event *sweep;
    ldm_connections *connections;
    const ldm_http_options *options;
    struct evhttp_bound_socket *listeners[MAX_LISTENERS];
    size_t listener_count;
    char *unix_path;
    unsigned long served;
};

struct ldm_exchange {
    ldm_http *http;
    struct evhttp_request *req;
    unsigned method;
    const char *path;
    char names[LDM_HTTP_NAMES][LDM_HTTP_NAME];
    struct evkeyvalq query;
    const char *body;
    size_t body_size;
    bool gone, streaming;
    void *slot;
};

/* ---- connections ----------------------------------------------------------------------------- */

typedef struct arrival {
    ldm_http *http;
    struct bufferevent *bev;
} arrival;

/* Reads along with the bytes of a buffer from an offset on. */
static void read_head(struct evbuffer *b, size_t from, ldm_head *head)
{
    struct evbuffer_iovec parts[8];
    struct evbuffer_ptr at;
    int n;

    while (!head->over && from < evbuffer_get_length(b) &&
           !evbuffer_ptr_set(b, &at, from, EVBUFFER_PTR_SET)) {
        n = evbuffer_peek(b, -1, &at, parts, 8);
        for (int i = 0; i < n && i < 8; i++) {
            ldm_head_read(head, parts[i].iov_base, parts[i].iov_len);
            from += parts[i].iov_len;
        }
        if (n < 1)
            break;
    }
}

/* Bytes came for libevent, or it took some. */
static void on_bytes(struct evbuffer *b, const struct evbuffer_cb_info *change, void *ctx)
{
    if (change->n_added)
        read_head(b, evbuffer_get_length(b) - change->n_added, ctx);
}

/* Right after libevent has taken the connection, and before it reads from it. */
static void on_arrival(evutil_socket_t none, short what, void *ctx)
{
    static const char full[] =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nx-should-retry: false\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n";
    arrival *a = ctx;
    const int fd = bufferevent_getfd(a->bev);
    ldm_head *head = fd >= 0 ? ldm_connections_add(a->http->connections, fd) : NULL;

    (void)none;
    (void)what;
    if (head)
        (void)evbuffer_add_cb(bufferevent_get_input(a->bev), on_bytes, head);
    else if (fd >= 0) {
        (void)!send(fd, full, sizeof full - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        shutdown(fd, SHUT_RDWR);
    }
    ldm_free(a);
}

static struct bufferevent *make_connection(struct event_base *base, void *ctx)
{
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    arrival *a = bev ? ldm_malloc(sizeof *a) : NULL;

    if (!a)
        return bev;
    *a = (arrival){ctx, bev};
    if (event_base_once(base, -1, EV_TIMEOUT, on_arrival, a, NULL))
        ldm_free(a);
    return bev;
}

static int fd_of(const ldm_exchange *x)
{
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);

    return c && !x->gone ? bufferevent_getfd(evhttp_connection_get_bufferevent(c)) : -1;
}

static void on_close(struct evhttp_connection *c, void *ctx)
{
    ldm_exchange *x = ctx;

    (void)c;
    x->gone = true;
}

static void on_sweep(evutil_socket_t none, short what, void *ctx)
{
    (void)none;
    (void)what;
    ldm_connections_sweep(((ldm_http *)ctx)->connections);
}

bool ldm_http_gone(ldm_exchange *x)
{
    const int fd = fd_of(x);
    char byte;
    ssize_t n;

    if (fd < 0)
        return true;
    n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* ---- requests -------------------------------------------------------------------------------- */

static size_t count_headers(struct evkeyvalq *headers, const char *name)
{
    const struct evkeyval *h;
    size_t n = 0;

    for (h = headers->tqh_first; h; h = h->next.tqe_next)
        n += !strcasecmp(h->key, name);
    return n;
}

static unsigned method_of(struct evhttp_request *req)
{
    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
    case EVHTTP_REQ_HEAD:
        return LDM_HTTP_GET;
    case EVHTTP_REQ_POST:
        return LDM_HTTP_POST;
    case EVHTTP_REQ_DELETE:
        return LDM_HTTP_DELETE;
    default:
        return 0;
    }
}

/* Of these the rules would see the first one only. */
static bool repeats(struct evkeyvalq *headers)
{
    static const char *const names[] = {"Origin",       "Sec-Fetch-Site", "Sec-Fetch-Mode",
                                        "Content-Type", "Authorization",  "X-Api-Key"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (count_headers(headers, names[i]) > 1)
            return true;
    }
    return false;
}

static ldm_guarded guarded(const ldm_exchange *x)
{
    const ldm_head *head = ldm_connections_head(x->http->connections, fd_of(x));
    struct evkeyvalq *h = evhttp_request_get_input_headers(x->req);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(x->req);

    return (ldm_guarded){
        .host = evhttp_find_header(h, "Host"),
        .host_count = count_headers(h, "Host"),
        .length_count = count_headers(h, "Content-Length"),
        .coding_count = count_headers(h, "Transfer-Encoding"),
        .coding = evhttp_find_header(h, "Transfer-Encoding"),
        .origin = evhttp_find_header(h, "Origin"),
        .site = evhttp_find_header(h, "Sec-Fetch-Site"),
        .mode = evhttp_find_header(h, "Sec-Fetch-Mode"),
        .type = evhttp_find_header(h, "Content-Type"),
        .authorization = evhttp_find_header(h, "Authorization"),
        .api_key = evhttp_find_header(h, "X-Api-Key"),
        .repeated = repeats(h),
        .odd = head && head->odd,
        .absolute = uri && evhttp_uri_get_host(uri),
        .changes = x->method != LDM_HTTP_GET,
        .body = x->body_size > 0,
        .page = !strcmp(x->path, "/"),
        .open = !strcmp(x->path, "/") || !strcmp(x->path, "/health"),
    };
}

/* Whether the path is the route's; the names of its "*" go to x. */
static bool matches(const char *route, ldm_exchange *x)
{
    const char *path = x->path;
    size_t n = 0;

    for (; *route; route++) {
        size_t len;

        if (*route != '*') {
            if (*route != *path++)
                return false;
            continue;
        }
        len = strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
        if (!len || len >= LDM_HTTP_NAME)
            return false;
        memcpy(x->names[n], path, len);
        x->names[n++][len] = '\0';
        path += len;
    }
    return !*path;
}

/* The methods of a path, as the answer to another one has to list them. */
static void say_allowed(ldm_exchange *x, unsigned methods)
{
    char text[32];

    snprintf(text, sizeof text, "%s%s%s", methods & LDM_HTTP_GET ? ", GET, HEAD" : "",
             methods & LDM_HTTP_POST ? ", POST" : "", methods & LDM_HTTP_DELETE ? ", DELETE" : "");
    ldm_http_say(x, "Allow", text + 2);
}

static void dispatch(ldm_exchange *x)
{
    const ldm_http_options *o = x->http->options;
    unsigned known = 0;

    for (size_t i = 0; i < o->route_count; i++) {
        if (!matches(o->routes[i].path, x))
            continue;
        known |= o->routes[i].methods;
        if (o->routes[i].methods & x->method) {
            o->routes[i].handle(o->app, x);
            return;
        }
    }
    if (known)
        say_allowed(x, known);
    o->refuse(x, known ? 405 : 404,
              known ? "this method is not for this path" : "there is nothing here");
}

static bool is_listed(const ldm_guard *g, const char *origin)
{
    for (const char *const *o = g->origins; origin && o && *o; o++) {
        if (!strcmp(*o, origin))
            return true;
    }
    return false;
}

/* What a listed site's browser asks before a request. */
static void answer_preflight(ldm_exchange *x)
{
    ldm_http_say(x, "Access-Control-Allow-Methods", "GET, POST, DELETE");
    ldm_http_say(x, "Access-Control-Allow-Headers",
                 "Authorization, Content-Type, X-Api-Key, Idempotency-Key");
    ldm_http_answer(x, 204, "text/plain", "", 0);
}

static ldm_exchange *exchange_of(ldm_http *h, struct evhttp_request *req)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
    ldm_exchange *x = ldm_calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->http = h;
    x->req = req;
    x->method = method_of(req);
    x->path = uri ? evhttp_uri_get_path(uri) : NULL;
    if (!x->path || !*x->path)
        x->path = "/";
    x->query.tqh_last = &x->query.tqh_first;
    if (query && evhttp_parse_query_str(query, &x->query)) {
        x->query.tqh_first = NULL;
        x->query.tqh_last = &x->query.tqh_first;
    }
    x->body_size = evbuffer_get_length(in);
    if (!evbuffer_add(in, "", 1))
        x->body = (const char *)evbuffer_pullup(in, -1);
    if (!x->body) {
        evhttp_clear_headers(&x->query);
        ldm_free(x);
        return NULL;
    }
    return x;
}

/* A body was announced and not read: its bytes are still to come. */
static bool leaves_body(const ldm_exchange *x)
{
    const char *length = ldm_http_header(x, "Content-Length");

    return !x->body_size &&
           (ldm_http_header(x, "Transfer-Encoding") || (length && length[strspn(length, " 0")]));
}

static void on_request(struct evhttp_request *req, void *ctx)
{
    ldm_http *h = ctx;
    ldm_exchange *x = exchange_of(h, req);
    const ldm_guard *g = &h->options->guard;
    ldm_guarded facts;
    const char *why;
    int status;

    h->served++;
    if (!x) {
        evhttp_send_error(req, 500, NULL);
        return;
    }
    ldm_connections_mark(h->connections, fd_of(x), true);
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_close, x);
    facts = guarded(x);
    if (evhttp_request_get_command(req) == EVHTTP_REQ_OPTIONS && is_listed(g, facts.origin))
        facts.open = true; /* browsers send no key here */
    status = ldm_guard_check(g, &facts, &why);
    if (is_listed(g, facts.origin)) {
        ldm_http_say(x, "Access-Control-Allow-Origin", facts.origin);
        ldm_http_say(x, "Vary", "Origin");
    }
    if (status || leaves_body(x))
        ldm_http_say(x, "Connection", "close");
    if (status) {
        if (status == 401)
            ldm_http_say(x, "WWW-Authenticate", "Bearer");
        h->options->refuse(x, status, why);
    } else if (evhttp_request_get_command(req) == EVHTTP_REQ_OPTIONS &&
               is_listed(g, facts.origin)) {
        answer_preflight(x);
    } else {
        dispatch(x);
    }
}

const char *ldm_http_path(const ldm_exchange *x)
{
    return x->path;
}

const char *ldm_http_name(const ldm_exchange *x, size_t i)
{
    return x->names[i];
}

const char *ldm_http_query(const ldm_exchange *x, const char *name)
{
    return evhttp_find_header(&x->query, name);
}

const char *ldm_http_header(const ldm_exchange *x, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(x->req), name);
}

const char *ldm_http_body(const ldm_exchange *x, size_t *size)
{
    *size = x->body_size;
    return x->body;
}

/* Brackets inside brackets, outside of texts: jansson follows 2048. */
static bool is_deep(const char *text, size_t size)
{
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < size; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && (text[i] == '}' || text[i] == ']'))
            depth--;
        if (depth > MAX_DEPTH)
            return true;
    }
    return false;
}

json_t *ldm_http_json(const ldm_exchange *x, char *why, size_t why_size)
{
    json_error_t wrong;
    json_t *root;
    bool valid;

    if (!x->body_size)
        return json_object();
    if (is_deep(x->body, x->body_size)) {
        snprintf(why, why_size, "the body's JSON is nested too deeply");
        return NULL;
    }
    root = json_loadb(x->body, x->body_size, JSON_REJECT_DUPLICATES, &wrong);
    if (json_is_object(root))
        return root;
    if (root) {
        snprintf(why, why_size, "the body is no JSON object");
    } else {
        const char *reason = ldm_json_wrong(&wrong, &valid);

        snprintf(why, why_size, "the body%s: line %d, column %d: %s", valid ? "" : " is no JSON",
                 wrong.line, wrong.column, reason);
    }
    json_decref(root);
    return NULL;
}

void **ldm_http_slot(ldm_exchange *x)
{
    return &x->slot;
}

/* ---- answers --------------------------------------------------------------------------------- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}

void ldm_http_say(ldm_exchange *x, const char *name, const char *value)
{
    struct evkeyvalq *h = evhttp_request_get_output_headers(x->req);

    evhttp_remove_header(h, name);
    evhttp_add_header(h, name, value);
}

/* Headers of every answer. */
static void say_common(ldm_exchange *x, const char *type)
{
    static const char policy[] = "Content-Security-Policy";

    ldm_http_say(x, "Content-Type", type);
    ldm_http_say(x, "X-Content-Type-Options", "nosniff");
    ldm_http_say(x, "Referrer-Policy", "no-referrer");
    ldm_http_say(x, "X-Frame-Options", "DENY");
    ldm_http_say(x, "Cross-Origin-Opener-Policy", "same-origin");
    if (!evhttp_find_header(evhttp_request_get_output_headers(x->req),
                            "Access-Control-Allow-Origin"))
        ldm_http_say(x, "Cross-Origin-Resource-Policy", "same-origin");
    if (!evhttp_find_header(evhttp_request_get_output_headers(x->req), "Cache-Control"))
        ldm_http_say(x, "Cache-Control", "no-store");
    if (!evhttp_find_header(evhttp_request_get_output_headers(x->req), policy))
        ldm_http_say(x, policy, "default-src 'none'; frame-ancestors 'none'");
}

/* Ends the exchange; libevent has the answer, or nobody waits for it. Of the next request on the
 * connection some bytes may be there. */
static void finish(ldm_exchange *x)
{
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);
    ldm_head *head = ldm_connections_head(x->http->connections, fd_of(x));

    ldm_connections_mark(x->http->connections, fd_of(x), false);
    if (head) {
        *head = (ldm_head){0};
        read_head(bufferevent_get_input(evhttp_connection_get_bufferevent(c)), 0, head);
    }
    if (!x->gone && evhttp_request_get_connection(x->req))
        evhttp_connection_set_closecb(evhttp_request_get_connection(x->req), NULL, NULL);
}

static void exchange_free(ldm_exchange *x)
{
    evhttp_clear_headers(&x->query);
    ldm_free(x);
}

void ldm_http_answer(ldm_exchange *x, int status, const char *type, const void *data, size_t size)
{
    const bool head = evhttp_request_get_command(x->req) == EVHTTP_REQ_HEAD;
    struct evbuffer *out = evbuffer_new();
    char length[24];

    say_common(x, type);
    if (head) {
        snprintf(length, sizeof length, "%zu", size);
        ldm_http_say(x, "Content-Length", length);
        size = 0;
    }
    if (!out || (size && evbuffer_add(out, data, size)))
        status = 500;
    finish(x);
    evhttp_send_reply(x->req, status, reason(status), status == 204 ? NULL : out);
    if (out)
        evbuffer_free(out);
    exchange_free(x);
}

void ldm_http_answer_json(ldm_exchange *x, int status, json_t *root)
{
    static const char memory[] =
        "{\"error\":{\"code\":\"ERR_NOMEM\",\"message\":\"out of memory\"}}";
    ldm_str text = {0};

    if (ldm_json_append(root, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17), &text))
        ldm_http_answer(x, status, "application/json", text.data, text.len);
    else
        ldm_http_answer(x, 500, "application/json", memory, sizeof memory - 1);
    ldm_str_free(&text);
    json_decref(root);
}

void ldm_http_stream_begin(ldm_exchange *x)
{
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);
    const struct timeval write = {x->http->options->seconds, 0};

    ldm_http_say(x, "Connection", "close");
    ldm_http_say(x, "X-Accel-Buffering", "no");
    say_common(x, "text/event-stream");
    x->streaming = true;
    if (c && !x->gone)
        bufferevent_set_timeouts(evhttp_connection_get_bufferevent(c), NULL, &write);
    evhttp_send_reply_start(x->req, 200, "OK");
}

bool ldm_http_stream(ldm_exchange *x, const char *data, size_t size)
{
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);
    struct evbuffer *out;
    bool fine;

    if (!c || x->gone)
        return false;
    if (evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(c))) >
        SLOW_BYTES) {
        shutdown(fd_of(x), SHUT_RDWR);
        return false;
    }
    out = evbuffer_new();
    fine = out && !evbuffer_add(out, data, size);
    if (fine)
        evhttp_send_reply_chunk(x->req, out);
    if (out)
        evbuffer_free(out);
    return fine;
}

void ldm_http_stream_end(ldm_exchange *x)
{
    finish(x);
    evhttp_send_reply_end(x->req);
    exchange_free(x);
}

/* ---- listening ------------------------------------------------------------------------------- */

ldm_status ldm_http_create(struct event_base *base, const ldm_http_options *o, ldm_http **out,
                           ldm_error *err)
{
    const struct timeval second = {1, 0};
    ldm_http *h = ldm_calloc(1, sizeof *h);

    *out = NULL;
    if (!h)
        return ldm_error_nomem(err, sizeof *h, "the server");
    h->base = base;
    h->options = o;
    h->connections = ldm_connections_create(o->connections, o->address_share, o->seconds);
    h->evhttp = evhttp_new(base);
    h->sweep = event_new(base, -1, EV_PERSIST, on_sweep, h);
    if (!h->connections || !h->evhttp || !h->sweep || event_add(h->sweep, &second)) {
        ldm_http_free(h);
        return ldm_error_nomem(err, sizeof *h, "the server");
    }
    evhttp_set_max_headers_size(h->evhttp, (ev_ssize_t)o->header_bytes);
    evhttp_set_max_body_size(h->evhttp, (ev_ssize_t)o->body_bytes);
    /* those that no path has, too, and words that libevent does not know: they are answered with
     * 405 and what is allowed, not with libevent's own page */
    evhttp_set_allowed_methods(h->evhttp, UINT16_MAX);
    evhttp_set_timeout(h->evhttp, o->seconds);
    evhttp_set_default_content_type(h->evhttp, NULL);
    evhttp_set_bevcb(h->evhttp, make_connection, h);
    evhttp_set_gencb(h->evhttp, on_request, h);
    *out = h;
    return LDM_OK;
}

void ldm_http_close_listeners(ldm_http *h)
{
    for (size_t i = 0; i < h->listener_count; i++)
        evhttp_del_accept_socket(h->evhttp, h->listeners[i]);
    h->listener_count = 0;
    if (h->unix_path)
        unlink(h->unix_path);
    ldm_free(h->unix_path);
    h->unix_path = NULL;
}

void ldm_http_free(ldm_http *h)
{
    if (!h)
        return;
    ldm_http_close_listeners(h);
    if (h->sweep)
        event_free(h->sweep);
    if (h->evhttp)
        evhttp_free(h->evhttp);
    ldm_connections_free(h->connections);
    ldm_free(h);
}

static void keep_listener(ldm_http *h, struct evhttp_bound_socket *socket)
{
    h->listeners[h->listener_count++] = socket;
}

ldm_status ldm_http_listen(ldm_http *h, const char *address, int port, int *bound, ldm_error *err)
{
    struct evhttp_bound_socket *s;
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char text[16];

    if (h->listener_count == MAX_LISTENERS)
        return ldm_error_set(err, LDM_ERR_USAGE, "at most %d addresses", MAX_LISTENERS);
    s = evhttp_bind_socket_with_handle(h->evhttp, address, (ev_uint16_t)port);
    if (!s)
        return ldm_error_set(err, LDM_ERR_IO, "%s, port %d: cannot listen there: %s", address, port,
                             strerror(errno));
    keep_listener(h, s);
    *bound = port;
    if (!port && !getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&at, &len) &&
        !getnameinfo((struct sockaddr *)&at, len, NULL, 0, text, sizeof text, NI_NUMERICSERV))
        *bound = atoi(text);
    return LDM_OK;
}

/* Whether somebody listens on the socket of that name. */
static bool is_alive(const struct sockaddr_un *at)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool alive = fd >= 0 && !connect(fd, (const struct sockaddr *)at, sizeof *at);

    if (fd >= 0)
        close(fd);
    return alive;
}

static int bind_unix(const struct sockaddr_un *at)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t mask = umask(0077); /* the socket is this user's alone */
    const bool fine =
        fd >= 0 && !bind(fd, (const struct sockaddr *)at, sizeof *at) && !listen(fd, 128);
    const int why = errno;

    umask(mask);
    if (!fine && fd >= 0)
        close(fd);
    errno = why;
    return fine ? fd : -1;
}

ldm_status ldm_http_listen_unix(ldm_http *h, const char *path, ldm_error *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct evhttp_bound_socket *s;
    struct stat st;
    int fd;

    if (strlen(path) >= sizeof at.sun_path)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: a socket's name has at most %zu bytes", path,
                             sizeof at.sun_path - 1);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    if (!lstat(path, &st)) {
        if (!S_ISSOCK(st.st_mode) || is_alive(&at))
            return ldm_error_set(err, LDM_ERR_IO, "%s: %s", path,
                                 S_ISSOCK(st.st_mode) ? "another server listens there"
                                                      : "this is no socket");
        unlink(path);
    }
    fd = bind_unix(&at);
    s = fd >= 0 ? evhttp_accept_socket_with_handle(h->evhttp, fd) : NULL;
    h->unix_path = s ? ldm_strdup(path) : NULL;
    if (!h->unix_path) {
        const int why = errno;

        if (!s && fd >= 0)
            close(fd);
        return ldm_error_set(err, LDM_ERR_IO, "%s: cannot listen there: %s", path, strerror(why));
    }
    keep_listener(h, s);
    return LDM_OK;
}

size_t ldm_http_connections(ldm_http *h)
{
    return ldm_connections_count(h->connections);
}

unsigned long ldm_http_served(const ldm_http *h)
{
    return h->served;
}
