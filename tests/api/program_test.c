/* Fused, planned and packed execution against graphs computed node by node, over random networks;
 * and the memory plan: no step reads what another has overwritten. (Here and not beside exec,
 * because it runs on the CPU's backend.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpuid.h"
#include "cpu/cpu.h"
#include "exec/exec.h"
#include "exec/plan.h"
#include "naive.h"
#include "sample/rng.h"
#include "network/builder.h"
#include "network/network_testing.h"

enum { NETWORKS = 24, MAX_BATCH = 3, AHEAD = 500 };

/* Winograd's rounding is larger, and GroupNorm over a few pixels of random networks enlarges it. */
#define EXACT_BAR 1e-5
#define F32_BAR 5e-5

typedef struct network {
    ldm_config *cfg;
    ldm_network *network;
    float **weights; /* [tensor_count] */
    char text[512];  /* its options, for messages */
} network;

/* Small numbers from one seed: the same networks in every run. */
static int pick(uint32_t *seed, int below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (int)((*seed >> 16) % (uint32_t)below);
}

static const char *yes_no(uint32_t *seed)
{
    return pick(seed, 2) ? "true" : "false";
}

static void set(network *n, const char *fmt, ...) LDM_PRINTF(2, 3);

static void set(network *n, const char *fmt, ...)
{
    char text[200];
    ldm_error err = {.msg = ""};
    size_t used = strlen(n->text);
    const char *last;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (ldm_config_set(n->cfg, text, &err))
        fail_msg("%s", err.msg);
    last = strstr(text, "params.unet") || strstr(text, "first") ? strrchr(text, '.') + 1 : text;
    snprintf(n->text + used, sizeof n->text - used, "%s ", last);
}

/* Names as in PyTorch: weights of about 1 / sqrt(fan in), norms near 1 and 0. */
static void fill_weights(network *n)
{
    static ldm_rng rng;
    int i;

    n->weights = calloc((size_t)n->network->tensor_count, sizeof *n->weights);
    assert_non_null(n->weights);
    ldm_rng_seed(&rng, 1);
    for (i = 0; i < n->network->tensor_count; i++) {
        const ldm_tensor_decl *t = &n->network->tensors[i];
        float scale = t->fan_in ? 1 / sqrtf((float)t->fan_in) : 0.2f;
        uint64_t k;

        if (!t->used)
            continue;
        n->weights[i] = malloc(t->numel * sizeof **n->weights);
        assert_non_null(n->weights[i]);
        ldm_rng_randn(&rng, n->weights[i], (size_t)t->numel);
        for (k = 0; k < t->numel; k++)
            n->weights[i][k] =
                n->weights[i][k] * scale +
                (!t->fan_in && t->ndim == 1 && strstr(t->name, "weight") ? 1.f : 0.f);
    }
}

static network make(uint32_t seed)
{
    static const char *const mults[] = {"[1]", "[1, 2]", "[1, 1]", "[1, 3]"};
    static const char *const attend[] = {"[]", "[1]", "[2]", "[1, 2]"};
    static const char u[] = "model.params.unet_config.params";
    static const char v[] = "model.params.first_stage_config.params.ddconfig";
    network n = {0};
    ldm_error err = {.msg = ""};

    assert_int_equal(ldm_config_create(&n.cfg, NULL), LDM_OK);
    assert_int_equal(ldm_config_load_text(n.cfg, "base", base_text, strlen(base_text), NULL),
                     LDM_OK);
    set(&n, "model.params.use_ema=false");
    set(&n, "%s.channel_mult=%s", u, mults[pick(&seed, 4)]);
    set(&n, "%s.attention_resolutions=%s", u, attend[pick(&seed, 4)]);
    set(&n, "%s.num_res_blocks=%d", u, 1 + pick(&seed, 2));
    set(&n, "%s.num_heads=%d", u, 1 << pick(&seed, 3));
    if (pick(&seed, 2))
        set(&n, "%s.num_head_channels=%d", u, 8 << pick(&seed, 3));
    if (pick(&seed, 2))
        set(&n, "%s.num_heads_upsample=%d", u, 1 << pick(&seed, 3));
    set(&n, "%s.resblock_updown=%s", u, yes_no(&seed));
    set(&n, "%s.use_scale_shift_norm=%s", u, yes_no(&seed));
    set(&n, "%s.conv_resample=%s", u, yes_no(&seed));
    set(&n, "%s.use_new_attention_order=%s", u, yes_no(&seed));
    set(&n, "%s.legacy=%s", u, yes_no(&seed));
    set(&n, "%s.in_channels=%d", u, 1 + pick(&seed, 5));
    set(&n, "%s.out_channels=%d", u, 1 + pick(&seed, 5));
    set(&n, "%s.ch=32", v);
    set(&n, "%s.ch_mult=%s", v, pick(&seed, 2) ? "[1, 2]" : "[2]");
    set(&n, "%s.attn_type=%s", v, pick(&seed, 2) ? "vanilla" : "none");
    set(&n, "%s.resamp_with_conv=%s", v, yes_no(&seed));
    set(&n, "%s.tanh_out=%s", v, yes_no(&seed));
    if (ldm_network_create(n.cfg, &n.network, &err))
        fail_msg("%s: %s", n.text, err.msg);
    fill_weights(&n);
    return n;
}

static void unmake(network *n)
{
    int i;

    for (i = 0; i < n->network->tensor_count; i++)
        free(n->weights[i]);
    free(n->weights);
    ldm_network_free(n->network);
    ldm_config_free(n->cfg);
}

/* ---- results --------------------------------------------------------------------------------- */

static ldm_status read_weight(void *ctx, int tensor, const float **data, float **owned,
                              ldm_error *err)
{
    const network *n = ctx;

    *owned = NULL;
    *data = n->weights[tensor];
    return *data ? LDM_OK
                 : ldm_error_set(err, LDM_ERR_MISMATCH, "%s is read and not listed as read",
                                 n->network->tensors[tensor].name);
}

static void done_weight(void *ctx, int tensor, float *owned)
{
    (void)ctx;
    (void)tensor;
    assert_null(owned);
}

/* Every other tensor, so that both ways are taken. */
static const float *lend_weight(void *ctx, int tensor)
{
    return tensor % 2 ? ((const network *)ctx)->weights[tensor] : NULL;
}

static size_t numel(const ldm_graph *g, int value)
{
    const ldm_graph_value *v = &g->values[value];

    return (size_t)v->c * (size_t)v->h * (size_t)v->w;
}

/* The arena is filled with NaN before: what was never written must not be read. g is taken over. */
static float *execute(const network *net, ldm_graph *g, int n, int threads, const ldm_backend *b,
                      ldm_precision precision, const float *in, const float *t, const char *what)
{
    ldm_weight_source src = {(void *)(uintptr_t)net, read_weight, done_weight, lend_weight};
    ldm_execution run = {.inputs = {{"x", in}, {"t", t}}};
    ldm_error err = {.msg = ""};
    ldm_weights *weights = NULL;
    ldm_program *p = NULL;
    ldm_pool *pool;
    float *arena, *out;
    size_t floats, i;

    assert_int_equal(ldm_pool_create(threads, &pool, NULL), LDM_OK);
    if (ldm_weights_create(net->network, g, b, precision, &src, pool, &weights, &err) ||
        ldm_program_create(g, weights, b, precision, n, threads, &p, &err))
        fail_msg("%s: %s", what, err.msg);
    floats = ldm_program_arena_floats(p);
    arena = ldm_pages_alloc(floats * sizeof *arena);
    out = malloc((size_t)n * numel(g, g->output) * sizeof *out);
    assert_true(arena && out);
    for (i = 0; i < floats; i++)
        arena[i] = NAN;
    run.out = out;
    if (ldm_program_run(p, pool, arena, &run, &err))
        fail_msg("%s: %s", what, err.msg);
    ldm_pages_free(arena, floats * sizeof *arena);
    ldm_program_free(p);
    ldm_weights_free(weights);
    ldm_pool_free(pool);
    return out;
}

static double distance(const float *a, const float *b, size_t n)
{
    double diff = 0, norm = 1e-30;
    size_t i;

    for (i = 0; i < n; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(diff / norm);
}

static void check_part(const network *net, ldm_graph_part part, int h, int w, uint32_t seed,
                       double *worst)
{
    static const char *const isas[] = {"c", "avx2", NULL};
    static const float times[MAX_BATCH] = {7, 500, 999};
    static ldm_rng rng;
    int n = 1 + pick(&seed, MAX_BATCH), threads = 1 + pick(&seed, 3), i;
    ldm_precision precision = pick(&seed, 2) ? LDM_PRECISION_F32 : LDM_PRECISION_EXACT;
    size_t in_floats, out_floats;
    float *in, *out;
    double bar;
    char what[700];
    ldm_graph *g, *again;
    ldm_cpu cpu;

    bar = precision == LDM_PRECISION_F32 ? F32_BAR : EXACT_BAR;
    ldm_cpu_detect(&cpu);
    assert_int_equal(ldm_cpu_cap(&cpu, isas[pick(&seed, 3)], NULL), LDM_OK);
    assert_int_equal(ldm_graph_create(net->network, part, h, w, &g, NULL), LDM_OK);
    assert_int_equal(ldm_graph_create(net->network, part, h, w, &again, NULL), LDM_OK);
    in_floats = numel(g, ldm_graph_input(g, "x"));
    out_floats = numel(g, g->output);
    in = malloc((size_t)n * in_floats * sizeof *in);
    assert_non_null(in);
    ldm_rng_seed(&rng, seed);
    ldm_rng_randn(&rng, in, (size_t)n * in_floats);
    snprintf(what, sizeof what, "part %d, %d x %d, batch %d, %d threads, %s, %s: %s", (int)part, h,
             w, n, threads, ldm_isa_name(cpu.isa), precision == LDM_PRECISION_F32 ? "f32" : "exact",
             net->text);
    out = execute(net, again, n, threads, ldm_cpu_backend(&cpu), precision, in, times, what);
    for (i = 0; i < n; i++) {
        float *want =
            naive_run(net->network, g, net->weights, in + (size_t)i * in_floats, times[i]);
        double d;

        assert_non_null(want);
        d = distance(out + (size_t)i * out_floats, want, out_floats);
        if (!(d < bar))
            fail_msg("sample %d is %.2e off: %s", i, d, what);
        if (d > worst[precision])
            worst[precision] = d;
        free(want);
    }
    free(in);
    free(out);
    ldm_graph_free(g);
}

static void programs_equal_their_graphs(void **state)
{
    double worst[2] = {0}; /* exact, f32 */
    uint32_t seed;

    (void)state;
    for (seed = 1; seed <= NETWORKS; seed++) {
        network net = make(seed);
        uint32_t r = seed * 7919;
        int part;

        for (part = LDM_GRAPH_UNET; part <= LDM_GRAPH_INDICES; part++) {
            int h = 2 * (2 + pick(&r, 3)), w = 2 * (2 + pick(&r, 3));
            check_part(&net, (ldm_graph_part)part, h, w, r + (uint32_t)part, worst);
        }
        unmake(&net);
    }
    print_message("%d networks, worst relative distance %.2e (exact), %.2e (f32)\n", NETWORKS,
                  worst[LDM_PRECISION_EXACT], worst[LDM_PRECISION_F32]);
}

/* ---- the outermost blocks alone -------------------------------------------------------------- */

/* Sizes of latents: at 48x48 convolutions are F(4,3), tell moments, and with one thread normalise.
 */
enum { SMALL_H = 8, SMALL_W = 4, LARGE = 48 };

typedef struct size {
    int h, w;
} size;

static size size_of(uint32_t seed)
{
    return seed % 4 ? (size){SMALL_H, SMALL_W} : (size){LARGE, LARGE};
}

static ldm_weights *unet_weights(network *net, size at, const ldm_backend *b, ldm_pool *pool)
{
    const ldm_weight_source src = {net, read_weight, done_weight, lend_weight};
    ldm_weights *weights;
    ldm_graph *g;

    assert_int_equal(ldm_graph_create(net->network, LDM_GRAPH_UNET, at.h, at.w, &g, NULL), LDM_OK);
    assert_int_equal(
        ldm_weights_create(net->network, g, b, LDM_PRECISION_F32, &src, pool, &weights, NULL),
        LDM_OK);
    ldm_graph_free(g);
    return weights;
}

/* A program over weights that are there already; the arena is filled with NaN before. t NULL: all
 * samples are at AHEAD, one of several timesteps that are prepared. */
static void run_part(const network *net, ldm_graph_part part, size at, int n,
                     const ldm_weights *weights, const ldm_backend *b, ldm_pool *pool,
                     const float *in, const float *t, float **feature, float *out)
{
    static const double prepared[] = {999, AHEAD, 7, 3};
    ldm_execution run = {.inputs = {{"x", in}, {"t", t}}, .out = out};
    ldm_error err = {.msg = ""};
    ldm_times *times = NULL;
    ldm_program *p = NULL;
    ldm_graph *g;
    float *arena;
    size_t floats, i;

    assert_int_equal(ldm_graph_create(net->network, part, at.h, at.w, &g, NULL), LDM_OK);
    if (ldm_program_create(g, weights, b, LDM_PRECISION_F32, n, ldm_pool_threads(pool), &p, &err))
        fail_msg("%s: %s", net->text, err.msg);
    assert_true(ldm_program_feature_floats(p) > 0);
    if (!*feature)
        *feature = calloc(ldm_program_feature_floats(p), sizeof **feature);
    floats = ldm_program_arena_floats(p);
    arena = ldm_pages_alloc(floats * sizeof *arena);
    assert_true(*feature && arena);
    for (i = 0; i < floats; i++)
        arena[i] = NAN;
    if (!t) {
        assert_int_equal(ldm_times_create(p, 3, &times, &err), LDM_OK);
        ldm_times_fill(times, p, pool, arena, prepared, 4);
        assert_int_equal(ldm_times_row(times, 3), -1); /* there was no room for it */
        run.row = ldm_times_row(times, AHEAD);
        run.times = times;
        for (i = 0; i < floats; i++)
            arena[i] = NAN;
    }
    if (part == LDM_GRAPH_UNET)
        run.feature = *feature;
    else
        run.inputs[2] = (ldm_named_array){"feature", *feature};
    assert_int_equal(ldm_program_run(p, pool, arena, &run, &err), LDM_OK);
    ldm_times_free(times);
    ldm_pages_free(arena, floats * sizeof *arena);
    ldm_program_free(p);
}

/* With the feature of the same evaluation the outermost blocks give the whole network's result to
 * the last bit, whatever the number of threads; with another evaluation's feature they do not. */
static void the_outermost_blocks_continue_the_whole(void **state)
{
    static const float times[MAX_BATCH] = {7, 500, 999};
    static ldm_rng rng;
    uint32_t seed;
    ldm_cpu cpu;

    (void)state;
    ldm_cpu_detect(&cpu);
    ldm_rng_seed(&rng, 5);
    for (seed = 1; seed <= NETWORKS; seed++) {
        network net = make(seed);
        const ldm_backend *b = ldm_cpu_backend(&cpu);
        const size at = size_of(seed);
        const size_t floats = (size_t)(at.h * at.w * MAX_BATCH);
        size_t in_floats = (size_t)net.network->unet.in_channels * floats;
        size_t out_floats = (size_t)net.network->unet.out_channels * floats;
        float *in = malloc(in_floats * sizeof *in), *feature = NULL;
        float *whole = malloc(out_floats * sizeof *whole), *shallow = malloc(out_floats * 4);
        ldm_pool *one, *three;
        ldm_weights *weights;

        assert_true(in && whole && shallow);
        ldm_rng_randn(&rng, in, in_floats);
        assert_int_equal(ldm_pool_create(1, &one, NULL), LDM_OK);
        assert_int_equal(ldm_pool_create(3, &three, NULL), LDM_OK);
        weights = unet_weights(&net, at, b, one);
        run_part(&net, LDM_GRAPH_UNET, at, MAX_BATCH, weights, b, one, in, times, &feature, whole);
        run_part(&net, LDM_GRAPH_UNET_SHALLOW, at, MAX_BATCH, weights, b, three, in, times,
                 &feature, shallow);
        if (memcmp(whole, shallow, out_floats * sizeof *whole))
            fail_msg("the results differ by %.2e: %s", distance(shallow, whole, out_floats),
                     net.text);
        feature[0] += 1;
        run_part(&net, LDM_GRAPH_UNET_SHALLOW, at, MAX_BATCH, weights, b, three, in, times,
                 &feature, shallow);
        assert_memory_not_equal(whole, shallow, out_floats * sizeof *whole);
        free(in);
        free(feature);
        free(whole);
        free(shallow);
        ldm_weights_free(weights);
        ldm_pool_free(one);
        ldm_pool_free(three);
        unmake(&net);
    }
}

/* What follows from the timestep, computed ahead for several at once, is what each evaluation
 * computes for itself. */
static void timesteps_ahead_change_nothing(void **state)
{
    static const ldm_graph_part parts[] = {LDM_GRAPH_UNET, LDM_GRAPH_UNET_SHALLOW};
    static const float times[MAX_BATCH] = {AHEAD, AHEAD, AHEAD};
    static ldm_rng rng;
    uint32_t seed;
    ldm_cpu cpu;

    (void)state;
    ldm_cpu_detect(&cpu);
    ldm_rng_seed(&rng, 6);
    for (seed = 1; seed <= NETWORKS; seed++) {
        network net = make(seed);
        const ldm_backend *b = ldm_cpu_backend(&cpu);
        const size at = size_of(seed);
        const size_t floats = (size_t)(at.h * at.w * MAX_BATCH);
        size_t in_floats = (size_t)net.network->unet.in_channels * floats;
        size_t out_floats = (size_t)net.network->unet.out_channels * floats;
        float *in = malloc(in_floats * sizeof *in), *feature = NULL;
        float *want = malloc(out_floats * sizeof *want), *out = malloc(out_floats * sizeof *out);
        ldm_pool *pool;
        ldm_weights *weights;
        int part;

        assert_true(in && want && out);
        ldm_rng_randn(&rng, in, in_floats);
        assert_int_equal(ldm_pool_create(2, &pool, NULL), LDM_OK);
        weights = unet_weights(&net, at, b, pool);
        for (part = 0; part < 2; part++) {
            run_part(&net, parts[part], at, MAX_BATCH, weights, b, pool, in, times, &feature, want);
            run_part(&net, parts[part], at, MAX_BATCH, weights, b, pool, in, NULL, &feature, out);
            if (memcmp(want, out, out_floats * sizeof *want))
                fail_msg("the results differ by %.2e: %s", distance(out, want, out_floats),
                         net.text);
        }
        free(in);
        free(feature);
        free(want);
        free(out);
        ldm_weights_free(weights);
        ldm_pool_free(pool);
        unmake(&net);
    }
}

/* ---- the memory plan ------------------------------------------------------------------------- */

/* Every float of the arena is marked with the value and channel that was last written to it; a step
 * may only read what is marked as its input. A concat's channels are those of its parts. */
typedef struct marks {
    const ldm_graph *g;
    const ldm_steps *s;
    const ldm_plan *plan;
    int *value, *channel; /* [plan->floats]; value -1: nothing */
} marks;

/* Channel c of value v as the value that a step writes. */
static void resolve(const ldm_graph *g, int *v, int *c)
{
    int i;

    for (i = g->node_count - 1; i >= 0; i--) {
        const ldm_node *n = &g->nodes[i];

        if (n->out == *v && n->op == LDM_OP_CONCAT) {
            int split = g->values[n->in[0]].c;

            *v = n->in[*c >= split];
            *c -= *c >= split ? split : 0;
        }
    }
}

static size_t place_of(const marks *m, int v, size_t pixel, int c)
{
    const ldm_place *p = &m->s->places[v];

    return m->plan->offsets[p->buffer] + pixel * (size_t)m->s->buffers[p->buffer].c +
           (size_t)(p->offset + c);
}

static void write_marks(marks *m, int v, int first, int count, int from)
{
    size_t pixels = (size_t)m->g->values[v].h * (size_t)m->g->values[v].w, i;
    int c;

    for (i = 0; i < pixels; i++) {
        for (c = 0; c < count; c++) {
            size_t at = place_of(m, v, i, first + c);
            int value = from, channel = c;

            assert_true(at < m->plan->floats);
            resolve(m->g, &value, &channel);
            m->value[at] = value;
            m->channel[at] = channel;
        }
    }
}

static void read_marks(const marks *m, int v, int step)
{
    size_t pixels, i;
    int c;

    if (v < 0)
        return;
    pixels = (size_t)m->g->values[v].h * (size_t)m->g->values[v].w;
    for (i = 0; i < pixels; i++) {
        for (c = 0; c < m->g->values[v].c; c++) {
            size_t at = place_of(m, v, i, c);
            int value = v, channel = c;

            resolve(m->g, &value, &channel);
            if (m->value[at] != value || m->channel[at] != channel)
                fail_msg("step %d reads value %d, channel %d, and finds value %d, channel %d", step,
                         value, channel, m->value[at], m->channel[at]);
        }
    }
}

/* A buffer that is no value's, as a value of its own: `mark`. */
static void buffer_marks(marks *m, int buffer, int mark, int step, bool write)
{
    const ldm_buffer *b;
    size_t at, end;

    if (buffer < 0)
        return;
    b = &m->s->buffers[buffer];
    at = m->plan->offsets[buffer];
    end = at + (size_t)b->h * (size_t)b->w * (size_t)b->c;
    for (; at < end; at++) {
        if (write)
            m->value[at] = mark;
        else if (m->value[at] != mark)
            fail_msg("step %d reads buffer %d and finds value %d", step, buffer, m->value[at]);
    }
}

static void moments_marks(marks *m, int v, int step, bool write)
{
    if (v >= 0)
        buffer_marks(m, m->s->moments[v].buffer, m->g->value_count + v, step, write);
}

/* What a norm hands to the convolution behind it; both with the norm's number. */
static void affine_marks(marks *m, int norm, int step, bool write)
{
    buffer_marks(m, m->s->steps[norm].affine, 2 * m->g->value_count + norm, step, write);
}

static void check_plan(const ldm_graph *g)
{
    ldm_steps s;
    ldm_plan plan;
    marks m = {g, &s, &plan, NULL, NULL};
    int i;

    assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
    for (i = 0; i < s.count; i++) {
        if (s.steps[i].kind != LDM_STEP_CONV)
            continue;
        ldm_steps_place_moments(g, &s, i, &(ldm_slabs){i % 3, 1 + i % 2}); /* h 0: no slabs */
        if (i % 4 < 2)
            ldm_steps_take_norm(g, &s, i);
    }
    if (g->feature >= 0)
        assert_int_equal(s.moments[g->feature].buffer, -1); /* UNET_SHALLOW has no others */
    assert_int_equal(ldm_plan_create(g, &s, 1, &plan, NULL), LDM_OK);
    m.value = malloc(plan.floats * sizeof *m.value);
    m.channel = malloc(plan.floats * sizeof *m.channel);
    assert_true(m.value && m.channel);
    memset(m.value, 0xff, plan.floats * sizeof *m.value);
    for (i = 0; i < g->input_count; i++) {
        int v = g->inputs[i].value;

        write_marks(&m, v, 0, g->values[v].c, v);
    }
    for (i = 0; i < s.count; i++) {
        const ldm_step *t = &s.steps[i];

        read_marks(&m, t->norm < 0 ? t->x : s.steps[t->norm].x, i);
        if (t->norm >= 0)
            affine_marks(&m, t->norm, i, false);
        read_marks(&m, t->residual, i);
        read_marks(&m, t->vector, i);
        if (t->kind == LDM_STEP_ATTENTION) {
            read_marks(&m, t->k, i);
            read_marks(&m, t->v, i);
        }
        moments_marks(&m, t->parts[0], i, false);
        moments_marks(&m, t->parts[1], i, false);
        if (t->kind == LDM_STEP_COPY)
            write_marks(&m, t->y, t->k, g->values[t->x].c, t->x);
        else if (t->affine < 0)
            write_marks(&m, t->y, 0, g->values[t->y].c, t->y);
        else
            affine_marks(&m, i, i, true);
        if (t->kind == LDM_STEP_CONV)
            moments_marks(&m, t->y, i, true);
    }
    read_marks(&m, g->output, s.count);
    free(m.value);
    free(m.channel);
    ldm_plan_free(&plan);
    ldm_steps_free(&s);
}

/* A run's memory is that of its whole batch: the last one, which is smaller, must not take more. */
static void check_batches(const ldm_graph *g)
{
    size_t before = 0;
    ldm_steps s;
    int n;

    assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
    for (n = 1; n <= 8; n++) {
        ldm_plan plan;

        assert_int_equal(ldm_plan_create(g, &s, n, &plan, NULL), LDM_OK);
        assert_true(plan.floats >= before);
        before = plan.floats;
        ldm_plan_free(&plan);
    }
    ldm_steps_free(&s);
}

static void no_step_reads_what_was_overwritten(void **state)
{
    uint32_t seed;

    (void)state;
    for (seed = 1; seed <= 2 * NETWORKS; seed++) {
        network net = make(seed);
        int part;

        for (part = LDM_GRAPH_UNET; part <= LDM_GRAPH_UNET_SHALLOW; part++) {
            ldm_graph *g;

            assert_int_equal(ldm_graph_create(net.network, (ldm_graph_part)part, 4, 6, &g, NULL),
                             LDM_OK);
            check_plan(g);
            check_batches(g);
            ldm_graph_free(g);
        }
        unmake(&net);
    }
}

/* ---- graphs of no network -------------------------------------------------------------------- */

enum { KNOTS = 24, KNOT_NODES = 14 };

/* A random pile of nodes: values with several readers or none, the same value twice in a node, sums
 * of two convolutions, concats of concats and of the input, an output that others read. */
static ldm_graph *tangle(const network *net, uint32_t seed)
{
    static const ldm_op unary[] = {LDM_OP_SILU, LDM_OP_UPSAMPLE, LDM_OP_AVG_POOL};
    ldm_graph *g = ldm_calloc(1, sizeof *g);
    ldm_error err = {.msg = ""};
    ldm_builder b = {.network = net->network, .graph = g, .err = &err, .root = "first_stage_model"};
    int c =
        net->network->vq.ch * net->network->vq.ch_mult.items[net->network->vq.ch_mult.count - 1];

    assert_non_null(g);
    g->arena = ldm_arena_create(0);
    assert_non_null(g->arena);
    ldm_b_input(&b, (ldm_input){.name = "x", .depends = LDM_DEPENDS_X}, c, 4, 4);
    g->feature = -1;
    while (g->node_count < KNOT_NODES && !b.st) {
        int x = pick(&seed, g->value_count), y = pick(&seed, g->value_count);
        ldm_graph_value vx = g->values[x], vy = g->values[y];
        bool alike = vx.h == vy.h && vx.w == vy.w;
        ldm_op op = unary[pick(&seed, 3)];

        switch (pick(&seed, 6)) {
        case 0:
        case 1:
            if (vx.c == c)
                ldm_b_conv(&b, "decoder.mid.block_1.conv1", x, c, c, 3);
            break;
        case 2:
            if (vx.c == c)
                ldm_b_norm(&b, "decoder.mid.block_1.norm1", x, c, 1e-6);
            break;
        case 3:
            if ((op != LDM_OP_UPSAMPLE || vx.h < 16) && (op != LDM_OP_AVG_POOL || vx.h > 2))
                ldm_b_unary(&b, op, x, vx.c);
            break;
        case 4:
            if (alike && vx.c == vy.c)
                ldm_b_add(&b, x, y, vx.c);
            break;
        default:
            if (alike && vx.c + vy.c <= 6 * c)
                ldm_b_concat(&b, x, vx.c, y, vy.c);
        }
    }
    if (b.st)
        fail_msg("%s", err.msg);
    g->output = 1 + pick(&seed, g->value_count - 1);
    return g;
}

static void tangled_graphs_run_as_they_stand(void **state)
{
    network net = make(1);
    static float in[2 * 64 * 16];
    const float times[2] = {0, 0};
    static ldm_rng rng;
    uint32_t seed;
    ldm_cpu cpu;
    int i;

    (void)state;
    ldm_cpu_detect(&cpu);
    ldm_rng_seed(&rng, 3);
    ldm_rng_randn(&rng, in, sizeof in / sizeof in[0]);
    for (seed = 1; seed <= KNOTS; seed++) {
        ldm_graph *g = tangle(&net, seed);
        size_t floats = numel(g, g->output), in_floats = numel(g, ldm_graph_input(g, "x"));
        char what[32];
        float *out;

        assert_true(2 * in_floats <= sizeof in / sizeof in[0]);
        check_plan(g);
        snprintf(what, sizeof what, "knot %u", (unsigned)seed);
        out = execute(&net, tangle(&net, seed), 2, 2, ldm_cpu_backend(&cpu), LDM_PRECISION_EXACT,
                      in, times, what);
        for (i = 0; i < 2; i++) {
            float *want = naive_run(net.network, g, net.weights, in + (size_t)i * in_floats, 0);

            assert_non_null(want);
            if (!(distance(out + (size_t)i * floats, want, floats) < EXACT_BAR))
                fail_msg("%s: sample %d differs", what, i);
            free(want);
        }
        free(out);
        ldm_graph_free(g);
    }
    unmake(&net);
}

/* Buffers share memory: the plan of a deep network is far smaller than the sum of its values. */
static void plans_reuse_memory(void **state)
{
    network net = make(3);
    ldm_graph *g;
    ldm_steps s;
    ldm_plan plan;
    size_t sum = 0;
    int i;

    (void)state;
    assert_int_equal(ldm_graph_create(net.network, LDM_GRAPH_DECODE, 16, 16, &g, NULL), LDM_OK);
    assert_int_equal(ldm_steps_create(g, &s, NULL), LDM_OK);
    assert_int_equal(ldm_plan_create(g, &s, 1, &plan, NULL), LDM_OK);
    for (i = 0; i < s.count; i++)
        sum += numel(g, s.steps[i].y);
    assert_true(plan.floats < sum / 2);
    ldm_plan_free(&plan);
    ldm_steps_free(&s);
    ldm_graph_free(g);
    unmake(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_equal_their_graphs),
        cmocka_unit_test(the_outermost_blocks_continue_the_whole),
        cmocka_unit_test(timesteps_ahead_change_nothing),
        cmocka_unit_test(no_step_reads_what_was_overwritten),
        cmocka_unit_test(tangled_graphs_run_as_they_stand),
        cmocka_unit_test(plans_reuse_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
