/* SPDX-License-Identifier: MIT */
/* ldm: the command line of latent diffusion models in C. A table of commands; each lives in a
 * cmd_*.c of its own and uses nothing but include/ldm. Results go to stdout, all else to stderr. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/opts.h"
#include "cli/overview.h"
#include "cli/signals.h"

#define COMMAND(name) &ldm_cmd_##name,
static const ldm_command *const commands[] = {LDM_COMMANDS(COMMAND)};
#undef COMMAND

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const ldm_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    }
    return NULL;
}

/* What other programs call it. */
static const char *by_other_name(const char *word)
{
    static const char *const names[][2] = {
        {"sample", "generate"},   {"txt2img", "generate"}, {"make", "generate"},
        {"create", "generate"},   {"run", "generate"},     {"verify", "check"},
        {"validate", "check"},    {"info", "inspect"},     {"show", "inspect"},
        {"ls", "inspect"},        {"measure", "metrics"},  {"fid", "metrics"},
        {"diff", "compare"},      {"benchmark", "bench"},  {"time", "bench"},
        {"version", "--version"}, {"server", "serve"},     {"http", "serve"},
        {"diagnose", "doctor"},   {"progress", "status"},  {"join", "merge"},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(names[i][0], word))
            return names[i][1];
    }
    return NULL;
}

static int unknown_command(const char *word)
{
    const char *names[COMMAND_COUNT], *near = by_other_name(word);
    size_t hits = 0;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i]->name;
        if (*word && !near && !strncmp(names[i], word, strlen(word)) && !hits++)
            near = names[i]; /* "gen" */
    }
    if (!near)
        near = ldm_word_nearest(word, names, COMMAND_COUNT);
    if (near)
        return ldm_cli_usage(NULL, "unknown command '%s'; did you mean '%s'?", word, near);
    return ldm_cli_usage(NULL, "unknown command '%s'; 'ldm help' lists the commands", word);
}

static int help_samplers(void)
{
    ldm_error err;
    char *text;
    ldm_status st = ldm_samplers(0, &text, &err);

    if (st)
        return ldm_cli_fail(NULL, st, &err);
    fputs(text, stdout);
    ldm_release(text);
    return LDM_EXIT_OK;
}

static int help(int argc, char **argv)
{
    const ldm_command *cmd;

    if (argc < 2) {
        ldm_overview_print(commands, COMMAND_COUNT);
        return LDM_EXIT_OK;
    }
    if (argc > 2)
        return ldm_cli_usage(NULL, "help: unexpected argument '%s'; give one command", argv[2]);
    if (!strcmp(argv[1], "samplers"))
        return help_samplers();
    if (!strcmp(argv[1], "tables")) {
        ldm_overview_tables(commands, COMMAND_COUNT);
        return LDM_EXIT_OK;
    }
    cmd = find_command(argv[1]);
    if (!cmd)
        return unknown_command(argv[1]);
    ldm_opts_help(cmd);
    return LDM_EXIT_OK;
}

/* With all commands, by their table. */
static int say_missing(void)
{
    char names[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < COMMAND_COUNT && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                 !i                       ? ""
                                 : i == COMMAND_COUNT - 1 ? " or "
                                                          : ", ",
                                 commands[i]->name);
    return ldm_cli_usage(NULL, "a command is missing: %s", names);
}

static int run(const ldm_cli *cli, int argc, char **argv)
{
    const ldm_command *cmd;

    if (argc < 2)
        return say_missing();
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        if (argc > 2 && argv[2][0] != '-')
            return help(2, argv + 1);
        ldm_overview_print(commands, COMMAND_COUNT);
        return LDM_EXIT_OK;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("ldm %s\n", ldm_version());
        return LDM_EXIT_OK;
    }
    if (!strcmp(argv[1], "help"))
        return help(argc - 1, argv + 1);
    if (argv[1][0] == '-')
        return ldm_cli_usage(NULL, "options come after the command: ldm COMMAND %s", argv[1]);
    cmd = find_command(argv[1]);
    if (!cmd)
        return unknown_command(argv[1]);
    return cmd->run(cli, cmd, argc - 1, argv + 1);
}

/* stdout is a pipe, and nobody reads it any more. */
static bool reader_went(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
    struct stat st;

    return !fstat(STDOUT_FILENO, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) &&
           poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP));
}

/* A result that did not reach its reader (full disk, closed pipe) must not look like success. */
static int close_stdout(int code)
{
    int lost = ferror(stdout);

    errno = 0;
    if (fflush(stdout))
        lost = 1;
    if (!lost)
        return code;
    if (reader_went()) /* `| head`: it has what it wanted */
        return code ? code : LDM_EXIT_SIGNAL + SIGPIPE;
    ldm_cli_say(NULL, "writing to stdout failed%s%s", errno ? ": " : "",
                errno ? strerror(errno) : "");
    return code ? code : LDM_EXIT_FAILED;
}

static const char *look(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

int main(int argc, char **argv)
{
    ldm_cli cli = {.max_isa = getenv("LDM_MAX_ISA"), .start = ldm_cli_now(), .look = look};

    ldm_signals_init();
    return close_stdout(run(&cli, argc, argv));
}
