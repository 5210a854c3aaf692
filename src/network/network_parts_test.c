/* SPDX-License-Identifier: MIT */
/* Tests of the parts and the registry: the published configurations, first stages by what readers
 * see of them, conditioners, and what each part refuses. */
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

#include "network/network.h"
#include "network/network_testing.h"

#define STAGE "model.params.first_stage_config."
#define KL STAGE "target=ldm.models.autoencoder.AutoencoderKL"
#define DOUBLE STAGE "params.ddconfig.double_z=true"
#define IDENTITY STAGE "target=ldm.models.autoencoder.IdentityFirstStage"

typedef struct described {
    ldm_config *cfg;
    ldm_network *network;
    ldm_status st;
    ldm_error err;
} described;

/* base_text, or the file `path`, with assignments up to NULL. */
static described describe(const char *path, const char *const *sets)
{
    described d = {.err = {.msg = ""}};

    assert_int_equal(ldm_config_create(&d.cfg, NULL), LDM_OK);
    d.st = path ? ldm_config_load(d.cfg, path, &d.err)
                : ldm_config_load_text(d.cfg, "t.yaml", base_text, strlen(base_text), &d.err);
    for (; !d.st && sets && *sets; sets++)
        d.st = ldm_config_set(d.cfg, *sets, &d.err);
    if (!d.st)
        d.st = ldm_network_create(d.cfg, NULL, &d.network, &d.err);
    return d;
}

static described good(const char *path, const char *const *sets)
{
    described d = describe(path, sets);

    if (d.st)
        fail_msg("%s", d.err.msg);
    return d;
}

#define GOOD(...) good(NULL, (const char *const[]){__VA_ARGS__, NULL})

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

/* ---- published configurations ---------------------------------------------------------------- */

static void published_configurations_are_read(void **state)
{
    static const struct {
        const char *path;
        int keys, unet, first_stage, factor;
        bool codebook;
        uint64_t unet_numbers, first_stage_numbers;
    } rows[] = {
        {"configs/ffhq-ldm-vq-4.yaml", 955, 368, 205, 4, true, 274056163, 55322782},
        {"configs/celebahq-ldm-vq-4.yaml", 955, 368, 205, 4, true, 274056163, 55322782},
        {"configs/lsun_bedrooms-ldm-vq-4.yaml", 955, 368, 205, 4, true, 274056163, 55322782},
        /* 83,653,863: the number that is published for the KL-f8 autoencoder. */
        {"configs/lsun_churches-ldm-kl-8.yaml", 1303, 520, 248, 8, false, 294966916, 83653863},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        described d = good(rows[i].path, NULL);
        const ldm_network *s = d.network;
        uint64_t numbers[LDM_COMPONENT_COUNT] = {0};
        int keys[LDM_COMPONENT_COUNT] = {0}, k;

        for (k = 0; k < s->tensor_count; k++) {
            keys[s->tensors[k].component]++;
            numbers[s->tensors[k].component] += s->tensors[k].numel;
        }
        assert_int_equal(s->tensor_count, rows[i].keys);
        assert_int_equal(keys[LDM_COMPONENT_UNET], rows[i].unet);
        assert_int_equal(keys[LDM_COMPONENT_FIRST_STAGE], rows[i].first_stage);
        assert_int_equal(numbers[LDM_COMPONENT_UNET], rows[i].unet_numbers);
        assert_int_equal(numbers[LDM_COMPONENT_FIRST_STAGE], rows[i].first_stage_numbers);
        assert_int_equal(s->first_stage.factor, rows[i].factor);
        assert_int_equal(s->first_stage.codebook, rows[i].codebook);
        assert_int_equal(s->first_stage.posterior, !rows[i].codebook);
        assert_int_equal(s->first_stage.resolution, 256);
        assert_int_equal(s->unknown_count, 0);
        assert_int_equal(s->conditioner_count, 0);
        done(&d);
    }
}

/* The original's counts, where the reference data is at hand. */
static void the_reference_kl_model_has_the_originals_counts(void **state)
{
    const char *root = getenv("LDM_GOLDEN");
    static const char *const names[LDM_COMPONENT_COUNT] = {[LDM_COMPONENT_UNET] = "unet",
                                                           [LDM_COMPONENT_EMA] = "model_ema",
                                                           [LDM_COMPONENT_FIRST_STAGE] =
                                                               "first_stage"};
    int keys[LDM_COMPONENT_COUNT] = {0}, i;
    char path[600];
    json_t *expected, *counts;
    described d;

    (void)state;
    snprintf(path, sizeof path, "%s/uncond-kl8/expected.json",
             root && *root ? root : "../shared/golden");
    if (access(path, R_OK)) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    expected = json_load_file(path, 0, NULL);
    counts = json_object_get(expected, "keys");
    snprintf(strrchr(path, '/'), 16, "/config.yaml");
    d = good(path, NULL);
    for (i = 0; i < d.network->tensor_count; i++)
        keys[d.network->tensors[i].component]++;
    assert_int_equal(d.network->tensor_count, json_integer_value(json_object_get(counts, "all")));
    for (i = 0; i < LDM_COMPONENT_COUNT; i++) {
        if (names[i])
            assert_int_equal(keys[i], json_integer_value(json_object_get(counts, names[i])));
    }
    json_decref(expected);
    done(&d);
}

/* ---- first stages ---------------------------------------------------------------------------- */

static void a_kl_first_stage_gives_moments(void **state)
{
    described d = GOOD(KL, DOUBLE, STAGE "params.colorize_nlabels=5");
    const ldm_first_stage *f = &d.network->first_stage;
    int first = 0, i;
    ldm_graph *g;

    (void)state;
    assert_string_equal(f->target, "ldm.models.autoencoder.AutoencoderKL");
    assert_true(f->posterior && !f->codebook && !f->no_encode);
    assert_int_equal(f->latent_channels, 3);
    assert_int_equal(f->encoded_channels, 6);
    assert_int_equal(f->factor, 2);
    assert_null(tensor(d.network, "first_stage_model.quantize.embedding.weight"));
    assert_int_equal(tensor(d.network, "first_stage_model.encoder.conv_out.weight")->shape[0], 8);
    assert_int_equal(tensor(d.network, "first_stage_model.quant_conv.weight")->shape[0], 6);
    assert_int_equal(tensor(d.network, "first_stage_model.quant_conv.weight")->shape[1], 8);
    assert_int_equal(tensor(d.network, "first_stage_model.post_quant_conv.weight")->shape[0], 4);
    assert_int_equal(tensor(d.network, "first_stage_model.post_quant_conv.weight")->shape[1], 3);
    assert_int_equal(tensor(d.network, "first_stage_model.colorize")->shape[1], 5);
    /* In state_dict()'s order: buffers, encoder, decoder, quant_conv, post_quant_conv. */
    while (d.network->tensors[first].component != LDM_COMPONENT_FIRST_STAGE)
        first++;
    assert_string_equal(d.network->tensors[first].name, "first_stage_model.colorize");
    assert_string_equal(d.network->tensors[d.network->tensor_count - 1].name,
                        "first_stage_model.post_quant_conv.bias");
    assert_int_equal(
        ldm_graph_create(d.network, LDM_GRAPH_ENCODE, (ldm_graph_size){8, 12, 0}, &g, NULL),
        LDM_OK);
    assert_int_equal(g->values[g->output].c, 6);
    assert_int_equal(g->values[g->output].h, 4);
    assert_string_equal(g->values[g->output].dump, "moments");
    for (i = 0; i < g->node_count; i++)
        assert_true(g->nodes[i].weight < 0 ||
                    d.network->tensors[g->nodes[i].weight].used == LDM_USED_ENCODE);
    ldm_graph_free(g);
    done(&d);
}

static void an_identity_has_no_tensors(void **state)
{
    described d = GOOD(IDENTITY);
    const ldm_first_stage *f = &d.network->first_stage;
    ldm_graph *g;
    int i;

    (void)state;
    for (i = 0; i < d.network->tensor_count; i++)
        assert_int_not_equal(d.network->tensors[i].component, LDM_COMPONENT_FIRST_STAGE);
    assert_int_equal(f->factor, 1);
    assert_int_equal(f->in_channels, 3);
    assert_int_equal(f->latent_channels, 3);
    assert_false(f->codebook || f->posterior);
    /* Its constructor takes anything: no key is unknown, and none has an effect. */
    assert_int_equal(d.network->unknown_count, 0);
    assert_int_equal(ldm_network_param(d.network, "first_stage_config.params.embed_dim")->effect,
                     LDM_EFFECT_NONE);
    assert_int_equal(
        ldm_graph_create(d.network, LDM_GRAPH_DECODE, (ldm_graph_size){5, 7, 0}, &g, NULL), LDM_OK);
    assert_int_equal(g->node_count, 0);
    assert_int_equal(g->output, ldm_graph_input(g, "x"));
    ldm_graph_free(g);
    done(&d);
}

static void an_identity_needs_no_params(void **state)
{
    static const char text[] = "model: {params: {first_stage_config: {target: "
                               "ldm.models.autoencoder.IdentityFirstStage}}}";
    char *whole = strdup(base_text), *stage = strstr(whole, "    first_stage_config:");
    const char *rest = strstr(base_text, "    cond_stage_config:");
    ldm_config *cfg;
    ldm_network *s;

    (void)state;
    memmove(stage, rest, strlen(rest) + 1);
    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    assert_int_equal(ldm_config_load_text(cfg, "t.yaml", whole, strlen(whole), NULL), LDM_OK);
    assert_int_equal(ldm_config_load_text(cfg, "u.yaml", text, sizeof text - 1, NULL), LDM_OK);
    assert_int_equal(ldm_network_create(cfg, NULL, &s, NULL), LDM_OK);
    assert_int_equal(s->first_stage.factor, 1);
    assert_int_equal(s->param_count > 0 ? s->first_stage.out_channels : 0, 3);
    ldm_network_free(s);
    ldm_config_free(cfg);
    free(whole);
}

/* ---- conditioners ---------------------------------------------------------------------------- */

static void conditioners_say_what_they_take_and_give(void **state)
{
    described d = GOOD("model.params.cond_stage_config=__is_first_stage__", KL, DOUBLE);
    const ldm_conditioner *c = d.network->conditioners;
    int first = 0, cond = 0, i;

    (void)state;
    assert_int_equal(d.network->conditioner_count, 1);
    assert_string_equal(c->target, "__is_first_stage__");
    assert_int_equal(c->takes, LDM_COND_TAKES_PICTURE);
    assert_int_equal(c->channels, 3);
    assert_int_equal(c->context_tokens + c->context_width, 0);
    for (i = 0; i < d.network->tensor_count; i++) {
        const ldm_tensor_decl *t = &d.network->tensors[i];

        first += t->component == LDM_COMPONENT_FIRST_STAGE;
        cond += t->component == LDM_COMPONENT_COND_STAGE;
        assert_int_equal(ldm_network_is_copy(d.network, t->name),
                         t->component == LDM_COMPONENT_COND_STAGE);
        assert_true(t->component != LDM_COMPONENT_COND_STAGE || !t->used);
    }
    assert_true(first > 30);
    assert_int_equal(first, cond);
    done(&d);
    d = GOOD("model.params.use_ema=false");
    assert_int_equal(d.network->conditioner_count, 0);
    assert_false(ldm_network_is_copy(d.network, "cond_stage_model.decoder.conv_in.weight"));
    done(&d);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void parts_refuse_what_they_cannot_be(void **state)
{
    static const struct {
        const char *sets[4];
        ldm_status st;
        const char *says;
    } rows[] = {
        {{KL, STAGE "params.ddconfig.double_z=false"}, LDM_ERR_CONFIG, "demands true"},
        {{KL, DOUBLE, STAGE "params.embed_dim=0"}, LDM_ERR_CONFIG, "expected 1 to 2048"},
        {{KL, DOUBLE, STAGE "params.embed_dim=2049"}, LDM_ERR_CONFIG, "expected 1 to 2048"},
        {{KL, DOUBLE, STAGE "params.ddconfig.z_channels=-1"}, LDM_ERR_CONFIG, "1 to 4096"},
        {{KL, DOUBLE, STAGE "params.ddconfig=7"}, LDM_ERR_CONFIG, "expected a map of parameters"},
        {{KL, DOUBLE, STAGE "params.colorize_nlabels=9999"}, LDM_ERR_CONFIG, "at most 4096"},
        {{KL, STAGE "params.ddconfig.double_z=maybe"}, LDM_ERR_CONFIG, "double_z"},
        {{IDENTITY, STAGE "params.vq_interface=7"}, LDM_ERR_CONFIG, "vq_interface"},
        {{IDENTITY, STAGE "params=[1]"}, LDM_ERR_CONFIG, "expected a map of parameters"},
        {{STAGE "target=[a, b]"}, LDM_ERR_CONFIG, "target"},
        {{STAGE "target=__is_unconditional__"}, LDM_ERR_UNSUPPORTED, "of first stages ldm knows"},
        {{"model.params.unet_config=text"}, LDM_ERR_CONFIG, "a map with target and params"},
        {{"model.params.cond_stage_config={params: {a: 1}}"},
         LDM_ERR_CONFIG,
         "target is missing, expected __is_unconditional__, __is_first_stage__, "},
        {{"model.target=ldm.modules.diffusionmodules.openaimodel.UNetModel"},
         LDM_ERR_UNSUPPORTED,
         "of models ldm knows ldm.models.diffusion.ddpm.LatentDiffusion"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        described d = describe(NULL, rows[i].sets);

        if (d.st != rows[i].st || d.err.code != d.st || !strstr(d.err.msg, rows[i].says) ||
            strchr(d.err.msg, '\n'))
            fail_msg("row %zu: %s: %s", i, ldm_status_name(d.st), d.err.msg);
        done(&d);
    }
}

/* A map laid over the params keeps what they had, so the key is taken out of the text. */
static void a_kl_first_stage_demands_double_z_in_writing(void **state)
{
    char *text = strdup(base_text), *at;
    ldm_error err = {.msg = ""};
    ldm_config *cfg;
    ldm_network *s;

    (void)state;
    at = strstr(text, "          double_z: false\n");
    memmove(at, strchr(at, '\n') + 1, strlen(strchr(at, '\n') + 1) + 1);
    assert_int_equal(ldm_config_create(&cfg, NULL), LDM_OK);
    assert_int_equal(ldm_config_load_text(cfg, "t.yaml", text, strlen(text), NULL), LDM_OK);
    assert_int_equal(ldm_config_set(cfg, KL, NULL), LDM_OK);
    assert_int_equal(ldm_network_create(cfg, NULL, &s, &err), LDM_ERR_CONFIG);
    assert_non_null(strstr(err.msg, "double_z is missing"));
    assert_true(err.line > 0);
    ldm_config_free(cfg);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_configurations_are_read),
        cmocka_unit_test(the_reference_kl_model_has_the_originals_counts),
        cmocka_unit_test(a_kl_first_stage_gives_moments),
        cmocka_unit_test(an_identity_has_no_tensors),
        cmocka_unit_test(an_identity_needs_no_params),
        cmocka_unit_test(conditioners_say_what_they_take_and_give),
        cmocka_unit_test(parts_refuse_what_they_cannot_be),
        cmocka_unit_test(a_kl_first_stage_demands_double_z_in_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
