/* The report as one HTML file: no script, no network, pictures and charts inside. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/compare.h"

enum { SHOWN = 64, STRIP = 8, KEYS_SHOWN = 200 };

static const char style[] =
    ":root{color-scheme:light dark;" LDM_SVG_LIGHT "}\n"
    "@media (prefers-color-scheme:dark){:root{" LDM_SVG_DARK "}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 "
    "system-ui,-apple-system,"
    "'Segoe UI',sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:56px 28px 80px}\n"
    "h1{font-size:2rem;line-height:1.2;font-weight:600;letter-spacing:-.015em;margin:0 0 .3em}\n"
    "h2{font-size:1.2rem;font-weight:600;letter-spacing:-.005em;margin:56px 0 14px}\n"
    "h3{font-size:1rem;font-weight:600;margin:0 0 10px;display:flex;align-items:center;gap:9px}\n"
    "p,ul{margin:0 0 10px;max-width:72ch}ul{padding-left:1.1em}li{margin:3px 0}\n"
    ".soft,figcaption{color:var(--soft)}\n"
    ".dot{width:11px;height:11px;border-radius:50%;display:inline-block;flex:none}\n"
    ".dot.a{background:var(--a)}.dot.b{background:var(--b)}\n"
    ".two{display:grid;grid-template-columns:1fr 1fr;gap:26px}.two>*{min-width:0}\n"
    ".head{display:grid;grid-template-columns:repeat(3,1fr);gap:14px;margin:30px 0 0}\n"
    ".fact{background:var(--panel);border:1px solid var(--line);border-radius:12px;"
    "padding:16px 18px}\n"
    ".fact b{display:block;font-weight:500;color:var(--soft);font-size:.86rem;margin-bottom:6px}\n"
    ".fact span{display:flex;align-items:baseline;gap:8px;font-size:1.12rem;"
    "font-variant-numeric:tabular-nums}\n"
    ".grid{display:grid;gap:4px;grid-template-columns:repeat(var(--columns),1fr)}\n"
    ".grid div{position:relative;line-height:0}\n"
    ".grid img{width:100%;height:auto;border-radius:3px;background:var(--track)}\n"
    ".grid i{position:absolute;right:4px;bottom:4px;width:8px;height:8px;border-radius:50%;"
    "background:#fff;box-shadow:0 0 0 1.5px #0009}\n"
    ".scroll{overflow-x:auto;background:var(--panel);border:1px solid var(--line);"
    "border-radius:12px}\n"
    "table{border-collapse:collapse;width:100%;font-size:.93rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:left;vertical-align:top;padding:9px 16px;border-bottom:1px solid "
    "var(--line)}\n"
    "th{font-weight:500;color:var(--soft);font-size:.86rem;white-space:nowrap}\n"
    "tr:last-child td{border-bottom:0}td:first-child{white-space:nowrap}\n"
    "td.old,th.old{color:var(--soft)}\n"
    ".ablation th,.ablation td{padding:9px 10px}\n"
    ".settings td{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"
    "font-size:.84rem;overflow-wrap:anywhere;white-space:normal}\n"
    ".charts{display:grid;grid-template-columns:repeat(3,1fr);gap:18px}\n"
    ".chart{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:12px;"
    "padding:14px 16px 8px;min-width:0}\n"
    ".bars{display:grid;grid-template-columns:1fr 1fr;gap:18px;margin-top:18px}\n"
    ".chart svg{display:block;width:100%;height:auto}\n"
    "figcaption{font-size:.9rem;margin-bottom:6px}\n"
    "rect.a{fill:var(--a)}rect.b{fill:var(--b)}rect.c{fill:var(--c)}rect.track{fill:var(--track)}\n"
    ".axis{stroke:var(--soft);stroke-width:1}.a-line{stroke:var(--a);stroke-width:1.5}"
    ".b-line{stroke:var(--b);stroke-width:1.5}"
    ".base{stroke:var(--b);stroke-width:1.2;stroke-dasharray:3 3}\n"
    "svg text{fill:var(--ink);font-size:12px;font-variant-numeric:tabular-nums}"
    "svg .faint{fill:var(--soft)}svg .small{font-size:11px}\n"
    "details{margin:8px 0}summary{cursor:pointer;color:var(--soft)}\n"
    ".keys{columns:2;column-gap:28px;margin:8px 0;padding:0;list-style:none;font:12px/1.5 "
    "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;max-width:none;overflow-wrap:anywhere}\n"
    ".strip{display:grid;grid-template-columns:200px 1fr;gap:10px 16px;align-items:center}\n"
    ".strip .grid{--columns:8}\n"
    "footer{margin-top:56px;color:var(--soft);font-size:.88rem}\n"
    "@media screen and "
    "(max-width:760px){.two,.charts,.bars,.head{grid-template-columns:1fr}.keys{columns:1}"
    ".strip{grid-template-columns:1fr}main{padding:32px 16px}}\n"
    "@media print{:root{--ground:#fff;--panel:#fff;--ink:#000;--soft:#555;--line:#ddd;--a:#b5602c;"
    "--b:#2c6f75;--c:#888;--track:#f1f1f1}main{max-width:none;padding:0}body{font-size:9.5pt}"
    "h2{break-after:avoid;margin-top:24px}.scroll{overflow:visible}table{font-size:.84em}"
    "th,td,.ablation th,.ablation td{padding:5px 7px;white-space:normal}.settings "
    "td{font-size:.9em}"
    ".grid div,tr,.chart,.fact,.strip>*{break-inside:avoid}.head{margin-top:16px}"
    ".fact span{font-size:1em}.chart{padding:10px}*{print-color-adjust:exact;"
    "-webkit-print-color-adjust:exact}}\n";

/* ---- pictures -------------------------------------------------------------------------------- */

static void base64(FILE *f, const unsigned char *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)data[i] << 16 | (i + 1 < n ? (unsigned)data[i + 1] << 8 : 0) |
                     (i + 2 < n ? data[i + 2] : 0);

        putc(digits[v >> 18], f);
        putc(digits[v >> 12 & 63], f);
        putc(i + 1 < n ? digits[v >> 6 & 63] : '=', f);
        putc(i + 2 < n ? digits[v & 63] : '=', f);
    }
}

/* The PNG without its text chunks: 64 recipes would make up most of the page. */
static void png_without_texts(FILE *f, const unsigned char *data, size_t n)
{
    unsigned char *kept = malloc(n);
    size_t at = 8, to = 8;

    if (!kept || n < 8) {
        base64(f, data, n);
        free(kept);
        return;
    }
    memcpy(kept, data, 8);
    while (n - at >= 12) {
        size_t length = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 |
                        (size_t)data[at + 2] << 8 | data[at + 3];

        if (length > n - at - 12)
            break;
        if (memcmp(data + at + 4, "tEXt", 4) && memcmp(data + at + 4, "iTXt", 4) &&
            memcmp(data + at + 4, "zTXt", 4)) {
            memcpy(kept + to, data + at, length + 12);
            to += length + 12;
        }
        at += length + 12;
    }
    base64(f, kept, to);
    free(kept);
}

static int write_picture(const ldm_compare *c, FILE *f, const ldm_cmp_picture *p)
{
    FILE *png = fopen(p->file, "rb");
    unsigned char *data = NULL;
    long size = -1;
    size_t got = 0;

    if (png && !fseek(png, 0, SEEK_END))
        size = ftell(png);
    if (size > 0 && !fseek(png, 0, SEEK_SET)) {
        data = malloc((size_t)size);
        got = data ? fread(data, 1, (size_t)size, png) : 0;
    }
    if (png)
        fclose(png);
    if (!data || got != (size_t)size) {
        ldm_cli_say(c->cmd, "cannot read %s again: %s", p->file, strerror(errno));
        free(data);
        return LDM_EXIT_FAILED;
    }
    fprintf(f,
            "<div title=\"seed %llu, contrast %.3f%s\"><img alt=\"seed %llu\" width=\"%d\" "
            "height=\"%d\" src=\"data:image/png;base64,",
            (unsigned long long)p->seed, p->m.contrast, p->faces > 0 ? ", a face" : "",
            (unsigned long long)p->seed, p->image.width, p->image.height);
    png_without_texts(f, data, got);
    fprintf(f, "\">%s</div>", p->faces > 0 ? "<i></i>" : "");
    free(data);
    return LDM_EXIT_OK;
}

static int write_grid(const ldm_compare *c, FILE *f, const ldm_cmp_side *s, size_t most)
{
    size_t shown = 0, columns = 1;
    int code = LDM_EXIT_OK;

    while (columns * columns < s->sum.good && columns < 8)
        columns++;
    fprintf(f, "<div class=\"grid\" style=\"--columns:%zu\">", most == STRIP ? STRIP : columns);
    for (size_t i = 0; !code && i < s->count && shown < most; i++) {
        if (!s->pictures[i].good)
            continue;
        code = write_picture(c, f, &s->pictures[i]);
        shown++;
    }
    fputs("</div>", f);
    return code;
}

static void write_title(FILE *f, const ldm_cmp_side *s, char which)
{
    fprintf(f, "<h3><span class=\"dot %c\"></span>", which);
    ldm_cmp_html_text(f, s->title);
    fputs("</h3>\n", f);
}

static int write_pictures(const ldm_compare *c, FILE *f)
{
    const ldm_cmp_side *sides[2] = {&c->a, &c->b};
    int code = LDM_EXIT_OK;

    fprintf(f,
            "<h2>Pictures</h2>\n<p class=\"soft\">The same seeds on both sides%s%s</p>\n<div "
            "class=\"two\">\n",
            c->a.count > SHOWN ? "; the first 64" : "",
            c->judge ? ". A white dot: the detector found a face." : ".");
    for (int i = 0; !code && i < 2; i++) {
        fputs("<section>", f);
        write_title(f, sides[i], "ab"[i]);
        code = write_grid(c, f, sides[i], SHOWN);
        fputs("</section>\n", f);
    }
    fputs("</div>\n", f);
    return code;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void write_table(const ldm_compare *c, FILE *f, ldm_cmp_table_kind kind)
{
    ldm_cmp_table t;

    ldm_cmp_table_make(c, kind, &t);
    fprintf(f, "<h2>%s</h2>\n<div class=\"scroll\"><table%s><thead><tr>", t.title,
            kind == LDM_CMP_SETTINGS   ? " class=\"settings\""
            : kind == LDM_CMP_ABLATION ? " class=\"ablation\""
                                       : "");
    for (size_t k = 0; k < t.columns; k++) {
        size_t n = strlen(t.head[k]);

        fputs(n > 7 && !strcmp(t.head[k] + n - 7, ", study") ? "<th class=\"old\">" : "<th>", f);
        ldm_cmp_html_text(f, t.head[k]);
        fputs("</th>", f);
    }
    fputs("</tr></thead><tbody>\n", f);
    for (size_t r = 0; r < t.rows; r++) {
        fputs("<tr>", f);
        for (size_t k = 0; k < t.columns; k++) {
            size_t n = strlen(t.head[k]);

            fputs(n > 7 && !strcmp(t.head[k] + n - 7, ", study") ? "<td class=\"old\">" : "<td>",
                  f);
            ldm_cmp_html_text(f, t.cell[r][k]);
            fputs("</td>", f);
        }
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n", f);
}

static void write_keys(FILE *f, const ldm_cmp_side *s, const char *name, const char *label)
{
    json_t *list = json_object_get(s->audit, name), *key;
    size_t i;

    if (!json_array_size(list))
        return;
    fprintf(f, "<details><summary>%s: %zu</summary><ul class=\"keys\">", label,
            json_array_size(list));
    json_array_foreach(list, i, key)
    {
        if (i == KEYS_SHOWN) {
            fprintf(f, "<li>and %zu more</li>", json_array_size(list) - i);
            break;
        }
        fputs("<li>", f);
        ldm_cmp_html_text(f, json_string_value(key));
        fputs("</li>", f);
    }
    fputs("</ul></details>\n", f);
}

static void write_audit(FILE *f, const ldm_cmp_side *s, char which)
{
    json_t *note;
    const char *verdict = json_string_value(json_object_get(s->audit, "verdict"));
    size_t i;

    fputs("<section>", f);
    write_title(f, s, which);
    fputs("<p>", f);
    ldm_cmp_html_text(f, verdict ? verdict : "");
    fputs("</p>", f);
    write_keys(f, s, "missing", "Missing keys");
    write_keys(f, s, "unexpected", "Unexpected keys");
    if (json_array_size(s->notes)) {
        fputs("<ul class=\"soft\">", f);
        json_array_foreach(s->notes, i, note)
        {
            fputs("<li>", f);
            ldm_cmp_html_text(f, json_string_value(note));
            fputs("</li>", f);
        }
        fputs("</ul>", f);
    }
    fputs("</section>\n", f);
}

/* ---- charts ---------------------------------------------------------------------------------- */

static double value_of(const ldm_cmp_picture *p, int metric)
{
    const double all[] = {p->m.contrast, p->m.brightness, p->m.colour_coherence,
                          p->m.mean_r,   p->m.mean_g,     p->m.mean_b};

    return all[metric];
}

static size_t collect(const ldm_cmp_side *s, int metric, double *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++) {
        if (s->pictures[i].good)
            out[n++] = value_of(&s->pictures[i], metric);
    }
    return n;
}

static int write_histograms(const ldm_compare *c, FILE *f)
{
    static const char *const names[] = {"Contrast", "Brightness", "Color coherence",
                                        "Mean red", "Mean green", "Mean blue"};
    double *a = malloc((c->a.count + 1) * sizeof *a), *b = malloc((c->b.count + 1) * sizeof *b);

    if (!a || !b) {
        free(a);
        free(b);
        return ldm_cli_nomem(c->cmd);
    }
    fputs("<h2>Distributions</h2>\n<p class=\"soft\"><span class=\"dot a\"></span> ", f);
    ldm_cmp_html_text(f, c->a.title);
    fputs(" above the line, <span class=\"dot b\"></span> ", f);
    ldm_cmp_html_text(f, c->b.title);
    fputs(" below it; the long strokes are the means.</p>\n<div class=\"charts\">\n", f);
    for (int k = 0; k < 6; k++) {
        size_t na = collect(&c->a, k, a), nb = collect(&c->b, k, b);
        ldm_cmp_svg_histogram(f, names[k], a, na, b, nb);
    }
    fputs("</div>\n", f);
    free(a);
    free(b);
    return LDM_EXIT_OK;
}

/* What the bars show: 0 the share of faces, 1 contrast, 2 the distance. */
static double cost_of(const ldm_cmp_summary *s, int which)
{
    return which == 0 ? s->face_share : which == 1 ? s->contrast : s->frechet;
}

static int write_bars(const ldm_compare *c, FILE *f, const char *title, int which)
{
    size_t count = c->variant_count + 2, i;
    ldm_cmp_bar *bars;

    if (isnan(cost_of(&c->b.sum, which)))
        return LDM_EXIT_OK;
    bars = calloc(count, sizeof *bars);
    if (!bars)
        return ldm_cli_nomem(c->cmd);
    for (i = 0; i < count; i++) {
        const ldm_cmp_side *s = i == 0 ? &c->b : i + 1 == count ? &c->a : &c->variants[i - 1].side;

        bars[i].name = s->title;
        bars[i].kind = i == 0 ? 2 : i + 1 == count ? 1 : 0;
        bars[i].value = s->failure ? NAN : cost_of(&s->sum, which);
        if (isnan(bars[i].value))
            snprintf(bars[i].text, sizeof bars[i].text, "cannot run");
        else if (which == 0)
            snprintf(bars[i].text, sizeof bars[i].text, "%.0f %%", 100 * bars[i].value);
        else
            snprintf(bars[i].text, sizeof bars[i].text, "%.3g", bars[i].value);
    }
    ldm_cmp_svg_bars(f, title, bars, count, which == 0 ? 1 : 0);
    free(bars);
    return LDM_EXIT_OK;
}

static int write_ablation(const ldm_compare *c, FILE *f)
{
    int code;

    write_table(c, f, LDM_CMP_ABLATION);
    fputs("<div class=\"bars\">\n", f);
    code = write_bars(c, f, "Face recognition: share of pictures with a face", 0);
    if (!code)
        code = write_bars(c, f, "Frechet distance to the training set: less is better", 2);
    if (!code)
        code = write_bars(c, f, "Image contrast", 1);
    fputs("</div>\n<h2>Pictures of each change</h2>\n<div class=\"strip\">\n", f);
    for (size_t i = 0; !code && i < c->variant_count; i++) {
        const ldm_cmp_variant *v = &c->variants[i];

        fputs("<div>", f);
        ldm_cmp_html_text(f, v->name);
        fputs("</div>", f);
        if (v->side.failure) {
            fputs("<div class=\"soft\">", f);
            ldm_cmp_html_text(f, v->side.failure);
            fputs("</div>", f);
        } else {
            code = write_grid(c, f, &v->side, STRIP);
        }
    }
    fputs("</div>\n", f);
    return code;
}

/* ---- page ------------------------------------------------------------------------------------ */

static void write_fact(FILE *f, const char *name, const char *a, const char *b)
{
    fprintf(f, "<div class=\"fact\"><b>%s</b><span><span class=\"dot a\"></span>", name);
    ldm_cmp_html_text(f, a);
    fputs("</span><span><span class=\"dot b\"></span>", f);
    ldm_cmp_html_text(f, b);
    fputs("</span></div>\n", f);
}

/* The three most informative rows of the tables. */
static void write_facts(const ldm_compare *c, FILE *f)
{
    static const struct {
        ldm_cmp_table_kind kind;
        const char *label;
    } facts[] = {{LDM_CMP_PERFORMANCE, "Face recognition"},
                 {LDM_CMP_PARAMETERS, "Parameter match"},
                 {LDM_CMP_PERFORMANCE, "Image contrast"}};
    ldm_cmp_table t;

    fputs("<div class=\"head\">\n", f);
    for (size_t i = 0; i < 3; i++) {
        ldm_cmp_table_make(c, facts[i].kind, &t);
        for (size_t r = 0; r < t.rows; r++) {
            if (!strcmp(t.cell[r][0], facts[i].label))
                write_fact(f, facts[i].label, t.cell[r][t.columns == 5 ? 2 : 1],
                           t.cell[r][t.columns - 1]);
        }
    }
    fputs("</div>\n", f);
}

static void write_remarks(const ldm_compare *c, FILE *f)
{
    json_t *remarks = ldm_cmp_remarks(c), *text;
    size_t i;

    fputs("<h2>How to read this</h2>\n<ul>", f);
    json_array_foreach(remarks, i, text)
    {
        fputs("<li>", f);
        ldm_cmp_html_text(f, json_string_value(text));
        fputs("</li>\n", f);
    }
    fputs("</ul>\n", f);
    json_decref(remarks);
}

int ldm_cmp_write_html(const ldm_compare *c, FILE *f)
{
    int code;

    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta "
          "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          f);
    ldm_cmp_html_text(f, c->a.title);
    fputs(" and ", f);
    ldm_cmp_html_text(f, c->b.title);
    fprintf(f, "</title>\n<style>\n%s</style></head>\n<body><main>\n<h1>", style);
    ldm_cmp_html_text(f, c->a.title);
    fputs(" and ", f);
    ldm_cmp_html_text(f, c->b.title);
    fprintf(f,
            "</h1>\n<p class=\"soft\">One checkpoint, two configurations, %zu picture%s of "
            "each.</p>\n",
            c->a.count, c->a.count == 1 ? "" : "s");
    write_facts(c, f);
    code = write_pictures(c, f);
    write_table(c, f, LDM_CMP_PARAMETERS);
    write_table(c, f, LDM_CMP_PERFORMANCE);
    if (!code && c->variant_count)
        code = write_ablation(c, f);
    if (!code)
        code = write_histograms(c, f);
    write_table(c, f, LDM_CMP_KEYS);
    fputs("<div class=\"two\" style=\"margin-top:22px\">\n", f);
    write_audit(f, &c->a, 'a');
    write_audit(f, &c->b, 'b');
    fputs("</div>\n", f);
    write_table(c, f, LDM_CMP_SETTINGS);
    write_remarks(c, f);
    fprintf(f, "<footer>Written by ldm %s.</footer>\n</main></body></html>\n", ldm_version());
    return code;
}
