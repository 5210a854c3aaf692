/* SPDX-License-Identifier: MIT */
/* `ldm check --json`: the same findings as one object. Lists are always whole. */
#include <string.h>

#include "audit/takes.h"
#include "audit/internal.h"

typedef struct page {
    const ldm_audit *a;
    const ldm_findings *f;
    ldm_json *j;
} page;

static json_t *integer(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *tally(page *p, const ldm_tally *t)
{
    json_t *o = json_object();

    ldm_audit_json_set(p->j, o, "tensors", integer(t->tensors));
    ldm_audit_json_set(p->j, o, "elements", integer(t->elements));
    ldm_audit_json_set(p->j, o, "bytes", integer(t->bytes));
    return o;
}

static const char *group_status(const page *p, int group)
{
    if (!p->f->stats.model[group].tensors)
        return "not needed";
    return p->f->stats.file[group].tensors ? "FOUND" : "MISSING";
}

static json_t *components(page *p)
{
    const ldm_report_counts *s = &p->f->stats;
    json_t *all = json_object();
    int g;

    for (g = 0; g < LDM_GROUP_COUNT; g++) {
        json_t *o = json_object();

        ldm_audit_json_set(p->j, o, "status", ldm_json_text(group_status(p, g)));
        ldm_audit_json_set(p->j, o, "model", tally(p, &s->model[g]));
        ldm_audit_json_set(p->j, o, "checkpoint", tally(p, &s->file[g]));
        ldm_audit_json_set(p->j, o, "matching", integer(s->matched[g].tensors));
        ldm_audit_json_set(p->j, all, ldm_audit_group_label(g), o);
    }
    return all;
}

static json_t *distribution(page *p)
{
    const ldm_report_counts *s = &p->f->stats;
    json_t *kinds = json_object(), *dtypes = json_object(), *o = json_object();
    int k;

    for (k = 0; k < LDM_KIND_COUNT; k++)
        ldm_audit_json_set(p->j, kinds, ldm_audit_key_kind_label((ldm_key_kind)k),
                           tally(p, &s->kind[k]));
    for (k = 0; k < LDM_DTYPE_COUNT; k++) {
        if (s->dtype[k].tensors)
            ldm_audit_json_set(p->j, dtypes, ldm_dtype_name((ldm_dtype)k), tally(p, &s->dtype[k]));
    }
    ldm_audit_json_set(p->j, o, "kind", kinds);
    ldm_audit_json_set(p->j, o, "dtype", dtypes);
    return o;
}

static void lists(page *p, json_t *root)
{
    const ldm_audit *a = p->a;
    json_t *missing = json_array(), *unexpected = json_array(), *shape = json_array();
    json_t *details = json_array(), *used = json_array(), *odd = json_array();
    size_t i;

    for (i = 0; i < a->missing_count; i++) {
        ldm_audit_json_add(p->j, missing, ldm_json_text(a->missing[i]->name));
        if (ldm_audit_run_uses(a, a->missing[i]))
            ldm_audit_json_add(p->j, used, ldm_json_text(a->missing[i]->name));
    }
    for (i = 0; i < a->unexpected_count; i++) {
        ldm_audit_json_add(p->j, unexpected, ldm_json_text(a->unexpected[i]->name));
        if (!ldm_audit_unexpected_reason(a, a->unexpected[i]->name))
            ldm_audit_json_add(p->j, odd, ldm_json_text(a->unexpected[i]->name));
    }
    for (i = 0; i < a->mismatched_count; i++) {
        const ldm_shape_mismatch *m = &a->mismatched[i];
        json_t *o = json_object();

        ldm_audit_json_add(p->j, shape, ldm_json_text(m->expected->name));
        ldm_audit_json_set(p->j, o, "name", ldm_json_text(m->expected->name));
        ldm_audit_json_set(p->j, o, "expected", ldm_audit_json_shape_spec(m->expected));
        ldm_audit_json_set(p->j, o, "found", ldm_audit_json_shape_info(m->found));
        ldm_audit_json_set(p->j, o, "used_by_run",
                           json_boolean(ldm_audit_run_uses(a, m->expected)));
        ldm_audit_json_add(p->j, details, o);
    }
    ldm_audit_json_set(p->j, root, "missing", missing);
    ldm_audit_json_set(p->j, root, "unexpected", unexpected);
    ldm_audit_json_set(p->j, root, "shape_mismatch", shape);
    ldm_audit_json_set(p->j, root, "shape_mismatch_details", details);
    ldm_audit_json_set(p->j, root, "missing_used_by_run", used);
    ldm_audit_json_set(p->j, root, "unexpected_not_harmless", odd);
}

static json_t *row_value(const ldm_row *r)
{
    switch (r->type) {
    case LDM_TYPE_NULL:
        return json_null();
    case LDM_TYPE_BOOL:
        return json_boolean(r->number != 0);
    case LDM_TYPE_INT:
        return json_integer((json_int_t)r->number);
    case LDM_TYPE_REAL:
        return ldm_json_real(r->number);
    case LDM_TYPE_TEXT:
        break;
    }
    return ldm_json_text(r->text);
}

static json_t *settings(page *p)
{
    json_t *all = json_object(), *blocks = json_object(), *o;
    size_t i;

    for (i = 0; i < p->f->row_count; i++) {
        const ldm_row *r = &p->f->rows[i];

        o = json_object();
        ldm_audit_json_set(p->j, o, "value", row_value(r));
        ldm_audit_json_set(p->j, o, "origin", ldm_json_text(r->origin));
        if (r->note)
            ldm_audit_json_set(p->j, o, "note", ldm_json_text(r->note));
        ldm_audit_json_set(p->j, all, r->name, o);
    }
    for (i = 0; i < p->f->head_count; i++) {
        const ldm_heads *h = &p->f->heads[i];

        o = json_object();
        ldm_audit_json_set(p->j, o, "heads", json_integer(h->heads));
        ldm_audit_json_set(p->j, o, "head_channels", json_integer(h->head_dim));
        ldm_audit_json_set(p->j, o, "channels", json_integer(h->channels));
        ldm_audit_json_set(p->j, o, "downsampling", json_integer(h->downsampling));
        ldm_audit_json_set(p->j, blocks, h->block, o);
    }
    o = json_object();
    ldm_audit_json_set(p->j, o, "value", blocks);
    ldm_audit_json_set(p->j, o, "origin", ldm_json_text(p->f->heads_origin));
    ldm_audit_json_set(p->j, all, "attention_heads", o);
    return all;
}

static json_t *config_keys(page *p)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < p->f->key_count; i++) {
        const ldm_config_key *k = &p->f->keys[i];
        json_t *o = json_object();

        ldm_audit_json_set(p->j, o, "key", ldm_json_text(k->path));
        ldm_audit_json_set(p->j, o, "file", ldm_json_text(k->origin.source));
        ldm_audit_json_set(p->j, o, "line", json_integer(k->origin.line));
        ldm_audit_json_set(p->j, o, "status", ldm_json_text(ldm_audit_key_status_text(k->status)));
        ldm_audit_json_set(p->j, o, "reason", ldm_json_text(k->reason));
        if (k->suggestion)
            ldm_audit_json_set(p->j, o, "suggestion", ldm_json_text(k->suggestion));
        ldm_audit_json_add(p->j, all, o);
    }
    return all;
}

static json_t *critical(page *p)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < ldm_audit_critical_count(); i++) {
        const char *name = ldm_audit_critical_key(i);
        int n = ldm_network_find(p->a->network, name);
        const ldm_tensor_info *have = ldm_ckpt_find(p->a->ckpt, name);
        json_t *o;

        if (n < 0 && !have)
            continue;
        o = json_object();
        ldm_audit_json_set(p->j, o, "name", ldm_json_text(name));
        ldm_audit_json_set(p->j, o, "expected",
                           n < 0 ? json_null()
                                 : ldm_audit_json_shape_spec(&p->a->network->tensors[n]));
        ldm_audit_json_set(p->j, o, "found", have ? ldm_audit_json_shape_info(have) : json_null());
        ldm_audit_json_set(p->j, o, "dtype",
                           have ? ldm_json_text(ldm_dtype_name(have->dtype)) : json_null());
        ldm_audit_json_add(p->j, all, o);
    }
    return all;
}

static json_t *causes(page *p)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < p->f->cause_count; i++) {
        const ldm_cause *c = &p->f->causes[i];
        json_t *o = json_object();

        ldm_audit_json_set(p->j, o, "id", ldm_json_text(c->id));
        ldm_audit_json_set(p->j, o, "finding", ldm_json_text(c->finding));
        ldm_audit_json_set(p->j, o, "remedy", ldm_json_text(c->remedy));
        ldm_audit_json_set(p->j, o, "set", ldm_json_text(c->set));
        ldm_audit_json_add(p->j, all, o);
    }
    return all;
}

static json_t *notes(page *p)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < p->f->note_count; i++)
        ldm_audit_json_add(p->j, all, ldm_json_text(p->f->notes[i].text));
    return all;
}

static json_t *values(page *p)
{
    json_t *o = json_object(), *bad = json_array();
    size_t i;

    for (i = 0; i < p->f->bad_count; i++) {
        const ldm_bad_values *b = &p->f->bad[i];
        json_t *t = json_object();

        ldm_audit_json_set(p->j, t, "name", ldm_json_text(b->tensor->name));
        ldm_audit_json_set(p->j, t, "nan", integer(b->nan));
        ldm_audit_json_set(p->j, t, "inf", integer(b->inf));
        ldm_audit_json_add(p->j, bad, t);
    }
    ldm_audit_json_set(p->j, o, "finite", json_boolean(p->f->bad_count == 0));
    ldm_audit_json_set(p->j, o, "bad", bad);
    ldm_audit_json_set(p->j, o, "codebook_std", ldm_json_real(p->f->codebook_std));
    return o;
}

static json_t *checkpoint(page *p)
{
    const ldm_ckpt *ck = p->a->ckpt;
    json_t *o = json_object();

    ldm_audit_json_set(p->j, o, "path", ldm_json_text(ldm_ckpt_path(ck)));
    ldm_audit_json_set(p->j, o, "format", ldm_json_text(ldm_ckpt_format(ck)));
    ldm_audit_json_set(p->j, o, "bytes", integer(ldm_ckpt_file_bytes(ck)));
    ldm_audit_json_set(p->j, o, "state_dict", ldm_json_text(ldm_ckpt_state_dict_path(ck)));
    return o;
}

static json_t *build(page *p)
{
    const ldm_audit *a = p->a;
    const ldm_report_counts *s = &p->f->stats;
    json_t *root = json_object(), *sources = json_array();
    size_t i;

    for (i = 0; i < p->f->source_count; i++)
        ldm_audit_json_add(p->j, sources, ldm_json_text(p->f->sources[i]));
    ldm_audit_json_set(p->j, root, "fits", json_boolean(a->fits));
    ldm_audit_json_set(p->j, root, "headline", ldm_json_text(p->f->headline));
    ldm_audit_json_set(p->j, root, "verdict", ldm_json_text(p->f->verdict));
    ldm_audit_json_set(p->j, root, "next_step", ldm_json_text(p->f->next_step));
    ldm_audit_json_set(p->j, root, "checkpoint", checkpoint(p));
    ldm_audit_json_set(p->j, root, "config", sources);
    ldm_audit_json_set(p->j, root, "model", ldm_json_text(a->given.family));
    ldm_audit_json_set(p->j, root, "model_keys", integer(a->model_keys));
    ldm_audit_json_set(p->j, root, "checkpoint_keys", integer(a->checkpoint_keys));
    ldm_audit_json_set(p->j, root, "matching", integer(a->matching));
    ldm_audit_json_set(
        p->j, root, "matching_percent",
        ldm_json_real(a->model_keys ? 100.0 * (double)a->matching / (double)a->model_keys : 0));
    ldm_audit_json_set(p->j, root, "run_missing", integer(a->run_missing));
    ldm_audit_json_set(p->j, root, "initialised", integer(a->initialised));
    ldm_audit_json_set(p->j, root, "run_shape_mismatch", integer(a->run_mismatched));
    ldm_audit_json_set(p->j, root, "model_parameters", integer(s->model_parameters));
    ldm_audit_json_set(p->j, root, "checkpoint_parameters", integer(s->file_parameters));
    ldm_audit_json_set(p->j, root, "model_elements", integer(s->model_total.elements));
    ldm_audit_json_set(p->j, root, "checkpoint_elements", integer(s->file_total.elements));
    lists(p, root);
    ldm_audit_json_set(p->j, root, "components", components(p));
    ldm_audit_json_set(p->j, root, "distribution", distribution(p));
    ldm_audit_json_set(p->j, root, "critical_keys", critical(p));
    ldm_audit_json_set(p->j, root, "conditions",
                       ldm_audit_conditions_json(a->network, a->given.scale, p->j));
    ldm_audit_json_set(p->j, root, "settings", settings(p));
    ldm_audit_json_set(p->j, root, "config_keys", config_keys(p));
    ldm_audit_json_set(p->j, root, "causes", causes(p));
    ldm_audit_json_set(p->j, root, "notes", notes(p));
    if (p->f->values_read)
        ldm_audit_json_set(p->j, root, "values", values(p));
    return root;
}

ldm_status ldm_audit_json(const ldm_audit *a, const ldm_audit_report *r, ldm_str *out,
                          ldm_error *err)
{
    ldm_json j = {false};
    ldm_findings f;
    ldm_status st = ldm_findings_create(a, r->values, &f, err);
    page p = {a, &f, &j};

    if (!st)
        st = ldm_audit_json_write(&j, build(&p), out, err);
    if (!st)
        st = ldm_audit_values_verdict(a, &f, err);
    ldm_findings_free(&f);
    return st;
}
