/* SPDX-License-Identifier: MIT */
/* Errors that point into a file; see source.h. */
#include "checkpoint/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A long path keeps its end, where the file's name is. */
#define PATH_SHOWN 300

ldm_status ldm_source_error(const ldm_source *s, ldm_error *err, ldm_status st, uint64_t pos,
                            const char *fmt, ...)
{
    size_t len = strlen(s->name);
    const char *tail = len > PATH_SHOWN ? s->name + len - PATH_SHOWN : s->name;
    char text[560];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return ldm_error_at(err, st, s->base + pos, "%s%s%s%.80s: byte %llu: %s",
                        tail == s->name ? "" : "...", tail, s->part ? ": " : "",
                        s->part ? s->part : "", ldm_ull(s->base + pos), text);
}

uint64_t ldm_source_zeros_begin(const ldm_source *s)
{
    uint64_t end = s->size;

    while (end > 0 && !s->data[end - 1])
        end--;
    return end;
}
