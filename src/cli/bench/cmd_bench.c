/* SPDX-License-Identifier: MIT */
/* ldm bench: how long it takes until the first step, and how long a step, a decode, a picture and
 * every operation take. */
#include <stdio.h>
#include <string.h>

#include "cli/bench/roofline.h"
#include "cli/generate/generate.h"
#include "cli/generate/given.h"
#include "cli/inputs.h"
#include "cli/signals.h"

typedef struct options {
    ldm_generate_opts
        shown; /* files that say what whole pictures show; first, for generate's rows */
    const char *plot;
    bool json;
} options;
_Static_assert(offsetof(options, shown) == 0, "generate's rows have offsets in its own struct");

#define JOB(key)                                                                                   \
    {                                                                                              \
        .type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_JOB, .name = key                             \
    }

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_MODEL, .name = "precision"},
    {.type = LDM_OPT_HEADING, .name = "Timing"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_BENCH, .name = "Timing"},
    {.type = LDM_OPT_TEXT,
     .name = "plot",
     .arg = "FILE.svg",
     .field = offsetof(options, plot),
     .help = "a roofline: every operation (or shape) under what the\n"
             "machine can do at most, which is measured as well"},
    LDM_OVERWRITE_ROW(offsetof(options, shown.overwrite)),
    {.type = LDM_OPT_HEADING, .name = "Whole pictures"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_BENCH, .name = "Whole pictures"},
    {.type = LDM_OPT_HEADING, .name = "What whole pictures show (as in ldm generate)"},
    JOB("prompt"),
    JOB("negative"),
    {.type = LDM_OPT_SETTING,
     .kind = LDM_SETTINGS_JOB,
     .name = "class",
     .help = "what a class-conditional model is to draw; several:\n--seeds pictures of each"},
    LDM_CLASS_NAMES_ROW,
    JOB("scale"),
    JOB("guidance_rescale"),
    JOB("scale_from"),
    JOB("scale_to"),
    JOB("vocab"),
    JOB("cond"),
    JOB("uncond"),
    LDM_IMAGE_ROW,
    {.type = LDM_OPT_TEXT,
     .name = "mask",
     .arg = "FILE|DIR",
     .field = offsetof(options, shown.mask_image),
     .help = "what is white in this picture of --image's size is\n"
             "painted; transparent parts of --image are, too"},
    LDM_MAP_ROWS,
    JOB("fit"),
    JOB("mask_blur"),
    {.type = LDM_OPT_SETTING,
     .kind = LDM_SETTINGS_JOB,
     .name = "pad",
     .help = "so many pixels beside --image are painted, too\n"
             "(outpainting); one number: on all sides"},
    JOB("noise_level"),
    JOB("tile"),
    LDM_CONDITION_ARRAYS(LDM_ARRAY_OPTION_ROW){.type = LDM_OPT_HEADING,
                                               .name = "Output and machine"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
};

enum { NAME = 48 };

/* Writes a setting's option, "noise-level" of noise_level. */
static void spell(const char *key, char *name)
{
    snprintf(name, NAME, "%s", key);
    ldm_cli_spell(name);
}

/* The option of the settings in the group that is given first; false: none is. */
static bool first_of_group(const ldm_bench_options *bench, const char *group, char *name)
{
    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_BENCH); i++) {
        const ldm_setting_row *s = ldm_setting_at(LDM_SETTINGS_BENCH, i);

        if (strcmp(ldm_setting_group(s), group) != 0 ||
            !ldm_bench_options_is_set(bench, ldm_setting_key(s)))
            continue;
        spell(ldm_setting_key(s), name);
        return true;
    }
    return false;
}

/* The same of those that say what whole pictures show: settings of a job, and files. */
static bool first_shown(const options *o, char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const ldm_opt *row = &rows[i];
        bool given = false;

        if (row->type == LDM_OPT_SETTING && row->kind == LDM_SETTINGS_JOB)
            given = ldm_job_is_set(o->shown.to.job, row->name);
        else if (row->type == LDM_OPT_TEXT && row->field < sizeof o->shown)
            given = *(const char *const *)(const void *)((const char *)o + row->field) != NULL;
        if (!given)
            continue;
        spell(row->name, name);
        return true;
    }
    return false;
}

/* Whether whole pictures are made: bf16 is held against f32 by some. */
static bool makes_pictures(const ldm_targets *to)
{
    const char *precision = ldm_model_options_get_text(to->model, "precision");

    return ldm_bench_options_is_set(to->bench, "steps") ||
           ldm_bench_options_is_set(to->bench, "cache") || !strcmp(precision, "bf16") ||
           !strcmp(precision, "auto");
}

/* Contradictions, and names that nothing could be written to. An exit code. */
static int check(const ldm_command *cmd, const options *o, const ldm_targets *to)
{
    const char *dot = o->plot ? strrchr(o->plot, '.') : NULL;
    const bool shapes = ldm_bench_options_is_set(to->bench, "shapes");
    char whole[NAME] = "";

    if (o->plot && (!dot || strcmp(dot, ".svg")))
        return ldm_cli_usage(
            cmd,
            "--plot: '%s' does not end in .svg; the picture is drawn as SVG, which "
            "browsers show and rsvg-convert or inkscape turn into a PNG",
            o->plot);
    if (!first_of_group(to->bench, "Whole pictures", whole) && !first_shown(o, whole) && shapes &&
        ldm_bench_options_is_set(to->bench, "layers"))
        spell("layers", whole);
    if (shapes && *whole)
        return ldm_cli_usage(cmd, "--shapes times kernels without a model: leave out --%s", whole);
    if (*whole && !makes_pictures(to))
        return ldm_cli_usage(cmd, "--%s is about whole pictures: give --steps N, or --cache N, too",
                             whole);
    if (o->shown.mask_image && !o->shown.image)
        return ldm_cli_usage(cmd, "--mask %s needs --image with the picture that it belongs to",
                             o->shown.mask_image);
    return ldm_output_check(cmd, "--plot", o->plot, LDM_OUTPUT_PLOT, o->shown.overwrite);
}

static void say_notes(const ldm_command *cmd, const options *o, const json_t *report)
{
    char name[NAME];
    const json_t *note;
    size_t i;

    /* Precision auto may be another than bf16, which alone makes pictures by itself. */
    if (!json_object_get(report, "settings") && first_shown(o, name))
        ldm_cli_say(cmd, "note: --%s has no effect: no whole pictures are made (--steps N)", name);
    json_array_foreach(json_object_get(report, "notes"), i, note)
        ldm_cli_note(cmd, json_string_value(note));
}

static int draw(const ldm_command *cmd, const options *o, const ldm_targets *to, json_t *report)
{
    int code = ldm_output_make_parent(cmd, "--plot", o->plot);

    if (!code && !o->shown.overwrite)
        ldm_output_note_replaced(cmd, o->plot);
    if (!code)
        code = ldm_roofline_write(cmd, o->plot, ldm_model_ckpt(to->model), report);
    if (!code)
        ldm_cli_say(cmd, "note: the roofline is in %s", o->plot);
    return code;
}

/* Times, and prints what was measured. An exit code. */
static int measure(const ldm_command *cmd, const options *o, const ldm_targets *to)
{
    char *text = NULL, *json = NULL;
    json_t *report;
    ldm_error err;
    ldm_status st;
    int code = LDM_EXIT_OK;

    /* Nothing is asked between operations: that would be timed, too. */
    ldm_signals_end_at_once(cmd, "nothing is reported, and nothing is written", o->json);
    st = ldm_bench(to->model, to->bench, &text, &json, &err);
    ldm_signals_catch_interrupts(); /* what is measured is written */
    if (st)
        return ldm_fit_fail(cmd, &o->shown, st, &err);
    report = json_loads(json, 0, NULL);
    if (!report)
        code = ldm_cli_nomem(cmd);
    say_notes(cmd, o, report);
    if (!code && o->plot)
        code = draw(cmd, o, to, report);
    json_decref(report);
    ldm_release(o->json ? text : json);
    text = o->json ? json : text;
    if (!code)
        return ldm_cli_report(cmd, st, &err, text, o->json);
    ldm_release(text);
    return code;
}

static int bench(const ldm_command *cmd, const options *o, int argc, char **argv)
{
    const ldm_targets *to = &o->shown.to;
    ldm_given given = {0};
    ldm_error err;
    int code = ldm_inputs_resolve(cmd, to->model, argc, argv, false);

    if (!code)
        code = ldm_inputs_find_config(cmd, to->model, false);
    if (!code)
        code = ldm_given_read(cmd, &o->shown, NULL, &given);
    if (!code && ldm_bench_options_set_job(to->bench, to->job, &err))
        code = ldm_cli_fail(cmd, LDM_ERR_USAGE, &err);
    ldm_model_name(to->model);
    if (!code)
        code = measure(cmd, o, to);
    ldm_given_free(&given);
    if (code && o->json)
        ldm_cli_json_failure(cmd);
    return code;
}

static ldm_status begin(const ldm_cli *cli, const options *o, const ldm_targets *targets,
                        ldm_error *err)
{
    ldm_status st = ldm_bench_options_set_real(targets->bench, "process_start", cli->start, err);

    return st ? st : ldm_bench_options_set_bool(targets->bench, "machine", o->plot != NULL, err);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {.plot = NULL};
    ldm_targets *to = &o.shown.to;
    ldm_error err;
    ldm_status st = ldm_bench_options_create(&to->bench, &err);
    ldm_parse parse = LDM_PARSE_OK;
    int args, code = st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;

    if (!code)
        code = ldm_job_command_begin(cli, cmd, argc, argv, &o, to, &parse, &args);
    if (!code && !parse)
        code = check(cmd, &o, to);
    if (!code && !parse) {
        st = begin(cli, &o, to, &err);
        code = st ? ldm_cli_fail(cmd, st, &err) : bench(cmd, &o, argc - args, argv + args);
    }
    ldm_targets_free(to);
    return code;
}

const ldm_command ldm_cmd_bench = {
    .name = "bench",
    .args = "[--ckpt FILE] [--config FILE] [options]",
    .summary = "how fast is this machine with this model?",
    .about = "Times the way to the first step (ready_s, from the start of the process), the first\n"
             "and the median evaluation of the UNet (first_eps_s, eps_s), decoding a latent and\n"
             "encoding a picture (decode_s, encode_s); reports the peak of resident memory that\n"
             "loading, evaluations and decodes took.",
    .notes = "The errors of --cache: relative L2 distance of the final latents, and PSNR of the\n"
             "pictures, each of the same seed with and without; medians, least and greatest.\n\n"
             "  ldm bench --ckpt model.ckpt --config config.yaml --rounds 20 --json\n"
             "  ldm bench --steps 50 --cache 3 --seeds 8\n"
             "  ldm bench --ckpt sd-v1-4.ckpt --steps 20 --prompt \"a red cat\"\n"
             "  ldm bench --shapes bench/shapes/ffhq.txt --plot roofline.svg",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
