/* SPDX-License-Identifier: MIT */
/* Charts of the report: inline SVG whose colours are the page's CSS variables, so that they follow
 * it from light to dark and to paper. */
#include <math.h>

#include "cli/compare/compare.h"

enum { BINS = 24, WIDTH = 340, LEFT = 8, RIGHT = 332, HALF = 64, MIDDLE = 96 };

static void count_bins(const double *v, size_t n, double low, double high, size_t *bins)
{
    size_t i;

    for (i = 0; i < BINS; i++)
        bins[i] = 0;
    for (i = 0; i < n; i++) {
        double at = (v[i] - low) / (high - low) * BINS;

        if (isfinite(at)) /* what lies outside is shown at the edge */
            bins[at < 0 ? 0 : at >= BINS ? BINS - 1 : (size_t)at]++;
    }
}

static double mean(const double *v, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

static double x_of(double v, double low, double high)
{
    return LEFT + fmin(1, fmax(0, (v - low) / (high - low))) * (RIGHT - LEFT);
}

/* dir: -1 up, 1 down. */
static void draw_bins(FILE *f, const char *class, const size_t *bins, size_t most, int dir)
{
    double step = (double)(RIGHT - LEFT) / BINS;
    size_t i;

    for (i = 0; i < BINS; i++) {
        double h = most ? HALF * (double)bins[i] / (double)most : 0;

        if (bins[i])
            fprintf(f,
                    "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                    "rx=\"1\"/>",
                    class, LEFT + step * (double)i + 0.5, dir < 0 ? MIDDLE - 1 - h : MIDDLE + 1.0,
                    step - 1, h);
    }
}

static void draw_mean(FILE *f, const char *class, double m, double low, double high, int dir)
{
    double x = x_of(m, low, high);

    if (!isfinite(m))
        return;
    fprintf(f, "<line class=\"%s-line\" x1=\"%.2f\" x2=\"%.2f\" y1=\"%d\" y2=\"%d\"/>", class, x, x,
            MIDDLE, MIDDLE + dir * (HALF + 4));
    fprintf(f, "<text class=\"small\" x=\"%.2f\" y=\"%d\" text-anchor=\"%s\">%.3f</text>", x,
            dir < 0 ? MIDDLE - HALF - 8 : MIDDLE + HALF + 16,
            x < 40                   ? "start"
            : x > (double)WIDTH - 40 ? "end"
                                     : "middle",
            m);
}

/* The axis: all values, in steps of 0.05, not less than 0.1 wide. */
static void find_range(const double *a, size_t na, const double *b, size_t nb, double *low,
                       double *high)
{
    size_t i;

    *low = INFINITY;
    *high = -INFINITY;
    for (i = 0; i < na + nb; i++) {
        *low = fmin(*low, i < na ? a[i] : b[i - na]);
        *high = fmax(*high, i < na ? a[i] : b[i - na]);
    }
    if (!(*low <= *high))
        *low = *high = 0;
    *low = floor(*low * 20) / 20;
    *high = fmax(*low + 0.1, ceil(*high * 20) / 20);
}

void ldm_cmp_svg_histogram(FILE *f, const char *title, const double *a, size_t na, const double *b,
                           size_t nb)
{
    size_t bins_a[BINS], bins_b[BINS], most = 0, i;
    double ma = mean(a, na), mb = mean(b, nb), low, high;

    find_range(a, na, b, nb, &low, &high);
    count_bins(a, na, low, high, bins_a);
    count_bins(b, nb, low, high, bins_b);
    for (i = 0; i < BINS; i++) {
        most = bins_a[i] > most ? bins_a[i] : most;
        most = bins_b[i] > most ? bins_b[i] : most;
    }
    fprintf(f, "<figure class=\"chart\"><figcaption>%s</figcaption>", title);
    fprintf(f,
            "<svg viewBox=\"0 0 %d 196\" role=\"img\" aria-label=\"%s: mean %.3f above, %.3f "
            "below\">",
            WIDTH, title, ma, mb);
    draw_bins(f, "a", bins_a, most, -1);
    draw_bins(f, "b", bins_b, most, 1);
    fprintf(f, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", LEFT, RIGHT,
            MIDDLE, MIDDLE);
    draw_mean(f, "a", ma, low, high, -1);
    draw_mean(f, "b", mb, low, high, 1);
    fprintf(f, "<text class=\"small faint\" x=\"%d\" y=\"192\">%.3g</text>", LEFT, low);
    fprintf(f, "<text class=\"small faint\" x=\"%d\" y=\"192\" text-anchor=\"end\">%.3g</text>",
            RIGHT, high);
    fputs("</svg></figure>\n", f);
}

void ldm_cmp_svg_bars(FILE *f, const char *title, const ldm_cmp_bar *bars, size_t count,
                      double full)
{
    enum { ROW = 26, NAME = 170, FULL = 230, BARS_WIDTH = 470 };
    static const char *const classes[] = {"c", "a", "b"};
    double most = full, base = NAN;
    size_t i;

    for (i = 0; i < count; i++) {
        if (isfinite(bars[i].value))
            most = fmax(most, bars[i].value);
        if (bars[i].kind == 2)
            base = bars[i].value;
    }
    fprintf(f, "<figure class=\"chart\"><figcaption>%s</figcaption>", title);
    fprintf(f, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"%s\">", BARS_WIDTH,
            ROW * count + 8, title);
    for (i = 0; i < count; i++) {
        double y = 4 + ROW * (double)i;
        double w = most > 0 && isfinite(bars[i].value) ? FULL * bars[i].value / most : 0;

        fprintf(f, "<text class=\"name\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", NAME - 10,
                y + 17);
        ldm_cmp_html_text(f, bars[i].name);
        fprintf(f,
                "</text><rect class=\"track\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"14\" "
                "rx=\"3\"/>",
                NAME, y + 5, FULL);
        if (w > 0)
            fprintf(f,
                    "<rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"%.2f\" height=\"14\" "
                    "rx=\"3\"/>",
                    classes[bars[i].kind], NAME, y + 5, w);
        fprintf(f, "<text class=\"value\" x=\"%d\" y=\"%.1f\">%s</text>", NAME + FULL + 10, y + 17,
                bars[i].text);
    }
    if (isfinite(base) && most > 0) {
        double x = NAME + FULL * base / most;

        fprintf(f, "<line class=\"base\" x1=\"%.2f\" x2=\"%.2f\" y1=\"2\" y2=\"%zu\"/>", x, x,
                ROW * count + 6);
    }
    fputs("</svg></figure>\n", f);
}

void ldm_cmp_html_text(FILE *f, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        default:
            putc(*text, f);
        }
    }
}
