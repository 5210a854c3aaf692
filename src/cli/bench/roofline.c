/* SPDX-License-Identifier: MIT */
/* The picture of ldm bench --plot; see roofline.h. Both axes are logarithmic. A point's area is its
 * share of the time, its colour the algorithm. The colours follow the viewer's light or dark. */
#include "cli/bench/roofline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cli/outputs.h"
#include "cli/svg.h"

enum {
    WIDTH = 880,
    HEIGHT = 560,
    LEFT = 76,
    RIGHT = 690,
    TOP = 70,
    BOTTOM = 492,
    KINDS = 8,         /* of which the last is "other" */
    SHARE_RADIUS = 55, /* of a point that takes all of the time */
    MOST_RADIUS = 26
};

typedef struct point {
    const char *name, *kind;
    double flop, bytes; /* of one */
    double seconds;     /* of all, where a shape occurs several times */
    double intensity, gflops;
} point;

typedef struct chart {
    FILE *f;
    double peak, bandwidth; /* GFLOP/s, GB/s */
    double x0, x1, y0, y1;  /* log10 of what the axes begin and end with */
    point *points;
    size_t count;
    const char *kinds[KINDS];
    double kind_seconds[KINDS], seconds;
    size_t kind_count;
    const char *model; /* its file, without the folder */
    char date[16];
} chart;

/* ---- what is drawn --------------------------------------------------------------------------- */

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* False for what does no arithmetic: it has no place on logarithmic axes. */
static bool read_point(const json_t *o, point *p)
{
    double count = json_object_get(o, "count") ? number(o, "count") : 1;

    p->name = text(o, "name");
    p->kind = *text(o, "algorithm") ? text(o, "algorithm") : text(o, "op");
    p->flop = number(o, "flop");
    p->bytes = number(o, "bytes");
    p->seconds = 1e-3 * number(o, "ms") * count;
    p->gflops = number(o, "gflops");
    p->intensity = p->bytes > 0 ? p->flop / p->bytes : 0;
    return p->intensity > 0 && p->gflops > 0;
}

static size_t kind_of(const chart *c, const char *kind)
{
    size_t i;

    for (i = 0; i < c->kind_count && strcmp(c->kinds[i], kind); i++)
        ;
    return i < c->kind_count ? i : KINDS - 1;
}

static void count_kind(chart *c, const point *p)
{
    size_t k = kind_of(c, p->kind);

    if (k == KINDS - 1 && c->kind_count < KINDS - 1) {
        k = c->kind_count++;
        c->kinds[k] = p->kind;
    } else if (k == KINDS - 1) {
        c->kinds[k] = "other";
    }
    c->kind_seconds[k] += p->seconds;
}

static bool read_report(chart *c, const json_t *report)
{
    const json_t *machine = json_object_get(report, "machine");
    const json_t *list = json_object_get(report, "layers"), *o;
    size_t i;

    if (!list)
        list = json_object_get(report, "shapes");
    c->peak = number(machine, "peak_gflops");
    c->bandwidth = number(machine, "bandwidth_gbs");
    c->points = calloc(json_array_size(list) + 1, sizeof *c->points);
    if (!c->points)
        return false;
    json_array_foreach(list, i, o)
    {
        point *p = &c->points[c->count];
        bool shown = read_point(o, p);

        c->seconds += p->seconds;
        if (shown) {
            count_kind(c, p);
            c->count++;
        }
    }
    return true;
}

/* Whole decades around all points and the corner of the roof. */
static void find_range(chart *c)
{
    double x0 = c->peak / c->bandwidth, x1 = x0, y0 = c->peak, y1 = c->peak;
    size_t i;

    for (i = 0; i < c->count; i++) {
        x0 = fmin(x0, c->points[i].intensity);
        x1 = fmax(x1, c->points[i].intensity);
        y0 = fmin(y0, c->points[i].gflops);
        y1 = fmax(y1, c->points[i].gflops);
    }
    c->x0 = floor(log10(x0));
    c->x1 = ceil(log10(x1));
    c->y0 = floor(log10(y0));
    c->y1 = ceil(log10(y1) + 0.05);
}

static double x_of(const chart *c, double intensity)
{
    return LEFT + (log10(intensity) - c->x0) / (c->x1 - c->x0) * (RIGHT - LEFT);
}

static double y_of(const chart *c, double gflops)
{
    return BOTTOM - (log10(gflops) - c->y0) / (c->y1 - c->y0) * (BOTTOM - TOP);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static const char style[] =
    "<style>svg{color-scheme:light dark;" LDM_SVG_LIGHT ";--d:#7a5ea8;--e:#4f8a3c;--f:#b0577a;"
    "--g:#a8872b;--h:#5b6fb5;font:13px system-ui,-apple-system,'Segoe UI',sans-serif;"
    "font-variant-numeric:tabular-nums}"
    "@media (prefers-color-scheme:dark){svg{" LDM_SVG_DARK ";--d:#b39ddb;--e:#93c47d;--f:#e08fb0;"
    "--g:#d9bd62;--h:#9fb0ee}}"
    "rect{fill:var(--ground)}text{fill:var(--ink)}.soft{fill:var(--soft)}.title{font-size:16px}"
    ".rim{paint-order:stroke;stroke:var(--ground);stroke-width:4px}"
    ".grid{stroke:var(--line)}.axis{stroke:var(--soft)}.roof{stroke:var(--ink);stroke-width:1.8;"
    "fill:none}circle{fill-opacity:.62;stroke-opacity:.95}</style>\n";

static const char *const colours[KINDS] = {"--a", "--b", "--d", "--e", "--f", "--g", "--h", "--c"};

static void draw_axes(const chart *c)
{
    int d;

    for (d = (int)c->x0; d <= (int)c->x1; d++) {
        double x = x_of(c, pow(10, d));

        fprintf(c->f, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>",
                d == (int)c->x0 ? "axis" : "grid", x, x, TOP, BOTTOM);
        fprintf(c->f, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                x, BOTTOM + 20, pow(10, d));
    }
    for (d = (int)c->y0; d <= (int)c->y1; d++) {
        double y = y_of(c, pow(10, d));

        fprintf(c->f, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                d == (int)c->y0 ? "axis" : "grid", LEFT, RIGHT, y, y);
        fprintf(c->f, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                LEFT - 9, y + 4, pow(10, d));
    }
    fprintf(c->f,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">arithmetic intensity, FLOP per byte of "
            "inputs, output and packed weights</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 46);
    fprintf(c->f,
            "<text transform=\"translate(20 %d) rotate(-90)\" text-anchor=\"middle\">GFLOP/s, "
            "a Winograd layer counted as the direct one</text>\n",
            (TOP + BOTTOM) / 2);
}

static void draw_roof(const chart *c)
{
    double corner = c->peak / c->bandwidth, left = pow(10, c->x0), low = pow(10, c->y0);
    double from = fmax(left, low / c->bandwidth);

    fprintf(c->f, "<path class=\"roof\" d=\"M%.1f %.1fL%.1f %.1fL%d %.1f\"/>\n", x_of(c, from),
            y_of(c, from * c->bandwidth), x_of(c, corner), y_of(c, c->peak), RIGHT,
            y_of(c, c->peak));
}

/* The names of the two lines, above all points, with a rim in the ground's colour. */
static void name_roof(const chart *c)
{
    const double corner = c->peak / c->bandwidth;

    fprintf(c->f,
            "<text class=\"rim\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">multiply-adds: %.0f "
            "GFLOP/s</text>\n",
            RIGHT, y_of(c, c->peak) - 7, c->peak);
    fprintf(c->f,
            "<text class=\"rim\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">memory: %.1f "
            "GB/s</text>\n",
            x_of(c, corner) - 16, y_of(c, c->peak) + 5, c->bandwidth);
}

static void draw_point(const chart *c, const point *p)
{
    const char *colour = colours[kind_of(c, p->kind)];
    double share = c->seconds > 0 ? p->seconds / c->seconds : 0;

    fprintf(c->f,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" style=\"fill:var(%s);stroke:var(%s)\">"
            "<title>",
            x_of(c, p->intensity), y_of(c, p->gflops),
            fmin(MOST_RADIUS, fmax(2.5, SHARE_RADIUS * sqrt(share))), colour, colour);
    ldm_cmp_html_text(c->f, p->name);
    fprintf(c->f, "%s%s, %.3f ms, %.1f GFLOP/s, %.1f FLOP per byte</title></circle>\n",
            *p->name ? ": " : "", p->kind, 1e3 * p->seconds, p->gflops, p->intensity);
}

static void draw_legend(const chart *c)
{
    double y = TOP + 8, other = c->seconds;
    size_t i;

    fprintf(c->f, "<text class=\"soft\" x=\"%d\" y=\"%.1f\">share of the time</text>\n", RIGHT + 24,
            y);
    for (i = 0; i < KINDS; i++) {
        if (!c->kinds[i])
            continue;
        y += 24;
        other -= c->kind_seconds[i];
        fprintf(c->f,
                "<circle cx=\"%d\" cy=\"%.1f\" r=\"6\" style=\"fill:var(%s);stroke:var(%s)\"/>"
                "<text x=\"%d\" y=\"%.1f\">",
                RIGHT + 30, y - 4, colours[i], colours[i], RIGHT + 44, y);
        ldm_cmp_html_text(c->f, c->kinds[i]);
        fprintf(c->f, "</text><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f%%</text>\n",
                WIDTH - 16, y, 100 * c->kind_seconds[i] / c->seconds);
    }
    if (other > 0.0005 * c->seconds)
        fprintf(c->f,
                "<text class=\"soft\" x=\"%d\" y=\"%.1f\">no arithmetic</text>"
                "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f%%</text>\n",
                RIGHT + 24, y + 24, WIDTH - 16, y + 24, 100 * other / c->seconds);
}

static int by_time(const void *a, const void *b)
{
    double x = ((const point *)a)->seconds, y = ((const point *)b)->seconds;

    return (x < y) - (x > y);
}

static void draw(chart *c, const json_t *report)
{
    size_t i;

    fprintf(c->f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "role=\"img\" " LDM_OUTPUT_PLOT_MARK
            "%zu operations under %.0f GFLOP/s and %.1f GB/s\">\n%s"
            "<rect width=\"%d\" height=\"%d\"/>\n",
            WIDTH, HEIGHT, c->count, c->peak, c->bandwidth, style, WIDTH, HEIGHT);
    fprintf(c->f, "<text class=\"title\" x=\"%d\" y=\"30\">", LEFT);
    ldm_cmp_html_text(c->f, text(report, "cpu"));
    fprintf(c->f, "</text><text class=\"soft\" x=\"%d\" y=\"51\">%s, %.0f thread%s, batch %.0f, ",
            LEFT, text(report, "isa"), number(report, "threads"),
            number(report, "threads") > 1 ? "s" : "", number(report, "batch"));
    fprintf(c->f, "%s %.4g ms</text>\n",
            json_object_get(report, "layers") ? "one evaluation of the UNet:" : "all shapes:",
            1e3 * c->seconds);
    fprintf(c->f, "<text class=\"soft\" x=\"%d\" y=\"%d\">", LEFT, HEIGHT - 4);
    ldm_cmp_html_text(c->f, c->model);
    fprintf(c->f, ", ldm %s, %s</text>\n", text(report, "ldm"), c->date);
    draw_axes(c);
    draw_roof(c);
    qsort(c->points, c->count, sizeof *c->points, by_time); /* small ones lie on top */
    for (i = 0; i < c->count; i++)
        draw_point(c, &c->points[i]);
    name_roof(c);
    draw_legend(c);
    fputs("</svg>\n", c->f);
}

static int write_file(const ldm_command *cmd, chart *c, const char *path, const json_t *report)
{
    char *svg = NULL;
    size_t size = 0;
    ldm_error err;
    ldm_status st = LDM_OK;
    bool failed;

    c->f = open_memstream(&svg, &size);
    if (!c->f)
        return ldm_cli_nomem(cmd);
    draw(c, report);
    failed = ferror(c->f) | fclose(c->f);
    if (!failed)
        st = ldm_file_write(path, svg, size, &err);
    free(svg);
    if (failed)
        return ldm_cli_nomem(cmd);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

int ldm_roofline_write(const ldm_command *cmd, const char *path, const char *model,
                       const json_t *report)
{
    chart c = {.model = model ? ldm_file_name(model) : "the shipped model", .date = "undated"};
    const time_t now = time(NULL);
    struct tm utc;
    int code;

    if (gmtime_r(&now, &utc))
        strftime(c.date, sizeof c.date, "%Y-%m-%d", &utc);
    if (!read_report(&c, report)) {
        code = ldm_cli_nomem(cmd);
    } else {
        find_range(&c);
        code = write_file(cmd, &c, path, report);
    }
    free(c.points);
    return code;
}
