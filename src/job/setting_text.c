/* SPDX-License-Identifier: MIT */
/* The values of settings as text: what the command line, ldm_job_set and the tables' defaults are
 * written in. Numbers have a point, whatever the caller's locale is. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "job/value.h"

/* strtod() reads "," where a locale says so; settings are written with a point everywhere. */
static bool number_of_text(const char *s, double *out)
{
    struct lconv *l = localeconv();
    char copy[64], *point, *end;

    if (!*s || s[strspn(s, "+-.0123456789eE")] || strlen(s) >= sizeof copy - 8)
        return false;
    strcpy(copy, s);
    point = strchr(copy, '.');
    if (point && l->decimal_point[0] && !l->decimal_point[1])
        *point = l->decimal_point[0];
    *out = strtod(copy, &end);
    return !*end && isfinite(*out);
}

/* Decimal digits only, with a sign where the row goes below 0. */
static bool int_of_text(const char *s, int64_t *out)
{
    char *end;
    long long v;

    if (!(s[0] >= '0' && s[0] <= '9') && !(s[0] == '-' && s[1] >= '0' && s[1] <= '9'))
        return false;
    errno = 0;
    v = strtoll(s, &end, 10);
    if (errno || *end)
        return false;
    *out = v;
    return true;
}

bool ldm_setting_read_u64(const char *s, uint64_t *out)
{
    char *end;
    unsigned long long v;

    if (!(s[0] >= '0' && s[0] <= '9'))
        return false;
    errno = 0;
    v = strtoull(s, &end, 10);
    if (errno || *end)
        return false;
    *out = v;
    return true;
}

/* 500M and 2G are powers of 1024, 1.5GB of 1000. */
static bool bytes_of_text(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    const size_t digits = strspn(s, ".0123456789");
    const char *end = s + digits, *unit, *u;
    char number[32];
    double factor = 1, v;

    if (!(s[0] >= '0' && s[0] <= '9') || digits >= sizeof number)
        return false;
    memcpy(number, s, digits);
    number[digits] = '\0';
    if (!number_of_text(number, &v))
        return false;
    if (*end) {
        char c = *end >= 'a' && *end <= 'z' ? (char)(*end - 'a' + 'A') : *end;

        unit = strchr(units, c);
        if (unit) {
            double base = end[1] == 'B' ? 1000 : 1024;

            for (u = units; u <= unit; u++)
                factor *= base;
            end++;
            if (*end == 'i')
                end++;
        }
        if (*end == 'B')
            end++;
    }
    if (*end || v * factor < 1 || v * factor > 9e18)
        return false;
    *out = (uint64_t)(v * factor);
    return true;
}

static bool shape_of_text(const char *s, int out[3])
{
    int i;

    for (i = 0; i < 3; i++) {
        char *end;
        long v;

        if (!(s[0] >= '0' && s[0] <= '9'))
            return false;
        errno = 0;
        v = strtol(s, &end, 10);
        if (errno || v > INT_MAX || *end != (i < 2 ? ',' : '\0'))
            return false;
        out[i] = (int)v;
        s = end + 1;
    }
    return true;
}

static bool bool_of_text(const char *s, bool *out)
{
    *out = strcmp(s, "true") == 0;
    return *out || strcmp(s, "false") == 0;
}

bool ldm_setting_read_text(const ldm_setting_row *row, const char *text, ldm_setting_value *v)
{
    switch (row->type) {
    case LDM_TYPE_INT:
        return int_of_text(text, &v->i);
    case LDM_TYPE_U64:
        return ldm_setting_read_u64(text, &v->u);
    case LDM_TYPE_BYTES:
        return bytes_of_text(text, &v->u);
    case LDM_TYPE_REAL:
        return number_of_text(text, &v->r);
    case LDM_TYPE_BOOL:
        return bool_of_text(text, &v->b);
    case LDM_TYPE_SHAPE:
        return shape_of_text(text, v->shape);
    case LDM_TYPE_CHOICE:
    case LDM_TYPE_TEXT:
    case LDM_TYPE_LIST:
        v->text = text;
        break;
    }
    return true;
}

ldm_status ldm_options_text(const ldm_options *o, const ldm_setting_row *row, ldm_str *out,
                            ldm_error *err)
{
    const void *field = ldm_setting_field(o, row);
    const ldm_texts *list;
    const int *shape;
    const char *text;
    char real[LDM_REAL_TEXT];
    size_t i;

    switch (row->type) {
    case LDM_TYPE_INT:
        ldm_str_printf(out, "%d", *(const int *)field);
        break;
    case LDM_TYPE_U64:
    case LDM_TYPE_BYTES:
        ldm_str_printf(out, "%" PRIu64, *(const uint64_t *)field);
        break;
    case LDM_TYPE_REAL:
        ldm_str_puts(out, ldm_format_real(*(const double *)field, real));
        break;
    case LDM_TYPE_BOOL:
        ldm_str_puts(out, *(const bool *)field ? "true" : "false");
        break;
    case LDM_TYPE_SHAPE:
        shape = field;
        ldm_str_printf(out, "%d,%d,%d", shape[0], shape[1], shape[2]);
        break;
    case LDM_TYPE_CHOICE:
    case LDM_TYPE_TEXT:
        text = *(const char *const *)field;
        ldm_str_puts(out, text ? text : "");
        break;
    case LDM_TYPE_LIST:
        list = field;
        ldm_str_puts(out, "");
        for (i = 0; i < list->count; i++)
            ldm_str_printf(out, "%s%s", i ? "\n" : "", list->items[i]);
        break;
    }
    return out->failed ? ldm_error_nomem(err, 0, "a setting's text") : LDM_OK;
}
