/* SPDX-License-Identifier: MIT */
/* Parity with the original code on a model of the whole FFHQ topology (ffhq-small), on the study's
 * two approaches, and on the full-size model where its checkpoint is at hand (LDM_FULL_CKPT). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "golden.h"
#include "sample/rng.h"

enum { PATH_LEN = 1024, MASK_SEED = 5, BLOCKS = 26 };

static const char *folder_of(char *buf, const char *case_name)
{
    snprintf(buf, PATH_LEN, "%s", golden_folder(case_name));
    return buf;
}

static plain_job job_of(int steps, double eta)
{
    plain_job job;

    plain_job_init(&job);
    job.steps = steps;
    job.eta = eta;
    return job;
}

static void sample(const ldm_model *m, const char *folder, const char *name, plain_job job,
                   const golden_variant *v)
{
    ldm_array z = golden_sample(m, folder, name, job, 1.0, v->latent);

    ldm_array_free(&z);
}

/* ---- ffhq-small ------------------------------------------------------------------------------ */

/* Every file of act/ must be dumped under its name, near the reference; nothing else is. */
static void blocks(const ldm_model *m, const char *folder, const golden_variant *v)
{
    ldm_array x = golden_load(folder, "x_T.npy");
    const plain_eval job = {.part = LDM_PART_UNET, .in = &x, .t = 500};

    assert_int_equal(golden_dumps(m, folder, "act", job, NULL, "", v->eps), BLOCKS);
    ldm_array_free(&x);
}

static void encode(const ldm_model *m, const char *folder, const golden_variant *v)
{
    ldm_array in = golden_load(folder, "encode_input.npy"), out, quant;
    ldm_array want = golden_load(folder, "encode_prequant.npy");
    ldm_array indices = golden_load(folder, "encode_indices.npy");
    plain_eval job = {.part = LDM_PART_ENCODE, .in = &in};

    assert_int_equal(plain_eval_run(m, &job, &out, NULL), LDM_OK);
    assert_int_equal(out.numel, want.numel);
    golden_near("encode_prequant", out.data, want.data, want.numel, v->eps);
    ldm_array_free(&out);
    job.part = LDM_PART_INDICES;
    job.in = &want;
    assert_int_equal(plain_eval_run(m, &job, &out, NULL), LDM_OK);
    assert_int_equal(out.numel, indices.numel);
    assert_memory_equal(out.data, indices.data, out.numel * sizeof *out.data);
    ldm_array_free(&out);
    ldm_array_free(&in);
    ldm_array_free(&want);
    ldm_array_free(&indices);

    in = golden_load(folder, "ddim50_z.npy");
    quant = golden_load(folder, "ddim50_quant.npy");
    job.part = LDM_PART_QUANTIZE;
    job.in = &in;
    assert_int_equal(plain_eval_run(m, &job, &out, NULL), LDM_OK);
    assert_int_equal(out.numel, quant.numel);
    golden_near("ddim50_quant", out.data, quant.data, quant.numel, 1e-6);
    ldm_array_free(&in);
    ldm_array_free(&quant);
    ldm_array_free(&out);
}

/* The original draws q_sample's noise for the whole batch, then the step's own, from one generator.
 */
static ldm_array mask_noise(const ldm_array *x0, int steps)
{
    ldm_array a = {.ndim = 5, .numel = 2 * (uint64_t)steps * x0->numel};
    static ldm_rng rng;
    uint64_t i;

    a.shape[0] = 2 * (uint64_t)steps;
    memcpy(a.shape + 1, x0->shape, 4 * sizeof *a.shape);
    a.data = malloc(a.numel * sizeof *a.data);
    assert_non_null(a.data);
    ldm_rng_seed(&rng, MASK_SEED);
    for (i = 0; i < a.shape[0]; i++)
        ldm_rng_randn(&rng, a.data + i * x0->numel, (size_t)x0->numel);
    return a;
}

static void masked(const ldm_model *m, const char *folder, const golden_variant *v)
{
    ldm_array mask = golden_load(folder, "mask_mask.npy"), x0 = golden_load(folder, "mask_x0.npy");
    ldm_array noise = mask_noise(&x0, 10);
    plain_job job = job_of(10, 0);

    assert_int_equal(x0.shape[0], 2);
    job.mask = &mask;
    job.x0 = &x0;
    job.noise = &noise;
    sample(m, folder, "ddim10_mask", job, v);
    free(noise.data);
    ldm_array_free(&mask);
    ldm_array_free(&x0);
}

static void other_runs(const ldm_model *m, const char *folder, const golden_variant *v)
{
    ldm_array noise = golden_load(folder, "ddim50_eta1_noise.npy");
    plain_job job = job_of(50, 1);

    job.noise = &noise;
    sample(m, folder, "ddim50_eta1", job, v);
    ldm_array_free(&noise);
    job = job_of(50, 0);
    job.timesteps = "quad";
    sample(m, folder, "ddim50_quad", job, v);
    job = job_of(20, 0);
    job.quantize_x0 = true;
    sample(m, folder, "ddim20_quantx0", job, v);
    masked(m, folder, v);
}

static void skipped_runs(const golden_variant *v, const char *case_name)
{
    if (golden_slow_build())
        print_message("skipped: long sampling runs of %s (a build with sanitizers)\n", case_name);
    else if (v->runs < 2)
        print_message("skipped: %s sampling runs of %s (they run with the best instruction set)\n",
                      v->runs ? "all but the first of the" : "the", case_name);
}

static void ffhq_small(void **state)
{
    const golden_variant *v = *state;
    char folder[PATH_LEN];
    bool long_runs = !golden_slow_build();
    ldm_model *raw, *ema;

    folder_of(folder, "ffhq-small");
    raw = golden_open(folder, "model.ckpt", folder, EMA_NO, v);
    ema = golden_open(folder, "model.ckpt", folder, EMA_YES, v);
    golden_eps(raw, folder, "x_T", "eps_raw", v->eps);
    golden_eps(ema, folder, "x_T", "eps_ema", v->eps);
    blocks(raw, folder, v);
    encode(ema, folder, v);
    golden_decode(ema, folder, "ddim50", 1.0);
    if (v->runs > 0 && long_runs)
        sample(ema, folder, "ddim50", job_of(50, 0), v);
    if (v->runs > 1 && long_runs) {
        sample(ema, folder, "ddim150", job_of(150, 0), v);
        sample(raw, folder, "ddim50_raw", job_of(50, 0), v);
        other_runs(ema, folder, v);
    }
    if (v->runs > 1 && !long_runs)
        masked(ema, folder, v);
    skipped_runs(v, "ffhq-small");
    golden_report(v, "ffhq-small");
    ldm_model_close(raw);
    ldm_model_close(ema);
}

/* ---- the study's approaches ------------------------------------------------------------------ */

static void approach(const char *case_name, const char *weights, plain_job job, double scale,
                     const golden_variant *v)
{
    char folder[PATH_LEN], ckpt[PATH_LEN], name[64];
    ldm_array noise, z;
    bool ema = strcmp(weights, "ema") == 0;
    ldm_model *m;

    folder_of(ckpt, "ffhq-small");
    folder_of(folder, case_name);
    m = golden_open(ckpt, "model.ckpt", folder, ema ? EMA_YES : EMA_NO, v);
    snprintf(name, sizeof name, "eps_%s", weights);
    golden_eps(m, folder, "x_eps", name, v->eps);
    snprintf(name, sizeof name, "sample_%s", weights);
    golden_decode(m, folder, name, scale);
    if (v->runs > 1 && !golden_slow_build()) {
        if (job.eta > 0) {
            /* Seed 42 of both runs: the noise is stored once. */
            noise = golden_load(folder, "sample_raw_noise.npy");
            job.noise = &noise;
        }
        z = golden_sample(m, folder, name, job, scale, v->latent);
        ldm_array_free(&z);
        if (job.eta > 0)
            ldm_array_free(&noise);
    }
    skipped_runs(v, case_name);
    ldm_model_close(m);
}

static void seed_approach1(void **state)
{
    const golden_variant *v = *state;

    approach("seed-approach1", "raw", job_of(50, 1), 1.0, v);
    approach("seed-approach1", "ema", job_of(50, 1), 1.0, v);
    golden_report(v, "seed-approach1");
}

static void seed_approach2(void **state)
{
    const golden_variant *v = *state;
    plain_job job = job_of(150, 0);

    job.scale = 7.5;
    job.cond = "zeros";
    approach("seed-approach2", "raw", job, 0.18215, v);
    approach("seed-approach2", "ema", job, 0.18215, v);
    golden_report(v, "seed-approach2");
}

/* ---- full size ------------------------------------------------------------------------------- */

static void one_eps(const ldm_model *m, const char *folder, const char *name, double t, double bar)
{
    ldm_array x = golden_load(folder, "x_T.npy"), want = golden_load(folder, "%s.npy", name), got;
    plain_eval job = {.part = LDM_PART_UNET, .in = &x, .t = t};
    ldm_error err = {.msg = ""};

    if (plain_eval_run(m, &job, &got, &err))
        fail_msg("%s", err.msg);
    golden_near(name, got.data, want.data, want.numel, bar);
    ldm_array_free(&x);
    ldm_array_free(&want);
    ldm_array_free(&got);
}

static void ffhq_full(void **state)
{
    const golden_variant *v = *state;
    const char *ckpt = getenv("LDM_FULL_CKPT");
    char folder[PATH_LEN];
    ldm_array z;
    ldm_model *m;

    if (!ckpt || access(ckpt, R_OK)) {
        print_message("skipped: ffhq-full (LDM_FULL_CKPT names no checkpoint)\n");
        skip();
    }
    if (golden_slow_build()) {
        print_message("skipped: ffhq-full (a build with sanitizers)\n");
        skip();
    }
    folder_of(folder, "ffhq-full");
    m = golden_open(NULL, ckpt, folder, EMA_NO, v);
    one_eps(m, folder, "eps_t500", 500, v->eps);
    one_eps(m, folder, "eps_t20", 20, v->eps);
    /* The picture is stored as float16, whose own rounding is 1e-3. */
    golden_decode_files(m, folder, "ddim10", "ddim10_image_f16.npy", "ddim10_image_u8.npy", 1.0,
                        2e-3f);
    z = golden_sample(m, folder, "ddim10", job_of(10, 0), 1.0, v->latent);
    ldm_array_free(&z);
    golden_report(v, "ffhq-full");
    ldm_model_close(m);
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction fn;
        int variants; /* the first of the list */
    } cases[] = {
        {"ffhq-small", ffhq_small, GOLDEN_VARIANTS},
        {"seed-approach1", seed_approach1, GOLDEN_VARIANTS},
        {"seed-approach2", seed_approach2, GOLDEN_VARIANTS},
        {"ffhq-full", ffhq_full, 2},
    };
    enum { CASES = sizeof cases / sizeof cases[0] };
    static char names[CASES * GOLDEN_VARIANTS][80];
    static struct CMUnitTest tests[CASES * GOLDEN_VARIANTS];
    int n = 0, i, k;

    for (i = 0; i < CASES; i++) {
        for (k = 0; k < cases[i].variants; k++) {
            if (!golden_variant_runs(k))
                continue;
            snprintf(names[n], sizeof names[n], "%s, %s", cases[i].name, golden_variants[k].name);
            tests[n] = (struct CMUnitTest){names[n], cases[i].fn, NULL, NULL,
                                           (void *)(uintptr_t)&golden_variants[k]};
            n++;
        }
    }
    /* The array is larger than what is filled: cmocka skips entries without a function. */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
