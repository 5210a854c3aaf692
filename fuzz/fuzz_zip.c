/* SPDX-License-Identifier: MIT */
/* Fuzz target: PyTorch zip files. */
#include "ckpt_fuzz.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_ckpt(data, size);
    return 0;
}
