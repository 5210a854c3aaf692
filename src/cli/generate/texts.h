/* SPDX-License-Identifier: MIT */
/* Texts from files for ldm generate: a list of prompts, and names of classes. */
#ifndef LDM_CLI_TEXTS_H
#define LDM_CLI_TEXTS_H

#include "cli/generate/generate.h"

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

/* --class-names and --prompts: sets the job's classes and prompts. The lines must live as long as
 * its runs. An exit code. */
int ldm_texts_apply(const ldm_command *cmd, const ldm_generate_opts *o, ldm_lines *prompts);

#endif
