/* SPDX-License-Identifier: MIT */
/* parameterization, and which weights are used: EMA or raw. */
#include <math.h>
#include <stdio.h>

#include "doctor/probe_search.h"
#include "engine/engine.h"

void ldm_weights_list(ldm_search *s, const ldm_model *m)
{
    const bool shadows =
        !s->d->half_ema &&
        ldm_ckpt_find(s->d->ck, "model_ema.diffusion_modelinput_blocks00weight") != NULL;
    const bool raw =
        ldm_ckpt_find(s->d->ck, "model.diffusion_model.input_blocks.0.0.weight") != NULL;
    const bool ema = m->audit->effective.ema;

    s->weight_count = shadows && raw ? 2 : 1;
    s->weights[0] = ema;
    s->weights[1] = !ema;
    s->weight_names[0] = ema ? "EMA" : "raw";
    s->weight_names[1] = ema ? "raw" : "EMA";
}

ldm_status ldm_reading_judge(ldm_search *s)
{
    const char *path = "model.params.parameterization", *how;
    const char *given = ldm_reading_names[s->given_reading];
    const char *found = ldm_reading_names[s->best.reading];
    ldm_margin to_given =
        ldm_scores_margin(&s->best_scores, s->given_reading, &s->best_scores, s->best.reading);
    ldm_margin least = {1e300, 0};
    char cure[2 * LDM_PROBE_TEXT];

    for (int r = 0; r < LDM_READINGS; r++) {
        const ldm_margin m =
            ldm_scores_margin(&s->best_scores, (ldm_reading)r, &s->best_scores, s->best.reading);

        if (r != (int)s->best.reading && m.difference < least.difference)
            least = m;
    }
    how =
        ldm_doctor_text(s->d,
                        "read as %s, the output has an error that is %.1f times smaller than read "
                        "otherwise (%.1f standard errors)",
                        found, exp(least.difference), least.sigmas);
    snprintf(cure, sizeof cure, "%s=%s", path, found);
    if (s->best.reading == s->given_reading)
        return ldm_search_add(s, path, given, given, ldm_search_sure(&least), LDM_FINDING_RIGHT,
                              NULL, NULL, how);
    if (!ldm_search_against(&to_given) || !ldm_search_against(&least))
        return ldm_search_add(s, path, given, NULL, ldm_search_sure(&to_given),
                              LDM_FINDING_UNDECIDED, NULL, NULL, how);
    return ldm_search_add(s, path, given, found, ldm_search_sure(&to_given), LDM_FINDING_WRONG,
                          cure, NULL, how);
}

/* The other weights, with all else at the best. */
ldm_status ldm_weights_judge(ldm_search *s)
{
    const char *path = "model.params.use_ema", *how;
    const int other = !s->best.weights;
    ldm_margin m;
    ldm_scores scores;
    ldm_model *model;
    ldm_status st;

    if (s->weight_count < 2)
        return LDM_OK;
    st = ldm_search_open(s, other, s->best.heads, &model);
    if (!st) {
        st = ldm_search_measure(s, model, s->fine, s->best.scale, &scores);
        ldm_model_close(model);
    }
    if (st)
        return st;
    m = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
    how = ldm_doctor_text(s->d,
                          "the %s weights: the error of denoised pictures is %.0f %% larger with "
                          "the %s ones (%.1f standard errors)",
                          s->weight_names[s->best.weights], 100 * (exp(m.difference) - 1),
                          s->weight_names[other], m.sigmas);
    if (s->best.weights == 0 || m.difference < ldm_slightly || m.sigmas < ldm_sigmas_needed)
        return ldm_search_add(
            s, path, s->weights[0] ? "true" : "false", s->weights[0] ? "true" : "false",
            s->best.weights ? 0.5 : ldm_search_sure(&m), LDM_FINDING_RIGHT, NULL, NULL, how);
    if (s->weights[1]) /* the averaged ones are better */
        return ldm_search_add(s, path, "false", "true", ldm_search_sure(&m), LDM_FINDING_WRONG,
                              "model.params.use_ema=true", NULL, how);
    return m.difference > ldm_worse
               ? ldm_search_add(s, path, "true", "false", ldm_search_sure(&m), LDM_FINDING_WRONG,
                                "model.params.use_ema=false", "--no-ema", how)
               : LDM_OK;
}
