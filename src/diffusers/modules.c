/* SPDX-License-Identifier: MIT */
/* The table of names; see modules.h. diffusers' are those of its UNet2DModel, UNet2DConditionModel,
 * AutoencoderKL and VQModel (src/diffusers/models), transformers' CLIPTextModel and LDMBertModel.
 */
#include "diffusers/modules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static const ldm_inner res_rows[] = {
    {"norm1", "in_layers.0", 0, 0},
    {"conv1", "in_layers.2", 0, 0},
    {"time_emb_proj", "emb_layers.1", 0, 0},
    {"norm2", "out_layers.0", 0, 0},
    {"conv2", "out_layers.3", 0, 0},
    {"conv_shortcut", "skip_connection", 0, 0},
    {NULL, NULL, 0, 0},
};
static const ldm_inner attention_rows[] = {
    {"group_norm", "norm", 0, 0}, {"to_q", "qkv", 1, 1},          {"to_k", "qkv", 1, 2},
    {"to_v", "qkv", 1, 3},        {"to_out.0", "proj_out", 1, 0}, {"query", "qkv", 1, 1},
    {"key", "qkv", 1, 2},         {"value", "qkv", 1, 3},         {"proj_attn", "proj_out", 1, 0},
    {NULL, NULL, 0, 0},
};
static const ldm_inner stage_res_rows[] = {
    {"norm1", "norm1", 0, 0},
    {"conv1", "conv1", 0, 0},
    {"norm2", "norm2", 0, 0},
    {"conv2", "conv2", 0, 0},
    {"conv_shortcut", "nin_shortcut", 0, 0},
    {NULL, NULL, 0, 0},
};
static const ldm_inner stage_attention_rows[] = {
    {"group_norm", "norm", 0, 0},
    {"to_q", "q", 2, 0},
    {"to_k", "k", 2, 0},
    {"to_v", "v", 2, 0},
    {"to_out.0", "proj_out", 2, 0},
    {"query", "q", 2, 0},
    {"key", "k", 2, 0},
    {"value", "v", 2, 0},
    {"proj_attn", "proj_out", 2, 0},
    {NULL, NULL, 0, 0},
};
static const ldm_inner clip_rows[] = {
    {"layer_norm1", "ln_1", 0, 0},
    {"layer_norm2", "ln_2", 0, 0},
    {"mlp.fc1", "mlp.c_fc", 0, 0},
    {"mlp.fc2", "mlp.c_proj", 0, 0},
    {"self_attn.out_proj", "attn.out_proj", 0, 0},
    {"self_attn.q_proj", "attn.in_proj", 0, 1},
    {"self_attn.k_proj", "attn.in_proj", 0, 2},
    {"self_attn.v_proj", "attn.in_proj", 0, 3},
    {NULL, NULL, 0, 0},
};
/* Rows before "|" belong to the layer's attention, those after it to its feed-forward. */
static const ldm_inner bert_rows[] = {
    {"self_attn_layer_norm", "0", 0, 0},
    {"self_attn.q_proj", "1.to_q", 0, 0},
    {"self_attn.k_proj", "1.to_k", 0, 0},
    {"self_attn.v_proj", "1.to_v", 0, 0},
    {"self_attn.out_proj", "1.to_out", 0, 0},
    {"final_layer_norm", "|0", 0, 0},
    {"fc1", "|1.net.0.0", 0, 0},
    {"fc2", "|1.net.2", 0, 0},
    {NULL, NULL, 0, 0},
};

const ldm_inner *ldm_module_rows(ldm_module_kind kind)
{
    static const ldm_inner *const rows[] = {
        [LDM_MODULE_PLAIN] = NULL,
        [LDM_MODULE_RES] = res_rows,
        [LDM_MODULE_ATTENTION] = attention_rows,
        [LDM_MODULE_STAGE_RES] = stage_res_rows,
        [LDM_MODULE_STAGE_ATTENTION] = stage_attention_rows,
        [LDM_MODULE_CLIP_LAYER] = clip_rows,
        [LDM_MODULE_BERT_LAYER] = bert_rows,
    };

    return rows[kind];
}

void ldm_modules_free(ldm_modules *m)
{
    ldm_free(m->items);
    *m = (ldm_modules){0};
}

/* ---- making the list ------------------------------------------------------------------------- */

static ldm_module *add(ldm_modules *m, ldm_module_kind kind, const char *theirs, const char *prefix,
                       const char *ours)
{
    ldm_module *item;

    if (!ldm_grow(&m->items, &m->cap, m->count + 1, sizeof *m->items)) {
        m->failed = true;
        return NULL;
    }
    item = &m->items[m->count++];
    item->kind = kind;
    item->level = -1;
    item->number = 0;
    snprintf(item->theirs, sizeof item->theirs, "%s", theirs);
    snprintf(item->ours, sizeof item->ours, "%s%s", prefix, ours);
    return item;
}

/* Of two names: down_blocks.A.resnets.B, and input_blocks.C.D. */
typedef struct numbers {
    int a, b, c, d;
} numbers;

static void add_at(ldm_modules *m, ldm_module_kind kind, int level, const char *prefix,
                   const char *theirs, const char *inner, const char *ours, numbers n)
{
    char left[LDM_MODULE_NAME], right[LDM_MODULE_NAME];
    ldm_module *item;

    snprintf(left, sizeof left, "%s.%d.%s.%d", theirs, n.a, inner, n.b);
    snprintf(right, sizeof right, "%s.%d.%d", ours, n.c, n.d);
    item = add(m, kind, left, prefix, right);
    if (item)
        item->level = level;
}

static void add_pairs(ldm_modules *m, const char *prefix, const char *const (*pairs)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(m, LDM_MODULE_PLAIN, pairs[i][0], prefix, pairs[i][1]);
}

static ldm_module_kind attention_kind(const ldm_part_shape *s)
{
    return s->transformers ? LDM_MODULE_PLAIN : LDM_MODULE_ATTENTION;
}

static void unet_down(ldm_modules *m, const ldm_part_shape *s, const char *prefix)
{
    for (int l = 0; l < s->levels; l++) {
        const int first = 1 + l * (s->blocks + 1), after = first + s->blocks;

        for (int b = 0; b < s->blocks; b++) {
            add_at(m, LDM_MODULE_RES, -1, prefix, "down_blocks", "resnets", "input_blocks",
                   (numbers){l, b, first + b, 0});
            if (s->attends >> l & 1U)
                add_at(m, attention_kind(s), l, prefix, "down_blocks", "attentions", "input_blocks",
                       (numbers){l, b, first + b, 1});
        }
        if (l == s->levels - 1)
            continue;
        if (s->updown) {
            add_at(m, LDM_MODULE_RES, -1, prefix, "down_blocks", "downsamplers", "input_blocks",
                   (numbers){l, 0, after, 0});
        } else {
            char left[LDM_MODULE_NAME], right[LDM_MODULE_NAME];

            snprintf(left, sizeof left, "down_blocks.%d.downsamplers.0.conv", l);
            snprintf(right, sizeof right, "input_blocks.%d.0.op", after);
            add(m, LDM_MODULE_PLAIN, left, prefix, right);
        }
    }
}

static void unet_up(ldm_modules *m, const ldm_part_shape *s, const char *prefix)
{
    for (int u = 0; u < s->levels; u++) {
        const int level = s->levels - 1 - u, first = u * (s->blocks + 1);
        const int last = first + s->blocks, at = s->attends >> level & 1U ? 2 : 1;

        for (int b = 0; b <= s->blocks; b++) {
            add_at(m, LDM_MODULE_RES, -1, prefix, "up_blocks", "resnets", "output_blocks",
                   (numbers){u, b, first + b, 0});
            if (s->attends >> level & 1U)
                add_at(m, attention_kind(s), level, prefix, "up_blocks", "attentions",
                       "output_blocks", (numbers){u, b, first + b, 1});
        }
        if (!level)
            continue;
        if (s->updown) {
            add_at(m, LDM_MODULE_RES, -1, prefix, "up_blocks", "upsamplers", "output_blocks",
                   (numbers){u, 0, last, at});
        } else {
            char left[LDM_MODULE_NAME], right[LDM_MODULE_NAME];

            snprintf(left, sizeof left, "up_blocks.%d.upsamplers.0.conv", u);
            snprintf(right, sizeof right, "output_blocks.%d.%d.conv", last, at);
            add(m, LDM_MODULE_PLAIN, left, prefix, right);
        }
    }
}

void ldm_modules_unet(ldm_modules *m, const ldm_part_shape *s, const char *prefix)
{
    static const char *const pairs[][2] = {
        {"conv_in", "input_blocks.0.0"},
        {"time_embedding.linear_1", "time_embed.0"},
        {"time_embedding.linear_2", "time_embed.2"},
        {"class_embedding", "label_emb"},
        {"conv_norm_out", "out.0"},
        {"conv_out", "out.2"},
    };
    ldm_module *middle;

    add_pairs(m, prefix, pairs, sizeof pairs / sizeof *pairs);
    unet_down(m, s, prefix);
    add(m, LDM_MODULE_RES, "mid_block.resnets.0", prefix, "middle_block.0");
    middle = add(m, attention_kind(s), "mid_block.attentions.0", prefix, "middle_block.1");
    if (middle)
        middle->level = s->levels - 1;
    add(m, LDM_MODULE_RES, "mid_block.resnets.1", prefix, "middle_block.2");
    unet_up(m, s, prefix);
}

static void stage_side(ldm_modules *m, const ldm_part_shape *s, const char *prefix, bool up)
{
    static const char *const kinds[][2] = {{"resnets", "block"}, {"attentions", "attn"}};
    char left[LDM_MODULE_NAME], right[LDM_MODULE_NAME];

    for (int l = 0; l < s->levels; l++) {
        const int level = up ? s->levels - 1 - l : l;

        for (int k = 0; k < 2; k++) {
            for (int b = 0; b < s->blocks + up; b++) {
                snprintf(left, sizeof left, "%s_blocks.%d.%s.%d",
                         up ? "decoder.up" : "encoder.down", l, kinds[k][0], b);
                snprintf(right, sizeof right, "%s.%d.%s.%d", up ? "decoder.up" : "encoder.down",
                         level, kinds[k][1], b);
                add(m, k ? LDM_MODULE_STAGE_ATTENTION : LDM_MODULE_STAGE_RES, left, prefix, right);
            }
        }
        snprintf(left, sizeof left,
                 up ? "decoder.up_blocks.%d.upsamplers.0.conv"
                    : "encoder.down_blocks.%d.downsamplers.0.conv",
                 l);
        snprintf(right, sizeof right,
                 up ? "decoder.up.%d.upsample.conv" : "encoder.down.%d.downsample.conv", level);
        add(m, LDM_MODULE_PLAIN, left, prefix, right);
    }
}

void ldm_modules_stage(ldm_modules *m, const ldm_part_shape *s, const char *prefix)
{
    static const char *const sides[] = {"encoder", "decoder"};
    static const char *const same[][2] = {
        {"quant_conv", "quant_conv"},
        {"post_quant_conv", "post_quant_conv"},
        {"quantize", "quantize"},
        {"encoder.conv_in", "encoder.conv_in"},
        {"encoder.conv_out", "encoder.conv_out"},
        {"encoder.conv_norm_out", "encoder.norm_out"},
        {"decoder.conv_in", "decoder.conv_in"},
        {"decoder.conv_out", "decoder.conv_out"},
        {"decoder.conv_norm_out", "decoder.norm_out"},
    };
    static const char *const inner[][2] = {{"resnets.0", "block_1"}, {"resnets.1", "block_2"}};
    char left[LDM_MODULE_NAME], right[LDM_MODULE_NAME];

    add_pairs(m, prefix, same, sizeof same / sizeof *same);
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 2; i++) {
            snprintf(left, sizeof left, "%s.mid_block.%s", sides[side], inner[i][0]);
            snprintf(right, sizeof right, "%s.mid.%s", sides[side], inner[i][1]);
            add(m, LDM_MODULE_STAGE_RES, left, prefix, right);
        }
        snprintf(left, sizeof left, "%s.mid_block.attentions.0", sides[side]);
        snprintf(right, sizeof right, "%s.mid.attn_1", sides[side]);
        add(m, LDM_MODULE_STAGE_ATTENTION, left, prefix, right);
        stage_side(m, s, prefix, side == 1);
    }
}

/* transformers wrote `text_model.` before all of it up to its version 4. */
void ldm_modules_clip(ldm_modules *m, const char *prefix)
{
    static const char *const pairs[][2] = {
        {"text_model", "transformer.text_model"},
        {"embeddings", "transformer.text_model.embeddings"},
        {"encoder", "transformer.text_model.encoder"},
        {"final_layer_norm", "transformer.text_model.final_layer_norm"},
    };

    add_pairs(m, prefix, pairs, sizeof pairs / sizeof *pairs);
}

void ldm_modules_open_clip(ldm_modules *m, int layers, const char *prefix)
{
    static const char *const pairs[][2] = {
        {"text_model.embeddings.token_embedding", "model.token_embedding"},
        {"text_model.embeddings.position_embedding", "model.positional_embedding"},
        {"text_model.final_layer_norm", "model.ln_final"},
        {"embeddings.token_embedding", "model.token_embedding"},
        {"embeddings.position_embedding", "model.positional_embedding"},
        {"final_layer_norm", "model.ln_final"},
    };
    static const char *const roots[] = {"text_model.", ""};
    char left[LDM_MODULE_NAME], right[LDM_MODULE_NAME];

    add_pairs(m, prefix, pairs, sizeof pairs / sizeof *pairs);
    for (int i = 0; i < 2 * layers; i++) {
        snprintf(left, sizeof left, "%sencoder.layers.%d", roots[i % 2], i / 2);
        snprintf(right, sizeof right, "model.transformer.resblocks.%d", i / 2);
        add(m, LDM_MODULE_CLIP_LAYER, left, prefix, right);
    }
}

void ldm_modules_classes(ldm_modules *m, const char *prefix)
{
    add(m, LDM_MODULE_PLAIN, "embedding", prefix, "embedding");
}

void ldm_modules_bert(ldm_modules *m, int layers, const char *prefix)
{
    static const char *const pairs[][2] = {
        {"model.embed_tokens", "transformer.token_emb"},
        {"model.embed_positions", "transformer.pos_emb.emb"},
        {"model.layer_norm", "transformer.norm"},
        {"to_logits", "transformer.to_logits"},
    };
    char left[LDM_MODULE_NAME];

    add_pairs(m, prefix, pairs, sizeof pairs / sizeof *pairs);
    for (int i = 0; i < layers; i++) {
        ldm_module *item;

        snprintf(left, sizeof left, "model.layers.%d", i);
        item = add(m, LDM_MODULE_BERT_LAYER, left, prefix, "transformer.attn_layers.layers");
        if (item)
            item->number = i;
    }
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* What follows `prefix` and a dot; NULL where name does not begin so. */
static const char *below(const char *name, const char *prefix)
{
    const size_t len = strlen(prefix);

    return !strncmp(name, prefix, len) && name[len] == '.' ? name + len + 1 : NULL;
}

static bool match_rows(const ldm_module *module, const char *rest, ldm_found_module *out)
{
    const ldm_inner *rows = ldm_module_rows(module->kind);

    for (; rows && rows->theirs; rows++) {
        const char *tail = below(rest, rows->theirs);

        if (tail) {
            *out = (ldm_found_module){module, rows, tail};
            return true;
        }
    }
    if (!rows)
        *out = (ldm_found_module){module, NULL, rest};
    return !rows;
}

bool ldm_modules_find(const ldm_modules *m, const char *theirs, ldm_found_module *out)
{
    for (size_t i = 0; i < m->count; i++) {
        const char *rest = below(theirs, m->items[i].theirs);

        if (rest && match_rows(&m->items[i], rest, out))
            return true;
    }
    return false;
}

/* "attn.in_proj" is followed by "_weight", other rows by a dot. */
static const char *after_row(const char *rest, const ldm_inner *row)
{
    const size_t len = strlen(row->ours);

    if (row->piece && !strcmp(row->ours, "attn.in_proj") && !strncmp(rest, row->ours, len) &&
        rest[len] == '_')
        return rest + len + 1;
    return below(rest, row->ours);
}

/* What follows a layer's number in "layers.7.1.to_q.weight": its attention has twice the module's
 * number, its feed-forward one more. *after: whether it is the latter. */
static const char *below_layer(const char *rest, int number, bool *after)
{
    char head[2][16];

    for (int k = 0; rest && k < 2; k++) {
        snprintf(head[k], sizeof head[k], "%d", 2 * number + k);
        if (below(rest, head[k])) {
            *after = k;
            return below(rest, head[k]);
        }
    }
    return NULL;
}

static bool match_layer(const ldm_module *module, const char *rest, ldm_found_module *out)
{
    const ldm_inner *row = ldm_module_rows(module->kind);
    bool after = false;

    rest = below_layer(rest, module->number, &after);
    for (; rest && row->theirs; row++) {
        const bool behind = *row->ours == '|';
        const char *tail = behind == after ? below(rest, row->ours + behind) : NULL;

        if (tail) {
            *out = (ldm_found_module){module, row, tail};
            return true;
        }
    }
    return false;
}

bool ldm_modules_find_ours(const ldm_modules *m, const char *ours, ldm_found_module *out)
{
    for (size_t i = 0; i < m->count; i++) {
        const ldm_module *module = &m->items[i];
        const ldm_inner *row = ldm_module_rows(module->kind);
        const char *rest = below(ours, module->ours);

        if (module->kind == LDM_MODULE_BERT_LAYER) {
            if (match_layer(module, rest, out))
                return true;
            continue;
        }
        if (!rest && !strcmp(ours, module->ours)) { /* a parameter: theirs is a module's weight */
            *out = (ldm_found_module){module, NULL, "weight"};
            return true;
        }
        if (rest && !row) {
            *out = (ldm_found_module){module, NULL, rest};
            return true;
        }
        for (; rest && row->theirs; row++) {
            const char *tail = after_row(rest, row);

            if (tail) {
                *out = (ldm_found_module){module, row, tail};
                return true;
            }
        }
    }
    return false;
}

void ldm_module_ours(const ldm_found_module *f, char *buf, size_t size)
{
    const ldm_module *module = f->module;
    const char *row = f->row ? f->row->ours : "";

    if (!f->row && strstr(module->ours, "positional_embedding")) /* a parameter, no module */
        snprintf(buf, size, "%s", module->ours);
    else if (!f->row)
        snprintf(buf, size, "%s.%s", module->ours, f->tail);
    else if (module->kind == LDM_MODULE_BERT_LAYER)
        snprintf(buf, size, "%s.%d.%s.%s", module->ours, 2 * module->number + (*row == '|'),
                 row + (*row == '|'), f->tail);
    else if (module->kind == LDM_MODULE_CLIP_LAYER && f->row->piece)
        snprintf(buf, size, "%s.%s_%s", module->ours, row, f->tail);
    else
        snprintf(buf, size, "%s.%s.%s", module->ours, row, f->tail);
}
