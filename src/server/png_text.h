/* SPDX-License-Identifier: MIT */
/* A text chunk in a PNG that is in memory. */
#ifndef LDM_SERVER_PNG_TEXT_H
#define LDM_SERVER_PNG_TEXT_H

#include <stddef.h>

#include "base/str.h"

/* Appends the text of the first tEXt chunk, or iTXt chunk that is not compressed, of that keyword:
 * as UTF-8, or nothing where there is none or the file is cut off before its end. */
void ldm_png_append_text(ldm_str *out, const char *png, size_t size, const char *keyword);

#endif
