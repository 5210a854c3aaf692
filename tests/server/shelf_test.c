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

static char dir[] = "/tmp/ldm models test.XXXXXX"; /* a blank: folders of people have them */

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
    assert_non_null(mkdtemp(dir));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_name_no_folder),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
