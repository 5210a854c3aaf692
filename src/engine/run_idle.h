/* SPDX-License-Identifier: MIT */
/* Inside the room: settings that do nothing in a run. Each that the caller gave (asked; NULL: none)
 * is said in a note, "KEY has no effect: WHY", and taken back, so that recipes do not hold it: a
 * run without it makes the same pictures, and may go on with this one. */
#ifndef LDM_ENGINE_RUN_IDLE_H
#define LDM_ENGINE_RUN_IDLE_H

#include "engine/engine.h"

struct ldm_run;

/* Half a variation: a strength without a seed, or the reverse. Before anything is drawn by the
 * pictures' seeds. */
ldm_status ldm_run_idle_variation(struct ldm_run *r, const ldm_job *asked, ldm_error *err);

/* All others. Needs the plan, the conditioning and the start; no guidance is left where no step is
 * guided. */
ldm_status ldm_run_idle(struct ldm_run *r, const ldm_job *asked, ldm_error *err);

#endif
