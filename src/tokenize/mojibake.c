/* SPDX-License-Identifier: MIT */
/* Mending text that was UTF-8 and was read in a single-byte encoding ("cafÃ©" for "café"), as
 * ftfy 6.3.1 does it: encode the text again in each encoding that could have been the wrong one,
 * and see whether the bytes are UTF-8. */
#include <string.h>

#include "base/alloc.h"
#include "tokenize/badness.h"
#include "tokenize/clean.h"

/* In the order in which they are tried. A "sloppy" encoding gives the bytes that it leaves free the
 * code points of Latin-1, and byte 1A the replacement character U+FFFD. */
enum {
    LATIN_1,
    WINDOWS_1252,
    WINDOWS_1251,
    WINDOWS_1250,
    WINDOWS_1253,
    WINDOWS_1254,
    WINDOWS_1257,
    ISO_8859_2,
    MACROMAN,
    CP437,
    ENCODING_COUNT
};

#define ALL_ENCODINGS ((1u << ENCODING_COUNT) - 1)
#define SLOPPY ((1u << ISO_8859_2) - (1u << WINDOWS_1252))

typedef struct codepage_row {
    uint16_t c;
    uint8_t byte[ENCODING_COUNT - 1]; /* of all but Latin-1; 0: it has none */
} codepage_row;

static const codepage_row codepages[] = {
#include "tokenize/codepages.inc"
};

bool ldm_budget_take(ldm_budget *b, size_t n)
{
    if (b->left < n)
        return false;
    b->left -= n;
    return true;
}

uint32_t ldm_c1_as_windows1252(uint32_t c)
{
    static const uint16_t table[32] = {
        0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,  0x2030, 0x160,
        0x2039, 0x152,  0x8d,   0x17d,  0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

    return c >= 0x80 && c < 0xa0 ? table[c - 0x80] : c;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static const codepage_row *find_row(uint32_t c)
{
    size_t low = 0, high = sizeof codepages / sizeof codepages[0], mid;

    while (low < high) {
        mid = (low + high) / 2;
        if (codepages[mid].c == c)
            return &codepages[mid];
        if (codepages[mid].c < c)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* Which encodings hold the character, a bit each. */
static unsigned encodings_of(uint32_t c)
{
    const codepage_row *row;
    unsigned of = c < 0x100 ? 1u << LATIN_1 : 0, i;

    if (c < 0x80) /* byte 1A stands for U+FFFD in the sloppy ones */
        return c == 0x1a ? ALL_ENCODINGS & ~SLOPPY : ALL_ENCODINGS;
    row = find_row(c);
    for (i = 1; row && i < ENCODING_COUNT; i++)
        of |= row->byte[i - 1] ? 1u << i : 0;
    return of;
}

static unsigned char byte_of(uint32_t c, unsigned encoding)
{
    if (c < 0x80 || encoding == LATIN_1)
        return (unsigned char)c;
    return find_row(c)->byte[encoding - 1];
}

/* Classes of bytes, for patterns of sequences of UTF-8 that were damaged on the way. */
enum {
    B_SPACE = 1 << 0,    /* a space, once A0 */
    B_LOST = 1 << 1,     /* 1A, once any byte */
    B_QUESTION = 1 << 2, /* '?', once any byte */
    B_CONT = 1 << 3,     /* 80-BF */
    B_CONT_SURE = 1 << 4 /* 80-BF but 85 and A0 */,
    B_HIGH = 1 << 5,  /* A0-AF: second of a high surrogate */
    B_LOW = 1 << 6,   /* B0-BF: second of a low one */
    B_ED = 1 << 7,    /* first of a surrogate */
    B_LEAD2 = 1 << 8, /* C2-DF */
    B_C2_C3 = 1 << 9,
    B_SPACED2 = 1 << 10, /* C2 C3 C5 CE D0 D9: with A0 they are likely characters */
    B_LEAD3 = 1 << 11,   /* E0-EF */
    B_E0_E3 = 1 << 12,
    B_E2_E3 = 1 << 13,
    B_LEAD4 = 1 << 14, /* F0-F4 */
    B_F0 = 1 << 15
};

static unsigned lead_class(unsigned char b)
{
    unsigned of = 0;

    if (b >= 0xc2 && b <= 0xdf)
        of |= B_LEAD2;
    if (b == 0xc2 || b == 0xc3)
        of |= B_C2_C3;
    if (b == 0xc2 || b == 0xc3 || b == 0xc5 || b == 0xce || b == 0xd0 || b == 0xd9)
        of |= B_SPACED2;
    if (b >= 0xe0 && b <= 0xef)
        of |= B_LEAD3;
    if (b >= 0xe0 && b <= 0xe3)
        of |= B_E0_E3;
    if (b == 0xe2 || b == 0xe3)
        of |= B_E2_E3;
    if (b == 0xed)
        of |= B_ED;
    if (b >= 0xf0 && b <= 0xf4)
        of |= B_LEAD4;
    if (b == 0xf0)
        of |= B_F0;
    return of;
}

static unsigned byte_class(unsigned char b)
{
    unsigned of;

    if (b < 0x80)
        return b == ' ' ? B_SPACE : b == 0x1a ? B_LOST : b == '?' ? B_QUESTION : 0;
    if (b >= 0xc0)
        return lead_class(b);
    of = B_CONT;
    if (b != 0x85 && b != 0xa0)
        of |= B_CONT_SURE;
    if (b >= 0xa0)
        of |= b < 0xb0 ? B_HIGH : B_LOW;
    return of;
}

typedef struct byte_pattern {
    unsigned classes[6]; /* ends before the first 0 */
} byte_pattern;

/* Characters that would be whole if a space were the byte A0. */
static const byte_pattern spaced[] = {
    {{B_SPACED2, B_SPACE}},
    {{B_E2_E3, B_SPACE, B_CONT_SURE}},
    {{B_E0_E3, B_CONT_SURE, B_SPACE}},
    {{B_F0, B_SPACE, B_CONT, B_CONT}},
    {{B_F0, B_CONT, B_SPACE, B_CONT}},
    {{B_F0, B_CONT, B_CONT, B_SPACE}},
};

/* Characters of which some bytes became U+FFFD (1A), or one became '?'; at last a U+FFFD alone. */
static const byte_pattern lossy[] = {
    {{B_LEAD2, B_LOST}},
    {{B_C2_C3, B_QUESTION}},
    {{B_ED, B_HIGH, B_LOST | B_QUESTION, B_ED, B_LOW, B_LOST | B_QUESTION | B_CONT}},
    {{B_ED, B_HIGH, B_LOST | B_QUESTION | B_CONT, B_ED, B_LOW, B_LOST | B_QUESTION}},
    {{B_LEAD3, B_LOST | B_QUESTION, B_LOST | B_CONT}},
    {{B_LEAD3, B_LOST | B_CONT, B_LOST | B_QUESTION}},
    {{B_LEAD4, B_LOST | B_QUESTION, B_LOST | B_CONT, B_LOST | B_CONT}},
    {{B_LEAD4, B_LOST | B_CONT, B_LOST | B_QUESTION, B_LOST | B_CONT}},
    {{B_LEAD4, B_LOST | B_CONT, B_LOST | B_CONT, B_LOST | B_QUESTION}},
    {{B_LOST}},
};

/* The length of the first pattern that fits at s, or 0. */
static size_t match_bytes(const byte_pattern *patterns, size_t count, const unsigned char *s,
                          size_t n)
{
    for (size_t p = 0; p < count; p++) {
        size_t i = 0;

        while (i < 6 && patterns[p].classes[i] && i < n &&
               (byte_class(s[i]) & patterns[p].classes[i]))
            i++;
        if (i == 6 || !patterns[p].classes[i])
            return i;
    }
    return 0;
}

#define MATCH(patterns, s, n) match_bytes(patterns, sizeof(patterns) / sizeof *(patterns), s, n)

static bool starts_with(const unsigned char *s, size_t n, const char *word)
{
    size_t len = strlen(word);

    return n >= len && !memcmp(s, word, len);
}

/* "Ã " alone is the French "à", once "Ã\xa0 " whose two spaces became one: the space is kept. Not
 * before the Portuguese words that begin with a grave a ("àquele"), where "Ã " was the letter
 * alone. */
static bool is_a_grave_word(const unsigned char *s, size_t n)
{
    return starts_with(s, n, "\xc3 ") && !starts_with(s + 2, n - 2, " ") &&
           !starts_with(s + 2, n - 2, "quele") && !starts_with(s + 2, n - 2, "quela") &&
           !starts_with(s + 2, n - 2, "quilo") && !starts_with(s + 2, n - 2, "s ");
}

/* Puts A0 back where a space stands for it; s has n bytes and room for half as many again. */
static size_t restore_a0(unsigned char *s, size_t n, unsigned char *spare)
{
    size_t i, k, len, m = 0;

    for (i = 0; i < n; i++) {
        spare[m++] = s[i];
        if (is_a_grave_word(s + i, n - i))
            spare[m++] = 0xa0;
    }
    for (i = 0; i < m; i += len) {
        len = MATCH(spaced, spare + i, m - i);
        for (k = 0; k < len; k++)
            s[i + k] = spare[i + k] == ' ' ? 0xa0 : spare[i + k];
        if (len == 0) {
            s[i] = spare[i];
            len = 1;
        }
    }
    return m;
}

static bool has_spaced(const unsigned char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (MATCH(spaced, s + i, n - i))
            return true;
    }
    return false;
}

/* Makes U+FFFD of what was lost; s has n bytes and room for three times as many. */
static size_t replace_lossy(unsigned char *s, size_t n, unsigned char *spare)
{
    static const unsigned char fffd[] = {0xef, 0xbf, 0xbd};
    size_t i, len, m = 0;

    memcpy(spare, s, n);
    for (i = 0; i < n; i += len) {
        len = MATCH(lossy, spare + i, n - i);
        if (len == 0) {
            s[m++] = spare[i];
            len = 1;
        } else {
            memcpy(s + m, fffd, sizeof fffd);
            m += sizeof fffd;
        }
    }
    return m;
}

/* ---- one encoding ---------------------------------------------------------------------------- */

/* The text as bytes of `encoding`, damage in them mended, read as UTF-8 into `out` (emptied
 * before). s, spare: room for five bytes a code point each. False where the bytes are no UTF-8. */
static bool reread(const ldm_utext *text, unsigned encoding, unsigned char *s, unsigned char *spare,
                   ldm_utext *out)
{
    size_t n = text->len, i;
    bool variants;

    for (i = 0; i < n; i++)
        s[i] = byte_of(text->at[i], encoding);
    /* MacRoman has its dash at D0, which a space often follows. */
    if (encoding != MACROMAN && has_spaced(s, n))
        n = restore_a0(s, n, spare);
    if (SLOPPY & (1u << encoding))
        n = replace_lossy(s, n, spare);
    variants = memchr(s, 0xed, n) || memchr(s, 0xc0, n);
    out->len = 0;
    return ldm_utext_decode(out, s, n, variants) == n;
}

/* Tries the encodings in `possible`; true when one fits. */
static bool reread_any(const ldm_utext *text, unsigned possible, ldm_utext *out)
{
    unsigned char *s = ldm_reallocarray(NULL, text->len, 10);
    bool done = false;
    unsigned i;

    if (!s) {
        out->failed = true;
        return false;
    }
    for (i = 0; i < ENCODING_COUNT && !done; i++) {
        if (possible & (1u << i))
            done = reread(text, i, s, s + 5 * text->len, out);
    }
    ldm_free(s);
    return done;
}

/* ---- a text of several encodings ---------------------------------------------------------------
 */

static bool is_continuation(const ldm_utext *t, size_t at, size_t count)
{
    if (at + count > t->len)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!(ldm_moji_class(t->at[at + i]) & LDM_MOJI_CONTINUATION))
            return false;
    }
    return true;
}

/* The end of the characters that look like sequences of UTF-8 from `at` on; `at` if there are none.
 */
static size_t sequences_end(const ldm_utext *t, size_t at)
{
    size_t len;

    for (; at < t->len; at += len) {
        uint32_t of = ldm_moji_class(t->at[at]);

        len = of & LDM_MOJI_FIRST_OF_2   ? 2
              : of & LDM_MOJI_FIRST_OF_3 ? 3
              : of & LDM_MOJI_FIRST_OF_4 ? 4
                                         : 0;
        if (len == 0 || !is_continuation(t, at + 1, len - 1))
            break;
    }
    return at;
}

static void fix_at_depth(ldm_utext *text, ldm_budget *budget, int depth);

/* Appends the part of text from `from` to `to`, mended on its own where it looks bad. */
static void put_part(const ldm_utext *text, size_t from, size_t to, ldm_budget *budget, int depth,
                     ldm_utext *out)
{
    ldm_utext part = {0};

    if (to - from == text->len || !ldm_is_bad(text->at + from, to - from)) {
        ldm_utext_append(out, text->at + from, to - from);
        return;
    }
    ldm_utext_append(&part, text->at + from, to - from);
    fix_at_depth(&part, budget, depth + 1);
    ldm_utext_append(out, part.at, part.len);
    out->failed |= part.failed;
    ldm_utext_free(&part);
}

/* Mends what looks like UTF-8 within a text that as a whole is in no one encoding. */
static void fix_parts(const ldm_utext *text, ldm_budget *budget, int depth, ldm_utext *out)
{
    size_t at = 0, end;

    out->len = 0;
    while (at < text->len) {
        end = at;
        if (at == 0 || !(ldm_moji_class(text->at[at - 1]) & LDM_MOJI_CONTINUATION_STRICT))
            end = sequences_end(text, at);
        if (end > at)
            put_part(text, at, end, budget, depth, out);
        else
            ldm_utext_put(out, text->at[end++]);
        at = end;
    }
}

/* ---- the steps ---------------------------------------------------------------------------------
 */

/* Latin-1 that was meant as Windows-1252, or single C1 controls. */
static void fix_c1(const ldm_utext *text, ldm_utext *out)
{
    out->len = 0;
    for (size_t i = 0; i < text->len; i++)
        ldm_utext_put(out, ldm_c1_as_windows1252(text->at[i]));
}

/* One step: `out` is the text mended, or a copy of it where nothing is to be done. */
static void fix_once(const ldm_utext *text, ldm_budget *budget, int depth, ldm_utext *out)
{
    unsigned possible = ALL_ENCODINGS;
    bool ascii = true;
    size_t i;

    out->len = 0;
    for (i = 0; i < text->len; i++) {
        ascii &= text->at[i] < 0x80;
        possible &= encodings_of(text->at[i]);
    }
    if (ascii || !ldm_is_bad(text->at, text->len)) {
        ldm_utext_append(out, text->at, text->len);
        return;
    }
    if (possible && reread_any(text, possible, out))
        return;
    fix_parts(text, budget, depth, out);
    if (!ldm_utext_same(text, out))
        return;
    fix_c1(text, out);
}

/* A part is shorter than its whole, and one that could be mended is half as long: 20 levels would
 * take a text of a million code points. */
enum { DEEPEST = 40 };

static void fix_at_depth(ldm_utext *text, ldm_budget *budget, int depth)
{
    ldm_utext next = {0};
    bool same;

    if (depth > DEEPEST)
        return;
    do {
        if (!ldm_budget_take(budget, text->len))
            break;
        fix_once(text, budget, depth, &next);
        same = next.failed || ldm_utext_same(text, &next);
        ldm_utext_swap(text, &next);
    } while (!same);
    text->failed |= next.failed;
    ldm_utext_free(&next);
}

void ldm_fix_encoding(ldm_utext *text, ldm_budget *budget)
{
    fix_at_depth(text, budget, 0);
}
