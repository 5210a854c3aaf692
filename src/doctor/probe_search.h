/* SPDX-License-Identifier: MIT */
/* Inside the room: the search over settings that no shape shows, and what its probes share. */
#ifndef LDM_DOCTOR_PROBE_SEARCH_H
#define LDM_DOCTOR_PROBE_SEARCH_H

#include "doctor/probes.h"
#include "network/network.h"

enum { LDM_MAX_HEADS = 32, LDM_MAX_SCALES = 8, LDM_MAX_WIDTHS = 18, LDM_PROBE_TEXT = 96 };

#define LDM_UNET "model.params.unet_config.params."

/* A candidate: what is to be set for it, and what it comes to. */
typedef struct ldm_heads {
    char sets[LDM_CANDIDATE_SETS][LDM_PROBE_TEXT];
    int set_count;
    char name[LDM_PROBE_TEXT];
    int tuple[LDM_MAX_WIDTHS +
              2]; /* heads at each width; the output side's; the order of q, k, v */
    bool usual;   /* a number of the published model of this kind */
} ldm_heads;

typedef struct ldm_scale {
    double value;
    const char *why;
    bool estimate; /* from the deviation of the pictures' latents */
    bool measured; /* the bottom of the error's curve, by ldm_scale_refine */
} ldm_scale;

/* A choice of everything, and its error. */
typedef struct ldm_point {
    int weights, heads, scale; /* indices */
    ldm_reading reading;
    double mean;
} ldm_point;

typedef struct ldm_search {
    ldm_doctor *d;
    ldm_error *err;
    ldm_trial trial;
    ldm_heads heads[LDM_MAX_HEADS];
    int head_count, widths[LDM_MAX_WIDTHS], width_count;
    ldm_scale scales[LDM_MAX_SCALES];
    int scale_count;
    int weights[2], weight_count; /* values of --ema, the given one first */
    const char *weight_names[2];
    ldm_reading given_reading;
    int coarse, fine; /* pictures */
    double each;      /* seconds of one */
    ldm_point best;
    ldm_scores best_scores;
    double head_mean[LDM_MAX_HEADS]; /* the least error of each, on the coarse pictures */
    char announcement[2 * LDM_PROBE_TEXT];
    float *alphas;
    int timesteps;
    bool scale_is_buffer, has_up, new_order, shipped_pictures;
    ldm_stage_report stage;
    int usual_width, usual_number; /* of heads; 0: none */
} ldm_search;

/* What speaks against a candidate: so much more error (a logarithm), and so many standard errors.
 * Less than `slightly` is no difference. */
extern const double ldm_worse, ldm_slightly, ldm_sigmas_needed;

/* How a candidate other than the best one stands to it. */
typedef struct ldm_rival {
    ldm_margin to_best;
    int index;
} ldm_rival;

/* probe_plan.c */
/* Heads that are judged with all pictures: the given ones, and so many of the others, by their
 * error on a few. */
enum { LDM_NEAR_HEADS = 4 };
/* Measures how long one picture takes through the networks, decides how many pictures there is time
 * for, and announces how long all takes. m: the model as it was given. trial: of s, made. */
ldm_status ldm_search_plan(ldm_search *s, const ldm_model *m, int *stage_pictures);

/* probe_search.c */
/* The model with a candidate's weights and heads; all else as the doctor knows it so far. */
ldm_status ldm_search_open(const ldm_search *s, int weights, int heads, ldm_model **m);
ldm_status ldm_search_measure(const ldm_search *s, const ldm_model *m, int n, int at_scale,
                              ldm_scores *out);
/* A finding with its place in the configuration. how NULL: there was no memory for it. */
ldm_status ldm_search_add(ldm_search *s, const char *path, const char *given, const char *found,
                          double sure, ldm_finding_state state, const char *cure, const char *flag,
                          const char *how);
/* All candidates of heads (else of the scale), the others at the best. *near: of those that are not
 * the best the nearest to it; index -1: there is none. *given: how the given one stands to it. */
ldm_status ldm_search_judge(ldm_search *s, bool by_heads, ldm_rival *near, ldm_margin *given);
double ldm_search_sure(const ldm_margin *m);
bool ldm_search_against(const ldm_margin *m);
/* Sentences for findings, in the doctor's arena. */
const char *ldm_search_worse_text(ldm_search *s, const char *what, const ldm_margin *given,
                                  const ldm_rival *near, const char *nearest);
const char *ldm_search_right_text(ldm_search *s, const ldm_rival *near, const char *nearest);

/* probe_heads.c */
void ldm_heads_list(ldm_search *s, const ldm_unet_config *u);
/* Of those that the pictures do not tell apart, the published model's heads are taken, if they are
 * among them: at small pictures the coarse levels' heads hardly matter. */
ldm_status ldm_heads_prefer_usual(ldm_search *s);
ldm_status ldm_heads_judge(ldm_search *s, const ldm_unet_config *u);

/* probe_size.c. The side of latents that is cheap enough to begin with, and, by the best of all
 * else at that side, the one to go on with: the model's, or where that was given wrong the one that
 * was found. */
int ldm_size_start(const ldm_doctor *d, const ldm_model *m);
double ldm_size_seconds(const ldm_search *s); /* about how long it takes */
ldm_status ldm_size_judge(ldm_search *s, const ldm_model *m, int *side);

/* probe_scale.c */
void ldm_scales_list(ldm_search *s, const ldm_model *m);
/* Where a scale beside the best candidate is better, looks for the best of all and adds it. */
ldm_status ldm_scale_refine(ldm_search *s);
ldm_status ldm_scale_judge(ldm_search *s, const ldm_model *m);

/* probe_reading.c: parameterization; EMA or raw weights. */
void ldm_weights_list(ldm_search *s, const ldm_model *m);
ldm_status ldm_reading_judge(ldm_search *s);
ldm_status ldm_weights_judge(ldm_search *s);

/* probe_order.c: of the colour channels. m: the model as it was given. */
ldm_status ldm_order_judge(ldm_search *s, const ldm_model *m);

/* probe_conditioner.c: whether eps follows the condition, and whether the UNet knows the
 * conditioner. */
ldm_status ldm_conditioner_judge(ldm_search *s);

/* probe_schedule.c. Only where the file has lost its buffers: those are what a run takes. */
ldm_status ldm_schedule_judge(ldm_search *s, const ldm_model *base);

#endif
