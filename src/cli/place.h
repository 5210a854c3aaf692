/* SPDX-License-Identifier: MIT */
/* The folder that a command writes to, and has for itself while it does: two commands that begin at
 * the same moment must not take the same one. */
#ifndef LDM_CLI_PLACE_H
#define LDM_CLI_PLACE_H

#include "cli/cli.h"

/* Begin with {.lock = -1}. */
typedef struct ldm_place {
    char *folder; /* as it was named; NULL: not entered */
    char *made;   /* the topmost folder of the path that was made for it; NULL: none */
    int lock;     /* the folder, open as long as it is locked; -1: its file system has no locks */
} ldm_place;

/* Makes the folder, which `option` names, and its parents, and locks it: alone, or shared with
 * other processes that make the same run. Where another command has it, that is an error. What lies
 * in the folder is looked at afterwards: only then nothing can appear in it. An exit code. */
int ldm_place_enter(const ldm_command *cmd, const char *option, const char *folder, bool alone,
                    ldm_place *p);

/* The same of a folder that nobody had before, generated_outputs/0001/ and so on: the number after
 * the highest there is. An exit code. */
int ldm_place_enter_fresh(const ldm_command *cmd, const char *option, ldm_place *p);

/* The highest number of these folders; 0: there is none. */
int ldm_place_last(void);

/* "generated_outputs/0007/"; free() it. NULL when out of memory. */
char *ldm_place_numbered(int number);

/* Ends the lock. Folders that were made for it and stayed empty go again. */
void ldm_place_leave(ldm_place *p);

/* Creates the file that is about to be written (which `option` names), so that of two commands that
 * found its name free only one writes. With `overwrite`, and where it cannot be created, nothing is
 * done: writing will report that. An exit code. */
int ldm_place_claim_file(const ldm_command *cmd, const char *option, const char *path,
                         bool overwrite);

/* Removes such a file where nothing was written to it. */
void ldm_place_drop_file(const char *path);

#endif
