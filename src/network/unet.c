/* SPDX-License-Identifier: MIT */
/* UNetModel (ldm/modules/diffusionmodules/openaimodel.py): the constructor's rules for channels and
 * heads, and forward(). Module numbers follow the original's nn.Sequential, since they are the
 * names in a checkpoint. */
#include <stddef.h>
#include <stdio.h>

#include "network/registry.h"
#include "network/transformer.h"

enum { PATH_MAX_LEN = 128, MAX_SKIPS = LDM_MAX_LEVELS * 65 + 1, MAX_CHANNELS = 1 << 15 };

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
    int emb; /* silu(time_embed(t) + label_emb(y)), which every emb_layers starts from */
    int emb_dim;
    int context;  /* what spatial transformers read */
    bool shallow; /* only the outermost LDM_SHALLOW_BLOCKS input and output blocks */
    int feature;  /* value that enters these output blocks */
} walk;

static int resample_plain(walk *k, resample how, int x, int c)
{
    if (how == RESAMPLE_NONE)
        return x;
    return ldm_b_unary(k->b, how == RESAMPLE_UP ? LDM_OP_UPSAMPLE : LDM_OP_AVG_POOL, x, c);
}

/* ResBlock: in_layers, emb_layers, out_layers, skip_connection. */
static int res_block(walk *k, const char *path, int x, int cin, int cout, resample how)
{
    char buf[LDM_PATH_LEN];
    ldm_builder *b = k->b;
    bool scale_shift = k->u->use_scale_shift_norm;
    int h, e;

    h = ldm_b_norm(b, ldm_b_join(buf, path, "in_layers.0"), x, cin, NORM_EPS);
    h = ldm_b_unary(b, LDM_OP_SILU, h, cin);
    h = resample_plain(k, how, h, cin);
    x = resample_plain(k, how, x, cin);
    h = ldm_b_conv(b, ldm_b_join(buf, path, "in_layers.2"), h, cin, cout, 3);
    e = ldm_b_linear(b, ldm_b_join(buf, path, "emb_layers.1"), k->emb, k->emb_dim,
                     scale_shift ? 2 * cout : cout);
    if (!scale_shift)
        h = ldm_b_add_vector(b, h, e, cout);
    h = ldm_b_norm(b, ldm_b_join(buf, path, "out_layers.0"), h, cout, NORM_EPS);
    if (scale_shift)
        h = ldm_b_scale_shift(b, h, e, cout);
    h = ldm_b_unary(b, LDM_OP_SILU, h, cout);
    h = ldm_b_conv(b, ldm_b_join(buf, path, "out_layers.3"), h, cout, cout, 3);
    ldm_b_zero(b);
    if (cin != cout)
        x = ldm_b_conv(b, ldm_b_join(buf, path, "skip_connection"), x, cin, cout, 1);
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

static int plain_attention(walk *k, const char *path, int x, int ch, int heads)
{
    char buf[LDM_PATH_LEN];
    ldm_builder *b = k->b;
    int h;

    h = ldm_b_norm(b, ldm_b_join(buf, path, "norm"), x, ch, NORM_EPS);
    h = ldm_b_conv1d(b, ldm_b_join(buf, path, "qkv"), h, ch, 3 * ch);
    h = ldm_b_attention_qkv(b, h, ch, heads, !k->u->use_new_attention_order);
    h = ldm_b_conv1d(b, ldm_b_join(buf, path, "proj_out"), h, ch, ch);
    ldm_b_zero(b);
    return ldm_b_add(b, x, h, ch);
}

static void refuse_heads(walk *k, const char *path, int ch, int heads, const char *rule)
{
    if (!k->b->st)
        k->b->st = ldm_error_set(k->b->err, LDM_ERR_CONFIG,
                                 "%s: %d channels cannot be split into %d attention heads "
                                 "(num_heads %d, num_head_channels %d); %s",
                                 path, ch, heads, k->u->num_heads, k->u->num_head_channels, rule);
}

/* Heads of a spatial transformer: with num_head_channels as many as fit into ch, else num_heads;
 * with `legacy` dim_head is ch // heads in either case. */
static int transformer_block(walk *k, const char *path, int x, int ch, bool no_self)
{
    const ldm_unet_config *u = k->u;
    const int dim = u->num_head_channels, heads = dim != -1 ? ch / dim : u->num_heads;
    ldm_transformer t = {
        .channels = ch,
        .heads = heads,
        .head_dim = heads < 1                ? 0
                    : u->legacy || dim == -1 ? ch / heads
                                             : dim,
        .depth = u->transformer_depth,
        .context_width = u->context_dim,
        .linear = u->use_linear_in_transformer,
        .no_self = no_self,
    };

    if (t.head_dim < 1) {
        refuse_heads(k, path, ch, heads, "every head needs a channel");
        return 0;
    }
    if (t.linear && t.heads * t.head_dim != ch) {
        refuse_heads(k, path, ch, heads,
                     "with use_linear_in_transformer the original fails unless heads fill the "
                     "channels");
        return 0;
    }
    return ldm_b_transformer(k->b, path, &t, x, k->context);
}

static int attention_block(walk *k, const char *path, int x, int ch, bool output_block,
                           bool no_self)
{
    int heads;

    if (k->u->use_spatial_transformer)
        return transformer_block(k, path, x, ch, no_self);
    heads = head_count(k->u, ch, output_block);
    if (heads < 1 || ch % heads) {
        refuse_heads(k, path, ch, heads, "every attention level's channels must be a multiple");
        return 0;
    }
    return plain_attention(k, path, x, ch, heads);
}

/* Whether a level's self-attentions read the context instead. */
static bool level_without_self(const ldm_unet_config *u, int level)
{
    return level < u->disable_self_attentions.count && u->disable_self_attentions.items[level];
}

/* Whether block number i of a level attends. */
static bool attends(const ldm_unet_config *u, int ds, int level, int i)
{
    if (level < u->num_attention_blocks.count && i >= u->num_attention_blocks.items[level])
        return false;
    for (i = 0; i < u->attention_resolutions.count; i++) {
        if (u->attention_resolutions.items[i] == ds)
            return true;
    }
    return false;
}

static int down_block(walk *k, int block, int x, int ch)
{
    char path[PATH_MAX_LEN], buf[LDM_PATH_LEN];

    snprintf(path, sizeof path, "input_blocks.%d.0", block);
    if (k->u->resblock_updown)
        return res_block(k, path, x, ch, ch, RESAMPLE_DOWN);
    if (!k->u->conv_resample)
        return ldm_b_unary(k->b, LDM_OP_AVG_POOL, x, ch);
    return ldm_b_conv_down(k->b, ldm_b_join(buf, path, "op"), x, ch, ch, true);
}

static int up_layer(walk *k, const char *path, int x, int ch)
{
    char buf[LDM_PATH_LEN];

    if (k->u->resblock_updown)
        return res_block(k, path, x, ch, ch, RESAMPLE_UP);
    x = ldm_b_unary(k->b, LDM_OP_UPSAMPLE, x, ch);
    return k->u->conv_resample ? ldm_b_conv(k->b, ldm_b_join(buf, path, "conv"), x, ch, ch, 3) : x;
}

typedef struct skip_stack {
    int value[MAX_SKIPS], ch[MAX_SKIPS], count;
} skip_stack;

static void push(skip_stack *s, int value, int ch)
{
    s->value[s->count] = value;
    s->ch[s->count++] = ch;
}

/* A transformer that is not its block's last module has a name of its own, "st_middle_block_1". */
static void dump_transformer(const walk *k, const char *path, int value)
{
    char name[PATH_MAX_LEN];
    char *p;

    if (!k->u->use_spatial_transformer)
        return;
    snprintf(name, sizeof name, "%s", path);
    for (p = name; *p; p++)
        *p = *p == '.' ? '_' : *p;
    ldm_b_dump(k->b, value, "st_%s", name);
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
            if (attends(u, *ds, level, i)) {
                snprintf(path, sizeof path, "input_blocks.%d.1", block);
                h = attention_block(k, path, h, *ch, false, level_without_self(u, level));
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
            if (attends(u, ds, level, i)) {
                snprintf(path, sizeof path, "output_blocks.%d.%d", block, layer++);
                h = attention_block(k, path, h, ch, true, level_without_self(u, level));
            }
            if (level && i == u->num_res_blocks) {
                if (layer == 2)
                    dump_transformer(k, path, h);
                snprintf(path, sizeof path, "output_blocks.%d.%d", block, layer);
                h = up_layer(k, path, h, ch);
                ds /= 2;
            }
            ldm_b_dump(k->b, h, "output_blocks_%02d", block);
        }
    }
    return h;
}

/* What a graph of the UNet is given; all 0 in `declare`. */
typedef struct unet_values {
    int x, t, context, labels;
} unet_values;

/* label_emb: a row of a table, or a layer or two over what is given. */
static int embed_labels(ldm_builder *b, const ldm_unet_config *u, int labels, int emb_dim)
{
    int h;

    if (u->num_classes > 0)
        return ldm_b_embedding(b, "label_emb.weight", labels, u->num_classes, emb_dim, NULL, 0);
    if (u->num_classes == LDM_CLASSES_CONTINUOUS)
        return ldm_b_linear(b, "label_emb", labels, 1, emb_dim);
    h = ldm_b_linear(b, "label_emb.0.0", labels, u->adm_in_channels, emb_dim);
    h = ldm_b_unary(b, LDM_OP_SILU, h, emb_dim);
    return ldm_b_linear(b, "label_emb.0.2", h, emb_dim, emb_dim);
}

static int embed(ldm_builder *b, const ldm_unet_config *u, const unet_values *v, int emb_dim)
{
    int e = ldm_b_timestep_embed(b, v->t, u->model_channels);

    e = ldm_b_linear(b, "time_embed.0", e, u->model_channels, emb_dim);
    e = ldm_b_unary(b, LDM_OP_SILU, e, emb_dim);
    e = ldm_b_linear(b, "time_embed.2", e, emb_dim, emb_dim);
    if (u->num_classes != -1)
        e = ldm_b_add(b, e, embed_labels(b, u, v->labels, emb_dim), emb_dim);
    return ldm_b_unary(b, LDM_OP_SILU, e, emb_dim);
}

/* forward(). *feature: the value that enters the outermost output blocks: computed, or with
 * `shallow` made as an input in the place of everything that leads to it. */
static int forward(ldm_builder *b, const ldm_unet_config *u, const unet_values *v, bool shallow,
                   int *feature)
{
    walk k = {.b = b,
              .u = u,
              .emb_dim = 4 * u->model_channels,
              .context = v->context,
              .shallow = shallow,
              .feature = -1};
    skip_stack skips = {.count = 0};
    int h, ch, ds;

    ldm_b_use(b, LDM_USED_UNET);
    k.emb = embed(b, u, v, k.emb_dim);

    h = input_blocks(&k, v->x, &skips, &ch, &ds);

    if (!shallow) {
        h = res_block(&k, "middle_block.0", h, ch, ch, RESAMPLE_NONE);
        h = attention_block(&k, "middle_block.1", h, ch, false, u->disable_middle_self_attn);
        dump_transformer(&k, "middle_block.1", h);
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
    const unet_values none = {0};
    int feature;

    forward(b, config, &none, false, &feature);
}

/* The inputs, of which all but x and t are the conditioning (DiffusionWrapper.forward). */
static unet_values make_inputs(ldm_builder *b, ldm_graph_size size)
{
    static const ldm_input time = {.name = "t", .depends = LDM_DEPENDS_TIME};
    static const ldm_input concat = {.name = "concat", .depends = LDM_DEPENDS_COND};
    static const ldm_input context = {
        .name = "context", .depends = LDM_DEPENDS_COND, .channels_last = true};
    static const ldm_input labels = {.name = "labels", .depends = LDM_DEPENDS_COND};
    const ldm_unet_inputs *in = &b->network->unet_inputs;
    unet_values v = {.x = ldm_b_input_x(b, in->latent, size.h, size.w)};

    v.t = ldm_b_input(b, time, 1, 1, 1);
    if (in->concat) {
        int c = ldm_b_input(b, concat, in->concat, size.h, size.w);

        v.x = ldm_b_concat(b, v.x, in->latent, c, in->concat);
    }
    if (in->context_width)
        v.context = ldm_b_input(b, context, in->context_width, size.tokens, 1);
    if (in->labels)
        v.labels = ldm_b_input(b, labels, in->labels, 1, 1);
    return v;
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    bool shallow = part == LDM_GRAPH_UNET_SHALLOW;
    const unet_values v = make_inputs(b, size);
    int feature, out = forward(b, config, &v, shallow, &feature);

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
    {"num_classes", LDM_PARAM_CLASSES, U(num_classes), SHAPE, false},
    {"adm_in_channels", LDM_PARAM_INT, U(adm_in_channels), SHAPE, false},
    {"num_heads", LDM_PARAM_INT, U(num_heads), SILENT, false},
    {"num_head_channels", LDM_PARAM_INT, U(num_head_channels), SILENT, false},
    {"num_heads_upsample", LDM_PARAM_INT, U(num_heads_upsample), SILENT, false},
    {"use_scale_shift_norm", LDM_PARAM_BOOL, U(use_scale_shift_norm), SHAPE, false},
    {"resblock_updown", LDM_PARAM_BOOL, U(resblock_updown), SHAPE, false},
    {"use_new_attention_order", LDM_PARAM_BOOL, U(use_new_attention_order), SILENT, false},
    {"use_spatial_transformer", LDM_PARAM_BOOL, U(use_spatial_transformer), SHAPE, false},
    {"transformer_depth", LDM_PARAM_INT, U(transformer_depth), SHAPE, false},
    {"context_dim", LDM_PARAM_INT, U(context_dim), SHAPE, false},
    {"use_linear_in_transformer", LDM_PARAM_BOOL, U(use_linear_in_transformer), SHAPE, false},
    {"disable_self_attentions", LDM_PARAM_BOOLS, U(disable_self_attentions), SHAPE, false},
    {"disable_middle_self_attn", LDM_PARAM_BOOL, U(disable_middle_self_attn), SHAPE, false},
    {"num_attention_blocks", LDM_PARAM_INTS, U(num_attention_blocks), SHAPE, false},
    {"n_embed", LDM_PARAM_INT, U(n_embed), SHAPE, false},
    {"legacy", LDM_PARAM_BOOL, U(legacy), SILENT, false},
    LDM_PARAM_SKIP("dropout"),
    LDM_PARAM_SKIP("use_checkpoint"),
    LDM_PARAM_SKIP("use_fp16"),
    LDM_PARAM_SKIP("spatial_transformer_attn_type"), /* two ways to compute one thing */
};
#undef U

static ldm_status validate_conditioning(const ldm_unet_config *u, const ldm_value *at,
                                        ldm_error *err)
{
    const int levels = u->channel_mult.count;

    if (u->use_spatial_transformer && u->context_dim == -1)
        return ldm_value_error(ldm_value_find(at, "use_spatial_transformer"), err,
                               "is true and context_dim is missing; the original demands it");
    if (!u->use_spatial_transformer && u->context_dim != -1)
        return ldm_params_bad(at, err, "context_dim",
                              "null: the original demands use_spatial_transformer with it",
                              u->context_dim);
    if (u->context_dim != -1 && (u->context_dim < 1 || u->context_dim > MAX_CHANNELS))
        return ldm_params_bad(at, err, "context_dim", "1 to 32768", u->context_dim);
    if (u->transformer_depth < 1 || u->transformer_depth > 64)
        return ldm_params_bad(at, err, "transformer_depth", "1 to 64", u->transformer_depth);
    if (u->num_classes > 1 << 20)
        return ldm_params_bad(at, err, "num_classes", "at most 1048576", u->num_classes);
    if (u->num_classes == LDM_CLASSES_SEQUENTIAL &&
        (u->adm_in_channels < 1 || u->adm_in_channels > MAX_CHANNELS))
        return ldm_params_bad(at, err, "adm_in_channels",
                              "1 to 32768: num_classes is sequential, and the original demands it",
                              u->adm_in_channels);
    if (u->disable_self_attentions.count && u->disable_self_attentions.count != levels)
        return ldm_params_bad(at, err, "disable_self_attentions",
                              "as many entries as channel_mult has",
                              u->disable_self_attentions.count);
    if (u->num_attention_blocks.count && u->num_attention_blocks.count != levels)
        return ldm_params_bad(at, err, "num_attention_blocks",
                              "as many entries as channel_mult has", u->num_attention_blocks.count);
    return LDM_OK;
}

static ldm_status heads_missing(const ldm_value *at, ldm_error *err)
{
    ldm_status st = ldm_params_missing(at, "num_heads", NULL, err);

    if (!st)
        st = ldm_params_missing(at, "num_head_channels", NULL, err);
    return st ? st
              : ldm_value_error(at, err,
                                "neither num_heads nor num_head_channels is set; the original "
                                "demands one: its checkpoint was trained with it");
}

static ldm_status validate(const ldm_unet_config *u, const ldm_value *at, ldm_error *err)
{
    ldm_status st;
    int i;

    if (u->dims != 2)
        return ldm_params_bad(at, err, "dims", "2 (ldm computes pictures)", u->dims);
    st = validate_conditioning(u, at, err);
    if (st)
        return st;
    if (u->n_embed != -1)
        return ldm_params_unsupported(at, err, "n_embed",
                                      "is set: of UNets ldm computes those that give eps, not "
                                      "codebook entries (id_predictor); null leaves it out");
    if (u->num_heads == -1 && u->num_head_channels == -1)
        return heads_missing(at, err);
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

/* Parameters of spatial transformers, where there are none. */
static void mark_transformer(ldm_network *s)
{
    static const char *const names[] = {"transformer_depth", "use_linear_in_transformer",
                                        "disable_self_attentions", "disable_middle_self_attn"};
    char path[LDM_PATH_LEN];
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        ldm_b_join(path, "model.params.unet_config.params", names[i]);
        ldm_params_mark(s, path, "of spatial transformers only");
    }
}

static void mark_effects(ldm_network *s)
{
    const ldm_unet_config *u = &s->unet;

    ldm_params_mark(s, "model.params.unet_config.params.use_fp16",
                    "ldm computes as --precision says");
    if (!u->use_spatial_transformer)
        mark_transformer(s);
    else
        ldm_params_mark(s, "model.params.unet_config.params.use_new_attention_order",
                        "spatial transformers do not take it");
    if (u->num_classes != LDM_CLASSES_SEQUENTIAL)
        ldm_params_mark(s, "model.params.unet_config.params.adm_in_channels",
                        "of num_classes: sequential only");
    if (u->use_spatial_transformer) {
        ldm_params_mark(s, "model.params.unet_config.params.num_heads_upsample",
                        "of attention blocks without spatial transformers only");
        if (u->num_head_channels != -1)
            ldm_params_mark(s, "model.params.unet_config.params.num_heads",
                            "num_head_channels is set and wins");
    } else if (u->num_head_channels != -1) {
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
        .adm_in_channels = -1,
        .transformer_depth = 1,
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
