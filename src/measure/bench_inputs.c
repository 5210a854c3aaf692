/* SPDX-License-Identifier: MIT */
/* What an evaluation of the UNet is given in a benchmark; see bench.h. */
#include <string.h>

#include "base/alloc.h"
#include "measure/bench.h"
#include "sample/rng.h"

enum { TIMESTEP = 500, SEED = 42 };

/* Floats of one input for n samples. */
static size_t floats_of(const ldm_graph *g, const ldm_input *in, int n)
{
    const ldm_graph_value *v = &g->values[in->value];

    return (size_t)n * (size_t)v->c * (size_t)v->h * (size_t)v->w;
}

static ldm_status fill(const ldm_graph *g, int n, ldm_bench_inputs *out, ldm_error *err)
{
    ldm_rng rng;
    int i;

    ldm_rng_seed(&rng, SEED);
    for (i = 0; i < g->input_count; i++) {
        const ldm_input *in = &g->inputs[i];
        const size_t floats = floats_of(g, in, n);
        const bool time = !strcmp(in->name, "t"), label = !strcmp(in->name, "labels");
        float *values = ldm_calloc(floats, sizeof *values); /* labels stay 0 */
        size_t k;

        out->owned[out->count] = values;
        out->arrays[out->count++] = (ldm_named_array){in->name, values};
        if (!values)
            return ldm_error_nomem(err, floats * sizeof *values, "the benchmark");
        if (!strcmp(in->name, "x")) {
            out->x = values;
            out->x_floats = floats;
        }
        if (time)
            out->t = values;
        for (k = 0; time && k < floats; k++)
            values[k] = TIMESTEP;
        if (!time && !label)
            ldm_rng_randn(&rng, values, floats);
    }
    return LDM_OK;
}

ldm_status ldm_bench_inputs_create(const ldm_model *m, int h, int w, int n, ldm_bench_inputs *out,
                                   ldm_error *err)
{
    ldm_graph *g;
    ldm_status st =
        ldm_graph_create(m->network, LDM_GRAPH_UNET, (ldm_graph_size){h, w, 0}, &g, err);

    memset(out, 0, sizeof *out);
    if (st)
        return st;
    st = fill(g, n, out, err);
    ldm_graph_free(g);
    if (st)
        ldm_bench_inputs_free(out);
    return st;
}

ldm_status ldm_bench_inputs_keep(const ldm_bench_inputs *in, const ldm_program *p, int n,
                                 ldm_pool *pool, float *arena, ldm_kept **out, ldm_error *err)
{
    ldm_status st;

    *out = NULL;
    if (!ldm_program_kept_floats(p, LDM_DEPENDS_COND))
        return LDM_OK;
    st = ldm_kept_create(p, LDM_DEPENDS_COND, n, out, err);
    return st ? st : ldm_kept_fill(*out, p, pool, arena, in->arrays, n, err);
}

ldm_execution ldm_bench_execution(const ldm_bench_inputs *in, const ldm_kept *kept, float *out)
{
    ldm_execution e = {.cond = {kept, 0}, .out = out};

    memcpy(e.inputs, in->arrays, sizeof e.inputs);
    return e;
}

void ldm_bench_inputs_free(ldm_bench_inputs *in)
{
    int i;

    for (i = 0; i < in->count; i++)
        ldm_free(in->owned[i]);
    memset(in, 0, sizeof *in);
}
