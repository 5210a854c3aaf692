/* PNG decoding of arbitrary bytes, as a start picture would be read. */
#include <stddef.h>
#include <stdint.h>

#include "image/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ldm_picture p;
    ldm_error err;

    if (!ldm_png_read_memory(data, size, "fuzz.png", 1 << 20, &p, &err))
        ldm_picture_free(&p);
    return 0;
}
