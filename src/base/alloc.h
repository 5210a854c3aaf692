/* SPDX-License-Identifier: MIT */
/* Every allocation of ldm goes through here, so that a test can make the n-th one fail. All
 * functions may return NULL, also where count times size overflows. */
#ifndef LDM_BASE_ALLOC_H
#define LDM_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Page sizes in bytes. A system with huge pages uses the larger one where it can. */
#define LDM_SMALL_PAGE ((size_t)4 << 10)
#define LDM_HUGE_PAGE ((size_t)2 << 20)

void *ldm_malloc(size_t bytes);
void *ldm_calloc(size_t count, size_t size);                /* zeroed */
void *ldm_reallocarray(void *p, size_t count, size_t size); /* p stays valid on failure */
char *ldm_strdup(const char *s);
char *ldm_strndup(const char *s, size_t len);
void ldm_free(void *p); /* NULL is fine */

/* Zeroed pages for weights and activations, 64-byte aligned at least, huge pages where the system
 * gives them. Release with ldm_pages_free and the same size. NULL when there are none. */
void *ldm_pages_alloc(size_t bytes);
void ldm_pages_free(void *p, size_t bytes);

/* Makes room for `need` elements in a growing array, doubling: *items is reallocated, *cap updated.
 * Returns false when out of memory; the array stays as it was. */
bool ldm_grow(void *items, size_t *cap, size_t need, size_t elem_size);

/* Test hook: the n-th call from now on (1 = the next) returns NULL, once; 0 switches it off.
 * Returns the number of calls since the last ldm_alloc_fail_at. Not for production code. */
unsigned long ldm_alloc_fail_at(unsigned long n);

#endif
