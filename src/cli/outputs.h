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

/* What a result is, and so which file of an earlier run it may take the place of. */
typedef enum ldm_output_kind {
    LDM_OUTPUT_PICTURE,    /* one with a recipe, which says that ldm made it */
    LDM_OUTPUT_ARRAY,      /* .npy: they bear no mark, so any array */
    LDM_OUTPUT_ARRAYS,     /* .npz: the same */
    LDM_OUTPUT_STATISTICS, /* of ldm's own form */
    LDM_OUTPUT_PLOT,       /* a roofline of ldm's, known by LDM_OUTPUT_PLOT_MARK */
    LDM_OUTPUT_OTHER       /* none */
} ldm_output_kind;

/* Whether that is so of a file: it holds a recipe that can be read. */
bool ldm_output_made_picture(const char *path);

#define LDM_OUTPUT_PLOT_MARK "aria-label=\"Roofline: "

/* The one rule for files that are there already: a result replaces a file of its kind, or an empty
 * one, and anything else only with --overwrite. With what ldm_output_check_file checks. Says
 * nothing of what will be replaced: ldm_output_note_replaced, when the run is sure to begin. path
 * NULL: nothing. An exit code. */
int ldm_output_check(const ldm_command *cmd, const char *option, const char *path,
                     ldm_output_kind kind, bool overwrite);

/* The same of an array: its name must end in .npy, so that no slip of the fingers replaces a
 * checkpoint or a configuration. */
int ldm_output_check_array(const ldm_command *cmd, const char *option, const char *path,
                           bool overwrite);

/* The same of statistics of the model's own encoder: .npz is the Inception network's ending. */
int ldm_output_check_statistics(const ldm_command *cmd, const char *option, const char *path,
                                bool overwrite);

/* Notes that the file (NULL: none) will be replaced, if there is one. */
void ldm_output_note_replaced(const ldm_command *cmd, const char *path);
/* Says which file (NULL: none) holds what ("statistics") from now on. */
void ldm_output_say_written(const ldm_command *cmd, const char *what, const char *path);

/* The option of commands whose results may be there already; `at`: its bool in the options. */
#define LDM_OVERWRITE_ROW(at)                                                                      \
    {                                                                                              \
        .type = LDM_OPT_FLAG, .name = "overwrite", .field = at,                                    \
        .help = "replace files that are there already, whatever they are"                          \
    }

/* Refuses the very file that the command reads as its -o, also by another path. NULL is none. An
 * exit code. */
int ldm_output_check_input(const ldm_command *cmd, const char *path, const char *input);

/* The ending of the last part of a path, with its dot; "": it has none. */
const char *ldm_output_ending(const char *path);

/* Whether that is one of `endings` (the last is NULL), in any case. */
bool ldm_output_ends_in(const char *path, const char *const *endings);

/* Endings of pictures that ldm neither reads nor writes; the last is NULL. */
extern const char *const ldm_unread_pictures[];

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
