/* SPDX-License-Identifier: MIT */
/* Options as rows of a table: one row parses the option, checks its value and prints its help. What
 * the library can be told stands in its own tables (ldm_setting_at); a command names them by group
 * or by key and lists none of them. */
#ifndef LDM_CLI_OPTS_H
#define LDM_CLI_OPTS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"

/* What a row stores, and the type of the field at its offset. */
typedef enum ldm_opt_type {
    LDM_OPT_HEADING,  /* no option: a headline in the help */
    LDM_OPT_SETTINGS, /* the settings of `kind` in the group `name` that are not in the table yet */
    LDM_OPT_SETTING,  /* the setting `name` of `kind`; help and letter may differ from its row's */
    LDM_OPT_FLAG,     /* bool, set to true */
    LDM_OPT_TEXT,     /* const char *, not empty unless may_be_empty */
    LDM_OPT_TEXTS,    /* ldm_opt_list: each time one more text, not empty */
    LDM_OPT_CHOICE    /* const char *, one of row->choices ("a|b|c") */
} ldm_opt_type;

enum { LDM_OPT_LIST_MOST = 16 };
typedef struct ldm_opt_list {
    const char *items[LDM_OPT_LIST_MOST];
    size_t count;
} ldm_opt_list;

typedef struct ldm_opt {
    ldm_opt_type type;
    char letter;      /* 'n' for -n; 0: none */
    const char *name; /* "save-latent" for --save-latent; the text of a heading; a key or group */
    const char *arg;  /* the value's name in the help; NULL for flags */
    const char *help; /* lines separated by '\n' */
    size_t field;     /* offsetof in the command's options struct */
    const char *choices;
    ldm_setting_kind kind;
    bool may_be_empty; /* an empty text means something, as a prompt does */
} ldm_opt;

/* The objects of the library that the settings on the line go to; NULL: the command has none such.
 * An option sets its key in all of them that have it: --threads is the model's and the job's. */
typedef struct ldm_targets {
    ldm_model_options *model;
    ldm_job *job;
    ldm_eval_job *eval;
    ldm_bench_options *bench;
} ldm_targets;

typedef enum ldm_parse {
    LDM_PARSE_OK,
    LDM_PARSE_HELP, /* --help was asked for and printed */
    LDM_PARSE_ERROR /* said on stderr */
} ldm_parse;

/* Reads argv (argv[0] is the command's name) into the options struct at `out`, which holds the
 * defaults, and into the targets. *args: index of the first argument that is no option; the rest
 * follow it. */
ldm_parse ldm_opts_parse(const ldm_command *cmd, int argc, char **argv, void *out,
                         const ldm_targets *targets, int *args);

/* The exit code for a parse that did not end in LDM_PARSE_OK. */
int ldm_parse_exit(ldm_parse p);

void ldm_opts_help(const ldm_command *cmd);

/* An option or heading as the help shows it: rows of the command and settings of the library. */
typedef struct ldm_opt_shown {
    bool heading;
    char letter;                    /* 0: none */
    const char *name;               /* "max-memory"; the text of a heading */
    const char *arg, *help;         /* arg NULL: a switch */
    const char *choices;            /* "a|b|c" of a row of the command; NULL: none */
    const ldm_setting_row *setting; /* NULL: a row of the command */
} ldm_opt_shown;

/* Calls fn for every option and heading of the command, in the order of its help. */
void ldm_opts_each(const ldm_command *cmd, void (*fn)(void *ctx, const ldm_opt_shown *o),
                   void *ctx);

/* The candidate that a mistyped word may have meant, or NULL. */
const char *ldm_word_nearest(const char *word, const char *const *candidates, size_t count);

/* ---- the model that every command works on --------------------------------------------------- */

/* Makes targets->model, which knows the limit on instructions. An exit code. */
int ldm_model_begin(const ldm_cli *cli, const ldm_command *cmd, ldm_targets *targets);
/* For a command that runs a job: the same, a job, and the line parsed into `options` and targets.
 * With LDM_EXIT_OK and *parse LDM_PARSE_OK the command goes on, and *args is the first argument
 * that is no option; else it ends with this exit code. */
int ldm_job_command_begin(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv,
                          void *options, ldm_targets *targets, ldm_parse *parse, int *args);

/* The path that --ckpt gave, NULL: the shipped model. The
 * options' own, until they are freed. */
const char *ldm_model_ckpt(const ldm_model_options *model);

/* That file is what a message about a mapped file that goes away names from now on. */
void ldm_model_name(const ldm_model_options *model);

/* Releases the objects and zeroes the struct. */
void ldm_targets_free(ldm_targets *targets);

/* Says why opening a model failed, with the option that helps, as ldm_cli_fail. */
int ldm_model_fail(const ldm_command *cmd, const ldm_model_options *model, ldm_status st,
                   const ldm_error *err);

/* Opens the model, and says why where it cannot be opened. An exit code. */
int ldm_model_open_quiet(const ldm_command *cmd, const ldm_model_options *model, ldm_model **out);

/* The same, and says its notes on stderr. */
int ldm_model_open_said(const ldm_command *cmd, const ldm_model_options *model, ldm_model **out);

#endif
