/* SPDX-License-Identifier: MIT */
/* What a checkpoint's names and shapes say about the configuration it was trained with. Reads no
 * weights. Everything is optional: a value that the names and shapes do not show stays 0, and
 * callers compare only the others. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit/internal.h"

enum { KEY_MAX = 256, MAX_BLOCKS = LDM_MAX_LEVELS * 65 };

/* Looking names up below one component, whatever prefix the file gives it. */
typedef struct scope {
    const ldm_ckpt *ck;
    const char *prefix;
    bool no_dots; /* shadows: the part after the prefix has lost its dots */
} scope;

static const ldm_tensor_info *look(const scope *s, const char *fmt, ...) LDM_PRINTF(2, 3);

static const ldm_tensor_info *look(const scope *s, const char *fmt, ...)
{
    char path[KEY_MAX], name[2 * KEY_MAX];
    va_list ap;
    int n;

    if (!s->prefix || strlen(s->prefix) >= KEY_MAX)
        return NULL;
    va_start(ap, fmt);
    n = vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= KEY_MAX)
        return NULL;
    if (s->no_dots) {
        char *to = path, *from = path;

        for (; *from; from++) {
            if (*from != '.')
                *to++ = *from;
        }
        *to = '\0';
    }
    snprintf(name, sizeof name, "%s%s", s->prefix, path);
    return ldm_ckpt_find(s->ck, name);
}

/* A shape's extent as an int; 0 where there is none or it is absurd. */
static int dim(const ldm_tensor_info *t, int axis)
{
    if (!t || axis >= t->ndim || t->shape[axis] > 1 << 24)
        return 0;
    return (int)t->shape[axis];
}

static void append(ldm_int_list *l, int v)
{
    if (l->count < LDM_MAX_LEVELS)
        l->items[l->count++] = v;
}

/* The prefix of the first key that ends with `tail`, NULL where no key does. `plain` is preferred,
 * so that a file with several networks is read as CompVis would. */
static ldm_status find_prefix(const ldm_ckpt *ck, ldm_arena *arena, const char *plain,
                              const char *tail, const char **out, ldm_error *err)
{
    scope s = {ck, plain, false};
    size_t i;

    *out = NULL;
    if (look(&s, "%s", tail)) {
        *out = plain;
        return LDM_OK;
    }
    for (i = 0; i < ldm_ckpt_count(ck); i++) {
        const char *name = ldm_ckpt_at(ck, i)->name;

        if (ldm_audit_ends_with(name, tail) && !ldm_audit_starts_with(name, "model_ema.")) {
            *out = ldm_arena_strndup(arena, name, strlen(name) - strlen(tail));
            return *out ? LDM_OK : ldm_error_nomem(err, strlen(name), "a name");
        }
    }
    return LDM_OK;
}

/* Keys that every CompVis UNet and first stage has; one that is missing alone does not hide the
 * network. */
static const char *const unet_keys[] = {"input_blocks.0.0.weight", "time_embed.0.weight",
                                        "middle_block.0.in_layers.0.weight"};
static const char *const stage_keys[] = {"decoder.conv_in.weight", "decoder.conv_out.weight",
                                         "decoder.mid.block_1.conv1.weight"};

static ldm_status find_network(const ldm_ckpt *ck, ldm_arena *arena, const char *plain,
                               const char *const *keys, size_t count, const char **out,
                               ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    *out = NULL;
    for (i = 0; !st && !*out && i < count; i++)
        st = find_prefix(ck, arena, plain, keys[i], out, err);
    return st;
}

static bool attends(const scope *s, int block, bool *cross)
{
    if (look(s, "input_blocks.%d.1.transformer_blocks.0.attn2.to_k.weight", block)) {
        *cross = true;
        return true;
    }
    return look(s, "input_blocks.%d.1.qkv.weight", block) != NULL;
}

/* Number of output blocks, and how many of them end with an upsampling layer. */
static int count_output_blocks(const scope *s, int *ups, bool *by_res_block)
{
    int n;

    *ups = 0;
    *by_res_block = false;
    for (n = 0; n < MAX_BLOCKS && look(s, "output_blocks.%d.0.in_layers.2.weight", n); n++) {
        if (look(s, "output_blocks.%d.1.in_layers.2.weight", n) ||
            look(s, "output_blocks.%d.2.in_layers.2.weight", n)) {
            *by_res_block = true;
            ++*ups;
        } else if (look(s, "output_blocks.%d.1.conv.weight", n) ||
                   look(s, "output_blocks.%d.2.conv.weight", n)) {
            ++*ups;
        }
    }
    return n;
}

/* Blocks are numbered (num_res_blocks + 1) to a level, the last of each one halving the size, both
 * ways; so the output side gives levels and blocks, and the input side the rest. */
static void infer_unet(const scope *s, ldm_inferred *in)
{
    const ldm_tensor_info *first = look(s, "input_blocks.0.0.weight"), *res;
    int blocks, ups, level, base;
    bool cross = look(s, "middle_block.1.transformer_blocks.0.attn2.to_k.weight") != NULL;

    in->model_channels = dim(first, 0);
    in->in_channels = dim(first, 1);
    in->out_channels = dim(look(s, "out.2.weight"), 0);
    res = look(s, "input_blocks.1.0.emb_layers.1.weight");
    in->scale_shift =
        res && dim(res, 0) == 2 * dim(look(s, "input_blocks.1.0.out_layers.3.weight"), 0);
    blocks = count_output_blocks(s, &ups, &in->resblock_updown);
    in->updown_known = ups > 0;
    in->cross_attention = cross;
    if (!in->model_channels || !blocks || blocks % (ups + 1) || ups + 1 > LDM_MAX_LEVELS)
        return;
    in->num_res_blocks = blocks / (ups + 1) - 1;
    if (in->num_res_blocks < 1)
        return;
    for (level = 0; level <= ups; level++) {
        base = level * (in->num_res_blocks + 1) + 1;
        res = look(s, "input_blocks.%d.0.out_layers.3.weight", base);
        if (!res ||
            dim(res, 0) % in->model_channels) { /* CompVis does not number blocks like this */
            in->channel_mult.count = 0;
            in->num_res_blocks = 0;
            return;
        }
        append(&in->channel_mult, dim(res, 0) / in->model_channels);
        if (attends(s, base, &in->cross_attention))
            append(&in->attention, 1 << level);
    }
    in->attention_known = true;
}

static void infer_stage(const scope *s, ldm_inferred *in)
{
    const ldm_tensor_info *book = look(s, "quantize.embedding.weight");
    int level, n;

    in->codebook = book != NULL;
    in->n_embed = dim(book, 0);
    in->embed_dim = book ? dim(book, 1) : dim(look(s, "post_quant_conv.weight"), 1);
    in->gumbel = look(s, "quantize.embed.weight") && look(s, "quantize.proj.weight");
    in->posterior =
        !book && in->embed_dim > 0 && dim(look(s, "quant_conv.weight"), 0) == 2 * in->embed_dim;
    in->z_channels = dim(look(s, "decoder.conv_in.weight"), 1);
    in->out_ch = dim(look(s, "decoder.conv_out.weight"), 0);
    in->stage_in_channels = dim(look(s, "encoder.conv_in.weight"), 1);
    in->mid_attention = look(s, "decoder.mid.attn_1.q.weight") != NULL;
    in->ch = dim(look(s, "encoder.conv_in.weight"), 0);
    if (!in->ch) /* without the encoder: the published models all begin with a multiplier of 1 */
        in->ch = dim(look(s, "decoder.conv_out.weight"), 1);
    if (!in->ch)
        return;
    for (level = 0; level < LDM_MAX_LEVELS; level++) {
        int c = dim(look(s, "decoder.up.%d.block.0.conv1.weight", level), 0);

        if (!c || c % in->ch)
            break;
        append(&in->ch_mult, c / in->ch);
    }
    for (n = 0; n < 64 && look(s, "decoder.up.0.block.%d.conv1.weight", n); n++)
        ;
    in->stage_res_blocks = n > 1 ? n - 1 : 0; /* the decoder has one more than the encoder */
}

ldm_status ldm_audit_infer(const ldm_ckpt *ck, ldm_arena *arena, ldm_inferred *out, ldm_error *err)
{
    scope unet = {.ck = ck}, stage = {.ck = ck};
    ldm_status st;
    size_t i;

    memset(out, 0, sizeof *out);
    st = find_network(ck, arena, "model.diffusion_model.", unet_keys,
                      sizeof unet_keys / sizeof *unet_keys, &unet.prefix, err);
    if (!st)
        st = find_network(ck, arena, "first_stage_model.", stage_keys,
                          sizeof stage_keys / sizeof *stage_keys, &stage.prefix, err);
    if (st)
        return st;
    if (!unet.prefix && ldm_ckpt_find(ck, "model_ema.diffusion_modelinput_blocks00weight")) {
        unet.prefix = "model_ema.diffusion_model";
        unet.no_dots = true;
        out->unet_from_ema = true;
    }
    out->unet_prefix = unet.prefix;
    out->stage_prefix = stage.prefix;
    if (unet.prefix)
        infer_unet(&unet, out);
    if (stage.prefix)
        infer_stage(&stage, out);
    for (i = 0; i < ldm_ckpt_count(ck); i++) {
        const char *name = ldm_ckpt_at(ck, i)->name;

        out->stage_keys |= ldm_audit_starts_with(name, "first_stage_model.");
        out->diffusers |=
            ldm_audit_starts_with(name, "down_blocks.") || strstr(name, ".down_blocks.");
    }
    return LDM_OK;
}
