/* SPDX-License-Identifier: MIT */
/* What libevent leaves to the server: clients that leave, quiet streams, too many connections,
 * requests that two readers read in two ways, slow and huge ones. And what a stranger tries. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

static const char long_job[] = "{\"settings\":{\"steps\":1000,\"count\":100}}"; /* minutes */

static int send_text(const server *s, const char *text)
{
    const int fd = client_connect(s);

    assert_true(fd >= 0);
    client_send(fd, text, strlen(text));
    return fd;
}

/* The status of a request that is sent as it stands; 0: closed without an answer, or none came in
 * time. */
static int raw_within(const server *s, const char *text, double seconds)
{
    const int fd = send_text(s, text);
    const double begin = now();
    char head[13] = "";
    size_t n = 0, k;
    bool open = true;

    /* The status is enough: what was no request at all leaves the connection open. */
    while (open && n < sizeof head - 1 && now() - begin < seconds) {
        char *all = client_read(fd, 0.1, &k, &open);

        memcpy(head + n, all, k < sizeof head - 1 - n ? k : sizeof head - 1 - n);
        n += k;
        free(all);
    }
    close(fd);
    return !strncmp(head, "HTTP/1.", 7) ? atoi(head + 9) : 0;
}

static int raw(const server *s, const char *text)
{
    return raw_within(s, text, 20);
}

/* Whether a text comes on the connection within five seconds and before it is closed, whatever else
 * the machine does. */
static bool comes(int fd, const char *what)
{
    bool found = false, open = true;

    for (int i = 0; i < 50 && !found && open; i++) {
        char *all = client_read(fd, 0.1, NULL, &open);

        found = strstr(all, what) != NULL;
        free(all);
    }
    return found;
}

/* A connection that is answered, once the server has seen that others were closed. */
static int answered(const server *s, const char *text)
{
    for (double begin = now();; sleep_ms(50)) {
        const int fd = send_text(s, text);

        if (comes(fd, "HTTP/1.1 200 OK"))
            return fd;
        close(fd);
        assert_true(now() - begin < 30);
    }
}

/* Waits for the newest job to be there, and with `running` to run. */
static void wait_newest(const server *s, bool running, char id[33])
{
    const double begin = now();

    for (*id = '\0'; !*id; sleep_ms(20)) {
        reply r = ask(s, "GET", "/api/v1/jobs?limit=1", "", NULL);
        const json_t *job = json_array_get(json_object_get(r.json, "jobs"), 0);
        const char *is = json_string_value(json_object_get(job, "state"));

        if (is && (!running || !strcmp(is, "running")))
            snprintf(id, 33, "%s", json_string_value(json_object_get(job, "id")));
        reply_free(&r);
        assert_true(now() - begin < 20);
    }
}

static int status_of(const server *s, const char *path)
{
    reply r = ask(s, "POST", path, "", "{}");
    const int status = r.status;

    reply_free(&r);
    return status;
}

static void assert_well(const server *s)
{
    reply r = ask(s, "GET", "/health", "", NULL);

    assert_int_equal(r.status, 200);
    reply_free(&r);
}

static void a_client_that_leaves_cancels_its_job(void **state)
{
    static const char *const paths[] = {"/sdapi/v1/txt2img", "/v1/images/generations"};
    server s = server_start(NULL, NULL);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[400], id[33];
        const char body[] = "{\"prompt\":\"\",\"steps\":1000,\"batch_size\":10,\"n\":10}";
        int fd;

        snprintf(text, sizeof text,
                 "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                 "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 paths[i], strlen(body), body);
        fd = send_text(&s, text);
        wait_newest(&s, true, id);
        close(fd);
        assert_string_equal(wait_over(&s, id, 20), "cancelled");
    }
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

static void a_client_that_leaves_may_let_it_go_on(void **state)
{
    static const char *const options[] = {"--keep-going", NULL};
    server s = server_start(NULL, options);
    const int fd = send_text(
        &s,
        "POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 12\r\n\r\n{\"steps\":40}");
    char id[33];

    (void)state;
    wait_newest(&s, false, id);
    close(fd);
    assert_string_equal(wait_over(&s, id, 20), "done");
    server_stop(&s, SIGTERM);
    server_clean(&s);
}

/* A stream outlives the time-out of idle connections many times over. */
static void a_stream_is_not_cut(void **state)
{
    static const char *const options[] = {"--timeout", "1", NULL};
    server s = server_start(NULL, options);
    char first[33], second[33], text[200];
    char *all;
    bool cut;
    int fd;

    (void)state;
    submit(&s, long_job, first);
    submit(&s, long_job, second); /* waits: its stream is quiet */
    snprintf(text, sizeof text, "GET /api/v1/jobs/%s/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
             second);
    fd = send_text(&s, text);
    all = client_read(fd, 4, NULL, &cut);
    assert_true(cut); /* by us */
    assert_non_null(strstr(all, "event: progress"));
    free(all);
    assert_int_equal(status_of(&s, "/api/v1/jobs/none/cancel"), 404);
    snprintf(text, sizeof text, "/api/v1/jobs/%s/cancel", second);
    assert_int_equal(status_of(&s, text), 200);
    all = client_read(fd, 10, NULL, &cut);
    assert_false(cut);
    assert_non_null(strstr(all, "event: done"));
    assert_non_null(strstr(all, "\"state\":\"cancelled\""));
    free(all);
    close(fd);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

static void connections_are_counted(void **state)
{
    static const char *const options[] = {"--connections", "6", NULL};
    static const char ping[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    server s = server_start(NULL, options);
    int fds[6];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 6; i++)
            fds[i] = answered(&s, ping);
        assert_int_equal(raw(&s, ping), 503);
        close(fds[0]);
        fds[0] = answered(&s, ping);
        for (size_t i = 0; i < 6; i++)
            close(fds[i]);
    }
    server_stop(&s, SIGTERM);
    server_clean(&s);
}

static void ambiguous_requests_are_refused(void **state)
{
    server s = server_start(NULL, NULL);

    (void)state;
    assert_int_equal(raw(&s, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                             "2\r\nContent-Length: 40\r\n\r\n{}"),
                     400);
    assert_int_equal(raw(&s,
                         "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                     400);
    assert_int_equal(
        raw(&s, "GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n"), 400);
    assert_int_equal(raw(&s, "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
                     400);
    assert_int_equal(raw(&s, "GET /health HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(raw(&s, "GET /health HTTP/1.1\r\nHost: \r\n\r\n"), 400);
    assert_int_equal(raw(&s, "GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                     400);
    assert_int_equal(raw(&s, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 403);
    assert_int_equal(raw(&s, "OPTIONS /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nOrigin: "
                             "http://evil.example\r\n\r\n"),
                     403);
    assert_int_equal(
        raw(&s, "BREW /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), 405);
    /* No request at all: it may be left without an answer. */
    assert_int_not_equal(
        raw_within(&s, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 garbage\r\n\r\n", 2), 200);
    assert_well(&s);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

/* What stands in a body is never taken for a request, whatever the method; the answer to HEAD has
 * no body. */
/* Requests that another reader may take for something else. text: with `size` bytes, NUL among
 * them.
 */
static void odd_heads_are_refused(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        const char *answer; /* the last one on the connection */
    } heads[] = {
#define HEAD(text, answer) {text, sizeof text - 1, answer}
#define WELL "GET /health HTTP/1.1\r\nHost: localhost\r\n"
#define CLOSE "Connection: close\r\n\r\n"
        HEAD(WELL "X: a\r\n" CLOSE, "HTTP/1.1 200 "),
        HEAD(WELL "X: a\0b\r\n" CLOSE, "HTTP/1.1 400 "),
        HEAD("GET /health HTTP/1.1\r\nHost: localhost\0.evil.example\r\n" CLOSE, "HTTP/1.1 400 "),
        HEAD(WELL "X: a\r\n b\r\n" CLOSE, "HTTP/1.1 400 "),
        HEAD(WELL "X: a\rb\r\n" CLOSE, "HTTP/1.1 400 "),
        HEAD(WELL "\r\n" WELL CLOSE, "HTTP/1.1 200 "), /* the second of two at once */
        HEAD(WELL "\r\n" WELL "X: a\0b\r\n" CLOSE, "HTTP/1.1 400 "),
        HEAD(WELL "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n" CLOSE,
             "HTTP/1.1 400 "),
        HEAD(WELL "Origin: http://localhost\r\nOrigin: http://evil.example\r\n" CLOSE,
             "HTTP/1.1 400 "),
        HEAD("POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
             "Content-Type: application/json\r\nContent-Type: text/plain\r\n"
             "Connection: close\r\n\r\n{}",
             "HTTP/1.1 400 "),
#undef CLOSE
#undef WELL
#undef HEAD
    };
    server s = server_start(NULL, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const int fd = client_connect(&s);
        const char *last = NULL;
        char *all;

        assert_true(fd >= 0);
        client_send(fd, heads[i].text, heads[i].size);
        all = client_read(fd, 20, NULL, NULL);
        for (const char *p = all; (p = strstr(p, "HTTP/1.1 ")) != NULL; p++)
            last = p;
        if (!last || strncmp(last, heads[i].answer, strlen(heads[i].answer)) != 0)
            fail_msg("request %zu: %s", i, all);
        free(all);
        close(fd);
    }
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

static void bodies_are_no_requests(void **state)
{
    static const char *const methods[] = {"GET",   "HEAD", "DELETE", "OPTIONS",
                                          "TRACE", "PUT",  "POST",   "QUERY"};
    static const char inner[] =
        "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    server s = server_start(NULL, NULL);
    char text[600], *all;
    reply r;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof methods / sizeof *methods; i++) {
        int fd;

        if (i % 2)
            snprintf(text, sizeof text,
                     "%s /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                     methods[i / 2], sizeof inner - 1, inner);
        else
            snprintf(text, sizeof text,
                     "%s /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "%zx\r\n%s\r\n0\r\n\r\n",
                     methods[i / 2], sizeof inner - 1, inner);
        fd = send_text(&s, text);
        all = client_read(fd, 1, NULL, NULL);
        if (count_of(all, "HTTP/1.1 ") != 1)
            fail_msg("%s: %s", text, all);
        free(all);
        close(fd);
    }
    r = ask(&s, "GET", "/api/v1/jobs", "", NULL);
    assert_int_equal(json_integer_value(json_object_get(r.json, "total")), 0);
    reply_free(&r);
    {
        const int fd =
            send_text(&s, "HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          "PUT /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

        all = client_read(fd, 2, NULL, NULL);
        assert_non_null(strstr(all, "Content-Length: 15\r\n"));
        assert_non_null(strstr(all, "\r\n\r\nHTTP/1.1 405 ")); /* right after the head */
        assert_non_null(strstr(all, "\r\nAllow: GET, HEAD\r\n"));
        free(all);
        close(fd);
    }
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

static void slow_and_huge_requests_are_cut(void **state)
{
    static const char *const options[] = {"--timeout", "1", NULL};
    server s = server_start(NULL, options);
    const size_t size = 64 << 20;
    char *big = malloc(size);
    int fd = send_text(&s, "GET /health HTTP/1.1\r\nHost: loc");
    int drip = send_text(&s, "GET /health HTTP/1.1\r\n");
    char *all;
    bool cut;

    (void)state;
    assert_non_null(big);
    for (int i = 0; i < 30; i++) { /* a byte now and then keeps no connection */
        client_send(drip, "x", 1);
        sleep_ms(120);
    }
    all = client_read(drip, 0.5, NULL, &cut);
    assert_false(cut);
    free(all);
    close(drip);
    all = client_read(fd, 5, NULL, &cut);
    assert_false(cut);
    free(all);
    close(fd);

    memset(big, 'a', size);
    fd = send_text(&s, "GET /health HTTP/1.1\r\nHost: localhost\r\nX: ");
    client_send(fd, big, 10 << 20); /* 10 MB of headers */
    all = client_read(fd, 5, NULL, &cut);
    assert_false(cut);
    assert_null(strstr(all, "200 OK"));
    free(all);
    close(fd);
    fd = send_text(
        &s, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Content-Length: 67108864\r\n\r\n");
    client_send(fd, big, size);
    all = client_read(fd, 10, NULL, &cut);
    assert_false(cut);
    assert_null(strstr(all, "202 Accepted"));
    free(all);
    close(fd);
    free(big);
    assert_well(&s);
    server_stop(&s, SIGTERM);
    server_clean(&s);
}

static void paths_lead_nowhere(void **state)
{
    static const char *const paths[] = {"/api/v1/pictures/../../etc/passwd",
                                        "/api/v1/pictures/%2e%2e/%2e%2e/job.json",
                                        "/../../etc/passwd",
                                        "/api/v1/pictures/00000000000000000000000000000000/0",
                                        "/api/v1/pictures/0000000000000000000000000000000g/0",
                                        "/api/v1/jobs/../models",
                                        "/api/v1/jobs/%00",
                                        "/api/v1/pictures/a/..%2f..%2fjob.json",
                                        "//etc/passwd",
                                        "/api/v1/jobs/",
                                        "/api/v1/",
                                        "/generated_outputs/server",
                                        "/page.html",
                                        "/api/v1/pictures//0"};
    server s = server_start(NULL, NULL);
    char id[33], path[128];

    (void)state;
    submit(&s, "{\"settings\":{\"steps\":2}}", id);
    assert_string_equal(wait_over(&s, id, 20), "done");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        reply r = ask(&s, "GET", paths[i], "", NULL);

        if (r.status != 404 && r.status != 400)
            fail_msg("%s: %d", paths[i], r.status);
        reply_free(&r);
    }
    for (int i = 0; i < 4; i++) {
        static const char *const tails[] = {"1", "-1", "00000000000000000000", "job.json"};
        reply r;

        snprintf(path, sizeof path, "/api/v1/pictures/%s/%s", id, tails[i]);
        r = ask(&s, "GET", path, "", NULL);
        assert_int_equal(r.status, 404);
        reply_free(&r);
    }
    server_stop(&s, SIGTERM);
    server_clean(&s);
}

static void keys_and_answers_headers(void **state)
{
    char file[] = "/tmp/ldm-server-key.XXXXXX";
    const char *options[] = {"--api-key-file", file, NULL};
    const int fd = mkstemp(file);
    server s;
    reply r;

    (void)state;
    assert_int_equal(write(fd, "sesame-open\n", 12), 12);
    close(fd);
    s = server_start(NULL, options);
    r = ask(&s, "GET", "/api/v1/model", "", NULL);
    assert_int_equal(r.status, 401);
    reply_free(&r);
    r = ask(&s, "GET", "/api/v1/model", "Authorization: Bearer sesame-open\r\n", NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.all, "X-Content-Type-Options: nosniff"));
    assert_non_null(strstr(r.all, "Content-Security-Policy: default-src 'none'"));
    assert_null(strstr(r.all, "Access-Control"));
    assert_null(strstr(r.body, "/data/")); /* no path of this machine */
    reply_free(&r);
    r = ask(&s, "GET", "/", "", NULL); /* the page asks for the key */
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.all, "script-src 'nonce-"));
    assert_null(strstr(r.all, "@NONCE@"));
    reply_free(&r);
    server_stop(&s, SIGTERM);
    server_clean(&s);
    unlink(file);
}

static void metrics_are_said_where_asked_for(void **state)
{
    static const char *const options[] = {"--metrics", NULL},
                             *const names[] = {
                                 "ldm_steps_total 3\n", "process_cpu_seconds_total 0.",
                                 "ldm_overhead_cpu_seconds_total{of=\"answers\"} 0.",
                                 "ldm_overhead_cpu_seconds_total{of=\"progress\"} 0."};
    server s = server_start(NULL, options);
    char id[33];
    reply r;

    (void)state;
    submit(&s, "{\"settings\":{\"steps\":3}}", id);
    assert_string_equal(wait_over(&s, id, 30), "done");
    r = ask(&s, "GET", "/metrics", "", NULL);
    assert_int_equal(r.status, 200);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(strstr(r.body, names[i]));
    assert_null(strstr(r.body, "0.000000\n")); /* each of them has used some */
    reply_free(&r);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
    s = server_start(NULL, NULL);
    r = ask(&s, "GET", "/metrics", "", NULL);
    assert_int_equal(r.status, 404);
    reply_free(&r);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_leaves_cancels_its_job),
        cmocka_unit_test(a_client_that_leaves_may_let_it_go_on),
        cmocka_unit_test(a_stream_is_not_cut),
        cmocka_unit_test(connections_are_counted),
        cmocka_unit_test(ambiguous_requests_are_refused),
        cmocka_unit_test(odd_heads_are_refused),
        cmocka_unit_test(bodies_are_no_requests),
        cmocka_unit_test(slow_and_huge_requests_are_cut),
        cmocka_unit_test(paths_lead_nowhere),
        cmocka_unit_test(keys_and_answers_headers),
        cmocka_unit_test(metrics_are_said_where_asked_for),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
