/* SPDX-License-Identifier: MIT */
/* HTML entities, as ftfy and as Python's html.unescape take them. The list of names is HTML's own.
 */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "tokenize/clean.h"

#define BARE 0x80000000u /* also known without a semicolon, as HTML 2 wrote it */

typedef struct entity {
    const char *name;
    uint32_t first, second; /* second: 0 where there is one character alone */
} entity;

static const entity entities[] = {
#include "tokenize/entities.inc"
};

enum {
    ENTITY_COUNT = sizeof entities / sizeof entities[0],
    LONGEST_BARE = 6,  /* "Aacute" */
    LONGEST_NAME = 32, /* html.unescape reads no further */
    LONGEST_FTFY = 24  /* nor does ftfy */
};

typedef struct word {
    char text[LONGEST_NAME + 1];
    size_t len;
} word;

static int compare(const void *key, const void *element)
{
    return strcmp(key, ((const entity *)element)->name);
}

static const entity *find(const char *name)
{
    return bsearch(name, entities, ENTITY_COUNT, sizeof entities[0], compare);
}

static void put_entity(ldm_utext *out, const entity *e)
{
    ldm_utext_put(out, e->first & ~BARE);
    if (e->second)
        ldm_utext_put(out, e->second);
}

/* The longest name at the beginning of w, of 2 letters to `longest`, that needs no semicolon. */
static const entity *find_bare(const word *w, size_t longest, size_t *len)
{
    char name[LONGEST_BARE + 1];
    const entity *e;

    for (*len = longest < LONGEST_BARE ? longest : LONGEST_BARE; *len >= 2; --*len) {
        memcpy(name, w->text, *len);
        name[*len] = '\0';
        e = find(name);
        if (e && (e->first & BARE))
            return e;
    }
    return NULL;
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(uint32_t c)
{
    if (is_digit(c))
        return (int)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)(c - 'a' + 10) : -1;
}

static bool is_alnum(uint32_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* "#38" or "#x26" at in[at..]: the index after its digits, or `at` where there is no number. *value
 * stops growing above Unicode. */
static size_t read_number(const ldm_utext *in, size_t at, uint32_t *value)
{
    size_t i = at + 1, digits = 0;
    uint32_t base = 10;
    int v;

    if (i < in->len && (in->at[i] | 0x20) == 'x') {
        base = 16;
        i++;
    }
    for (*value = 0; i < in->len; i++, digits++) {
        v = hex_value(in->at[i]);
        if (v < 0 || (uint32_t)v >= base)
            break;
        if (*value <= 0x10ffff)
            *value = *value * base + (uint32_t)v;
    }
    return digits ? i : at;
}

/* HTML's rules for numbers: the C1 range is Windows-1252, what is no character becomes U+FFFD, and
 * controls and non-characters vanish. */
static void put_number(ldm_utext *out, uint32_t n)
{
    if (n == 0 || n > 0x10ffff || (n >= 0xd800 && n < 0xe000))
        ldm_utext_put(out, 0xfffd);
    else if (n >= 0x80 && n < 0xa0)
        ldm_utext_put(out, ldm_c1_as_windows1252(n));
    else if (n < 9 || n == 11 || (n > 13 && n < 32) || n == 0x7f || (n >= 0xfdd0 && n <= 0xfdef) ||
             (n & 0xfffe) == 0xfffe)
        return;
    else
        ldm_utext_put(out, n);
}

/* ---- ftfy ------------------------------------------------------------------------------------ */

/* Letters and digits at in[at..], up to LONGEST_NAME of them. */
static void read_word(const ldm_utext *in, size_t at, word *w)
{
    for (w->len = 0; w->len < LONGEST_NAME && at + w->len < in->len; w->len++) {
        if (!is_alnum(in->at[at + w->len]))
            break;
        w->text[w->len] = (char)in->at[at + w->len];
    }
    w->text[w->len] = '\0';
}

/* str.upper() of the characters that entities in capitals stand for. */
static void put_upper(ldm_utext *out, uint32_t c)
{
    static const struct {
        uint32_t c;
        const char *upper;
    } several[] = {{0xdf, "SS"},   {0xfb00, "FF"},  {0xfb01, "FI"},
                   {0xfb02, "FL"}, {0xfb03, "FFI"}, {0xfb04, "FFL"}};
    size_t i;

    if (c == 0x149) { /* n after an apostrophe */
        ldm_utext_put(out, 0x2bc);
        ldm_utext_put(out, 'N');
        return;
    }
    for (i = 0; i < sizeof several / sizeof several[0]; i++) {
        if (several[i].c != c)
            continue;
        for (const char *p = several[i].upper; *p; p++)
            ldm_utext_put(out, (unsigned char)*p);
        return;
    }
    ldm_utext_put(out, (uint32_t)utf8proc_toupper((utf8proc_int32_t)c));
}

/* "EACUTE" where a name of small letters is meant: ftfy takes it unless html.unescape would make
 * something else of its beginning, as of "LTRIE" (LT). */
static const entity *find_in_capitals(const word *w)
{
    word lower = *w;
    size_t len;

    for (size_t i = 0; i < w->len; i++) {
        if (w->text[i] >= 'a' && w->text[i] <= 'z')
            return NULL;
        if (w->text[i] >= 'A')
            lower.text[i] = (char)(w->text[i] + 32);
    }
    if (find_bare(w, w->len, &len))
        return NULL;
    return find(lower.text);
}

/* The entity that begins at in[at] ('&'): appends what it stands for and returns the index after
 * it, or appends nothing and returns `at`. */
static size_t unescape_ftfy_one(const ldm_utext *in, size_t at, ldm_utext *out)
{
    const entity *e;
    uint32_t value;
    size_t end;
    word w;

    if (at + 1 < in->len && in->at[at + 1] == '#') {
        end = read_number(in, at + 1, &value);
        if (end == at + 1 || end - at - 2 > LONGEST_FTFY || end >= in->len || in->at[end] != ';' ||
            value == ';')
            return at;
        put_number(out, value);
        return end + 1;
    }
    read_word(in, at + 1, &w);
    end = at + 1 + w.len;
    if (w.len > LONGEST_FTFY || end >= in->len || in->at[end] != ';')
        return at;
    e = find(w.text);
    if (e) {
        put_entity(out, e);
        return end + 1;
    }
    e = find_in_capitals(&w);
    if (!e)
        return at;
    put_upper(out, e->first & ~BARE);
    if (e->second)
        put_upper(out, e->second);
    return end + 1;
}

void ldm_unescape_ftfy(const ldm_utext *in, ldm_utext *out)
{
    size_t at = 0, end;

    while (at < in->len) {
        end = in->at[at] == '&' ? unescape_ftfy_one(in, at, out) : at;
        if (end > at)
            at = end;
        else
            ldm_utext_put(out, in->at[at++]);
    }
}

/* ---- html.unescape --------------------------------------------------------------------------- */

/* The name at in[at..]: anything up to 32 characters but white space, '<', '&', '#' and ';'. Only
 * what is ASCII can be a name; text holds it up to the first other character. *end: the index after
 * all. */
static void read_name(const ldm_utext *in, size_t at, word *w, size_t *end)
{
    bool ascii = true;
    size_t i;

    w->len = 0;
    for (i = at; i < in->len && i - at < LONGEST_NAME; i++) {
        uint32_t c = in->at[i];

        if (c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' ||
            c == ';')
            break;
        ascii = ascii && c > 0 && c < 0x80;
        if (ascii)
            w->text[w->len++] = (char)c;
    }
    w->text[w->len] = '\0';
    *end = i;
}

static size_t unescape_html_one(const ldm_utext *in, size_t at, ldm_utext *out)
{
    const entity *e;
    uint32_t value;
    size_t end, len;
    bool closed;
    word w;

    if (at + 1 < in->len && in->at[at + 1] == '#') {
        end = read_number(in, at + 1, &value);
        if (end == at + 1)
            return at;
        put_number(out, value);
        return end + (end < in->len && in->at[end] == ';');
    }
    read_name(in, at + 1, &w, &end);
    closed = end < in->len && in->at[end] == ';';
    e = closed && w.len == end - at - 1 ? find(w.text) : NULL;
    if (e) {
        put_entity(out, e);
        return end + 1;
    }
    e = find_bare(&w, w.len, &len);
    if (!e)
        return at;
    put_entity(out, e);
    return at + 1 + len;
}

void ldm_unescape_html(const ldm_utext *in, ldm_utext *out)
{
    size_t at = 0, end;

    while (at < in->len) {
        end = in->at[at] == '&' ? unescape_html_one(in, at, out) : at;
        if (end > at)
            at = end;
        else
            ldm_utext_put(out, in->at[at++]);
    }
}
