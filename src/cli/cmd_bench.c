/* ldm bench: how long it takes until the first step, and how long a step and a decode take. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/opts.h"

typedef struct options {
    ldm_model_opts model;
    int rounds, batch;
    bool json, layers;
} options;

static const ldm_opt rows[] = {
    LDM_ROWS_MODEL(options),
    LDM_ROW_PRECISION(options),
    {.type = LDM_OPT_HEADING, .name = "Timing"},
    {.type = LDM_OPT_INT,
     .name = "rounds",
     .arg = "N",
     .min = 1,
     .max = 100000,
     .field = offsetof(options, rounds),
     .help = "evaluations of the UNet to take the median of; default 5"},
    {.type = LDM_OPT_INT,
     .name = "batch",
     .arg = "N",
     .min = 1,
     .max = 1024,
     .field = offsetof(options, batch),
     .help = "pictures per evaluation; default 1"},
    {.type = LDM_OPT_FLAG,
     .name = "layers",
     .field = offsetof(options, layers),
     .help = "a table of every operation"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
    LDM_ROW_THREADS(options),
    LDM_ROW_MAX_MEMORY(options),
};

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {.rounds = 5, .batch = 1};
    ldm_model_options mo;
    ldm_bench_options bo = {0};
    ldm_status st;
    ldm_error err;
    char *report;
    int code;

    if (!ldm_model_opts_begin(cli, cmd, argc, argv, &o, &o.model, &mo, &code))
        return code;
    bo.rounds = o.rounds;
    bo.batch = o.batch;
    bo.threads = o.model.threads;
    bo.json = o.json;
    bo.layers = o.layers;
    bo.process_start = cli->start;
    st = ldm_bench(&mo, &bo, &report, &err);
    code = ldm_cli_report(cmd, st, &err, report, o.json);
    ldm_model_opts_free(&o.model);
    return code;
}

const ldm_command ldm_cmd_bench = {
    .name = "bench",
    .args = "[--ckpt FILE] [--config FILE] [options]",
    .summary = "how fast is this machine with this model?",
    .about = "Times the way to the first step (ready_s, from the start of the process), the first\n"
             "and the median evaluation of the UNet (first_eps_s, eps_s), and the decoding of one\n"
             "picture (decode_s); reports the peak of resident memory.",
    .notes = "  ldm bench --ckpt model.ckpt --config config.yaml --rounds 20 --json",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .run = run,
};
