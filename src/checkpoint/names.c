/* SPDX-License-Identifier: MIT */
/* Sorted names; see names.h. */
#include "checkpoint/names.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    const ldm_name *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order)
        return order;
    return x->index < y->index ? -1 : x->index > y->index;
}

size_t ldm_names_sort(ldm_name *names, size_t count)
{
    size_t i;

    if (count)
        qsort(names, count, sizeof *names, by_name);
    for (i = 1; i < count; i++) {
        if (!strcmp(names[i - 1].name, names[i].name))
            return i;
    }
    return count;
}

const ldm_name *ldm_names_find(const ldm_name *names, size_t count, const char *name)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(name, names[mid].name);

        if (!order)
            return &names[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}
