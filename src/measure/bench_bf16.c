/* SPDX-License-Identifier: MIT */
/* Error and speed of bf16. The same model is opened a second time in f32, and both take turns on
 * the same inputs, so that a change in the machine's speed affects both alike. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "measure/bench.h"
#include "sample/rng.h"

/* One of the two models, evaluating eps. */
typedef struct side {
    const ldm_model *m;
    ldm_program *unet;
    ldm_kept *conds; /* or NULL */
    float *eps;
    double seconds;
} side;

static ldm_status evaluate(const ldm_bench_data *b, side *s, float *arena,
                           const ldm_bench_inputs *in, ldm_error *err)
{
    const ldm_execution run = ldm_bench_execution(in, s->conds, s->eps);
    const double begin = ldm_seconds();
    ldm_status st = ldm_program_run(s->unet, b->pool, arena, &run, err);

    s->seconds = ldm_seconds() - begin;
    return st;
}

/* Evaluates eps for normal noise. Each round has noise of its own, and the rounds' timesteps are
 * spread over the schedule. values: [4][rounds].
 */
static ldm_status compare_eps(ldm_bench_data *b, side *bf16, side *f32, float *arena,
                              const ldm_bench_inputs *in, size_t out, double *values,
                              ldm_error *err)
{
    const int timesteps = b->m->network->diffusion.timesteps, n = b->rounds;
    ldm_status st = LDM_OK;
    ldm_rng rng;
    int i, k;

    ldm_rng_seed(&rng, 42);
    for (i = -1; !st && i < n; i++) { /* the first warms up */
        ldm_rng_randn(&rng, in->x, in->x_floats);
        for (k = 0; k < b->batch; k++)
            in->t[k] = (float)(timesteps * (2 * ((i + 1) % 5) + 1) / 10);
        st = evaluate(b, f32, arena, in, err);
        if (!st)
            st = evaluate(b, bf16, arena, in, err);
        if (i < 0)
            continue;
        values[i] = ldm_relative_l2(bf16->eps, f32->eps, out);
        values[n + i] = f32->seconds / bf16->seconds;
        values[2 * n + i] = f32->seconds;
        values[3 * n + i] = bf16->seconds;
    }
    if (st)
        return st;
    b->f32.eps_error = ldm_spread_of(values, n);
    b->f32.eps_ratio = ldm_spread_of(values + n, n);
    b->f32.eps_s = ldm_spread_of(values + 2 * n, n).median;
    b->f32.bf16_eps_s = ldm_spread_of(values + 3 * n, n).median;
    return LDM_OK;
}

/* Both programs, and an arena that is large enough for each. */
static ldm_status make_sides(const ldm_bench_data *b, side *sides, size_t out, size_t *floats,
                             ldm_error *err)
{
    ldm_status st = LDM_OK;
    int i;

    for (i = 0; !st && i < 2; i++) {
        sides[i].eps = ldm_reallocarray(NULL, out, sizeof *sides[i].eps);
        if (!sides[i].eps)
            return ldm_error_nomem(err, out * sizeof *sides[i].eps, "the benchmark");
        st = ldm_model_program(sides[i].m, LDM_GRAPH_UNET, (ldm_graph_size){b->h, b->w, 0},
                               b->batch, b->pool, &sides[i].unet, err);
        if (!st && ldm_program_arena_floats(sides[i].unet) > *floats)
            *floats = ldm_program_arena_floats(sides[i].unet);
    }
    return st;
}

static ldm_status measure_eps(ldm_bench_data *b, const ldm_model *f32, ldm_error *err)
{
    const size_t out =
        (size_t)b->batch * (size_t)b->h * (size_t)b->w * (size_t)b->m->network->unet.out_channels;
    side sides[2] = {{.m = b->m}, {.m = f32}};
    ldm_bench_inputs in = {.count = 0};
    double *values = ldm_calloc((size_t)b->rounds, 4 * sizeof *values);
    float *arena = NULL;
    size_t floats = 0;
    ldm_status st = values ? ldm_bench_inputs_create(b->m, b->h, b->w, b->batch, &in, err)
                           : ldm_error_nomem(err, 0, "the benchmark");
    int i;

    if (!st)
        st = make_sides(b, sides, out, &floats, err);
    arena = st ? NULL : ldm_pages_alloc(floats * sizeof *arena);
    if (!st && !arena)
        st = ldm_error_nomem(err, floats * sizeof *arena, "the benchmark");
    for (i = 0; !st && i < 2; i++)
        st = ldm_bench_inputs_keep(&in, sides[i].unet, b->batch, b->pool, arena, &sides[i].conds,
                                   err);
    if (!st)
        st = compare_eps(b, &sides[0], &sides[1], arena, &in, out, values, err);
    for (i = 0; i < 2; i++) {
        ldm_program_free(sides[i].unet);
        ldm_kept_free(sides[i].conds);
        ldm_free(sides[i].eps);
    }
    ldm_pages_free(arena, floats * sizeof *arena);
    ldm_bench_inputs_free(&in);
    ldm_free(values);
    return st;
}

static ldm_status begin_run(ldm_bench_data *b, const ldm_model *m, ldm_run **run, ldm_error *err)
{
    ldm_job *job;
    ldm_status st = ldm_bench_job(b, m, 1, &job, err);

    if (st)
        return st;
    st = ldm_run_create(m, job, run, err);
    ldm_job_free(job);
    if (!st)
        st = ldm_bench_keep_condition(b, *run, err);
    if (st)
        return st;
    b->f32.steps = ldm_run_get_info(*run)->steps_run;
    b->f32.seeds = ldm_run_get_info(*run)->count;
    return LDM_OK;
}

static ldm_status next_picture(ldm_run *run, const ldm_result **res, ldm_error *err)
{
    ldm_error why = {.msg = ""};
    ldm_status st = ldm_run_next(run, res, &why);

    if (!st)
        st = (*res)->status;
    if (st && err)
        *err = why;
    return st;
}

static ldm_status measure_pictures(ldm_bench_data *b, const ldm_model *f32, ldm_error *err)
{
    double *values = NULL;
    ldm_run *ours = NULL, *exact = NULL;
    const ldm_result *a, *e;
    ldm_status st = begin_run(b, b->m, &ours, err);
    int i, n;

    if (!st)
        st = begin_run(b, f32, &exact, err);
    n = b->f32.seeds;
    if (!st)
        values = ldm_calloc((size_t)n, 2 * sizeof *values);
    if (!st && !values)
        st = ldm_error_nomem(err, (size_t)n * 2 * sizeof *values, "the benchmark");
    for (i = 0; !st && i < n; i++) {
        st = next_picture(exact, &e, err);
        if (!st)
            st = next_picture(ours, &a, err);
        if (st)
            break;
        values[i] = ldm_relative_l2(a->latent, e->latent, ldm_bench_latent_floats(ours));
        values[n + i] = ldm_bench_psnr(e, a);
    }
    if (!st) {
        b->f32.latent_error = ldm_spread_of(values, n);
        b->f32.psnr = ldm_spread_of(values + n, n);
    }
    ldm_run_free(ours);
    ldm_run_free(exact);
    ldm_free(values);
    return st;
}

ldm_status ldm_bench_bf16(ldm_bench_data *b, const ldm_model_options *opt, ldm_error *err)
{
    ldm_model_options *same;
    ldm_model *f32 = NULL;
    ldm_status st = ldm_model_options_copy(opt, &same, err);

    if (!st)
        st = ldm_model_options_set(same, "precision", "f32", err);
    if (!st)
        st = ldm_model_open(same, &f32, err);
    ldm_model_options_free(same);
    if (st)
        return st;
    b->f32.weight_bytes = ldm_weights_bytes(f32->weights[LDM_GRAPH_UNET]);
    st = measure_eps(b, f32, err);
    if (!st)
        st = measure_pictures(b, f32, err);
    b->f32.measured = !st;
    ldm_model_close(f32);
    return st;
}
