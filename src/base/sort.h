/* SPDX-License-Identifier: MIT */
/* Numbers in order. */
#ifndef LDM_BASE_SORT_H
#define LDM_BASE_SORT_H

#include <stddef.h>

/* From the least to the largest; v holds no NaN. n may be 0. */
void ldm_sort_doubles(double *v, size_t n);

#endif
