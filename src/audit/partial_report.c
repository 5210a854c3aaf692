/* SPDX-License-Identifier: MIT */
/* `ldm check` and `ldm inspect` of a model that ldm knows in part: which parts, why not the others,
 * what the checkpoint holds, and how far the two belong together. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/partial.h"

enum { FIRST = 10, LABEL = 12 };

typedef struct page {
    const ldm_partial *p;
    const ldm_audit_given *given;
    bool colour, all;
    size_t width;
    ldm_str *out;
    ldm_json j;
} page;

/* ---- the verdict ----------------------------------------------------------------------------- */

typedef struct verdict {
    const char *headline; /* static */
    ldm_tone tone;
    ldm_str text;
    ldm_str next;
} verdict;

/* Tensors of the file that belong to a part. */
static uint64_t in_file(const ldm_partial *p, int role)
{
    static const int groups[LDM_PARTIAL_ROLES] = {
        [LDM_PARTIAL_MODEL] = LDM_COMPONENT_SCHEDULE,
        [LDM_PARTIAL_UNET] = LDM_COMPONENT_UNET,
        [LDM_PARTIAL_STAGE] = LDM_COMPONENT_FIRST_STAGE,
        [LDM_PARTIAL_COND] = LDM_COMPONENT_COND_STAGE,
    };
    const uint64_t shadows = role == LDM_PARTIAL_UNET ? p->file[LDM_COMPONENT_EMA].tensors : 0;

    return p->file[groups[role]].tensors + shadows;
}

/* "UNet, first stage": the parts that were compared, or those that could not be. */
static void put_parts(const ldm_partial *p, bool known, ldm_str *out)
{
    size_t before = out->len;
    int role;

    for (role = LDM_PARTIAL_UNET; role < LDM_PARTIAL_ROLES; role++) {
        const ldm_partial_role *r = &p->roles[role];

        if (r->written && (r->network != NULL) == known &&
            (known ? p->used[role] > 0 : in_file(p, role) > 0))
            ldm_str_printf(out, "%s%s", out->len > before ? ", " : "", r->label);
    }
}

/* Of a configuration that contradicts itself, or has a value that cannot be. */
static void judge_wrong(const ldm_partial *p, verdict *v)
{
    ldm_str known = {0};

    put_parts(p, true, &known);
    v->headline = "THE CONFIGURATION IS WRONG";
    v->tone = LDM_TONE_BAD;
    ldm_str_puts(&v->text, "The configuration cannot be used as it is.");
    if (known.len && p->fault_count)
        ldm_str_printf(&v->text, " Of %s %zu tensor%s missing or of another shape.", known.data,
                       p->fault_count, p->fault_count == 1 ? " is" : "s are");
    else if (known.len)
        ldm_str_printf(&v->text,
                       " Every tensor that a run reads is there with the right shape in: %s.",
                       known.data);
    ldm_str_printf(&v->next,
                   "mend it, or let `ldm doctor --ckpt %s --config none --write-config NEW.yaml` "
                   "make the configuration that the checkpoint's tensors show",
                   ldm_ckpt_path(p->ck));
    v->text.failed |= known.failed || v->next.failed;
    ldm_str_free(&known);
}

/* The first target that ldm does not know and that is spelled like one that it knows. */
static void judge_targets(const ldm_partial *p, verdict *v)
{
    for (int role = 0; role < LDM_PARTIAL_ROLES; role++) {
        const ldm_partial_role *r = &p->roles[role];
        const char *alike = NULL;

        if (!r->written || !r->target || r->network ||
            ldm_network_knows_target(r->path, r->target, &alike) || !alike)
            continue;
        ldm_str_printf(&v->text, " %s.target is spelled like %s: did you mean that?", r->path,
                       alike);
        v->next.len = 0;
        ldm_str_printf(&v->next, "run again with --set %s.target=%s", r->path, alike);
        return;
    }
}

static void judge(const ldm_partial *p, verdict *v)
{
    ldm_str known = {0}, unknown = {0};

    *v = (verdict){.tone = LDM_TONE_WARN};
    if (ldm_partial_wrong(p)) {
        judge_wrong(p, v);
        return;
    }
    put_parts(p, true, &known);
    put_parts(p, false, &unknown);
    if (!ldm_partial_fits(p)) {
        v->headline = "DOES NOT FIT";
        v->tone = LDM_TONE_BAD;
        ldm_str_printf(
            &v->text,
            "The checkpoint does not fit the configuration: of the parts that ldm knows, "
            "%zu tensor%s missing or of another shape; %zu setting%s not what the shapes of "
            "the others show. Nor can this version of ldm run the model.",
            p->fault_count, p->fault_count == 1 ? " is" : "s are", p->difference_count,
            p->difference_count == 1 ? " is" : "s are");
        ldm_str_puts(&v->next, "use the YAML that was published with this checkpoint");
    } else if (!ldm_partial_judged(p)) {
        v->headline = "CANNOT RUN HERE";
        ldm_str_puts(&v->text, "This version of ldm cannot run the model, and knows none of its "
                               "parts: whether the checkpoint fits was not compared.");
    } else {
        v->headline = unknown.len ? "FITS AS FAR AS IT IS KNOWN, BUT CANNOT RUN HERE"
                                  : "FITS, BUT CANNOT RUN HERE";
        if (known.len)
            ldm_str_printf(&v->text,
                           "Every tensor that a run reads is there with the right shape in: %s. ",
                           known.data);
        if (unknown.len)
            ldm_str_printf(&v->text, "Not compared by name: %s%s. ", unknown.data,
                           p->agreements ? " (what its shapes show agrees)" : "");
        ldm_str_puts(&v->text, "This version of ldm cannot run the model.");
    }
    judge_targets(p, v);
    if (!v->next.len)
        ldm_str_printf(&v->next, "ldm inspect --all %s lists what the checkpoint holds",
                       ldm_ckpt_path(p->ck));
    v->text.failed |= known.failed || unknown.failed || v->next.failed;
    ldm_str_free(&known);
    ldm_str_free(&unknown);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void field(page *g, const char *label, const char *text)
{
    ldm_str_printf(g->out, "%-*s", LABEL, label);
    ldm_audit_put_name(g->out, text);
    ldm_str_puts(g->out, "\n");
}

static void header(page *g)
{
    const ldm_ckpt *ck = g->p->ck;
    char bytes[16];
    size_t i;

    field(g, "Checkpoint", ldm_ckpt_path(ck));
    ldm_str_printf(g->out, "%*s%s, %s\n", LABEL, "", ldm_ckpt_format(ck),
                   ldm_format_bytes(ldm_ckpt_file_bytes(ck), bytes));
    for (i = 0; i < g->given->config_count; i++)
        field(g, i ? "" : "Config", g->given->configs[i]);
    if (g->p->family)
        field(g, "Model", g->p->family);
}

/* "TARGET  config.yaml:3", in a narrow report the place first and the target below it. */
static void put_target(page *g, const ldm_partial_role *r)
{
    const bool narrow = g->width && g->width < 96;
    const char *target = r->target ? r->target : "(no target)", *place = r->place ? r->place : "";

    ldm_audit_put_name(g->out, narrow ? place : target);
    ldm_str_printf(g->out, narrow ? "\n%*s" : "%*s", narrow ? 6 : 2, "");
    ldm_audit_put_name(g->out, narrow ? target : place);
    ldm_str_puts(g->out, "\n");
}

static void targets(page *g)
{
    int role;

    ldm_audit_heading(g->out, g->colour, "Parts");
    for (role = 0; role < LDM_PARTIAL_ROLES; role++) {
        const ldm_partial_role *r = &g->p->roles[role];

        ldm_str_printf(g->out, "  %-12s ", r->label);
        if (!r->written)
            ldm_str_puts(g->out, "not in the configuration\n");
        if (!r->written)
            continue;
        ldm_audit_paint(g->out, g->colour, r->network ? LDM_TONE_GOOD : LDM_TONE_WARN,
                        r->network ? "known   " : "refused ");
        ldm_str_puts(g->out, "  ");
        put_target(g, r);
    }
}

static void component(page *g, int group)
{
    const ldm_partial *p = g->p;
    const ldm_tally *have = &p->file[group];
    const size_t want = group < LDM_COMPONENT_COUNT ? p->want[group] : 0;
    char text[64];
    const char *word = want            ? have->tensors ? "FOUND" : "MISSING"
                       : have->tensors ? "not compared"
                                       : NULL;

    if (!word)
        return;
    ldm_str_printf(g->out, "  %-21s ", ldm_audit_group_label(group));
    ldm_audit_paint(g->out, g->colour,
                    want && p->matching[group] == want ? LDM_TONE_GOOD : LDM_TONE_WARN, word);
    snprintf(text, sizeof text, "%zu of %zu", want ? p->matching[group] : 0, want);
    ldm_str_printf(g->out, "%*s", (int)(13 - strlen(word)), "");
    ldm_audit_put_component(g->out, g->width, want ? text : "-", have->tensors, have->elements,
                            have->bytes);
}

static void components(page *g)
{
    static const int order[] = {LDM_COMPONENT_UNET,       LDM_COMPONENT_FIRST_STAGE,
                                LDM_COMPONENT_COND_STAGE, LDM_COMPONENT_EMA,
                                LDM_COMPONENT_SCHEDULE,   LDM_GROUP_OTHER};
    size_t i;

    ldm_audit_heading(g->out, g->colour, "Components");
    ldm_audit_put_component_head(g->out, g->width);
    for (i = 0; i < sizeof order / sizeof order[0]; i++)
        component(g, order[i]);
}

static void faults(page *g)
{
    const ldm_partial *p = g->p;
    const size_t shown = g->all || p->fault_count < FIRST ? p->fault_count : FIRST;
    size_t i;

    if (!ldm_partial_fits(p))
        ldm_audit_heading(g->out, g->colour, "What does not fit");
    for (i = 0; i < shown; i++) {
        const ldm_partial_fault *f = &p->faults[i];

        ldm_str_puts(g->out, "  ");
        ldm_audit_put_name(g->out, f->expected->name);
        ldm_str_puts(g->out, f->found ? "  has shape " : "  is missing, expected with shape ");
        if (f->found) {
            ldm_audit_put_shape_info(g->out, f->found);
            ldm_str_puts(g->out, ", expected ");
        }
        ldm_audit_put_shape_spec(g->out, f->expected);
        ldm_str_puts(g->out, "\n");
    }
    if (shown < p->fault_count)
        ldm_str_printf(g->out, "  ... and %zu more (--all shows them)\n", p->fault_count - shown);
    for (i = 0; i < p->difference_count; i++) {
        ldm_str_puts(g->out, "  ");
        ldm_audit_put_wrapped(g->out, g->width, 4, 2, p->differences[i]);
    }
}

static void reasons(page *g)
{
    size_t i;

    ldm_audit_heading(g->out, g->colour,
                      ldm_partial_wrong(g->p) ? "What is wrong in the configuration"
                                              : "Why this version of ldm cannot run it");
    for (i = 0; i < g->p->reason_count; i++) {
        ldm_str_puts(g->out, "  ");
        ldm_audit_put_wrapped(g->out, g->width, 4, 2, g->p->reasons[i]);
    }
}

static void conclusion(page *g)
{
    verdict v;

    judge(g->p, &v);
    ldm_audit_heading(g->out, g->colour, "Verdict");
    ldm_str_puts(g->out, "  ");
    ldm_audit_paint(g->out, g->colour, v.tone, v.headline);
    ldm_str_puts(g->out, "\n  ");
    ldm_audit_put_wrapped(g->out, g->width, 2, 2, v.text.failed ? "" : v.text.data);
    ldm_str_puts(g->out, "  Next: ");
    ldm_audit_put_wrapped(g->out, g->width, 8, 8, v.text.failed ? "" : v.next.data);
    g->out->failed |= v.text.failed;
    ldm_str_free(&v.text);
    ldm_str_free(&v.next);
}

/* ---- the configuration as it is written ------------------------------------------------------ */

static void put_scalar(ldm_str *out, const ldm_value *v)
{
    const char *text = "";
    int64_t n = 0;
    double d = 0;
    bool truth = false;

    switch (ldm_value_get_kind(v)) {
    case LDM_VALUE_BOOL:
        (void)ldm_value_bool(v, &truth, NULL);
        ldm_str_puts(out, truth ? "true" : "false");
        break;
    case LDM_VALUE_INT:
        (void)ldm_value_int(v, &n, NULL);
        ldm_str_printf(out, "%" PRId64, n);
        break;
    case LDM_VALUE_FLOAT:
        (void)ldm_value_double(v, &d, NULL);
        ldm_str_printf(out, "%.10g", d);
        break;
    case LDM_VALUE_STRING:
        (void)ldm_value_string(v, &text, NULL);
        ldm_audit_put_name(out, text);
        break;
    case LDM_VALUE_LIST:
        ldm_str_puts(out, "[...]");
        break;
    case LDM_VALUE_MAP:
        ldm_str_puts(out, "{...}");
        break;
    case LDM_VALUE_NULL:
        ldm_str_puts(out, "null");
        break;
    }
}

static void put_leaf(page *g, const ldm_value *v)
{
    static const char prefix[] = "model.params.";
    const ldm_origin o = ldm_value_origin(v);
    const char *path = ldm_value_path(v);
    ldm_str text = {0};
    size_t i;

    if (ldm_value_get_kind(v) == LDM_VALUE_LIST) {
        for (i = 0; i < ldm_value_count(v); i++) {
            ldm_str_puts(&text, i ? ", " : "[");
            put_scalar(&text, ldm_value_at(v, i));
        }
        ldm_str_puts(&text, i ? "]" : "[]");
    } else {
        put_scalar(&text, v);
    }
    if (ldm_audit_starts_with(path, prefix))
        path += sizeof prefix - 1;
    ldm_audit_put_setting(g->out, g->width, path, text.failed ? "" : text.data);
    if (o.line > 0)
        ldm_str_printf(g->out, " line %d", o.line);
    ldm_str_puts(g->out, "\n");
    g->out->failed |= text.failed;
    ldm_str_free(&text);
}

static void put_leaves(page *g, const ldm_value *v)
{
    size_t i;

    if (ldm_value_get_kind(v) != LDM_VALUE_MAP || !ldm_value_count(v)) {
        put_leaf(g, v);
        return;
    }
    for (i = 0; i < ldm_value_count(v); i++)
        put_leaves(g, ldm_value_at(v, i));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *texts_json(page *g, const char *const *list, size_t count)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < count; i++)
        ldm_audit_json_add(&g->j, all, ldm_json_text(list[i]));
    return all;
}

static json_t *targets_json(page *g)
{
    json_t *all = json_object(), *o;
    int role;

    for (role = 0; role < LDM_PARTIAL_ROLES; role++) {
        const ldm_partial_role *r = &g->p->roles[role];

        if (!r->written)
            continue;
        o = json_object();
        ldm_audit_json_set(&g->j, o, "target", ldm_json_text(r->target));
        ldm_audit_json_set(&g->j, o, "known", json_boolean(r->network != NULL));
        ldm_audit_json_set(&g->j, all, r->path, o);
    }
    return all;
}

static json_t *components_json(page *g)
{
    json_t *all = json_object(), *o;
    int k;

    for (k = 0; k < LDM_GROUP_COUNT; k++) {
        const ldm_tally *have = &g->p->file[k];

        o = json_object();
        if (k < LDM_COMPONENT_COUNT && g->p->want[k]) {
            ldm_audit_json_set(&g->j, o, "model", json_integer((json_int_t)g->p->want[k]));
            ldm_audit_json_set(&g->j, o, "matching", json_integer((json_int_t)g->p->matching[k]));
        }
        ldm_audit_json_set(&g->j, o, "file", json_integer((json_int_t)have->tensors));
        ldm_audit_json_set(&g->j, o, "elements", json_integer((json_int_t)have->elements));
        ldm_audit_json_set(&g->j, all, ldm_audit_group_label(k), o);
    }
    return all;
}

static json_t *faults_json(page *g, bool missing)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < g->p->fault_count; i++) {
        if (!g->p->faults[i].found == missing)
            ldm_audit_json_add(&g->j, all, ldm_json_text(g->p->faults[i].expected->name));
    }
    return all;
}

static void checkpoint_json(page *g, json_t *root)
{
    json_t *o = json_object();
    verdict v;

    judge(g->p, &v);
    ldm_audit_json_set(&g->j, o, "path", ldm_json_text(ldm_ckpt_path(g->p->ck)));
    ldm_audit_json_set(&g->j, o, "format", ldm_json_text(ldm_ckpt_format(g->p->ck)));
    ldm_audit_json_set(&g->j, root, "fits",
                       json_boolean(ldm_partial_fits(g->p) && !ldm_partial_wrong(g->p)));
    ldm_audit_json_set(&g->j, root, "headline", ldm_json_text(v.headline));
    ldm_audit_json_set(&g->j, root, "verdict", ldm_json_text(v.text.data));
    ldm_audit_json_set(&g->j, root, "next_step", ldm_json_text(v.next.data));
    ldm_audit_json_set(&g->j, root, "checkpoint", o);
    ldm_audit_json_set(&g->j, root, "checkpoint_keys",
                       json_integer((json_int_t)ldm_ckpt_count(g->p->ck)));
    ldm_audit_json_set(&g->j, root, "components", components_json(g));
    ldm_audit_json_set(&g->j, root, "missing", faults_json(g, true));
    ldm_audit_json_set(&g->j, root, "shape_mismatch", faults_json(g, false));
    ldm_audit_json_set(&g->j, root, "differences",
                       texts_json(g, g->p->differences, g->p->difference_count));
    g->j.failed |= v.text.failed;
    ldm_str_free(&v.text);
    ldm_str_free(&v.next);
}

static json_t *model_json(page *g)
{
    json_t *root = json_object();

    ldm_audit_json_set(&g->j, root, "runs", json_false());
    ldm_audit_json_set(&g->j, root, "model", ldm_json_text(g->p->family));
    ldm_audit_json_set(&g->j, root, "targets", targets_json(g));
    ldm_audit_json_set(&g->j, root, "reasons", texts_json(g, g->p->reasons, g->p->reason_count));
    return root;
}

/* ---- entry points ---------------------------------------------------------------------------- */

ldm_status ldm_partial_text(const ldm_partial *p, const ldm_audit_given *given,
                            const ldm_audit_report *r, ldm_str *out, ldm_error *err)
{
    page g = {
        .p = p, .given = given, .colour = r->colour, .all = r->all, .width = r->width, .out = out};

    header(&g);
    targets(&g);
    components(&g);
    if (p->inferred.unet_prefix || p->inferred.stage_prefix || p->inferred.diffusers) {
        ldm_audit_heading(out, r->colour, "What the shapes say");
        ldm_audit_put_inferred(out, &p->inferred);
    }
    faults(&g);
    reasons(&g);
    conclusion(&g);
    return out->failed ? ldm_error_nomem(err, 0, "the report") : LDM_OK;
}

ldm_status ldm_partial_json(const ldm_partial *p, const ldm_audit_given *given, ldm_str *out,
                            ldm_error *err)
{
    page g = {.p = p, .given = given, .out = out};
    json_t *root = model_json(&g);

    checkpoint_json(&g, root);
    ldm_audit_json_set(&g.j, root, "config", texts_json(&g, given->configs, given->config_count));
    return ldm_audit_json_write(&g.j, root, out, err);
}

ldm_status ldm_partial_inspect(const ldm_partial *p, const ldm_inspect_report *r, ldm_str *out,
                               ldm_error *err)
{
    page g = {.p = p, .colour = r->colour, .all = r->all, .width = r->width, .out = out};
    const ldm_value *model = ldm_value_find(ldm_config_root(p->cfg), "model");
    json_t *root;

    if (r->json) {
        root = model_json(&g);
        ldm_audit_json_set(&g.j, root, "kind", ldm_json_text("latent diffusion"));
        return ldm_audit_json_write(&g.j, root, out, err);
    }
    ldm_audit_put_name(out, ldm_config_file(p->cfg));
    ldm_str_printf(out, ": %s, %s\n", p->family ? p->family : "a model",
                   ldm_partial_wrong(p) ? "whose configuration is wrong"
                                        : "which this version of ldm cannot run");
    targets(&g);
    reasons(&g);
    ldm_audit_heading(out, r->colour, "Settings as they are written");
    if (model)
        put_leaves(&g, model);
    return out->failed ? ldm_error_nomem(err, 0, "the report") : LDM_OK;
}
