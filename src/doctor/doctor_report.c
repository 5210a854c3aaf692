/* SPDX-License-Identifier: MIT */
/* The diagnosis: for people, and as the JSON object of doctor.h. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "doctor/doctor_private.h"

/* ---- JSON ------------------------------------------------------------------------------------ */

/* A value as JSON has it: 1.5, true, null; everything else is a text. */
static json_t *value_json(const char *text)
{
    json_t *j = text ? json_loads(text, JSON_DECODE_ANY, NULL) : json_null();

    return j ? j : ldm_json_text(text);
}

static json_t *finding_json(const ldm_finding *f)
{
    json_t *j = json_object();

    json_object_set_new(j, "given", value_json(f->given));
    json_object_set_new(j, "found", value_json(f->found));
    json_object_set_new(j, "sure", ldm_json_real(f->sure));
    json_object_set_new(j, "how", ldm_json_text(f->how));
    return j;
}

static json_t *list_json(const ldm_doctor *d, const char *(*at)(const ldm_doctor *, size_t))
{
    json_t *list = json_array();

    for (size_t i = 0; at(d, i); i++)
        json_array_append_new(list, ldm_json_text(at(d, i)));
    return list;
}

static ldm_status report_json(const ldm_doctor *d, ldm_str *out, ldm_error *err)
{
    json_t *root = json_object(), *settings = json_object();

    for (size_t i = 0; i < d->finding_count; i++) {
        const ldm_finding *f = &d->findings[i];

        json_object_set_new(settings, f->path, finding_json(f));
    }
    if (d->reason)
        json_object_set_new(settings, "network", finding_json(&(ldm_finding){.how = d->reason}));
    json_object_set_new(root, "verdict", json_string(ldm_verdict_name(ldm_doctor_get_verdict(d))));
    json_object_set_new(root, "settings", settings);
    json_object_set_new(root, "cures", list_json(d, ldm_doctor_cure));
    json_object_set_new(root, "flags", list_json(d, ldm_doctor_flag));
    json_object_set_new(root, "pictures", ldm_json_text(d->pictures ? d->pictures : "none"));
    json_object_set_new(root, "seconds", ldm_json_real(d->seconds));
    if (!ldm_json_append(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6), out))
        out->failed = true;
    json_decref(root);
    if (out->failed)
        return ldm_error_nomem(err, 0, "the report");
    ldm_str_puts(out, "\n");
    return LDM_OK;
}

/* ---- text ------------------------------------------------------------------------------------ */

typedef struct page {
    ldm_str *out;
    bool colour;
} page;

static const char *paint(const page *p, const char *code)
{
    return p->colour ? code : "";
}

static const char *last_part(const char *path)
{
    const char *prefix = "model.params.";

    return strncmp(path, prefix, strlen(prefix)) ? path : path + strlen(prefix);
}

static void put_finding(const page *p, const ldm_finding *f)
{
    static const char *const signs[] = {"ok", "WRONG", "undecided", "note"};
    static const char *const codes[] = {"\33[32m", "\33[31m", "\33[33m", ""};

    ldm_str_printf(p->out, "  %s%-9s%s %s", paint(p, codes[f->state]), signs[f->state],
                   paint(p, "\33[0m"), last_part(f->path));
    if (f->state == LDM_FINDING_WRONG && !strncmp(f->path, "weights.", 8))
        ldm_str_printf(p->out, ": %s", f->found);
    else if (f->state == LDM_FINDING_WRONG)
        ldm_str_printf(p->out, ": %s%s%s%s, must be %s", f->given ? f->given : "not given",
                       f->place ? " (" : "", f->place ? f->place : "", f->place ? ")" : "",
                       f->found  ? f->found
                       : f->flag ? f->flag
                                 : "changed");
    else if (f->found)
        ldm_str_printf(p->out, ": %s", f->found);
    else if (f->given && f->place)
        ldm_str_printf(p->out, ": %s (%s)", f->given, f->place);
    if (f->state != LDM_FINDING_NOTE && f->state != LDM_FINDING_UNDECIDED && f->sure > 0 &&
        f->sure < 1)
        ldm_str_printf(p->out, "  (%.0f %% sure)", 100 * f->sure);
    ldm_str_printf(p->out, "\n            %s\n", f->how);
}

static void put_state(const page *p, const ldm_doctor *d, ldm_finding_state state, const char *head)
{
    bool any = false;

    for (size_t i = 0; i < d->finding_count; i++) {
        if (d->findings[i].state != state)
            continue;
        if (!any)
            ldm_str_printf(p->out, "\n%s\n", head);
        any = true;
        put_finding(p, &d->findings[i]);
    }
}

static void put_cures(const page *p, const ldm_doctor *d)
{
    const char *text;

    if (!ldm_doctor_cure(d, 0) && !ldm_doctor_flag(d, 0))
        return;
    ldm_str_puts(p->out, "\nCure\n ");
    for (size_t i = 0; (text = ldm_doctor_cure(d, i)); i++)
        ldm_str_printf(p->out, " --set '%s'", text);
    for (size_t i = 0; (text = ldm_doctor_flag(d, i)); i++)
        ldm_str_printf(p->out, " %s", text);
    ldm_str_puts(p->out, "\n");
}

static ldm_status report_text(const ldm_doctor *d, bool colour, ldm_str *out, ldm_error *err)
{
    static const char *const says[] = {
        "HEALTHY: nothing is to be changed.",
        "CHANGE: something must be changed.",
        "UNDECIDED: something could not be told.",
        "UNTRAINED: the network has learned nothing; no setting is concluded from it.",
    };
    const page p = {out, colour};
    const ldm_verdict verdict = ldm_doctor_get_verdict(d);
    const bool unseen = (d->quick || d->reason) && verdict == LDM_VERDICT_HEALTHY;

    ldm_str_printf(out, "%s: %s%s%s\n", d->ckpt_path, d->inference->kind,
                   d->inference->family ? ", like " : "",
                   d->inference->family ? d->inference->family : "");
    if (d->made)
        ldm_str_printf(out, "%s\n", d->made);
    put_state(&p, d, LDM_FINDING_WRONG, "What must be changed");
    put_state(&p, d, LDM_FINDING_UNDECIDED, "What could not be told");
    put_state(&p, d, LDM_FINDING_RIGHT, "What is right");
    put_state(&p, d, LDM_FINDING_NOTE, "Notes");
    if (d->reason)
        ldm_str_printf(out, "\nNo network was run: %s\n", d->reason);
    put_cures(&p, d);
    if (d->pictures)
        ldm_str_printf(out, "\nPictures: %s\n", d->pictures);
    ldm_str_printf(out, "\n%s (%.1f s)\n",
                   unseen ? "HEALTHY as far as names, shapes and buffers show: no network was run."
                          : says[verdict],
                   d->seconds);
    return out->failed ? ldm_error_nomem(err, 0, "the report") : LDM_OK;
}

ldm_status ldm_doctor_report(const ldm_doctor *d, unsigned how, char **report, ldm_error *err)
{
    ldm_str out = {0};
    ldm_status st;

    LDM_REQUIRE(report, "report", err);
    *report = NULL;
    LDM_REQUIRE(d, "d", err);
    if (!d->inference)
        return ldm_error_set(err, LDM_ERR_USAGE, "nothing was examined");
    st = how & LDM_REPORT_JSON ? report_json(d, &out, err)
                               : report_text(d, (how & LDM_REPORT_COLOUR) != 0, &out, err);
    if (st)
        ldm_str_free(&out);
    *report = out.data;
    return st;
}
