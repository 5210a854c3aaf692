/* SPDX-License-Identifier: MIT */
/* Inside the room: a recipe as the line of settings that stable-diffusion-webui (AUTOMATIC1111)
 * keeps in its pictures under "parameters", which many tools for pictures read. */
#ifndef LDM_ENGINE_PARAMETERS_H
#define LDM_ENGINE_PARAMETERS_H

#include "base/error.h"
#include "base/str.h"
#include "image/picture.h"

/* A sampler, by its row's name, as webui calls it ("Euler a"); others by ours. */
const char *ldm_parameters_sampler(const char *name);

/* Of the picture with this recipe (JSON): prompt, "Negative prompt: ...", "Steps: 20, Sampler:
 * Euler a, ...". Without a prompt, or with an empty one, the text begins at the line after it, as
 * webui's does. Nothing is written for a text that is no recipe of a sampled picture. False: out of
 * memory. */
bool ldm_parameters_write(const char *recipe, int width, int height, ldm_str *out);

/* The text chunks of a PNG that ldm writes: the program, and with a recipe (NULL: none) this and
 * the line of settings that other tools read. */
#define LDM_RECIPE_KEY "ldm"
typedef struct ldm_png_texts {
    ldm_text items[3];
    size_t count;
    ldm_str parameters;
    char *recipe;
} ldm_png_texts;
ldm_status ldm_png_texts_make(const char *recipe, int width, int height, ldm_png_texts *out,
                              ldm_error *err);
void ldm_png_texts_free(ldm_png_texts *t); /* a zeroed struct is fine */

#endif
