/* SPDX-License-Identifier: MIT */
/* Bodies of forms; see multipart.h. */
#include "server/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAX_BOUNDARY = 70 }; /* RFC 2046 */

/* The first `needle` in what is left; memmem is GNU's. */
static const char *find(const char *at, const char *end, const char *needle, size_t len)
{
    while ((size_t)(end - at) >= len) {
        at = memchr(at, needle[0], (size_t)(end - at) - len + 1);
        if (!at)
            return NULL;
        if (!memcmp(at, needle, len))
            return at;
        at++;
    }
    return NULL;
}

/* The value of NAME="..." or NAME=... in a header's [at, end). False where it is not there or too
 * long. */
static bool parameter(const char *at, const char *end, const char *name, char *value, size_t size)
{
    const size_t len = strlen(name);

    for (; (size_t)(end - at) > len; at++) {
        const char *from = at + len + 1, *to;

        if (strncasecmp(at, name, len) != 0 || at[len] != '=' || (at[-1] != ' ' && at[-1] != ';'))
            continue;
        if (from < end && *from == '"') {
            from++;
            to = memchr(from, '"', (size_t)(end - from));
            if (!to)
                return false;
        } else {
            for (to = from; to < end && *to != ';' && *to != ' '; to++)
                continue;
        }
        if ((size_t)(to - from) >= size || memchr(from, '\0', (size_t)(to - from)))
            return false;
        memcpy(value, from, (size_t)(to - from));
        value[to - from] = '\0';
        return true;
    }
    return false;
}

/* "--boundary" with a line break before it; the length, 0 where there is none. */
static size_t delimiter_of(const char *type, char *out, size_t size)
{
    char boundary[MAX_BOUNDARY + 1];

    if (!*type ||
        !parameter(type + 1, type + strlen(type), "boundary", boundary, sizeof boundary) ||
        !*boundary)
        return 0;
    return (size_t)snprintf(out, size, "\r\n--%s", boundary);
}

/* Reads the headers of a part, [at, end), where `end` is after the empty line. */
static const char *headers(const char *at, const char *end, ldm_form_part *part)
{
    static const char disposition[] = "Content-Disposition:";
    char ignored[1024];

    while (at < end) {
        const char *line = find(at, end, "\r\n", 2);

        if (!line)
            break;
        if ((size_t)(line - at) > sizeof disposition &&
            !strncasecmp(at, disposition, sizeof disposition - 1)) {
            const char *values = at + sizeof disposition - 1;

            if (!parameter(values + 1, line, "name", part->name, sizeof part->name))
                return "a part has no name, or one that is too long";
            part->file = parameter(values + 1, line, "filename", ignored, sizeof ignored);
        }
        at = line + 2;
    }
    return *part->name ? NULL : "a part has no Content-Disposition";
}

const char *ldm_form_parse(const char *type, const char *body, size_t size, ldm_form *out)
{
    char delimiter[MAX_BOUNDARY + 8];
    const size_t len = delimiter_of(type, delimiter, sizeof delimiter);
    const char *end = body + size, *at = body;

    memset(out, 0, sizeof *out);
    if (!len)
        return "Content-Type has no boundary";
    /* the first delimiter may stand at the very start, without a line break before it */
    if (size < len - 2 || memcmp(body, delimiter + 2, len - 2) != 0)
        return "the body does not begin with the boundary";
    at += len - 2;
    for (;;) {
        ldm_form_part *part = &out->parts[out->count];
        const char *blank, *next, *wrong;

        if (end - at >= 2 && !memcmp(at, "--", 2))
            return NULL;
        if (end - at < 2 || memcmp(at, "\r\n", 2) != 0)
            return "a boundary is not followed by a line break";
        if (out->count == LDM_MULTIPART_PARTS)
            return "too many parts";
        blank = find(at, end, "\r\n\r\n", 4);
        next = blank ? find(blank + 2, end, delimiter, len) : NULL;
        if (!next)
            return "a part has no end";
        wrong = headers(at + 2, blank + 4, part);
        if (wrong)
            return wrong;
        part->data = blank + 4;
        part->size = next > part->data ? (size_t)(next - part->data) : 0;
        out->count++;
        at = next + len;
    }
}

const ldm_form_part *ldm_form_find(const ldm_form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++) {
        if (!strcmp(form->parts[i].name, name))
            return &form->parts[i];
    }
    return NULL;
}
