/* SPDX-License-Identifier: MIT */
/* Opening, closing and looking into checkpoints; see checkpoint.h. */
#include "checkpoint/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "checkpoint/index.h"

#define MB ((uint64_t)1 << 20)
#define DEFAULT_META_BYTES (256 * MB)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The memory that a file may claim grows with its size, so a small file cannot take much. Genuine
 * pickles and headers need about a tenth of this. */
static ldm_status make_room(ldm_ckpt *ck, const ldm_ckpt_options *opt, ldm_error *err)
{
    uint64_t max = opt && opt->max_meta_bytes ? opt->max_meta_bytes : DEFAULT_META_BYTES;

    ck->max_storage_bytes = least(max, 16 * MB + 4 * least(ck->src.size, max));
    ck->scratch_limit = least(max / 3 * 2, 16 * MB + 2 * least(ck->src.size, max));
    ck->scratch = ldm_arena_create(ck->scratch_limit ? ck->scratch_limit : 1);
    ck->keep = ldm_arena_create(least(max / 3, 8 * MB + least(ck->src.size, max)) + 1);
    if (!ck->scratch || !ck->keep)
        return ldm_error_nomem(err, sizeof *ck, ck->src.name);
    return LDM_OK;
}

static ldm_status read_index(ldm_ckpt *ck, const ldm_ckpt_options *opt, ldm_error *err)
{
    static ldm_status (*const readers[])(ldm_ckpt *, ldm_error *) = {
        [LDM_CKPT_TORCH_ZIP] = ldm_read_torch_zip,
        [LDM_CKPT_TORCH_LEGACY] = ldm_read_torch_legacy,
        [LDM_CKPT_SAFETENSORS] = ldm_read_safetensors,
    };
    ldm_ckpt_kind kind = LDM_CKPT_TORCH_ZIP;
    ldm_status st = make_room(ck, opt, err);

    if (!st)
        st = ldm_ckpt_sniff(&ck->src, &kind, err);
    if (!st)
        st = readers[kind](ck, err);
    ldm_arena_free(ck->scratch);
    ck->scratch = NULL;
    return st;
}

/* An empty checkpoint that knows its name. */
static ldm_ckpt *create(const char *name, ldm_error *err)
{
    ldm_ckpt *ck = ldm_calloc(1, sizeof *ck);
    char *copy = ck ? ldm_strdup(name) : NULL;

    if (!copy) {
        ldm_free(ck);
        ldm_error_nomem(err, sizeof *ck, name);
        return NULL;
    }
    ck->src.name = copy;
    ck->state_path = "";
    return ck;
}

static ldm_status finish(ldm_ckpt *ck, const ldm_ckpt_options *opt, ldm_ckpt **out, ldm_error *err)
{
    ldm_status st = read_index(ck, opt, err);

    if (st)
        ldm_ckpt_close(ck);
    else
        *out = ck;
    return st;
}

/* "runwayml/stable-diffusion-v1-5", as programs that download models take it: OWNER/NAME, where
 * OWNER is nothing here. */
static bool is_hub_name(const char *path)
{
    const char *slash = strchr(path, '/'), *dot = strrchr(path, '.');
    char owner[128];

    if (!slash || slash == path || !slash[1] || strchr(slash + 1, '/') || *path == '.' ||
        *path == '~' || (size_t)(slash - path) >= sizeof owner)
        return false;
    if (dot && (!strcmp(dot, ".ckpt") || !strcmp(dot, ".safetensors") || !strcmp(dot, ".pt") ||
                !strcmp(dot, ".pth") || !strcmp(dot, ".bin")))
        return false;
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - path), path);
    return access(owner, F_OK) != 0;
}

static ldm_status not_from_hub(const char *path, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_IO,
                         "cannot open %s: it is no file or folder here, and nothing is loaded from "
                         "the network; download that model, and name its checkpoint, or its "
                         "folder of diffusers",
                         path);
}

ldm_status ldm_ckpt_open(const char *path, const ldm_ckpt_options *opt, ldm_ckpt **out,
                         ldm_error *err)
{
    ldm_ckpt *ck = create(path, err);
    ldm_status st;

    *out = NULL;
    if (!ck)
        return LDM_ERR_NOMEM;
    st = ldm_map_open(path, &ck->map, err);
    if (st) {
        ldm_ckpt_close(ck);
        return st == LDM_ERR_IO && is_hub_name(path) ? not_from_hub(path, err) : st;
    }
    ck->src.data = ck->map.data;
    ck->src.size = ck->map.size;
    return finish(ck, opt, out, err);
}

ldm_status ldm_ckpt_open_memory(const void *data, size_t size, const char *name,
                                const ldm_ckpt_options *opt, ldm_ckpt **out, ldm_error *err)
{
    ldm_ckpt *ck = create(name, err);

    *out = NULL;
    if (!ck)
        return LDM_ERR_NOMEM;
    ck->src.data = data;
    ck->src.size = size;
    return finish(ck, opt, out, err);
}

void ldm_ckpt_close(ldm_ckpt *ck)
{
    if (!ck)
        return;
    for (size_t i = 0; i < ck->part_count; i++)
        ldm_ckpt_close(ck->parts[i]);
    ldm_free(ck->parts);
    ldm_map_close(&ck->map);
    ldm_arena_free(ck->scratch);
    ldm_arena_free(ck->keep);
    ldm_free(ck->metas);
    ldm_free(ck->skipped);
    ldm_free((void *)ck->warnings);
    ldm_free((void *)(uintptr_t)ck->src.name);
    ldm_free(ck);
}

const char *ldm_ckpt_path(const ldm_ckpt *ck)
{
    return ck->src.name;
}

const char *ldm_ckpt_part_path(const ldm_ckpt *ck, size_t i)
{
    return i < ck->part_count ? ldm_ckpt_path(ck->parts[i]) : NULL;
}

const char *ldm_ckpt_format(const ldm_ckpt *ck)
{
    return ck->format;
}

uint64_t ldm_ckpt_file_bytes(const ldm_ckpt *ck)
{
    return ck->src.size;
}

const char *ldm_ckpt_state_dict_path(const ldm_ckpt *ck)
{
    return ck->state_path;
}

size_t ldm_ckpt_count(const ldm_ckpt *ck)
{
    return ck->tensor_count;
}

const ldm_tensor_info *ldm_ckpt_at(const ldm_ckpt *ck, size_t i)
{
    return i < ck->tensor_count ? &ck->tensors[i].info : NULL;
}

const ldm_tensor_info *ldm_ckpt_find(const ldm_ckpt *ck, const char *name)
{
    const ldm_name *found = ldm_names_find(ck->by_name, ck->tensor_count, name);

    return found ? &ck->tensors[found->index].info : NULL;
}

size_t ldm_ckpt_meta_count(const ldm_ckpt *ck)
{
    return ck->meta_count;
}

const char *ldm_ckpt_meta_path(const ldm_ckpt *ck, size_t i)
{
    return i < ck->meta_count ? ck->metas[i].path : NULL;
}

const char *ldm_ckpt_meta_value(const ldm_ckpt *ck, size_t i)
{
    return i < ck->meta_count ? ck->metas[i].value : NULL;
}

const char *ldm_ckpt_config(const ldm_ckpt *ck)
{
    return ck->config;
}

size_t ldm_ckpt_global_count(const ldm_ckpt *ck)
{
    return ck->global_count;
}

ldm_ckpt_global ldm_ckpt_global_at(const ldm_ckpt *ck, size_t i)
{
    const ldm_ckpt_global none = {"", 0, false};

    return i < ck->global_count ? ck->globals[i] : none;
}

size_t ldm_ckpt_skipped_count(const ldm_ckpt *ck)
{
    return ck->skipped_count;
}

ldm_ckpt_skipped ldm_ckpt_skipped_at(const ldm_ckpt *ck, size_t i)
{
    const ldm_ckpt_skipped none = {"", ""};

    return i < ck->skipped_count ? ck->skipped[i] : none;
}

ldm_status ldm_ckpt_warn(ldm_ckpt *ck, const char *text, ldm_error *err)
{
    return ldm_index_warn(ck, err, "%s", text);
}

size_t ldm_ckpt_warning_count(const ldm_ckpt *ck)
{
    return ck->warning_count;
}

const char *ldm_ckpt_warning(const ldm_ckpt *ck, size_t i)
{
    return i < ck->warning_count ? ck->warnings[i] : NULL;
}
