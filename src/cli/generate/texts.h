/* SPDX-License-Identifier: MIT */
/* Texts from files for ldm generate: a list of prompts, and names of classes. */
#ifndef LDM_CLI_TEXTS_H
#define LDM_CLI_TEXTS_H

#include "cli/generate/generate.h"
#include "cli/generate/lines.h"

/* --class-names and --prompts: sets the job's classes and prompts. The prompts must live as long as
 * its runs. An exit code. */
int ldm_texts_apply(const ldm_command *cmd, const ldm_generate_opts *o, ldm_lines *prompts,
                    ldm_lines *class_names);

#endif
