/* SPDX-License-Identifier: MIT */
/* What goes wrong outside the caller's power: NaN in weights and in single pictures, and every
 * allocation failing in turn (ldm's own and jansson's; libfyaml's are not ours to fail). */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "../support/made.h"
#include "support.h"

enum { FILE_LIMIT = 1 << 24 };

/* ---- NaN ------------------------------------------------------------------------------------- */

/* A copy of the small checkpoint in which the first element of one float16 tensor is NaN. */
static void write_with_nan(const char *path, const char *tensor)
{
    static const unsigned char nan_f16[2] = {0x00, 0x7e};
    ldm_error err = {.msg = ""};
    const ldm_tensor_info *t;
    ldm_ckpt *ck;
    char *file;
    size_t size, bytes, i;

    assert_int_equal(ldm_ckpt_open(SMALL_CKPT, NULL, &ck, &err), LDM_OK);
    t = ldm_ckpt_find(ck, tensor);
    if (!t || t->dtype != LDM_DTYPE_F16 || !ldm_ckpt_data(ck, t))
        fail_msg("%s is no mapped float16 tensor", tensor);
    bytes = 2 * (size_t)t->numel;
    assert_int_equal(ldm_file_read(SMALL_CKPT, FILE_LIMIT, &file, &size, &err), LDM_OK);
    for (i = 0; i + bytes <= size && memcmp(file + i, ldm_ckpt_data(ck, t), bytes); i++)
        ;
    assert_true(i + bytes <= size);
    memcpy(file + i, nan_f16, sizeof nan_f16);
    assert_int_equal(ldm_file_write(path, file, size, &err), LDM_OK);
    ldm_free(file);
    ldm_ckpt_close(ck);
}

static void a_nan_weight_fails_every_picture(void **state)
{
    static const char *const tensors[] = {
        "model_ema.diffusion_modelout2weight", /* of the UNet */
        "first_stage_model.decoder.conv_out.weight",
    };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        char path[] = "/tmp/ldm_nan_XXXXXX";
        int fd = mkstemp(path), k;
        plain_options opt = small_options();
        plain_job job = short_job(3);
        ldm_error err = {.msg = ""};
        ldm_result res;
        ldm_model *m;
        ldm_run *run;
        bool have;

        assert_true(fd >= 0);
        close(fd);
        write_with_nan(path, tensors[i]);
        opt.ckpt = path;
        job.batch = 2;
        if (plain_model_open(&opt, &m, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
        for (k = 0; k < 3; k++) {
            err.msg[0] = '\0';
            assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
            assert_true(have && res.index == k);
            assert_int_equal(res.status, LDM_ERR_NUMERIC);
            assert_true(!res.latent && !res.image && !res.pixels);
            /* The step and the block; the decoder has no steps. */
            assert_true(i || strstr(err.msg, "step 1 of "));
            assert_non_null(
                strstr(err.msg, i ? "decoded picture has NaN" : "eps is not finite at timestep "));
            assert_non_null(strstr(err.msg, i ? "they first appear in decoder."
                                              : "NaN or infinity first appears in "
                                                "out.2 (conv)"));
        }
        assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
        assert_false(have);
        ldm_run_free(run);
        ldm_model_close(m);
        unlink(path);
    }
}

/* One picture of a batch overflows: it fails, and the others are what they are without it. */
static void an_overflow_fails_its_picture_only(void **state)
{
    static float noise[3][192];
    ldm_array x = {.ndim = 4, .shape = {3, 3, 8, 8}, .numel = 576, .data = noise[0]};
    ldm_model *m = open_small();
    plain_job job = short_job(3);
    ldm_error err = {.msg = ""};
    ldm_result res;
    ldm_run *run;
    output want;
    bool have;
    int i, k;

    (void)state;
    for (i = 0; i < 3; i++) {
        for (k = 0; k < 192; k++)
            noise[i][k] = (float)cos(i + 3.0 * k);
    }
    job.eta = 0;
    job.x_t = &x;
    want = run_all(m, &job);
    for (k = 0; k < 192; k++)
        noise[1][k] = 3e38f;
    assert_int_equal(plain_run_create(m, &job, &run, &err), LDM_OK);
    for (i = 0; i < 3; i++) {
        assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
        assert_true(have && res.index == i);
        if (i == 1) {
            assert_int_equal(res.status, LDM_ERR_NUMERIC);
            assert_null(res.latent);
            assert_true(err.msg[0]);
            continue;
        }
        assert_int_equal(res.status, LDM_OK);
        assert_memory_equal(res.latent, want.data + (size_t)i * want.per_picture,
                            192 * sizeof *want.data);
    }
    free(want.data);
    ldm_run_free(run);
    ldm_model_close(m);
}

/* ---- allocations ----------------------------------------------------------------------------- */

typedef ldm_status scenario(ldm_error *err);

static ldm_status open_and_close(ldm_error *err)
{
    plain_options opt = small_options();
    ldm_model *m;
    ldm_status st = plain_model_open(&opt, &m, err);

    assert_int_equal(st == LDM_OK, m != NULL);
    ldm_model_close(m);
    return st;
}

static ldm_status check(ldm_error *err, bool json)
{
    plain_options opt = small_options();
    const unsigned how = LDM_REPORT_ALL | LDM_REPORT_VALUES | (json ? LDM_REPORT_JSON : 0);
    char *text;
    bool fits;
    ldm_status st = plain_check(&opt, how, &text, &fits, err);

    assert_int_equal(st == LDM_OK, text != NULL);
    ldm_release(text);
    return st;
}

static ldm_status check_text(ldm_error *err)
{
    return check(err, false);
}

static ldm_status check_json(ldm_error *err)
{
    return check(err, true);
}

static ldm_status inspect(ldm_error *err)
{
    char *text;
    ldm_status st = ldm_inspect(SMALL_CKPT, LDM_REPORT_JSON | LDM_REPORT_KEYS, &text, err);

    ldm_release(text);
    if (st)
        return st;
    st = ldm_inspect(SMALL_CONFIG, LDM_REPORT_JSON | LDM_REPORT_KEYS | LDM_REPORT_SHAPES, &text,
                     err);
    assert_int_equal(st == LDM_OK, text != NULL);
    ldm_release(text);
    return st;
}

static const ldm_model *shared_model; /* opened before allocations fail */

static ldm_status generate(ldm_error *err)
{
    plain_job job = short_job(2);
    char *recipe = NULL;
    ldm_result res;
    ldm_run *run;
    bool have = true;
    ldm_status st;

    job.steps = 2;
    job.batch = 1;
    job.quantize_x0 = true;
    st = plain_run_create(shared_model, &job, &run, err);
    assert_int_equal(st == LDM_OK, run != NULL);
    while (!st && have) {
        st = plain_run_next(run, &res, &have, err);
        if (!st && have)
            st = ldm_run_recipe(run, res.index, &recipe, err);
        ldm_release(recipe);
        recipe = NULL;
    }
    ldm_run_free(run);
    return st;
}

static ldm_status evaluate(ldm_error *err)
{
    static float zeros[192];
    ldm_array in = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192, .data = zeros}, out;
    ldm_status st = LDM_OK;
    int part;

    for (part = LDM_PART_UNET; !st && part <= LDM_PART_INDICES; part++) {
        plain_eval job = {.part = (ldm_part)part, .in = &in, .quantize = true, .threads = 1};

        st = plain_eval_run(shared_model, &job, &out, err);
        assert_int_equal(st == LDM_OK, out.data != NULL);
        ldm_array_free(&out);
    }
    return st;
}

static int on_progress(void *ctx, const ldm_progress *p)
{
    *(int *)ctx += p->preview != NULL;
    return 0;
}

static uint8_t begun[21 * 30 * 4];

/* Image-to-image with a mask, a variation and previews: two pictures of an odd size. */
static ldm_status paint(ldm_error *err)
{
    const ldm_image init = {21, 30, 4, begun};
    ldm_job *job = NULL;
    ldm_run *run = NULL;
    const ldm_result *res;
    char *recipe = NULL;
    int previews = 0;
    ldm_status st = ldm_job_create(NULL, &job, err);

    if (!st)
        st = ldm_job_set_int(job, "steps", 2, err);
    if (!st)
        st = ldm_job_set_real(job, "strength", 0.5, err);
    if (!st)
        st = ldm_job_set(job, "pad", "1,0,2,0", err);
    if (!st)
        st = ldm_job_set_real(job, "vary_strength", 0.5, err);
    if (!st)
        st = ldm_job_set_int(job, "preview", 1, err);
    if (!st)
        st = ldm_job_set_images(job, "init", &init, 1, err);
    if (!st) {
        ldm_job_set_progress(job, on_progress, &previews);
        st = ldm_run_create(shared_model, job, &run, err);
    }
    if (!st)
        st = ldm_run_next(run, &res, err);
    if (!st && res->status)
        st = res->status;
    if (!st)
        st = ldm_run_recipe(run, 0, &recipe, err);
    if (!st)
        assert_int_equal(previews, 1);
    ldm_release(recipe);
    ldm_run_free(run);
    ldm_job_free(job);
    return st;
}

/* There and back again, two ways. */
static ldm_status invert(ldm_error *err)
{
    const ldm_image init = {21, 30, 3, begun};
    ldm_job *job = NULL;
    ldm_array noise = {0}, errors = {0};
    ldm_image out = {0};
    ldm_status st = ldm_job_create(NULL, &job, err);

    if (!st)
        st = ldm_job_set_int(job, "steps", 2, err);
    if (!st)
        st = ldm_job_set_images(job, "init", &init, 1, err);
    if (!st)
        st = ldm_invert(shared_model, job, &noise, &errors, err);
    assert_int_equal(st == LDM_OK, noise.data && errors.data);
    if (!st)
        st = ldm_reconstruct(shared_model, NULL, &init, &out, NULL, 0, err);
    ldm_array_free(&noise);
    ldm_array_free(&errors);
    ldm_release(out.pixels);
    ldm_job_free(job);
    return st;
}

/* A picture that is transparent everywhere, in tiles, with a posterior and a class. */
static ldm_status condition(ldm_error *err)
{
    const ldm_image image = {21, 13, 4, begun};
    ldm_job *job = NULL;
    ldm_run *run = NULL;
    const ldm_result *res;
    char *recipe = NULL;
    ldm_status st = ldm_job_create(NULL, &job, err);

    if (!st)
        st = ldm_job_set_int(job, "steps", 2, err);
    if (!st)
        st = ldm_job_set_int(job, "tile", 4, err);
    if (!st)
        st = ldm_job_set(job, "class", "2", err);
    if (!st)
        st = ldm_job_set_images(job, "image", &image, 1, err);
    if (!st)
        st = ldm_run_create(shared_model, job, &run, err);
    if (!st)
        st = ldm_run_next(run, &res, err);
    if (!st && res->status)
        st = res->status;
    if (!st)
        st = ldm_run_recipe(run, 0, &recipe, err);
    ldm_release(recipe);
    ldm_run_free(run);
    ldm_job_free(job);
    return st;
}

/* Sanitizers are slow: with them a third of the first allocations fails. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { EVERY = 3 };
#else
enum { EVERY = 1 };
#endif

/* Every allocation fails once in the first `dense`, then every stride-th: what comes later is the
 * same loop over more tensors. */
static void fail_each(const char *name, scenario *run, unsigned long dense, unsigned long stride)
{
    const bool json = strstr(name, "json") != NULL;
    ldm_error err;
    unsigned long calls, n, tried = 0;
    ldm_status st;

    /* The first call packs weights that the second finds. */
    if (run(&err))
        fail_msg("%s: %s", name, err.msg);
    ldm_alloc_fail_at(0);
    if (run(&err))
        fail_msg("%s: %s", name, err.msg);
    calls = ldm_alloc_fail_at(0);
    assert_true(calls > 10);
    for (n = 1; n <= calls; n += n < dense ? EVERY : stride, tried++) {
        err = (ldm_error){.msg = ""};
        ldm_alloc_fail_at(n);
        st = run(&err);
        ldm_alloc_fail_at(0);
        if (st && (st != LDM_ERR_NOMEM || err.code != st || !err.msg[0]))
            fail_msg("%s: allocation %lu of %lu failed: %s (%s)", name, n, calls,
                     ldm_status_name(st), err.msg);
        /* A JSON text that cannot be made is made again with its odd bytes replaced. */
        if (!st && !json)
            fail_msg("%s: allocation %lu of %lu failed and nobody noticed", name, n, calls);
    }
    print_message("%s: %lu of %lu allocations failed one by one\n", name, tried, calls);
}

static void opening(void **state)
{
    (void)state;
    fail_each("open", open_and_close, 400, 37);
}

static void checking(void **state)
{
    (void)state;
    fail_each("check", check_text, 50, 23);
    fail_each("check --json", check_json, 50, 101);
}

static void inspecting(void **state)
{
    (void)state;
    fail_each("inspect --json", inspect, 50, 101);
}

static void generating(void **state)
{
    ldm_model *m = open_small();
    const char *hex;

    (void)state;
    /* The hash is computed on a thread of its own; known before, it allocates nothing below. */
    assert_int_equal(ldm_model_hash(m, &hex, NULL), LDM_OK);
    shared_model = m;
    fail_each("generate", generate, 5000, 1);
    fail_each("eval", evaluate, 5000, 1);
    fail_each("paint", paint, 5000, 1);
    fail_each("invert", invert, 5000, 1);
    ldm_model_close(m);
}

static ldm_model *open_made(const char *kind)
{
    char config[64], path[] = "/tmp/ldm_faults_XXXXXX.safetensors";
    const char *configs[] = {config}, *hex;
    plain_options opt;
    ldm_error err = {.msg = ""};
    ldm_model *m;

    close(mkstemps(path, 12));
    snprintf(config, sizeof config, "tests/data/conditioned/%s.yaml", kind);
    assert_int_equal(made_checkpoint(config, 3, path), 0);
    plain_options_init(&opt);
    opt.ckpt = path;
    opt.configs = configs;
    opt.config_count = 1;
    opt.threads = 1;
    if (plain_model_open(&opt, &m, &err) || ldm_model_hash(m, &hex, &err))
        fail_msg("%s", err.msg);
    unlink(path);
    return m;
}

static void conditioning(void **state)
{
    (void)state;
    shared_model = open_made("inpaint_hybrid");
    fail_each("image", condition, 400, 7);
    ldm_model_close((ldm_model *)(uintptr_t)shared_model);
}

/* Parts that a failed allocation kept from being packed are packed by the next call. */
static void a_part_is_packed_at_the_second_try(void **state)
{
    ldm_model *m = open_small();
    static float zeros[192];
    ldm_array in = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192, .data = zeros}, out;
    plain_eval job = {.part = LDM_PART_DECODE, .in = &in, .threads = 1};
    unsigned long n = 0;
    ldm_status st;

    (void)state;
    do {
        ldm_alloc_fail_at(++n);
        st = plain_eval_run(m, &job, &out, NULL);
        ldm_alloc_fail_at(0);
        assert_true(st == LDM_OK || st == LDM_ERR_NOMEM);
    } while (st);
    assert_true(n > 20);
    assert_int_equal(out.numel, 192);
    ldm_array_free(&out);
    ldm_model_close(m);
}

/* After the file was written to: a part that is packed then, or whose weights lie in it, is
 * refused, and not only the first time; so are the pictures of a run that has begun. */
static void a_changed_file_is_refused(void **state)
{
    static const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
    static const ldm_part parts[] = {LDM_PART_DECODE, LDM_PART_UNET};
    static float zeros[192];
    char path[] = "/tmp/ldm_changed_XXXXXX";
    int fd = mkstemp(path), i;
    ldm_array in = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192, .data = zeros}, out;
    plain_eval job = {.part = LDM_PART_UNET, .in = &in, .t = 500, .threads = 1};
    plain_options opt = small_options();
    plain_job pictures = short_job(3);
    ldm_error err = {.msg = ""};
    ldm_result res;
    ldm_run *run;
    ldm_model *m;
    char *file;
    size_t size;
    bool have;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ldm_file_read(SMALL_CKPT, FILE_LIMIT, &file, &size, &err), LDM_OK);
    assert_int_equal(ldm_file_write(path, file, size, &err), LDM_OK);
    ldm_free(file);
    opt.ckpt = path;
    assert_int_equal(plain_model_open(&opt, &m, &err), LDM_OK);
    assert_int_equal(plain_eval_run(m, &job, &out, &err), LDM_OK);
    ldm_array_free(&out);
    pictures.batch = 1;
    assert_int_equal(plain_run_create(m, &pictures, &run, &err), LDM_OK);
    assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_OK);
    assert_true(have && res.status == LDM_OK);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    for (i = 0; i < 4; i++) {
        job.part = parts[i % 2];
        err.msg[0] = '\0';
        assert_int_equal(plain_eval_run(m, &job, &out, &err), LDM_ERR_IO);
        assert_non_null(strstr(err.msg, "was changed"));
        err.msg[0] = '\0';
        assert_int_equal(plain_run_next(run, &res, &have, &err), LDM_ERR_IO);
        assert_non_null(strstr(err.msg, "was changed"));
        assert_null(res.latent);
    }
    ldm_run_free(run);
    ldm_model_close(m);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nan_weight_fails_every_picture),
        cmocka_unit_test(an_overflow_fails_its_picture_only),
        cmocka_unit_test(opening),
        cmocka_unit_test(checking),
        cmocka_unit_test(inspecting),
        cmocka_unit_test(generating),
        cmocka_unit_test(conditioning),
        cmocka_unit_test(a_part_is_packed_at_the_second_try),
        cmocka_unit_test(a_changed_file_is_refused),
    };

    json_set_alloc_funcs(ldm_malloc, ldm_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
