/* SPDX-License-Identifier: MIT */
/* ldm bench: how long it takes until the first step, and how long a step, a decode, a picture and
 * every operation take. */
#include <string.h>

#include "cli/generate/generate.h"
#include "cli/bench/roofline.h"
#include "cli/inputs.h"

typedef struct options {
    const char *plot;
    bool json;
} options;

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
    {.type = LDM_OPT_HEADING, .name = "Whole pictures"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_BENCH, .name = "Whole pictures"},
    {.type = LDM_OPT_HEADING, .name = "Output and machine"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
};

/* The first of the settings in the group that is given, as an option; NULL: none. */
static const char *first_given(const ldm_bench_options *bench, const char *group)
{
    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_BENCH); i++) {
        const ldm_setting_row *s = ldm_setting_at(LDM_SETTINGS_BENCH, i);

        if (!strcmp(ldm_setting_group(s), group) &&
            ldm_bench_options_is_set(bench, ldm_setting_key(s)))
            return ldm_setting_key(s);
    }
    return NULL;
}

/* Contradictions, and names that nothing could be written to. An exit code. */
static int check(const ldm_command *cmd, const options *o, const ldm_bench_options *bench)
{
    const char *dot = o->plot ? strrchr(o->plot, '.') : NULL;
    const char *whole = first_given(bench, "Whole pictures");
    bool shapes = ldm_bench_options_is_set(bench, "shapes");

    if (o->plot && (!dot || strcmp(dot, ".svg")))
        return ldm_cli_usage(
            cmd,
            "--plot: '%s' does not end in .svg; the picture is drawn as SVG, which "
            "browsers show and rsvg-convert or inkscape turn into a PNG",
            o->plot);
    if (shapes && !whole && ldm_bench_options_is_set(bench, "layers"))
        whole = "layers";
    if (shapes && whole)
        return ldm_cli_usage(cmd, "--shapes times kernels without a model: leave out --%s", whole);
    if (whole && !ldm_bench_options_is_set(bench, "steps") &&
        !ldm_bench_options_is_set(bench, "cache"))
        return ldm_cli_usage(cmd, "--%s is about whole pictures: give --steps N, or --cache N, too",
                             whole);
    return ldm_output_check_file(cmd, "--plot", o->plot);
}

static int bench(const ldm_command *cmd, const options *o, const ldm_targets *targets, int argc,
                 char **argv)
{
    char *text = NULL, *json = NULL;
    json_t *report = NULL;
    ldm_error err;
    ldm_status st;
    int code = ldm_inputs_resolve(cmd, targets->model, argc, argv, false);

    if (!code)
        code = ldm_inputs_find_config(cmd, targets->model, false);
    if (code && o->json)
        ldm_cli_json_failure(cmd);
    if (code)
        return code;
    ldm_model_name(targets->model);
    st = ldm_bench(targets->model, targets->bench, o->json ? NULL : &text,
                   o->json || o->plot ? &json : NULL, &err);
    if (st) {
        code = ldm_model_fail(cmd, targets->model, st, &err);
        if (o->json)
            ldm_cli_json_failure(cmd);
        return code;
    }
    if (o->plot) {
        report = json_loads(json, 0, NULL);
        code = ldm_output_make_parent(cmd, "--plot", o->plot);
        if (!code)
            code = report ? ldm_roofline_write(cmd, o->plot, ldm_model_ckpt(targets->model), report)
                          : ldm_cli_nomem(cmd);
        json_decref(report);
    }
    if (!code && o->plot)
        ldm_cli_say(cmd, "note: the roofline is in %s", o->plot);
    if (o->json)
        text = json;
    else
        ldm_release(json);
    if (code)
        ldm_release(text);
    else
        code = ldm_cli_report(cmd, st, &err, text, o->json);
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
    options o = {0};
    ldm_targets targets = {0};
    ldm_error err;
    ldm_status st = LDM_OK;
    ldm_parse parse = LDM_PARSE_OK;
    int args, code = ldm_model_begin(cli, cmd, &targets);

    if (!code)
        st = ldm_bench_options_create(&targets.bench, &err);
    if (!code && !st) {
        parse = ldm_opts_parse(cmd, argc, argv, &o, &targets, &args);
        code = parse ? ldm_parse_exit(parse) : check(cmd, &o, targets.bench);
    }
    if (!code && !st && !parse)
        st = begin(cli, &o, &targets, &err);
    if (st)
        code = ldm_cli_fail(cmd, st, &err);
    else if (!code && !parse)
        code = bench(cmd, &o, &targets, argc - args, argv + args);
    ldm_targets_free(&targets);
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
             "  ldm bench --shapes bench/shapes/ffhq.txt --plot roofline.svg",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
