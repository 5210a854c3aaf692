/* SPDX-License-Identifier: MIT */
/* Names are sorted once and then found by binary search. There is no hash table, because the author
 * of a hostile file could choose names that collide. */
#ifndef LDM_CHECKPOINT_NAMES_H
#define LDM_CHECKPOINT_NAMES_H

#include <stddef.h>

typedef struct ldm_name {
    const char *name;
    size_t index; /* into whatever is named */
} ldm_name;

/* Sorts in place, equal names by index. Returns the position in `names` of the second of two equal
 * names, or `count` when all differ. */
size_t ldm_names_sort(ldm_name *names, size_t count);

/* The entry with that name in a sorted array, or NULL. */
const ldm_name *ldm_names_find(const ldm_name *names, size_t count, const char *name);

#endif
