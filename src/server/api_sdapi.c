/* SPDX-License-Identifier: MIT */
/* /sdapi/v1: the interface of AUTOMATIC1111's web UI (modules/api of that project), as its clients
 * use it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "server/base64.h"
#include "server/dialect.h"
#include "server/sampler_names.h"
#include "server/sdapi_options.h"
#include "server/upload.h"
#include "server/waiting.h"

/* ---- making pictures ------------------------------------------------------------------------- */

/* What the original can do, and this cannot. */
static void refuse_extras(ldm_dialect *d)
{
    static const char *const fields[][2] = {
        {"enable_hr", "the second pass at a higher resolution"},
        {"tiling", "tiling"},
        {"restore_faces", "restoring faces"},
        {"alwayson_scripts", "scripts"},
        {"script_name", "scripts"},
        {"styles", "styles"},
        {"refiner_checkpoint", "a refiner"},
        {"refiner_switch_at", "a refiner"},
        {"infotext", "reading parameters from a text"},
        {"s_churn", "noise in k-diffusion's steps"},
        {"s_min_uncond", "steps without the negative prompt"},
        {"latent_mask", "a mask of the latent"},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        ldm_dialect_only_off(d, fields[i][0], fields[i][1]);
}

/* sampler_name, or sampler_index as older clients send it; the original's default is Euler. A
 * schedule that a name brings along is the library's to see. */
static void read_sampler(ldm_dialect *d)
{
    const char *field = "sampler_name", *name = ldm_dialect_text(d, field);
    char near[200];

    if ((!name || !*name) && json_is_string(json_object_get(d->body, "sampler_index"))) {
        field = "sampler_index";
        name = ldm_dialect_text(d, field);
    }
    if (!name || !*name)
        name = "Euler";
    if (ldm_sampler_is_known(name)) {
        json_object_set_new(d->settings, "sampler", json_string(name));
        return;
    }
    ldm_sampler_nearest(name, near, sizeof near);
    ldm_dialect_refuse(
        d, field, "Sampler not found; the nearest are %s, and /sdapi/v1/samplers lists all", near);
}

static void read_scheduler(ldm_dialect *d)
{
    const char *name = ldm_dialect_text(d, "scheduler"), *here;
    const char *sampler = json_string_value(json_object_get(d->settings, "sampler"));
    char others[200];

    if (!name || !*name || !strcasecmp(name, "automatic") || !strcasecmp(name, "none"))
        return;
    here = ldm_schedule_named(name);
    if (!here) {
        ldm_schedule_nearest(name, others, sizeof others);
        ldm_dialect_refuse(
            d, "scheduler",
            "there is no such schedule; the nearest are %s, and /sdapi/v1/schedulers lists all",
            others);
    } else if (sampler && !ldm_sampler_runs_with(sampler, here, others, sizeof others)) {
        ldm_dialect_refuse(d, "scheduler", "%s does not run with it, but with %s", sampler, others);
    } else {
        json_object_set_new(d->settings, "timesteps", json_string(here));
    }
}

/* Whether the sampler that is asked for takes a setting. */
static bool sampler_takes(const ldm_dialect *d, const char *setting)
{
    const char *name = json_string_value(json_object_get(d->settings, "sampler"));

    return name && ldm_sampler_takes_setting(name, setting);
}

/* The web UI's options for this request alone, the model among them. */
static void read_override(ldm_dialect *d)
{
    const json_t *options = json_object_get(d->body, "override_settings");
    const char *model = NULL;

    if (options && !json_is_null(options) && !json_is_object(options))
        ldm_dialect_refuse(d, "override_settings", "this is an object of options");
    else if (!d->failed)
        d->failed = !ldm_sdapi_options_fit(options, d->server->shelf, &model, &d->refusal);
    snprintf(d->model, sizeof d->model, "%s", model ? model : d->server->sd_model);
}

/* The variation seed: picture i begins between the noise of the seed and that of subseed + i. */
static void read_variation(ldm_dialect *d)
{
    static const char *const sides[] = {"seed_resize_from_h", "seed_resize_from_w"};
    const double strength = ldm_dialect_get(d, "subseed_strength", 0, 0, 1);

    for (size_t i = 0; i < 2; i++) { /* -1 and 0 ask for nothing */
        if (ldm_dialect_get(d, sides[i], 0, -1, 1e9) > 0)
            ldm_dialect_refuse(d, sides[i], "the noise of another size cannot be had here");
    }
    if (!(strength > 0))
        return;
    json_object_set_new(d->settings, "vary_strength", json_real(strength));
    json_object_set_new(d->settings, "vary", json_integer(-1));
    ldm_dialect_number(d, "subseed", "vary");
}

static void read_fields(ldm_dialect *d)
{
    const double images =
        ldm_dialect_get(d, "batch_size", 1, 1, 10000) * ldm_dialect_get(d, "n_iter", 1, 1, 10000);

    read_override(d);
    ldm_dialect_prompt(d, "prompt", "prompt");
    ldm_dialect_prompt(d, "negative_prompt", "negative");
    ldm_dialect_number(d, "seed", "seed");
    read_variation(d);
    ldm_dialect_number(d, "steps", "steps");
    ldm_dialect_number(d, "width", "width");
    ldm_dialect_number(d, "height", "height");
    if (ldm_dialect_guides(d))
        ldm_dialect_number(d, "cfg_scale", "scale");
    json_object_set_new(d->settings, "count", json_integer((json_int_t)images));
    read_sampler(d);
    read_scheduler(d);
    if (!d->failed && sampler_takes(d, "eta")) /* clients send eta 1.0 whatever the sampler */
        ldm_dialect_number(d, "eta", "eta");
}

/* ---- the answer ------------------------------------------------------------------------------ */

static json_t *or_default(const json_t *recipe, const char *key, json_t *missing)
{
    json_t *v = json_object_get(recipe, key);

    if (!v || json_is_null(v))
        return missing;
    json_decref(missing);
    return json_deep_copy(v);
}

/* What the library remarks on the job, one remark a line. */
static json_t *notes_of(const json_t *job)
{
    ldm_str text = {0};
    json_t *out;
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(job, "notes"), i, v)
        ldm_str_printf(&text, "%s%s", i ? "\n" : "", json_string_value(v));
    out = ldm_json_text(text.data && !text.failed ? text.data : "");
    ldm_str_free(&text);
    return out;
}

/* The object that the answer holds as a text. */
static json_t *info_json(const json_t *job, const json_t *recipe, json_t *seeds, json_t *texts,
                         const int size[2])
{
    json_t *root = json_object(), *prompts = json_array(), *negatives = json_array(),
           *subseeds = json_array();
    const uint64_t subseed = ldm_gallery_seed_of(json_object_get(recipe, "vary"));
    const json_t *checkpoint = json_object_get(recipe, "checkpoint");
    const char *hash = json_string_value(json_object_get(checkpoint, "sha256"));
    char stamp[32] = "", short_hash[11] = "";
    const time_t created = (time_t)json_number_value(json_object_get(job, "created"));
    struct tm parts;

    if (hash)
        snprintf(short_hash, sizeof short_hash, "%.10s", hash);
    if (localtime_r(&created, &parts))
        strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &parts);
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        json_array_append_new(subseeds, ldm_json_u64(subseed + i));
        json_array_append_new(prompts, or_default(recipe, "prompt", json_string("")));
        json_array_append_new(negatives, or_default(recipe, "negative", json_string("")));
    }
    json_object_set_new(root, "prompt", or_default(recipe, "prompt", json_string("")));
    json_object_set_new(root, "all_prompts", prompts);
    json_object_set_new(root, "negative_prompt", or_default(recipe, "negative", json_string("")));
    json_object_set_new(root, "all_negative_prompts", negatives);
    json_object_set_new(root, "seed", json_deep_copy(json_array_get(seeds, 0)));
    json_object_set_new(root, "all_seeds", seeds);
    json_object_set_new(root, "subseed", ldm_json_u64(subseed));
    json_object_set_new(root, "all_subseeds", subseeds);
    json_object_set_new(root, "subseed_strength",
                        or_default(recipe, "vary_strength", json_integer(0)));
    json_object_set_new(root, "width", json_integer(size[0]));
    json_object_set_new(root, "height", json_integer(size[1]));
    json_object_set_new(root, "sampler_name",
                        ldm_sampler_webui(json_object_get(recipe, "sampler")));
    json_object_set_new(root, "cfg_scale", or_default(recipe, "scale", json_integer(1)));
    json_object_set_new(root, "steps", or_default(recipe, "steps", json_integer(0)));
    json_object_set_new(root, "batch_size", json_integer((json_int_t)json_array_size(texts)));
    json_object_set_new(root, "restore_faces", json_false());
    json_object_set_new(root, "face_restoration_model", json_null());
    json_object_set_new(root, "sd_model_name", or_default(checkpoint, "name", json_string("")));
    json_object_set_new(root, "sd_model_hash", json_string(short_hash));
    json_object_set_new(root, "sd_vae_name", json_null());
    json_object_set_new(root, "sd_vae_hash", json_null());
    json_object_set_new(root, "seed_resize_from_w", json_integer(-1));
    json_object_set_new(root, "seed_resize_from_h", json_integer(-1));
    json_object_set_new(root, "denoising_strength", json_null());
    json_object_set_new(root, "extra_generation_params", json_object());
    json_object_set_new(root, "index_of_first_image", json_integer(0));
    json_object_set_new(root, "infotexts", texts);
    json_object_set_new(root, "styles", json_array());
    json_object_set_new(root, "comments", notes_of(job));
    json_object_set_new(root, "job_timestamp", json_string(stamp));
    json_object_set_new(root, "clip_skip", json_integer(1));
    json_object_set_new(root, "is_using_inpainting_conditioning", json_false());
    json_object_set_new(root, "version", json_pack("s+", "ldm ", ldm_version()));
    return root;
}

/* Width and height in the header of a PNG in base64. */
static void size_of(const json_t *picture, int size[2])
{
    const char *text = json_string_value(picture);
    unsigned char head[30];
    size_t n;

    size[0] = size[1] = 0;
    if (!text || strlen(text) < 40 || !ldm_base64_decode(text, 40, head, sizeof head, &n) || n < 24)
        return;
    size[0] = head[16] << 24 | head[17] << 16 | head[18] << 8 | head[19];
    size[1] = head[20] << 24 | head[21] << 16 | head[22] << 8 | head[23];
}

static void answer_pictures(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job)
{
    json_t *images = json_array(), *seeds = json_array(), *texts = json_array(), *first = NULL,
           *about, *info;
    const json_t *all = json_object_get(job, "pictures"), *p;
    ldm_str text = {0};
    int size[2];
    size_t i;

    json_array_foreach(all, i, p)
    {
        const int index = (int)json_integer_value(json_object_get(p, "index"));
        json_t *recipe = ldm_dialect_recipe(s, id, index);
        size_t bytes;
        char *png = ldm_server_png(s, id, index, &bytes);

        json_array_append_new(images, ldm_dialect_picture(s, id, index));
        json_array_append(seeds, json_object_get(p, "seed"));
        json_array_append_new(texts, png ? ldm_dialect_parameters(png, bytes) : json_string(""));
        ldm_free(png);
        if (!first)
            first = json_incref(recipe);
        json_decref(recipe);
    }
    size_of(json_array_get(images, 0), size);
    info = info_json(job, first, seeds, texts, size);
    about = ldm_jobs_about(s->jobs, id);
    if (json_is_false(json_object_get(about, "send_images")))
        json_array_clear(images);
    if (ldm_json_append(info, JSON_COMPACT, &text))
        ldm_http_answer_json(x, 200,
                             json_pack("{s:o, s:o, s:s}", "images", images, "parameters",
                                       about ? about : json_object(), "info", text.data));
    else
        ldm_answer_refused(x, 500, "out of memory");
    ldm_str_free(&text);
    json_decref(info);
    json_decref(first);
}

static bool on_job(ldm_server *s, ldm_exchange *x, const char *id, const json_t *job, bool preview)
{
    const char *state = json_string_value(json_object_get(job, "state"));
    ldm_refusal r;

    (void)preview;
    if (job && (!strcmp(state, "queued") || !strcmp(state, "running")))
        return true;
    if (ldm_dialect_job_failed(job, &r))
        ldm_answer_refusal(x, &r);
    else
        answer_pictures(s, x, id, job);
    return false;
}

/* Submits what was read, and waits. about: the body, as the answer repeats it (taken). */
static void submit(ldm_dialect *d, ldm_exchange *x, json_t *about)
{
    const ldm_waiter how = {.cancels = !d->server->keep_disconnected, .update = on_job};
    char id[LDM_ID_LENGTH + 1];

    if (ldm_dialect_submit(d, about, id))
        ldm_waiting_add(d->server->waiting, x, id, &how);
    else
        ldm_answer_refusal(x, &d->refusal);
}

static void post_txt2img(void *app, ldm_exchange *x)
{
    json_t *body = ldm_request_json(x);
    ldm_dialect d = {.server = app, .body = body, .picture_field = "init_images"};

    if (!body)
        return;
    d.settings = json_object();
    refuse_extras(&d);
    read_fields(&d);
    submit(&d, x, body);
}

/* How a picture of another size becomes the one that is asked for. */
static void read_resize(ldm_dialect *d)
{
    static const char *const fits[] = {"stretch", "crop", "pad"};
    const int mode = (int)ldm_dialect_get(d, "resize_mode", 0, 0, 3);

    if (mode == 3)
        ldm_dialect_refuse(d, "resize_mode",
                           "resizing latents cannot be done here; 0, 1 and 2 can");
    else if (json_object_get(d->body, "resize_mode") || json_object_get(d->settings, "width") ||
             json_object_get(d->settings, "height"))
        json_object_set_new(d->settings, "fit", json_string(fits[mode]));
}

static void read_starts(ldm_dialect *d)
{
    const json_t *images = json_object_get(d->body, "init_images"),
                 *mask = json_object_get(d->body, "mask");
    const ldm_upload_kind kind = ldm_dialect_get(d, "inpainting_mask_invert", 0, 0, 1) > 0
                                     ? LDM_UPLOAD_MASK_INVERT
                                     : LDM_UPLOAD_MASK_OPAQUE;

    if (d->failed)
        return;
    if (!json_array_size(images)) {
        d->failed = true;
        ldm_refuse(&d->refusal, 404, "ERR_USAGE", "init_images", "Init image not found");
    } else if (json_array_size(images) > 1) {
        ldm_dialect_refuse(d, "init_images", "one picture at a time");
    } else {
        d->failed = !ldm_upload_take_text(d->server, LDM_UPLOAD_PICTURE, "init_images",
                                          json_array_get(images, 0), &d->init, &d->refusal) ||
                    (mask && !json_is_null(mask) &&
                     !ldm_upload_take_text(d->server, kind, "mask", mask, &d->mask, &d->refusal));
    }
}

/* The request without its pictures: the answer repeats it, and the job's file keeps it. */
static json_t *without_pictures(const json_t *body)
{
    json_t *out = json_copy((json_t *)(uintptr_t)body); /* only read */

    if (!json_is_true(json_object_get(body, "include_init_images"))) {
        json_object_set_new(out, "init_images", json_null());
        json_object_set_new(out, "mask", json_null());
    }
    return out;
}

static void post_img2img(void *app, ldm_exchange *x)
{
    json_t *body = ldm_request_json(x), *about;
    ldm_dialect d = {.server = app, .body = body, .picture_field = "init_images"};

    if (!body)
        return;
    d.settings = json_object();
    refuse_extras(&d);
    read_fields(&d);
    /* clients send it always; a model that reads the picture beside the latent begins with noise */
    if (!ldm_dialect_reads_picture(&d))
        ldm_dialect_number(&d, "denoising_strength", "strength");
    if (json_object_get(body, "mask"))
        ldm_dialect_number(&d, "mask_blur", "mask_blur");
    read_resize(&d);
    read_starts(&d);
    about = without_pictures(body);
    submit(&d, x, about);
    json_decref(body);
}

/* ---- progress -------------------------------------------------------------------------------- */

/* From 0 to 1 over all pictures; decoding counts as the last hundredth. */
static double done_part(const json_t *job)
{
    const double steps = json_number_value(json_object_get(job, "steps"));
    const double count = json_number_value(json_object_get(job, "count"));
    const double image = json_number_value(json_object_get(job, "image"));
    const double batch = json_number_value(json_object_get(job, "images_in_batch"));
    const double step = json_number_value(json_object_get(job, "step"));

    if (steps <= 0 || count <= 0)
        return 0.001; /* 0 would be: nothing is going on */
    return 0.001 + 0.989 * (image + batch * step / steps) / count;
}

static void get_progress(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    const char *skip = ldm_http_query(x, "skip_current_image");
    const bool without = skip && (!strcasecmp(skip, "true") || !strcmp(skip, "1"));
    char id[LDM_ID_LENGTH + 1] = "", stamp[32] = "0";
    const bool busy = ldm_jobs_current(s->jobs, id);
    json_t *job = busy ? ldm_jobs_describe(s->jobs, id) : NULL, *image = json_null(), *state, *eta;
    const time_t started = (time_t)json_number_value(json_object_get(job, "started"));
    struct tm parts;

    if (busy && !without) {
        ldm_jobs_want_preview(s->jobs, id);
        image = ldm_dialect_preview(s, id);
    }
    if (started && localtime_r(&started, &parts))
        strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &parts);
    state = json_pack("{s:b, s:b, s:b, s:s, s:i, s:s, s:o, s:o, s:o}", "skipped", false,
                      "interrupted", false, "stopping_generation", false, "job", busy ? id : "",
                      "job_count", busy ? 1 : 0, "job_timestamp", stamp, "job_no",
                      or_default(job, "image", json_integer(0)), "sampling_step",
                      or_default(job, "step", json_integer(0)), "sampling_steps",
                      or_default(job, "steps", json_integer(0)));
    eta = or_default(job, "eta_seconds", json_real(0));
    ldm_http_answer_json(x, 200,
                         json_pack("{s:f, s:o, s:o, s:o, s:s}", "progress",
                                   busy ? done_part(job) : 0.0, "eta_relative", eta, "state", state,
                                   "current_image", image, "textinfo", ""));
    json_decref(job);
}

/* What the original's button does: it stops what runs, whoever asked for it. */
static bool stop_current(ldm_server *s)
{
    char id[LDM_ID_LENGTH + 1];

    return ldm_jobs_current(s->jobs, id) && ldm_jobs_cancel(s->jobs, id);
}

static void post_interrupt(void *app, ldm_exchange *x)
{
    (void)stop_current(app);
    ldm_http_answer_json(x, 200, json_object());
}

static void post_skip(void *app, ldm_exchange *x)
{
    (void)stop_current(app);
    ldm_http_answer_json(x, 200, json_null());
}

/* ---- tables ---------------------------------------------------------------------------------- */

static const char *current_model(const ldm_server *s)
{
    return *s->sd_model ? s->sd_model : ldm_shelf_first(s->shelf);
}

static void get_options(void *app, ldm_exchange *x)
{
    ldm_http_answer_json(x, 200,
                         json_pack("{s:o, s:s, s:s, s:b, s:b}", "sd_model_checkpoint",
                                   ldm_json_text(current_model(app)), "sd_vae", "Automatic",
                                   "samples_format", "png", "samples_save", true,
                                   "show_progress_every_n_steps", true));
}

static void post_options(void *app, ldm_exchange *x)
{
    ldm_server *s = app;
    json_t *body = ldm_request_json(x);
    const char *model;
    ldm_refusal r;

    if (!body)
        return;
    if (!json_is_object(body)) {
        ldm_refuse(&r, 422, "ERR_FORMAT", "", "the options are a JSON object");
        ldm_answer_refusal(x, &r);
    } else if (!ldm_sdapi_options_fit(body, s->shelf, &model, &r)) {
        ldm_answer_refusal(x, &r);
    } else {
        if (model)
            snprintf(s->sd_model, sizeof s->sd_model, "%s", model);
        ldm_http_answer_json(x, 200, json_object());
    }
    json_decref(body);
}

static void get_samplers(void *app, ldm_exchange *x)
{
    (void)app;
    ldm_http_answer_json(x, 200, ldm_sampler_names());
}

static void get_schedulers(void *app, ldm_exchange *x)
{
    (void)app;
    ldm_http_answer_json(x, 200, ldm_schedule_names());
}

static void get_models(void *app, ldm_exchange *x)
{
    json_t *list = ldm_shelf_list(((ldm_server *)app)->shelf), *out = json_array(), *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        json_t *name = json_object_get(v, "name");

        if (json_is_false(json_object_get(v, "fits"))) /* clients offer all that is listed */
            continue;
        json_array_append_new(out, json_pack("{s:O, s:O, s:n, s:n, s:o, s:n}", "title", name,
                                             "model_name", name, "hash", "sha256", "filename",
                                             or_default(v, "file", json_incref(name)), "config"));
    }
    json_decref(list);
    ldm_http_answer_json(x, 200, out);
}

static void get_empty_list(void *app, ldm_exchange *x)
{
    (void)app;
    ldm_http_answer_json(x, 200, json_array());
}

static void get_empty_object(void *app, ldm_exchange *x)
{
    (void)app;
    ldm_http_answer_json(x, 200, json_object());
}

static void get_scripts(void *app, ldm_exchange *x)
{
    (void)app;
    ldm_http_answer_json(x, 200, json_pack("{s:[], s:[]}", "txt2img", "img2img"));
}

static void get_embeddings(void *app, ldm_exchange *x)
{
    (void)app;
    ldm_http_answer_json(x, 200, json_pack("{s:{}, s:{}}", "loaded", "skipped"));
}

/* A line "NAME:  N kB" of /proc/meminfo in bytes; 0: there is none. */
static json_int_t memory_of(const char *name)
{
    FILE *f = fopen("/proc/meminfo", "re");
    const size_t len = strlen(name);
    json_int_t bytes = 0;
    char line[128];

    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, name, len) && line[len] == ':')
            bytes = (json_int_t)strtoll(line + len + 1, NULL, 10) * 1024;
    }
    if (f)
        fclose(f);
    return bytes;
}

static void get_memory(void *app, ldm_exchange *x)
{
    const json_int_t total = memory_of("MemTotal"), available = memory_of("MemAvailable");

    (void)app;
    ldm_http_answer_json(x, 200,
                         json_pack("{s:{s:I, s:I, s:I}, s:{s:s}}", "ram", "free", available, "used",
                                   total - available, "total", total, "cuda", "error",
                                   "unavailable"));
}

/* ---- reading pictures ------------------------------------------------------------------------ */

static void post_png_info(void *app, ldm_exchange *x)
{
    json_t *body = ldm_request_json(x), *recipe = NULL;
    const char *image = json_string_value(json_object_get(body, "image"));
    char *text = NULL;
    json_t *parameters, *items;
    unsigned char *bytes;
    ldm_refusal r;
    size_t size;

    if (!body)
        return;
    bytes = image ? ldm_upload_bytes(image, &size) : NULL;
    if (!bytes) {
        ldm_refuse(&r, image && *image ? 422 : 404, "ERR_FORMAT", "image",
                   "this is no picture in base64");
        ldm_answer_refusal(x, &r);
        json_decref(body);
        return;
    }
    if (!ldm_server_read_recipe(app, bytes, size, &text, NULL))
        recipe = json_loads(text, 0, NULL);
    parameters =
        ldm_dialect_parameters((const char *)bytes, size); /* also of other programs' pictures */
    items = json_object();
    json_object_set(items, "parameters", parameters);
    if (text)
        json_object_set_new(items, "ldm", ldm_json_text(text));
    ldm_http_answer_json(x, 200,
                         json_pack("{s:o, s:o, s:o}", "info", parameters, "items", items,
                                   "parameters", recipe ? recipe : json_object()));
    json_decref(body);
    ldm_release(text);
    ldm_free(bytes);
}

const ldm_route ldm_sdapi_routes[] = {
    {LDM_HTTP_POST, "/sdapi/v1/txt2img", post_txt2img},
    {LDM_HTTP_POST, "/sdapi/v1/img2img", post_img2img},
    {LDM_HTTP_GET, "/sdapi/v1/progress", get_progress},
    {LDM_HTTP_POST, "/sdapi/v1/interrupt", post_interrupt},
    {LDM_HTTP_POST, "/sdapi/v1/skip", post_skip},
    {LDM_HTTP_GET, "/sdapi/v1/options", get_options},
    {LDM_HTTP_POST, "/sdapi/v1/options", post_options},
    {LDM_HTTP_GET, "/sdapi/v1/samplers", get_samplers},
    {LDM_HTTP_GET, "/sdapi/v1/schedulers", get_schedulers},
    {LDM_HTTP_GET, "/sdapi/v1/sd-models", get_models},
    {LDM_HTTP_GET, "/sdapi/v1/sd-vae", get_empty_list},
    {LDM_HTTP_POST, "/sdapi/v1/png-info", post_png_info},
    {LDM_HTTP_GET, "/sdapi/v1/upscalers", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/latent-upscale-modes", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/scripts", get_scripts},
    {LDM_HTTP_GET, "/sdapi/v1/embeddings", get_embeddings},
    {LDM_HTTP_GET, "/sdapi/v1/memory", get_memory},
    {LDM_HTTP_GET, "/sdapi/v1/cmd-flags", get_empty_object},
    {LDM_HTTP_GET, "/sdapi/v1/face-restorers", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/hypernetworks", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/prompt-styles", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/loras", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/realesrgan-models", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/script-info", get_empty_list},
    {LDM_HTTP_GET, "/sdapi/v1/extensions", get_empty_list},
};

const size_t ldm_sdapi_route_count = sizeof ldm_sdapi_routes / sizeof *ldm_sdapi_routes;
