/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once, for what a parser builds. The arena takes larger and larger
 * blocks; objects never move. In builds with AddressSanitizer each object is a heap block of its
 * own, so that an overrun is noticed. */
#ifndef LDM_BASE_ARENA_H
#define LDM_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct ldm_arena ldm_arena;

/* limit: the most bytes that may be handed out in all; 0 for no limit. NULL when out of memory. */
ldm_arena *ldm_arena_create(uint64_t limit);
void ldm_arena_free(ldm_arena *a); /* NULL is fine */

/* Zeroed, aligned for any type. NULL when out of memory, over the limit, or on overflow. */
void *ldm_arena_alloc(ldm_arena *a, size_t count, size_t size);
char *ldm_arena_strndup(ldm_arena *a, const char *s, size_t len);
char *ldm_arena_strdup(ldm_arena *a, const char *s);
char *ldm_arena_printf(ldm_arena *a, const char *fmt, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

uint64_t ldm_arena_used(const ldm_arena *a);  /* bytes handed out */
int ldm_arena_over_limit(const ldm_arena *a); /* nonzero if an allocation failed for the limit */

#endif
