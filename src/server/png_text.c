/* Text chunks of a PNG; see png_text.h. PNG specification, sections 5.3 to 5.5 and 11.3.4. */
#include "server/png_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { SIGNATURE = 8, HEADER = SIGNATURE + 25 }; /* with IHDR: length, name, 13 bytes, sum */

static uint32_t crc(uint32_t c, const void *data, size_t size)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < size; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return c;
}

static void append_u32(ldm_str *out, uint32_t v)
{
    const char bytes[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};

    ldm_str_append(out, bytes, sizeof bytes);
}

static bool is_ascii(const char *s)
{
    while (*s && (unsigned char)*s < 0x80)
        s++;
    return !*s;
}

/* Name and data of the chunk, which its sum is of. */
static void append_body(ldm_str *out, const char *keyword, const char *text)
{
    const bool ascii = is_ascii(text);

    ldm_str_puts(out, ascii ? "tEXt" : "iTXt");
    ldm_str_append(out, keyword, strlen(keyword) + 1);
    if (!ascii)
        ldm_str_append(out, "\0\0\0\0",
                       4); /* not compressed, no method, no language, no translation */
    ldm_str_puts(out, text);
}

void ldm_png_append_with(ldm_str *out, const char *png, size_t size, const char *keyword,
                         const char *text)
{
    ldm_str body = {0};

    if (size < HEADER || memcmp(png, "\x89PNG\r\n\x1a\n", SIGNATURE) != 0) {
        ldm_str_append(out, png, size);
        return;
    }
    append_body(&body, keyword, text);
    ldm_str_append(out, png, HEADER);
    append_u32(out, (uint32_t)(body.len - 4));
    ldm_str_append(out, body.data ? body.data : "", body.len);
    append_u32(out, ~crc(0xffffffffu, body.data ? body.data : "", body.len));
    ldm_str_append(out, png + HEADER, size - HEADER);
    out->failed |= body.failed;
    ldm_str_free(&body);
}
