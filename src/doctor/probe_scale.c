/* SPDX-License-Identifier: MIT */
/* scale_factor: what the latents are multiplied by before the UNet sees them. */
#include <math.h>
#include <stdio.h>

#include "doctor/probe_search.h"
#include "engine/engine.h"

/* Two within 3 % are one: no probe tells them apart. An estimate is not as exact as that. */
static void add_scale(ldm_search *s, double value, const char *why, bool estimate)
{
    if (!(value > 0) || !isfinite(value) || s->scale_count == LDM_MAX_SCALES)
        return;
    for (int i = 0; i < s->scale_count; i++) {
        if (fabs(log(s->scales[i].value / value)) < (estimate ? 0.15 : 0.03))
            return;
    }
    s->scales[s->scale_count++] = (ldm_scale){value, why, estimate};
}

void ldm_scales_list(ldm_search *s, const ldm_model *m)
{
    const ldm_tensor_info *t = ldm_ckpt_find(s->d->ck, "scale_factor");
    float buffer;

    add_scale(s, m->scale_factor, "given", false);
    if (t && t->numel == 1 && !ldm_ckpt_read_f32(s->d->ck, t, &buffer, NULL))
        add_scale(s, buffer, "the file's buffer", false);
    add_scale(s, 1, "the default", false);
    add_scale(s, 0.18215, "Stable Diffusion's, and of CompVis' text models", false);
    if (!s->shipped_pictures) /* of another kind of pictures it says little */
        add_scale(s, 1 / s->trial.deviation, "that which makes the latents' deviation 1", true);
}

/* Whether a scale 15 % beside the best one is better: then the true one is no candidate. */
static ldm_status between(ldm_search *s, bool *is)
{
    ldm_model *m;
    ldm_status st = ldm_search_open(s, s->best.weights, s->best.heads, &m);

    *is = false;
    for (int i = -1; i <= 1 && !st; i += 2) {
        const double value = s->scales[s->best.scale].value * (i < 0 ? 1 / 1.15 : 1.15);
        ldm_scores scores;
        ldm_margin beside;

        st = ldm_probe_measure(m, &s->trial, s->fine, value, s->alphas, s->timesteps, &scores,
                               s->err);
        beside = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
        *is |= !st && beside.difference < -ldm_slightly && beside.sigmas < -ldm_sigmas_needed;
    }
    ldm_model_close(m);
    return st;
}

ldm_status ldm_scale_judge(ldm_search *s, const ldm_model *m)
{
    const char *path = "model.params.scale_factor", *how;
    const ldm_scale *best = &s->scales[s->best.scale];
    char given[LDM_PROBE_TEXT], found[LDM_PROBE_TEXT], cure[2 * LDM_PROBE_TEXT];
    bool beside;
    ldm_margin margin;
    ldm_rival near;
    ldm_status st;

    if (s->scale_count < 2)
        return LDM_OK;
    st = ldm_search_judge(s, false, &near, &margin);
    if (st)
        return st;
    snprintf(given, sizeof given, "%.6g", m->scale_factor);
    snprintf(found, sizeof found, "%.6g", best->value);
    snprintf(cure, sizeof cure, "%s=%s", path, found);
    if (s->best.scale == 0 || !ldm_search_against(&margin)) {
        char name[LDM_PROBE_TEXT];

        snprintf(name, sizeof name, "%.6g", s->scales[near.index].value);
        how = ldm_search_right_text(s, &near, name);
        return ldm_search_add(s, path, given, given, ldm_search_sure(&near.to_best),
                              LDM_FINDING_RIGHT, NULL, NULL, how);
    }
    how = ldm_doctor_text(s->d,
                          "%s (%s): the error of denoised pictures is %.0f %% larger with what was "
                          "given (%.1f standard errors)",
                          found, best->why, 100 * (exp(margin.difference) - 1), margin.sigmas);
    st = between(s, &beside);
    if (st)
        return st;
    if ((near.index && !ldm_search_against(&near.to_best)) || s->scale_is_buffer || beside)
        return ldm_search_add(s, path, given, NULL, ldm_search_sure(&near.to_best),
                              LDM_FINDING_UNDECIDED, NULL, NULL, how);
    return ldm_search_add(s, path, given, found, ldm_search_sure(&margin), LDM_FINDING_WRONG, cure,
                          NULL, how);
}
