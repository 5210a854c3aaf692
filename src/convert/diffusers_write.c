/* SPDX-License-Identifier: MIT */
/* A model as a folder of diffusers: which pipeline it is, its parts, scheduler and index. */
#include "convert/diffusers_write.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "convert/diffusers_parts.h"
#include "diffusers/diffusers.h"
#include "engine/engine.h"

#define STAGE "first_stage_model."
#define COND "cond_stage_model."

static ldm_status write_scheduler(ldm_folder_writer *w)
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
    return ldm_folder_json_write(w, "scheduler", "scheduler_config.json", j);
}

/* ---- which pipeline -------------------------------------------------------------------------- */

typedef enum cond_kind { COND_NONE, COND_CLIP, COND_OPEN_CLIP, COND_BERT, COND_CLASS } cond_kind;

/* What a folder becomes. */
typedef struct pipeline {
    const char *name;  /* of the class; NULL: none that is written here is for such a model */
    const char *stage; /* the first stage's folder */
    cond_kind cond;
} pipeline;

static cond_kind cond_of(const ldm_folder_writer *w)
{
    static const struct {
        const char *name;
        cond_kind kind;
    } signs[] = {
        {COND "transformer.text_model.embeddings.token_embedding.weight", COND_CLIP},
        {COND "model.token_embedding.weight", COND_OPEN_CLIP},
        {COND "transformer.token_emb.weight", COND_BERT},
        {COND "embedding.weight", COND_CLASS},
    };

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (ldm_folder_find(w, signs[i].name))
            return signs[i].kind;
    }
    return COND_NONE;
}

/* diffusers has no pipeline that takes classes: its networks are loaded one by one then. */
static pipeline pipeline_of(const ldm_folder_writer *w)
{
    const ldm_network *n = w->s->network;
    const ldm_concat_kind concat = n->unet_inputs.concat_kind;
    const bool plain = !n->unet_inputs.concat, cross = n->unet_inputs.context_width > 0;
    const cond_kind cond = cond_of(w);
    const bool clip = cond == COND_CLIP || cond == COND_OPEN_CLIP;
    pipeline p = {.cond = cond, .stage = clip ? "vae" : "vqvae"};

    if (n->lone_first_stage || n->low_scale.present ||
        !ldm_folder_find(w, STAGE "decoder.conv_in.weight"))
        return p;
    if (clip)
        p.name = plain                             ? "StableDiffusionPipeline"
                 : concat == LDM_CONCAT_MASK_FIRST ? "StableDiffusionInpaintPipeline"
                                                   : NULL;
    else if (cond == COND_BERT && plain)
        p.name = "LDMTextToImagePipeline";
    else if ((cond == COND_CLASS || n->unet_inputs.classes) && plain)
        p.name = "DiffusionPipeline";
    else if (!cross)
        p.name = plain                      ? "LDMPipeline"
                 : concat == LDM_CONCAT_LOW ? "LDMSuperResolutionPipeline"
                                            : NULL;
    return p;
}

/* The last part of a target: "ClassEmbedder". */
static const char *class_of(const char *target)
{
    const char *dot = strrchr(target, '.');

    return dot ? dot + 1 : target;
}

static ldm_status refuse(const ldm_folder_writer *w)
{
    const ldm_network *n = w->s->network;

    if (n->lone_first_stage)
        return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                             "diffusers has no pipeline of a first stage alone: such a file is "
                             "not converted to it");
    if (!ldm_folder_find(w, STAGE "decoder.conv_in.weight"))
        return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                             "diffusers has no pipeline for a latent model without a first stage: "
                             "it is not converted to it");
    if (n->low_scale.present)
        return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                             "an upscaler with a noise level is diffusers' "
                             "StableDiffusionUpscalePipeline, which ldm does not write: it is not "
                             "converted to it");
    return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                         "ldm writes no pipeline of diffusers for a model that is conditioned by "
                         "%s%s: it is not converted to it",
                         n->conditioner_count ? class_of(n->conditioners->target) : "nothing known",
                         n->unet_inputs.concat && n->unet_inputs.context_width ? " and by channels"
                                                                               : "");
}

/* LDMSuperResolutionPipeline decodes what the UNet made as it is. */
static ldm_status check_pipeline(const ldm_folder_writer *w, const pipeline *p)
{
    if (!p->name)
        return refuse(w);
    if (!strcmp(p->name, "LDMSuperResolutionPipeline") && w->s->scale_factor != 1)
        return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                             "diffusers' LDMSuperResolutionPipeline knows no scale_factor, and "
                             "this model's is %g: it is not converted to it",
                             w->s->scale_factor);
    return LDM_OK;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static ldm_status write_index(ldm_folder_writer *w, const pipeline *p, bool tokens)
{
    const ldm_first_stage *fs = &w->s->network->first_stage;
    const bool cross = w->s->network->unet.use_spatial_transformer;
    json_t *j = json_object();

    json_object_set_new(j, "_class_name", json_string(p->name));
    json_object_set_new(j, "_diffusers_version", json_string(LDM_DIFFUSERS_VERSION));
    json_object_set_new(
        j, "unet", json_pack("[ss]", "diffusers", cross ? "UNet2DConditionModel" : "UNet2DModel"));
    json_object_set_new(j, p->stage,
                        json_pack("[ss]", "diffusers", fs->codebook ? "VQModel" : "AutoencoderKL"));
    json_object_set_new(j, "scheduler", json_pack("[ss]", "diffusers", "DDIMScheduler"));
    if (p->cond == COND_BERT)
        json_object_set_new(j, "bert", json_pack("[ss]", "latent_diffusion", "LDMBertModel"));
    else if (p->cond == COND_CLIP || p->cond == COND_OPEN_CLIP)
        json_object_set_new(j, "text_encoder", json_pack("[ss]", "transformers", "CLIPTextModel"));
    if (tokens)
        json_object_set_new(j, "tokenizer",
                            json_pack("[ss]", "transformers",
                                      p->cond == COND_BERT ? "BertTokenizer" : "CLIPTokenizer"));
    if (w->s->sampling) {
        json_t *sampling = ldm_value_to_json(w->s->sampling);

        if (!sampling) {
            json_decref(j);
            return ldm_value_error(w->s->sampling, w->err, "cannot be read as a value");
        }
        json_object_set_new(j, LDM_DIFFUSERS_SAMPLING, sampling);
    }
    return ldm_folder_json_write(w, "", "model_index.json", j);
}

/* The vocabulary, where there is one: diffusers' pipelines of texts want a tokenizer. */
static ldm_status write_tokens(ldm_folder_writer *w, const pipeline *p, bool *tokens)
{
    const ldm_token_kind kind = p->cond == COND_BERT ? LDM_TOKEN_BERT : LDM_TOKEN_CLIP;
    char *vocabulary = NULL;
    ldm_status st = LDM_OK;

    if (!w->s->network->conditioners->vocabulary)
        return LDM_OK;
    if (!ldm_vocab_find(kind, ldm_ckpt_path(w->s->ck), &vocabulary, NULL)) {
        *tokens = true;
        st = p->cond == COND_BERT
                 ? ldm_folder_bert_tokens(w, vocabulary)
                 : ldm_folder_clip_tokens(w, p->cond == COND_OPEN_CLIP, vocabulary, tokens);
    }
    ldm_free(vocabulary);
    if (!st && !*tokens)
        ldm_str_puts(w->report, "note: no vocabulary of this text encoder was found, so the folder "
                                "has no tokenizer: give diffusers one, from_pretrained(FOLDER, "
                                "tokenizer=...)\n");
    return st;
}

static ldm_status write_cond(ldm_folder_writer *w, const pipeline *p, bool *tokens)
{
    ldm_status st;

    *tokens = false;
    if (p->cond == COND_NONE)
        return LDM_OK;
    if (p->cond == COND_CLASS)
        return ldm_folder_classes(w);
    st = p->cond == COND_BERT ? ldm_folder_bert(w) : ldm_folder_text(w, p->cond == COND_OPEN_CLIP);
    return st ? st : write_tokens(w, p, tokens);
}

static ldm_status write_all(ldm_folder_writer *w)
{
    const pipeline p = pipeline_of(w);
    bool tokens = false;
    ldm_status st = check_pipeline(w, &p);

    if (!st)
        st = ldm_folder_unet(w);
    if (!st)
        st = ldm_folder_stage(w, p.stage);
    if (!st)
        st = write_cond(w, &p, &tokens);
    if (!st)
        st = write_scheduler(w);
    if (!st)
        st = ldm_grammar_copy(w->s->network, ldm_ckpt_path(w->s->ck), w->root, NULL, w->err);
    return st ? st : write_index(w, &p, tokens);
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
                                        "class_embedder/config.json",
                                        "class_embedder/model.safetensors",
                                        "bert/config.json",
                                        "bert/model.safetensors",
                                        "tokenizer/tokenizer_config.json",
                                        "tokenizer/vocab.txt",
                                        "tokenizer/vocab.json",
                                        "tokenizer/merges.txt",
                                        "scheduler/scheduler_config.json",
                                        "grammar.txt",
                                        "model_index.json"};
    static const char *const folders[] = {"unet", "vae",       "vqvae",          "text_encoder",
                                          "bert", "tokenizer", "class_embedder", "scheduler"};
    char path[LDM_FOLDER_PATH + 64];

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

/* An empty folder is as good as none: rename() puts another in its place. */
static bool is_taken(const char *folder)
{
    struct stat seen;
    DIR *dir = opendir(folder);
    const struct dirent *e;
    bool empty = dir != NULL;

    while (dir && (e = readdir(dir)))
        empty = empty && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."));
    if (dir)
        closedir(dir);
    return !empty && !lstat(folder, &seen);
}

ldm_status ldm_diffusers_write(const char *folder, const ldm_folder_source *s, ldm_str *report,
                               ldm_error *err)
{
    ldm_folder_writer w = {.s = s, .report = report, .err = err};
    size_t len = strlen(folder);
    ldm_status st;

    while (len > 1 && folder[len - 1] == '/')
        len--;
    if (is_taken(folder))
        return ldm_error_set(err, LDM_ERR_IO, "%s is there already: give another name", folder);
    if (snprintf(w.root, sizeof w.root, "%.*s.tmp-%ld", (int)len, folder, (long)getpid()) >=
        LDM_FOLDER_PATH)
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
