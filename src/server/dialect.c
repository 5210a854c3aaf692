/* SPDX-License-Identifier: MIT */
/* What the borrowed dialects share; see dialect.h. */
#include "server/dialect.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_text.h"
#include "server/base64.h"
#include "server/png_text.h"

/* ---- fields ---------------------------------------------------------------------------------- */

bool ldm_dialect_refuse(ldm_dialect *d, const char *field, const char *fmt, ...)
{
    char text[900];
    va_list ap;

    if (d->failed)
        return false;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    d->failed = true;
    return ldm_refuse(&d->refusal, 422, "ERR_USAGE", field, "%s", text);
}

/* The field where it is there and not null. */
static const json_t *field_of(const ldm_dialect *d, const char *field)
{
    const json_t *v = json_object_get(d->body, field);

    return json_is_null(v) ? NULL : v;
}

void ldm_dialect_number(ldm_dialect *d, const char *field, const char *key)
{
    const json_t *v = field_of(d, field);

    if (!v)
        return;
    if (json_is_number(v) ||
        json_is_string(v)) /* forms send digits; the library says what is no number */
        json_object_set_new(d->settings, key, json_deep_copy(v));
    else
        ldm_dialect_refuse(d, field, "this is a number");
}

double ldm_dialect_get(ldm_dialect *d, const char *field, double missing, double min, double max)
{
    const json_t *v = field_of(d, field);
    char *end = NULL;
    double value = missing;

    if (!v)
        return missing;
    if (json_is_string(v) && *json_string_value(v))
        value = strtod(json_string_value(v), &end);
    else if (json_is_number(v))
        value = json_number_value(v);
    else
        ldm_dialect_refuse(d, field, "this is a number");
    if ((end && *end) || !(value >= min && value <= max)) {
        ldm_dialect_refuse(d, field, "this is a number from %.10g to %.10g", min, max);
        return missing;
    }
    return value;
}

const char *ldm_dialect_text(ldm_dialect *d, const char *field)
{
    const json_t *v = field_of(d, field);

    if (v && !json_is_string(v))
        ldm_dialect_refuse(d, field, "this is a text");
    return json_string_value(v);
}

const char *ldm_dialect_model(const ldm_dialect *d)
{
    return *d->model ? d->model : ldm_shelf_first(d->server->shelf);
}

void ldm_dialect_prompt(ldm_dialect *d, const char *field, const char *key)
{
    const char *text = ldm_dialect_text(d, field), *model = ldm_dialect_model(d);

    if (!text || (!*text && !ldm_shelf_takes(d->server->shelf, model, "prompt")))
        return;
    if (!strcmp(key, "prompt") && ldm_shelf_takes(d->server->shelf, model, "class"))
        key = "class";
    json_object_set_new(d->settings, key, json_string(text));
}

void ldm_dialect_only_off(ldm_dialect *d, const char *field, const char *what)
{
    const json_t *v = field_of(d, field);
    const bool off =
        !v || json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0) ||
        (json_is_string(v) && (!*json_string_value(v) || !strcmp(json_string_value(v), "None"))) ||
        (json_is_array(v) && !json_array_size(v)) || (json_is_object(v) && !json_object_size(v));

    if (!off)
        ldm_dialect_refuse(d, field, "%s cannot be done here", what);
}

/* ---- what the model takes -------------------------------------------------------------------- */

bool ldm_dialect_reads_picture(const ldm_dialect *d)
{
    const char *model = ldm_dialect_model(d);

    return ldm_shelf_takes(d->server->shelf, model, "image") ||
           ldm_shelf_takes(d->server->shelf, model, "segmentation");
}

bool ldm_dialect_guides(const ldm_dialect *d)
{
    json_t *model = ldm_shelf_model(d->server->shelf);
    const char *open = json_string_value(json_object_get(model, "name"));
    const bool guides = !open || strcmp(open, ldm_dialect_model(d)) != 0 ||
                        !json_is_false(json_object_get(model, "guidance_has_effect"));

    json_decref(model);
    return guides;
}

/* ---- orders ---------------------------------------------------------------------------------- */

bool ldm_dialect_submit(ldm_dialect *d, json_t *about, char id[LDM_ID_LENGTH + 1])
{
    ldm_order order;
    bool fine = !d->failed;

    if (fine)
        fine = ldm_order_make(d->server->shelf, &d->server->limits, d->model, d->settings, NULL,
                              true, &order, &d->refusal);
    json_decref(d->settings);
    d->settings = NULL;
    if (!fine) {
        json_decref(about);
        ldm_free(d->init.data);
        ldm_free(d->mask.data);
        return false;
    }
    order.about = about;
    order.init = d->init;
    order.mask = d->mask;
    order.preview = d->preview;
    if (!ldm_order_pictures(d->server->shelf, &order, d->picture_field, "mask", &d->refusal)) {
        ldm_order_clear(&order);
        return false;
    }
    return ldm_server_submit(d->server, &order, id, &d->refusal);
}

/* "KEY: what is wrong" as field and message, where KEY is one of an order's settings. */
static const char *split_key(const char *message, char field[64])
{
    const char *colon = strchr(message, ':');
    const size_t len = colon ? (size_t)(colon - message) : 0;

    field[0] = '\0';
    if (!len || len > 60 || colon[1] != ' ')
        return message;
    snprintf(field, 64, "%.*s", (int)len, message);
    if (ldm_order_names(field))
        return colon + 2;
    field[0] = '\0';
    return message;
}

bool ldm_dialect_job_failed(const json_t *job, ldm_refusal *r)
{
    const char *state = job ? json_string_value(json_object_get(job, "state")) : "removed";
    const json_t *error = json_object_get(job, "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    const bool asked_wrong =
        code && (!strcmp(code, "ERR_USAGE") || !strcmp(code, "ERR_UNSUPPORTED") ||
                 !strcmp(code, "ERR_LIMIT") || !strcmp(code, "ERR_RANGE"));

    if (!strcmp(state, "done") ||
        (!strcmp(state, "cancelled") && json_array_size(json_object_get(job, "pictures"))))
        return false;
    if (!strcmp(state, "failed")) {
        char field[64];
        const char *text = split_key(message ? message : "", field);

        ldm_refuse(r, asked_wrong ? 422 : 500, code ? code : "ERR_FAILED", field, "%s", text);
    } else if (!strcmp(state, "broken"))
        ldm_refuse(r, 503, "ERR_ENDING", "", "the server is shutting down");
    else
        ldm_refuse(r, 409, "ERR_CANCELLED", "", "the job was cancelled");
    return true;
}

/* ---- pictures -------------------------------------------------------------------------------- */

json_t *ldm_dialect_recipe(ldm_server *s, const char *id, int index)
{
    size_t size;
    char *png = ldm_server_png(s, id, index, &size), *text = NULL;
    json_t *root = NULL;

    if (png && !ldm_server_read_recipe(s, png, size, &text, NULL))
        root = json_loads(text, 0, NULL);
    ldm_release(text);
    ldm_free(png);
    return root;
}

json_t *ldm_dialect_parameters(const char *png, size_t size)
{
    ldm_str text = {0};
    json_t *root;

    ldm_png_append_text(&text, png, size, "parameters");
    root = text.failed ? NULL : json_string(text.data ? text.data : "");
    ldm_str_free(&text);
    return root;
}

json_t *ldm_dialect_picture(ldm_server *s, const char *id, int index)
{
    size_t size;
    char *png = ldm_server_png(s, id, index, &size);
    ldm_str text = {0};
    json_t *root = NULL;

    if (png)
        ldm_base64_append(&text, (const unsigned char *)png, size);
    if (png && !text.failed)
        root = json_string(text.data);
    ldm_str_free(&text);
    ldm_free(png);
    return root;
}

json_t *ldm_dialect_preview(ldm_server *s, const char *id)
{
    size_t size;
    unsigned char *png = ldm_jobs_preview(s->jobs, id, &size);
    ldm_str text = {0};
    json_t *root;

    if (png)
        ldm_base64_append(&text, png, size);
    root = text.data && !text.failed ? json_string(text.data) : json_null();
    ldm_str_free(&text);
    ldm_free(png);
    return root;
}
