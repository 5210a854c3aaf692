/* SPDX-License-Identifier: MIT */
/* `ldm --help` and `ldm help tables`; see overview.h. */
#include "base/str.h"
#include "cli/overview.h"

#include <stdio.h>
#include <string.h>

#include "cli/opts.h"
#include "cli/terminal.h"

static const char about[] =
    "Latent diffusion models in C: loads an original CompVis checkpoint and its YAML, says\n"
    "whether the two belong together, and generates pictures with the original's numbers.";

static const struct {
    int code;
    const char *text;
} exits[] = {
    {LDM_EXIT_OK, "fine"},
    {LDM_EXIT_FAILED, "the work failed"},
    {LDM_EXIT_USAGE, "wrong usage"},
    {LDM_EXIT_MISMATCH, "config and checkpoint do not match"},
    {LDM_EXIT_SIGNAL + 2, "interrupted"}, /* SIGINT has number 2 */
};

static const struct {
    const char *name, *value, *text;
} variables[] = {
    {"LDM_MAX_ISA", "c|avx2|avx512", "limits the instructions used"},
};

static const struct {
    const char *name, *text;
} topics[] = {
    {"samplers", "lists the samplers"},
    {"tables", "prints commands and options for programs"},
};

enum {
    EXIT_COUNT = sizeof exits / sizeof *exits,
    VARIABLE_COUNT = sizeof variables / sizeof *variables,
    TOPIC_COUNT = sizeof topics / sizeof *topics,
    WIDTH = 86
};

/* Adds an item of a list, on a new line where it does not fit any more; returns the column. */
static int put_item(ldm_str *out, int column, const char *text)
{
    const int len = (int)strlen(text);

    if (column + 1 + len > WIDTH) {
        ldm_str_puts(out, "\n");
        column = 0;
    } else if (column) {
        ldm_str_puts(out, " ");
        column++;
    }
    ldm_str_puts(out, text);
    return column + len;
}

static void put_exits(ldm_str *out)
{
    char item[96];
    int column = put_item(out, 0, "Exit codes:");

    for (size_t i = 0; i < EXIT_COUNT; i++) {
        snprintf(item, sizeof item, "%d %s%s", exits[i].code, exits[i].text,
                 i + 1 < EXIT_COUNT ? "," : ".");
        column = put_item(out, column, item);
    }
    ldm_str_puts(out, "\n");
}

void ldm_overview_print(const ldm_command *const *commands, size_t count)
{
    ldm_str out = {0};

    ldm_str_printf(&out, "usage: ldm COMMAND [options]\n\n%s\n\nCommands\n", about);
    for (size_t i = 0; i < count; i++)
        ldm_str_printf(&out, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    ldm_str_puts(
        &out, "\n'ldm COMMAND --help' or 'ldm help COMMAND' explains one; 'ldm --version' prints "
              "the\nversion. Without --ckpt and --config a shipped model is used: portrait,\n"
              "by compare demo.\n");
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        ldm_str_printf(&out, "'ldm help %s' %s.\n", topics[i].name, topics[i].text);
    ldm_str_puts(&out, "\n");
    put_exits(&out);
    for (size_t i = 0; i < VARIABLE_COUNT; i++)
        ldm_str_printf(&out, "Environment: %s=%s %s.\n", variables[i].name, variables[i].value,
                       variables[i].text);
    if (out.failed)
        ldm_cli_nomem(NULL);
    else
        ldm_terminal_print_sentences(out.data);
    ldm_str_free(&out);
}

/* ---- for programs ---------------------------------------------------------------------------- */

/* A tab and one column; NULL is an empty one. */
static void print_column(const char *text)
{
    putchar('\t');
    for (; text && *text; text++) {
        if (*text == '\n')
            fputs("\\n", stdout);
        else if (*text == '\t')
            fputs("\\t", stdout);
        else if (*text == '\\')
            fputs("\\\\", stdout);
        else
            putchar(*text);
    }
}

static void print_choices(const ldm_opt_shown *o)
{
    const char *choice;

    print_column(o->choices);
    for (size_t i = 0; o->setting && (choice = ldm_setting_choice(o->setting, i)); i++)
        printf("%s%s", i ? "|" : "", choice);
    if (!o->setting || strcmp(ldm_setting_key(o->setting), "model"))
        return;
    for (const char *p = LDM_SHIPPED_MODELS; *p; p++) { /* "portrait, demo" */
        if (*p != ' ')
            putchar(*p == ',' ? '|' : *p);
    }
}

static void print_option(void *ctx, const ldm_opt_shown *o)
{
    const char letter[2] = {o->letter, '\0'};

    (void)ctx;
    if (o->heading) {
        fputs("heading", stdout);
        print_column(o->name);
    } else {
        fputs("option", stdout);
        print_column(letter);
        print_column(o->name);
        print_column(o->arg);
        print_choices(o);
        print_column(o->setting && ldm_setting_get_type(o->setting) == LDM_TYPE_LIST ? "1" : "0");
        print_column(o->help);
    }
    putchar('\n');
}

static void print_command(const ldm_command *cmd)
{
    const ldm_opt_shown help = {.letter = 'h', .name = "help", .help = "the help text"};

    fputs("command", stdout);
    print_column(cmd->name);
    print_column(cmd->args);
    print_column(cmd->summary);
    print_column(cmd->about);
    print_column(cmd->notes);
    print_column(cmd->program);
    putchar('\n');
    ldm_opts_each(cmd, print_option, NULL);
    print_option(NULL, &help);
}

void ldm_overview_tables(const ldm_command *const *commands, size_t count)
{
    printf("program\tldm\t%s\tlatent diffusion models in C", ldm_version());
    print_column(about);
    putchar('\n');
    for (size_t i = 0; i < EXIT_COUNT; i++)
        printf("exit\t%d\t%s\n", exits[i].code, exits[i].text);
    for (size_t i = 0; i < VARIABLE_COUNT; i++)
        printf("variable\t%s\t%s\t%s\n", variables[i].name, variables[i].value, variables[i].text);
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        printf("topic\t%s\t%s\n", topics[i].name, topics[i].text);
    for (size_t i = 0; i < count; i++)
        print_command(commands[i]);
}
