/* SPDX-License-Identifier: MIT */
/* Configurations from checkpoints alone, held against the YAML files that the checkpoints of the
 * reference data were made with (LDM_GOLDEN, else ../shared/golden): every parameter that a shape
 * or a buffer shows, and state_dict() of the network that each describes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/audit.h"
#include "config/config.h"
#include "infer/infer.h"
#include "network/network.h"

enum { PATH_LEN = 512 };

static const char *golden(char *buf, const char *folder, const char *name)
{
    const char *root = getenv("LDM_GOLDEN");

    snprintf(buf, PATH_LEN, "%s/%s/%s", root ? root : "../shared/golden", folder, name);
    if (access(buf, R_OK)) {
        print_message("skipped: %s is not there\n", buf);
        skip();
    }
    return buf;
}

static ldm_config *config_of_file(const char *path)
{
    ldm_error err = {.msg = ""};
    ldm_config *cfg;

    if (ldm_config_create(&cfg, &err) || ldm_config_load(cfg, path, &err))
        fail_msg("%s: %s", path, err.msg);
    return cfg;
}

static ldm_config *config_of_text(const ldm_str *text)
{
    ldm_error err = {.msg = ""};
    ldm_config *cfg;

    if (ldm_config_create(&cfg, &err) ||
        ldm_config_load_text(cfg, "inferred", text->data, text->len, &err))
        fail_msg("%s\n%s", err.msg, text->data);
    return cfg;
}

/* A value as text; lists of a `set` in the order of their numbers, without those above `most`. */
static void as_text(const ldm_value *v, bool set, double most, char *buf)
{
    const size_t n = v ? ldm_value_count(v) : 0;
    double last = -1;
    int64_t i;
    bool b;
    const char *s;
    double d;

    *buf = '\0';
    if (!v)
        return;
    if (ldm_value_get_kind(v) == LDM_VALUE_LIST) {
        for (size_t k = 0; k < n; k++) {
            double best = 1e9;

            for (size_t j = 0; j < n; j++) {
                assert_int_equal(ldm_value_double(ldm_value_at(v, set ? j : k), &d, NULL), LDM_OK);
                if (!set || (d > last && d < best))
                    best = d;
            }
            last = best;
            if (set && best > most)
                break;
            snprintf(buf + strlen(buf), 64, "%g ", best);
        }
    } else if (!ldm_value_bool(v, &b, NULL)) {
        strcpy(buf, b ? "true" : "false");
    } else if (!ldm_value_int(v, &i, NULL)) {
        snprintf(buf, 64, "%lld", (long long)i);
    } else if (!ldm_value_double(v, &d, NULL)) {
        snprintf(buf, 64, "%.17g", d);
    } else if (!ldm_value_string(v, &s, NULL)) {
        snprintf(buf, 128, "%s", s);
    }
}

#define UNET "model.params.unet_config.params."
#define STAGE "model.params.first_stage_config.params."
#define COND "model.params.cond_stage_config"

/* Every parameter that shapes and buffers show, with the constructor's default as text. */
static const char *const shown[][2] = {
    {"model.target", ""},
    {"model.params.timesteps", "1000"},
    {"model.params.beta_schedule", "linear"},
    {"model.params.linear_start", ""},
    {"model.params.linear_end", ""},
    {"model.params.channels", ""},
    {"model.params.scale_by_std", "false"},
    {"model.params.use_ema", "true"},
    {UNET "in_channels", ""},
    {UNET "out_channels", ""},
    {UNET "model_channels", ""},
    {UNET "attention_resolutions", ""},
    {UNET "num_res_blocks", ""},
    {UNET "channel_mult", ""},
    {UNET "use_scale_shift_norm", "false"},
    {UNET "resblock_updown", "false"},
    {UNET "use_spatial_transformer", "false"},
    {UNET "use_linear_in_transformer", "false"},
    {UNET "transformer_depth", "1"},
    {UNET "context_dim", ""},
    {UNET "num_classes", ""},
    {"model.params.first_stage_config.target", ""},
    {STAGE "embed_dim", ""},
    {STAGE "n_embed", ""},
    {STAGE "ddconfig.double_z", "true"},
    {STAGE "ddconfig.z_channels", ""},
    {STAGE "ddconfig.in_channels", ""},
    {STAGE "ddconfig.out_ch", ""},
    {STAGE "ddconfig.ch", ""},
    {STAGE "ddconfig.ch_mult", ""},
    {STAGE "ddconfig.num_res_blocks", ""},
    {STAGE "ddconfig.attn_resolutions", ""},
    {STAGE "ddconfig.attn_type", "vanilla"},
    {COND, ""},
    {COND ".target", ""},
    {COND ".params.n_classes", ""},
    {COND ".params.n_embed", ""},
    {COND ".params.n_layer", ""},
    {COND ".params.vocab_size", ""},
    {COND ".params.max_seq_len", ""},
    {COND ".params.embed_dim", ""},
    {COND ".params.use_tokenizer", "true"},
    {COND ".params.layer", ""},
    /* what no shape shows, by the kind of model: the reference cases have the published values */
    {UNET "num_heads", ""},
    {UNET "num_head_channels", ""},
    {UNET "legacy", "true"},
    {"model.params.scale_factor", "1"},
    {"model.params.parameterization", "eps"},
};

static void compare(const ldm_config *have, const ldm_config *want, const char *name)
{
    /* The small cases keep the published attention_resolutions and have fewer levels. */
    const ldm_value *mult = ldm_value_find(ldm_config_root(want), UNET "channel_mult");
    const double most = 1 << (ldm_value_count(mult) - 1);

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const bool set = strstr(shown[i][0], "attention_resolutions") != NULL;
        const ldm_value *a = ldm_value_find(ldm_config_root(have), shown[i][0]);
        const ldm_value *b = ldm_value_find(ldm_config_root(want), shown[i][0]);
        char got[1024], expected[1024];

        as_text(a, set, most, got);
        as_text(b, set, most, expected);
        if (!a)
            strcpy(got, shown[i][1]);
        if (!b)
            strcpy(expected, shown[i][1]);
        if (strcmp(got, expected))
            fail_msg("%s: %s is \"%s\", expected \"%s\"", name, shown[i][0], got, expected);
    }
}

/* Both describe the same state_dict(). */
static void same_tensors(const ldm_config *have, const ldm_config *want, const char *path)
{
    ldm_error err = {.msg = ""};
    ldm_network *a = NULL, *b = NULL;
    ldm_ckpt *ck = NULL;
    ldm_shape_source shapes;

    if (ldm_ckpt_open(path, NULL, &ck, &err))
        fail_msg("%s: %s", path, err.msg);
    shapes = ldm_audit_shape_source(ck);
    if (ldm_network_create(want, &shapes, &b, &err) || ldm_network_create(have, &shapes, &a, &err))
        fail_msg("%s: %s", path, err.msg);
    assert_int_equal(a->tensor_count, b->tensor_count);
    for (int i = 0; i < a->tensor_count; i++) {
        assert_string_equal(a->tensors[i].name, b->tensors[i].name);
        assert_int_equal(a->tensors[i].ndim, b->tensors[i].ndim);
        for (int d = 0; d < a->tensors[i].ndim; d++)
            assert_int_equal(a->tensors[i].shape[d], b->tensors[i].shape[d]);
    }
    ldm_network_free(a);
    ldm_network_free(b);
    ldm_ckpt_close(ck);
}

static ldm_inference *infer(const char *path)
{
    ldm_error err = {.msg = ""};
    ldm_inference *in = NULL;
    ldm_ckpt *ck = NULL;

    if (ldm_ckpt_open(path, NULL, &ck, &err) || ldm_infer(ck, &in, &err))
        fail_msg("%s: %s", path, err.msg);
    ldm_ckpt_close(ck);
    return in;
}

static void case_matches(const char *folder, const char *ckpt)
{
    char a[PATH_LEN], b[PATH_LEN];
    ldm_inference *in = infer(golden(a, folder, ckpt));
    ldm_config *want = config_of_file(golden(b, folder, "config.yaml")), *have;
    ldm_str text = {0};

    ldm_inference_yaml(in, ckpt, &text);
    have = config_of_text(&text);
    compare(have, want, folder);
    same_tensors(have, want, a);
    assert_int_equal(in->problem_count, 0);
    assert_true(in->whole);
    ldm_config_free(have);
    ldm_config_free(want);
    ldm_str_free(&text);
    ldm_inference_free(in);
}

static void every_case_matches_its_yaml(void **state)
{
    static const char *const folders[] = {"ffhq-small", "uncond-kl8", "class-cond",
                                          "inpaint",    "superres",   "text-bert",
                                          "sd1",        "sd2",        "sd-inpaint"};

    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        case_matches(folders[i], "model.ckpt");
}

static void every_container_matches(void **state)
{
    static const char *const files[] = {
        "model.ckpt",       "model.legacy.ckpt",    "model.safetensors",
        "model.fp16.ckpt",  "model.bf16.ckpt",      "model.bare.ckpt",
        "model.views.ckpt", "model.lightning.ckpt", "model.lightning.legacy.ckpt"};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        case_matches("formats", files[i]);
}

static void version_two_leaves_the_parameterization_open(void **state)
{
    char path[PATH_LEN];
    ldm_inference *v = infer(golden(path, "sd2", "model.ckpt"));
    ldm_inference *eps = infer(golden(path, "sd-inpaint", "model.ckpt"));
    const ldm_infer_setting *s = ldm_inference_find(v, "model.params.parameterization");

    (void)state;
    assert_non_null(s);
    assert_int_equal(s->from, LDM_INFER_OPEN);
    assert_int_equal(ldm_inference_open_count(v), 1);
    assert_int_equal(ldm_inference_open_count(eps), 0);
    ldm_inference_free(v);
    ldm_inference_free(eps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_matches_its_yaml),
        cmocka_unit_test(every_container_matches),
        cmocka_unit_test(version_two_leaves_the_parameterization_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
