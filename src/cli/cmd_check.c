/* ldm check: holds a configuration against a checkpoint and reports what fits. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/opts.h"

typedef struct options {
    ldm_model_opts model;
    bool all, json, values;
} options;

static const ldm_opt rows[] = {
    LDM_ROWS_MODEL(options),
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

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_model_options mo;
    ldm_report_options ro = {0};
    ldm_status st;
    ldm_error err;
    char *report;
    bool fits;
    int code;

    if (!ldm_model_opts_begin(cli, cmd, argc, argv, &o, &o.model, &mo, &code))
        return code;
    ro.json = o.json;
    ro.all = o.all;
    ro.values = o.values;
    ro.colour = isatty(STDOUT_FILENO);
    st = ldm_check(&mo, &ro, &report, &fits, &err);
    code = ldm_cli_report(cmd, st, &err, report, o.json);
    if (!code && !fits)
        code = LDM_EXIT_MISMATCH;
    ldm_model_opts_free(&o.model);
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
             "tensors are fine. 1 where --values found NaN, infinity or damage.\n\n"
             "Where no report can be made, --json prints {\"error\": what stderr says}.\n\n"
             "  ldm check --ckpt model.ckpt --config config.yaml\n"
             "  ldm check --ckpt model.ckpt --config config.yaml --json | jq .missing",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .run = run,
};
