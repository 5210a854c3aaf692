/* A text chunk in a PNG that is in memory. */
#ifndef LDM_SERVER_PNG_TEXT_H
#define LDM_SERVER_PNG_TEXT_H

#include <stddef.h>

#include "base/str.h"

/* Appends png to out with one iTXt chunk more (UTF-8, not compressed; "tEXt" where the text is
 * ASCII), right after its first chunk; a file that is no PNG goes through as it is. keyword: 1 to
 * 79 ASCII letters. */

void ldm_png_append_with(ldm_str *out, const char *png, size_t size, const char *keyword,
                         const char *text);

#endif
