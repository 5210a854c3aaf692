/* SPDX-License-Identifier: MIT */
/* See lines.h. */
#include "cli/generate/lines.h"

#include <stdlib.h>
#include <string.h>

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
