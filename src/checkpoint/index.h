/* SPDX-License-Identifier: MIT */
/* The index of a checkpoint's tensors, with its metadata and warnings; the reader of each format
 * fills it. This is the one place that decides whether a strided view fits its storage. Private to
 * this room. */
#ifndef LDM_CHECKPOINT_INDEX_H
#define LDM_CHECKPOINT_INDEX_H

#include "base/arena.h"
#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/names.h"
#include "checkpoint/source.h"

/* The public record first, so that a pointer to one is a pointer to the other. */
typedef struct ldm_tensor {
    ldm_tensor_info info;
    uint64_t packed_bytes; /* of the storage where it is deflated; 0: stored */
    uint64_t pos;          /* of its name in the file, or in the entry where that is deflated */

    /* Of a joined checkpoint (join.h): where the values are. */
    const ldm_ckpt *owner; /* NULL: the checkpoint itself */
    const struct ldm_tensor *pieces[3];
    int piece_count, heads;
} ldm_tensor;

typedef struct ldm_meta {
    const char *path, *value;
} ldm_meta;

/* What an archive says of the bytes of one storage. */
typedef struct ldm_sum {
    const char *entry;
    uint64_t offset, bytes;
    uint32_t crc; /* 0: nothing */
} ldm_sum;

struct ldm_ckpt {
    ldm_source src; /* the whole file */
    ldm_map map;    /* zeroed when the bytes are the caller's */
    const char *format;
    const char *state_path;
    ldm_arena *keep;    /* what the accessors return */
    ldm_arena *scratch; /* what is needed while opening; NULL afterwards */
    uint64_t scratch_limit;
    uint64_t max_storage_bytes; /* the most that is inflated at once */
    ldm_tensor *tensors;
    size_t tensor_count, tensor_cap;
    ldm_sum *sums; /* of a zip file's storages that are not deflated */
    size_t sum_count;
    ldm_name *by_name;
    ldm_meta *metas;
    size_t meta_count, meta_cap;
    const char *config; /* whole, of safetensors' metadata; NULL: none */
    ldm_ckpt_global *globals;
    size_t global_count;
    ldm_ckpt_skipped *skipped;
    size_t skipped_count, skipped_cap;
    const char **warnings;
    size_t warning_count, warning_cap;
    ldm_ckpt **parts; /* of a joined one, which closes them */
    size_t part_count, part_cap;
};

/* For a failed allocation in one of the arenas, at byte `pos` of the file: LDM_ERR_LIMIT where the
 * file asked for more than it may, LDM_ERR_NOMEM otherwise. */
ldm_status ldm_index_no_room(const ldm_ckpt *ck, uint64_t pos, const char *what, ldm_error *err);

/* Room for up to `count` tensors, which ldm_index_add fills. */
ldm_status ldm_index_begin(ldm_ckpt *ck, size_t count, ldm_error *err);

/* Checks t's view (shape, stride, offset_elems against storage_bytes), sets numel and contiguous,
 * copies name and storage key. `name` need not end with a NUL; it must be UTF-8 without NUL. Errors
 * are reported at `pos` of `src`. */
ldm_status ldm_index_add(ldm_ckpt *ck, ldm_tensor *t, const char *name, size_t name_len,
                         const ldm_source *src, uint64_t pos, ldm_error *err);

/* The check alone, for tensors that are not indexed; `what` names the tensor in messages. */
ldm_status ldm_index_check(ldm_tensor_info *t, const char *what, const ldm_source *src,
                           uint64_t pos, ldm_error *err);

/* Row-major strides of t's shape, where the format stores none. */
ldm_status ldm_index_dense(ldm_tensor_info *t, const char *what, const ldm_source *src,
                           uint64_t pos, ldm_error *err);

/* A key of the state dict that is no tensor which ldm reads: recorded, with a warning; strings are
 * copied. */
ldm_status ldm_index_skip(ldm_ckpt *ck, const char *name, const char *what, ldm_error *err);

/* After the last tensor: sorts the names; two equal ones are an error. */
ldm_status ldm_index_finish(ldm_ckpt *ck, ldm_error *err);

/* Adds a metadata line; strings are copied. False when the cap or the memory budget is reached:
 * stop adding. A failed allocation shows as LDM_ERR_NOMEM in *st. */
bool ldm_index_meta(ldm_ckpt *ck, const char *path, const char *value, ldm_status *st);

/* Adds a warning, up to a cap; control characters are replaced. */
ldm_status ldm_index_warn(ldm_ckpt *ck, ldm_error *err, const char *fmt, ...) LDM_PRINTF(3, 4);

/* Copies a text for display: control characters (C1 and those of direction, too) and bytes that are
 * not UTF-8 as \xNN, cut with
 * "..." to fit cap bytes with the NUL. Returns the length written. */
size_t ldm_printable(const char *text, size_t len, char *dst, size_t cap);

/* The readers, one per format. ck->src is set; they fill the rest. */
ldm_status ldm_read_torch_zip(ldm_ckpt *ck, ldm_error *err);
ldm_status ldm_read_torch_legacy(ldm_ckpt *ck, ldm_error *err);
ldm_status ldm_read_safetensors(ldm_ckpt *ck, ldm_error *err);

/* Which reader takes the file, judged by its first bytes alone. */
typedef enum ldm_ckpt_kind {
    LDM_CKPT_TORCH_ZIP,
    LDM_CKPT_TORCH_LEGACY,
    LDM_CKPT_SAFETENSORS
} ldm_ckpt_kind;
ldm_status ldm_ckpt_sniff(const ldm_source *src, ldm_ckpt_kind *out, ldm_error *err);

#endif
