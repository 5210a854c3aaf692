/* SPDX-License-Identifier: MIT */
/* The model that every command works on: making its options, opening it, saying why it cannot be
 * opened; see opts.h. */
#include <stdio.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/signals.h"

int ldm_model_begin(const ldm_cli *cli, const ldm_command *cmd, ldm_targets *targets)
{
    ldm_error err;
    ldm_status st = ldm_model_options_create(&targets->model, &err);

    if (!st && cli->max_isa && *cli->max_isa)
        st = ldm_model_options_set(targets->model, "max_isa", cli->max_isa, &err);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

int ldm_job_command_begin(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv,
                          void *options, ldm_targets *targets, ldm_parse *parse, int *args)
{
    ldm_error err;
    ldm_status st;
    int code = ldm_model_begin(cli, cmd, targets);

    *parse = LDM_PARSE_OK;
    *args = 0;
    if (code)
        return code;
    st = ldm_job_create(NULL, &targets->job, &err);
    if (st)
        return ldm_cli_fail(cmd, st, &err);
    *parse = ldm_opts_parse(cmd, argc, argv, options, targets, args);
    return *parse ? ldm_parse_exit(*parse) : LDM_EXIT_OK;
}

const char *ldm_model_ckpt(const ldm_model_options *model)
{
    return ldm_model_options_get_text(model, "ckpt");
}

void ldm_model_name(const ldm_model_options *model)
{
    const char *ckpt = ldm_model_ckpt(model);

    ldm_signals_name_file(ckpt ? ckpt : "the shipped model");
}

void ldm_targets_free(ldm_targets *targets)
{
    ldm_model_options_free(targets->model);
    ldm_job_free(targets->job);
    ldm_eval_job_free(targets->eval);
    ldm_bench_options_free(targets->bench);
    memset(targets, 0, sizeof *targets);
}

/* Of a model that could not be opened: its YAML may be another's, which only lay beside it. */
static void doubt_config(const ldm_model_options *model, ldm_status st, ldm_error *err)
{
    const char *ckpt = ldm_model_ckpt(model);
    const size_t len = strlen(err->msg);
    char *configs = NULL;

    if (st != LDM_ERR_MISMATCH && st != LDM_ERR_CONFIG && st != LDM_ERR_UNSUPPORTED)
        return;
    if (!ckpt || !ldm_model_options_is_set(model, "config") ||
        ldm_model_options_get(model, "config", &configs, NULL))
        return;
    if (!strchr(configs, '\n') && ldm_inputs_is_foreign(ckpt, configs))
        snprintf(err->msg + len, sizeof err->msg - len,
                 "; %s lies beside the checkpoint, and may be another model's: --config FILE names "
                 "the right one, --config none does without",
                 configs);
    ldm_release(configs);
}

int ldm_model_fail(const ldm_command *cmd, const ldm_model_options *model, ldm_status st,
                   const ldm_error *err)
{
    static const char isa[] = "max_isa", no_config[] = "no configuration given";

    if (st == LDM_ERR_USAGE && !strncmp(err->msg, isa, strlen(isa))) {
        ldm_cli_say(cmd, "LDM_MAX_ISA%s", err->msg + strlen(isa));
        return LDM_EXIT_USAGE;
    }
    if (st == LDM_ERR_CONFIG && !strncmp(err->msg, "--set", 5)) {
        ldm_cli_say(cmd, "%s", err->msg);
        return LDM_EXIT_USAGE; /* a value of the line, as other options' */
    }
    /* A layer of the shipped model's own settings fits it; a whole configuration of another one
     * meets its tensors, or first its settings. */
    if ((st == LDM_ERR_MISMATCH || st == LDM_ERR_CONFIG) && !ldm_model_ckpt(model) &&
        ldm_model_options_is_set(model, "config")) {
        ldm_cli_say(cmd,
                    "no --ckpt was given: the shipped model was used, and it does not fit this "
                    "configuration (%.*s); give your checkpoint with --ckpt FILE",
                    (int)strcspn(err->msg, ";"), err->msg);
        return LDM_EXIT_MISMATCH;
    }
    /* Other messages about the line name the option themselves, or their setting. */
    if (st != LDM_ERR_USAGE || strncmp(err->msg, no_config, strlen(no_config)) != 0) {
        ldm_error doubt = *err;

        doubt_config(model, st, &doubt);
        return ldm_cli_fail(cmd, st, &doubt);
    }
    ldm_cli_say(cmd, "%s%s", err->msg, strstr(err->msg, "the YAML") ? " (--config FILE)" : "");
    return LDM_EXIT_USAGE;
}

int ldm_model_open_quiet(const ldm_command *cmd, const ldm_model_options *model, ldm_model **out)
{
    ldm_error err;
    ldm_status st;

    ldm_model_name(model);
    st = ldm_model_open(model, out, &err);
    return st ? ldm_model_fail(cmd, model, st, &err) : 0;
}

int ldm_model_open_said(const ldm_command *cmd, const ldm_model_options *model, ldm_model **out)
{
    const int code = ldm_model_open_quiet(cmd, model, out);

    if (code)
        return code;
    for (size_t i = 0; i < ldm_model_note_count(*out); i++)
        ldm_cli_note(cmd, ldm_model_note(*out, i));
    return 0;
}
