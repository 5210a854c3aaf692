/* SPDX-License-Identifier: MIT */
/* How long a run may take, for dry runs only: its parts are run a few times as the run itself would
 * run them. A part that would take seconds is run at a smaller size, and what it takes is scaled by
 * the arithmetic. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sort.h"
#include "engine/engine.h"
#include "sample/rng.h"

enum { SIDE = 32, MOST_CHANNELS = 256, LEAST_CALLS = 3, MOST_CALLS = 200 };

static const double RATE_SECONDS = 0.05; /* for a first guess of this machine's rate */
static const double LONGEST_CALL = 1.5;  /* at that rate; what takes longer is made smaller */
static const double LONGEST_WARM_UP = 0.7;
static const double MEASURE_SECONDS = 0.4;

/* Floating point operations a second of a convolution of the network's width. A network's other
 * operations are slower, so this is a guess from below of what a part takes. */
static ldm_status guess_rate(const ldm_model *m, ldm_pool *pool, double *flop_per_s, ldm_error *err)
{
    const int own = m->network->unet.model_channels;
    const int c = own < MOST_CHANNELS ? own : MOST_CHANNELS;
    const ldm_conv_desc d = {.cin = c,
                             .cout = c,
                             .kernel_h = 3,
                             .kernel_w = 3,
                             .stride = 1,
                             .pad_top = 1,
                             .pad_left = 1,
                             .in_h = SIDE,
                             .in_w = SIDE,
                             .out_h = SIDE,
                             .out_w = SIDE};
    const double flop = 2.0 * d.out_h * d.out_w * d.cin * d.cout * 9;
    const size_t pixels = (size_t)d.in_h * (size_t)d.in_w;
    const ldm_backend *b = m->backend;
    ldm_conv_plan plan;
    ldm_exec_ctx ctx = {.pool = pool, .threads = ldm_pool_threads(pool)};
    ldm_conv_args a = {0};
    float *packed, *x, *y;
    double begin, end;
    int calls = 0;
    ldm_status st = b->conv_plan(b, &d, m->precision, -1, ctx.threads, &plan, err);

    if (st)
        return st;
    packed = ldm_pages_alloc(plan.packed_floats * sizeof *packed);
    x = ldm_pages_alloc(pixels * (size_t)d.cin * sizeof *x);
    y = ldm_pages_alloc(pixels * (size_t)d.cout * sizeof *y);
    ctx.scratch = ldm_pages_alloc(plan.scratch_floats * sizeof *ctx.scratch);
    ctx.scratch_floats = plan.scratch_floats;
    if (packed && x && y && ctx.scratch) {
        a.x = (ldm_view){x, 1, d.in_h, d.in_w, d.cin, (size_t)d.cin};
        a.y = (ldm_view){y, 1, d.out_h, d.out_w, d.cout, (size_t)d.cout};
        a.packed = packed;
        b->conv(b, &ctx, &plan, &a); /* touches the memory; not counted */
        begin = ldm_seconds();
        do {
            b->conv(b, &ctx, &plan, &a);
            calls++;
            end = ldm_seconds();
        } while (end - begin < RATE_SECONDS);
        *flop_per_s = flop * calls / (end - begin);
    } else {
        st = ldm_error_nomem(err, plan.packed_floats * sizeof *packed, "measuring this machine");
    }
    ldm_pages_free(packed, plan.packed_floats * sizeof *packed);
    ldm_pages_free(x, pixels * (size_t)d.cin * sizeof *x);
    ldm_pages_free(y, pixels * (size_t)d.cout * sizeof *y);
    ldm_pages_free(ctx.scratch, plan.scratch_floats * sizeof *ctx.scratch);
    return st;
}

/* ---- one part -------------------------------------------------------------------------------- */

/* Something to run a part on: an array for each input, and one for the output. */
typedef struct rehearsal {
    ldm_program *program;
    float *arena, *out;
    float *data[LDM_MAX_INPUTS];
    ldm_execution run;
    ldm_kept *times, *cond;
} rehearsal;

static void rehearsal_free(rehearsal *r)
{
    int i;

    for (i = 0; i < LDM_MAX_INPUTS; i++)
        ldm_free(r->data[i]);
    ldm_free(r->out);
    if (r->program)
        ldm_pages_free(r->arena, ldm_program_arena_floats(r->program) * sizeof *r->arena);
    ldm_kept_free(r->times);
    ldm_kept_free(r->cond);
    ldm_program_free(r->program);
}

static size_t floats_of(const ldm_graph *g, int value, int n)
{
    const ldm_graph_value *v = &g->values[value];

    return (size_t)n * (size_t)v->c * (size_t)v->h * (size_t)v->w;
}

/* Noise for what differs from picture to picture, zeros for the rest: 0 is a timestep, and a row of
 * every table. */
static ldm_status fill_inputs(rehearsal *r, const ldm_graph *g, int n, ldm_error *err)
{
    ldm_rng rng;
    int i;

    ldm_rng_seed(&rng, 1);
    for (i = 0; i < g->input_count; i++) {
        const size_t floats = floats_of(g, g->inputs[i].value, n);

        r->data[i] = ldm_calloc(floats, sizeof *r->data[i]);
        if (!r->data[i])
            return ldm_error_nomem(err, floats * sizeof **r->data, "measuring this machine");
        if (g->inputs[i].depends & LDM_DEPENDS_X)
            ldm_rng_randn(&rng, r->data[i], floats);
        r->run.inputs[i] = (ldm_named_array){g->inputs[i].name, r->data[i]};
    }
    r->out = ldm_calloc(floats_of(g, g->output, n), sizeof *r->out);
    r->arena = ldm_pages_alloc(ldm_program_arena_floats(r->program) * sizeof *r->arena);
    if (!r->out || !r->arena)
        return ldm_error_nomem(err, 0, "measuring this machine");
    r->run.out = r->out;
    return LDM_OK;
}

/* Rows of what a run computes once for many evaluations. */
static ldm_status keep(rehearsal *r, unsigned depends, int rows, ldm_pool *pool, ldm_kept **kept,
                       ldm_error *err)
{
    ldm_status st;

    if (!ldm_program_kept_floats(r->program, depends))
        return LDM_OK;
    st = ldm_kept_create(r->program, depends, rows, kept, err);
    return st ? st : ldm_kept_fill(*kept, r->program, pool, r->arena, r->run.inputs, rows, err);
}

/* What follows from the timestep or from the conditioning alone: in a run no evaluation computes it
 * again. */
static ldm_status keep_all(rehearsal *r, int n, ldm_pool *pool, ldm_error *err)
{
    ldm_status st = keep(r, LDM_DEPENDS_TIME, 1, pool, &r->times, err);

    if (!st)
        st = keep(r, LDM_DEPENDS_COND, n, pool, &r->cond, err);
    r->run.time = (ldm_kept_rows){r->times, 0};
    r->run.cond = (ldm_kept_rows){r->cond, 0};
    return st;
}

/* Seconds of one call: the median of several after the first, which touches the memory. The mean
 * would be that of the disturbances, too: one in a short measurement weighs more than in a run. */
static ldm_status time_calls(rehearsal *r, ldm_pool *pool, double *seconds, ldm_error *err)
{
    double begin = ldm_seconds(), all = 0, each[MOST_CALLS];
    ldm_status st = ldm_program_run(r->program, pool, r->arena, &r->run, err);
    int calls = 0;

    *seconds = ldm_seconds() - begin;
    if (st || *seconds > LONGEST_WARM_UP)
        return st;
    while (!st && calls < MOST_CALLS && (calls < LEAST_CALLS || all <= MEASURE_SECONDS)) {
        begin = ldm_seconds();
        st = ldm_program_run(r->program, pool, r->arena, &r->run, err);
        each[calls] = ldm_seconds() - begin;
        all += each[calls++];
    }
    ldm_sort_doubles(each, (size_t)calls);
    *seconds = each[calls / 2];
    return st;
}

static ldm_status rehearse(const ldm_model *m, ldm_graph_part part, ldm_graph_size size, int n,
                           ldm_pool *pool, double *seconds, ldm_error *err)
{
    rehearsal r = {0};
    ldm_graph *g;
    ldm_status st = ldm_graph_create(m->network, part, size, &g, err);

    if (st)
        return st;
    st = ldm_model_program(m, part, size, n, pool, &r.program, err);
    if (!st)
        st = fill_inputs(&r, g, n, err);
    if (!st)
        st = keep_all(&r, n, pool, err);
    if (!st)
        st = time_calls(&r, pool, seconds, err);
    rehearsal_free(&r);
    ldm_graph_free(g);
    return st;
}

/* The arithmetic of one picture at a size; 0 where the part does not take it. */
static double flop_of(const ldm_model *m, ldm_graph_part part, ldm_graph_size size)
{
    ldm_graph *g;
    double flop;

    if (ldm_graph_create(m->network, part, size, &g, NULL))
        return 0;
    flop = ldm_graph_flop(g);
    ldm_graph_free(g);
    return flop;
}

ldm_status ldm_measure_part(const ldm_model *m, ldm_graph_part part, ldm_graph_size size, int n,
                            ldm_pool *pool, double *seconds, ldm_error *err)
{
    const double whole = n * flop_of(m, part, size);
    ldm_graph_size smaller;
    double flop = whole, rate;
    ldm_status st = guess_rate(m, pool, &rate, err);

    if (st)
        return st;
    if (flop / rate > LONGEST_CALL) {
        n = 1;
        flop = flop_of(m, part, size);
    }
    while (flop / rate > LONGEST_CALL) {
        smaller = (ldm_graph_size){size.h / 2, size.w / 2, size.tokens};
        if (!(flop_of(m, part, smaller) > 0))
            break;
        size = smaller;
        flop = flop_of(m, part, size);
    }
    st = rehearse(m, part, size, n, pool, seconds, err);
    if (!st && flop > 0)
        *seconds *= whole / flop;
    return st;
}
