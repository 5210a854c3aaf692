/* SPDX-License-Identifier: MIT */
/* See texts.h. */
#include "cli/generate/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/generate/class_names.h"

static const size_t most_bytes = (size_t)64 << 20;

void ldm_lines_free(ldm_lines *l)
{
    ldm_free(l->text);
    free((void *)l->items);
    free(l->numbers);
    *l = (ldm_lines){0};
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\v\f")] == '\0';
}

static int refuse_nul(const ldm_command *cmd, const char *path, const char *text, size_t size)
{
    size_t line = 1, i;

    for (i = 0; i < size; i++) {
        line += text[i] == '\n';
        if (!text[i]) {
            ldm_cli_say(cmd, "%s:%zu: holds a byte of value 0: %s", path, line,
                        ldm_is_utf16(text, size) ? "it is UTF-16; save it as UTF-8"
                                                 : "expected lines of text");
            return LDM_EXIT_FAILED;
        }
    }
    return LDM_EXIT_OK;
}

int ldm_lines_split(const ldm_command *cmd, char *text, bool keep_blank, ldm_lines *out)
{
    size_t lines = 1, number = 0;
    char *p = text + ldm_utf8_mark(text, strlen(text)), *next;

    out->text = text;
    for (next = p; *next; next++)
        lines += *next == '\n';
    out->items = malloc(lines * sizeof *out->items);
    out->numbers = malloc(lines * sizeof *out->numbers);
    if (!out->items || !out->numbers)
        return ldm_cli_nomem(cmd);
    for (; p; p = next) {
        next = strchr(p, '\n');
        if (next)
            *next++ = '\0';
        if (!next && !*p)
            break; /* after the last line's end */
        if (*p && p[strlen(p) - 1] == '\r')
            p[strlen(p) - 1] = '\0';
        number++;
        if (!keep_blank && is_blank(p))
            continue;
        out->numbers[out->count] = number;
        out->items[out->count++] = p;
    }
    return LDM_EXIT_OK;
}

int ldm_lines_read(const ldm_command *cmd, const char *path, bool keep_blank, ldm_lines *out)
{
    ldm_error err;
    size_t size;
    ldm_status st = ldm_text_read(path, most_bytes, &out->text, &size, &err);
    int code = st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;

    if (!code)
        code = refuse_nul(cmd, path, out->text, size);
    if (!code)
        code = ldm_lines_split(cmd, out->text, keep_blank, out);
    if (!code && !out->count) {
        ldm_cli_say(cmd, "%s holds no line of text", path);
        code = LDM_EXIT_FAILED;
    }
    if (code)
        ldm_lines_free(out);
    return code;
}

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
            ldm_cli_say(cmd, "%s:%zu: the prompt is no UTF-8: byte %zu of the line is 0x%02x", path,
                        out->numbers[i], at, (unsigned char)out->items[i][at]);
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

static int name_classes(const ldm_command *cmd, const ldm_generate_opts *o)
{
    const char *text = ldm_job_get_text(o->to.job, "class");
    char *numbers;
    ldm_error err;
    ldm_status st;
    int code;

    if (!text)
        return ldm_cli_usage(cmd, "--class-names needs --class NAME as well");
    code = ldm_class_numbers(cmd, o->class_names, text, &numbers);
    if (code)
        return code;
    st = ldm_job_set(o->to.job, "class", numbers, &err);
    free(numbers);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

int ldm_texts_apply(const ldm_command *cmd, const ldm_generate_opts *o, ldm_lines *prompts)
{
    ldm_error err;
    ldm_status st;
    int code = o->class_names ? name_classes(cmd, o) : LDM_EXIT_OK;

    if (code || !o->prompts)
        return code;
    code = prompts_read(cmd, o->prompts, prompts);
    if (code)
        return code;
    st = ldm_job_set_prompts(o->to.job, prompts->items, prompts->count, &err);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}
