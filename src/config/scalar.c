/* SPDX-License-Identifier: MIT */
/* Typing of plain scalars as OmegaConf 2.1 types them: PyYAML's YAML 1.1 rules, with a wider rule
 * for floats (1e-6 is a number) and none for dates. Where Python would raise ("0x_", "._"), the
 * text stays text. */
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/tree.h"

enum { MAX_NUMBER = 400 }; /* longer text is no number that anyone writes: it stays text */

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++) {
        if (!strcmp(s, *words))
            return true;
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the run of characters out of `set`. */
static const char *skip(const char *s, const char *set)
{
    return s + strspn(s, set);
}

#define DIGITS_ "0123456789_"

/* [eE][-+]?[0-9]+ up to the end; with `sign_needed` the sign is not optional. */
static bool is_exponent(const char *s, bool sign_needed)
{
    if (*s != 'e' && *s != 'E')
        return false;
    s++;
    if (*s == '-' || *s == '+')
        s++;
    else if (sign_needed)
        return false;
    return is_digit(*s) && !*skip(s, "0123456789");
}

/* (:[0-5]?[0-9])+ : digit groups of a number to base 60. NULL if there is none. */
static const char *skip_sexagesimal(const char *s)
{
    if (*s != ':')
        return NULL;
    while (*s == ':') {
        s++;
        if (s[0] >= '0' && s[0] <= '5' && is_digit(s[1]))
            s += 2;
        else if (is_digit(s[0]))
            s++;
        else
            return NULL;
    }
    return s;
}

static bool is_float(const char *text)
{
    const char *s = text, *t;

    if (*s == '.') {
        /* OmegaConf's rule: a number that begins with a point has no sign, and its exponent must
         * have one. */
        t = skip(s + 1, DIGITS_);
        return strpbrk(s, "0123456789") && t > s + 1 && (!*t || is_exponent(t, true));
    }
    if (*s == '-' || *s == '+')
        s++;
    if (!is_digit(*s))
        return false;
    s = skip(s, DIGITS_);
    t = skip_sexagesimal(s);
    if (t)
        return *t == '.' && !*skip(t + 1, DIGITS_);
    if (*s != '.')
        return is_exponent(s, false);
    s = skip(s + 1, DIGITS_);
    return !*s || is_exponent(s, false);
}

/* The base of an integer (60 for 1:30), or 0 if the text is none. *digits points after sign and
 * prefix. */
static int integer_base(const char *text, const char **digits)
{
    const char *s = text, *t;

    if (*s == '-' || *s == '+')
        s++;
    *digits = s;
    if (s[0] == '0') {
        if (!s[1])
            return 10;
        *digits = s + 2;
        if (s[1] == 'b')
            return strpbrk(s + 2, "01") && !*skip(s + 2, "01_") ? 2 : 0;
        if (s[1] == 'x')
            return s[2 + strspn(s + 2, "_")] && !*skip(s + 2, "0123456789abcdefABCDEF_") ? 16 : 0;
        *digits = s + 1;
        return !*skip(s + 1, "01234567_") ? 8 : 0;
    }
    if (!is_digit(*s))
        return 0;
    s = skip(s, DIGITS_);
    if (!*s)
        return 10;
    t = skip_sexagesimal(s);
    return t && !*t ? 60 : 0;
}

static double sexagesimal(const char *s)
{
    double total = 0;

    for (;;) {
        char *end;

        total = total * 60 + strtod(s, &end);
        if (*end != ':')
            return total;
        s = end + 1;
    }
}

/* Sets v to sign * digits, as a float where 64 bits do not hold it (Python has no limit there). */
static void set_integer(ldm_value *v, const char *digits, int base, bool negative)
{
    unsigned long long magnitude;
    double wide;

    errno = 0;
    if (base == 60) {
        wide = sexagesimal(digits);
        magnitude = wide < 9e15 ? (unsigned long long)wide : ULLONG_MAX;
    } else {
        const char *s;

        magnitude = strtoull(*digits ? digits : "0", NULL, base);
        if (errno == ERANGE)
            magnitude = ULLONG_MAX;
        wide = 0;
        for (s = digits; *s; s++)
            wide = wide * base + (is_digit(*s) ? *s - '0' : (*s | 0x20) - 'a' + 10);
        if (base == 10)
            wide = strtod(digits, NULL); /* correctly rounded */
    }
    if (magnitude <= INT64_MAX) {
        v->kind = LDM_VALUE_INT;
        v->u.integer = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    } else {
        v->kind = LDM_VALUE_FLOAT;
        v->u.real = negative ? -wide : wide;
    }
}

void ldm_scalar_resolve(const char *text, ldm_value *v)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes",
                                      "YES",  "on",   "On",   "ON",  NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no",  "No",
                                     "NO",    "off",   "Off",   "OFF", NULL};
    static const char *const infs[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    const bool negative = text[0] == '-';
    const char *unsigned_text = text + (negative || text[0] == '+'), *digits;
    char plain[MAX_NUMBER];
    size_t len = 0;
    int base;

    v->kind = LDM_VALUE_STRING;
    v->u.text = text;
    if (is_one_of(text, nulls)) {
        v->kind = LDM_VALUE_NULL;
    } else if (is_one_of(text, yes) || is_one_of(text, no)) {
        v->kind = LDM_VALUE_BOOL;
        v->u.truth = is_one_of(text, yes);
    } else if (is_one_of(unsigned_text, infs)) {
        v->kind = LDM_VALUE_FLOAT;
        v->u.real = negative ? -INFINITY : INFINITY;
    } else if (is_one_of(text, nans)) {
        v->kind = LDM_VALUE_FLOAT;
        v->u.real = NAN;
    } else if ((is_digit(*unsigned_text) || *text == '.') && strlen(text) < sizeof plain) {
        const char *s = text;
        const bool real = is_float(text);

        base = real ? 0 : integer_base(text, &digits);
        if (!real && !base)
            return;
        for (s = real ? unsigned_text : digits; *s; s++) {
            if (*s != '_')
                plain[len++] = *s;
        }
        plain[len] = '\0';
        if (!real) {
            set_integer(v, plain, base, negative);
            return;
        }
        v->kind = LDM_VALUE_FLOAT;
        v->u.real = (negative ? -1.0 : 1.0) * sexagesimal(plain); /* with no ':' just the number */
    }
}

bool ldm_c_locale_enter(ldm_c_locale *l)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (!c)
        return false;
    l->own = c;
    l->old = uselocale(c);
    return true;
}

void ldm_c_locale_leave(ldm_c_locale *l)
{
    uselocale((locale_t)l->old);
    freelocale((locale_t)l->own);
}
