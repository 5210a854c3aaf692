/* SPDX-License-Identifier: MIT */
/* The values of settings in a configuration's section and in recipes; see settings.h. */
#include <inttypes.h>
#include <limits.h>

#include "base/error.h"
#include "base/json_text.h"
#include "job/value.h"

static void keys_of_config(const ldm_options *o, ldm_str *out)
{
    size_t i;

    for (i = 0; i < o->table->count; i++) {
        if (o->table->rows[i].flags & LDM_SETTING_CONFIG)
            ldm_str_printf(out, "%s%s", out->len ? ", " : "", o->table->rows[i].key);
    }
}

static ldm_status value_of_config(const ldm_setting_row *row, const ldm_value *from,
                                  ldm_setting_value *v, ldm_error *err)
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
    ldm_setting_value v, found;

    st = value_of_config(row, from, &v, err);
    if (st)
        return st;
    found = v;
    if (ldm_setting_fits(row, &v)) {
        st = ldm_setting_give(o, row, v, "", err);
    } else if (row->type == LDM_TYPE_INT) {
        st = ldm_value_error(from, err, "is %" PRId64 ", expected %s", found.i,
                             ldm_setting_expected(row, &s));
    } else if (row->type == LDM_TYPE_REAL) {
        st = ldm_value_error(from, err, "is %g, expected %s", found.r,
                             ldm_setting_expected(row, &s));
    } else {
        st = ldm_value_error(from, err, "is \"%s\", expected %s", found.text,
                             ldm_setting_expected(row, &s));
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
        const ldm_setting_row *row = ldm_setting_of(o, ldm_value_key(entry));

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

static bool value_of_json(const ldm_setting_row *row, const json_t *from, ldm_setting_value *v)
{
    switch (row->type) {
    case LDM_TYPE_INT:
        v->i = json_integer_value(from);
        return json_is_integer(from);
    case LDM_TYPE_U64: /* above 2^63 - 1, where JSON's integers end, as text */
    case LDM_TYPE_BYTES:
        if (json_is_string(from))
            return ldm_setting_read_u64(json_string_value(from), &v->u);
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
    ldm_setting_value v;

    if (value_of_json(row, from, &v) && ldm_setting_fits(row, &v))
        return ldm_setting_give(o, row, v, "", err);
    st = ldm_error_set(err, LDM_ERR_FORMAT, "\"%s\" is not %s", row->key,
                       ldm_setting_expected(row, &s));
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
        else if (row->value)
            st = ldm_error_set(err, LDM_ERR_FORMAT, "there is no \"%s\"", row->key);
    }
    return st;
}

static json_t *json_of_value(const ldm_setting_row *row, ldm_setting_value v)
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
        const ldm_setting_value v = ldm_setting_value_of(o, row);

        if (!(row->flags & LDM_SETTING_PIXELS) || (row->type == LDM_TYPE_TEXT && !v.text))
            continue; /* a text that was not given has no default either */
        if ((row->flags & LDM_SETTING_CONDITION) && row->type != LDM_TYPE_TEXT &&
            !ldm_options_given(o, row->key))
            continue;
        if (json_object_set_new(recipe, row->key, json_of_value(row, v)))
            return false;
    }
    return true;
}
