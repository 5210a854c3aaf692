/* SPDX-License-Identifier: MIT */
/* ldm reconstruct: pictures through the first stage and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_text.h"
#include "cli/drawn.h"
#include "cli/generate/generate.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/psnr.h"
#include "cli/sheets.h"
#include "cli/signals.h"

typedef struct options {
    const char *out;
    bool json, quiet, overwrite;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Pictures"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "DIR|FILE",
     .field = offsetof(options, out),
     .help = "write what comes back: to a folder, as NAME.png, or of\none picture to this .png or "
             ".jpg"},
    {.type = LDM_OPT_FLAG,
     .name = "overwrite",
     .field = offsetof(options, overwrite),
     .help = "replace files that are there"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_EVAL, .name = "quantize"},
    {.type = LDM_OPT_SETTING,
     .kind = LDM_SETTINGS_EVAL,
     .name = "sample",
     .help = "with a KL first stage: by way of a sampled latent, not\nthe mean"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_EVAL, .name = "seed"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "a JSON object about all of them instead of text"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(options, quiet),
     .help = "no notes on stderr"},
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_HEADING, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
};

typedef struct task {
    const ldm_command *cmd;
    const options *o;
    const ldm_targets *to;
    ldm_model *model;
    char **paths, **outs; /* [count]; outs NULL: nothing is written */
    size_t count;
    ldm_reconstruction *figures; /* [count] */
    bool far;                    /* it was said that pictures are far from the model's size */
    ldm_image *sizes;            /* [count]: without pixels */
    char **why;                  /* [count]: why a picture is left out; NULL: it is not */
    size_t left_out;
    bool printed; /* the JSON object */
} task;

/* ---- names ----------------------------------------------------------------------------------- */

static int add_path(task *t, char *path)
{
    char **grown = path ? realloc(t->paths, (t->count + 1) * sizeof *grown) : NULL;

    if (!grown) {
        free(path);
        return ldm_cli_nomem(t->cmd);
    }
    t->paths = grown;
    t->paths[t->count++] = path;
    return LDM_EXIT_OK;
}

static int add_argument(task *t, const char *arg)
{
    char **found;
    size_t n, i;
    int code;

    if (!ldm_is_dir(arg))
        return add_path(t, strdup(arg));
    code = ldm_folder_pictures(t->cmd, arg, t->o->quiet, &found, &n);
    for (i = 0; !code && i < n; i++)
        code = ldm_sheet_pictures(found[i], NULL) ? LDM_EXIT_OK : add_path(t, strdup(found[i]));
    ldm_paths_free(found, n);
    return code;
}

/* "a/b/face.jpg" -> "DIR/face.png"; free() it. */
static char *name_of_output(const char *folder, const char *path)
{
    const char *name = ldm_file_name(path);
    const char *dot = strrchr(name, '.');
    const int stem = dot && dot > name ? (int)(dot - name) : (int)strlen(name);

    return ldm_cli_format("%s%s%.*s.png", folder, folder[strlen(folder) - 1] == '/' ? "" : "/",
                          stem, name);
}

static int check_output(const task *t, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (!strcmp(t->outs[k], t->outs[i]))
            return ldm_cli_usage(t->cmd, "%s and %s would both be written as %s", t->paths[k],
                                 t->paths[i], t->outs[i]);
    }
    return ldm_output_check(t->cmd, "-o", t->outs[i], LDM_OUTPUT_OTHER, t->o->overwrite);
}

static int name_outputs(task *t)
{
    const char *out = t->o->out;
    bool file;
    int code = LDM_EXIT_OK;

    if (!out)
        return code;
    code = ldm_output_is_file(t->cmd, out, (int)t->count, &ldm_output_pictures, &file);
    t->outs = code ? NULL : calloc(t->count, sizeof *t->outs);
    if (!code && !t->outs)
        return ldm_cli_nomem(t->cmd);
    for (size_t i = 0; !code && i < t->count; i++) {
        t->outs[i] = file ? strdup(out) : name_of_output(out, t->paths[i]);
        code = t->outs[i] ? check_output(t, i) : ldm_cli_nomem(t->cmd);
    }
    if (code)
        return code;
    return file ? ldm_output_make_parent(t->cmd, "-o", out)
                : ldm_output_make_folder(t->cmd, "-o", out);
}

/* ---- one picture ----------------------------------------------------------------------------- */

static ldm_image_difference difference_of(const ldm_reconstruction *f)
{
    return (ldm_image_difference){f->psnr, f->mse, f->mean_absolute, f->largest};
}

/* Once: of a folder of photos all are far from the model's size. */
static ldm_status note_size(task *t, const ldm_image *im, ldm_error *err)
{
    char *text;
    ldm_status st = ldm_model_size_note(t->model, im->width, im->height, &text, err);

    if (!st && text) {
        t->far = true;
        ldm_cli_note(t->cmd, text);
        ldm_release(text);
    }
    return st;
}

/* One picture's own failure: the others are still worth seeing. *err gets a message that names it;
 * memory that ends, and an interrupt, are no picture's own. */
static int leave_out(task *t, size_t i, ldm_status st, bool named, ldm_error *err)
{
    if (!named)
        st = ldm_error_wrap(err, st, "%s", t->paths[i]);
    ldm_cli_fail(t->cmd, st, err);
    t->why[i] = strdup(err->msg);
    t->left_out++;
    return t->why[i] ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);
}

static int write_out(const task *t, size_t i, const ldm_image *out)
{
    ldm_error err;
    int code = ldm_place_claim_file(t->cmd, "-o", t->outs[i], t->o->overwrite);
    ldm_status st = code ? LDM_OK : ldm_image_write(t->outs[i], out, NULL, &err);

    if (!st)
        return code;
    if (!t->o->overwrite)
        ldm_place_drop_file(t->outs[i]);
    return ldm_cli_fail(t->cmd, st, &err);
}

static void tell(const task *t, size_t i)
{
    const ldm_reconstruction *f = &t->figures[i];
    const ldm_image *im = &t->sizes[i];
    const ldm_image_difference d = difference_of(f);

    if (!t->o->quiet && (f->padded_width != im->width || f->padded_height != im->height))
        ldm_cli_say(t->cmd, "note: %s: %d x %d is extended to %d x %d and cut again", t->paths[i],
                    im->width, im->height, f->padded_width, f->padded_height);
    if (t->o->json)
        return;
    printf("%s: ", t->paths[i]);
    ldm_psnr_print(&d);
    printf("%s%s\n", t->outs ? " -> " : "", t->outs ? t->outs[i] : "");
}

static int reconstruct(task *t, size_t i)
{
    ldm_image im = {0}, out = {0};
    ldm_error err;
    ldm_status st = ldm_image_read_channels(t->paths[i], 0, &im, &err);
    const bool named = st != LDM_OK; /* a reader's message names the file */
    int code;

    if (!st && !t->o->quiet && !t->far)
        st = note_size(t, &im, &err);
    if (!st)
        st = ldm_reconstruct(t->model, t->to->eval, &im, &out, &t->figures[i], sizeof *t->figures,
                             &err);
    t->sizes[i] = (ldm_image){im.width, im.height, im.channels, NULL};
    if (st == LDM_ERR_NOMEM || st == LDM_ERR_CANCELLED)
        code = ldm_cli_fail(t->cmd, st, &err);
    else if (st)
        code = leave_out(t, i, st, named, &err);
    else
        code = t->outs ? write_out(t, i, &out) : LDM_EXIT_OK;
    if (!st && !code)
        tell(t, i);
    ldm_release(im.pixels);
    ldm_release(out.pixels);
    return code;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static ldm_psnr_means mean_of(const task *t)
{
    ldm_psnr_means m = {0};

    for (size_t i = 0; i < t->count; i++) {
        const ldm_image_difference d = difference_of(&t->figures[i]);

        if (!t->why[i])
            ldm_psnr_add(&m, &d);
    }
    return m;
}

static int print_json(task *t)
{
    const ldm_psnr_means m = mean_of(t);
    json_t *root = json_object(), *list = json_array();

    for (size_t i = 0; i < t->count; i++) {
        const ldm_image_difference d = difference_of(&t->figures[i]);
        json_t *p = json_object();

        json_array_append_new(list, p);
        json_object_set_new(p, "file", ldm_json_text(t->paths[i]));
        if (t->why[i]) {
            json_object_set_new(p, "error", ldm_json_text(t->why[i]));
            continue;
        }
        json_object_set_new(p, "out", t->outs ? ldm_json_text(t->outs[i]) : json_null());
        json_object_set_new(p, "width", json_integer(t->sizes[i].width));
        json_object_set_new(p, "height", json_integer(t->sizes[i].height));
        ldm_psnr_to_json(p, &d);
    }
    t->printed = true;
    json_object_set_new(root, "pictures", list);
    ldm_psnr_means_to_json(root, &m);
    return ldm_cli_print_json(t->cmd, root);
}

/* The failure of the only picture is what a JSON object says instead of figures. */
static int finish(task *t)
{
    const bool any = t->left_out < t->count;
    int code = LDM_EXIT_OK;

    if (t->left_out && t->count > 1)
        ldm_cli_say(t->cmd, "%zu of %zu pictures are left out", t->left_out, t->count);
    if (t->o->json && (any || t->count > 1)) {
        code = print_json(t);
    } else if (any && t->count > 1) {
        const ldm_psnr_means m = mean_of(t);

        ldm_psnr_print_means(&m, "pictures");
    }
    return t->left_out ? LDM_EXIT_FAILED : code;
}

static int all(task *t)
{
    int code = LDM_EXIT_OK;

    t->figures = calloc(t->count, sizeof *t->figures);
    t->sizes = calloc(t->count, sizeof *t->sizes);
    t->why = calloc(t->count, sizeof *t->why);
    if (!t->figures || !t->sizes || !t->why)
        return ldm_cli_nomem(t->cmd);
    for (size_t i = 0; !code && i < t->count; i++) {
        code = reconstruct(t, i);
        if (!code && ldm_signals_interrupted()) {
            ldm_cli_say(t->cmd, "interrupted: %zu of %zu pictures are done", i + 1, t->count);
            return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
        }
    }
    return code ? code : finish(t);
}

static int work(const ldm_command *cmd, const options *o, const ldm_targets *to, int argc,
                char **argv)
{
    task t = {.cmd = cmd, .o = o, .to = to};
    int code = LDM_EXIT_OK;

    if (!argc)
        return ldm_cli_usage(cmd, "no picture is named: give files, or a folder of them");
    if (argc > 1 && !o->out && access(argv[argc - 1], F_OK))
        return ldm_cli_usage(cmd, "there is no file '%s'; a result is named by -o %s",
                             argv[argc - 1], argv[argc - 1]);
    for (int i = 0; !code && i < argc; i++)
        code = add_argument(&t, argv[i]);
    if (!code && !t.count) {
        ldm_cli_say(cmd, "there are contact sheets only, and no picture");
        code = LDM_EXIT_FAILED;
    }
    if (!code)
        code = ldm_inputs_find_config(cmd, to->model, o->quiet);
    if (!code)
        code = name_outputs(&t);
    if (!code)
        code = (o->quiet ? ldm_model_open_quiet : ldm_model_open_said)(cmd, to->model, &t.model);
    ldm_signals_catch_interrupts();
    if (!code)
        code = all(&t);
    if (code && o->json && !t.printed)
        ldm_cli_json_failure(cmd);
    ldm_model_close(t.model);
    ldm_paths_free(t.paths, t.count);
    ldm_paths_free(t.why, t.why ? t.count : 0);
    ldm_paths_free(t.outs, t.outs ? t.count : 0);
    free(t.figures);
    free(t.sizes);
    return code;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_targets to = {0};
    ldm_error err;
    ldm_status st;
    ldm_parse parse = LDM_PARSE_OK;
    int args = 0, code = ldm_model_begin(cli, cmd, &to);

    st = code ? LDM_OK : ldm_eval_job_create(LDM_PART_ENCODE, &to.eval, &err);
    if (st)
        code = ldm_cli_fail(cmd, st, &err);
    if (!code)
        parse = ldm_opts_parse(cmd, argc, argv, &o, &to, &args);
    if (parse) {
        code = ldm_parse_exit(parse);
    } else if (!code) {
        ldm_drawn_say(cmd, &to);
        code = work(cmd, &o, &to, argc - args, argv + args);
    }
    ldm_targets_free(&to);
    return code;
}

const ldm_command ldm_cmd_reconstruct = {
    .name = "reconstruct",
    .args = "IMAGE|FOLDER... [-o DIR|FILE] [--ckpt FILE] [--config FILE] [options]",
    .summary = "pictures through the first stage and back",
    .about =
        "Encodes pictures with the model's first stage and decodes them again: what the first\n"
        "stage loses, no picture that the model makes can have. The first thing to look at when\n"
        "a model's pictures look wrong.",
    .notes =
        "PSNR is 10 log10(255^2 / MSE) over the bytes of each picture, in decibels; above 30 a\n"
        "difference is hard to see. Pictures keep their size; sides that are no multiples of the\n"
        "first stage's factor are extended and cut again. PNG and JPEG, grey, RGB or with alpha,\n"
        "which is dropped. Contact sheets in a folder are left out, and pictures that cannot be\n"
        "read, which are named; the exit code is 1 then.\n\n"
        "  ldm reconstruct photo.jpg -o back/\n"
        "  ldm reconstruct faces/ --ckpt model.ckpt --config config.yaml --json",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
