/* SPDX-License-Identifier: MIT */
/* Inside the room: what the network is tried on, and how well it does. */
#ifndef LDM_DOCTOR_PROBES_H
#define LDM_DOCTOR_PROBES_H

#include "doctor/doctor_private.h"

enum { LDM_TRIAL_LEVELS = 3, LDM_READINGS = 3, LDM_CANDIDATE_SETS = 5 };

/* How the output of a network may be read. */
typedef enum ldm_reading { LDM_READ_EPS, LDM_READ_V, LDM_READ_X0 } ldm_reading;
extern const char *const ldm_reading_names[LDM_READINGS];

/* Latents of pictures, and the noise that is added to them: the same for every candidate, so that
 * two candidates are compared on equal terms. */
typedef struct ldm_trial {
    int n, c, h, w;
    size_t each;                       /* c * h * w */
    float *latents;                    /* [n][each], without a scale factor */
    float *noise;                      /* [LDM_TRIAL_LEVELS][n][each] */
    double deviation;                  /* of the latents, standard */
    ldm_array context, concat, labels; /* what the UNet reads beside; data NULL: nothing */
} ldm_trial;
void ldm_trial_free(ldm_trial *t);

/* probe_inputs.c. The pictures that were given, else those that ldm ships. LDM_ERR_UNSUPPORTED
 * where the model has no encoder for them. */
ldm_status ldm_trial_create(ldm_doctor *d, const ldm_model *m, ldm_trial *out, ldm_error *err);

/* Ratios of noise to signal at which a network is tried: little noise, where heads show best, as
 * much as there is picture, and three times as much. */
extern const double ldm_trial_ratios[LDM_TRIAL_LEVELS];

/* Logarithms of the relative squared error of x0, |x0' - x0|^2 / |x0 - mean|^2, for each reading,
 * level and picture; +40 where it is not finite. */
typedef struct ldm_scores {
    int count; /* pairs: n * LDM_TRIAL_LEVELS */
    double log_error[LDM_READINGS][LDM_TRIAL_LEVELS * LDM_DOCTOR_IMAGES];
} ldm_scores;

/* probe_measure.c. alphas: alphas_cumprod[timesteps] of the schedule to try it by. n: the first n
 * pictures. */
ldm_status ldm_probe_measure(const ldm_model *m, const ldm_trial *t, int n, double scale,
                             const float *alphas, int timesteps, ldm_scores *out, ldm_error *err);

/* Mean over the pairs, and how one candidate stands to another on the same pictures: mean
 * difference of the logarithms (positive: a is worse), and that in its own standard errors, of
 * which each level contributes its own spread. */
double ldm_scores_mean(const ldm_scores *s, ldm_reading r);
typedef struct ldm_margin {
    double difference, sigmas;
} ldm_margin;
ldm_margin ldm_scores_margin(const ldm_scores *a, ldm_reading ra, const ldm_scores *b,
                             ldm_reading rb);
/* A margin in standard errors as a probability that it is no accident. */
double ldm_sure_of(double sigmas);

/* The configuration as it is now with some assignments more. ema: -1 as the options say, 0, 1. */
ldm_status ldm_probe_open(const ldm_doctor *d, const char *const *sets, int count, int ema,
                          ldm_model **out, ldm_error *err);

/* probe_weights.c: values that no training leaves. Reads every tensor once. *fresh: the share of
 * the UNet's matrices that are as a constructor leaves them. */
ldm_status ldm_probe_weights(ldm_doctor *d, double *fresh, ldm_error *err);

/* probe_settings.c: heads, scale_factor, parameterization, EMA, schedule. */
ldm_status ldm_probe_settings(ldm_doctor *d, double fresh, ldm_error *err);

#endif
