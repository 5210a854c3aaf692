/* SPDX-License-Identifier: MIT */
/* Pictures in a terminal: what they look like so far, redrawn in place. */
#ifndef LDM_CLI_VIEW_H
#define LDM_CLI_VIEW_H

#include "cli/cli.h"

typedef enum ldm_view_kind {
    LDM_VIEW_NONE,
    LDM_VIEW_KITTY,  /* the graphics protocol of kitty (also Ghostty, WezTerm, Konsole) */
    LDM_VIEW_ITERM2, /* its inline images (also WezTerm, mintty) */
    LDM_VIEW_SIXEL,
    LDM_VIEW_BLOCKS /* two pixels a character, in 24-bit colours: any terminal of today */
} ldm_view_kind;

typedef struct ldm_view {
    ldm_view_kind kind;
    FILE *f;
    int rows; /* of the terminal that are taken; 0: nothing was drawn yet */
} ldm_view;

/* "auto" (what the terminal of f says of itself; none where f is no terminal), "kitty", "iterm2",
 * "sixel" or "blocks". */
ldm_view_kind ldm_view_choose(const char *name, FILE *f);

/* Draws the preview of p side by side, as many as the terminal is wide for, over the last one. */
void ldm_view_draw(ldm_view *v, const ldm_progress *p);

#endif
