/* SPDX-License-Identifier: MIT */
/* Zip archives as torch.save writes them: central directory, zip64, stored or deflated entries.
 * Nothing is extracted; names are only names. Every size is checked against the file, entries must
 * not overlap, and two entries of one name are an error, since readers differ in which they take.
 */
#ifndef LDM_CHECKPOINT_ZIP_H
#define LDM_CHECKPOINT_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "checkpoint/names.h"
#include "checkpoint/source.h"

typedef struct ldm_zip_entry {
    const char *name; /* NUL-terminated, no NUL inside, any other bytes */
    uint32_t crc;
    int deflated;           /* otherwise stored: packed_bytes == bytes */
    uint64_t header_offset; /* of its directory record and of its local header */
    uint64_t local_offset;
    uint64_t data_offset;
    uint64_t packed_bytes, bytes;
} ldm_zip_entry;

typedef struct ldm_zip {
    const ldm_source *src;
    ldm_zip_entry *entries; /* in directory order */
    size_t count;
    ldm_name *by_name;
} ldm_zip;

/* Reads the directory and every local header into `arena`; `src` must outlive the result. */
ldm_status ldm_zip_open(const ldm_source *src, ldm_arena *arena, ldm_zip *out, ldm_error *err);

const ldm_zip_entry *ldm_zip_find(const ldm_zip *zip, const char *name);

/* Inflates packed[0..packed_bytes) into dst, which must come to exactly `bytes`. `src` and `pos`
 * are for the message only. */
ldm_status ldm_zip_inflate(const ldm_source *src, uint64_t pos, const unsigned char *packed,
                           uint64_t packed_bytes, void *dst, uint64_t bytes, ldm_error *err);

/* Whether an entry's bytes have the CRC-32 that the directory gives. 0 is taken for none:
 * torch.serialization.set_crc32_options(False) writes that. `pos`: of its data in `src`. */
ldm_status ldm_zip_check_crc(const ldm_source *src, uint64_t pos, const char *name,
                             const unsigned char *data, uint64_t bytes, uint32_t crc,
                             ldm_error *err);

/* An entry as a source of its own: in place when stored, inflated into `arena` otherwise. Its
 * CRC-32 is checked. */
ldm_status ldm_zip_entry_open(const ldm_zip *zip, const ldm_zip_entry *e, ldm_arena *arena,
                              ldm_source *out, ldm_error *err);

#endif
