/* SPDX-License-Identifier: MIT */
/* The generation thread; see worker.h. */
#include "server/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_text.h"
#include "base/str.h"
#include "server/order.h"
#include "server/job_preview.h"
#include "server/serve_options.h"

static const double preview_seconds = 0.5; /* between two previews */

struct ldm_worker {
    pthread_t thread;
    pthread_mutex_t lock; /* of state and error */
    ldm_worker_state state;
    ldm_error error;
    ldm_jobs *jobs;
    ldm_shelf *shelf;
    ldm_gallery *gallery;
    ldm_worker_settings settings;
    void (*notify)(void *ctx);
    void *ctx;
    /* of the job that runs */
    char id[LDM_ID_LENGTH + 1];
    const ldm_order *order;
    ldm_image init, mask; /* what it begins with; no pixels: nothing */
    double last_preview;
    atomic_ullong progress_ns; /* of a processor, within on_progress */
};

/* ---- progress -------------------------------------------------------------------------------- */

/* Takes rgb, [h,w,3], as the job's newest preview. */
static void set_preview(ldm_worker *w, const uint8_t *rgb, int width, int height)
{
    const ldm_image im = {width, height, 3, (uint8_t *)(uintptr_t)rgb}; /* only read */
    char *png;
    size_t size;

    w->last_preview = ldm_seconds();
    if (!ldm_image_encode(&im, NULL, &png, &size, NULL))
        ldm_jobs_set_preview(w->jobs, w->id, (unsigned char *)png, size);
}

/* Of the library, for a job that asked for previews; else the latents' channels as colours. */
static void make_preview(ldm_worker *w, const ldm_progress *p)
{
    uint8_t *rgb;

    if (p->preview && p->preview_count) {
        set_preview(w, p->preview, p->preview_width, p->preview_height);
    } else if (p->predicted && !w->order->preview) {
        rgb = ldm_malloc((size_t)p->latent_h * (size_t)p->latent_w * 3);
        if (rgb) {
            ldm_preview_paint(p->predicted, p->latent_c, p->latent_h, p->latent_w, rgb);
            set_preview(w, rgb, p->latent_w, p->latent_h);
        }
        ldm_free(rgb);
    }
}

static int on_progress(void *ctx, const ldm_progress *p)
{
    ldm_worker *w = ctx;
    const ldm_ticket_progress at = {.step = p->step,
                                    .steps = p->step_count,
                                    .image = p->first_image,
                                    .images_in_batch = p->images_in_batch,
                                    .count = p->image_count,
                                    .stage = p->stage[0] == 'd' ? "decoding" : "sampling"};
    const double begin = ldm_thread_seconds();

    if (ldm_jobs_progress(w->jobs, w->id, &at) && ldm_seconds() - w->last_preview > preview_seconds)
        make_preview(w, p);
    atomic_fetch_add(&w->progress_ns, (unsigned long long)(1e9 * (ldm_thread_seconds() - begin)));
    return 0; /* is_cancelled is asked more often */
}

static bool is_cancelled(void *ctx)
{
    const ldm_worker *w = ctx;

    return ldm_jobs_cancelled(w->jobs, w->id);
}

double ldm_worker_progress_seconds(const ldm_worker *w)
{
    return 1e-9 * (double)atomic_load(&w->progress_ns);
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* The recipe as `ldm generate -n COUNT` writes it. free() it. */
static char *complete_recipe(const ldm_worker *w, const char *library)
{
    json_t *root = json_loads(library, 0, NULL), *files = json_object();
    ldm_str text = {0};

    json_object_set(files, "count", json_object_get(w->order->settings, "count"));
    json_object_set_new(root, "files", files);
    if (!ldm_json_append(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17), &text))
        ldm_str_free(&text);
    json_decref(root);
    return text.data;
}

/* One channel of a grey picture. NULL when out of memory. */
static uint8_t *grey(const ldm_result *r)
{
    const size_t n = (size_t)r->width * (size_t)r->height;
    uint8_t *out = ldm_malloc(n);

    for (size_t i = 0; out && i < n; i++)
        out[i] = r->pixels[3 * i];
    return out;
}

static ldm_status write_picture(ldm_worker *w, ldm_run *run, const ldm_result *r, ldm_error *err)
{
    const bool is_grey = ldm_run_get_info(run)->image_c == 1;
    uint8_t *own = is_grey ? grey(r) : NULL;
    const ldm_image im = {r->width, r->height, is_grey ? 1 : r->channels,
                          own ? own : (uint8_t *)(uintptr_t)r->pixels}; /* only read */
    char *library = NULL, *recipe = NULL, *path = ldm_gallery_picture(w->gallery, w->id, r->index);
    ldm_status st = ldm_run_recipe(run, r->index, &library, err);

    if (!st) {
        recipe = complete_recipe(w, library);
        if (!recipe || !path || (is_grey && !own))
            st = ldm_error_nomem(err, 0, "a picture");
    }
    if (!st)
        st = ldm_image_write(path, &im, recipe, err);
    if (!st)
        ldm_jobs_add_picture(w->jobs, w->id, r->index, r->seed);
    ldm_free(recipe);
    ldm_release(library);
    ldm_free(path);
    ldm_free(own);
    return st;
}

static ldm_status take_pictures(ldm_worker *w, ldm_run *run, int *failed, ldm_error *err)
{
    const ldm_result *r;
    ldm_status st;

    *failed = 0;
    while (!(st = ldm_run_next(run, &r, err)) && r) {
        if (r->status) {
            char note[1200];

            snprintf(note, sizeof note, "picture %d: %s", r->index, err->msg);
            ldm_jobs_note(w->jobs, w->id, note);
            ++*failed;
        } else if (!r->pixels) {
            return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                                 "pictures of this model have %d channels, no PNG's 1 or 3",
                                 ldm_run_get_info(run)->image_c);
        } else {
            st = write_picture(w, run, r, err);
        }
        if (st)
            break;
    }
    return st;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* What the model makes of the picture that a job begins with. */
static const char *meaning(const ldm_worker *w)
{
    static const char *const beside[] = {"image", "segmentation"}; /* read beside the latent */

    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        if (ldm_shelf_takes(w->shelf, w->order->model, beside[i]))
            return beside[i];
    }
    return "init";
}

/* A picture of the job's folder, which the library calls `as`; none is there: fine. */
static ldm_status read_start(ldm_worker *w, ldm_job *job, const char *name, const char *as,
                             ldm_image *im, ldm_error *err)
{
    char *path = ldm_gallery_start(w->gallery, w->id, name);
    ldm_status st = LDM_OK;

    if (path)
        st = strcmp(as, "segmentation") != 0 ? ldm_image_read_channels(path, 0, im, err)
                                             : ldm_image_read_labels(path, NULL, im, err);
    if (path && !st)
        st = ldm_job_set_images(job, as, im, 1, err);
    ldm_free(path);
    return st;
}

static void release_starts(ldm_worker *w)
{
    ldm_release(w->init.pixels);
    ldm_release(w->mask.pixels);
    memset(&w->init, 0, sizeof w->init);
    memset(&w->mask, 0, sizeof w->mask);
}

/* The settings that are the server's. */
static ldm_status set_own(const ldm_worker *w, ldm_job *job, ldm_error *err)
{
    const char *const own[][2] = {{"threads", w->settings.threads},
                                  {"max_memory", w->settings.max_memory},
                                  {"vocab", w->settings.vocab}};
    ldm_status st = LDM_OK;

    for (size_t i = 0; !st && i < sizeof own / sizeof *own; i++) {
        if (own[i][1])
            st = ldm_job_set(job, own[i][0], own[i][1], err);
    }
    return st;
}

static ldm_status make_job(ldm_worker *w, const ldm_model *model, ldm_job **job, ldm_error *err)
{
    const ldm_sizes sizes = ldm_sizes_of(ldm_model_get_info(model));
    char field[64];
    ldm_status st = ldm_job_create(model, job, err);

    if (!st)
        st = ldm_order_apply(w->order, *job, &sizes, field, err);
    if (!st)
        st = set_own(w, *job, err);
    if (!st && w->order->preview)
        st = ldm_job_set_int(*job, "preview", 1, err);
    if (!st)
        st = read_start(w, *job, "init", meaning(w), &w->init, err);
    if (!st)
        st = read_start(w, *job, "mask", "mask", &w->mask, err);
    if (!st) {
        ldm_job_set_progress(*job, on_progress, w);
        ldm_job_set_cancel(*job, is_cancelled, w);
    }
    return st;
}

static ldm_status run_job(ldm_worker *w, int *failed, int *count, ldm_error *err)
{
    const ldm_model *model;
    ldm_job *job = NULL;
    ldm_run *run = NULL;
    ldm_status st = ldm_shelf_open(w->shelf, w->order->model, &model, err);

    if (!st)
        st = make_job(w, model, &job, err);
    if (!st)
        st = ldm_run_create(model, job, &run, err);
    for (size_t i = 0; !st && i < ldm_run_note_count(run); i++)
        ldm_jobs_note(w->jobs, w->id, ldm_run_note(run, i));
    if (!st) {
        *count = ldm_run_get_info(run)->count;
        st = take_pictures(w, run, failed, err);
    }
    ldm_run_free(run);
    ldm_job_free(job);
    release_starts(w);
    return st;
}

static void work(ldm_worker *w)
{
    int failed = 0, count = 0;
    ldm_error err = {.msg = ""};
    const ldm_status st = run_job(w, &failed, &count, &err);

    if (st == LDM_ERR_CANCELLED)
        ldm_jobs_finish(w->jobs, w->id, LDM_TICKET_CANCELLED, NULL, NULL);
    else if (st)
        ldm_jobs_finish(w->jobs, w->id, LDM_TICKET_FAILED, ldm_status_name(st), err.msg);
    else if (failed && failed == count)
        ldm_jobs_finish(w->jobs, w->id, LDM_TICKET_FAILED, ldm_status_name(LDM_ERR_NUMERIC),
                        "every picture failed; the notes say how");
    else
        ldm_jobs_finish(w->jobs, w->id, LDM_TICKET_DONE, NULL, NULL);
}

static void set_state(ldm_worker *w, ldm_worker_state state, const ldm_error *err)
{
    pthread_mutex_lock(&w->lock);
    w->state = state;
    if (err)
        w->error = *err;
    pthread_mutex_unlock(&w->lock);
    w->notify(w->ctx);
}

/* What the first model takes is known before the first request. */
static ldm_status open_first(ldm_worker *w, ldm_error *err)
{
    const char *name = ldm_shelf_first(w->shelf);
    const ldm_model *model;
    char why[800];
    ldm_status st = ldm_shelf_open(w->shelf, name, &model, err);

    if (st)
        return st;
    ldm_shelf_judge_first(w->shelf);
    if (ldm_shelf_verdict(w->shelf, name, why, sizeof why) && *why)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED, "%s: %s", name, why);
    return st;
}

static void *worker_main(void *ctx)
{
    ldm_worker *w = ctx;
    ldm_error err;

    while (open_first(w, &err)) {
        if (!ldm_shelf_pass_over(w->shelf, &err, ldm_serve_say)) {
            set_state(w, LDM_WORKER_FAILED, &err);
            return NULL;
        }
    }
    set_state(w, LDM_WORKER_READY, NULL);
    ldm_shelf_judge_others(w->shelf, ldm_serve_say);
    w->notify(w->ctx);
    while (ldm_jobs_take(w->jobs, w->id, &w->order))
        work(w);
    return NULL;
}

ldm_status ldm_worker_start(ldm_jobs *jobs, ldm_shelf *shelf, ldm_gallery *gallery,
                            const ldm_worker_settings *settings, void (*notify)(void *ctx),
                            void *ctx, ldm_worker **out, ldm_error *err)
{
    ldm_worker *w = ldm_calloc(1, sizeof *w);
    sigset_t all, old;
    int failed;

    *out = NULL;
    if (!w)
        return ldm_error_nomem(err, sizeof *w, "the worker");
    w->jobs = jobs;
    w->shelf = shelf;
    w->gallery = gallery;
    w->settings = *settings;
    w->notify = notify;
    w->ctx = ctx;
    pthread_mutex_init(&w->lock, NULL);
    sigfillset(&all); /* signals are the other thread's, but for a mapped file that went away */
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!failed) {
        *out = w;
        return LDM_OK;
    }
    pthread_mutex_destroy(&w->lock);
    ldm_free(w);
    return ldm_error_set(err, LDM_ERR_LIMIT, "a thread could not be started");
}

void ldm_worker_join(ldm_worker *w)
{
    if (!w)
        return;
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    ldm_free(w);
}

ldm_worker_state ldm_worker_get_state(ldm_worker *w, ldm_error *err)
{
    ldm_worker_state state;

    pthread_mutex_lock(&w->lock);
    state = w->state;
    if (state == LDM_WORKER_FAILED)
        *err = w->error;
    pthread_mutex_unlock(&w->lock);
    return state;
}
