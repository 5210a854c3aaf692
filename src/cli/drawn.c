/* SPDX-License-Identifier: MIT */
/* Seeds that nobody chose; see drawn.h. */
#include "cli/drawn.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

bool ldm_drawn_seed(const ldm_setting_row *row, const char *value, char text[LDM_DRAWN_TEXT])
{
    const char *key = ldm_setting_key(row);
    uint32_t number = 0;
    FILE *f;
    bool drawn;

    if (!value || (strcmp(value, "-1") && strcmp(value, "random")) ||
        (strcmp(key, "seed") && strcmp(key, "vary")))
        return false;
    f = fopen("/dev/urandom", "rb");
    drawn = f && fread(&number, sizeof number, 1, f) == 1;
    if (f)
        fclose(f);
    if (drawn)
        snprintf(text, LDM_DRAWN_TEXT, "%" PRIu32, number);
    return drawn;
}
