/* SPDX-License-Identifier: MIT */
/* Seeds that nobody chose. */
#ifndef LDM_CLI_DRAWN_H
#define LDM_CLI_DRAWN_H

#include <ldm/ldm.h>

enum { LDM_DRAWN_TEXT = 16 };

/* Whether the setting is a seed and the value -1 or "random", as other programs write a seed that
 * is drawn: then `text` is one, from the system's random numbers, below 2^32. */
bool ldm_drawn_seed(const ldm_setting_row *row, const char *value, char text[LDM_DRAWN_TEXT]);

#endif
