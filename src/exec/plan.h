/* SPDX-License-Identifier: MIT */
/* Inside the room: where each buffer of activations lies in the arena. */
#ifndef LDM_EXEC_PLAN_H
#define LDM_EXEC_PLAN_H

#include "exec/steps.h"

typedef struct ldm_plan {
    size_t *offsets; /* [buffer_count], in floats, 16-float aligned */
    size_t floats;   /* arena size without scratch */
} ldm_plan;

/* Lets a convolution or a sum write its result over the residual that it adds, where nothing reads
 * that residual later: a network's largest moment then needs one activation less. The backend's
 * convolutions and sums allow it (ldm_conv_args). Before ldm_plan_create. */
ldm_status ldm_steps_add_in_place(const ldm_graph *g, ldm_steps *s, ldm_error *err);

/* Lays the buffers out for batches of n: each lives from the first step that writes a part of it to
 * the last that reads one, and shares memory with those that live at other times. */
ldm_status ldm_plan_create(const ldm_graph *g, const ldm_steps *s, int n, ldm_plan *out,
                           ldm_error *err);
void ldm_plan_free(ldm_plan *p);

#endif
