/* Constructor parameters as rows: name, type, where the value goes, what it changes. Reading a map
 * by its rows yields the configuration, the list of settings with their origins, and the keys that
 * no constructor takes. Defaults are CompVis'. */
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "network/private.h"
#include "network/builder.h"

/* Of keys that nothing reads: each is told, and sought for in all that there are. */
enum { MAX_UNKNOWN = 1000 };

typedef enum kind {
    K_INT, /* int; null sets -1 */
    K_BOOL,
    K_DOUBLE,
    K_STRING, /* const char *; null sets NULL */
    K_INTS,   /* ldm_int_list */
    K_SKIP,   /* of no use to sampling: any value */
    K_MODULE  /* a nested {target, params}: read elsewhere */
} kind;

typedef struct param {
    const char *name;
    kind kind;
    size_t offset;
    ldm_effect effect;
    bool required;
} param;

#define SHAPE LDM_EFFECT_SHAPE
#define SILENT LDM_EFFECT_SILENT
#define TRAINING LDM_EFFECT_TRAINING
#define SKIP(name)                                                                                 \
    {                                                                                              \
        name, K_SKIP, 0, TRAINING, false                                                           \
    }

#define D(field) offsetof(ldm_diffusion_config, field)
static const param diffusion_params[] = {
    {"timesteps", K_INT, D(timesteps), SHAPE, false},
    {"beta_schedule", K_STRING, 0, SILENT, false}, /* read by read_beta_schedule */
    {"linear_start", K_DOUBLE, D(linear_start), SILENT, false},
    {"linear_end", K_DOUBLE, D(linear_end), SILENT, false},
    {"cosine_s", K_DOUBLE, D(cosine_s), SILENT, false},
    {"image_size", K_INT, D(image_size), SILENT, false},
    {"channels", K_INT, D(channels), SILENT, false},
    {"scale_factor", K_DOUBLE, D(scale_factor), SILENT, false},
    {"scale_by_std", K_BOOL, D(scale_by_std), SHAPE, false},
    {"use_ema", K_BOOL, D(use_ema), SHAPE, false},
    {"conditioning_key", K_STRING, D(conditioning_key), SILENT, false},
    {"concat_mode", K_BOOL, D(concat_mode), SILENT, false},
    {"parameterization", K_STRING, D(parameterization), SILENT, false},
    {"learn_logvar", K_BOOL, D(learn_logvar), SHAPE, false},
    {"unet_config", K_MODULE, 0, SHAPE, true},
    {"first_stage_config", K_MODULE, 0, SHAPE, true},
    {"cond_stage_config", K_MODULE, 0, SHAPE, true},
    SKIP("loss_type"),
    SKIP("ckpt_path"),
    SKIP("ignore_keys"),
    SKIP("load_only_unet"),
    SKIP("monitor"),
    SKIP("first_stage_key"),
    SKIP("log_every_t"),
    SKIP("clip_denoised"),
    SKIP("given_betas"),
    SKIP("original_elbo_weight"),
    SKIP("v_posterior"),
    SKIP("l_simple_weight"),
    SKIP("scheduler_config"),
    SKIP("use_positional_encodings"),
    SKIP("logvar_init"),
    SKIP("num_timesteps_cond"),
    SKIP("cond_stage_key"),
    SKIP("cond_stage_trainable"),
    SKIP("cond_stage_forward"),
};
#undef D

#define U(field) offsetof(ldm_unet_config, field)
static const param unet_params[] = {
    {"image_size", K_INT, U(image_size), SILENT, true},
    {"in_channels", K_INT, U(in_channels), SHAPE, true},
    {"model_channels", K_INT, U(model_channels), SHAPE, true},
    {"out_channels", K_INT, U(out_channels), SHAPE, true},
    {"num_res_blocks", K_INT, U(num_res_blocks), SHAPE, true},
    {"attention_resolutions", K_INTS, U(attention_resolutions), SHAPE, true},
    {"channel_mult", K_INTS, U(channel_mult), SHAPE, false},
    {"conv_resample", K_BOOL, U(conv_resample), SHAPE, false},
    {"dims", K_INT, U(dims), SHAPE, false},
    {"num_classes", K_INT, U(num_classes), SHAPE, false},
    {"num_heads", K_INT, U(num_heads), SILENT, false},
    {"num_head_channels", K_INT, U(num_head_channels), SILENT, false},
    {"num_heads_upsample", K_INT, U(num_heads_upsample), SILENT, false},
    {"use_scale_shift_norm", K_BOOL, U(use_scale_shift_norm), SHAPE, false},
    {"resblock_updown", K_BOOL, U(resblock_updown), SHAPE, false},
    {"use_new_attention_order", K_BOOL, U(use_new_attention_order), SILENT, false},
    {"use_spatial_transformer", K_BOOL, U(use_spatial_transformer), SHAPE, false},
    {"context_dim", K_INT, U(context_dim), SHAPE, false},
    {"n_embed", K_INT, U(n_embed), SHAPE, false},
    {"legacy", K_BOOL, U(legacy), SILENT, false},
    SKIP("dropout"),
    SKIP("use_checkpoint"),
    SKIP("use_fp16"),
    SKIP("transformer_depth"),
};
#undef U

#define V(field) offsetof(ldm_vq_config, field)
static const param vq_params[] = {
    {"embed_dim", K_INT, V(embed_dim), SHAPE, true},
    {"n_embed", K_INT, V(n_embed), SHAPE, true},
    {"ddconfig", K_MODULE, 0, SHAPE, true},
    {"use_ema", K_BOOL, V(use_ema), SHAPE, false},
    {"colorize_nlabels", K_INT, V(colorize_nlabels), SHAPE, false},
    SKIP("lossconfig"),
    SKIP("ckpt_path"),
    SKIP("ignore_keys"),
    SKIP("image_key"),
    SKIP("monitor"),
    SKIP("batch_resize_range"),
    SKIP("scheduler_config"),
    SKIP("lr_g_factor"),
    SKIP("remap"),
    SKIP("sane_index_shape"),
};

static const param dd_params[] = {
    {"ch", K_INT, V(ch), SHAPE, true},
    {"out_ch", K_INT, V(out_ch), SHAPE, true},
    {"ch_mult", K_INTS, V(ch_mult), SHAPE, false},
    {"num_res_blocks", K_INT, V(num_res_blocks), SHAPE, true},
    {"attn_resolutions", K_INTS, V(attn_resolutions), SHAPE, true},
    {"resamp_with_conv", K_BOOL, V(resamp_with_conv), SHAPE, false},
    {"in_channels", K_INT, V(in_channels), SHAPE, true},
    {"resolution", K_INT, V(resolution), SHAPE, true},
    {"z_channels", K_INT, V(z_channels), SHAPE, true},
    {"double_z", K_BOOL, V(double_z), SHAPE, false},
    {"give_pre_end", K_BOOL, V(give_pre_end), SILENT, false},
    {"tanh_out", K_BOOL, V(tanh_out), SILENT, false},
    {"use_linear_attn", K_BOOL, V(use_linear_attn), SHAPE, false},
    {"attn_type", K_STRING, V(attn_type), SHAPE, false},
    SKIP("dropout"),
};
#undef V

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct reader {
    ldm_network *network;
    ldm_error *err;
} reader;

static ldm_status nomem(reader *r)
{
    return ldm_error_nomem(r->err, 0, "the list of settings");
}

static char *printf_arena(reader *r, const char *prefix, const char *name)
{
    ldm_arena *a = r->network->priv->arena;

    return *prefix ? ldm_arena_printf(a, "%s.%s", prefix, name) : ldm_arena_strdup(a, name);
}

static ldm_status add_setting(reader *r, const char *prefix, const param *p, const char *value,
                              const ldm_value *v)
{
    ldm_network *s = r->network;
    ldm_setting *set;

    if (!ldm_grow(&s->settings, &s->priv->setting_cap, s->setting_count + 1, sizeof *s->settings))
        return nomem(r);
    set = &s->settings[s->setting_count];
    memset(set, 0, sizeof *set);
    set->path = printf_arena(r, prefix, p->name);
    set->name = p->name;
    set->value = ldm_arena_strdup(s->priv->arena, value);
    if (!set->path || !set->value)
        return nomem(r);
    if (v)
        set->origin = ldm_value_origin(v);
    set->effect = p->effect;
    if (p->kind == K_SKIP)
        set->reason = "of training or logging only";
    s->setting_count++;
    return LDM_OK;
}

static ldm_status add_unknown(reader *r, const char *prefix, const ldm_value *v, const param *rows,
                              size_t count)
{
    ldm_network *s = r->network;
    ldm_unknown_key *u;
    size_t i, best = 3;

    if (s->unknown_count == MAX_UNKNOWN)
        return ldm_value_error(
            v, r->err, "is one more than %d keys that nothing reads; take them out", MAX_UNKNOWN);
    if (!ldm_grow(&s->unknown, &s->priv->unknown_cap, s->unknown_count + 1, sizeof *s->unknown))
        return nomem(r);
    u = &s->unknown[s->unknown_count];
    memset(u, 0, sizeof *u);
    u->path = printf_arena(r, prefix, ldm_value_key(v));
    u->origin = ldm_value_origin(v);
    if (!u->path)
        return nomem(r);
    for (i = 0; i < count; i++) {
        size_t d = ldm_edit_distance(rows[i].name, ldm_value_key(v), 2);

        if (d < best) {
            best = d;
            u->suggestion = rows[i].name;
        }
    }
    s->unknown_count++;
    return LDM_OK;
}

static ldm_status read_int(const ldm_value *v, int *out, ldm_error *err)
{
    int64_t n;
    ldm_status st = ldm_value_int(v, &n, err);

    if (st)
        return st;
    if (n < INT_MIN || n > INT_MAX)
        return ldm_value_error(v, err, "is out of range");
    *out = (int)n;
    return LDM_OK;
}

static ldm_status read_ints(const ldm_value *v, ldm_int_list *out, ldm_error *err)
{
    size_t i, n = ldm_value_count(v);
    ldm_status st;

    if (ldm_value_get_kind(v) != LDM_VALUE_LIST)
        return ldm_value_error(v, err, "is %s, expected a list of numbers",
                               ldm_value_kind_name(ldm_value_get_kind(v)));
    if (n > LDM_MAX_LEVELS)
        return ldm_value_error(v, err, "has %zu entries, expected at most %d", n, LDM_MAX_LEVELS);
    for (i = 0; i < n; i++) {
        st = read_int(ldm_value_at(v, i), &out->items[i], err);
        if (st)
            return st;
    }
    out->count = (int)n;
    return LDM_OK;
}

static ldm_status read_value(const param *p, const ldm_value *v, char *base, ldm_error *err)
{
    void *field = base + p->offset;
    bool null = ldm_value_get_kind(v) == LDM_VALUE_NULL;

    switch (p->kind) {
    case K_INT:
        if (null) {
            *(int *)field = -1;
            return LDM_OK;
        }
        return read_int(v, field, err);
    case K_BOOL:
        return ldm_value_bool(v, field, err);
    case K_DOUBLE:
        return ldm_value_double(v, field, err);
    case K_STRING:
        if (null) {
            *(const char **)field = NULL;
            return LDM_OK;
        }
        return ldm_value_string(v, field, err);
    case K_INTS:
        return read_ints(v, field, err);
    case K_SKIP:
    case K_MODULE:
        break;
    }
    return LDM_OK;
}

static void value_text(const param *p, const char *base, ldm_str *out)
{
    const void *field = base + p->offset;
    const ldm_int_list *list;
    int i;

    switch (p->kind) {
    case K_INT:
        ldm_str_printf(out, "%d", *(const int *)field);
        break;
    case K_BOOL:
        ldm_str_puts(out, *(const bool *)field ? "true" : "false");
        break;
    case K_DOUBLE:
        ldm_str_printf(out, "%.10g", *(const double *)field);
        break;
    case K_STRING:
        ldm_str_puts(out, *(const char *const *)field ? *(const char *const *)field : "null");
        break;
    case K_INTS:
        list = field;
        ldm_str_puts(out, "[");
        for (i = 0; i < list->count; i++)
            ldm_str_printf(out, i ? ", %d" : "%d", list->items[i]);
        ldm_str_puts(out, "]");
        break;
    case K_SKIP:
    case K_MODULE:
        break;
    }
}

/* What stands in the YAML, for the report alone. */
static void skipped_text(const ldm_value *v, ldm_str *out)
{
    const char *s;
    double d;
    bool b;

    switch (ldm_value_get_kind(v)) {
    case LDM_VALUE_NULL:
        ldm_str_puts(out, "null");
        break;
    case LDM_VALUE_BOOL:
        ldm_str_puts(out, !ldm_value_bool(v, &b, NULL) && b ? "true" : "false");
        break;
    case LDM_VALUE_INT:
    case LDM_VALUE_FLOAT:
        if (!ldm_value_double(v, &d, NULL))
            ldm_str_printf(out, "%.10g", d);
        break;
    case LDM_VALUE_STRING:
        if (!ldm_value_string(v, &s, NULL))
            ldm_str_puts(out, s);
        break;
    case LDM_VALUE_LIST:
        ldm_str_puts(out, "[...]");
        break;
    case LDM_VALUE_MAP:
        ldm_str_puts(out, "{...}");
        break;
    }
}

/* One row: its value, or the default that is in base already, and the setting. */
static ldm_status read_param(reader *r, const ldm_value *map, const char *prefix, const param *p,
                             char *base)
{
    const ldm_value *v = map ? ldm_value_find(map, p->name) : NULL;
    ldm_str text = {0};
    ldm_status st = LDM_OK;

    if (!v && p->required)
        return ldm_value_error(map, r->err, "%s is missing; the original demands it", p->name);
    if (p->kind == K_MODULE || (p->kind == K_SKIP && !v))
        return LDM_OK;
    if (v && p->kind != K_SKIP)
        st = read_value(p, v, base, r->err);
    if (st)
        return st;
    if (p->kind == K_SKIP)
        skipped_text(v, &text);
    else
        value_text(p, base, &text);
    if (text.failed)
        st = nomem(r);
    else
        st = add_setting(r, prefix, p, text.data ? text.data : "", v);
    ldm_str_free(&text);
    return st;
}

static ldm_status read_params(reader *r, const ldm_value *map, const char *prefix,
                              const param *rows, size_t count, void *base)
{
    size_t i, j, n;
    ldm_status st;

    if (ldm_value_get_kind(map) != LDM_VALUE_MAP)
        return ldm_value_error(map, r->err, "is %s, expected a map of parameters",
                               ldm_value_kind_name(ldm_value_get_kind(map)));
    for (i = 0; i < count; i++) {
        if (strcmp(rows[i].name, "beta_schedule") == 0)
            continue;
        st = read_param(r, map, prefix, &rows[i], base);
        if (st)
            return st;
    }
    n = ldm_value_count(map);
    for (i = 0; i < n; i++) {
        const ldm_value *v = ldm_value_at(map, i);

        for (j = 0; j < count && strcmp(rows[j].name, ldm_value_key(v)); j++)
            ;
        if (j == count) {
            st = add_unknown(r, prefix, v, rows, count);
            if (st)
                return st;
        }
    }
    return LDM_OK;
}

static ldm_status read_beta_schedule(reader *r, const ldm_value *map)
{
    static const param row = {"beta_schedule", K_STRING, 0, SILENT, false};
    const ldm_value *v = ldm_value_find(map, "beta_schedule");
    const char *name = "linear";
    ldm_status st;

    if (v) {
        st = ldm_value_string(v, &name, r->err);
        if (st)
            return st;
    }
    st = ldm_beta_schedule_parse(name, &r->network->diffusion.beta_schedule, r->err);
    if (st)
        return ldm_value_error(v ? v : map, r->err,
                               "is \"%s\", expected linear, cosine, sqrt_linear or sqrt", name);
    return add_setting(r, "model.params", &row, name, v);
}

/* What `target` of a module must be for ldm to know it. */
static ldm_status expect_target(const ldm_value *module, const char *what,
                                const char *const *targets, ldm_error *err)
{
    const ldm_value *t = ldm_value_find(module, "target");
    const char *name;
    ldm_status st;
    int i;

    if (ldm_value_get_kind(module) != LDM_VALUE_MAP)
        return ldm_value_error(module, err, "is %s, expected a map with target and params",
                               ldm_value_kind_name(ldm_value_get_kind(module)));
    if (!t)
        return ldm_value_error(module, err, "target is missing, expected %s", targets[0]);
    st = ldm_value_string(t, &name, err);
    if (st)
        return st;
    for (i = 0; targets[i]; i++) {
        if (strcmp(name, targets[i]) == 0)
            return LDM_OK;
    }
    ldm_value_error(t, err, "is %s: ldm knows one %s, %s", name, what, targets[0]);
    if (err)
        err->code = LDM_ERR_UNSUPPORTED;
    return LDM_ERR_UNSUPPORTED;
}

static ldm_status find_params(const ldm_value *module, const ldm_value **out, ldm_error *err)
{
    *out = ldm_value_find(module, "params");
    if (!*out)
        return ldm_value_error(module, err, "params is missing, expected a map of parameters");
    return LDM_OK;
}

static ldm_status read_unet(reader *r, const ldm_value *module)
{
    static const char *const targets[] = {"ldm.modules.diffusionmodules.openaimodel.UNetModel",
                                          NULL};
    ldm_unet_config *u = &r->network->unet;
    const ldm_value *params;
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
    st = expect_target(module, "UNet", targets, r->err);
    if (!st)
        st = find_params(module, &params, r->err);
    if (!st)
        st = read_params(r, params, "model.params.unet_config.params", unet_params,
                         COUNT(unet_params), u);
    return st ? st : ldm_unet_validate(u, params, r->err);
}

static ldm_status read_first_stage(reader *r, const ldm_value *module)
{
    static const char *const targets[] = {"ldm.models.autoencoder.VQModelInterface", NULL};
    static const char prefix[] = "model.params.first_stage_config.params";
    ldm_vq_config *v = &r->network->vq;
    const ldm_value *params, *dd;
    ldm_status st;

    *v = (ldm_vq_config){
        .ch_mult = {4, {1, 2, 4, 8}},
        .double_z = true,
        .resamp_with_conv = true,
        .attn_type = "vanilla",
        .colorize_nlabels = -1,
    };
    st = expect_target(module, "first stage", targets, r->err);
    if (!st)
        st = find_params(module, &params, r->err);
    if (!st)
        st = read_params(r, params, prefix, vq_params, COUNT(vq_params), v);
    if (st)
        return st;
    dd = ldm_value_find(params, "ddconfig");
    st = read_params(r, dd, "model.params.first_stage_config.params.ddconfig", dd_params,
                     COUNT(dd_params), v);
    if (!st && !v->attn_type)
        st = ldm_value_error(ldm_value_find(dd, "attn_type"), r->err,
                             "is null, expected vanilla or none");
    return st ? st : ldm_vq_validate(v, params, r->err);
}

static ldm_status read_cond_stage(reader *r, const ldm_value *module)
{
    static const param row = {"cond_stage_config", K_STRING, 0, SHAPE, false};
    const char *name = NULL;
    ldm_status st;

    if (ldm_value_get_kind(module) == LDM_VALUE_STRING) {
        st = ldm_value_string(module, &name, r->err);
        if (st)
            return st;
        if (strcmp(name, "__is_unconditional__") == 0)
            r->network->diffusion.cond_stage = LDM_COND_STAGE_NONE;
        else if (strcmp(name, "__is_first_stage__") == 0)
            r->network->diffusion.cond_stage = LDM_COND_STAGE_FIRST_STAGE;
        else
            return ldm_value_error(module, r->err,
                                   "is \"%s\", expected __is_unconditional__, __is_first_stage__ "
                                   "or a map with target and params",
                                   name);
        return add_setting(r, "model.params", &row, name, module);
    }
    if (ldm_value_get_kind(module) == LDM_VALUE_MAP) {
        const ldm_value *t = ldm_value_find(module, "target");

        if (t && (st = ldm_value_string(t, &name, r->err)))
            return st;
    }
    ldm_value_error(module, r->err,
                    "is %s: ldm has no conditioning networks yet, only __is_unconditional__ and "
                    "__is_first_stage__",
                    name ? name : "not a conditioning stage");
    if (r->err)
        r->err->code = LDM_ERR_UNSUPPORTED;
    return LDM_ERR_UNSUPPORTED;
}

/* LatentDiffusion.__init__: what conditioning_key becomes. */
static ldm_status settle_conditioning(reader *r, const ldm_value *params)
{
    static const char *const keys[] = {"concat", "crossattn", "hybrid", "adm"};
    ldm_diffusion_config *d = &r->network->diffusion;
    size_t i;

    if (!d->conditioning_key)
        d->conditioning_key = d->concat_mode ? "concat" : "crossattn";
    for (i = 0; i < COUNT(keys) && strcmp(keys[i], d->conditioning_key); i++)
        ;
    if (i == COUNT(keys))
        return ldm_value_error(ldm_value_find(params, "conditioning_key"), r->err,
                               "is \"%s\", expected null, concat, crossattn, hybrid or adm",
                               d->conditioning_key);
    if (d->cond_stage == LDM_COND_STAGE_NONE)
        d->conditioning_key = NULL;
    return LDM_OK;
}

static ldm_status read_diffusion(reader *r, const ldm_value *model)
{
    static const char *const targets[] = {"ldm.models.diffusion.ddpm.LatentDiffusion", NULL};
    ldm_diffusion_config *d = &r->network->diffusion;
    const ldm_value *params, *v;
    ldm_status st;

    *d = (ldm_diffusion_config){
        .timesteps = 1000,
        .image_size = 256,
        .channels = 3,
        .linear_start = 1e-4,
        .linear_end = 2e-2,
        .cosine_s = 8e-3,
        .scale_factor = 1.0,
        .use_ema = true,
        .concat_mode = true,
        .parameterization = "eps",
    };
    st = expect_target(model, "model", targets, r->err);
    if (!st)
        st = find_params(model, &params, r->err);
    if (!st)
        st = read_params(r, params, "model.params", diffusion_params, COUNT(diffusion_params), d);
    if (!st)
        st = read_beta_schedule(r, params);
    if (!st)
        st = read_cond_stage(r, ldm_value_find(params, "cond_stage_config"));
    if (!st)
        st = settle_conditioning(r, params);
    if (st)
        return st;
    v = ldm_value_find(params, "given_betas");
    if (v && ldm_value_get_kind(v) != LDM_VALUE_NULL)
        return ldm_value_error(v, r->err, "is set: ldm computes betas from beta_schedule only");
    if (d->timesteps < 1 || d->timesteps > 100000) {
        v = ldm_value_find(params, "timesteps");
        return ldm_value_error(v ? v : params, r->err, "is %d, expected 1 to 100000", d->timesteps);
    }
    v = ldm_value_find(params, "parameterization");
    if (!d->parameterization ||
        (strcmp(d->parameterization, "eps") && strcmp(d->parameterization, "x0")))
        return ldm_value_error(v, r->err, "is %s, expected eps or x0",
                               d->parameterization ? d->parameterization : "null");
    /* Also false for NaN. */
    if (!(d->scale_factor > 0 && d->scale_factor < 1e30)) {
        v = ldm_value_find(params, "scale_factor");
        return ldm_value_error(v ? v : params, r->err, "is %g, expected a positive number",
                               d->scale_factor);
    }
    st = read_unet(r, ldm_value_find(params, "unet_config"));
    return st ? st : read_first_stage(r, ldm_value_find(params, "first_stage_config"));
}

/* The first value on every way down from v that --set put there, as an unknown key. */
static ldm_status add_overrides(reader *r, const char *prefix, const ldm_value *v,
                                const param *names, size_t count)
{
    ldm_origin origin = ldm_value_origin(v);
    ldm_status st = LDM_OK;
    char *path;
    size_t i;

    if (ldm_origin_is_override(&origin))
        return add_unknown(r, prefix, v, names, count);
    if (ldm_value_get_kind(v) != LDM_VALUE_MAP || !ldm_value_count(v))
        return LDM_OK;
    path = printf_arena(r, prefix, ldm_value_key(v));
    if (!path)
        return nomem(r);
    for (i = 0; !st && i < ldm_value_count(v); i++)
        st = add_overrides(r, path, ldm_value_at(v, i), NULL, 0);
    return st;
}

/* A file may hold sections for others (data, lightning); who writes --set wants an effect here. */
static ldm_status find_stray_overrides(reader *r, const ldm_value *root, const ldm_value *model)
{
    static const param sections[] = {{.name = "model"}, {.name = "ldm"}};
    static const param entries[] = {
        {.name = "target"}, {.name = "params"}, {.name = "base_learning_rate"}};
    ldm_status st = LDM_OK;
    size_t i, j;

    for (i = 0; !st && i < ldm_value_count(root); i++) {
        const ldm_value *v = ldm_value_at(root, i);

        for (j = 0; j < COUNT(sections) && strcmp(sections[j].name, ldm_value_key(v)); j++)
            ;
        if (j == COUNT(sections))
            st = add_overrides(r, "", v, sections, COUNT(sections));
    }
    for (i = 0; !st && i < ldm_value_count(model); i++) {
        const ldm_value *v = ldm_value_at(model, i);

        for (j = 0; j < COUNT(entries) && strcmp(entries[j].name, ldm_value_key(v)); j++)
            ;
        if (j == COUNT(entries))
            st = add_overrides(r, "model", v, entries, COUNT(entries));
    }
    return st;
}

ldm_status ldm_network_read_params(ldm_network *s, const ldm_config *cfg, ldm_error *err)
{
    const ldm_value *root = ldm_config_root(cfg), *model = ldm_value_find(root, "model");
    reader r = {s, err};
    ldm_status st;

    if (!model)
        return ldm_error_set(err, LDM_ERR_CONFIG,
                             "%s: the configuration has no `model:` section; a CompVis YAML begins "
                             "with one",
                             ldm_config_file(cfg));
    st = read_diffusion(&r, model);
    if (!st)
        st = find_stray_overrides(&r, root, model);
    if (!st)
        ldm_network_mark_effects(s);
    return st;
}
