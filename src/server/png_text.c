/* SPDX-License-Identifier: MIT */
/* Text chunks of a PNG; see png_text.h. PNG specification, sections 5.3 and 11.3.4. */
#include "server/png_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { SIGNATURE = 8, AROUND = 12 }; /* around a chunk's data: length, name, sum */

static uint32_t get_u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* tEXt is Latin-1. */
static void append_latin1(ldm_str *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};

        if (c >= 0x80)
            ldm_str_append(out, two, 2);
        else if (c)
            ldm_str_append(out, text + i, 1);
    }
}

/* After the keyword: two bytes about compression, a language and a translated keyword, each with a
 * NUL. */
static void append_international(ldm_str *out, const char *at, size_t size)
{
    const char *end = at + size;

    if (size < 2 || at[0])
        return;
    at += 2;
    for (int i = 0; i < 2; i++) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));

        if (!nul)
            return;
        at = nul + 1;
    }
    while (at < end) { /* whole characters of UTF-8 alone */
        const size_t n = ldm_utf8_len(at, (size_t)(end - at));

        if (n && *at)
            ldm_str_append(out, at, n);
        at += n ? n : 1;
    }
}

void ldm_png_append_text(ldm_str *out, const char *png, size_t size, const char *keyword)
{
    const size_t len = strlen(keyword) + 1;

    if (size < SIGNATURE || memcmp(png, "\x89PNG\r\n\x1a\n", SIGNATURE) != 0)
        return;
    for (size_t at = SIGNATURE; size - at >= AROUND;) {
        const size_t bytes = get_u32(png + at);
        const char *name = png + at + 4, *data = png + at + 8;

        if (bytes > size - at - AROUND)
            return;
        if (bytes >= len && !memcmp(data, keyword, len)) {
            if (!memcmp(name, "tEXt", 4)) {
                append_latin1(out, data + len, bytes - len);
                return;
            }
            if (!memcmp(name, "iTXt", 4)) {
                append_international(out, data + len, bytes - len);
                return;
            }
        }
        at += bytes + AROUND;
    }
}
