/* SPDX-License-Identifier: MIT */
// ldm.h as a C++ program uses it: it compiles, its names have C linkage, and a picture comes out.
#include <ldm/ldm.h>

#include <cstdio>
#include <string>

static int fail(const ldm_error &err)
{
    std::fprintf(stderr, "%s\n", err.msg);
    return 1;
}

int main()
{
    ldm_model_options *opt = nullptr;
    ldm_model *model = nullptr;
    ldm_job *job = nullptr;
    ldm_run *run = nullptr;
    const ldm_result *picture = nullptr;
    ldm_error err;

    if (ldm_model_options_create(&opt, &err) ||
        ldm_model_options_set(opt, "ckpt", "tests/data/golden/model.fp16.ckpt", &err) ||
        ldm_model_options_set(opt, "config", "tests/data/golden/config.yaml", &err) ||
        ldm_model_open(opt, &model, &err) || ldm_job_create(model, &job, &err) ||
        ldm_job_set_int(job, "steps", 2, &err) || ldm_run_create(model, job, &run, &err) ||
        ldm_run_next(run, &picture, &err))
        return fail(err);
    if (!picture || picture->channels != 3 ||
        std::string(ldm_version()).find('.') == std::string::npos)
        return 1;
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_model_close(model);
    ldm_model_options_free(opt);
    return 0;
}
