/* SPDX-License-Identifier: MIT */
/* Checkpoints with random weights for any configuration, written when a test needs them: a kind of
 * model is tested without a file of weights for it. */
#ifndef LDM_TESTS_SUPPORT_MADE_H
#define LDM_TESTS_SUPPORT_MADE_H

#include <stdbool.h>

/* Writes a safetensors file with all tensors of the configuration's state_dict(). Values follow
 * from a tensor's name and seed; schedules are the configuration's. 0, or 1 with the reason on
 * stderr. */
int made_checkpoint(const char *config, unsigned seed, const char *out);
/* wide: as float64 numbers that no float32 is. */
int made_checkpoint_as(const char *config, unsigned seed, bool wide, const char *out);

#endif
