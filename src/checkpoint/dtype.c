/* SPDX-License-Identifier: MIT */
/* The types of a tensor's elements. */
#include "checkpoint/checkpoint.h"

static const struct {
    const char *name;
    size_t bytes;
    bool readable;
} dtypes[LDM_DTYPE_COUNT] = {
#define ROW(id, name, bytes, readable) {name, bytes, readable},
    LDM_DTYPE_LIST(ROW)
#undef ROW
};

const char *ldm_dtype_name(ldm_dtype d)
{
    return (size_t)d < LDM_DTYPE_COUNT ? dtypes[d].name : "?";
}

size_t ldm_dtype_size(ldm_dtype d)
{
    return (size_t)d < LDM_DTYPE_COUNT ? dtypes[d].bytes : 0;
}

bool ldm_dtype_readable(ldm_dtype d)
{
    return (size_t)d < LDM_DTYPE_COUNT && dtypes[d].readable;
}
