/* SPDX-License-Identifier: MIT */
/* Private to this room: the remarks of a model or a run, one line each, for the front end to show.
 */
#ifndef LDM_ENGINE_NOTES_H
#define LDM_ENGINE_NOTES_H

#include "base/arena.h"
#include "base/error.h"

/* Zeroed but for texts, which is borrowed: the lines live in it. */
typedef struct ldm_notes {
    ldm_arena *texts;
    char **lines;
    size_t count, cap;
} ldm_notes;

ldm_status ldm_notes_add(ldm_notes *n, ldm_error *err, const char *fmt, ...) LDM_PRINTF(3, 4);
const char *ldm_notes_at(const ldm_notes *n, size_t i); /* NULL after the last */
void ldm_notes_free(ldm_notes *n);

#endif
