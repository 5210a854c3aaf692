/* SPDX-License-Identifier: MIT */
/* ldm invert: the noise from which DDIM makes a picture. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "cli/generate/generate.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/sampling.h"
#include "cli/signals.h"

typedef struct options {
    const char *out;
    bool json, quiet, one_way, overwrite;
} options;

#define JOB(key)                                                                                   \
    {                                                                                              \
        .type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_JOB, .name = key                             \
    }

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Inversion"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "FILE.npy",
     .field = offsetof(options, out),
     .help = "the noise, float32 [N,C,H,W]"},
    LDM_OVERWRITE_ROW(offsetof(options, overwrite)),
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Inversion"},
    {.type = LDM_OPT_FLAG,
     .name = "one-way",
     .field = offsetof(options, one_way),
     .help = "do not run the way back, whose end is compared with\nthe beginning"},
    JOB("steps"),
    JOB("timesteps"),
    JOB("scale"),
    JOB("prompt"),
    JOB("negative"),
    JOB("class"),
    JOB("vocab"),
    JOB("shape"),
    JOB("fit"),
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "a JSON object instead of text"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(options, quiet),
     .help = "no notes and no progress bar on stderr"},
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
    ldm_starts starts;
    ldm_array latents; /* the input, where it is an array */
    ldm_array noise, errors;
    ldm_model *model;
    ldm_bar bar;
} task;

static int read_input(task *t, const char *path)
{
    ldm_generate_opts one = {.quiet = t->o->quiet};
    ldm_error err;
    ldm_status st;

    if (!ldm_starts_is_array(path)) {
        one.init_image = path;
        return ldm_starts_read(t->cmd, &one, &t->starts);
    }
    st = ldm_array_read(path, &t->latents, &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

/* Noise leads to a picture by the prompt that it was found with: a picture's own, where its recipe
 * says one, else the empty one, and never one of the captions that runs without a prompt draw. */
static int settle_prompt(task *t)
{
    ldm_error err;
    ldm_status st = LDM_OK;
    int code = ldm_starts_take_prompt(t->cmd, t->model, &t->starts, "the empty prompt is used",
                                      t->to->job);

    if (!code && ldm_model_get_info(t->model)->reads_text && !ldm_job_is_set(t->to->job, "prompt"))
        st = ldm_job_set(t->to->job, "prompt", "", &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : code;
}

/* ---- how far the way back leads -------------------------------------------------------------- */

/* Whether the run is guided, by the line or by the model's own settings. *scale: how much. */
static bool is_guided(const task *t, double *scale)
{
    ldm_job *usual = NULL;

    *scale = 1;
    if (!ldm_job_is_set(t->to->job, "scale") && !ldm_job_create(t->model, &usual, NULL))
        *scale = ldm_job_get_real(usual, "scale");
    else if (ldm_job_is_set(t->to->job, "scale"))
        *scale = ldm_job_get_real(t->to->job, "scale");
    ldm_job_free(usual);
    return *scale != 1 && ldm_model_get_info(t->model)->guidance_has_effect;
}

static void note_guidance(const task *t)
{
    double scale;

    if (is_guided(t, &scale))
        ldm_cli_say(
            t->cmd,
            "note: --scale %g: guidance spoils an inversion, which neither more --steps nor "
            "--refine make up for; --scale 1 is the cure",
            scale);
}

/* With what ends nearer. */
static void note_far(const task *t)
{
    const double far = 0.1; /* beyond it the noise shows another picture */
    const char *how = ldm_job_get_text(t->to->job, "inversion");
    double scale;
    size_t count = 0;

    for (size_t i = 0; i < t->errors.numel; i++)
        count += !((double)t->errors.data[i] <= far);
    if (!count)
        return;
    ldm_cli_say(t->cmd, "note: more than %g %% away, which is another picture; %s", 100 * far,
                how && !strcmp(how, "compvis")          ? "--inversion ddim ends nearer"
                : is_guided(t, &scale)                  ? "--scale 1 ends nearer"
                : ldm_job_get_int(t->to->job, "refine") ? "more --steps end nearer"
                                                        : "more --steps or --refine 3 end nearer");
}

static int invert(task *t)
{
    const bool both = !t->o->one_way;
    ldm_job *job = t->to->job;
    ldm_error err;
    ldm_status st = t->latents.data ? ldm_job_set_array(job, "init", &t->latents, &err)
                                    : ldm_starts_set(&t->starts, job, &err);

    if (!st)
        st = ldm_starts_note_inverse(t->cmd, t->model, job, t->o->quiet, NULL, &err);
    if (!st)
        note_guidance(t);
    if (!st && !t->o->quiet && !t->o->overwrite)
        ldm_output_note_replaced(t->cmd, t->o->out);
    ldm_sampling_watch(job, &t->bar);
    if (!st)
        st = ldm_invert(t->model, job, &t->noise, both ? &t->errors : NULL, &err);
    ldm_bar_clear(&t->bar);
    if (st == LDM_ERR_CANCELLED && ldm_signals_interrupted()) {
        ldm_cli_say(t->cmd, "interrupted: nothing is written");
        return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
    }
    if (!st)
        st = ldm_array_write(t->o->out, &t->noise, &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

static int print_json(const task *t)
{
    json_t *root = json_object(), *shape = json_array(), *errors = json_array();

    for (int i = 0; i < t->noise.ndim; i++)
        json_array_append_new(shape, ldm_json_u64(t->noise.shape[i]));
    for (size_t i = 0; i < t->errors.numel; i++)
        json_array_append_new(errors, ldm_json_real((double)t->errors.data[i]));
    json_object_set_new(root, "out", ldm_json_text(t->o->out));
    json_object_set_new(root, "shape", shape);
    json_object_set_new(root, "round_trip", errors);
    return ldm_cli_print_json(t->cmd, root);
}

/* ---- the way back, as a command -------------------------------------------------------------- */

/* An option once for each line of the value, which is released. */
static void add_lines(ldm_str *line, const char *option, char *value)
{
    char *rest;

    for (char *word = strtok_r(value, "\n", &rest); word; word = strtok_r(NULL, "\n", &rest)) {
        ldm_cli_add_word(line, option);
        ldm_cli_add_word(line, word);
    }
    ldm_release(value);
}

/* What makes the picture again; what it has by default is left out. */
static int print_next(const task *t)
{
    static const char *const of_model[][2] = {{"model", "--model"},
                                              {"ckpt", "--ckpt"},
                                              {"first_stage", "--first-stage"},
                                              {"config", "--config"},
                                              {"set", "--set"}};
    static const char *const of_job[][2] = {{"steps", "--steps"},
                                            {"timesteps", "--timesteps"},
                                            {"scale", "--scale"},
                                            {"negative", "--negative"},
                                            {"class", "--class"}};
    const char *prompt = ldm_job_get_text(t->to->job, "prompt");
    ldm_str text = {0};
    char *value, *line;

    ldm_str_puts(&text, "ldm generate --x-t");
    ldm_cli_add_word(&text, t->o->out);
    for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++) {
        if (ldm_model_options_is_set(t->to->model, of_model[i][0]) &&
            !ldm_model_options_get(t->to->model, of_model[i][0], &value, NULL))
            add_lines(&text, of_model[i][1], value);
    }
    ldm_str_puts(&text, " --eta 0");
    for (size_t i = 0; i < sizeof of_job / sizeof *of_job; i++) {
        if (ldm_job_is_set(t->to->job, of_job[i][0]) &&
            !ldm_job_get(t->to->job, of_job[i][0], &value, NULL))
            add_lines(&text, of_job[i][1], value);
    }
    if (ldm_job_is_set(t->to->job, "prompt")) {
        ldm_str_puts(&text, " --prompt");
        ldm_cli_add_word(&text, prompt ? prompt : "");
    }
    line = ldm_cli_finish_line(&text);
    if (line)
        printf("Next: %s\n", line);
    free(line);
    return line ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);
}

static int print_result(const task *t)
{
    if (t->o->json)
        return print_json(t);
    printf("%s: float32 [%llu,%llu,%llu,%llu]\n", t->o->out, (unsigned long long)t->noise.shape[0],
           (unsigned long long)t->noise.shape[1], (unsigned long long)t->noise.shape[2],
           (unsigned long long)t->noise.shape[3]);
    for (size_t i = 0; i < t->errors.numel; i++)
        printf("%s: the way back ends %.2f %% away (relative L2 of the latents)\n",
               t->starts.paths ? t->starts.paths[i] : "latent", 100 * (double)t->errors.data[i]);
    note_far(t);
    return t->o->quiet ? LDM_EXIT_OK : print_next(t);
}

static int work(task *t, const char *path)
{
    const options *o = t->o;
    int code = LDM_EXIT_OK;

    if (!o->out)
        return ldm_cli_usage(t->cmd, "-o FILE.npy is missing: where to write the noise");
    code = ldm_output_check_input(t->cmd, o->out, path);
    if (!code)
        code = ldm_output_check_array(t->cmd, "-o", o->out, o->overwrite);
    if (!code)
        code = ldm_output_make_parent(t->cmd, "-o", o->out);
    if (!code)
        code = read_input(t, path);
    if (!code)
        code = ldm_inputs_find_config(t->cmd, t->to->model, o->quiet);
    if (!code)
        code = (o->quiet ? ldm_model_open_quiet : ldm_model_open_said)(t->cmd, t->to->model,
                                                                       &t->model);
    if (!code)
        code = settle_prompt(t);
    if (!code)
        code = invert(t);
    return code ? code : print_result(t);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_targets to = {0};
    task t = {.cmd = cmd, .o = &o, .to = &to};
    ldm_parse parse;
    int args, code = ldm_job_command_begin(cli, cmd, argc, argv, &o, &to, &parse, &args);

    ldm_bar_init(&t.bar);
    if (o.quiet)
        t.bar.on = false;
    ldm_signals_catch_interrupts();
    if (!code && !parse)
        code = work(&t, argv[args]);
    if (code && o.json && parse == LDM_PARSE_OK)
        ldm_cli_json_failure(cmd);
    ldm_model_close(t.model);
    ldm_starts_free(&t.starts);
    ldm_array_free(&t.latents);
    ldm_array_free(&t.noise);
    ldm_array_free(&t.errors);
    ldm_targets_free(&to);
    return code;
}

const ldm_command ldm_cmd_invert = {
    .name = "invert",
    .args = "IMAGE|FOLDER|LATENT.npy -o FILE.npy [options]",
    .summary = "the noise from which DDIM makes a picture",
    .about =
        "Runs DDIM backwards, from a picture's latent to the noise that leads to it, and then\n"
        "forwards again, and says how far that ends from the beginning, and which command makes\n"
        "the picture of the noise. Without --prompt a picture's own is taken, from its recipe\n"
        "(of a folder, where all recipes agree), else the empty one.",
    .notes =
        "A picture of another size is resized as for --init (docs/PICTURES.md). Guidance spoils\n"
        "an inversion: --scale 1 is the cure. Fewer steps invert worse; without guidance\n"
        "--refine 3 makes up for it. The way back needs the same --steps, --scale and --prompt.\n\n"
        "  ldm invert photo.jpg --steps 50 --scale 1 --prompt '' -o noise.npy\n"
        "  ldm generate --x-t noise.npy --steps 50 --eta 0 --scale 1 --prompt '' -o again.png",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
