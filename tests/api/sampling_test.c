/* SPDX-License-Identifier: MIT */
/* Sampling as a program asks for it: plain_job.cache and masks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

/* ---- the step cache -------------------------------------------------------------------------- */

static void a_cache_of_one_is_none(void **state)
{
    ldm_model *m = open_tiny(NULL);
    plain_job job = short_job(2);
    output a = run_all(m, &job), b;

    (void)state;
    job.cache = 1;
    b = run_all(m, &job);
    expect_same("cache 1", &a, &b);
    free(b.data);
    job.cache = 2;
    b = run_all(m, &job);
    assert_memory_not_equal(a.data, b.data, a.floats * sizeof *a.data);
    free(a.data);
    free(b.data);
    ldm_model_close(m);
}

/* Many of the same kind: sanitizers, which are slow, look at batches of 2 and 5. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BATCHES_APART = 3 };
#else
enum { BATCHES_APART = 1 };
#endif

/* A picture made with --cache depends on its seed, too, and on nothing else. */
static void a_cached_picture_is_its_seed(void **state)
{
    static const char *const isas[] = {NULL, "avx2", "c"};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        ldm_model *m = open_tiny(isas[i]);
        plain_job job = short_job(5);
        output want, got;
        char what[64];

        job.cache = 2;
        job.batch = 1;
        job.threads = 1;
        want = run_all(m, &job);
        for (job.batch = 2; job.batch <= 5; job.batch += BATCHES_APART) {
            job.threads = 1 + job.batch % 4;
            got = run_all(m, &job);
            snprintf(what, sizeof what, "cache 2, batch %d, %d threads", job.batch, job.threads);
            expect_same(what, &want, &got);
            free(got.data);
        }
        free(want.data);
        ldm_model_close(m);
    }
}

static void a_cache_says_what_it_saves(void **state)
{
    ldm_model *m = open_tiny(NULL);
    plain_job job = short_job(1);
    ldm_error err = {.msg = ""};
    ldm_run_info plain, cached;
    ldm_run *run;
    size_t i;
    bool noted = false;

    (void)state;
    job.steps = 10;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    plain = *ldm_run_get_info(run);
    ldm_run_free(run);
    job.cache = 4;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    cached = *ldm_run_get_info(run);
    for (i = 0; i < ldm_run_note_count(run); i++)
        noted |= strstr(ldm_run_note(run, i), "3 of 10 steps") != NULL;
    ldm_run_free(run);
    assert_true(noted);
    assert_true(plain.eps_evaluations == 10 && plain.shallow_evaluations == 0);
    assert_true(cached.eps_evaluations == 3 && cached.shallow_evaluations == 7);
    assert_true(cached.flop_shallow > 0 && cached.flop_shallow < cached.flop_per_eps / 2);
    assert_true(cached.memory_weights == plain.memory_weights); /* no second copy */
    assert_true(cached.memory_activations > plain.memory_activations);
    ldm_model_close(m);
}

/* ---- masks ----------------------------------------------------------------------------------- */

enum { SMALL_LATENT = 3 * 8 * 8 };

/* The latent of one step from the last timestep with everything known: x0 is `value` everywhere. */
static void all_known(const ldm_model *m, float value, float *latent)
{
    float ones[SMALL_LATENT], known[SMALL_LATENT];
    ldm_array mask = {.ndim = 4, .shape = {1, 3, 8, 8}, .data = ones, .numel = SMALL_LATENT};
    ldm_array x0 = {.ndim = 4, .shape = {1, 3, 8, 8}, .data = known, .numel = SMALL_LATENT};
    plain_job job = short_job(1);
    ldm_result res;
    ldm_run *run;
    bool have;
    int i;

    for (i = 0; i < SMALL_LATENT; i++) {
        ones[i] = 1;
        known[i] = value;
    }
    job.steps = 1;
    job.timesteps = "trailing";
    job.eta = 0;
    job.mask = &mask;
    job.x0 = &x0;
    assert_int_equal(plain_run_create(m, &job, &run, NULL), LDM_OK);
    assert_int_equal(plain_run_next(run, &res, &have, NULL), LDM_OK);
    assert_true(have && res.latent);
    memcpy(latent, res.latent, SMALL_LATENT * sizeof *latent);
    ldm_run_free(run);
}

static double greatest_difference(const float *a, const float *b)
{
    double most = 0;
    int i;

    for (i = 0; i < SMALL_LATENT; i++) {
        double d = fabs((double)a[i] - (double)b[i]);

        most = d > most ? d : most;
    }
    return most;
}

/* q_sample reads the checkpoint's buffers. Here 1 / sqrt(alphas_cumprod) bears the name of
 * sqrt(alphas_cumprod), so that x0 counts as if it had been divided by alphas_cumprod. */
static void a_mask_reads_the_checkpoints_buffers(void **state)
{
    static const char *const sets[] = {"ldm.load.rename={sqrt_alphas_cumprod: gone, "
                                       "sqrt_recip_alphas_cumprod: sqrt_alphas_cumprod}"};
    const double from = sqrt(0.0015), to = sqrt(0.0195), value = 0.01;
    plain_options opt = small_options();
    ldm_model *plain = open_small(), *other;
    float expected[SMALL_LATENT], got[SMALL_LATENT], unscaled[SMALL_LATENT];
    double alpha = 1, moved;
    int t;

    (void)state;
    for (t = 0; t < 1000; t++)
        alpha *= 1 - pow(from + (to - from) * t / 999, 2);
    opt.sets = sets;
    opt.set_count = 1;
    assert_int_equal(plain_model_open(&opt, &other, NULL), LDM_OK);
    all_known(plain, (float)value, unscaled);
    all_known(plain, (float)(value / alpha), expected);
    all_known(other, (float)value, got);
    moved = greatest_difference(unscaled, expected);
    assert_true(moved > 0.1);
    assert_true(greatest_difference(got, expected) < moved / 50); /* the file's are f16 */
    ldm_model_close(plain);
    ldm_model_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_of_one_is_none),
        cmocka_unit_test(a_cached_picture_is_its_seed),
        cmocka_unit_test(a_cache_says_what_it_saves),
        cmocka_unit_test(a_mask_reads_the_checkpoints_buffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
