/* SPDX-License-Identifier: MIT */
/* Several threads on one model, each with runs of its own. Built with -DLDM_SANITIZE=thread this
 * must be free of races, which is why it does little. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

enum { USERS = 8 };

typedef struct user {
    const ldm_model *model;
    plain_job job;
    const char *failed; /* what went wrong: cmocka's assertions are for the main thread */
    char hash[65];
    float latent[3 * 8 * 8], image[3 * 8 * 8];
} user;

static void *generate(void *arg)
{
    user *u = arg;
    ldm_error err = {.msg = ""};
    ldm_result res;
    const char *hex;
    ldm_run *run;
    bool have;

    if (plain_run_create(u->model, &u->job, &run, &err)) {
        u->failed = "ldm_run_create";
        return NULL;
    }
    if (plain_run_next(run, &res, &have, &err) || !have || res.status) {
        u->failed = "ldm_run_next";
    } else {
        memcpy(u->latent, res.latent, sizeof u->latent);
        memcpy(u->image, res.image, sizeof u->image);
    }
    if (!ldm_model_weight_bytes(u->model))
        u->failed = "ldm_model_weight_bytes";
    if (ldm_model_hash(u->model, &hex, &err))
        u->failed = "ldm_model_hash";
    else
        snprintf(u->hash, sizeof u->hash, "%s", hex);
    ldm_run_free(run);
    return NULL;
}

static void begin(user *u, const ldm_model *m, int number)
{
    memset(u, 0, sizeof *u);
    u->model = m;
    u->job = short_job(1);
    u->job.seed = (uint64_t)(number / 2); /* in pairs: the same seed on different thread counts */
    u->job.threads = 1 + number % 2;
}

static void eight_users_of_one_model(void **state)
{
    ldm_model *alone = open_small(), *m = open_small();
    static user users[USERS], one;
    pthread_t threads[USERS];
    int i;

    (void)state;
    for (i = 0; i < USERS; i++) {
        begin(&users[i], m, i);
        assert_int_equal(pthread_create(&threads[i], NULL, generate, &users[i]), 0);
    }
    for (i = 0; i < USERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (i = 0; i < USERS; i++) {
        if (users[i].failed)
            fail_msg("user %d: %s failed", i, users[i].failed);
        begin(&one, alone, i);
        one.job.threads = 1;
        generate(&one);
        assert_null(one.failed);
        assert_memory_equal(users[i].latent, one.latent, sizeof one.latent);
        assert_memory_equal(users[i].image, one.image, sizeof one.image);
        assert_string_equal(users[i].hash, one.hash);
    }
    ldm_model_close(m);
    ldm_model_close(alone);
}

/* Parts are packed at their first use, here by all threads at once. */
static void *evaluate(void *arg)
{
    user *u = arg;
    ldm_array in = {.ndim = 4, .shape = {1, 3, 8, 8}, .numel = 192, .data = u->latent}, out;
    int part;

    for (part = LDM_PART_UNET; part <= LDM_PART_INDICES; part++) {
        plain_eval job = {.part = (ldm_part)part, .in = &in, .t = 10, .threads = 1};

        if (plain_eval_run(u->model, &job, &out, NULL)) {
            u->failed = "ldm_eval";
            return NULL;
        }
        if (part == LDM_PART_DECODE)
            memcpy(u->image, out.data, sizeof u->image);
        ldm_array_free(&out);
    }
    return NULL;
}

static void parts_are_packed_once(void **state)
{
    ldm_model *m = open_small();
    static user users[USERS];
    pthread_t threads[USERS];
    int i;

    (void)state;
    for (i = 0; i < USERS; i++) {
        begin(&users[i], m, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate, &users[i]), 0);
    }
    for (i = 0; i < USERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (i = 0; i < USERS; i++) {
        if (users[i].failed)
            fail_msg("user %d: %s failed", i, users[i].failed);
        assert_memory_equal(users[i].image, users[0].image, sizeof users[0].image);
    }
    ldm_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_users_of_one_model),
        cmocka_unit_test(parts_are_packed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
