/* SPDX-License-Identifier: MIT */
/* UNetModel (ldm/modules/diffusionmodules/openaimodel.py) from its tensors. Its input side numbers
 * blocks through all levels: a convolution, then per level num_res_blocks blocks and one that
 * halves the size, but for the last level. The output side has one block more a level. */
#include <stdio.h>

#include "infer/infer_private.h"

enum { MAX_BLOCKS = LDM_INFER_LEVELS * 65, MAX_DEPTH = 64 };

static bool is_res(const ldm_infer_scope *s, const char *side, int block)
{
    return ldm_infer_look(s, "%s_blocks.%d.0.in_layers.2.weight", side, block) != NULL;
}

/* Whether output block n has a layer after its ResBlock whose name ends so. */
static bool follows(const ldm_infer_scope *s, int n, const char *name)
{
    return ldm_infer_look(s, "output_blocks.%d.1.%s", n, name) ||
           ldm_infer_look(s, "output_blocks.%d.2.%s", n, name);
}

int ldm_infer_count_outputs(const ldm_infer_scope *s, int *ups, bool *by_res_block)
{
    int n;

    *ups = 0;
    *by_res_block = false;
    for (n = 0; n < MAX_BLOCKS && is_res(s, "output", n); n++) {
        if (follows(s, n, "in_layers.2.weight")) {
            *by_res_block = true;
            ++*ups;
        } else {
            *ups += follows(s, n, "conv.weight");
        }
    }
    return n;
}

/* Blocks a level, in the order of the input side; *first: the number of each level's first block.
 */
static void split_evenly(ldm_infer_unet *u, int outputs, int levels, int *first)
{
    const int blocks = outputs / levels - 1;

    if (outputs % levels || blocks < 1 || levels > LDM_INFER_LEVELS)
        return;
    for (int l = 0; l < levels; l++) {
        u->res_blocks.items[l] = blocks;
        first[l] = 1 + l * (blocks + 1);
    }
    u->res_blocks.count = levels;
}

/* Where a convolution or a pooling without tensors halves the size: a gap in the numbers. */
static void split_by_downs(const ldm_infer_scope *s, ldm_infer_unet *u, int *first)
{
    int n = 1;

    u->conv_resample = true;
    while (u->res_blocks.count < LDM_INFER_LEVELS) {
        const int level = u->res_blocks.count, begin = n;

        while (n < MAX_BLOCKS && is_res(s, "input", n))
            n++;
        if (n == begin)
            break;
        first[level] = begin;
        u->res_blocks.items[level] = n - begin;
        u->res_blocks.count++;
        if (!is_res(s, "input", n + 1))
            break;
        if (!ldm_infer_look(s, "input_blocks.%d.0.op.weight", n))
            u->conv_resample = false;
        n++;
    }
}

/* The transformer at a block: its depth, 0 where there is none. */
static int depth_at(const ldm_infer_scope *s, const char *block)
{
    int n = 0;

    while (n < MAX_DEPTH &&
           ldm_infer_look(s, "%s.transformer_blocks.%d.attn2.to_k.weight", block, n))
        n++;
    return n;
}

static void read_level(const ldm_infer_scope *s, ldm_infer_unet *u, int level, int first)
{
    const ldm_tensor_info *out = ldm_infer_look(s, "input_blocks.%d.0.out_layers.3.weight", first);
    const ldm_tensor_info *k =
        ldm_infer_look(s, "input_blocks.%d.1.transformer_blocks.0.attn1.to_k.weight", first);
    const ldm_tensor_info *q =
        ldm_infer_look(s, "input_blocks.%d.1.transformer_blocks.0.attn1.to_q.weight", first);
    char block[64] = "input_blocks.";
    int depth;

    u->mult.items[u->mult.count++] =
        ldm_infer_dim(out, 0) % u->model_channels ? 0 : ldm_infer_dim(out, 0) / u->model_channels;
    snprintf(block, sizeof block, "input_blocks.%d.1", first);
    depth = depth_at(s, block);
    if (depth || ldm_infer_look(s, "%s.qkv.weight", block))
        u->attention.items[u->attention.count++] = 1 << level;
    if (depth && u->depth && depth != u->depth)
        u->depth_varies = true;
    if (depth && !u->depth)
        u->depth = depth;
    u->no_self_attention.items[u->no_self_attention.count++] =
        k && q && ldm_infer_dim(k, 1) != ldm_infer_dim(q, 1);
}

static void read_levels(const ldm_infer_scope *s, ldm_infer_unet *u)
{
    int first[LDM_INFER_LEVELS] = {0}, ups, outputs = ldm_infer_count_outputs(s, &ups, &u->updown);
    int expected = 0;

    if (u->updown) {
        u->conv_resample = true;
        split_evenly(u, outputs, ups + 1, first);
    } else {
        split_by_downs(s, u, first);
    }
    for (int l = 0; l < u->res_blocks.count; l++) {
        read_level(s, u, l, first[l]);
        expected += u->res_blocks.items[l] + 1;
        u->uneven_blocks |= u->res_blocks.items[l] != u->res_blocks.items[0];
    }
    if (expected != outputs) /* CompVis does not number blocks like this */
        u->res_blocks.count = 0;
}

static void read_transformers(const ldm_infer_scope *s, ldm_infer_unet *u)
{
    const int middle = depth_at(s, "middle_block.1");
    const ldm_tensor_info *proj = ldm_infer_look(s, "middle_block.1.proj_in.weight");

    u->cross = middle || u->depth;
    u->middle_attends = middle || ldm_infer_look(s, "middle_block.1.qkv.weight");
    if (!u->cross)
        return;
    u->depth_varies |= middle && u->depth && middle != u->depth;
    u->depth = u->depth ? u->depth : middle;
    u->linear = proj && proj->ndim == 2;
    u->context = ldm_infer_dim(
        ldm_infer_look(s, "middle_block.1.transformer_blocks.0.attn2.to_k.weight"), 1);
}

/* nn.Embedding, nn.Linear(1, .), or Sequential(Linear(adm_in_channels, .), SiLU, Linear). */
static void read_labels(const ldm_infer_scope *s, ldm_infer_unet *u)
{
    const ldm_tensor_info *table = ldm_infer_look(s, "label_emb.weight");

    u->continuous_classes = table && ldm_infer_look(s, "label_emb.bias");
    u->num_classes = u->continuous_classes ? 0 : ldm_infer_dim(table, 0);
    u->adm = ldm_infer_dim(ldm_infer_look(s, "label_emb.0.0.weight"), 1);
}

void ldm_infer_read_unet(const ldm_infer_scope *s, ldm_infer_unet *u)
{
    const ldm_tensor_info *first = ldm_infer_look(s, "input_blocks.0.0.weight");

    u->model_channels = ldm_infer_dim(first, 0);
    u->in_channels = ldm_infer_dim(first, 1);
    u->dims = first && first->ndim >= 3 ? first->ndim - 2 : 2;
    u->n_embed = ldm_infer_dim(ldm_infer_look(s, "id_predictor.1.weight"), 0);
    u->out_channels = ldm_infer_dim(ldm_infer_look(s, "out.2.weight"), 0);
    u->scale_shift =
        ldm_infer_dim(ldm_infer_look(s, "input_blocks.1.0.emb_layers.1.weight"), 0) ==
        2 * ldm_infer_dim(ldm_infer_look(s, "input_blocks.1.0.out_layers.3.weight"), 0);
    if (!u->model_channels)
        return;
    read_levels(s, u);
    read_transformers(s, u);
    read_labels(s, u);
}
