/* SPDX-License-Identifier: MIT */
/* ldm.h as a program uses it: what a picture depends on, progress and cancelling, wrong values,
 * memory limits, recipes. */
#include <limits.h>
#include <math.h>
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

#include "support.h"

/* sha256sum of SMALL_CKPT */
static const char small_hash[] = "72b533552c98815dc517764e6376f5f34f0ce23b6f7bc14881fb897356885768";

/* ---- what a picture depends on --------------------------------------------------------------- */

/* Many of the same kind: sanitizers, which are slow, look at batches of 1, 3 and 5. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BATCHES_APART = 2 };
#else
enum { BATCHES_APART = 1 };
#endif

static void threads_and_batches_change_nothing(void **state)
{
    static const char *const isas[] = {NULL, "avx2", "c"};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        ldm_model *m = open_tiny(isas[i]);
        plain_job job = short_job(5);
        output want, got;
        char what[64];

        job.batch = 1;
        want = run_all(m, &job);
        for (job.batch = 1; job.batch <= 5; job.batch += BATCHES_APART) {
            job.threads = 1 + job.batch % 4;
            got = run_all(m, &job);
            snprintf(what, sizeof what, "isa %s, batch %d, %d threads", isas[i] ? isas[i] : "best",
                     job.batch, job.threads);
            expect_same(what, &want, &got);
            free(got.data);
        }
        free(want.data);
        ldm_model_close(m);
    }
}

static void a_picture_is_its_seed(void **state)
{
    ldm_model *m = open_small();
    plain_job job = short_job(4);
    output all = run_all(m, &job), one;
    uint64_t i;

    (void)state;
    job.count = 1;
    for (i = 0; i < 4; i++) {
        output part = {all.data + i * all.per_picture, all.per_picture, all.per_picture};

        job.seed = 42 + i;
        one = run_all(m, &job);
        expect_same("a seed alone", &part, &one);
        free(one.data);
    }
    job.seed = 1000;
    one = run_all(m, &job);
    assert_memory_not_equal(one.data, all.data, one.floats * sizeof *one.data);
    free(one.data);
    free(all.data);
    ldm_model_close(m);
}

static void the_start_noise_is_what_the_seed_draws(void **state)
{
    ldm_model *m = open_small();
    ldm_array x = {.ndim = 4, .shape = {2, 3, 8, 8}, .numel = 384};
    plain_job job = short_job(2);
    output a, b;
    size_t i;

    (void)state;
    x.data = malloc(x.numel * sizeof *x.data);
    assert_non_null(x.data);
    for (i = 0; i < x.numel; i++)
        x.data[i] = (float)sin((double)i);
    job.eta = 0;
    job.x_t = &x;
    job.count = 77; /* overruled by x_t, and so is the shape */
    job.latent_c = job.latent_h = job.latent_w = 3;
    a = run_all(m, &job);
    assert_int_equal(a.floats, 2 * a.per_picture);
    job.seed = 7; /* with eta 0 and x_t nothing is drawn */
    b = run_all(m, &job);
    expect_same("eta 0 with x_t", &a, &b);
    free(a.data);
    free(b.data);
    free(x.data);
    ldm_model_close(m);
}

static void a_second_run_repeats_the_first(void **state)
{
    ldm_model *m = open_small();
    plain_job job = short_job(2);
    output a = run_all(m, &job), b = run_all(m, &job);

    (void)state;
    expect_same("the second run", &a, &b);
    free(a.data);
    free(b.data);
    ldm_model_close(m);
}

/* ---- progress -------------------------------------------------------------------------------- */

enum { SMALL_LATENT = 3 * 8 * 8 };

typedef struct watcher {
    int calls, steps, decodings, last_step, stop_at, stop_decoding_at; /* the latter from 1 */
    bool ordered;
    int shown; /* steps with finite predicted latents */
} watcher;

/* Whether there are predicted latents of every picture of the batch, all of them numbers. */
static bool shows(const ldm_progress *p)
{
    const int n = p->images_in_batch * p->latent_c * p->latent_h * p->latent_w;

    for (int i = 0; p->predicted && i < n; i++) {
        if (!isfinite(p->predicted[i]))
            return false;
    }
    return p->predicted && n > 0;
}

static int watch(void *ctx, const ldm_progress *p)
{
    watcher *w = ctx;

    w->calls++;
    if (strcmp(p->stage, "decoding") == 0) {
        assert_null(p->predicted);
        return ++w->decodings == w->stop_decoding_at;
    }
    w->ordered = w->ordered && (p->step == 0 || p->step == w->last_step + 1);
    w->last_step = p->step;
    w->steps += p->step > 0;
    w->shown += shows(p);
    return p->step == w->stop_at;
}

static void progress_counts_every_step(void **state)
{
    ldm_model *m = open_small();
    watcher w = {.ordered = true, .stop_at = -1};
    plain_job job = short_job(3);
    output out;

    (void)state;
    job.batch = 2;
    job.progress = watch;
    job.ctx = &w;
    out = run_all(m, &job);
    assert_true(w.ordered);
    assert_int_equal(w.steps, 2 * 3);
    assert_int_equal(w.shown, 2 * 3);
    assert_true(w.decodings > 3 * 10 && w.decodings % 3 == 0); /* between all operations */
    free(out.data);
    ldm_model_close(m);
}

static void a_callback_cancels(void **state)
{
    ldm_model *m = open_small();
    int stop_at;

    (void)state;
    for (stop_at = 0; stop_at <= 3; stop_at++) {
        watcher w = {.ordered = true, .stop_at = stop_at};
        plain_job job = short_job(2);
        ldm_error err = {.msg = ""};
        ldm_result res;
        ldm_run *run;
        bool have = true;

        job.progress = watch;
        job.ctx = &w;
        assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
        assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_ERR_CANCELLED);
        assert_false(have);
        assert_null(res.latent);
        assert_int_equal(err.code, LDM_ERR_CANCELLED);
        assert_true(err.msg[0]);
        assert_int_equal(w.last_step, stop_at); /* and not one step more */
        ldm_run_free(run);
    }
    ldm_model_close(m);
}

/* Cancelled before the first step, within the second batch, at the beginning of a decode and within
 * one: the call after it goes on, and every picture is what it would have been. */
static void a_cancelled_run_goes_on(void **state)
{
    static const struct {
        int stop_at, stop_decoding_at;
    } stops[] = {{0, 0}, {2, 0}, {3, 0}, {-1, 1}, {-1, 9}, {-1, 60}};
    ldm_model *m = open_small();
    plain_job job = short_job(3);
    output whole = run_all(m, &job);
    size_t k;

    (void)state;
    job.batch = 2;
    for (k = 0; k < sizeof stops / sizeof stops[0]; k++) {
        watcher w = {.stop_at = stops[k].stop_at, .stop_decoding_at = stops[k].stop_decoding_at};
        int cancelled = 0, seen = 0;
        ldm_result res;
        ldm_run *run;
        bool have;

        job.progress = watch;
        job.ctx = &w;
        assert_int_equal(plain_run_create(m, &job, &run, NULL), LDM_OK);
        for (;;) {
            ldm_status st = plain_run_next(run, &res, &have, NULL);

            if (st == LDM_ERR_CANCELLED) {
                assert_false(have);
                assert_null(res.pixels);
                cancelled++;
                w.stop_at = -1;
                continue;
            }
            assert_int_equal(st, LDM_OK);
            if (!have)
                break;
            assert_int_equal(res.index, seen);
            assert_memory_equal(res.latent, whole.data + (size_t)seen * whole.per_picture,
                                SMALL_LATENT * sizeof(float));
            seen++;
        }
        assert_int_equal(cancelled, 1);
        assert_int_equal(seen, 3);
        ldm_run_free(run);
    }
    free(whole.data);
    ldm_model_close(m);
}

/* ---- wrong values ---------------------------------------------------------------------------- */

static void refuse(const ldm_model *m, const plain_job *job, const char *names)
{
    ldm_error err = {.msg = ""};
    ldm_run *run = (ldm_run *)&err;

    if (plain_run_create(m, job, &run, &err) != LDM_ERR_USAGE)
        fail_msg("%s: accepted, or refused otherwise: %s", names, err.msg);
    assert_null(run);
    assert_int_equal(err.code, LDM_ERR_USAGE);
    if (!strstr(err.msg, names) || strchr(err.msg, '\n'))
        fail_msg("the message does not name %s in one line: %s", names, err.msg);
    assert_int_equal(plain_run_create(m, job, &run, NULL), LDM_ERR_USAGE);
}

#define REFUSE(field, value, names)                                                                \
    do {                                                                                           \
        plain_job bad_ = short_job(1);                                                             \
        bad_.field = (value);                                                                      \
        refuse(m, &bad_, names);                                                                   \
    } while (0)

static void wrong_numbers_are_named(void **state)
{
    ldm_model *m = open_small();

    (void)state;
    REFUSE(steps, 0, "steps");
    REFUSE(steps, -1, "steps");
    REFUSE(steps, 1001, "steps");
    REFUSE(timesteps, "karras", "karras");
    REFUSE(timesteps, "", "timesteps");
    REFUSE(eta, -0.5, "eta");
    REFUSE(eta, (double)NAN, "eta");
    REFUSE(eta, (double)INFINITY, "eta");
    REFUSE(temperature, -1, "temperature");
    REFUSE(temperature, (double)NAN, "temperature");
    REFUSE(scale, (double)NAN, "scale");
    REFUSE(scale, (double)INFINITY, "scale");
    REFUSE(cond, "ones", "cond");
    REFUSE(cond, NULL, "cond");
    REFUSE(cache, 0, "cache");
    REFUSE(cache, -2, "cache");
    REFUSE(cache, 1001, "cache");
    REFUSE(count, 0, "count");
    REFUSE(count, -3, "count");
    REFUSE(batch, -1, "batch");
    REFUSE(batch, 1 << 20, "batch");
    REFUSE(batch, INT_MAX, "batch");
    REFUSE(threads, -1, "threads");
    REFUSE(latent_c, 4, "shape");
    REFUSE(latent_h, 8, "shape"); /* one side alone */
    ldm_model_close(m);
}

static void wrong_arrays_are_named(void **state)
{
    static float zeros[3 * 3 * 8 * 8], nan_first[3 * 8 * 8] = {NAN};
    ldm_array ok = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192, .data = zeros};
    ldm_array three = {.ndim = 4, .shape = {3, 3, 8, 8}, .numel = 576, .data = zeros};
    ldm_array flat = {.ndim = 3, .shape = {3, 8, 8}, .numel = 192, .data = zeros};
    ldm_array channels = {.ndim = 4, .shape = {1, 2, 8, 8}, .numel = 128, .data = zeros};
    ldm_array none = {.ndim = 4, .shape = {0, 3, 8, 8}, .numel = 0, .data = zeros};
    ldm_array bad = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192, .data = nan_first};
    ldm_array draws = {.ndim = 5, .shape = {2, 1, 3, 8, 8}, .numel = 384, .data = zeros};
    ldm_model *m = open_small();
    plain_job job;

    (void)state;
    REFUSE(x_t, &flat, "start noise");
    REFUSE(x_t, &channels, "start noise");
    REFUSE(x_t, &none, "start noise");
    REFUSE(x_t, &bad, "start noise");
    REFUSE(noise, &ok, "noise");
    REFUSE(noise, &draws, "noise"); /* two draws, three steps */
    REFUSE(mask, &ok, "x0");
    REFUSE(x0, &ok, "mask");
    job = short_job(1);
    job.x0 = &ok;
    job.mask = &channels;
    refuse(m, &job, "mask");
    job.mask = &three;
    refuse(m, &job, "mask");
    job.mask = &bad;
    refuse(m, &job, "mask");
    job.mask = &ok;
    job.x0 = &channels;
    refuse(m, &job, "x0");
    job.x0 = &bad;
    refuse(m, &job, "x0");
    ldm_model_close(m);
}

static void wrong_evaluations_are_named(void **state)
{
    static float zeros[192];
    ldm_array ok = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192, .data = zeros};
    ldm_array channels = {.ndim = 4, .shape = {1, 2, 8, 8}, .numel = 128, .data = zeros};
    ldm_array flat = {.ndim = 1, .shape = {192}, .numel = 192, .data = zeros};
    ldm_array none = {.ndim = 4, .shape = {1, 3, 0, 8}, .numel = 0, .data = zeros};
    ldm_model *m = open_small();
    ldm_array out;
    int part;

    (void)state;
    for (part = LDM_PART_UNET; part <= LDM_PART_INDICES; part++) {
        const ldm_array *wrong[] = {&channels, &flat, &none};
        size_t i;

        for (i = 0; i < 3; i++) {
            plain_eval job = {.part = (ldm_part)part, .in = wrong[i], .t = 1};
            ldm_error err = {.msg = ""};

            out.data = zeros;
            assert_int_equal(plain_eval_run(m, &job, &out, &err), LDM_ERR_USAGE);
            assert_null(out.data);
            assert_non_null(strstr(err.msg, "input"));
        }
    }
    for (part = 0; part < 3; part++) {
        const double times[] = {-1, (double)NAN, (double)INFINITY};
        plain_eval job = {.part = LDM_PART_UNET, .in = &ok, .t = times[part]};
        ldm_error err = {.msg = ""};

        assert_int_equal(plain_eval_run(m, &job, &out, &err), LDM_ERR_USAGE);
        assert_non_null(strstr(err.msg, "t: "));
    }
    ldm_model_close(m);
}

static void wrong_options_are_named(void **state)
{
    plain_options opt;
    ldm_error err = {.msg = ""};
    ldm_model *m;
    static const char *const unset[] = {"model.params.first_stage_config=null"};
    static const char *const syntax[] = {"no assignment"};

    (void)state;
    opt = small_options();
    opt.precision = "f16";
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_USAGE);
    assert_null(m);
    assert_non_null(strstr(err.msg, "precision"));
    opt = small_options();
    opt.max_isa = "sse2";
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "sse2"));
    opt = small_options();
    opt.config_count = 0;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "configuration"));
    opt = small_options();
    opt.ckpt = "tests/data/none.ckpt";
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "none.ckpt"));
    opt = small_options();
    opt.sets = syntax;
    opt.set_count = 1;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "no assignment"));
    opt = small_options();
    opt.sets = unset;
    opt.set_count = 1;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_CONFIG);
    assert_non_null(strstr(err.msg, "first_stage_config"));
    opt = small_options();
    opt.threads = -2;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "threads"));
}

/* A configuration of another model: the message names a tensor and counts the rest. */
static void a_mismatch_is_told(void **state)
{
    static const char *const sets[] = {"model.params.unet_config.params.channel_mult=[1,2]"};
    plain_options opt = small_options();
    ldm_error err = {.msg = ""};
    ldm_model *m;
    char *report;
    bool fits;

    (void)state;
    opt.sets = sets;
    opt.set_count = 1;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_MISMATCH);
    assert_null(m);
    assert_non_null(strstr(err.msg, "input_blocks"));
    assert_int_equal(plain_check(&opt, 0, &report, &fits, &err), LDM_OK);
    assert_false(fits);
    ldm_release(report);
    opt.set_count = 0;
    assert_int_equal(plain_check(&opt, 0, &report, &fits, &err), LDM_OK);
    assert_true(fits);
    ldm_release(report);
}

static void memory_limits_refuse(void **state)
{
    plain_options opt = small_options();
    plain_job job = short_job(2);
    ldm_error err = {.msg = ""};
    ldm_run_info info;
    ldm_model *m;
    ldm_run *run;

    (void)state;
    opt.max_memory = 1000;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_ERR_LIMIT);
    assert_null(m);
    assert_non_null(strstr(err.msg, "memory"));
    m = open_small();
    job.max_memory = 1000;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_ERR_LIMIT);
    assert_null(run);
    assert_non_null(strstr(err.msg, "memory"));
    job.max_memory = 0;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    info = *ldm_run_get_info(run);
    assert_int_equal(info.memory_total, info.memory_weights + info.memory_activations);
    assert_true(info.memory_weights > 0 && info.memory_activations > 0);
    ldm_run_free(run);
    job.max_memory = info.memory_total;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    ldm_run_free(run);
    job.max_memory = info.memory_total - 1;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_ERR_LIMIT);
    ldm_model_close(m);
}

/* ---- notes ----------------------------------------------------------------------------------- */

static void notes_of(const ldm_model *m, const plain_job *job, int steps_run, const char *says)
{
    ldm_error err = {.msg = ""};
    ldm_run_info info;
    ldm_run *run;
    size_t i;

    if (plain_run_create(m, job, &run, &err))
        fail_msg("%s", err.msg);
    info = *ldm_run_get_info(run);
    assert_int_equal(info.steps_run, steps_run);
    assert_int_equal(info.steps_asked, job->steps);
    for (i = 0; says && i < ldm_run_note_count(run); i++) {
        if (strstr(ldm_run_note(run, i), says))
            break;
    }
    assert_int_equal(i < ldm_run_note_count(run), says != NULL);
    assert_null(ldm_run_note(run, ldm_run_note_count(run)));
    ldm_run_free(run);
}

static void notes_tell_what_the_run_does(void **state)
{
    ldm_model *m = open_small();
    plain_job job;

    (void)state;
    plain_job_init(&job);
    job.threads = 1;
    notes_of(m, &job, 50, NULL);
    job.steps = 150;
    notes_of(m, &job, 167, "167 run");
    job.steps = 37;
    notes_of(m, &job, 37, "IndexError");
    job.timesteps = "trailing";
    job.steps = 150;
    notes_of(m, &job, 150, NULL);
    job.scale = 7.5;
    notes_of(m, &job, 150, "scale has no effect");
    job.scale = 1;
    job.cond = "zeros";
    notes_of(m, &job, 150, "cond has no effect");
    ldm_model_close(m);
}

/* ---- recipes --------------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    if (!s)
        fail_msg("the recipe's %s is no text", key);
    return s;
}

static double number_of(const json_t *o, const char *key)
{
    if (!json_is_number(json_object_get(o, key)))
        fail_msg("the recipe's %s is no number", key);
    return json_number_value(json_object_get(o, key));
}

static void check_recipe(const char *text, const plain_job *job, int index)
{
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *ckpt, *shape;

    assert_non_null(o);
    ckpt = json_object_get(o, "checkpoint");
    assert_string_equal(text_of(o, "ldm"), ldm_version());
    assert_string_equal(text_of(ckpt, "name"), "model.fp16.ckpt");
    assert_string_equal(text_of(ckpt, "sha256"), small_hash);
    assert_true(json_is_false(json_object_get(ckpt, "default")));
    assert_non_null(strstr(text_of(o, "config"), "VQModelInterface"));
    assert_string_equal(text_of(o, "weights"), "EMA");
    assert_string_equal(text_of(o, "precision"), "f32");
    assert_true(number_of(o, "seed") == (double)(job->seed + (uint64_t)index));
    assert_true(number_of(o, "index") == index);
    assert_string_equal(text_of(o, "sampler"), "ddim");
    assert_true(number_of(o, "steps") == job->steps);
    assert_string_equal(text_of(o, "timesteps"), job->timesteps);
    assert_true(number_of(o, "eta") == job->eta);
    assert_true(number_of(o, "temperature") == job->temperature);
    assert_true(number_of(o, "scale") == job->scale);
    assert_string_equal(text_of(o, "cond"), job->cond);
    assert_true(number_of(o, "cache") == job->cache);
    assert_true(json_is_true(json_object_get(o, "quantize")));
    assert_true(json_is_false(json_object_get(o, "quantize_x0")));
    shape = json_object_get(o, "shape");
    assert_int_equal(json_array_size(shape), 3);
    assert_int_equal(json_integer_value(json_array_get(shape, 0)), 3);
    assert_int_equal(json_integer_value(json_array_get(shape, 1)), 8);
    assert_int_equal(json_integer_value(json_array_get(shape, 2)), 8);
    json_decref(o);
}

static void a_png_carries_the_recipe(void **state)
{
    ldm_model *m = open_small();
    plain_job job = short_job(2);
    ldm_error err = {.msg = ""};
    char path[] = "/tmp/ldm_api_XXXXXX.png";
    int i, fd = mkstemps(path, 4);
    ldm_run *run;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    job.eta = 0.1; /* no finite binary fraction: the text must give it back */
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    for (i = 0; i < 2; i++) {
        ldm_result res;
        ldm_image im, back;
        char *recipe, *read;
        bool have;

        assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
        assert_int_equal(ldm_run_recipe(run, res.index, &recipe, &err), LDM_OK);
        check_recipe(recipe, &job, i);
        im = (ldm_image){res.width, res.height, res.channels, (uint8_t *)(uintptr_t)res.pixels};
        assert_int_equal(ldm_image_write(path, &im, recipe, &err), LDM_OK);
        assert_int_equal(ldm_image_read_recipe(path, &read, &err), LDM_OK);
        assert_string_equal(read, recipe);
        assert_int_equal(ldm_image_read(path, &back, &err), LDM_OK);
        assert_int_equal(back.width, im.width);
        assert_int_equal(back.height, im.height);
        assert_memory_equal(back.pixels, im.pixels, 3 * (size_t)im.width * (size_t)im.height);
        assert_int_equal(ldm_image_write(path, &im, NULL, &err), LDM_OK);
        ldm_release(read);
        assert_int_equal(ldm_image_read_recipe(path, &read, &err), LDM_ERR_FORMAT);
        assert_null(read);
        ldm_release(back.pixels);
        ldm_release(recipe);
    }
    ldm_run_free(run);
    ldm_model_close(m);
    unlink(path);
}

/* A name that is not UTF-8, and strings that the caller takes back. */
static void a_recipe_needs_nothing_of_the_caller(void **state)
{
    char path[] = "/tmp/ldm_api_\xe9_XXXXXX", spacing[] = "trailing", cond[] = "zeros";
    int fd = mkstemp(path);
    plain_options opt = small_options();
    plain_job job = short_job(1);
    ldm_error err = {.msg = ""};
    char target[PATH_MAX], *recipe;
    ldm_result res;
    ldm_model *m;
    ldm_run *run;
    json_t *o;
    bool have;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_non_null(realpath(SMALL_CKPT, target));
    assert_int_equal(symlink(target, path), 0);
    opt.ckpt = path;
    job.timesteps = spacing;
    job.cond = cond;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_OK);
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    memset(spacing, 'x', sizeof spacing - 1);
    memset(cond, 'x', sizeof cond - 1);
    assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
    if (ldm_run_recipe(run, res.index, &recipe, &err))
        fail_msg("%s", err.msg);
    o = json_loads(recipe, 0, NULL);
    assert_non_null(o);
    assert_memory_equal(text_of(json_object_get(o, "checkpoint"), "name"), "ldm_api_?_", 10);
    assert_string_equal(text_of(o, "timesteps"), "trailing");
    assert_string_equal(text_of(o, "cond"), "none"); /* the network takes none */
    json_decref(o);
    ldm_release(recipe);
    ldm_run_free(run);
    ldm_model_close(m);
    unlink(path);
}

static void a_large_seed_stays_exact(void **state)
{
    ldm_model *m = open_small();
    plain_job job = short_job(1);
    ldm_error err = {.msg = ""};
    char *recipe;
    ldm_result res;
    ldm_run *run;
    json_t *o;
    bool have;

    (void)state;
    job.seed = UINT64_MAX;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
    assert_int_equal(ldm_run_recipe(run, res.index, &recipe, &err), LDM_OK);
    o = json_loads(recipe, 0, NULL);
    assert_string_equal(text_of(o, "seed"), "18446744073709551615");
    json_decref(o);
    ldm_release(recipe);
    ldm_run_free(run);
    ldm_model_close(m);
}

/* A recipe's configuration text and numbers make the same picture. */
static void a_recipe_repeats_its_picture(void **state)
{
    ldm_model *m = open_small(), *again;
    plain_options opt = small_options();
    plain_job job = short_job(1);
    ldm_error err = {.msg = ""};
    char *recipe;
    ldm_result res;
    ldm_run *run;
    output a = run_all(m, &job), b;
    json_t *o;
    bool have;

    (void)state;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
    assert_int_equal(ldm_run_recipe(run, res.index, &recipe, &err), LDM_OK);
    o = json_loads(recipe, 0, NULL);
    opt.config_count = 0;
    opt.config_text = text_of(o, "config");
    assert_int_equal(plain_model_open(&opt, &again, &err), LDM_OK);
    b = run_all(again, &job);
    expect_same("the recipe's configuration", &a, &b);
    json_decref(o);
    ldm_release(recipe);
    ldm_run_free(run);
    ldm_model_close(again);
    ldm_model_close(m);
    free(a.data);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_batches_change_nothing),
        cmocka_unit_test(a_picture_is_its_seed),
        cmocka_unit_test(the_start_noise_is_what_the_seed_draws),
        cmocka_unit_test(a_second_run_repeats_the_first),
        cmocka_unit_test(progress_counts_every_step),
        cmocka_unit_test(a_callback_cancels),
        cmocka_unit_test(a_cancelled_run_goes_on),
        cmocka_unit_test(wrong_numbers_are_named),
        cmocka_unit_test(wrong_arrays_are_named),
        cmocka_unit_test(wrong_evaluations_are_named),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(a_mismatch_is_told),
        cmocka_unit_test(memory_limits_refuse),
        cmocka_unit_test(notes_tell_what_the_run_does),
        cmocka_unit_test(a_png_carries_the_recipe),
        cmocka_unit_test(a_recipe_needs_nothing_of_the_caller),
        cmocka_unit_test(a_large_seed_stays_exact),
        cmocka_unit_test(a_recipe_repeats_its_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
