/* SPDX-License-Identifier: MIT */
/* ftfy's fix_text (6.3.1, default settings), white space, and the cleaning of BERT. */
#include "tokenize/clean.h"

/* ---- characters that stand for others ----------------------------------------------------------
 */

typedef struct spelling {
    uint16_t c;
    const char *as; /* ASCII alone */
} spelling;

/* Ligatures and digraphs of Latin letters. Those with a letter beyond ASCII are in put_ligature. */
static const spelling ligatures[] = {
    {0x132, "IJ"},   {0x133, "ij"},  {0x1c7, "LJ"},  {0x1c8, "Lj"},  {0x1c9, "lj"},
    {0x1ca, "NJ"},   {0x1cb, "Nj"},  {0x1cc, "nj"},  {0x1f1, "DZ"},  {0x1f2, "Dz"},
    {0x1f3, "dz"},   {0xfb00, "ff"}, {0xfb01, "fi"}, {0xfb02, "fl"}, {0xfb03, "ffi"},
    {0xfb04, "ffl"}, {0xfb06, "st"},
};

static void put_ascii(ldm_utext *out, const char *s)
{
    for (; *s; s++)
        ldm_utext_put(out, (unsigned char)*s);
}

static void put_pair(ldm_utext *out, uint32_t a, uint32_t b)
{
    ldm_utext_put(out, a);
    ldm_utext_put(out, b);
}

static bool put_ligature(ldm_utext *out, uint32_t c)
{
    switch (c) {
    case 0x149:
        put_pair(out, '\'', 'n'); /* ftfy writes U+02BC, and makes it straight in the next step */
        return true;
    case 0x1c4:
        put_pair(out, 'D', 0x17d);
        return true;
    case 0x1c5:
        put_pair(out, 'D', 0x17e);
        return true;
    case 0x1c6:
        put_pair(out, 'd', 0x17e);
        return true;
    case 0xfb05:
        put_pair(out, 0x17f, 't');
        return true;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof ligatures / sizeof ligatures[0]; i++) {
        if (ligatures[i].c == c) {
            put_ascii(out, ligatures[i].as);
            return true;
        }
    }
    return false;
}

/* One character as ftfy spells it: C1 controls as Windows-1252, no ligatures, no wide or half-wide
 * forms, straight quotes, one kind of line break. */
static void put_plain(ldm_utext *out, uint32_t c)
{
    c = ldm_c1_as_windows1252(c);
    if (c >= 0x132 && put_ligature(out, c))
        return;
    if (c >= 0xff01 && c < 0xfff0) {
        ldm_utext_nfkc_one(out, c);
        return;
    }
    if (c == 0x3000)
        c = ' ';
    else if (c >= 0x201c && c <= 0x201f)
        c = '"';
    else if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b))
        c = '\'';
    else if (c == 0x2028 || c == 0x2029)
        c = '\n';
    ldm_utext_put(out, c);
}

/* What neither shows nor is white space. Joiners, direction marks and tags stay: emoji use them. */
static bool is_removed(uint32_t c)
{
    return c < 9 || c == 11 || (c > 13 && c < 32) || c == 0x7f || (c >= 0x206a && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

/* The length of a terminal's escape sequence at in[at], ESC [ digits and semicolons, a letter; or
 * 0. */
static size_t escape_length(const ldm_utext *in, size_t at)
{
    size_t i = at + 2;

    if (in->at[at] != 0x1b || i >= in->len || in->at[at + 1] != '[')
        return 0;
    while (i < in->len && (in->at[i] == ';' || ldm_is_decimal(in->at[i])))
        i++;
    if (i == in->len || in->at[i] >= 0x80 || (in->at[i] | 0x20) < 'a' || (in->at[i] | 0x20) > 'z')
        return 0;
    return i + 1 - at;
}

/* ---- ftfy ------------------------------------------------------------------------------------ */

static bool is_plain_ascii(const ldm_utext *t)
{
    for (size_t i = 0; i < t->len; i++) {
        uint32_t c = t->at[i];

        if (c >= 0x7f || (c < 0x20 && c != '\t' && c != '\n'))
            return false;
    }
    return true;
}

/* The steps after the encoding: into `out`, through `spare`. */
static void plain_round(const ldm_utext *in, ldm_utext *spare, ldm_utext *out)
{
    size_t i, len;

    spare->len = 0;
    for (i = 0; i < in->len; i++) {
        if (in->at[i] == '\r') {
            if (i + 1 == in->len || in->at[i + 1] != '\n')
                ldm_utext_put(spare, '\n');
        } else {
            put_plain(spare, in->at[i]);
        }
    }
    out->len = 0;
    for (i = 0; i < spare->len; i += len) {
        len = escape_length(spare, i);
        if (len > 0)
            continue;
        if (!is_removed(spare->at[i]))
            ldm_utext_put(out, spare->at[i]);
        len = 1;
    }
    spare->len = 0;
    ldm_utext_nfc(out->at, out->len, spare);
    ldm_utext_swap(spare, out);
}

/* One line, mended until nothing changes. a holds it, and then the result; b and c are spare. */
static void fix_line(ldm_utext *a, ldm_utext *b, ldm_utext *c, bool unescape, ldm_budget *budget)
{
    ldm_utext before = {0};
    bool same;

    do {
        if (!ldm_budget_take(budget, a->len))
            break;
        before.len = 0;
        ldm_utext_append(&before, a->at, a->len);
        if (unescape) {
            b->len = 0;
            ldm_unescape_ftfy(a, b);
            ldm_utext_swap(a, b);
        }
        if (!is_plain_ascii(a)) {
            ldm_fix_encoding(a, budget);
            plain_round(a, c, b);
            ldm_utext_swap(a, b);
        }
        same = a->failed || b->failed || c->failed || before.failed || ldm_utext_same(a, &before);
    } while (!same);
    a->failed |= before.failed;
    ldm_utext_free(&before);
}

void ldm_fix_text(const ldm_utext *in, ldm_utext *out)
{
    ldm_budget budget = {LDM_CLEAN_BUDGET};
    ldm_utext a = {0}, b = {0}, c = {0};
    bool unescape = true;
    size_t at, end;

    for (at = 0; at < in->len; at = end) {
        a.len = 0;
        end = at;
        do {
            /* A "<" says that this is HTML, from its line on. */
            unescape = unescape && in->at[end] != '<';
            ldm_utext_put(&a, in->at[end]);
        } while (in->at[end++] != '\n' && end < in->len);
        fix_line(&a, &b, &c, unescape, &budget);
        ldm_utext_append(out, a.at, a.len);
    }
    out->failed |= a.failed || b.failed || c.failed;
    ldm_utext_free(&a);
    ldm_utext_free(&b);
    ldm_utext_free(&c);
}

/* ---- white space and BERT ----------------------------------------------------------------------
 */

void ldm_clean_white(const ldm_utext *in, ldm_utext *out)
{
    size_t from = 0, to = in->len, i;

    while (from < to && ldm_is_space(in->at[from]))
        from++;
    while (to > from && ldm_is_space(in->at[to - 1]))
        to--;
    for (i = from; i < to; i++) {
        if (!ldm_is_white(in->at[i]))
            ldm_utext_put(out, in->at[i]);
        else if (!ldm_is_white(in->at[i - 1]))
            ldm_utext_put(out, ' ');
    }
}

static bool is_cjk(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

void ldm_clean_bert(const uint32_t *in, size_t len, ldm_utext *out)
{
    ldm_utext spaced = {0};

    for (size_t i = 0; i < len; i++) {
        uint32_t c = in[i];

        if (c == '\t' || c == '\n' || c == '\r' || ldm_is_separator(c)) {
            ldm_utext_put(&spaced, ' ');
        } else if (is_cjk(c)) {
            ldm_utext_put(&spaced, ' ');
            ldm_utext_put(&spaced, c);
            ldm_utext_put(&spaced, ' ');
        } else if (c != 0xfffd && !ldm_is_control(c)) {
            ldm_utext_put(&spaced, c);
        }
    }
    ldm_utext_nfc(spaced.at, spaced.len, out);
    out->failed |= spaced.failed;
    ldm_utext_free(&spaced);
}
