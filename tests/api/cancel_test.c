/* SPDX-License-Identifier: MIT */
/* Tests of runs that are cancelled within a step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

enum { SMALL_LATENT = 3 * 8 * 8 };

typedef struct asked {
    int calls, stop_at;
} asked;

static bool stop_at_call(void *ctx)
{
    asked *a = ctx;

    return ++a->calls == a->stop_at;
}

/* Asked between all operations: a step ends within itself, and its picture is made all the same. */
static void a_step_is_cancelled(void **state)
{
    static const int stops[] = {1, 20, 100, 250, 10000};
    ldm_model *m = open_small();
    float first[SMALL_LATENT];

    (void)state;
    for (size_t k = 0; k <= sizeof stops / sizeof *stops; k++) {
        asked a = {.stop_at = k ? stops[k - 1] : 0};
        int cancelled = 0;
        const ldm_result *res = NULL;
        ldm_error err = {.msg = ""};
        ldm_status st;
        ldm_job *job;
        ldm_run *run;

        assert_int_equal(ldm_job_create(NULL, &job, NULL), LDM_OK);
        assert_int_equal(ldm_job_set_int(job, "steps", 3, NULL), LDM_OK);
        ldm_job_set_cancel(job, stop_at_call, &a);
        assert_int_equal(ldm_run_create(m, job, &run, &err), LDM_OK);
        while ((st = ldm_run_next(run, &res, &err)) == LDM_ERR_CANCELLED) {
            assert_non_null(strstr(err.msg, "stopped w"));
            assert_int_equal(a.calls, a.stop_at); /* and not one operation more */
            cancelled++;
        }
        assert_int_equal(st, LDM_OK);
        assert_int_equal(cancelled, k && a.stop_at < a.calls);
        if (!k)
            memcpy(first, res->latent, sizeof first);
        assert_memory_equal(res->latent, first, sizeof first);
        ldm_run_free(run);
        ldm_job_free(job);
    }
    ldm_model_close(m);
}

/* Of one evaluation of the user's own, in its second sample, too. */
static void an_evaluation_is_cancelled(void **state)
{
    static const int stops[] = {1, 20, 0, 0};
    float x[2 * SMALL_LATENT] = {0};
    const ldm_array in = {.data = x, .ndim = 4, .shape = {2, 3, 8, 8}, .numel = 2 * SMALL_LATENT};
    ldm_model *m = open_small();
    int calls = 0;

    (void)state;
    for (size_t k = 0; k < sizeof stops / sizeof *stops; k++) {
        const bool all = k == 2, late = k == 3; /* the last operation of all */
        asked a = {.stop_at = late ? calls : stops[k]};
        ldm_array out = {0};
        ldm_error err = {.msg = ""};
        ldm_eval_job *job;

        assert_int_equal(ldm_eval_job_create(LDM_PART_UNET, &job, NULL), LDM_OK);
        assert_int_equal(ldm_eval_job_set_real(job, "t", 10, NULL), LDM_OK);
        assert_int_equal(ldm_eval_job_set_array(job, "in", &in, NULL), LDM_OK);
        ldm_eval_job_set_cancel(job, stop_at_call, &a);
        assert_int_equal(ldm_eval(m, job, &out, &err), all ? LDM_OK : LDM_ERR_CANCELLED);
        assert_true(all || strstr(err.msg, "stopped within an evaluation"));
        assert_true(all ? out.data != NULL : out.data == NULL);
        assert_true(all || a.calls == a.stop_at);
        calls = a.calls;
        ldm_array_free(&out);
        ldm_eval_job_free(job);
    }
    ldm_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_step_is_cancelled),
                                       cmocka_unit_test(an_evaluation_is_cancelled)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
