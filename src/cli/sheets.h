/* SPDX-License-Identifier: MIT */
/* Files of pictures: contact sheets and animations, which are no pictures to measure, and folders.
 */
#ifndef LDM_CLI_SHEETS_H
#define LDM_CLI_SHEETS_H

#include "cli/cli.h"

typedef enum ldm_sheet_kind { LDM_SHEET, LDM_ANIMATION } ldm_sheet_kind;

/* The recipe of a contact sheet or an animation of so many pictures: the one of its first picture
 * (NULL: none is at hand) with "sheet": {"pictures": N} or "animation": the same added. Fresh text;
 * free() it. NULL when out of memory. */
char *ldm_sheet_recipe(const char *first, ldm_sheet_kind kind, size_t pictures);

/* The number of pictures in `path`, where it is a contact sheet or an animation that ldm made, and
 * what it is (NULL: not wanted), "a contact sheet"; 0 where it is none, or cannot be read. */
int ldm_sheet_pictures(const char *path, const char **what);

/* The pictures in a folder: names ending in .png, .jpg or .jpeg, sorted, but for hidden ones.
 * *paths: *count texts; ldm_paths_free. An exit code: a folder without pictures is an error.
 * Unless quiet, those that are left out because ldm does not read their kind are noted. */
int ldm_folder_pictures(const ldm_command *cmd, const char *folder, bool quiet, char ***paths,
                        size_t *count);

/* That note alone. */
void ldm_folder_note_unread(const ldm_command *cmd, const char *folder);
void ldm_paths_free(char **paths, size_t count);

#endif
