/* SPDX-License-Identifier: MIT */
/* What ldm compare --sweep found: a table and JSON. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/str.h"
#include "cli/compare/compare.h"
#include "cli/sweep/sweep.h"

#define WITHIN 1.05 /* of the reference's distance */

char *ldm_sweep_name(const ldm_sweep *s, const ldm_sweep_cell *c)
{
    ldm_str name = {0};

    for (size_t k = 0; k < s->axis_count; k++)
        ldm_str_printf(&name, "%s%s %s", k ? ", " : "", s->axes[k].key,
                       s->axes[k].values[c->at[k]]);
    if (!name.failed)
        return name.data;
    ldm_str_free(&name);
    return NULL;
}

/* ---- the conclusion -------------------------------------------------------------------------- */

static bool is_ddim(const ldm_sweep *s, const ldm_sweep_cell *c)
{
    for (size_t k = 0; k < s->axis_count; k++) {
        if (!strcmp(s->axes[k].key, "sampler"))
            return !strcmp(s->axes[k].values[c->at[k]], "ddim");
    }
    return true; /* all cells have one sampler */
}

/* The cell that the others are held against: of sampler ddim, or of the first where there is none,
 * the one with the most evaluations that has a Frechet distance. NULL: no cell has one. */
static const ldm_sweep_cell *sweep_reference(const ldm_sweep *s)
{
    const ldm_sweep_cell *best = NULL;

    for (size_t i = 0; i < s->cell_count; i++) {
        const ldm_sweep_cell *c = &s->cells[i];
        const bool ddim = is_ddim(s, c);

        if (isnan(c->frechet) || c->refused)
            continue;
        if (!best || ddim > is_ddim(s, best) ||
            (ddim == is_ddim(s, best) && c->evaluations > best->evaluations))
            best = c;
    }
    return best;
}

/* The cell with the fewest evaluations whose distance is at most 5 % above the reference's. */
static const ldm_sweep_cell *sweep_cheapest(const ldm_sweep *s, const ldm_sweep_cell *reference)
{
    const ldm_sweep_cell *best = NULL;

    for (size_t i = 0; reference && i < s->cell_count; i++) {
        const ldm_sweep_cell *c = &s->cells[i];

        if (c->refused || !(c->frechet <= WITHIN * reference->frechet))
            continue;
        if (!best || c->evaluations < best->evaluations ||
            (c->evaluations <= best->evaluations && c->frechet < best->frechet))
            best = c;
    }
    return best;
}

/* All cells that ran take as many evaluations. */
static bool costs_alike(const ldm_sweep *s)
{
    const ldm_sweep_cell *first = NULL;

    for (size_t i = 0; i < s->cell_count; i++) {
        if (s->cells[i].refused)
            continue;
        if (!first)
            first = &s->cells[i];
        if (s->cells[i].evaluations != first->evaluations)
            return false;
    }
    return true;
}

/* Of cells that cost the same, the one with the least distance; `r` has one. */
static void say_best(const ldm_sweep *s, const ldm_sweep_cell *r, ldm_str *out)
{
    const ldm_sweep_cell *best = r;
    char near[32], *name;

    for (size_t i = 0; i < s->cell_count; i++) {
        if (!s->cells[i].refused && s->cells[i].frechet < best->frechet)
            best = &s->cells[i];
    }
    name = ldm_sweep_name(s, best);
    if (name)
        ldm_str_printf(out, "The least Frechet distance: %s (%s).\n", name,
                       ldm_cmp_number(best->frechet, near, sizeof near));
    free(name);
}

static void say_conclusion(const ldm_sweep *s, ldm_str *out)
{
    const ldm_sweep_cell *r = sweep_reference(s), *c = sweep_cheapest(s, r);
    char *reference = r ? ldm_sweep_name(s, r) : NULL, *cheapest = c ? ldm_sweep_name(s, c) : NULL;
    char far[32], near[32];

    if (r && costs_alike(s)) {
        say_best(s, r, out);
    } else if (reference && cheapest) {
        ldm_str_printf(out,
                       "Reference: %s (%.0f evaluations, Frechet distance %s). Within 5 %% of it "
                       "with the fewest evaluations: %s (%.0f evaluations, %s).\n",
                       reference, r->evaluations, ldm_cmp_number(r->frechet, far, sizeof far),
                       cheapest, c->evaluations, ldm_cmp_number(c->frechet, near, sizeof near));
    }
    free(reference);
    free(cheapest);
}

/* The most pictures that a cell has. */
static int pictures_of(const ldm_sweep *s)
{
    int most = 0;

    for (size_t i = 0; i < s->cell_count; i++)
        most = s->cells[i].pictures > most ? s->cells[i].pictures : most;
    return most;
}

/* What the reader must know of the rows, an array of sentences. NULL when out of memory. */
static json_t *remarks(const ldm_sweep *s)
{
    json_t *list = json_array();
    char *trust = sweep_reference(s) ? ldm_cmp_trust((size_t)pictures_of(s)) : NULL;

    if (trust)
        json_array_append_new(list, json_pack("s+", "Frechet distance: ", trust));
    for (size_t i = 0; i < s->idle_count; i++)
        json_array_append_new(list, json_pack("s+", s->idle[i], "."));
    free(trust);
    return list;
}

static void say_remarks(const ldm_sweep *s, ldm_str *out)
{
    json_t *list = remarks(s), *text;
    size_t i;

    json_array_foreach(list, i, text) ldm_str_printf(out, "\n%s\n", json_string_value(text));
    json_decref(list);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* A column: so many digits that count, and what follows them. */
static void number(ldm_str *out, int digits, double v, const char *unit)
{
    if (isnan(v))
        ldm_str_puts(out, " | –");
    else
        ldm_str_printf(out, " | %.*g%s", digits, v, unit);
}

static void row(const ldm_sweep *s, const ldm_sweep_cell *c, ldm_str *out)
{
    char frechet[32] = "–";

    for (size_t k = 0; k < s->axis_count; k++)
        ldm_str_printf(out, "| %s ", s->axes[k].values[c->at[k]]);
    if (c->refused) {
        ldm_str_puts(out, "| refused | | | | | | |\n");
        return;
    }
    ldm_str_printf(out, "| %.0f", c->evaluations);
    if (!isnan(c->frechet))
        ldm_cmp_number(c->frechet, frechet, sizeof frechet);
    ldm_str_printf(out, " | %s", frechet);
    number(out, 3, 100 * c->faces, " %");
    number(out, 3, c->contrast, "");
    number(out, 3, c->saturation, "");
    number(out, 3, c->variety, "");
    number(out, 3, c->seconds, "");
    ldm_str_puts(out, " |\n");
}

static void table(const ldm_sweep *s, ldm_str *out)
{
    const char *shipped = ldm_model_options_get_text(s->to->model, "model");
    const char *slash = s->model_name ? strrchr(s->model_name, '/') : NULL;
    const int pictures = pictures_of(s);

    ldm_str_printf(out, "%d picture%s a cell from seed %llu, %s%s, %d thread%s, %s.\n\n", pictures,
                   pictures == 1 ? "" : "s",
                   (unsigned long long)ldm_job_get_u64(s->to->job, "seed"),
                   shipped ? "the shipped model " : "",
                   shipped ? shipped
                   : slash ? slash + 1
                           : s->model_name,
                   s->threads, s->threads == 1 ? "" : "s", s->isa);
    for (size_t k = 0; k < s->axis_count; k++)
        ldm_str_printf(out, "| %s ", s->axes[k].key);
    ldm_str_puts(out,
                 "| evaluations | Frechet distance | faces | contrast | saturation | variety | "
                 "s a picture |\n");
    for (size_t k = 0; k < s->axis_count + 7; k++)
        ldm_str_puts(out, k < s->axis_count ? "|---" : "|---:");
    ldm_str_puts(out, "|\n");
    for (size_t i = 0; i < s->cell_count; i++)
        row(s, &s->cells[i], out);
    ldm_str_puts(out, "\n");
    say_conclusion(s, out);
    say_remarks(s, out);
    ldm_str_printf(out, "\n    %s\n", s->command);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *cell_json(const ldm_sweep *s, const ldm_sweep_cell *c)
{
    json_t *o = json_object(), *settings = json_object();

    for (size_t k = 0; k < s->axis_count; k++)
        json_object_set_new(settings, s->axes[k].key, ldm_json_text(s->axes[k].values[c->at[k]]));
    json_object_set_new(o, "settings", settings);
    json_object_set_new(o, "refused", c->refused ? ldm_json_text(c->refused) : json_null());
    if (c->refused)
        return o;
    json_object_set_new(o, "pictures", json_integer(c->pictures));
    json_object_set_new(o, "failed", json_integer(c->failed));
    json_object_set_new(o, "steps_run", json_integer(c->steps));
    json_object_set_new(o, "evaluations", ldm_json_real(c->evaluations));
    json_object_set_new(o, "frechet", ldm_json_real(c->frechet));
    json_object_set_new(o, "faces", ldm_json_real(c->faces));
    json_object_set_new(o, "contrast", ldm_json_real(c->contrast));
    json_object_set_new(o, "saturation", ldm_json_real(c->saturation));
    json_object_set_new(o, "variety", ldm_json_real(c->variety));
    json_object_set_new(o, "seconds", ldm_json_real(c->seconds));
    return o;
}

static json_t *report_json(const ldm_sweep *s)
{
    const ldm_sweep_cell *r = sweep_reference(s), *c = sweep_cheapest(s, r);
    json_t *root = json_object(), *cells = json_array();

    for (size_t i = 0; i < s->cell_count; i++)
        json_array_append_new(cells, cell_json(s, &s->cells[i]));
    json_object_set_new(root, "command", ldm_json_text(s->command));
    json_object_set_new(root, "checkpoint", ldm_json_text(s->model_name));
    json_object_set_new(root, "isa", ldm_json_text(s->isa));
    json_object_set_new(root, "threads", json_integer(s->threads));
    json_object_set_new(root, "cells", cells);
    json_object_set_new(root, "reference", r ? json_integer(r - s->cells) : json_null());
    json_object_set_new(root, "cheapest_within_5_percent",
                        c ? json_integer(c - s->cells) : json_null());
    json_object_set_new(root, "remarks", remarks(s));
    return root;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int write_file(const ldm_sweep *s, const char *name, const char *text)
{
    char *path = ldm_cli_format("%s%s", s->out, name);
    FILE *f = path ? fopen(path, "w") : NULL;
    int code = LDM_EXIT_OK;

    if (f && text)
        fputs(text, f);
    else if (f)
        ldm_sweep_draw(f, s);
    if (!path) {
        code = ldm_cli_nomem(s->cmd);
    } else if (!f || ferror(f) | fclose(f)) {
        ldm_cli_say(s->cmd, "cannot write %s: %s", path, strerror(errno));
        code = LDM_EXIT_FAILED;
    } else if (!s->json) {
        printf("%s\n", path);
    }
    free(path);
    return code;
}

int ldm_sweep_report(const ldm_sweep *s)
{
    ldm_str text = {0};
    json_t *root = report_json(s);
    char *json = ldm_cli_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    int code;

    table(s, &text);
    code = text.failed || !json ? ldm_cli_nomem(s->cmd) : LDM_EXIT_OK;
    if (!code && !s->json)
        printf("%s\n", text.data);
    if (!code)
        code = write_file(s, "sweep.md", text.data);
    if (!code)
        code = write_file(s, "sweep.json", json);
    if (!code && sweep_reference(s))
        code = write_file(s, "sweep.svg", NULL);
    if (!code && s->json)
        code = ldm_cli_print_json(s->cmd, json_incref(root));
    free(json);
    json_decref(root);
    ldm_str_free(&text);
    return code;
}
