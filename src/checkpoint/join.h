/* SPDX-License-Identifier: MIT */
/* One checkpoint made of several: parts in files of their own, under other names, and tensors that
 * one file stores in pieces and another as one. Nothing is copied: values are read from the parts.
 */
#ifndef LDM_CHECKPOINT_JOIN_H
#define LDM_CHECKPOINT_JOIN_H

#include "checkpoint/checkpoint.h"

/* An empty one. `path` is what ldm_ckpt_path returns, `format` (static) what ldm_ckpt_format. */
ldm_status ldm_ckpt_join_create(const char *path, const char *format, ldm_ckpt **out,
                                ldm_error *err);

/* Hands a part over: the joined checkpoint closes it, also where this fails. */
ldm_status ldm_ckpt_join_own(ldm_ckpt *joined, ldm_ckpt *part, ldm_error *err);

/* Of what a tensor is made. One piece: the tensor itself, under another name, and where ndim is not
 * 0 of another shape with as many elements (it must be contiguous then). Three pieces [rows, ...]
 * of one type: all rows of the first, then of the second and the third; or with heads > 1 in each
 * of `heads` parts of the rows (LDM's AttentionBlock in the legacy order: q, k, v of a head). */
typedef struct ldm_ckpt_recipe {
    const ldm_ckpt *part;
    const ldm_tensor_info *pieces[3];
    int count, heads;
    int ndim;
    uint64_t shape[4];
} ldm_ckpt_recipe;
/* LDM_ERR_FORMAT where the pieces do not go together. */
ldm_status ldm_ckpt_join_add(ldm_ckpt *joined, const char *name, const ldm_ckpt_recipe *r,
                             ldm_error *err);

/* A line of metadata, and what must come last. */
ldm_status ldm_ckpt_join_meta(ldm_ckpt *joined, const char *path, const char *value,
                              ldm_error *err);
ldm_status ldm_ckpt_join_finish(ldm_ckpt *joined, ldm_error *err);

/* The file that stands for the whole: the checkpoint's own, or the first part's. */
const char *ldm_ckpt_main_file(const ldm_ckpt *ck);

#endif
