/* SPDX-License-Identifier: MIT */
/* The clocks that durations and work are measured with. */
#ifndef LDM_BASE_CLOCK_H
#define LDM_BASE_CLOCK_H

double ldm_seconds(void); /* CLOCK_MONOTONIC */
/* Of processors: what the calling thread, and what all threads of the process have used. */
double ldm_thread_seconds(void);
double ldm_process_seconds(void);

#endif
