/* SPDX-License-Identifier: MIT */
/* Bytes that nobody can foresee, from the system. */
#ifndef LDM_BASE_RANDOM_H
#define LDM_BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* False where the system gives none. */
bool ldm_random_bytes(void *out, size_t size);

/* The same as 2 * size digits 0-9a-f and a NUL. */
bool ldm_random_hex(char *out, size_t size);

#endif
