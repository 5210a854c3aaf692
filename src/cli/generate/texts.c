/* SPDX-License-Identifier: MIT */
/* See texts.h. */
#include "cli/generate/texts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

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

/* Cuts the text into lines. keep_blank: lines without anything count, too. */
static int split(const ldm_command *cmd, char *text, size_t size, bool keep_blank, ldm_lines *out)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t lines = 1, number = 0, i;
    char *p = text + (strncmp(text, mark, 3) ? 0 : 3), *next;

    for (i = 0; i < size; i++)
        lines += text[i] == '\n';
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

static int read_lines(const ldm_command *cmd, const char *path, bool keep_blank, ldm_lines *out)
{
    ldm_error err;
    size_t size;
    ldm_status st = ldm_text_read(path, most_bytes, &out->text, &size, &err);
    int code = st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;

    if (!code)
        code = refuse_nul(cmd, path, out->text, size);
    if (!code)
        code = split(cmd, out->text, size, keep_blank, out);
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
    code = read_lines(cmd, path, false, out);

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

/* ---- classes --------------------------------------------------------------------------------- */

static char plain(char c)
{
    return c == '_' || c == '-' ? ' ' : (char)tolower((unsigned char)c);
}

/* A name without the blanks around it. */
typedef struct word {
    const char *at;
    size_t len;
} word;

static word trimmed(const char *at, size_t len)
{
    while (len && isspace((unsigned char)*at)) {
        at++;
        len--;
    }
    while (len && isspace((unsigned char)at[len - 1]))
        len--;
    return (word){at, len};
}

static bool same(word a, word b)
{
    size_t i;

    if (a.len != b.len)
        return false;
    for (i = 0; i < a.len && plain(a.at[i]) == plain(b.at[i]); i++)
        ;
    return i == a.len;
}

static bool contains(const char *line, word w)
{
    size_t n = strlen(line), i;

    for (i = 0; w.len && i + w.len <= n; i++) {
        if (same((word){line + i, w.len}, w))
            return true;
    }
    return false;
}

/* Is it one of the line's names? "tench, Tinca tinca" has two, and the whole is a third. */
static bool names(const char *line, word w)
{
    const char *p = line;

    if (same(trimmed(line, strlen(line)), w))
        return true;
    for (;;) {
        const size_t n = strcspn(p, ",");

        if (same(trimmed(p, n), w))
            return true;
        if (!p[n])
            return false;
        p += n + 1;
    }
}

static bool is_number(word w)
{
    size_t i;

    for (i = 0; i < w.len && isdigit((unsigned char)w.at[i]); i++)
        ;
    return w.len && i == w.len;
}

/* "; lines that hold it: 1 (goldfish), 72 (gold spider)": what comes near, or all of several. */
static void put_near(const ldm_lines *l, word w, bool whole, ldm_str *out)
{
    enum { MOST = 5 };
    size_t found = 0, i;

    for (i = 0; i < l->count; i++) {
        if (!(whole ? names(l->items[i], w) : contains(l->items[i], w)))
            continue;
        if (found < MOST)
            ldm_str_printf(out, "%s%zu (%.40s)", found ? ", " : "", i, l->items[i]);
        found++;
    }
    if (found > MOST)
        ldm_str_printf(out, " and %zu more", found - MOST);
}

static int refuse(const ldm_command *cmd, const char *path, const ldm_lines *l, word w,
                  size_t found)
{
    ldm_str near = {0};
    int code;

    put_near(l, w, found > 0, &near);
    if (near.failed)
        code = ldm_cli_nomem(cmd);
    else if (found)
        code = ldm_cli_usage(cmd, "--class: '%.*s' names %zu classes in %s: %s; give the number",
                             (int)(w.len < 80 ? w.len : 80), w.at, found, path, near.data);
    else
        code = ldm_cli_usage(cmd, "--class: no class in %s is named '%.*s'%s%s", path,
                             (int)(w.len < 80 ? w.len : 80), w.at,
                             near.data ? "; names that hold it: " : "", near.data ? near.data : "");
    ldm_str_free(&near);
    return code;
}

/* Names hold commas, so the longest name that begins here is looked for first: "tench, Tinca tinca"
 * before "tench". Returns the bytes of the text that it takes; 0: refused, *code says so. */
static size_t take_class(const ldm_command *cmd, const char *path, const ldm_lines *l,
                         const char *text, ldm_str *out, int *code)
{
    size_t len = strlen(text), found = 0, i;
    word w;

    for (;;) {
        w = trimmed(text, len);
        if (is_number(w)) {
            ldm_str_append(out, w.at, w.len);
            return len;
        }
        for (i = found = 0; i < l->count; i++) {
            if (w.len && names(l->items[i], w) && !found++)
                ldm_str_printf(out, "%zu", i);
        }
        if (found == 1)
            return len;
        if (found)
            break;
        while (len && text[len - 1] != ',')
            len--;
        if (!len) {
            w = trimmed(text, strcspn(text, ","));
            break;
        }
        len--;
    }
    *code = refuse(cmd, path, l, w, found);
    return 0;
}

/* Names in the place of numbers: `text` is what --class says, "tench,1,tabby cat"; the file has a
 * line a class, from class 0 on, with one name or several that commas separate. Case, '_' and '-'
 * do not matter. *numbers: "0,1,281", free() it. An exit code: a name that is not there, or that
 * stands for several classes, is refused with what comes near. */
static int class_numbers(const ldm_command *cmd, const char *path, const char *text, char **numbers)
{
    ldm_lines l = {0};
    ldm_str out = {0};
    int code = read_lines(cmd, path, true, &l);

    *numbers = NULL;
    while (!code) {
        const size_t n = take_class(cmd, path, &l, text, &out, &code);

        if (code || !text[n])
            break;
        ldm_str_puts(&out, ",");
        text += n + 1;
    }
    if (!code) {
        *numbers = out.failed || !out.data ? NULL : strdup(out.data);
        code = *numbers ? LDM_EXIT_OK : ldm_cli_nomem(cmd);
    }
    ldm_str_free(&out);
    ldm_lines_free(&l);
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
    code = class_numbers(cmd, o->class_names, text, &numbers);
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
