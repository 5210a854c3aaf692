/* SPDX-License-Identifier: MIT */
/* The pictures that ldm generate is given: --init to begin with, --image and --segmentation as
 * conditioning, --mask with them; see generate.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/generate/generate.h"
#include "cli/inputs.h"
#include "cli/sheets.h"

static const ldm_role roles[] = {
    {"init", "--init", "init_image", offsetof(ldm_generate_opts, init_image)},
    {"image", "--image", "image", offsetof(ldm_generate_opts, image)},
    {"segmentation", "--segmentation", "segmentation", offsetof(ldm_generate_opts, segmentation)},
};

enum { ROLES = sizeof roles / sizeof roles[0], MAX_LAYOUT_BYTES = 1 << 20 };

size_t ldm_role_count(void)
{
    return ROLES;
}

const ldm_role *ldm_role_at(size_t i)
{
    return &roles[i];
}

const char **ldm_role_path(ldm_generate_opts *o, const ldm_role *role)
{
    return (const char **)(void *)((char *)o + role->path);
}

static const char *path_of(const ldm_generate_opts *o, const ldm_role *role)
{
    return *(const char *const *)(const void *)((const char *)o + role->path);
}

const ldm_role *ldm_role_given(const ldm_generate_opts *o)
{
    size_t i = 0;

    while (i < ROLES && !path_of(o, &roles[i]))
        i++;
    return i < ROLES ? &roles[i] : NULL;
}

bool ldm_starts_is_array(const char *path)
{
    const size_t n = path ? strlen(path) : 0;

    return n > 4 && !strcmp(path + n - 4, ".npy");
}

/* The files that a path names: itself, or a folder's pictures without its contact sheets. */
static int list(const ldm_command *cmd, const char *option, const char *path, bool quiet,
                char ***paths, size_t *count)
{
    size_t n, kept = 0;
    int code;

    if (!ldm_is_dir(path)) {
        *paths = calloc(1, sizeof **paths);
        if (*paths)
            (*paths)[0] = strdup(path);
        *count = *paths && (*paths)[0];
        return *count ? LDM_EXIT_OK : ldm_cli_nomem(cmd);
    }
    code = ldm_folder_pictures(cmd, path, quiet, paths, &n);
    for (size_t i = 0; !code && i < n; i++) {
        if (ldm_sheet_pictures((*paths)[i], NULL))
            free((*paths)[i]);
        else
            (*paths)[kept++] = (*paths)[i];
    }
    *count = code ? n : kept;
    if (!code && !kept) {
        ldm_cli_say(cmd, "%s: '%s' holds contact sheets only, and no picture", option, path);
        code = LDM_EXIT_FAILED;
    }
    return code;
}

/* palette: of maps of labels (labels); NULL: they hold numbers. */
static ldm_status read_one(const char *path, bool labels, const char *palette, ldm_image *out,
                           ldm_error *err)
{
    return labels ? ldm_image_read_labels(path, palette, out, err)
                  : ldm_image_read_channels(path, 0, out, err);
}

static int read_pictures(const ldm_command *cmd, const ldm_generate_opts *o, const char *option,
                         const char *path, char ***paths, ldm_image **ims, size_t *count)
{
    const bool labels = !strcmp(option, "--segmentation");

    ldm_error err;
    ldm_status st = LDM_OK;
    int code = list(cmd, option, path, o->quiet, paths, count);

    if (code)
        return code;
    *ims = calloc(*count, sizeof **ims);
    if (!*ims)
        return ldm_cli_nomem(cmd);
    for (size_t i = 0; !st && i < *count; i++)
        st = read_one((*paths)[i], labels, o->palette, &(*ims)[i], &err);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

int ldm_starts_read(const ldm_command *cmd, const ldm_generate_opts *o, ldm_starts *s)
{
    const ldm_role *role = ldm_role_given(o);
    int code = LDM_EXIT_OK;

    for (size_t i = 0; i < ROLES; i++) {
        if (path_of(o, &roles[i]) && role != &roles[i])
            return ldm_cli_usage(cmd,
                                 "%s and %s exclude each other: a run is made from one of "
                                 "them",
                                 role->option, roles[i].option);
    }
    if (o->palette && !o->segmentation)
        return ldm_cli_usage(cmd, "--palette is of the colours of --segmentation, which is not "
                                  "given");
    if (o->mask_image && !o->init_image && !o->image)
        return ldm_cli_usage(cmd,
                             "--mask %s is a picture: it needs --init with the picture that it "
                             "belongs to, or --image",
                             o->mask_image);
    if ((o->init_image || o->init) && o->x_t)
        return ldm_cli_usage(cmd, "--init and --x-t exclude each other: a run begins with pictures "
                                  "or with start noise");
    if (o->mask_image)
        code = read_pictures(cmd, o, "--mask", o->mask_image, &s->mask_paths, &s->masks,
                             &s->mask_count);
    s->role = role;
    if (!code && role)
        code = read_pictures(cmd, o, role->option, path_of(o, role), &s->paths, &s->ims, &s->count);
    return code;
}

/* A picture of the recipe is known by its hash. */
static int check_one(const ldm_command *cmd, const char *like, const char *what, const char *option,
                     const char *sha256, const ldm_image *im, const char *path)
{
    ldm_error err;
    char hex[65];
    ldm_status st = ldm_image_hash(im, hex, &err);

    if (st)
        return ldm_cli_fail(cmd, st, &err);
    if (!strcmp(hex, sha256))
        return LDM_EXIT_OK;
    ldm_cli_say(cmd,
                "%s was made from a %s of SHA-256 %.12s..., %s shows another one (%.12s...); name "
                "the right one with %s, or this one to take it all the same",
                like, what, sha256, path, hex, option);
    return LDM_EXIT_MISMATCH;
}

int ldm_starts_check(const ldm_command *cmd, const ldm_starts *s, const ldm_recipe *r,
                     const char *like)
{
    const size_t k = s->count ? (size_t)r->init_index % s->count : 0;
    const size_t mask = k < s->mask_count ? k : 0;
    int code = LDM_EXIT_OK;

    if (r->init_sha256 && s->ims)
        code = check_one(cmd, like, "picture", s->role->option, r->init_sha256, &s->ims[k],
                         s->paths[k]);
    if (!code && r->mask_sha256 && s->masks)
        code = check_one(cmd, like, "mask", "--mask", r->mask_sha256, &s->masks[mask],
                         s->mask_paths[mask]);
    return code;
}

ldm_start_names ldm_starts_name(const ldm_starts *s, const ldm_generate_opts *o, int index)
{
    ldm_start_names n = {s->role, s->role ? path_of(o, s->role) : NULL, o->mask_image};
    size_t k;

    if (!s->ims || index < 0 || ldm_arrays_first(o))
        return n; /* arrays are of the whole run: --like repeats all of it */
    k = (size_t)index % s->count;
    n.init = s->paths[k];
    if (s->masks)
        n.mask = s->mask_paths[k < s->mask_count ? k : 0];
    return n;
}

ldm_status ldm_starts_set(const ldm_starts *s, ldm_job *job, ldm_error *err)
{
    ldm_status st = LDM_OK;

    for (size_t i = 0; !st && i < ROLES; i++) {
        const size_t count = s->ims && s->role == &roles[i] ? s->count : 0;

        st = ldm_job_set_images(job, roles[i].name, s->ims, count, err);
    }
    return st ? st : ldm_job_set_images(job, "mask", s->masks, s->masks ? s->mask_count : 0, err);
}

int ldm_layout_set(const ldm_command *cmd, const ldm_generate_opts *o)
{
    char *text = NULL;
    size_t size;
    ldm_error err;
    ldm_status st;

    if (!o->layout)
        return LDM_EXIT_OK;
    st = ldm_text_read(o->layout, MAX_LAYOUT_BYTES, &text, &size, &err);
    if (!st && (!size || strlen(text) != size)) {
        ldm_free(text);
        return ldm_cli_usage(cmd, "--layout: %s is %s", o->layout,
                             size ? "no text: it holds a zero byte" : "empty");
    }
    if (!st)
        st = ldm_job_set(o->to.job, "layout", text, &err);
    ldm_free(text);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

static void free_pictures(char **paths, ldm_image *ims, size_t count)
{
    for (size_t i = 0; ims && i < count; i++)
        ldm_release(ims[i].pixels);
    free(ims);
    ldm_paths_free(paths, paths ? count : 0);
}

void ldm_starts_free(ldm_starts *s)
{
    free_pictures(s->paths, s->ims, s->count);
    free_pictures(s->mask_paths, s->masks, s->mask_count);
}

/* The prompt that the recipes of all pictures have; NULL where they have none, or *differ. free()
 * it. */
static char *common_prompt(const ldm_starts *s, bool *differ)
{
    char *common = ldm_inputs_prompt_of(s->paths[0]);

    *differ = false;
    for (size_t i = 1; i < s->count && !*differ; i++) {
        char *own = ldm_inputs_prompt_of(s->paths[i]);

        *differ = !own != !common || (own && strcmp(own, common) != 0);
        free(own);
    }
    if (!*differ)
        return common;
    free(common);
    return NULL;
}

int ldm_starts_take_prompt(const ldm_command *cmd, const ldm_model *m, const ldm_starts *s,
                           const char *otherwise, ldm_job *job)
{
    bool differ;
    char *own;
    ldm_error err;
    ldm_status st = LDM_OK;

    if (!ldm_model_get_info(m)->reads_text || ldm_job_is_set(job, "prompt") || !s->ims ||
        s->role != &roles[0])
        return LDM_EXIT_OK;
    own = common_prompt(s, &differ);
    if (differ)
        ldm_cli_say(cmd,
                    "note: the recipes of the %zu pictures do not agree in their prompt: %s; "
                    "--prompt TEXT gives one for all",
                    s->count, otherwise);
    if (own) {
        ldm_cli_say(cmd, "note: the prompt is taken from the recipe of %s%s: %s", s->paths[0],
                    s->count > 1 ? ", which the others share" : "", own);
        st = ldm_job_set(job, "prompt", own, &err);
    }
    free(own);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

ldm_status ldm_starts_note_inverse(const ldm_command *cmd, const ldm_model *m, const ldm_job *job,
                                   bool quiet, const char *about, ldm_error *err)
{
    char *text, *rest;
    ldm_status st = ldm_invert_notes(m, job, &text, err);

    for (char *line = !st && text ? strtok_r(text, "\n", &rest) : NULL; line && !quiet;
         line = strtok_r(NULL, "\n", &rest)) {
        if (!about || !strncmp(line, about, strlen(about)))
            ldm_cli_note(cmd, line);
    }
    if (!st)
        ldm_release(text);
    return st;
}
