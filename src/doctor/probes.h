/* SPDX-License-Identifier: MIT */
/* Inside the room: what the network is tried on, and how well it does. */
#ifndef LDM_DOCTOR_PROBES_H
#define LDM_DOCTOR_PROBES_H

#include "doctor/doctor_private.h"

/* Pictures that the first stage is tried on at most. */
enum { LDM_STAGE_PICTURES = 16 };
enum { LDM_TRIAL_LEVELS = 3, LDM_READINGS = 3, LDM_CANDIDATE_SETS = 5 };

/* How the output of a network may be read. */
typedef enum ldm_reading { LDM_READ_EPS, LDM_READ_V, LDM_READ_X0 } ldm_reading;
extern const char *const ldm_reading_names[LDM_READINGS];

/* In which form pictures enter the encoder and leave the decoder. CompVis' models have RGB from -1
 * to 1. */
typedef struct ldm_picture_form {
    bool unit_range; /* from 0 to 1 */
    bool bgr;
} ldm_picture_form;

/* Latents of pictures, and the noise that is added to them: the same for every candidate, so that
 * two candidates are compared on equal terms. */
typedef struct ldm_trial {
    int n, c, h, w;
    ldm_picture_form form;             /* of the pictures */
    size_t each;                       /* c * h * w */
    float *latents;                    /* [n][each], without a scale factor */
    float *noise;                      /* [LDM_TRIAL_LEVELS][n][each] */
    double deviation;                  /* of the latents, standard */
    ldm_array context, concat, labels; /* what the UNet reads beside; data NULL: nothing */
} ldm_trial;
void ldm_trial_free(ldm_trial *t);

/* probe_pictures.c */
/* Sees to it that the doctor has pictures: those that were given, else those that ldm ships.
 * LDM_ERR_UNSUPPORTED where the model has no encoder for them. */
ldm_status ldm_probe_pictures(ldm_doctor *d, const ldm_model *m, ldm_error *err);
/* The latent's side that probes work at: the model's, and no more than measuring needs; where
 * nothing says the model's, that of the pictures at hand. */
int ldm_probe_side(const ldm_doctor *d, const ldm_model *m);
/* Values of one picture for latents of that side: channels * height * width. */
size_t ldm_probe_pixels(const ldm_model *m, int side);
/* A picture as planes [channels][height][width], RGB from -1 to 1; cropped and resized. */
ldm_status ldm_probe_planes(const ldm_model *m, const ldm_image *im, int side, float *planes,
                            ldm_error *err);
/* Such planes, put into `form`, through the encoder: a latent without a scale factor, of a
 * posterior the mean. And back: through the codebook (quantize), where there is one, and the
 * decoder, and out of `form`. */
ldm_status ldm_probe_encode(const ldm_model *m, const float *planes, int side,
                            ldm_picture_form form, float *latent, ldm_error *err);
ldm_status ldm_probe_decode(const ldm_model *m, const float *latent, int side,
                            ldm_picture_form form, bool quantize, float *planes, ldm_error *err);

/* probe_conditions.c: context, concat and labels of a trial whose sizes are set. */
typedef enum ldm_condition {
    LDM_CONDITION_EMPTY, /* an empty text, the class that stands for none, or the first */
    LDM_CONDITION_OTHER  /* a text, the second class */
} ldm_condition;
ldm_status ldm_probe_conditions(const ldm_model *m, ldm_condition what, ldm_trial *t,
                                ldm_error *err);

/* probe_inputs.c. Of the doctor's pictures, as latents of side * side. */
ldm_status ldm_trial_create(const ldm_doctor *d, const ldm_model *m, ldm_picture_form form,
                            int side, ldm_trial *out, ldm_error *err);

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

/* The network's output at one of the levels, [n][each], of the same pictures and noise. */
ldm_status ldm_probe_output(const ldm_model *m, const ldm_trial *t, int n, double scale,
                            const float *alphas, int timesteps, int level, ldm_array *out,
                            ldm_error *err);

/* Mean over the pairs. */
double ldm_scores_mean(const ldm_scores *s, ldm_reading r);
/* How one candidate stands to another on the same pictures: mean difference of the logarithms
 * (positive: a is worse), and that in its own standard errors, of which each level contributes its
 * own spread. a, b: [levels][n]. */
typedef struct ldm_margin {
    double difference, sigmas;
} ldm_margin;
ldm_margin ldm_margin_of(const double *a, const double *b, int n, int levels);
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

/* probe_stage.c: the first stage by itself, by how well pictures come back from it: tanh_out, the
 * range of values, the codebook. What is wrong becomes a finding. */
typedef struct ldm_stage_report {
    double lost;           /* of the pictures' power, at best */
    bool gives_back;       /* whether they come back at all; if not, nothing is concluded */
    ldm_picture_form form; /* how pictures are to enter the encoder; bgr is left false */
    ldm_margin exchanged;  /* how much worse they come back with red and blue exchanged */
} ldm_stage_report;
/* pictures: the first so many are tried. */
ldm_status ldm_probe_stage(ldm_doctor *d, const ldm_model *m, int pictures, ldm_stage_report *out,
                           ldm_error *err);

/* probe_settings.c: heads, scale_factor, parameterization, EMA, schedule. */
ldm_status ldm_probe_settings(ldm_doctor *d, double fresh, ldm_error *err);

#endif
