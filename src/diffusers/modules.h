/* SPDX-License-Identifier: MIT */
/* The one table of names: which module of diffusers is which of CompVis', in both directions. */
#ifndef LDM_DIFFUSERS_MODULES_H
#define LDM_DIFFUSERS_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

enum { LDM_MODULE_NAME = 96 };

typedef enum ldm_module_kind {
    LDM_MODULE_PLAIN,           /* the names below it are the same */
    LDM_MODULE_RES,             /* ResBlock of the UNet */
    LDM_MODULE_ATTENTION,       /* AttentionBlock: one qkv against three matrices */
    LDM_MODULE_STAGE_RES,       /* ResnetBlock of the first stage */
    LDM_MODULE_STAGE_ATTENTION, /* AttnBlock: 1x1 convolutions against matrices */
    LDM_MODULE_CLIP_LAYER,      /* a layer of open_clip against one of transformers' CLIP */
    LDM_MODULE_BERT_LAYER       /* attention and feed-forward of a layer, two of CompVis' modules */
} ldm_module_kind;

/* theirs: "down_blocks.0.resnets.1"; ours: "input_blocks.2.0". For a BERT layer ours is the part
 * before the number, and `number` the layer. */
typedef struct ldm_module {
    char theirs[LDM_MODULE_NAME], ours[LDM_MODULE_NAME];
    ldm_module_kind kind;
    int level; /* of the UNet's attention: 0 the finest, -1 elsewhere */
    int number;
} ldm_module;

typedef struct ldm_modules {
    ldm_module *items;
    size_t count, cap;
    bool failed;
} ldm_modules;
void ldm_modules_free(ldm_modules *m);

/* The modules of a part. levels: blocks that change the size, and the last; blocks: ResBlocks a
 * level. attends: bit l: level l of the UNet has attention (the output side numbers its
 * upsamplings by it). updown: ResBlocks change the size. */
typedef struct ldm_part_shape {
    int levels, blocks;
    unsigned attends;
    bool updown, transformers;
} ldm_part_shape;
/* ours begins with `prefix` ("model.diffusion_model."). */
void ldm_modules_unet(ldm_modules *m, const ldm_part_shape *s, const char *prefix);
void ldm_modules_stage(ldm_modules *m, const ldm_part_shape *s, const char *prefix);
void ldm_modules_clip(ldm_modules *m, const char *prefix);
void ldm_modules_open_clip(ldm_modules *m, int layers, const char *prefix);
void ldm_modules_classes(ldm_modules *m, const char *prefix); /* ClassEmbedder, for ldm alone */
void ldm_modules_bert(ldm_modules *m, int layers, const char *prefix);

/* A row of a module's inner names. `matrix`: ours has `extra` dimensions of size 1 more. piece:
 * 1, 2, 3: it is q, k or v of ours, which is one tensor; 0: it is ours. */
typedef struct ldm_inner {
    const char *theirs, *ours;
    int extra, piece;
} ldm_inner;

/* What one of their names is: the module's number and the row, or false. tail: what follows the row
 * ("weight"). For PLAIN modules the row is NULL. */
typedef struct ldm_found_module {
    const ldm_module *module;
    const ldm_inner *row;
    const char *tail;
} ldm_found_module;
bool ldm_modules_find(const ldm_modules *m, const char *theirs, ldm_found_module *out);

/* The same by one of ours; of a row of pieces the first of them. */
bool ldm_modules_find_ours(const ldm_modules *m, const char *ours, ldm_found_module *out);

/* Ours of what was found, in `buf`. */
void ldm_module_ours(const ldm_found_module *f, char *buf, size_t size);

/* The rows of a kind, ended by one whose theirs is NULL; NULL for PLAIN. The first row of those
 * with the same name of ours is what today's diffusers writes. */
const ldm_inner *ldm_module_rows(ldm_module_kind kind);

#endif
