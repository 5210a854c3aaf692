/* SPDX-License-Identifier: MIT */
/* Whole pictures: the time that one takes, and the error and speed of --cache. The runs with and
 * without it take turns, picture by picture, so that a change in the machine's speed affects both
 * alike. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "measure/bench.h"

enum { CACHE_SEEDS = 4 };

/* One run of a few pictures, and when the one at work began and ended its steps. */
typedef struct pictures {
    ldm_run *run;
    const ldm_result *result;
    double begin, end; /* of the steps */
    double *picture_s, *step_s;
    int steps;
} pictures;

static int watch(void *ctx, const ldm_progress *p)
{
    pictures *r = ctx;

    if (!strcmp(p->stage, "sampling") && p->step == 0)
        r->begin = ldm_seconds();
    else if (!strcmp(p->stage, "sampling") && p->step == p->step_count)
        r->end = ldm_seconds();
    return 0;
}

size_t ldm_bench_latent_floats(const ldm_run *run)
{
    const ldm_run_info *i = ldm_run_get_info(run);

    return (size_t)i->latent_c * (size_t)i->latent_h * (size_t)i->latent_w;
}

static ldm_status make_one(pictures *r, int i, ldm_error *err)
{
    double begin = ldm_seconds();
    ldm_error why = {.msg = ""};
    ldm_status st = ldm_run_next(r->run, &r->result, &why);

    if (!st)
        st = r->result->status;
    if (st) {
        if (err)
            *err = why;
        return st;
    }
    r->picture_s[i] = ldm_seconds() - begin;
    r->step_s[i] = (r->end - r->begin) / r->steps;
    return LDM_OK;
}

/* Whether the job has a size of its own: it says one, or follows the pictures that it is given. */
static bool has_size(const ldm_job *job)
{
    return ldm_options_given(&job->options, "shape") || job->size || job->x_t ||
           ldm_job_start_count(job);
}

/* Pictures of each class or prompt. Where nobody says, every picture that is given makes one. */
static int count_of(const ldm_bench_data *b, const ldm_job *job)
{
    const uint64_t starts = ldm_job_start_count(job);

    if (b->o->seeds)
        return b->o->seeds;
    return starts > 1 ? (int)starts : b->o->cache > 1 ? CACHE_SEEDS : 1;
}

ldm_status ldm_bench_job(const ldm_bench_data *b, const ldm_model *m, int cache, ldm_job **out,
                         ldm_error *err)
{
    ldm_job *job;
    ldm_status st = ldm_job_create(m, &job, err);

    *out = NULL;
    if (st)
        return st;
    if (b->o->job) {
        st = ldm_options_lay_below(&job->options, &b->o->job->options, err);
        ldm_job_borrow(job, b->o->job);
    }
    if (!st && b->o->steps)
        st = ldm_job_set_int(job, "steps", b->o->steps, err);
    if (!st && ldm_bench_options_is_set(b->o, "eta"))
        st = ldm_job_set_real(job, "eta", b->o->eta, err);
    if (!st)
        st = ldm_job_set_int(job, "cache", cache, err);
    if (!st)
        st = ldm_job_set_int(job, "batch", 1, err);
    if (!st)
        st = ldm_job_set_int(job, "count", count_of(b, job), err);
    if (!st && (b->o->latent_h || !has_size(job)))
        st = ldm_job_set_shape(job, "shape", (const int[3]){m->latent_c, b->h, b->w}, err);
    if (!st && b->o->threads)
        st = ldm_job_set_int(job, "threads", b->o->threads, err);
    if (st)
        ldm_job_free(job);
    else
        *out = job;
    return st;
}

bool ldm_bench_makes_pictures(const ldm_bench_data *b)
{
    return b->o->steps || b->o->cache > 1;
}

ldm_status ldm_bench_check_job(const ldm_bench_data *b, ldm_error *err)
{
    ldm_job *job;
    ldm_status st;

    if (!ldm_bench_makes_pictures(b) && b->m->precision != LDM_PRECISION_BF16)
        return LDM_OK;
    st = ldm_bench_job(b, b->m, b->o->cache > 1 ? b->o->cache : 1, &job, err);
    if (st)
        return st;
    st = ldm_run_check(b->m, job, err);
    ldm_job_free(job);
    return st;
}

/* A sampler of few steps, or a model of few timesteps, has no such picture: then an evaluation a
 * step, without guidance. */
ldm_status ldm_bench_forecast(ldm_bench_data *b, ldm_error *err)
{
    const double eps = b->eps.median / b->batch;
    double unet = LDM_BENCH_USUAL_STEPS * eps;
    ldm_job *job;
    ldm_status st = ldm_bench_job(b, b->m, 1, &job, err);

    if (st)
        return st;
    st = ldm_job_set_int(job, "steps", LDM_BENCH_USUAL_STEPS, err);
    if (!st)
        (void)ldm_run_forecast(b->m, job, eps, &unet, &b->usual, NULL);
    b->usual_s = unet + b->decode_s;
    ldm_job_free(job);
    return st;
}

static ldm_status begin_run(ldm_bench_data *b, int cache, pictures *r, ldm_error *err)
{
    const ldm_run_info *info;
    ldm_status st;
    ldm_job *job;

    st = ldm_bench_job(b, b->m, cache, &job, err);
    if (st)
        return st;
    ldm_job_set_progress(job, watch, r);
    st = ldm_run_create(b->m, job, &r->run, err);
    ldm_job_free(job);
    if (!st)
        st = ldm_bench_keep_condition(b, r->run, err);
    if (st)
        return st;
    info = ldm_run_get_info(r->run);
    r->steps = info->steps_run;
    b->seeds = info->count;
    b->steps_asked = info->steps_asked;
    b->steps_run = info->steps_run;
    b->whole_steps = (int)info->eps_evaluations;
    b->image_w = info->image_w;
    b->image_h = info->image_h;
    b->eta = ldm_run_get_job(r->run)->eta;
    b->guidance = ldm_run_guidance(r->run);
    b->first_seed = ldm_run_get_job(r->run)->seed;
    return LDM_OK;
}

static ldm_status compare(ldm_bench_data *b, pictures *exact, pictures *cached, double *values,
                          ldm_error *err)
{
    const size_t chw = ldm_bench_latent_floats(exact->run);
    const int n = b->seeds;
    ldm_status st = LDM_OK;
    int i;

    for (i = 0; !st && i < n; i++) {
        st = make_one(exact, i, err);
        if (!st && cached->run)
            st = make_one(cached, i, err);
        if (st || !cached->run)
            continue;
        values[i] = ldm_relative_l2(cached->result->latent, exact->result->latent, chw);
        values[n + i] = ldm_bench_psnr(exact->result, cached->result);
        values[2 * n + i] = exact->step_s[i] / cached->step_s[i];
        values[3 * n + i] = exact->picture_s[i] / cached->picture_s[i];
    }
    if (st)
        return st;
    b->picture_s = ldm_spread_of(exact->picture_s, n);
    b->step_s = ldm_spread_of(exact->step_s, n);
    if (!cached->run)
        return LDM_OK;
    b->latent_error = ldm_spread_of(values, n);
    b->psnr = ldm_spread_of(values + n, n);
    b->step_ratio = ldm_spread_of(values + 2 * n, n);
    b->picture_ratio = ldm_spread_of(values + 3 * n, n);
    b->cached_picture_s = ldm_spread_of(cached->picture_s, n);
    b->cached_step_s = ldm_spread_of(cached->step_s, n);
    return LDM_OK;
}

ldm_status ldm_bench_pictures(ldm_bench_data *b, ldm_error *err)
{
    pictures exact = {0}, cached = {0};
    double *values = NULL;
    size_t n;
    ldm_status st = begin_run(b, 1, &exact, err);

    if (!st && b->o->cache > 1)
        st = begin_run(b, b->o->cache, &cached, err);
    n = (size_t)b->seeds;
    if (!st)
        values = ldm_calloc(n, 8 * sizeof *values);
    if (!st && !values)
        st = ldm_error_nomem(err, n * 8 * sizeof *values, "the benchmark");
    if (!st) {
        exact.picture_s = values + 4 * n;
        exact.step_s = values + 5 * n;
        cached.picture_s = values + 6 * n;
        cached.step_s = values + 7 * n;
        st = compare(b, &exact, &cached, values, err);
    }
    ldm_run_free(exact.run);
    ldm_run_free(cached.run);
    ldm_free(values);
    return st;
}
