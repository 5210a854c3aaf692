/* SPDX-License-Identifier: MIT */
/* Text in picture files: UTF-8 or Latin-1. Private to this room. */
#ifndef LDM_IMAGE_PICTURE_TEXT_H
#define LDM_IMAGE_PICTURE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* True if all of s is UTF-8 (RFC 3629: no overlong forms, no surrogates). Otherwise *at, which may
 * be NULL, is the offset of the first byte that is not. */
bool ldm_text_is_utf8(const char *s, size_t *at);

/* Latin-1 as UTF-8, NUL-terminated: characters above 0x7f take two bytes. Returns the bytes with
 * the NUL; out may be NULL to count only. */
size_t ldm_text_from_latin1(const char *s, size_t len, char *out);

#endif
