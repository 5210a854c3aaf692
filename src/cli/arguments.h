/* SPDX-License-Identifier: MIT */
/* Words of a line that belong to no option: how many a command takes, and what was meant by those
 * that are too many. */
#ifndef LDM_CLI_ARGUMENTS_H
#define LDM_CLI_ARGUMENTS_H

#include "cli/entries.h"
#include "cli/opts.h"

/* Words that stand directly behind an option's value; the first few of a line. */
typedef struct ldm_behind {
    struct {
        char option[48]; /* "size" */
        const char *value, *word;
    } at[8];
    size_t count;
} ldm_behind;

/* word: the one behind the value, NULL: none. */
void ldm_behind_add(ldm_behind *b, const char *option, const char *value, const char *word);

/* all: the command's options. argv as getopt leaves it, those words last. */
ldm_parse ldm_arguments_check(const ldm_command *cmd, const ldm_entries *all,
                              const ldm_behind *behind, int argc, char **argv);

#endif
