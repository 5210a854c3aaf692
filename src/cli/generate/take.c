/* SPDX-License-Identifier: MIT */
/* One picture of ldm generate, when it is done: its file, its place in the arrays, its line on
 * stdout. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "cli/generate/task.h"
#include "cli/sheets.h"

typedef ldm_task task;

static void keep_floats(float *all, const float *one, size_t numel, int index)
{
    float *to = all ? all + (size_t)index * numel : NULL;

    if (!to)
        return;
    for (size_t i = 0; i < numel; i++)
        to[i] = one ? one[i] : NAN; /* a failed picture: its place stays recognisable */
}

static void keep(task *t, const ldm_result *r)
{
    size_t latent = (size_t)t->ri->latent_c * (size_t)t->ri->latent_h * (size_t)t->ri->latent_w;
    size_t pixels = (size_t)t->ri->image_w * (size_t)t->ri->image_h;

    keep_floats(t->latents, r->latent, latent, r->index);
    keep_floats(t->images, r->image, (size_t)t->ri->image_c * pixels, r->index);
    if (t->rgb && r->pixels)
        memcpy(t->rgb + (size_t)r->index * 3 * pixels, r->pixels, 3 * pixels);
    t->good[r->index] = r->status == LDM_OK;
}

static void list_picture(task *t, int index, const char *file, const char *message)
{
    json_t *p = json_object();

    json_object_set_new(p, "index", json_integer(index));
    json_object_set_new(
        p, "seed",
        ldm_json_u64(ldm_job_get_u64(ldm_run_get_job(t->run), "seed") + (uint64_t)index));
    json_object_set_new(p, "file", file ? ldm_json_text(file) : json_null());
    json_object_set_new(p, "error", message ? ldm_json_text(message) : json_null());
    json_object_set_new(p, "kept", json_boolean(t->kept[index]));
    json_array_append_new(t->pictures, p);
}

/* The kept pictures before `index`, so that the list stays in order. */
void ldm_generate_list_kept(task *t, int index)
{
    for (; t->listed < index; t->listed++) {
        char *name = t->kept[t->listed] ? ldm_output_name(&t->output, t->listed) : NULL;

        if (name)
            list_picture(t, t->listed, name, NULL);
        free(name);
    }
}

/* The names of many pictures would push all else off a terminal: there the last line names them. */
static void list_file(const task *t, const char *file)
{
    if (t->ri->count > LDM_MANY_PICTURES && isatty(STDOUT_FILENO))
        return;
    printf("%s\n", file);
    fflush(stdout);
}

/* Says that a picture is done, or has failed. stdout names what this run made. */
static void note_picture(task *t, int index, const char *file, const char *message)
{
    if (t->o->json) {
        ldm_generate_list_kept(t, index);
        list_picture(t, index, file, message);
    } else if (file) {
        list_file(t, file);
    }
}

/* The pixels to write: one channel of a picture whose model makes grey ones. *own: to be freed, or
 * NULL. False when out of memory. */
static bool pixels_to_write(const task *t, const ldm_result *r, ldm_image *im, uint8_t **own)
{
    const size_t n = (size_t)r->width * (size_t)r->height;
    size_t i;

    *own = NULL;
    *im = (ldm_image){r->width, r->height, r->channels,
                      (uint8_t *)(uintptr_t)r->pixels}; /* only read */
    if (ldm_run_get_info(t->run)->image_c != 1)
        return true;
    *own = malloc(n);
    for (i = 0; *own && i < n; i++)
        (*own)[i] = r->pixels[3 * i];
    im->channels = 1;
    im->pixels = *own;
    return *own != NULL;
}

static int write_picture(task *t, const ldm_result *r)
{
    char *name = ldm_output_name(&t->output, r->index), *recipe = NULL, *full = NULL;
    uint8_t *grey;
    ldm_image im;
    ldm_error err;
    ldm_status st;
    int code = pixels_to_write(t, r, &im, &grey) ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);

    if (!code && !t->written)
        code = ldm_output_make_parent(t->cmd, "-o", t->output.file);
    if (code)
        goto done;
    st = ldm_run_recipe(t->run, r->index, &recipe, &err);
    if (!st) {
        full = ldm_recipe_complete(recipe, t->o, ldm_starts_name(&t->given.starts, t->o, r->index));
        if (!name || !full) {
            code = ldm_cli_nomem(t->cmd);
            goto done;
        }
        st = ldm_image_write_quality(name, &im, t->o->quality, full, &err);
        if (st == LDM_ERR_IO && t->work && !access(name, F_OK))
            st = LDM_OK; /* another process, which took this one for dead, has written it */
    }
    ldm_bar_clear(&t->bar);
    if (st) {
        code = ldm_cli_fail(t->cmd, st, &err);
        goto done;
    }
    note_picture(t, r->index, name, NULL);
    t->written++;
done:
    t->unwritable = code != 0;
    free(grey);
    free(full);
    ldm_release(recipe);
    free(name);
    return code;
}

int ldm_generate_take(void *ctx, const ldm_result *r, const ldm_error *why)
{
    task *t = ctx;

    keep(t, r);
    t->seen++;
    if (!r->status && !r->pixels) { /* see check_channels */
        t->written++;
        return LDM_EXIT_OK;
    }
    if (!r->status)
        return write_picture(t, r);
    t->failed++;
    ldm_cli_say(t->cmd, "picture %d (seed %llu): %s", r->index, (unsigned long long)r->seed,
                why->msg);
    note_picture(t, r->index, NULL, why->msg);
    return LDM_EXIT_OK;
}

/* The recipe of its first picture, with the mark that it is a sheet. */
size_t ldm_generate_sheet_columns(const ldm_task *t)
{
    const size_t prompts = t->given.prompts.count, all = (size_t)t->ri->count;

    return prompts > 1 && all > prompts && all % prompts == 0 ? all / prompts : 0;
}

int ldm_generate_sheet_recipe(ldm_task *t, size_t n, char **text)
{
    char *recipe = NULL, *full;
    ldm_error err;
    ldm_status st = ldm_run_recipe(t->run, 0, &recipe, &err);

    *text = NULL;
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    full = ldm_recipe_complete(recipe, t->o, ldm_starts_name(&t->given.starts, t->o, -1));
    *text = full ? ldm_sheet_recipe(full, LDM_SHEET, n) : NULL;
    free(full);
    ldm_release(recipe);
    return *text ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);
}

int ldm_generate_fail(const task *t, ldm_status st, const ldm_error *err)
{
    return ldm_work_finished(t->work) ? LDM_EXIT_OK : ldm_cli_fail(t->cmd, st, err);
}
