/* SPDX-License-Identifier: MIT */
/* The files of one folder: weights under one of diffusers' file names, in one file or in shards
 * that an index lists, and JSON. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "checkpoint/join.h"
#include "diffusers/parts.h"

enum { JSON_LIMIT = 32 << 20, PATH_LIMIT = 4096, MAX_SHARDS = 1000 };

static bool path_in(const char *folder, const char *name, char *buf)
{
    return snprintf(buf, PATH_LIMIT, "%s/%s", folder, name) < PATH_LIMIT;
}

static bool is_file(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}

ldm_status ldm_folder_json(const char *folder, const char *name, json_t **out, ldm_error *err)
{
    char path[PATH_LIMIT], *text;
    json_error_t where;
    size_t size;
    ldm_status st;

    *out = NULL;
    if (!path_in(folder, name, path) || !is_file(path))
        return LDM_OK;
    st = ldm_file_read(path, JSON_LIMIT, &text, &size, err);
    if (st)
        return st;
    *out = json_loadb(text, size, 0, &where);
    ldm_free(text);
    if (*out && json_is_object(*out))
        return LDM_OK;
    json_decref(*out);
    *out = NULL;
    return ldm_error_at_line(err, LDM_ERR_FORMAT, where.line > 0 ? where.line : 1, 1,
                             "%s:%d:1: is no JSON object (%.100s)", path,
                             where.line > 0 ? where.line : 1, where.text);
}

/* ---- shards ---------------------------------------------------------------------------------- */

static bool known(const char **names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(names[i], name))
            return true;
    }
    return false;
}

static ldm_status add_shard(ldm_ckpt *joined, const char *path, ldm_error *err)
{
    ldm_ckpt *shard;
    ldm_status st = ldm_ckpt_open(path, NULL, &shard, err);

    if (!st)
        st = ldm_ckpt_join_own(joined, shard, err);
    for (size_t i = 0; !st && i < ldm_ckpt_count(shard); i++) {
        const ldm_ckpt_recipe r = {.part = shard, .pieces = {ldm_ckpt_at(shard, i)}, .count = 1};

        st = ldm_ckpt_join_add(joined, ldm_ckpt_at(shard, i)->name, &r, err);
    }
    return st;
}

/* An index's weight_map says in which file each tensor is. */
static ldm_status open_shards(const char *folder, const char *index, ldm_ckpt **out, ldm_error *err)
{
    const char *names[MAX_SHARDS], *key;
    char path[PATH_LIMIT];
    size_t count = 0;
    json_t *root, *file;
    ldm_ckpt *joined = NULL;
    ldm_status st = ldm_folder_json(folder, index, &root, err);

    if (!st)
        st = ldm_ckpt_join_create(folder, "shards", &joined, err);
    json_object_foreach(json_object_get(root, "weight_map"), key, file)
    {
        const char *name = json_string_value(file);

        if (st || !name || known(names, count, name))
            continue;
        if (strchr(name, '/') || count == MAX_SHARDS || !path_in(folder, name, path)) {
            st = ldm_error_set(err, LDM_ERR_FORMAT, "%s/%s: names the shard '%.120s'", folder,
                               index, name);
            continue;
        }
        names[count++] = name;
        st = add_shard(joined, path, err);
    }
    json_decref(root);
    if (!st && !count)
        st = ldm_error_set(err, LDM_ERR_FORMAT, "%s/%s: has no weight_map", folder, index);
    if (!st)
        st = ldm_ckpt_join_finish(joined, err);
    if (st)
        ldm_ckpt_close(joined);
    else
        *out = joined;
    return st;
}

ldm_status ldm_folder_weights(const char *folder, ldm_ckpt **out, ldm_error *err)
{
    static const char *const stems[] = {"diffusion_pytorch_model", "model", "pytorch_model"};
    /* Of a variant the file is STEM.fp16.safetensors, and its index
     * STEM.safetensors.index.fp16.json. */
    static const struct {
        const char *variant, *ending;
    } forms[] = {{"", ".safetensors"},
                 {".fp16", ".safetensors"},
                 {".bf16", ".safetensors"},
                 {".ema", ".safetensors"},
                 {".non_ema", ".safetensors"},
                 {"", ".bin"},
                 {".fp16", ".bin"},
                 {".bf16", ".bin"},
                 {".ema", ".bin"},
                 {".non_ema", ".bin"}};
    char name[128], path[PATH_LIMIT];

    *out = NULL;
    for (size_t e = 0; e < sizeof forms / sizeof *forms; e++) {
        for (size_t s = 0; s < sizeof stems / sizeof *stems; s++) {
            snprintf(name, sizeof name, "%s%s%s", stems[s], forms[e].variant, forms[e].ending);
            if (path_in(folder, name, path) && is_file(path))
                return ldm_ckpt_open(path, NULL, out, err);
            snprintf(name, sizeof name, "%s%s.index%s.json", stems[s], forms[e].ending,
                     forms[e].variant);
            if (path_in(folder, name, path) && is_file(path))
                return open_shards(folder, name, out, err);
        }
    }
    return ldm_error_set(err, LDM_ERR_IO,
                         "%s: holds no weights (diffusion_pytorch_model.safetensors, "
                         "model.safetensors or the like)",
                         folder);
}
