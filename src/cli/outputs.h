/* SPDX-License-Identifier: MIT */
/* Names of results: what they may be, and what they may replace. */
#ifndef LDM_CLI_OUTPUTS_H
#define LDM_CLI_OUTPUTS_H

#include "cli/cli.h"

/* ---- folders --------------------------------------------------------------------------------- */

/* Whether files could be written to `folder`, which `option` names: it need not exist, but its
 * nearest ancestor that does must be a folder, and writable. An exit code. */
int ldm_output_check_folder(const ldm_command *cmd, const char *option, const char *folder);

/* Makes a folder, which `option` names, and its parents. An exit code. */
int ldm_output_make_folder(const ldm_command *cmd, const char *option, const char *folder);

/* Makes the folders above a file, which `option` names (path NULL: nothing). An exit code. */
int ldm_output_make_parent(const ldm_command *cmd, const char *option, const char *path);

/* ---- files ----------------------------------------------------------------------------------- */

/* Whether a result could be written as `path` (NULL is fine), which `option` names. An exit code.
 */
int ldm_output_check_file(const ldm_command *cmd, const char *option, const char *path);

/* The same of an array: its name must end in .npy, so that no slip of the fingers replaces a
 * checkpoint or a configuration. Notes that a file will be replaced, but not if quiet. */
int ldm_output_check_array(const ldm_command *cmd, const char *option, const char *path,
                           bool quiet);

/* Refuses the very file that the command reads as its -o, also by another path. NULL is none. An
 * exit code. */
int ldm_output_check_input(const ldm_command *cmd, const char *path, const char *input);

/* The same of a file (not NULL) that replaces nothing without --overwrite. */
int ldm_output_check_new(const ldm_command *cmd, const char *option, const char *path,
                         bool overwrite);

/* The same of statistics (path NULL: nothing): they replace nothing but statistics, with a note. */
int ldm_output_check_statistics(const ldm_command *cmd, const char *option, const char *path);

/* A picture that ldm made (or an empty file) is replaced, with a note unless quiet; another file,
 * such as a photo, is not. */
int ldm_output_check_picture(const ldm_command *cmd, const char *path, bool quiet);

/* Notes that the file will be replaced, if there is one. */
void ldm_output_note_replaced(const ldm_command *cmd, const char *path);

/* The ending of the last part of a path, with its dot; "": it has none. */
const char *ldm_output_ending(const char *path);

/* Whether that is one of `endings` (the last is NULL), in any case. */
bool ldm_output_ends_in(const char *path, const char *const *endings);

/* A form of results: its endings, and a sentence about them. */
typedef struct ldm_output_form {
    const char *said;
    const char *const *endings; /* the last is NULL */
} ldm_output_form;

extern const ldm_output_form ldm_output_pictures, ldm_output_animations;

/* What `path` of -o names for `count` results: a file (*file), by its ending, or a folder. A name
 * of a file for several, and one with the ending of another form, are errors. An exit code. */
int ldm_output_is_file(const ldm_command *cmd, const char *path, int count,
                       const ldm_output_form *form, bool *file);

#endif
