/* SPDX-License-Identifier: MIT */
/* What ldm compare --sweep found: a table, JSON, and a plot of quality over evaluations and over
 * seconds. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/str.h"
#include "cli/compare/compare.h"
#include "cli/svg.h"
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

static void say_conclusion(const ldm_sweep *s, ldm_str *out)
{
    const ldm_sweep_cell *r = sweep_reference(s), *c = sweep_cheapest(s, r);
    char *reference = r ? ldm_sweep_name(s, r) : NULL, *cheapest = c ? ldm_sweep_name(s, c) : NULL;
    char far[32], near[32];

    if (reference && cheapest) {
        ldm_str_printf(out,
                       "Reference: %s (%.0f evaluations, Frechet distance %s). Within 5 %% of it "
                       "with the fewest evaluations: %s (%.0f evaluations, %s).\n",
                       reference, r->evaluations, ldm_cmp_number(r->frechet, far, sizeof far),
                       cheapest, c->evaluations, ldm_cmp_number(c->frechet, near, sizeof near));
    }
    free(reference);
    free(cheapest);
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
        ldm_str_puts(out, "| refused | | | | |\n");
        return;
    }
    ldm_str_printf(out, "| %.0f", c->evaluations);
    if (!isnan(c->frechet))
        ldm_cmp_number(c->frechet, frechet, sizeof frechet);
    ldm_str_printf(out, " | %s", frechet);
    number(out, 3, 100 * c->faces, " %");
    number(out, 3, c->contrast, "");
    number(out, 3, c->seconds, "");
    ldm_str_puts(out, " |\n");
}

static void table(const ldm_sweep *s, ldm_str *out)
{
    const char *slash = s->model_name ? strrchr(s->model_name, '/') : NULL;
    int pictures = 0;

    for (size_t i = 0; i < s->cell_count; i++)
        pictures = s->cells[i].pictures > pictures ? s->cells[i].pictures : pictures;
    ldm_str_printf(out, "%d pictures a cell from seed %llu, %s, %d thread%s, %s.\n\n", pictures,
                   (unsigned long long)ldm_job_get_u64(s->to->job, "seed"),
                   slash ? slash + 1 : s->model_name, s->threads, s->threads == 1 ? "" : "s",
                   s->isa);
    for (size_t k = 0; k < s->axis_count; k++)
        ldm_str_printf(out, "| %s ", s->axes[k].key);
    ldm_str_puts(out, "| evaluations | Frechet distance | faces | contrast | s a picture |\n");
    for (size_t k = 0; k < s->axis_count + 5; k++)
        ldm_str_puts(out, k < s->axis_count ? "|---" : "|---:");
    ldm_str_puts(out, "|\n");
    for (size_t i = 0; i < s->cell_count; i++)
        row(s, &s->cells[i], out);
    ldm_str_puts(out, "\n");
    say_conclusion(s, out);
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
    return root;
}

/* ---- the plot -------------------------------------------------------------------------------- */

enum { PANEL_W = 380, PANEL_H = 330, LEFT = 62, GAP = 70, TOP = 46, LEGEND = 20, COLOURS = 10 };

static const char *const colours[COLOURS] = {"#c0713f", "#3f7f84", "#7a5aa6", "#4a8f3c", "#b8434e",
                                             "#3a6fb0", "#a8892c", "#c2609c", "#5f6b73", "#2f9e8f"};

typedef struct axis_range {
    double least, most; /* of what is shown, above 0 */
} axis_range;

static double along(axis_range r, double v)
{
    return r.most > r.least ? log(v / r.least) / log(r.most / r.least) : 0.5;
}

static double horizontal(const ldm_sweep_cell *c, int panel)
{
    return panel ? c->seconds : c->evaluations;
}

static bool is_shown(const ldm_sweep_cell *c)
{
    return !c->refused && c->frechet > 0 && c->seconds > 0 && c->evaluations > 0;
}

static void widen(axis_range *r, double v)
{
    r->least = r->least > 0 && r->least < v ? r->least : v;
    r->most = r->most > v ? r->most : v;
}

/* The cells of one value of the first axis as a line; the others vary along it. */
static void draw_line(FILE *f, const ldm_sweep *s, int panel, size_t value, axis_range x,
                      axis_range y)
{
    const char *colour = colours[value % COLOURS];
    const double x0 = LEFT + panel * (PANEL_W + GAP);
    double last_x = 0, last_y = 0;
    bool first = true;

    for (size_t i = 0; i < s->cell_count; i++) {
        const ldm_sweep_cell *c = &s->cells[i];
        double px, py;

        if (c->at[0] != value || !is_shown(c))
            continue;
        px = x0 + along(x, horizontal(c, panel)) * PANEL_W;
        py = TOP + (1 - along(y, c->frechet)) * PANEL_H;
        if (!first)
            fprintf(f,
                    "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                    "stroke-width=\"1.6\"/>\n",
                    last_x, last_y, px, py, colour);
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"%s\"/>\n", px, py, colour);
        last_x = px;
        last_y = py;
        first = false;
    }
}

static void draw_axes(FILE *f, int panel, axis_range x, axis_range y)
{
    const double x0 = LEFT + panel * (PANEL_W + GAP);
    const double bottom = TOP + PANEL_H;

    fprintf(f,
            "<rect x=\"%.1f\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" "
            "stroke=\"var(--line)\"/>\n",
            x0, TOP, PANEL_W, PANEL_H);
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">%.3g</text>\n", x0, bottom + 16, x.least);
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", x0 + PANEL_W,
            bottom + 16, x.most);
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x0 + PANEL_W / 2,
            bottom + 16, panel ? "seconds a picture" : "evaluations a picture");
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", x0 - 6, bottom,
            y.least);
    fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"end\">%.3g</text>\n", x0 - 6, TOP + 10,
            y.most);
}

static void draw(FILE *f, const ldm_sweep *s)
{
    const ldm_sweep_axis *first = &s->axes[0];
    const int width = LEFT + 2 * PANEL_W + GAP + 20;
    const int height = TOP + PANEL_H + 34 + LEGEND * ((int)first->count + 3) / 4 + 10;
    axis_range x[2] = {{0, 0}, {0, 0}}, y = {0, 0};

    for (size_t i = 0; i < s->cell_count; i++) {
        if (!is_shown(&s->cells[i]))
            continue;
        widen(&y, s->cells[i].frechet);
        widen(&x[0], s->cells[i].evaluations);
        widen(&x[1], s->cells[i].seconds);
    }
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-"
            "serif\" font-size=\"12\">\n<style>svg{" LDM_SVG_LIGHT
            ";background:var(--ground)}text{fill:var(--ink)}"
            "@media(prefers-color-scheme:dark){svg{" LDM_SVG_DARK "}}</style>\n",
            width, height);
    fprintf(f, "<rect width=\"%d\" height=\"%d\" fill=\"var(--ground)\"/>\n", width, height);
    fprintf(f,
            "<text x=\"%d\" y=\"24\" font-size=\"15\">Frechet distance (logarithmic; lower is "
            "better)</text>\n",
            LEFT);
    for (int panel = 0; panel < 2; panel++) {
        draw_axes(f, panel, x[panel], y);
        for (size_t v = 0; v < first->count; v++)
            draw_line(f, s, panel, v, x[panel], y);
    }
    for (size_t v = 0; v < first->count; v++) {
        const int at_x = LEFT + (int)(v % 4) * 205,
                  at_y = TOP + PANEL_H + 44 + LEGEND * (int)(v / 4);

        fprintf(f, "<circle cx=\"%d\" cy=\"%d\" r=\"4\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">",
                at_x, at_y - 4, colours[v % COLOURS], at_x + 10, at_y);
        ldm_cmp_html_text(f, first->values[v]);
        fprintf(f, "</text>\n");
    }
    fprintf(f, "</svg>\n");
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
        draw(f, s);
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
