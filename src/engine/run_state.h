/* SPDX-License-Identifier: MIT */
/* Inside the room: what a run holds. run.c makes and frees it, run_batch.c samples and decodes. */
#ifndef LDM_ENGINE_RUN_STATE_H
#define LDM_ENGINE_RUN_STATE_H

#include "engine/run_cond.h"
#include "engine/run_job.h"
#include "engine/run_tiles.h"
#include "image/picture.h"
#include "sample/rng.h"
#include "sample/sampler.h"

typedef struct ldm_start ldm_start;     /* start.h */
typedef struct ldm_preview ldm_preview; /* run_preview.h */

struct ldm_run {
    const ldm_model *m;
    ldm_job job; /* its own, settled: count, batch, shape are final */
    ldm_pool *pool;
    ldm_sampler_plan plan;
    double *order; /* [plan.count]: timestep at which each step begins, for ldm_run_info */
    size_t chw;

    ldm_run_cond cond;
    ldm_run_tiles tiles;

    ldm_start *start;     /* what pictures begin with in addition to noise; NULL: nothing */
    ldm_preview *preview; /* NULL: nobody wants one */

    bool noised;      /* x begins noised by the start; false: with start noise */
    int first;        /* step of the plan that runs first; above 0 with a start only */
    int own_draws;    /* calls for noise that the sampler itself makes for a picture */
    int noise_before; /* draws of a picture before those: what its start takes */

    ldm_program **unet;             /* [samples of a batch + 1], by their number; made when first
                                       needed */
    ldm_program **shallow;          /* likewise; with job.cache above 1 */
    ldm_program **quantize_x0;      /* [batch + 1] */
    ldm_program *quantize, *decode; /* of 1 */
    ldm_kept *unet_times;           /* of the programs above; made with the first */
    ldm_kept *shallow_times;
    float *arena;
    size_t arena_floats, unet_bytes; /* of which a step of the UNet uses unet_bytes */

    float *feature;        /* [samples] of the last whole evaluation, with job.cache above 1 */
    size_t feature_floats; /* of one picture */

    float *x;         /* [batch][chw] */
    float *scratch;   /* [ldm_sampler_scratch_latents][batch][chw] */
    float *t;         /* [samples]: the timestep of an evaluation, once for each */
    float *mask, *x0; /* [batch][chw], expanded for the batch; NULL without a mask */
    ldm_rng *rngs;    /* [batch] */
    float *image;     /* [3][h][w] */
    ldm_picture picture;

    int *pictures;      /* [batch]: numbers of the pictures that x holds */
    int in_batch, used; /* how many, and how many of them were handed out */
    int next, end;      /* picture that the next batch begins with; the one after the last */
    ldm_status *failed; /* [batch]: LDM_OK or why a picture has no latent */
    ldm_error *errors;  /* [batch] */

    /* What the callbacks are about: n pictures of which the first is pictures[active]. */
    int active, active_n;

    ldm_arena *texts;
    bool captions_drawn; /* job.prompts were drawn from a grammar */
    char vocabulary[65]; /* SHA-256 of the vocabulary that texts were read by; empty: none was */
    ldm_notes notes;
    ldm_run_info info;
    ldm_result result; /* the last that ldm_run_next handed out */
};

/* How many timesteps' embeddings are computed together, so that each weight is read once for all of
 * them. */
#define LDM_RUN_TIMES 32

static inline int ldm_run_steps(const ldm_run *r)
{
    return r->plan.count - r->first;
}

/* Draws of noise for a picture: those of its start, the sampler's own, and with a mask one before
 * each step. Start noise is not among them. */
static inline int ldm_run_draws(const ldm_run *r)
{
    return r->noise_before + r->own_draws + (r->job.masked ? ldm_run_steps(r) : 0);
}

double ldm_largest(const float *v, size_t n); /* the greatest magnitude; of NaN nothing */

/* Latents are near 1 in a working model; with values beyond this what comes out says nothing about
 * the weights. */
#define LDM_ABSURD_LATENT 1e6

/* run_predict.c: runs p once more, slowly, and writes into `where` the first step whose output is
 * not finite: "input_blocks.1.0.in_layers.2 (conv)". */
void ldm_run_find_bad(const struct ldm_run *r, const ldm_program *p, ldm_execution run, char *where,
                      size_t size);

/* run_predict.c: what the job was told to ask says that the caller does not want to go on. run: an
 * ldm_run. For observers. */
bool ldm_run_cancelled(void *run);

/* Samples the next batch of pictures that are not skipped; in_batch is 0 when none is left. */
ldm_status ldm_run_sample(ldm_run *r, ldm_error *err);

/* Decodes the latent of a picture, [chw], into r->image. */
ldm_status ldm_run_decode(ldm_run *r, const float *latent, ldm_error *err);

#endif
