/* SPDX-License-Identifier: MIT */
/* Remarks; see notes.h. */
#include "engine/notes.h"

#include <stdarg.h>

#include "base/alloc.h"
#include "base/str.h"

ldm_status ldm_notes_add(ldm_notes *n, ldm_error *err, const char *fmt, ...)
{
    ldm_str text = {0};
    char *copy;
    va_list ap;

    va_start(ap, fmt);
    ldm_str_vprintf(&text, fmt, ap);
    va_end(ap);
    copy = text.failed ? NULL : ldm_arena_strdup(n->texts, text.data ? text.data : "");
    ldm_str_free(&text);
    if (!copy || !ldm_grow(&n->lines, &n->cap, n->count + 1, sizeof *n->lines))
        return ldm_error_nomem(err, 0, "a note");
    n->lines[n->count++] = copy;
    return LDM_OK;
}

const char *ldm_notes_at(const ldm_notes *n, size_t i)
{
    return i < n->count ? n->lines[i] : NULL;
}

void ldm_notes_free(ldm_notes *n)
{
    ldm_free(n->lines);
}
