/* SPDX-License-Identifier: MIT */
/* Inside the room: what a prompt has of other programs' syntax, which is plain text here. */
#ifndef LDM_ENGINE_PROMPT_SYNTAX_H
#define LDM_ENGINE_PROMPT_SYNTAX_H

#include <stdbool.h>

#include "engine/notes.h"

/* What was said already, so that many prompts give one note each. */
typedef struct ldm_prompt_syntax {
    bool weights, networks, others;
} ldm_prompt_syntax;

/* Notes what `text` has of it. */
ldm_status ldm_prompt_syntax_note(ldm_prompt_syntax *said, const char *text, ldm_notes *notes,
                                  ldm_error *err);

#endif
