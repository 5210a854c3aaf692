/* SPDX-License-Identifier: MIT */
/* /v1: pictures as OpenAI's interface has them, for its own client and those that imitate it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "server/dialect.h"
#include "server/multipart.h"
#include "server/upload.h"
#include "server/waiting.h"

enum { MAX_N = 10, MAX_PARTIAL = 3 };

static const char edits_path[] = "/v1/images/edits";

/* ---- the request ----------------------------------------------------------------------------- */

/* One of the names, or not there. */
static void read_choice(ldm_dialect *d, const char *field, const char *const *names)
{
    const char *text = ldm_dialect_text(d, field);

    for (size_t i = 0; text && names[i]; i++) {
        if (!strcmp(names[i], text))
            return;
    }
    if (text)
        ldm_dialect_refuse(d, field, "'%.40s' cannot be done here; '%s' can", text, names[0]);
}

/* "64x48", "auto". */
static void read_size(ldm_dialect *d)
{
    const char *text = ldm_dialect_text(d, "size");
    int width, height, used = 0;

    if (!text || !strcmp(text, "auto"))
        return;
    if (sscanf(text, "%6dx%6d%n", &width, &height, &used) != 2 || text[used] || width < 1 ||
        height < 1) {
        ldm_dialect_refuse(d, "size", "this is WIDTHxHEIGHT in pixels, or auto");
        return;
    }
    json_object_set_new(d->settings, "width", json_integer(width));
    json_object_set_new(d->settings, "height", json_integer(height));
}

/* Settings of ours beside the others' fields, as clients send extra ones. */
static void read_settings(ldm_dialect *d)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)d->body, key, v) /* only read */
    {
        const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_JOB, key);

        if (row && ldm_order_takes(row) && !json_is_null(v) && strcmp(key, "count") != 0 &&
            strcmp(key, "prompt") != 0)
            json_object_set(d->settings, key, v);
    }
}

/* A model's name; names of theirs stand for the first one. */
static void read_model(ldm_dialect *d)
{
    const char *name = ldm_dialect_text(d, "model");

    if (!name || !*name || !strncmp(name, "gpt-image", 9) || !strncmp(name, "chatgpt-image", 13) ||
        !strncmp(name, "dall-e", 6))
        return;
    snprintf(d->model, sizeof d->model, "%s", name);
    if (!ldm_shelf_has(d->server->shelf, name))
        ldm_dialect_refuse(d, "model", "there is no such model; /v1/models lists them");
}

static void read_fields(ldm_dialect *d)
{
    static const char *const formats[] = {"png", NULL}, *const backgrounds[] = {"auto", "opaque",
                                                                                NULL};
    static const char *const answers[] = {"b64_json", "url", NULL};

    read_model(d);
    if (!ldm_dialect_text(d, "prompt"))
        ldm_dialect_refuse(d, "prompt", "this is missing");
    ldm_dialect_prompt(d, "prompt", "prompt");
    read_choice(d, "output_format", formats);
    read_choice(d, "background", backgrounds);
    read_choice(d, "response_format", answers);
    d->preview = ldm_dialect_get(d, "partial_images", 0, 0, MAX_PARTIAL) > 0;
    read_settings(d);
    read_size(d);
    json_object_set_new(d->settings, "count",
                        json_integer((json_int_t)ldm_dialect_get(d, "n", 1, 1, MAX_N)));
}

/* ---- a key that stands for a job ------------------------------------------------------------- */

/* Whether a job will have pictures, or has them. A client that comes back after one that failed, or
 * that was cancelled as the client left, wants a new one. */
static bool is_worth_joining(const ldm_server *s, const char *id)
{
    ldm_ticket_state state;
    unsigned preview;

    return ldm_jobs_version(s->jobs, id, &state, &preview) &&
           (state == LDM_TICKET_QUEUED || state == LDM_TICKET_RUNNING || state == LDM_TICKET_DONE);
}

static bool find_idempotent(const ldm_server *s, const char *key, char id[LDM_ID_LENGTH + 1])
{
    for (size_t i = 0; key && *key && i < LDM_IDEMPOTENT; i++) {
        if (!strcmp(s->idempotent[i].key, key) && is_worth_joining(s, s->idempotent[i].id)) {
            memcpy(id, s->idempotent[i].id, LDM_ID_LENGTH + 1);
            return true;
        }
    }
    return false;
}

static void keep_idempotent(ldm_server *s, const char *key, const char *id)
{
    const size_t i = s->next_idempotent % LDM_IDEMPOTENT;

    if (!key || !*key || strlen(key) >= sizeof s->idempotent[i].key)
        return;
    snprintf(s->idempotent[i].key, sizeof s->idempotent[i].key, "%s", key);
    snprintf(s->idempotent[i].id, sizeof s->idempotent[i].id, "%s", id);
    s->next_idempotent++;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static json_t *usage_json(void)
{
    return json_pack("{s:i, s:{s:i, s:i}, s:i, s:i}", "input_tokens", 0, "input_tokens_details",
                     "image_tokens", 0, "text_tokens", 0, "output_tokens", 0, "total_tokens", 0);
}

static bool wants_url(const json_t *about)
{
    const char *format = json_string_value(json_object_get(about, "response_format"));

    return format && !strcmp(format, "url");
}

static json_t *picture_json(ldm_server *s, ldm_exchange *x, const char *id, const json_t *p,
                            bool url)
{
    const int index = (int)json_integer_value(json_object_get(p, "index"));
    const char *host = ldm_http_header(x, "Host");
    json_t *root = json_object();
    char text[400];

    json_object_set(root, "seed", json_object_get(p, "seed"));
    json_object_set_new(root, "revised_prompt", json_null());
    if (url) {
        snprintf(text, sizeof text, "http://%s/api/v1/pictures/%s/%d", host ? host : "localhost",
                 id, index);
        json_object_set_new(root, "url", json_string(text));
        return root;
    }
    json_object_set_new(root, "b64_json", ldm_dialect_picture(s, id, index));
    return root;
}

static void answer_pictures(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job)
{
    json_t *data = json_array(), *about = ldm_jobs_about(s->jobs, id), *root, *p;
    const json_t *all = json_object_get(job, "pictures");
    size_t i;

    json_array_foreach(all, i, p)
        json_array_append_new(data, picture_json(s, x, id, p, wants_url(about)));
    root = json_pack("{s:I, s:o, s:s, s:s, s:o}", "created", (json_int_t)time(NULL), "data", data,
                     "output_format", "png", "background", "opaque", "usage", usage_json());
    json_object_set(root, "notes", json_object_get(job, "notes")); /* ours */
    ldm_http_answer_json(x, 200, root);
    json_decref(about);
}

static bool is_over(const json_t *job)
{
    const char *state = job ? json_string_value(json_object_get(job, "state")) : "removed";

    return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

static bool on_job(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job, bool preview)
{
    ldm_refusal r;

    (void)preview;
    if (!is_over(job))
        return true;
    if (ldm_dialect_job_failed(job, &r))
        ldm_answer_refusal(x, &r);
    else
        answer_pictures(s, x, id, job);
    return false;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* How many partial pictures a stream has had; the exchange's own slot holds it. */
static size_t *sent_of(ldm_exchange *x)
{
    return (size_t *)(void *)ldm_http_slot(x);
}

/* The events of an edit have names of their own. */
static void send_event(ldm_exchange *x, const char *what, json_t *event)
{
    const bool edits = !strcmp(ldm_http_path(x), edits_path);
    char name[48];

    snprintf(name, sizeof name, "%s.%s", edits ? "image_edit" : "image_generation", what);
    json_object_set_new(event, "type", json_string(name));
    (void)ldm_send_event(x, name, event);
}

static void send_partial(ldm_server *s, ldm_exchange *x, const char *id)
{
    json_t *about = ldm_jobs_about(s->jobs, id);
    const json_t *partial = json_object_get(about, "partial_images");
    const json_int_t wanted =
        json_is_string(partial) ? atoi(json_string_value(partial)) : json_integer_value(partial);
    size_t *sent = sent_of(x);

    if ((json_int_t)*sent < wanted) {
        send_event(x, "partial_image",
                   json_pack("{s:o, s:s, s:I, s:s, s:I, s:s, s:s}", "b64_json",
                             ldm_dialect_preview(s, id), "background", "opaque", "created_at",
                             (json_int_t)time(NULL), "output_format", "png", "partial_image_index",
                             (json_int_t)*sent, "quality", "auto", "size", "auto"));
        ++*sent;
    }
    json_decref(about);
}

static void send_completed(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job)
{
    const json_t *all = json_object_get(job, "pictures"), *p;
    size_t i;

    json_array_foreach(all, i, p)
    {
        json_t *event = picture_json(s, x, id, p, false);

        json_object_set_new(event, "background", json_string("opaque"));
        json_object_set_new(event, "created_at", json_integer((json_int_t)time(NULL)));
        json_object_set_new(event, "output_format", json_string("png"));
        json_object_set_new(event, "quality", json_string("auto"));
        json_object_set_new(event, "size", json_string("auto"));
        json_object_set_new(event, "usage", usage_json());
        send_event(x, "completed", event);
    }
}

static void send_failure(ldm_exchange *x, const ldm_refusal *r)
{
    (void)ldm_send_event(x, "error",
                         json_pack("{s:s, s:o}", "type", "error", "error", ldm_openai_error(r)));
}

static bool on_stream(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job,
                      bool preview)
{
    ldm_refusal r;

    if (preview && !is_over(job))
        send_partial(s, x, id);
    if (!is_over(job))
        return true;
    if (ldm_dialect_job_failed(job, &r))
        send_failure(x, &r);
    else
        send_completed(s, x, id, job);
    ldm_http_stream_end(x);
    return false;
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* The answer comes when the job is over, or as a stream. */
static void wait_for(ldm_server *s, ldm_exchange *x, const char *id, bool stream)
{
    const ldm_waiter how = {.stream = stream,
                            .preview = stream,
                            .cancels = !s->keep_disconnected,
                            .update = stream ? on_stream : on_job};

    if (stream) {
        *sent_of(x) = 0;
        ldm_http_stream_begin(x);
    }
    ldm_waiting_add(s->waiting, x, id, &how);
}

static bool wants_stream(const json_t *body)
{
    const json_t *stream = json_object_get(body, "stream");

    return json_is_true(stream) ||
           (json_is_string(stream) && !strcmp(json_string_value(stream), "true"));
}

/* Reads the fields, submits, and waits; or joins the job that the key stands for. about is taken.
 */
static void generate(ldm_dialect *d, ldm_exchange *x, json_t *about)
{
    ldm_server *s = d->server;
    const char *key = ldm_http_header(x, "Idempotency-Key");
    const bool streams = wants_stream(about);
    char id[LDM_ID_LENGTH + 1];

    if (!ldm_dialect_submit(d, about, id)) {
        ldm_answer_refusal(x, &d->refusal);
        return;
    }
    keep_idempotent(s, key, id);
    wait_for(s, x, id, streams);
}

/* Answers by the job that the request's key stands for. False: there is none. */
static bool joins(ldm_server *s, ldm_exchange *x, const json_t *body)
{
    char id[LDM_ID_LENGTH + 1];

    if (!find_idempotent(s, ldm_http_header(x, "Idempotency-Key"), id))
        return false;
    wait_for(s, x, id, wants_stream(body));
    return true;
}

static void post_generations(void *app, ldm_exchange *x)
{
    json_t *body = ldm_request_json(x);
    ldm_dialect d = {.server = app, .body = body, .picture_field = "image"};

    if (!body)
        return;
    if (joins(app, x, body)) {
        json_decref(body);
        return;
    }
    d.settings = json_object();
    read_fields(&d);
    generate(&d, x, body);
}

/* The texts of a form as the body of JSON would have them: numbers of the other interface as
 * digits. */
static json_t *form_fields(const ldm_form *form)
{
    json_t *out = json_object();

    for (size_t i = 0; i < form->count; i++) {
        const ldm_form_part *p = &form->parts[i];
        json_t *v = p->file ? NULL : json_stringn(p->data, p->size); /* NULL: no UTF-8 */

        if (v && !memchr(p->data, '\0', p->size))
            json_object_set(out, p->name, v);
        json_decref(v);
    }
    return out;
}

/* The picture to edit, and which of its parts: where the mask is transparent. */
static void read_pictures(ldm_dialect *d, const ldm_form *form)
{
    const ldm_form_part *image = ldm_form_find(form, "image"), *mask = ldm_form_find(form, "mask");

    if (!image)
        image = ldm_form_find(form, "image[]");
    if (!image) {
        ldm_dialect_refuse(d, "image", "this is missing");
        return;
    }
    if (d->failed)
        return;
    d->failed = !ldm_upload_take(d->server, LDM_UPLOAD_PICTURE, "image", image->data, image->size,
                                 &d->init, &d->refusal) ||
                (mask && !ldm_upload_take(d->server, LDM_UPLOAD_MASK_ALPHA, "mask", mask->data,
                                          mask->size, &d->mask, &d->refusal));
    if (!d->failed && json_object_get(d->settings, "width")) /* with a mask it would keep its own */
        json_object_set_new(d->settings, "fit", json_string("crop"));
}

static void edit(ldm_server *s, ldm_exchange *x, const ldm_form *form)
{
    json_t *body = form_fields(form);
    ldm_dialect d = {.server = s, .body = body, .picture_field = "image"};

    if (!joins(s, x, body)) {
        d.settings = json_object();
        read_fields(&d);
        read_pictures(&d, form);
        generate(&d, x, json_deep_copy(body));
    }
    json_decref(body);
}

static void post_edits(void *app, ldm_exchange *x)
{
    const char *type = ldm_http_header(x, "Content-Type"), *wrong;
    size_t size;
    const char *body = ldm_http_body(x, &size);
    ldm_form *form = ldm_calloc(1, sizeof *form);
    ldm_refusal r;

    if (!form)
        ldm_refuse(&r, 500, "ERR_NOMEM", "", "out of memory");
    else if (!type || strncmp(type, "multipart/form-data", 19) != 0)
        ldm_refuse(&r, 415, "ERR_FORMAT", "", "the body is multipart/form-data");
    else if ((wrong = ldm_form_parse(type, body, size, form)) != NULL)
        ldm_refuse(&r, 422, "ERR_FORMAT", "", "%s", wrong);
    else {
        edit(app, x, form);
        ldm_free(form);
        return;
    }
    ldm_free(form);
    ldm_answer_refusal(x, &r);
}

static json_t *model_json(const ldm_server *s, const char *name)
{
    return json_pack("{s:o, s:I, s:s, s:s}", "id", ldm_json_text(name), "created",
                     (json_int_t)s->since, "object", "model", "owned_by", "ldm");
}

static void get_models(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    json_t *list = ldm_shelf_list(s->shelf), *data = json_array(), *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (!json_is_false(json_object_get(v, "fits"))) /* clients offer all that is listed */
            json_array_append_new(data,
                                  model_json(s, json_string_value(json_object_get(v, "name"))));
    }
    json_decref(list);
    ldm_http_answer_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", data));
}

static void get_model(void *app, ldm_exchange *x)
{
    ldm_server *s = app;

    if (ldm_shelf_has(s->shelf, ldm_http_name(x, 0)))
        ldm_http_answer_json(x, 200, model_json(s, ldm_http_name(x, 0)));
    else
        ldm_answer_refused(x, 404, "there is no such model; /v1/models lists them");
}

const ldm_route ldm_openai_routes[] = {
    {LDM_HTTP_POST, "/v1/images/generations", post_generations},
    {LDM_HTTP_POST, edits_path, post_edits},
    {LDM_HTTP_GET, "/v1/models", get_models},
    {LDM_HTTP_GET, "/v1/models/*", get_model},
};

const size_t ldm_openai_route_count = sizeof ldm_openai_routes / sizeof *ldm_openai_routes;
