/* SPDX-License-Identifier: MIT */
/* ftfy's heuristic as a table: a rule is a row of sets, and a text is bad where some rule fits. */
#include "tokenize/badness.h"

#include <string.h>
#include <uchar.h>

#include "tokenize/utext.h"

/* ---- classes --------------------------------------------------------------------------------- */

typedef struct range {
    uint16_t first, last;
    uint32_t classes;
} range;

#define COMMON LDM_MOJI_COMMON
#define C1 LDM_MOJI_C1
#define BAD LDM_MOJI_BAD
#define LAW LDM_MOJI_LAW
#define CURRENCY LDM_MOJI_CURRENCY
#define START_PUNCTUATION LDM_MOJI_START_PUNCTUATION
#define END_PUNCTUATION LDM_MOJI_END_PUNCTUATION
#define NUMERIC LDM_MOJI_NUMERIC
#define KAOMOJI LDM_MOJI_KAOMOJI
#define UPPER_ACCENTED LDM_MOJI_UPPER_ACCENTED
#define LOWER_ACCENTED LDM_MOJI_LOWER_ACCENTED
#define UPPER_COMMON LDM_MOJI_UPPER_COMMON
#define LOWER_COMMON LDM_MOJI_LOWER_COMMON
#define BOX LDM_MOJI_BOX
#define FIRST_OF_2 LDM_MOJI_FIRST_OF_2
#define FIRST_OF_3 LDM_MOJI_FIRST_OF_3
#define FIRST_OF_4 LDM_MOJI_FIRST_OF_4
#define CONTINUATION LDM_MOJI_CONTINUATION
#define CONTINUATION_STRICT LDM_MOJI_CONTINUATION_STRICT

static const range ranges[] = {
#include "tokenize/mojibake.inc"
};

uint32_t ldm_moji_class(uint32_t c)
{
    size_t low = 0, high = sizeof ranges / sizeof ranges[0], mid;

    if (c < 0x80)
        return c == ' ' ? CONTINUATION : 0;
    while (low < high) {
        mid = (low + high) / 2;
        if (c > ranges[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    return low < sizeof ranges / sizeof ranges[0] && c >= ranges[low].first ? ranges[low].classes
                                                                            : 0;
}

static uint32_t all_classes(uint32_t c)
{
    uint32_t of = ldm_moji_class(c);

    if (c >= 'a' && c <= 'z')
        of |= LDM_MOJI_ASCII_LOWER;
    else if (c >= 'A' && c <= 'Z')
        of |= LDM_MOJI_ASCII_UPPER;
    else
        of |= LDM_MOJI_OTHER;
    if (ldm_is_space(c))
        of |= LDM_MOJI_SPACE;
    if (ldm_is_word(c))
        of |= LDM_MOJI_WORD;
    if (c != '\n')
        of |= LDM_MOJI_IN_LINE;
    return of;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* A set of characters: some classes, and single ones. */
typedef struct set {
    uint32_t classes;
    const char16_t *chars; /* or NULL */
} set;

enum { LONGEST_RULE = 7 };

typedef struct rule {
    set sets[LONGEST_RULE]; /* ends before the first empty one */
} rule;

#define LOWER LDM_MOJI_ASCII_LOWER
#define LETTER (LDM_MOJI_ASCII_LOWER | LDM_MOJI_ASCII_UPPER)
#define ACCENTED (LOWER_ACCENTED | UPPER_ACCENTED)
#define QUOTES (START_PUNCTUATION | END_PUNCTUATION)
#define NEVER_ALONE (ACCENTED | BOX | QUOTES | CURRENCY | NUMERIC | LAW)
#define ARABIC (COMMON | CURRENCY | BAD | NUMERIC | START_PUNCTUATION)
#define SINGLE_BYTE (C1 | BAD | QUOTES | CURRENCY)

/* clang-format off */
static const rule rules[] = {
    {{{C1, NULL}}},
    {{{NEVER_ALONE | BAD, NULL}, {BAD, NULL}}},
    {{{LETTER, NULL}, {LOWER_COMMON | UPPER_COMMON, NULL}, {BAD, NULL}}},
    {{{BAD, NULL}, {NEVER_ALONE, NULL}}},
    {{{LOWER_ACCENTED | LOWER_COMMON | BOX | END_PUNCTUATION | CURRENCY | NUMERIC, NULL},
      {UPPER_ACCENTED, NULL}}},
    {{{BOX | END_PUNCTUATION | CURRENCY | NUMERIC, NULL}, {LOWER_ACCENTED, NULL}}},
    {{{LOWER_ACCENTED | BOX | END_PUNCTUATION, NULL}, {CURRENCY, NULL}}},
    {{{LDM_MOJI_SPACE, NULL}, {UPPER_ACCENTED, NULL}, {CURRENCY, NULL}}},
    {{{UPPER_ACCENTED | BOX, NULL}, {NUMERIC | LAW, NULL}}},
    {{{ACCENTED | BOX | CURRENCY | END_PUNCTUATION, NULL}, {START_PUNCTUATION, NULL},
      {NUMERIC, NULL}}},
    {{{ACCENTED | CURRENCY | NUMERIC | BOX | LAW, NULL}, {END_PUNCTUATION, NULL},
      {START_PUNCTUATION, NULL}}},
    {{{CURRENCY | NUMERIC | BOX, NULL}, {START_PUNCTUATION, NULL}}},
    {{{LOWER, NULL}, {UPPER_ACCENTED, NULL}, {START_PUNCTUATION | CURRENCY, NULL}}},
    {{{BOX, NULL}, {KAOMOJI, NULL}}},
    {{{ACCENTED | CURRENCY | NUMERIC | QUOTES | LAW, NULL}, {BOX, NULL}}},
    {{{BOX, NULL}, {END_PUNCTUATION, NULL}}},
    {{{ACCENTED, NULL}, {QUOTES, NULL}, {LDM_MOJI_WORD, NULL}}},
    {{{0, u"Œœ"}, {LDM_MOJI_OTHER, NULL}}},
    {{{UPPER_ACCENTED, NULL}, {0, u"°"}}},
    /* Windows-1252 */
    {{{0, u"ÂÃÎÐ"}, {QUOTES, u"€œŠš¢£Ÿž\u00a0\u00ad®©°·»–—´"}}},
    {{{0, u"×"}, {0, u"²³"}}},
    {{{0, u"ØÙ"}, {ARABIC, u"ŸŠ®°µ»"}, {0, u"ØÙ"}, {ARABIC, u"ŸŠ®°µ»"}}},
    {{{0, u"à"}, {0, u"²µ¹¼½¾"}}},
    /* MacRoman */
    {{{0, u"√"}, {0, u"±∂†≠®™´≤≥¥µø"}}},
    {{{0, u"≈"}, {0, u"°¢"}}},
    {{{0, u"‚"}, {0, u"Ä"}, {0, u"ìîïòôúùû†°¢π"}}},
    {{{0, u"‚"}, {0, u"âó"}, {0, u"àä°ê"}}},
    /* Windows-1251 */
    {{{0, u"в"}, {0, u"Ђ"}}},
    {{{0, u"ВГРС"}, {SINGLE_BYTE, u"°µ"}, {0, u"ВГРС"}}},
    {{{0, u"Г"}, {0, u"ў"}, {0, u"В"}, {0, u"Ђ"}, {0, u"В"}, {LDM_MOJI_IN_LINE, NULL},
      {LETTER, u" "}}},
    /* Windows-1252 of a letter and a no-break space, or a space that was one */
    {{{0, u"Ã"}, {0, u"\u00a0¡"}}},
    {{{LOWER, NULL}, {0, u"ÃÂ"}, {0, u" "}}},
    {{{LOWER, NULL}, {LDM_MOJI_SPACE, NULL}, {0, u"ÃÂ"}, {0, u" "}}},
    {{{LOWER | END_PUNCTUATION, u".,?!"}, {0, u"Â"}, {QUOTES, u" "}}},
    /* Windows-1253 */
    {{{0, u"β"}, {0, u"€"}, {0, u"™\u00a0Ά\u00ad®°"}}},
    {{{0, u"ΒΓΞΟ"}, {SINGLE_BYTE, u"°"}, {0, u"ΒΓΞΟ"}}},
    /* Windows-1257 */
    {{{0, u"ā"}, {0, u"€"}}},
};
/* clang-format on */

static bool in_set(const set *s, uint32_t c, uint32_t classes)
{
    if (classes & s->classes)
        return true;
    for (const char16_t *p = s->chars; p && *p; p++) {
        if (*p == c)
            return true;
    }
    return false;
}

/* A window into the text with the classes of its characters. */
typedef struct window {
    const uint32_t *at;
    size_t len;                     /* of both, up to LONGEST_RULE */
    uint32_t classes[LONGEST_RULE]; /* of the first `known` */
    size_t known;
} window;

static bool fits(const rule *r, const window *w)
{
    for (size_t i = 0; i < LONGEST_RULE && (r->sets[i].classes || r->sets[i].chars); i++) {
        if (i >= w->len || !in_set(&r->sets[i], w->at[i], w->classes[i]))
            return false;
    }
    return true;
}

static bool bad_here(const window *w)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (fits(&rules[i], w))
            return true;
    }
    return false;
}

/* Every rule has a character outside ASCII among its first three. */
static bool may_fit(const window *w)
{
    for (size_t i = 0; i < 3 && i < w->len; i++) {
        if (w->at[i] >= 0x80)
            return true;
    }
    return false;
}

static void move_window(window *w, const uint32_t *at, size_t left)
{
    if (w->known > 0)
        memmove(w->classes, w->classes + 1, --w->known * sizeof w->classes[0]);
    w->at = at;
    w->len = left < LONGEST_RULE ? left : LONGEST_RULE;
}

bool ldm_is_bad(const uint32_t *at, size_t len)
{
    window w = {.known = 0};

    if (len >= 2 && (at[0] == 0xc3 || at[0] == 0xc2) && at[1] == ' ')
        return true;
    for (size_t i = 0; i < len; i++) {
        move_window(&w, at + i, len - i);
        if (!may_fit(&w))
            continue;
        for (; w.known < w.len; w.known++)
            w.classes[w.known] = all_classes(w.at[w.known]);
        if (bad_here(&w))
            return true;
    }
    return false;
}
