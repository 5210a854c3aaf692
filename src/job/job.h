/* SPDX-License-Identifier: MIT */
/* The plain structs behind the opaque objects of ldm.h: what a program asks for. A setting is a row
 * of settings.inc, which makes its field here. Other rooms read the fields. */
#ifndef LDM_JOB_JOB_H
#define LDM_JOB_JOB_H

#include "job/settings.h"

/* The field of a setting, by its type; its name is the setting's key. A number of 0 where 0 is no
 * valid value (batch, threads, max_memory, shape) means that nothing was said. */
#define LDM_FIELD_INT(name) int name;
#define LDM_FIELD_U64(name) uint64_t name;
#define LDM_FIELD_REAL(name) double name;
#define LDM_FIELD_BOOL(name) bool name;
#define LDM_FIELD_CHOICE(name) const char *name;
#define LDM_FIELD_TEXT(name) const char *name;
#define LDM_FIELD_BYTES(name) uint64_t name;
#define LDM_FIELD_LIST(name) ldm_texts name;
#define LDM_FIELD_SHAPE(name)                                                                      \
    union {                                                                                        \
        int name[3];                                                                               \
        struct {                                                                                   \
            int latent_c, latent_h, latent_w;                                                      \
        };                                                                                         \
    };
#define SETTING(type, field, ...) LDM_FIELD_##type(field)

/* The arrays of a job and of an evaluation, by the names that ldm_job_set_array and
 * ldm_eval_job_set_array take. */
#define LDM_JOB_ARRAYS(ARRAY)                                                                      \
    ARRAY(x_t)                                                                                     \
    ARRAY(noise)                                                                                   \
    ARRAY(mask)                                                                                    \
    ARRAY(x0)                                                                                      \
    ARRAY(context)                                                                                 \
    ARRAY(uncond_context)                                                                          \
    ARRAY(concat)                                                                                  \
    ARRAY(labels)                                                                                  \
    ARRAY(ids)                                                                                     \
    ARRAY(mix)                                                                                     \
    ARRAY(init)                                                                                    \
    ARRAY(cond_noise)
#define LDM_EVAL_ARRAYS(ARRAY)                                                                     \
    ARRAY(in)                                                                                      \
    ARRAY(noise)                                                                                   \
    ARRAY(context)                                                                                 \
    ARRAY(concat)                                                                                  \
    ARRAY(labels)
#define LDM_ARRAY_FIELD(name) const ldm_array *name;

/* The i-th of a job's arrays (NULL: not given) and its name. False: there are no more. */
bool ldm_job_array_at(const ldm_job *job, size_t i, const char **name, const ldm_array **a);
/* The pictures of a job, by the names that ldm_job_set_images takes. */
#define LDM_JOB_IMAGES(IMAGES)                                                                     \
    IMAGES(init)                                                                                   \
    IMAGES(mask)                                                                                   \
    IMAGES(image)                                                                                  \
    IMAGES(segmentation)
#define LDM_IMAGES_FIELD(name)                                                                     \
    const ldm_image *name##_images; /* [name_count], the caller's; NULL: none */                   \
    size_t name##_count;

struct ldm_job {
    ldm_options options;
#define LDM_ROWS_JOB
#include "job/settings.inc"
    LDM_JOB_ARRAYS(LDM_ARRAY_FIELD) /* the caller's; NULL: none */
    const char *const *prompts;     /* the caller's; NULL: the one of the setting */
    size_t prompt_count;
    LDM_JOB_IMAGES(LDM_IMAGES_FIELD)
    bool inverse; /* DDIM runs backwards, from the latents to noise (ldm_invert) */
    bool masked;  /* settled: the sampler keeps a part, by arrays or by pictures */
    bool painted; /* settled: a part of "image" is painted, as its conditioning says */
    bool (*skip)(void *ctx, int index);
    void *skip_ctx;
    bool (*cancel)(void *ctx);
    void *cancel_ctx;
    int (*progress)(void *ctx, const ldm_progress *p);
    void *ctx; /* of progress */
};

/* Begins a zeroed job with the table's defaults; ldm_options_finish(&job->options) releases it. */
ldm_status ldm_job_begin(ldm_job *job, ldm_error *err);

/* How many pictures, or latents, it begins with or is conditioned by; 0: none. */
uint64_t ldm_job_start_count(const ldm_job *job);

/* How many prompts, or classes, a job has: count pictures are made of each. 1 where it has none. */
size_t ldm_job_entries(const ldm_job *job);

/* Takes what a job has besides settings: arrays, pictures and prompts, which stay the caller's, and
 * the functions that are called. */
void ldm_job_borrow(ldm_job *out, const ldm_job *job);

/* A copy that owns its texts, on top of what the configuration says where the job was given
 * nothing. The arrays stay the caller's. */
ldm_status ldm_job_resolve(const ldm_job *job, const ldm_job *config, ldm_job *out, ldm_error *err);

struct ldm_model_options {
    ldm_options options;
#define LDM_ROWS_MODEL
#include "job/settings.inc"
};

/* 1, 0, or -1 where it was not said. */
int ldm_model_options_ema(const ldm_model_options *opt);

struct ldm_eval_job {
    ldm_options options;
    ldm_part part;
#define LDM_ROWS_EVAL
#include "job/settings.inc"
    LDM_EVAL_ARRAYS(LDM_ARRAY_FIELD) /* the caller's; NULL: none */
    bool (*cancel)(void *ctx);       /* NULL: nobody is asked */
    void *cancel_ctx;
};

struct ldm_bench_options {
    ldm_options options;
#define LDM_ROWS_BENCH
#include "job/settings.inc"
    const ldm_job *job; /* the caller's: what whole pictures show; NULL: nothing was said */
};

#undef SETTING

/* An array that a caller passes: dimensions 1 to 8, data, and numel as the shape says. */
ldm_status ldm_array_check(const ldm_array *a, const char *what, ldm_error *err);

#endif
