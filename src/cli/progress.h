/* A progress bar on stderr, drawn only where stderr is a terminal. */
#ifndef LDM_CLI_PROGRESS_H
#define LDM_CLI_PROGRESS_H

#include <stdbool.h>

#include <ldm/ldm.h>

typedef struct ldm_bar {
    bool on;      /* stderr is a terminal */
    bool drawn;   /* a bar stands in the current line */
    double start; /* when the first step began; 0 before */
    double base;  /* steps of pictures before the first one that is made here (--resume) */
    double last;  /* when the bar was last drawn */
    double steps; /* steps done since start, over all batches */
} ldm_bar;

void ldm_bar_init(ldm_bar *b);

/* Draws what the library's callback reports, at most ten times a second. */
void ldm_bar_update(ldm_bar *b, const ldm_progress *p);

/* Wipes the bar, so that a message can be printed; the next update draws it again. */
void ldm_bar_clear(ldm_bar *b);

#endif
