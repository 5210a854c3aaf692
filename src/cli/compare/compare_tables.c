/* SPDX-License-Identifier: MIT */
/* The tables of a comparison: rows of short texts, all from what was measured or, in the columns
 * that say so, from published.json beside the layers. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/str.h"
#include "cli/compare/compare.h"

typedef char cell[LDM_CMP_CELL];

static void put(char *to, const char *fmt, ...) LDM_PRINTF(2, 3);

static void put(char *to, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(to, LDM_CMP_CELL, fmt, ap);
    va_end(ap);
}

const char *ldm_cmp_number(double v, char *buf, size_t size)
{
    char whole[32];

    if (isnan(v))
        snprintf(buf, size, "-");
    else if (isinf(v))
        snprintf(buf, size, v > 0 ? "infinite" : "-infinite");
    else if (fabs(v) >= 100 && fabs(v) < 1e15)
        snprintf(buf, size, "%s%s", v < 0 ? "-" : "",
                 ldm_format_count((uint64_t)(fabs(v) + 0.5), whole));
    else
        snprintf(buf, size, fabs(v) >= 10 ? "%.1f" : fabs(v) >= 1 ? "%.2f" : "%.3g", v);
    return buf;
}

/* ---- the study's two tables ------------------------------------------------------------------ */

/* A row of the study's tables: what it is called there, its name in published.json, and how it is
 * measured. */
typedef struct row {
    const char *label, *published;
    void (*write)(const ldm_compare *c, const ldm_cmp_side *s, char *to);
    bool of_pictures; /* a mean over them: there must be one */
} row;

static const json_t *setting(const ldm_cmp_side *s, const char *name)
{
    return json_object_get(json_object_get(json_object_get(s->audit, "settings"), name), "value");
}

static void put_scale_factor(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    cell buf;

    (void)c;
    put(to, "%s", ldm_cmp_value_text(setting(s, "scale_factor"), buf, sizeof buf));
}

/* What the layer says; and what becomes of it where the network makes it something else. */
static void put_conditioning(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    static const char key[] = "model.params.conditioning_key";
    const json_t *runs = setting(s, "conditioning_key"), *asked = runs;
    cell a, b;
    json_t *e;
    size_t i;

    json_array_foreach(c->difference, i, e)
    {
        if (!strcmp(json_string_value(json_object_get(e, "key")), key) &&
            (s == &c->a || s == &c->b))
            asked = json_object_get(e, s == &c->a ? "a" : "b");
    }
    ldm_cmp_value_text(runs, b, sizeof b);
    if (!asked || json_equal(asked, runs))
        put(to, "%s", ldm_cmp_value_text(runs, b, sizeof b));
    else
        put(to, "%.50s (runs as %.50s)", ldm_cmp_value_text(asked, a, sizeof a),
            ldm_cmp_value_text(runs, b, sizeof b));
}

static void put_attention(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    const json_t *channels = setting(s, "num_head_channels");
    json_t *blocks = json_object_get(
        json_object_get(json_object_get(s->audit, "settings"), "attention_heads"), "value");
    json_int_t low = 0, high = 0;
    const char *name;
    json_t *block;
    cell setting_text;

    (void)c;
    json_object_foreach(blocks, name, block)
    {
        json_int_t heads = json_integer_value(json_object_get(block, "heads"));

        low = !low || heads < low ? heads : low;
        high = heads > high ? heads : high;
    }
    if (json_integer_value(channels) > 0)
        put(setting_text, "num_head_channels: %d", (int)json_integer_value(channels));
    else
        put(setting_text, "num_heads: %d", (int)json_integer_value(setting(s, "num_heads")));
    if (!high)
        put(to, "%s", setting_text);
    else if (low == high)
        put(to, "%.60s (%d head%s)", setting_text, (int)low, low == 1 ? "" : "s");
    else
        put(to, "%.60s (%d to %d heads)", setting_text, (int)low, (int)high);
}

static void put_steps(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    if (s->steps_asked == s->steps_run)
        put(to, "%d", s->steps_run);
    else
        put(to, "%d (%d run)", s->steps_asked, s->steps_run);
}

static void put_guidance(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    put(to, "%.3g%s", s->scale, s->scale != 1 && !s->guidance_works ? " (no effect)" : "");
}

static json_int_t audited(const ldm_cmp_side *s, const char *name)
{
    return json_integer_value(json_object_get(s->audit, name));
}

/* Rounded down as in the audit's own text, so that 100.0 means all. */
static void put_match(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    const json_int_t matching = audited(s, "matching"), keys = audited(s, "model_keys");

    (void)c;
    put(to, "%.1f %% (%d of %d)", keys ? (double)(matching * 1000 / keys) / 10 : 0.0, (int)matching,
        (int)keys);
}

static void put_load(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    char time[48];

    (void)c;
    ldm_cli_duration(s->load_seconds, time, sizeof time);
    put(to, "%s", time);
}

static void put_generation(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    char time[48];

    (void)c;
    ldm_cli_duration(s->sample_seconds, time, sizeof time);
    put(to, "%s (%zu picture%s)", time, s->count, s->count == 1 ? "" : "s");
}

static void put_contrast(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    put(to, "%.3f", s->sum.contrast);
}

static void put_brightness(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    put(to, "%.3f", s->sum.brightness);
}

static void put_colour(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    put(to, "%.3f / %.3f / %.3f", s->sum.r, s->sum.g, s->sum.b);
}

static void put_coherence(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    put(to, "%.3f (%s: %zu of %zu)", s->sum.coherence, s->sum.grade, s->sum.grade_count,
        s->sum.good);
}

static void put_skin(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    put(to, "%.0f %%", 100 * s->sum.skin_share);
}

static void put_faces(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    if (isnan(s->sum.face_share))
        put(to, "not judged");
    else
        put(to, "%.0f %% (%.0f of %zu)", 100 * s->sum.face_share,
            s->sum.face_share * (double)s->sum.good, s->sum.good);
}

static void put_frechet(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    char number[32];

    (void)c;
    if (isnan(s->sum.frechet))
        put(to, "not measured");
    else
        put(to, "%s", ldm_cmp_number(s->sum.frechet, number, sizeof number));
}

static void put_loading(const ldm_compare *c, const ldm_cmp_side *s, char *to)
{
    (void)c;
    if (audited(s, "matching") == audited(s, "model_keys"))
        put(to, "Complete");
    else
        put(to, "Partial (%d read at random)", (int)audited(s, "initialised"));
}

static const row parameters[] = {
    {"scale_factor", "scale_factor", put_scale_factor, false},
    {"conditioning_key", "conditioning_key", put_conditioning, false},
    {"UNet attention", "attention", put_attention, false},
    {"Sampling steps", "steps", put_steps, false},
    {"Guidance scale", "guidance", put_guidance, false},
    {"Parameter match", "match", put_match, false},
};

static const row performance[] = {
    {"Load time", "load", put_load, false},
    {"Generation time", "generation", put_generation, false},
    {"Image contrast", "contrast", put_contrast, true},
    {"Brightness", "brightness", put_brightness, true},
    {"Mean R / G / B", "colour", put_colour, true},
    {"Color coherence", "coherence", put_coherence, true},
    {"Skin-like order (R > G > B)", "skin", put_skin, true},
    {"Face recognition", "faces", put_faces, true},
    {"Frechet distance (less is better)", "frechet", put_frechet, true},
    {"Parameter loading", "loading", put_loading, false},
};

static const char *published(const json_t *study, const char *name)
{
    const char *text = json_string_value(json_object_get(study, name));

    return text ? text : "";
}

static void write_cell(const ldm_compare *c, const row *r, const ldm_cmp_side *s, char *to)
{
    if (r->of_pictures && !s->sum.good)
        put(to, "no picture");
    else
        r->write(c, s, to);
}

static void study_table(const ldm_compare *c, const row *rows, size_t count, ldm_cmp_table *t)
{
    bool study = c->study_a != NULL;
    size_t i, k;

    t->columns = study ? 5 : 3;
    t->rows = count;
    put(t->head[0], "%s", rows == parameters ? "Parameter" : "Metric");
    put(t->head[1], "%s%s", c->a.title, study ? ", study" : "");
    put(t->head[2], "%s%s", study ? c->a.title : c->b.title, study ? ", here" : "");
    put(t->head[3], "%s, study", c->b.title);
    put(t->head[4], "%s, here", c->b.title);
    for (i = 0; i < count; i++) {
        k = 0;
        put(t->cell[i][k++], "%s", rows[i].label);
        if (study)
            put(t->cell[i][k++], "%s", published(c->study_a, rows[i].published));
        write_cell(c, &rows[i], &c->a, t->cell[i][k++]);
        if (study)
            put(t->cell[i][k++], "%s", published(c->study_b, rows[i].published));
        write_cell(c, &rows[i], &c->b, t->cell[i][k++]);
    }
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void key_row(const ldm_compare *c, ldm_cmp_table *t, const char *label, const char *name)
{
    cell *r = t->cell[t->rows++];

    put(r[0], "%s", label);
    put(r[1], "%d", (int)audited(&c->a, name));
    put(r[2], "%d", (int)audited(&c->b, name));
}

static size_t listed(const ldm_cmp_side *s, const char *name)
{
    return json_array_size(json_object_get(s->audit, name));
}

static void list_row(const ldm_compare *c, ldm_cmp_table *t, const char *label, const char *name)
{
    cell *r = t->cell[t->rows++];

    put(r[0], "%s", label);
    put(r[1], "%zu", listed(&c->a, name));
    put(r[2], "%zu", listed(&c->b, name));
}

static void put_component(const ldm_cmp_side *s, const char *name, char *to)
{
    json_t *o = json_object_get(json_object_get(s->audit, "components"), name);
    json_t *model = json_object_get(json_object_get(o, "model"), "tensors");

    if (!json_integer_value(model))
        put(to, "not needed");
    else
        put(to, "%d of %d", (int)json_integer_value(json_object_get(o, "matching")),
            (int)json_integer_value(model));
}

static void key_table(const ldm_compare *c, ldm_cmp_table *t)
{
    const char *name;
    json_t *component;

    t->columns = 3;
    put(t->head[0], "Keys");
    put(t->head[1], "%s", c->a.title);
    put(t->head[2], "%s", c->b.title);
    key_row(c, t, "of the model", "model_keys");
    key_row(c, t, "of the checkpoint", "checkpoint_keys");
    key_row(c, t, "matching", "matching");
    list_row(c, t, "missing", "missing");
    list_row(c, t, "unexpected", "unexpected");
    list_row(c, t, "of another shape", "shape_mismatch");
    key_row(c, t, "missing that a run reads", "run_missing");
    json_object_foreach(json_object_get(c->b.audit, "components"), name, component)
    {
        cell *r = t->cell[t->rows];

        if (!json_integer_value(json_object_get(json_object_get(component, "model"), "tensors")))
            continue;
        put(r[0], "matching in %s", name);
        put_component(&c->a, name, r[1]);
        put_component(&c->b, name, r[2]);
        t->rows++;
    }
}

/* ---- pairs of pictures ----------------------------------------------------------------------- */

static void pair_row(cell *r, const ldm_cmp_pair *p, uint64_t seed)
{
    char number[32];

    put(r[0], "%llu", (unsigned long long)seed);
    if (!p->both)
        put(r[1], "one failed");
    else if (!p->same_size)
        put(r[1], "of two sizes");
    else if (p->equal)
        put(r[1], "yes, byte by byte");
    else
        put(r[1], "no");
    put(r[2], "%s",
        p->same_size && !p->equal ? ldm_cmp_number(p->psnr, number, sizeof number) : "-");
    put(r[3], "%s", ldm_cmp_number(p->latent, number, sizeof number));
}

static void seed_table(const ldm_compare *c, ldm_cmp_table *t)
{
    static const char *const heads[] = {"Seed", "Equal", "PSNR in dB", "Latent distance"};
    const ldm_cmp_pair_summary s = ldm_cmp_summarise_pairs(c);
    char number[32];
    cell *r;

    t->columns = 4;
    for (size_t k = 0; k < t->columns; k++)
        put(t->head[k], "%s", heads[k]);
    for (size_t i = 0; i < c->pair_count && t->rows < LDM_CMP_MAX_ROWS - 2; i++)
        pair_row(t->cell[t->rows++], &c->pairs[i], c->a.pictures[i].seed);
    if (t->rows < c->pair_count) {
        put(t->cell[t->rows][0], "%zu more", c->pair_count - t->rows);
        t->rows++;
    }
    r = t->cell[t->rows++];
    put(r[0], "all");
    put(r[1], "%zu of %zu", s.equal, s.both);
    put(r[2], isnan(s.psnr) ? "-" : "median %s", ldm_cmp_number(s.psnr, number, sizeof number));
    put(r[3], isnan(s.latent) ? "-" : "median %s", ldm_cmp_number(s.latent, number, sizeof number));
}

/* ---- settings -------------------------------------------------------------------------------- */

static void settings_table(const ldm_compare *c, ldm_cmp_table *t)
{
    size_t n = json_array_size(c->difference), i;
    json_t *e;
    cell buf;

    t->columns = 3;
    put(t->head[0], "Setting");
    put(t->head[1], "%s", c->a.title);
    put(t->head[2], "%s", c->b.title);
    json_array_foreach(c->difference, i, e)
    {
        cell *r = t->cell[t->rows];

        if (t->rows == LDM_CMP_MAX_ROWS - 1 && n > LDM_CMP_MAX_ROWS) {
            put(r[0], "%zu more", n - t->rows);
            t->rows++;
            break;
        }
        put(r[0], "%s", json_string_value(json_object_get(e, "key")));
        put(r[1], "%s", ldm_cmp_value_text(json_object_get(e, "a"), buf, sizeof buf));
        put(r[2], "%s", ldm_cmp_value_text(json_object_get(e, "b"), buf, sizeof buf));
        t->rows++;
    }
}

/* ---- ablation -------------------------------------------------------------------------------- */

/* The value with `digits` after the point (digits 0: as a number for people; percent: as such,
 * without any) and, in the next cell, its difference to B's. */
static void put_change(char *to, char *change, double v, double b, int digits, bool percent)
{
    const double difference = (percent ? 100 : 1) * (v - b);
    char number[32];

    change[0] = '\0';
    if (isnan(v)) {
        put(to, "-");
        return;
    }
    if (percent)
        put(to, "%.*f %%", digits, 100 * v);
    else if (digits)
        put(to, "%.*f", digits, v);
    else
        put(to, "%s", ldm_cmp_number(v, number, sizeof number));
    if (isnan(b))
        return;
    if (percent || digits)
        put(change, "%+.*f", digits, difference);
    else
        put(change, "%s%s", difference >= 0 ? "+" : "",
            ldm_cmp_number(difference, number, sizeof number));
}

static void ablation_row(const ldm_compare *c, ldm_cmp_table *t, const char *name,
                         const char *values, const ldm_cmp_side *s, size_t same)
{
    const ldm_cmp_summary *b = &c->b.sum, *v = &s->sum;
    bool is_b = s == &c->b;
    cell *r;

    if (t->rows == LDM_CMP_MAX_ROWS)
        return;
    r = t->cell[t->rows++];
    put(r[0], "%s", name);
    put(r[1], "%s", values);
    if (s->failure) {
        put(r[2], "cannot run");
        for (size_t k = 3; k < t->columns; k++)
            put(r[k], "-");
        return;
    }
    put_change(r[2], r[3], v->face_share, is_b ? NAN : b->face_share, 0, true);
    put_change(r[4], r[5], v->contrast, is_b ? NAN : b->contrast, 3, false);
    put_change(r[6], r[7], v->frechet, is_b ? NAN : b->frechet, 0, false);
    if (is_b)
        put(r[8], "all");
    else
        put(r[8], "%zu of %zu", same, s->count);
}

static void put_values(const ldm_cmp_variant *v, char *to)
{
    size_t used = 0, i;
    json_t *e;

    json_array_foreach(v->settings, i, e)
    {
        const char *key = json_string_value(json_object_get(e, "key")), *dot = strrchr(key, '.');
        cell buf;
        int n;

        n = snprintf(to + used, LDM_CMP_CELL - used, "%s%s: %s", i ? ", " : "", dot ? dot + 1 : key,
                     ldm_cmp_value_text(json_object_get(e, "a"), buf, sizeof buf));
        used += n > 0 ? (size_t)n : 0;
        if (used >= LDM_CMP_CELL - 1)
            break;
    }
}

static void ablation_table(const ldm_compare *c, ldm_cmp_table *t)
{
    static const char *const heads[] = {"Change", "Value",   "Faces",  "change",       "Contrast",
                                        "change", "Frechet", "change", "Same pictures"};
    size_t i;
    cell values;

    t->columns = 9;
    for (i = 0; i < t->columns; i++)
        put(t->head[i], "%s", heads[i]);
    put(values, "%s as it is", c->b.title);
    ablation_row(c, t, "none", values, &c->b, 0);
    for (i = 0; i < c->variant_count; i++) {
        values[0] = '\0';
        put_values(&c->variants[i], values);
        ablation_row(c, t, c->variants[i].name, values, &c->variants[i].side, c->variants[i].same);
    }
    put(values, "%s as it is", c->a.title);
    ablation_row(c, t, "all", values, &c->a, ldm_cmp_count_same(c, &c->a));
}

/* ---- all ------------------------------------------------------------------------------------- */

bool ldm_cmp_table_exists(const ldm_compare *c, ldm_cmp_table_kind kind)
{
    return kind != LDM_CMP_ABLATION || c->variant_count;
}

void ldm_cmp_table_make(const ldm_compare *c, ldm_cmp_table_kind kind, ldm_cmp_table *t)
{
    memset(t, 0, sizeof *t);
    switch (kind) {
    case LDM_CMP_PARAMETERS:
        t->title = "Key parameter differences";
        study_table(c, parameters, sizeof parameters / sizeof parameters[0], t);
        break;
    case LDM_CMP_PERFORMANCE:
        t->title = "Performance";
        study_table(c, performance, sizeof performance / sizeof performance[0], t);
        break;
    case LDM_CMP_SEEDS:
        t->title = "Seed by seed";
        seed_table(c, t);
        break;
    case LDM_CMP_KEYS:
        t->title = "Key audit";
        key_table(c, t);
        break;
    case LDM_CMP_SETTINGS:
        t->title = "Settings that differ";
        settings_table(c, t);
        break;
    case LDM_CMP_ABLATION:
        t->title = "One change at a time";
        ablation_table(c, t);
        break;
    case LDM_CMP_TABLE_KINDS:
        break;
    }
}
