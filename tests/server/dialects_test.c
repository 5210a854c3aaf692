/* SPDX-License-Identifier: MIT */
/* The interfaces of AUTOMATIC1111's web UI and of OpenAI's images, and the tables of all. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

static void tables_are_there(void **state)
{
    static const char *const paths[] = {"/api/v1/settings",    "/api/v1/samplers",
                                        "/api/v1/model",       "/api/v1/models",
                                        "/api/v1/check",       "/api/v1/jobs",
                                        "/api/v1/pictures",    "/sdapi/v1/options",
                                        "/sdapi/v1/samplers",  "/sdapi/v1/schedulers",
                                        "/sdapi/v1/sd-models", "/sdapi/v1/sd-vae",
                                        "/sdapi/v1/upscalers", "/sdapi/v1/latent-upscale-modes",
                                        "/sdapi/v1/scripts",   "/sdapi/v1/embeddings",
                                        "/sdapi/v1/memory",    "/sdapi/v1/cmd-flags",
                                        "/sdapi/v1/progress",  "/sdapi/v1/loras",
                                        "/v1/models",          "/v1/models/model",
                                        "/openapi.json"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        reply r = ask(&shared, "GET", paths[i], "", NULL);

        if (r.status != 200 || !r.json)
            fail_msg("%s: %s", paths[i], r.all);
        reply_free(&r);
    }
}

/* What clients ask for by the web UI's names, the one with a schedule in it and the one beside it.
 */
static void samplers_have_their_names(void **state)
{
    static const struct {
        const char *name, *scheduler, *shown;
    } names[] = {
        {"Euler a", "automatic", "Sampler: Euler a, CFG"},
        {"Euler", "Uniform", "Sampler: Euler, CFG"},
        {"DPM++ 2M", "Automatic", "Sampler: DPM++ 2M, CFG"},
        {"DPM++ 2M", "karras", "Sampler: DPM++ 2M, Schedule type: Karras, "},
        {"DPM++ 2M Karras", "automatic", "Sampler: DPM++ 2M, Schedule type: Karras, "},
        {"DPM++ 2M Karras", "exponential", "Sampler: DPM++ 2M, Schedule type: Exponential, "},
        {"DPM++ SDE Karras", "", "Sampler: DPM++ SDE, Schedule type: Karras, "},
        {"DPM++ 2M SDE Exponential", "", "Sampler: DPM++ 2M SDE, Schedule type: Exponential, "},
        {"DPM++ 3M SDE", "Exponential", "Sampler: DPM++ 3M SDE, Schedule type: Exponential, "},
        {"DPM++ 2S a", "Karras", "Sampler: DPM++ 2S a, Schedule type: Karras, "},
        {"DPM2 a Karras", "", "Sampler: DPM2 a, Schedule type: Karras, "},
        {"DPM2", "normal", "Sampler: DPM2, CFG"},
        {"LMS Karras", "", "Sampler: LMS, Schedule type: Karras, "},
        {"Heun", "", "Sampler: Heun, CFG"},
        {"DDIM", "", "Sampler: DDIM, CFG"},
        {"PLMS", "", "Sampler: PLMS, CFG"},
        {"UniPC", "", "Sampler: UniPC, CFG"},
        {"LCM", "", "Sampler: LCM, CFG"},
        {"k_euler_a", "", "Sampler: Euler a, CFG"},
    };
    reply all = ask(&shared, "GET", "/sdapi/v1/samplers", "", NULL), r;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char body[200];

        snprintf(body, sizeof body, "{\"steps\":2,\"sampler_name\":\"%s\",\"scheduler\":\"%s\"}",
                 names[i].name, names[i].scheduler);
        r = ask(&shared, "POST", "/sdapi/v1/txt2img", "", body);
        if (r.status != 200 || !strstr(reply_text(&r, "info"), names[i].shown))
            fail_msg("%s: %s", body, r.status == 200 ? reply_text(&r, "info") : r.all);
        reply_free(&r);
    }
    /* clients choose from the list by these names */
    assert_non_null(strstr(all.body, "\"name\":\"Euler a\""));
    assert_non_null(strstr(all.body, "\"name\":\"DPM++ 2M\""));
    for (size_t i = 0; i < json_array_size(all.json); i++) {
        const json_t *row = json_array_get(all.json, i);

        for (size_t k = 0; k < i; k++)
            assert_false(json_equal(json_object_get(row, "name"),
                                    json_object_get(json_array_get(all.json, k), "name")));
    }
    reply_free(&all);
}

/* The picture in base64 is one that the server has. */
static void assert_base64_png(const json_t *text)
{
    assert_true(json_is_string(text));
    assert_memory_equal(json_string_value(text), "iVBORw0KGgo", 11);
}

static void sdapi_makes_pictures(void **state)
{
    /* what webuiapi 0.9.17 sends, at its off values */
    reply r = ask(
        &shared, "POST", "/sdapi/v1/txt2img", "",
        "{\"enable_hr\":false,\"hr_scale\":2,\"denoising_strength\":0.7,\"firstphase_width\":0,"
        "\"prompt\":\"\","
        "\"styles\":[],\"seed\":-1,\"subseed\":-1,\"subseed_strength\":0.0,\"seed_resize_from_h\":"
        "0,"
        "\"batch_size\":2,\"n_iter\":1,\"steps\":3,\"cfg_scale\":7.0,\"width\":\"32\",\"height\":"
        "48.0,"
        "\"restore_faces\":false,\"tiling\":false,\"negative_prompt\":\"\",\"eta\":1.0,\"s_churn\":"
        "0,\"s_noise\":1,"
        "\"override_settings\":{},\"script_args\":[],\"script_name\":null,\"send_images\":true,"
        "\"sampler_name\":\"Euler a\",\"sampler_index\":\"Euler a\",\"scheduler\":\"automatic\","
        "\"alwayson_scripts\":{},\"use_deprecated\":null}");
    json_t *info;

    (void)state;
    if (r.status != 200)
        fail_msg("%s", r.all);
    assert_int_equal(json_array_size(json_object_get(r.json, "images")), 2);
    assert_base64_png(json_array_get(json_object_get(r.json, "images"), 1));
    info = json_loads(reply_text(&r, "info"), 0, NULL);
    assert_non_null(info);
    assert_true(json_integer_value(json_object_get(info, "seed")) >= 0); /* the real one */
    assert_int_equal(json_integer_value(json_object_get(info, "width")), 32);
    assert_int_equal(json_integer_value(json_object_get(info, "height")), 48);
    assert_string_equal(json_string_value(json_object_get(info, "sampler_name")), "Euler a");
    assert_int_equal(json_array_size(json_object_get(info, "all_seeds")), 2);
    json_decref(info);
    {
        char *body = malloc(r.body_size + 64);
        reply back;

        sprintf(body, "{\"image\":\"data:image/png;base64,%s\"}",
                json_string_value(json_array_get(json_object_get(r.json, "images"), 0)));
        back = ask(&shared, "POST", "/sdapi/v1/png-info", "", body);
        assert_int_equal(back.status, 200);
        assert_non_null(strstr(reply_text(&back, "info"), "Sampler: Euler a"));
        reply_free(&back);
        free(body);
    }
    reply_free(&r);
}

static void sdapi_refuses(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
        const char *said;
    } wrong[] = {
        {"/sdapi/v1/txt2img", "{\"enable_hr\":true}", 422, "enable_hr"},
        {"/sdapi/v1/txt2img", "{\"tiling\":true}", 422, "tiling"},
        {"/sdapi/v1/txt2img", "{\"alwayson_scripts\":{\"x\":{}}}", 422, "alwayson_scripts"},
        {"/sdapi/v1/txt2img", "{\"sampler_name\":\"Eulr a\"}", 422,
         "sampler_name: Sampler not found; the nearest are 'Euler a', 'Euler', "},
        {"/sdapi/v1/txt2img", "{\"sampler_index\":\"DPM++ 2N\"}", 422,
         "sampler_index: Sampler not found; the nearest are 'DPM++ 2M', "},
        {"/sdapi/v1/txt2img", "{\"sampler_name\":\"DPM adaptive\"}", 422, "Sampler not found"},
        {"/sdapi/v1/txt2img", "{\"sampler_name\":\"DDIM\",\"scheduler\":\"Karras\"}", 422,
         "scheduler: DDIM does not run with it, but with 'compvis', "},
        {"/sdapi/v1/txt2img", "{\"scheduler\":\"polyexponential\"}", 422,
         "scheduler: there is no such schedule; the nearest are 'exponential', "},
        {"/sdapi/v1/txt2img", "{\"scheduler\":\"magic\"}", 422, "scheduler"},
        {"/sdapi/v1/txt2img", "{\"steps\":0}", 422, "steps"},
        {"/sdapi/v1/txt2img", "{\"steps\":[]}", 422, "steps"},
        {"/sdapi/v1/txt2img", "{\"batch_size\":0}", 422, "batch_size"},
        {"/sdapi/v1/txt2img", "{\"width\":33}", 422,
         "width: 33 pixels are not possible: sides of this model's pictures are multiples of 8, at "
         "most 16384; the nearest are 32 and 40"},
        {"/sdapi/v1/txt2img", "{\"width\":\"33\"}", 422, "width: 33 pixels"},
        {"/sdapi/v1/txt2img", "{\"width\":\"wide\"}", 422, "width: expected a whole number"},
        {"/sdapi/v1/txt2img", "{\"width\":33.5}", 422, "width: expected a whole number"},
        {"/sdapi/v1/txt2img", "{\"width\":36}", 422, "width: 36 pixels"}, /* whole latent pixels */
        {"/sdapi/v1/txt2img", "{\"height\":4}", 422, "height: 4 pixels"},
        {"/sdapi/v1/txt2img", "{\"height\":1}", 422, "the nearest is 8"},
        {"/sdapi/v1/txt2img", "{\"height\":20000}", 422, "the nearest is 16384"},
        {"/sdapi/v1/txt2img", "{\"height\":0}", 422, "height: expected a whole number of pixels"},
        {"/sdapi/v1/txt2img", "{\"width\":4096,\"height\":8192}", 422,
         "width: a picture of 4096 x 8192 has too many pixels"},
        {"/sdapi/v1/txt2img", "{\"prompt\":7}", 422, "prompt"},
        {"/sdapi/v1/txt2img", "{\"override_settings\":{\"sd_model_checkpoint\":\"none\"}}", 422,
         "sd_model_checkpoint: there is no such model; /sdapi/v1/sd-models lists them"},
        {"/sdapi/v1/img2img", "{}", 404, "Init image not found"},
        {"/sdapi/v1/img2img", "{\"init_images\":[\"x\"]}", 422, "init_images"},
        {"/sdapi/v1/img2img", "{\"init_images\":[\"QUJD\"]}", 422, "init_images"},
        {"/sdapi/v1/img2img", "{\"init_images\":[7]}", 422, "init_images"},
        {"/sdapi/v1/img2img", "{\"init_images\":[\"QUJD\",\"QUJD\"]}", 422, "init_images"},
        {"/sdapi/v1/img2img", "{\"init_images\":[\"QUJD\"],\"resize_mode\":3}", 422, "resize_mode"},
        {"/sdapi/v1/img2img", "{\"init_images\":[\"QUJD\"],\"denoising_strength\":[]}", 422,
         "denoising_strength"},
        {"/sdapi/v1/png-info", "{}", 404, "image"},
        {"/sdapi/v1/png-info", "{\"image\":\"***\"}", 422, "image"},
        {"/sdapi/v1/options", "{\"sd_model_checkpoint\":\"none\"}", 422, "sd_model_checkpoint"},
        {"/sdapi/v1/options", "{\"sd_model_checkpoint\":7}", 422, "sd_model_checkpoint"},
        {"/sdapi/v1/txt2img", "{\"s_min_uncond\":1}", 422, "s_min_uncond"},
        {"/sdapi/v1/txt2img", "{\"subseed_strength\":1.5}", 422, "subseed_strength"},
        {"/sdapi/v1/txt2img", "{\"seed_resize_from_w\":64}", 422, "seed_resize_from_w"},
        {"/sdapi/v1/txt2img", "{\"override_settings\":[]}", 422, "override_settings"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        reply r = ask(&shared, "POST", wrong[i].path, "", wrong[i].body);

        if (r.status != wrong[i].status || !strstr(reply_text(&r, "detail"), wrong[i].said))
            fail_msg("%s: %s", wrong[i].body, r.all);
        reply_free(&r);
    }
}

/* The options of the web UI, in a request and for all: those that ask for nothing are taken, the
 * others are refused by name. */
static void options_count_or_are_refused(void **state)
{
    static const struct {
        const char *option, *said; /* NULL: taken */
    } cases[] = {
        {"\"CLIP_stop_at_last_layers\":2", "CLIP_stop_at_last_layers: skipping layers"},
        {"\"CLIP_stop_at_last_layers\":\"2\"", "CLIP_stop_at_last_layers: "},
        {"\"CLIP_stop_at_last_layers\":1", NULL},
        {"\"CLIP_stop_at_last_layers\":null", NULL},
        {"\"sd_vae\":\"foo.pt\"", "sd_vae: another first stage (VAE) cannot be done here"},
        {"\"sd_vae\":\"Automatic\"", NULL},
        {"\"sd_vae\":\"None\"", NULL},
        {"\"sd_vae\":\"\"", NULL},
        {"\"eta_noise_seed_delta\":31337", "eta_noise_seed_delta: "},
        {"\"eta_noise_seed_delta\":0", NULL},
        {"\"tiling\":true", "tiling: "},
        {"\"tiling\":false", NULL},
        {"\"s_noise\":1.0", NULL},
        {"\"s_noise\":1.05", "s_noise: "},
        {"\"samples_format\":\"png\"", NULL},
        {"\"samples_format\":\"webp\"", "samples_format: "},
        {"\"randn_source\":\"NV\"", "randn_source: "},
        {"\"postprocessing_enable_in_main_ui\":[]", NULL},
        {"\"postprocessing_enable_in_main_ui\":[\"GFPGAN\"]", "postprocessing_enable_in_main_ui: "},
        {"\"samples_save\":false,\"jpeg_quality\":95,\"show_progress_every_n_steps\":3,"
         "\"live_previews_enable\":false,\"outdir_samples\":\"x\"",
         NULL},
        {"\"CLIP_stop_at_last_layer\":2", "did you mean 'CLIP_stop_at_last_layers'?"},
        {"\"sd_model_chekpoint\":\"x\"", "did you mean 'sd_model_checkpoint'?"},
        {"\"control_net_unit\":1", "control_net_unit: this option is not known here"},
    };
    reply r;

    (void)state;
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const bool all = i & 1;
        const char *option = cases[i / 2].option, *said = cases[i / 2].said;
        char body[300];

        snprintf(body, sizeof body, all ? "{%s}" : "{\"steps\":1,\"override_settings\":{%s}}",
                 option);
        r = ask(&shared, "POST", all ? "/sdapi/v1/options" : "/sdapi/v1/txt2img", "", body);
        if (r.status != (said ? 422 : 200) || (said && !strstr(reply_text(&r, "detail"), said)))
            fail_msg("%s: %s", body, r.all);
        reply_free(&r);
    }
    r = ask(&shared, "GET", "/sdapi/v1/options", "", NULL); /* clients send back what they got */
    {
        reply back = ask(&shared, "POST", "/sdapi/v1/options", "", r.body);

        if (back.status != 200)
            fail_msg("%s", back.all);
        reply_free(&back);
    }
    reply_free(&r);
}

/* The variation seed is --vary. */
static void sdapi_varies(void **state)
{
    size_t size, n;
    char *theirs =
        cli_picture("--steps 3 --seed 5 --sampler ddim -n 1 --vary 9 --vary-strength 0.5", &size);
    unsigned char bytes[200000];
    json_t *info;
    reply r = ask(&shared, "POST", "/sdapi/v1/txt2img", "",
                  "{\"steps\":3,\"seed\":5,\"sampler_name\":\"DDIM\",\"eta\":0,\"subseed\":9,"
                  "\"subseed_strength\":0.5,\"seed_resize_from_h\":-1,\"seed_resize_from_w\":0}");

    (void)state;
    if (r.status != 200)
        fail_msg("%s", r.all);
    n = from_base64(json_string_value(json_array_get(json_object_get(r.json, "images"), 0)), bytes,
                    sizeof bytes);
    assert_same_picture((const char *)bytes, n, theirs, size);
    free(theirs);
    info = json_loads(reply_text(&r, "info"), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(info, "subseed")), 9);
    assert_true(json_real_value(json_object_get(info, "subseed_strength")) == 0.5);
    json_decref(info);
    reply_free(&r);
    r = ask(&shared, "POST", "/sdapi/v1/txt2img", "", /* -1: one that is drawn, and said */
            "{\"steps\":1,\"seed\":5,\"batch_size\":2,\"subseed\":-1,\"subseed_strength\":0.1}");
    assert_int_equal(r.status, 200);
    info = json_loads(reply_text(&r, "info"), 0, NULL);
    assert_true(json_integer_value(json_object_get(info, "subseed")) > 0);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(info, "all_subseeds"), 1)),
                     json_integer_value(json_object_get(info, "subseed")) + 1);
    json_decref(info);
    reply_free(&r);
}

static void pictures_begin_with_others(void **state)
{
    char first[33], id[33], body[300], path[160], options[400];
    size_t size;
    char *theirs, *text;
    reply start, r;
    unsigned char bytes[200000];

    (void)state;
    submit(&shared, "{\"settings\":{\"steps\":3,\"seed\":1}}", first);
    assert_string_equal(wait_over(&shared, first, 30), "done");
    start = picture(&shared, first, 0);
    snprintf(path, sizeof path, "%s/%s/00000.png", shared.out, first);
    snprintf(options, sizeof options, "--init '%s' --strength 0.5 --steps 8 --seed 3", path);
    theirs = cli_picture(options, &size);

    snprintf(body, sizeof body,
             "{\"settings\":{\"steps\":8,\"seed\":3,\"strength\":0.5},\"init\":{\"job\":\"%s\","
             "\"index\":0}}",
             first);
    submit(&shared, body, id); /* native, by name */
    assert_string_equal(wait_over(&shared, id, 30), "done");
    r = picture(&shared, id, 0);
    assert_same_picture(r.body, r.body_size, theirs, size);
    reply_free(&r);

    text = malloc(start.body_size * 2 + 400); /* /sdapi/v1, in base64 */
    sprintf(text, "{\"steps\":8,\"seed\":3,\"denoising_strength\":0.5,\"sampler_name\":\"ddim\","
                  "\"eta\":0,\"init_images\":[\"");
    base64_of(start.body, start.body_size, text + strlen(text));
    strcat(text, "\"]}");
    r = ask(&shared, "POST", "/sdapi/v1/img2img", "", text);
    if (r.status != 200)
        fail_msg("%s", r.all);
    free(text);
    {
        const char *got = json_string_value(json_array_get(json_object_get(r.json, "images"), 0));
        size_t n;

        assert_non_null(got);
        n = from_base64(got, bytes, sizeof bytes);
        assert_same_picture((const char *)bytes, n, theirs, size);
    }
    reply_free(&r);
    free(theirs);
    reply_free(&start);
}

static void masks_paint_parts(void **state)
{
    static const char form[] = "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n\r\n"
                               "--x\r\nContent-Disposition: form-data; name=\"steps\"\r\n\r\n3\r\n"
                               "--x\r\nContent-Disposition: form-data; name=\"seed\"\r\n\r\n3\r\n";
    static const char image[] =
        "--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n"
        "Content-Type: image/png\r\n\r\n";
    char first[33];
    char *body;
    size_t n;
    reply start, r;

    (void)state;
    submit(&shared, "{\"settings\":{\"steps\":3,\"seed\":1}}", first);
    assert_string_equal(wait_over(&shared, first, 30), "done");
    start = picture(&shared, first, 0);
    body = malloc(2 * start.body_size + 4000);
    memcpy(body, form, sizeof form - 1);
    memcpy(body + sizeof form - 1, image, sizeof image - 1);
    n = sizeof form + sizeof image - 2;
    memcpy(body + n, start.body, start.body_size);
    n += start.body_size;
    memcpy(body + n, "\r\n--x--", 7);
    r = ask_bytes(&shared, "POST", "/v1/images/edits",
                  "Content-Type: multipart/form-data; boundary=x\r\n", body, n + 7);
    if (r.status != 200)
        fail_msg("%s", r.all);
    assert_base64_png(
        json_object_get(json_array_get(json_object_get(r.json, "data"), 0), "b64_json"));
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(r.json, "data"), 0), "seed")),
                     3);
    reply_free(&r);
    /* the mask is a picture of no transparent part: nothing is painted, and the result has the
     * input's bytes */
    memcpy(body + n,
           "\r\n--x\r\nContent-Disposition: form-data; name=\"mask\"; filename=\"m.png\"\r\n\r\n",
           72);
    memcpy(body + n + 72, start.body, start.body_size);
    memcpy(body + n + 72 + start.body_size, "\r\n--x--", 7);
    r = ask_bytes(&shared, "POST", "/v1/images/edits",
                  "Content-Type: multipart/form-data; boundary=x\r\n", body,
                  n + 72 + start.body_size + 7);
    assert_true(r.status == 200 || r.status == 422); /* an empty mask may be refused, and says so */
    if (r.status == 422)
        assert_non_null(strstr(r.body, "mask"));
    reply_free(&r);
    free(body);
    reply_free(&start);
}

static void sdapi_progress_and_interrupt(void **state)
{
    char id[33];
    double seen = 0;
    reply r = ask(&shared, "GET", "/sdapi/v1/progress", "", NULL);

    (void)state;
    assert_true(json_real_value(json_object_get(r.json, "progress")) == 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(r.json, "state"), "job_count")), 0);
    reply_free(&r);
    submit(&shared, "{\"settings\":{\"steps\":1000,\"count\":100}}", id);
    for (double begin = now(); seen < 0.01; sleep_ms(20)) {
        double at;

        r = ask(&shared, "GET", "/sdapi/v1/progress?skip_current_image=false", "", NULL);
        at = json_real_value(json_object_get(r.json, "progress"));
        assert_true(at >= seen && at <= 1);
        assert_int_equal(
            json_integer_value(json_object_get(json_object_get(r.json, "state"), "job_count")), 1);
        seen = at;
        reply_free(&r);
        assert_true(now() - begin < 20);
    }
    r = ask(&shared, "POST", "/sdapi/v1/interrupt", "", "");
    assert_int_equal(r.status, 200);
    assert_true(json_is_object(r.json));
    reply_free(&r);
    assert_string_equal(wait_over(&shared, id, 5), "cancelled");
    r = ask(&shared, "POST", "/sdapi/v1/skip", "", "");
    assert_true(r.json && json_is_null(r.json));
    reply_free(&r);
}

/* A stream with partial pictures that shows `what`. The server looks at a job five times a second,
 * so one that is over sooner shows nothing on its way: there are more pictures until it does. */
static reply streamed(const char *what)
{
    char body[256];
    reply r;

    for (int n = 1;; n *= 2) {
        snprintf(body, sizeof body,
                 "{\"prompt\":\"\",\"steps\":1000,\"stream\":true,\"partial_images\":1,\"n\":%d}",
                 n);
        r = ask(&shared, "POST", "/v1/images/generations", "", body);
        if (strstr(r.body, what))
            return r;
        if (n == 8)
            fail_msg("no \"%s\" in the stream of %d pictures: %s", what, n, r.all);
        reply_free(&r);
    }
}

static void openai_makes_pictures(void **state)
{
    reply r = ask(&shared, "POST", "/v1/images/generations", "",
                  "{\"model\":\"gpt-image-1\",\"prompt\":\"\",\"n\":2,\"size\":\"32x32\",\"steps\":"
                  "3,\"seed\":9,\"quality\":\"high\","
                  "\"user\":\"x\"}");
    const json_t *data;

    (void)state;
    if (r.status != 200)
        fail_msg("%s", r.all);
    data = json_object_get(r.json, "data");
    assert_int_equal(json_array_size(data), 2);
    assert_base64_png(json_object_get(json_array_get(data, 0), "b64_json"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(data, 1), "seed")), 10);
    assert_true(json_integer_value(json_object_get(r.json, "created")) > 0);
    reply_free(&r);
    r = streamed("event: image_generation.partial_image");
    assert_non_null(strstr(r.body, "\"type\":\"image_generation.completed\""));
    reply_free(&r);
    r = ask(&shared, "GET", "/v1/models/model", "", NULL); /* times are Unix times */
    assert_true(llabs(json_integer_value(json_object_get(r.json, "created")) - time(NULL)) < 600);
    reply_free(&r);
}

/* An edit's events have names of their own. */
static void edits_stream(void **state)
{
    static const char fields[] =
        "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n\r\n"
        "--x\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n"
        "--x\r\nContent-Disposition: form-data; name=\"partial_images\"\r\n\r\n1\r\n"
        "--x\r\nContent-Disposition: form-data; name=\"steps\"\r\n\r\n1000\r\n"
        "--x\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n\r\n";
    char first[33], *body;
    size_t n = sizeof fields - 1;
    reply start, r;

    (void)state;
    submit(&shared, "{\"settings\":{\"steps\":2,\"seed\":1}}", first);
    assert_string_equal(wait_over(&shared, first, 30), "done");
    start = picture(&shared, first, 0);
    body = malloc(n + start.body_size + 16);
    memcpy(body, fields, n);
    memcpy(body + n, start.body, start.body_size);
    n += start.body_size;
    memcpy(body + n, "\r\n--x--", 7);
    for (int i = 0; i < 20;
         i++) { /* a job that is over before anybody looks has no partial picture */
        r = ask_bytes(&shared, "POST", "/v1/images/edits",
                      "Content-Type: multipart/form-data; boundary=x\r\n", body, n + 7);
        if (i == 19 || strstr(r.body, "partial_image"))
            break;
        reply_free(&r);
    }
    assert_non_null(strstr(r.body, "\"type\":\"image_edit.partial_image\""));
    assert_non_null(strstr(r.body, "event: image_edit.completed"));
    assert_null(strstr(r.body, "image_generation"));
    reply_free(&r);
    free(body);
    reply_free(&start);
}

static void openai_refuses(void **state)
{
    static const struct {
        const char *body, *param;
    } wrong[] = {
        {"{}", "prompt"},
        {"{\"prompt\":\"\",\"n\":11}", "n"},
        {"{\"prompt\":\"\",\"n\":0}", "n"},
        {"{\"prompt\":\"\",\"size\":\"big\"}", "size"},
        {"{\"prompt\":\"\",\"size\":\"33x32\"}", "size"},
        {"{\"prompt\":\"\",\"size\":\"32x36\"}", "size"},
        {"{\"prompt\":\"\",\"output_format\":\"webp\"}", "output_format"},
        {"{\"prompt\":\"\",\"background\":\"transparent\"}", "background"},
        {"{\"prompt\":\"\",\"model\":\"other\"}", "model"},
        {"{\"prompt\":\"\",\"partial_images\":4}", "partial_images"},
        {"{\"prompt\":\"\",\"steps\":0}", "steps"},
    };
    reply r;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const json_t *error;
        const char *param;

        r = ask(&shared, "POST", "/v1/images/generations", "", wrong[i].body);
        error = json_object_get(r.json, "error");
        param = json_string_value(json_object_get(error, "param"));
        if (r.status != 422 || !param || strcmp(param, wrong[i].param) != 0 ||
            !json_string_value(json_object_get(error, "message")))
            fail_msg("%s: %s", wrong[i].body, r.all);
        assert_non_null(strstr(r.all, "x-should-retry: false"));
        reply_free(&r);
    }
    r = ask(&shared, "GET", "/v1/models/none", "", NULL);
    assert_int_equal(r.status, 404);
    reply_free(&r);
    r = ask(&shared, "POST", "/v1/images/edits",
            "Content-Type: multipart/form-data; boundary=x\r\n",
            "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na\r\n--x--\r\n");
    assert_int_equal(r.status, 422);
    reply_free(&r);
    r = ask(&shared, "POST", "/v1/images/edits", "", "{}");
    assert_int_equal(r.status, 415);
    reply_free(&r);
}

/* What the library says of a file that the server made for it names the folder to nobody. */
static void answers_name_no_folder(void **state)
{
    static const char huge[] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\x86\xa0\0\1\x86\xa0\x08\2\0\0\0\x72\xf7\xb7\xce";
    reply r = ask_bytes(&shared, "POST", "/api/v1/recipe", "Content-Type: image/png\r\n", huge,
                        sizeof huge - 1);

    (void)state;
    assert_int_equal(r.status, 422);
    assert_null(strstr(r.body, shared.out));
    reply_free(&r);
}

static void an_idempotency_key_joins(void **state)
{
    static const char key[] = "Idempotency-Key: retry-1\r\n";
    reply a = ask(&shared, "POST", "/v1/images/generations", key, "{\"prompt\":\"\",\"steps\":3}");
    reply b = ask(&shared, "POST", "/v1/images/generations", key, "{\"prompt\":\"\",\"steps\":3}");
    const json_t *first = json_array_get(json_object_get(a.json, "data"), 0);
    const json_t *second = json_array_get(json_object_get(b.json, "data"), 0);

    (void)state;
    assert_int_equal(a.status, 200);
    assert_true(json_is_object(first));
    assert_true(json_equal(first, second)); /* seeds are random: it is the same job */
    reply_free(&a);
    reply_free(&b);
}

/* A client that left cancelled its job; when it comes back with its key, it gets a new one. */
static void a_key_of_a_cancelled_job_starts_anew(void **state)
{
    static const char key[] = "Idempotency-Key: retry-2\r\n";
    static const char request[] =
        "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: retry-2\r\n"
        "Content-Type: application/json\r\nContent-Length: 39\r\n\r\n"
        "{\"prompt\":\"\",\"steps\":1000,\"n\":10,\"a\":1}";
    const int fd = client_connect(&shared);
    char id[33] = "";
    reply r;

    (void)state;
    client_send(fd, request, sizeof request - 1);
    for (double begin = now(); !*id; sleep_ms(20)) {
        const json_t *job;

        r = ask(&shared, "GET", "/api/v1/jobs?limit=1", "", NULL);
        job = json_array_get(json_object_get(r.json, "jobs"), 0);
        if (job && !strcmp(json_string_value(json_object_get(job, "state")), "running"))
            snprintf(id, sizeof id, "%s", json_string_value(json_object_get(job, "id")));
        reply_free(&r);
        assert_true(now() - begin < 20);
    }
    close(fd);
    assert_string_equal(wait_over(&shared, id, 20), "cancelled");
    r = ask(&shared, "POST", "/v1/images/generations", key, "{\"prompt\":\"\",\"steps\":3}");
    if (r.status != 200)
        fail_msg("%s", r.all);
    reply_free(&r);
}

/* A job that somebody else stopped is no fault of the server's. */
static void a_cancelled_job_is_a_conflict(void **state)
{
    static const char request[] = "POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Type: application/json\r\nContent-Length: 32\r\n\r\n"
                                  "{\"steps\":1000,\"n_iter\":50,\"a\":1}";
    const int fd = client_connect(&shared);
    char *text;
    reply r;

    (void)state;
    client_send(fd, request, sizeof request - 1);
    for (double at = 0, begin = now(); at <= 0; sleep_ms(20)) {
        r = ask(&shared, "GET", "/sdapi/v1/progress", "", NULL);
        at = json_real_value(json_object_get(r.json, "progress"));
        reply_free(&r);
        assert_true(now() - begin < 20);
    }
    r = ask(&shared, "POST", "/sdapi/v1/interrupt", "", "");
    reply_free(&r);
    text = client_read(fd, 1, NULL, NULL);
    assert_non_null(strstr(text, "HTTP/1.1 409 "));
    free(text);
    close(fd);
}

/* img2img with a picture, and a mask where it is not NULL: refused with 422, and these words. */
static void expect_img2img_refused(const char *init, const char *mask, const char *words)
{
    char text[1000];
    reply r;

    snprintf(text, sizeof text, "{\"steps\":2,\"init_images\":[\"%s\"]%s%s%s}", init,
             mask ? ",\"mask\":\"" : "", mask ? mask : "", mask ? "\"" : "");
    r = ask(&shared, "POST", "/sdapi/v1/img2img", "", text);
    assert_int_equal(r.status, 422);
    if (!strstr(r.body, words) || strstr(r.body, "upload.png"))
        fail_msg("'%s' is not in %s", words, r.body);
    reply_free(&r);
}

/* Refusals say what a picture is, in the library's words, and no path of the server's. */
static void pictures_are_refused_with_reasons(void **state)
{
    /* Grey with alpha, 2 x 4: white everywhere, two rows opaque. */
    static const char shape[] = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAAECAQAAAAO5iayAAAAE0lEQVR42mP4z/"
                                "CfgeH/fzgBhABoqwn39lQWfAAAAABJRU5ErkJggg==";
    char cut[64];

    (void)state;
    snprintf(cut, sizeof cut, "%.56s", shape);
    expect_img2img_refused("R0lGODlhAQABAA==", NULL,
                           "the file is a picture in the format GIF, expected PNG or JPEG");
    expect_img2img_refused(cut, NULL, "the file: the PNG is cut off");
    expect_img2img_refused("AAAA", NULL, "the file is no picture that ldm knows");
    expect_img2img_refused(shape, "AAAA", "the file is no picture that ldm knows");
}

/* What is JSON is not called none. */
static void odd_json_is_named(void **state)
{
    static const struct {
        const char *body, *words;
    } rows[] = {
        {"{\"steps\":2,\"steps\":3}", "the body: line 1, column 18: duplicate object key"},
        {"{\"seed\":18446744073709551616}", "the body: line 1, column 28: too big integer"},
        {"{\"prompt\":\"a\\u0000b\"}", "a text holds \\\\u0000, which none may"},
        {"{\"steps\":2", "the body is no JSON: line 1"},
        {"[]", "the body is no JSON object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reply r = ask(&shared, "POST", "/sdapi/v1/txt2img", "", rows[i].body);

        assert_int_equal(r.status, 422);
        if (!strstr(r.body, rows[i].words))
            fail_msg("'%s' is not in %s", rows[i].words, r.body);
        reply_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_there),
        cmocka_unit_test(samplers_have_their_names),
        cmocka_unit_test(sdapi_makes_pictures),
        cmocka_unit_test(sdapi_refuses),
        cmocka_unit_test(options_count_or_are_refused),
        cmocka_unit_test(sdapi_varies),
        cmocka_unit_test(pictures_begin_with_others),
        cmocka_unit_test(masks_paint_parts),
        cmocka_unit_test(pictures_are_refused_with_reasons),
        cmocka_unit_test(odd_json_is_named),
        cmocka_unit_test(sdapi_progress_and_interrupt),
        cmocka_unit_test(openai_makes_pictures),
        cmocka_unit_test(openai_refuses),
        cmocka_unit_test(edits_stream),
        cmocka_unit_test(answers_name_no_folder),
        cmocka_unit_test(an_idempotency_key_joins),
        cmocka_unit_test(a_key_of_a_cancelled_job_starts_anew),
        cmocka_unit_test(a_cancelled_job_is_a_conflict),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start_shared, stop_shared);
}
