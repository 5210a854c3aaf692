/* Reading and writing the values of settings by the rows of a table; see settings.h. Every reader
 * makes a `value`, and store() alone checks it and puts it into the field. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_text.h"
#include "job/settings.h"

typedef union value {
    int64_t i;        /* INT */
    uint64_t u;       /* U64, BYTES */
    double r;         /* REAL */
    bool b;           /* BOOL */
    const char *text; /* CHOICE, TEXT, LIST: one more item */
    int shape[3];
} value;

/* ---- rows ------------------------------------------------------------------------------------ */

static uint64_t bit_of(const ldm_options *o, const ldm_setting_row *row)
{
    return (uint64_t)1 << (row - o->table->rows);
}

static void *field_of(const ldm_options *o, const ldm_setting_row *row)
{
    return (char *)(uintptr_t)o + row->offset;
}

static const ldm_setting_row *find(const ldm_options *o, const char *key)
{
    size_t i;

    for (i = 0; i < o->table->count; i++) {
        if (strcmp(o->table->rows[i].key, key) == 0)
            return &o->table->rows[i];
    }
    return NULL;
}

ldm_status ldm_options_row(const ldm_options *o, const char *key, const ldm_setting_row **row,
                           ldm_error *err)
{
    const char *near = NULL;
    size_t i, best = 3;

    if (!key)
        return ldm_error_set(err, LDM_ERR_USAGE, "key is NULL");
    *row = find(o, key);
    if (*row)
        return LDM_OK;
    for (i = 0; i < o->table->count; i++) {
        size_t d = ldm_edit_distance(key, o->table->rows[i].key, 2);

        if (d < best) {
            best = d;
            near = o->table->rows[i].key;
        }
    }
    return ldm_error_set(err, LDM_ERR_USAGE, "%s: %s has no such setting%s%s%s", key,
                         o->table->what, near ? "; did you mean " : "", near ? near : "",
                         near ? "?" : "");
}

bool ldm_options_given(const ldm_options *o, const char *key)
{
    const ldm_setting_row *row = key && o->table ? find(o, key) : NULL;

    return row && (o->given & bit_of(o, row));
}

const void *ldm_options_field(const ldm_options *o, const char *key, ldm_setting_type type)
{
    const ldm_setting_row *row = key ? find(o, key) : NULL;

    return row && row->type == type ? field_of(o, row) : NULL;
}

/* What the row takes, for "... is not %s". */
static const char *expected(const ldm_setting_row *row, ldm_str *s)
{
    size_t i;

    switch (row->type) {
    case LDM_TYPE_INT:
        ldm_str_printf(s, "a whole number from %.0f to %.0f", row->min, row->max);
        break;
    case LDM_TYPE_U64:
        ldm_str_puts(s, "a whole number from 0 to 18446744073709551615");
        break;
    case LDM_TYPE_REAL:
        ldm_str_printf(s, "a number from %g to %g", row->min, row->max);
        break;
    case LDM_TYPE_BOOL:
        ldm_str_puts(s, "true or false");
        break;
    case LDM_TYPE_CHOICE:
        ldm_str_puts(s, "one of ");
        for (i = 0; row->choices[i]; i++)
            ldm_str_printf(s, "%s%s", i ? "|" : "", row->choices[i]);
        break;
    case LDM_TYPE_BYTES:
        ldm_str_puts(s, "a size such as 500M or 2G");
        break;
    case LDM_TYPE_SHAPE:
        ldm_str_printf(s, "C,H,W (three numbers from %.0f to %.0f)", row->min, row->max);
        break;
    case LDM_TYPE_TEXT:
    case LDM_TYPE_LIST:
        ldm_str_puts(s, "a text");
        break;
    }
    return s->failed || !s->data ? "what it can be" : s->data;
}

static ldm_status refuse(const ldm_setting_row *row, const char *found, ldm_error *err)
{
    ldm_str s = {0};
    ldm_status st;

    if ((row->type == LDM_TYPE_TEXT || row->type == LDM_TYPE_LIST) && !*found)
        st = ldm_error_set(err, LDM_ERR_USAGE, "%s: the value is empty; give it %s", row->key,
                           row->arg);
    else
        st = ldm_error_set(err, LDM_ERR_USAGE, "%s: '%s' is not %s", row->key, found,
                           expected(row, &s));
    ldm_str_free(&s);
    return st;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Whether the row can have the value; a choice becomes the table's own text. */
static bool fits(const ldm_setting_row *row, value *v)
{
    int i;

    switch (row->type) {
    case LDM_TYPE_INT:
        return (double)v->i >= row->min && (double)v->i <= row->max;
    case LDM_TYPE_REAL:
        return isfinite(v->r) && v->r >= row->min && v->r <= row->max;
    case LDM_TYPE_BYTES:
        return v->u >= 1;
    case LDM_TYPE_SHAPE:
        for (i = 0; i < 3; i++) {
            if (v->shape[i] < row->min || v->shape[i] > row->max)
                return false;
        }
        return true;
    case LDM_TYPE_CHOICE:
        for (i = 0; row->choices[i]; i++) {
            if (strcmp(row->choices[i], v->text) == 0) {
                v->text = row->choices[i];
                return true;
            }
        }
        return false;
    case LDM_TYPE_TEXT:
    case LDM_TYPE_LIST:
        return v->text[0] != '\0';
    case LDM_TYPE_U64:
    case LDM_TYPE_BOOL:
        break;
    }
    return true;
}

static ldm_status keep_text(ldm_options *o, const char **text, ldm_error *err)
{
    const char *copy = ldm_arena_strdup(o->texts, *text);

    if (!copy)
        return ldm_error_nomem(err, strlen(*text), "a setting");
    *text = copy;
    return LDM_OK;
}

static ldm_status append(ldm_texts *list, const char *item, ldm_error *err)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 8;
        const char **grown = ldm_reallocarray(list->items, cap, sizeof *grown);

        if (!grown)
            return ldm_error_nomem(err, cap * sizeof *grown, "a list");
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    return LDM_OK;
}

/* v fits. */
static ldm_status store(ldm_options *o, const ldm_setting_row *row, value v, ldm_error *err)
{
    void *field = field_of(o, row);
    ldm_status st = LDM_OK;

    switch (row->type) {
    case LDM_TYPE_INT:
        *(int *)field = (int)v.i;
        break;
    case LDM_TYPE_U64:
    case LDM_TYPE_BYTES:
        *(uint64_t *)field = v.u;
        break;
    case LDM_TYPE_REAL:
        *(double *)field = v.r;
        break;
    case LDM_TYPE_BOOL:
        *(bool *)field = v.b;
        break;
    case LDM_TYPE_SHAPE:
        memcpy(field, v.shape, sizeof v.shape);
        break;
    case LDM_TYPE_CHOICE:
        *(const char **)field = v.text;
        break;
    case LDM_TYPE_TEXT:
        st = keep_text(o, &v.text, err);
        if (!st)
            *(const char **)field = v.text;
        break;
    case LDM_TYPE_LIST:
        st = keep_text(o, &v.text, err);
        if (!st)
            st = append(field, v.text, err);
        break;
    }
    return st;
}

static ldm_status give(ldm_options *o, const ldm_setting_row *row, value v, const char *found,
                       ldm_error *err)
{
    ldm_status st;

    if (!fits(row, &v))
        return refuse(row, found, err);
    st = store(o, row, v, err);
    if (!st)
        o->given |= bit_of(o, row);
    return st;
}

/* ---- text ------------------------------------------------------------------------------------ */

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

static bool u64_of_text(const char *s, uint64_t *out)
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

static bool value_of_text(const ldm_setting_row *row, const char *text, value *v)
{
    switch (row->type) {
    case LDM_TYPE_INT:
        return int_of_text(text, &v->i);
    case LDM_TYPE_U64:
        return u64_of_text(text, &v->u);
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

ldm_status ldm_options_set(ldm_options *o, const char *key, const char *text, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);
    value v;

    if (st)
        return st;
    if (!text)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: the text is NULL", key);
    if (!value_of_text(row, text, &v))
        return refuse(row, text, err);
    return give(o, row, v, text, err);
}

/* A double as the shortest text that reads back to it, with a point. */
static void print_real(double v, ldm_str *out)
{
    char text[40], *p;
    int digits;

    for (digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    for (p = text; *p; p++) { /* the caller's locale may have another one */
        if (*p == ',')
            *p = '.';
    }
    ldm_str_puts(out, text);
}

ldm_status ldm_options_text(const ldm_options *o, const ldm_setting_row *row, ldm_str *out,
                            ldm_error *err)
{
    const void *field = field_of(o, row);
    const ldm_texts *list;
    const int *shape;
    const char *text;
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
        print_real(*(const double *)field, out);
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

/* ---- C values -------------------------------------------------------------------------------- */

static ldm_status wrong_type(const ldm_setting_row *row, const char *given, ldm_error *err)
{
    ldm_str s = {0};
    ldm_status st =
        ldm_error_set(err, LDM_ERR_USAGE, "%s: %s is not %s", row->key, given, expected(row, &s));

    ldm_str_free(&s);
    return st;
}

ldm_status ldm_options_set_int(ldm_options *o, const char *key, int64_t i, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);
    char found[24];
    value v;

    if (st)
        return st;
    snprintf(found, sizeof found, "%" PRId64, i);
    if (row->type == LDM_TYPE_INT)
        v.i = i;
    else if ((row->type == LDM_TYPE_U64 || row->type == LDM_TYPE_BYTES) && i >= 0)
        v.u = (uint64_t)i;
    else if (row->type == LDM_TYPE_REAL)
        v.r = (double)i;
    else
        return wrong_type(row, found, err);
    return give(o, row, v, found, err);
}

ldm_status ldm_options_set_u64(ldm_options *o, const char *key, uint64_t u, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);
    char found[24];

    if (st)
        return st;
    snprintf(found, sizeof found, "%" PRIu64, u);
    if (row->type == LDM_TYPE_U64 || row->type == LDM_TYPE_BYTES)
        return give(o, row, (value){.u = u}, found, err);
    return u <= INT64_MAX ? ldm_options_set_int(o, key, (int64_t)u, err)
                          : wrong_type(row, found, err);
}

ldm_status ldm_options_set_real(ldm_options *o, const char *key, double r, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);
    char found[40];

    if (st)
        return st;
    snprintf(found, sizeof found, "%g", r);
    if (row->type != LDM_TYPE_REAL)
        return wrong_type(row, found, err);
    return give(o, row, (value){.r = r}, found, err);
}

ldm_status ldm_options_set_bool(ldm_options *o, const char *key, bool b, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);

    if (st)
        return st;
    if (row->type != LDM_TYPE_BOOL)
        return wrong_type(row, b ? "true" : "false", err);
    return give(o, row, (value){.b = b}, "", err);
}

/* ---- defaults -------------------------------------------------------------------------------- */

/* The row's own default; where it has none the field is zeroed. */
static ldm_status reset(ldm_options *o, const ldm_setting_row *row, ldm_error *err)
{
    static const size_t sizes[] = {
        [LDM_TYPE_INT] = sizeof(int),        [LDM_TYPE_U64] = sizeof(uint64_t),
        [LDM_TYPE_REAL] = sizeof(double),    [LDM_TYPE_BOOL] = sizeof(bool),
        [LDM_TYPE_CHOICE] = sizeof(char *),  [LDM_TYPE_TEXT] = sizeof(char *),
        [LDM_TYPE_SHAPE] = 3 * sizeof(int),  [LDM_TYPE_BYTES] = sizeof(uint64_t),
        [LDM_TYPE_LIST] = sizeof(ldm_texts),
    };
    value v;

    if (row->type == LDM_TYPE_LIST)
        ldm_free(((ldm_texts *)field_of(o, row))->items);
    memset(field_of(o, row), 0, sizes[row->type]);
    if (!row->value)
        return LDM_OK;
    if (!value_of_text(row, row->value, &v) || !fits(row, &v))
        return ldm_error_set(err, LDM_ERR_CONFIG, "the default of %s is not possible", row->key);
    return store(o, row, v, err);
}

ldm_status ldm_options_init(ldm_options *o, ldm_setting_kind kind, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    o->table = ldm_table_of(kind);
    o->texts = ldm_arena_create(0);
    if (!o->texts)
        return ldm_error_nomem(err, 0, "settings");
    for (i = 0; !st && i < o->table->count; i++)
        st = reset(o, &o->table->rows[i], err);
    return st;
}

void ldm_options_finish(ldm_options *o)
{
    size_t i;

    for (i = 0; o->table && i < o->table->count; i++) {
        if (o->table->rows[i].type == LDM_TYPE_LIST)
            ldm_free(((ldm_texts *)field_of(o, &o->table->rows[i]))->items);
    }
    ldm_arena_free(o->texts);
    o->table = NULL;
    o->texts = NULL;
}

ldm_status ldm_options_unset(ldm_options *o, const char *key, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);

    if (!st)
        st = reset(o, row, err);
    if (!st)
        o->given &= ~bit_of(o, row);
    return st;
}

/* ---- one below another ----------------------------------------------------------------------- */

static value value_of_field(const ldm_options *o, const ldm_setting_row *row)
{
    const void *field = field_of(o, row);
    value v = {0};

    switch (row->type) {
    case LDM_TYPE_INT:
        v.i = *(const int *)field;
        break;
    case LDM_TYPE_U64:
    case LDM_TYPE_BYTES:
        v.u = *(const uint64_t *)field;
        break;
    case LDM_TYPE_REAL:
        v.r = *(const double *)field;
        break;
    case LDM_TYPE_BOOL:
        v.b = *(const bool *)field;
        break;
    case LDM_TYPE_SHAPE:
        memcpy(v.shape, field, sizeof v.shape);
        break;
    case LDM_TYPE_CHOICE:
    case LDM_TYPE_TEXT:
        v.text = *(const char *const *)field;
        break;
    case LDM_TYPE_LIST:
        break;
    }
    return v;
}

static ldm_status copy(ldm_options *o, const ldm_options *from, const ldm_setting_row *row,
                       ldm_error *err)
{
    const ldm_texts *list;
    ldm_status st = LDM_OK;
    size_t i;

    if (row->type != LDM_TYPE_LIST)
        return store(o, row, value_of_field(from, row), err);
    list = field_of(from, row);
    for (i = 0; !st && i < list->count; i++)
        st = store(o, row, (value){.text = list->items[i]}, err);
    return st;
}

static ldm_status lay(ldm_options *o, const ldm_options *from, uint64_t mark, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < o->table->count; i++) {
        const ldm_setting_row *row = &o->table->rows[i];
        uint64_t bit = bit_of(o, row);

        if ((o->given & bit) || !(from->given & bit))
            continue;
        st = copy(o, from, row, err);
        if (!st)
            o->given |= bit & mark;
    }
    return st;
}

ldm_status ldm_options_lay_below(ldm_options *o, const ldm_options *from, ldm_error *err)
{
    return lay(o, from, UINT64_MAX, err);
}

ldm_status ldm_options_default_to(ldm_options *o, const ldm_options *from, ldm_error *err)
{
    return lay(o, from, 0, err);
}

/* ---- the configuration ----------------------------------------------------------------------- */

static void keys_of_config(const ldm_options *o, ldm_str *out)
{
    size_t i;

    for (i = 0; i < o->table->count; i++) {
        if (o->table->rows[i].flags & LDM_SETTING_CONFIG)
            ldm_str_printf(out, "%s%s", out->len ? ", " : "", o->table->rows[i].key);
    }
}

static ldm_status value_of_config(const ldm_setting_row *row, const ldm_value *from, value *v,
                                  ldm_error *err)
{
    switch (row->type) {
    case LDM_TYPE_INT:
        return ldm_value_int(from, &v->i, err);
    case LDM_TYPE_REAL:
        return ldm_value_double(from, &v->r, err);
    case LDM_TYPE_BOOL:
        return ldm_value_bool(from, &v->b, err);
    default:
        return ldm_value_string(from, &v->text, err);
    }
}

static ldm_status read_entry(ldm_options *o, const ldm_setting_row *row, const ldm_value *from,
                             ldm_error *err)
{
    ldm_str s = {0};
    ldm_status st;
    value v;

    st = value_of_config(row, from, &v, err);
    if (st)
        return st;
    if (fits(row, &v)) {
        st = store(o, row, v, err);
        if (!st)
            o->given |= bit_of(o, row);
    } else if (row->type == LDM_TYPE_INT) {
        st = ldm_value_error(from, err, "is %" PRId64 ", expected %s", v.i, expected(row, &s));
    } else if (row->type == LDM_TYPE_REAL) {
        st = ldm_value_error(from, err, "is %g, expected %s", v.r, expected(row, &s));
    } else {
        st = ldm_value_error(from, err, "is \"%s\", expected %s", v.text, expected(row, &s));
    }
    ldm_str_free(&s);
    return st;
}

ldm_status ldm_options_read_config(ldm_options *o, const ldm_value *map, ldm_error *err)
{
    ldm_str keys = {0};
    ldm_status st = LDM_OK;
    size_t i;

    keys_of_config(o, &keys);
    if (keys.failed)
        st = ldm_error_nomem(err, 0, "a list of settings");
    else if (ldm_value_get_kind(map) != LDM_VALUE_MAP)
        st = ldm_value_error(map, err, "is %s, expected a map of %s",
                             ldm_value_kind_name(ldm_value_get_kind(map)), keys.data);
    for (i = 0; !st && i < ldm_value_count(map); i++) {
        const ldm_value *entry = ldm_value_at(map, i);
        const ldm_setting_row *row = find(o, ldm_value_key(entry));

        if (row && (row->flags & LDM_SETTING_CONFIG))
            st = read_entry(o, row, entry, err);
        else
            st = ldm_value_error(entry, err, "is unknown, expected %s", keys.data);
    }
    ldm_str_free(&keys);
    return st;
}

/* ---- recipes --------------------------------------------------------------------------------- */

static bool shape_of_json(const json_t *from, int out[3])
{
    size_t i;

    if (json_array_size(from) != 3)
        return false;
    for (i = 0; i < 3; i++) {
        const json_t *n = json_array_get(from, i);

        if (!json_is_integer(n) || json_integer_value(n) < 1 || json_integer_value(n) > INT_MAX)
            return false;
        out[i] = (int)json_integer_value(n);
    }
    return true;
}

static bool value_of_json(const ldm_setting_row *row, const json_t *from, value *v)
{
    switch (row->type) {
    case LDM_TYPE_INT:
        v->i = json_integer_value(from);
        return json_is_integer(from);
    case LDM_TYPE_U64: /* above 2^63 - 1, where JSON's integers end, as text */
    case LDM_TYPE_BYTES:
        if (json_is_string(from))
            return u64_of_text(json_string_value(from), &v->u);
        v->u = (uint64_t)json_integer_value(from);
        return json_is_integer(from) && json_integer_value(from) >= 0;
    case LDM_TYPE_REAL:
        v->r = json_number_value(from);
        return json_is_number(from);
    case LDM_TYPE_BOOL:
        v->b = json_is_true(from);
        return json_is_boolean(from);
    case LDM_TYPE_SHAPE:
        return shape_of_json(from, v->shape);
    case LDM_TYPE_CHOICE:
    case LDM_TYPE_TEXT:
        v->text = json_string_value(from);
        return json_is_string(from);
    case LDM_TYPE_LIST:
        break;
    }
    return false;
}

static ldm_status read_key(ldm_options *o, const ldm_setting_row *row, const json_t *from,
                           ldm_error *err)
{
    ldm_str s = {0};
    ldm_status st;
    value v;

    if (value_of_json(row, from, &v) && fits(row, &v)) {
        st = store(o, row, v, err);
        if (!st)
            o->given |= bit_of(o, row);
        return st;
    }
    st = ldm_error_set(err, LDM_ERR_FORMAT, "\"%s\" is not %s", row->key, expected(row, &s));
    ldm_str_free(&s);
    return st;
}

ldm_status ldm_options_read_recipe(ldm_options *o, const json_t *recipe, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < o->table->count; i++) {
        const ldm_setting_row *row = &o->table->rows[i];
        const json_t *from = json_object_get(recipe, row->key);

        if (!(row->flags & LDM_SETTING_PIXELS))
            continue;
        if (from)
            st = read_key(o, row, from, err);
        else if (row->lacking)
            st = ldm_options_set(o, row->key, row->lacking, err);
    }
    return st;
}

static json_t *json_of_value(const ldm_setting_row *row, value v)
{
    switch (row->type) {
    case LDM_TYPE_INT:
        return json_integer(v.i);
    case LDM_TYPE_U64:
    case LDM_TYPE_BYTES:
        return ldm_json_u64(v.u);
    case LDM_TYPE_REAL:
        return json_real(v.r);
    case LDM_TYPE_BOOL:
        return json_boolean(v.b);
    case LDM_TYPE_SHAPE:
        return json_pack("[i, i, i]", v.shape[0], v.shape[1], v.shape[2]);
    case LDM_TYPE_CHOICE:
    case LDM_TYPE_TEXT:
        return v.text ? json_string(v.text) : json_null();
    case LDM_TYPE_LIST:
        break;
    }
    return NULL;
}

bool ldm_options_write_recipe(const ldm_options *o, json_t *recipe)
{
    size_t i;

    for (i = 0; i < o->table->count; i++) {
        const ldm_setting_row *row = &o->table->rows[i];

        if ((row->flags & LDM_SETTING_PIXELS) &&
            json_object_set_new(recipe, row->key, json_of_value(row, value_of_field(o, row))))
            return false;
    }
    return true;
}
