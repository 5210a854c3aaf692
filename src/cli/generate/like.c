/* Recipes in pictures: ldm generate --like; see generate.h. The keys are the library's
 * (ldm_run_recipe in ldm.h) and one of ours, "files": the arrays that the command line named. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/generate/generate.h"

/* A key that is there must have the right type; one that is not keeps the option's default. */
static int take_text(const ldm_command *cmd, const char *path, const json_t *root, const char *key,
                     const char **out)
{
    const json_t *v = json_object_get(root, key);

    if (!v || json_is_null(v))
        return 0;
    if (!json_is_string(v)) {
        ldm_cli_say(cmd, "--like: the recipe in %s is damaged: \"%s\" is not a text", path, key);
        return -1;
    }
    *out = json_string_value(v);
    return 0;
}

static int take_real(const ldm_command *cmd, const char *path, const json_t *root, const char *key,
                     double *out)
{
    const json_t *v = json_object_get(root, key);

    if (!v)
        return 0;
    if (!json_is_number(v)) {
        ldm_cli_say(cmd, "--like: the recipe in %s is damaged: \"%s\" is not a number", path, key);
        return -1;
    }
    *out = json_number_value(v);
    return 0;
}

static int take_int(const ldm_command *cmd, const char *path, const json_t *v, const char *key,
                    int min, int max, int *out)
{
    if (!v)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
        ldm_cli_say(
            cmd, "--like: the recipe in %s is damaged: \"%s\" is not a whole number from %d to %d",
            path, key, min, max);
        return -1;
    }
    *out = (int)json_integer_value(v);
    return 0;
}

static void take_bool(const json_t *root, const char *key, bool *out)
{
    const json_t *v = json_object_get(root, key);

    if (json_is_boolean(v))
        *out = json_is_true(v);
}

/* A number, or its text where it is above 2^63 - 1. */
static int take_seed(const ldm_command *cmd, const char *path, const json_t *v, uint64_t *out)
{
    const char *text = json_string_value(v);
    char *end;

    if (!v)
        return 0;
    if (json_is_integer(v) && json_integer_value(v) >= 0) {
        *out = (uint64_t)json_integer_value(v);
        return 0;
    }
    if (text && *text >= '0' && *text <= '9') {
        errno = 0;
        *out = strtoull(text, &end, 10);
        if (!errno && !*end)
            return 0;
    }
    ldm_cli_say(cmd, "--like: the recipe in %s is damaged: \"seed\" is not a number", path);
    return -1;
}

static int apply(const ldm_command *cmd, const char *path, ldm_recipe *r, ldm_generate_opts *o)
{
    const json_t *root = r->root, *ckpt = json_object_get(root, "checkpoint");
    const json_t *files = json_object_get(root, "files"), *shape = json_object_get(root, "shape");
    const char *weights = NULL;
    int index = 0;

    if (take_text(cmd, path, root, "config", &o->config_text) ||
        take_text(cmd, path, root, "weights", &weights) ||
        take_text(cmd, path, root, "precision", &o->model.precision) ||
        take_text(cmd, path, root, "timesteps", &o->timesteps) ||
        take_text(cmd, path, root, "cond", &o->cond) ||
        take_int(cmd, path, json_object_get(root, "steps"), "steps", 1, 1000, &o->steps) ||
        take_int(cmd, path, json_object_get(root, "cache"), "cache", 1, 1000, &o->cache) ||
        take_real(cmd, path, root, "eta", &o->eta) ||
        take_real(cmd, path, root, "temperature", &o->temperature) ||
        take_real(cmd, path, root, "scale", &o->scale) ||
        take_int(cmd, path, json_object_get(root, "index"), "index", 0, 1000000, &index) ||
        take_seed(cmd, path, json_object_get(root, "seed"), &o->seed) ||
        take_text(cmd, path, ckpt, "sha256", &r->sha256) ||
        take_text(cmd, path, files, "ckpt", &r->ckpt) ||
        take_text(cmd, path, files, "x_t", &o->x_t) ||
        take_text(cmd, path, files, "noise", &o->noise) ||
        take_text(cmd, path, files, "mask", &o->mask) || take_text(cmd, path, files, "x0", &o->x0))
        return LDM_EXIT_FAILED;
    for (size_t i = 0; i < 3 && shape; i++) {
        if (take_int(cmd, path, json_array_get(shape, i), "shape", 1, 65536, &o->shape[i]))
            return LDM_EXIT_FAILED;
    }
    take_bool(root, "quantize", &o->quantize);
    take_bool(root, "quantize_x0", &o->quantize_x0);
    if (weights)
        o->model.ema = strcmp(weights, "EMA") ? LDM_NO : LDM_YES;
    o->model.ckpt = r->ckpt;
    /* The arrays belong to all pictures of that run, so all of them are made again. */
    if (o->x_t || o->noise || o->mask) {
        o->seed -= (uint64_t)index;
        if (take_int(cmd, path, json_object_get(files, "count"), "count", 1, 1000000, &o->count))
            return LDM_EXIT_FAILED;
        ldm_cli_say(cmd,
                    "note: %s was made from arrays in files (%s): this repeats the whole run, "
                    "in which it was picture %d",
                    path,
                    o->x_t     ? o->x_t
                    : o->noise ? o->noise
                               : o->mask,
                    index);
    }
    return LDM_EXIT_OK;
}

int ldm_recipe_load(const ldm_command *cmd, const char *path, ldm_recipe *r, ldm_generate_opts *o)
{
    char *text = NULL;
    ldm_error err;
    json_error_t jerr;
    ldm_status st = ldm_image_read_recipe(path, &text, &err);

    if (st)
        return ldm_cli_fail(cmd, st, &err);
    r->root = json_loads(text, JSON_REJECT_DUPLICATES, &jerr);
    ldm_release(text);
    r->name = malloc(strlen(path) + sizeof ": recipe");
    if (!r->name)
        return ldm_cli_nomem(cmd);
    sprintf(r->name, "%s: recipe", path);
    o->config_name = r->name;
    if (!json_is_object(r->root)) {
        ldm_cli_say(cmd, "--like: the recipe in %s is damaged: %s", path,
                    r->root ? "it is not a JSON object" : jerr.text);
        return LDM_EXIT_FAILED;
    }
    return apply(cmd, path, r, o);
}

void ldm_recipe_free(ldm_recipe *r)
{
    json_decref(r->root);
    free(r->name);
    memset(r, 0, sizeof *r);
}

static void add_file(json_t *files, const char *key, const char *path)
{
    if (path)
        json_object_set_new(files, key, ldm_cli_json_text(path));
}

char *ldm_recipe_complete(const char *library_json, const ldm_generate_opts *o, int index)
{
    json_t *root = json_loads(library_json, 0, NULL), *files = json_object();
    char *text = NULL;

    if (json_is_object(root) && files) {
        add_file(files, "ckpt", o->model.ckpt);
        add_file(files, "x_t", o->x_t);
        add_file(files, "noise", o->noise);
        add_file(files, "mask", o->mask);
        add_file(files, "x0", o->x0);
        if (o->count)
            json_object_set_new(files, "count", json_integer(o->count));
        json_object_set_new(root, "index", json_integer(index));
        json_object_set(root, "files", files);
        text = ldm_cli_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    }
    json_decref(files);
    json_decref(root);
    return text;
}
