/* SPDX-License-Identifier: MIT */
/* The progress bar; see progress.h. One bar and one estimate for all pictures, both stages:
 *
 *   sampling [##########..............] 75/150  ETA 0:36  picture 1-4 of 8  12.5 step/s
 *   decoding [###################.....]  ETA 0:02  picture 3 of 8 */
#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/terminal.h"

enum { BAR_WIDTH = 24, NARROW_BAR = 10, NARROW = 60, MAX_LINE = 200 };

void ldm_bar_init(ldm_bar *b)
{
    memset(b, 0, sizeof *b);
    b->on = ldm_terminal_redraws(STDERR_FILENO);
    b->sampling.work = 1;
    b->picture = -1;
}

void ldm_bar_expect(ldm_bar *b, const ldm_run_info *ri, int kept)
{
    b->sampling.work =
        ri->eps_evaluations * ri->flop_per_eps + ri->shallow_evaluations * ri->flop_shallow;
    b->decode.work = ri->flop_decode;
    b->count = ri->count - kept;
}

static void format_eta(double seconds, char *buf, size_t size)
{
    long s = (long)(seconds + 0.5);

    if (s >= 3600)
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
}

/* The time since the last report belongs to the stage that it was about. */
static void account(ldm_bar *b, const ldm_progress *p, double now)
{
    const bool decoding = !strcmp(p->stage, "decoding");

    if (b->asked > 0)
        (b->decoding ? &b->decode : &b->sampling)->seconds += now - b->asked;
    b->asked = now;
    if (b->decoding && (!decoding || p->first_image != b->picture))
        b->decode.done += b->decode.work;
    if (!decoding && p->step > 0 && p->step_count > 0) {
        b->sampling.done += b->sampling.work * p->images_in_batch / p->step_count;
        b->steps++;
    }
    b->decoding = decoding;
    b->picture = p->first_image;
}

/* Seconds to the end; below 0: not known yet. Until a picture was decoded, decoding is taken to do
 * as much work a second as sampling does. */
static double left(const ldm_bar *b, const ldm_progress *p)
{
    const double count = b->count > 0 ? b->count : p->image_count;
    double pace, decode_pace, seconds;

    if (!(b->sampling.done > 0))
        return -1;
    pace = b->sampling.seconds / b->sampling.done;
    decode_pace = b->decode.done > 0 ? b->decode.seconds / b->decode.done : pace;
    seconds = pace * (count * b->sampling.work - b->sampling.done);
    if (seconds < 0)
        seconds = 0;
    if (count * b->decode.work > b->decode.done)
        seconds += decode_pace * (count * b->decode.work - b->decode.done);
    if (b->decoding && !(b->decode.done > 0)) /* what the first one took is done of it */
        seconds -= b->decode.seconds;
    return seconds < 0 ? 0 : seconds;
}

/* Adds a piece if all of it fits. */
static void add(char *line, size_t room, const char *fmt, ...) LDM_PRINTF(3, 4);
static void add(char *line, size_t room, const char *fmt, ...)
{
    char piece[96];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(piece, sizeof piece, fmt, ap);
    va_end(ap);
    if (strlen(line) + strlen(piece) < room)
        strcat(line, piece);
}

/* The line, less than `room` bytes with its end; the pieces in the order of their weight. */
static void compose(const ldm_bar *b, const ldm_progress *p, size_t room, char *line)
{
    const double to_go = left(b, p), spent = b->sampling.seconds + b->decode.seconds;
    const int width = room < NARROW ? NARROW_BAR : BAR_WIDTH;
    int filled = to_go >= 0 && spent > 0 ? (int)(width * spent / (spent + to_go)) : 0;
    char bar[BAR_WIDTH + 1], eta[32];

    memset(bar, '.', sizeof bar);
    memset(bar, '#', (size_t)(filled > width ? width : filled));
    bar[width] = '\0';
    line[0] = '\0';
    add(line, room, "%s", p->stage);
    add(line, room, " [%s]", bar);
    if (!b->decoding)
        add(line, room, " %d/%d", p->step, p->step_count);
    if (to_go >= 0) {
        format_eta(to_go, eta, sizeof eta);
        add(line, room, "  ETA %s", eta);
    }
    if (p->image_count > 1 && p->images_in_batch == 1)
        add(line, room, "  picture %d of %d", p->first_image + 1, p->image_count);
    else if (p->image_count > 1)
        add(line, room, "  picture %d-%d of %d", p->first_image + 1,
            p->first_image + p->images_in_batch, p->image_count);
    if (!b->decoding && b->steps > 0 && b->sampling.seconds > 0)
        add(line, room, "  %.*f step/s", b->steps < 100 * b->sampling.seconds ? 1 : 0,
            b->steps / b->sampling.seconds);
}

void ldm_bar_update(ldm_bar *b, const ldm_progress *p)
{
    const double now = ldm_cli_now();
    const bool last = p->step == p->step_count && !strcmp(p->stage, "sampling");
    char line[MAX_LINE];
    int width;

    account(b, p, now);
    if (!b->on || (b->drawn && !last && now - b->drawn_at < 0.1))
        return;
    /* The last column stays free: some terminals wrap when it is written. */
    width = ldm_terminal_width(STDERR_FILENO);
    compose(b, p, width < MAX_LINE ? (size_t)width : MAX_LINE, line);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    b->drawn_at = now;
    b->drawn = true;
}

void ldm_bar_clear(ldm_bar *b)
{
    if (!b->drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    b->drawn = false;
}
