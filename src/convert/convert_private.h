/* SPDX-License-Identifier: MIT */
/* Inside the room: a list of tensors to write, wherever their values come from. */
#ifndef LDM_CONVERT_PRIVATE_H
#define LDM_CONVERT_PRIVATE_H

#include <ldm/convert.h>

#include "base/arena.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"

/* One tensor of a file: values of `source`, or of some of its rows. */
typedef struct ldm_out_tensor {
    const char *name;
    ldm_dtype dtype; /* as it is written */
    int ndim;
    uint64_t shape[8];
    const ldm_tensor_info *source;
    /* Of q, k or v out of one qkv: block b of `blocks` of the rows, `part` of 3 within each; blocks
     * 0: the whole tensor. */
    int blocks, part;
} ldm_out_tensor;

/* Who is told how far a conversion is, and may end it; fn NULL: nobody. */
typedef struct ldm_watch {
    int (*fn)(void *ctx, double done);
    void *ctx;
    size_t done, total; /* tensors, each written and read back */
} ldm_watch;

/* Values that were NaN or infinite as they were written; of the whole conversion. */
typedef struct ldm_not_finite {
    uint64_t values, too_large; /* all; those of them that were float64 and finite */
    size_t tensors;             /* of the source */
    const ldm_tensor_info *first, *last;
} ldm_not_finite;

typedef struct ldm_out_list {
    ldm_out_tensor *items;
    size_t count, cap;
    ldm_watch *watch;           /* of the whole conversion, whose files may be several */
    ldm_not_finite *not_finite; /* the same; NULL: nobody counts */
} ldm_out_list;

/* A pair of the file's __metadata__. */
typedef struct ldm_out_meta {
    const char *key, *value;
} ldm_out_meta;

/* safetensors_write.c: a safetensors file, under a temporary name until it is whole and was read
 * back and compared. ck: of the sources. */
ldm_status ldm_safetensors_write(const char *path, const ldm_ckpt *ck, const ldm_out_list *list,
                                 const ldm_out_meta *meta, size_t meta_count, ldm_error *err);

/* not_finite.c: n values of t are counted. bytes: in t's type. x: as float32; wide: the source's
 * float64, of which x was made, as bytes of any alignment, or NULL. */
void ldm_not_finite_bytes(ldm_not_finite *f, const ldm_out_tensor *t, const void *bytes, size_t n);
void ldm_not_finite_values(ldm_not_finite *f, const ldm_out_tensor *t, const float *x, size_t n,
                           const unsigned char *wide);
/* Adds one line, "warning: ...", or nothing where all values are finite. */
void ldm_not_finite_say(const ldm_not_finite *f, ldm_str *report);

/* vocabulary_copy.c: the vocabulary of a text encoder, where it lies with the checkpoint, laid
 * beside `out`; what is written is added to the report. Another one that is there stays. */
ldm_status ldm_vocabulary_copy(const ldm_network *network, const char *ckpt, const char *out,
                               ldm_str *report, ldm_error *err);

/* The same of the grammar that a text model draws captions from where it is given no prompt. out
 * may be a folder, report NULL. */
ldm_status ldm_grammar_copy(const ldm_network *network, const char *ckpt, const char *out,
                            ldm_str *report, ldm_error *err);

#endif
