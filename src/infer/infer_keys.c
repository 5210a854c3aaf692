/* SPDX-License-Identifier: MIT */
/* The list of settings; see infer_private.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "infer/infer_private.h"

const char *ldm_infer_from_text(ldm_infer_from f)
{
    static const char *const texts[] = {"the shapes",       "a buffer of the file",
                                        "the file says so", "as published",
                                        "assumed",          "open"};

    return texts[f];
}

static void fail(ldm_inference *in)
{
    if (!in->priv->st)
        in->priv->st = ldm_error_nomem(in->priv->err, 0, "the configuration");
}

/* A text of the arena; NULL when out of memory. */
static LDM_PRINTF(2, 0) const char *keep(ldm_inference *in, const char *fmt, va_list ap)
{
    ldm_str s = {0};
    const char *copy = NULL;

    ldm_str_vprintf(&s, fmt, ap);
    if (!s.failed)
        copy = ldm_arena_strdup(in->priv->arena, s.data ? s.data : "");
    ldm_str_free(&s);
    return copy;
}

void ldm_infer_put(ldm_inference *in, ldm_infer_from from, const char *how, const char *path,
                   const char *fmt, ...)
{
    struct ldm_inference_private *p = in->priv;
    ldm_infer_setting *s;
    va_list ap;

    if (p->st)
        return;
    if (!ldm_grow(&p->settings, &p->cap, in->count + 1, sizeof *p->settings)) {
        fail(in);
        return;
    }
    in->settings = p->settings;
    s = &p->settings[in->count];
    va_start(ap, fmt);
    s->value = keep(in, fmt, ap);
    va_end(ap);
    s->path = ldm_arena_strdup(p->arena, path);
    s->how = how ? ldm_arena_strdup(p->arena, how) : NULL;
    s->from = from;
    if (!s->value || !s->path || (how && !s->how))
        fail(in);
    else
        in->count++;
}

void ldm_infer_put_ints(ldm_inference *in, const char *path, const ldm_infer_ints *list)
{
    char text[LDM_INFER_LEVELS * 14 + 3] = "[";
    size_t n = 1;

    for (int i = 0; i < list->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", i ? ", " : "", list->items[i]);
    snprintf(text + n, sizeof text - n, "]");
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, path, "%s", text);
}

void ldm_infer_problem(ldm_inference *in, const char *fmt, ...)
{
    struct ldm_inference_private *p = in->priv;
    const char *text;
    va_list ap;

    va_start(ap, fmt);
    text = keep(in, fmt, ap);
    va_end(ap);
    if (!text ||
        !ldm_grow((void *)&p->problems, &p->problem_cap, in->problem_count + 1, sizeof text)) {
        fail(in);
        return;
    }
    in->problems = p->problems;
    p->problems[in->problem_count++] = text;
}

const ldm_infer_setting *ldm_inference_find(const ldm_inference *in, const char *path)
{
    for (size_t i = 0; i < in->count; i++) {
        if (!strcmp(in->settings[i].path, path))
            return &in->settings[i];
    }
    return NULL;
}

size_t ldm_inference_open_count(const ldm_inference *in)
{
    size_t n = 0;

    for (size_t i = 0; i < in->count; i++)
        n += in->settings[i].from == LDM_INFER_OPEN;
    return n;
}
