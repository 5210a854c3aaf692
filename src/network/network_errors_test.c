/* SPDX-License-Identifier: MIT */
/* What a configuration is refused for: the text and the line of each refusal, hostile values in
 * every place, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"
#include "network/network.h"
#include "network/network_testing.h"

#define UNET "model.params.unet_config.params."
#define VQ "model.params.first_stage_config.params."

/* The line on which `at` stands. */
static int line_of(const char *text, const char *at)
{
    int line = 1;

    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

/* ---- refusals -------------------------------------------------------------------------------- */

typedef struct refusal {
    const char *find, *replace; /* once, in base_text */
    ldm_status status;
    const char *says;
} refusal;

#define CONFIG LDM_ERR_CONFIG
#define UNSUPPORTED LDM_ERR_UNSUPPORTED

/* Each is told at the line that was changed. */
static const refusal refusals[] = {
    {"timesteps: 1000", "timesteps: 0", CONFIG, "expected 1 to 100000"},
    {"timesteps: 1000", "timesteps: many", CONFIG, "timesteps"},
    {"beta_schedule: linear", "beta_schedule: karras", CONFIG, "\"karras\", expected linear"},
    {"linear_start: 0.0015", "linear_start: [1]", CONFIG, "linear_start"},
    {"scale_factor: 0.5", "scale_factor: 0", CONFIG, "expected a positive number"},
    {"scale_factor: 0.5", "scale_factor: -1", CONFIG, "expected a positive number"},
    {"scale_factor: 0.5", "scale_factor: .nan", CONFIG, "scale_factor"},
    {"conditioning_key: null", "conditioning_key: cross", CONFIG, "expected null, concat"},
    {"parameterization: eps", "parameterization: velocity", CONFIG, "expected eps, x0 or v"},
    {"given_betas: null", "given_betas: [0.1]", CONFIG, "ldm computes betas"},
    {"LatentDiffusion\n", "DDPM\n", UNSUPPORTED,
     "of models ldm knows ldm.models.diffusion.ddpm.LatentDiffusion"},
    {"UNetModel\n", "EncoderUNetModel\n", UNSUPPORTED, "of UNets ldm knows ldm.modules"},
    {"VQModelInterface\n", "AutoencoderKLL\n", UNSUPPORTED,
     "VQModelInterface, ldm.models.autoencoder.AutoencoderKL"},
    {"__is_unconditional__", "__is_magic__", UNSUPPORTED,
     "of conditioners ldm knows __is_unconditional__, __is_first_stage__, "},
    {"image_size: 16", "image_size: 0", CONFIG, "expected 1 to 4096"},
    {"in_channels: 3\n        out", "in_channels: 0\n        out", CONFIG, "1 to 32768"},
    {"out_channels: 3", "out_channels: -3", CONFIG, "1 to 32768"},
    {"model_channels: 32", "model_channels: 33", CONFIG, "a multiple of 32"},
    {"model_channels: 32", "model_channels: wide", CONFIG, "model_channels"},
    {"model_channels: 32", "model_channels: 99999999999", CONFIG, "out of range"},
    {"attention_resolutions: [2, 4]", "attention_resolutions: 2", CONFIG, "a list of numbers"},
    {"num_res_blocks: 1\n        channel", "num_res_blocks: 65\n        channel", CONFIG,
     "1 to 64"},
    {"channel_mult: [1, 2, 3]", "channel_mult: [2, 1]", CONFIG, "to begin with 1"},
    {"channel_mult: [1, 2, 3]", "channel_mult: [1, 0]", CONFIG, "positive multipliers"},
    {"channel_mult: [1, 2, 3]", "channel_mult: [1, 99999]", CONFIG, "positive multipliers"},
    {"channel_mult: [1, 2, 3]", "channel_mult: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", CONFIG,
     "at most 16"},
    {"conv_resample: true", "conv_resample: maybe", CONFIG, "conv_resample"},
    {"dims: 2", "dims: 3", CONFIG, "expected 2"},
    {"num_classes: null", "num_classes: 10", CONFIG, "passes no labels"},
    {"num_heads: 4", "num_heads: 0", CONFIG, "at least 1"},
    {"num_head_channels: -1", "num_head_channels: 0", CONFIG, "at least 1"},
    {"num_heads_upsample: -1", "num_heads_upsample: 0", CONFIG, "at least 1"},
    {"use_spatial_transformer: false", "use_spatial_transformer: true", CONFIG,
     "context_dim is missing; the original demands it"},
    {"context_dim: null", "context_dim: 512", CONFIG, "use_spatial_transformer"},
    {"n_embed: null", "n_embed: 10", UNSUPPORTED, "id_predictor"},
    {"embed_dim: 3", "embed_dim: 0", CONFIG, "1 to 4096"},
    {"n_embed: 64", "n_embed: 0", CONFIG, "1 to 4194304"},
    {"colorize_nlabels: null", "colorize_nlabels: 5000", CONFIG, "at most 4096"},
    {"z_channels: 4", "z_channels: 0", CONFIG, "1 to 4096"},
    {"resolution: 64", "resolution: 0", CONFIG, "1 to 65536"},
    {"out_ch: 3", "out_ch: 0", CONFIG, "1 to 4096"},
    {"ch: 64", "ch: 48", CONFIG, "a multiple of 32"},
    {"ch_mult: [1, 2]", "ch_mult: [1, -2]", CONFIG, "positive multipliers"},
    {"num_res_blocks: 1\n          attn", "num_res_blocks: 0\n          attn", CONFIG, "1 to 64"},
};

/* base_text with one replacement; free() it. *line: where it stands. */
static char *replaced(const refusal *r, int *line)
{
    const char *at = strstr(base_text, r->find);
    size_t before, size;
    char *text;

    if (!at)
        fail_msg("base_text has no \"%s\"", r->find);
    before = (size_t)(at - base_text);
    size = strlen(base_text) + strlen(r->replace) + 1;
    text = malloc(size);
    assert_non_null(text);
    snprintf(text, size, "%.*s%s%s", (int)before, base_text, r->replace, at + strlen(r->find));
    *line = line_of(base_text, at);
    return text;
}

static ldm_status create(const char *text, ldm_error *err)
{
    ldm_config *cfg;
    ldm_network *s;
    ldm_status st;

    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    st = ldm_config_load_text(cfg, "t.yaml", text, strlen(text), err);
    if (!st) {
        st = ldm_network_create(cfg, NULL, &s, err);
        assert_int_equal(st == LDM_OK, s != NULL);
        ldm_network_free(s);
    }
    ldm_config_free(cfg);
    return st;
}

static void refusals_name_line_and_reason(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const refusal *r = &refusals[i];
        ldm_error err = {.msg = ""};
        int line;
        char *text = replaced(r, &line);
        ldm_status st = create(text, &err);

        if (st != r->status || err.code != r->status)
            fail_msg("%s: %s (%s)", r->replace, ldm_status_name(st), err.msg);
        if (!strstr(err.msg, r->says) || strchr(err.msg, '\n'))
            fail_msg("%s: the message is: %s", r->replace, err.msg);
        if (err.line != line || err.column < 1 || strncmp(err.msg, "t.yaml:", 7))
            fail_msg("%s: line %d, expected %d: %s", r->replace, err.line, line, err.msg);
        assert_int_equal(create(text, NULL), r->status); /* no error record: the same */
        free(text);
    }
}

/* Every key that nothing reads is told, so that they are counted. */
static void unknown_keys_are_counted(void **state)
{
    static const char before[] = "image_size: 16\n";
    const char *at = strstr(base_text, before) + strlen(before);
    int n, i;

    (void)state;
    for (n = 1000; n <= 1001; n++) {
        ldm_str text = {0};
        ldm_error err;

        ldm_str_append(&text, base_text, (size_t)(at - base_text));
        for (i = 0; i < n; i++)
            ldm_str_printf(&text, "        k%04d: 1\n", i);
        ldm_str_puts(&text, at);
        assert_false(text.failed);
        assert_int_equal(create(text.data, &err), n == 1000 ? LDM_OK : LDM_ERR_CONFIG);
        if (n > 1000)
            assert_non_null(
                strstr(err.msg, "k1000: is one more than 1000 keys that nothing reads"));
        ldm_str_free(&text);
    }
}

/* These are told at the map that lacks or combines them. */
static const refusal combined[] = {
    {"model:\n", "modle:\n", CONFIG,
     "modle: is no parameter of the original's, and model is missing"},
    {"model:\n", "other:\n", CONFIG, "no `model:` section"},
    {"    cond_stage_config: __is_unconditional__\n", "", CONFIG, "cond_stage_config is missing"},
    {"        model_channels: 32\n", "", CONFIG, "model_channels is missing"},
    {"          z_channels: 4\n", "", CONFIG, "z_channels is missing"},
    {"ddconfig:\n", "ddconfg:\n", CONFIG, "and ddconfig is missing: did you mean that?"},
    {"      params:\n        embed_dim", "      parms:\n        embed_dim", CONFIG,
     "parms: is no parameter of the original's, and params is missing: did you mean that?"},
    {"      target: ldm.models.autoencoder.VQModelInterface\n", "", CONFIG,
     "target is missing, expected ldm.models.autoencoder.VQModelInterface, "},
    {"        num_heads: 4\n", "", CONFIG, "neither num_heads nor num_head_channels"},
    {"channel_mult: [1, 2, 3]", "channel_mult: []", CONFIG, "empty list"},
    {"ch_mult: [1, 2]", "ch_mult: []", CONFIG, "ch_mult is empty"},
    {"give_pre_end: false", "give_pre_end: true", CONFIG, "give_pre_end"},
    {"attn_type: vanilla", "attn_type: linear", UNSUPPORTED, "attn_type is linear"},
    {"use_linear_attn: false", "use_linear_attn: true", UNSUPPORTED, "use_linear_attn"},
    {"num_heads: 4", "num_heads: 5", CONFIG, "5 attention heads"},
    {"num_head_channels: -1", "num_head_channels: 48", CONFIG, "num_head_channels 48"},
    {"cond_stage_config: __is_unconditional__",
     "cond_stage_config: {target: ldm.modules.encoders.modules.GaussianEncoder}", UNSUPPORTED,
     "GaussianEncoder; of conditioners ldm knows __is_unconditional__, __is_first_stage__, "},
    {"cond_stage_config: __is_unconditional__", "cond_stage_config: 7", CONFIG,
     "expected a map with target and params"},
};

static void refusals_of_combinations(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof combined / sizeof combined[0]; i++) {
        const refusal *r = &combined[i];
        ldm_error err = {.msg = ""};
        int line;
        char *text = replaced(r, &line);
        ldm_status st = create(text, &err);

        if (st != r->status || err.code != r->status)
            fail_msg("%s: %s (%s)", r->replace, ldm_status_name(st), err.msg);
        if (!strstr(err.msg, r->says) || strchr(err.msg, '\n'))
            fail_msg("%s: the message is: %s", r->replace, err.msg);
        assert_int_equal(create(text, NULL), r->status);
        free(text);
    }
}

/* ---- hostile values -------------------------------------------------------------------------- */

static void make_graphs(const ldm_network *s)
{
    ldm_error err;
    ldm_graph *g;
    int part;

    for (part = LDM_GRAPH_UNET; part <= LDM_GRAPH_COND; part++) {
        int side = 1 << 15; /* a multiple of whatever it must be */

        if (part != LDM_GRAPH_ENCODE && part != LDM_GRAPH_COND)
            side = 1 << 12;
        if (!ldm_graph_create(s, (ldm_graph_part)part, (ldm_graph_size){side, side, 0}, &g, &err))
            assert_true(ldm_graph_flop(g) >= 0);
        ldm_graph_free(g);
    }
}

/* Any value in any place: an answer, or an error with a message. */
static void hostile_values_end_in_an_answer(void **state)
{
    static const char *const places[] = {
        "model",
        "model.params",
        "model.params.timesteps",
        "model.params.unet_config",
        "model.params.scale_factor",
        "model.params.beta_schedule",
        "model.params.use_ema",
        "model.params.conditioning_key",
        "model.params.parameterization",
        "model.params.cond_stage_config",
        "model.params.image_size",
        "model.params.linear_end",
        UNET "image_size",
        UNET "in_channels",
        UNET "out_channels",
        UNET "model_channels",
        UNET "attention_resolutions",
        UNET "num_res_blocks",
        UNET "channel_mult",
        UNET "channel_mult[1]",
        UNET "num_heads",
        UNET "num_head_channels",
        UNET "num_heads_upsample",
        UNET "legacy",
        UNET "dims",
        UNET "n_embed",
        VQ "embed_dim",
        VQ "n_embed",
        VQ "colorize_nlabels",
        VQ "ddconfig",
        VQ "ddconfig.ch",
        VQ "ddconfig.ch_mult",
        VQ "ddconfig.ch_mult[0]",
        VQ "ddconfig.num_res_blocks",
        VQ "ddconfig.attn_resolutions",
        VQ "ddconfig.resolution",
        VQ "ddconfig.z_channels",
        VQ "ddconfig.attn_type",
        VQ "ddconfig.out_ch",
        VQ "ddconfig.in_channels",
    };
    static const char *const values[] = {
        "0",
        "1",
        "-1",
        "-2147483648",
        "2147483647",
        "2147483648",
        "-9223372036854775808",
        "1e308",
        "1e-320",
        ".nan",
        ".inf",
        "32",
        "64",
        "4096",
        "32768",
        "65536",
        "null",
        "true",
        "text",
        "\"\"",
        "[]",
        "{}",
        "[1, [2]]",
        "{a: {b: c}}",
        "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
        "${model.params}",
        "???",
    };
    size_t i, k, accepted = 0;

    (void)state;
    for (i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (k = 0; k < sizeof values / sizeof values[0]; k++) {
            ldm_error err = {.msg = ""};
            char set[256];
            ldm_config *cfg;
            ldm_network *s;

            snprintf(set, sizeof set, "%s=%s", places[i], values[k]);
            assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
            assert_int_equal(
                ldm_config_load_text(cfg, "t.yaml", base_text, strlen(base_text), NULL), LDM_OK);
            if (!ldm_config_set(cfg, set, &err)) {
                ldm_status st = ldm_network_create(cfg, NULL, &s, &err);

                if (st && (st != err.code || !err.msg[0] || strchr(err.msg, '\n')))
                    fail_msg("%s: %s: %s", set, ldm_status_name(st), err.msg);
                if (!st) {
                    make_graphs(s);
                    accepted++;
                }
                ldm_network_free(s);
            }
            ldm_config_free(cfg);
        }
    }
    assert_true(accepted > 100); /* else nothing was tried */
}

/* ---- allocations ----------------------------------------------------------------------------- */

static ldm_status describe_and_draw(const ldm_config *cfg, ldm_error *err)
{
    ldm_graph *unet = NULL, *decode = NULL;
    ldm_network *s;
    ldm_status st = ldm_network_create(cfg, NULL, &s, err);

    if (!st)
        st = ldm_graph_create(s, LDM_GRAPH_UNET, (ldm_graph_size){8, 8, 0}, &unet, err);
    if (!st)
        st = ldm_graph_create(s, LDM_GRAPH_DECODE, (ldm_graph_size){8, 8, 0}, &decode, err);
    ldm_graph_free(unet);
    ldm_graph_free(decode);
    ldm_network_free(s);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    ldm_error err = {.msg = ""};
    unsigned long calls, n;
    ldm_config *cfg;

    (void)state;
    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    assert_int_equal(ldm_config_load_text(cfg, "t.yaml", base_text, strlen(base_text), NULL),
                     LDM_OK);
    ldm_alloc_fail_at(0);
    assert_int_equal(describe_and_draw(cfg, &err), LDM_OK);
    calls = ldm_alloc_fail_at(0);
    assert_true(calls > 20);
    for (n = 1; n <= calls; n++) {
        ldm_status st;

        ldm_alloc_fail_at(n);
        st = describe_and_draw(cfg, &err);
        ldm_alloc_fail_at(0);
        if (st != LDM_ERR_NOMEM || err.code != st)
            fail_msg("allocation %lu of %lu failed: %s", n, calls, ldm_status_name(st));
    }
    ldm_config_free(cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_name_line_and_reason),
        cmocka_unit_test(refusals_of_combinations),
        cmocka_unit_test(unknown_keys_are_counted),
        cmocka_unit_test(hostile_values_end_in_an_answer),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
