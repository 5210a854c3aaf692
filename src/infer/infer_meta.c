/* SPDX-License-Identifier: MIT */
/* Lightning keeps the constructor's arguments in the checkpoint as hyper_parameters: where a file
 * has them, they take the place of what was assumed. What the shapes and buffers say stays. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "infer/infer_private.h"

static const char prefix[] = "hyper_parameters.";
static const char sampling[] = "ldm.sampling."; /* of a folder that `ldm convert` wrote */

/* Settings that change numbers and that no shape shows: others of the file's are training's. */
static bool is_silent(const char *path)
{
    static const char *const names[] = {
        "num_heads",
        "num_head_channels",
        "num_heads_upsample",
        "legacy",
        "use_new_attention_order",
        "scale_factor",
        "parameterization",
        "image_size",
        "conditioning_key",
        "resolution",
        "tanh_out",
        "layer",
        "timesteps",
        "linear_start",
        "linear_end",
        "beta_schedule",
        "cosine_s",
        "use_tokenizer",
    };
    const char *dot = strrchr(path, '.');
    const char *name = dot ? dot + 1 : path;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(names[i], name))
            return true;
    }
    return false;
}

/* A number, a word, None, True or False: what a YAML of the same meaning says. NULL: it is none. */
static const char *as_yaml(const char *value)
{
    if (!strcmp(value, "None"))
        return "null";
    if (!strcmp(value, "True"))
        return "true";
    if (!strcmp(value, "False"))
        return "false";
    if (!*value || strlen(value) > 60)
        return NULL;
    for (const char *c = value; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("._+-", *c))
            return NULL;
    }
    return value;
}

/* Whether the parameter belongs to a part that a YAML of CompVis has; the other names of a hostile
 * file must not reach the YAML that is made. */
static bool is_place(const char *path)
{
    static const char *const parts[] = {"unet_config.params.", "first_stage_config.params.",
                                        "first_stage_config.params.ddconfig.",
                                        "cond_stage_config.params."};
    const char *dot = strrchr(path, '.');
    const size_t len = dot ? (size_t)(dot + 1 - path) : 0;

    for (size_t i = 0; len && i < sizeof parts / sizeof *parts; i++) {
        if (strlen(parts[i]) == len && !strncmp(parts[i], path, len))
            return true;
    }
    return !len;
}

/* A text in JSON's quotes on one line, which YAML reads as the same. */
static bool is_quoted(const char *value)
{
    const char *c = value + 1;

    if (*value != '"' || strlen(value) > 2000)
        return false;
    for (; *c && *c != '"'; c++) {
        if ((unsigned char)*c < 0x20 || (*c == '\\' && !*++c))
            return false;
    }
    return *c && !c[1];
}

/* The name of a setting of the section `ldm: sampling:`. */
static bool is_sampling(const char *name)
{
    size_t n = 0;

    while (islower((unsigned char)name[n]) || name[n] == '_')
        n++;
    return n && n < 40 && !name[n];
}

static void take(ldm_inference *in, const char *root, const char *key, const char *value)
{
    const char *how = root == sampling ? "model_index.json" : "hyper_parameters";
    char path[256];
    struct ldm_inference_private *p = in->priv;

    if (snprintf(path, sizeof path, "%s%s", root, key) >= (int)sizeof path)
        return;
    for (size_t i = 0; i < in->count; i++) {
        ldm_infer_setting *s = &p->settings[i];

        if (strcmp(s->path, path))
            continue;
        if (s->from < LDM_INFER_PUBLISHED)
            return;
        s->from = LDM_INFER_META;
        s->how = how;
        s->value = ldm_arena_strdup(p->arena, value);
        if (!s->value)
            p->st = ldm_error_nomem(p->err, 0, "the configuration");
        return;
    }
    ldm_infer_put(in, LDM_INFER_META, how, path, "%s", value);
}

#define HEADS "model.params.unet_config.params.num_head"

static void drop_at(ldm_inference *in, size_t at)
{
    struct ldm_inference_private *p = in->priv;

    memmove(p->settings + at, p->settings + at + 1, (in->count - at - 1) * sizeof *p->settings);
    in->count--;
}

/* num_heads and num_head_channels exclude each other: one that the file says ends the other's
 * assumption. */
static void settle_heads(ldm_inference *in)
{
    static const char *const both[] = {HEADS "s", HEADS "_channels"};

    for (int i = 0; i < 2; i++) {
        const ldm_infer_setting *said = ldm_inference_find(in, both[i]);
        const ldm_infer_setting *other = ldm_inference_find(in, both[!i]);

        if (said && said->from == LDM_INFER_META && other && other->from > LDM_INFER_META)
            drop_at(in, (size_t)(other - in->settings));
    }
}

ldm_status ldm_infer_meta(ldm_inference *in, const ldm_ckpt *ck)
{
    for (size_t i = 0; i < ldm_ckpt_meta_count(ck); i++) {
        const char *path = ldm_ckpt_meta_path(ck, i), *value = ldm_ckpt_meta_value(ck, i);

        if (!strncmp(path, sampling, sizeof sampling - 1) &&
            is_sampling(path + sizeof sampling - 1) && (as_yaml(value) || is_quoted(value)))
            take(in, sampling, path + sizeof sampling - 1, value);
        if (strncmp(path, prefix, sizeof prefix - 1))
            continue;
        path += sizeof prefix - 1;
        value = as_yaml(value);
        if (value && is_silent(path) && is_place(path))
            take(in, "model.params.", path, value);
    }
    settle_heads(in);
    return in->priv->st;
}
