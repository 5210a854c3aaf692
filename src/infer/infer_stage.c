/* SPDX-License-Identifier: MIT */
/* Encoder and Decoder (ldm/modules/diffusionmodules/model.py) with the quantiser or the posterior
 * round them, from their tensors. Levels are numbered from the picture's own size on both sides. */
#include "infer/infer_private.h"

enum { MAX_STAGE_BLOCKS = 64 };

static int blocks_at(const ldm_infer_scope *s, const char *side, int level)
{
    int n = 0;

    while (n < MAX_STAGE_BLOCKS && ldm_infer_look(s, "%s.%d.block.%d.conv1.weight", side, level, n))
        n++;
    return n;
}

static void read_side(const ldm_infer_scope *s, const char *side, ldm_infer_stage *f)
{
    for (int l = 0; l < LDM_INFER_LEVELS; l++) {
        const int c = ldm_infer_dim(ldm_infer_look(s, "%s.%d.block.0.conv1.weight", side, l), 0);

        if (!c || !f->ch || c % f->ch)
            break;
        f->mult.items[f->mult.count++] = c / f->ch;
        if (ldm_infer_look(s, "%s.%d.attn.0.norm.weight", side, l))
            f->attends |= 1U << l;
    }
    f->res_blocks = blocks_at(s, side, 0);
}

/* The encoder where there is one. Without it the decoder, which has one block more a level and does
 * not show ch: the published models all begin with a multiplier of 1. */
static void read_levels(const ldm_infer_scope *s, ldm_infer_stage *f)
{
    f->ch = ldm_infer_dim(ldm_infer_look(s, "encoder.conv_in.weight"), 0);
    f->encoder = f->ch > 0;
    if (f->encoder) {
        read_side(s, "encoder.down", f);
        f->conv_resample =
            f->mult.count < 2 || ldm_infer_look(s, "encoder.down.0.downsample.conv.weight") != NULL;
        return;
    }
    f->ch = ldm_infer_dim(ldm_infer_look(s, "decoder.conv_out.weight"), 1);
    read_side(s, "decoder.up", f);
    f->res_blocks -= f->res_blocks > 0;
    f->conv_resample =
        f->mult.count < 2 || ldm_infer_look(s, "decoder.up.1.upsample.conv.weight") != NULL;
}

void ldm_infer_read_stage(const ldm_infer_scope *s, ldm_infer_stage *f)
{
    const ldm_tensor_info *book = ldm_infer_look(s, "quantize.embedding.weight");

    f->codebook = book != NULL;
    f->gumbel = ldm_infer_look(s, "quantize.embed.weight") != NULL;
    f->n_embed = ldm_infer_dim(book, 0);
    f->embed_dim = book ? ldm_infer_dim(book, 1)
                        : ldm_infer_dim(ldm_infer_look(s, "post_quant_conv.weight"), 1);
    f->z = ldm_infer_dim(ldm_infer_look(s, "decoder.conv_in.weight"), 1);
    f->double_z = !book;
    f->in_channels = ldm_infer_dim(ldm_infer_look(s, "encoder.conv_in.weight"), 1);
    f->out_channels = ldm_infer_dim(ldm_infer_look(s, "decoder.conv_out.weight"), 0);
    if (f->z && ldm_infer_look(s, "encoder.conv_out.weight"))
        f->double_z = ldm_infer_dim(ldm_infer_look(s, "encoder.conv_out.weight"), 0) == 2 * f->z;
    f->linear_attention = ldm_infer_look(s, "decoder.mid.attn_1.to_qkv.weight") != NULL;
    f->mid_attention = f->linear_attention || ldm_infer_look(s, "decoder.mid.attn_1.q.weight");
    read_levels(s, f);
}
