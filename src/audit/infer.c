/* SPDX-License-Identifier: MIT */
/* What a checkpoint's names and shapes say about the configuration it was trained with. Reads no
 * weights. Everything is optional: a value that the names and shapes do not show stays 0, and
 * callers compare only the others. */
#include <string.h>

#include "audit/internal.h"
#include "infer/lookup.h"

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
    ldm_infer_scope s = {ck, plain, false};
    size_t i;

    *out = NULL;
    if (ldm_infer_look(&s, "%s", tail)) {
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

static bool attends(const ldm_infer_scope *s, int block, bool *cross)
{
    if (ldm_infer_look(s, "input_blocks.%d.1.transformer_blocks.0.attn2.to_k.weight", block)) {
        *cross = true;
        return true;
    }
    return ldm_infer_look(s, "input_blocks.%d.1.qkv.weight", block) != NULL;
}

/* Blocks are numbered (num_res_blocks + 1) to a level, the last of each one halving the size, both
 * ways; so the output side gives levels and blocks, and the input side the rest. */
static void infer_unet(const ldm_infer_scope *s, ldm_inferred *in)
{
    const ldm_tensor_info *first = ldm_infer_look(s, "input_blocks.0.0.weight"), *res;
    int blocks, ups, level, base;
    bool cross = ldm_infer_look(s, "middle_block.1.transformer_blocks.0.attn2.to_k.weight") != NULL;

    in->model_channels = ldm_infer_dim(first, 0);
    in->in_channels = ldm_infer_dim(first, 1);
    in->out_channels = ldm_infer_dim(ldm_infer_look(s, "out.2.weight"), 0);
    res = ldm_infer_look(s, "input_blocks.1.0.emb_layers.1.weight");
    in->scale_shift =
        res && ldm_infer_dim(res, 0) ==
                   2 * ldm_infer_dim(ldm_infer_look(s, "input_blocks.1.0.out_layers.3.weight"), 0);
    blocks = ldm_infer_count_outputs(s, &ups, &in->resblock_updown);
    in->updown_known = ups > 0;
    in->cross_attention = cross;
    if (!in->model_channels || !blocks || blocks % (ups + 1) || ups + 1 > LDM_MAX_LEVELS)
        return;
    in->num_res_blocks = blocks / (ups + 1) - 1;
    if (in->num_res_blocks < 1)
        return;
    for (level = 0; level <= ups; level++) {
        base = level * (in->num_res_blocks + 1) + 1;
        res = ldm_infer_look(s, "input_blocks.%d.0.out_layers.3.weight", base);
        /* CompVis numbers blocks so that each level begins with a multiple. */
        if (!res || ldm_infer_dim(res, 0) % in->model_channels) {
            in->channel_mult.count = 0;
            in->num_res_blocks = 0;
            return;
        }
        append(&in->channel_mult, ldm_infer_dim(res, 0) / in->model_channels);
        if (attends(s, base, &in->cross_attention))
            append(&in->attention, 1 << level);
    }
    in->attention_known = true;
}

static void infer_stage(const ldm_infer_scope *s, ldm_inferred *in)
{
    const ldm_tensor_info *book = ldm_infer_look(s, "quantize.embedding.weight");
    int level, n;

    in->codebook = book != NULL;
    in->n_embed = ldm_infer_dim(book, 0);
    in->embed_dim = book ? ldm_infer_dim(book, 1)
                         : ldm_infer_dim(ldm_infer_look(s, "post_quant_conv.weight"), 1);
    in->gumbel =
        ldm_infer_look(s, "quantize.embed.weight") && ldm_infer_look(s, "quantize.proj.weight");
    in->posterior = !book && in->embed_dim > 0 &&
                    ldm_infer_dim(ldm_infer_look(s, "quant_conv.weight"), 0) == 2 * in->embed_dim;
    in->z_channels = ldm_infer_dim(ldm_infer_look(s, "decoder.conv_in.weight"), 1);
    in->out_ch = ldm_infer_dim(ldm_infer_look(s, "decoder.conv_out.weight"), 0);
    in->stage_in_channels = ldm_infer_dim(ldm_infer_look(s, "encoder.conv_in.weight"), 1);
    in->mid_attention = ldm_infer_look(s, "decoder.mid.attn_1.q.weight") != NULL;
    in->ch = ldm_infer_dim(ldm_infer_look(s, "encoder.conv_in.weight"), 0);
    if (!in->ch) /* without the encoder: the published models all begin with a multiplier of 1 */
        in->ch = ldm_infer_dim(ldm_infer_look(s, "decoder.conv_out.weight"), 1);
    if (!in->ch)
        return;
    for (level = 0; level < LDM_MAX_LEVELS; level++) {
        int c = ldm_infer_dim(ldm_infer_look(s, "decoder.up.%d.block.0.conv1.weight", level), 0);

        if (!c || c % in->ch)
            break;
        append(&in->ch_mult, c / in->ch);
    }
    for (n = 0; n < 64 && ldm_infer_look(s, "decoder.up.0.block.%d.conv1.weight", n); n++)
        ;
    in->stage_res_blocks = n > 1 ? n - 1 : 0; /* the decoder has one more than the encoder */
}

ldm_status ldm_audit_infer(const ldm_ckpt *ck, ldm_arena *arena, ldm_inferred *out, ldm_error *err)
{
    ldm_infer_scope unet = {.ck = ck}, stage = {.ck = ck};
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
