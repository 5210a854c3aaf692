/* SPDX-License-Identifier: MIT */
/* Configuration keys worth a line in the report: unknown ones, those without effect, and those of
 * training only, in the order of the files and lines. */
#include <stdio.h>
#include <string.h>

#include "audit/internal.h"
#include "base/alloc.h"
#include "base/str.h"

const char *ldm_audit_key_status_text(ldm_key_status s)
{
    switch (s) {
    case LDM_KEY_UNKNOWN:
        return "unknown";
    case LDM_KEY_NO_EFFECT:
        return "no effect";
    case LDM_KEY_TRAINING:
        break;
    }
    return "training only";
}

/* Sorts by file, then by line; entries of one line keep their order. */
static bool before(const ldm_config_key *a, const ldm_config_key *b)
{
    int order = strcmp(a->origin.source, b->origin.source);

    return order ? order < 0 : a->origin.line < b->origin.line;
}

static void add(ldm_findings *f, ldm_config_key key)
{
    size_t i;

    if (!ldm_grow(&f->keys, &f->key_cap, f->key_count + 1, sizeof *f->keys)) {
        f->failed = true;
        return;
    }
    for (i = f->key_count++; i > 0 && before(&key, &f->keys[i - 1]); i--)
        f->keys[i] = f->keys[i - 1];
    f->keys[i] = key;
}

bool ldm_audit_key_is_mistake(const ldm_unknown_key *u)
{
    /* The classes that a ddconfig is for end their parameters with **ignore_kwargs: what no name
     * there is close to may be meant for others. */
    return u->suggestion || !strstr(u->path, ".ddconfig.");
}

/* What a section at the top of a YAML is probably meant to be: a name that is nearly one of those
 * that ldm reads, or a part of its own section that stands too far to the left. NULL: another
 * program's. */
static const char *section_meant(const char *key)
{
    static const char *const known[] = {"ldm", "model"};
    char lower[16];
    size_t i;

    if (!strcmp(key, "sampling"))
        return "ldm.sampling";
    if (!strcmp(key, "load"))
        return "ldm.load";
    ldm_lower(lower, sizeof lower, key);
    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(key, known[i]) && ldm_edit_distance(lower, known[i], 1) <= 1)
            return known[i];
    }
    return NULL;
}

static void find_sections(const ldm_audit *a, ldm_findings *f)
{
    const ldm_value *root = a->given.config ? ldm_config_root(a->given.config) : NULL;

    for (size_t i = 0; root && i < ldm_value_count(root); i++) {
        const ldm_value *v = ldm_value_at(root, i);
        const char *meant = section_meant(ldm_value_key(v));
        const ldm_origin o = ldm_value_origin(v);

        if (meant && o.source)
            ldm_findings_note(f, LDM_TONE_WARN,
                              ldm_findings_text(f,
                                                "%s:%d: nothing reads the section %s; did you mean "
                                                "%s?",
                                                o.source, o.line, ldm_value_key(v), meant));
    }
}

void ldm_audit_find_mistakes(const ldm_audit *a, ldm_findings *f)
{
    const ldm_network *s = a->network;

    find_sections(a, f);
    for (size_t i = 0; i < s->unknown_count; i++) {
        const ldm_unknown_key *u = &s->unknown[i];
        char line[16] = ""; /* text without lines has none */

        if (!ldm_audit_key_is_mistake(u))
            continue;
        if (u->origin.line)
            snprintf(line, sizeof line, ":%d", u->origin.line);
        ldm_findings_note(
            f, LDM_TONE_WARN,
            ldm_findings_text(f, "%s%s: %s is no parameter of the model and is ignored%s%s%s",
                              u->origin.source, line, u->path,
                              u->suggestion ? "; did you mean " : "",
                              u->suggestion ? u->suggestion : "", u->suggestion ? "?" : ""));
    }
}

void ldm_audit_find_config_keys(const ldm_audit *a, ldm_findings *f)
{
    const ldm_network *s = a->network;
    size_t i;

    for (i = 0; i < s->unknown_count; i++) {
        const ldm_unknown_key *u = &s->unknown[i];
        bool parameter = !strncmp(u->path, "model.params.", 13);

        add(f, (ldm_config_key){u->path, u->origin, LDM_KEY_UNKNOWN,
                                parameter && !strstr(u->path, ".ddconfig.")
                                    ? "the original's constructor does not take it"
                                    : "nothing reads it",
                                u->suggestion});
    }
    for (i = 0; i < s->param_count; i++) {
        const ldm_param *k = &s->params[i];

        if (k->origin.source && k->effect == LDM_EFFECT_NONE)
            add(f, (ldm_config_key){k->path, k->origin, LDM_KEY_NO_EFFECT, k->reason, NULL});
        else if (k->origin.source && k->effect == LDM_EFFECT_TRAINING)
            add(f, (ldm_config_key){k->path, k->origin, LDM_KEY_TRAINING, k->reason, NULL});
    }
}
