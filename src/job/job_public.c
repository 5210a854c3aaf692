/* SPDX-License-Identifier: MIT */
/* Create, free, set and get of the objects that hold settings; see ldm.h. What a key is and what it
 * may be is the business of options.c. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_text.h"
#include "job/job.h"
#include "sample/sampler.h"

/* The text of a value, handed to a caller. */
static ldm_status get(const ldm_options *o, const char *key, char **text, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_str s = {0};
    ldm_status st = ldm_options_row(o, key, &row, err);

    if (!st)
        st = ldm_options_text(o, row, &s, err);
    if (st) {
        ldm_str_free(&s);
        return st;
    }
    *text = s.data; /* handed over */
    return LDM_OK;
}

static int get_int(const ldm_options *o, const char *key)
{
    const int *field = ldm_options_field(o, key, LDM_TYPE_INT);

    return field ? *field : 0;
}

static uint64_t get_u64(const ldm_options *o, const char *key)
{
    const uint64_t *field = ldm_options_field(o, key, LDM_TYPE_U64);

    if (!field)
        field = ldm_options_field(o, key, LDM_TYPE_BYTES);
    return field ? *field : 0;
}

static const char *get_text(const ldm_options *o, const char *key)
{
    const char *const *field = ldm_options_field(o, key, LDM_TYPE_CHOICE);

    if (!field)
        field = ldm_options_field(o, key, LDM_TYPE_TEXT);
    return field ? *field : NULL;
}

static ldm_status parse_recipe(const char *text, json_t **out, ldm_error *err)
{
    json_error_t why;
    bool valid;

    *out = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(*out))
        return LDM_OK;
    if (!*out) {
        const char *reason = ldm_json_wrong(&why, &valid);

        return ldm_error_set(err, LDM_ERR_FORMAT, "the recipe%s: line %d: %s",
                             valid ? "" : " is no JSON", why.line, reason);
    }
    json_decref(*out);
    *out = NULL;
    return ldm_error_set(err, LDM_ERR_FORMAT, "the recipe is not a JSON object");
}

/* A sampler's name may bring its timesteps along: "DPM++ 2M Karras". */
static ldm_status set_of_job(ldm_options *o, const char *key, const char *text, ldm_error *err)
{
    ldm_status st = ldm_options_set(o, key, text, err);
    ldm_spacing spacing;

    if (!st && !strcmp(key, "sampler") && ldm_sampler_spacing_in(text, &spacing) &&
        !ldm_options_given(o, "timesteps"))
        st = ldm_options_set(o, "timesteps", ldm_spacing_name(spacing), err);
    return st;
}

/* The setters of one kind of object. */
#define LDM_SETTER(object, arg, name, type, helper)                                                \
    ldm_status object##_##name(object *o, const char *key, type value, ldm_error *err)             \
    {                                                                                              \
        LDM_REQUIRE(o, arg, err);                                                                  \
        return helper(&o->options, key, value, err);                                               \
    }

LDM_SETTER(ldm_model_options, "opt", set, const char *, ldm_options_set)
LDM_SETTER(ldm_model_options, "opt", set_int, int, ldm_options_set_int)
LDM_SETTER(ldm_model_options, "opt", set_u64, uint64_t, ldm_options_set_u64)
LDM_SETTER(ldm_model_options, "opt", set_bool, bool, ldm_options_set_bool)
LDM_SETTER(ldm_job, "job", set, const char *, set_of_job)
LDM_SETTER(ldm_job, "job", set_int, int, ldm_options_set_int)
LDM_SETTER(ldm_job, "job", set_u64, uint64_t, ldm_options_set_u64)
LDM_SETTER(ldm_job, "job", set_real, double, ldm_options_set_real)
LDM_SETTER(ldm_job, "job", set_bool, bool, ldm_options_set_bool)
LDM_SETTER(ldm_eval_job, "job", set, const char *, ldm_options_set)
LDM_SETTER(ldm_eval_job, "job", set_int, int, ldm_options_set_int)
LDM_SETTER(ldm_eval_job, "job", set_real, double, ldm_options_set_real)
LDM_SETTER(ldm_eval_job, "job", set_bool, bool, ldm_options_set_bool)
LDM_SETTER(ldm_bench_options, "opt", set, const char *, ldm_options_set)
LDM_SETTER(ldm_bench_options, "opt", set_int, int, ldm_options_set_int)
LDM_SETTER(ldm_bench_options, "opt", set_real, double, ldm_options_set_real)
LDM_SETTER(ldm_bench_options, "opt", set_bool, bool, ldm_options_set_bool)

/* ---- models ---- */

ldm_status ldm_model_options_create(ldm_model_options **out, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = ldm_calloc(1, sizeof **out);
    if (!*out)
        return ldm_error_nomem(err, sizeof **out, "options");
    st = ldm_options_init(&(*out)->options, LDM_SETTINGS_MODEL, err);
    if (st) {
        ldm_model_options_free(*out);
        *out = NULL;
    }
    return st;
}

void ldm_model_options_free(ldm_model_options *o)
{
    if (o)
        ldm_options_finish(&o->options);
    ldm_free(o);
}

bool ldm_model_options_is_set(const ldm_model_options *o, const char *key)
{
    return o && ldm_options_given(&o->options, key);
}

ldm_status ldm_model_options_unset(ldm_model_options *o, const char *key, ldm_error *err)
{
    LDM_REQUIRE(o, "opt", err);
    return ldm_options_unset(&o->options, key, err);
}

ldm_status ldm_model_options_get(const ldm_model_options *o, const char *key, char **text,
                                 ldm_error *err)
{
    LDM_REQUIRE(text, "text", err);
    *text = NULL;
    LDM_REQUIRE(o, "opt", err);
    return get(&o->options, key, text, err);
}

int ldm_model_options_get_int(const ldm_model_options *o, const char *key)
{
    return o ? get_int(&o->options, key) : 0;
}

uint64_t ldm_model_options_get_u64(const ldm_model_options *o, const char *key)
{
    return o ? get_u64(&o->options, key) : 0;
}

const char *ldm_model_options_get_text(const ldm_model_options *o, const char *key)
{
    return o ? get_text(&o->options, key) : NULL;
}

ldm_status ldm_model_options_copy(const ldm_model_options *o, ldm_model_options **out,
                                  ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(o, "opt", err);
    st = ldm_model_options_create(out, err);
    if (!st)
        st = ldm_options_lay_below(&(*out)->options, &o->options, err);
    if (st) {
        ldm_model_options_free(*out);
        *out = NULL;
    }
    return st;
}

/* The shipped model that a recipe is of; NULL: another one. Recipes of 0.1 do not name it: there
 * was one. */
static const char *shipped_model(const json_t *recipe)
{
    const json_t *ckpt = json_object_get(recipe, "checkpoint");
    const char *name = json_string_value(json_object_get(ckpt, "shipped"));

    return !json_is_true(json_object_get(ckpt, "default")) ? NULL : name ? name : "demo";
}

/* Lays what a recipe says below what is set. "weights" is the fact ("EMA", "raw") that the setting
 * ema led to. */
static ldm_status use_model(ldm_model_options *o, const json_t *recipe, const char *name,
                            ldm_error *err)
{
    static const char *const texts[] = {"config", "weights", "precision"};
    ldm_model_options below = {0};
    const char *values[3];
    ldm_status st;
    size_t i;

    for (i = 0; i < 3; i++) {
        const json_t *v = json_object_get(recipe, texts[i]);

        values[i] = json_string_value(v);
        if (v && !json_is_null(v) && !values[i])
            return ldm_error_set(err, LDM_ERR_FORMAT, "\"%s\" is not a text", texts[i]);
    }
    if (values[1] && strcmp(values[1], "EMA") && strcmp(values[1], "raw"))
        return ldm_error_set(err, LDM_ERR_FORMAT, "\"weights\" is neither EMA nor raw");
    st = ldm_options_init(&below.options, LDM_SETTINGS_MODEL, err);
    if (!st && values[0])
        st = ldm_options_set(&below.options, "config_text", values[0], err);
    if (!st && values[0])
        st = ldm_options_set(&below.options, "config_name", name, err);
    if (!st && !o->ckpt && shipped_model(recipe))
        st = ldm_options_set(&below.options, "model", shipped_model(recipe), err);
    if (!st && values[1])
        st = ldm_options_set_bool(&below.options, "ema", strcmp(values[1], "EMA") == 0, err);
    if (!st && values[2])
        st = ldm_options_set(&below.options, "precision", values[2], err);
    if (!st)
        st = ldm_options_lay_below(&o->options, &below.options, err);
    ldm_options_finish(&below.options);
    return st;
}

ldm_status ldm_model_options_use_recipe(ldm_model_options *o, const char *json, const char *name,
                                        ldm_error *err)
{
    json_t *recipe;
    ldm_status st;

    LDM_REQUIRE(o, "opt", err);
    LDM_REQUIRE(json, "json", err);
    st = parse_recipe(json, &recipe, err);
    if (!st)
        st = use_model(o, recipe, name && *name ? name : "recipe", err);
    json_decref(recipe);
    return st;
}

/* ---- jobs ---- */

void ldm_job_free(ldm_job *job)
{
    if (job)
        ldm_options_finish(&job->options);
    ldm_free(job);
}

ldm_status ldm_job_set_shape(ldm_job *job, const char *key, const int value[3], ldm_error *err)
{
    char text[64];

    LDM_REQUIRE(job, "job", err);
    LDM_REQUIRE(value, "value", err);
    snprintf(text, sizeof text, "%d,%d,%d", value[0], value[1], value[2]);
    return ldm_options_set(&job->options, key, text, err);
}

ldm_status ldm_job_unset(ldm_job *job, const char *key, ldm_error *err)
{
    LDM_REQUIRE(job, "job", err);
    return ldm_options_unset(&job->options, key, err);
}

bool ldm_job_is_set(const ldm_job *job, const char *key)
{
    return job && ldm_options_given(&job->options, key);
}

bool ldm_job_is_drawn(const ldm_job *job, const char *key)
{
    return job && ldm_options_drawn(&job->options, key);
}

ldm_status ldm_job_get(const ldm_job *job, const char *key, char **text, ldm_error *err)
{
    LDM_REQUIRE(text, "text", err);
    *text = NULL;
    LDM_REQUIRE(job, "job", err);
    return get(&job->options, key, text, err);
}

int ldm_job_get_int(const ldm_job *job, const char *key)
{
    return job ? get_int(&job->options, key) : 0;
}

uint64_t ldm_job_get_u64(const ldm_job *job, const char *key)
{
    return job ? get_u64(&job->options, key) : 0;
}

double ldm_job_get_real(const ldm_job *job, const char *key)
{
    const double *field = job ? ldm_options_field(&job->options, key, LDM_TYPE_REAL) : NULL;

    return field ? *field : 0;
}

bool ldm_job_get_bool(const ldm_job *job, const char *key)
{
    const bool *field = job ? ldm_options_field(&job->options, key, LDM_TYPE_BOOL) : NULL;

    return field && *field;
}

const char *ldm_job_get_text(const ldm_job *job, const char *key)
{
    return job ? get_text(&job->options, key) : NULL;
}

const int *ldm_job_get_shape(const ldm_job *job, const char *key)
{
    return job ? ldm_options_field(&job->options, key, LDM_TYPE_SHAPE) : NULL;
}

/* Where the job asks for another sampler than the recipe's, the recipe's settings of that one are
 * not taken: eta 0 of DDIM would make Euler of euler_a. */
static ldm_status leave_sampler(const ldm_job *job, ldm_job *recipe, ldm_error *err)
{
    static const char *const of_sampler[] = {"eta",    "timesteps",   "temperature",
                                             "solver", "final_sigma", "lower_order_final"};
    ldm_status st = LDM_OK;

    if (!ldm_options_given(&job->options, "sampler") ||
        !ldm_options_given(&recipe->options, "sampler") || !strcmp(job->sampler, recipe->sampler))
        return LDM_OK;
    for (size_t i = 0; !st && i < sizeof of_sampler / sizeof *of_sampler; i++)
        st = ldm_options_unset(&recipe->options, of_sampler[i], err);
    return st;
}

ldm_status ldm_job_use_recipe(ldm_job *job, const char *json, ldm_error *err)
{
    ldm_job below = {0};
    json_t *recipe;
    ldm_status st;

    LDM_REQUIRE(job, "job", err);
    LDM_REQUIRE(json, "json", err);
    st = parse_recipe(json, &recipe, err);
    if (!st)
        st = ldm_job_begin(&below, err);
    if (!st)
        st = ldm_options_read_recipe(&below.options, recipe, err);
    if (!st)
        st = leave_sampler(job, &below, err);
    if (!st)
        st = ldm_options_lay_below(&job->options, &below.options, err);
    ldm_options_finish(&below.options);
    json_decref(recipe);
    return st;
}

/* Fields of the arrays by their names. */
typedef struct array_row {
    const char *name;
    size_t offset;
} array_row;

#define JOB_ARRAY(name) {#name, offsetof(ldm_job, name)},
#define EVAL_ARRAY(name) {#name, offsetof(ldm_eval_job, name)},
static const array_row job_arrays[] = {LDM_JOB_ARRAYS(JOB_ARRAY)};
static const array_row eval_arrays[] = {LDM_EVAL_ARRAYS(EVAL_ARRAY)};

/* owner: the struct that has the fields; who: "a job". */
static ldm_status set_array(void *owner, const array_row *rows, size_t count, const char *who,
                            const char *name, const ldm_array *a, ldm_error *err)
{
    ldm_str names = {0};
    ldm_status st = a ? ldm_array_check(a, strcmp(name, "in") ? name : "the input", err) : LDM_OK;
    size_t i = 0, k;

    while (i < count && strcmp(rows[i].name, name))
        i++;
    if (!st && i < count)
        *(const ldm_array **)(void *)((char *)owner + rows[i].offset) = a;
    if (st || i < count)
        return st;
    for (k = 0; k < count; k++)
        ldm_str_printf(&names, "%s%s", !k ? "" : k == count - 1 ? " or " : ", ", rows[k].name);
    st = ldm_error_set(err, LDM_ERR_USAGE, "%s: %s has no such array, expected %s", name, who,
                       names.failed ? "another name" : names.data);
    ldm_str_free(&names);
    return st;
}

ldm_status ldm_job_set_array(ldm_job *job, const char *name, const ldm_array *a, ldm_error *err)
{
    LDM_REQUIRE(job, "job", err);
    LDM_REQUIRE(name, "name", err);
    return set_array(job, job_arrays, sizeof job_arrays / sizeof job_arrays[0], "a job", name, a,
                     err);
}

bool ldm_job_array_at(const ldm_job *job, size_t i, const char **name, const ldm_array **a)
{
    if (i >= sizeof job_arrays / sizeof job_arrays[0])
        return false;
    *name = job_arrays[i].name;
    *a = *(const ldm_array *const *)(const void *)((const char *)job + job_arrays[i].offset);
    return true;
}

size_t ldm_job_entries(const ldm_job *job)
{
    const char *p = job->class_text;
    size_t n = 1;

    if (job->prompts)
        return job->prompt_count;
    for (; p && *p; p++)
        n += *p == ',';
    return n;
}

uint64_t ldm_job_start_count(const ldm_job *job)
{
    return job->init                  ? job->init->shape[0]
           : job->init_images         ? job->init_count
           : job->segmentation_images ? job->segmentation_count
                                      : job->image_count;
}

uint64_t ldm_job_total(const ldm_job *job)
{
    const uint64_t starts = job ? ldm_job_start_count(job) : 0;

    if (!job)
        return 0;
    if (job->x_t)
        return job->x_t->shape[0];
    return (starts && !ldm_options_given(&job->options, "count") ? starts : (uint64_t)job->count) *
           ldm_job_entries(job);
}

ldm_status ldm_job_set_prompts(ldm_job *job, const char *const *texts, size_t count, ldm_error *err)
{
    size_t i;

    LDM_REQUIRE(job, "job", err);
    if (texts && !count)
        return ldm_error_set(err, LDM_ERR_USAGE, "the list of prompts is empty");
    for (i = 0; texts && i < count; i++)
        LDM_REQUIRE(texts[i], "a prompt", err);
    job->prompts = texts;
    job->prompt_count = texts ? count : 0;
    return LDM_OK;
}

ldm_status ldm_job_set_images(ldm_job *job, const char *name, const ldm_image *ims, size_t count,
                              ldm_error *err)
{
    LDM_REQUIRE(job, "job", err);
    LDM_REQUIRE(name, "name", err);
    if (count)
        LDM_REQUIRE(ims, "ims", err);
#define TAKE(field)                                                                                \
    if (strcmp(name, #field) == 0) {                                                               \
        job->field##_images = count ? ims : NULL;                                                  \
        job->field##_count = count;                                                                \
        return LDM_OK;                                                                             \
    }
    LDM_JOB_IMAGES(TAKE)
#undef TAKE
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "%s: a job has no such pictures, expected init, mask, image or "
                         "segmentation",
                         name);
}

void ldm_job_set_progress(ldm_job *job, int (*fn)(void *ctx, const ldm_progress *p), void *ctx)
{
    if (job) {
        job->progress = fn;
        job->ctx = ctx;
    }
}

void ldm_job_set_cancel(ldm_job *job, bool (*fn)(void *ctx), void *ctx)
{
    if (job) {
        job->cancel = fn;
        job->cancel_ctx = ctx;
    }
}

void ldm_job_set_skip(ldm_job *job, bool (*fn)(void *ctx, int index), void *ctx)
{
    if (job) {
        job->skip = fn;
        job->skip_ctx = ctx;
    }
}

/* ---- evaluations ---- */

ldm_status ldm_eval_job_create(ldm_part part, ldm_eval_job **out, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    *out = ldm_calloc(1, sizeof **out);
    if (!*out)
        return ldm_error_nomem(err, sizeof **out, "an evaluation");
    st = ldm_options_init(&(*out)->options, LDM_SETTINGS_EVAL, err);
    if (!st)
        st = ldm_eval_job_set_part(*out, part, err);
    if (st) {
        ldm_eval_job_free(*out);
        *out = NULL;
    }
    return st;
}

void ldm_eval_job_free(ldm_eval_job *job)
{
    if (job)
        ldm_options_finish(&job->options);
    ldm_free(job);
}

ldm_status ldm_eval_job_set_part(ldm_eval_job *job, ldm_part part, ldm_error *err)
{
    LDM_REQUIRE(job, "job", err);
    if ((int)part < LDM_PART_UNET || (int)part > LDM_PART_COND)
        return ldm_error_set(err, LDM_ERR_USAGE, "part is %d, which is no ldm_part", (int)part);
    job->part = part;
    return LDM_OK;
}

void ldm_eval_job_set_cancel(ldm_eval_job *job, bool (*fn)(void *ctx), void *ctx)
{
    if (job) {
        job->cancel = fn;
        job->cancel_ctx = ctx;
    }
}

const char *ldm_eval_job_get_text(const ldm_eval_job *job, const char *key)
{
    return job ? get_text(&job->options, key) : NULL;
}

ldm_status ldm_eval_job_get(const ldm_eval_job *job, const char *key, char **text, ldm_error *err)
{
    LDM_REQUIRE(text, "text", err);
    *text = NULL;
    LDM_REQUIRE(job, "job", err);
    return get(&job->options, key, text, err);
}

bool ldm_eval_job_is_drawn(const ldm_eval_job *job, const char *key)
{
    return job && ldm_options_drawn(&job->options, key);
}

bool ldm_eval_job_is_set(const ldm_eval_job *job, const char *key)
{
    return job && ldm_options_given(&job->options, key);
}

ldm_status ldm_eval_job_set_array(ldm_eval_job *job, const char *name, const ldm_array *a,
                                  ldm_error *err)
{
    LDM_REQUIRE(job, "job", err);
    LDM_REQUIRE(name, "name", err);
    return set_array(job, eval_arrays, sizeof eval_arrays / sizeof eval_arrays[0], "an evaluation",
                     name, a, err);
}

/* ---- benchmarks ---- */

ldm_status ldm_bench_options_create(ldm_bench_options **out, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = ldm_calloc(1, sizeof **out);
    if (!*out)
        return ldm_error_nomem(err, sizeof **out, "options");
    st = ldm_options_init(&(*out)->options, LDM_SETTINGS_BENCH, err);
    if (st) {
        ldm_bench_options_free(*out);
        *out = NULL;
    }
    return st;
}

void ldm_bench_options_free(ldm_bench_options *o)
{
    if (o)
        ldm_options_finish(&o->options);
    ldm_free(o);
}

ldm_status ldm_bench_options_set_job(ldm_bench_options *o, const ldm_job *job, ldm_error *err)
{
    LDM_REQUIRE(o, "opt", err);
    o->job = job;
    return LDM_OK;
}

bool ldm_bench_options_is_set(const ldm_bench_options *o, const char *key)
{
    return o && ldm_options_given(&o->options, key);
}
