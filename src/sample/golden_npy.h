/* For this room's tests only: where the reference data lies, and its 1-d and 2-d .npy arrays as
 * doubles. (The real .npy reader is in image/, which this room may not include.) */
#ifndef LDM_SAMPLE_GOLDEN_NPY_H
#define LDM_SAMPLE_GOLDEN_NPY_H

#include <stddef.h>

/* The folder "schedules" of the reference data (LDM_GOLDEN, else ../shared/golden), or NULL: then
 * it has printed that the case is skipped. Static buffer. */
const char *golden_schedules(const char *case_name);

/* Values of FOLDER/NAME as doubles (ldm_free them); int64, f32 and f64. Fails the test if the file
 * cannot be read. */
double *golden_read(const char *folder, const char *name, size_t *count);

#endif
