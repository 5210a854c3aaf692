/* SPDX-License-Identifier: MIT */
/* Whether ldm runs what the configuration names: its targets, and at last the whole of it with the
 * cures. */
#include <jansson.h>
#include <string.h>

#include "doctor/probes.h"
#include "network/network.h"

static const char *const parts[] = {
    "model",
    "model.params.unet_config",
    "model.params.first_stage_config",
    "model.params.cond_stage_config",
    "model.params.low_scale_config",
};

/* ---- targets --------------------------------------------------------------------------------- */

/* What a part's entry names, and where: {target: NAME}, or NAME alone. */
typedef struct named {
    const char *path, *target; /* target NULL: it names none */
    const ldm_value *at;
} named;

static ldm_status read_target(ldm_doctor *d, const char *part, named *out, ldm_error *err)
{
    const ldm_value *entry = ldm_value_find(ldm_config_root(d->config), part);
    const bool plain = entry && ldm_value_get_kind(entry) == LDM_VALUE_STRING;

    *out = (named){.at = plain ? entry : ldm_value_find(entry, "target")};
    out->path = plain ? part : ldm_doctor_text(d, "%s.target", part);
    if (!out->path)
        return ldm_error_nomem(err, 0, "a text");
    if (out->at && (ldm_value_get_kind(out->at) != LDM_VALUE_STRING ||
                    ldm_value_string(out->at, &out->target, NULL)))
        out->target = NULL;
    return LDM_OK;
}

/* The finding, and the configuration with the cure, so that what follows is held against that. */
static ldm_status change(ldm_doctor *d, const named *n, const char *to, const char *how,
                         ldm_error *err)
{
    const ldm_origin o = n->at ? ldm_value_origin(n->at) : (ldm_origin){NULL, 0, 0};
    const ldm_finding f = {.path = n->path,
                           .given = n->target,
                           .found = to,
                           .place = ldm_doctor_place(d, &o),
                           .how = how,
                           .sure = 1,
                           .state = LDM_FINDING_WRONG,
                           .cure = ldm_doctor_text(d, "%s=%s", n->path, to)};
    ldm_status st;

    if (!how || !f.cure)
        return ldm_error_nomem(err, 0, "a finding");
    st = ldm_doctor_add(d, &f, err);
    return st ? st : ldm_config_set(d->config, f.cure, err);
}

static ldm_status judge_target(ldm_doctor *d, const char *part, ldm_error *err)
{
    const char *alike = NULL, *shown;
    const ldm_infer_setting *s;
    named n;
    ldm_status st = read_target(d, part, &n, err);

    if (st || (n.target && ldm_network_knows_target(part, n.target, &alike)))
        return st;
    s = ldm_inference_find(d->inference, n.path);
    shown = s ? s->value : NULL;
    if (n.target && alike)
        return change(
            d, &n, alike,
            ldm_doctor_text(d, "ldm knows no %s, and one that is spelled alike", n.target), err);
    /* A part that only some models have is the comparison's to add, parameters and all. */
    if (!n.target && shown && !strstr(part, "low_scale") &&
        !ldm_value_find(ldm_config_root(d->config), n.path))
        return change(d, &n, shown, ldm_doctor_text(d, "names and shapes of the tensors show it"),
                      err);
    if (!n.target)
        return LDM_OK;
    return ldm_doctor_add(
        d,
        &(ldm_finding){
            .path = n.path,
            .given = n.target,
            .state = LDM_FINDING_UNDECIDED,
            .how = ldm_doctor_text(d, "ldm knows no %s%s%s%s", n.target,
                                   shown ? "; the tensors are those of " : "", shown ? shown : "",
                                   shown ? ", and what else it does no tensor shows" : "")},
        err);
}

ldm_status ldm_doctor_targets(ldm_doctor *d, ldm_error *err)
{
    const ldm_value *root = ldm_config_root(d->config);
    /* A first stage by itself has no parts, and a whole model's file gives it none. */
    const bool alone = ldm_value_find(root, "model.params.ddconfig") &&
                       !ldm_value_find(root, "model.params.unet_config");
    const size_t count = alone ? 1 : sizeof parts / sizeof *parts;
    ldm_status st = LDM_OK;

    for (size_t i = 0; !st && i < count; i++)
        st = judge_target(d, parts[i], err);
    return st;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* What the report of `ldm check` says against a run; NULL: nothing. */
static const char *objection(ldm_doctor *d, const char *report, bool fits)
{
    json_t *root = json_loads(report, 0, NULL);
    const char *headline = json_string_value(json_object_get(root, "headline"));
    const char *verdict = json_string_value(json_object_get(root, "verdict"));
    const json_t *cause = json_array_get(json_object_get(root, "causes"), 0);
    const char *finding = json_string_value(json_object_get(cause, "finding"));
    const char *remedy = json_string_value(json_object_get(cause, "remedy"));
    const char *text = NULL;

    if (!fits || !headline || strstr(headline, "CANNOT RUN"))
        text =
            ldm_doctor_text(d, "%s%s%s%s%s", verdict ? verdict : "it does not fit the checkpoint",
                            finding ? " Cause: " : "", finding ? finding : "",
                            finding && remedy ? "; " : "", finding && remedy ? remedy : "");
    json_decref(root);
    return text ? ldm_doctor_unplaced(d, text) : NULL;
}

/* Where no network is run, the verdict rests on this alone. */
static ldm_status confirm(ldm_doctor *d, ldm_error *err)
{
    const bool cures = ldm_doctor_cure(d, 0) != NULL;

    d->fits = true;
    if (d->inference->whole || cures)
        return LDM_OK;
    return ldm_doctor_add(
        d,
        &(ldm_finding){.path = "configuration",
                       .found = "fits",
                       .sure = 1,
                       .state = LDM_FINDING_RIGHT,
                       .how = "every tensor that a run reads is there with the right shape, as "
                              "`ldm check` says; no network was tried on pictures"},
        err);
}

static const char no_stage[] =
    "the file has no first stage, and without one ldm runs no model: give the first stage's file "
    "with --first-stage FILE, or, where the UNet makes pixels and no latents, --set "
    "'model.params.first_stage_config={target: ldm.models.autoencoder.IdentityFirstStage}'";

static bool lacks_stage(const ldm_doctor *d)
{
    return ldm_inference_find(d->inference, "model.params.unet_config.target") &&
           !ldm_inference_find(d->inference, "model.params.first_stage_config.target");
}

ldm_status ldm_doctor_verify(ldm_doctor *d, ldm_error *err)
{
    ldm_model_options *opt = NULL;
    ldm_error why = {.msg = ""};
    char *report = NULL;
    bool fits = false;
    const char *against = NULL;
    ldm_status st = ldm_doctor_options(d, &opt, err);

    if (st)
        return st;
    st = ldm_check(opt, LDM_REPORT_JSON, &report, &fits, &why);
    ldm_model_options_free(opt);
    if (st && st != LDM_ERR_NOMEM)
        against = ldm_doctor_text(d, "%s", ldm_doctor_placeless(why.msg));
    else if (!st)
        against = objection(d, report, fits);
    ldm_release(report);
    if (st == LDM_ERR_NOMEM)
        return ldm_error_set(err, st, "%s", why.msg);
    if (!against)
        return confirm(d, err);
    if (lacks_stage(d) && strstr(against, "first_stage_config"))
        return ldm_doctor_add(d,
                              &(ldm_finding){.path = "model.params.first_stage_config",
                                             .state = LDM_FINDING_UNDECIDED,
                                             .how = no_stage},
                              err);
    return ldm_doctor_add(
        d,
        &(ldm_finding){.path = "configuration",
                       .state = LDM_FINDING_UNDECIDED,
                       .how = ldm_doctor_text(d, "ldm does not run it%s: %s",
                                              ldm_doctor_cure(d, 0) ? ", with the cures" : "",
                                              against)},
        err);
}
