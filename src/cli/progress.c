/* The progress bar; see progress.h.
 *
 *   sampling  [##########..........]  75/150  12.5 step/s  ETA 0:36  picture 1-4 of 8  */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { BAR_WIDTH = 24 };

void ldm_bar_init(ldm_bar *b)
{
    memset(b, 0, sizeof *b);
    b->on = isatty(STDERR_FILENO);
}

static void format_eta(double seconds, char *buf, size_t size)
{
    long s = (long)(seconds + 0.5);

    if (s >= 3600)
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
}

void ldm_bar_update(ldm_bar *b, const ldm_progress *p)
{
    double now = ldm_cli_now(), done, total;
    char bar[BAR_WIDTH + 1], speed[64] = "", eta[32];
    int filled;
    bool last = p->step == p->step_count && !strcmp(p->stage, "sampling");

    if (!b->on)
        return;
    if (!b->start) {
        b->start = now;
        b->base = (double)p->first_image * p->step_count;
    }
    if (p->step > 0 && !strcmp(p->stage, "sampling"))
        b->steps += 1;
    if (b->drawn && !last && now - b->last < 0.1)
        return;
    b->last = now;

    /* Work in units of one picture's step: what is done, and what there is in all. */
    done = (double)p->first_image * p->step_count + (double)p->step * p->images_in_batch;
    total = (double)p->image_count * p->step_count;
    filled = p->step_count > 0 ? (int)((double)p->step / p->step_count * BAR_WIDTH) : BAR_WIDTH;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(filled < 0 ? 0 : filled > BAR_WIDTH ? BAR_WIDTH : filled));
    bar[BAR_WIDTH] = '\0';
    if (b->steps > 0 && done > b->base && now > b->start) {
        format_eta((now - b->start) * (total - done) / (done - b->base), eta, sizeof eta);
        snprintf(speed, sizeof speed, "  %.3g step/s  ETA %s", b->steps / (now - b->start), eta);
    }
    fprintf(stderr, "\r\033[K%s [%s] %d/%d%s", p->stage, bar, p->step, p->step_count, speed);
    if (p->image_count > 1)
        fprintf(stderr, "  picture %d-%d of %d", p->first_image + 1,
                p->first_image + p->images_in_batch, p->image_count);
    fflush(stderr);
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
