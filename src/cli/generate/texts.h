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

/* A prompt a line: UTF-8, a byte order mark and carriage returns at line ends are dropped, and
 * lines of nothing but white space are no prompts (--prompt '' asks for the empty one). An exit
 * code. */
int ldm_prompts_read(const ldm_command *cmd, const char *path, ldm_lines *out);

/* Names in the place of numbers: `text` is what --class says, "tench,1,tabby cat"; the file has a
 * line a class, from class 0 on, with one name or several that commas separate. Case, '_' and '-'
 * do not matter. *numbers: "0,1,281", free() it. An exit code: a name that is not there, or that
 * stands for several classes, is refused with what comes near. */
int ldm_class_numbers(const ldm_command *cmd, const char *path, const char *text, char **numbers);

/* --class-names and --prompts: sets the job's classes and prompts. The lines must live as long as
 * its runs. An exit code. */
int ldm_texts_apply(const ldm_command *cmd, const ldm_generate_opts *o, ldm_lines *prompts);

#endif
