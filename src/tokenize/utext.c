/* SPDX-License-Identifier: MIT */
/* Text as code points: growing, UTF-8 in and out, white space, case. */
#include "tokenize/utext.h"

#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"

void ldm_utext_free(ldm_utext *t)
{
    ldm_free(t->at);
    memset(t, 0, sizeof *t);
}

static bool reserve(ldm_utext *t, size_t more)
{
    if (t->failed || !ldm_grow(&t->at, &t->cap, t->len + more, sizeof *t->at))
        t->failed = true;
    return !t->failed;
}

void ldm_utext_put(ldm_utext *t, uint32_t c)
{
    if (t->len < t->cap || reserve(t, 1))
        t->at[t->len++] = c;
}

void ldm_utext_append(ldm_utext *t, const uint32_t *at, size_t len)
{
    if (len == 0 || !reserve(t, len))
        return;
    memcpy(t->at + t->len, at, len * sizeof *at);
    t->len += len;
}

/* An empty text has no memory, and so no address to count from. */
void ldm_utext_append_part(ldm_utext *t, const ldm_utext *of, size_t from, size_t to)
{
    if (to > from)
        ldm_utext_append(t, of->at + from, to - from);
}

bool ldm_utext_same(const ldm_utext *a, const ldm_utext *b)
{
    return a->len == b->len && (a->len == 0 || !memcmp(a->at, b->at, a->len * sizeof *a->at));
}

void ldm_utext_swap(ldm_utext *a, ldm_utext *b)
{
    ldm_utext keep = *a;

    *a = *b;
    *b = keep;
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

static bool continues(unsigned char b)
{
    return (b & 0xc0) == 0x80;
}

/* One character in the shortest form that UTF-8 allows, no surrogate; the bytes taken, or 0. */
static size_t decode_one(const unsigned char *s, size_t n, uint32_t *c)
{
    size_t len, i;

    *c = s[0];
    if (s[0] < 0x80)
        return 1;
    len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < len)
        return 0;
    *c = s[0] & (0x7fu >> len);
    for (i = 1; i < len; i++) {
        if (!continues(s[i]))
            return 0;
        *c = *c << 6 | (s[i] & 0x3f);
    }
    if ((len == 3 && *c < 0x800) || (len == 4 && *c < 0x10000) || *c > 0x10ffff ||
        (*c >= 0xd800 && *c < 0xe000))
        return 0;
    return len;
}

/* C0 80 is NUL in Java's UTF-8; ED A0..AF xx ED B0..BF xx is a surrogate pair, three bytes each. */
static size_t decode_variant(const unsigned char *s, size_t n, uint32_t *c)
{
    if (n >= 2 && s[0] == 0xc0 && s[1] == 0x80) {
        *c = 0;
        return 2;
    }
    if (n < 6 || s[0] != 0xed || (s[1] & 0xf0) != 0xa0 || !continues(s[2]) || s[3] != 0xed ||
        (s[4] & 0xf0) != 0xb0 || !continues(s[5]))
        return 0;
    *c = 0x10000u +
         (((s[1] & 0x0fu) << 16) | ((s[2] & 0x3fu) << 10) | ((s[4] & 0x0fu) << 6) | (s[5] & 0x3fu));
    return 6;
}

size_t ldm_utext_decode(ldm_utext *t, const unsigned char *text, size_t bytes, bool variants)
{
    size_t at = 0, len;
    uint32_t c;

    while (at < bytes) {
        len = decode_one(text + at, bytes - at, &c);
        if (len == 0 && variants)
            len = decode_variant(text + at, bytes - at, &c);
        if (len == 0)
            break;
        ldm_utext_put(t, c);
        at += len;
    }
    return at;
}

size_t ldm_utf8_good(const unsigned char *text, size_t bytes)
{
    size_t at = 0, len;
    uint32_t c;

    for (; at < bytes; at += len) {
        len = decode_one(text + at, bytes - at, &c);
        if (len == 0)
            break;
    }
    return at;
}

size_t ldm_utf8_put(unsigned char out[4], uint32_t c)
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, out);
}

/* ---- properties ------------------------------------------------------------------------------ */

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool ldm_is_white(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x85 || c == 0x2028 || c == 0x2029 || ldm_is_separator(c);
}

bool ldm_is_space(uint32_t c)
{
    return ldm_is_white(c) || (c >= 0x1c && c <= 0x1f);
}

bool ldm_is_letter(uint32_t c)
{
    utf8proc_category_t k = category(c);

    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool ldm_is_number(uint32_t c)
{
    utf8proc_category_t k = category(c);

    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

bool ldm_is_decimal(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ND;
}

bool ldm_is_word(uint32_t c)
{
    return c == '_' || ldm_is_letter(c) || ldm_is_number(c);
}

bool ldm_is_control(uint32_t c)
{
    utf8proc_category_t k = category(c);

    return k == UTF8PROC_CATEGORY_CN || k >= UTF8PROC_CATEGORY_CC;
}

bool ldm_is_mark(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_MN;
}

bool ldm_is_separator(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ZS;
}

bool ldm_is_punctuation(uint32_t c)
{
    utf8proc_category_t k = category(c);

    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

/* ---- lower case ------------------------------------------------------------------------------ */

static bool within(uint32_t c, const uint32_t (*ranges)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    }
    return false;
}

/* Unicode's Cased, less what is also case-ignorable: letters with case, and what the property
 * Other_Lowercase or Other_Uppercase adds outside the modifier letters. */
static bool is_cased(uint32_t c)
{
    static const uint32_t others[][2] = {{0xaa, 0xaa},      {0xba, 0xba},       {0x2160, 0x217f},
                                         {0x24b6, 0x24e9},  {0x1f130, 0x1f149}, {0x1f150, 0x1f169},
                                         {0x1f170, 0x1f189}};
    utf8proc_category_t k = category(c);

    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LT) ||
           within(c, others, sizeof others / sizeof others[0]);
}

/* Unicode's Case_Ignorable: marks, format characters, modifiers, and what stands inside words. */
static bool is_ignorable(uint32_t c)
{
    static const uint32_t inside[][2] = {
        {0x27, 0x27},     {0x2e, 0x2e},     {0x3a, 0x3a},     {0xb7, 0xb7},
        {0x387, 0x387},   {0x55f, 0x55f},   {0x5f4, 0x5f4},   {0x2018, 0x2019},
        {0x2024, 0x2024}, {0x2027, 0x2027}, {0xfe13, 0xfe13}, {0xfe52, 0xfe52},
        {0xfe55, 0xfe55}, {0xff07, 0xff07}, {0xff0e, 0xff0e}, {0xff1a, 0xff1a}};

    switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return within(c, inside, sizeof inside / sizeof inside[0]);
    }
}

/* Unicode's Final_Sigma (SpecialCasing.txt): a cased letter before it and none after it, wherever
 * case-ignorable characters stand between. */
static bool sigma_is_final(const ldm_utext *t, size_t at)
{
    size_t i = at;

    while (i > 0 && is_ignorable(t->at[i - 1]))
        i--;
    if (i == 0 || !is_cased(t->at[i - 1]))
        return false;
    for (i = at + 1; i < t->len && is_ignorable(t->at[i]); i++)
        ;
    return i == t->len || !is_cased(t->at[i]);
}

void ldm_utext_lower_one(ldm_utext *t, uint32_t c)
{
    if (c == 0x130) { /* capital I with a dot: the dot becomes a mark of its own */
        ldm_utext_put(t, 'i');
        ldm_utext_put(t, 0x307);
    } else if (c < 0x80) {
        ldm_utext_put(t, c >= 'A' && c <= 'Z' ? c + 32 : c);
    } else {
        ldm_utext_put(t, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

void ldm_utext_lower(const ldm_utext *in, ldm_utext *out)
{
    for (size_t i = 0; i < in->len; i++) {
        if (in->at[i] == 0x3a3)
            ldm_utext_put(out, sigma_is_final(in, i) ? 0x3c2 : 0x3c3);
        else
            ldm_utext_lower_one(out, in->at[i]);
    }
}
