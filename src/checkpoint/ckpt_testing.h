/* SPDX-License-Identifier: MIT */
/* Checkpoints made by hand for this room's tests: byte buffers, pickle opcodes, zip archives with
 * any lie in them. Test code: a failed allocation fails the test. */
#ifndef LDM_CHECKPOINT_TESTING_H
#define LDM_CHECKPOINT_TESTING_H

#include <stddef.h>
#include <stdint.h>

#include "checkpoint/checkpoint.h"

typedef struct bytes {
    unsigned char *data;
    size_t len, cap;
} bytes;

void bytes_free(bytes *b); /* resets, so that it can be filled again */
void put(bytes *b, const void *data, size_t len);
void put_text(bytes *b, const char *text);      /* without its NUL */
void put_le(bytes *b, uint64_t v, int n_bytes); /* little-endian */
void set_le(bytes *b, size_t at, uint64_t v, int n_bytes);
bytes read_whole(const char *path);

/* Pickle opcodes of protocol 2. */
void pk_str(bytes *b, const char *text);
void pk_int(bytes *b, int64_t v);
void pk_global(bytes *b, const char *module, const char *name);
void pk_ordered_dict(bytes *b); /* an empty one */
/* ('storage', torch.TYPE, key, 'cpu', numel) as a persistent id */
void pk_storage(bytes *b, const char *type, const char *key, int64_t numel);
/* _rebuild_tensor_v2 on such a storage */
typedef struct pk_view {
    const char *type, *key;
    int64_t numel, offset;
    int ndim;
    int64_t shape[LDM_MAX_DIMS + 1], stride[LDM_MAX_DIMS + 1];
} pk_view;
void pk_tensor(bytes *b, const pk_view *v);

/* A zip archive, entry by entry. Zeroed fields of the entry mean what is true. */
typedef struct zip_item {
    const char *name;
    const void *data;
    size_t len;
    const char *local_name; /* NULL: name */
    unsigned flags;
    unsigned method;         /* deflated data comes deflated */
    uint64_t claimed;        /* uncompressed size; 0: len */
    uint64_t claimed_packed; /* 0: len */
    uint64_t local_offset;   /* 0: where it is */
    int zip64;               /* sizes in an extra field */
    int wrong_crc, no_crc;
} zip_item;
typedef struct zip_end {
    int zip64;
    uint64_t count, dir_bytes, dir_offset; /* 0: what is true */
} zip_end;
void put_zip(bytes *b, const zip_item *items, size_t count, const zip_end *end);

/* A checkpoint "x/": this pickle, and storage "0" of `len` bytes unless data is NULL. */
void put_ckpt(bytes *b, const bytes *pickle, const void *data, size_t len);

/* The three pickles before the legacy format's main one. */
void put_legacy_head(bytes *b);

/* Opens a copy of the exact size, so that a sanitizer sees reads beyond its end. On success the
 * copy is kept until checkpoint_done. */
typedef struct opened {
    ldm_ckpt *ck;
    void *copy;
    ldm_status st;
    ldm_error err;
} opened;
opened open_bytes(const void *data, size_t len);
void opened_done(opened *o); /* closes */
/* Reads every tensor of at most 2^20 elements; returns how many reads failed. */
size_t read_all(const ldm_ckpt *ck);

/* Opens, expects this status and `part` within the message, closes. */
void expect_error(const bytes *b, ldm_status st, const char *part);

#endif
