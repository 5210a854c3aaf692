/* SPDX-License-Identifier: MIT */
/* What the command line's files share: the command table's rows, exit codes, and messages.
 *
 * To add a command: write cmd_NAME.c with one `const ldm_command ldm_cmd_NAME`, declare it below,
 * add it to the table in main.c and to CMakeLists.txt. `ldm help` and `ldm NAME --help` follow. */
#ifndef LDM_CLI_CLI_H
#define LDM_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <ldm/ldm.h>

#include "base/str.h"

enum {
    LDM_EXIT_OK = 0,
    LDM_EXIT_FAILED = 1,   /* the work failed */
    LDM_EXIT_USAGE = 2,    /* wrong option, argument or value */
    LDM_EXIT_MISMATCH = 3, /* configuration and checkpoint do not match */
    LDM_EXIT_SIGNAL = 128  /* plus the signal's number: 130 after an interrupt */
};

/* Facts of the process, gathered once in main. */
typedef struct ldm_cli {
    const char *max_isa; /* environment LDM_MAX_ISA, or NULL */
    double start;        /* ldm_cli_now() at the start of main */
    /* A variable of the environment, or NULL: launchers say there which of how many processes this
     * is. ctx: unused. */
    const char *(*look)(void *ctx, const char *name);
} ldm_cli;

struct ldm_opt;
typedef struct ldm_command ldm_command;
struct ldm_command {
    const char *name;
    const char *prefix; /* before each line on stderr: which of several processes; NULL: nothing */
    const char *args;   /* after "ldm NAME " in the usage line */
    const char *args_are; /* what they are, for who leaves one out; NULL: the names say it */
    const char *summary;  /* one line for `ldm --help` */
    const char *about;    /* what it does, above the options */
    const char *notes;    /* examples and further rules, below the options */
    const char *program;  /* whose options these are: it is started with them; NULL: its own */
    const struct ldm_opt *opts;
    size_t opt_count;
    int min_args, max_args; /* of arguments that are no options; -1: no upper limit */
    int (*run)(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv);
};

/* The commands, in the order in which `ldm --help` lists them. */
/* clang-format off */
#define LDM_COMMANDS(ROW)                                                                          \
    ROW(generate)                                                                                  \
    ROW(inpaint)                                                                                   \
    ROW(upscale)                                                                                   \
    ROW(check)                                                                                     \
    ROW(inspect)                                                                                   \
    ROW(doctor)                                                                                    \
    ROW(convert)                                                                                   \
    ROW(eval)                                                                                      \
    ROW(metrics)                                                                                   \
    ROW(compare)                                                                                   \
    ROW(bench)                                                                                     \
    ROW(tokenize)                                                                                  \
    ROW(reconstruct)                                                                               \
    ROW(invert)                                                                                    \
    ROW(interpolate)                                                                               \
    ROW(status)                                                                                    \
    ROW(merge)                                                                                     \
    ROW(serve)
/* clang-format on */

#define LDM_COMMAND_DECLARE(name) extern const ldm_command ldm_cmd_##name;
LDM_COMMANDS(LDM_COMMAND_DECLARE)
#undef LDM_COMMAND_DECLARE

/* Seconds of CLOCK_MONOTONIC. */
double ldm_cli_now(void);

/* "ldm NAME: ..." as one line on stderr. */
void ldm_cli_say(const ldm_command *cmd, const char *fmt, ...) LDM_PRINTF(2, 3);

/* --quiet: from now on lines that begin with "note: " are not said. */
void ldm_cli_hush(void);

/* A setting's key becomes its option's name: noise_level, noise-level. */
void ldm_cli_spell(char *key);

/* A note of the library in the same way, as "note: ..." or, if it is one, "warning: ..."; a setting
 * that has no effect by its option's name. */
void ldm_cli_note(const ldm_command *cmd, const char *text);

/* The same as a usage error; returns LDM_EXIT_USAGE. */
int ldm_cli_usage(const ldm_command *cmd, const char *fmt, ...) LDM_PRINTF(2, 3);

/* Says why a library call failed, with the place in a text file where that is known and nothing
 * before it ("config.yaml:39:15: ..."), and returns the exit code that belongs to its status. */
int ldm_cli_fail(const ldm_command *cmd, ldm_status st, const ldm_error *err);
int ldm_cli_nomem(const ldm_command *cmd);

/* A command line, which begins with "ldm": adds a word, quoted where a shell would take it apart;
 * and makes one line of it. free() that; NULL: no memory. */
void ldm_cli_add_word(ldm_str *line, const char *word);
char *ldm_cli_finish_line(ldm_str *line);

/* root as text with jansson's flags; free() it. NULL when root is NULL or memory ends: json_dumps
 * would lose a key, and say nothing, where its buffer cannot grow. */
char *ldm_cli_json_dump(const json_t *root, size_t flags);

/* Prints root to stdout, indented, and releases it. NULL (out of memory) is a failure. */
int ldm_cli_print_json(const ldm_command *cmd, json_t *root);

/* Prints a report of the library and releases it. Says what st is about; where there is no report
 * (NULL), json prints {"error": the same line} for those who read stdout. An exit code. */
int ldm_cli_report(const ldm_command *cmd, ldm_status st, const ldm_error *err, char *report,
                   bool json);

/* Prints {"error": the last message} to stdout, for programs that read JSON there. */
void ldm_cli_json_failure(const ldm_command *cmd);

/* Seconds for people: "0.395 s", "12 s", "3 min 20 s", "2 h 5 min". */
void ldm_cli_duration(double seconds, char *buf, size_t size);

/* Fresh text; free() it. NULL when out of memory. */
char *ldm_cli_format(const char *fmt, ...) LDM_PRINTF(1, 2);

/* A whole number that an option was given as text; NULL: *out stays. An exit code. */
int ldm_cli_read_whole(const ldm_command *cmd, const char *option, const char *text, int least,
                       int most, int *out);

#endif
