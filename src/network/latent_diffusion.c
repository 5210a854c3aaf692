/* SPDX-License-Identifier: MIT */
/* LatentDiffusion (ldm/models/diffusion/ddpm.py): schedule and scale, and the parts that it is made
 * of: a UNet, a first stage and a conditioner. Stability's LatentInpaintDiffusion and
 * LatentUpscaleDiffusion take more parameters and concatenate something else; they sample alike. */
#include <stddef.h>
#include <string.h>

#include "network/registry.h"

/* ---- tensors --------------------------------------------------------------------------------- */

static void add_plain(ldm_builder *b, const char *name, int ndim, int64_t size)
{
    ldm_tensor_decl t = {
        .name = name, .ndim = ndim, .numel = 1, .ema = -1, .component = b->component};

    if (ndim) {
        t.shape[0] = size;
        t.numel = (uint64_t)size;
    }
    ldm_b_declare(b, &t);
}

/* register_schedule, and scale_factor with scale_by_std. */
static void declare_schedule(ldm_builder *b, const ldm_diffusion_config *d)
{
    size_t i;

    b->component = LDM_COMPONENT_SCHEDULE;
    if (d->learn_logvar)
        add_plain(b, "logvar", 1, d->timesteps);
    for (i = 0; i < LDM_SCHEDULE_BUFFERS; i++)
        add_plain(b, ldm_schedule_buffers[i], 1, d->timesteps);
    if (d->scale_by_std)
        add_plain(b, "scale_factor", 0, 1);
}

/* LitEma (ldm/modules/ema.py): a shadow of each UNet parameter, its name inside `model` without
 * dots. */
static void declare_ema(ldm_builder *b, int first, int end)
{
    static const char drop[] = "model.", prefix[] = "model_ema.";
    ldm_arena *arena = b->network->priv->arena;
    int i, shadow;

    b->component = LDM_COMPONENT_EMA;
    add_plain(b, "model_ema.decay", 0, 1);
    add_plain(b, "model_ema.num_updates", 0, 1);
    for (i = first; i < end && !b->st; i++) {
        ldm_tensor_decl t = b->network->tensors[i];
        const char *from = t.name + sizeof drop - 1;
        char *name = ldm_arena_alloc(arena, strlen(t.name) + sizeof prefix, 1), *to;

        if (!name) {
            b->st = ldm_error_nomem(b->err, 0, "the network's description");
            return;
        }
        memcpy(name, prefix, sizeof prefix - 1);
        for (to = name + sizeof prefix - 1; *from; from++) {
            if (*from != '.')
                *to++ = *from;
        }
        t.name = name;
        t.component = LDM_COMPONENT_EMA;
        t.used = 0;
        shadow = ldm_b_declare(b, &t); /* may move the list */
        b->declared->tensors[i].ema = shadow;
    }
}

static void declare(ldm_builder *b, const void *config)
{
    const ldm_network *s = b->network;
    int first, end, i;

    declare_schedule(b, config);
    first = s->tensor_count;
    ldm_b_begin(b, LDM_COMPONENT_UNET);
    s->priv->unet->declare(b, &s->unet);
    end = s->tensor_count;
    if (s->diffusion.use_ema)
        declare_ema(b, first, end);
    ldm_b_begin(b, LDM_COMPONENT_FIRST_STAGE);
    s->first_stage.part->declare(b, s->first_stage.config);
    for (i = 0; i < s->conditioner_count; i++) {
        ldm_b_begin(b, LDM_COMPONENT_COND_STAGE);
        s->conditioners[i].part->declare(b, s->conditioners[i].config);
    }
    if (s->low_scale.present) {
        ldm_b_begin(b, LDM_COMPONENT_LOW_SCALE);
        s->low_scale.part->declare(b, &s->low_scale);
    }
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define SHAPE LDM_EFFECT_SHAPE
#define SILENT LDM_EFFECT_SILENT
#define D(field) offsetof(ldm_diffusion_config, field)
/* clang-format off */
#define COMMON_ROWS                                                                                \
    {"timesteps", LDM_PARAM_INT, D(timesteps), SHAPE, false},                                      \
    {"beta_schedule", LDM_PARAM_BETAS, D(beta_schedule), SILENT, false},                           \
    {"linear_start", LDM_PARAM_DOUBLE, D(linear_start), SILENT, false},                            \
    {"linear_end", LDM_PARAM_DOUBLE, D(linear_end), SILENT, false},                                \
    {"cosine_s", LDM_PARAM_DOUBLE, D(cosine_s), SILENT, false},                                    \
    {"image_size", LDM_PARAM_EXTENT, D(image_size), SILENT, false},                                \
    {"channels", LDM_PARAM_INT, D(channels), SILENT, false},                                       \
    {"scale_factor", LDM_PARAM_DOUBLE, D(scale_factor), SILENT, false},                            \
    {"scale_by_std", LDM_PARAM_BOOL, D(scale_by_std), SHAPE, false},                               \
    {"use_ema", LDM_PARAM_BOOL, D(use_ema), SHAPE, false},                                         \
    {"conditioning_key", LDM_PARAM_STRING, D(conditioning_key), SILENT, false},                    \
    {"concat_mode", LDM_PARAM_BOOL, D(concat_mode), SILENT, false},                                \
    {"parameterization", LDM_PARAM_STRING, D(parameterization), SILENT, false},                    \
    {"learn_logvar", LDM_PARAM_BOOL, D(learn_logvar), SHAPE, false},                               \
    {"unet_config", LDM_PARAM_MODULE, 0, SHAPE, true},                                             \
    {"first_stage_config", LDM_PARAM_MODULE, 0, SHAPE, true},                                      \
    {"cond_stage_config", LDM_PARAM_MODULE, 0, SHAPE, true},                                       \
    LDM_PARAM_SKIP("loss_type"),                                                                   \
    LDM_PARAM_SKIP("ckpt_path"),                                                                   \
    LDM_PARAM_SKIP("ignore_keys"),                                                                 \
    LDM_PARAM_SKIP("load_only_unet"),                                                              \
    LDM_PARAM_SKIP("monitor"),                                                                     \
    LDM_PARAM_SKIP("first_stage_key"),                                                             \
    LDM_PARAM_SKIP("log_every_t"),                                                                 \
    LDM_PARAM_SKIP("clip_denoised"),                                                               \
    LDM_PARAM_SKIP("given_betas"),                                                                 \
    LDM_PARAM_SKIP("original_elbo_weight"),                                                        \
    LDM_PARAM_SKIP("v_posterior"),                                                                 \
    LDM_PARAM_SKIP("l_simple_weight"),                                                             \
    LDM_PARAM_SKIP("scheduler_config"),                                                            \
    LDM_PARAM_SKIP("use_positional_encodings"),                                                    \
    LDM_PARAM_SKIP("logvar_init"),                                                                 \
    LDM_PARAM_SKIP("num_timesteps_cond"),                                                          \
    LDM_PARAM_SKIP("cond_stage_key"),                                                              \
    LDM_PARAM_SKIP("cond_stage_trainable"),                                                        \
    LDM_PARAM_SKIP("cond_stage_forward")
/* clang-format on */

static const ldm_param_row rows[] = {COMMON_ROWS};
static const ldm_param_row inpaint_rows[] = {
    COMMON_ROWS,
    LDM_PARAM_SKIP("concat_keys"), /* of a batch, in training */
    LDM_PARAM_SKIP("masked_image_key"),
    LDM_PARAM_SKIP("finetune_keys"),
    LDM_PARAM_SKIP("keep_finetune_dims"),
    LDM_PARAM_SKIP("c_concat_log_start"),
    LDM_PARAM_SKIP("c_concat_log_end"),
};
static const ldm_param_row upscale_rows[] = {
    COMMON_ROWS,
    {"low_scale_config", LDM_PARAM_MODULE, 0, SHAPE, true},
    LDM_PARAM_SKIP("low_scale_key"),
    LDM_PARAM_SKIP("noise_level_key"),
};
#undef D

/* What each conditioning_key passes to the UNet (DiffusionWrapper.forward). */
static const struct {
    const char *name;
    bool concat, context, labels;
} keys[] = {
    {"concat", true, false, false},   {"crossattn", false, true, false},
    {"hybrid", true, true, false},    {"adm", false, false, true},
    {"hybrid-adm", true, true, true}, {"crossattn-adm", false, true, true},
};

enum { KEYS = sizeof keys / sizeof keys[0] };

static int find_key(const char *name)
{
    int i = 0;

    while (i < KEYS && strcmp(keys[i].name, name))
        i++;
    return i;
}

/* LatentDiffusion.__init__: what conditioning_key becomes. */
static ldm_status settle_conditioning(ldm_param_reader *r, const ldm_value *params)
{
    ldm_diffusion_config *d = &r->network->diffusion;

    if (!d->conditioning_key)
        d->conditioning_key = d->concat_mode ? "concat" : "crossattn";
    if (find_key(d->conditioning_key) == KEYS)
        return ldm_value_error(ldm_value_find(params, "conditioning_key"), r->err,
                               "is \"%.100s\", expected null, concat, crossattn, hybrid, adm, "
                               "hybrid-adm or crossattn-adm",
                               d->conditioning_key);
    if (!r->network->conditioner_count)
        d->conditioning_key = NULL;
    return LDM_OK;
}

static ldm_status refuse_key(const ldm_network *s, const ldm_value *params, ldm_error *err,
                             const char *why)
{
    const ldm_value *at = ldm_value_find(params, "conditioning_key");

    return ldm_value_error(
        at ? at : params, err, "%sconditioning_key %s, and %s", at ? "effective " : "",
        s->diffusion.conditioning_key ? s->diffusion.conditioning_key : "null", why);
}

/* What the original would do with this key and this UNet, where that is to fail. */
static ldm_status check_inputs(const ldm_network *s, const ldm_value *params, bool context,
                               bool labels, ldm_error *err)
{
    const ldm_conditioner *c = s->conditioners;

    if (s->unet.use_spatial_transformer && !context)
        return refuse_key(s, params, err,
                          "the UNet has cross-attention (use_spatial_transformer): the original "
                          "then passes no context, attn2 takes the feature map in its place, and "
                          "to_k, made for context_dim channels, fails where the map has another "
                          "number; set conditioning_key to crossattn (hybrid where something is "
                          "concatenated, too)");
    if (labels && s->unet.num_classes == -1)
        return refuse_key(s, params, err,
                          "the UNet has no num_classes: the original demands both or neither");
    if (!labels && s->unet.num_classes != -1)
        return ldm_value_error(ldm_value_find(params, "unet_config.params.num_classes"), err,
                               "is set, and conditioning_key %s passes no labels: the original "
                               "demands both (adm) or neither",
                               s->diffusion.conditioning_key ? s->diffusion.conditioning_key
                                                             : "null");
    if (s->unet_inputs.context_width && c && c->context_width &&
        c->context_width != s->unet.context_dim)
        return ldm_value_error(ldm_value_find(params, "unet_config.params.context_dim"), err,
                               "is %d, and the conditioner (%.120s) gives contexts of %d values",
                               s->unet.context_dim, c->target, c->context_width);
    return LDM_OK;
}

static ldm_concat_kind kind_of_concat(const ldm_network *n)
{
    const int channels = n->unet_inputs.concat, latent = n->first_stage.latent_channels;
    const ldm_conditioner *c = n->conditioner_count ? n->conditioners : NULL;

    if (!channels)
        return LDM_CONCAT_NONE;
    if (n->low_scale.present)
        return channels == 1 || channels == 3 ? LDM_CONCAT_LOW_NOISED : LDM_CONCAT_NONE;
    if (n->diffusion.inpaint)
        return channels == latent + 1 ? LDM_CONCAT_MASK_FIRST : LDM_CONCAT_NONE;
    if (c && c->takes == LDM_COND_TAKES_PICTURE)
        return channels == latent       ? LDM_CONCAT_PICTURE
               : channels == latent + 1 ? LDM_CONCAT_MASK_LAST
                                        : LDM_CONCAT_NONE;
    if (c && c->takes == LDM_COND_TAKES_LATENT)
        return channels == 1 || channels == 3 ? LDM_CONCAT_LOW : LDM_CONCAT_NONE;
    if (c && c->takes == LDM_COND_TAKES_MAP)
        return channels == c->channels ? LDM_CONCAT_MAP : LDM_CONCAT_NONE;
    return LDM_CONCAT_NONE;
}

/* What the UNet reads beside x and t. */
static ldm_status settle_inputs(ldm_param_reader *r, const ldm_value *params)
{
    ldm_network *s = r->network;
    ldm_unet_inputs *in = &s->unet_inputs;
    const ldm_unet_config *u = &s->unet;
    const char *name = s->diffusion.conditioning_key;
    const int key = name ? find_key(name) : KEYS;
    const bool concat = key < KEYS && keys[key].concat, context = key < KEYS && keys[key].context;
    const bool labels = key < KEYS && keys[key].labels;

    in->latent = u->in_channels;
    if (concat && u->in_channels > u->out_channels) {
        in->latent = u->out_channels;
        in->concat = u->in_channels - u->out_channels;
        in->concat_kind = kind_of_concat(s);
    }
    if (context && u->use_spatial_transformer) {
        in->context_width = u->context_dim;
        in->context_tokens = s->conditioners[0].context_tokens;
    }
    if (labels && u->num_classes != -1) {
        in->labels = u->num_classes == LDM_CLASSES_SEQUENTIAL ? u->adm_in_channels : 1;
        in->classes = u->num_classes > 0 ? u->num_classes : 0;
    }
    return check_inputs(s, params, context, labels, r->err);
}

static ldm_status validate(const ldm_diffusion_config *d, const ldm_value *params, ldm_error *err)
{
    const ldm_value *v = ldm_value_find(params, "given_betas");

    if (d->image_size.h < 1 || d->image_size.h > 4096)
        return ldm_params_bad(params, err, "image_size", "1 to 4096", d->image_size.h);
    if (d->image_size.w < 1 || d->image_size.w > 4096)
        return ldm_params_bad(params, err, "image_size", "1 to 4096", d->image_size.w);
    if (v && ldm_value_get_kind(v) != LDM_VALUE_NULL)
        return ldm_value_error(v, err, "is set: ldm computes betas from beta_schedule only");
    if (d->timesteps < 1 || d->timesteps > 100000)
        return ldm_params_bad(params, err, "timesteps", "1 to 100000", d->timesteps);
    v = ldm_value_find(params, "parameterization");
    if (!d->parameterization ||
        (strcmp(d->parameterization, "eps") && strcmp(d->parameterization, "x0") &&
         strcmp(d->parameterization, "v")))
        return ldm_value_error(v, err, "is %.100s, expected eps, x0 or v",
                               d->parameterization ? d->parameterization : "null");
    /* Also false for NaN. */
    if (!(d->scale_factor > 0 && d->scale_factor < 1e30)) {
        v = ldm_value_find(params, "scale_factor");
        return ldm_value_error(v ? v : params, err, "is %g, expected a positive number",
                               d->scale_factor);
    }
    return LDM_OK;
}

static void mark_effects(ldm_network *s)
{
    const ldm_diffusion_config *d = &s->diffusion;
    const ldm_param *key = ldm_params_find(s, "model.params.conditioning_key");

    if (!s->conditioner_count) {
        if (key && key->origin.source && strcmp(key->value, "null"))
            ldm_params_mark(s, "model.params.conditioning_key",
                            "cond_stage_config is __is_unconditional__, which sets it to null");
        ldm_params_mark(s, "model.params.concat_mode",
                        "cond_stage_config is __is_unconditional__: nothing is concatenated");
    }
    if (d->beta_schedule != LDM_BETA_COSINE) {
        ldm_params_mark(s, "model.params.cosine_s", "of the cosine schedule only");
    } else {
        ldm_params_mark(s, "model.params.linear_start", "the cosine schedule does not take it");
        ldm_params_mark(s, "model.params.linear_end", "the cosine schedule does not take it");
    }
}

/* ---- the parts ------------------------------------------------------------------------------- */

static ldm_status read_unet(ldm_param_reader *r, const ldm_value *at)
{
    ldm_module m;
    ldm_status st = ldm_part_open(r, LDM_ROLE_UNET, at, "model.params.unet_config", &m,
                                  &r->network->priv->unet);

    return st ? st : r->network->priv->unet->read(r, &m);
}

static ldm_status read_first_stage(ldm_param_reader *r, const ldm_value *at)
{
    ldm_first_stage *f = &r->network->first_stage;
    ldm_module m;
    ldm_status st =
        ldm_part_open(r, LDM_ROLE_FIRST_STAGE, at, "model.params.first_stage_config", &m, &f->part);

    f->target = m.target;
    return st ? st : f->part->read(r, &m);
}

static ldm_status read_conditioner(ldm_param_reader *r, const ldm_value *at)
{
    const ldm_network *s = r->network;
    int before = s->conditioner_count, i;
    const ldm_network_part *part;
    ldm_module m;
    ldm_status st =
        ldm_part_open(r, LDM_ROLE_CONDITIONER, at, "model.params.cond_stage_config", &m, &part);

    if (!st)
        st = part->read(r, &m);
    for (i = before; !st && i < s->conditioner_count; i++)
        s->conditioners[i].part = part;
    if (!st && m.at == at && ldm_value_get_kind(at) == LDM_VALUE_STRING)
        st = ldm_params_add(r, "model.params", "cond_stage_config", SHAPE, m.target, at);
    return st;
}

static ldm_status read_low_scale(ldm_param_reader *r, const ldm_value *at)
{
    ldm_low_scale *v = &r->network->low_scale;
    const ldm_network_part *part;
    ldm_module m;
    ldm_status st =
        ldm_part_open(r, LDM_ROLE_LOW_SCALE, at, "model.params.low_scale_config", &m, &part);

    if (!st)
        st = part->read(r, &m);
    v->part = st ? NULL : part;
    return st;
}

/* upscale: of a model that enlarges pictures (LatentUpscaleDiffusion); others have no such part. */
static ldm_status read_parts(ldm_param_reader *r, const ldm_value *params, bool upscale)
{
    const ldm_value *low_scale = upscale ? ldm_value_find(params, "low_scale_config") : NULL;
    ldm_status st = read_unet(r, ldm_value_find(params, "unet_config"));

    if (!st)
        st = read_first_stage(r, ldm_value_find(params, "first_stage_config"));
    if (!st)
        st = read_conditioner(r, ldm_value_find(params, "cond_stage_config"));
    if (!st && low_scale)
        st = read_low_scale(r, low_scale);
    return st;
}

/* inpaint: a mask and a masked picture are concatenated (LatentInpaintDiffusion). */
static ldm_status read_table(ldm_param_reader *r, const ldm_module *m, const ldm_param_table *table,
                             bool inpaint, bool upscale)
{
    ldm_diffusion_config *d = &r->network->diffusion;
    ldm_status st;

    *d = (ldm_diffusion_config){
        .timesteps = 1000,
        .image_size = {256, 256},
        .channels = 3,
        .linear_start = 1e-4,
        .linear_end = 2e-2,
        .cosine_s = 8e-3,
        .scale_factor = 1.0,
        .use_ema = true,
        .concat_mode = true,
        .parameterization = "eps",
        .inpaint = inpaint,
    };
    st = ldm_params_read(r, m->at, m->params, "model.params", table, d);
    if (!st)
        st = validate(d, m->params, r->err);
    if (!st)
        st = read_parts(r, m->params, upscale);
    if (!st)
        st = settle_conditioning(r, m->params);
    if (!st)
        st = settle_inputs(r, m->params);
    if (!st)
        mark_effects(r->network);
    return st;
}

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);

    return read_table(r, m, &table, false, false);
}

static ldm_status read_inpaint(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(inpaint_rows);

    return read_table(r, m, &table, true, false);
}

static ldm_status read_upscale(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(upscale_rows);

    return read_table(r, m, &table, false, true);
}

const ldm_network_part ldm_part_latent_diffusion = {LDM_ROLE_MODEL, read, declare, NULL};
const ldm_network_part ldm_part_latent_inpaint = {LDM_ROLE_MODEL, read_inpaint, declare, NULL};
const ldm_network_part ldm_part_latent_upscale = {LDM_ROLE_MODEL, read_upscale, declare, NULL};
