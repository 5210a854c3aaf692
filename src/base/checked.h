/* SPDX-License-Identifier: MIT */
/* Checked arithmetic on sizes that come from a file. Each returns true on overflow, and then leaves
 * *out alone; `if (ldm_mul_u64(a, b, &n)) return ldm_error_set(...)` is the idiom. */
#ifndef LDM_BASE_CHECKED_H
#define LDM_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool ldm_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b && a > UINT64_MAX / b)
        return true;
    *out = a * b;
    return false;
}

static inline bool ldm_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a > UINT64_MAX - b)
        return true;
    *out = a + b;
    return false;
}

static inline bool ldm_mul_size(uint64_t a, uint64_t b, size_t *out)
{
    if (b && a > SIZE_MAX / b)
        return true;
    *out = (size_t)(a * b);
    return false;
}

static inline bool ldm_add_size(uint64_t a, uint64_t b, size_t *out)
{
    if (b > SIZE_MAX || a > SIZE_MAX - b)
        return true;
    *out = (size_t)(a + b);
    return false;
}

#endif
