/* SPDX-License-Identifier: MIT */
/* Elements of any stored type to f32. Private to this room. */
#ifndef LDM_CHECKPOINT_CONVERT_H
#define LDM_CHECKPOINT_CONVERT_H

#include <stddef.h>

#include "checkpoint/checkpoint.h"

/* dst[i] = element i * stride of src, for i < count; src need not be aligned. Rounds to nearest
 * even; f16, bf16 and float8 are exact, NaN payloads kept. dtype must be readable
 * (ldm_dtype_readable). */
void ldm_convert_f32(ldm_dtype dtype, const unsigned char *src, size_t stride, size_t count,
                     float *dst);

#endif
