/* SPDX-License-Identifier: MIT */
#include "engine/conditions.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const char *ldm_shape_text(const ldm_array *a, char *buf, size_t size)
{
    size_t used = 1;
    int i;

    snprintf(buf, size, "[");
    for (i = 0; i < a->ndim && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%" PRIu64, i ? "," : "", a->shape[i]);
    if (used < size)
        snprintf(buf + used, size - used, "]");
    return buf;
}

bool ldm_all_finite(const float *v, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (!isfinite(v[i]))
            return false;
    }
    return true;
}

ldm_status ldm_check_finite(const ldm_array *a, const char *what, ldm_error *err)
{
    uint64_t i;

    for (i = 0; i < a->numel; i++) {
        if (!isfinite(a->data[i]))
            return ldm_error_set(err, LDM_ERR_USAGE, "%s: element %" PRIu64 " is %g", what, i,
                                 (double)a->data[i]);
    }
    return LDM_OK;
}

ldm_status ldm_check_ids(const ldm_array *a, int entries, const char *what, ldm_error *err)
{
    uint64_t i;

    for (i = 0; i < a->numel; i++) {
        const float v = a->data[i];

        /* Also false for NaN. */
        if (!(v >= 0 && v < (float)entries && v == floorf(v)))
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "%s: element %" PRIu64 " is %g, expected a whole number from 0 to "
                                 "%d",
                                 what, i, (double)v, entries - 1);
    }
    return LDM_OK;
}

int ldm_conditions_tokens(const ldm_conditions *c)
{
    return c->context ? (int)c->context->shape[1] : 0;
}

size_t ldm_condition_floats(const ldm_array *a)
{
    return a ? (size_t)(a->numel / a->shape[0]) : 0;
}

const float *ldm_condition_of(const ldm_array *a, uint64_t i)
{
    if (!a)
        return NULL;
    return a->data + (a->shape[0] == 1 ? 0 : i) * ldm_condition_floats(a);
}

static ldm_status wrong(const ldm_array *a, const char *what, const char *name,
                        const char *expected, ldm_error *err)
{
    char found[128];

    if (!a)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s%s is not set: this network reads one, an array %s", what, name,
                             expected);
    return ldm_error_set(err, LDM_ERR_USAGE, "%s%s has shape %s, expected %s", what, name,
                         ldm_shape_text(a, found, sizeof found), expected);
}

static bool has_entries(const ldm_array *a, uint64_t n)
{
    return a->shape[0] == 1 || a->shape[0] == n;
}

static ldm_status check_context(const ldm_model *m, const ldm_array *a, uint64_t n,
                                const char *what, ldm_error *err)
{
    const ldm_unet_inputs *in = &m->network->unet_inputs;
    char expected[96];

    if (!in->context_width)
        return LDM_OK;
    snprintf(expected, sizeof expected, "[1 or %" PRIu64 ",tokens,%d]", n, in->context_width);
    if (!a || a->ndim != 3 || !has_entries(a, n) || !a->shape[1] || a->shape[1] > 4096 ||
        a->shape[2] != (uint64_t)in->context_width)
        return wrong(a, what, "context", expected, err);
    return ldm_check_finite(a, "the context", err);
}

static ldm_status check_concat(const ldm_model *m, const ldm_array *a, uint64_t n, int h, int w,
                               const char *what, ldm_error *err)
{
    const ldm_unet_inputs *in = &m->network->unet_inputs;
    char expected[96];

    if (!in->concat)
        return LDM_OK;
    snprintf(expected, sizeof expected, "[1 or %" PRIu64 ",%d,%d,%d]", n, in->concat, h, w);
    if (!a || a->ndim != 4 || !has_entries(a, n) || a->shape[1] != (uint64_t)in->concat ||
        a->shape[2] != (uint64_t)h || a->shape[3] != (uint64_t)w)
        return wrong(a, what, "concat", expected, err);
    return ldm_check_finite(a, "concat", err);
}

static ldm_status check_labels(const ldm_model *m, const ldm_array *a, uint64_t n, const char *what,
                               ldm_error *err)
{
    const ldm_unet_inputs *in = &m->network->unet_inputs;
    char expected[96];

    if (!in->labels)
        return LDM_OK;
    if (in->labels == 1)
        snprintf(expected, sizeof expected, "[1 or %" PRIu64 "]", n);
    else
        snprintf(expected, sizeof expected, "[1 or %" PRIu64 ",%d]", n, in->labels);
    if (!a || !has_entries(a, n) || a->ndim > 2 || a->numel != a->shape[0] * (uint64_t)in->labels)
        return wrong(a, what, "labels", expected, err);
    return in->classes ? ldm_check_ids(a, in->classes, "labels", err)
                       : ldm_check_finite(a, "labels", err);
}

ldm_status ldm_conditions_check(const ldm_model *m, const ldm_conditions *c, uint64_t n, int h,
                                int w, unsigned later, const char *what, ldm_error *err)
{
    ldm_status st = LDM_OK;

    if (c->context || !(later & LDM_LATER_CONTEXT))
        st = check_context(m, c->context, n, what, err);
    if (!st && (c->concat || !(later & LDM_LATER_CONCAT)))
        st = check_concat(m, c->concat, n, h, w, what, err);
    if (!st && (c->labels || !(later & LDM_LATER_LABELS)))
        st = check_labels(m, c->labels, n, what, err);
    return st;
}
