/* SPDX-License-Identifier: MIT */
/* See support.h. */
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ldm_model *open_model(const plain_options *opt)
{
    ldm_error err = {.msg = ""};
    ldm_model *m;

    if (plain_model_open(opt, &m, &err))
        fail_msg("%s", err.msg);
    return m;
}

plain_options small_options(void)
{
    static const char *const configs[] = {SMALL_CONFIG};
    plain_options opt;

    plain_options_init(&opt);
    opt.ckpt = SMALL_CKPT;
    opt.configs = configs;
    opt.config_count = 1;
    opt.threads = 1;
    return opt;
}

ldm_model *open_small(void)
{
    plain_options opt = small_options();

    return open_model(&opt);
}

ldm_model *open_tiny(const char *max_isa)
{
    static const char *const configs[] = {TINY_CONFIG};
    plain_options opt;

    plain_options_init(&opt);
    opt.ckpt = TINY_CKPT;
    opt.configs = configs;
    opt.config_count = 1;
    opt.max_isa = max_isa;
    opt.threads = 1;
    return open_model(&opt);
}

plain_job short_job(int count)
{
    plain_job job;

    plain_job_init(&job);
    job.steps = 3;
    job.timesteps = "leading";
    job.eta = 1;
    job.count = count;
    job.threads = 1;
    return job;
}

output run_all(const ldm_model *m, const plain_job *job)
{
    ldm_error err = {.msg = ""};
    ldm_run_info info;
    output out = {0};
    size_t latent, image;
    ldm_run *run;
    int i;

    if (plain_run_create(m, job, &run, &err))
        fail_msg("%s", err.msg);
    info = *ldm_run_get_info(run);
    latent = (size_t)info.latent_c * (size_t)info.latent_h * (size_t)info.latent_w;
    image = 3 * (size_t)info.image_h * (size_t)info.image_w;
    out.per_picture = latent + image;
    out.floats = (size_t)info.count * out.per_picture;
    out.data = malloc(out.floats * sizeof *out.data);
    assert_non_null(out.data);
    for (i = 0; i < info.count; i++) {
        float *to = out.data + (size_t)i * out.per_picture;
        ldm_result res;
        bool have;

        if (plain_run_next(run, &res, &have, &err) || !have || res.status)
            fail_msg("picture %d: %s", i, err.msg);
        memcpy(to, res.latent, latent * sizeof *to);
        memcpy(to + latent, res.image, image * sizeof *to);
    }
    ldm_run_free(run);
    return out;
}

void expect_same(const char *what, const output *a, const output *b)
{
    size_t i;

    assert_int_equal(a->floats, b->floats);
    for (i = 0; i < a->floats; i++) {
        if (memcmp(&a->data[i], &b->data[i], sizeof *a->data))
            fail_msg("%s: picture %zu, float %zu: %.9g and %.9g", what, i / a->per_picture,
                     i % a->per_picture, (double)a->data[i], (double)b->data[i]);
    }
}
