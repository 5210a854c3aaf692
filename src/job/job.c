/* SPDX-License-Identifier: MIT */
/* The structs behind the public objects: how they begin, and what a run makes of a job. */
#include "job/job.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

ldm_status ldm_job_begin(ldm_job *job, ldm_error *err)
{
    return ldm_options_init(&job->options, LDM_SETTINGS_JOB, err);
}

void ldm_job_borrow(ldm_job *out, const ldm_job *job)
{
#define TAKE(name) out->name = job->name;
    LDM_JOB_ARRAYS(TAKE)
#undef TAKE
    out->prompts = job->prompts;
    out->prompt_count = job->prompt_count;
    out->inverse = job->inverse;
#define TAKE_IMAGES(name)                                                                          \
    out->name##_images = job->name##_images;                                                       \
    out->name##_count = job->name##_count;
    LDM_JOB_IMAGES(TAKE_IMAGES)
#undef TAKE_IMAGES
    out->skip = job->skip;
    out->skip_ctx = job->skip_ctx;
    out->cancel = job->cancel;
    out->cancel_ctx = job->cancel_ctx;
    out->progress = job->progress;
    out->ctx = job->ctx;
}

ldm_status ldm_job_resolve(const ldm_job *job, const ldm_job *config, ldm_job *out, ldm_error *err)
{
    ldm_status st;

    *out = (ldm_job){0};
    st = ldm_job_begin(out, err);
    if (!st && job)
        st = ldm_options_lay_below(&out->options, &job->options, err);
    if (!st)
        st = ldm_options_lay_below(&out->options, &config->options, err);
    if (!st && job)
        ldm_job_borrow(out, job);
    return st;
}

int ldm_model_options_ema(const ldm_model_options *opt)
{
    return ldm_options_given(&opt->options, "ema") ? opt->ema : -1;
}

ldm_status ldm_array_check(const ldm_array *a, const char *what, ldm_error *err)
{
    uint64_t numel = 1;
    bool overflow = false;
    int i;

    if (!a)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s is NULL", what);
    if (a->ndim < 1 || a->ndim > (int)(sizeof a->shape / sizeof a->shape[0]))
        return ldm_error_set(err, LDM_ERR_USAGE, "%s has %d dimensions, expected 1 to 8", what,
                             a->ndim);
    for (i = 0; i < a->ndim && !overflow; i++)
        overflow = ldm_mul_u64(numel, a->shape[i], &numel);
    if (overflow || numel != a->numel || numel > SIZE_MAX / sizeof *a->data)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s says that it has %llu elements, and its shape has another number",
                             what, (unsigned long long)a->numel);
    if (!a->data && numel)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s has no data", what);
    return LDM_OK;
}
