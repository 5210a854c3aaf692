/* SPDX-License-Identifier: MIT */
/* Encoder and Decoder (ldm/modules/diffusionmodules/model.py). */
#include "network/autoencoder.h"

#include <stdio.h>
#include <string.h>

enum { PATH_MAX_LEN = 128, JOIN_MAX_LEN = 192, MAX_CHANNELS = 1 << 15 };

static const double NORM_EPS = 1e-6;

static const char *join(char *buf, const char *path, const char *leaf)
{
    snprintf(buf, JOIN_MAX_LEN, "%s.%s", path, leaf);
    return buf;
}

static int norm_silu(ldm_builder *b, const char *path, int x, int c)
{
    return ldm_b_unary(b, LDM_OP_SILU, ldm_b_norm(b, path, x, c, NORM_EPS), c);
}

/* ResnetBlock with temb_channels 0. */
static int resnet_block(ldm_builder *b, const char *path, int x, int cin, int cout)
{
    char buf[JOIN_MAX_LEN];
    int h;

    h = norm_silu(b, join(buf, path, "norm1"), x, cin);
    h = ldm_b_conv(b, join(buf, path, "conv1"), h, cin, cout, 3);
    h = norm_silu(b, join(buf, path, "norm2"), h, cout);
    h = ldm_b_conv(b, join(buf, path, "conv2"), h, cout, cout, 3);
    if (cin != cout)
        x = ldm_b_conv(b, join(buf, path, "nin_shortcut"), x, cin, cout, 1);
    return ldm_b_add(b, x, h, cout);
}

/* make_attn: AttnBlock, one head over all channels; nn.Identity with attn_type none. */
static int attn_block(ldm_builder *b, const ldm_autoencoder_config *v, const char *path, int x,
                      int c)
{
    char buf[JOIN_MAX_LEN];
    int h, q, k, val;

    if (strcmp(v->attn_type, "none") == 0)
        return x;
    h = ldm_b_norm(b, join(buf, path, "norm"), x, c, NORM_EPS);
    q = ldm_b_conv(b, join(buf, path, "q"), h, c, c, 1);
    k = ldm_b_conv(b, join(buf, path, "k"), h, c, c, 1);
    val = ldm_b_conv(b, join(buf, path, "v"), h, c, c, 1);
    h = ldm_b_attention(b, q, k, val, c, 1);
    h = ldm_b_conv(b, join(buf, path, "proj_out"), h, c, c, 1);
    return ldm_b_add(b, x, h, c);
}

static bool attends(const ldm_autoencoder_config *v, int resolution)
{
    int i;

    for (i = 0; i < v->attn_resolutions.count; i++) {
        if (v->attn_resolutions.items[i] == resolution)
            return true;
    }
    return false;
}

/* One level of the encoder or decoder: `count` ResnetBlocks, each with its attention. state_dict()
 * lists all blocks of a level before its attentions, so declaring walks over the level twice. */
static int level_blocks(ldm_builder *b, const ldm_autoencoder_config *v, const char *level, int x,
                        int cin, int cout, int count, int resolution)
{
    char path[PATH_MAX_LEN];
    bool attn = attends(v, resolution), declaring = !b->graph;
    int i;

    for (i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s.block.%d", level, i);
        x = resnet_block(b, path, x, i ? cout : cin, cout);
        if (attn && !declaring) {
            snprintf(path, sizeof path, "%s.attn.%d", level, i);
            x = attn_block(b, v, path, x, cout);
        }
    }
    for (i = 0; attn && declaring && i < count; i++) {
        snprintf(path, sizeof path, "%s.attn.%d", level, i);
        attn_block(b, v, path, x, cout);
    }
    return x;
}

static int mid(ldm_builder *b, const ldm_autoencoder_config *v, const char *half, int x, int c)
{
    char path[PATH_MAX_LEN];

    snprintf(path, sizeof path, "%s.mid.block_1", half);
    x = resnet_block(b, path, x, c, c);
    snprintf(path, sizeof path, "%s.mid.attn_1", half);
    x = attn_block(b, v, path, x, c);
    snprintf(path, sizeof path, "%s.mid.block_2", half);
    return resnet_block(b, path, x, c, c);
}

static int level_channels(const ldm_autoencoder_config *v, int level)
{
    return v->ch * v->ch_mult.items[level];
}

int ldm_autoencoder_encode(ldm_builder *b, const ldm_autoencoder_config *v, int x)
{
    char path[PATH_MAX_LEN], buf[JOIN_MAX_LEN];
    int levels = v->ch_mult.count, level, c = v->ch, resolution = v->resolution;

    x = ldm_b_conv(b, "encoder.conv_in", x, v->in_channels, c, 3);
    ldm_b_dump(b, x, "encoder_conv_in");
    for (level = 0; level < levels; level++) {
        snprintf(path, sizeof path, "encoder.down.%d", level);
        x = level_blocks(b, v, path, x, c, level_channels(v, level), v->num_res_blocks, resolution);
        c = level_channels(v, level);
        if (level != levels - 1) {
            x = v->resamp_with_conv
                    ? ldm_b_conv_down(b, join(buf, path, "downsample.conv"), x, c, c, false)
                    : ldm_b_unary(b, LDM_OP_AVG_POOL, x, c);
            resolution /= 2;
        }
        ldm_b_dump(b, x, "encoder_down_%d", level);
    }
    x = mid(b, v, "encoder", x, c);
    ldm_b_dump(b, x, "encoder_mid");
    x = norm_silu(b, "encoder.norm_out", x, c);
    x = ldm_b_conv(b, "encoder.conv_out", x, c, v->double_z ? 2 * v->z_channels : v->z_channels, 3);
    ldm_b_dump(b, x, "encoder_out");
    return x;
}

static int decoder_level(ldm_builder *b, const ldm_autoencoder_config *v, int level, int x)
{
    char path[PATH_MAX_LEN], buf[JOIN_MAX_LEN];
    int levels = v->ch_mult.count, c = level_channels(v, level);
    int cin = level_channels(v, level < levels - 1 ? level + 1 : level);
    /* Counts up from the coarsest level, as in the original; the decoder's sizes need not be the
     * encoder's. */
    int resolution = (v->resolution >> (levels - 1)) << (levels - 1 - level);

    snprintf(path, sizeof path, "decoder.up.%d", level);
    x = level_blocks(b, v, path, x, cin, c, v->num_res_blocks + 1, resolution);
    if (level) {
        x = ldm_b_unary(b, LDM_OP_UPSAMPLE, x, c);
        if (v->resamp_with_conv)
            x = ldm_b_conv(b, join(buf, path, "upsample.conv"), x, c, c, 3);
    }
    ldm_b_dump(b, x, "decoder_up_%d", level);
    return x;
}

int ldm_autoencoder_decode(ldm_builder *b, const ldm_autoencoder_config *v, int x)
{
    int levels = v->ch_mult.count, c = level_channels(v, levels - 1), i;

    x = ldm_b_conv(b, "decoder.conv_in", x, v->z_channels, c, 3);
    ldm_b_dump(b, x, "decoder_conv_in");
    x = mid(b, v, "decoder", x, c);
    ldm_b_dump(b, x, "decoder_mid");
    /* Run from the coarsest level; listed from the finest (the original inserts at the front). */
    for (i = 0; i < levels; i++)
        x = decoder_level(b, v, b->graph ? levels - 1 - i : i, x);
    if (v->give_pre_end)
        return x;
    c = level_channels(v, 0);
    x = norm_silu(b, "decoder.norm_out", x, c);
    x = ldm_b_conv(b, "decoder.conv_out", x, c, v->out_ch, 3);
    if (v->tanh_out)
        x = ldm_b_unary(b, LDM_OP_TANH, x, v->out_ch);
    ldm_b_dump(b, x, "decoder_out");
    return x;
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define SHAPE LDM_EFFECT_SHAPE
#define SILENT LDM_EFFECT_SILENT
#define A(field) offsetof(ldm_autoencoder_config, field)
static const ldm_param_row rows[] = {
    {"ch", LDM_PARAM_INT, A(ch), SHAPE, true},
    {"out_ch", LDM_PARAM_INT, A(out_ch), SHAPE, true},
    {"ch_mult", LDM_PARAM_INTS, A(ch_mult), SHAPE, false},
    {"num_res_blocks", LDM_PARAM_INT, A(num_res_blocks), SHAPE, true},
    {"attn_resolutions", LDM_PARAM_INTS, A(attn_resolutions), SHAPE, true},
    {"resamp_with_conv", LDM_PARAM_BOOL, A(resamp_with_conv), SHAPE, false},
    {"in_channels", LDM_PARAM_INT, A(in_channels), SHAPE, true},
    {"resolution", LDM_PARAM_INT, A(resolution), SHAPE, true},
    {"z_channels", LDM_PARAM_INT, A(z_channels), SHAPE, true},
    {"double_z", LDM_PARAM_BOOL, A(double_z), SHAPE, false},
    {"give_pre_end", LDM_PARAM_BOOL, A(give_pre_end), SILENT, false},
    {"tanh_out", LDM_PARAM_BOOL, A(tanh_out), SILENT, false},
    {"use_linear_attn", LDM_PARAM_BOOL, A(use_linear_attn), SHAPE, false},
    {"attn_type", LDM_PARAM_STRING, A(attn_type), SHAPE, false},
    LDM_PARAM_SKIP("dropout"),
};
#undef A

static ldm_status validate(const ldm_autoencoder_config *v, const ldm_value *at, ldm_error *err)
{
    int i;

    if (v->ch < 1 || v->ch > MAX_CHANNELS || v->ch % 32)
        return ldm_params_bad(at, err, "ddconfig.ch", "a multiple of 32 (GroupNorm has 32 groups)",
                              v->ch);
    if (v->out_ch < 1 || v->out_ch > 4096)
        return ldm_params_bad(at, err, "ddconfig.out_ch", "1 to 4096", v->out_ch);
    if (v->in_channels < 1 || v->in_channels > 4096)
        return ldm_params_bad(at, err, "ddconfig.in_channels", "1 to 4096", v->in_channels);
    if (v->z_channels < 1 || v->z_channels > 4096)
        return ldm_params_bad(at, err, "ddconfig.z_channels", "1 to 4096", v->z_channels);
    if (v->resolution < 1 || v->resolution > 1 << 16)
        return ldm_params_bad(at, err, "ddconfig.resolution", "1 to 65536", v->resolution);
    if (v->num_res_blocks < 1 || v->num_res_blocks > 64)
        return ldm_params_bad(at, err, "ddconfig.num_res_blocks", "1 to 64", v->num_res_blocks);
    if (!v->ch_mult.count)
        return ldm_value_error(at, err, "ddconfig.ch_mult is empty, expected one number a level");
    for (i = 0; i < v->ch_mult.count; i++) {
        int m = v->ch_mult.items[i];

        if (m < 1 || m > MAX_CHANNELS / v->ch)
            return ldm_params_bad(at, err, "ddconfig.ch_mult",
                                  "positive multipliers below 32768 channels", m);
    }
    if (v->give_pre_end) {
        ldm_value_error(at, err,
                        "ddconfig.give_pre_end is true: the decoder would end before its "
                        "picture; set it to false");
        return LDM_ERR_CONFIG;
    }
    if (v->use_linear_attn || (strcmp(v->attn_type, "vanilla") && strcmp(v->attn_type, "none"))) {
        ldm_value_error(at, err, "ddconfig.attn_type is %s, expected vanilla or none",
                        v->use_linear_attn ? "linear (use_linear_attn)" : v->attn_type);
        if (err)
            err->code = LDM_ERR_UNSUPPORTED;
        return LDM_ERR_UNSUPPORTED;
    }
    return LDM_OK;
}

ldm_status ldm_autoencoder_read(ldm_param_reader *r, const ldm_module *m, ldm_autoencoder_config *v)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    const ldm_value *dd = ldm_value_find(m->params, "ddconfig");
    const char *path = ldm_arena_printf(r->network->priv->arena, "%s.ddconfig", m->path);
    ldm_status st;

    if (!path)
        return ldm_error_nomem(r->err, 0, "the network's description");
    *v = (ldm_autoencoder_config){
        .ch_mult = {4, {1, 2, 4, 8}},
        .double_z = true,
        .resamp_with_conv = true,
        .attn_type = "vanilla",
    };
    st = ldm_params_read(r, dd, dd, path, &table, v);
    if (!st && !v->attn_type)
        st = ldm_value_error(ldm_value_find(dd, "attn_type"), r->err,
                             "is null, expected vanilla or none");
    return st ? st : validate(v, m->params, r->err);
}

void ldm_autoencoder_describe(const ldm_autoencoder_config *v, ldm_first_stage *f)
{
    f->in_channels = v->in_channels;
    f->out_channels = v->out_ch;
    f->resolution = v->resolution;
    f->factor = 1 << (v->ch_mult.count - 1);
}
