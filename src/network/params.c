/* SPDX-License-Identifier: MIT */
/* Reading parameters by their rows: values, the list of parameters with their origins, and the keys
 * that no constructor takes. The rows stand in the parts' own files. */
#include "network/params.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

/* Every key that nothing reads is reported, and its name is compared with all that are known. */
enum { MAX_UNKNOWN = 1000 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static ldm_status nomem(ldm_param_reader *r)
{
    return ldm_error_nomem(r->err, 0, "the list of parameters");
}

static char *printf_arena(ldm_param_reader *r, const char *prefix, const char *name)
{
    ldm_arena *a = r->network->priv->arena;

    return *prefix ? ldm_arena_printf(a, "%s.%s", prefix, name) : ldm_arena_strdup(a, name);
}

static ldm_status note(ldm_param_reader *r, const char *prefix, const char *name, ldm_effect effect,
                       const char *reason, const char *value, const ldm_value *at)
{
    ldm_network *s = r->network;
    ldm_param *p;

    if (!ldm_grow(&s->params, &s->priv->param_cap, s->param_count + 1, sizeof *s->params))
        return nomem(r);
    p = &s->params[s->param_count];
    memset(p, 0, sizeof *p);
    p->path = printf_arena(r, prefix, name);
    p->name = name;
    p->value = ldm_arena_strdup(s->priv->arena, value);
    if (!p->path || !p->value)
        return nomem(r);
    if (at)
        p->origin = ldm_value_origin(at);
    p->effect = effect;
    p->reason = reason;
    s->param_count++;
    return LDM_OK;
}

ldm_status ldm_params_add(ldm_param_reader *r, const char *path, const char *name,
                          ldm_effect effect, const char *value, const ldm_value *at)
{
    return note(r, path, name, effect, NULL, value, at);
}

static ldm_status add_unknown(ldm_param_reader *r, const char *prefix, const ldm_value *v,
                              const ldm_param_row *rows, size_t count)
{
    ldm_network *s = r->network;
    ldm_unknown_key *u;
    size_t i, best = ldm_edit_limit(ldm_value_key(v)) + 1;

    if (s->unknown_count == MAX_UNKNOWN)
        return ldm_value_error(
            v, r->err, "is one more than %d keys that nothing reads; take them out", MAX_UNKNOWN);
    if (!ldm_grow(&s->unknown, &s->priv->unknown_cap, s->unknown_count + 1, sizeof *s->unknown))
        return nomem(r);
    u = &s->unknown[s->unknown_count];
    memset(u, 0, sizeof *u);
    u->path = printf_arena(r, prefix, ldm_value_key(v));
    u->origin = ldm_value_origin(v);
    if (!u->path)
        return nomem(r);
    for (i = 0; i < count; i++) {
        size_t d = ldm_edit_distance(rows[i].name, ldm_value_key(v), best);

        if (d < best) {
            best = d;
            u->suggestion = rows[i].name;
        }
    }
    s->unknown_count++;
    return LDM_OK;
}

static ldm_status read_int(const ldm_value *v, int *out, ldm_error *err)
{
    int64_t n;
    ldm_status st = ldm_value_int(v, &n, err);

    if (st)
        return st;
    if (n < INT_MIN || n > INT_MAX)
        return ldm_value_error(v, err, "is out of range");
    *out = (int)n;
    return LDM_OK;
}

static ldm_status read_ints(const ldm_value *v, ldm_int_list *out, ldm_error *err)
{
    size_t i, n = ldm_value_count(v);
    ldm_status st;

    if (ldm_value_get_kind(v) != LDM_VALUE_LIST)
        return ldm_value_error(v, err, "is %s, expected a list of numbers",
                               ldm_value_kind_name(ldm_value_get_kind(v)));
    if (n > LDM_MAX_LEVELS)
        return ldm_value_error(v, err, "has %zu entries, expected at most %d", n, LDM_MAX_LEVELS);
    for (i = 0; i < n; i++) {
        st = read_int(ldm_value_at(v, i), &out->items[i], err);
        if (st)
            return st;
    }
    out->count = (int)n;
    return LDM_OK;
}

static ldm_status read_bools(const ldm_value *v, ldm_int_list *out, ldm_error *err)
{
    size_t i, n = ldm_value_count(v);
    ldm_status st;
    bool b;

    if (ldm_value_get_kind(v) != LDM_VALUE_LIST)
        return ldm_value_error(v, err, "is %s, expected a list of true and false",
                               ldm_value_kind_name(ldm_value_get_kind(v)));
    if (n > LDM_MAX_LEVELS)
        return ldm_value_error(v, err, "has %zu entries, expected at most %d", n, LDM_MAX_LEVELS);
    for (i = 0; i < n; i++) {
        st = ldm_value_bool(ldm_value_at(v, i), &b, err);
        if (st)
            return st;
        out->items[i] = b;
    }
    out->count = (int)n;
    return LDM_OK;
}

static const struct {
    const char *word;
    int classes;
} class_words[] = {{"continuous", LDM_CLASSES_CONTINUOUS}, {"sequential", LDM_CLASSES_SEQUENTIAL}};

static ldm_status read_classes(const ldm_value *v, int *out, ldm_error *err)
{
    const char *word;
    ldm_status st;
    size_t i;

    if (ldm_value_get_kind(v) != LDM_VALUE_STRING) {
        st = read_int(v, out, err);
        if (!st && *out < 1)
            st = ldm_value_error(v, err, "is %d, expected a number of classes above 0", *out);
        return st;
    }
    st = ldm_value_string(v, &word, err);
    for (i = 0; !st && i < COUNT(class_words); i++) {
        if (!strcmp(word, class_words[i].word)) {
            *out = class_words[i].classes;
            return LDM_OK;
        }
    }
    return st ? st
              : ldm_value_error(v, err,
                                "is \"%.100s\", expected a number, null, continuous or sequential",
                                word);
}

static ldm_status read_betas(const ldm_value *v, ldm_beta_schedule *out, ldm_error *err)
{
    const char *name;
    ldm_status st = ldm_value_string(v, &name, err);

    if (st)
        return st;
    return ldm_beta_schedule_parse(name, out, err)
               ? ldm_value_error(
                     v, err, "is \"%.100s\", expected linear, cosine, sqrt_linear or sqrt", name)
               : LDM_OK;
}

static ldm_status read_extent(const ldm_value *v, ldm_extent *out, ldm_error *err)
{
    ldm_int_list list = {0};
    ldm_status st;

    if (ldm_value_get_kind(v) != LDM_VALUE_LIST) {
        st = read_int(v, &out->h, err);
        out->w = out->h;
        return st;
    }
    st = read_ints(v, &list, err);
    if (!st && list.count != 2)
        st = ldm_value_error(v, err, "has %d entries, expected a number or [height, width]",
                             list.count);
    out->h = list.items[0];
    out->w = list.items[1];
    return st;
}

static ldm_status read_value(const ldm_param_row *p, const ldm_value *v, char *base, ldm_error *err)
{
    void *field = base + p->offset;
    bool null = ldm_value_get_kind(v) == LDM_VALUE_NULL;

    switch (p->kind) {
    case LDM_PARAM_INT:
        if (null) {
            *(int *)field = -1;
            return LDM_OK;
        }
        return read_int(v, field, err);
    case LDM_PARAM_BOOL:
        return ldm_value_bool(v, field, err);
    case LDM_PARAM_DOUBLE:
        return ldm_value_double(v, field, err);
    case LDM_PARAM_STRING:
        if (null) {
            *(const char **)field = NULL;
            return LDM_OK;
        }
        return ldm_value_string(v, field, err);
    case LDM_PARAM_EXTENT:
        return read_extent(v, field, err);
    case LDM_PARAM_INTS:
        return read_ints(v, field, err);
    case LDM_PARAM_BOOLS:
        if (null) {
            ((ldm_int_list *)field)->count = 0;
            return LDM_OK;
        }
        return read_bools(v, field, err);
    case LDM_PARAM_CLASSES:
        if (null) {
            *(int *)field = -1;
            return LDM_OK;
        }
        return read_classes(v, field, err);
    case LDM_PARAM_BETAS:
        return read_betas(v, field, err);
    case LDM_PARAM_SKIPPED:
    case LDM_PARAM_MODULE:
        break;
    }
    return LDM_OK;
}

static void list_text(const ldm_int_list *list, bool bools, ldm_str *out)
{
    int i;

    ldm_str_puts(out, "[");
    for (i = 0; i < list->count; i++) {
        ldm_str_puts(out, i ? ", " : "");
        if (bools)
            ldm_str_puts(out, list->items[i] ? "true" : "false");
        else
            ldm_str_printf(out, "%d", list->items[i]);
    }
    ldm_str_puts(out, "]");
}

static void classes_text(int classes, ldm_str *out)
{
    size_t i;

    for (i = 0; i < COUNT(class_words); i++) {
        if (classes == class_words[i].classes) {
            ldm_str_puts(out, class_words[i].word);
            return;
        }
    }
    ldm_str_printf(out, "%d", classes);
}

static void value_text(const ldm_param_row *p, const char *base, ldm_str *out)
{
    const void *field = base + p->offset;
    const ldm_extent *extent;

    switch (p->kind) {
    case LDM_PARAM_INT:
        ldm_str_printf(out, "%d", *(const int *)field);
        break;
    case LDM_PARAM_BOOL:
        ldm_str_puts(out, *(const bool *)field ? "true" : "false");
        break;
    case LDM_PARAM_DOUBLE:
        ldm_str_printf(out, "%.10g", *(const double *)field);
        break;
    case LDM_PARAM_STRING:
        ldm_str_puts(out, *(const char *const *)field ? *(const char *const *)field : "null");
        break;
    case LDM_PARAM_EXTENT:
        extent = field;
        if (extent->h == extent->w)
            ldm_str_printf(out, "%d", extent->h);
        else
            ldm_str_printf(out, "[%d, %d]", extent->h, extent->w);
        break;
    case LDM_PARAM_INTS:
    case LDM_PARAM_BOOLS:
        list_text(field, p->kind == LDM_PARAM_BOOLS, out);
        break;
    case LDM_PARAM_CLASSES:
        classes_text(*(const int *)field, out);
        break;
    case LDM_PARAM_BETAS:
        ldm_str_puts(out, ldm_beta_schedule_name(*(const ldm_beta_schedule *)field));
        break;
    case LDM_PARAM_SKIPPED:
    case LDM_PARAM_MODULE:
        break;
    }
}

/* The text in the YAML, for the report only. */
static void skipped_text(const ldm_value *v, ldm_str *out)
{
    const char *s;
    double d;
    bool b;

    switch (ldm_value_get_kind(v)) {
    case LDM_VALUE_NULL:
        ldm_str_puts(out, "null");
        break;
    case LDM_VALUE_BOOL:
        ldm_str_puts(out, !ldm_value_bool(v, &b, NULL) && b ? "true" : "false");
        break;
    case LDM_VALUE_INT:
    case LDM_VALUE_FLOAT:
        if (!ldm_value_double(v, &d, NULL))
            ldm_str_printf(out, "%.10g", d);
        break;
    case LDM_VALUE_STRING:
        if (!ldm_value_string(v, &s, NULL))
            ldm_str_puts(out, s);
        break;
    case LDM_VALUE_LIST:
        ldm_str_puts(out, "[...]");
        break;
    case LDM_VALUE_MAP:
        ldm_str_puts(out, "{...}");
        break;
    }
}

/* A mistyped key in the place of a name that is missing: it points to the key. */
static ldm_status mistyped(const ldm_value *key, const char *name, ldm_error *err)
{
    return ldm_value_error(
        key, err, "is no parameter of the original's, and %s is missing: did you mean that?", name);
}

static bool has_row(const ldm_param_table *table, const char *name)
{
    for (size_t i = 0; table && i < table->count; i++) {
        if (!strcmp(table->rows[i].name, name))
            return true;
    }
    return false;
}

ldm_status ldm_params_missing(const ldm_value *map, const char *name, const ldm_param_table *table,
                              ldm_error *err)
{
    const ldm_value *alike = NULL;
    size_t best = 3;

    for (size_t i = 0; map && ldm_value_get_kind(map) == LDM_VALUE_MAP && i < ldm_value_count(map);
         i++) {
        const ldm_value *v = ldm_value_at(map, i);
        const size_t d = ldm_edit_distance(name, ldm_value_key(v), 2);

        if (d && d < best && 2 * d < strlen(name) && !has_row(table, ldm_value_key(v))) {
            best = d;
            alike = v;
        }
    }
    return alike ? mistyped(alike, name, err) : LDM_OK;
}

/* One row: its value, or the default that is in base already, and the note of it. */
static ldm_status read_row(ldm_param_reader *r, const ldm_value *map, const char *prefix,
                           const ldm_param_table *table, const ldm_param_row *p, char *base)
{
    const ldm_value *v = map ? ldm_value_find(map, p->name) : NULL;
    bool skipped = p->kind == LDM_PARAM_SKIPPED;
    ldm_str text = {0};
    ldm_status st = LDM_OK;

    if (!v && p->required) {
        st = ldm_params_missing(map, p->name, table, r->err);
        return st ? st
                  : ldm_value_error(map, r->err, "%s is missing; the original demands it", p->name);
    }
    if (p->kind == LDM_PARAM_MODULE || (skipped && !v))
        return LDM_OK;
    if (v && !skipped)
        st = read_value(p, v, base, r->err);
    if (st)
        return st;
    if (skipped)
        skipped_text(v, &text);
    else
        value_text(p, base, &text);
    if (text.failed)
        st = nomem(r);
    else
        st = note(r, prefix, p->name, p->effect, skipped ? "of training or logging only" : NULL,
                  text.data ? text.data : "", v);
    ldm_str_free(&text);
    return st;
}

/* A key that no row names. */
static ldm_status read_other(ldm_param_reader *r, const ldm_value *v, const char *prefix,
                             const ldm_param_table *table)
{
    ldm_str text = {0};
    ldm_status st;

    if (!table->others)
        return add_unknown(r, prefix, v, table->rows, table->count);
    skipped_text(v, &text);
    st = text.failed ? nomem(r)
                     : note(r, prefix, ldm_value_key(v), LDM_EFFECT_NONE, table->others,
                            text.data ? text.data : "", v);
    ldm_str_free(&text);
    return st;
}

static bool demands(const ldm_param_table *table)
{
    size_t i;

    for (i = 0; i < table->count; i++) {
        if (table->rows[i].required)
            return true;
    }
    return false;
}

ldm_status ldm_params_read(ldm_param_reader *r, const ldm_value *at, const ldm_value *map,
                           const char *path, const ldm_param_table *table, void *base)
{
    size_t i, j, n;
    ldm_status st;

    if (!map && demands(table)) {
        st = ldm_params_missing(at, "params", NULL, r->err);
        if (st)
            return st;
        return ldm_value_error(at, r->err, "params is missing, expected a map of parameters");
    }
    if (map && ldm_value_get_kind(map) != LDM_VALUE_MAP)
        return ldm_value_error(map, r->err, "is %s, expected a map of parameters",
                               ldm_value_kind_name(ldm_value_get_kind(map)));
    for (i = 0; i < table->count; i++) {
        st = read_row(r, map, path, table, &table->rows[i], base);
        if (st)
            return st;
    }
    n = map ? ldm_value_count(map) : 0;
    for (i = 0; i < n; i++) {
        const ldm_value *v = ldm_value_at(map, i);

        for (j = 0; j < table->count && strcmp(table->rows[j].name, ldm_value_key(v)); j++)
            ;
        if (j < table->count)
            continue;
        st = read_other(r, v, path, table);
        if (st)
            return st;
    }
    return LDM_OK;
}

/* ---- what parts do with what was read -------------------------------------------------------- */

static ldm_param *find(const ldm_network *s, const char *path)
{
    size_t i;

    for (i = 0; i < s->param_count; i++) {
        if (strcmp(s->params[i].path, path) == 0)
            return &s->params[i];
    }
    return NULL;
}

const ldm_param *ldm_params_find(const ldm_network *s, const char *path)
{
    return find(s, path);
}

void ldm_params_mark(ldm_network *s, const char *path, const char *reason)
{
    ldm_param *p = find(s, path);

    if (p) {
        p->effect = LDM_EFFECT_NONE;
        p->reason = reason;
    }
}

ldm_status ldm_params_bad(const ldm_value *at, ldm_error *err, const char *name, const char *what,
                          int found)
{
    const ldm_value *v = ldm_value_find(at, name);

    if (v && ldm_value_get_kind(v) == LDM_VALUE_NULL)
        return ldm_value_error(v, err, "is null, expected %s", what);
    if (v)
        return ldm_value_error(v, err, "is %d, expected %s", found, what);
    return ldm_value_error(at, err, "%s is %d, expected %s", name, found, what);
}

ldm_status ldm_params_unsupported(const ldm_value *at, ldm_error *err, const char *name,
                                  const char *what)
{
    const ldm_value *v = ldm_value_find(at, name);

    ldm_value_error(v ? v : at, err, "%s", what);
    if (err)
        err->code = LDM_ERR_UNSUPPORTED;
    return LDM_ERR_UNSUPPORTED;
}

/* ---- keys outside the model --------------------------------------------------------------------
 */

/* Reports as unknown, on each path below v, the first value that --set put there. */
static ldm_status add_overrides(ldm_param_reader *r, const char *prefix, const ldm_value *v,
                                const ldm_param_row *names, size_t count)
{
    ldm_origin origin = ldm_value_origin(v);
    ldm_status st = LDM_OK;
    char *path;
    size_t i;

    if (ldm_origin_is_override(&origin))
        return add_unknown(r, prefix, v, names, count);
    if (ldm_value_get_kind(v) != LDM_VALUE_MAP || !ldm_value_count(v))
        return LDM_OK;
    path = printf_arena(r, prefix, ldm_value_key(v));
    if (!path)
        return nomem(r);
    for (i = 0; !st && i < ldm_value_count(v); i++)
        st = add_overrides(r, path, ldm_value_at(v, i), NULL, 0);
    return st;
}

/* A file may hold sections for other programs (data, lightning), but a --set is meant to have an
 * effect here. */
ldm_status ldm_params_find_strays(ldm_param_reader *r, const ldm_value *root,
                                  const ldm_value *model)
{
    static const ldm_param_row sections[] = {{.name = "model"}, {.name = "ldm"}};
    static const ldm_param_row entries[] = {
        {.name = "target"}, {.name = "params"}, {.name = "base_learning_rate"}};
    ldm_status st = LDM_OK;
    size_t i, j;

    for (i = 0; !st && i < ldm_value_count(root); i++) {
        const ldm_value *v = ldm_value_at(root, i);

        for (j = 0; j < COUNT(sections) && strcmp(sections[j].name, ldm_value_key(v)); j++)
            ;
        if (j == COUNT(sections))
            st = add_overrides(r, "", v, sections, COUNT(sections));
    }
    for (i = 0; !st && i < ldm_value_count(model); i++) {
        const ldm_value *v = ldm_value_at(model, i);

        for (j = 0; j < COUNT(entries) && strcmp(entries[j].name, ldm_value_key(v)); j++)
            ;
        if (j == COUNT(entries))
            st = add_overrides(r, "model", v, entries, COUNT(entries));
    }
    return st;
}
