/* SPDX-License-Identifier: MIT */
/* Refusals in every dialect, and what the dialects share; see server.h. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "server/server.h"

enum { MAX_PNG = 256 << 20 };

/* ---- refusals -------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

static const char *openai_type(int status)
{
    return status == 401   ? "authentication_error"
           : status == 403 ? "permission_error"
           : status == 404 ? "not_found_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

/* "FIELD: message": clients of both dialects show their users this text alone. */
static json_t *whole_message(const ldm_refusal *r)
{
    char text[1200];

    snprintf(text, sizeof text, "%s%s%s", r->field, *r->field ? ": " : "", r->message);
    return ldm_json_text(text);
}

json_t *ldm_openai_error(const ldm_refusal *r)
{
    const char *param = ldm_order_is_side(r->field) ? "size" : r->field; /* "64x48" there */

    return json_pack("{s:o, s:s, s:o, s:s}", "message", whole_message(r), "type",
                     openai_type(r->status), "param", *param ? ldm_json_text(param) : json_null(),
                     "code", r->code);
}

static json_t *sdapi_error(const ldm_refusal *r)
{
    return json_pack("{s:s, s:o, s:s, s:o}", "error", r->code, "detail", whole_message(r), "body",
                     "", "errors", whole_message(r));
}

static json_t *native_error(const ldm_refusal *r)
{
    return json_pack("{s:{s:s, s:o, s:o}}", "error", "code", r->code, "field",
                     *r->field ? ldm_json_text(r->field) : json_null(), "message",
                     ldm_json_text(r->message));
}

void ldm_answer_refusal(ldm_exchange *x, const ldm_refusal *r)
{
    const char *path = ldm_http_path(x);

    ldm_http_say(x, "x-should-retry", "false");
    if (r->status == 503)
        ldm_http_say(x, "Retry-After", "5");
    ldm_http_answer_json(x, r->status,
                         begins(path, "/v1/") ? json_pack("{s:o}", "error", ldm_openai_error(r))
                         : begins(path, "/sdapi/") ? sdapi_error(r)
                                                   : native_error(r));
}

void ldm_answer_refused(ldm_exchange *x, int status, const char *why)
{
    ldm_refusal r;

    ldm_refuse(&r, status, status == 404 ? "ERR_NOT_FOUND" : "ERR_REFUSED", "", "%s", why);
    ldm_answer_refusal(x, &r);
}

void ldm_answer_failure(ldm_exchange *x, ldm_status st, const ldm_error *err)
{
    const bool own = st == LDM_ERR_NOMEM || st == LDM_ERR_IO;
    ldm_refusal r;

    ldm_refuse(&r, own ? 500 : 422, ldm_status_name(st), "", "%s", err->msg);
    ldm_answer_refusal(x, &r);
}

json_t *ldm_request_json(ldm_exchange *x)
{
    char why[400];
    json_t *root = ldm_http_json(x, why, sizeof why);
    ldm_refusal r;

    if (root)
        return root;
    ldm_refuse(&r, 422, "ERR_FORMAT", "", "%s", why);
    ldm_answer_refusal(x, &r);
    return NULL;
}

/* ---- jobs and pictures ----------------------------------------------------------------------- */

bool ldm_server_submit(ldm_server *s, ldm_order *order, char id[LDM_ID_LENGTH + 1], ldm_refusal *r)
{
    ldm_error err;
    ldm_status st;

    if (s->ending) {
        ldm_order_clear(order);
        return ldm_refuse(r, 503, "ERR_ENDING", "", "the server is shutting down");
    }
    st = ldm_jobs_submit(s->jobs, order, id, &err);
    if (!st)
        return true;
    return ldm_refuse(r, st == LDM_ERR_LIMIT ? 503 : 500,
                      st == LDM_ERR_LIMIT ? "ERR_FULL" : ldm_status_name(st), "", "%s", err.msg);
}

char *ldm_server_png(ldm_server *s, const char *id, int index, size_t *size)
{
    char *path = ldm_gallery_picture(s->gallery, id, index), *png = NULL;

    if (path && ldm_file_read(path, MAX_PNG, &png, size, NULL))
        png = NULL;
    ldm_free(path);
    return png;
}

ldm_status ldm_server_read_recipe(ldm_server *s, const void *data, size_t size, char **recipe,
                                  ldm_error *err)
{
    char *path = ldm_gallery_scratch(s->gallery, "upload.tmp");
    ldm_status st;

    *recipe = NULL;
    if (!path)
        return ldm_error_nomem(err, 0, "a path");
    st = ldm_file_write(path, data, size, err);
    if (!st)
        st = ldm_image_read_recipe(path, recipe, err);
    if (st == LDM_ERR_FORMAT || st == LDM_ERR_UNSUPPORTED) /* without the path of the file here */
        st = ldm_error_set(err, st, "this is no picture with a recipe of ldm's");
    remove(path);
    ldm_free(path);
    return st;
}
