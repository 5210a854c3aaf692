/* Messages, exit codes and JSON output of all commands; see cli.h. */
#include "cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double ldm_cli_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* One line on stderr; what comes from argv or a file must not move the terminal's cursor. */
static void say(const ldm_command *cmd, const char *fmt, va_list ap, const char *tail)
{
    char line[2048];

    vsnprintf(line, sizeof line, fmt, ap);
    for (char *p = line; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    fprintf(stderr, "ldm%s%s: %s%s\n", cmd ? " " : "", cmd ? cmd->name : "", line, tail);
}

void ldm_cli_say(const ldm_command *cmd, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(cmd, fmt, ap, "");
    va_end(ap);
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

int ldm_cli_fail(const ldm_command *cmd, ldm_status st, const ldm_error *err)
{
    ldm_cli_say(cmd, "%s", err->msg[0] ? err->msg : ldm_status_text(st));
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

typedef struct growing {
    char *data;
    size_t len, cap;
} growing;

static int append(const char *bytes, size_t size, void *out)
{
    growing *g = out;

    if (g->cap - g->len <= size) {
        size_t cap = 2 * (g->len + size) + 64;
        char *bigger = realloc(g->data, cap);

        if (!bigger)
            return -1;
        g->data = bigger;
        g->cap = cap;
    }
    memcpy(g->data + g->len, bytes, size);
    g->len += size;
    g->data[g->len] = '\0';
    return 0;
}

char *ldm_cli_json_dump(const json_t *root, size_t flags)
{
    growing g = {NULL, 0, 0};

    if (root && !json_dump_callback(root, append, &g, flags))
        return g.data;
    free(g.data);
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

int ldm_cli_report(const ldm_command *cmd, ldm_status st, const ldm_error *err, char *report,
                   bool json)
{
    json_t *failure;

    if (report) {
        fputs(report, stdout);
        ldm_release(report);
        return st ? ldm_cli_fail(cmd, st, err) : LDM_EXIT_OK;
    }
    if (json) {
        failure = json_object();
        json_object_set_new(failure, "error",
                            ldm_cli_json_text(err->msg[0] ? err->msg : ldm_status_text(st)));
        (void)ldm_cli_print_json(cmd, failure);
    }
    return ldm_cli_fail(cmd, st, err);
}

json_t *ldm_cli_json_text(const char *text)
{
    json_t *s = json_string(text);
    char *copy;

    if (s)
        return s;
    copy = strdup(text);
    if (!copy)
        return NULL;
    for (char *p = copy; *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    s = json_string(copy);
    free(copy);
    return s;
}

json_t *ldm_cli_json_u64(uint64_t v)
{
    char text[24];

    if (v <= INT64_MAX)
        return json_integer((json_int_t)v);
    snprintf(text, sizeof text, "%" PRIu64, v);
    return json_string(text);
}

json_t *ldm_cli_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

char *ldm_cli_concat(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    char *s = malloc(n + m + 1);

    if (s) {
        memcpy(s, a, n);
        memcpy(s + n, b, m + 1);
    }
    return s;
}
