/* Inside the room: what a program holds, and what one of its steps needs to run. */
#ifndef LDM_EXEC_PROGRAM_H
#define LDM_EXEC_PROGRAM_H

#include "exec/plan.h"

#define LDM_NO_TIME SIZE_MAX

struct ldm_program {
    ldm_graph *graph;
    const ldm_weights *weights;
    const ldm_backend *backend;
    int n, threads;
    ldm_steps steps;
    ldm_plan plan;
    ldm_conv_plan *convs; /* [steps.count]; of CONV steps, for this size */
    int *slots;           /* [steps.count]; the weights' slot of each step; -1 for none */
    size_t scratch_floats;
    size_t *time_offsets; /* [values]: in a row of ldm_times; LDM_NO_TIME: it needs more than the
                             timestep */
    size_t time_floats;   /* of a row */
};

struct ldm_times {
    int capacity, count; /* rows, and how many of them are filled */
    float *t;            /* [capacity] */
    float *rows;         /* [capacity][floats] */
    size_t floats;
};

/* Where the values of an evaluation are. */
typedef struct ldm_frame {
    const ldm_program *program;
    float *arena;           /* NULL: sizes only */
    const ldm_times *times; /* what follows from the timestep is there; NULL: in the arena, too */
    int row; /* of times, for all samples; -1: each filled row is a sample of its own */
} ldm_frame;

/* view.data is NULL where there is no memory. */
ldm_view ldm_frame_view(const ldm_frame *f, int value);
ldm_norm_args ldm_frame_norm(const ldm_frame *f, const ldm_step *s);
ldm_attention_args ldm_frame_attention(const ldm_frame *f, const ldm_step *s);
void ldm_frame_run(const ldm_frame *f, const ldm_exec_ctx *ctx, int step);

#endif
