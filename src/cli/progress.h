/* SPDX-License-Identifier: MIT */
/* A progress bar on stderr, drawn only where stderr is a terminal that can draw a line again. */
#ifndef LDM_CLI_PROGRESS_H
#define LDM_CLI_PROGRESS_H

#include <stdbool.h>

#include <ldm/ldm.h>

/* Time and work of one of the two stages. */
typedef struct ldm_bar_stage {
    double seconds, done; /* so far */
    double work;          /* of a whole picture; any unit, the same for both */
} ldm_bar_stage;

typedef struct ldm_bar {
    struct ldm_view *view; /* pictures so far are drawn there (view.h); NULL: nowhere */
    bool on;               /* it is to be drawn */
    bool drawn;            /* a bar stands in the current line */
    double drawn_at;
    double asked;  /* when the last report came; 0: none yet */
    bool decoding; /* the stage of the last report */
    int picture;   /* that it decoded */
    int steps;     /* done, over all batches */
    int count;     /* pictures to make; 0: as many as the report says */
    ldm_bar_stage sampling, decode;
} ldm_bar;

void ldm_bar_init(ldm_bar *b);

/* What a run will take: one estimate of the time covers sampling and decoding. kept: pictures of it
 * that need not be made. */
void ldm_bar_expect(ldm_bar *b, const ldm_run_info *ri, int kept);

/* Draws what the library's callback reports, at most ten times a second, as wide as fits. */
void ldm_bar_update(ldm_bar *b, const ldm_progress *p);

/* Wipes the bar, so that a message can be printed; the next update draws it again. */
void ldm_bar_clear(ldm_bar *b);

#endif
