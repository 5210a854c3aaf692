/* SPDX-License-Identifier: MIT */
/* The .npy reader on arbitrary bytes. What it accepts must be as large as its shape says. */
#include <stddef.h>
#include <stdint.h>

#include "image/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile float sink = 0;
    ldm_npy a;
    ldm_error err;
    uint64_t i;

    if (ldm_npy_read_memory(data, size, "fuzz.npy", &a, &err))
        return 0;
    for (i = 0; i < a.numel; i++)
        sink = a.data[i];
    (void)sink;
    ldm_npy_free(&a);
    return 0;
}
