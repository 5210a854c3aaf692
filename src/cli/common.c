/* SPDX-License-Identifier: MIT */
/* Messages, exit codes and JSON output of all commands; see cli.h. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/str.h"
#include "cli/terminal.h"

double ldm_cli_now(void)
{
    return ldm_seconds();
}

/* What the process said last, for ldm_cli_json_failure: there is one stderr, and one of these. */
static char last_said[2048];

/* --quiet was on the line: likewise one for the process. */
static bool hushed;

void ldm_cli_hush(void)
{
    hushed = true;
}

/* One line on stderr; what comes from argv or a file must not move the terminal's cursor. */
static LDM_PRINTF(2, 0) void say(const ldm_command *cmd, const char *fmt, va_list ap,
                                 const char *tail)
{
    static const char remark[] = "note: ";
    char text[sizeof last_said], line[sizeof last_said + 192];

    vsnprintf(text, sizeof text, fmt, ap);
    if (hushed && !strncmp(text, remark, strlen(remark)))
        return;
    memcpy(last_said, text, sizeof last_said);
    ldm_flatten(last_said);
    snprintf(line, sizeof line, "%sldm%s%s: %s%s", cmd && cmd->prefix ? cmd->prefix : "",
             cmd ? " " : "", cmd ? cmd->name : "", last_said, tail);
    ldm_terminal_line(stderr, line, 4);
}

void ldm_cli_say(const ldm_command *cmd, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(cmd, fmt, ap, "");
    va_end(ap);
}

void ldm_cli_spell(char *key)
{
    for (; *key; key++)
        *key = *key == '_' ? '-' : *key;
}

/* The library says "mask_blur has no effect: ..."; the line has --mask-blur. False: it is no such
 * text, or about no option. */
static bool note_idle(const ldm_command *cmd, const char *text)
{
    static const char does[] = " has no effect";
    const size_t len = strcspn(text, " ");
    const char *name = strncmp(text, "no-", 3) ? text : text + 3;
    char key[48];

    if (strncmp(text + len, does, strlen(does)) || len >= sizeof key)
        return false;
    snprintf(key, sizeof key, "%.*s", (int)(text + len - name), name);
    if (!ldm_setting_find(LDM_SETTINGS_JOB, key))
        return false;
    snprintf(key, sizeof key, "%.*s", (int)len, text);
    ldm_cli_spell(key);
    ldm_cli_say(cmd, "note: --%s%s", key, text + len);
    return true;
}

void ldm_cli_note(const ldm_command *cmd, const char *text)
{
    if (!note_idle(cmd, text))
        ldm_cli_say(cmd, "%s%s", strncmp(text, "warning: ", 9) ? "note: " : "", text);
}

int ldm_cli_usage(const ldm_command *cmd, const char *fmt, ...)
{
    char tail[64];
    va_list ap;

    snprintf(tail, sizeof tail, " (see 'ldm %s%s--help')", cmd ? cmd->name : "", cmd ? " " : "");
    va_start(ap, fmt);
    say(cmd, fmt, ap, tail);
    va_end(ap);
    return LDM_EXIT_USAGE;
}

/* Whether the message begins with a place in a text file, "config.yaml:39:15: ", as a compiler's.
 */
static bool names_place(const ldm_error *err)
{
    const char *end = strstr(err->msg, ": ");
    char place[32];
    size_t len;

    if (err->line < 1 || !end)
        return false;
    len = (size_t)snprintf(place, sizeof place, ":%d:%d", err->line, err->column);
    return (size_t)(end - err->msg) > len && !strncmp(end - len, place, len);
}

/* The library speaks of what it is given by name, "(class)"; the line has "(--class N)". */
static void name_options(const char *msg, char *out, size_t size)
{
    static const char *const names[][2] = {
        {"(class)", "(--class N)"},
        {"(prompt)", "(--prompt TEXT)"},
        {"(layout)", "(--layout FILE.json)"},
        {"(image)", "(--image FILE)"},
        {"(image, mask)", "(--image FILE --mask FILE)"},
        {"(init)", "(--init FILE)"},
        {"(init, mask)", "(--init FILE --mask FILE)"},
        {"(mask; white is painted)", "(--mask FILE; white is painted)"},
        {"(segmentation)", "(--segmentation FILE)"},
        {"(palette)", "(--palette FILE)"},
        {"(vocab)", "(--vocab FILE)"},
        {"is given as vocab)", "is given as --vocab FILE)"},
        {"(ckpt)", "(--ckpt FILE)"},
        {"(set)", "(--set KEY=VALUE)"},
    };
    size_t n = 0;

    while (*msg && n + 1 < size) {
        size_t i;

        for (i = 0; i < sizeof names / sizeof *names; i++) {
            if (!strncmp(msg, names[i][0], strlen(names[i][0])))
                break;
        }
        if (i == sizeof names / sizeof *names) {
            out[n++] = *msg++;
        } else {
            n += (size_t)snprintf(out + n, size - n, "%s", names[i][1]);
            n = n < size ? n : size - 1;
            msg += strlen(names[i][0]);
        }
    }
    out[n] = '\0';
}

int ldm_cli_fail(const ldm_command *cmd, ldm_status st, const ldm_error *err)
{
    char text[sizeof last_said];

    name_options(err->msg, text, sizeof text);
    if (names_place(err)) { /* editors go there */
        snprintf(last_said, sizeof last_said, "%s", err->msg);
        ldm_terminal_line(stderr, err->msg, 4);
    } else {
        ldm_cli_say(cmd, "%s", *text ? text : ldm_status_text(st));
    }
    switch (st) {
    case LDM_OK:
        return LDM_EXIT_OK;
    case LDM_ERR_USAGE:
        return LDM_EXIT_USAGE;
    case LDM_ERR_MISMATCH:
        return LDM_EXIT_MISMATCH;
    default:
        return LDM_EXIT_FAILED;
    }
}

int ldm_cli_nomem(const ldm_command *cmd)
{
    ldm_cli_say(cmd, "out of memory");
    return LDM_EXIT_FAILED;
}

char *ldm_cli_json_dump(const json_t *root, size_t flags)
{
    ldm_str s = {0};

    if (ldm_json_append(root, flags, &s))
        return s.data;
    ldm_str_free(&s);
    return NULL;
}

int ldm_cli_print_json(const ldm_command *cmd, json_t *root)
{
    char *text = ldm_cli_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9));

    json_decref(root);
    if (!text)
        return ldm_cli_nomem(cmd);
    puts(text); /* main checks stdout at the end */
    free(text);
    return LDM_EXIT_OK;
}

void ldm_cli_json_failure(const ldm_command *cmd)
{
    json_t *failure = json_object();

    json_object_set_new(failure, "error", ldm_json_text(last_said));
    (void)ldm_cli_print_json(cmd, failure);
}

int ldm_cli_report(const ldm_command *cmd, ldm_status st, const ldm_error *err, char *report,
                   bool json)
{
    int code;

    if (report) {
        ldm_terminal_print(report);
        ldm_release(report);
        return st ? ldm_cli_fail(cmd, st, err) : LDM_EXIT_OK;
    }
    code = ldm_cli_fail(cmd, st, err);
    if (json)
        ldm_cli_json_failure(cmd);
    return code;
}

void ldm_cli_duration(double seconds, char *buf, size_t size)
{
    const long whole = (long)(seconds + 0.5);

    if (seconds < 10)
        snprintf(buf, size, "%.3g s", seconds);
    else if (whole < 120)
        snprintf(buf, size, "%ld s", whole);
    else if (whole < 7200)
        snprintf(buf, size, "%ld min %ld s", whole / 60, whole % 60);
    else
        snprintf(buf, size, "%ld h %ld min", whole / 3600, whole / 60 % 60);
}

char *ldm_cli_format(const char *fmt, ...)
{
    ldm_str s = {0};
    va_list ap;

    va_start(ap, fmt);
    ldm_str_vprintf(&s, fmt, ap);
    va_end(ap);
    if (!s.failed)
        return s.data;
    ldm_str_free(&s);
    return NULL;
}

int ldm_cli_read_whole(const ldm_command *cmd, const char *option, const char *text, int least,
                       int most, int *out)
{
    char *end = NULL;
    long v;

    if (!text)
        return LDM_EXIT_OK;
    v = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    if (!end || *end || v < least || v > most)
        return ldm_cli_usage(cmd, "%s: '%s' is not a whole number from %d to %d", option, text,
                             least, most);
    *out = (int)v;
    return LDM_EXIT_OK;
}

void ldm_cli_add_word(ldm_str *line, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./=:,+@%-";
    size_t n;

    if (*word && !word[strspn(word, plain)]) {
        ldm_str_printf(line, " %s", word);
        return;
    }
    ldm_str_puts(line, " '");
    while (word[n = strcspn(word, "'")]) {
        ldm_str_append(line, word, n);
        ldm_str_puts(line, "'\\''");
        word += n + 1;
    }
    ldm_str_printf(line, "%s'", word);
}

char *ldm_cli_finish_line(ldm_str *line)
{
    if (line->failed) {
        ldm_str_free(line);
        return NULL;
    }
    ldm_flatten(line->data);
    return line->data;
}
