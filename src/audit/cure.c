/* SPDX-License-Identifier: MIT */
/* Cures that are held against the whole before they are proposed, and the causes that only the
 * inference sees. */
#include "audit/cure.h"

#include <stdlib.h>
#include <string.h>

#include "audit/model_kind.h"
#include "infer/infer.h"

const char *ldm_audit_other_yaml(const ldm_audit *a, ldm_findings *f)
{
    return ldm_findings_text(
        f,
        "use the YAML that was published with this checkpoint, or let "
        "`ldm doctor --ckpt %s --config none --write-config NEW.yaml` make one",
        ldm_ckpt_path(a->ckpt));
}

/* ---- what the inference sees ------------------------------------------------------------------
 */

static void add_set(ldm_findings *f, const char *id, const char *finding, const char *path,
                    const char *value)
{
    const bool plain = !strpbrk(value, "[]{}, ");
    ldm_cause *c = ldm_findings_cause(f, id);

    if (!c)
        return;
    c->finding = finding;
    c->set = ldm_findings_text(f, "%s=%s", path, value);
    c->remedy = ldm_findings_text(f, plain ? "--set %s" : "--set '%s'", c->set);
}

static void add_contradiction(ldm_findings *f, const ldm_contradiction *c)
{
    const char *given = c->given ? c->given : c->fallback ? c->fallback : "nothing";
    const char *name = strrchr(c->path, '.');

    /* A part of another class is replaced as a whole, which is no work of one --set. */
    if (c->part) {
        ldm_cause *out = ldm_findings_cause(f, "part");

        if (out)
            out->finding = ldm_findings_text(
                f, "the checkpoint's tensors are of %s, the configuration says %s for %s (%s)",
                c->found, given, c->path, ldm_audit_origin_short(f, c->origin));
        return;
    }
    add_set(f, ldm_arena_strdup(f->arena, name ? name + 1 : c->path),
            ldm_findings_text(
                f, "the checkpoint's tensors show %s %s, the configuration says %s (%s)",
                name ? name + 1 : c->path, c->found, given, ldm_audit_origin_short(f, c->origin)),
            c->path, c->found);
}

bool ldm_audit_find_contradictions(const ldm_audit *a, ldm_findings *f)
{
    const size_t before = f->cause_count;
    ldm_contradiction *list = NULL;
    ldm_inference *in = NULL;
    size_t count = 0;
    ldm_status st;

    if (!a->given.config)
        return false;
    st = ldm_infer(a->ckpt, &in, NULL);
    if (!st)
        st = ldm_infer_compare(in, a->given.config, f->arena, &list, &count, NULL);
    f->failed |= st == LDM_ERR_NOMEM;
    for (size_t i = 0; !st && i < count; i++) {
        if (!list[i].obeyed)
            add_contradiction(f, &list[i]);
    }
    ldm_inference_free(in);
    return f->cause_count > before;
}

/* The heads that models of this kind have, where those divide the channels. */
static int usual_heads(const ldm_audit *a, ldm_findings *f, const char *path, int channels)
{
    ldm_inference *in = NULL;
    ldm_status st = ldm_infer(a->ckpt, &in, NULL);
    const ldm_infer_setting *s = st ? NULL : ldm_inference_find(in, path);
    const int heads = s ? (int)strtol(s->value, NULL, 10) : 0;

    f->failed |= st == LDM_ERR_NOMEM;
    ldm_inference_free(in);
    return heads > 0 && channels % heads == 0 ? heads : 0;
}

bool ldm_audit_find_odd_heads(const ldm_audit *a, ldm_findings *f)
{
    static const char path[] = "model.params.unet_config.params.num_heads";
    const ldm_inferred *in = &f->inferred;
    const int heads = a->network->unet.num_heads;
    const ldm_param *s = ldm_network_param(a->network, path + sizeof "model.params." - 1);
    int channels = 0, usual;
    const char *finding;
    ldm_cause *c;

    if (heads < 1 || a->network->unet.num_head_channels > 0)
        return false;
    for (int i = 0; i < in->channel_mult.count && !channels; i++) {
        const int here = in->model_channels * in->channel_mult.items[i];

        for (int k = 0; k < in->attention.count; k++)
            channels = in->attention.items[k] == 1 << i && here % heads ? here : channels;
    }
    if (!channels)
        return false;
    usual = usual_heads(a, f, path, channels);
    finding = ldm_findings_text(
        f, "num_heads %d (%s) does not divide the %d channels of the checkpoint's attention", heads,
        ldm_audit_origin_short(f, s ? s->origin : (ldm_origin){NULL, 0, 0}), channels);
    if (usual) {
        add_set(f, "num_heads", finding, path, ldm_findings_text(f, "%d", usual));
        return true;
    }
    c = ldm_findings_cause(f, "num_heads");
    if (c) {
        c->finding = finding;
        c->remedy = "set num_heads to the number of the training run; no tensor shows it";
    }
    return true;
}

/* ---- trying -----------------------------------------------------------------------------------
 */

/* Whether the checkpoint fits the configuration with all that is proposed, and is of its kind. */
static ldm_status fits_with_cures(const ldm_audit *a, ldm_findings *f, bool *fits)
{
    const ldm_shape_source shapes = ldm_audit_shape_source(a->ckpt);
    ldm_config *cfg = NULL;
    ldm_network *network = NULL;
    ldm_audit *trial = NULL;
    ldm_str text = {0};
    ldm_status st;

    *fits = false;
    ldm_config_emit(a->given.config, &text);
    st = text.failed ? LDM_ERR_NOMEM : ldm_config_create(&cfg, NULL);
    if (!st)
        st = ldm_config_load_text(cfg, "the configuration", text.data, text.len, NULL);
    for (size_t i = 0; !st && i < f->cause_count; i++)
        st = f->causes[i].set ? ldm_config_set(cfg, f->causes[i].set, NULL) : LDM_OK;
    if (!st)
        st = ldm_network_create(cfg, &shapes, &network, NULL);
    if (!st)
        st = ldm_audit_create(network, a->ckpt, a->priv->ema_asked, &a->policy, &trial, NULL);
    if (!st)
        *fits = trial->fits && !ldm_audit_other_model(trial, f);
    ldm_audit_free(trial);
    ldm_network_free(network);
    ldm_config_free(cfg);
    ldm_str_free(&text);
    return st;
}

void ldm_audit_try_cures(const ldm_audit *a, ldm_findings *f)
{
    bool any = false, fits = true;

    for (size_t i = 0; i < f->cause_count; i++) {
        any |= f->causes[i].set != NULL;
        /* Keys that are renamed were counted already. */
        if (f->causes[i].set && !strncmp(f->causes[i].set, "ldm.", 4))
            return;
    }
    if (!any || !a->given.config)
        return;
    f->failed |= fits_with_cures(a, f, &fits) == LDM_ERR_NOMEM;
    for (size_t i = 0; !fits && i < f->cause_count; i++) {
        if (!f->causes[i].set)
            continue;
        f->causes[i].set = NULL;
        f->causes[i].remedy = NULL;
    }
}
