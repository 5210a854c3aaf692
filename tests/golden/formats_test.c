/* SPDX-License-Identifier: MIT */
/* Parity of one tiny model in every container: values as stored, results bit by bit the same for
 * the same dtype. The float16 one is part of this repository, so that a bare clone tests parity
 * too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

enum { PATH_LEN = 1024 };

/* reference: which arrays it must be near; group: whose bits it must have. */
typedef struct container {
    const char *file, *reference;
    int group;
} container;

static const container containers[] = {
    {"model.ckpt", "f32", 0},         {"model.legacy.ckpt", "f32", 0},
    {"model.safetensors", "f32", 0},  {"model.lightning.ckpt", "f32", 0},
    {"model.views.ckpt", "views", 0}, {"model.fp16.ckpt", "fp16", 1},
    {"model.bare.ckpt", "fp16", 1},   {"model.lightning.legacy.ckpt", "fp16", 1},
    {"model.bf16.ckpt", "bf16", 2},
};
enum { CONTAINERS = sizeof containers / sizeof containers[0], GROUPS = 3 };

static ldm_array check(const char *folder, const container *c, const golden_variant *v)
{
    ldm_model *raw = golden_open(folder, c->file, folder, EMA_NO, v);
    ldm_model *ema = golden_open(folder, c->file, folder, EMA_YES, v);
    char name[64];
    ldm_array z;
    plain_job job;

    snprintf(name, sizeof name, "eps_raw_%s", c->reference);
    golden_eps(raw, folder, "x_T", name, v->eps);
    snprintf(name, sizeof name, "eps_ema_%s", c->reference);
    golden_eps(ema, folder, "x_T", name, v->eps);
    snprintf(name, sizeof name, "ddim10_%s", c->reference);
    golden_decode(ema, folder, name, 1.0);
    plain_job_init(&job);
    job.steps = 10;
    z = golden_sample(ema, folder, name, job, 1.0, v->latent);
    ldm_model_close(raw);
    ldm_model_close(ema);
    return z;
}

static void bundled(void **state)
{
    static const container c = {"model.fp16.ckpt", "fp16", 1};
    ldm_array z = check("tests/data/golden", &c, *state);

    golden_report(*state, "tests/data/golden");
    ldm_array_free(&z);
}

static void all_containers(void **state)
{
    const golden_variant *v = *state;
    ldm_array first[GROUPS] = {{0}};
    char folder[PATH_LEN];
    size_t i;

    snprintf(folder, sizeof folder, "%s", golden_folder("formats"));
    for (i = 0; i < CONTAINERS; i++) {
        const container *c = &containers[i];
        ldm_array z = check(folder, c, v);

        if (!first[c->group].data) {
            first[c->group] = z;
            continue;
        }
        if (memcmp(first[c->group].data, z.data, z.numel * sizeof *z.data))
            fail_msg("%s: other bits than another container of the same values", c->file);
        ldm_array_free(&z);
    }
    for (i = 0; i < GROUPS; i++)
        ldm_array_free(&first[i]);
    golden_report(v, "formats (nine containers)");
}

/* A tolerance that nothing could fail would test nothing: raw and EMA weights differ, and so do
 * float16 and bfloat16 copies of one model. */
static void references_tell_apart(void **state)
{
    ldm_array raw = golden_load("tests/data/golden", "eps_raw_fp16.npy");
    ldm_array ema = golden_load("tests/data/golden", "eps_ema_fp16.npy");

    (void)state;
    assert_true(golden_distance(raw.data, ema.data, raw.numel) > 1e-3);
    ldm_array_free(&raw);
    ldm_array_free(&ema);
}

int main(void)
{
    static char names[2 * GOLDEN_VARIANTS][80];
    static struct CMUnitTest tests[2 * GOLDEN_VARIANTS + 1];
    int n = 0, k;

    for (k = 0; k < GOLDEN_VARIANTS; k++) {
        void *v = (void *)(uintptr_t)&golden_variants[k];

        if (!golden_variant_runs(k))
            continue;
        snprintf(names[n], sizeof names[n], "bundled, %s", golden_variants[k].name);
        tests[n] = (struct CMUnitTest){names[n], bundled, NULL, NULL, v};
        n++;
        snprintf(names[n], sizeof names[n], "formats, %s", golden_variants[k].name);
        tests[n] = (struct CMUnitTest){names[n], all_containers, NULL, NULL, v};
        n++;
    }
    tests[n] =
        (struct CMUnitTest){"references tell apart", references_tell_apart, NULL, NULL, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
