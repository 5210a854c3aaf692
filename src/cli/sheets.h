/* SPDX-License-Identifier: MIT */
/* Files of pictures: contact sheets, which are no pictures to measure, and folders. */
#ifndef LDM_CLI_SHEETS_H
#define LDM_CLI_SHEETS_H

#include "cli/cli.h"

/* The recipe of a contact sheet of so many pictures: the one of its first picture (NULL: none is at
 * hand) with "sheet": {"pictures": N} added. Fresh text; free() it. NULL when out of memory. */
char *ldm_sheet_recipe(const char *first, size_t pictures);

/* The number of pictures on the contact sheet `path`; 0 where it is none, or cannot be read. */
int ldm_sheet_pictures(const char *path);

/* The pictures in a folder: names ending in .png, .jpg or .jpeg, sorted, but for hidden ones.
 * *paths: *count texts; ldm_paths_free. An exit code: a folder without pictures is an error. */
int ldm_folder_pictures(const ldm_command *cmd, const char *folder, char ***paths, size_t *count);
void ldm_paths_free(char **paths, size_t count);

#endif
