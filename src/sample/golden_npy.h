/* SPDX-License-Identifier: MIT */
/* For this room's tests only: where the reference data lies, and its 1-d and 2-d .npy arrays as
 * doubles. (The real .npy reader is in image/, which this room may not include.) */
#ifndef LDM_SAMPLE_GOLDEN_NPY_H
#define LDM_SAMPLE_GOLDEN_NPY_H

#include <stddef.h>

#include "sample/schedule.h"

/* The folder "schedules" of the reference data (LDM_GOLDEN, else ../shared/golden), or NULL: then
 * it has printed that the case is skipped. Static buffer. */
const char *golden_schedules(const char *case_name);

/* Values of FOLDER/NAME as doubles (ldm_free them); int64, f32 and f64. Fails the test if the file
 * cannot be read. */
double *golden_read(const char *folder, const char *name, size_t *count);

/* Calls check for each .npy file in the folder `part` of the reference schedules, with the
 * schedules' folder and the file's name. Skips the test without them; there must be at least one.
 */
void golden_each(const char *part, void (*check)(const char *folder, const char *file));

/* The parameters of the reference schedules, by file name. */
typedef struct golden_schedule {
    const char *name;
    ldm_beta_schedule kind;
    double start, end;
} golden_schedule;

enum { GOLDEN_SCHEDULES = 6, GOLDEN_TIMESTEPS = 1000 };

extern const golden_schedule golden_schedule_list[GOLDEN_SCHEDULES];

/* betas and alphas_cumprod, GOLDEN_TIMESTEPS of each. */
void golden_schedule_compute(const golden_schedule *s, double *betas, float *alphas);

#endif
