/* SPDX-License-Identifier: MIT */
#include "infer/lookup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 256 };

static void drop_dots(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (*s != '.')
            *to++ = *s;
    }
    *to = '\0';
}

const ldm_tensor_info *ldm_infer_look(const ldm_infer_scope *s, const char *fmt, ...)
{
    char path[NAME_MAX_BYTES], name[2 * NAME_MAX_BYTES];
    va_list ap;
    int n;

    if (!s->prefix || strlen(s->prefix) >= NAME_MAX_BYTES)
        return NULL;
    va_start(ap, fmt);
    n = vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= NAME_MAX_BYTES)
        return NULL;
    if (s->no_dots)
        drop_dots(path);
    snprintf(name, sizeof name, "%s%s", s->prefix, path);
    return ldm_ckpt_find(s->ck, name);
}

int ldm_infer_dim(const ldm_tensor_info *t, int axis)
{
    if (!t || axis >= t->ndim || t->shape[axis] > 1 << 24)
        return 0;
    return (int)t->shape[axis];
}
