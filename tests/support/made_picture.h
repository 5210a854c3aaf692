/* SPDX-License-Identifier: MIT */
/* Numbers and pictures by the formulas of tests/data/inception/make_reference.py. */
#ifndef LDM_TESTS_SUPPORT_MADE_PICTURE_H
#define LDM_TESTS_SUPPORT_MADE_PICTURE_H

#include <stdint.h>

/* Numbers from -1 to 1 by a hash of their place. */
float made_noise(uint32_t stream, uint32_t at);
/* Slopes and noise; rgb: [height][width][3]. */
void made_picture(int number, int width, int height, uint8_t *rgb);

#endif
