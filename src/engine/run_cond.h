/* SPDX-License-Identifier: MIT */
/* Inside the room: the conditioning of a run. It comes as arrays, or is made of prompts, classes
 * and token ids by the model's conditioner before the first step; guidance evaluates the network
 * twice a picture. */
#ifndef LDM_ENGINE_RUN_COND_H
#define LDM_ENGINE_RUN_COND_H

#include "engine/concat.h"
#include "engine/conditions.h"

struct ldm_run;

typedef struct ldm_run_cond {
    /* One entry for all pictures, or one for as many in a row as there are pictures to an entry. */
    ldm_conditions with, without; /* `without`: of the unconditional half */
    bool guided;                  /* both halves are evaluated and combined */
    int tokens;                   /* of the context; 0: none */
    ldm_array made;               /* contexts that were computed here */
    ldm_array made_without;       /* their last one, of the unconditional half: in made's memory */
    ldm_array zeros;              /* the unconditional half's, where the job wants them */
    ldm_array labels;             /* classes, or a noise level, as an array for label_emb */
    ldm_array layout;             /* token ids, [1,tokens], where the job has a layout */
    ldm_concat pictures;          /* what is concatenated, made of pictures */

    /* Of one batch, [samples]: all unconditional ones, then all conditional ones (the original's
     * order). NULL where the network takes none. */
    float *context, *concat, *label_values;
    float *x, *eps;            /* [2][batch][chw], with guidance */
    ldm_kept *whole, *shallow; /* what follows from them alone */
    int feature_samples;       /* of the last whole evaluation */
} ldm_run_cond;

/* Decides what the conditioning is made of, and whether there is guidance. LDM_ERR_USAGE where the
 * network needs something that the job does not say, and where the job says what it does not take.
 * Needs r->job and r->info's size. */
ldm_status ldm_run_cond_plan(struct ldm_run *r, const ldm_job *asked, ldm_error *err);

/* The part of it that decides whether there is guidance, and how strong it is; it asks for no
 * condition. */
void ldm_run_cond_guide(struct ldm_run *r);

/* The unconditional half's context is zeros, as the job wants it (uncond). A given one
 * (uncond_context) takes precedence, and zeros held against zeros are no guidance. */
bool ldm_run_uncond_zeros(const struct ldm_run *r);

/* Samples of an evaluation for n pictures. */
int ldm_run_samples(const struct ldm_run *r, int n);
/* The size of the UNet's graphs. */
ldm_graph_size ldm_run_unet_size(const struct ldm_run *r);

/* What ldm_run_cond_make would refuse, found without computing anything: classes that are none, and
 * texts without a vocabulary to read them by. */
ldm_status ldm_run_cond_check(struct ldm_run *r, ldm_error *err);
/* Computes contexts, which packs the conditioner's weights, and allocates the batch's arrays. */
ldm_status ldm_run_cond_make(struct ldm_run *r, ldm_error *err);
void ldm_run_cond_free(struct ldm_run *r);

/* Takes the conditions of the active pictures, and computes what follows from them alone. */
ldm_status ldm_run_cond_begin(struct ldm_run *r, ldm_error *err);

/* run_predict.c: ldm_denoiser.predict of a run. */
ldm_status ldm_run_predict(void *ctx, int step, const float *x, double t, float *out,
                           ldm_error *err);

/* How many of the steps are guided, 0 to 1: those cost twice the arithmetic. */
double ldm_run_guided_share(const ldm_run *r);

/* run_context.c: the contexts [count,tokens,width] of texts, of token ids, or of classes. negative:
 * one more text, whose context is the last; NULL: there is none. out of texts NULL: they are
 * tokenized for what there is to say of them, and nothing is computed. */
ldm_status ldm_run_encode_texts(struct ldm_run *r, const char *const *prompts, size_t count,
                                const char *negative, ldm_array *out, ldm_error *err);
ldm_status ldm_run_encode_ids(struct ldm_run *r, const ldm_array *ids, ldm_array *out,
                              ldm_error *err);

#endif
