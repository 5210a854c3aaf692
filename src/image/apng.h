/* SPDX-License-Identifier: MIT */
/* Animations that browsers play. */
#ifndef LDM_IMAGE_APNG_H
#define LDM_IMAGE_APNG_H

#include "image/picture.h"

/* Writes an animated PNG (PNG specification, third edition, section 11.3.5), atomically: frames of
 * one size and `channels` 1, 3 or 4, each shown for `ms` milliseconds, again and again. Programs
 * that know no animations show the first. The same bytes for the same input. LDM_ERR_USAGE for
 * frames of two kinds, or none. text may be NULL. */
ldm_status ldm_apng_write(const char *path, const ldm_pixels *frames, size_t count, unsigned ms,
                          const ldm_text *text, ldm_error *err);

#endif
