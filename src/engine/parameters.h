/* SPDX-License-Identifier: MIT */
/* Inside the room: a recipe as the line of settings that stable-diffusion-webui (AUTOMATIC1111)
 * keeps in its pictures under "parameters", which many tools for pictures read. */
#ifndef LDM_ENGINE_PARAMETERS_H
#define LDM_ENGINE_PARAMETERS_H

#include "base/str.h"

/* Of the picture with this recipe (JSON): prompt, "Negative prompt: ...", "Steps: 20, Sampler:
 * Euler a, ...". Without a prompt, or with an empty one, the text begins at the line after it, as
 * webui's does. Nothing is written for a text that is no recipe of a sampled picture. False: out of
 * memory. */
bool ldm_parameters_write(const char *recipe, int width, int height, ldm_str *out);

#endif
