/* SPDX-License-Identifier: MIT */
/* The server's own interface, /api/v1: jobs, events, pictures, models. docs/SERVER.md describes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "server/base64.h"
#include "server/server.h"
#include "server/upload.h"
#include "server/waiting.h"

enum { DEFAULT_PAGE = 50, MAX_PAGE = 500 };

static void not_found(ldm_exchange *x)
{
    ldm_answer_refused(x, 404, "there is no such job or picture");
}

/* Reads a number of the query into *out, at most max; left as it is where there is none. False: it
 * is no number, and the request was answered. */
static bool query_number(ldm_exchange *x, const char *name, size_t max, size_t *out)
{
    const char *text = ldm_http_query(x, name);
    char *end = NULL;
    unsigned long v;
    ldm_refusal r;

    if (!text)
        return true;
    v = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (!end || *end) {
        ldm_refuse(&r, 422, "ERR_USAGE", name, "this is a whole number, not below 0");
        ldm_answer_refusal(x, &r);
        return false;
    }
    *out = v > max ? max : v;
    return true;
}

/* ---- tables and models ----------------------------------------------------------------------- */

static const char *type_name(ldm_setting_type t)
{
    static const char *const names[] = {"int",  "u64",   "real",  "bool", "choice",
                                        "text", "shape", "bytes", "list"};

    return names[t];
}

static json_t *choices_json(const ldm_setting_row *row)
{
    json_t *all = json_array();
    const char *c;

    for (size_t i = 0; (c = ldm_setting_choice(row, i)); i++)
        json_array_append_new(all, json_string(c));
    return all;
}

static json_t *row_json(const ldm_setting_row *row, const ldm_job *job)
{
    const char *key = ldm_setting_key(row);
    json_t *root = json_object();
    char *value = NULL;

    if (ldm_job_get(job, key, &value, NULL))
        value = NULL;
    json_object_set_new(root, "key", json_string(key));
    json_object_set_new(root, "type", json_string(type_name(ldm_setting_get_type(row))));
    json_object_set_new(root, "group", ldm_json_text(ldm_setting_group(row)));
    json_object_set_new(root, "arg", ldm_json_text(ldm_setting_arg(row)));
    json_object_set_new(root, "help", ldm_json_text(ldm_setting_help(row)));
    json_object_set_new(root, "help_no", ldm_json_text(ldm_setting_help_no(row)));
    json_object_set_new(root, "min", ldm_json_real(ldm_setting_min(row)));
    json_object_set_new(root, "max", ldm_json_real(ldm_setting_max(row)));
    json_object_set_new(root, "condition",
                        json_boolean(ldm_setting_flags(row) & LDM_SETTING_CONDITION));
    json_object_set_new(root, "choices", choices_json(row));
    json_object_set_new(root, "default", ldm_json_text(ldm_setting_default(row)));
    json_object_set_new(root, "value",
                        ldm_json_text(value)); /* with the open model's configuration */
    ldm_release(value);
    return root;
}

static void get_settings(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    json_t *all;
    ldm_job *job;
    ldm_error err;
    ldm_status st = ldm_shelf_job(s->shelf, ldm_shelf_first(s->shelf), &job, &err);

    if (st) {
        ldm_answer_failure(x, st, &err);
        return;
    }
    all = json_array();
    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);

        if (ldm_order_takes(row))
            json_array_append_new(all, row_json(row, job));
    }
    ldm_job_free(job);
    ldm_http_answer_json(x, 200, all);
}

static void get_model(void *app, ldm_exchange *x)
{
    ldm_http_answer_json(x, 200, ldm_shelf_model(((ldm_server *)app)->shelf));
}

static void get_models(void *app, ldm_exchange *x)
{
    ldm_http_answer_json(x, 200, ldm_shelf_list(((ldm_server *)app)->shelf));
}

static void get_check(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    const char *name = ldm_http_query(x, "model");
    char *report;
    ldm_error err;
    ldm_status st;

    if (!name || !*name)
        name = ldm_shelf_first(s->shelf);
    if (!ldm_shelf_has(s->shelf, name)) {
        ldm_answer_refused(x, 404, "there is no such model; /api/v1/models lists them");
        return;
    }
    st = ldm_shelf_check(s->shelf, name, &report, &err);
    if (st) {
        ldm_answer_failure(x, st, &err);
        return;
    }
    ldm_http_answer(x, 200, "application/json", report, strlen(report));
    ldm_release(report);
}

static void get_samplers(void *app, ldm_exchange *x)
{
    char *report;
    ldm_error err;
    ldm_status st = ldm_samplers(LDM_REPORT_JSON, &report, &err);

    (void)app;
    if (st) {
        ldm_answer_failure(x, st, &err);
        return;
    }
    ldm_http_answer(x, 200, "application/json", report, strlen(report));
    ldm_release(report);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void answer_job(ldm_server *s, ldm_exchange *x, const char *id, int status)
{
    json_t *job = ldm_jobs_describe(s->jobs, id);
    char url[96];

    if (!job) {
        not_found(x);
        return;
    }
    snprintf(url, sizeof url, "/api/v1/jobs/%s", id);
    json_object_set_new(job, "url", json_string(url));
    snprintf(url, sizeof url, "/api/v1/jobs/%s/events", id);
    json_object_set_new(job, "events", json_string(url));
    ldm_http_answer_json(x, status, job);
}

/* A picture of another job: {"job": ID, "index": N}. */
static bool take_picture(ldm_server *s, const json_t *from, const char *field, ldm_blob *out,
                         ldm_refusal *r)
{
    const char *id = json_string_value(json_object_get(from, "job"));
    const json_int_t index = json_integer_value(json_object_get(from, "index"));

    if (id && ldm_gallery_is_id(id) && index >= 0 && index < ldm_jobs_pictures(s->jobs, id))
        out->data = ldm_server_png(s, id, (int)index, &out->size);
    return out->data || ldm_refuse(r, 422, "ERR_USAGE", field, "there is no such picture");
}

/* "init" and "mask": base64, or for the former a picture that is here. */
static bool take_starts(ldm_server *s, const json_t *body, ldm_order *order, ldm_refusal *r)
{
    const json_t *init = json_object_get(body, "init"), *mask = json_object_get(body, "mask");

    if (json_is_object(init)) {
        if (!take_picture(s, init, "init", &order->init, r))
            return false;
    } else if (init && !json_is_null(init) &&
               !ldm_upload_take_text(s, LDM_UPLOAD_PICTURE, "init", init, &order->init, r)) {
        return false;
    }
    if (!mask || json_is_null(mask))
        return true;
    if (!order->init.data)
        return ldm_refuse(r, 422, "ERR_USAGE", "mask",
                          "a mask needs init, the picture that it is of");
    return ldm_upload_take_text(s, LDM_UPLOAD_MASK, "mask", mask, &order->mask, r);
}

/* Whether all fields of the body are known: what is passed over would make other pictures. */
static bool check_fields(const json_t *body, ldm_refusal *r)
{
    static const char *const fields[] = {"settings", "model", "recipe", "init", "mask", "preview"};
    const char *key;
    json_t *v;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)body, key, v) /* only read */
    {
        for (i = 0; i < sizeof fields / sizeof *fields && strcmp(key, fields[i]) != 0; i++)
            ;
        if (i < sizeof fields / sizeof *fields || json_is_null(v))
            continue;
        if (ldm_order_names(key))
            return ldm_refuse(r, 422, "ERR_USAGE", key,
                              "this is a setting and belongs into \"settings\": "
                              "{\"settings\": {\"%.60s\": ...}}",
                              key);
        return ldm_refuse(r, 422, "ERR_USAGE", key,
                          "there is no such field; expected settings, model, recipe, init, mask or "
                          "preview");
    }
    return true;
}

static bool read_order(ldm_server *s, const json_t *body, ldm_order *order, ldm_refusal *r)
{
    const json_t *settings = json_object_get(body, "settings"),
                 *model = json_object_get(body, "model");
    const json_t *recipe = json_object_get(body, "recipe"),
                 *preview = json_object_get(body, "preview");

    if (!check_fields(body, r))
        return false;
    if (preview && !json_is_null(preview) && !json_is_boolean(preview))
        return ldm_refuse(r, 422, "ERR_FORMAT", "preview", "this is true or false");
    if (settings && !json_is_null(settings) && !json_is_object(settings))
        return ldm_refuse(r, 422, "ERR_FORMAT", "settings",
                          "this is a JSON object of settings by key");
    if (model && !json_is_null(model) && !json_is_string(model))
        return ldm_refuse(r, 422, "ERR_FORMAT", "model", "this is a name");
    if (!ldm_order_make(s->shelf, &s->limits, json_string_value(model), settings,
                        json_is_null(recipe) ? NULL : recipe, false, order, r))
        return false;
    order->preview = json_is_true(preview);
    if (take_starts(s, body, order, r) && ldm_order_pictures(s->shelf, order, "init", "mask", r))
        return true;
    ldm_order_clear(order);
    return false;
}

/* {"settings": {...}, "model": name, "recipe": a picture's, "init": picture, "mask": picture,
 * "preview": whether the library makes some} */
static void post_job(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    json_t *body = ldm_request_json(x);
    char id[LDM_ID_LENGTH + 1];
    ldm_order order;
    ldm_refusal r;
    bool fine;

    if (!body)
        return;
    fine = read_order(s, body, &order, &r) && ldm_server_submit(s, &order, id, &r);
    json_decref(body);
    if (fine)
        answer_job(s, x, id, 202);
    else
        ldm_answer_refusal(x, &r);
}

static void answer_page(ldm_server *s, ldm_exchange *x, const char *what, bool with_pictures)
{
    size_t limit = DEFAULT_PAGE, offset = 0, total;
    json_t *all;

    if (!query_number(x, "limit", MAX_PAGE, &limit) ||
        !query_number(x, "offset", SIZE_MAX, &offset))
        return;
    all = ldm_jobs_list(s->jobs, offset, limit, with_pictures, &total);
    ldm_http_answer_json(x, 200,
                         json_pack("{s:o, s:I, s:I, s:I}", what, all, "total", (json_int_t)total,
                                   "offset", (json_int_t)offset, "limit", (json_int_t)limit));
}

static void get_jobs(void *app, ldm_exchange *x)
{
    answer_page(app, x, "jobs", false);
}

static void get_job(void *app, ldm_exchange *x)
{
    answer_job(app, x, ldm_http_name(x, 0), 200);
}

static void delete_job(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    const char *id = ldm_http_name(x, 0);

    if (ldm_jobs_pictures(s->jobs, id) < 0)
        not_found(x);
    else if (!ldm_jobs_remove(s->jobs, id))
        ldm_answer_refused(x, 409, "the job is not over; cancel it first");
    else
        ldm_http_answer_json(x, 200, json_pack("{s:b}", "removed", true));
}

static void post_cancel(void *app, ldm_exchange *x)
{
    ldm_server *s = app;

    (void)ldm_jobs_cancel(s->jobs, ldm_http_name(x, 0));
    answer_job(s, x, ldm_http_name(x, 0), 200);
}

static void post_restart(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    ldm_refusal r;
    ldm_error err;
    ldm_status st;

    if (ldm_jobs_pictures(s->jobs, ldm_http_name(x, 0)) < 0) {
        not_found(x);
        return;
    }
    st = ldm_jobs_restart(s->jobs, ldm_http_name(x, 0), &err);
    if (!st) {
        answer_job(s, x, ldm_http_name(x, 0), 202);
        return;
    }
    ldm_refuse(&r, st == LDM_ERR_LIMIT ? 503 : 409, ldm_status_name(st), "", "%s", err.msg);
    ldm_answer_refusal(x, &r);
}

static json_t *preview_json(ldm_server *s, const char *id)
{
    size_t size;
    unsigned char *png = ldm_jobs_preview(s->jobs, id, &size);
    ldm_str text = {0};
    json_t *root;

    if (!png)
        return json_null();
    ldm_base64_append(&text, png, size);
    root = json_pack("{s:o}", "png", ldm_json_text(text.data));
    ldm_str_free(&text);
    ldm_free(png);
    return root;
}

static const char *event_name(const json_t *job)
{
    const char *state = json_string_value(json_object_get(job, "state"));

    return !state || !strcmp(state, "queued") || !strcmp(state, "running") ? "progress"
           : !strcmp(state, "failed")                                      ? "error"
                                                                           : "done";
}

static bool on_event(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job,
                     bool preview)
{
    const char *name = event_name(job);
    bool fine = job != NULL;

    if (fine && preview)
        fine = ldm_send_event(x, "preview", preview_json(s, id));
    if (fine)
        fine = ldm_send_event(x, name, json_deep_copy(job));
    if (fine && !strcmp(name, "progress"))
        return true;
    ldm_http_stream_end(x);
    return false;
}

static void get_events(void *app, ldm_exchange *x)
{
    ldm_waiter how = {.stream = true, .update = on_event};
    size_t preview = 1, cancels = 0;
    ldm_server *s = app;

    if (!query_number(x, "preview", 1, &preview) || !query_number(x, "cancel", 1, &cancels))
        return;
    how.preview = preview;
    how.cancels = cancels;
    if (ldm_jobs_pictures(s->jobs, ldm_http_name(x, 0)) < 0) {
        not_found(x);
        return;
    }
    ldm_http_stream_begin(x);
    ldm_waiting_add(s->waiting, x, ldm_http_name(x, 0), &how);
}

static void get_preview(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    size_t size;
    unsigned char *png = ldm_jobs_preview(s->jobs, ldm_http_name(x, 0), &size);

    ldm_jobs_want_preview(s->jobs, ldm_http_name(x, 0));
    if (png)
        ldm_http_answer(x, 200, "image/png", png, size);
    else
        ldm_answer_refused(x, 404, "there is no preview yet");
    ldm_free(png);
}

/* ---- pictures -------------------------------------------------------------------------------- */

static void get_pictures(void *app, ldm_exchange *x)
{
    answer_page(app, x, "jobs", true);
}

/* The PNG that the path names; NULL: answered. */
static char *named_picture(ldm_server *s, ldm_exchange *x, size_t *size)
{
    const char *id = ldm_http_name(x, 0), *number = ldm_http_name(x, 1);
    char *png = NULL;

    if (ldm_gallery_is_id(id) && ldm_jobs_pictures(s->jobs, id) > 0 && strlen(number) <= 5 &&
        strspn(number, "0123456789") == strlen(number))
        png = ldm_server_png(s, id, atoi(number), size);
    if (!png)
        not_found(x);
    return png;
}

static void get_picture(void *app, ldm_exchange *x)
{
    size_t size;
    char *png = named_picture(app, x, &size);

    if (!png)
        return;
    ldm_http_say(x, "Cache-Control", "private, max-age=3600");
    ldm_http_answer(x, 200, "image/png", png, size);
    ldm_free(png);
}

static void answer_recipe(ldm_server *s, ldm_exchange *x, const void *data, size_t size)
{
    char *recipe;
    ldm_error err;
    ldm_status st = ldm_server_read_recipe(s, data, size, &recipe, &err);

    if (st) {
        ldm_answer_failure(x, st, &err);
        return;
    }
    ldm_http_answer(x, 200, "application/json", recipe, strlen(recipe));
    ldm_release(recipe);
}

static void get_recipe(void *app, ldm_exchange *x)
{
    size_t size;
    char *png = named_picture(app, x, &size);

    if (png)
        answer_recipe(app, x, png, size);
    ldm_free(png);
}

static void post_recipe(void *app, ldm_exchange *x)
{
    const char *type = ldm_http_header(x, "Content-Type");
    size_t size;
    const char *body = ldm_http_body(x, &size);

    if (!size || !type || strncmp(type, "image/", 6) != 0)
        ldm_answer_refused(x, 415, "send the picture itself, as image/png or image/jpeg");
    else
        answer_recipe(app, x, body, size);
}

const ldm_route ldm_native_routes[] = {
    {LDM_HTTP_GET, "/api/v1/settings", get_settings},
    {LDM_HTTP_GET, "/api/v1/samplers", get_samplers},
    {LDM_HTTP_GET, "/api/v1/model", get_model},
    {LDM_HTTP_GET, "/api/v1/models", get_models},
    {LDM_HTTP_GET, "/api/v1/check", get_check},
    {LDM_HTTP_GET, "/api/v1/jobs", get_jobs},
    {LDM_HTTP_POST, "/api/v1/jobs", post_job},
    {LDM_HTTP_GET, "/api/v1/jobs/*", get_job},
    {LDM_HTTP_DELETE, "/api/v1/jobs/*", delete_job},
    {LDM_HTTP_GET, "/api/v1/jobs/*/events", get_events},
    {LDM_HTTP_GET, "/api/v1/jobs/*/preview", get_preview},
    {LDM_HTTP_POST, "/api/v1/jobs/*/cancel", post_cancel},
    {LDM_HTTP_POST, "/api/v1/jobs/*/restart", post_restart},
    {LDM_HTTP_GET, "/api/v1/pictures", get_pictures},
    {LDM_HTTP_GET, "/api/v1/pictures/*/*", get_picture},
    {LDM_HTTP_GET, "/api/v1/pictures/*/*/recipe", get_recipe},
    {LDM_HTTP_POST, "/api/v1/recipe", post_recipe},
};

const size_t ldm_native_route_count = sizeof ldm_native_routes / sizeof *ldm_native_routes;
