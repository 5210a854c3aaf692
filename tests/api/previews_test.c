/* SPDX-License-Identifier: MIT */
/* Pictures so far: with a first stage that changes nothing the linear map must find exactly that,
 * and a preview never changes the pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support.h"

enum { SIDE = 16, PIXELS = SIDE * SIDE * 3, PICTURES = 2 };

typedef struct seen {
    int previews, steps;
    uint8_t last[PICTURES * PIXELS]; /* of the last one */
} seen;

static int on_progress(void *ctx, const ldm_progress *p)
{
    seen *s = ctx;

    s->steps += !strcmp(p->stage, "sampling") && p->step > 0;
    if (!p->preview)
        return 0;
    assert_int_equal(p->preview_count, PICTURES);
    assert_int_equal(p->preview_width, SIDE);
    assert_int_equal(p->preview_height, SIDE);
    memcpy(s->last, p->preview, sizeof s->last);
    s->previews++;
    return 0;
}

static ldm_model *open_identity(void)
{
    static const char yaml[] =
        "model: {params: {first_stage_config: {\n"
        "  target: ldm.models.autoencoder.IdentityFirstStage,\n"
        "  params: {lossconfig: {target: torch.nn.Identity}}}}}\n"
        "ldm: {load: {rename: {\"^first_stage_model.\": \"unused.\"}, missing: init}}\n";
    char path[] = "/tmp/ldm_identity_XXXXXX";
    const char *configs[] = {TINY_CONFIG, path};
    const int fd = mkstemp(path);
    plain_options o;
    ldm_error err = {.msg = ""};
    ldm_model *m;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, sizeof yaml - 1), sizeof yaml - 1);
    assert_int_equal(close(fd), 0);
    plain_options_init(&o);
    o.ckpt = TINY_CKPT;
    o.configs = configs;
    o.config_count = 2;
    if (plain_model_open(&o, &m, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(unlink(path), 0);
    return m;
}

static void identity(void **state)
{
    ldm_model *m = open_identity();
    ldm_error err = {.msg = ""};
    const ldm_result *res;
    seen s = {0};
    ldm_job *job;
    ldm_run *run;
    int n, i;

    (void)state;
    assert_int_equal(ldm_job_create(NULL, &job, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_int(job, "steps", 5, NULL), LDM_OK);
    assert_int_equal(ldm_job_set(job, "timesteps", "leading", NULL), LDM_OK); /* ends at x0 */
    assert_int_equal(ldm_job_set_int(job, "count", PICTURES, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_int(job, "preview", 2, NULL), LDM_OK);
    ldm_job_set_progress(job, on_progress, &s);
    if (ldm_run_create(m, job, &run, &err))
        fail_msg("%s", err.msg);
    for (n = 0; n < PICTURES; n++) {
        if (ldm_run_next(run, &res, &err))
            fail_msg("%s", err.msg);
        assert_non_null(res);
        for (i = 0; i < PIXELS; i++)
            assert_true(abs(res->pixels[i] - s.last[n * PIXELS + i]) <= 1);
    }
    assert_int_equal(s.steps, 5);
    assert_int_equal(s.previews, 3); /* after 2, 4 and the last */
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_model_close(m);
}

static int keep_last(void *ctx, const ldm_progress *p)
{
    if (p->preview)
        memcpy(ctx, p->preview,
               (size_t)p->preview_width * (size_t)p->preview_height * 3 * sizeof *p->preview);
    return 0;
}

/* The last preview of a run of this height; how many allocations the run took. */
static unsigned long preview_of(const ldm_model *m, int height, uint8_t last[PIXELS])
{
    const int shape[3] = {3, height, SIDE};
    ldm_error err = {.msg = ""};
    const ldm_result *res;
    ldm_job *job;
    ldm_run *run;

    memset(last, 0, PIXELS);
    assert_int_equal(ldm_job_create(NULL, &job, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_int(job, "steps", 2, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_int(job, "threads", 1, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_int(job, "preview", 1, NULL), LDM_OK);
    assert_int_equal(ldm_job_set_shape(job, "shape", shape, NULL), LDM_OK);
    ldm_job_set_progress(job, keep_last, last);
    ldm_alloc_fail_at(0);
    if (ldm_run_create(m, job, &run, &err) || ldm_run_next(run, &res, &err))
        fail_msg("%s", err.msg);
    ldm_run_free(run);
    ldm_job_free(job);
    return ldm_alloc_fail_at(0);
}

/* The map is fitted once for each size, and is the same afterwards. */
static void the_model_keeps_the_map(void **state)
{
    static const int heights[] = {16, 16, 8, 16};
    ldm_model *m = open_tiny(NULL), *fresh;
    uint8_t kept[PIXELS], fitted[PIXELS];
    unsigned long calls;

    (void)state;
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
        fresh = open_tiny(NULL);
        preview_of(fresh, heights[i], fitted);
        preview_of(m, heights[i], kept);
        assert_memory_equal(kept, fitted, PIXELS);
        ldm_model_close(fresh);
    }
    calls = preview_of(m, 8, kept);
    assert_true(preview_of(m, 8, kept) < calls);
    ldm_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(identity),
                                       cmocka_unit_test(the_model_keeps_the_map)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
