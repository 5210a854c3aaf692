/* SPDX-License-Identifier: MIT */
/* Inside the room: what the parts say, and gathering settings. */
#ifndef LDM_INFER_PRIVATE_H
#define LDM_INFER_PRIVATE_H

#include "base/arena.h"
#include "infer/infer.h"
#include "infer/lookup.h"
#include "sample/schedule.h"

enum { LDM_INFER_LEVELS = 16 };

typedef struct ldm_infer_ints {
    int count, items[LDM_INFER_LEVELS];
} ldm_infer_ints;

typedef enum ldm_infer_cond {
    LDM_INFER_UNCONDITIONAL,
    LDM_INFER_CLASS,       /* ClassEmbedder */
    LDM_INFER_BERT,        /* BERTEmbedder */
    LDM_INFER_CLIP,        /* FrozenCLIPEmbedder */
    LDM_INFER_OPEN_CLIP,   /* FrozenOpenCLIPEmbedder */
    LDM_INFER_RESCALER,    /* SpatialRescaler */
    LDM_INFER_FIRST_STAGE, /* the first stage itself */
    LDM_INFER_IDENTITY,    /* the input itself is concatenated */
    LDM_INFER_UNKNOWN      /* tensors of another encoder */
} ldm_infer_cond;

/* What the shapes of the three parts say; 0: nothing. */
typedef struct ldm_infer_unet {
    int in_channels, out_channels, model_channels, dims;
    ldm_infer_ints mult, res_blocks, attention, no_self_attention; /* attention: factors */
    bool uneven_blocks;                                            /* levels differ in blocks */
    bool conv_resample, updown, scale_shift, cross, linear, middle_attends;
    int depth, context, num_classes, adm, n_embed;
    bool depth_varies, continuous_classes;
} ldm_infer_unet;

typedef struct ldm_infer_stage {
    bool codebook, gumbel, double_z, encoder, mid_attention, linear_attention, conv_resample;
    int embed_dim, n_embed, z, in_channels, out_channels, ch, res_blocks;
    ldm_infer_ints mult;
    unsigned attends; /* bit l: the blocks of level l attend */
} ldm_infer_stage;

typedef struct ldm_infer_facts {
    const ldm_ckpt *ck;
    ldm_infer_scope unet, stage, cond;
    ldm_infer_unet u;
    ldm_infer_stage f;
    ldm_infer_cond kind;
    bool ema, ema_only, depth_model, low_scale;
} ldm_infer_facts;

struct ldm_inference_private {
    ldm_arena *arena;
    ldm_infer_setting *settings;
    size_t cap;
    const char **problems;
    size_t problem_cap;
    ldm_status st;
    ldm_error *err;
};

/* Adds a setting; the value is printed. Failures stay in in->priv->st. */
void ldm_infer_put(ldm_inference *in, ldm_infer_from from, const char *how, const char *path,
                   const char *fmt, ...) LDM_PRINTF(5, 6);
void ldm_infer_put_ints(ldm_inference *in, const char *path, const ldm_infer_ints *list);
void ldm_infer_problem(ldm_inference *in, const char *fmt, ...) LDM_PRINTF(2, 3);

/* infer_unet.c, infer_stage.c, infer_cond.c: what the shapes say. */
void ldm_infer_read_unet(const ldm_infer_scope *s, ldm_infer_unet *u);
void ldm_infer_read_stage(const ldm_infer_scope *s, ldm_infer_stage *f);
/* Which conditioner; needs unet and stage. */
ldm_infer_cond ldm_infer_read_cond(const ldm_infer_facts *f);
void ldm_infer_put_cond(ldm_inference *in, const ldm_infer_facts *f);

/* infer_schedule.c: timesteps, beta_schedule, linear_start, ...: puts them. */
ldm_status ldm_infer_schedule(ldm_inference *in, const ldm_infer_facts *f, ldm_error *err);

/* infer_family.c: what no shape shows, from a table of published models. */
typedef struct ldm_infer_family {
    const char *name;
    ldm_infer_cond cond;
    int codebook; /* 1: VQ, 0: KL, -1: either */
    int factor;   /* of the first stage; 0: any */
    int channels; /* model_channels of the published one */
    ldm_infer_ints mult;
    int num_heads, num_head_channels; /* one of them; 0: the other */
    bool old_heads;    /* legacy: true, the default, which has no say without transformers */
    const char *scale; /* scale_factor; NULL: 1, or the file's buffer */
    int resolution;    /* of the pictures; ddconfig says 256 in any case */
    double start, end; /* of the linear schedule, where the buffers are lost */
} ldm_infer_family;
/* NULL: none is like it. *same: its very shapes. */
const ldm_infer_family *ldm_infer_family_of(const ldm_infer_facts *f, bool *same);

/* Whether the UNet's channels grow from level to level as the published model's do. */
bool ldm_infer_same_levels(const ldm_infer_family *fam, const ldm_infer_facts *f);

/* infer_meta.c: lets the file's own hyper_parameters take the place of what was assumed. */
ldm_status ldm_infer_meta(ldm_inference *in, const ldm_ckpt *ck);

/* Values as text, for comparisons: on one line; numbers are equal by value. */
void ldm_infer_scalar_text(const ldm_value *v, char *buf, size_t size);
bool ldm_infer_equal_text(const char *a, const char *b);

#endif
