/* SPDX-License-Identifier: MIT */
/* Inside the room: a run of a text model that was given no prompt. */
#ifndef LDM_ENGINE_CAPTIONS_H
#define LDM_ENGINE_CAPTIONS_H

#include "engine/run_state.h"

/* Gives each picture of r->job a caption of its own, drawn by the picture's seed, where a grammar
 * (grammar.txt) lies beside the checkpoint. *drawn is false where none does. */
ldm_status ldm_captions_draw(ldm_run *r, bool *drawn, ldm_error *err);

/* The captions drawn, as notes of the run; nothing where there are none. */
ldm_status ldm_captions_note(ldm_run *r, ldm_error *err);

#endif
