/* SPDX-License-Identifier: MIT */
/* For the parity tests: where reference data lies, how arrays are compared, and the bars.
 * Everything fails the running test with a message that names the array; nothing returns an error.
 */
#ifndef LDM_TESTS_GOLDEN_H
#define LDM_TESTS_GOLDEN_H

#include <stdbool.h>

#include "../support/plain.h"

/* One way of computing, and how near it must come. All bars are relative L2 distances, but for
 * pictures: those are compared byte by byte. */
typedef struct golden_variant {
    const char *name;
    const char *max_isa, *precision; /* of plain_options */
    double eps, latent;              /* bars: one evaluation or block; after sampling */
    int runs; /* sampling runs of a case: 2 all, 1 the first, 0 none (they only repeat the blocks)
               */
} golden_variant;

enum { GOLDEN_VARIANTS = 6 };
extern const golden_variant golden_variants[GOLDEN_VARIANTS];

/* Whether a program runs variant k. With sanitizers those of the machine's own kernels alone, since
 * the portable ones take two thirds of the time there, and kernelcheck has them; on a machine whose
 * best kernels are AVX2's, these once. */
bool golden_variant_runs(int k);

/* True in a build with sanitizers: slow cases are left out there, and the test says so. */
bool golden_slow_build(void);

/* A case is a folder: of LDM_GOLDEN or ../shared/golden, or "tests/data/golden" itself. */
bool golden_has(const char *folder, const char *name);
const char *golden_folder(const char *case_name); /* static text; skips the test if there is none */

ldm_array golden_load(const char *folder, const char *fmt, ...) LDM_PRINTF(2, 3);

/* ckpt in ckpt_dir (NULL: a path as it stands), config.yaml in config_dir. ema: YES or NO. */
ldm_model *golden_open(const char *ckpt_dir, const char *ckpt, const char *config_dir,
                       plain_ema ema, const golden_variant *v);

double golden_distance(const float *a, const float *b, uint64_t numel); /* relative L2 */
/* Fails above the bar; keeps the worst distance for golden_report. */
void golden_near(const char *what, const float *got, const float *want, uint64_t numel, double bar);
void golden_report(const golden_variant *v, const char *what); /* prints and resets the worst */

/* One evaluation; fails the test where it fails. */
ldm_array golden_eval(const ldm_model *m, const plain_eval *job);
/* eps at each t of the reference array [count][B,C,H,W]: 5 or 6 of them. job: what the UNet reads,
 * its part and t are set here. */
void golden_eps_of(const ldm_model *m, const char *folder, plain_eval job, const char *reference,
                   double bar);
/* Dumps what job evaluates: every file of folder/what (but those named in `but`, an array ended by
 * NULL) must be among the dumps, with its shape and near it. Dumps without a reference must begin
 * with `more` ("": none may be there). Returns how many were compared. */
int golden_dumps(const ldm_model *m, const char *folder, const char *what, plain_eval job,
                 const char *const *but, const char *more, double bar);
/* The same with x from a file alone. */
void golden_eps(const ldm_model *m, const char *folder, const char *input, const char *reference,
                double bar);
/* Decodes the stored NAME_z: image, indices (of z / scale), u8. */
void golden_decode(const ldm_model *m, const char *folder, const char *name, double scale);
/* The same with other file names, and a bar for the picture's absolute error. */
void golden_decode_files(const ldm_model *m, const char *folder, const char *name,
                         const char *image_file, const char *u8_file, double scale, float bar);
/* Samples NAME from x_T; the latents, and the bytes where no index flipped. Returns the latents
 * (ldm_array_free). job->x_t is set here. */
ldm_array golden_sample(const ldm_model *m, const char *folder, const char *name, plain_job job,
                        double scale, double bar);

#endif
