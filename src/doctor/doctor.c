/* SPDX-License-Identifier: MIT */
/* The examination: what the tensors show, what contradicts it, and then the probes. */
#include "doctor/probes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "engine/engine.h"

/* ---- the file and its configuration ---------------------------------------------------------- */

/* The configuration that was given, laid over each other; or the one that the tensors show,
 * whatever that leaves open. */
static ldm_status open_config(ldm_doctor *d, ldm_error *err)
{
    const ldm_model_options *opt = d->opt;
    const char *ignored;
    const char *shipped;
    ldm_str yaml = {0};
    ldm_status st;

    if (!opt->ckpt || opt->configs.count || opt->config_text)
        return ldm_layers_load(opt, d->texts, &d->config, &d->ckpt_path, &shipped, &ignored, err);
    ldm_inference_yaml(d->inference, opt->ckpt, &yaml);
    st = yaml.failed ? ldm_error_nomem(err, 0, "the configuration") : LDM_OK;
    if (!st)
        st = ldm_config_create(&d->config, err);
    if (!st)
        st =
            ldm_config_load_text(d->config, "the inferred configuration", yaml.data, yaml.len, err);
    for (size_t i = 0; !st && i < opt->sets.count; i++)
        st = ldm_config_set(d->config, opt->sets.items[i], err);
    d->made = ldm_doctor_text(d, "no configuration was given: it is made from the tensors%s%s",
                              d->inference->family ? ", after " : "",
                              d->inference->family ? d->inference->family : "");
    ldm_str_free(&yaml);
    return st || d->made ? st : ldm_error_nomem(err, 0, "a note");
}

/* Keys as ldm.load.rename and the spellings of other trainers make them. */
static ldm_status open_ckpt(ldm_doctor *d, ldm_error *err)
{
    ldm_profile profile = {0};
    size_t renamed;
    ldm_status st = ldm_ckpt_open_any(d->ckpt_path, d->opt->first_stage, &d->ck, err);

    if (!st && d->config)
        st = ldm_profile_read(d->config, d->texts, &profile, err);
    if (!st && profile.rename_count)
        st = ldm_ckpt_rename(d->ck, profile.rename, profile.rename_count, &renamed, err);
    ldm_profile_free(&profile);
    return st ? st : ldm_ckpt_spell_keys(d->ck, err);
}

static ldm_status open_patient(ldm_doctor *d, ldm_error *err)
{
    const ldm_model_options *opt = d->opt;
    const bool given = !opt->ckpt || opt->configs.count || opt->config_text;
    ldm_status st = given ? open_config(d, err) : LDM_OK;

    if (!given)
        d->ckpt_path = opt->ckpt;
    if (!st)
        st = open_ckpt(d, err);
    if (!st)
        st = ldm_infer(d->ck, &d->inference, err);
    return st || given ? st : open_config(d, err);
}

/* ---- what contradicts the tensors ------------------------------------------------------------ */

static ldm_status add_contradiction(ldm_doctor *d, const ldm_contradiction *c, ldm_error *err)
{
    const char *whole =
        ldm_doctor_text(d,
                        ": the file holds %s. What no tensor shows is assumed in it; "
                        "`--config none` says what that is",
                        d->inference->kind);
    ldm_finding f = {.path = c->path, .found = c->found, .sure = 1, .state = LDM_FINDING_WRONG};

    if (!whole)
        return ldm_error_nomem(err, 0, "a finding");

    f.place = ldm_doctor_place(d, &c->origin);
    f.given = c->given ? c->given
              : c->fallback && strcmp(c->fallback, "null")
                  ? ldm_doctor_text(d, "%s (default)", c->fallback)
                  : NULL;
    f.how = ldm_doctor_text(d, "%s %s it%s%s",
                            c->from == LDM_INFER_BUFFER ? "the values of the file's buffers"
                                                        : "names and shapes of the tensors",
                            c->from == LDM_INFER_BUFFER ? "give" : "show",
                            c->obeyed ? "; a run takes the file's schedule in any case" : "",
                            c->part && !strcmp(c->part, "model") ? whole : "");
    f.cure =
        ldm_doctor_text(d, "%s=%s", c->part ? c->part : c->path, c->part ? c->block : c->found);
    f.before[0] = c->part ? ldm_doctor_text(d, "%s=", c->part) : NULL;
    if (!f.how || !f.cure || (c->part && !f.before[0]))
        return ldm_error_nomem(err, 0, "a finding");
    return ldm_doctor_add(d, &f, err);
}

/* All of what no configuration can say is one finding: a later one of a path replaces the former.
 */
static ldm_status add_problems(ldm_doctor *d, ldm_error *err)
{
    const ldm_inference *in = d->inference;
    const char *how = in->problem_count ? in->problems[0] : NULL;

    for (size_t i = 1; how && i < in->problem_count; i++)
        how = ldm_doctor_text(d, "%s; %s", how, in->problems[i]);
    if (!in->problem_count)
        return LDM_OK;
    if (!how)
        return ldm_error_nomem(err, 0, "a finding");
    return ldm_doctor_add(
        d, &(ldm_finding){.path = "checkpoint", .how = how, .state = LDM_FINDING_UNDECIDED}, err);
}

static ldm_status find_contradictions(ldm_doctor *d, ldm_error *err)
{
    ldm_contradiction *list;
    size_t count;
    ldm_status st = ldm_infer_compare(d->inference, d->config, d->texts, &list, &count, err);

    for (size_t i = 0; !st && i < count; i++)
        st = add_contradiction(d, &list[i], err);
    return st ? st : add_problems(d, err);
}

/* model.params.image_size says the same, and counts. */
static bool is_second_size(const char *path)
{
    return strstr(path, "resolution") || strstr(path, "unet_config.params.image_size");
}

/* The settings of a made configuration that only published models have, until a probe says more. */
static ldm_status list_assumed(ldm_doctor *d, ldm_error *err)
{
    static const char how_size[] = "assumed: no tensor shows the size that it was trained on";
    ldm_status st = LDM_OK;

    for (size_t i = 0; !st && d->made && i < d->inference->count; i++) {
        const ldm_infer_setting *s = &d->inference->settings[i];
        const bool size = !strcmp(s->path, "model.params.image_size");
        const bool open = s->from == LDM_INFER_OPEN || (size && ldm_doctor_size_is_open(d));
        const double sure[] = {1, 1, 0.95, 0.9, 0.6, 0.3};
        ldm_finding f = {.path = s->path,
                         .found = open ? NULL : s->value,
                         .sure = sure[open ? LDM_INFER_OPEN : s->from],
                         .how = size && open
                                    ? how_size
                                    : ldm_doctor_text(d, "%s%s%s", ldm_infer_from_text(s->from),
                                                      s->how ? ": " : "", s->how ? s->how : ""),
                         .state = open ? LDM_FINDING_UNDECIDED : LDM_FINDING_RIGHT};

        if (s->from < LDM_INFER_META || is_second_size(s->path))
            continue;
        st = f.how ? ldm_doctor_add(d, &f, err) : ldm_error_nomem(err, 0, "a finding");
    }
    return st;
}

/* num_head_channels goes before num_heads: with both, it would count. */
static const char *heads_cleared(const ldm_contradiction *c)
{
    return strstr(c->path, "num_head_channels")
               ? "model.params.unet_config.params.num_head_channels=-1 --set "
               : "";
}

/* What differs from the published model of exactly these shapes: a retraining may have changed it,
 * and only a probe can tell. */
static ldm_status list_unpublished(ldm_doctor *d, ldm_error *err)
{
    ldm_contradiction *list;
    size_t count;
    ldm_status st =
        ldm_infer_compare_published(d->inference, d->config, d->texts, &list, &count, err);

    for (size_t i = 0; !st && i < count; i++) {
        const ldm_contradiction *c = &list[i];
        const char *name = c->part ? c->part : c->path, *dot = strrchr(name, '.');
        const ldm_finding f = {
            .path = c->path,
            .given = c->given ? c->given : ldm_doctor_text(d, "%s (default)", c->fallback),
            .place = ldm_doctor_place(d, &c->origin),
            .state = LDM_FINDING_UNDECIDED,
            .how = ldm_doctor_text(
                d,
                "%s as published, whose shapes these are, has %s %s; no tensor shows it. Unless "
                "this model was trained with another value, change it: --set %s%s=%s",
                d->inference->family ? d->inference->family : "the model", dot + 1, c->found,
                c->part ? heads_cleared(c) : "", name, c->found)};

        st = f.given && f.how ? ldm_doctor_add(d, &f, err) : ldm_error_nomem(err, 0, "a finding");
    }
    return st;
}

/* ---- the run --------------------------------------------------------------------------------- */

static ldm_status probe(ldm_doctor *d, ldm_error *err)
{
    double fresh;
    ldm_status st;

    snprintf(d->step, sizeof d->step, "reading the weights");
    st = ldm_doctor_step(d, d->step, 0.02, err);
    if (!st)
        st = ldm_probe_weights(d, &fresh, err);
    if (!st && d->inference->whole)
        st = ldm_probe_settings(d, fresh, err);
    return st;
}

static ldm_status examine(ldm_doctor *d, ldm_error *err)
{
    ldm_status st = ldm_doctor_step(d, "reading names and shapes", 0, err);

    if (!st)
        st = open_patient(d, err);
    if (!st)
        st = ldm_doctor_targets(d, err);
    if (!st)
        st = find_contradictions(d, err);
    if (!st && !d->inference->problem_count)
        st = ldm_doctor_verify(d, err);
    if (!st)
        st = list_assumed(d, err);
    if (!st)
        st = list_unpublished(d, err);
    if (!st && !d->inference->whole && !d->inference->problem_count) {
        d->reason = ldm_doctor_text(d, "the file holds %s%s", d->inference->kind,
                                    strstr(d->inference->kind, "UNet") && !d->fits
                                        ? "; --first-stage lays another file's over it"
                                        : "");
        st = d->reason ? LDM_OK : ldm_error_nomem(err, 0, "a text");
    }
    return st || d->quick ? st : probe(d, err);
}

ldm_status ldm_doctor_run(ldm_doctor *d, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(d, "d", err);
    if (d->ran)
        return ldm_error_set(err, LDM_ERR_USAGE, "a doctor examines once");
    d->ran = true;
    d->begin = ldm_seconds();
    st = examine(d, err);
    d->examined = !st;
    d->seconds = ldm_seconds() - d->begin;
    return st;
}
