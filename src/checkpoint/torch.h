/* SPDX-License-Identifier: MIT */
/* The part of torch's two formats that is the same: what the main pickle means. Private to this
 * room. A reader of a container pickles, collects storages, places them in the file, then indexes.
 */
#ifndef LDM_CHECKPOINT_TORCH_H
#define LDM_CHECKPOINT_TORCH_H

#include "checkpoint/index.h"
#include "checkpoint/pickle.h"

/* One storage that persistent ids of the pickle name. */
typedef struct ldm_storage {
    const char *key;
    const ldm_global_row *type; /* torch.FloatStorage, ... */
    uint64_t numel, bytes;      /* on the pickle's word until placed */
    uint64_t pos;               /* of the first persistent id that names it */
    bool placed;
    uint64_t offset;       /* in the file */
    uint64_t packed_bytes; /* 0: stored */
} ldm_storage;

typedef struct ldm_torch {
    ldm_ckpt *ck;
    ldm_source src; /* of the main pickle */
    ldm_pickle pickle;
    ldm_storage *storages;
    size_t count;
    ldm_name *by_key; /* sorted, one per storage */
} ldm_torch;

/* A pickled text as a printable C string for messages, or what a value of another kind is. */
typedef struct ldm_shown {
    char text[120];
} ldm_shown;
const char *ldm_torch_show(const ldm_pk *v, ldm_shown *s);

/* Reads the persistent ids. Two that name one storage must agree. */
ldm_status ldm_torch_storages(ldm_torch *t, ldm_error *err);

/* Finds the state dict and indexes its tensors, then metadata, globals and warnings. Each storage
 * must have been placed. */
ldm_status ldm_torch_index(ldm_torch *t, ldm_error *err);

/* Fills `out` from a pickled tensor whose place in the file is known. `what` is for messages. */
ldm_status ldm_torch_tensor(const ldm_torch *t, const ldm_pk *v, const char *what, ldm_tensor *out,
                            ldm_error *err);

/* True for what rebuilds a tensor or parameter of a kind that ldm reads. */
bool ldm_torch_is_tensor(const ldm_pk *v);

/* Adds a line of metadata for every leaf of the pickle outside the state dict: everything but the
 * values of `state`'s tensors. */
ldm_status ldm_torch_metadata(ldm_torch *t, const ldm_pk *state, ldm_error *err);

#endif
