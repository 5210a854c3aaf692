/* SPDX-License-Identifier: MIT */
/* Numbers in order; see sort.h. */
#include "base/sort.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void ldm_sort_doubles(double *v, size_t n)
{
    if (n)
        qsort(v, n, sizeof *v, by_value);
}
