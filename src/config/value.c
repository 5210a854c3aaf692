/* SPDX-License-Identifier: MIT */
/* Reading a finished tree: paths, kinds, scalars, ${...} references, errors at a value's place. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/tree.h"

enum { MAX_REFERENCES = 16 }; /* ${a} -> ${b} -> ... */

const ldm_value *ldm_value_find(const ldm_value *v, const char *path)
{
    const char *part = path;
    size_t len, index;

    if (!*path)
        return v;
    while (v && part) {
        const char *next = ldm_path_part(&part, &len);
        char key[LDM_CONFIG_MAX_KEY + 1];

        if (len >= sizeof key)
            return NULL;
        memcpy(key, part, len);
        key[len] = '\0';
        if (v->kind == LDM_VALUE_MAP)
            v = ldm_map_get(v, key);
        else if (v->kind == LDM_VALUE_LIST && ldm_parse_index(key, v->u.list.count, &index))
            v = v->u.list.items[index];
        else
            return NULL;
        part = next;
    }
    return v;
}

const ldm_value *ldm_tree_resolve(const ldm_value *v, const char **why)
{
    int hops;

    for (hops = 0; hops < MAX_REFERENCES; hops++) {
        char path[512];

        if (v->kind != LDM_VALUE_STRING)
            return v;
        if (!strcmp(v->u.text, "???")) {
            *why = "is ???, a value that must be given; set it with --set or in a later file";
            return NULL;
        }
        if (!strstr(v->u.text, "${"))
            return v;
        if (!ldm_reference_path(v->u.text, path, sizeof path)) {
            *why = "holds an interpolation that is not understood; only a whole ${a.b.c} is: write "
                   "the value itself";
            return NULL;
        }
        v = ldm_value_find(ldm_tree_root(v->cfg), path);
        if (!v) {
            *why = "refers to a value that is not there; write the value itself";
            return NULL;
        }
    }
    *why = "refers to itself by way of others; write the value itself";
    return NULL;
}

ldm_value_kind ldm_value_get_kind(const ldm_value *v)
{
    const char *why;
    const ldm_value *target = ldm_tree_resolve(v, &why);

    return target ? target->kind : v->kind;
}

const char *ldm_value_kind_name(ldm_value_kind kind)
{
    static const char *const names[] = {
        "null", "true or false", "a whole number", "a number", "text", "a list", "a map",
    };

    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

ldm_origin ldm_value_origin(const ldm_value *v)
{
    return (ldm_origin){v->source, v->line, v->column};
}

const char *ldm_value_path(const ldm_value *v)
{
    return v->path;
}

const char *ldm_value_key(const ldm_value *v)
{
    return v->key;
}

size_t ldm_value_count(const ldm_value *v)
{
    return v->kind == LDM_VALUE_MAP || v->kind == LDM_VALUE_LIST ? v->u.list.count : 0;
}

const ldm_value *ldm_value_at(const ldm_value *v, size_t i)
{
    return i < ldm_value_count(v) ? v->u.list.items[i] : NULL;
}

ldm_status ldm_value_error(const ldm_value *v, ldm_error *err, const char *fmt, ...)
{
    const char *path = v->path && *v->path ? v->path : "the configuration";
    char message[600];
    const char *why;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    /* Of a reference that leads nowhere that is the fault, whatever was expected in its place. */
    if (v->cfg && v->kind == LDM_VALUE_STRING && !ldm_tree_resolve(v, &why))
        snprintf(message, sizeof message, "\"%.100s\" %s", v->u.text, why);
    if (v->source && v->line)
        return ldm_error_at_line(err, LDM_ERR_CONFIG, v->line, v->column, "%s:%d:%d: %.300s: %s",
                                 v->source, v->line, v->column, path, message);
    return ldm_error_set(err, LDM_ERR_CONFIG, "%s%s%.300s: %s", v->source ? v->source : "",
                         v->source ? ": " : "", path, message);
}

/* "found X, expected Y" for a value of the wrong kind. */
static ldm_status wrong_kind(const ldm_value *v, const ldm_value *target, const char *expected,
                             ldm_error *err)
{
    switch (target->kind) {
    case LDM_VALUE_BOOL:
        return ldm_value_error(v, err, "found %s, expected %s", target->u.truth ? "true" : "false",
                               expected);
    case LDM_VALUE_INT:
        return ldm_value_error(v, err, "found %" PRId64 ", expected %s", target->u.integer,
                               expected);
    case LDM_VALUE_FLOAT:
        return ldm_value_error(v, err, "found %.10g, expected %s", target->u.real, expected);
    case LDM_VALUE_STRING:
        return ldm_value_error(v, err, "found the text \"%.100s\", expected %s", target->u.text,
                               expected);
    default:
        return ldm_value_error(v, err, "found %s, expected %s", ldm_value_kind_name(target->kind),
                               expected);
    }
}

/* The scalar that v stands for, or NULL and an error. */
static const ldm_value *readable(const ldm_value *v, ldm_error *err)
{
    const char *why = "";
    const ldm_value *target = ldm_tree_resolve(v, &why);

    if (!target)
        ldm_value_error(v, err, "\"%.100s\" %s", v->u.text, why);
    return target;
}

ldm_status ldm_value_bool(const ldm_value *v, bool *out, ldm_error *err)
{
    const ldm_value *target = readable(v, err);

    if (!target)
        return LDM_ERR_CONFIG;
    if (target->kind != LDM_VALUE_BOOL)
        return wrong_kind(v, target, "true or false", err);
    *out = target->u.truth;
    return LDM_OK;
}

ldm_status ldm_value_int(const ldm_value *v, int64_t *out, ldm_error *err)
{
    const ldm_value *target = readable(v, err);

    if (!target)
        return LDM_ERR_CONFIG;
    if (target->kind == LDM_VALUE_INT) {
        *out = target->u.integer;
        return LDM_OK;
    }
    /* Above 2^53 one float stands for several integers. */
    if (target->kind == LDM_VALUE_FLOAT && fabs(target->u.real) <= 9007199254740992.0 &&
        floor(target->u.real) == target->u.real) {
        *out = (int64_t)target->u.real;
        return LDM_OK;
    }
    return wrong_kind(v, target, "a whole number", err);
}

ldm_status ldm_value_double(const ldm_value *v, double *out, ldm_error *err)
{
    const ldm_value *target = readable(v, err);

    if (!target)
        return LDM_ERR_CONFIG;
    if (target->kind != LDM_VALUE_INT && target->kind != LDM_VALUE_FLOAT)
        return wrong_kind(v, target, "a number", err);
    *out = target->kind == LDM_VALUE_INT ? (double)target->u.integer : target->u.real;
    return LDM_OK;
}

ldm_status ldm_value_string(const ldm_value *v, const char **out, ldm_error *err)
{
    const ldm_value *target = readable(v, err);

    if (!target)
        return LDM_ERR_CONFIG;
    if (target->kind != LDM_VALUE_STRING)
        return wrong_kind(v, target, "text", err);
    *out = target->u.text;
    return LDM_OK;
}
