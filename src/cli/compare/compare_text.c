/* SPDX-License-Identifier: MIT */
/* A comparison on the terminal, as Markdown and as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "cli/compare/compare.h"
#include "cli/terminal.h"

static void add(json_t *list, char *text)
{
    if (text)
        json_array_append_new(list, ldm_json_text(text));
    free(text);
}

/* Notes of the audit that both sides share are printed once, and those that stand among the
 * warnings not again. */
static void add_notes(json_t *list, const ldm_compare *c, const ldm_cmp_side *s)
{
    json_t *notes = json_object_get(s->audit, "notes"), *warnings = ldm_cmp_warnings(c);
    json_t *note, *known;
    size_t i, k;

    json_array_foreach(notes, i, note)
    {
        bool twice = false;

        json_array_foreach(list, k, known) twice |= json_equal(known, note) != 0;
        json_array_foreach(warnings, k, known) twice |=
            strstr(json_string_value(known), json_string_value(note)) != NULL;
        if (!twice)
            json_array_append(list, note);
    }
    json_decref(warnings);
}

char *ldm_cmp_trust(size_t pictures)
{
    static const char shrinks[] = "It shrinks with the number of pictures: compare only figures of "
                                  "equally many.";

    return pictures >= LDM_CMP_FEW
               ? strdup(shrinks)
               : ldm_cli_format("%s Of %zu picture%s it is largely chance: other seeds "
                                "may show another order, %d or more tell.",
                                shrinks, pictures, pictures == 1 ? "" : "s", LDM_CMP_FEW);
}

json_t *ldm_cmp_remarks(const ldm_compare *c)
{
    json_t *list = json_array();
    size_t n = c->a.count;
    char *whole, *trust;

    if (!list)
        return NULL;
    trust = ldm_cmp_trust(n);
    add(list,
        ldm_cli_format(
            "%zu picture%s of each from seed %llu on, the same on both sides, from "
            "%s.",
            n, n == 1 ? "" : "s", (unsigned long long)ldm_job_get_u64(c->o->to.job, "seed"),
            ldm_model_ckpt(c->o->to.model) ? ldm_model_ckpt(c->o->to.model) : "the shipped model"));
    whole = ldm_cmp_whole_text(c);
    if (whole)
        add(list, ldm_cli_format("%s.", whole));
    free(whole);
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
                           "outputs of the first stage's encoder. %s",
                           (unsigned long long)c->stats_count, trust ? trust : ""));
    add(list,
        strdup("Seed by seed: the same start noise on both sides. PSNR is that of the pictures' "
               "bytes (more is more alike; above 40 dB hardly anybody sees a difference); "
               "the latent distance is |A - B| / |B| of the final latents (0: equal, above 1: "
               "nothing in common)."));
    if (c->variant_count) {
        add(list, ldm_cli_format(
                      "One change at a time: %s with a single one of %s's settings; \"change\" "
                      "is the difference to %s (faces in percentage points), \"same "
                      "pictures\" how many are equal to its pictures byte by byte.",
                      c->b.title, c->a.title, c->b.title));
    }
    add(list,
        strdup("Times are of this machine. Whichever side is loaded first may have waited for "
               "the disk."));
    if (c->study_a)
        add(list, strdup("The columns \"study\" are what the study published, of another "
                         "checkpoint on another machine."));
    add_notes(list, c, &c->a);
    add_notes(list, c, &c->b);
    free(trust);
    return list;
}

/* ---- terminal -------------------------------------------------------------------------------- */

static size_t table_widths(const ldm_cmp_table *t, size_t width[LDM_CMP_MAX_COLUMNS])
{
    size_t sum = 0, r, k;

    for (k = 0; k < t->columns; k++) {
        width[k] = strlen(t->head[k]);
        for (r = 0; r < t->rows; r++)
            width[k] = strlen(t->cell[r][k]) > width[k] ? strlen(t->cell[r][k]) : width[k];
        sum += width[k] + 2;
    }
    return sum;
}

/* Each row as a block, for terminals that the table is too wide for. */
static void print_blocks(const ldm_cmp_table *t, FILE *f)
{
    char line[3 * LDM_CMP_CELL];
    size_t r, k;

    fprintf(f, "%s\n", t->title);
    for (r = 0; r < t->rows; r++) {
        snprintf(line, sizeof line, "  %s", t->cell[r][0]);
        ldm_terminal_line(f, line, 4);
        for (k = 1; k < t->columns; k++) {
            if (!t->cell[r][k][0])
                continue;
            snprintf(line, sizeof line, "    %-19s %s", t->head[k], t->cell[r][k]);
            ldm_terminal_line(f, line, 24);
        }
    }
    putc('\n', f);
}

static void print_table(const ldm_cmp_table *t, FILE *f)
{
    const int room = ldm_terminal_width(fileno(f));
    size_t width[LDM_CMP_MAX_COLUMNS] = {0}, r, k;

    if (table_widths(t, width) > (size_t)room && room) {
        print_blocks(t, f);
        return;
    }
    fprintf(f, "%s\n ", t->title);
    for (k = 0; k < t->columns; k++)
        fprintf(f, " %-*s", k + 1 < t->columns ? (int)width[k] + 1 : 0, t->head[k]);
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

/* A list of sentences under a heading; nothing where it is empty. Releases it. */
static void print_list(const char *heading, json_t *list, FILE *f)
{
    json_t *text;
    size_t i;

    if (json_array_size(list) && heading)
        fprintf(f, "%s\n", heading);
    json_array_foreach(list, i, text)
    {
        char *line = ldm_cli_format("  %s", json_string_value(text));

        if (line)
            ldm_terminal_line(f, line, 4);
        free(line);
    }
    if (json_array_size(list))
        putc('\n', f);
    json_decref(list);
}

static void print_provenance(const ldm_compare *c, FILE *f)
{
    json_t *list = ldm_cmp_provenance(c), *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        char *line = ldm_cli_format("  %-11s %s", json_string_value(json_array_get(row, 0)),
                                    json_string_value(json_array_get(row, 1)));

        if (line)
            ldm_terminal_line(f, line, 14);
        free(line);
    }
    json_decref(list);
}

void ldm_cmp_print_text(const ldm_compare *c, FILE *f)
{
    ldm_cmp_table t;

    print_list("Conclusion", ldm_cmp_conclusion(c), f);
    print_list("Warnings", ldm_cmp_warnings(c), f);
    for (int kind = 0; kind < LDM_CMP_TABLE_KINDS; kind++) {
        if (kind == LDM_CMP_SETTINGS || !ldm_cmp_table_exists(c, kind))
            continue;
        ldm_cmp_table_make(c, kind, &t);
        print_table(&t, f);
    }
    print_list("How to read this", ldm_cmp_remarks(c), f);
    fputs("How it was made\n", f);
    print_provenance(c, f);
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

/* A list of sentences as a list of Markdown, under a heading unless that is NULL. Releases it. */
static void markdown_list(const char *heading, json_t *list, FILE *f)
{
    json_t *text;
    size_t i;

    if (heading && json_array_size(list))
        fprintf(f, "## %s\n\n", heading);
    json_array_foreach(list, i, text)
    {
        fputs("- ", f);
        markdown_cell(json_string_value(text), f);
        putc('\n', f);
    }
    if (json_array_size(list))
        putc('\n', f);
    json_decref(list);
}

static void markdown_provenance(const ldm_compare *c, FILE *f)
{
    json_t *list = ldm_cmp_provenance(c), *row;
    size_t i;

    fputs("## How it was made\n\n", f);
    json_array_foreach(list, i, row)
    {
        fprintf(f, "- %s: ", json_string_value(json_array_get(row, 0)));
        markdown_cell(json_string_value(json_array_get(row, 1)), f);
        putc('\n', f);
    }
    json_decref(list);
}

void ldm_cmp_write_markdown(const ldm_compare *c, FILE *f)
{
    const ldm_cmp_side *sides[2] = {&c->a, &c->b};
    ldm_cmp_table t;

    fprintf(f, "# %s against %s\n\n", c->a.title, c->b.title);
    markdown_list(NULL, ldm_cmp_conclusion(c), f);
    markdown_list("Warnings", ldm_cmp_warnings(c), f);
    for (int kind = 0; kind < LDM_CMP_TABLE_KINDS; kind++) {
        if (!ldm_cmp_table_exists(c, kind))
            continue;
        ldm_cmp_table_make(c, kind, &t);
        markdown_table(&t, f);
    }
    fputs("## Pictures\n\n", f);
    for (size_t i = 0; i < 2; i++) {
        const ldm_cmp_side *s = sides[i];

        if (s->sum.good > 1)
            fprintf(f, "![%s](%s_samples/grid.png)\n\n", s->title, s->stem);
        else if (s->sum.good)
            fprintf(f, "![%s](%s_samples/00000.png)\n\n", s->title, s->stem);
    }
    markdown_list("How to read this", ldm_cmp_remarks(c), f);
    markdown_provenance(c, f);
}
