/* SPDX-License-Identifier: MIT */
/* A command's options as they may be typed on one line: its rows with the library's settings
 * spelled out, and the other spellings that the line uses. */
#ifndef LDM_CLI_ENTRIES_H
#define LDM_CLI_ENTRIES_H

#include "cli/aliases.h"
#include "cli/opts.h"

enum { LDM_ENTRY_MOST = 192 };

/* A row of the command, a setting of the library, or another spelling of one. */
typedef struct ldm_entry {
    const ldm_opt *own;             /* NULL: a setting by its group */
    const ldm_setting_row *setting; /* NULL: a row of the command's own */
    bool off;                       /* --no-KEY */
    bool heading;
    char letter;
    char name[48]; /* "max-memory" */
    const char *arg, *help;
    const struct ldm_entry *means; /* of another program's spelling of another entry: that one */
    const char *value;             /* the value that this spelling stands for */
    const ldm_alias *alias;        /* this spelling's row */
} ldm_entry;

typedef struct ldm_entries {
    ldm_entry at[LDM_ENTRY_MOST];
    size_t count;
} ldm_entries;

void ldm_entries_expand(const ldm_command *cmd, ldm_entries *e);

/* Adds what the line spells otherwise: '_' for '-' or the reverse, and the options of other
 * programs that mean an entry, or nothing, here. Own names take precedence. */
void ldm_entries_add_spelled(ldm_entries *e, int argc, char **argv);

/* By a name ("": any) or a letter (0: none); NULL: there is none. */
const ldm_entry *ldm_entries_find(const ldm_entries *e, const char *name, char letter);

/* Whether the alias is understood by a command with these entries. */
bool ldm_entries_take(const ldm_entries *e, const ldm_alias *a);

#endif
