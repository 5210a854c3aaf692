/* SPDX-License-Identifier: MIT */
/* Inside the room: where each buffer of activations lies in the arena. */
#ifndef LDM_EXEC_PLAN_H
#define LDM_EXEC_PLAN_H

#include "exec/steps.h"

typedef struct ldm_plan {
    size_t *offsets; /* [buffer_count], in floats, 16-float aligned */
    size_t floats;   /* arena size without scratch */
} ldm_plan;

/* The steps between which a buffer is in use: from the first that writes a part of it to the last
 * that reads one. The input is written before step 0; last < first: it is never used. A buffer over
 * another begins one step later: while it is written first, its memory is the other's. */
typedef struct ldm_life {
    int first, last;
} ldm_life;

/* lives: [buffer_count]. */
void ldm_steps_lives(const ldm_graph *g, const ldm_steps *s, ldm_life *lives);

/* Lets a convolution or a sum write its result over the residual that it adds, where nothing reads
 * that residual later: a network's largest moment then needs one activation less. The backend's
 * convolutions and sums allow it (ldm_conv_args). Before ldm_plan_create. */
ldm_status ldm_steps_add_in_place(const ldm_graph *g, ldm_steps *s, ldm_error *err);

/* A ResNet block that changes the number of channels ends in two steps,
 *   h = conv2(..), y = shortcut(x) + h   in one place,
 * so that x, what conv2 reads and h are alive at once. Turned round, they are
 *   s = shortcut(x)   over x,   y = conv2(..) + s   in the place of s,
 * which is one activation less. A sum of two terms rounds the same in either order, so y has the
 * same bits.
 *
 * *out: the number of conv2's step if the largest moment of all is there and the turn would not
 * make it larger; else -1. After ldm_steps_add_in_place. */
ldm_status ldm_steps_find_turn(const ldm_graph *g, const ldm_steps *s, int *out, ldm_error *err);
/* Turns steps i and i + 1 round, where ldm_steps_find_turn gave i and the backend's shortcut may
 * write over its input (ldm_conv_plan.in_place_floats). What was step i is step i + 1 then. */
void ldm_steps_turn(ldm_steps *s, int i);

/* Lays the buffers out for batches of n: each lives from the first step that writes a part of it to
 * the last that reads one, and shares memory with those that live at other times. */
ldm_status ldm_plan_create(const ldm_graph *g, const ldm_steps *s, int n, ldm_plan *out,
                           ldm_error *err);
void ldm_plan_free(ldm_plan *p);

#endif
