/* SPDX-License-Identifier: MIT */
/* What `ldm --help` and `ldm help tables` print: the commands, exit codes and environment. */
#ifndef LDM_CLI_OVERVIEW_H
#define LDM_CLI_OVERVIEW_H

#include "cli/cli.h"

/* `ldm --help`, on stdout. */
void ldm_overview_print(const ldm_command *const *commands, size_t count);

/* `ldm help tables`: all that help and usage errors are made of, for tools/make_pages.sh, which
 * writes manual pages and completions from it. One row a line, its columns separated by tabs; in a
 * column "\n", "\t" and "\\" stand for a line break, a tab and a backslash. Rows, in this order:
 *
 *   program   NAME VERSION SUMMARY ABOUT    one
 *   exit      CODE MEANING                  one for each exit code
 *   variable  NAME VALUE MEANING            one for each variable of the environment
 *   topic     NAME MEANING                  what `ldm help` explains besides the commands
 *   command   NAME ARGS SUMMARY ABOUT NOTES PROGRAM
 *                                           PROGRAM: that has its options, or empty; followed by
 * its heading TEXT                          above the options that follow option  LETTER NAME ARG
 * CHOICES REPEATABLE HELP LETTER or NAME may be empty, ARG is for a switch; CHOICES: "a|b|c", or
 * empty; REPEATABLE: 1 or 0 */
void ldm_overview_tables(const ldm_command *const *commands, size_t count);

#endif
