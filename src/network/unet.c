/* UNetModel (ldm/modules/diffusionmodules/openaimodel.py), without the spatial transformer: the
 * constructor's rules for channels and heads, and forward(). Module numbers follow the original's
 * nn.Sequential, since they are the names in a checkpoint. */
#include <stddef.h>
#include <stdio.h>

#include "network/registry.h"

enum {
    PATH_MAX_LEN = 128,
    JOIN_MAX_LEN = 192,
    MAX_SKIPS = LDM_MAX_LEVELS * 65 + 1,
    MAX_CHANNELS = 1 << 15
};

static const double NORM_EPS = 1e-5;

static const ldm_input FEATURE = {
    .name = "feature",
    .depends = LDM_DEPENDS_X | LDM_DEPENDS_TIME | LDM_DEPENDS_COND,
    .channels_last = true,
};

/* What ResBlock.__init__ calls up and down. */
typedef enum resample { RESAMPLE_NONE, RESAMPLE_UP, RESAMPLE_DOWN } resample;

/* State of one walk through the constructor. */
typedef struct walk {
    ldm_builder *b;
    const ldm_unet_config *u;
    int emb; /* silu(time_embed(t)), which every emb_layers starts from */
    int emb_dim;
    bool shallow; /* only the outermost LDM_SHALLOW_BLOCKS input and output blocks */
    int feature;  /* value that enters these output blocks */
} walk;

static const char *join(char *buf, const char *path, const char *leaf)
{
    snprintf(buf, JOIN_MAX_LEN, "%s.%s", path, leaf);
    return buf;
}

static int resample_plain(walk *k, resample how, int x, int c)
{
    if (how == RESAMPLE_NONE)
        return x;
    return ldm_b_unary(k->b, how == RESAMPLE_UP ? LDM_OP_UPSAMPLE : LDM_OP_AVG_POOL, x, c);
}

/* ResBlock: in_layers, emb_layers, out_layers, skip_connection. */
static int res_block(walk *k, const char *path, int x, int cin, int cout, resample how)
{
    char buf[JOIN_MAX_LEN];
    ldm_builder *b = k->b;
    bool scale_shift = k->u->use_scale_shift_norm;
    int h, e;

    h = ldm_b_norm(b, join(buf, path, "in_layers.0"), x, cin, NORM_EPS);
    h = ldm_b_unary(b, LDM_OP_SILU, h, cin);
    h = resample_plain(k, how, h, cin);
    x = resample_plain(k, how, x, cin);
    h = ldm_b_conv(b, join(buf, path, "in_layers.2"), h, cin, cout, 3);
    e = ldm_b_linear(b, join(buf, path, "emb_layers.1"), k->emb, k->emb_dim,
                     scale_shift ? 2 * cout : cout);
    if (!scale_shift)
        h = ldm_b_add_vector(b, h, e, cout);
    h = ldm_b_norm(b, join(buf, path, "out_layers.0"), h, cout, NORM_EPS);
    if (scale_shift)
        h = ldm_b_scale_shift(b, h, e, cout);
    h = ldm_b_unary(b, LDM_OP_SILU, h, cout);
    h = ldm_b_conv(b, join(buf, path, "out_layers.3"), h, cout, cout, 3);
    ldm_b_zero(b);
    if (cin != cout)
        x = ldm_b_conv(b, join(buf, path, "skip_connection"), x, cin, cout, 1);
    return ldm_b_add(b, x, h, cout);
}

/* Heads of an AttentionBlock, by the constructor's rules. With `legacy` the block is given
 * num_head_channels as it stands; without, dim_head = ch // num_heads, and so num_heads_upsample
 * counts only in the legacy case. 0 where the original's assertion fails. */
static int head_count(const ldm_unet_config *u, int ch, bool output_block)
{
    int dim = u->num_head_channels;

    if (dim == -1 && !u->legacy)
        dim = ch / u->num_heads;
    if (dim != -1)
        return dim > 0 && ch % dim == 0 ? ch / dim : 0;
    if (output_block && u->num_heads_upsample != -1)
        return u->num_heads_upsample;
    return u->num_heads;
}

static int attention_block(walk *k, const char *path, int x, int ch, bool output_block)
{
    char buf[JOIN_MAX_LEN];
    ldm_builder *b = k->b;
    int heads = head_count(k->u, ch, output_block), h;

    if (heads < 1 || ch % heads) {
        if (!b->st)
            b->st = ldm_error_set(b->err, LDM_ERR_CONFIG,
                                  "%s: %d channels cannot be split into %d attention heads "
                                  "(num_heads %d, num_head_channels %d); every attention level's "
                                  "channels must be a multiple",
                                  path, ch, heads, k->u->num_heads, k->u->num_head_channels);
        return 0;
    }
    h = ldm_b_norm(b, join(buf, path, "norm"), x, ch, NORM_EPS);
    h = ldm_b_conv1d(b, join(buf, path, "qkv"), h, ch, 3 * ch);
    h = ldm_b_attention_qkv(b, h, ch, heads, !k->u->use_new_attention_order);
    h = ldm_b_conv1d(b, join(buf, path, "proj_out"), h, ch, ch);
    ldm_b_zero(b);
    return ldm_b_add(b, x, h, ch);
}

static bool attends(const ldm_unet_config *u, int ds)
{
    int i;

    for (i = 0; i < u->attention_resolutions.count; i++) {
        if (u->attention_resolutions.items[i] == ds)
            return true;
    }
    return false;
}

static int down_block(walk *k, int block, int x, int ch)
{
    char path[PATH_MAX_LEN], buf[JOIN_MAX_LEN];

    snprintf(path, sizeof path, "input_blocks.%d.0", block);
    if (k->u->resblock_updown)
        return res_block(k, path, x, ch, ch, RESAMPLE_DOWN);
    if (!k->u->conv_resample)
        return ldm_b_unary(k->b, LDM_OP_AVG_POOL, x, ch);
    return ldm_b_conv_down(k->b, join(buf, path, "op"), x, ch, ch, true);
}

static int up_layer(walk *k, const char *path, int x, int ch)
{
    char buf[JOIN_MAX_LEN];

    if (k->u->resblock_updown)
        return res_block(k, path, x, ch, ch, RESAMPLE_UP);
    x = ldm_b_unary(k->b, LDM_OP_UPSAMPLE, x, ch);
    return k->u->conv_resample ? ldm_b_conv(k->b, join(buf, path, "conv"), x, ch, ch, 3) : x;
}

typedef struct skip_stack {
    int value[MAX_SKIPS], ch[MAX_SKIPS], count;
} skip_stack;

static void push(skip_stack *s, int value, int ch)
{
    s->value[s->count] = value;
    s->ch[s->count++] = ch;
}

/* The outermost input blocks are the first ones, the outermost output blocks the last ones. */
static bool left_out(const walk *k, int outer)
{
    return k->shallow && outer >= LDM_SHALLOW_BLOCKS;
}

/* *ch and *ds are the channels and the downsampling of the middle block's input, even if the blocks
 * before it are left out. */
static int input_blocks(walk *k, int x, skip_stack *skips, int *ch, int *ds)
{
    const ldm_unet_config *u = k->u;
    char path[PATH_MAX_LEN];
    int block = 0, level, i, h;

    h = ldm_b_conv(k->b, "input_blocks.0.0", x, u->in_channels, u->model_channels, 3);
    ldm_b_dump(k->b, h, "input_blocks_%02d", block);
    *ch = u->model_channels;
    *ds = 1;
    push(skips, h, *ch);
    for (level = 0; level < u->channel_mult.count; level++) {
        int out = u->channel_mult.items[level] * u->model_channels;

        for (i = 0; i < u->num_res_blocks; i++) {
            block++;
            if (left_out(k, block)) {
                *ch = out;
                continue;
            }
            snprintf(path, sizeof path, "input_blocks.%d.0", block);
            h = res_block(k, path, h, *ch, out, RESAMPLE_NONE);
            *ch = out;
            if (attends(u, *ds)) {
                snprintf(path, sizeof path, "input_blocks.%d.1", block);
                h = attention_block(k, path, h, *ch, false);
            }
            ldm_b_dump(k->b, h, "input_blocks_%02d", block);
            push(skips, h, *ch);
        }
        if (level != u->channel_mult.count - 1) {
            block++;
            *ds *= 2;
            if (left_out(k, block))
                continue;
            h = down_block(k, block, h, *ch);
            ldm_b_dump(k->b, h, "input_blocks_%02d", block);
            push(skips, h, *ch);
        }
    }
    return h;
}

static int output_blocks(walk *k, int h, skip_stack *skips, int ch, int ds)
{
    const ldm_unet_config *u = k->u;
    char path[PATH_MAX_LEN];
    int blocks = u->channel_mult.count * (u->num_res_blocks + 1), block = 0, level, i;

    for (level = u->channel_mult.count - 1; level >= 0; level--) {
        int out = u->channel_mult.items[level] * u->model_channels;

        for (i = 0; i <= u->num_res_blocks; i++, block++) {
            int layer = 0, outer = blocks - 1 - block, ich;

            if (left_out(k, outer)) {
                ch = out;
                if (level && i == u->num_res_blocks)
                    ds /= 2;
                continue;
            }
            ich = skips->ch[--skips->count];
            if (outer == LDM_SHALLOW_BLOCKS - 1) {
                int skip = skips->value[skips->count];

                if (k->shallow)
                    h = ldm_b_input(k->b, FEATURE, ch, ldm_b_height(k->b, skip),
                                    ldm_b_width(k->b, skip));
                k->feature = h;
            }
            h = ldm_b_concat(k->b, h, ch, skips->value[skips->count], ich);
            snprintf(path, sizeof path, "output_blocks.%d.%d", block, layer++);
            h = res_block(k, path, h, ch + ich, out, RESAMPLE_NONE);
            ch = out;
            if (attends(u, ds)) {
                snprintf(path, sizeof path, "output_blocks.%d.%d", block, layer++);
                h = attention_block(k, path, h, ch, true);
            }
            if (level && i == u->num_res_blocks) {
                snprintf(path, sizeof path, "output_blocks.%d.%d", block, layer);
                h = up_layer(k, path, h, ch);
                ds /= 2;
            }
            ldm_b_dump(k->b, h, "output_blocks_%02d", block);
        }
    }
    return h;
}

/* forward(). *feature: the value that enters the outermost output blocks: computed, or with
 * `shallow` made as an input in the place of everything that leads to it. */
static int forward(ldm_builder *b, const ldm_unet_config *u, int x, int t, bool shallow,
                   int *feature)
{
    walk k = {.b = b, .u = u, .emb_dim = 4 * u->model_channels, .shallow = shallow, .feature = -1};
    skip_stack skips = {.count = 0};
    int h, e, ch, ds;

    ldm_b_use(b, LDM_USED_UNET);
    e = ldm_b_timestep_embed(b, t, u->model_channels);
    e = ldm_b_linear(b, "time_embed.0", e, u->model_channels, k.emb_dim);
    e = ldm_b_unary(b, LDM_OP_SILU, e, k.emb_dim);
    e = ldm_b_linear(b, "time_embed.2", e, k.emb_dim, k.emb_dim);
    k.emb = ldm_b_unary(b, LDM_OP_SILU, e, k.emb_dim);

    h = input_blocks(&k, x, &skips, &ch, &ds);

    if (!shallow) {
        h = res_block(&k, "middle_block.0", h, ch, ch, RESAMPLE_NONE);
        h = attention_block(&k, "middle_block.1", h, ch, false);
        h = res_block(&k, "middle_block.2", h, ch, ch, RESAMPLE_NONE);
        ldm_b_dump(b, h, "middle_block");
    }

    h = output_blocks(&k, h, &skips, ch, ds);
    *feature = k.feature;

    ch = u->channel_mult.items[0] * u->model_channels;
    h = ldm_b_norm(b, "out.0", h, ch, NORM_EPS);
    h = ldm_b_unary(b, LDM_OP_SILU, h, ch);
    h = ldm_b_conv(b, "out.2", h, u->model_channels, u->out_channels, 3);
    ldm_b_zero(b);
    ldm_b_dump(b, h, "eps");
    return h;
}

static void declare(ldm_builder *b, const void *config)
{
    int feature;

    forward(b, config, 0, 0, false, &feature);
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, int h, int w)
{
    const ldm_input time = {.name = "t", .depends = LDM_DEPENDS_TIME};
    const ldm_unet_config *u = config;
    bool shallow = part == LDM_GRAPH_UNET_SHALLOW;
    int x = ldm_b_input_x(b, u->in_channels, h, w), t = ldm_b_input(b, time, 1, 1, 1);
    int feature, out = forward(b, u, x, t, shallow, &feature);

    if (!shallow)
        b->graph->feature = feature;
    return out;
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define SHAPE LDM_EFFECT_SHAPE
#define SILENT LDM_EFFECT_SILENT
#define U(field) offsetof(ldm_unet_config, field)
static const ldm_param_row rows[] = {
    {"image_size", LDM_PARAM_EXTENT, U(image_size), SILENT, true},
    {"in_channels", LDM_PARAM_INT, U(in_channels), SHAPE, true},
    {"model_channels", LDM_PARAM_INT, U(model_channels), SHAPE, true},
    {"out_channels", LDM_PARAM_INT, U(out_channels), SHAPE, true},
    {"num_res_blocks", LDM_PARAM_INT, U(num_res_blocks), SHAPE, true},
    {"attention_resolutions", LDM_PARAM_INTS, U(attention_resolutions), SHAPE, true},
    {"channel_mult", LDM_PARAM_INTS, U(channel_mult), SHAPE, false},
    {"conv_resample", LDM_PARAM_BOOL, U(conv_resample), SHAPE, false},
    {"dims", LDM_PARAM_INT, U(dims), SHAPE, false},
    {"num_classes", LDM_PARAM_INT, U(num_classes), SHAPE, false},
    {"num_heads", LDM_PARAM_INT, U(num_heads), SILENT, false},
    {"num_head_channels", LDM_PARAM_INT, U(num_head_channels), SILENT, false},
    {"num_heads_upsample", LDM_PARAM_INT, U(num_heads_upsample), SILENT, false},
    {"use_scale_shift_norm", LDM_PARAM_BOOL, U(use_scale_shift_norm), SHAPE, false},
    {"resblock_updown", LDM_PARAM_BOOL, U(resblock_updown), SHAPE, false},
    {"use_new_attention_order", LDM_PARAM_BOOL, U(use_new_attention_order), SILENT, false},
    {"use_spatial_transformer", LDM_PARAM_BOOL, U(use_spatial_transformer), SHAPE, false},
    {"context_dim", LDM_PARAM_INT, U(context_dim), SHAPE, false},
    {"n_embed", LDM_PARAM_INT, U(n_embed), SHAPE, false},
    {"legacy", LDM_PARAM_BOOL, U(legacy), SILENT, false},
    LDM_PARAM_SKIP("dropout"),
    LDM_PARAM_SKIP("use_checkpoint"),
    LDM_PARAM_SKIP("use_fp16"),
    LDM_PARAM_SKIP("transformer_depth"),
};
#undef U

static ldm_status validate(const ldm_unet_config *u, const ldm_value *at, ldm_error *err)
{
    int i;

    if (u->dims != 2)
        return ldm_params_bad(at, err, "dims", "2 (ldm computes pictures)", u->dims);
    if (u->use_spatial_transformer)
        return ldm_params_unsupported(
            at, err, "use_spatial_transformer",
            "is true: of UNets ldm computes those without spatial transformers (cross-attention)");
    if (u->context_dim != -1)
        return ldm_params_bad(at, err, "context_dim",
                              "null: the original demands use_spatial_transformer with it",
                              u->context_dim);
    if (u->num_classes != -1)
        return ldm_params_unsupported(at, err, "num_classes",
                                      "is set: of UNets ldm computes those without class embedding "
                                      "(label_emb); null leaves it out");
    if (u->n_embed != -1)
        return ldm_params_unsupported(at, err, "n_embed",
                                      "is set: of UNets ldm computes those that give eps, not "
                                      "codebook entries (id_predictor); null leaves it out");
    if (u->num_heads == -1 && u->num_head_channels == -1)
        return ldm_value_error(at, err,
                               "neither num_heads nor num_head_channels is set; the original "
                               "demands one: its checkpoint was trained with it");
    if (u->num_heads != -1 && u->num_heads < 1)
        return ldm_params_bad(at, err, "num_heads", "at least 1 (or -1 for unset)", u->num_heads);
    if (u->num_head_channels != -1 && u->num_head_channels < 1)
        return ldm_params_bad(at, err, "num_head_channels", "at least 1 (or -1 for unset)",
                              u->num_head_channels);
    if (u->num_heads_upsample != -1 && u->num_heads_upsample < 1)
        return ldm_params_bad(at, err, "num_heads_upsample", "at least 1 (or -1 for unset)",
                              u->num_heads_upsample);
    if (u->model_channels < 1 || u->model_channels > MAX_CHANNELS || u->model_channels % 32)
        return ldm_params_bad(at, err, "model_channels",
                              "a multiple of 32 (GroupNorm has 32 groups)", u->model_channels);
    if (u->in_channels < 1 || u->in_channels > MAX_CHANNELS)
        return ldm_params_bad(at, err, "in_channels", "1 to 32768", u->in_channels);
    if (u->out_channels < 1 || u->out_channels > MAX_CHANNELS)
        return ldm_params_bad(at, err, "out_channels", "1 to 32768", u->out_channels);
    if (u->num_res_blocks < 1 || u->num_res_blocks > 64)
        return ldm_params_bad(at, err, "num_res_blocks", "1 to 64", u->num_res_blocks);
    if (u->image_size.h < 1 || u->image_size.h > 4096)
        return ldm_params_bad(at, err, "image_size", "1 to 4096", u->image_size.h);
    if (u->image_size.w < 1 || u->image_size.w > 4096)
        return ldm_params_bad(at, err, "image_size", "1 to 4096", u->image_size.w);
    if (!u->channel_mult.count)
        return ldm_value_error(at, err,
                               "channel_mult is an empty list, expected one number a level");
    for (i = 0; i < u->channel_mult.count; i++) {
        int m = u->channel_mult.items[i];

        if (m < 1 || m > MAX_CHANNELS / u->model_channels)
            return ldm_params_bad(at, err, "channel_mult",
                                  "positive multipliers below 32768 channels", m);
    }
    if (u->channel_mult.items[0] != 1)
        return ldm_params_bad(at, err, "channel_mult",
                              "to begin with 1: the original's output layer takes model_channels",
                              u->channel_mult.items[0]);
    return LDM_OK;
}

static void mark_effects(ldm_network *s)
{
    const ldm_unet_config *u = &s->unet;

    if (u->num_head_channels != -1) {
        ldm_params_mark(s, "model.params.unet_config.params.num_heads",
                        "num_head_channels is set and wins");
        ldm_params_mark(s, "model.params.unet_config.params.num_heads_upsample",
                        "num_head_channels is set and wins");
    } else if (!u->legacy) {
        ldm_params_mark(s, "model.params.unet_config.params.num_heads_upsample",
                        "with legacy: false every block takes num_heads");
    }
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    ldm_unet_config *u = &r->network->unet;
    ldm_status st;

    *u = (ldm_unet_config){
        .channel_mult = {4, {1, 2, 4, 8}},
        .conv_resample = true,
        .legacy = true,
        .dims = 2,
        .num_classes = -1,
        .num_heads = -1,
        .num_head_channels = -1,
        .num_heads_upsample = -1,
        .context_dim = -1,
        .n_embed = -1,
    };
    st = ldm_params_read(r, m->at, m->params, m->path, &table, u);
    if (!st)
        st = validate(u, m->params, r->err);
    if (!st)
        mark_effects(r->network);
    return st;
}

const ldm_network_part ldm_part_unet = {LDM_ROLE_UNET, read, declare, build};
