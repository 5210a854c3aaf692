/* SPDX-License-Identifier: MIT */
/* Inside the room: the fused form of a graph. */
#ifndef LDM_EXEC_STEPS_H
#define LDM_EXEC_STEPS_H

#include "exec/exec.h"

typedef enum ldm_step_kind {
    LDM_STEP_CONV, /* y = W * x + bias [+ vector] [+ residual]; linear layers too */
    LDM_STEP_NORM, /* [scale/shift] [SiLU] */
    LDM_STEP_LAYER_NORM,
    LDM_STEP_ACTIVATE, /* RELU, SILU, GELU, QUICK_GELU */
    LDM_STEP_GEGLU,
    LDM_STEP_TANH,
    LDM_STEP_ADD, /* y = x + residual */
    LDM_STEP_ADD_VECTOR,
    LDM_STEP_COPY,
    LDM_STEP_UPSAMPLE,
    LDM_STEP_POOL, /* largest or mean */
    LDM_STEP_ATTENTION,
    LDM_STEP_EMBED,     /* the timestep */
    LDM_STEP_EMBEDDING, /* rows of a table */
    LDM_STEP_QUANTIZE,
    LDM_STEP_INDEX
} ldm_step_kind;

typedef struct ldm_step {
    ldm_step_kind kind;
    const ldm_node *node; /* the node that names it and holds its attributes */
    int x, y;             /* values */
    int residual;         /* CONV, ADD: value added; -1 for none */
    int vector;           /* CONV: per-sample bias (the convolution's own bias is folded into the
                             linear layer that makes it); NORM: scale and shift; -1 for none */
    int k, v;             /* ATTENTION with separate inputs; -1 for none */
    int channel;          /* COPY: the first channel of y that it writes */
    int parts[2];         /* NORM: the values that make up x; -1 for none */
    int affine;           /* NORM: the buffer for factors and offsets, if a convolution applies
                             them; -1: the norm writes y */
    int norm;             /* CONV: the norm whose factors and offsets it applies to x; -1: none */
    bool silu;            /* NORM */
    ldm_activation activation; /* CONV: of its result; ACTIVATE */
    bool upsample;             /* CONV: x is enlarged by 2 first */
    int weight, bias;          /* tensor numbers of the network, -1 for none */
    int extra_bias;            /* CONV: a second bias tensor added to the first; -1 */
} ldm_step;

/* Where a value lives: channels [offset, offset + c) of a buffer's pixels. */
typedef struct ldm_place {
    int buffer;
    int offset;
} ldm_place;

/* Of each sample h x w pixels of c floats. */
typedef struct ldm_buffer {
    int h, w, c;
    int over; /* 1 + the buffer whose memory it takes, which is larger and is read for the last time
                 by the step that writes this one first; 0: memory of its own */
} ldm_buffer;

/* Where a value's moments live, for the norms that read it. */
typedef struct ldm_moments_place {
    int buffer; /* -1: nowhere */
    ldm_slabs slabs;
} ldm_moments_place;

typedef struct ldm_steps {
    ldm_step *steps;
    int count;
    ldm_place *places; /* [graph->value_count]; buffer -1: no value of its own (absorbed) */
    ldm_moments_place *moments; /* [graph->value_count] */
    ldm_buffer *buffers;
    int buffer_count;
} ldm_steps;

/* Fuses. The result refers to g. */
ldm_status ldm_steps_create(const ldm_graph *g, ldm_steps *out, ldm_error *err);
void ldm_steps_free(ldm_steps *s);

/* Whether a value follows from the timestep alone (LDM_DEPENDS_TIME) or from the conditioning alone
 * (LDM_DEPENDS_COND; also from nothing, like a constant of the network); 0: it takes more. */
unsigned ldm_value_alone(const ldm_graph_value *v);

/* The values that step i reads; at most LDM_STEP_READS. Returns how many. A convolution that took a
 * norm over reads what the norm would have read. */
enum { LDM_STEP_READS = 5 };
int ldm_steps_reads(const ldm_steps *s, int i, int values[LDM_STEP_READS]);

/* Gives the moments of step i's result a buffer if a norm reads that result. slabs: those in which
 * the step's convolution can write moments, h 0 for none. The graph's feature gets none:
 * UNET_SHALLOW receives it as an input, without moments, and must round as the whole UNet does. A
 * value that can be kept between executions gets none either, since the moments are not kept. */
void ldm_steps_place_moments(const ldm_graph *g, ldm_steps *s, int i, const ldm_slabs *slabs);

/* Lets step i, a CONV, do what the norm before it does with each value, if nothing else reads the
 * norm's result. The norm then computes only factors and offsets. */
void ldm_steps_take_norm(const ldm_graph *g, ldm_steps *s, int i);

/* Lets step i, a CONV, apply the activation that alone reads its result, if its plan says that it
 * can; that step is removed. SiLU stays a step. */
void ldm_steps_take_activation(const ldm_graph *g, ldm_steps *s, int i, const ldm_conv_plan *plan);

/* The convolution of a CONV step, for this graph's size. */
void ldm_step_conv_desc(const ldm_graph *g, const ldm_step *s, ldm_conv_desc *d);

/* What weights.c made of the weights of one step. The tensors identify the step in a program of
 * another graph over the same weights (UNET_SHALLOW). */
typedef struct ldm_slot {
    int weight, bias_tensor, extra_bias; /* as the step's; weight -1: the step has none */
    ldm_conv_plan plan;                  /* CONV */
    ldm_lent lent;                       /* CONV: the weights where the source lends them; NULL:
                                                they are in the block, at .packed */
    size_t packed, bias, gamma, beta;    /* offsets into the block, in floats */
    bool has_bias;
    int entries; /* QUANTIZE, INDEX: of the codebook; EMBEDDING: rows of the table */
} ldm_slot;

struct ldm_weights {
    ldm_slot *slots;
    int count;
    float *block; /* pages */
    size_t floats;
    uint64_t lent_bytes; /* outside of the block */
};

#endif
