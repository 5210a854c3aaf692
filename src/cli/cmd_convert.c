/* SPDX-License-Identifier: MIT */
/* ldm convert: a checkpoint in another form. */
#include <ldm/convert.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/outputs.h"
#include "cli/signals.h"
#include "cli/terminal.h"

typedef struct options {
    const char *out, *to;
    bool half, bf16, raw, overwrite, quiet;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_FLAG,
     .name = "raw",
     .field = offsetof(options, raw),
     .help = "the same as --no-ema"},
    {.type = LDM_OPT_HEADING, .name = "Output"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "OUT.safetensors",
     .field = offsetof(options, out),
     .help = "the file; its YAML lies beside it afterwards, as\n"
             "OUT.yaml, or as OUT.safetensors.yaml, which is found\n"
             "first, where OUT.yaml is the source's"},
    {.type = LDM_OPT_FLAG,
     .name = "overwrite",
     .field = offsetof(options, overwrite),
     .help = "replace files that are there"},
    {.type = LDM_OPT_CHOICE,
     .name = "to",
     .arg = "FORM",
     .choices = "safetensors|diffusers",
     .field = offsetof(options, to),
     .help = "diffusers: -o is a folder that diffusers loads;\n"
             "default safetensors"},
    {.type = LDM_OPT_FLAG,
     .name = "half",
     .field = offsetof(options, half),
     .help = "weights as float16"},
    {.type = LDM_OPT_FLAG,
     .name = "bf16",
     .field = offsetof(options, bf16),
     .help = "weights as bfloat16"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(options, quiet),
     .help = "no notes and no progress bar on stderr"},
};

static int to_folder(const options *o)
{
    return o->to && !strcmp(o->to, "diffusers");
}

static bool names_folder(const char *out)
{
    return *out && (out[strlen(out) - 1] == '/' || ldm_is_dir(out));
}

/* A checkpoint of PyTorch is never written: a name that says so would mislead its readers. */
static int check_output(const ldm_command *cmd, const options *o)
{
    static const char *const others[] = {".ckpt", ".pt",   ".pth", ".bin", ".pkl", ".gguf",
                                         ".onnx", ".yaml", ".yml", ".zip", NULL};
    const char *ending = o->out ? ldm_output_ending(o->out) : "";
    int code;

    if (!o->out)
        return ldm_cli_usage(cmd, "-o is missing: where the file is to be written");
    if (o->half && o->bf16)
        return ldm_cli_usage(cmd, "--half and --bf16 exclude each other");
    if (to_folder(o))
        return ldm_output_check_folder(cmd, "-o", o->out);
    if (names_folder(o->out))
        return ldm_cli_usage(cmd,
                             "-o: '%s' is a folder, and one file is written: name it %s%smodel."
                             "safetensors, or say --to diffusers, which writes a folder",
                             o->out, o->out, o->out[strlen(o->out) - 1] == '/' ? "" : "/");
    if (ldm_output_ends_in(o->out, others))
        return ldm_cli_usage(cmd,
                             "-o: '%s' ends in %s, and a safetensors file is written; name it "
                             "%.*s.safetensors",
                             o->out, ending, (int)(strlen(o->out) - strlen(ending)), o->out);
    code = ldm_output_check(cmd, "-o", o->out, LDM_OUTPUT_OTHER, o->overwrite);
    if (!code && !*ending)
        return ldm_cli_usage(cmd,
                             "-o: '%s' has no ending, and a safetensors file is written; name it "
                             "%s.safetensors, or say --to diffusers, which writes a folder",
                             o->out, o->out);
    return code ? code : ldm_output_make_parent(cmd, "-o", o->out);
}

static int show_progress(void *ctx, double done)
{
    const bool *shown = ctx;

    if (*shown)
        ldm_terminal_progress("converting", done);
    return ldm_signals_interrupted() != 0;
}

/* Warnings go to stderr, where a script that keeps the report sees them. */
static void print_report(const ldm_command *cmd, char *report)
{
    char *line = report, *end;

    for (; (end = strchr(line, '\n')); line = end + 1) {
        if (!strncmp(line, "warning: ", 9)) {
            *end = '\0';
            ldm_cli_note(cmd, line);
            memmove(line, end + 1, strlen(end + 1) + 1);
            end = line - 1;
        }
    }
    ldm_terminal_print(report);
}

static int convert(const ldm_command *cmd, const options *o, ldm_model_options *model)
{
    const unsigned how = (o->half ? LDM_CONVERT_HALF : 0U) | (o->bf16 ? LDM_CONVERT_BF16 : 0U) |
                         (to_folder(o) ? LDM_CONVERT_DIFFUSERS : 0U) |
                         (o->overwrite ? 0U : LDM_CONVERT_NEW);
    bool shown = ldm_terminal_redraws(STDERR_FILENO) && !o->quiet;
    ldm_error err;
    char *report;
    ldm_status st = o->raw ? ldm_model_options_set_bool(model, "ema", false, &err) : LDM_OK;

    ldm_signals_catch_interrupts();
    if (!st)
        st = ldm_convert(model, o->out, how, show_progress, &shown, &report, &err);
    if (shown)
        ldm_terminal_progress(NULL, 0);
    if (st == LDM_ERR_CANCELLED && ldm_signals_interrupted()) {
        ldm_cli_say(cmd, "interrupted: nothing is written");
        return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
    }
    if (st)
        return ldm_model_fail(cmd, model, st, &err);
    print_report(cmd, report);
    ldm_release(report);
    return LDM_EXIT_OK;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_targets targets = {0};
    ldm_parse parse = LDM_PARSE_OK;
    int args = 0, code = ldm_model_begin(cli, cmd, &targets);

    if (!code) {
        parse = ldm_opts_parse(cmd, argc, argv, &o, &targets, &args);
        code = parse ? ldm_parse_exit(parse) : check_output(cmd, &o);
    }
    if (!parse && !code)
        code = ldm_inputs_resolve(cmd, targets.model, argc - args, argv + args, o.quiet);
    if (!parse && !code)
        code = ldm_inputs_find_config(cmd, targets.model, o.quiet);
    if (!parse && !code)
        code = convert(cmd, &o, targets.model);
    ldm_targets_free(&targets);
    return code;
}

const ldm_command ldm_cmd_convert = {
    .name = "convert",
    .args = "IN -o OUT.safetensors [options]",
    .summary = "a checkpoint in another form: safetensors, half, EMA or raw",
    .about =
        "Writes any model that ldm reads (PyTorch, safetensors, a folder of diffusers, parts in\n"
        "files of their own) as one safetensors file with CompVis' names, and its YAML beside\n"
        "it. What no run reads is left out. The file is read back and compared before it gets\n"
        "its name.",
    .notes = "  ldm convert model.ckpt -o model.safetensors --half\n"
             "  ldm convert ldm-celebahq-256/ -o celeba.safetensors\n"
             "  ldm convert --ckpt unet.ckpt --first-stage vae.ckpt --config config.yaml -o "
             "all.safetensors",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
