/* SPDX-License-Identifier: MIT */
/* SpatialTransformer (ldm/modules/attention.py): blocks of self-attention, cross-attention and a
 * gated feed-forward layer over the pixels of a feature map. */
#ifndef LDM_NETWORK_TRANSFORMER_H
#define LDM_NETWORK_TRANSFORMER_H

#include "network/builder.h"

typedef struct ldm_transformer {
    int channels; /* of the feature map */
    int heads, head_dim;
    int depth;         /* blocks */
    int context_width; /* of the context */
    bool linear;       /* use_linear_in_transformer: proj_in and proj_out are matrices */
    bool no_self;      /* disable_self_attn: the first attention reads the context, too */
} ldm_transformer;

/* path: of the module, "input_blocks.1.1". x [channels,h,w]; context [context_width,tokens,1].
 * Returns a value like x. */
int ldm_b_transformer(ldm_builder *b, const char *path, const ldm_transformer *t, int x,
                      int context);

#endif
