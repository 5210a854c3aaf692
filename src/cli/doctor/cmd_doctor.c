/* SPDX-License-Identifier: MIT */
/* ldm doctor: what is wrong with a checkpoint and its configuration, and the cure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/doctor/doctor_images.h"
#include "cli/doctor/doctor_next.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/outputs.h"
#include "cli/place.h"
#include "cli/signals.h"
#include "cli/terminal.h"

typedef struct options {
    const char *images, *write_config, *report;
    bool json, quick, fix, overwrite, quiet;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_HEADING, .name = "Examination"},
    {.type = LDM_OPT_TEXT,
     .name = "images",
     .arg = "DIR|FILES",
     .field = offsetof(options, images),
     .help = "pictures of the kind that the model was trained on;\n"
             "4 are enough, and the first 16 are used"},
    {.type = LDM_OPT_FLAG,
     .name = "quick",
     .field = offsetof(options, quick),
     .help = "names, shapes and buffers only: run no network"},
    {.type = LDM_OPT_HEADING, .name = "Output"},
    {.type = LDM_OPT_TEXT,
     .name = "write-config",
     .arg = "OUT.yaml",
     .field = offsetof(options, write_config),
     .help = "write the configuration with all cures in it; comments\n"
             "and order stay where nothing was wrong"},
    {.type = LDM_OPT_FLAG,
     .name = "overwrite",
     .field = offsetof(options, overwrite),
     .help = "--write-config and --report may replace files"},
    {.type = LDM_OPT_TEXT,
     .name = "report",
     .arg = "DIR",
     .field = offsetof(options, report),
     .help = "pictures before and after the cures, side by side:\n"
             "DIR/report.html, as `ldm compare` makes it"},
    {.type = LDM_OPT_FLAG,
     .name = "fix",
     .field = offsetof(options, fix),
     .help = "run the command after -- with the cures:\n"
             "ldm doctor --ckpt FILE --fix -- generate -o faces/"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(options, quiet),
     .help = "no notes and no progress bar on stderr"},
    {.type = LDM_OPT_HEADING, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
};

/* One line that is written over, on a terminal. */
static int show_progress(void *ctx, const char *what, double done)
{
    (void)ctx;
    ldm_terminal_progress(what, done);
    return ldm_signals_interrupted() != 0;
}

/* What was said last, by the bytes that tell parts apart. */
typedef struct said {
    char part[64], duration[64];
} said;

static bool is_new(char last[64], const char *text)
{
    if (!strncmp(last, text, 63))
        return false;
    snprintf(last, 64, "%s", text);
    return true;
}

/* Without a terminal: each part of the examination as it begins, and how long it takes, a line
 * each. "about 4 s: trying heads" is both. */
static int say_step(void *ctx, const char *what, double done)
{
    said *s = ctx;
    const char *part = what;

    if (ldm_signals_interrupted())
        return 1;
    if (!done) /* names are read in a moment */
        return 0;
    if (!strncmp(what, "about ", 6)) {
        const int len = (int)strcspn(what, ":");

        if (is_new(s->duration, what)) {
            fprintf(stderr, "ldm doctor: this takes %.*s\n", len, what);
            return 0;
        }
        part += len + strspn(what + len, ": ");
    }
    if (is_new(s->part, part))
        fprintf(stderr, "ldm doctor: %3.0f %%  %s\n", 100 * done, part);
    return 0;
}

static int say_nothing(void *ctx, const char *what, double done)
{
    (void)ctx;
    (void)what;
    (void)done;
    return ldm_signals_interrupted() != 0;
}

static int write_config(const ldm_command *cmd, const ldm_doctor *d, const options *o)
{
    const char *path = o->write_config;
    ldm_error err;
    char *yaml;
    ldm_status st = ldm_doctor_config(d, true, &yaml, &err);
    int code = LDM_EXIT_OK;

    if (!st)
        code = ldm_place_claim_file(cmd, "--write-config", path, o->overwrite);
    if (!st && !code)
        st = ldm_file_write(path, yaml, strlen(yaml), &err);
    if (st && !o->overwrite)
        ldm_place_drop_file(path);
    if (st)
        return ldm_cli_fail(cmd, st, &err);
    ldm_release(yaml);
    if (!code)
        ldm_cli_say(cmd, "the configuration is written to %s", path);
    return code;
}

static int exit_code(ldm_verdict v)
{
    return v == LDM_VERDICT_HEALTHY  ? LDM_EXIT_OK
           : v == LDM_VERDICT_CHANGE ? LDM_EXIT_MISMATCH
                                     : LDM_EXIT_FAILED;
}

/* The command's own words, and what follows "--". */
typedef struct words {
    const ldm_cli *cli;
    int argc, next_count;
    char **argv, **next;
} words;

static int print(const ldm_command *cmd, const options *o, const ldm_doctor *d)
{
    const unsigned how = (o->json ? LDM_REPORT_JSON : 0U) |
                         (ldm_terminal_colour(STDOUT_FILENO) ? LDM_REPORT_COLOUR : 0U);
    ldm_error err;
    char *report;
    ldm_status st = ldm_doctor_report(d, how, &report, &err);

    if (st)
        return ldm_cli_fail(cmd, st, &err);
    ldm_terminal_print(report);
    ldm_release(report);
    return o->write_config ? write_config(cmd, d, o) : LDM_EXIT_OK;
}

/* A configuration that was made for the examination can be had as a file: how. A YAML beside the
 * checkpoint, which was not taken, must not be taken then. */
static int print_next(const ldm_command *cmd, const options *o, const ldm_doctor *d,
                      const ldm_model_options *model)
{
    static const char *const keys[][2] = {{"ckpt", "--ckpt"}, {"first_stage", "--first-stage"}};
    ldm_str text = {0};
    char *line;

    if (o->json || o->write_config || !ldm_model_ckpt(model) ||
        ldm_model_options_is_set(model, "config") ||
        ldm_doctor_get_verdict(d) == LDM_VERDICT_UNTRAINED)
        return LDM_EXIT_OK;
    ldm_str_puts(&text, "ldm doctor");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = ldm_model_options_get_text(model, keys[i][0]);

        if (value && *value) {
            ldm_str_printf(&text, " %s", keys[i][1]);
            ldm_cli_add_word(&text, value);
        }
    }
    ldm_str_puts(&text, " --config none --write-config NEW.yaml");
    line = ldm_cli_finish_line(&text);
    if (line)
        printf("\nNext, to have the configuration that was made as a file:\n  %s\n", line);
    free(line);
    return line ? LDM_EXIT_OK : ldm_cli_nomem(cmd);
}

/* The report, then what is to follow it. */
static int finish(const ldm_command *cmd, const options *o, const ldm_doctor *d,
                  const ldm_model_options *model, const words *w)
{
    int code = print(cmd, o, d);

    if (!code)
        code = print_next(cmd, o, d, model);
    if (!code && o->report && ldm_doctor_cure(d, 0))
        code = ldm_doctor_before_after(w->cli, cmd, d, model, o->report, o->overwrite);
    else if (!code && o->report)
        ldm_cli_say(cmd, "no report is made: there is no cure to compare with");
    if (!code && o->fix)
        return ldm_doctor_fix(w->cli, cmd, d, model, w->next_count, w->next);
    return code ? code : exit_code(ldm_doctor_get_verdict(d));
}

static int examine(const ldm_command *cmd, const options *o, ldm_doctor *d,
                   const ldm_model_options *model, const words *w)
{
    const bool silent = o->json || o->quiet;
    const bool shown = ldm_terminal_redraws(STDERR_FILENO) && !silent;
    said last = {.part = ""};
    ldm_error err;
    ldm_status st;
    int code;

    ldm_doctor_set_quick(d, o->quick);
    ldm_doctor_set_progress(d, silent ? say_nothing : shown ? show_progress : say_step, &last);
    ldm_signals_catch_interrupts();
    st = ldm_doctor_run(d, &err);
    if (shown)
        ldm_terminal_progress(NULL, 0);
    if (ldm_signals_interrupted()) { /* also in the last part, which nothing follows */
        ldm_cli_say(cmd, "interrupted: nothing is concluded, and nothing is written");
        if (o->json)
            ldm_cli_json_failure(cmd);
        return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
    }
    if (!st)
        return finish(cmd, o, d, model, w);
    code = ldm_cli_fail(cmd, st, &err);
    if (o->json)
        ldm_cli_json_failure(cmd);
    return code == LDM_EXIT_MISMATCH ? LDM_EXIT_FAILED : code; /* 3 says that there is a cure */
}

/* Splits the arguments: pictures go to the doctor, the rest is a model's. */
static int take_arguments(const ldm_command *cmd, ldm_doctor *d, int argc, char **argv, bool quiet)
{
    int code = LDM_EXIT_OK;

    for (int i = 0; i < argc && !code; i++) {
        if (ldm_doctor_is_picture(argv[i]))
            code = ldm_doctor_take_images(cmd, d, argv[i], quiet);
    }
    return code;
}

static int start(const ldm_command *cmd, const options *o, ldm_model_options *model, const words *w)
{
    ldm_doctor *d;
    ldm_error err;
    ldm_status st = ldm_doctor_create(model, &d, &err);
    int code;

    if (st)
        return ldm_cli_fail(cmd, st, &err);
    code = o->images ? ldm_doctor_take_images(cmd, d, o->images, o->quiet) : LDM_EXIT_OK;
    if (!code)
        code = take_arguments(cmd, d, w->argc, w->argv, o->quiet);
    if (!code)
        code = examine(cmd, o, d, model, w);
    ldm_doctor_free(d);
    return code;
}

/* ---- the YAML beside the checkpoint -----------------------------------------------------------
 */

/* Whether a configuration belongs to the checkpoint: so many contradictions are no mistakes of
 * whoever wrote it. What is wrong with the checkpoint itself is the examination's to say. */
static bool belongs(const ldm_model_options *model)
{
    enum { MANY = 5 };
    ldm_doctor *d = NULL;
    ldm_error err;
    ldm_status st = ldm_doctor_create(model, &d, &err);
    bool is = true;

    ldm_doctor_set_quick(d, true);
    if (!st)
        st = ldm_doctor_run(d, &err);
    if (st == LDM_ERR_CONFIG)
        is = false;
    for (size_t i = 0; !st && i <= MANY; i++)
        is = i < MANY || !ldm_doctor_cure(d, i);
    ldm_doctor_free(d);
    return is;
}

/* A YAML of another name is taken where it belongs to the checkpoint, and else left: the doctor
 * needs none. */
static int judge_found(const ldm_command *cmd, ldm_model_options *model, bool quiet)
{
    const char *ckpt = ldm_model_options_get_text(model, "ckpt");
    char *yaml = NULL;
    ldm_error err;

    if (!ckpt || !ldm_model_options_is_set(model, "config"))
        return LDM_EXIT_OK;
    if (ldm_model_options_get(model, "config", &yaml, NULL))
        return ldm_cli_nomem(cmd);
    if (ldm_inputs_is_foreign(ckpt, yaml) && !belongs(model)) {
        if (!quiet)
            ldm_cli_say(cmd,
                        "note: %s lies beside the checkpoint and is another model's: it is not "
                        "taken (--config %s takes it all the same)",
                        yaml, yaml);
        (void)ldm_model_options_unset(model, "config", &err);
    } else if (!quiet) {
        ldm_cli_say(cmd, "note: the YAML file %s is taken as --config", yaml);
    }
    ldm_release(yaml);
    return LDM_EXIT_OK;
}

static int find_config(const ldm_command *cmd, ldm_model_options *model, bool quiet)
{
    const bool given = ldm_model_options_is_set(model, "config");
    ldm_error err;
    ldm_status st;
    int code = ldm_inputs_resolve(cmd, model, 0, NULL, quiet);

    if (!code)
        code = ldm_inputs_need_checkpoint(cmd, model);
    if (code)
        return code;
    st = ldm_model_options_find_files(model, true, &err);
    if (st == LDM_ERR_USAGE && !given && ldm_model_options_is_set(model, "ckpt")) {
        if (!quiet)
            ldm_cli_say(cmd, "note: %.*s; none is taken", (int)strcspn(err.msg, ";"), err.msg);
        return LDM_EXIT_OK;
    }
    if (st)
        return st == LDM_ERR_USAGE ? ldm_cli_usage(cmd, "%s", err.msg)
                                   : ldm_cli_fail(cmd, st, &err);
    return given ? LDM_EXIT_OK : judge_found(cmd, model, quiet);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_targets targets = {0};
    ldm_parse parse = LDM_PARSE_OK;
    words w = {.cli = cli};
    int args = 0, code = ldm_model_begin(cli, cmd, &targets);

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--")) {
            w.next = argv + i + 1;
            w.next_count = argc - i - 1;
            argc = i;
        }
    }
    if (!code) {
        parse = ldm_opts_parse(cmd, argc, argv, &o, &targets, &args);
        code = parse ? ldm_parse_exit(parse) : LDM_EXIT_OK;
    }
    w.argc = argc - args;
    w.argv = argv + args;
    if (!parse && !code && o.fix != (w.next_count > 0))
        code = ldm_cli_usage(cmd, "--fix and -- generate ... belong together");
    for (int i = args; !parse && !code && i < argc; i++) {
        if (!ldm_doctor_is_picture(argv[i]))
            code = ldm_inputs_resolve(cmd, targets.model, 1, argv + i, false);
    }
    if (!parse && !code)
        code = find_config(cmd, targets.model, o.quiet);
    if (!parse && !code)
        code =
            ldm_output_check(cmd, "--write-config", o.write_config, LDM_OUTPUT_OTHER, o.overwrite);
    if (!parse && !code && o.report)
        code = ldm_doctor_check_report(cmd, o.report, o.overwrite);
    if (!parse && !code)
        code = start(cmd, &o, targets.model, &w);
    if (!parse && code == LDM_EXIT_USAGE && o.json)
        ldm_cli_json_failure(cmd);
    ldm_targets_free(&targets);
    return code;
}

const ldm_command ldm_cmd_doctor = {
    .name = "doctor",
    .args = "[--ckpt FILE] [--config FILE] [--images DIR|FILES] [options]",
    .summary = "what is wrong with this checkpoint or its configuration, and the cure",
    .about =
        "Makes the configuration that a checkpoint's tensors show, lists what contradicts\n"
        "it in the one that was given, and measures what no tensor shows, each with how\n"
        "sure it is and the --set that cures it. Needs no YAML: one that lies beside the\n"
        "checkpoint is taken where it belongs to it; with `--config none`, as it stands, none is.",
    .notes = "Exit code 0: healthy; 3: something must be changed; 1: it could not be told, or the\n"
             "network has learned nothing.\n\n"
             "  ldm doctor --ckpt model.ckpt --write-config config.yaml\n"
             "  ldm doctor --ckpt model.ckpt --config config.yaml --images faces/\n"
             "  ldm doctor --ckpt model.ckpt --config config.yaml --json | jq -r '.cures[]'",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
