/* SPDX-License-Identifier: MIT */
/* What the text encoders of Stable Diffusion 1 and 2 share: CLIP's text tower (Radford et al. 2021,
 * arXiv 2103.00020, section 2.4). The configuration says nothing about its size; it follows from
 * the checkpoint's tensors, and heads are 64 wide in all published ones. */
#ifndef LDM_NETWORK_TEXT_TOWER_H
#define LDM_NETWORK_TEXT_TOWER_H

#include "network/part.h"

typedef struct ldm_text_tower {
    int width, layers, entries, tokens;
    const char *published;                 /* the encoder of this size that a hub has */
    int published_width, published_layers; /* filled in by ldm_tower_measure */
    int projection; /* columns of text_projection, which sampling does not read */
} ldm_text_tower;

/* Names of the tensors that show a tower's size, all below cond_stage_model. */
typedef struct ldm_tower_names {
    const char *table, *positions; /* [entries,width], [tokens,width] */
    const char *layers, *in_layer; /* around the number of a layer, in the name of a tensor of it */
    const char *projection;        /* [width,projection], or NULL */
} ldm_tower_names;

enum { LDM_TOWER_HEAD_DIM = 64, LDM_TOWER_FEED_FORWARD = 4 };

/* *t holds the published size and gets the checkpoint's, where r has shapes that show it. Errors
 * name the tensor and the shape. */
ldm_status ldm_tower_measure(const ldm_param_reader *r, const ldm_module *m,
                             const ldm_tower_names *names, ldm_text_tower *t);

/* Adds the conditioner of a tower. tokens: how many of its positions are used; scale: guidance of
 * the original's txt2img.py. */
ldm_status ldm_tower_describe(ldm_param_reader *r, const ldm_module *m, const ldm_text_tower *t,
                              int tokens, const char *vocabulary, double scale, const void *config);

#endif
