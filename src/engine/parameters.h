/* SPDX-License-Identifier: MIT */
/* Inside the room: a recipe as the line of settings that stable-diffusion-webui (AUTOMATIC1111)
 * keeps in its pictures under "parameters", which many tools for pictures read. */
#ifndef LDM_ENGINE_PARAMETERS_H
#define LDM_ENGINE_PARAMETERS_H

#include "base/str.h"

/* Of the picture with this recipe (JSON): prompt, "Negative prompt: ...", "Steps: 20, Sampler:
 * Euler a, ...". Nothing is written for a recipe without a prompt, or for a text that is none.
 * False: out of memory. */
bool ldm_parameters_write(const char *recipe, int width, int height, ldm_str *out);

#endif
