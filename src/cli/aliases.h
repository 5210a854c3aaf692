/* SPDX-License-Identifier: MIT */
/* How CompVis' scripts (sample_diffusion.py, txt2img.py, img2img.py, main.py) spell options of
 * ours, and diffusers and AUTOMATIC1111's web UI. */
#ifndef LDM_CLI_ALIASES_H
#define LDM_CLI_ALIASES_H

#include "cli/cli.h"

typedef struct ldm_alias {
    const char *there;             /* "custom_steps" for --custom_steps */
    char letter;                   /* 'c' for -c; 0: none */
    const char *here;              /* "steps" */
    const char *value;             /* what the option says without a value, NULL: it has one */
    const char *also, *also_value; /* a second setting that it says where the line does not */
    bool others;                   /* not CompVis' spelling */
} ldm_alias;

/* NULL after the last. */
const ldm_alias *ldm_alias_at(size_t i);

/* Whether the option `word` is one of theirs that has no counterpart; that is said as an error. */
bool ldm_alias_refused(const ldm_command *cmd, const char *word);

#endif
