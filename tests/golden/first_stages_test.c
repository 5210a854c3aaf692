/* SPDX-License-Identifier: MIT */
/* First stages alone, as kl-f8 and its like were published: the first stages of reference cases
 * written as files of their own, with keys of the training loss beside theirs, against the same
 * reference arrays. What needs a UNet is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "convert/convert_private.h"
#include "golden.h"

enum { PATH_LEN = 1024 };

typedef struct stage_case {
    const char *name, *target;
    const char *params; /* YAML of the ddconfig and of what stands beside it */
    const char *run;    /* NAME_z, NAME_image, NAME_u8, with a codebook NAME_indices */
    double factor;      /* that the stored latent carries */
} stage_case;

static const stage_case cases[] = {
    {"sd1", "ldm.models.autoencoder.AutoencoderKL", "embed_dim: 4", "ddim20", 0.18215},
    {"class-cond", "ldm.models.autoencoder.VQModel", "embed_dim: 3\n    n_embed: 256", "cfg20", 1},
    {"class-cond", "ldm.models.autoencoder.VQModelInterface", "embed_dim: 3\n    n_embed: 256",
     "cfg20", 1},
};

/* The first stage's tensors under their own names, and one of a loss. */
static void write_alone(const char *from, const char *to)
{
    static const char prefix[] = "first_stage_model.";
    ldm_out_list list = {0};
    ldm_error err = {.msg = ""};
    ldm_ckpt *ck;
    size_t i;

    if (ldm_ckpt_open(from, NULL, &ck, &err))
        fail_msg("%s", err.msg);
    list.items = calloc(ldm_ckpt_count(ck) + 1, sizeof *list.items);
    assert_non_null(list.items);
    for (i = 0; i < ldm_ckpt_count(ck); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(ck, i);
        ldm_out_tensor *out = &list.items[list.count];

        if (strncmp(t->name, prefix, sizeof prefix - 1))
            continue;
        out->name = t->name + sizeof prefix - 1;
        out->dtype = t->dtype;
        out->ndim = t->ndim;
        memcpy(out->shape, t->shape, sizeof *out->shape * (size_t)t->ndim);
        out->source = t;
        list.count++;
    }
    list.items[list.count] = list.items[0];
    list.items[list.count++].name = "loss.perceptual_loss.net.slice1.0.weight";
    if (ldm_safetensors_write(to, ck, &list, NULL, 0, &err))
        fail_msg("%s", err.msg);
    free(list.items);
    ldm_ckpt_close(ck);
}

/* The case's own ddconfig below the autoencoder as the model. */
static void write_config(const stage_case *c, const char *path)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fprintf(f,
            "model:\n  target: %s\n  params:\n    lossconfig: {target: a.Loss}\n"
            "    monitor: val/rec_loss\n    ddconfig: {double_z: %s, z_channels: %d, resolution: "
            "%d, in_channels: 3, out_ch: 3, ch: 32, ch_mult: %s, num_res_blocks: 1, "
            "attn_resolutions: [], dropout: 0.0}\n    %s\n",
            c->target, c->factor < 1 ? "true" : "false", c->factor < 1 ? 4 : 3,
            c->factor < 1 ? 256 : 64, c->factor < 1 ? "[1, 1, 2, 2]" : "[1, 1, 1]", c->params);
    fclose(f);
}

static ldm_model *open_alone(const stage_case *c, const char *dir, const golden_variant *v)
{
    char from[PATH_LEN], path[PATH_LEN];

    snprintf(from, sizeof from, "%s/model.ckpt", golden_folder(c->name));
    snprintf(path, sizeof path, "%s/stage.safetensors", dir);
    write_alone(from, path);
    snprintf(path, sizeof path, "%s/config.yaml", dir);
    write_config(c, path);
    return golden_open(dir, "stage.safetensors", dir, EMA_AUTO, v);
}

/* The stored latent carries the diffusion model's factor, which a first stage does not know. */
static void decodes(const ldm_model *m, const stage_case *c, const golden_variant *v)
{
    char folder[PATH_LEN];
    ldm_array z, want, got;
    plain_eval job = {.part = LDM_PART_DECODE, .in = &z, .quantize = true};
    uint64_t i;

    snprintf(folder, sizeof folder, "%s", golden_folder(c->name));
    z = golden_load(folder, "%s_z.npy", c->run);
    want = golden_load(folder, "%s_image.npy", c->run);
    for (i = 0; i < z.numel; i++)
        z.data[i] = (float)(1.0 / c->factor) * z.data[i];
    got = golden_eval(m, &job);
    assert_int_equal(got.numel, want.numel);
    golden_near(c->target, got.data, want.data, want.numel, v->eps);
    ldm_array_free(&got);
    ldm_array_free(&want);
    job.part = LDM_PART_INDICES;
    if (ldm_model_get_info(m)->codebook) {
        want = golden_load(folder, "%s_indices.npy", c->run);
        got = golden_eval(m, &job);
        assert_int_equal(got.numel, want.numel);
        assert_memory_equal(got.data, want.data, got.numel * sizeof *got.data);
        ldm_array_free(&got);
        ldm_array_free(&want);
    }
    ldm_array_free(&z);
}

static void refuses(const ldm_model *m)
{
    ldm_array x = {.ndim = 4, .shape = {1, 4, 8, 8}, .numel = 256, .data = calloc(256, 4)}, out;
    const plain_eval job = {.part = LDM_PART_UNET, .in = &x, .t = 5};
    ldm_error err = {.msg = ""};
    ldm_run *run;

    assert_non_null(x.data);
    assert_int_equal(ldm_run_create(m, NULL, &run, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "first stage alone"));
    assert_int_equal(plain_eval_run(m, &job, &out, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "first stage alone"));
    free(x.data);
}

static void fits(const char *dir)
{
    char ckpt[PATH_LEN], config[PATH_LEN], *report;
    const char *configs[] = {config};
    ldm_error err = {.msg = ""};
    plain_options opt;
    bool fit;

    snprintf(ckpt, sizeof ckpt, "%s/stage.safetensors", dir);
    snprintf(config, sizeof config, "%s/config.yaml", dir);
    plain_options_init(&opt);
    opt.ckpt = ckpt;
    opt.configs = configs;
    opt.config_count = 1;
    if (plain_check(&opt, LDM_REPORT_JSON, &report, &fit, &err))
        fail_msg("%s", err.msg);
    assert_true(fit);
    assert_non_null(strstr(report, "\"headline\": \"FITS\""));
    assert_non_null(strstr(report, "loss.perceptual_loss.net.slice1.0.weight"));
    assert_non_null(strstr(report, "ldm reconstruct"));
    ldm_release(report);
    if (plain_check(&opt, 0, &report, &fit, &err))
        fail_msg("%s", err.msg);
    assert_null(strstr(report, "scale_factor"));
    ldm_release(report);
    assert_int_equal(unlink(ckpt), 0);
    assert_int_equal(unlink(config), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void first_stages(void **state)
{
    const golden_variant *v = *state;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dir[] = "/tmp/ldm_stage_XXXXXX";
        ldm_model *m;

        assert_non_null(mkdtemp(dir));
        m = open_alone(&cases[i], dir, v);
        decodes(m, &cases[i], v);
        refuses(m);
        golden_report(v, cases[i].target);
        ldm_model_close(m);
        fits(dir);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        {"first stages alone, f32", first_stages, NULL, NULL,
         (void *)(uintptr_t)&golden_variants[0]},
        {"first stages alone, exact", first_stages, NULL, NULL,
         (void *)(uintptr_t)&golden_variants[1]},
    };

    return cmocka_run_group_tests_name("first stages", tests, NULL, NULL);
}
