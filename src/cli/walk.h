/* SPDX-License-Identifier: MIT */
/* What a picture of `ldm interpolate` says of itself: the recipe of a frame, with the walk that it
 * is of, since no recipe of its own makes it again. */
#ifndef LDM_CLI_WALK_H
#define LDM_CLI_WALK_H

#include <jansson.h>

#include "cli/opts.h"

typedef struct ldm_walk {
    const char *a, *b; /* the ends as they were typed; b NULL: that of A */
    int frames;
    char *command; /* makes the walk again */
} ldm_walk;

/* Before the job is changed: sets w->command of what the line says. False: no memory. */
bool ldm_walk_begin(ldm_walk *w, const ldm_targets *to, const ldm_opt_list *prompts_to);
void ldm_walk_free(ldm_walk *w);

/* The library's recipe of a frame, with the walk in it; frame -1: of all of them. free() it; NULL:
 * no memory. */
char *ldm_walk_recipe(const ldm_walk *w, const char *recipe, int frame);

/* Whether a recipe (NULL: none) is of a walk; then that is said, as what --like cannot repeat. */
bool ldm_walk_refused(const ldm_command *cmd, const char *path, const json_t *recipe);

#endif
