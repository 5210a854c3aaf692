/* SPDX-License-Identifier: MIT */
/* The report as one HTML file: no script, no network, pictures and charts inside. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/compare.h"

enum { SHOWN = 64, STRIP = 8, KEYS_SHOWN = 200 };

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

static void write_caption(const ldm_compare *c, FILE *f, size_t i)
{
    const ldm_cmp_pair *p = &c->pairs[i];
    char psnr[32], latent[32];

    fprintf(f, "<figcaption>seed %llu", (unsigned long long)c->a.pictures[i].seed);
    if (!p->both)
        fputs(": one failed", f);
    else if (p->equal)
        fputs(": equal", f);
    else if (p->same_size)
        fprintf(f, ": %s dB, latents %s apart", ldm_cmp_number(p->psnr, psnr, sizeof psnr),
                ldm_cmp_number(p->latent, latent, sizeof latent));
    fputs("</figcaption>", f);
}

static int write_pair(const ldm_compare *c, FILE *f, size_t i)
{
    const ldm_cmp_side *sides[2] = {&c->a, &c->b};
    int code = LDM_EXIT_OK;

    fputs("<figure class=\"pair\"><div class=\"both\">", f);
    for (int k = 0; !code && k < 2; k++) {
        if (sides[k]->pictures[i].good)
            code = write_picture(c, f, &sides[k]->pictures[i]);
        else
            fputs("<div></div>", f);
    }
    fputs("</div>", f);
    write_caption(c, f, i);
    fputs("</figure>\n", f);
    return code;
}

/* Both sides of each seed beside each other. */
static int write_pictures(const ldm_compare *c, FILE *f)
{
    int code = LDM_EXIT_OK;

    fputs("<h2>Pictures, seed by seed</h2>\n<p class=\"soft legend\"><span><span class=\"dot "
          "a\"></span>left: ",
          f);
    ldm_cmp_html_text(f, c->a.title);
    fputs("</span><span><span class=\"dot b\"></span>right: ", f);
    ldm_cmp_html_text(f, c->b.title);
    fprintf(f, "</span>%s%s</p>\n<div class=\"pairs\">\n",
            c->judge ? "<span>white dot: the detector found a face</span>" : "",
            c->pair_count > SHOWN ? "<span>the first 64</span>" : "");
    for (size_t i = 0; !code && i < c->pair_count && i < SHOWN; i++)
        code = write_pair(c, f, i);
    fputs("</div>\n", f);
    return code;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static bool is_published(const char *head)
{
    const size_t n = strlen(head);

    return n > 7 && !strcmp(head + n - 7, ", study");
}

/* What A and B measured, in a table of the study or of both sides alone. */
static bool differs(const ldm_cmp_table *t, size_t r)
{
    return strcmp(t->cell[r][t->columns == 5 ? 2 : 1], t->cell[r][t->columns - 1]) != 0;
}

/* Rows of both sides: those that differ weigh more. Times always do. */
static const char *row_class(const ldm_cmp_table *t, ldm_cmp_table_kind kind, size_t r)
{
    if (kind == LDM_CMP_SEEDS || kind == LDM_CMP_ABLATION || kind == LDM_CMP_SETTINGS ||
        strstr(t->cell[r][0], " time"))
        return "";
    return differs(t, r) ? " class=\"differs\"" : " class=\"alike\"";
}

static void write_cells(FILE *f, const ldm_cmp_table *t, size_t r)
{
    for (size_t k = 0; k < t->columns; k++) {
        fprintf(f, "<td%s data-head=\"", is_published(t->head[k]) ? " class=\"old\"" : "");
        ldm_cmp_html_text(f, t->head[k]);
        fputs("\">", f);
        ldm_cmp_html_text(f, t->cell[r][k]);
        fputs("</td>", f);
    }
}

static void write_table(const ldm_compare *c, FILE *f, ldm_cmp_table_kind kind)
{
    ldm_cmp_table t;

    ldm_cmp_table_make(c, kind, &t);
    fprintf(f, "<h2>%s</h2>\n<div class=\"scroll\"><table class=\"stack%s\"><thead><tr>", t.title,
            kind == LDM_CMP_SETTINGS   ? " settings"
            : kind == LDM_CMP_ABLATION ? " ablation"
                                       : "");
    for (size_t k = 0; k < t.columns; k++) {
        fputs(is_published(t.head[k]) ? "<th class=\"old\">" : "<th>", f);
        ldm_cmp_html_text(f, t.head[k]);
        fputs("</th>", f);
    }
    fputs("</tr></thead><tbody>\n", f);
    for (size_t r = 0; r < t.rows; r++) {
        fprintf(f, "<tr%s>", row_class(&t, kind, r));
        write_cells(f, &t, r);
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
            ldm_cmp_number(bars[i].value, bars[i].text, sizeof bars[i].text);
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

/* A list of sentences, and releases it. */
static void write_list(FILE *f, json_t *list, const char *class)
{
    json_t *text;
    size_t i;

    fprintf(f, "<ul class=\"%s\">", class);
    json_array_foreach(list, i, text)
    {
        fputs("<li>", f);
        ldm_cmp_html_text(f, json_string_value(text));
        fputs("</li>\n", f);
    }
    fputs("</ul>\n", f);
    json_decref(list);
}

static void write_warnings(const ldm_compare *c, FILE *f)
{
    json_t *list = ldm_cmp_warnings(c);

    if (!json_array_size(list)) {
        json_decref(list);
        return;
    }
    fputs("<section class=\"warnings\"><h2>Warnings</h2>", f);
    write_list(f, list, "");
    fputs("</section>\n", f);
}

static void write_provenance(const ldm_compare *c, FILE *f)
{
    json_t *list = ldm_cmp_provenance(c), *row;
    size_t i;

    fputs("<h2>How it was made</h2>\n<dl>", f);
    json_array_foreach(list, i, row)
    {
        fprintf(f, "<dt>%s</dt><dd>", json_string_value(json_array_get(row, 0)));
        ldm_cmp_html_text(f, json_string_value(json_array_get(row, 1)));
        fputs("</dd>\n", f);
    }
    fputs("</dl>\n", f);
    json_decref(list);
}

/* Title, conclusion, warnings and the most informative figures. */
static void write_head(const ldm_compare *c, FILE *f)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta "
          "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          f);
    ldm_cmp_html_text(f, c->a.title);
    fputs(" against ", f);
    ldm_cmp_html_text(f, c->b.title);
    fprintf(f, "</title>\n<style>\n%s</style></head>\n<body><main>\n<h1>", ldm_cmp_style);
    ldm_cmp_html_text(f, c->a.title);
    fputs(" against ", f);
    ldm_cmp_html_text(f, c->b.title);
    fprintf(f,
            "</h1>\n<p class=\"soft\">One checkpoint, two configurations, %zu picture%s of "
            "each.</p>\n",
            c->a.count, c->a.count == 1 ? "" : "s");
    write_list(f, ldm_cmp_conclusion(c), "conclusion");
    write_warnings(c, f);
    write_facts(c, f);
}

int ldm_cmp_write_html(const ldm_compare *c, FILE *f)
{
    int code;

    write_head(c, f);
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
    write_table(c, f, LDM_CMP_SEEDS);
    fputs("<h2>How to read this</h2>\n", f);
    write_list(f, ldm_cmp_remarks(c), "");
    write_provenance(c, f);
    fputs("</main></body></html>\n", f);
    return code;
}
