/* SPDX-License-Identifier: MIT */
/* Values of settings: checked by their row, stored, copied, reset; see settings.h. Every reader
 * (text in setting_text.c, configurations and recipes in setting_forms.c) makes an
 * ldm_setting_value, and ldm_setting_give alone checks it and puts it into the field. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/random.h"
#include "base/str.h"
#include "job/value.h"

/* ---- rows ------------------------------------------------------------------------------------ */

uint64_t ldm_setting_bit(const ldm_options *o, const ldm_setting_row *row)
{
    return (uint64_t)1 << (row - o->table->rows);
}

const ldm_setting_row *ldm_setting_of(const ldm_options *o, const char *key)
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
    size_t i, best;

    if (!key)
        return ldm_error_set(err, LDM_ERR_USAGE, "key is NULL");
    *row = ldm_setting_of(o, key);
    if (*row)
        return LDM_OK;
    best = ldm_edit_limit(key) + 1;
    for (i = 0; i < o->table->count; i++) {
        size_t d = ldm_edit_distance(key, o->table->rows[i].key, best);

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
    const ldm_setting_row *row = key && o->table ? ldm_setting_of(o, key) : NULL;

    return row && (o->given & ldm_setting_bit(o, row));
}

bool ldm_options_drawn(const ldm_options *o, const char *key)
{
    const ldm_setting_row *row = key && o->table ? ldm_setting_of(o, key) : NULL;

    return row && (o->given & o->drawn & ldm_setting_bit(o, row));
}

const void *ldm_options_field(const ldm_options *o, const char *key, ldm_setting_type type)
{
    const ldm_setting_row *row = key ? ldm_setting_of(o, key) : NULL;

    return row && row->type == type ? ldm_setting_field(o, row) : NULL;
}

/* What the row takes, for "... is not %s". */
const char *ldm_setting_expected(const ldm_setting_row *row, ldm_str *s)
{
    size_t i;

    if (row->expected)
        return row->expected;
    switch (row->type) {
    case LDM_TYPE_INT:
        ldm_str_printf(s, "a whole number from %.0f to %.0f", row->min, row->max);
        break;
    case LDM_TYPE_U64:
        ldm_str_printf(s, "a whole number from 0 to 18446744073709551615%s",
                       row->drawn ? ", or -1 for one that is drawn" : "");
        break;
    case LDM_TYPE_REAL:
        ldm_str_printf(s, "a number from %g to %g", row->min, row->max);
        break;
    case LDM_TYPE_BOOL:
        ldm_str_puts(s, "true or false");
        break;
    case LDM_TYPE_CHOICE:
        ldm_str_puts(s, "one of ");
        for (i = 0; ldm_setting_choice(row, i); i++)
            ldm_str_printf(s, "%s%s", i ? "|" : "", ldm_setting_choice(row, i));
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

/* Whether a choice begins with what was typed, where signs between the parts do not count and "++"
 * is "pp": "dpm++" for "dpmpp_2m". */
static bool begins_alike(const char *choice, const char *typed)
{
    size_t letters = 0;

    for (;;) {
        while (*typed && strchr("_- ", *typed))
            typed++;
        while (*choice && strchr("_- ", *choice))
            choice++;
        if (!*typed || !*choice)
            return !*typed && letters > 2;
        if (tolower((unsigned char)(*typed == '+' ? 'p' : *typed)) !=
            tolower((unsigned char)(*choice == '+' ? 'p' : *choice)))
            return false;
        typed++;
        choice++;
        letters++;
    }
}

/* The choice that a mistyped one may have meant; NULL: none is near. */
static const char *nearest_choice(const ldm_setting_row *row, const char *found)
{
    const char *choice, *near = row->near ? row->near(found) : NULL;
    size_t best = ldm_edit_limit(found) + 1;

    if (near)
        return near;

    for (size_t i = 0; row->type == LDM_TYPE_CHOICE && (choice = ldm_setting_choice(row, i)); i++) {
        if (begins_alike(choice, found))
            return choice;
    }

    for (size_t i = 0; row->type == LDM_TYPE_CHOICE && (choice = ldm_setting_choice(row, i)); i++) {
        size_t d = ldm_edit_distance(found, choice, best);

        if (d < best && d < strlen(choice)) {
            best = d;
            near = choice;
        }
    }
    return near;
}

static ldm_status refuse(const ldm_setting_row *row, const char *found, ldm_error *err)
{
    const char *near = nearest_choice(row, found);
    ldm_str s = {0};
    ldm_status st;

    if ((row->type == LDM_TYPE_TEXT || row->type == LDM_TYPE_LIST) && !*found)
        st = ldm_error_set(err, LDM_ERR_USAGE, "%s: the value is empty; give it %s", row->key,
                           row->arg);
    else
        st = ldm_error_set(err, LDM_ERR_USAGE, "%s: '%s' is not %s%s%s%s", row->key, found,
                           ldm_setting_expected(row, &s), near ? "; did you mean " : "",
                           near ? near : "", near ? "?" : "");
    ldm_str_free(&s);
    return st;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The table's own text of a choice; NULL: it is none. */
static const char *canonical(const ldm_setting_row *row, const char *text)
{
    size_t i;

    if (row->canonical)
        return row->canonical(text);
    for (i = 0; row->choices[i] && strcmp(row->choices[i], text); i++)
        ;
    return row->choices[i];
}

/* Whether the row can have the value; a choice becomes the table's own text. */
bool ldm_setting_fits(const ldm_setting_row *row, ldm_setting_value *v)
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
        v->text = canonical(row, v->text);
        return v->text != NULL;
    case LDM_TYPE_TEXT:
    case LDM_TYPE_LIST:
        return row->empty || v->text[0] != '\0';
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
static ldm_status store(ldm_options *o, const ldm_setting_row *row, ldm_setting_value v,
                        ldm_error *err)
{
    void *field = ldm_setting_field(o, row);
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

ldm_status ldm_setting_give(ldm_options *o, const ldm_setting_row *row, ldm_setting_value v,
                            const char *found, ldm_error *err)
{
    ldm_status st;

    if (!ldm_setting_fits(row, &v))
        return refuse(row, found, err);
    st = store(o, row, v, err);
    if (!st) {
        o->given |= ldm_setting_bit(o, row);
        o->drawn &= ~ldm_setting_bit(o, row);
    }
    return st;
}

/* A seed that nobody chose, as other programs write it. Below 2^32, for those that take no more. */
static ldm_status draw(ldm_options *o, const ldm_setting_row *row, ldm_error *err)
{
    ldm_status st;
    uint32_t number;

    if (!ldm_random_bytes(&number, sizeof number))
        return ldm_error_set(err, LDM_ERR_IO, "%s: the system gives no random number; choose one",
                             row->key);
    st = ldm_setting_give(o, row, (ldm_setting_value){.u = number}, "", err);
    if (!st)
        o->drawn |= ldm_setting_bit(o, row);
    return st;
}

/* ---- setting --------------------------------------------------------------------------------- */

ldm_status ldm_options_set(ldm_options *o, const char *key, const char *text, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);
    ldm_setting_value v;

    if (st)
        return st;
    if (!text)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: the text is NULL", key);
    if (row->drawn && (!strcmp(text, "-1") || !strcmp(text, "random")))
        return draw(o, row, err);
    if (!ldm_setting_read_text(row, text, &v))
        return refuse(row, text, err);
    return ldm_setting_give(o, row, v, text, err);
}

/* ---- C values -------------------------------------------------------------------------------- */

static ldm_status wrong_type(const ldm_setting_row *row, const char *given, ldm_error *err)
{
    ldm_str s = {0};
    ldm_status st = ldm_error_set(err, LDM_ERR_USAGE, "%s: %s is not %s", row->key, given,
                                  ldm_setting_expected(row, &s));

    ldm_str_free(&s);
    return st;
}

/* A text that is a list of numbers ("N,..."): one number is such a list. */
static bool takes_digits(const ldm_setting_row *row)
{
    return row->type == LDM_TYPE_TEXT && row->arg && !strncmp(row->arg, "N,", 2);
}

ldm_status ldm_options_set_int(ldm_options *o, const char *key, int64_t i, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);
    char found[24];
    ldm_setting_value v;

    if (st)
        return st;
    if (row->drawn && i == -1)
        return draw(o, row, err);
    snprintf(found, sizeof found, "%" PRId64, i);
    if (takes_digits(row))
        return ldm_options_set(o, key, found, err);
    if (row->type == LDM_TYPE_INT)
        v.i = i;
    else if ((row->type == LDM_TYPE_U64 || row->type == LDM_TYPE_BYTES) && i >= 0)
        v.u = (uint64_t)i;
    else if (row->type == LDM_TYPE_REAL)
        v.r = (double)i;
    else
        return wrong_type(row, found, err);
    return ldm_setting_give(o, row, v, found, err);
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
        return ldm_setting_give(o, row, (ldm_setting_value){.u = u}, found, err);
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
    return ldm_setting_give(o, row, (ldm_setting_value){.r = r}, found, err);
}

ldm_status ldm_options_set_bool(ldm_options *o, const char *key, bool b, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);

    if (st)
        return st;
    if (row->type != LDM_TYPE_BOOL)
        return wrong_type(row, b ? "true" : "false", err);
    return ldm_setting_give(o, row, (ldm_setting_value){.b = b}, "", err);
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
    ldm_setting_value v;

    if (row->type == LDM_TYPE_LIST)
        ldm_free(((ldm_texts *)ldm_setting_field(o, row))->items);
    memset(ldm_setting_field(o, row), 0, sizes[row->type]);
    if (!row->value)
        return LDM_OK;
    if (!ldm_setting_read_text(row, row->value, &v) || !ldm_setting_fits(row, &v))
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
            ldm_free(((ldm_texts *)ldm_setting_field(o, &o->table->rows[i]))->items);
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
        o->given &= ~ldm_setting_bit(o, row);
    o->drawn &= o->given;
    return st;
}

ldm_setting_value ldm_setting_value_of(const ldm_options *o, const ldm_setting_row *row)
{
    const void *field = ldm_setting_field(o, row);
    ldm_setting_value v = {0};

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

/* Of a LIST nothing is known. */
static bool same_value(const ldm_setting_row *row, ldm_setting_value a, ldm_setting_value b)
{
    switch (row->type) {
    case LDM_TYPE_INT:
        return a.i == b.i;
    case LDM_TYPE_U64:
    case LDM_TYPE_BYTES:
        return a.u == b.u;
    case LDM_TYPE_REAL:
        return fabs(a.r - b.r) < 1e-9;
    case LDM_TYPE_BOOL:
        return a.b == b.b;
    case LDM_TYPE_SHAPE:
        return !memcmp(a.shape, b.shape, sizeof a.shape);
    case LDM_TYPE_CHOICE:
    case LDM_TYPE_TEXT:
        return a.text && b.text ? !strcmp(a.text, b.text) : a.text == b.text;
    case LDM_TYPE_LIST:
        break;
    }
    return false;
}

/* ---- one below another ----------------------------------------------------------------------- */

static ldm_status copy(ldm_options *o, const ldm_options *from, const ldm_setting_row *row,
                       ldm_error *err)
{
    const ldm_texts *list;
    ldm_status st = LDM_OK;
    size_t i;

    if (row->type != LDM_TYPE_LIST)
        return store(o, row, ldm_setting_value_of(from, row), err);
    list = ldm_setting_field(from, row);
    for (i = 0; !st && i < list->count; i++)
        st = store(o, row, (ldm_setting_value){.text = list->items[i]}, err);
    return st;
}

static ldm_status lay(ldm_options *o, const ldm_options *from, uint64_t mark, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < o->table->count; i++) {
        const ldm_setting_row *row = &o->table->rows[i];
        uint64_t bit = ldm_setting_bit(o, row);

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

ldm_status ldm_options_drop(ldm_options *o, const char *key, const ldm_options *below,
                            bool *changed, ldm_error *err)
{
    const ldm_setting_row *row;
    ldm_status st = ldm_options_row(o, key, &row, err);
    ldm_setting_value was;

    *changed = false;
    if (st)
        return st;
    was = ldm_setting_value_of(o, row); /* texts stay in the arena */
    st = ldm_options_unset(o, key, err);
    if (!st)
        st = ldm_options_lay_below(o, below, err);
    *changed = !st && !same_value(row, was, ldm_setting_value_of(o, row));
    return st;
}
