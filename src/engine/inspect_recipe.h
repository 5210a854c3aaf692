/* SPDX-License-Identifier: MIT */
/* The report on a picture: the recipe in it. */
#ifndef LDM_ENGINE_INSPECT_RECIPE_H
#define LDM_ENGINE_INSPECT_RECIPE_H

#include <stdbool.h>

#include <ldm/ldm.h>

#include "base/str.h"

/* Whether the regular file begins as a PNG or a JPEG; a pipe is not waited for. */
bool ldm_looks_like_picture(const char *path);

/* Appends the recipe: as a JSON object, else a line a value; all: with the configuration's lines.
 * LDM_ERR_FORMAT: there is none, or it is damaged. */
ldm_status ldm_inspect_recipe(const char *path, bool json, bool all, ldm_str *out, ldm_error *err);

#endif
