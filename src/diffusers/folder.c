/* SPDX-License-Identifier: MIT */
/* A diffusers folder, or one of its files, as a checkpoint with CompVis' names. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "checkpoint/join.h"
#include "diffusers/diffusers.h"
#include "diffusers/modules.h"
#include "diffusers/parts.h"

enum { PATH_LIMIT = 4096, KEY_LIMIT = 256, MAX_LEVELS = 16, MAX_LAYERS = 256 };

#define UNET "model.diffusion_model."
#define STAGE "first_stage_model."
#define COND "cond_stage_model."

/* ---- the shape of a part --------------------------------------------------------------------- */

static bool has(const ldm_ckpt *ck, const char *fmt, ...) LDM_PRINTF(2, 3);

static bool has(const ldm_ckpt *ck, const char *fmt, ...)
{
    char name[KEY_LIMIT];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return ldm_ckpt_find(ck, name) != NULL;
}

/* Blocks of a level before its change of size. */
static int count_blocks(const ldm_ckpt *ck, const char *side, int level)
{
    int n = 0;

    while (n < MAX_LAYERS && has(ck, "%s_blocks.%d.resnets.%d.conv1.weight", side, level, n))
        n++;
    return n;
}

static int count_levels(const ldm_ckpt *ck, const char *side)
{
    int n = 0;

    while (n < MAX_LEVELS && count_blocks(ck, side, n))
        n++;
    return n;
}

static ldm_part_shape unet_shape(const ldm_ckpt *ck)
{
    ldm_part_shape s = {.levels = count_levels(ck, "down"), .blocks = count_blocks(ck, "down", 0)};

    for (int l = 0; l < s.levels; l++) {
        const bool plain = has(ck, "down_blocks.%d.attentions.0.group_norm.weight", l);
        const bool cross = has(ck, "down_blocks.%d.attentions.0.norm.weight", l);

        s.attends |= plain || cross ? 1U << l : 0U;
        s.updown |= has(ck, "down_blocks.%d.downsamplers.0.conv1.weight", l);
    }
    s.transformers = has(ck, "mid_block.attentions.0.proj_in.weight");
    return s;
}

static ldm_part_shape stage_shape(const ldm_ckpt *ck)
{
    ldm_part_shape s = {.levels = count_levels(ck, "decoder.up"),
                        .blocks = count_blocks(ck, "decoder.up", 0) - 1};

    return s;
}

static int text_layers(const ldm_ckpt *ck, const char *root, const char *before, const char *after)
{
    int n = 0;

    while (n < MAX_LAYERS && has(ck, "%s%s%d%s", root, before, n, after))
        n++;
    return n;
}

/* What stands before the names of a CLIP text model: nothing since version 5 of transformers. */
static const char *text_root(const ldm_ckpt *ck)
{
    return has(ck, "text_model.embeddings.token_embedding.weight") ? "text_model." : "";
}

ldm_part_kind ldm_part_kind_of(const ldm_ckpt *ck, const json_t *config)
{
    const char *act = json_string_value(json_object_get(config, "hidden_act"));

    if (has(ck, "controlnet_cond_embedding.conv_in.weight")) /* half of a UNet, and more */
        return LDM_PART_KIND_NONE;
    if (has(ck, "time_embedding.linear_1.weight") && count_levels(ck, "down"))
        return LDM_PART_KIND_UNET;
    if (count_levels(ck, "decoder.up"))
        return LDM_PART_KIND_STAGE;
    if (has(ck, "%sembeddings.token_embedding.weight", text_root(ck)))
        return act && !strcmp(act, "gelu") ? LDM_PART_KIND_OPEN_CLIP : LDM_PART_KIND_CLIP;
    if (has(ck, "embedding.weight") && ldm_ckpt_count(ck) == 1)
        return LDM_PART_KIND_CLASS;
    return has(ck, "model.embed_tokens.weight") ? LDM_PART_KIND_BERT : LDM_PART_KIND_NONE;
}

/* ---- renaming -------------------------------------------------------------------------------- */

typedef struct renaming {
    ldm_ckpt *joined;
    const ldm_folder_part *part;
    ldm_modules modules;
    size_t unknown; /* keys that no module has */
    const char *first_unknown;
    ldm_error *err;
} renaming;

/* 0 where it is not there, or absurd. */
static int rows_of(const ldm_tensor_info *t)
{
    return t && t->ndim && t->shape[0] < 1 << 24 ? (int)t->shape[0] : 0;
}

/* The same values with `extra` dimensions of 1 at the end of a matrix' shape. */
static void widen(ldm_ckpt_recipe *r, const ldm_inner *row, const char *tail)
{
    const ldm_tensor_info *t = r->pieces[0];
    const uint64_t parts = (uint64_t)r->count;

    r->ndim = t->ndim;
    for (int d = 0; d < t->ndim && d < 4; d++)
        r->shape[d] = t->shape[d];
    r->shape[0] *= parts;
    if (t->ndim != 2 || strcmp(tail, "weight"))
        return;
    for (int i = 0; i < row->extra; i++)
        r->shape[r->ndim++] = 1;
}

/* Ours is one tensor of their q, k and v; it is added where q is met. */
static ldm_status add_qkv(renaming *n, const ldm_found_module *f, const char *ours,
                          const ldm_tensor_info *q)
{
    const ldm_inner *rows = ldm_module_rows(f->module->kind);
    const ldm_ckpt *ck = n->part->ck;
    ldm_ckpt_recipe r = {.part = ck, .count = 3, .heads = 1};
    char name[KEY_LIMIT];

    if (f->row->piece != 1)
        return LDM_OK;
    for (; rows->theirs; rows++) {
        snprintf(name, sizeof name, "%s.%s.%s", f->module->theirs, rows->theirs, f->tail);
        if (rows->piece && ldm_ckpt_find(ck, name))
            r.pieces[rows->piece - 1] = ldm_ckpt_find(ck, name);
    }
    if (!r.pieces[1] || !r.pieces[2])
        return ldm_error_set(n->err, LDM_ERR_FORMAT, "%s: '%.120s' has no k or v beside it",
                             ldm_ckpt_path(ck), q->name);
    if (f->module->kind == LDM_MODULE_ATTENTION)
        r.heads = ldm_folder_heads(n->part->config, rows_of(q));
    widen(&r, f->row, f->tail);
    return ldm_ckpt_join_add(n->joined, ours, &r, n->err);
}

static ldm_status add_one(renaming *n, const ldm_tensor_info *t)
{
    ldm_ckpt_recipe r = {.part = n->part->ck, .pieces = {t}, .count = 1};
    char ours[KEY_LIMIT];
    ldm_found_module f;

    if (!ldm_modules_find(&n->modules, t->name, &f)) {
        n->first_unknown = n->unknown++ ? n->first_unknown : t->name;
        return LDM_OK;
    }
    ldm_module_ours(&f, ours, sizeof ours);
    if (f.row && f.row->piece)
        return add_qkv(n, &f, ours, t);
    if (f.row && f.row->extra)
        widen(&r, f.row, f.tail);
    return ldm_ckpt_join_add(n->joined, ours, &r, n->err);
}

/* diffusers leaves out the last layer of open_clip's tower, which is never run. It is read as a
 * second copy of the one before it, so that the tower has the depth that CompVis' code counts on.
 */
static ldm_status add_last_layer(renaming *n, int layers)
{
    char from[KEY_LIMIT];
    ldm_modules modules = {0};
    renaming copy = *n;
    ldm_status st = LDM_OK;

    ldm_modules_open_clip(&modules, layers, COND);
    for (size_t i = 0; i < modules.count; i++) {
        ldm_module *m = &modules.items[i];

        if (m->kind == LDM_MODULE_CLIP_LAYER)
            snprintf(m->ours, sizeof m->ours, COND "model.transformer.resblocks.%d", layers);
    }
    copy.modules = modules;
    snprintf(from, sizeof from, "%sencoder.layers.%d.", text_root(n->part->ck), layers - 1);
    for (size_t i = 0; i < ldm_ckpt_count(n->part->ck) && !st; i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(n->part->ck, i);

        if (!strncmp(t->name, from, strlen(from)))
            st = add_one(&copy, t);
    }
    ldm_modules_free(&modules);
    return st;
}

static void list_modules(renaming *n, int *layers)
{
    const ldm_ckpt *ck = n->part->ck;
    const ldm_part_shape unet = unet_shape(ck), stage = stage_shape(ck);

    *layers = 0;
    switch (n->part->kind) {
    case LDM_PART_KIND_UNET:
        ldm_modules_unet(&n->modules, &unet, UNET);
        break;
    case LDM_PART_KIND_STAGE:
        ldm_modules_stage(&n->modules, &stage, STAGE);
        break;
    case LDM_PART_KIND_CLIP:
        ldm_modules_clip(&n->modules, COND);
        break;
    case LDM_PART_KIND_OPEN_CLIP:
        *layers = text_layers(ck, text_root(ck), "encoder.layers.", ".layer_norm1.weight");
        ldm_modules_open_clip(&n->modules, *layers, COND);
        break;
    case LDM_PART_KIND_BERT:
        ldm_modules_bert(&n->modules,
                         text_layers(ck, "", "model.layers.", ".self_attn_layer_norm.weight"),
                         COND);
        break;
    case LDM_PART_KIND_CLASS:
        ldm_modules_classes(&n->modules, COND);
        break;
    case LDM_PART_KIND_NONE:
        break;
    }
}

static ldm_status warn_unknown(const renaming *n, ldm_error *err)
{
    char text[400];

    if (!n->unknown)
        return LDM_OK;
    snprintf(text, sizeof text,
             "%.150s: %zu keys are of no module that CompVis' code has, '%.100s' first: they are "
             "left out",
             ldm_ckpt_path(n->part->ck), n->unknown, n->first_unknown);
    return ldm_ckpt_warn(n->joined, text, err);
}

/* All tensors of a part under CompVis' names. The joined checkpoint owns the part's afterwards. */
static ldm_status add_part(ldm_ckpt *joined, ldm_folder_part *part, ldm_error *err)
{
    renaming n = {.joined = joined, .part = part, .err = err};
    int layers;
    ldm_status st = ldm_ckpt_join_own(joined, part->ck, err);

    if (st)
        part->ck = NULL;
    if (st)
        return st;
    list_modules(&n, &layers);
    st = n.modules.failed ? ldm_error_nomem(err, 0, "the names") : LDM_OK;
    for (size_t i = 0; i < ldm_ckpt_count(part->ck) && !st; i++)
        st = add_one(&n, ldm_ckpt_at(part->ck, i));
    if (!st && layers)
        st = add_last_layer(&n, layers);
    if (!st)
        st = warn_unknown(&n, err);
    ldm_modules_free(&n.modules);
    return st;
}

/* ---- folders --------------------------------------------------------------------------------- */

static bool file_in(const char *folder, const char *name)
{
    char path[PATH_LIMIT];
    struct stat st;

    return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_LIMIT && !stat(path, &st) &&
           S_ISREG(st.st_mode);
}

/* A config.json of another program would have no class. */
static bool has_class(const char *folder)
{
    json_t *config = NULL;
    bool is;

    if (ldm_folder_json(folder, "config.json", &config, NULL))
        return false;
    is = json_object_get(config, "_class_name") || json_object_get(config, "architectures");
    json_decref(config);
    return is;
}

bool ldm_diffusers_is_folder(const char *path)
{
    return ldm_is_dir(path) && (file_in(path, "model_index.json") || has_class(path));
}

typedef struct folder {
    ldm_folder_part parts[3]; /* UNet, first stage, conditioner */
    json_t *scheduler, *index;
    bool words; /* BertTokenizer's vocabulary lies in it */
} folder;

static void close_folder(folder *f)
{
    for (int i = 0; i < 3; i++)
        json_decref(f->parts[i].config);
    json_decref(f->scheduler);
    json_decref(f->index);
}

/* Weights and JSON of one part, if there is a folder of one of the names. */
static ldm_status open_part(const char *root, const char *const *names, ldm_folder_part *part,
                            ldm_error *err)
{
    char path[PATH_LIMIT];
    ldm_status st = LDM_OK;

    for (; *names && !part->ck && !st; names++) {
        if (snprintf(path, sizeof path, "%s%s%s", root, **names ? "/" : "", *names) >= PATH_LIMIT ||
            !ldm_is_dir(path))
            continue;
        st = ldm_folder_json(path, "config.json", &part->config, err);
        if (!st)
            st = ldm_folder_weights(path, &part->ck, err);
        if (!st)
            part->kind = ldm_part_kind_of(part->ck, part->config);
        if (!st && part->kind == LDM_PART_KIND_NONE) {
            st = ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                               "%s: is no UNet, first stage or text encoder that CompVis' code has",
                               path);
            ldm_ckpt_close(part->ck);
            part->ck = NULL;
        }
    }
    return st;
}

static ldm_status open_parts(const char *path, folder *f, ldm_error *err)
{
    static const char *const unets[] = {"unet", NULL}, *const stages[] = {"vae", "vqvae", NULL};
    static const char *const texts[] = {"text_encoder", "bert", "class_embedder", NULL},
                             *const self[] = {"", NULL};
    char scheduler[PATH_LIMIT];
    ldm_status st;

    if (!file_in(path, "model_index.json"))
        return open_part(path, self, &f->parts[0], err);
    f->words = file_in(path, "tokenizer/vocab.txt");
    st = ldm_folder_json(path, "model_index.json", &f->index, err);
    if (!st)
        st = open_part(path, unets, &f->parts[0], err);
    if (!st)
        st = open_part(path, stages, &f->parts[1], err);
    if (!st)
        st = open_part(path, texts, &f->parts[2], err);
    if (!st && snprintf(scheduler, sizeof scheduler, "%s/scheduler", path) < PATH_LIMIT)
        st = ldm_folder_json(scheduler, "scheduler_config.json", &f->scheduler, err);
    return st;
}

static const json_t *config_of(const folder *f, ldm_part_kind kind)
{
    for (int i = 0; i < 3; i++) {
        if (f->parts[i].kind == kind)
            return f->parts[i].config;
    }
    return NULL;
}

static ldm_status join(const char *path, folder *f, ldm_ckpt **out, ldm_error *err)
{
    ldm_ckpt *joined;
    ldm_status st = ldm_ckpt_join_create(path, "diffusers", &joined, err);

    for (int i = 0; i < 3; i++) {
        if (!f->parts[i].ck)
            continue;
        if (!st)
            st = add_part(joined, &f->parts[i], err);
        else
            ldm_ckpt_close(f->parts[i].ck);
    }
    if (!st)
        st = ldm_ckpt_join_finish(joined, err);
    if (!st)
        st = ldm_folder_settings(
            joined, config_of(f, LDM_PART_KIND_UNET), config_of(f, LDM_PART_KIND_STAGE),
            f->scheduler, ldm_ckpt_find(joined, STAGE "quantize.embedding.weight") != NULL, err);
    if (!st)
        st = ldm_folder_sampling(joined, f->index, err);
    if (!st && f->words && f->parts[2].kind == LDM_PART_KIND_BERT)
        st = ldm_ckpt_join_meta(joined, "hyper_parameters.cond_stage_config.params.use_tokenizer",
                                "true", err);
    if (st)
        ldm_ckpt_close(joined);
    else
        *out = joined;
    return st;
}

ldm_status ldm_diffusers_open(const char *path, ldm_ckpt **out, ldm_error *err)
{
    folder f = {0};
    ldm_status st = open_parts(path, &f, err);

    *out = NULL;
    if (!st && !f.parts[0].ck && !f.parts[1].ck)
        st = ldm_error_set(err, LDM_ERR_FORMAT,
                           "%s: model_index.json is there, and no folder unet, vae or vqvae", path);
    if (!st)
        st = join(path, &f, out, err);
    else
        for (int i = 0; i < 3; i++)
            ldm_ckpt_close(f.parts[i].ck);
    close_folder(&f);
    return st;
}

bool ldm_diffusers_has_names(const ldm_ckpt *ck)
{
    const ldm_part_kind kind = ldm_part_kind_of(ck, NULL);

    return kind == LDM_PART_KIND_UNET || kind == LDM_PART_KIND_STAGE;
}

ldm_status ldm_diffusers_rename(ldm_ckpt *ck, const char *where, ldm_ckpt **out, ldm_error *err)
{
    folder f = {.parts = {{.ck = ck}}};
    char *name = ldm_strdup(ldm_ckpt_path(ck));
    ldm_status st = name ? LDM_OK : ldm_error_nomem(err, 0, "a path");

    *out = NULL;
    if (!st)
        st = ldm_folder_json(where, "config.json", &f.parts[0].config, err);
    f.parts[0].kind = ldm_part_kind_of(ck, f.parts[0].config);
    if (!st)
        st = join(name, &f, out, err);
    else
        ldm_ckpt_close(ck);
    ldm_free(name);
    close_folder(&f);
    return st;
}
