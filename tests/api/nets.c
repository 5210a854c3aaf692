/* SPDX-License-Identifier: MIT */
/* See nets.h. */
#include "nets.h"

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
#include "network/network_testing.h"
#include "sample/rng.h"

int net_pick(uint32_t *seed, int below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (int)((*seed >> 16) % (uint32_t)below);
}

static const char *yes_no(uint32_t *seed)
{
    return net_pick(seed, 2) ? "true" : "false";
}

static void set(test_net *n, const char *fmt, ...) LDM_PRINTF(2, 3);

static void set(test_net *n, const char *fmt, ...)
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
void net_fill(test_net *n)
{
    static ldm_rng rng;
    int i;

    n->weights = realloc(n->weights, (size_t)n->network->tensor_count * sizeof *n->weights);
    assert_non_null(n->weights);
    for (i = n->filled; i < n->network->tensor_count; i++)
        n->weights[i] = NULL;
    ldm_rng_seed(&rng, 1);
    for (i = n->filled; i < n->network->tensor_count; i++) {
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
    n->filled = n->network->tensor_count;
}

static void set_first_stage(test_net *n, const char *name, uint32_t *seed)
{
    static const char s[] = "model.params.first_stage_config";

    set(n, "%s.target=ldm.models.autoencoder.%s", s, name);
    set(n, "%s.params.embed_dim=%d", s, 1 + net_pick(seed, 6));
    set(n, "%s.params.ddconfig.double_z=true", s);
    set(n, "%s.params.ddconfig.z_channels=%d", s, 1 + net_pick(seed, 6));
    set(n, "%s.params.ddconfig.in_channels=%d", s, 1 + net_pick(seed, 4));
    set(n, "%s.params.ddconfig.out_ch=%d", s, 1 + net_pick(seed, 4));
    set(n, "%s.params.ddconfig.num_res_blocks=%d", s, 1 + net_pick(seed, 2));
}

test_net net_make(uint32_t seed)
{
    return net_make_stage(seed, NULL);
}

test_net net_make_stage(uint32_t seed, const char *first_stage)
{
    static const char *const mults[] = {"[1]", "[1, 2]", "[1, 1]", "[1, 3]"};
    static const char *const attend[] = {"[]", "[1]", "[2]", "[1, 2]"};
    static const char u[] = "model.params.unet_config.params";
    static const char v[] = "model.params.first_stage_config.params.ddconfig";
    test_net n = {0};
    ldm_error err = {.msg = ""};

    assert_int_equal(ldm_config_create(&n.cfg, NULL), LDM_OK);
    assert_int_equal(ldm_config_load_text(n.cfg, "base", base_text, strlen(base_text), NULL),
                     LDM_OK);
    set(&n, "model.params.use_ema=false");
    set(&n, "%s.channel_mult=%s", u, mults[net_pick(&seed, 4)]);
    set(&n, "%s.attention_resolutions=%s", u, attend[net_pick(&seed, 4)]);
    set(&n, "%s.num_res_blocks=%d", u, 1 + net_pick(&seed, 2));
    set(&n, "%s.num_heads=%d", u, 1 << net_pick(&seed, 3));
    if (net_pick(&seed, 2))
        set(&n, "%s.num_head_channels=%d", u, 8 << net_pick(&seed, 3));
    if (net_pick(&seed, 2))
        set(&n, "%s.num_heads_upsample=%d", u, 1 << net_pick(&seed, 3));
    set(&n, "%s.resblock_updown=%s", u, yes_no(&seed));
    set(&n, "%s.use_scale_shift_norm=%s", u, yes_no(&seed));
    set(&n, "%s.conv_resample=%s", u, yes_no(&seed));
    set(&n, "%s.use_new_attention_order=%s", u, yes_no(&seed));
    set(&n, "%s.legacy=%s", u, yes_no(&seed));
    set(&n, "%s.in_channels=%d", u, 1 + net_pick(&seed, 5));
    set(&n, "%s.out_channels=%d", u, 1 + net_pick(&seed, 5));
    set(&n, "%s.ch=32", v);
    set(&n, "%s.ch_mult=%s", v, net_pick(&seed, 2) ? "[1, 2]" : "[2]");
    set(&n, "%s.attn_type=%s", v, net_pick(&seed, 2) ? "vanilla" : "none");
    set(&n, "%s.resamp_with_conv=%s", v, yes_no(&seed));
    set(&n, "%s.tanh_out=%s", v, yes_no(&seed));
    if (first_stage)
        set_first_stage(&n, first_stage, &seed);
    if (ldm_network_create(n.cfg, NULL, &n.network, &err))
        fail_msg("%s: %s", n.text, err.msg);
    net_fill(&n);
    return n;
}

void net_free(test_net *n)
{
    int i;

    for (i = 0; i < n->filled; i++)
        free(n->weights[i]);
    free(n->weights);
    ldm_network_free(n->network);
    ldm_config_free(n->cfg);
}

static ldm_status read_weight(void *ctx, int tensor, const float **data, float **owned,
                              ldm_error *err)
{
    const test_net *n = ctx;

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
static ldm_lent lend_weight(void *ctx, int tensor)
{
    return (ldm_lent){.data = tensor % 2 ? ((const test_net *)ctx)->weights[tensor] : NULL};
}

ldm_weight_source net_source(const test_net *n)
{
    return (ldm_weight_source){(void *)(uintptr_t)n, read_weight, done_weight, lend_weight};
}

size_t net_numel(const ldm_graph *g, int value)
{
    const ldm_graph_value *v = &g->values[value];

    return (size_t)v->c * (size_t)v->h * (size_t)v->w;
}

double net_distance(const float *a, const float *b, size_t n)
{
    double diff = 0, norm = 1e-30;
    size_t i;

    for (i = 0; i < n; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(diff / norm);
}

/* The arena is filled with NaN before: what was never written must not be read. */
static void spoil(float *arena, size_t floats)
{
    size_t i;

    for (i = 0; i < floats; i++)
        arena[i] = NAN;
}

static ldm_kept *keep(const ldm_program *p, unsigned depends, int rows, ldm_pool *pool,
                      float *arena, const ldm_named_array *inputs)
{
    ldm_error err = {.msg = ""};
    ldm_kept *k = NULL;

    if (ldm_kept_create(p, depends, rows, &k, &err) ||
        ldm_kept_fill(k, p, pool, arena, inputs, rows, &err))
        fail_msg("%s", err.msg);
    return k;
}

float *net_execute(const test_net *net, ldm_graph *g, const net_run *r, const char *what)
{
    const ldm_weight_source src = net_source(net);
    ldm_execution e = {.out = NULL};
    ldm_error err = {.msg = ""};
    ldm_weights *weights = NULL;
    ldm_kept *time = NULL, *cond = NULL;
    ldm_program *p = NULL;
    ldm_pool *pool;
    float *arena;
    size_t floats;

    memcpy(e.inputs, r->inputs, sizeof e.inputs);
    assert_int_equal(ldm_pool_create(r->threads, &pool, NULL), LDM_OK);
    if (ldm_weights_create(net->network, g, r->backend, r->precision, &src, pool, &weights, &err) ||
        ldm_program_create(g, weights, r->backend, r->precision, r->n, r->threads, &p, &err))
        fail_msg("%s: %s", what, err.msg);
    floats = ldm_program_arena_floats(p);
    arena = ldm_pages_alloc(floats * sizeof *arena);
    e.out = malloc((size_t)r->n * net_numel(g, g->output) * sizeof *e.out);
    assert_true(arena && e.out);
    if (r->times) {
        spoil(arena, floats);
        time = keep(p, LDM_DEPENDS_TIME, r->times, pool, arena, r->time_rows);
        e.time = (ldm_kept_rows){time, r->row};
    }
    if (r->keep_cond) {
        spoil(arena, floats);
        cond = keep(p, LDM_DEPENDS_COND, r->n, pool, arena, r->inputs);
        e.cond.kept = cond;
    }
    spoil(arena, floats);
    if (ldm_program_run(p, pool, arena, &e, &err))
        fail_msg("%s: %s", what, err.msg);
    ldm_kept_free(time);
    ldm_kept_free(cond);
    ldm_pages_free(arena, floats * sizeof *arena);
    ldm_program_free(p);
    ldm_weights_free(weights);
    ldm_pool_free(pool);
    return e.out;
}
