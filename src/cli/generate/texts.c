/* SPDX-License-Identifier: MIT */
/* See texts.h. */
#include "cli/generate/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/generate/class_names.h"

/* ---- prompts --------------------------------------------------------------------------------- */

/* Offset of the first byte that is not UTF-8, or of the end. */
static size_t bad_byte(const char *s)
{
    const size_t len = strlen(s);
    size_t i = 0, n;

    while (i < len && (n = ldm_utf8_len(s + i, len - i)))
        i += n;
    return i;
}

/* The web UI's files have options of a line, others' comments. */
static void note_no_prompt(const ldm_command *cmd, const char *path, const ldm_lines *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *text = l->items[i] + strspn(l->items[i], " \t");

        if (*text != '#' && strncmp(text, "--", 2) != 0)
            continue;
        ldm_cli_say(cmd,
                    "note: %s:%zu: the line begins with %s and is drawn as a prompt all the same: "
                    "this file has neither comments nor options",
                    path, l->numbers[i], *text == '#' ? "#" : "--");
        return;
    }
}

/* A prompt a line: UTF-8, a byte order mark and carriage returns at line ends are dropped, and
 * lines of nothing but white space are no prompts (--prompt '' asks for the empty one). An exit
 * code. */
static int prompts_read(const ldm_command *cmd, const char *path, ldm_lines *out)
{
    int code = LDM_EXIT_OK;
    size_t i;

    if (strcmp(path, "-") != 0 && access(path, F_OK) && !strpbrk(path, "./"))
        return ldm_cli_usage(cmd,
                             "--prompts: there is no file '%s'; a prompt itself is given by "
                             "--prompt \"%s\"",
                             path, path);
    code = ldm_lines_read(cmd, path, false, out);

    for (i = 0; !code && i < out->count; i++) {
        const size_t at = bad_byte(out->items[i]);

        if (out->items[i][at]) {
            ldm_cli_say(cmd,
                        "%s:%zu: the prompt is no UTF-8: byte %zu of the line is 0x%02x; save the "
                        "file as UTF-8",
                        path, out->numbers[i], at, (unsigned char)out->items[i][at]);
            code = LDM_EXIT_FAILED;
        }
    }
    if (code)
        ldm_lines_free(out);
    else
        note_no_prompt(cmd, path, out);
    return code;
}

/* ---- as generate's options say --------------------------------------------------------------- */

static int name_classes(const ldm_command *cmd, const ldm_generate_opts *o, ldm_lines *list)
{
    const char *text = ldm_job_get_text(o->to.job, "class");
    char *numbers;
    ldm_error err;
    ldm_status st;
    int code;

    if (!text)
        return ldm_cli_usage(cmd, "--class-names needs --class NAME as well");
    code = ldm_class_numbers(cmd, o->class_names, text, list, &numbers);
    if (code)
        return code;
    st = ldm_job_set(o->to.job, "class", numbers, &err);
    free(numbers);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

/* A prompt that is the name of a file is drawn all the same. */
static void note_file(const ldm_command *cmd, const ldm_generate_opts *o)
{
    const char *prompt = ldm_job_get_text(o->to.job, "prompt");

    if (prompt && *prompt && !o->quiet && strchr(prompt, '.') && !access(prompt, F_OK))
        ldm_cli_say(cmd,
                    "note: '%s' is a file, and its name is the prompt: --prompts %s takes the "
                    "prompts in it",
                    prompt, prompt);
}

int ldm_texts_apply(const ldm_command *cmd, const ldm_generate_opts *o, ldm_lines *prompts,
                    ldm_lines *class_names)
{
    ldm_error err;
    ldm_status st;
    int code = o->class_names ? name_classes(cmd, o, class_names) : LDM_EXIT_OK;

    if (!code && !o->prompts)
        note_file(cmd, o);
    if (code || !o->prompts)
        return code;
    code = prompts_read(cmd, o->prompts, prompts);
    if (code)
        return code;
    st = ldm_job_set_prompts(o->to.job, prompts->items, prompts->count, &err);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}
