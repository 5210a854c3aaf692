/* SPDX-License-Identifier: MIT */
/* scale_factor: what the latents are multiplied by before the UNet sees them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
    s->scales[s->scale_count++] = (ldm_scale){.value = value, .why = why, .estimate = estimate};
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

/* ---- a scale that is no candidate ------------------------------------------------------------ */

/* The error along the scale, measured with the best of everything else. */
typedef struct curve {
    ldm_search *s;
    ldm_model *m;
    ldm_status st;
} curve;

static double error_at(curve *c, double scale, ldm_scores *scores)
{
    if (!c->st)
        c->st = ldm_probe_measure(c->m, &c->s->trial, c->s->fine, scale, c->s->alphas,
                                  c->s->timesteps, scores, c->s->err);
    return c->st ? 1e300 : ldm_scores_mean(scores, c->s->best.reading);
}

/* From `from` downhill in steps of `step` (a factor); *scale: the lowest point, between two that
 * are higher, put at the bottom of the parabola through the three. */
static void descend(curve *c, double from, double step, double *scale)
{
    enum { STEPS = 14 };
    ldm_scores scores;
    double mid = error_at(c, from, &scores), low = error_at(c, from / step, &scores),
           high = error_at(c, from * step, &scores);

    for (int i = 0; i < STEPS && !c->st && (low < mid || high < mid); i++) {
        const bool down = low < high;

        from = down ? from / step : from * step;
        if (down) {
            high = mid;
            mid = low;
            low = error_at(c, from / step, &scores);
        } else {
            low = mid;
            mid = high;
            high = error_at(c, from * step, &scores);
        }
    }
    *scale = from;
    if (low > mid && high > mid)
        *scale = from * pow(step, 0.5 * (low - high) / (low - 2 * mid + high));
}

/* The decimal number with the fewest digits within 3 %: the scale of a YAML is such a one. */
static double shortest(double value)
{
    for (int digits = 1; digits < 4; digits++) {
        char text[LDM_PROBE_TEXT];
        double rounded;

        snprintf(text, sizeof text, "%.*g", digits, value);
        rounded = atof(text);
        if (fabs(log(rounded / value)) < 0.03)
            return rounded;
    }
    return value;
}

/* Whether a scale 15 % beside the best one is better: then the true one is no candidate. */
static bool is_beside(curve *c)
{
    ldm_search *s = c->s;
    bool is = false;

    for (int i = -1; i <= 1 && !c->st; i += 2) {
        const double value = s->scales[s->best.scale].value * (i < 0 ? 1 / 1.15 : 1.15);
        ldm_scores scores;
        ldm_margin beside;

        error_at(c, value, &scores);
        beside = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
        is |= !c->st && beside.difference < -ldm_slightly && beside.sigmas < -ldm_sigmas_needed;
    }
    return is;
}

ldm_status ldm_scale_refine(ldm_search *s)
{
    curve c = {.s = s};
    ldm_scores scores;
    double value;
    ldm_status st = ldm_search_open(s, s->best.weights, s->best.heads, &c.m);

    if (st)
        return st;
    if (is_beside(&c) || s->scales[s->best.scale].estimate) {
        descend(&c, s->scales[s->best.scale].value, 1.25, &value);
        descend(&c, value, 1.08, &value);
        value = shortest(value);
        error_at(&c, value, &scores);
        if (!c.st && s->scale_count < LDM_MAX_SCALES &&
            ldm_scores_mean(&scores, s->best.reading) < s->best.mean) {
            s->best.scale = s->scale_count;
            s->best_scores = scores;
            s->scales[s->scale_count++] =
                (ldm_scale){.value = value, .why = "measured", .measured = true};
        }
    }
    ldm_model_close(c.m);
    return c.st;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/* Whether a measured scale may be off by a factor: pictures of another kind than the model's have
 * latents of another size. With the user's own it is not, nor where the latents of the shipped ones
 * get the deviation of 1 that scale factors are chosen for. */
static bool is_near(const ldm_search *s, double given, const ldm_scale *found)
{
    const bool own = !s->shipped_pictures || fabs(log(found->value * s->trial.deviation)) < 0.15;

    return found->measured && fabs(log(given / found->value)) < log(own ? 1.1 : 1.5);
}

static ldm_status cure_scale(ldm_search *s, const char *given, const ldm_margin *margin,
                             const ldm_rival *near)
{
    const char *path = "model.params.scale_factor", *how;
    const ldm_scale *best = &s->scales[s->best.scale];
    char found[LDM_PROBE_TEXT], cure[2 * LDM_PROBE_TEXT];

    snprintf(found, sizeof found, "%.6g", best->value);
    snprintf(cure, sizeof cure, "%s=%s", path, found);
    how = ldm_doctor_text(s->d,
                          "%s (%s%s): the error of denoised pictures is %.0f %% larger with what "
                          "was given (%.1f standard errors)",
                          found, best->why, best->measured ? ", to 10 % or so" : "",
                          100 * (exp(margin->difference) - 1), margin->sigmas);
    if ((near->index && !best->measured && !ldm_search_against(&near->to_best)) ||
        s->scale_is_buffer || is_near(s, s->scales[0].value, best))
        return ldm_search_add(s, path, given, NULL, ldm_search_sure(&near->to_best),
                              LDM_FINDING_UNDECIDED, NULL, NULL, how);
    return ldm_search_add(s, path, given, found, ldm_search_sure(margin), LDM_FINDING_WRONG, cure,
                          NULL, how);
}

ldm_status ldm_scale_judge(ldm_search *s, const ldm_model *m)
{
    const char *path = "model.params.scale_factor", *how;
    char given[LDM_PROBE_TEXT], name[LDM_PROBE_TEXT];
    ldm_margin margin;
    ldm_rival near;
    ldm_status st;

    if (s->scale_count < 2)
        return LDM_OK;
    st = ldm_search_judge(s, false, &near, &margin);
    if (st)
        return st;
    snprintf(given, sizeof given, "%.6g", m->scale_factor);
    if (s->best.scale != 0 && ldm_search_against(&margin))
        return cure_scale(s, given, &margin, &near);
    snprintf(name, sizeof name, "%.6g", s->scales[near.index].value);
    how = ldm_search_right_text(s, &near, name);
    return ldm_search_add(s, path, given, given, ldm_search_sure(&near.to_best), LDM_FINDING_RIGHT,
                          NULL, NULL, how);
}
