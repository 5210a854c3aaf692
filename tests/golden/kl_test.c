/* SPDX-License-Identifier: MIT */
/* Parity with the original code on a KL first stage (uncond-kl8: lsun_churches' topology): eps and
 * blocks of a UNet with resblock_updown, scale-shift norm and attention at every level, sampling,
 * decoding by the file's scale_factor buffer, encoding to moments and to a sample of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

enum { PATH_LEN = 1024, BLOCKS = 14 };

/* Every file of act/ is dumped under its name and near the reference; nothing else is. */
static void blocks(const ldm_model *m, const char *folder, const golden_variant *v)
{
    ldm_array x = golden_load(folder, "x_T.npy");
    const plain_eval job = {.part = LDM_PART_UNET, .in = &x, .t = 500};

    assert_int_equal(golden_dumps(m, folder, "act", job, NULL, "", v->eps), BLOCKS);
    ldm_array_free(&x);
}

/* Moments; the mean and a sample carry the scale factor. */
static void encode(const ldm_model *m, const char *folder, double scale, const golden_variant *v)
{
    ldm_array in = golden_load(folder, "encode_input.npy"), out;
    ldm_array moments = golden_load(folder, "encode_moments.npy");
    ldm_array mean = golden_load(folder, "encode_mean.npy");
    ldm_array noise = golden_load(folder, "encode_sample_noise.npy");
    ldm_array sample = golden_load(folder, "encode_sample_z.npy");
    plain_eval job = {.part = LDM_PART_ENCODE, .in = &in};
    uint64_t i;

    out = golden_eval(m, &job);
    assert_int_equal(out.numel, moments.numel);
    golden_near("encode_moments", out.data, moments.data, moments.numel, v->eps);
    ldm_array_free(&out);
    job.mean = true;
    out = golden_eval(m, &job);
    assert_int_equal(out.numel, mean.numel);
    for (i = 0; i < mean.numel; i++)
        mean.data[i] *= (float)scale;
    golden_near("encode_mean", out.data, mean.data, mean.numel, v->eps);
    ldm_array_free(&out);
    job.mean = false;
    job.sample = true;
    job.noise = &noise;
    out = golden_eval(m, &job);
    assert_int_equal(out.numel, sample.numel);
    golden_near("encode_sample_z", out.data, sample.data, sample.numel, v->eps);
    ldm_array_free(&out);
    ldm_array_free(&in);
    ldm_array_free(&moments);
    ldm_array_free(&mean);
    ldm_array_free(&noise);
    ldm_array_free(&sample);
}

static void sample(const ldm_model *m, const char *folder, const char *name, double eta,
                   const ldm_array *noise, const golden_variant *v)
{
    ldm_array z;
    plain_job job;

    plain_job_init(&job);
    job.steps = 20;
    job.eta = eta;
    job.noise = noise;
    z = golden_sample(m, folder, name, job, 1.0, v->latent);
    ldm_array_free(&z);
}

static void uncond_kl8(void **state)
{
    const golden_variant *v = *state;
    char folder[PATH_LEN];
    ldm_model *raw, *ema;
    ldm_array noise;

    snprintf(folder, sizeof folder, "%s", golden_folder("uncond-kl8"));
    raw = golden_open(folder, "model.ckpt", folder, EMA_NO, v);
    ema = golden_open(folder, "model.ckpt", folder, EMA_YES, v);
    golden_eps(raw, folder, "x_T", "eps_raw", v->eps);
    golden_eps(ema, folder, "x_T", "eps_ema", v->eps);
    blocks(raw, folder, v);
    encode(ema, folder, 0.2276611328125, v); /* the buffer, as float16 holds it */
    golden_decode(ema, folder, "ddim20", 1.0);
    if (v->runs > 0) {
        sample(ema, folder, "ddim20", 0, NULL, v);
        noise = golden_load(folder, "ddim20_eta05_noise.npy");
        sample(ema, folder, "ddim20_eta05", 0.5, &noise, v);
        ldm_array_free(&noise);
    }
    golden_report(v, "uncond-kl8");
    ldm_model_close(raw);
    ldm_model_close(ema);
}

/* Without noise a sample is drawn from its seed; what a codebook has and a posterior has not is
 * refused. */
static void what_a_posterior_gives(void **state)
{
    const char *folder = golden_folder("uncond-kl8");
    ldm_model *m = golden_open(folder, "model.ckpt", folder, EMA_YES, *state);
    ldm_array in = golden_load(folder, "encode_input.npy"), a, b, c;
    plain_eval job = {.part = LDM_PART_ENCODE, .in = &in, .sample = true, .seed = 7};
    ldm_error err = {.msg = ""};
    const ldm_model_info *info;
    plain_job run_job;
    ldm_run *run;

    a = golden_eval(m, &job);
    b = golden_eval(m, &job);
    job.seed = 8;
    c = golden_eval(m, &job);
    assert_memory_equal(a.data, b.data, a.numel * sizeof *a.data);
    assert_true(golden_distance(a.data, c.data, a.numel) > 1e-3);
    ldm_array_free(&b);
    ldm_array_free(&c);
    job.noise = &in; /* of another shape */
    assert_int_equal(plain_eval_run(m, &job, &b, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "expected [1,4,8,8]"));
    job = (plain_eval){.part = LDM_PART_QUANTIZE, .in = &a};
    assert_int_equal(plain_eval_run(m, &job, &b, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "has no codebook"));
    plain_job_init(&run_job);
    run_job.quantize_x0 = true;
    assert_int_equal(plain_run_create(m, &run_job, &run, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "has no codebook"));
    plain_job_init(&run_job);
    run_job.quantize = false;
    assert_int_equal(plain_run_create(m, &run_job, &run, &err), LDM_OK);
    assert_int_equal(ldm_run_note_count(run), 1);
    assert_non_null(strstr(ldm_run_note(run, 0), "no-quantize has no effect"));
    ldm_run_free(run);
    info = ldm_model_get_info(m);
    assert_true(info->posterior && !info->codebook && info->downsample == 8);
    ldm_array_free(&a);
    ldm_array_free(&in);
    ldm_model_close(m);
}

int main(void)
{
    static struct CMUnitTest tests[GOLDEN_VARIANTS + 1];
    int k, n = 0;

    for (k = 0; k < GOLDEN_VARIANTS; k++) {
        if (golden_variant_runs(k))
            tests[n++] = (struct CMUnitTest){golden_variants[k].name, uncond_kl8, NULL, NULL,
                                             (void *)(uintptr_t)&golden_variants[k]};
    }
    tests[n] = (struct CMUnitTest){"what a posterior gives", what_a_posterior_gives, NULL, NULL,
                                   (void *)(uintptr_t)&golden_variants[0]};
    return cmocka_run_group_tests_name("kl", tests, NULL, NULL);
}
