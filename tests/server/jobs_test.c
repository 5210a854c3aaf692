/* SPDX-License-Identifier: MIT */
/* Jobs over HTTP: states, pictures, events, restarts. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

static server shared; /* of the tests that leave it as it was */

static int start_shared(void **state)
{
    (void)state;
    shared = server_start(NULL, NULL);
    return 0;
}

static int stop_shared(void **state)
{
    (void)state;
    if (server_stop(&shared, SIGTERM))
        return -1;
    server_clean(&shared);
    return 0;
}

static void pictures_are_the_command_lines(void **state)
{
    char dir[] = "/tmp/ldm-server-cli.XXXXXX", command[400], path[64], id[33];

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command,
             "'%s' generate --ckpt tests/data/tiny/model.ckpt --config tests/data/tiny/config.yaml "
             "--sampler euler_a "
             "--eta 0.5 --steps 6 --seed 18446744073709551610 -n 2 --quiet -o '%s' >/dev/null",
             LDM_TEST_PROGRAM, dir);
    assert_int_equal(system(command), 0);
    submit(&shared,
           "{\"settings\":{\"sampler\":\"euler_a\",\"eta\":0.5,\"steps\":6,\"seed\":"
           "\"18446744073709551610\",\"count\":2}}",
           id);
    assert_string_equal(wait_over(&shared, id, 30), "done");
    for (int i = 0; i < 2; i++) {
        reply r = picture(&shared, id, i);
        size_t size;
        char *theirs;

        snprintf(path, sizeof path, "%s/%05d.png", dir, i);
        theirs = file_bytes(path, &size);
        assert_int_equal(size, r.body_size);
        assert_memory_equal(theirs, r.body, size);
        free(theirs);
        reply_free(&r);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void what_cannot_be_done_is_refused_with_its_field(void **state)
{
    static const struct {
        const char *body, *field;
    } wrong[] = {
        {"{\"settings\":{\"steps\":0}}", "steps"},
        {"{\"settings\":{\"steps\":\"many\"}}", "steps"},
        {"{\"settings\":{\"steps\":2.5}}", "steps"},
        {"{\"settings\":{\"steps\":{}}}", "steps"},
        {"{\"settings\":{\"stepz\":3}}", "stepz"},
        {"{\"prompt\":\"x\"}", "prompt"}, /* settings beside "settings" */
        {"{\"settings\":{},\"steps\":4}", "steps"},
        {"{\"width\":64}", "width"},
        {"{\"threads\":4}", "threads"},
        {"{\"stepz\":4}", "stepz"},
        {"{\"Settings\":{}}", "Settings"},
        {"{\"preview\":1}", "preview"},
        {"{\"settings\":{\"size\":\"64x64\"}}", "size"},
        {"{\"settings\":{\"threads\":4}}", "threads"},
        {"{\"settings\":{\"batch\":4}}", "batch"},
        {"{\"settings\":{\"max_memory\":\"9G\"}}", "max_memory"},
        {"{\"settings\":{\"count\":101}}", "count"},
        {"{\"settings\":{\"count\":-1}}", "count"},
        {"{\"settings\":{\"shape\":[3,60000,60000]}}", "shape"},
        {"{\"settings\":{\"shape\":[3,1,\"a\"]}}", "shape"},
        {"{\"settings\":{\"width\":8192,\"height\":8192}}", "width"},
        {"{\"settings\":{\"height\":100000}}", "height"},
        {"{\"settings\":{\"width\":65}}", "width"},
        {"{\"settings\":{\"width\":68}}", "width"},
        {"{\"settings\":{\"height\":\"64px\"}}", "height"},
        {"{\"settings\":{\"sampler\":\"magic\"}}", "sampler"},
        {"{\"settings\":{\"seed\":-2}}", "seed"},
        {"{\"settings\":[1]}", "settings"},
        {"{\"model\":\"other\"}", "model"},
        {"{\"model\":\"../model\"}", "model"},
        {"{\"model\":7}", "model"},
        {"{\"recipe\":\"x\"}", "recipe"},
        {"{\"recipe\":{\"steps\":\"x\"}}", "recipe"},
    };
    static const char *const broken[] = {"{",
                                         "[]",
                                         "7",
                                         "{\"settings\":{\"steps\":2,\"steps\":3}}",
                                         "{}x",
                                         "\xff",
                                         "{\"settings\":{\"a\":\"\\u0000\"}}"};
    char *deep = malloc(100001);

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        reply r = ask(&shared, "POST", "/api/v1/jobs", "", wrong[i].body);
        const char *field =
            json_string_value(json_object_get(json_object_get(r.json, "error"), "field"));

        if (r.status != 422 || !field || strcmp(field, wrong[i].field) != 0)
            fail_msg("%s: %s", wrong[i].body, r.all);
        reply_free(&r);
    }
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        reply r = ask(&shared, "POST", "/api/v1/jobs", "", broken[i]);

        if (r.status != 422)
            fail_msg("%s: %d", broken[i], r.status);
        reply_free(&r);
    }
    memset(deep, '[', 100000);
    deep[100000] = '\0';
    {
        reply r = ask(&shared, "POST", "/api/v1/jobs", "", deep);

        assert_int_equal(r.status, 422);
        reply_free(&r);
    }
    free(deep);
}

static int times(const char *text, const char *what)
{
    int n = 0;

    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

/* The server looks at a job five times a second: there are more pictures until it lasts long enough
 * for three looks. */
static void events_tell_what_happens(void **state)
{
    char body[96], id[33], path[96];
    reply r;

    (void)state;
    for (int n = 1;; n *= 2) {
        snprintf(body, sizeof body, "{\"settings\":{\"steps\":1000,\"count\":%d}}", n);
        submit(&shared, body, id);
        snprintf(path, sizeof path, "/api/v1/jobs/%s/events", id);
        r = ask(&shared, "GET", path, "", NULL); /* until the end of the stream */
        assert_int_equal(r.status, 200);
        if (n == 8 || (times(r.body, "event: progress") >= 3 && strstr(r.body, "event: preview")))
            break;
        reply_free(&r);
    }
    assert_non_null(strstr(r.all, "Content-Type: text/event-stream"));
    assert_true(times(r.body, "event: progress") >= 3);
    assert_non_null(strstr(r.body, "event: preview"));
    assert_non_null(strstr(r.body, "\"png\":\"iVBOR"));
    assert_non_null(strstr(r.body, "event: done"));
    assert_non_null(strstr(r.body, "\"state\":\"done\""));
    reply_free(&r);
    r = ask(&shared, "GET", path, "", NULL); /* of a job that is over: its end alone */
    assert_non_null(strstr(r.body, "event: done"));
    assert_null(strstr(r.body, "event: progress"));
    reply_free(&r);
}

/* Sides in pixels stand for a shape, and "-1" from a field of text is a random seed as well. */
static void sides_and_random_seeds(void **state)
{
    char id[33], path[96];
    const unsigned char *ihdr;
    reply r, job;

    (void)state;
    submit(&shared, "{\"settings\":{\"steps\":1,\"seed\":\"-1\",\"width\":72,\"height\":80}}", id);
    assert_string_equal(wait_over(&shared, id, 30), "done");
    r = picture(&shared, id, 0);
    ihdr = (const unsigned char *)r.body + 16;
    assert_int_equal(ihdr[3], 72);
    assert_int_equal(ihdr[7], 80);
    reply_free(&r);
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    job = ask(&shared, "GET", path, "", NULL);
    assert_true(
        json_integer_value(json_object_get(json_object_get(job.json, "settings"), "seed")) >= 0);
    reply_free(&job);
}

static void recipes_repeat_pictures(void **state)
{
    char id[33], again[33], path[96];
    reply first, second, recipe, sent;
    char *body;

    (void)state;
    submit(&shared, "{\"settings\":{\"steps\":4,\"seed\":-1,\"count\":2}}", id);
    assert_string_equal(wait_over(&shared, id, 30), "done");
    first = picture(&shared, id, 1);
    snprintf(path, sizeof path, "/api/v1/pictures/%s/1/recipe", id);
    recipe = ask(&shared, "GET", path, "", NULL);
    assert_int_equal(recipe.status, 200);
    sent = ask_bytes(&shared, "POST", "/api/v1/recipe", "Content-Type: image/png\r\n", first.body,
                     first.body_size);
    assert_int_equal(sent.status, 200);
    assert_true(json_equal(sent.json, recipe.json));
    body = malloc(recipe.body_size + 64);
    sprintf(body, "{\"recipe\":%s}", recipe.body);
    submit(&shared, body, again);
    free(body);
    assert_string_equal(wait_over(&shared, again, 30), "done");
    second = picture(&shared, again, 0);
    /* the same picture: IDAT follows the texts, which differ in the number of pictures */
    {
        const char *a = find_bytes(first.body, first.body_size, "IDAT"),
                   *b = find_bytes(second.body, second.body_size, "IDAT");
        const size_t rest = first.body_size - (size_t)(a - first.body);

        assert_non_null(a);
        assert_non_null(b);
        assert_int_equal(rest, second.body_size - (size_t)(b - second.body));
        assert_memory_equal(a, b, rest);
    }
    reply_free(&first);
    reply_free(&second);
    reply_free(&recipe);
    reply_free(&sent);
    sent = ask_bytes(&shared, "POST", "/api/v1/recipe", "Content-Type: image/png\r\n", "no picture",
                     10);
    assert_int_equal(sent.status, 422);
    assert_null(strstr(sent.body, "/tmp"));
    reply_free(&sent);
}

static void jobs_wait_run_and_are_cancelled(void **state)
{
    static const char *const options[] = {"--queue", "2", NULL};
    server s = server_start(NULL, options);
    char ids[3][33], path[96];
    reply r;

    (void)state;
    for (int i = 0; i < 3; i++)
        submit(&s, "{\"settings\":{\"steps\":1000,\"count\":100}}", ids[i]);
    r = ask(&s, "POST", "/api/v1/jobs", "", "{}");
    assert_int_equal(r.status, 503); /* one runs, two wait */
    assert_non_null(strstr(r.all, "Retry-After: "));
    assert_non_null(strstr(r.all, "x-should-retry: false"));
    reply_free(&r);
    snprintf(path, sizeof path, "/api/v1/jobs/%s", ids[2]);
    r = ask(&s, "GET", path, "", NULL);
    assert_int_equal(json_integer_value(json_object_get(r.json, "position")), 2);
    reply_free(&r);
    r = ask(&s, "DELETE", path, "", NULL);
    assert_int_equal(r.status, 409);
    reply_free(&r);
    for (int i = 2; i >= 0; i--) { /* one that waits, and at last the one that runs */
        const double begin = now();

        snprintf(path, sizeof path, "/api/v1/jobs/%s/cancel", ids[i]);
        r = ask(&s, "POST", path, "", "");
        assert_int_equal(r.status, 200);
        reply_free(&r);
        assert_string_equal(wait_over(&s, ids[i], 10), "cancelled");
        assert_true(now() - begin < 5);
    }
    r = ask(&s, "GET", "/api/v1/jobs?limit=2&offset=1", "", NULL);
    assert_int_equal(json_array_size(json_object_get(r.json, "jobs")), 2);
    assert_int_equal(json_integer_value(json_object_get(r.json, "total")), 3);
    reply_free(&r);
    snprintf(path, sizeof path, "/api/v1/jobs/%s", ids[1]);
    r = ask(&s, "DELETE", path, "", NULL);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    assert_string_equal(state_of(&s, ids[1]), "gone");
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

/* Starts a broken job again; its picture is `before` once it is done. */
static void restart_and_compare(const server *s, const char *id, const reply *before)
{
    char path[96];
    reply r;

    assert_string_equal(state_of(s, id), "broken");
    snprintf(path, sizeof path, "/api/v1/jobs/%s/restart", id);
    r = ask(s, "POST", path, "", "");
    assert_int_equal(r.status, 202);
    reply_free(&r);
    assert_string_equal(wait_over(s, id, 60), "done");
    r = picture(s, id, 0);
    assert_int_equal(r.body_size, before->body_size);
    assert_memory_equal(r.body, before->body, r.body_size);
    reply_free(&r);
    r = ask(s, "POST", path, "", "");
    assert_int_equal(r.status, 409); /* it is done */
    reply_free(&r);
}

/* A job that still runs when the server is ended; sanitizers make fewer steps as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OUTLIVES "{\"settings\":{\"steps\":400,\"seed\":5}}"
#else
#define OUTLIVES "{\"settings\":{\"steps\":1000,\"seed\":5}}"
#endif

static void jobs_survive_the_server(void **state)
{
    static const int signals[] = {SIGKILL, SIGTERM};
    server s = server_start(NULL, NULL);
    char done[33], id[33];
    reply before;

    (void)state;
    submit(&s, OUTLIVES, done);
    assert_string_equal(wait_over(&s, done, 60), "done");
    before = picture(&s, done, 0);
    for (int i = 0; i < 2; i++) {
        reply r;
        char out[64];

        submit(&s, OUTLIVES, id);
        while (strcmp(state_of(&s, id), "running") != 0)
            sleep_ms(5);
        assert_int_equal(server_stop(&s, signals[i]), i ? 0 : -SIGKILL);
        snprintf(out, sizeof out, "%s", s.out);
        if (i == 0) { /* as if it had been killed after a picture, before it wrote that down */
            char copy[600];

            snprintf(copy, sizeof copy,
                     "cp '%s/%s/00000.png' '%s/%s/' && "
                     "touch '%s/%s/00001.png.part-aBcDeF' '%s/preview.png.part-aBcDeF' && "
                     "mkdir '%s/0123456789abcdef0123456789abcdef'",
                     out, done, out, id, out, id, out, out);
            assert_int_equal(system(copy), 0);
        }
        s = server_start(out, NULL);
        if (i == 0) {
            char find[160];

            snprintf(find, sizeof find,
                     "test -z \"$(find '%s' -name '*.part-*' -o -name '0123456789abcdef*')\"", out);
            assert_int_equal(system(find), 0);
        }
        if (i == 0) {
            r = picture(&s, id, 0);
            assert_memory_equal(r.body, before.body, r.body_size);
            reply_free(&r);
        }
        r = picture(&s, done, 0); /* what was finished is there */
        assert_memory_equal(r.body, before.body, r.body_size);
        reply_free(&r);
        restart_and_compare(&s, id, &before);
    }
    reply_free(&before);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

static void one_folder_has_one_server(void **state)
{
    char command[400];

    (void)state;
    snprintf(command, sizeof command,
             "'%s' --ckpt tests/data/tiny/model.ckpt --config tests/data/tiny/config.yaml --port 0 "
             "--out '%s' 2>/dev/null",
             LDM_TEST_SERVER, shared.out);
    assert_int_equal(system(command), 2 << 8);
}

static void many_clients_at_once(void **state)
{
    enum { CLIENTS = 20 };
    int fds[CLIENTS];
    int good = 0;

    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        static const char text[] = "POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: "
                                   "localhost\r\nContent-Type: application/json\r\n"
                                   "Connection: close\r\nContent-Length: "
                                   "36\r\n\r\n{\"prompt\":\"\",\"steps\":2,\"seed\":12345}";

        fds[i] = client_connect(&shared);
        assert_true(fds[i] >= 0);
        client_send(fds[i], text, sizeof text - 1);
    }
    for (int i = 0; i < CLIENTS; i++) {
        char *all = client_read(fds[i], 60, NULL, NULL);

        good += strstr(all, "200 OK") && strstr(all, "\"images\"");
        free(all);
        close(fds[i]);
    }
    assert_int_equal(good, CLIENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_the_command_lines),
        cmocka_unit_test(what_cannot_be_done_is_refused_with_its_field),
        cmocka_unit_test(events_tell_what_happens),
        cmocka_unit_test(sides_and_random_seeds),
        cmocka_unit_test(recipes_repeat_pictures),
        cmocka_unit_test(jobs_wait_run_and_are_cancelled),
        cmocka_unit_test(jobs_survive_the_server),
        cmocka_unit_test(one_folder_has_one_server),
        cmocka_unit_test(many_clients_at_once),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start_shared, stop_shared);
}
