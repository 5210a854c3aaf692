/* SPDX-License-Identifier: MIT */
/* The table of samplers, and the one loop that runs them all. A sampler sees the model as callbacks
 * (ldm_denoiser) and all latents as [n][chw] f32 in any fixed layout: it works element by element.
 *
 * A run in three calls: ldm_sampler_find -> a row of the table; ldm_sampler_plan_create -> the
 * steps, known before anything is computed; ldm_sampler_execute -> x. A new sampler is a file with
 * a row and a line in sampler_row.h's list: see README.md, "Adding a sampler". */
#ifndef LDM_SAMPLE_SAMPLER_H
#define LDM_SAMPLE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "sample/spacing.h"

typedef struct ldm_sampler ldm_sampler;
typedef struct ldm_sampler_run ldm_sampler_run; /* of one execution: sampler_row.h */

/* What the network was trained to predict. */
typedef enum ldm_prediction { LDM_PREDICTS_EPS, LDM_PREDICTS_V, LDM_PREDICTS_X0 } ldm_prediction;

/* Forms of a method that are otherwise alike; a row says which it has. */
typedef enum ldm_solver {
    LDM_SOLVER_OWN,      /* the row's own */
    LDM_SOLVER_MIDPOINT, /* DPM-Solver++: the correction of order 2 by the midpoint, or by ... */
    LDM_SOLVER_HEUN,     /* ... its integral over the step */
    LDM_SOLVER_BH1,      /* UniPC: B(h) = h, or ... */
    LDM_SOLVER_BH2       /* ... e^h - 1 */
} ldm_solver;

enum { LDM_SOLVER_COUNT = LDM_SOLVER_BH2 + 1 };

/* The noise level at which the last step ends. */
typedef enum ldm_final_sigma {
    LDM_FINAL_OWN, /* the sampler's own */
    LDM_FINAL_ZERO,
    LDM_FINAL_LEAST /* the model's least one */
} ldm_final_sigma;

/* What a sampler must know of the model. Arrays are borrowed. */
typedef struct ldm_diffusion {
    int train_steps;             /* T */
    const float *alphas_cumprod; /* [T], the model's buffer; each above 0 and at most 1 */
    /* The buffers of these names, [T], by which q_sample noises x0; NULL: the roots of
     * alphas_cumprod. They are only read where x0 is noised (masks, image-to-image). */
    const float *sqrt_alphas_cumprod, *sqrt_one_minus_alphas_cumprod;
    ldm_prediction prediction;
} ldm_diffusion;

/* What the user asks for. */
typedef struct ldm_sampling {
    int steps; /* 1 .. T */
    ldm_spacing spacing;
    double eta;         /* 0: deterministic; 0 where a sampler takes none */
    bool own_eta;       /* instead of eta the one that the method's authors take (the row's) */
    double temperature; /* factor of the noise that steps add; 1 where a sampler takes none */
    bool mask;          /* a known region will be kept */
    bool quantize_x0;   /* each predicted x0 goes through the codebook */
    bool whole_t;  /* fractional timesteps are rounded to the nearest (k-diffusion's quantize) */
    bool zero_snr; /* the noise schedule is rescaled to end without signal (schedule.h) */
    ldm_solver solver;
    ldm_final_sigma final_sigma;
    bool full_order_last; /* also in the last steps of a short run */
    int refine;           /* of an inversion: repetitions of each step */
    bool by_index; /* of an inversion: the network is told the steps' numbers, as the original's */
} ldm_sampling;

typedef struct ldm_sampler_step {
    double t;                 /* timestep of its first evaluation; may have a fraction */
    int evaluations;          /* of the network */
    double alpha, alpha_next; /* alphas_cumprod where x stands before and after the step */
    double sigma, sigma_next; /* the same as noise levels, ((1 - alpha) / alpha)^0.5; filled in by
                                 those samplers that count in them */
    double noise;             /* standard deviation of the noise that it adds */
    /* x stands at known_x0 * x0 + known_noise * (standard normal noise) before the step: how a
     * mask's known region and a run that begins here (ldm_sampler_job.start) are noised. */
    float known_x0, known_noise;
} ldm_sampler_step;

enum { LDM_SAMPLER_NOTES = 2, LDM_SAMPLER_NOTE_BYTES = 256 };

/* The steps of a run in the order in which they run (timesteps decrease). */
typedef struct ldm_sampler_plan {
    const ldm_sampler *sampler;
    ldm_sampling settings;     /* eta as it is taken */
    ldm_prediction prediction; /* what the network's output is taken for */
    int count;
    ldm_sampler_step *steps; /* [count] */
    double *times;           /* [evaluations]: timestep of each evaluation, in order */
    double start_scale;      /* start noise is multiplied by it; 1 where x keeps a variance of 1 */
    int evaluations;         /* of the network, in all steps together */
    int draws;       /* calls of ldm_denoiser.noise that the sampler itself makes (a mask: besides,
                        one before each step) */
    bool adds_noise; /* some of that noise reaches x */
    void *own;       /* the sampler's own, from ldm_alloc; freed with the plan; or NULL */
    int note_count;  /* remarks for the user, one line each */
    char notes[LDM_SAMPLER_NOTES][LDM_SAMPLER_NOTE_BYTES];
} ldm_sampler_plan;

/* A row of the table. */
struct ldm_sampler {
    const char *name;
    const char *const *aliases; /* other names that users know, ended by NULL */
    const char *summary;        /* one line for a list of samplers */
    /* A plan evaluates the network count * evaluations_per_step + evaluations_more times. */
    int evaluations_per_step, evaluations_more;
    int least_steps; /* 0: one will do */
    bool takes_eta, takes_temperature, takes_mask, takes_quantize_x0, takes_zero_snr;
    unsigned solvers; /* forms that it has besides its own: bits LDM_SOLVER_BIT(s) */
    bool takes_final_sigma, takes_lower_order;
    bool takes_whole_t;          /* its timesteps are whole, or can be rounded */
    bool distilled;              /* only for models that were distilled for it */
    double own_eta;              /* what own_eta of ldm_sampling stands for */
    unsigned spacings;           /* those it runs with: bits LDM_SPACING_BIT(s) */
    ldm_spacing default_spacing; /* one of them */
    int latents; /* [n][chw] that it works with; they keep their values from step to step */
    /* Fills *plan: ldm_sampler_plan_steps, then each step. The settings were checked against this
     * row. On failure the caller frees. */
    ldm_status (*plan)(const ldm_diffusion *d, const ldm_sampling *s, ldm_sampler_plan *plan,
                       ldm_error *err);
    /* One step: r->x becomes x at the next timestep, r->pred_x0 the prediction of x0 that led to
     * it. */
    ldm_status (*step)(ldm_sampler_run *r, ldm_error *err);
};

#define LDM_SPACING_BIT(s) (1u << (s))
#define LDM_SOLVER_BIT(s) (1u << (s))

/* "auto", "midpoint", ... */
const char *ldm_solver_name(ldm_solver s);
bool ldm_solver_find(const char *name, ldm_solver *out); /* false: there is none */

/* The row of a name or alias; case, '_', '-' and ' ' do not matter. A spacing may follow, as in
 * "DPM++ 2M Karras". NULL: there is none. */
const ldm_sampler *ldm_sampler_find(const char *name);
bool ldm_sampler_same_name(const char *known, const char *name); /* as names are compared here */
bool ldm_sampler_spacing_in(const char *name, ldm_spacing *out); /* false: none follows */
const ldm_sampler *ldm_sampler_at(size_t i); /* NULL: there are no more; 0 is the default */

/* LDM_ERR_USAGE where the sampler does not take a setting. The message lists the samplers that do.
 */
ldm_status ldm_sampler_check(const ldm_sampler *sampler, const ldm_sampling *s, ldm_error *err);

/* Checks the settings and the model. On failure *out is zeroed. A wrong setting is LDM_ERR_USAGE, a
 * broken noise schedule LDM_ERR_RANGE. */
ldm_status ldm_sampler_plan_create(const ldm_sampler *sampler, const ldm_diffusion *d,
                                   const ldm_sampling *s, ldm_sampler_plan *out, ldm_error *err);
void ldm_sampler_plan_free(ldm_sampler_plan *p); /* a zeroed struct is fine */

/* How many arrays of [n][chw] ldm_sampler_job.scratch must hold. */
size_t ldm_sampler_scratch_latents(const ldm_sampler *sampler);

/* One request for noise. Each picture's noise is its own, so that it depends on no other. */
typedef struct ldm_draw {
    int number; /* of this run's draws, from 0, a mask's included */
    int step;   /* of this run, from 0 */
    bool mask;  /* q_sample's, for the known region; else the step's own */
} ldm_draw;

typedef struct ldm_denoiser {
    void *ctx;
    /* out[n][chw]: the network's output for x at timestep t, guidance applied. step counts this
     * run's steps from 0; a step may evaluate more than once. */
    ldm_status (*predict)(void *ctx, int step, const float *x, double t, float *out,
                          ldm_error *err);
    /* noise[n][chw]: standard normal, or the user's own. With a mask first q_sample's, then the
     * step's, as CompVis draws; DDIM draws at every step, even where its noise is multiplied by 0.
     */
    ldm_status (*noise)(void *ctx, ldm_draw draw, float *noise, ldm_error *err);
    /* Replaces pred_x0[n][chw] by its quantised form; may be NULL without quantize_x0. */
    ldm_status (*quantize)(void *ctx, float *pred_x0, ldm_error *err);
    /* After each step (from 0, of step_count): the current x and pred_x0, and the timestep at which
     * the step began. Nonzero stops with LDM_ERR_CANCELLED. May be NULL. */
    int (*progress)(void *ctx, int step, int step_count, double t, const float *x,
                    const float *pred_x0);
} ldm_denoiser;

typedef struct ldm_sampler_job {
    const ldm_sampler_plan *plan;
    int start;   /* step of the plan that runs first. 0: x is start noise, standard normal; above:
                    the caller noised x as ldm_sampler_step says */
    bool noised; /* the caller noised x although start is 0 */
    size_t n, chw;
    const float *mask; /* [n][chw], 1 keeps x0; NULL: none */
    const float *x0;   /* [n][chw] with mask */
    float *scratch;    /* ldm_sampler_scratch_latents * n * chw floats, the caller's */
} ldm_sampler_job;

/* DDIM run backwards, from x0 to noise: no sampler that a user may name. Its timesteps increase. */
extern const ldm_sampler ldm_sampler_ddim_invert;

/* Where image-to-image begins. */
typedef struct ldm_beginning {
    int first;       /* the step that runs first */
    int noised;      /* the step before which x is noised: the same, or the one above */
    float x0, noise; /* x becomes x0 * (the latent) + noise * (standard normal noise) */
} ldm_beginning;

/* Of a strength above 0 and up to 1: strength * steps of the plan run, rounded down, and they are
 * the last ones. x is noised as ldm_sampler_step.known_x0 says, but for DDIM with CompVis' own
 * spacings: its img2img.py noises x to ddim_timesteps[t_enc] (stochastic_encode), by the roots of
 * ddim_alphas (in a float16 file the buffers of q_sample are rounded otherwise), and begins one
 * step lower, at ddim_timesteps[t_enc - 1] (decode). LDM_ERR_USAGE where no step would run. */
ldm_status ldm_sampler_begin_at(const ldm_sampler_plan *plan, double strength, ldm_beginning *out,
                                ldm_error *err);

/* What a run from `start` on does, found by running it on a single number: evaluations[count -
 * start] of the network in each step (a multistep method that begins anew may evaluate more often),
 * and the draws of the sampler's own, without a mask's. */
ldm_status ldm_sampler_trace(const ldm_sampler_plan *plan, int start, int *evaluations, int *draws,
                             ldm_error *err);

/* Runs the plan's steps from `start` to the end. x[n][chw] holds the noise on entry and the latent
 * on return. NaN or infinity is LDM_ERR_NUMERIC, and the message names the step. */
ldm_status ldm_sampler_execute(const ldm_sampler_job *job, const ldm_denoiser *model, float *x,
                               ldm_error *err);

#endif
