/* SPDX-License-Identifier: MIT */
/* JSON as text; see json_text.h. */
#include "base/json_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"

static int append(const char *bytes, size_t size, void *out)
{
    ldm_str_append(out, bytes, size);
    return ((ldm_str *)out)->failed ? -1 : 0;
}

bool ldm_json_append(const json_t *root, size_t flags, ldm_str *out)
{
    return root && !json_dump_callback(root, append, out, flags) && !out->failed;
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
