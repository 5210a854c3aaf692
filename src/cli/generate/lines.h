/* SPDX-License-Identifier: MIT */
/* Text files of which each line is an item. */
#ifndef LDM_CLI_LINES_H
#define LDM_CLI_LINES_H

#include "cli/cli.h"

/* The lines of a text file. */
typedef struct ldm_lines {
    char *text;         /* the file, with line ends cut off */
    const char **items; /* [count], into it */
    size_t *numbers;    /* [count]: which line of the file that is, from 1 */
    size_t count;
} ldm_lines;
void ldm_lines_free(ldm_lines *l); /* a zeroed struct is fine */

/* Cuts a text into lines, without its byte order mark and the carriage returns at line ends; *out
 * takes the text over (ldm_free). keep_blank: lines of white space count, too. An exit code; the
 * caller frees *out, whatever it is. */
int ldm_lines_split(const ldm_command *cmd, char *text, bool keep_blank, ldm_lines *out);

/* The same of a file, which must have a line and no byte of value 0. */
int ldm_lines_read(const ldm_command *cmd, const char *path, bool keep_blank, ldm_lines *out);

#endif
