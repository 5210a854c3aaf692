/* SPDX-License-Identifier: MIT */
/* Tests of the description: its list against CompVis' own state_dict() and the published sizes, the
 * options of each constructor, settings without effect, unknown keys, the text and place of every
 * refusal, hostile values, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "network/network.h"
#include "network/network_testing.h"

#define UNET "model.params.unet_config.params."
#define VQ "model.params.first_stage_config.params."

static const char full_config[] = "configs/ffhq-ldm-vq-4.yaml";

/* ---- help ------------------------------------------------------------------------------------ */

/* A configuration from text, with assignments up to NULL. */
static ldm_config *config_with(const char *text, const char *const *sets)
{
    ldm_error err = {.msg = ""};
    ldm_config *cfg;

    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    if (ldm_config_load_text(cfg, "t.yaml", text, strlen(text), &err))
        fail_msg("%s", err.msg);
    for (; sets && *sets; sets++) {
        if (ldm_config_set(cfg, *sets, &err))
            fail_msg("%s", err.msg);
    }
    return cfg;
}

typedef struct described {
    ldm_config *cfg;
    ldm_network *network;
} described;

static described describe(const char *const *sets)
{
    described d = {.cfg = config_with(base_text, sets)};
    ldm_error err = {.msg = ""};

    if (ldm_network_create(d.cfg, NULL, &d.network, &err))
        fail_msg("%s", err.msg);
    return d;
}

#define DESCRIBE(...) describe((const char *const[]){__VA_ARGS__, NULL})

static void done(described *d)
{
    ldm_network_free(d->network);
    ldm_config_free(d->cfg);
}

static const ldm_tensor_decl *tensor(const ldm_network *s, const char *name)
{
    int i = ldm_network_find(s, name);

    return i < 0 ? NULL : &s->tensors[i];
}

static void expect_shape(const ldm_network *s, const char *name, int ndim, int64_t d0, int64_t d1)
{
    const ldm_tensor_decl *t = tensor(s, name);

    if (!t || t->ndim != ndim || t->shape[0] != d0 || (ndim > 1 && t->shape[1] != d1))
        fail_msg("%s is missing or has another shape", name);
}

static ldm_graph *graph(const ldm_network *s, ldm_graph_part part, int h, int w)
{
    ldm_error err = {.msg = ""};
    ldm_graph *g;

    if (ldm_graph_create(s, part, (ldm_graph_size){h, w, 0}, &g, &err))
        fail_msg("%s", err.msg);
    return g;
}

/* Heads of the i-th attention of the UNet. */
static int heads_of(const ldm_network *s, int i)
{
    ldm_graph *g = graph(s, LDM_GRAPH_UNET, 16, 16);
    int k, heads = 0;

    for (k = 0; k < g->node_count; k++) {
        if (g->nodes[k].op == LDM_OP_ATTENTION && i-- == 0) {
            heads = g->nodes[k].heads;
            assert_int_equal(g->values[g->nodes[k].out].c, heads * g->nodes[k].head_dim);
        }
    }
    ldm_graph_free(g);
    return heads;
}

/* ---- lists and sizes ------------------------------------------------------------------------- */

static void the_full_model_has_the_published_sizes(void **state)
{
    static const char *const no_ema[] = {NULL, "model.params.use_ema=false"};
    static const int counts[] = {955, 585};
    size_t k;

    (void)state;
    for (k = 0; k < 2; k++) {
        uint64_t numel[LDM_COMPONENT_COUNT] = {0};
        int keys[LDM_COMPONENT_COUNT] = {0}, i;
        ldm_error err = {.msg = ""};
        ldm_config *cfg;
        ldm_network *s = NULL;

        assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
        if (ldm_config_load(cfg, full_config, &err) ||
            (no_ema[k] && ldm_config_set(cfg, no_ema[k], &err)) ||
            ldm_network_create(cfg, NULL, &s, &err))
            fail_msg("%s", err.msg);
        for (i = 0; i < s->tensor_count; i++) {
            numel[s->tensors[i].component] += s->tensors[i].numel;
            keys[s->tensors[i].component]++;
        }
        assert_int_equal(s->tensor_count, counts[k]);
        assert_int_equal(keys[LDM_COMPONENT_SCHEDULE], 12);
        assert_int_equal(keys[LDM_COMPONENT_UNET], 368);
        assert_int_equal(keys[LDM_COMPONENT_EMA], k ? 0 : 370);
        assert_int_equal(keys[LDM_COMPONENT_FIRST_STAGE], 205);
        assert_int_equal(keys[LDM_COMPONENT_COND_STAGE], 0);
        assert_int_equal(numel[LDM_COMPONENT_UNET], 274056163);
        assert_int_equal(numel[LDM_COMPONENT_FIRST_STAGE], 55322782);
        assert_int_equal(numel[LDM_COMPONENT_EMA], k ? 0 : 274056165);
        assert_int_equal(s->first_stage.factor, 4);
        assert_int_equal(s->unknown_count, 0);
        ldm_network_free(s);
        ldm_config_free(cfg);
    }
}

/* The original's own list, where the reference data is at hand. */
static void keys_have_the_order_of_state_dict(void **state)
{
    const char *root = getenv("LDM_GOLDEN");
    char dir[512], path[600];
    ldm_error err = {.msg = ""};
    ldm_config *cfg;
    ldm_network *s = NULL;
    json_t *expected, *keys;
    int i;

    (void)state;
    snprintf(dir, sizeof dir, "%s/ffhq-small", root && *root ? root : "../shared/golden");
    snprintf(path, sizeof path, "%s/expected.json", dir);
    if (access(path, R_OK)) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    expected = json_load_file(path, 0, NULL);
    keys = json_object_get(expected, "state_dict_keys");
    assert_int_equal(json_array_size(keys), 955);
    snprintf(path, sizeof path, "%s/config.yaml", dir);
    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    if (ldm_config_load(cfg, path, &err) || ldm_network_create(cfg, NULL, &s, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(s->tensor_count, 955);
    for (i = 0; i < 955; i++)
        assert_string_equal(s->tensors[i].name, json_string_value(json_array_get(keys, (size_t)i)));
    json_decref(expected);
    ldm_network_free(s);
    ldm_config_free(cfg);
}

static void shadows_are_named_without_dots(void **state)
{
    described d = DESCRIBE("model.params.use_ema=true");
    int i, shadows = 0;

    (void)state;
    for (i = 0; i < d.network->tensor_count; i++) {
        const ldm_tensor_decl *t = &d.network->tensors[i], *ema;

        if (t->component != LDM_COMPONENT_UNET)
            continue;
        assert_true(t->ema >= 0);
        ema = &d.network->tensors[t->ema];
        assert_int_equal(ema->component, LDM_COMPONENT_EMA);
        assert_int_equal(ema->numel, t->numel);
        assert_null(strchr(ema->name + strlen("model_ema."), '.'));
        shadows++;
    }
    assert_true(shadows > 50);
    assert_non_null(tensor(d.network, "model_ema.diffusion_modelinput_blocks00weight"));
    assert_non_null(tensor(d.network, "model_ema.decay"));
    assert_int_equal(ldm_network_find(d.network, "model_ema.none"), -1);
    done(&d);
}

/* ---- options --------------------------------------------------------------------------------- */

static void blocks_resample_as_told(void **state)
{
    described d = DESCRIBE(UNET "resblock_updown=false");

    (void)state;
    expect_shape(d.network, "model.diffusion_model.input_blocks.2.0.op.weight", 4, 32, 32);
    expect_shape(d.network, "model.diffusion_model.output_blocks.1.2.conv.weight", 4, 96, 96);
    done(&d);
    d = DESCRIBE(UNET "resblock_updown=true");
    assert_null(tensor(d.network, "model.diffusion_model.input_blocks.2.0.op.weight"));
    expect_shape(d.network, "model.diffusion_model.input_blocks.2.0.in_layers.2.weight", 4, 32, 32);
    expect_shape(d.network, "model.diffusion_model.output_blocks.1.2.in_layers.2.weight", 4, 96,
                 96);
    done(&d);
    d = DESCRIBE(UNET "conv_resample=false");
    assert_null(tensor(d.network, "model.diffusion_model.input_blocks.2.0.op.weight"));
    assert_null(tensor(d.network, "model.diffusion_model.output_blocks.1.2.conv.weight"));
    done(&d);
}

static void scale_shift_doubles_the_embedding(void **state)
{
    static const char name[] = "model.diffusion_model.input_blocks.1.0.emb_layers.1.weight";
    described d = DESCRIBE(UNET "use_scale_shift_norm=false");

    (void)state;
    expect_shape(d.network, name, 2, 32, 128);
    done(&d);
    d = DESCRIBE(UNET "use_scale_shift_norm=true");
    expect_shape(d.network, name, 2, 64, 128);
    done(&d);
}

static void buffers_stand_where_the_original_has_them(void **state)
{
    described d = DESCRIBE("model.params.scale_by_std=true", "model.params.learn_logvar=true",
                           "model.params.timesteps=100");

    (void)state;
    assert_int_equal(ldm_network_find(d.network, "logvar"), 0);
    assert_int_equal(ldm_network_find(d.network, "betas"), 1);
    assert_int_equal(ldm_network_find(d.network, "scale_factor"),
                     ldm_network_find(d.network, "posterior_mean_coef2") + 1);
    assert_int_equal(tensor(d.network, "scale_factor")->ndim, 0);
    expect_shape(d.network, "alphas_cumprod", 1, 100, 0);
    done(&d);
    d = DESCRIBE("model.params.scale_by_std=false");
    assert_null(tensor(d.network, "scale_factor"));
    assert_null(tensor(d.network, "logvar"));
    done(&d);
}

static void a_first_stage_as_condition_appears_twice(void **state)
{
    described d = DESCRIBE("model.params.cond_stage_config=__is_first_stage__",
                           "model.params.conditioning_key=concat");
    int first = 0, cond = 0, i;

    (void)state;
    for (i = 0; i < d.network->tensor_count; i++) {
        first += d.network->tensors[i].component == LDM_COMPONENT_FIRST_STAGE;
        cond += d.network->tensors[i].component == LDM_COMPONENT_COND_STAGE;
    }
    assert_true(first > 30);
    assert_int_equal(first, cond);
    assert_non_null(tensor(d.network, "cond_stage_model.quantize.embedding.weight"));
    assert_int_equal(tensor(d.network, "cond_stage_model.post_quant_conv.weight")->used, 0);
    assert_string_equal(d.network->diffusion.conditioning_key, "concat");
    done(&d);
    /* Without a condition the key is null, whatever is written. */
    d = DESCRIBE("model.params.conditioning_key=crossattn");
    assert_null(d.network->diffusion.conditioning_key);
    done(&d);
}

static void the_first_stage_obeys_its_options(void **state)
{
    described d = DESCRIBE(VQ "ddconfig.attn_type=none", VQ "use_ema=true");

    (void)state;
    assert_null(tensor(d.network, "first_stage_model.decoder.mid.attn_1.q.weight"));
    assert_non_null(tensor(d.network, "first_stage_model.model_ema.decay"));
    done(&d);
    d = DESCRIBE(VQ "ddconfig.attn_type=vanilla", VQ "ddconfig.resamp_with_conv=false");
    expect_shape(d.network, "first_stage_model.decoder.mid.attn_1.q.weight", 4, 128, 128);
    expect_shape(d.network, "first_stage_model.encoder.down.1.attn.0.q.weight", 4, 128, 128);
    assert_null(tensor(d.network, "first_stage_model.encoder.down.0.downsample.conv.weight"));
    assert_null(tensor(d.network, "first_stage_model.model_ema.decay"));
    expect_shape(d.network, "first_stage_model.quantize.embedding.weight", 2, 64, 3);
    expect_shape(d.network, "first_stage_model.quant_conv.weight", 4, 3, 4);
    done(&d);
    /* The encoder halves 65 to 32; the decoder doubles 32 to 64. */
    d = DESCRIBE(VQ "ddconfig.resolution=65", VQ "ddconfig.attn_resolutions=[64]");
    assert_null(tensor(d.network, "first_stage_model.encoder.down.0.attn.0.q.weight"));
    assert_non_null(tensor(d.network, "first_stage_model.decoder.up.0.attn.0.q.weight"));
    done(&d);
}

/* The encoder then gives 2 z_channels and quant_conv takes z_channels, as in the original: a model
 * that can sample and not encode. */
static void a_double_z_can_only_decode(void **state)
{
    described d = DESCRIBE(VQ "ddconfig.double_z=true");
    ldm_graph *g;
    ldm_error err;

    (void)state;
    expect_shape(d.network, "first_stage_model.encoder.conv_out.weight", 4, 8, 128);
    expect_shape(d.network, "first_stage_model.quant_conv.weight", 4, 3, 4);
    ldm_graph_free(graph(d.network, LDM_GRAPH_DECODE, 8, 8));
    ldm_graph_free(graph(d.network, LDM_GRAPH_QUANTIZE, 8, 8));
    assert_int_equal(
        ldm_graph_create(d.network, LDM_GRAPH_ENCODE, (ldm_graph_size){8, 8, 0}, &g, &err),
        LDM_ERR_CONFIG);
    assert_non_null(strstr(err.msg, "double_z is true"));
    done(&d);
}

/* Attentions: input blocks at 64 and 96 channels (0, 1), the middle (2), output blocks (3...). */
static void heads_are_counted_as_the_constructor_does(void **state)
{
    static const struct {
        const char *sets[4];
        int heads[4]; /* of attentions 0, 1, 2, 3 */
    } rows[] = {
        {{UNET "num_heads=4"}, {4, 4, 4, 4}},
        {{UNET "num_heads=4", UNET "num_heads_upsample=2"}, {4, 4, 4, 2}},
        {{UNET "num_heads=4", UNET "num_heads_upsample=2", UNET "legacy=false"}, {4, 4, 4, 4}},
        {{UNET "num_heads=4", UNET "num_head_channels=32"}, {2, 3, 3, 3}},
        {{UNET "num_head_channels=16", UNET "num_heads_upsample=2"}, {4, 6, 6, 6}},
    };
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        described d = describe(rows[i].sets);

        for (k = 0; k < 4; k++) {
            if (heads_of(d.network, k) != rows[i].heads[k])
                fail_msg("row %zu: attention %d has %d heads, expected %d", i, k,
                         heads_of(d.network, k), rows[i].heads[k]);
        }
        done(&d);
    }
}

static void attention_order_reaches_the_graph(void **state)
{
    int order, i;

    (void)state;
    for (order = 0; order < 2; order++) {
        described d = DESCRIBE(order ? UNET "use_new_attention_order=true"
                                     : UNET "use_new_attention_order=false");
        ldm_graph *g = graph(d.network, LDM_GRAPH_UNET, 16, 16);

        for (i = 0; i < g->node_count; i++) {
            if (g->nodes[i].op == LDM_OP_ATTENTION)
                assert_int_equal(g->nodes[i].heads_first, !order);
        }
        ldm_graph_free(g);
        done(&d);
    }
}

/* ---- graphs ---------------------------------------------------------------------------------- */

/* Nodes are in order of execution, each value has one writer and depends on what its inputs depend
 * on, and no tensor is read that is not
 * listed as read by this part. */
static void check_graph(const ldm_network *s, const ldm_graph *g, unsigned used)
{
    bool *written = ldm_calloc((size_t)g->value_count, sizeof *written);
    int i, k;

    assert_non_null(written);
    for (i = 0; i < g->input_count; i++)
        written[g->inputs[i].value] = true;
    for (i = 0; i < g->node_count; i++) {
        const ldm_node *n = &g->nodes[i];
        unsigned depends = 0;

        for (k = 0; k < 3 && n->in[k] >= 0; k++) {
            assert_true(written[n->in[k]]);
            depends |= g->values[n->in[k]].depends;
        }
        assert_int_equal(g->values[n->out].depends, depends);
        assert_false(written[n->out]);
        written[n->out] = true;
        assert_true(n->weight < 0 || (s->tensors[n->weight].used & used));
        assert_true(n->bias < 0 || (s->tensors[n->bias].used & used));
    }
    assert_true(written[g->output]);
    assert_true(g->feature < 0 || written[g->feature]);
    ldm_free(written);
}

/* In a UNet the layers of the embedding, and no others, follow from the timestep alone. */
static void the_embedding_depends_on_the_timestep_alone(void **state)
{
    described d = describe(NULL);
    ldm_graph *g = graph(d.network, LDM_GRAPH_UNET, 8, 12);
    int i, found = 0;

    (void)state;
    assert_int_equal(g->values[ldm_graph_input(g, "t")].depends, LDM_DEPENDS_TIME);
    assert_int_equal(g->values[ldm_graph_input(g, "x")].depends, LDM_DEPENDS_X);
    assert_int_equal(g->values[g->output].depends, LDM_DEPENDS_X | LDM_DEPENDS_TIME);
    for (i = 0; i < g->node_count; i++) {
        const ldm_node *n = &g->nodes[i];
        const bool named = strstr(n->name, "time_embed.") || strstr(n->name, "emb_layers.");

        if (n->weight >= 0)
            assert_int_equal(g->values[n->out].depends == LDM_DEPENDS_TIME, named);
        found += named;
    }
    assert_true(found > 2);
    ldm_graph_free(g);
    done(&d);
}

/* The outermost blocks are nodes of the whole UNet, in its order, from the first convolution and
 * the last output block, and the feature that they take has the shape of the one that it hands out.
 */
static void the_shallow_graph_is_part_of_the_whole(void **state)
{
    described d = describe(NULL);
    ldm_graph *whole = graph(d.network, LDM_GRAPH_UNET, 8, 12);
    ldm_graph *part = graph(d.network, LDM_GRAPH_UNET_SHALLOW, 8, 12);
    const ldm_graph_value *handed, *taken;
    int i, k = 0, input_blocks = 0;

    (void)state;
    assert_true(whole->feature >= 0 && ldm_graph_input(part, "feature") >= 0);
    assert_int_equal(ldm_graph_input(whole, "feature"), -1);
    assert_int_equal(part->feature, -1);
    handed = &whole->values[whole->feature];
    taken = &part->values[ldm_graph_input(part, "feature")];
    assert_int_equal(handed->c, taken->c);
    assert_int_equal(handed->h, taken->h);
    assert_int_equal(handed->w, taken->w);
    for (i = 0; i < part->node_count; i++, k++) {
        const ldm_node *n = &part->nodes[i];

        while (k < whole->node_count &&
               (whole->nodes[k].op != n->op || whole->nodes[k].weight != n->weight ||
                strcmp(whole->nodes[k].name, n->name) != 0))
            k++;
        if (k == whole->node_count)
            fail_msg("%s is not in the whole network, or not in this order", n->name);
        input_blocks += !strncmp(n->name, "input_blocks.", 13) && n->op == LDM_OP_CONV;
        assert_null(strstr(n->name, "middle_block"));
    }
    assert_int_equal(input_blocks, LDM_SHALLOW_BLOCKS);
    assert_true(part->node_count < whole->node_count / 2);
    assert_true(ldm_graph_flop(part) < ldm_graph_flop(whole) / 2);
    ldm_graph_free(whole);
    ldm_graph_free(part);
    done(&d);
}

static void graphs_are_sound(void **state)
{
    static const struct {
        ldm_graph_part part;
        int h, w;
        unsigned used;
        int out_c, out_h, out_w;
    } rows[] = {
        {LDM_GRAPH_UNET, 8, 12, LDM_USED_UNET, 3, 8, 12},
        {LDM_GRAPH_ENCODE, 16, 8, LDM_USED_ENCODE, 3, 8, 4},
        {LDM_GRAPH_DECODE, 5, 7, LDM_USED_DECODE, 3, 10, 14},
        {LDM_GRAPH_QUANTIZE, 5, 7, LDM_USED_QUANTIZE, 3, 5, 7},
        {LDM_GRAPH_INDICES, 5, 7, LDM_USED_QUANTIZE, 1, 5, 7},
        {LDM_GRAPH_UNET_SHALLOW, 8, 12, LDM_USED_UNET, 3, 8, 12},
    };
    described d = describe(NULL);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ldm_graph *g = graph(d.network, rows[i].part, rows[i].h, rows[i].w);
        const ldm_graph_value *out = &g->values[g->output];

        check_graph(d.network, g, rows[i].used);
        assert_int_equal(out->c, rows[i].out_c);
        assert_int_equal(out->h, rows[i].out_h);
        assert_int_equal(out->w, rows[i].out_w);
        assert_true(ldm_graph_flop(g) > 0 || rows[i].used == LDM_USED_QUANTIZE);
        ldm_graph_free(g);
    }
    done(&d);
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    static const int sizes[][2] = {{6, 8}, {8, 6}, {0, 8}, {8, 0}, {-4, 4}, {1 << 20, 4}};
    described d = describe(NULL);
    ldm_error err = {.msg = ""};
    ldm_graph *g;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(ldm_graph_create(d.network, LDM_GRAPH_UNET,
                                          (ldm_graph_size){sizes[i][0], sizes[i][1], 0}, &g, &err),
                         LDM_ERR_USAGE);
        assert_null(g);
        assert_non_null(strstr(err.msg, "latent"));
    }
    assert_int_equal(
        ldm_graph_create(d.network, LDM_GRAPH_UNET, (ldm_graph_size){6, 8, 0}, &g, &err),
        LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "multiples of 4"));
    assert_int_equal(
        ldm_graph_create(d.network, LDM_GRAPH_ENCODE, (ldm_graph_size){7, 8, 0}, &g, &err),
        LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "picture"));
    done(&d);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void expect_effect(const ldm_network *s, const char *path, ldm_effect effect,
                          const char *reason)
{
    const ldm_param *set = ldm_network_param(s, path);

    if (!set)
        fail_msg("no setting %s", path);
    if (set->effect != effect)
        fail_msg("%s has effect %d, expected %d", path, (int)set->effect, (int)effect);
    if (reason && (!set->reason || !strstr(set->reason, reason)))
        fail_msg("%s: the reason is \"%s\"", path, set->reason ? set->reason : "");
}

static void settings_say_what_they_change(void **state)
{
    described d = DESCRIBE(UNET "num_head_channels=32", "model.params.conditioning_key=crossattn",
                           "model.params.monitor=val/loss");
    const ldm_param *set;

    (void)state;
    expect_effect(d.network, "unet_config.params.num_heads", LDM_EFFECT_NONE, "num_head_channels");
    expect_effect(d.network, "unet_config.params.num_heads_upsample", LDM_EFFECT_NONE,
                  "num_head_channels");
    expect_effect(d.network, "conditioning_key", LDM_EFFECT_NONE, "__is_unconditional__");
    expect_effect(d.network, "cosine_s", LDM_EFFECT_NONE, "cosine");
    expect_effect(d.network, "scale_factor", LDM_EFFECT_SILENT, NULL);
    expect_effect(d.network, "unet_config.params.model_channels", LDM_EFFECT_SHAPE, NULL);
    expect_effect(d.network, "monitor", LDM_EFFECT_TRAINING, "training");
    set = ldm_network_param(d.network, "scale_factor");
    assert_string_equal(set->value, "0.5");
    assert_string_equal(set->origin.source, "t.yaml");
    assert_int_equal(set->origin.line, 7);
    set = ldm_network_param(d.network, "linear_end");
    assert_string_equal(set->value, "0.02");
    assert_null(set->origin.source); /* the constructor's default */
    set = ldm_network_param(d.network, "unet_config.params.channel_mult");
    assert_string_equal(set->value, "[1, 2, 3]");
    assert_null(ldm_network_param(d.network, "no_such"));
    done(&d);

    d = DESCRIBE("model.params.beta_schedule=cosine", UNET "legacy=false");
    expect_effect(d.network, "linear_start", LDM_EFFECT_NONE, "cosine");
    expect_effect(d.network, "cosine_s", LDM_EFFECT_SILENT, NULL);
    expect_effect(d.network, "unet_config.params.num_heads", LDM_EFFECT_SILENT, NULL);
    expect_effect(d.network, "unet_config.params.num_heads_upsample", LDM_EFFECT_NONE, "legacy");
    done(&d);
}

static void unknown_keys_are_told_with_a_suggestion(void **state)
{
    described d = DESCRIBE(UNET "num_head=8", VQ "ddconfig.ch_mul=[1]", "model.params.zebra=1",
                           "data.params.batch_size=4", "model.base_learning_rate=1e-6",
                           "model.parms.x=1", "modl.params.x=1", "ldm.sampling.steps=1");
    static const char *const paths[] = {
        "model.params.zebra", UNET "num_head", VQ "ddconfig.ch_mul", "data", "modl", "model.parms"};
    static const char *const suggestions[] = {NULL, "num_heads", "ch_mult",
                                              NULL, "model",     "params"};
    size_t i;

    (void)state;
    assert_int_equal(d.network->unknown_count, sizeof paths / sizeof paths[0]);
    for (i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_string_equal(d.network->unknown[i].path, paths[i]);
        assert_string_equal(d.network->unknown[i].origin.source, "--set");
        if (suggestions[i])
            assert_string_equal(d.network->unknown[i].suggestion, suggestions[i]);
        else
            assert_null(d.network->unknown[i].suggestion);
    }
    done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_full_model_has_the_published_sizes),
        cmocka_unit_test(keys_have_the_order_of_state_dict),
        cmocka_unit_test(shadows_are_named_without_dots),
        cmocka_unit_test(blocks_resample_as_told),
        cmocka_unit_test(scale_shift_doubles_the_embedding),
        cmocka_unit_test(buffers_stand_where_the_original_has_them),
        cmocka_unit_test(a_first_stage_as_condition_appears_twice),
        cmocka_unit_test(the_first_stage_obeys_its_options),
        cmocka_unit_test(a_double_z_can_only_decode),
        cmocka_unit_test(heads_are_counted_as_the_constructor_does),
        cmocka_unit_test(attention_order_reaches_the_graph),
        cmocka_unit_test(graphs_are_sound),
        cmocka_unit_test(the_embedding_depends_on_the_timestep_alone),
        cmocka_unit_test(the_shallow_graph_is_part_of_the_whole),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(settings_say_what_they_change),
        cmocka_unit_test(unknown_keys_are_told_with_a_suggestion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
