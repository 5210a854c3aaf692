/* SPDX-License-Identifier: MIT */
/* The report on a picture; see inspect_recipe.h. */
#include "engine/inspect_recipe.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_text.h"

bool ldm_looks_like_picture(const char *path)
{
    static const unsigned char png[] = {0x89, 'P', 'N', 'G'}, jpeg[] = {0xff, 0xd8, 0xff};
    unsigned char head[4] = {0};
    struct stat there;
    FILE *f = !stat(path, &there) && S_ISREG(there.st_mode) ? fopen(path, "rb") : NULL;
    const size_t n = f ? fread(head, 1, sizeof head, f) : 0;

    if (f)
        fclose(f);
    return n == sizeof head && (!memcmp(head, png, sizeof png) || !memcmp(head, jpeg, sizeof jpeg));
}

/* A stranger may have written it: what must not reach a terminal does not. */
static void put_flat(ldm_str *out, const char *text, size_t len)
{
    char *copy = ldm_malloc(len + 1);

    if (!copy) {
        out->failed = true;
        return;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    ldm_flatten(copy);
    ldm_str_puts(out, copy);
    ldm_free(copy);
}

/* Its lines, below the key. */
static void put_config(ldm_str *out, const char *yaml)
{
    while (*yaml) {
        const size_t n = strcspn(yaml, "\n");

        ldm_str_puts(out, "\n      ");
        put_flat(out, yaml, n);
        yaml += n + (yaml[n] == '\n');
    }
    ldm_str_puts(out, "\n");
}

static void put_value(ldm_str *out, const json_t *v)
{
    ldm_str text = {0};

    if (json_is_string(v))
        ldm_str_puts(&text, json_string_value(v));
    else if (!ldm_json_append(v, JSON_COMPACT | JSON_ENCODE_ANY, &text))
        out->failed = true;
    if (text.data)
        put_flat(out, text.data, text.len);
    out->failed |= text.failed;
    ldm_str_puts(out, "\n");
    ldm_str_free(&text);
}

/* A line, "  checkpoint.name    model.ckpt"; the configuration's are many, or how long it is. */
static void put_line(ldm_str *out, const char *name, const json_t *v, bool all)
{
    const bool config = json_is_string(v) && !strcmp(name, "config");
    const size_t begin = out->len + 2;

    ldm_str_puts(out, "  ");
    put_flat(out, name, strlen(name));
    if (config && all) {
        put_config(out, json_string_value(v));
        return;
    }
    do
        ldm_str_puts(out, " ");
    while (!out->failed && out->len < begin + 23);
    if (config)
        ldm_str_printf(out, "YAML of %zu bytes; --all shows it\n", json_string_length(v));
    else
        put_value(out, v);
}

static void put_values(ldm_str *out, const json_t *object, const char *above, bool all)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)object, key, v) /* only read */
    {
        ldm_str name = {0};

        ldm_str_printf(&name, "%s%s%s", above, *above ? "." : "", key);
        if (name.failed)
            out->failed = true;
        else if (json_is_object(v))
            put_values(out, v, name.data, all);
        else
            put_line(out, name.data, v, all);
        ldm_str_free(&name);
    }
}

static ldm_status parse(const char *path, const char *text, json_t **recipe, ldm_error *err)
{
    json_error_t why;
    bool valid;

    *recipe = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (!*recipe && json_error_code(&why) == json_error_out_of_memory)
        return ldm_error_nomem(err, strlen(text), "a recipe");
    if (!*recipe)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s: the recipe is damaged: line %d: %s", path,
                             why.line, ldm_json_wrong(&why, &valid));
    return json_is_object(*recipe)
               ? LDM_OK
               : ldm_error_set(err, LDM_ERR_FORMAT,
                               "%s: the recipe is damaged: it is no JSON object", path);
}

/* How it is made again. A frame of a walk has a place between others, and an animation has many:
 * --like repeats neither. */
static void put_again(ldm_str *out, const char *path, const json_t *recipe)
{
    const json_t *walk = json_object_get(recipe, "walk"),
                 *command = json_object_get(walk, "command");

    if (json_is_string(command)) {
        ldm_str_puts(out, "The walk again: ");
        put_value(out, command);
    } else if (!walk && !json_object_get(recipe, "animation")) {
        ldm_str_printf(out, "The same again: ldm generate --like %s\n", path);
    }
}

ldm_status ldm_inspect_recipe(const char *path, bool json, bool all, ldm_str *out, ldm_error *err)
{
    char *text = NULL;
    json_t *recipe = NULL;
    ldm_status st = ldm_image_read_recipe(path, &text, err);

    if (!st)
        st = parse(path, text, &recipe, err);
    if (!st && json) {
        out->failed |= !ldm_json_append(recipe, JSON_INDENT(2) | JSON_REAL_PRECISION(9), out);
        ldm_str_puts(out, "\n");
    } else if (!st) {
        ldm_str_printf(out, "%s: a picture that ldm made, from\n", path);
        put_values(out, recipe, "", all);
        put_again(out, path, recipe);
    }
    if (!st && out->failed)
        st = ldm_error_nomem(err, 0, "the report");
    json_decref(recipe);
    ldm_release(text);
    return st;
}
