/* SPDX-License-Identifier: MIT */
/* ldm interpolate: pictures on the way from one to another. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_text.h"
#include "cli/generate/generate.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/sampling.h"
#include "cli/sheets.h"
#include "cli/signals.h"
#include "cli/walk.h"

enum { DEFAULT_FRAMES = 16, DEFAULT_FPS = 8, MAX_FRAMES = 10000, MAX_FPS = 1000 };

typedef struct options {
    const char *out, *frames_text, *fps_text;
    ldm_opt_list prompts_to;
    int frames, fps;
    bool json, quiet, overwrite;
} options;

#define JOB(key)                                                                                   \
    {                                                                                              \
        .type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_JOB, .name = key                             \
    }

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Interpolation"},
    {.type = LDM_OPT_TEXT,
     .name = "frames",
     .arg = "N",
     .field = offsetof(options, frames_text),
     .help = "pictures, A and B among them; default 16"},
    {.type = LDM_OPT_TEXT,
     .name = "fps",
     .arg = "N",
     .field = offsetof(options, fps_text),
     .help = "pictures a second in the animation; default 8"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "OUT",
     .field = offsetof(options, out),
     .help = "NAME.png: an animation that browsers play; -: y4m on\n"
             "stdout, for ffmpeg; else a folder of 00000.png, ...,\n"
             "sheet.png and animation.png"},
    {.type = LDM_OPT_FLAG,
     .name = "overwrite",
     .field = offsetof(options, overwrite),
     .help = "replace another run's files in the folder -o, and files\n"
             "that ldm did not make; without it they are an error"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "a JSON object about what was written"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(options, quiet),
     .help = "no notes and no progress bar on stderr"},
    {.type = LDM_OPT_HEADING, .name = "Sampling"},
    JOB("sampler"),
    JOB("steps"),
    JOB("timesteps"),
    JOB("scale"),
    JOB("prompt"),
    {.type = LDM_OPT_TEXTS,
     .name = "prompt-to",
     .arg = "TEXT",
     .field = offsetof(options, prompts_to),
     .help = "the last frame's prompt: the contexts lie on a straight\n"
             "line from that of --prompt to this one's; repeatable, for\n"
             "more on the way"},
    JOB("negative"),
    {.type = LDM_OPT_SETTING,
     .kind = LDM_SETTINGS_JOB,
     .name = "class",
     .help = "what a class-conditional model is to draw; several: the\n"
             "frames go from the first to the last, in this order"},
    JOB("vocab"),
    JOB("shape"),
    JOB("fit"),
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Inversion"},
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_HEADING, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
};

typedef struct task {
    const ldm_command *cmd;
    const options *o;
    ldm_targets *to;
    ldm_model *model;
    ldm_bar bar;
    ldm_array ends[2]; /* the noise of A and of B, [1,C,H,W] */
    ldm_array noise;   /* of all frames, [frames,C,H,W] */
    ldm_array mix;     /* [frames], where each lies between prompts or classes; no data: nowhere */
    const char *prompts[1 + LDM_OPT_LIST_MOST];
    size_t entries; /* prompts, or classes; 1 or 0: there is no way between them */
    char *own[2];   /* prompts that the ends have by themselves; NULL: one was given */
    char *classes;  /* a copy of the list of them; NULL: none */
    ldm_image *frames;
    char **recipes; /* of the frames */
    ldm_walk walk;
    ldm_run *run;
    char *folder;
    ldm_place place;
    int made;
} task;

/* ---- what A and B are ------------------------------------------------------------------------ */

static int fail(const task *t, ldm_status st, const ldm_error *err)
{
    if (st == LDM_ERR_CANCELLED && ldm_signals_interrupted()) {
        ldm_cli_say(t->cmd, "interrupted: nothing is written");
        return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
    }
    return ldm_cli_fail(t->cmd, st, err);
}

static bool is_seed(const char *text, uint64_t *seed)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    return !*end && !errno;
}

static ldm_status noise_of_seed(const task *t, uint64_t seed, ldm_array *out, ldm_error *err)
{
    const ldm_model_info *mi = ldm_model_get_info(t->model);
    const int *given = ldm_job_get_shape(t->to->job, "shape");
    const bool own = ldm_job_is_set(t->to->job, "shape");
    const uint64_t shape[4] = {1, (uint64_t)(own ? given[0] : mi->latent_channels),
                               (uint64_t)(own ? given[1] : mi->latent_h),
                               (uint64_t)(own ? given[2] : mi->latent_w)};

    return ldm_noise(seed, 4, shape, out, err);
}

/* A picture's noise is that of which DDIM makes it. */
static int noise_of_picture(task *t, const char *path, ldm_array *out)
{
    ldm_generate_opts one = {.init_image = path, .quiet = t->o->quiet};
    ldm_starts starts = {0};
    ldm_error err;
    ldm_status st = LDM_OK;
    int code = ldm_starts_read(t->cmd, &one, &starts);

    if (!code && starts.count != 1)
        code = ldm_cli_usage(t->cmd, "%s holds %zu pictures, expected one", path, starts.count);
    if (!code) {
        st = ldm_starts_set(&starts, t->to->job, &err);
        if (!st && !ldm_job_is_set(t->to->job, "refine"))
            st = ldm_job_set_int(t->to->job, "refine", 2, &err);
        if (!st)
            st = ldm_starts_note_inverse(t->cmd, t->model, t->to->job, t->o->quiet, "init: ", &err);
        if (!st)
            st = ldm_invert(t->model, t->to->job, out, NULL, &err);
        (void)ldm_job_set_images(t->to->job, "init", NULL, 0, NULL);
        ldm_bar_clear(&t->bar);
        code = st ? fail(t, st, &err) : LDM_EXIT_OK;
    }
    ldm_starts_free(&starts);
    return code;
}

/* An end's own prompt, or class, under which its picture is inverted. */
static ldm_status set_condition(const task *t, bool last, ldm_error *err)
{
    const char *from = t->classes, *comma = from ? strrchr(from, ',') : NULL;
    char *one;
    ldm_status st;

    if (t->o->prompts_to.count || t->own[0])
        return ldm_job_set(t->to->job, "prompt", t->prompts[last ? t->entries - 1 : 0], err);
    if (!comma)
        return LDM_OK;
    one = last ? ldm_cli_format("%s", comma + 1)
               : ldm_cli_format("%.*s", (int)strcspn(from, ","), from);
    st = one ? ldm_job_set(t->to->job, "class", one, err)
             : ldm_error_set(err, LDM_ERR_NOMEM, "out of memory");
    free(one);
    return st;
}

static int read_end(task *t, const char *text, bool last, ldm_array *out)
{
    ldm_error err;
    ldm_status st = set_condition(t, last, &err);
    uint64_t seed;

    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    if (ldm_starts_is_array(text)) {
        st = ldm_array_read(text, out, &err);
        if (!st && (out->ndim != 4 || out->shape[0] != 1))
            return ldm_cli_usage(t->cmd,
                                 "%s: expected the noise of one picture, [1,C,H,W], as `ldm invert "
                                 "PICTURE -o FILE.npy` makes it",
                                 text);
    } else if (is_seed(text, &seed)) {
        st = noise_of_seed(t, seed, out, &err);
    } else if (!strchr(text, '.') && !strchr(text, '/') && access(text, F_OK)) {
        return ldm_cli_usage(t->cmd, "'%s' is no seed, and no picture or .npy has that name", text);
    } else {
        return noise_of_picture(t, text, out);
    }
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

/* ---- prompts and classes --------------------------------------------------------------------- */

/* What there is to go between, before any work. */
static int plan_way(task *t, bool one_end)
{
    const char *prompt = ldm_job_get_text(t->to->job, "prompt");
    const char *classes = ldm_job_get_text(t->to->job, "class");
    const ldm_opt_list *to = &t->o->prompts_to;

    if (to->count && !prompt)
        return ldm_cli_usage(t->cmd, "--prompt-to needs a prompt to come from: --prompt TEXT");
    t->prompts[0] = prompt;
    memcpy(t->prompts + 1, to->items, to->count * sizeof to->items[0]);
    t->entries = to->count + 1;
    if (classes) {
        t->classes = ldm_cli_format("%s", classes);
        if (!t->classes)
            return ldm_cli_nomem(t->cmd);
        for (const char *p = classes; !to->count && *p; p++)
            t->entries += *p == ',';
    }
    if (one_end && t->entries < 2)
        return ldm_cli_usage(t->cmd, "B is missing: a second seed, noise or picture, or another "
                                     "prompt (--prompt-to TEXT) or class (--class A,B) to go to");
    return LDM_EXIT_OK;
}

/* A model that has captions for pictures without a prompt would give every frame another one. So an
 * end has a prompt by itself: a seed that of `ldm generate --seed`, a picture the one it was made
 * of; where only one end has, it is both's, and where none has, the empty one is. */
static int plan_own_prompts(task *t, char **ends, int count)
{
    ldm_error err;

    if (ldm_job_is_set(t->to->job, "prompt") || ldm_job_is_set(t->to->job, "prompts") ||
        ldm_job_is_set(t->to->job, "context") || ldm_job_is_set(t->to->job, "ids"))
        return LDM_EXIT_OK;
    for (int i = 0; i < count; i++) {
        uint64_t seed = 0;
        const bool by_seed = is_seed(ends[i], &seed);
        char *caption;
        ldm_status st = ldm_model_caption(t->model, seed, &caption, &err);

        if (st)
            return ldm_cli_fail(t->cmd, st, &err);
        if (!caption)
            return LDM_EXIT_OK;
        if (by_seed)
            t->own[i] = ldm_cli_format("%s", caption);
        else if (!ldm_starts_is_array(ends[i]))
            t->own[i] = ldm_inputs_prompt_of(ends[i]);
        ldm_release(caption);
    }
    for (int i = 0; i < 2; i++) {
        const char *other = t->own[1 - i];

        if (!t->own[i])
            t->own[i] = ldm_cli_format("%s", other ? other : "");
        if (!t->own[i])
            return ldm_cli_nomem(t->cmd);
        t->prompts[i] = t->own[i];
    }
    t->entries = strcmp(t->own[0], t->own[1]) ? 2 : 1;
    for (size_t i = 0; !t->o->quiet && i < t->entries; i++)
        ldm_cli_say(t->cmd, "note: %s's is: %s", i ? "B" : "no prompt was given; A",
                    t->own[i][0] ? t->own[i] : "(the empty one)");
    return LDM_EXIT_OK;
}

/* Each frame's place on the way; the prompts and classes themselves become the job's again. */
static int lay_way(task *t)
{
    const int n = t->o->frames;
    ldm_error err;
    ldm_status st = LDM_OK;

    if (t->entries < 2)
        return LDM_EXIT_OK;
    t->mix = (ldm_array){.ndim = 1, .shape = {(uint64_t)n}, .numel = (uint64_t)n};
    t->mix.data = malloc((size_t)n * sizeof *t->mix.data);
    if (!t->mix.data)
        return ldm_cli_nomem(t->cmd);
    for (int i = 0; i < n; i++)
        t->mix.data[i] = (float)((double)(t->entries - 1) * i / (n - 1));
    if (t->o->prompts_to.count || t->own[0])
        st = ldm_job_set_prompts(t->to->job, t->prompts, t->entries, &err);
    else
        st = ldm_job_set(t->to->job, "class", t->classes, &err);
    if (!st)
        st = ldm_job_set_array(t->to->job, "mix", &t->mix, &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static int lay_out(task *t)
{
    const ldm_array *a = &t->ends[0], *b = &t->ends[1];
    const int n = t->o->frames;
    ldm_error err;
    ldm_status st = LDM_OK;

    if (memcmp(a->shape, b->shape, sizeof a->shape))
        return ldm_cli_usage(t->cmd, "A is %llu x %llu and B %llu x %llu latent pixels",
                             (unsigned long long)a->shape[3], (unsigned long long)a->shape[2],
                             (unsigned long long)b->shape[3], (unsigned long long)b->shape[2]);
    t->noise = *a;
    t->noise.shape[0] = (uint64_t)n;
    t->noise.numel = a->numel * (uint64_t)n;
    t->noise.data = malloc((size_t)t->noise.numel * sizeof *t->noise.data);
    t->frames = calloc((size_t)n, sizeof *t->frames);
    t->recipes = calloc((size_t)n, sizeof *t->recipes);
    if (!t->noise.data || !t->frames || !t->recipes)
        return ldm_cli_nomem(t->cmd);
    for (int i = 0; !st && i < n; i++)
        st = ldm_noise_between(a, b, (double)i / (n - 1), t->noise.data + (size_t)i * a->numel,
                               &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

static int keep_recipe(task *t, int frame)
{
    char *json = NULL;
    ldm_error err;
    const ldm_status st = ldm_run_recipe(t->run, frame, &json, &err);

    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    t->recipes[frame] = ldm_walk_recipe(&t->walk, json, frame);
    ldm_release(json);
    return t->recipes[frame] ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);
}

static int take_frame(void *ctx, const ldm_result *r, const ldm_error *why)
{
    task *t = ctx;
    const size_t bytes = (size_t)r->width * (size_t)r->height * 3;
    ldm_image *im = &t->frames[r->index];

    if (r->status || !r->pixels) {
        ldm_cli_say(t->cmd, "frame %d: %s", r->index,
                    r->status ? why->msg : "pictures of this model are neither grey nor RGB");
        return LDM_EXIT_FAILED;
    }
    *im = (ldm_image){r->width, r->height, 3, malloc(bytes)};
    if (!im->pixels)
        return ldm_cli_nomem(t->cmd);
    memcpy(im->pixels, r->pixels, bytes);
    t->made++;
    return keep_recipe(t, r->index);
}

static int make_frames(task *t)
{
    ldm_job *job = t->to->job;
    ldm_run *run;
    ldm_error err;
    ldm_status st = ldm_job_set_array(job, "x_t", &t->noise, &err);
    int code;

    /* A configuration's eta is for pictures by themselves; there is no --eta here. */
    if (!st && !strcmp(ldm_job_get_text(job, "sampler"), "ddim"))
        st = ldm_job_set_real(job, "eta", 0, &err);
    if (!st)
        st = ldm_run_create(t->model, job, &t->run, &err);
    if (st)
        return fail(t, st, &err);
    run = t->run;
    for (size_t i = 0; !t->o->quiet && i < ldm_run_note_count(run); i++)
        ldm_cli_note(t->cmd, ldm_run_note(run, i));
    if (!t->o->quiet && ldm_run_get_info(run)->noise_used)
        ldm_cli_say(t->cmd, "note: the steps add noise to each frame by itself: the animation will "
                            "flicker; a sampler without noise does not (--sampler ddim)");
    ldm_bar_expect(&t->bar, ldm_run_get_info(run), 0);
    {
        ldm_sampling s = {.run = run, .bar = &t->bar};

        code = ldm_sampling_run(&s, take_frame, t);
        if (s.status)
            code = ldm_cli_fail(t->cmd, s.status, &s.error);
        else if (s.cancelled)
            code = fail(t, LDM_ERR_CANCELLED, NULL);
    }
    return code;
}

/* ---- output ---------------------------------------------------------------------------------- */

/* ITU-R BT.601, 16 to 235 and 16 to 240, as y4m's C444 is understood. */
static void to_yuv(const uint8_t *rgb, size_t pixels, uint8_t *yuv)
{
    for (size_t i = 0; i < pixels; i++) {
        const int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];

        yuv[i] = (uint8_t)(((66 * r + 129 * g + 25 * b + 128) >> 8) + 16);
        yuv[pixels + i] = (uint8_t)(((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128);
        yuv[2 * pixels + i] = (uint8_t)(((112 * r - 94 * g - 18 * b + 128) >> 8) + 128);
    }
}

static int print_y4m(const task *t)
{
    const size_t pixels = (size_t)t->frames->width * (size_t)t->frames->height;
    uint8_t *yuv = malloc(3 * pixels);

    if (!yuv)
        return ldm_cli_nomem(t->cmd);
    printf("YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C444\n", t->frames->width, t->frames->height,
           t->o->fps);
    for (int i = 0; i < t->made; i++) {
        to_yuv(t->frames[i].pixels, pixels, yuv);
        printf("FRAME\n");
        fwrite(yuv, 1, 3 * pixels, stdout); /* main checks stdout at the end */
    }
    free(yuv);
    return LDM_EXIT_OK;
}

static int write_one(const task *t, const char *name, ldm_status st, const ldm_error *err,
                     json_t *files)
{
    if (st)
        return ldm_cli_fail(t->cmd, st, err);
    if (!t->o->json)
        printf("%s\n", name);
    json_array_append_new(files, ldm_json_text(name));
    return LDM_EXIT_OK;
}

/* The recipe of all frames together, marked, so that nothing takes it for a picture's. */
static char *mark_of(const task *t, ldm_sheet_kind kind)
{
    char *walk = ldm_walk_recipe(&t->walk, t->recipes[0], -1), *mark = NULL;

    if (walk)
        mark = ldm_sheet_recipe(walk, kind, (size_t)t->made);
    free(walk);
    return mark;
}

static int write_animation(const task *t, const char *name, json_t *files)
{
    char *mark = mark_of(t, LDM_ANIMATION);
    ldm_error err;
    ldm_status st;
    int code;

    if (!mark)
        return ldm_cli_nomem(t->cmd);
    st = ldm_image_write_animation(name, t->frames, (size_t)t->made,
                                   (1000 + t->o->fps / 2) / t->o->fps, mark, &err);
    code = write_one(t, name, st, &err, files);
    free(mark);
    return code;
}

static int write_sheet(const task *t, const char *name, json_t *files)
{
    char *mark = mark_of(t, LDM_SHEET);
    ldm_image sheet = {0};
    ldm_error err;
    ldm_status st;
    int code;

    if (!mark)
        return ldm_cli_nomem(t->cmd);
    st = ldm_image_grid(t->frames, (size_t)t->made, 0, &sheet, &err);
    if (!st)
        st = ldm_image_write(name, &sheet, mark, &err);
    code = write_one(t, name, st, &err, files);
    ldm_release(sheet.pixels);
    free(mark);
    return code;
}

static int write_folder(const task *t, json_t *files)
{
    int code = LDM_EXIT_OK;
    ldm_error err;
    ldm_status st;
    char *name;

    for (int i = 0; !code && i < t->made; i++) {
        name = ldm_cli_format("%s/%05d.png", t->folder, i);
        st = name ? ldm_image_write(name, &t->frames[i], t->recipes[i], &err) : LDM_OK;
        code = name ? write_one(t, name, st, &err, files) : ldm_cli_nomem(t->cmd);
        free(name);
    }
    name = ldm_cli_format("%s/sheet.png", t->folder);
    if (!code)
        code = name ? write_sheet(t, name, files) : ldm_cli_nomem(t->cmd);
    free(name);
    name = ldm_cli_format("%s/animation.png", t->folder);
    if (!code)
        code = name ? write_animation(t, name, files) : ldm_cli_nomem(t->cmd);
    free(name);
    return code;
}

static int write_all(const task *t)
{
    json_t *files = json_array(), *root;
    int code;

    if (!t->folder && !t->o->quiet && !t->o->overwrite)
        ldm_output_note_replaced(t->cmd, t->o->out);
    if (!strcmp(t->o->out, "-"))
        code = print_y4m(t);
    else
        code = t->folder ? write_folder(t, files) : write_animation(t, t->o->out, files);
    if (code || !t->o->json) {
        json_decref(files);
        return code;
    }
    root = json_object();
    json_object_set_new(root, "files", files);
    json_object_set_new(root, "frames", json_integer(t->made));
    json_object_set_new(root, "fps", json_integer(t->o->fps));
    return ldm_cli_print_json(t->cmd, root);
}

/* ---- options --------------------------------------------------------------------------------- */

/* Frames of another walk in the folder would be mixed with these. */
static int check_folder(task *t)
{
    static const char *const albums[] = {"sheet.png", "animation.png"};
    int code = ldm_place_enter(t->cmd, "-o", t->folder, true, &t->place);

    for (int i = 0; !code && i < t->o->frames + 2; i++) {
        char *name = i < t->o->frames
                         ? ldm_cli_format("%s/%05d.png", t->folder, i)
                         : ldm_cli_format("%s/%s", t->folder, albums[i - t->o->frames]);

        code = name ? ldm_output_check(t->cmd, "-o", name, LDM_OUTPUT_OTHER, t->o->overwrite)
                    : ldm_cli_nomem(t->cmd);
        free(name);
    }
    return code;
}

static int plan_output(task *t)
{
    const char *out = t->o->out;
    const size_t n = out ? strlen(out) : 0;
    bool file;
    int code;

    if (!out)
        return ldm_cli_usage(t->cmd, "-o OUT is missing: NAME.png, a folder, or - for y4m");
    if (!strcmp(out, "-")) {
        if (t->o->json)
            return ldm_cli_usage(t->cmd, "-o - and --json both write to stdout");
        return LDM_EXIT_OK;
    }
    code = ldm_output_is_file(t->cmd, out, 1, &ldm_output_animations, &file);
    if (!code && file)
        code = ldm_output_check(t->cmd, "-o", out, LDM_OUTPUT_PICTURE, t->o->overwrite);
    if (!code && file)
        code = ldm_output_make_parent(t->cmd, "-o", out);
    if (code || file)
        return code;
    t->folder = ldm_cli_format("%.*s", (int)(n > 1 && out[n - 1] == '/' ? n - 1 : n), out);
    return t->folder ? check_folder(t) : ldm_cli_nomem(t->cmd);
}

/* ends: A and B; without a B, A twice. */
static int work(task *t, options *o, char **ends, int count)
{
    int code = ldm_cli_read_whole(t->cmd, "--frames", o->frames_text, 2, MAX_FRAMES, &o->frames);

    if (!code)
        code = ldm_cli_read_whole(t->cmd, "--fps", o->fps_text, 1, MAX_FPS, &o->fps);
    for (int i = 0; !code && o->out && i < count; i++)
        code = ldm_output_check_input(t->cmd, o->out, ends[i]);
    if (!code)
        code = plan_output(t);
    if (!code)
        code = plan_way(t, count < 2);
    t->walk = (ldm_walk){.a = ends[0], .b = count > 1 ? ends[1] : NULL, .frames = o->frames};
    if (!code && !ldm_walk_begin(&t->walk, t->to, &o->prompts_to))
        code = ldm_cli_nomem(t->cmd);
    if (!code)
        code = ldm_inputs_find_config(t->cmd, t->to->model, o->quiet);
    if (!code)
        code = (o->quiet ? ldm_model_open_quiet : ldm_model_open_said)(t->cmd, t->to->model,
                                                                       &t->model);
    ldm_sampling_watch(t->to->job, &t->bar);
    if (!code)
        code = plan_own_prompts(t, ends, count);
    for (int i = 0; !code && i < 2; i++)
        code = read_end(t, ends[i < count ? i : 0], i == 1, &t->ends[i]);
    if (!code)
        code = lay_out(t);
    if (!code)
        code = lay_way(t);
    if (!code)
        code = make_frames(t);
    return code ? code : write_all(t);
}

static void task_free(task *t)
{
    for (int i = 0; t->frames && i < t->made; i++)
        free(t->frames[i].pixels);
    for (int i = 0; t->recipes && i < t->o->frames; i++)
        free(t->recipes[i]);
    free(t->recipes);
    free(t->frames);
    ldm_place_leave(&t->place);
    ldm_walk_free(&t->walk);
    ldm_run_free(t->run);
    free(t->folder);
    free(t->noise.data);
    free(t->mix.data);
    free(t->classes);
    free(t->own[0]);
    free(t->own[1]);
    ldm_array_free(&t->ends[0]);
    ldm_array_free(&t->ends[1]);
    ldm_model_close(t->model);
    ldm_targets_free(t->to);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {.frames = DEFAULT_FRAMES, .fps = DEFAULT_FPS};
    ldm_targets to = {0};
    task t = {.cmd = cmd, .o = &o, .to = &to, .place = {.lock = -1}};
    ldm_parse parse;
    int args, code = ldm_job_command_begin(cli, cmd, argc, argv, &o, &to, &parse, &args);

    ldm_bar_init(&t.bar);
    if (o.quiet)
        t.bar.on = false;
    ldm_signals_catch_interrupts();
    if (!code && !parse)
        code = work(&t, &o, argv + args, argc - args);
    if (code && o.json && parse == LDM_PARSE_OK)
        ldm_cli_json_failure(cmd);
    task_free(&t);
    return code;
}

const ldm_command ldm_cmd_interpolate = {
    .name = "interpolate",
    .args_are = "the two ends are seeds, pictures, or noise (.npy) of 'ldm invert'",
    .args = "A [B] -o OUT [options]",
    .summary = "pictures on the way from one to another",
    .about =
        "Makes pictures from noise between that of A and that of B, along the arc between them\n"
        "(slerp). A and B are seeds, noise (.npy [1,C,H,W], as `ldm invert` writes it), or\n"
        "pictures, whose noise is found by DDIM inversion. With --prompt-to, or several\n"
        "classes, the frames go from one prompt to the next as well; without B the noise stays\n"
        "that of A.",
    .notes = "  ldm interpolate 42 43 --frames 24 -o walk.png\n"
             "  ldm interpolate a.jpg b.jpg --steps 50 -o walk/\n"
             "  ldm interpolate 7 --prompt 'a fox' --prompt-to 'a wolf' -o fox.png\n"
             "  ldm interpolate 1 2 -o - --quiet | ffmpeg -i - walk.mp4",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
