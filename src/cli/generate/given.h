/* SPDX-License-Identifier: MIT */
/* What the files on a line give to a job: arrays, pictures, a layout, prompts, names of classes. */
#ifndef LDM_CLI_GIVEN_H
#define LDM_CLI_GIVEN_H

#include "cli/generate/generate.h"
#include "cli/generate/texts.h"

/* The job borrows them: they must live as long as its runs. Zeroed: nothing is given. */
typedef struct ldm_given {
    ldm_given_arrays arrays;
    ldm_starts starts;
    ldm_lines prompts, class_names;
} ldm_given;

/* Reads the files that the options name, and gives what is in them to o->to.job. Pictures are held
 * against those of the recipe that --like names; recipe NULL: there is none. An exit code. */
int ldm_given_read(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_recipe *recipe,
                   ldm_given *g);
void ldm_given_free(ldm_given *g);

#endif
