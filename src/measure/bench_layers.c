/* SPDX-License-Identifier: MIT */
/* Times of the UNet's operations, measured by an observer that is called between them. */
#include "base/alloc.h"
#include "base/clock.h"
#include "measure/bench.h"

typedef struct stopwatch {
    ldm_bench_data *b;
    double last;
} stopwatch;

static ldm_status see_layer(void *ctx, const ldm_step_info *info, ldm_error *err)
{
    stopwatch *s = ctx;
    double took = ldm_seconds() - s->last;
    ldm_layer_time *l;

    if (!s->b->layers) {
        s->b->layers = ldm_calloc((size_t)info->count, sizeof *s->b->layers);
        if (!s->b->layers)
            return ldm_error_nomem(err, (size_t)info->count * sizeof *l, "the benchmark");
        s->b->layer_count = info->count;
    }
    l = &s->b->layers[info->index];
    if (l->name && l->seconds < took)
        took = l->seconds;
    *l = (ldm_layer_time){.name = info->name,
                          .op = info->op,
                          .algorithm = info->algorithm,
                          .kernel = info->kernel_h,
                          .cin = info->cin,
                          .c = info->y.c,
                          .h = info->y.h,
                          .w = info->y.w,
                          .flop = info->flop,
                          .bytes = info->bytes,
                          .seconds = took};
    s->last = ldm_seconds();
    return LDM_OK;
}

/* What is kept from the conditioning is not computed again, and no observer sees it. */
static void drop_unseen(ldm_bench_data *b)
{
    int i, n = 0;

    for (i = 0; i < b->layer_count; i++) {
        if (b->layers[i].name)
            b->layers[n++] = b->layers[i];
    }
    b->layer_count = n;
}

ldm_status ldm_bench_layers(ldm_bench_data *b, const ldm_program *unet, float *arena,
                            const ldm_execution *run, ldm_error *err)
{
    stopwatch s = {.b = b};
    const ldm_observer obs = {.ctx = &s, .after = see_layer};
    ldm_execution observed = *run;
    ldm_status st = LDM_OK;
    int i;

    observed.observer = &obs;
    for (i = 0; !st && i < b->rounds; i++) {
        s.last = ldm_seconds();
        st = ldm_program_run(unet, b->pool, arena, &observed, err);
    }
    drop_unseen(b);
    return st;
}
