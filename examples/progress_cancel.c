/* Watches a run and stops it after three steps, then goes on with the same run: the picture is the
 * one that an unbroken run makes. Also lists what a job can be told, as a front end would. */
#include <stdio.h>

#include <ldm/ldm.h>

typedef struct watch {
    int stop_after; /* steps; 0: never */
} watch;

/* Called on the thread of ldm_run_next, after each step; nonzero stops there. */
static int on_progress(void *ctx, const ldm_progress *p)
{
    const watch *w = ctx;

    printf("%s: step %d of %d\n", p->stage, p->step, p->step_count);
    return w->stop_after && p->step >= w->stop_after;
}

static void list_settings(void)
{
    size_t i;

    for (i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *value = ldm_setting_default(row);

        printf("%-12s %s\n", ldm_setting_key(row), value ? value : "(chosen)");
    }
}

int main(void)
{
    watch w = {3};
    ldm_model *model = NULL;
    ldm_job *job = NULL;
    ldm_run *run = NULL;
    const ldm_result *picture = NULL;
    ldm_error err;
    ldm_status st;

    list_settings();
    if (ldm_model_open(NULL, &model, &err) || /* the model that comes with ldm */
        ldm_job_create(model, &job, &err) || ldm_job_set(job, "steps", "5", &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    ldm_job_set_progress(job, on_progress, &w);
    st = ldm_run_create(model, job, &run, &err);
    if (!st)
        st = ldm_run_next(run, &picture, &err);
    if (st == LDM_ERR_CANCELLED) {
        printf("stopped: %s\n", err.msg);
        w.stop_after = 0;
        st = ldm_run_next(run, &picture, &err); /* the same picture, from its first step */
    }
    if (st || !picture)
        fprintf(stderr, "%s\n", err.msg);
    else
        printf("picture of seed %llu is done\n", (unsigned long long)picture->seed);
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_model_close(model);
    return st ? 1 : 0;
}
