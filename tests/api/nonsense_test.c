/* SPDX-License-Identifier: MIT */
/* Every public call with NULL and with nonsense: it says what is wrong, or does nothing; it never
 * crashes. Run with sanitizers this also shows that nothing is read beyond what was given. */
#include <ldm/tokenize.h>

#include "nonsense.h"

static void objects_of_settings(void **state)
{
    ldm_model_options *opt, *copy;
    ldm_job *job;
    ldm_eval_job *eval;
    ldm_bench_options *bench;
    char *text;

    (void)state;
    REFUSED(ldm_model_options_create(NULL, e), "out");
    REFUSED(ldm_job_create(NULL, NULL, e), "out");
    REFUSED(ldm_eval_job_create(LDM_PART_UNET, NULL, e), "out");
    REFUSED(ldm_eval_job_create((ldm_part)77, &eval, e), "part");
    REFUSED(ldm_bench_options_create(NULL, e), "out");
    assert_int_equal(ldm_model_options_create(&opt, &err), LDM_OK);
    assert_int_equal(ldm_job_create(NULL, &job, &err), LDM_OK);
    assert_int_equal(ldm_eval_job_create(LDM_PART_UNET, &eval, &err), LDM_OK);
    assert_int_equal(ldm_bench_options_create(&bench, &err), LDM_OK);

    REFUSED(ldm_model_options_set(NULL, "ckpt", "x", e), "opt");
    REFUSED(ldm_model_options_set(opt, NULL, "x", e), "key");
    REFUSED(ldm_model_options_set(opt, "ckpt", NULL, e), "ckpt");
    REFUSED(ldm_model_options_set(opt, "ckpt", "", e), "ckpt");
    REFUSED(ldm_model_options_set(opt, "chpt", "x", e), "did you mean ckpt");
    REFUSED(ldm_model_options_set_int(NULL, "threads", 1, e), "opt");
    REFUSED(ldm_model_options_set_int(opt, "ckpt", 1, e), "ckpt");
    REFUSED(ldm_model_options_set_u64(NULL, "max_memory", 1, e), "opt");
    REFUSED(ldm_model_options_set_u64(opt, "max_memory", 0, e), "max_memory");
    REFUSED(ldm_model_options_set_bool(NULL, "ema", true, e), "opt");
    REFUSED(ldm_model_options_set_bool(opt, "threads", true, e), "threads");
    REFUSED(ldm_model_options_unset(NULL, "ema", e), "opt");
    REFUSED(ldm_model_options_unset(opt, "emma", e), "emma");
    REFUSED(ldm_model_options_get(NULL, "ema", &text, e), "opt");
    REFUSED(ldm_model_options_get(opt, "ema", NULL, e), "text");
    REFUSED(ldm_model_options_copy(NULL, &copy, e), "opt");
    REFUSED(ldm_model_options_copy(opt, NULL, e), "out");
    REFUSED(ldm_model_options_use_recipe(NULL, "{}", NULL, e), "opt");
    REFUSED(ldm_model_options_find_files(NULL, true, e), "opt");
    REFUSED(ldm_model_options_use_recipe(opt, NULL, NULL, e), "json");
    assert_int_equal(ldm_model_options_use_recipe(opt, "[]", NULL, &err), LDM_ERR_FORMAT);
    assert_int_equal(ldm_model_options_use_recipe(opt, "{", NULL, &err), LDM_ERR_FORMAT);
    assert_int_equal(ldm_model_options_use_recipe(opt, "{\"config\": 3}", NULL, &err),
                     LDM_ERR_FORMAT);
    assert_false(ldm_model_options_is_set(NULL, "ema"));
    assert_false(ldm_model_options_is_set(opt, NULL));
    assert_int_equal(ldm_model_options_get_int(NULL, "threads"), 0);
    assert_int_equal(ldm_model_options_get_int(opt, NULL), 0);
    assert_int_equal(ldm_model_options_get_u64(NULL, "max_memory"), 0);
    assert_null(ldm_model_options_get_text(NULL, "ckpt"));
    assert_null(ldm_model_options_get_text(opt, "threads"));

    REFUSED(ldm_job_set(NULL, "steps", "1", e), "job");
    REFUSED(ldm_job_set(job, "steps", "1e9", e), "steps");
    REFUSED(ldm_job_set(job, "steps", "", e), "steps");
    REFUSED(ldm_job_set(job, "shape", "1,2", e), "shape");
    REFUSED(ldm_job_set(job, "shape", "3,0,8", e), "shape");
    REFUSED(ldm_job_set(job, "quantize", "yes", e), "quantize");
    REFUSED(ldm_job_set(job, "max_memory", "-2G", e), "max_memory");
    REFUSED(ldm_job_set_int(NULL, "steps", 1, e), "job");
    REFUSED(ldm_job_set_int(job, "cond", 1, e), "cond");
    REFUSED(ldm_job_set_u64(NULL, "seed", 1, e), "job");
    REFUSED(ldm_job_set_u64(job, "steps", UINT64_MAX, e), "steps");
    REFUSED(ldm_job_set_real(NULL, "eta", 1, e), "job");
    REFUSED(ldm_job_set_real(job, "steps", 1, e), "steps");
    REFUSED(ldm_job_set_bool(NULL, "quantize", true, e), "job");
    REFUSED(ldm_job_set_bool(job, "eta", true, e), "eta");
    REFUSED(ldm_job_set_shape(NULL, "shape", (const int[3]){3, 8, 8}, e), "job");
    REFUSED(ldm_job_set_shape(job, "shape", NULL, e), "value");
    REFUSED(ldm_job_set_shape(job, "eta", (const int[3]){3, 8, 8}, e), "eta");
    REFUSED(ldm_job_unset(NULL, "eta", e), "job");
    REFUSED(ldm_job_unset(job, NULL, e), "key");
    REFUSED(ldm_job_get(NULL, "eta", &text, e), "job");
    REFUSED(ldm_job_get(job, "eta", NULL, e), "text");
    REFUSED(ldm_job_get(job, "etta", &text, e), "did you mean eta");
    REFUSED(ldm_job_use_recipe(NULL, "{}", e), "job");
    REFUSED(ldm_job_use_recipe(job, NULL, e), "json");
    REFUSED(ldm_job_set_array(NULL, "x_t", NULL, e), "job");
    REFUSED(ldm_job_set_array(job, NULL, NULL, e), "name");
    REFUSED(ldm_job_set_array(job, "x_T", NULL, e), "x_T");
    assert_false(ldm_job_is_set(NULL, "eta"));
    assert_false(ldm_job_is_set(job, NULL));
    assert_false(ldm_job_is_drawn(NULL, "seed"));
    assert_false(ldm_job_is_drawn(job, NULL));
    assert_int_equal(ldm_job_get_int(NULL, "steps"), 0);
    assert_int_equal(ldm_job_get_int(job, "eta"), 0);
    assert_int_equal(ldm_job_get_u64(NULL, "seed"), 0);
    assert_true(ldm_job_get_real(NULL, "eta") == 0 && ldm_job_get_real(job, "steps") == 0);
    assert_false(ldm_job_get_bool(NULL, "quantize"));
    assert_null(ldm_job_get_text(NULL, "cond"));
    assert_null(ldm_job_get_text(job, "steps"));
    assert_null(ldm_job_get_shape(NULL, "shape"));
    ldm_job_set_progress(NULL, NULL, NULL);
    ldm_job_set_cancel(NULL, NULL, NULL);
    ldm_job_set_skip(NULL, NULL, NULL);

    REFUSED(ldm_eval_job_set(NULL, "t", "1", e), "job");
    REFUSED(ldm_eval_job_set(eval, "t", "-1", e), "t: ");
    REFUSED(ldm_eval_job_set_int(NULL, "threads", 1, e), "job");
    REFUSED(ldm_eval_job_set_real(NULL, "t", 1, e), "job");
    REFUSED(ldm_eval_job_set_bool(NULL, "quantize", true, e), "job");
    REFUSED(ldm_eval_job_set_part(NULL, LDM_PART_UNET, e), "job");
    REFUSED(ldm_eval_job_set_part(eval, (ldm_part)-1, e), "part");
    REFUSED(ldm_eval_job_set_array(NULL, "in", NULL, e), "job");
    REFUSED(ldm_eval_job_set_array(eval, NULL, NULL, e), "name");
    REFUSED(ldm_eval_job_set_array(eval, "out", NULL, e), "out");
    assert_false(ldm_eval_job_is_set(NULL, "t"));
    assert_false(ldm_eval_job_is_drawn(NULL, "seed"));
    REFUSED(ldm_eval_job_get(NULL, "seed", &text, e), "job");
    REFUSED(ldm_eval_job_get(eval, "seed", NULL, e), "text");
    assert_null(ldm_eval_job_get_text(NULL, "dump"));
    ldm_eval_job_set_cancel(NULL, NULL, NULL);
    REFUSED(ldm_bench_options_set(NULL, "rounds", "1", e), "opt");
    REFUSED(ldm_bench_options_set(bench, "rounds", "0", e), "rounds");
    REFUSED(ldm_bench_options_set_int(NULL, "rounds", 1, e), "opt");
    REFUSED(ldm_bench_options_set_real(NULL, "eta", 1, e), "opt");
    REFUSED(ldm_bench_options_set_bool(NULL, "layers", true, e), "opt");
    REFUSED(ldm_bench_options_set_job(NULL, NULL, e), "opt");
    assert_int_equal(ldm_bench_options_set_job(bench, NULL, &err), LDM_OK);
    assert_false(ldm_bench_options_is_set(NULL, "eta"));

    assert_int_equal(ldm_setting_count((ldm_setting_kind)99), 0);
    assert_null(ldm_setting_at((ldm_setting_kind)99, 0));
    assert_null(ldm_setting_at(LDM_SETTINGS_JOB, 1000));
    assert_null(ldm_setting_find(LDM_SETTINGS_JOB, NULL));
    assert_null(ldm_setting_key(NULL));
    assert_null(ldm_setting_group(NULL));
    assert_null(ldm_setting_choice(NULL, 0));
    assert_null(ldm_setting_default(NULL));
    assert_null(ldm_setting_lacking(NULL));
    assert_null(ldm_setting_arg(NULL));
    assert_null(ldm_setting_help(NULL));
    assert_null(ldm_setting_help_no(NULL));
    assert_true(!ldm_setting_min(NULL) && !ldm_setting_max(NULL) && !ldm_setting_flags(NULL) &&
                !ldm_setting_letter(NULL));
    (void)ldm_setting_get_type(NULL);

    ldm_model_options_free(opt);
    ldm_job_free(job);
    ldm_eval_job_free(eval);
    ldm_bench_options_free(bench);
    ldm_model_options_free(NULL);
    ldm_job_free(NULL);
    ldm_eval_job_free(NULL);
    ldm_bench_options_free(NULL);
}

static void arrays_are_checked(void **state)
{
    static float data[8];
    const ldm_array wrong[] = {
        {.ndim = 0, .numel = 1, .data = data},
        {.ndim = 9, .shape = {1, 1, 1, 1, 1, 1, 1, 1}, .numel = 1, .data = data},
        {.ndim = -1, .numel = 1, .data = data},
        {.ndim = 2, .shape = {2, 4}, .numel = 9, .data = data},
        {.ndim = 2, .shape = {UINT64_MAX, 2}, .numel = 8, .data = data},
        {.ndim = 2, .shape = {2, 4}, .numel = 8, .data = NULL},
    };
    ldm_array out = {.data = data};
    ldm_job *job;
    size_t i;

    (void)state;
    assert_int_equal(ldm_job_create(NULL, &job, &err), LDM_OK);
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        REFUSED(ldm_job_set_array(job, "x_t", &wrong[i], e), "x_t");
        REFUSED(ldm_array_write("/tmp/never", &wrong[i], e), "array");
    }
    ldm_job_free(job);
    REFUSED(ldm_array_read(NULL, &out, e), "path");
    assert_null(out.data);
    REFUSED(ldm_array_read("x", NULL, e), "out");
    REFUSED(ldm_array_write(NULL, &wrong[0], e), "path");
    REFUSED(ldm_array_write("x", NULL, e), "array");
    REFUSED(ldm_array_write_int64(NULL, 1, (const uint64_t[]){1}, (const int64_t[]){1}, e), "path");
    REFUSED(ldm_array_write_int64("x", 0, (const uint64_t[]){1}, (const int64_t[]){1}, e), "ndim");
    REFUSED(ldm_array_write_int64("x", 1, NULL, (const int64_t[]){1}, e), "shape");
    REFUSED(ldm_array_write_int64("x", 1, (const uint64_t[]){1}, NULL, e), "data");
    ldm_array_free(NULL);
}

static void models_runs_and_reports(void **state)
{
    ldm_model *m = open_small(), *none;
    ldm_array out, in = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192};
    static float zeros[192];
    const ldm_result *res;
    const char *hex;
    char sha256[65];
    ldm_eval_job *eval;
    ldm_job *job;
    ldm_run *run;
    ldm_text_vocab *vocab;
    char *text;
    bool fits;

    (void)state;
    REFUSED(ldm_model_open(NULL, NULL, e), "out");
    (void)none;
    ldm_model_close(NULL);
    assert_null(ldm_model_get_info(NULL));
    assert_int_equal(ldm_model_weight_bytes(NULL), 0);
    REFUSED(ldm_model_caption(NULL, 1, &text, e), "m is NULL");
    REFUSED(ldm_model_caption(m, 1, NULL, e), "out");
    REFUSED(ldm_model_vocab(NULL, NULL, &vocab, e), "m is NULL");
    REFUSED(ldm_model_vocab(m, NULL, NULL, e), "out");
    REFUSED(ldm_model_intact(NULL, e), "m is NULL");
    REFUSED(ldm_model_hash(NULL, &hex, e), "m is NULL");
    REFUSED(ldm_model_hash(m, NULL, e), "hex");
    REFUSED(ldm_checkpoint_hash(NULL, sha256, e), "path is NULL");
    REFUSED(ldm_checkpoint_hash("x", NULL, e), "hex");
    assert_int_equal(ldm_model_note_count(NULL), 0);
    assert_null(ldm_model_note(NULL, 0));
    assert_null(ldm_model_note(m, 12345));

    REFUSED(ldm_check(NULL, 0, NULL, &fits, e), "report");
    REFUSED(ldm_check(NULL, 0, &text, NULL, e), "fits");
    REFUSED(ldm_check(NULL, 1U << 30, &text, &fits, e), "how");
    REFUSED(ldm_inspect(NULL, 0, &text, e), "path");
    REFUSED(ldm_inspect("x", 0, NULL, e), "report");
    REFUSED(ldm_inspect("x", 1U << 30, &text, e), "how");
    REFUSED(ldm_samplers(0, NULL, e), "report");
    REFUSED(ldm_samplers(LDM_REPORT_ALL, &text, e), "how");
    REFUSED(ldm_config_difference(NULL, NULL, NULL, e), "json");
    REFUSED(ldm_shipped_path(NULL, &text, e), "name");
    REFUSED(ldm_shipped_path("x", NULL, e), "path");

    REFUSED(ldm_run_create(NULL, NULL, &run, e), "m is NULL");
    REFUSED(ldm_run_create(m, NULL, NULL, e), "out");
    assert_int_equal(ldm_job_create(m, &job, &err), LDM_OK);
    assert_int_equal(ldm_job_set_int(job, "steps", 1, &err), LDM_OK);
    assert_int_equal(ldm_run_create(m, job, &run, &err), LDM_OK);
    ldm_job_free(job); /* the run has a copy */
    REFUSED(ldm_run_next(NULL, &res, e), "r is NULL");
    REFUSED(ldm_run_next(run, NULL, e), "out");
    REFUSED(ldm_run_recipe(NULL, 0, &text, e), "r is NULL");
    REFUSED(ldm_run_recipe(run, 0, NULL, e), "json");
    REFUSED(ldm_run_recipe(run, 1, &text, e), "index");
    REFUSED(ldm_run_recipe(run, -1, &text, e), "index");
    assert_null(ldm_run_get_info(NULL));
    assert_null(ldm_run_get_job(NULL));
    assert_int_equal(ldm_run_note_count(NULL), 0);
    assert_null(ldm_run_note(NULL, 0));
    assert_int_equal(ldm_run_next(run, &res, &err), LDM_OK);
    assert_non_null(res);
    ldm_run_free(run);
    ldm_run_free(NULL);

    in.data = zeros;
    assert_int_equal(ldm_eval_job_create(LDM_PART_UNET, &eval, &err), LDM_OK);
    REFUSED(ldm_eval(NULL, eval, &out, e), "m is NULL");
    REFUSED(ldm_eval(m, NULL, &out, e), "job");
    REFUSED(ldm_eval(m, eval, NULL, e), "out");
    REFUSED(ldm_eval(m, eval, &out, e), "in");
    assert_int_equal(ldm_eval_job_set_array(eval, "in", &in, &err), LDM_OK);
    REFUSED(ldm_eval(m, eval, &out, e), "t is not set");
    assert_int_equal(ldm_eval_job_set_real(eval, "t", 999.5, &err), LDM_OK);
    REFUSED(ldm_eval(m, eval, &out, e), "0 to 999");
    ldm_eval_job_free(eval);
    ldm_model_close(m);
    ldm_release(NULL);
    assert_string_equal(ldm_status_name((ldm_status)999), "UNKNOWN");
    assert_non_null(ldm_status_text((ldm_status)-1));
}

static void pictures_and_statistics(void **state)
{
    static uint8_t pixels[4 * 4 * 4];
    const ldm_image good = {4, 4, 3, pixels};
    const ldm_image wrong[] = {
        {0, 4, 3, pixels}, {4, -4, 3, pixels}, {4, 4, 2, pixels}, {4, 4, 3, NULL}};
    const ldm_image grey = {4, 4, 1, pixels};
    ldm_model *m = open_small();
    ldm_image_metrics metrics;
    ldm_image_difference apart;
    ldm_face_judge *judge;
    ldm_features *f;
    ldm_stats *other, *s;
    ldm_image out, *many;
    double value;
    char *text;
    size_t count, i, size;

    (void)state;
    REFUSED(ldm_image_read(NULL, &out, e), "path");
    REFUSED(ldm_image_read("x", NULL, e), "out");
    REFUSED(ldm_image_write(NULL, &good, NULL, e), "path");
    REFUSED(ldm_image_encode(NULL, NULL, &text, &size, e), "im");
    REFUSED(ldm_image_encode(&good, NULL, NULL, &size, e), "png");
    REFUSED(ldm_image_encode(&good, NULL, &text, NULL, e), "size");
    REFUSED(ldm_image_write("x", NULL, NULL, e), "im");
    REFUSED(ldm_image_write("", &good, NULL, e), "path is empty");
    REFUSED(ldm_image_write_quality(NULL, &good, 90, NULL, e), "path");
    REFUSED(ldm_image_write_quality("x.jpg", NULL, 90, NULL, e), "im");
    REFUSED(ldm_image_write_quality("x.jpg", &good, 0, NULL, e), "quality is 0");
    REFUSED(ldm_image_write_quality("x.jpg", &good, 101, NULL, e), "quality is 101");
    REFUSED(ldm_image_read_recipe(NULL, &text, e), "path");
    REFUSED(ldm_image_read_recipe("x", NULL, e), "json");
    REFUSED(ldm_image_grid(NULL, 1, 0, &out, e), "ims");
    REFUSED(ldm_image_grid(&good, 0, 0, &out, e), "no pictures");
    REFUSED(ldm_image_grid(&good, 1, 0, NULL, e), "out");
    REFUSED(ldm_image_write_npz(NULL, &good, 1, e), "path");
    REFUSED(ldm_image_write_npz("x", NULL, 1, e), "ims");
    REFUSED(ldm_image_write_npz("x", &good, 0, e), "no pictures");
    REFUSED(ldm_image_measure(NULL, &metrics, sizeof metrics, e), "im");
    REFUSED(ldm_image_measure(&good, NULL, sizeof metrics, e), "out");
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        REFUSED(ldm_image_measure(&wrong[i], &metrics, sizeof metrics, e), "im");
        REFUSED(ldm_image_write("/tmp/never", &wrong[i], NULL, e), "im");
        REFUSED(ldm_image_grid(&wrong[i], 1, 0, &out, e), "picture 0");
    }
    assert_int_equal(ldm_image_measure(&grey, &metrics, sizeof metrics, &err), LDM_ERR_UNSUPPORTED);
    assert_int_equal(ldm_image_measure(&good, &metrics, sizeof metrics, &err), LDM_OK);
    metrics.contrast = -1;
    assert_int_equal(ldm_image_measure(&good, &metrics, sizeof metrics.brightness, &err), LDM_OK);
    assert_true(metrics.contrast == -1); /* an older caller's struct ends before it */
    REFUSED(ldm_image_compare(NULL, &good, &apart, sizeof apart, e), "a");
    REFUSED(ldm_image_compare(&good, NULL, &apart, sizeof apart, e), "b");
    REFUSED(ldm_image_compare(&good, &good, NULL, sizeof apart, e), "out");
    REFUSED(ldm_image_compare(&good, &grey, &apart, sizeof apart, e), "one kind and size");
    assert_int_equal(ldm_image_compare(&good, &good, &apart, sizeof apart, &err), LDM_OK);
    assert_true(apart.largest == 0 && apart.mse == 0);
    REFUSED(ldm_images_read(NULL, &many, &count, e), "path");
    REFUSED(ldm_images_read("x", NULL, &count, e), "out");
    REFUSED(ldm_images_read("x", &many, NULL, e), "count");
    ldm_images_free(NULL, 7);

    REFUSED(ldm_face_judge_open(NULL, NULL, e), "out");
    judge = NULL;
    REFUSED(ldm_face_judge_find(judge, &good, NULL, &count, e), "j is NULL");
    REFUSED(ldm_face_judge_find(judge, &good, NULL, NULL, e), "count");
    ldm_face_judge_close(NULL);

    REFUSED(ldm_features_open(NULL, 1, &f, e), "m is NULL");
    REFUSED(ldm_features_open(m, 1, NULL, e), "out");
    assert_int_equal(ldm_features_open(m, 1, &f, &err), LDM_OK);
    assert_int_equal(ldm_features_dim(NULL), 0);
    REFUSED(ldm_features_compute(NULL, &good, &value, e), "f is NULL");
    REFUSED(ldm_features_compute(f, NULL, &value, e), "im");
    REFUSED(ldm_features_compute(f, &good, NULL, e), "values");
    REFUSED(ldm_stats_create(NULL, &s, e), "f is NULL");
    REFUSED(ldm_stats_create(f, NULL, e), "out");
    assert_int_equal(ldm_stats_create(f, &s, &err), LDM_OK);
    REFUSED(ldm_stats_add(NULL, &value, e), "s is NULL");
    REFUSED(ldm_stats_add(s, NULL, e), "values");
    assert_int_equal(ldm_stats_count(NULL), 0);
    REFUSED(ldm_stats_read(NULL, &other, e), "path");
    REFUSED(ldm_stats_read("x", NULL, e), "out");
    REFUSED(ldm_stats_write(NULL, s, e), "path");
    REFUSED(ldm_stats_distance(NULL, NULL, &value, e), "a is NULL");
    ldm_stats_free(s);
    ldm_stats_free(NULL);
    ldm_features_close(f);
    ldm_features_close(NULL);
    ldm_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_of_settings),
        cmocka_unit_test(arrays_are_checked),
        cmocka_unit_test(models_runs_and_reports),
        cmocka_unit_test(pictures_and_statistics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
