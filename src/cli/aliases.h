/* SPDX-License-Identifier: MIT */
/* How CompVis' scripts (sample_diffusion.py, txt2img.py, img2img.py, main.py) spell options of
 * ours, and diffusers and AUTOMATIC1111's web UI. In all names '_' and '-' are the same. */
#ifndef LDM_CLI_ALIASES_H
#define LDM_CLI_ALIASES_H

#include "cli/cli.h"

typedef struct ldm_alias {
    const char *there;             /* "custom_steps" for --custom_steps */
    char letter;                   /* 'c' for -c; 0: none */
    const char *here;              /* "steps"; of an option that does nothing here NULL */
    const char *value;             /* what the option says without a value, NULL: it has one */
    const char *also, *also_value; /* a second setting that it says where the line does not */
    bool others;                   /* not CompVis' spelling */
    bool schedule;                 /* its value may name a schedule: see ldm_alias_schedule */

    const char *idle;   /* why it has no effect here; NULL: it has one */
    const char *beside; /* commands with this option understand it all the same */
    const char *arg;    /* the name of its value; NULL: it has none */
    const char *only;   /* the value that it may have, NULL: any; else it is refused: */
    const char *refusal;
} ldm_alias;

/* NULL after the last. */
const ldm_alias *ldm_alias_at(size_t i);

/* Whether two names are the same, and whether `name` begins with the other. */
bool ldm_alias_same(const char *a, const char *b);
bool ldm_alias_begins(const char *name, const char *with);

/* What another program's value of an option is called here; NULL: it is no such value. *others
 * becomes true where that is not CompVis' spelling. */
const char *ldm_alias_value(const char *option, const char *text, bool *others);

/* A schedule of ComfyUI, or "Schedule type" of AUTOMATIC1111's web UI. */
typedef struct ldm_alias_schedule_row {
    const char *there; /* "sgm_uniform"; case, '_', '-' and ' ' do not matter */
    const char *here;  /* the same thing as --timesteps; NULL: none is */
    bool own;          /* it is what the sampler does by itself */
    const char *near;  /* what comes near it; NULL: nothing */
} ldm_alias_schedule_row;

/* The schedule that is the value of an option of this row (NULL: no other spelling); NULL: it is
 * none. diffusers calls its samplers schedulers, so ddim is one there. */
const ldm_alias_schedule_row *ldm_alias_schedule(const ldm_alias *a, const char *text);

/* Whether the option `word`, or the letter if it is not 0, is one of theirs that has no
 * counterpart; that is said as an error. */
bool ldm_alias_refused(const ldm_command *cmd, const char *word, char letter);

#endif
