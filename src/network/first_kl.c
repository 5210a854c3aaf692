/* SPDX-License-Identifier: MIT */
/* AutoencoderKL (ldm/models/autoencoder.py): the encoder gives the moments of a diagonal Gaussian,
 * of which a latent is a sample (or the mean); there is no codebook. */
#include <stddef.h>

#include "network/autoencoder.h"
#include "network/registry.h"

typedef struct kl_config {
    ldm_autoencoder_config dd;
    int embed_dim, colorize_nlabels;
} kl_config;

/* ---- tensors and graphs ---------------------------------------------------------------------- */

/* [2 z_channels] -> moments [2 embed_dim]: means, then log variances. */
static int quant_conv(ldm_builder *b, const kl_config *v, int x)
{
    return ldm_b_conv(b, "quant_conv", x, 2 * v->dd.z_channels, 2 * v->embed_dim, 1);
}

static int post_quant_conv(ldm_builder *b, const kl_config *v, int x)
{
    return ldm_b_conv(b, "post_quant_conv", x, v->embed_dim, v->dd.z_channels, 1);
}

static int build(ldm_builder *b, const void *config, ldm_graph_part part, ldm_graph_size size)
{
    const kl_config *v = config;
    int x;

    if (part == LDM_GRAPH_ENCODE) {
        x = ldm_b_input_x(b, v->dd.in_channels, size.h, size.w);
        ldm_b_use(b, LDM_USED_ENCODE);
        x = quant_conv(b, v, ldm_autoencoder_encode(b, &v->dd, x));
        ldm_b_dump(b, x, "moments");
        return x;
    }
    x = ldm_b_input_x(b, v->embed_dim, size.h, size.w);
    ldm_b_use(b, LDM_USED_DECODE);
    return ldm_autoencoder_decode(b, &v->dd, post_quant_conv(b, v, x));
}

static void declare(ldm_builder *b, const void *config)
{
    const kl_config *v = config;

    ldm_b_use(b, 0);
    ldm_b_colorize(b, v->colorize_nlabels);
    ldm_b_use(b, LDM_USED_ENCODE);
    ldm_autoencoder_encode(b, &v->dd, 0);
    ldm_b_use(b, LDM_USED_DECODE);
    ldm_autoencoder_decode(b, &v->dd, 0);
    ldm_b_use(b, LDM_USED_ENCODE);
    quant_conv(b, v, 0);
    ldm_b_use(b, LDM_USED_DECODE);
    post_quant_conv(b, v, 0);
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define K(field) offsetof(kl_config, field)
static const ldm_param_row rows[] = {
    {"embed_dim", LDM_PARAM_INT, K(embed_dim), LDM_EFFECT_SHAPE, true},
    {"ddconfig", LDM_PARAM_MODULE, 0, LDM_EFFECT_SHAPE, true},
    {"colorize_nlabels", LDM_PARAM_INT, K(colorize_nlabels), LDM_EFFECT_SHAPE, false},
    LDM_PARAM_SKIP("lossconfig"),
    LDM_PARAM_SKIP("ckpt_path"),
    LDM_PARAM_SKIP("ignore_keys"),
    LDM_PARAM_SKIP("image_key"),
    LDM_PARAM_SKIP("monitor"),
};
#undef K

/* The constructor asserts ddconfig["double_z"], so the key must be written. */
static ldm_status validate(const kl_config *v, const ldm_value *at, ldm_error *err)
{
    const ldm_value *twice = ldm_value_find(at, "ddconfig.double_z");

    if (v->embed_dim < 1 || v->embed_dim > 2048)
        return ldm_params_bad(at, err, "embed_dim", "1 to 2048", v->embed_dim);
    if (v->colorize_nlabels > 4096)
        return ldm_params_bad(at, err, "colorize_nlabels", "at most 4096", v->colorize_nlabels);
    if (!twice)
        return ldm_value_error(ldm_value_find(at, "ddconfig"), err,
                               "double_z is missing; an AutoencoderKL demands double_z: true");
    if (!v->dd.double_z)
        return ldm_value_error(twice, err,
                               "is false; an AutoencoderKL demands true: its encoder gives means "
                               "and variances");
    return LDM_OK;
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    kl_config *v = ldm_arena_alloc(r->network->priv->arena, 1, sizeof *v);
    ldm_first_stage *f = &r->network->first_stage;
    ldm_status st;

    if (!v)
        return ldm_error_nomem(r->err, sizeof *v, "the network's description");
    *v = (kl_config){.colorize_nlabels = -1};
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (!st)
        st = ldm_autoencoder_read(r, m, &v->dd);
    if (!st)
        st = validate(v, m->params, r->err);
    if (st)
        return st;
    ldm_autoencoder_describe(&v->dd, f);
    f->latent_channels = v->embed_dim;
    f->encoded_channels = 2 * v->embed_dim;
    f->posterior = true;
    f->config = v;
    return LDM_OK;
}

const ldm_network_part ldm_part_first_kl = {LDM_ROLE_FIRST_STAGE, read, declare, build};
