/* SPDX-License-Identifier: MIT */
/* The order of the colour channels: a model that was trained on BGR pictures (OpenCV's order) knows
 * skin that is blue. An autoencoder gives either order back, but the UNet knows one of them. */
#include <math.h>

#include "doctor/probe_search.h"
#include "engine/engine.h"

/* The same pictures with red and blue exchanged, in everything else as the best candidate. */
static ldm_status measure_exchanged(ldm_search *s, const ldm_model *m, ldm_scores *scores)
{
    ldm_picture_form form = s->trial.form;
    ldm_trial trial;
    ldm_model *best;
    ldm_status st;

    form.bgr = !form.bgr;
    st = ldm_trial_create(s->d, m, form, s->trial.h, &trial, s->err);
    if (st)
        return st;
    st = ldm_search_open(s, s->best.weights, s->best.heads, &best);
    if (!st)
        st = ldm_probe_measure(best, &trial, s->fine, s->scales[s->best.scale].value, s->alphas,
                               s->timesteps, scores, s->err);
    ldm_model_close(best);
    ldm_trial_free(&trial);
    return st;
}

/* Both must say so: the UNet, and the first stage, which gives the order back better that it was
 * trained on. Pictures of another kind (the shipped ones) may look better to the UNet in blue. */
ldm_status ldm_order_judge(ldm_search *s, const ldm_model *m)
{
    const char *path = "first_stage.channel_order", *how;
    const ldm_margin *stage = &s->stage.exchanged;
    ldm_scores exchanged;
    ldm_margin rgb;
    ldm_status st;

    if (m->network->first_stage.in_channels != 3 || !s->stage.gives_back)
        return LDM_OK;
    st = measure_exchanged(s, m, &exchanged);
    if (st)
        return st;
    rgb = ldm_scores_margin(&s->best_scores, s->best.reading, &exchanged, s->best.reading);
    how = ldm_doctor_text(s->d,
                          "with red and blue exchanged the error of denoised pictures is %.2f "
                          "times as large (%.1f standard errors), that of pictures through the "
                          "first stage %.2f times%s",
                          exp(-rgb.difference), -rgb.sigmas, exp(stage->difference),
                          ldm_search_against(&rgb)
                              ? ". CompVis' code and ldm know RGB, and no setting changes that: "
                                "exchange red and blue in what it makes"
                              : "");
    if (!ldm_search_against(&rgb))
        return ldm_search_add(s, path, "RGB", "RGB", ldm_sure_of(-rgb.sigmas), LDM_FINDING_RIGHT,
                              NULL, NULL, how);
    if (stage->difference > -ldm_slightly)
        return ldm_search_add(s, path, "RGB", NULL, 0,
                              s->shipped_pictures ? LDM_FINDING_NOTE : LDM_FINDING_UNDECIDED, NULL,
                              NULL, how);
    return ldm_search_add(s, path, "RGB", "BGR", ldm_search_sure(&rgb), LDM_FINDING_WRONG, NULL,
                          NULL, how);
}
