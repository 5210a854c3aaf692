/* SPDX-License-Identifier: MIT */
/* Cascades of arbitrary bytes; what loads must also run over a picture without harm. */
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "image/haar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SIDE = 24 };
    uint8_t grey[SIDE * SIDE];
    ldm_rect *found;
    ldm_haar *h;
    ldm_error err;
    size_t count;
    int i;

    if (ldm_haar_load_memory(data, size, "fuzz.xml", &h, &err))
        return 0;
    for (i = 0; i < SIDE * SIDE; i++)
        grey[i] = (uint8_t)(i * i / 3);
    if (!ldm_haar_detect(h, grey, SIDE, SIDE, 1.3, 1, &found, &count, &err))
        ldm_free(found);
    ldm_haar_free(h);
    return 0;
}
