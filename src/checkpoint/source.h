/* SPDX-License-Identifier: MIT */
/* A stretch of a file under examination, and errors that point into it. Little-endian readers for
 * positions whose bounds were checked before. */
#ifndef LDM_CHECKPOINT_SOURCE_H
#define LDM_CHECKPOINT_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ldm_source {
    const char *name;          /* of the file, for messages */
    const char *part;          /* "archive/data.pkl", or NULL for the file as a whole */
    const unsigned char *data; /* the bytes of the stretch */
    uint64_t size;
    uint64_t base; /* offset of data[0] in the file; 0 where the part had to be inflated */
} ldm_source;

/* "FILE: PART: byte N: message", N = base + pos; the error's offset is N too. Returns st. */
ldm_status ldm_source_error(const ldm_source *s, ldm_error *err, ldm_status st, uint64_t pos,
                            const char *fmt, ...) LDM_PRINTF(5, 6);

/* Where the zeros begin that the bytes end with; its size where the last byte is none. */
uint64_t ldm_source_zeros_begin(const ldm_source *s);

/* Offsets as printf wants them. */
static inline unsigned long long ldm_ull(uint64_t v)
{
    return (unsigned long long)v;
}

static inline uint16_t ldm_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t ldm_le32(const unsigned char *p)
{
    return (uint32_t)ldm_le16(p) | (uint32_t)ldm_le16(p + 2) << 16;
}

static inline uint64_t ldm_le64(const unsigned char *p)
{
    return (uint64_t)ldm_le32(p) | (uint64_t)ldm_le32(p + 4) << 32;
}

#endif
