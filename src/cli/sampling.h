/* SPDX-License-Identifier: MIT */
/* Taking the pictures out of a run, one by one, as `ldm generate` and `ldm compare` do. */
#ifndef LDM_CLI_SAMPLING_H
#define LDM_CLI_SAMPLING_H

#include "cli/cli.h"
#include "cli/progress.h"

typedef struct ldm_sampling {
    ldm_run *run;
    ldm_bar *bar;
    double seconds;    /* that the library took, added up */
    bool cancelled;    /* by an interrupt: what is done stays */
    ldm_status status; /* why the library gave up; LDM_OK: it did not */
    ldm_error error;
} ldm_sampling;

/* For ldm_job_set_progress; ctx is the bar. Draws it, and cancels after an interrupt. */
int ldm_sampling_progress(void *ctx, const ldm_progress *p);

/* Has ldm_sampling_progress draw the bar, and an interrupt end the step that is computed. */
void ldm_sampling_watch(ldm_job *job, ldm_bar *bar);

/* Passes every picture to `each`; r->status says whether it failed and `why` how. An exit code:
 * what `each` returned, which ends the run, or LDM_EXIT_FAILED where s->status says why, which is
 * the caller's to say. The bar is wiped in the end. */
int ldm_sampling_run(ldm_sampling *s,
                     int (*each)(void *ctx, const ldm_result *r, const ldm_error *why), void *ctx);

/* Says that an interrupt ended a run whose pictures were for a report. An exit code. */
int ldm_sampling_no_report(const ldm_command *cmd);

#endif
