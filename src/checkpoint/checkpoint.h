/* SPDX-License-Identifier: MIT */
/* Checkpoints: PyTorch zip (>= 1.6), PyTorch legacy (before), bare state dicts, Lightning files,
 * safetensors. The format is sniffed from content. Opening reads names, shapes and byte ranges
 * only; nothing in a file is ever executed. All strings are UTF-8 and owned by the checkpoint. */
#ifndef LDM_CHECKPOINT_CHECKPOINT_H
#define LDM_CHECKPOINT_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

typedef struct ldm_ckpt ldm_ckpt;

/* Far more tensors than any checkpoint has; a report of this many is still small. */
enum { LDM_MAX_DIMS = 8, LDM_MAX_TENSORS = 20000 };

/* name, bytes per element, whether ldm computes with such values (ldm_ckpt_read_f32). Tensors of
 * the other types are listed with their shapes; only a run that needs one is refused. OTHER is a
 * type of a safetensors file that this table does not know, whose element size is unknown, too. */
#define LDM_DTYPE_LIST(X)                                                                          \
    X(F64, "f64", 8, true)                                                                         \
    X(F32, "f32", 4, true)                                                                         \
    X(F16, "f16", 2, true)                                                                         \
    X(BF16, "bf16", 2, true)                                                                       \
    X(I64, "i64", 8, true)                                                                         \
    X(I32, "i32", 4, true)                                                                         \
    X(I16, "i16", 2, true)                                                                         \
    X(I8, "i8", 1, true)                                                                           \
    X(U64, "u64", 8, true)                                                                         \
    X(U32, "u32", 4, true)                                                                         \
    X(U16, "u16", 2, true)                                                                         \
    X(U8, "u8", 1, true)                                                                           \
    X(BOOL, "bool", 1, true)                                                                       \
    X(F8_E4M3, "float8_e4m3fn", 1, true)                                                           \
    X(F8_E5M2, "float8_e5m2", 1, true)                                                             \
    X(C64, "complex64", 8, false)                                                                  \
    X(C128, "complex128", 16, false)                                                               \
    X(QI8, "quantised i8", 1, false)                                                               \
    X(QU8, "quantised u8", 1, false)                                                               \
    X(QI32, "quantised i32", 4, false)                                                             \
    X(OTHER, "unknown type", 0, false)

typedef enum ldm_dtype {
#define LDM_DTYPE_ENUM(id, name, bytes, readable) LDM_DTYPE_##id,
    LDM_DTYPE_LIST(LDM_DTYPE_ENUM)
#undef LDM_DTYPE_ENUM
        LDM_DTYPE_COUNT
} ldm_dtype;

const char *ldm_dtype_name(ldm_dtype d);
size_t ldm_dtype_size(ldm_dtype d);   /* 0 for OTHER */
bool ldm_dtype_readable(ldm_dtype d); /* false: ldm_ckpt_read_f32 refuses tensors of it */

/* One tensor. Already checked: the strided view fits its storage, and the storage the file. */
typedef struct ldm_tensor_info {
    const char *name;
    ldm_dtype dtype;
    int ndim; /* 0 for a scalar */
    uint64_t shape[LDM_MAX_DIMS];
    uint64_t stride[LDM_MAX_DIMS]; /* in elements */
    uint64_t numel;
    uint64_t offset_elems;   /* of element 0 in its storage */
    bool contiguous;         /* row-major without gaps */
    bool negated;            /* torch's negation bit: the values are minus the stored numbers */
    const char *storage;     /* storage key in the file ("0"), "" in safetensors */
    uint64_t storage_offset; /* byte offset of the storage in the file; of the compressed data
                                if the zip entry is deflated */
    uint64_t storage_bytes;
} ldm_tensor_info;

typedef struct ldm_ckpt_options {
    uint64_t max_meta_bytes; /* memory that the file's claims may take; 0: 256 MB */
} ldm_ckpt_options;

/* opt may be NULL. On failure *out is NULL and err names the file and the position. */
ldm_status ldm_ckpt_open(const char *path, const ldm_ckpt_options *opt, ldm_ckpt **out,
                         ldm_error *err);
/* The same from memory that stays the caller's and must outlive the checkpoint (fuzzing, tests). */
ldm_status ldm_ckpt_open_memory(const void *data, size_t size, const char *name,
                                const ldm_ckpt_options *opt, ldm_ckpt **out, ldm_error *err);
void ldm_ckpt_close(ldm_ckpt *ck); /* NULL is fine */

const char *ldm_ckpt_path(const ldm_ckpt *ck);
/* "PyTorch zip", "PyTorch legacy" or "safetensors" */
const char *ldm_ckpt_format(const ldm_ckpt *ck);
/* Path of part i of a checkpoint that was joined of several files, NULL from their count on. */
const char *ldm_ckpt_part_path(const ldm_ckpt *ck, size_t i);
uint64_t ldm_ckpt_file_bytes(const ldm_ckpt *ck);
/* Path of the state dict inside the pickled object: "state_dict", "" for a bare one, or where else
 * the only dictionary of tensors lies ("model"). */
const char *ldm_ckpt_state_dict_path(const ldm_ckpt *ck);

/* Tensors of the state dict in file order. find is a binary search; NULL where there is none. */
size_t ldm_ckpt_count(const ldm_ckpt *ck);
const ldm_tensor_info *ldm_ckpt_at(const ldm_ckpt *ck, size_t i);
const ldm_tensor_info *ldm_ckpt_find(const ldm_ckpt *ck, const char *name);

/* Keys of the state dict that are no tensors which ldm reads, and what they are ("an object of
 * _io.BytesIO, no tensor; nothing was executed"). */
typedef struct ldm_ckpt_skipped {
    const char *name, *what;
} ldm_ckpt_skipped;
size_t ldm_ckpt_skipped_count(const ldm_ckpt *ck);
ldm_ckpt_skipped ldm_ckpt_skipped_at(const ldm_ckpt *ck,
                                     size_t i); /* empty strings after the last */

/* Copies a tensor, widened or narrowed to f32, row-major, into dst (numel floats, the caller's).
 * Thread-safe. f16/bf16/float8 are exact, f64 and integers round to nearest even.
 * LDM_ERR_UNSUPPORTED names the tensor where its type is not readable. */
ldm_status ldm_ckpt_read_f32(const ldm_ckpt *ck, const ldm_tensor_info *t, float *dst,
                             ldm_error *err);

/* Reads all storages that a zip file holds uncompressed, as torch.save writes them, and checks
 * their CRC-32 where the file has it. LDM_ERR_FORMAT names the first that is damaged. */
ldm_status ldm_ckpt_check_sums(const ldm_ckpt *ck, ldm_error *err);

/* The work of that check: the number of elements, and of the bytes of a storage that must be
 * inflated. */
uint64_t ldm_ckpt_read_cost(const ldm_tensor_info *t);

/* The tensor's bytes in the mapping if it is contiguous, stored uncompressed and not negated, else
 * NULL. NOT necessarily aligned: torch aligns to 64 inside newer files only. */
const void *ldm_ckpt_data(const ldm_ckpt *ck, const ldm_tensor_info *t);

/* Read-ahead, and giving back the process' pages of a tensor after use (see ldm_map_release). */
void ldm_ckpt_will_need(const ldm_ckpt *ck, const ldm_tensor_info *t);
void ldm_ckpt_release(const ldm_ckpt *ck, const ldm_tensor_info *t);

/* What else is in the file, for `ldm inspect`: every leaf outside the state dict that was not a
 * tensor, as dotted path and printable value ("epoch" -> "12"), in file order, capped at 10,000. */
size_t ldm_ckpt_meta_count(const ldm_ckpt *ck);
const char *ldm_ckpt_meta_path(const ldm_ckpt *ck, size_t i);
const char *ldm_ckpt_meta_value(const ldm_ckpt *ck, size_t i);
/* The text under "config" in a safetensors file's __metadata__, where `ldm convert` puts the YAML;
 * other programs may have put there what they like. NULL: none. ck's. */
const char *ldm_ckpt_config(const ldm_ckpt *ck);

/* Every global the pickle names, in order: "torch._utils._rebuild_tensor_v2", its byte offset in
 * the file, and whether ldm knows it (an unknown one became an opaque value; nothing is ever
 * called). */
typedef struct ldm_ckpt_global {
    const char *name;
    uint64_t offset;
    bool known;
} ldm_ckpt_global;
size_t ldm_ckpt_global_count(const ldm_ckpt *ck);
ldm_ckpt_global ldm_ckpt_global_at(const ldm_ckpt *ck, size_t i);

/* One renaming rule: every occurrence of `from` in a key becomes `to`, as Python's str.replace;
 * with a ^ in front, only at the key's beginning. */
typedef struct ldm_ckpt_rename_rule {
    const char *from, *to;
} ldm_ckpt_rename_rule;

/* Applies the rules, in order, to every tensor's name. Call it before the checkpoint is shared:
 * pointers obtained earlier are not valid afterwards. *renamed: how many keys changed. */
ldm_status ldm_ckpt_rename(ldm_ckpt *ck, const ldm_ckpt_rename_rule *rules, size_t count,
                           size_t *renamed, ldm_error *err);

/* The same with a function for rules: it writes the new name into *out (empty at first) and returns
 * true, or returns false for a name that stays. A new name that another tensor of the file has is
 * not given: that one counts. *taken: how often that was. */
typedef bool ldm_ckpt_rename_fn(const char *name, ldm_str *out);
ldm_status ldm_ckpt_rename_by(ldm_ckpt *ck, ldm_ckpt_rename_fn *fn, size_t *renamed, size_t *taken,
                              ldm_error *err);

/* Adds a warning, for those who open the file and change how it is read. */
ldm_status ldm_ckpt_warn(ldm_ckpt *ck, const char *text, ldm_error *err);

/* One line each: unknown globals skipped outside the state dict, duplicate keys, ... */
size_t ldm_ckpt_warning_count(const ldm_ckpt *ck);
const char *ldm_ckpt_warning(const ldm_ckpt *ck, size_t i);

#endif
