/* SPDX-License-Identifier: MIT */
/* JPEG decoding of arbitrary bytes, the comments in them, where a recipe would be, and EXIF. The
 * same bytes are tried as a file of any kind, so that pixels of PNG are turned and converted, too.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "image/exif.h"
#include "image/jpeg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile size_t length = 0; /* keeps the reads */
    ldm_text *texts;
    ldm_pixels p;
    ldm_error err;
    size_t count, i;

    if (!ldm_pixels_read_memory(data, size, "fuzz.jpg", size % 5, 1 << 20, &p, &err)) {
        for (i = 0; i < (size_t)p.width * p.height * p.channels; i += 64)
            length += p.data[i];
        ldm_pixels_free(&p);
    }
    if (!ldm_jpeg_read_texts_memory(data, size, "fuzz.jpg", &texts, &count, &err)) {
        for (i = 0; i < count; i++)
            length += strlen(texts[i].key) + strlen(texts[i].value);
        ldm_free(texts);
    }
    length += (size_t)ldm_exif_orientation(data, size);
    (void)length;
    return 0;
}
