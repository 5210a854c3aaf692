/* SPDX-License-Identifier: MIT */
/* The clock that durations are measured with. */
#ifndef LDM_BASE_CLOCK_H
#define LDM_BASE_CLOCK_H

double ldm_seconds(void); /* CLOCK_MONOTONIC */

#endif
