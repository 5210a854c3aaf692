/* The plain structs behind the opaque objects of ldm.h: what a program asks for. The fields of a
 * setting are named as its key; the rows in setting_rows.c point at them. Other rooms read the
 * fields.
 */
#ifndef LDM_JOB_JOB_H
#define LDM_JOB_JOB_H

#include "job/settings.h"

struct ldm_job {
    ldm_options options;
    uint64_t seed; /* picture i has seed + i */
    const char *sampler;
    int steps;
    const char *timesteps;
    double eta, temperature, scale;
    const char *cond;
    int cache;
    bool quantize, quantize_x0, whole_timesteps, zero_snr;
    union {
        int shape[3]; /* 0, 0, 0: the configuration's */
        struct {
            int latent_c, latent_h, latent_w;
        };
    };
    int count;
    int batch;           /* 0: chosen */
    int threads;         /* 0: as many as processors may be used */
    uint64_t max_memory; /* 0: no limit */

    const ldm_array *x_t, *noise, *mask, *x0; /* the caller's; NULL: none */
    bool (*skip)(void *ctx, int index);
    void *skip_ctx;
    int (*progress)(void *ctx, const ldm_progress *p);
    void *ctx; /* of progress */
};

/* Begins a zeroed job with the table's defaults; ldm_options_finish(&job->options) releases it. */
ldm_status ldm_job_begin(ldm_job *job, ldm_error *err);

/* A copy that owns its texts, on top of what the configuration says where the job was given
 * nothing. The arrays stay the caller's. */
ldm_status ldm_job_resolve(const ldm_job *job, const ldm_job *config, ldm_job *out, ldm_error *err);

struct ldm_model_options {
    ldm_options options;
    const char *ckpt;
    ldm_texts configs, sets;
    bool ema; /* see ldm_model_options_ema */
    int threads;
    uint64_t max_memory;
    const char *precision;

    const char *max_isa;
    const char *config_text, *config_name;
    bool dry_run;
};

/* 1, 0, or -1 where it was not said. */
int ldm_model_options_ema(const ldm_model_options *opt);

struct ldm_eval_job {
    ldm_options options;
    ldm_part part;
    double t;
    bool quantize, mean, sample;
    uint64_t seed;
    int threads;
    const char *dump;
    const ldm_array *in, *context, *noise; /* the caller's */
};

struct ldm_bench_options {
    ldm_options options;
    int rounds, batch;
    bool layers, machine;
    const char *shapes;
    int steps, cache;
    double eta;
    int seeds;
    int threads;
    union {
        int shape[3];
        struct {
            int latent_c, latent_h, latent_w;
        };
    };
    double process_start;
};

/* An array that a caller passes: dimensions 1 to 8, data, and numel as the shape says. */
ldm_status ldm_array_check(const ldm_array *a, const char *what, ldm_error *err);

#endif
