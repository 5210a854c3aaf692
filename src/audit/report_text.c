/* SPDX-License-Identifier: MIT */
/* `ldm check` for a terminal: 100 columns, the verdict last, where it is seen first on a terminal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/takes.h"
#include "audit/internal.h"

enum { FIRST = 10, LABEL = 12 };

typedef struct page {
    const ldm_audit *a;
    ldm_findings *f; /* texts are still made in its arena */
    const ldm_audit_report *r;
    ldm_str *out;
} page;

/* "parameters" counts in columns: 27 bytes are enough for any number with commas. */
static const char *count(uint64_t n, char buf[32])
{
    return ldm_format_count(n, buf);
}

static void field(page *p, const char *label, const char *text)
{
    ldm_str_printf(p->out, "%-*s", LABEL, label);
    ldm_audit_put_name(p->out, text);
    ldm_str_puts(p->out, "\n");
}

static void header(page *p)
{
    const ldm_ckpt *ck = p->a->ckpt;
    char bytes[16];
    size_t i;

    field(p, "Checkpoint", ldm_ckpt_path(ck));
    ldm_str_printf(p->out, "%*s%s, %s\n", LABEL, "", ldm_ckpt_format(ck),
                   ldm_format_bytes(ldm_ckpt_file_bytes(ck), bytes));
    for (i = 0; i < p->f->source_count; i++)
        field(p, i ? "" : "Config", p->f->sources[i]);
    if (p->a->given.family)
        field(p, "Model", p->a->given.family);
}

/* ---- components and counts ---------------------------------------------------------------------
 */

static void component(page *p, int group)
{
    const ldm_report_counts *s = &p->f->stats;
    const ldm_tally *want = &s->model[group], *have = &s->file[group], *same = &s->matched[group];
    char text[64];
    const char *word = "FOUND";
    ldm_tone tone = LDM_TONE_GOOD;

    if (!want->tensors && !have->tensors && group != LDM_COMPONENT_COND_STAGE)
        return;
    if (!want->tensors) {
        word = "not needed";
        tone = LDM_TONE_PLAIN;
    } else if (!have->tensors) {
        bool optional = group == LDM_COMPONENT_EMA || group == LDM_COMPONENT_SCHEDULE ||
                        group == LDM_COMPONENT_COND_STAGE || group == LDM_COMPONENT_LOW_SCALE;

        if (group == LDM_COMPONENT_UNET && p->a->effective.ema)
            optional = true;
        word = "MISSING";
        tone = optional ? LDM_TONE_WARN : LDM_TONE_BAD;
    } else if (same->tensors < want->tensors) { /* in the file, of another shape or name */
        word = same->tensors ? "IN PART" : "NO MATCH";
        tone = LDM_TONE_WARN;
    }
    ldm_str_printf(p->out, "  %-21s ", ldm_audit_group_label(group));
    ldm_audit_paint(p->out, p->r->colour, tone, word);
    ldm_str_printf(p->out, "%*s", (int)(13 - strlen(word)), "");
    snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64, same->tensors, want->tensors);
    ldm_audit_put_component(p->out, p->r->width, want->tensors ? text : "-", have->tensors,
                            have->elements, have->bytes);
}

static void components(page *p)
{
    static const int order[] = {LDM_COMPONENT_UNET,       LDM_COMPONENT_FIRST_STAGE,
                                LDM_COMPONENT_COND_STAGE, LDM_COMPONENT_LOW_SCALE,
                                LDM_COMPONENT_EMA,        LDM_COMPONENT_SCHEDULE,
                                LDM_GROUP_OTHER};
    size_t i;

    ldm_audit_heading(p->out, p->r->colour, "Components");
    ldm_audit_put_component_head(p->out, p->r->width);
    for (i = 0; i < sizeof order / sizeof order[0]; i++)
        component(p, order[i]);
}

/* Rounded down, so that 100.0 means all. */
static double percent(size_t part, size_t whole)
{
    return whole ? (double)(part * (uint64_t)1000 / whole) / 10.0 : 0.0;
}

static void totals(page *p)
{
    const ldm_audit *a = p->a;
    const ldm_report_counts *s = &p->f->stats;
    char x[32], y[32], bytes[16];
    int k;

    ldm_audit_heading(p->out, p->r->colour, "Keys and parameters");
    ldm_str_printf(p->out, "  %-20s %13s %13s\n", "", "model", "checkpoint");
    ldm_str_printf(p->out, "  %-20s %13s %13s\n", "keys", count(a->model_keys, x),
                   count(a->checkpoint_keys, y));
    ldm_str_printf(p->out, "  %-20s %13s %13s\n", "parameters", count(s->model_parameters, x),
                   count(s->file_parameters, y));
    ldm_str_printf(p->out, "  %-20s %13s %13s\n", "with EMA and buffers",
                   count(s->model_total.elements, x), count(s->file_total.elements, y));
    for (k = 0; k < LDM_KIND_COUNT; k++)
        ldm_str_printf(p->out, "    %-18s %13s %13s %9s\n",
                       ldm_audit_key_kind_label((ldm_key_kind)k),
                       count(s->model_kind[k].elements, x), count(s->kind[k].elements, y),
                       ldm_format_bytes(s->kind[k].bytes, bytes));
    for (k = 0; k < LDM_DTYPE_COUNT; k++) {
        if (s->dtype[k].tensors)
            ldm_str_printf(p->out, "    %-18s %13s %13s %9s\n", ldm_dtype_name((ldm_dtype)k), "",
                           count(s->dtype[k].elements, y),
                           ldm_format_bytes(s->dtype[k].bytes, bytes));
    }
    ldm_str_printf(p->out, "  %-22s ", "matching keys");
    snprintf(x, sizeof x, "%zu of %zu", a->matching, a->model_keys);
    ldm_audit_paint(p->out, p->r->colour,
                    a->matching == a->model_keys ? LDM_TONE_GOOD : LDM_TONE_WARN, x);
    ldm_str_printf(p->out, " (%.1f %%)\n", percent(a->matching, a->model_keys));
}

/* ---- lists of keys -----------------------------------------------------------------------------
 */

/* The three lists as one: what is shown for item i, its group, and why it does no harm. */
typedef struct item {
    const char *name, *reason;
    int group;
    const ldm_tensor_decl *want;
    const ldm_tensor_info *have;
} item;
typedef item (*item_at)(const ldm_audit *a, size_t i);

static item missing_at(const ldm_audit *a, size_t i)
{
    const ldm_tensor_decl *t = a->missing[i];

    return (item){t->name, ldm_audit_missing_reason(a, t), (int)t->component, t, NULL};
}

static item unexpected_at(const ldm_audit *a, size_t i)
{
    const ldm_tensor_info *t = a->unexpected[i];

    return (item){t->name, ldm_audit_unexpected_reason(a, t->name), ldm_audit_key_group(t->name),
                  NULL, t};
}

static item mismatch_at(const ldm_audit *a, size_t i)
{
    const ldm_shape_mismatch *m = &a->mismatched[i];
    bool counts = strcmp(m->expected->name, "alphas_cumprod") == 0;

    return (item){m->expected->name, counts ? NULL : ldm_audit_missing_reason(a, m->expected),
                  (int)m->expected->component, m->expected, m->found};
}

static void put_item(page *p, const item *it)
{
    ldm_str_puts(p->out, "      ");
    ldm_audit_put_name(p->out, it->name);
    ldm_str_puts(p->out, "  ");
    if (it->have)
        ldm_audit_put_shape_info(p->out, it->have);
    if (it->have && it->want)
        ldm_str_puts(p->out, ", expected ");
    if (it->want)
        ldm_audit_put_shape_spec(p->out, it->want);
    ldm_str_puts(p->out, "\n");
}

/* One group of a list; harmless ones are grouped by their reason too. Returns how many were named.
 */
static size_t put_group(page *p, item_at at, size_t n, int group, const char *reason, size_t budget)
{
    size_t i, in_group = 0, shown = 0;

    for (i = 0; i < n; i++) {
        item it = at(p->a, i);

        in_group += it.group == group && it.reason == reason;
    }
    if (!in_group)
        return 0;
    ldm_str_printf(p->out, "    %-22s %6zu%s%s\n", ldm_audit_group_label(group), in_group,
                   reason ? "  harmless: " : "", reason ? reason : "");
    for (i = 0; i < n && shown < budget; i++) {
        item it = at(p->a, i);

        if (it.group != group || it.reason != reason)
            continue;
        put_item(p, &it);
        shown++;
    }
    if (shown < in_group && budget)
        ldm_str_printf(p->out, "      ... and %zu more (--all shows them)\n", in_group - shown);
    return shown;
}

/* The key of a group. Reasons are static strings, so comparing pointers suffices. */
typedef struct group_key {
    int group;
    const char *reason;
} group_key;

enum { MAX_GROUPS = 64 }; /* components times reasons is fewer */

/* The groups of a list in the order they first appear, those without a reason before the others. */
static int find_groups(page *p, item_at at, size_t n, group_key *keys)
{
    int count = 0, g, harmless;
    size_t i;

    for (harmless = 0; harmless < 2; harmless++) {
        for (i = 0; i < n; i++) {
            item it = at(p->a, i);

            if ((it.reason != NULL) != harmless)
                continue;
            for (g = 0; g < count; g++) {
                if (keys[g].group == it.group && keys[g].reason == it.reason)
                    break;
            }
            if (g == count && count < MAX_GROUPS)
                keys[count++] = (group_key){it.group, it.reason};
        }
    }
    return count;
}

static void list(page *p, const char *title, item_at at, size_t n)
{
    size_t budget = p->r->all ? n : FIRST, i, harmful = 0;
    group_key keys[MAX_GROUPS];
    int count = find_groups(p, at, n, keys), g;
    char text[64];

    for (i = 0; i < n; i++)
        harmful += at(p->a, i).reason == NULL;
    ldm_str_printf(p->out, "  %-22s ", title);
    snprintf(text, sizeof text, "%zu", n);
    ldm_audit_paint(p->out, p->r->colour,
                    harmful ? LDM_TONE_BAD
                    : n     ? LDM_TONE_WARN
                            : LDM_TONE_GOOD,
                    text);
    ldm_str_puts(p->out, n && !harmful ? "  (all harmless)\n" : "\n");
    for (g = 0; g < count; g++) {
        size_t later = 0; /* groups that deserve a name of their own */
        int k;

        for (k = g + 1; k < count; k++)
            later += keys[k].reason == NULL;
        later = later < budget ? later : 0;
        budget -= put_group(p, at, n, keys[g].group, keys[g].reason, budget - later);
    }
}

static void critical(page *p)
{
    size_t i;

    ldm_audit_heading(p->out, p->r->colour, "Critical keys");
    for (i = 0; i < ldm_audit_critical_count(); i++) {
        const char *name = ldm_audit_critical_key(i);
        int n = ldm_network_find(p->a->network, name);
        const ldm_tensor_decl *want = n < 0 ? NULL : &p->a->network->tensors[n];
        const ldm_tensor_info *have = ldm_ckpt_find(p->a->ckpt, name);

        if (!want && !have)
            continue;
        if (p->r->width && p->r->width < 80)
            ldm_str_printf(p->out, "  %s\n      ", name);
        else
            ldm_str_printf(p->out, "  %-48s ", name);
        if (!have) {
            bool used = want && ldm_audit_run_uses(p->a, want);

            ldm_audit_paint(p->out, p->r->colour, used ? LDM_TONE_BAD : LDM_TONE_WARN, "MISSING");
            ldm_str_puts(p->out, "  expected ");
            ldm_audit_put_shape_spec(p->out, want);
        } else {
            ldm_audit_put_shape_info(p->out, have);
            ldm_str_printf(p->out, " %s", ldm_dtype_name(have->dtype));
            if (!want) {
                ldm_str_puts(p->out, "  not in the model");
            } else if (!ldm_audit_same_shape(want, have)) {
                ldm_str_puts(p->out, "  ");
                ldm_audit_paint(p->out, p->r->colour, LDM_TONE_BAD, "expected");
                ldm_str_puts(p->out, " ");
                ldm_audit_put_shape_spec(p->out, want);
            }
        }
        ldm_str_puts(p->out, "\n");
    }
}

/* ---- settings ----------------------------------------------------------------------------------
 */

static void conditions(page *p)
{
    if (p->a->network->lone_first_stage)
        return;
    ldm_audit_heading(p->out, p->r->colour, "Conditions");
    ldm_audit_put_conditions(p->a->network, p->a->given.scale, p->r->width, p->out);
}

static void heads(page *p)
{
    ldm_findings *f = p->f;
    size_t i, k;

    if (!f->head_count)
        return;
    ldm_str_puts(p->out, "  attention heads by level                        ");
    ldm_audit_put_name(p->out, f->heads_place);
    ldm_str_puts(p->out, "\n");
    for (i = 0; i < f->head_count; i++) {
        const ldm_heads *h = &f->heads[i];
        ldm_str blocks = {0};

        for (k = 0; k < f->head_count; k++) {
            const ldm_heads *o = &f->heads[k];

            if (o->downsampling != h->downsampling || o->heads != h->heads ||
                o->channels != h->channels)
                continue;
            if (k < i)
                break; /* shown with an earlier block */
            ldm_str_printf(&blocks, "%s%s", blocks.len ? " " : "", o->block);
        }
        if (blocks.len) {
            char text[64];

            snprintf(text, sizeof text, "    1/%-3d %4d channels  %3d x %-4d ", h->downsampling,
                     h->channels, h->heads, h->head_dim);
            ldm_str_puts(p->out, text);
            ldm_audit_put_wrapped(p->out, p->r->width, strlen(text), strlen(text), blocks.data);
        }
        p->out->failed |= blocks.failed;
        ldm_str_free(&blocks);
    }
}

static void settings(page *p)
{
    size_t i;

    ldm_audit_heading(p->out, p->r->colour, "Settings that no tensor's shape shows");
    for (i = 0; i < p->f->row_count; i++) {
        const ldm_row *r = &p->f->rows[i];

        ldm_str_printf(p->out, "  %-*s ", p->r->width && p->r->width < 70 ? 20 : 24, r->name);
        ldm_audit_put_padded(p->out, p->r->width && p->r->width < 70 ? 16 : 22, r->text);
        ldm_str_puts(p->out, " ");
        ldm_audit_put_name(p->out, r->place);
        ldm_str_puts(p->out, "\n");
        if (r->note) {
            const size_t column = p->r->width && p->r->width < 70 ? 6 : 27;

            ldm_str_printf(p->out, "%*s", (int)column, "");
            ldm_audit_put_wrapped(p->out, p->r->width, column, column, r->note);
        }
    }
    heads(p);
}

static void put_key(page *p, const ldm_config_key *k)
{
    size_t start = p->out->len;
    char why[256];

    ldm_str_puts(p->out, "  ");
    ldm_audit_put_name(p->out, ldm_audit_origin_short(p->f, k->origin));
    ldm_str_puts(p->out, "  ");
    ldm_audit_put_name(p->out, k->path);
    if (k->status == LDM_KEY_TRAINING) {
        ldm_str_puts(p->out, "\n");
        return;
    }
    snprintf(why, sizeof why, "%s: %s%s%s%s", ldm_audit_key_status_text(k->status), k->reason,
             k->suggestion ? "; did you mean " : "", k->suggestion ? k->suggestion : "",
             k->suggestion ? "?" : "");
    ldm_str_puts(p->out, ": ");
    ldm_audit_put_wrapped(p->out, p->r->width, 6, p->out->len - start, why);
}

static void config_keys(page *p)
{
    static const char *const titles[2] = {
        "Config keys that are unknown or have no effect",
        "Config keys of training or logging only (no effect here)"};
    int training;
    size_t i, shown;

    for (training = 0; training < 2; training++) {
        for (i = shown = 0; i < p->f->key_count; i++) {
            if ((p->f->keys[i].status == LDM_KEY_TRAINING) != training)
                continue;
            if (!shown++)
                ldm_audit_heading(p->out, p->r->colour, titles[training]);
            put_key(p, &p->f->keys[i]);
        }
    }
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static void values(page *p)
{
    const ldm_findings *f = p->f;
    size_t i, n = p->r->all || f->bad_count < FIRST ? f->bad_count : FIRST;

    ldm_audit_heading(p->out, p->r->colour, "Values");
    if (!f->bad_count) {
        ldm_str_puts(p->out, "  every number is finite\n");
        return;
    }
    for (i = 0; i < n; i++) {
        ldm_str_puts(p->out, "  ");
        ldm_audit_put_name(p->out, f->bad[i].tensor->name);
        ldm_str_printf(p->out, "  %" PRIu64 " NaN, %" PRIu64 " infinite\n", f->bad[i].nan,
                       f->bad[i].inf);
    }
    if (n < f->bad_count)
        ldm_str_printf(p->out, "  ... and %zu more (--all shows them)\n", f->bad_count - n);
}

static void notes(page *p)
{
    static const char *const words[] = {"good", "warning", "fault", "note"};
    size_t i;

    if (!p->f->note_count)
        return;
    ldm_audit_heading(p->out, p->r->colour, "Notes");
    for (i = 0; i < p->f->note_count; i++) {
        const ldm_note *n = &p->f->notes[i];

        ldm_str_puts(p->out, "  ");
        ldm_audit_paint(p->out, p->r->colour, n->tone, words[n->tone]);
        ldm_str_printf(p->out, "%*s", (int)(9 - strlen(words[n->tone])), "");
        ldm_audit_put_wrapped(p->out, p->r->width, 11, 11, n->text);
    }
}

static void causes(page *p)
{
    size_t i;

    if (!p->f->cause_count)
        return;
    ldm_audit_heading(p->out, p->r->colour, "Causes");
    for (i = 0; i < p->f->cause_count; i++) {
        ldm_str_puts(p->out, "  ");
        ldm_audit_put_wrapped(p->out, p->r->width, 2, 2, p->f->causes[i].finding);
        if (!p->f->causes[i].remedy)
            continue;
        ldm_str_puts(p->out, "    cure: ");
        ldm_audit_put_wrapped(p->out, p->r->width, 10, 10, p->f->causes[i].remedy);
    }
}

static void verdict(page *p)
{
    ldm_audit_heading(p->out, p->r->colour, "Verdict");
    ldm_str_puts(p->out, "  ");
    ldm_audit_paint(p->out, p->r->colour, p->f->tone, p->f->headline);
    ldm_str_puts(p->out, "\n  ");
    ldm_audit_put_wrapped(p->out, p->r->width, 2, 2, p->f->verdict);
    ldm_str_puts(p->out, "  Next: ");
    ldm_audit_put_wrapped(p->out, p->r->width, 8, 8, p->f->next_step);
}

ldm_status ldm_audit_text(const ldm_audit *a, const ldm_audit_report *r, ldm_str *out,
                          ldm_error *err)
{
    ldm_findings f;
    ldm_status st = ldm_findings_create(a, r->values, &f, err);
    page p = {a, &f, r, out};

    if (!st) {
        header(&p);
        components(&p);
        totals(&p);
        list(&p, "missing keys", missing_at, a->missing_count);
        list(&p, "unexpected keys", unexpected_at, a->unexpected_count);
        list(&p, "keys of another shape", mismatch_at, a->mismatched_count);
        critical(&p);
        conditions(&p);
        settings(&p);
        config_keys(&p);
        if (f.values_read)
            values(&p);
        notes(&p);
        causes(&p);
        verdict(&p);
        if (out->failed || f.failed)
            st = ldm_error_nomem(err, 0, "the report");
        else
            st = ldm_audit_values_verdict(a, &f, err);
    }
    ldm_findings_free(&f);
    return st;
}
