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

/* What other programs call it, or what they have that ldm has not: the answer, a command as it is
 * typed behind "ldm", or a sentence. */
static const char *by_other_name(const char *word, bool *sentence)
{
    static const struct {
        const char *words, *answer;
    } names[] = {
        {" sample txt2img text2img text2image t2i make create run draw paint dream ", "generate"},
        {" img2img image2image i2i ", "generate --init PICTURE"},
        {" outpaint ", "generate --init PICTURE --pad N"},
        {" resume ", "generate --resume"},
        {" dry-run estimate ", "generate --dry-run"},
        {" grid ", "generate --grid"},
        {" inpainting fill ", "inpaint"},
        {" superres super-resolution sr enlarge upsample ", "upscale"},
        {" verify validate test audit ", "check"},
        {" info show ls keys tensors hash ", "inspect"},
        {" measure fid stats ", "metrics"},
        {" diff ablate sweep study ", "compare"},
        {" benchmark time speed profile ", "bench"},
        {" version ", "--version"},
        {" samplers schedulers list-samplers ", "help samplers"},
        {" commands list-commands usage ", "help"},
        {" server http api webui web ui gui gradio gallery ", "serve"},
        {" diagnose repair fix ", "doctor"},
        {" progress jobs queue ", "status"},
        {" join combine ", "merge"},
        {" convert-ckpt export prune to-safetensors safetensors quantize ", "convert"},
        {" tokenizer tokens encode-text ", "tokenize"},
        {" encode decode unet ", "eval --part NAME"},
        {" autoencode vae roundtrip ", "reconstruct"},
        {" invert-ddim ddim-inversion inversion inverse ", "invert"},
        {" interp slerp walk morph animate video ", "interpolate"},
    };
    static const struct {
        const char *words, *answer;
    } sentences[] = {
        {" train training finetune fine-tune fit dreambooth lora ",
         "ldm runs models that were trained with CompVis' code or diffusers, and trains none"},
        {" models list list-models model ",
         "two models come with ldm, 'ldm generate --model NAME' (" LDM_SHIPPED_MODELS
         "); others are files, which 'ldm check --ckpt FILE' and 'ldm inspect FILE' are about"},
        {" download pull fetch get install login ",
         "ldm downloads nothing: give the file of a checkpoint with --ckpt FILE"},
    };
    char key[72];

    snprintf(key, sizeof key, " %.64s ", word);
    *sentence = false;
    for (size_t i = 0; !strchr(word, ' ') && i < sizeof names / sizeof *names; i++) {
        if (strstr(names[i].words, key))
            return names[i].answer;
    }
    *sentence = true;
    for (size_t i = 0; !strchr(word, ' ') && i < sizeof sentences / sizeof *sentences; i++) {
        if (strstr(sentences[i].words, key))
            return sentences[i].answer;
    }
    *sentence = false;
    return NULL;
}

static int unknown_command(const char *word)
{
    const char *names[COMMAND_COUNT], *near;
    bool sentence;
    size_t hits = 0;
    char as_typed[64];

    snprintf(as_typed, sizeof as_typed, "%s", word);
    ldm_cli_spell(as_typed);
    near = by_other_name(as_typed, &sentence);
    if (near && sentence)
        return ldm_cli_usage(NULL, "unknown command '%s': %s", word, near);

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

/* Only two options stand alone. */
static int unknown_option(const char *word)
{
    static const char *const alone[] = {"--help", "--version"};
    const char *near = ldm_word_nearest(word, alone, sizeof alone / sizeof *alone);

    if (near)
        return ldm_cli_usage(NULL, "unknown option '%s'; did you mean '%s'?", word, near);
    return ldm_cli_usage(NULL, "options come after the command: ldm COMMAND %s", word);
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
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V") || !strcmp(argv[1], "-v")) {
        printf("ldm %s\n", ldm_version());
        return LDM_EXIT_OK;
    }
    if (!strcmp(argv[1], "help"))
        return help(argc - 1, argv + 1);
    if (argv[1][0] == '-')
        return unknown_option(argv[1]);
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
