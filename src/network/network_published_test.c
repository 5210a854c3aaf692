/* SPDX-License-Identifier: MIT */
/* Tests of the published models: every configuration that comes with ldm against the sizes that are
 * published (or printed by the original when it loads the model), and the description's list of
 * tensors against the original's state_dict() in its order, from the checkpoints of the reference
 * data where they are at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/checkpoint.h"
#include "network/network.h"

enum { PATH_LEN = 1024, POSITION_IDS = 77 };

typedef struct described {
    ldm_config *cfg;
    ldm_network *network;
} described;

static described describe(const char *path, const ldm_shape_source *shapes)
{
    ldm_error err = {.msg = ""};
    described d;

    assert_int_equal(ldm_config_create(&d.cfg, NULL), LDM_OK);
    if (ldm_config_load(d.cfg, path, &err) || ldm_network_create(d.cfg, shapes, &d.network, &err))
        fail_msg("%s: %s", path, err.msg);
    return d;
}

static void done(described *d)
{
    ldm_network_free(d->network);
    ldm_config_free(d->cfg);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

typedef struct published {
    const char *path;
    uint64_t unet, first_stage, conditioner; /* numbers in their tensors */
    ldm_cond_takes takes;                    /* with a conditioner */
    const char *vocabulary;
    int entries, tokens;
    ldm_unet_inputs inputs;
    int factor;
    double scale; /* of guidance */
} published;

#define CROSS(c, width, n)                                                                         \
    {                                                                                              \
        .latent = (c), .context_width = (width), .context_tokens = (n)                             \
    }

/* UNets: the original prints "DiffusionWrapper has 400.92 M params." and so on; Stable Diffusion's
 * and CLIP's are in their model cards. FrozenCLIPEmbedder holds 77 position ids besides its
 * 123,060,480 parameters. */
static const published rows[] = {
    {"configs/cin256-v2.yaml", 400920579, 55322782, 512512, LDM_COND_TAKES_CLASS, NULL, 1001, 1,
     CROSS(3, 512, 1), 4, 3},
    {"configs/cin-ldm-vq-f8.yaml", 394984196, 67717295, 512000, LDM_COND_TAKES_CLASS, NULL, 1000, 1,
     CROSS(4, 512, 1), 8, 0},
    {"configs/txt2img-1p4B.yaml", 872300484, 83653863, 581994042, LDM_COND_TAKES_TOKENS, "bert",
     30522, 77, CROSS(4, 1280, 77), 8, 5},
    {"configs/inpainting_big.yaml",
     387245827,
     53219486,
     53219486,
     LDM_COND_TAKES_PICTURE,
     NULL,
     0,
     0,
     {.latent = 3, .concat = 4},
     4,
     0},
    {"configs/bsr_sr.yaml",
     113622563,
     55322782,
     0,
     LDM_COND_TAKES_LATENT,
     NULL,
     0,
     0,
     {.latent = 3, .concat = 3},
     4,
     0},
    {"configs/semantic_synthesis256.yaml",
     215229315,
     55322782,
     546,
     LDM_COND_TAKES_MAP,
     NULL,
     0,
     0,
     {.latent = 3, .concat = 3},
     4,
     0},
    {"configs/semantic_synthesis512.yaml",
     215229315,
     55322782,
     546,
     LDM_COND_TAKES_MAP,
     NULL,
     0,
     0,
     {.latent = 3, .concat = 3},
     4,
     0},
    {"configs/layout2img-openimages256.yaml", 246277379, 55322782, 58858496, LDM_COND_TAKES_TOKENS,
     NULL, 8192, 92, CROSS(3, 512, 92), 4, 0},
    {"configs/v1-inference.yaml", 859520964, 83653863, 123060480 + POSITION_IDS,
     LDM_COND_TAKES_TOKENS, "clip", 49408, 77, CROSS(4, 768, 77), 8, 7.5},
    {"configs/v1-inpainting-inference.yaml",
     859535364,
     83653863,
     123060480 + POSITION_IDS,
     LDM_COND_TAKES_TOKENS,
     "clip",
     49408,
     77,
     {.latent = 4, .concat = 5, .context_width = 768, .context_tokens = 77},
     8,
     7.5},
    {"configs/v2-inference.yaml", 865910724, 83653863, 354032641, LDM_COND_TAKES_TOKENS, "openclip",
     49408, 77, CROSS(4, 1024, 77), 8, 9},
    {"configs/v2-inference-v.yaml", 865910724, 83653863, 354032641, LDM_COND_TAKES_TOKENS,
     "openclip", 49408, 77, CROSS(4, 1024, 77), 8, 9},
    {"configs/v2-inpainting-inference.yaml",
     865925124,
     83653863,
     354032641,
     LDM_COND_TAKES_TOKENS,
     "openclip",
     49408,
     77,
     {.latent = 4, .concat = 5, .context_width = 1024, .context_tokens = 77},
     8,
     9},
    {"configs/x4-upscaling.yaml",
     473398020,
     55325927,
     354032641,
     LDM_COND_TAKES_TOKENS,
     "openclip",
     49408,
     77,
     {.latent = 4,
      .concat = 3,
      .context_width = 1024,
      .context_tokens = 77,
      .labels = 1,
      .classes = 1000},
     4,
     9},
};

static void check_conditioner(const published *p, const ldm_network *s)
{
    const ldm_conditioner *c = s->conditioners;

    assert_int_equal(s->conditioner_count, 1);
    assert_int_equal(c->takes, p->takes);
    if (p->vocabulary)
        assert_string_equal(c->vocabulary, p->vocabulary);
    else
        assert_null(c->vocabulary);
    assert_int_equal(c->entries, p->entries);
    assert_int_equal(c->tokens, p->tokens);
    assert_true(c->scale == p->scale);
}

static void check_inputs(const ldm_unet_inputs *got, const ldm_unet_inputs *want)
{
    assert_int_equal(got->latent, want->latent);
    assert_int_equal(got->concat, want->concat);
    assert_int_equal(got->context_width, want->context_width);
    assert_int_equal(got->context_tokens, want->context_tokens);
    assert_int_equal(got->labels, want->labels);
    assert_int_equal(got->classes, want->classes);
}

static void published_models_have_their_sizes(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        described d = describe(rows[i].path, NULL);
        const ldm_network *s = d.network;
        uint64_t numbers[LDM_COMPONENT_COUNT] = {0};
        int k;

        for (k = 0; k < s->tensor_count; k++)
            numbers[s->tensors[k].component] += s->tensors[k].numel;
        print_message("%s\n", rows[i].path);
        assert_int_equal(numbers[LDM_COMPONENT_UNET], rows[i].unet);
        assert_int_equal(numbers[LDM_COMPONENT_FIRST_STAGE], rows[i].first_stage);
        assert_int_equal(numbers[LDM_COMPONENT_COND_STAGE], rows[i].conditioner);
        assert_int_equal(s->unknown_count, 0);
        assert_int_equal(s->first_stage.factor, rows[i].factor);
        check_conditioner(&rows[i], s);
        check_inputs(&s->unet_inputs, &rows[i].inputs);
        done(&d);
    }
}

/* The graphs of every part at the configuration's own size: widths fit, heads divide. */
static void published_models_have_graphs(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const ldm_graph_part parts[] = {LDM_GRAPH_UNET, LDM_GRAPH_ENCODE, LDM_GRAPH_DECODE};
        described d = describe(rows[i].path, NULL);
        ldm_graph_size size = {64, 64, 0};
        ldm_error err = {.msg = ""};
        ldm_graph *g;
        size_t k;

        for (k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            if (ldm_graph_create(d.network, parts[k], size, &g, &err))
                fail_msg("%s: %s", rows[i].path, err.msg);
            assert_true(g->node_count > 0);
            ldm_graph_free(g);
        }
        if (d.network->conditioners->part && rows[i].takes != LDM_COND_TAKES_PICTURE &&
            rows[i].takes != LDM_COND_TAKES_LATENT) {
            if (ldm_graph_create(d.network, LDM_GRAPH_COND, size, &g, &err))
                fail_msg("%s: %s", rows[i].path, err.msg);
            ldm_graph_free(g);
        }
        done(&d);
    }
}

static void published_first_stages_have_their_sizes(void **state)
{
    static const struct {
        const char *name;
        uint64_t numbers; /* 83,653,863 and 55,322,782 are published */
        int keys, factor, latent;
        bool codebook;
    } stages[] = {
        {"kl-f4", 55312063, 204, 4, 3, false},    {"kl-f8", 83653863, 248, 8, 4, false},
        {"kl-f16", 69610963, 342, 16, 16, false}, {"kl-f32", 103880131, 436, 32, 64, false},
        {"vq-f4", 55322782, 205, 4, 3, true},     {"vq-f4-noattn", 53219486, 185, 4, 3, true},
        {"vq-f8", 67717295, 299, 8, 4, true},     {"vq-f8-n256", 67652783, 299, 8, 4, true},
        {"vq-f16", 69593371, 343, 16, 8, true},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        char path[PATH_LEN];
        described d;
        uint64_t numbers = 0;
        int k;

        snprintf(path, sizeof path, "configs/first_stages/%s.yaml", stages[i].name);
        d = describe(path, NULL);
        for (k = 0; k < d.network->tensor_count; k++) {
            assert_int_equal(d.network->tensors[k].component, LDM_COMPONENT_FIRST_STAGE);
            numbers += d.network->tensors[k].numel;
        }
        print_message("%s %llu %d\n", path, (unsigned long long)numbers, d.network->tensor_count);
        assert_int_equal(numbers, stages[i].numbers);
        assert_int_equal(d.network->tensor_count, stages[i].keys);
        assert_string_equal(d.network->tensors[0].name, "encoder.conv_in.weight");
        assert_true(d.network->lone_first_stage);
        assert_int_equal(d.network->unknown_count, 0);
        assert_int_equal(d.network->first_stage.factor, stages[i].factor);
        assert_int_equal(d.network->first_stage.latent_channels, stages[i].latent);
        assert_int_equal(d.network->first_stage.codebook, stages[i].codebook);
        done(&d);
    }
}

/* ---- state_dict() ---------------------------------------------------------------------------- */

static int shape_of(const void *ctx, const char *name, int64_t *dims)
{
    const ldm_tensor_info *t = ldm_ckpt_find(ctx, name);
    int i;

    if (!t || t->ndim > 4)
        return -1;
    for (i = 0; i < t->ndim; i++)
        dims[i] = (int64_t)t->shape[i];
    return t->ndim;
}

static void same_tensor(const ldm_tensor_decl *want, const ldm_tensor_info *got)
{
    int i;

    assert_string_equal(want->name, got->name);
    assert_int_equal(want->ndim, got->ndim);
    for (i = 0; i < got->ndim; i++)
        assert_int_equal(want->shape[i], got->shape[i]);
}

/* The checkpoints were written by the original's own state_dict(). */
static void the_list_is_state_dict_s(void **state)
{
    static const char *const names[] = {"class-cond", "text-bert", "inpaint", "superres",
                                        "uncond-kl8", "sd1",       "sd2",     "sd-inpaint"};
    const char *root = getenv("LDM_GOLDEN");
    char path[PATH_LEN];
    size_t i;

    (void)state;
    if (!root || !*root)
        root = "../shared/golden";
    if (access(root, R_OK)) {
        print_message("skipped: no folder %s (set LDM_GOLDEN)\n", root);
        skip();
    }
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        ldm_error err = {.msg = ""};
        ldm_shape_source shapes = {.shape = shape_of};
        ldm_ckpt *ck;
        described d;
        size_t k;

        snprintf(path, sizeof path, "%s/%s/model.ckpt", root, names[i]);
        if (ldm_ckpt_open(path, NULL, &ck, &err))
            fail_msg("%s", err.msg);
        shapes.ctx = ck;
        snprintf(path, sizeof path, "%s/%s/config.yaml", root, names[i]);
        d = describe(path, &shapes);
        assert_int_equal(d.network->tensor_count, ldm_ckpt_count(ck));
        for (k = 0; k < ldm_ckpt_count(ck); k++)
            same_tensor(&d.network->tensors[k], ldm_ckpt_at(ck, k));
        done(&d);
        ldm_ckpt_close(ck);
    }
}

/* ---- text encoders by their tensors -----------------------------------------------------------
 */

/* A checkpoint that has one tensor of each name; all others are missing. */
typedef struct shown {
    const char *name;
    int ndim;
    int64_t dims[4];
} shown;

static int shown_shape(const void *ctx, const char *name, int64_t *dims)
{
    const shown *s;

    for (s = ctx; s->name; s++) {
        if (strcmp(s->name, name) == 0) {
            memcpy(dims, s->dims, sizeof s->dims);
            return s->ndim;
        }
    }
    return -1;
}

#define CLIP "cond_stage_model.transformer.text_model."

static ldm_status create(const char *path, const shown *tensors, described *d, ldm_error *err)
{
    const ldm_shape_source shapes = {tensors, shown_shape};

    *d = (described){0};
    *err = (ldm_error){.msg = ""};
    assert_int_equal(ldm_config_create(&d->cfg, NULL), LDM_OK);
    assert_int_equal(ldm_config_load(d->cfg, path, err), LDM_OK);
    return ldm_network_create(d->cfg, &shapes, &d->network, err);
}

static void a_tower_s_size_comes_from_its_tensors(void **state)
{
    static const shown fewer[] = {
        {CLIP "embeddings.position_embedding.weight", 2, {40, 768}},
        {CLIP "encoder.layers.0.layer_norm1.weight", 1, {768}},
        {CLIP "encoder.layers.1.layer_norm1.weight", 1, {768}},
        {NULL, 0, {0}},
    };
    static const struct {
        shown tensors[2];
        const char *says;
    } bad[] = {
        {{{CLIP "embeddings.token_embedding.weight", 2, {100, 700}}}, "whole heads of 64"},
        {{{CLIP "embeddings.token_embedding.weight", 2, {0, 768}}}, "whole heads of 64"},
        {{{CLIP "embeddings.token_embedding.weight", 2, {100, 1 << 20}}}, "whole heads of 64"},
        {{{CLIP "embeddings.position_embedding.weight", 2, {1 << 20, 768}}}, "positions beyond"},
        /* max_length 77 is the constructor's default. */
        {{{CLIP "embeddings.position_embedding.weight", 2, {40, 768}}}, "max_length"},
        /* context_dim is 768. */
        {{{CLIP "embeddings.token_embedding.weight", 2, {100, 640}}}, "contexts of 640 values"},
    };
    ldm_error err;
    described d;
    size_t i;

    (void)state;
    assert_int_equal(create("configs/v1-inference.yaml", fewer + 1, &d, &err), LDM_OK);
    assert_true(ldm_network_find(d.network, CLIP "encoder.layers.1.mlp.fc1.weight") >= 0);
    assert_int_equal(ldm_network_find(d.network, CLIP "encoder.layers.2.mlp.fc1.weight"), -1);
    assert_int_equal(d.network->conditioners->context_width, 768);
    done(&d);
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(create("configs/v1-inference.yaml", bad[i].tensors, &d, &err),
                         LDM_ERR_CONFIG);
        if (!strstr(err.msg, bad[i].says))
            fail_msg("row %zu: %s", i, err.msg);
        done(&d);
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

#define UNET "model.params.unet_config.params."
#define COND "model.params.cond_stage_config."
#define KEY "model.params.conditioning_key="

static void what_the_original_cannot_run_is_refused(void **state)
{
    static const struct {
        const char *path, *sets[3];
        ldm_status st;
        const char *says;
    } bad[] = {
        {"configs/cin256-v2.yaml", {KEY "concat"}, LDM_ERR_CONFIG, "passes no context"},
        {"configs/cin256-v2.yaml", {KEY "adm"}, LDM_ERR_CONFIG, "passes no context"},
        /* concat_mode is true by default, so null means concat. */
        {"configs/v1-inference.yaml", {KEY "null"}, LDM_ERR_CONFIG, "passes no context"},
        {"configs/v1-inference.yaml",
         {"model.params.cond_stage_config=__is_unconditional__"},
         LDM_ERR_CONFIG,
         "conditioning_key null"},
        {"configs/v1-inference.yaml", {KEY "film"}, LDM_ERR_CONFIG, "crossattn, hybrid, adm"},
        {"configs/v1-inference.yaml", {KEY "hybrid-adm"}, LDM_ERR_CONFIG, "no num_classes"},
        {"configs/x4-upscaling.yaml", {KEY "hybrid"}, LDM_ERR_CONFIG, "passes no labels"},
        {"configs/cin256-v2.yaml", {UNET "num_classes=10"}, LDM_ERR_CONFIG, "passes no labels"},
        {"configs/cin256-v2.yaml", {UNET "num_classes=many"}, LDM_ERR_CONFIG, "num_classes"},
        {"configs/cin256-v2.yaml",
         {UNET "num_classes=sequential", KEY "crossattn-adm"},
         LDM_ERR_CONFIG,
         "adm_in_channels"},
        {"configs/cin256-v2.yaml", {UNET "context_dim=640"}, LDM_ERR_CONFIG, "contexts of 512"},
        {"configs/cin256-v2.yaml", {UNET "context_dim=null"}, LDM_ERR_CONFIG, "context_dim"},
        {"configs/cin256-v2.yaml", {UNET "context_dim=0"}, LDM_ERR_CONFIG, "1 to 32768"},
        {"configs/cin256-v2.yaml", {UNET "transformer_depth=0"}, LDM_ERR_CONFIG, "1 to 64"},
        {"configs/cin256-v2.yaml",
         {UNET "use_spatial_transformer=false"},
         LDM_ERR_CONFIG,
         "context_dim"},
        {"configs/cin256-v2.yaml", {UNET "num_heads=2000"}, LDM_ERR_CONFIG, "head"},
        {"configs/v2-inference.yaml", {UNET "num_head_channels=48"}, LDM_ERR_CONFIG, "head"},
        {"configs/x4-upscaling.yaml",
         {UNET "disable_self_attentions=[true]"},
         LDM_ERR_CONFIG,
         "as many entries"},
        {"configs/cin256-v2.yaml", {COND "params.n_classes=0"}, LDM_ERR_CONFIG, "1 to 1048576"},
        {"configs/cin256-v2.yaml", {COND "params.embed_dim=-4"}, LDM_ERR_CONFIG, "1 to 32768"},
        {"configs/txt2img-1p4B.yaml", {COND "params.n_layer=0"}, LDM_ERR_CONFIG, "1 to 256"},
        {"configs/txt2img-1p4B.yaml", {COND "params.max_seq_len=0"}, LDM_ERR_CONFIG, "1 to 4096"},
        {"configs/v2-inference.yaml",
         {COND "params.layer=third"},
         LDM_ERR_UNSUPPORTED,
         "neither last nor"},
        {"configs/v1-inference.yaml",
         {COND "params={layer: pooled}"},
         LDM_ERR_UNSUPPORTED,
         "last layer"},
        {"configs/semantic_synthesis256.yaml",
         {COND "params.n_stages=40"},
         LDM_ERR_CONFIG,
         "n_stages"},
        {"configs/v1-inference.yaml",
         {COND "target=transformers.T5EncoderModel"},
         LDM_ERR_UNSUPPORTED,
         "of conditioners ldm knows"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ldm_error err = {.msg = ""};
        described d = {0};
        const char *const *set;
        ldm_status st;

        assert_int_equal(ldm_config_create(&d.cfg, NULL), LDM_OK);
        assert_int_equal(ldm_config_load(d.cfg, bad[i].path, &err), LDM_OK);
        for (set = bad[i].sets; *set; set++)
            assert_int_equal(ldm_config_set(d.cfg, *set, &err), LDM_OK);
        st = ldm_network_create(d.cfg, NULL, &d.network, &err);
        if (st != bad[i].st || !strstr(err.msg, bad[i].says) || strchr(err.msg, '\n'))
            fail_msg("%s %s: %s: %s", bad[i].path, bad[i].sets[0], ldm_status_name(st), err.msg);
        done(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_models_have_their_sizes),
        cmocka_unit_test(published_models_have_graphs),
        cmocka_unit_test(published_first_stages_have_their_sizes),
        cmocka_unit_test(the_list_is_state_dict_s),
        cmocka_unit_test(a_tower_s_size_comes_from_its_tensors),
        cmocka_unit_test(what_the_original_cannot_run_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
