/* SPDX-License-Identifier: MIT */
/* NULL and nonsense, as nonsense_test.c: what convert.h, doctor.h and tokenize.h declare, and the
 * calls of ldm.h that work on pictures and noise. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ldm/convert.h>
#include <ldm/doctor.h>
#include <ldm/tokenize.h>

#include "nonsense.h"

static uint8_t pixels[4 * 4 * 4];
static const ldm_image good = {4, 4, 3, pixels};
static const ldm_image wrong[] = {
    {0, 4, 3, pixels}, {4, -4, 3, pixels}, {4, 4, 0, pixels}, {4, 4, 3, NULL}};
enum { WRONG = sizeof wrong / sizeof wrong[0] };

static ldm_model_options *small_model(void)
{
    ldm_model_options *opt;

    assert_int_equal(ldm_model_options_create(&opt, &err), LDM_OK);
    assert_int_equal(ldm_model_options_set(opt, "ckpt", SMALL_CKPT, &err), LDM_OK);
    assert_int_equal(ldm_model_options_set(opt, "config", SMALL_CONFIG, &err), LDM_OK);
    return opt;
}

/* ---- noise and pictures to begin with -------------------------------------------------------- */

static void jobs_of_pictures(void **state)
{
    const char *prompts[] = {"a", NULL};
    ldm_job *job;
    ldm_model *m = open_small();
    ldm_run *run;

    (void)state;
    assert_int_equal(ldm_job_create(m, &job, &err), LDM_OK);
    assert_int_equal(ldm_job_total(NULL), 0);
    REFUSED(ldm_job_set_images(NULL, "init", &good, 1, e), "job");
    REFUSED(ldm_job_set_images(job, NULL, &good, 1, e), "name");
    REFUSED(ldm_job_set_images(job, "init", NULL, 1, e), "ims");
    REFUSED(ldm_job_set_images(job, "photo", &good, 1, e), "photo");
    for (int i = 0; i < WRONG; i++) { /* looked at when the run begins */
        assert_int_equal(ldm_job_set_images(job, "init", &wrong[i], 1, &err), LDM_OK);
        REFUSED(ldm_run_create(m, job, &run, e), "init");
    }
    assert_int_equal(ldm_job_set_images(job, "init", NULL, 0, &err), LDM_OK);
    REFUSED(ldm_job_set_prompts(NULL, prompts, 1, e), "job");
    REFUSED(ldm_job_set_prompts(job, prompts, 0, e), "empty");
    REFUSED(ldm_job_set_prompts(job, prompts, 2, e), "a prompt");
    assert_int_equal(ldm_job_set_prompts(job, NULL, 0, &err), LDM_OK);
    ldm_job_free(job);
    ldm_model_close(m);
}

static void noise_and_inversion(void **state)
{
    static float data[8], out[8];
    const ldm_array a = {.ndim = 1, .shape = {8}, .numel = 8, .data = data};
    const ldm_array short_one = {.ndim = 1, .shape = {4}, .numel = 4, .data = data};
    const ldm_array lying = {.ndim = 1, .shape = {8}, .numel = 80, .data = data};
    ldm_array got = {.data = data}, errors = {.data = data};
    ldm_model *m = open_small();
    ldm_job *job;
    char *text;

    (void)state;
    REFUSED(ldm_noise(1, 1, (const uint64_t[]){8}, NULL, e), "out");
    REFUSED(ldm_noise(1, 1, NULL, &got, e), "shape");
    assert_null(got.data);
    REFUSED(ldm_noise(1, 0, (const uint64_t[]){8}, &got, e), "ndim");
    REFUSED(ldm_noise(1, 9, (const uint64_t[]){8}, &got, e), "ndim");
    REFUSED(ldm_noise(1, 2, (const uint64_t[]){8, 0}, &got, e), "shape");
    REFUSED(ldm_noise(1, 2, (const uint64_t[]){UINT64_MAX, 8}, &got, e), "shape");
    REFUSED(ldm_noise_between(NULL, &a, 0.5, out, e), "a");
    REFUSED(ldm_noise_between(&a, NULL, 0.5, out, e), "b");
    REFUSED(ldm_noise_between(&a, &lying, 0.5, out, e), "b");
    REFUSED(ldm_noise_between(&a, &a, 0.5, NULL, e), "out");
    REFUSED(ldm_noise_between(&a, &short_one, 0.5, out, e), "4");
    REFUSED(ldm_noise_between(&a, &a, -1, out, e), "t is");
    REFUSED(ldm_noise_between(&a, &a, (double)NAN, out, e), "t is");

    assert_int_equal(ldm_job_create(m, &job, &err), LDM_OK);
    REFUSED(ldm_invert(m, job, NULL, &errors, e), "noise");
    REFUSED(ldm_invert(NULL, job, &got, &errors, e), "m is NULL");
    assert_null(errors.data);
    REFUSED(ldm_invert(m, NULL, &got, NULL, e), "job");
    REFUSED(ldm_invert(m, job, &got, NULL, e), "init");
    REFUSED(ldm_invert_notes(m, job, NULL, e), "text");
    REFUSED(ldm_invert_notes(NULL, job, &text, e), "m is NULL");
    REFUSED(ldm_invert_notes(m, NULL, &text, e), "job");
    REFUSED(ldm_invert_notes(m, job, &text, e), "init");
    REFUSED(ldm_model_size_note(m, 64, 64, NULL, e), "text");
    REFUSED(ldm_model_size_note(NULL, 64, 64, &text, e), "m is NULL");
    REFUSED(ldm_model_size_note(m, 0, 64, &text, e), "width");
    REFUSED(ldm_model_size_note(m, 64, -1, &text, e), "height");
    ldm_job_free(job);
    ldm_model_close(m);
}

static void pictures_through_a_model(void **state)
{
    ldm_model *m = open_small();
    ldm_reconstruction figures;
    ldm_image out = good;
    char hex[65];

    (void)state;
    REFUSED(ldm_reconstruct(m, NULL, &good, NULL, &figures, sizeof figures, e), "out");
    REFUSED(ldm_reconstruct(NULL, NULL, &good, &out, &figures, sizeof figures, e), "m is NULL");
    assert_null(out.pixels);
    REFUSED(ldm_reconstruct(m, NULL, NULL, &out, NULL, 0, e), "im");
    REFUSED(ldm_image_hash(NULL, hex, e), "im");
    REFUSED(ldm_image_hash(&good, NULL, e), "hex");
    REFUSED(ldm_image_read_channels(NULL, 3, &out, e), "path");
    REFUSED(ldm_image_read_channels("x", 3, NULL, e), "out");
    REFUSED(ldm_image_read_channels("x", 2, &out, e), "channels");
    REFUSED(ldm_image_read_labels(NULL, NULL, &out, e), "path");
    REFUSED(ldm_image_read_labels("x", NULL, NULL, e), "out");
    REFUSED(ldm_image_write_animation(NULL, &good, 1, 100, NULL, e), "path");
    REFUSED(ldm_image_write_animation("x.png", NULL, 1, 100, NULL, e), "ims");
    REFUSED(ldm_image_write_animation("x.png", &good, 0, 100, NULL, e), "0 frames");
    REFUSED(ldm_image_write_animation("x.png", &good, 1, 0, NULL, e), "ms is 0");
    for (int i = 0; i < WRONG; i++) {
        REFUSED(ldm_image_hash(&wrong[i], hex, e), "im");
        REFUSED(ldm_image_write_animation("x.png", &wrong[i], 1, 100, NULL, e), "frame 0");
        REFUSED(ldm_reconstruct(m, NULL, &wrong[i], &out, NULL, 0, e), "im");
    }
    ldm_model_close(m);
}

/* ---- conversion ------------------------------------------------------------------------------ */

static int stop_at_once(void *ctx, double done)
{
    ++*(int *)ctx;
    return done >= 0;
}

static void conversions(void **state)
{
    ldm_model_options *opt = small_model();
    char folder[] = "/tmp/ldm-nonsense-XXXXXX", path[64], *report = folder;
    int calls = 0;

    (void)state;
    REFUSED(ldm_convert(NULL, "x", 0, NULL, NULL, NULL, e), "report");
    REFUSED(ldm_convert(NULL, NULL, 0, NULL, NULL, &report, e), "out");
    assert_null(report);
    REFUSED(ldm_convert(NULL, "x", LDM_CONVERT_HALF | LDM_CONVERT_BF16, NULL, NULL, &report, e),
            "how");
    REFUSED(ldm_convert(NULL, "x", 64, NULL, NULL, &report, e), "how");
    REFUSED(ldm_convert(opt, SMALL_CKPT, 0, NULL, NULL, &report, e), "is read by this conversion");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    assert_int_equal(ldm_convert(opt, path, 0, stop_at_once, &calls, &report, &err),
                     LDM_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_null(report);
    assert_int_equal(rmdir(folder), 0); /* nothing was left in it */
    ldm_model_options_free(opt);
}

/* ---- the doctor ------------------------------------------------------------------------------ */

static int stop(void *ctx, const char *what, double done)
{
    (void)ctx;
    return what != NULL && done >= 0;
}

static void doctors(void **state)
{
    ldm_model_options *opt = small_model();
    ldm_doctor *d;
    char *text;

    (void)state;
    REFUSED(ldm_doctor_create(NULL, NULL, e), "out");
    assert_int_equal(ldm_doctor_create(opt, &d, &err), LDM_OK);
    REFUSED(ldm_doctor_add_image(NULL, &good, e), "d is NULL");
    REFUSED(ldm_doctor_add_image(d, NULL, e), "im");
    for (int i = 0; i < WRONG; i++)
        REFUSED(ldm_doctor_add_image(d, &wrong[i], e), wrong[i].pixels ? "picture" : "pixels");
    ldm_doctor_set_progress(NULL, stop, NULL);
    ldm_doctor_set_quick(NULL, true);
    REFUSED(ldm_doctor_report(d, 0, &text, e), "nothing was examined");
    REFUSED(ldm_doctor_config(d, true, &text, e), "nothing was examined");
    assert_int_equal(ldm_doctor_get_verdict(d), LDM_VERDICT_UNDECIDED);
    assert_int_equal(ldm_doctor_get_verdict(NULL), LDM_VERDICT_UNDECIDED);
    assert_null(ldm_doctor_cure(NULL, 0));
    assert_null(ldm_doctor_cure(d, 12345));
    assert_null(ldm_doctor_flag(NULL, 0));
    assert_null(ldm_doctor_flag(d, 12345));
    assert_string_equal(ldm_verdict_name((ldm_verdict)99), "");
    assert_string_equal(ldm_verdict_name((ldm_verdict)-1), "");
    REFUSED(ldm_doctor_run(NULL, e), "d is NULL");
    ldm_doctor_set_progress(d, stop, NULL);
    assert_int_equal(ldm_doctor_run(d, &err), LDM_ERR_CANCELLED);
    assert_int_equal(ldm_doctor_get_verdict(d), LDM_VERDICT_UNDECIDED);
    REFUSED(ldm_doctor_run(d, e), "once");
    REFUSED(ldm_doctor_report(NULL, 0, &text, e), "d is NULL");
    REFUSED(ldm_doctor_report(d, 0, NULL, e), "report");
    REFUSED(ldm_doctor_config(NULL, true, &text, e), "d is NULL");
    REFUSED(ldm_doctor_config(d, true, NULL, e), "yaml");
    ldm_doctor_free(d);
    ldm_doctor_free(NULL);
    ldm_model_options_free(opt);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void texts(void **state)
{
    ldm_text_vocab *v;
    ldm_text_ids *ids;

    (void)state;
    REFUSED(ldm_text_vocab_open("bert", "x", NULL, NULL, e), "out");
    REFUSED(ldm_text_vocab_open(NULL, "x", NULL, &v, e), "kind");
    REFUSED(ldm_text_vocab_open("t5", "x", NULL, &v, e), "t5");
    assert_int_equal(ldm_text_vocab_open("bert", "nothing", NULL, &v, &err), LDM_ERR_IO);
    assert_null(v);
    assert_int_equal(ldm_text_vocab_open("bert", "tests/data/tokenize/vocab.txt", NULL, &v, &err),
                     LDM_OK);
    REFUSED(ldm_text_encode(v, "a", 1, true, NULL, e), "out");
    REFUSED(ldm_text_encode(NULL, "a", 1, true, &ids, e), "v is NULL");
    REFUSED(ldm_text_encode(v, NULL, 1, true, &ids, e), "text");
    REFUSED(ldm_text_encode(v, "\xff", 1, true, &ids, e), "UTF-8");
    assert_null(ids);
    assert_int_equal(ldm_text_encode(v, "", 0, true, &ids, &err), LDM_OK);
    assert_string_equal(ldm_text_ids_piece(ids, SIZE_MAX), "");
    assert_string_equal(ldm_text_ids_piece(NULL, 0), "");
    assert_null(ldm_text_ids_data(NULL));
    assert_int_equal(ldm_text_ids_length(NULL), 0);
    assert_int_equal(ldm_text_ids_used(NULL), 0);
    assert_int_equal(ldm_text_ids_needed(NULL), 0);
    assert_null(ldm_text_vocab_kind(NULL));
    assert_null(ldm_text_vocab_path(NULL));
    assert_null(ldm_text_vocab_doubt(NULL));
    assert_int_equal(ldm_text_vocab_size(NULL), 0);
    ldm_text_ids_free(ids);
    ldm_text_ids_free(NULL);
    ldm_text_vocab_free(v);
    ldm_text_vocab_free(NULL);
}

/* ---- timing ---------------------------------------------------------------------------------- */

static void timing(void **state)
{
    ldm_model_options *opt;
    ldm_bench_options *bench;
    char *text = (char *)&bench, *json = text;

    (void)state;
    assert_int_equal(ldm_model_options_create(&opt, &err), LDM_OK);
    assert_int_equal(ldm_model_options_set(opt, "ckpt", "nothing.ckpt", &err), LDM_OK);
    assert_int_equal(ldm_bench(opt, NULL, &text, &json, &err), LDM_ERR_IO);
    assert_true(!text && !json);
    assert_int_equal(ldm_bench_options_create(&bench, &err), LDM_OK);
    assert_int_equal(ldm_bench_options_set(bench, "shapes", "nothing.txt", &err), LDM_OK);
    assert_int_equal(ldm_bench(NULL, bench, NULL, NULL, NULL), LDM_ERR_IO);
    ldm_bench_options_free(bench);
    ldm_model_options_free(opt);
    assert_non_null(ldm_version());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_pictures),
        cmocka_unit_test(noise_and_inversion),
        cmocka_unit_test(pictures_through_a_model),
        cmocka_unit_test(conversions),
        cmocka_unit_test(doctors),
        cmocka_unit_test(texts),
        cmocka_unit_test(timing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
