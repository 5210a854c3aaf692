/* SPDX-License-Identifier: MIT */
/* The terminal; see terminal.h. */
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <ldm/ldm.h>

static const char command[] = "  Next: ldm generate ";

enum { DEFAULT_WIDTH = 80, LAID_OUT = 100, FULL_SENTENCES = 90, NARROWEST = 20 };

int ldm_terminal_width(int fd)
{
    struct winsize ws;

    if (!isatty(fd))
        return 0;
    memset(&ws, 0, sizeof ws);
    if (ioctl(fd, TIOCGWINSZ, &ws) || !ws.ws_col)
        return DEFAULT_WIDTH;
    return ws.ws_col;
}

bool ldm_terminal_redraws(int fd)
{
    const char *term = getenv("TERM");

    return isatty(fd) && (!term || strcmp(term, "dumb"));
}

bool ldm_terminal_colour(int fd)
{
    const char *no = getenv("NO_COLOR");

    return ldm_terminal_redraws(fd) && !(no && *no);
}

void ldm_terminal_progress(const char *what, double done)
{
    const int width = ldm_terminal_width(STDERR_FILENO);

    fputs("\r\33[K", stderr);
    if (what) /* one column less: a full line would wrap */
        fprintf(stderr, "%3.0f %%  %.*s", 100 * done, width > 8 ? width - 8 : 1, what);
    fflush(stderr);
}

/* Bytes of the character at s and its columns: an escape sequence has none, UTF-8 has one. */
static size_t character(const char *s, int *columns)
{
    size_t n = 1;

    *columns = 1;
    if (s[0] == '\033' && s[1] == '[') {
        *columns = 0;
        n = 2 + strspn(s + 2, "0123456789;");
        return s[n] ? n + 1 : n;
    }
    while (((unsigned char)s[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* How many bytes of the line fit: to the last blank before `width`; a longer word stands alone. */
static size_t fitting(const char *line, size_t len, int width, size_t indent)
{
    size_t at = 0, blank = 0;
    int used = 0, columns;

    while (at < len) {
        size_t n = character(line + at, &columns);

        if (line[at] == ' ' && at > indent)
            blank = at;
        if (used + columns > width && blank)
            return blank;
        used += columns;
        at += n;
    }
    return len;
}

static void print_line(FILE *f, const char *line, size_t len, int width, size_t indent)
{
    size_t first = 1;

    if (indent > (size_t)width / 2)
        indent = (size_t)width / 2;
    while (len) {
        int room = width - (first ? 0 : (int)indent);
        size_t n = fitting(line, len, room, first ? strspn(line, " ") : 0);

        fprintf(f, "%*s%.*s\n", first ? 0 : (int)indent, "", (int)n, line);
        first = 0;
        line += n;
        len -= n;
        for (; len && *line == ' '; len--)
            line++;
    }
}

unsigned ldm_terminal_columns(void)
{
    const int width = ldm_terminal_width(STDOUT_FILENO);

    return width > 0 && width < LAID_OUT ? (unsigned)width * LDM_REPORT_COLUMNS : 0;
}

void ldm_terminal_line(FILE *f, const char *line, size_t indent)
{
    const int width = ldm_terminal_width(fileno(f));

    if (width < NARROWEST)
        fprintf(f, "%s\n", line);
    else
        print_line(f, line, strlen(line), width, indent);
}

void ldm_terminal_print(const char *text)
{
    int width = ldm_terminal_width(STDOUT_FILENO);

    if (!width || width >= LAID_OUT || width < NARROWEST) {
        fputs(text, stdout);
        return;
    }
    while (*text) {
        size_t len = strcspn(text, "\n");

        if (!strncmp(text, command, strlen(command)))
            printf("%.*s\n", (int)len, text); /* to be pasted */
        else if (len)
            print_line(stdout, text, len, width, strspn(text, " "));
        else
            putchar('\n');
        text += len + (text[len] == '\n');
    }
}

/* Whether the line end at `at` stands within a paragraph. */
static bool within_paragraph(const char *begin, const char *at)
{
    const char *line = at;

    while (line > begin && line[-1] != '\n')
        line--;
    return line < at && *line != ' ' && at[1] && at[1] != '\n' && at[1] != ' ';
}

void ldm_terminal_print_sentences(const char *text)
{
    const int width = ldm_terminal_width(STDOUT_FILENO);
    char *copy = width && width < FULL_SENTENCES ? strdup(text) : NULL;

    if (!copy) {
        ldm_terminal_print(text);
        return;
    }
    for (char *at = copy; (at = strchr(at, '\n')); at++) {
        if (within_paragraph(text, text + (at - copy)))
            *at = ' ';
    }
    ldm_terminal_print(copy);
    free(copy);
}
