/* SPDX-License-Identifier: MIT */
/* Causes of a mismatch that can be recognised, each with its cure. A detector is one function in
 * the table at the end; the order of the table is the order of the report, the most specific first.
 * They compare names and what the shapes say (infer.c) with the configuration. */
#include <stdio.h>
#include <string.h>

#include "audit/cure.h"
#include "audit/model_kind.h"
#include "infer/infer.h"

typedef struct probe {
    const ldm_audit *a;
    ldm_findings *f;
    const ldm_inferred *in;
} probe;

static void report(probe *p, const char *id, const char *finding, const char *remedy,
                   const char *set)
{
    ldm_cause *c = ldm_findings_cause(p->f, id);

    if (c) {
        c->finding = finding;
        c->remedy = remedy;
        c->set = set;
    }
}

/* ---- kinds of file -----------------------------------------------------------------------------
 */

static void empty_file(probe *p)
{
    if (p->a->checkpoint_keys == 0)
        report(p, "empty", "the file holds no tensors",
               "give the model's checkpoint, usually called model.ckpt", NULL);
}

static void diffusers_file(probe *p)
{
    if (p->in->diffusers)
        report(p, "diffusers",
               "the keys are named as Hugging Face diffusers names them (down_blocks...), "
               "not as CompVis does",
               "use the original CompVis checkpoint (model.ckpt); ldm does not rename keys", NULL);
}

/* Keys that would match under another prefix: how many, of those that are missing. */
static size_t would_match(const probe *p, const char *drop, const char *put)
{
    size_t i, n = 0;
    char name[512];

    for (i = 0; i < p->a->missing_count; i++) {
        const char *key = p->a->missing[i]->name;

        if (!ldm_audit_starts_with(key, drop))
            continue;
        if ((size_t)snprintf(name, sizeof name, "%s%s", put, key + strlen(drop)) < sizeof name &&
            ldm_ckpt_find(p->a->ckpt, name))
            n++;
    }
    return n;
}

/* The cure of a prefix that needs no Python, and in *set its assignment: names that begin with
 * `from` begin with `to` instead. NULL, NULL: a shell or YAML would take `from`, which is the
 * file's, apart. */
static const char *rename_cure(ldm_findings *f, const char *from, int len, const char *to,
                               const char **set)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

    *set = NULL;
    if ((int)strspn(from, plain) < len)
        return NULL;
    *set = ldm_findings_text(f, "ldm.load.rename={\"^%.*s\": \"%s\"}", len, from, to);
    return ldm_findings_text(f, "--set 'ldm.load.rename={\"^%.*s\": \"%s\"}'", len, from, to);
}

/* found: the prefix that a network has in the file; wanted: the one it has in CompVis' files. */
static void wrong_prefix(probe *p, const char *found, const char *wanted, const char *what,
                         const char *bare_id)
{
    ldm_findings *f = p->f;
    const char *set, *cured;
    size_t n;

    if (!found || strcmp(found, wanted) == 0 || ldm_audit_starts_with(found, "model_ema."))
        return;
    n = would_match(p, wanted, found);
    if (n == 0)
        return;
    if (!*found) {
        report(
            p, bare_id,
            ldm_findings_text(f,
                              "the file holds the %s alone: %zu of its keys lack the prefix "
                              "'%s'",
                              what, n, wanted),
            "use the whole latent diffusion checkpoint, which holds UNet and first stage, or give "
            "the other's file as well (--first-stage FILE)",
            NULL);
    } else if (ldm_audit_ends_with(found, wanted)) {
        int extra = (int)(strlen(found) - strlen(wanted));

        cured = rename_cure(f, found, extra, "", &set);
        report(p, "extra_prefix",
               ldm_findings_text(f,
                                 "the file's keys carry the extra prefix '%.*s' (%zu keys match "
                                 "without it)",
                                 extra, found, n),
               cured ? cured : "save it again without the prefix", set);
    } else {
        cured = rename_cure(f, found, (int)strlen(found), wanted, &set);
        report(p, "other_prefix",
               ldm_findings_text(f,
                                 "the %s's keys begin with '%s' in the file, not with '%s' (%zu "
                                 "keys match when renamed)",
                                 what, found, wanted, n),
               cured ? cured
                     : ldm_findings_text(f,
                                         "save it again with the keys renamed to '%s...', as "
                                         "CompVis names them",
                                         wanted),
               set);
    }
}

static void prefixes(probe *p)
{
    size_t before = p->f->cause_count;

    if (p->a->network->lone_first_stage) {
        if (p->in->stage_prefix && *p->in->stage_prefix)
            report(p, "whole_model",
                   ldm_findings_text(p->f,
                                     "the file's first stage lies below '%s', beside other parts: "
                                     "it is no file of a first stage alone",
                                     p->in->stage_prefix),
                   "use the YAML of the whole model", NULL);
        else if (p->in->unet_prefix && !p->in->stage_prefix)
            report(p, "no_first_stage",
                   "this configuration describes a first stage alone, and the file holds a UNet "
                   "and no first stage",
                   ldm_audit_other_yaml(p->a, p->f), NULL);
        return;
    }
    wrong_prefix(p, p->in->unet_prefix, "model.diffusion_model.", "UNet", "bare_unet");
    /* One extra prefix on everything is one cause, not two. */
    if (p->f->cause_count == before || strcmp(p->f->causes[before].id, "extra_prefix") != 0)
        wrong_prefix(p, p->in->stage_prefix, "first_stage_model.", "first stage",
                     "bare_first_stage");
}

/* False for an identity, which has no tensors. */
static bool has_first_stage(const ldm_network *s)
{
    int i;

    for (i = 0; i < s->tensor_count; i++) {
        if (s->tensors[i].component == LDM_COMPONENT_FIRST_STAGE)
            return true;
    }
    return false;
}

static const char *inspect_it(const probe *p)
{
    return ldm_findings_text(p->f, "see what is in it: ldm inspect %s", ldm_ckpt_path(p->a->ckpt));
}

static void missing_network(probe *p)
{
    const ldm_inferred *in = p->in;

    if (p->f->cause_count || (p->a->network->lone_first_stage && in->stage_prefix))
        return;
    if (!in->unet_prefix && in->stage_prefix)
        report(p, "first_stage_only", "the file has a first stage but no UNet",
               "use the latent diffusion checkpoint: this one is of the autoencoder alone", NULL);
    else if (in->unet_prefix && !in->stage_prefix && has_first_stage(p->a->network))
        report(
            p, "unet_only", "the file has a UNet but no first stage, so it cannot make pictures",
            "use a checkpoint that holds first_stage_model.* too, or give the first stage's file "
            "with --first-stage FILE",
            NULL);
    else if (!in->unet_prefix && p->in->stage_keys)
        report(p, "foreign_first_stage",
               "the file has no CompVis UNet, and first_stage_model.* keys that are of no first "
               "stage that ldm knows",
               inspect_it(p), NULL);
    else if (!in->unet_prefix)
        report(p, "foreign", "the file has neither a CompVis UNet nor a first stage", inspect_it(p),
               NULL);
}

static void ema_only(probe *p)
{
    if (!p->in->unet_from_ema || p->a->effective.ema)
        return;
    if (p->a->priv->ema_asked == 0)
        report(p, "ema_only",
               "the file has EMA weights (model_ema.*) only, and --no-ema asks for "
               "the raw ones",
               "leave --no-ema out", NULL);
    else
        report(p, "ema_only", "the file has EMA weights (model_ema.*) only, and use_ema is false",
               "--set model.params.use_ema=true", "model.params.use_ema=true");
}

/* A conditioner of which nothing is there: the file lost it, or never had one. */
static void no_conditioner(probe *p)
{
    const ldm_network *s = p->a->network;
    size_t missing = 0;
    int declared = 0;

    for (int i = 0; i < s->tensor_count; i++)
        declared += s->tensors[i].component == LDM_COMPONENT_COND_STAGE;
    for (size_t i = 0; i < p->a->missing_count; i++)
        missing += p->a->missing[i]->component == LDM_COMPONENT_COND_STAGE;
    if (!declared || missing != (size_t)declared || p->a->run_missing != missing ||
        p->a->run_mismatched || p->f->cause_count)
        return;
    report(p, "no_conditioner",
           ldm_findings_text(p->f,
                             "the file has no tensor of the configuration's conditioner (%s): "
                             "either the configuration belongs to another model, or the file was "
                             "saved without its conditioner",
                             s->conditioners[0].target),
           ldm_audit_other_yaml(p->a, p->f), NULL);
}

static void ema_partial(probe *p)
{
    size_t i, n = 0;

    if (!p->a->effective.ema)
        return;
    for (i = 0; i < p->a->missing_count; i++)
        n += p->a->missing[i]->component == LDM_COMPONENT_EMA &&
             ldm_audit_run_uses(p->a, p->a->missing[i]);
    if (n && !p->f->cause_count)
        report(p, "ema_partial",
               ldm_findings_text(p->f, "the file has EMA weights, but %zu of them are missing", n),
               p->in->unet_from_ema ? "use a whole checkpoint" : "--no-ema uses the raw weights",
               NULL);
}

/* ---- a configuration that describes another network --------------------------------------------
 */

static void difference(probe *p, const char *path, const char *id, const char *part,
                       const char *found, const char *wanted)
{
    ldm_findings *f = p->f;
    const ldm_param *s = ldm_network_param(p->a->network, path);
    ldm_origin none = {NULL, 0, 0};
    const char *origin = ldm_audit_origin_short(f, s ? s->origin : none);
    const char *set = ldm_findings_text(f, "model.params.%s=%s", path, found);

    report(p, id,
           ldm_findings_text(f, "the checkpoint's %s has %s %s, the configuration says %s (%s)",
                             part, s ? s->name : path, found, wanted, origin),
           ldm_findings_text(f, "--set %s%s%s", strchr(set, '[') ? "'" : "", set,
                             strchr(set, '[') ? "'" : ""),
           set);
}

static void int_difference(probe *p, const char *path, const char *id, const char *part, int found,
                           int wanted)
{
    if (found > 0 && found != wanted)
        difference(p, path, id, part, ldm_findings_text(p->f, "%d", found),
                   ldm_findings_text(p->f, "%d", wanted));
}

static void bool_difference(probe *p, const char *path, const char *id, const char *part,
                            bool found, bool wanted)
{
    if (found != wanted)
        difference(p, path, id, part, found ? "true" : "false", wanted ? "true" : "false");
}

static const char *list_text(probe *p, const ldm_int_list *l)
{
    ldm_str s = {0};
    const char *text;
    int i;

    ldm_str_puts(&s, "[");
    for (i = 0; i < l->count; i++)
        ldm_str_printf(&s, i ? ",%d" : "%d", l->items[i]);
    ldm_str_puts(&s, "]");
    p->f->failed |= s.failed;
    text = ldm_findings_text(p->f, "%s", s.failed ? "" : s.data);
    ldm_str_free(&s);
    return text;
}

static void list_difference(probe *p, const char *path, const char *id, const char *part,
                            const ldm_int_list *found, const ldm_int_list *wanted)
{
    if (!found->count ||
        (found->count == wanted->count &&
         memcmp(found->items, wanted->items, (size_t)found->count * sizeof found->items[0]) == 0))
        return;
    difference(p, path, id, part, list_text(p, found), list_text(p, wanted));
}

static bool contains(const ldm_int_list *l, int v)
{
    int i;

    for (i = 0; i < l->count; i++) {
        if (l->items[i] == v)
            return true;
    }
    return false;
}

/* attention_resolutions count only where a level has that factor. */
static void attention_difference(probe *p)
{
    const ldm_inferred *in = p->in;
    const ldm_unet_config *u = &p->a->network->unet;
    ldm_int_list found = {0, {0}};
    bool same = true;
    int level;

    if (!in->attention_known)
        return;
    for (level = in->channel_mult.count - 1; level >= 0; level--) {
        if (contains(&in->attention, 1 << level) != contains(&u->attention_resolutions, 1 << level))
            same = false;
        if (contains(&in->attention, 1 << level))
            found.items[found.count++] = 1 << level;
    }
    if (!same)
        difference(p, "unet_config.params.attention_resolutions", "attention_resolutions", "UNet",
                   list_text(p, &found), list_text(p, &u->attention_resolutions));
}

static void unet_differences(probe *p)
{
    static const char part[] = "UNet";
    const ldm_inferred *in = p->in;
    const ldm_unet_config *u = &p->a->network->unet;

    if (!in->unet_prefix)
        return;
    if (in->cross_attention && !u->use_spatial_transformer) {
        report(
            p, "spatial_transformer",
            "the checkpoint's UNet has cross-attention (transformer_blocks): it is a conditional "
            "model, text or class, and this configuration describes an unconditional one",
            "use the YAML that was published with this checkpoint", NULL);
        return;
    }
#define PATH(name) "unet_config.params." name
    int_difference(p, PATH("model_channels"), "model_channels", part, in->model_channels,
                   u->model_channels);
    int_difference(p, PATH("in_channels"), "in_channels", part, in->in_channels, u->in_channels);
    int_difference(p, PATH("out_channels"), "out_channels", part, in->out_channels,
                   u->out_channels);
    int_difference(p, PATH("num_res_blocks"), "num_res_blocks", part, in->num_res_blocks,
                   u->num_res_blocks);
    list_difference(p, PATH("channel_mult"), "channel_mult", part, &in->channel_mult,
                    &u->channel_mult);
    attention_difference(p);
    if (in->updown_known)
        bool_difference(p, PATH("resblock_updown"), "resblock_updown", part, in->resblock_updown,
                        u->resblock_updown);
    if (in->num_res_blocks)
        bool_difference(p, PATH("use_scale_shift_norm"), "use_scale_shift_norm", part,
                        in->scale_shift, u->use_scale_shift_norm);
#undef PATH
}

/* Compares a value that the file's shapes show with a parameter of the first stage, as text: this
 * room does not know the first stage's own structs. Parameters that it does not have are left out.
 */
static void text_difference(probe *p, const char *path, const char *id, const char *found)
{
    const ldm_param *wanted = ldm_network_param(p->a->network, path);

    if (wanted && strcmp(wanted->value, found))
        difference(p, path, id, "first stage", found, wanted->value);
}

static void stage_int(probe *p, const char *path, const char *id, int found)
{
    if (found > 0)
        text_difference(p, path, id, ldm_findings_text(p->f, "%d", found));
}

/* Parameters are printed with blanks: "[1, 2, 4]". */
static void stage_list(probe *p, const char *path, const char *id, const ldm_int_list *found)
{
    const ldm_param *wanted = ldm_network_param(p->a->network, path);
    ldm_str spaced = {0};
    int i;

    if (!wanted || !found->count)
        return;
    for (i = 0; i < found->count; i++)
        ldm_str_printf(&spaced, "%s%d", i ? ", " : "[", found->items[i]);
    ldm_str_puts(&spaced, "]");
    p->f->failed |= spaced.failed;
    if (!spaced.failed && strcmp(spaced.data, wanted->value))
        difference(p, path, id, "first stage", list_text(p, found), wanted->value);
    ldm_str_free(&spaced);
}

/* What the file's first stage is, as far as it can be seen. */
typedef struct stage_kind {
    const char *id, *says, *cure;
} stage_kind;

static stage_kind kind_of(const ldm_inferred *in)
{
    static const char published[] = "use the YAML that was published with this checkpoint";

    if (in->gumbel)
        return (stage_kind){"gumbel_first_stage",
                            "quantises with a Gumbel codebook (quantize.embed, quantize.proj), "
                            "which ldm does not compute",
                            "use a model whose first stage is a VQModel or an AutoencoderKL"};
    if (in->codebook)
        return (stage_kind){"vq_first_stage",
                            "has a codebook (quantize.embedding): it is a VQModel", published};
    if (in->posterior)
        return (stage_kind){"kl_first_stage",
                            "has no codebook and gives moments (quant_conv): it is an "
                            "AutoencoderKL",
                            published};
    return (stage_kind){"other_first_stage", "has no codebook (quantize.embedding) and no moments",
                        published};
}

/* Two kinds of first stage that ldm computes: with a codebook, or with a posterior. A file without
 * quant_conv and codebook may be incomplete; it is not taken for another kind. */
static bool other_kind(probe *p)
{
    const ldm_first_stage *f = &p->a->network->first_stage;
    const ldm_inferred *in = p->in;
    stage_kind k = kind_of(in);

    if ((in->codebook == f->codebook && in->posterior == f->posterior) || !in->embed_dim)
        return false;
    report(p, k.id,
           ldm_findings_text(
               p->f, "the checkpoint's first stage %s, and this configuration describes a %s",
               k.says, f->target),
           k.cure, NULL);
    return true;
}

static void stage_differences(probe *p)
{
    const ldm_inferred *in = p->in;
    const ldm_param *attention;

    if (!in->stage_prefix)
        return;
#define PATH(name) "first_stage_config.params." name
    attention = ldm_network_param(p->a->network, PATH("ddconfig.attn_type"));
    if (!other_kind(p)) {
        stage_int(p, PATH("n_embed"), "n_embed", in->n_embed);
        stage_int(p, PATH("embed_dim"), "embed_dim", in->embed_dim);
    }
    stage_int(p, PATH("ddconfig.ch"), "ch", in->ch);
    stage_int(p, PATH("ddconfig.z_channels"), "z_channels", in->z_channels);
    stage_int(p, PATH("ddconfig.in_channels"), "stage_in_channels", in->stage_in_channels);
    stage_int(p, PATH("ddconfig.out_ch"), "out_ch", in->out_ch);
    stage_int(p, PATH("ddconfig.num_res_blocks"), "stage_num_res_blocks", in->stage_res_blocks);
    stage_list(p, PATH("ddconfig.ch_mult"), "ch_mult", &in->ch_mult);
    if (in->ch && attention && in->mid_attention != (strcmp(attention->value, "none") != 0))
        difference(p, PATH("ddconfig.attn_type"), "attn_type", "first stage",
                   in->mid_attention ? "vanilla" : "none", attention->value);
#undef PATH
}

/* ---- schedule and scale ------------------------------------------------------------------------
 */

static void timesteps(probe *p)
{
    const ldm_tensor_info *t = ldm_ckpt_find(p->a->ckpt, "alphas_cumprod");

    if (t && p->a->priv->schedule.state == LDM_SCHEDULE_OTHER_LENGTH && t->ndim == 1 &&
        t->numel <= 100000)
        int_difference(p, "timesteps", "timesteps", "schedule", (int)t->numel,
                       p->a->network->diffusion.timesteps);
}

static void scale_missing(probe *p)
{
    size_t i;

    for (i = 0; i < p->a->missing_count; i++) {
        const ldm_tensor_decl *t = p->a->missing[i];

        if (strcmp(t->name, "scale_factor") == 0 && ldm_audit_run_uses(p->a, t))
            report(p, "scale_factor",
                   "scale_by_std is true, but the file has no scale_factor buffer and the "
                   "configuration gives no value",
                   "--set model.params.scale_factor=VALUE, the value of the training run", NULL);
    }
}

/* ---- what is left ------------------------------------------------------------------------------
 */

static void damaged(probe *p)
{
    if (p->f->cause_count || p->a->fits)
        return;
    if (p->a->run_mismatched &&
        (ldm_audit_find_odd_heads(p->a, p->f) || ldm_audit_find_contradictions(p->a, p->f)))
        return;
    if (p->a->run_mismatched == 0 && p->a->matching * 2 > p->a->model_keys)
        report(p, "incomplete",
               ldm_findings_text(p->f,
                                 "the networks agree as far as the file goes, but it lacks %zu "
                                 "of the tensors that a run reads: it is incomplete",
                                 p->a->run_missing),
               "use the original file; `ldm check --all` names every missing key", NULL);
    else
        report(p, "unknown", "no known cause explains the differences",
               "compare the lists of `ldm check --all` with the YAML the model was trained with",
               NULL);
}

/* A file of another kind explains all that is missing. */
static bool foreign_kind(probe *p)
{
    const char *unet = p->in->unet_prefix;
    const char *what =
        ldm_infer_other_kind(p->a->ckpt, unet && strcmp(unet, "control_model.") != 0);
    const char *cure = what ? strchr(what, ';') : NULL;

    if (!what)
        return false;
    report(p, "foreign_kind",
           ldm_findings_text(p->f, "the file holds %.*s",
                             cure ? (int)(cure - what) : (int)strlen(what), what),
           cure ? cure + 2 : "give a checkpoint of a CompVis model", NULL);
    return true;
}

/* Tensors that are missing because they are stored in a form that ldm does not read: what is not
 * seen says nothing about the configuration. */
static bool unread(probe *p)
{
    const ldm_ckpt *ck = p->a->ckpt;
    ldm_ckpt_skipped first = {0};
    size_t n = 0, i;

    for (i = 0; i < ldm_ckpt_skipped_count(ck); i++) {
        const ldm_ckpt_skipped s = ldm_ckpt_skipped_at(ck, i);
        const int k = ldm_network_find(p->a->network, s.name);

        if (k >= 0 && ldm_audit_run_uses(p->a, &p->a->network->tensors[k]) && !n++)
            first = s;
    }
    if (!n)
        return false;
    report(p, "unread",
           ldm_findings_text(p->f,
                             "%zu of the missing tensors %s in the file, but could not be read: "
                             "'%.120s' is %.200s",
                             n, n == 1 ? "is" : "are", first.name, first.what),
           "save it again with plain tensors (of a sparse or quantised one: t.to_dense(), "
           "t.dequantize())",
           NULL);
    return true;
}

const char *ldm_audit_stage_beside(const ldm_audit *a)
{
    static const char stage[] = "first_stage_model.";
    const char *beside =
        strcmp(ldm_ckpt_format(a->ckpt), "parts") == 0 ? ldm_ckpt_part_path(a->ckpt, 1) : NULL;
    size_t i;

    for (i = 0; i < a->missing_count; i++) {
        if (ldm_audit_run_uses(a, a->missing[i]) &&
            strncmp(a->missing[i]->name, stage, sizeof stage - 1) != 0)
            return NULL;
    }
    for (i = 0; i < a->mismatched_count; i++) {
        if (strncmp(a->mismatched[i].expected->name, stage, sizeof stage - 1) != 0)
            return NULL;
    }
    return a->run_missing || a->run_mismatched ? beside : NULL;
}

/* Nothing but tensors of a first stage that was given beside the checkpoint does not fit. */
static bool other_stage_beside(probe *p)
{
    const char *beside = ldm_audit_stage_beside(p->a);

    if (!beside || p->a->fits)
        return false;
    report(p, "first_stage_file",
           ldm_findings_text(p->f,
                             "the first stage of %s, which was given beside the checkpoint, is "
                             "another one than the configuration describes",
                             beside),
           "give the first stage that belongs to this model, or leave --first-stage out where the "
           "checkpoint has its own",
           NULL);
    return true;
}

/* Its settings differ in many places, of which none is the reason. */
static bool other_model(probe *p)
{
    const char *what = p->a->fits ? NULL : ldm_audit_other_model(p->a, p->f);

    if (what)
        report(p, "other_model", what, ldm_audit_other_yaml(p->a, p->f), NULL);
    return what != NULL;
}

static void (*const detectors[])(probe *) = {
    empty_file,    diffusers_file,   prefixes,          missing_network,
    ema_only,      unet_differences, stage_differences, timesteps,
    scale_missing, ema_partial,      no_conditioner,    damaged,
};

void ldm_audit_find_causes(const ldm_audit *a, ldm_findings *f)
{
    probe p = {a, f, &f->inferred};
    size_t i;

    /* Neither extra keys alone nor differences that no name or shape shows are a fault. */
    if (a->fits && a->mismatched_count == 0 && a->unexpected_count == 0)
        return;
    if (unread(&p) || other_stage_beside(&p) || foreign_kind(&p) || other_model(&p))
        return;
    for (i = 0; i < sizeof detectors / sizeof detectors[0]; i++) {
        /* A first stage alone has neither of the two. */
        if (!a->network->lone_first_stage ||
            (detectors[i] != unet_differences && detectors[i] != timesteps))
            detectors[i](&p);
    }
    ldm_audit_try_cures(a, f);
}
