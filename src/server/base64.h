/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648), with the alphabet of section 4. */
#ifndef LDM_SERVER_BASE64_H
#define LDM_SERVER_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Decodes len characters into out, which has room for `cap` bytes; blanks and line ends between
 * them are skipped, padding may be left out. False for other characters, a lone last one, and where
 * cap is too small. */
bool ldm_base64_decode(const char *text, size_t len, uint8_t *out, size_t cap, size_t *bytes);

/* Bytes that the decoding of len characters takes at most. */
size_t ldm_base64_room(size_t len);

void ldm_base64_append(ldm_str *out, const uint8_t *data, size_t bytes);

#endif
