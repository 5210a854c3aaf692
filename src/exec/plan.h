/* SPDX-License-Identifier: MIT */
/* Inside the room: where each buffer of activations lies in the arena. */
#ifndef LDM_EXEC_PLAN_H
#define LDM_EXEC_PLAN_H

#include "exec/steps.h"

typedef struct ldm_plan {
    size_t *offsets; /* [buffer_count], in floats, 16-float aligned */
    size_t floats;   /* arena size without scratch */
} ldm_plan;

/* Lays the buffers out for batches of n: each lives from the first step that writes a part of it to
 * the last that reads one, and shares memory with those that live at other times. */
ldm_status ldm_plan_create(const ldm_graph *g, const ldm_steps *s, int n, ldm_plan *out,
                           ldm_error *err);
void ldm_plan_free(ldm_plan *p);

#endif
