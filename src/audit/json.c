/* SPDX-License-Identifier: MIT */
/* jansson with one flag for all failures, and the shapes of tensors as JSON. */
#include "audit/internal.h"

void ldm_audit_json_set(ldm_json *j, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        j->failed = true;
}

void ldm_audit_json_add(ldm_json *j, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        j->failed = true;
}

json_t *ldm_audit_json_shape_spec(const ldm_tensor_decl *t)
{
    json_t *a = json_array();
    int i;

    for (i = 0; i < t->ndim; i++) {
        if (json_array_append_new(a, json_integer(t->shape[i]))) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

json_t *ldm_audit_json_shape_info(const ldm_tensor_info *t)
{
    json_t *a = json_array();
    int i;

    for (i = 0; i < t->ndim; i++) {
        if (json_array_append_new(a, json_integer((json_int_t)t->shape[i]))) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

ldm_status ldm_audit_json_write(ldm_json *j, json_t *root, ldm_str *out, ldm_error *err)
{
    size_t flags = JSON_INDENT(1) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    ldm_status st = LDM_OK;

    if (j->failed || !root || !ldm_json_append(root, flags, out))
        st = ldm_error_nomem(err, 0, "the JSON report");
    else
        ldm_str_puts(out, "\n");
    json_decref(root);
    if (!st && out->failed)
        st = ldm_error_nomem(err, 0, "the JSON report");
    return st;
}
