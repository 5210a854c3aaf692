/* SPDX-License-Identifier: MIT */
/* Answers name no path of the machine: every text of the library that a client may read passes
 * here. Files keep their names alone. */
#ifndef LDM_SERVER_PRIVATE_PATHS_H
#define LDM_SERVER_PRIVATE_PATHS_H

#include <stdbool.h>

#include <jansson.h>

/* The folder of a file that the server was told to use, or such a folder, as it was written: a
 * relative one, or one with blanks, cannot be told from other words. To be called while one thread
 * runs. False: out of memory. */
bool ldm_private_add(const char *path);
void ldm_private_clear(void);

/* "/home/me/model.ckpt: no such file" as "model.ckpt: no such file", in place: the folders above,
 * and every absolute path but those of this server's interfaces. */
void ldm_private_hide(char *text);
/* The same of all texts in the values of a JSON object or list. */
void ldm_private_hide_json(json_t *root);

#endif
