/* SPDX-License-Identifier: MIT */
/* A server under test and its client; see client.h. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ARGS = 40 };

double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void sleep_ms(int ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&t, NULL);
}

/* ---- the server ------------------------------------------------------------------------------ */

/* Whether the options say which models there are. */
static bool names_models(const char *const *more)
{
    return more && *more && (!strcmp(*more, "--ckpt") || !strcmp(*more, "--models"));
}

static void run_server(const char *out, const char *const *more, int write_end)
{
    static const char *const tiny[] = {"--ckpt", "tests/data/tiny/model.ckpt", "--config",
                                       "tests/data/tiny/config.yaml", NULL};
    const char *args[MAX_ARGS] = {LDM_TEST_SERVER, "--threads", "1", "--port", "0", "--out", out};
    int n = 7;

    for (const char *const *t = tiny; *t && !names_models(more); t++)
        args[n++] = *t;
    for (; more && *more && n < MAX_ARGS - 1; more++)
        args[n++] = *more;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
    dup2(write_end, STDOUT_FILENO);
    execv(LDM_TEST_SERVER, (char *const *)(uintptr_t)args);
    _exit(127);
}

/* The port in "listening on http://127.0.0.1:PORT/". */
static int read_port(int fd)
{
    char line[200];
    size_t n = 0;
    const char *colon;

    while (n + 1 < sizeof line && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    colon = strrchr(line, ':');
    return colon && strstr(line, "http://") ? atoi(colon + 1) : 0;
}

server server_start(const char *out, const char *const *more)
{
    server s = {0};
    int ends[2];

    snprintf(s.out, sizeof s.out, "%s", out ? out : "/tmp/ldm-server-test.XXXXXX");
    if (!out)
        assert_non_null(mkdtemp(s.out));
    assert_int_equal(pipe(ends), 0);
    s.pid = fork();
    if (!s.pid) {
        close(ends[0]);
        run_server(s.out, more, ends[1]);
    }
    close(ends[1]);
    s.port = read_port(ends[0]);
    close(ends[0]);
    assert_true(s.port > 0);
    for (double begin = now();; sleep_ms(30)) {
        reply r = ask(&s, "GET", "/health", "", NULL);
        const int status = r.status;

        reply_free(&r);
        if (status == 200)
            return s;
        assert_true(now() - begin < 60);
    }
}

int server_stop(server *s, int sig)
{
    int status = 0;

    kill(s->pid, sig);
    waitpid(s->pid, &status, 0);
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void server_clean(const server *s)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", s->out);
    assert_int_equal(system(command), 0);
}

/* ---- the client ------------------------------------------------------------------------------ */

int client_connect(const server *s)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!connect(fd, (struct sockaddr *)&at, sizeof at))
        return fd;
    close(fd);
    return -1;
}

/* What the other side does not take is lost: it may have answered already. */
void client_send(int fd, const char *data, size_t size)
{
    size_t n = 0;

    while (n < size) {
        const ssize_t k = send(fd, data + n, size - n, MSG_NOSIGNAL);

        if (k <= 0)
            return;
        n += (size_t)k;
    }
}

char *client_read(int fd, double seconds, size_t *size, bool *cut)
{
    const double begin = now();
    size_t cap = 1 << 16, n = 0;
    char *data = malloc(cap);

    if (cut)
        *cut = false;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const double left = seconds - (now() - begin);
        ssize_t k;

        assert_non_null(data);
        if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) == 0) {
            if (cut)
                *cut = true;
            break;
        }
        k = read(fd, data + n, cap - n - 1);
        if (k <= 0)
            break;
        n += (size_t)k;
        if (n + 1 == cap)
            data = realloc(data, cap *= 2);
    }
    data[n] = '\0';
    if (size)
        *size = n;
    return data;
}

reply ask_bytes(const server *s, const char *method, const char *path, const char *headers,
                const void *body, size_t size)
{
    const char *type =
        strstr(headers, "Content-Type") || !body ? "" : "Content-Type: application/json\r\n";
    const char *host = strstr(headers, "Host:") ? "" : "Host: 127.0.0.1\r\n";
    const int fd = client_connect(s);
    reply r = {0};
    char head[4096];
    size_t n;

    if (fd < 0)
        return r;
    snprintf(head, sizeof head,
             "%s %s HTTP/1.1\r\n%s%s%sConnection: close\r\nContent-Length: %zu\r\n\r\n", method,
             path, host, type, headers, size);
    client_send(fd, head, strlen(head));
    client_send(fd, body, size);
    r.all = client_read(fd, 60, &n, NULL);
    close(fd);
    if (n > 12 && !strncmp(r.all, "HTTP/1.", 7))
        r.status = atoi(r.all + 9);
    r.body = strstr(r.all, "\r\n\r\n");
    if (!r.body)
        return r;
    r.body += 4;
    r.body_size = n - (size_t)(r.body - r.all);
    r.json = json_loadb(r.body, r.body_size, JSON_DECODE_ANY, NULL);
    return r;
}

reply ask(const server *s, const char *method, const char *path, const char *headers,
          const char *body)
{
    return ask_bytes(s, method, path, headers, body, body ? strlen(body) : 0);
}

void reply_free(reply *r)
{
    free(r->all);
    json_decref(r->json);
    memset(r, 0, sizeof *r);
}

const char *reply_text(const reply *r, const char *key)
{
    const char *text = json_string_value(json_object_get(r->json, key));

    assert_non_null(text);
    return text;
}

void submit(const server *s, const char *json, char *id)
{
    reply r = ask(s, "POST", "/api/v1/jobs", "", json);

    if (r.status != 202)
        print_error("%s\n", r.all);
    assert_int_equal(r.status, 202);
    snprintf(id, 33, "%s", reply_text(&r, "id"));
    reply_free(&r);
}

const char *state_of(const server *s, const char *id)
{
    static const char *const states[] = {"queued", "running",   "done",
                                         "failed", "cancelled", "broken"};
    const char *found = "gone";
    char path[64];
    reply r;

    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    r = ask(s, "GET", path, "", NULL);
    for (size_t i = 0; r.status == 200 && i < sizeof states / sizeof *states; i++) {
        if (!strcmp(states[i], reply_text(&r, "state")))
            found = states[i];
    }
    reply_free(&r);
    return found;
}

const char *wait_over(const server *s, const char *id, double seconds)
{
    const double begin = now();

    for (;;) {
        const char *state = state_of(s, id);

        if ((strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) ||
            now() - begin > seconds)
            return state;
        sleep_ms(20);
    }
}
