/* SPDX-License-Identifier: MIT */
/* Filling error records; see error.h. */
#define LDM_ERROR_IS_DEFINED_HERE
#include "base/error.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const status_names[] = {
#define NAME(name, text) #name,
    LDM_STATUS_LIST(NAME)
#undef NAME
};

static const char *const status_texts[] = {
#define TEXT(name, text) text,
    LDM_STATUS_LIST(TEXT)
#undef TEXT
};

#define STATUS_COUNT (sizeof status_names / sizeof status_names[0])

const char *ldm_status_name(ldm_status st)
{
    return (size_t)st < STATUS_COUNT ? status_names[st] : "UNKNOWN";
}

const char *ldm_status_text(ldm_status st)
{
    return (size_t)st < STATUS_COUNT ? status_texts[st] : "unknown status";
}

static LDM_PRINTF(3, 0) void fill(ldm_error *err, ldm_status st, const char *fmt, va_list ap)
{
    err->code = st;
    err->offset = -1;
    err->line = 0;
    err->column = 0;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    ldm_flatten(err->msg); /* names from a file must not move the cursor */
}

ldm_status ldm_error_set(ldm_error *err, ldm_status st, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        fill(err, st, fmt, ap);
        va_end(ap);
    }
    return st;
}

ldm_status ldm_error_at(ldm_error *err, ldm_status st, uint64_t offset, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        fill(err, st, fmt, ap);
        va_end(ap);
        err->offset = offset <= INT64_MAX ? (int64_t)offset : -1;
    }
    return st;
}

ldm_status ldm_error_at_line(ldm_error *err, ldm_status st, int line, int column, const char *fmt,
                             ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        fill(err, st, fmt, ap);
        va_end(ap);
        err->line = line;
        err->column = column;
    }
    return st;
}

ldm_status ldm_error_wrap(ldm_error *err, ldm_status st, const char *fmt, ...)
{
    char old[sizeof err->msg];
    va_list ap;
    int used;

    if (!err)
        return st;
    memcpy(old, err->msg, sizeof old);
    va_start(ap, fmt);
    used = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (used >= 0 && (size_t)used < sizeof err->msg)
        snprintf(err->msg + used, sizeof err->msg - (size_t)used, ": %s", old);
    ldm_flatten(err->msg);
    return st;
}

ldm_status ldm_error_nomem(ldm_error *err, uint64_t bytes, const char *what)
{
    return ldm_error_set(err, LDM_ERR_NOMEM, "out of memory (%llu bytes for %s)",
                         (unsigned long long)bytes, what);
}
