/* SPDX-License-Identifier: MIT */
/* The arrays of ldm generate that come as .npy files; see generate.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/generate/generate.h"

static const struct row {
    const char *name, *option, *layout;
    int least, most; /* dimensions */
    size_t path, array;
} rows[] = {
#define ROW(field, text, low, high, shape, ...)                                                    \
    {#field,                                                                                       \
     text,                                                                                         \
     shape,                                                                                        \
     low,                                                                                          \
     high,                                                                                         \
     offsetof(ldm_generate_opts, field),                                                           \
     offsetof(ldm_given_arrays, field)},
    LDM_ARRAY_FILES(ROW)
#undef ROW
};

enum { ROWS = sizeof rows / sizeof rows[0] };

size_t ldm_arrays_count(void)
{
    return ROWS;
}

const char *ldm_arrays_key(size_t i)
{
    return rows[i].name;
}

const char **ldm_arrays_path(ldm_generate_opts *o, size_t i)
{
    return (const char **)(void *)((char *)o + rows[i].path);
}

static const char *path_of(const ldm_generate_opts *o, size_t i)
{
    return *(const char *const *)(const void *)((const char *)o + rows[i].path);
}

static ldm_array *array_of(ldm_given_arrays *a, size_t i)
{
    return (ldm_array *)(void *)((char *)a + rows[i].array);
}

static int read_one(const ldm_command *cmd, const struct row *row, const char *path, ldm_array *out)
{
    ldm_error err;
    ldm_status st;

    if (!path)
        return LDM_EXIT_OK;
    st = ldm_array_read(path, out, &err);
    if (st)
        return ldm_cli_fail(cmd, st, &err);
    if (out->ndim < row->least || out->ndim > row->most || !out->numel)
        return ldm_cli_usage(cmd, "--%s: %s has %d dimensions and %llu values, expected %s",
                             row->option, path, out->ndim, (unsigned long long)out->numel,
                             row->layout);
    return LDM_EXIT_OK;
}

/* What the start noise says must be what the line says. */
static int check_x_t(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_array *x_t)
{
    const uint64_t *found = x_t->shape;
    const int *shape = ldm_job_get_shape(o->to.job, "shape");
    const int count = ldm_generate_count(o);
    const double most = ldm_setting_max(ldm_setting_find(LDM_SETTINGS_JOB, "count"));

    if (count && (uint64_t)count != found[0])
        return ldm_cli_usage(cmd, "-n %d: %s holds start noise for %llu picture%s", count, o->x_t,
                             (unsigned long long)found[0], found[0] == 1 ? "" : "s");
    if ((double)found[0] > most)
        return ldm_cli_usage(cmd, "--x-t: %s holds %llu pictures; at most %.0f", o->x_t,
                             (unsigned long long)found[0], most);
    for (int i = 0; i < 3 && ldm_job_is_set(o->to.job, "shape"); i++) {
        if ((uint64_t)shape[i] != found[i + 1])
            return ldm_cli_usage(cmd, "--shape %d,%d,%d: %s has shape [%llu,%llu,%llu,%llu]",
                                 shape[0], shape[1], shape[2], o->x_t, (unsigned long long)found[0],
                                 (unsigned long long)found[1], (unsigned long long)found[2],
                                 (unsigned long long)found[3]);
    }
    return LDM_EXIT_OK;
}

int ldm_arrays_read(const ldm_command *cmd, const ldm_generate_opts *o, ldm_given_arrays *out)
{
    int code = LDM_EXIT_OK;
    size_t i;

    for (i = 0; !code && i < ROWS; i++)
        code = read_one(cmd, &rows[i], path_of(o, i), array_of(out, i));
    return code || !o->x_t ? code : check_x_t(cmd, o, &out->x_t);
}

void ldm_arrays_free(ldm_given_arrays *a)
{
    size_t i;

    for (i = 0; i < ROWS; i++)
        ldm_array_free(array_of(a, i));
}

ldm_status ldm_arrays_set(const ldm_generate_opts *o, const ldm_given_arrays *a, ldm_job *job,
                          ldm_error *err)
{
    ldm_given_arrays *given = (ldm_given_arrays *)(uintptr_t)a; /* only read */
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < ROWS; i++)
        st = ldm_job_set_array(job, rows[i].name, path_of(o, i) ? array_of(given, i) : NULL, err);
    return st;
}

char *ldm_arrays_named(const ldm_generate_opts *o)
{
    char *text = calloc(1, 1), *more;
    size_t i;

    for (i = 0; text && i < ROWS; i++) {
        if (!path_of(o, i))
            continue;
        more = ldm_cli_format("%s --%s %s", text, rows[i].option, path_of(o, i));
        free(text);
        text = more;
    }
    return text;
}

const char *ldm_arrays_first(const ldm_generate_opts *o)
{
    size_t i;

    for (i = 0; i < ROWS; i++) {
        if (path_of(o, i))
            return rows[i].option;
    }
    return NULL;
}
