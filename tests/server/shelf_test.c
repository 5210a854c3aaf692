/* SPDX-License-Identifier: MIT */
/* Folders of models, some of which cannot be used: the server starts with those that can, says what
 * is wrong with the others, and names no folder to anybody. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

#define MODELS "tests/data/models/"

static char dir[64];

static void make_dir(void)
{
    strcpy(dir, "/tmp/ldm models test.XXXXXX"); /* a blank: folders of people have them */
    assert_non_null(mkdtemp(dir));
}

/* The first `share` hundredths of a file as dir/name. */
static void put(const char *from, const char *name, int share)
{
    char path[200];
    size_t size;
    char *data = file_bytes(from, &size);
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size * (size_t)share / 100, f), size * (size_t)share / 100);
    assert_int_equal(fclose(f), 0);
    free(data);
}

static void clear(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* ---- no folder in answers -------------------------------------------------------------------- */

static void assert_no_folder(const server *s, const char *method, const char *path,
                             const char *body)
{
    reply r = ask(s, method, path, "", body);

    if (strstr(r.all, "models test") || strstr(r.all, "/tmp/") || strstr(r.all, s->out) ||
        strstr(r.all, "tests/data"))
        fail_msg("%s %s: %s", path, body ? body : "", r.all);
    reply_free(&r);
}

/* Every kind of failure: of a model, of its vocabulary, of a job, of a picture that was sent. */
static void answers_name_no_folder(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } requests[] = {
        {"POST", "/sdapi/v1/txt2img", "{\"prompt\":\"a cat\",\"steps\":1}"},
        {"POST", "/v1/images/generations", "{\"prompt\":\"a cat\",\"steps\":1}"},
        {"POST", "/v1/images/generations", "{\"prompt\":\"a cat\",\"model\":\"cut\"}"},
        {"POST", "/api/v1/jobs", "{\"model\":\"cut\"}"},
        {"POST", "/api/v1/jobs", "{\"model\":\"alone\"}"},
        {"POST", "/api/v1/jobs", "{\"model\":\"other\"}"},
        {"POST", "/api/v1/jobs", "{\"model\":\"broken\"}"},
        {"POST", "/sdapi/v1/options", "{\"sd_model_checkpoint\":\"cut\"}"},
        {"POST", "/sdapi/v1/png-info", "{\"image\":\"QUJD\"}"},
        {"POST", "/api/v1/jobs", "{\"settings\":{\"prompt\":\"a cat\"},\"init\":\"QUJD\"}"},
        {"GET", "/api/v1/models", NULL},
        {"GET", "/api/v1/model", NULL},
        {"GET", "/api/v1/settings", NULL},
        {"GET", "/api/v1/check", NULL},
        {"GET", "/api/v1/check?model=cut", NULL},
        {"GET", "/api/v1/check?model=alone", NULL},
        {"GET", "/api/v1/check?model=other", NULL},
        {"GET", "/api/v1/check?model=broken", NULL},
        {"GET", "/sdapi/v1/sd-models", NULL},
        {"GET", "/sdapi/v1/options", NULL},
        {"GET", "/v1/models", NULL},
        {"GET", "/", NULL},
        {"GET", "/health", NULL},
        {"GET", "/api/v1/nothing", NULL},
        {"GET", "/api/v1/jobs", NULL},
    };
    char ckpt[200], vocab[200], id[33];
    const char *options[] = {"--ckpt", ckpt, "--models", dir, "--vocab", vocab, NULL};
    server s;

    (void)state;
    make_dir();
    put(MODELS "bert.ckpt", "text.ckpt", 100);
    put(MODELS "bert.yaml", "text.yaml", 100);
    put(MODELS "clip.ckpt", "cut.ckpt", 40);
    put(MODELS "clip.yaml", "cut.yaml", 100);
    put(MODELS "clip.ckpt", "alone.ckpt", 100);
    put(MODELS "clip.ckpt", "other.ckpt", 100);
    put(MODELS "class.yaml", "other.yaml", 100);
    put(MODELS "clip.ckpt", "broken.ckpt", 100);
    put(MODELS "clip.yaml", "broken.yaml", 60);
    put(MODELS "../tokenize/vocab.txt", "vocab.txt", 100);
    snprintf(ckpt, sizeof ckpt, "%s/text.ckpt", dir);
    snprintf(vocab, sizeof vocab, "%s/vocab.txt", dir);
    {
        char words[200];
        FILE *f;

        snprintf(words, sizeof words, "%s/vocab.txt", dir); /* more words than the model's table */
        f = fopen(words, "ab");
        assert_non_null(f);
        for (int i = 0; i < 60000; i++)
            fprintf(f, "word%d\n", i);
        fclose(f);
    }
    s = server_start(NULL, options);
    submit(&s, "{\"settings\":{\"prompt\":\"a cat\"}}", id);
    assert_string_equal(wait_over(&s, id, 30), "failed");
    {
        char path[80];
        reply r;

        snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
        r = ask(&s, "GET", path, "", NULL);
        if (!strstr(r.body, "vocab.txt has "))
            fail_msg("%s", r.all); /* the file's name stays */
        reply_free(&r);
    }
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        assert_no_folder(&s, requests[i].method, requests[i].path, requests[i].body);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
    clear();
}

/* ---- which models there are ------------------------------------------------------------------ */

/* The listed model of that name; fails the test where there is none. */
static const json_t *listed(const reply *models, const char *name)
{
    const json_t *m;
    size_t i;

    json_array_foreach(models->json, i, m)
    {
        if (!strcmp(json_string_value(json_object_get(m, "name")), name))
            return m;
    }
    fail_msg("%s is not in %s", name, models->body);
    return NULL;
}

static void assert_unfit(const reply *models, const char *name, const char *why)
{
    const json_t *m = listed(models, name);

    if (!json_is_false(json_object_get(m, "fits")) ||
        !strstr(json_string_value(json_object_get(m, "verdict")), why))
        fail_msg("%s: %s", name, models->body);
}

/* The list, as soon as all are judged. */
static reply judged(const server *s)
{
    for (double begin = now();; sleep_ms(50)) {
        reply r = ask(s, "GET", "/api/v1/models", "", NULL);

        if (!strstr(r.body, "\"fits\":null"))
            return r;
        reply_free(&r);
        assert_true(now() - begin < 30);
    }
}

/* The first by name are cut off, of another YAML, without one, a first stage alone: the server
 * starts with the first that makes pictures, and says of each of the others what is wrong. */
static void bad_files_are_passed_over(void **state)
{
    const char *const options[] = {"--models", dir, NULL}, *const given[] = {"--ckpt", dir, NULL};
    reply r, models;
    server s;

    (void)state;
    make_dir();
    put(MODELS "clip.ckpt", "a_cut.ckpt", 40);
    put(MODELS "clip.yaml", "a_cut.yaml", 100);
    put(MODELS "clip.ckpt", "b_cut.ckpt", 40); /* the damage comes before the missing YAML */
    put(MODELS "class.ckpt", "c_other.ckpt", 100);
    put(MODELS "clip.yaml", "c_other.yaml", 100);
    put(MODELS "kl.ckpt", "d_stage.ckpt", 100);
    put(MODELS "kl.yaml", "d_stage.yaml", 100);
    put("tests/data/tiny/model.ckpt", "good.ckpt", 100);
    put("tests/data/tiny/config.yaml", "good.yaml", 100);
    put(MODELS "clip.ckpt", "z_cut.ckpt", 40);
    for (int i = 0; i < 2; i++) {
        s = server_start(NULL, i ? given : options);
        models = judged(&s);
        assert_int_equal(json_array_size(models.json), 6);
        assert_true(json_is_true(json_object_get(listed(&models, "good"), "current")));
        assert_unfit(&models, "a_cut", "cut off");
        assert_unfit(&models, "b_cut", "cut off");
        assert_unfit(&models, "c_other", "does not fit the configuration");
        assert_unfit(&models, "d_stage", "a first stage alone");
        assert_unfit(&models, "z_cut", "cut off");
        reply_free(&models);
        r = ask(&s, "POST", "/sdapi/v1/txt2img", "", "{\"steps\":1}");
        assert_int_equal(r.status, 200);
        reply_free(&r);
        r = ask(&s, "POST", "/api/v1/jobs", "", "{\"model\":\"d_stage\"}");
        if (r.status != 422 || !strstr(r.body, "a first stage alone"))
            fail_msg("%s", r.all);
        reply_free(&r);
        r = ask(&s, "GET", "/sdapi/v1/sd-models", "", NULL); /* its clients choose of those alone */
        assert_int_equal(json_array_size(r.json), 1);
        reply_free(&r);
        r = ask(&s, "GET", "/v1/models", "", NULL);
        assert_int_equal(json_array_size(json_object_get(r.json, "data")), 1);
        reply_free(&r);
        assert_int_equal(server_stop(&s, SIGTERM), 0);
        server_clean(&s);
    }
    clear();
}

/* A file is listed once, and of two with one stem the list says which is which. */
static void files_are_told_apart(void **state)
{
    char ckpt[200];
    const char *const options[] = {"--ckpt", ckpt, "--models", dir, NULL};
    reply models;
    server s;

    (void)state;
    make_dir();
    put("tests/data/tiny/model.ckpt", "good.ckpt", 100);
    put("tests/data/tiny/model.ckpt", "good.pt", 100);
    put("tests/data/tiny/config.yaml", "good.yaml", 100);
    snprintf(ckpt, sizeof ckpt, "%s/./good.ckpt", dir);
    s = server_start(NULL, options);
    models = judged(&s);
    assert_int_equal(json_array_size(models.json), 2);
    assert_string_equal(json_string_value(json_object_get(listed(&models, "good"), "file")),
                        "good.ckpt");
    assert_string_equal(json_string_value(json_object_get(listed(&models, "good.pt"), "file")),
                        "good.pt");
    reply_free(&models);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_name_no_folder),
        cmocka_unit_test(bad_files_are_passed_over),
        cmocka_unit_test(files_are_told_apart),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
