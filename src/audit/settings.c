/* SPDX-License-Identifier: MIT */
/* Settings that no tensor's shape shows: what a run will use, where each value comes from, and
 * remarks. A buffer in the checkpoint takes precedence over the configuration, and that over the
 * default.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audit/takes.h"
#include "audit/internal.h"
#include "base/alloc.h"

enum { MOST_ENTRIES = 1 << 24 }; /* numbers of a codebook that are looked at */

/* Where a setting comes from: for programs with the whole path, for people without the folder. */
typedef struct place {
    const char *full, *brief;
} place;

static place place_of(const ldm_audit *a, ldm_findings *f, const char *path)
{
    const ldm_param *s = ldm_network_param(a->network, path);
    ldm_origin o = s ? s->origin : (ldm_origin){NULL, 0, 0};
    place p = {ldm_audit_origin_text(f->arena, o), ldm_audit_origin_short(f, o)};

    if (!p.full) {
        f->failed = true;
        p.full = "";
    }
    return p;
}

static const char *origin_of(const ldm_audit *a, ldm_findings *f, const char *path)
{
    return place_of(a, f, path).brief;
}

static place fixed(const char *text)
{
    return (place){text, text};
}

static ldm_row *add_row(ldm_findings *f, const char *name)
{
    static const ldm_row empty;

    if (!ldm_grow(&f->rows, &f->row_cap, f->row_count + 1, sizeof *f->rows)) {
        f->failed = true;
        return NULL;
    }
    f->rows[f->row_count] = empty;
    f->rows[f->row_count].name = name;
    return &f->rows[f->row_count++];
}

static void add_typed(ldm_findings *f, const char *name, ldm_value_type type, double number,
                      const char *text, place origin, const char *note)
{
    ldm_row *r = add_row(f, name);

    if (!r)
        return;
    r->type = type;
    r->number = number;
    r->text = text;
    r->origin = origin.full;
    r->place = origin.brief;
    r->note = note;
}

/* A value as the network prints it, typed again for JSON. */
static void add_setting(const ldm_audit *a, ldm_findings *f, const char *path, const char *name)
{
    const ldm_param *s = ldm_network_param(a->network, path);
    char *end;
    double v;

    if (!s || (s->effect == LDM_EFFECT_NONE && !s->origin.source && strcmp(name, "num_heads")))
        return; /* leave out a default without effect; but num_heads is always shown */
    v = strtod(s->value, &end);
    if (strcmp(s->value, "null") == 0)
        add_typed(f, name, LDM_TYPE_NULL, 0, s->value, place_of(a, f, path), NULL);
    else if (strcmp(s->value, "true") == 0 || strcmp(s->value, "false") == 0)
        add_typed(f, name, LDM_TYPE_BOOL, s->value[0] == 't', s->value, place_of(a, f, path), NULL);
    else if (end != s->value && !*end)
        add_typed(f, name, s->value[strcspn(s->value, ".eE")] ? LDM_TYPE_REAL : LDM_TYPE_INT, v,
                  s->value, place_of(a, f, path), NULL);
    else
        add_typed(f, name, LDM_TYPE_TEXT, 0, s->value, place_of(a, f, path), NULL);
    if (s->effect == LDM_EFFECT_NONE && f->row_count)
        f->rows[f->row_count - 1].note = ldm_findings_text(f, "no effect: %s", s->reason);
}

/* ---- scale factor ------------------------------------------------------------------------------
 */

/* The standard deviation of the codebook's entries; 0 where the file does not tell it. */
static double codebook_std(const ldm_audit *a, ldm_findings *f)
{
    const ldm_tensor_info *t =
        ldm_ckpt_find(a->ckpt, "first_stage_model.quantize.embedding.weight");
    double sum = 0, squares = 0, mean;
    ldm_status st;
    uint64_t i;
    float *v;

    if (!t || !t->numel || t->numel > MOST_ENTRIES || !ldm_dtype_readable(t->dtype))
        return 0;
    v = ldm_reallocarray(NULL, (size_t)t->numel, sizeof *v);
    st = v ? ldm_ckpt_read_f32(a->ckpt, t, v, NULL) : LDM_ERR_NOMEM;
    f->failed |= st == LDM_ERR_NOMEM;
    for (i = 0; !st && i < t->numel; i++) {
        sum += v[i];
        squares += (double)v[i] * v[i];
    }
    mean = sum / (double)t->numel;
    ldm_free(v);
    return st ? 0 : sqrt(fmax(squares / (double)t->numel - mean * mean, 0));
}

/* A diffusion model is trained on latents whose standard deviation times scale_factor is near 1,
 * and the codebook's entries are such latents. 1 is what every published VQ model has, so it is
 * doubted only where it is far too large: the shipped model's entries have 4.8, and with 1 its
 * pictures are dark. */
static void codebook_note(const ldm_audit *a, ldm_findings *f, double scale)
{
    const double limit = scale == 1.0 ? 4 : 2.5, std = codebook_std(a, f), product = std * scale;
    const bool known = std > 0 && isfinite(std);
    const char *published = ldm_findings_text(
        f, "The published VQ models (ffhq, celebahq, lsun_bedrooms, cin) use 1.0%s.",
        fabs(scale - 0.18215) < 1e-9
            ? ", and 0.18215 belongs to the KL-f8 first stage of the text-to-image models"
            : "");

    if (known ? product < limit && (scale == 1.0 || product > 1 / limit) : scale == 1.0)
        return;
    if (known)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            ldm_findings_text(
                f,
                "scale_factor %.8g (%s) is implausible: the codebook's entries have a standard "
                "deviation of %.3g, times scale_factor %.3g, and a diffusion model is trained on "
                "latents near 1; %.3g would give 1. %s Compare pictures of both values.",
                scale, origin_of(a, f, "scale_factor"), std, product, 1 / std, published));
    else
        ldm_findings_note(f, LDM_TONE_WARN,
                          ldm_findings_text(f,
                                            "scale_factor %.8g (%s) is unusual for a VQ first "
                                            "stage. %s Compare pictures of both values.",
                                            scale, origin_of(a, f, "scale_factor"), published));
}

/* What --set changed and no shape can confirm. */
static void override_notes(const ldm_audit *a, ldm_findings *f)
{
    size_t i;

    for (i = 0; i < a->network->param_count; i++) {
        const ldm_param *s = &a->network->params[i];

        if (s->effect == LDM_EFFECT_SILENT && ldm_origin_is_override(&s->origin))
            ldm_findings_note(
                f, LDM_TONE_WARN,
                ldm_findings_text(f,
                                  "%s=%s (--set) shows in no tensor's shape: that the "
                                  "checkpoint fits does not confirm it.",
                                  s->path, s->value));
    }
}

static void scale_notes(const ldm_audit *a, ldm_findings *f)
{
    const ldm_effective *e = &a->effective;
    const ldm_param *s = ldm_network_param(a->network, "scale_factor");
    bool given = s && s->origin.source, by_std = a->network->diffusion.scale_by_std;
    double config = a->network->diffusion.scale_factor, file = a->priv->file_scale;

    if (e->scale_is_buffer) {
        if (given && config != e->scale_factor)
            ldm_findings_note(
                f, LDM_TONE_WARN,
                ldm_findings_text(f,
                                  "scale_factor: the checkpoint's buffer %.8g is used; "
                                  "the configuration's %.8g (%s) has no effect, since "
                                  "scale_by_std is true.",
                                  file, config, origin_of(a, f, "scale_factor")));
        return;
    }
    if (by_std)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            ldm_findings_text(f,
                              "scale_by_std is true, but the checkpoint has no scale_factor "
                              "buffer: %s.",
                              given ? "the configuration's value is used"
                                    : "the right value is not known; give it with "
                                      "--set model.params.scale_factor=VALUE"));
    if (a->priv->file_has_scale && !by_std)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            ldm_findings_text(
                f,
                "The checkpoint carries a scale_factor buffer of %.8g, which counts "
                "only with scale_by_std: true; the configuration's %.8g is used, as in "
                "CompVis' code.%s",
                file, config,
                fabs(file - config) > 1e-6 * fabs(config)
                    ? " The two differ: the file was trained with the buffer's; try "
                      "--set model.params.scale_by_std=true"
                    : ""));
    else if (!by_std && config == 1.0 && a->network->first_stage.posterior)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            "scale_factor is 1, which is unusual for a KL first stage: the published KL models "
            "use 0.18215 or, with scale_by_std: true, the buffer in the file.");
    else if (!by_std && a->network->first_stage.codebook)
        codebook_note(a, f, config);
}

/* ---- schedule ----------------------------------------------------------------------------------
 */

static void schedule_row(const ldm_audit *a, ldm_findings *f)
{
    const ldm_schedule_check *c = &a->priv->schedule;
    place origin = fixed("checkpoint buffer");
    const char *text = "the file's buffer", *note = NULL;

    switch (c->state) {
    case LDM_SCHEDULE_COMPUTED:
        origin = place_of(a, f, "linear_start");
        text = "computed from the configuration";
        note = "the file has no alphas_cumprod";
        break;
    case LDM_SCHEDULE_EQUAL:
        note = "equal to the one the configuration gives";
        break;
    case LDM_SCHEDULE_ROUNDED:
        origin = place_of(a, f, "linear_start");
        text = "computed from the configuration";
        note = "the file's is the same rounded to half precision, which made 0 or 1 of values";
        break;
    case LDM_SCHEDULE_DAMAGED:
        origin = place_of(a, f, "linear_start");
        text = "computed from the configuration";
        note = ldm_findings_text(
            f,
            "the file's are no noise levels: at t = %d it has %.6g, the configuration gives %.6g",
            c->worst, c->in_file, c->in_config);
        break;
    case LDM_SCHEDULE_DIFFERENT:
        note =
            ldm_findings_text(f,
                              "differs from the configuration's: at t = %d the file has %.6g, the "
                              "configuration gives %.6g; the file's is used",
                              c->worst, c->in_file, c->in_config);
        break;
    case LDM_SCHEDULE_OTHER_LENGTH:
        text = "of another length than timesteps";
        note = "see shapes";
        break;
    }
    add_typed(f, "alphas_cumprod", LDM_TYPE_TEXT, 0, text, origin, note);
    if (c->state == LDM_SCHEDULE_DAMAGED)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            ldm_findings_text(f,
                              "Noise schedule: damaged in the file (t = %d: %.6g). It "
                              "is computed from the configuration.",
                              c->worst, c->in_file));
    if (c->state != LDM_SCHEDULE_DIFFERENT)
        return;
    ldm_findings_note(
        f, LDM_TONE_WARN,
        ldm_findings_text(
            f, "Noise schedule: alphas_cumprod %s.%s", note,
            c->recovered ? ldm_findings_text(f,
                                             " The file's is linear with linear_start %.8g and "
                                             "linear_end %.8g: put these into the YAML to have "
                                             "it tell the truth.",
                                             c->linear_start, c->linear_end)
                         : ""));
}

/* The sampler takes the file's buffer, whatever the configuration's numbers are. */
static void mark_schedule_unused(ldm_findings *f)
{
    size_t i;

    for (i = 0; i < f->row_count; i++) {
        const char *name = f->rows[i].name;

        if (!strcmp(name, "beta_schedule") || !strcmp(name, "linear_start") ||
            !strcmp(name, "linear_end") || !strcmp(name, "cosine_s"))
            f->rows[i].note = "no effect: the checkpoint's alphas_cumprod is used, and differs";
    }
}

/* ---- attention heads ---------------------------------------------------------------------------
 */

/* The module that feeds an attention node, without its last part: "input_blocks.4.1.qkv". All
 * attentions of a spatial transformer have its heads: "input_blocks.4.1.transformer_blocks.0..." */
static const char *block_of(const ldm_graph *g, const ldm_node *n, ldm_findings *f)
{
    const char *dot;
    char *text;
    int i;

    for (i = 0; i < g->node_count; i++) {
        const ldm_node *p = &g->nodes[i];

        if (p->out != n->in[0] || !p->name)
            continue;
        dot = strstr(p->name, ".transformer_blocks.");
        dot = dot ? dot : strrchr(p->name, '.');
        text =
            ldm_arena_strndup(f->arena, p->name, dot ? (size_t)(dot - p->name) : strlen(p->name));
        if (!text)
            f->failed = true;
        return text ? text : "";
    }
    return n->name ? n->name : "attention";
}

static ldm_status add_heads(const ldm_audit *a, ldm_findings *f, ldm_error *err)
{
    const ldm_unet_config *u = &a->network->unet;
    const int size = 1 << (u->channel_mult.count - 1); /* the smallest that every level divides */
    int i;
    const char *decides = "unet_config.params.num_heads";
    ldm_graph *g;
    ldm_status st =
        ldm_graph_create(a->network, LDM_GRAPH_UNET, (ldm_graph_size){size, size, 0}, &g, err);

    if (st)
        return st;
    for (i = 0; i < g->node_count; i++) {
        const ldm_node *n = &g->nodes[i];
        const ldm_graph_value *v = &g->values[n->out];
        ldm_heads *h;

        if (n->op != LDM_OP_ATTENTION)
            continue;
        if (!ldm_grow(&f->heads, &f->head_cap, f->head_count + 1, sizeof *f->heads)) {
            f->failed = true;
            break;
        }
        h = &f->heads[f->head_count];
        h->block = block_of(g, n, f);
        if (f->head_count && !strcmp(h[-1].block, h->block))
            continue; /* the next attention of the same transformer */
        f->head_count++;
        h->heads = n->heads;
        h->head_dim = n->head_dim;
        h->channels = v->c;
        h->downsampling = size / (v->h > 0 ? v->h : 1);
    }
    ldm_graph_free(g);
    if (u->num_head_channels != -1)
        decides = "unet_config.params.num_head_channels";
    f->heads_origin = place_of(a, f, decides).full;
    f->heads_place = place_of(a, f, decides).brief;
    return LDM_OK;
}

/* ---- the rest ----------------------------------------------------------------------------------
 */

static void conditioning_row(const ldm_audit *a, ldm_findings *f)
{
    const char *key = a->network->diffusion.conditioning_key;
    const ldm_param *s = ldm_network_param(a->network, "conditioning_key");
    place origin = place_of(a, f, "conditioning_key");
    const char *note = NULL;

    if (!a->network->conditioner_count) {
        origin = place_of(a, f, "cond_stage_config");
        note = s && s->origin.source && strcmp(s->value, "null")
                   ? ldm_findings_text(f, "the %s of %s is overruled by __is_unconditional__",
                                       s->value, origin_of(a, f, "conditioning_key"))
                   : "__is_unconditional__ makes it null";
    }
    add_typed(f, "conditioning_key", key ? LDM_TYPE_TEXT : LDM_TYPE_NULL, 0, key ? key : "null",
              origin, note);
    if (!a->effective.cross_attention && (!key || strcmp(key, "crossattn") == 0))
        ldm_findings_note(
            f, LDM_TONE_PLAIN,
            "The UNet has no cross-attention: conditioning_key, a context and guidance "
            "(--scale) have no effect on it.");
}

static void weights_row(const ldm_audit *a, ldm_findings *f)
{
    const ldm_effective *e = &a->effective;
    place origin = a->priv->ema_asked == 1   ? fixed("--ema")
                   : a->priv->ema_asked == 0 ? fixed("--no-ema")
                                             : place_of(a, f, "use_ema");

    add_typed(f, "weights", LDM_TYPE_TEXT, 0, e->ema ? "EMA" : "raw", origin, e->ema_reason);
    if (e->ema && a->priv->ema_never_updated)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            "The EMA weights were never updated (model_ema.num_updates is 0): they are "
            "those that the training began with. --no-ema takes the raw weights.");
    if (!e->ema && a->priv->ema_asked == -1 && a->network->diffusion.use_ema)
        ldm_findings_note(f, LDM_TONE_WARN,
                          "use_ema is true but the checkpoint has no model_ema.* tensors: the raw "
                          "weights are used. CompVis' sample script would use random ones here.");
}

const char *ldm_audit_no_generate(const ldm_audit *a, ldm_findings *f)
{
    const ldm_network *s = a->network;
    int in = s->unet.in_channels, out = s->unet.out_channels;

    if (s->lone_first_stage)
        return "It is a first stage alone, without a UNet that would make latents.";
    if (s->unet_inputs.latent != out)
        return ldm_findings_text(f,
                                 "The UNet reads %d channels (in_channels, %s) and writes %d "
                                 "(out_channels, %s): it needs a conditioning beside the latent, "
                                 "and conditioning_key passes none.",
                                 in, origin_of(a, f, "unet_config.params.in_channels"), out,
                                 origin_of(a, f, "unet_config.params.out_channels"));
    if (s->first_stage.latent_channels != out)
        return ldm_findings_text(f,
                                 "The UNet writes %d channels (out_channels, %s), but the first "
                                 "stage decodes %d (embed_dim, %s): they must be equal.",
                                 out, origin_of(a, f, "unet_config.params.out_channels"),
                                 s->first_stage.latent_channels,
                                 origin_of(a, f, "first_stage_config.params.embed_dim"));
    return NULL;
}

/* A text encoder's size is in no configuration: it is the file's, and the published one is what
 * those who share a model by its YAML expect. */
static void tower_note(const ldm_audit *a, ldm_findings *f)
{
    ldm_conditions_found found;

    ldm_audit_find_conditions(a->network, &found);
    if (found.tower && found.tower_differs)
        ldm_findings_note(
            f, LDM_TONE_PLAIN,
            ldm_findings_text(f,
                              "The text encoder has %d layers of width %d; %s, which the original "
                              "gets by its name, has %d of width %d and would not load this file.",
                              found.tower->layers, found.tower->context_width,
                              found.tower->published, found.tower->published_layers,
                              found.tower->published_width));
}

static void positions_note(const ldm_audit *a, ldm_findings *f)
{
    if (a->priv->odd_position >= 0)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            ldm_findings_text(f,
                              "The text encoder's position_ids are damaged (number %d is %.6g), as "
                              "merging leaves them. ldm takes 0, 1, 2 ...; CompVis' code with "
                              "transformers before 4.31 takes the file's, and hears other words.",
                              a->priv->odd_position, a->priv->odd_value));
}

/* The configurations of Stable Diffusion 2 ask for it, and the original then fails on a CPU. */
static void half_note(const ldm_audit *a, ldm_findings *f)
{
    const ldm_param *p = ldm_network_param(a->network, "unet_config.params.use_fp16");

    if (p && !strcmp(p->value, "true"))
        ldm_findings_note(f, LDM_TONE_PLAIN,
                          "use_fp16 is true: it asks the original to compute in half precision, "
                          "and ldm does not obey it (--precision says how ldm computes).");
}

static void encode_note(const ldm_audit *a, ldm_findings *f)
{
    if (a->network->first_stage.no_encode)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            ldm_findings_text(f, "%s, in the original as well. %s works.",
                              a->network->first_stage.no_encode,
                              a->network->lone_first_stage ? "Decoding" : "Sampling"));
}

static void shape_notes(const ldm_audit *a, ldm_findings *f)
{
    const ldm_network *s = a->network;

    if (!s->conditioner_count && s->diffusion.channels != s->unet.in_channels)
        ldm_findings_note(f, LDM_TONE_BAD,
                          ldm_findings_text(f,
                                            "channels is %d (%s), but the UNet reads %d "
                                            "(in_channels, %s): they must be equal.",
                                            s->diffusion.channels, origin_of(a, f, "channels"),
                                            s->unet.in_channels,
                                            origin_of(a, f, "unet_config.params.in_channels")));
    if (ldm_audit_no_generate(a, f) && !s->lone_first_stage)
        ldm_findings_note(f, LDM_TONE_BAD, ldm_audit_no_generate(a, f));
    encode_note(a, f);
    if (strcmp(s->diffusion.parameterization, "x0") == 0)
        ldm_findings_note(
            f, LDM_TONE_WARN,
            "parameterization is x0, but CompVis' DDIM takes the network's output for "
            "eps all the same, and so does ldm.");
}

/* The name of a setting without "model.", every "params." and the first stage's level, for rows
 * that need the whole path. */
static const char *short_path(ldm_findings *f, const char *path)
{
    char *text = ldm_arena_strdup(f->arena, path), *hit;
    static const char cut[] = "params.", stage[] = "first_stage_config.";

    if (!text) {
        f->failed = true;
        return "";
    }
    if (ldm_audit_starts_with(text, "model."))
        memmove(text, text + 6, strlen(text + 6) + 1);
    while ((hit = strstr(text, cut)) != NULL)
        memmove(hit, hit + sizeof cut - 1, strlen(hit + sizeof cut - 1) + 1);
    if (ldm_audit_starts_with(text, stage))
        text += sizeof stage - 1;
    return text;
}

/* Silent settings that have no row of their own above (tanh_out, the UNet's image_size, ...). */
static void add_others(const ldm_audit *a, ldm_findings *f)
{
    size_t i, k;

    for (i = 0; i < a->network->param_count; i++) {
        const ldm_param *s = &a->network->params[i];
        const char *name = short_path(f, s->path), *last = strrchr(name, '.');
        bool shown = false;

        if (s->effect != LDM_EFFECT_SILENT || !ldm_audit_starts_with(s->path, "model.params."))
            continue;
        for (k = 0; k < f->row_count && !shown; k++)
            shown = strcmp(f->rows[k].name, name) == 0 ||
                    (last && ldm_audit_starts_with(name, "unet_config.") &&
                     strcmp(last + 1, "image_size") != 0 && strcmp(f->rows[k].name, last + 1) == 0);
        if (!shown)
            add_setting(a, f, s->path + strlen("model.params."), name);
    }
}

ldm_status ldm_audit_find_settings(const ldm_audit *a, ldm_findings *f, ldm_error *err)
{
    static const char *const unet[] = {"num_heads", "num_head_channels", "num_heads_upsample",
                                       "use_new_attention_order", "legacy"};
    static const char *const diffusion[] = {"parameterization", "beta_schedule", "linear_start",
                                            "linear_end",       "cosine_s",      "timesteps"};
    static const char *const rest[] = {"use_ema", "scale_by_std", "image_size", "channels"};
    const ldm_effective *e = &a->effective;
    ldm_status st;
    size_t i;

    if (a->network->lone_first_stage) {
        add_others(a, f);
        override_notes(a, f);
        encode_note(a, f);
        return f->failed ? ldm_error_nomem(err, 0, "the list of settings") : LDM_OK;
    }
    add_typed(f, "scale_factor", LDM_TYPE_REAL, e->scale_factor,
              ldm_findings_text(f, "%.8g", e->scale_factor),
              e->scale_is_buffer ? fixed("checkpoint buffer") : place_of(a, f, "scale_factor"),
              NULL);
    scale_notes(a, f);
    override_notes(a, f);
    for (i = 0; i < sizeof unet / sizeof unet[0]; i++)
        add_setting(a, f, ldm_findings_text(f, "unet_config.params.%s", unet[i]), unet[i]);
    conditioning_row(a, f);
    for (i = 0; i < sizeof diffusion / sizeof diffusion[0]; i++)
        add_setting(a, f, diffusion[i], diffusion[i]);
    if (a->priv->schedule.state == LDM_SCHEDULE_DIFFERENT)
        mark_schedule_unused(f);
    schedule_row(a, f);
    weights_row(a, f);
    for (i = 0; i < sizeof rest / sizeof rest[0]; i++)
        add_setting(a, f, rest[i], rest[i]);
    add_others(a, f);
    shape_notes(a, f);
    tower_note(a, f);
    positions_note(a, f);
    half_note(a, f);
    st = add_heads(a, f, err);
    if (st)
        return st;
    return f->failed ? ldm_error_nomem(err, 0, "the list of settings") : LDM_OK;
}
