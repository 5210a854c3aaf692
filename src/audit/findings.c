/* SPDX-License-Identifier: MIT */
/* The toolbox of a report: its texts, notes and the names of its sources. verdict.c gathers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit/internal.h"
#include "base/alloc.h"

const char *ldm_findings_text(ldm_findings *f, const char *fmt, ...)
{
    char small[512], *text;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    text = n < 0 ? NULL : ldm_arena_alloc(f->arena, (size_t)n + 1, 1);
    if (!text) {
        f->failed = true;
        return "";
    }
    if ((size_t)n < sizeof small) {
        memcpy(text, small, (size_t)n + 1);
    } else {
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return text;
}

ldm_cause *ldm_findings_cause(ldm_findings *f, const char *id)
{
    static const ldm_cause empty;

    if (!ldm_grow(&f->causes, &f->cause_cap, f->cause_count + 1, sizeof *f->causes)) {
        f->failed = true;
        return NULL;
    }
    f->causes[f->cause_count] = empty;
    f->causes[f->cause_count].id = id;
    return &f->causes[f->cause_count++];
}

void ldm_findings_note(ldm_findings *f, ldm_tone tone, const char *text)
{
    if (!ldm_grow(&f->notes, &f->note_cap, f->note_count + 1, sizeof *f->notes)) {
        f->failed = true;
        return;
    }
    f->notes[f->note_count].tone = tone;
    f->notes[f->note_count++].text = text;
}

const char *ldm_audit_origin_text(ldm_arena *arena, ldm_origin o)
{
    if (!o.source)
        return "default";
    if (o.line <= 0)
        return o.source;
    return ldm_arena_printf(arena, "%s:%d", o.source, o.line);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

const char *ldm_audit_origin_short(ldm_findings *f, ldm_origin o)
{
    const char *text;
    size_t i, alike = 0;

    for (i = 0; o.source && i < f->source_count; i++)
        alike += strcmp(file_name(f->sources[i]), file_name(o.source)) == 0;
    if (alike == 1)
        o.source = file_name(o.source);
    text = ldm_audit_origin_text(f->arena, o);
    if (!text)
        f->failed = true;
    return text ? text : "";
}

static void add_source(ldm_findings *f, const char *source)
{
    size_t i;

    if (!source || strcmp(source, "--set") == 0)
        return;
    for (i = 0; i < f->source_count; i++) {
        if (strcmp(f->sources[i], source) == 0)
            return;
    }
    if (!ldm_grow(&f->sources, &f->source_cap, f->source_count + 1, sizeof *f->sources)) {
        f->failed = true;
        return;
    }
    f->sources[f->source_count++] = source;
}

static void find_sources(const ldm_audit *a, ldm_findings *f)
{
    size_t i;

    for (i = 0; i < a->given.config_count; i++)
        add_source(f, a->given.configs[i]);
    for (i = 0; i < a->network->param_count; i++)
        add_source(f, a->network->params[i].origin.source);
    for (i = 0; i < a->network->unknown_count; i++)
        add_source(f, a->network->unknown[i].origin.source);
}

ldm_status ldm_findings_open(const ldm_audit *a, ldm_findings *f, ldm_error *err)
{
    memset(f, 0, sizeof *f);
    f->arena = ldm_arena_create(0);
    if (!f->arena)
        return ldm_error_nomem(err, 0, "the report");
    find_sources(a, f);
    return ldm_audit_infer(a->ckpt, f->arena, &f->inferred, err);
}

void ldm_findings_free(ldm_findings *f)
{
    ldm_arena_free(f->arena);
    ldm_free(f->causes);
    ldm_free(f->rows);
    ldm_free(f->heads);
    ldm_free(f->keys);
    ldm_free(f->notes);
    ldm_free(f->sources);
    ldm_free(f->bad);
    memset(f, 0, sizeof *f);
}
