/* SPDX-License-Identifier: MIT */
/* Where two configurations differ, as JSON. */
#include <string.h>

#include "engine/engine.h"
#include "base/json_text.h"

json_t *ldm_value_to_json(const ldm_value *v)
{
    const char *text;
    int64_t integer;
    double real;
    bool truth;
    json_t *j;
    size_t i;

    switch (ldm_value_get_kind(v)) {
    case LDM_VALUE_NULL:
        return json_null();
    case LDM_VALUE_BOOL:
        return ldm_value_bool(v, &truth, NULL) ? NULL : json_boolean(truth);
    case LDM_VALUE_INT:
        return ldm_value_int(v, &integer, NULL) ? NULL : json_integer(integer);
    case LDM_VALUE_FLOAT:
        return ldm_value_double(v, &real, NULL) ? NULL : json_real(real);
    case LDM_VALUE_STRING:
        return ldm_value_string(v, &text, NULL) ? NULL : json_string(text);
    case LDM_VALUE_LIST:
        j = json_array();
        for (i = 0; j && i < ldm_value_count(v); i++) {
            if (json_array_append_new(j, ldm_value_to_json(ldm_value_at(v, i))))
                goto failed;
        }
        return j;
    case LDM_VALUE_MAP:
        j = json_object();
        for (i = 0; j && i < ldm_value_count(v); i++) {
            const ldm_value *e = ldm_value_at(v, i);

            if (json_object_set_new(j, ldm_value_key(e), ldm_value_to_json(e)))
                goto failed;
        }
        return j;
    }
    return NULL;
failed:
    json_decref(j);
    return NULL;
}

static bool equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) /* 8 and 8.0 are the same setting */
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* One entry; either value may be NULL (the side has no such key). */
static ldm_status note(json_t *list, const ldm_value *a, const ldm_value *b, ldm_error *err)
{
    const ldm_value *any = a ? a : b;
    json_t *ja = a ? ldm_value_to_json(a) : NULL, *jb = b ? ldm_value_to_json(b) : NULL,
           *entry = NULL;
    ldm_status st = LDM_OK;

    if ((a && !ja) || (b && !jb)) {
        st = ldm_value_error(a && !ja ? a : b, err, "cannot be read as a value");
    } else if (!ja || !jb || !equal(ja, jb)) {
        entry = json_pack("{s:s}", "key", ldm_value_path(any));
        if (!entry || (ja && json_object_set(entry, "a", ja)) ||
            (jb && json_object_set(entry, "b", jb)) || json_array_append(list, entry))
            st = ldm_error_nomem(err, 0, "the difference");
    }
    json_decref(entry);
    json_decref(ja);
    json_decref(jb);
    return st;
}

/* Whether dotted paths can name all entries of a map: a name that contains a dot would look like
 * two. */
static bool is_tree(const ldm_value *v)
{
    size_t i;

    if (!v || ldm_value_get_kind(v) != LDM_VALUE_MAP)
        return false;
    for (i = 0; i < ldm_value_count(v); i++) {
        if (strchr(ldm_value_key(ldm_value_at(v, i)), '.'))
            return false;
    }
    return true;
}

/* ldm_value_find reads dots and brackets in a name as a path. */
static const ldm_value *entry_of(const ldm_value *map, const char *key)
{
    size_t i;

    for (i = 0; i < ldm_value_count(map); i++) {
        if (!strcmp(ldm_value_key(ldm_value_at(map, i)), key))
            return ldm_value_at(map, i);
    }
    return NULL;
}

static ldm_status compare(json_t *list, const ldm_value *a, const ldm_value *b, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < ldm_value_count(a); i++) {
        const ldm_value *va = ldm_value_at(a, i), *vb = entry_of(b, ldm_value_key(va));

        st = is_tree(va) && is_tree(vb) ? compare(list, va, vb, err) : note(list, va, vb, err);
    }
    for (i = 0; !st && i < ldm_value_count(b); i++) {
        const ldm_value *vb = ldm_value_at(b, i);

        if (!entry_of(a, ldm_value_key(vb)))
            st = note(list, NULL, vb, err);
    }
    return st;
}

ldm_status ldm_config_difference(const ldm_model_options *a, const ldm_model_options *b,
                                 char **json, ldm_error *err)
{
    static const ldm_model_options none;
    ldm_config *ca = NULL, *cb = NULL;
    ldm_arena *texts;
    json_t *list;
    const char *path, *inferred;
    ldm_str text = {0};
    const char *shipped;
    ldm_status st;

    LDM_REQUIRE(json, "json", err);
    *json = NULL;
    a = a ? a : &none;
    b = b ? b : &none;
    texts = ldm_arena_create(0);
    list = json_array();
    st = texts && list ? LDM_OK : ldm_error_nomem(err, 0, "the difference");
    if (!st)
        st = ldm_layers_load(a, texts, &ca, &path, &shipped, &inferred, err);
    if (!st)
        st = ldm_layers_load(b, texts, &cb, &path, &shipped, &inferred, err);
    if (!st)
        st = compare(list, ldm_config_root(ca), ldm_config_root(cb), err);
    if (!st) {
        if (ldm_json_append(list, JSON_INDENT(1) | JSON_REAL_PRECISION(15), &text)) {
            *json = text.data;
        } else {
            ldm_str_free(&text);
            st = ldm_error_nomem(err, 0, "the difference");
        }
    }
    json_decref(list);
    ldm_config_free(ca);
    ldm_config_free(cb);
    ldm_arena_free(texts);
    return st;
}
