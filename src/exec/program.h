/* SPDX-License-Identifier: MIT */
/* Inside the room: what a program holds, and what one of its steps needs to run. */
#ifndef LDM_EXEC_PROGRAM_H
#define LDM_EXEC_PROGRAM_H

#include "exec/plan.h"

/* How a value is kept between executions (kept.c). */
typedef struct ldm_keeping {
    unsigned alone;  /* LDM_DEPENDS_TIME or _COND: it follows from that alone and is computed with
                        the rows of that kind; 0: it is computed at each execution */
    bool stored;     /* it has a place in the rows. All values of TIME have one; of COND only
                        those that steps outside of COND read, since the others only lead to
                        these */
    size_t offset;   /* of one row's, in floats, if stored */
    bool as_picture; /* TIME: read as more than a vector, so that each sample needs a copy */
    int complete;    /* the step after which it is complete; -1: it is an input */
} ldm_keeping;

struct ldm_program {
    ldm_graph *graph;
    const ldm_weights *weights;
    const ldm_backend *backend;
    ldm_precision precision;
    int n, threads;
    ldm_steps steps;
    ldm_plan plan;
    ldm_conv_plan *convs; /* [steps.count]; of CONV steps, for this size */
    int *slots;           /* [steps.count]; the weights' slot of each step; -1 for none */
    size_t scratch_floats;
    ldm_keeping *keeping;            /* [values] */
    size_t time_floats, cond_floats; /* of a row of either kind */
};

/* Value by value, `capacity` rows of each: [value][row][h][w][c]. */
struct ldm_kept {
    unsigned depends;
    int capacity, count; /* rows, and how many of them are filled */
    float *t;            /* TIME: [capacity], the timestep of each row */
    float *rows;         /* pages; [floats][capacity] */
    size_t floats;       /* of a row */
};

/* Where the values of an execution are. */
typedef struct ldm_frame {
    const ldm_program *program;
    float *arena;             /* NULL: sizes only */
    ldm_kept_rows time, cond; /* where these values are; .kept NULL: in the arena */
    const ldm_kept *filling;  /* rows of timesteps that are being computed, each as a sample of its
                                 own; NULL: none */
} ldm_frame;

static inline size_t ldm_align_floats(size_t n)
{
    return (n + 15) / 16 * 16;
}

/* Whether step i is one of those that a kind of kept rows consists of. */
static inline bool ldm_step_is_kept(const ldm_program *p, int i, unsigned depends)
{
    return p->keeping[p->steps.steps[i].y].alone == depends;
}

/* view.data is NULL where there is no memory. */
ldm_view ldm_frame_view(const ldm_frame *f, int value);
/* The same for a value that is read as a vector [n][c]: the pitch is 0 where one row of timesteps
 * serves all samples. */
ldm_view ldm_frame_vector(const ldm_frame *f, int value);
ldm_norm_args ldm_frame_norm(const ldm_frame *f, const ldm_step *s);
ldm_attention_args ldm_frame_attention(const ldm_frame *f, const ldm_step *s);
void ldm_frame_run(const ldm_frame *f, const ldm_exec_ctx *ctx, int step);

/* kept.c: decides what is kept. */
ldm_status ldm_keeping_create(ldm_program *p, ldm_error *err);
/* LDM_ERR_USAGE where the rows are of another part or kind, or has_rows is false. */
ldm_status ldm_kept_check(const ldm_program *p, const ldm_kept *k, unsigned depends, bool has_rows,
                          ldm_error *err);
/* `rows` rows of a value from row `row` on, dense. */
ldm_view ldm_kept_view(const ldm_program *p, const ldm_kept *k, int value, int row, int rows);

/* execute.c */
/* Copies the caller's arrays to their places; but for those that the frame has kept. alone: only
 * inputs of that kind (ldm_keeping.alone); 0: all. */
ldm_status ldm_frame_take_inputs(const ldm_frame *f, const ldm_exec_ctx *ctx,
                                 const ldm_named_array *inputs, unsigned alone, ldm_error *err);
ldm_exec_ctx ldm_program_context(const ldm_program *p, ldm_pool *pool, float *arena);

#endif
