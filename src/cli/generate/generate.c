/* SPDX-License-Identifier: MIT */
/* The work of ldm generate: opens the model, runs one job, writes every picture as soon as it is
 * done, and keeps what the arrays and sheets at the end need. */
#include "cli/generate/task.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "cli/generate/class_names.h"
#include "cli/sheets.h"
#include "cli/sampling.h"
#include "cli/signals.h"

typedef ldm_task task;

static bool on_skip(void *ctx, int index)
{
    const task *t = ctx;

    return t->kept[index];
}

/* ---- before the first step ------------------------------------------------------------------- */

/* A recipe is about one file; another one under the same name gives other pictures. hex: this
 * one's SHA-256. */
static int compare_hash(const task *t, const char *path, const char *hex)
{
    if (!strcmp(hex, t->recipe->sha256))
        return LDM_EXIT_OK;
    ldm_cli_say(t->cmd, "%s%s was made with a checkpoint of SHA-256 %.12s..., %s has %.12s...%s",
                t->recipe->ckpt_named ? "warning: " : "", t->o->like, t->recipe->sha256, path, hex,
                t->recipe->ckpt_named
                    ? "; the pictures will differ"
                    : "; name the right one with --ckpt, or this one to take it all the same");
    return t->recipe->ckpt_named ? LDM_EXIT_OK : LDM_EXIT_MISMATCH;
}

static int check_hash(const task *t)
{
    const char *hex = NULL;
    ldm_error err;
    ldm_status st;

    if (!t->recipe->sha256)
        return LDM_EXIT_OK;
    st = ldm_model_hash(t->model, &hex, &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : compare_hash(t, t->mi->ckpt_path, hex);
}

/* The recipe's settings need not fit another file: why they do not is of no use then, but that it
 * is another one. */
static int fail_to_open(const task *t, ldm_status st, const ldm_error *err)
{
    const char *path = ldm_model_ckpt(t->o->to.model);
    char hex[65];

    if (t->recipe->sha256 && !t->recipe->ckpt_named && path &&
        !ldm_checkpoint_hash(path, hex, NULL) && compare_hash(t, path, hex))
        return LDM_EXIT_MISMATCH;
    return ldm_fit_fail(t->cmd, t->o, st, err);
}

static int open_model(task *t)
{
    ldm_model_options *options = t->o->to.model;
    ldm_error err;
    ldm_status st = ldm_model_options_set_u64(options, "max_memory", ldm_fit_limit(t->o), &err);
    int code;

    ldm_model_name(options);
    if (!st)
        st = ldm_model_options_set_bool(options, "dry_run", t->o->dry_run || t->output.taken, &err);
    if (!st)
        st = ldm_model_open(options, &t->model, &err);
    if (st)
        return fail_to_open(t, st, &err);
    t->mi = ldm_model_get_info(t->model);
    code = check_hash(t);
    if (!code && t->o->class_names)
        code = ldm_class_names_check(t->cmd, t->o->class_names, &t->given.class_names,
                                     ldm_job_get_text(t->o->to.job, "class"), t->mi);
    if (code || t->o->quiet)
        return code;
    if (t->mi->is_default && t->mi->default_note && t->mi->default_note[0])
        ldm_cli_say(t->cmd, "note: %s", t->mi->default_note);
    for (size_t i = 0; i < ldm_model_note_count(t->model); i++)
        ldm_cli_note(t->cmd, ldm_model_note(t->model, i));
    if (t->mi->shape_ambiguous && !ldm_job_is_set(t->o->to.job, "shape") && !t->o->x_t)
        ldm_cli_say(t->cmd,
                    "note: the config does not say one latent shape; candidates: %s; "
                    "taking %d,%d,%d (--shape C,H,W chooses)",
                    t->mi->latent_candidates, t->mi->latent_channels, t->mi->latent_h,
                    t->mi->latent_w);
    return LDM_EXIT_OK;
}

/* With another vocabulary the same words have other ids. */
static void note_vocabulary(const task *t)
{
    const char *its = json_string_value(
        json_object_get(json_object_get(t->recipe->root, "vocabulary"), "sha256"));
    const char *ours;
    char *text = NULL;
    json_t *root;

    if (!its || ldm_run_recipe(t->run, 0, &text, NULL))
        return;
    root = json_loads(text, 0, NULL);
    ldm_release(text);
    ours = json_string_value(json_object_get(json_object_get(root, "vocabulary"), "sha256"));
    if (ours && strcmp(its, ours))
        ldm_cli_say(t->cmd,
                    "warning: %s was made with a vocabulary of SHA-256 %.12s..., this one has "
                    "%.12s...; the pictures will differ",
                    t->o->like, its, ours);
    json_decref(root);
}

/* The library knows arrays by what they are for; the user knows them as files. */
static int refuse_arrays(const task *t, const ldm_error *err)
{
    char *named = ldm_arrays_named(t->o);

    ldm_cli_say(t->cmd, "%s; given:%s", err->msg, named ? named : "");
    free(named);
    return LDM_EXIT_USAGE;
}

/* The input's own bytes do not survive a JPEG. */
static void note_jpeg(const task *t)
{
    const char *dot = t->output.file ? strrchr(t->output.file, '.') : NULL;

    if (t->ri->composed && dot && (dot[1] == 'j' || dot[1] == 'J'))
        ldm_cli_say(t->cmd, "note: a JPEG changes all pixels a little; outside the mask only a PNG "
                            "keeps the input's own");
}

static int on_progress(void *ctx, const ldm_progress *p)
{
    task *t = ctx;

    ldm_intermediates_take(&t->intermediates, p);
    return t->o->shared ? ldm_shared_progress(t, p) : ldm_sampling_progress(&t->bar, p);
}

static int create_run(task *t)
{
    const ldm_generate_opts *o = t->o;
    ldm_job *job = o->to.job;
    const size_t count = (size_t)ldm_job_total(job);
    const bool limited = ldm_fit_limit_given(o);
    ldm_error err;
    ldm_status st = LDM_OK;

    t->kept = calloc(count, sizeof *t->kept);
    if (!t->kept)
        return ldm_cli_nomem(t->cmd);
    ldm_sampling_watch(job, &t->bar);
    ldm_job_set_progress(job, on_progress, t);
    ldm_job_set_skip(job, on_skip, t);
    if (!o->prompts && !ldm_arrays_first(o) &&
        ldm_starts_take_prompt(t->cmd, t->model, &t->given.starts, "none of them is taken", job))
        return LDM_EXIT_FAILED;
    if (!st)
        st = ldm_job_set_u64(job, "max_memory", ldm_fit_limit(o), &err);
    if (!st)
        st = ldm_run_create(t->model, job, &t->run, &err);
    if (!limited)
        (void)ldm_job_unset(job, "max_memory", NULL);
    if (st == LDM_ERR_USAGE && ldm_arrays_first(o))
        return refuse_arrays(t, &err);
    if (st)
        return ldm_fit_fail(t->cmd, o, st, &err);
    t->ri = ldm_run_get_info(t->run);
    if (o->quiet) {
        t->bar.on = false;
        return LDM_EXIT_OK;
    }
    for (size_t i = 0; i < ldm_run_note_count(t->run); i++)
        ldm_cli_note(t->cmd, ldm_run_note(t->run, i));
    ldm_generate_say_settings(t->mi, t->ri, ldm_run_get_job(t->run));
    note_jpeg(t);
    return LDM_EXIT_OK;
}

/* Memory for what is written at the end. */
static int keep_room(task *t)
{
    double n = t->ri->count, bytes = ldm_fit_results(t->o, &t->output, t->ri);
    double pixels = (double)t->ri->image_w * t->ri->image_h;
    double latent = (double)t->ri->latent_c * t->ri->latent_h * t->ri->latent_w;
    bool rgb = (t->output.npz || t->output.grid) && !t->output.shared;

    if (bytes > (double)(SIZE_MAX / 4))
        return ldm_cli_nomem(t->cmd);
    t->good = calloc((size_t)t->ri->count, sizeof *t->good);
    if (t->o->save_latent)
        t->latents = malloc((size_t)(n * latent) * sizeof *t->latents);
    if (t->o->save_image)
        t->images = malloc((size_t)(n * t->ri->image_c * pixels) * sizeof *t->images);
    if (rgb)
        t->rgb = calloc((size_t)n, (size_t)(3 * pixels));
    if (!t->good || (t->o->save_latent && !t->latents) || (t->o->save_image && !t->images) ||
        (rgb && !t->rgb))
        return ldm_cli_nomem(t->cmd);
    return ldm_intermediates_open(t->cmd, t->o, t->ri, &t->intermediates);
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* Whether a picture of this run came out: arrays hold this run's alone. */
static bool has_arrays(const task *t)
{
    return t->seen > t->failed;
}

/* They have an entry for each picture, also where others failed. */
static bool has_intermediates(const task *t)
{
    return has_arrays(t) && t->seen == t->ri->count;
}

/* The files beside the pictures, and what list_file left out. */
static void list_rest(const task *t)
{
    const bool sheets = t->work ? t->wrote_sheets : t->written + t->kept_count > 0;
    const struct {
        const char *file;
        bool there;
    } rest[] = {{t->output.grid, sheets},
                {t->output.npz, sheets},
                {t->o->save_latent, has_arrays(t)},
                {t->o->save_image, has_arrays(t)},
                {t->o->write_stats, sheets && !ldm_signals_interrupted()}};

    if (t->written && t->output.folder && t->ri->count > LDM_MANY_PICTURES && isatty(STDOUT_FILENO))
        printf("%d pictures in %s\n", t->written, t->output.folder);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        if (rest[i].file && rest[i].there)
            printf("%s\n", rest[i].file);
    }
}

/* Pictures of other channels than grey or RGB are kept as arrays only. */
static int check_channels(const task *t)
{
    int c = t->ri->image_c;

    if (c == 1 || c == 3)
        return LDM_EXIT_OK;
    if (t->output.grid || t->output.npz) {
        ldm_cli_say(t->cmd, "pictures of this model have %d channels: %s needs 1 (grey) or 3 (RGB)",
                    c, t->output.grid ? "--grid" : "--npz");
        return LDM_EXIT_FAILED;
    }
    if (!t->o->save_image && !t->o->save_latent) {
        ldm_cli_say(t->cmd,
                    "pictures of this model have %d channels, and a PNG is made of 1 (grey) or 3 "
                    "(RGB); keep them as an array with --save-image FILE.npy",
                    c);
        return LDM_EXIT_FAILED;
    }
    if (!t->o->quiet)
        ldm_cli_say(t->cmd,
                    "note: pictures of this model have %d channels: no PNG is written, only the "
                    "arrays",
                    c);
    return LDM_EXIT_OK;
}

/* All pictures, in order. An interrupt is no failure here: it is said in the end. */
static int sample(task *t)
{
    ldm_sampling s = {.run = t->run, .bar = &t->bar};
    int code = ldm_sampling_run(&s, ldm_generate_take, t);

    return s.status ? ldm_cli_fail(t->cmd, s.status, &s.error) : code;
}

/* ---- after the last picture ------------------------------------------------------------------ */

static ldm_status write_floats(const task *t, const char *path, float *data, int c, int h, int w,
                               ldm_error *err)
{
    ldm_array a = {.ndim = 4,
                   .shape = {(uint64_t)t->seen, (uint64_t)c, (uint64_t)h, (uint64_t)w},
                   .data = data};

    a.numel = a.shape[0] * a.shape[1] * a.shape[2] * a.shape[3];
    return ldm_array_write(path, &a, err);
}

/* Places of the sheet: to the last picture that there is, made or kept. */
static int places(const task *t)
{
    int n = t->ri->count;

    while (n > t->seen && !t->good[n - 1])
        n--;
    return n;
}

static int write_grid(task *t, const ldm_image *ims, size_t n)
{
    ldm_image grid = {0};
    ldm_error err;
    ldm_status st = ldm_image_grid(ims, n, ldm_generate_sheet_columns(t), &grid, &err);
    char *text = NULL;
    int code = st ? ldm_cli_fail(t->cmd, st, &err) : ldm_generate_sheet_recipe(t, n, &text);

    if (!code) {
        st = ldm_image_write(t->output.grid, &grid, text, &err);
        code = st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
    }
    free(text);
    ldm_release(grid.pixels);
    return code;
}

/* The sheet shows every place (a failed picture is black), the .npz holds the good ones only. */
static int write_sheets(task *t)
{
    size_t bytes = (size_t)t->ri->image_w * (size_t)t->ri->image_h * 3, count = 0;
    int n = places(t), code = LDM_EXIT_OK;
    ldm_image *ims = calloc((size_t)n, sizeof *ims);
    ldm_error err;
    ldm_status st;

    if (!ims)
        return ldm_cli_nomem(t->cmd);
    if (t->output.grid) {
        for (int i = 0; i < n; i++)
            ims[i] = (ldm_image){t->ri->image_w, t->ri->image_h, 3, t->rgb + (size_t)i * bytes};
        code = write_grid(t, ims, (size_t)n);
    }
    if (!code && t->output.npz) {
        for (int i = 0; i < n; i++) {
            if (t->good[i])
                ims[count++] =
                    (ldm_image){t->ri->image_w, t->ri->image_h, 3, t->rgb + (size_t)i * bytes};
        }
        st = ldm_image_write_npz(t->output.npz, ims, count, &err);
        code = st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
    }
    free(ims);
    return code;
}

static int write_collections(task *t)
{
    ldm_error err;
    ldm_status st = LDM_OK;
    int code = LDM_EXIT_OK;

    if (t->unwritable || !(has_arrays(t) || t->kept_count))
        return LDM_EXIT_OK; /* of an earlier run's files none is replaced by nothing */
    if (ldm_output_make_parent(t->cmd, "--save-latent", t->o->save_latent) ||
        ldm_output_make_parent(t->cmd, "--save-image", t->o->save_image))
        return LDM_EXIT_FAILED;
    if (t->latents)
        st = write_floats(t, t->o->save_latent, t->latents, t->ri->latent_c, t->ri->latent_h,
                          t->ri->latent_w, &err);
    if (!st && t->images)
        st = write_floats(t, t->o->save_image, t->images, t->ri->image_c, t->ri->image_h,
                          t->ri->image_w, &err);
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    if (t->intermediates.x && has_intermediates(t))
        code = ldm_intermediates_write(t->cmd, t->o, t->ri, &t->intermediates);
    if (!code && t->rgb && t->written + t->kept_count)
        code = write_sheets(t);
    if (!code && !t->work && t->written + t->kept_count && !ldm_signals_interrupted())
        code = ldm_generate_stats_write(t, t->ri->count);
    if (!code && !t->o->json)
        list_rest(t);
    return code;
}

static json_t *file_or_null(const char *path, bool written)
{
    return path && written ? ldm_json_text(path) : json_null();
}

/* A whole number without a point: most samplers have no others. */
static json_t *timestep_json(double t)
{
    return t == floor(t) ? json_integer((json_int_t)t) : json_real(t);
}

static int print_result(task *t)
{
    bool sheets = t->work ? t->wrote_sheets : !t->unwritable && t->written + t->kept_count > 0;
    json_t *root, *files, *seeds, *steps, *notes, *p;
    size_t i;

    if (!t->o->json) {
        if (!t->o->quiet && t->written && !t->work)
            fprintf(stderr, "%d picture%s in %.1f s\n", t->written, t->written == 1 ? "" : "s",
                    t->finished - t->started);
        return LDM_EXIT_OK;
    }
    ldm_generate_list_kept(t, t->ri->count);
    root = json_object();
    files = json_array();
    seeds = json_array();
    steps = json_array();
    notes = json_array();
    json_array_foreach(t->pictures, i, p)
    {
        if (json_is_string(json_object_get(p, "file")))
            json_array_append(files, json_object_get(p, "file"));
        json_array_append(seeds, json_object_get(p, "seed"));
    }
    for (i = 0; i < (size_t)t->ri->steps_run; i++)
        json_array_append_new(steps, timestep_json(t->ri->timesteps[i]));
    for (i = 0; i < ldm_model_note_count(t->model); i++)
        json_array_append_new(notes, ldm_json_text(ldm_model_note(t->model, i)));
    for (i = 0; i < ldm_run_note_count(t->run); i++)
        json_array_append_new(notes, ldm_json_text(ldm_run_note(t->run, i)));

    json_object_set_new(root, "files", files);
    json_object_set_new(root, "seeds", seeds);
    json_object_set(root, "pictures", t->pictures);
    json_object_set_new(root, "grid", file_or_null(t->output.grid, sheets));
    json_object_set_new(root, "npz", file_or_null(t->output.npz, sheets));
    json_object_set_new(root, "latent", file_or_null(t->o->save_latent, has_arrays(t)));
    json_object_set_new(root, "intermediates",
                        file_or_null(t->o->save_intermediates, has_intermediates(t)));
    json_object_set_new(root, "image", file_or_null(t->o->save_image, has_arrays(t)));
    json_object_set_new(root, "asked", json_integer(t->ri->count));
    json_object_set_new(root, "kept", json_integer(t->kept_count));
    json_object_set_new(root, "failed", json_integer(t->failed));
    json_object_set_new(root, "interrupted", json_boolean(ldm_signals_interrupted() != 0));
    json_object_set_new(root, "steps_asked", json_integer(t->ri->steps_asked));
    json_object_set_new(root, "steps_run", json_integer(t->ri->steps_run));
    json_object_set_new(root, "timesteps", steps);
    json_object_set_new(root, "latent_shape",
                        json_pack("[iii]", t->ri->latent_c, t->ri->latent_h, t->ri->latent_w));
    json_object_set_new(root, "width", json_integer(t->ri->image_w));
    json_object_set_new(root, "height", json_integer(t->ri->image_h));
    json_object_set_new(root, "checkpoint", ldm_json_text(t->mi->ckpt_path));
    json_object_set_new(root, "default_model", json_boolean(t->mi->is_default));
    json_object_set_new(root, "weights", ldm_json_text(t->mi->weights));
    json_object_set_new(root, "isa", ldm_json_text(t->mi->isa));
    json_object_set_new(root, "threads", json_integer(t->ri->threads));
    json_object_set_new(root, "load_seconds", ldm_json_real(t->mi->load_seconds));
    json_object_set_new(root, "seconds", ldm_json_real(t->finished - t->started));
    json_object_set_new(root, "memory_bytes", ldm_json_u64(t->ri->memory_total));
    json_object_set_new(root, "notes", notes);
    t->o->printed = true;
    return ldm_cli_print_json(t->cmd, root);
}

/* Everything up to the first step. */
static int prepare(task *t)
{
    const int count = (int)ldm_job_total(t->o->to.job);
    int code = ldm_output_plan(t->cmd, t->o, count, &t->output);

    t->output.shared = t->o->shared;
    if (!code && t->o->shared)
        code = ldm_shared_check(t->cmd, t->o, &t->output);
    else if (!code && t->o->resume)
        code = ldm_resume_check(t->cmd, t->o, &t->output);
    if (!code && t->o->shared && !t->o->dry_run)
        code = ldm_output_claim(t->cmd, t->o, count, &t->output);
    t->o->quiet = t->o->quiet || t->output.taken; /* nothing will be made: no need to say of what */
    if (!code)
        code = open_model(t);
    if (!code)
        code = create_run(t);
    if (!code)
        note_vocabulary(t);
    if (!code && t->output.taken)
        code = ldm_resume_refuse(t->cmd, t->o, &t->output, t->run, t->ri);
    if (!code)
        code = check_channels(t);
    if (!code)
        code = ldm_generate_stats_open(t);
    if (!code)
        code = ldm_fit_check(t->cmd, t->o, &t->output, t->ri);
    if (!code && !t->o->dry_run)
        code = keep_room(t);
    if (!code && t->o->shared && !t->o->dry_run)
        return ldm_shared_join(t);
    if (!code && !t->o->dry_run)
        code = ldm_output_claim(t->cmd, t->o, count, &t->output);
    if (!code && t->output.taken) /* by a run that began and ended meanwhile */
        code = ldm_resume_refuse(t->cmd, t->o, &t->output, t->run, t->ri);
    if (code || !t->o->resume)
        return code;
    code =
        ldm_resume_scan(t->cmd, t->o, &t->output, t->run, t->ri, t->kept, t->rgb, &t->kept_count);
    for (int i = 0; t->good && i < t->ri->count; i++)
        t->good[i] = t->kept[i];
    if (!code && !t->o->quiet && t->kept_count)
        ldm_cli_say(t->cmd, "note: %d of %d pictures are there already and kept", t->kept_count,
                    t->ri->count);
    return code;
}

/* Not before the pictures: it reads the whole file, which their recipes' hash has just done. */
static void warn_damaged(const task *t)
{
    ldm_error err;

    if (ldm_model_intact(t->model, &err) == LDM_ERR_FORMAT)
        ldm_cli_say(t->cmd, "warning: the pictures are made of a damaged file: %s", err.msg);
}

/* With the options that make the rest, where a folder can be gone on with. */
static void say_interrupted(const task *t)
{
    const ldm_generate_opts *o = t->o;
    const int done = t->seen - t->failed + t->kept_count;
    const bool can =
        t->output.folder && done && !ldm_arrays_first(o) && !ldm_generate_array_option(o);

    if (t->work)
        ldm_cli_say(t->cmd,
                    "interrupted: %d picture%s made here; what was begun is given back, and the "
                    "other processes or the same command go on with it",
                    t->written, t->written == 1 ? " was" : "s were");
    else if (can)
        ldm_cli_say(t->cmd,
                    "interrupted: %d of %d pictures are done and kept; the same command with "
                    "-o %s --resume makes the rest",
                    done, t->ri->count, t->output.folder);
    else
        ldm_cli_say(t->cmd, "interrupted: %d of %d pictures are done and kept", done, t->ri->count);
}

/* The files that are made of all pictures are made of this run's again, also where the folder holds
 * more of them. */
static void note_fewer(const task *t)
{
    const char *const files[] = {t->output.grid, t->output.npz};
    char *next =
        t->o->resume && !t->work && !t->o->quiet ? ldm_output_name(&t->output, t->ri->count) : NULL;

    for (size_t i = 0; next && !access(next, F_OK) && i < sizeof files / sizeof *files; i++) {
        if (files[i] && !access(files[i], F_OK))
            ldm_cli_say(t->cmd,
                        "note: %s will be replaced, by one of the %d picture%s that this command "
                        "asks for; the folder holds more",
                        files[i], t->ri->count, t->ri->count == 1 ? "" : "s");
    }
    free(next);
}

/* With what became of the files that are made of all pictures. */
static void say_failed(const task *t)
{
    const char *tail = "";

    if (t->failed == t->ri->count)
        tail = "; no file is written, and none that was there is replaced";
    else if (ldm_generate_array_option(t->o))
        tail = "; the arrays hold NaN in their places";
    ldm_cli_say(t->cmd, "%d of %d pictures failed%s", t->failed, t->ri->count, tail);
}

static int generate(task *t)
{
    int code = prepare(t), written, printed, signal;

    if (code)
        return code;
    if (t->o->dry_run) {
        t->o->printed = t->o->json;
        return ldm_fit_print(t->cmd, t->o, &t->output, t->ri, t->kept_count);
    }
    ldm_output_say_replaced(t->cmd, t->o, &t->output, t->kept_count);
    note_fewer(t);
    if (t->o->json)
        t->pictures = json_array();
    ldm_bar_expect(&t->bar, t->ri, t->kept_count);
    t->started = ldm_cli_now();
    code = t->work ? ldm_shared_sample(t) : sample(t);
    t->finished = ldm_cli_now();
    written = write_collections(t);
    printed = print_result(t);
    code = code ? code : written ? written : printed;
    if (!code && t->failed) {
        say_failed(t);
        code = LDM_EXIT_FAILED;
    }
    signal = ldm_signals_interrupted();
    if (!signal && t->written)
        warn_damaged(t);
    if (signal) {
        say_interrupted(t);
        code = LDM_EXIT_SIGNAL + signal;
    }
    return code;
}

static void task_free(task *t)
{
    ldm_work_close(t->work);
    ldm_features_close(t->features);
    ldm_run_free(t->run);
    ldm_model_close(t->model);
    ldm_given_free(&t->given);
    ldm_output_free(&t->output);
    ldm_intermediates_free(&t->intermediates);
    free(t->latents);
    free(t->images);
    free(t->rgb);
    free(t->good);
    free(t->kept);
    json_decref(t->pictures);
}

static int check_total(const task *t)
{
    const double total = (double)ldm_job_total(t->o->to.job);
    const double most = ldm_setting_max(ldm_setting_find(LDM_SETTINGS_JOB, "count"));

    if (total <= most)
        return LDM_EXIT_OK;
    return ldm_cli_usage(t->cmd, "%.0f pictures for all prompts or classes; at most %.0f", total,
                         most);
}

int ldm_generate(const ldm_command *cmd, ldm_generate_opts *o, const ldm_recipe *recipe)
{
    task t = {.cmd = cmd, .o = o, .recipe = recipe, .output = {.place = {.lock = -1}}};
    int code;

    ldm_bar_init(&t.bar);
    t.view.f = stderr;
    t.view.kind = ldm_view_choose(o->preview_as ? o->preview_as : "auto", stderr);
    t.bar.view = o->quiet && !o->preview_as ? NULL : &t.view;
    t.bar.on = t.bar.on && !o->shared; /* which shows the progress of all */
    code = ldm_given_read(cmd, o, recipe, &t.given);
    if (!code)
        code = check_total(&t);
    if (!code) {
        ldm_signals_catch_interrupts(); /* not before: a pipe may be waited for */
        code = generate(&t);
    }
    task_free(&t);
    return code;
}
