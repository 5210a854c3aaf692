/* SPDX-License-Identifier: MIT */
/* VQModelInterface (ldm/models/autoencoder.py): encoder, codebook, decoder. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "network/autoencoder.h"
#include "network/registry.h"

typedef struct vq_config {
    ldm_autoencoder_config dd;
    int embed_dim, n_embed, colorize_nlabels;
    bool use_ema; /* of the first stage itself: LitEma keys in its state_dict */
} vq_config;

/* ---- tensors and graphs ---------------------------------------------------------------------- */

static int quant_conv(ldm_builder *b, const vq_config *v, int x)
{
    return ldm_b_conv(b, "quant_conv", x, v->dd.z_channels, v->embed_dim, 1);
}

static int post_quant_conv(ldm_builder *b, const vq_config *v, int x)
{
    return ldm_b_conv(b, "post_quant_conv", x, v->embed_dim, v->dd.z_channels, 1);
}

static int encode(ldm_builder *b, const vq_config *v, int x)
{
    ldm_b_use(b, LDM_USED_ENCODE);
    x = quant_conv(b, v, ldm_autoencoder_encode(b, &v->dd, x));
    ldm_b_dump(b, x, "prequant");
    return x;
}

static int decode(ldm_builder *b, const vq_config *v, int z)
{
    ldm_b_use(b, LDM_USED_DECODE);
    return ldm_autoencoder_decode(b, &v->dd, post_quant_conv(b, v, z));
}

static int quantize(ldm_builder *b, const vq_config *v, int z, bool index)
{
    ldm_b_use(b, LDM_USED_QUANTIZE);
    return ldm_b_quantize(b, "quantize.embedding", z, v->embed_dim, v->n_embed, index);
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    const vq_config *v = config;

    if (part == LDM_GRAPH_ENCODE)
        return encode(b, v, ldm_b_input_x(b, v->dd.in_channels, size.h, size.w));
    if (part == LDM_GRAPH_DECODE)
        return decode(b, v, ldm_b_input_x(b, v->embed_dim, size.h, size.w));
    return quantize(b, v, ldm_b_input_x(b, v->embed_dim, size.h, size.w),
                    part == LDM_GRAPH_INDICES);
}

/* LitEma of the first stage itself: one shadow for each parameter, whose name has no dots. */
static void declare_own_ema(ldm_builder *b, int first)
{
    char name[256];
    int i, end = b->network->tensor_count;
    size_t root = *b->root ? strlen(b->root) + 1 : 0;

    ldm_b_tensor(b, "model_ema.decay", LDM_INIT_ZEROS, 0, 0, NULL);
    ldm_b_tensor(b, "model_ema.num_updates", LDM_INIT_ZEROS, 0, 0, NULL);
    for (i = first; i < end && !b->st; i++) {
        ldm_tensor_decl t =
            b->network->tensors[i]; /* a copy, because adding a tensor may move the list */
        char *p = name + snprintf(name, sizeof name, "model_ema.");
        const char *s;

        if (strcmp(t.name + root, "colorize") == 0)
            continue;
        for (s = t.name + root; *s && p < name + sizeof name - 1; s++) {
            if (*s != '.')
                *p++ = *s;
        }
        *p = '\0';
        ldm_b_tensor(b, name, LDM_INIT_ZEROS, 0, t.ndim, t.shape);
    }
}

static void declare(ldm_builder *b, const void *config)
{
    const vq_config *v = config;
    int first = b->network->tensor_count;

    ldm_b_use(b, 0);
    ldm_b_colorize(b, v->colorize_nlabels);
    ldm_b_use(b, LDM_USED_ENCODE);
    ldm_autoencoder_encode(b, &v->dd, 0);
    ldm_b_use(b, LDM_USED_DECODE);
    ldm_autoencoder_decode(b, &v->dd, 0);
    quantize(b, v, 0, false);
    ldm_b_use(b, LDM_USED_ENCODE);
    quant_conv(b, v, 0);
    ldm_b_use(b, LDM_USED_DECODE);
    post_quant_conv(b, v, 0);
    ldm_b_use(b, 0);
    if (v->use_ema)
        declare_own_ema(b, first);
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define V(field) offsetof(vq_config, field)
static const ldm_param_row rows[] = {
    {"embed_dim", LDM_PARAM_INT, V(embed_dim), LDM_EFFECT_SHAPE, true},
    {"n_embed", LDM_PARAM_INT, V(n_embed), LDM_EFFECT_SHAPE, true},
    {"ddconfig", LDM_PARAM_MODULE, 0, LDM_EFFECT_SHAPE, true},
    {"use_ema", LDM_PARAM_BOOL, V(use_ema), LDM_EFFECT_SHAPE, false},
    {"colorize_nlabels", LDM_PARAM_INT, V(colorize_nlabels), LDM_EFFECT_SHAPE, false},
    LDM_PARAM_SKIP("lossconfig"),
    LDM_PARAM_SKIP("ckpt_path"),
    LDM_PARAM_SKIP("ignore_keys"),
    LDM_PARAM_SKIP("image_key"),
    LDM_PARAM_SKIP("monitor"),
    LDM_PARAM_SKIP("batch_resize_range"),
    LDM_PARAM_SKIP("scheduler_config"),
    LDM_PARAM_SKIP("lr_g_factor"),
    LDM_PARAM_SKIP("remap"),
    LDM_PARAM_SKIP("sane_index_shape"),
};
#undef V

static ldm_status validate(const vq_config *v, const ldm_value *at, ldm_error *err)
{
    if (v->embed_dim < 1 || v->embed_dim > 4096)
        return ldm_params_bad(at, err, "embed_dim", "1 to 4096", v->embed_dim);
    if (v->n_embed < 1 || v->n_embed > 1 << 22)
        return ldm_params_bad(at, err, "n_embed", "1 to 4194304", v->n_embed);
    if (v->colorize_nlabels > 4096)
        return ldm_params_bad(at, err, "colorize_nlabels", "at most 4096", v->colorize_nlabels);
    return LDM_OK;
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    vq_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_first_stage *f = &r->network->first_stage;
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (vq_config){.colorize_nlabels = -1};
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (!st)
        st = ldm_autoencoder_read(r, m, &v->dd);
    if (!st)
        st = validate(v, m->params, r->err);
    if (st)
        return st;
    ldm_autoencoder_describe(&v->dd, f);
    f->latent_channels = f->encoded_channels = v->embed_dim;
    f->codebook = true;
    /* The original builds such an encoder and fails when it is used. Sampling does not need it, so
     * this is no error. */
    if (v->dd.double_z)
        f->no_encode = "ddconfig.double_z is true (its default): the encoder gives twice the "
                       "z_channels that quant_conv takes, so this first stage cannot encode";
    f->config = v;
    return LDM_OK;
}

const ldm_network_part ldm_part_first_vq = {LDM_ROLE_FIRST_STAGE, read, declare, build};
