/* SPDX-License-Identifier: MIT */
/* Signals; see signals.h. Handlers have no argument to carry state in, so this file alone of the
 * program has variables of its own; nothing in a handler but what POSIX calls async-signal-safe. */
#include "cli/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/str.h"

static volatile sig_atomic_t interrupted;
static char bus_line[1200];
static volatile sig_atomic_t bus_line_length;
static char end_line[600], end_json[600]; /* what is said on stderr and stdout before the end */
static volatile sig_atomic_t end_line_length, end_json_length;

static void on_bus_error(int sig)
{
    (void)sig;
    /* No clean-up: any structure may lie in the memory that is gone. */
    if (write(STDERR_FILENO, bus_line, (size_t)bus_line_length) < 0)
        _exit(LDM_EXIT_FAILED);
    _exit(LDM_EXIT_FAILED);
}

/* The first signal ends what is computed and keeps what is done; the second ends the process. */
static void on_interrupt(int sig)
{
    if (end_line_length) {
        (void)!write(STDERR_FILENO, end_line, (size_t)end_line_length);
        (void)!write(STDOUT_FILENO, end_json, (size_t)end_json_length);
        _exit(LDM_EXIT_SIGNAL + sig);
    }
    if (interrupted)
        _exit(LDM_EXIT_SIGNAL + sig);
    interrupted = sig;
}

static void handle(int sig, void (*handler)(int))
{
    struct sigaction sa;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = handler;
    sa.sa_flags = SA_RESTART;
    sigemptyset(&sa.sa_mask);
    sigaction(sig, &sa, NULL);
}

static void open_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* open() takes the lowest number that is free: this one. */
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

void ldm_signals_init(void)
{
    open_standard_files();
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
    ldm_signals_name_file("a mapped file");
    handle(SIGBUS, on_bus_error);
}

void ldm_signals_name_file(const char *path)
{
    int n;

    bus_line_length = 0;
    n = snprintf(bus_line, sizeof bus_line,
                 "ldm: %.1000s: part of the file went away while it was read: it was cut off or "
                 "replaced, or its disk failed; restore it and run again\n",
                 path);
    if (n < 0 || (size_t)n >= sizeof bus_line)
        return;
    bus_line[n - 1] = '\0'; /* the newline is no control character here */
    ldm_flatten(bus_line);
    bus_line[n - 1] = '\n';
    bus_line_length = n;
}

static void catch_interrupts(void)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct sigaction old;

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
            handle(signals[i], on_interrupt);
    }
}

void ldm_signals_catch_interrupts(void)
{
    end_line_length = 0;
    end_json_length = 0;
    catch_interrupts();
}

/* snprintf's result as the length of what fits. */
static sig_atomic_t length_of(int n, size_t size)
{
    return n < 0 ? 0 : (size_t)n < size ? n : (int)size - 1;
}

void ldm_signals_end_at_once(const ldm_command *cmd, const char *text, bool json)
{
    json_t *failure = json ? json_object() : NULL;
    char *object, said[512];

    ldm_signals_catch_interrupts(); /* while the lines are made */
    snprintf(said, sizeof said, "interrupted: %s", text);
    ldm_flatten(said);
    if (failure) {
        json_object_set_new(failure, "error", ldm_json_text(said));
        object = ldm_cli_json_dump(failure, JSON_INDENT(2));
        if (object)
            end_json_length =
                length_of(snprintf(end_json, sizeof end_json, "%s\n", object), sizeof end_json);
        free(object);
        json_decref(failure);
    }
    end_line_length = length_of(snprintf(end_line, sizeof end_line, "%sldm %s: %s\n",
                                         cmd->prefix ? cmd->prefix : "", cmd->name, said),
                                sizeof end_line);
    if (interrupted) /* meanwhile */
        on_interrupt(interrupted);
}

int ldm_signals_interrupted(void)
{
    return interrupted;
}

bool ldm_signals_stop(void *ctx)
{
    (void)ctx;
    return interrupted != 0;
}
