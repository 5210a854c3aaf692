/* SPDX-License-Identifier: MIT */
/* The jobs of the server; see job_queue.h. */
#include "server/job_queue.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_text.h"
#include "server/private_paths.h"

enum { PREVIEW_SECONDS = 10 };
/* Between two notices of steps: a small model's step is shorter than telling of it. */
static const double notify_seconds = 0.2;

typedef struct ticket_picture {
    int index;
    uint64_t seed;
} ticket_picture;

typedef struct ticket {
    char id[LDM_ID_LENGTH + 1];
    ldm_order order;
    ldm_ticket_state state;
    double created, started, finished; /* UNIX time; 0: not yet */
    double began;                      /* ldm_seconds */
    ldm_ticket_progress at;
    bool cancel;
    bool init, mask; /* it begins with such a picture */
    char code[24], *message;
    json_t *notes;
    ticket_picture *pictures;
    size_t picture_count, picture_cap;
    unsigned char *preview;
    size_t preview_size;
    unsigned preview_number;
    double preview_until;
    unsigned version;
} ticket;

struct ldm_jobs {
    pthread_mutex_t lock;
    pthread_cond_t more;
    ldm_gallery *gallery;
    size_t capacity;
    void (*notify)(void *ctx);
    double notified; /* when notify was last called for a step */
    void *ctx;
    ticket **all; /* by time of creation */
    size_t count, cap;
    bool stop;
    ldm_jobs_totals totals;
};

static const char *const state_names[] = {"queued", "running",   "done",
                                          "failed", "cancelled", "broken"};

static bool is_over(ldm_ticket_state s)
{
    return s != LDM_TICKET_QUEUED && s != LDM_TICKET_RUNNING;
}

static double wall_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void ticket_free(ticket *t)
{
    if (!t)
        return;
    json_decref(t->order.settings);
    json_decref(t->order.recipe);
    json_decref(t->order.about);
    ldm_free(t->order.init.data);
    ldm_free(t->order.mask.data);
    json_decref(t->notes);
    ldm_free(t->message);
    ldm_free(t->pictures);
    ldm_free(t->preview);
    ldm_free(t);
}

static ticket *find(const ldm_jobs *q, const char *id)
{
    for (size_t i = q->count; i > 0; i--) {
        if (!strcmp(q->all[i - 1]->id, id))
            return q->all[i - 1];
    }
    return NULL;
}

/* Takes the lock as well, whatever is found. */
static ticket *lock_and_find(ldm_jobs *q, const char *id)
{
    pthread_mutex_lock(&q->lock);
    return find(q, id);
}

static void changed(ticket *t)
{
    t->version++;
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static json_t *pictures_json(const ticket *t)
{
    json_t *all = json_array();

    for (size_t i = 0; i < t->picture_count; i++) {
        char url[96];

        snprintf(url, sizeof url, "/api/v1/pictures/%s/%d", t->id, t->pictures[i].index);
        json_array_append_new(all,
                              json_pack("{s:i, s:o, s:s}", "index", t->pictures[i].index, "seed",
                                        ldm_json_u64(t->pictures[i].seed), "url", url));
    }
    return all;
}

static int position(const ldm_jobs *q, const ticket *t)
{
    int n = 0;

    for (size_t i = 0; i < q->count && q->all[i] != t; i++)
        n += !is_over(q->all[i]->state);
    return n;
}

/* Seconds that the rest takes if it goes on as it went: steps of all pictures, those of a batch
 * together. */
static json_t *eta_json(const ticket *t)
{
    const double per_picture = t->at.steps > 0 ? t->at.steps : 1;
    const double done = t->at.image * per_picture + (double)t->at.step * t->at.images_in_batch;
    const double all = t->at.count * per_picture;

    if (t->state != LDM_TICKET_RUNNING || done <= 0)
        return json_null();
    return ldm_json_real((ldm_seconds() - t->began) * (all - done) / done);
}

static json_t *real_or_null(double v)
{
    return v > 0 ? json_real(v) : json_null();
}

/* Of the job alone: what its file on disk holds, too. */
static json_t *ticket_json(const ticket *t)
{
    json_t *root = json_object();

    json_object_set_new(root, "id", json_string(t->id));
    json_object_set_new(root, "state", json_string(state_names[t->state]));
    json_object_set_new(root, "model", ldm_json_text(t->order.model));
    json_object_set_new(root, "settings", json_deep_copy(t->order.settings));
    json_object_set_new(root, "init", json_boolean(t->init));
    json_object_set_new(root, "mask", json_boolean(t->mask));
    json_object_set_new(root, "created", real_or_null(t->created));
    json_object_set_new(root, "started", real_or_null(t->started));
    json_object_set_new(root, "finished", real_or_null(t->finished));
    json_object_set_new(root, "pictures", pictures_json(t));
    json_object_set_new(root, "notes", json_deep_copy(t->notes));
    json_object_set_new(
        root, "error",
        *t->code ? json_pack("{s:s, s:o}", "code", t->code, "message", ldm_json_text(t->message))
                 : json_null());
    return root;
}

static json_t *describe(const ldm_jobs *q, const ticket *t)
{
    json_t *root = ticket_json(t);

    json_object_set_new(root, "position",
                        is_over(t->state) ? json_null() : json_integer(position(q, t)));
    json_object_set_new(root, "step", json_integer(t->at.step));
    json_object_set_new(root, "steps", json_integer(t->at.steps));
    json_object_set_new(root, "image", json_integer(t->at.image));
    json_object_set_new(root, "images_in_batch", json_integer(t->at.images_in_batch));
    json_object_set_new(root, "count", json_integer(t->at.count));
    json_object_set_new(root, "stage", json_string(t->at.stage ? t->at.stage : ""));
    json_object_set_new(root, "eta_seconds", eta_json(t));
    json_object_set_new(root, "preview",
                        json_integer(t->preview ? (json_int_t)t->preview_number : 0));
    return root;
}

/* The file of the job. That it cannot be written is no reason to give up the pictures: it is noted.
 */
static void save(const ldm_jobs *q, ticket *t)
{
    json_t *root = ticket_json(t);
    ldm_error err;

    if (t->order.recipe)
        json_object_set(root, "recipe", t->order.recipe);
    if (t->order.about)
        json_object_set(root, "about", t->order.about);
    if (ldm_gallery_save(q->gallery, t->id, root, &err))
        json_array_append_new(t->notes, ldm_json_text(err.msg));
    json_decref(root);
}

/* ---- from disk ------------------------------------------------------------------------------- */

static bool add_picture(ticket *t, int index, uint64_t seed)
{
    if (!ldm_grow(&t->pictures, &t->picture_cap, t->picture_count + 1, sizeof *t->pictures))
        return false;
    t->pictures[t->picture_count++] = (ticket_picture){index, seed};
    return true;
}

static void recall_pictures(ticket *t, const json_t *all)
{
    const json_t *p;
    size_t i;

    json_array_foreach(all, i, p)
    {
        const json_int_t index = json_integer_value(json_object_get(p, "index"));

        if (index >= 0 && index < 100000)
            (void)add_picture(t, (int)index, ldm_gallery_seed_of(json_object_get(p, "seed")));
    }
}

/* What a killed server had finished and not yet written down; pictures are made in order. */
static void find_pictures(const ldm_jobs *q, ticket *t)
{
    int i = t->picture_count ? t->pictures[t->picture_count - 1].index + 1 : 0;
    uint64_t seed;

    while (i < t->at.count && ldm_gallery_seed(q->gallery, t->id, i, &seed) &&
           add_picture(t, i, seed))
        i++;
}

static ldm_ticket_state state_of(const json_t *v)
{
    const char *name = json_string_value(v);

    for (int s = LDM_TICKET_DONE; name && s <= LDM_TICKET_BROKEN; s++) {
        if (!strcmp(name, state_names[s]))
            return (ldm_ticket_state)s;
    }
    return LDM_TICKET_BROKEN; /* it was waiting or running */
}

static void copy_text(char *to, size_t size, const json_t *v)
{
    snprintf(to, size, "%s", json_is_string(v) ? json_string_value(v) : "");
}

static ticket *ticket_new(void)
{
    ticket *t = ldm_calloc(1, sizeof *t);

    if (t)
        t->notes = json_array();
    if (t && t->notes)
        return t;
    ldm_free(t);
    return NULL;
}

static void recall(void *ctx, const char *id, const json_t *job)
{
    ldm_jobs *q = ctx;
    const json_t *error = json_object_get(job, "error"),
                 *settings = json_object_get(job, "settings");
    ticket *t = json_is_object(settings) ? ticket_new() : NULL;

    if (!t || !ldm_grow(&q->all, &q->cap, q->count + 1, sizeof *q->all)) {
        ticket_free(t);
        return;
    }
    snprintf(t->id, sizeof t->id, "%s", id);
    copy_text(t->order.model, sizeof t->order.model, json_object_get(job, "model"));
    t->order.settings = json_deep_copy(settings);
    t->order.recipe = json_deep_copy(json_object_get(job, "recipe"));
    t->order.about = json_deep_copy(json_object_get(job, "about"));
    t->state = state_of(json_object_get(job, "state"));
    t->init = json_is_true(json_object_get(job, "init"));
    t->mask = json_is_true(json_object_get(job, "mask"));
    t->created = json_number_value(json_object_get(job, "created"));
    t->started = json_number_value(json_object_get(job, "started"));
    t->finished = json_number_value(json_object_get(job, "finished"));
    copy_text(t->code, sizeof t->code, json_object_get(error, "code"));
    t->message = ldm_strdup(json_is_string(json_object_get(error, "message"))
                                ? json_string_value(json_object_get(error, "message"))
                                : "");
    recall_pictures(t, json_object_get(job, "pictures"));
    t->at.count = (int)json_integer_value(json_object_get(settings, "count"));
    if (t->state == LDM_TICKET_BROKEN)
        find_pictures(q, t);
    t->version = 1;
    q->all[q->count++] = t;
}

static int by_creation(const void *a, const void *b)
{
    const double x = (*(ticket *const *)a)->created, y = (*(ticket *const *)b)->created;

    return (x > y) - (x < y);
}

ldm_status ldm_jobs_create(ldm_gallery *gallery, size_t capacity, void (*notify)(void *ctx),
                           void *ctx, ldm_jobs **out, ldm_error *err)
{
    ldm_jobs *q = ldm_calloc(1, sizeof *q);
    ldm_status st;

    *out = NULL;
    if (!q)
        return ldm_error_nomem(err, sizeof *q, "the queue");
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->more, NULL);
    q->gallery = gallery;
    q->capacity = capacity;
    q->notify = notify;
    q->ctx = ctx;
    st = ldm_gallery_each(gallery, recall, q, err);
    if (st) {
        ldm_jobs_free(q);
        return st;
    }
    if (q->count)
        qsort(q->all, q->count, sizeof *q->all, by_creation);
    *out = q;
    return LDM_OK;
}

void ldm_jobs_free(ldm_jobs *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->count; i++)
        ticket_free(q->all[i]);
    ldm_free(q->all);
    pthread_cond_destroy(&q->more);
    pthread_mutex_destroy(&q->lock);
    ldm_free(q);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static size_t pending(const ldm_jobs *q)
{
    size_t n = 0;

    for (size_t i = 0; i < q->count; i++)
        n += !is_over(q->all[i]->state);
    return n;
}

static ldm_status full(const ldm_jobs *q, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_LIMIT, "%zu jobs are waiting already", q->capacity);
}

/* Puts a ticket at the end; q is locked. */
static ldm_status enqueue(ldm_jobs *q, ticket *t, ldm_error *err)
{
    if (pending(q) > q->capacity)
        return full(q, err);
    if (!ldm_grow(&q->all, &q->cap, q->count + 1, sizeof *q->all))
        return ldm_error_nomem(err, sizeof t, "a job");
    q->all[q->count++] = t;
    t->state = LDM_TICKET_QUEUED;
    changed(t);
    save(q, t);
    pthread_cond_signal(&q->more);
    return LDM_OK;
}

/* Moves a picture from memory into the job's folder. */
static ldm_status put(const ldm_jobs *q, const ticket *t, const char *name, ldm_blob *b,
                      ldm_error *err)
{
    const ldm_status st =
        b->data ? ldm_gallery_put(q->gallery, t->id, name, b->data, b->size, err) : LDM_OK;

    ldm_free(b->data);
    *b = (ldm_blob){.data = NULL};
    return st;
}

ldm_status ldm_jobs_submit(ldm_jobs *q, ldm_order *order, char id[LDM_ID_LENGTH + 1],
                           ldm_error *err)
{
    ticket *t = ticket_new();
    const ldm_order taken = *order;
    ldm_status st = LDM_OK;

    memset(order, 0, sizeof *order);
    if (!t) {
        json_decref(taken.settings);
        json_decref(taken.recipe);
        json_decref(taken.about);
        ldm_free(taken.init.data);
        ldm_free(taken.mask.data);
        return ldm_error_nomem(err, sizeof *t, "a job");
    }
    t->order = taken;
    t->init = taken.init.data != NULL;
    t->mask = taken.mask.data != NULL;
    t->created = wall_clock();
    t->at.count = (int)json_integer_value(json_object_get(taken.settings, "count"));
    pthread_mutex_lock(&q->lock);
    if (pending(q) > q->capacity) /* before anything is made on disk */
        st = full(q, err);
    if (!st)
        st = ldm_gallery_new(q->gallery, t->id, err);
    if (!st)
        st = put(q, t, "init", &t->order.init, err);
    if (!st)
        st = put(q, t, "mask", &t->order.mask, err);
    if (!st)
        st = enqueue(q, t, err);
    if (!st)
        memcpy(id, t->id, sizeof t->id);
    pthread_mutex_unlock(&q->lock);
    if (st)
        ticket_free(t);
    else
        q->notify(q->ctx);
    return st;
}

/* Takes a ticket out of its place; q is locked. */
static void unlist(ldm_jobs *q, const ticket *t)
{
    size_t i = 0;

    while (q->all[i] != t)
        i++;
    memmove(&q->all[i], &q->all[i + 1], (q->count - i - 1) * sizeof *q->all);
    q->count--;
}

ldm_status ldm_jobs_restart(ldm_jobs *q, const char *id, ldm_error *err)
{
    ldm_status st = LDM_OK;
    ticket *t = lock_and_find(q, id);

    if (!t || !is_over(t->state) || t->state == LDM_TICKET_DONE)
        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "only jobs that broke, failed or were cancelled can start again");
    else if (pending(q) > q->capacity)
        st = full(q, err);
    if (!st) {
        unlist(q, t);
        t->picture_count = 0;
        t->cancel = false;
        t->code[0] = '\0';
        t->started = t->finished = 0;
        st = enqueue(q, t, err); /* there is room: one place was just freed */
    }
    pthread_mutex_unlock(&q->lock);
    if (!st)
        q->notify(q->ctx);
    return st;
}

static void end(ldm_jobs *q, ticket *t, ldm_ticket_state state)
{
    t->state = state;
    t->finished = wall_clock();
    ldm_free(t->preview);
    t->preview = NULL;
    changed(t);
    save(q, t);
    q->totals.done += state == LDM_TICKET_DONE;
    q->totals.failed += state == LDM_TICKET_FAILED;
    q->totals.cancelled += state == LDM_TICKET_CANCELLED;
}

bool ldm_jobs_cancel(ldm_jobs *q, const char *id)
{
    ticket *t = lock_and_find(q, id);

    if (t && t->state == LDM_TICKET_QUEUED)
        end(q, t, LDM_TICKET_CANCELLED);
    else if (t && t->state == LDM_TICKET_RUNNING)
        t->cancel = true;
    pthread_mutex_unlock(&q->lock);
    if (t)
        q->notify(q->ctx);
    return t != NULL;
}

bool ldm_jobs_remove(ldm_jobs *q, const char *id)
{
    ticket *t;
    bool over;

    pthread_mutex_lock(&q->lock);
    t = find(q, id);
    over = t && is_over(t->state);
    if (over) {
        int last = 0;

        for (size_t i = 0; i < t->picture_count; i++)
            last = t->pictures[i].index >= last ? t->pictures[i].index + 1 : last;
        unlist(q, t);
        ldm_gallery_remove(q->gallery, t->id, last);
        ticket_free(t);
    }
    pthread_mutex_unlock(&q->lock);
    if (over)
        q->notify(q->ctx);
    return over;
}

bool ldm_jobs_current(ldm_jobs *q, char id[LDM_ID_LENGTH + 1])
{
    const ticket *found = NULL;

    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->count; i++) {
        if (q->all[i]->state == LDM_TICKET_RUNNING ||
            (!found && q->all[i]->state == LDM_TICKET_QUEUED))
            found = q->all[i];
        if (found && found->state == LDM_TICKET_RUNNING)
            break;
    }
    if (found)
        memcpy(id, found->id, sizeof found->id);
    pthread_mutex_unlock(&q->lock);
    return found != NULL;
}

size_t ldm_jobs_pending(ldm_jobs *q)
{
    size_t n;

    pthread_mutex_lock(&q->lock);
    n = pending(q);
    pthread_mutex_unlock(&q->lock);
    return n;
}

ldm_jobs_totals ldm_jobs_count(ldm_jobs *q)
{
    ldm_jobs_totals t;

    pthread_mutex_lock(&q->lock);
    t = q->totals;
    pthread_mutex_unlock(&q->lock);
    return t;
}

json_t *ldm_jobs_describe(ldm_jobs *q, const char *id)
{
    const ticket *t;
    json_t *root;

    pthread_mutex_lock(&q->lock);
    t = find(q, id);
    root = t ? describe(q, t) : NULL;
    pthread_mutex_unlock(&q->lock);
    return root;
}

json_t *ldm_jobs_list(ldm_jobs *q, size_t offset, size_t limit, bool with_pictures, size_t *total)
{
    json_t *all = json_array();

    *total = 0;
    pthread_mutex_lock(&q->lock);
    for (size_t i = q->count; i > 0; i--) {
        const ticket *t = q->all[i - 1];

        if (with_pictures && !t->picture_count)
            continue;
        if (*total >= offset && *total - offset < limit)
            json_array_append_new(all, describe(q, t));
        ++*total;
    }
    pthread_mutex_unlock(&q->lock);
    return all;
}

unsigned ldm_jobs_version(ldm_jobs *q, const char *id, ldm_ticket_state *state, unsigned *preview)
{
    const ticket *t;
    unsigned version;

    pthread_mutex_lock(&q->lock);
    t = find(q, id);
    version = t ? t->version : 0;
    *state = t ? t->state : LDM_TICKET_CANCELLED;
    *preview = t && t->preview ? t->preview_number : 0;
    pthread_mutex_unlock(&q->lock);
    return version;
}

json_t *ldm_jobs_about(ldm_jobs *q, const char *id)
{
    const ticket *t;
    json_t *about;

    pthread_mutex_lock(&q->lock);
    t = find(q, id);
    about = t ? json_deep_copy(t->order.about) : NULL;
    pthread_mutex_unlock(&q->lock);
    return about;
}

int ldm_jobs_pictures(ldm_jobs *q, const char *id)
{
    const ticket *t;
    int n;

    pthread_mutex_lock(&q->lock);
    t = find(q, id);
    n = t ? (int)t->picture_count : -1;
    pthread_mutex_unlock(&q->lock);
    return n;
}

unsigned char *ldm_jobs_preview(ldm_jobs *q, const char *id, size_t *size)
{
    const ticket *t;
    unsigned char *png = NULL;

    pthread_mutex_lock(&q->lock);
    t = find(q, id);
    if (t && t->preview && t->preview_size) {
        png = ldm_malloc(t->preview_size);
        *size = t->preview_size;
        if (png)
            memcpy(png, t->preview, t->preview_size);
    }
    pthread_mutex_unlock(&q->lock);
    return png;
}

void ldm_jobs_want_preview(ldm_jobs *q, const char *id)
{
    ticket *t = lock_and_find(q, id);

    if (t)
        t->preview_until = ldm_seconds() + PREVIEW_SECONDS;
    pthread_mutex_unlock(&q->lock);
}

/* ---- the worker's side ----------------------------------------------------------------------- */

static ticket *first_waiting(const ldm_jobs *q)
{
    for (size_t i = 0; i < q->count; i++) {
        if (q->all[i]->state == LDM_TICKET_QUEUED)
            return q->all[i];
    }
    return NULL;
}

bool ldm_jobs_take(ldm_jobs *q, char id[LDM_ID_LENGTH + 1], const ldm_order **order)
{
    ticket *t = NULL;

    pthread_mutex_lock(&q->lock);
    while (!q->stop && !(t = first_waiting(q)))
        pthread_cond_wait(&q->more, &q->lock);
    if (t) {
        t->state = LDM_TICKET_RUNNING;
        t->started = wall_clock();
        t->began = ldm_seconds();
        t->at = (ldm_ticket_progress){.count = t->at.count};
        changed(t);
        save(q, t);
        memcpy(id, t->id, sizeof t->id);
        *order = &t->order;
    }
    pthread_mutex_unlock(&q->lock);
    if (t)
        q->notify(q->ctx);
    return t != NULL;
}

bool ldm_jobs_cancelled(ldm_jobs *q, const char *id)
{
    const ticket *t = lock_and_find(q, id);
    const bool stop = !t || t->cancel || q->stop;

    pthread_mutex_unlock(&q->lock);
    return stop;
}

bool ldm_jobs_progress(ldm_jobs *q, const char *id, const ldm_ticket_progress *p)
{
    const double at = ldm_seconds();
    bool preview = false, due = false;
    ticket *t = lock_and_find(q, id);

    if (t) {
        q->totals.steps += p->step > 0 && p->stage && p->step != t->at.step;
        t->at = *p;
        preview = at < t->preview_until && !t->cancel;
        due = at - q->notified >= notify_seconds;
        if (due)
            q->notified = at;
        changed(t);
    }
    pthread_mutex_unlock(&q->lock);
    if (due)
        q->notify(q->ctx);
    return preview;
}

void ldm_jobs_set_preview(ldm_jobs *q, const char *id, unsigned char *png, size_t size)
{
    ticket *t = lock_and_find(q, id);

    if (t) {
        ldm_free(t->preview);
        t->preview = png;
        t->preview_size = size;
        t->preview_number++;
        changed(t);
    } else {
        ldm_free(png);
    }
    pthread_mutex_unlock(&q->lock);
    q->notify(q->ctx);
}

void ldm_jobs_add_picture(ldm_jobs *q, const char *id, int index, uint64_t seed)
{
    ticket *t = lock_and_find(q, id);

    if (t && add_picture(t, index, seed)) {
        q->totals.pictures++;
        changed(t);
        save(q, t);
    }
    pthread_mutex_unlock(&q->lock);
    q->notify(q->ctx);
}

void ldm_jobs_note(ldm_jobs *q, const char *id, const char *note)
{
    ticket *t = lock_and_find(q, id);

    if (t) {
        json_array_append_new(t->notes, ldm_json_text(note));
        ldm_private_hide_json(t->notes);
    }
    pthread_mutex_unlock(&q->lock);
}

void ldm_jobs_finish(ldm_jobs *q, const char *id, ldm_ticket_state state, const char *code,
                     const char *message)
{
    ticket *t = lock_and_find(q, id);

    if (t) {
        if (state == LDM_TICKET_CANCELLED && !t->cancel)
            state = LDM_TICKET_BROKEN; /* the server ends, nobody cancelled it */
        snprintf(t->code, sizeof t->code, "%s", code ? code : "");
        ldm_free(t->message);
        t->message = ldm_strdup(message ? message : "");
        if (t->message)
            ldm_private_hide(t->message);
        q->totals.busy_seconds += ldm_seconds() - t->began;
        end(q, t, state);
    }
    pthread_mutex_unlock(&q->lock);
    q->notify(q->ctx);
}

void ldm_jobs_stop(ldm_jobs *q)
{
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    for (size_t i = 0; i < q->count; i++) {
        if (q->all[i]->state == LDM_TICKET_QUEUED)
            end(q, q->all[i], LDM_TICKET_BROKEN);
    }
    pthread_cond_broadcast(&q->more);
    pthread_mutex_unlock(&q->lock);
    q->notify(q->ctx);
}
