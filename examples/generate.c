/* Makes two pictures: cc generate.c $(pkg-config --cflags --libs ldmc) */
#include <stdio.h>

#include <ldm/ldm.h>

static int fail(const ldm_error *err)
{
    fprintf(stderr, "%s\n", err->msg);
    return 1;
}

int main(int argc, char **argv)
{
    ldm_model_options *options;
    ldm_model *model;
    ldm_job *job;
    ldm_run *run;
    const ldm_result *picture;
    ldm_error err;

    if (argc != 3) {
        fprintf(stderr, "usage: generate MODEL.ckpt CONFIG.yaml\n");
        return 2;
    }
    if (ldm_model_options_create(&options, &err) ||
        ldm_model_options_set(options, "ckpt", argv[1], &err) ||
        ldm_model_options_set(options, "config", argv[2], &err) ||
        ldm_model_open(options, &model, &err))
        return fail(&err);
    if (ldm_job_create(model, &job, &err) || ldm_job_set_u64(job, "seed", 7, &err) ||
        ldm_job_set_int(job, "count", 2, &err) || ldm_job_set_int(job, "steps", 20, &err) ||
        ldm_run_create(model, job, &run, &err))
        return fail(&err);
    for (;;) {
        if (ldm_run_next(run, &picture, &err))
            return fail(&err);
        if (!picture)
            break;
        if (picture->status) /* this one failed, the others go on */
            fprintf(stderr, "picture %d: %s\n", picture->index, err.msg);
        else
            printf("picture %d: %d x %d, first pixel %d\n", picture->index, picture->width,
                   picture->height, picture->pixels[0]);
    }
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_model_close(model);
    ldm_model_options_free(options);
    return 0;
}
