/* SPDX-License-Identifier: MIT */
/* Base64; see base64.h. */
#include "server/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

size_t ldm_base64_room(size_t len)
{
    return len / 4 * 3 + 3;
}

bool ldm_base64_decode(const char *text, size_t len, uint8_t *out, size_t cap, size_t *bytes)
{
    uint32_t held = 0;
    size_t digits = 0, padding = 0, n = 0;

    *bytes = 0;
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        const int v = value_of(c);

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        if (c == '=') {
            padding++;
            continue;
        }
        if (v < 0 || padding)
            return false;
        held = held << 6 | (uint32_t)v;
        if (digits++ % 4 == 0) /* the first six bits fill no byte */
            continue;
        if (n == cap)
            return false;
        out[n++] = (uint8_t)(held >> (2 * (3 - (digits - 1) % 4)));
    }
    if (digits % 4 == 1 || padding > 2)
        return false;
    *bytes = n;
    return true;
}

void ldm_base64_append(ldm_str *out, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 3) {
        const size_t n = bytes - i < 3 ? bytes - i : 3;
        const uint32_t v = (uint32_t)data[i] << 16 | (n > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                           (n > 2 ? data[i + 2] : 0);
        const char four[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
                              n > 1 ? alphabet[v >> 6 & 63] : '=', n > 2 ? alphabet[v & 63] : '='};

        ldm_str_append(out, four, sizeof four);
    }
}
