/* SPDX-License-Identifier: MIT */
/* From a request to an order; see order.h. */
#include "server/order.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_text.h"
#include "base/random.h"
#include "base/str.h"
#include "server/private_paths.h"

bool ldm_refuse(ldm_refusal *r, int status, const char *code, const char *field, const char *fmt,
                ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->message, sizeof r->message, fmt, ap);
    va_end(ap);
    ldm_flatten(r->message);
    ldm_private_hide(r->message);
    r->status = status;
    snprintf(r->code, sizeof r->code, "%s", code);
    snprintf(r->field, sizeof r->field, "%.60s", field);
    ldm_flatten(r->field);
    return false;
}

/* A value that is the name of a file: no text of a request becomes a path. */
static bool names_file(const ldm_setting_row *row)
{
    static const char *const names[] = {"FILE", "DIR", "IMAGE", "PATH", "FOLDER", "OUT"};
    const ldm_setting_type type = ldm_setting_get_type(row);
    const char *arg = ldm_setting_arg(row);

    if (type != LDM_TYPE_TEXT && type != LDM_TYPE_LIST)
        return false;
    for (size_t i = 0; arg && i < sizeof names / sizeof *names; i++) {
        if (strstr(arg, names[i]))
            return true;
    }
    return false;
}

bool ldm_order_takes(const ldm_setting_row *row)
{
    return (ldm_setting_flags(row) & LDM_SETTING_PIXELS ||
            !strcmp(ldm_setting_key(row), "count")) &&
           !names_file(row);
}

bool ldm_order_is_side(const char *key)
{
    return !strcmp(key, "width") || !strcmp(key, "height");
}

bool ldm_order_names(const char *key)
{
    const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_JOB, key);

    return ldm_order_is_side(key) || (row && ldm_order_takes(row));
}

/* ---- values ---------------------------------------------------------------------------------- */

static void append_number(const json_t *v, ldm_str *out)
{
    char text[LDM_REAL_TEXT];

    if (json_is_integer(v))
        ldm_str_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else
        ldm_str_puts(out, ldm_format_real(json_real_value(v), text));
}

/* The text that every setting takes. False: such a value is none. */
static bool value_text(const json_t *v, ldm_str *out)
{
    const json_t *item;
    size_t i;

    if (json_is_string(v))
        ldm_str_puts(out, json_string_value(v));
    else if (json_is_boolean(v))
        ldm_str_puts(out, json_is_true(v) ? "true" : "false");
    else if (json_is_number(v))
        append_number(v, out);
    else if (json_is_array(v)) {
        json_array_foreach(v, i, item)
        {
            if (!json_is_number(item))
                return false;
            ldm_str_puts(out, i ? "," : "");
            append_number(item, out);
        }
    } else
        return false;
    return true;
}

static ldm_status set(ldm_job *job, const char *key, const json_t *v, ldm_error *err)
{
    ldm_str text = {0};
    ldm_status st;

    if (!value_text(v, &text))
        st = ldm_error_set(err, LDM_ERR_USAGE, "%s: such a value is not taken", key);
    else if (text.failed)
        st = ldm_error_nomem(err, 0, "a setting");
    else
        st = ldm_job_set(job, key, text.data ? text.data : "", err);
    ldm_str_free(&text);
    return st;
}

/* A list of texts is set one by one. */
static ldm_status set_value(ldm_job *job, const ldm_setting_row *row, const json_t *v,
                            ldm_error *err)
{
    const char *key = ldm_setting_key(row);
    ldm_status st = LDM_OK;
    const json_t *item;
    size_t i;

    if (ldm_setting_get_type(row) != LDM_TYPE_LIST || !json_is_array(v))
        return set(job, key, v, err);
    json_array_foreach(v, i, item)
    {
        if (!st)
            st = set(job, key, item, err);
    }
    return st;
}

/* The sides that the model takes next to n, "512 and 576". */
static void near_sides(int n, const ldm_sizes *sizes, char text[64])
{
    const int most = sizes->most / sizes->step * sizes->step;
    const int below = n / sizes->step * sizes->step;

    if (below >= most)
        snprintf(text, 64, "the nearest is %d", most);
    else if (!below)
        snprintf(text, 64, "the nearest is %d", sizes->step);
    else
        snprintf(text, 64, "the nearest are %d and %d", below, below + sizes->step);
}

/* A whole number, also as 64.0 or "64", which clients in other languages send; 0: it is none. */
static int whole(const json_t *v)
{
    const char *text = json_string_value(v);
    char *end = NULL;
    double n = json_number_value(v);

    if (text && *text >= '0' && *text <= '9')
        n = strtod(text, &end);
    if (end && *end)
        return 0;
    return n >= 1 && n <= 1000000 && n == (double)(int)n ? (int)n : 0;
}

/* A side in pixels as latent pixels; left as it is where it is not given. */
static ldm_status side(const ldm_order *o, const char *key, const ldm_sizes *sizes, int *latent,
                       ldm_error *err)
{
    const json_t *v = json_object_get(o->settings, key);
    const int n = whole(v);
    char near[64];

    if (!v || ldm_setting_find(LDM_SETTINGS_JOB, key))
        return LDM_OK;
    if (!n)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s: expected a whole number of pixels, from 1 to 1000000", key);
    if (!sizes->factor)
        return LDM_OK;
    if (n % sizes->step || n > sizes->most) {
        near_sides(n, sizes, near);
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s: %d pixels are not possible: sides of this model's pictures are "
                             "multiples of %d, at most %d; %s",
                             key, n, sizes->step, sizes->most, near);
    }
    *latent = n / sizes->factor;
    return LDM_OK;
}

static ldm_status apply_size(const ldm_order *o, ldm_job *job, const ldm_sizes *sizes,
                             char field[64], ldm_error *err)
{
    int size[3] = {sizes->shape[0], sizes->shape[1], sizes->shape[2]};
    ldm_status st = side(o, "height", sizes, &size[1], err);
    const char *key = "height";

    if (!st) {
        key = "width";
        st = side(o, key, sizes, &size[2], err);
    }
    if (!st && sizes->factor && (size[1] != sizes->shape[1] || size[2] != sizes->shape[2])) {
        key = "shape";
        st = ldm_job_set_shape(job, key, size, err);
    }
    if (st)
        snprintf(field, 64, "%s", key);
    return st;
}

ldm_status ldm_order_apply(const ldm_order *o, ldm_job *job, const ldm_sizes *sizes, char field[64],
                           ldm_error *err)
{
    ldm_status st = LDM_OK;
    ldm_str recipe = {0};

    *field = '\0';
    for (size_t i = 0; !st && i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const json_t *v = json_object_get(o->settings, ldm_setting_key(row));

        if (!v)
            continue;
        st = set_value(job, row, v, err);
        if (st)
            snprintf(field, 64, "%s", ldm_setting_key(row));
    }
    if (!st)
        st = apply_size(o, job, sizes, field, err);
    if (!st && o->recipe) {
        if (ldm_json_append(o->recipe, 0, &recipe))
            st = ldm_job_use_recipe(job, recipe.data, err);
        else
            st = ldm_error_nomem(err, 0, "a recipe");
        ldm_str_free(&recipe);
        if (st)
            snprintf(field, 64, "recipe");
    }
    return st;
}

void ldm_order_clear(ldm_order *o)
{
    json_decref(o->settings);
    json_decref(o->recipe);
    json_decref(o->about);
    ldm_free(o->init.data);
    ldm_free(o->mask.data);
    memset(o, 0, sizeof *o);
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* "SETTING: what is wrong" without its beginning, which the field says. */
static const char *without_key(const char *message, const char *key)
{
    const size_t len = strlen(key);

    return len && !strncmp(message, key, len) && message[len] == ':'
               ? message + len + 1 + (message[len + 1] == ' ')
               : message;
}

static const char *nearest(const char *word)
{
    const char *found = NULL;
    size_t best = ldm_edit_limit(word) + 1;

    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const size_t d = ldm_edit_distance(word, ldm_setting_key(row), best);

        if (d < best && ldm_order_takes(row)) {
            best = d;
            found = ldm_setting_key(row);
        }
    }
    return found;
}

static bool check_keys(const json_t *settings, ldm_refusal *r)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)settings, key, v) /* only read */
    {
        const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_JOB, key);
        const char *near = row ? NULL : nearest(key);

        if (json_is_null(v) || ldm_order_is_side(key))
            continue;
        if (!row && near)
            return ldm_refuse(r, 422, "ERR_USAGE", key,
                              "there is no such setting; did you mean '%s'?", near);
        if (!row)
            return ldm_refuse(r, 422, "ERR_USAGE", key,
                              "there is no such setting; /api/v1/settings lists them");
        if (!strcmp(key, "size"))
            return ldm_refuse(r, 422, "ERR_USAGE", key,
                              "give \"width\" and \"height\", two numbers of pixels");
        if (!ldm_order_takes(row))
            return ldm_refuse(r, 422, "ERR_USAGE", key,
                              "requests cannot set this: it is the server's own");
    }
    return true;
}

/* As clients of the web UI write it, and as people do. */
static bool is_random(const json_t *seed)
{
    const char *text = json_string_value(seed);

    return json_integer_value(seed) == -1 ||
           (text && (!strcmp(text, "random") || !strcmp(text, "-1")));
}

/* A seed that is left to chance becomes a number here: a job that is started again makes the same
 * pictures. */
static bool draw(json_t *settings, const char *key)
{
    uint32_t number = 0;

    return ldm_random_bytes(&number, sizeof number) &&
           !json_object_set_new(settings, key, json_integer(number));
}

/* The settings without nulls, with a seed and a number of pictures. */
static json_t *complete(const json_t *settings, const json_t *recipe, bool random)
{
    json_t *out = json_object(), *v;
    const json_t *seed, *vary;
    const char *key;
    bool fine = true;

    json_object_foreach((json_t *)(uintptr_t)settings, key, v)
    {
        if (!json_is_null(v))
            json_object_set_new(out, key, json_deep_copy(v));
    }
    seed = json_object_get(out, "seed");
    vary = json_object_get(out, "vary");
    if (seed ? is_random(seed) : random && !recipe)
        fine = draw(out, "seed");
    if (vary && is_random(vary))
        fine = fine && draw(out, "vary");
    if (!fine) {
        json_decref(out);
        return NULL;
    }
    if (!json_object_get(out, "count"))
        json_object_set_new(out, "count", json_integer(1));
    return out;
}

/* A recipe's settings, without those that a request cannot give. */
static json_t *safe_recipe(const json_t *recipe)
{
    json_t *out = json_deep_copy(recipe);

    json_object_del(out, "files");
    for (size_t i = 0; out && i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);

        if (!ldm_order_takes(row))
            json_object_del(out, ldm_setting_key(row));
    }
    return out;
}

/* What was given of a picture's size, as a refusal's field. */
static const char *size_field(const ldm_order *o)
{
    return json_object_get(o->settings, "width")    ? "width"
           : json_object_get(o->settings, "height") ? "height"
                                                    : "shape";
}

static bool check_size(const ldm_order_limits *limits, const ldm_order *o, const ldm_job *job,
                       const ldm_sizes *sizes, ldm_refusal *r)
{
    const int count = ldm_job_get_int(job, "count"), factor = sizes->factor ? sizes->factor : 8;
    const int *asked = ldm_job_get_shape(job, "shape");
    const int *shape = asked && asked[0] ? asked : sizes->shape;
    const double pixels = (double)shape[1] * shape[2] * factor * factor;
    const double work = pixels * count * ldm_job_get_int(job, "steps");

    if (count > limits->count)
        return ldm_refuse(r, 422, "ERR_LIMIT", "count", "at most %d pictures in one job",
                          limits->count);
    if (pixels > limits->pixels)
        return ldm_refuse(r, 422, "ERR_LIMIT", size_field(o),
                          "a picture of %.0f x %.0f has too many pixels: at most %.0f in one "
                          "picture",
                          (double)shape[2] * factor, (double)shape[1] * factor, limits->pixels);
    if (work > limits->work)
        return ldm_refuse(r, 422, "ERR_LIMIT", "steps",
                          "pixels x steps x pictures are %.3g; at most %.3g in one job", work,
                          limits->work);
    return true;
}

/* Whether the library takes the values. */
static bool check_values(ldm_shelf *shelf, const ldm_order_limits *limits, const ldm_order *o,
                         ldm_refusal *r)
{
    ldm_job *job = NULL;
    char field[64] = "";
    const ldm_sizes sizes = ldm_shelf_sizes(shelf, o->model);
    ldm_error err;
    ldm_status st = ldm_shelf_job(shelf, o->model, &job, &err);
    bool fine = false;

    if (!st)
        st = ldm_order_apply(o, job, &sizes, field, &err);
    if (st)
        ldm_refuse(r, st == LDM_ERR_NOMEM ? 500 : 422, ldm_status_name(st), field, "%s",
                   without_key(err.msg, field));
    else
        fine = check_size(limits, o, job, &sizes, r);
    ldm_job_free(job);
    return fine;
}

bool ldm_order_pictures(ldm_shelf *shelf, const ldm_order *o, const char *picture, const char *mask,
                        ldm_refusal *r)
{
    const bool map = ldm_shelf_takes(shelf, o->model, "segmentation"),
               paints = ldm_shelf_takes(shelf, o->model, "mask"),
               reads = map || ldm_shelf_takes(shelf, o->model, "image");
    const bool padded = json_object_get(o->settings, "pad") || json_object_get(o->recipe, "pad");

    if (!reads)
        return true;
    if (!o->init.data)
        return ldm_refuse(r, 422, "ERR_USAGE", picture, "this model makes its pictures of %s",
                          map      ? "a map of labels: it is missing"
                          : paints ? "a picture and a mask, light where it is painted: the picture "
                                     "is missing"
                                   : "another one: it is missing");
    if (o->mask.data && !paints)
        return ldm_refuse(r, 422, "ERR_USAGE", mask, "this model paints no part of a picture");
    if (paints && !o->mask.data && !padded && !o->init.transparent)
        return ldm_refuse(r, 422, "ERR_USAGE", mask,
                          "this model paints a part of a picture: the mask is missing, and the "
                          "picture has no transparent part");
    return true;
}

static bool check_model(ldm_shelf *shelf, const char *model, ldm_order *o, ldm_refusal *r)
{
    char why[800];

    if (!model || !*model)
        model = ldm_shelf_first(shelf);
    if (!ldm_shelf_has(shelf, model))
        return ldm_refuse(r, 422, "ERR_USAGE", "model",
                          "there is no such model; /api/v1/models lists them");
    if (ldm_shelf_verdict(shelf, model, why, sizeof why) && *why)
        return ldm_refuse(r, 422, "ERR_MISMATCH", "model", "%s", why);
    snprintf(o->model, sizeof o->model, "%s", model);
    return true;
}

bool ldm_order_make(ldm_shelf *shelf, const ldm_order_limits *limits, const char *model,
                    const json_t *settings, const json_t *recipe, bool random, ldm_order *out,
                    ldm_refusal *r)
{
    memset(out, 0, sizeof *out);
    if (!check_model(shelf, model, out, r) || !check_keys(settings, r))
        return false;
    if (recipe && !json_is_object(recipe))
        return ldm_refuse(r, 422, "ERR_FORMAT", "recipe", "a recipe is a JSON object");
    out->settings = complete(settings, recipe, random);
    out->recipe = recipe ? safe_recipe(recipe) : NULL;
    if (!out->settings || (recipe && !out->recipe)) {
        ldm_order_clear(out);
        return ldm_refuse(r, 500, "ERR_NOMEM", "", "out of memory");
    }
    if (check_values(shelf, limits, out, r))
        return true;
    ldm_order_clear(out);
    return false;
}
