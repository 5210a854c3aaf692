/* SPDX-License-Identifier: MIT */
/* The clocks; see clock.h. */
#include "base/clock.h"

#include <time.h>

static double read_clock(clockid_t which)
{
    struct timespec t;

    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ldm_seconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double ldm_thread_seconds(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

double ldm_process_seconds(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
