/* SPDX-License-Identifier: MIT */
/* Jobs, options and evaluations as plain structs, for tests that try many values: a field a
 * setting. Each call below passes the fields on through the public setters, makes the public call,
 * and frees what it made. A field that is 0 where the setting cannot be 0 is left unset. */
#ifndef LDM_TESTS_SUPPORT_PLAIN_H
#define LDM_TESTS_SUPPORT_PLAIN_H

#include <ldm/ldm.h>

typedef enum plain_ema { EMA_NO = 0, EMA_YES = 1, EMA_AUTO = -1 } plain_ema;

typedef struct plain_options {
    const char *ckpt, *model;
    const char *const *configs;
    size_t config_count;
    const char *config_text, *config_name;
    const char *const *sets;
    size_t set_count;
    plain_ema ema;
    int threads;
    const char *max_isa, *precision;
    uint64_t max_memory;
    bool dry_run;
} plain_options;

void plain_options_init(plain_options *o);
ldm_status plain_model_open(const plain_options *o, ldm_model **out, ldm_error *err);
ldm_status plain_check(const plain_options *o, unsigned how, char **report, bool *fits,
                       ldm_error *err);
ldm_status plain_difference(const plain_options *a, const plain_options *b, char **json,
                            ldm_error *err);

typedef struct plain_job {
    const char
        *sampler; /* NULL: unset. With one, timesteps NULL and a negative eta are unset, too */
    int steps;
    const char *timesteps;
    double eta, temperature, scale;
    const char *cond, *solver; /* solver NULL: unset */
    uint64_t seed;
    int cache, count, batch;
    int latent_c, latent_h, latent_w;
    bool quantize, quantize_x0, whole_timesteps, zero_snr;
    const ldm_array *x_t, *noise, *mask, *x0;
    const ldm_array *context, *uncond_context, *concat, *labels, *ids;
    const char *classes;        /* the setting "class" */
    const char *const *prompts; /* prompt_count of them */
    size_t prompt_count;
    int threads;
    uint64_t max_memory;
    int (*progress)(void *ctx, const ldm_progress *p);
    void *ctx;
} plain_job;

void plain_job_init(plain_job *job);
ldm_status plain_run_create(const ldm_model *m, const plain_job *job, ldm_run **out,
                            ldm_error *err);

/* ldm_run_next, with a copy of the result; zeroed where there is none. */
ldm_status plain_run_next(ldm_run *r, ldm_result *out, bool *have, ldm_error *err);

typedef struct plain_eval {
    ldm_part part;
    const ldm_array *in, *context, *concat, *labels, *noise;
    double t;
    bool quantize, mean, sample;
    uint64_t seed;
    int threads;
    const char *dump_dir;
} plain_eval;

ldm_status plain_eval_run(const ldm_model *m, const plain_eval *job, ldm_array *out,
                          ldm_error *err);

#endif
