/* SPDX-License-Identifier: MIT */
/* A command's options as they may be typed; see entries.h. */
#include "cli/entries.h"

#include <stdio.h>
#include <string.h>

static bool has_setting(const ldm_entries *e, const char *key)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->at[i].setting && !strcmp(ldm_setting_key(e->at[i].setting), key))
            return true;
    }
    return false;
}

static void add_setting(ldm_entries *e, const ldm_setting_row *s, const ldm_opt *own, bool off)
{
    ldm_entry *to = &e->at[e->count];

    if (e->count == LDM_ENTRY_MOST)
        return;
    e->count++;
    *to = (ldm_entry){.own = own, .setting = s, .off = off, .arg = ldm_setting_arg(s)};
    to->letter = own && own->letter ? own->letter : ldm_setting_letter(s);
    to->help = own && own->help ? own->help : off ? ldm_setting_help_no(s) : ldm_setting_help(s);
    snprintf(to->name, sizeof to->name, "%s%s", off ? "no-" : "", ldm_setting_key(s));
    for (char *p = to->name; *p; p++) {
        if (*p == '_')
            *p = '-';
    }
}

/* A switch that is on by default has an option that turns it off, one without default has both. */
static void add_switch(ldm_entries *e, const ldm_setting_row *s, const ldm_opt *own)
{
    const char *value = ldm_setting_default(s);

    if (ldm_setting_get_type(s) != LDM_TYPE_BOOL || !value || strcmp(value, "true"))
        add_setting(e, s, own, false);
    if (ldm_setting_get_type(s) == LDM_TYPE_BOOL && (!value || !strcmp(value, "true")))
        add_setting(e, s, own, true);
}

static void add_group(ldm_entries *e, ldm_setting_kind kind, const char *group)
{
    for (size_t i = 0; i < ldm_setting_count(kind); i++) {
        const ldm_setting_row *s = ldm_setting_at(kind, i);

        if (!strcmp(ldm_setting_group(s), group) && !has_setting(e, ldm_setting_key(s)))
            add_switch(e, s, NULL);
    }
}

static void add_own(ldm_entries *e, const ldm_opt *o)
{
    ldm_entry *to = &e->at[e->count];

    if (e->count == LDM_ENTRY_MOST)
        return;
    e->count++;
    *to = (ldm_entry){.own = o,
                      .heading = o->type == LDM_OPT_HEADING,
                      .letter = o->letter,
                      .arg = o->arg,
                      .help = o->help};
    if (!to->heading)
        snprintf(to->name, sizeof to->name, "%s", o->name);
}

void ldm_entries_expand(const ldm_command *cmd, ldm_entries *e)
{
    e->count = 0;
    for (size_t i = 0; i < cmd->opt_count; i++) {
        const ldm_opt *o = &cmd->opts[i];

        if (o->type == LDM_OPT_SETTINGS)
            add_group(e, o->kind, o->name);
        else if (o->type == LDM_OPT_SETTING)
            add_switch(e, ldm_setting_find(o->kind, o->name), o);
        else
            add_own(e, o);
    }
}

const ldm_entry *ldm_entries_find(const ldm_entries *e, const char *name, char letter)
{
    for (size_t i = 0; i < e->count; i++) {
        const ldm_entry *at = &e->at[i];

        if (!at->heading &&
            ((*name && !strcmp(at->name, name)) || (letter && at->letter == letter)))
            return at;
    }
    return NULL;
}

/* ---- other spellings ------------------------------------------------------------------------- */

bool ldm_entries_take(const ldm_entries *e, const ldm_alias *a)
{
    return ldm_entries_find(e, a->idle ? a->beside : a->here, 0) != NULL;
}

/* The entry that the alias means, as `name` or `letter` on this line. */
static void add_alias(ldm_entries *e, const ldm_alias *a, const char *name, char letter)
{
    const ldm_entry *means = a->idle ? NULL : ldm_entries_find(e, a->here, 0);
    ldm_entry *to = &e->at[e->count++];

    *to = means ? *means : (ldm_entry){.arg = a->arg};
    to->letter = letter;
    snprintf(to->name, sizeof to->name, "%s", name);
    if (a->value)
        to->arg = NULL;
    to->means = means;
    to->value = a->value;
    to->alias = a;
}

/* name: of an option as it is typed, which no entry has letter by letter. own: entries that are no
 * other spelling. */
static void add_name(ldm_entries *e, size_t own, const char *name)
{
    const ldm_alias *a;

    for (size_t i = 0; i < own; i++) {
        if (!e->at[i].heading && ldm_alias_same(e->at[i].name, name)) {
            e->at[e->count] = e->at[i];
            e->at[e->count].letter = '\0';
            snprintf(e->at[e->count++].name, sizeof e->at[0].name, "%s", name);
            return;
        }
    }
    for (size_t i = 0; (a = ldm_alias_at(i)); i++) {
        if (ldm_alias_same(a->there, name) && ldm_entries_take(e, a)) {
            add_alias(e, a, name, '\0');
            return;
        }
    }
}

void ldm_entries_add_spelled(ldm_entries *e, int argc, char **argv)
{
    const size_t own = e->count;
    const ldm_alias *a;

    for (int i = 1; i < argc && strcmp(argv[i], "--") && e->count < LDM_ENTRY_MOST; i++) {
        char name[sizeof e->at[0].name];
        const size_t len = strncmp(argv[i], "--", 2) ? 0 : strcspn(argv[i] + 2, "=");

        if (!len || len >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)len, argv[i] + 2);
        if (!ldm_entries_find(e, name, 0))
            add_name(e, own, name);
    }
    for (size_t i = 0; (a = ldm_alias_at(i)) && e->count < LDM_ENTRY_MOST; i++) {
        if (a->letter && !ldm_entries_find(e, "", a->letter) && ldm_entries_take(e, a))
            add_alias(e, a, "", a->letter);
    }
}
