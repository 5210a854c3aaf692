/* SPDX-License-Identifier: MIT */
/* The parts of a file, and the settings in the order of a CompVis YAML. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "infer/infer_private.h"

/* ---- where the parts are --------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *tail)
{
    const size_t n = strlen(s), t = strlen(tail);

    return n >= t && !strcmp(s + n - t, tail);
}

static bool begins(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

/* What stands before `tail` in the first key that ends with it; `plain` where that is a key. */
static ldm_status find_prefix(ldm_infer_scope *s, ldm_arena *arena, const char *plain,
                              const char *tail, ldm_error *err)
{
    s->prefix = plain;
    if (ldm_infer_look(s, "%s", tail))
        return LDM_OK;
    s->prefix = NULL;
    for (size_t i = 0; i < ldm_ckpt_count(s->ck); i++) {
        const char *name = ldm_ckpt_at(s->ck, i)->name;

        if (!ends_with(name, tail) || begins(name, "model_ema.") ||
            begins(name, "cond_stage_model.") || begins(name, "loss."))
            continue;
        s->prefix = ldm_arena_strndup(arena, name, strlen(name) - strlen(tail));
        return s->prefix ? LDM_OK : ldm_error_nomem(err, strlen(name), "a name");
    }
    return LDM_OK;
}

static bool has_prefix(const ldm_ckpt *ck, const char *prefix)
{
    for (size_t i = 0; i < ldm_ckpt_count(ck); i++) {
        if (begins(ldm_ckpt_at(ck, i)->name, prefix))
            return true;
    }
    return false;
}

static ldm_status find_parts(ldm_infer_facts *f, ldm_arena *arena, ldm_error *err)
{
    ldm_status st;

    f->unet.ck = f->stage.ck = f->cond.ck = f->ck;
    st = find_prefix(&f->unet, arena, "model.diffusion_model.", "input_blocks.0.0.weight", err);
    if (!st)
        st = find_prefix(&f->stage, arena, "first_stage_model.", "decoder.conv_in.weight", err);
    if (st)
        return st;
    if (!f->unet.prefix && ldm_ckpt_find(f->ck, "model_ema.diffusion_modelinput_blocks00weight")) {
        f->unet.prefix = "model_ema.diffusion_model";
        f->unet.no_dots = f->ema_only = true;
    }
    f->cond.prefix = "cond_stage_model.";
    f->ema = f->unet.prefix && has_prefix(f->ck, "model_ema.");
    f->depth_model = has_prefix(f->ck, "depth_model.");
    f->low_scale = has_prefix(f->ck, "low_scale_model.");
    return LDM_OK;
}

/* ---- settings -------------------------------------------------------------------------------- */

#define SHAPE(path, ...) ldm_infer_put(in, LDM_INFER_SHAPE, NULL, path, __VA_ARGS__)
#define ROOT "model.params."
#define UNET ROOT "unet_config.params."

/* A setting that no tensor shows, by the family; without one it is open. */
typedef struct silent {
    const ldm_infer_family *family;
    ldm_infer_from from;
    const char *how;
} silent;

static silent silent_of(const ldm_infer_facts *f)
{
    bool exact;
    const ldm_infer_family *fam = ldm_infer_family_of(f, &exact);

    if (!fam)
        return (silent){NULL, LDM_INFER_OPEN, "no published model is like it"};
    return (silent){fam, exact ? LDM_INFER_PUBLISHED : LDM_INFER_ASSUMED, fam->name};
}

/* Extra channels are concatenated, a context is attended to. */
static const char *conditioning_key(const ldm_infer_facts *f)
{
    const bool concat = f->u.in_channels > f->u.out_channels;
    const bool labels = f->u.num_classes || f->u.continuous_classes || f->u.adm;

    if (f->u.cross && labels)
        return concat ? "hybrid-adm" : "crossattn-adm";
    if (f->u.cross)
        return concat ? "hybrid" : "crossattn";
    if (concat)
        return "concat";
    return labels ? "adm" : NULL;
}

static const char *diffusion_target(const ldm_infer_facts *f)
{
    const int extra = f->u.in_channels - f->u.out_channels;

    if (f->low_scale)
        return "ldm.models.diffusion.ddpm.LatentUpscaleDiffusion";
    if (f->depth_model)
        return "ldm.models.diffusion.ddpm.LatentDepth2ImageDiffusion";
    if (f->u.cross && extra == f->u.out_channels + 1) /* a mask and the masked picture's latent */
        return "ldm.models.diffusion.ddpm.LatentInpaintDiffusion";
    return "ldm.models.diffusion.ddpm.LatentDiffusion";
}

static void put_scale(ldm_inference *in, const ldm_infer_facts *f, const silent *by)
{
    const ldm_tensor_info *t = ldm_ckpt_find(f->ck, "scale_factor");
    float value;

    if (t && t->numel == 1 && ldm_dtype_readable(t->dtype) &&
        !ldm_ckpt_read_f32(f->ck, t, &value, NULL)) {
        ldm_infer_put(in, LDM_INFER_BUFFER, NULL, ROOT "scale_by_std", "true");
        return;
    }
    if (by->family && by->family->scale)
        ldm_infer_put(in, by->from, by->how, ROOT "scale_factor", "%s", by->family->scale);
    else
        ldm_infer_put(in, by->family ? by->from : LDM_INFER_OPEN, by->how, ROOT "scale_factor",
                      "1.0");
}

/* Stable Diffusion 2 was published with both; its inpainting and depth models predict eps. */
static void put_parameterization(ldm_inference *in, const ldm_infer_facts *f, const silent *by)
{
    const bool either = f->kind == LDM_INFER_OPEN_CLIP && f->u.in_channels == f->u.out_channels;

    if (either)
        ldm_infer_put(in, LDM_INFER_OPEN,
                      "v in 768-v-ema, eps in 512-base-ema, whose shapes are the same",
                      ROOT "parameterization", "v");
    else
        ldm_infer_put(in, by->from, by->how, ROOT "parameterization", "eps");
}

static int factor_of(const ldm_infer_facts *f)
{
    return f->f.mult.count ? 1 << (f->f.mult.count - 1) : 1;
}

static int resolution_of(const silent *by)
{
    return by->family ? by->family->resolution : 256;
}

/* The upscaler's noise on the small picture; its buffers are no part of every file's state. */
static void put_low_scale(ldm_inference *in)
{
#define LOW ROOT "low_scale_config."
    const char *how = "the upscaler of Stable Diffusion 2";

    SHAPE(LOW "target", "ldm.modules.diffusionmodules.upscaling.ImageConcatWithNoiseAugmentation");
    ldm_infer_put(in, LDM_INFER_ASSUMED, how, LOW "params.noise_schedule_config.linear_start",
                  "0.0001");
    ldm_infer_put(in, LDM_INFER_ASSUMED, how, LOW "params.noise_schedule_config.linear_end",
                  "0.02");
    ldm_infer_put(in, LDM_INFER_ASSUMED, how, LOW "params.max_noise_level", "350");
#undef LOW
}

static void put_diffusion(ldm_inference *in, const ldm_infer_facts *f, const silent *by)
{
    const char *key = conditioning_key(f);
    const ldm_infer_from size = by->family ? by->from : LDM_INFER_ASSUMED;
    ldm_status st;

    SHAPE("model.target", "%s", diffusion_target(f));
    st = in->priv->st ? LDM_OK : ldm_infer_schedule(in, f, in->priv->err);
    if (!in->priv->st) /* a setting that could not be added has failed, too */
        in->priv->st = st;
    ldm_infer_put(in, size, "the size of pictures where a run gives none", ROOT "image_size", "%d",
                  resolution_of(by) / factor_of(f));
    SHAPE(ROOT "channels", "%d", f->u.out_channels);
    if (key)
        SHAPE(ROOT "conditioning_key", "%s", key);
    if (key && !strcmp(key, "concat"))
        SHAPE(ROOT "concat_mode", "true");
    else
        SHAPE(ROOT "concat_mode", "false");
    put_scale(in, f, by);
    put_parameterization(in, f, by);
    SHAPE(ROOT "use_ema", "%s", f->ema ? "true" : "false");
    if (ldm_ckpt_find(f->ck, "logvar"))
        SHAPE(ROOT "learn_logvar", "true");
    if (f->low_scale)
        put_low_scale(in);
}

/* Heads are the setting that most often differs between models of one kind: they are assumed where
 * the levels are the published model's, or where all models with this text encoder have the same.
 */
static ldm_infer_from heads_from(const ldm_infer_facts *f, const silent *by)
{
    const bool by_encoder =
        f->kind == LDM_INFER_CLIP || f->kind == LDM_INFER_OPEN_CLIP || f->kind == LDM_INFER_BERT;

    if (by->from != LDM_INFER_ASSUMED || by_encoder || ldm_infer_same_levels(by->family, f))
        return by->from;
    return LDM_INFER_OPEN;
}

static void put_heads(ldm_inference *in, const ldm_infer_facts *f, const silent *by)
{
    const ldm_infer_from from = heads_from(f, by);
    const char *how = from == LDM_INFER_OPEN ? "a common number; others are as likely" : by->how;

    if (!f->u.middle_attends)
        return;
    if (by->family && by->family->num_heads)
        ldm_infer_put(in, from, how, UNET "num_heads", "%d", by->family->num_heads);
    else
        ldm_infer_put(in, from, how, UNET "num_head_channels", "%d",
                      by->family ? by->family->num_head_channels : 32);
    if (f->u.cross && !(by->family && by->family->old_heads))
        ldm_infer_put(in, by->from, by->how, UNET "legacy", "false");
}

static void put_attention(ldm_inference *in, const ldm_infer_unet *u)
{
    ldm_infer_ints factors = {.count = u->attention.count};
    bool some = false;
    char text[LDM_INFER_LEVELS * 7 + 3] = "[";

    for (int i = 0; i < factors.count; i++)
        factors.items[i] = u->attention.items[factors.count - 1 - i];
    ldm_infer_put_ints(in, UNET "attention_resolutions", &factors);
    for (int i = 0; i < u->no_self_attention.count; i++) {
        some |= u->no_self_attention.items[i] != 0;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? ", " : "",
                 u->no_self_attention.items[i] ? "true" : "false");
    }
    if (u->cross && some)
        SHAPE(UNET "disable_self_attentions", "%s]", text);
}

static void put_transformers(ldm_inference *in, const ldm_infer_unet *u)
{
    if (!u->cross)
        return;
    SHAPE(UNET "use_spatial_transformer", "true");
    SHAPE(UNET "transformer_depth", "%d", u->depth);
    SHAPE(UNET "context_dim", "%d", u->context);
    if (u->linear)
        SHAPE(UNET "use_linear_in_transformer", "true");
    if (u->depth_varies)
        ldm_infer_problem(in, "the depth of the transformers differs from level to level, which "
                              "CompVis' UNet cannot");
}

static void put_labels(ldm_inference *in, const ldm_infer_unet *u)
{
    if (u->num_classes)
        SHAPE(UNET "num_classes", "%d", u->num_classes);
    else if (u->continuous_classes)
        SHAPE(UNET "num_classes", "continuous");
    else if (u->adm)
        SHAPE(UNET "num_classes", "sequential");
    if (u->adm)
        SHAPE(UNET "adm_in_channels", "%d", u->adm);
    if (u->n_embed)
        SHAPE(UNET "n_embed", "%d", u->n_embed);
}

static void put_unet(ldm_inference *in, const ldm_infer_facts *f, const silent *by)
{
    const ldm_infer_unet *u = &f->u;
    const bool latent_known = f->kind == LDM_INFER_CLIP || f->kind == LDM_INFER_OPEN_CLIP;

    SHAPE(ROOT "unet_config.target", "ldm.modules.diffusionmodules.openaimodel.UNetModel");
    ldm_infer_put(in, by->family ? by->from : LDM_INFER_ASSUMED,
                  "the size of pictures where a run gives none", UNET "image_size", "%d",
                  latent_known ? 32 : resolution_of(by) / factor_of(f));
    SHAPE(UNET "in_channels", "%d", u->in_channels);
    SHAPE(UNET "out_channels", "%d", u->out_channels);
    SHAPE(UNET "model_channels", "%d", u->model_channels);
    put_attention(in, u);
    if (u->uneven_blocks)
        ldm_infer_put_ints(in, UNET "num_res_blocks", &u->res_blocks);
    else
        SHAPE(UNET "num_res_blocks", "%d", u->res_blocks.items[0]);
    ldm_infer_put_ints(in, UNET "channel_mult", &u->mult);
    if (u->dims != 2)
        SHAPE(UNET "dims", "%d", u->dims);
    put_heads(in, f, by);
    if (u->scale_shift)
        SHAPE(UNET "use_scale_shift_norm", "true");
    if (u->updown)
        SHAPE(UNET "resblock_updown", "true");
    if (!u->conv_resample)
        SHAPE(UNET "conv_resample", "false");
    put_transformers(in, u);
    put_labels(in, u);
    if (!u->res_blocks.count)
        ldm_infer_problem(in, "the blocks of the UNet are not numbered as CompVis' UNetModel does, "
                              "or some are missing");
    for (int i = 0; i < u->mult.count; i++) {
        if (!u->mult.items[i])
            ldm_infer_problem(in, "level %d of the UNet has channels that are no multiple of %d", i,
                              u->model_channels);
    }
}

/* resolution only tells which levels attend, and the size of pictures where a run gives none. */
static void put_dd(ldm_inference *in, const ldm_infer_facts *f, const char *root)
{
    const ldm_infer_stage *s = &f->f;
    const int resolution = 256;
    ldm_infer_ints attends = {0};
    char path[128];

#define DD(name) (snprintf(path, sizeof path, "%.90sddconfig.%s", root, name), path)
    for (int l = 0; l < s->mult.count; l++) {
        if (s->attends >> l & 1U)
            attends.items[attends.count++] = resolution >> l;
    }
    SHAPE(DD("double_z"), "%s", s->double_z ? "true" : "false");
    SHAPE(DD("z_channels"), "%d", s->z);
    ldm_infer_put(in, LDM_INFER_ASSUMED, "published first stages; it changes no number",
                  DD("resolution"), "%d", resolution);
    SHAPE(DD("in_channels"), "%d", s->in_channels ? s->in_channels : s->out_channels);
    SHAPE(DD("out_ch"), "%d", s->out_channels);
    SHAPE(DD("ch"), "%d", s->ch);
    ldm_infer_put_ints(in, DD("ch_mult"), &s->mult);
    SHAPE(DD("num_res_blocks"), "%d", s->res_blocks);
    ldm_infer_put_ints(in, DD("attn_resolutions"), &attends);
    SHAPE(DD("dropout"), "0.0");
    if (!s->conv_resample)
        SHAPE(DD("resamp_with_conv"), "false");
    if (!s->mid_attention || s->linear_attention)
        SHAPE(DD("attn_type"), "%s", s->linear_attention ? "linear" : "none");
#undef DD
}

static void put_stage(ldm_inference *in, const ldm_infer_facts *f, const char *root)
{
    const ldm_infer_stage *s = &f->f;
    const bool alone = !f->unet.prefix;
    char path[128];

#define AT(name) (snprintf(path, sizeof path, "%s%s", root, name), path)
    SHAPE(AT("target"), "ldm.models.autoencoder.%s",
          !s->codebook ? "AutoencoderKL"
          : alone      ? "VQModel"
                       : "VQModelInterface");
    SHAPE(AT("params.embed_dim"), "%d", s->embed_dim);
    if (s->codebook)
        SHAPE(AT("params.n_embed"), "%d", s->n_embed);
    snprintf(path, sizeof path, "%sparams.", root);
    put_dd(in, f, path);
    SHAPE(AT("params.lossconfig.target"), "torch.nn.Identity");
    if (s->gumbel)
        ldm_infer_problem(in, "the first stage's codebook is a Gumbel quantiser's, which CompVis' "
                              "latent diffusion does not have");
#undef AT
}

/* The first stage's pictures are as large as the file's own image_size says, where it says one. */
static void settle_resolution(ldm_inference *in, const ldm_infer_facts *f)
{
    const char *path = ROOT "first_stage_config.params.ddconfig.resolution";
    const ldm_infer_setting *size = ldm_inference_find(in, UNET "image_size");
    const ldm_infer_setting *resolution = ldm_inference_find(in, path);
    struct ldm_inference_private *p = in->priv;
    ldm_infer_setting *s;
    long side;

    if (!size || !resolution || size->from != LDM_INFER_META || f->f.attends)
        return;
    side = strtol(size->value, NULL, 10);
    if (side < 1 || side > 4096)
        return;
    s = &p->settings[resolution - in->settings];
    s->value = ldm_arena_printf(p->arena, "%ld", side * factor_of(f));
    s->how = "image_size and the first stage's factor";
    if (!s->value)
        p->st = ldm_error_nomem(p->err, 0, "the configuration");
}

/* Keys by CompVis' names, and others that say that the UNet is not his. */
static void put_spoiled(ldm_inference *in, const ldm_infer_facts *f)
{
    const char *other = ldm_infer_other_kind(f->ck, true);
    const bool control = f->unet.prefix && !strcmp(f->unet.prefix, "control_model.");

    if (!other && control)
        other = ldm_infer_other_kind(f->ck, false);
    if (!other && f->u.adm && (f->kind == LDM_INFER_CLIP || f->kind == LDM_INFER_OPEN_CLIP))
        other = "a UNet that reads a vector beside the text (Stable unCLIP, the refiner of Stable "
                "Diffusion XL or the like), which none of CompVis' models does";
    if (other)
        ldm_infer_problem(in, "its keys show %s", other);
}

static ldm_status put_all(ldm_inference *in, ldm_infer_facts *f)
{
    ldm_status st;
    const silent by = silent_of(f);

    in->family = f->unet.prefix && by.family ? by.family->name : NULL;
    put_spoiled(in, f);
    if (f->unet.prefix) {
        put_diffusion(in, f, &by);
        put_unet(in, f, &by);
        if (f->stage.prefix)
            put_stage(in, f, ROOT "first_stage_config.");
        ldm_infer_put_cond(in, f);
        if (!f->u.out_channels)
            ldm_infer_problem(in, "the UNet's last convolution, out.2.weight, is missing");
        else if (f->stage.prefix && f->f.embed_dim && f->f.embed_dim != f->u.out_channels)
            ldm_infer_problem(in,
                              "the UNet's latents have %d channels and the first stage's %d: "
                              "they do not belong together",
                              f->u.out_channels, f->f.embed_dim);
    } else {
        put_stage(in, f, "model.");
    }
    st = in->priv->st ? in->priv->st : ldm_infer_meta(in, f->ck);
    if (!st)
        settle_resolution(in, f);
    return in->priv->st;
}

static const char *kind_of(const ldm_infer_facts *f)
{
    const bool text =
        f->kind == LDM_INFER_CLIP || f->kind == LDM_INFER_OPEN_CLIP || f->kind == LDM_INFER_BERT;

    if (!f->unet.prefix)
        return "a first stage alone";
    if (f->stage.prefix)
        return "a latent diffusion model";
    return text ? "a UNet and a text encoder, but no first stage" : "a UNet alone";
}

static ldm_status refuse(const ldm_ckpt *ck, ldm_error *err)
{
    const char *first = ldm_ckpt_count(ck) ? ldm_ckpt_at(ck, 0)->name : NULL;
    const char *other = ldm_infer_other_kind(ck, false);

    if (other)
        return ldm_error_set(err, LDM_ERR_MISMATCH, "%s holds %s", ldm_ckpt_path(ck), other);
    return ldm_error_set(err, LDM_ERR_MISMATCH,
                         "%s holds no UNet (...input_blocks.0.0.weight) and no first stage "
                         "(...decoder.conv_in.weight) by CompVis' names%s%.120s%s",
                         ldm_ckpt_path(ck), first ? "; its first key is '" : "; it has no tensors",
                         first ? first : "", first ? "'" : "");
}

ldm_status ldm_infer(const ldm_ckpt *ck, ldm_inference **out, ldm_error *err)
{
    ldm_infer_facts f = {.ck = ck};
    ldm_inference *in = ldm_calloc(1, sizeof *in);
    ldm_status st;

    *out = NULL;
    if (in)
        in->priv = ldm_calloc(1, sizeof *in->priv);
    if (in && in->priv)
        in->priv->arena = ldm_arena_create(0);
    if (!in || !in->priv || !in->priv->arena) {
        ldm_inference_free(in);
        return ldm_error_nomem(err, sizeof *in, "the configuration");
    }
    in->priv->err = err;
    st = find_parts(&f, in->priv->arena, err);
    if (!st && !f.unet.prefix && !f.stage.prefix)
        st = refuse(ck, err);
    if (!st && f.unet.prefix)
        ldm_infer_read_unet(&f.unet, &f.u);
    if (!st && f.stage.prefix)
        ldm_infer_read_stage(&f.stage, &f.f);
    if (!st) {
        f.kind = ldm_infer_read_cond(&f);
        in->kind = kind_of(&f);
        st = put_all(in, &f);
    }
    if (st) {
        ldm_inference_free(in);
        return st;
    }
    in->whole = f.unet.prefix && f.stage.prefix && !in->problem_count &&
                (f.ema_only || !strcmp(f.unet.prefix, "model.diffusion_model.")) &&
                !strcmp(f.stage.prefix, "first_stage_model.");
    *out = in;
    return LDM_OK;
}

void ldm_inference_free(ldm_inference *in)
{
    if (!in)
        return;
    if (in->priv) {
        ldm_free(in->priv->settings);
        ldm_free((void *)in->priv->problems);
        ldm_arena_free(in->priv->arena);
        ldm_free(in->priv);
    }
    ldm_free(in);
}
