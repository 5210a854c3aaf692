/* SPDX-License-Identifier: MIT */
/* Recipes in pictures: ldm generate --like; see generate.h. The keys are the library's
 * (ldm_run_recipe in ldm.h) and one of ours, "files": the arrays that the command line named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "cli/generate/generate.h"
#include "cli/sheets.h"
#include "cli/walk.h"

static int damaged(const ldm_command *cmd, const char *path, const char *what)
{
    ldm_cli_say(cmd, "--like: the recipe in %s is damaged: %s", path, what);
    return LDM_EXIT_FAILED;
}

/* A key that is there must be a text; one that is not leaves *out alone, as does null. */
static int take_text(const ldm_command *cmd, const char *path, const json_t *root, const char *key,
                     const char **out)
{
    const json_t *v = json_object_get(root, key);
    char what[64];

    if (!v || json_is_null(v))
        return LDM_EXIT_OK;
    if (!json_is_string(v)) {
        snprintf(what, sizeof what, "\"%s\" is not a text", key);
        return damaged(cmd, path, what);
    }
    *out = json_string_value(v);
    return LDM_EXIT_OK;
}

static int take_int(const ldm_command *cmd, const char *path, const json_t *root, const char *key,
                    int min, int *out)
{
    const int max = (int)ldm_setting_max(ldm_setting_find(LDM_SETTINGS_JOB, "count"));
    const json_t *v = json_object_get(root, key);
    char what[96];

    if (!v)
        return LDM_EXIT_OK;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
        snprintf(what, sizeof what, "\"%s\" is not a whole number from %d to %d", key, min, max);
        return damaged(cmd, path, what);
    }
    *out = (int)json_integer_value(v);
    return LDM_EXIT_OK;
}

/* What the line named stays; both are files that --like finds again. */
typedef struct found {
    const char *ckpt;        /* of the recipe; NULL: none */
    const ldm_role *role;    /* of `init`; NULL: it was made from no picture */
    const char *init, *mask; /* pictures; likewise */
    const char *palette;
    ldm_generate_opts arrays; /* its paths alone */
    const char *name;         /* the checkpoint's, without its folder */
    bool shipped;             /* it is the model that comes with ldm */
    int index, count;
    int sheet; /* pictures of the contact sheet that holds the recipe; 0: it is a picture's */
} found;

/* The picture that it was made from, under whichever name. */
static int read_start(const ldm_command *cmd, const char *path, ldm_recipe *r, found *f)
{
    const json_t *files = json_object_get(r->root, "files"), *start = NULL;
    int code = LDM_EXIT_OK;

    for (size_t i = 0; i < ldm_role_count() && !start; i++) {
        f->role = ldm_role_at(i);
        start = json_object_get(r->root, f->role->name);
    }
    if (!start || f->arrays.init) {
        f->role = NULL;
        return LDM_EXIT_OK;
    }
    code = take_text(cmd, path, files, f->role->file, &f->init);
    if (!code)
        code = take_text(cmd, path, files, "mask_image", &f->mask);
    if (!code)
        code = take_text(cmd, path, files, "palette", &f->palette);
    if (!code)
        code = take_text(cmd, path, start, "sha256", &r->init_sha256);
    return code ? code : take_text(cmd, path, start, "mask", &r->mask_sha256);
}

static int read_own(const ldm_command *cmd, const char *path, ldm_recipe *r, found *f)
{
    const json_t *files = json_object_get(r->root, "files");
    int code = take_text(cmd, path, json_object_get(r->root, "checkpoint"), "sha256", &r->sha256);
    size_t i;

    f->shipped = json_is_true(json_object_get(json_object_get(r->root, "checkpoint"), "default"));
    if (!code)
        code = take_text(cmd, path, json_object_get(r->root, "checkpoint"), "name", &f->name);
    if (!code)
        code = take_int(cmd, path, r->root, "index", 0, &f->index);
    if (!code)
        code = take_int(cmd, path, json_object_get(r->root, "sheet"), "pictures", 1, &f->sheet);
    if (!code)
        code = take_text(cmd, path, files, "ckpt", &f->ckpt);
    for (i = 0; !code && i < ldm_arrays_count(); i++)
        code = take_text(cmd, path, files, ldm_arrays_key(i), ldm_arrays_path(&f->arrays, i));
    if (!code)
        code = read_start(cmd, path, r, f);
    if (!code)
        code = take_int(cmd, path, files, "count", 1, &f->count);
    return code;
}

/* The settings, by the library: what the line gave takes precedence. */
static ldm_status take_settings(const char *path, const char *text, ldm_generate_opts *o,
                                ldm_error *err)
{
    char *name = ldm_cli_format("%s: recipe", path);
    ldm_status st = ldm_model_options_use_recipe(o->to.model, text, name, err);

    free(name);
    if (!st)
        st = ldm_job_use_recipe(o->to.job, text, err);
    return st;
}

/* A recipe holds the checkpoint's path only on request (--full-path), and it may have moved: then
 * the name is looked for here and beside the picture. The SHA-256 tells later whether it is the
 * one. */
static int take_checkpoint(const ldm_command *cmd, const char *path, const ldm_recipe *r,
                           const found *f, ldm_generate_opts *o)
{
    const char *slash = strrchr(path, '/'), *name = f->name;
    char *beside;
    ldm_error err;
    ldm_status st = LDM_OK;

    if (ldm_model_ckpt(o->to.model) || f->shipped || (!f->ckpt && !name))
        return LDM_EXIT_OK;
    if (name && strchr(name, '/'))
        return damaged(cmd, path, "\"name\" is a path");
    beside = slash && name ? ldm_cli_format("%.*s%s", (int)(slash - path + 1), path, name) : NULL;
    if (f->ckpt && !access(f->ckpt, F_OK))
        st = ldm_model_options_set(o->to.model, "ckpt", f->ckpt, &err);
    else if (name && !access(name, F_OK))
        st = ldm_model_options_set(o->to.model, "ckpt", name, &err);
    else if (beside && !access(beside, F_OK))
        st = ldm_model_options_set(o->to.model, "ckpt", beside, &err);
    else
        ldm_cli_say(cmd,
                    "--like: %s was made with the checkpoint %s (SHA-256 %.12s...), which is not "
                    "found; name it with --ckpt FILE",
                    path, f->ckpt ? f->ckpt : name, r->sha256 ? r->sha256 : "unknown");
    free(beside);
    if (st)
        return ldm_cli_fail(cmd, st, &err);
    return ldm_model_ckpt(o->to.model) ? LDM_EXIT_OK : LDM_EXIT_FAILED;
}

/* A picture that it was made from, under `option`. Where the line names another one (*given), that
 * is what is wanted. */
static int take_picture(const ldm_command *cmd, const char *path, const char *option,
                        const char *name, const char **sha256, const char **given)
{
    if (*given || !*sha256) {
        *sha256 = NULL;
        return LDM_EXIT_OK;
    }
    *given = name;
    if (name && !access(name, F_OK))
        return LDM_EXIT_OK;
    ldm_cli_say(cmd,
                "--like: %s was made from %s (SHA-256 %.12s...), which is not found; name it with "
                "%s FILE",
                path, name ? name : "a picture without a name", *sha256, option);
    return LDM_EXIT_FAILED;
}

static int take_start(const ldm_command *cmd, const char *path, found *f, ldm_recipe *r,
                      ldm_generate_opts *o)
{
    const ldm_role *given = ldm_role_given(o);
    int code;

    if (o->init || !f->role || (given && given != f->role)) { /* the line says something else */
        r->init_sha256 = r->mask_sha256 = NULL;
        return LDM_EXIT_OK;
    }
    code = take_picture(cmd, path, f->role->option, f->init, &r->init_sha256,
                        ldm_role_path(o, f->role));
    if (!o->palette && r->init_sha256)
        o->palette = f->palette;
    r->init_index = ldm_arrays_first(&f->arrays) ? f->index : 0;
    return code ? code
                : take_picture(cmd, path, "--mask", f->mask, &r->mask_sha256, &o->mask_image);
}

/* The arrays belong to all pictures of that run, so all of them are made again. */
static ldm_status repeat_whole_run(const ldm_command *cmd, const char *path, found *f,
                                   bool seed_given, ldm_generate_opts *o, ldm_error *err)
{
    ldm_status st = LDM_OK;
    char *named;
    size_t i;

    for (i = 0; i < ldm_arrays_count(); i++) {
        const char **to = ldm_arrays_path(o, i);

        *to = *to ? *to : *ldm_arrays_path(&f->arrays, i);
    }
    if (f->sheet && !ldm_job_is_set(o->to.job, "count")) {
        ldm_cli_say(cmd, "note: %s is a contact sheet: this repeats its %d pictures", path,
                    f->sheet);
        st = ldm_job_set_int(o->to.job, "count", f->sheet, err);
    }
    named = ldm_arrays_named(&f->arrays);
    if (st || !named || !*named) {
        free(named);
        return st;
    }
    if (!seed_given && ldm_job_get_real(o->to.job, "vary_strength") > 0) /* then vary goes up */
        st = ldm_job_set_u64(o->to.job, "vary",
                             ldm_job_get_u64(o->to.job, "vary") - (uint64_t)f->index, err);
    else if (!seed_given)
        st = ldm_job_set_u64(o->to.job, "seed",
                             ldm_job_get_u64(o->to.job, "seed") - (uint64_t)f->index, err);
    if (!st && f->count && !ldm_job_is_set(o->to.job, "count"))
        st = ldm_job_set_int(o->to.job, "count", f->count, err);
    ldm_cli_say(cmd,
                "note: %s was made from arrays in files (%s): this repeats the whole run, "
                "in which it was picture %d",
                path, named + 1, f->index);
    free(named);
    return st;
}

int ldm_recipe_load(const ldm_command *cmd, const char *path, ldm_recipe *r, ldm_generate_opts *o)
{
    const bool seed_given = ldm_job_is_set(o->to.job, "seed");
    const bool shape_given = ldm_job_is_set(o->to.job, "shape");
    const char *what;
    char *text = NULL;
    found f = {0};
    ldm_error err;
    ldm_status st = ldm_image_read_recipe(path, &text, &err);
    int code;

    if (st)
        return ldm_cli_fail(cmd, st, &err);
    r->root = json_loads(text, JSON_REJECT_DUPLICATES, NULL); /* the library says what is wrong */
    r->ckpt_named = ldm_model_ckpt(o->to.model) != NULL;
    code = read_own(cmd, path, r, &f);
    if (!code && ldm_walk_refused(cmd, path, r->root))
        code = LDM_EXIT_FAILED;
    if (!code && !json_object_get(r->root, "config") && ldm_sheet_pictures(path, &what)) {
        ldm_cli_say(cmd, "--like: %s is %s without a recipe; name one of its pictures", path, what);
        code = LDM_EXIT_FAILED;
    }
    if (!code) {
        st = take_settings(path, text, o, &err);
        if (!st && !shape_given && ldm_job_is_set(o->to.job, "size"))
            st = ldm_job_unset(o->to.job, "shape", &err); /* the line says another */
        if (st == LDM_ERR_NOMEM)
            code = ldm_cli_fail(cmd, st, &err);
        else if (st)
            code = damaged(cmd, path, err.msg);
    }
    if (!code)
        code = take_checkpoint(cmd, path, r, &f, o);
    if (!code)
        code = take_start(cmd, path, &f, r, o);
    if (!code) {
        st = repeat_whole_run(cmd, path, &f, seed_given, o, &err);
        code = st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
    }
    ldm_release(text);
    return code;
}

void ldm_recipe_free(ldm_recipe *r)
{
    json_decref(r->root);
    memset(r, 0, sizeof *r);
}

static void add_file(json_t *files, const char *key, const char *path)
{
    if (path)
        json_object_set_new(files, key, ldm_json_text(path));
}

char *ldm_recipe_complete(const char *library_json, const ldm_generate_opts *o,
                          ldm_start_names starts)
{
    json_t *root = json_loads(library_json, 0, NULL), *files = json_object();
    char *text = NULL;
    size_t i;

    if (json_is_object(root) && files) {
        if (o->full_path) /* else its name and hash are there: a path tells of its owner */
            add_file(files, "ckpt", ldm_model_ckpt(o->to.model));
        for (i = 0; i < ldm_arrays_count(); i++)
            add_file(files, ldm_arrays_key(i),
                     *ldm_arrays_path((ldm_generate_opts *)(uintptr_t)o, i));
        if (starts.role)
            add_file(files, starts.role->file, starts.init);
        add_file(files, "palette", o->palette);
        add_file(files, "mask_image", starts.mask);
        if (ldm_generate_count(o))
            json_object_set_new(files, "count", json_integer(ldm_generate_count(o)));
        json_object_set(root, "files", files);
        text = ldm_cli_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    }
    json_decref(files);
    json_decref(root);
    return text;
}
