/* SPDX-License-Identifier: MIT */
/* UTF-8 and Latin-1 of text chunks and comments. */
#include "image/picture_text.h"

/* Bytes of the UTF-8 sequence at s (RFC 3629), 0 if it is not one. */
static int utf8_length(const unsigned char *s)
{
    int len, i;

    if (s[0] < 0x80)
        return 1;
    len = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
          : s[0] >= 0xe0 && s[0] <= 0xef ? 3
          : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                         : 0;
    for (i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) /* a NUL ends here too */
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0; /* overlong, a surrogate, beyond U+10FFFF */
    return len;
}

bool ldm_text_is_utf8(const char *s, size_t *at)
{
    const unsigned char *p = (const unsigned char *)s;

    while (*p) {
        const int n = utf8_length(p);

        if (!n) {
            if (at)
                *at = (size_t)((const char *)p - s);
            return false;
        }
        p += n;
    }
    return true;
}

size_t ldm_text_from_latin1(const char *s, size_t len, char *out)
{
    size_t used = 0, i;

    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= 0x80) {
            if (out)
                out[used] = (char)(0xc0 | c >> 6);
            used++;
            c = 0x80 | (c & 0x3f);
        }
        if (out)
            out[used] = (char)c;
        used++;
    }
    if (out)
        out[used] = '\0';
    return used + 1;
}
