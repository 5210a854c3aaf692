/* SPDX-License-Identifier: MIT */
/* For the tests of the public interface: opening a small model, running a job, comparing results.
 * Everything fails the running test. */
#ifndef LDM_TESTS_API_SUPPORT_H
#define LDM_TESTS_API_SUPPORT_H

#include "../support/plain.h"

/* The smallest model in this repository (latent 3 x 8 x 8, one level), and one with two levels, EMA
 * shadows and pictures of 64 x 64 (latent 3 x 16 x 16). */
#define SMALL_DIR "tests/data/golden"
#define SMALL_CKPT SMALL_DIR "/model.fp16.ckpt"
#define SMALL_CONFIG SMALL_DIR "/config.yaml"
#define TINY_CKPT "tests/data/tiny/model.ckpt"
#define TINY_CONFIG "tests/data/tiny/config.yaml"

plain_options small_options(void);
ldm_model *open_small(void);
ldm_model *open_tiny(const char *max_isa);

/* Three steps with noise in each. */
plain_job short_job(int count);

/* All latents, then all pictures, of a job: one block of floats and its length, free() it. Every
 * picture must succeed. */
typedef struct output {
    float *data;
    size_t floats, per_picture; /* floats of one picture: latent and image */
} output;
output run_all(const ldm_model *m, const plain_job *job);
void expect_same(const char *what, const output *a, const output *b);

#endif
