/* SPDX-License-Identifier: MIT */
/* The loop over a run's pictures; see sampling.h. */
#include "cli/sampling.h"

#include "cli/view.h"
#include "cli/signals.h"

int ldm_sampling_progress(void *ctx, const ldm_progress *p)
{
    ldm_bar *bar = ctx;

    if (bar->view && p->preview) {
        ldm_bar_clear(bar);
        ldm_view_draw(bar->view, p);
    }
    ldm_bar_update(bar, p);
    return ldm_signals_interrupted() != 0;
}

void ldm_sampling_watch(ldm_job *job, ldm_bar *bar)
{
    ldm_job_set_progress(job, ldm_sampling_progress, bar);
    ldm_job_set_cancel(job, ldm_signals_stop, NULL);
}

int ldm_sampling_run(ldm_sampling *s,
                     int (*each)(void *ctx, const ldm_result *r, const ldm_error *why), void *ctx)
{
    const ldm_result *r;
    ldm_error err;
    int code = LDM_EXIT_OK;

    while (!code) {
        double begin = ldm_cli_now();
        ldm_status st = ldm_run_next(s->run, &r, &err);

        s->seconds += ldm_cli_now() - begin;
        if (st == LDM_ERR_CANCELLED) {
            s->cancelled = true;
            break;
        }
        if (st) {
            s->status = st;
            s->error = err;
            code = LDM_EXIT_FAILED;
        } else if (!r) {
            break;
        } else {
            if (r->status)
                ldm_bar_clear(s->bar);
            code = each(ctx, r, &err);
        }
    }
    ldm_bar_clear(s->bar);
    return code;
}

int ldm_sampling_no_report(const ldm_command *cmd)
{
    ldm_cli_say(cmd,
                "interrupted: the pictures that are done are kept, and there is no report; the "
                "same command with --overwrite begins again");
    return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
}
