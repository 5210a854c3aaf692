/* SPDX-License-Identifier: MIT */
/* Growing strings and numbers for people; see str.h. */
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void ldm_str_append(ldm_str *s, const char *text, size_t len)
{
    if (s->failed)
        return;
    if (len >= SIZE_MAX - s->len || !ldm_grow(&s->data, &s->cap, s->len + len + 1, 1)) {
        s->failed = true;
        return;
    }
    memcpy(s->data + s->len, text, len);
    s->len += len;
    s->data[s->len] = '\0';
}

void ldm_str_puts(ldm_str *s, const char *text)
{
    ldm_str_append(s, text, strlen(text));
}

void ldm_str_vprintf(ldm_str *s, const char *fmt, va_list ap)
{
    va_list again;
    int len;

    if (s->failed)
        return;
    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0 || !ldm_grow(&s->data, &s->cap, s->len + (size_t)len + 1, 1)) {
        s->failed = true;
        return;
    }
    vsnprintf(s->data + s->len, (size_t)len + 1, fmt, ap);
    s->len += (size_t)len;
}

void ldm_str_printf(ldm_str *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    ldm_str_vprintf(s, fmt, ap);
    va_end(ap);
}

void ldm_str_free(ldm_str *s)
{
    ldm_free(s->data);
    memset(s, 0, sizeof *s);
}

enum { HELP_WIDTH = 80 };

/* Whether a line of the text is longer than what is left of 80 columns. */
static bool is_wide(const char *text, size_t column)
{
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if (n > HELP_WIDTH - column)
            return true;
    }
    return false;
}

void ldm_str_explain(ldm_str *s, const char *text, size_t used, size_t column)
{
    /* A word is what is never broken: where all lines fit, each of them is one. */
    const char *const ends = is_wide(text, column) ? " \n" : "\n";
    size_t at = column;

    ldm_str_printf(s, "%*s", (int)(column - used), "");
    for (size_t n; *text; text += n + strspn(text + n, ends)) {
        n = strcspn(text, ends);
        if (at > column && (*ends == '\n' || at + 1 + n > HELP_WIDTH)) {
            ldm_str_printf(s, "\n%*s", (int)column, "");
            at = column;
        }
        ldm_str_printf(s, "%s%.*s", at > column ? " " : "", (int)n, text);
        at += n + (at > column);
    }
    ldm_str_puts(s, "\n");
}

char *ldm_format_count(uint64_t n, char *buf)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *p = buf;
    int i;

    for (i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = '\0';
    return buf;
}

char *ldm_format_real(double v, char *buf)
{
    char *p;

    for (int digits = 15; digits <= 17; digits++) { /* %g takes zeros at the end away */
        snprintf(buf, LDM_REAL_TEXT, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    for (p = buf; *p; p++) { /* the caller's locale may have another one */
        if (*p == ',')
            *p = '.';
    }
    return buf;
}

char *ldm_format_bytes(uint64_t n, char *buf)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)n;
    size_t u = 0;

    while (value >= 999.95 && u + 1 < sizeof units / sizeof units[0]) {
        value /= 1000.0;
        u++;
    }
    if (u == 0)
        snprintf(buf, 16, "%d B", (int)n);
    else
        snprintf(buf, 16, value < 9.995 ? "%.2f %s" : "%.1f %s", value, units[u]);
    return buf;
}

size_t ldm_edit_distance(const char *a, const char *b, size_t limit)
{
    enum { MAX = 96 };
    size_t la = strlen(a), lb = strlen(b), rows[3][MAX + 1], i, j;
    size_t *two = rows[0], *one = rows[1], *cur = rows[2], *t; /* of i - 2, i - 1, i */

    if (la > MAX || lb > MAX || (la > lb ? la - lb : lb - la) > limit)
        return limit + 1;
    for (j = 0; j <= lb; j++)
        one[j] = j;
    for (i = 1; i <= la; i++) {
        cur[0] = i;
        for (j = 1; j <= lb; j++) {
            size_t best = one[j - 1] + (a[i - 1] != b[j - 1]);

            if (one[j] + 1 < best)
                best = one[j] + 1;
            if (cur[j - 1] + 1 < best)
                best = cur[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            cur[j] = best;
        }
        t = two;
        two = one;
        one = cur;
        cur = t;
    }
    return one[lb] > limit ? limit + 1 : one[lb];
}

size_t ldm_utf8_mark(const char *text, size_t size)
{
    return size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
}

bool ldm_is_utf16(const char *text, size_t size)
{
    return size >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2));
}

size_t ldm_edit_limit(const char *word)
{
    const size_t len = strlen(word);

    return len < 3 ? 0 : len < 6 ? 1 : len < 10 ? 2 : 3;
}

void ldm_lower(char *out, size_t size, const char *text)
{
    size_t i;

    for (i = 0; i + 1 < size && text[i]; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i]);
    out[i] = '\0';
}

size_t ldm_utf8_len(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t c;
    size_t n, i;

    if (!left)
        return 0;
    if (p[0] < 0x80)
        return 1;
    n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return 0;
    c = p[0] & (0x7fu >> n);
    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
        (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return n;
}

/* C1 controls (U+0080 to U+009F, of which U+009B begins a terminal's commands), and what turns the
 * direction of text (U+202A to U+202E, U+2066 to U+2069), as UTF-8. */
static bool is_wide_control(const unsigned char *p, size_t n)
{
    if (n == 2)
        return p[0] == 0xc2 && p[1] < 0xa0;
    return n == 3 && p[0] == 0xe2 &&
           ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
            (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

size_t ldm_shown_len(const char *p, size_t left)
{
    const size_t n = ldm_utf8_len(p, left);

    if (!n || (unsigned char)*p < 0x20 || *p == 0x7f)
        return 0;
    return is_wide_control((const unsigned char *)p, n) ? 0 : n;
}

void ldm_remove_all(char *text, const char *what)
{
    const size_t len = strlen(what);
    char *to = text;

    while (*text) {
        if (len && !strncmp(text, what, len))
            text += len;
        else
            *to++ = *text++;
    }
    *to = '\0';
}

uint64_t ldm_hash64(uint64_t h, const void *data, size_t size)
{
    const unsigned char *p = data;

    for (; size; size--)
        h = (h ^ *p++) * 1099511628211u;
    return h;
}

void ldm_flatten(char *s)
{
    size_t left = strlen(s);

    while (left) {
        const size_t n = ldm_shown_len(s, left);

        if (!n)
            *s = '?';
        s += n ? n : 1;
        left -= n ? n : 1;
    }
}

void ldm_str_put_short(ldm_str *s, const char *text, size_t most)
{
    const size_t len = strlen(text), begin = s->len;
    size_t used = 0, n;

    while (used < most && (n = ldm_utf8_len(text + used, len - used)))
        used += n;
    ldm_str_append(s, text, used);
    if (!s->failed && s->data)
        ldm_flatten(s->data + begin);
    if (used < len)
        ldm_str_puts(s, "...");
}
