/* SPDX-License-Identifier: MIT */
/* Inside the room: what becomes of a decoded picture before it is handed out. */
#ifndef LDM_ENGINE_COMPOSE_H
#define LDM_ENGINE_COMPOSE_H

#include "engine/run_state.h"

/* The size of the run's pictures: what is decoded, or with `fit keep` the input's own. */
void ldm_compose_size(const ldm_run *r, int *width, int *height);

/* What mask_blur is where nobody gave it, by the size of the run's pictures; recipes hold it. */
void ldm_compose_settle(ldm_run *r);

/* r->picture and r->image, as decoded (index: the picture's), become those that are handed out: cut
 * to the size above, and with a mask the input's own bytes outside what was painted. r->image is
 * cut alone. rgb: r->picture is filled. */
ldm_status ldm_compose(ldm_run *r, int index, bool rgb, ldm_error *err);

#endif
