/* SPDX-License-Identifier: MIT */
/* Seeds that nobody chose: --seed -1. */
#ifndef LDM_CLI_DRAWN_H
#define LDM_CLI_DRAWN_H

#include "cli/opts.h"

/* Says which seeds were drawn: "note: drawn at random: --seed 3201". For every command that takes
 * one. */
void ldm_drawn_say(const ldm_command *cmd, const ldm_targets *targets);

/* The first option whose value was drawn, "seed"; NULL: none. */
const char *ldm_drawn_first(const ldm_job *job);

#endif
