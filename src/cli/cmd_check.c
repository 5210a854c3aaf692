/* SPDX-License-Identifier: MIT */
/* ldm check: compares a configuration with a checkpoint and reports what fits. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/terminal.h"

typedef struct options {
    bool all, json, values;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_HEADING, .name = "Report"},
    {.type = LDM_OPT_FLAG,
     .name = "all",
     .field = offsetof(options, all),
     .help = "list every name, not the first 10 of each kind"},
    {.type = LDM_OPT_FLAG,
     .name = "values",
     .field = offsetof(options, values),
     .help = "read the weights too: damaged storages (by their\n"
             "checksums), NaN and infinity are a failure"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
};

static const char next[] = "\n  Next: ldm generate ";

/* The command to type next as one line, however long: broken it could not be pasted. It ends the
 * report, and its further lines are indented by 8. */
static void join_command(char *report)
{
    char *from = strstr(report, next), *to;

    if (!from)
        return;
    from += strlen(next);
    for (to = from; *from; from++) {
        if (!strncmp(from, "\n        ", 9)) {
            *to++ = ' ';
            from += 8;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static int check(const ldm_command *cmd, const options *o, const ldm_model_options *model)
{
    unsigned how = (o->json ? LDM_REPORT_JSON : 0U) | (o->all ? LDM_REPORT_ALL : 0U) |
                   (o->values ? LDM_REPORT_VALUES : 0U) |
                   (ldm_terminal_colour(STDOUT_FILENO) ? LDM_REPORT_COLOUR : 0U) |
                   ldm_terminal_columns();
    char *report;
    bool fits, report_made;
    ldm_error err;
    ldm_status st;
    int code;

    ldm_model_name(model);
    st = ldm_check(model, how, &report, &fits, &err);
    report_made = report != NULL;
    if (report && !o->json)
        join_command(report);
    if (report) {
        code = ldm_cli_report(cmd, st == LDM_ERR_CONFIG ? LDM_OK : st, &err, report, o->json);
        if (st == LDM_ERR_CONFIG)
            code = ldm_model_fail(cmd, model, st, &err);
    } else {
        code = ldm_model_fail(cmd, model, st, &err);
        if (o->json)
            ldm_cli_json_failure(cmd);
    }
    if (report_made && !st && !fits && !ldm_model_ckpt(model) &&
        ldm_model_options_is_set(model, "config"))
        ldm_cli_say(cmd, "note: no --ckpt was given: the checkpoint of this report is the shipped "
                         "model; give yours with --ckpt FILE");
    return !code && !fits ? LDM_EXIT_MISMATCH : code;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_targets targets = {0};
    ldm_parse parse;
    int args, code = ldm_model_begin(cli, cmd, &targets);

    if (!code) {
        parse = ldm_opts_parse(cmd, argc, argv, &o, &targets, &args);
        code = parse ? ldm_parse_exit(parse)
                     : ldm_inputs_resolve(cmd, targets.model, argc - args, argv + args, false);
        if (!parse && !code)
            code = ldm_inputs_find_config(cmd, targets.model, false);
        if (!parse && code && o.json)
            ldm_cli_json_failure(cmd);
        if (!parse && !code)
            code = check(cmd, &o, targets.model);
    }
    ldm_targets_free(&targets);
    return code;
}

const ldm_command ldm_cmd_check = {
    .name = "check",
    .args = "[--ckpt FILE] [--config FILE] [options]",
    .summary = "does this configuration fit this checkpoint?",
    .about = "Holds a configuration against a checkpoint: components, missing, unexpected and\n"
             "differently shaped tensors, settings that no shape shows and where each comes from,\n"
             "config keys without effect. Loads no weights unless --values asks for it.",
    .notes = "Exit code 3 if and only if a tensor that a run would use is missing or has another\n"
             "shape, or holds no floating-point numbers of its own; absent EMA weights and extra\n"
             "tensors are fine. 1 where --values found NaN, infinity or damage, and where the\n"
             "configuration is wrong: what can be read of it is reported all the same.\n\n"
             "Where no report can be made, --json prints {\"error\": what stderr says}.\n\n"
             "  ldm check --ckpt model.ckpt --config config.yaml\n"
             "  ldm check --ckpt model.ckpt --config config.yaml --json | jq .missing",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
