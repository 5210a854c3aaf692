/* SPDX-License-Identifier: MIT */
/* Words of a line that belong to no option; see arguments.h. */
#include "cli/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ldm_behind_add(ldm_behind *b, const char *option, const char *value, const char *word)
{
    const size_t most = sizeof b->at / sizeof *b->at;

    if (!word || !value || word[0] == '-' || b->count == most)
        return;
    b->at[b->count].word = word;
    b->at[b->count].value = value;
    snprintf(b->at[b->count++].option, sizeof b->at[0].option, "%s", option);
}

static bool is_number(const char *text)
{
    char *end;

    (void)strtod(text, &end);
    return *text && !*end;
}

static bool is_text(const char *option)
{
    static const char *const texts[] = {"prompt", "negative", "prompt-to"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!strcmp(option, texts[i]))
            return true;
    }
    return false;
}

/* A word behind what the command takes, which is no file: the rest of a prompt without quotes, or a
 * second number. */
static bool is_rest_of_value(const ldm_command *cmd, const ldm_behind *behind, const char *word)
{
    const char *option = NULL, *value = NULL;

    for (size_t i = 0; i < behind->count; i++) {
        if (behind->at[i].word == word) {
            option = behind->at[i].option;
            value = behind->at[i].value;
        }
    }
    if (!option || !strcmp(word, "help") || !access(word, F_OK))
        return false;
    if (is_text(option) && !strpbrk(word, "./="))
        ldm_cli_usage(cmd,
                      "unexpected argument '%s'; a text of several words stands in quotes: --%s "
                      "\"%.80s %s ...\"",
                      word, option, value, word);
    else if (!is_number(word) || !is_number(value))
        return false;
    else if (!strcmp(option, "size"))
        ldm_cli_usage(cmd, "unexpected argument '%s'; a size is one word: --size %sx%s", word,
                      value, word);
    else
        ldm_cli_usage(cmd,
                      "unexpected argument '%s'; --%s takes one value, and %s stands before it",
                      word, option, value);
    return true;
}

/* One argument more than the command takes. */
static void refuse_extra(const ldm_command *cmd, const ldm_entries *all, const char *word)
{
    if (strpbrk(word, "./") && access(word, F_OK) && ldm_entries_find(all, "out", 'o'))
        ldm_cli_usage(cmd,
                      "unexpected argument '%s': there is no such file; a result is named by -o %s",
                      word, word);
    else if (cmd->max_args > 1)
        ldm_cli_usage(cmd, "unexpected argument '%s'; usage: ldm %s %s", word, cmd->name,
                      cmd->args);
    else if (cmd->max_args)
        ldm_cli_usage(cmd, "unexpected argument '%s'; give one file%s", word,
                      strstr(cmd->args, "IMAGE|FOLDER") ? ", or a folder of them" : "");
    else
        ldm_cli_usage(cmd, "unexpected argument '%s'; files are given by options, e.g. --ckpt FILE",
                      word);
}

ldm_parse ldm_arguments_check(const ldm_command *cmd, const ldm_entries *all,
                              const ldm_behind *behind, int argc, char **argv)
{
    const int extra = argc - optind, taken = cmd->max_args > 0 ? cmd->max_args : 0;

    if (extra < cmd->min_args) {
        const char *name = cmd->args; /* of the first that is missing */

        for (int i = 0; i < extra && strchr(name, ' '); i++)
            name = strchr(name, ' ') + 1;
        ldm_cli_usage(cmd, "%.*s is missing%s%s; usage: ldm %s %s", (int)strcspn(name, " ."), name,
                      cmd->args_are ? ": " : "", cmd->args_are ? cmd->args_are : "", cmd->name,
                      cmd->args);
        return LDM_PARSE_ERROR;
    }
    for (int i = optind + taken; i < argc; i++) {
        if (is_rest_of_value(cmd, behind, argv[i]))
            return LDM_PARSE_ERROR;
    }
    if (cmd->max_args == 1 && extra > 1 && strstr(cmd->args, "TEXT")) {
        ldm_cli_usage(cmd,
                      "unexpected argument '%s'; a text of several words stands in quotes: "
                      "\"%s %s%s\"",
                      argv[optind + 1], argv[optind], argv[optind + 1], extra > 2 ? " ..." : "");
        return LDM_PARSE_ERROR;
    }
    if (cmd->max_args >= 0 && extra > cmd->max_args) {
        refuse_extra(cmd, all, argv[optind + cmd->max_args]);
        return LDM_PARSE_ERROR;
    }
    for (int i = optind; i < argc; i++) {
        if (*argv[i] && argv[i][strlen(argv[i]) - 1] == '\r') {
            ldm_cli_usage(cmd,
                          "'%s': the argument ends with a carriage return (\\r): the script or "
                          "list that it comes from has Windows' line ends; remove them",
                          argv[i]);
            return LDM_PARSE_ERROR;
        }
    }
    return LDM_PARSE_OK;
}
