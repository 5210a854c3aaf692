/* SPDX-License-Identifier: MIT */
/* The page, whether the server is well, and its figures. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/str.h"
#include "server/page.h"
#include "server/server.h"

/* The page with a fresh nonce in the places that name one: its own script and style, and no others,
 * run. */
static void get_page(void *app, ldm_exchange *x)
{
    static const char mark[] = "@NONCE@";
    const char *at = (const char *)ldm_page_html, *next;
    char nonce[33], policy[400];
    ldm_str page = {0};

    (void)app;
    if (!ldm_random_hex(nonce, 16)) {
        ldm_answer_refused(x, 500, "/dev/urandom cannot be read");
        return;
    }
    for (; (next = strstr(at, mark)); at = next + sizeof mark - 1) {
        ldm_str_append(&page, at, (size_t)(next - at));
        ldm_str_puts(&page, nonce);
    }
    ldm_str_puts(&page, at);
    snprintf(policy, sizeof policy,
             "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; img-src 'self' "
             "data: blob:; "
             "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             nonce, nonce);
    ldm_http_say(x, "Content-Security-Policy", policy);
    if (page.failed)
        ldm_answer_refused(x, 500, "out of memory");
    else
        ldm_http_answer(x, 200, "text/html; charset=utf-8", page.data, page.len);
    ldm_str_free(&page);
}

static void get_health(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    ldm_error err;

    if (s->ending)
        ldm_answer_refused(x, 503, "shutting down");
    else if (ldm_worker_get_state(s->worker, &err) == LDM_WORKER_LOADING)
        ldm_answer_refused(x, 503, "loading the model");
    else
        ldm_http_answer_json(x, 200, json_pack("{s:s}", "status", "ok"));
}

static void get_metrics(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    const ldm_jobs_totals t = ldm_jobs_count(s->jobs);
    ldm_str out = {0};

    if (!s->metrics) {
        ldm_answer_refused(x, 404, "there is nothing here (--metrics)");
        return;
    }
    ldm_str_printf(&out, "# TYPE ldm_jobs_total counter\n");
    ldm_str_printf(&out, "ldm_jobs_total{state=\"done\"} %lu\n", t.done);
    ldm_str_printf(&out, "ldm_jobs_total{state=\"failed\"} %lu\n", t.failed);
    ldm_str_printf(&out, "ldm_jobs_total{state=\"cancelled\"} %lu\n", t.cancelled);
    ldm_str_printf(&out, "# TYPE ldm_pictures_total counter\nldm_pictures_total %lu\n", t.pictures);
    ldm_str_printf(&out, "# TYPE ldm_steps_total counter\nldm_steps_total %lu\n", t.steps);
    ldm_str_printf(&out, "# TYPE ldm_busy_seconds_total counter\nldm_busy_seconds_total %.3f\n",
                   t.busy_seconds);
    ldm_str_printf(&out, "# TYPE ldm_jobs_pending gauge\nldm_jobs_pending %zu\n",
                   ldm_jobs_pending(s->jobs));
    ldm_str_printf(&out, "# TYPE ldm_connections gauge\nldm_connections %zu\n",
                   ldm_http_connections(s->http));
    ldm_str_printf(&out, "# TYPE ldm_requests_total counter\nldm_requests_total %lu\n",
                   ldm_http_served(s->http));
    ldm_str_printf(&out, "# TYPE ldm_uptime_seconds gauge\nldm_uptime_seconds %.3f\n",
                   ldm_seconds() - s->started);
    ldm_str_printf(&out, "# TYPE process_cpu_seconds_total counter\n");
    ldm_str_printf(&out, "process_cpu_seconds_total %.6f\n", ldm_process_seconds());
    ldm_str_printf(&out, "# TYPE ldm_overhead_cpu_seconds_total counter\n");
    ldm_str_printf(&out, "ldm_overhead_cpu_seconds_total{of=\"answers\"} %.6f\n",
                   ldm_thread_seconds()); /* this thread does nothing else */
    ldm_str_printf(&out, "ldm_overhead_cpu_seconds_total{of=\"progress\"} %.6f\n",
                   ldm_worker_progress_seconds(s->worker));
    ldm_http_answer(x, 200, "text/plain; version=0.0.4", out.data ? out.data : "", out.len);
    ldm_str_free(&out);
}

static void get_openapi(void *app, ldm_exchange *x)
{
    (void)app;
    ldm_http_answer(x, 200, "application/json", ldm_openapi_json,
                    strlen((const char *)ldm_openapi_json));
}

const ldm_route ldm_page_routes[] = {
    {LDM_HTTP_GET, "/", get_page},
    {LDM_HTTP_GET, "/health", get_health},
    {LDM_HTTP_GET, "/metrics", get_metrics},
    {LDM_HTTP_GET, "/openapi.json", get_openapi},
};

const size_t ldm_page_route_count = sizeof ldm_page_routes / sizeof *ldm_page_routes;
