/* SPDX-License-Identifier: MIT */
/* Models whose pictures are made of more than noise: prompts, classes, pictures to paint in and to
 * enlarge, maps of labels. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"

#define MODELS "tests/data/models/"
#define PICTURES "tests/data/pictures/"

/* Models of prompts and of classes, by the clients' one field for both. */
static void prompts_and_classes(void **state)
{
    static const struct {
        const char *ckpt, *config, *body;
        int status;
        const char *said;
    } cases[] = {
        {"tests/data/models/clip.ckpt", "tests/data/models/clip.yaml",
         "{\"prompt\":\"the cat\",\"negative_prompt\":\"\",\"steps\":2}", 200,
         "the cat\\\\nSteps: 2"},
        {"tests/data/models/clip.ckpt", "tests/data/models/clip.yaml",
         "{\"prompt\":\"\",\"steps\":2}", 200, "[\\\"Steps: 2"},
        /* syntax of other programs: a note of the library says that it is read as words */
        {"tests/data/models/clip.ckpt", "tests/data/models/clip.yaml",
         "{\"prompt\":\"(the cat:1.5)\",\"steps\":2}", 200, "weights such as (red:1.4)"},
        {"tests/data/models/clip.ckpt", "tests/data/models/clip.yaml",
         "{\"prompt\":\"the cat <lora:foo:1>\",\"steps\":2}", 200,
         "\\\"comments\\\":\\\"<lora:foo:1> names a network to load"},
        {"tests/data/models/class.ckpt", "tests/data/models/class.yaml",
         "{\"prompt\":\"3\",\"steps\":2}", 200, "[\\\"Steps: 2"},
        {"tests/data/models/class.ckpt", "tests/data/models/class.yaml",
         "{\"prompt\":\"cat\",\"steps\":2}", 422, "class is 'cat'"},
        {"tests/data/models/class.ckpt", "tests/data/models/class.yaml",
         "{\"prompt\":\"\",\"steps\":2}", 422, "class: this model makes pictures of a class"},
    };
    server s = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const options[] = {
            "--ckpt",  cases[i].ckpt,         "--config", cases[i].config,
            "--vocab", "tests/data/tokenize", NULL};
        reply r;

        if (!i || strcmp(cases[i].ckpt, cases[i - 1].ckpt) != 0)
            s = server_start(NULL, options);
        r = ask(&s, "POST", "/sdapi/v1/txt2img", "", cases[i].body);
        if (r.status != cases[i].status || !strstr(r.body, cases[i].said))
            fail_msg("%s: %s", cases[i].body, r.all);
        reply_free(&r);
        if (i + 1 == sizeof cases / sizeof *cases ||
            strcmp(cases[i].ckpt, cases[i + 1].ckpt) != 0) {
            assert_int_equal(server_stop(&s, SIGTERM), 0);
            server_clean(&s);
        }
    }
}

/* ---- pictures that the network reads --------------------------------------------------------- */

enum { MAX_REQUEST = 60000 };

typedef struct request {
    char bytes[MAX_REQUEST];
    size_t size;
} request;

static void add(request *r, const void *data, size_t size)
{
    assert_true(r->size + size < sizeof r->bytes);
    memcpy(r->bytes + r->size, data, size);
    r->size += size;
    r->bytes[r->size] = '\0';
}

static void add_text(request *r, const char *text)
{
    add(r, text, strlen(text));
}

/* "FIELD":"base64", or with `list` "FIELD":["base64"]; a comma before. */
static void add_base64(request *r, const char *field, const char *path, bool list)
{
    char text[MAX_REQUEST];
    size_t size;
    char *data = file_bytes(path, &size);

    assert_true(size > 0 && size < MAX_REQUEST / 2);
    base64_of(data, size, text);
    free(data);
    add_text(r, ",\"");
    add_text(r, field);
    add_text(r, list ? "\":[\"" : "\":\"");
    add_text(r, text);
    add_text(r, list ? "\"]" : "\"");
}

/* A part of a form; file NULL: a field of this value. */
static void add_part(request *r, const char *name, const char *value, const char *file)
{
    char head[200];
    size_t size;
    char *data;

    snprintf(head, sizeof head, "--x\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n",
             name, file ? "; filename=\"a.png\"" : "");
    add_text(r, head);
    if (file) {
        data = file_bytes(file, &size);
        add(r, data, size);
        free(data);
    } else {
        add_text(r, value);
    }
    add_text(r, "\r\n");
}

/* The native interface's picture; free() it. */
static char *native_picture(const server *s, const char *settings, const char *init,
                            const char *mask, size_t *size)
{
    request *body = calloc(1, sizeof *body);
    char id[33], *data;
    const char *state;
    reply r;

    add_text(body, "{\"settings\":{");
    add_text(body, settings);
    add_text(body, "}");
    add_base64(body, "init", init, false);
    if (mask)
        add_base64(body, "mask", mask, false);
    add_text(body, "}");
    submit(s, body->bytes, id);
    free(body);
    state = wait_over(s, id, 30);
    if (strcmp(state, "done") != 0) {
        r = ask(s, "GET", "/api/v1/jobs", "", NULL);
        fail_msg("%s", r.all);
    }
    r = picture(s, id, 0);
    data = malloc(r.body_size);
    memcpy(data, r.body, r.body_size);
    *size = r.body_size;
    reply_free(&r);
    return data;
}

/* Of base64 in an answer; free() it. */
static char *decoded(const json_t *text, size_t *size)
{
    unsigned char *data = malloc(1 << 20);

    assert_true(json_is_string(text));
    *size = from_base64(json_string_value(text), data, 1 << 20);
    return (char *)data;
}

/* /sdapi/v1/img2img; body: fields that begin the object. */
static char *sdapi_picture(const server *s, const char *fields, const char *init, const char *mask,
                           size_t *size)
{
    request *body = calloc(1, sizeof *body);
    char *data;
    reply r;

    add_text(body, "{");
    add_text(body, fields);
    add_base64(body, "init_images", init, true);
    if (mask)
        add_base64(body, "mask", mask, false);
    add_text(body, "}");
    r = ask(s, "POST", "/sdapi/v1/img2img", "", body->bytes);
    free(body);
    if (r.status != 200)
        fail_msg("%s", r.all);
    data = decoded(json_array_get(json_object_get(r.json, "images"), 0), size);
    reply_free(&r);
    return data;
}

/* /v1/images/edits. */
static char *openai_picture(const server *s, const char *prompt, const char *image,
                            const char *mask, size_t *size)
{
    request *body = calloc(1, sizeof *body);
    char *data;
    reply r;

    add_part(body, "prompt", prompt, NULL);
    add_part(body, "steps", "3", NULL);
    add_part(body, "seed", "5", NULL);
    add_part(body, "image", NULL, image);
    if (mask)
        add_part(body, "mask", NULL, mask);
    add_text(body, "--x--\r\n");
    r = ask_bytes(s, "POST", "/v1/images/edits",
                  "Content-Type: multipart/form-data; boundary=x\r\n", body->bytes, body->size);
    free(body);
    if (r.status != 200)
        fail_msg("%s", r.all);
    data = decoded(json_object_get(json_array_get(json_object_get(r.json, "data"), 0), "b64_json"),
                   size);
    reply_free(&r);
    return data;
}

static void assert_same_and_free(char *a, size_t a_size, const char *b, size_t b_size)
{
    assert_same_picture(a, a_size, b, b_size);
    free(a);
}

static void assert_refused(const server *s, const char *path, const char *body, const char *field)
{
    reply r = ask(s, "POST", path, "", body);

    if (r.status != 422 || !strstr(r.body, field) || strstr(r.body, "--image"))
        fail_msg("%s: %s", path, r.all);
    reply_free(&r);
}

/* Every interface paints as `ldm generate --image --mask` does. */
static void paints(const char *name, const char *prompt)
{
    char ckpt[80], config[80], line[400], options[600], settings[160], fields[240];
    const char *const more[] = {
        "--ckpt", ckpt, "--config", config, "--vocab", "tests/data/tokenize", NULL};
    const char *image = PICTURES "rgb16.png", *mask = PICTURES "grey8.png";
    const char *holes = PICTURES "rgba16.png";
    size_t expected_size, size;
    char *expected, *got;
    server s;

    snprintf(ckpt, sizeof ckpt, MODELS "%s.ckpt", name);
    snprintf(config, sizeof config, MODELS "%s.yaml", name);
    snprintf(line, sizeof line, "--ckpt %s --config %s --vocab tests/data/tokenize%s%s%s", ckpt,
             config, *prompt ? " --prompt '" : "", prompt, *prompt ? "'" : "");
    snprintf(settings, sizeof settings, "\"steps\":3,\"seed\":5%s%s%s",
             *prompt ? ",\"prompt\":\"" : "", prompt, *prompt ? "\"" : "");
    /* what clients send whatever the model: a strength, a prompt */
    snprintf(fields, sizeof fields,
             "\"steps\":3,\"seed\":5,\"sampler_name\":\"DDIM\",\"denoising_strength\":0.75,"
             "\"prompt\":\"%s\"",
             prompt);
    s = server_start(NULL, more);

    snprintf(options, sizeof options, "%s --steps 3 --seed 5 --image %s --mask %s", line, image,
             mask);
    expected = cli_picture(options, &expected_size);
    got = native_picture(&s, settings, image, mask, &size);
    assert_same_and_free(got, size, expected, expected_size);
    got = sdapi_picture(&s, fields, image, mask, &size);
    assert_same_and_free(got, size, expected, expected_size);
    free(expected);

    /* the mask is the picture's own transparent part */
    snprintf(options, sizeof options, "%s --steps 3 --seed 5 --image %s", line, holes);
    expected = cli_picture(options, &expected_size);
    got = native_picture(&s, settings, holes, NULL, &size);
    assert_same_and_free(got, size, expected, expected_size);
    got = openai_picture(&s, prompt, holes, NULL, &size);
    assert_same_and_free(got, size, expected, expected_size);
    free(expected);

    /* or a mask's, whose colours say nothing: these two are transparent in the same places */
    expected = openai_picture(&s, prompt, image, PICTURES "grey_alpha16.png", &expected_size);
    got = openai_picture(&s, prompt, image, holes, &size);
    assert_same_and_free(got, size, expected, expected_size);
    snprintf(fields + strlen(fields), sizeof fields - strlen(fields),
             ",\"inpainting_mask_invert\":1");
    got = sdapi_picture(&s, fields, image, holes, &size); /* the web UI paints what is opaque */
    assert_same_and_free(got, size, expected, expected_size);
    free(expected);

    assert_refused(&s, "/api/v1/jobs", "{}", "\"field\":\"init\"");
    assert_refused(&s, "/sdapi/v1/txt2img", "{}", "init_images: ");
    assert_refused(&s, "/v1/images/generations", "{\"prompt\":\"\"}", "\"param\":\"image\"");
    {
        request *body = calloc(1, sizeof *body);

        add_text(body, "{\"settings\":{}");
        add_base64(body, "init", image, false);
        add_text(body, "}");
        assert_refused(&s, "/api/v1/jobs", body->bytes, "\"field\":\"mask\"");
        free(body);
    }
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_clean(&s);
}

static void inpainting_models_paint(void **state)
{
    (void)state;
    paints("inpaint", "");           /* concatenation */
    paints("sd_inpaint", "the cat"); /* and a prompt */
}

/* The other pictures that networks read: to enlarge, and maps of labels. */
static void pictures_are_conditioning(void **state)
{
    static const struct {
        const char *name, *option, *picture, *prompt;
    } cases[] = {
        {"superres", "--image", PICTURES "rgb16.png", ""},
        {"upscale", "--image", PICTURES "rgb16.png", "the cat"},
        {"semantic", "--segmentation", PICTURES "grey1.png", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char ckpt[80], config[80], options[500], settings[100];
        const char *const more[] = {
            "--ckpt", ckpt, "--config", config, "--vocab", "tests/data/tokenize", NULL};
        const bool prompted = *cases[i].prompt != '\0';
        size_t expected_size, size;
        char *expected, *got;
        server s;

        snprintf(ckpt, sizeof ckpt, MODELS "%s.ckpt", cases[i].name);
        snprintf(config, sizeof config, MODELS "%s.yaml", cases[i].name);
        snprintf(
            options, sizeof options,
            "--ckpt %s --config %s --vocab tests/data/tokenize --steps 3 --seed 5 %s %s %s%s%s",
            ckpt, config, cases[i].option, cases[i].picture, prompted ? "--prompt '" : "",
            cases[i].prompt, prompted ? "'" : "");
        snprintf(settings, sizeof settings, "\"steps\":3,\"seed\":5%s%s%s",
                 prompted ? ",\"prompt\":\"" : "", cases[i].prompt, prompted ? "\"" : "");
        s = server_start(NULL, more);
        expected = cli_picture(options, &expected_size);
        got = native_picture(&s, settings, cases[i].picture, NULL, &size);
        assert_same_and_free(got, size, expected, expected_size);
        free(expected);
        assert_refused(&s, "/api/v1/jobs", "{}", "\"field\":\"init\"");
        {
            request *body = calloc(1, sizeof *body);

            add_text(body, "{\"settings\":{}");
            add_base64(body, "init", cases[i].picture, false);
            add_base64(body, "mask", PICTURES "grey8.png", false);
            add_text(body, "}");
            assert_refused(&s, "/api/v1/jobs", body->bytes, "\"field\":\"mask\"");
            free(body);
        }
        assert_int_equal(server_stop(&s, SIGTERM), 0);
        server_clean(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_and_classes),
        cmocka_unit_test(inpainting_models_paint),
        cmocka_unit_test(pictures_are_conditioning),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
