/* SPDX-License-Identifier: MIT */
/* PNG decoding of arbitrary bytes, and the texts in them, where a recipe would be. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "image/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile size_t length = 0; /* keeps the reads */
    ldm_text *texts;
    ldm_pixels p;
    ldm_error err;
    size_t count, i;

    if (!ldm_png_read_pixels_memory(data, size, "fuzz.png", 1 << 20, &p, &err))
        ldm_pixels_free(&p);
    if (!ldm_png_read_texts_memory(data, size, "fuzz.png", &texts, &count, &err)) {
        for (i = 0; i < count; i++)
            length += strlen(texts[i].key) + strlen(texts[i].value);
        ldm_free(texts);
    }
    (void)length;
    return 0;
}
