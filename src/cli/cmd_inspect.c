/* SPDX-License-Identifier: MIT */
/* ldm inspect: says what is in a checkpoint, YAML file or picture, without loading weights. */
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/terminal.h"
#include "cli/signals.h"

typedef struct options {
    bool json, shapes, keys, all;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_FLAG,
     .name = "keys",
     .field = offsetof(options, keys),
     .help = "the list of tensors: name, type, shape"},
    {.type = LDM_OPT_FLAG,
     .name = "shapes",
     .field = offsetof(options, shapes),
     .help = "the layers of the network that a YAML describes"},
    {.type = LDM_OPT_FLAG,
     .name = "all",
     .field = offsetof(options, all),
     .help = "list everything, not the first 10 of each kind"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
};

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    unsigned how;
    ldm_parse parse;
    ldm_status st;
    ldm_error err;
    char *report, *found = NULL;
    const char *path;
    int args, code;

    (void)cli;
    parse = ldm_opts_parse(cmd, argc, argv, &o, &(ldm_targets){0}, &args);
    if (parse)
        return ldm_parse_exit(parse);
    how = (o.json ? LDM_REPORT_JSON : 0U) | (o.shapes ? LDM_REPORT_SHAPES : 0U) |
          (o.keys ? LDM_REPORT_KEYS : 0U) | (o.all ? LDM_REPORT_ALL : 0U) |
          (ldm_terminal_colour(STDOUT_FILENO) ? LDM_REPORT_COLOUR : 0U) | ldm_terminal_columns();
    path = argv[args];
    if (ldm_is_dir(path)) {
        found = ldm_inputs_in_folder(cmd, path);
        if (!found && o.json)
            ldm_cli_json_failure(cmd);
        if (!found)
            return LDM_EXIT_USAGE;
        if (strcmp(found, path))
            ldm_cli_say(cmd, "note: this is about %s", found);
        path = found;
    }
    ldm_signals_name_file(path);
    st = ldm_inspect(path, how, &report, &err);
    code = ldm_cli_report(cmd, st, &err, report, o.json);
    free(found);
    return code;
}

const ldm_command ldm_cmd_inspect = {
    .name = "inspect",
    .args = "FILE|FOLDER [options]",
    .summary = "what is in this checkpoint, YAML file or picture?",
    .about =
        "Lists a checkpoint's tensors, types, storages, metadata and every name its pickle asks\n"
        "for, with byte offsets; or a YAML's settings and layers; or the recipe of a picture that\n"
        "ldm made. The format is told from the content. Nothing in the file is executed and no\n"
        "weights are loaded.",
    .notes = "Where no report can be made, --json prints {\"error\": what stderr says}.\n\n"
             "  ldm inspect model.ckpt --keys\n"
             "  ldm inspect config.yaml --shapes\n"
             "  ldm inspect 00000.png",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
