/* SPDX-License-Identifier: MIT */
/* Weights by the formulas of tests/data/inception/make_reference.py, for
 * tests of published measures without anybody's weights. */
#ifndef LDM_TESTS_SUPPORT_MADE_INCEPTION_H
#define LDM_TESTS_SUPPORT_MADE_INCEPTION_H

#include "made_picture.h"

/* Writes the network's weights as safetensors, with so many classes: 1008, or another number for
 * another network's weights. 0, or 1 with the reason on stderr. */
int made_inception(const char *out, int classes);

#endif
