/* SPDX-License-Identifier: MIT */
/* Looking up a checkpoint's names and shapes below one part of a model. */
#ifndef LDM_INFER_LOOKUP_H
#define LDM_INFER_LOOKUP_H

#include <stdbool.h>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

/* Names below one part, whatever prefix the file gives it. */
typedef struct ldm_infer_scope {
    const ldm_ckpt *ck;
    const char *prefix; /* NULL: the file does not have the part */
    bool no_dots;       /* EMA shadows: what follows the prefix has lost its dots */
} ldm_infer_scope;

const ldm_tensor_info *ldm_infer_look(const ldm_infer_scope *s, const char *fmt, ...)
    LDM_PRINTF(2, 3);
/* An extent as an int; 0 where there is none, or it is absurd. t may be NULL. */
int ldm_infer_dim(const ldm_tensor_info *t, int axis);

/* infer_unet.c: the number of a UNet's output blocks, each with a ResBlock. *ups: how many of them
 * end by enlarging, with a convolution or a ResBlock; *by_res_block: a ResBlock does it
 * (resblock_updown). */
int ldm_infer_count_outputs(const ldm_infer_scope *s, int *ups, bool *by_res_block);

#endif
