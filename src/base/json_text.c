/* SPDX-License-Identifier: MIT */
/* JSON as text; see json_text.h. */
#include "base/json_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

typedef struct writer {
    ldm_str *out;
    bool shortest;        /* real numbers are written anew */
    bool quoted, escaped; /* the bytes so far end within a string, or after its backslash */
} writer;

static void follow(writer *w, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (w->escaped)
            w->escaped = false;
        else if (w->quoted && bytes[i] == '\\')
            w->escaped = true;
        else if (bytes[i] == '"')
            w->quoted = !w->quoted;
    }
}

/* jansson hands over a number as one piece, in 17 digits: 0.29999999999999999 for 0.3. Whole ones,
 * "1.0", and what does not look like that are left as they are. */
static bool put_shorter(writer *w, const char *bytes, size_t size)
{
    char piece[LDM_REAL_TEXT], text[LDM_REAL_TEXT], *end;
    double v;

    if (w->quoted || size < 17 || size >= sizeof piece ||
        !(bytes[0] == '-' || isdigit((unsigned char)bytes[0])))
        return false;
    memcpy(piece, bytes, size);
    piece[size] = '\0';
    v = strtod(piece, &end);
    if (*end || !memchr(bytes, '.', size)) /* the locale has another point */
        return false;
    ldm_format_real(v, text);
    if (strlen(text) >= size || !strpbrk(text, ".e")) /* it would read as an integer */
        return false;
    ldm_str_puts(w->out, text);
    return true;
}

static int append(const char *bytes, size_t size, void *to)
{
    writer *w = to;

    if (!w->shortest || !put_shorter(w, bytes, size))
        ldm_str_append(w->out, bytes, size);
    follow(w, bytes, size);
    return w->out->failed ? -1 : 0;
}

bool ldm_json_append(const json_t *root, size_t flags, ldm_str *out)
{
    const size_t precision = flags / JSON_REAL_PRECISION(1) & 0x1f;
    writer w = {.out = out, .shortest = !precision || precision >= 17};

    return root && !json_dump_callback(root, append, &w, flags) && !out->failed;
}

static bool is_ascii(const char *s)
{
    while (*s && (unsigned char)*s < 0x80)
        s++;
    return !*s;
}

json_t *ldm_json_text(const char *text)
{
    json_t *j = text ? json_string(text) : json_null();
    char *copy, *p;

    if (j || is_ascii(text)) /* no odd byte: there was no memory */
        return j;
    copy = ldm_strdup(text);
    for (p = copy; p && *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    j = copy ? json_string(copy) : NULL;
    ldm_free(copy);
    return j;
}

json_t *ldm_json_u64(uint64_t v)
{
    char text[24];

    if (v <= INT64_MAX)
        return json_integer((json_int_t)v);
    snprintf(text, sizeof text, "%" PRIu64, v);
    return json_string(text);
}

json_t *ldm_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

const char *ldm_json_wrong(const json_error_t *at, bool *valid)
{
    switch (json_error_code(at)) {
    case json_error_null_character:
    case json_error_null_byte_in_key:
        *valid = true;
        return "a text holds \\u0000, which none may";
    case json_error_duplicate_key:
    case json_error_numeric_overflow:
        *valid = true;
        return at->text;
    default:
        *valid = false;
        return at->text;
    }
}
