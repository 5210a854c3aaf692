/* SPDX-License-Identifier: MIT */
/* Opening weights in whatever form they come: a checkpoint, a folder or a file of diffusers, a
 * first stage in a file of its own laid over them. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "checkpoint/join.h"
#include "diffusers/diffusers.h"
#include "engine/engine.h"

#define STAGE "first_stage_model."
#define UNET "model.diffusion_model."

static bool begins(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

/* The folder that a file is in; ldm_free it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? ldm_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : ldm_strdup(".");
}

static ldm_status open_one(const char *path, ldm_ckpt **out, ldm_error *err)
{
    char *folder;
    ldm_ckpt *ck;
    ldm_status st;

    if (ldm_diffusers_is_folder(path))
        return ldm_diffusers_open(path, out, err);
    st = ldm_ckpt_open(path, NULL, &ck, err);
    if (st || !ldm_diffusers_has_names(ck)) {
        *out = st ? NULL : ck;
        return st;
    }
    folder = folder_of(path);
    if (!folder) {
        ldm_ckpt_close(ck);
        return ldm_error_nomem(err, strlen(path), "a path");
    }
    st = ldm_diffusers_rename(ck, folder, out, err);
    ldm_free(folder);
    return st;
}

/* ---- a first stage of its own ---------------------------------------------------------------- */

/* `prefix` is put before names that do not begin with `whole`; names of `skip` are left out. */
typedef struct overlay {
    const char *prefix, *unless, *skip;
} overlay;

static ldm_status add_all(ldm_ckpt *joined, const ldm_ckpt *part, const overlay *how,
                          ldm_error *err)
{
    ldm_status st = LDM_OK;
    ldm_str name = {0};

    for (size_t i = 0; i < ldm_ckpt_count(part) && !st; i++) {
        const ldm_ckpt_recipe r = {.part = part, .pieces = {ldm_ckpt_at(part, i)}, .count = 1};
        const char *key = r.pieces[0]->name;

        if (begins(key, how->skip) || begins(key, "loss."))
            continue;
        name.len = 0;
        ldm_str_puts(&name, how->prefix && !begins(key, how->unless) ? how->prefix : "");
        ldm_str_puts(&name, key);
        st = name.failed ? ldm_error_nomem(err, 0, "the names")
                         : ldm_ckpt_join_add(joined, name.data, &r, err);
    }
    ldm_str_free(&name);
    return st;
}

/* What a first stage's file holds beside the stage itself, a model around it for instance. */
static ldm_status add_stage(ldm_ckpt *joined, const ldm_ckpt *stage, ldm_error *err)
{
    const bool whole = ldm_ckpt_find(stage, STAGE "decoder.conv_in.weight") != NULL;
    ldm_status st = LDM_OK;

    if (!whole && !ldm_ckpt_find(stage, "decoder.conv_in.weight"))
        return ldm_error_set(err, LDM_ERR_MISMATCH,
                             "%s: holds no first stage (decoder.conv_in.weight)",
                             ldm_ckpt_path(stage));
    if (!whole)
        return add_all(joined, stage, &(overlay){STAGE, STAGE, "model_ema."}, err);
    for (size_t i = 0; i < ldm_ckpt_count(stage) && !st; i++) {
        const ldm_ckpt_recipe r = {.part = stage, .pieces = {ldm_ckpt_at(stage, i)}, .count = 1};

        if (begins(r.pieces[0]->name, STAGE))
            st = ldm_ckpt_join_add(joined, r.pieces[0]->name, &r, err);
    }
    return st;
}

static ldm_status copy_meta(ldm_ckpt *joined, const ldm_ckpt *part, ldm_error *err)
{
    ldm_status st = LDM_OK;

    for (size_t i = 0; i < ldm_ckpt_meta_count(part) && !st; i++)
        st = ldm_ckpt_join_meta(joined, ldm_ckpt_meta_path(part, i), ldm_ckpt_meta_value(part, i),
                                err);
    return st;
}

/* Takes base over. */
static ldm_status lay_over(ldm_ckpt *base, const char *first_stage, ldm_ckpt **out, ldm_error *err)
{
    const bool bare = ldm_ckpt_find(base, "input_blocks.0.0.weight") != NULL;
    const overlay how = {bare ? UNET : NULL, "model", STAGE};
    ldm_ckpt *joined = NULL, *stage = NULL;
    ldm_status st = ldm_ckpt_join_create(ldm_ckpt_path(base), "parts", &joined, err);

    if (st) {
        ldm_ckpt_close(base);
        return st;
    }
    st = ldm_ckpt_join_own(joined, base, err);
    if (!st)
        st = open_one(first_stage, &stage, err);
    if (!st)
        st = ldm_ckpt_join_own(joined, stage, err);
    if (!st)
        st = add_all(joined, base, &how, err);
    if (!st)
        st = add_stage(joined, stage, err);
    if (!st)
        st = copy_meta(joined, base, err);
    if (!st)
        st = copy_meta(joined, stage, err);
    if (!st)
        st = ldm_ckpt_join_finish(joined, err);
    if (st)
        ldm_ckpt_close(joined);
    else
        *out = joined;
    return st;
}

ldm_status ldm_ckpt_open_any(const char *path, const char *first_stage, ldm_ckpt **out,
                             ldm_error *err)
{
    ldm_ckpt *ck;
    ldm_status st = open_one(path, &ck, err);

    *out = NULL;
    if (!st && first_stage)
        return lay_over(ck, first_stage, out, err);
    *out = st ? NULL : ck;
    return st;
}
