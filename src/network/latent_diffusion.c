/* LatentDiffusion (ldm/models/diffusion/ddpm.py): schedule and scale, and the parts that it is made
 * of: a UNet, a first stage and conditioners. */
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
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define SHAPE LDM_EFFECT_SHAPE
#define SILENT LDM_EFFECT_SILENT
#define D(field) offsetof(ldm_diffusion_config, field)
static const ldm_param_row rows[] = {
    {"timesteps", LDM_PARAM_INT, D(timesteps), SHAPE, false},
    {"beta_schedule", LDM_PARAM_BETAS, D(beta_schedule), SILENT, false},
    {"linear_start", LDM_PARAM_DOUBLE, D(linear_start), SILENT, false},
    {"linear_end", LDM_PARAM_DOUBLE, D(linear_end), SILENT, false},
    {"cosine_s", LDM_PARAM_DOUBLE, D(cosine_s), SILENT, false},
    {"image_size", LDM_PARAM_EXTENT, D(image_size), SILENT, false},
    {"channels", LDM_PARAM_INT, D(channels), SILENT, false},
    {"scale_factor", LDM_PARAM_DOUBLE, D(scale_factor), SILENT, false},
    {"scale_by_std", LDM_PARAM_BOOL, D(scale_by_std), SHAPE, false},
    {"use_ema", LDM_PARAM_BOOL, D(use_ema), SHAPE, false},
    {"conditioning_key", LDM_PARAM_STRING, D(conditioning_key), SILENT, false},
    {"concat_mode", LDM_PARAM_BOOL, D(concat_mode), SILENT, false},
    {"parameterization", LDM_PARAM_STRING, D(parameterization), SILENT, false},
    {"learn_logvar", LDM_PARAM_BOOL, D(learn_logvar), SHAPE, false},
    {"unet_config", LDM_PARAM_MODULE, 0, SHAPE, true},
    {"first_stage_config", LDM_PARAM_MODULE, 0, SHAPE, true},
    {"cond_stage_config", LDM_PARAM_MODULE, 0, SHAPE, true},
    LDM_PARAM_SKIP("loss_type"),
    LDM_PARAM_SKIP("ckpt_path"),
    LDM_PARAM_SKIP("ignore_keys"),
    LDM_PARAM_SKIP("load_only_unet"),
    LDM_PARAM_SKIP("monitor"),
    LDM_PARAM_SKIP("first_stage_key"),
    LDM_PARAM_SKIP("log_every_t"),
    LDM_PARAM_SKIP("clip_denoised"),
    LDM_PARAM_SKIP("given_betas"),
    LDM_PARAM_SKIP("original_elbo_weight"),
    LDM_PARAM_SKIP("v_posterior"),
    LDM_PARAM_SKIP("l_simple_weight"),
    LDM_PARAM_SKIP("scheduler_config"),
    LDM_PARAM_SKIP("use_positional_encodings"),
    LDM_PARAM_SKIP("logvar_init"),
    LDM_PARAM_SKIP("num_timesteps_cond"),
    LDM_PARAM_SKIP("cond_stage_key"),
    LDM_PARAM_SKIP("cond_stage_trainable"),
    LDM_PARAM_SKIP("cond_stage_forward"),
};
#undef D

/* LatentDiffusion.__init__: what conditioning_key becomes. */
static ldm_status settle_conditioning(ldm_param_reader *r, const ldm_value *params)
{
    static const char *const keys[] = {"concat", "crossattn", "hybrid", "adm"};
    ldm_diffusion_config *d = &r->network->diffusion;
    size_t count = sizeof keys / sizeof keys[0], i;

    if (!d->conditioning_key)
        d->conditioning_key = d->concat_mode ? "concat" : "crossattn";
    for (i = 0; i < count && strcmp(keys[i], d->conditioning_key); i++)
        ;
    if (i == count)
        return ldm_value_error(ldm_value_find(params, "conditioning_key"), r->err,
                               "is \"%.100s\", expected null, concat, crossattn, hybrid or adm",
                               d->conditioning_key);
    if (!r->network->conditioner_count)
        d->conditioning_key = NULL;
    return LDM_OK;
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
        (strcmp(d->parameterization, "eps") && strcmp(d->parameterization, "x0")))
        return ldm_value_error(v, err, "is %.100s, expected eps or x0",
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

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
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
    };
    st = ldm_params_read(r, m->at, m->params, "model.params", &table, d);
    if (!st)
        st = validate(d, m->params, r->err);
    if (!st)
        st = read_unet(r, ldm_value_find(m->params, "unet_config"));
    if (!st)
        st = read_first_stage(r, ldm_value_find(m->params, "first_stage_config"));
    if (!st)
        st = read_conditioner(r, ldm_value_find(m->params, "cond_stage_config"));
    if (!st)
        st = settle_conditioning(r, m->params);
    if (!st)
        mark_effects(r->network);
    return st;
}

const ldm_network_part ldm_part_latent_diffusion = {LDM_ROLE_MODEL, read, declare, NULL};
