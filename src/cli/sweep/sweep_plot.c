/* SPDX-License-Identifier: MIT */
/* The plot of a sweep. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/compare.h"
#include "cli/svg.h"
#include "cli/sweep/sweep.h"

enum { PANEL_W = 380, PANEL_H = 330, LEFT = 62, GAP = 70, TOP = 46, LEGEND = 20, COLOURS = 10 };

static const char *const colours[COLOURS] = {"#c0713f", "#3f7f84", "#7a5aa6", "#4a8f3c", "#b8434e",
                                             "#3a6fb0", "#a8892c", "#c2609c", "#5f6b73", "#2f9e8f"};

static void begin_svg(FILE *f, int width, int height)
{
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-"
            "serif\" font-size=\"12\">\n<style>svg{" LDM_SVG_LIGHT
            ";background:var(--ground)}text{fill:var(--ink)}"
            "@media(prefers-color-scheme:dark){svg{" LDM_SVG_DARK "}}</style>\n",
            width, height);
    fprintf(f, "<rect width=\"%d\" height=\"%d\" fill=\"var(--ground)\"/>\n", width, height);
}

/* Where a line of points has come to. */
typedef struct pen {
    double x, y;
    bool down; /* there is a point already */
} pen;

/* A point, and the line to it from the one before. */
static void draw_to(FILE *f, pen *at, double x, double y, const char *colour)
{
    if (at->down)
        fprintf(f,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                "stroke-width=\"1.6\"/>\n",
                at->x, at->y, x, y, colour);
    fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"%s\"/>\n", x, y, colour);
    *at = (pen){x, y, true};
}

/* ---- quality over what it costs -------------------------------------------------------------- */

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
    pen at = {0};

    for (size_t i = 0; i < s->cell_count; i++) {
        const ldm_sweep_cell *c = &s->cells[i];
        double px, py;

        if (c->at[0] != value || !is_shown(c))
            continue;
        px = x0 + along(x, horizontal(c, panel)) * PANEL_W;
        py = TOP + (1 - along(y, c->frechet)) * PANEL_H;
        draw_to(f, &at, px, py, colour);
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

static void draw_costs(FILE *f, const ldm_sweep *s)
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
    begin_svg(f, width, height);
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

/* ---- measures over the value of one setting -------------------------------------------------- */

enum { SMALL_W = 250, SMALL_H = 220, SMALL_GAP = 66, PANELS = 3 };

typedef struct curve {
    const char *name;
    double (*of)(const ldm_sweep_cell *c);
} curve;

static double frechet_of(const ldm_sweep_cell *c)
{
    return c->frechet;
}

static double faces_of(const ldm_sweep_cell *c)
{
    return 100 * c->faces;
}

static double contrast_of(const ldm_sweep_cell *c)
{
    return c->contrast;
}

static double saturation_of(const ldm_sweep_cell *c)
{
    return c->saturation;
}

static double variety_of(const ldm_sweep_cell *c)
{
    return c->variety;
}

static const struct {
    const char *title;
    double least, most; /* of its scale; 0, 0: from 0 to the largest value */
    curve curves[3];
} panels[PANELS] = {
    {"Frechet distance", 0, 0, {{NULL, frechet_of}}},
    {"faces found, %", 0, 100, {{NULL, faces_of}}},
    {"of the pictures, 0 to 1",
     0,
     0,
     {{"contrast", contrast_of}, {"saturation", saturation_of}, {"variety", variety_of}}},
};

/* The value of the only axis at a cell; false: it is no number. */
static bool value_of(const ldm_sweep *s, const ldm_sweep_cell *c, double *out)
{
    const char *text = s->axes[0].values[c->at[0]];
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && !errno && isfinite(*out);
}

static bool is_over_a_value(const ldm_sweep *s)
{
    const char *key = s->axes[0].key;
    double v;

    if (s->axis_count != 1 || !strcmp(key, "steps") || !strcmp(key, "cache"))
        return false; /* what those buy is quality for time */
    for (size_t i = 0; i < s->cell_count; i++) {
        if (!value_of(s, &s->cells[i], &v))
            return false;
    }
    return true;
}

/* Where a value stands between the least and the most: by its logarithm where all are above 0 and
 * far apart (guidance from 1 to 15), else in proportion. */
static double place(axis_range r, double v)
{
    if (r.most <= r.least)
        return 0.5;
    if (r.least > 0 && r.most >= 8 * r.least)
        return along(r, v);
    return (v - r.least) / (r.most - r.least);
}

static axis_range range_of_values(const ldm_sweep *s)
{
    axis_range r = {INFINITY, -INFINITY};

    for (size_t i = 0; i < s->cell_count; i++) {
        double v = 0;

        (void)value_of(s, &s->cells[i], &v);
        r.least = fmin(r.least, v);
        r.most = fmax(r.most, v);
    }
    return r;
}

static axis_range range_of_panel(const ldm_sweep *s, int panel)
{
    axis_range r = {panels[panel].least, panels[panel].most};

    for (size_t i = 0; !panels[panel].most && i < s->cell_count; i++) {
        for (size_t k = 0; k < 3 && panels[panel].curves[k].of; k++) {
            const double v = panels[panel].curves[k].of(&s->cells[i]);

            r.most = !s->cells[i].refused && v > r.most ? v : r.most;
        }
    }
    return r;
}

static void draw_curve(FILE *f, const ldm_sweep *s, const curve *c, axis_range x, axis_range y,
                       int left, const char *colour)
{
    pen at = {0};

    for (size_t i = 0; i < s->cell_count; i++) {
        const double v = c->of(&s->cells[i]);
        double value = 0, px, py;

        if (s->cells[i].refused || isnan(v))
            continue;
        (void)value_of(s, &s->cells[i], &value);
        px = left + place(x, value) * SMALL_W;
        py = TOP + (1 - (y.most > y.least ? (v - y.least) / (y.most - y.least) : 0)) * SMALL_H;
        draw_to(f, &at, px, py, colour);
    }
}

static void draw_panel(FILE *f, const ldm_sweep *s, int panel, axis_range x)
{
    const int left = LEFT + panel * (SMALL_W + SMALL_GAP), bottom = TOP + SMALL_H;
    const axis_range y = range_of_panel(s, panel);
    char number[32];

    fprintf(f, "<text x=\"%d\" y=\"%d\" font-size=\"14\">%s</text>\n", left, TOP - 14,
            panels[panel].title);
    fprintf(f,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" "
            "stroke=\"var(--line)\"/>\n",
            left, TOP, SMALL_W, SMALL_H);
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left - 6, bottom,
            ldm_cmp_number(y.least, number, sizeof number));
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left - 6, TOP + 10,
            ldm_cmp_number(y.most, number, sizeof number));
    for (size_t i = 0; i < s->cell_count; i++) {
        double v = 0;

        (void)value_of(s, &s->cells[i], &v);
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" font-size=\"10\">%g</text>\n",
                left + place(x, v) * SMALL_W, bottom + 16, v);
    }
    for (size_t k = 0; k < 3 && panels[panel].curves[k].of; k++) {
        const curve *c = &panels[panel].curves[k];

        draw_curve(f, s, c, x, y, left, colours[k]);
        if (c->name)
            fprintf(f,
                    "<circle cx=\"%d\" cy=\"%d\" r=\"4\" fill=\"%s\"/><text x=\"%d\" "
                    "y=\"%d\">%s</text>\n",
                    left + (int)k * 90 + 4, bottom + 36, colours[k], left + (int)k * 90 + 12,
                    bottom + 40, c->name);
    }
}

static void draw_values(FILE *f, const ldm_sweep *s)
{
    const int width = LEFT + PANELS * SMALL_W + (PANELS - 1) * SMALL_GAP + 20;
    const axis_range x = range_of_values(s);

    begin_svg(f, width, TOP + SMALL_H + 52);
    for (int panel = 0; panel < PANELS; panel++)
        draw_panel(f, s, panel, x);
    fprintf(f, "<text x=\"%d\" y=\"%d\">", LEFT, TOP + SMALL_H + 40);
    ldm_cmp_html_text(f, s->axes[0].key);
    fprintf(f, "</text>\n</svg>\n");
}

void ldm_sweep_draw(FILE *f, const ldm_sweep *s)
{
    if (is_over_a_value(s))
        draw_values(f, s);
    else
        draw_costs(f, s);
}
