/* A comparison on the terminal, as Markdown and as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "cli/compare/compare.h"

static void add(json_t *list, char *text)
{
    if (text)
        json_array_append_new(list, ldm_json_text(text));
    free(text);
}

/* Notes of the audit that both sides share are printed once. */
static void add_notes(json_t *list, const ldm_cmp_side *s)
{
    json_t *notes = json_object_get(s->audit, "notes"), *note, *known;
    size_t i, k;

    json_array_foreach(notes, i, note)
    {
        bool twice = false;

        json_array_foreach(list, k, known) twice |= json_equal(known, note) != 0;
        if (!twice)
            json_array_append(list, note);
    }
}

/* What the ablation found: the changes that change no picture, and the one that costs most. */
static void add_findings(json_t *list, const ldm_compare *c)
{
    const ldm_cmp_variant *worst = NULL, *farthest = NULL;
    const ldm_cmp_summary *b = &c->b.sum;
    char *none = NULL, *longer;
    size_t i;

    for (i = 0; i < c->variant_count; i++) {
        const ldm_cmp_variant *v = &c->variants[i];
        const ldm_cmp_summary *s = &v->side.sum;

        if (v->side.failure)
            continue;
        if (v->same == v->side.count) {
            longer = ldm_cli_format("%s%s%s", none ? none : "", none ? ", " : "", v->name);
            free(none);
            none = longer;
        }
        if (s->face_share < b->face_share && (!worst || s->face_share < worst->side.sum.face_share))
            worst = v;
        if (s->frechet > b->frechet && (!farthest || s->frechet > farthest->side.sum.frechet))
            farthest = v;
    }
    if (none)
        add(list, ldm_cli_format("These change no picture at all: %s.", none));
    free(none);
    if (worst)
        add(list,
            ldm_cli_format("Alone, %s costs the most faces: from %.0f %% to %.0f %%.", worst->name,
                           100 * b->face_share, 100 * worst->side.sum.face_share));
    if (farthest)
        add(list, ldm_cli_format("Alone, %s moves the pictures farthest from the training set: "
                                 "Frechet distance %.3g in place of %.3g.",
                                 farthest->name, farthest->side.sum.frechet, b->frechet));
}

json_t *ldm_cmp_remarks(const ldm_compare *c)
{
    json_t *list = json_array();
    size_t n = c->a.count;

    if (!list)
        return NULL;
    add(list,
        ldm_cli_format(
            "%zu picture%s of each from seed %llu on, the same on both sides, from "
            "%s.",
            n, n == 1 ? "" : "s", (unsigned long long)ldm_job_get_u64(c->o->to.job, "seed"),
            ldm_model_ckpt(c->o->to.model) ? ldm_model_ckpt(c->o->to.model) : "the shipped model"));
    if (c->judge)
        add(list, strdup("Face recognition: the share of pictures in which OpenCV's frontal face "
                         "cascade finds a face. Nobody trained it on pictures of this model."));
    else
        add(list, ldm_cli_format("Faces were not judged: %s.", c->judge_missing));
    if (c->stats_missing)
        add(list, ldm_cli_format("%s.", c->stats_missing));
    else
        add(list,
            ldm_cli_format("Frechet distance: to %llu pictures of the training set, on the pooled "
                           "outputs of the first stage's encoder. It shrinks with the number of "
                           "pictures: compare only figures of equally many.",
                           (unsigned long long)c->stats_count));
    if (c->variant_count) {
        add(list, ldm_cli_format(
                      "One change at a time: %s with a single one of %s's settings; \"change\" "
                      "is the difference to %s (faces in percentage points), \"same "
                      "pictures\" how many are equal to its pictures byte by byte.",
                      c->b.title, c->a.title, c->b.title));
        add_findings(list, c);
    }
    add(list,
        strdup("Times are of this machine. Whichever side is loaded first may have waited for "
               "the disk."));
    if (c->study_a)
        add(list, strdup("The columns \"study\" are what the study published, of another "
                         "checkpoint on another machine."));
    add_notes(list, &c->a);
    add_notes(list, &c->b);
    return list;
}

/* ---- terminal -------------------------------------------------------------------------------- */

static void print_table(const ldm_cmp_table *t, FILE *f)
{
    size_t width[LDM_CMP_MAX_COLUMNS] = {0}, r, k;

    for (k = 0; k < t->columns; k++) {
        width[k] = strlen(t->head[k]);
        for (r = 0; r < t->rows; r++)
            width[k] = strlen(t->cell[r][k]) > width[k] ? strlen(t->cell[r][k]) : width[k];
    }
    fprintf(f, "%s\n ", t->title);
    for (k = 0; k < t->columns; k++)
        fprintf(f, " %-*s", (int)width[k] + (k + 1 < t->columns), t->head[k]);
    fputs("\n ", f);
    for (k = 0; k < t->columns; k++) {
        putc(' ', f);
        for (r = 0; r < width[k]; r++)
            putc('-', f);
        if (k + 1 < t->columns)
            putc(' ', f);
    }
    putc('\n', f);
    for (r = 0; r < t->rows; r++) {
        putc(' ', f);
        for (k = 0; k < t->columns; k++)
            fprintf(f, " %-*s", k + 1 < t->columns ? (int)width[k] + 1 : 0, t->cell[r][k]);
        putc('\n', f);
    }
    putc('\n', f);
}

void ldm_cmp_print_text(const ldm_compare *c, FILE *f)
{
    json_t *remarks = ldm_cmp_remarks(c), *text;
    ldm_cmp_table t;
    size_t i;

    for (int kind = 0; kind < LDM_CMP_TABLE_KINDS; kind++) {
        if (kind == LDM_CMP_SETTINGS || !ldm_cmp_table_exists(c, kind))
            continue;
        ldm_cmp_table_make(c, kind, &t);
        print_table(&t, f);
    }
    json_array_foreach(remarks, i, text) fprintf(f, "%s\n", json_string_value(text));
    json_decref(remarks);
    fprintf(f, "\nThe report is %sreport.html\n", c->out);
}

/* ---- Markdown -------------------------------------------------------------------------------- */

static void markdown_cell(const char *text, FILE *f)
{
    for (; *text; text++) {
        if (strchr("|*_<>[]`\\", *text))
            putc('\\', f);
        putc(*text, f);
    }
}

static void markdown_table(const ldm_cmp_table *t, FILE *f)
{
    size_t r, k;

    fprintf(f, "## %s\n\n", t->title);
    for (k = 0; k < t->columns; k++) {
        fputs(k ? " | " : "| ", f);
        markdown_cell(t->head[k], f);
    }
    fputs(" |\n|", f);
    for (k = 0; k < t->columns; k++)
        fputs("---|", f);
    putc('\n', f);
    for (r = 0; r < t->rows; r++) {
        for (k = 0; k < t->columns; k++) {
            fputs(k ? " | " : "| ", f);
            markdown_cell(t->cell[r][k], f);
        }
        fputs(" |\n", f);
    }
    putc('\n', f);
}

void ldm_cmp_write_markdown(const ldm_compare *c, FILE *f)
{
    const ldm_cmp_side *sides[2] = {&c->a, &c->b};
    json_t *remarks = ldm_cmp_remarks(c), *text;
    ldm_cmp_table t;
    size_t i;

    fprintf(f, "# %s and %s\n\nWritten by `ldm compare`, ldm %s.\n\n", c->a.title, c->b.title,
            ldm_version());
    json_array_foreach(remarks, i, text)
    {
        fputs("- ", f);
        markdown_cell(json_string_value(text), f);
        putc('\n', f);
    }
    json_decref(remarks);
    putc('\n', f);
    for (int kind = 0; kind < LDM_CMP_TABLE_KINDS; kind++) {
        if (!ldm_cmp_table_exists(c, kind))
            continue;
        ldm_cmp_table_make(c, kind, &t);
        markdown_table(&t, f);
    }
    fputs("## Pictures\n\n", f);
    for (i = 0; i < 2; i++) {
        const ldm_cmp_side *s = sides[i];

        if (s->sum.good > 1)
            fprintf(f, "![%s](%s_samples/grid.png)\n\n", s->title, s->stem);
        else if (s->sum.good)
            fprintf(f, "![%s](%s_samples/00000.png)\n\n", s->title, s->stem);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *picture_json(const ldm_cmp_picture *p)
{
    json_t *o = json_object();

    json_object_set_new(o, "seed", ldm_json_u64(p->seed));
    json_object_set_new(o, "file", p->good ? ldm_json_text(p->file) : json_null());
    if (!p->good)
        return o;
    json_object_set_new(o, "brightness", ldm_json_real(p->m.brightness));
    json_object_set_new(o, "contrast", ldm_json_real(p->m.contrast));
    json_object_set_new(o, "mean_r", ldm_json_real(p->m.mean_r));
    json_object_set_new(o, "mean_g", ldm_json_real(p->m.mean_g));
    json_object_set_new(o, "mean_b", ldm_json_real(p->m.mean_b));
    json_object_set_new(o, "skin_like", json_boolean(p->m.skin_like));
    json_object_set_new(o, "colour_coherence", ldm_json_real(p->m.colour_coherence));
    json_object_set_new(o, "colour_grade", json_string(p->m.colour_grade));
    json_object_set_new(o, "faces", p->faces < 0 ? json_null() : json_integer(p->faces));
    return o;
}

static json_t *summary_json(const ldm_cmp_summary *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "pictures", json_integer((json_int_t)s->good));
    json_object_set_new(o, "failed", json_integer((json_int_t)s->failed));
    json_object_set_new(o, "contrast", ldm_json_real(s->contrast));
    json_object_set_new(o, "brightness", ldm_json_real(s->brightness));
    json_object_set_new(o, "mean_r", ldm_json_real(s->r));
    json_object_set_new(o, "mean_g", ldm_json_real(s->g));
    json_object_set_new(o, "mean_b", ldm_json_real(s->b));
    json_object_set_new(o, "colour_coherence", ldm_json_real(s->coherence));
    json_object_set_new(o, "colour_grade", json_string(s->grade));
    json_object_set_new(o, "skin_like_share", ldm_json_real(s->skin_share));
    json_object_set_new(o, "face_share", ldm_json_real(s->face_share));
    json_object_set_new(o, "frechet", ldm_json_real(s->frechet));
    return o;
}

static json_t *side_json(const ldm_cmp_side *s, bool details)
{
    json_t *o = json_object(), *list;

    json_object_set_new(o, "name", ldm_json_text(s->stem));
    json_object_set_new(o, "layer", ldm_json_text(s->layer));
    if (s->failure) {
        json_object_set_new(o, "error", ldm_json_text(s->failure));
        return o;
    }
    json_object_set_new(o, "folder", ldm_json_text(s->folder));
    json_object_set_new(o, "steps_asked", json_integer(s->steps_asked));
    json_object_set_new(o, "steps_run", json_integer(s->steps_run));
    json_object_set_new(o, "eta", ldm_json_real(s->eta));
    json_object_set_new(o, "scale", ldm_json_real(s->scale));
    json_object_set_new(o, "cond", json_string(s->cond));
    json_object_set_new(o, "guidance_has_effect", json_boolean(s->guidance_works));
    json_object_set_new(o, "load_seconds", ldm_json_real(s->load_seconds));
    json_object_set_new(o, "generation_seconds", ldm_json_real(s->sample_seconds));
    json_object_set_new(o, "complete",
                        json_boolean(json_integer_value(json_object_get(s->audit, "matching")) ==
                                     json_integer_value(json_object_get(s->audit, "model_keys"))));
    json_object_set_new(o, "summary", summary_json(&s->sum));
    json_object_set(o, "notes", s->notes);
    if (!details)
        return o;
    list = json_array();
    for (size_t i = 0; i < s->count; i++)
        json_array_append_new(list, picture_json(&s->pictures[i]));
    json_object_set_new(o, "pictures", list);
    json_object_set(o, "check", s->audit);
    return o;
}

/* The table's texts as the reports show them. */
static json_t *table_json(const ldm_compare *c, ldm_cmp_table_kind kind)
{
    json_t *o = json_object(), *rows = json_array(), *head = json_array();
    ldm_cmp_table t;
    size_t r, k;

    ldm_cmp_table_make(c, kind, &t);
    for (k = 0; k < t.columns; k++)
        json_array_append_new(head, ldm_json_text(t.head[k]));
    for (r = 0; r < t.rows; r++) {
        json_t *row = json_array();

        for (k = 0; k < t.columns; k++)
            json_array_append_new(row, ldm_json_text(t.cell[r][k]));
        json_array_append_new(rows, row);
    }
    json_object_set_new(o, "title", json_string(t.title));
    json_object_set_new(o, "columns", head);
    json_object_set_new(o, "rows", rows);
    return o;
}

static json_t *variant_json(const ldm_cmp_variant *v)
{
    json_t *o = side_json(&v->side, false);

    json_object_set_new(o, "change", ldm_json_text(v->name));
    json_object_set(o, "settings", v->settings);
    json_object_set_new(o, "same_pictures", json_integer((json_int_t)v->same));
    return o;
}

int ldm_cmp_print_json(const ldm_compare *c)
{
    json_t *root = json_object(), *faces = json_object(), *frechet = json_object();
    json_t *tables = json_array(), *variants;

    json_object_set_new(root, "count", json_integer(ldm_job_get_int(c->o->to.job, "count")));
    json_object_set_new(root, "seed", ldm_json_u64(ldm_job_get_u64(c->o->to.job, "seed")));
    json_object_set_new(faces, "judged", json_boolean(c->judge != NULL));
    if (c->judge_missing)
        json_object_set_new(faces, "reason", ldm_json_text(c->judge_missing));
    json_object_set_new(root, "faces", faces);
    json_object_set_new(frechet, "measured", json_boolean(!c->stats_missing));
    if (c->stats_missing)
        json_object_set_new(frechet, "reason", ldm_json_text(c->stats_missing));
    else
        json_object_set_new(frechet, "reference", ldm_json_text(c->stats_file));
    json_object_set_new(root, "frechet", frechet);
    json_object_set_new(root, "a", side_json(&c->a, true));
    json_object_set_new(root, "b", side_json(&c->b, true));
    json_object_set(root, "difference", c->difference);
    if (c->o->ablate) {
        variants = json_array();
        for (size_t i = 0; i < c->variant_count; i++)
            json_array_append_new(variants, variant_json(&c->variants[i]));
        json_object_set_new(root, "ablation", variants);
    }
    for (int kind = 0; kind < LDM_CMP_TABLE_KINDS; kind++) {
        if (ldm_cmp_table_exists(c, kind))
            json_array_append_new(tables, table_json(c, kind));
    }
    json_object_set_new(root, "tables", tables);
    json_object_set_new(root, "remarks", ldm_cmp_remarks(c));
    return ldm_cli_print_json(c->cmd, root);
}
