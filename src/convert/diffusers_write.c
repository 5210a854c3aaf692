/* SPDX-License-Identifier: MIT */
/* A model as a folder of diffusers: the table of names read backwards, qkv taken apart into q, k
 * and v, and the JSON files that its classes are made from. */
#include "convert/diffusers_write.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json_text.h"
#include "diffusers/modules.h"

#define UNET "model.diffusion_model."
#define STAGE "first_stage_model."
#define COND "cond_stage_model."

enum { PATH_LIMIT = 4096, NAME_LIMIT = 256 };

typedef struct writer {
    const ldm_folder_source *s;
    char root[PATH_LIMIT];
    ldm_arena *names;
    ldm_error *err;
} writer;

/* ---- files ----------------------------------------------------------------------------------- */

static ldm_status write_json(writer *w, const char *part, const char *name, json_t *j)
{
    char path[PATH_LIMIT + 64];
    ldm_str text = {0};
    ldm_status st = LDM_OK;

    snprintf(path, sizeof path, "%s%s%s", w->root, *part ? "/" : "", part);
    st = ldm_make_dirs(path, w->err);
    snprintf(path, sizeof path, "%s%s%s/%s", w->root, *part ? "/" : "", part, name);
    if (!ldm_json_append(j, JSON_INDENT(2) | JSON_REAL_PRECISION(12), &text))
        text.failed = true;
    ldm_str_puts(&text, "\n");
    if (!st)
        st = text.failed ? ldm_error_nomem(w->err, 0, "a JSON file")
                         : ldm_file_write(path, text.data, text.len, w->err);
    json_decref(j);
    ldm_str_free(&text);
    return st;
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Heads of the UNet's attention with so many channels. */
static int heads_at(const ldm_unet_config *u, int channels)
{
    return u->num_head_channels > 0 ? channels / u->num_head_channels : u->num_heads;
}

static ldm_status add(writer *w, ldm_out_list *list, const ldm_out_tensor *t)
{
    if (!ldm_grow(&list->items, &list->cap, list->count + 1, sizeof *list->items) || !t->name)
        return ldm_error_nomem(w->err, 0, "the list of tensors");
    list->items[list->count++] = *t;
    return LDM_OK;
}

/* Theirs of one of ours: one tensor, or three. */
static ldm_status add_theirs(writer *w, ldm_out_list *list, const ldm_out_tensor *ours,
                             const ldm_found_module *f)
{
    const ldm_inner *row = f->row;
    const int pieces = row && row->piece ? 3 : 1;
    ldm_status st = LDM_OK;

    for (int i = 0; i < pieces && !st; i++) {
        ldm_out_tensor t = *ours;

        t.name =
            row ? ldm_arena_printf(w->names, "%s.%s.%s", f->module->theirs, row[i].theirs, f->tail)
                : ldm_arena_printf(w->names, "%s.%s", f->module->theirs, f->tail);
        for (int d = 0; row && d < row->extra && !strcmp(f->tail, "weight") && t.ndim > 2; d++)
            t.ndim--;
        if (pieces == 3) {
            t.shape[0] /= 3;
            t.part = i;
            t.blocks = 1;
            if (f->module->kind == LDM_MODULE_ATTENTION &&
                !w->s->network->unet.use_new_attention_order)
                t.blocks = heads_at(&w->s->network->unet, (int)t.shape[0]);
        }
        st = add(w, list, &t);
    }
    return st;
}

static ldm_status write_part(writer *w, const char *part, const char *file, const char *prefix,
                             const ldm_modules *modules)
{
    char path[PATH_LIMIT + 64];
    const ldm_out_meta meta[] = {{"format", "pt"}};
    ldm_out_list list = {.watch = w->s->list->watch};
    ldm_status st = modules->failed ? ldm_error_nomem(w->err, 0, "the names") : LDM_OK;

    for (size_t i = 0; i < w->s->list->count && !st; i++) {
        const ldm_out_tensor *t = &w->s->list->items[i];
        ldm_found_module f;

        if (!strncmp(t->name, prefix, strlen(prefix)) &&
            ldm_modules_find_ours(modules, t->name, &f))
            st = add_theirs(w, &list, t, &f);
    }
    snprintf(path, sizeof path, "%s/%s/%s.safetensors", w->root, part, file);
    if (!st)
        st = ldm_safetensors_write(path, w->s->ck, &list, meta, 1, w->err);
    ldm_free(list.items);
    return st;
}

/* ---- the UNet -------------------------------------------------------------------------------- */

static ldm_part_shape unet_shape(const ldm_unet_config *u)
{
    ldm_part_shape s = {.levels = u->channel_mult.count,
                        .updown = u->resblock_updown,
                        .transformers = u->use_spatial_transformer};

    s.blocks = u->num_res_blocks;
    for (int i = 0; i < u->attention_resolutions.count; i++) {
        for (int l = 0; l < s.levels; l++)
            s.attends |= u->attention_resolutions.items[i] == 1 << l ? 1U << l : 0U;
    }
    return s;
}

static json_t *strings(int count, unsigned bits, bool reversed, const char *with,
                       const char *without)
{
    json_t *list = json_array();

    for (int i = 0; i < count; i++) {
        const int level = reversed ? count - 1 - i : i;

        json_array_append_new(list, json_string(bits >> level & 1U ? with : without));
    }
    return list;
}

/* diffusers' UNet2DModel has heads of one width, or one head everywhere; its UNet2DConditionModel a
 * number for each level, under the name attention_head_dim. */
static ldm_status heads_json(const writer *w, const ldm_unet_config *u, const ldm_part_shape *s,
                             json_t **out)
{
    json_t *list = json_array();
    int width = 0;

    *out = NULL;
    for (int l = 0; l < s->levels; l++) {
        const int channels = u->model_channels * u->channel_mult.items[l];
        const int heads = heads_at(u, channels);
        const bool attends = s->attends >> l & 1U || l == s->levels - 1;

        json_array_append_new(list, json_integer(heads));
        if (!attends || s->transformers)
            continue;
        if (width && channels / heads != width && !(heads == 1 && width == -1)) {
            json_decref(list);
            return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                                 "num_heads %d: diffusers' UNet2DModel has heads of one width",
                                 heads);
        }
        width = heads == 1 ? -1 : channels / heads;
    }
    if (s->transformers) {
        *out = list;
        return LDM_OK;
    }
    json_decref(list);
    *out = width > 0 ? json_integer(width) : json_null();
    return LDM_OK;
}

static ldm_status check_unet(const writer *w, const ldm_unet_config *u)
{
    const char *why = NULL;

    if (u->use_scale_shift_norm)
        why = "use_scale_shift_norm";
    else if (u->num_classes >= 0 || w->s->network->unet_inputs.labels)
        why = "num_classes";
    else if (!u->conv_resample)
        why = "conv_resample false";
    return why ? ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                               "a UNet with %s is not converted to diffusers", why)
               : LDM_OK;
}

static ldm_status write_unet(writer *w)
{
    const ldm_unet_config *u = &w->s->network->unet;
    const ldm_part_shape s = unet_shape(u);
    const bool cross = s.transformers;
    json_t *j = json_object(), *widths = json_array(), *heads = NULL;
    ldm_modules modules = {0};
    ldm_status st = check_unet(w, u);

    if (!st)
        st = heads_json(w, u, &s, &heads);
    if (st) {
        json_decref(j);
        json_decref(widths);
        return st;
    }
    for (int l = 0; l < s.levels; l++)
        json_array_append_new(widths, json_integer(u->model_channels * u->channel_mult.items[l]));
    json_object_set_new(j, "_class_name",
                        json_string(cross ? "UNet2DConditionModel" : "UNet2DModel"));
    json_object_set_new(j, "sample_size", json_integer(u->image_size.h));
    json_object_set_new(j, "in_channels", json_integer(u->in_channels));
    json_object_set_new(j, "out_channels", json_integer(u->out_channels));
    json_object_set_new(j, "layers_per_block", json_integer(s.blocks));
    json_object_set_new(j, "block_out_channels", widths);
    json_object_set_new(j, "down_block_types",
                        strings(s.levels, s.attends, false,
                                cross ? "CrossAttnDownBlock2D" : "AttnDownBlock2D", "DownBlock2D"));
    json_object_set_new(j, "up_block_types",
                        strings(s.levels, s.attends, true,
                                cross ? "CrossAttnUpBlock2D" : "AttnUpBlock2D", "UpBlock2D"));
    json_object_set_new(j, "attention_head_dim", heads);
    if (cross) {
        json_object_set_new(j, "cross_attention_dim",
                            json_integer(w->s->network->unet_inputs.context_width));
        json_object_set_new(j, "use_linear_projection", json_boolean(u->use_linear_in_transformer));
        json_object_set_new(j, "transformer_layers_per_block", json_integer(u->transformer_depth));
    } else if (s.updown) {
        json_object_set_new(j, "downsample_type", json_string("resnet"));
        json_object_set_new(j, "upsample_type", json_string("resnet"));
    }
    st = write_json(w, "unet", "config.json", j);
    ldm_modules_unet(&modules, &s, UNET);
    if (!st)
        st = write_part(w, "unet", "diffusion_pytorch_model", UNET, &modules);
    ldm_modules_free(&modules);
    return st;
}

/* ---- the first stage ------------------------------------------------------------------------- */

static const ldm_out_tensor *find(const writer *w, const char *name)
{
    for (size_t i = 0; i < w->s->list->count; i++) {
        if (!strcmp(w->s->list->items[i].name, name))
            return &w->s->list->items[i];
    }
    return NULL;
}

static int extent(const writer *w, const char *name, int axis)
{
    const ldm_out_tensor *t = find(w, name);

    return t && axis < t->ndim ? (int)t->shape[axis] : 0;
}

static int width_of_level(const writer *w, int level)
{
    char name[NAME_LIMIT];

    snprintf(name, sizeof name, STAGE "decoder.up.%d.block.0.conv1.weight", level);
    return extent(w, name, 0);
}

static ldm_part_shape stage_shape(const writer *w)
{
    ldm_part_shape s = {.levels = 0};
    char name[NAME_LIMIT];

    while (width_of_level(w, s.levels)) {
        snprintf(name, sizeof name, STAGE "decoder.up.%d.attn.0.norm.weight", s.levels);
        s.attends |= find(w, name) ? 1U << s.levels : 0U;
        s.levels++;
    }
    do
        snprintf(name, sizeof name, STAGE "decoder.up.0.block.%d.conv1.weight", s.blocks + 1);
    while (find(w, name) && ++s.blocks);
    return s;
}

static ldm_status write_stage(writer *w, const char *folder)
{
    const ldm_first_stage *fs = &w->s->network->first_stage;
    const ldm_part_shape s = stage_shape(w);
    json_t *j = json_object(), *widths = json_array();
    ldm_modules modules = {0};
    ldm_status st;

    for (int l = 0; l < s.levels; l++)
        json_array_append_new(widths, json_integer(width_of_level(w, l)));
    json_object_set_new(j, "_class_name", json_string(fs->codebook ? "VQModel" : "AutoencoderKL"));
    json_object_set_new(j, "in_channels", json_integer(fs->in_channels));
    json_object_set_new(j, "out_channels", json_integer(fs->out_channels));
    json_object_set_new(j, "layers_per_block", json_integer(s.blocks));
    json_object_set_new(j, "block_out_channels", widths);
    json_object_set_new(
        j, "down_block_types",
        strings(s.levels, s.attends, false, "AttnDownEncoderBlock2D", "DownEncoderBlock2D"));
    json_object_set_new(
        j, "up_block_types",
        strings(s.levels, s.attends, true, "AttnUpDecoderBlock2D", "UpDecoderBlock2D"));
    json_object_set_new(j, "latent_channels",
                        json_integer(extent(w, STAGE "decoder.conv_in.weight", 1)));
    json_object_set_new(j, "norm_num_groups", json_integer(32));
    json_object_set_new(j, "scaling_factor", json_real(w->s->scale_factor));
    json_object_set_new(j, "mid_block_add_attention",
                        json_boolean(find(w, STAGE "decoder.mid.attn_1.norm.weight") != NULL));
    if (fs->codebook) {
        json_object_set_new(j, "num_vq_embeddings",
                            json_integer(extent(w, STAGE "quantize.embedding.weight", 0)));
        json_object_set_new(j, "vq_embed_dim",
                            json_integer(extent(w, STAGE "quantize.embedding.weight", 1)));
    }
    st = write_json(w, folder, "config.json", j);
    ldm_modules_stage(&modules, &s, STAGE);
    if (!st)
        st = write_part(w, folder, "diffusion_pytorch_model", STAGE, &modules);
    ldm_modules_free(&modules);
    return st;
}

/* ---- the text encoder ------------------------------------------------------------------------ */

static ldm_status write_text(writer *w, bool open_clip)
{
    const char *table = open_clip ? COND "model.token_embedding.weight"
                                  : COND "transformer.text_model.embeddings.token_embedding.weight";
    const char *positions = open_clip ? COND "model.positional_embedding"
                                      : COND
                                "transformer.text_model.embeddings.position_embedding.weight";
    const int width = extent(w, table, 1);
    json_t *j = json_object();
    ldm_modules modules = {0};
    char name[NAME_LIMIT];
    int layers = 0;
    ldm_status st;

    do
        snprintf(name, sizeof name,
                 open_clip ? COND "model.transformer.resblocks.%d.ln_1.weight"
                           : COND "transformer.text_model.encoder.layers.%d.layer_norm1.weight",
                 layers);
    while (find(w, name) && ++layers);
    layers -= open_clip; /* the last one is never run */
    json_object_set_new(j, "architectures", json_pack("[s]", "CLIPTextModel"));
    json_object_set_new(j, "model_type", json_string("clip_text_model"));
    json_object_set_new(j, "vocab_size", json_integer(extent(w, table, 0)));
    json_object_set_new(j, "hidden_size", json_integer(width));
    json_object_set_new(
        j, "intermediate_size",
        json_integer(extent(w,
                            open_clip ? COND "model.transformer.resblocks.0.mlp.c_fc.weight"
                                      : COND
                                "transformer.text_model.encoder.layers.0.mlp.fc1.weight",
                            0)));
    json_object_set_new(j, "num_hidden_layers", json_integer(layers));
    json_object_set_new(j, "num_attention_heads", json_integer(width < 64 ? 1 : width / 64));
    json_object_set_new(j, "max_position_embeddings", json_integer(extent(w, positions, 0)));
    json_object_set_new(j, "hidden_act", json_string(open_clip ? "gelu" : "quick_gelu"));
    json_object_set_new(j, "layer_norm_eps", json_real(1e-5));
    json_object_set_new(j, "bos_token_id", json_integer(49406));
    json_object_set_new(j, "eos_token_id", json_integer(49407));
    st = write_json(w, "text_encoder", "config.json", j);
    if (open_clip)
        ldm_modules_open_clip(&modules, layers, COND);
    else
        ldm_modules_clip(&modules, COND);
    if (!st)
        st = write_part(w, "text_encoder", "model", COND, &modules);
    ldm_modules_free(&modules);
    return st;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static ldm_status write_scheduler(writer *w)
{
    const ldm_diffusion_config *d = &w->s->network->diffusion;
    const char *names[] = {"scaled_linear", "squaredcos_cap_v2", "linear", NULL};
    const char *read = !strcmp(d->parameterization, "v")    ? "v_prediction"
                       : !strcmp(d->parameterization, "x0") ? "sample"
                                                            : "epsilon";
    json_t *j;

    if (!names[d->beta_schedule])
        return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                             "diffusers has no schedule like beta_schedule sqrt");
    j = json_pack("{s:s,s:f,s:f,s:s,s:i,s:b,s:b,s:i,s:s}", "_class_name", "DDIMScheduler",
                  "beta_start", d->linear_start, "beta_end", d->linear_end, "beta_schedule",
                  names[d->beta_schedule], "num_train_timesteps", d->timesteps, "clip_sample", 0,
                  "set_alpha_to_one", 0, "steps_offset", 1, "prediction_type", read);
    return write_json(w, "scheduler", "scheduler_config.json", j);
}

static ldm_status write_index(writer *w, const char *stage, bool text, bool picture)
{
    const ldm_first_stage *fs = &w->s->network->first_stage;
    const bool cross = w->s->network->unet.use_spatial_transformer;
    json_t *j = json_object();

    json_object_set_new(j, "_class_name",
                        json_string(text      ? "StableDiffusionPipeline"
                                    : picture ? "LDMSuperResolutionPipeline"
                                              : "LDMPipeline"));
    json_object_set_new(
        j, "unet", json_pack("[ss]", "diffusers", cross ? "UNet2DConditionModel" : "UNet2DModel"));
    json_object_set_new(j, stage,
                        json_pack("[ss]", "diffusers", fs->codebook ? "VQModel" : "AutoencoderKL"));
    json_object_set_new(j, "scheduler", json_pack("[ss]", "diffusers", "DDIMScheduler"));
    if (text)
        json_object_set_new(j, "text_encoder", json_pack("[ss]", "transformers", "CLIPTextModel"));
    return write_json(w, "", "model_index.json", j);
}

static ldm_status write_all(writer *w)
{
    const bool clip =
        find(w, COND "transformer.text_model.embeddings.token_embedding.weight") != NULL;
    const bool open_clip = find(w, COND "model.token_embedding.weight") != NULL;
    const ldm_network *n = w->s->network;
    const bool picture = n->unet_inputs.concat > 0, text = clip || open_clip;
    const char *stage = text ? "vae" : "vqvae";
    ldm_status st = LDM_OK;

    if ((n->unet.use_spatial_transformer && !text) ||
        (picture && !text && find(w, COND "channel_mapper.weight")))
        return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                             "models with this conditioner are not converted to diffusers");
    st = write_unet(w);
    if (!st)
        st = write_stage(w, stage);
    if (!st && text)
        st = write_text(w, open_clip);
    if (!st)
        st = write_scheduler(w);
    return st ? st : write_index(w, stage, text, picture);
}

/* What was written so far, where it failed: files first, then the folders. */
static void remove_folder(const char *root)
{
    static const char *const files[] = {"unet/config.json",
                                        "unet/diffusion_pytorch_model.safetensors",
                                        "vae/config.json",
                                        "vae/diffusion_pytorch_model.safetensors",
                                        "vqvae/config.json",
                                        "vqvae/diffusion_pytorch_model.safetensors",
                                        "text_encoder/config.json",
                                        "text_encoder/model.safetensors",
                                        "scheduler/scheduler_config.json",
                                        "model_index.json"};
    static const char *const folders[] = {"unet", "vae", "vqvae", "text_encoder", "scheduler"};
    char path[PATH_LIMIT + 64];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        (void)unlink(path);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        (void)rmdir(path);
    }
    (void)rmdir(root);
}

ldm_status ldm_diffusers_write(const char *folder, const ldm_folder_source *s, ldm_error *err)
{
    writer w = {.s = s, .err = err};
    struct stat seen;
    ldm_status st;

    if (!stat(folder, &seen))
        return ldm_error_set(err, LDM_ERR_USAGE, "%s is there already", folder);
    if (snprintf(w.root, sizeof w.root, "%s.tmp-%ld", folder, (long)getpid()) >= PATH_LIMIT)
        return ldm_error_set(err, LDM_ERR_USAGE, "%.100s...: the name is too long", folder);
    w.names = ldm_arena_create(0);
    if (!w.names)
        return ldm_error_nomem(err, 0, "the names");
    st = write_all(&w);
    if (!st && rename(w.root, folder))
        st = ldm_error_set(err, LDM_ERR_IO, "%s: cannot be named so: %s", folder, strerror(errno));
    if (st)
        remove_folder(w.root);
    ldm_arena_free(w.names);
    return st;
}
